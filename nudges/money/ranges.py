"""A value with its 95 % interval, scaled and added up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """A value with its 95 % interval, low below high."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Range:
        """Scale by a known factor; a negative one turns the interval round."""
        ends = sorted((self.low * factor, self.high * factor))
        return Range(self.value * factor, ends[0], ends[1])

    def less(self, known: float) -> Range:
        """Take a known amount off."""
        return Range(self.value - known, self.low - known, self.high - known)

    def widened(self, half_width: float) -> Range:
        """Carry an independent uncertainty too: half-widths add as squares."""
        return Range(
            self.value,
            self.value - math.hypot(self.value - self.low, half_width),
            self.value + math.hypot(self.high - self.value, half_width),
        )


def total(parts: Sequence[Range]) -> Range:
    """Sum of independent values: variances add, so the distances to the lower ends add as squares, and to the upper.

    Zou & Donner 2008, https://doi.org/10.1002/sim.3095. Campaigns are drawn independently of each other, so that their
    effects are uncorrelated even where they share households. Nothing sums to 0 without an interval.
    """
    value = math.fsum(part.value for part in parts)
    below = math.hypot(*(part.value - part.low for part in parts))
    above = math.hypot(*(part.high - part.value for part in parts))
    return Range(value, value - below, value + above)
