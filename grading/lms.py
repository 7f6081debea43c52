"""Put the marks of an assignment into the table of Moodle or Canvas, and pack feedback.

    python -m grading lms TABLE [--assignment NAME] [--course FOLDER] [--out-of POINTS]

TABLE is what the system itself gave you: Moodle's grading worksheet ("Download grading
worksheet"; the assignment needs the feedback types "Offline grading worksheet" and
"Feedback files") or Canvas's gradebook ("Export Entire Gradebook"). It is only read; a
spreadsheet may have saved it again. The scores are those of marks/NAME_lms.csv, with what
you wrote into it. The command writes into the folder marks/:

    NAME_moodle.csv or NAME_canvas.csv    the table with the scores, to be uploaded
    NAME_feedback.zip                     the feedback, under the names that the system knows

Scores are scaled to the maximum that the table names, or to --out-of.
"""

import argparse
import csv
import html
import json
import re
import sys
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import nbformat

from grading.lesson import ROOT
from grading.lms_table import COUNTED, Table, number, open_table, read_table
from grading.senders import CANVAS, MOODLE, letters, spellings
from grading.submissions import Handed

LATE = re.compile(r"\d+ \w+ late\b|verspätet|en retard", re.I)
NEXT = {
    MOODLE: """\
Next, in Moodle, in the assignment's submissions: "Upload grading worksheet" with
    {table}
and "Upload multiple feedback files in a zip" with
    {feedback}""",
    CANVAS: """\
Next, in Canvas: Grades, "Import", with
    {table}
and in the assignment, "Re-Upload Submissions", with
    {feedback}""",
}


# What grading leaves for this command -------------------------------------------------


def identity(handed: Handed, slug: str) -> dict:
    """What the line of a student must keep, so that marks and feedback find back."""
    sender = handed.sender
    known = {
        "id": "",
        "slug": slug,
        "system": "",
        "sender": "",
        "prefix": "",
        "file": "",
    }
    if sender:
        known |= {"id": sender.number, "system": sender.system, "sender": sender.name}
        known |= {"prefix": sender.prefix, "file": sender.file}
    return known


def keep_class(folder: Path, name: str, rows: list[dict]) -> None:
    """Remember who is who; private, beside the records of runs."""
    fields = ("student", "id", "slug", "system", "sender", "prefix", "file")
    table = [{field: row.get(field, "") for field in fields} for row in rows]
    path = _class_path(folder, name)
    path.write_text(json.dumps(table, indent=1), encoding="utf-8")


def _class_path(folder: Path, name: str) -> Path:
    return folder / "private" / f"{name}_class.json"


def after_grading(rows: list[dict]) -> str:
    """The next step for marks that came from an LMS."""
    systems = [row["system"] for row in rows if row.get("system")]
    if not systems:
        return "For Moodle or Canvas: make lms TABLE=the_table_that_it_gave_you.csv"
    system = Counter(systems).most_common(1)[0][0]
    table = "grading worksheet" if system == MOODLE else "exported gradebook"
    return f"Next, for {system}: make lms TABLE=its_{table.replace(' ', '_')}.csv"


def positive(text: str) -> float:
    """A number above zero, for --out-of."""
    value = number(text)
    if value is None or value <= 0:
        raise argparse.ArgumentTypeError(f"needed is a number above 0, got {text!r}")
    return value


@dataclass
class Mark:
    """A student's line of marks/NAME_lms.csv, and who it is.

    Attributes:
        score: None where a person must look first, or nothing was handed in.
    """

    student: str
    score: float | None
    maximum: float
    comment: str
    known: dict


def read_marks(folder: Path, name: str) -> list[Mark]:
    """The scores as they stand in the table for the LMS, hand-written ones included."""
    path, people = folder / "marks" / f"{name}_lms.csv", _class_path(folder, name)
    if not path.is_file() or not people.is_file():
        raise ValueError(
            f"{name} is not graded: {path} is missing. Run make grade first."
        )
    known = {p["student"]: p for p in json.loads(people.read_text(encoding="utf-8"))}
    lines = read_table(path)
    missing = {"student", "score", "maximum", "comment"} - set(lines[0])
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(sorted(missing))}; it has "
            f"{', '.join(lines[0])}. make grade writes it anew."
        )
    marks = []
    for line in lines[1:]:
        row = dict(zip(lines[0], line, strict=False))
        best, student = number(row["maximum"]), row["student"].removeprefix("'")
        if best is None or (row["score"] and number(row["score"]) is None):
            raise ValueError(
                f"{path}: {student} has the score {row['score']!r} of "
                f"{row['maximum']!r}; needed are numbers."
            )
        score = number(row["score"]) if row["score"] else None
        person = known.get(student, {})
        marks.append(Mark(student, score, best, row["comment"], person))
    return marks


