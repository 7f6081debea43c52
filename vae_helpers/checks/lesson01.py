"""Checks of lesson 01."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vae_helpers.checks.core import (
    Part,
    Symptom,
    Symptoms,
    Wrong,
    call,
    close,
    declare,
)
from vae_helpers.checks.usual import SQUEEZED, then

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


# 01.2, the class

PIXELS, HIDDEN = 12, 7
BATCH = (40, 1, 3, 4)


class _Small(nn.Module):
    """The right class; `code` and `output` are put behind encoder and decoder."""

    def __init__(self, pixels, hidden, code_size, bend=nn.ReLU, code=None, output=None):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(pixels, hidden), bend(), nn.Linear(hidden, code_size)
        )
        self.decoder = nn.Sequential(
            nn.Linear(code_size, hidden), bend(), nn.Linear(hidden, pixels)
        )
        self.code, self.output = code or nn.Identity(), output or nn.Identity()

    def forward(self, x):
        z = self.code(self.encoder(x.flatten(1)))
        return self.output(self.decoder(z)).view_as(x)


class _Unregistered(_Small):
    def __init__(self, pixels, hidden, code_size):
        super().__init__(pixels, hidden, code_size)
        self.layers = [self.encoder, self.decoder]
        del self.encoder, self.decoder

    def forward(self, x):
        encoder, decoder = self.layers
        return decoder(encoder(x.flatten(1))).view_as(x)


class _Flat(_Small):
    def forward(self, x):
        return super().forward(x).flatten(1)


class _Cut(_Small):
    def forward(self, x):
        return self.decoder(self.encoder(x.flatten(1)).detach()).view_as(x)


class _Mixed(_Small):
    def forward(self, x):
        z = self.encoder(x.flatten(1))
        return self.decoder(z).T.reshape(x.shape)


class _Both(_Small):
    def forward(self, x):
        return super().forward(x), self.encoder(x.flatten(1))


class _Wide(_Small):
    """Has no bottleneck: the code has as many numbers as the hidden layer."""

    def __init__(self, pixels, hidden, code_size):
        super().__init__(pixels, hidden, hidden)


@dataclass
class _Model:
    """What a model of 12 pixels, 7 hidden units and a code of one number does."""

    x: Tensor  # (40, 1, 3, 4)
    output: Tensor
    again: Tensor  # the output for the same images once more
    alone: Tensor  # the outputs for each image in a batch of its own
    other: tuple[int, ...]  # shape of the output for images (2, 3, 2, 2)
    weights: int  # how many numbers are learned
    idle: list[str]  # parameters that get no gradient
    rank: int  # of the output in the pixels of one image
    equal: float  # share of images whose output others have, too; median of 5 drawings
    grows: float  # how much further the output goes when images are ten times as bright
    bent: bool  # whether the output is no linear function of the image

    def __str__(self) -> str:
        return (
            f"{self.weights} weights, and outputs of shape {tuple(self.output.shape)}"
        )


def _build(answer: Callable, code_size: int) -> nn.Module:
    model = call(lambda: answer(PIXELS, HIDDEN, code_size), ())
    if not isinstance(model, nn.Module):
        raise Wrong(
            "`SmallAutoencoder` must be a class that inherits from `nn.Module`."
        )
    return model


def _output(model: nn.Module, x: Tensor, seed: int = 0) -> Tensor:
    output = call(model, (x,), seed)
    if isinstance(output, tuple | list):
        raise Wrong(
            f"`forward` returns {len(output)} things. Return the reconstruction alone."
        )
    if not isinstance(output, Tensor):
        raise Wrong("`forward` must return the reconstruction, a tensor.")
    return output


def _draw_weights(model: nn.Module, generator: torch.Generator) -> None:
    """Larger ones than PyTorch's, so that bends show."""
    for parameter in model.parameters():
        drawn = torch.randn(parameter.shape, generator=generator)
        parameter.data = 2 * drawn / max(1, parameter[0].numel()) ** 0.5


