"""Turns predicted effects on held-out rows into gains, regrets and errors, the same way for every entry.

Three regimes: `free` (messages cost nothing), `cost` (net of their cost) and `budget` (net of cost, and the money
buys messages for 30 % of the households at the average price). A policy is a matrix of arm probabilities. Its *gain*
is the paired difference of doubly robust scores, with the logged propensities, to the single arm for all (or none)
that is best on the training part; its *regret* is what it truly loses to a policy that knows the effects. Both are in
outcomes per 1,000 rows. The allocator of the budget is the product's for every entry: only predictions differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks._uplift_data import Part, Split
from nudges.choice import allocate
from nudges.scoring import Scale, clustered_mean, group_folds, score_matrix

Floats = NDArray[np.float64]

REGIMES = ("free", "cost", "budget")
BUDGET_SHARE = 0.3
PER = 1_000.0
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """An estimate and its clustered standard error."""

    value: float
    se: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one entry did on one split; outcomes per 1,000 rows.

    Attributes:
        gain: held out, over the best single arm, by regime.
        true_gain: the same with the true effects; NaN where unknown.
        regret: true loss to the oracle, by regime; NaN where unknown.
        pehe: root mean squared error of the effect; NaN where unknown.
        slope: of what is true (or of the held-out scores) on what was predicted, each arm about its own mean; NaN
            where every prediction of an arm is the same.
        level_slope: the same with the arms' means left in.
        spread: mean square of the predictions about their arm's mean: what the slope weighs when seeds are pooled.
    """

    gain: Mapping[str, Figure]
    true_gain: Mapping[str, float]
    regret: Mapping[str, float]
    pehe: float
    slope: Figure
    level_slope: Figure
    spread: float


class Judge:
    """Scores, truth and the best single arm of one split.

    Args:
        split: training and held-out part.
    """

    def __init__(self, split: Split) -> None:
        self.split = split
        self.test = split.test
        self.scores = scores(split.test)
        self.known = split.test.effect.shape[1] > 0

    @cached_property
    def truth(self) -> Floats:
        """(n, n_arms) true effects with the control's zero."""
        return with_none(self.test.effect)

    @cached_property
    def singles(self) -> dict[str, Floats]:
        """The best single policy of the training part, by regime."""
        means = scores(self.split.train).mean(axis=0)
        return {regime: single(means - means[0], self.split, regime) for regime in REGIMES}

    @cached_property
    def oracles(self) -> dict[str, Floats]:
        """The policies of the true effects, by regime."""
        return {regime: targeted(self.test.effect, self.split.cost, regime) for regime in REGIMES}

    def verdict(self, effect: Floats, policies: Mapping[str, str] | None = None) -> Verdict:
        """Judge predicted effects (n, n_arms - 1), or what a gate deploys of them."""
        chosen = {regime: self._deployed(effect, regime, (policies or {}).get(regime, "model")) for regime in REGIMES}
        pehe = rms(effect - self.test.effect) * PER if self.known else np.nan
        against = self.test.effect if self.known else self.scores[:, 1:] - self.scores[:, :1]
        return Verdict(
            gain={regime: self._gain(chosen[regime], regime) for regime in REGIMES},
            true_gain={regime: self._true(chosen[regime], self.singles[regime], regime) for regime in REGIMES},
            regret={regime: self._regret(chosen[regime], regime) for regime in REGIMES},
            pehe=pehe,
            slope=slope(against, effect, self.test.groups, own_level=True),
            level_slope=slope(against, effect, self.test.groups, own_level=False),
            spread=float(effect.var(axis=0).mean()),
        )

    def single_verdict(self) -> Verdict:
        """The yardstick itself: gains of zero, regrets of its own."""
        blank, unknown = Figure(0.0, 0.0), Figure(np.nan, np.nan)
        mean = (scores(self.split.train).mean(axis=0))[None, :]
        error = rms(mean[:, 1:] - mean[:, :1] - self.test.effect) * PER if self.known else np.nan
        regrets = {regime: self._regret(self.singles[regime], regime) for regime in REGIMES}
        zeros = dict.fromkeys(REGIMES, 0.0)
        return Verdict(dict.fromkeys(REGIMES, blank), zeros, regrets, error, unknown, unknown, 0.0)

    def paired(self, effect: Floats, other: Floats, regime: str) -> Figure:
        """Held-out gain of one entry over another on the same rows."""
        first, second = (targeted(predicted, self.split.cost, regime) for predicted in (effect, other))
        return self._difference(first, second, regime)

    def _deployed(self, effect: Floats, regime: str, policy: str) -> Floats:
        if policy == "model":
            return targeted(effect, self.split.cost, regime)
        return announced(policy, self.split.arms, self.split.cost, regime, len(effect))

    def _gain(self, chosen: Floats, regime: str) -> Figure:
        return self._difference(chosen, self.singles[regime], regime)

    def _difference(self, chosen: Floats, instead: Floats, regime: str) -> Figure:
        payoff = self.scores - price(self.split.cost, regime)
        value = clustered_mean(((chosen - instead) * payoff).sum(axis=1), self.test.groups)
        return Figure(value.mean * PER, value.se * PER)

    def _regret(self, chosen: Floats, regime: str) -> float:
        return self._true(self.oracles[regime], chosen, regime) if self.known else np.nan

    def _true(self, chosen: Floats, instead: Floats, regime: str) -> float:
        if not self.known:
            return np.nan
        payoff = self.truth - price(self.split.cost, regime)
        return float(((chosen - instead) * payoff).sum(axis=1).mean()) * PER


