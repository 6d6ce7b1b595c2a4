"""Turns effects with intervals into SVG that prints, scales and can be read aloud."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from nudges.reporting.figures import signed

INK, MUTED, LINE, RIBBON, ZERO, GRID = "#1d2733", "#55606b", "#1f4e79", "#c7d9ea", "#1d2733", "#e3e7eb"
_FONT = 'font-family="Arial, Helvetica, sans-serif"'


Position = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Point:
    """One effect to draw, in printed units. `low` and `high` are None where it could not be estimated."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    is_heading: bool = False
    is_overall: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Words around a chart. `name` makes its ids unique on the page."""

    name: str
    title: str
    description: str
    axis: str
    digits: int = 2


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that cover low to high, zero among them when it lies between."""
    span = (high - low) or 1.0
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", size: float = 12, fill: str = INK, weight: str = "normal"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}" '
        f'font-weight="{weight}" {_FONT}>{escape(words)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, *, stroke: str = GRID, width: float = 1, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
        f'stroke-width="{width}"{dashed}/>'
    )


def _svg(chart: Chart, width: float, height: float, body: Sequence[str]) -> Markup:
    ids = f"{chart.name}-title {chart.name}-desc"
    return Markup(  # noqa: S704 - every word in it went through escape()
        f'<svg role="img" aria-labelledby="{ids}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'xmlns="http://www.w3.org/2000/svg" width="100%">'
        f'<title id="{chart.name}-title">{escape(chart.title)}</title>'
        f'<desc id="{chart.name}-desc">{escape(chart.description)}</desc>' + "".join(body) + "</svg>"
    )


def _extent(points: Sequence[Point]) -> tuple[float, float]:
    values = [number for point in points for number in (point.low, point.high, point.value) if number is not None]
    return min([0.0, *values]), max([0.0, *values])


