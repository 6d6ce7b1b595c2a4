"""Turns the declared ledger tables into SQLAlchemy tables, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DontWrapMixin

from nudges.errors import DataError
from nudges.tables import LEDGER, Table, Type


class Moment(sa.types.TypeDecorator[datetime]):
    """Aware datetime outside, UTC without a zone inside; text on SQLite, timestamp on PostgreSQL."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Aware to naive UTC."""
        return None if value is None else naive(value)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Naive UTC to aware."""
        return None if value is None else value.replace(tzinfo=UTC)


class NoZoneError(DataError, DontWrapMixin):
    """A moment without a zone, raised as it is from inside a statement."""


def naive(moment: datetime) -> datetime:
    """Aware datetime as UTC without its zone; raises DataError on one that has no zone."""
    if moment.tzinfo is None:
        raise NoZoneError(f"ledger: moment == {moment.isoformat()}, must carry a time zone. Pass aware UTC.")
    return moment.astimezone(UTC).replace(tzinfo=None)


def _text() -> sa.types.TypeEngine[str]:
    """Text ordered by its bytes on both databases."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


_TYPES: dict[Type, Any] = {
    Type.TEXT: _text,
    Type.INTEGER: sa.BigInteger,
    Type.NUMBER: sa.Double,
    Type.DATE: sa.Date,
    Type.MOMENT: Moment,
    Type.FLAG: sa.BigInteger,
}

DUE = "state IN ('approved', 'retry')"
"""Messages that may be claimed. Written out, not as parameters, so that both planners see it fits the index."""

UNDER_WAY = "finished_at IS NULL"
"""Attempts whose call has not come back."""

# Only what the loop looks up: every index is paid for on each of a million weekly rows.
_INDEXES: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "assignments": ((("household_id",), ""),),
    "messages": (
        (("household_id",), ""),
        (("campaign", "week_no"), ""),
        (("due_at",), DUE),
        (("provider_id",), "provider_id IS NOT NULL"),
    ),
    "attempts": ((("message_id",), ""), (("started_at",), UNDER_WAY)),
    "events": ((("message_id",), ""), (("provider_id",), "")),
    "suppressions": ((("household_id",), ""), (("address_hash",), "")),
}


def _table(declared: Table, metadata: sa.MetaData) -> sa.Table:
    columns: list[sa.Column[Any]] = [
        sa.Column(
            column.name,
            _TYPES[column.type](),
            primary_key=column.key,
            autoincrement=False,
            nullable=not (column.required or column.key),
        )
        for column in declared.columns
    ]
    table = sa.Table(declared.name, metadata, *columns)
    for on, only in _INDEXES.get(declared.name, ()):
        where = sa.text(only) if only else None
        name = f"ix_{declared.name}_{'_'.join(on)}"
        sa.Index(name, *(table.c[column] for column in on), sqlite_where=where, postgresql_where=where)
    return table


METADATA = sa.MetaData()
DECLARED = {declared.name: declared for declared in LEDGER}
TABLES = {declared.name: _table(declared, METADATA) for declared in LEDGER}


def declared(name: str) -> Table:
    """The declaration of a ledger table; raises DataError for any other name."""
    if name not in DECLARED:
        raise DataError(f"ledger: table == {name!r}, must be one of {', '.join(DECLARED)}.")
    return DECLARED[name]
