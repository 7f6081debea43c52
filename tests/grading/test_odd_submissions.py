"""A class in which everybody is odd: nobody stops it, nobody gets a silent zero.

nbgrader is replaced by a runner in this process; all else is what a teacher runs. The
same class goes through nbgrader in with_nbgrader/.
"""

import contextlib
import copy
import csv
import io
import json
import os
import signal
import sys
import unicodedata
import zipfile
from pathlib import Path
from types import SimpleNamespace

import IPython.display
import nbformat
import pytest
import torch
from classroom import make
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

from grading import assignment, grade, sealed, submissions
from grading.lesson import ROOT
from grading.names import name_of
from grading.run import Stopped

NAME = "03_elbo"
KL = """\
def kl_closed_form(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)"""
MEAN = """\
def log_mean_of_weights(log_weight):
    return torch.logsumexp(log_weight, 1) - math.log(log_weight.shape[1])


def importance_log_weights(log_likelihood, z, mu, logvar):
    ratio = (z - mu[:, None]) ** 2 / logvar.exp()[:, None] + logvar[:, None] - z**2
    return log_likelihood + 0.5 * ratio.sum(2)"""
WORK = {"answer-03-1": KL, "answer-03-3": MEAN}
OVERLAY = {"LEAVE_OUT": ["03.2", "03.4", "03.5"]}
ALL = (5, 12)  # points of the two exercises
WHOLE = f"{sum(ALL):.1f}"


def cell(book, name):
    return next(c for c in book.cells if name_of(c) == name)


def solve(book, **work):
    for name, source in (WORK | work).items():
        cell(book, name).source = source
    return book


class Student:
    """A folder to write files into."""

    def __init__(self, folder, release):
        self.folder, self.release = folder, release

    def book(self):
        return copy.deepcopy(self.release)

    def solved(self):
        return solve(self.book())

    def save(self, book, name=f"{NAME}.ipynb", encoding="utf-8"):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = book if isinstance(book, bytes) else json.dumps(book).encode(encoding)
        path.write_bytes(data)
        return path


# What each of them did ----------------------------------------------------------------
# name -> (points of 03.1 and 03.3, or a status for both; words in the remarks; held)

CLASS = {}


def did(marks, words="", held=False, name=None):
    def add(function):
        key = name if name is not None else function.__name__
        CLASS[key] = (function, marks, words, held)
        return function

    return add


@did(ALL)
def right(student):
    student.save(student.solved())


@did(("not attempted", "not attempted"))
def untouched(student):
    student.save(student.book())


@did("not handed in")
def empty_folder(student):
    pass


@did(ALL)
def folder_called_ipynb(student):
    student.save(student.solved(), f"{NAME}.ipynb/{NAME}.ipynb")


@did("not handed in")
def empty_folder_called_ipynb(student):
    (student.folder / f"{NAME}.ipynb").mkdir()


@did(ALL, name="M\udcfcller")
def latin_bytes_in_a_name(student):
    student.save(student.solved())


@did(ALL, name="李小龙 😀")
def no_code_page_has_it(student):
    student.save(student.solved())


@did(ALL, name=unicodedata.normalize("NFD", "Zoë Ünal, B.Sc."))
def name_from_a_mac(student):
    student.save(student.solved())


@did(ALL)
def half_a_character(student):
    book = student.solved()
    book.cells.append(new_code_cell("face = '\ud83d'"))
    book.cells.append(new_markdown_cell("\udc00 half"))
    student.save(book)


@did(ALL)
def a_sum_too_long_to_write_out(student):
    book = student.solved()
    book.cells.append(new_code_cell("x = " + " + ".join(["1"] * 3000)))
    student.save(book)


@did(("crashed", ALL[1]), "Error")
def an_answer_nested_too_deeply(student):
    deep = "def kl_closed_form(mu, logvar):\n    return " + "(" * 5000 + ")" * 5000
    student.save(solve(student.book(), **{"answer-03-1": deep}))


@did("unreadable", "cannot be read", held=True)
def nobody_may_read_it(student):
    student.save(student.solved()).chmod(0)