def _measure(answer: Callable) -> _Model:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(BATCH, generator=generator)
    model = _build(answer, 1)
    weights = sum(p.numel() for p in model.parameters())
    _draw_weights(model, generator)
    output = _output(model, x)
    if output.requires_grad:
        output.sum().backward()
    named = dict(model.named_parameters())
    idle = [n for n, p in named.items() if p.grad is None or not p.grad.any()]
    other = _output(model, torch.rand((2, 3, 2, 2), generator=generator))
    again = _output(model, x, seed=1).detach()
    alone = torch.cat([_output(model, image[None]).detach() for image in x])
    ends = [_output(model, k * x).detach().flatten(1) for k in (0.0, 1.0, 2.0)]
    bent = not torch.allclose(ends[0] + ends[2], 2 * ends[1], atol=1e-4)
    return _Model(
        x,
        output.detach(),
        again,
        alone,
        tuple(other.shape),
        weights,
        idle,
        _rank(_build(answer, 2), x[:8]),
        _equal_outputs(_build(answer, 1), generator),
        _growth(model, generator),
        bent,
    )


def _growth(model: nn.Module, generator: torch.Generator) -> float:
    x = torch.randn(BATCH, generator=generator)
    dark, bright, glaring = (model(k * x).detach() for k in (0.0, 1e4, 1e5))
    return ((glaring - dark).norm() / (bright - dark).norm()).item()


def _equal_outputs(model: nn.Module, generator: torch.Generator) -> float:
    shares = []
    for _ in range(5):
        _draw_weights(model, generator)
        rows = model(torch.randn(BATCH, generator=generator)).detach().flatten(1)
        equal = (rows[:, None] - rows[None]).abs().amax(2) < 1e-6
        shares.append(equal.sum(1).max().item() / len(rows))
    return sorted(shares)[2]


def _rank(model: nn.Module, images: Tensor) -> int:
    """In how many directions the output follows an image: the most of a few images."""
    ranks = []
    for image in images:
        slopes = torch.autograd.functional.jacobian(
            lambda t: model(t).flatten(), image[None]
        )
        ranks.append(int(torch.linalg.matrix_rank(slopes.flatten(1), rtol=1e-4)))
    return max(ranks)


def _same(a: Tensor, b: Tensor) -> bool:
    return close({"": a}, {"": b})


def _few_values(s: _Model) -> bool:
    return s.equal > 0.2


# fmt: off
SMALL = Symptoms(
    name="SmallAutoencoder",
    right=_Small,
    measure=_measure,
    fine=lambda s: bool(s.output.isfinite().all()) and s.rank == 2,
    table=[
        Symptom(
            "The model has no weights to learn. Make the layers in `__init__` and keep each "
            "in an attribute, `self.encoder = ...`; a plain list hides them.",
            lambda s: s.weights == 0,
            _Unregistered,
        ),
        Symptom(
            "The output is flat, (B, D). Give it the shape of `x` again.",
            lambda s: s.output.shape == (len(s.x), PIXELS),
            _Flat,
        ),
        Symptom(
            lambda s: f"For images of shape {tuple(s.x.shape)} the output has shape "
            f"{tuple(s.output.shape)}, and for (2, 3, 2, 2) it has {s.other}. It must have "
            "the shape of `x`, whatever that is.",
            lambda s: s.output.shape != s.x.shape or s.other != (2, 3, 2, 2),
            type("", (_Small,), {
                "forward": lambda self, x: self.decoder(self.encoder(x.flatten(1)))
                .view(-1, 1, 3, 4)
            }),
        ),
        Symptom(
            "Two calls with the same images give two outputs: something in the model is "
            "random. An autoencoder has no noise and no dropout here.",
            lambda s: not _same(s.output, s.again),
            functools.partial(_Small, code=nn.Dropout()),
        ),
        Symptom(
            "An image gets another output when other images are in its batch: the reshape "
            "mixes images, or a layer of statistics does. Keep the batch axis.",
            lambda s: not _same(s.output, s.alone),
            _Mixed,
        ),
        Symptom(
            lambda s: f"No gradient of the error reaches {', '.join(s.idle)}. Is the code "
            "detached, or is a layer not used?",
            lambda s: bool(s.idle) and not _few_values(s),
            _Cut,
        ),
        Symptom(
            "All outputs lie between 0 and 1: there is a sigmoid behind the decoder. Return "
            "what its last layer gives.",
            lambda s: bool((s.output >= 0).all() and (s.output <= 1).all()),
            functools.partial(_Small, output=nn.Sigmoid()),
        ),
        Symptom(
            "No output is negative: there is a ReLU behind the decoder. A pixel whose "
            "output is 0 could never learn again.",
            lambda s: bool((s.output >= 0).all()),
            functools.partial(_Small, output=nn.ReLU()),
        ),
        Symptom(
            "All outputs lie between -1 and 1: there is a tanh behind the decoder. Return "
            "what its last layer gives.",
            lambda s: bool((s.output.abs() <= 1).all()),
            functools.partial(_Small, output=nn.Tanh()),
        ),
        Symptom(
            "The output hardly moves when the pixels grow: something inside squeezes its "
            "numbers, such as a sigmoid, a tanh or a softmax. Behind the first matrix of a half "
            "comes a ReLU, behind the second nothing.",
            lambda s: not s.grows >= 5,
            functools.partial(_Small, code=nn.Sigmoid()),
        ),
        Symptom(
            "Many images get the very same output: there is a ReLU behind the code. A code "
            "number may be negative.",
            _few_values,
            functools.partial(_Small, code=nn.ReLU()),
        ),
        Symptom(
            "There is no bottleneck: the output follows the image in more than `code_size` "
            "directions. The last layer of the encoder returns `code_size` numbers.",
            lambda s: s.rank > 2,
            _Wide,
        ),
        Symptom(
            "The model is linear: two layers without a ReLU between them do what one matrix "
            "does.",
            lambda s: not s.bent,
            functools.partial(_Small, bend=nn.Identity),
        ),
        Symptom(
            lambda s: f"The model has {s.weights} numbers to learn; with one hidden layer on "
            f"each side, and a bias in each layer, it has {_weights()}. Is `hidden` the width "
            "of both hidden layers?",
            lambda s: s.weights != _weights(),
            lambda pixels, hidden, code_size: _Small(pixels, hidden + 1, code_size),
        ),
    ],
)
# fmt: on


