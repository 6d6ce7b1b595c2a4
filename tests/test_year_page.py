"""The year's account: what is claimed, how it adds up, what is listed; and the step that writes it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from made_up_results import CAMPAIGN, COUNCIL, RESULTS, TITLES, entries, measured

from nudges.domain import Outcome
from nudges.ledger import Ledger
from nudges.measuring import to_rows
from nudges.reporting import YearEntry, year_json, year_page, years
from nudges.steps.report import report
from nudges.steps.workspace import Workspace
from nudges.warehouse import Warehouse
from nudges.weeks import Week

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def words(*names):
    html = year_page("Made-up Borough", 2026, entries(*names), generated_at=NOW)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.split("</style>")[1]))


def row(said, label):
    """Value, low and high of a row of the sums."""
    found = re.search(re.escape(label) + r" (\S+) (\S+) to (\S+)", said)
    return [float(part.replace("\u2212", "-").replace("£", "").replace(",", "")) for part in found.groups()]


def test_every_campaign_is_listed_with_what_was_planned():
    said = words()
    assert all(title in said for title in TITLES.values())
    assert "Reminders on collection day INVALID 1.9 % none reported none reported" in said
    assert "Food caddies for flats Inconclusive 1.9 % 4.0 % \u22120.6 % (\u22123.5 to +2.2 %) none claimed" in said
    assert "Clean recycling Effect shown 1.9 %" in said
    assert "not weighed" in said


def test_only_shown_effects_are_claimed_and_variances_add():
    # Half-widths 1.98 x 0.066 kg in 11,873 households and 2.2 x 0.095 kg in 15,240, both over 12 weeks.
    one, other = (households * 12 / 1000 for households in (11_873, 15_240))
    value, half = 0.30 * one + 0.31 * other, math.hypot(1.98 * 0.066 * one, 2.2 * 0.095 * other)
    label = "Claimed: residual avoided, tonnes (2 campaigns with an effect shown)"
    assert row(words(), label) == pytest.approx([value, value - half, value + half], abs=0.06)
    facts = year_json(2026, entries())
    assert list(facts["claimed_tonnes"].values()) == pytest.approx([value, value - half, value + half])
    assert [each["campaign"] for each in facts["campaigns"] if each["is_claimed"]] == ["shown", "rounds"]


def test_the_sum_without_picking_stands_beside_the_claim():
    # All weighed campaigns that are valid: -0.30, -0.05, +0.005, +0.20 kg, and -0.31 kg by rounds.
    label = "Not claimed, for comparison: residual avoided, tonnes, of all weighed campaigns (5), shown or not"
    assert row(words(), label)[0] == pytest.approx(0.145 * 142.476 + 0.31 * 182.88, abs=0.06)


def test_harm_and_the_messages_of_every_campaign_are_taken_off():
    said = words("shown", "harm", "invalid")
    assert "Messages of 3 campaigns, nulls and INVALID included £2,550 as billed" in said
    net = [result.money.net_pence.value / 100 for result in (RESULTS["shown"], RESULTS["harm"])]
    left = row(said, "Worth of the claimed tonnes, less the harm, less all messages")
    assert left[0] == pytest.approx(sum(net) - 3 * 850.104, abs=0.6)


def test_nothing_claimed_is_said():
    said = words("inconclusive", "invalid")
    assert "(0 campaigns with an effect shown) none" in said
    assert year_json(2026, entries("inconclusive"))["claimed_tonnes"] is None


def over_new_year():
    """Twelve weeks from 2026-W48 on, one household-week more in each."""
    first = Week.parse("2026-W48").number
    head = RESULTS["shown"].headline
    weeks = tuple((first + n, 1_000 + n) for n in range(12))
    head = replace(head, first_week_no=first, last_week_no=first + 11, treated_household_weeks=weeks)
    return replace(RESULTS["shown"], headline=head, week_no=first + 11)


def test_a_campaign_over_the_new_year_counts_no_week_twice():
    result = over_new_year()
    assert years(result) == (2026, 2027)  # 2026 has 53 weeks
    parts = [YearEntry.of("Less", result, year, is_final=True) for year in (2026, 2027)]
    assert [part.weeks for part in parts] == ["2026-W48 to 2026-W53", "2027-W01 to 2027-W06"]
    whole = result.money.residual_tonnes
    assert sum(part.tonnes.value for part in parts) == pytest.approx(whole.value)
    assert parts[0].tonnes.value == pytest.approx(whole.value * sum(range(1_000, 1_006)) / sum(range(1_000, 1_012)))
    assert sum(part.cost_pence for part in parts) == pytest.approx(result.headline.cost_pence)
    assert parts[0].share == parts[1].share
    assert YearEntry.of("Less", result, 2025, is_final=True) is None


def test_an_invalid_campaign_has_no_effect_tonne_or_pound_in_the_account():
    one, other = (
        YearEntry.of("Less", measured(middle, 0.1, alarms=("Sample ratio.",)), 2026, is_final=True)
        for middle in (-0.3, 0.7)
    )
    assert one == other
    assert (one.share, one.tonnes, one.net_pence, one.seen_share) == (None, None, None, None)


# --- the step


def space(home, results, *, campaigns):
    ledger = Ledger.open(f"sqlite:///{home / 'ledger.db'}")
    for result in results:
        rows = pa.Table.from_pylist(to_rows(result))
        ledger.replace("effects", rows, campaign=result.campaign, week_no=result.week_no)
    return Workspace(
        home=home, council=COUNCIL, campaigns={campaign.id: campaign for campaign in campaigns}, segments={},
        templates={}, warehouse=Warehouse(home / "var" / "warehouse"), ledger=ledger, environment={},
    )  # fmt: skip


def test_the_step_writes_every_year_and_links_them(tmp_path):
    late = replace(over_new_year(), campaign="late")
    other = replace(CAMPAIGN, id="late", title="Late", starts=Week.parse("2026-W47"))
    ws = space(tmp_path, [RESULTS["shown"], late], campaigns=[CAMPAIGN, other])
    summary = report(ws, Week.parse("2027-W10"), now=NOW)
    folder = tmp_path / "var" / "reports"
    assert summary.facts["2026 page"] == "var/reports/2026.html"
    assert summary.facts["2027 page"] == "var/reports/2027.html"
    index = (folder / "index.html").read_text(encoding="utf-8")
    assert 'href="2027.html"' in index
    accounts = {year: json.loads((folder / f"{year}.json").read_text(encoding="utf-8")) for year in (2026, 2027)}
    assert [each["campaign"] for each in accounts[2026]["campaigns"]] == ["late", "less_rubbish"]
    assert [each["campaign"] for each in accounts[2027]["campaigns"]] == ["late"]
    page = (folder / "late" / f"{Week(late.week_no)}.html").read_text(encoding="utf-8")
    assert "Every campaign of 2027" in page
    assert 'href="../late/' in page


def test_a_campaign_whose_file_is_gone_stays_listed(tmp_path):
    ws = space(tmp_path, [RESULTS["harm"]], campaigns=[])
    summary = report(ws, Week.parse("2026-W30"), now=NOW)
    assert summary.counts == {"pages": 0, "campaigns_listed": 1}
    for name in ("index", "2026"):
        assert "less_rubbish (its file was removed)" in (tmp_path / f"var/reports/{name}.html").read_text("utf-8")


def test_measurements_after_the_week_asked_for_do_not_count(tmp_path):
    ws = space(tmp_path, [RESULTS["shown"]], campaigns=[CAMPAIGN])
    summary = report(ws, Week.parse("2026-W21"), now=NOW)
    assert summary.counts == {"pages": 0, "campaigns_listed": 0}
    assert not (tmp_path / "var/reports/2026.html").exists()


def test_rates_are_listed_without_tonnes():
    entry = YearEntry.of("Tags", measured(-0.012, 0.003, outcome=Outcome.TAG_RATE, level=0.083), 2026, is_final=False)
    assert entry.tonnes is None
    assert entry.share.value == pytest.approx(-0.012 / 0.083)
