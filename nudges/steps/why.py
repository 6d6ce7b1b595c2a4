"""One household's whole trail: what was known, drawn, decided, said, heard and measured, for `nudges why`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from nudges.domain import Outcome, Unit
from nudges.draws import draw
from nudges.errors import ConfigError
from nudges.measuring import outcome_unit
from nudges.outcomes import STREAM_OF
from nudges.steps.choose.words import policy_words
from nudges.steps.round_panel import read_round_panel
from nudges.steps.unit_outcomes import unit_outcomes
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

_RECENT_WEEKS = 8
_PAST_WEEKS = 26
_CHOICES = "SELECT week_no, turn, policy FROM choices WHERE campaign = :campaign"
_SHARING = """
SELECT COUNT(*) AS households FROM (
  SELECT arg_max(COALESCE(NULLIF(bin_store_id, ''), household_id), known_on) AS unit_id FROM households
  GROUP BY household_id
) WHERE unit_id = ?
"""


@dataclass(frozen=True, slots=True)
class Trail:
    """Everything the engine holds on one household. Rows are dictionaries by column name, oldest first."""

    household_id: str
    week: str
    unit_id: str
    holdout_draw: float
    is_holdout: bool
    features: Mapping[str, Any]
    segments: tuple[str, ...]
    reasons: tuple[Mapping[str, Any], ...]  # campaign, week, lane, arm, reason
    assignments: tuple[Mapping[str, Any], ...]  # with the turn (from 1) and the policy its arms were drawn by
    messages: tuple[Mapping[str, Any], ...]
    events: tuple[Mapping[str, Any], ...]
    suppressions: tuple[Mapping[str, Any], ...]
    outcomes: tuple[Mapping[str, Any], ...]  # by campaign: the unit's outcome before its first assignment, and since
    lifts: tuple[Mapping[str, Any], ...]  # the last eight weeks
    tags: tuple[Mapping[str, Any], ...]


def why(ws: Workspace, household_id: str, week: Week) -> Trail:
    """The trail of a household with facts up to `week`; raises ConfigError when nobody knows it."""
    trail = ws.ledger.household_trail(household_id)
    with ws.facts(week, extra=("features", "membership", "audience")) as facts:

        def rows(sql: str, *values: object) -> tuple[Mapping[str, Any], ...]:
            found = facts.execute(sql, list(values)).to_arrow_table()
            return tuple(found.to_pylist())

        home = rows("SELECT * FROM households WHERE household_id = ? ORDER BY known_on DESC LIMIT 1", household_id)
        if not home:
            raise ConfigError(
                f"household == {household_id!r}, is not in the register. Look it up in the households drop."
            )
        unit_id = str(home[0]["bin_store_id"] or household_id)
        since = week.sunday - timedelta(weeks=_RECENT_WEEKS)
        features = rows("SELECT * FROM features WHERE household_id = ? ORDER BY week_no DESC LIMIT 1", household_id)
        latest = features[0]["week_no"] if features else week.number
        segments = rows(
            "SELECT segment FROM membership WHERE household_id = ? AND week_no = ? ORDER BY segment",
            household_id,
            latest,
        )
        reasons = rows("SELECT * FROM audience WHERE household_id = ? ORDER BY week_no, campaign", household_id)
        lifts = rows(
            "SELECT * FROM lifts WHERE unit_id = ? AND collected_on > ? ORDER BY collected_on, stream", unit_id, since
        )
        tags = rows("SELECT * FROM tags WHERE unit_id = ? ORDER BY tagged_on", unit_id)
        sharing = rows(_SHARING, unit_id)[0]["households"]
        outcomes = _outcomes(ws, facts, trail["assignments"], week, home[0], households=max(sharing, 1))
    holdout = draw(f"{ws.council.salt}:holdout", unit_id)
    return Trail(
        household_id=household_id,
        week=str(week),
        unit_id=unit_id,
        holdout_draw=holdout,
        is_holdout=holdout < ws.council.holdout_share,
        features=features[0] if features else {},
        segments=tuple(row["segment"] for row in segments),
        reasons=_by_week(reasons),
        assignments=_by_week(_with_turns(ws, trail["assignments"])),
        messages=_by_week(trail["messages"]),
        events=tuple(trail["events"]),
        suppressions=tuple(trail["suppressions"]),
        outcomes=outcomes,
        lifts=lifts,
        tags=tags,
    )


def _outcomes(
    ws: Workspace,
    facts: duckdb.DuckDBPyConnection,
    assignments: Sequence[Mapping[str, Any]],
    week: Week,
    home: Mapping[str, Any],
    *,
    households: int,
) -> tuple[Mapping[str, Any], ...]:
    """The unit's own outcome in each campaign, over up to 26 weeks before its first assignment and all weeks since.

    Where rounds were drawn it is that of the whole round: nothing else was measured.
    """
    first: dict[str, int] = {}
    for row in assignments:
        first[row["campaign"]] = min(row["week_no"], first.get(row["campaign"], row["week_no"]))
    found = []
    for campaign, start in sorted(first.items()):
        if campaign not in ws.campaigns:
            continue
        outcome, of_round = ws.campaign(campaign).outcome, ""
        spans = ((start - _PAST_WEEKS + 1, start), (start + 1, week.number))
        if ws.campaign(campaign).unit is Unit.ROUND:
            of_round = str(home[f"{STREAM_OF[outcome]}_round_id"])
            panel = read_round_panel(facts, outcome, spans[0][0], week.number).part([of_round])
            before, since = (float(panel.values(*span)[0]) for span in spans)
        else:
            unit_id = str(home["bin_store_id"] or home["household_id"])
            before, since = (_own_outcome(facts, outcome, unit_id, *span, households=households) for span in spans)
        found.append(
            {
                "campaign": campaign,
                "outcome": f"{outcome} of round {of_round}" if of_round else str(outcome),
                "unit": outcome_unit(outcome),
                "before": None if np.isnan(before) else round(before, 3),
                "since": None if np.isnan(since) else round(since, 3),
                "first_week": str(Week(start + 1)),
                "last_week": str(week),
            }
        )
    return tuple(found)


def _own_outcome(
    facts: duckdb.DuckDBPyConnection, outcome: Outcome, unit_id: str, first: int, last: int, *, households: int
) -> float:
    """A unit's outcome over weeks `first` to `last`, NaN where nothing is known."""
    found = unit_outcomes(
        facts,
        outcome,
        units=pa.array([unit_id]),
        first=np.array([first]),
        last=np.array([last]),
        households=np.array([float(households)]),
    )
    return float(found[0])


def _with_turns(ws: Workspace, assignments: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Assignments with the turn and policy of the choice they were made in; `drawn_since` is their first week."""
    choices: dict[tuple[str, int], Mapping[str, Any]] = {}
    for campaign in sorted({str(row["campaign"]) for row in assignments}):
        for choice in ws.ledger.select(_CHOICES, campaign=campaign).to_pylist():
            choices[campaign, int(choice["week_no"])] = choice
    found = []
    for row in assignments:
        choice = choices.get((row["campaign"], row["week_no"]), {})
        turn, since = choice.get("turn"), row["first_week_no"]
        told = {
            "turn": None if turn is None else int(turn) + 1,
            "policy": policy_words(str(choice["policy"])) if choice else None,
            "drawn_since": None if since is None else str(Week(int(since))),
        }
        found.append({name: value for name, value in row.items() if name != "first_week_no"} | told)
    return found


def _by_week(rows: Any) -> tuple[Mapping[str, Any], ...]:  # noqa: ANN401 -- rows of any table
    """Rows with the week written as people write it."""
    return tuple({"week": str(Week(row["week_no"]))} | {k: v for k, v in row.items() if k != "week_no"} for row in rows)
