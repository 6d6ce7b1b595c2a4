"""Turns one entry and one split into predictions, CPU seconds and peak memory, in a process of its own.

python -m benchmarks._uplift_job <folder> <data>      started by benchmarks/_uplift_runs.py, which wrote both folders

Memory is the highest resident memory of this process (VmHWM): ru_maxrss would count its parent's. Libraries are
imported and rows are read before the clock starts.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks._uplift_data import Floats, Part, read
from benchmarks._uplift_entries import GATED, Predict, find, gate

NO_LIMIT = 1e6
"""Outcome units a household: more than any message costs."""

_QUICK_S = 0.5


@dataclass(frozen=True, slots=True)
class Task:
    """What the child is asked.

    Attributes:
        entry: its name.
        arms: labels, control first.
        cost: of a message by arm, outcome units.
        budget: outcome units a household, of the budgeted regime.
        limit_s: CPU seconds after which the kernel stops the process.
    """

    entry: str
    arms: tuple[str, ...]
    cost: tuple[float, ...]
    budget: float
    limit_s: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What an entry took.

    Attributes:
        fit_cpu_s: CPU seconds of the fit; of the gated entry also of its decision net of cost.
        predict_cpu_s: CPU seconds a million rows.
        start_mib: memory with the libraries imported and the training part read.
        fit_mib: highest memory until the fit was done.
        peak_mib: highest memory until the predictions were done.
        policies: of the gated entry, what it deploys in each regime.
    """

    fit_cpu_s: float
    predict_cpu_s: float
    start_mib: float
    fit_mib: float
    peak_mib: float
    policies: dict[str, str]


def main() -> None:
    """Read the task, run it, write `taken.json` and `effect.npy`."""
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    held = json.loads((folder / "task.json").read_text("utf-8"))
    task = Task(**{**held, "arms": tuple(held["arms"]), "cost": tuple(held["cost"])})
    resource.setrlimit(resource.RLIMIT_CPU, (task.limit_s, task.limit_s + 10))
    taken = run(task, folder, Path(sys.argv[2]))
    (folder / "taken.json").write_text(json.dumps(asdict(taken)), "utf-8")


def run(task: Task, folder: Path, data: Path) -> Taken:
    """Fit on `train.npz`, predict `test.npz`, both in `data`."""
    entry = find(task.entry)
    fit = entry.load()
    train = read(data / "train.npz")
    start_mib, cost, policies = _highest_mib(), np.array(task.cost), dict[str, str]()
    begun = _cpu_s()
    predict = fit(train, task.arms)
    if task.entry == GATED:
        policies["cost"] = gate(train, task.arms, cost, NO_LIMIT).policy
    fit_cpu_s, fit_mib = _cpu_s() - begun, _highest_mib()
    test = read(data / "test.npz")
    effect, predict_cpu_s = _timed(predict, test)
    np.save(folder / "effect.npy", effect.astype(np.float32))
    peak_mib = _highest_mib()
    if task.entry == GATED:
        policies["free"] = gate(train, task.arms, np.zeros_like(cost), NO_LIMIT).policy
        policies["budget"] = gate(train, task.arms, cost, task.budget).policy
    million = 1e6 / len(test.y)
    return Taken(fit_cpu_s, predict_cpu_s * million, start_mib, fit_mib, peak_mib, policies)


def _timed(predict: Predict, test: Part) -> tuple[Floats, float]:
    """Predictions and their CPU seconds; the lowest of four where one is too short to trust."""
    best = np.inf
    for repeat in range(4):
        begun = _cpu_s()
        effect = predict(test)
        best = min(best, _cpu_s() - begun)
        if repeat == 0 and best > _QUICK_S:
            break
    return effect, best


def _cpu_s() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _highest_mib() -> float:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


if __name__ == "__main__":
    main()
