"""The course's family of drawings: one machine, one set of colours, made by code.

    drawings.show("vae", mark="encoder")            ends a cell; the other parts are dimmed
    drawings.show("vae", mark=("q", "prior"))       two parts stay bright
    drawings.svg("vae", theme="dark")               the text of an SVG file
    python -m vae_helpers.drawings FOLDER           writes NAME.svg and NAME-dark.svg

A colour means one thing: orange the encoder and q, blue the decoder and what it restores,
green the true posterior, pink noise, grey the prior, ink the data. Dashes, hatches and
markers say the same without colour. Every number comes from a formula in the code.

A drawing leaves a notebook as `text/html`, an SVG image with its caption as text below it,
and as a small `image/png` for GitHub's viewer and for LaTeX. Why both, and why never as
`image/svg+xml`, stands in vae_helpers/pictures.py.
"""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass

from vae_helpers.drawings import (
    bounds,
    collapse,
    course,
    gradients,
    machine,
    prices,
    raster,
    scores,
    sheets,
)
from vae_helpers.drawings.svg import WIDTH, Sheet

_DRAWINGS = {
    drawing.__name__: drawing
    for drawing in (
        machine.vae,
        machine.bottleneck,
        gradients.cut_gradient,
        gradients.two_gradients,
        bounds.two_kls,
        bounds.staircase,
        bounds.jensen,
        bounds.bayes,
        machine.which_code,
        course.training_loop,
        collapse.collapse,
        collapse.hole,
        prices.water,
        prices.hidden_beta,
        sheets.push_and_pull,
        sheets.flat_and_bent,
        scores.roc,
        scores.protocol,
        scores.threshold,
        course.map,
    )
}


@dataclass(frozen=True)
class Drawing:
    """A drawing that ends a cell.

    Attributes:
        source: the text of an SVG file.
        caption: its conclusion, shown as text below it.
        words: the caption and what is drawn, for those who do not see it.
    """

    source: str
    caption: str
    words: str

    def __repr__(self) -> str:
        return f"Drawing: {self.words}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        data = base64.b64encode(self.source.encode()).decode()
        image = (
            f'<img src="data:image/svg+xml;base64,{data}" '
            f'alt="{html.escape(self.words)}" width="{WIDTH}" style="max-width:100%">'
        )
        caption = f"<figcaption>{html.escape(self.caption)}</figcaption>"
        bundle = {
            "text/plain": repr(self),
            "text/html": f'<figure style="margin:0">{image}{caption}</figure>',
            "image/png": base64.b64encode(raster.png(self.source)).decode(),
        }
        return bundle, {"image/png": {"alt": self.words, "width": WIDTH}}


def names() -> list[str]:
    """The names of all drawings, those of the machine first."""
    return list(_DRAWINGS)


def parts(name: str) -> list[str]:
    """The names that `mark` may take for a drawing."""
    return _draw(name, None, "light").parts


def show(name: str, mark: str | Sequence[str] | None = None) -> Drawing:
    """A drawing for the end of a cell, on a light ground.

    Args:
        name: one of `names()`.
        mark: the part, or parts, that stay bright while the others are dimmed: one or
            several of `parts(name)`. None shows all.

    Raises:
        ValueError: no such drawing, or it has no such part; the message lists them.
    """
    sheet = _draw(name, mark, "light")
    return Drawing(str(sheet), sheet.caption, sheet.words)


def svg(
    name: str, mark: str | Sequence[str] | None = None, theme: str = "light"
) -> str:
    """The text of an SVG file; name and mark as in `show`, theme "light" or "dark"."""
    return str(_draw(name, mark, theme))


def caption(name: str) -> str:
    """The sentence or two that stand below a drawing."""
    return _draw(name, None, "light").caption


def _draw(name: str, mark: str | Sequence[str] | None, theme: str) -> Sheet:
    if name not in _DRAWINGS:
        raise ValueError(f"no drawing {name!r}; there are {', '.join(names())}")
    marks = (mark,) if isinstance(mark, str) else tuple(mark or ())
    sheet = Sheet(theme, marks)
    _DRAWINGS[name](sheet)
    unknown = [part for part in marks if part not in sheet.parts]
    if unknown:
        got, have = ", ".join(map(repr, unknown)), ", ".join(sheet.parts)
        raise ValueError(f"drawing {name!r} has no part {got}; its parts: {have}")
    return sheet
