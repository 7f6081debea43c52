"""Build the notebooks from the lessons: lessons/NN_name.py -> notebooks/NN_name.ipynb.

    python tools/build_notebooks.py [--force] [--no-run] [NN ...]

writes, for each lesson (or those whose numbers are given), the learner's notebook, with
stubs in place of the solutions, and notebooks/solutions/NN_name.ipynb, and executes
both. A notebook that is up to date is left alone. A notebook whose cells somebody edited
is never overwritten: the command says so and stops.
"""

import argparse
import ast
import base64
import copy
import hashlib
import io
import json
import os
import re
import sys
import time
import tomllib
from datetime import datetime
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
LESSONS, NOTEBOOKS = ROOT / "lessons", ROOT / "notebooks"
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
COLAB_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
BINDER_BADGE = "https://mybinder.org/badge_logo.svg"
SIZE_LIMIT = 600 * 1024
WIDGET = "application/vnd.jupyter.widget-view+json"
PATIENCE = "*The next cell takes about {seconds} s on two CPU cores.*"
LONG = 5  # seconds; a cell that takes longer says so beforehand
ROUND = [5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300]
KERNEL = {
    "display_name": "Python 3 (ipykernel)",
    "language": "python",
    "name": "python3",
}

SETUP = """\
# Set-up: finds the course's helpers. On Colab it fetches them first (a few seconds).
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

REPOSITORY, BRANCH = "{repository}", "{branch}"
if find_spec("vae_helpers") is None:
    places = [Path.cwd(), *Path.cwd().parents, Path("/content/vae-course")]
    if "google.colab" in sys.modules and not places[-1].exists():
        command = ["git", "clone", "-q", "--depth=1", f"--branch={{BRANCH}}", REPOSITORY]
        quiet = {{**os.environ, "GIT_TERMINAL_PROMPT": "0"}}
        subprocess.run([*command, str(places[-1])], check=True, env=quiet)
    home = next((p for p in places if (p / "vae_helpers").is_dir()), None)
    if home is None:
        raise ModuleNotFoundError(
            "The package vae_helpers is not here. Open this notebook inside the "
            "course's folder, or install it there with: pip install -e ."
        )
    sys.path.insert(0, str(home))"""


def course() -> dict:
    """lessons/course.toml, with the repository's address and the minutes of everything.

    Run times are measured (timings.json); minutes of exercises are the sum of what the
    labels of the core exercises say.
    """
    table = tomllib.loads((LESSONS / "course.toml").read_text(encoding="utf-8"))
    timings = (LESSONS / "timings.json").read_text(encoding="utf-8")
    table["timings"] = json.loads(timings)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    table["repository"] = project["project"]["urls"]["Repository"]
    table["branch"] = project["tool"]["vae-course"]["branch"]
    for lesson in table["lesson"]:
        text = (LESSONS / f"{lesson['stem']}.py").read_text(encoding="utf-8")
        minutes = re.findall(r"^# \*core, \w+, (\d+) minutes\*$", text, re.MULTILINE)
        lesson["exercise_minutes"] = sum(map(int, minutes))
    return table


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


def setup_cell(table: dict) -> str:
    """The first code cell of every notebook."""
    return SETUP.format(repository=table["repository"], branch=table["branch"])


def _header(lesson: dict, table: dict, solved: bool) -> str:
    stem = lesson["stem"]
    folder = "notebooks/solutions" if solved else "notebooks"
    address = links(table, f"{folder}/{stem}.ipynb")
    twin = f"../{stem}.ipynb" if solved else f"solutions/{stem}.ipynb"
    needs = ", ".join(f"lesson {n}" for n in lesson["needs"]) or "nothing before it"
    return (
        f"[Open in Colab]({address['colab']}) · [Open in Binder]({address['binder']}) · "
        f"[{'without' if solved else 'with'} solutions]({twin})\n\n"
        f"**You need:** {needs}. **Reading:** about {lesson['read']} minutes. "
        f"**Exercises:** about {lesson['exercise_minutes']} minutes."
    )


