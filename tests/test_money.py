"""Money: the golden arithmetic of a finance page, tax years, and no guessed rates."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudges.domain import Council, Language, QuietHours, Route
from nudges.errors import ConfigError, UnsupportedError
from nudges.money import (
    LANDFILL_TAX,
    TAX_TABLE,
    Range,
    gross_pence_per_tonne,
    landfill_share,
    landfill_tax,
    residual_pence_per_tonne,
    savings,
    tax_year,
    total,
)

LANDFILL = Route("Landfill", 1.0, 2600, landfill=True)


def council(*routes, nation="england", recycling=4200):
    return Council(
        name="Made-up Borough", nation=nation, phone="", website="", public_url="", timezone="Europe/London",
        languages=(Language.EN,), live=False, allow_list=(), holdout_share=0.05, salt="s",
        quiet_hours=QuietHours(time(20), time(8)), send_times={}, cap_messages=2, cap_weeks=4, late_after_minutes=180,
        channels={}, pence_per_fragment=2.4, pence_per_email=0.0, routes=routes or (LANDFILL,),
        recycling_fee_pence_per_tonne=recycling, tag_cost_pence=500, ingest=(),
    )  # fmt: skip


def pounds(value):
    return (round(value.value / 1e5, 1), round(value.low / 1e5, 1), round(value.high / 1e5, 1))


def test_golden_arithmetic():
    # 0.30 kg (0.17 to 0.43) x 60,000 households x 26 weeks, all landfilled at 152.15, recycling at 42, cost 18.0k.
    result = savings(
        Range(-0.30, -0.43, -0.17), [(date(2025, 6, 2), 60_000 * 26)], council(), programme_cost_pence=1_800_000
    )
    tonnes = result.residual_tonnes
    assert (round(tonnes.value), round(tonnes.low), round(tonnes.high)) == (468, 265, 671)
    assert result.landfill_tonnes == tonnes
    assert result.gross_pence_per_tonne == 15_215
    assert pounds(result.gross_pence) == (71.2, 40.4, 102.1)  # published low end 40.3 comes from tonnes already rounded
    assert pounds(result.net_pence) == (56.5, 32.0, 80.9)
    per_tonne = result.cost_per_tonne_pence
    assert [round(end / 100) for end in (per_tonne.value, per_tonne.low, per_tonne.high)] == [38, 27, 68]
    carbon = result.co2e_tonnes
    assert (round(carbon.value), round(carbon.low), round(carbon.high)) == (233, 132, 333)


def test_landfill_tonnes_are_residual_tonnes_times_the_route_mix():
    mixed = council(Route("Landfill", 0.05, 2600, True), Route("Energy from waste", 0.95, 10_500, False))
    result = savings(Range(-0.3, -0.4, -0.2), [(date(2026, 5, 4), 1000.0)], mixed, programme_cost_pence=0)
    assert result.landfill_tonnes.value == pytest.approx(0.05 * 0.3)
    assert result.co2e_tonnes.value == pytest.approx(0.05 * 0.3 * 0.497)
    assert gross_pence_per_tonne(mixed, date(2026, 5, 4)) == pytest.approx(0.05 * (2600 + 13_075) + 0.95 * 10_500)
    assert residual_pence_per_tonne(mixed, date(2026, 5, 4)) == pytest.approx(
        0.05 * 15_675 + 0.95 * 10_500 - 0.75 * 4200
    )
    assert landfill_share(mixed) == 0.05


@pytest.mark.parametrize(
    ("nation", "on", "pence"),
    [
        ("england", date(2024, 3, 31), 10_210),
        ("england", date(2024, 4, 1), 10_370),
        ("northern_ireland", date(2026, 3, 31), 12_615),
        ("wales", date(2026, 4, 1), 13_075),
        ("scotland", date(2025, 12, 25), 12_615),
        ("scotland", date(2024, 3, 31), 10_210),
    ],
)
def test_tax_by_nation_and_year(nation, on, pence):
    assert landfill_tax(nation, on).pence_per_tonne == pence


@pytest.mark.parametrize(
    ("nation", "on"),
    [
        ("scotland", date(2026, 4, 1)),
        ("wales", date(2024, 6, 1)),
        ("england", date(2027, 4, 1)),
        ("england", date(2022, 6, 1)),
        ("isle_of_man", date(2026, 6, 1)),
    ],
)
def test_unknown_tax_is_never_guessed(nation, on):
    with pytest.raises(UnsupportedError, match="Ask the council"):
        landfill_tax(nation, on)
    with pytest.raises(UnsupportedError):
        residual_pence_per_tonne(council(nation=nation), on)


def test_a_council_that_landfills_nothing_needs_no_tax_rate():
    burns = council(Route("Energy from waste", 1.0, 10_500, False), Route("Landfill", 0.0, 2600, True))
    assert gross_pence_per_tonne(burns, date(2035, 1, 1)) == 10_500


def test_every_rate_has_a_source_that_can_be_looked_up():
    for (nation, year), rate in LANDFILL_TAX.items():
        assert re.search(r"\b[a-z-]+\.(gov\.uk|co\.uk|com|scot|uk)/[a-z0-9/-]+$", rate.source), (nation, year)
        assert rate.pence_per_tonne > 9000
    assert {nation for nation, _ in LANDFILL_TAX} == {"england", "northern_ireland", "wales", "scotland"}


def test_the_version_of_the_tax_table_is_said_where_it_was_read():
    weeks = [(date(2026, 5, 4), 1000.0)]
    landfilled = savings(Range(-0.3, -0.4, -0.2), weeks, council(), programme_cost_pence=0)
    assert landfilled.tax_table == TAX_TABLE
    assert any(f"£130.75 a tonne, standard rate, table of {TAX_TABLE} (HMRC" in line for line in landfilled.sources)
    burnt = council(Route("Energy from waste", 1.0, 10_500, False))
    assert savings(Range(-0.3, -0.4, -0.2), weeks, burnt, programme_cost_pence=0).tax_table == ""


def test_landfill_tax_and_gate_fees_make_up_the_gross_saving():
    mixed = council(Route("Landfill", 0.25, 2600, True), Route("Energy from waste", 0.75, 10_500, False))
    weeks = [(date(2026, 3, 30), 400.0), (date(2026, 4, 6), 600.0)]
    result = savings(Range(-1.0, -1.5, -0.5), weeks, mixed, programme_cost_pence=0)
    assert result.landfill_tax_pence.value == pytest.approx(0.25 * (0.4 * 12_615 + 0.6 * 13_075))
    fees = result.gross_pence.value - result.landfill_tax_pence.value
    assert fees == pytest.approx(0.25 * 2600 + 0.75 * 10_500)


def test_an_uncertain_count_of_households_widens_the_tonnes():
    # Var(T) = (N^2 Var(tau) + tau^2 Var(N)) / 1000^2: tau -0.3 (se 0.05), N 100,000 (se 10 %) gives se 5.83 t.
    reach = 1.959964
    effect = Range(-0.3, -0.3 - reach * 0.05, -0.3 + reach * 0.05)
    weeks = [(date(2026, 5, 4), 100_000.0)]
    result = savings(effect, weeks, council(), programme_cost_pence=0, household_weeks_se=0.1).residual_tonnes
    assert (result.high - result.low) / 2 / reach == pytest.approx((5.0**2 + 3.0**2) ** 0.5)
    rng = np.random.default_rng(1)
    drawn = -rng.normal(-0.3, 0.05, 200_000) * rng.normal(100_000, 10_000, 200_000) / 1000
    assert np.std(drawn) == pytest.approx((5.0**2 + 3.0**2) ** 0.5, rel=0.02)  # the product term adds 0.4 %
    known = savings(effect, weeks, council(), programme_cost_pence=0).residual_tonnes
    assert (known.high - known.low) / 2 / reach == pytest.approx(5.0)


def test_half_widths_add_as_squares():
    assert total([Range(10, 7, 13), Range(20, 16, 24)]) == Range(30, 25, 35)
    lopsided = total([Range(10, 7, 11), Range(20, 16, 20)])
    assert (lopsided.low, lopsided.high) == (25, 31)
    assert total([]) == Range(0, 0, 0)


def test_campaigns_drawn_apart_do_not_share_their_errors():
    # The same 200 households in two campaigns with no effect: differences in means over 4,000 draws of both.
    rng = np.random.default_rng(7)
    kg = rng.gamma(4, 2, 200)
    centred = kg - kg.mean()
    half = np.repeat([0.01, -0.01], 100)
    one, other = (np.array([centred @ rng.permutation(half) for _ in range(4_000)]) for _ in range(2))
    assert abs(np.corrcoef(one, other)[0, 1]) < 3 / np.sqrt(4_000)
    assert np.std(one + other) == pytest.approx(np.hypot(np.std(one), np.std(other)), rel=0.03)


def test_weeks_on_both_sides_of_the_tax_year_are_priced_apart():
    weeks = [(date(2026, 3, 30), 100.0), (date(2026, 4, 6), 300.0)]
    result = savings(Range(-1.0, -1.5, -0.5), weeks, council(), programme_cost_pence=0)
    assert result.gross_pence_per_tonne == pytest.approx((100 * 15_215 + 300 * 15_675) / 400)
    assert len([line for line in result.sources if line.startswith("Landfill tax")]) == 2


def test_no_cost_per_tonne_when_no_tonnes_may_have_been_saved():
    result = savings(Range(-0.1, -0.3, 0.1), [(date(2026, 5, 4), 1000.0)], council(), programme_cost_pence=500)
    assert result.cost_per_tonne_pence is None
    assert result.balance_pence.value == pytest.approx(result.net_pence.value - 500)
    empty = savings(Range(-0.1, -0.3, 0.1), [], council(), programme_cost_pence=500)
    assert empty.residual_tonnes.value == 0


def test_routes_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ConfigError, match="sum to 1"):
        residual_pence_per_tonne(council(replace(LANDFILL, share=0.9)), date(2026, 5, 4))


@given(st.floats(-5, 5), st.floats(0.01, 3), st.floats(-3, 3))
def test_a_range_stays_ordered_under_any_factor(value, half, factor):
    scaled = Range(value, value - half, value + half).times(factor)
    assert scaled.low <= scaled.value + 1e-9
    assert scaled.value <= scaled.high + 1e-9


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)))
def test_tax_years_start_on_the_first_of_april(day):
    assert date(tax_year(day), 4, 1) <= day < date(tax_year(day) + 1, 4, 1)
