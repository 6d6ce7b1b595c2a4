"""Turns trials with known effects into how often the gate opens: when it should not, when it should, and at what harm.

python -m benchmarks.gate --jobs 2 --keep gate.jsonl

Two parts are run. error: every message works the same for everyone, half of the runs net of the cost of messages, which
makes two arms nearly as good as each other. power: 150,000 rows with heterogeneity worth having. A third is read off:
null, the runs of error without cost, where the best single arm should stay. Runs already in the file of --keep are not
repeated, so a run can be interrupted, prolonged, or split by --first.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from scipy.stats import binomtest

from benchmarks.meter import machine
from benchmarks.trials import Trial, simulate
from nudges import estimators
from nudges.uplift import Detail, Evidence, Prices, decide, net_benefit

PER = 1000.0  # values are outcomes per 1,000 rows
FRESH_ROWS = 50_000
HARM = -0.5
"""A deployment is harmful when it truly loses more than this to the best single arm, per 1,000."""


@dataclass(frozen=True, slots=True)
class Part:
    """One question to the gate."""

    name: str
    case: str
    rows: int
    runs: int
    costs: tuple[float, ...]  # by run in turn: 1 counts the cost of messages, 0 does not


PARTS = (
    Part("error", "none", 20_000, 500, (0.0, 1.0)),
    Part("power", "weak", 150_000, 40, (0.0,)),
)

NULL = Part("null", "none", 20_000, 250, (0.0,))
"""The half of error that counts no cost, reported by itself."""


@dataclass(frozen=True, slots=True)
class Run:
    """What the gate did once; gains per 1,000 rows over the truly best single arm."""

    part: str
    case: str
    rows: int
    seed: int
    cost: float
    estimator: str
    policy: str
    is_best_arm: bool  # the arm it would give to everyone is the truly best
    gain: float
    se: float
    oracle: float
    true_gain: float | None  # of the model deployed, on fresh rows; None when it was not
    cpu_s: float

    @property
    def key(self) -> tuple[str, int, int, str]:
        """What makes a run the same one."""
        return self.part, self.rows, self.seed, self.estimator


def run(part: Part, rows: int, seed: int, estimator: str) -> Run:
    """Simulate, decide, and look up the truth."""
    cost = part.costs[seed % len(part.costs)]
    trial = simulate(part.case, rows, seed)
    prices = Prices(PER, trial.cost * cost * PER, 1e9)
    begun = time.process_time()
    decision = decide(_evidence(trial), estimators.load(estimator), prices, seed=seed, detail=Detail.GATE)
    spent = time.process_time() - begun
    truth = _worth(trial, prices)
    best = int(truth.mean(axis=0)[1:].argmax()) + 1
    over = decision.model_over_arm
    return Run(
        part=part.name,
        case=part.case,
        rows=rows,
        seed=seed,
        cost=cost,
        estimator=estimator,
        policy=decision.policy,
        is_best_arm=decision.best_arm == trial.arms[best],
        gain=over.mean if over else math.nan,
        se=over.se if over else math.nan,
        oracle=float((truth.max(axis=1) - truth[:, best]).mean()),
        true_gain=_true_gain(part, trial, prices, estimator, seed) if decision.policy == "model" else None,
        cpu_s=spent,
    )


def _evidence(trial: Trial) -> Evidence:
    homes = np.ones(len(trial.y))
    return Evidence(trial.X, trial.y, trial.given, trial.propensity, trial.groups, homes, trial.arms)


def _worth(trial: Trial, prices: Prices) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return net_benefit(trial.effect, np.ones(len(trial.y)), prices.cost_pence, prices.pence_per_outcome)


def _true_gain(part: Part, trial: Trial, prices: Prices, estimator: str, seed: int) -> float:
    """What the model learned from all rows gains on rows that nobody has seen."""
    model = estimators.load(estimator).set_params(arms=trial.arms)
    labels = np.asarray(trial.arms)[trial.given]
    model.fit(trial.X, trial.y, treatment=labels, propensity=trial.propensity, groups=trial.groups)
    fresh = simulate(part.case, FRESH_ROWS, 1_000_000 + seed)
    homes = np.ones(FRESH_ROWS)
    arm = net_benefit(model.effect(fresh.X), homes, prices.cost_pence, prices.pence_per_outcome).argmax(axis=1)
    truth = _worth(fresh, prices)
    return float(truth[np.arange(FRESH_ROWS), arm].mean() - truth.mean(axis=0)[1:].max())


def kept(path: Path | None) -> list[Run]:
    """Runs of an earlier call."""
    if path is None or not path.is_file():
        return []
    return [Run(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line]


def share(hits: int, runs: int) -> str:
    """`3 of 200, 1.5 % ± 0.9 (at most 3.8 %)`: the simulation's own error and exact one-sided 95 % bounds."""
    p = hits / runs
    error = math.sqrt(p * (1 - p) / runs)
    exact = binomtest(hits, runs).proportion_ci(0.90)
    return f"{hits} of {runs} | {p:.1%} ± {error:.1%} | {exact.low:.1%} to {exact.high:.1%}"


