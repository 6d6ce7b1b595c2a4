"""A workspace with a town of a given size: features, membership and contacts written straight into the warehouse."""

from dataclasses import replace
from datetime import UTC, date, datetime, time

import numpy as np
import pyarrow as pa

from nudges.domain import (
    Arm,
    Campaign,
    Council,
    Language,
    Lead,
    Medium,
    Outcome,
    QuietHours,
    Route,
    Shares,
    Unit,
)
from nudges.ledger import Ledger
from nudges.steps.workspace import Workspace
from nudges.warehouse import Warehouse
from nudges.weeks import Week

WEEK = Week.parse("2026-W10")
NOW = datetime(2026, 3, 9, 6, tzinfo=UTC)

COUNCIL = Council(
    name="Smallton",
    nation="england",
    phone="0113 000 0000",
    website="https://smallton.example",
    public_url="https://nudges.smallton.example",
    timezone="Europe/London",
    languages=(Language.EN,),
    live=False,
    allow_list=(),
    holdout_share=0.05,
    salt="smallton",
    quiet_hours=QuietHours(time(20), time(8)),
    send_times=dict.fromkeys(Lead, time(17, 30)),
    cap_messages=2,
    cap_weeks=4,
    late_after_minutes=120,
    channels={Medium.SMS: "outbox", Medium.EMAIL: "outbox"},
    pence_per_fragment=2.4,
    pence_per_email=0.1,
    routes=(Route("landfill", 1.0, 2_600, True),),
    recycling_fee_pence_per_tonne=4_200,
    tag_cost_pence=250,
    ingest=(),
)

CAMPAIGN = Campaign(
    id="less_rubbish",
    title="Less in the rubbish bin",
    segments=("everyone",),
    arms=(Arm("norm_sms", "street_norm", (Medium.SMS,)), Arm("caddy_email", "food_caddy_start", (Medium.EMAIL,))),
    unit=Unit.HOUSEHOLD,
    outcome=Outcome.RESIDUAL_KG,
    starts=WEEK,
    weeks=12,
    shares=Shares(0.25, 0.35, 0.40),
    budget_pence=1_000_000,
    every_weeks=4,
    estimator="dr_linear",
    stated_effect_share=-0.02,
    source="",
)


def workspace(home, *campaigns, **council):
    """A workspace in `home` with these campaigns (CAMPAIGN when none is given) and changes to the council."""
    for name in ("warehouse", "models"):
        (home / "var" / name).mkdir(parents=True, exist_ok=True)
    chosen = campaigns or (CAMPAIGN,)
    return Workspace(
        home=home,
        council=replace(COUNCIL, **council),
        campaigns={campaign.id: campaign for campaign in chosen},
        segments={},
        templates={},
        warehouse=Warehouse(home / "var" / "warehouse"),
        ledger=Ledger.open(f"sqlite:///{home / 'var' / 'ledger.db'}"),
        environment={},
    )


def homes(n, *, stores=0, seed=0):
    """Columns of `features` for n homes; the first 6 x `stores` are flats, six to a bin store."""
    rng = np.random.default_rng(seed)
    ids = [f"H{number:06d}" for number in range(n)]
    units = [f"S{number // 6:04d}" if number < 6 * stores else home for number, home in enumerate(ids)]
    return {
        "household_id": ids,
        "unit_id": units,
        "has_residual_service": (rng.random(n) < 0.98).astype(int) | (np.arange(n) < 6 * stores),
        "has_recycling_service": np.ones(n, dtype=int),
        "has_sms": (rng.random(n) < 0.8).astype(int),
        "has_email": (rng.random(n) < 0.7).astype(int),
        "residual_kg_mean_8w": rng.normal(9, 3, n),
        "is_flat": (np.arange(n) < 6 * stores).astype(int),
        "store_households": np.where(np.arange(n) < 6 * stores, 6, 1),
    }


