"""Tables of Moodle and Canvas: recognised by their columns, whatever program saved them.

Moodle's grading worksheet is in the language of whoever downloads it. In English it has the
columns

    Identifier, Full name, ..., Status, Grade, Maximum Grade, Grade can be changed,
    Last modified (submission), Last modified (grade), Feedback comments

with "Participant 1234567" as identifier. Moodle takes back identifier, grade, last modified
and comments, and leaves out a grade above the maximum. Canvas's gradebook has

    Student, ID, SIS User ID, SIS Login ID, Section, Exercises 3 (4711), ...

and a line "Points Possible". Only what stands up to the section is needed on the way back;
an empty cell would delete a score.

Sources:
    https://github.com/moodle/moodle, mod/assign/feedback/offline/importgradeslib.php and
    locallib.php; https://github.com/instructure/canvas-lms, lib/gradebook_exporter.rb and
    lib/gradebook_importer.rb.
"""

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from grading.senders import CANVAS, MOODLE
from grading.submissions import read_text

# The word for a grade in Moodle's languages; --column names any other.
GRADES = {"grade", "bewertung", "note", "calificación", "valutazione", "nota", "cijfer"}
GRADES |= {"ocena", "betyg", "karakter", "hodnocení", "avaliação", "qualificació"}
COMMENTS = re.compile("feedback|comment|komment|retroalim|commento|opmerking", re.I)
COUNTED = re.compile(r"(?P<word>\D*?\D)\s*(?P<number>\d+)")  # "Participant 1234567"
TITLED = re.compile(r"(?P<title>.+) \((?P<number>\d+)\)")  # "Exercises 3 (4711)"


def number(text: str) -> float | None:
    """A number as a spreadsheet may write it: "12.5" or "12,5"; None for other text."""
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        return None


def read_table(path: Path) -> list[list[str]]:
    """The lines of a table in any encoding and with any separator that programs write."""
    if not path.is_file():
        raise ValueError(f"There is no table {path}.")
    text = read_text(path)
    first = text.splitlines()[0] if text.strip() else ""
    if first.startswith("sep="):  # Excel's own first line
        text = text.split("\n", 1)[1]
        first = text.splitlines()[0]
    mark = max(",;\t", key=lambda m: len(next(csv.reader([first], delimiter=m), [])))
    lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=mark))
    lines = [[cell.strip() for cell in line] for line in lines if any(line)]
    if not lines:
        raise ValueError(f"{path} is empty.")
    width = len(lines[0])
    return [line + [""] * (width - len(line)) for line in lines]


@dataclass
class Table:
    """A table of Moodle or Canvas.

    Attributes:
        system: MOODLE or CANVAS.
        lines: all of them, the header first.
        first: of the lines that are students.
        number: column of the system's number for a student.
        grade: column of the scores.
        comments: column for words, None if there is none.
        keep: columns that are written back.
        maximum: that the table names, or None.
    """

    system: str
    lines: list[list[str]]
    first: int
    number: int
    grade: int
    comments: int | None
    keep: list[int]
    maximum: float | None

    def id_of(self, line: list[str]) -> str:
        """The system's number for the student of a line."""
        found = re.search(r"\d+$", line[self.number])
        return found[0] if found else ""


def open_table(path: Path, column: str | None) -> Table:
    """Recognise a table by its columns; complains with what came and what was needed."""
    lines = read_table(path)
    head = lines[0]
    if "ID" in head and head[0] in ("Student", "LastName"):
        return _gradebook(path, lines, column)
    counted = [i for i in range(len(head)) if _counts(lines, i)]
    grades = [i for i, cell in enumerate(head) if cell.casefold() in GRADES]
    if column:
        grades = [i for i, cell in enumerate(head) if cell == column]
    if not counted or len(grades) != 1:
        lacking = (
            'no column with "Participant 1234567"'
            if not counted
            else f"no column {column!r}"
            if column
            else "no column of grades that is known; name it with --column"
        )
        raise ValueError(
            f"{path} has {lacking}. Its columns are {', '.join(head)}. Needed is Moodle's "
            "grading worksheet (Identifier, Full name, ..., Grade, ..., Feedback comments) "
            "or Canvas's gradebook (Student, ID, ..., Section, Exercises 3 (4711), ...)."
        )
    grade = grades[0]
    comments = [i for i, cell in enumerate(head) if i > grade and COMMENTS.search(cell)]
    best = (
        {number(line[grade + 1]) for line in lines[1:]} if grade + 1 < len(head) else {}
    )
    return Table(
        system=MOODLE,
        lines=lines,
        first=1,
        number=counted[0],
        grade=grade,
        comments=comments[-1] if comments else None,
        keep=list(range(len(head))),
        maximum=best.pop() if len(best) == 1 else None,
    )


def _counts(lines: list[list[str]], at: int) -> bool:
    """Whether all cells of a column are one word with different numbers."""
    found = [COUNTED.fullmatch(line[at]) for line in lines[1:]]
    if not found or not all(found):
        return False
    words, numbers = {f["word"] for f in found}, {f["number"] for f in found}
    return len(words) == 1 and len(numbers) == len(found)


def _gradebook(path: Path, lines: list[list[str]], column: str | None) -> Table:
    head = lines[0]
    if "Section" not in head:
        raise ValueError(
            f"{path} has no column Section, without which Canvas takes no gradebook; its "
            f"columns are {', '.join(head)}. Export the gradebook again."
        )
    titled = {i: TITLED.fullmatch(cell) for i, cell in enumerate(head)}
    titled = {i: found for i, found in titled.items() if found}
    chosen = [
        i
        for i, found in titled.items()
        if not column or column in (head[i], found["title"], found["number"])
    ]
    if len(chosen) != 1:
        listed = ", ".join(head[i] for i in titled) or "none"
        raise ValueError(
            f"Which assignment of {path} is it? Name it or its number with --column; "
            f"got {column or 'none'}, there are: {listed}."
        )
    at, first = head.index("ID"), 1
    while (
        first < len(lines) and not lines[first][at]
    ):  # "Points Possible", "Manual Posting"
        first += 1
    best = [number(line[chosen[0]]) for line in lines[1:first] if "Points" in line[0]]
    keep = [*range(head.index("Section") + 1), chosen[0]]
    return Table(
        system=CANVAS,
        lines=lines,
        first=first,
        number=at,
        grade=chosen[0],
        comments=None,
        keep=keep,
        maximum=best[0] if best else None,
    )
