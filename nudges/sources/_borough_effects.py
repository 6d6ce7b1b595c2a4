"""Turns messages accepted into what households do differently: planted, heterogeneous, fading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Planted:
    """What one template does to a household that reads it and responds, until it fades.

    Attributes:
        residual_share: share of its residual it stops putting out, 0-1 (proportional to its baseline).
        tag_share: share of its tags it no longer earns.
        food_set_out: share of the food collections it used to skip that it now uses.
        half_life_weeks: weeks until half of it is gone.
        leans_on: household trait on which the strength rises (`persons`, `affluence`, `level`, or empty).
    """

    residual_share: float = 0.0
    tag_share: float = 0.0
    food_set_out: float = 0.0
    half_life_weeks: float = 12.0
    leans_on: str = ""


def _planted() -> dict[str, Planted]:
    """Published ranges: -7 to -12 % residual by norm letters (Ek & Soderberg 2024), 0-3 % expected by SMS and email."""
    return {
        "tag_feedback": Planted(residual_share=0.10, tag_share=0.45, half_life_weeks=16, leans_on="persons"),
        "street_norm": Planted(residual_share=0.15, tag_share=0.10, half_life_weeks=16, leans_on="level"),
        "collection_day": Planted(residual_share=0.10, half_life_weeks=8, leans_on="affluence"),
        "food_caddy_start": Planted(residual_share=0.13, food_set_out=0.35, half_life_weeks=16, leans_on="persons"),
        "thank_you": Planted(residual_share=0.04, half_life_weeks=8),
    }


@dataclass(frozen=True, slots=True)
class Effects:
    """Effects planted by template id; a template without an entry does nothing.

    Attributes:
        planted: what each template does to a responder.
        responders: share of households that respond to anything.
        rebound: share that does the opposite, at a third of the strength.
        to_recycling: share of the residual removed that turns up in recycling (Ek & Soderberg 2024: three quarters).
        flat_factor: strength in flats relative to houses.
        spread: coefficient of variation of the strength between responders.
    """

    planted: Mapping[str, Planted] = field(default_factory=_planted)
    responders: float = 0.5
    rebound: float = 0.03
    to_recycling: float = 0.75
    flat_factor: float = 0.5
    spread: float = 0.5

    @classmethod
    def null(cls) -> Effects:
        """Messages that change nothing at all."""
        return cls(planted={})


@dataclass(frozen=True, slots=True)
class Change:
    """What households do differently in one week, each an array over households."""

    residual: Floats  # share of residual removed
    tags: Floats  # share of tags not earned
    food: Floats  # share of skipped food collections now used


class Memory:
    """What households still remember of each template; the strongest memory counts, a repeat renews it."""

    def __init__(self, effects: Effects, traits: Mapping[str, Floats], is_flat: NDArray[np.bool_], seed: int) -> None:
        self._effects = effects
        self._size = is_flat.size
        rng = np.random.default_rng([seed, 0, 97])
        kind, normal = rng.random(self._size), rng.standard_normal(self._size)
        sign = np.where(kind < effects.responders, 1.0, np.where(kind > 1 - effects.rebound, -1 / 3, 0.0))
        sigma = float(np.sqrt(np.log1p(effects.spread**2)))
        self._strength = sign * np.exp(sigma * normal - sigma**2 / 2) * np.where(is_flat, effects.flat_factor, 1.0)
        self._traits = traits
        self._held: dict[str, Floats] = {}

    def advance(self, read: Sequence[tuple[str, NDArray[np.int64]]]) -> Change:
        """Fade by one week, then add what was read this week: pairs of (template, household positions)."""
        for template in self._held:
            self._held[template] *= 0.5 ** (1 / self._effects.planted[template].half_life_weeks)
        for template, where in read:
            if template in self._effects.planted:
                held = self._held.setdefault(template, np.zeros(self._size))
                fresh = self._fresh(self._effects.planted[template], where)
                held[where] = np.where(np.abs(fresh) > np.abs(held[where]), fresh, held[where])
        return Change(*(self._strongest(part) for part in ("residual_share", "tag_share", "food_set_out")))

    def _fresh(self, planted: Planted, where: NDArray[np.int64]) -> Floats:
        lean = self._traits[planted.leans_on][where] if planted.leans_on else 1.0
        fresh: Floats = self._strength[where] * lean
        return fresh

    def _strongest(self, part: str) -> Floats:
        best = np.zeros(self._size)
        for template, held in self._held.items():
            share = getattr(self._effects.planted[template], part) * held
            best = np.where(np.abs(share) > np.abs(best), share, best)
        return np.clip(best, -0.6, 0.6)
