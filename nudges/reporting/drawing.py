"""Lines, words and frames of the page's drawings: SVG that prints, scales and can be read aloud."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

INK, MUTED, LINE, RIBBON, ZERO, GRID = "#1d2733", "#55606b", "#1f4e79", "#c7d9ea", "#1d2733", "#e3e7eb"
WIDTH = 760.0
_FONT = 'font-family="Arial, Helvetica, sans-serif"'

Position = Callable[[float], float]


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


def text(
    x: float, y: float, words: str, *, anchor: str = "start", size: float = 12, fill: str = INK, weight: str = "normal"
) -> str:
    """Words at a place."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}" '
        f'font-weight="{weight}" {_FONT}>{escape(words)}</text>'
    )


def line(x1: float, y1: float, x2: float, y2: float, *, stroke: str = GRID, width: float = 1, dash: str = "") -> str:
    """A straight line."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" '
        f'stroke-width="{width}"{dashed}/>'
    )


def box(x: float, y: float, width: float, height: float, *, fill: str = LINE) -> str:
    """A filled rectangle."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"/>'


def area(corners: Sequence[tuple[float, float]], *, fill: str = RIBBON) -> str:
    """A filled shape."""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    return f'<polygon points="{points}" fill="{fill}"/>'


def dot(x: float, y: float, radius: float = 3.2) -> str:
    """A filled circle."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{LINE}"/>'


def cut(words: str, most: int) -> str:
    """Words that fit a label."""
    return words if len(words) <= most else words[: most - 1] + "\u2026"


def svg(chart: Chart, width: float, height: float, body: Sequence[str]) -> Markup:
    """The whole drawing with its title and description."""
    ids = f"{chart.name}-title {chart.name}-desc"
    return Markup(  # noqa: S704 - every word in it went through escape()
        f'<svg role="img" aria-labelledby="{ids}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'xmlns="http://www.w3.org/2000/svg" width="100%">'
        f'<title id="{chart.name}-title">{escape(chart.title)}</title>'
        f'<desc id="{chart.name}-desc">{escape(chart.description)}</desc>' + "".join(body) + "</svg>"
    )
