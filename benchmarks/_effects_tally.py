"""Turns estimates with known truth into coverage, bias and rejections, each with its simulation error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from nudges.measuring import Effect, Randomisation


@dataclass(slots=True)
class Tally:
    """Collects one estimator's results over trials with the same true effect."""

    truth: float
    estimates: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    held: int = 0
    called: int = 0
    widths: list[float] = field(default_factory=list)

    def add(self, found: Effect | Randomisation) -> None:
        """Add one trial's effect."""
        self.put(found.estimate, getattr(found, "se", math.nan), found.ci_low, found.ci_high)

    def put(self, estimate: float, se: float, low: float, high: float) -> None:
        """Add one trial's numbers."""
        self.estimates.append(estimate)
        self.errors.append(se)
        self.held += low <= self.truth <= high
        self.called += not low <= 0 <= high
        self.widths.append(high - low)

    @property
    def trials(self) -> int:
        """How many were added."""
        return len(self.estimates)

    def share(self, count: int) -> tuple[float, float]:
        """Share of trials and its simulation error."""
        p = count / self.trials
        return p, math.sqrt(max(p * (1 - p), 0.25 / self.trials) / self.trials)

    @property
    def coverage(self) -> tuple[float, float]:
        """Share of intervals that hold the truth, and its simulation error."""
        return self.share(self.held)

    @property
    def bias(self) -> tuple[float, float]:
        """Mean estimate less the truth, and its simulation error."""
        return float(np.mean(self.estimates)) - self.truth, self.spread / math.sqrt(self.trials)

    @property
    def spread(self) -> float:
        """Standard deviation of the estimates over trials."""
        return float(np.std(self.estimates, ddof=1))

    def row(self, *first: str) -> str:
        """A Markdown row: labels, trials, coverage, bias, spread, mean SE over spread, intervals without 0, width."""
        (hold, hold_error), (bias, bias_error) = self.coverage, self.bias
        call, call_error = self.share(self.called)
        ratio = float(np.mean(self.errors)) / self.spread
        cells = [
            *first,
            f"{self.trials:,}",
            f"{hold:.1%} ± {hold_error:.1%}",
            f"{bias:+.4f} ± {bias_error:.4f}",
            f"{self.spread:.4f}",
            "-" if math.isnan(ratio) else f"{ratio:.3f} ± {ratio / math.sqrt(2 * self.trials):.3f}",
            f"{call:.1%} ± {call_error:.1%}",
            f"{float(np.median(self.widths)):.3f}",
        ]
        return f"| {' | '.join(cells)} |"


def head(*first: str) -> str:
    """The header of `Tally.row`."""
    cells = [*first, "trials", "coverage of 95 %", "bias", "SD", "mean SE / SD", "intervals without 0", "median width"]
    return f"| {' | '.join(cells)} |\n|{'|'.join(['---'] * len(first) + ['---:'] * 7)}|"


def verdict(name: str, value: str, bar: str, *, is_met: bool) -> str:
    """A line that says whether a bar is met."""
    return f"- {name}: **{value}** (bar: {bar}) {'met' if is_met else 'NOT MET'}"


def lines(title: str, *parts: Sequence[str] | str) -> str:
    """A section of Markdown."""
    flat = [part if isinstance(part, str) else "\n".join(part) for part in parts]
    return "\n\n".join([f"### {title}", *flat]) + "\n"
