"""From a lesson's source to the inputs of its two notebooks."""

import hashlib
import json
import tomllib
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from builder.reading import (
    BEGIN,
    END,
    count,
    exercise_minutes,
    is_folded,
    sittings,
)

ROOT = Path(__file__).resolve().parents[2]
LESSONS, NOTEBOOKS = ROOT / "lessons", ROOT / "notebooks"
PATIENCE = "*The next cell takes about {seconds} s on two CPU cores.*"
KERNEL = {
    "display_name": "Python 3 (ipykernel)",
    "language": "python",
    "name": "python3",
}


def course() -> dict:
    """lessons/course.toml, with the repository's address and the minutes of everything.

    "helpers" is git's name of the tree vae_helpers that published notebooks fetch, and
    empty until the course has an address of its own (`make fork`).

    Run times are measured (timings.json); minutes of reading are counted (builder.reading);
    minutes of exercises are the sum of what the labels of the core exercises say.
    """
    table = tomllib.loads((LESSONS / "course.toml").read_text(encoding="utf-8"))
    timings = (LESSONS / "timings.json").read_text(encoding="utf-8")
    table["timings"] = json.loads(timings)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    table["repository"] = project["project"]["urls"]["Repository"]
    table.update(project["tool"]["vae-course"])
    for lesson in table["lesson"]:
        text = (LESSONS / f"{lesson['stem']}.py").read_text(encoding="utf-8")
        lesson["exercise_minutes"] = exercise_minutes(text)
        lesson["read"] = count(text).minutes
        lesson["sittings"] = sittings(text)
    return table


def is_appendix(lesson: dict) -> bool:
    """Whether a lesson's number is a letter and a digit, such as A1: nothing needs it."""
    return not lesson["stem"][0].isdigit()


def links(table: dict, path: str) -> dict[str, str]:
    """Addresses that open a notebook on Colab and on Binder."""
    slug = table["repository"].removeprefix("https://github.com/")
    branch = table["branch"]
    colab = f"https://colab.research.google.com/github/{slug}/blob/{branch}/{path}"
    binder = f"https://mybinder.org/v2/gh/{slug}/{branch}?urlpath=lab/tree/{path}"
    return {"colab": colab, "binder": binder}


def chosen(table: dict, numbers: list[str]) -> list[dict]:
    """The lessons of the course with these numbers; all if none is given."""
    return [
        lesson
        for lesson in table["lesson"]
        if not numbers or lesson["stem"][:2] in numbers
    ]


def target(lesson: dict, solved: bool) -> Path:
    """Where a built notebook lies."""
    folder = NOTEBOOKS / "solutions" if solved else NOTEBOOKS
    return folder / f"{lesson['stem']}.ipynb"


def setup_cell(table: dict) -> str:
    """The first code cell of every notebook: lessons/setup_cell.py, with the address."""
    text = (LESSONS / "setup_cell.py").read_text(encoding="utf-8").strip()
    text = text.replace("@REPOSITORY@", table["repository"])
    text = text.replace("@BRANCH@", table["branch"])
    return text.replace("@HELPERS@", table["helpers"])


def _header(lesson: dict, table: dict, solved: bool) -> str:
    stem = lesson["stem"]
    folder = "notebooks/solutions" if solved else "notebooks"
    address = links(table, f"{folder}/{stem}.ipynb")
    twin = f"../{stem}.ipynb" if solved else f"solutions/{stem}.ipynb"
    words = f"{table['repository']}/blob/{table['branch']}/GLOSSARY.md"
    needs = ", ".join(f"lesson {n}" for n in lesson["needs"]) or "nothing before it"
    numbers = [
        f"**{other['stem'][:2]}**"
        if other is lesson
        else f"[{other['stem'][:2]}]({other['stem']}.ipynb)"
        for other in table["lesson"]
    ]
    return (
        f"{' · '.join(numbers)}\n\n"
        f"[Open in Colab]({address['colab']}) · [Open in Binder]({address['binder']}) · "
        f"[{'without' if solved else 'with'} solutions]({twin}) · "
        f"[symbols and words]({words})\n\n"
        f"**You need:** {needs}. **Reading:** about {lesson['read']} minutes. "
        f"**Exercises:** about {lesson['exercise_minutes']} minutes."
        f"{_sittings(lesson)}"
    )


def _sittings(lesson: dict) -> str:
    """The minutes of each of two sittings, in a sentence; empty for a lesson of one."""
    if len(lesson["sittings"]) == 1:
        return ""
    (read, solve), (read_on, solve_on) = lesson["sittings"]
    return (
        f" **Two sittings:** up to *Half-way* about {read} minutes of reading and {solve} of "
        f"exercises, after it about {read_on} and {solve_on}."
    )


