"""The newest model card of a campaign → words, a page, and Markdown for a run's artifact."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from types import UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from nudges import __version__
from nudges.cards import ModelCard
from nudges.domain import Campaign
from nudges.errors import NotReadyError
from nudges.reporting.card import card_markdown, card_page
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

_NEWEST = """
SELECT card FROM cards WHERE campaign = :campaign AND week_no <= :week ORDER BY week_no DESC LIMIT 1
"""


def newest_card(ws: Workspace, campaign: Campaign, week: Week) -> ModelCard | None:
    """The campaign's newest model card up to `week`; None before anything was learned."""
    rows = ws.ledger.select(_NEWEST, campaign=campaign.id, week=week.number).to_pylist()
    return read_card(str(rows[0]["card"])) if rows else None


def required_card(ws: Workspace, campaign: Campaign, week: Week) -> ModelCard:
    """The same; raises NotReadyError before anything was learned."""
    card = newest_card(ws, campaign, week)
    if card is None:
        raise NotReadyError(
            f"campaigns/{campaign.id}.toml: no model card up to {week}. Run `nudges run --step learn` first."
        )
    return card


def html(ws: Workspace, campaign: Campaign, card: ModelCard, *, now: datetime) -> str:
    """The card as a page."""
    return card_page(card, council=ws.council.name, title=campaign.title, generated_at=now, version=__version__)


def markdown(campaign: Campaign, card: ModelCard) -> str:
    """The card as Markdown."""
    return card_markdown(card, title=campaign.title)


def read_card(text: str) -> ModelCard:
    """A card from the JSON it is kept as; a number that is null there is NaN again where it must be a number."""
    return cast("ModelCard", _dataclass(ModelCard, json.loads(text)))


def _dataclass(kind: type[Any], value: Mapping[str, Any]) -> Any:  # noqa: ANN401
    hints = get_type_hints(kind)
    return kind(**{each.name: _read(hints[each.name], value[each.name]) for each in fields(kind)})


def _read(kind: Any, value: Any) -> Any:  # noqa: ANN401
    """A value of JSON as the type its field declares."""
    origin, inside = get_origin(kind), get_args(kind)
    if kind is float:
        return math.nan if value is None else float(value)
    if value is None:
        return None
    if origin in {Union, UnionType}:
        return _read(next(each for each in inside if each is not type(None)), value)
    if is_dataclass(kind):
        return _dataclass(cast("type[Any]", kind), value)
    return value if origin is None else _container(origin, inside, value)


def _container(origin: type[Any], inside: tuple[Any, ...], value: Any) -> Any:  # noqa: ANN401
    if issubclass(origin, Mapping):
        return {name: _read(inside[1], each) for name, each in value.items()}
    kinds = [inside[0]] * len(value) if inside[-1] is ... or len(inside) == 1 else inside
    return origin(_read(one, each) for one, each in zip(kinds, value, strict=True))
