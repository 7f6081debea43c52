"""What every check is made of: a verdict, a comparison, and mistakes known by name."""

import functools
import html
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

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
            f'<div style="border-left: 4px solid {colour}; padding-left: 0.8em">'
            f"<b>{_MARKS[self.status]} Exercise {html.escape(self.exercise)}: "
            f"{self.status}.</b> {html.escape(self.message)}</div>"
        )


class Wrong(Exception):
    """Raised inside a check; its text is the diagnosis the learner reads."""


def check(exercise: str) -> Callable[[Callable], Callable[..., Verdict]]:
    """Turn a function that returns what it tried, or raises Wrong, into a check."""

    def decorate(body: Callable[..., str]) -> Callable[..., Verdict]:
        @functools.wraps(body)
        def run(*answers: Any) -> Verdict:
            try:
                with torch.random.fork_rng():
                    return Verdict(exercise, RIGHT, body(*answers))
            except NotImplementedError as stub:
                text = "Replace the line that raises NotImplementedError by your code."
                return Verdict(exercise, NOT_ATTEMPTED, str(stub) or text)
            except Wrong as diagnosis:
                return Verdict(exercise, WRONG, str(diagnosis))
            except Exception as error:
                return Verdict(exercise, WRONG, _describe(error))

        return run

    return decorate


