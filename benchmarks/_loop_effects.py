"""What is planted in the boroughs of the loop simulation: which message does what to whom, and what it costs.

Every strength is a share of a home's residual that a reader who responds stops putting out, until it fades with a
half-life of two weeks (repeated reports: action and backsliding, Allcott & Rogers 2014).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nudges.domain import Medium, Stream
from nudges.sources.synthetic import Borough, Effects, Planted

Floats = NDArray[np.float64]

MEDIUM = str(Medium.SMS)
TEMPLATES = ("collection_day", "street_norm", "food_caddy_start")
ARMS = ("control", "collection_day", "street_norm", "food_caddy")
"""Arms of the campaign, the control first, as in the demo's own; each message is the template above it."""

COST_PENCE = np.array([0.0, 3.0, 4.0, 4.0])
"""Pence a text: one fragment, or two for those that bring figures."""

HALF_LIFE = 2.0

_MIXED = Effects(
    planted={
        "collection_day": Planted(residual_share=0.10, half_life_weeks=HALF_LIFE, leans_on="misses_recycling"),
        "street_norm": Planted(residual_share=0.15, half_life_weeks=HALF_LIFE, leans_on="above_street"),
        "food_caddy_start": Planted(
            residual_share=0.13, food_set_out=0.35, half_life_weeks=HALF_LIFE, leans_on="without_food"
        ),
    }
)
_SAME = Effects(
    planted={
        "collection_day": Planted(residual_share=0.052, half_life_weeks=HALF_LIFE, leans_on="same_kg"),
        "street_norm": Planted(residual_share=0.034, half_life_weeks=HALF_LIFE, leans_on="same_kg"),
        "food_caddy_start": Planted(residual_share=0.072, half_life_weeks=HALF_LIFE, leans_on="same_kg"),
    },
    responders=1.0,
    rebound=0.0,
    spread=0.0,
)
KINDS: Mapping[str, Effects] = {"mixed": _MIXED, "same": _SAME, "none": Effects.null()}
"""Boroughs by what is planted: `mixed` is heterogeneous, `same` every home its mean, `none` nothing at all."""


def planted_traits(borough: Borough) -> None:
    """Give the borough's homes the traits that the messages are about.

    misses_recycling: how often the recycling bin is not out below 85 % of collections, mean one: a reminder of the day
        helps those who miss it and nobody else.
    above_street: log of own kg over the street's mean, in steps of 50 %; below the street's mean half of it, with the
        other sign: told that neighbours make more, people make more (boomerang, Schultz et al. 2007).
    without_food: how often the food caddy is not out below half of collections, mean one.
    same_kg: turns a share of the mean home's residual into as many kg for every home.
    """
    people, units = borough._people, borough._units
    street = units.street[units.of]
    kg = people.kg[Stream.RESIDUAL]
    mean = np.bincount(street, kg) / np.maximum(np.bincount(street), 1)
    above = np.log(kg / mean[street]) / np.log(1.5)
    missed = np.clip(0.85 - people.set_out[Stream.RECYCLING][units.of], 0.0, None)
    without = np.clip(0.5 - people.set_out[Stream.FOOD][units.of], 0.0, None)
    borough._people.traits.update(  # type: ignore[attr-defined]
        misses_recycling=missed / missed.mean(),
        above_street=np.clip(np.where(above > 0, above, above / 2), -1.0, 2.0),
        without_food=without / without.mean(),
        same_kg=kg.mean() / np.maximum(kg, kg.mean() / 10),
    )


def true_shares(borough: Borough, rows: NDArray[np.int64]) -> Floats:
    """Share of its residual that each home stops putting out when it reads each message, (n, arms), control 0."""
    memory, planted = borough._memory, borough._effects.planted
    shares = np.zeros((len(rows), len(ARMS)))
    for arm, template in enumerate(TEMPLATES, start=1):
        if template in planted:
            fresh = memory._fresh(planted[template], rows)
            shares[:, arm] = planted[template].residual_share * fresh
    return np.asarray(np.clip(shares, -0.6, 0.6))


def expected_shares(borough: Borough, rows: NDArray[np.int64]) -> Floats:
    """`true_shares` times the chance that the home reads a text, 0 where the number is dead."""
    mailbox = borough._mailbox
    chance = np.where(mailbox._dead[MEDIUM][rows], 0.0, borough._plan.sms_read)
    return true_shares(borough, rows) * chance[:, None]