# Whose line it is ---------------------------------------------------------------------


def match(marks: list[Mark], table: Table) -> tuple[dict[int, Mark], list[str]]:
    """Number of a line -> the mark that belongs there, and what could not be placed.

    By the system's number where the names of files had one, else by any cell that holds
    the student's name, login or mail. A number with another name is no match: Moodle gives
    groups numbers as well.
    """
    by_id, by_name = {}, {}
    for at, line in enumerate(table.lines[table.first :], start=table.first):
        by_id[table.id_of(line)] = at
        for name in set().union(*map(spellings, line)):
            by_name.setdefault(name, set()).add(at)
    placed: dict[int, Mark] = {}
    problems = []
    for mark in marks:
        at, why = None, "is not in the table"
        if mark.known.get("system") == table.system and mark.known["id"] in by_id:
            at = by_id[mark.known["id"]]
            line = table.lines[at]
            if table.system == MOODLE and not _fits(mark.known["sender"], line, table):
                number, names = mark.known["id"], ", ".join(line[:2])
                at, why = (
                    None,
                    f"has the number {number}, which is {names} in the table",
                )
        else:
            found = by_name.get(
                letters(mark.known.get("sender") or mark.student), set()
            )
            if len(found) == 1:
                at = next(iter(found))
            elif found:
                why = f"fits {len(found)} lines of the table"
        if at in placed:
            at, why = None, f"has the same line as {placed[at].student}"
        if at is None:
            problems.append(f"{mark.student} {why}")
        else:
            placed[at] = mark
    return placed, problems


def _fits(sender: str, line: list[str], table: Table) -> bool:
    """Whether a name of Moodle's files may be that of a line: one has all words of the other."""
    hidden = COUNTED.fullmatch(line[table.number])
    if hidden and letters(hidden["word"]) == letters(sender):
        return True  # graded without names
    name = _words(sender)
    others = [_words(c) for i, c in enumerate(line[: table.grade]) if i != table.number]
    return any(name <= other or other <= name for other in others if other)


def _words(name: str) -> set[str]:
    return set(map(letters, re.findall(r"\w\w+", name)))


@dataclass
class Filled:
    """What became of a table.

    Attributes:
        lines: to be written.
        out_of: what all points are there.
        placed: number of a line -> the student's mark.
        remarks: for the teacher.
        count: lines that got a score.
    """

    lines: list[list[str]]
    out_of: float
    placed: dict[int, Mark]
    remarks: list[str]
    count: int = 0


def fill(marks: list[Mark], table: Table, out_of: float | None) -> Filled:
    """Write the scores into a copy of the table; all other cells stay as they are."""
    placed, problems = match(marks, table)
    if marks and not placed:
        some = ", ".join(mark.student for mark in marks[:3])
        theirs = ", ".join(line[0] for line in table.lines[table.first :][:3])
        raise ValueError(
            f"Nobody of {len(marks)} students is in the table. Graded were {some}; the "
            f"table has {theirs}. Is it the table of this assignment and this class?"
        )
    best = out_of or table.maximum or marks[0].maximum
    filled = Filled([list(line) for line in table.lines], best, placed, problems)
    for at, mark in placed.items():
        line = filled.lines[at]
        if mark.score is None:
            filled.remarks.append(f"{mark.student} has no score yet; the line stays")
            continue
        if line[table.grade].upper() == "EX":
            filled.remarks.append(f"{mark.student} is excused in {table.system}")
            continue
        score = round(mark.score * best / mark.maximum, 2)
        if table.system == MOODLE and score > best:  # it would leave the line out
            filled.remarks.append(f"{mark.student} has {score:g}; Moodle gets {best:g}")
            score = best
        line[table.grade] = f"{score:g}"
        if table.comments is not None:
            line[table.comments] = "<br>".join(
                map(html.escape, mark.comment.split("; "))
            )
        if any(LATE.search(cell) for cell in line[: table.grade]):
            filled.remarks.append(f"{mark.student} was late, says {table.system}")
        filled.count += 1
    filled.lines = [[line[i] for i in table.keep] for line in filled.lines]
    return filled


# Feedback -----------------------------------------------------------------------------


