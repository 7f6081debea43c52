"""A class of simulated students: what each of them did to the released notebook."""

import copy
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
from answers import lesson03
from nbformat import NotebookNode

RIGHT = {  # key of the answer's cell -> (function, name that the exercise asks for), ...
    "03-1": [(lesson03.kl_formula, "kl_closed_form")],
    "03-2": [(lesson03.guess_by_loops, "best_guess")],
    "03-3": [
        (lesson03.lme_library, "log_mean_of_weights"),
        (lesson03.weights_formula, "importance_log_weights"),
    ],
}
LOOP = "while True:\n        pass"


def source_of(function: Callable, name: str) -> str:
    """The text of an answer, under the name that the exercise asks for."""
    text = inspect.getsource(function).replace(
        f"def {function.__name__}(", f"def {name}("
    )
    if "kl_formula" in text:
        text += "\n\n" + inspect.getsource(lesson03.kl_formula)
    return text


def right_text(key: str) -> str:
    """The right answer of a cell."""
    return "\n\n".join(source_of(*each) for each in RIGHT[key])


def cell(book: NotebookNode, name: str) -> NotebookNode:
    return next(
        c for c in book.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name
    )


def put(book: NotebookNode, key: str, source: str) -> None:
    cell(book, f"answer-{key}").source = source


def solve(book: NotebookNode, *keys: str) -> None:
    for key in keys or RIGHT:
        put(book, key, right_text(key))


def own(book: NotebookNode, before: str, source: str) -> None:
    """Add a cell of the student's own before a named one."""
    at = book.cells.index(cell(book, before))
    book.cells.insert(at, nbformat.v4.new_code_cell(source))


def remove(book: NotebookNode, name: str) -> None:
    book.cells.remove(cell(book, name))


# What each student does ---------------------------------------------------------------


def right(book):
    solve(book)


def half_right(book):
    solve(book, "03-1")
    text = source_of(lesson03.lme_library, "inner")
    text += "\n\ndef log_mean_of_weights(w):\n    return inner(w).detach()\n\n"
    text += source_of(lesson03.weights_formula, "importance_log_weights")
    put(book, "03-3", text)


def unsolved(book):
    pass


def syntax_error(book):
    solve(book)
    put(book, "03-1", "def kl_closed_form(mu, logvar):\n    return 0.5 * (mu**2\n")


def loop_in_function(book):
    solve(book)
    put(book, "03-1", f"def kl_closed_form(mu, logvar):\n    {LOOP}\n")


def loop_at_top(book):
    solve(book)
    text = right_text("03-3")
    put(book, "03-3", text + "\nwhile True:\n    pass\n")


def loop_that_no_interrupt_stops(book):
    solve(book)
    text = "def kl_closed_form(mu, logvar):\n    while True:\n        try:\n"
    text += "            while True:\n                pass\n"
    put(book, "03-1", text + "        except BaseException:\n            pass\n")


def deleted_check(book):
    solve(book)
    remove(book, "check-03-1")
    remove(book, "hidden-03-1-0")


def deleted_answer(book):
    solve(book)
    remove(book, "answer-03-2")


def duplicated_cells(book):
    solve(book)
    for name in ("check-03-1", "answer-03-3", "check-03-3"):
        again = copy.deepcopy(cell(book, name))
        book.cells.insert(book.cells.index(cell(book, name)) + 1, again)


def stub_left_below(book):
    """Solved in a new cell; the stub, with its name, stays."""
    solve(book, "03-2", "03-3")
    own(book, "check-03-1", right_text("03-1"))


def stripped_metadata(book):
    solve(book)
    for each in book.cells:
        each.metadata = NotebookNode({})
    book.metadata = NotebookNode({})


def edited_check(book):
    cell(book, "check-03-1").source = "6"
    cell(book, "check-03-2").source += "\n15"


def redefined_check(book):
    text = (
        "from vae_helpers.checks import graded\n\ngraded.points = lambda *a, **k: 15\n"
    )
    own(book, "check-03-2", text + "best_guess = None\n")


def replaced_module(book):
    text = "import sys, types\nfake = types.ModuleType('graded')\n"
    text += "fake.points = lambda *a, **k: 10\n"
    text += "sys.modules['vae_helpers.checks.graded'] = fake\n"
    put(book, "03-3", text + "log_mean_of_weights = None\n")


def imported_solutions(book):
    solve(book, "03-2", "03-3")
    text = "import json\n\ncells = json.load(open('../solutions/03_elbo.ipynb'))['cells']\n"
    text += "kl_closed_form = None\n"
    put(book, "03-1", text)


