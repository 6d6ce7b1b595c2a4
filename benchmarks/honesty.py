"""Turns 200 simulated boroughs, a quarter of them with messages that do nothing, into what the whole engine claims.

python -m benchmarks.honesty --boroughs 200 --households 4000 --keep honesty.jsonl

Every borough is the weekly loop from drops to impact page: ingest, features, segments, learn, choose, render, approve,
deliver, answers, measure. Truth is what the simulator knows of the same households: what each threw away less the
same household under the same noise without any message. A finished borough is kept in the file and not run again.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.meter import machine
from nudges.demo.headline import planted
from nudges.demo.loop import Loop
from nudges.demo.run import START, open_demo
from nudges.domain import Verdict
from nudges.sources.synthetic import Borough, Effects, Truth
from nudges.steps.measure.reading import first_assignments
from nudges.steps.report import newest
from nudges.steps.workspace import Workspace
from nudges.weeks import Week

CAMPAIGN = "less_rubbish"
HISTORY = 26
NULL_EVERY = 4
RESPONDERS = 0.9  # so that a borough this small can see the effect: a claim made only when it can is biased upwards
ESTIMATOR = "mean_effect"  # what is learned changes who is written to, not how it is measured; this one learns fast


@dataclass(frozen=True, slots=True)
class Claim:
    """What the page of one borough said in the end, and what was true. Tonnes avoided, more is better."""

    seed: int
    is_null: bool
    verdict: str
    tonnes: float
    low: float
    high: float
    truth: float
    effect: float
    true_effect: float


def claim(seed: int, households: int, weeks: int) -> Claim:
    """The whole loop once, in a folder that is thrown away."""
    is_null = seed % NULL_EVERY == 0
    effects = Effects.null() if is_null else Effects(responders=RESPONDERS)
    total = HISTORY + weeks
    with tempfile.TemporaryDirectory(prefix="nudges-honesty-") as folder:
        home = Path(folder) / "borough"
        with open_demo(home, weeks=total, environment={}, campaigns=(CAMPAIGN,)) as ws:
            borough = Borough.make(households=households, seed=seed, start=START, weeks=total, effects=effects)
            campaign = replace(ws.campaign(CAMPAIGN), estimator=ESTIMATOR)
            loop = Loop(replace(ws, campaigns={CAMPAIGN: campaign}), borough, START, HISTORY, total)
            loop.play()
            return _claim(ws, borough.truth, loop.last, seed, is_null)


def _claim(ws: Workspace, truth: Truth, week: Week, seed: int, is_null: bool) -> Claim:
    campaign = ws.campaign(CAMPAIGN)
    measured = newest(ws, campaign, week)
    if measured is None or measured.money is None:
        raise RuntimeError(f"borough {seed}: nothing was measured.")
    tonnes, head = measured.money.residual_tonnes, measured.headline
    true_effect = planted(ws, truth, CAMPAIGN, week)
    return Claim(
        seed=seed,
        is_null=is_null,
        verdict=head.verdict.value,
        tonnes=tonnes.value,
        low=tonnes.low,
        high=tonnes.high,
        truth=_true_tonnes(ws, truth, week),
        effect=head.effect.estimate,
        true_effect=0.0 if true_effect is None else true_effect,
    )


def _true_tonnes(ws: Workspace, truth: Truth, week: Week) -> float:
    """Tonnes that contactable households in the campaign did not throw away because of it, week by week."""
    rows = first_assignments(ws, ws.campaign(CAMPAIGN), week).to_pandas()
    rows = rows[rows["lane"].isin(["learn", "best"]) & (rows["is_contactable"] == 1)]
    first = rows.groupby("unit_id")["week_no"].min()
    kg = 0.0
    for number in range(int(first.min()) + 1, week.number + 1):
        delta = truth.unit_week_delta(Week(number)).to_pandas().set_index("unit_id")["delta"]
        kg += float(delta.reindex(first.index[first < number]).sum())
    return -kg / 1000


def table(claims: Sequence[Claim]) -> str:
    """What was asked beside what came out, with the simulation's own error."""
    nulls, real = [c for c in claims if c.is_null], [c for c in claims if not c.is_null]
    shown = [c for c in claims if c.verdict == Verdict.SHOWN.value]
    called = [c for c in nulls if c.verdict in {Verdict.SHOWN.value, Verdict.HARM.value}]
    held = [c.low <= c.truth <= c.high for c in claims]
    lines = [
        "| what | asked | measured |",
        "|---|---|---|",
        f"| nulls called effects | ≤ 5 % | {_share([c in called for c in nulls])} |",
        f"| interval of tonnes holds the truth | 94-96 % | {_share(held)} |",
        f"| real effects shown | | {_share([c in shown for c in real])} |",
        f"| tonnes claimed (verdict shown) / true tonnes there | ± 5 % | {_ratio(shown)} |",
        f"| tonnes measured / true tonnes, every borough | ± 5 % | {_ratio(claims)} |",
    ]
    return "\n".join(lines)


def _share(flags: Sequence[bool]) -> str:
    if not flags:
        return "none"
    share = sum(flags) / len(flags)
    return f"{share:.1%} ± {math.sqrt(share * (1 - share) / len(flags)):.1%} ({sum(flags)} of {len(flags)})"


def _ratio(claims: Sequence[Claim]) -> str:
    if not claims:
        return "none"
    said, true = (np.array([getattr(c, name) for c in claims]) for name in ("tonnes", "truth"))
    ratio = said.sum() / true.sum()
    error = np.sqrt(((said - ratio * true) ** 2).sum()) / abs(true.sum())
    return f"{ratio - 1:+.1%} ± {error:.1%} ({said.sum():,.0f} t said, {true.sum():,.0f} t true)"


def main() -> None:
    """Run the boroughs that are not kept yet and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boroughs", type=int, default=200)
    parser.add_argument("--households", type=int, default=4_000)
    parser.add_argument("--weeks", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("honesty.jsonl"))
    wanted = parser.parse_args()
    kept = [Claim(**json.loads(line)) for line in wanted.keep.read_text().splitlines()] if wanted.keep.exists() else []
    todo = [seed for seed in range(1, wanted.boroughs + 1) if seed not in {c.seed for c in kept}]
    begun = time.perf_counter()
    with ProcessPoolExecutor(wanted.jobs) as pool, wanted.keep.open("a", encoding="utf-8") as file:
        jobs = [pool.submit(claim, seed, wanted.households, wanted.weeks) for seed in todo]
        for number, job in enumerate(as_completed(jobs), 1):
            kept.append(job.result())
            file.write(json.dumps(asdict(kept[-1])) + "\n")
            file.flush()
            sys.stderr.write(f"{number} of {len(jobs)} done, {time.perf_counter() - begun:.0f} s\n")
    print(f"{len(kept)} boroughs of {wanted.households:,} households, {wanted.weeks} weeks. {machine()}\n")
    print(table(kept))


if __name__ == "__main__":
    main()
