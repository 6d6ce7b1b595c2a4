"""Turns an estimate, its standard error and degrees of freedom into an effect with interval and p-value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from scipy.special import stdtr, stdtrit

POWER = 0.8


class Method(StrEnum):
    """How an effect was estimated, and what its standard error and degrees of freedom are."""

    ANCOVA_HC2 = "ANCOVA on the pre-period, HC2, Bell-McCaffrey degrees of freedom"
    ANCOVA_CR2 = "ANCOVA on the pre-period, CR2 by cluster, Bell-McCaffrey degrees of freedom"
    LORRIES = "slope of round loads on the share of households in the campaign, HC2, Bell-McCaffrey"
    ROUNDS_HC2 = "ANCOVA on the pre-period of rounds weighted by households, HC2, Bell-McCaffrey degrees of freedom"
    PANEL_CR1 = "ANCOVA on the pre-period with week effects, CR1 by unit, t(units - 1)"
    RATIO = "ratio of sums per arm, linearised and adjusted for the pre-period, HC2, Bell-McCaffrey degrees of freedom"
    DELIVERED_IV = (
        "instrumental variable: what was drawn for what was delivered, HC2, Bell-McCaffrey degrees of freedom"
    )
    DIFFERENCE = "difference in means, HC2, Bell-McCaffrey degrees of freedom"
    CUPED = (
        "difference in means of the outcome less what the pre-period predicts, HC2, Bell-McCaffrey degrees of freedom"
    )
    LIN = "regression on the centred pre-period by arm (Lin), HC2, Bell-McCaffrey degrees of freedom"
    DID = "difference in differences of unit means, HC2, Bell-McCaffrey degrees of freedom"
    WINSORISED = "ANCOVA on the pre-period, both winsorised, HC2, Bell-McCaffrey degrees of freedom"
    IMPUTATION = "imputation from untreated rounds and weeks, scores by start week, Satterthwaite degrees of freedom"
    GROUP_TIME = "group-time changes since the week before, scores by start week, Satterthwaite degrees of freedom"
    TWO_WAY = "plain two-way regression, CR1 by round, t(rounds - 1): biased in a staggered roll-out"


@dataclass(frozen=True, slots=True)
class Effect:
    """Mean difference treated minus control, in units of the outcome (negative = treated lower).

    `df` is of the t reference; `n_units_treated` and `n_units_control` count units, not households.
    """

    estimate: float
    se: float
    ci_low: float
    ci_high: float
    p_value: float
    df: float
    n_units_treated: int
    n_units_control: int
    method: Method

    @classmethod
    def of(
        cls, estimate: float, se: float, df: float, *, n_treated: int, n_control: int, method: Method, alpha: float
    ) -> Self:
        """Build the two-sided (1 - alpha) t interval and p-value of no effect."""
        reach = float(stdtrit(df, 1 - alpha / 2)) * se
        exact = 1.0 if estimate == 0 else 0.0
        p_value = 2 * float(stdtr(df, -abs(estimate) / se)) if se > 0 else exact
        return cls(estimate, se, estimate - reach, estimate + reach, p_value, df, n_treated, n_control, method)

    @property
    def detectable(self) -> float:
        """Smallest true effect this measurement had an 80 % chance to tell from none at 5 %, always positive."""
        return float(stdtrit(self.df, 0.975) + stdtrit(self.df, POWER)) * self.se

    def detectable_within(self, low: float, high: float) -> float:
        """The same when judged by a wider interval `low` to `high` around the estimate."""
        return (high - low) / 2 + float(stdtrit(self.df, POWER)) * self.se
