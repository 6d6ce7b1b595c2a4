"""An earlier decision and the rows since → whether its model may still be used."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nudges.estimators import UpliftEstimator
from nudges.scoring import Value, under
from nudges.uplift.averaging import averaged
from nudges.uplift.evidence import Evidence, Prices
from nudges.uplift.held_out import HeldOut, chosen, fitted, single_payoff
from nudges.uplift.memory import DRIFT_WEIGHT, Earlier, Standing, Stop, drifted, fallen_short, layout_of, newest, stale

FRESH_UNITS = 1_000
"""With fewer units in the turns since, there is nothing new to hold a promise against."""


def standing(
    evidence: Evidence,
    held: HeldOut,
    estimator: UpliftEstimator,
    prices: Prices,
    *,
    earlier: Earlier | None,
    looks: int,
    week: int | None,
) -> Standing:
    """Hold the last decision against what came after it.

    While no new turn has closed there is nothing to hold it against: what closed the gate then keeps it closed.
    """
    moved = _drift(evidence, earlier)
    drift, far = tuple(moved.values()), _too_far(moved, held)
    if earlier is None:
        return Standing(None, drift, far)
    if not _is_fresh(evidence, earlier):
        return Standing(None, drift, earlier.closed or stale(earlier, week) or far)
    realised = _realised(evidence, held, estimator, prices, earlier)
    short = fallen_short(earlier, realised, looks) if realised else ""
    return Standing(realised, drift, short or far)


def remembered(
    policy: str,
    promise: Value | None,
    best: str,
    evidence: Evidence,
    *,
    earlier: Earlier | None,
    closed: str,
    stops: tuple[Stop, ...],
    week: int | None,
) -> Earlier:
    """What the next decision needs to know of this one; its turns and features only move with a new turn."""
    if earlier is None or _is_fresh(evidence, earlier):
        since, turn, layout = week, newest(evidence), layout_of(evidence.X)
    else:
        since, turn, layout = earlier.week, earlier.turn, earlier.layout or layout_of(evidence.X)
    return Earlier(
        policy=policy,
        best_arm=best,
        week=since,
        turn=turn,
        gain=promise.mean if promise else None,
        se=promise.se if promise else None,
        layout=layout,
        closed=closed,
        stops=stops,
    )


def _is_fresh(evidence: Evidence, earlier: Earlier) -> bool:
    """Whether enough has closed since to say anything of the last decision."""
    return len(np.unique(evidence.groups[evidence.turns > earlier.turn])) >= FRESH_UNITS


def _too_far(moved: Mapping[int, str], held: HeldOut) -> str:
    """Why the newest turn is not what the model learned from, or nothing."""
    share = float(held.weight[list(moved)].sum())
    if share <= DRIFT_WEIGHT:
        return ""
    said = "; ".join(phrase for column, phrase in moved.items() if held.weight[column] > 0)
    return f"features that carry {share:.0%} of its predictions have moved since it learned ({said})"


def _drift(evidence: Evidence, earlier: Earlier | None) -> dict[int, str]:
    """How the newest turn differs from the turns before it: those the last model learned from, or all the others."""
    last = evidence.turns == newest(evidence)
    if earlier is not None and earlier.layout is not None and _is_fresh(evidence, earlier):
        return drifted(earlier.layout, evidence.X[evidence.turns > earlier.turn], evidence.columns)
    return {} if last.all() else drifted(layout_of(evidence.X[~last]), evidence.X[last], evidence.columns)


def _realised(
    evidence: Evidence, held: HeldOut, estimator: UpliftEstimator, prices: Prices, earlier: Earlier
) -> Value | None:
    """The gain of the last model, learned again from the turns it knew, on the rows of the turns since.

    The draws of later turns are new, so a unit that is in both tells nothing of its later arm by its earlier one.
    """
    new = evidence.turns > earlier.turn
    was_used = earlier.policy == "model" or bool(earlier.closed)
    if not was_used or earlier.best_arm not in evidence.arms:
        return None
    old = evidence.only(~new)
    if np.bincount(old.given, minlength=len(old.arms)).min() == 0:
        return None
    later = evidence.only(new)
    arm = chosen(fitted(estimator, old).effect(later.X), later.households, prices)
    best = np.full(len(later.y), evidence.arms.index(earlier.best_arm), dtype=np.intp)
    payoff = held.payoff[new]
    return averaged(under(payoff, arm) - single_payoff(payoff, best, held.reach), later, arm, best)
