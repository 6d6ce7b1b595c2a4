"""Last week's decision and today's rows → whether the model still holds what it promised.

What a decision leaves to the next is kept small enough to live in the model card's JSON: what was promised, on which
turns, how the features lay, and which arms were stopped where.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from nudges.scoring import Value
from nudges.uplift.evidence import Evidence, Floats
from nudges.uplift.proof import ERROR_SHARE, upper_bound

STALE_WEEKS = 26
"""A model is not used when no new turn has closed for so many weeks: half a year is another season."""

DRIFT_SDS = 0.5
"""A feature has drifted when its mean has moved by more than so many of its standard deviations."""

DRIFT_UNKNOWN = 0.25
"""A feature has drifted when the share of rows in which it is unknown has changed by more than this."""

DRIFT_WEIGHT = 0.25
"""Drift closes the gate when the features that moved carry more than this share of what moves the predictions."""

_SURE = 3.0  # standard errors by which a drift must exceed its bound


@dataclass(frozen=True, slots=True)
class Stop:
    """An arm that is not given in a segment any more, because it makes the outcome worse there.

    Attributes:
        segment: name of the segment.
        arm: label.
        effect: outcome units against the control, in the segment.
    """

    segment: str
    arm: str
    effect: Value


@dataclass(frozen=True, slots=True)
class Layout:
    """How the features of some rows lie: mean, standard deviation and share unknown of each, (p,)."""

    mean: tuple[float, ...]
    sd: tuple[float, ...]
    unknown: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the last decision leaves to this one.

    Attributes:
        policy: as decided then.
        best_arm: the best single arm then.
        week: week number in which evidence last grew by a turn; None when weeks were not told.
        turn: newest turn that had been learned from; -1 before there was any.
        gain: what was promised, pence a unit over the best single arm, corrected for selection; None without a model.
        se: standard error of that.
        layout: features of the rows learned from.
        closed: why the gate was closed on a model that had proven itself; empty when it was not.
        stops: arms stopped so far.
    """

    policy: str
    best_arm: str
    week: int | None
    turn: int
    gain: float | None
    se: float | None
    layout: Layout | None
    closed: str = ""
    stops: tuple[Stop, ...] = ()

    @classmethod
    def from_card(cls, card: str | Mapping[str, Any]) -> Earlier | None:
        """The memory of a stored model card (its JSON or what that parses to); None when it has none."""
        content = json.loads(card) if isinstance(card, str) else card
        kept = (content.get("decision") or {}).get("memory")
        if not kept:
            return None
        lay = kept["layout"]
        return cls(
            policy=kept["policy"],
            best_arm=kept["best_arm"],
            week=kept["week"],
            turn=kept["turn"],
            gain=kept["gain"],
            se=kept["se"],
            layout=lay and Layout(tuple(lay["mean"]), tuple(lay["sd"]), tuple(lay["unknown"])),
            closed=kept["closed"],
            stops=tuple(Stop(stop["segment"], stop["arm"], _value(stop["effect"])) for stop in kept["stops"]),
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """How the last model stands today.

    Attributes:
        realised: pence a unit of the last model over the best single arm, on rows of later turns; None without any.
        drift: features that have moved, a phrase each.
        closed: why no model may be used; empty when one may.
    """

    realised: Value | None
    drift: tuple[str, ...]
    closed: str


def _value(kept: Mapping[str, Any]) -> Value:
    """A value from JSON, which has no infinity."""
    numbers: dict[str, Any] = {name: np.inf if number is None else number for name, number in kept.items()}
    return Value(**numbers)


def layout_of(features: Floats) -> Layout:
    """How features (n, p) lie."""
    known = np.isfinite(features)
    count = np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, features, 0.0)
    mean = filled.sum(axis=0) / count
    sd = np.sqrt(np.where(known, (filled - mean) ** 2, 0.0).sum(axis=0) / count)
    unknown = 1.0 - known.mean(axis=0) if len(features) else np.zeros(features.shape[1])
    return Layout(tuple(mean.tolist()), tuple(sd.tolist()), tuple(unknown.tolist()))


def drifted(before: Layout, features: Floats, names: tuple[str, ...]) -> dict[int, str]:
    """What has drifted in new rows (n, p): a phrase by column; nothing when the features are not the same ones."""
    if len(before.mean) != features.shape[1] or len(features) == 0:
        return {}
    now = layout_of(features)
    sd = np.asarray(before.sd)
    seen = np.maximum(len(features) * (1.0 - np.asarray(now.unknown)), 1.0)
    both = (np.asarray(before.unknown) < 1.0) & (np.asarray(now.unknown) < 1.0)
    moved = np.divide(np.asarray(now.mean) - np.asarray(before.mean), sd, out=np.zeros(len(sd)), where=both & (sd > 0))
    gone = np.asarray(now.unknown) - np.asarray(before.unknown)
    slack = _SURE / np.sqrt(len(features))
    phrases: dict[int, str] = {}
    for column in range(len(sd)):
        name = names[column] if column < len(names) else f"feature {column + 1}"
        if abs(moved[column]) > DRIFT_SDS + _SURE / np.sqrt(seen[column]):
            phrases[column] = f"{name} moved by {moved[column]:+.1f} standard deviations".replace("-", "\u2212")
        elif abs(gone[column]) > DRIFT_UNKNOWN + slack:
            shares = f"{now.unknown[column]:.0%} of rows, {before.unknown[column]:.0%} before"
            phrases[column] = f"{name} is unknown in {shares}"
    return phrases


def stale(earlier: Earlier, week: int | None) -> str:
    """Why a model is too old when no new turn has closed since, or nothing."""
    age = 0 if week is None or earlier.week is None else week - earlier.week
    if age <= STALE_WEEKS:
        return ""
    return f"no new turn has closed for {age} weeks, and {STALE_WEEKS} is the limit"


def fallen_short(earlier: Earlier, realised: Value, looks: int) -> str:
    """Why what the last model has earned since is not what it promised, or nothing.

    Either its gain over the best single arm is a loss with confidence, or it is below the promise with confidence
    and not itself a gain with confidence; each at 5 % over the looks.
    """
    level = ERROR_SHARE / looks
    if upper_bound(realised, level) < 0:
        return "on the households that came after, the last model did worse than the best single arm"
    spread = float(np.hypot(realised.se, earlier.se or 0.0))
    gap = Value.of((earlier.gain or 0.0) - realised.mean, spread, realised.df, n_rows=0, n_units=0)
    if earlier.gain is not None and gap.at_least(level) > 0 and realised.at_least(level) <= 0:
        return "on the households that came after, the last model earned significantly less than it had promised"
    if earlier.closed and realised.mean <= 0:
        return "on the households that came since the gate was closed, a model still earns no more than the best arm"
    return ""


def newest(evidence: Evidence) -> int:
    """The newest turn that has closed rows; -1 without rows."""
    return int(evidence.turns.max(initial=-1))
