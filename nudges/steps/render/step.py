"""Turns assignments and facts into planned messages, and the households that cannot be written to into reasons.

Safe to kill anywhere and run again: messages are appended by an id that is the same on every run, those already there
are neither written nor changed, and the audience is replaced last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from hashlib import sha256

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from nudges.domain import Arm, Campaign, Medium, MessageState, Reason, Summary
from nudges.rendering import CompiledTemplate
from nudges.rendering.writing import Messages, Naming
from nudges.steps.render.recipients import (
    OF_CAMPAIGN,
    RETRIED,
    Voices,
    chunks,
    compile_arms,
    load_chosen,
    load_recipients,
    naive,
    open_facts,
)
from nudges.steps.render.tally import Tally
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

_PLANNED_HASHES = """
SELECT DISTINCT template_hash, state FROM messages
WHERE campaign = :campaign AND week_no = :week AND state = 'planned'
"""
_REASONED = f"""
SELECT a.* EXCLUDE (reason, week_no), a.reason AS was,
  COALESCE(e.reason, CASE WHEN a.reason IN $reasons THEN '{Reason.CHOSEN}' ELSE a.reason END) AS reason
FROM audience AS a LEFT JOIN excluded AS e ON e.household_id = a.household_id
WHERE {OF_CAMPAIGN} ORDER BY a.household_id
"""  # noqa: S608


def render(
    ws: Workspace,
    week: Week,
    *,
    now: datetime,
    campaigns: Sequence[str] | None = None,
    not_before: datetime | None = None,
) -> Summary:
    """Write every chosen household's messages into the ledger as planned, none due before `not_before` (aware).

    A household without a fact its template needs, without a collection to time the message by, or without an open
    contact gets no message and that reason in the audience.

    Raises:
        NotReadyError: choose has not run for this week.
        ConfigError, RenderError: a template is wrong; nothing was written for its campaign.
    """
    running = ws.running(week, campaigns)
    total = Tally()
    warnings: list[str] = []
    soonest = max(now, not_before or now)
    with closing(open_facts(ws, week)) as connection:
        for campaign in running:
            tally = _render_campaign(ws, campaign, week, connection, now=now, soonest=soonest)
            total.counts.update(tally.counts)
            total.pence += tally.pence
            warnings += [f"{campaign.id}: {place} not known for {n:,} households" for place, n in tally.lacking.items()]
    counts = total.counts
    headline = f"{counts['sms'] + counts['email']:,} messages planned, {total.pence / 100:,.2f} pounds"
    return Summary(
        "render",
        str(week),
        headline,
        {str(name): n for name, n in counts.items()},
        {"pence": round(total.pence, 2)},
        warnings=tuple(warnings),
    )


def _render_campaign(
    ws: Workspace,
    campaign: Campaign,
    week: Week,
    connection: duckdb.DuckDBPyConnection,
    *,
    now: datetime,
    soonest: datetime,
) -> Tally:
    voices = compile_arms(ws, campaign)
    tally = Tally()
    tally.counts.update(_withdraw_stale(ws, campaign, week, voices))
    load_chosen(ws, campaign, week, connection)
    load_recipients(ws, campaign, week, connection, voices)
    naming = Naming(campaign.id, week.number, ws.council.salt)
    for arm, compiled, chunk in chunks(ws, campaign, week, connection, voices, now=soonest):
        messages = tally.write(arm, compiled, chunk, naming)
        rows = _rows(ws, campaign, week, now, arm=arm, compiled=compiled, messages=messages)
        ws.ledger.append("messages", rows)
        tally.pence += pc.sum(rows["cost_pence"]).as_py() or 0.0
    _publish(ws, campaign, week, connection, now, tally)
    return tally


def _withdraw_stale(ws: Workspace, campaign: Campaign, week: Week, voices: Voices) -> dict[str, int]:
    """Take back planned messages whose template or council words were edited since; nobody approved them yet."""
    current = {compiled.template_hash for compiled in voices.values()}
    nothing = pa.table({})
    withdrawn = 0
    for row in ws.ledger.select(_PLANNED_HASHES, campaign=campaign.id, week=week.number).to_pylist():
        if row["template_hash"] not in current:
            ws.ledger.replace("messages", nothing, campaign=campaign.id, week_no=week.number, **row)
            withdrawn += 1
    return {"templates_edited": withdrawn} if withdrawn else {}


def _rows(
    ws: Workspace,
    campaign: Campaign,
    week: Week,
    now: datetime,
    *,
    arm: Arm,
    compiled: CompiledTemplate,
    messages: Messages,
) -> pa.Table:
    fragments = pa.array(messages.fragments, pa.int64())
    medium = pa.array([str(medium) for medium in messages.medium], pa.string())
    by_fragment = pc.multiply(fragments.cast(pa.float64()), ws.council.pence_per_fragment)
    same: dict[str, object] = {
        "campaign": campaign.id,
        "week_no": week.number,
        "arm": arm.id,
        "template": compiled.id,
        "language": compiled.language,
        "template_hash": compiled.template_hash,
        "state": str(MessageState.PLANNED),
        "changed_at": pa.scalar(naive(now), pa.timestamp("us")),
    }
    return pa.table(
        {
            **{name: pa.repeat(value, len(medium)) for name, value in same.items()},
            "message_id": pa.array(messages.message_id, pa.string()),
            "household_id": pa.array(messages.household_id, pa.string()),
            "medium": medium,
            "facts": pa.array(messages.facts, pa.string()),
            "content_hash": pa.array(messages.content_hash, pa.string()),
            "fragments": fragments,
            "cost_pence": pc.if_else(pc.equal(medium, str(Medium.SMS)), by_fragment, ws.council.pence_per_email),
            "due_at": pa.array(messages.due_at, pa.timestamp("us")),
        }
    )


def _publish(
    ws: Workspace,
    campaign: Campaign,
    week: Week,
    connection: duckdb.DuckDBPyConnection,
    now: datetime,
    tally: Tally,
) -> None:
    """Replace the campaign's audience of the week when some reason changed."""
    excluded = {"household_id": list(tally.excluded), "reason": [str(reason) for reason in tally.excluded.values()]}
    connection.register("excluded", pa.table(excluded, pa.schema([(name, pa.string()) for name in excluded])))
    rows = connection.execute(
        _REASONED, {"campaign": campaign.id, "week": week.number, "reasons": list(RETRIED)}
    ).to_arrow_table()
    if not pc.any(pc.not_equal(rows["was"], rows["reason"])).as_py():
        return
    rows = rows.drop_columns(["was"]).combine_chunks()
    digest = sha256("\n".join(f"{home} {why}" for home, why in _pairs(rows)).encode()).hexdigest()[:16]
    file = ws.warehouse.write("audience", week, rows, f"{campaign.id}-{digest}")
    ws.ledger.replace_files(
        "audience", week, [file], drop_id=f"render:{campaign.id}:{week}", now=now, prefix=f"{campaign.id}-"
    )


def _pairs(rows: pa.Table) -> Iterator[tuple[str, str]]:
    return zip(rows["household_id"].to_pylist(), rows["reason"].to_pylist(), strict=True)
