"""Turns a campaign's measured headline and the borough's truth into one line: was the truth inside the interval?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from nudges.domain import Lane, Outcome
from nudges.sources.synthetic import Truth
from nudges.steps.choose.committed import committed_rounds
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

_FIRST = """
SELECT a.unit_id AS unit_id, min(a.week_no) + 1 AS first_week_no, max(a.is_contactable) AS is_contactable,
       max(a.lane) AS lane
FROM assignments a
JOIN (SELECT unit_id, min(week_no) AS week_no FROM assignments WHERE campaign = :campaign GROUP BY unit_id) f
  ON a.unit_id = f.unit_id AND a.week_no = f.week_no
WHERE a.campaign = :campaign
GROUP BY a.unit_id
"""
_ON_ROUNDS = """
SELECT DISTINCT COALESCE(NULLIF(bin_store_id, ''), household_id) AS unit_id, ?::BIGINT AS first_week_no
FROM households WHERE list_contains(?, residual_round_id) ORDER BY unit_id
"""
_QUANTITIES = {Outcome.RESIDUAL_KG: "residual_kg"}


@dataclass(frozen=True, slots=True)
class Headline:
    """Effect of one campaign per household and week, and what was planted for the same units and weeks."""

    campaign: str
    verdict: str
    estimate: float
    ci_low: float
    ci_high: float
    control_mean: float
    truth: float | None  # None where the simulator keeps no truth of the outcome
    alarms: tuple[str, ...] = ()  # checks that failed: no effect is said where there is one

    @property
    def covers(self) -> bool | None:
        """Whether the interval holds the truth."""
        return None if self.truth is None else self.ci_low <= self.truth <= self.ci_high

    @property
    def words(self) -> str:
        """The line a person reads; INVALID in place of the effect when a check failed."""
        if self.alarms:
            return f"{self.campaign}: INVALID. {' '.join(self.alarms)}"
        share = f" ({self.estimate / self.control_mean:+.1%})" if self.control_mean else ""
        line = f"{self.campaign}: {self.estimate:+.3f}{share}, 95 % interval {self.ci_low:+.3f} to {self.ci_high:+.3f}"
        planted = "" if self.truth is None else f"; planted {self.truth:+.3f}, {'inside' if self.covers else 'OUTSIDE'}"
        return f"{line}{planted}. Verdict: {self.verdict}."


def headlines(ws: Workspace, truth: Truth, week: Week) -> tuple[Headline, ...]:
    """One for each campaign measured at the end of `week`, those with a known truth first."""
    rows = ws.ledger.select(
        "SELECT campaign, result FROM effects WHERE week_no = :week_no AND kind = 'headline' ORDER BY campaign",
        week_no=week.number,
    ).to_pylist()
    found = [_headline(ws, truth, week, row["campaign"], json.loads(row["result"])["headline"]) for row in rows]
    return tuple(sorted(found, key=lambda headline: headline.truth is None))


def _headline(ws: Workspace, truth: Truth, week: Week, campaign: str, result: Mapping[str, Any]) -> Headline:
    effect = result["effect"]
    return Headline(
        campaign=campaign,
        verdict=str(result["verdict"]),
        estimate=float(effect["estimate"]),
        ci_low=float(effect["ci_low"]),
        ci_high=float(effect["ci_high"]),
        control_mean=float(result["control_mean"]),
        truth=planted(ws, truth, campaign, week),
        alarms=tuple(result["alarms"]),
    )


def planted(ws: Workspace, truth: Truth, campaign: str, week: Week) -> float | None:
    """What the headline would say without noise: the same units, the same weeks."""
    quantity = _QUANTITIES.get(ws.campaign(campaign).outcome)
    units = ws.ledger.select(_FIRST, campaign=campaign)
    if quantity is None or not units.num_rows:
        return None
    draw = committed_rounds(ws, ws.campaign(campaign), week)
    if draw is not None:
        first = int(pc.min(units["first_week_no"]).as_py())
        treated, control = (_on_rounds(ws, week, rounds, first) for rounds in (draw.treated, draw.control))
        return truth.true_effect(treated, control, last=week, quantity=quantity)
    units = units.filter(
        pc.and_(pc.equal(units["is_contactable"], 1), pc.less_equal(units["first_week_no"], week.number))
    )
    treated = _part(units, pc.is_in(units["lane"], value_set=pa.array([str(Lane.LEARN), str(Lane.BEST)])))
    control = _part(units, pc.equal(units["lane"], str(Lane.CONTROL)))
    if not treated.num_rows or not control.num_rows:
        return None
    return truth.true_effect(treated, control, last=week, quantity=quantity)


def _on_rounds(ws: Workspace, week: Week, rounds: Sequence[str], first_week_no: int) -> pa.Table:
    """All units of some residual rounds, as the lorry weighs them, since the campaign's first week."""
    with ws.facts(week) as connection:
        return connection.execute(_ON_ROUNDS, [first_week_no, list(rounds)]).to_arrow_table()


def _part(units: pa.Table, keep: pa.Array) -> pa.Table:
    return units.filter(keep).select(["unit_id", "first_week_no"])