@did("unreadable", "Permission", held=True)
def nobody_may_open_the_folder(student):
    student.save(student.solved(), f"locked/{NAME}.ipynb")
    (student.folder / "locked").chmod(0)


@did("unreadable", "cannot be read", held=True)
def half_a_file(student):
    student.save(b'{"cells": [')


@did("unreadable", "cannot be read", held=True)
def no_bytes(student):
    student.save(b"")


@did("unreadable", "cannot be read", held=True)
def json_without_cells(student):
    student.save(b"[1, 2]")


@did("unreadable", "cannot be read", held=True)
def nested_json(student):
    student.save(b"[" * 100_000)


@did("unreadable", "has 1", held=True)
def huge_file(student):
    with open(student.save(b"{"), "r+b") as file:
        file.truncate(12 * 2**20)


@did("unreadable", "no ordinary file", held=True)
def a_pipe(student):
    os.mkfifo(student.folder / f"{NAME}.ipynb")


@did("unreadable", "cannot be read", held=True)
def a_link_to_nothing(student):
    (student.folder / f"{NAME}.ipynb").symlink_to(student.folder / "gone")


@did("unreadable", "essay.pdf is no notebook", held=True)
def a_pdf(student):
    student.save(b"%PDF-1.4", "essay.pdf")


@did("unreadable", "there is picture.png", held=True)
def a_picture(student):
    student.save(b"PNG", "picture.png")


@did("another notebook", "no cell of this assignment", held=True)
def another_lesson(student):
    book = nbformat.v4.new_notebook(cells=[new_code_cell("x = 1")])
    student.save(book, "02.ipynb")


@did("grading failed", "", held=True)
def cells_without_text(student):
    book = student.solved()
    book.cells[3]["metadata"] = {"nbgrader": {"grade_id": ["x"]}, "tags": 3}
    for each in book.cells:
        each.source = {"not": "text"}
    student.save(book)


@did(ALL)
def with_a_mark_of_utf8(student):
    student.save(student.solved(), encoding="utf-8-sig")


@did(ALL)
def in_utf16(student):
    student.save(student.solved(), encoding="utf-16")


@did(ALL)
def as_text(student):
    student.save(student.solved(), f"{NAME}.ipynb.txt")


@did(ALL)
def as_json(student):
    student.save(student.solved(), f"{NAME}.json")


@did(ALL)
def in_capitals(student):
    student.save(student.solved(), f"{NAME.upper()}.IPYNB")


@did(ALL)
def zipped(student):
    with zipfile.ZipFile(student.folder / f"{NAME}.zip", "w") as file:
        file.writestr(f"work/{NAME}.ipynb", json.dumps(student.solved()))
        file.writestr(f"__MACOSX/work/._{NAME}.ipynb", b"\x00\x05\x16")


@did("unreadable", "BadZipFile", held=True)
def half_a_zip(student):
    student.save(b"PK\x03\x04", f"{NAME}.ipynb.zip")


@did(ALL, "2 notebooks were handed in")
def copy_beside_the_original(student):
    student.save(student.book())
    student.save(student.solved(), f"{NAME} (1).ipynb")


@did(ALL, "2 notebooks were handed in")
def original_beside_the_copy(student):
    student.save(student.book(), f"{NAME}-Copy1.ipynb")
    student.save(student.solved())


@did(ALL, "2 notebooks were handed in")
def resubmission(student):
    student.save(student.book())
    student.save(student.solved(), f"resubmission/{NAME}.ipynb")


@did((2.5, ALL[1]), "has a different answer", held=True)
def two_different_answers(student):
    wrong = KL.replace("0.5 * ", "")  # a named mistake, which keeps half of 5 points
    student.save(solve(student.book(), **{"answer-03-1": wrong}))
    student.save(student.solved(), f"{NAME} (1).ipynb")


@did((5, "unsure"), "has an answer to it", held=True)
def half_here_and_half_there(student):
    book = student.book()
    cell(book, "answer-03-1").source = KL
    student.save(book)
    book = student.book()
    cell(book, "answer-03-3").source = MEAN
    student.save(book, "part 2.ipynb")


