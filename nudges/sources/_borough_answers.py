"""Turns messages accepted into what people and networks answer: delivered, bounced, opened, clicked, STOP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import EventKind, Medium
from nudges.sources._borough_calibration import Calibration
from nudges.weeks import Week

Floats = NDArray[np.float64]


class Mailbox:
    """Who can be reached and who reads. A dead address stays dead; reading is drawn each week."""

    def __init__(self, households: int, seed: int, plan: Calibration) -> None:
        self._size, self._seed, self._plan = households, seed, plan
        rng = np.random.default_rng([seed, 0, 5])
        self._dead = {str(medium): rng.random(households) < plan.dead_address for medium in Medium}

    def reads(self, week: Week, medium: str) -> NDArray[np.bool_]:
        """Which households would read a message of `medium` in `week`."""
        share = self._plan.sms_read if medium == Medium.SMS else self._plan.email_read
        is_read: NDArray[np.bool_] = ~self._dead[medium] & (self._draws(week, medium)[0] < share)
        return is_read

    def answers(self, messages: pa.Table, where: NDArray[np.int64]) -> list[dict[str, str]]:
        """One dict an event, in the shape of `domain.Event`, in the order they happened."""
        draws: dict[tuple[int, str], tuple[NDArray[np.bool_], Floats]] = {}
        events: list[dict[str, str]] = []
        for row, place in zip(messages.to_pylist(), where, strict=True):
            accepted = row["accepted_at"] if row["accepted_at"].tzinfo else row["accepted_at"].replace(tzinfo=UTC)
            week = Week.containing(accepted.date())
            key = (week.number, row["medium"])
            if key not in draws:
                draws[key] = (self.reads(week, row["medium"]), self._draws(week, row["medium"]))
            reads, all_draws = draws[key]
            for kind, minutes in self._kinds(row["medium"], int(place), reads, all_draws):
                events.append(_event(row["message_id"], kind, accepted + timedelta(minutes=minutes)))
        return sorted(events, key=lambda event: (event["occurred_at"], event["event_id"]))

    def _kinds(self, medium: str, place: int, reads: NDArray[np.bool_], draws: Floats) -> list[tuple[EventKind, int]]:
        plan, (_, act, leave) = self._plan, draws[:, place]
        is_sms = medium == Medium.SMS
        if self._dead[medium][place]:
            return [(EventKind.FAILED if is_sms else EventKind.BOUNCED, 2)]
        kinds = [(EventKind.DELIVERED, 1)]
        delay = 5 + int(act * 600)
        if reads[place] and not is_sms:
            kinds.append((EventKind.OPENED, delay))
            if act < plan.click_share:
                kinds.append((EventKind.CLICKED, delay + 1))
        if leave < (plan.sms_stop if is_sms else plan.email_unsubscribe):
            kinds.append((EventKind.UNSUBSCRIBED, delay + 2))
        elif not is_sms and leave > 1 - plan.email_complaint:
            kinds.append((EventKind.COMPLAINED, delay + 2))
        return kinds

    def _draws(self, week: Week, medium: str) -> Floats:
        purpose = 30 + list(Medium).index(Medium(medium))
        return np.random.default_rng([self._seed, week.number, purpose]).random((3, self._size))


def _event(message_id: str, kind: EventKind, at: datetime) -> dict[str, str]:
    return {
        "event_id": f"{message_id}-{kind}",
        "kind": str(kind),
        "occurred_at": at.astimezone(UTC).isoformat(),
        "message_id": message_id,
    }
