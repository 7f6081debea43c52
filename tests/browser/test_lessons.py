"""Every lesson in a real browser: it runs, its widgets move, it can be saved."""

import base64
import time

import nbformat
import pytest
from builder import KERNEL
from lab_page import BOX, wait_until
from lesson_source import STEMS, TABLE

CONTROL = ".widget-slider"


def _pixels(box):
    """The bytes of the picture that the browser shows.

    Its address changes with each picture, and the old one dies: ask again if it did.
    """
    return box.locator(".vae-picture img").evaluate(
        """async (image) => {
            for (let tries = 0; ; tries++) {
                try {
                    const answer = await fetch(image.src);
                    const bytes = new Uint8Array(await answer.arrayBuffer());
                    return btoa(bytes.reduce((t, b) => t + String.fromCharCode(b), ''));
                } catch (error) {
                    if (tries == 50) throw error;
                    await new Promise(ready => setTimeout(ready, 100));
                }
            }
        }"""
    )


def _changes(page, box, act, what):
    """Do something and wait until the picture shows something else."""
    before = _pixels(box)
    act()
    wait_until(lambda: _pixels(box) != before, 30, f"another picture: {what}")
    assert base64.b64decode(_pixels(box)).startswith(b"\x89PNG"), what


def _ways_to_move(page, control):
    """What moves a slider by keyboard, and what by mouse."""
    handle = control.locator(".noUi-handle")
    low, high, now = (
        float(handle.get_attribute(f"aria-value{k}")) for k in ("min", "max", "now")
    )

    def by_key():
        handle.focus()
        for _ in range(4):
            page.keyboard.press("ArrowRight" if now < (low + high) / 2 else "ArrowLeft")

    def by_mouse():
        bar, knob = control.locator(".noUi-base").bounding_box(), handle.bounding_box()
        x, y = knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        share = 0.8 if x < bar["x"] + bar["width"] / 2 else 0.2
        page.mouse.move(bar["x"] + share * bar["width"], y, steps=6)
        page.mouse.up()

    return by_key, by_mouse


def _boxes(page):
    boxes = page.locator(f".jp-NotebookPanel:not(.lm-mod-hidden) {BOX}")
    return [boxes.nth(i) for i in range(boxes.count())]


def _move_everything(page, box, name):
    """Move every control of a live figure by keyboard and by mouse."""
    box.scroll_into_view_if_needed()
    controls = box.locator(CONTROL)
    assert controls.count()
    for i in range(controls.count()):
        control = controls.nth(i)
        label = control.locator("label, .widget-label").first.inner_text()
        assert label.strip(), f"control {i} has no visible label"
        actions = _ways_to_move(page, control)
        for word, act in zip(("keyboard", "mouse"), actions, strict=True):
            _changes(page, box, act, f"{name}, {label!r} by {word}")
    sentence = box.locator('[role="status"]').inner_text()
    assert sentence and "Error" not in sentence, sentence


EVERY_KIND = """\
from vae_helpers import widgets

def draw(figure, size, kind, weight):
    figure.add_subplot().bar([kind], [size], alpha=1 if weight == "bold" else 0.2)
    return f"{kind} {size} {weight}"

widgets.explore(draw, {
    "size": widgets.slider("Size", 0, 9, 2),
    "kind": widgets.choice("Kind", ["first", "second", "third"]),
    "weight": widgets.choice("Weight", ["bold", "thin"]),
})
"""


def test_every_kind_of_control(open_notebook, page, course):
    cells = [nbformat.v4.new_code_cell(EVERY_KIND)]
    book = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    nbformat.write(book, course / "kinds.ipynb")
    notebook = open_notebook("kinds.ipynb")
    notebook.run_all()
    assert notebook.cells()["errors"] == []
    (box,) = _boxes(page)
    _move_everything(page, box, "kinds")
    # None of the keys reached the notebook: it still holds its one code cell.
    kinds = "() => [...window.jupyterapp.shell.currentWidget.content.model.cells].map(c => c.type)"
    assert page.evaluate(kinds) == ["code"]


def _long(stem):
    return TABLE["timings"].get(stem, {}).get("total", 0) > 15  # seconds


@pytest.mark.parametrize(
    "stem", [pytest.param(s, marks=[pytest.mark.slow] * _long(s)) for s in STEMS]
)
def test_a_lesson_runs_and_its_widgets_follow(stem, open_notebook, page, course, shots):
    path = f"notebooks/{stem}.ipynb"
    notebook = open_notebook(path)
    notebook.run_all()
    assert notebook.cells()["errors"] == []
    boxes = _boxes(page)
    assert boxes, "a lesson has one live figure at least"
    for number, box in enumerate(boxes):
        _move_everything(page, box, stem)
        box.screenshot(path=shots / f"{stem}_widget_{number}.png")
    notebook.command("docmanager:save")
    time.sleep(3)
    saved = nbformat.read(course / path, as_version=4)
    nbformat.validate(saved)
    assert all(c.execution_count for c in saved.cells if c.cell_type == "code")
    page.screenshot(path=shots / f"{stem}.png")
