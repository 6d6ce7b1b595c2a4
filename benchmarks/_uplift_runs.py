"""Turns entries and a split into stored results: each entry in a process of its own, run once and kept.

A result is kept under the digest of its rows and a fingerprint of what made it: for ours the sources of the product's
core, for a peer its version and the file that calls it. A run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks._uplift_data import Split, save
from benchmarks._uplift_entries import GATED, OURS, PEERS, PLAIN, Entry, version
from benchmarks._uplift_job import Taken, Task
from benchmarks._uplift_judge import budget_each

FAILED = "failed"
"""How the outcome of an entry begins that raised; a later run tries it again."""

_ROOT = Path(__file__).resolve().parent.parent
_CORE = ("nudges/estimators", "nudges/scoring")
_GATE = (*_CORE, "nudges/uplift", "nudges/choice")
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "LOKY_MAX_CPU_COUNT"), "1"
)


@dataclass(frozen=True, slots=True)
class Result:
    """One entry on one split.

    Attributes:
        entry: its name.
        case: of the split.
        rows: of the split.
        seed: of the split.
        digest: of the split's rows.
        made_by: fingerprint of the code.
        outcome: `done`, or why there is nothing, in words.
        taken: time and memory, None without predictions.
        file: predictions, in the cache folder.
    """

    entry: str
    case: str
    rows: int
    seed: int
    digest: str
    made_by: str
    outcome: str
    taken: Taken | None
    file: str


class Store:
    """Results as JSON lines in a folder, predictions as arrays beside them.

    Args:
        folder: where; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lines = folder / "results.jsonl"
        held = self._lines.read_text("utf-8").splitlines() if self._lines.exists() else []
        known = [result for result in map(_parsed, held) if not result.outcome.startswith(FAILED)]
        self._kept = {self._key(result): result for result in known}

    def get(self, entry: Entry, split: Split) -> Result | None:
        """What is known of this entry on these rows, made by today's code."""
        return self._kept.get((entry.name, split.case, split.rows, split.seed, split.digest, fingerprint(entry)))

    def effect(self, result: Result) -> NDArray[np.float64]:
        """Predicted effects on the held-out rows, (n, n_arms - 1)."""
        return np.asarray(np.load(self.folder / result.file), dtype=np.float64)

    def put(self, result: Result) -> None:
        """Keep a result; the newest line counts."""
        self._kept[self._key(result)] = result
        with self._lines.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(result)) + "\n")

    @staticmethod
    def _key(result: Result) -> tuple[str, str, int, int, str, str]:
        return (result.entry, result.case, result.rows, result.seed, result.digest, result.made_by)


def run(entries: Iterable[Entry], split: Split, store: Store, *, limit_s: int, jobs: int) -> None:
    """Run what the store does not hold yet."""
    wanted = [entry for entry in entries if store.get(entry, split) is None]
    if not wanted:
        return
    with tempfile.TemporaryDirectory(prefix="nudges-uplift-") as folder, ThreadPoolExecutor(jobs) as pool:
        data = Path(folder)
        save(split.train, data / "train.npz")
        save(split.test, data / "test.npz")
        for result in pool.map(lambda entry: _one(entry, split, store, data, limit_s), wanted):
            store.put(result)


def fingerprint(entry: Entry) -> str:
    """Of what makes an entry's predictions, short."""
    return _made_by(entry.library, gated=entry.name == GATED)


@functools.cache
def _made_by(library: str, *, gated: bool) -> str:
    """Read once a run."""
    if library == OURS:
        return _hashed([path for folder in (_GATE if gated else _CORE) for path in _python(_ROOT / folder)])
    if library == PLAIN:
        return f"{PLAIN} {version(PLAIN)}"
    return f"{library} {version(library)} {_hashed([_ROOT / f'benchmarks/_peers_{PEERS[library]}.py'])}"


def _one(entry: Entry, split: Split, store: Store, data: Path, limit_s: int) -> Result:
    begun, made_by = time.perf_counter(), fingerprint(entry)
    name = hashlib.blake2b(f"{entry.name} {split.digest} {made_by}".encode(), digest_size=12).hexdigest() + ".npy"
    with tempfile.TemporaryDirectory(prefix="nudges-uplift-one-") as own:
        folder = Path(own)
        task = Task(entry.name, split.arms, tuple(split.cost.tolist()), budget_each(split.cost), limit_s)
        (folder / "task.json").write_text(json.dumps(asdict(task)), "utf-8")
        outcome = _started(folder, data, limit_s)
        taken = None
        if outcome == "done":
            taken = Taken(**json.loads((folder / "taken.json").read_text("utf-8")))
            (store.folder / name).write_bytes((folder / "effect.npy").read_bytes())
    seconds = time.perf_counter() - begun
    sys.stderr.write(f"{split.case} {split.rows} {split.seed} {entry.name}: {outcome}, {seconds:.0f} s\n")
    return Result(entry.name, split.case, split.rows, split.seed, split.digest, made_by, outcome, taken, name)


def _started(folder: Path, data: Path, limit_s: int) -> str:
    command = [sys.executable, "-m", "benchmarks._uplift_job", str(folder), str(data)]
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))
    done = subprocess.run(
        command, env={**os.environ, **_ONE_THREAD, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return "done"
    if done.returncode == -signal.SIGXCPU:
        return f"stopped after {limit_s:,} CPU s"
    if done.returncode < 0:
        return f"{FAILED}: ended by signal {-done.returncode}"
    return f"{FAILED}: " + (done.stderr.strip().splitlines() or ["no word"])[-1][:200]


def _parsed(line: str) -> Result:
    held = json.loads(line)
    return Result(**{**held, "taken": Taken(**held["taken"]) if held["taken"] else None})


def _python(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _hashed(paths: Iterable[Path]) -> str:
    digest = hashlib.blake2b(digest_size=6)
    for path in paths:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
