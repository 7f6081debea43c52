"""The sentences of a check when no known mistake fits: one tiny case, worked out."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vae_helpers.checks.evaluate import Crash, Results, close

FEW = 12  # numbers that a learner still reads
CUT = (
    "`.item()`, `.detach()`, `no_grad` or a new tensor made from numbers cuts it, and "
    "nothing would be learned"
)


def difference(
    bad: Sequence[tuple], names: Sequence[str], tried: int, tol: float
) -> str:
    """What is wrong, on the smallest of the cases that differ.

    Args:
        bad: (case, result of the answer, right result) of these cases; all ordinary or
            all special ones.
        names: of the arguments.
        tried: number of all cases.
        tol: relative tolerance.
    """
    case, found, wanted = _plainest(bad)
    edge = f"Right on ordinary inputs, but not with {case.edge}. " if case.edge else ""
    crashed = [each for each in bad if isinstance(each[1], Crash)]
    if crashed:
        case, found, _ = _plainest(crashed)
        edge = edge and f"Right on ordinary inputs, but not with {case.edge}. "
        return f"{edge}{found}\n{_given(case.arguments, names)}"
    if found.keys() != wanted.keys():
        return (
            f"{edge}Your function returned {_names(found)}; needed is {_names(wanted)}. "
            "Look at the names and the number of things in the return line."
        )
    for name in wanted:
        if found[name].shape != wanted[name].shape:
            return (
                f"{edge}{_a(name)} has shape {tuple(found[name].shape)}; needed is "
                f"{tuple(wanted[name].shape)}.\n{_given(case.arguments, names)}"
            )
    values = [name for name in wanted if not name.startswith("gradient of ")]
    if all(_fine(each, values, tol) for each in bad):
        return edge + _slopes(bad, wanted, tol)
    bad = [each for each in bad if not _fine(each, values, tol)]
    case, found, wanted = _plainest(bad)
    edge = edge and f"Right on ordinary inputs, but not with {case.edge}. "
    name = next(n for n in values if not _fine((case, found, wanted), [n], tol))
    head = edge or (
        f"The values differ on {len(bad)} of {tried} inputs, and in none of the usual "
        "ways. Work this one by hand and compare:"
    )
    if not edge and not _finite(found[name]) and _finite(wanted[name]):
        head = (
            "You get inf or NaN where a number is right. Is the logarithm of 0 taken (a "
            "sigmoid rounds to 0 or 1 for sure logits), or does an exponential overflow?"
        )
    yours, right = pair(found[name], wanted[name])
    label = "" if name == "result" else f" {name}"
    return (
        f"{head.strip()}\n{_given(case.arguments, names)}\n"
        f"your{label or ' result'}: {yours}\nright{label}: {right}"
    )


def _plainest(bad: Sequence[tuple]) -> tuple:
    """The smallest ordinary case; of special ones the first, in the order of their list."""
    if bad[0][0].edge:
        return bad[0]
    return min(bad, key=lambda each: _size(each[0].arguments))


def _finite(value) -> bool:
    return not isinstance(value, torch.Tensor) or bool(value.isfinite().all())


def _fine(each: tuple, names: Sequence[str], tol: float) -> bool:
    _, found, wanted = each
    return close({n: found[n] for n in names}, {n: wanted[n] for n in names}, tol)


def _slopes(bad: Sequence[tuple], wanted: Results, tol: float) -> str:
    """Words for right values whose gradients are not: named by their arguments."""
    slopes = [name for name in wanted if name.startswith("gradient of ")]
    off = [n for n in slopes if not all(_fine(each, [n], tol) for each in bad)]
    lost = [n for n in off if all(not found[n].any() for _, found, _ in bad)]
    said = [f"`{name.removeprefix('gradient of ')}`" for name in lost or off]
    listed = " and ".join(said)
    if lost and len(lost) == len(slopes):
        return f"The values are right but carry no gradient: {CUT}."
    if lost:
        return f"The values are right, but {listed} gets no gradient: {CUT}."
    _, found, want = _plainest(bad)
    yours, right = pair(found[off[0]], want[off[0]])
    return (
        f"The values are right, but the gradient of {listed} is not: {yours} where {right} "
        "is right. A part of the formula that holds this argument is cut off from it "
        "(`.detach()`, `.item()`, `no_grad`), or an operation has another slope than the "
        "one that is meant (`round`, `clamp`, `abs`)."
    )


def _given(arguments: Sequence[Any], names: Sequence[str]) -> str:
    said = [f"{n} = {show(a)}" for n, a in zip(names, arguments, strict=False)]
    return "with " + ", ".join(said)


def show(value: Any, digits: int = 4) -> str:
    """An argument or a result in the way one would write it down."""
    if isinstance(value, Tensor | np.ndarray):
        value = torch.as_tensor(value)
        if value.numel() > FEW:
            return f"(a tensor of shape {tuple(value.shape)})"
        value = value.tolist()
    if isinstance(value, bool | str) or value is None:
        return repr(value)
    if isinstance(value, numbers.Real):
        return f"{value:.{digits}g}"
    if isinstance(value, tuple | list):
        if len(value) > FEW:
            return f"(a {type(value).__name__} of {len(value)})"
        return "[" + ", ".join(show(item, digits) for item in value) + "]"
    if isinstance(value, nn.Module) or not callable(value):
        return f"(a {type(value).__name__})"
    return f"(the function {getattr(value, '__name__', 'given')})"


def pair(found: Tensor, wanted: Tensor) -> tuple[str, str]:
    """Two results, with as many digits as it takes to tell them apart.

    Of long ones, the entry that differs most.
    """
    where = ""
    if found.numel() > FEW:
        gap = (found.double() - wanted.double()).abs().nan_to_num(nan=torch.inf)
        place = np.unravel_index(int(gap.argmax()), tuple(gap.shape))
        where = f" at place {[int(i) for i in place]}"
        found, wanted = found[place], wanted[place]
    for digits in (4, 6, 8, 10, 17):
        texts = show(found, digits), show(wanted, digits)
        if texts[0] != texts[1]:
            break
    return texts[0] + where, texts[1]


def _size(arguments: Sequence[Any]) -> int:
    total = 0
    for item in arguments:
        if isinstance(item, Tensor):
            total += item.numel()
        elif isinstance(item, tuple | list):
            total += _size(item)
    return total


def _names(found: Mapping[str, Tensor]) -> str:
    names = [name for name in found if not name.startswith("gradient of ")]
    return ", ".join(names) if len(names) < 8 else f"{len(names)} things"


def _a(name: str) -> str:
    return "The result" if name == "result" else f"`{name}`"


def kind_of_result(
    given: Any, wanted: Any, results: Sequence[str], number: bool
) -> str | None:
    """Words for a result of another type than the right function's; None if it fits."""
    if given is None:
        return None  # has its own sentence
    if results:
        if not isinstance(given, tuple | list) or len(given) != len(results):
            return (
                f"Your function returned {_kind(given)}. Return {len(results)} things, in "
                f"this order: `return {', '.join(results)}`."
            )
        for name, a, b in zip(results, given, wanted, strict=True):
            if said := kind_of_result(a, b, (), number):
                return said.replace("Your function returned", f"`{name}` is", 1)
        return None
    if number and isinstance(given, Tensor):
        return (
            "Your function returned a tensor; needed is a Python number: `.item()`. Kept "
            "tensors hold on to their graph and fill the memory."
        )
    if number and isinstance(given, np.ndarray | np.generic):
        return "Your function returned a NumPy value; needed is a Python number: `.item()`."
    if isinstance(wanted, Tensor) and not isinstance(given, Tensor):
        return _no_tensor(given)
    if isinstance(wanted, numbers.Real) and not _is_number(given):
        return f"Your function returned {_kind(given)}; a number is needed."
    if isinstance(wanted, Mapping) and not isinstance(given, Mapping):
        return f"Your function returned {_kind(given)}; a dictionary is needed."
    return None


