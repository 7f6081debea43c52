"""Points for a verdict, and checks that hold numbers instead of a solution.

The graded cells of an assignment call `points` or `sealed_points`. A sealed check is a
text: cases, right results, and fingerprints of usual mistakes, all as numbers.
"""

import base64
import contextlib
import functools
import importlib
import io
import json
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from grading.names import MARK
from grading.tiny_case import tiny_case

CHECKS = "vae_helpers.checks"
MOVED = {  # checks with another place than in an assignment that was handed out before
    "lesson03.linear_gaussian_elbo": "lessonA1.linear_gaussian_elbo",
    "lesson03.smallest_gap": "lessonA1.smallest_gap",
    "lesson03.bits_per_dimension": "retired.bits_per_dimension",
}
PRINT_TOLERANCE = 1e-3  # relative, between two fingerprints
Shares = Mapping[str, float]


def points(
    name: str, *answers: Callable, out_of: float, shares: Shares | None = None
) -> float:
    """Show what a check says about some answers; return what that is worth.

    Args:
        name: module and function of the check, "lesson03.kl_to_standard_normal".
        answers: the learner's functions.
        out_of: points for a right answer.
        shares: words of a diagnosis -> the share of the points that it leaves.

    Returns:
        A number from 0 to `out_of`; the last expression of a graded cell.
    """
    lesson, function = MOVED.get(name, name).split(".")
    with fresh_checks():
        check = getattr(importlib.import_module(f"{CHECKS}.{lesson}"), function)
        verdict = quietly(check, *answers)
        case = tiny_case(verdict, check, answers)
        return worth(verdict, out_of, shares or {}, case)


def sealed_points(
    sealed: str, answer: Callable, *, out_of: float, shares: Shares | None = None
) -> float:
    """The same for a sealed check."""
    with fresh_checks():
        check = sealed_check(sealed)
        verdict = quietly(check, answer)
        case = tiny_case(verdict, check, (answer,))
        return worth(verdict, out_of, shares or {}, case)


@contextlib.contextmanager
def fresh_checks() -> Iterator[None]:
    """Inside, the checks are those of their files: what a notebook replaced is gone.

    All modules of the checks leave for the while and are imported again. That gives the
    right order by itself, whichever modules there are.
    """
    before = {n: m for n, m in sys.modules.items() if f"{n}.".startswith(f"{CHECKS}.")}
    parent = sys.modules.get("vae_helpers")
    attribute = getattr(parent, "checks", None)
    _forget()
    try:
        yield
    finally:
        _forget()
        sys.modules.update(before)
        if parent is not None and attribute is not None:
            parent.checks = attribute


def _forget() -> None:
    for name in [n for n in sys.modules if f"{n}.".startswith(f"{CHECKS}.")]:
        del sys.modules[name]


def _core() -> ModuleType:
    """The core of the checks as it is now; see `fresh_checks`."""
    return importlib.import_module(f"{CHECKS}.core")


def worth(verdict, out_of: float, shares: Shares, case: dict | None = None) -> float:
    """Show a verdict and return its points; a named mistake may keep a share of them.

    The verdict, the share and the tiny case are also written into the metadata of the
    output, where nothing gets that an answer prints by accident.
    """
    from IPython.display import display

    found = [share for words, share in shares.items() if words in verdict.message]
    share = 1 if verdict.status == "right" else max(found, default=0)
    said = {"status": verdict.status, "message": verdict.message, "share": share}
    display(verdict, metadata={MARK: said | ({"case": case} if case else {})})
    return out_of if share == 1 else round(out_of * share, 2)