def scores(part: Part) -> Floats:
    """The score matrix of a part, cross-fitted within it."""
    folds = group_folds(part.groups, _FOLDS, seed=0)
    standardised = Scale.of(part.X)(part.X)
    return score_matrix(standardised, part.y, treatment_index=part.given, propensity=part.propensity, folds=folds)


def price(cost: Floats, regime: str) -> Floats:
    """What a message counts against its effect, (n_arms,)."""
    return np.zeros_like(cost) if regime == "free" else cost


def budget_each(cost: Floats) -> float:
    """Outcome units a household that the budgeted regime may spend."""
    return BUDGET_SHARE * float(cost[1:].mean())


def targeted(effect: Floats, cost: Floats, regime: str) -> Floats:
    """The policy that believes predicted effects, (n, n_arms) probabilities of 0 and 1."""
    worth = with_none(np.asarray(effect, dtype=np.float64)) - price(cost, regime)
    arm = worth.argmax(axis=1)
    if regime == "budget":
        arm = allocate(PER * worth, PER * cost, budget_pence=PER * budget_each(cost) * len(effect))
    return np.asarray(np.eye(len(cost))[arm])


def single(mean: Floats, split: Split, regime: str) -> Floats:
    """One arm, or none, for all whom the money reaches, (n, n_arms) probabilities."""
    reach = _reach(split.cost, regime)
    best = int((reach * (mean - price(split.cost, regime))).argmax())
    return _mixture(np.eye(len(mean))[best], reach, len(split.test.y))


def announced(policy: str, arms: tuple[str, ...], cost: Floats, regime: str, n_rows: int) -> Floats:
    """A policy in the gate's words: `none`, `uniform` over messages, `arm:<id>` or `mix:<arm>=<p>,...`."""
    kind, _, rest = policy.partition(":")
    shares = np.zeros(len(arms))
    if kind == "uniform":
        shares[1:] = 1.0 / (len(arms) - 1)
    elif kind == "arm":
        shares[arms.index(rest)] = 1.0
    elif kind == "mix":
        for part in rest.split(","):
            arm, _, share = part.partition("=")
            shares[arms.index(arm)] = float(share)
        return np.tile(shares, (n_rows, 1))  # a mixture keeps to the budget by itself
    elif kind == "none":
        shares[0] = 1.0
    else:
        raise ValueError(f"policy == {policy!r}, must be model, none, uniform, arm:<id> or mix:<arm>=<p>,...")
    return _mixture(shares, _reach(cost, regime), n_rows)


def slope(against: Floats, predicted: Floats, groups: NDArray[np.intp], *, own_level: bool) -> Figure:
    """Least squares slope over all rows and messages, with its standard error clustered by unit."""
    centre = (lambda values: values.mean(axis=0)) if own_level else (lambda values: values.mean())
    x = np.asarray(predicted, dtype=np.float64)
    x = x - centre(x)
    spread = float((x**2).sum())
    if spread <= 1e-12 * x.size:
        return Figure(np.nan, np.nan)
    y = against - centre(against)
    value = float((x * y).sum()) / spread
    influence = (x * (y - value * x)).sum(axis=1) * len(x) / spread
    return Figure(value, clustered_mean(influence, groups).se)


def with_none(effect: Floats) -> Floats:
    """Effects with a zero column in front for the control."""
    return np.hstack([np.zeros((len(effect), 1)), effect])


def rms(error: Floats) -> float:
    """Root of the mean square over rows and messages."""
    return float(np.sqrt((error**2).mean()))


def _reach(cost: Floats, regime: str) -> Floats:
    """Share of households each arm reaches, (n_arms,)."""
    if regime != "budget":
        return np.ones_like(cost)
    each = np.full_like(cost, budget_each(cost))
    return np.asarray(np.minimum(np.divide(each, cost, out=np.ones_like(cost), where=cost > 0), 1.0))


def _mixture(shares: Floats, reach: Floats, n_rows: int) -> Floats:
    """Shares of arms, of which the money reaches so many; the rest get none."""
    spent = shares * reach
    spent[0] = 1.0 - spent[1:].sum()
    return np.tile(spent, (n_rows, 1))
