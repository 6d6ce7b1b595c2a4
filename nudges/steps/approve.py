"""Turn a person's approval and a week's planned messages into messages that may be sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nudges.domain import MessageState, Summary
from nudges.errors import ApprovalError, NudgesError
from nudges.ledger import Approval
from nudges.rendering import compile_for
from nudges.sending import Totals, approval_problems, fingerprint
from nudges.steps.registering import store_plan
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

_TOTALS = """
SELECT campaign, template, language, template_hash,
       SUM(CASE WHEN state = 'planned' THEN 1 ELSE 0 END) AS planned,
       COUNT(*) AS messages,
       SUM(cost_pence) AS pence
FROM messages
WHERE week_no = :week_no AND state NOT IN ('dropped', 'refused')
GROUP BY campaign, template, language, template_hash
"""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a campaign would send in a week. `stale` names templates edited since its messages were rendered."""

    planned: int
    totals: Totals
    stale: tuple[str, ...]


def approve_campaign(
    ws: Workspace,
    campaign: str,
    *,
    by: str,
    max_messages: int,
    max_pence: int,
    now: datetime,
    note: str = "",
) -> Approval:
    """Store a person's yes to a campaign as its files are now, and what it will be measured by.

    Raises ApprovalError for a yes that says nothing.
    """
    if not by.strip():
        raise ApprovalError(f"approve {campaign}: no name given, somebody must answer for it. Add --by NAME.")
    for option, value in (("--max-messages", max_messages), ("--max-pence", max_pence)):
        if value < 0:
            raise ApprovalError(f"approve {campaign}: {option} == {value}, must be 0 or more a week.")
    pinned = fingerprint(ws.campaign(campaign), ws.segments, ws.templates)
    store_plan(ws, ws.campaign(campaign), by=by.strip(), now=now)
    approval = ws.ledger.approve(campaign, pinned, max_messages, max_pence, by.strip(), note, now=now)
    ws.ledger.audit(
        by.strip(),
        "approve",
        campaign,
        {"fingerprint": pinned, "max_messages": max_messages, "max_pence": max_pence, "note": note},
        now=now,
    )
    return approval


def approve(ws: Workspace, week: Week, *, now: datetime, campaigns: Sequence[str] | None = None) -> Summary:
    """Move planned messages of `week` to approved where a valid approval covers them; say why where none does."""
    plans = {name: plan for name, plan in _plans(ws, week).items() if not campaigns or name in campaigns}
    approved, waiting = 0, 0
    warnings: list[str] = []
    for name, plan in sorted(plans.items()):
        problems = _problems(ws, name, plan)
        if problems:
            waiting += plan.planned
            warnings += problems
        else:
            approved += _release(ws, week, name, now)
    headline = f"{approved} messages approved" if approved or not waiting else "No message approved"
    if waiting:
        headline += f", {waiting} wait for approval"
    counts = {"approved": approved, "waiting": waiting, "campaigns": len(plans)}
    return Summary("approve", str(week), headline + ".", counts=counts, warnings=tuple(warnings))


def _plans(ws: Workspace, week: Week) -> dict[str, _Plan]:
    """Campaigns with messages still planned in `week`; messages already approved count towards the totals."""
    grouped: dict[str, list[dict[str, object]]] = {}
    for row in ws.ledger.select(_TOTALS, week_no=week.number).to_pylist():
        grouped.setdefault(row["campaign"], []).append(row)
    plans = {name: _plan(ws, rows) for name, rows in grouped.items()}
    return {name: plan for name, plan in plans.items() if plan.planned}


def _plan(ws: Workspace, rows: Sequence[dict[str, object]]) -> _Plan:
    stale = {str(row["template"]) for row in rows if row["planned"] and _is_stale(ws, row)}
    return _Plan(
        planned=sum(int(str(row["planned"])) for row in rows),
        totals=Totals(sum(int(str(row["messages"])) for row in rows), sum(float(str(row["pence"])) for row in rows)),
        stale=tuple(sorted(stale)),
    )


def _is_stale(ws: Workspace, row: dict[str, object]) -> bool:
    try:
        compiled = compile_for(ws.templates, str(row["template"]), str(row["language"]), ws.council)
    except NudgesError:  # gone or broken: what was rendered from it can no longer be sent
        return True
    return compiled.template_hash != row["template_hash"]


def _problems(ws: Workspace, name: str, plan: _Plan) -> tuple[str, ...]:
    if name not in ws.campaigns:
        return (f"{name}: campaigns/{name}.toml is gone, its {plan.planned} messages stay where they are.",)
    approval = ws.ledger.approval(name)
    problems = approval_problems(
        name,
        plan.totals,
        fingerprint(ws.campaigns[name], ws.segments, ws.templates),
        approved=approval.fingerprint if approval else None,
        max_messages=approval.max_messages if approval else 0,
        max_pence=approval.max_pence if approval else 0,
    )
    stale = tuple(
        f"{name}: template {template} was edited after messages were rendered from it. "
        f"Put the words back, or render again with `nudges run --campaign {name}`, then approve."
        for template in plan.stale
    )
    return (*problems, *stale)


def _release(ws: Workspace, week: Week, name: str, now: datetime) -> int:
    return ws.ledger.set_campaign_state(
        name, week, MessageState.APPROVED, reason="", now=now, only_from=[MessageState.PLANNED]
    )
