"""Turns effects with intervals into drawings: by week, by span of weeks, and as a forest."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nudges.reporting.disclosure import TOO_FEW
from nudges.reporting.drawing import (
    LINE,
    MUTED,
    RIBBON,
    WIDTH,
    ZERO,
    Chart,
    Position,
    area,
    box,
    cut,
    dot,
    line,
    svg,
    text,
    ticks,
)
from nudges.reporting.figures import signed


@dataclass(frozen=True, slots=True)
class Point:
    """One effect to draw, in printed units. `low` and `high` are None where it could not be estimated, `note` why."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    is_heading: bool = False
    is_overall: bool = False
    note: str = TOO_FEW


@dataclass(frozen=True, slots=True)
class _Frame:
    """A plot with places numbered from the left and values upwards."""

    marks: Sequence[float]
    count: int
    height: float
    left: float = 58.0
    right: float = 14.0
    top: float = 14.0
    bottom: float = 52.0

    def x(self, index: float) -> float:
        return self.left + (WIDTH - self.left - self.right) * ((index + 0.5) / max(self.count, 1))

    def y(self, value: float) -> float:
        low, high = self.marks[0], self.marks[-1]
        return self.top + (self.height - self.top - self.bottom) * (high - value) / ((high - low) or 1.0)

    def grid(self, chart: Chart) -> list[str]:
        """Lines across with their values, and what the places are."""
        rows = [
            line(self.left, self.y(mark), WIDTH - self.right, self.y(mark))
            + text(self.left - 8, self.y(mark) + 4, signed(mark, chart.digits), anchor="end", fill=MUTED)
            for mark in self.marks
        ]
        return [*rows, text((self.left + WIDTH - self.right) / 2, self.height - 8, chart.axis, anchor="middle")]

    def zero(self) -> str:
        """The line of no effect."""
        return line(self.left, self.y(0), WIDTH - self.right, self.y(0), stroke=ZERO, width=1.5, dash="5 4")


def _extent(points: Sequence[Point]) -> tuple[float, float]:
    values = [number for point in points for number in (point.low, point.high, point.value) if number is not None]
    return min([0.0, *values]), max([0.0, *values])


