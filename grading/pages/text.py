"""Text for a page: whatever a student wrote comes out as text, never as markup."""

import re

import mistune
from latex2mathml.converter import convert
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

LINES = 300  # of code on a page
PIECES = re.compile(r"(`[^`\n]+`|\$[^$\n]+\$)")
STRONG = re.compile(r"(?<![\w*])\*([^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])")
SHARES = {0.25: "a quarter", 0.5: "half", 0.75: "three quarters"}
# What no page may hold: control characters, and halves of characters.
ODD = {n: None for n in range(32) if chr(n) not in "\t\n"} | {127: None}


def clean(page: str) -> str:
    """A page that any browser can read."""
    return page.encode("utf-8", "replace").decode("utf-8").translate(ODD)


def code(source: str) -> Markup:
    """Python with colours; the end of very long code is left out."""
    kept = source.strip("\n").split("\n")
    left = len(kept) - LINES
    text = "\n".join(kept[:LINES])
    if left > 0:
        text += f"\n# ... {left} more lines"
    return Markup(highlight(text, PythonLexer(), HtmlFormatter(nowrap=True)))


def words(text: str) -> Markup:
    """A sentence of a check: names in code, formulas, emphasis, line ends; no more."""
    made = []
    for piece in PIECES.split(text):
        if len(piece) > 2 and piece[0] == piece[-1] == "`":
            made.append(Markup("<code>{}</code>").format(piece[1:-1]))
        elif len(piece) > 2 and piece[0] == piece[-1] == "$":
            made.append(formula(piece[1:-1]))
        else:
            plain = STRONG.sub(r"<em>\1</em>", str(escape(piece)))
            made.append(Markup(plain.replace("\n", "<br>\n")))
    return Markup("").join(made)


def formula(tex: str, display: str = "inline") -> Markup:
    """TeX as MathML, which browsers draw by themselves; as it is if it is no TeX."""
    try:
        return Markup(convert(tex, display=display))
    except Exception:  # whatever somebody wrote between two dollars
        return Markup("<code>{}</code>").format(tex)


def markdown(text: str) -> Markup:
    """A text of the course, such as a hint."""
    made = mistune.create_markdown(escape=True, plugins=["math"])
    made.renderer.register("inline_math", lambda _, tex: str(formula(tex)))
    made.renderer.register("block_math", lambda _, tex: str(formula(tex, "block")))
    return Markup(made(text))


def number(value: float | None) -> str:
    """Points without zeros at the end."""
    return "–" if value is None else f"{round(value, 2):g}"


def share(value: float) -> str:
    """A share of points in words."""
    return SHARES.get(value, f"{100 * value:.0f} %")
