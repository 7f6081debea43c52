"""Checks of lesson 01."""

import torch
from torch import nn

from vae_helpers.checks.core import Part, Wrong, call, declare
from vae_helpers.checks.usual import SQUEEZED, Layer, then

# 01.1


def _right_pca(train, x, size):
    mean = train.mean(0)
    kept = torch.linalg.svd(train - mean, full_matrices=False).Vh[:size]
    return (x - mean) @ kept.T @ kept + mean


def _pca(train, x, size, *, centre=True, add_back=True, first=True, own=False):
    source = x if own else train
    mean = source.mean(0) if centre else torch.zeros(train.shape[1])
    _, _, directions = torch.linalg.svd(source - mean, full_matrices=False)
    kept = directions[:size] if first else directions[-size:]
    restored = (x - mean) @ kept.T @ kept
    return restored + mean if add_back else restored


def _other_mean(train, x, size):
    _, _, directions = torch.linalg.svd(train - train.mean(0), full_matrices=False)
    kept = directions[:size]
    return x.mean(0) + (x - x.mean(0)) @ kept.T @ kept


def _project(matrix, x, size, mean):
    """x through the first right singular vectors of a matrix, around a mean."""
    kept = torch.linalg.svd(matrix, full_matrices=False).Vh[:size]
    return (x - mean) @ kept.T @ kept + mean


def _uncentred_code(train, x, size):
    mean = train.mean(0)
    kept = torch.linalg.svd(train - mean, full_matrices=False).Vh[:size]
    return x @ kept.T @ kept + mean


def _columns(train, x, size):
    mean = train.mean(0)
    kept = torch.linalg.svd(train - mean, full_matrices=False).Vh[:, :size].T
    return (x - mean) @ kept.T @ kept + mean


def _codes(train, x, size):
    mean = train.mean(0)
    _, _, directions = torch.linalg.svd(train - mean, full_matrices=False)
    return (x - mean) @ directions[:size].T


def _whitened(train, x, size):
    mean = train.mean(0)
    _, values, directions = torch.linalg.svd(train - mean, full_matrices=False)
    kept = directions[:size]
    return mean + ((x - mean) @ kept.T / values[:size]) @ kept


def _standardised(train, x, size):
    mean, spread = train.mean(0), train.std(0)
    return mean + spread * _right_pca(
        (train - mean) / spread, (x - mean) / spread, size
    )


# fmt: off
PCA_MISTAKES = {
    "The mean is never taken off: the first direction then points at the mean image. "
    "Centre the data first.":
        lambda t, x, z: _pca(t, x, z, centre=False),
    "The reconstruction lies around 0: add the mean again at the end.":
        lambda t, x, z: _pca(t, x, z, add_back=False),
    "You kept the last directions, those of smallest variance. Keep the first.":
        lambda t, x, z: _pca(t, x, z, first=False),
    "Mean and directions come from `x`. They must come from `train`: nothing may be "
    "learned from the images that are measured.":
        lambda t, x, z: _pca(t, x, z, own=True),
    "The mean comes from `x`; take the mean of `train` both times.":
        _other_mean,
    "The directions come from `train` minus the mean of `x`. Take the mean of "
    "`train`.":
        lambda t, x, z: _project(t - x.mean(0), x, z, t.mean(0)),
    "The directions come from `x`; take those of `train`.":
        lambda t, x, z: _project(x - x.mean(0), x, z, t.mean(0)),
    "Take the mean off `x` before the projection: the directions belong to centred "
    "data.":
        lambda t, x, z: _uncentred_code(t, x, z),
    "`train.mean()` is one number; `train.mean(0)` is the mean image.":
        lambda t, x, z: _project(t - t.mean(), x, z, t.mean()),
    "The directions are the rows of `Vh`: `Vh[:size]`, not its columns.":
        _columns,
    "This is the code, (B, Z). Go back to the pixels: code times directions.":
        _codes,
    "The code is divided by the singular values: the reconstruction shrinks. Leave "
    "them out.":
        _whitened,
    "This is `x` itself: nothing went through Z numbers.":
        lambda t, x, z: x,
    "Every row is the mean of `train`: the code is not used.":
        lambda t, x, z: t.mean(0).expand_as(x),
    "Every pixel is divided by its spread first: that is PCA of standardised data, which "
    "weighs dark pixels like bright ones. Take the mean off, and nothing else.":
        _standardised,
    "The directions come from `train` and `x` together. Nothing may be learned from the "
    "images that are measured.":
        lambda t, x, z: _project(torch.cat([t, x]) - t.mean(0), x, z, t.mean(0)),
    "Mean and directions come from `train` and `x` together. Nothing may be learned from "
    "the images that are measured.":
        lambda t, x, z: _right_pca(torch.cat([t, x]), x, z),
    "One direction too many is kept.":
        lambda t, x, z: _right_pca(t, x, z + 1),
    "One direction too few is kept.":
        lambda t, x, z: _right_pca(t, x, z - 1),
    SQUEEZED: then(_right_pca, torch.squeeze),
}
# fmt: on