def quietly(function: Callable, *arguments):
    """Call without a word on stderr: nbgrader would take one for a failure."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments)


# Sealed checks ------------------------------------------------------------------------


def pack(table: dict) -> str:
    """A table of numbers and sentences as letters that fit into a cell."""
    text = json.dumps(table, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unseal(sealed: str) -> dict:
    """Text from `grading.variants.seal` -> names, cases, values, diagnoses."""
    return json.loads(zlib.decompress(base64.b64decode(sealed)))


def fingerprint(tensor: Tensor) -> list:
    """Shape and one number; equal for tensors that agree in every value."""
    flat = tensor.double().flatten()
    number = (flat * (1 + torch.arange(len(flat)).double()).sin()).sum().item()
    scale = flat.abs().sum().item()
    return [list(tensor.shape), number, scale]


def sealed_verdict(sealed: str, answer: Callable):
    """Compare an answer with the numbers of a sealed check."""
    return sealed_check(sealed)(answer)


def sealed_check(sealed: str):
    """A check that compares with stored numbers."""
    table = unseal(sealed)
    part, kind = SealedPart(table), torch.get_default_dtype()
    stored = [item for item in table["cases"][0] if isinstance(item, dict)]
    dtype = getattr(torch, stored[0]["dtype"]) if stored else kind
    return _core().declare(table["exercise"], table["tried"], part, dtype=dtype)


class SealedPart(NamedTuple):
    """The one part of a sealed check; core.Part is its open counterpart."""

    table: dict
    name: str = ""
    answer: int = 0

    def run(self, answer: Callable) -> None:
        """Raise core.Wrong unless the answer gives the stored numbers."""
        cases, wanted = self.reference()
        found = [self.outcome(answer, case) for case in cases]
        fits = {
            sentence: functools.partial(_fit, found, prints)
            for sentence, prints in self.table["mistakes"]
        }
        _core().judge(cases, found, wanted, fits, self.names())

    def reference(self) -> tuple[list, list]:
        """The stored cases and the right results."""
        core, table = _core(), self.table
        stored = [tuple(map(as_tensor, case)) for case in table["cases"]]
        cases = [core.Case(i, case) for i, case in enumerate(stored)]
        return cases, [{k: as_tensor(v) for k, v in w.items()} for w in table["wanted"]]

    def outcome(self, answer: Callable, case) -> Any:
        """What an answer gives on a case, or the error with which it stopped."""
        return outcome(answer, case, self.gradients())

    def names(self) -> list[str]:
        """Of the arguments; tables of the first release did not keep them."""
        unknown = [f"argument {i + 1}" for i in range(len(self.table["cases"][0]))]
        return self.table.get("names") or unknown

    def gradients(self) -> dict[int, str]:
        """Place -> name of the arguments whose gradients count."""
        kept = self.table["gradients"]  # names; True, in the first release, meant all
        return {i: n for i, n in enumerate(self.names()) if kept is True or n in kept}


def outcome(answer: Callable, case, gradients: Mapping[int, str]) -> Any:
    """What a function gives on a case, or the error with which it stopped."""
    core = _core()
    try:
        return core.evaluate(answer, case.arguments, gradients, case.number)
    except (core.Stub, core.Wrong):
        raise
    except (Exception, SystemExit) as error:
        return core.Crash(error)


def as_tensor(item: Any) -> Any:
    """A stored tensor, or the number that stands there."""
    if not isinstance(item, dict):
        return item
    values = torch.tensor(item["values"], dtype=getattr(torch, item["dtype"]))
    return values.reshape(item["shape"])


def _fit(found: Sequence, prints: Sequence[Mapping], places: Sequence[int]) -> bool:
    """Whether an answer has the fingerprints of a mistake at some cases."""
    return all(
        isinstance(found[i], Mapping) and _alike(found[i], prints[i]) for i in places
    )


def _alike(got: Mapping[str, Tensor], prints: Mapping[str, list]) -> bool:
    if got.keys() != prints.keys():
        return False
    for name, (shape, number, scale) in prints.items():
        own = fingerprint(got[name])
        near = abs(own[1] - number) <= PRINT_TOLERANCE * max(scale, 1e-6)
        if own[0] != shape or not near:
            return False
    return True
