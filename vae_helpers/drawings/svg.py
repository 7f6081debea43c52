"""A short writer of SVG: shapes whose colour has one meaning, and text with formulas.

Coordinates are pixels at the width of a page (640), x to the right and y downwards. Text
is always in ink, so that it can be read on both grounds; colour belongs to shapes.
"""

import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from xml.sax.saxutils import escape

from vae_helpers.plots import CLASS_COLOURS, COLOURS

WIDTH = 640
SMALLEST = 12  # pixels; nothing is written smaller, indices included
FONT = "Arial, Helvetica, 'DejaVu Sans Condensed', sans-serif"
DIM_SHAPE, DIM_TEXT = 0.22, 0.65  # opacities; dimmed text can still be read
_BLUE, _ORANGE, _GREEN, _PINK = COLOURS[:4]
# What a colour means is the same in both themes; blue and grey are lighter on black.
_BLACK, _RED = COLOURS[6], CLASS_COLOURS[2]
_SHARED = {
    "encoder": _ORANGE,
    "posterior": _GREEN,
    "noise": _PINK,
    "broken": _RED,
}
THEMES = {
    "light": _SHARED
    | {
        "paper": "white",
        "ink": _BLACK,
        "data": _BLACK,
        "decoder": _BLUE,
        "prior": "#666666",
    },
    "dark": _SHARED
    | {
        "paper": _BLACK,
        "ink": "white",
        "data": "white",
        "decoder": COLOURS[5],
        "prior": "#888888",
    },
}
DASHES = {"solid": "", "dashed": "7 5", "dotted": "2 4"}
Point = tuple[float, float]


def number(value: float) -> str:
    """A coordinate with at most one decimal place."""
    return f"{round(float(value), 1) + 0.0:g}"


def scale(
    low: float, high: float, start: float, end: float
) -> Callable[[float], float]:
    """The straight line that takes low to start and high to end: values to pixels."""
    return lambda value: start + (end - start) * (value - low) / (high - low)


def gaussian(t: float, mean: float = 0.0, sigma: float = 1.0) -> float:
    """The density of N(mean, sigma^2) at t."""
    return math.exp(-0.5 * ((t - mean) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))


def between(low: float, high: float, steps: int = 80) -> list[float]:
    """steps + 1 values from low to high, both included."""
    return [low + (high - low) * i / steps for i in range(steps + 1)]


