"""Turn dropped files into live facts: good rows into the warehouse, bad ones into quarantine, each with its reason.

Per file: match it to a table, check every row, compare with what is live, write Parquet, then one ledger transaction. A
crash before that transaction leaves files nobody reads; running again writes the same files under the same names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa

from nudges.domain import IngestRule, Summary
from nudges.errors import DataError
from nudges.sources import RawTable, Source, source_of, sources
from nudges.steps.ingest.checking import Checked, check
from nudges.steps.ingest.matching import Plan, content_hash, drop_id, plan_for, rule_for
from nudges.steps.ingest.reissue import store
from nudges.steps.ingest.validation import Clock
from nudges.steps.workspace import Workspace
from nudges.warehouse import WrittenFile
from nudges.weeks import Week

_BELIEVABLE_AHEAD = timedelta(days=2 * 366)  # a calendar is published a year or so ahead
_MEMORY = "1GB"


@dataclass(frozen=True, slots=True)
class DropResult:
    """What became of one table of one file. `rows` = `accepted` + `quarantined`; blank lines are no rows.

    Of the accepted, `replaced` took the place of a row that said something else and `unchanged` were live already.
    `reasons` counts quarantined rows by the first thing wrong with each, so they add up to `quarantined`.
    `ignored` are columns that nothing reads. `problem` says why the file could not be read at all; cured, it is read.
    """

    file: str
    table: str = ""
    drop_id: str = ""
    rows: int = 0
    accepted: int = 0
    replaced: int = 0
    unchanged: int = 0
    quarantined: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    is_repeat: bool = False
    problem: str = ""


def ingest(
    ws: Workspace, week: Week, *, now: datetime, paths: Sequence[Path] | None = None, as_of: date | None = None
) -> Summary:
    """Load drops: those at `paths`, or everything in the inbox. See `load_drops`."""
    return summary_of(load_drops(ws, week, now=now, paths=paths, as_of=as_of), week)


def load_drops(
    ws: Workspace, week: Week, *, now: datetime, paths: Sequence[Path] | None = None, as_of: date | None = None
) -> tuple[DropResult, ...]:
    """Load drops in order of name, one result for each table of each file; a file that cannot be read stops no other.

    `as_of` dates rows of tables that say since when they are known, where the file does not: by default the last day of
    `week`, or today when that is earlier.
    """
    today = now.astimezone(ZoneInfo(ws.council.timezone)).date()
    clock = Clock(as_of or min(week.sunday, today), today + _BELIEVABLE_AHEAD, ws.council.timezone)
    loader = _Loader(ws, week, now, clock)
    results: list[DropResult] = []
    for path, source in _found([ws.home / "var" / "inbox"] if paths is None else paths, results):
        results.extend(loader.load(path, source))
    return tuple(results)


def summary_of(drops: Sequence[DropResult], week: Week) -> Summary:
    """The step's summary: totals, and a warning for each file that was not read or had rows set aside."""
    loaded = [drop for drop in drops if not drop.is_repeat and not drop.problem]
    counts = {
        "files": len(loaded),
        "rows": sum(drop.rows for drop in loaded),
        "accepted": sum(drop.accepted for drop in loaded),
        "replaced": sum(drop.replaced for drop in loaded),
        "unchanged": sum(drop.unchanged for drop in loaded),
        "quarantined": sum(drop.quarantined for drop in loaded),
        "files_seen_before": sum(drop.is_repeat for drop in drops),
        "files_not_read": sum(bool(drop.problem) for drop in drops),
    }
    headline = f"{counts['accepted']:,} rows accepted from {len(loaded)} files, {counts['quarantined']:,} quarantined"
    if counts["files_not_read"]:
        headline += f", {counts['files_not_read']} files not read"
    warnings = [drop.problem for drop in drops if drop.problem]
    warnings += [f"{drop.file}: {count:,} rows: {reason}" for drop in loaded for reason, count in drop.reasons.items()]
    return Summary("ingest", str(week), headline, counts, warnings=tuple(warnings))


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """The paths, with what lies in a folder in its place, unless the folder is itself something a source reads."""
    for path in paths:
        if path.is_dir() and not any(source.matches(path) for source in sources()):
            yield from sorted(entry for entry in path.iterdir() if not entry.name.startswith((".", "~$")))
        else:
            yield path


