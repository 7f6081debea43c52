"""Run an answer on a case and turn what it returns into named tensors."""

import copy
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vae_helpers.checks import guard

CHANGED = (
    "Your function changed a tensor it was given. Make a new tensor instead "
    "(no `+=`, no method that ends in an underscore on the inputs)."
)


class Wrong(Exception):
    """Raised inside a check; its text is the diagnosis the learner reads."""


class Stub(Exception):
    """The learner's own line raised NotImplementedError: not attempted yet."""


@dataclass(frozen=True)
class Crash:
    """The error with which an answer stopped on a case."""

    error: BaseException

    def __str__(self) -> str:
        kind, text = type(self.error).__name__, str(self.error).rstrip(".")
        if isinstance(self.error, SystemExit):
            return (
                "Your code ended the program (`exit()`, `sys.exit()`). Leave the function "
                "with `return`."
            )
        frames = traceback.extract_tb(self.error.__traceback__)
        own = [f for f in frames if f.line and not guard.is_library(f.filename)]
        where = f", in the line `{own[-1].line}`" if own else ""
        return f"Your code stopped with {kind}{': ' if text else ''}{text}{where}."


Results = dict[str, Tensor]


def call(answer: Callable, case: Sequence[Any], seed: int = 0) -> Any:
    """Call an answer with copies of the arguments, which it must leave as they are.

    Raises:
        Stub: the learner's own line raises NotImplementedError.
        Wrong: an input or a setting of the notebook was changed.
    """
    return _call(answer, [_copy(item) for item in case], case, seed)


def _call(answer: Callable, copies: list, case: Sequence[Any], seed: int) -> Any:
    guard.seed_streams(seed)
    asked = [t.requires_grad for t in _tensors(copies)]
    try:
        result = answer(*copies)
    except NotImplementedError as error:
        if guard.raised_by_a_stub(error):
            raise Stub(str(error)) from error
        raise
    except RuntimeError as error:
        if "a leaf Variable that requires grad" in str(error):
            raise Wrong(CHANGED) from error
        if "a view of a leaf Variable that requires grad" in str(error):
            raise Wrong(CHANGED) from error
        raise
    finally:
        changed = guard.restore_settings()
    if changed := changed or guard.seed_was_set(seed):
        raise Wrong(changed)
    for tensor, original, wish in zip(
        _tensors(copies), _tensors(case), asked, strict=True
    ):
        if not _same(tensor.detach(), original):
            raise Wrong(CHANGED)
        if tensor.requires_grad != wish:
            raise Wrong(
                "Your function changes `requires_grad` of a tensor it was given. Leave "
                "that to the caller."
            )
    return result


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())


def _tensors(items: Any) -> list[Tensor]:
    """All tensors in nested lists, tuples and dictionaries, in their order."""
    if isinstance(items, Tensor):
        return [items]
    if isinstance(items, Mapping):
        items = list(items.values())
    if isinstance(items, list | tuple):
        return [tensor for item in items for tensor in _tensors(item)]
    return []


def _copy(item: Any, gradient: bool = False, strided: bool = False) -> Any:
    if isinstance(item, Tensor):
        if strided and item.ndim:
            item = torch.stack([item, torch.zeros_like(item)], -1)[..., 0]
        else:
            item = item.detach().clone()
        return item.detach().requires_grad_(gradient and item.is_floating_point())
    if isinstance(item, tuple | list):
        return type(item)(_copy(part) for part in item)
    if isinstance(item, dict):
        return {key: _copy(part) for key, part in item.items()}
    return copy.deepcopy(item) if isinstance(item, nn.Module) else item


