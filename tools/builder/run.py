"""Run notebooks: whole, as a learner would, or only their exercises."""

import copy
import json
import time
from datetime import datetime
from pathlib import Path

from nbclient import NotebookClient
from nbformat import NotebookNode

from builder.notebook import KERNEL, LESSONS, code_cells, is_drawing
from vae_helpers import claims, expected

LONG = 5  # seconds; a cell that takes longer says so beforehand
ROUND = [5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300]


def execute(
    book: NotebookNode,
    folder: Path,
    *,
    timeout: int = 900,
    kernel: str = KERNEL["name"],
) -> float:
    """Run all cells in place, as a learner would, and return the seconds it took."""
    start = time.monotonic()
    client = NotebookClient(
        book,
        timeout=timeout,
        kernel_name=kernel,
        coalesce_streams=True,  # how stdout was cut into pieces is chance
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return time.monotonic() - start


def cell_seconds(book: NotebookNode) -> dict[str, float]:
    """cell id -> the seconds it ran, as the kernel's messages tell."""
    found = {}
    for cell in book.cells:
        marks = cell.metadata.get("execution", {})
        start, end = marks.get("iopub.execute_input"), marks.get("shell.execute_reply")
        if start and end:
            span = datetime.fromisoformat(end) - datetime.fromisoformat(start)
            found[cell.id] = span.total_seconds()
    return found


def remember_times(table: dict, stem: str, total: float, cells: dict) -> None:
    """Put measured times into timings.json, those of long cells rounded.

    A time that is within a factor of 1.7 of what stands there is left, so that a build
    on a busier day does not rewrite every notebook.
    """
    old = table["timings"].get(stem, {})
    new = {"total": round(total), "cells": {}}
    if 1 / 1.7 < total / old.get("total", 1e-9) < 1.7:
        new["total"] = old["total"]
    for name, seconds in cells.items():
        before = old.get("cells", {}).get(name)
        if before and 1 / 1.7 < seconds / before < 1.7:
            new["cells"][name] = before
        elif seconds > LONG:
            new["cells"][name] = min(ROUND, key=lambda r: abs(r - seconds))
    table["timings"][stem] = new
    text = json.dumps(table["timings"], indent=2, sort_keys=True) + "\n"
    (LESSONS / "timings.json").write_text(text, encoding="utf-8")


def move_outputs(source: NotebookNode, target: NotebookNode) -> None:
    """Give the code cells of one notebook the outputs of the same cells of another.

    A new drawing gets none yet: `run_answers` makes them anew.
    """
    drawn = {c.source: c for c in code_cells(source) if is_drawing(c)}
    for new in filter(is_drawing, code_cells(target)):
        old = drawn.get(new.source, new)
        new.outputs, new.execution_count = old.outputs, old.execution_count
    both = (
        [c for c in code_cells(book) if not is_drawing(c)] for book in (source, target)
    )
    for old, new in zip(*both, strict=True):
        new.outputs, new.execution_count = old.outputs, old.execution_count


def cells_without_a_bar(book: NotebookNode) -> list[str]:
    """Complaints about cells that keep a learner waiting without a sign of life."""
    seconds = cell_seconds(book)
    return [
        f"a cell runs {seconds[cell.id]:.0f} s without a bar; use training.progress (or "
        f"build with --busy if the machine is slow just now):\n"
        f"{cell.source[:200]}"
        for cell in code_cells(book)
        if seconds.get(cell.id, 0) > 2 * LONG
        and "steps done." not in json.dumps(cell.outputs)
        and not cell.source.startswith(("import", "from"))
    ]


def _tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def is_answer(cell: NotebookNode) -> bool:
    """Whether a code cell holds an exercise, its check, or a drawing: made in seconds."""
    return bool(_tags(cell) & {"exercise", "check"}) or is_drawing(cell)


def run_answers(book: NotebookNode, folder: Path) -> None:
    """Run the exercises and checks of a notebook in place, without its trainings.

    They need the set-up, the imports and the lesson's own definitions, and nothing that
    is trained: tests/test_checks.py runs them in the same way.
    """
    short = copy.deepcopy(book)
    short.cells = [c for c in code_cells(short) if is_answer(c) or _is_needed(c)]
    execute(short, folder)
    done = {cell.id: cell for cell in short.cells}
    for cell in code_cells(book):
        if is_answer(cell):
            cell.outputs = done[cell.id].outputs


def _is_needed(cell: NotebookNode) -> bool:
    imports = "import torch" in cell.source and "plots.style" in cell.source
    return imports or bool(_tags(cell) & {"setup", "definition"})


def share_outputs(source: NotebookNode, target: NotebookNode) -> None:
    """Give the cells of one notebook the outputs of the same cells of its twin.

    A cell is the same when its text is: then its id is. Drawings are the same in both.
    """
    known = {cell.id: cell.outputs for cell in code_cells(source)}
    for cell in code_cells(target):
        if is_drawing(cell) or not is_answer(cell):
            cell.outputs = copy.deepcopy(known[cell.id])


PANELS = {  # what a panel remembers -> how it is drawn
    "claims": claims.from_memory,
    "numbers": expected.from_memory,
    "review": claims.review_from_memory,
}


def draw_panels(book: NotebookNode) -> None:
    """Draw the panels of a notebook that has run anew, from the record as it is now."""
    for cell in code_cells(book):
        for output in cell.outputs:
            memory = output.get("metadata", {}).get("vae_course")
            if memory:
                kind = next(kind for kind in PANELS if kind in memory)
                panel = PANELS[kind](memory)
                output.data["text/html"] = panel._repr_html_()
                output.data["text/plain"] = repr(panel)


def number(book: NotebookNode) -> None:
    """Execution counts as after one run from top to bottom."""
    for count, cell in enumerate(code_cells(book), 1):
        cell.execution_count = count
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
