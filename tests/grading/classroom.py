"""Making an assignment in tests, without nbgrader."""

import copy
import re
from types import SimpleNamespace

from grading import assignment as making
from grading.lesson import INSTRUCTOR, builder, find_lesson

OPTIONS = {"variant": None, "extension": False, "whole": False, "hints": True}


def with_options(**changes) -> SimpleNamespace:
    """Options of the command, as its parser would give them."""
    return SimpleNamespace(**{**OPTIONS, **changes})


def make(number: str, overlay: dict | None = None, **changes) -> tuple:
    """Source and facts of an assignment, and what students get."""
    lesson = find_lesson(number)
    options = with_options(**changes)
    book, facts = making.make_source(lesson, lesson["stem"], overlay or {}, options)
    return book, facts, release_of(book)


def example() -> tuple:
    """Lesson 03 with the example overlay."""
    return make("03", making.load_overlay(INSTRUCTOR / "overlay_example.py"))


def release_of(book):
    """The students' version, as nbgrader would make it."""
    released = copy.deepcopy(book)
    for cell in released.cells:
        if cell.cell_type == "code":
            cell.source = builder.to_stub(cell.source)
            cell.source = re.sub(
                r"### BEGIN HIDDEN.*### END HIDDEN TESTS", "", cell.source, flags=re.S
            )
    return released
