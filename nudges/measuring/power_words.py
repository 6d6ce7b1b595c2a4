"""Turns what a campaign can see into sentences for whoever decides whether it starts."""

from __future__ import annotations

from nudges.measuring.power import MOST_WEEKS, Power


def power_words(power: Power, noun: str) -> str:
    """Say the smallest effect and what the stated one needs; `noun` names the drawn units in the plural ("rounds").

    "With these 12 rounds and 13 weeks you can see a fall of 3.1 % or more; a 2 % fall needs 31 rounds."
    """
    way = "fall" if power.stated_share < 0 else "rise"
    trial = power.trial
    seen = (
        f"With these {trial.units:,} {noun} and {trial.weeks} weeks you can see a {way} of "
        f"{percent(power.detectable_share)} or more"
    )
    stated = percent(abs(power.stated_share))
    if power.is_enough:
        return f"{seen}: enough for the {stated} {way} this campaign is meant to bring."
    return f"{seen}; a {stated} {way} needs {_needs(power, noun)}."


def _needs(power: Power, noun: str) -> str:
    longer = f"{power.weeks_needed} weeks with these" if power.weeks_needed else ""
    if power.units_needed is None:
        return longer or f"more {noun} than any council has, and {MOST_WEEKS} weeks with these would not do"
    return f"{power.units_needed:,} {noun}" + (f", or {longer}" if longer else "")


def percent(share: float) -> str:
    """A share in percent, one decimal unless it is whole; small ones with two digits."""
    value = 100 * share
    text = f"{value:.1f}" if value >= 1 else f"{value:.2g}"
    return f"{text.removesuffix('.0')} %"
