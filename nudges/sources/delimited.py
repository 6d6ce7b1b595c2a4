"""Turn delimited text (.csv, .csv.gz, .tsv, .txt; comma, semicolon or tab) into a raw table.

UTF-8, with or without a byte-order mark, else CP1252. A line that cannot be split, or holds bytes that are no text,
is rejected with its row number and the others are read. Where quotes do not pair up, every line is read on its own, so
that one stray quote cannot swallow the lines after it.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from nudges.errors import DataError
from nudges.sources import RawTable, Rejected

_ENDINGS = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")
_DELIMITERS = (",", ";", "\t")
_NOT_TEXT = "\ufffd"
_MAX_TEXT = 500  # characters of a rejected line that are kept


def matches(path: Path) -> bool:
    """Whether the name says delimited text."""
    return path.is_file() and path.name.lower().endswith(_ENDINGS)


def read(path: Path) -> Iterator[RawTable]:
    """Read the one table of the file; raises DataError when it has no usable header."""
    text = _utf8(path)
    end = text.find(b"\n")
    header = (text if end < 0 else text[:end]).decode()
    body = pa.py_buffer(b"") if end < 0 else pa.py_buffer(text).slice(end + 1)
    delimiter = max(_DELIMITERS, key=header.count)
    names = _header(path, header, delimiter)
    if not body.size:
        yield RawTable("", pa.table({name: pa.array([], pa.string()) for name in names}), pa.array([], pa.int64()))
        return
    yield _without_broken_text(_split(body, text.count(b'"', end), names, delimiter))


def _utf8(path: Path) -> bytes:
    """The file as UTF-8 with plain line ends; bytes that are no text become U+FFFD, which rejects their line later."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix.lower() == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path.name}: {error}, must be a whole gzip file. Copy it again.") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path.name}: UTF-16 text, must be UTF-8 or CP1252. Save it as 'CSV UTF-8'.")
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:].decode("utf-8", errors="replace").encode()
    elif not _is_utf8(data):
        data = data.decode("cp1252", errors="replace").encode()
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _header(path: Path, line: str, delimiter: str) -> list[str]:
    try:
        names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter, strict=True), [])]
    except csv.Error as error:
        raise DataError(f"{path.name}: header row: {error}. Quote every name or none.") from error
    if not any(names):
        raise DataError(f"{path.name}: row 1 is empty, must be a header with column names. Add one.")
    while names and not names[-1]:  # spreadsheets leave empty columns at the end
        names.pop()
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or "" in names:
        raise DataError(f"{path.name}: column name {twice[0] if twice else ''!r}, must be there once. Rename a column.")
    return names


def _split(body: pa.Buffer, quotes: int, names: list[str], delimiter: str) -> RawTable:
    if quotes % 2:
        return _line_by_line(body, names, delimiter)
    rejected: list[Rejected] = []

    def keep_aside(line: pv.InvalidRow) -> str:
        if line.text.strip(f"{delimiter}\r\n\t "):
            reason = f"{line.actual_columns} columns, must be {line.expected_columns}"
            rejected.append(Rejected(line.number + 1, line.text, reason))
        else:
            rejected.append(Rejected(line.number + 1, "", ""))  # a blank line: counted, not reported
        return "skip"

    try:
        rows = pv.read_csv(
            pa.BufferReader(body),
            read_options=pv.ReadOptions(column_names=names, use_threads=False, block_size=1 << 24),
            parse_options=pv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=quotes > 0,
                ignore_empty_lines=False,
                invalid_row_handler=keep_aside,
            ),
            convert_options=pv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return _line_by_line(body, names, delimiter)
    if quotes and _spans_lines(rows, rejected) and not _quotes_pair_up(body, delimiter):
        return _line_by_line(body, names, delimiter)
    return RawTable("", rows, _numbers(rows.num_rows, [line.row for line in rejected]), _told(rejected))


def _spans_lines(rows: pa.Table, rejected: list[Rejected]) -> bool:
    """Whether any value holds a line break: it may be meant, or be what a stray quote swallowed."""
    return any("\n" in line.text for line in rejected) or any(
        pc.any(pc.match_substring(column, "\n")).as_py() for column in rows.itercolumns()
    )


def _quotes_pair_up(body: pa.Buffer, delimiter: str) -> bool:
    try:
        return all(True for _ in csv.reader(io.StringIO(body.to_pybytes().decode()), delimiter=delimiter, strict=True))
    except csv.Error:
        return False


def _numbers(count: int, skipped: list[int]) -> pa.Array:
    """Row numbers of the rows read, where the rows `skipped` lie between them."""
    every = np.arange(2, count + len(skipped) + 2, dtype=np.int64)
    return pa.array(np.delete(every, np.array(skipped, dtype=np.int64) - 2))


def _told(rejected: list[Rejected]) -> tuple[Rejected, ...]:
    return tuple(Rejected(line.row, line.text[:_MAX_TEXT], line.reason) for line in rejected if line.reason)


def _line_by_line(body: pa.Buffer, names: list[str], delimiter: str) -> RawTable:
    """Read each line on its own: slower, and a value cannot hold a line break, but no line can harm another."""
    good: list[list[str | None]] = []
    numbers: list[int] = []
    rejected: list[Rejected] = []
    for number, line in enumerate(body.to_pybytes().decode().split("\n"), start=2):
        if not line.strip(f"{delimiter} \t"):
            continue
        try:
            values = (
                next(csv.reader([line], delimiter=delimiter, strict=True)) if '"' in line else line.split(delimiter)
            )
        except csv.Error:
            rejected.append(Rejected(number, line, "a quote that is not closed"))
            continue
        if len(values) != len(names):
            rejected.append(Rejected(number, line, f"{len(values)} columns, must be {len(names)}"))
            continue
        good.append([value or None for value in values])
        numbers.append(number)
    rows = pa.table({name: pa.array([row[at] for row in good], pa.string()) for at, name in enumerate(names)})
    return RawTable("", rows, pa.array(numbers, pa.int64()), _told(rejected))


def _without_broken_text(raw: RawTable) -> RawTable:
    """Move rows with bytes that were no text to the rejected ones."""
    broken = None
    for column in raw.rows.itercolumns():
        found = pc.fill_null(pc.match_substring(column, _NOT_TEXT), fill_value=False)
        broken = found if broken is None else pc.or_(broken, found)
    if broken is None or not pc.any(broken).as_py():
        return raw
    rejected = tuple(
        Rejected(number, ",".join(value or "" for value in row.values())[:_MAX_TEXT], "bytes that are not text")
        for number, row in zip(raw.numbers.filter(broken.combine_chunks()).to_pylist(),
                               raw.rows.filter(broken).to_pylist(), strict=True)
    )  # fmt: skip
    good = pc.invert(broken)
    return RawTable(
        raw.table,
        raw.rows.filter(good),
        raw.numbers.filter(good.combine_chunks()),
        tuple(sorted((*raw.rejected, *rejected), key=lambda line: line.row)),
    )
