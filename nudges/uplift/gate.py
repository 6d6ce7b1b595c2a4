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
from nudges.uplift.proof import MODEL_ERROR_SHARE, Proof, after_selection, held_to, proof
from nudges.uplift.sampling import mixture, posterior, tried, within_budget

NONE_CHANCE = 0.95
"""The policy becomes none when sending nothing is best with this chance ..."""

STAY_NONE_CHANCE = 0.5
"""... and stays so while it is more likely best than any message."""

STAY_LEVEL = 0.25
"""What was let in stays while it is a gain with three chances in four: its proof was given when it was let in, and a
gate that shuts at the first weaker turn loses more than it spares. Broken promises shut it besides."""


@dataclass(frozen=True, slots=True)
class Gains:
    """Held-out gains in pence a unit, each against the gate's bound, and what is known of every arm.

    Attributes:
        over_arm: the model over the best single arm.
        over_none: the model over no message.
        arm_over_none: the best single arm, picked out of fold, over no message.
        mean: (n_arms,) worth when everyone the budget reaches gets the arm, the control first.
        covariance: (n_arms, n_arms) of that.
        reach: (n_arms,) share of households each arm reaches before the money is gone.
    """

    over_arm: Proof
    over_none: Proof
    arm_over_none: Proof
    mean: Floats
    covariance: Floats
    reach: Floats


@dataclass(frozen=True, slots=True)
class Verdict:
    """The policy, the gain that earned it, what remains of that after selection, and why."""

    policy: str
    gain: Value
    promise: Value | None
    words: str


def gains(held: HeldOut, evidence: Evidence, looks: int) -> Gains:
    """What the held-out policies gained over each other, and what every arm is worth.

    Over no message a model is held to the plain 95 % bound: until something is proven messages are sent all the same,
    and none has a rule of its own.
    """
    model, single, none = held.model_payoff, held.single_payoff, held.none_payoff
    worth = none[:, None] + held.reach * (held.payoff - none[:, None])
    codes = np.unique(evidence.groups, return_inverse=True)[1]
    mean, covariance = posterior(worth, evidence.propensity, evidence.turns, codes)
    return Gains(
        over_arm=proof(averaged(model - single, evidence, held.model, held.single), looks, at_most=MODEL_ERROR_SHARE),
        over_none=proof(averaged(model - none, evidence, held.model, 0), 1),
        arm_over_none=proof(averaged(single - none, evidence, held.single, 0), looks),
        mean=mean,
        covariance=covariance,
        reach=held.reach,
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

    What was let in before stays until it is no longer likely to be a gain, so that a gate that is read often does not
    open and shut with every turn; and none stays until sending something is likely better.

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
    if none >= (STAY_NONE_CHANCE if before == "none" else NONE_CHANCE):
        return Verdict("none", arm.value, None, f"{doubt} {words.nothing_sent(none, n_rows)}")
    trying = words.mixed(chance, none_at=NONE_CHANCE)
    shares = within_budget(tried(found.mean, found.covariance), found.reach)
    return Verdict(mixture(tuple(chance), shares), arm.value, None, f"{doubt} {trying}")


def _again(found: Proof, was_used: bool) -> Proof:
    """The proof asked of what was let in before."""
    return held_to(found.value, STAY_LEVEL) if was_used and not found.is_proven else found
