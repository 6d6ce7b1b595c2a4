"""Turns simulated campaigns with planted effects into coverage, agreement, cost and bias of the estimators.

python -m benchmarks.effects --part rounds --part speed     (all parts when none is named)

Seeds are fixed and every figure stands beside its simulation error. `agreement` and `speed` need statsmodels and
pyfixest, which are peers to compare with and no dependency. `--scale 0.1` runs a tenth of the trials.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence

from benchmarks._effects_coverage import covariate, household, rounds
from benchmarks._effects_oracles import agreement, speed
from benchmarks._effects_units import delivered, rates, reads, stores

PARTS: dict[str, Callable[[float], str]] = {
    "household": household,
    "rounds": rounds,
    "covariate": covariate,
    "agreement": agreement,
    "speed": speed,
    "reads": reads,
    "stores": stores,
    "rates": rates,
    "delivered": delivered,
}
NEEDS_PEERS = {"agreement", "speed"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts and print a Markdown section each; 1 when a bar is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", action="append", choices=list(PARTS), help="run only this part; may be repeated")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the trials to run")
    given = parser.parse_args(arguments)
    print(_machine() + "\n")
    missed = 0
    for name in given.part or PARTS:
        if name in NEEDS_PEERS and not all(map(importlib.util.find_spec, ("pyfixest", "statsmodels"))):
            print(f"### {name}\n\nLeft out: needs pyfixest and statsmodels, which are not installed.\n")
            continue
        wall, cpu = time.perf_counter(), time.process_time()
        section = PARTS[name](given.scale)
        missed += section.count("NOT MET")
        took = f"{time.process_time() - cpu:.0f} CPU s, {time.perf_counter() - wall:.0f} s wall"
        print(f"{section}\n`--part {name}`: {took}.\n", flush=True)
    return int(missed > 0)


def _machine() -> str:
    packages = [
        name for name in ("numpy", "scipy", "statsmodels", "pyfixest", "pandas") if importlib.util.find_spec(name)
    ]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    load = os.getloadavg()[0]
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f} at the start; {versions}."


if __name__ == "__main__":
    sys.exit(main())
