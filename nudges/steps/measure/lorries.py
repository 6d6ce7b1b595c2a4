"""Reads what the lorries weighed of the rounds that a household campaign ran on, to set it beside the bins."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from nudges.domain import Campaign, Outcome, Stream
from nudges.measuring import Crosscheck, Headline, RoundWeights, crosscheck
from nudges.measuring.units import Floats
from nudges.outcomes import RoundPanel
from nudges.steps.measure.outcomes import PRE_WEEKS
from nudges.steps.round_panel import read_round_panel
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

_HOMES = """
CREATE TEMP TABLE round_homes AS
SELECT household_id, COALESCE(NULLIF(bin_store_id, ''), household_id) AS unit_id, residual_round_id AS round_id
FROM households
QUALIFY ROW_NUMBER() OVER (PARTITION BY household_id ORDER BY known_on DESC) = 1
"""
_SHARES = """
SELECT h.round_id, COUNT(*) FILTER (a.lane IN ('learn', 'best') AND a.is_contactable = 1)::DOUBLE AS homes
FROM round_homes h LEFT JOIN assigned a USING (household_id)
WHERE h.round_id IS NOT NULL GROUP BY h.round_id
"""
_GRAMS = f"""
SELECT u.round_id, SUM(l.weight_g)::DOUBLE AS grams
FROM lifts l JOIN (SELECT unit_id, MIN(round_id) AS round_id FROM round_homes GROUP BY unit_id) u USING (unit_id)
WHERE l.stream = '{Stream.RESIDUAL}' AND l.week_no BETWEEN ? AND ? GROUP BY u.round_id
"""  # noqa: S608 - a word of ours


def lorry_check(ws: Workspace, campaign: Campaign, head: Headline, last: Week, assigned: pa.Table) -> Crosscheck | None:
    """The weighbridge beside the headline's kg; None for other outcomes and without any ticket."""
    if campaign.outcome is not Outcome.RESIDUAL_KG:
        return None
    start = head.first_week_no - 1
    low = start - PRE_WEEKS + 1
    with ws.facts(last) as connection:
        panel = read_round_panel(connection, campaign.outcome, low, last.number)
        if panel.tickets is None or not panel.tickets.total or not panel.rounds:
            return None
        connection.register("assigned", assigned)
        connection.execute(_HOMES)
        before, after = (low, start), (start + 1, last.number)
        homes = _by_round(panel, connection.execute(_SHARES))
        bins = [_bins(connection, panel, first, end) for first, end in (before, after)]
    households = _households(panel, *after)
    weights = RoundWeights(
        lorry_before=panel.values(*before),
        lorry_after=panel.values(*after),
        bins_before=bins[0],
        bins_after=bins[1],
        share=np.clip(homes / np.maximum(households, 1.0), 0.0, 1.0),
        households=households,
    )
    return crosscheck(weights, head.effect, stated=head.stated)


def _by_round(panel: RoundPanel, rows: duckdb.DuckDBPyConnection) -> Floats:
    found = dict(rows.fetchall())
    return np.array([float(found.get(name) or 0.0) for name in panel.rounds])


def _households(panel: RoundPanel, first: int, last: int) -> Floats:
    return panel.total(panel.households, first, last) / max(last - first + 1, 1)


def _bins(connection: duckdb.DuckDBPyConnection, panel: RoundPanel, first: int, last: int) -> Floats:
    """Kg a household and week on the bins of each round; NaN where no bin was weighed."""
    grams = _by_round(panel, connection.execute(_GRAMS, [first, last]))
    under = _households(panel, first, last) * (last - first + 1)
    return np.where((grams > 0) & (under > 0), grams / 1000 / np.maximum(under, 1.0), np.nan)
