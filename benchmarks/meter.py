"""Turns running steps into wall seconds, CPU seconds and peak memory, as Markdown rows."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

_SAMPLE_SECONDS = 0.02
_PACKAGES = ("duckdb", "pyarrow", "numpy", "pandas", "scikit-learn", "sqlalchemy", "adbc-driver-sqlite", "jinja2")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one step took: seconds, CPU seconds (user and system of this process), peak resident MiB, and a count."""

    step: str
    wall_s: float
    cpu_s: float
    peak_mib: float
    rows: int


@dataclass(slots=True)
class Meter:
    """Collects readings; memory is sampled every 20 ms while a step runs."""

    readings: list[Reading] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[int], None]]:
        """Measure one step; call what is yielded with the number of rows it handled."""
        rows = [0]
        peak, stop = [_resident()], threading.Event()
        sampler = threading.Thread(target=_sample, args=(peak, stop), daemon=True)
        sampler.start()
        wall, cpu = time.perf_counter(), time.process_time()
        yield lambda count: rows.__setitem__(0, count)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        stop.set()
        sampler.join()
        self.readings.append(Reading(name, wall, cpu, peak[0], rows[0]))

    def as_dicts(self) -> list[dict[str, object]]:
        """Readings for JSON."""
        return [asdict(reading) for reading in self.readings]


def table(title: str, readings: list[Reading], *, total: bool = True) -> str:
    """A Markdown table of readings."""
    lines = [f"**{title}**", "", "| step | wall s | CPU s | peak MiB | rows |", "|---|---:|---:|---:|---:|"]
    lines += [f"| {r.step} | {r.wall_s:.1f} | {r.cpu_s:.1f} | {r.peak_mib:.0f} | {r.rows:,} |" for r in readings]
    if total:
        wall, cpu = sum(r.wall_s for r in readings), sum(r.cpu_s for r in readings)
        peak = max((r.peak_mib for r in readings), default=0.0)
        lines.append(f"| **total** | **{wall:.1f}** | **{cpu:.1f}** | **{peak:.0f}** | |")
    return "\n".join(lines)


def machine() -> str:
    """Where and with what this ran."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    load = os.getloadavg()[0]
    return f"Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f} at the end; {versions}."


def highest_mib() -> float:
    """Highest resident memory of this process so far, as the kernel counted it."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _resident() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _sample(peak: list[float], stop: threading.Event) -> None:
    while not stop.wait(_SAMPLE_SECONDS):
        peak[0] = max(peak[0], _resident())
