"""Grade a folder of submissions of one assignment.

    python -m grading grade SUBMISSIONS [--assignment NAME] [--course FOLDER]

SUBMISSIONS holds one folder for each student with a notebook somewhere in it, or one
notebook for each student; or it is the zip that Moodle or Canvas makes of all submissions.
It is only read. The course folder is the one that
`python -m grading assignment` wrote. The command copies each notebook there, puts back
what was locked, lets nbgrader run it, and writes into its folder marks/:

    NAME.csv         points, status and remark of every student and exercise
    NAME_lms.csv     student, id, score, maximum, comment; no score where a person must look
    NAME.html        the class: what was right, usual mistakes, who needs a look
    NAME_class.csv   the same as a table

and a page for each student into feedback/STUDENT/NAME/NAME.html.

A submission that was graded and did not change is not run again; --again runs all.
"""

import argparse
import json
import shutil
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from grading import feedback, lms, next_steps, pages, status, tables
from grading.lesson import ROOT
from grading.run import (
    REPAIRED,
    Stopped,
    autograde,
    nbgrader_api,
    read_json,
    write_json,
)
from grading.submissions import (
    EXCHANGE_FILES,
    Handed,
    choose,
    digest,
    find_submissions,
    nothing_to_grade,
    read_files,
    read_roster,
    slugs,
    unpacked,
)

VERSION = 3  # of the records of runs; older ones are not used
TOUCHED = (
    "{names} changed while the class was graded; if that was not you, a submission did "
    "it. Restore the files and run the command again"
)


@dataclass
class Course:
    """What grading must know about an assignment of a course folder.

    Attributes:
        folder: the course folder.
        name: of the assignment.
        facts: its private file: lesson, exercises, points.
        release: the notebook that students got.
        files: those on which marks depend.
        guard: digests of the files that no submission has a reason to write.
        stop: set when somebody stops the class.
    """

    folder: Path
    name: str
    facts: dict
    release: NotebookNode
    files: list[Path]
    guard: dict[Path, str]
    stop: threading.Event = field(default_factory=threading.Event)


def open_course(folder: Path, name: str | None) -> Course:
    """Read a course folder; complains if something is not there."""
    folder = folder.resolve()
    nbgrader_api(folder)  # complains if it cannot be had
    known = sorted(p.parent.name for p in folder.glob("release/*/*.ipynb"))
    if name is None and len(known) == 1:
        name = known[0]
    if name not in known:
        raise ValueError(
            f"Name one of the released assignments with --assignment: {', '.join(known)}; "
            f"got {name}."
        )
    private = folder / "private"
    path = folder / "release" / name / f"{name}.ipynb"
    files = [path, private / f"{name}.json", private / f"{name}_overlay.py"]
    try:
        facts = json.loads(files[1].read_text(encoding="utf-8"))
        release = nbformat.read(path, as_version=4)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{files[1]} or {path} cannot be read ({type(error).__name__}: {error}). Make "
            "the assignment again, with --force if some were graded."
        ) from error
    guard = {path: digest([path]) for path in guarded(folder)}
    return Course(folder, name, facts, release, files, guard)


def guarded(folder: Path) -> list[Path]:
    """Files that no submission has a reason to write: checks, hidden tests, release."""
    found = [
        *(ROOT / "vae_helpers/checks").glob("*.py"),
        *(ROOT / "grading").glob("*.py"),
        *(folder / "private").glob("*.*"),
        *(folder / "release").glob("*/*.ipynb"),
    ]
    return sorted(path for path in found if path.is_file())


def touched(course: Course) -> list[str]:
    """The names of guarded files that are not what they were when the class began."""
    now = {path: digest([path]) for path in guarded(course.folder)}
    paths = {*course.guard, *now}
    return sorted(p.name for p in paths if now.get(p) != course.guard.get(p))


# One submission -----------------------------------------------------------------------


def grade_student(
    student: str, slug: str, handed: Handed, course: Course, options
) -> dict:
    """Repair, run and judge one submission; -> its line of the table."""
    if not handed.paths and not handed.problems:
        return status.no_result(
            student, status.NO_FILE, course.facts, "no notebook found"
        )
    record = course.folder / "private" / f"{course.name}_runs" / f"{slug}_result.json"
    mark = f"{VERSION} {digest([*handed.paths, *course.files])}"
    done = read_json(record)
    if done.get("digest") == mark and not options.again:
        try:
            return judge(student, slug, done, course)
        except Exception:  # something of that run is lost: run it once more
            record.unlink()
    contents = read_files(handed)
    choice = choose(contents, course.name, course.release)
    if choice.book is None:
        why = nothing_to_grade(contents)
        kind = status.UNREADABLE if why else status.NO_FILE
        return status.no_result(student, kind, course.facts, why or "no notebook found")
    if choice.repaired is None:
        why = "no cell of this assignment is in the notebook"
        why = "; ".join([why, *choice.notes])
        return status.no_result(student, status.WRONG, course.facts, why)
    code, start = feedback.answers(choice.repaired.book), time.monotonic()
    run = run_one(slug, choice, course, options)
    flags, changed = choice.repaired.flags, touched(course)
    if changed:  # from here on no marks can be trusted: all are held, none recorded
        flags.setdefault("", []).append(TOUCHED.format(names=", ".join(changed)))
    done = {
        "digest": mark,
        "remarks": [*handed.notes, *choice.notes],
        "notes": choice.repaired.notes,
        "flags": flags,
        "doubts": choice.repaired.doubts,
        "attempted": sorted(choice.repaired.attempted),
        "code": code,
        "seconds": round(time.monotonic() - start, 1),
        "success": run["success"],
        "left_out": run["left_out"],
        "said": run["log"][-4000:],
    }
    row = judge(student, slug, done, course)
    if not changed:
        write_json(record, done)  # last: what is recorded can be judged again
    return row


