"""Turns the sheets of a run into the aims: met or not, with the figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import mean

from benchmarks._uplift_entries import DEPLOYED, GATED, YARDSTICK
from benchmarks._uplift_judge import PER, REGIMES, Figure, Verdict
from benchmarks._uplift_tables import SINGLE, Sheet, over_seeds, pooled_slope, signed

LOWEST = ("weak", "adaptive", "clustered", "rare", "none")
A_FEW = 3  # of ours, the yardstick and the best single arm alone there is no field to be lowest of
SAME = 0.005  # regrets this near, per 1,000, are the same
NEAR_BEST = 1.02
LEAD = 1.0
LEAD_ERROR = 0.3
PEHE = 17.5
PEHE_ROWS = 200_000
SLOPES = (0.8, 1.25)
MOST_NAMED = 8
FIT_LINEAR_S, FIT_STACK_S, FIT_MILLION_S, MILLION_MIB, SCORE_S, ALLOCATE_S = 1.5, 6.0, 10.0, 1024.0, 1.0, 0.5
_TWO_SIDED = 1.96


def aims(sheets: Sequence[Sheet], scale: Sequence[Sheet], allocated: Sequence[tuple[int, float]]) -> str:
    """The last section: a line an aim."""
    lines = ["## Aims", "", "| aim | figures | met |", "|---|---|---|"]
    rows = [*_regrets(sheets), *_lead(sheets), *_slopes(sheets), *_pehe(sheets), *_harm(sheets)]
    rows += _speed(scale, allocated)
    return "\n".join([*lines, *(f"| {aim} | {figures} | {_word(met)} |" for aim, figures, met in rows)])


Row = tuple[str, str, bool | None]


def _regrets(sheets: Iterable[Sheet]) -> Iterable[Row]:
    for sheet in sheets:
        if sheet.case in {*LOWEST, "strong", "many"} and len(sheet.lines) > A_FEW:
            for own in (DEPLOYED, GATED):
                if sheet.verdicts(own):
                    yield _regret(sheet, own)


def _regret(sheet: Sheet, own: str) -> Row:
    factor = NEAR_BEST if sheet.case == "strong" else 1.0
    words, within = [], []
    for regime in REGIMES:
        value = sheet.regret(own, regime)
        name, rival, difference = _nearest(sheet, own, regime)
        within.append(difference.value <= (factor - 1.0) * rival + SAME)
        words.append(f"{regime} {value:.2f}, next {name} {rival:.2f} ({signed(difference, 2)})")
    what = "within 2 % of the lowest regret" if factor > 1 else "lowest regret"
    met = all(within) if sheet.case != "many" else None
    return f"{what}, {sheet.case}, {sheet.rows:,} rows, {len(sheet.verdicts(own))} seeds: {own}", "; ".join(words), met


def _nearest(sheet: Sheet, own: str, regime: str) -> tuple[str, float, Figure]:
    """The entry, not of the stack, that does best against it on the seeds both have: name, regret, ours less its."""
    mine, found = sheet.verdicts(own), []
    for entry in sheet.lines:
        theirs = sheet.verdicts(entry)
        seeds = sorted(mine.keys() & theirs.keys())
        if entry not in {DEPLOYED, GATED} and seeds:
            less = over_seeds([mine[s].regret[regime] - theirs[s].regret[regime] for s in seeds])
            found.append((less.value, entry, mean(theirs[s].regret[regime] for s in seeds), less))
    _, entry, rival, less = max(found, key=lambda one: one[0])
    return entry, rival, less


def _lead(sheets: Sequence[Sheet]) -> Iterable[Row]:
    """Judged on the most seeds there are: the aim is as much about the error as about the lead."""
    weak = [sheet for sheet in sheets if sheet.case == "weak" and len(_common(sheet)) > 1]
    for sheet in weak:
        own, theirs, seeds = sheet.verdicts(DEPLOYED), sheet.verdicts(YARDSTICK), _common(sheet)
        leads = {r: over_seeds([theirs[s].regret[r] - own[s].regret[r] for s in seeds]) for r in REGIMES}
        met = leads["cost"].value >= LEAD and leads["cost"].se <= LEAD_ERROR
        words = "; ".join(f"{regime} {signed(lead, 2)}" for regime, lead in leads.items())
        aim = f"beats {YARDSTICK} net of cost by 1.0 (error at most 0.3), weak, {sheet.rows:,} rows, {len(seeds)} seeds"
        yield aim, words, met if len(seeds) == max(len(_common(one)) for one in weak) else None


def _common(sheet: Sheet) -> list[int]:
    return sorted(sheet.verdicts(DEPLOYED).keys() & sheet.verdicts(YARDSTICK).keys())


def _slopes(sheets: Iterable[Sheet]) -> Iterable[Row]:
    for sheet in sheets:
        verdicts = list(sheet.verdicts(DEPLOYED).values())
        if not verdicts:
            continue
        aim = f"slope 0.8 to 1.25, {sheet.case}, {sheet.rows:,} rows"
        levels = [v.level_slope.value for v in verdicts if not math.isnan(v.level_slope.value)]
        level = f"; with the arms' means left in {mean(levels):.2f}" if levels else ""
        slope = pooled_slope(verdicts)
        if math.isnan(slope.value):
            yield aim, f"every prediction of an arm the same{level}", True
            continue
        error = "" if sheet.known else f" ± {slope.se:.2f}"
        seeds = ", ".join("-" if math.isnan(v.slope.value) else f"{v.slope.value:.2f}" for v in verdicts[:MOST_NAMED])
        words = f"{slope.value:.2f}{error}, spread of predictions x 1,000 {_spread(verdicts):.1f}; seeds {seeds}{level}"
        yield aim, words, SLOPES[0] <= slope.value <= SLOPES[1]


def _spread(verdicts: Sequence[Verdict]) -> float:
    return PER * math.sqrt(mean(v.spread for v in verdicts))


def _pehe(sheets: Iterable[Sheet]) -> Iterable[Row]:
    """The aim is for as many rows as the design measured; with fewer the figure is only shown."""
    for sheet in sheets:
        values = [verdict.pehe for verdict in sheet.verdicts(DEPLOYED).values()]
        if sheet.case == "weak" and values:
            single = [verdict.pehe for verdict in sheet.verdicts(SINGLE).values()]
            words = f"{mean(values):.2f} (constants {mean(single):.2f})"
            met = mean(values) <= PEHE if sheet.rows >= PEHE_ROWS else None
            yield f"PEHE x 1,000 at most 17.5, weak, {sheet.rows:,} rows, {len(values)} seeds", words, met


def _harm(sheets: Sequence[Sheet]) -> Iterable[Row]:
    for own in (DEPLOYED, GATED):
        every = {
            (sheet.case, sheet.rows, seed, regime): (
                gain.value / gain.se if gain.se else 0.0,
                verdict.true_gain[regime],
            )
            for sheet in sheets
            for seed, verdict in sheet.verdicts(own).items()
            for regime, gain in verdict.gain.items()
        }
        found = [(z, case, seed, regime, true) for (case, _, seed, regime), (z, true) in every.items()]
        if not found:
            continue
        negative = [one for one in found if one[0] < -_TWO_SIDED]
        worst = min(found)
        true = min((one for one in found if not math.isnan(one[4])), key=lambda one: one[4], default=None)
        words = f"{len(negative)} of {len(found)} (luck alone: {0.025 * len(found):.1f}); lowest z {_named(worst)}"
        if true:
            words += f"; lowest true gain {true[4]:+.2f} per 1,000 ({true[1]}, seed {true[2]}, {true[3]})"
        yield f"no gain over the best single arm that is significantly negative: {own}", words, not negative


def _named(one: tuple[float, str, int, str, float]) -> str:
    return f"{one[0]:.2f} ({one[1]}, seed {one[2]}, {one[3]})"


def _speed(scale: Iterable[Sheet], allocated: Iterable[tuple[int, float]]) -> Iterable[Row]:
    for sheet in scale:
        for entry, lines in sheet.lines.items():
            for taken in [line.result.taken for line in lines if line.result and line.result.taken]:
                million = sheet.rows >= 1_000_000
                within = {"dr_linear": FIT_LINEAR_S, DEPLOYED: FIT_STACK_S}.get(entry)
                within = FIT_MILLION_S if million and within else within
                words = f"{taken.fit_cpu_s:.2f} s, peak {taken.fit_mib:,.0f} MiB"
                met = None if within is None else taken.fit_cpu_s <= within and taken.fit_mib <= MILLION_MIB
                aim = f" in {within:g} CPU s and 1 GB" if within else ""
                yield f"fit {sheet.rows:,} x 20 x 4{aim}: {entry}", words, met
                scored = taken.predict_cpu_s
                yield f"score a million rows in {SCORE_S:g} CPU s: {entry}", f"{scored:.2f} s", scored <= SCORE_S
    for rows, seconds in allocated:
        yield f"allocate {rows:,} x 4 in {ALLOCATE_S} CPU s", f"{seconds:.2f} s", seconds <= ALLOCATE_S


def _word(met: bool | None) -> str:
    return "no aim" if met is None else "**met**" if met else "**not met**"
