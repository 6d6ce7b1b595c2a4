"""Landfill tax by nation and tax year: one versioned table, each rate with the page it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from nudges.errors import UnsupportedError

TAX_TABLE = "2026-11"
"""Version of the table: the month in which its sources were last read. Change it with every rate."""


@dataclass(frozen=True, slots=True)
class TaxRate:
    """Standard rate of landfill tax in one nation and tax year, with where it was published."""

    pence_per_tonne: int
    source: str


_HM_TREASURY_23_24 = "HM Treasury rates, letsrecycle.com/news/landfill-tax-to-rise-by-1-60-in-2024"
_HMRC_25_26 = (
    "HMRC policy paper of 26 November 2025, gov.uk/government/publications/landfill-tax-rates-for-2026-to-2027/"
    "landfill-tax-increase-in-rates-from-1-april-2026"
)
_WALES_25_26 = (
    "Landfill Disposals Tax (Tax Rates) (Wales) {} Regulations 2025, "
    "policy-wire.co.uk/wales-sets-landfill-disposals-tax-rates-from-1-april-2026"
)

_ENGLAND_23 = TaxRate(10_210, _HM_TREASURY_23_24)
_ENGLAND_24 = TaxRate(10_370, _HM_TREASURY_23_24)
_ENGLAND_25 = TaxRate(12_615, _HMRC_25_26)
_ENGLAND_26 = TaxRate(13_075, _HMRC_25_26)

LANDFILL_TAX: Mapping[tuple[str, int], TaxRate] = MappingProxyType(
    {
        ("england", 2023): _ENGLAND_23,
        ("england", 2024): _ENGLAND_24,
        ("england", 2025): _ENGLAND_25,
        ("england", 2026): _ENGLAND_26,
        ("northern_ireland", 2023): _ENGLAND_23,
        ("northern_ireland", 2024): _ENGLAND_24,
        ("northern_ireland", 2025): _ENGLAND_25,
        ("northern_ireland", 2026): _ENGLAND_26,
        ("wales", 2025): TaxRate(12_615, _WALES_25_26.format("(Amendment)")),
        ("wales", 2026): TaxRate(13_075, _WALES_25_26.format("(Amendment) (No. 2)")),
        ("scotland", 2023): TaxRate(
            10_210,
            "Scottish Landfill Tax (Standard Rate and Lower Rate) Order 2023, legislation.gov.uk/ssi/2023/50",
        ),
        ("scotland", 2024): TaxRate(
            10_370,
            "Scottish Landfill Tax (Standard Rate and Lower Rate) Order 2024 (SSI 2024/60), "
            "letsrecycle.com/news/scotland-sets-landfill-tax-rates-for-2024-25",
        ),
        ("scotland", 2025): TaxRate(
            12_615,
            "Revenue Scotland, revenue.scot/news-publications/publications/statistics/quarterly-slft-statistics/"
            "scottish-landfill-tax-slft-statistics-q4-202526",
        ),
    }
)
"""By nation and the calendar year in which the tax year starts (1 April). What is not here has no source we trust."""


def tax_year(on: date) -> int:
    """Calendar year in which the tax year of `on` starts: 31 March 2026 is 2025, 1 April 2026 is 2026."""
    return on.year if (on.month, on.day) >= (4, 1) else on.year - 1


def landfill_tax(nation: str, on: date) -> TaxRate:
    """Standard rate on a day; raises UnsupportedError where no published figure is held, never guesses."""
    year = tax_year(on)
    try:
        return LANDFILL_TAX[nation, year]
    except KeyError:
        raise UnsupportedError(
            f"money: landfill tax of {nation!r} in {year}-{(year + 1) % 100:02d} is not in the table of {TAX_TABLE}. "
            "Ask the council's finance team for the published rate and add it, with its source, to LANDFILL_TAX in "
            "nudges/money/tax.py."
        ) from None
