"""Turns the newest measurement of every campaign into a year's account: what was claimed, and what was not shown.

A campaign counts in a year with the tonnes of its measured weeks in that year, so that one that runs over the new year
is on two pages and no week on both. Campaigns are drawn independently, which is why their variances add.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from nudges.domain import Verdict
from nudges.measuring import Measured
from nudges.money import Range, total
from nudges.reporting.charts import Point, forest
from nudges.reporting.disclosure import TOO_FEW, is_publishable
from nudges.reporting.drawing import Chart
from nudges.reporting.figures import percent, plain, range_cells, share_cell
from nudges.reporting.grid import Grid, Row
from nudges.weeks import Week

VERDICTS = {
    Verdict.SHOWN: "Effect shown",
    Verdict.NOT_SHOWN: "No effect shown",
    Verdict.INCONCLUSIVE: "Inconclusive",
    Verdict.HARM: "Harm",
    Verdict.INVALID: "INVALID",
}


@dataclass(frozen=True, slots=True)
class YearEntry:
    """One campaign in one year.

    Attributes:
        href: its page, relative to the folder of all reports.
        planned_share: smallest change it was worked out to see, as a share; None when that was not stored.
        seen_share: smallest change it could see in the end, as a share of the control.
        share: effect with its interval for all looks, as a share of the control mean; None when there is none to show.
        tonnes: residual avoided in the year; None when there is no effect to show, or nothing was weighed.
        landfill_tonnes: those of them that would have been landfilled.
        net_pence: worth of the tonnes, less the extra recycling; at the campaign's mean price.
        cost_pence: of its messages, by the share of its measured weeks that lie in the year.
    """

    href: str
    campaign: str
    title: str
    weeks: str
    is_final: bool
    verdict: Verdict
    planned_share: float | None
    seen_share: float | None
    share: Range | None
    tonnes: Range | None
    landfill_tonnes: Range | None
    net_pence: Range | None
    cost_pence: float

    @classmethod
    def of(cls, title: str, measured: Measured, year: int, *, is_final: bool) -> YearEntry | None:
        """The campaign's row in a year; None when no week of it was measured in it."""
        head, money = measured.headline, measured.money
        inside = [week for week in _weeks(measured) if _year(week) == year]
        if not inside:
            return None
        part = _part(measured, year)
        mean = head.control_mean
        shows = head.verdict is not Verdict.INVALID and is_publishable(head.effect, head.unit)
        low, high = head.interval
        return cls(
            href=f"{measured.campaign}/{Week(measured.week_no)}.html",
            campaign=measured.campaign,
            title=title,
            weeks=f"{Week(inside[0])} to {Week(inside[-1])}",
            is_final=is_final,
            verdict=head.verdict,
            planned_share=head.registration.detectable_share if head.registration else None,
            seen_share=head.detectable / mean if shows and mean > 0 else None,
            share=Range(head.effect.estimate / mean, low / mean, high / mean) if shows and mean > 0 else None,
            tonnes=money.residual_tonnes.times(part) if money and shows else None,
            landfill_tonnes=money.landfill_tonnes.times(part) if money and shows else None,
            net_pence=money.net_pence.times(part) if money and shows else None,
            cost_pence=head.cost_pence * part,
        )


def years(measured: Measured) -> tuple[int, ...]:
    """Years in which a campaign's headline was measured, oldest first."""
    return tuple(sorted({_year(week) for week in _weeks(measured)}))


def _weeks(measured: Measured) -> list[int]:
    return list(range(measured.headline.first_week_no, measured.headline.last_week_no + 1))


def _year(week_no: int) -> int:
    """The year a week belongs to, as its name says: 2026-W53 is 2026."""
    return Week(week_no).monday.isocalendar().year


def _part(measured: Measured, year: int) -> float:
    """Share of the measured household-weeks, or of the weeks where none were counted, that lie in the year."""
    counts = dict(measured.headline.treated_household_weeks) or dict.fromkeys(_weeks(measured), 1)
    return sum(count for week, count in counts.items() if _year(week) == year) / sum(counts.values())


def claimed(entries: Sequence[YearEntry]) -> list[YearEntry]:
    """Campaigns whose tonnes may be claimed."""
    return [entry for entry in entries if entry.verdict is Verdict.SHOWN and entry.tonnes]


def harmed(entries: Sequence[YearEntry]) -> list[YearEntry]:
    """Campaigns that added waste."""
    return [entry for entry in entries if entry.verdict is Verdict.HARM and entry.tonnes]


def listing(
    entries: Sequence[YearEntry], *, folder: str = "", with_effect: bool = True, with_tonnes: bool = True
) -> Grid:
    """Every campaign, planned against found; `folder` leads from the page to that of all reports."""
    rows = []
    for entry in entries:
        cells = [
            VERDICTS[entry.verdict] + ("" if entry.is_final else ", interim"),
            percent(entry.planned_share) if entry.planned_share is not None else "not stored",
            percent(entry.seen_share) if entry.seen_share is not None else "",
            *([_found(entry)] * with_effect),
        ]
        mark = "bad" if entry.verdict in {Verdict.HARM, Verdict.INVALID} else ""
        link = Markup('<a href="{}">{}</a>').format(folder + entry.href, entry.title)
        rows.append(Row(link, (*cells, *([_tonnes(entry)] * with_tonnes)), mark))
    head = ("Campaign", "Verdict", "Planned to see", "Could see")
    return Grid(
        (*head, *(["Found (95 % interval)"] * with_effect), *(["Tonnes avoided"] * with_tonnes)),
        tuple(rows),
        "change in the campaign's own outcome, as a share of the control; minus is less",
    )


