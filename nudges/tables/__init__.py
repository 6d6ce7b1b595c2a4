"""Each table once: column, type, unit, allowed values, meaning, source."""

from nudges.tables.decisions import AUDIENCE, LEDGER
from nudges.tables.facts import FACTS
from nudges.tables.schema import Column, Register, Table, Type

TABLES = Register.of((*FACTS, AUDIENCE, *LEDGER))

__all__ = ["AUDIENCE", "FACTS", "LEDGER", "TABLES", "Column", "Register", "Table", "Type"]
