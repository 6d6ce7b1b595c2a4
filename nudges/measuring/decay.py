"""Turns outcomes by week since the first message into effects by window, a half-life, and what stays after stopping.

Both arms are read on the same clock, weeks since the unit was first assigned, and nothing is claimed past the last
week measured. The half-life fits tau exp(-lambda (week - 1)) to the windows by generalised least squares on their joint
covariance; its interval is the profile's, so that an effect which does not fade has a half-life without an upper end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri, stdtrit

from nudges.errors import DataError, UnsupportedError
from nudges.measuring.cumulative import Cumulative, joint_effects
from nudges.measuring.effect import Effect

Floats = NDArray[np.float64]
Windows = Sequence[tuple[int, int]]

WINDOWS = ((1, 4), (5, 13), (14, 26))
"""First and last week since the first message, from 1: how far a message carries, and whether it lasts."""

_FASTEST = math.log(2) / 0.25  # a half-life below a quarter of a week is not told from an effect of one week
_RATES = 4_001  # decay rates tried


@dataclass(frozen=True, slots=True)
class Window:
    """The effect over weeks `first_week` to `last_week` since the first message; None where it cannot be estimated."""

    first_week: int
    last_week: int
    effect: Effect | None


@dataclass(frozen=True, slots=True)
class HalfLife:
    """Weeks in which the effect falls to half. `high` is inf when it may not fade, `low` 0 when it may vanish at once.

    `first_week_effect` is the fitted effect in week 1, in units of the outcome.
    """

    weeks: float
    low: float
    high: float
    first_week_effect: float

    @property
    def is_known(self) -> bool:
        """Whether the weeks measured rule anything out."""
        return self.low > 0 or math.isfinite(self.high)


@dataclass(frozen=True, slots=True)
class Decay:
    """Effects by window with their joint covariance, (K, K), NaN where a window has none; a half-life from two on."""

    windows: tuple[Window, ...]
    covariance: Floats
    half_life: HalfLife | None


@dataclass(frozen=True, slots=True)
class Persistence:
    """The effect while messages went on, after they stopped, and the share of it that stayed, with its interval.

    The interval is Fieller's (1954): without ends when the effect while messages went on is not told from none.
    """

    messaged: Effect
    stopped: Effect
    kept_share: float
    kept_low: float
    kept_high: float


def decay(
    since: ArrayLike,
    pre: ArrayLike | None,
    treated: ArrayLike,
    *,
    windows: Windows = WINDOWS,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    alpha: float = 0.05,
) -> Decay:
    """Estimate the effect in windows of weeks since each unit's first message.

    Args:
        since: (n, W) outcome by week since first assignment (column 0 is week 1), in both arms; NaN where not read.
        pre: (n,) outcome before, NaN where unknown, or None.
        treated: (n,) 0 or 1.
        windows: first and last week of each, from 1; a window past W is left out, one across it cut.
        weights: (n,) households in the unit; all 1 when None.
        strata: (n,) labels within which units were drawn.
        alpha: 0.05 for 95 % intervals.

    Raises:
        DataError: as `joint_effects`, or windows that do not rise.
        UnsupportedError: no week of any window was measured.
    """
    matrix = np.asarray(since, dtype=np.float64)
    spans = _spans(windows, matrix.shape[-1])
    joint = joint_effects(window_means(matrix, spans), pre, treated, weights=weights, strata=strata)
    found = tuple(
        Window(first, last, joint.effect(place, alpha=alpha) if np.isfinite(joint.estimates[place]) else None)
        for place, (first, last) in enumerate(spans)
    )
    return Decay(found, joint.covariance, _fitted(joint, spans, alpha))


def window_means(since: Floats, windows: Windows) -> Floats:
    """(n, K) mean of each window's weeks that are not NaN; NaN where there is none. Windows as in `decay`."""
    known = np.isfinite(since)
    filled = np.where(known, since, 0.0)
    columns = []
    for first, last in windows:
        count = known[:, first - 1 : last].sum(axis=1)
        columns.append(np.where(count > 0, filled[:, first - 1 : last].sum(axis=1) / np.maximum(count, 1), np.nan))
    return np.column_stack(columns)


def _spans(windows: Windows, weeks: int) -> list[tuple[int, int]]:
    ends = [week for window in windows for week in window]
    if any(first > last for first, last in windows) or ends != sorted(ends) or min(ends, default=0) < 1:
        raise DataError(f"measuring.decay: windows == {tuple(windows)}, must rise from week 1, like {WINDOWS}.")
    spans = [(first, min(last, weeks)) for first, last in windows if first <= weeks]
    if not spans:
        raise UnsupportedError(f"measuring.decay: {weeks} weeks measured, the first window starts later. Wait for it.")
    return spans


def _fitted(joint: Cumulative, spans: Windows, alpha: float) -> HalfLife | None:
    usable = np.flatnonzero(np.isfinite(joint.estimates) & (np.diag(joint.covariance) > 0))
    if len(usable) < 2:
        return None
    return half_life(
        joint.estimates[usable],
        joint.covariance[np.ix_(usable, usable)],
        [spans[k] for k in usable.tolist()],
        alpha=alpha,
    )


