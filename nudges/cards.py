"""A decision of the gate → the model card that is kept and shown."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nudges.errors import DataError
from nudges.uplift import Decision

MOST_FEATURES = 5


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
        """The card as JSON with stable key order; a number that is not finite is null."""
        return json.dumps(_plain(asdict(self)), sort_keys=True, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Nested values as JSON has them."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def leading_features(
    importance: NDArray[np.float64], names: tuple[str, ...], arms: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """The five features that move each arm's predicted effect most.

    Args:
        importance: (n_arms - 1, p or more) slopes on standardised features or sizes of effect; columns past the names
            flag gaps.
        names: (p,) features.
        arms: labels, control first.

    Raises:
        DataError: fewer columns than names.
    """
    if importance.shape[1] < len(names):
        raise DataError(f"importance: {importance.shape[1]} columns, must be at least {len(names)}, one a feature.")
    size = np.abs(importance[:, : len(names)])
    return {
        arm: tuple(names[column] for column in np.argsort(-row, kind="stable")[:MOST_FEATURES] if row[column] > 0)
        for arm, row in zip(arms[1:], size, strict=True)
    }
