"""Checks of lesson 01."""

import torch

from vae_helpers.checks.legacy import Wrong, check, compare
from vae_helpers.checks.usual import Layer, then

CASES = 40


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
}
# fmt: on


@check("01.1 pca_reconstruct")
def pca_reconstruct(answer) -> str:
    """pca_reconstruct(train, x, size) -> (B, D)."""
    torch.manual_seed(0)
    cases = []
    for number in range(CASES):
        d, size = 4 + number % 3, 1 + number % 3
        mix = torch.randn(d, d) * torch.linspace(2, 0.3, d)[:, None]
        shift = 2 * torch.randn(d)
        cases.append(
            (torch.randn(30, d) @ mix + shift, torch.randn(5, d) + shift, size)
        )
    compare(answer, _pca, cases, PCA_MISTAKES, tol=1e-3)
    return f"{CASES} random data sets with different D and Z."


def _forward(x, encoder, decoder):
    code = encoder(x.flatten(1))
    return code, decoder(code).view_as(x)


def _mixed_batch(x, encoder, decoder):
    code = encoder(x.flatten(1))
    return code, decoder(code).T.reshape(x.shape)


# fmt: off
FORWARD_MISTAKES = {
    "The reconstruction comes first; needed is the code, then the reconstruction.":
        then(_forward, lambda r: (r[1], r[0])),
    "The reconstruction is flat, (B, D). Give it the shape of `x` again.":
        then(_forward, lambda r: (r[0], r[1].flatten(1))),
    "Only the reconstruction is returned; needed are the code and the reconstruction.":
        then(_forward, lambda r: r[1]),
    "There is a sigmoid behind the decoder; return what the decoder gives.":
        then(_forward, lambda r: (r[0], r[1].sigmoid())),
    "There is a ReLU behind the code. A code may be negative.":
        then(_forward, lambda r: (r[0].relu(), r[1])),
    "The decoder gets a detached code: no gradient of the error reaches the encoder.":
        lambda x, e, d: (e(x.flatten(1)), d(e(x.flatten(1)).detach()).view_as(x)),
    "No gradient passes: something is detached or inside no_grad.":
        then(_forward, lambda r: (r[0].detach(), r[1].detach())),
    "Rows and columns of the image are swapped.":
        then(_forward, lambda r: (r[0], r[1].transpose(-1, -2).reshape(r[1].shape))),
    "The reshape mixes pixels of different images: keep the batch axis.":
        _mixed_batch,
}
# fmt: on


@check("01.2 forward_pass")
def forward_pass(answer) -> str:
    """forward_pass(x, encoder, decoder) -> code, reconstruction."""
    torch.manual_seed(0)
    cases = []
    for number in range(CASES):
        c, h, w, z = 1 + number % 2, 3, 2 + number % 3, 1 + number % 4
        encoder, decoder = (
            Layer(c * h * w, z, "encoder"),
            Layer(z, c * h * w, "decoder"),
        )
        cases.append((torch.rand(2 + number % 3, c, h, w), encoder, decoder))
    compare(answer, _forward, cases, FORWARD_MISTAKES, gradients=True)
    return f"{CASES} random networks: shapes, values and gradients."


def _ratio(shape, pixel_bits, size, code_bits):
    return shape[0] * shape[1] * shape[2] * pixel_bits / (size * code_bits)


# fmt: off
RATIO_MISTAKES = {
    "This is bits of the code over bits of the image: turn the fraction round.":
        lambda *a: 1 / _ratio(*a),
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


@check("01.3 compression_ratio")
def compression_ratio(answer) -> str:
    """compression_ratio(image_shape, pixel_bits, code_size, code_bits) -> number."""
    torch.manual_seed(0)
    draw = lambda low, high: int(torch.randint(low, high, ()))  # noqa: E731
    cases = [((1, 28, 28), 8, 20, 32)]
    for _ in range(CASES - 1):
        shape = (draw(1, 5), draw(4, 40), draw(4, 40))
        cases.append((shape, draw(1, 17), draw(1, 60), draw(4, 65)))
    compare(answer, _ratio, cases, RATIO_MISTAKES)
    if isinstance(answer(*cases[0]), torch.Tensor):
        raise Wrong("Return a Python number, not a tensor.")
    return f"{CASES} sets of sizes and bits."
