"""Right and wrong answers to the exercises of lesson 01."""

import math

import torch
from torch import nn

from vae_helpers.checks import lesson01 as check


def pca_eigh(train, x, size):
    mean = train.mean(0)
    _, vectors = torch.linalg.eigh((train - mean).T @ (train - mean))
    v = vectors[:, -size:]
    return (x - mean) @ v @ v.T + mean


def pca_lowrank(train, x, size):
    mean = train.mean(0, keepdim=True)
    v = torch.linalg.svd(train - mean).Vh[:size]
    out = torch.zeros_like(x)
    for row in range(len(x)):
        out[row] = mean[0] + sum(((x[row] - mean[0]) @ d) * d for d in v)
    return out


def pca_uncentred(train, x, size):
    v = torch.linalg.svd(train, full_matrices=False).Vh[:size]
    return x @ v.T @ v


def pca_smallest(train, x, size):
    mean = train.mean(0)
    _, vectors = torch.linalg.eigh((train - mean).T @ (train - mean))
    v = vectors[:, :size]
    return (x - mean) @ v @ v.T + mean


def pca_code(train, x, size):
    mean = train.mean(0)
    return (x - mean) @ torch.linalg.svd(train - mean, full_matrices=False).Vh[:size].T


def pca_columns(train, x, size):
    mean = train.mean(0)
    v = torch.linalg.svd(train - mean, full_matrices=False).Vh[:, :size]
    return mean + (x - mean) @ v @ v.T


class Plain(nn.Module):
    """Written out layer by layer."""

    def __init__(self, pixels, hidden, code_size):
        super().__init__()
        self.into, self.code = nn.Linear(pixels, hidden), nn.Linear(hidden, code_size)
        self.out, self.back = nn.Linear(code_size, hidden), nn.Linear(hidden, pixels)

    def encode(self, x):
        return self.code(self.into(x.reshape(len(x), -1)).relu())

    def forward(self, x):
        return self.back(self.out(self.encode(x)).relu()).reshape(x.shape)


class InOneChain(nn.Module):
    def __init__(self, pixels, hidden, code_size):
        super().__init__()
        sizes = [pixels, hidden, code_size, hidden, pixels]
        layers = [nn.Linear(*pair) for pair in zip(sizes, sizes[1:], strict=False)]
        self.layers = nn.ModuleList(layers)

    def forward(self, x):
        h = torch.flatten(x, 1)
        for number, layer in enumerate(self.layers):
            h = layer(h)
            h = torch.relu(h) if number in (0, 2) else h
        return h.view_as(x)


class WithoutSuper(Plain):
    def __init__(self, pixels, hidden, code_size):
        self.into = nn.Linear(pixels, hidden)


class NotFlattened(Plain):
    def encode(self, x):
        return self.code(self.into(x).relu())


class ForDigits(Plain):
    def forward(self, x):
        return super().forward(x.view(-1, 1, 28, 28))


class ReluBehindTheCode(Plain):
    def encode(self, x):
        return super().encode(x).relu()


class SigmoidAtTheEnd(Plain):
    def forward(self, x):
        return super().forward(x).sigmoid()


class SquashedCode(Plain):
    def encode(self, x):
        return super().encode(x).tanh()


class WithoutRelu(Plain):
    def encode(self, x):
        return self.code(self.into(x.flatten(1)))

    def forward(self, x):
        return self.back(self.out(self.encode(x))).view_as(x)


class DetachedCode(Plain):
    def encode(self, x):
        return super().encode(x).detach()


class GivesTheCodeToo(Plain):
    def forward(self, x):
        return self.encode(x), super().forward(x)


class LeavesTheShape(Plain):
    def forward(self, x):
        return super().forward(x).flatten(1)


class Noisy(Plain):
    def encode(self, x):
        return super().encode(x) + 0.1 * torch.randn(len(x), 1)


class NoBottleneck(InOneChain):
    def __init__(self, pixels, hidden, code_size):
        super().__init__(pixels, hidden, pixels)


class WithBatchNorm(Plain):
    def encode(self, x):
        h = super().encode(x)
        return (h - h.mean(0)) / (h.std(0, unbiased=False) + 1e-3)


def loop(model, batches, optimizer):
    losses = []
    for x in batches:
        optimizer.zero_grad()
        error = (model(x) - x).pow(2)
        loss = error.sum() / len(x)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def loop_clears_last(model, batches, optimizer):
    losses = []
    for x in batches:
        loss = torch.nn.functional.mse_loss(model(x), x, reduction="sum") / x.shape[0]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses += [loss.detach().item()]
    return losses


