"""A check is data: the right function, cases to try it on, and mistakes known by name.

`declare` makes a check of one or more parts. Tests, graders and guides read the same
data: `check.parts[0].right`, `.cases()`, `.edges()`, `.wrong`.
"""

import functools
import html
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vae_helpers.checks import guard
from vae_helpers.checks.evaluate import (
    Crash,
    Results,
    Stub,
    Wrong,
    call,
    close,
    evaluate,
    parts,
)
from vae_helpers.checks.words import difference, kind_of_result

__all__ = [
    "Check",
    "Part",
    "Symptom",
    "Symptoms",
    "Verdict",
    "Wrong",
    "call",
    "close",
    "declare",
    "evaluate",
    "judge",
    "parts",
]

NOT_ATTEMPTED, RIGHT, WRONG = "not attempted", "right", "wrong"
_MARKS = {NOT_ATTEMPTED: "○", RIGHT: "✓", WRONG: "✗"}
_COLOURS = {NOT_ATTEMPTED: "#666666", RIGHT: "#009E73", WRONG: "#D55E00"}


@dataclass(frozen=True)
class Verdict:
    """The answer of a check; a notebook shows it when it ends a cell.

    Attributes:
        exercise: number and name, such as "04.2 vae_terms".
        status: "not attempted", "right" or "wrong".
        message: what was tried, or the likely mistake.
    """

    exercise: str
    status: str
    message: str

    def __repr__(self) -> str:
        head = f"{_MARKS[self.status]} Exercise {self.exercise}: {self.status}."
        return f"{head} {self.message}"

    def _repr_html_(self) -> str:
        colour = _COLOURS[self.status]
        return (
            f'<div style="border-left: 4px solid {colour}; padding-left: 0.8em; '
            f'white-space: pre-wrap"><b>{_MARKS[self.status]} Exercise '
            f"{html.escape(self.exercise)}: {self.status}.</b> "
            f"{html.escape(self.message)}</div>"
        )


def _itself(answer: Callable) -> Callable:
    return answer


@dataclass(frozen=True, eq=False)
class Part:
    """One function of an exercise, and everything that is known about it.

    Attributes:
        right: a right function.
        cases: makes the ordinary cases, tuples of arguments; called with torch seeded.
            The first ones should be tiny and round: a learner may get to read them.
        edges: makes the special cases; a key completes the sentence "Right on ordinary
            inputs, but not with ...".
        wrong: diagnosis -> a function with that mistake. The first that agrees with the
            answer is what the learner reads, so the order matters where two agree.
        gradients: names of the arguments whose gradients must be right.
        results: names of the things returned, if they are several.
        number: a Python number is asked for, and a tensor is not one.
        tol: relative tolerance.
        name: of the function in an exercise that asks for several.
        answer: which of the learner's functions this part judges.
        adapt: turns an answer, right or wrong, into the function that is compared.
        before: probes, called as probe(answer); they raise Wrong.
        after: probes once the values are right.
        strides: try inputs that are views with gaps in memory as well.
    """

    right: Callable
    cases: Callable[[], Sequence[tuple]]
    wrong: Mapping[str, Callable]
    edges: Callable[[], Mapping[str, tuple]] = dict
    gradients: Sequence[str] = ()
    results: Sequence[str] = ()
    number: bool = False
    tol: float = 1e-4
    name: str = ""
    answer: int = 0
    adapt: Callable[[Callable], Callable] = _itself
    before: Sequence[Callable] = ()
    after: Sequence[Callable] = ()
    strides: bool = True

    def arguments(self) -> list[str]:
        """Names of the arguments of a case."""
        return list(inspect.signature(self.adapt(self.right)).parameters)

    def run(self, answer: Callable) -> None:
        """Raise Wrong unless the answer is right, Stub if it is none."""
        for probe in self.before:
            probe(answer)
        cases, wanted = _reference(self)
        self._need_kinds(answer, cases)
        found = [self.outcome(answer, case) for case in cases]

        def agrees(mistake: Callable, places: Sequence[int]) -> bool:
            values = 0
            for place in places:
                try:
                    outcome = self.outcome(mistake, cases[place])
                except (
                    Wrong
                ):  # it changes an input, say; then it is told in other words
                    return False
                if not _alike(outcome, found[place], self.tol):
                    return False
                values += not isinstance(outcome, Crash)
            return values > 0

        fits = {s: functools.partial(agrees, f) for s, f in self.wrong.items()}
        judge(cases, found, wanted, fits, self.arguments(), self.tol)
        for probe in self.after:
            probe(answer)

    def outcome(self, answer: Callable, case: "Case") -> Results | Crash:
        """What a function gives on a case, or the error with which it stopped."""
        names = self.arguments()
        places = {names.index(name): name for name in self.gradients}
        try:
            return evaluate(
                self.adapt(answer),
                case.arguments,
                places,
                case.number,
                results=self.results,
                strided=case.strided,
            )
        except (Stub, Wrong):
            raise
        except (Exception, SystemExit) as error:
            return Crash(error)

    def _need_kinds(self, answer: Callable, cases: Sequence["Case"]) -> None:
        """Wrong if the first result is of another type than the text asks for."""
        case = cases[0]
        wanted = call(self.adapt(self.right), case.arguments, case.number)
        try:
            given = call(self.adapt(answer), case.arguments, case.number)
        except (Stub, Wrong):
            raise
        except (Exception, SystemExit):
            return  # told with the values
        if complaint := kind_of_result(given, wanted, self.results, self.number):
            raise Wrong(complaint)


