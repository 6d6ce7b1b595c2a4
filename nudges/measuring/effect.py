"""Turns an estimate, its standard error and degrees of freedom into an effect with interval and p-value."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

POWER = 0.8


@dataclass(frozen=True, slots=True)
class Effect:
    """Mean difference treated minus control, in units of the outcome (negative = treated lower).

    `df` is of the t reference; `n_treated` and `n_control` count units, not households.
    """

    estimate: float
    se: float
    ci_low: float
    ci_high: float
    p_value: float
    df: float
    n_treated: int
    n_control: int

    @classmethod
    def of(cls, estimate: float, se: float, df: float, *, n_treated: int, n_control: int, alpha: float) -> Effect:
        """Build the two-sided (1 - alpha) t interval and p-value of no effect."""
        reach = float(stdtrit(df, 1 - alpha / 2)) * se
        exact = 1.0 if estimate == 0 else 0.0
        p_value = 2 * float(stdtr(df, -abs(estimate) / se)) if se > 0 else exact
        return cls(estimate, se, estimate - reach, estimate + reach, p_value, df, n_treated, n_control)

    @property
    def detectable(self) -> float:
        """Smallest true effect this measurement had an 80 % chance to tell from none at 5 %, always positive."""
        return float(stdtrit(self.df, 0.975) + stdtrit(self.df, POWER)) * self.se
