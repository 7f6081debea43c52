"""A plane to drag a point on, and a square to draw a digit in, beside what a model makes of it.

They need nothing but ipywidgets (7.7.1 or 8): pointer and keys are read by a few lines of
script in the HTML of the plane, which put what they read into a hidden text box. Where a
page forbids such lines, the sliders beside the plane do the same. Pictures are made
without matplotlib, so that they follow at once.
"""

import html
import io
from collections.abc import Callable

import ipywidgets
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from vae_helpers import widgets
from vae_helpers.pictures import as_html
from vae_helpers.plots import GAP, tile

SIZE = 300  # of the plane and of the square, in pixels of the page
# Find the hidden box of this pad, write into it, and tell ipywidgets.
SEND = """const send = (text) => {
  const box = pad.closest('.vae-live').querySelector('.vae-hidden input');
  box.value = text; for (const kind of ['input', 'change'])
    box.dispatchEvent(new Event(kind, {bubbles: true})); };"""
DRAG = f"""const pad = this; {SEND}
if (event.type == 'pointerdown') {{ pad.setPointerCapture(event.pointerId); pad.focus(); }}
else if (!event.buttons || Date.now() - (pad.sent || 0) < 30) return;
pad.sent = Date.now(); const place = pad.getBoundingClientRect();
send(['place', 2 * (event.clientX - place.left) / place.width - 1,
      1 - 2 * (event.clientY - place.top) / place.height].join(' '));"""
KEYS = f"""const pad = this; {SEND}
const way = {{ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}};
if (!(event.key in way)) return; event.preventDefault(); event.stopPropagation();
pad.keys = pad.keys || [Math.random(), 0, 0];
for (const i of [0, 1]) pad.keys[i + 1] += way[event.key][i];
send('keys ' + pad.keys.join(' '));"""


def pad(
    draw_plane: Callable[[Axes], None],
    answer: Callable[[float, float], tuple[Tensor, str]],
    *,
    limit: float = 4.0,
    step: float = 0.1,
    magnify: int = 10,
) -> ipywidgets.Box:
    """A plane on which a point is dragged, and the picture that belongs to the point.

    Args:
        draw_plane: called once with axes that go from -limit to limit both ways.
        answer: called as answer(x, y); returns images (N, 1, H, W), shown in one row, and a
            sentence that says what is seen.
        limit: half the width of the plane.
        step: of an arrow key and of the sliders.
        magnify: pixels of the page for each pixel of an image.

    Returns:
        A box to end a cell with: the plane, two sliders with the same point, the picture.
    """
    across, up = (
        widgets.slider(f"Dimension {i}", -limit, limit, 0.0, step) for i in (1, 2)
    )
    words = "The plane of codes; arrow keys move the point."
    surface = (
        f'<div role="application" aria-label="{words}" tabindex="0" '
        'data-lm-suppress-shortcuts="true" style="position: relative; touch-action: none; '
        f'width: {SIZE}px; max-width: 100%; cursor: crosshair; user-select: none" '
        f'onpointerdown="{html.escape(DRAG)}" onpointermove="{html.escape(DRAG)}" '
        f'onkeydown="{html.escape(KEYS)}">{_plane(draw_plane, limit)}'
        '<span class="vae-dot" aria-hidden="true"></span></div>'
    )
    dot = ipywidgets.HTML()
    name = f"vae-pad-{id(dot)}"

    def draw() -> tuple[bytes, int, str]:
        x, y = across.value, up.value
        left, top = 50 * (1 + x / limit), 50 * (1 - y / limit)
        dot.value = (
            f"<style>.{name} .vae-dot {{ position: absolute; left: {left:.1f}%; "
            f"top: {top:.1f}%; width: 12px; height: 12px; margin: -8px; border-radius: 50%; "
            "background: black; border: 2px solid white; pointer-events: none }</style>"
        )
        images, text = answer(x, y)
        return *png(images, len(images), magnify), text

    pressed = ["", 0, 0]  # the page that counts, its sums of steps across and up

    def heard(text: str) -> None:
        kind, *numbers = text.split()
        if kind == "keys":  # sums, because ipywidgets may leave a message out
            page, *sums = numbers[0], int(numbers[1]), int(numbers[2])
            old = pressed[1:] if page == pressed[0] else (0, 0)
            pressed[:] = page, *sums
            x, y = (
                slider.value + step * (now - before)
                for slider, now, before in zip((across, up), sums, old, strict=True)
            )
        else:
            x, y = (limit * float(number) for number in numbers)
        across.value, up.value = (max(-limit, min(limit, v)) for v in (x, y))

    box = _box(surface, draw, heard, (across, up), extra=[dot])
    box.add_class(name)
    return box


STROKE = f"""const pad = this; {SEND}
const ink = pad.getContext('2d'), place = pad.getBoundingClientRect();
const at = (e) => [28 * (e.clientX - place.left) / place.width,
                   28 * (e.clientY - place.top) / place.height];
if (event.type == 'pointerdown') {{ pad.setPointerCapture(event.pointerId); pad.last = at(event); }}
else if (event.type == 'pointermove' && !event.buttons) return;
if (event.type == 'dblclick') ink.clearRect(0, 0, 28, 28);
else if (event.type != 'pointerup') {{
  const now = at(event); ink.strokeStyle = 'white'; ink.lineWidth = 2.4; ink.lineCap = 'round';
  ink.beginPath(); ink.moveTo(...pad.last); ink.lineTo(now[0] + 0.01, now[1]); ink.stroke();
  pad.last = now; if (Date.now() - (pad.sent || 0) < 60) return; }}
pad.sent = Date.now(); let text = ''; const seen = ink.getImageData(0, 0, 28, 28).data;
for (let i = 3; i < seen.length; i += 4) text += seen[i].toString(16).padStart(2, '0');
send(text);"""


