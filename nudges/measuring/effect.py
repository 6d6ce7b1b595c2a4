"""Turns an estimate, its standard error and degrees of freedom into an effect with interval and p-value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from scipy.special import stdtr, stdtrit

POWER = 0.8


class Method(StrEnum):
    """How an effect was estimated, and what its standard error and degrees of freedom are."""

    ANCOVA_HC2 = "ANCOVA on the pre-period, HC2, t(n - k)"
    ANCOVA_CR2 = "ANCOVA on the pre-period, CR2 by cluster, Bell-McCaffrey degrees of freedom"


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

    @classmethod
    def restored(cls, raw: Mapping[str, Any]) -> Self:
        """Rebuild from the JSON of `dataclasses.asdict`; of versions before 0.3.0 too, which told no method."""
        known = dict(raw)
        for group in ("treated", "control"):
            if f"n_{group}" in known:
                known[f"n_units_{group}"] = known.pop(f"n_{group}")
        return cls(**known | {"method": Method(known.get("method", Method.ANCOVA_HC2))})

    @property
    def detectable(self) -> float:
        """Smallest true effect this measurement had an 80 % chance to tell from none at 5 %, always positive."""
        return float(stdtrit(self.df, 0.975) + stdtrit(self.df, POWER)) * self.se
