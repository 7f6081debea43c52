"""Dark theme, large zoom and keyboard: what a widget needs to be usable by everyone."""

import re
import time

import pytest
from lab_page import BOX, Notebook

LESSON = "notebooks/00_start_here.ipynb"


@pytest.fixture
def lesson(open_notebook):
    notebook = open_notebook(LESSON)
    notebook.run_all()
    return notebook


def _rgb(text):
    return [float(n) for n in re.findall(r"[\d.]+", text)][:3]


def _luminance(rgb):
    parts = [c / 255 for c in rgb]
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(element):
    """Contrast of an element's text against the first opaque background behind it."""
    front, back = element.evaluate(
        """node => {
            const front = getComputedStyle(node).color;
            let back = 'rgba(0, 0, 0, 0)';
            for (let n = node; n && /, 0\\)$|transparent/.test(back); n = n.parentElement)
                back = getComputedStyle(n).backgroundColor;
            return [front, back];
        }"""
    )
    high, low = sorted((_luminance(_rgb(front)), _luminance(_rgb(back))), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_words_stand_out_in_both_themes(theme, lesson, page, shots):
    lesson.command("apputils:change-theme", theme=theme)
    time.sleep(3)
    box = page.locator(BOX).first
    box.scroll_into_view_if_needed()
    words = box.locator(".widget-label, .widget-readout")
    assert words.count() >= 3
    for i in range(words.count()):
        word = words.nth(i)
        assert _contrast(word) >= 4.5, word.inner_text()
    text = page.locator(".jp-RenderedMarkdown p, .jp-RenderedMarkdown td").all()
    assert min(_contrast(element) for element in text[:40]) >= 4.5
    outputs = page.locator(".jp-OutputArea-output pre")
    assert min(_contrast(element) for element in outputs.all()[:10]) >= 4.5
    page.screenshot(path=shots / f"{theme.split()[1].lower()}.png")
    lesson.command("apputils:change-theme", theme="JupyterLab Light")
    time.sleep(2)


def test_figures_have_an_opaque_background(lesson, page):
    pictures = page.locator(".jp-RenderedHTMLCommon img[src^='data:image/webp']")
    assert pictures.count()
    for i in range(pictures.count()):
        corner = pictures.nth(i).evaluate(
            """image => {
                const canvas = document.createElement('canvas');
                [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
                const context = canvas.getContext('2d');
                context.drawImage(image, 0, 0);
                return [...context.getImageData(1, 1, 1, 1).data];
            }"""
        )
        assert corner == [255, 255, 255, 255]


def test_twice_the_size_is_usable(chromium, lab, shots):
    # Zoom of 200 %: half as many CSS pixels, each drawn with twice as many.
    size = {"width": 640, "height": 500}
    context = chromium.new_context(viewport=size, device_scale_factor=2)
    page = context.new_page()
    notebook = Notebook(page, lab, LESSON)
    notebook.command("application:toggle-left-area")
    notebook.run_all()
    box = page.locator(BOX).first
    box.scroll_into_view_if_needed()
    time.sleep(1)
    page.screenshot(path=shots / "zoom.png")
    frame = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)").bounding_box()
    for part in (".vae-picture", ".widget-slider", ".widget-readout"):
        place = box.locator(part).first.bounding_box()
        assert place["x"] >= frame["x"] - 1, part
        assert place["x"] + place["width"] <= frame["x"] + frame["width"] + 1, part
    notebook.shut_down()
    context.close()


def test_focus_can_be_seen_and_moves_by_tab(lesson, page, shots):
    box = page.locator(BOX).first
    box.scroll_into_view_if_needed()
    first, handle = (box.locator(".noUi-handle").nth(i) for i in (0, 1))
    look = "e => { const s = getComputedStyle(e); return [s.outline, s.boxShadow, s.border]; }"
    page.mouse.click(5, 5)
    plain = handle.evaluate(look)
    first.focus()
    for _ in range(2):  # past the number beside the first slider
        page.keyboard.press("Tab")
    assert handle.evaluate("e => e === document.activeElement")
    assert handle.evaluate(look) != plain, "the focus on a slider cannot be seen"
    box.screenshot(path=shots / "focus.png")
