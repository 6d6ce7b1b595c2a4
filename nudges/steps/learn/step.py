"""Closed outcomes of past turns → a model card, and a model where one has earned its place.

The policy is decided in the run that begins a turn, and holds through it; the other runs carry the card on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import clone

from nudges import estimators
from nudges.cards import ModelCard, leading_features
from nudges.domain import Campaign, Summary, Unit
from nudges.errors import UnsupportedError
from nudges.features import model_columns
from nudges.money import residual_pence_per_tonne
from nudges.steps.choose.choosing import arm_costs, expected_prices
from nudges.steps.learn.evidence import evidence_of, window_weeks
from nudges.steps.models import Model, store_model
from nudges.steps.workspace import Workspace
from nudges.uplift import Detail, Earlier, Evidence, Prices, decide, pence_per_outcome
from nudges.weeks import Week

SEED = 20260105

_NO_HOUSEHOLD = (
    "whole rounds are compared, which says nothing of one household, so there is nothing to learn from: messages are "
    "drawn evenly."
)
_LAST = """
SELECT week_no, policy, card FROM cards WHERE campaign = :campaign AND week_no < :week ORDER BY week_no DESC LIMIT 1
"""


def learn(ws: Workspace, week: Week, *, now: datetime, campaigns: Sequence[str] | None = None) -> Summary:  # noqa: ARG001
    """Decide the policy of every running campaign from outcomes closed by the end of `week`; same rows, same model."""
    facts: dict[str, str | float | int | None] = {}
    notes: list[str] = []
    warnings: list[str] = []
    for campaign in ws.running(week, campaigns):
        if campaign.unit is Unit.ROUND:
            notes.append(f"{campaign.id}: {_NO_HOUSEHOLD}")
            continue
        try:
            policy, card, said = _card(ws, campaign, week)
        except UnsupportedError as reason:
            warnings.append(f"{campaign.id}: no price for an effect, so the policy stays as it is. {reason}")
            continue
        row = {"campaign": campaign.id, "week_no": week.number, "policy": policy, "card": card}
        ws.ledger.replace("cards", pa.Table.from_pylist([row]), campaign=campaign.id, week_no=week.number)
        facts[f"{campaign.id} policy"] = policy
        notes.append(f"{campaign.id}: {said}")
    headline = ", ".join(f"{name.removesuffix(' policy')}: {policy}" for name, policy in facts.items())
    said = headline or ("No policy learned" if warnings or notes else "No campaign runs this week")
    return Summary("learn", str(week), said, {"campaigns": len(facts)}, facts, tuple(notes), tuple(warnings))


def _card(ws: Workspace, campaign: Campaign, week: Week) -> tuple[str, str, str]:
    """Policy, card and words: decided anew when a turn begins or there is no card, carried on else."""
    rows = ws.ledger.select(_LAST, campaign=campaign.id, week=week.number).to_pylist()
    last = rows[0] if rows else None
    turn = campaign.turn_of(week)
    begins = week == campaign.turn_starts(turn)
    if last and not begins and int(last["week_no"]) >= campaign.turn_starts(turn).number:
        return _carried(campaign, turn, str(last["policy"]), str(last["card"]))
    card, unknown = _learned(ws, campaign, week, _earlier(last))
    left_out = f" {unknown:,} rows are left out: their segments are not what they were drawn with." if unknown else ""
    return card.policy, card.to_json(), card.decision.words + left_out


def _earlier(last: Mapping[str, Any] | None) -> Earlier | None:
    """What the last card leaves to this one; nothing while it had seen no turn."""
    earlier = Earlier.from_card(str(last["card"])) if last else None
    return earlier if earlier is not None and earlier.turn >= 0 else None


def _carried(campaign: Campaign, turn: int, policy: str, card: str) -> tuple[str, str, str]:
    """The card of the turn's first run again; it keeps the week it was decided in."""
    ends = campaign.turn_ends(turn)
    said = f"Turn {turn + 1} of {campaign.turns} runs to {ends}: the policy decided in "
    return policy, card, f"{said}{json.loads(card)['week']} is carried on."


def _learned(ws: Workspace, campaign: Campaign, week: Week, earlier: Earlier | None) -> tuple[ModelCard, int]:
    prices = _prices(ws, campaign, week)
    columns = tuple(model_columns())
    evidence, unknown = evidence_of(ws, campaign, week, columns)
    decision = decide(
        evidence,
        estimators.load(campaign.estimator),
        prices,
        seed=SEED,
        looks=campaign.turns,
        earlier=earlier,
        week=week.number,
        detail=Detail.TREE,
    )
    policy, leading = decision.policy, {}
    if decision.policy == "model":
        model = _fitted(campaign, evidence, columns, prices)
        policy = f"model:{store_model(ws, campaign, model)}"
        leading = leading_features(np.asarray(model.estimator.importance_), columns, campaign.arm_ids)
    card = ModelCard(
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
    return card, unknown


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
            weeks=window_weeks(campaign),
        ),
        cost_pence=arm_costs(campaign, expected_prices(ws, campaign, week)),
        # A household gets at most one message in so many weeks, so the weekly budget serves that share of them.
        budget_pence_per_household=campaign.budget_pence * campaign.every_weeks / households,
    )
