"""Checks of lesson 04."""

import contextlib
import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_helpers.checks.core import (
    Part,
    Symptom,
    Symptoms,
    Wrong,
    call,
    close,
    declare,
    parts,
)
from vae_helpers.checks.evaluate import Crash, Stub
from vae_helpers.checks.fault_logs import FAULTS, LOGS
from vae_helpers.checks.fault_logs import four_logs as four_logs  # for the lesson
from vae_helpers.checks.fault_logs import worked_log as worked_log
from vae_helpers.checks.usual import kl_each, kl_formulas, then
from vae_helpers.checks.words import kind_of_result, show

_BOTH = " `to_mu` and `to_logvar` both take what `body` returns."
_BEFORE = {  # what belongs before a layer whose input does not fit
    "body": " Flatten images to (B, D) first.",
    "to_mu": _BOTH,
    "to_logvar": _BOTH,
}


def _sizes_of_mnist(answer: Callable) -> Callable:
    """The answer; a shape with the numbers of MNIST in it gets its own words."""

    def run(*arguments):
        try:
            return answer(*arguments)
        except RuntimeError as error:
            if re.search(r"\b(784|28)\b.* is invalid for input", str(error)):
                raise Wrong(
                    "The numbers of MNIST, 784 or 28, stand in your code, and the check "
                    "uses images of other sizes. Take the sizes from what you are given: "
                    "`x.flatten(1)`, or `unflatten` with the image shape."
                ) from error
            raise

    return run


class _Layer(nn.Module):
    """A linear layer made of a weight (outputs, inputs), so that a learner can read it."""

    def __init__(self, weight: Tensor, name: str):
        super().__init__()
        self.weight, self.name = weight, name

    def forward(self, x: Tensor) -> Tensor:
        width = self.weight.shape[1]
        if x.ndim != 2 or x.shape[1] != width:
            raise ValueError(
                f"`{self.name}` got a tensor of shape {tuple(x.shape)}; it takes "
                f"(B, {width}).{_BEFORE.get(self.name, '')}"
            )
        h = x @ self.weight.T
        return h.relu() if self.name == "body" else h


def _not_random(part: Callable[[], Part]) -> Callable:
    """A probe: two calls give the same."""

    def probe(answer: Callable) -> None:
        run, case = part().adapt(answer), part().cases()[1]
        found = [parts(call(run, case, seed)) for seed in (0, 1)]
        if not close(*found, 1e-6, nan_is_nan=True):
            raise Wrong(
                f"`{part().name}` gives another result in every call: something in it is "
                "random (a sample, dropout). The noise belongs into `forward`."
            )

    return probe


def _encode(x, body, to_mu, to_logvar):
    h = body(x.flatten(1))
    return to_mu(h), to_logvar(h)


def _encoder(answer: Callable) -> Callable:
    def run(x, body, to_mu, to_logvar):
        layers = dict(body=body, to_mu=to_mu, to_logvar=to_logvar)
        return _sizes_of_mnist(answer)(
            x, *[_Layer(weight, name) for name, weight in layers.items()]
        )

    return run


def _images(b, c, h, w, hidden, z, mu=1.0, logvar=1.0, x=None) -> tuple:
    """Images and weights; mu and logvar say how far from 0 the results lie."""
    d = c * h * w
    x = torch.rand(b, c, h, w) if x is None else torch.full((b, c, h, w), x)
    body = torch.randn(hidden, d) / d**0.5
    heads = [s * torch.randn(z, hidden) / hidden**0.5 for s in (mu, logvar)]
    return x, body, *heads


# fmt: off
ENCODE = Part(
    name="encode",
    right=_encode,
    adapt=_encoder,
    before=[_not_random(lambda: ENCODE)],
    results=("mu", "logvar"),
    gradients=("body", "to_mu", "to_logvar"),
    cases=lambda: [
        (
            torch.tensor([[[[1.0, 0.0]]], [[[0.0, 1.0]]], [[[0.5, 1.0]]]]),
            torch.tensor([[1.0, 0.0], [-1.0, 1.0]]),
            torch.tensor([[2.0, 1.0], [-1.0, 0.0]]),
            torch.tensor([[0.0, -1.0], [1.0, 3.0]]),
        ),
        _images(3, 2, 3, 4, 5, 7),
        _images(4, 1, 2, 3, 6, 2),
        _images(2, 3, 4, 2, 9, 5),
        _images(5, 2, 3, 3, 4, 6, mu=3.0, logvar=3.0),
        _images(6, 3, 5, 4, 8, 3),
        _images(65, 1, 3, 2, 4, 2),
        _images(3, 1, 28, 28, 12, 20),
    ],
    edges=lambda: {
        "one image in the batch (is there a `.squeeze()`?)": _images(1, 2, 3, 4, 5, 3),
        "one latent dimension (is there a `.squeeze()`?)": _images(4, 2, 3, 2, 5, 1),
        "one image, one pixel, one latent dimension (is there a `.squeeze()`?)": _images(
            1, 1, 1, 1, 1, 1, x=0.5
        ),
        "images of one row of pixels": _images(3, 3, 1, 5, 4, 2),
        "one hidden number": _images(3, 1, 2, 2, 1, 2),
        "black images, x = 0 everywhere": _images(3, 1, 2, 3, 4, 2, x=0.0),
        "means far from 0 (is something clamped, or a tanh behind it?)":
            _images(4, 2, 3, 2, 5, 3, mu=100.0),
        "log-variances far from 0 (is something clamped, or a tanh behind it?)":
            _images(4, 2, 3, 2, 5, 3, logvar=100.0),
    },
    wrong={
        "`encode` returns logvar first; needed is mu, then logvar.":
            then(_encode, lambda r: (r[1], r[0])),
        "Both results of `encode` come from `to_mu`: the second needs `to_logvar`.":
            then(_encode, lambda r: (r[0], r[0])),
        "Both results of `encode` come from `to_logvar`: the first needs `to_mu`.":
            then(_encode, lambda r: (r[1], r[1])),
        "There is a ReLU behind mu and logvar. Both may be negative: leave it out.":
            then(_encode, lambda r: (r[0].relu(), r[1].relu())),
        "There is a ReLU behind mu. A mean may be negative: leave it out.":
            then(_encode, lambda r: (r[0].relu(), r[1])),
        "There is a ReLU behind logvar: the standard deviation could never be below 1.":
            then(_encode, lambda r: (r[0], r[1].relu())),
        "There is a tanh behind mu and logvar. Both may be any real number: leave it out.":
            then(_encode, lambda r: (r[0].tanh(), r[1].tanh())),
        "There is a tanh behind mu. A mean may be any real number: leave it out.":
            then(_encode, lambda r: (r[0].tanh(), r[1])),
        "There is a tanh behind logvar. It may be any real number: leave it out.":
            then(_encode, lambda r: (r[0], r[1].tanh())),
        "There is a softplus behind logvar. That makes a positive number, but a logarithm "
        "may be negative: leave it out.": then(
            _encode, lambda r: (r[0], F.softplus(r[1]))
        ),
        "There is a sigmoid behind mu. A mean may be any real number: leave it out.":
            then(_encode, lambda r: (r[0].sigmoid(), r[1])),
        "You return exp(logvar), the variance. Return the log-variance itself.":
            then(_encode, lambda r: (r[0], r[1].exp())),
        "You return sigma. Return the log-variance; sigma is computed where it is needed.":
            then(_encode, lambda r: (r[0], torch.exp(0.5 * r[1]))),
        "You return half of logvar, log sigma. Return the log-variance as the layer gives "
        "it.": then(_encode, lambda r: (r[0], 0.5 * r[1])),
        "No gradient reaches the encoder: something is detached or inside no_grad.":
            then(_encode, lambda r: (r[0].detach(), r[1].detach())),
    },
)
# fmt: on


def _decode(z, decoder, image_shape):
    return decoder(z).unflatten(1, image_shape)


def _decoder(answer: Callable) -> Callable:
    return lambda z, decoder, image_shape: _sizes_of_mnist(answer)(
        z, _Layer(decoder, "decoder"), image_shape
    )


def _code(b, z, *shape, size=1.0) -> tuple:
    weight = size * torch.randn(math.prod(shape), z) / z**0.5
    return torch.randn(b, z), weight, shape


