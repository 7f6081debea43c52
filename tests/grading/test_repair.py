"""A damaged submission is put back into the shape of the release."""

import copy

import nbformat
import pytest

from grading.code import suspicious
from grading.names import name_of
from grading.repair import repair


def _named(book, name):
    return next(c for c in book.cells if name_of(c) == name)


def _submit(example, change):
    released = example[2]
    book = copy.deepcopy(released)
    change(book)
    before = copy.deepcopy(book)
    repaired = repair(released, book)
    assert book == before, "the submission was changed"
    wanted = [name_of(c) for c in released.cells if name_of(c)]
    got = [name_of(c) for c in repaired.book.cells if name_of(c)]
    assert got == wanted
    return repaired


def test_an_untouched_notebook_is_not_attempted(example):
    repaired = _submit(example, lambda book: None)
    assert not repaired.attempted and not repaired.flags and not repaired.notes


def test_cells_are_recognised_without_metadata(example):
    def strip(book):
        _named(book, "answer-03-1").source = "def kl_closed_form(mu, logvar):\n    (1"
        for cell in book.cells:
            cell.metadata = nbformat.NotebookNode({})

    repaired = _submit(example, strip)
    assert set(repaired.attempted) == {"03.1"}
    assert "lost their names" in repaired.notes[""][0]


def test_the_last_cell_with_work_counts(example):
    def change(book):
        cell = _named(book, "answer-03-1")
        again = copy.deepcopy(cell)
        cell.source = "def kl_closed_form(mu, logvar):\n    return 1"
        book.cells.insert(book.cells.index(cell) + 1, again)  # the stub once more

    repaired = _submit(example, change)
    assert "return 1" in _named(repaired.book, "answer-03-1").source


def test_a_scratch_cell_below_does_not_replace_the_answer(example):
    def change(book):
        cell = _named(book, "answer-03-1")
        cell.source = "def kl_closed_form(mu, logvar):\n    return 1"
        text = "def kl_closed_form(mu, logvar):\n    return 2"
        at = book.cells.index(_named(book, "check-03-1"))
        book.cells.insert(at + 1, nbformat.v4.new_code_cell(text))

    repaired = _submit(example, change)
    assert "return 1" in _named(repaired.book, "answer-03-1").source


def test_a_comment_in_a_check_cell_is_no_tampering(example):
    def change(book):
        _named(book, "check-03-1").source += "\n# solved!"

    assert not _submit(example, change).flags


def test_another_notebook_is_refused(example):
    other = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    with pytest.raises(ValueError, match="no cell of this assignment"):
        repair(example[2], other)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("check = None", "redefines check"),
        ("def graded():\n    pass", "redefines graded"),
        ("graded.points = print", "changes graded.points"),
        ("import sys\nsys.modules.clear()", "mentions sys.modules"),
        ("get_ipython().run_cell('x')", "mentions get_ipython"),
        ("import vae_helpers.checks.lesson03", "imports the checks"),
        ("open('../solutions/03_elbo.ipynb')", "mentions solutions/"),
        ("!cat ../x", "runs '!cat ../x'"),
        ("setattr(x, 'points', 1)", "calls setattr"),
    ],
)
def test_what_reaches_for_the_checks_is_flagged(source, words):
    assert any(words in reason for reason in suspicious(source, set()))


@pytest.mark.parametrize(
    "source",
    [
        "x = check.kl_to_standard_normal(f)",
        "%matplotlib inline\nimport math",
        "# get_ipython and sys.modules are only mentioned here",
        "checked = 1",
        "!pip install torch",
        "def f(:",
    ],
)
def test_harmless_cells_are_not_flagged(source):
    assert suspicious(source, set()) == []