def effect_by_week(points: Sequence[Point], chart: Chart) -> Markup:
    """Effect in each calendar week: a line with its 95 % ribbon and the line of no effect. Gaps stay gaps."""
    frame = _Frame(ticks(*_extent(points)), len(points), 300.0)
    body = frame.grid(chart)
    body += [_ribbon(points, run, frame.x, frame.y) for run in _runs(points)]
    body.append(frame.zero())
    for run in _runs(points):
        path = " ".join(f"{frame.x(index):.1f},{frame.y(points[index].value or 0.0):.1f}" for index in run)
        body.append(f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="2"/>')
        body += [dot(frame.x(index), frame.y(points[index].value or 0.0)) for index in run]
    every = max(1, math.ceil(len(points) / 9))
    body += [
        text(frame.x(index), frame.height - frame.bottom + 18, point.label, anchor="middle", size=11, fill=MUTED)
        for index, point in enumerate(points)
        if index % every == 0
    ]
    return svg(chart, WIDTH, frame.height, body)


def _runs(points: Sequence[Point]) -> list[list[int]]:
    """Stretches of consecutive weeks that have an effect."""
    runs: list[list[int]] = [[]]
    for index, point in enumerate(points):
        if point.value is None:
            runs.append([])
        else:
            runs[-1].append(index)
    return [run for run in runs if run]


def _ribbon(points: Sequence[Point], run: Sequence[int], x: Callable[[float], float], y: Position) -> str:
    if len(run) == 1:
        at = x(run[0])
        return line(at, y(points[run[0]].low or 0.0), at, y(points[run[0]].high or 0.0), stroke=RIBBON, width=10)
    upper = [(x(index), y(points[index].high or 0.0)) for index in run]
    lower = [(x(index), y(points[index].low or 0.0)) for index in reversed(run)]
    return area(upper + lower)


def effect_by_span(parts: Sequence[tuple[str, Sequence[Point]]], chart: Chart) -> Markup:
    """Effect in spans of weeks, side by side in named parts: a dot with its 95 % line each."""
    points = [point for _, each in parts for point in each]
    frame = _Frame(ticks(*_extent(points)), len(points), 290.0, top=36.0, bottom=58.0)
    body = [*frame.grid(chart), frame.zero()]
    at = 0
    for title, each in parts:
        if at:
            edge = (frame.x(at - 1) + frame.x(at)) / 2
            body.append(line(edge, 8, edge, frame.height - frame.bottom + 8, stroke=MUTED))
        middle = (frame.x(at) + frame.x(at + len(each) - 1)) / 2
        body.append(text(middle, 20, title, anchor="middle", weight="bold"))
        body += [_span(point, at + index, frame, chart) for index, point in enumerate(each)]
        at += len(each)
    return svg(chart, WIDTH, frame.height, body)


def _span(point: Point, index: int, frame: _Frame, chart: Chart) -> str:
    x = frame.x(index)
    below = text(x, frame.height - frame.bottom + 18, point.label, anchor="middle", fill=MUTED)
    if point.value is None or point.low is None or point.high is None:
        return below + text(x, frame.y(0) - 8, point.note, anchor="middle", size=11, fill=MUTED)
    return (
        below
        + line(x, frame.y(point.low), x, frame.y(point.high), stroke=LINE, width=2)
        + dot(x, frame.y(point.value), 4.5)
        + text(x + 9, frame.y(point.value) + 4, signed(point.value, chart.digits), size=11)
    )


def forest(points: Sequence[Point], chart: Chart) -> Markup:
    """One row an effect: square and 95 % line, the overall effect as a diamond; wider lines end in an arrow."""
    row, top, bottom, left, right = 25.0, 10.0, 46.0, 262.0, 158.0
    height = top + row * len(points) + bottom
    low, high = _reach(points)
    marks = ticks(low, high)
    low, high = marks[0], marks[-1]

    def x(value: float) -> float:
        inside = min(max(value, low), high)
        return left + (WIDTH - left - right) * (inside - low) / ((high - low) or 1.0)

    base = top + row * len(points)
    body = [
        line(x(mark), top, x(mark), base)
        + text(x(mark), base + 17, signed(mark, chart.digits), anchor="middle", size=11, fill=MUTED)
        for mark in marks
    ]
    body.append(line(x(0), top, x(0), base, stroke=ZERO, width=1.5, dash="5 4"))
    for index, point in enumerate(points):
        body.append(_forest_row(point, top + row * (index + 0.5), x, (low, high), chart))
    body.append(text((left + WIDTH - right) / 2, height - 8, chart.axis, anchor="middle"))
    return svg(chart, WIDTH, height, body)


def _reach(points: Sequence[Point]) -> tuple[float, float]:
    """Axis ends: room for the overall interval and every estimate, but not for one hopeless interval."""
    drawn = [point for point in points if point.value is not None]
    middles = [abs(point.value or 0.0) for point in drawn]
    halves = sorted(max(abs(point.low or 0.0), abs(point.high or 0.0)) for point in drawn)
    usual = halves[len(halves) // 2] if halves else 1.0
    overall = [abs(end or 0.0) for point in drawn if point.is_overall for end in (point.low, point.high)]
    limit = max([*middles, *overall, 1.6 * usual, 1e-9])
    low, high = _extent(points)
    return max(low, -limit), min(high, limit)


def _forest_row(point: Point, y: float, x: Position, ends: tuple[float, float], chart: Chart) -> str:
    weight = "bold" if point.is_heading or point.is_overall else "normal"
    parts = [text(0 if weight == "bold" else 12, y + 4, cut(point.label, 40), weight=weight)]
    if point.is_heading:
        return parts[0]
    if point.value is None or point.low is None or point.high is None:
        return parts[0] + text(WIDTH, y + 4, point.note, anchor="end", fill=MUTED)
    a, b, m = x(point.low), x(point.high), x(point.value)
    if point.is_overall:
        parts.append(area([(a, y), (m, y - 7), (b, y), (m, y + 7)], fill=LINE))
    else:
        parts.append(line(a, y, b, y, stroke=LINE, width=2))
        parts += [_arrow(a, y, -1)] * (point.low < ends[0]) + [_arrow(b, y, 1)] * (point.high > ends[1])
        parts.append(box(m - 4, y - 4, 8, 8))
    words = (
        f"{signed(point.value, chart.digits)} ({signed(point.low, chart.digits)} to {signed(point.high, chart.digits)})"
    )
    parts.append(text(WIDTH, y + 4, words, anchor="end", weight=weight))
    return "".join(parts)


def _arrow(x: float, y: float, way: int) -> str:
    return area([(x + 5 * way, y), (x - 3 * way, y - 5), (x - 3 * way, y + 5)], fill=LINE)
