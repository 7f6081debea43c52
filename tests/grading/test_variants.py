"""Variants: other numbers, their own key, sealed checks that hold no solution."""

import json
import random
import re

import pytest

from grading import sealed, variants
from grading.lesson import builder, find_lesson, read_exercises

MAKERS = [
    (number, make)
    for lesson in ("02", "03", "04")
    for number, make in variants.load_variants(lesson, {}).items()
]


def _public_solution(number):
    found = read_exercises(find_lesson(number[:2]))
    return next(e for e in found if e.number == number)


def test_three_lessons_have_variants():
    assert len({number[:2] for number, _ in MAKERS}) >= 3


@pytest.mark.parametrize(("number", "make"), MAKERS)
def test_a_variant_is_solved_by_its_key_alone(number, make):
    tasks = set()
    for seed in range(12):
        variant = variants.make_variant(make, number, str(seed))
        assert variant == variants.make_variant(make, number, str(seed))._replace(
            cases=variant.cases, wrong=variant.wrong
        )
        tasks.add(variant.task)
        text = variants.seal(variant, number, str(seed), 2)
        key = variants.key_function(variant)
        assert sealed.sealed_verdict(text, key).status == "right"
        stub = variants.run_source(builder.to_stub(variant.answer))[variant.name]
        assert sealed.sealed_verdict(text, stub).status == "not attempted"
    assert len(tasks) >= 6, "seeds give too few different tasks"


@pytest.mark.parametrize(("number", "make"), MAKERS)
def test_a_variant_names_its_mistakes_and_the_published_answer(number, make):
    variant = variants.make_variant(make, number, "5")
    text = variants.seal(variant, number, "5", 4)
    said = []
    for diagnosis, mistake in variant.wrong.items():
        verdict = sealed.sealed_verdict(text, mistake)
        assert verdict.status == "wrong"
        assert verdict.message == diagnosis
        said.append(diagnosis)
    assert len(said) >= 7 and len(set(said)) == len(said)


@pytest.mark.parametrize(("number", "make"), MAKERS)
def test_a_sealed_check_holds_no_solution(number, make):
    variant = variants.make_variant(make, number, "5")
    text = variants.seal(variant, number, "5", 4)
    assert len(text) < 20_000
    text = json.dumps(sealed.unseal(text))
    for line in variant.answer.split("### BEGIN SOLUTION")[1].splitlines()[1:-1]:
        assert line.split("#")[0].strip() not in text
    assert not re.search(r"\*\*|lambda|torch\.|math\.", text)


def test_other_inputs_are_hidden_than_shown():
    number, make = MAKERS[0]
    variant = variants.make_variant(make, number, "5")
    shown, hidden = (
        sealed.unseal(variants.seal(variant, number, "5", n)) for n in (4, 12)
    )
    assert shown["cases"][0] != hidden["cases"][0]


def test_a_mistake_that_is_right_is_refused():
    number, make = MAKERS[0]
    variant = variants.make_variant(make, number, "5")
    same = variant._replace(wrong={"nothing": variants.key_function(variant)})
    with pytest.raises(ValueError, match="this mistake is no mistake: nothing"):
        variants.seal(same, number, "5", 3)


def test_a_variant_depends_on_the_seed_alone():
    number, make = MAKERS[0]
    random.seed(1)
    first = variants.make_variant(make, number, "7").task
    random.seed(2)
    assert variants.make_variant(make, number, "7").task == first


def test_a_mistake_that_stops_is_refused():
    def stops(*case):
        raise IndexError("no such place")

    number, make = MAKERS[0]
    variant = variants.make_variant(make, number, "5")._replace(wrong={"stops": stops})
    with pytest.raises(
        ValueError, match="a function of the variant stops.*no such place"
    ):
        variants.seal(variant, number, "5", 3)


def test_mistakes_in_the_old_form_are_refused_with_the_new_one():
    number, make = MAKERS[0]
    pairs = [(abs, "the values are not negative")]
    variant = variants.make_variant(make, number, "5")._replace(wrong=pairs)
    with pytest.raises(
        ValueError, match=r"are a table, \{sentence: function\}; got a list"
    ):
        variants.seal(variant, number, "5", 3)
