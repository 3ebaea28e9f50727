"""Draw the diagrams of docs/how-it-works.md as SVG, on a light ground for any theme."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

IMAGES = Path(__file__).parents[1] / "docs" / "images"
INK, FAINT, GROUND = "#1f2933", "#7b8794", "#ffffff"
# Blue, orange and green of Okabe and Ito, which color-blind people can distinguish.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PALE = {BLUE: "#d6e9f5", ORANGE: "#fae3d6", GREEN: "#d5efe6", FAINT: "#eef1f4"}


class Drawing:
    """An SVG drawing; sizes in pixels, y downwards."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self._size, self._title = (width, height), title
        self._parts: list[str] = []

    def box(
        self, x: float, y: float, wide: float, high: float, fill: str, line: str = "none",
        *, thick: float = 1.5, round_by: float = 0, dashes: str = "",
    ) -> None:  # fmt: skip
        """A rectangle."""
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}" '
            f'rx="{round_by:g}" fill="{fill}" stroke="{line}" '
            f'stroke-width="{thick:g}"{dashed}/>'
        )

    def text(
        self, x: float, y: float, text: str, size: int = 14, *, color: str = INK,
        anchor: str = "middle", weight: str = "normal",
    ) -> None:  # fmt: skip
        """Lines of text, the first with its base line at `y`."""
        for number, line in enumerate(text.split("\n")):
            self._parts.append(
                f'<text x="{x:g}" y="{y + number * 1.25 * size:g}" font-size="{size}" '
                f'fill="{color}" text-anchor="{anchor}" font-weight="{weight}">'
                f"{line}</text>"
            )

    def arrow(
        self, *points: tuple[float, float], color: str = INK, thick: float = 2
    ) -> None:
        """An arrow along `points`."""
        *_, (x, y), end = points
        along = np.subtract(end, (x, y)) / np.hypot(*np.subtract(end, (x, y)))
        across = np.array([-along[1], along[0]])
        head = [end, end - 9 * along + 5 * across, end - 9 * along - 5 * across]
        path = " ".join(f"{a:g},{b:g}" for a, b in (*points[:-1], end - 7 * along))
        tip = " ".join(f"{a:.1f},{b:.1f}" for a, b in head)
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{color}" '
            f'stroke-width="{thick:g}"/><polygon points="{tip}" fill="{color}"/>'
        )

    def pixels(self, x: float, y: float, image: np.ndarray, side: float) -> None:
        """Gray squares; `image` from 0 to 1."""
        for (row, column), value in np.ndenumerate(image):
            gray = round(255 * float(np.clip(value, 0, 1)))
            fill = f"rgb({gray},{gray},{gray})"
            self.box(x + column * side, y + row * side, side, side, fill, FAINT, thick=0.5)

    def save(self, name: str) -> None:
        """Write it into the folder of pictures."""
        wide, high = self._size
        text = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
            f'viewBox="0 0 {wide} {high}" font-family="Helvetica, Arial, sans-serif">\n'
            f"<title>{self._title}</title>\n"
            f'<rect width="{wide}" height="{high}" rx="8" fill="{GROUND}"/>\n'
            + "\n".join(self._parts)
            + "\n</svg>\n"
        )
        (IMAGES / name).write_text(text, encoding="utf-8")
        print(f"docs/images/{name}: {len(text) / 1000:.0f} kB", flush=True)


def draw_diagrams() -> None:
    """All diagrams of the page."""
    draw_masking()
    draw_network()
    draw_data_flow()