def _data(images, pixels, size, measured=5):
    mix = torch.randn(pixels, pixels) * torch.linspace(2, 0.3, pixels)[:, None]
    shift = 2 * torch.randn(pixels)
    train = torch.randn(images, pixels) @ mix + shift
    return train, torch.randn(measured, pixels) + shift, size


def _digits():
    """As many pixels as a digit has, with 20 directions that stand out."""
    basis = torch.randn(20, 784)
    train, x = (torch.randn(n, 20) @ basis + 0.5 for n in (120, 3))
    return train, x, 20


pca_reconstruct = declare(
    "01.1 pca_reconstruct",
    "random data sets with different N, D and Z, a single image, images of 784 pixels.",
    Part(
        right=_right_pca,
        cases=lambda: [
            (
                torch.tensor([[0.0, 1.0], [2.0, 2.0], [4.0, 3.0], [6.0, 5.0]]),
                torch.tensor([[1.0, 1.0], [5.0, 3.0]]),
                1,
            ),
            *[_data(30 + i, 4 + i % 3, 1 + i % 3, 3 + i % 4) for i in range(11)],
        ],
        edges=lambda: {
            "a single image to reconstruct": _data(30, 5, 2, 1),
            "one number for the code": _data(30, 5, 1),
            "as many numbers as pixels (then nothing is lost)": _data(30, 4, 4),
            "a hundred images to reconstruct": _data(30, 5, 2, 100),
            "300 training images": _data(300, 5, 2),
            "pixels from 0 to 255": tuple(
                100 * t if isinstance(t, torch.Tensor) else t for t in _data(30, 5, 2)
            ),
            "fewer training images than pixels": _data(6, 9, 3),
            "images of 784 pixels": _digits(),
        },
        tol=1e-3,
        wrong=PCA_MISTAKES,
    ),
)


# 01.2


def _forward(x, encoder, decoder):
    code = encoder(x.flatten(1))
    return code, decoder(code).view_as(x)


def _mixed_batch(x, encoder, decoder):
    code = encoder(x.flatten(1))
    return code, decoder(code).T.reshape(x.shape)


def _detached_code(x, encoder, decoder):
    code = encoder(x.flatten(1))
    return code, decoder(code.detach()).view_as(x)


# fmt: off
FORWARD_MISTAKES = {
    "The reconstruction comes first; needed is the code, then the reconstruction.":
        then(_forward, lambda r: (r[1], r[0])),
    "The reconstruction is flat, (B, D). Give it the shape of `x` again.":
        then(_forward, lambda r: (r[0], r[1].flatten(1))),
    "There is a sigmoid behind the decoder; return what the decoder gives.":
        then(_forward, lambda r: (r[0], r[1].sigmoid())),
    "There is a ReLU behind the code. A code may be negative.":
        then(_forward, lambda r: (r[0].relu(), r[1])),
    "The decoder gets a detached code: no gradient of the error reaches the encoder.":
        _detached_code,
    "No gradient passes: something is detached or inside no_grad.":
        then(_forward, lambda r: (r[0].detach(), r[1].detach())),
    "Rows and columns of the image are swapped.":
        then(_forward, lambda r: (r[0], r[1].transpose(-1, -2).reshape(r[1].shape))),
    "The reshape mixes pixels of different images: keep the batch axis.":
        _mixed_batch,
}
# fmt: on


class _Counted(nn.Module):
    """A linear layer of given weights that counts the images it gets."""

    def __init__(self, weight, name):
        super().__init__()
        self.layer = Layer(*reversed(weight.shape), name)
        del self.layer.linear.weight
        self.layer.linear.weight, self.images = weight, 0
        nn.init.constant_(self.layer.linear.bias, 0.1)

    def forward(self, x):
        self.images += len(x)
        return self.layer(x)


def _on_weights(answer):
    """The networks are made of matrices, whose gradients can be looked at."""
    return lambda x, encoder, decoder: answer(
        x, _Counted(encoder, "encoder"), _Counted(decoder, "decoder")
    )


