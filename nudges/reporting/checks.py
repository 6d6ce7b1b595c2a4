"""Turns the checks that can void a headline into tables: what passed, what failed, and by how much."""

from __future__ import annotations

from collections.abc import Iterable

from nudges.domain import Unit
from nudges.measuring import Headline, SampleRatio
from nudges.reporting.disclosure import (
    HIDDEN,
    disclosed_share,
    disclosed_units,
    is_publishable,
    shown_share,
    units,
)
from nudges.reporting.figures import Scale, effect_cell, interval_cell, p_words, percent, plain, signed
from nudges.reporting.grid import Grid, Row

_GROUPS = {"treated": "In the campaign", "control": "Control", "holdout": "Holdout"}


def _mark(*, failed: bool) -> str:
    return "failed" if failed else "passed"


def ratios(head: Headline) -> Grid:
    """Sample ratio at each step."""
    groups = {name: title for name, title in _GROUPS.items() if any(name in ratio.observed for ratio in head.ratios)}
    rows = tuple(
        Row(
            ratio.step.capitalize(),
            (*_ratio_cells(ratio, head.unit, groups), _mark(failed=ratio.is_alarm)),
            "bad" if ratio.is_alarm else "",
        )
        for ratio in head.ratios
    )
    return Grid(("Step", *groups.values(), "p", "Check"), rows, "counted / expected; fails below p = 0.001")


def hides(ratio: SampleRatio, unit: Unit) -> bool:
    """Whether a group is too small: then its row, which the others and the total give away, has no number."""
    return any(disclosed_units(count, unit) is None for count in ratio.observed.values())


def _ratio_cells(ratio: SampleRatio, unit: Unit, groups: Iterable[str]) -> tuple[str, ...]:
    if hides(ratio, unit):
        return (*(HIDDEN if name in ratio.observed else "" for name in groups), HIDDEN)
    return (
        *(
            f"{units(ratio.observed[name], unit)} / {units(ratio.expected[name], unit)}"
            if name in ratio.observed
            else ""
            for name in groups
        ),
        p_words(ratio.p_value),
    )


def losses(head: Headline) -> Grid:
    """Unread collections, units without an outcome, and control households written to, by arm."""
    gap = head.outage
    rows = [
        Row(
            f"Planned collections without a {'weight' if head.unit is Unit.ROUND else 'usable reading'}",
            (
                percent(gap.treated_share, 2),
                percent(gap.control_share, 2),
                f"{signed(gap.gap_share * 100, 2)} points",
                p_words(gap.p_value),
                _mark(failed=gap.is_alarm),
            ),
            "bad" if gap.is_alarm else "",
        )
    ]
    if head.attrition:
        rows.append(_attrition(head))
    if head.reached:
        written = shown_share(head.reached.control_share, _in_control(head), 2)
        failed = head.reached.is_alarm
        rows.append(
            Row("Control households written to", ("", written, "", "", _mark(failed=failed)), "bad" if failed else "")
        )
    note = (
        "missed or unread is missing, never zero; fails beyond 0.5 points when chance does not explain it; whoever was "
        "not weighed or opted out stays in the group drawn"
    )
    return Grid(("", "In the campaign", "Control", "Gap", "p", "Check"), tuple(rows), note)


def _in_control(head: Headline) -> int:
    return sum(row.assigned for row in head.flows if row.arm == "control")


def _attrition(head: Headline) -> Row:
    lost = head.attrition
    assert lost is not None  # noqa: S101 - callers ask first
    label = f"{'Rounds' if head.unit is Unit.ROUND else 'Units'} compared without any outcome"
    if head.unit is Unit.ROUND:
        shares = (percent(lost.treated_share), percent(lost.control_share))
        gap, p = f"{signed(lost.gap_share * 100, 1)} points", p_words(lost.p_value)
        return Row(label, (*shares, gap, p, "watched"))
    pairs = ((lost.treated_share, _compared(head, "treated")), (lost.control_share, _compared(head, "control")))
    known = all(disclosed_share(share, count) is not None for share, count in pairs)
    gap = f"{signed(lost.gap_share * 100, 1)} points" if known else ""
    return Row(
        label,
        (
            *(shown_share(share, count) for share, count in pairs),
            gap,
            p_words(lost.p_value) if known else "",
            "watched",
        ),
    )


def _compared(head: Headline, group: str) -> int:
    """Units that should have been compared."""
    step = next((ratio for ratio in head.ratios if ratio.step == "contactable"), head.ratios[-1])
    return step.observed[group]


def balance(head: Headline, scale: Scale, *, is_valid: bool) -> Grid:
    """The pre-period of the two groups, and an effect where there can be none."""
    both, test = head.balance, head.placebo
    analysed = [
        (both.treated_missing_share, head.households_treated),
        (both.control_missing_share, head.households_control),
    ]
    if head.unit is Unit.ROUND:
        missing = tuple(percent(share) for share, _ in analysed)
    else:
        missing = tuple(shown_share(share, count) for share, count in analysed)
    rows = [
        Row(
            f"Mean {scale.name.removeprefix('the ')}, 26 weeks before",
            (
                plain(both.treated_mean * scale.factor, scale.digits),
                plain(both.control_mean * scale.factor, scale.digits),
                f"standardised difference {signed(both.standardised, 3)}" + (" (notable)" if both.is_notable else ""),
            ),
        ),
        Row("Without any reading before", (*missing, "kept, and marked as unknown")),
    ]
    if test and is_valid and is_publishable(test, head.unit):
        words = f"{effect_cell(test, scale)} {scale.unit} ({interval_cell(test, scale)}), p = {p_words(test.p_value)}"
        rows.append(Row("Placebo: 'effect' in the 13 weeks before the start", ("", "", words)))
    return Grid(("", "In the campaign", "Control", "Difference"), tuple(rows), "should differ by chance only")
