"""Turns a campaign's audience of a week into recipients with contacts, languages, slots and facts, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from nudges.domain import CONTROL, Arm, Campaign, Language, Reason
from nudges.errors import ConfigError, NotReadyError
from nudges.rendering import CompiledTemplate, compile_for, language_for, languages_of
from nudges.rendering.queries import calendar_sql, contacts_sql, facts_sql, homes_sql, recipients_sql, tables_sql
from nudges.schedule import due_at, plan
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

Voices = dict[tuple[str, str], CompiledTemplate]
"""A compiled template by arm and language."""

Chunk = Mapping[str, Sequence[Any]]

_READS = ("households", "contacts", "lifts", "tags", "audience")
CHUNK_ROWS = 20_480  # a whole number of DuckDB's vectors
RETRIED = (Reason.CHOSEN, Reason.MISSING_FACT, Reason.NO_COLLECTION)
"""Reasons that rendering looks at again: a fact or a calendar may have come since."""

OF_CAMPAIGN = "campaign = $campaign AND week_no = $week"
_ASSIGNED = """
SELECT household_id, arm FROM assignments WHERE campaign = :campaign AND week_no = :week AND arm <> :control
"""
_PLANNED = "SELECT household_id, medium FROM messages WHERE campaign = :campaign AND week_no = :week"
_CHOSEN = f"""
CREATE OR REPLACE TEMP TABLE chosen AS
SELECT a.household_id, a.arm, s.household_id IS NOT NULL AS is_assigned
FROM audience AS a LEFT JOIN assigned AS s ON s.household_id = a.household_id AND s.arm = a.arm
WHERE {OF_CAMPAIGN} AND a.arm <> '{CONTROL}' AND a.reason IN $reasons
"""  # noqa: S608


def compile_arms(ws: Workspace, campaign: Campaign) -> Voices:
    """Every arm's template in every language a household can get it in; raises before anything is written."""
    voices: Voices = {}
    for arm in campaign.arms:
        for language in languages_of(ws.templates, arm.template, ws.council):
            compiled = compile_for(ws.templates, arm.template, language, ws.council)
            for medium in arm.media:
                if medium not in compiled.media:
                    raise ConfigError(
                        f"campaigns/{campaign.id}.toml: arm {arm.id} goes by {medium}, but {compiled.file} has no words"
                        f" for it. Add the block, or take {medium} off the arm."
                    )
            voices[arm.id, language] = compiled
    return voices


def open_facts(ws: Workspace, week: Week) -> duckdb.DuckDBPyConnection:
    """Views of the facts up to `week`, and of the whole calendar: collections to come are what messages are about."""
    files = ws.ledger.live_files(upto=week, tables=_READS)
    files |= ws.ledger.live_files(tables=["calendar"])
    connection = ws.warehouse.connect(files)
    connection.execute(homes_sql(week))
    return connection


