"""Grade a folder of submissions of one assignment.

    python tools/grade.py SUBMISSIONS [--assignment NAME] [--course FOLDER]

SUBMISSIONS holds one folder for each student with a notebook somewhere in it, or one
notebook for each student. It is only read. The course folder is the one that
make_assignment.py wrote. The command copies each notebook there, puts back what was
locked, lets nbgrader run it, and writes into its folder marks/:

    NAME.csv         points, status and remark of every student and exercise
    NAME_lms.csv     student, score, maximum, comment; no score where a person must look
    NAME.html        the same as a page, with links to the feedback

A submission that was graded and did not change is not run again; --again runs all.
"""

import argparse
import hashlib
import json
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import _grading_report as report
import nbformat
from _grading_repair import Repaired, name_of, recognise, repair
from _grading_run import REPAIRED, autograde, nbgrader_api

ROOT = Path(__file__).resolve().parents[1]
# What nbgrader's exchange lays beside a notebook and needs to bring the feedback back.
EXCHANGE_FILES = ("timestamp.txt", "submission_secret.txt")


def find_submissions(folder: Path) -> dict[str, list[Path]]:
    """Student -> the notebooks found for this student, in order of their names."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder. Needed is one with the submissions.")
    found: dict[str, list[Path]] = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            books = sorted(entry.rglob("*.ipynb"))
            found[entry.name] = [
                b for b in books if ".ipynb_checkpoints" not in b.parts
            ]
        elif entry.suffix == ".ipynb":
            found.setdefault(entry.stem, []).append(entry)
    if not found:
        raise ValueError(f"{folder} has neither folders nor notebooks in it.")
    return found


def slugs(students: list[str]) -> dict[str, str]:
    """Student -> a name that is safe for files and for nbgrader, each one different."""
    table: dict[str, str] = {}
    for student in students:
        slug = re.sub(r"[^A-Za-z0-9_-]+", "_", student).strip("_") or "student"
        if slug in table.values() or slug != student:
            slug += "_" + hashlib.sha256(student.encode()).hexdigest()[:6]
        table[student] = slug
    return table


def pick(paths: list[Path], name: str, released) -> tuple:
    """The notebook of the assignment, its path, and remarks about the choice.

    It is the one with the assignment's name, or else the one with most of its cells.
    """
    cells = {name_of(c): c for c in released.cells if name_of(c)}
    found, notes = [], []
    for path in paths:
        try:
            book = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
            count = sum(bool(recognise(c, cells)[0]) for c in book.cells)
        except Exception as error:
            notes.append(f"{path.name} cannot be read: {type(error).__name__}")
            continue
        named = name in (path.stem, path.parent.name)
        found.append((named and count > 0, count, path, book))
    if not found:
        return None, None, notes
    _, _, path, book = max(found, key=lambda item: item[:2])
    if len(found) > 1:
        notes.append(f"{len(found)} notebooks were handed in; {path.name} is graded")
    return book, path, notes


def digest(*paths: Path) -> str:
    """Changes when one of some files changes."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.read_bytes() if path.exists() else b"")
    return total.hexdigest()


def guarded(folder: Path) -> list[Path]:
    """Files that no submission has a reason to write: checks, hidden tests, release."""
    found = [
        *(ROOT / "vae_helpers/checks").glob("*.py"),
        *(folder / "private").glob("*.*"),
    ]
    return sorted([*found, *(folder / "release").glob("*/*.ipynb")])


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