def _weights(code_size: int = 1) -> int:
    return sum(p.numel() for p in _Small(PIXELS, HIDDEN, code_size).parameters())


# 01.2, the loop


def _training(model, batches, optimizer):
    losses = []
    for x in batches:
        loss = ((model(x) - x) ** 2).flatten(1).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def _loss(model, x):
    return ((model(x) - x) ** 2).flatten(1).sum(1).mean()


def _other_loop(
    loss: Callable = _loss,
    order: str = "zbs",
    give: Callable = lambda losses: losses,
    late: bool = False,
) -> Callable:
    """A loop with another loss, another order of zero_grad, backward and step, ..."""

    def loop(model, batches, optimizer):
        losses = []
        for x in batches:
            value = loss(model, x)
            for act in order:
                if act == "z":
                    optimizer.zero_grad()
                if act == "b":
                    value.backward()
                if act == "s":
                    optimizer.step()
            losses.append((_loss(model, x) if late else value).item())
        return give(losses)

    return loop


class _Descent:
    """Gradient descent with momentum, as torch.optim.SGD; counts its steps."""

    def __init__(self, model: nn.Module, rate: float, momentum: float):
        self.parameters, self.rate = list(model.parameters()), rate
        self.momentum, self.steps = momentum, 0
        self.speeds = [torch.zeros_like(p) for p in self.parameters]

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        self.steps += 1
        for parameter, speed in zip(self.parameters, self.speeds, strict=True):
            if parameter.grad is not None:
                speed.mul_(self.momentum).add_(parameter.grad)
                parameter.data -= self.rate * speed


class _Matrix(nn.Module):
    """The smallest model: one matrix between the pixels."""

    def __init__(self, weight: Tensor):
        super().__init__()
        self.weight = nn.Parameter(weight.clone())

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self.weight.T).view_as(x)


def _on_a_matrix(answer: Callable) -> Callable:
    """Losses of the batches, and the weights that the loop leaves behind."""

    def run(weight, batches, rate, momentum):
        model = _Matrix(weight)
        optimizer = _Descent(model, rate, momentum)
        losses = answer(model, batches, optimizer)
        if isinstance(losses, list | tuple):
            if any(isinstance(loss, Tensor) and loss.requires_grad for loss in losses):
                raise Wrong(
                    "The losses are tensors that hold on to their graph: the memory would "
                    "fill up. Keep numbers: `loss.item()`."
                )
            if any(isinstance(loss, str) for loss in losses):
                raise Wrong("The losses are texts. Keep numbers: `loss.item()`.")
            losses = torch.tensor([float(loss) for loss in losses])
        moved = not torch.equal(model.weight.detach(), weight)
        if moved and not optimizer.steps:
            raise Wrong(
                "The weights move, but not by the optimiser that you were given. Call "
                "`optimizer.step()`, and make none of your own."
            )
        return losses, model.weight.detach()

    return run


