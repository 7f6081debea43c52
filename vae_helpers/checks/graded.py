"""Points for an assignment: a verdict as one number, with its diagnosis above it.

Only assignments made by tools/make_assignment.py use this; a lesson never does.
"""

import base64
import contextlib
import importlib
import io
import json
import sys
import warnings
import zlib
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from vae_helpers.checks import core

PRINT_TOLERANCE = 1e-3  # relative, between two fingerprints


def points(
    name: str, *answers: Callable, out_of: float, shares: Mapping[str, float] = {}
) -> float:
    """Show what a check says about some answers; return what that is worth.

    The check is loaded from its file again, so that one which was replaced in this
    kernel does not count.

    Args:
        name: module and function of the check, "lesson03.kl_to_standard_normal".
        answers: the learner's functions.
        out_of: points for a right answer.
        shares: words of a diagnosis -> the share of the points that it leaves.

    Returns:
        A number from 0 to `out_of`; the last expression of a graded cell.
    """
    lesson, function = name.split(".")
    for module in ("core", "layers"):
        if f"vae_helpers.checks.{module}" in sys.modules:
            importlib.reload(sys.modules[f"vae_helpers.checks.{module}"])
    module = importlib.import_module(f"vae_helpers.checks.{lesson}")
    check = getattr(importlib.reload(module), function)
    return worth(quietly(check, *answers), out_of, shares)


def sealed_points(
    sealed: str, answer: Callable, *, out_of: float, shares: Mapping[str, float] = {}
) -> float:
    """The same for a sealed check, which holds numbers instead of a solution."""
    importlib.reload(core)
    return worth(quietly(sealed_verdict, sealed, answer), out_of, shares)


def worth(verdict: core.Verdict, out_of: float, shares: Mapping[str, float]) -> float:
    """Show a verdict and return its points; a half-done exercise may have a share."""
    from IPython.display import display

    display(verdict)
    if verdict.status == core.RIGHT:
        return out_of
    found = [share for words, share in shares.items() if words in verdict.message]
    return round(out_of * max(found, default=0), 2)


def quietly(function: Callable, *arguments):
    """Call without a word on stderr: nbgrader would take one for a failure."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments)


def unseal(sealed: str) -> dict:
    """Text from `seal` in tools/_grading_variants.py -> cases, values, diagnoses."""
    return json.loads(zlib.decompress(base64.b64decode(sealed)))


def fingerprint(tensor: Tensor) -> list:
    """Shape and one number; equal for tensors that agree in every value."""
    flat = tensor.double().flatten()
    number = (flat * (1 + torch.arange(len(flat)).double()).sin()).sum().item()
    scale = flat.abs().sum().item()
    return [list(tensor.shape), number, scale]


def sealed_verdict(sealed: str, answer: Callable) -> core.Verdict:
    """Compare an answer with the numbers of a sealed check."""
    table = unseal(sealed)

    @core.check(table["exercise"])
    def run(answer: Callable) -> str:
        got = []
        for seed, case in enumerate(table["cases"]):
            case = [_tensor(item) for item in case]
            got.append(core.evaluate(answer, case, table["gradients"], seed))
        wanted = [{k: _tensor(v) for k, v in each.items()} for each in table["wanted"]]
        pairs = list(zip(got, wanted, strict=True))
        wrong = [pair for pair in pairs if not core.close(*pair)]
        if not wrong:
            return table["tried"]
        for diagnosis, prints in table["mistakes"]:
            if all(_fits(g, p) for g, p in zip(got, prints, strict=True)):
                raise core.Wrong(diagnosis)
        raise core.Wrong(core._difference(*wrong[0], len(wrong), len(pairs), 1e-4))

    return run(answer)


def _tensor(item):
    """A stored tensor, or the number that stands there."""
    if not isinstance(item, dict):
        return item
    values = torch.tensor(item["values"], dtype=getattr(torch, item["dtype"]))
    return values.reshape(item["shape"])


def _fits(got: Mapping[str, Tensor], prints: Mapping[str, list]) -> bool:
    if got.keys() != prints.keys():
        return False
    for name, (shape, number, scale) in prints.items():
        own = fingerprint(got[name])
        near = abs(own[1] - number) <= PRINT_TOLERANCE * max(scale, 1e-6)
        if own[0] != shape or not near:
            return False
    return True