def _describe(error: Exception) -> str:
    """Name an unexpected error and the line of the learner's cell that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "vae_helpers" not in f.filename and f.line]
    own = [f for f in own if "site-packages" not in f.filename]
    where = f", in the line `{own[-1].line}`" if own else ""
    return f"Your code stopped with {type(error).__name__}: {error}{where}."


def parts(value: Any, name: str = "result") -> dict[str, Tensor]:
    """Flatten a result (number, tensor, tuple, list, dict of these) to named tensors."""
    if value is None:
        raise Wrong("Your function returned None. Does it end with `return ...`?")
    if isinstance(value, Mapping):
        found = {}
        for key, item in value.items():
            found |= parts(item, f"{name}[{key!r}]")
        return found
    if isinstance(value, tuple | list):
        found = {}
        for number, item in enumerate(value):
            found |= parts(item, f"{name}[{number}]")
        return found
    try:
        tensor = torch.as_tensor(value)
        if tensor.dtype in (torch.bool, torch.float16, torch.bfloat16):
            tensor = tensor.float()
        return {name: tensor}
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(value).__name__
        raise Wrong(f"Your function returned a {kind}; a tensor is needed.") from error


def evaluate(
    answer: Callable, case: Sequence[Any], gradients: bool, seed: int = 0
) -> dict[str, Tensor]:
    """Call the answer on copies of a case; with gradients, add those of its inputs.

    The gradient is that of a sum of the outputs with fixed random weights. A missing
    gradient counts as zero: that is what an optimiser would do with it.
    """
    copies = [_copy(item, gradients) for item in case]
    torch.manual_seed(seed)
    results = parts(answer(*copies))
    for copy, original in zip(copies, case, strict=True):
        if isinstance(copy, Tensor) and not torch.equal(copy.detach(), original):
            raise Wrong(
                "Your function changed a tensor it was given. Make a new tensor instead "
                "(no `+=`, no method that ends in an underscore on the inputs)."
            )
    if not gradients:
        return {name: tensor.detach() for name, tensor in results.items()}
    weights = torch.Generator().manual_seed(seed + 1)
    total = 0.0
    for tensor in results.values():
        total = total + (torch.randn(tensor.shape, generator=weights) * tensor).sum()
    leaves = {
        f"gradient of argument {number + 1}": copy
        for number, copy in enumerate(copies)
        if isinstance(copy, Tensor) and copy.requires_grad
    }
    values = list(leaves.values())
    flow = isinstance(total, Tensor) and total.requires_grad
    found = torch.autograd.grad(total, values, allow_unused=True) if flow else ()
    found = found or [None] * len(values)
    for (name, leaf), gradient in zip(leaves.items(), found, strict=True):
        results[name] = torch.zeros_like(leaf) if gradient is None else gradient
    return {name: tensor.detach() for name, tensor in results.items()}


def _copy(item: Any, gradients: bool) -> Any:
    if not isinstance(item, Tensor):
        return item
    copy = item.detach().clone()
    return copy.requires_grad_(gradients and copy.is_floating_point())


def close(a: Mapping[str, Tensor], b: Mapping[str, Tensor], tol: float = 1e-4) -> bool:
    """Same names, shapes and, within a relative tolerance, values."""
    return a.keys() == b.keys() and all(
        a[name].shape == b[name].shape
        and torch.allclose(
            a[name].double().cpu(),
            b[name].double().cpu(),
            rtol=tol,
            atol=tol / 10,
            equal_nan=True,
        )
        for name in a
    )


def compare(
    answer: Callable,
    reference: Callable,
    cases: Sequence[Sequence[Any]],
    mistakes: Sequence[tuple[Callable, str]] = (),
    *,
    gradients: bool = False,
    tol: float = 1e-4,
) -> None:
    """Raise Wrong unless the answer agrees with the reference on every case.

    Args:
        answer: the learner's function.
        reference: a right one.
        cases: tuples of arguments; the answer gets copies.
        mistakes: (function, diagnosis) pairs. If the answer agrees with one of these
            functions on all cases, the diagnosis is what the learner reads.
        gradients: compare the gradients of the inputs as well.
        tol: relative tolerance.
    """
    got = []
    for seed, case in enumerate(cases):
        got.append(evaluate(answer, case, gradients, seed))
    wanted = [evaluate(reference, c, gradients, i) for i, c in enumerate(cases)]
    wrong = [i for i in range(len(cases)) if not close(got[i], wanted[i], tol)]
    if not wrong:
        return
    for mistake, diagnosis in mistakes:
        try:
            fits = all(
                close(got[i], evaluate(mistake, case, gradients, i), tol)
                for i, case in enumerate(cases)
            )
        except Exception:  # a mistake may not run on every case
            continue
        if fits:
            raise Wrong(diagnosis)
    raise Wrong(
        _difference(got[wrong[0]], wanted[wrong[0]], len(wrong), len(cases), tol)
    )


def _difference(
    got: Mapping[str, Tensor], want: Mapping[str, Tensor], wrong: int, all_: int, tol
) -> str:
    if len(want) < len(got) and "result" in want and "result[0]" in got:
        return (
            "Your function returned a list or tuple. Put the parts into one tensor: "
            "`torch.stack`."
        )
    if got.keys() != want.keys():
        return (
            f"Your function returned {_names(got)}; needed is {_names(want)}. "
            "Look at the names and the number of things in the return line."
        )
    for name in want:
        if got[name].shape != want[name].shape:
            return (
                f"{name} has shape {tuple(got[name].shape)}; needed is "
                f"{tuple(want[name].shape)}."
            )
    name = next(n for n in want if not close({n: got[n]}, {n: want[n]}, tol))
    a, b = got[name].double().flatten(), want[name].double().flatten()
    at = int((a - b).abs().nan_to_num(nan=torch.inf).argmax())
    return (
        f"On {wrong} of {all_} random inputs {name} differs: for example {a[at]:.4g} "
        f"where {b[at]:.4g} is right. None of the usual mistakes gives this; work the "
        "smallest case by hand and compare."
    )


def _names(found: Mapping[str, Tensor]) -> str:
    return ", ".join(found) if len(found) < 8 else f"{len(found)} tensors"


def need_shape(tensor: Any, shape: tuple[int, ...], name: str, meaning: str) -> Tensor:
    """Return the tensor if it has the shape; else Wrong, with what each axis means."""
    if not isinstance(tensor, Tensor):
        raise Wrong(f"{name} is a {type(tensor).__name__}; a tensor is needed.")
    if tuple(tensor.shape) != shape:
        raise Wrong(
            f"{name} has shape {tuple(tensor.shape)}; needed is {shape}, {meaning}."
        )
    return tensor
