"""From autograded notebooks to a status for every exercise, and tables for a class."""

import csv
import html
import re
from pathlib import Path

from _grading_repair import Repaired, name_of, number_key
from nbformat import NotebookNode

GRADED, NOT_ATTEMPTED = "graded", "not attempted"
SETUP, CRASHED, TIMED_OUT = "set-up failed", "crashed", "timed out"
TAMPERED, PERSON = "tampered", "needs a person"
NO_FILE, UNREADABLE, WRONG = "not handed in", "unreadable", "another notebook"
# The worst status of an exercise is the status of the submission.
ORDER = [SETUP, TAMPERED, PERSON, TIMED_OUT, CRASHED, NOT_ATTEMPTED, GRADED]
# Marks with these are held back from the file for the LMS until a person has looked.
HELD = (SETUP, TAMPERED, PERSON, UNREADABLE, WRONG)
COLOURS = {GRADED: "#d5efe5", NOT_ATTEMPTED: "#eeeeee", CRASHED: "#fbe3d1"}
COLOURS |= {TIMED_OUT: "#fbe3d1", SETUP: "#fff3b0", TAMPERED: "#f6d5e5"}


def errors(cell: NotebookNode | None) -> list[str]:
    """The errors of a cell, "SyntaxError: invalid syntax"."""
    outputs = cell.get("outputs", []) if cell else []
    return [f"{o.ename}: {o.evalue}" for o in outputs if o.output_type == "error"]


def verdict(cell: NotebookNode | None) -> str:
    """What a check said: "✗ Exercise 03.1 KL: wrong. The sign is flipped."."""
    for output in cell.get("outputs", []) if cell else []:
        if output.output_type == "display_data":
            text = output.data.get("text/plain", "")
            if re.match(r"[○✓✗] Exercise", text):
                return text
    return ""


def exercise_result(
    number: str,
    entry: dict,
    book: NotebookNode,
    marks: dict,
    repaired: Repaired,
    run: dict,
) -> dict:
    """Points and status of one exercise.

    Args:
        number: such as "03.1".
        entry: its entry in the private file of the assignment.
        book: the autograded notebook.
        marks: name of a graded cell -> points, None where a person has to decide.
        repaired: what was put back, and what looks strange.
        run: the result of _grading_run.autograde.
    """
    key = number_key(number)
    cells = {name_of(cell): cell for cell in book.cells if name_of(cell)}
    answer, check = cells.get(f"answer-{key}"), cells.get(f"check-{key}")
    hidden = [f"hidden-{key}-{at}" for at in range(len(entry["hidden"]))]
    graded = [f"text-{key}"] if entry["manual"] else [f"check-{key}", *hidden]
    points = [marks.get(name) for name in graded]
    total = None if None in points else round(sum(points), 2)
    says = verdict(check)
    notes = list(repaired.notes.get(number, []))
    failed = [why for name in hidden for why in errors(cells.get(name))]
    failed = [why.removeprefix("AssertionError: ") for why in failed]
    notes += [
        f"hidden test: {w}" for w in dict.fromkeys(failed) if w != "not attempted"
    ]
    broken = [e for n, c in cells.items() if n.startswith("setup") for e in errors(c)]
    wrong = errors(answer) + errors(check)
    hung = any("CellTimeoutError" in e for e in wrong)
    hung = hung or any(
        "CellTimeoutError" in e for n in hidden for e in errors(cells[n])
    )
    stopped = [why for name, why in run["left_out"].items() if f"-{key}" in name]
    wrong = [e for e in wrong if "left out when grading" not in e]
    flags = [*repaired.flags.get(number, []), *repaired.flags.get("", [])]
    if broken:
        status, total, text = SETUP, None, broken[0]
    elif flags:
        status, text = TAMPERED, "; ".join(flags)
    elif stopped:
        status = TIMED_OUT if "long" in stopped[0] else CRASHED
        text = f"The answer {stopped[0]} and was left out."
    elif entry["manual"]:
        tried = number in repaired.attempted
        status = PERSON if total is None and tried else GRADED
        status = status if tried else NOT_ATTEMPTED
        total = total if tried else 0
        text = ""
    elif hung and not total:
        status, text = TIMED_OUT, "A cell took longer than its limit."
    elif not total and number not in repaired.attempted:
        status, text = NOT_ATTEMPTED, ""
    elif says.startswith("○") and not total:
        status, text = NOT_ATTEMPTED, ""
    elif wrong and not says:
        status, text = (
            CRASHED,
            next((e for e in wrong if "NameError" not in e), wrong[0]),
        )
    else:
        status, text = GRADED, says.split(": ", 1)[-1]
        notes += [f"the cell says {error}" for error in errors(answer)]
    return {
        "points": total,
        "out_of": entry["points"] + sum(entry["hidden"]),
        "status": status,
        "says": text,
        "notes": notes,
    }


