"""Turns an effect in kg into tonnes, landfill tonnes, pounds and CO2e, each with its interval and its sources.

Landfill tonnes are residual tonnes times the landfilled share of the council's own route mix. Each route is priced at
its own gate fee; landfill tax is added to landfill routes only, by nation and tax year. Three quarters of what leaves
the residual bin is taken to turn up as recycling, which is paid for. Waste burnt for energy has no landfill saving.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from nudges.domain import Council
from nudges.errors import ConfigError
from nudges.money.ranges import Range
from nudges.money.tax import TAX_TABLE, landfill_tax, tax_year

MOVED_TO_RECYCLING_SHARE = 0.75
MOVED_SOURCE = "Assumed: three quarters of avoided residual becomes recycling (Ek & Söderberg 2024 found 3/4)"
CO2E_TONNES_PER_LANDFILL_TONNE = 0.497
CO2E_SOURCE = (
    "0.497 tCO2e a tonne landfilled (2024 factors, from published figures of MeasureUp); not for comparing ways of "
    "treating waste"
)

_NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Savings:
    """What a kg effect is worth over the measured household-weeks. Money in pence, more is better.

    `cost_per_tonne_pence` is None unless the whole tonnes interval is above zero. `landfill_tax_pence` is the part of
    `gross_pence` that is landfill tax, None in rows of versions before 0.3.0. `sources` says where prices are from,
    `tax_table` which version of the tax table was read, empty where nothing is landfilled.
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
    landfill_tax_pence: Range | None = None
    tax_table: str = ""


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


def _tax_pence_per_tonne(council: Council, on: date) -> float:
    """Landfill tax in the price of a tonne of residual, over the council's route mix."""
    share = landfill_share(council)
    return share * landfill_tax(council.nation, on).pence_per_tonne if share > 0 else 0.0


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
    household_weeks_se: float = 0.0,
) -> Savings:
    """Price an effect (negative kg = less residual) over treated household-weeks, each week at its own tax rate.

    T = -tau N / 1000, Var(T) = (N^2 Var(tau) + tau^2 Var(N)) / 1000^2. Prices, route mix and factors are taken as
    known.

    Args:
        kg_per_household_week: tau with its interval.
        household_weeks: a day of each week, and N in it.
        council: route mix, gate fees, recycling fee.
        programme_cost_pence: what the messages cost.
        household_weeks_se: standard error of the sum of N as a share of it; 0 where households were counted in the same
            register that the effect is per household of, so that an error in one cancels in the other.

    Raises:
        UnsupportedError: landfill tax of a week is not known.
        ConfigError: route shares do not sum to 1.
    """
    weeks = [(on, count) for on, count in household_weeks if count > 0]
    total = sum(count for _, count in weeks)
    counted = kg_per_household_week.times(-total / 1000)
    tonnes = counted.widened(_NORMAL_95 * household_weeks_se * counted.value) if household_weeks_se else counted
    last = max((on for on, _ in weeks), default=None)

    def mean(price: Callable[[Council, date], float]) -> float:
        return sum(count * price(council, on) for on, count in weeks) / total if total else 0.0

    gross_price = mean(gross_pence_per_tonne)
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
        balance_pence=net.less(programme_cost_pence),
        cost_per_tonne_pence=_cost_per_tonne(programme_cost_pence, tonnes),
        co2e_tonnes=landfill.times(CO2E_TONNES_PER_LANDFILL_TONNE),
        gross_pence_per_tonne=gross_price,
        landfill_share=landfill_share(council),
        routes=route_prices(council, last) if last else (),
        sources=_sources(council, [on for on, _ in weeks]),
        landfill_tax_pence=tonnes.times(mean(_tax_pence_per_tonne)),
        tax_table=TAX_TABLE if landfill_share(council) > 0 else "",
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
                f"Landfill tax {nation} {year}-{(year + 1) % 100:02d}: £{rate.pence_per_tonne / 100:.2f} a tonne, "
                f"standard rate, table of {TAX_TABLE} ({rate.source})"
            )
    return (*lines, MOVED_SOURCE, f"CO2e: {CO2E_SOURCE}")