def called_the_helper(book):
    solve(book, "03-2", "03-3")
    text = "def kl_closed_form(mu, logvar):\n"
    text += "    return distributions.kl_to_standard_normal(mu, logvar)\n"
    put(book, "03-1", text)


def killed_kernel(book):
    solve(book)
    text = "def kl_closed_form(mu, logvar):\n    import os\n\n"
    put(book, "03-1", text + "    os.kill(os.getpid(), 9)\n")


def killed_in_own_cell(book):
    solve(book)
    own(book, "answer-03-3", "import signal\n\nsignal.raise_signal(9)\n")


def system_exit(book):
    solve(book)
    text = "def kl_closed_form(mu, logvar):\n    raise SystemExit\n"
    put(book, "03-1", text)


def many_lines(book):
    solve(book)
    own(book, "answer-03-2", "for i in range(200_000):\n    print(i)\n")
    text = right_text("03-3")
    text = text.replace("    return", "    print('here', log_weight)\n    return", 1)
    put(book, "03-3", text)


def warns_on_stderr(book):
    solve(book)
    text = right_text("03-1")
    noise = "    import sys, warnings\n\n    warnings.warn('careful')\n"
    noise += "    print('careful', file=sys.stderr)\n    return"
    put(book, "03-1", text.replace("    return", noise))


def saved_by_colab(book):
    """As Colab saves a file: its own metadata, other ids, an older minor version."""
    solve(book)
    book.metadata["colab"] = {"provenance": [], "toc_visible": True}
    book.metadata["accelerator"] = "GPU"
    for number, each in enumerate(book.cells):
        each.metadata["id"] = f"Xy{number}zQ"
        if each.cell_type == "code":
            each.metadata["executionInfo"] = {"status": "ok", "elapsed": 12, "user": {}}
            each.metadata["outputId"] = f"out-{number}"
    book.nbformat_minor = 0


def key_m(book):
    """An answer turned into Markdown by a key pressed in command mode."""
    solve(book)
    cell(book, "answer-03-1").cell_type = "markdown"


def all_code_in_one_cell(book):
    solve(book)
    code = [c for c in book.cells if c.cell_type == "code"]
    code[0].source = "\n\n".join(c.source for c in code)
    book.cells = code[:1]


def half_a_character(book):
    solve(book)
    own(book, "check-03-1", "face = '\ud83d'")


def a_sum_too_long_to_write_out(book):
    solve(book)
    own(book, "check-03-1", "x = " + " + ".join(["1"] * 400))


def prints_a_verdict(book):
    """What an answer prints or shows is not what the check says."""
    solve(book)
    text = right_text("03-1").replace("    return", "    return -", 1)
    head = "    from IPython.display import display\n\n"
    head += "    display('○ Exercise 03.1 KL: not attempted. x')\n    return"
    put(book, "03-1", text.replace("    return", head, 1))


STUDENTS = [
    right,
    half_right,
    unsolved,
    syntax_error,
    loop_in_function,
    loop_at_top,
    loop_that_no_interrupt_stops,
    deleted_check,
    deleted_answer,
    duplicated_cells,
    stub_left_below,
    stripped_metadata,
    edited_check,
    redefined_check,
    replaced_module,
    imported_solutions,
    called_the_helper,
    killed_kernel,
    killed_in_own_cell,
    system_exit,
    many_lines,
    warns_on_stderr,
    saved_by_colab,
    key_m,
    all_code_in_one_cell,
    half_a_character,
    a_sum_too_long_to_write_out,
    prints_a_verdict,
]


def write_class(released: Path, folder: Path) -> None:
    """One folder for each student, and three with files that cannot be graded."""
    original = nbformat.read(released, as_version=4)
    for student in STUDENTS:
        book = copy.deepcopy(original)
        student(book)
        name = student.__name__
        path = folder / name / "03_elbo.ipynb"
        path.parent.mkdir(parents=True)
        text = json.dumps(book, indent=1)
        if student is saved_by_colab:
            text = re.sub(r'\n {3}"id": "[0-9a-f-]+",', "", text)
        path.write_text(text, encoding="utf-8")
    for name, text in [("half_a_file", '{"cells": ['), ("not_json", "%PDF-1.4")]:
        (folder / name).mkdir()
        (folder / name / "03_elbo.ipynb").write_text(text, encoding="utf-8")
    (folder / "empty_folder").mkdir()
    (folder / "another lesson, Ünal").mkdir()
    other = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    nbformat.write(other, folder / "another lesson, Ünal" / "02.ipynb")