# fmt: off
DECODE = Part(
    name="to_logits",
    answer=1,
    right=_decode,
    adapt=_decoder,
    before=[_not_random(lambda: DECODE)],
    gradients=("z", "decoder"),
    cases=lambda: [
        (
            torch.tensor([[1.0], [-2.0], [0.5]]),
            torch.tensor([[1.0], [-1.0], [0.0], [2.0]]),
            (1, 2, 2),
        ),
        *[
            _code(*sizes) for sizes in [
                (3, 2, 2, 3, 4), (4, 5, 3, 4, 2), (2, 7, 1, 3, 2), (5, 3, 3, 2, 5),
                (6, 2, 2, 5, 3), (65, 2, 1, 2, 3), (3, 20, 1, 28, 28),
            ]
        ],
    ],
    edges=lambda: {
        "one code in the batch (is there a `.squeeze()`?)": _code(1, 3, 2, 3, 4),
        "one latent dimension": _code(4, 1, 3, 2, 4),
        "one code of one dimension, for one pixel (is there a `.squeeze()`?)": _code(
            1, 1, 1, 1, 1
        ),
        "images of one row of pixels": _code(3, 2, 3, 1, 4),
        "logits far from 0 (is something clamped?)": _code(4, 2, 1, 3, 2, size=50.0),
        "codes of 0": (torch.zeros(3, 2), torch.randn(6, 2), (1, 3, 2)),
    },
    wrong={
        "`to_logits` applies a sigmoid. Return logits: the loss has the sigmoid inside, and "
        "two of them squeeze every probability towards a half.": then(
            _decode, torch.sigmoid
        ),
        "`to_logits` applies a ReLU. Logits may be negative: dark pixels need that.":
            then(_decode, torch.relu),
        "`to_logits` applies a tanh. Logits may be any real number: leave it out.":
            then(_decode, torch.tanh),
        "`to_logits` returns flat images (B, D). Give them the image shape again.":
            lambda z, decoder, shape: decoder(z),
        "`to_logits` returns black and white pixels. Return the logits, not a picture.":
            then(_decode, lambda r: (r > 0).float()),
        "Height and width of the image are swapped. Fill the image shape (C, H, W) as it "
        "is, row by row.": lambda z, decoder, s: (
            decoder(z).unflatten(1, (s[0], s[2], s[1])).transpose(2, 3)
        ),
        "The channels are the last axis of the numbers you took apart. Fill the image "
        "shape (C, H, W) as it is.": lambda z, decoder, s: (
            decoder(z).unflatten(1, (s[1], s[2], s[0])).movedim(3, 1)
        ),
        "No gradient passes through `to_logits`: something is detached or inside no_grad.":
            then(_decode, torch.detach),
    },
)
# fmt: on


class _FakeEncoder(nn.Module):
    """Reads mu in [-2, 2] and logvar in [-14, 14] out of the pixels themselves."""

    def __init__(self, z: int):
        super().__init__()
        self.z, self.shifts = z, torch.zeros(2, z, requires_grad=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        flat = x.flatten(1)
        if flat.shape[1] != 2 * self.z:
            raise ValueError(
                f"`encode` got a tensor of shape {tuple(x.shape)}; it takes the images x."
            )
        mu, logvar = 4 * flat[:, : self.z] - 2, 28 * flat[:, self.z :] - 14
        return mu + self.shifts[0], logvar + self.shifts[1]


class _FakeDecoder(nn.Module):
    """Returns 3 z + 1 and -z, in the shape of an image."""

    def __init__(self, shape: tuple[int, ...]):
        super().__init__()
        self.shape = shape

    def forward(self, z: Tensor) -> Tensor:
        if z.ndim != 2 or 2 * z.shape[1] != math.prod(self.shape):
            raise ValueError(
                f"`decode` got a tensor of shape {tuple(z.shape)}; it takes codes (B, Z)."
            )
        if z.dtype != torch.float32:  # linear layers stop, too
            raise ValueError(
                f"`decode` got numbers of type {z.dtype}; its weights are torch.float32."
            )
        return torch.cat([3 * z + 1, -z], 1).unflatten(1, self.shape)


@dataclass
class _Seen:
    """What `forward` did with a large batch."""

    x: Tensor
    mu: Tensor  # (B, Z), what the encoder gave
    logvar: Tensor
    given: list[Tensor]  # what was returned: logits, mu, logvar
    others: list[
        Tensor
    ]  # logits of another call, and of one in eval mode, no gradients
    slopes: list[
        Tensor
    ]  # of logits, mu and logvar in the encoder's shifts: (2, Z) each
    weights: Tensor  # of the logits in the sum that the slopes are of
    small: str  # words for an error with a single image or dimension

    def noise(self, logits: Tensor) -> Tensor:
        """(B, C, H, W) logits -> (B, Z) the noise that was in the decoded code."""
        z = -logits.flatten(1)[:, self.mu.shape[1] :]
        return (z - self.mu) / torch.exp(0.5 * self.logvar)

    @functools.cached_property
    def z(self) -> Tensor:
        """(B, Z) the code that was decoded."""
        return -self.given[0].flatten(1)[:, self.mu.shape[1] :]

    @functools.cached_property
    def eps(self) -> Tensor:
        """(B, Z) the noise that was in it."""
        return self.noise(self.given[0])

    def returned(self, place: int, tensor: Tensor) -> bool:
        return close({"": self.given[place]}, {"": tensor})

    def unit(self, noise: Tensor, reach: float = 4.0, bins: int = 3) -> bool:
        """Whether noise has mean 0 and variance 1 wherever |logvar| is below reach."""
        for k in range(bins):
            low = reach * (2 * k / bins - 1)
            here = (self.logvar >= low) & (self.logvar < low + 2 * reach / bins)
            some, far = noise[here].double(), 7 / here.sum() ** 0.5
            if not (some.mean().abs() < far and (some.var() - 1).abs() < 1.5 * far):
                return False
        return True

    def normal(self) -> bool:
        """Whether the noise is standard normal at every logvar, in middle and tails."""
        noise = self.eps.double().flatten().sort().values
        steps = torch.arange(len(noise)) / len(noise)
        gap = (torch.special.ndtr(noise) - steps).abs().max()
        fits = gap < 0.021 and noise[0] < -3 and noise[-1] > 3  # but once in 2e7 tries
        wide = (noise.std() - 1).abs() < 0.026  # five standard errors
        return bool(fits and wide) and self.unit(self.eps, 14, 7)

    def standardised(self) -> bool:
        """Whether mean and spread are 0 and 1 more exactly than chance can be."""
        noise = self.eps.double()
        return bool(noise.mean().abs() < 3e-5 and (noise.std() - 1).abs() < 3e-5)

    def slope(self, of: int) -> bool:
        """Whether the gradient of mu (0) or logvar (1) is what the sample must give."""
        w = self.weights.flatten(1).split(self.mu.shape[1], 1)
        each = 3 * w[0] - w[1]
        want = ((0.5 * (self.z - self.mu) if of else 1) * each).sum(0)
        far = 1e-2 * float(want.abs().max())
        return torch.allclose(self.slopes[0][of], want, rtol=1e-2, atol=far)

    def __str__(self) -> str:
        return (
            f"its mean is {self.eps.mean():.2g}, its standard deviation "
            f"{self.eps.std():.2g}, and it goes from {self.eps.min():.2g} to "
            f"{self.eps.max():.2g}"
        )


def _measure(answer: Callable) -> _Seen:
    generator = torch.Generator().manual_seed(0)
    shape = (2, 4, 5)
    x = torch.rand(1000, *shape, generator=generator)
    weights = torch.rand(x.shape, generator=generator)
    encode, decode = _FakeEncoder(20), _FakeDecoder(shape)
    mu, logvar = (t.detach() for t in encode(x))

    def run(x: Tensor) -> tuple:
        return answer(x, encode, decode)

    def quiet(x: Tensor) -> tuple:
        encode.eval(), decode.eval()
        with torch.no_grad():
            return run(x)

    given = call(run, (x,), 0)
    parts(given)  # has words for None
    names = "logits", "mu", "logvar"
    if said := kind_of_result(given, (x, mu, logvar), names, False):
        raise Wrong(said)
    slopes = [torch.zeros_like(encode.shifts) for _ in given]
    for place, tensor in enumerate(given):
        weight = weights if place == 0 and tensor.shape == x.shape else 1.0
        with contextlib.suppress(
            RuntimeError
        ):  # no graph, or a tensor changed in place
            total, ask = (weight * tensor).sum(), dict(retain_graph=True)
            slopes[place] = torch.autograd.grad(total, encode.shifts, **ask)[0]
    others = [call(run, (x,), 1)[0].detach(), call(quiet, (x,), 2)[0]]
    given = [tensor.detach() for tensor in given]
    return _Seen(x, mu, logvar, given, others, slopes, weights, _small(answer))


def _small(answer: Callable) -> str:
    """Words for the first odd shape on which the answer stops or has a wrong shape."""
    for b, *shape in [(1, 1, 1, 2), (1, 3, 2, 4), (3, 1, 2, 1), (2, 3, 4, 1)]:
        x, z = torch.rand(b, *shape), math.prod(shape) // 2
        what = f"a batch of shape {tuple(x.shape)} and {z} latent dimension(s)"
        try:
            given = call(answer, (x, _FakeEncoder(z), _FakeDecoder(tuple(shape))))
        except (Stub, Wrong):
            raise
        except Exception as error:
            return f"Right on ordinary inputs, but not with {what}. {Crash(error)}"
        found = [tuple(t.shape) for t in given]
        if found != [tuple(x.shape), (b, z), (b, z)]:
            return f"Right on ordinary inputs, but not with {what}: the shapes are {found}."
        if torch.equal(-given[0].flatten(1)[:, z:], given[1]):
            return (
                f"Right on ordinary inputs, but not with {what}: you decode the mean."
            )
    return ""


def _sample(mu: Tensor, logvar: Tensor) -> Tensor:
    return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)


