"""Checks of lesson 04."""

import contextlib
import functools
import math
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
from vae_helpers.checks.usual import kl_each, kl_formulas, then
from vae_helpers.checks.words import kind_of_result


class _Layer(nn.Module):
    """A linear layer made of a weight (outputs, inputs), so that a learner can read it."""

    def __init__(self, weight: Tensor, name: str):
        super().__init__()
        self.weight, self.name = weight, name

    def forward(self, x: Tensor) -> Tensor:
        width = self.weight.shape[1]
        if x.ndim != 2 or x.shape[1] != width:
            flat = " Flatten images to (B, D) first." if self.name == "body" else ""
            raise ValueError(
                f"`{self.name}` got a tensor of shape {tuple(x.shape)}; it takes "
                f"(B, {width}).{flat}"
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
        return answer(x, *[_Layer(weight, name) for name, weight in layers.items()])

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
    return lambda z, decoder, image_shape: answer(
        z, _Layer(decoder, "decoder"), image_shape
    )


def _code(b, z, *shape, size=1.0) -> tuple:
    weight = size * torch.randn(math.prod(shape), z) / z**0.5
    return torch.randn(b, z), weight, shape


# fmt: off
DECODE = Part(
    name="decode",
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
        "`decode` applies a sigmoid. Return logits: the loss has the sigmoid inside, and "
        "two of them squeeze every probability towards a half.": then(
            _decode, torch.sigmoid
        ),
        "`decode` applies a ReLU. Logits may be negative: dark pixels need that.":
            then(_decode, torch.relu),
        "`decode` applies a tanh. Logits may be any real number: leave it out.":
            then(_decode, torch.tanh),
        "`decode` returns flat images (B, D). Give them the image shape again.":
            lambda z, decoder, shape: decoder(z),
        "`decode` returns black and white pixels. Return the logits, not a picture.":
            then(_decode, lambda r: (r > 0).float()),
        "Height and width of the image are swapped. Fill the image shape (C, H, W) as it "
        "is, row by row.": lambda z, decoder, s: (
            decoder(z).unflatten(1, (s[0], s[2], s[1])).transpose(2, 3)
        ),
        "The channels are the last axis of the numbers you took apart. Fill the image "
        "shape (C, H, W) as it is.": lambda z, decoder, s: (
            decoder(z).unflatten(1, (s[1], s[2], s[0])).movedim(3, 1)
        ),
        "No gradient passes through `decode`: something is detached or inside no_grad.":
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
    given = call(answer, _first_batch())
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
        return lambda x, logits, mu, logvar: answer(x, logits, mu, logvar)[place]

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
STEP_BEFORE = (
    "The weights change between the forward and `backward()`, so the gradient cannot be "
    "computed any more. First `loss.backward()`, then `optimizer.step()`."
)
OPTIMIZERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.05),
    "SGD with momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.05),
}


def _steps(answer: Callable) -> Callable:
    """A few calls on one small model: losses, weights, calls of loss_fn."""

    def run(weight, batches, optimizer, other_terms):
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight = parameter = nn.Parameter(weight.detach().clone())
        layer.bias = bias = nn.Parameter(torch.zeros(len(weight)))
        model = nn.Sequential(layer, nn.Dropout(0.2))
        chosen = OPTIMIZERS[optimizer]([parameter, bias])
        calls = 0

        def loss_fn(model, x):
            nonlocal calls
            calls += 1
            far = model(x) + 0.1 * torch.randn(len(x), len(weight)) - 1
            terms = {
                "reconstruction": (far**2).sum(1).mean(),
                "kl": layer.weight.square().sum(),
            }
            loss = {"loss": terms["reconstruction"] + 0.5 * terms["kl"]}
            return loss | terms if other_terms else loss

        try:
            losses = [answer(model, chosen, x, loss_fn) for x in batches]
        except RuntimeError as error:
            if "modified by an inplace operation" in str(error):
                raise Wrong(STEP_BEFORE) from error
            raise
        if words := kind_of_result(losses[0], 1.0, (), True):
            raise Wrong(words)
        if not model.training:
            raise Wrong(
                "Your function leaves the model in eval mode: dropout and batch norm would not "
                "train. Leave the mode to the caller."
            )
        return losses, parameter.detach(), bias.detach(), calls

    return run


def _step(model, optimizer, x, loss_fn):
    return _minimise(lambda terms: terms["loss"])(model, optimizer, x, loss_fn)


def _minimise(choose: Callable, prepare: Callable = lambda model: None) -> Callable:
    def step(model, optimizer, x, loss_fn):
        loss = choose(loss_fn(model, x))
        optimizer.zero_grad()
        loss.backward()
        prepare(model)
        optimizer.step()
        return loss.item()

    return step


