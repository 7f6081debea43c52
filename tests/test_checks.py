"""Checks are proven: stubs, solutions, wrong answers and other right answers."""

import importlib
from pathlib import Path

import pytest
import torch
from lesson_source import STEMS, exercises

from vae_helpers.checks.core import NOT_ATTEMPTED, RIGHT, WRONG, Wrong, check, compare

ANSWERS = {
    path.stem: importlib.import_module(f"answers.{path.stem}").EXERCISES
    for path in sorted((Path(__file__).parent / "answers").glob("lesson*.py"))
}
CASES = [(lesson, number) for lesson, found in ANSWERS.items() for number in found]


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


@pytest.mark.parametrize(("lesson", "number"), CASES)
def test_right_answers_pass_however_they_are_written(lesson, number):
    entry = ANSWERS[lesson][number]
    assert len(entry["right"]) >= 2
    for answer in entry["right"]:
        verdict = entry["check"](*answer)
        assert verdict.status == RIGHT, (answer, verdict)


@pytest.mark.slow
@pytest.mark.parametrize(("lesson", "number"), CASES)
def test_wrong_answers_fail_each_with_its_own_diagnosis(lesson, number):
    entry = ANSWERS[lesson][number]
    messages = []
    for answer, fragment in entry["wrong"]:
        verdict = entry["check"](*answer)
        assert verdict.status == WRONG, (fragment, verdict)
        assert fragment in verdict.message, verdict
        messages.append(verdict.message)
    assert len(messages) >= 5
    assert len(set(messages)) == len(messages), "two mistakes get the same message"


def test_a_verdict_reads_well_as_text_and_as_html():
    @check("99.1 demo")
    def demo(answer):
        raise Wrong("a < b & c")

    verdict = demo(None)
    assert repr(verdict) == "✗ Exercise 99.1 demo: wrong. a < b & c"
    assert "a &lt; b &amp; c" in verdict._repr_html_()


def test_a_crash_names_the_error():
    @check("99.2 crash")
    def crash(answer):
        return answer()

    verdict = crash(lambda: [][3])
    assert verdict.status == WRONG
    assert "IndexError" in verdict.message


def test_compare_notices_a_changed_input():
    with pytest.raises(Wrong, match="changed a tensor"):
        compare(lambda x: x.add_(1), lambda x: x + 1, [(torch.ones(2),)])


def test_compare_names_a_shape_and_none():
    case = [(torch.ones(2, 3),)]
    with pytest.raises(Wrong, match=r"\(3,\); needed is \(2,\)"):
        compare(lambda x: x.sum(0), lambda x: x.sum(1), case)
    with pytest.raises(Wrong, match="returned None"):
        compare(lambda x: None, lambda x: x, case)


def test_compare_sees_a_missing_gradient():
    def detached(x):
        return x.detach() * 2

    with pytest.raises(Wrong, match="gradient of argument 1"):
        compare(detached, lambda x: x * 2, [(torch.ones(3),)], gradients=True)


def test_a_check_does_not_move_the_global_random_stream():
    @check("99.3 random")
    def draws(answer):
        torch.rand(5)
        return "tried"

    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    draws(None)
    assert torch.equal(torch.rand(1), wanted)


def test_a_half_done_exercise_says_which_half():
    from vae_helpers.checks import lesson04

    def stub(*arguments):
        raise NotImplementedError

    def encode(x, body, to_mu, to_logvar):
        h = body(x.flatten(1))
        return to_mu(h), to_logvar(h)

    verdict = lesson04.encode_decode(encode, stub)
    assert verdict.status == NOT_ATTEMPTED
    assert "`encode` is right" in verdict.message