def _forward(sample: Callable = _sample, give: Callable = lambda *r: r[:3]) -> Callable:
    """A forward pass with another sample, or that gives back something else."""

    def forward(x, encode, decode):
        mu, logvar = encode(x)
        z = sample(mu, logvar)
        return give(decode(z), mu, logvar, z)

    return forward


def _mean_if(training: bool) -> Callable:
    def forward(x, encode, decode):
        mu, logvar = encode(x)
        z = mu if encode.training == training else _sample(mu, logvar)
        return decode(z), mu, logvar

    return forward


def _always_the_same(mu, logvar):
    generator = torch.Generator().manual_seed(0)
    return mu + torch.exp(0.5 * logvar) * torch.randn(mu.shape, generator=generator)


def _standardised(mu, logvar):
    noise = torch.randn_like(mu)
    return mu + torch.exp(0.5 * logvar) * (noise - noise.mean()) / noise.std()


def _share(*axes: int) -> Callable:
    def sample(mu, logvar):
        shape = [1 if axis in axes else size for axis, size in enumerate(mu.shape)]
        return mu + torch.exp(0.5 * logvar) * torch.randn(shape)

    return sample


def _dimensions_share(s: _Seen) -> bool:
    each = torch.corrcoef(s.eps.T)
    return bool((each - torch.eye(len(each))).abs().max() > 0.3)


def _images_share(s: _Seen) -> bool:
    """Whether many rows of noise have a twin, up to their sign."""
    noise = s.eps / s.eps.std()
    gaps = torch.minimum(torch.cdist(noise, noise), torch.cdist(noise, -noise))
    return bool((gaps.fill_diagonal_(torch.inf).amin(1) < 0.05).double().mean() > 0.1)


def _none(noise: Tensor) -> bool:
    return bool(noise.abs().max() < 1e-4)


def _spread(sentence: str, place: Callable, scale: Callable) -> Symptom:
    """A mistake in the sample: it is place + scale * noise."""

    def shows(s: _Seen) -> bool:
        noise = (s.z - place(s.mu, s.logvar)) / scale(s.mu, s.logvar)
        return not s.unit(s.eps) and s.unit(noise)

    def sample(mu: Tensor, logvar: Tensor) -> Tensor:
        return place(mu, logvar) + scale(mu, logvar) * torch.randn_like(mu)

    return Symptom(sentence, shows, _forward(sample))


def _mu(mu, _logvar):
    return mu


# fmt: off
FORWARD = Symptoms(
    name="forward",
    answer=2,
    right=_forward(),
    measure=_measure,
    fine=lambda s: s.normal() and not s.standardised(),
    table=[
        Symptom(
            "The order is wrong: return the logits first, then mu and logvar.",
            lambda s: s.x.shape in (s.given[1].shape, s.given[2].shape),
            _forward(give=lambda logits, mu, lv, z: (mu, lv, logits)),
        ),
        Symptom(
            "The first result is a code, not an image: pass the sample through `decode`.",
            lambda s: s.given[0].shape == s.mu.shape,
            _forward(give=lambda logits, mu, lv, z: (z, mu, lv)),
        ),
        Symptom(
            lambda s: f"The logits have shape {tuple(s.given[0].shape)}; needed is "
            f"{tuple(s.x.shape)}, as `decode` returns them.",
            lambda s: s.given[0].shape != s.x.shape,
            _forward(give=lambda logits, mu, lv, z: (logits.flatten(1), mu, lv)),
        ),
        Symptom(
            "mu and logvar have changed places: return logits, mu, logvar.",
            lambda s: s.returned(1, s.logvar) and s.returned(2, s.mu),
            _forward(give=lambda logits, mu, lv, z: (logits, lv, mu)),
        ),
        Symptom(
            "You return sigma in the place of logvar (or logvar was changed in place). The KL "
            "would take its exponential again: return logvar itself.",
            lambda s: s.returned(2, torch.exp(0.5 * s.logvar)),
            _forward(give=lambda logits, mu, lv, z: (logits, mu, torch.exp(0.5 * lv))),
        ),
        Symptom(
            "You return the variance in the place of logvar. The KL would take its "
            "exponential again: return logvar itself.",
            lambda s: s.returned(2, s.logvar.exp()),
            _forward(give=lambda logits, mu, lv, z: (logits, mu, lv.exp())),
        ),
        Symptom(
            "You return half of logvar, which is log sigma. Return logvar itself.",
            lambda s: s.returned(2, 0.5 * s.logvar),
            _forward(give=lambda logits, mu, lv, z: (logits, mu, 0.5 * lv)),
        ),
        Symptom(
            "The second result is the sample z (or `mu` was changed in place). The KL needs "
            "mu as `encode` returned it.",
            lambda s: s.returned(1, s.z) and not s.returned(1, s.mu),
            _forward(give=lambda logits, mu, lv, z: (logits, z, lv)),
        ),
        Symptom(
            "mu or logvar is not what `encode` returned. Give both back as they are.",
            lambda s: not s.returned(1, s.mu) or not s.returned(2, s.logvar),
            _forward(give=lambda logits, mu, lv, z: (logits, mu, lv.clamp(-10, 10))),
        ),
        Symptom(
            "The logits contain NaN, as from a root or a logarithm of a negative number. logvar "
            "may be negative; only its exponential is positive.",
            lambda s: bool(s.given[0].isnan().any()),
            _forward(lambda mu, lv: mu + lv.sqrt() * torch.randn_like(mu)),
        ),
        Symptom(
            "There is a sigmoid behind `decode`. Return the logits: the loss has the sigmoid "
            "inside.",
            lambda s: bool((s.given[0] >= 0).all() and (s.given[0] <= 1).all()),
            _forward(give=lambda logits, mu, lv, z: (logits.sigmoid(), mu, lv)),
        ),
        Symptom(
            "The logits are not what `decode` returned for one sample. Give them back as they "
            "are.",
            lambda s: not close(
                {"": s.given[0].flatten(1)[:, : s.mu.shape[1]]},
                {"": 3 * s.z + 1},
            ),
            _forward(give=lambda logits, mu, lv, z: (logits.relu(), mu, lv)),
        ),
        Symptom(
            "You decode the mean in training, and a sample in eval mode or without gradients. "
            "It is the training that needs the noise: sample in every call.",
            lambda s: _none(s.eps) and not _none(s.noise(s.others[1])),
            _mean_if(training=True),
        ),
        Symptom(
            "You decode the mean: there is no noise in the code, and this is an autoencoder. "
            "The decoder must get the sample z = mu + sigma * eps.",
            lambda s: _none(s.eps),
            _forward(_mu),
        ),
        Symptom(
            "In eval mode, or without gradients, you decode the mean. The loss of the test "
            "images would be too low: sample in every call.",
            lambda s: _none(s.noise(s.others[1])),
            _mean_if(training=False),
        ),
        Symptom(
            "The noise is the same in every call: it has a seed of its own, or was drawn once "
            "and kept. Draw fresh noise in the function.",
            lambda s: close({"": s.eps}, {"": s.noise(s.others[0])}, 1e-2),
            _forward(_always_the_same),
        ),
        Symptom(
            "One single epsilon serves all images and all dimensions. Draw one number for "
            "each image and each dimension.",
            lambda s: bool(s.eps.std() < 0.05 * s.eps.mean().abs()),
            _forward(_share(0, 1)),
        ),
        _spread(
            "You use exp(logvar) as sigma, but that is the variance: a factor 0.5 is missing "
            "in the exponent.", _mu, lambda mu, lv: lv.exp(),
        ),
        _spread(
            "You use logvar itself as sigma. It is the logarithm of sigma^2: sigma is "
            "exp(0.5 * logvar).", _mu, lambda mu, lv: lv,
        ),
        _spread(
            "The half stands outside the exponential: that halves the variance. The square "
            "root needs it inside.", _mu, lambda mu, lv: 0.5 * lv.exp(),
        ),
        _spread(
            "You use exp(2 * logvar): the root takes half of the exponent, not the double.",
            _mu, lambda mu, lv: torch.exp(2 * lv),
        ),
        _spread(
            "The exponent has the wrong sign: this is one over sigma.",
            _mu, lambda mu, lv: torch.exp(-0.5 * lv),
        ),
        _spread(
            "You took the root twice: exp(0.5 * logvar) is sigma already.",
            _mu, lambda mu, lv: torch.exp(0.25 * lv),
        ),
        _spread(
            "You use softplus(logvar). It is positive, but it is not the sigma whose "
            "log-variance was given.", _mu, lambda mu, lv: F.softplus(lv),
        ),
        _spread(
            "sigma is missing: every sample has a standard deviation of 1.",
            _mu, lambda mu, lv: torch.ones_like(lv),
        ),
        _spread(
            "mu and sigma are missing: this is a draw from the prior, for every image.",
            lambda mu, lv: torch.zeros_like(mu), lambda mu, lv: torch.ones_like(lv),
        ),
        _spread(
            "mu is missing: the samples lie around 0.",
            lambda mu, lv: torch.zeros_like(mu), lambda mu, lv: torch.exp(0.5 * lv),
        ),
        _spread(
            "sigma multiplies mu as well. Scale the noise first, then shift.",
            lambda mu, lv: mu * torch.exp(0.5 * lv), lambda mu, lv: torch.exp(0.5 * lv),
        ),
        _spread(
            "mu and logvar have changed places in the sample.",
            lambda mu, lv: lv, lambda mu, lv: torch.exp(0.5 * mu),
        ),
        Symptom(
            "All dimensions of an image share one epsilon, or some of them do: the samples "
            "lie on a line. Draw one number for each image and each dimension.",
            _dimensions_share,
            _forward(_share(1)),
        ),
        Symptom(
            "Images of the batch share their noise. Draw one number for each image and each "
            "dimension.",
            _images_share,
            _forward(_share(0)),
        ),
        Symptom(
            "The sample is right for logvar near 0, but not for very small or very large ones: "
            "is something clamped, or added to sigma?",
            lambda s: s.unit(s.eps, 4, 1) and s.eps[s.logvar.abs() < 4].abs().max() < 5
            and not s.unit(s.eps, 14, 7),
            _forward(lambda mu, lv: _sample(mu, lv.clamp(-10, 10))),
        ),
        Symptom(
            "You standardise the noise over the batch. Then the noise of one image depends on "
            "that of the others; take it as `torch.randn_like` gives it.",
            lambda s: s.standardised(),
            _forward(_standardised),
        ),
        Symptom(
            lambda s: "(z - mu) / sigma, with sigma = exp(0.5 * logvar), must be standard "
            f"normal noise (`torch.randn`), but {s}.",
            lambda s: not s.normal(),
            _forward(lambda mu, lv: mu + torch.exp(0.5 * lv) * torch.rand_like(mu)),
        ),
        Symptom(
            "No gradient passes through the sample: it is detached (`sample()`, "
            "`torch.normal`, `.detach()`, `no_grad`). The encoder would learn nothing from "
            "the pictures.",
            lambda s: not s.slopes[0].any(),
            _forward(lambda mu, lv: _sample(mu, lv).detach()),
        ),
        Symptom(
            "The sample passes no gradient, or a wrong one, to logvar: sigma is cut off, and "
            "the spread would not learn from the pictures.",
            lambda s: s.slope(0) and not s.slopes[0][1].any(),
            _forward(lambda mu, lv: _sample(mu, lv.detach())),
        ),
        Symptom(
            "The sample passes no gradient, or a wrong one, to mu: something is cut off.",
            lambda s: not s.slope(0),
            _forward(lambda mu, lv: _sample(mu.detach(), lv)),
        ),
        Symptom(
            "The sample passes a wrong gradient to logvar: a part of sigma is cut off.",
            lambda s: not s.slope(1),
            _forward(lambda mu, lv: _sample(mu, 0.5 * (lv + lv.detach()))),
        ),
        Symptom(
            "mu and logvar come back without gradient: the KL could not train the encoder.",
            lambda s: not s.slopes[1].any() or not s.slopes[2].any(),
            _forward(give=lambda logits, mu, lv, z: (logits, mu.detach(), lv.detach())),
        ),
        Symptom(
            lambda s: s.small,
            lambda s: bool(s.small),
            _forward(give=lambda logits, mu, lv, z: (logits, mu.squeeze(), lv.squeeze())),
        ),
    ],
)
# fmt: on