def pack_feedback(
    folder: Path, name: str, filled: Filled, table: Table, to: Path
) -> int:
    """Write the zip of feedback for those who have a score; returns how many."""
    count = 0
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for at, mark in filled.placed.items():
            known = mark.known
            page = folder / "feedback" / known.get("slug", "") / name / f"{name}.html"
            if mark.score is None or not known.get("slug") or not page.is_file():
                continue
            text = page.read_text(encoding="utf-8")
            place = feedback_name(name, mark, table, table.lines[at])
            if place is None:
                filled.remarks.append(
                    f"{mark.student}: Canvas has no file to comment on"
                )
                continue
            if place.endswith(".ipynb"):
                text = nbformat.writes(as_notebook(text, mark))
            archive.writestr(place, text)
            count += 1
    return count


def feedback_name(name: str, mark: Mark, table: Table, line: list[str]) -> str | None:
    """Where the feedback of a student lies in the zip, None if it cannot be taken there.

    Moodle reads the number in the folder. Canvas reads both numbers, and shows the file
    under the name of what was handed in, so that it must be of the same kind.
    """
    known = mark.known
    if table.system == MOODLE:
        prefix = known["prefix"] if known["system"] == MOODLE else ""
        if not prefix:
            who = re.sub(r"[_/\\:]", " ", mark.student)
            prefix = f"{who}_{table.id_of(line)}_assignsubmission_file"
        return f"{prefix}/{name}_feedback.html"
    if known["system"] != CANVAS or not re.search(r"_\d+_$", known["prefix"]):
        return None
    end = ".ipynb" if known["file"].lower().endswith(".ipynb") else ".html"
    return f"{known['prefix']}{name}_feedback{end}"


def as_notebook(page: str, mark: Mark) -> nbformat.NotebookNode:
    """A notebook that shows a page of feedback."""
    inside = re.sub(r"(?is)^.*?<body[^>]*>|</body>.*$", "", page)
    inside = re.sub(r"(?is)<(script|style)\b.*?</\1>", "", inside)
    shown = nbformat.v4.new_output(
        "display_data", {"text/html": inside, "text/plain": mark.comment}
    )
    cell = nbformat.v4.new_code_cell("# Feedback", outputs=[shown])
    cell.metadata["jupyter"] = {"source_hidden": True}
    return nbformat.v4.new_notebook(cells=[cell])


# The command --------------------------------------------------------------------------


def choose_assignment(folder: Path, name: str | None) -> str:
    """The name of the assignment whose marks are meant."""
    known = sorted(
        path.name.removesuffix("_lms.csv") for path in folder.glob("marks/*_lms.csv")
    )
    if not known:
        raise ValueError(f"{folder} has no marks yet. Run make grade first.")
    if name is None and len(known) == 1:
        return known[0]
    if name not in known:
        raise ValueError(
            f"Name one of the graded assignments with --assignment: {', '.join(known)}; "
            f"got {name}."
        )
    return name


def write_all(options: argparse.Namespace) -> str:
    """Write table and feedback; returns what to tell."""
    folder = options.course.resolve()
    name = choose_assignment(folder, options.assignment)
    table = open_table(options.table, options.column)
    marks = read_marks(folder, name)
    if not marks:
        raise ValueError(f"marks/{name}_lms.csv has no students.")
    filled = fill(marks, table, options.out_of)
    out = folder / "marks" / f"{name}_{table.system.lower()}.csv"
    packed = folder / "marks" / f"{name}_feedback.zip"
    try:
        # Both systems expect UTF-8 and commas; the mark lets a spreadsheet know.
        with open(out, "w", newline="", encoding="utf-8-sig") as file:
            csv.writer(file).writerows(filled.lines)
        count = pack_feedback(folder, name, filled, table, packed)
    except OSError as error:
        raise ValueError(
            f"{error.filename} cannot be written: {error.strerror}. Close it if another "
            "program has it open."
        ) from error
    said = list(filled.remarks)
    if not count:
        packed.unlink()
        said.append("There is no feedback yet: make grade writes it")
    said.append(
        f"{filled.count} of {len(marks)} students have their score out of "
        f"{filled.out_of:g} in {out.name}, {count} their feedback."
    )
    where = packed if count else "(no feedback)"
    said.append(NEXT[table.system].format(table=out, feedback=where))
    return "\n".join(said)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m grading lms",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("--assignment", help="its name; needed if several are graded")
    parser.add_argument("--course", type=Path, default=ROOT / "assignments")
    parser.add_argument("--out-of", type=positive, help="what all points are there")
    parser.add_argument(
        "--column", help="Canvas: the assignment's name or number; Moodle: the grades'"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        print(write_all(options))
    except ValueError as error:
        print(f"lms: {error}", file=sys.stderr)
        return 2
    return 0
