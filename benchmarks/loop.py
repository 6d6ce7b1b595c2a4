"""Turns seeds into a year of choosing on the demo borough: what each way of choosing earns, week by week, in pounds.

The borough is the demo's (`sources.synthetic`, 20,000 households) with 26 weeks of history; the campaign is every home
with bins of its own and a mobile number. A year is 52 weeks, 13 turns of four; each turn's text goes out in its first
week. What choosers see is read off the drops (lifts with readings missing, fortnightly rounds, tags) and the register.

Kinds of borough (`_loop_effects`); the demo's three messages at 3 to 4 pence, residual at the starter's prices:
    mixed: the demo's strengths, each message about a trait of its own: a reminder of the day helps homes that miss
        recycling days, a street norm homes above their street's mean and harms those below it (boomerang), a food
        message homes that do not use the caddy. Half of the homes respond, 3 % do the opposite, one text in eight is
        not read, and what it did halves every two weeks.
    same: each message has the mean effect it has in `mixed`, as many kg in every home that reads it: nothing to
        personalise.
    none: no message does anything.

Choosers, with the same homes, noise, readers and control lane (10 %, nothing all year):
    uniform: a message by lot, every turn.
    best-single-arm: one turn by lot, then the message with the best estimated mean, net of cost, for everyone.
    12-week pilot, best arm or none: three turns by lot, then the best message, or nothing if that looks better.
    this engine: `uplift.decide` with `causal_stack` after every turn, lanes and arms by `draws` (control 10 %, learn
        10 %, best 80 %), arms by `choice`; the functions of the weekly run.
    Thompson without features: each arm, none among them, as often as it may be the best one.
    truly best arm, known: the one message that is best for all, from the first week. No council can know it.
    oracle: to each home what is truly worth most to it, net of cost, or nothing.

Pounds are planted kg avoided x price - messages, a thousand homes of the campaign, control lane included, exact from
the simulator's truth: the same noise with and without messages. Regret is the difference to the oracle. Coverage is
that of `measuring.unit_ancova`'s interval, campaign against control lane over the year, for what was planted.

python -m benchmarks.loop --seeds 10 --jobs 2 --keep loop.jsonl
python -m benchmarks.loop --coverage 200 --households 3000 --jobs 2

Years already in the file of --keep are not lived again, so a run can be interrupted, prolonged, or split by --kinds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from statistics import mean

from benchmarks._loop_effects import KINDS
from benchmarks._loop_engine import ESTIMATOR
from benchmarks._loop_play import CHOOSERS, ENGINE, Lived, live, wanted_key
from benchmarks._loop_report import BEST, POUNDS, by_seed, covered, earned, over_time, sentence
from benchmarks.meter import machine

WEEKS = 52
PILOT = "12-week pilot, best arm or none"


def main() -> None:
    """Live through the seeds and print Markdown."""
    wanted = _arguments()
    count, choosers = (wanted.coverage, [ENGINE]) if wanted.coverage else (wanted.seeds, wanted.choosers)
    seeds = range(wanted.first_seed, wanted.first_seed + count)
    lived = played(wanted.kinds, seeds, choosers, wanted)
    engine = [run for run in lived if run.chooser == ENGINE]
    print(
        f"Seeds {seeds[0]} to {seeds[-1]}, {wanted.households:,} households, {mean(r.homes for r in lived):,.0f}",
        end=" ",
    )
    print(f"homes in the campaign, {WEEKS} weeks, {wanted.estimator}; a year of the engine takes", end=" ")
    print(f"{mean(run.cpu_s for run in engine):.0f} CPU-seconds. {machine()}")
    if not wanted.coverage:
        for kind in wanted.kinds:
            own = [run for run in lived if run.kind == kind]
            print(f"\n### {kind}\n\n{earned(own, choosers)}\n\n{by_seed(own, choosers)}\n\n{over_time(own)}\n")
            print(" ".join(sentence(own, other) for other in (BEST, PILOT) if other in choosers))
    print(f"\n### Intervals\n\n{covered([run for run in lived if run.chooser in (ENGINE, BEST)])}")


def played(
    kinds: Sequence[str], seeds: Sequence[int], choosers: Sequence[str], wanted: argparse.Namespace
) -> list[Lived]:
    """Every kind, seed and chooser that is not kept, a process each; a line as each is done."""
    begun, done = time.perf_counter(), kept(wanted.keep)
    asked = {
        wanted_key(kind, seed, chooser, households=wanted.households, estimator=wanted.estimator): (kind, seed, chooser)
        for kind in kinds
        for seed in seeds
        for chooser in choosers
    }
    with ProcessPoolExecutor(wanted.jobs) as pool:
        work = [
            pool.submit(live, *what, households=wanted.households, weeks=WEEKS, estimator=wanted.estimator)
            for key, what in asked.items()
            if key not in done
        ]
        for number, job in enumerate(as_completed(work), 1):
            run = job.result()
            done[run.key] = run
            if wanted.keep:
                with wanted.keep.open("a", encoding="utf-8") as file:
                    file.write(run.to_json() + "\n")
            said = f"{run.kind} {run.seed} {run.chooser} {POUNDS * run.pence.sum():+.0f} £"
            sys.stderr.write(f"{number} of {len(work)}, {time.perf_counter() - begun:.0f} s: {said}\n")
            sys.stderr.flush()
    return sorted((done[key] for key in asked), key=lambda run: (run.kind, run.seed, run.chooser))


def kept(path: Path | None) -> dict[tuple[str, int, str, int, str], Lived]:
    """Years of an earlier call, by `Lived.key`."""
    if path is None or not path.is_file():
        return {}
    lived = [Lived.from_json(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return {run.key: run for run in lived}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--households", type=int, default=20_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--choosers", nargs="+", default=list(CHOOSERS), choices=list(CHOOSERS))
    parser.add_argument("--estimator", default=ESTIMATOR)
    parser.add_argument("--keep", type=Path, help="a file of years, one JSON a line, read and added to")
    parser.add_argument("--coverage", type=int, default=0, help="seeds of the engine alone, for its interval")
    return parser.parse_args()


if __name__ == "__main__":
    main()
