"""Lessons as data: their cells, and namespaces made by running some of them."""

from functools import cache

import builder

TABLE = builder.course()
LESSONS = {lesson["stem"]: lesson for lesson in TABLE["lesson"]}
STEMS = list(LESSONS)


@cache
def notebook(stem: str, solved: bool):
    return builder.make_notebook(LESSONS[stem], TABLE, solved=solved)


def code_cells(stem: str, tag: str | None = None, *, solved: bool = True) -> list[str]:
    cells = [c for c in notebook(stem, solved).cells if c.cell_type == "code"]
    return [c.source for c in cells if tag is None or tag in c.metadata.get("tags", [])]


def imports(stem: str) -> dict:
    """A namespace with what the lesson's import cell brings in."""
    cells = code_cells(stem)
    source = next(c for c in cells if "import torch" in c and "plots.style" in c)
    namespace: dict = {}
    exec(compile(source, f"{stem} imports", "exec"), namespace)
    return namespace


def definitions(stem: str) -> dict:
    """The lesson's own definitions (cells tagged "definition"), ready to call."""
    namespace = imports(stem)
    for source in code_cells(stem, "definition"):
        exec(compile(source, f"{stem} definition", "exec"), namespace)
    return namespace


def exercises(stem: str, *, solved: bool) -> list:
    """The verdicts of the lesson's own check cells on its stubs or solutions."""
    namespace, verdicts = imports(stem), []
    for source in code_cells(stem, "definition") if solved else []:
        exec(compile(source, f"{stem} definition", "exec"), namespace)
    for source in code_cells(stem, solved=solved):
        if source.startswith("check."):
            verdicts.append(eval(compile(source, f"{stem} check", "eval"), namespace))
        elif source in code_cells(stem, "exercise", solved=solved):
            exec(compile(source, f"{stem} exercise", "exec"), namespace)
    return verdicts