def _no_zero(model, optimizer, x, loss_fn):
    loss = loss_fn(model, x)["loss"]
    loss.backward()
    optimizer.step()
    return loss.item()


def _zero_one(model, optimizer, x, loss_fn):
    loss = loss_fn(model, x)["loss"]
    next(model.parameters()).grad = None
    loss.backward()
    optimizer.step()
    return loss.item()


def _frozen(model, optimizer, x, loss_fn):
    return loss_fn(model, x)["loss"].item()


def _step_before(model, optimizer, x, loss_fn):
    loss = loss_fn(model, x)["loss"]
    optimizer.step()
    optimizer.zero_grad()
    loss.backward()
    return loss.item()


def _two_steps(model, optimizer, x, loss_fn):
    loss = _step(model, optimizer, x, loss_fn)
    optimizer.step()
    return loss


def _loss_after(model, optimizer, x, loss_fn):
    _step(model, optimizer, x, loss_fn)
    return loss_fn(model, x)["loss"].item()


def _loss_before(model, optimizer, x, loss_fn):
    loss = loss_fn(model, x)["loss"].item()
    _step(model, optimizer, x, loss_fn)
    return loss


def _wasted_call(model, optimizer, x, loss_fn):
    loss_fn(model, x)
    return _step(model, optimizer, x, loss_fn)


def _ascent(model, optimizer, x, loss_fn):
    return -_minimise(lambda terms: -terms["loss"])(model, optimizer, x, loss_fn)


def _by_hand(model, optimizer, x, loss_fn):
    optimizer.zero_grad()
    loss = loss_fn(model, x)["loss"]
    loss.backward()
    for p in model.parameters():
        p.data -= optimizer.param_groups[0]["lr"] * p.grad
    return loss.item()


def _new_optimizer(model, optimizer, x, loss_fn):
    settings = {
        k: v for k, v in optimizer.param_groups[0].items() if k in ("lr", "momentum")
    }
    return _step(model, type(optimizer)(model.parameters(), **settings), x, loss_fn)


def _training(b, inputs, outputs, optimizer, steps=3, other_terms=True) -> tuple:
    weight, batches = torch.randn(outputs, inputs), torch.randn(steps, b, inputs)
    return weight, batches, optimizer, other_terms


# fmt: off
training_step = declare(
    "04.3 training_step",
    "three steps on each of a dozen small models, with noise, by three optimisers: losses "
    "and weights.",
    Part(
        right=_step,
        adapt=_steps,
        results=("losses", "weights", "biases", "calls of loss_fn"),
        cases=lambda: [
            (torch.tensor([[1.0, 2.0]]), torch.ones(2, 1, 2), "SGD", True),
            *[
                _training(b, i, o, optimizer)
                for b, i, o in [(5, 3, 2), (4, 2, 3), (3, 5, 4)]
                for optimizer in OPTIMIZERS
            ],
        ],
        edges=lambda: {
            "batches of one image": _training(1, 3, 2, "Adam"),
            "a model of one weight": _training(4, 1, 1, "SGD with momentum"),
            'a loss_fn that returns {"loss": ...} alone': _training(
                4, 3, 2, "Adam", other_terms=False
            ),
            "ten steps": _training(4, 3, 2, "Adam", steps=10),
        },
        strides=False,
        wrong={
            "The gradients pile up from step to step: `optimizer.zero_grad()` is missing "
            "before `backward()`.": _no_zero,
            "The loss is right but the weights do not move: `loss.backward()` or "
            "`optimizer.step()` is missing, or the gradients are gone before the step.": (
                _frozen
            ),
            STEP_BEFORE: _step_before,
            "Only one of the parameters gets its gradient set to zero; the others pile up. "
            "`optimizer.zero_grad()` does all.": _zero_one,
            "The weights move twice in one call: one `optimizer.step()` is enough.": _two_steps,
            "The value is the loss after the step; return the one of the forward.": _loss_after,
            "`loss_fn` is called twice. With noise in it the second call gives another loss "
            "than the first: call it once, and keep what it returns.": _loss_before,
            "`loss_fn` is called twice, and its first result thrown away. Call it once, and keep "
            "what it returns.": _wasted_call,
            "The sign is wrong: these steps make the loss larger.": _ascent,
            'Only the KL is minimised: take the entry "loss".': _minimise(
                lambda t: t["kl"]
            ),
            'Only the reconstruction is minimised: take "loss".': (
                _minimise(lambda t: t["reconstruction"])
            ),
            'All entries are added, "loss" and its two terms: take "loss" alone.': (
                _minimise(lambda t: sum(t.values()))
            ),
            'You add the two terms yourself, and so lose the weight that is in "loss".': (
                _minimise(lambda t: t["reconstruction"] + t["kl"])
            ),
            "You move the weights by hand. `optimizer.step()` knows the rule: this one is right "
            "for plain gradient descent only, and not for momentum or Adam.": _by_hand,
            "You make a new optimiser in every call. It forgets the averages of momentum or "
            "Adam: use the one that is given.": _new_optimizer,
            "The gradients are clipped. Nobody asked for that: the step is another one.": (
                _minimise(
                    lambda t: t["loss"],
                    lambda model: nn.utils.clip_grad_norm_(model.parameters(), 1.0),
                )
            ),
        },
    ),
)
# fmt: on


