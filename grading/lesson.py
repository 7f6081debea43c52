"""A lesson's exercises as data: task, stub, solution, check, minutes."""

import ast
import builtins
import re
import symtable
import sys
from pathlib import Path
from typing import NamedTuple

import jupytext

ROOT = Path(__file__).resolve().parents[1]
INSTRUCTOR = ROOT / "instructor"
if not (ROOT / "lessons").is_dir():
    raise SystemExit(
        "The grading tools read the lessons, which are not beside the installed package. "
        "Run them in the course's folder: python -m grading ..."
    )
sys.path.append(str(ROOT / "tools"))  # the builder is not installed
import builder  # noqa: E402

from grading.names import number_key  # noqa: E402

HEADING = re.compile(r"^#+ Exercise ([A-Z\d]\d\.\d+) · (.*)$", re.MULTILINE)
FACTS = re.compile(r"^\*(core|extension), (easy|medium|hard), (\d+) minutes\*", re.M)

SHOWN = {"exercise", "check", "film", "live"}  # tags of cells that no exercise needs


class Exercise(NamedTuple):
    """One exercise of a lesson.

    `answer` keeps the marked solution; `check` and `answer` are empty for an exercise
    without a check, which a person grades.
    """

    number: str  # "03.1"
    title: str
    importance: str  # core or extension
    difficulty: str  # easy, medium or hard
    minutes: int
    task: str  # Markdown
    answer: str  # code with ### BEGIN SOLUTION and ### END SOLUTION
    check: str  # "lesson03.kl_to_standard_normal"
    names: tuple[str, ...]  # the functions that the check is given
    hints: str  # Markdown

    @property
    def key(self) -> str:
        """The number as part of a cell's name: 03-1."""
        return number_key(self.number)


def find_lesson(number: str) -> dict:
    """The entry of lessons/course.toml for "3", "03" or "03_elbo"."""
    lessons = builder.course()["lesson"]
    wanted = str(number).zfill(2)
    for lesson in lessons:
        if wanted in (lesson["stem"], lesson["stem"][:2]):
            return lesson
    known = ", ".join(lesson["stem"][:2] for lesson in lessons)
    raise ValueError(f"There is no lesson {number!r}; the lessons are {known}.")


def read_cells(lesson: dict) -> list:
    """The author's cells, solutions included."""
    return jupytext.read(builder.LESSONS / f"{lesson['stem']}.py").cells


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def read_exercises(lesson: dict) -> list[Exercise]:
    """All exercises of a lesson, in its order."""
    cells = read_cells(lesson)
    found = []
    for at, cell in enumerate(cells):
        headings = list(HEADING.finditer(cell.source))
        if cell.cell_type != "markdown" or not headings:
            continue
        if len(headings) > 1:
            raise ValueError(f"One cell holds two exercises: {cell.source[:80]!r}")
        number, title = headings[0].groups()
        facts = FACTS.search(cell.source)
        if not facts:
            raise ValueError(
                f"Exercise {number} does not say its kind; needed is a line such as "
                "*core, easy, 5 minutes*."
            )
        answer = check = hints = ""
        names: tuple[str, ...] = ()
        # The stub and its check follow, before the next heading of an exercise.
        for later, other in enumerate(cells[at + 1 :], at + 1):
            if other.cell_type == "markdown" and HEADING.search(other.source):
                break
            if "exercise" in tags(other) and not answer:
                answer = other.source
            if "check" in tags(other) and not check:
                check, names = _check_call(other.source, lesson["stem"][:2])
                after = cells[later + 1].source if later + 1 < len(cells) else ""
                hints = after if after.startswith("<details><summary>Hint") else ""
                break
        found.append(
            Exercise(
                number,
                title.removesuffix(" (open)"),
                facts[1],
                facts[2],
                int(facts[3]),
                cell.source,
                answer,
                check,
                names,
                hints,
            )
        )
    return found


def _check_call(source: str, lesson: str) -> tuple[str, tuple[str, ...]]:
    """check.f(a, b) -> ("lessonNN.f", ("a", "b"))."""
    call = ast.parse(source).body[-1].value
    if not isinstance(call, ast.Call) or not all(
        isinstance(argument, ast.Name) for argument in call.args
    ):
        raise ValueError(f"A check cell must end with check.NAME(answers): {source!r}")
    return f"lesson{lesson}.{call.func.attr}", tuple(a.id for a in call.args)


def bound_names(node: ast.AST) -> set[str]:
    """The names that a statement gives a value."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return {
        name.id
        for name in ast.walk(node)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }


def free_names(source: str) -> set[str]:
    """The names that some code reads and does not define itself."""
    found: set[str] = set()
    tables = [symtable.symtable(source, "cell", "exec")]
    own = {s.get_name() for s in tables[0].get_symbols() if s.is_assigned()}
    own |= {s.get_name() for s in tables[0].get_symbols() if s.is_imported()}
    while tables:
        table = tables.pop()
        tables += table.get_children()
        top = table.get_type() == "module"
        found |= {
            s.get_name()
            for s in table.get_symbols()
            if s.is_referenced() and (s.is_global() or top)
        }
    return found - own - set(dir(builtins))


def needed_cells(cells: list, exercises: list[Exercise]) -> list[str]:
    """The code that exercises need: imports, the settings in use, own definitions.

    Statements are followed backwards from the names that answers and checks read; what
    loads images, trains or draws is left out.
    """
    wanted = {"device"}  # runtime.start sets the seed
    for exercise in exercises:
        if exercise.answer:
            wanted |= free_names(exercise.answer)
    kept: list[str] = []
    for cell in reversed(cells):
        if cell.cell_type != "code" or SHOWN & set(tags(cell)):
            continue
        lines, parts = cell.source.splitlines(), []
        body = ast.parse(cell.source).body
        imports = any(isinstance(n, ast.Import | ast.ImportFrom) for n in body)
        for node in reversed(body):
            start = min([node.lineno, *(d.lineno for d in _decorators(node))]) - 1
            call = ast.unparse(node).startswith("torch.set_default_dtype")
            if imports or call or bound_names(node) & wanted:
                wanted |= free_names("\n".join(lines[start : node.end_lineno]))
                parts.insert(0, "\n".join(lines[start : node.end_lineno]))
        if imports:
            kept.insert(0, cell.source)
        elif parts:
            kept.insert(0, "\n".join(parts))
    return kept


def _decorators(node: ast.AST) -> list:
    return getattr(node, "decorator_list", [])
