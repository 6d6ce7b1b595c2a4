"""Figures by size or by money → SVG with 95 % lines, in the manner of the other charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from nudges.reporting.drawing import LINE, MUTED, RIBBON, ZERO, Chart, line, svg, text, ticks
from nudges.reporting.figures import plain, signed

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 760.0, 320.0, 64.0, 18.0, 14.0, 52.0


@dataclass(frozen=True, slots=True)
class Dot:
    """One figure at a place on the axis below, all in printed units."""

    at: float
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Plane:
    """Where numbers lie on the drawing."""

    across: Sequence[float]
    up: Sequence[float]

    def x(self, number: float) -> float:
        share = (number - self.across[0]) / ((self.across[-1] - self.across[0]) or 1.0)
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * share

    def y(self, number: float) -> float:
        share = (self.up[-1] - number) / ((self.up[-1] - self.up[0]) or 1.0)
        return _TOP + (_HEIGHT - _TOP - _BOTTOM) * share


def against_diagonal(dots: Sequence[Dot], chart: Chart) -> Markup:
    """Dots with 95 % lines, and the dashed line on which what is seen is what was said."""
    plane = _plane(dots)
    low, high = max(plane.across[0], plane.up[0]), min(plane.across[-1], plane.up[-1])
    body = _grid(plane, chart)
    if low < high:
        body.append(line(plane.x(low), plane.y(low), plane.x(high), plane.y(high), stroke=ZERO, width=1.5, dash="5 4"))
    for dot in dots:
        x = plane.x(dot.at)
        body.append(line(x, plane.y(dot.low), x, plane.y(dot.high), stroke=LINE, width=2))
        body.append(f'<circle cx="{x:.1f}" cy="{plane.y(dot.value):.1f}" r="4" fill="{LINE}"/>')
    return svg(chart, _WIDTH, _HEIGHT, body)


def path_of(dots: Sequence[Dot], chart: Chart) -> Markup:
    """A line with its 95 % ribbon, from left to right."""
    plane = _plane(dots)
    upper = [f"{plane.x(dot.at):.1f},{plane.y(dot.high):.1f}" for dot in dots]
    lower = [f"{plane.x(dot.at):.1f},{plane.y(dot.low):.1f}" for dot in reversed(dots)]
    middle = [f"{plane.x(dot.at):.1f},{plane.y(dot.value):.1f}" for dot in dots]
    body = [
        *_grid(plane, chart),
        f'<polygon points="{" ".join(upper + lower)}" fill="{RIBBON}"/>',
        line(_LEFT, plane.y(0), _WIDTH - _RIGHT, plane.y(0), stroke=ZERO, width=1.5, dash="5 4"),
        f'<polyline points="{" ".join(middle)}" fill="none" stroke="{LINE}" stroke-width="2"/>',
    ]
    return svg(chart, _WIDTH, _HEIGHT, body)


def _plane(dots: Sequence[Dot]) -> _Plane:
    heights = [number for dot in dots for number in (dot.low, dot.high)]
    places = [dot.at for dot in dots]
    return _Plane(ticks(min([0.0, *places]), max([0.0, *places])), ticks(min([0.0, *heights]), max([0.0, *heights])))


def _grid(plane: _Plane, chart: Chart) -> list[str]:
    lines = [
        line(_LEFT, plane.y(mark), _WIDTH - _RIGHT, plane.y(mark))
        + text(_LEFT - 8, plane.y(mark) + 4, signed(mark, chart.digits), anchor="end", fill=MUTED)
        for mark in plane.up
    ]
    below = _HEIGHT - _BOTTOM + 18
    lines += [
        text(plane.x(mark), below, plain(mark, chart.digits), anchor="middle", size=11, fill=MUTED)
        for mark in plane.across
    ]
    lines.append(text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, chart.axis, anchor="middle"))
    return lines
