"""Rules of sending: states, lateness, quiet hours, masking, fingerprint, approval, backoff."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudges import sending
from nudges.domain import (
    Arm,
    Campaign,
    Language,
    Lead,
    Letter,
    Medium,
    MessageState,
    Outcome,
    Purpose,
    QuietHours,
    Receipt,
    ReceiptStatus,
    Segment,
    Shares,
    Stream,
    Template,
    Unit,
)
from nudges.errors import ConfigError
from nudges.weeks import Week

NIGHT = QuietHours(time(20), time(8))
SIESTA = QuietHours(time(12), time(14))
LONDON = "Europe/London"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def a_template(language=Language.EN, raw="words"):
    return Template("tip", language, "Tip", "prompt", Purpose.SERVICE, Stream.RESIDUAL, Lead.NEXT_DAY, "source", raw)


CAMPAIGN = Campaign(
    id="less",
    title="Less",
    segments=("own_bins",),
    arms=(Arm("tip_sms", "tip", (Medium.SMS,)),),
    unit=Unit.HOUSEHOLD,
    outcome=Outcome.RESIDUAL_KG,
    starts=Week.parse("2026-W10"),
    weeks=12,
    shares=Shares(0.25, 0.35, 0.4),
    budget_pence=1,
    every_weeks=4,
    estimator="no_effect",
    stated_effect_share=-0.02,
    source="title = 'Less'",
)
SEGMENTS = {"own_bins": Segment("own_bins", "t", "w", 0, 1, "SELECT household_id FROM features")}
TEMPLATES = {("tip", Language.EN): a_template(), ("tip", Language.CY): a_template(Language.CY, "geiriau")}


# --- states


def test_finished_messages_never_move():
    for state in (MessageState.DROPPED, MessageState.REFUSED, MessageState.ACCEPTED):
        assert not any(sending.may_move(state, other) for other in MessageState)


def test_doubt_is_never_claimed_again_without_proof():
    assert not sending.may_move(MessageState.IN_DOUBT, MessageState.CLAIMED)
    assert sending.may_move(MessageState.IN_DOUBT, MessageState.RETRY)


@given(st.lists(st.sampled_from(MessageState), max_size=12))
def test_only_retry_goes_round(path):
    """Along any allowed path a state is met twice only in the loop of retry, claim and doubt."""
    state, seen = MessageState.PLANNED, [MessageState.PLANNED]
    for wanted in path:
        if sending.may_move(state, wanted):
            state = wanted
            seen.append(state)
    loop = {MessageState.RETRY, MessageState.CLAIMED, MessageState.IN_DOUBT}
    once = [visited for visited in seen if visited not in loop]
    assert len(once) == len(set(once))


@pytest.mark.parametrize("status", ReceiptStatus)
def test_every_receipt_moves_a_claimed_message_forward(status):
    assert sending.may_move(MessageState.CLAIMED, sending.state_after(Receipt("m", status)))


# --- clocks


@pytest.mark.parametrize(
    ("minutes", "late"), [(0, False), (180, False), (181, True), (-5, False)], ids=["now", "at", "past", "early"]
)
def test_late_after_three_hours(minutes, late):
    assert sending.is_late(NOON - timedelta(minutes=minutes), NOON, 180) is late


def test_a_run_a_person_started_is_never_late():
    assert not sending.is_late(None, NOON, 1)


@pytest.mark.parametrize(
    ("utc", "quiet"),
    [
        ("2026-01-10T19:59", False),  # winter: London is UTC
        ("2026-01-10T20:00", True),
        ("2026-01-10T07:59", True),
        ("2026-01-10T08:00", False),
        ("2026-07-10T18:59", False),  # summer: London is an hour ahead
        ("2026-07-10T19:00", True),
        ("2026-07-10T06:59", True),
        ("2026-07-10T07:00", False),
    ],
)
def test_quiet_hours_follow_the_council_clock(utc, quiet):
    assert sending.in_quiet_hours(datetime.fromisoformat(utc).replace(tzinfo=UTC), NIGHT, LONDON) is quiet


@given(st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1)), st.sampled_from([NIGHT, SIESTA]))
def test_quiet_until_is_the_first_moment_outside(moment, quiet):
    moment = moment.replace(tzinfo=UTC)
    until = sending.quiet_until(moment, quiet, LONDON)
    assert not sending.in_quiet_hours(until, quiet, LONDON)
    assert timedelta(0) <= until - moment <= timedelta(hours=13)  # 12 quiet hours, 13 when the clocks go back
    if until > moment:
        assert sending.in_quiet_hours(until - timedelta(seconds=1), quiet, LONDON)


def test_a_message_lives_two_days():
    assert sending.over_before(Lead.NEXT_DAY, NOON, "Europe/London") == NOON - timedelta(days=2)
    assert sending.over_before(Lead.MORNING_AFTER, NOON, "Europe/London") == NOON - timedelta(days=2)


def test_tonight_is_over_at_the_councils_midnight():
    # British Summer Time: midnight in London is 23:00 UTC of the day before.
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert sending.over_before(Lead.EVENING_BEFORE, noon, "Europe/London") == datetime(2026, 6, 30, 23, tzinfo=UTC)


# --- contacts


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("mary.jones@example.org", "m***@e***.org"),
        ("+447700900123", "+447***123"),
        ("x@y.co.uk", "x***@y***.uk"),
        ("12345", "***"),
    ],
)
def test_masked(address, shown):
    assert sending.masked(address) == shown


def test_contacts_are_masked_in_any_text():
    text = (
        'to "Mary" <mary@example.org>, +447700900123 and 07700900123; SM1342fe1b2c904d1ab04f0fc7a58abca9 at 1513299569'
    )
    masked = sending.mask_contacts(text)
    assert "mary@" not in masked
    assert "900123" not in masked
    assert "SM1342fe1b2c904d1ab04f0fc7a58abca9 at 1513299569" in masked


def test_trial_lets_only_listed_contacts_out():
    listed = ("Officer@Council.example", "+44 7700 900000")
    assert sending.may_leave("officer@council.example", live=False, allow_list=listed)
    assert sending.may_leave("+447700900000", live=False, allow_list=listed)
    assert not sending.may_leave("mary@example.org", live=False, allow_list=listed)
    assert sending.may_leave("mary@example.org", live=True, allow_list=())


# --- tries and calls


def test_tries_end():
    assert [sending.may_try_again(waits) for waits in (0, 4, 5, 6)] == [True, True, False, False]


def letter(number, text="same"):
    return Letter(f"m{number}", Medium.EMAIL, f"h{number}@example.org", text)


@given(st.lists(st.sampled_from("ab"), max_size=30), st.integers(1, 5))
def test_batches_keep_order_words_and_size(texts, size):
    letters = [letter(number, text) for number, text in enumerate(texts)]
    groups = list(sending.batches(letters, size))
    assert [one for group in groups for one in group] == letters
    assert all(len(group) <= size and len({one.text for one in group}) == 1 for group in groups)


# --- suppression

RULES = """
household address medium | asks         | held
h1        -       -      | h1 a1 sms    | yes
h1        -       -      | h1 a9 email  | yes
h1        -       -      | h2 a1 sms    | no
-         a1      -      | h1 a1 sms    | yes
-         a1      -      | h2 a1 sms    | yes
-         a1      -      | h1 a2 sms    | no
h1        -       sms    | h1 a1 email  | no
h1        a1      sms    | h1 a1 sms    | yes
h1        a1      sms    | h1 a2 sms    | no
h1        a1      sms    | h2 a1 sms    | no
"""


@pytest.mark.parametrize("line", RULES.strip().splitlines()[1:])
def test_suppressions(line):
    """An empty part means any; a bounce names household and address, so a new address may be written to."""
    row, asks, held = (part.split() for part in line.split("|"))
    suppressions = sending.Suppressions.of([tuple(part.replace("-", "") for part in row)])
    assert suppressions.hold(*asks) is (held == ["yes"])


# --- approval


def test_any_edit_changes_the_fingerprint():
    before = sending.fingerprint(CAMPAIGN, SEGMENTS, TEMPLATES)
    assert before == sending.fingerprint(CAMPAIGN, SEGMENTS, dict(reversed(TEMPLATES.items())))
    edits = [
        (replace(CAMPAIGN, source="title = 'More'"), SEGMENTS, TEMPLATES),
        (CAMPAIGN, {"own_bins": replace(SEGMENTS["own_bins"], sql="SELECT 1")}, TEMPLATES),
        (CAMPAIGN, SEGMENTS, {**TEMPLATES, ("tip", Language.EN): a_template(raw="other words")}),
        (CAMPAIGN, SEGMENTS, {**TEMPLATES, ("tip", Language.CY): a_template(Language.CY, "geiriau eraill")}),
        (CAMPAIGN, SEGMENTS, {("tip", Language.EN): a_template()}),
    ]
    assert len({before, *(sending.fingerprint(*edit) for edit in edits)}) == 6


def test_other_files_do_not_change_the_fingerprint():
    more = {**TEMPLATES, ("other", Language.EN): a_template(raw="nothing to do with it")}
    assert sending.fingerprint(CAMPAIGN, SEGMENTS, more) == sending.fingerprint(CAMPAIGN, SEGMENTS, TEMPLATES)


def test_fingerprint_names_the_missing_file():
    with pytest.raises(ConfigError, match=r"segments/own_bins\.sql"):
        sending.fingerprint(CAMPAIGN, {}, TEMPLATES)
    with pytest.raises(ConfigError, match=r"templates/tip\.j2"):
        sending.fingerprint(CAMPAIGN, SEGMENTS, {})


def test_caps_do_not_trip_over_fractions_of_pence():
    pence = sum([2.4] * 50)  # 120.00000000000003 in floating point
    totals = sending.Totals(50, pence)
    assert sending.approval_problems("less", totals, "now", approved="now", max_messages=50, max_pence=120) == ()


@pytest.mark.parametrize(
    ("approved", "max_messages", "max_pence", "words"),
    [
        ("now", 100, 240, []),
        ("now", 99, 240, ["100 messages, approved for at most 99"]),
        ("now", 100, 239, ["240p, approved for at most 239p"]),
        ("now", 9, 9, ["at most 9.", "at most 9p"]),
        ("before", 100, 240, ["changed since it was approved"]),
        (None, 0, 0, ["nobody has approved"]),
    ],
)
def test_approval_problems_say_what_to_type(approved, max_messages, max_pence, words):
    problems = sending.approval_problems(
        "less",
        sending.Totals(100, 239.6),
        "now",
        approved=approved,
        max_messages=max_messages,
        max_pence=max_pence,
    )
    assert len(problems) == len(words)
    for problem, word in zip(problems, words, strict=True):
        assert word in problem
        assert "nudges approve less --by NAME --max-messages 100 --max-pence 240" in problem
