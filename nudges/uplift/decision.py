"""What the gate decided for one campaign, and every figure it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nudges.scoring import Value
from nudges.uplift.detail import Quality
from nudges.uplift.groups import GroupShare
from nudges.uplift.memory import Earlier, Stop
from nudges.uplift.readable import Readable


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided.

    Attributes:
        policy: `uniform`, `none`, `arm:<id>`, `model` or `mix:<arm>=<p>,...` (top-two sampling, shares summing to 1).
        gain: pence a unit over the next simpler policy (a model over the best single arm, that over none); None
            while the start is cold.
        model_over_none: pence a unit of the model over no message; None while the start is cold.
        arm_over_none: pence a unit of the best single arm, picked out of fold, over no message.
        effects: mean effect of each arm against the control, outcome units, by arm.
        best_arm: the arm with the largest mean net benefit.
        effective_rows: rows that inform the model's value.
        n_units: units of evidence.
        words: the decision for people.
        n_rows: rows of evidence, one a unit and turn.
        households_per_unit: mean, to turn pence a unit into pence a household.
        looks: how often the campaign reads its gate.
        level: one-sided chance to let in a model without a gain at this look.
        model_over_arm: pence a unit of the model over the best single arm.
        promise: `gain` corrected for having been reported because it passed the gate; None when nothing passed.
        earned: pence a unit over no message by policy, all held out: `uniform`, `best arm`, `model`.
        realised: pence a unit that the last model earned over the best single arm on rows that came after it.
        closed: why the gate is closed on a model that proved itself; empty when it is not.
        drift: features that have moved, a phrase each.
        stops: arms that are not given in a segment any more.
        fairness: how the policy treats each segment.
        chance_best: chance of each arm, control included, to be worth most, by arm; empty while the start is cold.
        alarms: what a person should look at before trusting the figures.
        quality: how well the model's predictions do on rows it had not seen; None unless asked for.
        tree: a rule that a person can read, and what it gives up; None unless asked for.
        memory: what the next decision needs to know.
    """

    policy: str
    gain: Value | None
    model_over_none: Value | None
    arm_over_none: Value | None
    effects: Mapping[str, Value]
    best_arm: str
    effective_rows: float
    n_units: int
    words: str
    n_rows: int
    households_per_unit: float
    looks: int
    level: float
    model_over_arm: Value | None
    promise: Value | None
    earned: Mapping[str, Value]
    realised: Value | None
    closed: str
    drift: tuple[str, ...]
    stops: tuple[Stop, ...]
    fairness: tuple[GroupShare, ...]
    chance_best: Mapping[str, float]
    alarms: tuple[str, ...]
    quality: Quality | None
    tree: Readable | None
    memory: Earlier
