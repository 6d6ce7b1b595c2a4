"""Rounds of a campaign's households → which are in it and which are its control, drawn once for the whole campaign."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from nudges.domain import Campaign
from nudges.draws import RoundDraw, Salts, draw_rounds
from nudges.steps.choose.committed import committed_rounds
from nudges.steps.choose.scope import Scope
from nudges.steps.workspace import Workspace
from nudges.weeks import Week


def drawn_rounds(ws: Workspace, campaign: Campaign, week: Week, scope: Scope) -> RoundDraw:
    """The rounds as committed, or those of everybody in scope drawn now.

    Raises:
        UnsupportedError: too few rounds on either side.
    """
    committed = committed_rounds(ws, campaign, week)
    if committed is not None:
        return committed
    served = scope.round_id.filter(pa.array(scope.has_service))
    salt = Salts.of(campaign.salt, ws.council.salt).control
    rounds = [name for name in pc.unique(served).to_pylist() if name]
    return draw_rounds(rounds, f"{salt}:rounds", campaign.shares.control, where=f"campaigns/{campaign.id}.toml")


def in_rounds(scope: Scope, rounds: RoundDraw) -> Scope:
    """The scope with only the households of drawn rounds served: others came to a new round and are in no group."""
    is_drawn = pc.fill_null(pc.is_in(scope.round_id, value_set=pa.array(rounds.rounds, pa.string())), False)
    return replace(scope, has_service=scope.has_service & is_drawn.to_numpy(zero_copy_only=False))


def unit_places(scope: Scope, rounds: RoundDraw) -> NDArray[np.float64]:
    """Place of each unit's round in the order drawn, (units,): that of its first household on a drawn one, else 0."""
    coded = scope.round_id.dictionary_encode()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    known = np.r_[rounds.places(coded.dictionary.to_pylist()), np.nan]
    place = known[codes]
    rows = np.flatnonzero(np.isfinite(place))[::-1]
    out = np.zeros(len(scope.units))
    out[scope.unit[rows]] = place[rows]
    return out