def _need_one_code(answer):
    """Wrong if the code that is returned is not the one that is decoded."""

    def run(x, encoder, decoder):
        first, second = _Counted(encoder, "encoder"), _Counted(decoder, "decoder")
        answer(x, first, second)
        if first.images > len(x):
            raise Wrong(
                "`encoder` is called twice. Call it once, keep the code, and give "
                "that to the decoder: with dropout or noise two calls give two codes."
            )

    call(run, _networks(3, 1, 3, 4, 2))


def _networks(size, channels, height, width, codes):
    pixels = channels * height * width
    weights = torch.randn(codes, pixels), torch.randn(pixels, codes)
    return torch.rand(size, channels, height, width), *weights


forward_pass = declare(
    "01.2 forward_pass",
    "random networks and batches of all sizes: shapes, values and gradients.",
    Part(
        right=_forward,
        cases=lambda: [
            (
                torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.5]]]]),
                torch.tensor([[1.0, -2.0]]),
                torch.tensor([[1.0], [0.5]]),
            ),
            *[
                _networks(2 + i % 3, 1 + i % 2, 3, 2 + i % 3, 1 + i % 4)
                for i in range(10)
            ],
        ],
        edges=lambda: {
            "one image in the batch": _networks(1, 1, 3, 4, 2),
            "one number for the code": _networks(3, 1, 3, 4, 1),
            "one image and one number": _networks(1, 1, 3, 4, 1),
            "three channels": _networks(2, 3, 3, 4, 2),
            "images of one pixel": _networks(3, 1, 1, 1, 2),
            "square images": _networks(3, 1, 4, 4, 2),
            "128 images, and codes of 100 numbers": _networks(128, 1, 3, 4, 100),
            "large weights (is something clamped?)": tuple(
                20 * t for t in _networks(3, 1, 3, 4, 2)
            ),
        },
        gradients=("encoder", "decoder"),
        results=("code", "reconstruction"),
        adapt=_on_weights,
        after=[_need_one_code],
        wrong=FORWARD_MISTAKES,
    ),
)


# 01.3


def _ratio(shape, pixel_bits, size, code_bits):
    return shape[0] * shape[1] * shape[2] * pixel_bits / (size * code_bits)


# fmt: off
RATIO_MISTAKES = {
    "This is bits of the code over bits of the image: turn the fraction round.":
        lambda *a: 1 / _ratio(*a),
    "784 pixels are built in: use the shape that is given.":
        lambda s, p, z, c: 784 * p / (z * c),
    "This compares numbers, not bits: a pixel and a code number need different bits.":
        lambda s, p, z, c: s[0] * s[1] * s[2] / z,
    "The channels are missing: an image has C times H times W pixels.":
        lambda s, p, z, c: s[1] * s[2] * p / (z * c),
    "Only the first number of the shape is used: an image has C times H times W "
    "pixels.":
        lambda s, p, z, c: s[0] * p / (z * c),
    "C, H and W are added; the number of pixels is their product.":
        lambda s, p, z, c: sum(s) * p / (z * c),
    "The ratio is cut off to a whole number: use `/`, not `//`.":
        lambda *a: float(int(_ratio(*a))),
    "This is the share of bits saved. Needed is bits of the image over bits of code.":
        lambda *a: 1 - 1 / _ratio(*a),
    "8 and 32 bits are fixed in your answer: use `pixel_bits` and `code_bits`.":
        lambda s, p, z, c: _ratio(s, 8, z, 32),
    "The order of operations: put the product in the denominator in parentheses.":
        lambda s, p, z, c: s[0] * s[1] * s[2] * p / z * c,
}
# fmt: on


def _sizes(count):
    draw = lambda low, high: int(torch.randint(low, high, ()))  # noqa: E731
    for _ in range(count):
        shape = (draw(1, 5), draw(4, 40), draw(4, 40))
        yield shape, draw(1, 17), draw(1, 60), draw(4, 65)


compression_ratio = declare(
    "01.3 compression_ratio",
    "many sizes and bits, also codes that are larger than the image.",
    Part(
        right=_ratio,
        cases=lambda: [((1, 2, 3), 8, 4, 6), ((1, 28, 28), 8, 20, 32), *_sizes(20)],
        edges=lambda: {
            "an image of one pixel": ((1, 1, 1), 8, 2, 32),
            "one bit for a pixel": ((1, 28, 28), 1, 20, 32),
            "three channels": ((3, 32, 32), 8, 128, 16),
            "a code that is larger than the image (the ratio is below 1)": (
                (1, 4, 4),
                8,
                100,
                32,
            ),
        },
        wrong=RATIO_MISTAKES,
    ),
)
