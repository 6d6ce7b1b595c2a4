"""Reporting: pages for a shown effect, a null, harm and a failed check, from made-up results; disclosure; charts."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, date, datetime, time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudges.domain import (
    Arm,
    Campaign,
    Council,
    Language,
    Medium,
    Outcome,
    QuietHours,
    Route,
    Shares,
    Unit,
    Verdict,
)
from nudges.measuring import (
    Balance,
    Effect,
    Flow,
    Group,
    Headline,
    Measured,
    Method,
    OutageGap,
    from_rows,
    pooled,
    sample_ratio,
    to_rows,
    verdict,
    verdict_words,
)
from nudges.money import Range, savings
from nudges.reporting import ImpactPage, IndexEntry, impact_json, impact_page, index_page
from nudges.reporting.charts import Chart, Point, effect_by_week, forest, ticks
from nudges.reporting.disclosure import disclosed, shown
from nudges.reporting.figures import interval_words, scale_of, signed
from nudges.weeks import Week

COUNCIL = Council(
    name="Made-up Borough Council", nation="england", phone="01632 960000", website="https://example.org",
    public_url="https://example.org/r", timezone="Europe/London", languages=(Language.EN,), live=False, allow_list=(),
    holdout_share=0.05, salt="SECRET-SALT", quiet_hours=QuietHours(time(20), time(8)), send_times={}, cap_messages=2,
    cap_weeks=4, late_after_minutes=180, channels={}, pence_per_fragment=2.4, pence_per_email=0.0,
    routes=(Route("Energy from waste", 0.75, 10_500, False), Route("Landfill", 0.25, 2600, True)),
    recycling_fee_pence_per_tonne=4200, tag_cost_pence=500, ingest=(),
)  # fmt: skip
START = Week.parse("2026-W10")
CAMPAIGN = Campaign(
    id="less_rubbish", title="Less in the rubbish bin", segments=("own_bins",),
    arms=(Arm("street_norm_sms", "street_norm", (Medium.SMS,)), Arm("own_kg_email", "own_kg", (Medium.EMAIL,))),
    unit=Unit.HOUSEHOLD, outcome=Outcome.RESIDUAL_KG, starts=START, weeks=12, shares=Shares(0.25, 0.35, 0.4),
    budget_pence=200_000, every_weeks=4, estimator="causal_stack", stated_effect_share=-0.02, source="title = ...",
)  # fmt: skip


def effect(middle, se, n_treated=11_873, n_control=6_021):
    df = n_treated + n_control - 3
    return Effect.of(middle, se, df, n_treated=n_treated, n_control=n_control, method=Method.ANCOVA_HC2, alpha=0.05)


def measured(middle=-0.30, se=0.066, *, alarms=(), outcome=Outcome.RESIDUAL_KG, level=7.72):
    head_effect = effect(middle, se)
    said = verdict(head_effect, outcome, stated=0.02 * level, alarms=alarms)
    weeks = tuple(((START + n).number, 11_873) for n in range(1, 13))
    head = Headline(
        outcome=outcome, verdict=said, words=verdict_words(said, head_effect, outcome, alarms=alarms), alarms=alarms,
        effect=head_effect, control_mean=level, stated=-0.02 * level, detectable=head_effect.detectable,
        first_week_no=(START + 1).number, last_week_no=(START + 12).number, households_treated=11_873,
        households_control=6_021, treated_household_weeks=weeks,
        ratios=(
            sample_ratio("assigned", {"treated": 13_900, "control": 7_010, "holdout": 1_098},
                         {"treated": 0.95 * 0.6633, "control": 0.95 * 0.3367, "holdout": 0.05}),
            sample_ratio("contactable", {"treated": 12_010, "control": 6_080}, {"treated": 0.6633, "control": 0.3367}),
            sample_ratio("analysed", {"treated": 11_873, "control": 6_021 if not alarms else 6_621},
                         {"treated": 0.6633, "control": 0.3367}),
        ),
        outage=OutageGap(0.0341, 0.0338, 0.0003, 0.41, is_alarm=False),
        balance=Balance(7.81, 7.79, 0.004, 0.013, 0.012, is_notable=False), placebo=effect(0.02, 0.05),
        flows=(
            Flow("control", 7_010, 6_080, 0, 0, 6_930, 6_021, 7_010),
            Flow("own_kg_email", 6_980, 6_003, 5_902, 5_611, 6_900, 5_941, 6_980),
            Flow("street_norm_sms", 6_920, 6_007, 5_955, 5_871, 6_840, 5_932, 6_920),
            Flow("holdout", 1_098, 950, 0, 0, 1_080, 0, 1_098),
        ),
        messages=35_421, cost_pence=85_010.4,
    )  # fmt: skip
    money = savings(
        Range(middle, head_effect.ci_low, head_effect.ci_high), [(Week(number).monday, n) for number, n in weeks],
        COUNCIL, programme_cost_pence=head.cost_pence,
    ) if said is not Verdict.INVALID and outcome is Outcome.RESIDUAL_KG else None  # fmt: skip
    return Measured("less_rubbish", (START + 12).number, head, groups(middle, se), money)


def groups(middle, se):
    arms = {
        "own_kg_email": effect(middle * 0.7, se * 1.3, 5_941),
        "street_norm_sms": effect(middle * 1.25, se * 1.3, 5_932),
    }
    segments = {
        "Heavy bins": effect(middle * 2.1, se * 2.2, 2_301, 1_201),
        "Missed the food caddy for eight weeks or more": effect(middle * 0.8, se * 2, 2_981, 1_502),
        "Flats above shops": effect(middle * 0.2, se * 9, 160, 75),
        "Newly moved in": None,
        "Tiny": effect(middle, se * 20, 7, 30),
    }
    rows = []
    for kind, effects in (("arm", arms), ("segment", segments)):
        known = {label: each for label, each in effects.items() if each}
        shrunk = dict(zip(known, pooled(list(known.values())), strict=True))
        rows += [Group(kind, label, label, each, shrunk.get(label)) for label, each in effects.items()]
    shape = [0.5, 1.3, 1.2, 1.35, 1.1, 1.0, 1.2, None, 0.8, 0.9, 0.7, 0.95]
    for n, factor in enumerate(shape, start=1):
        each = None if factor is None else effect(middle * factor + 0.02 * (-1) ** n, se * 1.9)
        rows.append(Group("week", str(START + n), str(START + n), each))
    return tuple(rows)


def page(result):
    return ImpactPage(
        council=COUNCIL, campaign=CAMPAIGN, measured=result, generated_at=datetime(2026, 6, 1, 6, 30, tzinfo=UTC),
        salt_sha256="a1" * 32, data_sha256="b2" * 32, version="0.1.0",
    )  # fmt: skip


SRM = ("Sample ratio at 'analysed': 11,873 treated units for 12,267 expected (p = 1e-11). These are not the groups.",)
RESULTS = {
    "shown": measured(),
    "inconclusive": measured(-0.05, 0.11),
    "not_shown": measured(0.005, 0.03),
    "harm": measured(0.2, 0.06),
    "invalid": measured(alarms=SRM),
    "tag_rate": measured(-0.012, 0.003, outcome=Outcome.TAG_RATE, level=0.083),
}
"""Made-up results; nothing here was measured."""


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
    assert "<svg" not in html
    for number in ("0.30", "0.17", "42.7", "\u22123.9", "£"):
        assert number not in words
    facts = impact_json(page(RESULTS["invalid"]))
    assert facts["effect"] is None
    assert facts["money"] is None
    assert facts["groups"] == []


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
    entries = [IndexEntry.of(CAMPAIGN, RESULTS[name]) for name in ("shown", "inconclusive", "invalid")]
    html = index_page("Made-up Borough", entries, generated_at=datetime(2026, 6, 1, tzinfo=UTC))
    reader = read(html)
    assert reader.faults == []
    assert "INVALID: a check failed" in reader.words
    assert "Inconclusive" in reader.words
    assert html.count('href="less_rubbish/2026-W22.html"') == 3
    assert "No campaign has been measured yet" in index_page("B", [], generated_at=datetime(2026, 6, 1, tzinfo=UTC))


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
    assert interval_words(effect(-0.3, 0.066), scale) == "0.17 to 0.43 kg less"
    assert interval_words(effect(0.3, 0.066), scale) == "0.17 to 0.43 kg more"
    assert interval_words(effect(-0.03, 0.05), scale) == "0.13 kg less to 0.07 kg more"


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
    for draw in (effect_by_week, forest):
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
