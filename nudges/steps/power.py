"""A campaign and a week → what it could see, from the council's own past: closed form and by simulation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import duckdb
import numpy as np
from numpy.typing import NDArray

from nudges.domain import Campaign, Outcome, Unit
from nudges.draws import FEWEST_ROUNDS
from nudges.errors import UnsupportedError
from nudges.measuring import (
    Effect,
    Power,
    Simulated,
    Trial,
    outcome_unit,
    power,
    power_words,
    round_effect,
    simulated_power,
    unit_ancova,
    variation,
)
from nudges.measuring.round_contrasts import FEWEST_TO_LOOK
from nudges.steps.choose import Chosen, choosing
from nudges.steps.choose.step import DERIVED
from nudges.steps.past import Past, read_past
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

PRE_WEEKS = 26
FEWEST_UNITS = 50
"""Units with a past below which nothing is said; rounds have their own limit."""

RUNS = 300
_FEWEST_PRE_WEEKS = 4

_REACH = """
SELECT COUNT(DISTINCT m.household_id) AS written, COUNT(DISTINCT o.household_id) AS opted_out,
       COUNT(*) AS accepted, COUNT(d.message_id) AS delivered
FROM messages m
LEFT JOIN (SELECT DISTINCT message_id FROM events WHERE kind = 'delivered') d ON d.message_id = m.message_id
LEFT JOIN (
    SELECT DISTINCT household_id FROM suppressions
    WHERE is_active = 1 AND household_id <> '' AND reason IN ('unsubscribed', 'complained')
) o ON o.household_id = m.household_id
WHERE m.state = 'accepted' AND m.week_no > :since AND m.week_no <= :week
"""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Reach:
    """Who messages get to, shares 0-1.

    Attributes:
        contactable_share: of the segment's households with the service, those with an open contact for every arm.
        delivered_share: of a year's accepted messages, those delivered; None before any delivery was reported.
        opt_out_share: of the households they went to, those that then asked to stop; None before the first message.
    """

    contactable_share: float
    delivered_share: float | None
    opt_out_share: float | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a campaign could see.

    Attributes:
        campaign, title, week: which, and with data to the end of which week.
        noun: the drawn units in the plural.
        unit: of the outcome, in words.
        power: closed form.
        reach: who messages get to.
        simulated: imaginary campaigns with the stated effect on the council's past; None when none were asked for.
        simulated_pre_weeks: weeks before the start that they had.
        note: why there are none though they were asked for.
        words: the answer.
    """

    campaign: str
    title: str
    week: str
    noun: str
    unit: str
    power: Power
    reach: Reach
    simulated: Simulated | None
    simulated_pre_weeks: int
    note: str
    words: str


def outlook(
    ws: Workspace,
    campaign: str | Campaign,
    week: Week,
    *,
    weeks: int | None = None,
    stated_share: float | None = None,
    runs: int = RUNS,
) -> Outlook:
    """Work out what a campaign could see; `weeks` and `stated_share` instead of its own to ask what-if.

    Raises:
        ConfigError: no such campaign.
        NotReadyError: the week has no features or its segments were not run.
        UnsupportedError: too little of the past to tell, or too few units.
    """
    wanted = ws.campaign(campaign) if isinstance(campaign, str) else campaign
    wanted = replace(
        wanted,
        weeks=wanted.weeks if weeks is None else weeks,
        stated_effect_share=wanted.stated_effect_share if stated_share is None else stated_share,
    )
    with ws.facts(week, extra=DERIVED) as connection:
        return outlook_of(ws, wanted, week, connection, choosing(ws, wanted, week, connection), runs=runs)