def _steps(batches: int, *shape: int, momentum: float = 0.0) -> tuple:
    pixels = shape[1] * shape[2] * shape[3]
    weight = torch.eye(pixels) / 2 + 0.2 * torch.randn(pixels, pixels)
    return weight, [torch.rand(shape) for _ in range(batches)], 0.05, momentum


# fmt: off
TRAINING = Part(
    name="my_training",
    answer=1,
    right=_training,
    adapt=_on_a_matrix,
    results=("losses", "weights after the last batch"),
    strides=False,
    cases=lambda: [
        (
            torch.tensor([[0.5]]),
            [torch.tensor([[[[1.0]]]]), torch.tensor([[[[2.0]]], [[[1.0]]]])],
            0.1,
            0.0,
        ),
        *[_steps(5, 2 + i, 1 + i % 2, 2, 1 + i % 3, momentum=0.5 * (i % 2))
          for i in range(6)],
    ],
    edges=lambda: {
        "a single batch": _steps(1, 3, 1, 2, 2),
        "batches of one image": _steps(4, 1, 1, 2, 2),
        "batches of different sizes": (
            torch.eye(4) / 2, [torch.rand(n, 1, 2, 2) for n in (3, 1, 5)], 0.05, 0.0
        ),
        "no batch at all": (torch.eye(4) / 2, [], 0.05, 0.0),
    },
    wrong={
        "The gradients are never cleared: PyTorch adds each one to those before it. "
        "`optimizer.zero_grad()` is missing.": _other_loop(order="bs"),
        "The weights have not moved. `loss.backward()` and `optimizer.step()` are both "
        "needed, and nothing may clear the gradient between them.": _other_loop(order=""),
        "`optimizer.step()` comes before `loss.backward()`: each step uses the gradient of "
        "the batch before.": _other_loop(order="szb"),
        "`optimizer.step()` comes before `loss.backward()`, and the gradients are never "
        "cleared.": _other_loop(order="sb"),
        "The step goes uphill: the loss has the wrong sign.": _other_loop(
            lambda m, x: -_loss(m, x)
        ),
        "The squared error is a mean over the pixels. Sum over them, and take the mean over "
        "the batch.": _other_loop(lambda m, x: ((m(x) - x) ** 2).mean()),
        "The squared error is summed over the batch as well. Sum over the pixels, and take "
        "the mean over the batch.": _other_loop(lambda m, x: ((m(x) - x) ** 2).sum()),
        "The target is missing: this loss wants an output of 0. Compare the output with "
        "`x`.": _other_loop(lambda m, x: (m(x) ** 2).flatten(1).sum(1).mean()),
        "The target is the model's own output. Compare the output with `x`.": _other_loop(
            lambda m, x: ((m(x) - m(x).detach()) ** 2).flatten(1).sum(1).mean()
        ),
        "The target is another image of the batch. Compare each output with its own `x`.":
            _other_loop(
                lambda m, x: ((m(x) - x.roll(1, 0)) ** 2).flatten(1).sum(1).mean()
            ),
        "This is the absolute error; needed is the squared one.": _other_loop(
            lambda m, x: (m(x) - x).abs().flatten(1).sum(1).mean()
        ),
        "This is the distance, the root of the squared error. Leave the root out.":
            _other_loop(lambda m, x: (m(x) - x).flatten(1).norm(dim=1).mean()),
        "A factor one half stands before the squared error. Leave it out.": _other_loop(
            lambda m, x: 0.5 * _loss(m, x)
        ),
        "The loss is measured again after the step. Keep the one whose gradient the step "
        "used.": _other_loop(late=True),
        "Only the last loss is returned. Return one number for each batch.": _other_loop(
            give=lambda losses: losses[-1:]
        ),
        "The mean of the losses is returned. Return one number for each batch.":
            _other_loop(give=lambda losses: sum(losses) / max(1, len(losses))),
        "The losses are added up. Return one number for each batch.": _other_loop(give=sum),
        "The loop stops after the first batch. Does `return` stand inside it?":
            lambda model, batches, optimizer: _training(model, batches[:1], optimizer),
        "All batches go through in one step. Take a step for each of them.":
            lambda model, batches, optimizer: _training(
                model, [torch.cat(batches)], optimizer
            ),
    },
)
# fmt: on

