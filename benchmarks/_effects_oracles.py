"""The same estimates by statsmodels and pyfixest: how far apart, and at what cost in time and memory."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks._effects_data import EFFECT_SHARE, Floats, levels, weekly
from benchmarks._effects_tally import lines, verdict
from nudges.measuring import (
    Effect,
    delivered_effect,
    panel_ancova,
    panel_ancova_long,
    robustness_rows,
    round_effect,
    unit_ancova,
)

HOUSEHOLDS, WEEKS, UNREAD = 200_000, 26, 0.05
Pair = tuple[float, float]


def agreement(scale: float) -> str:
    """Largest difference in estimate and standard error over seeded data sets, kg."""
    seeds = range(max(2, round(20 * scale)))
    apart: dict[str, list[float]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peers' own
        for seed in seeds:
            for name, ours, theirs in _comparisons(seed):
                gaps = apart.setdefault(name, [0.0, 0.0])
                for place, (one, other) in enumerate(zip(ours, theirs, strict=False)):
                    gaps[place] = max(gaps[place], abs(one - other))
    rows = [
        f"| {name} | {gaps[0]:.1e} | {gaps[1]:.1e} |".replace("| 0.0e+00 |", "| - |") for name, gaps in apart.items()
    ]
    worst = max(max(gaps) for gaps in apart.values())
    return lines(
        f"Agreement, {len(seeds)} data sets of 400 households x 8 weeks, 5 % not read, weights 1 to 8 where given",
        ["| estimate | largest difference, estimate | largest difference, SE |", "|---|---:|---:|", *rows],
        "Of the instrument only the estimate: pyfixest has no HC2 there. Its SE is tested against dense matrices.",
        verdict("agreement", f"{worst:.1e}", "<= 1e-9", is_met=worst <= 1e-9),
    )


def _of(effect: Effect) -> Pair:
    return effect.estimate, effect.se


def _comparisons(seed: int) -> list[tuple[str, Pair, tuple[float, ...]]]:
    import pandas as pd
    import pyfixest as pf
    import statsmodels.api as sm

    rng, n = np.random.default_rng(500 + seed), 400
    home, z = levels(rng, (n,)), (np.arange(n) % 3 == 0).astype(np.float64)
    kg = weekly(rng, home, 16)
    kg[rng.random(kg.shape) < UNREAD] = np.nan
    pre, by_week = np.nanmean(kg[:, :8], axis=1), kg[:, 8:] * (1 + EFFECT_SHARE * z)[:, None]
    post, w = np.nanmean(by_week, axis=1), rng.integers(1, 9, n).astype(np.float64)
    d = z * (rng.random(n) < 0.5)
    frame = pd.DataFrame({"post": post, "pre": pre, "z": z, "d": d, "w": w})
    unit, week = np.nonzero(np.isfinite(by_week))
    long = pd.DataFrame({"unit": unit, "week": week, "y": by_week[unit, week], "x": pre[unit], "z": z[unit]})
    long["w"] = w[unit]
    plain = pf.ssc(k_adj=False, G_adj=False)
    one, x = np.ones(n), pre - pre.mean()

    def fixest(formula: str, data: object, vcov: object, column: str, **more: object) -> Pair:
        fit = pf.feols(formula, data, vcov=vcov, **more)
        return float(fit.coef()[column]), float(fit.se()[column])

    def models(y: Floats, columns: list[Floats], weights: Floats | None = None) -> Pair:
        fit = sm.WLS(y, np.column_stack(columns), weights=one if weights is None else weights).fit(cov_type="HC2")
        return float(fit.params[1]), float(fit.bse[1])

    weeks = [(long["week"] == week).to_numpy(float) for week in range(8)]
    by_unit = sm.OLS(long["y"].to_numpy(), np.column_stack([long["z"], long["x"], *weeks])).fit(
        cov_type="cluster", cov_kwds={"groups": unit}
    )
    rows = {name: _of(effect) for name, effect in robustness_rows(post, pre, z)}
    theta = models(post, [one, x])[0]
    crv1 = {"CRV1": "unit"}
    few, half = rng.permutation(n)[:16], np.arange(16) % 2.0
    return [
        ("unit_ancova, statsmodels HC2", _of(unit_ancova(post, pre, z, weights=w)), models(post, [one, z, x], w)),
        ("unit_ancova, pyfixest HC2", _of(unit_ancova(post, pre, z)),
         fixest("post ~ z + pre", frame, "HC2", "z", ssc=plain)),
        ("round_effect (16 rows), statsmodels HC2", _of(round_effect(post[few], pre[few], half, w[few])),
         models(post[few], [one[:16], half, x[few]], w[few])),
        ("panel_ancova, pyfixest CRV1", _of(panel_ancova(by_week, pre, z)),
         fixest("y ~ z + x | week", long, crv1, "z")),
        ("panel_ancova, weights, pyfixest CRV1", _of(panel_ancova(by_week, pre, z, weights=w)),
         fixest("y ~ z + x | week", long, crv1, "z", weights="w")),
        ("panel_ancova_long, statsmodels by unit",
         _of(panel_ancova_long(unit, week, long["y"], long["x"], long["z"])),
         (float(by_unit.params[0]), float(by_unit.bse[0]))),
        ("difference in means, statsmodels HC2", rows["Difference in means"], models(post, [one, z])),
        ("CUPED, statsmodels HC2", rows["CUPED"], models(post - theta * x, [one, z])),
        ("Lin, statsmodels HC2", rows["Lin"], models(post, [one, z, x, z * x])),
        ("difference in differences, statsmodels HC2", rows["Difference in differences"], models(post - pre, [one, z])),
        ("delivered_effect, pyfixest IV (estimate)", _of(delivered_effect(post, pre, z, d)),
         fixest("post ~ pre | d ~ z", frame, "HC1", "d")[:1]),
    ]  # fmt: skip


def speed(scale: float) -> str:
    """200,000 households x 26 weeks after assignment, 5 % not read; the peers on the same rows in the same run."""
    import pandas as pd
    import pyfixest as pf

    n, repeats = round(HOUSEHOLDS * min(scale, 1.0)), 5
    rng = np.random.default_rng(600)
    home, z = levels(rng, (n,)), (np.arange(n) % 2).astype(np.float64)
    pre = weekly(rng, home, 26).mean(axis=1)
    by_week = weekly(rng, home, WEEKS) * (1 + EFFECT_SHARE * z)[:, None]
    by_week[rng.random(by_week.shape) < UNREAD] = np.nan
    unit, week = np.nonzero(np.isfinite(by_week))
    y, x, treated = by_week[unit, week], pre[unit], z[unit]
    frame = pd.DataFrame({"unit": unit, "week": week, "y": y, "x": x, "z": treated})
    order = np.argsort(week, kind="stable")
    swapped = [values[order] for values in (unit, week, y, x, treated)]

    def fixest(**more: object) -> Pair:
        fit = pf.feols("y ~ z + x | week", frame, vcov={"CRV1": "unit"}, **more)
        return float(fit.coef()["z"]), float(fit.se()["z"])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pf.feols("y ~ z + x | week", frame.iloc[:5_000], vcov={"CRV1": "unit"})  # its first fit compiles
        found = {
            "panel_ancova, arrays": _measured(lambda: _of(panel_ancova(by_week, pre, z)), repeats),
            "panel_ancova_long, rows by household": _measured(
                lambda: _of(panel_ancova_long(unit, week, y, x, treated)), repeats
            ),
            "panel_ancova_long, rows by week": _measured(lambda: _of(panel_ancova_long(*swapped)), repeats),
            "unit_ancova on the means of the arrays": _measured(
                lambda: _of(unit_ancova(np.nanmean(by_week, axis=1), pre, z)), repeats
            ),
            "pyfixest, as it comes": _measured(fixest, 3),
            "pyfixest, lean": _measured(lambda: fixest(lean=True, store_data=False, copy_data=False), 3),
        }
    fastest = min(cost[0] for name, cost in found.items() if name.startswith("pyfixest"))
    ratio = {name: fastest / cost[0] for name, cost in found.items()}
    rows = [
        f"| {name} | {cpu:.3f} | {wall:.3f} | {extra:.0f} | {ratio[name]:.0f} x | {estimate:.10f} | {se:.10f} |"
        for name, (cpu, wall, extra, (estimate, se)) in found.items()
    ]
    slow_long = min(value for name, value in ratio.items() if name.startswith("panel_ancova_long"))
    most = max(cost[2] for name, cost in found.items() if name.startswith("panel"))
    return lines(
        f"Speed, {n:,} households x {WEEKS} weeks, {len(y):,} rows, median of {repeats} (pyfixest 3)",
        [
            "| method | CPU s | wall s | extra MB | times faster than the faster pyfixest, CPU | estimate | SE |",
            "|---|---:|---:|---:|---:|---:|---:|",
            *rows,
        ],
        [
            verdict("arrays", f"{ratio['panel_ancova, arrays']:.0f} x", ">= 30 x",
                    is_met=ratio["panel_ancova, arrays"] >= 30),
            verdict("long table, slower order", f"{slow_long:.0f} x", ">= 15 x", is_met=slow_long >= 15),
            verdict("extra memory, most", f"{most:.0f} MB", "<= 100 MB", is_met=most <= 100),
        ],
    )  # fmt: skip


def _measured(run: Callable[[], Pair], repeats: int) -> tuple[float, float, float, Pair]:
    """Median CPU seconds of the process and wall seconds, most extra memory in MB, and what it returned."""
    cpu, wall, extra = [], [], []
    for _ in range(repeats):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
        before, start, clock = _status("VmRSS"), time.process_time(), time.perf_counter()
        result = run()
        cpu.append(time.process_time() - start)
        wall.append(time.perf_counter() - clock)
        extra.append(_status("VmHWM") - before)
    return statistics.median(cpu), statistics.median(wall), max(extra), result


def _status(name: str) -> float:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.split(f"{name}:")[1].split()[0]) / 1_000
