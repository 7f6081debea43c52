"""Variants of exercises: other numbers and functions, checks without a solution."""

import importlib.util
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from grading.lesson import INSTRUCTOR, builder
from grading.sealed import fingerprint, pack
from vae_helpers.checks import core, guard

FOLDER = INSTRUCTOR / "variants"
SHOWN, HIDDEN = 4, 12  # cases of the check that students have, and of the hidden one


class Variant(NamedTuple):
    """One exercise with its own numbers.

    Attributes:
        name: the function that is asked for.
        title: of the exercise.
        task: Markdown, without heading and minutes.
        answer: code of the key, the solution between the usual marks.
        cases: draw and number of a case -> its arguments.
        wrong: diagnosis -> function with that mistake, as in core.Part. The published
            solution of the exercise belongs to them.
        gradients: compare the gradients of the arguments too.
        dtype: of the arguments.
    """

    name: str
    title: str
    task: str
    answer: str
    cases: Callable
    wrong: Mapping[str, Callable]
    gradients: bool = True
    dtype: torch.dtype = torch.float64


def load_variants(lesson: str, overlay: dict) -> dict[str, Callable]:
    """Exercise number -> function that makes a Variant from a random.Random."""
    found: dict[str, Callable] = {}
    path = FOLDER / f"lesson{lesson}.py"
    if path.exists():
        spec = importlib.util.spec_from_file_location(f"variants{lesson}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= module.VARIANTS
    return found | overlay.get("VARIANTS", {})


def make_variant(make: Callable, number: str, seed: str) -> Variant:
    """The variant of an exercise that belongs to a seed; always the same one."""
    return make(random.Random(f"{seed} {number}"))


def key_function(variant: Variant) -> Callable:
    """The right answer of a variant, ready to call."""
    return run_source(builder.to_solved(variant.answer))[variant.name]


def run_source(source: str) -> dict:
    """The names that some code of an exercise makes."""
    namespace: dict = {"torch": torch, "F": torch.nn.functional}
    exec("import math\n" + source, namespace)
    return namespace


def seal(variant: Variant, exercise: str, seed: str, count: int) -> str:
    """A check as text: cases, right values, and fingerprints of the usual mistakes."""
    number = random.Random(f"{seed} {exercise} {count}").getrandbits(40)
    generator = torch.Generator().manual_seed(number)

    def draw(*shape: int) -> Tensor:
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        return (values * 1000).round().div(1000).to(variant.dtype)

    cases = [core.Case(i, tuple(variant.cases(draw, i))) for i in range(count)]
    if not isinstance(variant.wrong, Mapping):
        raise ValueError(
            f"{exercise}: the mistakes of a variant are a table, {{sentence: function}}; got "
            f"a {type(variant.wrong).__name__}. instructor/variants/ shows the form."
        )
    right = key_function(variant)
    part = core.Part(right=right, cases=tuple, wrong=variant.wrong)
    names = part.arguments()
    floats = [isinstance(item, Tensor) for item in cases[0].arguments]
    kept = [
        n for n, yes in zip(names, floats, strict=True) if yes and variant.gradients
    ]
    part = replace(part, gradients=tuple(kept))

    def results(function: Callable) -> list[core.Results]:
        found = [part.outcome(function, case) for case in cases]
        for each in found:
            if isinstance(each, core.Crash):
                raise ValueError(f"{exercise}: a function of the variant stops. {each}")
        return found

    with guard.clean_state(variant.dtype):
        wanted = results(right)
        mistakes = []
        for sentence, function in variant.wrong.items():
            found = results(function)
            if all(core.close(a, b) for a, b in zip(found, wanted, strict=True)):
                raise ValueError(f"{exercise}: this mistake is no mistake: {sentence}")
            prints = [{n: fingerprint(t) for n, t in each.items()} for each in found]
            mistakes.append([sentence, prints])
    table = {
        "exercise": exercise,
        "names": names,
        "gradients": kept,
        "tried": f"{count} random inputs: values, shapes{', gradients' if kept else ''}.",
        "cases": [[_store(item) for item in case.arguments] for case in cases],
        "wanted": [{n: _store(t) for n, t in each.items()} for each in wanted],
        "mistakes": mistakes,
    }
    return pack(table)


def _store(item):
    if not isinstance(item, Tensor):
        return item
    values = [float(f"{value:.8g}") for value in item.double().flatten().tolist()]
    kind = str(item.dtype).removeprefix("torch.")
    return {"shape": list(item.shape), "dtype": kind, "values": values}
