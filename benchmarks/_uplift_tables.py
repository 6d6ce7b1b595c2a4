"""Turns verdicts over seeds into Markdown tables."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from benchmarks._uplift_data import HILLSTROM
from benchmarks._uplift_judge import REGIMES, Figure, Verdict
from benchmarks._uplift_runs import Result

SINGLE = "best single arm"
_PACKAGES = ("numpy", "scipy", "scikit-learn", "pandas", "econml", "causalml", "scikit-uplift", "lightgbm")
_DASH = "-"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry on one seed.

    Attributes:
        seed: of the split.
        result: time and memory; None for the best single arm.
        verdict: None where there are no predictions.
        outcome: `done`, or why there is nothing.
    """

    seed: int
    result: Result | None
    verdict: Verdict | None
    outcome: str = "done"


@dataclass(frozen=True, slots=True)
class Sheet:
    """Every entry on one case.

    Attributes:
        case: its name.
        rows: of both parts.
        lines: by entry, one a seed.
        notes: figures that belong under the table.
    """

    case: str
    rows: int
    lines: Mapping[str, Sequence[Line]]
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether the truth is."""
        return self.case != HILLSTROM

    def verdicts(self, entry: str) -> dict[int, Verdict]:
        """Those of an entry, by seed."""
        return {line.seed: line.verdict for line in self.lines.get(entry, ()) if line.verdict is not None}

    def regret(self, entry: str, regime: str) -> float:
        """Mean over seeds; NaN without any."""
        values = [verdict.regret[regime] for verdict in self.verdicts(entry).values()]
        return mean(values) if values else math.nan

    def gain(self, entry: str, regime: str) -> Figure:
        """Mean over seeds, with its standard error."""
        return pooled([verdict.gain[regime] for verdict in self.verdicts(entry).values()], fresh=self.known)


def pooled_slope(verdicts: Sequence[Verdict]) -> Figure:
    """One regression over the rows of all seeds, each about its own means; NaN where every prediction is the same."""
    held = [v for v in verdicts if not math.isnan(v.slope.value)]
    weight = sum(v.spread for v in held)
    if not held:
        return Figure(math.nan, math.nan)
    return Figure(sum(v.spread * v.slope.value for v in held) / weight, mean(v.slope.se for v in held))


def pooled(figures: Sequence[Figure], *, fresh: bool) -> Figure:
    """The mean; cuts of one data set overlap, so that their error is that of one cut, not that of many."""
    if not figures:
        return Figure(math.nan, math.nan)
    if not fresh:
        return Figure(mean(f.value for f in figures), mean(f.se for f in figures))
    return Figure(mean(f.value for f in figures), math.sqrt(sum(f.se**2 for f in figures)) / len(figures))


def over_seeds(values: Sequence[float]) -> Figure:
    """The mean with its standard error over seeds."""
    return Figure(mean(values), stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan)


def case_table(sheet: Sheet) -> str:
    """One row an entry, entries with the least regret net of cost first where the truth is known."""
    seeds = sorted({line.seed for lines in sheet.lines.values() for line in lines})
    title = f"**{sheet.case}**, {sheet.rows:,} rows (60 % to learn from), seeds {_seeds(seeds)}"
    truth = ("regret free", "net", "30 %", "PEHE", "slope") if sheet.known else ("slope",)
    heads = ("entry", "fit CPU s", "predict CPU s/1M", "peak MiB", "gain free", "gain net", "gain 30 %", *truth)
    lines = [title, "", f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    lines += [_row(sheet, entry, len(heads)) for entry in _ordered(sheet)]
    return "\n".join([*lines, *(f"\n{note}" for note in sheet.notes)])


def paired_table(sheet: Sheet, against: str) -> str:
    """Differences of true regret to one entry over seeds; below zero is better than it."""
    theirs = sheet.verdicts(against)
    head = f"**{sheet.case}**, {sheet.rows:,} rows: regret less that of {against}, mean ± paired error over seeds"
    lines = [head, "", "| entry | seeds | free | net | 30 % | PEHE |", "|---|---:|---:|---:|---:|---:|"]
    for entry in _ordered(sheet):
        own = sheet.verdicts(entry)
        seeds = sorted(own.keys() & theirs.keys())
        if entry == against or not seeds:
            continue
        cells = [over_seeds([own[s].regret[r] - theirs[s].regret[r] for s in seeds]) for r in REGIMES]
        cells.append(over_seeds([own[s].pehe - theirs[s].pehe for s in seeds]))
        lines.append(f"| {entry} | {len(seeds)} | {' | '.join(signed(cell, 2) for cell in cells)} |")
    return "\n".join(lines)


def scale_table(sheets: Sequence[Sheet], allocated: Sequence[tuple[int, float]]) -> str:
    """Fit of so many rows, prediction of a million, memory; allocation of so many units."""
    lines = [
        "**Scale**: 20 features, 4 messages and none; a million rows predicted",
        "",
        "| entry | rows | fit CPU s | MiB before the fit | peak MiB of the fit | predict CPU s/1M | peak MiB with it |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for sheet in sheets:
        for entry, found in sheet.lines.items():
            taken = [line.result.taken for line in found if line.result and line.result.taken]
            lines += [
                f"| {entry} | {sheet.rows:,} | {t.fit_cpu_s:.2f} | {t.start_mib:,.0f} | {t.fit_mib:,.0f} "
                f"| {t.predict_cpu_s:.2f} | {t.peak_mib:,.0f} |"
                for t in taken
            ]
            lines += [
                f"| {entry} | {sheet.rows:,} | {line.outcome} | | | | |" for line in found if line.outcome != "done"
            ]
    lines += ["", *(f"allocate {rows:,} units x 4 messages: {seconds:.2f} CPU s." for rows, seconds in allocated)]
    return "\n".join(lines)


def machine() -> str:
    """Where and with what this ran."""
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    load = os.getloadavg()[0]
    return (
        f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f} at the end; {', '.join(found)}."
    )


def signed(figure: Figure, digits: int = 1) -> str:
    """`+1.2 ± 0.3`, without the error where there is none."""
    if math.isnan(figure.value):
        return _DASH
    error = "" if math.isnan(figure.se) or figure.se == 0 else f" ± {figure.se:.{digits}f}"
    return f"{figure.value:+.{digits}f}{error}"


def _seeds(seeds: Sequence[int]) -> str:
    whole = len(seeds) > 4 and seeds[-1] - seeds[0] + 1 == len(seeds)
    return f"{seeds[0]} to {seeds[-1]}" if whole else ", ".join(map(str, seeds))


def _ordered(sheet: Sheet) -> list[str]:
    def rank(entry: str) -> float:
        regret = sheet.regret(entry, "cost") if sheet.known else -sheet.gain(entry, "cost").value
        return math.inf if math.isnan(regret) else regret

    return sorted(sheet.lines, key=rank)


def _row(sheet: Sheet, entry: str, width: int) -> str:
    verdicts = list(sheet.verdicts(entry).values())
    if not verdicts:
        return f"| {entry} | {sheet.lines[entry][0].outcome} |" + " |" * (width - 2)
    taken = [line.result.taken for line in sheet.lines[entry] if line.result and line.result.taken]
    cells = [_DASH] * 3
    if taken:
        cells = [
            f"{mean(t.fit_cpu_s for t in taken):.2f}",
            f"{mean(t.predict_cpu_s for t in taken):.2f}",
            f"{max(t.peak_mib for t in taken):,.0f}",
        ]
    cells += [signed(sheet.gain(entry, regime)) for regime in REGIMES]
    if sheet.known:
        cells += [f"{sheet.regret(entry, regime):.2f}" for regime in REGIMES]
        cells.append(f"{mean(v.pehe for v in verdicts):.2f}")
    return f"| {entry}{_absences(sheet, entry)} | {' | '.join(cells)} | {_slopes(sheet, verdicts)} |"


def _absences(sheet: Sheet, entry: str) -> str:
    """Seeds an entry was not run on, or not to its end: its means are then of fewer."""
    found, asked = len(sheet.verdicts(entry)), len(sheet.verdicts(SINGLE))
    stopped = [line.outcome for line in sheet.lines[entry] if line.verdict is None]
    return f" ({'; '.join([f'{found} of {asked} seeds', *stopped[:1]])})" if found < asked else ""


def _slopes(sheet: Sheet, verdicts: Sequence[Verdict]) -> str:
    values = [v.slope.value for v in verdicts if not math.isnan(v.slope.value)]
    if not values:
        return _DASH
    figure = pooled_slope(verdicts)
    if not sheet.known:
        return f"{figure.value:.2f} ± {figure.se:.2f}"
    return f"{figure.value:.2f}" + (f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else "")
