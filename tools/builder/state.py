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

import nbformat
from nbformat import NotebookNode

from builder.notebook import LESSONS, ROOT, code_cells, inputs

CHECKS = ROOT / "vae_helpers" / "checks"


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
    """Changes when the helpers or the bands behind a lesson's outputs change."""
    source = (LESSONS / f"{stem}.py").read_text(encoding="utf-8")
    paths = sorted(p for p in helpers_of(source) if CHECKS not in p.parents)
    bands = json.loads((ROOT / "vae_helpers/expected.json").read_text(encoding="utf-8"))
    return digest([_digest_of(paths), bands.get(stem[:2])])


def checks_digest(stem: str) -> str:
    """Changes when the checks of a lesson's exercises change."""
    source = (LESSONS / f"{stem}.py").read_text(encoding="utf-8")
    return _digest_of(sorted(p for p in helpers_of(source) if CHECKS in p.parents))


def mark(book: NotebookNode, stem: str) -> dict:
    """What a built notebook remembers of what it was built from."""
    return {
        "generated_from": f"lessons/{stem}.py",
        "helpers": helpers_digest(stem),
        "checks": checks_digest(stem),
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
    return "current" if found == mark(book, stem) else "old"


def with_the_same_code(
    book: NotebookNode, path: Path, stem: str
) -> NotebookNode | None:
    """The built notebook, if it holds the outputs of the very same code.

    The set-up cell does not count: it finds the helpers, and no result depends on how.
    """
    if not path.exists():
        return None
    built = nbformat.read(path, as_version=4)
    found = built.metadata.get("vae_course", {})
    codes = [
        [
            code_of(c.source)
            for c in code_cells(b)
            if "setup" not in c.metadata.get("tags", [])
        ]
        for b in (built, book)
    ]
    has_run = all(cell.execution_count for cell in code_cells(built))
    same = codes[0] == codes[1] and found.get("helpers") == helpers_digest(stem)
    return built if has_run and same else None
