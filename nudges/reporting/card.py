"""Turns a model card into one HTML page that needs nothing else, and into Markdown for a run's artifact."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from nudges.cards import ModelCard
from nudges.domain import Outcome
from nudges.reporting import card_sections as sections
from nudges.reporting.card_layout import CARD
from nudges.reporting.disclosure import shown
from nudges.reporting.figures import plain, scale_of
from nudges.reporting.grid import Row
from nudges.reporting.page import framed

_WORDS = {
    "model": ("Model used", "shown"),
    "arm": ("One message for everyone", "shown"),
    "mix": ("Still trying messages", "unclear"),
    "uniform": ("Too early to choose", "unclear"),
    "none": ("Nothing sent", "unclear"),
}
_OVER = {"model": "over the best single message", "arm": "over sending nothing"}


def card_page(card: ModelCard, *, council: str, title: str, generated_at: datetime, version: str) -> str:
    """The card as a page: what was decided and why, what it rests on, and what it does not say."""
    word, mark = _WORDS[_kind(card)]
    decision = card.decision
    promise = decision.promise
    return framed(
        f"Model card: {title}",
        CARD,
        council=council,
        when=f"Decided with data to the end of {card.week}.",
        word=word,
        mark="invalid" if decision.closed else mark,
        number=sections.money(card).said(promise.mean) if promise else "",
        subject=f"for every 1,000 households {_OVER[_kind(card)]}, corrected for having been picked" if promise else "",
        lines=[decision.words],
        basis=basis(card),
        earned=sections.earned(card),
        effects=sections.effects(card),
        features=sections.features(card),
        calibration=sections.calibration(card),
        path=sections.path(card),
        groups=sections.groups(card),
        stops=sections.stops(card),
        tree=sections.tree(card),
        checks=checks(card),
        limits=sections.LIMITS,
        footer=f"Made {generated_at:%Y-%m-%d %H:%M} UTC by nudges {version}. Units are counts rounded to 5; "
        "counts of 7 or fewer are hidden. No household can be told from this page.",
    )


def card_markdown(card: ModelCard, *, title: str) -> str:
    """The card as Markdown: the decision in words, its figures and its checks."""
    parts = [f"# Model card: {title}, {card.week}", card.decision.words, basis(card)]
    table = sections.earned(card)
    if table:
        parts += ["## What it would have earned", _table(table["head"], table["rows"])]
    effects = sections.effects(card)
    if effects:
        parts += ["## What each message does", _table(effects.head, effects.rows), effects.note]
    parts += ["## Which features matter", "\n".join(f"- {line}" for line in sections.features(card))]
    groups = sections.groups(card)
    parts += ["## How groups are treated", "\n".join(f"- {line}" for line in groups["lines"])]
    if groups["rows"]:
        parts.append(_table(groups["head"], groups["rows"]))
    stops = sections.stops(card)
    if stops:
        parts += ["Stopped because they make things worse:", _table(stops.head, stops.rows)]
    rule = sections.tree(card)
    if rule:
        parts += ["## A rule in two questions", "\n".join(f"- {line}" for line in rule["sentences"]), rule["words"]]
    parts += ["## Checks", "\n".join(f"- {line}" for line in checks(card))]
    return "\n\n".join(parts) + "\n"


def basis(card: ModelCard) -> str:
    """What the decision rests on, in one paragraph."""
    decision, scale = card.decision, scale_of(Outcome(card.outcome))
    worth = plain(abs(card.pence_per_outcome) / scale.factor, 2)
    better = scale.more if card.pence_per_outcome > 0 else scale.less
    return (
        f"{shown(decision.n_units)} units with closed outcomes, {shown(decision.n_rows)} rows (a unit in a turn), "
        f"features {len(card.features)}, estimator {card.estimator}, seed {card.seed}. One {scale.unit} {better} is "
        f"worth {worth}p a household and message. "
        f"{shown(decision.effective_rows)} rows inform the value of the model."
    )


def checks(card: ModelCard) -> list[str]:
    """What was looked at before the model was let in."""
    decision = card.decision
    often = "once" if decision.looks == 1 else f"{decision.looks} times"
    error = f"{100 * decision.level:.2g} %"
    lines = [
        f"The gate is read {often} in this campaign. One reading lets in a model without a gain with {error} chance.",
        f"Moved since: {'; '.join(decision.drift)}." if decision.drift else "No feature has moved beyond its bound.",
    ]
    if decision.realised is not None:
        since = sections.money(card).interval(decision.realised)
        lines.append(
            f"On households that came after it, the last model earned {since} over the best message, for every 1,000."
        )
    if decision.closed:
        lines.append(f"The gate is closed: {decision.closed}.")
    lines += [f"Alarm: {alarm}" for alarm in decision.alarms] or ["No alarm: enough rows inform every figure."]
    return lines


def _kind(card: ModelCard) -> str:
    return card.decision.policy.partition(":")[0]


def _table(head: Sequence[str], rows: Sequence[Row]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join((row.label, *row.cells)) + " |" for row in rows]
    return "\n".join(lines)