def loop_clears_between(model, batches, optimizer):
    losses = []
    for x in batches:
        loss = ((model(x) - x) ** 2).flatten(1).sum(1).mean()
        losses.append(loss.item())
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()
    return losses


def loop_keeps_tensors(model, batches, optimizer):
    losses = []
    for x in batches:
        loss = ((model(x) - x) ** 2).flatten(1).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss)
    return losses


def loop_of_its_own(model, batches, optimizer):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return loop(model, batches, optimizer)


def with_loss(loss, first="zero", last="step"):
    """The loop with another loss, or with lines in another order."""

    def run(model, batches, optimizer):
        losses = []
        for x in batches:
            value = loss(model(x), x)
            if first == "zero":
                optimizer.zero_grad()
            if first == "step":
                optimizer.step()
                optimizer.zero_grad()
            value.backward()
            if last == "step":
                optimizer.step()
            losses.append(value.item())
        return losses

    return run


def squared(output, x):
    return ((output - x) ** 2).sum((1, 2, 3)).mean()


def returns_inside(model, batches, optimizer):
    for x in batches:
        return loop(model, [x], optimizer)
    return []


def price(x, restored, pixel_bits, code_size, code_bits):
    batch, *shape = x.shape
    error = (x - restored).pow(2).sum() / batch
    return math.prod(shape) * pixel_bits / (code_size * code_bits), error


def price_by_norm(x, restored, pixel_bits, code_size, code_bits):
    bits = x[0].numel() * pixel_bits
    squares = (x - restored).reshape(len(x), -1).norm(dim=1) ** 2
    return [bits / code_size / code_bits, float(squares.mean())]


def other_ratio(ratio):
    return lambda x, r, p, z, c: (ratio(x, p, z, c), price(x, r, p, z, c)[1])


def other_error(error):
    return lambda x, r, p, z, c: (price(x, r, p, z, c)[0], error(r - x))


def hole_by_grid(codes):
    centre = codes.mean(dim=0)
    radius = (codes - centre).norm(dim=1).median()
    line = torch.linspace(-1, 1, 60) * radius
    best, place = -1.0, None
    for dx in line:
        for dy in line:
            step = torch.stack([dx, dy])
            gap = (codes - centre - step).norm(dim=1).min()
            if step.norm() <= radius and gap > best:
                best, place = gap, centre + step
    return place


def hole_by_luck(codes):
    centre = codes.mean(0)
    radius = (codes - centre).norm(dim=1).median()
    tried = centre + radius * (2 * torch.rand(4000, 2) - 1)
    tried = tried[(tried - centre).norm(dim=1) < radius]
    gaps = ((tried[:, None] - codes[None]) ** 2).sum(-1).min(dim=1).values
    return tried[gaps.argmax()].tolist()


def tried_places(codes, centre=True):
    middle = codes.mean(0)
    radius = (codes - middle).norm(dim=1).median()
    line = torch.linspace(-1, 1, 60)
    steps = torch.cartesian_prod(line, line)
    return (middle if centre else 0.0) + radius * steps[steps.norm(dim=1) <= 1]


def farthest_of_all(codes):
    low, high = codes.min(0).values, codes.max(0).values
    line = torch.linspace(0, 1, 60)
    tried = low + torch.cartesian_prod(line, line) * (high - low)
    return tried[torch.cdist(tried, codes).min(1).values.argmax()]


def least_gap(codes):
    tried = tried_places(codes)
    return tried[torch.cdist(tried, codes).min(1).values.argmin()]


def farthest_code(codes):
    tried = tried_places(codes)
    return tried[torch.cdist(tried, codes).max(1).values.argmax()]


def by_mean_distance(codes):
    tried = tried_places(codes)
    return tried[torch.cdist(tried, codes).mean(1).argmin()]


def around_zero(codes):
    tried = tried_places(codes, centre=False)
    return tried[torch.cdist(tried, codes).min(1).values.argmax()]


def gap_only(codes):
    return torch.cdist(tried_places(codes), codes).min(1).values.max()


