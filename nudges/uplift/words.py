"""Figures of a decision → sentences a waste officer understands, in pounds for every 1,000 households."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nudges.scoring import Value
from nudges.uplift.proof import Proof

MINUS = "\u2212"


@dataclass(frozen=True, slots=True)
class Money:
    """Turns pence a unit into pounds for every 1,000 households."""

    households_per_unit: float

    def pounds(self, pence: float) -> float:
        """Pounds for 1,000 households."""
        return pence * 10.0 / self.households_per_unit

    def said(self, pence: float) -> str:
        """`£4.10`, with a minus sign below zero."""
        text = f"£{abs(self.pounds(pence)):,.2f}"
        return MINUS + text if pence < 0 and any(digit in "123456789" for digit in text) else text

    def interval(self, value: Value) -> str:
        """`£4.10 (95 % interval £1.20 to £7.00)`."""
        return f"{self.said(value.mean)} (95 % interval {self.said(value.low)} to {self.said(value.high)})"


def model_used(best_arm: str, over_arm: Proof, over_none: Proof, promise: Value, money: Money) -> str:
    """Why the model chooses."""
    return (
        "The model chooses each household's message. On households it had not learned from, and for every 1,000 of "
        f"them, this was worth {money.interval(over_arm.value)} more than sending {best_arm} to everyone, and "
        f"{money.interval(over_none.value)} more than sending nothing, after the cost of messages. The lower bound "
        f"that has to be above zero is {money.said(over_arm.bound)} ({_confidence(over_arm)}). "
        f"{_sobered(promise, money)}"
    )


def arm_used(best_arm: str, over_none: Proof, over_arm: Proof, promise: Value, money: Money, closed: str) -> str:
    """Why one message goes to everyone."""
    return (
        f"{best_arm} goes to everyone. For every 1,000 households it is worth {money.interval(over_none.value)} more "
        f"than sending nothing, after the cost of messages; the lower bound that has to be above zero is "
        f"{money.said(over_none.bound)} ({_confidence(over_none)}). {_sobered(promise, money)} "
        f"{_why_not_the_model(best_arm, over_arm, money, closed)}"
    )


def undecided(best_arm: str, over_none: Proof, over_arm: Proof, money: Money, closed: str) -> str:
    """That nothing is proven, and by how much."""
    return (
        f"No message is proven to pay yet: {best_arm}, the best so far, is worth {money.interval(over_none.value)} "
        f"more than sending nothing for every 1,000 households, after the cost of messages; the lower bound that has "
        f"to be above zero is {money.said(over_none.bound)} ({_confidence(over_none)}). "
        f"{_why_not_the_model(best_arm, over_arm, money, closed)}"
    )


def mixed(chance_best: Mapping[str, float], *, none_at: float) -> str:
    """How arms are tried meanwhile, and when that ends."""
    ranked = sorted(chance_best.items(), key=lambda item: -item[1])
    said = ", ".join(f"{_arm(arm)} {chance:.0%}" for arm, chance in ranked)
    return (
        f"Meanwhile the messages that may be best are tried most (top-two sampling). Chance of each to be best: {said}."
        f" Sending stops once sending nothing is best with {none_at:.0%} chance."
    )


def nothing_sent(chance_none: float, n_rows: int) -> str:
    """Why the best lane gets no message."""
    return (
        f"The best lane gets no message: with {n_rows:,} closed rows the chance that sending nothing is best is "
        f"{chance_none:.0%}. The learn lane goes on, so this can change."
    )


def cold(n_units: int, smallest: int, units: int, per_arm: int) -> str:
    """That it is too early."""
    return (
        f"Cold start: {n_units:,} units have closed outcomes, {smallest:,} in the smallest arm. Arms stay uniform "
        f"until there are {units:,} and {per_arm:,}."
    )


def _why_not_the_model(best_arm: str, over_arm: Proof, money: Money, closed: str) -> str:
    if closed:
        return f"The model is not used although it looked good: {closed}."
    if over_arm.is_proven:
        return "Choosing a message for each household beats the best single message but not sending nothing."
    return (
        f"Choosing a message for each household is not proven to be better than {best_arm} for all: the difference is "
        f"{money.interval(over_arm.value)}, its lower bound {money.said(over_arm.bound)}."
    )


def _sobered(promise: Value, money: Money) -> str:
    return (
        f"Allowing for having been picked because it looked good, expect about {money.said(promise.mean)}, and "
        f"anything from {money.said(promise.low)} to {money.said(promise.high)}."
    )


def _arm(label: str) -> str:
    return "no message" if label == "control" else label


def _confidence(proven: Proof) -> str:
    return f"{100 * (1 - proven.level):.4g} % confidence"
