"""Turns what choosing came to into rows: choices and assignments first, then the audience that rendering reads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import Campaign, Reason, Summary
from nudges.draws import LANES
from nudges.eligibility import REASONS
from nudges.errors import UnsupportedError
from nudges.steps.choose.choosing import ANY_ARM, Chosen, choosing
from nudges.steps.choose.words import rounds_words, worth_words
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

DERIVED = ("features", "membership", "audience")


def choose(ws: Workspace, week: Week, *, now: datetime, campaigns: Sequence[str] | None = None) -> Summary:
    """Choose for every campaign that runs in `week`, in order of id: the first to choose a household has it that week.

    Assignments are committed before the audience is registered, so that a run killed between the two ends, when run
    again, in the same rows. Committed assignments are never changed.
    """
    counts: Counter[str] = Counter()
    notes = []
    warnings = []
    running = ws.running(week, campaigns)
    for campaign in running:
        try:
            with ws.facts(week, extra=DERIVED) as connection:
                chosen = choosing(ws, campaign, week, connection)
        except UnsupportedError as reason:  # one campaign that cannot be drawn must not stop the others
            warnings.append(f"{campaign.id}: nobody is chosen. {reason}")
            _publish_rows(ws, campaign, week, _nobody(), now)
            continue
        _commit(ws, campaign, week, chosen, now)
        _publish(ws, campaign, week, chosen, now)
        found = reason_counts(chosen)
        counts.update({str(reason): count for reason, count in found.items()})
        notes += _notes(campaign, chosen, found)
    headline = (
        f"{counts[Reason.CHOSEN]:,} households chosen of {sum(counts.values()):,} in scope"
        if running
        else "No campaign runs this week"
    )
    facts = {"campaigns": len(running)}
    return Summary("choose", str(week), headline, dict(counts), facts, tuple(notes), tuple(warnings))


def reason_counts(chosen: Chosen) -> dict[Reason, int]:
    """Households by reason, those without any left out."""
    counts = np.bincount(chosen.reason, minlength=len(REASONS))
    return {reason: int(count) for reason, count in zip(REASONS, counts, strict=True) if count}


def _notes(campaign: Campaign, chosen: Chosen, found: dict[Reason, int]) -> list[str]:
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in found.items())
    turn = f"turn {chosen.turn + 1} of {campaign.turns}"
    spent = f"expected {chosen.cost_pence.sum() / 100:,.2f} pounds"
    said = [f"{campaign.id}: {turn}, policy {chosen.policy}; {reasons}; {spent}."]
    if chosen.choice.rounds:
        said.append(f"{campaign.id}: {rounds_words(chosen.choice.rounds)}")
    if chosen.choice.stops:
        stopped = ", ".join(f"{arm} in {group}" for group, arm in chosen.choice.stops)
        said.append(f"{campaign.id}: stopped because it did harm there: {stopped}.")
    if chosen.worth is not None:
        said.append(f"{campaign.id}: {worth_words(chosen.worth, chosen.choice.arms)}")
    return said


def _commit(ws: Workspace, campaign: Campaign, week: Week, chosen: Chosen, now: datetime) -> None:
    """Append the choice, then the assignments; rows that are there stay as they are."""
    choice = chosen.choice
    ws.ledger.record(
        "choices",
        campaign=campaign.id,
        week_no=week.number,
        arms=json.dumps(list(choice.arms)),
        holdout_share=choice.holdout_share,
        control_share=choice.shares.control,
        learn_share=choice.shares.learn,
        best_share=choice.shares.best,
        policy=choice.policy,
        price_per_penny=chosen.price_per_penny,
        chosen_at=now,
        turn=chosen.turn,
        stops=json.dumps([list(stop) for stop in choice.stops], ensure_ascii=False),
        rounds=choice.rounds.to_json() if choice.rounds else None,
    )
    ws.ledger.append("assignments", _assignments(campaign, week, chosen))


def _assignments(campaign: Campaign, week: Week, chosen: Chosen) -> pa.Table:
    rows = np.flatnonzero(chosen.scope.has_service)
    unit_ids = chosen.scope.units.take(pa.array(chosen.scope.unit[rows]))
    return pa.table(
        {
            "campaign": _repeated(campaign.id, len(rows)),
            "week_no": pa.repeat(pa.scalar(week.number, pa.int64()), len(rows)),
            "household_id": chosen.scope.household_id.take(pa.array(rows)),
            "unit_id": unit_ids,
            "lane": _words(chosen.lane[rows], LANES),
            "arm": _words(chosen.arm[rows], chosen.choice.arms),
            "policy_arm": _words(chosen.policy_arm[rows] + 1, (ANY_ARM, *chosen.choice.arms)),
            "draw": pa.array(chosen.draw[rows]),
            "propensity": pa.array(chosen.propensity[rows]),
            "is_contactable": pa.array(chosen.is_contactable[rows].astype(np.int64)),
            "first_week_no": pa.array(chosen.first_week_no[rows]),
        }
    )


def _publish(ws: Workspace, campaign: Campaign, week: Week, chosen: Chosen, now: datetime) -> None:
    """Write the audience under the hash of its content and make it the live one."""
    _publish_rows(ws, campaign, week, _audience(campaign, week, chosen), now)


def _nobody() -> pa.Table:
    """An audience of a campaign that could not be drawn."""
    names = ("campaign", "household_id", "unit_id", "lane", "arm", "reason")
    whole = {name: pa.array([], pa.int64()) for name in ("week_no", "is_contactable")}
    return pa.table({name: pa.array([], pa.string()) for name in names} | whole)


def _publish_rows(ws: Workspace, campaign: Campaign, week: Week, rows: pa.Table, now: datetime) -> None:
    file = ws.warehouse.write("audience", week, rows, f"{campaign.id}-{_content_hash(rows)}")
    ws.ledger.replace_files(
        "audience", week, [file], drop_id=f"choose:{campaign.id}:{week}", now=now, prefix=f"{campaign.id}-"
    )


def _audience(campaign: Campaign, week: Week, chosen: Chosen) -> pa.Table:
    scope, n = chosen.scope, len(chosen.scope.unit)
    unassigned = ~scope.has_service
    return pa.table(
        {
            "campaign": _repeated(campaign.id, n),
            "week_no": pa.repeat(pa.scalar(week.number, pa.int64()), n),
            "household_id": scope.household_id,
            "unit_id": scope.units.take(pa.array(scope.unit, mask=unassigned)),
            "lane": _words(chosen.lane, LANES, unassigned),
            "arm": _words(chosen.arm, chosen.choice.arms, unassigned),
            "reason": _words(chosen.reason, REASONS),
            "is_contactable": pa.array(chosen.is_contactable.astype(np.int64)),
        }
    )


def _repeated(word: str, n: int) -> pa.Array:
    return pa.repeat(pa.scalar(word, pa.string()), n)


def _words(codes: NDArray[np.integer], words: Sequence[str], empty: NDArray[np.bool_] | None = None) -> pa.Array:
    indices = pa.array(codes.astype(np.int32), mask=empty)
    return pa.DictionaryArray.from_arrays(indices, pa.array([str(word) for word in words])).cast(pa.string())


def _content_hash(rows: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return sha256(sink.getvalue()).hexdigest()[:16]