EXERCISES = {
    "01.1": {
        "check": check.pca_reconstruct,
        "right": [(pca_eigh,), (pca_lowrank,)],
        "wrong": [
            ((pca_uncentred,), "never taken off"),
            ((pca_smallest,), "smallest variance"),
            ((pca_code,), "This is the code"),
            ((pca_columns,), "rows of `Vh`"),
            ((lambda t, x, z: x * 1,), "`x` itself"),
        ],
    },
    "01.2": {
        "check": check.write_an_autoencoder,
        "right": [(Plain, loop), (InOneChain, loop_clears_last)],
        "wrong": [
            ((WithoutSuper, loop), "before Module.__init__() call"),
            ((NotFlattened, loop), "in the line `return self.code(self.into(x)"),
            ((ForDigits, loop), "[-1, 1, 28, 28]"),
            ((ReluBehindTheCode, loop), "a ReLU behind the code"),
            ((SigmoidAtTheEnd, loop), "a sigmoid behind the decoder"),
            ((SquashedCode, loop), "squeezes its numbers"),
            ((WithoutRelu, loop), "The model is linear"),
            ((DetachedCode, loop), "No gradient of the error reaches into.weight"),
            ((GivesTheCodeToo, loop), "returns 2 things"),
            ((LeavesTheShape, loop), "The output is flat"),
            ((Noisy, loop), "something in the model is random"),
            ((NoBottleneck, loop), "no bottleneck"),
            ((WithBatchNorm, loop), "other images are in its batch"),
            ((lambda pixels, hidden, size: 3, loop), "inherits from `nn.Module`"),
            ((Plain, with_loss(squared, first="")), "never cleared"),
            ((Plain, with_loss(squared, "step", "")), "each step uses the gradient"),
            ((Plain, with_loss(squared, last="")), "have not moved"),
            ((Plain, loop_clears_between), "have not moved"),
            ((Plain, loop_keeps_tensors), "`loss.item()`"),
            ((Plain, loop_of_its_own), "not by the optimiser that you were given"),
            (
                (Plain, with_loss(lambda o, x: (o - x).pow(2).mean())),
                "mean over the pixels",
            ),
            (
                (Plain, with_loss(lambda o, x: (o - x).pow(2).sum())),
                "over the batch as well",
            ),
            (
                (Plain, with_loss(lambda o, x: squared(o, 0 * x))),
                "The target is missing",
            ),
            ((Plain, with_loss(lambda o, x: -squared(o, x))), "uphill"),
            (
                (Plain, with_loss(lambda o, x: (o - x).abs().sum((1, 2, 3)).mean())),
                "absolute error",
            ),
            ((Plain, returns_inside), "after the first batch"),
            ((Plain, lambda m, b, o: loop(m, b, o)[-1:]), "Only the last loss"),
            ((Plain, lambda m, b, o: sum(loop(m, b, o))), "added up"),
            ((Plain, lambda m, b, o: loop(m, b, o) and None), "returned None"),
        ],
    },
    "01.3": {
        "check": check.price_of_a_code,
        "right": [(price,), (price_by_norm,)],
        "wrong": [
            ((lambda *a: price(*a)[::-1],), "comes first"),
            ((lambda *a: price(*a)[0],), "Return 2 things"),
            ((other_ratio(lambda x, p, z, c: z * c / (x[0].numel() * p)),), "turn the"),
            (
                (other_ratio(lambda x, p, z, c: x[0, 0].numel() * p / (z * c)),),
                "channels",
            ),
            (
                (other_ratio(lambda x, p, z, c: x[0].numel() * p / z * c),),
                "parentheses",
            ),
            (
                (other_ratio(lambda x, p, z, c: sum(x[0].shape) * p / (z * c)),),
                "product",
            ),
            ((other_ratio(lambda x, p, z, c: x.numel() * p / (z * c)),), "all images"),
            ((other_error(lambda d: d.pow(2).mean()),), "mean over pixels"),
            ((other_error(lambda d: d.pow(2).sum()),), "over the images as well"),
            ((other_error(lambda d: d.abs().sum() / len(d)),), "absolute error"),
            ((other_error(lambda d: d.sum() / len(d)),), "not squared"),
        ],
    },
    "01.4": {
        "check": check.find_hole,
        "right": [(hole_by_grid,), (hole_by_luck,), (lambda c: hole_by_luck(c),)],
        "wrong": [
            ((farthest_of_all,), "lies outside"),
            ((least_gap,), "A hole has the largest"),
            ((farthest_code,), "farthest code of each place"),
            ((by_mean_distance,), "Your place lies inside"),
            ((lambda codes: codes.mean(0),), "mean of the codes"),
            ((lambda codes: torch.zeros(2),), "always the origin"),
            ((lambda codes: codes[0] * 1,), "a code of the cloud itself"),
            ((around_zero,), "lies outside"),
            ((gap_only,), "a distance or an index"),
            ((lambda codes: codes[:3] * 1,), "several codes"),
            ((lambda codes: None,), "returned None"),
        ],
    },
}