def settle(ws, week, columns, *, segments=("everyone",), now=NOW):
    """Make these the features, membership and contacts of `week`."""
    ids = pa.array(columns["household_id"])
    numbers = pa.array(np.full(len(ids), week.number))
    features = pa.table({name: pa.array(values) for name, values in columns.items()} | {"week_no": numbers})
    member = pa.table(
        {
            "segment": pa.array([segment for segment in segments for _ in range(len(ids))]),
            "household_id": pa.concat_arrays([ids] * len(segments)),
            "week_no": pa.array(np.full(len(ids) * len(segments), week.number)),
        }
    )
    for table, rows in (("features", features), ("membership", member)):
        file = ws.warehouse.write(table, week, rows, f"{table}-test")
        ws.ledger.replace_files(table, week, [file], drop_id=f"test:{table}:{week}", now=now)
    contacts = [
        (home, medium, f"+4477{number:08d}" if medium == "sms" else f"h{number}@example.org")
        for number, home in enumerate(columns["household_id"])
        for medium in ("sms", "email")
        if columns[f"has_{medium}"][number]
    ]
    rows = pa.table(
        {
            "household_id": pa.array([home for home, _, _ in contacts], pa.string()),
            "medium": pa.array([medium for _, medium, _ in contacts], pa.string()),
            "known_on": pa.array([date(2025, 1, 6)] * len(contacts), pa.date32()),
            "address": pa.array([address for _, _, address in contacts], pa.string()),
            "basis": pa.array(["public_task"] * len(contacts), pa.string()),
        }
    )
    start = Week.containing(date(2025, 1, 6))
    file = ws.warehouse.write("contacts", start, rows, "contacts-test")
    ws.ledger.replace_files("contacts", start, [file], drop_id="test:contacts", now=now)


def assignments(ws, week, campaign=CAMPAIGN):
    """Committed assignments of a week, in order of household."""
    return ws.ledger.select(
        "SELECT * FROM assignments WHERE campaign = :campaign AND week_no = :week ORDER BY household_id",
        campaign=campaign.id,
        week=week.number,
    )


def audience(ws, week, campaign=CAMPAIGN):
    """Live audience of a week as a data frame by household."""
    with ws.facts(week, extra=["audience"]) as connection:
        rows = connection.execute(
            "SELECT * FROM audience WHERE campaign = ? AND week_no = ? ORDER BY household_id",
            [campaign.id, week.number],
        ).df()
    return rows.set_index("household_id")


def sent(ws, week, households, *, campaign="less_rubbish", arm="norm_sms", state="accepted", medium="sms", pence=2.4):
    """Write messages of the run of `week`."""
    n = len(households)
    same = {
        "campaign": campaign, "arm": arm, "medium": medium, "template": "street_norm", "language": "en",
        "template_hash": "t", "facts": "{}", "content_hash": "c", "state": state,
    }  # fmt: skip
    columns = {name: pa.array([value] * n) for name, value in same.items()}
    rows = columns | {
        "message_id": pa.array([f"{campaign}-{week}-{household}-{medium}" for household in households]),
        "household_id": pa.array(list(households)),
        "week_no": pa.array([week.number] * n),
        "fragments": pa.array([1] * n),
        "cost_pence": pa.array([float(pence)] * n),
        "due_at": pa.array([NOW] * n, pa.timestamp("us", tz="UTC")),
        "changed_at": pa.array([NOW] * n, pa.timestamp("us", tz="UTC")),
    }
    ws.ledger.append("messages", pa.table(rows))


def weigh(ws, columns, weeks, kg):
    """Weekly residual lifts on one round: `kg` maps (unit ids, week) to kg of each unit in that week."""
    units, homes_of = np.unique(columns["unit_id"], return_counts=True)
    start = Week.containing(date(2025, 1, 6))
    ids = columns["household_id"]
    stores = [unit if unit != home else None for home, unit in zip(ids, columns["unit_id"], strict=True)]
    register = pa.table(
        {
            "household_id": pa.array(ids),
            "known_on": pa.array([start.monday] * len(ids), pa.date32()),
            "property_type": pa.array(["flat" if store else "house" for store in stores]),
            "bin_store_id": pa.array(stores, pa.string()),
            "residual_round_id": pa.array(["R1"] * len(ids)),
        }
    )
    tables = [("households", start, register)]
    for week in weeks:
        day = pa.array([week.monday] * len(units), pa.date32())
        planned = {"round_id": ["R1"], "stream": ["residual"], "planned_on": pa.array([week.monday], pa.date32())}
        grams = np.maximum(np.asarray(kg(units, week)) * homes_of * 1000, 0).astype(np.int64)
        lifts = {
            "unit_id": pa.array(units), "stream": pa.array(["residual"] * len(units)), "collected_on": day,
            "bin_chip_id": pa.array([""] * len(units)), "status": pa.array(["lifted"] * len(units)),
            "weight_g": pa.array(grams), "is_excess": pa.array(np.zeros(len(units), dtype=int)),
        }  # fmt: skip
        tables += [("calendar", week, pa.table(planned)), ("lifts", week, pa.table(lifts))]
    for table, week, rows in tables:
        file = ws.warehouse.write(table, week, rows, f"{table}-test")
        ws.ledger.replace_files(table, week, [file], drop_id=f"test:{table}:{week}", now=NOW)