def _found(paths: Sequence[Path], results: list[DropResult]) -> Iterator[tuple[Path, Source]]:
    """Each path with its source, those that several files make up together only once; problems go to `results`."""
    seen: set[tuple[Path, ...]] = set()
    for path in _files(paths):
        try:
            source = source_of(path)
            parts = source.parts(path)
        except DataError as error:
            results.append(DropResult(path.name, problem=str(error)))
            continue
        if parts not in seen:
            seen.add(parts)
            yield path, source


@dataclass(frozen=True, slots=True)
class _Loader:
    ws: Workspace
    week: Week
    now: datetime
    clock: Clock

    def load(self, path: Path, source: Source) -> Iterator[DropResult]:
        """Load every table of one file."""
        try:
            content = content_hash(source.parts(path))
            known = None if source.holds_several else self._known(path, content)
            if known is not None:
                yield known
                return
            for raw in source.read(path):
                rule = rule_for(path.name, raw.table, self.ws.council.ingest)
                yield self._load_table(path, raw, rule, drop_id(content, rule))
        except DataError as error:
            yield DropResult(path.name, problem=str(error))

    def _known(self, path: Path, content: str) -> DropResult | None:
        """A drop that was loaded before need not be read again, where its name alone says which table it is."""
        try:
            rule = rule_for(path.name, "", self.ws.council.ingest)
        except DataError:
            return None  # the source may know the table
        return self._repeat(path, rule, drop_id(content, rule))

    def _repeat(self, path: Path, rule: IngestRule, identity: str) -> DropResult | None:
        if self.ws.ledger.drop(identity) is None:
            return None
        return DropResult(path.name, rule.table, identity, is_repeat=True)

    def _load_table(self, path: Path, raw: RawTable, rule: IngestRule, identity: str) -> DropResult:
        repeat = self._repeat(path, rule, identity)
        if repeat is not None:
            return repeat
        plan = plan_for(path.name, rule, raw.rows.column_names)
        live = self.ws.ledger.live_files(tables=[plan.table.name]).get(plan.table.name, [])
        with self.ws.warehouse.connect({}, memory=_MEMORY) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            checked = check(connection, raw, plan, self.clock)
            stored = store(
                connection, self.ws.warehouse, plan.table, live, drop_id=identity, is_dated_here=_is_dated_here(plan)
            )
        set_aside = self._quarantine(path, plan, checked, identity)
        result = DropResult(
            file=path.name,
            table=plan.table.name,
            drop_id=identity,
            rows=checked.rows,
            accepted=checked.good,
            replaced=stored.replaced,
            unchanged=stored.unchanged,
            quarantined=checked.rows - checked.good,
            reasons=checked.reasons,
            ignored=plan.ignored,
        )
        self.ws.ledger.register_drop(self._drop_row(result), (*stored.added, *set_aside), stored.retired)
        return result

    def _quarantine(self, path: Path, plan: Plan, checked: Checked, identity: str) -> tuple[WrittenFile, ...]:
        bad = checked.bad
        if not bad.num_rows:
            return ()
        constant = {"drop_id": identity, "table_name": plan.table.name, "file_name": path.name}
        for name, text in constant.items():
            bad = bad.append_column(name, pa.repeat(pa.scalar(text), bad.num_rows))
        return (self.ws.warehouse.write("quarantine", self.week, bad, identity[:16]),)

    def _drop_row(self, result: DropResult) -> Mapping[str, object]:
        return {
            "drop_id": result.drop_id,
            "table_name": result.table,
            "file_name": result.file,
            "accepted": result.accepted,
            "replaced": result.replaced,
            "quarantined": result.quarantined,
            "loaded_at": self.now,
        }


def _is_dated_here(plan: Plan) -> bool:
    return any(feed.column.name == "known_on" and feed.index is None for feed in plan.feeds)