def whole_result(student: str, exercises: dict, facts: dict, notes: list[str]) -> dict:
    """A student's line of the table."""
    statuses = [found["status"] for found in exercises.values()]
    core = {n for n, e in facts["exercises"].items() if not e["bonus"]}
    sums = {True: 0.0, False: 0.0}
    for number, found in exercises.items():
        sums[number in core] += found["points"] or 0
    status = min(statuses, key=ORDER.index)
    if status == NOT_ATTEMPTED and GRADED in statuses:
        status = GRADED
    return {
        "student": student,
        "status": status,
        "score": round(sums[True], 2),
        "bonus": round(sums[False], 2),
        "exercises": exercises,
        "notes": notes,
    }


def no_result(student: str, status: str, facts: dict, why: str) -> dict:
    """The line of a student without a notebook that can be graded."""
    empty = {"points": None, "status": status, "says": "", "notes": []}
    each = {
        number: {**empty, "out_of": entry["points"] + sum(entry["hidden"])}
        for number, entry in facts["exercises"].items()
    }
    return {
        "student": student,
        "status": status,
        "score": None,
        "bonus": None,
        "exercises": each,
        "notes": [why] if why else [],
    }


def maximum(facts: dict) -> float:
    """All points without the bonus."""
    entries = facts["exercises"].values()
    return sum(e["points"] + sum(e["hidden"]) for e in entries if not e["bonus"])


def held_back(row: dict) -> bool:
    """Whether a person has to look before the marks count."""
    return any(e["status"] in HELD for e in row["exercises"].values())


def comment(row: dict) -> str:
    """One line for the student: status and diagnosis of each exercise."""
    parts = []
    for number, found in row["exercises"].items():
        points = "-" if found["points"] is None else f"{found['points']:g}"
        part = f"{number}: {points}/{found['out_of']:g} {found['status']}"
        if found["says"] and found["points"] != found["out_of"]:
            part += f" ({found['says'].split(chr(10))[0][:150]})"
        parts.append(part)
    return "; ".join(parts)


def write_tables(folder: Path, name: str, rows: list[dict], facts: dict) -> list[Path]:
    """marks CSV, CSV for an LMS and the HTML overview; returns their paths."""
    out = folder / "marks"
    out.mkdir(exist_ok=True)
    numbers, best = list(facts["exercises"]), maximum(facts)
    marks, lms, page = (out / f"{name}{end}" for end in (".csv", "_lms.csv", ".html"))
    with open(marks, "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        head = ["student", "status", "score", "maximum", "bonus", "look"]
        for number in numbers:
            head += [f"{number} points", f"{number} status", f"{number} remark"]
        writer.writerow([*head, "notes"])
        for row in rows:
            line = [row["student"], row["status"], row["score"], best, row["bonus"]]
            line.append("yes" if held_back(row) else "")
            for found in row["exercises"].values():
                remark = "; ".join(filter(None, [found["says"], *found["notes"]]))
                line += [found["points"], found["status"], remark]
            writer.writerow(safe([*line, "; ".join(row["notes"])]))
    with open(lms, "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(["student", "score", "maximum", "comment"])
        for row in rows:
            score = None if row["score"] is None else row["score"] + row["bonus"]
            score = "" if held_back(row) or score is None else score
            writer.writerow(safe([row["student"], score, best, comment(row)]))
    page.write_text(_page(folder, name, rows, facts), encoding="utf-8")
    return [marks, lms, page]


def safe(line: list) -> list:
    """No cell of a table may start a formula when a spreadsheet opens it."""
    return [
        f"'{c}" if isinstance(c, str) and c[:1] in "=+-@\t" and c else c for c in line
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
        remark = "; ".join(filter(None, [found["says"], *found["notes"]]))
        colour, words = _verdict(found)
        cells += (
            f'<td style="background: {colour}">'
            f"<b>{points}</b> of {found['out_of']:g}, {words}"
            f"<small>{html.escape(remark)}</small></td>"
        )
    score, bonus = (
        "–" if row[k] is None else f"{row[k]:g}" for k in ("score", "bonus")
    )
    notes = html.escape("; ".join(row["notes"]))
    return (
        f'<tr><th scope="row">{who}</th><td>{row["status"]}</td><td>{score}</td>'
        f"<td>{bonus}</td>{cells}<td><small>{notes}</small></td></tr>"
    )


def _verdict(found: dict) -> tuple[str, str]:
    """Colour and words of a cell; a wrong answer looks unlike a right one."""
    status, points = found["status"], found["points"]
    if status != GRADED:
        return COLOURS.get(status, "#ffffff"), status
    if points == found["out_of"]:
        return COLOURS[GRADED], "graded: right"
    if points:
        return COLOURS[SETUP], "graded: right in part"
    return COLOURS[CRASHED], "graded: wrong"


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
