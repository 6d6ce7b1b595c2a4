"""What every arm is worth so far → how often each is tried next: top-two sampling without a single draw.

Top-two Thompson sampling (Russo 2020, https://doi.org/10.1287/opre.2019.1911) draws an arm by its chance to be the
best, and half of the time another one instead: the best of the rest. It learns which arm is best faster than
Thompson sampling, and gives most messages to the arms that may be. Here the chances come from a quadrature, not from
draws, so the same evidence always gives the same mixture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

LEADER_SHARE = 0.5
"""How often the leader itself is tried (Russo's beta)."""

_POINTS = 4_001
_SPREADS = 9.0  # of the tails that the quadrature covers
_DIGITS = 3


def chance_best(mean: Floats, covariance: Floats) -> Floats:
    """Probability of each arm to have the largest worth, (n_arms,), under a normal posterior.

    The covariance is taken as one part common to all arms, which no comparison sees, and a part of each arm's own.
    """
    n_arms = len(mean)
    pairs = n_arms * (n_arms - 1)
    common = float((covariance.sum() - np.trace(covariance)) / pairs) if pairs else 0.0
    own = np.sqrt(np.maximum(np.diag(covariance) - common, 1e-12 * max(float(np.diag(covariance).max()), 1e-300)))
    chances = np.empty(n_arms)
    for arm in range(n_arms):
        z = np.linspace(-_SPREADS, _SPREADS, _POINTS)
        at = mean[arm] + own[arm] * z
        below = np.prod([ndtr((at - mean[other]) / own[other]) for other in range(n_arms) if other != arm], axis=0)
        chances[arm] = float(np.trapezoid(np.exp(-0.5 * z**2) * below, z))
    return np.asarray(chances / chances.sum())


def top_two(best: Floats) -> Floats:
    """How often to try each arm, (n_arms,), from its chance to be best (Russo 2020, section 3.3).

    With p the chance to be best and b how often the leader is kept, arm i has b p_i + (1 - b) Σ_{j ≠ i} p_j p_i /
    (1 - p_j): a leader j makes way for the best of the rest.
    """
    others = np.array([np.delete(best, arm).sum() for arm in range(len(best))])  # 1 - p without cancellation
    shares = np.empty(len(best))
    for arm in range(len(best)):
        rivals = np.delete(np.divide(best, others, out=np.zeros_like(best), where=others > 0), arm)
        shares[arm] = LEADER_SHARE * best[arm] + (1.0 - LEADER_SHARE) * best[arm] * rivals.sum()
    return np.asarray(shares / shares.sum())


def tried(mean: Floats, covariance: Floats) -> Floats:
    """How often to try each arm, (n_arms,), the control first.

    No message is given as often as it may be best (Thompson sampling): the learn lane and the control lane already
    tell what it brings. The messages share the rest by top-two sampling among themselves.
    """
    none = chance_best(mean, covariance)[0]
    messages = top_two(chance_best(mean[1:], covariance[1:, 1:])) if len(mean) > 2 else np.ones(1)
    return np.concatenate([[none], (1.0 - none) * messages])


def posterior(worth: Floats, codes: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Mean and covariance of each arm's mean worth under a flat prior, clustered by unit.

    Args:
        worth: (n, n_arms) pence a row under every arm, doubly robust.
        codes: (n,) unit of each row, 0 upwards.
    """
    mean = worth.mean(axis=0)
    n_units = int(codes.max()) + 1
    sums = np.column_stack([np.bincount(codes, weights=column, minlength=n_units) for column in (worth - mean).T])
    return mean, np.asarray(sums.T @ sums * (n_units / (n_units - 1)) / len(worth) ** 2)


def shares_of(policy: str, arms: Sequence[str]) -> Floats:
    """Share of each arm under a mixture, (n_arms,): `mixture` read back."""
    said = dict(part.split("=") for part in policy.removeprefix("mix:").split(","))
    return np.array([float(said.get(arm, 0.0)) for arm in arms])


def mixture(arms: Sequence[str], shares: Floats) -> str:
    """The policy of a mixture: `mix:<arm>=<share>,...`, shares of three decimals that sum to 1, none of them 0."""
    whole = 10**_DIGITS
    parts = np.floor(shares * whole).astype(int)
    left = np.argsort(-(shares * whole - parts), kind="stable")
    parts[left[: whole - int(parts.sum())]] += 1
    said = [f"{arm}={part / whole:.{_DIGITS}f}" for arm, part in zip(arms, parts.tolist(), strict=True) if part > 0]
    return "mix:" + ",".join(said)
