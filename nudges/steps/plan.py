"""A campaign and a week → who would get what, what it costs and what it could show. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nudges.domain import Campaign, Medium, Reason, Summary
from nudges.draws import LANES
from nudges.eligibility import REASONS
from nudges.errors import DataError, PowerError, UnsupportedError
from nudges.steps.choose import Chosen, choosing
from nudges.steps.choose.step import DERIVED, reason_counts
from nudges.steps.power import outlook_of
from nudges.steps.render import Drafts, drafts
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

MOST_DRAFTED = 20_000
"""Households whose messages are written out for the plan: the lowest draws."""

_BLOCKED = (
    Reason.STOPPED,
    Reason.NO_CONTACT,
    Reason.SUPPRESSED,
    Reason.CAPPED,
    Reason.OVER_CAPACITY,
    Reason.OVER_BUDGET,
)


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the waterfall: households left, or taken away when `is_loss`."""

    label: str
    households: int
    is_loss: bool = False


@dataclass(frozen=True, slots=True)
class MediumCost:
    """What one medium would carry and cost."""

    medium: Medium
    messages: int
    pence: float


@dataclass(frozen=True, slots=True)
class Detectable:
    """The smallest effect the campaign could see with power 0.8, read every week at 5 %, from the council's own past.

    Attributes:
        effect: in the outcome's unit, without sign.
        share: of the past mean.
        mean: past mean of the outcome.
        sd: between units, of means over as many weeks as the campaign runs.
        r_squared: share of that spread which the 26 weeks before explain.
        n_treated: units with a contact in the campaign, in the learn or the best lane.
        n_control: units with a contact in the control lane.
        stated_share: what the campaign says it will do.
        is_enough: the stated effect is at least as large as the smallest detectable.
        unit: of the outcome, in words.
        advice: what could be seen, and what the stated effect needs, in words.
    """

    effect: float
    share: float
    mean: float
    sd: float
    r_squared: float
    n_treated: int
    n_control: int
    stated_share: float
    is_enough: bool
    unit: str
    advice: str

    @property
    def words(self) -> str:
        """The comparison for people."""
        return (
            f"Smallest effect it could detect: {self.effect:.3g} {self.unit}, {self.share:.1%} of {self.mean:.3g}. "
            f"{self.advice}"
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """A campaign's week as it would be chosen now, in its `turn` (from 0), whose arms hold until `turn_ends`.

    `stops` are pairs of group and arm that is not given there.

    `to_send` counts messages, `pence` is what they are expected to cost. `detectable` is None without a past.
    `drafts` are the words as rendered for up to MOST_DRAFTED of the chosen households, with fragments, missing facts
    and the first messages; None when none were asked for. `drawn` says of the households of those first messages which
    lane they were drawn into and with what chance they got their arm. Personal: for the officer's eyes, never for a
    log.
    """

    campaign: str
    title: str
    week: str
    policy: str
    turn: int
    turns: int
    turn_ends: str
    stops: tuple[tuple[str, str], ...]
    is_running: bool
    waterfall: tuple[Stage, ...]
    reasons: Mapping[str, int]
    arms: Mapping[str, int]
    media: tuple[MediumCost, ...]
    to_send: int
    pence: float
    budget_pence: int
    detectable: Detectable | None
    drafts: Drafts | None
    drawn: Mapping[str, str]


def plan(ws: Workspace, campaign: str | Campaign, week: Week, *, now: datetime, show: int = 5) -> Plan:
    """Work out one campaign's week without writing anything; `show` messages in full, 0 for no words at all.

    Raises:
        ConfigError, RenderError: no such campaign, or a template of it is wrong.
        NotReadyError: the week has no features or its segments were not run.
    """
    chosen_campaign = ws.campaign(campaign) if isinstance(campaign, str) else campaign
    with ws.facts(week, extra=DERIVED) as connection:
        chosen = choosing(ws, chosen_campaign, week, connection)
        detectable = _detectable(ws, chosen_campaign, week, connection, chosen)
    found = reason_counts(chosen)
    media = tuple(
        MediumCost(medium, count, round(chosen.medium_pence[medium], 2))
        for medium, count in sorted(chosen.medium_messages.items())
    )
    goes = chosen.reason == REASONS.index(Reason.CHOSEN)
    words = _drafts(ws, chosen_campaign, week, chosen, now=now, show=show) if show else None
    return Plan(
        campaign=chosen_campaign.id,
        title=chosen_campaign.title,
        week=str(week),
        policy=chosen.policy,
        turn=chosen.turn,
        turns=chosen_campaign.turns,
        turn_ends=str(chosen_campaign.turn_ends(chosen.turn)),
        stops=chosen.choice.stops,
        is_running=chosen_campaign.runs_in(week),
        waterfall=_waterfall(chosen, found),
        reasons={str(reason): count for reason, count in found.items()},
        arms={arm: int((goes & (chosen.arm == index)).sum()) for index, arm in enumerate(chosen.choice.arms) if index},
        media=media,
        to_send=sum(cost.messages for cost in media),
        pence=round(sum(cost.pence for cost in media), 2),
        budget_pence=chosen_campaign.budget_pence,
        detectable=detectable,
        drafts=words,
        drawn=_drawn(chosen, {draft.household_id for draft in words.first} if words else set()),
    )


def plan_all(ws: Workspace, week: Week, *, now: datetime, campaigns: Sequence[str] | None = None) -> Summary:
    """Plan every campaign that runs in `week`: the dry run's last step."""
    plans = [plan(ws, campaign, week, now=now, show=0) for campaign in ws.running(week, campaigns)]
    counts = {f"{each.campaign} messages": each.to_send for each in plans}
    seen = [(each.detectable, f"{each.campaign}: {each.detectable.words}") for each in plans if each.detectable]
    headline = (
        f"{sum(counts.values()):,} messages would go out, {sum(each.pence for each in plans) / 100:,.2f} pounds"
        if plans
        else "No campaign runs this week"
    )
    facts: dict[str, str | float | int | None] = {f"{each.campaign} pence": each.pence for each in plans}
    notes = tuple(words for detectable, words in seen if detectable.is_enough)
    warnings = tuple(words for detectable, words in seen if not detectable.is_enough)
    return Summary("plan", str(week), headline, counts, facts, notes, warnings)


def require_sight(ws: Workspace, result: Plan) -> None:
    """Refuse a campaign that could not see its own stated effect, unless a person has already said yes to it.

    Only for people who plan or approve: the weekly run goes on with what is approved. Without a past nothing is known,
    and nothing refused.

    Raises:
        PowerError: the stated effect is below the smallest detectable.
    """
    seen = result.detectable
    if seen is None or seen.is_enough or ws.ledger.approval(result.campaign) is not None:
        return
    raise PowerError(
        f"campaigns/{result.campaign}.toml: stated_effect_share == {seen.stated_share}, an effect it could not see: "
        f"its result would most likely be inconclusive. {seen.advice} Widen its segments, lengthen it, move its shares "
        "towards half control, or state the effect it can see. To go on anyway, add --force."
    )


def as_dict(result: Plan) -> dict[str, object]:
    """The plan as plain values, with the words of the smallest effect."""
    words = result.detectable.words if result.detectable else None
    return asdict(result) | {"detectable_words": words}


def _drafts(ws: Workspace, campaign: Campaign, week: Week, chosen: Chosen, *, now: datetime, show: int) -> Drafts:
    rows = np.flatnonzero(chosen.reason == REASONS.index(Reason.CHOSEN))
    rows = np.sort(rows[np.argsort(chosen.draw[rows], kind="stable")[:MOST_DRAFTED]])
    arms = np.asarray(chosen.choice.arms)[chosen.arm[rows]]
    given = pa.table(
        {"household_id": chosen.scope.household_id.take(pa.array(rows)), "arm": pa.array(arms.tolist(), pa.string())}
    )
    return drafts(ws, campaign, week, given, now=now, show=show)


def _drawn(chosen: Chosen, households: set[str]) -> dict[str, str]:
    """Lane and chance of some households, in words."""
    rows = pc.is_in(chosen.scope.household_id, value_set=pa.array(sorted(households), pa.string()))
    return {
        chosen.scope.household_id[row].as_py(): (
            f"{LANES[chosen.lane[row]]} lane of turn {chosen.turn + 1}, chance of this arm {chosen.propensity[row]:.3f}"
        )
        for row in np.flatnonzero(rows.to_numpy(zero_copy_only=False)).tolist()
    }


def _waterfall(chosen: Chosen, found: Mapping[Reason, int]) -> tuple[Stage, ...]:
    """In segment → eligible → contactable, then what lanes, policy and rules take away, to what is sent."""
    n = len(chosen.reason)
    eligible = int(chosen.scope.has_service.sum())
    contactable = int((chosen.scope.has_service & chosen.is_contactable).sum())
    taken = (Reason.HOLDOUT, Reason.CONTROL, Reason.POLICY_NONE, *_BLOCKED)
    return (
        Stage("in segment", n),
        Stage("eligible (collected from)", eligible),
        Stage("of those, contactable for every arm", contactable),
        *(Stage(str(reason), found[reason], is_loss=True) for reason in taken if reason in found),
        Stage("to send (households)", found.get(Reason.CHOSEN, 0)),
    )


def _detectable(
    ws: Workspace, campaign: Campaign, week: Week, connection: duckdb.DuckDBPyConnection, chosen: Chosen
) -> Detectable | None:
    """Closed form on the council's own past; None where that says nothing."""
    try:
        found = outlook_of(ws, campaign, week, connection, chosen)
    except (DataError, UnsupportedError):
        return None
    seen = found.power
    if seen.detectable == 0:
        return None
    return Detectable(
        effect=seen.detectable,
        share=seen.detectable_share,
        mean=seen.variation.mean,
        sd=float(np.sqrt(seen.variance)),
        r_squared=seen.r_squared,
        n_treated=seen.trial.n_treated,
        n_control=seen.trial.n_control,
        stated_share=seen.stated_share,
        is_enough=seen.is_enough,
        unit=found.unit,
        advice=found.words,
    )