# fmt: off
encode_decode = declare(
    "04.1 encode, sample and decode",
    "networks and images of many sizes: shapes, values and gradients; of `forward` also "
    "20,000 numbers of its noise.",
    ENCODE,
    DECODE,
    FORWARD,
)
# fmt: on


def _nats(x, logits, mu, logvar):
    nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return nats.flatten(1).sum(1)


def _reconstruction(*batch):
    return _nats(*batch).mean()


def _kls(x, logits, mu, logvar):
    return kl_each(mu, logvar).sum(1)


def _kl(*batch):
    return _kls(*batch).mean()


def _terms(*batch):
    return _reconstruction(*batch), _kl(*batch)


def _pixels(function: Callable) -> Callable:
    """The sum over pixels, and mean over the batch, of something for each pixel."""
    return lambda x, logits, mu, lv: function(x, logits).flatten(1).sum(1).mean()


def _bce(logits: Tensor, x: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none")


def _with_logarithms(logits: Tensor, x: Tensor) -> Tensor:
    """The formula as it stands on paper: NaN where a sigmoid rounds to 0 or 1."""
    p = logits.sigmoid()
    return -(x * p.log() + (1 - x) * (1 - p).log())


def _of_probabilities(logits: Tensor, x: Tensor) -> Tensor:
    """PyTorch's function of probabilities: no pixel costs more than 100 nats."""
    return F.binary_cross_entropy(logits.sigmoid(), x, reduction="none")


def _batch(b, c, h, w, z) -> tuple:
    x = torch.rand(b, c, h, w)
    logits = 4 * torch.rand(b, c, h, w) - 2
    return (
        x.round() if z % 2 else x,
        logits,
        torch.randn(b, z),
        2 * torch.rand(b, z) - 1,
    )


def _first_batch() -> tuple:
    return (
        torch.tensor([[[[1.0, 0.0]], [[1.0, 1.0]]], [[[0.0, 0.0]], [[0.5, 1.0]]]]),
        torch.tensor([[[[0.5, 1.0]], [[-1.0, 2.0]]], [[[1.0, 0.5]], [[1.0, -2.0]]]]),
        torch.tensor([[1.0, 0.0, -1.0], [2.0, 1.0, 0.5]]),
        torch.tensor([[0.0, 0.2, -0.6], [1.0, 0.0, -1.0]]),
    )


def _special(logits=0.5, x=None, mu=1.0, logvar=0.5) -> tuple:
    """Two images of 2 x 3 pixels, half of them white, with values that are all alike."""
    white = torch.tensor([[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]).expand(2, 1, 2, 3).clone()
    x = white if x is None else torch.full((2, 1, 2, 3), x)
    return (
        x,
        torch.full((2, 1, 2, 3), logits),
        torch.full((2, 3), mu),
        torch.full((2, 3), logvar),
    )


def _edges() -> dict[str, tuple]:
    return {
        "one image in the batch (is there a `.squeeze()`?)": _batch(1, 2, 3, 4, 3),
        "one image of one channel (is there a `.squeeze()`?)": _batch(1, 1, 3, 4, 2),
        "one latent dimension (is there a `.squeeze()`?)": _batch(4, 1, 3, 2, 1),
        "one image of one pixel and one latent dimension (is there a `.squeeze()`?)": _batch(
            1, 1, 1, 1, 1
        ),
        "images of one row of pixels": _batch(3, 3, 1, 4, 2),
        "black images, x = 0 everywhere": _special(x=0.0),
        "white images, x = 1 everywhere": _special(x=1.0),
        "a decoder that is sure, logits of 30 (a probability that is rounded to 1 leaves "
        "log(0); is something clamped?)": _special(logits=30.0),
        "a decoder that is sure, logits of -30 (is a probability clamped?)": _special(
            logits=-30.0
        ),
        "a decoder that is sure, logits of 200 (is something clamped?)": _special(
            logits=200.0
        ),
        "a decoder that is sure, logits of -200 (is something clamped?)": _special(
            logits=-200.0
        ),
        "logits near 0, about one bit for each pixel": _special(logits=1e-3),
        "wide codes, logvar = 3 (is something clamped?)": _special(logvar=3.0),
        "very wide codes, logvar = 12 (is something clamped?)": _special(logvar=12.0),
        "narrow codes, logvar = -3 (is something clamped?)": _special(logvar=-3.0),
        "very narrow codes, logvar = -12 (is something clamped?)": _special(
            logvar=-12.0
        ),
        "extremely narrow codes, logvar = -60 (is something clamped?)": _special(
            logvar=-60.0
        ),
        "means far from 0, mu = 50 (is something clamped?)": _special(mu=50.0),
        "means far from 0, mu = -50": _special(mu=-50.0),
        "codes as in the prior, for which the KL is 0": _special(mu=0.0, logvar=0.0),
    }


def _two_things(answer: Callable) -> None:
    given = call(_sizes_of_mnist(answer), _first_batch())
    wanted = torch.zeros(()), torch.zeros(())
    if said := kind_of_result(given, wanted, ("reconstruction", "kl"), False):
        raise Wrong(said)


def _term(place: int, wrong: dict, gradients: tuple[str, ...]) -> Part:
    """One of the two results, judged alone; the mistakes are those of this result."""

    def pair(term: Callable) -> Callable:
        return lambda *a: (
            (term(*a), _kl(*a)) if place == 0 else (_reconstruction(*a), term(*a))
        )

    def adapt(answer: Callable) -> Callable:
        return lambda x, logits, mu, logvar: _sizes_of_mnist(answer)(
            x, logits, mu, logvar
        )[place]

    sizes = [(3, 2, 3, 4, 5), (4, 1, 3, 2, 6), (5, 3, 2, 4, 2), (2, 2, 5, 3, 7)]
    sizes += [(6, 1, 4, 5, 3), (65, 1, 2, 3, 2), (3, 1, 28, 28, 20)]
    return Part(
        right=_terms,
        adapt=adapt,
        cases=lambda: [_first_batch(), *[_batch(*each) for each in sizes]],
        edges=_edges,
        wrong={sentence: pair(term) for sentence, term in wrong.items()},
        gradients=gradients,
        before=[_two_things],
    )


# fmt: off
vae_terms = declare(
    "04.2 vae_terms",
    "batches of many sizes, sure decoders, narrow and wide codes: values, signs, "
    "reductions and gradients.",
    _term(
        0,
        gradients=("logits",),
        wrong={
            "The reconstruction term has one number for each image. Take the mean over the "
            "batch.": _nats,
            "This sums over channels only. Flatten to (B, D) first: `.flatten(1)`.":
                lambda x, logits, *_: _bce(logits, x).sum(1).mean(),
            "This is a mean over channels. Sum over channels, too: `.flatten(1)` first.":
                lambda x, logits, *_: _bce(logits, x).sum((2, 3)).mean(),
            "Image and logits are swapped: the function takes the logits first, then x.":
                _pixels(_bce),
            "The reconstruction term is a mean over pixels. Sum over pixels: with the mean "
            "the KL weighs D times as much (784 for MNIST), and the codes collapse.":
                lambda x, logits, *_: _bce(logits, x).mean(),
            "You multiply a mean by 784, the pixels of MNIST. Here the images have other "
            "sizes: sum over the pixels.": lambda x, logits, *_: (
                784 * _bce(logits, x).mean()
            ),
            "The reconstruction term is summed over the batch. Take the mean over the batch, "
            "or the loss grows with the batch size.": lambda *a: _nats(*a).sum(),
            "The reconstruction term is divided by the batch size twice.":
                lambda *a: _nats(*a).mean() / len(a[0]),
            "The reconstruction term has the sign of a log-likelihood, which is better when "
            "higher. A loss needs the minus.": lambda *a: -_reconstruction(*a),
            "The sigmoid is applied twice: the function with logits has one inside.":
                _pixels(lambda x, logits: _bce(logits.sigmoid(), x)),
            "The logits have lost their sign: large ones stand for white pixels.":
                _pixels(lambda x, logits: _bce(-logits, x)),
            "Half of the formula is missing: (1 - x) log(1 - p), the cost of black pixels.":
                _pixels(lambda x, logits: -x * F.logsigmoid(logits)),
            "Half of the formula is missing: x log p, the cost of white pixels.":
                _pixels(lambda x, logits: -(1 - x) * F.logsigmoid(-logits)),
            "This is the squared error of the probabilities. Here the pixels are Bernoulli: "
            "use the binary cross-entropy.":
                _pixels(lambda x, logits: (logits.sigmoid() - x) ** 2),
            "This is the squared error of the logits, which are not pixel values. Use the "
            "binary cross-entropy with logits.": _pixels(
                lambda x, logits: (logits - x) ** 2
            ),
            "This is the absolute error of the probabilities. Here the pixels are Bernoulli: "
            "use the binary cross-entropy.":
                _pixels(lambda x, logits: (logits.sigmoid() - x).abs()),
            "These are bits, logarithms to base 2. Needed are nats, natural logarithms.":
                lambda *a: _reconstruction(*a) / math.log(2),
            "Right for decoders in doubt, but NaN for one that is sure: at logits of 30 or "
            "200 the sigmoid rounds to 1, and then a logarithm of 0 is taken. The function "
            "with logits, of Hint 1, never takes it.": _pixels(
                lambda x, logits: _with_logarithms(logits, x)
            ),
            "Right for decoders in doubt, but wrong for one that is sure: at logits of 200 a "
            "wrong pixel costs 200 nats, and `F.binary_cross_entropy` of a probability says "
            "100, without a gradient. Give the logits to the function with logits.": _pixels(
                lambda x, logits: _of_probabilities(logits, x)
            ),
            "The axes are exchanged: you sum over the batch (axis 0) and take the mean over "
            "pixels. Sum over axis 1, then take the mean.": lambda x, logits, *_: (
                _bce(logits, x).flatten(1).sum(0).mean()
            ),
            "The first result is the KL. Needed is the reconstruction term, then the KL.": _kl,
            "The first result is the sum of both terms. Return them apart.":
                lambda *a: _reconstruction(*a) + _kl(*a),
            "The reconstruction term carries no gradient: `.item()`, `.detach()` or no_grad "
            "cuts it, and nothing would be learned.": lambda *a: _reconstruction(
                *a
            ).detach(),
        },
    ),
    _term(
        1,
        gradients=("mu", "logvar"),
        wrong={
            "The KL has one number for each image. Take the mean over the batch.": _kls,
            "The KL has one number for each latent dimension. Sum over them, too.":
                lambda x, logits, mu, lv: kl_each(mu, lv).mean(0),
            "The KL is summed over the batch, axis 0, and keeps one number for each latent "
            "dimension. Sum over axis 1, then take the mean.": lambda x, logits, mu, lv: (
                kl_each(mu, lv).sum(0)
            ),
            "The axes are exchanged: you sum the KL over the batch (axis 0) and take the "
            "mean over latent dimensions. Sum over axis 1, then take the mean.": (
                lambda x, logits, mu, lv: kl_each(mu, lv).sum(0).mean()
            ),
            "The KL is negative: its sign is flipped. It is never below 0.": lambda *a: (
                -_kl(*a)
            ),
            "The KL is a mean over latent dimensions. Sum over them, mean over the batch.":
                lambda x, logits, mu, lv: kl_each(mu, lv).mean(),
            "The KL is summed over the batch. Take the mean over the batch.":
                lambda *a: _kls(*a).sum(),
            "The KL is divided by the batch size twice.": lambda *a: (_kl(*a) / len(a[0])),
            "The KL is divided by the number of pixels. Sum both terms, or divide neither.":
                lambda x, *a: _kl(x, *a) / x[0].numel(),
            "The KL is divided by 784, the pixels of MNIST. Sum both terms, or divide "
            "neither.": lambda *a: _kl(*a) / 784,
            "The second result is the reconstruction term again. Needed is the KL.":
                _reconstruction,
            "The second result is the sum of both terms. Return them apart.":
                lambda *a: _reconstruction(*a) + _kl(*a),
            "The second result is 0: the KL is missing.": lambda x, logits, mu, lv: (
                0 * mu.sum()
            ),
            "The KL carries no gradient: `.item()`, `.detach()` or no_grad cuts it.":
                lambda *a: _kl(*a).detach(),
            **kl_formulas(
                lambda r: r.sum(1).mean(), lambda x, logits, mu, lv: (mu, lv)
            ),
        },
    ),
)
# fmt: on


WOULD = {  # a fault -> what its log would show
    "sign": "A KL that is subtracted is a reward: it would grow without end, and the "
    "-ELBO would fall below 0",
    "encoder": "An encoder that never moves keeps its first KL and its first sigma to the "
    "end",
    "mean code": "Without noise in the code nothing makes sigma small: it would stay at "
    "1, and so little KL could tell the rows apart",
    "latent mean": "A KL that costs a quarter makes long messages cheap: sigma would end "
    "below that of the healthy run",
    "pixel mean": "A mean over pixels is the price of one pixel: the reconstruction would "
    "stand below 1 from the first line on",
    "two sigmoids": "Between 0.5 and 0.73, where two sigmoids end, a black pixel costs "
    "log 2 or more: the reconstruction would not fall below 40",
}
SHOWS = {  # a log -> what stands in it
    "A": "the KL and sigma do not move, and the reconstruction ends at the price of the "
    "average image",
    "B": "sigma is the same from the first line to the last, while the KL ends far below "
    "log 8",
    "C": "the KL grows from line to line, and the -ELBO is not the sum of the two columns "
    "before it",
    "D": "sigma ends lower than in every other log, and the -ELBO below 22.9",
}


def _picks(answer: Callable) -> dict:
    """What an answer says, in the form {"A": "sign", ...}."""
    given = call(answer, ())
    if isinstance(given, dict):
        return {
            str(k).strip().upper(): str(v).strip().lower() for k, v in given.items()
        }
    if given is None:
        parts(given)  # has words for it
    raise Wrong(
        f"Your function returned {type(given).__name__}; needed is a dictionary, "
        '{"A": "...", "B": "...", "C": "...", "D": "..."}.'
    )


def _told(change: dict) -> Callable:
    return lambda: LOGS | change


def _other_fault(letter: str, fault: str) -> Symptom:
    return Symptom(
        f"Log {letter} is not `{fault}`. {WOULD[fault]}. Look at log {letter}: "
        f"{SHOWS[letter]}.",
        lambda picks: picks[letter] == fault,
        _told({letter: fault}),
    )


# fmt: off
which_fault = declare(
    "04.3 which_fault",
    "all four logs. You read a run by its numbers.",
    Symptoms(
        right=lambda: dict(LOGS),
        measure=_picks,
        fine=lambda picks: picks == LOGS,
        table=[
            Symptom(
                'The keys are the letters of the logs, the values the names of the faults: '
                '{"A": "...", ...}. You have it the other way round.',
                lambda picks: {value.upper() for value in picks.values()} == set(LOGS),
                lambda: {fault: letter for letter, fault in LOGS.items()},
            ),
            Symptom(
                "The dictionary needs the four keys A, B, C and D, one for each log.",
                lambda picks: set(picks) != set(LOGS),
                lambda: {"A": "encoder"},
            ),
            Symptom(
                "The names are those of the table: " + ", ".join(FAULTS) + ".",
                lambda picks: not set(picks.values()) <= set(FAULTS),
                _told({"A": "decoder"}),
            ),
            *[
                _other_fault(letter, fault)
                for letter, right in LOGS.items() for fault in FAULTS if fault != right
            ],
        ],
    ),
)
# fmt: on


class _Jobs(nn.Module):
    """A VAE that remembers which codes it decoded; 2 x 4 pixels, four latents."""

    latent_size, image_shape = 4, (1, 2, 4)

    def __init__(self):
        super().__init__()
        self.to_mu = nn.Linear(1, self.latent_size)  # a weight, which has a device
        self.codes: list[Tensor] = []

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.ndim != 4 or tuple(x.shape[1:]) != self.image_shape:
            raise Wrong(
                f"`model.encode` got a tensor of shape {tuple(x.shape)}; it takes images "
                "(B, C, H, W)."
            )
        mu, logvar = (4 * x.flatten(1) - 2).split(self.latent_size, 1)
        return mu, logvar

    def decode(self, z: Tensor) -> Tensor:
        if not isinstance(z, Tensor) or z.ndim != 2 or z.shape[1] != self.latent_size:
            got = f"shape {tuple(z.shape)}" if isinstance(z, Tensor) else "no tensor"
            if isinstance(z, tuple):
                got = "both results of `model.encode`, mu and logvar"
            raise Wrong(
                f"`model.decode` got {got}; it takes codes (B, Z), with Z = "
                "`model.latent_size`."
            )
        self.codes.append(z.detach())
        return torch.cat([3 * z + 1, -z], 1).unflatten(1, self.image_shape)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.encode(x)
        return self.decode(_sample(mu, logvar)), mu, logvar

    def sample(self, *_):
        raise Wrong(
            "`model.sample` does the job for you. Write it with `model.decode`."
        )

    def reconstruct(self, *_):
        raise Wrong(
            "`model.reconstruct` does the job for you. Write it with `model.encode` and "
            "`model.decode`."
        )


@dataclass
class _Done:
    """What a function of 04.4 decoded, and what it made of it."""

    given: Tensor  # what it returned
    codes: list[Tensor]  # what was decoded, call by call
    again: list[Tensor]  # the same in a second call
    in_eval: list[Tensor]  # and in eval mode
    mode_kept: bool
    wanted: tuple[int, ...]  # shape of the result
    x: Tensor | None = None

    @property
    def z(self) -> Tensor:
        return torch.cat(self.codes)

    @functools.cached_property
    def q(self) -> tuple[Tensor, Tensor]:
        """mu and sigma of the posteriors."""
        mu, logvar = _Jobs().encode(self.x)
        return mu, torch.exp(0.5 * logvar)

    @functools.cached_property
    def logits(self) -> Tensor:
        return _Jobs().decode(self.z)

    @property
    def noise(self) -> Tensor:
        """(B, Z) what a sample of q has beside mu, in units of sigma."""
        return (self.z - self.q[0]) / self.q[1]

    def says(self, right: Tensor) -> bool:
        return close({"": self.given}, {"": right})

    def elbo(self) -> tuple[Tensor, Tensor]:
        """(B,) log-likelihood of the decoded code, (B,) KL."""
        nats = _nats(self.x, self.logits, None, None)
        return -nats, _kls(None, None, self.q[0], 2 * self.q[1].log())

    def __str__(self) -> str:
        """The first picture, with what was returned and what is right."""
        likelihood, kl = self.elbo()
        pictures = len(self.wanted) > 1
        right = self.logits.sigmoid() if pictures else likelihood - kl
        told = f"the decoded code {show(self.z[0])}, the logits {show(self.logits[0])}"
        if not pictures:
            told = f"x = {show(self.x[0])}, {told}, a KL of {kl[0]:.4g}"
        return (
            f"of the first picture {told}; you return {show(self.given[0])}, and right is "
            f"{show(right[0])}"
        )


def _standard(codes: Tensor) -> bool:
    """Whether the numbers can be draws of a standard normal, each on its own."""
    far = 6 / codes.numel() ** 0.5
    tied = torch.corrcoef(codes.T) - torch.eye(codes.shape[1])
    return bool(
        codes.mean().abs() < far
        and (codes.std() - 1).abs() < far
        and codes.abs().max() > 2
        and tied.abs().max() < 0.3
        and len(codes.unique(dim=0)) == len(codes)
    )


def _working(images: bool, shape: Callable[[int], tuple[int, ...]]) -> Callable:
    """Measures a function of 04.4 on 800 pictures, and that it works for one."""

    def measure(answer: Callable) -> _Done:
        def use(count: int, seed: int, training: bool = True) -> tuple:
            model = _Jobs().train(training)
            x = torch.rand(count, 1, 2, 4, generator=torch.Generator().manual_seed(9))
            argument = x if images else count
            given = call(lambda *inputs: answer(model, *inputs), (argument,), seed)
            parts(given)  # has words for None
            if not isinstance(given, Tensor):
                raise Wrong(
                    f"Your function returned {type(given).__name__}, not a tensor."
                )
            return given.detach(), model.codes, x, model.training == training

        given, codes, x, kept = use(800, 0)
        again, in_eval = use(800, 1)[1], use(800, 2, False)
        one = tuple(use(1, 3)[0].shape)
        if tuple(given.shape) == shape(800) and one != shape(1):
            raise Wrong(
                f"Right for many, but for a single picture the result has shape {one}; "
                f"needed is {shape(1)} (is there a `.squeeze()`?)."
            )
        kept = kept and in_eval[3]
        return _Done(given, codes, again, in_eval[1], kept, shape(800), x)

    return measure


def _code_job(
    code: Callable, give: Callable = torch.sigmoid, times: int = 1
) -> Callable:
    """An answer that decodes code(model, argument), and gives back give(logits)."""

    def answer(model, argument):
        made = [model.decode(code(model, argument)) for _ in range(times)]
        return give(sum(made) / times)

    return answer


def _from_prior(model, n):
    return torch.randn(n if isinstance(n, int) else len(n), model.latent_size)


def _from_mean(model, x):
    return model.encode(x)[0]


def _from_posterior(model, x):
    return _sample(*model.encode(x))


def _left_in_eval(answer: Callable) -> Callable:
    def run(model, argument):
        model.eval()
        return answer(model, argument)

    return run


def _picture_table(code: Callable) -> list[Symptom]:
    """How the picture is made wrongly of the right code."""
    return [
        Symptom(
            "You return logits. A picture has probabilities of white: `.sigmoid()`.",
            lambda s: s.says(s.logits),
            _code_job(code, lambda logits: logits),
        ),
        Symptom(
            "There are two sigmoids: every pixel lies between 0.5 and 0.73.",
            lambda s: s.says(s.logits.sigmoid().sigmoid()),
            _code_job(code, lambda logits: logits.sigmoid().sigmoid()),
        ),
        Symptom(
            "You draw the pixels, or cut them at one half: they are all 0 or 1. Return the "
            "probabilities themselves.",
            lambda s: bool(((s.given == 0) | (s.given == 1)).all()),
            _code_job(code, lambda logits: (logits > 0).float()),
        ),
        Symptom(
            lambda s: (
                f"The pictures have shape {tuple(s.given.shape)}; needed is "
                f"{s.wanted}, as `model.decode` gives them."
            ),
            lambda s: tuple(s.given.shape) != s.wanted,
            _code_job(code, lambda logits: logits.sigmoid().flatten(1)),
        ),
        Symptom(
            "You leave the model in eval mode (or in another one than it was in). Leave the "
            "mode to the caller.",
            lambda s: not s.mode_kept,
            _left_in_eval(_code_job(code)),
        ),
    ]


def _is_picture(s: _Done) -> bool:
    return s.says(s.logits.sigmoid())


# fmt: off
GENERATE = Symptoms(
    name="generate",
    right=_code_job(_from_prior),
    measure=_working(False, lambda n: (n, 1, 2, 4)),
    fine=lambda s: _standard(s.z) and _is_picture(s),
    table=[
        Symptom(
            "`generate` decodes nothing. Draw codes, then pass them through `model.decode`.",
            lambda s: not s.codes,
            lambda model, n: torch.rand(n, *model.image_shape),
        ),
        Symptom(
            "`generate` decodes another number of codes than `n`: one for each picture.",
            lambda s: sum(map(len, s.codes)) != s.wanted[0],
            _code_job(lambda model, n: _from_prior(model, n + 1), lambda o: o.sigmoid()[1:]),
        ),
        Symptom(
            "All pictures are made from the code 0, the middle of the prior. Draw codes.",
            lambda s: not s.z.any(),
            _code_job(lambda model, n: torch.zeros(n, model.latent_size)),
        ),
        Symptom(
            "All pictures are made from one code: draw one for each, shape (n, Z).",
            lambda s: bool((s.z == s.z[:1]).all()),
            _code_job(lambda model, n: _from_prior(model, 1).expand(n, -1)),
        ),
        Symptom(
            "`torch.rand` draws from 0 to 1, all with the same probability. The prior is the "
            "standard normal.",
            lambda s: bool(s.z.min() >= 0 and s.z.max() <= 1),
            _code_job(lambda model, n: torch.rand(n, model.latent_size)),
        ),
        Symptom(
            "Two calls give the same pictures: draw fresh codes in the function.",
            lambda s: close({"": s.z}, {"": torch.cat(s.again)}),
            _code_job(lambda model, n: torch.randn(
                n, model.latent_size, generator=torch.Generator().manual_seed(0)
            )),
        ),
        Symptom(
            "The codes are no draws from the prior N(0, I): one number for each picture and "
            "each latent, with mean 0 and standard deviation 1.",
            lambda s: not _standard(s.z),
            _code_job(lambda model, n: 0.5 * _from_prior(model, n)),
        ),
        Symptom(
            "`generate` returns the codes. Needed are the pictures that `model.decode` makes "
            "of them.",
            lambda s: s.given.shape == s.z.shape,
            lambda model, n: (model.decode(z := _from_prior(model, n)), z)[1],
        ),
        *_picture_table(_from_prior),
    ],
)
RECONSTRUCT = Symptoms(
    name="reconstruct",
    answer=1,
    right=_code_job(_from_mean),
    measure=_working(True, lambda n: (n, 1, 2, 4)),
    fine=lambda s: close({"": s.z}, {"": s.q[0]}) and _is_picture(s),
    table=[
        Symptom(
            "`reconstruct` decodes nothing. Encode `x`, then decode a code of it.",
            lambda s: not s.codes,
            lambda model, x: x,
        ),
        Symptom(
            "`reconstruct` decodes several codes for an image. One is enough: the mean.",
            lambda s: sum(map(len, s.codes)) != s.wanted[0],
            _code_job(_from_posterior, times=3),
        ),
        Symptom(
            "`reconstruct` decodes logvar. The mean of the posterior is the first thing that "
            "`model.encode` returns.",
            lambda s: close({"": s.z}, {"": 2 * s.q[1].log()}),
            _code_job(lambda model, x: model.encode(x)[1]),
        ),
        Symptom(
            "`reconstruct` decodes a sample of the posterior: the same image gives another "
            "picture in every call. To show a reconstruction, decode the mean.",
            lambda s: _standard(s.noise),
            _code_job(_from_posterior),
        ),
        Symptom(
            "`reconstruct` decodes draws from the prior: they know nothing of `x`.",
            lambda s: _standard(s.z),
            _code_job(_from_prior),
        ),
        Symptom(
            "The code that `reconstruct` decodes is not mu, the mean of the posterior.",
            lambda s: not close({"": s.z}, {"": s.q[0]}),
            _code_job(lambda model, x: sum(model.encode(x))),
        ),
        *_picture_table(_from_mean),
    ],
)


def _estimate(
    code: Callable = _from_posterior,
    give: Callable = lambda likelihood, kl: likelihood - kl,
    times: int = 1,
) -> Callable:
    """An ELBO of another code, or something else made of its two terms."""

    def answer(model, x):
        made = [model.decode(code(model, x)) for _ in range(times)]
        nats = sum(_nats(x, logits, None, None) for logits in made) / times
        return give(-nats, _kls(None, None, *model.encode(x)))

    return answer


def _of_terms(sentence: str, give: Callable) -> Symptom:
    return Symptom(sentence, lambda s: s.says(give(*s.elbo())), _estimate(give=give))


def _mean_in_eval(model, x):
    return _estimate(_from_posterior if model.training else _from_mean)(model, x)


def _is_elbo(s: _Done) -> bool:
    """With the KL in closed form, or with the same sample as the likelihood."""
    likelihood, kl = s.elbo()
    sampled = (0.5 * (s.z**2 - s.noise**2) - s.q[1].log()).sum(1)
    return s.says(likelihood - kl) or s.says(likelihood - sampled)


ELBO = Symptoms(
    name="elbo_estimate",
    answer=2,
    right=_estimate(),
    measure=_working(True, lambda n: (n,)),
    fine=lambda s: _standard(s.noise) and _is_elbo(s),
    table=[
        Symptom(
            "`elbo_estimate` decodes nothing. The first term of the ELBO is the "
            "log-likelihood of `x` under a decoded code.",
            lambda s: not s.codes,
            lambda model, x: -_kls(None, None, *model.encode(x)),
        ),
        Symptom(
            "`elbo_estimate` decodes another number of codes than there are images: one draw "
            "for each is asked.",
            lambda s: sum(map(len, s.codes)) != s.wanted[0],
            _estimate(times=10),
        ),
        Symptom(
            "`elbo_estimate` decodes the mean. Then the KL pays for a fuzzy code and the "
            "decoder gets a sharp one: the number is too good and bounds nothing. Decode a "
            "sample of q(z|x).",
            lambda s: close({"": s.z}, {"": s.q[0]}, 1e-3),
            _estimate(_from_mean),
        ),
        Symptom(
            "In eval mode `elbo_estimate` decodes the mean. The mode has nothing to do with "
            "it: a bound needs a sample in every call.",
            lambda s: close({"": torch.cat(s.in_eval)}, {"": s.q[0]}, 1e-3),
            _mean_in_eval,
        ),
        Symptom(
            "`elbo_estimate` decodes draws from the prior. The ELBO is an average over "
            "q(z|x), the posterior of each image.",
            lambda s: _standard(s.z),
            _estimate(_from_prior),
        ),
        Symptom(
            "Two calls decode the same noise: draw fresh noise in the function.",
            lambda s: close({"": s.z}, {"": torch.cat(s.again)}),
            _estimate(lambda model, x: _always_the_same(*model.encode(x))),
        ),
        Symptom(
            "The decoded code is no sample of q(z|x): (z - mu) / sigma, with sigma = "
            "exp(0.5 * logvar), must be standard normal noise, one number for each image and "
            "each latent.",
            lambda s: not _standard(s.noise),
            _estimate(lambda model, x: _share(1)(*model.encode(x))),
        ),
        _of_terms(
            "This is -ELBO, a loss. The ELBO is a bound, better when higher: turn the sign.",
            lambda likelihood, kl: kl - likelihood,
        ),
        _of_terms(
            "You took the mean over the batch. Return one number for each image, shape (B,).",
            lambda likelihood, kl: (likelihood - kl).mean(),
        ),
        _of_terms(
            "You took the mean over the batch, and the sign is that of a loss. Return the "
            "ELBO of each image, shape (B,).", lambda likelihood, kl: (kl - likelihood).mean(),
        ),
        _of_terms(
            "You summed over the batch. Return one number for each image, shape (B,).",
            lambda likelihood, kl: (likelihood - kl).sum(),
        ),
        _of_terms(
            "This is the log-likelihood alone: the KL is missing.", lambda likelihood, kl: (
                likelihood
            ),
        ),
        _of_terms(
            "The KL is added. It is a price: subtract it from the log-likelihood.",
            lambda likelihood, kl: likelihood + kl,
        ),
        _of_terms(
            "The log-likelihood is a mean over pixels. Sum over pixels.",
            lambda likelihood, kl: likelihood / 8 - kl,
        ),
        _of_terms(
            "The KL is a mean over the batch, the same for all images: keep one number for "
            "each.", lambda likelihood, kl: likelihood - kl.mean(),
        ),
        _of_terms(
            "The result has one axis too many, shape (B, 1). Needed is (B,).",
            lambda likelihood, kl: (likelihood - kl)[:, None],
        ),
        _of_terms(
            "The KL is a mean over the latents: a hidden beta. Sum over them.",
            lambda likelihood, kl: likelihood - kl / _Jobs.latent_size,
        ),
        Symptom(
            "The sigmoid is applied twice: the log-likelihood takes logits and has one inside.",
            lambda s: s.says(-_nats(s.x, s.logits.sigmoid(), None, None) - s.elbo()[1]),
            lambda model, x: -_nats(x, model(x)[0].sigmoid(), None, None)
            - _kls(None, None, *model.encode(x)),
        ),
        Symptom(
            "You leave the model in eval mode (or in another one than it was in). Leave the "
            "mode to the caller.",
            lambda s: not s.mode_kept,
            _left_in_eval(_estimate()),
        ),
    ],
)
right_code = declare(
    "04.4 right_code",
    "800 pictures for each job, and single ones: the codes that were decoded, how many of "
    "them, and what was made of them.",
    GENERATE,
    RECONSTRUCT,
    ELBO,
)
# fmt: on


def _sure(p: Tensor) -> Tensor:
    return (p.amax(1) > 0.9).float()


def _named(p: Tensor) -> Tensor:
    return p.argmax(1).bincount(minlength=p.shape[1]) / len(p)


def _draws(probabilities: Tensor) -> tuple[float, float, float]:
    share = _sure(probabilities).mean()
    error = (share * (1 - share) / len(probabilities)).sqrt()
    return share.item(), error.item(), _named(probabilities).min().item()


def _draws_with(share=None, error=None, rarest=None) -> Callable:
    """The three numbers, some of them computed by another rule."""

    def run(p):
        right = _draws(p)
        found = [
            right[0] if share is None else float(share(p)),
            right[1] if error is None else float(error(p, _sure(p).mean())),
            right[2] if rarest is None else float(rarest(p)),
        ]
        return tuple(found)

    return run


def _opinions(n: int, classes: int, sharp: float, missing: int | None) -> tuple:
    """(n, classes) probabilities; the missing class is never named."""
    scores = sharp * torch.randn(n, classes)
    if missing is not None:
        scores[:, missing] -= 100
    return (scores.softmax(1),)


# fmt: off
measure_draws = declare(
    "04.5 measure_draws",
    "sets of 1 to 2,000 pictures, sure and unsure ones, with and without a missing class.",
    Part(
        right=_draws,
        results=("sure", "error", "rarest"),
        number=True,
        strides=False,
        cases=lambda: [
            (torch.tensor([[0.95, 0.05], [0.30, 0.70], [0.02, 0.98], [0.60, 0.40]]),),
            *[
                _opinions(n, classes, sharp, missing)
                for n, classes, sharp, missing in [
                    (5, 3, 3.0, None), (40, 4, 5.0, None), (60, 3, 4.0, 2),
                    (200, 10, 6.0, None), (300, 10, 9.0, None), (2000, 10, 4.0, None),
                    (150, 10, 6.0, 4), (250, 10, 6.0, 9),
                ]
            ],
        ],
        edges=lambda: {
            "one picture": (torch.tensor([[0.05, 0.95]]),),
            "pictures of which all are sure": (torch.tensor([[0.99, 0.01], [0.04, 0.96]]),),
            "pictures of which none is sure": (torch.full((4, 3), 1 / 3),),
        },
        wrong={
            "`sure` is the mean of the largest probabilities. Needed is a share: how many of "
            "the pictures have one above 0.9?": _draws_with(
                share=lambda p: p.amax(1).mean(),
                error=lambda p, s: (p.amax(1).mean() * (1 - p.amax(1).mean()) / len(p)) ** 0.5,
            ),
            "`sure` is the mean of the largest probabilities; the error is right, of the "
            "share.": _draws_with(share=lambda p: p.amax(1).mean()),
            "`sure` counts entries, not pictures: take the largest probability of each row "
            "first.": _draws_with(
                share=lambda p: (p > 0.9).float().mean(),
                error=lambda p, s: (
                    (p > 0.9).float().mean() * (1 - (p > 0.9).float().mean()) / len(p)
                ) ** 0.5,
            ),
            "`sure` counts entries, not pictures, though the error is that of pictures: take "
            "the largest probability of each row.": _draws_with(
                share=lambda p: (p > 0.9).float().mean()
            ),
            "`sure` looks at columns, axis 0. A picture is a row: take the largest "
            "probability along axis 1.": _draws_with(
                share=lambda p: (p.amax(0) > 0.9).float().mean(),
                error=lambda p, s: (
                    (t := (p.amax(0) > 0.9).float().mean()) * (1 - t) / len(p)
                ) ** 0.5,
            ),
            "The order is sure, error, rarest: the last two have changed places.":
                then(_draws, lambda r: (r[0], r[2], r[1])),
            "The order is sure, error, rarest: the first two have changed places.":
                then(_draws, lambda r: (r[1], r[0], r[2])),
            "Brackets are missing under the root: `s * 1 - s / n` is not `s * (1 - s) / n`.":
                _draws_with(error=lambda p, s: (s * 1 - s / len(p)).abs() ** 0.5),
            "This is twice the sampling error, or 1.96 times it, as in an interval. Return the "
            "error itself.": _draws_with(
                error=lambda p, s: 1.96 * (s * (1 - s) / len(p)) ** 0.5
            ),
            "`sure` is the number of sure pictures. Divide by the number of all.":
                _draws_with(share=lambda p: _sure(p).sum()),
            "`sure` is the share of the pictures that are not sure.":
                _draws_with(share=lambda p: 1 - _sure(p).mean()),
            "The line stands at 0.5: a picture is sure above 0.9.": _draws_with(
                share=lambda p: (p.amax(1) > 0.5).float().mean(),
                error=lambda p, s: (
                    (t := (p.amax(1) > 0.5).float().mean()) * (1 - t) / len(p)
                ) ** 0.5,
            ),
            "The root is missing: this is the square of the sampling error.":
                _draws_with(error=lambda p, s: s * (1 - s) / len(p)),
            "The error is not divided by the number of pictures: this is how much single "
            "pictures differ, not their share.":
                _draws_with(error=lambda p, s: (s * (1 - s)) ** 0.5),
            "The number of pictures stands outside the root: it belongs inside.":
                _draws_with(error=lambda p, s: (s * (1 - s)) ** 0.5 / len(p)),
            "The factor 1 - s is missing in the error.":
                _draws_with(error=lambda p, s: (s / len(p)) ** 0.5),
            "This error divides by n - 1, as `std()` does. Here s (1 - s) / n stands under "
            "the root.": _draws_with(
                error=lambda p, s: _sure(p).std() / len(p) ** 0.5
            ),
            "The error is the spread of the largest probabilities. Needed is that of the "
            "share of sure pictures.": _draws_with(
                error=lambda p, s: p.amax(1).std() / len(p) ** 0.5
            ),
            "The number of classes stands under the root in the place of the number of "
            "pictures.": _draws_with(
                error=lambda p, s: (s * (1 - s) / p.shape[1]) ** 0.5
            ),
            "A class that is never named is left out: `rarest` must then be 0. "
            "`bincount` needs `minlength`.": _draws_with(
                rarest=lambda p: p.argmax(1).bincount()[
                    p.argmax(1).bincount() > 0
                ].min() / len(p)
            ),
            "A class that is never named is forgotten if it is the last one: `bincount` "
            "stops at the largest number that it meets. Say `minlength`.": _draws_with(
                rarest=lambda p: p.argmax(1).bincount().min() / len(p)
            ),
            "`rarest` is a number of pictures. Divide by the number of all.": _draws_with(
                rarest=lambda p: _named(p).min() * len(p)
            ),
            "`rarest` is the share of the most frequent class.": _draws_with(
                rarest=lambda p: _named(p).max()
            ),
            "`rarest` is the smallest mean probability. Count which class is named: the one "
            "with the largest probability in its row.": _draws_with(
                rarest=lambda p: p.mean(0).min()
            ),
            "`rarest` counts the sure pictures alone. Every picture names a class.": _draws_with(
                rarest=lambda p: (
                    p[_sure(p) > 0].argmax(1).bincount(minlength=p.shape[1]).min()
                    / max(1, int(_sure(p).sum()))
                )
            ),
            "`rarest` counts the sure pictures alone, of all. Every picture names a class.":
                _draws_with(rarest=lambda p: (
                    p[_sure(p) > 0].argmax(1).bincount(minlength=p.shape[1]).min() / len(p)
                )),
            "`rarest` is the number of the class. Needed is its share.": _draws_with(
                rarest=lambda p: _named(p).argmin()
            ),
            "These are per cent. Needed are shares, from 0 to 1.":
                lambda p: tuple(100 * value for value in _draws(p)),
        },
    ),
)
# fmt: on
