"""Turns a chooser, a kind of borough and a seed into 52 weeks of pounds, exact from what was planted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from benchmarks._loop_borough import FIRST, HISTORY, TURN_WEEKS, World
from benchmarks._loop_choosers import BestArm, Chooser, KnownArm, Oracle, Setting, Thompson, Turn, Uniform
from benchmarks._loop_effects import COST_PENCE, TEMPLATES
from benchmarks._loop_engine import ESTIMATOR, Engine, control_lane
from nudges.domain import Council
from nudges.measuring import Effect, unit_ancova
from nudges.money import residual_pence_per_tonne
from nudges.settings import load_council
from nudges.starter import starter_folder

Floats = NDArray[np.float64]
ENGINE = "this engine"

CHOOSERS: Mapping[str, Callable[[], Chooser]] = {
    "uniform": Uniform,
    "best-single-arm": BestArm,
    "12-week pilot, best arm or none": lambda: BestArm(pilot=3, may_stop=True),
    ENGINE: Engine,
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
        homes: homes of the campaign, of so many households in the borough.
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
    households: int
    estimator: str

    @property
    def key(self) -> tuple[str, int, str, int, str]:
        """What makes a year the same one; only the engine has an estimator."""
        return wanted_key(self.kind, self.seed, self.chooser, households=self.households, estimator=self.estimator)

    def to_json(self) -> str:
        """One line."""
        return json.dumps({**asdict(self), "pence": self.pence.tolist(), "cost": self.cost.tolist()})

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Rebuild from `to_json`."""
        kept = json.loads(line)
        arrays = {name: np.array(kept.pop(name)) for name in ("pence", "cost")}
        return cls(policies=tuple(kept.pop("policies")), **arrays, **kept)

    @property
    def covers(self) -> bool:
        """Whether the interval holds what was planted."""
        return self.low <= self.truth <= self.high


def live(kind: str, seed: int, chooser: str, *, households: int, weeks: int, estimator: str = ESTIMATOR) -> Lived:
    """Live through a borough with one chooser; the same seed has the same homes, noise and control lane for all."""
    begun = time.process_time()
    world = World.make(kind, households=households, seed=seed, weeks=weeks)
    setting = Setting(control_lane(world, seed), price(0), weeks // TURN_WEEKS, seed)
    decides = Engine(estimator) if chooser == ENGINE else CHOOSERS[chooser]()
    kg, cost = np.zeros((weeks, world.size)), np.zeros(weeks)
    policies = [_turn(world, decides, setting, turn, kg, cost) for turn in range(setting.turns)]
    effect, known = _measured(world, setting, weeks)
    prices = np.array([price(week) for week in range(weeks)])
    return Lived(
        kind=kind,
        seed=seed,
        chooser=chooser,
        pence=kg.mean(axis=1) * prices - cost,
        cost=cost,
        policies=tuple(policies),
        estimate=effect.estimate,
        low=effect.ci_low,
        high=effect.ci_high,
        truth=-float(kg[:, known & ~setting.is_control].mean()),
        homes=world.size,
        cpu_s=time.process_time() - begun,
        households=households,
        estimator=estimator,
    )


def wanted_key(
    kind: str, seed: int, chooser: str, *, households: int, estimator: str
) -> tuple[str, int, str, int, str]:
    """The `Lived.key` of a year that is wanted."""
    return kind, seed, chooser, households, estimator if chooser == ENGINE else ""


@cache
def price(week: int) -> float:
    """Pence a kg of residual avoided in a week of the year is worth to the starter's council."""
    return residual_pence_per_tonne(_council(), (FIRST + week).monday) / 1000


@cache
def _council() -> Council:
    return load_council(starter_folder())


def _turn(world: World, decides: Chooser, setting: Setting, turn: int, kg: Floats, cost: Floats) -> str:
    """Choose and live through one turn; puts kg avoided (weeks, n) and pence a home (weeks,) into their places."""
    X = world.features()
    choice = decides.choose(turn, world, X, setting)
    silence = np.zeros_like(choice.arm)
    first = turn * TURN_WEEKS
    for week in range(first, first + TURN_WEEKS):
        kg[week] = world.live(choice.arm if week == first else silence, TEMPLATES)
    cost[first] = COST_PENCE[choice.arm].mean()
    y = world.outcome(HISTORY + first, TURN_WEEKS)
    setting.past.append(Turn(X, choice.arm, choice.propensity, y))
    return choice.policy


def _measured(world: World, setting: Setting, weeks: int) -> tuple[Effect, NDArray[np.bool_]]:
    """Campaign against control lane over the year as `measure` does it, and who has an outcome."""
    before, after = world.outcome(0, HISTORY), world.outcome(HISTORY, weeks)
    known = np.isfinite(after)
    return unit_ancova(after[known], before[known], ~setting.is_control[known]), known
