"""Turns households into how they live: size, level of waste, habits of setting out and of mis-sorting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import Stream
from nudges.sources._borough_calibration import Calibration

Floats = NDArray[np.float64]
_FLAT_SIZES = (0.45, 0.36, 0.12, 0.05, 0.02)  # flats are smaller (assumed); houses make up the published shares


@dataclass(frozen=True, slots=True)
class Units:
    """Who shares bins with whom: positions of households in units, and each unit's rounds."""

    ids: pa.Array
    of: NDArray[np.int64]  # unit of each household
    homes: NDArray[np.int64]  # households of each unit
    is_shared: NDArray[np.bool_]
    street: NDArray[np.int64]
    rounds: Mapping[Stream, tuple[list[str], NDArray[np.int64]]]  # names, and place of each unit's round or -1

    def total(self, values: Floats) -> Floats:
        """Sum over the households of each unit."""
        return np.bincount(self.of, weights=values, minlength=self.homes.size).astype(np.float64)

    def mean(self, values: Floats) -> Floats:
        """Mean over the households of each unit."""
        return self.total(values) / self.homes


@dataclass(frozen=True, slots=True)
class People:
    """Lasting traits: arrays over households, or over units where they belong to the bin."""

    is_flat: NDArray[np.bool_]
    persons: NDArray[np.int64]
    kg: Mapping[Stream, Floats]  # mean kg a week of each household, 0 without the service
    set_out: Mapping[Stream, Floats]  # chance per collection, over units
    tag_rate: Floats  # chance per recycling lift, over units
    traits: Mapping[str, Floats]  # mean one over households: what effects lean on


def units_of(households: pa.Table) -> Units:
    """Group households by bin store."""
    frame = households.select(
        ["household_id", "bin_store_id", "street", *(f"{stream}_round_id" for stream in Stream)]
    ).to_pandas()
    store = frame["bin_store_id"]
    has_store = store.notna() & (store != "")
    unit = frame["household_id"].where(~has_store, store)
    of, ids = pd.factorize(unit)
    first = np.unique(of, return_index=True)[1]
    rounds = {}
    for stream in Stream:
        names = frame[f"{stream}_round_id"].where(lambda s: s.notna() & (s != ""), None)
        place, levels = pd.factorize(names.iloc[first])
        rounds[stream] = (list(levels), place.astype(np.int64))
    return Units(
        ids=pa.array(ids, pa.string()),
        of=of.astype(np.int64),
        homes=np.bincount(of),
        is_shared=has_store.to_numpy()[first],
        street=pd.factorize(frame["street"].iloc[first])[0].astype(np.int64) + 1,
        rounds=rounds,
    )


def people_of(households: pa.Table, units: Units, *, seed: int, plan: Calibration) -> People:
    """Draw lasting traits so that their means and spreads are the calibration's."""
    rng = np.random.default_rng([seed, 0, 3])
    size = households.num_rows
    is_flat = np.array(households["property_type"].to_pylist(), dtype=object) == "flat"
    decile = households["deprivation_decile"].to_pandas().astype(float).fillna(5.5).to_numpy()
    persons = _persons(rng, is_flat, plan)
    sigma = plan.level_sigma
    own = np.exp(sigma * rng.standard_normal(size) - sigma**2 / 2)
    level = (plan.kg_fixed + plan.kg_per_person * persons) * own
    affluence = decile / decile.mean()
    kg = {Stream.RESIDUAL: level * plan.streams[Stream.RESIDUAL].kg_week / 7.6}
    for stream in (Stream.RECYCLING, Stream.FOOD, Stream.GARDEN):
        habit = plan.streams[stream]
        spread = persons / plan.persons_mean * np.exp(0.5 * rng.standard_normal(size) - 0.125)
        wanted = spread * np.where(is_flat, habit.flat_factor, 1.0) * (0.7 + 0.3 * affluence)
        kg[stream] = habit.kg_week * wanted / wanted.mean()
    for stream in Stream:
        kg[stream] = np.where(units.rounds[stream][1][units.of] >= 0, kg[stream], 0.0)
    set_out = {stream: _set_out(rng, stream, units, plan) for stream in Stream}
    tags = _tag_rate(rng, units, decile, plan)
    traits = {
        "persons": _mean_one(np.sqrt(persons.astype(np.float64))),
        "affluence": _mean_one(affluence),
        "level": _mean_one(np.clip(own, 0.4, 2.5)),
    }
    return People(is_flat, persons, kg, set_out, tags, traits)


def _persons(rng: np.random.Generator, is_flat: NDArray[np.bool_], plan: Calibration) -> NDArray[np.int64]:
    flats = np.array(_FLAT_SIZES)
    share = is_flat.mean()
    houses = np.clip((np.array(plan.size_shares) - share * flats) / max(1 - share, 1e-9), 0, None)
    draw = rng.random(is_flat.size)
    return 1 + np.where(
        is_flat,
        np.searchsorted(np.cumsum(flats)[:-1], draw),
        np.searchsorted(np.cumsum(houses / houses.sum())[:-1], draw) if houses.sum() else 0,
    )


def _set_out(rng: np.random.Generator, stream: Stream, units: Units, plan: Calibration) -> Floats:
    habit = plan.streams[stream]
    own = _logit_normal(habit.set_out, habit.set_out_sd, rng.standard_normal(units.homes.size))
    return np.where(units.is_shared, 0.99, own)  # crews fetch shared bins


def _tag_rate(rng: np.random.Generator, units: Units, decile: Floats, plan: Calibration) -> Floats:
    lean = np.log(1.5) * (5.5 - units.mean(decile)) / 4.5  # more tags where poorer (assumed)
    rate = _logit_normal(plan.tag_rate, plan.tag_sd, rng.standard_normal(units.homes.size), lean)
    odds = rate / (1 - rate) * np.where(units.is_shared, plan.flat_tag_odds, 1.0)
    return odds / (1 + odds)


def _logit_normal(mean: float, spread: float, normal: Floats, lean: Floats | float = 0.0) -> Floats:
    """Rates with the mean given, found by bisection on the intercept."""
    low, high = -12.0, 12.0
    for _ in range(50):
        middle = (low + high) / 2
        rate: Floats = 1 / (1 + np.exp(-(middle + spread * normal + lean)))
        low, high = (middle, high) if rate.mean() < mean else (low, middle)
    return rate


def _mean_one(values: Floats) -> Floats:
    scaled: Floats = values / values.mean()
    return scaled
