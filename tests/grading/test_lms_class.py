"""A class from the zip of Moodle or Canvas to what they take back."""

import csv
import json
import shutil
import zipfile

import nbformat
import test_odd_submissions as odd
from test_lms import ADA, CANVAS_TABLE, MOODLE_TABLE, ZOE
from test_odd_submissions import NAME, WHOLE, right, solve, untouched

from grading import lms

teacher = odd.teacher


def _lms(teacher, table, *more):
    return lms.main([str(table), "--course", str(teacher.course), *more])


def _pages(teacher):
    """Feedback pages, as nbgrader or the course writes them."""
    people = json.loads((teacher.course / "private" / f"{NAME}_class.json").read_text())
    for person in people:
        path = teacher.course / "feedback" / person["slug"] / NAME / f"{NAME}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"<html><head><style>b{{}}</style></head><body><h1>{person['student']}</h1>"
            "<script>1</script></body></html>",
            encoding="utf-8",
        )


def test_the_whole_way_with_moodle(teacher, tmp_path, capsys):
    right(teacher.student(ADA))
    untouched(teacher.student(ZOE))
    table = tmp_path / "Grades-CS-Exercise 3-4711.csv"
    table.write_text(MOODLE_TABLE, encoding="utf-8-sig")
    assert teacher.run("--students", str(table)) == 0
    assert "Next, for Moodle: make lms TABLE=" in capsys.readouterr().out
    rows = teacher.rows()
    assert rows["Ada Lovelace"]["id"] == "1234567" and "Grace Hopper" in rows
    _pages(teacher)
    assert _lms(teacher, table, "--out-of", "10") == 0
    said = capsys.readouterr().out
    assert "2 of 3 students have their score out of 10" in said
    assert (
        "Grace Hopper has no score yet" in said and "Upload grading worksheet" in said
    )
    marks = teacher.course / "marks"
    with open(marks / f"{NAME}_moodle.csv", encoding="utf-8-sig", newline="") as file:
        got = {row["Identifier"]: row for row in csv.DictReader(file)}
    assert got["Participant 1234567"]["Grade"] == "10"
    assert got["Participant 7654321"]["Grade"] == "0"
    assert got["Participant 42"]["Grade"] == ""
    with zipfile.ZipFile(marks / f"{NAME}_feedback.zip") as archive:
        assert set(archive.namelist()) == {
            f"{ADA}/{NAME}_feedback.html",
            f"{ZOE}/{NAME}_feedback.html",
        }


def test_the_whole_way_with_canvas(teacher, tmp_path, capsys):
    release = teacher.student("lovelaceada").release
    (teacher.handed_in / "lovelaceada").rmdir()
    work = {
        "lovelaceada_12345_70_03_elbo.ipynb": release,
        "lovelaceada_LATE_12345_91_03_elbo-1.ipynb": solve(nbformat.from_dict(release)),
        "ünalzoë_12_71_answer.pdf": None,
    }
    for name, book in work.items():
        text = json.dumps(book) if book else "%PDF"
        (teacher.handed_in / name).write_text(text, encoding="utf-8")
    table = tmp_path / "gradebook.csv"
    table.write_text(CANVAS_TABLE, encoding="utf-8")
    assert teacher.run() == 0
    rows, marks = teacher.rows("marks"), teacher.course / "marks"
    assert rows["lovelaceada"]["score"] == WHOLE
    assert "it came late" in rows["lovelaceada"]["notes"]
    assert rows["ünalzoë"]["status"] == "unreadable"
    # What a person writes into the table for the LMS is what counts.
    path = marks / f"{NAME}_lms.csv"
    text = path.read_text(encoding="utf-8-sig").replace(
        "ünalzoë,12,,", "ünalzoë,12,8.5,"
    )
    path.write_text(text.replace(",", ";").replace("8.5", "8,5"), encoding="cp1252")
    _pages(teacher)
    assert _lms(teacher, table, "--column", "4711") == 0
    assert "Re-Upload Submissions" in capsys.readouterr().out
    text = (marks / f"{NAME}_canvas.csv").read_text(encoding="utf-8-sig")
    assert '"Lovelace, Ada",12345,s1,ada,A,20' in text and ",A,10\n" in text.replace(
        "\r", ""
    )
    with zipfile.ZipFile(marks / f"{NAME}_feedback.zip") as archive:
        names = archive.namelist()
        assert names == [
            f"lovelaceada_LATE_12345_91_{NAME}_feedback.ipynb",
            f"ünalzoë_12_71_{NAME}_feedback.html",
        ]
        book = nbformat.reads(archive.read(names[0]).decode(), as_version=4)
    nbformat.validate(book)
    assert book.cells[0].outputs[0].data["text/html"] == "<h1>lovelaceada</h1>"


def test_scores_can_be_scaled_for_any_other_system(teacher):
    right(teacher.student("anna"))
    assert teacher.run("--out-of", "100") == 0
    row = teacher.rows()["anna"]
    assert (row["score"], row["maximum"]) == ("100.0", "100.0")


def test_what_is_missing_is_named(teacher, tmp_path, capsys):
    table = tmp_path / "worksheet.csv"
    assert _lms(teacher, table) == 2
    assert "has no marks yet. Run make grade first" in capsys.readouterr().err
    right(teacher.student(ADA))
    assert teacher.run() == 0
    assert _lms(teacher, table) == 2
    assert f"There is no table {table}" in capsys.readouterr().err
    table.write_text(MOODLE_TABLE, encoding="utf-8")
    assert _lms(teacher, table, "--assignment", "04") == 2
    assert (
        f"one of the graded assignments with --assignment: {NAME}"
        in capsys.readouterr().err
    )
    assert _lms(teacher, table) == 0
    assert "1 their feedback" in capsys.readouterr().out
    packed = teacher.course / "marks" / f"{NAME}_feedback.zip"
    assert packed.exists()
    shutil.rmtree(teacher.course / "feedback")
    assert _lms(teacher, table) == 0
    assert "There is no feedback" in capsys.readouterr().out
    assert not packed.exists()
    path = teacher.course / "marks" / f"{NAME}_lms.csv"
    path.write_text("student,score,maximum,comment\nAda Lovelace,ten,17,\n", "utf-8")
    assert _lms(teacher, table) == 2
    assert "Ada Lovelace has the score 'ten' of '17'" in capsys.readouterr().err