@did(ALL, "checkpoints")
def saved_by_jupyter_alone(student):
    student.save(student.book())
    student.save(student.solved(), f".ipynb_checkpoints/{NAME}-checkpoint.ipynb")


@did(ALL)
def older_checkpoint(student):
    older = solve(student.book(), **{"answer-03-1": KL.replace("0.5", "2")})
    student.save(older, f".ipynb_checkpoints/{NAME}-checkpoint.ipynb")
    student.save(student.solved())


@did(("unsure", "unsure"), "answer.py defines it", held=True)
def in_a_script(student):
    student.save(student.book())
    student.save(f"{KL}\n\n\n{MEAN}\n".encode(), "answer.py")


@did(("unsure", "unsure"), "work.rar may hold it", held=True)
def in_an_archive(student):
    student.save(student.book())
    student.save(b"Rar!", "work.rar")


@did(ALL, "turned into markdown and back")
def key_m(student):
    book = student.solved()
    cell(book, "answer-03-1").cell_type = "markdown"
    student.save(book)


@did(ALL, "turned into raw and back")
def key_r(student):
    book = student.solved()
    for name in WORK:
        cell(book, name).cell_type = "raw"
    student.save(book)


@did(ALL)
def key_m_and_names_lost(student):
    book = student.solved()
    for name in WORK:
        cell(book, name).cell_type = "markdown"
    for each in book.cells:
        each.metadata = {}
    student.save(book)


@did(("crashed", ALL[1]), "SyntaxError")
def prose_instead_of_code(student):
    book = student.solved()
    cell(book, "answer-03-1").update(cell_type="markdown", source="I did not know how.")
    student.save(book)


def merge(cells):
    first = copy.deepcopy(cells[0])
    first.source = "\n\n".join(c.source for c in cells)
    return first


@did(ALL, "cells were merged")
def all_code_in_one_cell(student):
    book = student.solved()
    book.cells = [merge([c for c in book.cells if c.cell_type == "code"])]
    student.save(book)


@did(ALL, "cells were merged")
def all_code_in_one_cell_without_names(student):
    book = student.solved()
    book.cells = [merge([c for c in book.cells if c.cell_type == "code"])]
    book.cells[0].metadata = {}
    student.save(book)


@did(("unsure", "unsure"), "could not be used", held=True)
def everything_in_one_text(student):
    book = student.solved()
    one = merge(book.cells)
    one.update(cell_type="markdown", metadata={})
    book.cells = [one, cell(book, "setup-0")]
    student.save(book)


@did(ALL)
def answer_merged_with_its_check(student):
    book = student.solved()
    both = [cell(book, "answer-03-1"), cell(book, "check-03-1")]
    at = book.cells.index(both[0])
    book.cells = [c for c in book.cells if c not in both]
    book.cells.insert(at, merge(both))
    student.save(book)


@did(ALL, "cells were merged")
def answer_in_the_set_up(student):
    book = student.solved()
    cell(book, "setup-1").source += f"\n\n{KL}"
    book.cells.remove(cell(book, "answer-03-1"))
    student.save(book)


@did(("unsure", ALL[1]), "own beside it", held=True)
def answer_under_another_name(student):
    book = student.solved()
    at = book.cells.index(cell(book, "answer-03-1"))
    book.cells.insert(at, new_code_cell(KL.replace("kl_closed_form", "my_kl")))
    cell(book, "answer-03-1").source = cell(student.release, "answer-03-1").source
    student.save(book)


@did(("unsure", ALL[1]), "own beside it", held=True)
def answer_that_does_not_parse_beside_the_stub(student):
    book = student.book()
    cell(book, "answer-03-3").source = MEAN
    at = book.cells.index(cell(book, "check-03-1"))
    book.cells.insert(at, new_code_cell("kl = lambda mu, logvar: (0.5 * ("))
    student.save(book)


@did(("not attempted", ALL[1]))
def a_line_to_try_things_out(student):
    book = student.book()
    cell(book, "answer-03-3").source = MEAN
    at = book.cells.index(cell(book, "check-03-1"))
    book.cells.insert(at, new_code_cell("x = 3\nprint(x)"))
    student.save(book)


