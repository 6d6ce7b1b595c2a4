"""Turns a case and a seed into one training part and one held-out part, the same for every entry."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.trials import CASES, Trial, simulate

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

HILLSTROM = "hillstrom"
SCALE = "scale"
TRAIN_SHARE = 0.6
SCORED_ROWS = 1_000_000
HILLSTROM_COST = 0.04
"""Visits an e-mail costs: between the mean effects of the two e-mails, so that sending none is sometimes right."""

_SEGMENTS = {"No E-Mail": 0, "Mens E-Mail": 1, "Womens E-Mail": 2}


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a trial.

    Attributes:
        X: (n, p) features.
        y: (n,) outcome, 0 or 1.
        given: (n,) arm given, 0 the control.
        propensity: (n, n_arms) logged.
        groups: (n,) what was randomised.
        effect: (n, n_arms - 1) true effects; no columns where the truth is unknown.
    """

    X: Floats
    y: Floats
    given: Indices
    propensity: Floats
    groups: Indices
    effect: Floats

    @property
    def clustered(self) -> bool:
        """Whether some unit has several rows."""
        return len(np.unique(self.groups)) < len(self.groups)


@dataclass(frozen=True, slots=True)
class Split:
    """One case and seed, cut by the randomised unit.

    Attributes:
        case: its name.
        rows: of both parts.
        seed: of the simulation, or of the cut.
        arms: labels, control first.
        cost: (n_arms,) of a message in outcome units.
        train: what entries learn from.
        test: what they are judged on.
        digest: of every number an entry sees, so that a stored result is of these rows.
    """

    case: str
    rows: int
    seed: int
    arms: tuple[str, ...]
    cost: Floats
    train: Part
    test: Part
    digest: str


def split(case: str, rows: int, seed: int) -> Split:
    """60 % of the units of a case to learn from, 40 % to judge on."""
    if case == SCALE:
        return _assembled(case, seed, simulate("weak", rows, seed), simulate("weak", SCORED_ROWS, seed + 1))
    trial = hillstrom() if case == HILLSTROM else simulate(case, rows, seed)
    units, codes = np.unique(trial.groups, return_inverse=True)
    order = np.random.default_rng([seed, 60]).permutation(len(units))
    kept = order[codes] < round(TRAIN_SHARE * len(units))
    return _assembled(case, seed, _rows(trial, kept), _rows(trial, ~kept))


def cases(real: bool = True) -> tuple[str, ...]:
    """Hillstrom where it lies at hand, then every simulated case."""
    return ((HILLSTROM,) if real and hillstrom_path() is not None else ()) + CASES


def hillstrom_path() -> Path | None:
    """The file, if NUDGES_REAL_DATA names a folder with it."""
    root = os.environ.get("NUDGES_REAL_DATA", "")
    path = Path(root) / "hillstrom" / "hillstrom.csv"
    return path if root and path.is_file() else None


def hillstrom() -> Trial:
    """64,000 customers, two e-mails or none by lot (1/3 each), outcome: a visit within two weeks."""
    path = hillstrom_path()
    if path is None:
        raise FileNotFoundError("NUDGES_REAL_DATA must name a folder with hillstrom/hillstrom.csv in it.")
    import pandas as pd

    table = pd.read_csv(path)
    features = pd.DataFrame(
        {
            "recency": table["recency"],
            "history": table["history"],
            "history_segment": table["history_segment"].str[0].astype(int),
            "mens": table["mens"],
            "womens": table["womens"],
            "newbie": table["newbie"],
            **{f"zip_{kind}": table["zip_code"] == kind for kind in ("Rural", "Urban")},
            **{f"channel_{kind}": table["channel"] == kind for kind in ("Multichannel", "Phone")},
        }
    )
    n = len(table)
    return Trial(
        X=features.to_numpy(dtype=np.float64),
        y=table["visit"].to_numpy(dtype=np.float64),
        given=table["segment"].map(_SEGMENTS).to_numpy(dtype=np.intp),
        propensity=np.full((n, 3), 1.0 / 3.0),
        groups=np.arange(n),
        effect=np.empty((n, 0)),
        cost=np.array([0.0, HILLSTROM_COST, HILLSTROM_COST]),
        arms=("control", "mens", "womens"),
    )


def save(part: Part, path: Path) -> None:
    """Write a part for a child process, without the truth."""
    np.savez(path, X=part.X, y=part.y, given=part.given, propensity=part.propensity, groups=part.groups)


def read(path: Path) -> Part:
    """What `save` wrote."""
    with np.load(path) as held:
        return Part(**{name: held[name] for name in held.files}, effect=np.empty((len(held["y"]), 0)))


def _rows(trial: Trial, kept: NDArray[np.bool_]) -> Trial:
    return Trial(
        X=trial.X[kept],
        y=trial.y[kept],
        given=trial.given[kept],
        propensity=trial.propensity[kept],
        groups=trial.groups[kept],
        effect=trial.effect[kept],
        cost=trial.cost,
        arms=trial.arms,
    )


def _assembled(case: str, seed: int, train: Trial, test: Trial) -> Split:
    parts = [Part(t.X, t.y, t.given, t.propensity, t.groups, t.effect) for t in (train, test)]
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        for array in (part.X, part.y, part.given, part.propensity, part.groups):
            digest.update(np.ascontiguousarray(array).tobytes())
    return Split(
        case=case,
        rows=len(train.y) + (0 if case == SCALE else len(test.y)),
        seed=seed,
        arms=train.arms,
        cost=train.cost,
        train=parts[0],
        test=parts[1],
        digest=digest.hexdigest(),
    )
