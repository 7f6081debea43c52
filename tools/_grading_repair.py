"""Fit a submission into the released assignment; the submission itself is only read.

Cells are recognised by nbgrader's name for them, then by their text, then by the
functions that they define, so that lost metadata, copies and deletions do no harm.
Everything that was locked comes from the release.
"""

import ast
import copy
import re
from typing import NamedTuple

from nbformat import NotebookNode

HARMLESS = ("%matplotlib", "%time", "%%time", "!pip", "%pip", "%%capture", "%config")
SUSPICIOUS = re.compile(
    r"\bget_ipython\b|\bsys\.modules\b|\bimportlib\b|\b__?builtins?(__)?\b|\bbuiltins\b"
    r"|\bctypes\b|\b_getframe\b|\bcourse_hidden_tests\b|\bgradebook\b|\bnbgrader\b"
    r"|\bsubprocess\b|\bos\.(system|popen)\b|\bsocket\b|solutions[/\\.]"
)
GUARDED = {"check", "graded", "core"}  # names that checks are called by


class Repaired(NamedTuple):
    """A submission in the shape of the release.

    Attributes:
        book: what is graded.
        notes: exercise number, or "" for the whole -> remarks.
        flags: the same -> reasons to have a person look at it.
        attempted: numbers of the exercises whose stub was changed.
    """

    book: NotebookNode
    notes: dict[str, list[str]]
    flags: dict[str, list[str]]
    attempted: set[str]


def name_of(cell: NotebookNode) -> str:
    """nbgrader's name of a cell, or ""."""
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def number_of(name: str) -> str:
    """ "check-03-1" and "hidden-03-1-0" -> "03.1"; "" for set-up cells."""
    parts = name.split("-")
    return ".".join(parts[1:3]) if len(parts) > 2 else ""


def number_key(number: str) -> str:
    """The number of an exercise as it stands in the name of a cell: "03.1" -> "03-1"."""
    return number.replace(".", "-")


def code_shape(source: str) -> str:
    """The code without comments and layout; the text itself if it is no Python."""
    try:
        return ast.dump(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError):
        return " ".join(source.split())


def defined(source: str) -> set[str]:
    """The functions that a cell defines, even when it does not parse."""
    return set(re.findall(r"^def\s+(\w+)\s*\(", source, re.MULTILINE))


def recognise(cell: NotebookNode, release: dict[str, NotebookNode]) -> tuple[str, str]:
    """(name of the released cell that this is, or "", and how it was recognised)."""
    name, source = name_of(cell), cell.source.strip()
    if name in release and release[name].cell_type == cell.cell_type:
        return name, "name"
    if cell.cell_type == "markdown":
        for name, other in release.items():
            first = other.source.split(":")[0]
            if name.startswith("text") and source.startswith(first):
                return name, "text"
        return "", ""
    for name, other in release.items():
        if source and source == other.source.strip():
            return name, "text"
    for name, other in release.items():
        if name.startswith("answer") and defined(source) & defined(other.source):
            return name, "function"
        call = re.search(
            r"^graded\.(sealed_)?points\(.*?,\s*(.*?),\s*out_of", source, re.M
        )
        if name.startswith("check") and call and f" {call[2]}, out_of" in other.source:
            return name, "call"
        first = other.source.split("\n")[0]
        if name.startswith(("setup-0", "hidden", "check")) and source.startswith(first):
            return name, "first line"
    return "", ""


def suspicious(source: str, allowed: set[str]) -> list[str]:
    """Why to look at a cell: it reaches for checks, solutions or the system."""
    found = []
    magic = [line.strip() for line in source.splitlines()]
    magic = [line for line in magic if line.startswith(("%", "!"))]
    found += [f"runs {line[:40]!r}" for line in magic if not line.startswith(HARMLESS)]
    plain = "\n".join(
        line for line in source.splitlines() if not line.strip().startswith(("%", "!"))
    )
    try:
        tree = ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError):
        tree = None
    text = ast.unparse(tree) if tree else plain  # without comments
    found += [f"mentions {match[0]}" for match in SUSPICIOUS.finditer(text)]
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = [module, *(f"{module}.{a.name}".strip(".") for a in node.names)]
            if any(n.startswith("vae_helpers.checks") for n in names):
                if ast.unparse(node) not in allowed:
                    found.append(f"imports the checks: {ast.unparse(node)!r}")
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            if node.name in GUARDED:
                found.append(f"redefines {node.name}")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            if node.id in GUARDED:
                found.append(f"redefines {node.id}")
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & GUARDED:
                found.append(f"changes {ast.unparse(node)}")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "setattr":
            found.append("calls setattr")
    return list(dict.fromkeys(found))


