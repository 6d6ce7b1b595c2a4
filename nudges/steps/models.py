"""A learned model → a file named by the hash of its own bytes, and back."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import joblib

from nudges.domain import Campaign
from nudges.errors import NotReadyError
from nudges.steps.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Model:
    """A learned model as stored: what scores units, by which columns, and what its effects were worth."""

    estimator: Any
    columns: tuple[str, ...]
    arms: tuple[str, ...]
    pence_per_outcome: float


def store_model(ws: Workspace, campaign: Campaign, model: Model) -> str:
    """Write a model under the hash of its own bytes, whole or not at all; returns the hash."""
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    name = sha256(buffer.getvalue()).hexdigest()
    path = _path(ws, campaign, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(buffer.getvalue())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return name


def load_model(ws: Workspace, campaign: Campaign, name: str) -> Model:
    """The model of that hash.

    Raises:
        NotReadyError: the file is gone or not what learning wrote.
    """
    path = _path(ws, campaign, name)
    content = path.read_bytes() if path.is_file() else b""
    if sha256(content).hexdigest() != name:
        raise NotReadyError(f"{path}: gone or changed since learning wrote it. Run `nudges run --step learn` again.")
    model = joblib.load(io.BytesIO(content))
    if not isinstance(model, Model) or model.arms != campaign.arm_ids:
        raise NotReadyError(f"{path}: was learned for other arms. Run `nudges run --step learn` again.")
    return model


def _path(ws: Workspace, campaign: Campaign, name: str) -> Path:
    return ws.var / "models" / campaign.id / f"{name}.joblib"
