"""Turns what was seen so far into the next turn's message of every home: the choosers the engine is compared with.

All of them leave the same control lane alone, so that each could say at the end what it did.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks._loop_borough import FEATURES, TURN_WEEKS, World
from benchmarks._loop_effects import ARMS, COST_PENCE, HALF_LIFE, expected_shares
from nudges.domain import Stream

Floats = NDArray[np.float64]
Arms = NDArray[np.intp]
Flags = NDArray[np.bool_]
N_ARMS = len(ARMS)
LEVEL = FEATURES.index("residual_kg_mean_26w")


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn as it was drawn and, once lived through, measured; n homes.

    Attributes:
        X: (n, features) known before.
        arm: (n,) given.
        propensity: (n, arms) over all lanes in the first turn, later given that the home is not in the control lane.
        y: (n,) residual kg a week over the turn.
    """

    X: Floats
    arm: Arms
    propensity: Floats
    y: Floats


@dataclass(frozen=True, slots=True)
class Choice:
    """Arms of the next turn, (n,), with the probabilities they were drawn by and what to call the policy."""

    arm: Arms
    propensity: Floats
    policy: str


@dataclass(slots=True)
class Setting:
    """What every chooser is told: who is in the control lane, what a kg is worth now, how many turns there will be."""

    is_control: Flags
    pence_per_kg: float
    turns: int
    seed: int
    past: list[Turn] = field(default_factory=list)


class Chooser(Protocol):
    """Decides a turn."""

    def choose(self, turn: int, world: World, X: Floats, setting: Setting) -> Choice:
        """Arms of the next turn; `setting.past` holds the turns before, all closed."""


def drawn(probability: Floats, setting: Setting, turn: int, policy: str) -> Choice:
    """Draw each home's arm from its row of probabilities; the control lane gets nothing."""
    u = np.random.default_rng([setting.seed, turn, 71]).random(len(probability))
    arm = np.minimum((np.cumsum(probability, axis=1) < u[:, None]).sum(axis=1), N_ARMS - 1)
    return Choice(np.where(setting.is_control, 0, arm).astype(np.intp), probability, policy)


def constant(setting: Setting, weights: Floats) -> Floats:
    """The same probabilities for every home."""
    return np.broadcast_to(weights, (len(setting.is_control), N_ARMS))


def any_message() -> Floats:
    """Each message equally often."""
    return np.r_[0.0, np.full(N_ARMS - 1, 1 / (N_ARMS - 1))]


class Uniform:
    """A message drawn by lot in every turn."""

    def choose(self, turn: int, world: World, X: Floats, setting: Setting) -> Choice:  # noqa: ARG002
        """Whatever was seen."""
        return drawn(constant(setting, any_message()), setting, turn, "uniform")


@dataclass(slots=True)
class BestArm:
    """By lot for `pilot` turns, then for good the message with the best estimated net benefit, or none if it may."""

    pilot: int = 1
    may_stop: bool = False
    _arm: int | None = None

    def choose(self, turn: int, world: World, X: Floats, setting: Setting) -> Choice:  # noqa: ARG002
        """One arm for everyone."""
        if turn < self.pilot:
            return drawn(constant(setting, any_message()), setting, turn, "uniform")
        if self._arm is None:
            mean, _ = net_pence(setting)
            self._arm = int(mean.argmax()) if self.may_stop else 1 + int(mean[1:].argmax())
        return drawn(constant(setting, np.eye(N_ARMS)[self._arm]), setting, turn, f"arm:{ARMS[self._arm]}")


class KnownArm:
    """The arm that is truly best for all, from the first turn: no council can know it."""

    def choose(self, turn: int, world: World, X: Floats, setting: Setting) -> Choice:  # noqa: ARG002
        """One arm for everyone, by the truth."""
        best = int(true_pence(world, setting).mean(axis=0).argmax())
        return drawn(constant(setting, np.eye(N_ARMS)[best]), setting, turn, f"arm:{ARMS[best]}")


class Thompson:
    """Gaussian Thompson sampling over arms, none among them, without features: each arm as often as it may be best."""

    draws = 4_000

    def choose(self, turn: int, world: World, X: Floats, setting: Setting) -> Choice:  # noqa: ARG002
        """Probability of being best under the posterior of the mean net benefits; everyone alike."""
        if turn == 0:
            return drawn(constant(setting, np.full(N_ARMS, 1 / N_ARMS)), setting, turn, "uniform")
        mean, covariance = net_pence(setting)
        rng = np.random.default_rng([setting.seed, turn, 72])
        sample = np.column_stack(
            [np.zeros(self.draws), rng.multivariate_normal(mean[1:], covariance, self.draws, method="eigh")]
        )
        weights = np.bincount(sample.argmax(axis=1), minlength=N_ARMS) / self.draws
        words = " ".join(f"{arm} {weight:.2f}" for arm, weight in zip(ARMS, weights, strict=True))
        return drawn(constant(setting, weights), setting, turn, words)


class Oracle:
    """Sends each home what is truly worth most to it net of cost, or nothing."""

    def choose(self, turn: int, world: World, X: Floats, setting: Setting) -> Choice:  # noqa: ARG002
        """By what every home would really do."""
        best = true_pence(world, setting).argmax(axis=1)
        return drawn(np.eye(N_ARMS)[best], setting, turn, "oracle")


def true_pence(world: World, setting: Setting) -> Floats:
    """Expected pence of getting each arm in every turn rather than nothing, a home and turn, (n, arms)."""
    fade = 0.5 ** (np.arange(TURN_WEEKS) / HALF_LIFE)
    kg = world.borough._people.kg[Stream.RESIDUAL][world.rows]
    avoided = expected_shares(world.borough, world.rows) * kg[:, None] * fade.sum()
    return np.asarray(avoided * setting.pence_per_kg - COST_PENCE)


def net_pence(setting: Setting) -> tuple[Floats, Floats]:
    """Estimated pence of each message a home and turn, net of cost, (arms,), control 0, and its covariance.

    Least squares on arm, turn and the 26 weeks before, over all homes and turns; the control lane counts as none.
    """
    y = np.concatenate([turn.y for turn in setting.past])
    arm = np.concatenate([turn.arm for turn in setting.past])
    before = np.concatenate([turn.X[:, LEVEL] for turn in setting.past])
    number = np.repeat(np.arange(len(setting.past)), len(setting.is_control))
    keep = np.isfinite(y) & np.isfinite(before)
    design = np.column_stack(
        [
            np.eye(N_ARMS)[arm[keep]][:, 1:],
            np.eye(len(setting.past))[number[keep]],
            before[keep] - before[keep].mean(),
        ]
    )
    # an arm that was never given keeps a mean of 0 with a wide spread
    gram = design.T @ design + np.diag(np.r_[np.full(N_ARMS - 1, 1.0), np.zeros(len(setting.past) + 1)])
    inverse = np.linalg.inv(gram)
    beta = inverse @ (design.T @ y[keep])
    residual = y[keep] - design @ beta
    scale = TURN_WEEKS * setting.pence_per_kg
    mean = np.r_[0.0, -beta[: N_ARMS - 1] * scale] - COST_PENCE
    covariance = inverse[: N_ARMS - 1, : N_ARMS - 1] * residual.var() * scale**2
    return mean, covariance
