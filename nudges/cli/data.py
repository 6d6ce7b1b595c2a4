"""Verbs about facts: ingest, segments and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from nudges.cli.console import complain, say, show, table
from nudges.cli.context import Json, LookWeek, day_of, now, week_to_look_at, workspace
from nudges.errors import DataError
from nudges.steps.ingest import DropResult
from nudges.weeks import Week

_NEARLY_ALL = 0.8  # share of households above which a segment overlaps with everything
_MOST_OVERLAPS = 5
_IDS = ("household_id", "unit_id", "week_no")


def ingest(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders. Default: everything in var/inbox.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Day the registers were true, like 2026-11-23. Default: today.")
    ] = None,
    json_wanted: Json = False,
) -> None:
    """Load drops: households, contacts, calendar, lifts, tags or loads. A bad row never stops a good one."""
    from nudges.steps.ingest import load_drops

    ws, moment = workspace(), now()
    week = Week.containing(moment.date())
    drops = load_drops(ws, week, now=moment, paths=paths, as_of=day_of(as_of))
    if not show(drops, json_wanted=json_wanted):
        _print_drops(drops)
    if any(drop.problem for drop in drops):
        raise typer.Exit(DataError.exit_code)


def _print_drops(drops: Sequence[DropResult]) -> None:
    read = [drop for drop in drops if not drop.problem]
    loaded = [drop for drop in read if not drop.is_repeat]
    if not drops:
        say("Nothing to load: var/inbox is empty.")
    if loaded:
        table(
            ("file", "table", "rows", "accepted", "replaced", "unchanged", "quarantined"),
            [(d.file, d.table, d.rows, d.accepted, d.replaced, d.unchanged, d.quarantined) for d in loaded],
            right=(2, 3, 4, 5, 6),
        )
    for drop in loaded:
        for reason, count in drop.reasons.items():
            say(f"    {drop.file}: {count:,} rows in quarantine: {reason}")
        if drop.ignored:
            say(f"    {drop.file}: columns that nothing reads: {', '.join(drop.ignored)}")
    if len(read) > len(loaded):
        again = len(read) - len(loaded)
        say(f"{again:,} file{'' if again == 1 else 's'} seen before: nothing changed.")
    for drop in drops:
        if drop.problem:
            complain(f"✗ {drop.problem}")


def segments(week: LookWeek = None, json_wanted: Json = False) -> None:
    """List every segment: how many households, what share, what changed since last week, which overlap."""
    from nudges.steps.features import features
    from nudges.steps.segments import count_segments

    ws, moment = workspace(), now()
    chosen = week_to_look_at(ws, week)
    features(ws, chosen, now=moment)
    counts = count_segments(ws, chosen, now=moment)
    if show(counts, json_wanted=json_wanted):
        return
    table(
        ("segment", "title", "households", "share", "change", "expected", ""),
        [
            (
                c.id,
                c.title,
                c.count,
                f"{c.share:.1%}",
                None if c.change_since_last_week is None else f"{c.change_since_last_week:+,}",
                f"{c.expected[0]:.0%} to {c.expected[1]:.0%}",
                "outside what was expected" if c.is_outside else "",
            )
            for c in counts
        ],
        title=f"Segments at the end of {chosen}",
        right=(2, 3, 4),
    )
    say()
    _print_overlaps(counts)


def _print_overlaps(counts: Sequence[Any]) -> None:
    """The largest overlaps, those with segments of nearly everybody left out; `--json` has them all."""
    listed = [c for c in counts if c.share < _NEARLY_ALL]
    rows = []
    for segment in listed:
        others = sorted(((segment.overlap[c.id], c.id) for c in listed if c.id != segment.id), reverse=True)
        rows.append((segment.id, ", ".join(f"{name} {n:,}" for n, name in others[:_MOST_OVERLAPS] if n) or "none"))
    table(("segment", "households also in"), rows, title="Overlap")


def why(
    household: Annotated[str, typer.Argument(help="Household id, as in the register.")],
    week: LookWeek = None,
    json_wanted: Json = False,
) -> None:
    """Print one household's whole trail: features, segments, draws, reasons, messages, events, outcomes."""
    from nudges.steps.why import why as trail_of

    ws = workspace()
    trail = trail_of(ws, household, week_to_look_at(ws, week))
    if show(trail, json_wanted=json_wanted):
        return
    drawn = "in the holdout: no campaign touches it" if trail.is_holdout else "not in the holdout"
    say(f"Household {trail.household_id}, unit {trail.unit_id}, as known at the end of {trail.week}")
    say(f"Holdout draw {trail.holdout_draw:.6f}: {drawn}")
    say(f"Segments: {', '.join(trail.segments) or 'none'}")
    table(
        ("feature", "value"),
        [(k, v) for k, v in trail.features.items() if v is not None and k not in _IDS],
        title="\nFeatures",
    )
    _print_rows("Decisions", _spans(trail.reasons, "reason"), ("weeks", "campaign", "lane", "arm", "reason"))
    draws = _spans(trail.assignments, "turn", "draw", "propensity", "policy")
    _print_rows("Draws", draws, ("weeks", "campaign", "turn", "lane", "arm", "draw", "propensity", "policy"))
    _print_rows(
        "Messages", trail.messages, ("week", "campaign", "medium", "template", "due_at", "state", "state_reason")
    )
    _print_rows("Events", trail.events, ("occurred_at", "kind", "message_id", "code"))
    _print_rows("Suppressions", trail.suppressions, ("since_at", "medium", "reason", "is_active"))
    _print_rows(
        "Outcomes", trail.outcomes, ("campaign", "outcome", "unit", "before", "since", "first_week", "last_week")
    )
    _print_rows("Lifts of the last eight weeks", trail.lifts, ("collected_on", "stream", "status", "weight_g"))
    _print_rows("Tags", trail.tags, ("tagged_on", "stream", "reason"))


def _spans(rows: Sequence[Mapping[str, Any]], *names: str) -> list[dict[str, Any]]:
    """Weeks that follow one another and say the same, as one row."""
    spans: list[dict[str, Any]] = []
    for row in sorted(rows, key=lambda row: (row["campaign"], row["week"])):
        said = {name: row.get(name) for name in ("campaign", "lane", "arm", *names)}
        if spans and {name: spans[-1][name] for name in said} == said:
            spans[-1]["weeks"] = f"{spans[-1]['weeks'].split(' ')[0]} to {row['week']}"
        else:
            spans.append({"weeks": row["week"], **said})
    return spans


def _print_rows(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    say()
    if rows:
        table(columns, [[row.get(name) for name in columns] for row in rows], title=title)
    else:
        say(f"{title}: none")
