"""Turns the rounds a campaign drew, their loads and what was sent into the arrays of its measurement, a row a round."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import CONTROL, Campaign, Outcome
from nudges.draws import RoundDraw
from nudges.errors import DataError
from nudges.measuring import Group, Headline, Kind, Sent, Shared
from nudges.measuring.round_contrasts import WITH_MESSAGES, round_groups, round_headline
from nudges.measuring.round_units import DrawnRounds, RoundOutcomes
from nudges.measuring.units import Flags, Floats
from nudges.outcomes import STREAM_OF, RoundPanel, TicketSums
from nudges.steps.choose.committed import committed_rounds
from nudges.steps.measure.outcomes import PRE_WEEKS, WINDOWS
from nudges.steps.measure.sent import read_sent
from nudges.steps.round_panel import read_round_panel
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

SHARING_RULE = (
    "A ticket of several rounds is shared out by the households on each; one that names no round by the households of "
    "the rounds collected that day, those without a ticket of their own first."
)

# Each household's round is that of the week it was first assigned in: a home that moves to another stays where it was.
_PEOPLE = """
CREATE TEMP TABLE people AS
SELECT a.household_id, a.unit_id, f.{stream}_round_id AS round_id, a.lane, a.is_contactable,
       COALESCE(m.accepted, 0) > 0 AS is_accepted, COALESCE(m.delivered, 0)::BIGINT AS delivered
FROM assigned a
JOIN features f ON f.household_id = a.household_id AND f.week_no = a.week_no
LEFT JOIN sent m ON m.household_id = a.household_id
"""
_BY_ROUND = """
SELECT round_id, COUNT(*) AS assigned, SUM(is_contactable)::BIGINT AS contactable,
       COUNT(*) FILTER (is_accepted) AS accepted, COUNT(*) FILTER (delivered > 0) AS delivered,
       COUNT(*) FILTER (is_contactable = 1 AND lane <> 'holdout') AS compared,
       COUNT(*) FILTER (is_contactable = 1 AND lane <> 'holdout' AND delivered > 0) AS compared_delivered