def outlook_of(
    ws: Workspace,
    campaign: Campaign,
    week: Week,
    connection: duckdb.DuckDBPyConnection,
    chosen: Chosen,
    *,
    runs: int = 0,
) -> Outlook:
    """The same for units already drawn; nothing is simulated unless `runs` is above 0."""
    past = read_past(ws.council.salt, campaign, week, connection, chosen)
    by_round = campaign.unit is Unit.ROUND
    _require(campaign, past, by_round=by_round)
    mixed = past.households > 1
    strata = mixed if mixed.any() and not mixed.all() and not by_round else None
    found = variation(past.weekly, weights=past.households, strata=strata)
    if not found.mean > 0:
        raise UnsupportedError(
            f"power {campaign.id}: {campaign.outcome} was {found.mean:g} throughout the past, so there is nothing to "
            "change a share of. Load what was recorded, or choose another outcome."
        )
    reach = _reach(ws, week, chosen)
    trial = _trial(campaign, past, by_round=by_round)
    result = power(
        found,
        trial,
        stated_share=campaign.stated_effect_share,
        reached_share=_reached(reach, is_everybody=by_round and campaign.outcome is Outcome.RESIDUAL_KG),
    )
    simulated, pre_weeks, note = _simulated(past, result, by_round=by_round, runs=runs)
    noun = "rounds" if by_round else "households" if not mixed.any() else "homes and bin stores"
    return Outlook(
        campaign=campaign.id,
        title=campaign.title,
        week=str(week),
        noun=noun,
        unit=outcome_unit(campaign.outcome),
        power=result,
        reach=reach,
        simulated=simulated,
        simulated_pre_weeks=pre_weeks,
        note=note,
        words=power_words(result, noun),
    )


def _require(campaign: Campaign, past: Past, *, by_round: bool) -> None:
    fewest = 2 * FEWEST_ROUNDS if by_round else FEWEST_UNITS
    known = int((np.isfinite(past.weekly).sum(axis=1) >= 2).sum())
    if known < fewest:
        raise UnsupportedError(
            f"power {campaign.id}: {known} {'rounds' if by_round else 'units'} with a past, must be {fewest} or more "
            "to see how much they differ. Load more weeks of lifts, tags or loads."
        )


def _trial(campaign: Campaign, past: Past, *, by_round: bool) -> Trial:
    n = past.n_treated + past.n_control
    smaller = min(past.n_treated, past.n_control) / n if n else 0.0
    fewest = max(2 * FEWEST_ROUNDS, int(np.ceil(FEWEST_ROUNDS / smaller))) if by_round and smaller else FEWEST_UNITS
    return Trial(
        n_treated=past.n_treated,
        n_control=past.n_control,
        weeks=campaign.weeks,
        pre_weeks=min(PRE_WEEKS, past.weekly.shape[1]),
        is_read_weekly=not by_round or n >= FEWEST_TO_LOOK,
        fewest_units=fewest,
    )


def _simulated(past: Past, found: Power, *, by_round: bool, runs: int) -> tuple[Simulated | None, int, str]:
    weeks = found.trial.weeks
    pre_weeks = min(found.trial.pre_weeks, past.weekly.shape[1] - weeks)
    if runs < 1:
        return None, 0, ""
    if pre_weeks < _FEWEST_PRE_WEEKS:
        return (
            None,
            0,
            (f"Not simulated: {past.weekly.shape[1]} weeks of the past, must be {weeks + _FEWEST_PRE_WEEKS} or more."),
        )
    simulated = simulated_power(
        past.weekly,
        replace(found.trial, pre_weeks=pre_weeks),
        effect_share=found.stated_share,
        boundary=found.boundary,
        weights=past.households,
        runs=runs,
        estimator=_round if by_round else _unit,
    )
    return simulated, pre_weeks, ""


def _round(post: Floats, pre: Floats, treated: Flags, households: Floats) -> Effect:
    return round_effect(post, pre, treated, households)


def _unit(post: Floats, pre: Floats, treated: Flags, households: Floats) -> Effect:
    shares = households > 1
    return unit_ancova(post, pre, treated, weights=households, strata=shares if shares.any() else None)


def _reach(ws: Workspace, week: Week, chosen: Chosen) -> Reach:
    served = int(chosen.scope.has_service.sum())
    contactable = int((chosen.scope.has_service & chosen.is_contactable).sum())
    rows = ws.ledger.select(_REACH, since=week.number - 52, week=week.number).to_pylist()[0]
    written, accepted, delivered = (int(rows[name] or 0) for name in ("written", "accepted", "delivered"))
    return Reach(
        contactable_share=contactable / served if served else 0.0,
        delivered_share=delivered / accepted if delivered else None,
        opt_out_share=int(rows["opted_out"] or 0) / written if written else None,
    )


def _reached(reach: Reach, *, is_everybody: bool) -> float:
    """Share of the households compared as treated that messages get to; opt-outs, who stay, hear half of them."""
    delivered = 1.0 if reach.delivered_share is None else reach.delivered_share
    staying = 1.0 - (reach.opt_out_share or 0.0) / 2
    return delivered * staying * (reach.contactable_share if is_everybody else 1.0)
