"""Turns an effect in kg into tonnes, landfill tonnes, pounds and CO2e, each with its interval and its sources."""

from nudges.money.ranges import Range, total
from nudges.money.savings import (
    CO2E_SOURCE,
    CO2E_TONNES_PER_LANDFILL_TONNE,
    MOVED_SOURCE,
    MOVED_TO_RECYCLING_SHARE,
    Savings,
    gross_pence_per_tonne,
    landfill_share,
    residual_pence_per_tonne,
    route_prices,
    savings,
)
from nudges.money.tax import LANDFILL_TAX, TAX_TABLE, TaxRate, landfill_tax, tax_year

__all__ = [
    "CO2E_SOURCE",
    "CO2E_TONNES_PER_LANDFILL_TONNE",
    "LANDFILL_TAX",
    "MOVED_SOURCE",
    "MOVED_TO_RECYCLING_SHARE",
    "TAX_TABLE",
    "Range",
    "Savings",
    "TaxRate",
    "gross_pence_per_tonne",
    "landfill_share",
    "landfill_tax",
    "residual_pence_per_tonne",
    "route_prices",
    "savings",
    "tax_year",
    "total",
]