@dataclass(frozen=True)
class Case:
    """Arguments to try, with the words for what is special about them."""

    number: int
    arguments: tuple
    edge: str = ""
    strided: bool = False


@functools.cache
def _inputs(part: Part) -> list[Case]:
    """All cases of a part: ordinary ones, special ones, and one with strides."""
    guard.seed_streams(0)
    cases = [Case(i, tuple(c)) for i, c in enumerate(part.cases())]
    guard.seed_streams(1)
    for words, arguments in part.edges().items():
        cases.append(Case(len(cases), tuple(arguments), words))
    if part.strides:
        words = "tensors whose values lie apart in memory (views of larger ones)"
        last = [case for case in cases if not case.edge][-1].arguments
        cases.append(Case(len(cases), last, words, strided=True))
    return cases


@functools.cache
def _reference(part: Part) -> tuple[list[Case], list[Results]]:
    """Cases and right results, computed before any answer has run."""
    cases = _inputs(part)
    wanted = [part.outcome(part.right, case) for case in cases]
    for case, found in zip(cases, wanted, strict=True):
        if isinstance(found, Crash):
            raise AssertionError(f"the right function stops on {case}") from found.error
    return cases, wanted


def judge(
    cases: Sequence[Case],
    found: Sequence[Results | Crash],
    wanted: Sequence[Results],
    fits: Mapping[str, Callable[[Sequence[int]], bool]],
    names: Sequence[str],
    tol: float = 1e-4,
) -> None:
    """Raise Wrong, with the best words there are, unless all results agree.

    Args:
        cases: what was tried.
        found, wanted: results of the answer and of a right function.
        fits: diagnosis -> function that says, for the places of some cases, whether the
            answer agrees there with that mistake. The first that does speaks.
        names: of the arguments.
        tol: relative tolerance.
    """
    bad = [
        i
        for i, case in enumerate(cases)
        if not _agree(found[i], wanted[i], tol) and not _forgiven(found[i], case)
    ]
    if not bad:
        return
    ordinary = [i for i, case in enumerate(cases) if not case.edge]
    plain = [i for i in bad if i in ordinary]
    # A mistake that shows on ordinary inputs is looked for there alone: at the edges two
    # ways of making it may overflow differently. Others must agree at the edges as well.
    places = ordinary if plain else ordinary + bad
    for sentence, agrees in fits.items():
        if agrees(places):
            raise Wrong(sentence)
    bad = plain or bad
    raise Wrong(
        difference(
            [(cases[i], found[i], wanted[i]) for i in bad], names, len(cases), tol
        )
    )


def _agree(found: Results | Crash, wanted: Results, tol: float) -> bool:
    return not isinstance(found, Crash) and close(found, wanted, tol)


def _alike(a: Results | Crash, b: Results | Crash, tol: float) -> bool:
    """Whether two wrong answers do the same: both stop, or both give these values."""
    if isinstance(a, Crash) or isinstance(b, Crash):
        return isinstance(a, Crash) and isinstance(b, Crash)
    return close(a, b, tol, nan_is_nan=True)


def _forgiven(found: Results | Crash, case: Case) -> bool:
    """`view` is right for what a data loader gives, and says itself when it is not."""
    return case.strided and isinstance(found, Crash) and "view size" in str(found.error)


