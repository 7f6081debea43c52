"""Drawings are well-formed, can be read, keep their colours, and are those of today."""

import base64
import html
import io
import itertools
import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from vae_helpers import drawings
from vae_helpers.drawings import bounds, collapse, gradients, raster
from vae_helpers.drawings.svg import SMALLEST, THEMES, WIDTH, Sheet
from vae_helpers.plots import COLOURS

SVG = "{http://www.w3.org/2000/svg}"
FOLDER = Path(__file__).parents[1] / "figures" / "drawings"
each = pytest.mark.parametrize("name", drawings.names())
both = pytest.mark.parametrize("theme", THEMES)


@each
@both
def test_a_drawing_can_be_read(name, theme):
    root = ElementTree.fromstring(drawings.svg(name, theme=theme))
    assert root.get("role") == "img" and root.get("width") == "640"
    title, words = root.find(f"{SVG}title").text, root.find(f"{SVG}desc").text
    assert 5 < len(title) < 70 and 25 <= len(words.split()) <= 90
    sizes = [float(e.get("font-size", SMALLEST)) for e in root.iter()]
    assert min(sizes) >= SMALLEST == 12
    assert all("".join(text.itertext()).strip() for text in root.iter(f"{SVG}text"))


@each
def test_a_caption_is_a_sentence_or_two_and_begins_the_words(name):
    caption = drawings.caption(name)
    assert 6 <= len(caption.split()) <= 36 and caption[0].isupper()
    assert caption.endswith(".") and len(re.findall(r"[.;] ", caption)) <= 1
    shown = drawings.show(name)
    assert shown.words.startswith(caption) and shown.words != caption
    assert shown.words.endswith(".")


@each
def test_text_lies_inside_and_on_nothing_else(name):
    source = drawings.svg(name)
    height = int(ElementTree.fromstring(source).get("height"))
    boxes = raster.text_boxes(source)
    for box in boxes:
        inside = box.left > 8 and box.right < WIDTH - 8
        assert inside and box.top > 8 and box.bottom < height - 6, box
    for a, b in itertools.combinations(boxes, 2):
        apart = a.right < b.left or b.right < a.left
        assert apart or a.bottom < b.top or b.bottom < a.top, f"{a}\n{b}"


def _brightness(pixels):
    """(..., 3) colours from 0 to 255 -> relative luminance as WCAG defines it."""
    part = pixels / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


def _contrast(a, b):
    return (np.maximum(a, b) + 0.05) / (np.minimum(a, b) + 0.05)


@each
@both
def test_text_stands_out_from_what_lies_below_it(name, theme):
    """A contrast of 4.5, for dimmed text as well, on all but a line that crosses it."""
    ink, paper = (1.0, 0.0) if theme == "dark" else (0.0, 1.0)
    for part in [None, *drawings.parts(name)[:1]]:
        source = drawings.svg(name, part, theme)
        ground = np.asarray(raster.image(source, text=False, scale=1))
        texts = ElementTree.fromstring(source).iter(f"{SVG}text")
        for box, text in zip(raster.text_boxes(source), texts, strict=True):
            rows = slice(int(box.top), int(box.bottom) + 1)
            below = _brightness(ground[rows, int(box.left) : int(box.right) + 1])
            if text.get("stroke"):
                below = np.full_like(below, paper)  # its halo covers what lies there
            dim = float(text.get("opacity", 1))
            # Mixed as a screen mixes, in values that the eye finds even.
            level = dim * ink + (1 - dim) * np.median(below) ** (1 / 2.2)
            clear = _contrast(level**2.2, below) >= 4.5
            assert clear.mean() > 0.93, f"{box.words}: {clear.mean():.2f}"


@each
@both
def test_colours_are_those_of_the_theme(name, theme):
    source = drawings.svg(name, theme=theme)
    used = set(re.findall(r'(?:fill|stroke)="([^"]+)"', source))
    used = {colour for colour in used if not colour.startswith("url(#hatch-")}
    assert used - {"none"} <= set(THEMES[theme].values())
    ground = ElementTree.fromstring(source).find(f"{SVG}rect")
    assert ground.get("fill") == THEMES[theme]["paper"]


def test_roles_have_the_colours_of_the_figures():
    roles = ("decoder", "encoder", "posterior", "noise")
    assert [THEMES["light"][role] for role in roles] == COLOURS[:4]
    assert THEMES["light"].keys() == THEMES["dark"].keys()


def _bright(name, mark):
    groups = ElementTree.fromstring(drawings.svg(name, mark=mark)).iter(f"{SVG}g")
    return [set(g.get("data-part").split()) for g in groups if not g.get("data-dim")]