class Sheet:
    """One drawing that grows shape by shape.

    Args:
        theme: "light" or "dark".
        mark: the parts that stay bright while the others are dimmed; empty for all.

    Attributes:
        title: written at the top. caption: the conclusion, shown below the drawing.
        words: the caption and more, for those who do not see the drawing.
        parts: the names that `mark` may take, known once the drawing is made.
    """

    def __init__(self, theme: str = "light", mark: Collection[str] = ()):
        if theme not in THEMES:
            raise ValueError(f"need a theme of {', '.join(THEMES)}, got {theme!r}")
        self.colours, self.mark = THEMES[theme], set(mark)
        self.parts: list[str] = []
        self._shapes: list[str] = []
        self._hatches: set[str] = set()
        self._dimmed = False

    def begin(self, height: int, title: str, caption: str, details: str) -> None:
        """Set the height in pixels, the title and the words.

        Args:
            caption: one or two sentences, the conclusion first.
            details: what is drawn, for those who do not see it; follows the caption.
        """
        self.height, self.title = height, title
        self.caption = " ".join(caption.split())
        self.words = " ".join(f"{caption} {details}".split())
        self.text(20, 30, title, size=17, anchor="start", bold=True)

    @contextmanager
    def part(self, *names: str) -> Iterator[None]:
        """What is drawn inside can be marked by each of these names, words without spaces."""
        self.parts += [name for name in names if name not in self.parts]
        self._dimmed = bool(self.mark) and not self.mark & set(names)
        dim = ' data-dim="yes"' if self._dimmed else ""
        self._shapes.append(f'<g data-part="{" ".join(names)}"{dim}>')
        yield
        self._shapes.append("</g>")
        self._dimmed = False

    def _opacity(self, value: float) -> str:
        return f' opacity="{value}"' if self._dimmed else ""

    # Shapes ----------------------------------------------------------------------

    def _paint(
        self, role: str, fill: float = 0, width: float = 2, dash: str = "solid"
    ) -> str:
        """Attributes of a shape: its outline and, between 0 and 1, how full it is."""
        colour = self.colours[role]
        inside = f'fill="{colour}" fill-opacity="{fill:g}"' if fill else 'fill="none"'
        inside += self._opacity(DIM_SHAPE)
        if not width:
            return inside
        pattern = f' stroke-dasharray="{DASHES[dash]}"' if DASHES[dash] else ""
        return f'{inside} stroke="{colour}" stroke-width="{width:g}"{pattern}'

    def box(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        role: str = "ink",
        *,
        fill: float = 0.12,
        width: float = 2,
        dash: str = "solid",
        radius: float = 8,
        hatch: bool = False,
    ) -> None:
        """A rectangle; hatched where colour alone would not tell it from its neighbour."""
        corners = f'rx="{number(radius)}"' if radius else ""
        place = f'x="{number(x)}" y="{number(y)}" width="{number(w)}" height="{number(h)}" {corners}'
        paint = self._paint(role, fill, width, dash)
        self._shapes.append(f"<rect {place} {paint}/>")
        if hatch:
            self._hatches.add(role)
            dim = self._opacity(DIM_SHAPE)
            self._shapes.append(f'<rect {place} fill="url(#hatch-{role})"{dim}/>')

    def polygon(
        self,
        points: Sequence[Point],
        role: str = "ink",
        *,
        fill: float = 0.12,
        width: float = 2,
    ) -> None:
        """A closed shape through points."""
        path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self._shapes.append(
            f'<polygon points="{path}" {self._paint(role, fill, width)} stroke-linejoin="round"/>'
        )

    def trapezoid(
        self,
        x: float,
        y: float,
        w: float,
        left: float,
        right: float,
        role: str,
    ) -> None:
        """A network: its height goes from left to right over the width; y is its middle."""
        a, b = left / 2, right / 2
        self.polygon([(x, y - a), (x + w, y - b), (x + w, y + b), (x, y + a)], role)

    def circle(
        self,
        x: float,
        y: float,
        r: float,
        role: str = "ink",
        *,
        fill: float = 1,
        width: float = 2,
    ) -> None:
        """A point, or with a larger radius a node."""
        place = f'cx="{number(x)}" cy="{number(y)}" r="{number(r)}"'
        self._shapes.append(f"<circle {place} {self._paint(role, fill, width)}/>")

    def square(self, x: float, y: float, r: float, role: str, fill: float = 1) -> None:
        """A marker that differs from a circle without its colour; r is half its side."""
        self.box(x - r, y - r, 2 * r, 2 * r, role, fill=fill, radius=0)

    def curve(
        self,
        points: Sequence[Point],
        role: str = "ink",
        *,
        width: float = 2.5,
        dash: str = "solid",
        down_to: float | None = None,
        fill: float = 0.15,
    ) -> None:
        """A line through points; with down_to the area down to that height is tinted."""
        if down_to is not None:
            ends = [(points[-1][0], down_to), (points[0][0], down_to)]
            self.polygon([*points, *ends], role, fill=fill, width=0)
        path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        paint = self._paint(role, 0, width, dash)
        self._shapes.append(
            f'<polyline points="{path}" {paint} stroke-linejoin="round"/>'
        )

    def arrow(
        self,
        *points: Point,
        role: str = "ink",
        width: float = 2,
        dash: str = "solid",
        both: bool = False,
    ) -> None:
        """A line through points with a head at the end, or at both ends."""
        head = 5 + 2 * width
        line = list(points)
        for end, before in [(-1, -2), (0, 1)][: 1 + both]:
            (x, y), (u, v) = points[end], points[before]
            length = math.hypot(x - u, y - v)
            dx, dy = (x - u) / length, (y - v) / length
            bx, by = x - head * dx, y - head * dy
            half = 0.45 * head
            wings = [(bx - half * dy, by + half * dx), (bx + half * dy, by - half * dx)]
            self.polygon([(x, y), *wings], role, fill=1, width=0)
            line[end] = (bx + dx, by + dy)
        self.curve(line, role, width=width, dash=dash)

    def cross(self, x: float, y: float, r: float = 9) -> None:
        """The sign of what is broken or forbidden."""
        self.curve([(x - r, y - r), (x + r, y + r)], "broken", width=4)
        self.curve([(x - r, y + r), (x + r, y - r)], "broken", width=4)

    # Text ------------------------------------------------------------------------

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float = 14,
        anchor: str = "middle",
        bold: bool = False,
        halo: bool = False,
    ) -> None:
        """One line; y is its base line.

        Args:
            words: text, with formulas between dollar signs: "$q_{φ}(z | x)$".
            anchor: what x is of the text: "start", "middle" or "end".
            halo: ground behind the letters, for text that lies on lines.
        """
        style = self._opacity(DIM_TEXT) + (' font-weight="bold"' if bold else "")
        if halo:
            paper = self.colours["paper"]
            style += f' stroke="{paper}" stroke-width="5" stroke-linejoin="round" paint-order="stroke"'
        place = f'x="{number(x)}" y="{number(y)}" font-size="{number(size)}" text-anchor="{anchor}"'
        ink = self.colours["ink"]
        self._shapes.append(
            f'<text {place} fill="{ink}"{style}>{_spans(words, size)}</text>'
        )

    def lines(
        self, x: float, y: float, *words: str, size: float = 14, anchor: str = "middle"
    ) -> None:
        """Lines of text below each other; y is the base line of the first."""
        for i, line in enumerate(words):
            self.text(x, y + i * 1.3 * size, line, size=size, anchor=anchor)

    def __str__(self) -> str:
        """The whole file."""
        hatches = "".join(
            f'<pattern id="hatch-{role}" width="7" height="7" patternUnits="userSpaceOnUse" '
            f'patternTransform="rotate(45)"><path d="M0 0V7" stroke="{self.colours[role]}" '
            'stroke-width="3"/></pattern>'
            for role in sorted(self._hatches)
        )
        size = f'width="{WIDTH}" height="{self.height}"'
        head = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {self.height}" '
            f'role="img" font-family="{FONT}">',
            f"<title>{escape(plain(self.title))}</title>",
            f"<desc>{escape(self.words)}</desc>",
            f"<defs>{hatches}</defs>" if hatches else "",
            f'<rect {size} rx="10" fill="{self.colours["paper"]}"/>',
        ]
        return "\n".join([*filter(None, head), *self._shapes, "</svg>"]) + "\n"


