"""The ledger: turns decisions (assignments, messages, approvals, stops) into rows that are never lost or doubled."""

from __future__ import annotations

from nudges.ledger.approvals import Approval, Approvals
from nudges.ledger.bulk import Bulk
from nudges.ledger.consent import Consent
from nudges.ledger.database import Database
from nudges.ledger.events import EventLog
from nudges.ledger.files import Drop, FileRegister
from nudges.ledger.history import History
from nudges.ledger.journal import Journal
from nudges.ledger.masking import address_hash, masked
from nudges.ledger.messages import MessageQueue
from nudges.ledger.migrating import migrate
from nudges.ledger.plans import Plans, StoredPlan

__all__ = ["Approval", "Drop", "Ledger", "StoredPlan", "address_hash", "masked"]


class Ledger(FileRegister, MessageQueue, EventLog, Consent, Approvals, Plans, Journal, History, Bulk):
    """One council's decisions in SQLite or PostgreSQL. Safe to use from several threads and processes."""

    @classmethod
    def open(cls, url: str) -> Ledger:
        """Open `sqlite:////path/ledger.db` or `postgresql+psycopg://...`, creating or migrating its tables."""
        database = Database(url)
        migrate(database)
        return cls(database)

    def close(self) -> None:
        """Give back pooled connections."""
        self._db.engine.dispose()