write_an_autoencoder = declare(
    "01.2 SmallAutoencoder and my_training",
    "images of several shapes, alone and in batches; five steps with tiny models, whose "
    "losses and weights were worked out.",
    SMALL,
    TRAINING,
)


# 01.3


def _price(x, restored, pixel_bits, size, code_bits):
    ratio = x[0].numel() * pixel_bits / (size * code_bits)
    return ratio, ((restored - x) ** 2).flatten(1).sum(1).mean()


def _ratio(change: Callable) -> Callable:
    """The price with another ratio; change takes shape, bits, size, bits and the ratio."""

    def price(x, restored, p, z, c):
        ratio, error = _price(x, restored, p, z, c)
        return change(x[0].shape, p, z, c, ratio), error

    return price


def _error(change: Callable) -> Callable:
    """The price with another error; change takes the differences, (B, C, H, W)."""
    return lambda x, restored, p, z, c: (
        _price(x, restored, p, z, c)[0],
        change(restored - x),
    )


# fmt: off
PRICE_MISTAKES = {
    "The error comes first; needed is the ratio, then the error.":
        lambda *a: _price(*a)[::-1],
    "This is bits of the code over bits of the image: turn the fraction round.":
        _ratio(lambda s, p, z, c, ratio: 1 / ratio),
    "784 pixels are built in: use the shape of `x`.":
        _ratio(lambda s, p, z, c, ratio: 784 * p / (z * c)),
    "This compares numbers, not bits: a pixel and a code number need different bits.":
        _ratio(lambda s, p, z, c, ratio: s.numel() / z),
    "The channels are missing: an image has C times H times W pixels.":
        _ratio(lambda s, p, z, c, ratio: s[1] * s[2] * p / (z * c)),
    "Bits of all images of the batch stand over those of one code. Take one image.":
        lambda x, r, p, z, c: (x.numel() * p / (z * c), _price(x, r, p, z, c)[1]),
    "C, H and W are added; the number of pixels is their product.":
        _ratio(lambda s, p, z, c, ratio: sum(s) * p / (z * c)),
    "The ratio is cut off to a whole number: use `/`, not `//`.":
        _ratio(lambda s, p, z, c, ratio: float(int(ratio))),
    "This is the share of bits saved. Needed is bits of the image over bits of code.":
        _ratio(lambda s, p, z, c, ratio: 1 - 1 / ratio),
    "8 and 32 bits are fixed in your answer: use `pixel_bits` and `code_bits`.":
        _ratio(lambda s, p, z, c, ratio: s.numel() * 8 / (z * 32)),
    "The order of operations: put the product in the denominator in parentheses.":
        _ratio(lambda s, p, z, c, ratio: s.numel() * p / z * c),
    "The error is a mean over pixels. Sum over pixels, mean over images.":
        _error(lambda d: (d**2).mean()),
    "The error is summed over the images as well. Sum over pixels, mean over images.":
        _error(lambda d: (d**2).sum()),
    "The error is one number for each image. Take the mean over the images.":
        _error(lambda d: (d**2).flatten(1).sum(1)),
    "This is the absolute error; needed is the squared one.":
        _error(lambda d: d.abs().flatten(1).sum(1).mean()),
    "This is the distance, the root of the squared error. Leave the root out.":
        _error(lambda d: d.flatten(1).norm(dim=1).mean()),
    "The difference is not squared: errors of both signs cancel.":
        _error(lambda d: d.flatten(1).sum(1).mean()),
    "The difference is squared after the sum: errors of both signs cancel.":
        _error(lambda d: (d.flatten(1).sum(1) ** 2).mean()),
}
# fmt: on


