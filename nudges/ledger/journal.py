"""Turns what steps and people did into run rows and audit rows."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from nudges.errors import DataError
from nudges.ledger.database import Database
from nudges.ledger.rows import insert_missing
from nudges.ledger.schema import TABLES
from nudges.weeks import Week

_RUNS = TABLES["runs"]
_AUDIT = TABLES["audit"]


class Journal:
    """Runs and audit."""

    _db: Database

    def begin_run(self, step: str, week: Week, campaign: str | None = None, *, now: datetime) -> str:
        """Write that a step began; returns its run id."""
        run_id = uuid.uuid4().hex
        row = {
            "run_id": run_id,
            "week_no": week.number,
            "step": step,
            "campaign": campaign or "",
            "state": "running",
            "started_at": now,
        }
        with self._db.writing() as connection:
            insert_missing(connection, _RUNS, [row])
        return run_id

    def finish_run(self, run_id: str, state: str, summary: str | Mapping[str, object] = "", *, now: datetime) -> None:
        """Write that a step ended `done` or `failed`, with its summary as JSON; the first ending counts."""
        if state not in {"done", "failed"}:
            raise DataError(f"ledger.runs.state == {state!r}, must be done or failed.")
        text = summary if isinstance(summary, str) else json.dumps(summary, default=str)
        with self._db.writing() as connection:
            connection.execute(
                sa.update(_RUNS)
                .where(_RUNS.c.run_id == run_id, _RUNS.c.state == "running")
                .values(state=state, finished_at=now, summary=text)
            )

    def audit(self, who: str, what: str, subject: str = "", detail: object = None, *, now: datetime) -> None:
        """Write who did what to which campaign, household or file. `detail` becomes JSON and holds no contact."""
        text = detail if detail is None or isinstance(detail, str) else json.dumps(detail, default=str)
        row = {"audit_id": uuid.uuid4().hex, "at": now, "who": who, "what": what, "subject": subject, "detail": text}
        with self._db.writing() as connection:
            insert_missing(connection, _AUDIT, [row])
