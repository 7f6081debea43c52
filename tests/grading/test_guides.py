"""The instructors' pages say what is true."""

import importlib
import re

import pytest
from builder import guides, publish
from lesson_source import LESSONS, STEMS

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
    # A guide may speak of exercises of other lessons.
    numbers = {e.number for s in STEMS for e in read_exercises(find_lesson(s))}
    named = re.findall(r"(?<![\d.])(?:0\d|A\d)\.\d(?!\d)", text)
    assert set(named) <= numbers


def test_a_guide_that_is_missing_is_asked_for_in_a_sentence():
    with pytest.raises(AssertionError, match="Lesson 99 has no guide for instructors"):
        _guide("99_nothing")


def test_links_of_the_guides_are_alive():
    for path in INSTRUCTOR.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert (path.parent / link).exists(), f"{path.name}: {link}"


@pytest.mark.parametrize("stem", STEMS)
def test_a_plan_names_headings_controls_and_numbers_that_are_there(stem):
    assert guides.problems(guides.read(stem)) == []


@pytest.mark.parametrize("stem", STEMS)
def test_a_guide_has_the_plans_of_today_and_what_a_teacher_needs(stem):
    text = _guide(stem)
    assert publish.in_guide(text, LESSONS[stem]) == text, "run `make guides`"
    for part in ("**Test first**", "**The first two minutes.**", "## Exit ticket"):
        assert part in text, f"the guide of lesson {stem[:2]} has no {part}"


@pytest.mark.parametrize("stem", STEMS)
def test_every_row_of_a_plan_says_what_to_do_and_to_ask(stem):
    for step in guides.read(stem).steps:
        if step.title != "Pause":
            assert step.show and step.ask, step
            assert step.answer or step.title == "Exit ticket", step


TRUE = {
    "at": "Smallest case: guess the posterior, get a bound",
    "minutes": (5,),
    "show": "Figure 3.3",
    "move": {"Mean of the guess, mu": 1.2},
    "expect": "{seen sigma +(ELBO)}; {held Amortisation loses more}",
}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({}, None),
        ({"at": "Smallest case: guess"}, "no heading"),
        ({"move": {"Mean of the guess": 1.2}}, "no control"),
        ({"move": {"Mean of the guess, mu": 12}}, "cannot be 12"),
        ({"show": "Figure 3.99"}, "no Figure 3.99"),
        ({"expect": "a gap of 0.07"}, "a typed number, 0.07"),
        ({"expect": "{seen the gap is (XYZ)}"}, "nothing found"),
        ({"expect": "{seen a{2}(b)}"}, "not understood"),
        ({"expect": "{band a number of nobody}"}, "nothing found"),
        ({"expect": "{held A claim of nobody}"}, "nothing found"),
    ],
)
def test_a_plan_that_is_no_longer_true_is_found(change, complaint):
    step = guides.Step(**{**TRUE, **change})
    found = guides.problems(guides.Plan("03_elbo", (5,), "", (step,)))
    assert bool(found) == bool(complaint)
    assert complaint is None or complaint in found[0]


def test_a_number_in_a_plan_is_that_of_the_record():
    step = guides.Step(at="", title="x")
    words = guides.look_up(
        "04_vae_in_pytorch", step, "{band seed recipe: test -ELBO, nats per image}"
    )
    assert re.fullmatch(r"\d+ to \d+ \(sample \d+ to \d+\)", words)
