"""Turns a chooser, a kind of borough and a seed into 52 weeks of pounds, exact from what was planted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks._loop_borough import FIRST, HISTORY, TURN_WEEKS, World
from benchmarks._loop_choosers import BestArm, Chooser, KnownArm, Oracle, Setting, Thompson, Turn, Uniform
from benchmarks._loop_effects import COST_PENCE, TEMPLATES
from benchmarks._loop_engine import Engine, control_lane
from nudges.domain import Council
from nudges.errors import UnsupportedError
from nudges.measuring import unit_ancova
from nudges.money import residual_pence_per_tonne
from nudges.settings import load_council
from nudges.starter import starter_folder

Floats = NDArray[np.float64]

CHOOSERS: Mapping[str, Callable[[], Chooser]] = {
    "uniform": Uniform,
    "best-single-arm": BestArm,
    "12-week pilot, best arm or none": lambda: BestArm(pilot=3, may_stop=True),
    "this engine": Engine,
    "Thompson without features": Thompson,
    "truly best arm, known": KnownArm,
    "oracle": Oracle,
}


@dataclass(frozen=True, slots=True)
class Lived:
    """What one chooser earned in one borough.

    Attributes:
        pence: (weeks,) a home of the campaign: planted kg avoided x price - messages, by week of the year.
        cost: (weeks,) of it, messages.
        policies: what each turn was called.
        estimate, low, high, truth: kg a home and week, campaign against control lane, over all weeks.
        homes: homes of the campaign.
        cpu_s: processor seconds.
    """

    kind: str
    seed: int
    chooser: str
    pence: Floats
    cost: Floats
    policies: tuple[str, ...]
    estimate: float
    low: float
    high: float
    truth: float
    homes: int
    cpu_s: float

    @property
    def covers(self) -> bool:
        """Whether the interval holds what was planted."""
        return self.low <= self.truth <= self.high


@cache
def _council() -> Council:
    return load_council(starter_folder())


def live(kind: str, seed: int, chooser: str, *, households: int, weeks: int) -> Lived:
    """Live through a borough with one chooser; the same seed has the same homes, noise and control lane for all."""
    begun = time.process_time()
    world = World.make(kind, households=households, seed=seed, weeks=weeks)
    setting = Setting(
        is_control=control_lane(world, seed),
        pence_per_kg=residual_pence_per_tonne(_council(), FIRST.monday) / 1000,
        turns=weeks // TURN_WEEKS,
        seed=seed,
    )
    decides = CHOOSERS[chooser]()
    before = world.outcome(0, HISTORY)
    pence, cost, policies = np.zeros(weeks), np.zeros(weeks), []
    avoided = np.zeros(world.size)
    for turn in range(setting.turns):
        X = world.features()
        choice = decides.choose(turn, world, X, setting)
        policies.append(choice.policy)
        for week in range(turn * TURN_WEEKS, (turn + 1) * TURN_WEEKS):
            arm = choice.arm if week % TURN_WEEKS == 0 else np.zeros_like(choice.arm)
            kg = world.live(arm, TEMPLATES)
            avoided += kg
            cost[week] = COST_PENCE[arm].mean()
            price = residual_pence_per_tonne(_council(), (FIRST + week).monday) / 1000
            pence[week] = kg.mean() * price - cost[week]
        y = world.outcome(HISTORY + turn * TURN_WEEKS, TURN_WEEKS)
        setting.past.append(Turn(X, choice.arm, choice.propensity, y))
    treated = ~setting.is_control
    after = world.outcome(HISTORY, weeks)
    known = np.isfinite(after)
    effect = unit_ancova(after[known], before[known], treated[known])
    truth = -avoided[known & treated].mean() / weeks
    return Lived(
        kind=kind,
        seed=seed,
        chooser=chooser,
        pence=pence,
        cost=cost,
        policies=tuple(policies),
        estimate=effect.estimate,
        low=effect.ci_low,
        high=effect.ci_high,
        truth=truth,
        homes=world.size,
        cpu_s=time.process_time() - begun,
    )
