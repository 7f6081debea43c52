"""The table that decides a status: every row, its order, and what it costs."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from grading import status
from grading.names import MARK
from grading.status import (
    CRASHED,
    DIED,
    FAILED,
    GRADED,
    NO_FILE,
    NOT_ATTEMPTED,
    PERSON,
    RULES,
    SETUP,
    TAMPERED,
    TIMED_OUT,
    TOO_LONG,
    UNREADABLE,
    UNSURE,
    WRONG,
    Seen,
    decide,
)

SAID = {"status": "wrong", "message": "The sign is flipped."}
STUB = {"status": "not attempted", "message": "Replace the line."}

# what was seen, of 6 points -> status, points, held, words
TABLE = [
    ({"refused": FAILED, "why": "KeyError"}, FAILED, None, True, "KeyError"),
    ({"refused": UNREADABLE, "why": "half"}, UNREADABLE, None, True, "half"),
    ({"refused": WRONG}, WRONG, None, True, ""),
    ({"refused": NO_FILE}, NO_FILE, None, False, ""),
    ({"broken": ["ImportError: x"]}, SETUP, None, True, "ImportError: x"),
    ({"tried": True}, SETUP, None, True, "The check did not run."),
    ({"tried": True, "points": 6, "flags": ["a", "b"]}, TAMPERED, 6, True, "a; b"),
    ({"manual": True, "tried": True, "points": None}, PERSON, None, True, ""),
    ({"doubts": ["b.ipynb has it"]}, UNSURE, 0, True, "b.ipynb has it"),
    ({"tried": True, "points": 2, "doubts": ["x"]}, UNSURE, 2, True, "x"),
    ({"tried": True, "left_out": [TOO_LONG]}, TIMED_OUT, 0, False, "ran too long"),
    ({"tried": True, "hung": True}, TIMED_OUT, 0, False, "longer than its limit"),
    ({"tried": True, "left_out": [DIED]}, CRASHED, 0, False, "stopped the kernel"),
    (
        {"tried": True, "errors": ["NameError: kl", "SyntaxError: bad"]},
        CRASHED,
        0,
        False,
        "SyntaxError: bad",
    ),
    ({}, NOT_ATTEMPTED, 0, False, ""),
    ({"errors": ["NameError: torch"]}, NOT_ATTEMPTED, 0, False, ""),
    ({"manual": True, "points": None}, NOT_ATTEMPTED, 0, False, ""),
    ({"manual": True, "tried": True, "points": 4}, GRADED, 4, False, ""),
    ({"tried": True, "points": 6, "verdict": SAID}, GRADED, 6, False, "sign"),
    ({"tried": True, "points": 6, "doubts": ["x"]}, GRADED, 6, False, ""),
    ({"tried": True, "points": 3, "verdict": SAID}, GRADED, 3, False, "sign"),
    ({"tried": True, "points": 0, "verdict": SAID}, GRADED, 0, False, "sign"),
    ({"tried": True, "verdict": STUB}, GRADED, 0, False, "is still reached"),
    ({"tried": True, "verdict": SAID, "hung": True, "points": 3}, GRADED, 3, False, ""),
]


@pytest.mark.parametrize(("seen", "wanted", "points", "held", "words"), TABLE)
def test_every_row_of_the_table(seen, wanted, points, held, words):
    found = decide(Seen(6, **seen))
    assert (found["status"], found["points"]) == (wanted, points)
    assert words in found["says"]
    assert (found["status"] in status.HELD) is held


def test_all_rows_are_tried_above():
    assert {row[1] for row in TABLE} == {rule.status for rule in RULES}
    shown = {decide(Seen(6, **row[0]))["shown"] for row in TABLE}
    assert shown == {rule.shown for rule in RULES}


# Each of these beats all that follow, whatever else was seen.
FIRST = [
    ({"refused": FAILED}, FAILED),
    ({"broken": ["x"]}, SETUP),
    ({"flags": ["x"]}, TAMPERED),
    ({"doubts": ["x"]}, UNSURE),
    ({"left_out": [TOO_LONG]}, TIMED_OUT),
    ({"left_out": [DIED]}, CRASHED),
    ({"points": 0}, NOT_ATTEMPTED),
]


@pytest.mark.parametrize("at", range(len(FIRST)))
def test_the_order_is_the_rule(at):
    everything: dict = {}
    for seen, _ in reversed(FIRST[at:]):
        for key, value in seen.items():
            old = everything.get(key)
            everything[key] = value + old if isinstance(old, list) else value
    assert decide(Seen(6, **everything))["status"] == FIRST[at][1]


def test_statuses_have_colours_of_their_own():
    ran = [rule for rule in RULES if rule.colour != "#ffffff"]
    assert len({rule.colour for rule in ran}) == len(ran)


def test_the_worst_status_is_that_of_the_submission():
    facts = {"exercises": {str(n): {"bonus": False} for n in range(3)}}

    def row(*seen):
        found = {str(n): decide(Seen(6, **each)) for n, each in enumerate(seen)}
        return status.whole_result("ada", found, facts, [])["status"]

    right = {"tried": True, "points": 6}
    assert row(right, {"doubts": ["x"]}, {"flags": ["y"]}) == TAMPERED
    assert row(right, {"tried": True, "left_out": [DIED]}, {}) == CRASHED
    assert row(right, {}, {}) == GRADED
    assert row({}, {}, {}) == NOT_ATTEMPTED


# What was seen ------------------------------------------------------------------------

ENTRY = {"points": 6, "hidden": [1], "manual": False}
DONE = {"flags": {}, "doubts": {}, "notes": {}, "left_out": {}, "attempted": ["03.1"]}


def _book(*outputs):
    cells = []
    for name, out in [
        ("answer-03-1", []),
        ("check-03-1", outputs),
        ("hidden-03-1-0", []),
    ]:
        cell = new_code_cell(outputs=list(out))
        cell.metadata["nbgrader"] = {"grade_id": name}
        cells.append(cell)
    return new_notebook(cells=cells)


def _shown(text, **said):
    metadata = {MARK: said} if said else {}
    return new_output("display_data", {"text/plain": text}, metadata=metadata)


MARKS = {"check-03-1": 0, "hidden-03-1-0": 0}


def _result(*outputs):
    return status.exercise_result("03.1", ENTRY, _book(*outputs), MARKS, DONE)


def test_what_an_answer_prints_is_no_verdict():
    """An answer may show any words; the check's own come with a mark, and last."""
    lies = [
        _shown("○ Exercise 03.1 KL: not attempted. Replace the line."),
        _shown("✓ Exercise 03.1 KL: right.", status="right", message="all"),
        new_output("stream", text="✗ Exercise 03.1 KL: wrong."),
    ]
    found = _result(*lies, _shown("✗ ...", **SAID))
    assert found["status"] == GRADED and found["says"] == "The sign is flipped."


