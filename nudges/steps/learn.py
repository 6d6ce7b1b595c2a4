"""Closed outcomes of past assignments → a model card, and a model where one has earned its place.

One row a unit, from its first assignment in the campaign: what was known of it then, before any message of the campaign
could have changed it, the arm and propensities drawn then, and its outcome since. A unit keeps its lane and its learn
arm for the whole campaign, so later assignments bring no new draw, only more weeks: they lengthen the outcome window,
which is at least four weeks, at most twelve, and ends where the campaign's policy changed.

The holdout is left out: no other campaign writes to it either, so its outcome is not that of this campaign's control.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sklearn.base import clone

from nudges import estimators
from nudges.cards import ModelCard, leading_features
from nudges.domain import Campaign, Lane, Shares, Summary
from nudges.draws import UNIFORM, draws, propensities
from nudges.errors import UnsupportedError
from nudges.features import model_columns
from nudges.money import residual_pence_per_tonne
from nudges.steps.choose.choosing import ANY_ARM, arm_costs, expected_prices
from nudges.steps.matrix import feature_matrix, sharing_homes
from nudges.steps.models import Model, store_model
from nudges.steps.unit_outcomes import unit_outcomes
from nudges.steps.workspace import Workspace
from nudges.uplift import Decision, Evidence, Prices, decide, pence_per_outcome
from nudges.weeks import Week

CLOSED_WEEKS = 4
"""Weeks after a unit's first assignment before its outcome counts."""

LONGEST_WEEKS = 12
"""Weeks of outcome used at most, so that early units and late ones are of one kind."""

MOST_UNITS = 200_000
"""Units learned from at most: those with the lowest hash, the same every week."""

SEED = 20260105

_FIRST = """
SELECT a.unit_id, a.week_no, MIN(a.household_id) AS home, MIN(a.arm) AS arm, MIN(a.policy_arm) AS policy_arm,
       COUNT(*) AS households
FROM assignments a
JOIN (SELECT unit_id, MIN(week_no) AS week_no FROM assignments WHERE campaign = :campaign GROUP BY unit_id) f
  ON f.unit_id = a.unit_id AND f.week_no = a.week_no
WHERE a.campaign = :campaign AND a.week_no <= :closed AND a.lane <> :holdout
GROUP BY a.unit_id, a.week_no
HAVING MAX(a.is_contactable) = 1
ORDER BY a.unit_id
"""
_CHOICES = """
SELECT week_no, arms, control_share, learn_share, best_share, policy FROM choices
WHERE campaign = :campaign AND week_no <= :week ORDER BY week_no
"""


@dataclass(frozen=True, slots=True)
class _Choice:
    """How one week chose."""

    week_no: int
    arms: tuple[str, ...]
    shares: Shares
    policy: str


def learn(ws: Workspace, week: Week, *, now: datetime, campaigns: Sequence[str] | None = None) -> Summary:  # noqa: ARG001
    """Decide the policy of every running campaign from outcomes closed by the end of `week`; same rows, same model."""
    facts: dict[str, str | float | int | None] = {}
    notes, warnings = [], []
    for campaign in ws.running(week, campaigns):
        try:
            card = _learned(ws, campaign, week)
        except UnsupportedError as reason:
            warnings.append(f"{campaign.id}: no price for an effect, so the policy stays as it is. {reason}")
            continue
        row = {"campaign": campaign.id, "week_no": week.number, "policy": card.policy, "card": card.to_json()}
        ws.ledger.replace("cards", pa.Table.from_pylist([row]), campaign=campaign.id, week_no=week.number)
        facts[f"{campaign.id} policy"] = card.policy
        notes.append(f"{campaign.id}: {card.decision.words}")
    headline = ", ".join(f"{name.removesuffix(' policy')}: {policy}" for name, policy in facts.items())
    said = headline or ("No policy learned" if warnings else "No campaign runs this week")
    return Summary("learn", str(week), said, {"campaigns": len(facts)}, facts, tuple(notes), tuple(warnings))


