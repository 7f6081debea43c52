"""A point on a plane and a drawn digit, as far as they need no browser."""

import html
import io

import pytest
import torch
from PIL import Image

from vae_helpers import pads


def _parts(box):
    left, shown, controls = box.children
    hidden = next(c for c in left.children if "vae-hidden" in c._dom_classes)
    picture, sentence = shown.children
    return hidden, picture, sentence, controls.children


def _place(x, y):
    return torch.full((1, 1, 4, 4), 0.5), f"x {x:.2f} y {y:.2f}"


def test_a_point_follows_what_the_script_writes_and_the_sliders():
    box = pads.pad(lambda ax: ax.plot([0, 1]), _place, limit=2.0, step=0.1)
    hidden, picture, sentence, (across, up) = _parts(box)
    assert "x 0.00 y 0.00" in sentence.value and 'alt="x 0.00 y' in picture.value
    hidden.value = "place 0.5 -3"  # beyond the edge
    assert "x 1.00 y -2.00" in sentence.value and across.value == 1.0
    hidden.value = "keys 0.7 2 3"  # two to the right, three up, since the page came
    hidden.value = "keys 0.7 2 5"
    assert "x 1.20 y -1.50" in sentence.value
    hidden.value = "keys 0.9 1 0"  # a new page counts from nothing
    assert "x 1.30 y -1.50" in sentence.value
    up.value = 0.4
    assert "x 1.30 y 0.40" in sentence.value


def test_an_error_is_said_and_the_last_picture_stays():
    def answer(x, y):
        if x > 0:
            raise ValueError("not there")
        return _place(x, y)

    box = pads.pad(lambda ax: None, answer)
    hidden, picture, sentence, _ = _parts(box)
    before = picture.value
    hidden.value = "place 0.5 0"
    assert "not there" in sentence.value and picture.value == before


def test_a_drawn_digit_comes_to_the_middle():
    def answer(image):
        rows, columns = (image[0, 0] > 0).nonzero().T.double()
        return image, f"{image.sum():.2f} at {rows.mean():.1f} {columns.mean():.1f}"

    examples = torch.rand(3, 1, 28, 28)
    hidden, _, sentence, (which,) = _parts(pads.canvas(answer, examples))
    values = bytearray(784)
    values[28 * 2 + 3] = values[28 * 2 + 4] = 255
    hidden.value = values.hex()
    assert "2.00 at 14.0 13.5" in sentence.value or "2.00 at 13.0" in sentence.value
    hidden.value = bytes(784).hex()
    assert "0.00 at nan" in sentence.value
    which.value = 2
    assert f"{examples[2].sum():.2f} at" in sentence.value


def test_a_picture_is_magnified_by_whole_numbers():
    data, width = pads.png(torch.rand(3, 1, 28, 28), 3, 5)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.size == (5 * (3 * 28 + 2 * 2), 5 * 28) and width == picture.width


@pytest.mark.parametrize("script", [pads.DRAG, pads.KEYS, pads.STROKE])
def test_a_script_fits_into_an_attribute(script):
    assert '"' not in html.escape(script) and script.count("{") == script.count("}")