def test_a_verdict_reaches_the_output_of_a_cell():
    """The mark is what a real kernel writes: display() with metadata."""
    import IPython.display
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import RichOutput, capture_output

    from grading import sealed

    had = InteractiveShell.initialized()
    shell = InteractiveShell.instance()
    try:
        with capture_output() as out:
            sealed.points("lesson00.scale_pixels", lambda x: x.float() / 255, out_of=2)
    finally:
        if not had:
            InteractiveShell.clear_instance()
    assert shell and IPython.display and isinstance(out.outputs[0], RichOutput)
    assert out.outputs[0].metadata[MARK]["status"] == "right"


def test_an_error_with_our_words_is_still_an_error():
    says = "left out when grading: this cell ran too long"
    error = new_output("error", ename="RuntimeError", evalue=says, traceback=[])
    assert _result(nbformat.from_dict(error))["status"] == CRASHED


def test_remarks_of_hidden_tests_are_told():
    book = _book(_shown("✗ ...", **SAID))
    why = {"ename": "AssertionError", "evalue": "gives inf", "traceback": []}
    book.cells[2].outputs = [new_output("error", **why)]
    found = status.exercise_result("03.1", ENTRY, book, MARKS, DONE)
    assert found["notes"] == ["hidden test: gives inf"]