def _learned(ws: Workspace, campaign: Campaign, week: Week) -> ModelCard:
    prices = _prices(ws, campaign, week)
    columns = tuple(model_columns())
    evidence = _evidence(ws, campaign, week, columns)
    estimator = estimators.load(campaign.estimator)
    decision = decide(evidence, estimator, prices, seed=SEED)
    policy, leading = decision.policy, {}
    if decision.policy == "model":
        model = _fitted(campaign, evidence, columns, prices)
        policy = f"model:{store_model(ws, campaign, model)}"
        leading = _leading(model)
    return _card(campaign, week, policy, decision, columns=columns, leading=leading, prices=prices)


def _card(
    campaign: Campaign,
    week: Week,
    policy: str,
    decision: Decision,
    *,
    columns: tuple[str, ...],
    leading: Mapping[str, tuple[str, ...]],
    prices: Prices,
) -> ModelCard:
    return ModelCard(
        campaign=campaign.id,
        week=str(week),
        policy=policy,
        outcome=campaign.outcome,
        estimator=campaign.estimator,
        decision=decision,
        features=columns,
        leading_features=leading,
        pence_per_outcome=prices.pence_per_outcome,
        cost_pence=dict(zip(campaign.arm_ids, prices.cost_pence.tolist(), strict=True)),
        seed=SEED,
    )


def _fitted(campaign: Campaign, evidence: Evidence, columns: tuple[str, ...], prices: Prices) -> Model:
    """The estimator on all evidence, for choosing."""
    estimator = clone(estimators.load(campaign.estimator)).set_params(arms=evidence.arms)
    estimator.fit(
        pd.DataFrame(evidence.X, columns=list(columns), copy=False),
        evidence.y,
        treatment=np.asarray(evidence.arms)[evidence.given],
        propensity=evidence.propensity,
        groups=evidence.groups,
    )
    return Model(estimator, columns, evidence.arms, prices.pence_per_outcome)


def _leading(model: Model) -> dict[str, tuple[str, ...]]:
    slopes = getattr(model.estimator, "coef_", None)
    return {} if slopes is None else leading_features(np.asarray(slopes), model.columns, model.arms)


def _prices(ws: Workspace, campaign: Campaign, week: Week) -> Prices:
    """What effects and messages are worth in `week`; the budget is spread over who could be reached last."""
    last = ws.ledger.select(
        "SELECT SUM(is_contactable) AS households FROM assignments WHERE campaign = :campaign AND week_no = "
        "(SELECT MAX(week_no) FROM assignments WHERE campaign = :campaign AND week_no < :week)",
        campaign=campaign.id,
        week=week.number,
    )
    households = max(int(last["households"][0].as_py() or 0), 1)
    return Prices(
        pence_per_outcome=pence_per_outcome(
            campaign.outcome,
            residual_pence_per_tonne=residual_pence_per_tonne(ws.council, week.monday),
            tag_cost_pence=ws.council.tag_cost_pence,
        ),
        cost_pence=arm_costs(campaign, expected_prices(ws, campaign, week)),
        # A household gets at most one message in so many weeks, so the weekly budget serves that share of them.
        budget_pence_per_household=campaign.budget_pence * campaign.every_weeks / households,
    )


