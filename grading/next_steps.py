"""What a command prints last: where things lie, and what to do next."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from grading.lesson import ROOT
from grading.overview import Report

NAMED = 5  # students in a list


def after_assignment(folder: Path, name: str, given: Path) -> str:
    """After an assignment was made.

    Args:
        folder: the course folder.
        name: of the assignment.
        given: the notebook for students.
    """
    lines = [
        f"For students:  {given}",
        f"For you alone: {folder / 'private' / f'{name}_key.ipynb'}, the key",
        "",
        "Next: give students their notebook and collect what comes back in a folder, one",
        "sub-folder for each student (as an LMS packs it) or one file for each. Then:",
        f"    {command(folder, name, '../handed_in')}",
    ]
    return "\n".join(lines)


def command(folder: Path, name: str, submissions: str) -> str:
    """The command that grades an assignment."""
    released = sorted(p.parent.name for p in folder.glob("release/*/*.ipynb"))
    more = [] if released == [name] else [f"--assignment {name}"]
    if folder != ROOT / "assignments":
        more.append(f"--course {shlex.quote(str(folder))}")
    arguments = f' ARGS="{" ".join(more)}"' if more else ""
    return f"make grade SUBMISSIONS={submissions}{arguments}"


def after_grading(
    folder: Path, name: str, report: Report, tables: Sequence[Path]
) -> str:
    """After a class was graded.

    Args:
        folder: the course folder.
        name: of the assignment.
        report: of the class.
        tables: marks for the teacher, marks for the LMS.
    """
    marks, lms = tables[:2]
    page = marks.with_suffix(".html")
    count = sum(bool(line.who.page) for line in report.students)
    lines = [
        "",
        f"The class:     {page} (open it in a browser; a name leads to the student's page)",
        f"               {marks.with_name(f'{name}_class.csv').name}, the same as a table",
        f"Marks:         {marks}",
        f"For the LMS:   {lms}",
        f"Feedback:      {count} pages, {folder / 'feedback'}/STUDENT/{name}/{name}.html",
        "",
    ]
    names = [look.who.name for look in report.looks]
    if not names:
        lines.append("Nobody needs a look: all marks are in the file for the LMS.")
        lines.append(f"Next: open the class, upload {lms.name}, hand out the feedback.")
        return "\n".join(lines)
    listed = ", ".join(names[:NAMED])
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    verb = "needs" if len(names) == 1 else "need"
    lines += [
        f"{listed}{more} {verb} a look; these marks are not in {lms.name} yet.",
        "Next: open the class, which says why; decide; write their scores into",
        f"{lms.name}; upload it and hand out the feedback.",
    ]
    return "\n".join(lines)
