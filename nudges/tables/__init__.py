"""Each table once: column, type, unit, allowed values, meaning, source."""

from nudges.tables.decisions import AUDIENCE, LEDGER
from nudges.tables.dialects import Dialect
from nudges.tables.facts import FACTS
from nudges.tables.features import FEATURES, MEMBERSHIP
from nudges.tables.quarantine import QUARANTINE
from nudges.tables.schema import Column, Register, Table, Type

TABLES = Register.of((*FACTS, QUARANTINE, FEATURES, MEMBERSHIP, AUDIENCE, *LEDGER))

__all__ = [
    "AUDIENCE",
    "FACTS",
    "FEATURES",
    "LEDGER",
    "MEMBERSHIP",
    "QUARANTINE",
    "TABLES",
    "Column",
    "Dialect",
    "Register",
    "Table",
    "Type",
]
