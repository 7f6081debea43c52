"""Words of a slide: Markdown with formulas to HTML, and numbers that are looked up.

<<found: log p\\(x\\) = (\\S+)>>        what the section printed
<<measured: gap of the best Gaussian>>  what a prediction was held against
<<band: KL, nats>>                      smallest and largest recorded value
<<held: Amortisation loses more>>       in how many recorded runs a claim held
<<= 0.5 * (4 - 1 - log(4)) : .2f>>      computed here
"""

import html
import math
import re
from functools import cache

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from slides.source import Lesson

LOOKED_UP = re.compile(r"<<(?:(found|measured|band|held): (.+?)|= (.+?) : (\S+?))>>")
XMLNS = ' xmlns="http://www.w3.org/1998/Math/MathML"'  # needless inside HTML
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
    """TeX as MathML, which browsers draw without a script; the TeX is its label."""
    from latex2mathml.converter import convert  # only rendering needs it

    shown = convert(_in_its_words(tex), display="block" if display else "inline")
    return shown.replace(XMLNS, "")


def _in_its_words(tex: str) -> str:
    """TeX without what the converter does not know or what MathML does by itself."""
    tex = re.sub(r"\\(?:big|Big|bigg|Bigg)[lr]?(?![a-z])", "", tex)
    tex = tex.replace(r"\lVert", r"\Vert").replace(r"\rVert", r"\Vert")
    return tex.replace(r"\tfrac", r"\frac").replace(r"\!", "")


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
