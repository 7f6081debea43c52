"""Tables for a class: CSV for a person, CSV for an LMS, and a few lines."""

import csv
from pathlib import Path

from grading import feedback, status
from grading.status import first_line, held_back, maximum


def comment(row: dict) -> str:
    """One line for the student: state and diagnosis of each exercise.

    Of what a person looks at it gives no reasons: those are for the teacher.
    """
    parts = []
    for number, found in row["exercises"].items():
        at = feedback.state(found)
        waits = found["points"] is None or at == "waiting"
        points = "-" if waits else f"{found['points']:g}"
        part = f"{number}: {points}/{found['out_of']:g} {feedback.STATES[at]}"
        if found["says"] and not waits and at != "right":
            part += f" ({first_line(found['says'])})"
        parts.append(part)
    return "; ".join(parts)


def write_tables(
    folder: Path, name: str, rows: list[dict], facts: dict, out_of: float | None = None
) -> list[Path]:
    """marks CSV and CSV for an LMS; returns their paths.

    The scores of the CSV for an LMS are scaled, so that `out_of` is all points.
    """
    out = folder / "marks"
    out.mkdir(parents=True, exist_ok=True)
    marks, lms = (out / f"{name}{end}" for end in (".csv", "_lms.csv"))
    write_csv(marks, _marks_lines(rows, facts))
    write_csv(lms, _lms_lines(rows, facts, out_of))
    return [marks, lms]


def _marks_lines(rows: list[dict], facts: dict) -> list[list]:
    best = maximum(facts)
    head = ["student", "id", "status", "score", "maximum", "bonus", "look"]
    for number in facts["exercises"]:
        head += [f"{number} points", f"{number} status", f"{number} remark"]
    lines = [[*head, "notes"]]
    for row in rows:
        line = [row["student"], row.get("id", ""), row["status"], row["score"], best]
        line.append(row["bonus"])
        line.append("yes" if held_back(row) else "")
        for found in row["exercises"].values():
            line += [found["points"], found["status"], _remark(found)]
        lines.append([*line, "; ".join(row["notes"])])
    return lines


def _lms_lines(
    rows: list[dict], facts: dict, out_of: float | None = None
) -> list[list]:
    lines = [["student", "id", "score", "maximum", "comment"]]
    best = out_of or maximum(facts)
    for row in rows:
        score: float | str = ""
        if row["score"] is not None and not held_back(row):
            score = row["score"] + row["bonus"]
        if score and out_of:
            score = round(score * out_of / maximum(facts), 2)
        lines.append([row["student"], row.get("id", ""), score, best, comment(row)])
    return lines


def _remark(found: dict) -> str:
    return "; ".join(filter(None, [found["says"], *found["notes"]]))


def open_text(path: Path, encoding: str):
    """A file that takes any text, half characters included."""
    try:
        return open(path, "w", newline="", encoding=encoding, errors="backslashreplace")
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written: {error.strerror}. Close it if a spreadsheet has "
            "it open, and run the command again; nobody is graded twice."
        ) from error


def write_csv(path: Path, lines: list[list]) -> None:
    """A table that a spreadsheet opens, without formulas in it."""
    with open_text(path, "utf-8-sig") as file:
        csv.writer(file).writerows(map(safe, lines))


def safe(line: list) -> list:
    """No cell of a table may start a formula when a spreadsheet opens it."""
    return [
        f"'{c}" if isinstance(c, str) and c[:1] in "=+-@\t\r\n" and c else c
        for c in line
    ]


def summary(row: dict) -> str:
    """A submission in a few words: "3 of 4 right", or why it is not that simple."""
    each = row["exercises"].values()
    if row["score"] is None:
        return row["status"]
    right = sum(found["points"] == found["out_of"] for found in each)
    words = f"{right} of {len(each)} right"
    return f"{words}, look: {row['status']}" if held_back(row) else words


def print_table(rows: list[dict], facts: dict) -> str:
    """The same for a terminal."""
    wide = max([len(row["student"]) for row in rows] + [7])
    said = [summary(row) for row in rows]
    broad = max([len(text) for text in said] + [7])
    lines = [
        f"{'student':{wide}}  {'in all':{broad}} score"
        + "".join(f"{n:>22}" for n in facts["exercises"])
    ]
    for row, text in zip(rows, said, strict=True):
        score = "-" if row["score"] is None else f"{row['score']:g}"
        cells = ""
        for found in row["exercises"].values():
            points = "-" if found["points"] is None else f"{found['points']:g}"
            graded = found["status"] == status.GRADED
            words = found["shown"] if graded else found["status"]
            cells += f"{points + ' ' + words:>22}"
        lines.append(f"{row['student']:{wide}}  {text:{broad}} {score:>5}{cells}")
    return "\n".join(lines)
