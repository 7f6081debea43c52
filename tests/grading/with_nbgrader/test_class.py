"""A whole class is graded: everybody gets the marks and words of a fair teacher."""

import csv
import hashlib
import os
from pathlib import Path

import nbformat
import pytest
from students import STUDENTS, cell, write_class

from grading import assignment, grade, pages, tables

ROOT = Path(__file__).resolve().parents[3]
FULL = {"03.1": 8, "03.2": 11, "03.3": 12}

# student -> status, {exercise: (points, status)}; other exercises have full marks
G = "graded"
EXPECTED = {
    "right": (G, {}),
    "half_right": (G, {"03.2": (0, "not attempted"), "03.3": (6, G)}),
    "unsolved": ("not attempted", {n: (0, "not attempted") for n in FULL}),
    "syntax_error": ("crashed", {"03.1": (0, "crashed")}),
    "loop_in_function": ("timed out", {"03.1": (0, "timed out")}),
    "loop_at_top": (G, {}),
    "loop_that_no_interrupt_stops": ("timed out", {"03.1": (0, "timed out")}),
    "deleted_check": (G, {}),
    "deleted_answer": (G, {"03.2": (0, "not attempted")}),
    "duplicated_cells": (G, {}),
    "stub_left_below": (G, {}),
    "stripped_metadata": (G, {}),
    "edited_check": (
        "tampered",
        {
            "03.1": (0, "tampered"),
            "03.2": (0, "tampered"),
            "03.3": (0, "not attempted"),
        },
    ),
    "redefined_check": (
        "tampered",
        {
            "03.1": (0, "not attempted"),
            "03.2": (0, "tampered"),
            "03.3": (0, "not attempted"),
        },
    ),
    "replaced_module": (
        "tampered",
        {
            "03.1": (0, "not attempted"),
            "03.2": (0, "not attempted"),
            "03.3": (0, "tampered"),
        },
    ),
    "imported_solutions": ("tampered", {"03.1": (0, "tampered")}),
    "called_the_helper": (G, {}),
    "killed_kernel": ("crashed", {"03.1": (0, "crashed")}),
    "killed_in_own_cell": (G, {}),
    "system_exit": ("crashed", {"03.1": (0, "crashed")}),
    "many_lines": (G, {}),
    "warns_on_stderr": (G, {}),
    "saved_by_colab": (G, {}),
    "key_m": (G, {}),
    "all_code_in_one_cell": (G, {}),
    "half_a_character": (G, {}),
    "a_sum_too_long_to_write_out": (G, {}),
    "prints_a_verdict": (G, {"03.1": (5, G)}),
    "half_a_file": ("unreadable", {n: (None, "unreadable") for n in FULL}),
    "not_json": ("unreadable", {n: (None, "unreadable") for n in FULL}),
    "empty_folder": ("not handed in", {n: (None, "not handed in") for n in FULL}),
    "another lesson, Ünal": (
        "another notebook",
        {n: (None, "another notebook") for n in FULL},
    ),
}


def _files(folder: Path) -> dict:
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.*")}


