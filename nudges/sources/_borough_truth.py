"""Keeps what was planted: kg and tags realised minus what the same households would have done without any message."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from nudges.weeks import Week

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Truth:
    """Exact differences by unit and week under the same noise. It lives beside the drops, never in them.

    Attributes:
        units: unit_id of each position.
        households: households that share the unit.
    """

    units: tuple[str, ...]
    households: NDArray[np.int64]
    _deltas: dict[tuple[str, int], Floats] = field(default_factory=dict)

    def record(self, quantity: str, week: Week, delta: Floats) -> None:
        """Keep the difference of one quantity (`residual_kg`, `recycling_kg`, `tags`) in one week, whole units."""
        self._deltas[quantity, week.number] = delta

    def unit_week_delta(self, week: Week, *, quantity: str = "residual_kg") -> pa.Table:
        """One row a unit: unit_id, households, delta (of the whole unit in that week)."""
        return pa.table(
            {"unit_id": self.units, "households": self.households, "delta": self._delta(quantity, week.number)}
        )

    def true_effect(
        self,
        treated: pa.Table,
        control: pa.Table | None = None,
        *,
        last: Week,
        quantity: str = "residual_kg",
    ) -> float:
        """The headline's contrast without its noise: per household and week, realised minus never written to.

        Args:
            treated: unit_id and first_week_no (first week after its first assignment) of each treated unit analysed.
            control: the same for controls. What other campaigns did to them is taken off; None takes off nothing.
            last: last week measured.
            quantity: what is measured.

        Returns:
            Mean over units, weighted by households, of each unit's mean over its own weeks.
        """
        effect = self._mean(treated, last, quantity)
        return effect - self._mean(control, last, quantity) if control is not None else effect

    def _mean(self, units: pa.Table, last: Week, quantity: str) -> float:
        where = pd.Index(self.units).get_indexer(units["unit_id"].to_pandas())
        if (where < 0).any():
            raise KeyError(f"unit_id == {units['unit_id'][int(np.argmin(where))].as_py()!r} is not in this borough")
        first = units["first_week_no"].to_numpy()
        weeks = range(int(first.min()), last.number + 1)
        total = np.zeros(len(self.units))
        means = np.full(where.size, np.nan)
        for number in reversed(weeks):
            total += self._delta(quantity, number)
            own = first == number
            means[own] = total[where[own]] / self.households[where[own]] / (last.number - number + 1)
        keep = ~np.isnan(means)
        return float(np.average(means[keep], weights=self.households[where[keep]]))

    def _delta(self, quantity: str, number: int) -> Floats:
        try:
            return self._deltas[quantity, number]
        except KeyError:
            raise KeyError(f"{quantity} of {Week(number)}: not simulated yet. Call week() for it first.") from None
