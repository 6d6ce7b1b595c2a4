"""Turns the same trials into tables of what every uplift library makes of them, and of whether the aims are met.

python -m benchmarks.uplift --cache /tmp/uplift          everything; peers of benchmarks/peers.txt where installed
python -m benchmarks.uplift --quick                      small trials, one seed
python -m benchmarks.uplift --only causal_stack "logistic T" --cases weak --seeds 0 1 2
python -m benchmarks.uplift --scale                      time and memory at 120,000 and 1,000,000 rows

Hillstrom needs NUDGES_REAL_DATA, a folder with `hillstrom/` in it. Entry by entry and split by split, each in a
process of its own and one thread; results are kept in --cache, so that a run goes on where it stopped and the tables
can be printed again.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks._uplift_aims import aims
from benchmarks._uplift_data import HILLSTROM, SCALE, Split, cases, split
from benchmarks._uplift_entries import DEPLOYED, GATED, YARDSTICK, Entry, entries, missing
from benchmarks._uplift_judge import PER, REGIMES, Figure, Judge, budget_each, with_none
from benchmarks._uplift_runs import Store, run
from benchmarks._uplift_tables import (
    SINGLE,
    Line,
    Sheet,
    case_table,
    machine,
    paired_table,
    pooled,
    scale_table,
    signed,
)
from nudges.choice import allocate

ROWS = 100_000
SEEDS = 3
HILLSTROM_SEEDS = 5
MANY_ROWS = 200_000
MANY_SEEDS = 8
LEAD_SEEDS = 60
"""Of ours and the yardstick alone: differences of regret spread by 2 per 1,000, and their mean is wanted to 0.3."""

SCALES = (120_000, 1_000_000)
_SCALED = ("dr_linear", "dr_boost", DEPLOYED)
_HEAD = """# Uplift: ours and the libraries of the field, same rows

