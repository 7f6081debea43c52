"""Pieces that several checks use: a layer that explains itself, and short mistakes."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from vae_helpers.checks.core import Wrong


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
        y = self.linear(x)
        return y.relu() if self.relu else y


def then(function: Callable, change: Callable[[Any], Any]) -> Callable:
    """The same function with its result changed: a short way to write a mistake."""
    return lambda *arguments: change(function(*arguments))