def effect_by_week(points: Sequence[Point], chart: Chart) -> Markup:
    """Effect in each calendar week: a line with its 95 % ribbon and the line of no effect. Gaps stay gaps."""
    width, height, left, right, top, bottom = 760.0, 300.0, 58.0, 14.0, 14.0, 52.0
    marks = ticks(*_extent(points))
    low, high = marks[0], marks[-1]

    def x(index: int) -> float:
        return left + (width - left - right) * ((index + 0.5) / max(len(points), 1))

    def y(value: float) -> float:
        return top + (height - top - bottom) * (high - value) / ((high - low) or 1.0)

    body = [
        _line(left, y(mark), width - right, y(mark))
        + _text(left - 8, y(mark) + 4, signed(mark, chart.digits), anchor="end", fill=MUTED)
        for mark in marks
    ]
    body += [_ribbon(points, run, x, y) for run in _runs(points)]
    body.append(_line(left, y(0), width - right, y(0), stroke=ZERO, width=1.5, dash="5 4"))
    for run in _runs(points):
        path = " ".join(f"{x(index):.1f},{y(points[index].value or 0.0):.1f}" for index in run)
        body.append(f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="2"/>')
        body += [
            f'<circle cx="{x(index):.1f}" cy="{y(points[index].value or 0.0):.1f}" r="3.2" fill="{LINE}"/>'
            for index in run
        ]
    every = max(1, math.ceil(len(points) / 9))
    body += [
        _text(x(index), height - bottom + 18, point.label, anchor="middle", size=11, fill=MUTED)
        for index, point in enumerate(points)
        if index % every == 0
    ]
    body.append(_text((left + width - right) / 2, height - 8, chart.axis, anchor="middle"))
    return _svg(chart, width, height, body)


def _runs(points: Sequence[Point]) -> list[list[int]]:
    """Stretches of consecutive weeks that have an effect."""
    runs: list[list[int]] = [[]]
    for index, point in enumerate(points):
        if point.value is None:
            runs.append([])
        else:
            runs[-1].append(index)
    return [run for run in runs if run]


def _ribbon(points: Sequence[Point], run: Sequence[int], x: Callable[[int], float], y: Position) -> str:
    if len(run) == 1:
        at = x(run[0])
        return _line(at, y(points[run[0]].low or 0.0), at, y(points[run[0]].high or 0.0), stroke=RIBBON, width=10)
    upper = [f"{x(index):.1f},{y(points[index].high or 0.0):.1f}" for index in run]
    lower = [f"{x(index):.1f},{y(points[index].low or 0.0):.1f}" for index in reversed(run)]
    return f'<polygon points="{" ".join(upper + lower)}" fill="{RIBBON}"/>'


def forest(points: Sequence[Point], chart: Chart) -> Markup:
    """One row an effect: square and 95 % line, the overall effect as a diamond; wider lines end in an arrow."""
    row, top, bottom, width, left, right = 25.0, 10.0, 46.0, 760.0, 262.0, 158.0
    height = top + row * len(points) + bottom
    low, high = _reach(points)
    marks = ticks(low, high)
    low, high = marks[0], marks[-1]

    def x(value: float) -> float:
        inside = min(max(value, low), high)
        return left + (width - left - right) * (inside - low) / ((high - low) or 1.0)

    base = top + row * len(points)
    body = [
        _line(x(mark), top, x(mark), base)
        + _text(x(mark), base + 17, signed(mark, chart.digits), anchor="middle", size=11, fill=MUTED)
        for mark in marks
    ]
    body.append(_line(x(0), top, x(0), base, stroke=ZERO, width=1.5, dash="5 4"))
    for index, point in enumerate(points):
        body.append(_forest_row(point, top + row * (index + 0.5), x, (low, high), chart, width))
    body.append(_text((left + width - right) / 2, height - 8, chart.axis, anchor="middle"))
    return _svg(chart, width, height, body)


def _reach(points: Sequence[Point]) -> tuple[float, float]:
    """Axis ends: room for the overall interval and every estimate, but not for one hopeless interval."""
    drawn = [point for point in points if point.value is not None]
    middles = [abs(point.value or 0.0) for point in drawn]
    halves = sorted(max(abs(point.low or 0.0), abs(point.high or 0.0)) for point in drawn)
    usual = halves[len(halves) // 2] if halves else 1.0
    limit = max([*middles, 1.6 * usual, 1e-9])
    low, high = _extent(points)
    return max(low, -limit), min(high, limit)


def _forest_row(point: Point, y: float, x: Position, ends: tuple[float, float], chart: Chart, width: float) -> str:
    weight = "bold" if point.is_heading or point.is_overall else "normal"
    label = point.label if len(point.label) <= 40 else point.label[:39] + "\u2026"
    parts = [_text(0 if weight == "bold" else 12, y + 4, label, weight=weight)]
    if point.is_heading:
        return parts[0]
    if point.value is None or point.low is None or point.high is None:
        return parts[0] + _text(width, y + 4, "too few to show", anchor="end", fill=MUTED)
    a, b, m = x(point.low), x(point.high), x(point.value)
    if point.is_overall:
        parts.append(f'<polygon points="{a:.1f},{y} {m:.1f},{y - 7} {b:.1f},{y} {m:.1f},{y + 7}" fill="{LINE}"/>')
    else:
        parts.append(_line(a, y, b, y, stroke=LINE, width=2))
        parts += [_arrow(a, y, -1)] * (point.low < ends[0]) + [_arrow(b, y, 1)] * (point.high > ends[1])
        parts.append(f'<rect x="{m - 4:.1f}" y="{y - 4}" width="8" height="8" fill="{LINE}"/>')
    words = (
        f"{signed(point.value, chart.digits)} ({signed(point.low, chart.digits)} to {signed(point.high, chart.digits)})"
    )
    parts.append(_text(width, y + 4, words, anchor="end", weight=weight))
    return "".join(parts)


def _arrow(x: float, y: float, way: int) -> str:
    return (
        f'<polygon points="{x + 5 * way:.1f},{y} {x - 3 * way:.1f},{y - 5} {x - 3 * way:.1f},{y + 5}" fill="{LINE}"/>'
    )
