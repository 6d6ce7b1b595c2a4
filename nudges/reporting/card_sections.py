"""Parts of a model card → the rows, notes and drawings of its page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nudges.cards import ModelCard
from nudges.domain import Outcome
from nudges.reporting.card_charts import Dot, against_diagonal, path_of
from nudges.reporting.charts import Point, forest
from nudges.reporting.disclosure import shown
from nudges.reporting.drawing import Chart
from nudges.reporting.figures import UNKNOWN, Scale, percent, plain, scale_of, signed
from nudges.reporting.grid import Grid, Row
from nudges.scoring import Value
from nudges.uplift import LARGE_SEGMENT_UNITS
from nudges.uplift.words import Money

LIMITS = (
    "Figures are of households in the campaign with a contact and a closed outcome. They say nothing of others.",
    "Every figure is held out: what chose was never shown the households it is judged on.",
    "It learned from four fifths of the rows; what is used learns from all of them and should do a little better.",
    "A message is credited with the weeks until the campaign's next one, and with nothing after them.",
    "Groups are looked at one by one, never two at once, and only for harm that is shown with confidence.",
    "The model predicts which message works best. It does not say why: a feature that matters need not be a cause.",
)
_POLICIES = {"uniform": "All messages evenly", "best arm": "Best single message", "model": "Model"}


def money(card: ModelCard) -> Money:
    """Pence a unit as pounds for 1,000 households."""
    return Money(card.decision.households_per_unit)


def interval(value: Value, card: ModelCard) -> str:
    """`£1.20 to £7.00`."""
    return f"{money(card).said(value.low)} to {money(card).said(value.high)}"


def earned(card: ModelCard) -> dict[str, Any] | None:
    """What each policy would have brought over no message."""
    values = {**card.decision.earned}
    if card.decision.tree is not None:
        values["tree"] = card.decision.tree.over_none
    if not values:
        return None
    pounds = money(card)
    names = {**_POLICIES, "tree": "Rule in two questions"}
    points = [
        Point(names[name], pounds.pounds(value.mean), pounds.pounds(value.low), pounds.pounds(value.high))
        for name, value in values.items()
    ]
    rows = [
        Row(names[name], (pounds.said(value.mean), interval(value, card)), _total(name, card))
        for name, value in values.items()
    ]
    if card.decision.model_over_arm is not None:
        over = card.decision.model_over_arm
        rows.append(Row("Model less best single message", (pounds.said(over.mean), interval(over, card))))
    said = "; ".join(f"{row.label} {row.cells[0]} ({row.cells[1]})" for row in rows)
    chart = Chart("earned", "What each policy would have earned", said, "Pounds for every 1,000 households", 0)
    return {
        "note": "square and line: held-out gain and 95 % interval; dashed: sending nothing",
        "drawing": forest(points, chart),
        "head": ("Policy", "Gain over nothing", "95 % interval"),
        "rows": rows,
    }


def _total(name: str, card: ModelCard) -> str:
    kind = card.decision.policy.partition(":")[0]
    used = {"model": "model", "arm": "best arm", "uniform": "uniform"}.get(kind)
    return "total" if name == used else ""


def effects(card: ModelCard) -> Grid | None:
    """Effect of each message in the outcome's unit."""
    if not card.decision.effects:
        return None
    scale = scale_of(Outcome(card.outcome))
    chance = card.decision.chance_best
    rows = tuple(
        Row(
            arm,
            (
                *_effect_cells(value, scale),
                f"{plain(card.cost_pence[arm], 1)}p" if arm in card.cost_pence else UNKNOWN,
                percent(chance.get(arm, math.nan), 0),
            ),
        )
        for arm, value in card.decision.effects.items()
    )
    head = ("Message", f"Effect, {scale.unit}", "95 % interval", "Cost", "Chance to be worth most")
    note = (
        f"{scale.long_unit}; below zero: {scale.less}. No message at all: {percent(chance.get('control', math.nan), 0)}"
    )
    return Grid(head, rows, note)


def _effect_cells(value: Value, scale: Scale) -> tuple[str, str]:
    mean, low, high = (signed(number * scale.factor, scale.digits) for number in (value.mean, value.low, value.high))
    return mean, f"{low} to {high}"


def features(card: ModelCard) -> list[str]:
    """What moves each message's predicted effect most."""
    lines = [f"{arm}: {', '.join(names)}." for arm, names in card.leading_features.items() if names]
    if lines:
        return ["What moves the predicted effect of each message most, largest first.", *lines]
    return ["No model is used, so no feature decides who gets which message."]


def calibration(card: ModelCard) -> dict[str, Any] | None:
    """Predicted against observed benefit."""
    quality = card.decision.quality
    if quality is None:
        return None
    found = quality.calibration
    pounds = Money(1.0)  # predictions are of households, not of units
    dots = [
        Dot(
            *(
                pounds.pounds(number)
                for number in (each.predicted, each.observed.mean, each.observed.low, each.observed.high)
            )
        )
        for each in found.bins
    ]
    rows = [
        Row(
            pounds.said(each.predicted),
            (pounds.said(each.observed.mean), f"{pounds.said(each.observed.low)} to {pounds.said(each.observed.high)}"),
        )
        for each in found.bins
    ]
    said = "; ".join(f"predicted {row.label}, observed {row.cells[0]} ({row.cells[1]})" for row in rows)
    chart = Chart("calibration", "Predicted and observed benefit", said, "Predicted, pounds for 1,000 households", 0)
    return {
        "words": f"{_slope_words(found.slope)} {_ranking_words(card)}",
        "note": "pounds for 1,000 households before the cost of messages; dashed: as predicted; line: 95 % interval",
        "drawing": against_diagonal(dots, chart),
        "head": ("Predicted", "Observed", "95 % interval"),
        "rows": rows,
    }