def plain(words: str) -> str:
    """A title without the signs of formulas."""
    return re.sub(r"[$_^{}]", "", words)


_TOKEN = re.compile(r"([_^])\{([^}]*)\}|([A-Za-z]{2,})|([A-Za-zΑ-ω])|([^A-Za-zΑ-ω_^]+)")


def _spans(words: str, size: float) -> str:
    """Text with its formulas as tspans; single letters are italic, words are not."""
    pieces = words.split("$")
    return "".join(
        _formula(piece, size) if i % 2 else escape(piece)
        for i, piece in enumerate(pieces)
    ) + ("" if len(pieces) % 2 else _odd(words))


def _odd(words: str) -> str:
    raise ValueError(f"a dollar sign has no partner in {words!r}")


def _formula(maths: str, size: float, shift: float = 0) -> str:
    """Tspans of one formula; shift is how far its first letter stands below the line."""
    small, back, out = max(SMALLEST, 0.72 * size), 0.0, []
    for where, index, word, letter, rest in _TOKEN.findall(maths):
        if where:
            move = (0.24 if where == "_" else -0.38) * size
            inner = "".join(
                f'<tspan font-style="italic">{c}</tspan>' if c.isalpha() else escape(c)
                for c in index
            )
            out.append(
                f'<tspan dy="{number(back + move)}" font-size="{number(small)}">{inner}</tspan>'
            )
            back = -move
            continue
        style = ' font-style="italic"' if letter else ""
        step = f' dy="{number(back)}"' if back else ""
        content = escape(word or letter or rest)
        out.append(
            f"<tspan{step}{style}>{content}</tspan>" if step or style else content
        )
        back = 0.0
    if back:  # A zero-width space brings the line back for what follows.
        out.append(f'<tspan dy="{number(back)}">\u200b</tspan>')
    return "".join(out)
