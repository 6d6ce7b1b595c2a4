"""Approval: what a yes covers, what voids it, and what people are told."""

from __future__ import annotations

import json

import pytest
from sending_town import DUE, PLANNED_AT, WEEK, add_messages, open_town, states

from nudges.domain import MessageState
from nudges.errors import ApprovalError, ConfigError
from nudges.steps.approve import approve, approve_campaign
from nudges.steps.workspace import open_workspace


@pytest.fixture
def town(tmp_path):
    ws = open_town(tmp_path)
    add_messages(ws, 10, state=MessageState.PLANNED)  # 10 SMS at 2.4p and 10 emails: 24p
    return ws


def say_yes(ws, campaign="less", **caps):
    caps = {"max_messages": 20, "max_pence": 24, **caps}
    return approve_campaign(ws, campaign, by="Ann", now=PLANNED_AT, note="looks good", **caps)


def test_without_a_yes_nothing_moves(town):
    summary = approve(town, WEEK, now=DUE)
    assert states(town) == {"planned": 20}
    assert summary.counts == {"approved": 0, "waiting": 20, "campaigns": 1}
    [warning] = summary.warnings
    assert warning == (
        "less: 20 messages wait, nobody has approved this campaign. "
        "Type `nudges approve less --by NAME --max-messages 20 --max-pence 24`."
    )


def test_a_yes_releases_the_week_once(town):
    approval = say_yes(town)
    assert (approval.approved_by, approval.max_messages, approval.note) == ("Ann", 20, "looks good")
    assert approve(town, WEEK, now=DUE).counts["approved"] == 20
    assert states(town) == {"approved": 20}
    assert approve(town, WEEK, now=DUE).counts == {"approved": 0, "waiting": 0, "campaigns": 0}


def test_a_yes_is_on_record(town):
    say_yes(town)
    [row] = town.ledger.select("SELECT who, what, subject, detail FROM audit").to_pylist()
    assert (row["who"], row["what"], row["subject"]) == ("Ann", "approve", "less")
    assert json.loads(row["detail"])["max_pence"] == 24


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        ({"max_messages": 19}, "20 messages, approved for at most 19"),
        ({"max_pence": 23}, "24p, approved for at most 23p"),
    ],
)
def test_caps_hold_all_or_nothing(town, caps, words):
    say_yes(town, **caps)
    summary = approve(town, WEEK, now=DUE)
    assert states(town) == {"planned": 20}
    assert words in summary.warnings[0]


def test_caps_count_what_was_released_before(town):
    """Planned in two goes, the second go cannot pass a cap that the week as a whole breaks."""
    say_yes(town)
    approve(town, WEEK, now=DUE)
    more = town.ledger.select("SELECT * FROM messages LIMIT 1").to_pylist()[0]
    town.ledger.record(
        "messages", **{**more, "message_id": "onemore", "state": "planned", "changed_at": PLANNED_AT, "due_at": DUE}
    )
    assert "21 messages" in approve(town, WEEK, now=DUE).warnings[0]
    assert states(town) == {"approved": 20, "planned": 1}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("campaigns/less.toml", "budget_pence = 100000", "budget_pence = 200000"),
        ("segments/everyone.sql", "FROM features", "FROM features WHERE 1 = 1"),
        ("templates/tip.j2", 'title = "Tip"', 'title = "Tips"'),
    ],
)
def test_any_edit_voids(town, file, old, new):
    say_yes(town)
    path = town.home / file
    path.write_text(path.read_text().replace(old, new))
    summary = approve(open_workspace(town.home, {}), WEEK, now=DUE)
    assert states(town) == {"planned": 20}
    assert "changed since it was approved" in summary.warnings[0]


def test_new_welsh_twin_voids(town):
    say_yes(town)
    (town.home / "templates/tip.cy.j2").write_text((town.home / "templates/tip.j2").read_text())
    assert "changed since" in approve(open_workspace(town.home, {}), WEEK, now=DUE).warnings[0]


def test_edit_after_rendering_holds_even_when_approved_again(town):
    """Somebody approved the new words, but these messages hold the old ones."""
    path = town.home / "templates/tip.j2"
    path.write_text(path.read_text().replace("hello", "goodbye"))
    edited = open_workspace(town.home, {})
    say_yes(edited)
    summary = approve(edited, WEEK, now=DUE)
    assert states(town) == {"planned": 20}
    assert "template tip was edited after messages were rendered" in summary.warnings[0]


def test_campaigns_are_judged_apart(town):
    add_messages(town, 2, campaign="other", state=MessageState.PLANNED)
    say_yes(town)
    summary = approve(town, WEEK, now=DUE)
    assert summary.counts == {"approved": 20, "waiting": 4, "campaigns": 2}
    assert summary.warnings[0].startswith("other:")
    assert approve(town, WEEK, now=DUE, campaigns=["less"]).counts["campaigns"] == 0


def test_other_weeks_stay(town):
    say_yes(town)
    assert approve(town, WEEK + 1, now=DUE).counts["campaigns"] == 0
    assert states(town) == {"planned": 20}


def test_campaign_whose_file_is_gone_stays(town):
    say_yes(town)
    (town.home / "campaigns/less.toml").unlink()
    assert "is gone" in approve(open_workspace(town.home, {}), WEEK, now=DUE).warnings[0]


@pytest.mark.parametrize(
    ("caps", "by", "error", "words"),
    [
        ({}, " ", ApprovalError, "--by NAME"),
        ({"max_messages": -1}, "Ann", ApprovalError, "--max-messages == -1"),
        ({"max_pence": -1}, "Ann", ApprovalError, "--max-pence == -1"),
    ],
)
def test_a_yes_that_says_nothing(town, caps, by, error, words):
    caps = {"max_messages": 1, "max_pence": 1, **caps}
    with pytest.raises(error, match=words):
        approve_campaign(town, "less", by=by, now=DUE, **caps)


def test_unknown_campaign(town):
    with pytest.raises(ConfigError, match="less, other"):
        say_yes(town, "nothing")