@dataclass(frozen=True)
class Symptom:
    """A mistake that shows in what was measured.

    Attributes:
        says: the diagnosis, or a function that makes it from what was measured.
        shows: whether the mistake is there.
        example: an answer that makes the mistake.
    """

    says: str | Callable[[Any], str]
    shows: Callable[[Any], bool]
    example: Callable


@dataclass(frozen=True, eq=False)
class Symptoms:
    """A part whose answer is random, or works by what it does: measured, then judged.

    Attributes:
        right: a right function.
        measure: runs an answer (with `call`) and returns what was seen.
        table: mistakes in the order in which they are looked for.
        fine: whether what was seen is right. It must be a test that NaN fails.
        name, answer: as in Part.
    """

    right: Callable
    measure: Callable[[Callable], Any]
    table: Sequence[Symptom]
    fine: Callable[[Any], bool]
    name: str = ""
    answer: int = 0

    def run(self, answer: Callable) -> None:
        """Raise Wrong unless what the answer does is right."""
        seen = self.measure(answer)
        for symptom in self.table:
            if symptom.shows(seen):
                says = symptom.says
                raise Wrong(says if isinstance(says, str) else says(seen))
        if not self.fine(seen):
            raise Wrong(
                f"{f'`{self.name}`' if self.name else 'Your function'} does not do what "
                f"is asked, in none of the usual ways. What was measured: {seen}."
            )


class Check:
    """Made by `declare`; called with the learner's functions it gives a Verdict."""

    def __init__(
        self,
        exercise: str,
        tried: str,
        parts: Sequence[Part | Symptoms],
        dtype: torch.dtype,
    ):
        self.exercise, self.tried, self.parts = exercise, tried, tuple(parts)
        self.dtype = dtype

    def __call__(self, *answers: Callable) -> Verdict:
        status, message = self._verdict(answers)
        return Verdict(self.exercise, status, message)

    def _verdict(self, answers: Sequence[Callable]) -> tuple[str, str]:
        for answer in answers:
            if not callable(answer):
                return WRONG, _not_a_function(answer)
            name = getattr(answer, "__name__", "")
            if name and (words := guard.newer_cell_that_fails(name)):
                return WRONG, words
        done: list[str] = []
        missing: dict[str, str] = {}  # name of a part -> what its stub says
        try:
            with guard.clean_state(self.dtype), guard.few_lines(), guard.time_limit():
                for part in self.parts:
                    try:
                        part.run(answers[part.answer])
                    except Stub as stub:
                        missing[part.name] = str(stub)
                    else:
                        done.append(part.name)
        except Wrong as diagnosis:
            return WRONG, str(diagnosis)
        except guard.TimeIsUp:
            return WRONG, (
                f"Your code was stopped after {guard.SECONDS:.0f} seconds; right answers "
                "need less than one. Is there a loop that never ends?"
            )
        except (Exception, SystemExit) as error:
            return WRONG, str(Crash(error))
        if missing:
            return NOT_ATTEMPTED, _not_attempted(missing, done)
        return RIGHT, self.tried


def _not_attempted(missing: Mapping[str, str], done: Sequence[str]) -> str:
    """Words for stubs: which functions are right already, and which one comes next."""
    following, said = next(iter(missing.items()))
    if not done or not done[0]:
        text = "Replace the line that raises NotImplementedError by your code."
        return said or text
    right = " and ".join(f"`{name}`" for name in done)
    verb = "is" if len(done) == 1 else "are"
    return f"{right} {verb} right. Go on with `{following}`."


def declare(
    exercise: str,
    tried: str,
    *parts: Part | Symptoms,
    dtype: torch.dtype = torch.float32,
) -> Check:
    """A check of an exercise.

    Args:
        exercise: number and name, "03.1 KL to the standard normal".
        tried: what a right answer was tried on; the learner reads it.
        parts: in the order in which they are judged.
        dtype: PyTorch's default in the lesson.
    """
    return Check(exercise, tried, parts, dtype)


def _not_a_function(answer: Any) -> str:
    return (
        f"The check got a {type(answer).__name__} instead of a function. Give it the "
        "function itself, its name without brackets."
    )


def need_shape(tensor: Any, shape: tuple[int, ...], name: str, meaning: str) -> Tensor:
    """Return the tensor if it has the shape; else Wrong, with what each axis means."""
    if not isinstance(tensor, Tensor):
        raise Wrong(f"{name} is a {type(tensor).__name__}; a tensor is needed.")
    if tuple(tensor.shape) != shape:
        raise Wrong(
            f"{name} has shape {tuple(tensor.shape)}; needed is {shape}, {meaning}."
        )
    return tensor