def canvas(
    answer: Callable[[Tensor], tuple[Tensor, str]],
    examples: Tensor,
    *,
    magnify: int = 5,
) -> ipywidgets.Box:
    """A square to draw a digit in, and what a model makes of it.

    Args:
        answer: called with an image (1, 1, 28, 28) in [0, 1]; returns images (N, 1, H, W),
            shown in one row, and a sentence.
        examples: (N, 1, 28, 28) images in [0, 1] to choose instead of drawing, by a slider.
        magnify: pixels of the page for each pixel of an image.

    Returns:
        A box to end a cell with. The digit is moved so that the middle of its ink lies in
        the middle, as in MNIST. A double click clears the square.
    """
    which = widgets.slider("Or test image", 0, len(examples) - 1, 0, 1, whole=True)
    image = [examples[:1]]
    drawn = "".join(
        f'on{kind}="{html.escape(STROKE)}" '
        for kind in ("pointerdown", "pointermove", "pointerup", "dblclick")
    )
    surface = (
        '<canvas width="28" height="28" role="img" aria-label="A square to draw a digit in, '
        "with mouse, finger or pen; a double click clears it. The slider beside it chooses "
        f'a test image instead." {drawn} style="width: {SIZE - 20}px; height: {SIZE - 20}px; '
        "background: black; touch-action: none; cursor: crosshair; image-rendering: "
        'pixelated"></canvas><div>Draw here; double click to clear.</div>'
    )

    def draw() -> tuple[bytes, int, str]:
        images, text = answer(image[0])
        return *png(images, len(images), magnify), text

    def heard(text: str) -> None:
        values = torch.tensor(list(bytes.fromhex(text))).reshape(1, 1, 28, 28) / 255
        image[0] = centred(values)

    def chosen(change) -> None:
        image[0] = examples[change["new"]][None]

    which.observe(chosen, names="value")
    return _box(surface, draw, heard, (which,), extra=[])


def centred(image: Tensor) -> Tensor:
    """(1, 1, H, W) -> the same image, moved so that its ink has its middle in the middle."""
    total = image.sum()
    if total == 0:
        return image
    moves = []
    for axis, size in ((2, image.shape[2]), (3, image.shape[3])):
        places = torch.arange(size, dtype=image.dtype)
        ink = image.sum(dim=[d for d in range(4) if d != axis])
        moves.append(round((size - 1) / 2 - ((ink * places).sum() / total).item()))
    return image.roll(moves, dims=(2, 3))


def png(images: Tensor, columns: int, magnify: int) -> tuple[bytes, int]:
    """Images (N, 1, H, W) in [0, 1] as a PNG file, and its width in pixels of the page."""
    values = np.clip(tile(images, columns, GAP), 0, 1)
    picture = Image.fromarray((255 * values).round().astype(np.uint8))
    width, height = (magnify * side for side in picture.size)
    buffer = io.BytesIO()
    large = picture.resize((width, height), Image.Resampling.NEAREST)
    large.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue(), width


def _plane(draw_plane: Callable[[Axes], None], limit: float) -> str:
    figure = Figure(figsize=(SIZE / 100, SIZE / 100), dpi=200, layout="none")
    ax = figure.add_axes((0, 0, 1, 1))
    draw_plane(ax)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), title="")
    ax.tick_params(direction="in", pad=-12, labelsize=7)
    picture = as_html(widgets.render(figure), "image/png", SIZE, "")
    picture = picture.replace('style="', 'style="display: block; ')  # no gap below it
    return picture.replace("<img ", '<img draggable="false" aria-hidden="true" ')


def _box(surface, draw, heard, controls, extra) -> ipywidgets.Box:
    """The surface, a picture that follows it and its controls, and a sentence."""
    picture, sentence = ipywidgets.HTML(), ipywidgets.HTML()
    hidden = ipywidgets.Text(layout=ipywidgets.Layout(display="none"))
    hidden.add_class("vae-hidden")
    busy = [False]

    def redraw(_change=None) -> None:
        if busy[0]:
            return
        try:
            with torch.inference_mode():
                data, width, text = draw()
        except Exception as error:
            sentence.value = widgets.spoken(f"{type(error).__name__}: {error}")
            return
        picture.value = widgets.named_sliders(as_html(data, "image/png", width, text))
        sentence.value = widgets.spoken(text)

    def received(change) -> None:
        if not change["new"]:
            return
        busy[0] = True
        try:
            heard(change["new"])
        finally:
            busy[0] = False
        redraw()

    hidden.observe(received, names="value")
    for control in controls:
        control.observe(redraw, names="value")
    redraw()
    shown = ipywidgets.VBox([picture, sentence])
    wrap = ipywidgets.Layout(flex_flow="row wrap", align_items="center", width="100%")
    left = ipywidgets.VBox([ipywidgets.HTML(surface), hidden, *extra])
    box = ipywidgets.Box([left, shown, ipywidgets.VBox([*controls])], layout=wrap)
    box.add_class("vae-live")
    picture.add_class("vae-picture")
    return box