def _line(start, end, count, low=0.0, high=1.0):
    t = torch.linspace(low, high, count)[:, None]
    return (1 - t) * start + t * end


def _bent(bend: Callable[[Tensor], Tensor]) -> Callable:
    def walk(start, end, count):
        t = bend(torch.linspace(0, 1, count))[:, None]
        return (1 - t) * start + t * end

    return walk


def _sphere(start, end, count):
    angle = F.cosine_similarity(start, end, dim=0).clamp(-1, 1).acos()
    t = torch.linspace(0, 1, count)[:, None]
    return (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()


def _ends(z: int, count: int, size: float = 1.0) -> tuple:
    return size * torch.randn(z), size * torch.randn(z), count


# fmt: off
interpolate = declare(
    "04.4 interpolate",
    "pairs of codes near and far, short and long lines: both ends, equal steps, shape.",
    Part(
        right=_line,
        cases=lambda: [
            (torch.tensor([1.0, 4.0]), torch.tensor([3.0, -2.0]), 5),
            *[
                _ends(z, count)
                for z, count in [
                    (2, 3),
                    (3, 7),
                    (5, 4),
                    (7, 11),
                    (4, 6),
                    (20, 10),
                    (3, 100),
                ]
            ],
        ],
        edges=lambda: {
            "codes of one dimension (is there a `.squeeze()`?)": _ends(1, 5),
            "two codes, the ends alone": _ends(3, 2),
            "as many codes as dimensions": _ends(4, 4),
            "two ends that are the same": (torch.ones(3), torch.ones(3), 4),
            "a start at 0": (torch.zeros(3), torch.tensor([1.0, -2.0, 3.0]), 4),
            "codes far from 0 (is something clamped?)": _ends(3, 5, 100.0),
            "two ends on opposite sides": (torch.ones(3), -torch.ones(3), 6),
        },
        wrong={
            "The last row is not `end`: the values of t stop short of 1.":
                lambda a, b, n: _line(a, b, n + 1)[:-1],
            "The first row is not `start`: the values of t begin above 0.":
                lambda a, b, n: _line(a, b, n + 1)[1:],
            "Neither end is included: t must run from 0 to 1, both included.":
                lambda a, b, n: _line(a, b, n + 2)[1:-1],
            "There is one code too many: `count` is the number of codes, not of steps.":
                lambda a, b, n: _line(a, b, n + 1),
            "There are `count` codes between the ends, and the ends as well: `count` is the "
            "number of all codes.": lambda a, b, n: _line(a, b, n + 2),
            "The last row is missing: needed are `count` rows, `end` included.":
                lambda a, b, n: _line(a, b, n)[:-1],
            "The line runs backwards, from `end` to `start`.": lambda a, b, n: _line(
                b, a, n
            ),
            "Rows and columns are swapped: needed is one code in each row.":
                lambda a, b, n: _line(a, b, n).T,
            "The line begins at 0: add `start`.":
                lambda a, b, n: torch.linspace(0, 1, n)[:, None] * (b - a),
            "The line does not end at `end`: the step is `end - start`, not `end`.":
                lambda a, b, n: a + torch.linspace(0, 1, n)[:, None] * b,
            "Both weights are the same t: the one of `start` is 1 - t.":
                lambda a, b, n: torch.linspace(0, 1, n)[:, None] * (a + b),
            "The steps are not equal: t is squared.": _bent(torch.square),
            "The steps are not equal: they follow a cosine.":
                _bent(lambda t: 0.5 - 0.5 * torch.cos(torch.pi * t)),
            "The steps are not equal: they follow 3 t^2 - 2 t^3.":
                _bent(lambda t: 3 * t**2 - 2 * t**3),
            "This follows a sphere; the exercise asks for the straight line.": _sphere,
        },
    ),
)
# fmt: on
