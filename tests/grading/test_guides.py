"""The instructors' pages say what is true."""

import importlib
import re

import pytest
from lesson_source import STEMS

from grading.lesson import INSTRUCTOR, ROOT, find_lesson, read_exercises
from vae_helpers.checks import core


def _declared(stem: str, number: str) -> list[str]:
    """The sentences in the tables of an exercise's check."""
    module = importlib.import_module(f"vae_helpers.checks.lesson{stem[:2]}")
    checks = [c for c in vars(module).values() if isinstance(c, core.Check)]
    said = []
    for part in (p for c in checks if c.exercise.startswith(number) for p in c.parts):
        if isinstance(part, core.Part):
            said += part.wrong
        else:
            said += [s.says for s in part.table if isinstance(s.says, str)]
    return said


def _written(stem: str) -> str:
    """All strings in the code of a lesson's checks, for words that no table holds."""
    folder = ROOT / "vae_helpers" / "checks"
    names = [f"lesson{stem[:2]}", "usual", "words", "evaluate", "guard"]
    text = "\n".join((folder / f"{n}.py").read_text(encoding="utf-8") for n in names)
    # Adjacent strings are one: take quotes and line ends between them out.
    return re.sub(r'"\s*\n\s*f?"', "", text)


def _guide(stem: str) -> str:
    path = INSTRUCTOR / f"lesson_{stem[:2]}.md"
    assert path.exists(), (
        f"Lesson {stem[:2]} has no guide for instructors: write {path.relative_to(ROOT)}; "
        "lesson_04.md shows what belongs into one."
    )
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("stem", STEMS)
def test_every_lesson_has_a_guide_whose_quotes_are_true(stem):
    text = _guide(stem)
    rows = re.findall(r'^\| ([A-Z\d]\d\.\d) \| "(.+?)" \|', text, re.MULTILINE)
    assert rows, f"The guide of lesson {stem[:2]} quotes no diagnosis of a check."
    for number, words in rows:
        assert number.startswith(stem[:2])
        declared = any(words in sentence for sentence in _declared(stem, number))
        assert declared or words in _written(stem), f"no check says {words!r}"
    numbers = {e.number for e in read_exercises(find_lesson(stem))}
    assert set(re.findall(r"\b[A-Z\d]\d\.\d\b", text)) <= numbers | {"0.1"}


def test_a_guide_that_is_missing_is_asked_for_in_a_sentence():
    with pytest.raises(AssertionError, match="Lesson 99 has no guide for instructors"):
        _guide("99_nothing")


def test_links_of_the_guides_are_alive():
    for path in INSTRUCTOR.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert (path.parent / link).exists(), f"{path.name}: {link}"
