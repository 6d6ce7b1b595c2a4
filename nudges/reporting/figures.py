"""Turns numbers into the words of the page: signs, units, intervals and dates as a reader of accounts expects them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date

from nudges.domain import Outcome
from nudges.measuring import Effect, outcome_name
from nudges.money import Range
from nudges.weeks import Week

MINUS = "\u2212"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Scale:
    """How an outcome is printed: values times `factor`, with `digits` decimals and a unit."""

    factor: float
    digits: int
    unit: str  # of a level and of a difference in a table
    name: str
    long_unit: str  # of a difference in a sentence
    less: str
    more: str
    subject: str  # what there is less or more of, under the big number
    is_rate: bool = False


def scale_of(outcome: Outcome) -> Scale:
    """Kilograms as they are, rates in percentage points."""
    name = outcome_name(outcome)
    if outcome is Outcome.RESIDUAL_KG:
        subject = f"{name} per household per week"
        return Scale(1.0, 2, "kg", name, "kg per household per week", "less", "more", subject)
    return Scale(
        100.0, 2, "points", name, "percentage points", "lower", "higher", name.removeprefix("the "), is_rate=True
    )


def signed(value: float, digits: int) -> str:
    """`+0.31` or the same with a minus sign; a value that rounds to zero has no sign."""
    if math.isnan(value):
        return UNKNOWN
    if math.isinf(value):
        return "no limit"
    text = f"{abs(value):,.{digits}f}"
    if not any(digit in "123456789" for digit in text):
        return text
    return (MINUS if value < 0 else "+") + text


def plain(value: float, digits: int = 0) -> str:
    """A number with thousands separated and, below zero, a minus sign."""
    if math.isnan(value):
        return UNKNOWN
    text = f"{abs(value):,.{digits}f}"
    return MINUS + text if value < 0 and any(digit in "123456789" for digit in text) else text


def direction(value: float, scale: Scale) -> str:
    """`0.31 kg less`, `0.05 kg more`."""
    word = scale.less if value < 0 else scale.more
    return f"{abs(value) * scale.factor:.{scale.digits}f} {scale.unit} {word}"


def interval_words(low: float, high: float, scale: Scale) -> str:
    """`0.17 to 0.43 kg less`, or `0.11 kg less to 0.05 kg more` across zero."""
    if low < 0 < high:
        return f"{direction(low, scale)} to {direction(high, scale)}"
    near, far = sorted((abs(low), abs(high)))
    word = scale.less if high <= 0 else scale.more
    digits = scale.digits
    return f"{near * scale.factor:.{digits}f} to {far * scale.factor:.{digits}f} {scale.unit} {word}"


def effect_cell(effect: Effect, scale: Scale) -> str:
    """The estimate with its sign, in the outcome's printed unit."""
    return signed(effect.estimate * scale.factor, scale.digits)


def interval_cell(effect: Effect, scale: Scale) -> str:
    """Both ends with their signs, in the outcome's printed unit."""
    return ends_cell(effect.ci_low, effect.ci_high, scale)


def ends_cell(low: float, high: float, scale: Scale) -> str:
    """The same from the ends themselves."""
    return f"{signed(low * scale.factor, scale.digits)} to {signed(high * scale.factor, scale.digits)}"


def share_cell(value: float, low: float, high: float) -> str:
    """Shares of the control mean with their signs: value and ends, in percent."""
    ends = " to ".join(signed(end * 100, 1) for end in (low, high))
    return f"{signed(value * 100, 1)} % ({ends} %)"


def range_cells(value: Range, digits: int = 0, *, prefix: str = "", per: float = 1.0) -> tuple[str, str]:
    """Value, and `low to high`, each divided by `per`."""

    def one(number: float) -> str:
        text = plain(number / per, digits)
        return MINUS + prefix + text[1:] if text.startswith(MINUS) else prefix + text

    return one(value.value), f"{one(value.low)} to {one(value.high)}"


def pounds_cells(value: Range) -> tuple[str, str]:
    """Pence as whole pounds."""
    return range_cells(value, 0, prefix="£", per=100)


def percent(share: float, digits: int = 1) -> str:
    """0.039 as `3.9 %`."""
    return UNKNOWN if math.isnan(share) else f"{plain(share * 100, digits)} %"


def p_words(p_value: float) -> str:
    """A p-value without false precision."""
    return "below 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def day(on: date) -> str:
    """`9 March 2026`."""
    return f"{on.day} {on:%B %Y}"


def weeks_words(first: Week, last: Week) -> str:
    """`2026-W11 to 2026-W22 (9 March 2026 to 31 May 2026)`."""
    return f"{first} to {last} ({day(first.monday)} to {day(last.sunday)})"
