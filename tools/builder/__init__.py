"""From lessons to notebooks; see `builder.__main__` for the command.

reading: minutes of a lesson's source · notebook: a lesson's source -> the inputs of its
notebooks · state: is a built one old? ·
run: execute them · publish: what may go out, figures, the README's table
"""

from builder.notebook import (
    KERNEL,
    LESSONS,
    NO_AI,
    NOTEBOOKS,
    ROOT,
    chosen,
    code_cells,
    course,
    inputs,
    links,
    make_notebook,
    setup_cell,
    target,
    to_solved,
    to_stub,
)
from builder.run import execute

__all__ = [
    "KERNEL",
    "LESSONS",
    "NOTEBOOKS",
    "NO_AI",
    "ROOT",
    "chosen",
    "code_cells",
    "course",
    "execute",
    "inputs",
    "links",
    "make_notebook",
    "setup_cell",
    "target",
    "to_solved",
    "to_stub",
]
