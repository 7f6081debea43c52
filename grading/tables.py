"""Tables for a class: CSV for a person, CSV for an LMS, a page, and a few lines."""

import csv
import html
from pathlib import Path

from grading.status import first_line, held_back, maximum


def comment(row: dict) -> str:
    """One line for the student: status and diagnosis of each exercise."""
    parts = []
    for number, found in row["exercises"].items():
        points = "-" if found["points"] is None else f"{found['points']:g}"
        part = f"{number}: {points}/{found['out_of']:g} {found['status']}"
        if found["says"] and found["points"] != found["out_of"]:
            part += f" ({first_line(found['says'])})"
        parts.append(part)
    return "; ".join(parts)


def write_tables(
    folder: Path, name: str, rows: list[dict], facts: dict, out_of: float | None = None
) -> list[Path]:
    """marks CSV, CSV for an LMS and the HTML overview; returns their paths.

    The scores of the CSV for an LMS are scaled, so that `out_of` is all points.
    """
    out = folder / "marks"
    out.mkdir(parents=True, exist_ok=True)
    marks, lms, page = (out / f"{name}{end}" for end in (".csv", "_lms.csv", ".html"))
    _write_csv(marks, _marks_lines(rows, facts))
    _write_csv(lms, _lms_lines(rows, facts, out_of))
    with _open(page, "utf-8") as file:
        file.write(_page(folder, name, rows, facts))
    return [marks, lms, page]


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


def _open(path: Path, encoding: str):
    """A file that takes any text, half characters included."""
    try:
        return open(path, "w", newline="", encoding=encoding, errors="backslashreplace")
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written: {error.strerror}. Close it if a spreadsheet has "
            "it open, and run the command again; nobody is graded twice."
        ) from error


def _write_csv(path: Path, lines: list[list]) -> None:
    with _open(path, "utf-8-sig") as file:
        csv.writer(file).writerows(map(safe, lines))


def safe(line: list) -> list:
    """No cell of a table may start a formula when a spreadsheet opens it."""
    return [
        f"'{c}" if isinstance(c, str) and c[:1] in "=+-@\t\r\n" and c else c
        for c in line
    ]


def _page(folder: Path, name: str, rows: list[dict], facts: dict) -> str:
    entries = facts["exercises"]
    head = "".join(
        f'<th scope="col">{n}<br><small>{html.escape(e["title"])}</small></th>'
        for n, e in entries.items()
    )
    body = "\n".join(_line(folder, name, row, facts) for row in rows)
    look = [row["student"] for row in rows if held_back(row)]
    todo = html.escape(", ".join(look)) or "nobody"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Marks of {html.escape(name)}</title>
<style>
body {{ font-family: sans-serif; margin: 2em; color: #111; background: #fff }}
table {{ border-collapse: collapse }}
th, td {{ border: 1px solid #999; padding: .3em .5em; vertical-align: top; text-align: left }}
small {{ color: #444 }} td small {{ display: block; max-width: 24em }}
</style></head><body>
<h1>Marks of {html.escape(name)}</h1>
<p>{len(rows)} students. Look at: {todo}. Their marks are not in the file for the LMS.</p>
<table><thead><tr><th scope="col">Student</th><th scope="col">Status</th>
<th scope="col">Score of {maximum(facts):g}</th><th scope="col">Bonus</th>{head}
<th scope="col">Notes</th></tr></thead><tbody>
{body}
</tbody></table></body></html>
"""


def _line(folder: Path, name: str, row: dict, facts: dict) -> str:
    who = html.escape(row["student"])
    page = f"feedback/{row.get('slug', '')}/{name}/{name}.html"
    if row.get("slug") and (folder / page).exists():
        who = f'<a href="../{page}">{who}</a>'
    cells = ""
    for found in row["exercises"].values():
        points = "–" if found["points"] is None else f"{found['points']:g}"
        words = ": ".join(filter(None, [found["status"], found["shown"]]))
        cells += (
            f'<td style="background: {found["colour"]}">'
            f"<b>{points}</b> of {found['out_of']:g}, {words}"
            f"<small>{html.escape(_remark(found))}</small></td>"
        )
    score, bonus = (
        "–" if row[k] is None else f"{row[k]:g}" for k in ("score", "bonus")
    )
    notes = html.escape("; ".join(row["notes"]))
    return (
        f'<tr><th scope="row">{who}</th><td>{row["status"]}</td><td>{score}</td>'
        f"<td>{bonus}</td>{cells}<td><small>{notes}</small></td></tr>"
    )


def print_table(rows: list[dict], facts: dict) -> str:
    """The same for a terminal."""
    wide = max([len(row["student"]) for row in rows] + [7])
    numbers = list(facts["exercises"])
    lines = [
        f"{'student':{wide}}  {'status':16} score"
        + "".join(f"{n:>22}" for n in numbers)
    ]
    for row in rows:
        score = "-" if row["score"] is None else f"{row['score']:g}"
        cells = ""
        for found in row["exercises"].values():
            points = "-" if found["points"] is None else f"{found['points']:g}"
            cells += f"{points + ' ' + found['status']:>22}"
        lines.append(f"{row['student']:{wide}}  {row['status']:16} {score:>5}{cells}")
    return "\n".join(lines)
