"""The model card: stable JSON, a page that needs nothing else, Markdown, and no count that could name a household."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from planted import ARMS, FREE, crossed, evidence, same

from nudges import estimators
from nudges.cards import ModelCard, leading_features
from nudges.errors import DataError
from nudges.reporting.card import card_markdown, card_page
from nudges.scoring import Value
from nudges.uplift import Detail, decide

NOW = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)


def card(rows, *, outcome="residual_kg", leading=None, detail=Detail.TREE, **options):
    decision = decide(rows, estimators.load("dr_linear"), FREE, seed=0, detail=detail, **options)
    return ModelCard(
        campaign="less_rubbish",
        week="2026-W20",
        policy=decision.policy,
        outcome=outcome,
        estimator="dr_linear",
        decision=decision,
        features=("kg", "turns", "c", "d", "e", "f"),
        leading_features=leading or {},
        pence_per_outcome=FREE.pence_per_outcome,
        cost_pence=dict(zip(ARMS, FREE.cost_pence.tolist(), strict=True)),
        seed=0,
    )


def segmented(rows):
    tiny = np.zeros(len(rows.y), dtype=bool)
    tiny[:5] = True
    names = ("kg", "turns", "c", "d", "e", "f")
    return replace(rows, segments={"flats": rows.X[:, 1] > 0.5, "tiny": tiny}, columns=names)


@pytest.fixture(scope="module")
def chosen():
    return card(segmented(evidence(4_000, effect=crossed)), leading={"text": ("turns", "kg"), "email": ("turns",)})


def page(made):
    return card_page(made, council="Ashdown", title="Less <rubbish>", generated_at=NOW, version="9.9")


# --- JSON -------------------------------------------------------------------------------


def test_same_rows_same_json(chosen):
    again = card(segmented(evidence(4_000, effect=crossed)), leading=chosen.leading_features)
    assert again.to_json() == chosen.to_json()
    content = json.loads(chosen.to_json())
    assert content["decision"]["policy"] == "model"
    assert list(content) == sorted(content)


def test_json_has_no_number_that_json_does_not_know(chosen):
    infinite = replace(chosen.decision, gain=Value.of(1.0, np.inf, 3.0, n_rows=1, n_units=1), effective_rows=np.nan)
    text = replace(chosen, decision=infinite).to_json()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text)["decision"]["gain"]["se"] is None


# --- page -------------------------------------------------------------------------------


class Outline(HTMLParser):
    """Headings, and every tag that was opened and closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.headings, self.fetched = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta", "br"}:
            self.open.append(tag)
        self.fetched += [value for name, value in attrs if name in {"src", "href"}]

    def handle_startendtag(self, tag, attrs):
        return

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in {"h1", "h2"}:
            self.headings.append(data)


def test_the_page_stands_alone_and_says_everything(chosen):
    text = page(chosen)
    outline = Outline(text)
    assert outline.open == []
    assert outline.fetched == []
    assert "<script" not in text
    assert "Model card: Less &lt;rubbish&gt;" in text
    for heading in (
        "Model used",
        "What it would have earned",
        "What each message does",
        "Which features matter",
        "Are predictions right in size?",
        "What each budget brings",
        "How groups are treated",
        "A rule in two questions",
        "Checks",
        "Limits",
    ):
        assert heading in outline.headings


def test_figures_on_the_page_are_those_of_the_decision(chosen):
    """Pence a home times 10 is pounds for 1,000 homes."""
    text = page(chosen)
    decision = chosen.decision
    for value in (decision.earned["model"], decision.earned["best arm"], decision.model_over_arm):
        assert f"£{abs(value.mean) * 10:,.2f}" in text
    slope = decision.quality.calibration.slope
    assert f"brings £{slope.mean:.2f}" in text
    assert slope.low < 1 < slope.high
    assert "Nothing here says that predictions are of the wrong size" in text
    assert "turns, kg" in text


def test_groups_too_small_are_not_shown(chosen):
    text = page(chosen)
    assert "too few to show" in text
    by_name = {row.segment: row for row in chosen.decision.fairness}
    assert by_name["tiny"].gain is None
    assert f"{by_name['flats'].share_messaged * 100:.0f} %" in text


def test_units_are_rounded():
    text = page(card(evidence(1_234, effect=crossed)))
    assert "1,235 units" in text
    assert "1,234" not in text.replace("1,234 closed rows", "")


def test_a_cold_card_has_no_figures_to_show():
    text = page(card(evidence(5)))
    assert "Too early to choose" in text
    assert "What it would have earned" not in text
    assert "7 or fewer units" in text


def test_stops_and_left_out_groups_are_named():
    rows = evidence(4_000, effect=lambda x: np.column_stack([np.where(x[:, 1] < 0, -2.0, 2.0), np.zeros(len(x))]))
    made = card(replace(rows, segments={"high": rows.X[:, 1] >= 0, "low": rows.X[:, 1] < 0}))
    for text in (page(made), card_markdown(made, title="Less rubbish")):
        assert "text in high" in text
        assert "Left out, with less than four fifths of the overall share of messages: high." in text


def test_a_closed_gate_is_said(chosen):
    shut = replace(chosen.decision, policy="arm:text", closed="it did worse", promise=None, alarms=("Look here.",))
    text = page(replace(chosen, decision=shut))
    assert "The gate is closed: it did worse." in text
    assert "Alarm: Look here." in text


@pytest.mark.parametrize("effect", [None, same(-1.0, 0.0), crossed])
def test_markdown_tells_the_same(effect):
    made = card(evidence(2_000, effect=effect))
    text = card_markdown(made, title="Less rubbish")
    assert text.startswith("# Model card: Less rubbish, 2026-W20\n")
    assert made.decision.words in text
    table = next(part for part in text.split("\n\n") if part.startswith("| Policy"))
    widths = {line.count("|") for line in table.splitlines()}
    assert widths == {4}


def test_rates_are_shown_in_points():
    made = card(evidence(2_000, effect=same(-1.0, 0.0)), outcome="tag_rate")
    assert f"{made.decision.effects['text'].mean * 100:,.2f}".lstrip("-") in page(made)


# --- features ---------------------------------------------------------------------------


def test_leading_features_by_size_of_slope():
    slopes = np.array([[0.1, -0.5, 0.0, 9.0], [0.0, 0.0, 0.0, 9.0]])  # the last column flags gaps
    assert leading_features(slopes, ("a", "b", "c"), ARMS) == {"text": ("b", "a"), "email": ()}
    with pytest.raises(DataError, match="importance"):
        leading_features(slopes, ("a", "b", "c", "d", "e"), ARMS)