def run_one(slug: str, choice, course: Course, options) -> dict:
    """Write the repaired notebook where nbgrader looks for it, and let it run."""
    target = course.folder / REPAIRED / slug / course.name
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    nbformat.write(choice.repaired.book, target / f"{course.name}.ipynb")
    for kept in EXCHANGE_FILES:
        if (choice.book.path.parent / kept).exists():
            shutil.copyfile(choice.book.path.parent / kept, target / kept)
    return autograde(
        course.folder,
        course.name,
        slug,
        seconds=options.seconds,
        memory=int(options.memory * 2**30),
        stop=course.stop,
    )


def judge(student: str, slug: str, done: dict, course: Course) -> dict:
    """The line of a submission that was run."""
    folder, name, facts = course.folder, course.name, course.facts
    notes = [*done["remarks"], *done["notes"].get("", [])]
    notes += [f"{cell} {why}" for cell, why in done["left_out"].items()]
    if not done["success"]:
        why = next((line for line in done["said"].splitlines() if "Error" in line), "")
        row = status.no_result(student, status.SETUP, facts, f"nbgrader failed: {why}")
        return {**row, "seconds": done["seconds"]}
    path = folder / "autograded" / slug / name / f"{name}.ipynb"
    book = nbformat.read(path, as_version=4)
    marks = read_marks(folder, name, slug)
    found = {
        number: status.exercise_result(number, entry, book, marks, done)
        for number, entry in facts["exercises"].items()
    }
    row = status.whole_result(student, found, facts, notes)
    return {**row, "seconds": done["seconds"]}


def read_marks(folder: Path, name: str, slug: str) -> dict[str, float | None]:
    """The grade book: name of a graded cell -> points, None if not yet graded."""
    from nbgrader.api import Gradebook, MissingEntry

    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        try:
            notebook = book.find_submission_notebook(name, name, slug)
        except MissingEntry:
            return {}
        marks = {}
        for grade in notebook.grades:
            open_ = grade.manual_score is None and grade.auto_score is None
            marks[grade.name] = None if open_ else grade.score
        return marks


# The class ----------------------------------------------------------------------------


def grade_class(folder: Path, course: Course, options) -> list[dict]:
    """Grade everybody; prints a line for each student as it is done.

    Nothing that is wrong with one submission stops the others, and whoever stops the
    command gets the tables of those who are done.
    """
    found, beside = find_submissions(folder)
    if beside:
        print(f"Nobody's, left aside: {', '.join(beside)}")
    for student in read_roster(options.students, found) if options.students else ():
        found.setdefault(student, Handed())
    names = slugs(found)
    rows: dict[str, dict] = {}

    def one(student: str) -> None:
        start = time.monotonic()
        try:
            if course.stop.is_set():
                raise Stopped("grading was stopped before")
            row = grade_student(
                student, names[student], found[student], course, options
            )
        except (Exception, SystemExit) as error:  # its line says so; the class goes on
            text = status.first_line(str(error))
            why = (
                text
                if isinstance(error, Stopped)
                else f"{type(error).__name__}: {text}"
            )
            row = status.no_result(student, status.FAILED, course.facts, why)
        rows[student] = row | lms.identity(found[student], names[student])
        seconds = time.monotonic() - start
        print(f"{student}: {tables.summary(row)}, {seconds:.1f} s", flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        running = [pool.submit(one, student) for student in found]
        try:
            for each in running:
                each.result()
        except KeyboardInterrupt:
            course.stop.set()
            print("Stopped. The tables hold those who are done; run it again to go on.")
    return [rows[student] for student in found]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m grading grade",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("submissions", type=Path)
    parser.add_argument("--assignment", help="its name; needed if there are several")
    parser.add_argument("--course", type=Path, default=ROOT / "assignments")
    parser.add_argument("--students", type=Path, help="list of the class: text or CSV")
    parser.add_argument("--again", action="store_true", help="run all once more")
    parser.add_argument(  # of older versions; the pages are always written now
        "--feedback", action="store_true", help=argparse.SUPPRESS
    )
    parser.add_argument(
        "--out-of",
        type=lms.positive,
        help="scale the scores of NAME_lms.csv, to 20 say",
    )
    parser.add_argument("--jobs", type=int, default=1, help="submissions at a time")
    parser.add_argument(
        "--seconds", type=int, default=900, help="limit of one submission; default 900"
    )
    parser.add_argument(
        "--memory", type=float, default=4, help="GiB for one submission; default 4"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        course = open_course(options.course, options.assignment)
        start = time.monotonic()
        folder = unpacked(options.submissions, course.folder)
        rows = grade_class(folder, course, options)
        seconds = time.monotonic() - start
        paths = tables.write_tables(
            course.folder, course.name, rows, course.facts, options.out_of
        )
        report = pages.write_pages(course.folder, course.name, rows, course.facts)
        lms.keep_class(course.folder, course.name, rows)
    except ValueError as error:
        print(f"grade: {error}", file=sys.stderr)
        return 2
    print(tables.print_table(rows, course.facts))
    each = seconds / max(1, len(rows))
    print(f"{len(rows)} students in {seconds:.0f} s, {each:.1f} s each.")
    print(next_steps.after_grading(course.folder, course.name, report, paths))
    print(lms.after_grading(rows))
    return 130 if course.stop.is_set() else 0
