"""An earlier decision and the rows since → whether its model may still be used, and what the next week is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nudges.estimators import UpliftEstimator
from nudges.scoring import Value, under
from nudges.uplift.averaging import averaged
from nudges.uplift.evidence import Evidence, Prices
from nudges.uplift.gate import Verdict
from nudges.uplift.held_out import HeldOut, chosen, fitted, single_payoff
from nudges.uplift.memory import Earlier, Stop, drifted, fallen_short, layout_of, newest, stale

FRESH_UNITS = 1_000
"""With fewer units in the turns since, nothing is said of what was promised."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the last model stands today.

    Attributes:
        realised: pence a unit of the last model over the best single arm, on rows of later turns; None without any.
        drift: features that have moved, a phrase each.
        closed: why no model may be used; empty when one may.
    """

    realised: Value | None
    drift: tuple[str, ...]
    closed: str


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
    drift = _drift(evidence, earlier)
    if earlier is None:
        return Standing(None, drift, _said(drift))
    if newest(evidence) <= earlier.turn:
        return Standing(None, drift, earlier.closed or stale(earlier, evidence, week) or _said(drift))
    realised = _realised(evidence, held, estimator, prices, earlier)
    short = fallen_short(earlier, realised, looks) if realised else earlier.closed
    return Standing(realised, drift, short or _said(drift))


def _said(drift: tuple[str, ...]) -> str:
    return f"what it learned from no longer looks like the newest turn ({'; '.join(drift)})" if drift else ""


def _drift(evidence: Evidence, earlier: Earlier | None) -> tuple[str, ...]:
    """How the newest turn differs from the turns before it: those the last model learned from, or all the others."""
    last = evidence.turns == newest(evidence)
    if earlier is not None and earlier.layout is not None and newest(evidence) > earlier.turn:
        return drifted(earlier.layout, evidence.X[last], evidence.columns)
    return () if last.all() else drifted(layout_of(evidence.X[~last]), evidence.X[last], evidence.columns)


def _realised(
    evidence: Evidence, held: HeldOut, estimator: UpliftEstimator, prices: Prices, earlier: Earlier
) -> Value | None:
    """The gain of the last model, learned again from the turns it knew, on the rows of the turns since.

    The draws of later turns are new, so a unit that is in both tells nothing of its later arm by its earlier one.
    """
    new = evidence.turns > earlier.turn
    was_used = earlier.policy == "model" or bool(earlier.closed)
    if not was_used or earlier.best_arm not in evidence.arms or len(np.unique(evidence.groups[new])) < FRESH_UNITS:
        return None
    old = evidence.only(~new)
    if np.bincount(old.given, minlength=len(old.arms)).min() == 0:
        return None
    later = evidence.only(new)
    arm = chosen(fitted(estimator, old).effect(later.X), later.households, prices)
    best = np.full(len(later.y), evidence.arms.index(earlier.best_arm), dtype=np.intp)
    payoff = held.payoff[new]
    return averaged(under(payoff, arm) - single_payoff(payoff, best, held.reach), later, arm, best)


def memory(
    verdict: Verdict,
    best: str,
    evidence: Evidence,
    *,
    earlier: Earlier | None,
    closed: str,
    stops: tuple[Stop, ...],
    week: int | None,
) -> Earlier:
    """What the next decision needs: of this one, or still of the last while no new turn has closed."""
    if earlier is not None and newest(evidence) <= earlier.turn and earlier.policy == verdict.policy:
        since, turn, layout = earlier.week, earlier.turn, earlier.layout
    else:
        since, turn, layout = week, newest(evidence), layout_of(evidence.X)
    if earlier is not None and newest(evidence) <= earlier.turn:
        since = earlier.week
    promise = verdict.promise if verdict.policy == "model" else None
    return Earlier(
        policy=verdict.policy,
        best_arm=best,
        week=since,
        turn=turn,
        gain=promise.mean if promise else None,
        se=promise.se if promise else None,
        layout=layout,
        closed=closed,
        stops=stops,
    )
