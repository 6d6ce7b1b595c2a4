"""A decision of the gate → the model card that is kept and shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from nudges.errors import DataError
from nudges.uplift import Decision


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What learning decided for one campaign in one week, and why. `policy` as in the ledger."""

    campaign: str
    week: str
    policy: str
    outcome: str
    estimator: str
    decision: Decision
    features: tuple[str, ...]
    leading_features: Mapping[str, tuple[str, ...]]
    pence_per_outcome: float
    cost_pence: Mapping[str, float]
    seed: int

    def to_json(self) -> str:
        """The card as JSON with stable key order."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False, default=float)


def leading_features(
    coefficients: NDArray[np.float64], names: tuple[str, ...], arms: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """The five features that move each arm's predicted effect most, from slopes on standardised features.

    Args:
        coefficients: (n_arms - 1, p or more); columns past the names flag gaps.
        names: (p,) features.
        arms: labels, control first.

    Raises:
        DataError: fewer coefficients than names.
    """
    if coefficients.shape[1] < len(names):
        raise DataError(f"coefficients: {coefficients.shape[1]} columns, must be at least {len(names)}.")
    size = np.abs(coefficients[:, : len(names)])
    return {
        arm: tuple(names[column] for column in np.argsort(-row, kind="stable")[:5] if row[column] > 0)
        for arm, row in zip(arms[1:], size, strict=True)
    }