def _options(work: Path, *more: str):
    arguments = [str(work / "handed in"), "--course", str(work / "course"), *more]
    return grade._parser().parse_args(arguments)


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The class, graded once: folder and student -> line of the table."""
    work = tmp_path_factory.mktemp("class")
    os.environ["VAE_GRADE_CELL_SECONDS"] = os.environ.get("TEST_CELL_SECONDS", "10")
    overlay = ROOT / "instructor" / "overlay_example.py"
    arguments = ["03", "--to", str(work / "course"), "--overlay", str(overlay)]
    assert assignment.main(arguments) == 0
    released = work / "course" / "release" / "03_elbo" / "03_elbo.ipynb"
    write_class(released, work / "handed in")
    before = _files(work / "handed in")
    options = _options(work)
    course = grade.open_course(options.course, None)
    rows = grade.grade_class(options.submissions, course, options)
    tables.write_tables(course.folder, course.name, rows, course.facts)
    pages.write_pages(course.folder, course.name, rows, course.facts)
    print(tables.print_table(rows, course.facts))
    assert _files(work / "handed in") == before, "a submission was changed"
    return work, {row["student"]: row for row in rows}


@pytest.mark.parametrize("student", EXPECTED)
def test_everybody_gets_fair_marks_and_a_status(graded, student):
    row = graded[1][student]
    status, different = EXPECTED[student]
    wanted = {number: (points, G) for number, points in FULL.items()} | different
    got = {n: (e["points"], e["status"]) for n, e in row["exercises"].items()}
    assert got == wanted, row
    assert row["status"] == status


def test_the_class_is_complete(graded):
    assert set(graded[1]) == set(EXPECTED)
    assert {s.__name__ for s in STUDENTS} <= set(EXPECTED)


def test_no_zero_is_silent(graded):
    for row in graded[1].values():
        for found in row["exercises"].values():
            if not found["points"]:
                assert found["status"] != G or found["says"], row


def test_remarks_say_what_was_put_back(graded):
    def remarks(student, number):
        found = graded[1][student]["exercises"][number]
        return " ".join([found["says"], *found["notes"], *graded[1][student]["notes"]])

    assert "carry no gradient" in remarks("half_right", "03.3")
    assert "check cell was deleted" in remarks("deleted_check", "03.1")
    assert "SyntaxError" in remarks("syntax_error", "03.1")
    assert "2 times" in remarks("duplicated_cells", "03.1")
    assert "lost their names" in remarks("stripped_metadata", "03.1")
    assert "check cell was edited" in remarks("edited_check", "03.1")
    assert "changes graded.points" in remarks("redefined_check", "03.2")
    assert "sys.modules" in remarks("replaced_module", "03.3")
    assert "solutions" in remarks("imported_solutions", "03.1")
    helper = "distributions.kl_to_standard_normal"
    assert helper in remarks("called_the_helper", "03.1")
    assert "stopped the kernel" in remarks("killed_kernel", "03.1")
    assert "stopped the kernel" in remarks("killed_in_own_cell", "03.3")


def test_the_tables_hold_back_what_a_person_must_see(graded):
    work, rows = graded
    marks = work / "course" / "marks"
    with open(marks / "03_elbo_lms.csv", encoding="utf-8-sig", newline="") as file:
        lms = {row["student"]: row for row in csv.DictReader(file)}
    assert set(lms) == set(rows)
    assert lms["right"]["score"] == "35.0" and lms["right"]["maximum"] == "35"
    assert lms["edited_check"]["score"] == ""
    assert lms["half_a_file"]["score"] == ""
    assert lms["syntax_error"]["score"] == "27.0"
    page = (marks / "03_elbo.html").read_text(encoding="utf-8")
    assert "another lesson, Ünal" in page and "feedback/right/03_elbo" in page


def _page(graded, student):
    path = f"feedback/{graded[1][student]['slug']}/03_elbo/03_elbo.html"
    return (graded[0] / "course" / path).read_text(encoding="utf-8")


@pytest.mark.parametrize("student", EXPECTED)
def test_feedback_shows_no_set_up_no_secret_and_no_suspicion(graded, student):
    if student == "empty_folder":  # nothing was handed in
        return
    page = _page(graded, student)
    own = ("replaced_module", "redefined_check", "imported_solutions")
    secrets = ["small_variances", "one_latent_dimension", "torch.full((2, 3)", "base64"]
    secrets += [] if student in own else ["sys.modules", "find_spec"]
    assert not [secret for secret in [*secrets, "tampered"] if secret in page]
    assert "<script" not in page and "$$" not in page


def test_feedback_has_what_a_student_needs(graded):
    page = _page(graded, "half_right")
    assert "carry no gradient" in page and "keeps half of the points" in page
    assert "importance_log_weights" in page and "Read hint 1 of exercise 03.2" in page
    assert "Read hint" not in _page(graded, "right")
    page = _page(graded, "prints_a_verdict")
    assert "The smallest case, to work by hand" in page and "[-0.3089]" in page
    assert "while" in _page(
        graded, "loop_in_function"
    )  # the work, not what replaced it


def test_a_second_run_gives_the_same_marks_at_once(graded):
    work, rows = graded
    options = _options(work)
    course = grade.open_course(options.course, None)
    again = grade.grade_class(options.submissions, course, options)
    assert {row["student"]: row for row in again} == rows


def test_pages_are_written_again_without_a_run(graded):
    work, rows = graded
    page = work / "course" / "feedback" / "right" / "03_elbo" / "03_elbo.html"
    before = page.read_bytes()
    page.unlink()
    arguments = [str(work / "handed in"), "--course", str(work / "course")]
    assert grade.main(arguments) == 0
    assert page.read_bytes() == before


def test_an_open_exercise_waits_for_a_person(tmp_path):
    course, handed_in = tmp_path / "course", tmp_path / "in"
    arguments = ["02", "--extension", "--to", str(course)]
    assert assignment.main(arguments) == 0
    released = (
        course / "release" / "02_reparameterization" / "02_reparameterization.ipynb"
    )
    book = nbformat.read(released, as_version=4)
    cell(book, "answer-02-5").source = "spread = 2 + 2"
    cell(book, "text-02-5").source = "I compared two baselines; the second one won."
    for student, work in {"wrote": book, "did not": nbformat.read(released, 4)}.items():
        (handed_in / student).mkdir(parents=True)
        nbformat.write(work, handed_in / student / released.name)
    assert grade.main([str(handed_in), "--course", str(course)]) == 0
    table = course / "marks" / "02_reparameterization_lms.csv"
    with open(table, encoding="utf-8-sig", newline="") as file:
        lms = {row["student"]: row for row in csv.DictReader(file)}
    assert "02.5: -/10 your teacher looks at it" in lms["wrote"]["comment"]
    assert lms["wrote"]["score"] == ""
    assert "02.5: 0/10 not attempted" in lms["did not"]["comment"]
    assert lms["did not"]["score"] == "0.0"


def test_grading_again_gives_the_same_marks(graded, tmp_path):
    work, rows = graded
    some = ["right", "half_right", "killed_kernel", "stripped_metadata"]
    for student in some:
        (tmp_path / student).symlink_to(work / "handed in" / student)
    arguments = [str(tmp_path), "--course", str(work / "course"), "--again"]
    options = grade._parser().parse_args([*arguments, "--jobs", "2"])
    course = grade.open_course(options.course, None)
    again = grade.grade_class(options.submissions, course, options)
    for row in again:
        assert row["exercises"] == rows[row["student"]]["exercises"]
