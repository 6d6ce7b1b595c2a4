"""A campaign's closed outcomes and its prices → what the gate is given, checked, and the pence an effect is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nudges.domain import Outcome
from nudges.errors import DataError

Floats = NDArray[np.float64]
Arms = NDArray[np.intp]

OUTCOME_WEEKS = 4
"""Weeks a message is credited with at least: the shortest outcome window."""

LONGEST_OUTCOME_WEEKS = 12
"""Weeks a message is credited with at most, however rarely a campaign writes."""

RECYCLING_COLLECTIONS_A_WEEK = 0.5
"""Fortnightly recycling: lifts a week that a tag rate applies to."""

FOOD_COLLECTIONS_A_WEEK = 1.0
"""Weekly food collection."""

KG_PER_RECYCLING_SET_OUT = 2.0
"""Residual that one more recycling set-out takes with it, kg. Assumed: 1.3 kg a week of recyclables are left in
residual (Mid Kent 2015, 956 households), so 2.6 kg a fortnight, three quarters of it."""

KG_PER_FOOD_SET_OUT = 1.3
"""Residual that one more food set-out takes with it, kg. Assumed: 1.7 kg a week of food is left in residual (same
study), three quarters of it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Closed rows of a campaign, one a unit and turn; a unit may have several.

    Attributes:
        X: (n, p) features as known before the row's message, NaN where unknown.
        y: (n,) outcome per household.
        given: (n,) arm index, 0 the control.
        propensity: (n, n_arms).
        groups: (n,) randomised unit; rows of one unit are never parted and move together in every interval.
        households: (n,) households of the unit that the campaign reaches out to.
        arms: labels, control first.
        batch: (n,) number of the turn a row was drawn in; None when all were drawn in one.
        segments: (n,) flags by name of the groups that harm and fairness are looked at in.
        columns: names of the features, for words.
    """

    X: Floats
    y: Floats
    given: Arms
    propensity: Floats
    groups: NDArray[Any]
    households: Floats
    arms: tuple[str, ...]
    batch: NDArray[np.int64] | None = None
    segments: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()

    @property
    def turns(self) -> NDArray[np.int64]:
        """Turn of every row, (n,)."""
        return np.zeros(len(self.y), dtype=np.int64) if self.batch is None else np.asarray(self.batch, dtype=np.int64)

    def only(self, rows: NDArray[Any]) -> Evidence:
        """The evidence of some rows, by flags or numbers."""
        return Evidence(
            X=self.X[rows],
            y=self.y[rows],
            given=self.given[rows],
            propensity=self.propensity[rows],
            groups=self.groups[rows],
            households=self.households[rows],
            arms=self.arms,
            batch=None if self.batch is None else self.batch[rows],
            segments={name: flags[rows] for name, flags in self.segments.items()},
            columns=self.columns,
        )


@dataclass(frozen=True, slots=True)
class Prices:
    """What effects and messages are worth.

    Attributes:
        pence_per_outcome: pence a household and message of one unit of effect, signed: more is better.
        cost_pence: (n_arms,) a message's price to one household, 0 for the control.
        budget_pence_per_household: what the budget comes to for each household of the evidence.
    """

    pence_per_outcome: float
    cost_pence: Floats
    budget_pence_per_household: float


def checked(evidence: Evidence, prices: Prices) -> None:
    """Refuse evidence and prices that do not fit together.

    Raises:
        DataError: what is wrong with which part.
    """
    n_rows, n_arms = len(evidence.y), len(evidence.arms)
    lengths = {
        "X": len(evidence.X),
        "given": len(evidence.given),
        "propensity": len(evidence.propensity),
        "groups": len(evidence.groups),
        "households": len(evidence.households),
        "batch": len(evidence.turns),
        **{f"segments[{name!r}]": len(flags) for name, flags in evidence.segments.items()},
    }
    for name, length in lengths.items():
        if length != n_rows:
            raise DataError(f"evidence.{name}: {length} rows, must be as many as y, {n_rows}.")
    if n_rows and (evidence.given.min() < 0 or evidence.given.max() >= n_arms):
        raise DataError(
            f"evidence.given: an index outside 0 to {n_arms - 1}, must be one of {', '.join(evidence.arms)}."
        )
    if n_rows and evidence.propensity.shape[1] != n_arms:
        raise DataError(f"evidence.propensity: {evidence.propensity.shape[1]} columns, must be {n_arms}, one an arm.")
    if np.shape(prices.cost_pence) != (n_arms,):
        raise DataError(f"prices.cost_pence: {prices.cost_pence!r}, must be {n_arms} numbers, 0 for the control.")


def pence_per_outcome(
    outcome: Outcome, *, residual_pence_per_tonne: float, tag_cost_pence: float, weeks: int = OUTCOME_WEEKS
) -> float:
    """Pence that one unit of effect is worth per household and message, signed so that more benefit is better.

    Residual kg are priced at the council's route mix over the credited weeks, tags at the cost of one, set-outs at
    the residual they take with them. A message is credited with `weeks` weeks, at least 4 and at most 12: what it
    brings until the next one of its campaign.
    """
    credited = min(max(weeks, OUTCOME_WEEKS), LONGEST_OUTCOME_WEEKS)
    per_kg = residual_pence_per_tonne / 1000.0
    a_week = {
        Outcome.RESIDUAL_KG: -per_kg,
        Outcome.TAG_RATE: -RECYCLING_COLLECTIONS_A_WEEK * float(tag_cost_pence),
        Outcome.RECYCLING_SET_OUT_RATE: RECYCLING_COLLECTIONS_A_WEEK * KG_PER_RECYCLING_SET_OUT * per_kg,
        Outcome.FOOD_SET_OUT_RATE: FOOD_COLLECTIONS_A_WEEK * KG_PER_FOOD_SET_OUT * per_kg,
    }
    return a_week[outcome] * credited


def net_benefit(effect: Floats, households: Floats, cost_pence: Floats, pence: float) -> Floats:
    """Benefit less message cost, (n, n_arms) pence with none in column 0, from effects (n, n_arms - 1)."""
    worth = np.zeros((len(effect), effect.shape[1] + 1))
    worth[:, 1:] = effect * pence
    return np.asarray((worth - cost_pence) * households[:, None])
