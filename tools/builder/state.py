"""Is a built notebook still what its lesson and the helpers would give?

What makes one old is code. Comments and docstrings change no result, so they are left
out of the digests; the checks of exercises have a digest of their own, because their
verdicts are made anew in seconds, without the trainings of the lesson.
"""

import ast
import hashlib
import io
import json
import tokenize
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from builder.notebook import LESSONS, ROOT, code_cells, inputs, is_drawing

CHECKS = ROOT / "vae_helpers" / "checks"
RECORDS = ROOT / "vae_helpers" / "records"
# Helpers that change how a result is shown, never what it is.
PANELS = ["claims", "expected", "records"]
PACKING = ["pictures"]  # how a figure leaves a notebook
SHOWING = {*PANELS, "plots", "widgets", "progress", "runtime", "sources", "download"}
SHOWING |= {"predict", "drawings", "pictures", "films", "pads"}
DRAWING = set(
    "plot scatter legend imshow axhline axvline axline text annotate fill_between bar barh "
    "hist errorbar grid step contour contourf quiver set axis tick_params margins loglog "
    "semilogx semilogy boxplot vlines hlines add_patch pcolormesh".split()
)


def digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def code_of(source: str) -> str:
    """Python source without comments, docstrings and blank lines."""
    lines = source.splitlines()
    try:
        tree = ast.parse(source)
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, tokenize.TokenError):
        return source  # a cell with a magic command
    for token in tokens:
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(tree):
        kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            text = node.body[0]
            for row in range(text.lineno, text.end_lineno + 1):
                lines[row - 1] = ""
    return "\n".join(line.rstrip() for line in lines if line.strip())


def helpers_of(source: str) -> set[Path]:
    """The files of vae_helpers that some code imports, directly or through another."""
    found: set[Path] = set()
    _collect(source, found)
    return found


def _collect(source: str, found: set[Path]) -> None:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            path = (ROOT / name.replace(".", "/")).with_suffix(".py")
            if name.startswith("vae_helpers.") and path.exists() and path not in found:
                found.add(path)
                _collect(path.read_text(encoding="utf-8"), found)


def _digest_of(paths: list[Path]) -> str:
    return digest([code_of(path.read_text(encoding="utf-8")) for path in paths])


def helpers_digest(stem: str) -> str:
    """Changes when the helpers behind a lesson's outputs change."""
    source = (LESSONS / f"{stem}.py").read_text(encoding="utf-8")
    used = [p for p in helpers_of(source) if CHECKS not in p.parents]
    return _digest_of(sorted(p for p in used if p.stem not in PANELS + PACKING))


def panels_digest(stem: str) -> str:
    """Changes when the record behind a lesson's panels changes, or how they look."""
    source = (LESSONS / f"{stem}.py").read_text(encoding="utf-8")
    # A review shows claims of other lessons.
    which = "*.json" if "claims.review(" in source else f"{stem[:2]}.json"
    shown = [p.read_text(encoding="utf-8") for p in sorted(RECORDS.glob(which))]
    code = _digest_of([ROOT / "vae_helpers" / f"{name}.py" for name in PANELS])
    return digest([*shown, code])


def record_digest(stem: str) -> str:
    """Changes when what a lesson computes changes, but not what it prints or draws.

    A record of claims belongs to one such state of the code. The sentences themselves are
    left out: one that is reworded is reworded in the record too. Exercises and cells tagged
    "film" or "live" are left out, because no other cell uses what they define
    (tests/test_lesson_rules.py).
    """
    path = LESSONS / f"{stem}.py"
    cells = [
        cell.source
        for cell in jupytext.read(path).cells
        if cell.cell_type == "code"
        and not {"exercise", "film", "live"} & set(cell.metadata.get("tags", []))
    ]
    used = helpers_of(path.read_text(encoding="utf-8"))
    paths = sorted(p for p in used if CHECKS not in p.parents and p.stem not in SHOWING)
    texts = [text for text in map(computing, cells) if text]
    return digest([*texts, _digest_of(paths)])