def grade_student(student: str, slug: str, paths: list[Path], course: dict, options):
    """Repair, run and judge one submission; -> its line of the table."""
    folder, name, facts = course["folder"], course["name"], course["facts"]
    if not paths:
        return report.no_result(student, report.NO_FILE, facts, "no notebook found")
    record = folder / "private" / f"{name}_runs" / f"{slug}_result.json"
    mark = digest(*paths, *course["files"])
    done = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    page = folder / "feedback" / slug / name / f"{name}.html"
    has_all = page.exists() or not options.feedback
    if done.get("digest") == mark and has_all and not options.again:
        return judge(student, slug, done, course)
    book, chosen, remarks = pick(paths, name, course["release"])
    if book is None:
        return report.no_result(student, report.UNREADABLE, facts, "; ".join(remarks))
    try:
        repaired = repair(course["release"], book)
    except ValueError as error:
        return report.no_result(student, report.WRONG, facts, str(error))
    target = folder / REPAIRED / slug / name
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    nbformat.write(repaired.book, target / f"{name}.ipynb")
    for kept in EXCHANGE_FILES:
        if (chosen.parent / kept).exists():
            shutil.copyfile(chosen.parent / kept, target / kept)
    run = autograde(
        folder,
        name,
        slug,
        seconds=options.seconds,
        memory=int(options.memory * 2**30),
        feedback=options.feedback,
    )
    if digest(*guarded(folder)) != course["guard"]:
        raise ValueError(
            f"Checks, hidden tests or the release changed while {student} was graded. If "
            "you did not change them, a submission did: marks from here on mean nothing. "
            "Restore the files and look at this submission."
        )
    done = {
        "digest": mark,
        "remarks": remarks,
        "notes": repaired.notes,
        "flags": repaired.flags,
        "attempted": sorted(repaired.attempted),
        "success": run["success"],
        "left_out": run["left_out"],
        "said": run["log"][-4000:],
    }
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(done, indent=1), encoding="utf-8")
    return judge(student, slug, done, course)


def judge(student: str, slug: str, done: dict, course: dict) -> dict:
    """The line of a submission that was run."""
    folder, name, facts = course["folder"], course["name"], course["facts"]
    notes = [*done["remarks"], *done["notes"].get("", [])]
    notes += [f"{cell} {why}" for cell, why in done["left_out"].items()]
    if not done["success"]:
        why = next((line for line in done["said"].splitlines() if "Error" in line), "")
        row = report.no_result(student, report.SETUP, facts, f"nbgrader failed: {why}")
        return {**row, "slug": slug}
    path = folder / "autograded" / slug / name / f"{name}.ipynb"
    book = nbformat.read(path, as_version=4)
    marks = read_marks(folder, name, slug)
    repaired = Repaired(book, done["notes"], done["flags"], set(done["attempted"]))
    run = {"left_out": done["left_out"]}
    found = {
        number: report.exercise_result(number, entry, book, marks, repaired, run)
        for number, entry in facts["exercises"].items()
    }
    return {**report.whole_result(student, found, facts, notes), "slug": slug}


def open_course(folder: Path, name: str | None) -> dict:
    """What grading must know about an assignment of a course folder."""
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
    facts = json.loads((private / f"{name}.json").read_text(encoding="utf-8"))
    files = [path, private / f"{name}.json", private / f"{name}_overlay.py"]
    return {
        "folder": folder,
        "name": name,
        "facts": facts,
        "release": nbformat.read(path, as_version=4),
        "files": files,
        "guard": digest(*guarded(folder)),
    }


def grade_class(folder: Path, course: dict, options) -> list[dict]:
    """Grade everybody; prints a line for each student as it is done."""
    found = find_submissions(folder)
    if options.students:
        if not options.students.is_file():
            raise ValueError(f"There is no list of students {options.students}.")
        listed = options.students.read_text(encoding="utf-8-sig").split("\n")
        for student in filter(None, (line.split(",")[0].strip() for line in listed)):
            found.setdefault(student, [])
    names = slugs(list(found))

    def one(student: str) -> dict:
        start = time.monotonic()
        row = grade_student(student, names[student], found[student], course, options)
        seconds = time.monotonic() - start
        print(f"{student}: {row['status']}, {seconds:.1f} s", flush=True)
        return row

    with ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(one, found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("submissions", type=Path)
    parser.add_argument("--assignment", help="its name; needed if there are several")
    parser.add_argument("--course", type=Path, default=ROOT / "assignments")
    parser.add_argument("--students", type=Path, help="list of the class, one a line")
    parser.add_argument("--again", action="store_true", help="run all once more")
    parser.add_argument("--feedback", action="store_true", help="write students' HTML")
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
        rows = grade_class(options.submissions, course, options)
        seconds = time.monotonic() - start
        paths = report.write_tables(
            course["folder"], course["name"], rows, course["facts"]
        )
    except ValueError as error:
        print(f"grade: {error}", file=sys.stderr)
        return 2
    print(report.print_table(rows, course["facts"]))
    each = seconds / max(1, len(rows))
    print(f"{len(rows)} students in {seconds:.0f} s, {each:.1f} s each.")
    print("\n".join(str(path) for path in paths))
    return 0


if __name__ == "__main__":
    sys.exit(main())
