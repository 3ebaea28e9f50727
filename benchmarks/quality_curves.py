"""Draws the curves of `quality.py` as an SVG file, which any browser shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from pathlib import Path

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 280, 220, 56, 34, 40
_COLOURS = {
    "napari-hush": "#0072b2",
    "CAREamics": "#d55e00",
    "napari-hush, same time": "#009e73",
}
"""Colours that colour-blind people can distinguish (Okabe and Ito, 2008)."""


def draw(runs: list[dict[str, Any]], path: Path) -> None:
    """One panel per set of images: SI-PSNR in dB over seconds of training."""
    sets = list(dict.fromkeys(run["set"] for run in runs))
    width = _LEFT + len(sets) * (_WIDTH + _GAP + _LEFT)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{_TOP + _HEIGHT + 70}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, name in enumerate(sets):
        x = _LEFT + number * (_WIDTH + _GAP + _LEFT)
        parts += _panel(name, [run for run in runs if run["set"] == name], x)
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _panel(name: str, runs: list[dict[str, Any]], x0: float) -> list[str]:
    end = max(run["seconds"][-1] for run in runs)
    values = [value for run in runs for value in run["curve"]]
    low, high = min(values) - 0.1, max(values) + 0.1

    def place(seconds: float, value: float) -> tuple[float, float]:
        across = x0 + _WIDTH * seconds / end
        return across, _TOP + _HEIGHT * (high - value) / (high - low)

    parts = [
        f'<text x="{x0}" y="{_TOP - 12}" font-weight="bold">{escape(name)}</text>',
        f'<rect x="{x0}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}" '
        'fill="none" stroke="#888"/>',
        f'<text x="{x0 + _WIDTH}" y="{_TOP + _HEIGHT + 18}" text-anchor="end">'
        f"{end:.0f} s</text>",
        f'<text x="{x0}" y="{_TOP + _HEIGHT + 18}">0</text>',
    ]
    for part in range(5):
        value = low + (high - low) * part / 4
        _, y = place(0, value)
        parts.append(
            f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.1f}</text>'
        )
    for line, run in enumerate(runs):
        colour = _COLOURS[run["side"]]
        points = [place(s, v) for s, v in zip(run["seconds"], run["curve"], strict=True)]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points
        ]
        parts.append(
            f'<text x="{x0}" y="{_TOP + _HEIGHT + 36 + 15 * line}" fill="{colour}">'
            f"{escape(run['side'])}, {run['final']:.2f} dB</text>"
        )
    return parts