@each
def test_every_part_can_be_marked_alone_and_with_another(name):
    parts = drawings.parts(name)
    assert len(parts) == len(set(parts)) >= 2
    whole = drawings.svg(name)
    assert "data-dim" not in whole and 'opacity="0.22"' not in whole
    for part, other in zip(parts, [*parts[1:], parts[0]], strict=True):
        assert all(part in each for each in _bright(name, part))
        both_bright = _bright(name, (part, other))
        assert all(each & {part, other} for each in both_bright)
        assert set().union(*both_bright) >= {part, other}
        assert drawings.svg(name, mark=(part,)) == drawings.svg(name, mark=part)
    with pytest.raises(ValueError, match=f"'nobody'; its parts: {', '.join(parts)}"):
        drawings.svg(name, mark=(parts[0], "nobody"))


def test_the_machine_has_the_parts_of_the_lessons():
    prices = {"reconstruction", "kl", "loss"}
    way = {"data", "encoder", "q", "code", "noise", "decoder", "output"}
    assert set(drawings.parts("vae")) == way | prices | {"prior"}
    assert {"loss", "kl"} in _bright("vae", "kl"), "a price is a part of the loss"


def test_the_map_shows_every_lesson():
    assert drawings.parts("map") != [] and set(drawings.parts("map")) == {
        path.name[:2] for path in (FOLDER.parents[1] / "lessons").glob("??_*.py")
    }


def test_unknown_names_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match="bottleneck"):
        drawings.show("nobody")
    with pytest.raises(ValueError, match="light, dark"):
        drawings.svg("vae", theme="pink")
    with pytest.raises(ValueError, match="no partner"):
        Sheet().text(0, 0, "costs 5 $")


def test_a_drawing_ends_a_cell_with_picture_caption_and_words():
    drawing = drawings.show("vae", mark="encoder")
    data, about = drawing._repr_mimebundle_()
    assert data.keys() == {"text/plain", "text/html", "image/png"}
    source = drawings.svg("vae", mark="encoder")
    assert base64.b64encode(source.encode()).decode() in data["text/html"]
    assert f'alt="{html.escape(drawing.words)}"' in data["text/html"]
    assert f"<figcaption>{drawings.caption('vae')}</figcaption>" in data["text/html"]
    assert drawing.words in data["text/plain"]
    assert about["image/png"]["alt"] == drawing.words


@each
def test_the_picture_for_other_viewers_is_small(name):
    data = raster.png(drawings.svg(name))
    assert len(data) < 24 * 1024, f"{len(data) // 1024} KB"
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.mode == "P" and picture.width == raster.SCALE * WIDTH
        colours = picture.convert("RGB").getcolors()
    assert len(colours) <= raster.COLOURS and max(colours)[1] == (255, 255, 255)


def test_a_picture_has_the_colours_of_its_shapes():
    sheet = Sheet()
    sheet.begin(60, "A title", "A caption.", "More.")
    sheet.box(100, 10, 40, 40, "encoder", fill=1, width=0, radius=0)
    sheet.circle(200, 30, 20, "decoder")
    sheet.box(300, 10, 40, 40, "posterior", fill=0.5, width=0, radius=5)
    picture = raster.image(str(sheet), text=False, scale=1)
    shown = [picture.getpixel((x, 30)) for x in (120, 200, 320, 400)]
    full = [to_rgb(colour) for colour in COLOURS[:3]]
    half = [(1 + value) / 2 for value in full[2]]
    for got, wanted in zip(shown, [full[1], full[0], half, (1, 1, 1)], strict=True):
        assert np.allclose(got, 255 * np.array(wanted), atol=2)


def test_gradients_have_the_moments_of_the_formulas():
    """For a cost of z^2, sigma = 1: variance 4 pathwise, mu^4 + 14 mu^2 + 15 otherwise."""
    for estimate, variance in [
        (gradients.pathwise, 4),
        (gradients.score_function, 1 + 14 + 15),
    ]:
        mean, spread = gradients.moments(estimate)
        assert mean == pytest.approx(2 * gradients.MU, abs=1e-6)
        assert spread**2 == pytest.approx(variance, abs=1e-6)


def test_a_collapsed_code_costs_nothing():
    assert collapse.kl_to_prior(0, 1) == 0
    q = torch.distributions.Normal(torch.tensor(1.1), torch.tensor(0.45))
    exact = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0))
    assert collapse.kl_to_prior(1.1, 0.45) == pytest.approx(exact.item(), abs=1e-6)


def test_terms_on_the_grid_obey_the_identity():
    for guess in [(0.2, 0.9), (1.04, 0.5)]:
        reconstruction, to_prior, to_posterior = bounds.terms(*guess)
        evidence = math.log(bounds.EVIDENCE)
        total = reconstruction - to_prior + to_posterior
        assert total == pytest.approx(evidence, abs=1e-9)


@each
@both
def test_files_are_those_of_today(name, theme):
    ending = "-dark" if theme == "dark" else ""
    written = (FOLDER / f"{name}{ending}.svg").read_text(encoding="utf-8")
    cure = "run make drawings, look at them, and commit them"
    assert written == drawings.svg(name, theme=theme), cure


def test_no_file_is_left_over():
    expected = {f"{n}{e}.svg" for n in drawings.names() for e in ("", "-dark")}
    assert {path.name for path in FOLDER.iterdir()} == expected
