"""Units → draws in [0, 1), lanes, arms and propensities: the only randomness of an assignment.

A draw is a salted hash: the same anywhere, in any order, with nothing to store. Who is in the council's holdout and
who in a campaign's control lane is drawn once and never changes. Outside them a campaign goes by turns of some weeks:
the lane (learn or best) and the arm are drawn anew in each turn, from one hash of campaign, turn and unit, so that a
unit brings a fresh randomised trial every turn. Where rounds are drawn, whole rounds are the control, drawn by complete
randomisation, and the rest is as before.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nudges.domain import Lane, Shares
from nudges.errors import UnsupportedError

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Arms = NDArray[np.intp]

LANES: tuple[Lane, ...] = (Lane.HOLDOUT, Lane.CONTROL, Lane.LEARN, Lane.BEST)
"""Order of the lane numbers below."""

UNIFORM = -1
"""The policy arm of every unit whose best-lane arm is drawn from a mixture (`*` in the ledger), uniform or other."""

HOLDOUT, CONTROL_LANE, LEARN, BEST = range(4)

LANE_WORD, ARM_WORD, TIE_WORD = range(3)
"""Which 64 bits of a turn's hash decide what."""

FEWEST_ROUNDS = 4
"""Rounds on either side below which no interval can be trusted (4 v 4: the smallest possible p is 0.029)."""

_BELOW_ONE = 1.0 - 2.0**-53


@dataclass(frozen=True, slots=True)
class Salts:
    """Salts of one campaign's draws in one council and turn. The holdout's is the same for every campaign."""

    holdout: str
    control: str
    turn: str

    @classmethod
    def of(cls, campaign_salt: str, council_salt: str, turn: int = 0) -> Salts:
        """Salts by the council's secret and the campaign's own; `turn` is counted from 0."""
        salt = f"{campaign_salt}:{council_salt}"
        return cls(holdout=f"{council_salt}:holdout", control=salt, turn=f"{salt}:turn{turn}")


@dataclass(frozen=True, slots=True)
class Placing:
    """Where each unit stands in a turn, before any policy.

    Attributes:
        lane: (n,) index into LANES.
        draw: (n,) lane draw in [0, 1), cut by control | control + learn. Outside the control lane it is
            control + (1 - control) times the turn's own draw, so the cuts are the same.
        arm_draw: (n,) draw that spreads units of the learn and best lanes over arms.
        tie: (n,) draw that orders units between whom nothing else decides.
    """

    lane: NDArray[np.int8]
    draw: Floats
    arm_draw: Floats
    tie: Floats


def draw(salt: str, unit_id: str, word: int = 0) -> float:
    """Draw of one unit: 53 bits of sha256(`salt:unit_id`), from byte 8 `word` on, as a share of 2**53."""
    digest = sha256(f"{salt}:{unit_id}".encode()).digest()
    return float((int.from_bytes(digest[8 * word : 8 * word + 8], "big") >> 11) * 2.0**-53)


def draws(salt: str, ids: Sequence[str]) -> Floats:
    """Draws of many units, each equal to `draw(salt, id)`."""
    return _words(salt, [unit.encode() for unit in ids], 1)[:, 0]


def place(
    ids: Sequence[str], salts: Salts, shares: Shares, holdout_share: float, *, control_draw: Floats | None = None
) -> Placing:
    """Lane and draws of each unit: holdout, then control, both for good; then learn | best for the turn.

    `control_draw` (n,) takes the place of the units' own control draws: those of their rounds, where rounds are drawn.
    """
    units = [unit.encode() for unit in ids]
    held = _words(salts.holdout, units, 1)[:, 0] < holdout_share
    once = _words(salts.control, units, 1)[:, 0] if control_draw is None else control_draw
    turn = _words(salts.turn, units, 3)
    is_outside = once >= shares.control
    fresh = np.minimum(shares.control + (1.0 - shares.control) * turn[:, LANE_WORD], _BELOW_ONE)
    lane_draw = np.where(is_outside, fresh, once)
    lane = np.full(len(units), BEST, dtype=np.int8)
    lane[lane_draw < shares.control + shares.learn] = LEARN
    lane[~is_outside] = CONTROL_LANE
    lane[held] = HOLDOUT
    return Placing(lane=lane, draw=lane_draw, arm_draw=turn[:, ARM_WORD], tie=turn[:, TIE_WORD])


