"""How a figure leaves a notebook: sharp, and with words for those who do not see it.

A figure is handed out twice; films and drawings follow the same rule. As `text/html`, an
image of twice as many pixels as it is wide, with its description as alternative text:
JupyterLab, Colab, nbconvert and the site show this one, and only there do the words reach a
screen reader (a plain `image/png` has no place for them). And as `image/png`, for what shows
no images of HTML: LaTeX, and GitHub's viewer, which cleans HTML before it shows it (how much
it takes out is not documented and has changed).

Nothing is handed out as `image/svg+xml`. GitHub's viewer showed such pictures without their
text or not at all (Cantera/cantera-jupyter issue 37, xflr6/graphviz issue 182, both 2022), and
`nbconvert --to latex` stops at one where Inkscape is missing (jupyter/nbconvert issue 302).
"""

import base64
import html
import io
import sys

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

SCALE = 2  # pixels of the picture for each pixel of the page
COLOURS = 128  # of a palette, which makes a picture four times smaller


def describe(figure: Figure) -> str:
    """What a figure shows, in words taken from its titles, axes, labels and legends."""
    panels = []
    for ax in figure.axes:
        words = [ax.get_title()] if ax.get_title() else []
        if ax.get_xlabel() and ax.get_ylabel():
            words.append(f"{ax.get_ylabel()} against {ax.get_xlabel()}")
        elif ax.get_ylabel() or ax.get_xlabel():
            words.append(ax.get_ylabel() or ax.get_xlabel())
        if ax.images and not (ax.get_xlabel() or ax.get_ylabel()):
            labels = [t.get_text() for t in ax.get_yticklabels() if t.get_text()]
            words.append(f"images in rows: {', '.join(labels)}" if labels else "images")
        _, names = ax.get_legend_handles_labels()
        if names:
            words.append(f"shown: {', '.join(dict.fromkeys(names))}")
        if words:
            panels.append("; ".join(" ".join(word.split()) for word in words))
    title = [figure.get_suptitle()] if figure.get_suptitle() else []
    return ". ".join(["Figure", *title, *panels]) + "."


def sharp(figure: Figure) -> Image.Image:
    """A figure with SCALE pixels for each pixel of the page, cut to what is drawn."""
    buffer = io.BytesIO()
    # What pyplot shows inline is cut in the same way.
    figure.savefig(
        buffer,
        format="png",
        dpi=SCALE * figure.dpi,
        bbox_inches="tight",
        pad_inches=0.1,
    )
    return Image.open(buffer).convert("RGB")


def of_few_colours(picture: Image.Image, count: int) -> Image.Image:
    """An RGB picture with a palette of `count` colours, greys among them where it has colours.

    Digits and lines are grey, and classes have colours: one palette for both would spend
    itself on the many greys, or tint them.
    """
    pixels = np.asarray(picture).reshape(-1, 3)
    coloured = pixels[np.ptp(pixels, axis=1) > 40]
    none = Image.Dither.NONE
    if not len(coloured):
        return picture.quantize(count, dither=none)
    greys = 3 * count // 8
    strip = Image.fromarray(np.ascontiguousarray(coloured[None]))
    found = strip.quantize(count - greys, kmeans=10, dither=none).getpalette()
    palette = Image.new("P", (1, 1))
    levels = np.linspace(0, 255, greys).round().astype(int).repeat(3)
    palette.putpalette([*levels.tolist(), *found[: 3 * (count - greys)]])
    return picture.quantize(palette=palette, dither=none)


def packed(picture: Image.Image) -> bytes:
    """A picture as a small file: WebP without loss, or a palette of colours if smaller."""
    few = of_few_colours(picture, COLOURS).convert("RGB")
    files = []
    for each in (picture, few):
        buffer = io.BytesIO()
        each.save(buffer, "WEBP", lossless=True, quality=50, method=4)
        files.append(buffer.getvalue())
    return min(files, key=len)


def as_html(data: bytes, kind: str, width: int, words: str) -> str:
    """An image of `width` pixels of the page, whole in the text of the page.

    Args:
        data: the file's bytes.
        kind: its type, such as "image/webp".
        width: in pixels of the page; a narrow page shrinks it.
        words: the alternative text.
    """
    source = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    return (
        f'<img width="{width}" style="max-width: 100%; height: auto; background: white" '
        f'alt="{html.escape(words)}" src="{source}">'
    )


def figure_as_html(figure: Figure) -> str:
    """A figure as an image with its description."""
    picture = sharp(figure)
    width = round(picture.width / SCALE)
    return as_html(packed(picture), "image/webp", width, describe(figure))


def show_in_notebooks() -> None:
    """In a notebook, let figures be handed out as above; elsewhere nothing happens."""
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    if shell and hasattr(shell, "kernel"):
        if _add_printers not in shell.events.callbacks["pre_run_cell"]:
            # The inline backend sets its printer at the end of the cell that loads it:
            # load it now, and add to that printer before the next cell. Servers export
            # MPLBACKEND=Agg, with which a notebook would show no figure at all.
            shown = plt.get_backend()
            if shown.lower() == "agg":
                shell.run_line_magic("matplotlib", "inline")
            else:
                plt.switch_backend(shown)
            shell.events.register("pre_run_cell", _add_printers)


def _add_printers(_info: object = None) -> None:
    """Let the notebook's printer of figures hand on their descriptions, in both forms."""
    shell = sys.modules["IPython"].get_ipython()
    formatters = shell.display_formatter.formatters
    printers = formatters["image/png"]
    printer = printers.type_printers.get(Figure)
    if printer and not hasattr(printer, "describes"):

        def described(figure: Figure) -> tuple:
            return printer(figure), {"alt": describe(figure)}

        described.describes = True
        printers.for_type(Figure, described)
        formatters["text/html"].for_type(Figure, figure_as_html)