@did(ALL)
def as_a_lambda_in_an_own_cell(student):
    book = student.solved()
    short = "kl_closed_form = lambda m, v: 0.5 * (m**2 + v.exp() - 1 - v).sum(1)"
    cell(book, "answer-03-1").source = cell(student.release, "answer-03-1").source
    at = book.cells.index(cell(book, "check-03-1"))
    book.cells.insert(at, new_code_cell(short))
    student.save(book)


@did(("not attempted", ALL[1]), "the course's own solved notebook")
def the_whole_course_is_in_the_folder(student):
    """Solutions that everybody can read are not this student's work."""
    book = student.book()
    cell(book, "answer-03-3").source = MEAN
    student.save(book)
    solved = (ROOT / "notebooks" / "solutions" / f"{NAME}.ipynb").read_bytes()
    student.save(solved, f"vae-course/notebooks/solutions/{NAME}.ipynb")
    student.save(b"x", "vae-course/.git/config")


@did(ALL)
def other_assignments_beside_it(student):
    """As nbgrader collects: one folder for each assignment, all with a set-up."""
    student.save(student.solved(), f"{NAME}/{NAME}.ipynb")
    student.save(make("02")[2], "02_x/02_x.ipynb")


@did("another notebook", held=True)
def another_assignment(student):
    student.save(make("02")[2], "02_x.ipynb")


@did((0, ALL[1]), "still reached")
def the_stub_s_line_left_behind_a_start(student):
    text = KL.split("\n")[0] + "\n    half = 0.5\n    raise NotImplementedError"
    student.save(solve(student.book(), **{"answer-03-1": text}))


@did((2.5, ALL[1]), "sign")
def prints_what_a_check_would_say(student):
    text = KL.replace(
        "return", "print('○ Exercise 03.1: not attempted.')\n    return -"
    )
    student.save(solve(student.book(), **{"answer-03-1": text}))


@did(("crashed", ALL[1]), "left out when grading")
def raises_our_words(student):
    text = "raise RuntimeError('left out when grading: this cell ran too long')"
    student.save(solve(student.book(), **{"answer-03-1": text}))


# The runner ---------------------------------------------------------------------------


def run_here(folder, name, slug, **_):
    """What nbgrader does with a notebook, in this process: outputs, errors, points."""
    book = nbformat.read(folder / "repaired" / slug / name / f"{name}.ipynb", 4)
    names, marks, dtype = {"__name__": "nb"}, {}, torch.get_default_dtype()
    shown = []
    show = lambda value, metadata: shown.append((repr(value), metadata))  # noqa: E731
    before, IPython.display.display = IPython.display.display, show
    try:
        for each in book.cells:
            if each.cell_type != "code":
                continue
            shown.clear()
            value = None
            try:
                compile(each.source, "cell", "exec")
                *lines, last = each.source.split("\n")
                graded = name_of(each).startswith("check")
                with contextlib.redirect_stdout(io.StringIO()):
                    exec("\n".join(lines) if graded else each.source, names)
                    value = eval(last, names) if graded else None
            except Exception as error:
                kind = type(error).__name__
                each.outputs.append(
                    new_output("error", ename=kind, evalue=str(error), traceback=[])
                )
            each.outputs += [
                new_output("display_data", {"text/plain": text}, metadata=said)
                for text, said in shown
            ]
            marks[name_of(each)] = value or 0
    finally:
        IPython.display.display = before
        torch.set_default_dtype(dtype)
    target = folder / "autograded" / slug / name
    target.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, target / f"{name}.ipynb")
    (target / "marks.json").write_text(json.dumps(marks), encoding="utf-8")
    return {"success": True, "left_out": {}, "log": ""}