def computing(cell: str) -> str:
    """The code of a cell without what only prints, draws, checks or words a claim."""
    cell = code_of(cell)
    try:
        tree = ast.parse(cell)
    except SyntaxError:
        return cell  # a cell with a magic command
    lines = [line.encode() for line in cell.splitlines()]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            _blank(lines, node)  # the code of what is imported counts by itself
        elif isinstance(node, ast.Expr | ast.Assign) and _only_shows(node.value):
            _blank(lines, node)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "claims.show":
            for words in (
                k for a in node.args if isinstance(a, ast.Dict) for k in a.keys
            ):
                _blank(lines, words)
    return " ".join(b"\n".join(lines).decode().split())


def _blank(lines: list[bytes], node: ast.AST) -> None:
    """Overwrite a node's place in the source with blanks."""
    for row in range(node.lineno - 1, node.end_lineno):
        start = node.col_offset if row == node.lineno - 1 else 0
        end = node.end_col_offset if row == node.end_lineno - 1 else len(lines[row])
        lines[row] = lines[row][:start] + b" " * (end - start) + lines[row][end:]


def _only_shows(value: ast.AST) -> bool:
    if not isinstance(value, ast.Call):
        return False
    names, function = [], value.func
    while isinstance(function, ast.Attribute | ast.Call | ast.Subscript):
        if isinstance(function, ast.Attribute):
            names.append(function.attr)
            function = function.value
        else:
            function = (
                function.func if isinstance(function, ast.Call) else function.value
            )
    root = function.id if isinstance(function, ast.Name) else ""
    if root == "claims" and names == ["review"]:
        return True
    drawn = names and (names[0].startswith("set_") or names[0] in DRAWING)
    shows = {
        "print",
        "plots",
        "plt",
        "check",
        "display",
        "predict",
        "drawings",
        "films",
    }
    return root in shows or bool(drawn)


def checks_digest(stem: str) -> str:
    """Changes when the checks of a lesson's exercises change, or its drawings."""
    source = (LESSONS / f"{stem}.py").read_text(encoding="utf-8")
    paths = sorted(p for p in helpers_of(source) if CHECKS in p.parents)
    if "drawings.show(" in source:
        paths += sorted((ROOT / "vae_helpers" / "drawings").glob("*.py"))
    return _digest_of(paths)


def mark(book: NotebookNode, stem: str) -> dict:
    """What a built notebook remembers of what it was built from."""
    return {
        "generated_from": f"lessons/{stem}.py",
        "helpers": helpers_digest(stem),
        "checks": checks_digest(stem),
        "panels": panels_digest(stem),
        "inputs": digest(inputs(book)),
    }


def state(book: NotebookNode, path: Path, stem: str) -> str:
    """ "current", "old" or "missing" for a built notebook, or "edited" by a person."""
    if not path.exists():
        return "missing"
    built = nbformat.read(path, as_version=4)
    found = built.metadata.get("vae_course", {})
    if found.get("inputs") != digest(inputs(built)):
        return "edited"
    alike = built.metadata.get("colab") == book.metadata.get("colab")
    return "current" if alike and found == mark(book, stem) else "old"


def with_the_same_code(
    book: NotebookNode, path: Path, stem: str
) -> NotebookNode | None:
    """The built notebook, if it holds the outputs of the very same code.

    The set-up cell does not count: it finds the helpers, and no result depends on how. Nor
    do drawings, which need nothing of the lesson.
    """
    if not path.exists():
        return None
    built = nbformat.read(path, as_version=4)
    found = built.metadata.get("vae_course", {})
    codes = [
        [
            code_of(c.source)
            for c in code_cells(b)
            if "setup" not in c.metadata.get("tags", []) and not is_drawing(c)
        ]
        for b in (built, book)
    ]
    has_run = all(cell.execution_count for cell in code_cells(built))
    same = codes[0] == codes[1] and found.get("helpers") == helpers_digest(stem)
    return built if has_run and same else None
