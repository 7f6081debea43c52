"""Checks of exercises that are gone.

Assignments that were handed out before still ask them, by the names in
`grading.sealed.MOVED`. To be removed with version 0.3.
"""

import math

import torch

from vae_helpers.checks.core import Part, Wrong, call, close, declare, parts


def _draw(*shape: int) -> torch.Tensor:
    """Standard normal values in float64, the type of the whole lesson."""
    return torch.randn(shape, dtype=torch.float64)


def _full(value: float, *shape: int) -> torch.Tensor:
    return torch.full(shape, value, dtype=torch.float64)


def _row(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


def _bits(nats, dimensions):
    return nats / (dimensions * math.log(2))


# fmt: off
BITS_MISTAKES = {
    "The sign is flipped. Converting a unit keeps the sign.":
        lambda n, d: -_bits(n, d),
    "Negative numbers lose their sign. A log-density may be positive, so minus its "
    "value may be negative.":
        lambda n, d: abs(_bits(n, d)),
    "This is nats per dimension: the step from nats to bits, ln 2, is missing. "
    "(log2(2) is 1 and converts nothing.)":
        lambda n, d: n / d,
    "This is bits per image: divide by the number of dimensions D.":
        lambda n, d: n / math.log(2),
    "You multiply by ln 2; divide by it. A bit is smaller than a nat, so the number "
    "of bits is larger.":
        lambda n, d: n * math.log(2) / d,
    "You multiply by D; divide by it.":
        lambda n, d: n / math.log(2) * d,
    "You use the logarithm to base 10. A nat belongs to the natural logarithm: "
    "math.log.":
        lambda n, d: n / (d * math.log10(2)),
    "You divide by 2 instead of its natural logarithm, ln 2.":
        lambda n, d: n / (2 * d),
    "You divide by ln(2 D). Needed is D times ln 2.":
        lambda n, d: n / math.log(2 * d),
    "You divide by D twice.":
        lambda n, d: _bits(n, d ** 2),
    "You add 8 bits. That belongs to densities of 8-bit pixels scaled to [0, 1]; here "
    "only the unit changes.":
        lambda n, d: _bits(n, d) + 8,
    "You took a mean over the batch. Keep the shape that came.":
        lambda n, d: _bits(n, d).mean(),
}
# fmt: on


def _plain_numbers(answer) -> None:
    number = call(answer, (543.4, 784))
    if not close(parts(number), parts(_bits(543.4, 784))):
        raise Wrong(
            "Right for tensors but not for a Python number: answer(543.4, 784) differs."
        )
    if not close(parts(call(answer, (-543.4, 784))), parts(_bits(-543.4, 784))):
        raise Wrong(
            "Right for tensors but not for a negative Python number: a log-density may be "
            "positive, so minus its value may be negative."
        )


bits_per_dimension = declare(
    "03.4 bits per dimension",
    "random batches, sizes from 1 to 3,072 dimensions, large numbers, and plain ones.",
    Part(
        right=_bits,
        cases=lambda: [
            (_row(math.log(2) * 2, -1.0), 2),
            *[(100 * _draw(3), 1 + (37 * i) % 800) for i in range(11)],
        ],
        edges=lambda: {
            "a tensor of one number": (_draw(1), 784),
            "a tensor without axes": (_draw(), 784),
            "a tensor with two axes": (_draw(3, 2), 784),
            "one dimension": (_draw(3), 1),
            "a million nats (does exp or a power overflow?)": (_full(1e6, 2), 784),
            "minus 7,000 nats (does exp or a power become 0?)": (-7000 + _draw(2), 784),
            "the 3,072 dimensions of a colour image": (70 * _draw(2), 3072),
            "0 nats": (_full(0, 2), 784),
        },
        wrong=BITS_MISTAKES,
        after=[_plain_numbers],
    ),
    dtype=torch.float64,
)
