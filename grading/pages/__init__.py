"""Writes the pages of a graded assignment: one for each student, one for the class.

What stands on them is decided in `grading.feedback` and `grading.overview`. A page is one
file without a script, and nothing in it is fetched: it opens offline and on a phone.
"""

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import jinja2

from grading import feedback, overview, tables
from grading.pages.text import clean, code, markdown, number, share, words

HERE = Path(__file__).resolve().parent
MARKS = {  # state -> a sign, so that colour is not the only one
    "right": "✓",
    "part": "◐",
    "wrong": "✗",
    "none": "○",
    "error": "!",
    "late": "…",
    "waiting": "?",
    "missing": "?",
}


def _environment() -> jinja2.Environment:
    """Everything is escaped unless a filter of `text` made it."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "code": code,
        "words": words,
        "markdown": markdown,
        "number": number,
        "share": share,
        "address": quote,
    }
    made.globals |= {
        "states": feedback.STATES,
        "marks": MARKS,
        "style": (HERE / "style.css").read_text(encoding="utf-8"),
    }
    return made


def student_page(student: feedback.Student) -> str:
    """The page of a student as HTML."""
    page = _environment().get_template("student.html.j2")
    return clean(page.render(student=student))


def class_page(report: overview.Report) -> str:
    """The page of a class as HTML; its links start in the folder marks/."""
    page = _environment().get_template("class.html.j2")
    return clean(page.render(report=report))


def write_pages(
    folder: Path, name: str, rows: Sequence[dict], facts: dict
) -> overview.Report:
    """Write all pages of an assignment and the class as a table.

    Args:
        folder: the course folder.
        name: of the assignment.
        rows: lines of the table, each with its "slug".
        facts: what grading knows about the assignment.
    """
    exercises = feedback.read_lesson(facts)
    for row in filter(overview.has_page, rows):
        text = student_page(feedback.student(row, facts, exercises))
        _write(folder / overview.page_of(row["slug"], name), text)
    report = overview.report(name, rows, facts)
    _write(folder / "marks" / f"{name}.html", class_page(report))
    table = folder / "marks" / f"{name}_class.csv"
    tables.write_csv(table, overview.lines(report))
    return report


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tables.open_text(path, "utf-8") as file:
        file.write(text)
