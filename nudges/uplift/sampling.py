"""What every arm is worth so far → how often each is tried next: top-two sampling without a single draw.

Top-two sampling (Russo 2020, https://doi.org/10.1287/opre.2019.1911) tries a leader, and now and then another arm
instead: the best of the rest. The learn lane, which gives every arm the same share in every turn, explores already, so
here the best lane leans to what looks best: the leader is the arm that two draws by the chance to be best agree on, and
it makes way one time in ten. The chances come from a quadrature, not from draws, so the same evidence always gives the
same mixture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

LEADER_SHARE = 0.9
"""How often the leader itself is tried (Russo's beta). One half finds the best arm soonest where nothing else explores,
and keeps half of the messages on the runners-up for the whole campaign."""

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

    With p the chance to be best, q that to lead and b how often the leader is kept, arm i has b q_i + (1 - b)
    Σ_{j ≠ i} q_j p_i / (1 - p_j): a leader j makes way for the best of the rest.
    """
    leads = agreed(best)
    others = np.array([np.delete(best, arm).sum() for arm in range(len(best))])  # 1 - p without cancellation
    shares = np.empty(len(best))
    for arm in range(len(best)):
        rivals = np.delete(np.divide(leads, others, out=np.zeros_like(best), where=others > 0), arm)
        shares[arm] = LEADER_SHARE * leads[arm] + (1.0 - LEADER_SHARE) * best[arm] * rivals.sum()
    return np.asarray(shares / shares.sum())


def agreed(best: Floats) -> Floats:
    """How often two draws by the chance to be best that name the same arm name each one, (n_arms,): p² / Σ p²."""
    square = best**2
    return np.asarray(square / square.sum())


def tried(mean: Floats, covariance: Floats) -> Floats:
    """How often to try each arm, (n_arms,), the control first.

    No message is given as often as two draws agree that nothing is better, and never as a runner-up: the learn lane
    and the control lane already tell what it brings. The messages share the rest by top-two sampling.
    """
    chance = chance_best(mean, covariance)[0]
    none = agreed(np.array([chance, 1.0 - chance]))[0]
    messages = top_two(chance_best(mean[1:], covariance[1:, 1:])) if len(mean) > 2 else np.ones(1)
    return np.concatenate([[none], (1.0 - none) * messages])


def within_budget(shares: Floats, reach: Floats) -> Floats:
    """A mixture (n_arms,) that the money lasts for: each arm's share times the share of households it reaches.

    The rest gets nothing. Where no message is dearer than what there is for each household, nothing changes.
    """
    paid = shares * reach
    paid[0] = 1.0 - paid[1:].sum()
    return np.asarray(paid)


def posterior(
    worth: Floats, propensity: Floats, turns: NDArray[np.int64], codes: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Mean and covariance of each arm's mean worth under a flat prior, clustered by unit.

    Turns differ by a part common to all arms, and tell most of the arms that they tried most: weighted least squares
    of the turns' means on turn and arm, each mean weighted by its precision, rows over the mean of 1 / propensity. A
    posterior needs no correction for the propensities having followed from earlier outcomes; a test would.

    Args:
        worth: (n, n_arms) pence a row under every arm, doubly robust.
        propensity: (n, n_arms), above 0.
        turns: (n,) turn of each row.
        codes: (n,) unit of each row, 0 upwards.
    """
    n_rows, n_arms = worth.shape
    _, turn = np.unique(turns, return_inverse=True)
    rows = np.bincount(turn).astype(np.float64)
    means = _by(turn, worth) / rows[:, None]
    precision = rows[:, None] ** 2 / _by(turn, 1.0 / propensity)
    # what a turn says of contrasts between arms, its own part projected out
    says = [np.diag(one) - np.outer(one, one) / one.sum() for one in precision]
    inverse = np.linalg.pinv(np.sum(says, axis=0), hermitian=True)
    level = np.full((n_arms, n_arms), 1.0 / n_arms) / n_rows
    pull = np.stack([inverse @ one / count + level for one, count in zip(says, rows, strict=True)])
    mean = np.einsum("tij,tj,t->i", pull, means, rows)
    influence = np.einsum("nij,nj->ni", pull[turn], worth - means[turn])
    sums = _by(codes, influence)
    return np.asarray(mean), np.asarray(sums.T @ sums * (len(sums) / (len(sums) - 1)))


def _by(codes: NDArray[np.intp], values: Floats) -> Floats:
    """Sums of the columns of values (n, k) by code, (codes, k)."""
    return np.column_stack([np.bincount(codes, weights=column) for column in values.T])


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
