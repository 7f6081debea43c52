"""The smallest input on which a wrong answer differs from the right one, as text."""

import contextlib
import importlib
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

CHECKS = "vae_helpers.checks"
TOLERANCE = 1e-4
STOPPED = "was stopped after"  # of an answer that ran too long: do not call it again


def tiny_case(verdict, check, answers: Sequence[Callable]) -> dict | None:
    """Find the case that shows a mistake best; called inside `sealed.fresh_checks`.

    Args:
        verdict: what the check said.
        check: the check.
        answers: the learner's functions.

    Returns:
        {"given": [[name, value], ...], "of": name of the result, "right": text, "yours":
        text}; None for a right answer, and where no input can be written in a line.
    """
    if verdict.status != "wrong" or STOPPED in verdict.message:
        return None
    guard = importlib.import_module(f"{CHECKS}.guard")
    try:
        with _quiet(), guard.clean_state(check.dtype), guard.time_limit():
            found = (_of_part(part, answers[part.answer]) for part in check.parts)
            return next(filter(None, found), None)
    except (Exception, SystemExit, guard.TimeIsUp):  # the verdict stands without it
        return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing that an answer prints or warns of is heard a second time."""
    nowhere = io.StringIO()
    with (
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def _of_part(part: Any, answer: Callable) -> dict | None:
    """The case of one part; None if all its results are right or it has no cases."""
    core = importlib.import_module(f"{CHECKS}.core")
    if hasattr(part, "reference"):  # a sealed one
        names, pairs = part.names(), list(zip(*part.reference(), strict=True))
    elif hasattr(part, "cases"):
        names = part.arguments()
        pairs = [(case, part.outcome(part.right, case)) for case in _cases(part)]
    else:  # its answers are random, or are judged by what they do
        return None
    for case, wanted in sorted(pairs, key=_small_first):
        try:
            found = part.outcome(answer, case)
        except (core.Stub, core.Wrong):
            return None
        if isinstance(found, core.Crash):
            name, yours = next(iter(wanted)), f"stops with {type(found.error).__name__}"
        elif core.close(found, wanted, TOLERANCE):
            continue
        else:
            name = next(n for n in wanted if not _same(found, wanted, n))
            yours = found.get(name)
        if name.startswith("gradient of "):
            return None  # nobody works one by hand; the verdict tells it in words
        table = _table(names, case, wanted[name], yours)
        called = part.name if name == "result" and part.name else name
        return table and {**table, "of": called}
    return None


def _cases(part: Any) -> list:
    """The ordinary and the special cases, as the check makes them."""
    core, guard = (importlib.import_module(f"{CHECKS}.{m}") for m in ("core", "guard"))
    guard.seed_streams(0)
    cases = [core.Case(i, tuple(c)) for i, c in enumerate(part.cases())]
    guard.seed_streams(1)
    for words, arguments in part.edges().items():
        cases.append(core.Case(len(cases), tuple(arguments), words))
    return cases


def _small_first(pair: tuple) -> tuple:
    case = pair[0]
    sizes = [a.numel() if isinstance(a, Tensor) else 1 for a in case.arguments]
    return bool(case.edge), sum(sizes)


def _same(found: dict, wanted: dict, name: str) -> bool:
    core = importlib.import_module(f"{CHECKS}.core")
    right = {name: wanted[name]}
    return name in found and core.close({name: found[name]}, right, TOLERANCE)


def _table(names: Sequence[str], case: Any, right: Tensor, yours: Any) -> dict | None:
    """The case as text; None if there is nothing in it to work by hand."""
    words = importlib.import_module(f"{CHECKS}.words")
    given = [[n, words.show(a)] for n, a in zip(names, case.arguments, strict=False)]
    if all(value.startswith("(") for _, value in given):
        return None  # models and long tensors
    if isinstance(yours, Tensor) and yours.shape == right.shape:
        yours, right = words.pair(yours, right)
    elif isinstance(yours, Tensor):
        yours, right = (
            f"{words.show(t)}, shape {tuple(t.shape)}" for t in (yours, right)
        )
    else:
        yours, right = yours or "nothing of this name", words.show(right)
    return {"given": given, "right": right, "yours": yours}