def _sizes(count):
    draw = lambda low, high: int(torch.randint(low, high, ()))  # noqa: E731
    for _ in range(count):
        shape = draw(2, 5), draw(1, 4), draw(2, 9), draw(2, 9)
        yield *_images(*shape), draw(1, 17), draw(1, 60), draw(4, 65)


def _images(*shape):
    return torch.rand(shape), torch.rand(shape)


price_of_a_code = declare(
    "01.3 price_of_a_code",
    "many sizes and bits, also codes that are larger than the image.",
    Part(
        right=_price,
        results=("ratio", "error"),
        cases=lambda: [
            (
                torch.tensor([[[[0.0, 1.0, 1.0]]], [[[0.0, 0.0, 1.0]]]]),
                torch.tensor([[[[0.0, 0.5, 1.0]]], [[[0.5, 0.5, 0.0]]]]),
                8,
                2,
                6,
            ),
            (*_images(3, 1, 28, 28), 8, 20, 32),
            *_sizes(14),
        ],
        edges=lambda: {
            "images of one pixel": (*_images(3, 1, 1, 1), 8, 2, 32),
            "one image": (*_images(1, 1, 4, 4), 8, 2, 32),
            "one bit for a pixel": (*_images(2, 1, 28, 28), 1, 20, 32),
            "three channels": (*_images(2, 3, 32, 32), 8, 128, 16),
            "a code that is larger than the image (the ratio is below 1)": (
                *_images(2, 1, 4, 4),
                8,
                100,
                32,
            ),
            "images that are restored exactly": (
                torch.full((2, 1, 2, 2), 0.5),
                torch.full((2, 1, 2, 2), 0.5),
                8,
                2,
                32,
            ),
        },
        wrong=PRICE_MISTAKES,
    ),
)


# 01.4


def _within(codes: Tensor, steps: int) -> Tensor:
    """A grid of codes no further from the mean than half of the codes are: (M, 2)."""
    centre = codes.mean(0)
    reach = (codes - centre).norm(dim=1).median()
    line = torch.linspace(-1, 1, steps, dtype=codes.dtype)
    grid = torch.cartesian_prod(line, line)
    return centre + reach * grid[grid.norm(dim=1) <= 1]


def largest_hole(codes: Tensor, steps: int = 41) -> Tensor:
    """The code of a grid, in the middle of a cloud, whose nearest neighbour is farthest.

    Args:
        codes: (N, 2) codes of images.
        steps: points of the grid along each axis.

    Returns:
        (2,) a code no further from the mean of all codes than half of them are.
    """
    tried = _within(codes, steps)
    return tried[torch.cdist(tried, codes).amin(1).argmax()]


@functools.cache
def _clouds() -> list[tuple[Tensor, float]]:
    """Codes with a hole, and the distance from its best place to the nearest code."""
    generator = torch.Generator().manual_seed(4)
    corners = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])
    found = [corners]
    for number, scale in enumerate([1.0, 0.1, 30.0, 5.0, 2.0]):
        codes = torch.randn(400, 2, generator=generator)
        hole = 0.6 * torch.randn(2, generator=generator)
        codes = codes[(codes - hole).norm(dim=1) > 0.5 + 0.1 * number]
        shift = 3 * scale * torch.randn(2, generator=generator)
        found.append(scale * codes + shift)
    return [
        (codes, _nearest(largest_hole(codes, 201), codes).item()) for codes in found
    ]


def _nearest(code: Tensor, codes: Tensor) -> Tensor:
    return (codes - code).norm(dim=1).min()


@dataclass
class _Holes:
    """Where an answer lies, on every cloud: one number each.

    Attributes:
        share: distance to the nearest code, divided by that of the best place.
        out: distance from the mean, divided by that of the median code.
        far: distance to the farthest code, divided by the largest there is inside.
        least: distance to the nearest code, less the smallest on a grid inside, over the
            largest.
        centre, origin: whether the answer is the mean of the codes, or 0.
    """

    share: Tensor
    out: Tensor
    far: Tensor
    least: Tensor
    centre: Tensor
    origin: Tensor

    def __str__(self) -> str:
        listed = ", ".join(f"{share:.0%}" for share in self.share.tolist())
        return f"distance to the nearest code, in per cent of the largest: {listed}"


