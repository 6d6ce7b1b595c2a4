"""Turns everything measured of a campaign in a week into rows of the `effects` table, and rows back into results."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from nudges.errors import DataError
from nudges.measuring.effect import Method
from nudges.measuring.results import Group, Headline, Measured
from nudges.money import Savings

_HEADLINE, _ALL = "headline", "all"
_HEADS, _GROUPS, _MONEY = TypeAdapter(Headline), TypeAdapter(Group), TypeAdapter(Savings)


def to_rows(measured: Measured) -> list[dict[str, Any]]:
    """Rows of the `effects` table: the headline, then one a group."""
    money = None if measured.money is None else asdict(measured.money)
    head = {"headline": asdict(measured.headline), "money": money, "money_note": measured.money_note}
    rows = [_row(measured, _HEADLINE, _ALL, head)]
    rows += [
        _row(measured, group.kind, group.label, asdict(group) | {"order": order})
        for order, group in enumerate(measured.groups)
    ]
    return rows


def _row(measured: Measured, kind: str, label: str, result: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(_spelled(result), allow_nan=False, sort_keys=True)
    return {"campaign": measured.campaign, "week_no": measured.week_no, "kind": kind, "label": label, "result": text}


def _spelled(value: Any) -> Any:  # noqa: ANN401
    """NaN and infinity as words, all the way down: JSON has no such numbers."""
    if isinstance(value, Mapping):
        return {name: _spelled(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spelled(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def from_rows(rows: Sequence[Mapping[str, Any]]) -> Measured:
    """Rebuild from rows of one campaign and week; raises DataError when the headline is not among them."""
    heads = [row for row in rows if row["kind"] == _HEADLINE]
    if len(heads) != 1:
        raise DataError(f"effects: {len(heads)} headline rows, must be 1 of one campaign and week. Measure it again.")
    head = _current(json.loads(heads[0]["result"]))
    found = [_current(json.loads(row["result"])) for row in rows if row["kind"] != _HEADLINE]
    return Measured(
        campaign=heads[0]["campaign"],
        week_no=int(heads[0]["week_no"]),
        headline=_HEADS.validate_python(head["headline"]),
        groups=tuple(_GROUPS.validate_python(raw) for raw in sorted(found, key=lambda raw: raw["order"])),
        money=_MONEY.validate_python(head["money"]) if head["money"] else None,
        money_note=head["money_note"],
    )


def _current(raw: Any) -> Any:  # noqa: ANN401
    """Rows of versions before 0.3.0: other names for counts of units, no method, and a mean of nothing as null."""
    if isinstance(raw, list):
        return [_current(each) for each in raw]
    if not isinstance(raw, dict):
        return raw
    known = {name: _current(each) for name, each in raw.items()}
    if "ci_low" in known and "n_treated" in known:
        for group in ("treated", "control"):
            known[f"n_units_{group}"] = known.pop(f"n_{group}")
        known["method"] = Method.ANCOVA_HC2
    if "standardised" in known:
        known = {name: "nan" if each is None else each for name, each in known.items()}
    return known
