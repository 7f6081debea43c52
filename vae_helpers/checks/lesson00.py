"""Checks of lesson 00."""

import torch

from vae_helpers.checks.core import Wrong, check, compare


@check("00.1 scale_pixels")
def scale_pixels(answer) -> str:
    """(...) uint8 -> (...) float32 in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(4, 1, 28, 28), (1, 1, 28, 28), (3, 5)] + [(2, 7)] * 7
    cases = [
        (torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8),)
        for shape in shapes
    ]
    cases.append((torch.tensor([0, 255], dtype=torch.uint8),))
    mistakes = [
        (
            lambda x: x // 255,
            "Everything but pure white became 0: `//` divides whole numbers and drops "
            "what is left. Make it a float tensor first.",
        ),
        (
            lambda x: (x / 255).to(torch.uint8),
            "Everything but pure white became 0: the result was stored as whole numbers "
            "again.",
        ),
        (
            lambda x: x.float() / 256,
            "Close: you divided by 256. The largest byte is 255, and white must be 1.",
        ),
        (lambda x: x.float(), "The values are still from 0 to 255: divide them."),
        (
            lambda x: (x.float() / 255 - 0.1307) / 0.3081,
            "These pixels are standardised: some are negative. The Bernoulli likelihood "
            "needs values in [0, 1]; leave mean and standard deviation out.",
        ),
        (
            lambda x: x.float() / 127.5 - 1,
            "These pixels go from -1 to 1. Needed is 0 to 1.",
        ),
        (
            lambda x: x.float() / x.max(),
            "You divided by the largest pixel of the tensor: the same image would get "
            "other values in another batch. Divide by a fixed number.",
        ),
        (
            lambda x: 1 - x.float() / 255,
            "Black and white are swapped: 0 must stay 0.",
        ),
    ]
    mistakes.append(
        (
            lambda x: (x.float() - x.min()) / (x.max() - x.min()).float(),
            "You stretched each tensor from its smallest to its largest pixel: the same "
            "image would get other values in another batch. Divide by 255.",
        )
    )
    compare(answer, lambda x: x.float() / 255, cases, mistakes)
    kind = answer(cases[0][0]).dtype
    if kind != torch.float32:
        raise Wrong(f"The values are right, but their type is {kind}; use float32.")
    return f"{len(cases)} tensors: shapes, values and type."
