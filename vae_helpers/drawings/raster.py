"""A drawing as a small PNG file, for viewers that show no SVG, and for paper.

It reads the few shapes that `svg.Sheet` writes, and no other SVG. matplotlib fills them and
brings the font, so that nothing must be installed.
"""

import io
import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.textpath import TextPath, text_to_path
from matplotlib.transforms import Affine2D
from PIL import Image

SCALE = 1.5  # pixels of the picture for each pixel of the page
COLOURS = 24  # of the palette; the build of notebooks takes no more
CONDENSED = 0.88  # width of letters: matplotlib's font is wider than Arial
ANCHORS = {"start": 0, "middle": 0.5, "end": 1}
SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Box:
    """Where a line of text lies, in pixels of the page; y grows downwards."""

    words: str
    left: float
    top: float
    right: float
    bottom: float


def png(source: str) -> bytes:
    """The text of a drawing's SVG file -> a PNG file with a palette of few colours."""
    picture = image(source)
    # The colours that mean something, and those of the largest areas; edges of letters
    # and lines get the nearest.
    named = sorted(set(re.findall(r'(?:fill|stroke)="(#\w+)"', source)))
    colours = [tuple(round(255 * value) for value in to_rgb(name)) for name in named]
    areas = sorted(picture.getcolors(picture.width * picture.height), reverse=True)
    for _, colour in areas:
        if len(colours) < COLOURS and all(math.dist(colour, c) > 9 for c in colours):
            colours.append(colour)
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for colour in colours for value in colour])
    few = picture.quantize(palette=palette, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    few.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def image(source: str, text: bool = True, scale: float = SCALE) -> Image.Image:
    """The text of a drawing's SVG file -> a picture on white, with or without its text."""
    root = ElementTree.fromstring(source)
    width, height = int(root.get("width")), int(root.get("height"))
    # A point of the figure is a pixel of the page.
    figure = Figure(figsize=(width / 72, height / 72), dpi=72 * scale)
    place = Affine2D().scale(1 / 72, -1 / 72).translate(0, height / 72)
    place += figure.dpi_scale_trans
    hatches = {p.get("id"): p[0].get("stroke") for p in root.iter(f"{SVG}pattern")}
    with rc_context({"lines.scale_dashes": False}):
        for element in root.iter():
            kind = element.tag.removeprefix(SVG)
            if kind == "text":
                path = _letters(element)[0] if text else None
            else:
                path = OUTLINES[kind](element) if kind in OUTLINES else None
            for patch in _patches(element, path, hatches) if path else []:
                patch.set_transform(place)
                figure.add_artist(patch)
                if patch.get_gid():  # hatched: cut to its rectangle
                    patch.set_clip_path(path, place)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def text_boxes(source: str) -> list[Box]:
    """Where each line of text of a drawing lies."""
    boxes = []
    for element in ElementTree.fromstring(source).iter(f"{SVG}text"):
        path, words = _letters(element)
        (left, top), (right, bottom) = path.get_extents().get_points()
        boxes.append(Box(words, left, top, right, bottom))
    return boxes


def _patches(element, path: Path, hatches: dict[str, str]) -> list[PathPatch]:
    """Fill and line of a path, as the attributes of its element say."""
    fill, dim = element.get("fill"), float(element.get("opacity", 1))
    if fill.startswith("url(#"):
        colour = to_rgba(hatches[fill[5:-1]], dim)
        return [PathPatch(_slanted(path), fill=False, ec=colour, lw=1.5, gid="hatch")]
    found = []
    if fill != "none":
        alpha = dim * float(element.get("fill-opacity", 1))
        found = [PathPatch(path, fc=to_rgba(fill, alpha), lw=0)]
    if element.get("stroke"):
        dashes = [float(d) for d in element.get("stroke-dasharray", "").split()]
        line = PathPatch(
            path,
            fill=False,
            ec=to_rgba(element.get("stroke"), dim),
            lw=float(element.get("stroke-width")),
            ls=(0, dashes or None),
            joinstyle="round",
            capstyle="butt",
        )
        found.insert(0 if element.get("paint-order") == "stroke" else 1, line)
    return found


def _slanted(path: Path) -> Path:
    """Lines across a rectangle, seven pixels apart."""
    (left, top), (right, bottom) = path.get_extents().get_points()
    run = bottom - top
    starts = np.arange(left, right + run, 7 * np.sqrt(2))
    ends = [point for x in starts for point in ((x, top), (x - run, bottom))]
    return Path(ends, [Path.MOVETO, Path.LINETO] * len(starts))


def _numbers(element, *names: str) -> list[float]:
    return [float(element.get(name, 0)) for name in names]


def _rectangle(element) -> Path:
    x, y, w, h, r = _numbers(element, "x", "y", "width", "height", "rx")
    r = min(r, w / 2, h / 2)
    corners = [(x + w, y), (x + w, y + h), (x, y + h), (x, y)]
    if not r:
        return Path([*corners, corners[0]], closed=True)
    # From corner to corner; each is rounded by a curve that the corner controls.
    steps = [(0, r), (-r, 0), (0, -r), (r, 0)]
    points, codes = [(x + r, y)], [Path.MOVETO]
    for (a, b), (c, d), (e, f) in zip(
        corners, [(-r, 0), (0, -r), (r, 0), (0, r)], steps, strict=True
    ):
        points += [(a + c, b + d), (a, b), (a + e, b + f)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    return Path([*points, points[0]], [*codes, Path.CLOSEPOLY])


def _circle(element) -> Path:
    x, y, r = _numbers(element, "cx", "cy", "r")
    return Path.circle((x, y), r)


def _line(element) -> Path:
    pairs = [pair.split(",") for pair in element.get("points").split()]
    return Path([(float(x), float(y)) for x, y in pairs])


def _polygon(element) -> Path:
    line = _line(element).vertices
    return Path(np.concatenate([line, line[:1]]), closed=True)


OUTLINES = {
    "rect": _rectangle,
    "circle": _circle,
    "polyline": _line,
    "polygon": _polygon,
}


def _letters(element) -> tuple[Path, str]:
    """The letters of a line of text as one path, and the line."""
    x, y, paths = 0.0, 0.0, []
    for words, about in _pieces(element, {}):
        y += float(about.pop("dy", 0))
        font = FontProperties(
            family="DejaVu Sans",
            style=about.get("font-style", "normal"),
            weight=about.get("font-weight", "normal"),
            size=float(about["font-size"]),
        )
        if words.strip():
            letters = TextPath((0, 0), words, prop=font, size=font.get_size())
            place = Affine2D().scale(CONDENSED, -1).translate(x, y)
            paths.append(letters.transformed(place))
        width, _, _ = text_to_path.get_text_width_height_descent(words, font, False)
        x += CONDENSED * width
    across = float(element.get("x")) - x * ANCHORS[element.get("text-anchor")]
    place = Affine2D().translate(across, float(element.get("y")))
    whole = Path.make_compound_path(*paths).transformed(place)
    return whole, "".join(element.itertext())


def _pieces(element, about: dict) -> Iterator[tuple[str, dict]]:
    """Text in its order, each with the attributes that hold for it; dy only once."""
    about = about | element.attrib
    yield (element.text or "").replace("\u200b", ""), about
    about.pop("dy", None)
    for inner in element:
        yield from _pieces(inner, about)
        yield inner.tail or "", dict(about)