def _evidence(ws: Workspace, campaign: Campaign, week: Week, columns: tuple[str, ...]) -> Evidence:
    """Closed units of the campaign with their outcomes; units without a valid reading are left out."""
    choices = _choices(ws, campaign, week)
    closed = week.number - CLOSED_WEEKS
    first = ws.ledger.select(_FIRST, campaign=campaign.id, closed=closed, holdout=Lane.HOLDOUT)
    first = first.filter(pc.is_in(first["week_no"], value_set=pa.array([*choices], pa.int64())))
    first = _sampled(first.combine_chunks(), campaign)
    start, homes = _whole(first["week_no"]), _whole(first["households"]).astype(np.float64)
    with ws.facts(week, extra=["features"]) as connection:
        matrix, sharing = np.full((first.num_rows, len(columns)), np.nan), homes.copy()
        for number in np.unique(start):
            rows = np.flatnonzero(start == number)
            speakers = first["home"].combine_chunks().take(pa.array(rows))
            matrix[rows] = feature_matrix(connection, speakers, int(number), columns)
            sharing[rows] = sharing_homes(connection, speakers, int(number), homes[rows])
        # Messages of the run of week t go out in week t + 1, and so do their outcomes begin.
        y = unit_outcomes(
            connection,
            campaign.outcome,
            units=first["unit_id"].combine_chunks(),
            first=start + 1,
            last=_ends(start, choices, week),
            households=sharing,
        )
    given, chance = _drawn(first, start, campaign, choices)
    kept = np.flatnonzero(np.isfinite(y) & (chance > 0).all(axis=1))
    return Evidence(
        X=matrix[kept],
        y=y[kept],
        given=given[kept],
        propensity=chance[kept],
        groups=kept,
        households=homes[kept],
        arms=campaign.arm_ids,
    )


def _whole(column: Any) -> NDArray[np.int64]:  # noqa: ANN401
    return np.asarray(pc.cast(column, pa.int64()).to_numpy())


def _choices(ws: Workspace, campaign: Campaign, week: Week) -> dict[int, _Choice]:
    """Past weeks' choices by week, of those that had today's arms in today's order."""
    rows = ws.ledger.select(_CHOICES, campaign=campaign.id, week=week.number).to_pylist()
    choices = (
        _Choice(
            week_no=int(row["week_no"]),
            arms=tuple(json.loads(row["arms"])),
            shares=Shares(row["control_share"], row["learn_share"], row["best_share"]),
            policy=str(row["policy"]),
        )
        for row in rows
    )
    return {choice.week_no: choice for choice in choices if choice.arms == campaign.arm_ids}


def _sampled(first: pa.Table, campaign: Campaign) -> pa.Table:
    if first.num_rows <= MOST_UNITS:
        return first
    order = np.argsort(draws(f"{campaign.salt}:learn", first["unit_id"].to_pylist()), kind="stable")
    return first.take(pa.array(np.sort(order[:MOST_UNITS])))


def _ends(start: NDArray[np.int64], choices: Mapping[int, _Choice], week: Week) -> NDArray[np.int64]:
    """Last week of each unit's outcome: while the policy it started under held, 4 to 12 weeks, none after `week`.

    Messages of the run of week t go out in week t + 1, so week t itself still belongs to the policy before.
    """
    ends = {}
    for number, choice in choices.items():
        changes = [
            later.week_no for later in choices.values() if later.week_no > number and later.policy != choice.policy
        ]
        held = min([week.number, number + LONGEST_WEEKS, *changes])
        ends[number] = max(held, number + CLOSED_WEEKS)
    return np.array([ends[int(number)] for number in start], dtype=np.int64)


def _drawn(
    first: pa.Table, start: NDArray[np.int64], campaign: Campaign, choices: Mapping[int, _Choice]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Arm given and propensity of every arm outside the holdout, by the week's choice and the unit's policy arm."""
    arms = campaign.arm_ids
    given = _positions(first["arm"], arms)
    policy_arm = np.where(
        np.asarray(pc.equal(first["policy_arm"], ANY_ARM)),
        UNIFORM,
        _positions(first["policy_arm"], (ANY_ARM, *arms)) - 1,
    )
    chance = np.empty((first.num_rows, len(arms)))
    for number in np.unique(start):
        rows = np.flatnonzero(start == number)
        choice = choices[int(number)]
        chance[rows] = propensities(policy_arm[rows], len(arms), shares=choice.shares, holdout_share=0.0)
    return given, chance


def _positions(column: Any, words: Sequence[str]) -> NDArray[np.intp]:  # noqa: ANN401
    return np.asarray(pc.index_in(column, value_set=pa.array(list(words))).to_numpy(), dtype=np.intp)
