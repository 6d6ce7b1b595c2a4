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
from nudges.uplift.proof import Proof, after_selection, proof
from nudges.uplift.sampling import chance_best, mixture, posterior, top_two

NONE_CHANCE = 0.95
"""The policy becomes none when sending nothing is best with this chance ..."""

ENOUGH_UNITS = 100_000
"""... and from so many closed rows whenever no message is proven to pay. With four arms and an outcome that spreads by
3 kg the standard error of an effect is then 0.026 kg: 0.7 % of 9 kg would have been seen."""


@dataclass(frozen=True, slots=True)
class Gains:
    """Held-out gains in pence a unit, each against the gate's bound."""

    over_arm: Proof
    over_none: Proof
    arm_over_none: Proof


@dataclass(frozen=True, slots=True)
class Verdict:
    """The policy, the gain that earned it, what remains of that after selection, and why."""

    policy: str
    gain: Value
    promise: Value | None
    words: str


def gains(held: HeldOut, evidence: Evidence, looks: int) -> Gains:
    """What the held-out policies gained over each other."""
    model, single, none = held.model_payoff, held.single_payoff, held.none_payoff
    return Gains(
        over_arm=proof(averaged(model - single, evidence, held.model, held.single), looks),
        over_none=proof(averaged(model - none, evidence, held.model, 0), looks),
        arm_over_none=proof(averaged(single - none, evidence, held.single, 0), looks),
    )


def chances(held: HeldOut, evidence: Evidence) -> Floats:
    """Chance of each arm to be worth most when everyone the budget reaches gets it, (n_arms,), none among them."""
    none = held.none_payoff[:, None]
    worth = none + held.reach * (held.payoff - none)
    return chance_best(*posterior(worth, np.unique(evidence.groups, return_inverse=True)[1]))


def verdict(found: Gains, best: str, chance: Mapping[str, float], closed: str, evidence: Evidence) -> Verdict:
    """Apply the gate.

    Args:
        found: held-out gains.
        best: the best single arm.
        chance: chance of each arm to be best, the control first.
        closed: why a model may not be used whatever its gain; empty when it may.
        evidence: for the number of rows and of households.
    """
    money = words.Money(float(evidence.households.mean()))
    over_arm, over_none, arm = found.over_arm, found.over_none, found.arm_over_none
    if over_arm.is_proven and over_none.is_proven and not closed:
        promise = after_selection(over_arm)
        return Verdict("model", over_arm.value, promise, words.model_used(best, over_arm, over_none, promise, money))
    why_not = closed if over_arm.is_proven and over_none.is_proven else ""
    if arm.is_proven:
        promise = after_selection(arm)
        said = words.arm_used(best, arm, over_arm, promise, money, why_not)
        return Verdict(f"arm:{best}", arm.value, promise, said)
    doubt = words.undecided(best, arm, over_arm, money, why_not)
    n_rows, none = len(evidence.y), next(iter(chance.values()))
    if n_rows >= ENOUGH_UNITS or none >= NONE_CHANCE:
        return Verdict("none", arm.value, None, f"{doubt} {words.nothing_sent(none, n_rows)}")
    policy = mixture(tuple(chance), top_two(np.array(list(chance.values()))))
    trying = words.mixed(chance, none_at=NONE_CHANCE, enough=ENOUGH_UNITS)
    return Verdict(policy, arm.value, None, f"{doubt} {trying}")
