"""A policy and what its constraints were worth → sentences for officers."""

from __future__ import annotations

from collections.abc import Sequence

from nudges.choice import Allocation
from nudges.draws import RoundDraw


def worth_words(worth: Allocation, arms: Sequence[str]) -> str:
    """What one more pound, message or home would bring or cost; `arms` with the control first."""
    by_arm = [
        f"{arm} £{pence / 100:,.2f}"
        for arm, pence in zip(arms[1:], worth.pound_by_arm[1:].tolist(), strict=True)
        if pence > 0
    ]
    said = [
        f"one more pound of budget would bring £{worth.price_per_penny:,.2f}"
        + (f" ({', '.join(by_arm)})" * bool(by_arm))
        if worth.price_per_penny > 0
        else "the budget does not bind"
    ]
    said += [f"one more of {name} would bring {pence:,.2f}p" for name, pence in worth.tolls.items() if pence > 0]
    said += [
        f"the last unit that coverage of {name} asks for costs {pence:,.2f}p"
        for name, pence in worth.subsidies.items()
        if pence > 0
    ]
    said += [
        f"coverage of {name} cannot be met: {short:,.0f} units short"
        for name, short in worth.unmet.items()
        if short > 0
    ]
    return "; ".join(said) + "."


def rounds_words(rounds: RoundDraw) -> str:
    """Which rounds get messages and which do not."""
    return (
        f"{len(rounds.treated)} rounds get messages ({', '.join(sorted(rounds.treated))}), {len(rounds.control)} get "
        f"none of it ({', '.join(sorted(rounds.control))}), for the whole campaign."
    )


def policy_words(policy: str) -> str:
    """A policy as a phrase."""
    kind, _, rest = policy.partition(":")
    if kind == "mix":
        parts = [part.split("=") for part in rest.split(",")]
        return "drawn in proportion to what may be best: " + ", ".join(
            f"{arm} {float(chance):.0%}" for arm, chance in parts
        )
    if kind == "arm":
        return f"{rest} for everybody"
    words = {
        "uniform": "every message equally often, as nothing is learned yet",
        "none": "no message in the best lane, as none has proven itself",
        "model": f"chosen household by household by model {rest[:12]}",
    }
    return words.get(kind, policy)
