"""Turns an effect in kg into tonnes, landfill tonnes, pounds and CO2e, each with its interval and its sources.

Landfill tonnes are residual tonnes times the landfilled share of the council's own route mix. Each route is priced at
its own gate fee; landfill tax is added to landfill routes only, by nation and tax year. Three quarters of what leaves
the residual bin is taken to turn up as recycling, which is paid for. Waste burnt for energy has no landfill saving.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

from nudges.domain import Council
from nudges.errors import ConfigError, UnsupportedError

MOVED_TO_RECYCLING_SHARE = 0.75
MOVED_SOURCE = "Assumed: three quarters of avoided residual becomes recycling (Ek & Söderberg 2024 found 3/4)"
CO2E_TONNES_PER_LANDFILL_TONNE = 0.497
CO2E_SOURCE = (
    "0.497 tCO2e a tonne landfilled (2024 factors, from published figures of MeasureUp); not for comparing ways of "
    "treating waste"
)


@dataclass(frozen=True, slots=True)
class TaxRate:
    """Standard rate of landfill tax in one nation and tax year, with where it was published."""

    pence_per_tonne: int
    source: str


_ENGLAND_25 = TaxRate(12_615, "GOV.UK, landfill tax rates from 1 April 2025")
_ENGLAND_26 = TaxRate(13_075, "gov.uk/government/publications/landfill-tax-rates-for-2026-to-2027")
_ENGLAND_24 = TaxRate(10_370, "letsrecycle.com/news/landfill-tax-to-rise-by-1-60-in-2024")
_ENGLAND_23 = TaxRate(10_210, "GOV.UK, landfill tax rates from 1 April 2023")

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
        ("wales", 2025): TaxRate(12_615, "Welsh Revenue Authority, landfill disposals tax 2025-26"),
        ("wales", 2026): TaxRate(13_075, "policy-wire.co.uk, landfill disposals tax 2026-27"),
        ("scotland", 2024): TaxRate(10_370, "Revenue Scotland, Scottish landfill tax 2024-25"),
        ("scotland", 2025): TaxRate(12_615, "revenue.scot, Scottish landfill tax 2025-26"),
    }
)
"""By nation and the calendar year in which the tax year starts (1 April)."""


@dataclass(frozen=True, slots=True)
class Range:
    """A value with its 95 % interval, low below high."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Range:
        """Scale by a known factor; a negative one turns the interval round."""
        ends = sorted((self.low * factor, self.high * factor))
        return Range(self.value * factor, ends[0], ends[1])


@dataclass(frozen=True, slots=True)
class Savings:
    """What a kg effect is worth over the measured household-weeks. Money in pence, more is better.

    `cost_per_tonne_pence` is None unless the whole tonnes interval is above zero. `sources` says where prices are from.
    """

    residual_tonnes: Range
    landfill_tonnes: Range
    gross_pence: Range
    recycling_cost_pence: Range
    net_pence: Range
    programme_cost_pence: float
    balance_pence: Range
    cost_per_tonne_pence: Range | None
    co2e_tonnes: Range
    gross_pence_per_tonne: float
    landfill_share: float
    routes: tuple[tuple[str, float, float], ...]  # name, share, pence per tonne all in
    sources: tuple[str, ...]


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
            f"money: landfill tax of {nation!r} in {year}-{(year + 1) % 100:02d} is not known. Ask the council's "
            "finance team for the published rate and add it, with its source, to LANDFILL_TAX in nudges/money.py."
        ) from None


def landfill_share(council: Council) -> float:
    """Share of residual that the council landfills."""
    return sum(route.share for route in council.routes if route.landfill)


