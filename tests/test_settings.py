"""Settings may be changed as one likes: no lesson stops, or it says what it needs."""

import ast

import lesson_source
import matplotlib.pyplot as plt
import pytest
import torch
import vary_settings
from lesson_source import STEMS, code_cells, imports

NUMBERS = [stem[:2] for stem in STEMS]
each_lesson = pytest.mark.parametrize("number", NUMBERS)


@pytest.fixture(autouse=True)
def _offline_and_as_before(monkeypatch, tmp_path):
    """Lessons run on the carried sample, and leave no style of figures behind."""
    monkeypatch.setenv("VAE_COURSE_OFFLINE", "1")
    monkeypatch.setenv("VAE_COURSE_CACHE", str(tmp_path))
    monkeypatch.delenv("VAE_COURSE_DATA", raising=False)
    # With other settings numbers lie outside their bands, which the gate else forbids.
    monkeypatch.delenv("VAE_COURSE_STRICT", raising=False)
    with plt.rc_context():
        yield


@pytest.mark.slow
@each_lesson
def test_a_lesson_runs_with_every_setting_small(number, capsys):
    """The large values and each value alone are left to `make settings`."""
    _, values = next(vary_settings.sets_of(number, alone=False))
    failures = vary_settings.run(vary_settings.stem_of(number), values)
    assert not failures, "\n".join(map(str, failures))


@pytest.mark.slow
@pytest.mark.parametrize("number", sorted(vary_settings.REFUSED))
def test_a_setting_that_cannot_work_is_refused_in_words(number):
    assert vary_settings.refusals(number) == []


@each_lesson
def test_every_number_in_capitals_is_varied(number):
    found = vary_settings.settings(vary_settings.stem_of(number))
    assert found, "a lesson without settings?"
    missing = set(found) - set(vary_settings.VALUES[number])
    assert not missing, f"give {missing} values in tools/vary_settings.py"


@each_lesson
def test_every_assertion_says_what_failed(number):
    """A learner who sees one must not have to read the code to know what it is about."""
    for source in code_cells(vary_settings.stem_of(number)):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Assert):
                assert node.msg, f"without a sentence: {ast.unparse(node)}"


@each_lesson
def test_no_cell_swallows_an_interrupt(number):
    for source in code_cells(vary_settings.stem_of(number)):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                assert "Error" in caught, f"except catches {caught}"


@pytest.mark.parametrize(
    ("stem", "loop"),
    [
        ("01_autoencoder", "train_autoencoder"),
        ("04_vae_in_pytorch", "train"),
        ("06_denoising", "train_on_pairs"),
        ("07_anomaly_detection", "train_vae"),
    ],
)
def test_a_loop_of_a_lesson_stops_when_it_is_interrupted(stem, loop, monkeypatch):
    def interrupted(*_args, **_settings):
        raise KeyboardInterrupt

    namespace = imports(stem) | {"LATENT": 2, "HIDDEN": 3, "STEPS": 4, "BATCH": 5}
    namespace["PEAK_RATE"] = 1e-3
    source = next(c for c in code_cells(stem) if f"def {loop}(" in c)
    exec(compile(source, loop, "exec"), namespace)
    monkeypatch.setattr(namespace["training"], "fit", interrupted)
    monkeypatch.setattr(namespace["training"], "progress", interrupted)
    images = torch.zeros(8, 1, 28, 28, dtype=torch.uint8)
    model = torch.nn.Linear(1, 1)
    arguments = {
        "train_autoencoder": ((model, images), {"steps": 4}),
        "train": ((model, images, None, 4, 1e-3), {}),
        "train_on_pairs": ((model, images, None, 4, 0), {}),
        "train_vae": ((images, 0), {}),
    }
    places, names = arguments[loop]
    with pytest.raises(KeyboardInterrupt):
        namespace[loop](*places, **names)


@pytest.fixture
def cells(monkeypatch):
    """A lesson of our own in the place of the course's."""
    own: list[str] = []

    def code_cells(stem, tag=None):
        return own if tag is None else []

    monkeypatch.setattr(lesson_source, "code_cells", code_cells)
    return own


def test_a_cell_that_divides_by_a_setting_is_reported(cells, capsys):
    cells += ["STEPS = 40", "every = STEPS // 20", "40 % every"]
    assert vary_settings.run("own", {"STEPS": 40}) == []
    (failure,) = vary_settings.run("own", {"STEPS": 19})
    assert failure.cell == 2 and isinstance(failure.error, ZeroDivisionError)


def test_settings_in_one_line_are_set_apart(cells, capsys):
    cells += ["MANY, FEW = [3, 4], 2", "print(MANY, FEW)"]
    assert vary_settings.settings("own") == {"MANY": [3, 4], "FEW": 2}
    assert vary_settings.run("own", {"FEW": 7}) == []
    assert capsys.readouterr().out == "[3, 4] 7\n"


def test_a_live_figure_is_drawn_at_both_ends_of_its_controls(cells):
    cells += [
        "from vae_helpers import widgets",
        "images = list(range(5))\ndef show(figure, n):\n    return str(images[n])",
        "widgets.explore(show, {'n': widgets.slider('Image', 0, 9, whole=True)})",
    ]
    (failure,) = vary_settings.run("own", {})
    assert failure.cell == 2 and isinstance(failure.error, IndexError)


def test_a_name_that_the_lesson_does_not_set_is_refused(cells):
    cells += ["STEPS = 40"]
    with pytest.raises(ValueError, match="own does not set STEP"):
        vary_settings.run("own", {"STEP": 3})
