"""The render step over a real warehouse and ledger: who is written to, what about, when, and what a crash leaves."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from nudges.catalogue import load_templates
from nudges.domain import (
    Arm,
    Campaign,
    Language,
    Lead,
    Medium,
    MessageState,
    Outcome,
    Reach,
    Reason,
    Shares,
    Template,
    Unit,
)
from nudges.errors import ConfigError, NotReadyError
from nudges.ledger import Ledger, address_hash
from nudges.rendering import compile_for, rebuild
from nudges.settings import load_council
from nudges.sms import measure
from nudges.steps.render import drafts, render
from nudges.steps.render import step as render_step
from nudges.steps.workspace import Workspace
from nudges.tables import TABLES
from nudges.warehouse import ARROW_TYPES, Warehouse
from nudges.weeks import Week

HOME = Path(__file__).parent.parent
WEEK = Week.parse("2026-W10")
NOW = datetime(2026, 3, 9, 5, tzinfo=UTC)  # the Monday after
STREET = [f"S{n}" for n in range(10)]  # ten houses on Acacia Road, none of them written to


def campaign(**arms):
    return Campaign(
        id="probe",
        title="Probe",
        segments=("all",),
        arms=tuple(Arm(name, template, media, Reach.ALL) for name, (template, media) in arms.items()),
        unit=Unit.HOUSEHOLD,
        outcome=Outcome.TAG_RATE,
        starts=WEEK,
        weeks=4,
        shares=Shares(0.2, 0.4, 0.4),
        budget_pence=100_000,
        every_weeks=4,
        estimator="no_effect",
        stated_effect_share=-0.1,
        source="",
    )


class Town:
    """A workspace with facts put in by hand."""

    def __init__(self, folder, made, *, nation="england", templates=None):
        council = replace(load_council(HOME), nation=nation)
        self.campaign = made
        self.ws = Workspace(
            home=folder,
            council=council,
            campaigns={made.id: made},
            segments={},
            templates=templates or load_templates(HOME),
            warehouse=Warehouse(folder / "warehouse"),
            ledger=Ledger.open(f"sqlite:///{folder / 'ledger.db'}"),
            environment={},
        )

    def put(self, table, rows, week=WEEK):
        columns = {
            c.name: pa.array([row.get(c.name) for row in rows], ARROW_TYPES[c.type])
            for c in TABLES.tables[table].columns
        }
        file = self.ws.warehouse.write(table, week, pa.table(columns), f"{table}-{len(rows)}-{week}")
        self.ws.ledger.register_drop(
            {
                "drop_id": f"{table}{week}", "table_name": table, "file_name": "x", "accepted": len(rows),
                "replaced": 0, "quarantined": 0, "loaded_at": NOW,
            },
            [file], [],
        )  # fmt: skip

    def choose(self, arms, reasons=None):
        """What the choose step leaves: assignments first, then the audience."""
        rows = {
            "campaign": ["probe"] * len(arms),
            "week_no": [WEEK.number] * len(arms),
            "household_id": list(arms),
            "unit_id": list(arms),
            "lane": ["learn"] * len(arms),
            "arm": list(arms.values()),
            "is_contactable": [1] * len(arms),
        }
        more = {"policy_arm": ["*"] * len(arms), "draw": [0.5] * len(arms), "propensity": [0.5] * len(arms)}
        self.ws.ledger.append("assignments", pa.table(rows | more))
        why = [(reasons or {}).get(home, "control" if arm == "control" else "chosen") for home, arm in arms.items()]
        file = self.ws.warehouse.write("audience", WEEK, pa.table(rows | {"reason": why}), "probe-0123456789abcdef")
        self.ws.ledger.replace_files("audience", WEEK, [file], drop_id="choose", prefix="probe-")

    def render(self, **kwargs):
        return render(self.ws, WEEK, now=kwargs.pop("now", NOW), **kwargs)

    def messages(self):
        rows = self.ws.ledger.select("SELECT * FROM messages ORDER BY household_id, medium").to_pylist()
        return {(row["household_id"], row["medium"]): row for row in rows}

    def reasons(self):
        live = self.ws.ledger.live_files(tables=["audience"])["audience"]
        assert len(live) == 1
        return {row["household_id"]: row["reason"] for row in self.ws.warehouse.read(live).to_pylist()}

    def words(self, row):
        return rebuild(compile_for(self.ws.templates, row["template"], row["language"], self.ws.council), row)


def home(name, **kwargs):
    return {
        "household_id": name, "known_on": date(2026, 1, 5), "house": name.strip("HS") or "1", "street": "ACACIA ROAD",
        "locality": "Ashford", "property_type": "house", "recycling_round_id": "R1",
    } | kwargs  # fmt: skip


def contact(home_id, medium, address=None, **kwargs):
    return {
        "household_id": home_id,
        "medium": medium,
        "known_on": date(2026, 1, 5),
        "address": address or (f"+44794600{home_id}" if medium == "sms" else f"{home_id}@example.org"),
        "basis": "public_task",
    } | kwargs


def collection(planned, moved=None, round_id="R1", stream="recycling"):
    return {"round_id": round_id, "stream": stream, "planned_on": planned, "collection_on": moved or planned}


def lift(unit, on, status="lifted"):
    return {
        "unit_id": unit, "stream": "recycling", "collected_on": on, "bin_chip_id": "", "status": status, "is_excess": 0,
    }  # fmt: skip


def tag(unit, on, reason="food"):
    return {"unit_id": unit, "stream": "recycling", "tagged_on": on, "reason": reason}


TAGGED = {"tag": ("tag_feedback", (Medium.SMS, Medium.EMAIL))}


@pytest.fixture
def town(tmp_path):
    made = Town(tmp_path, campaign(**TAGGED))
    made.put(
        "households",
        [
            home("H1"), home("H2"), home("H3"), home("H4"), home("H5", recycling_round_id="R9"), home("H6"),
            home("H7", property_type="flat", bin_store_id="B1", house="Flat 2, 7"), home("H8"), home("H9"),
        ],
    )  # fmt: skip
    made.put(
        "contacts",
        [
            contact("H1", "sms", "+447946000001", name="Ann"),
            contact("H1", "email", "bob@example.org", name="Bob \u2018B\u2019"),
            contact("H2", "sms", "+447946000002"), contact("H3", "email"), contact("H5", "sms"), contact("H6", "sms"),
            contact("H7", "sms"), contact("H9", "sms"), contact("H9", "email", "H9@Example.org"),
        ],
    )  # fmt: skip
    made.put("calendar", [collection(date(2026, 3, 5))])
    made.put("calendar", [collection(date(2026, 3, 12), moved=date(2026, 3, 13))], week=WEEK + 1)
    made.put(
        "tags",
        [
            tag("H1", date(2026, 3, 5)), tag("H3", date(2026, 3, 5), "soil"), tag("H5", date(2026, 3, 5)),
            tag("B1", date(2026, 3, 5), "refuse"), tag("H8", date(2026, 3, 5)), tag("H9", date(2026, 3, 5)),
        ],
    )  # fmt: skip
    made.put("tags", [tag("H1", date(2026, 2, 19), "garden")], week=WEEK - 2)
    made.put("tags", [tag("H6", date(2026, 1, 8))], week=WEEK - 8)
    made.choose({f"H{n}": "tag" for n in range(1, 10)} | {"H0": "control"})
    return made


def test_an_arm_that_reaches_by_the_first_medium_writes_once(town):
    arms = tuple(replace(arm, reach=Reach.FIRST) for arm in town.campaign.arms)
    town.campaign = replace(town.campaign, arms=arms)
    town.ws = replace(town.ws, campaigns={"probe": town.campaign})
    town.ws.ledger.suppress(household_id="H9", source="test", now=NOW)
    town.render()
    # H1 has both and the arm names texts first, H3 has an email address only, H7 a phone only
    assert sorted(town.messages()) == [("H1", "sms"), ("H3", "email"), ("H7", "sms")]
    town.render()
    assert sorted(town.messages()) == [("H1", "sms"), ("H3", "email"), ("H7", "sms")]


def test_everyone_gets_messages_or_a_reason(town):
    town.ws.ledger.suppress(household_id="H9", source="test", now=NOW)
    summary = town.render()
    assert sorted(town.messages()) == [("H1", "email"), ("H1", "sms"), ("H3", "email"), ("H7", "sms")]
    assert town.reasons() == {
        "H0": "control",
        "H1": "chosen",
        "H2": "missing_fact",  # never tagged
        "H3": "chosen",
        "H4": "no_contact",
        "H5": "no_collection",  # its round has none
        "H6": "missing_fact",  # its tag is too old to speak of
        "H7": "chosen",
        "H8": "no_contact",
        "H9": "suppressed",
    }
    assert summary.counts == {
        "sms": 2, "email": 2, "fragments": 3, "missing_fact": 2, "no_contact": 2, "no_collection": 1, "suppressed": 1,
    }  # fmt: skip
    assert summary.warnings == ("probe: templates/tag_feedback.j2, block sms: tag.reason not known for 2 households",)
    assert summary.facts == {"pence": 7.2}


def test_a_message_row_holds_all_that_is_needed_to_send_it(town):
    town.render()
    rows = town.messages()
    row = rows["H1", "sms"]
    assert row["due_at"] == datetime(2026, 3, 12, 18)  # the evening before the slipped collection of Friday 13 March
    assert row["state"] == MessageState.PLANNED
    assert json.loads(row["facts"]) == {
        "collection.on": "2026-03-13",
        "household.shared": 0,
        "tag.on": "2026-03-05",
        "tag.reason": "food",
    }
    content = town.words(row)
    assert "we found food waste in your recycling bin on 5 Mar" in content.text
    assert row["fragments"] == measure(content.text).fragments
    assert row["cost_pence"] == pytest.approx(2.4 * row["fragments"])
    assert row["content_hash"] == content.digest()
    letter = town.words(rows["H1", "email"])
    assert letter.text.startswith("Hello Bob 'B',")  # the name of that contact, typed quotes
    assert "twice in the last eight weeks" in letter.text
    assert "at 1 Acacia Road." in letter.text
    assert rows["H1", "email"]["cost_pence"] == 0
    assert "in your shared recycling bin" in town.words(rows["H7", "sms"]).text
    assert not town.ws.ledger.select("SELECT facts FROM messages WHERE facts LIKE '%@%' OR facts LIKE '%+44%'").num_rows


def test_running_again_changes_nothing(town):
    town.render()
    before, reasons = town.messages(), town.reasons()
    live = town.ws.ledger.live_files(tables=["audience"])
    again = town.render(now=datetime(2026, 3, 10, 5, tzinfo=UTC))
    assert (town.messages(), town.reasons(), town.ws.ledger.live_files(tables=["audience"])) == (before, reasons, live)
    assert again.counts["already_planned"] == 4
    assert again.headline == "0 messages planned, 0.00 pounds"


@pytest.mark.parametrize("dies_at", ["after one message", "before the audience"])
def test_a_crash_and_a_re_run_end_where_one_run_ends(town, monkeypatch, dies_at):
    class Killed(BaseException):
        pass

    def kill(*_args, **_kwargs):
        raise Killed

    if dies_at == "before the audience":
        monkeypatch.setattr(render_step, "_publish", kill)
    else:
        append = town.ws.ledger.append
        monkeypatch.setattr(Ledger, "append", lambda _, table, rows: (append(table, rows.slice(0, 1)), kill()))
    with pytest.raises(Killed):
        town.render()
    monkeypatch.undo()
    assert set(town.reasons().values()) == {"chosen", "control"}
    town.render()
    crashed, reasons = town.messages(), town.reasons()
    with town.ws.ledger._db.writing() as connection:
        connection.exec_driver_sql("DELETE FROM messages")
    town.render()
    assert (town.messages(), town.reasons()) == (crashed, reasons)
    assert len(crashed) == 6


def test_a_fact_that_comes_later_is_used_by_the_next_run(town):
    town.render()
    town.put("tags", [tag("H2", date(2026, 3, 4))], week=WEEK - 1)
    town.render()
    assert ("H2", "sms") in town.messages()
    assert town.reasons()["H2"] == "chosen"


def test_an_edited_template_replaces_what_nobody_approved(town):
    town.render()
    before = town.messages()
    approved, planned = before["H1", "sms"]["message_id"], before["H7", "sms"]["message_id"]
    town.ws.ledger.set_state([approved], MessageState.APPROVED, reason="", now=NOW, only_from=[MessageState.PLANNED])
    english = town.ws.templates["tag_feedback", Language.EN]
    edited = english.source.replace("we found", "we came upon")
    town.ws = replace(town.ws, templates={("tag_feedback", Language.EN): replace(english, source=edited, raw=edited)})
    town.render()
    after = town.messages()
    assert set(after) == set(before)
    assert after["H1", "sms"]["content_hash"] == before["H1", "sms"]["content_hash"]  # approved: left alone
    assert after["H7", "sms"]["message_id"] == planned
    assert "we came upon" in town.words(after["H7", "sms"]).text


def test_nothing_is_due_before_it_may_be(town):
    town.put("calendar", [collection(date(2026, 3, 19))], week=WEEK + 2)
    town.render(not_before=datetime(2026, 3, 13, 9, tzinfo=UTC))
    assert {row["due_at"] for row in town.messages().values()} == {datetime(2026, 3, 18, 18)}


def test_drafts_are_what_rendering_writes_and_leave_nothing(town):
    chosen = pa.table({"household_id": [f"H{n}" for n in range(1, 10)], "arm": ["tag"] * 9})
    drafted = drafts(town.ws, town.campaign, WEEK, chosen, now=NOW, show=2)
    assert town.messages() == {}
    summary = town.render()
    rows = town.messages()
    assert drafted == drafts(town.ws, town.campaign, WEEK, chosen, now=NOW, show=2)
    assert drafted.messages == {"sms": 3, "email": 3}
    assert sum(n * count for n, count in drafted.fragments.items()) == summary.counts["fragments"]
    assert drafted.pence == pytest.approx(summary.facts["pence"])
    assert drafted.reasons == {"missing_fact": 2, "no_contact": 2, "no_collection": 1}
    assert [(draft.household_id, draft.medium) for draft in drafted.first] == [("H1", "email"), ("H1", "sms")]
    for draft in drafted.first:
        assert draft.content.digest() == rows[draft.household_id, draft.medium]["content_hash"]
        assert draft.due_at == rows[draft.household_id, draft.medium]["due_at"].replace(tzinfo=UTC)


def test_facts_after_the_week_are_not_seen(town):
    town.put("tags", [tag("H2", date(2026, 3, 10))], week=WEEK + 1)
    town.render()
    assert town.reasons()["H2"] == "missing_fact"


SUPPRESSED = [
    # household, address, medium, media left
    ("H1", "", "", []),
    ("H1", "", "sms", ["email"]),
    ("", "+447946000001", "sms", ["email"]),
    ("", " BOB@example.org", "", ["sms"]),
    ("", "other@example.org", "", ["email", "sms"]),
]


@pytest.mark.parametrize(("household", "address", "medium", "left"), SUPPRESSED)
def test_suppressed_contacts_are_left_out(town, household, address, medium, left):
    town.ws.ledger.suppress(
        household_id=household, address_hash=address_hash(address), medium=medium, source="test", now=NOW
    )
    town.render()
    assert [medium for home_id, medium in town.messages() if home_id == "H1"] == left
    assert town.reasons()["H1"] == ("chosen" if left else "suppressed")


def test_only_the_latest_contact_counts(town):
    town.put("contacts", [contact("H1", "sms", "+447946000099", known_on=date(2026, 3, 4))], week=WEEK - 1)
    town.ws.ledger.suppress(address_hash=address_hash("+447946000099"), source="test", now=NOW)
    town.render()
    assert [medium for home_id, medium in town.messages() if home_id == "H1"] == ["email"]


def test_no_message_without_an_audience_or_an_assignment(town):
    (town.ws.home / "other").mkdir()
    other = Town(town.ws.home / "other", town.campaign)
    with pytest.raises(NotReadyError, match="no audience"):
        other.render()
    with town.ws.ledger._db.writing() as connection:
        connection.exec_driver_sql("DELETE FROM assignments WHERE household_id = 'H1'")
    with pytest.raises(NotReadyError, match="1 households of probe were chosen without a committed assignment"):
        town.render()
    assert town.messages() == {}


def test_an_arm_taken_off_after_choosing_is_said(town):
    """Its households would be neither written to nor given a reason."""
    edited = replace(town.campaign, arms=(replace(town.campaign.arms[0], id="other"),))
    with pytest.raises(ConfigError, match="arm 'tag' is gone"):
        render(replace(town.ws, campaigns={edited.id: edited}), WEEK, now=NOW)


def test_an_arm_by_a_medium_without_words_is_refused(tmp_path):
    only = Template(
        "probe", Language.EN, "", "", "service", "recycling", Lead.NEXT_DAY,
        "{% block sms %}Hi {{ links.stop }}{% endblock %}", "",
    )  # fmt: skip
    made = Town(tmp_path, campaign(a=("probe", (Medium.EMAIL,))), templates={("probe", Language.EN): only})
    with pytest.raises(ConfigError, match=r"arm a goes by email, but templates/probe\.j2 has no words"):
        made.render()


def test_wales_gets_welsh_first_unless_english_was_chosen(tmp_path):
    made = Town(tmp_path, campaign(**TAGGED), nation="wales")
    made.put("households", [home("H1"), home("H2", language="cy"), home("H3", language="en")])
    made.put("contacts", [contact(name, "sms") for name in ("H1", "H2", "H3")])
    made.put("calendar", [collection(date(2026, 3, 12))])
    made.put("tags", [tag(name, date(2026, 3, 5)) for name in ("H1", "H2", "H3")])
    made.choose(dict.fromkeys(("H1", "H2", "H3"), "tag"))
    made.render()
    rows = made.messages()
    assert [rows[name, "sms"]["language"] for name in ("H1", "H2", "H3")] == ["cy+en", "cy", "en"]
    both = made.words(rows["H1", "sms"]).text
    assert both.index("Edrychwch") < both.index("Please check")
    assert rows["H1", "sms"]["fragments"] == measure(both).fragments


def street_town(folder, statuses, *, shared=0):
    """H1 beside ten houses, of which `statuses` says what happened at each collection; one lift each."""
    made = Town(folder, campaign(norm=("street_norm", (Medium.SMS,))))
    flats = [home(f"F{n}", bin_store_id="B1") for n in range(shared)]
    made.put("households", [home("H1"), *(home(name) for name in STREET[: len(statuses)]), *flats])
    made.put("contacts", [contact("H1", "sms")])
    made.put("calendar", [collection(date(2026, 3, 12))])
    made.put("lifts", [lift(name, date(2026, 3, 5), s) for name, s in zip(STREET, statuses, strict=False) if s])
    made.choose({"H1": "norm"})
    made.render()
    return made


STREETS = [
    # what happened at the neighbours' (H1 itself was not out), said
    (["lifted"] * 9 + [None], "8 in 10 homes"),  # 9 of 11
    (["lifted"] * 10, "9 in 10 homes"),  # 10 of 11
    (["lifted"] * 5 + [None] * 4, "5 in 10 homes"),  # 5 of 10
    (["lifted"] * 4 + ["not_presented"] * 5, None),  # 4 of 10: below half is not said
    (["lifted"] * 6, None),  # 7 homes: too few
    (["lifted"] * 7, "9 in 10 homes"),  # 7 of 8
    (["lifted"] * 8 + ["missed", "not_read"], "9 in 10 homes"),  # 8 of 9: the crew's failures are nobody's
]


@pytest.mark.parametrize(("statuses", "said"), STREETS)
def test_the_street_norm_is_true_and_gives_nobody_away(tmp_path, statuses, said):
    made = street_town(tmp_path, statuses, shared=3)
    if said is None:
        assert made.reasons() == {"H1": Reason.MISSING_FACT}
    else:
        assert f": {said} on Acacia Road" in made.words(made.messages()["H1", "sms"]).text


def test_apology_and_thanks(tmp_path):
    made = Town(tmp_path, campaign(sorry=("missed_collection", (Medium.SMS,)), thanks=("thank_you", (Medium.SMS,))))
    made.put("households", [home("H1"), home("H2"), home("H3", bin_store_id="B1"), home("H4", recycling_round_id=None)])
    made.put("contacts", [contact(name, "sms") for name in ("H1", "H2", "H3", "H4")])
    made.put("calendar", [collection(day) for day in (date(2026, 3, 10), date(2026, 3, 17))])
    made.put(
        "lifts", [lift("H1", date(2026, 3, 5), "missed"), lift("H2", date(2026, 3, 5)), lift("B1", date(2026, 3, 5))]
    )
    made.put("lifts", [lift("H2", date(2026, 2, 26)), lift("H4", date(2026, 2, 26), "missed")], week=WEEK - 1)
    made.choose({"H1": "sorry", "H2": "thanks", "H3": "thanks", "H4": "sorry"})
    made.render()
    rows = made.messages()
    assert (
        "sorry, we missed your recycling bin on 5 Mar. Please put it out on Tuesday 10 March."
        in made.words(rows["H1", "sms"]).text
    )
    assert rows["H1", "sms"]["due_at"] == datetime(2026, 3, 9, 10)
    assert "you put your recycling bin out twice in four weeks" in made.words(rows["H2", "sms"]).text
    assert rows["H2", "sms"]["due_at"] == datetime(2026, 3, 11, 10)
    # Whose bin went out of a shared store nobody knows; without a next collection there is nothing to ask for.
    assert made.reasons() == {"H1": "chosen", "H2": "chosen", "H3": "missing_fact", "H4": "missing_fact"}