def evaluate(
    answer: Callable,
    case: Sequence[Any],
    gradients: bool | Mapping[int, str] = False,
    seed: int = 0,
    *,
    results: Sequence[str] = (),
    strided: bool = False,
) -> Results:
    """Call the answer on copies of a case; with gradients, add those of its inputs.

    Args:
        answer: the learner's function, or another one.
        case: its arguments.
        gradients: places of the arguments whose gradients count -> their names; True
            stands for all of floating point.
        seed: of the random numbers that the answer may draw.
        results: names of the things that are returned, if they are several.
        strided: hand the tensors over as views with gaps between their values.

    The gradient is that of a sum of the results with fixed random weights. A missing
    gradient counts as zero: that is what an optimiser would do with it.
    """
    if gradients is True:
        gradients = {i: f"argument {i + 1}" for i in range(len(case))}
    wanted = dict(gradients or {})
    copies = [_copy(x, i in wanted, strided) for i, x in enumerate(case)]
    found = parts(_call(answer, copies, case, seed), results=results)
    leaves = {
        f"gradient of {name}": copies[i]
        for i, name in wanted.items()
        if isinstance(copies[i], Tensor) and copies[i].requires_grad
    }
    if leaves:
        found |= _gradients(found, leaves, seed)
    return {name: tensor.detach() for name, tensor in found.items()}


def _gradients(found: Results, leaves: Mapping[str, Tensor], seed: int) -> Results:
    weights = torch.Generator().manual_seed(seed + 1)
    total: Any = 0.0
    for tensor in found.values():
        weight = torch.randn(tensor.shape, generator=weights)
        if tensor.is_floating_point() and tensor.requires_grad:
            total = total + (weight.to(tensor.device) * tensor).sum()
    values = list(leaves.values())
    slopes: Sequence[Tensor | None] = [None] * len(values)
    if isinstance(total, Tensor):
        try:
            slopes = torch.autograd.grad(total, values, allow_unused=True)
        except RuntimeError as error:
            if "inplace operation" in str(error):
                raise Wrong(
                    "The gradient cannot be computed: a tensor that it needs was changed "
                    "in place (`+=`, or a method that ends in an underscore). Make a new "
                    "tensor instead."
                ) from error
            raise
    pairs = zip(leaves.items(), slopes, strict=True)
    return {n: torch.zeros_like(x) if g is None else g for (n, x), g in pairs}


def parts(value: Any, name: str = "result", results: Sequence[str] = ()) -> Results:
    """Flatten a result (number, tensor, tuple, list, dict of these) to named tensors."""
    if value is None:
        raise Wrong("Your function returned None. Does it end with `return ...`?")
    if isinstance(value, Mapping):
        items = [(f"{name}[{key!r}]", item) for key, item in value.items()]
    elif isinstance(value, tuple | list):
        names = list(results) if len(results) == len(value) else []
        names = names or [f"{name}[{i}]" for i in range(len(value))]
        items = list(zip(names, value, strict=True))
    else:
        return {name: _tensor(value)}
    found: Results = {}
    for key, item in items:
        found |= parts(item, key)
    return found


def _tensor(value: Any) -> Tensor:
    kind = type(value).__name__
    try:
        value = float(value) if kind in ("Fraction", "Decimal") else value
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        what = "text" if kind == "str" else f"a {kind}"
        raise Wrong(f"Your function returned {what}; numbers are needed.") from error
    if tensor.is_complex():
        raise Wrong("Your function returned complex numbers; real ones are needed.")
    # Booleans and short floats are compared as numbers; the rest keeps its precision.
    short = tensor.dtype in (torch.bool, torch.float16, torch.bfloat16)
    return tensor.float() if short else tensor


def close(
    a: Mapping[str, Tensor],
    b: Mapping[str, Tensor],
    tol: float = 1e-4,
    *,
    nan_is_nan: bool = False,
) -> bool:
    """Same names, shapes and, within a relative tolerance, values.

    A NaN agrees with nothing, unless two wrong answers are compared (`nan_is_nan`).
    """
    return a.keys() == b.keys() and all(
        a[name].shape == b[name].shape
        and torch.allclose(
            a[name].double().cpu(),
            b[name].double().cpu(),
            rtol=tol,
            atol=tol / 10,
            equal_nan=nan_is_nan,
        )
        for name in a
    )