def _words(salt: str, units: Sequence[bytes], n_words: int) -> Floats:
    """The first so many draws of each unit's hash, (n, n_words)."""
    start = f"{salt}:".encode()
    digests = b"".join([sha256(start + unit).digest() for unit in units])
    bits = np.frombuffer(digests, dtype=">u8").reshape(-1, 4)[:, :n_words].astype(np.uint64) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def given_arms(
    placing: Placing,
    policy_arm: Arms,
    n_arms: int,
    *,
    mixture: ArrayLike | None = None,
    allowed: Flags | None = None,
) -> Arms:
    """Arm index each unit is given, 0 the control.

    Args:
        placing: lanes and draws, (n,) each.
        policy_arm: (n,) the policy's arm of each unit, an allowed one, or UNIFORM where the mixture decides.
        n_arms: arms with the control.
        mixture: (n_arms,) probabilities of the best lane where the policy's arm is UNIFORM; uniform over messages
            when None.
        allowed: (n, n_arms) arms that a unit may get, the control always; every one when None.
    """
    learn = _picked(placing.arm_draw, learn_chances(n_arms, allowed))
    spread = _picked(placing.arm_draw, mixture_chances(n_arms, mixture, allowed))
    best = np.where(policy_arm == UNIFORM, spread, policy_arm)
    return np.select([placing.lane == LEARN, placing.lane == BEST], [learn, best], default=0).astype(np.intp)


def learn_chances(n_arms: int, allowed: Flags | None = None) -> Floats:
    """Probability of every arm in the learn lane, (1 or n, n_arms): the same for each arm that is allowed."""
    if allowed is None:
        return np.full((1, n_arms), 1.0 / n_arms)
    return np.asarray(allowed / allowed.sum(axis=1, keepdims=True), dtype=np.float64)


def mixture_chances(n_arms: int, mixture: ArrayLike | None = None, allowed: Flags | None = None) -> Floats:
    """Probability of every arm in the best lane under a mixture, (1 or n, n_arms).

    Renormalised over the arms that are allowed; all on the control where it gives those nothing.
    """
    if mixture is None:
        mixture = np.r_[0.0, np.full(n_arms - 1, 1.0 / (n_arms - 1))]
    chances = np.asarray(mixture, dtype=np.float64)[None, :] * (True if allowed is None else allowed)
    total = chances.sum(axis=1, keepdims=True)
    nothing = total[:, 0] <= 0
    chances[nothing, 0] = 1.0
    total[nothing] = 1.0
    return np.asarray(chances / total, dtype=np.float64)


def _picked(share: Floats, chances: Floats) -> Arms:
    """Index at which the running sum of each row of chances passes the unit's draw."""
    sums = np.cumsum(chances, axis=1)
    sums /= sums[:, -1:]  # exactly 1 from the last possible arm on: no draw passes it
    return np.asarray((share[:, None] >= sums).sum(axis=1), dtype=np.intp)