def marks_here(folder, name, slug):
    path = folder / "autograded" / slug / name / "marks.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def teacher(tmp_path, monkeypatch):
    """A course folder, and the command `grade` with the runner of this process."""
    source, facts, release = make("03", OVERLAY)
    course = tmp_path / "course"
    assignment.prepare_course(course)
    (course / "private" / f"{NAME}.json").write_text(json.dumps(facts), "utf-8")
    path = course / "release" / NAME / f"{NAME}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(release, path)
    monkeypatch.setattr(grade, "nbgrader_api", lambda folder: None)
    monkeypatch.setattr(grade, "autograde", run_here)
    monkeypatch.setattr(grade, "read_marks", marks_here)
    handed_in = tmp_path / "handed in"
    handed_in.mkdir()

    def run(*more):
        return grade.main([str(handed_in), "--course", str(course), *more])

    def rows(kind="lms"):
        end = "_lms.csv" if kind == "lms" else ".csv"
        path = course / "marks" / f"{NAME}{end}"
        with open(path, encoding="utf-8-sig", newline="") as file:
            return {row["student"]: row for row in csv.DictReader(file)}

    def student(name):
        (handed_in / name).mkdir(parents=True)
        return Student(handed_in / name, release)

    return SimpleNamespace(
        course=course, handed_in=handed_in, run=run, rows=rows, student=student
    )


def without_rights(monkeypatch):
    """Where root runs the tests, every file opens: refuse as the system would."""
    real_open, real_scan = Path.read_bytes, os.scandir

    def read(path):
        if not path.stat().st_mode & 0o400:
            raise PermissionError(13, "Permission denied", str(path))
        return real_open(path)

    def scan(path="."):
        if not os.stat(path).st_mode & 0o400:
            raise PermissionError(13, "Permission denied", str(path))
        return real_scan(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    monkeypatch.setattr(os, "scandir", scan)


def test_an_odd_class_is_graded_to_its_end(teacher, monkeypatch, capsys):
    for name, (act, *_) in CLASS.items():
        act(teacher.student(name))
    (teacher.handed_in / "ben.pdf").write_bytes(b"%PDF")
    (teacher.handed_in / "cleo (late).ipynb.txt").write_text(
        json.dumps(teacher.student("dora").solved()), "utf-8"
    )
    without_rights(monkeypatch)
    monkeypatch.setattr(submissions, "LARGEST", 10 * 2**20)
    assert teacher.run() == 0
    said = capsys.readouterr().out
    assert "left aside: ben.pdf" in said
    marks, lms = teacher.rows("marks"), teacher.rows()
    assert lms["cleo (late)"]["score"] == WHOLE
    assert "2 notebooks" not in marks["other_assignments_beside_it"]["notes"]
    assert len(marks) == len(CLASS) + 2
    wrong = {}
    for name, (_, wanted, words, held) in CLASS.items():
        name = submissions.readable(name)
        row = marks[name]
        wanted = (wanted, wanted) if isinstance(wanted, str) else wanted
        text = " ".join(row.values())
        for number, value in zip(("03.1", "03.3"), wanted, strict=True):
            got = row[f"{number} status"]
            if not isinstance(value, str):
                got = float(row[f"{number} points"] or "nan")
            if got != value:
                wrong[name, number] = (got, value, text)
        if words.lower() not in text.lower():
            wrong[name, "words"] = (words, text)
        if held != (row["look"] == "yes"):
            wrong[name, "held"] = text
        if (lms[name]["score"] == "") is not (held or wanted[0] == "not handed in"):
            wrong[name, "lms"] = lms[name]
    for row in marks.values():  # no zero is silent
        for number in ("03.1", "03.3"):
            zero = row[f"{number} points"] in ("0", "0.0")
            if zero and row[f"{number} status"] == "graded":
                assert row[f"{number} remark"], row
    assert not wrong, "\n".join(f"{k}: {v}" for k, v in wrong.items())


@pytest.mark.parametrize("error", [RecursionError, MemoryError, OSError, SystemExit])
def test_whatever_fails_inside_costs_one_student_alone(teacher, monkeypatch, error):
    """Any error, also of a kind that nobody thought of."""

    def bad(folder, name, slug, **more):
        if slug == "eve":
            raise error("deep\ninside")
        return run_here(folder, name, slug, **more)

    for name in ("anna", "eve", "zoe"):
        right(teacher.student(name))
    monkeypatch.setattr(grade, "autograde", bad)
    assert teacher.run() == 0
    rows = teacher.rows("marks")
    assert rows["eve"]["status"] == "grading failed" and rows["eve"]["look"] == "yes"
    assert f"{error.__name__}: deep inside" in rows["eve"]["notes"]
    assert rows["anna"]["score"] == rows["zoe"]["score"] == WHOLE


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"digest": 3}', "null", "\x00"])
def test_a_broken_record_counts_as_none(teacher, broken):
    right(teacher.student("anna"))
    assert teacher.run() == 0
    record = teacher.course / "private" / f"{NAME}_runs" / "anna_result.json"
    record.write_text(broken, encoding="utf-8")
    assert teacher.run() == 0
    assert teacher.rows()["anna"]["score"] == WHOLE