def _footer(lesson: dict, table: dict) -> str:
    stems = [other["stem"] for other in table["lesson"]]
    after = stems[stems.index(lesson["stem"]) + 1 :][:1]
    onward = (
        f"**Next:** [{after[0].replace('_', ' ')}]({after[0]}.ipynb). " if after else ""
    )
    return (
        f"---\n\n{onward}Text and figures: CC BY 4.0; code: BSD-3-Clause. This notebook "
        f"is built from `lessons/{lesson['stem']}.py`; edit that file, not this one."
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
    setup.metadata["tags"] = ["setup"]
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
        cell.metadata = NotebookNode(
            {"tags": cell.metadata["tags"]} if "tags" in cell.metadata else {}
        )
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


def digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def helpers_of(source: str) -> set[Path]:
    """The files of vae_helpers that some code imports, directly or through another."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            path = (ROOT / name.replace(".", "/")).with_suffix(".py")
            if name.startswith("vae_helpers.") and path.exists():
                found.add(path)
    for path in list(found):
        found |= helpers_of(path.read_text(encoding="utf-8"))
    return found


def helpers_digest(stem: str) -> str:
    """Changes when the helpers or the bands behind a lesson's outputs change."""
    source = (LESSONS / f"{stem}.py").read_text(encoding="utf-8")
    texts = [f.read_text(encoding="utf-8") for f in sorted(helpers_of(source))]
    bands = json.loads((ROOT / "vae_helpers/expected.json").read_text(encoding="utf-8"))
    return digest([texts, bands.get(stem[:2])])


def target(lesson: dict, solved: bool) -> Path:
    """Where a built notebook lies."""
    folder = NOTEBOOKS / "solutions" if solved else NOTEBOOKS
    return folder / f"{lesson['stem']}.ipynb"


def state(book: NotebookNode, path: Path, stem: str) -> str:
    """ "current", "old" or "missing" for a built notebook, or "edited" by a person."""
    if not path.exists():
        return "missing"
    built = nbformat.read(path, as_version=4)
    mark = built.metadata.get("vae_course", {})
    if mark.get("inputs") != digest(inputs(built)):
        return "edited"
    same = inputs(built) == inputs(book)
    return "current" if same and mark.get("helpers") == helpers_digest(stem) else "old"


def with_the_same_code(
    book: NotebookNode, path: Path, stem: str
) -> NotebookNode | None:
    """The built notebook, if it holds the outputs of the very same code."""
    if not path.exists():
        return None
    built = nbformat.read(path, as_version=4)
    mark = built.metadata.get("vae_course", {})
    codes = [[cell.source for cell in _code(b)] for b in (built, book)]
    has_run = all(cell.execution_count for cell in _code(built))
    same = has_run and codes[0] == codes[1] and mark["helpers"] == helpers_digest(stem)
    return built if same else None


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
    """Give the code cells of one notebook the outputs of the same cells of another."""
    pairs = zip(_code(source), _code(target), strict=True)
    for old, new in pairs:
        new.outputs, new.execution_count = old.outputs, old.execution_count


def _code(book: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def smaller(png: str) -> str:
    """Base64 PNG -> the same picture with a palette of 256 colours, if that is smaller."""
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    picture = picture.quantize(256, dither=Image.Dither.NONE)
    picture.save(buffer, format="png", optimize=True)
    return min(base64.b64encode(buffer.getvalue()).decode(), png, key=len)


def clean(book: NotebookNode) -> None:
    """Take out of the outputs what only a running kernel can use, and timestamps."""
    book.metadata.pop("widgets", None)
    book.metadata.pop("language_info", None)
    for cell in book.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = smaller(output.data["image/png"])


def cells_without_a_bar(book: NotebookNode) -> list[str]:
    """Complaints about cells that keep a learner waiting without a sign of life."""
    seconds = cell_seconds(book)
    return [
        f"a cell runs {seconds[cell.id]:.0f} s without a bar; use training.progress:\n"
        f"{cell.source[:200]}"
        for cell in _code(book)
        if seconds.get(cell.id, 0) > 2 * LONG
        and "steps done." not in json.dumps(cell.outputs)
        and not cell.source.startswith(("import", "from"))
    ]


def complaints(book: NotebookNode) -> list[str]:
    """What must not stand in a published notebook: warnings, paths, missed bands."""
    found = []
    for cell in book.cells:
        for output in cell.get("outputs", []):
            text = json.dumps(output.get("data", output.get("text", "")))
            about = output.get("metadata", {}).get("image/png", {}).get("alt", "")
            if "image/png" in output.get("data", {}) and len(about) < 10:
                found.append(f"a figure without words, after: {cell.source[:200]}")
            if output.output_type == "stream" and output.name == "stderr":
                found.append(f"something on stderr: {output.text.strip()[:200]}")
            if str(ROOT) in text or re.search(r"/(home|Users|root|tmp)/\w", text):
                found.append(f"a path of this machine: {text[:200]}")
            if "outside the band" in text:
                found.append(f"a number outside its band: {text[:300]}")
    return found


def readme_table(table: dict) -> str:
    """The README's table of lessons, with the measured minutes."""
    rows = [
        "| Lesson | The question | Read | Run | Exercises | Open |",
        "|---|---|---|---|---|---|",
    ]
    for lesson in table["lesson"]:
        stem = lesson["stem"]
        address = links(table, f"notebooks/{stem}.ipynb")
        text = (LESSONS / f"{stem}.py").read_text(encoding="utf-8")
        count = len(re.findall(r"^# #+ Exercise", text, re.MULTILINE))
        seconds = table["timings"].get(stem, {}).get("total", 0)
        run = f"{max(1, round(seconds / 60))} min" if seconds > 50 else f"{seconds} s"
        badges = (
            f"[![Open in Colab]({COLAB_BADGE})]({address['colab']}) "
            f"[![Open in Binder]({BINDER_BADGE})]({address['binder']})"
        )
        rows.append(
            f"| [{stem[:2]}](notebooks/{stem}.ipynb) | {lesson['question']} | "
            f"{lesson['read']} min | {run} | {count} ({lesson['exercise_minutes']} min) | "
            f"{badges} |"
        )
    return "\n".join(rows)


def save_figures(book: NotebookNode) -> None:
    """Write the figures of cells tagged "figure:NAME" to figures/NAME.png."""
    for cell in book.cells:
        for tag in cell.metadata.get("tags", []):
            if tag.startswith("figure:"):
                pictures = [o.data["image/png"] for o in cell.outputs if "data" in o]
                path = ROOT / "figures" / f"{tag.removeprefix('figure:')}.png"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(base64.b64decode(pictures[0]))


def update_readme(table: dict) -> None:
    """Put the table of lessons between its two marks in the README."""
    path = ROOT / "README.md"
    old = path.read_text(encoding="utf-8")
    new = re.sub(
        r"(<!-- lessons -->\n).*?(<!-- /lessons -->)",
        lambda match: f"{match[1]}{readme_table(table)}\n{match[2]}",
        old,
        flags=re.DOTALL,
    )
    if new != old:
        path.write_text(new, encoding="utf-8")


def build(
    lesson: dict,
    table: dict,
    *,
    solved: bool,
    force: bool,
    run: bool,
    busy: bool = False,
) -> None:
    """Write one notebook if it is not current, and remember how long it ran.

    With busy=True the times mean nothing: they are neither kept nor judged.
    """
    book, path = make_notebook(lesson, table, solved=solved), target(lesson, solved)
    name, stem = path.relative_to(ROOT), lesson["stem"]
    found = state(book, path, stem)
    if found == "edited":
        raise SystemExit(
            f"{name} was edited by hand and is left as it is. If the edit is yours as an "
            f"author, make it in lessons/{stem}.py; to build again, move the "
            "notebook away first."
        )
    if found == "current" and not force:
        print(f"{name}: up to date")
        return
    print(f"{name}: {found}, building", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    seconds, silent = 0.0, []
    if not force and (built := with_the_same_code(book, path, stem)):
        move_outputs(built, book)
    elif run:
        done = make_notebook(lesson, table, solved=solved)
        seconds = execute(done, path.parent)
        if not solved and not busy:
            remember_times(table, stem, seconds, cell_seconds(done))
            book = make_notebook(lesson, table, solved=solved)  # with its times
        silent = [] if busy else cells_without_a_bar(done)
        move_outputs(done, book)
    untouched = copy.deepcopy(inputs(book))
    clean(book)
    book.metadata["vae_course"] = {
        "generated_from": f"lessons/{stem}.py",
        "helpers": helpers_digest(stem),
        "inputs": digest(untouched),
    }
    nbformat.validate(book)
    wrong = complaints(book) + silent
    part = path.with_suffix(".part")
    nbformat.write(book, part)
    if wrong:
        raise SystemExit(
            f"{name} is not published (see {part.name}):\n" + "\n".join(wrong)
        )
    os.replace(part, path)
    if run and not solved:
        save_figures(book)
    size = path.stat().st_size
    if size > SIZE_LIMIT:
        raise SystemExit(f"{name} has {size // 1024} KB, over {SIZE_LIMIT // 1024} KB")
    print(f"{name}: {seconds:.0f} s, {size // 1024} KB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("numbers", nargs="*", help="lessons such as 04; all if none")
    parser.add_argument("--force", action="store_true", help="also what is up to date")
    parser.add_argument("--no-run", action="store_true", help="write without outputs")
    parser.add_argument(
        "--busy", action="store_true", help="the machine is busy: do not keep times"
    )
    options = parser.parse_args()
    table = course()
    for lesson in chosen(table, options.numbers):
        for solved in (False, True):
            build(
                lesson,
                table,
                solved=solved,
                force=options.force,
                run=not options.no_run,
                busy=options.busy,
            )
    update_readme(table)


if __name__ == "__main__":
    sys.exit(main())
