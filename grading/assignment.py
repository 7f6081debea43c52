"""Turn one lesson into an nbgrader assignment.

    python -m grading assignment 03 [--overlay FILE] [--variant SEED] [--extension]
                                    [--whole] [--no-hints] [--name NAME] [--to FOLDER]

writes into FOLDER (default: assignments/), which is an nbgrader course folder:

    source/NAME/NAME.ipynb    the teacher's version: solutions, points, hidden tests
    release/NAME/NAME.ipynb   what students get
    private/                  hidden tests, what grading must know, and the key
    nbgrader_config.py        time limits and the rest

and proves that the key has all points and the stubs have none.
"""

import argparse
import contextlib
import importlib
import importlib.util
import io
import json
import re
import shutil
import sys
import tomllib
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from grading import next_steps
from grading.cells import (
    exercise_cells,
    introduction,
    only_exercises,
    whole_lesson,
    worth,
)
from grading.lesson import (
    HEADING,
    INSTRUCTOR,
    ROOT,
    Exercise,
    builder,
    find_lesson,
    read_exercises,
)
from grading.names import number_of
from grading.run import nbgrader_api
from grading.variants import HIDDEN as HIDDEN_CASES
from grading.variants import SHOWN as SHOWN_CASES
from grading.variants import Variant, load_variants, make_variant, seal


def load_overlay(path: Path | None) -> dict:
    """The names of an overlay file; empty without one."""
    if path is None:
        return {}
    if not path.is_file():
        raise ValueError(f"There is no overlay file {path}.")
    namespace: dict = {"__file__": str(path), "__name__": "overlay"}
    try:
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), namespace)
    except Exception as error:
        moved = "_grading_variants" in str(error)
        hint = " Variant is in grading.variants now." if moved else ""
        text = f"The overlay {path} stops with {type(error).__name__}: {error}."
        raise ValueError(text + hint) from error
    return namespace


def default_points(exercise: Exercise, table: dict) -> int:
    """Minutes times the weight of the difficulty; an extension is capped."""
    points = max(1, round(exercise.minutes * table["weight"][exercise.difficulty]))
    extension = exercise.importance == "extension"
    return min(points, table["bonus_at_most"]) if extension else points


def sentences(exercise: Exercise) -> list[str]:
    """The mistakes that an exercise's check knows by name."""
    if not exercise.check:
        return []
    module, name = exercise.check.split(".")
    check = getattr(importlib.import_module(f"vae_helpers.checks.{module}"), name)
    said = []
    for part in check.parts:
        table = getattr(part, "wrong", None) or [s.says for s in part.table]
        said += [words for words in table if isinstance(words, str)]
    return said


def shares_of(said: list[str], table: dict) -> dict[str, float]:
    """Words -> share of the points, for an exercise whose check says some sentences.

    Args:
        said: the sentences; what an exercise never says is left out.
        table: points.toml.
    """
    for words, share in {**table["share"], **table["mistake"]}.items():
        if not 0 <= share <= 1:
            raise ValueError(
                f"points.toml: a share lies between 0 and 1; {words!r} has {share}."
            )
    named = {w: s for w, s in table["mistake"].items() if any(w in t for t in said)}
    return table["share"] | named


def check_overlay(overlay: dict, exercises: list[Exercise]) -> None:
    """Complain about numbers that are no exercise of the lesson."""
    known = {exercise.number for exercise in exercises}
    for name in ("POINTS", "SHARES", "HIDDEN", "LEAVE_OUT"):
        strange = sorted(set(overlay.get(name, ())) - known)
        if strange:
            raise ValueError(
                f"The overlay's {name} names {', '.join(strange)}; the exercises of this "
                f"lesson are {', '.join(sorted(known))}."
            )


# The assignment -----------------------------------------------------------------------


def vary(exercise: Exercise, variant: Variant) -> Exercise:
    """The exercise with the task, the stub and the name of its variant."""
    heading = HEADING.search(exercise.task)
    level = heading[0].split(" ")[0]
    before = exercise.task[: heading.start()]
    facts = (
        f"*{exercise.importance}, {exercise.difficulty}, {exercise.minutes} minutes*"
    )
    title = f"{level} Exercise {exercise.number} · {variant.title}"
    return exercise._replace(
        title=variant.title,
        task=f"{before}{title}\n\n{facts}\n\n{variant.task.strip()}",
        answer=variant.answer,
        names=(variant.name,),
        hints="",
    )


def choose(exercises: list[Exercise], overlay: dict, options) -> list[Exercise]:
    """The exercises that are set."""
    out = set(overlay.get("LEAVE_OUT", ()))
    chosen = [
        exercise
        for exercise in exercises
        if exercise.number not in out
        and (exercise.importance == "core" or options.extension)
    ]
    if not chosen:
        raise ValueError("No exercise is left: the overlay leaves all of them out.")
    return chosen


