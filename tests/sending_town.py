"""A small workspace with planned messages, for the tests of sending."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from nudges.domain import Medium, MessageState
from nudges.rendering import compile_for
from nudges.steps.workspace import Workspace, open_workspace
from nudges.weeks import Week

WEEK = Week.parse("2026-W47")
DUE = datetime(2026, 11, 23, 18, tzinfo=UTC)
PLANNED_AT = datetime(2026, 11, 22, 12, tzinfo=UTC)

COUNCIL = """
name = "Mardale Council"
nation = "england"
phone = "01632 960000"
website = "https://mardale.example/bins"
public_url = "https://bins.mardale.example"
salt = "test"
live = {live}
allow_list = ["h0@example.org", "+447700900000"]

[quiet_hours]
start = "20:00"
end = "08:00"

[channels]
sms = "{sms}"
email = "{email}"

[prices]
pence_per_fragment = 2.4
tag_cost_pence = 700
recycling_fee_pence_per_tonne = 0

[[routes]]
name = "landfill"
share = 1.0
gate_fee_pence_per_tonne = 15000
landfill = true
"""
TEMPLATE = """+++
title = "Tip"
mechanism = "prompt"
purpose = "public_task"
stream = "recycling"
lead = "next_day"
+++
{% block sms %}{{ council.name }}: hello {{ household.name }}. Stop: {{ links.stop }}{% endblock %}
{% block subject %}A tip for {{ household.name }}{% endblock %}
{% block email %}
Hello **{{ household.name }}**.
{% endblock %}
"""
CAMPAIGN = """
title = "Less in the rubbish bin"
segments = ["everyone"]
unit = "household"
outcome = "residual_kg"
starts = "2026-W40"
weeks = 20
estimator = "no_effect"
budget_pence = 100000
stated_effect_share = -0.02
[shares]
control = 0.25
learn = 0.35
best = 0.40
[arms.tip]
template = "tip"
media = ["sms", "email"]
"""
SEGMENT = "-- title: Everyone\n-- why: For tests\n-- expect: 0 to 1\nSELECT household_id FROM features\n"


def address(number: int, medium: str) -> str:
    return f"+4477009{number:05d}" if medium == Medium.SMS else f"h{number}@example.org"


def write_files(home: Path, *, live: bool = True, sms: str = "outbox", email: str = "outbox") -> None:
    for folder in ("campaigns", "segments", "templates"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "council.toml").write_text(COUNCIL.format(live=str(live).lower(), sms=sms, email=email))
    (home / "templates/tip.j2").write_text(TEMPLATE)
    (home / "campaigns/less.toml").write_text(CAMPAIGN)
    (home / "campaigns/other.toml").write_text(CAMPAIGN.replace("Less", "Other"))
    (home / "segments/everyone.sql").write_text(SEGMENT)


def open_town(home: Path, environment: Mapping[str, str] | None = None, **council) -> Workspace:
    write_files(home, **council)
    return open_workspace(home, environment or {})


def add_contacts(ws: Workspace, households: int, *, known_on: date = date(2026, 1, 5), name: str = "contacts") -> None:
    rows = [(f"h{number}", str(medium), address(number, medium)) for number in range(households) for medium in Medium]
    table = pa.table(
        {
            "household_id": [row[0] for row in rows],
            "medium": [row[1] for row in rows],
            "known_on": pa.array([known_on] * len(rows), pa.date32()),
            "address": [row[2] for row in rows],
            "basis": ["public_task"] * len(rows),
        }
    )
    week = Week.containing(known_on)
    written = ws.warehouse.write("contacts", week, table, name)
    ws.ledger.replace_files("contacts", week, [written], drop_id=name)


def add_messages(
    ws: Workspace,
    households: int,
    *,
    media=tuple(Medium),
    state: MessageState = MessageState.APPROVED,
    due_at: datetime = DUE,
    campaign: str = "less",
) -> list[str]:
    """Messages as the render step leaves them; ids tell campaign, household and medium."""
    compiled = compile_for(ws.templates, "tip", "en", ws.council)
    rows = []
    for number in range(households):
        for medium in media:
            message_id = f"{campaign}{number:06d}{medium}"
            facts = {"household.name": f"Name{number}"}
            link = {"links.stop": f"{ws.council.public_url}/s/{message_id}"}
            rows.append(
                {
                    "message_id": message_id,
                    "campaign": campaign,
                    "week_no": WEEK.number,
                    "household_id": f"h{number}",
                    "arm": "tip",
                    "medium": str(medium),
                    "template": "tip",
                    "language": "en",
                    "template_hash": compiled.template_hash,
                    "facts": json.dumps(facts),
                    "content_hash": compiled.render(medium, {**facts, **link}).digest(),
                    "fragments": 1 if medium is Medium.SMS else 0,
                    "cost_pence": 2.4 if medium is Medium.SMS else 0.0,
                    "due_at": due_at,
                    "state": str(state),
                    "changed_at": PLANNED_AT,
                }
            )
    ws.ledger.append("messages", pa.Table.from_pylist(rows))
    return [row["message_id"] for row in rows]


def states(ws: Workspace) -> dict[str, int]:
    found = ws.ledger.select("SELECT state, COUNT(*) AS n FROM messages GROUP BY state").to_pydict()
    return dict(zip(found["state"], found["n"], strict=True))


def state_of(ws: Workspace, message_id: str) -> tuple[str, str]:
    row = ws.ledger.select(
        "SELECT state, state_reason FROM messages WHERE message_id = :id", id=message_id
    ).to_pylist()[0]
    return row["state"], row["state_reason"] or ""


def outbox_files(ws: Workspace) -> list[Path]:
    return sorted(file for file in (ws.var / "outbox").glob("2*/*") if file.is_file())
