"""The instructors' pages say what is true."""

import re

import pytest
from lesson_source import STEMS

from grading.lesson import INSTRUCTOR, ROOT, find_lesson, read_exercises


@pytest.mark.parametrize("stem", STEMS)
def test_every_lesson_has_a_guide_whose_quotes_are_true(stem):
    text = (INSTRUCTOR / f"lesson_{stem[:2]}.md").read_text(encoding="utf-8")
    source = ROOT / "vae_helpers" / "checks" / f"lesson{stem[:2]}.py"
    # Adjacent strings are one: take quotes and line ends between them out.
    said = re.sub(r'"\s*\n\s*f?"', "", source.read_text(encoding="utf-8"))
    rows = re.findall(r'^\| (\d\d\.\d) \| "(.+?)" \|', text, re.MULTILINE)
    assert rows
    for number, words in rows:
        assert number.startswith(stem[:2])
        assert words in said, f"no check says {words!r}"
    numbers = {e.number for e in read_exercises(find_lesson(stem))}
    assert set(re.findall(r"\b\d\d\.\d\b", text)) <= numbers | {"0.1"}


def test_links_of_the_guides_are_alive():
    for path in INSTRUCTOR.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert (path.parent / link).exists(), f"{path.name}: {link}"