def plan(exercise: Exercise, overlay: dict, table: dict, varied: bool) -> dict:
    """What an exercise is worth, and by what."""
    points = overlay.get("POINTS", {}).get(
        exercise.number, default_points(exercise, table)
    )
    hidden = [test[0] for test in overlay.get("HIDDEN", {}).get(exercise.number, ())]
    if varied:  # half for the numbers that students see, half for others
        hidden, points = [points // 2], points - points // 2
    return {
        "title": exercise.title,
        "names": list(exercise.names),
        "points": points,
        "hidden": hidden,
        "bonus": exercise.importance == "extension",
        "manual": not exercise.check,
        "minutes": exercise.minutes,
    }


def make_source(lesson: dict, name: str, overlay: dict, options) -> tuple:
    """The teacher's notebook, what grading must know, and the hidden sealed checks."""
    table = tomllib.loads((INSTRUCTOR / "points.toml").read_text(encoding="utf-8"))
    found = read_exercises(lesson)
    check_overlay(overlay, found)
    chosen = choose(found, overlay, options)
    makers = load_variants(lesson["stem"][:2], overlay) if options.variant else {}
    if options.variant and not makers:
        raise ValueError(
            f"Lesson {lesson['stem'][:2]} has no variants. Write VARIANTS in an overlay, "
            "or leave --variant out."
        )
    entries, sealed, cells_of, final = {}, {}, {}, []
    for exercise in chosen:
        number, text = exercise.number, None
        said = sentences(exercise)
        if number in makers:
            variant = make_variant(makers[number], number, options.variant)
            exercise, said = vary(exercise, variant), list(variant.wrong)
            label = f"{number} {variant.name}"
            text = seal(variant, label, options.variant, SHOWN_CASES)
            sealed[number] = seal(variant, label, options.variant, HIDDEN_CASES)
        entry = plan(exercise, overlay, table, number in makers)
        shares = shares_of(said, table) | overlay.get("SHARES", {}).get(number, {})
        cells_of[number] = exercise_cells(exercise, name, entry, shares, text)
        entries[number] = entry
        final.append(exercise)
    arrange = whole_lesson if options.whole else only_exercises
    cells = arrange(lesson, final, cells_of, options.hints)
    book = nbformat.v4.new_notebook(cells=[introduction(lesson, entries), *cells])
    book.metadata = NotebookNode(
        {"kernelspec": builder.KERNEL, "colab": dict(builder.NO_AI)}
    )
    seen: dict[str, int] = {}
    for cell in book.cells:
        seen[cell.id] = seen.get(cell.id, -1) + 1
        cell.id += f"-{seen[cell.id]}" if seen[cell.id] else ""
    nbformat.validate(book)
    remarks = [f"Left out by the overlay: {n}." for n in overlay.get("LEAVE_OUT", ())]
    remarks += [
        f"The overlay's hidden tests of {number} are not used: a variant is tested on "
        "hidden inputs of its own."
        for number in overlay.get("HIDDEN", {})
        if number in sealed
    ]
    facts = {"lesson": lesson["stem"], "exercises": entries, "sealed": sealed}
    return book, facts | {"remarks": remarks}


# Proof --------------------------------------------------------------------------------


def prove(book: NotebookNode, facts: dict, private: Path) -> None:
    """Raise unless the key has all points and the stubs have none."""
    sys.path.insert(0, str(private))
    sys.modules.pop("course_hidden_tests", None)
    try:
        for solved, change in ((True, builder.to_solved), (False, builder.to_stub)):
            got = _run_graded(book, change, facts)
            for number, entry in facts["exercises"].items():
                if entry["manual"]:
                    continue
                parts = [entry["points"], *entry["hidden"]]
                wanted = parts if solved else [0] * len(parts)
                if got[number] != wanted:
                    kind = "key" if solved else "stub"
                    raise ValueError(
                        f"The {kind} of exercise {number} gets {got[number]} points; "
                        f"needed is {wanted}. The assignment is not written."
                    )
    finally:
        sys.path.remove(str(private))


def _run_graded(book: NotebookNode, change, facts: dict) -> dict[str, list]:
    """Run set-up, answers and graded cells here; number -> points of its cells.

    Exercises that a person grades have neither a key nor points to prove.
    """
    import torch

    namespace: dict = {"__name__": "assignment"}
    got: dict[str, list] = {}
    kind = torch.get_default_dtype()
    try:
        for cell in book.cells:
            marks = cell.metadata.get("nbgrader", {})
            name = marks.get("grade_id", "")
            number = number_of(name)
            if cell.cell_type != "code" or not name:
                continue
            if facts["exercises"].get(number, {}).get("manual"):
                continue
            with contextlib.redirect_stdout(io.StringIO()):
                value = _run_cell(change(cell.source), namespace, marks)
            if marks["grade"]:
                got.setdefault(number, []).append(value)
    finally:
        torch.set_default_dtype(kind)
    return got


def _run_cell(source: str, namespace: dict, facts: dict) -> float | None:
    """Run a cell; for a graded one, the number that it ends with or is worth."""
    if not facts["grade"]:
        exec(compile(source, "cell", "exec"), namespace)
        return None
    if facts["grade_id"].startswith("hidden"):
        try:
            exec(compile(source, "cell", "exec"), namespace)
        except AssertionError:
            return 0
        return facts["points"]
    *lines, last = source.splitlines()
    exec(compile("\n".join(lines), "cell", "exec"), namespace)
    return eval(last, namespace)


# Files --------------------------------------------------------------------------------


def prepare_course(folder: Path) -> None:
    """An nbgrader course folder that git does not see."""
    private = folder / "private"
    private.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    shutil.copyfile(INSTRUCTOR / "nbgrader_config.py", folder / "nbgrader_config.py")
    helper = "course_hidden_tests.py"
    shutil.copyfile(INSTRUCTOR / helper, private / helper)


def write_key(book: NotebookNode, path: Path) -> None:
    """The solved notebook, without marks."""
    key = nbformat.from_dict(json.loads(json.dumps(book)))
    for cell in key.cells:
        cell.metadata.pop("nbgrader", None)
        if cell.cell_type == "code":
            cell.source = builder.to_solved(cell.source)
            cell.source = re.sub(r"### (BEGIN|END) HIDDEN TESTS\n?", "", cell.source)
    nbformat.write(key, path)


def release(folder: Path, name: str) -> Path:
    """Let nbgrader make the students' version and enter the assignment in its book."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        result = nbgrader_api(folder).generate_assignment(name, force=True, create=True)
    if not result["success"]:
        why = f"{result.get('log', '')}\n{said.getvalue()}".strip()
        raise ValueError(f"nbgrader could not make the students' version:\n{why}")
    return folder / "release" / name / f"{name}.ipynb"


def write_assignment(options) -> dict:
    """Make and prove everything; returns what grading must know."""
    lesson = find_lesson(options.lesson)
    name = options.name or lesson["stem"]
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(
            f"An assignment's name has letters, digits, _ and - only; got {name!r}."
        )
    folder = Path(options.to).resolve()
    graded = list((folder / "autograded").glob(f"*/{name}"))
    if graded and not options.force:
        raise ValueError(
            f"{len(graded)} submissions of {name} are graded. Choose another --name, or "
            "change this assignment for all of them with --force."
        )
    overlay = load_overlay(options.overlay)
    book, facts = make_source(lesson, name, overlay, options)
    prepare_course(folder)
    private = folder / "private"
    text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    # The hidden tests read these two files; a proof that fails leaves them as they were.
    written = [private / f"{name}.json", private / f"{name}_overlay.py"]
    before = {p: p.read_bytes() if p.exists() else None for p in written}
    written[0].write_text(text, encoding="utf-8")
    if options.overlay:
        shutil.copyfile(options.overlay, written[1])
    try:
        prove(book, facts, private)
    except BaseException:
        for path, content in before.items():
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_bytes(content)
        raise
    source = folder / "source" / name / f"{name}.ipynb"
    source.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, source)
    write_key(book, private / f"{name}_key.ipynb")
    return facts


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m grading assignment",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("lesson", help="number of the lesson, such as 03")
    parser.add_argument("--to", default=ROOT / "assignments", type=Path)
    parser.add_argument("--name", help="of the assignment; default: that of the lesson")
    parser.add_argument("--overlay", type=Path, help="your points and hidden tests")
    parser.add_argument("--variant", metavar="SEED", help="other numbers and functions")
    parser.add_argument("--extension", action="store_true", help="set these as a bonus")
    parser.add_argument("--whole", action="store_true", help="keep the whole lesson")
    parser.add_argument("--no-hints", dest="hints", action="store_false")
    parser.add_argument(
        "--force", action="store_true", help="change a graded assignment"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        facts = write_assignment(options)
        name = options.name or facts["lesson"]
        for number, entry in facts["exercises"].items():
            parts = f"{entry['points']:g}"
            parts += "".join(f" + {p:g} hidden" for p in entry["hidden"])
            kind = ", bonus" if entry["bonus"] else ""
            kind += ", graded by a person" if entry["manual"] else ""
            kind += ", variant" if number in facts["sealed"] else ""
            print(f"{number} {entry['title']}: {parts} points{kind}")
        core = [e for e in facts["exercises"].values() if not e["bonus"]]
        print(f"Together {sum(map(worth, core)):g} points without a bonus.")
        print(*facts["remarks"], sep="\n", end="\n" if facts["remarks"] else "")
        print("The key has all points, the stubs have none.")
        if importlib.util.find_spec("nbgrader") is None:
            print("nbgrader is not installed: no students' version. Install .[grade].")
        else:
            folder = Path(options.to).resolve()
            given = release(folder, name)
            print(next_steps.after_assignment(folder, name, given))
    except ValueError as error:
        print(f"assignment: {error}", file=sys.stderr)
        return 2
    return 0
