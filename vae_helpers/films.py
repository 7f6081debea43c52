"""Short silent films that loop, each with one still that tells the same.

A film needs no kernel once it is made: it is an animated WebP file in the text of the page.
Who asked their system for less motion, and GitHub's viewer, get the still.
"""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from vae_helpers.pictures import as_html

SCALE = 1.5  # pixels of a frame for each pixel of the page
LIMIT = 300 * 1024  # bytes of a film
WAY = Image.Quantize.MAXCOVERAGE  # the usual palette spends its colours on greys
# All frames share one palette: lines and letters stay sharp, and the file small.
GREYS, COLOURS = 20, 40


@dataclass(frozen=True)
class Film:
    """A film that ends a cell.

    Attributes:
        data: the animated WebP file.
        still: a PNG file of one frame.
        width: in pixels of the page.
        words: what the film shows, for those who do not see it.
    """

    data: bytes
    still: bytes
    width: int
    words: str

    def __repr__(self) -> str:
        return f"Film: {self.words}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        still = base64.b64encode(self.still).decode()
        film = as_html(self.data, "image/webp", self.width, self.words)
        calm = (
            '<source media="(prefers-reduced-motion: reduce)" '
            f'srcset="data:image/png;base64,{still}">'
        )
        data = {
            "text/plain": repr(self),
            "text/html": f"<picture>{calm}{film}</picture>",
            "image/png": still,
        }
        return data, {"image/png": {"alt": self.words}}


def show(
    draw: Callable[[Figure, float], None],
    words: str,
    *,
    frames: int = 30,
    seconds: float = 4.0,
    width: float = 5.0,
    height: float = 3.0,
    still: float = 1.0,
    back: bool = False,
) -> Film:
    """Make a film by drawing its frames one after the other.

    Args:
        draw: called as draw(figure, t) with an empty figure and t from 0 to 1; what it
            draws must be of one kind with fixed axes, so that nothing jumps.
        words: what the film shows and what is to be seen in it, one or two sentences.
        frames: how many pictures.
        seconds: of one round, without the rest of a second at its end.
        width, height: of the picture in inches of 100 pixels of the page.
        still: the t of the picture that stands for the film.
        back: play it backwards after it was played.

    Raises:
        ValueError: fewer than 2 frames, no words, or a film of more than 300 KB.
    """
    if frames < 2 or not words:
        raise ValueError(
            f"a film needs 2 frames or more and words, got {frames} frames"
        )
    places: list = []
    # Whatever a frame draws at random, nothing later in the lesson changes.
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        times = [i / (frames - 1) for i in range(frames)]
        pictures = [_frame(draw, t, width, height, places) for t in times]
        kept = _frame(draw, still, width, height, places)
    few = _of_few_colours([*pictures, kept])
    pictures, kept = few[:-1], few[-1]
    if back:
        pictures += pictures[-2:0:-1]
    each = round(1000 * seconds / frames)
    rests = [each] * (len(pictures) - 1) + [each if back else 1000]
    data = _file(
        pictures[0],
        "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=rests,
        loop=0,
        lossless=True,
        quality=50,
        method=1,
    )
    if len(data) > LIMIT:
        raise ValueError(
            f"the film has {len(data) // 1024} KB, more than {LIMIT // 1024}: take fewer "
            "frames or a smaller picture"
        )
    still_file = _file(kept.quantize(GREYS + COLOURS, WAY), "PNG", optimize=True)
    return Film(data, still_file, round(100 * width), " ".join(words.split()))


def _frame(
    draw: Callable, t: float, width: float, height: float, places: list
) -> Image.Image:
    """One picture; the first one fills `places` with where its axes are, for the others."""
    figure = Figure(figsize=(width, height), dpi=100 * SCALE, layout="constrained")
    with torch.inference_mode():
        draw(figure, t)
    if len(places) == len(figure.axes):  # so nothing jumps, and it is twice as fast
        figure.set_layout_engine("none")
        for ax, place in zip(figure.axes, places, strict=True):
            ax.set_position(place)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    if not places:
        canvas.draw()  # axes of a fixed aspect find their place in the second go
        places += [ax.get_position(original=True) for ax in figure.axes]
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _of_few_colours(pictures: list[Image.Image]) -> list[Image.Image]:
    """The same pictures with one palette: greys, and colours of first, middle and last."""
    across, down = pictures[0].size
    some = Image.new("RGB", (across, 3 * down))
    for row, i in enumerate((0, len(pictures) // 2, -1)):
        some.paste(pictures[i], (0, row * down))
    found = some.quantize(COLOURS, WAY, dither=Image.Dither.NONE).getpalette()
    greys = [round(255 * i / (GREYS - 1)) for i in range(GREYS) for _ in "rgb"]
    few = Image.new("P", (1, 1))
    few.putpalette([*greys, *found[: 3 * COLOURS]])
    none = {"palette": few, "dither": Image.Dither.NONE}
    return [picture.quantize(**none).convert("RGB") for picture in pictures]


def _file(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def to_file(film: Film, path) -> None:
    """Write a film as a file, for a README or a page."""
    with open(path, "wb") as file:
        file.write(film.data)
