"""Units → draws in [0, 1), lanes, arms and propensities: the only randomness of an assignment.

A draw is a salted hash: the same anywhere, in any order, with nothing to store. Three draws decide, each with
its own salt and so independent of the others: is the unit in the council's holdout, which lane of the campaign
is it in, which arm does it get where arms are uniform. None of them depends on the week: a unit keeps its lane
and its learn arm for the length of a campaign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from nudges.domain import Lane, Shares

LANES: tuple[Lane, ...] = (Lane.HOLDOUT, Lane.CONTROL, Lane.LEARN, Lane.BEST)
"""Order of the lane numbers below."""

UNIFORM = -1
"""The policy arm of every unit under a uniform policy (`*` in the ledger)."""

HOLDOUT, CONTROL_LANE, LEARN, BEST = range(4)


@dataclass(frozen=True, slots=True)
class Salts:
    """Salts of one campaign's draws in one council. The holdout's is the same for every campaign."""

    holdout: str
    lane: str
    arm: str
    tie: str

    @classmethod
    def of(cls, campaign_salt: str, council_salt: str) -> Salts:
        """Salts by the council's secret and the campaign's own."""
        salt = f"{campaign_salt}:{council_salt}"
        return cls(holdout=f"{council_salt}:holdout", lane=salt, arm=f"{salt}:arm", tie=f"{salt}:tie")


@dataclass(frozen=True, slots=True)
class Placing:
    """Where each unit stands, before any policy.

    Attributes:
        lane: (n,) index into LANES.
        draw: (n,) lane draw in [0, 1).
        arm_draw: (n,) draw that spreads units of the learn and best lanes over arms; 0 in the others.
    """

    lane: NDArray[np.int8]
    draw: NDArray[np.float64]
    arm_draw: NDArray[np.float64]


def draw(salt: str, unit_id: str) -> float:
    """Draw of one unit: the first 53 bits of sha256(`salt:unit_id`) as a share of 2**53."""
    digest = sha256(f"{salt}:{unit_id}".encode()).digest()
    return float((int.from_bytes(digest[:8], "big") >> 11) * 2.0**-53)


def draws(salt: str, ids: Sequence[str]) -> NDArray[np.float64]:
    """Draws of many units, each equal to `draw(salt, id)`."""
    start = f"{salt}:".encode()
    heads = b"".join([sha256(start + unit.encode()).digest()[:8] for unit in ids])
    bits = np.frombuffer(heads, dtype=">u8").astype(np.uint64) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def place(ids: Sequence[str], salts: Salts, shares: Shares, holdout_share: float) -> Placing:
    """Lane and draws of each unit: holdout first, then control | learn | best cumulatively."""
    held = draws(salts.holdout, ids) < holdout_share
    lane_draw = draws(salts.lane, ids)
    lane = np.full(len(ids), BEST, dtype=np.int8)
    lane[lane_draw < shares.control + shares.learn] = LEARN
    lane[lane_draw < shares.control] = CONTROL_LANE
    lane[held] = HOLDOUT
    spread = np.flatnonzero(lane >= LEARN)
    arm_draw = np.zeros(len(ids))
    arm_draw[spread] = draws(salts.arm, [ids[row] for row in spread.tolist()])
    return Placing(lane=lane, draw=lane_draw, arm_draw=arm_draw)


def given_arms(placing: Placing, policy_arm: NDArray[np.intp], n_arms: int) -> NDArray[np.intp]:
    """Arm index each unit is given, 0 the control.

    Args:
        placing: lanes and draws, (n,) each.
        policy_arm: (n,) the policy's arm of each unit, or UNIFORM.
        n_arms: arms with the control.
    """
    learn = np.minimum((placing.arm_draw * n_arms).astype(np.intp), n_arms - 1)
    spread = 1 + np.minimum((placing.arm_draw * (n_arms - 1)).astype(np.intp), n_arms - 2)
    best = np.where(policy_arm == UNIFORM, spread, policy_arm)
    return np.select([placing.lane == LEARN, placing.lane == BEST], [learn, best], default=0).astype(np.intp)


def propensities(
    policy_arm: NDArray[np.intp], n_arms: int, *, shares: Shares, holdout_share: float
) -> NDArray[np.float64]:
    """Probability of every arm over all lanes, (n, n_arms), rows summing to 1.

    With h the holdout, c, l, b the lanes and K messages: a unit in the learn lane has l/(K+1) of each arm, the
    best lane gives all of b to the policy's arm, or b/K to each message under a uniform policy; the control also
    has h and (1-h)c.
    """
    n_messages = n_arms - 1
    out = np.full((len(policy_arm), n_arms), shares.learn / n_arms)
    out[:, 0] += shares.control
    uniform = policy_arm == UNIFORM
    out[uniform, 1:] += shares.best / n_messages
    decided = np.flatnonzero(~uniform)
    out[decided, policy_arm[decided]] += shares.best
    out *= 1.0 - holdout_share
    out[:, 0] += holdout_share
    return out
