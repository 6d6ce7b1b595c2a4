"""Turns kg tipped by rounds into weighbridge tickets, and adds the bad rows that every real drop has."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import Stream
from nudges.sources._borough_bins import LIFTS, TAGS
from nudges.sources._borough_calibration import Calibration
from nudges.weeks import Week

Floats = NDArray[np.float64]
LOADS = pa.schema(
    {
        "ticket_id": pa.string(),
        "weighed_at": pa.timestamp("us"),
        "site": pa.string(),
        "material": pa.string(),
        "weight_g": pa.int64(),
        "stream": pa.string(),
        "round_id": pa.string(),
    }
)
_SITES = {Stream.RESIDUAL: "Ironworks Transfer", Stream.RECYCLING: "Dockside MRF", Stream.FOOD: "Fairfield AD"}


def tickets(
    week: Week,
    stream: Stream,
    names: list[str],
    tipped: list[tuple[NDArray[np.int64], NDArray[np.int64], Floats]],
    *,
    rng: np.random.Generator,
    plan: Calibration,
) -> pa.Table:
    """One row a lorry load of one stream: each round's day split into loads, with the bridge's own error."""
    place, day, kg = (np.concatenate([part[i] for part in tipped]) if tipped else np.zeros(0) for i in range(3))
    key, inverse = np.unique(np.stack([place, day]), axis=1, return_inverse=True)
    total = np.bincount(inverse.ravel(), weights=kg, minlength=key.shape[1])
    loads = np.ceil(total / plan.load_kg).astype(np.int64)
    row = np.repeat(np.arange(loads.size), loads)
    number = np.arange(row.size) - np.repeat(np.cumsum(loads) - loads, loads)
    weight = total[row] / loads[row] * (1 + plan.weighbridge_sd * rng.standard_normal(row.size))
    minutes = 11 * 60 + 90 * number + rng.integers(0, 60, row.size)
    at = key[1][row].astype("datetime64[D]").astype("datetime64[us]") + minutes.astype("timedelta64[m]")
    prefix = str(stream)[:2].upper()
    columns = [
        pa.array([f"{prefix}-{week}-{i:05d}" for i in range(row.size)], pa.string()),
        pa.array(at, pa.timestamp("us")),
        pa.repeat(pa.scalar(_SITES.get(stream, "Lowfields Composting")), row.size),
        pa.repeat(pa.scalar(plan.streams[stream].material), row.size),
        pa.array(np.maximum(np.rint(weight * 50) * 20, 20).astype(np.int64)),
        pa.repeat(pa.scalar(str(stream)), row.size),
        pa.array(names, pa.string()).take(pa.array(key[0][row].astype(np.int64))),
    ]
    return pa.table(columns, schema=LOADS)


def bad_lifts(week: Week, unit: str) -> pa.Table:
    """A stuck scale, a stream nobody collects, a row without its unit."""
    return pa.table(
        [
            [unit, unit, None],
            ["residual", "glass", "recycling"],
            [week.monday] * 3,
            ["BAD1", "BAD2", "BAD3"],
            ["lifted"] * 3,
            [9_999_999, 5_000, 4_000],
            [0, 0, 0],
        ],
        schema=LIFTS,
    )


def bad_tags(week: Week, unit: str) -> pa.Table:
    """A reason that is no reason."""
    return pa.table([[unit], ["recycling"], [week.monday], ["misc"]], schema=TAGS)


def bad_loads(week: Week) -> pa.Table:
    """An empty lorry weighed, and one too heavy for any road."""
    at = datetime.combine(week.monday, datetime.min.time())
    return pa.table(
        [[f"XX-{week}-1", f"XX-{week}-2"], [at] * 2, ["Ironworks Transfer"] * 2, ["Household residual"] * 2,
         [0, 99_000_000], ["residual"] * 2, [None, None]],
        schema=LOADS,
    )  # fmt: skip