def test_a_lost_or_half_written_result_is_made_again(teacher):
    right(teacher.student("anna"))
    assert teacher.run() == 0
    for spoil in (lambda p: p.unlink(), lambda p: p.write_text("{", "utf-8")):
        spoil(teacher.course / "autograded" / "anna" / NAME / f"{NAME}.ipynb")
        assert teacher.run() == 0
        assert teacher.rows()["anna"]["score"] == WHOLE


def test_a_record_is_used_when_nothing_changed(teacher, monkeypatch):
    right(teacher.student("anna"))
    assert teacher.run() == 0
    monkeypatch.setattr(grade, "autograde", None)  # would fail if it were called
    assert teacher.run() == 0
    assert teacher.rows()["anna"]["score"] == WHOLE


def test_a_stopped_run_writes_tables_and_goes_on_later(teacher, monkeypatch, capsys):
    """Ctrl-C while ben is graded: a real signal, which the main thread gets."""
    for name in ("anna", "ben", "zoe"):
        right(teacher.student(name))

    def stop(folder, name, slug, stop, **more):
        if slug == "ben":
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.wait(20)
            raise Stopped("grading was stopped")
        return run_here(folder, name, slug)

    monkeypatch.setattr(grade, "autograde", stop)
    assert teacher.run() == 130
    assert "Stopped. The tables hold those who are done" in capsys.readouterr().out
    rows = teacher.rows("marks")
    assert rows["anna"]["score"] == WHOLE
    assert rows["ben"]["status"] == rows["zoe"]["status"] == "grading failed"
    assert "stopped" in rows["zoe"]["notes"] and teacher.rows()["zoe"]["score"] == ""
    monkeypatch.setattr(grade, "autograde", run_here)
    assert teacher.run() == 0
    assert {row["score"] for row in teacher.rows().values()} == {WHOLE}


def test_a_submission_that_writes_into_the_checks_is_found(teacher, monkeypatch):
    """The class goes on, but no marks are believed until the files are restored."""
    hidden = teacher.course / "private" / "course_hidden_tests.py"
    before = hidden.read_bytes()

    def write(folder, name, slug, **more):
        if slug == "eve":
            hidden.write_text("def symptom(*a):\n    return ''\n", encoding="utf-8")
        return run_here(folder, name, slug, **more)

    for name in ("anna", "eve", "zoe"):
        right(teacher.student(name))
    monkeypatch.setattr(grade, "autograde", write)
    assert teacher.run() == 0
    rows = teacher.rows("marks")
    assert [rows[n]["look"] for n in ("anna", "eve", "zoe")] == ["", "yes", "yes"]
    assert rows["zoe"]["status"] == "tampered"
    assert "course_hidden_tests.py changed" in rows["zoe"]["03.1 remark"]
    hidden.write_bytes(before)
    monkeypatch.setattr(grade, "autograde", run_here)
    assert teacher.run() == 0
    assert {row["score"] for row in teacher.rows().values()} == {WHOLE}


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_names_reach_a_terminal_of_any_code_page(teacher, monkeypatch, encoding):
    from grading.__main__ import main

    right(teacher.student("李小龙"))
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["grade", str(teacher.handed_in), "--course", str(teacher.course)]) == 0
    out.flush()
    assert b"2 of 2 right" in out.buffer.getvalue()
    assert "李小龙" in teacher.rows()


