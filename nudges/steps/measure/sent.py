"""Turns messages and their events into what a campaign reached and cost: by group, by unit and by dose."""

from __future__ import annotations

from datetime import UTC, datetime, time

import duckdb
import numpy as np
import pyarrow as pa

from nudges.domain import Campaign
from nudges.measuring import NONE_AT_FIRST, Drawn, Sent
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

_MESSAGES = """
SELECT m.household_id,
       SUM(CASE WHEN m.state = 'accepted' THEN 1 ELSE 0 END) AS accepted,
       SUM(CASE WHEN d.message_id IS NULL THEN 0 ELSE 1 END) AS delivered,
       SUM(CASE WHEN m.state IN ('accepted', 'in_doubt') THEN m.cost_pence ELSE 0 END) AS cost_pence
FROM messages m
LEFT JOIN (
    SELECT DISTINCT message_id FROM events WHERE kind = 'delivered' AND occurred_at < :until
) d ON d.message_id = m.message_id
WHERE m.campaign = :campaign AND m.week_no < :week
GROUP BY m.household_id
"""
_REACH = """
SELECT CASE WHEN u.is_holdout THEN 'holdout' WHEN u.is_control THEN 'control'
            WHEN u.arm = 'control' THEN '{none_at_first}' ELSE u.arm END AS shown_arm,
       COUNT(*) FILTER (m.accepted > 0) AS accepted, COUNT(*) FILTER (m.delivered > 0) AS delivered
FROM sent m JOIN assigned a USING (household_id) JOIN units u ON u.unit_id = a.unit_id
GROUP BY 1
"""

_TOTALS = ("accepted", "cost_pence")
_BY_UNIT = """
SELECT u.unit_no, AVG(CASE WHEN m.delivered > 0 THEN 1.0 ELSE 0.0 END)::DOUBLE AS delivered
FROM assigned a JOIN units u USING (unit_id) LEFT JOIN sent m USING (household_id)
GROUP BY u.unit_no
"""
_DOSES = """
SELECT COALESCE(m.delivered, 0)::BIGINT AS messages, COUNT(*) AS households
FROM assigned a JOIN units u USING (unit_id) LEFT JOIN sent m USING (household_id)
WHERE u.is_treated AND u.is_contactable = 1
GROUP BY 1 ORDER BY 1
"""


def read_sent(ws: Workspace, campaign: Campaign, week: Week) -> pa.Table:
    """Messages accepted and delivered by household, with data to the end of `week`."""
    # A message of the run of week w goes out in week w + 1, and the week being measured ends on its Sunday.
    until = datetime.combine((week + 1).monday, time(0), tzinfo=UTC)
    return ws.ledger.select(_MESSAGES, campaign=campaign.id, week=week.number, until=until)


def sent_of(connection: duckdb.DuckDBPyConnection, messages: pa.Table, drawn: Drawn) -> Sent:
    """What the messages reached among the connection's `units` and `assigned`; `messages` is `read_sent`."""
    connection.register("sent", messages)
    by_unit = connection.execute(_BY_UNIT).fetchnumpy()
    delivered = np.zeros(len(drawn.first_week_no))
    delivered[np.asarray(by_unit["unit_no"], dtype=np.intp)] = np.asarray(by_unit["delivered"], dtype=np.float64)
    groups = connection.execute(_REACH.format(none_at_first=NONE_AT_FIRST)).fetchall()
    totals = {name: float(np.sum(messages[name].to_numpy())) if len(messages) else 0.0 for name in _TOTALS}
    return Sent(
        by_group={arm: {"accepted": int(accepted), "delivered": int(done)} for arm, accepted, done in groups},
        delivered=delivered,
        doses=tuple((int(messages), int(households)) for messages, households in connection.execute(_DOSES).fetchall()),
        messages=int(totals["accepted"]),
        cost_pence=totals["cost_pence"],
    )
