"""A randomised trial and an estimator → which policy has earned its place, and the words for it.

A model is used only when the lower bound of its paired held-out gain is above zero against the best single arm AND
against none; the best single arm only when its own lower bound over none is. Bounds are one-sided, 5 % over all looks
of the campaign, and for a model over the best arm never more than 1.5 % at one, over none 5 %. What is in stays while
it is likely a gain. Failing both, arms are uniform while units are few, then sampled by their chance to be best, and go
to none when that is likely best. Drift, broken promises and age close the gate on a model that proved itself. Values
are pence net of message cost, within the budget.
"""

from __future__ import annotations

import numpy as np

from nudges.estimators import UpliftEstimator
from nudges.scoring import Value, effective_sample_size, overlap
from nudges.uplift import words
from nudges.uplift.averaging import averaged
from nudges.uplift.decision import Decision
from nudges.uplift.detail import Detail, quality
from nudges.uplift.evidence import Evidence, Floats, Prices, checked
from nudges.uplift.gate import Gains, gains, verdict
from nudges.uplift.groups import harmful, shares
from nudges.uplift.held_out import HeldOut, held_out
from nudges.uplift.memory import Earlier, layout_of, newest
from nudges.uplift.proof import ERROR_SHARE, MODEL_ERROR_SHARE
from nudges.uplift.readable import readable
from nudges.uplift.sampling import chance_best, shares_of
from nudges.uplift.since import remembered, standing

COLD_START_UNITS = 1_000
"""Fewer closed units than this, and nothing is evaluated: the policy is uniform."""

COLD_START_UNITS_PER_ARM = 100
"""The same for the smallest arm."""


def decide(
    evidence: Evidence,
    estimator: UpliftEstimator,
    prices: Prices,
    *,
    seed: int,
    looks: int = 1,
    earlier: Earlier | None = None,
    week: int | None = None,
    detail: Detail = Detail.CARD,
) -> Decision:
    """Evaluate the estimator out of fold and apply the gate.

    Args:
        evidence: closed rows of the campaign.
        estimator: unfitted.
        prices: what effects and messages are worth.
        seed: of the folds.
        looks: how many times this campaign will read its gate.
        earlier: what the last decision left.
        week: number of the week this is decided in; without it a model is never too old.
        detail: how much to say besides what is decided.

    Raises:
        DataError: evidence whose arms, propensities or lengths do not fit together.
    """
    checked(evidence, prices)
    n_units = len(np.unique(evidence.groups))
    counts = np.bincount(evidence.given, minlength=len(evidence.arms))
    if n_units < COLD_START_UNITS or counts.min() < COLD_START_UNITS_PER_ARM:
        return _cold(evidence, n_units, int(counts.min()), looks=looks, earlier=earlier, week=week)
    held = held_out(evidence, estimator, prices, seed=seed)
    found = gains(held, evidence, looks)
    stands = standing(evidence, held, estimator, prices, earlier=earlier, looks=looks, week=week)
    best = evidence.arms[held.best]
    chance = dict(zip(evidence.arms, chance_best(found.mean, found.covariance).tolist(), strict=True))
    said = verdict(found, best, chance, evidence, stands=stands, earlier=earlier)
    stops = harmful(evidence, held.scores, prices.pence_per_outcome, looks, kept=earlier.stops if earlier else ())
    messaged, gained = _treatment(said.policy, held, evidence.arms)
    return Decision(
        policy=said.policy,
        gain=said.gain,
        model_over_none=found.over_none.value,
        arm_over_none=found.arm_over_none.value,
        effects=_effects(held.scores, evidence),
        best_arm=best,
        effective_rows=effective_sample_size(evidence.given, evidence.propensity, held.model),
        n_units=n_units,
        words=said.words,
        n_rows=len(evidence.y),
        households_per_unit=float(evidence.households.mean()),
        looks=looks,
        level=found.over_arm.level,
        model_over_arm=found.over_arm.value,
        promise=said.promise,
        earned=_earned(held, evidence, found),
        realised=stands.realised,
        closed=stands.closed,
        drift=stands.drift,
        stops=stops,
        fairness=shares(evidence, messaged, gained),
        chance_best=chance,
        alarms=_alarms(said.policy, held, evidence),
        quality=None if detail is Detail.GATE else quality(held, evidence, prices, seed=seed),
        tree=readable(held, evidence, prices) if detail is Detail.TREE else None,
        memory=remembered(
            said.policy,
            said.promise if said.policy == "model" else None,
            best,
            evidence,
            earlier=earlier,
            closed=stands.closed,
            stops=stops,
            week=week,
        ),
    )


def _cold(
    evidence: Evidence, n_units: int, smallest: int, *, looks: int, earlier: Earlier | None, week: int | None
) -> Decision:
    stops = earlier.stops if earlier else ()
    layout = layout_of(evidence.X) if len(evidence.y) else None
    return Decision(
        policy="uniform",
        gain=None,
        model_over_none=None,
        arm_over_none=None,
        effects={},
        best_arm="",
        effective_rows=0.0,
        n_units=n_units,
        words=words.cold(n_units, smallest, COLD_START_UNITS, COLD_START_UNITS_PER_ARM),
        n_rows=len(evidence.y),
        households_per_unit=float(evidence.households.mean()) if len(evidence.y) else 1.0,
        looks=looks,
        level=min(ERROR_SHARE / looks, MODEL_ERROR_SHARE),
        model_over_arm=None,
        promise=None,
        earned={},
        realised=None,
        closed="",
        drift=(),
        stops=stops,
        fairness=(),
        chance_best={},
        alarms=(),
        quality=None,
        tree=None,
        memory=Earlier("uniform", "", week, newest(evidence), None, None, layout, "", stops),
    )


def _effects(scores: Floats, evidence: Evidence) -> dict[str, Value]:
    return {
        arm: averaged(scores[:, index] - scores[:, 0], evidence, index, 0)
        for index, arm in enumerate(evidence.arms)
        if index
    }


def _earned(held: HeldOut, evidence: Evidence, found: Gains) -> dict[str, Value]:
    """What each policy would have earned over no message, pence a unit."""
    even = (held.reach[1:] * (held.payoff[:, 1:] - held.payoff[:, :1])).mean(axis=1)
    return {
        "uniform": averaged(even, evidence, *range(len(evidence.arms))),
        "best arm": found.arm_over_none.value,
        "model": found.over_none.value,
    }


def _alarms(policy: str, held: HeldOut, evidence: Evidence) -> tuple[str, ...]:
    """What makes the figures of the policy thin."""
    arm = held.model if policy == "model" else held.best
    return overlap(evidence.given, evidence.propensity, arm, groups=evidence.groups).alarms


def _treatment(policy: str, held: HeldOut, arms: tuple[str, ...]) -> tuple[Floats, Floats]:
    """Share of each row's households that the policy writes to, and its pence a unit over no message, (n,) each."""
    none, n_rows = held.none_payoff, len(held.payoff)
    if policy == "model":
        return (held.model > 0).astype(np.float64), held.model_payoff - none
    if policy == "none":
        return np.zeros(n_rows), np.zeros(n_rows)
    if policy.startswith("arm:"):
        return np.full(n_rows, held.reach[held.best]), held.single_payoff - none
    reached = shares_of(policy, arms)
    return np.full(n_rows, float(reached[1:].sum())), (held.payoff - none[:, None]) @ reached
