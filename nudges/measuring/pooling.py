"""Turns effects of several arms or segments into partially pooled ones, so that the best of many is not oversold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri

from nudges.measuring.effect import Effect


def pooled(effects: Sequence[Effect], *, alpha: float = 0.05) -> tuple[Effect, ...]:
    """Shrink each effect towards their common mean by how much they really differ.

    Normal-normal empirical Bayes with the between-variance of DerSimonian & Laird (1986,
    https://doi.org/10.1016/0197-2456(86)90046-2); the variance of the common mean is carried along. Effects that share
    controls or households are treated as independent: exploratory by construction. One effect comes back as it is.
    """
    if len(effects) < 2:
        return tuple(effects)
    y = np.array([effect.estimate for effect in effects])
    v = np.maximum(np.array([effect.se for effect in effects]) ** 2, 1e-300)
    weight = 1 / v
    centre = float((weight * y).sum() / weight.sum())
    excess = float((weight * (y - centre) ** 2).sum()) - (len(y) - 1)
    room = float(weight.sum() - (weight**2).sum() / weight.sum())
    between = max(0.0, excess / room) if room > 0 else 0.0  # no room: one is all but exact, the rest weigh nothing
    weight = 1 / (v + between)
    centre, centre_variance = float((weight * y).sum() / weight.sum()), 1 / float(weight.sum())
    keep = between / (between + v)
    estimate = keep * y + (1 - keep) * centre
    se = np.sqrt(keep * v + (1 - keep) ** 2 * centre_variance)
    reach = float(ndtri(1 - alpha / 2))
    return tuple(
        Effect(
            float(m), float(s), float(m - reach * s), float(m + reach * s), float(2 * ndtr(-abs(m) / s)),
            effect.df, effect.n_units_treated, effect.n_units_control, effect.method,
        )
        for effect, m, s in zip(effects, estimate, se, strict=True)
    )  # fmt: skip