def _is_number(given: Any) -> bool:
    if isinstance(given, Tensor | np.ndarray):
        return given.ndim == 0
    return isinstance(given, numbers.Number | np.generic)


def _no_tensor(given: Any) -> str | None:
    if _is_number(given):
        return None  # right where one number is asked for; else its shape is told
    said = f"Your function returned {_kind(given)}; needed is one tensor"
    if isinstance(given, np.ndarray):
        return f"{said}: stay with PyTorch, or end with `torch.from_numpy(...)`."
    if isinstance(given, tuple | list) and given:
        inside = all(isinstance(item, Tensor) for item in given)
        return f"{said}: `torch.{'stack' if inside else 'tensor'}(...)`."
    return f"{said}."


def _kind(given: Any) -> str:
    if isinstance(given, Tensor):
        return "one tensor"
    if isinstance(given, np.ndarray):
        return "a NumPy array"
    if isinstance(given, str):
        return "text"
    if isinstance(given, bool | np.bool_):
        return "True or False"
    if isinstance(given, numbers.Number):
        return "one number"
    if isinstance(given, tuple | list):
        inside = {type(item).__name__ for item in given}
        of = {"Tensor": "tensors", "float": "Python numbers", "int": "Python numbers"}
        kinds = {of.get(kind, f"{kind}s") for kind in inside}
        what = f" of {len(given)} {kinds.pop()}" if len(kinds) == 1 else ""
        return f"a {type(given).__name__}{what}"
    return f"a {type(given).__name__}"