def report(part: Part, runs: Sequence[Run]) -> None:
    """Print one part."""
    opened = [one for one in runs if one.policy == "model"]
    arms = [one for one in runs if one.policy.startswith("arm:")]
    print(
        f"\n**{part.name}**: case {part.case}, {runs[0].rows:,} rows, {len(runs)} seeds from {runs[0].seed}, ", end=""
    )
    print(f"estimator {runs[0].estimator}, oracle gain {mean(one.oracle for one in runs):.1f} per 1,000, ", end="")
    print(f"{mean(one.cpu_s for one in runs):.1f} CPU s a run\n")
    print("| | count | share ± simulation error | exact 90 % |\n|---|---|---|---|")
    print(f"| model used | {share(len(opened), len(runs))} |")
    print(f"| single arm or nothing kept | {share(len(runs) - len(opened), len(runs))} |")
    print(f"| single arm proven and sent | {share(len(arms), len(runs))} |")
    print(f"| ... the truly best | {share(sum(one.is_best_arm for one in arms), max(len(arms), 1))} |")
    harmful = sum(one.true_gain is not None and one.true_gain < HARM for one in runs)
    print(f"| harmful deployment (loses over {-HARM} per 1,000) | {share(harmful, len(runs))} |")
    print(f"\nHeld-out gain over the best single arm: {_spread([one.gain for one in runs])} per 1,000.")
    if opened:
        print(f"True gain of models used: {_spread([one.true_gain or 0.0 for one in opened])} per 1,000.")


def _spread(values: Sequence[float]) -> str:
    error = stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"mean {mean(values):+.2f} ± {error:.2f}, from {min(values):+.1f} to {max(values):+.1f}"


def main() -> None:
    """Run what is missing and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--parts", nargs="+", default=[part.name for part in PARTS])
    parser.add_argument("--runs", type=int, help="runs of each part instead of 500 and 40")
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--rows", type=int, help="rows of a run instead of 20,000, and 150,000 in power")
    parser.add_argument("--estimator", default="causal_stack")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="a file of runs, one JSON a line, read and added to")
    wanted = parser.parse_args()
    done = {one.key: one for one in kept(wanted.keep)}
    begun = time.perf_counter()
    parts = [part for part in PARTS if part.name in wanted.parts]
    with ProcessPoolExecutor(wanted.jobs) as pool:
        jobs = {}
        for part in parts:
            rows = wanted.rows or part.rows
            for seed in range(wanted.first, wanted.first + (wanted.runs or part.runs)):
                if (part.name, rows, seed, wanted.estimator) not in done:
                    jobs[pool.submit(run, part, rows, seed, wanted.estimator)] = seed
        for number, job in enumerate(as_completed(jobs), 1):
            one = job.result()
            done[one.key] = one
            if wanted.keep:
                with wanted.keep.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(one)) + "\n")
            sys.stderr.write(f"{number} of {len(jobs)}: {one.part} {one.seed} {one.policy}, ")
            sys.stderr.write(f"{time.perf_counter() - begun:.0f} s\n")
    print(machine())
    for part in parts:
        found = [done[key] for key in sorted(done) if key[0] == part.name and key[3] == wanted.estimator]
        found = [one for one in found if one.rows == (wanted.rows or part.rows)]
        if found:
            report(part, found)
        free = [one for one in found if part.name == "error" and one.cost == 0]
        if free:
            report(NULL, free)


if __name__ == "__main__":
    main()