def draw_masking() -> None:
    """The blind spot, and the pixels that each method masks."""
    drawing = Drawing(880, 420, "Noise2Void masks a pixel and predicts it from others")
    size, side, top = 7, 26, 56
    rows, columns = np.mgrid[:size, :size]
    clean = 0.15 + 0.6 * np.exp(-((rows + columns - 7) ** 2) / 5)
    noisy = clean + np.random.default_rng(3).normal(0, 0.16, clean.shape)
    masked = noisy.copy()
    masked[3, 3] = noisy[1, 4]
    whole = size * side
    for x, image, title in (
        (30, noisy, "noisy patch"), (270, masked, "input of the network"),
        (660, clean, "output of the network"),
    ):  # fmt: skip
        drawing.text(x + whole / 2, top - 14, title, weight="bold")
        drawing.pixels(x, top, image, side)
        here = (x + 3 * side, top + 3 * side)
        drawing.box(*here, side, side, "none", ORANGE, thick=4)
    drawing.box(270 + 4 * side, top + side, side, side, "none", BLUE, thick=3)
    drawing.arrow(
        (270 + 4.4 * side, top + 2 * side), (270 + 3.75 * side, top + 3 * side), color=BLUE
    )
    middle = top + whole / 2
    drawing.arrow((30 + whole + 8, middle), (262, middle))
    drawing.arrow((270 + whole + 8, middle), (496, middle))
    drawing.box(498, middle - 34, 96, 68, PALE[GREEN], GREEN, round_by=8)
    drawing.text(546, middle + 5, "U-Net", 15, weight="bold")
    drawing.arrow((596, middle), (652, middle))
    low = top + whole + 30
    for x in (30, 660):
        drawing.arrow(
            (x + 3.5 * side, low), (x + 3.5 * side, top + 4 * side + 4), color=ORANGE
        )
    drawing.box(30 + 3.5 * side - 1, low - 1, 630 + 2, 2, ORANGE)
    drawing.text(436, low - 12, "loss: squared difference at masked pixels", color=ORANGE)

    drawing.text(30, 322, "Masked\ntogether:", anchor="start", weight="bold")
    small = 13
    masks = (
        ("N2V, N2V2", lambda y, x: False),
        ("structN2V, horizontal, 5", lambda y, x: y == 0 and abs(x) <= 2),
        ("cross, 5", lambda y, x: (y == 0) != (x == 0) and abs(y + x) <= 2),
        ("square, 3", lambda y, x: max(abs(y), abs(x)) <= 1),
    )
    for number, (name, hides) in enumerate(masks):
        left = 140 + 190 * number
        for y, x in np.ndindex(size, size):
            fill = (
                ORANGE
                if (y, x) == (3, 3)
                else "#f0b793"
                if hides(y - 3, x - 3)
                else "#f5f7fa"
            )
            drawing.box(
                left + x * small, 294 + y * small, small, small, fill, FAINT, thick=0.5
            )
        drawing.text(left + size * small / 2, 294 + size * small + 20, name, 13)
    drawing.save("how-masking.svg")


