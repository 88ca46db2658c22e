"""Curves as SVG, without a plotting package."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 300, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 34, 40
TICKS = 4


class Panel(NamedTuple):
    """One diagram: points and the straight line through them."""

    title: str
    axis: str
    values: list[float]
    seconds: list[float]


def line(values: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Return offset and slope of the straight line of least squares."""
    slope, offset = statistics.linear_regression(values, seconds)
    return offset, slope


def svg(panels: Sequence[Panel]) -> str:
    """Return a picture of panels in rows of two, readable on light and dark pages."""
    rows = -(-len(panels) // 2)
    drawn = "".join(
        f'<g transform="translate({index % 2 * WIDTH} {index // 2 * HEIGHT})">{_panel(panel)}</g>\n'
        for index, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * WIDTH} {rows * HEIGHT}" '
        f'width="{2 * WIDTH}" font-family="sans-serif" font-size="11" fill="#57606a">\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{drawn}</svg>\n'
    )


def _panel(panel: Panel) -> str:
    right, top = _rounded_up(max(panel.values)), _rounded_up(max(panel.seconds))

    def place(value: float, seconds: float) -> tuple[float, float]:
        x = LEFT + value / right * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - seconds / top * (HEIGHT - TOP - BOTTOM)
        return round(x, 1), round(y, 1)

    offset, slope = line(panel.values, panel.seconds)
    last = max(panel.values)
    (x1, y1), (x2, y2) = place(0, offset), place(last, offset + slope * last)
    (x0, y0), (x3, y3) = place(0, 0), place(right, top)
    parts = [
        f'<text x="{LEFT}" y="18" font-weight="bold" fill="#1f2328">{panel.title}</text>',
        f'<path d="M{x0} {y3}V{y0}H{x3}" fill="none" stroke="#8c959f"/>',
        f'<text x="{x3}" y="{HEIGHT - 8}" text-anchor="end">{panel.axis}</text>',
        f'<text x="{LEFT + 4}" y="{TOP - 2}">seconds</text>',
        f'<path d="M{x1} {y1}L{x2} {y2}" stroke="#0969da" stroke-dasharray="4 3"/>',
    ]
    for step in range(TICKS + 1):
        value, seconds = right * step / TICKS, top * step / TICKS
        x, y = place(value, seconds)
        parts.append(f'<text x="{x}" y="{y0 + 14}" text-anchor="middle">{value:g}</text>')
        parts.append(f'<text x="{x0 - 5}" y="{y + 4}" text-anchor="end">{seconds:g}</text>')
    for value, seconds in zip(panel.values, panel.seconds, strict=True):
        x, y = place(value, seconds)
        parts.append(f'<circle cx="{x}" cy="{y}" r="3.5" fill="#0969da"/>')
    return "".join(parts)


def _rounded_up(value: float) -> float:
    """Return the next number with a simple quarter: 1, 2, 4, 6 or 8 times a power of ten."""
    power = 1.0
    while power > value:
        power /= 10
    while power * 10 <= value:
        power *= 10
    return power * next((step for step in (1, 2, 4, 6, 8) if step * power >= value), 10)
