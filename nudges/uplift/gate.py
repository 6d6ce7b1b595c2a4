"""Held-out gains against their bounds → the policy that has earned its place, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nudges.scoring import Value
from nudges.uplift import words
from nudges.uplift.averaging import averaged
from nudges.uplift.evidence import Evidence, Floats
from nudges.uplift.held_out import HeldOut
from nudges.uplift.memory import Earlier, Standing
from nudges.uplift.proof import MODEL_ERROR_SHARE, Proof, after_selection, proof
from nudges.uplift.sampling import mixture, posterior, tried

NONE_CHANCE = 0.95
"""The policy becomes none when sending nothing is best with this chance ..."""

STAY_NONE_CHANCE = 0.5
"""... stays so while it is more likely best than any message ..."""

ENOUGH_UNITS = 100_000
"""... and comes from so many closed rows whenever no message is proven to pay. With four arms and an outcome that
spreads by 3 kg the standard error of an effect is then 0.026 kg: 0.7 % of 9 kg would have been seen."""


@dataclass(frozen=True, slots=True)
class Gains:
    """Held-out gains in pence a unit, each against the gate's bound, and what is known of every arm.

    Attributes:
        over_arm: the model over the best single arm.
        over_none: the model over no message.
        arm_over_none: the best single arm, picked out of fold, over no message.
        mean: (n_arms,) worth when everyone the budget reaches gets the arm, the control first.
        covariance: (n_arms, n_arms) of that.
    """

    over_arm: Proof
    over_none: Proof
    arm_over_none: Proof
    mean: Floats
    covariance: Floats


@dataclass(frozen=True, slots=True)
class Verdict:
    """The policy, the gain that earned it, what remains of that after selection, and why."""

    policy: str
    gain: Value
    promise: Value | None
    words: str


def gains(held: HeldOut, evidence: Evidence, looks: int) -> Gains:
    """What the held-out policies gained over each other, and what every arm is worth."""
    model, single, none = held.model_payoff, held.single_payoff, held.none_payoff
    worth = none[:, None] + held.reach * (held.payoff - none[:, None])
    mean, covariance = posterior(worth, np.unique(evidence.groups, return_inverse=True)[1])
    return Gains(
        over_arm=proof(averaged(model - single, evidence, held.model, held.single), looks, at_most=MODEL_ERROR_SHARE),
        over_none=proof(averaged(model - none, evidence, held.model, 0), looks, at_most=MODEL_ERROR_SHARE),
        arm_over_none=proof(averaged(single - none, evidence, held.single, 0), looks),
        mean=mean,
        covariance=covariance,
    )


def verdict(
    found: Gains,
    best: str,
    chance: Mapping[str, float],
    evidence: Evidence,
    *,
    stands: Standing,
    earlier: Earlier | None,
) -> Verdict:
    """Apply the gate.

    What was let in before stays while its plain 95 % bound is above zero, so that a gate that is read often does not
    shut on what it has proven; and none stays until sending something is likely better.

    Args:
        found: held-out gains.
        best: the best single arm.
        chance: chance of each arm to be best, the control first.
        evidence: for the number of rows and of households.
        stands: why a model may not be used whatever its gain.
        earlier: what the last decision left.
    """
    money = words.Money(float(evidence.households.mean()))
    before = earlier.policy.partition(":")[0] if earlier else ""
    over_arm, over_none = (_again(each, before == "model") for each in (found.over_arm, found.over_none))
    arm = _again(found.arm_over_none, before == "arm")
    is_model = over_arm.is_proven and over_none.is_proven
    if is_model and not stands.closed:
        promise = after_selection(over_arm)
        return Verdict("model", over_arm.value, promise, words.model_used(best, over_arm, over_none, promise, money))
    why_not = stands.closed if is_model else ""
    if arm.is_proven:
        promise = after_selection(arm)
        said = words.arm_used(best, arm, over_arm, promise, money, why_not)
        return Verdict(f"arm:{best}", arm.value, promise, said)
    doubt = words.undecided(best, arm, over_arm, money, why_not)
    n_rows, none = len(evidence.y), next(iter(chance.values()))
    if n_rows >= ENOUGH_UNITS or none >= (STAY_NONE_CHANCE if before == "none" else NONE_CHANCE):
        return Verdict("none", arm.value, None, f"{doubt} {words.nothing_sent(none, n_rows)}")
    trying = words.mixed(chance, none_at=NONE_CHANCE, enough=ENOUGH_UNITS)
    return Verdict(mixture(tuple(chance), tried(found.mean, found.covariance)), arm.value, None, f"{doubt} {trying}")


def _again(found: Proof, was_used: bool) -> Proof:
    """The proof asked of what was let in before: that of one look."""
    return proof(found.value, 1) if was_used and not found.is_proven else found