def _slope_words(slope: Value) -> str:
    if not math.isfinite(slope.mean):
        return "The model predicts the same benefit for everyone."
    ends = f"{plain(slope.low, 2)} to {plain(slope.high, 2)}"
    said = f"A predicted difference of £1 brings £{plain(slope.mean, 2)} (95 % interval {ends})."
    if slope.low > 1:
        return f"{said} Predictions are too careful."
    return (
        f"{said} Predictions are too bold."
        if slope.high < 1
        else f"{said} Nothing here says that predictions are of the wrong size."
    )


def _ranking_words(card: ModelCard) -> str:
    quality, pounds = card.decision.quality, money(card)
    if quality is None:
        return ""
    rank = quality.ranking
    ends = f"{pounds.said(rank.low)} to {pounds.said(rank.high)}"
    finds = "finds" if rank.low > 0 else "is not shown to find"
    return (
        f"Ranking households by what {card.decision.best_arm} should bring {finds} those who gain more: AUTOC "
        f"{pounds.said(rank.estimate)} for 1,000 households ({ends}), where 0 is no better than chance."
    )


def path(card: ModelCard) -> dict[str, Any] | None:
    """Gain by budget."""
    quality, pounds = card.decision.quality, money(card)
    if quality is None or not quality.path or quality.path[-1].spend <= 0:
        return None
    dots = [
        Dot(*(pounds.pounds(number) for number in (point.spend, point.gain.mean, point.gain.low, point.gain.high)))
        for point in quality.path
    ]
    rows = [
        Row(pounds.said(point.spend), (pounds.said(point.gain.mean), interval(point.gain, card)))
        for point in quality.path
    ]
    said = "; ".join(f"for {row.label}: {row.cells[0]} ({row.cells[1]})" for row in rows)
    chart = Chart("path", "Gain by money spent", said, "Spent on messages, pounds for 1,000 households", 0)
    return {
        "note": "pounds for 1,000 households over sending nothing, messages paid; band: 95 % interval",
        "drawing": path_of([Dot(0.0, 0.0, 0.0, 0.0), *dots], chart),
        "head": ("Spent", "Gain", "95 % interval"),
        "rows": rows,
    }


def groups(card: ModelCard) -> dict[str, Any]:
    """Who gets messages and what it brings them."""
    table = card.decision.fairness
    if not table:
        return {"lines": ["No groups were named, so nothing is known of how they are treated."], "rows": ()}
    left_out = [row.segment for row in table if row.is_left_out]
    worse = [row.segment for row in table if row.gain is not None and row.gain.high < 0]
    lines = [
        f"Left out, with less than four fifths of the overall share of messages: {', '.join(left_out)}."
        if left_out
        else "No group gets less than four fifths of the overall share of messages.",
        f"Worse off than without any message: {', '.join(worse)}."
        if worse
        else "No group is shown to be worse off than without any message.",
    ]
    rows = tuple(_group_row(row, card) for row in table)
    return {
        "lines": lines,
        "head": ("Group", "Share messaged", "Of all", "Gain for 1,000 households", "95 % interval", "Units"),
        "rows": rows,
        "note": "groups of fewer than 100 units are not described",
    }


def _group_row(row: Any, card: ModelCard) -> Row:  # noqa: ANN401
    if row.gain is None or row.share_messaged is None:
        return Row(row.segment, ("too few to show", percent(row.share_all, 0), "", "", ""))
    cells = (
        percent(row.share_messaged, 0),
        percent(row.share_all, 0),
        money(card).said(row.gain.mean),
        interval(row.gain, card),
        shown(row.gain.n_units),
    )
    return Row(row.segment, cells, "bad" if row.is_left_out else "")


def stops(card: ModelCard) -> Grid | None:
    """Messages that are not given in a group any more."""
    if not card.decision.stops:
        return None
    scale = scale_of(Outcome(card.outcome))
    rows = tuple(
        Row(
            f"{stop.arm} in {stop.segment}",
            _effect_cells(stop.effect, scale),
        )
        for stop in card.decision.stops
    )
    note = f"{scale.long_unit}; groups of at least {LARGE_SEGMENT_UNITS:,} units, 5 % over all pairs and readings"
    return Grid(("Message and group", f"Effect, {scale.unit}", "95 % interval"), rows, note)


def tree(card: ModelCard) -> Mapping[str, Any] | None:
    """The rule that can be read."""
    rule = card.decision.tree
    if rule is None:
        return None
    lost = rule.given_up
    return {
        "sentences": rule.sentences,
        "words": f"Held out, this rule is worth {money(card).interval(rule.over_none)} more than sending nothing for "
        f"1,000 households, {money(card).said(lost.mean)} less than the model ({interval(lost, card)}).",
    }
