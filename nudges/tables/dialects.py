"""SQL dialects that the portable texts run on; only the name of the double type differs."""

from __future__ import annotations

from enum import StrEnum


class Dialect(StrEnum):
    """An engine that features and outcomes are computed on."""

    DUCKDB = "duckdb"
    POSTGRES = "postgres"
    SPARK = "spark"

    @property
    def double(self) -> str:
        """Name of the 64-bit floating-point type."""
        return "DOUBLE" if self is Dialect.SPARK else "DOUBLE PRECISION"
