"""One live figure with controls, for JupyterLab (ipywidgets 8) and Colab (7.7.1)."""

import html
import io
from collections.abc import Callable, Mapping

import ipywidgets
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vae_helpers.pictures import as_html

LABELS = {"description_width": "initial"}  # as wide as the words
SCALE = 1.5  # pixels of a picture for each pixel of the page


def _named(control: ipywidgets.Widget) -> ipywidgets.Widget:
    """Show the label when the mouse rests on it, not the word "null"."""
    name = "tooltip" if control.has_trait("tooltip") else "description_tooltip"
    setattr(control, name, control.description)
    return control


def _slider_layout() -> ipywidgets.Layout:
    return ipywidgets.Layout(width="28em", max_width="100%")


def slider(
    label: str,
    low: float,
    high: float,
    value: float = 0.0,
    step: float = 0.05,
    *,
    whole: bool = False,
) -> ipywidgets.Widget:
    """A labelled slider that reports while it moves; arrow keys move it by `step`.

    With whole=True it gives whole numbers.
    """
    kind = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    return _named(
        kind(
            value=value,
            min=low,
            max=high,
            step=step,
            description=label,
            continuous_update=True,
            style=LABELS,
            layout=_slider_layout(),
        )
    )


def choice(label: str, options: list) -> ipywidgets.Widget:
    """A labelled slider over a list of options; arrow keys go from one to the next.

    Not a list to drop down, and no buttons: in a notebook JupyterLab takes the keys that
    would work them for its own, and a digit would turn the cell into a heading.
    """
    return _named(
        ipywidgets.SelectionSlider(
            options=options, description=label, style=LABELS, layout=_slider_layout()
        )
    )


def render(figure: Figure) -> bytes:
    """A figure as PNG bytes, drawn without pyplot."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def explore(
    draw: Callable[..., str],
    controls: Mapping[str, ipywidgets.Widget],
    *,
    width: float = 5.0,
    height: float = 3.0,
) -> ipywidgets.Box:
    """A picture that follows its controls, without flicker; they stand beside it.

    Args:
        draw: called as draw(figure, **values) with an empty figure and the controls'
            values by name; it draws and returns one sentence that says what is seen.
            The sentence is shown below the picture, where a screen reader finds it, and
            is the picture's alternative text.
        controls: name -> widget with a `value`.
        width, height: of the picture in inches.

    Returns:
        A box to end a cell with. An error in draw is shown below the picture; the last
        good picture stays.
    """
    figure = Figure(figsize=(width, height), dpi=100 * SCALE, layout="constrained")
    # Room for the picture at once, so that nothing jumps when the first one comes.
    room = ipywidgets.Layout(width=f"{100 * width:.0f}px", max_width="100%")
    picture, sentence = ipywidgets.HTML(layout=room), ipywidgets.HTML()

    def redraw(_change=None) -> None:
        figure.clear()
        try:
            with torch.inference_mode():
                text = draw(figure, **{n: c.value for n, c in controls.items()}) or ""
        except Exception as error:
            sentence.value = spoken(f"{type(error).__name__}: {error}")
            return
        words = text or "A live figure; its controls stand beside it."
        image = as_html(render(figure), "image/png", round(100 * width), words)
        picture.value = named_sliders(image)
        sentence.value = spoken(text)

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    shown = ipywidgets.VBox([picture, sentence])
    wrap = ipywidgets.Layout(flex_flow="row wrap", align_items="center", width="100%")
    box = ipywidgets.Box([shown, ipywidgets.VBox([*controls.values()])], layout=wrap)
    box.add_class("vae-live")
    picture.add_class("vae-picture")
    return box


def spoken(text: str) -> str:
    """A sentence that a screen reader says when it changes."""
    return f'<div role="status" aria-live="polite">{html.escape(text)}</div>'


# ipywidgets gives the handle of a slider no name: it gets that of its label.
NAMES = """this.closest('.vae-live')?.querySelectorAll('.noUi-handle').forEach(handle => {
  const label = handle.closest('.widget-slider')?.querySelector('.widget-label');
  if (label) handle.setAttribute('aria-label', label.textContent); })"""


def named_sliders(image: str) -> str:
    """An <img> of a live figure which, once it is shown, names the sliders beside it."""
    return image.replace("<img ", f'<img onload="{html.escape(NAMES)}" ', 1)
