"""Turns a campaign file into the plan of its measurement, its hash, and what was done otherwise than planned.

The plan is stored when somebody approves the campaign, so before the first message. Changing it afterwards is allowed,
but every later page says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from nudges.domain import Campaign

_ESTIMATOR = {
    "household": "ANCOVA on the 26 weeks before, units as drawn, strata first week x own or shared bins",
    "round": "ANCOVA on round means weighted by households, HC2 with Bell-McCaffrey degrees of freedom",
}
_NAMES = {
    "unit": "what was drawn",
    "segments": "the segments",
    "arms": "the messages",
    "outcome": "the outcome",
    "starts": "the first week",
    "weeks": "the number of weeks",
    "every_weeks": "the weeks between draws",
    "shares": "the shares drawn",
    "holdout_share": "the council's holdout",
    "stated_effect_share": "the stated effect",
    "estimator": "the way it is measured",
    "looks": "the number of looks",
    "seed": "the salts of the draw",
}


@dataclass(frozen=True, slots=True)
class Registration:
    """The plan as first stored, and whether it was followed.

    Attributes:
        sha256: of the plan's canonical JSON.
        registered_on: ISO date on which it was stored.
        registered_by: who approved it.
        is_before_start: it was stored before the first unit was drawn into the campaign.
        deviations: what is otherwise now, in words; empty when the plan was followed.
        detectable_share: smallest effect it could see as a share of the past mean, reckoned then; None when not known.
    """

    sha256: str
    registered_on: str
    registered_by: str
    is_before_start: bool
    deviations: tuple[str, ...]
    detectable_share: float | None

    @property
    def is_followed(self) -> bool:
        """Stored in time, and nothing is otherwise."""
        return self.is_before_start and not self.deviations


def plan_of(campaign: Campaign, *, holdout_share: float, salt_sha256: str) -> dict[str, Any]:
    """What must be settled before the start: plain values, ready for JSON. The council's salt only as its hash."""
    shares = campaign.shares
    return {
        "campaign": campaign.id,
        "unit": str(campaign.unit),
        "segments": list(campaign.segments),
        "arms": {arm.id: arm.template for arm in campaign.arms},
        "outcome": str(campaign.outcome),
        "starts": str(campaign.starts),
        "weeks": campaign.weeks,
        "every_weeks": campaign.every_weeks,
        "shares": {"control": shares.control, "learn": shares.learn, "best": shares.best},
        "holdout_share": holdout_share,
        "stated_effect_share": campaign.stated_effect_share,
        "estimator": _ESTIMATOR[str(campaign.unit)],
        "looks": campaign.weeks,
        "seed": f"{campaign.salt} and the council's salt, SHA-256 {salt_sha256}",
    }


def canonical(plan: Mapping[str, Any]) -> str:
    """The plan as JSON with sorted keys and no spaces: the text that is hashed."""
    return json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def plan_sha256(plan: Mapping[str, Any]) -> str:
    """Hex SHA-256 of the canonical JSON."""
    return sha256(canonical(plan).encode()).hexdigest()


def deviations(planned: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """What differs between the plan as stored and as it stands, one sentence each."""
    return tuple(
        f"{name.capitalize()} changed from {_said(planned.get(key))} to {_said(now.get(key))}."
        for key, name in _NAMES.items()
        if planned.get(key) != now.get(key)
    )


def _said(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return "nothing" if value is None else str(value)
