"""The course's family of drawings: one machine, one set of colours, made by code.

    drawings.show("vae", mark="encoder")    ends a cell; the other parts are dimmed
    drawings.svg("vae", theme="dark")       the text of an SVG file
    python -m vae_helpers.drawings FOLDER   writes NAME.svg and NAME-dark.svg

A colour means one thing: orange the encoder and q, blue the decoder and what it restores,
green the true posterior, pink noise, grey the prior, ink the data. Dashes, hatches and
markers say the same without colour. Every number comes from a formula in the code.
"""

import base64
import html
from dataclasses import dataclass

from vae_helpers.drawings import bounds, course, machine, prices, scores, sheets
from vae_helpers.drawings.svg import WIDTH, Sheet

_DRAWINGS = {
    drawing.__name__: drawing
    for drawing in (
        machine.vae,
        machine.bottleneck,
        machine.cut_gradient,
        bounds.two_kls,
        bounds.staircase,
        machine.which_code,
        prices.water,
        sheets.push_and_pull,
        scores.roc,
        scores.protocol,
        course.map,
        bounds.bayes,
        bounds.hole,
        scores.threshold,
        sheets.flat_and_bent,
        prices.hidden_beta,
    )
}


@dataclass(frozen=True)
class Drawing:
    """A drawing that ends a cell.

    Attributes:
        source: the text of an SVG file.
        words: what it shows, for those who do not see it.
    """

    source: str
    words: str

    def __repr__(self) -> str:
        return f"Drawing: {self.words}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        data = base64.b64encode(self.source.encode()).decode()
        image = (
            f'<img src="data:image/svg+xml;base64,{data}" '
            f'alt="{html.escape(self.words)}" width="{WIDTH}" style="max-width:100%">'
        )
        bundle = {
            "text/plain": self.words,
            "text/html": f'<figure style="margin:0">{image}</figure>',
            "image/svg+xml": self.source,  # for viewers that drop images out of HTML
        }
        return bundle, {"image/svg+xml": {"alt": self.words}}


def names() -> list[str]:
    """The names of all drawings, in the order of their making."""
    return list(_DRAWINGS)


def show(name: str, mark: str | None = None) -> Drawing:
    """A drawing for the end of a cell, on a light ground.

    Args:
        name: one of `names()`.
        mark: a part that stays bright while the others are dimmed; None shows all.

    Raises:
        ValueError: no such drawing, or it has no such part; the message lists them.
    """
    sheet = _draw(name, mark, "light")
    return Drawing(str(sheet), sheet.words)


def svg(name: str, mark: str | None = None, theme: str = "light") -> str:
    """The text of an SVG file; name and mark as in `show`, theme "light" or "dark"."""
    return str(_draw(name, mark, theme))


def _draw(name: str, mark: str | None, theme: str) -> Sheet:
    if name not in _DRAWINGS:
        raise ValueError(f"no drawing {name!r}; there are {', '.join(names())}")
    sheet = Sheet(theme, mark)
    _DRAWINGS[name](sheet)
    if mark is not None and mark not in sheet.parts:
        have = ", ".join(sheet.parts) or "none"
        raise ValueError(f"drawing {name!r} has no part {mark!r}; its parts: {have}")
    return sheet
