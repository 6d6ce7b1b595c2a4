"""Stores what a campaign will be measured by, and compares it with how it is measured now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, time
from hashlib import sha256
from typing import Any

from nudges.domain import Campaign
from nudges.errors import NotReadyError, UnsupportedError
from nudges.measuring import Registration, canonical, deviations, plan_of, plan_sha256
from nudges.steps.power import outlook
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

_FEATURES = "SELECT MAX(week_no) AS week_no FROM files WHERE table_name = 'features' AND is_live = 1"


def store_plan(ws: Workspace, campaign: Campaign, *, by: str, now: datetime) -> None:
    """Store the plan of a campaign unless it is stored as it stands; never changes one that is.

    The first time, with the smallest effect the campaign could see by the council's past, where there is enough of it.
    """
    plan = _plan(ws, campaign)
    seen = None if ws.ledger.plans(campaign.id) else _detectable_share(ws, campaign)
    ws.ledger.store_plan(campaign.id, plan_sha256(plan), canonical(plan), by, detectable_share=seen, now=now)


def _detectable_share(ws: Workspace, campaign: Campaign) -> float | None:
    newest = ws.ledger.select(_FEATURES)["week_no"][0].as_py()
    if newest is None:
        return None
    try:
        return outlook(ws, campaign, Week(int(newest)), runs=0).power.detectable_share
    except (NotReadyError, UnsupportedError):
        return None


def registration(ws: Workspace, campaign: Campaign, first: Week) -> Registration | None:
    """The plan first stored, and whether it was followed; None when none ever was.

    It came in time when no outcome could have been read by then: `first` is the week whose run drew the first units,
    and what they put out in the week after it is read from the week after that on.
    """
    stored = ws.ledger.plans(campaign.id)
    if not stored:
        return None
    plan = stored[0]
    return Registration(
        sha256=plan.sha256,
        registered_on=plan.registered_at.date().isoformat(),
        registered_by=plan.registered_by,
        is_before_start=plan.registered_at < datetime.combine((first + 2).monday, time(0), tzinfo=UTC),
        deviations=deviations(json.loads(plan.plan), _plan(ws, campaign)),
        detectable_share=plan.detectable_share,
    )


def _plan(ws: Workspace, campaign: Campaign) -> Mapping[str, Any]:
    council = ws.council
    salt = sha256(council.salt.encode()).hexdigest()
    return plan_of(campaign, holdout_share=council.holdout_share, salt_sha256=salt)
