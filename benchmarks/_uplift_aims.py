"""Turns the sheets of a run into the aims: met or not, with the figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import mean

from benchmarks._uplift_entries import DEPLOYED, GATED, YARDSTICK
from benchmarks._uplift_judge import REGIMES, Figure
from benchmarks._uplift_tables import SINGLE, Sheet, over_seeds, signed

LOWEST = ("weak", "adaptive", "clustered", "rare", "none")
SAME = 0.005  # regrets this near, per 1,000, are the same
NEAR_BEST = 1.02
LEAD = 1.0
LEAD_ERROR = 0.3
PEHE = 17.5
SLOPES = (0.8, 1.25)
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
        if sheet.case in {*LOWEST, "strong", "many"}:
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


def _lead(sheets: Iterable[Sheet]) -> Iterable[Row]:
    for sheet in sheets:
        own, theirs = sheet.verdicts(DEPLOYED), sheet.verdicts(YARDSTICK)
        seeds = sorted(own.keys() & theirs.keys())
        if sheet.case != "weak" or len(seeds) < 2:
            continue
        leads = {r: over_seeds([theirs[s].regret[r] - own[s].regret[r] for s in seeds]) for r in REGIMES}
        met = leads["cost"].value >= LEAD and leads["cost"].se <= LEAD_ERROR
        words = "; ".join(f"{regime} {signed(lead, 2)}" for regime, lead in leads.items())
        yield f"beats {YARDSTICK} net of cost by 1.0 (error ≤ 0.3), {sheet.rows:,} rows, {len(seeds)} seeds", words, met


def _slopes(sheets: Iterable[Sheet]) -> Iterable[Row]:
    for sheet in sheets:
        verdicts = sheet.verdicts(DEPLOYED).values()
        slopes = [v.slope for v in verdicts if not math.isnan(v.slope.value)]
        if not verdicts:
            continue
        levels = [v.level_slope.value for v in verdicts if not math.isnan(v.level_slope.value)]
        level = f"; with the arms' means left in {mean(levels):.2f}" if levels else ""
        if not slopes:
            yield f"slope 0.8 to 1.25, {sheet.case}, {sheet.rows:,} rows", f"every prediction the same{level}", True
            continue
        value = mean(slope.value for slope in slopes)
        error = "" if sheet.known else f" ± {mean(slope.se for slope in slopes):.2f}"
        words = f"{value:.2f}{error}, seeds {', '.join(f'{slope.value:.2f}' for slope in slopes)}{level}"
        yield f"slope 0.8 to 1.25, {sheet.case}, {sheet.rows:,} rows", words, SLOPES[0] <= value <= SLOPES[1]


def _pehe(sheets: Iterable[Sheet]) -> Iterable[Row]:
    for sheet in sheets:
        values = [verdict.pehe for verdict in sheet.verdicts(DEPLOYED).values()]
        if sheet.case == "weak" and values:
            single = [verdict.pehe for verdict in sheet.verdicts(SINGLE).values()]
            words = f"{mean(values):.2f} (constants {mean(single):.2f})"
            yield f"PEHE x 1,000 at most 17.5, weak, {sheet.rows:,} rows", words, mean(values) <= PEHE


def _harm(sheets: Sequence[Sheet]) -> Iterable[Row]:
    for own in (DEPLOYED, GATED):
        found = [
            (gain.value / gain.se if gain.se else 0.0, sheet.case, seed, regime, verdict.true_gain[regime])
            for sheet in sheets
            for seed, verdict in sheet.verdicts(own).items()
            for regime, gain in verdict.gain.items()
        ]
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
                yield f"fit {sheet.rows:,} x 20 x 4 in {within or _NO_AIM} CPU s and 1 GB: {entry}", words, met
                scored = taken.predict_cpu_s
                yield f"score a million rows in {SCORE_S:g} CPU s: {entry}", f"{scored:.2f} s", scored <= SCORE_S
    for rows, seconds in allocated:
        yield f"allocate {rows:,} x 4 in {ALLOCATE_S} CPU s", f"{seconds:.2f} s", seconds <= ALLOCATE_S


_NO_AIM = "(no aim)"


def _word(met: bool | None) -> str:
    return "no aim" if met is None else "**met**" if met else "**not met**"