FROM people GROUP BY round_id
"""
_DOSES = """
SELECT delivered, COUNT(*) AS households FROM people
WHERE lane IN ('learn', 'best') AND is_contactable = 1 GROUP BY delivered ORDER BY delivered
"""
_COMPARED = """
SELECT unit_id, MIN(round_id) AS round_id FROM people
WHERE is_contactable = 1 AND lane <> 'holdout' GROUP BY unit_id ORDER BY unit_id
"""


@dataclass(frozen=True, slots=True)
class RoundData:
    """Arrays of one campaign that drew rounds: as drawn, as measured, and what was sent."""

    drawn: DrawnRounds
    outcomes: RoundOutcomes
    sent: Sent


def measured_rounds(
    ws: Workspace, campaign: Campaign, last: Week, week: Week, assigned: pa.Table
) -> tuple[Headline, tuple[Group, ...]] | None:
    """Headline and rows of a campaign that drew rounds; None before the first load after its start.

    Raises:
        UnsupportedError: fewer than four rounds on either side have an outcome.
        DataError: the campaign has assignments but never drew rounds.
    """
    data = read_rounds(ws, campaign, last, week, assigned)
    if not np.isfinite(data.outcomes.post).any():
        return None
    head = round_headline(
        data.drawn,
        data.outcomes,
        data.sent,
        outcome=campaign.outcome,
        stated_share=campaign.stated_effect_share,
        first=campaign.starts,
        last=last,
        looks=campaign.weeks,
    )
    return head, round_groups(data.drawn, data.outcomes)


def read_rounds(ws: Workspace, campaign: Campaign, last: Week, week: Week, assigned: pa.Table) -> RoundData:
    """Read everything measuring needs: the headline's to the end of `last`, other rows' to the end of `week`.

    Kg come from lorry loads alone, and are of everybody on a round. Rates are of the contactable households assigned on
    it, the holdout left out: their bins can be told apart.

    Raises:
        DataError: the campaign has assignments but never drew rounds.
    """
    draw = committed_rounds(ws, campaign, week)
    if draw is None:
        raise DataError(
            f"campaigns/{campaign.id}.toml: unit == 'round', but the campaign began with unit = \"household\". Write "
            "that again, or give the new campaign a name of its own."
        )
    start = int(np.min(assigned["week_no"].to_numpy()))
    messages = read_sent(ws, campaign, week)
    with ws.facts(week, extra=["features"]) as connection:
        connection.register("assigned", assigned)
        connection.register("sent", messages)
        connection.execute(_PEOPLE.format(stream=STREAM_OF[campaign.outcome]))
        people = _people(connection, draw)
        weighed = campaign.outcome is Outcome.RESIDUAL_KG
        units = None if weighed else connection.execute(_COMPARED).to_arrow_table()
        low = start - PRE_WEEKS + 1
        panel = read_round_panel(connection, campaign.outcome, low, week.number, units=units).part(draw.rounds)
        doses = connection.execute(_DOSES).fetchall()
    households = _per_week(panel, start + 1, last.number) if weighed else people["compared"]
    is_treated = _is_treated(draw)
    delivered = people["delivered"] if weighed else people["compared_delivered"]
    return RoundData(
        drawn=DrawnRounds(start, is_treated, households, people["assigned"], people["contactable"]),
        outcomes=_outcomes(panel, campaign, start, last, week, draw, households),
        sent=Sent(
            by_group={
                arm: {name: int(people[name][inside].sum()) for name in ("accepted", "delivered")}
                for arm, inside in ((CONTROL, ~is_treated), (WITH_MESSAGES, is_treated))
            },
            delivered=np.clip(delivered / np.maximum(households, 1.0), 0.0, 1.0),
            doses=tuple((int(count), int(homes)) for count, homes in doses),
            messages=int(np.sum(messages["accepted"].to_numpy())) if len(messages) else 0,
            cost_pence=float(np.sum(messages["cost_pence"].to_numpy())) if len(messages) else 0.0,
        ),
    )


def _is_treated(draw: RoundDraw) -> Flags:
    return np.arange(len(draw.rounds)) >= len(draw.control)


def _people(connection: duckdb.DuckDBPyConnection, draw: RoundDraw) -> dict[str, Floats]:
    """Households on each drawn round by what became of them, (r,) each."""
    rows = connection.execute(_BY_ROUND).to_arrow_table().to_pydict()
    place = {name: index for index, name in enumerate(draw.rounds)}
    here = [(row, place[name]) for row, name in enumerate(rows.pop("round_id")) if name in place]
    found = {}
    for column, values in rows.items():
        found[column] = np.zeros(len(draw.rounds))
        for row, index in here:
            found[column][index] = float(values[row])
    return found


def _per_week(panel: RoundPanel, first: int, last: int) -> Floats:
    """Mean households on each round over some weeks, (r,), at least 1."""
    return np.maximum(panel.total(panel.households, first, last) / max(last - first + 1, 1), 1.0)


def _outcomes(
    panel: RoundPanel,
    campaign: Campaign,
    start: int,
    last: Week,
    week: Week,
    draw: RoundDraw,
    households: Floats,
) -> RoundOutcomes:
    is_treated = _is_treated(draw)
    low, middle, end = start - PRE_WEEKS + 1, start - PRE_WEEKS // 2, last.number
    looks = [panel.values(start + 1, number) for number in range(campaign.starts.number + 1, end + 1)]
    step = panel.cycle_weeks
    cycles = {
        (first, first + step - 1): panel.values(first, first + step - 1)
        for first in range(start + 1, week.number - step + 2, step)
    }
    ended = (campaign.starts + campaign.weeks).number
    return RoundOutcomes(
        post=panel.values(start + 1, end),
        pre=panel.values(low, start),
        pre_first=panel.values(low, middle),
        pre_second=panel.values(middle + 1, start),
        planned=panel.total(panel.planned, start + 1, end),
        valid=panel.total(panel.valid, start + 1, end),
        looks=np.column_stack(looks) if looks else np.zeros((len(panel.rounds), 0)),
        cycles={span: values for span, values in cycles.items() if np.isfinite(values).any()},
        windows={Kind.DECAY: _windows(panel, start, end), Kind.AFTER: _windows(panel, ended, week.number)},
        household_weeks=_household_weeks(panel, range(start + 1, end + 1), is_treated, households),
        shared=_shared(panel.tickets, draw) if panel.tickets else None,
    )


def _windows(panel: RoundPanel, origin: int, last: int) -> dict[str, NDArray[np.float64]]:
    """Outcome over spans of weeks since an origin, as far as measured, by their name."""
    return {
        f"{low}-{min(high, last - origin)}": panel.values(origin + low, min(origin + high, last))
        for low, high in WINDOWS
        if origin + low <= last
    }


def _household_weeks(
    panel: RoundPanel, weeks: range, is_treated: Flags, households: Floats
) -> tuple[tuple[int, int], ...]:
    """Households that the effect is of on rounds with messages, by week."""
    if panel.tickets is None:
        return tuple((number, int(households[is_treated].sum())) for number in weeks)
    counts = [(number, panel.total(panel.households, number, number)[is_treated].sum()) for number in weeks]
    return tuple((number, int(count)) for number, count in counts)


def _shared(tickets: TicketSums, draw: RoundDraw) -> Shared:
    said = [SHARING_RULE]
    mixed = tickets.mixed_share(draw.treated, draw.control)
    if mixed > 0:
        said.append(
            f"{mixed:.1%} was shared between rounds with messages and rounds without, which draws the two together: "
            "the effect is understated by about as much."
        )
    if tickets.left_out_share > 0:
        said.append(
            f"{tickets.left_out_share:.1%} is left out: it names a round that no household is on, or no collection was "
            "due."
        )
    return Shared(tickets.shared_share, " ".join(said))
