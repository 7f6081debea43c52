"""Words of a slide: Markdown with formulas to HTML, and numbers that are looked up.

<<found: log p\\(x\\) = (\\S+)>>        what the section printed
<<measured: gap of the best Gaussian>>  what a prediction was held against
<<band: KL, nats>>                      smallest and largest recorded value
<<held: Amortisation loses more>>       in how many recorded runs a claim held
<<= 0.5 * (4 - 1 - log(4)) : .2f>>      computed here
"""

import base64
import html
import math
import re
from functools import cache

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from slides.source import Lesson

LOOKED_UP = re.compile(r"<<(?:(found|measured|band|held): (.+?)|= (.+?) : (\S+?))>>")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\([^)]*\)")


def fill_in(text: str, lesson: Lesson, heading: str) -> str:
    """Text with its looked-up numbers."""

    def value(match: re.Match) -> str:
        kind, name, expression, form = match.groups()
        if expression:
            names = {n: getattr(math, n) for n in ("log", "exp", "sqrt", "pi", "log2")}
            number = eval(expression, {"__builtins__": {}}, names)
            return format(number, form).replace("-", "−")
        if kind == "found":
            return lesson.found(heading, name).replace("-", "−")
        if kind == "measured":
            return lesson.measured(name)
        return lesson.band(name) if kind == "band" else lesson.claim(name)[1]

    return LOOKED_UP.sub(value, text)


def formula(tex: str, *, display: bool) -> str:
    """A mark in the place of a formula; `slides.tex.draw` puts the formula there."""
    data = base64.b64encode(tex.encode()).decode()
    return f"\ue000{'D' if display else 'I'}{data}\ue001"


@cache
def _markdown() -> MarkdownIt:
    def render(tex: str, options: dict) -> str:
        return formula(tex, display=options["display_mode"])

    md = MarkdownIt("commonmark", {"html": False}).enable("table")
    return md.use(dollarmath_plugin, renderer=render, double_inline=True)


def page(text: str) -> str:
    """Markdown as HTML. Links lose their address: nothing on a slide leads away."""
    return _markdown().render(LINK.sub(r"\1", text)).strip()


def line(text: str) -> str:
    """One line of Markdown as HTML, without a paragraph around it."""
    return _markdown().renderInline(LINK.sub(r"\1", text)).strip()


def code(text: str) -> str:
    """Program or printed text, letter by letter."""
    return f"<pre>{html.escape(text)}</pre>"
