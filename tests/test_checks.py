"""Checks are proven: stubs, solutions, every named mistake, and other answers."""

import importlib
from pathlib import Path

import pytest
from lesson_source import STEMS, exercises

from vae_helpers.checks import guard
from vae_helpers.checks.core import NOT_ATTEMPTED, RIGHT, WRONG, Check, Part, Wrong

TESTS = Path(__file__).parent
ANSWERS = {
    path.stem: importlib.import_module(f"answers.{path.stem}").EXERCISES
    for path in sorted((TESTS / "answers").glob("lesson*.py"))
}
CASES = [(lesson, number) for lesson, found in ANSWERS.items() for number in found]


def _checks():
    for lesson in ANSWERS:
        module = importlib.import_module(f"vae_helpers.checks.{lesson}")
        for name, value in vars(module).items():
            if isinstance(value, Check):
                yield lesson, name, value


CHECKS = list(_checks())
PARTS = [
    pytest.param(check, part, id=f"{lesson}-{name}-{number}")
    for lesson, name, check in CHECKS
    for number, part in enumerate(check.parts)
]


@pytest.mark.parametrize("stem", STEMS)
def test_stubs_are_not_attempted_and_solutions_are_right(stem):
    stubs, solved = exercises(stem, solved=False), exercises(stem, solved=True)
    assert stubs, "a lesson has an exercise with a check"
    assert [v.status for v in stubs] == [NOT_ATTEMPTED] * len(stubs), stubs
    assert [v.status for v in solved] == [RIGHT] * len(solved), solved


@pytest.mark.parametrize("stem", STEMS)
def test_every_check_of_a_lesson_has_answers_on_file(stem):
    names = {v.exercise.split()[0] for v in exercises(stem, solved=True)}
    assert names == set(ANSWERS[f"lesson{stem[:2]}"])


def _run(check, part, answer):
    """The words of a part for an answer; "" when it is right."""
    try:
        with guard.clean_state(check.dtype), guard.few_lines(), guard.time_limit():
            part.run(answer)
    except Wrong as diagnosis:
        return str(diagnosis)
    return ""


@pytest.mark.parametrize(("check", "part"), PARTS)
def test_the_right_function_is_right_and_every_mistake_says_its_own_words(check, part):
    assert _run(check, part, part.right) == ""
    if isinstance(part, Part):
        said = {
            sentence: _run(check, part, wrong) for sentence, wrong in part.wrong.items()
        }
        assert said == {sentence: sentence for sentence in part.wrong}
    else:
        for symptom in part.table:
            words = _run(check, part, symptom.example)
            assert words, "the example passes"
            assert words == symptom.says or not isinstance(symptom.says, str)


@pytest.mark.parametrize(("lesson", "number"), CASES)
def test_right_answers_pass_however_they_are_written(lesson, number):
    entry = ANSWERS[lesson][number]
    assert len(entry["right"]) >= 2
    for answer in entry["right"]:
        verdict = entry["check"](*answer)
        assert verdict.status == RIGHT, (answer, verdict)


@pytest.mark.parametrize(("lesson", "number"), CASES)
def test_mistakes_written_otherwise_get_their_diagnosis(lesson, number):
    entry = ANSWERS[lesson][number]
    for answer, fragment in entry["wrong"]:
        verdict = entry["check"](*answer)
        assert verdict.status == WRONG, (fragment, verdict)
        assert fragment in verdict.message, verdict


@pytest.mark.parametrize(("lesson", "name", "check"), CHECKS)
def test_the_first_case_is_one_that_a_learner_can_read(lesson, name, check):
    """It may be shown: at most a dozen numbers for each argument."""
    for part in check.parts:
        if isinstance(part, Part):
            sizes = [x.numel() for x in part.cases()[0] if hasattr(x, "numel")]
            assert all(size <= 12 for size in sizes), sizes
