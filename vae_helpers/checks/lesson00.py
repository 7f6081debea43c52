"""Checks of lesson 00."""

import torch
from torch import Tensor

from vae_helpers.checks.core import Part, Wrong, call, declare


def _scaled(images: Tensor) -> Tensor:
    return images.float() / 255


def _bytes(*shape: int) -> tuple[Tensor]:
    return (torch.randint(0, 256, shape, dtype=torch.uint8),)


def _need_float32(answer) -> None:
    result = call(answer, _bytes(2, 3))
    kind = getattr(result, "dtype", torch.float32)
    if (
        isinstance(result, Tensor)
        and result.is_floating_point()
        and kind != torch.float32
    ):
        raise Wrong(f"The result has the type {kind}; use float32.")


scale_pixels = declare(
    "00.1 scale_pixels",
    "tensors of many shapes, dark ones and a single pixel: shapes, values and type.",
    Part(
        right=_scaled,
        cases=lambda: [
            (torch.tensor([0, 51, 255], dtype=torch.uint8),),
            *[_bytes(*shape) for shape in [(2, 7), (3, 5), (4, 1, 28, 28)] * 3],
        ],
        edges=lambda: {
            "one image": _bytes(1, 1, 28, 28),
            "a tensor without axes (the text says: any shape)": _bytes(),
            "images of one colour": (torch.full((2, 3), 51, dtype=torch.uint8),),
            "images that hold nothing but 0 and 1, of 255": (
                torch.tensor([[0, 1], [1, 0]], dtype=torch.uint8),
            ),
        },
        # fmt: off
        wrong={
            "Everything but pure white became 0: `//` divides whole numbers and drops what "
            "is left, and so does a result that is stored as whole numbers again. Make it "
            "a float tensor first.": lambda x: x // 255,
            "Close: you divided by 256. The largest byte is 255, and white must be 1.": lambda x: (
                x.float() / 256
            ),
            "White became 0.99: you divided by 256 and cut off what is above 0.99. The "
            "largest byte is 255; with the right divisor nothing needs cutting.": lambda x: (
                (x.float() / 256).clamp(max=0.99)
            ),
            "The values are still from 0 to 255: divide them.": lambda x: x.float(),
            "These pixels are standardised: some are negative. The Bernoulli likelihood "
            "needs values in [0, 1]; leave mean and standard deviation out.": lambda x: (
                (x.float() / 255 - 0.1307) / 0.3081
            ),
            "These pixels are standardised with the mean and the spread of the tensor: the "
            "same image would get other values in another batch. Divide by 255.": lambda x: (
                (x.float() - x.float().mean()) / x.float().std()
            ),
            "These pixels go from -1 to 1. Needed is 0 to 1.": lambda x: (
                x.float() / 127.5 - 1
            ),
            "You divided by the largest pixel of the tensor: the same image would get "
            "other values in another batch. Divide by a fixed number.": lambda x: (
                x.float() / x.max()
            ),
            "Black and white are swapped: 0 must stay 0.": lambda x: (
                1 - x.float() / 255
            ),
            "You stretched each tensor from its smallest to its largest pixel: the same "
            "image would get other values in another batch. Divide by 255.": lambda x: (
                (x.float() - x.min()) / (x.max() - x.min()).float()
            ),
            "You divide only where some pixel is above 1. A dark image would be taken for "
            "one that is scaled already; bytes always need the 255.": lambda x: (
                x / 255 if x.max() > 1 else x.float()
            ),
        },
        # fmt: on
        tol=1e-5,
        before=[_need_float32],
    ),
)