def load_chosen(ws: Workspace, campaign: Campaign, week: Week, connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table `chosen` from the audience; raises NotReadyError without an audience or an assignment."""
    live = ws.ledger.live_files(upto=week, tables=["audience"]).get("audience", [])
    if not any(path.startswith(f"audience/week={week}/{campaign.id}-") for path in live):
        raise NotReadyError(
            f"render {week}: {campaign.id} has no audience of that week. Run `nudges run --step choose` first."
        )
    key = {"campaign": campaign.id, "week": week.number}
    connection.register("assigned", ws.ledger.select(_ASSIGNED, **key, control=CONTROL))
    connection.execute(_CHOSEN, {**key, "reasons": list(RETRIED)})
    stray = connection.execute("SELECT COUNT(*) FROM chosen WHERE NOT is_assigned").fetchone()
    if stray and stray[0]:
        raise NotReadyError(
            f"render {week}: {stray[0]} households of {campaign.id} were chosen without a committed assignment."
            " Run `nudges run --step choose` again."
        )
    connection.unregister("assigned")


def load_recipients(
    ws: Workspace,
    campaign: Campaign,
    week: Week,
    connection: duckdb.DuckDBPyConnection,
    voices: Voices,
    *,
    again: bool = False,
) -> None:
    """Make the table `recipients` of everyone in `chosen`: contacts, suppressions, language, messages there already.

    `again` leaves out that last, so that what was written is written once more (to look at, not to keep).
    Raises ConfigError when somebody has an arm that the campaign has no more.
    """
    suppressed = ws.ledger.suppressed()
    planned = ws.ledger.select(_PLANNED, campaign=campaign.id, week=week.number)
    planned = planned.slice(0, 0) if again else planned
    for name, rows in (("planned", planned), ("suppressed", suppressed), ("voices", _voices(ws, campaign, voices))):
        connection.register(name, rows)
    connection.execute(contacts_sql(week))
    connection.execute(recipients_sql(by_address=any(suppressed["address_hash"].to_pylist())))
    connection.unregister("planned")
    gone = connection.execute("SELECT MIN(arm), COUNT(*) FROM recipients WHERE language IS NULL").fetchone()
    if gone and gone[1]:
        raise ConfigError(
            f"campaigns/{campaign.id}.toml: arm {gone[0]!r} is gone, but {gone[1]} households of {week} were given it. "
            "Put it back until the week is over."
        )


def _voices(ws: Workspace, campaign: Campaign, voices: Voices) -> pa.Table:
    """The language each arm has for a household that chose English, Welsh or nothing."""
    rows = [
        {
            "arm": arm.id,
            "spoken": spoken,
            "language": language_for(spoken, has_welsh=(arm.id, Language.CY.value) in voices, council=ws.council),
        }
        for arm in campaign.arms
        for spoken in ("", *Language)
    ]
    return pa.Table.from_pylist(rows)


def chunks(
    ws: Workspace,
    campaign: Campaign,
    week: Week,
    connection: duckdb.DuckDBPyConnection,
    voices: Voices,
    *,
    now: datetime,
) -> Iterator[tuple[Arm, CompiledTemplate, Chunk]]:
    """Recipients with their values, one arm and language after the other, some twenty thousand at a time."""
    made: set[str] = set()
    arms = {arm.id: arm for arm in campaign.arms}
    for (arm_id, language), compiled in voices.items():
        arm = arms[arm_id]
        values = {medium: compiled.values(medium) for medium in arm.media}
        for statement in tables_sql({name for names in values.values() for name in names}, compiled.stream, week):
            if statement not in made:
                connection.execute(statement)
                made.add(statement)
        for chunk in _voiced(ws, connection, week, now, arm=arm, language=language, compiled=compiled):
            yield arm, compiled, chunk


def _voiced(
    ws: Workspace,
    connection: duckdb.DuckDBPyConnection,
    week: Week,
    now: datetime,
    *,
    arm: Arm,
    language: str,
    compiled: CompiledTemplate,
) -> Iterator[Chunk]:
    found = connection.execute(calendar_sql(compiled.stream, week)).fetchall()
    slots = due_at(dict(found), compiled.lead, council=ws.council, week=week, now=now)
    anyway = plan((), compiled.lead, council=ws.council, week=week, now=now)
    rounds = {
        "round_id": pa.array(list(slots), pa.string()),
        "due_at": pa.array([naive(slot.due_at) for slot in slots.values()], pa.timestamp("us")),
        "next_on": pa.array([slot.next_on for slot in slots.values()], pa.date32()),
    }
    connection.register("slots", pa.table(rounds))
    values = {medium: compiled.values(medium) for medium in arm.media}
    reader = connection.execute(
        facts_sql(values, compiled.stream),
        {"arm": arm.id, "language": language, "due_at": naive(anyway.due_at) if anyway else None},
    ).to_arrow_reader(CHUNK_ROWS)
    for batch in reader:
        yield {name: column.to_pylist() for name, column in zip(batch.schema.names, batch.columns, strict=True)}


def naive(moment: datetime) -> datetime:
    """An aware moment as tables hold it: UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)
