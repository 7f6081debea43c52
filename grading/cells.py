"""The cells of an assignment: set-up, stubs, graded checks, hidden tests."""

import hashlib
import json

import nbformat
from nbformat import NotebookNode

from grading.lesson import HEADING, Exercise, builder, needed_cells, read_cells, tags

INTRODUCTION = """\
# {title}

{points} points{bonus}. Replace each line `raise NotImplementedError`, and run the cell
below it: it says whether the answer is right, names the likely mistake, and ends with your
points. {hidden}Cells with checks are put back as they were before grading, so a change
in them changes nothing. You may add cells of your own.

Before you hand in: *Restart Kernel and Run All*, look at the points, save. Do not
rename the functions. {lesson}"""
HIDDEN_WORDS = "Some points come from tests that run only when the work is graded. "


def _cell(
    kind: str, source: str, name: str = "", tag: str = "", **facts
) -> NotebookNode:
    """A cell with nbgrader's metadata, if it has a name."""
    make = (
        nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
    )
    cell = make(source.strip("\n"))
    cell.id = hashlib.sha256(f"{name}{source}".encode()).hexdigest()[:12]
    if tag:
        cell.metadata["tags"] = [tag]
    if name:
        plain = {"grade": False, "solution": False, "locked": True, "task": False}
        cell.metadata["nbgrader"] = {
            "schema_version": 3,
            "grade_id": name,
            **plain,
            **facts,
        }
    return cell


def _locked(source: str, name: str, tag: str = "") -> NotebookNode:
    return _cell("code", source, name, tag)


def check_source(
    exercise: Exercise, points: float, shares: dict, sealed: str | None
) -> str:
    """A graded cell; its last expression is the number of points."""
    which = "sealed_points" if sealed else "points"
    first = "SEALED" if sealed else json.dumps(exercise.check)
    lines = [
        f"# Exercise {exercise.number}, {points} points. This cell is put back as it is "
        "here",
        "# before grading. The number at the end is your points.",
        "import importlib",
        "",
        "from grading import sealed",
        "",
    ]
    if sealed:
        lines += [
            "# Numbers to compare with; there is no solution in them.",
            "SEALED = (",
        ]
        lines += [f'    "{sealed[i : i + 78]}"' for i in range(0, len(sealed), 78)]
        lines += [")"]
    if shares:
        lines += [
            "SHARES = {",
            *(f"    {json.dumps(w)}: {s}," for w, s in shares.items()),
        ]
        lines += ["}"]
    tail = ", shares=SHARES" if shares else ""
    names = ", ".join(exercise.names)
    lines += ["importlib.reload(sealed)"]
    lines += [f"sealed.{which}({first}, {names}, out_of={points}{tail})"]
    return "\n".join(lines)


def hidden_source(name: str, exercise: Exercise, index: int, points: float) -> str:
    arguments = ", ".join(
        [json.dumps(name), json.dumps(exercise.number), str(index), *exercise.names]
    )
    return (
        f"# Hidden test of exercise {exercise.number}: {points} points. It runs when the\n"
        "# work is graded.\n"
        "### BEGIN HIDDEN TESTS\n"
        "import course_hidden_tests\n\n"
        f"symptom = course_hidden_tests.symptom({arguments})\n"
        "assert not symptom, symptom\n"
        "### END HIDDEN TESTS"
    )


def exercise_cells(
    exercise: Exercise, name: str, entry: dict, shares: dict, sealed: str | None
) -> list[NotebookNode]:
    """Stub, check and hidden tests; or room for an answer that a person grades."""
    key = exercise.key
    if entry["manual"]:
        code = "### BEGIN SOLUTION\n# no model answer\n### END SOLUTION"
        text = (
            f"**Your answer to {exercise.number}**: what you did, what came out, why."
        )
        points = {"grade": True, "solution": True, "locked": False}
        return [
            _cell(
                "code", code, f"answer-{key}", "exercise", solution=True, locked=False
            ),
            _cell("markdown", text, f"text-{key}", points=entry["points"], **points),
        ]
    source = exercise.answer
    cells = [_cell("code", source, f"answer-{key}", "exercise", solution=True)]
    cells[0].metadata.nbgrader.locked = False
    check = check_source(exercise, entry["points"], shares, sealed)
    cells.append(
        _cell(
            "code", check, f"check-{key}", "check", grade=True, points=entry["points"]
        )
    )
    if sealed:  # pictures of numbers: fold them away
        cells[-1].metadata["jupyter"] = {"source_hidden": True}
    for index, points in enumerate(entry["hidden"]):
        source = hidden_source(name, exercise, index, points)
        hidden = f"hidden-{key}-{index}"
        cells.append(_cell("code", source, hidden, grade=True, points=points))
    return cells


def introduction(lesson: dict, entries: dict) -> NotebookNode:
    core = sum(worth(e) for e in entries.values() if not e["bonus"])
    more = sum(worth(e) for e in entries.values() if e["bonus"])
    table = builder.course()
    address = builder.links(table, f"notebooks/{lesson['stem']}.ipynb")["colab"]
    minutes = sum(e["minutes"] for e in entries.values())
    text = INTRODUCTION.format(
        title=f"Exercises of lesson {lesson['stem'][:2]}",
        points=core,
        bonus=f", and {more} more as a bonus" if more else "",
        hidden=HIDDEN_WORDS if any(e["hidden"] for e in entries.values()) else "",
        lesson=f"They take about {minutes} minutes after [the lesson]({address}).",
    )
    return _cell("markdown", text)


def worth(entry: dict) -> float:
    """All points of an exercise."""
    return entry["points"] + sum(entry["hidden"])


def only_exercises(lesson, exercises, cells_of, hints) -> list[NotebookNode]:
    """Set-up, and for each exercise its task, stub, check and hints; no training."""
    setup = [builder.setup_cell(builder.course())]
    setup += needed_cells(read_cells(lesson), exercises)
    cells = [
        _locked(source, f"setup-{at}", "setup" if at == 0 else "")
        for at, source in enumerate(setup)
    ]
    for exercise in exercises:
        cells.append(_cell("markdown", exercise.task))
        cells += cells_of[exercise.number]
        if hints and exercise.hints:
            cells.append(_cell("markdown", exercise.hints))
    return cells


def whole_lesson(lesson, exercises, cells_of, hints) -> list[NotebookNode]:
    """The lesson as it is, its exercises made into graded ones."""
    cells = [_locked(builder.setup_cell(builder.course()), "setup-0", "setup")]
    todo = {exercise.number: exercise for exercise in exercises}
    varied = {e.number for e in exercises if not e.hints}
    current, imports = "", 1
    for cell in read_cells(lesson):
        heading = HEADING.search(cell.source) if cell.cell_type == "markdown" else None
        if heading:
            current = heading[1]
            if current in todo:
                cells.append(_cell("markdown", todo[current].task))
                if not todo[current].check:
                    cells += cells_of[current]
                continue
        if current in todo and {"exercise", "check"} & set(tags(cell)):
            if "check" in tags(cell):
                cells += cells_of[current]
            continue
        if cell.source.startswith("<details><summary>Hint") and (
            not hints or current in varied
        ):
            continue
        if cell.cell_type == "markdown":
            cells.append(_cell("markdown", cell.source))
        elif cell.source.startswith(("import ", "from ")):
            cells.append(_locked(cell.source, f"setup-{imports}"))
            imports += 1
        else:  # an exercise that is not set keeps its stub
            cells.append(_cell("code", builder.to_stub(cell.source), tag=""))
    return cells
