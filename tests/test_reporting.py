"""Reporting: pages for a shown effect, a null, harm and a failed check, from made-up results; disclosure; charts."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_results import CAMPAIGN, RESULTS, START, TITLES, effect, measured, of_rounds, page

from nudges.domain import Outcome
from nudges.measuring import (
    Agreement,
    Attrition,
    Balance,
    Flow,
    Group,
    Kind,
    Method,
    from_rows,
    sample_ratio,
    to_rows,
)
from nudges.reporting import IndexEntry, impact_json, impact_page, index_page
from nudges.reporting.charts import Point, effect_by_span, effect_by_week, forest
from nudges.reporting.disclosure import disclosed, disclosed_parts, shown, shown_share
from nudges.reporting.dose import bars
from nudges.reporting.drawing import Chart, ticks
from nudges.reporting.figures import interval_words, scale_of, signed
from nudges.weeks import Week


class Reader(HTMLParser):
    """Collects what a strict reader of the page would trip over."""

    VOID = frozenset({"meta", "line", "circle", "rect", "polygon", "polyline", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.ids, self.text, self.faults = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        self.text.append(data)


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.words = re.sub(r"\s+", " ", " ".join(reader.text))
    return reader


@pytest.mark.parametrize("name", RESULTS)
def test_page_is_whole_accessible_and_fetches_nothing(name):
    html = impact_page(page(RESULTS[name]))
    reader = read(html)
    assert reader.faults == []
    assert reader.open == []
    assert html.startswith('<!DOCTYPE html>\n<html lang="en-GB">')
    assert len(reader.ids) == len(set(reader.ids))
    names = [tag for tag, _ in reader.tags]
    assert not {"script", "link", "iframe", "img", "object", "form"} & set(names)
    assert not re.search(r"\b(src|href|url)\s*[=(]\s*[\"']?https?:", html)
    assert "@import" not in html
    assert names.count("h1") == 1
    assert names.count("table") == names.count("caption")
    assert all(attrs.get("scope") for tag, attrs in reader.tags if tag == "th")
    for tag, attrs in reader.tags:
        if tag == "svg":
            assert attrs["role"] == "img"
            assert all(wanted in reader.ids for wanted in attrs["aria-labelledby"].split())
    assert "@page { size: A4" in html
    assert "SECRET-SALT" not in html
    assert "nan" not in reader.words.lower().split()


def test_the_headline_of_a_shown_effect():
    words = read(impact_page(page(RESULTS["shown"]))).words
    assert "Effect shown" in words
    assert "0.30 kg less residual waste per household per week" in words
    assert "0.17 to 0.43 kg less" in words
    assert "\u22123.9 % (\u22125.6 to \u22122.2 %)" in words
    # 0.30 kg x 11,873 households x 12 weeks = 42.7 t, a quarter of it landfilled
    assert "42.7" in words
    assert "10.7" in words
    assert "Landfill tax England 2026-27: £130.75" in words
    assert "significant" not in words


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("inconclusive", "could only have seen a change of 0.31 kg"),
        ("not_shown", "sharp enough to see a change of 0.08 kg"),
        ("harm", "made things worse"),
    ],
)
def test_nulls_and_harm_are_said_plainly(name, said):
    words = read(impact_page(page(RESULTS[name]))).words
    assert said in words
    if name != "harm":
        assert "No saving is claimed" in words


def test_invalid_prints_no_effect_no_tonne_and_no_pound():
    html = impact_page(page(RESULTS["invalid"]))
    words = read(html).words
    assert "INVALID" in words
    assert "p = 1e-11" in words
    assert set(re.findall(r'<svg role="img" aria-labelledby="([a-z-]+)-title', html)) == {"flow", "dose"}
    for number in ("0.30", "0.17", "42.7", "\u22123.9", "£"):
        assert number not in words
    facts = impact_json(page(RESULTS["invalid"]))
    assert facts["effect"] is None
    assert facts["money"] is None
    assert facts["groups"] == []


def test_an_invalid_page_is_the_same_whatever_the_effect():
    # So it cannot hold any of it: not the effect, a tonne, a pound, an interval, nor anything reckoned from them.
    pages = [page(measured(middle, se, alarms=("Sample ratio.",))) for middle, se in ((-0.3, 0.066), (0.9, 0.4))]
    assert impact_page(pages[0]) == impact_page(pages[1])
    assert impact_json(pages[0]) == impact_json(pages[1])


def test_rates_are_printed_in_points_without_money():
    words = read(impact_page(page(RESULTS["tag_rate"]))).words
    assert "1.20 points lower" in words
    assert "share of recycling lifts tagged" in words
    assert "Disposal cost avoided" not in words


def test_small_groups_are_not_published():
    html = impact_page(page(RESULTS["shown"]))
    facts = impact_json(page(RESULTS["shown"]))
    assert "Tiny" not in {group["label"] for group in facts["groups"]}
    row = re.search(r'<th scope="row">Tiny</th>(.*?)</tr>', html, re.DOTALL)[1]
    assert "too few to show" in row
    assert not re.search(r"\d", row)
    assert "11,873" not in html
    assert "7,010" in html


def test_an_unfinished_campaign_says_it_is_interim():
    early = replace(RESULTS["shown"], week_no=(START + 5).number)
    assert "Interim" in read(impact_page(page(early))).words
    assert "Final" in read(impact_page(page(RESULTS["shown"]))).words


def test_a_council_without_a_past_is_reported_without_nan():
    head = replace(
        RESULTS["shown"].headline,
        balance=Balance(float("nan"), float("nan"), float("nan"), 1.0, 1.0, False),
        placebo=None,
    )
    rows = to_rows(replace(RESULTS["shown"], headline=head))
    assert all("NaN" not in row["result"] for row in rows)
    words = read(impact_page(page(from_rows(rows)))).words
    assert "nan" not in words.split()
    assert "unknown" in words


def test_titles_are_escaped():
    odd = replace(CAMPAIGN, title="Paper & <script>card</script>")
    html = impact_page(replace(page(RESULTS["shown"]), campaign=odd))
    assert "<script>" not in html
    assert "Paper &amp; &lt;script&gt;" in html


@pytest.mark.parametrize("name", RESULTS)
def test_rows_of_the_ledger_come_back_as_they_were(name):
    rows = to_rows(RESULTS[name])
    assert len({(row["kind"], row["label"]) for row in rows}) == len(rows)
    assert from_rows(list(reversed(rows))) == RESULTS[name]


def test_json_is_strict():
    text = json.dumps(impact_json(page(RESULTS["shown"])), allow_nan=False)
    assert json.loads(text)["verdict"] == "effect shown"


def test_index_lists_nulls_and_failures():
    rows = [IndexEntry.of(CAMPAIGN.title, RESULTS[name]) for name in ("shown", "inconclusive", "invalid")]
    html = index_page("Made-up Borough", rows, generated_at=datetime(2026, 6, 1, tzinfo=UTC), years=[2025, 2026])
    reader = read(html)
    assert reader.faults == []
    assert "INVALID" in reader.words
    assert html.index('href="2026.html"') < html.index('href="2025.html"')
    assert "Inconclusive" in reader.words
    assert html.count('href="less_rubbish/2026-W22.html"') == 3
    assert "No campaign has been measured yet" in index_page("B", [], generated_at=datetime(2026, 6, 1, tzinfo=UTC))


# --- what each section says

SECTIONS = (
    "What it is worth", "What was decided by lot", "From the draw to the comparison", "Checks that can void the result",
    "Messages that arrived", "The same question asked in other ways", "What the weighbridge says", "Effect by week",
    "Does it last?", "By message and by segment: exploratory", "Did neighbours change too?", "Did anything get worse?",
    "What was not measured", "Every campaign of 2026", "Was the plan followed?", "How to check and re-run this page",
)  # fmt: skip
NOT_OF = {
    "invalid": {"What it is worth", *SECTIONS[5:10]},
    "rounds": {"What the weighbridge says"},
}


def words_of(result, **changes):
    if changes:
        result = replace(result, headline=replace(result.headline, **changes))
    return read(impact_page(page(result))).words


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_has_the_same_sections_in_the_same_order(name):
    found = re.findall(r"<h2[^>]*>([^<]*)</h2>", impact_page(page(RESULTS[name])))[1:]
    wanted = [title for title in SECTIONS if title not in NOT_OF.get(name, ())]
    assert [title.replace("? Yes", "?") for title in found] == wanted


def test_the_title_holds_the_plan_and_the_seed():
    words = words_of(RESULTS["shown"])
    assert f"Plan settled 20 February 2026 by A. Officer, SHA-256 {'c3' * 32}" in words
    assert f"council's secret salt, SHA-256 {'a1' * 32}" in words


def test_the_interval_is_that_of_all_looks():
    # One look: 0.30 -+ 1.96 x 0.1 = 0.10 to 0.50; this page's boundary of 1.98 gives 0.102 to 0.498, one of 3 gives
    # 0.00 to 0.60.
    head = measured(-0.3, 0.1).headline
    wide = replace(head.looked, look=3, ci_low=-0.6, ci_high=-0.004, boundary=2.96)
    words = words_of(measured(-0.3, 0.1), looked=wide)
    assert "0.00 to 0.60 kg less" in words
    assert "Look 3 of 12, interval right for all looks so far." in words
    assert "boundary 2.96 standard errors" in words
    assert "\u22123.9 % (\u22127.8 to \u22120.1 %)" in words
    alone = words_of(measured(-0.3, 0.1), looked=None)
    assert "0.10 to 0.50 kg less" in alone
    assert "Look 12 of 12, interval right for a single look." in alone
    facts = impact_json(page(replace(RESULTS["shown"], headline=replace(head, looked=wide))))
    assert facts["interval"] == {"ci_low": -0.6, "ci_high": -0.004}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ("Was the plan followed? Yes", "before any outcome could be read", "a change of 1.9 % or more")),
        ({"is_before_start": False}, ("Was the plan followed? No", "no proof that the question came before")),
        (
            {"deviations": ("The number of weeks changed from 8 to 12.",), "detectable_share": None},
            ("Was the plan followed? No", "The number of weeks changed from 8 to 12.", "was not worked out"),
        ),
        (None, ("Was the plan followed? There was none", "Read the result as exploratory")),
    ],
)
def test_whether_the_plan_was_followed_is_said(changes, said):
    plan = RESULTS["shown"].headline.registration
    words = words_of(RESULTS["shown"], registration=None if changes is None else replace(plan, **changes))
    assert all(part in words for part in said)
    assert changes is None or ("Done otherwise than planned" in words) == ("deviations" in changes)


def test_landfill_tonnes_and_cash_stand_apart():
    words = words_of(RESULTS["shown"])
    # 42.74 t x 25 % landfilled = 10.69 t, four of its twelve weeks taxed at 126.15, eight at 130.75: 1,381 of 5,025
    assert "of which would have been landfilled (25 %), tonnes 10.7" in words
    assert "£1,381 of the disposal cost avoided is landfill tax" in words
    assert "£3,644 is gate fees" in words
    assert "minimum that the disposal contract" in words
    assert "No saving is claimed, so nothing here is cash." in words_of(RESULTS["inconclusive"])


def test_the_dose_and_the_effect_on_the_delivered():
    words = words_of(RESULTS["shown"])
    # 0.30 / 0.95 = 0.32 kg; doses 4 and 7 with 4 and 3 households join the 6,661 of three messages
    assert "3 to 7 messages: 6,670 households" in words
    assert "delivered to 95.1 % of the households compared in the campaign and to under 0.2 % of the control" in words
    assert "was 0.32 kg less (95 % interval 0.18 to 0.45 kg less)" in words


def test_robustness_rows_stand_beside_the_headline():
    drawn = re.search(r'<desc id="robustness-desc">(.*?)</desc>', impact_page(page(RESULTS["shown"])))[1]
    assert "Headline: \u22120.30 kg, from \u22120.43 to \u22120.17" in drawn
    assert "Difference in means: \u22120.28 kg" in drawn
    assert "Placebo: the 13 weeks before: +0.02 kg" in drawn


@pytest.mark.parametrize("agreement", Agreement)
def test_the_weighbridge_says_one_of_three_things(agreement):
    check = replace(RESULTS["shown"].headline.crosscheck, agreement=agreement)
    words = words_of(RESULTS["shown"], crosscheck=check)
    assert f"{agreement.value.capitalize()}: lorry weights" in words
    # 0.40 kg less -+ 0.9 x 2.083, the t quantile at 20.4 degrees of freedom
    assert "\u22120.40 \u22122.28 to +1.48" in words
    assert "93.1 % of the lorries' weight before the start and for 93.4 % after it" in words
    without = words_of(RESULTS["shown"], crosscheck=None)
    assert "lorry weights were not set beside bin weights" in without


def test_decay_claims_nothing_past_the_last_measured_week():
    words = words_of(RESULTS["shown"])
    assert "Weeks 1\u20134 since the last message" in words
    assert "Tonnes and pounds on this page end with 2026-W22" in words
    assert "halves in about 21 weeks (95 % interval: 9 or more)" in words
    assert "fades after the last message is not known yet" in words_of(RESULTS["shown"], half_life_weeks=None)


def test_a_span_of_one_week_is_called_a_week():
    rows = tuple(replace(row, label="14-14") if row.label == "5-12" else row for row in RESULTS["shown"].groups)
    said = words_of(replace(RESULTS["shown"], groups=rows))
    assert "Week 14 since the start" in said
    assert "14\u201314" not in said


def test_levels_of_rates_are_percent_and_the_note_on_money_is_a_sentence():
    said = words_of(replace(RESULTS["tag_rate"], money_note="less_rubbish: not turned into tonnes."))
    assert "who averaged 8.30 % ." in said.replace("%.", "% .")
    assert "What it is worth Not turned into tonnes." in said


def test_a_harm_elsewhere_is_marked():
    html = impact_page(page(RESULTS["shown"]))
    row = re.search(r'<tr class="bad"><th scope="row">Share of recycling lifts tagged</th>(.*?)</tr>', html, re.DOTALL)
    assert "+1.10 points" in row[1]
    assert "worse" in row[1]


def test_rounds_are_called_rounds():
    words = words_of(RESULTS["rounds"])
    assert "12 rounds drawn to get messages (15,240 households) against 12 rounds drawn to get none" in words
    assert "Among the rounds chosen by lot" in words
    assert "Randomisation test over 5,000 draws that could have been: p = 0.003" in words
    assert "8.3 % of the tonnage came on tickets that name several rounds or none. A ticket that names" in words
    assert "Rounds with / without 2026-W11" in words
    assert "so lorry weights cannot tell them apart" in words
    assert "12 / 12" in words
    few = words_of(of_rounds(), looked=None)
    assert "With fewer than 20 rounds the result is read once, at the planned end" in few


def test_a_draw_of_rounds_without_an_interval_says_so():
    test = replace(RESULTS["rounds"].headline.randomisation, ci_low=float("-inf"), ci_high=float("inf"), smallest_p=0.1)
    words = words_of(RESULTS["rounds"], randomisation=replace(test, p_value=0.1, is_exact=True, n_assignments=20))
    assert "over all 20 draws that could have been: p = 0.100, so few rounds give no interval" in words
    changed = replace(RESULTS["rounds"], headline=replace(RESULTS["rounds"].headline, randomisation=test))
    assert json.loads(json.dumps(impact_json(page(changed)), allow_nan=False))["randomisation"]["ci_low"] is None


def test_other_campaigns_of_the_year_are_on_the_page():
    html = impact_page(page(RESULTS["shown"]))
    assert all(f'href="../{name}/2026-W22.html">{title}</a>' in html for name, title in TITLES.items())
    assert 'href="../2026.html"' in html
    facts = impact_json(page(RESULTS["shown"]))
    assert [row["campaign"] for row in facts["campaigns"]] == list(RESULTS)
    assert next(row for row in facts["campaigns"] if row["campaign"] == "invalid")["share"] is None


# --- small groups


def with_arms(small, guard):
    """Two large arms, one tiny; a tenth of the guard arm is without a contact."""
    head = RESULTS["shown"].headline
    rows = (
        Flow("control", 7_010, 6_080, 0, 0, 6_021, 6_021, 7_010),
        Flow("big", 6_000, 5_500, 5_000, 4_900, 5_400, 5_400, 6_000),
        Flow("guard", guard, guard, guard, guard, guard, guard, guard),
        Flow("tiny", small, small, small, small, small, small, small),
    )
    groups = (
        Group(Kind.ARM, "big", "big", effect(-0.3, 0.07, 5_400)),
        Group(Kind.ARM, "guard", "guard", effect(-0.3, 0.2, guard)),
        Group(Kind.ARM, "tiny", "tiny", effect(-0.3, 1.0, small)),
    )
    return page(replace(RESULTS["shown"], headline=replace(head, flows=rows), groups=groups))


def test_a_small_arm_cannot_be_told_from_the_page_its_drawings_or_its_json():
    # 2 + 305 and 5 + 302: the sum is the same, and so is everything that is published
    one, other = with_arms(2, 305), with_arms(5, 302)
    assert impact_page(one) == impact_page(other)
    assert impact_json(one) == impact_json(other)
    facts = impact_json(one)
    assert {row["arm"]: row["assigned"] for row in facts["flow"]}["guard"] is None
    assert [row["effect"]["n_treated"] for row in facts["groups"] if row["kind"] == "arm"] == [None, None]


@pytest.mark.parametrize(
    "changes",
    [
        (
            {"attrition": Attrition(2 / 12_010, 3 / 6_080, 0.1, 0.4)},
            {"attrition": Attrition(5 / 12_010, 7 / 6_080, 0.2, 0.1)},
        ),
        ({"doses": ((0, 5_000), (1, 6_990), (2, 3), (5, 7))}, {"doses": ((0, 5_000), (1, 6_991), (2, 5), (5, 4))}),
    ],
)
def test_small_shares_and_doses_are_alike(changes):
    pages = [
        impact_page(page(replace(RESULTS["shown"], headline=replace(RESULTS["shown"].headline, **each))))
        for each in changes
    ]
    assert pages[0] == pages[1]


def test_a_ratio_with_a_small_group_has_no_number():
    ratios = tuple(
        (
            sample_ratio(
                "assigned",
                {"treated": 900, "control": 300, "holdout": n},
                {"treated": 0.74, "control": 0.25, "holdout": 0.01},
            ),
        )
        for n in (2, 6)
    )
    pages = [
        page(replace(RESULTS["shown"], headline=replace(RESULTS["shown"].headline, ratios=each))) for each in ratios
    ]
    assert impact_page(pages[0]) == impact_page(pages[1])
    assert impact_json(pages[0]) == impact_json(pages[1])


def test_a_headline_of_a_handful_of_households_is_not_published():
    tiny = replace(RESULTS["shown"].headline, effect=effect(-0.3, 0.1, 7, 40, method=Method.ANCOVA_HC2))
    tiny = page(replace(RESULTS["shown"], headline=tiny))
    words = read(impact_page(tiny)).words
    assert "Not published" in words
    assert "0.30" not in words
    assert impact_json(tiny)["effect"] is None
    assert "0.30" not in json.dumps(impact_json(tiny)["words"])


@given(st.lists(st.integers(0, 400), min_size=1, max_size=6))
def test_hidden_parts_do_not_come_back_from_a_published_sum(counts):
    safe = disclosed_parts(counts)
    assert all(number is None for count, number in zip(counts, safe, strict=True) if count <= 7)
    hidden = [count for count, number in zip(counts, safe, strict=True) if number is None]
    if len(hidden) < len(counts) and hidden:
        # Whoever knows the exact sum of the hidden ones still cannot rule out any value of 0 to 7 for a small one: the
        # others may make up the rest, and one of them may be large.
        assert len(hidden) >= 2
        assert sum(hidden) - 7 > 7
    if min(counts) > 7:
        assert None not in safe


@given(st.integers(16, 100_000), st.integers(0, 100_000))
def test_shares_are_those_of_publishable_counts(count, part):
    part = min(part, count)
    said = shown_share(part / count, count)
    if min(part, count - part) <= 7:
        assert said.startswith(("under", "over"))
        assert said == shown_share((0 if part <= 7 else count) / count, count)
    else:
        assert said == f"{100 * min(disclosed(part) / count, 1):.1f} %"


@given(st.lists(st.integers(0, 40), min_size=1, max_size=9))
def test_dose_bars_hold_everyone_and_no_bar_is_small(households):
    made = bars(list(enumerate(households)))
    assert sum(bar.households for bar in made) == sum(households)
    assert [bar.low for bar in made][1:] == [bar.high + 1 for bar in made][:-1]
    assert len(made) == 1 or all(bar.households > 7 for bar in made)


# --- pure functions


@given(st.integers(0, 2_000_000))
def test_disclosed_counts_are_hidden_or_rounded(count):
    safe = disclosed(count)
    if count <= 7:
        assert safe is None
        assert shown(count) == "7 or fewer"
    else:
        assert safe % 5 == 0
        assert abs(safe - count) <= 2.5


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
def test_ticks_cover_the_data_and_hit_zero(low, span):
    marks = ticks(min(low, 0), max(low + span, 0))
    assert marks[0] <= min(low, 0) + 1e-6 * span
    assert marks[-1] >= max(low + span, 0) - 1e-6 * max(1, abs(low + span))
    assert any(abs(mark) < 1e-9 for mark in marks)
    assert 2 <= len(marks) <= 9


def test_signs_and_intervals_in_words():
    scale = scale_of(Outcome.RESIDUAL_KG)
    assert (signed(-0.304, 2), signed(0.3, 2), signed(-0.001, 2)) == ("\u22120.30", "+0.30", "0.00")
    assert interval_words(-0.43, -0.17, scale) == "0.17 to 0.43 kg less"
    assert interval_words(0.17, 0.43, scale) == "0.17 to 0.43 kg more"
    assert interval_words(-0.13, 0.07, scale) == "0.13 kg less to 0.07 kg more"


@pytest.mark.parametrize(
    "points",
    [
        [Point("2026-W11", None)],
        [Point("2026-W11", -0.2, -0.4, 0.1)],
        [Point("a", -0.2, -0.4, 0.1), Point("b", None), Point("<c>", 0.0, 0.0, 0.0), Point("d", 3, -40, 46)],
        [],
    ],
)
def test_charts_are_well_formed_and_have_words(points):
    def by_span(drawn, chart):
        return effect_by_span([("While", drawn), ("After", drawn)] if drawn else [], chart)

    for draw in (effect_by_week, forest, by_span):
        root = ET.fromstring(draw(points, Chart("c", "A <title>", "Words & more", "Week")))
        title, desc = root[0], root[1]
        assert (title.text, desc.text) == ("A <title>", "Words & more")
        numbers = re.findall(r'"(-?\d+\.?\d*)"', ET.tostring(root, encoding="unicode"))
        assert all(-1 <= float(number) <= 800 for number in numbers)


def contrast(one, other):
    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    bright, dark = sorted((light(one), light(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_text_colours_reach_wcag_aa_on_white():
    html = impact_page(page(RESULTS["shown"]))
    colours = set(re.findall(r"[ {]color: (#[0-9a-f]{6})", html)) | set(
        re.findall(r'<text[^>]* fill="(#[0-9a-f]{6})"', html)
    )
    assert len(colours) >= 5
    assert all(contrast(colour, "#ffffff") >= 4.5 for colour in colours)


def test_dates_are_of_the_measured_weeks():
    assert "9 March 2026 to 31 May 2026" in read(impact_page(page(RESULTS["shown"]))).words
    assert Week.parse("2026-W11").monday == date(2026, 3, 9)