def helpers_used(source: str, release: dict[str, NotebookNode]) -> list[str]:
    """The course's helpers that an answer calls; some of them are the answer."""
    setup = "\n".join(c.source for n, c in release.items() if n.startswith("setup"))
    names = set()
    try:
        for node in ast.walk(ast.parse(setup)):
            if isinstance(node, ast.ImportFrom) and node.module:
                if node.module.split(".")[0] == "vae_helpers":
                    names |= {alias.asname or alias.name for alias in node.names}
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in names - GUARDED - {"runtime", "plots", "widgets"}:
                found.append(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom | ast.Import):
            if "vae_helpers" in ast.unparse(node):
                found.append(ast.unparse(node))
    return list(dict.fromkeys(found))


def repair(released: NotebookNode, submitted: NotebookNode) -> Repaired:
    """All cells of the release, in its order, with the student's work."""
    release = {name_of(c): c for c in released.cells if name_of(c)}
    notes: dict[str, list[str]] = {}
    flags: dict[str, list[str]] = {}
    places: dict[str, list] = {}  # released name -> [(how, cell)]
    own: dict[str, list] = {}  # name of the released cell before -> cells
    before, stripped = "", 0
    sources = (c.source for n, c in release.items() if n.startswith("setup"))
    allowed = {line.strip() for source in sources for line in source.splitlines()}
    for cell in submitted.cells:
        if cell.cell_type not in ("code", "markdown"):
            continue
        name, how = recognise(cell, release)
        stripped += bool(name) and how != "name"
        if name:
            places.setdefault(name, []).append((how, cell))
            before = name
        else:
            own.setdefault(before, []).append(cell)
    if not places:
        raise ValueError("no cell of this assignment is in the notebook")
    if stripped:
        _say(notes, "", f"{stripped} cells had lost their names, which were put back")

    book = copy.deepcopy(released)
    book.cells, attempted = [], set()
    _add_own(book, own.get("", []), "", flags, allowed)
    for name, original in release.items():
        number, found = number_of(name), places.get(name, [])
        if original.metadata.nbgrader.solution:
            kept = choose_answers(original, found)
            changed = [
                c for c in kept if code_shape(c.source) != code_shape(original.source)
            ]
            if changed:
                attempted.add(number)
            if not found:
                _say(notes, number, f"the cell {name} was deleted")
            if len(found) > 1:
                text = f"{len(found)} cells for {name}; the last one with work counts"
                _say(notes, number, text)
            for cell in changed:
                for reason in suspicious(cell.source, allowed):
                    _say(flags, number, reason)
                for helper in helpers_used(cell.source, release):
                    _say(notes, number, f"uses the course's own {helper}")
            for cell in kept[:-1]:
                book.cells.append(_plain(cell))
            last = _plain(kept[-1]) if kept else copy.deepcopy(original)
            last.metadata = copy.deepcopy(original.metadata)
            book.cells.append(last)
        else:
            book.cells.append(copy.deepcopy(original))
            _compare_locked(name, original, found, notes, flags)
        _add_own(book, own.get(name, []), number, flags, allowed)
    for at, cell in enumerate(book.cells):
        cell.id = f"cell-{at}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return Repaired(book, notes, flags, attempted)


def choose_answers(original: NotebookNode, found: list) -> list[NotebookNode]:
    """The cells that hold an answer, in order; the last one is the answer's own cell.

    Cells with nbgrader's name come first; only when none of them has work in it, cells
    count that define the same function.
    """
    stub = code_shape(original.source)

    def work(cells: list) -> list:
        return [c for c in cells if code_shape(c.source) != stub and c.source.strip()]

    named = work([cell for how, cell in found if how in ("name", "text")])
    others = work([cell for how, cell in found if how not in ("name", "text")])
    return named or others or [cell for _, cell in found][:1]


def _compare_locked(name, original, found, notes, flags) -> None:
    """Say what happened to a cell that is put back."""
    number, kind = number_of(name), name.split("-")[0]
    words = {"check": "check cell", "hidden": "hidden test", "setup": "set-up cell"}
    what = words.get(kind, name)
    if not found:
        _say(notes, number, f"the {what} was deleted and put back")
    if len(found) > 1:
        _say(notes, number, f"the {what} was there {len(found)} times")
    wanted = code_shape(original.source)
    if any(code_shape(cell.source) != wanted for _, cell in found):
        _say(notes, number, f"the {what} was changed and put back")
        if kind == "check":
            _say(flags, number, "the check cell was edited")


def _add_own(book, cells, number, flags, allowed) -> None:
    for cell in cells:
        if cell.cell_type == "code":
            for reason in suspicious(cell.source, allowed):
                _say(flags, number, f"a cell of the student's own {reason}")
        book.cells.append(_plain(cell))


def _plain(cell: NotebookNode) -> NotebookNode:
    """A copy without metadata."""
    new = copy.deepcopy(cell)
    new.metadata = NotebookNode({})
    new.pop("attachments", None)
    return new


def _say(table: dict[str, list[str]], number: str, text: str) -> None:
    if text not in table.setdefault(number, []):
        table[number].append(text)