def propensities(
    policy_arm: Arms,
    n_arms: int,
    *,
    shares: Shares,
    holdout_share: float,
    mixture: ArrayLike | None = None,
    allowed: Flags | None = None,
) -> Floats:
    """Probability of every arm over all lanes, (n, n_arms), rows summing to 1.

    With h the holdout, c, l, b the lanes and K messages: a unit in the learn lane has l/(K+1) of each arm, the
    best lane gives all of b to the policy's arm, or b times the mixture (b/K to each message when uniform); the
    control also has h and (1-h)c. Arms that are not allowed have 0, and the others their share of it.

    For a unit known to be outside holdout and control lane: shares of (0, l/(l+b), b/(l+b)) and no holdout.
    """
    out = np.empty((len(policy_arm), n_arms))
    out[:] = shares.learn * learn_chances(n_arms, allowed)
    out[:, 0] += shares.control
    is_mixed = policy_arm == UNIFORM
    spread = np.broadcast_to(shares.best * mixture_chances(n_arms, mixture, allowed), out.shape)
    out[is_mixed] += spread[is_mixed]
    decided = np.flatnonzero(~is_mixed)
    out[decided, policy_arm[decided]] += shares.best
    out *= 1.0 - holdout_share
    out[:, 0] += holdout_share
    return out


@dataclass(frozen=True, slots=True)
class RoundDraw:
    """Rounds of a campaign in the order drawn: `control` first, then `treated`."""

    control: tuple[str, ...]
    treated: tuple[str, ...]

    @property
    def rounds(self) -> tuple[str, ...]:
        """All of them, in the order drawn."""
        return self.control + self.treated

    @property
    def control_share(self) -> float:
        """Chance of any one round to be control: exact, because the counts are."""
        return len(self.control) / len(self.rounds)

    def places(self, rounds: Iterable[str | None]) -> Floats:
        """Place of each round in the order as a share [0, 1), below `control_share` for control; NaN if not drawn."""
        n = len(self.rounds)
        known = {name: index / n for index, name in enumerate(self.rounds)}
        return np.array([known.get(name or "", np.nan) for name in rounds], dtype=np.float64)

    def lanes(self, shares: Shares) -> Shares:
        """The campaign's shares with the control as drawn; learn and best keep their proportion."""
        outside = shares.learn + shares.best
        rest = 1.0 - self.control_share
        return Shares(self.control_share, rest * shares.learn / outside, rest * shares.best / outside)

    def to_json(self) -> str:
        """As the ledger keeps it."""
        return json.dumps({"control": self.control, "treated": self.treated}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Rebuild from `to_json`."""
        raw = json.loads(text)
        return cls(tuple(map(str, raw["control"])), tuple(map(str, raw["treated"])))


def draw_rounds(rounds: Iterable[str], salt: str, control_share: float, *, where: str) -> RoundDraw:
    """Draw the control by complete randomisation: the rounds with the lowest draws, the whole number nearest the share.

    Rounds may come in any order and more than once; `where` begins the complaint.

    Raises:
        UnsupportedError: fewer than FEWEST_ROUNDS on either side.
    """
    names = sorted(set(rounds))
    n_control = int(control_share * len(names) + 0.5)
    if min(n_control, len(names) - n_control) < FEWEST_ROUNDS:
        raise UnsupportedError(_refusal(where, len(names), n_control, control_share))
    order = np.argsort(draws(salt, names), kind="stable")
    drawn = tuple(names[place] for place in order)
    return RoundDraw(drawn[:n_control], drawn[n_control:])


def _refusal(where: str, n: int, n_control: int, control_share: float) -> str:
    why = "with fewer, chance alone could explain any difference"
    if n < 2 * FEWEST_ROUNDS:
        return (
            f"{where}: unit == 'round' with {n} rounds in its segments, must be {2 * FEWEST_ROUNDS} or more, half of "
            f'them without messages: {why}. Add segments that reach more rounds, or write unit = "household".'
        )
    half = FEWEST_ROUNDS - 0.5  # the share of a count that still rounds to the fewest
    low, high = -(-1000 * half // n) / 1000, (999 - 1000 * half // n) / 1000
    return (
        f"{where}: shares.control == {control_share:g} of {n} rounds are {n_control} without messages and "
        f"{n - n_control} with, must be {FEWEST_ROUNDS} or more of each: {why}. Write a control between {low:g} and "
        f"{high:g}; 0.5 sees the smallest effects."
    )