def half_life(estimates: ArrayLike, covariance: ArrayLike, windows: Windows, *, alpha: float = 0.05) -> HalfLife:
    """Fit tau exp(-lambda (week - 1)), averaged over each window's weeks, to K effects, K two or more.

    Args:
        estimates: (K,) effects by window.
        covariance: (K, K), positive definite.
        windows: first and last week of each.
        alpha: 0.05 for a 95 % interval: the rates whose profile lies within the chi-square(1) quantile of the best.
    """
    y = np.asarray(estimates, dtype=np.float64)
    inverse = np.linalg.inv(np.asarray(covariance, dtype=np.float64))
    slowest = -math.log(2) / max(last for _, last in windows)
    rates = np.concatenate([[0.0], slowest * np.linspace(0, 1, 401)[1:], np.geomspace(1e-4, _FASTEST, _RATES)])
    rates.sort()
    shape = np.column_stack(
        [np.exp(-np.outer(rates, np.arange(first - 1, last))).mean(axis=1) for first, last in windows]
    )
    along = shape @ inverse @ y
    size = np.einsum("rk,kl,rl->r", shape, inverse, shape)
    gain = along**2 / size
    best = int(gain.argmax())
    held = rates[gain >= gain[best] - float(chdtri(1, alpha))]
    fastest, slow = float(held.max()), float(held.min())
    return HalfLife(
        weeks=_half(float(rates[best])),
        low=0.0 if fastest >= _FASTEST else _half(fastest),
        high=_half(slow),
        first_week_effect=float(along[best] / size[best]),
    )


def _half(rate: float) -> float:
    return math.log(2) / rate if rate > 0 else math.inf


def persistence(
    during: ArrayLike,
    after: ArrayLike,
    pre: ArrayLike | None,
    treated: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    alpha: float = 0.05,
) -> Persistence:
    """Compare the effect after the last message with that before it, when messages to all treated units stopped.

    Args:
        during: (n,) outcome while messages went on, NaN where not read.
        after: (n,) outcome after the last message.
        pre: (n,) outcome before the first, NaN where unknown, or None.
        treated: (n,) 0 or 1.
        weights: (n,) households in the unit; all 1 when None.
        strata: (n,) labels within which units were drawn.
        alpha: 0.05 for 95 % intervals.

    Raises:
        DataError: as `joint_effects`.
        UnsupportedError: fewer than two units in an arm, during or after.
    """
    both = np.column_stack([np.asarray(each, dtype=np.float64) for each in (during, after)])
    joint = joint_effects(both, pre, treated, weights=weights, strata=strata)
    return _persistence((joint, 0), (joint, 1), alpha)


def kept_after_stopping(
    after: ArrayLike,
    pre: ArrayLike | None,
    *,
    continued: ArrayLike,
    stopped: ArrayLike,
    weights: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    alpha: float = 0.05,
) -> Persistence:
    """Compare units whose messages were stopped by lot with those that went on, each against those never messaged.

    Args:
        after: (n,) outcome after the stop, NaN where not read.
        pre: (n,) outcome before the first message, NaN where unknown, or None.
        continued: (n,) True where messages went on.
        stopped: (n,) True where they were stopped by lot; the rest were never messaged.
        weights: (n,) households in the unit; all 1 when None.
        strata: (n,) labels within which units were drawn.
        alpha: 0.05 for 95 % intervals.

    Raises:
        DataError: as `joint_effects`, or a unit both continued and stopped.
        UnsupportedError: fewer than two units of the three groups.
    """
    on, off = np.asarray(continued, dtype=np.bool_), np.asarray(stopped, dtype=np.bool_)
    y = np.asarray(after, dtype=np.float64)
    if (on & off).any():
        raise DataError("measuring.kept_after_stopping: a unit is both continued and stopped, must be one of them.")
    went_on = joint_effects(np.where(off, np.nan, y)[:, None], pre, on, weights=weights, strata=strata)
    ended = joint_effects(np.where(on, np.nan, y)[:, None], pre, off, weights=weights, strata=strata)
    return _persistence((went_on, 0), (ended, 0), alpha)


def _persistence(messaged: tuple[Cumulative, int], stopped: tuple[Cumulative, int], alpha: float) -> Persistence:
    pair = (messaged, stopped)
    if not all(np.isfinite(joint.estimates[look]) for joint, look in pair):
        raise UnsupportedError(
            "measuring.persistence: fewer than two units of a group were read, must be 2 or more. Wait for more weeks."
        )
    effects = [joint.effect(look, alpha=alpha) for joint, look in pair]
    influence = np.column_stack([joint.influence[:, look] for joint, look in pair])
    reach = float(stdtrit(min(effect.df for effect in effects), 1 - alpha / 2))
    low, high = _fieller(effects[0].estimate, effects[1].estimate, influence.T @ influence, reach)
    share = effects[1].estimate / effects[0].estimate if effects[0].estimate else math.nan
    return Persistence(effects[0], effects[1], share, low, high)


def _fieller(a: float, b: float, covariance: Floats, reach: float) -> tuple[float, float]:
    """Ends of {r: |b - r a| <= reach se(b - r a)}; infinite unless a is told from 0."""
    square = a**2 - reach**2 * float(covariance[0, 0])
    cross = a * b - reach**2 * float(covariance[0, 1])
    rest = b**2 - reach**2 * float(covariance[1, 1])
    if square <= 0:
        return -math.inf, math.inf
    root = math.sqrt(max(cross**2 - square * rest, 0.0))
    return (cross - root) / square, (cross + root) / square