def draw_network() -> None:
    """The U-Net of depth 2, and a tile with its halo."""
    drawing = Drawing(880, 400, "The U-Net, and a tile with its halo")
    drawing.text(30, 34, "U-Net of depth 2", 15, anchor="start", weight="bold")
    wide, heights, tops = 28, (150, 75, 40), (60, 236, 338)
    bars = (  # place, level and filters of each convolution
        ((46, 0, 32), (82, 0, 32), (82, 1, 64), (118, 1, 64), (118, 2, 128)),
        ((352, 2, 64), (352, 1, 64), (388, 1, 32), (388, 0, 32), (424, 0, 32)),
    )
    for side, color in zip(bars, (BLUE, ORANGE), strict=True):
        for x, level, filters in side:
            top, high = tops[level], heights[level]
            fill, line = (PALE[GREEN], GREEN) if level == 2 else (PALE[color], color)
            drawing.box(x, top, wide, high, fill, line, round_by=3)
            drawing.text(x + wide / 2, top + high / 2 + 4, str(filters), 12)
    for level, x in enumerate((82, 118)):
        low, high = tops[level] + heights[level] + 2, tops[level + 1] - 2
        drawing.arrow((x + wide / 2, low), (x + wide / 2, high), color=BLUE)
        x = 388 - 36 * level
        drawing.arrow((x + wide / 2, high), (x + wide / 2, low), color=ORANGE)
    drawing.text(88, 228, "max pooling", 12, color=BLUE, anchor="end")
    drawing.text(410, 228, "upsampling", 12, color=ORANGE, anchor="start")
    for y, start, end in ((100, 112, 384), (264, 148, 348)):
        drawing.arrow((start, y), (end, y), color=FAINT)
        drawing.text(248, y - 8, "skip connection", 12, color=FAINT)
    drawing.arrow((148, 358), (348, 358), color=GREEN)
    drawing.arrow((14, 135), (42, 135))
    drawing.arrow((455, 135), (483, 135))

    drawing.text(540, 34, "Tiles and their halo", 15, anchor="start", weight="bold")
    left, top, side, halo = 552, 84, 76, 26
    for row, column in np.ndindex(3, 4):
        place = (left + column * side, top + row * side)
        drawing.box(*place, side, side, PALE[FAINT], FAINT, thick=1)
    for row, column in ((1, 2), (2, 0)):
        x, y = left + column * side, top + row * side
        outer = side + 2 * halo
        drawing.box(x - halo, y - halo, outer, outer, PALE[BLUE], BLUE, dashes="6 4")
        drawing.box(x, y, side, side, PALE[ORANGE], ORANGE, thick=2.5)
        drawing.text(x + side / 2, y + side / 2 + 5, "result", 13, color=ORANGE)
        drawing.text(x + side / 2, y - 8, "halo", 12, color=BLUE)
    drawing.text(left + side / 2, top + 3 * side + 17, "reflected", 12, color=BLUE)
    drawing.text(left, 378, "halo: 26 pixels for depth 2, 29 for N2V2", 13, anchor="start")
    drawing.save("how-network.svg")


def draw_data_flow() -> None:
    """From image to model, and from image and model to result."""
    drawing = Drawing(880, 400, "Data flow in training and prediction")
    training = (
        ("Image", "file, layer,\narray; axes", FAINT),
        ("Patches", "64 × 64 or\n16 × 64 × 64", BLUE),
        ("Normalize", "mean 0,\nSD 1", BLUE), ("Augment", "flip,\nrotate", BLUE),
        ("Mask", "N2V; or use\nthe target", ORANGE), ("U-Net", "predicts\npixels", GREEN),
        ("Loss", "updates\nthe weights", GREEN),
    )  # fmt: skip
    prediction = (
        ("Image", "of any\nsize", FAINT), ("Tiles", "each with\nits halo", BLUE),
        ("Normalize", "as in\ntraining", BLUE), ("U-Net", "EMA\nweights", GREEN),
        ("Crop", "the halo;\nrestore units", BLUE),
        ("Combine", "own value,\nbuilt-in", ORANGE),
        ("Result", "axes, pixel\nsize, record", FAINT),
    )  # fmt: skip
    _chain(drawing, 62, "Training", training)
    _chain(drawing, 282, "Prediction", prediction)
    drawing.box(330, 188, 390, 44, PALE[GREEN], GREEN, round_by=8)
    drawing.text(525, 215, "Model file: weights, normalization, configuration", 14)
    drawing.arrow((806, 144), (806, 210), (722, 210), color=GREEN)
    drawing.arrow((440, 234), (440, 280), color=GREEN)
    drawing.save("how-data-flow.svg")


def _chain(
    drawing: Drawing, top: float, title: str, steps: Sequence[tuple[str, str, str]]
) -> None:
    """Boxes with arrows between them."""
    drawing.text(24, top - 16, title, 15, anchor="start", weight="bold")
    for number, (name, about, color) in enumerate(steps):
        left = 24 + 121 * number
        drawing.box(left, top, 104, 80, PALE[color], color, round_by=8)
        drawing.text(left + 52, top + 25, name, 15, weight="bold")
        drawing.text(left + 52, top + 46, about, 13)
        if number:
            drawing.arrow((left - 17, top + 40), (left - 1, top + 40))


if __name__ == "__main__":
    draw_diagrams()
