"""A point that is dragged on a plane, a digit that is drawn, and sliders with names."""

import time

import nbformat
import pytest
from builder import KERNEL
from lab_page import BOX, wait_until

BOOK = """\
import torch
from vae_helpers import pads, widgets

def answer(x, y):
    rows = torch.arange(28)[:, None] < 14 * (1 + y / 4)
    columns = torch.arange(28)[None] < 14 * (1 + x / 4)
    return (rows & columns).float()[None, None], f"x {x:.2f} y {y:.2f}"

pads.pad(lambda ax: ax.plot([-4, 4], [-4, 4]), answer)
# ---
def copy(image):
    return image, f"ink {image.sum():.1f}"

pads.canvas(copy, torch.stack([torch.full((1, 28, 28), i / 4) for i in range(3)]))
# ---
def draw(figure, size):
    figure.add_subplot().plot([0, size])
    return f"size {size}"

widgets.explore(draw, {"size": widgets.slider("The size", 0, 9, 2)})
"""


@pytest.fixture
def boxes(open_notebook, page, course):
    cells = [nbformat.v4.new_code_cell(text) for text in BOOK.split("# ---\n")]
    book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    nbformat.write(book, course / "pads.ipynb")
    notebook = open_notebook("pads.ipynb")
    notebook.run_all()
    assert notebook.cells()["errors"] == []
    found = page.locator(f".jp-NotebookPanel:not(.lm-mod-hidden) {BOX}")
    wait_until(lambda: found.count() == 3, 30, "three live figures")
    return [found.nth(i) for i in range(3)]


def _says(box):
    return box.locator("[role=status]").inner_text()


def test_a_point_follows_pointer_and_keys(boxes, page, shots):
    box = boxes[0]
    plane = box.locator("[role=application]")
    plane.scroll_into_view_if_needed()
    wait_until(lambda: _says(box) == "x 0.00 y 0.00", 10, "the first picture")
    place = plane.bounding_box()
    x, y = place["x"] + place["width"] * 0.75, place["y"] + place["height"] * 0.25
    page.mouse.move(place["x"] + 20, place["y"] + 20)
    page.mouse.down()
    page.mouse.move(x, y, steps=8)
    time.sleep(0.1)
    page.mouse.move(x, y + 1)
    page.mouse.up()
    wait_until(lambda: _says(box).startswith("x 2.0"), 10, f"the drag: {_says(box)}")
    dot = box.locator(".vae-dot").bounding_box()
    assert abs(dot["x"] + dot["width"] / 2 - x) < 4
    time.sleep(1)  # the last move has arrived
    before = _says(box)
    for key in ("ArrowRight", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    old_x, old_y = (float(word) for word in before.split()[1::2])

    def stepped():
        new_x, new_y = (float(word) for word in _says(box).split()[1::2])
        return abs(new_x - old_x - 0.1) < 0.08 and abs(new_y - old_y - 0.2) < 0.08

    time.sleep(1)
    focus = page.evaluate("document.activeElement.outerHTML.slice(0, 60)")
    wait_until(stepped, 10, f"three steps: {before}, {_says(box)}, focus {focus}")
    box.screenshot(path=shots / "pad.png")


def test_a_digit_is_drawn(boxes, page, shots):
    box = boxes[1]
    square = box.locator("canvas")
    square.scroll_into_view_if_needed()
    place = square.bounding_box()
    page.mouse.move(place["x"] + 60, place["y"] + 40)
    page.mouse.down()
    page.mouse.move(place["x"] + 60, place["y"] + 200, steps=10)
    page.mouse.up()
    wait_until(lambda: float(_says(box).split()[1]) > 20, 10, "ink")
    box.screenshot(path=shots / "canvas.png")
    square.dblclick()
    wait_until(lambda: _says(box) == "ink 0.0", 10, "a clear square")


def test_every_slider_has_a_name(boxes, page):
    for box in boxes:
        handles = box.locator("[role=slider]")
        assert handles.count()
        for i in range(handles.count()):
            handle = handles.nth(i)
            wait_until(lambda h=handle: h.get_attribute("aria-label"), 10, "a name")
    assert boxes[2].locator("[role=slider]").get_attribute("aria-label") == "The size"


def test_a_picture_follows_each_key(boxes, page):
    """The milliseconds are printed (`-s`), not judged: they are those of the machine."""
    times = []
    for box in (boxes[0], boxes[2]):
        handle = box.locator("[role=slider]").first
        handle.focus()
        for _ in range(5):
            times.append(
                handle.evaluate(
                    """handle => new Promise(done => {
                        const box = handle.closest('.vae-live');
                        const start = performance.now();
                        new MutationObserver((_, me) => {
                            me.disconnect(); done(performance.now() - start);
                        }).observe(box.querySelector('.vae-picture'),
                                   {childList: true, subtree: true});
                        handle.dispatchEvent(new KeyboardEvent('keydown',
                            {key: 'ArrowRight', bubbles: true}));
                    })"""
                )
            )
    print("milliseconds:", [round(t) for t in times])
    assert len(times) == 10