# The list of the class ----------------------------------------------------------------

NFD = unicodedata.normalize("NFD", "Zoë")
LISTS = {
    "one a line": "anna\nZoë\nnobody\n",
    "with a header": "Name\nanna\nZoë\nnobody\n",
    "composed otherwise": f"anna\n{NFD}\nnobody\n",
    "semicolons": "Nr;Name;Mail\n1;anna;a@x.de\n2;Zoë;z@x.de\n3;nobody;n@x.de\n",
    "quotes": '"Name","Mail"\n"anna","a@x"\n"Zoë","z@x"\n"nobody","n@x"\n',
    "tabs": "anna\tx\nZoë\ty\nnobody\tz\n",
    "a comma in a name": "anna\nZoë\nMeier, Eva\nnobody\n",
    "quoted comma": 'anna,1\nZoë,2\n"Meier, Eva",3\nnobody,4\n',
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_class_list_out_of_any_program(kind, encoding, tmp_path):
    path = tmp_path / "list.csv"
    path.write_bytes(LISTS[kind].encode(encoding, "replace"))
    found = submissions.read_roster(path, ["anna", "Zoë", "Meier, Eva"])
    lost = kind == "composed otherwise" and encoding == "cp1252"  # cp1252 has no NFD
    wanted = {"anna", "Zoë", "nobody"} | ({"Meier, Eva"} if "comma" in kind else set())
    assert lost or set(found) == wanted


def test_the_list_adds_who_handed_in_nothing_and_doubles_nobody(teacher, tmp_path):
    right(teacher.student(unicodedata.normalize("NFD", "Zoë")))
    path = tmp_path / "class.txt"
    path.write_text("Zoë\nben\n", encoding="cp1252")
    assert teacher.run("--students", str(path)) == 0
    rows = teacher.rows("marks")
    assert {n: r["status"] for n, r in rows.items()} == {
        "Zoë": "graded",
        "ben": "not handed in",
    }


def test_a_list_that_is_not_there_is_named(teacher, tmp_path, capsys):
    right(teacher.student("anna"))
    assert teacher.run("--students", str(tmp_path / "no.csv")) == 2
    assert "no.csv" in capsys.readouterr().err
    (tmp_path / "empty.csv").write_text("\n")
    assert teacher.run("--students", str(tmp_path / "empty.csv")) == 2
    assert "empty.csv is empty" in capsys.readouterr().err


def test_a_private_file_that_is_broken_is_named(teacher, capsys):
    right(teacher.student("anna"))
    (teacher.course / "private" / f"{NAME}.json").write_bytes(b"\xff\xfe{")
    assert teacher.run() == 2
    assert f"{NAME}.json" in capsys.readouterr().err


def test_two_folders_of_one_name_are_one_student(teacher):
    right(teacher.student("Zoë"))
    untouched(teacher.student(NFD))
    assert teacher.run() == 0
    assert teacher.rows()["Zoë"]["score"] == WHOLE
    assert len(teacher.rows()) == 1


def test_names_with_anything_in_them_become_folder_names():
    students = ["Ünal, Ada", "a+b", "a b", "plain", "Plain", "x" * 300, "李"]
    table = submissions.slugs(students)
    slugs = list(table.values())
    assert len({slug.lower() for slug in slugs}) == 7 and table["plain"] == "plain"
    assert all(s.isascii() and len(s) < 100 and "/" not in s for s in slugs)


def test_a_folder_that_holds_nothing_is_named(tmp_path):
    with pytest.raises(ValueError, match="neither folders nor notebooks"):
        submissions.find_submissions(tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        submissions.find_submissions(tmp_path / "no")


def test_the_hidden_test_stops_an_endless_answer(monkeypatch):
    from grading import hidden_tests
    from vae_helpers.checks import guard

    def forever(answer):
        while True:
            pass

    with sealed.fresh_checks():
        import importlib

        fresh = importlib.import_module(guard.__name__)
        limit = fresh.time_limit
        monkeypatch.setattr(fresh, "time_limit", lambda: limit(0.2))
        assert "was stopped after" in hidden_tests._run(forever, (None,))
