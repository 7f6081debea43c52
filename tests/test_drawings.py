"""Drawings are well-formed, can be read, keep their colours, and are those of today."""

import base64
import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from vae_helpers import drawings
from vae_helpers.drawings import bounds
from vae_helpers.drawings.svg import SMALLEST, THEMES, Sheet
from vae_helpers.plots import COLOURS

SVG = "{http://www.w3.org/2000/svg}"
FOLDER = Path(__file__).parents[1] / "figures" / "drawings"
each = pytest.mark.parametrize("name", drawings.names())
both = pytest.mark.parametrize("theme", THEMES)


def _parts(name):
    root = ElementTree.fromstring(drawings.svg(name))
    return {g.get("data-part") for g in root.iter(f"{SVG}g")}


@each
@both
def test_a_drawing_can_be_read(name, theme):
    root = ElementTree.fromstring(drawings.svg(name, theme=theme))
    assert root.get("role") == "img" and root.get("width") == "640"
    title, words = root.find(f"{SVG}title").text, root.find(f"{SVG}desc").text
    assert 5 < len(title) < 70 and 20 <= len(words.split()) <= 50
    sizes = [float(e.get("font-size", SMALLEST)) for e in root.iter()]
    assert min(sizes) >= SMALLEST == 12
    assert all("".join(text.itertext()).strip() for text in root.iter(f"{SVG}text"))


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


@each
def test_a_mark_dims_the_others(name):
    parts = _parts(name)
    for part in parts:
        root = ElementTree.fromstring(drawings.svg(name, mark=part))
        groups = list(root.iter(f"{SVG}g"))
        bright = {g.get("data-part") for g in groups if not g.get("opacity")}
        assert bright == {part}
    with pytest.raises(ValueError, match=re.escape(sorted(parts)[0])):
        drawings.svg(name, mark="nobody")


def test_the_machine_has_the_parts_of_the_lessons():
    assert _parts("vae") == {
        "data",
        "encoder",
        "posterior",
        "noise",
        "decoder",
        "loss",
    }


def test_unknown_names_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match="bottleneck"):
        drawings.show("nobody")
    with pytest.raises(ValueError, match="light, dark"):
        drawings.svg("vae", theme="pink")
    with pytest.raises(ValueError, match="no partner"):
        Sheet().text(0, 0, "costs 5 $")


def test_a_drawing_ends_a_cell_with_picture_and_words():
    drawing = drawings.show("vae", mark="encoder")
    data, about = drawing._repr_mimebundle_()
    source = drawings.svg("vae", mark="encoder")
    assert base64.b64encode(source.encode()).decode() in data["text/html"]
    assert f'alt="{drawing.words}"' in data["text/html"]
    assert data["text/plain"] == drawing.words == about["image/svg+xml"]["alt"]


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