def drawn(entries: Sequence[YearEntry]) -> Markup:
    """Every campaign's effect as a forest, nulls and failures among them."""
    points = [
        Point(entry.title, 100 * entry.share.value, 100 * entry.share.low, 100 * entry.share.high)
        if entry.share
        else Point(entry.title, None, note="INVALID" if entry.verdict is Verdict.INVALID else TOO_FEW)
        for entry in entries
    ]
    spoken = "; ".join(f"{entry.title}: {VERDICTS[entry.verdict]}, {_found(entry)}" for entry in entries)
    chart = Chart("year", "Effect of every campaign", f"{spoken}.", "Change in the campaign's outcome, %", 1)
    return forest(points, chart)


def _found(entry: YearEntry) -> str:
    return share_cell(entry.share.value, entry.share.low, entry.share.high) if entry.share else "none reported"


def _tonnes(entry: YearEntry) -> str:
    if entry.tonnes is None:
        return "none reported" if entry.share is None else "not weighed"
    value, ends = range_cells(entry.tonnes, 1)
    return f"{value} ({ends})" if entry.verdict in {Verdict.SHOWN, Verdict.HARM} else "none claimed"


def sums(entries: Sequence[YearEntry]) -> Grid:
    """Totals of the year with intervals."""
    shown, harm = claimed(entries), harmed(entries)
    weighed = [entry for entry in entries if entry.tonnes]
    tonnes = "residual avoided, tonnes"
    rows = [
        _sum_row(f"Claimed: {tonnes} ({_campaigns(shown)} with an effect shown)", shown, "tonnes", 1, "total"),
        _sum_row("of which would have been landfilled, tonnes", shown, "landfill_tonnes", 1),
        _sum_row("Worth of the claimed tonnes, net of extra recycling", shown, "net_pence", 0),
    ]
    if harm:
        rows.append(_sum_row(f"Campaigns that did harm ({len(harm)}): {tonnes}", harm, "tonnes", 1, "bad"))
    spent = sum(entry.cost_pence for entry in entries)
    cost = f"£{plain(spent / 100)}"
    everyone = f"Messages of {_campaigns(entries)}, nulls and INVALID included"
    all_of_them = f"Not claimed, for comparison: {tonnes}, of all weighed campaigns ({len(weighed)}), shown or not"
    rows.append(Row(everyone, (cost, "as billed")))
    if shown or harm:
        left = total([entry.net_pence for entry in (*shown, *harm) if entry.net_pence]).less(spent)
        words = f"Worth of the claimed tonnes{', less the harm' if harm else ''}, less all messages"
        rows.append(Row(words, range_cells(left, 0, prefix="£", per=100.0), "total"))
    rows.append(_sum_row(all_of_them, weighed, "tonnes", 1))
    return Grid(("", "Sum", "95 % interval"), tuple(rows), "minus = worse")


def _sum_row(label: str, entries: Sequence[YearEntry], name: str, digits: int, mark: str = "") -> Row:
    parts = [getattr(entry, name) for entry in entries]
    if not parts:
        return Row(label, ("none", ""), mark)
    per, prefix = (100.0, "£") if name == "net_pence" else (1.0, "")
    return Row(label, range_cells(total(parts), digits, prefix=prefix, per=per), mark)


def _campaigns(entries: Sequence[YearEntry]) -> str:
    return f"{len(entries)} campaign{'' if len(entries) == 1 else 's'}"


_PICKED = (
    "Only campaigns with an effect shown are claimed. Picking the ones that look good makes their sum look a little "
    "too good; the last row adds up all of them, without picking."
)
_COUNTED = (
    "Each campaign counts only the weeks measured in this year, and only homes drawn into it. A home in two campaigns "
    "at once counts in both, each time with what that campaign added on top of the other: the sum is right where "
    "effects add up. No week of a campaign is counted in two years."
)
_ADDED = (
    "Every campaign was drawn by its own lot, so estimates do not lean on each other and variances add: distances from "
    "each estimate to the end of its interval are squared and summed."
)
_PRICED = "Pounds are at each campaign's mean price over its measured weeks; prices, sources and taxes are on its page."
NOTES = (_PICKED, _COUNTED, _ADDED, _PRICED)


def entry_json(entry: YearEntry, *, with_effect: bool = True) -> dict[str, Any]:
    """One campaign as JSON."""
    return {
        "campaign": entry.campaign,
        "title": entry.title,
        "page": entry.href,
        "weeks": entry.weeks,
        "is_final": entry.is_final,
        "verdict": entry.verdict.value,
        "planned_detectable_share": entry.planned_share,
        "detectable_share": entry.seen_share,
        "share": _ends(entry.share) if with_effect else None,
        "residual_tonnes": _ends(entry.tonnes) if with_effect else None,
        "is_claimed": entry in claimed([entry]),
    }


def claimed_tonnes(entries: Sequence[YearEntry]) -> dict[str, float] | None:
    """Sum of the claimed tonnes with its interval; None when nothing is claimed."""
    parts = [entry.tonnes for entry in claimed(entries) if entry.tonnes]
    return _ends(total(parts)) if parts else None


def _ends(value: Range | None) -> dict[str, float] | None:
    return None if value is None else {"value": value.value, "low": value.low, "high": value.high}
