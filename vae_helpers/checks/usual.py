"""Families of mistakes that come back in every lesson, each worded once.

A family takes a right function and returns a table {diagnosis: wrong function}. Tables
are joined with `|`; where two mistakes agree on all cases the first one speaks.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vae_helpers.checks.evaluate import Wrong
from vae_helpers.checks.words import CUT

Table = dict[str, Callable]
EACH = "Return one number for each example, shape (B,)."
SQUEEZED = (
    "`.squeeze()` takes away every axis of size 1, the batch axis of a single image too. "
    "Say which axis you mean: `.squeeze(1)`, or sum with `dim=1`."
)


def then(function: Callable, change: Callable) -> Callable:
    """The function, its result changed."""

    def changed(*arguments: Any) -> Any:
        return change(function(*arguments))

    return changed


def cut(function: Callable) -> Callable:
    """The function with results that carry no gradient."""
    return then(function, torch.detach)


def reduced(right: Callable, sign: str) -> Table:
    """How a result of shape (B,) is returned wrongly: sign, batch, axes, gradient.

    Args:
        right: (B, ...) arguments -> (B,).
        sign: diagnosis of a flipped sign, which differs from task to task.
    """
    return {
        sign: then(right, torch.neg),
        f"You took the mean over the batch. {EACH}": then(right, torch.mean),
        f"You summed over the batch too. {EACH}": then(right, torch.sum),
        "The summed axis is still there, shape (B, 1). It broadcasts wrongly later; needed "
        "is (B,).": then(right, lambda r: r[:, None]),
        f"The values are right but carry no gradient: {CUT}.": cut(right),
        SQUEEZED: then(right, torch.squeeze),
    }


def without_gradient(right: Callable, losses: Mapping[int, tuple[str, str]]) -> Table:
    """Right values from which one argument is cut off.

    Args:
        right: the function.
        losses: place of the argument -> (its name, what would not be learned).
    """

    def without(place: int) -> Callable:
        def run(*arguments: Any) -> Any:
            given = list(arguments)
            given[place] = given[place].detach()
            return right(*given)

        return run

    return {
        f"The values are right but {name} gets no gradient: {loss}.": without(place)
        for place, (name, loss) in losses.items()
    }


def kl_each(mu: Tensor, logvar: Tensor) -> Tensor:
    """(B, Z), (B, Z) -> (B, Z): KL to the standard normal of each latent, nats."""
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar)


def kl_formulas(reduce: Callable, take: Callable = lambda *a: a) -> Table:
    """The KL to the standard normal with a mistake in its formula.

    Args:
        reduce: (B, Z) -> the form in which it is asked for, such as r.sum(1).
        take: arguments of the exercise -> mu, logvar.
    """

    def of(formula: Callable) -> Callable:
        return lambda *arguments: reduce(formula(*take(*arguments)))

    return {sentence: of(formula) for sentence, formula in _KL_FORMULAS.items()}


_KL_FORMULAS: Table = {
    "You pass log sigma where log sigma^2 belongs: logvar is log sigma^2 as it is, "
    "without a half.": lambda mu, lv: kl_each(mu, 0.5 * lv),
    "The KL is twice as large as it should be: the factor one half is missing.": (
        lambda mu, lv: 2 * kl_each(mu, lv)
    ),
    "The factor one half stands before mu^2 alone; it belongs to all four terms.": (
        lambda mu, lv: 0.5 * mu**2 + lv.exp() - 1 - lv
    ),
    "The factor one half is missing before mu^2.": (
        lambda mu, lv: mu**2 + 0.5 * (lv.exp() - 1 - lv)
    ),
    "This is the KL in the other direction, from N(0, I) to q. Needed is the mean under "
    "q, from q to N(0, I).": (
        lambda mu, lv: 0.5 * ((mu**2 + 1) * (-lv).exp() - 1 + lv)
    ),
    "exp(0.5 * logvar) is sigma. The formula needs sigma squared: exp(logvar).": (
        lambda mu, lv: 0.5 * (mu**2 + torch.exp(0.5 * lv) - 1 - lv)
    ),
    "You treat logvar as log sigma, or exp(logvar) as sigma. It is log sigma^2, so "
    "exp(logvar) is already the variance.": lambda mu, lv: kl_each(mu, 2 * lv),
    "You squared exp(logvar). It is the variance already; do not square it again.": (
        lambda mu, lv: 0.5 * (mu**2 + torch.exp(2 * lv) - 1 - lv)
    ),
    "You treat logvar as the standard deviation sigma. The variance is exp(logvar).": (
        lambda mu, lv: 0.5 * (mu**2 + lv**2 - 1 - torch.log(lv**2))
    ),
    "You treat logvar as the variance. It is its logarithm: the variance is "
    "exp(logvar), and log sigma^2 is logvar.": (
        lambda mu, lv: 0.5 * (mu**2 + lv - 1 - torch.log(lv))
    ),
    "mu must be squared in the KL: it may be negative, and its sign must not matter.": (
        lambda mu, lv: 0.5 * (mu + lv.exp() - 1 - lv)
    ),
    "The -1 of every latent dimension is missing: for mu = 0, logvar = 0 the KL is 0.": (
        lambda mu, lv: 0.5 * (mu**2 + lv.exp() - lv)
    ),
    "The sign of the last term is wrong: it is minus log sigma^2.": (
        lambda mu, lv: 0.5 * (mu**2 + lv.exp() - 1 + lv)
    ),
    "The last term is log sigma^2, which is logvar itself, not half of it.": (
        lambda mu, lv: 0.5 * (mu**2 + lv.exp() - 1 - 0.5 * lv)
    ),
    "The term mu^2 is missing: codes far from 0 would cost nothing.": (
        lambda mu, lv: 0.5 * (lv.exp() - 1 - lv)
    ),
    "The KL gives logvar no gradient, though its value is right: the width of the "
    "posterior would never learn.": lambda mu, lv: kl_each(mu, lv.detach()),
    "The KL gives mu no gradient, though its value is right: the mean of the posterior "
    "would never learn.": lambda mu, lv: kl_each(mu.detach(), lv),
    "The values are right, but exp(logvar) is cut off from the gradient (`.detach()`, "
    "`.data`, `no_grad`).": (lambda mu, lv: 0.5 * (mu**2 + lv.exp().detach() - 1 - lv)),
    "The values are right, but mu gets only half of its gradient: one of the two factors "
    "of mu^2 is detached.": (
        lambda mu, lv: 0.5 * (mu * mu.detach() + lv.exp() - 1 - lv)
    ),
}


class Layer(nn.Module):
    """A linear layer that says, in words, when its input has the wrong shape."""

    def __init__(self, inputs: int, outputs: int, name: str, relu: bool = False):
        super().__init__()
        self.linear, self.name, self.relu = nn.Linear(inputs, outputs), name, relu

    def forward(self, x: Tensor) -> Tensor:
        width = self.linear.in_features
        if x.ndim != 2 or x.shape[1] != width:
            raise Wrong(
                f"`{self.name}` got a tensor of shape {tuple(x.shape)}; it takes "
                f"(B, {width}). Flatten images to (B, D) first, and give each layer what "
                "the one before it returns."
            )
        h = self.linear(x)
        return h.relu() if self.relu else h
