"""What a campaign committed for a week → the choice as it was made, and everybody's lane and arm as drawn then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nudges.domain import Campaign, Shares
from nudges.draws import LANES
from nudges.errors import ConfigError
from nudges.steps.choose.scope import Scope
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

ANY_ARM = "*"
"""The policy arm written in the ledger under a uniform policy."""

_CHOICE = """
SELECT policy, price_per_penny, control_share, learn_share, best_share, holdout_share
FROM choices WHERE campaign = :campaign AND week_no = :week
"""
_ASSIGNED = """
SELECT household_id, lane, arm, policy_arm, draw, propensity, is_contactable
FROM assignments WHERE campaign = :campaign AND week_no = :week
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """How one week chooses: the policy, the dual price of its budget, and the shares that lanes are drawn by."""

    policy: str
    price_per_penny: float
    shares: Shares
    holdout_share: float


@dataclass(slots=True)
class Given:
    """Lane, arm and the rest of every household, before what is committed overrules it."""

    lane: NDArray[np.int8]
    arm: NDArray[np.intp]
    policy_arm: NDArray[np.intp]
    draw: NDArray[np.float64]
    propensity: NDArray[np.float64]
    is_contactable: NDArray[np.bool_]


def committed_choice(ws: Workspace, campaign: Campaign, week: Week) -> Choice | None:
    """The choice of that week, whatever the campaign's file says by now; None when none was made."""
    rows = ws.ledger.select(_CHOICE, campaign=campaign.id, week=week.number).to_pylist()
    if not rows:
        return None
    row = rows[0]
    return Choice(
        policy=str(row["policy"]),
        price_per_penny=float(row["price_per_penny"]),
        shares=Shares(float(row["control_share"]), float(row["learn_share"]), float(row["best_share"])),
        holdout_share=float(row["holdout_share"]),
    )


def read_back(ws: Workspace, campaign: Campaign, week: Week, scope: Scope, given: Given) -> None:
    """Put what is committed in the place of what was worked out just now.

    A household that came since, to a unit of which some are committed, gets what its unit got.
    """
    rows = ws.ledger.select(_ASSIGNED, campaign=campaign.id, week=week.number)
    if rows.num_rows == 0:
        return
    rows = rows.combine_chunks()
    place_of = pc.index_in(scope.household_id, value_set=rows["household_id"].combine_chunks())
    own = pc.fill_null(place_of, -1).to_numpy(zero_copy_only=False)
    here = np.flatnonzero(own >= 0)
    given.is_contactable[here] = rows["is_contactable"].to_numpy().astype(bool)[own[here]]
    by_unit = np.full(len(scope.units), -1, dtype=np.intp)
    by_unit[scope.unit[here]] = own[here]
    row_of = np.where(own >= 0, own, by_unit[scope.unit])
    here = np.flatnonzero(row_of >= 0)
    there = row_of[here]
    arms = campaign.arm_ids
    given.lane[here] = _codes(rows["lane"], LANES, campaign)[there]
    given.arm[here] = _codes(rows["arm"], arms, campaign)[there]
    given.policy_arm[here] = (_codes(rows["policy_arm"], (ANY_ARM, *arms), campaign) - 1)[there]
    given.draw[here] = rows["draw"].to_numpy()[there]
    given.propensity[here] = rows["propensity"].to_numpy()[there]


def _codes(column: pa.ChunkedArray, words: tuple[str, ...], campaign: Campaign) -> NDArray[np.intp]:
    """Positions of a column's words; the uniform policy's `*` is made to come first, and so ends at UNIFORM = -1."""
    found = pc.index_in(column, value_set=pa.array([str(word) for word in words]))
    if found.null_count:
        word = column.filter(pc.is_null(found))[0].as_py()
        raise ConfigError(
            f"campaigns/{campaign.id}.toml: arm {word!r} is gone, but this week was chosen with it. "
            "Put it back until the week is over."
        )
    return np.asarray(found.to_numpy(), dtype=np.intp)
