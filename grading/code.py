"""Reading students' code without running it; nothing here ever stops on odd code."""

import ast
import re

from nbformat import NotebookNode

# What Python's parser and `ast` raise for odd text: half characters, NUL, deep nesting.
ODD = (SyntaxError, ValueError, RecursionError, MemoryError)
GUARDED = {"check", "graded", "sealed", "core"}  # names that checks are called by
HARMLESS = ("%matplotlib", "%time", "%%time", "!pip", "%pip", "%%capture", "%config")
SUSPICIOUS = re.compile(
    r"\bget_ipython\b|\bsys\.modules\b|\bimportlib\b|\b__?builtins?(__)?\b|\bbuiltins\b"
    r"|\bctypes\b|\b_getframe\b|\bcourse_hidden_tests\b|\bgradebook\b|\bnbgrader\b"
    r"|\bsubprocess\b|\bos\.(system|popen)\b|\bsocket\b|solutions[/\\.]"
)
CHECKS = re.compile(r"(vae_helpers\.checks|grading)\b")
CALL = re.compile(r"^(?:graded|sealed)\.(sealed_)?points\(.*?,\s*(.*?),\s*out_of", re.M)


def plain(source: str) -> str:
    """The code with lines of magic made empty, so that line numbers stay."""
    lines = source.split("\n")
    return "\n".join("" if x.lstrip().startswith(("%", "!")) else x for x in lines)


def parse(source: str) -> ast.Module | None:
    """The tree of some code, None if it is no Python."""
    try:
        return ast.parse(plain(source))
    except ODD:
        return None


def text_of(node: ast.AST) -> str:
    """A piece of a tree as code; "" if it is nested too deeply to be written."""
    try:
        return ast.unparse(node)
    except ODD:
        return ""


def shape(node: ast.AST) -> str:
    """A tree as text, equal for code that differs in comments and layout alone."""
    try:
        return ast.dump(node)
    except ODD:  # too deep to compare: it is like nothing else
        return f"deep {id(node)}"


def code_shape(source: str) -> str:
    """The code without comments and layout; the text itself if it is no Python."""
    try:
        return ast.dump(ast.parse(source))
    except ODD:
        return " ".join(source.split())


def functions(source: str) -> set[str]:
    """The functions and classes that a cell defines, even when it does not parse."""
    return set(re.findall(r"^(?:def|class)\s+(\w+)\b", source, re.MULTILINE))


def bound(source: str) -> set[str]:
    """The same, and names that get a value: `kl = lambda mu, logvar: ...`."""
    return functions(source) | set(re.findall(r"^(\w+)\s*=[^=]", source, re.MULTILINE))


def does_something(source: str) -> bool:
    """Whether a cell of a student's own is more than a line or two to try things out."""
    tree = parse(source)
    if tree is None:
        return bool(source.strip())
    kinds = ast.FunctionDef | ast.Lambda | ast.ClassDef
    return len(tree.body) > 2 or any(isinstance(n, kinds) for n in ast.walk(tree))


def calls_a_check(source: str) -> bool:
    """Whether a cell asks for points, as graded cells do."""
    return bool(CALL.search(source))


def without(source: str, known: set[str], others: set[str]) -> str:
    """What is left of a cell without released statements and others' functions.

    Args:
        source: that parses.
        known: shapes of the statements of the release.
        others: names of functions that belong elsewhere.
    """
    tree, lines = parse(source), plain(source).split("\n")
    kept = []
    for node in tree.body if tree else ():
        first = min([node.lineno, *(d.lineno for d in _decorators(node))])
        text = "\n".join(lines[first - 1 : node.end_lineno])
        theirs = getattr(node, "name", "") in others
        if shape(node) not in known and not theirs and not calls_a_check(text):
            kept.append(text)
    return "\n\n".join(kept)


def _decorators(node: ast.AST) -> list:
    return getattr(node, "decorator_list", [])


def suspicious(source: str, allowed: set[str]) -> list[str]:
    """Why to look at a cell: it reaches for checks, solutions or the system."""
    magic = [line.strip() for line in source.splitlines()]
    magic = [line for line in magic if line.startswith(("%", "!"))]
    found = [f"runs {line[:40]!r}" for line in magic if not line.startswith(HARMLESS)]
    tree = parse(source)
    # Without comments, if the tree can be written.
    text = text_of(tree) if tree else ""
    text = text if text or (tree and not tree.body) else plain(source)
    found += [f"mentions {match[0]}" for match in SUSPICIOUS.finditer(text)]
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = [module, *(f"{module}.{a.name}".strip(".") for a in node.names)]
            if any(CHECKS.match(n) for n in names):
                if text_of(node) not in allowed:
                    found.append(f"imports the checks: {text_of(node)!r}")
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            if node.name in GUARDED:
                found.append(f"redefines {node.name}")
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            if node.id in GUARDED:
                found.append(f"redefines {node.id}")
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & GUARDED:
                found.append(f"changes {text_of(node)}")
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setattr":
            found.append("calls setattr")
    return list(dict.fromkeys(found))


def helpers_used(source: str, release: dict[str, NotebookNode]) -> list[str]:
    """The course's helpers that an answer calls; some of them are the answer."""
    setup = "\n".join(c.source for n, c in release.items() if n.startswith("setup"))
    names = set()
    for node in ast.walk(parse(setup) or ast.Module()):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] == "vae_helpers":
                names |= {alias.asname or alias.name for alias in node.names}
    found = []
    for node in ast.walk(parse(source) or ast.Module()):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in names - GUARDED - {"runtime", "plots", "widgets"}:
                found.append(text_of(node))
        elif isinstance(node, ast.ImportFrom | ast.Import):
            if "vae_helpers" in text_of(node):
                found.append(text_of(node))
    return list(dict.fromkeys(found))