def _look(answer: Callable) -> _Holes:
    rows = []
    for codes, best in _clouds():
        code = call(answer, (codes,))
        if code is None:
            raise Wrong("Your function returned None. Does it end with `return ...`?")
        if not isinstance(code, Tensor):
            try:
                code = torch.as_tensor(code, dtype=torch.float32)
            except (TypeError, ValueError, RuntimeError) as error:
                raise Wrong("Return a code, a tensor of two numbers.") from error
        if code.shape != (2,):
            what = "a distance or an index" if code.ndim == 0 else "several codes"
            raise Wrong(
                f"Your function returned {what}, shape {tuple(code.shape)}; needed is one "
                "code, shape (2,)."
            )
        code = code.detach().float()
        centre = codes.mean(0)
        distances = (codes - centre).norm(dim=1)
        tried = _within(codes, 41)
        gaps = torch.cdist(tried, codes, compute_mode="donot_use_mm_for_euclid_dist")
        rows.append(
            torch.stack(
                [
                    _nearest(code, codes) / best,
                    (code - centre).norm() / distances.median(),
                    (codes - code).norm(dim=1).max() / gaps.amax(1).max(),
                    (_nearest(code, codes) - gaps.amin(1).min()) / best,
                    (code - centre).norm() / distances.median() < 1e-3,
                    code.norm() < 1e-6,
                ]
            )
        )
    return _Holes(*torch.stack(rows).T)


def _choose(score: Callable, best: Callable = torch.argmax) -> Callable:
    """A grid inside, of which another code is returned."""

    def choose(codes):
        tried = _within(codes, 41)
        return tried[best(score(torch.cdist(tried, codes)))]

    return choose


def _in_the_box(codes):
    low, high = codes.amin(0), codes.amax(0)
    line = torch.linspace(0, 1, 41)
    tried = low + (high - low) * torch.cartesian_prod(line, line)
    return tried[torch.cdist(tried, codes).amin(1).argmax()]


def _loneliest(codes):
    gaps = torch.cdist(codes, codes).fill_diagonal_(torch.inf)
    middle = (codes - codes.mean(0)).norm(dim=1)
    return codes[torch.where(middle <= middle.median(), gaps.amin(1), 0.0).argmax()]


# fmt: off
find_hole = declare(
    "01.4 find_hole",
    "six clouds, near to 0 and far from it, narrow and wide.",
    Symptoms(
        right=largest_hole,
        measure=_look,
        fine=lambda s: bool((s.share >= 0.8).all() and (s.out <= 1.001).all()),
        table=[
            Symptom(
                "Your code is not a number (NaN or inf).",
                lambda s: not bool(s.share.isfinite().all()),
                lambda codes: codes[0] / 0.0,
            ),
            Symptom(
                "Your code is always the origin; the cloud may lie elsewhere.",
                lambda s: bool(s.origin.all()),
                lambda codes: torch.zeros(2),
            ),
            Symptom(
                "You return the mean of the codes. It lies in the middle, but not far from "
                "every code.",
                lambda s: bool(s.centre.all()),
                lambda codes: codes.mean(0),
            ),
            Symptom(
                "Your place is a code of the cloud itself, so an image is right there. A hole "
                "lies between the codes: try places of a grid.",
                lambda s: bool((s.share < 1e-4).all()),
                _loneliest,
            ),
            Symptom(
                "Your place is far from every code because it lies outside: no more than half "
                "of the codes may be nearer to the mean than it is.",
                lambda s: bool((s.out > 1.001).any()),
                _in_the_box,
            ),
            Symptom(
                "You return the place with the smallest distance to its nearest code. A hole "
                "has the largest.",
                lambda s: bool((s.least < 0.02).all()),
                _choose(lambda gaps: gaps.amin(1), torch.argmin),
            ),
            Symptom(
                "You look at the farthest code of each place. What counts is the nearest one.",
                lambda s: bool((s.far > 0.99).all()),
                _choose(lambda gaps: gaps.amax(1)),
            ),
            Symptom(
                lambda s: "Your place lies inside, but on one of the clouds its nearest code "
                f"is only {s.share.min():.0%} as far as in the largest hole. Did you take the "
                "nearest code, not the mean distance? Are there enough places?",
                lambda s: bool((s.share < 0.8).any()),
                _choose(lambda gaps: gaps.mean(1)),
            ),
        ],
    ),
)
# fmt: on
