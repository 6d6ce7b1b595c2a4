"""Real tonnage of New York's districts: the adapter against the exports' drift, and campaigns that did nothing."""

import os

import numpy as np
import pytest

from benchmarks._nyc import districts, read
from benchmarks.nyc import DESIGNS, HEADLINE, Draw, draws, first_months, outcomes
from nudges.errors import DataError

REAL = os.environ.get("NUDGES_REAL_DATA")
real = pytest.mark.skipif(not REAL, reason="NUDGES_REAL_DATA is not set: no tonnage of New York's districts here")

OLD = """MONTH,BOROUGH,COMMUNITYDISTRICT,REFUSETONSCOLLECTED,PAPERTONSCOLLECTED,RESORGANICSTONS,BOROUGH_ID
1991 / 12,Bronx,1,1.0,,,2
2020 / 05,Bronx,1,100.0,,,2
2020 / 05,Queens,12,300.0,7,5.5,4
2020 / 06,Bronx,1,110.0,,,2
"""
NEW = """"MONTH","BOROUGH","COMMUNITYDISTRICT","RESORGANICSTONS","REFUSETONSCOLLECTED","OTHERORGANICSTONS"
"2020 / 08","Queens","12",,"310.0","0"
"2020 / 08","Bronx","01","2.5","90.0",
"""


def exports(folder, **texts):
    files = []
    for name, text in texts.items():
        files.append(folder / f"{name}_Monthly_Tonnage.csv")
        files[-1].write_text(text)
    return files


def test_exports_that_drifted_join_on_district_and_month_and_what_is_not_there_is_missing(tmp_path):
    city = districts(exports(tmp_path, old=OLD, new=NEW))
    assert city.names == ("Bronx 01", "Queens 12")
    since = city.column("2020-05")
    assert city.months[since:] == ("2020-05", "2020-06", "2020-07", "2020-08")
    nan = np.nan
    np.testing.assert_array_equal(city.refuse[:, since:], [[100, 110, nan, 90], [300, nan, nan, 310]])
    np.testing.assert_array_equal(city.organics[:, since:], [[nan, nan, nan, 2.5], [5.5, nan, nan, nan]])
    assert np.isnan(city.refuse[:, :since]).all()  # 1991: part months of recording
    assert list(np.flatnonzero(city.recorded()) - since) == [0, 3]
    np.testing.assert_allclose(np.nanmean(city.scaled(), axis=1), 1.0)
    np.testing.assert_array_equal(first_months(city.organics) - since, [3, 0])


def test_a_district_twice_in_a_month_or_a_column_gone_is_refused(tmp_path):
    with pytest.raises(DataError, match="two rows"):
        districts(exports(tmp_path, old=OLD, again=OLD))
    with pytest.raises(DataError, match="no column RESORGANICSTONS"):
        districts(exports(tmp_path, old=OLD.replace("RESORGANICSTONS", "ORGANICS")))
    with pytest.raises(DataError, match="no \\*Monthly_Tonnage"):
        districts([])


def test_the_effect_of_a_draw_is_the_ratio_it_was_multiplied_by():
    rng = np.random.default_rng(1)
    pre = rng.uniform(900, 9_000, 8)
    draw = Draw(pre, pre * np.exp(0.02 * rng.standard_normal(8)), np.repeat([1.0, 0.0], 4))
    moved = HEADLINE.effect(draw.with_effect()).estimate - HEADLINE.effect(draw).estimate
    assert moved == pytest.approx(np.log(0.97), abs=1e-12)


@real
def test_the_exports_hold_59_districts_all_recorded_but_for_the_gap_between_them():
    city = read()
    assert len(city.names) == 59
    assert (city.months[0], city.months[-1]) == ("1990-01", "2025-10")
    missing = [month for month, known in zip(city.months, city.recorded(), strict=True) if not known]
    assert [month for month in missing if month >= "1993-01"] == list(city.months[slice(*gap(city))])
    assert not (city.organics == 0).any()
    in_2019 = slice(city.column("2019-01"), city.column("2019-12") + 1)
    assert city.refuse[:, in_2019].sum() == pytest.approx(2.51e6, rel=0.002)  # the city's published year


def gap(city):
    return city.column("2020-07"), city.column("2021-12") + 1


@real
@pytest.mark.parametrize("arm", DESIGNS)
def test_campaigns_that_did_nothing_seldom_show_an_effect(arm):
    found = outcomes(list(draws(read(), arm, 100)), HEADLINE)
    assert sum(one.alarm for one in found) <= 14  # P(more than 14 of 100 at 5 %) < 0.0001
    assert sum(one.held for one in found) >= 86
