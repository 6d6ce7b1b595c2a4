"""Turns everything measured of a campaign in a week into rows of the `effects` table, and rows back into results."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nudges.domain import Outcome, Verdict
from nudges.errors import DataError
from nudges.measuring.diagnostics import Balance, OutageGap, SampleRatio
from nudges.measuring.effect import Effect
from nudges.money import Savings, restore

HEADLINE, ARM, SEGMENT, WEEK = "headline", "arm", "segment", "week"
_LABEL = "all"


@dataclass(frozen=True, slots=True)
class Group:
    """The effect in one arm, segment or calendar week. `pooled` is the partially pooled effect of arms and segments.

    Without an effect, `note` says why there is none.
    """

    kind: str
    label: str
    title: str
    effect: Effect | None
    pooled: Effect | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """Households (not units) of one arm at each step, each a subset of the one before it but `accepted`, `delivered`.

    Those two count households of the arm that a message reached; weighed and analysed start from contactable again.
    """

    arm: str
    assigned: int
    contactable: int
    accepted: int
    delivered: int
    weighed: int
    analysed: int
    units: int


@dataclass(frozen=True, slots=True)
class Headline:
    """In the campaign against control at the end of a week, per household and week, with every check that can void it.

    `detectable` is the smallest effect it could have seen; `stated` the effect the campaign was meant to have (outcome
    units). `treated_household_weeks` holds the analysed treated household-weeks by calendar week as (week_no, count).
    """

    outcome: Outcome
    verdict: Verdict
    words: str
    alarms: tuple[str, ...]
    effect: Effect
    control_mean: float
    stated: float
    detectable: float
    first_week_no: int
    last_week_no: int
    households_treated: int
    households_control: int
    treated_household_weeks: tuple[tuple[int, int], ...]
    ratios: tuple[SampleRatio, ...]
    outage: OutageGap
    balance: Balance
    placebo: Effect | None
    flows: tuple[Flow, ...]
    messages: int
    cost_pence: float

    @property
    def share(self) -> float | None:
        """Effect as a share of the control mean; None when that is zero."""
        return self.effect.estimate / self.control_mean if self.control_mean > 0 else None

    @property
    def household_weeks(self) -> int:
        """Analysed treated households times the weeks each was measured."""
        return sum(count for _, count in self.treated_household_weeks)


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything measured of one campaign at the end of one week; `money_note` says why there is no money."""

    campaign: str
    week_no: int
    headline: Headline
    groups: tuple[Group, ...]
    money: Savings | None
    money_note: str = ""

    def of(self, kind: str) -> tuple[Group, ...]:
        """Groups of one kind, in order."""
        return tuple(group for group in self.groups if group.kind == kind)


def to_rows(measured: Measured) -> list[dict[str, Any]]:
    """Rows of the `effects` table: the headline, then one a group."""
    money = None if measured.money is None else asdict(measured.money)
    head = {"headline": asdict(measured.headline), "money": money, "money_note": measured.money_note}
    rows = [_row(measured, HEADLINE, _LABEL, head)]
    rows += [
        _row(measured, group.kind, group.label, asdict(group) | {"order": order})
        for order, group in enumerate(measured.groups)
    ]
    return rows


def _row(measured: Measured, kind: str, label: str, result: Mapping[str, Any]) -> dict[str, Any]:
    text = json.dumps(_finite(result), allow_nan=False, sort_keys=True)
    return {"campaign": measured.campaign, "week_no": measured.week_no, "kind": kind, "label": label, "result": text}


def _finite(value: Any) -> Any:  # noqa: ANN401
    """NaN (a mean of nothing) as null, all the way down: JSON has no NaN."""
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def from_rows(rows: Sequence[Mapping[str, Any]]) -> Measured:
    """Rebuild from rows of one campaign and week; raises DataError when the headline is not among them."""
    heads = [row for row in rows if row["kind"] == HEADLINE]
    if len(heads) != 1:
        raise DataError(f"effects: {len(heads)} headline rows, must be 1 of one campaign and week. Measure it again.")
    head = json.loads(heads[0]["result"])
    found = [json.loads(row["result"]) for row in rows if row["kind"] != HEADLINE]
    return Measured(
        campaign=heads[0]["campaign"],
        week_no=int(heads[0]["week_no"]),
        headline=_headline(head["headline"]),
        groups=tuple(_group(raw) for raw in sorted(found, key=lambda raw: raw["order"])),
        money=None if head["money"] is None else restore(head["money"]),
        money_note=head["money_note"],
    )


def _group(raw: Mapping[str, Any]) -> Group:
    return Group(
        raw["kind"], raw["label"], raw["title"], _effect(raw["effect"]), _effect(raw["pooled"]), raw["note"]
    )  # fmt: skip


def _effect(raw: Mapping[str, Any] | None) -> Effect | None:
    return None if raw is None else Effect.restored(raw)


def _balance(raw: Mapping[str, Any]) -> Balance:
    known: dict[str, Any] = {name: math.nan if each is None else each for name, each in raw.items()}
    return Balance(**known)


def _headline(raw: Mapping[str, Any]) -> Headline:
    typed = {
        "outcome": Outcome(raw["outcome"]),
        "verdict": Verdict(raw["verdict"]),
        "alarms": tuple(raw["alarms"]),
        "effect": Effect.restored(raw["effect"]),
        "treated_household_weeks": tuple((int(week), int(count)) for week, count in raw["treated_household_weeks"]),
        "ratios": tuple(SampleRatio(**ratio) for ratio in raw["ratios"]),
        "outage": OutageGap(**raw["outage"]),
        "balance": _balance(raw["balance"]),
        "placebo": _effect(raw["placebo"]),
        "flows": tuple(Flow(**flow) for flow in raw["flows"]),
    }
    return Headline(**(dict(raw) | typed))