def route_prices(council: Council, on: date) -> tuple[tuple[str, float, float], ...]:
    """Name, share and all-in pence per tonne (gate fee, and tax where landfilled) of each route on a day."""
    if not council.routes or abs(sum(route.share for route in council.routes) - 1) > 1e-6:
        raise ConfigError("council.toml: routes: shares must sum to 1. Give every route of residual waste its share.")
    return tuple(
        (
            route.name,
            route.share,
            route.gate_fee_pence_per_tonne
            + (landfill_tax(council.nation, on).pence_per_tonne if route.landfill and route.share > 0 else 0),
        )
        for route in council.routes
    )


def gross_pence_per_tonne(council: Council, on: date) -> float:
    """Pence a tonne of residual costs to dispose of, over the council's route mix."""
    return sum(share * price for _, share, price in route_prices(council, on))


def residual_pence_per_tonne(council: Council, on: date) -> float:
    """Pence the council keeps for each tonne of residual avoided: disposal saved less recycling paid for."""
    return gross_pence_per_tonne(council, on) - MOVED_TO_RECYCLING_SHARE * council.recycling_fee_pence_per_tonne


def savings(
    kg_per_household_week: Range,
    household_weeks: Sequence[tuple[date, float]],
    council: Council,
    *,
    programme_cost_pence: float,
) -> Savings:
    """Price an effect (negative kg = less residual) over treated household-weeks, each week at its own tax rate.

    The interval carries the uncertainty of the effect alone: household-weeks, prices and factors are taken as known.
    """
    weeks = [(on, count) for on, count in household_weeks if count > 0]
    total = sum(count for _, count in weeks)
    tonnes = kg_per_household_week.times(-total / 1000)
    last = max((on for on, _ in weeks), default=None)
    gross_price = sum(count * gross_pence_per_tonne(council, on) for on, count in weeks) / total if total else 0.0
    moved_price = MOVED_TO_RECYCLING_SHARE * council.recycling_fee_pence_per_tonne
    net = tonnes.times(gross_price - moved_price)
    landfill = tonnes.times(landfill_share(council))
    return Savings(
        residual_tonnes=tonnes,
        landfill_tonnes=landfill,
        gross_pence=tonnes.times(gross_price),
        recycling_cost_pence=tonnes.times(moved_price),
        net_pence=net,
        programme_cost_pence=programme_cost_pence,
        balance_pence=Range(*(end - programme_cost_pence for end in (net.value, net.low, net.high))),
        cost_per_tonne_pence=_cost_per_tonne(programme_cost_pence, tonnes),
        co2e_tonnes=landfill.times(CO2E_TONNES_PER_LANDFILL_TONNE),
        gross_pence_per_tonne=gross_price,
        landfill_share=landfill_share(council),
        routes=route_prices(council, last) if last else (),
        sources=_sources(council, [on for on, _ in weeks]),
    )


def _cost_per_tonne(cost: float, tonnes: Range) -> Range | None:
    if tonnes.low <= 0:
        return None
    return Range(cost / tonnes.value, cost / tonnes.high, cost / tonnes.low)


def _sources(council: Council, days: Sequence[date]) -> tuple[str, ...]:
    lines = ["Route mix, gate fees and recycling fee: council.toml, as the council gave them"]
    if landfill_share(council) > 0:
        for year in sorted({tax_year(on) for on in days}):
            rate = landfill_tax(council.nation, date(year, 4, 1))
            nation = council.nation.replace("_", " ").title()
            lines.append(
                f"Landfill tax {nation} {year}-{(year + 1) % 100:02d}: £{rate.pence_per_tonne / 100:.2f} a tonne "
                f"({rate.source})"
            )
    return (*lines, MOVED_SOURCE, f"CO2e: {CO2E_SOURCE}")


def restore(raw: Mapping[str, Any]) -> Savings:
    """Rebuild savings from the JSON of `dataclasses.asdict`."""
    ranges = {name: Range(**value) for name, value in raw.items() if isinstance(value, dict)}
    routes = tuple((str(name), float(share), float(price)) for name, share, price in raw["routes"])
    return Savings(**(dict(raw) | ranges | {"routes": routes, "sources": tuple(raw["sources"])}))
