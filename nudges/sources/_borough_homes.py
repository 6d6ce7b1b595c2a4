"""Makes the households of a borough that does not exist: streets, wards, flats, rounds, calendar, contacts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import Stream
from nudges.sources._borough_calibration import Calibration
from nudges.sources._borough_days import rhythm
from nudges.weeks import Week

HOUSEHOLDS = pa.schema(
    [(name, pa.string()) for name in ("household_id",)]
    + [("known_on", pa.date32())]
    + [(name, pa.string()) for name in ("uprn", "house", "street", "locality", "postcode", "ward", "property_type")]
    + [(name, pa.string()) for name in ("bin_store_id", *(f"{stream}_round_id" for stream in Stream))]
    + [("moved_in_on", pa.date32()), ("deprivation_decile", pa.int64()), ("language", pa.string())]
)
CONTACTS = pa.schema(
    [("household_id", pa.string()), ("medium", pa.string()), ("known_on", pa.date32())]
    + [(name, pa.string()) for name in ("address", "name", "basis")]
)
HOUSEHOLDS_PER_ROUND = 1_400  # a refuse lorry's day (assumed)
HOMES_PER_STREET = 38
_TREES = ("Alder", "Ash", "Beech", "Birch", "Cedar", "Elder", "Elm", "Hawthorn", "Hazel", "Holly", "Juniper", "Larch",
          "Laurel", "Lime", "Maple", "Oak", "Poplar", "Rowan", "Sycamore", "Willow")  # fmt: skip
_WAYS = ("Avenue", "Close", "Crescent", "Drive", "Gardens", "Grove", "Lane", "Road", "Street", "Terrace", "Way")
_WARDS = ("Abbey", "Bridge", "Castle", "Dockside", "Eastgate", "Fairfield", "Greenhill", "Harbour", "Ironworks",
          "Kings", "Lowfields", "Market")  # fmt: skip
_NAMES = ("Aisha", "Alex", "Ben", "Carys", "Daniel", "Ewa", "Fatima", "Grace", "Hannah", "Imran", "Jo", "Kofi",
          "Lily", "Maria", "Nia", "Oliver", "Priya", "Rhys", "Sam", "Tomasz", "Uma", "Vera", "Will",
          "Yusuf", "Zoe")  # fmt: skip
# 07700 900000-900999 is Ofcom's range for drama; nothing in 07700 3xxxxx-9xxxxx is given to any network
# (Google's libphonenumber knows 07700 0 and 1 only, read 2026-11), so these numbers reach nobody.
_FICTIONAL_MOBILES = 700_000


def homes(households: int, start: Week, weeks: int, *, seed: int, plan: Calibration) -> tuple[pa.Table, pa.Table]:
    """(households, calendar) in the columns of `tables.facts`, calendar from `start` for `weeks` weeks."""
    rng = np.random.default_rng([seed, 0, 1])
    street = np.arange(households) // HOMES_PER_STREET
    streets = int(street[-1]) + 1
    ward = (np.arange(streets) * len(_WARDS)) // streets
    decile = _deciles(rng, ward)
    store = _stores(rng, street, plan)
    is_flat = store >= 0
    cells = max(10, round(households / HOUSEHOLDS_PER_ROUND / 10) * 10)
    cell = (street * cells) // streets
    frame = pd.DataFrame({"household_id": [f"H{i:06d}" for i in range(households)]})
    frame["known_on"] = start.monday
    frame["uprn"] = [f"9{i:08d}" for i in range(households)]
    frame["house"] = _houses(store)
    frame["street"] = pd.Series(_streets(streets))[street].to_numpy()
    frame["locality"] = "Madeup"
    frame["postcode"] = [f"ZZ{s // 200 + 1} {s // 20 % 10}{chr(65 + s % 20)}A" for s in street]
    frame["ward"] = np.array(_WARDS)[ward[street]]
    frame["property_type"] = np.where(is_flat, "flat", "house")
    frame["bin_store_id"] = [f"S{s:05d}" if s >= 0 else None for s in store]
    has_garden = ~is_flat & (rng.random(households) < plan.garden_share)
    for stream in Stream:
        has = has_garden if stream is Stream.GARDEN else np.ones(households, dtype=bool)
        frame[f"{stream}_round_id"] = [
            f"{str(stream)[:3].upper()}{c:03d}" if h else None for c, h in zip(cell, has, strict=True)
        ]
    lived = rng.exponential(12 * 365, households).astype(int)  # mean 12 years (assumed)
    frame["moved_in_on"] = (np.datetime64(start.monday) - lived.astype("timedelta64[D]")).astype(object)
    frame["deprivation_decile"] = decile[street]
    frame["language"] = np.where(rng.random(households) < plan.welsh_share, "cy", "en")
    return pa.Table.from_pandas(frame, schema=HOUSEHOLDS, preserve_index=False), _calendar(cells, start, weeks)


def contacts(table: pa.Table, start: Week, *, seed: int, plan: Calibration) -> pa.Table:
    """Fictional emails and mobiles for some households; the same ones have both more often than by chance."""
    rng = np.random.default_rng([seed, 0, 2])
    size = table.num_rows
    reach = rng.standard_normal(size)
    parts = []
    for medium, share in (("email", plan.email_share), ("sms", plan.mobile_share)):
        mixed = 0.5 * reach + np.sqrt(0.75) * rng.standard_normal(size)
        parts.append((medium, np.flatnonzero(mixed.argsort().argsort() < share * size)))
    names = np.array(_NAMES)[rng.integers(0, len(_NAMES), size)]
    consent = rng.random(size) < 0.2
    ids = np.array(table["household_id"].to_pylist(), dtype=object)
    frames = [
        pd.DataFrame(
            {
                "household_id": ids[where],
                "medium": medium,
                "known_on": start.monday,
                "address": [f"home.{ids[i].lower()}@example.org" for i in where]
                if medium == "email"
                else _mobiles(where),
                "name": names[where],
                "basis": np.where(consent[where], "consent", "public_task"),
            }
        )
        for medium, where in parts
    ]
    return pa.Table.from_pandas(pd.concat(frames), schema=CONTACTS, preserve_index=False)


def _mobiles(where: NDArray[np.int64]) -> list[str]:
    if where.size > _FICTIONAL_MOBILES:
        raise ValueError(f"households == {where.size} with a mobile, must be at most {_FICTIONAL_MOBILES}")
    return [f"+447700{900_000 - 100_000 * (i // 100_000) + i % 100_000}" for i in range(where.size)]


def _deciles(rng: np.random.Generator, ward: NDArray[np.int64]) -> NDArray[np.int64]:
    level = rng.uniform(1, 10, len(_WARDS))[ward] + rng.normal(0, 1.5, ward.size)
    return np.clip(np.rint(level), 1, 10).astype(np.int64)


def _stores(rng: np.random.Generator, street: NDArray[np.int64], plan: Calibration) -> NDArray[np.int64]:
    """Store number of each home, -1 for houses: one block of flats at the end of some streets."""
    low, high = plan.flats_per_store
    streets = int(street[-1]) + 1
    mean = min((low + high) / 2, HOMES_PER_STREET)
    has_block = rng.random(streets) < plan.flat_share * HOMES_PER_STREET / mean
    flats = np.where(has_block, rng.integers(low, min(high, HOMES_PER_STREET) + 1, streets), 0)
    place = np.arange(street.size) % HOMES_PER_STREET
    number = np.cumsum(has_block) - 1
    return np.where(place >= HOMES_PER_STREET - flats[street], number[street], -1)


def _houses(store: NDArray[np.int64]) -> list[str]:
    place = np.arange(store.size) % HOMES_PER_STREET
    return [f"Flat {p + 1} Block {s + 1}" if s >= 0 else str(p + 1) for p, s in zip(place, store, strict=True)]


def _streets(count: int) -> list[str]:
    each = len(_TREES) * len(_WAYS)
    names = [f"{tree} {way}" for way in _WAYS for tree in _TREES]
    return [names[i % each] + (f" {i // each + 1}" if i >= each else "") for i in range(count)]


def _calendar(cells: int, start: Week, weeks: int) -> pa.Table:
    rounds = []
    for cell in range(cells):
        weekday, parity = cell % 5, cell // 5 % 2
        for stream, every, phase in (
            (Stream.RESIDUAL, 2, parity),
            (Stream.RECYCLING, 2, parity + 1),
            (Stream.FOOD, 1, 0),
            (Stream.GARDEN, 2, parity),
        ):
            rounds.append((f"{str(stream)[:3].upper()}{cell:03d}", stream, weekday, every, phase))
    return rhythm(rounds, start, weeks)