def _footer(lesson: dict, table: dict) -> str:
    after = table["lesson"][table["lesson"].index(lesson) + 1 :]
    onward = ""
    if after and not is_appendix(after[0]):
        stem = after[0]["stem"]
        onward = f"**Next:** [{stem.replace('_', ' ')}]({stem}.ipynb). "
    # The last lesson lists every appendix, and so does the lesson that one continues.
    last = bool(after) and is_appendix(after[0])
    number = lesson["stem"][:2]
    for other in filter(is_appendix, after):
        if last or other["needs"][-1] == number:
            stem = other["stem"]
            onward += f"**Appendix:** [{stem.replace('_', ' ')}]({stem}.ipynb). "
    home = table["repository"]
    source = f"lessons/{lesson['stem']}.py"
    return (
        f"---\n\n{onward}[The whole course]({home}), with its solutions and all lessons. "
        f"A mistake? This notebook is built from "
        f"[`{source}`]({home}/blob/{table['branch']}/{source}); edit that file, not this "
        "one. Text and figures: CC BY 4.0; code: BSD-3-Clause."
    )


def to_stub(source: str) -> str:
    """Replace every marked solution by a line that raises NotImplementedError."""
    lines, inside = [], False
    for line in source.splitlines():
        if BEGIN in line:
            indent = line[: len(line) - len(line.lstrip())]
            lines += [f"{indent}# YOUR CODE HERE", f"{indent}raise NotImplementedError"]
            inside = True
        elif END in line:
            inside = False
        elif not inside:
            lines.append(line)
    if inside:
        raise ValueError(f"{BEGIN} without {END}:\n{source}")
    return "\n".join(lines)


def to_solved(source: str) -> str:
    """Leave the solution, take out its markers."""
    lines = source.splitlines()
    return "\n".join(line for line in lines if BEGIN not in line and END not in line)


def make_notebook(lesson: dict, table: dict, *, solved: bool) -> NotebookNode:
    """The inputs of one notebook, without outputs."""
    source = jupytext.read(LESSONS / f"{lesson['stem']}.py")
    cells = source.cells
    title, rest = cells[0].source.split("\n", 1)
    cells[0].source = f"{title}\n\n{_header(lesson, table, solved)}\n\n{rest.strip()}"
    setup = nbformat.v4.new_code_cell(setup_cell(table))
    setup.metadata["tags"] = ["setup", "fold"]
    cells.insert(1, setup)
    cells.append(nbformat.v4.new_markdown_cell(_footer(lesson, table)))
    seen: dict[str, int] = {}
    timed = []
    for cell in cells:
        if cell.cell_type == "code":
            cell.source = (to_solved if solved else to_stub)(cell.source)
            cell.outputs, cell.execution_count = [], None
        text = f"{cell.cell_type}\n{cell.source}"
        key = hashlib.sha256(text.encode()).hexdigest()[:12]
        seen[key] = seen.get(key, -1) + 1
        cell.id = key + (f"-{seen[key]}" if seen[key] else "")
        tags = cell.metadata.get("tags", [])
        cell.metadata = NotebookNode({"tags": tags} if tags else {})
        if cell.cell_type == "code" and is_folded(cell.source, tags):
            cell.metadata.update(jupyter={"source_hidden": True}, cellView="form")
        seconds = table["timings"].get(lesson["stem"], {}).get("cells", {}).get(cell.id)
        if seconds:
            notice = nbformat.v4.new_markdown_cell(PATIENCE.format(seconds=seconds))
            notice.id = f"time-{cell.id}"
            timed.append(notice)
        timed.append(cell)
    book = nbformat.v4.new_notebook(cells=timed)
    book.nbformat_minor = 5
    book.metadata = NotebookNode({"kernelspec": KERNEL})
    return book


def inputs(book: NotebookNode) -> list[list[str]]:
    """What a learner or an author can edit: kind and text of every cell."""
    return [[cell.cell_type, cell.source] for cell in book.cells]


def is_drawing(cell: NotebookNode) -> bool:
    """Whether a code cell shows a drawing and needs nothing of the lesson for it."""
    lines = [line for line in cell.source.splitlines() if line.strip()]
    alone = "from vae_helpers import drawings"
    return (
        bool(lines)
        and lines[0] == alone
        and lines[1:2] != []
        and (lines[1].startswith("drawings.show("))
    )


def code_cells(book: NotebookNode) -> list[NotebookNode]:
    """The code cells of a notebook."""
    return [cell for cell in book.cells if cell.cell_type == "code"]