Gains and regrets are outcomes per 1,000 rows; *free*: messages cost nothing; *net*: less their cost; *30 %*: net of
cost, with money for messages to 30 % of the households. Gain: held out, doubly robust with the logged propensities,
paired against the single arm that was best on the training part, ± its clustered standard error (Hillstrom: mean over
cuts that overlap, ± that of one cut). Regret: true loss to a policy that knows the effects. Slope: of the truth (on
Hillstrom of the held-out scores) on the prediction within arms, pooled over seeds (and their range). Memory is the
whole process, libraries and rows included. Peers have one set of settings for all cases: an expert would tune them."""


def main() -> None:
    """Run what is not in the cache, print Markdown."""
    wanted = _wanted()
    with tempfile.TemporaryDirectory(prefix="nudges-uplift-cache-") as temporary:
        store = Store(wanted.cache or Path(temporary))
        sheets, scale, allocated = [], [], []
        if not wanted.scale_only:
            sheets = _sheets(wanted, store)
        if wanted.scale or wanted.scale_only:
            scale, allocated = _scaled(wanted, store), [_allocated()]
    print(_HEAD + "\n")
    print(f"{machine()}\n")
    print("Skipped, not installed here: " + (", ".join(missing()) or "nothing") + ".\n")
    print("\n\n".join(case_table(sheet) for sheet in sheets))
    for sheet in sheets:
        if sheet.known and len(sheet.verdicts(YARDSTICK)) > 1:
            print("\n" + paired_table(sheet, YARDSTICK))
    if scale:
        print("\n" + scale_table(scale, allocated))
    print("\n" + aims(sheets, scale, allocated))


def _wanted() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, help="a folder for results, so that a run can go on")
    parser.add_argument("--only", nargs="+", metavar="ENTRY", help="entries in full, or how their names begin")
    parser.add_argument("--cases", nargs="+", choices=cases(), default=cases())
    parser.add_argument("--seeds", nargs="+", type=int, help="for every case, instead of the usual ones")
    parser.add_argument("--rows", type=int, default=ROWS, help="of a simulated trial, both parts")
    parser.add_argument("--many-seeds", type=int, default=MANY_SEEDS, help="of the weak case with many rows; 0: none")
    parser.add_argument("--lead-seeds", type=int, default=LEAD_SEEDS, help="of ours and the yardstick; 0: none")
    parser.add_argument("--first-seed", type=int, default=100, help="of the simulated cases")
    parser.add_argument("--limit", type=int, default=900, help="CPU seconds an entry may take on a split")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--reprint", action="store_true", help="run nothing: tables of what the cache holds")
    parser.add_argument("--quick", action="store_true", help="8,000 rows and one seed: does it run?")
    parser.add_argument("--scale", action="store_true", help="also time ours at 120,000 and 1,000,000 rows")
    parser.add_argument("--scale-only", action="store_true", help="only that")
    wanted = parser.parse_args()
    if wanted.quick:
        wanted.rows, wanted.many_seeds, wanted.lead_seeds = 8_000, 0, 0
    return wanted


def _sheets(wanted: argparse.Namespace, store: Store) -> list[Sheet]:
    sheets = [_sheet(wanted, store, case, wanted.rows, _seeds(wanted, case)) for case in wanted.cases]
    if "weak" in wanted.cases and wanted.many_seeds:
        seeds = range(wanted.first_seed, wanted.first_seed + wanted.many_seeds)
        sheets.append(_sheet(wanted, store, "weak", MANY_ROWS, list(seeds), fast=True))
    if "weak" in wanted.cases and wanted.lead_seeds:
        seeds = range(wanted.first_seed, wanted.first_seed + wanted.lead_seeds)
        pair = argparse.Namespace(**{**vars(wanted), "only": [DEPLOYED, YARDSTICK]})
        sheets.append(_sheet(pair, store, "weak", MANY_ROWS, list(seeds), fast=True))
    return sheets


def _seeds(wanted: argparse.Namespace, case: str) -> list[int]:
    if wanted.seeds:
        return list(wanted.seeds)
    if case == HILLSTROM:
        return list(range(1 if wanted.quick else HILLSTROM_SEEDS))
    return list(range(wanted.first_seed, wanted.first_seed + (1 if wanted.quick else SEEDS)))


def _sheet(
    wanted: argparse.Namespace, store: Store, case: str, rows: int, seeds: Sequence[int], *, fast: bool = False
) -> Sheet:
    lines: dict[str, list[Line]] = {}
    leads: dict[str, list[Figure]] = {regime: [] for regime in REGIMES}
    for seed in seeds:
        cut = split(case, rows, seed)
        chosen = [entry for entry in _chosen(wanted) if _runs(entry, case, seed == seeds[0], fast=fast)]
        if wanted.reprint:
            chosen = [entry for entry in chosen if store.get(entry, cut)]
        run(chosen, cut, store, limit_s=wanted.limit, jobs=wanted.jobs)
        judge = Judge(cut)
        lines.setdefault(SINGLE, []).append(Line(seed, None, judge.single_verdict()))
        for entry in chosen:
            lines.setdefault(entry.name, []).append(_judged(entry, cut, store, judge))
        _add_leads(leads, chosen, cut, store, judge)
    fresh = case != HILLSTROM
    notes = (*_deployments(lines.get(GATED, ())), *_lead_note(leads, fresh=fresh))
    return Sheet(case, cut.rows, lines, notes)


def _chosen(wanted: argparse.Namespace) -> list[Entry]:
    """Entries named in full, or by how their names begin."""
    known = entries()
    begins = tuple(name for name in wanted.only or () if name not in known)
    return [e for e in known.values() if not wanted.only or e.name in wanted.only or e.name.startswith(begins)]


def _runs(entry: Entry, case: str, first: bool, *, fast: bool) -> bool:
    if fast:
        return entry.fast
    return not entry.slow or case == HILLSTROM or (case == "weak" and first)


def _judged(entry: Entry, cut: Split, store: Store, judge: Judge) -> Line:
    result = store.get(entry, cut)
    if result is None:
        return Line(cut.seed, None, None, "no result")
    if result.taken is None:
        return Line(cut.seed, result, None, result.outcome)
    return Line(cut.seed, result, judge.verdict(store.effect(result), result.taken.policies))


def _deployments(lines: Sequence[Line]) -> tuple[str, ...]:
    """What the gate let out, by regime and seed."""
    found = [(line.seed, line.result.taken.policies) for line in lines if line.result and line.result.taken]
    words = [f"{seed}: " + ", ".join(f"{r} {policies[r]}" for r in REGIMES) for seed, policies in found]
    return (f"Deployed by the gate, by seed: {'; '.join(words)}.",) if words else ()


def _add_leads(leads: dict[str, list[Figure]], chosen: Sequence[Entry], cut: Split, store: Store, judge: Judge) -> None:
    """Held-out gains of ours over the yardstick on the same rows."""
    held = {entry.name: store.get(entry, cut) for entry in chosen if entry.name in {DEPLOYED, YARDSTICK}}
    effects = {name: store.effect(result) for name, result in held.items() if result and result.taken}
    if len(effects) == 2:
        for regime in REGIMES:
            leads[regime].append(judge.paired(effects[DEPLOYED], effects[YARDSTICK], regime))


def _lead_note(leads: dict[str, list[Figure]], *, fresh: bool) -> tuple[str, ...]:
    words = [f"{regime} {signed(pooled(found, fresh=fresh))}" for regime, found in leads.items() if found]
    return (f"Held-out gain of {DEPLOYED} over {YARDSTICK}, paired: {', '.join(words)}.",) if words else ()


def _scaled(wanted: argparse.Namespace, store: Store) -> list[Sheet]:
    known = entries()
    sheets = []
    for rows in SCALES:
        cut = split(SCALE, rows, wanted.first_seed)
        chosen = [known[name] for name in _SCALED if name in known]
        run(chosen, cut, store, limit_s=wanted.limit, jobs=1)
        results = {entry.name: store.get(entry, cut) for entry in chosen}
        lines = {name: [Line(cut.seed, result, None, result.outcome)] for name, result in results.items() if result}
        sheets.append(Sheet(SCALE, rows, lines))
    return sheets


def _allocated() -> tuple[int, float]:
    """CPU seconds of one allocation of a million units."""
    rng = np.random.default_rng(0)
    effect, cost = rng.normal(0.015, 0.02, size=(1_000_000, 4)), np.array([0.0, 0.012, 0.008, 0.010, 0.020])
    benefit, budget = PER * with_none(effect), PER * budget_each(cost) * len(effect)
    begun = time.process_time()
    allocate(benefit, PER * cost, budget_pence=budget)
    return len(effect), time.process_time() - begun


if __name__ == "__main__":
    main()
