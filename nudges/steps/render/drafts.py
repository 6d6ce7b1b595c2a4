"""Turns households with an arm into the words they would get, before anything is chosen or written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from nudges.domain import Campaign, Medium
from nudges.rendering import CompiledTemplate, Content, rebuild
from nudges.rendering.writing import Messages, Naming
from nudges.steps.render.recipients import chunks, compile_arms, load_recipients, open_facts
from nudges.steps.render.tally import Tally
from nudges.steps.workspace import Workspace
from nudges.weeks import Week


@dataclass(frozen=True, slots=True)
class Draft:
    """One message as it would be. Personal: for the officer's eyes, never for a log."""

    household_id: str
    arm: str
    medium: Medium
    language: str
    due_at: datetime
    fragments: int
    content: Content


@dataclass(frozen=True, slots=True)
class Drafts:
    """What a campaign would send. `fragments` counts SMS by their number of fragments, `reasons` who gets nothing."""

    messages: Mapping[str, int]
    fragments: Mapping[int, int]
    pence: float
    reasons: Mapping[str, int]
    lacking: Mapping[str, int]
    first: tuple[Draft, ...]


def drafts(ws: Workspace, campaign: Campaign, week: Week, chosen: pa.Table, *, now: datetime, show: int = 5) -> Drafts:
    """Write `chosen` (household_id, arm; control left out) as rendering would now, keeping only the first few words.

    Raises:
        ConfigError, RenderError: a template of the campaign is wrong.
    """
    voices = compile_arms(ws, campaign)
    naming = Naming(campaign.id, week.number, ws.council.salt)
    tally = Tally()
    fragments: Counter[int] = Counter()
    first: list[Draft] = []
    with closing(open_facts(ws, week)) as connection:
        connection.register("given", chosen)
        connection.execute("CREATE OR REPLACE TEMP TABLE chosen AS SELECT household_id, arm FROM given")
        load_recipients(ws, campaign, week, connection, voices, again=True)
        for arm, compiled, chunk in chunks(ws, campaign, week, connection, voices, now=now):
            messages = tally.write(arm, compiled, chunk, naming)
            fragments.update(n for n in messages.fragments if n)
            first += _shown(compiled, arm.id, messages, show)
    first.sort(key=lambda draft: (draft.household_id, draft.medium))
    emails = tally.counts[Medium.EMAIL]
    return Drafts(
        messages={medium: tally.counts[medium] for medium in Medium if tally.counts[medium]},
        fragments=dict(sorted(fragments.items())),
        pence=tally.counts["fragments"] * ws.council.pence_per_fragment + emails * ws.council.pence_per_email,
        reasons={str(reason): n for reason, n in Counter(tally.excluded.values()).items()},
        lacking=dict(tally.lacking),
        first=tuple(first[:show]),
    )


def _shown(compiled: CompiledTemplate, arm: str, messages: Messages, show: int) -> list[Draft]:
    order = sorted(range(len(messages.message_id)), key=lambda n: (messages.household_id[n], messages.medium[n]))
    return [
        Draft(
            household_id=messages.household_id[n],
            arm=arm,
            medium=Medium(messages.medium[n]),
            language=compiled.language,
            due_at=messages.due_at[n].replace(tzinfo=UTC),
            fragments=messages.fragments[n],
            content=rebuild(
                compiled,
                {
                    "message_id": messages.message_id[n],
                    "household_id": messages.household_id[n],
                    "medium": messages.medium[n],
                    "facts": messages.facts[n],
                    "content_hash": messages.content_hash[n],
                },
            ),
        )
        for n in order[:show]
    ]
