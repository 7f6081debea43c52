"""Checks of lesson 02."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Laplace, Normal

from vae_helpers.checks.core import Part, Wrong, call, close, declare, parts

SHAPES = [(3, 2), (4, 5), (5, 3), (2, 7), (6, 4), (70, 2), (2, 66), (128, 20)]


def _before(case: Callable[[], tuple], noise: str, **sentences: str) -> Callable:
    """A probe: the result depends on the noise that is given, and on no other.

    Args:
        case: makes arguments; the noise is the last of them.
        noise: its name.
        sentences: "nan", for a result with NaN; "first", for the first argument as it is.
    """

    def probe(answer: Callable) -> None:
        *given, drawn = case()

        def run(noise: Tensor, seed: int = 0) -> dict:
            found = parts(call(answer, (*given, noise), seed))
            return {key: tensor.detach() for key, tensor in found.items()}

        found = run(drawn)
        if "nan" in sentences and any(t.isnan().any() for t in found.values()):
            raise Wrong(sentences["nan"])
        if not close(found, run(drawn, seed=1), 1e-6, nan_is_nan=True):
            raise Wrong(
                f"Your function draws its own noise, beside `{noise}` or instead of it. Use "
                "the noise that is given; then the sample is an ordinary function of its "
                "inputs."
            )
        if "first" in sentences and close(found, {"result": given[0]}):
            raise Wrong(sentences["first"])
        # 0.9 * u stays between 0 and 1
        if close(found, run(0.9 * drawn), 0.0):
            raise Wrong(
                f"The result is the same whatever `{noise}` is: the noise is fixed or "
                f"missing, so every step would see the same sample. Use `{noise}`."
            )

    return probe


def _sample(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    return mu + torch.exp(0.5 * logvar) * eps


def _codes(*shape: int) -> tuple:
    # logvar between -1 and 1: a clamp then shows at the edges alone, which name it
    return torch.randn(shape), 2 * torch.rand(shape) - 1, torch.randn(shape)


def _filled(logvar: float, mu: float = 0.0) -> tuple:
    draws = torch.tensor([[1.0, -2.0, 0.5], [-0.7, 3.0, -1.5]])
    return torch.full((2, 3), mu), torch.full((2, 3), logvar), draws


# fmt: off
reparameterize = declare(
    "02.1 my_reparameterize",
    "batches of many sizes, single images and dimensions, narrow and wide codes: values, "
    "shapes, gradients of mu and logvar.",
    Part(
        right=_sample,
        cases=lambda: [
            (
                torch.tensor([[1.0, 0.0], [-2.0, 3.0], [0.5, 1.0]]),
                torch.tensor([[0.0, 1.0], [-1.0, 0.2], [0.5, -0.6]]),
                torch.tensor([[1.0, -1.0], [2.0, 0.5], [-0.5, 1.5]]),
            ),
            *[_codes(*shape) for shape in SHAPES],
        ],
        edges=lambda: {
            "one image in the batch (is there a `.squeeze()`?)": _codes(1, 4),
            "one latent dimension (is there a `.squeeze()`?)": _codes(4, 1),
            "one image and one latent dimension (is there a `.squeeze()`?)": _codes(1, 1),
            "wide codes, logvar = 3 (is something clamped?)": _filled(3.0),
            "very wide codes, logvar = 12 (is something clamped?)": _filled(12.0),
            "narrow codes, logvar = -3 (is something clamped?)": _filled(-3.0),
            "very narrow codes, logvar = -12 (is something clamped, or added to sigma?)":
                _filled(-12.0),
            "extremely narrow codes, logvar = -60 (is something clamped?)":
                _filled(-60.0),
            "extremely wide codes, logvar = 60 (is something clamped?)": _filled(60.0),
            "means far from 0, mu = 50 (is something clamped?)": _filled(0.0, 50.0),
            "means far from 0, mu = -50 (is something clamped?)": _filled(0.0, -50.0),
            "noise far from 0, eps = 6 (is something clamped?)": (
                *_filled(0.0)[:2],
                torch.full((2, 3), 6.0),
            ),
            "noise of 0 everywhere": (*_filled(1.0, 2.0)[:2], torch.zeros(2, 3)),
        },
        gradients=("mu", "logvar"),
        before=[
            _before(
                lambda: (
                    torch.tensor([[1.0, -2.0], [0.5, 3.0]]),
                    torch.tensor([[-1.0, 1.0], [0.5, -2.0]]),
                    torch.tensor([[1.0, -1.0], [2.0, 0.5]]),
                ),
                "eps",
                first="Your function returns mu: there is no randomness in it. The decoder "
                "needs a sample.",
                nan="The result contains NaN, as from a root or a logarithm of a negative "
                "number. logvar may be negative; only its exponential is positive.",
            )
        ],
        wrong={
            "The values are right, but no gradient passes: the sample is detached (`.detach()`, "
            "`.data`, `no_grad`, or `sample()`). The encoder would never learn.":
                lambda mu, lv, eps: _sample(mu, lv, eps).detach(),
            "The values are right, but logvar gets no gradient: sigma is cut off, and the "
            "spread would never learn.": lambda mu, lv, eps: _sample(mu, lv.detach(), eps),
            "The values are right, but mu gets no gradient: it is cut off.":
                lambda mu, lv, eps: _sample(mu.detach(), lv, eps),
            "You use exp(logvar) as sigma, but that is the variance: a factor 0.5 is missing in "
            "the exponent.": lambda mu, lv, eps: mu + lv.exp() * eps,
            "You use logvar itself as sigma. It is the logarithm of sigma^2 and may be "
            "negative.": lambda mu, lv, eps: mu + lv * eps,
            "You use half of logvar as sigma. That is log sigma: its exponential is missing.":
                lambda mu, lv, eps: mu + 0.5 * lv * eps,
            "You use the root of |logvar| as sigma. logvar is a logarithm: first undo it with "
            "the exponential.": lambda mu, lv, eps: mu + lv.abs().sqrt() * eps,
            "You use |logvar| as sigma. logvar is a logarithm: undo it with the exponential.":
                lambda mu, lv, eps: mu + lv.abs() * eps,
            "The half stands outside the exponential: that halves the variance. The square root "
            "needs it inside.": lambda mu, lv, eps: mu + 0.5 * lv.exp() * eps,
            "You use exp(2 * logvar): the root takes half of the exponent, not the double.":
                lambda mu, lv, eps: mu + torch.exp(2 * lv) * eps,
            "You took the root twice: exp(0.5 * logvar) is sigma already.":
                lambda mu, lv, eps: mu + torch.exp(0.25 * lv) * eps,
            "The exponent has the wrong sign: this is one over sigma.":
                lambda mu, lv, eps: mu + torch.exp(-0.5 * lv) * eps,
            "You use softplus(logvar). It is positive, but it is not the sigma whose log-"
            "variance was given.": lambda mu, lv, eps: mu + F.softplus(lv) * eps,
            "You use a power of 2. logvar is a natural logarithm: `torch.exp` undoes it.":
                lambda mu, lv, eps: mu + torch.exp2(0.5 * lv) * eps,
            "The noise is subtracted: z = mu + sigma * eps. (The distribution is the same, but "
            "not this sample, and the gradient of logvar changes its sign.)":
                lambda mu, lv, eps: mu - torch.exp(0.5 * lv) * eps,
            "mu is missing: the samples lie around 0.":
                lambda mu, lv, eps: torch.exp(0.5 * lv) * eps,
            "sigma is missing: every sample has a standard deviation of 1.":
                lambda mu, lv, eps: mu + eps,
            "sigma is added to the noise; it must multiply it.":
                lambda mu, lv, eps: mu + torch.exp(0.5 * lv) + eps,
            "sigma multiplies mu as well. Scale the noise first, then shift.":
                lambda mu, lv, eps: (mu + eps) * torch.exp(0.5 * lv),
            "mu multiplies the noise; it must be added.":
                lambda mu, lv, eps: mu * torch.exp(0.5 * lv) * eps,
            "mu and sigma have changed places: sigma multiplies the noise, mu is added.":
                lambda mu, lv, eps: mu * eps + torch.exp(0.5 * lv),
            "The arguments mu and logvar have changed places.":
                lambda mu, lv, eps: lv + torch.exp(0.5 * mu) * eps,
            "The noise has lost its sign: all samples lie above mu.":
                lambda mu, lv, eps: _sample(mu, lv, eps.abs()),
            "The noise is squared: z = mu + sigma * eps.":
                lambda mu, lv, eps: _sample(mu, lv, eps**2),
            "All dimensions of an image share one epsilon: the samples lie on a line. Use one "
            "number for each dimension.":
                lambda mu, lv, eps: _sample(mu, lv, eps[:, :1].expand_as(mu)),
            "All images share one row of noise. Use one number for each image and dimension.":
                lambda mu, lv, eps: _sample(mu, lv, eps[:1].expand_as(mu)),
            "One single epsilon serves all images and all dimensions. Use all of `eps`.":
                lambda mu, lv, eps: _sample(mu, lv, eps[:1, :1].expand_as(mu)),
        },
    ),
)
# fmt: on


# Functions of each entry. The step keeps a path, so that a pathwise answer runs and gets 0.
def _square(z):
    return z**2


def _step(z):
    return (z > 0.3) + 0 * z


def _wave(z):
    return torch.cos(2 * z) + 0.5 * z


def _cube(z):
    return (z - 1) ** 3


def _flat(z):
    return 2 + 0 * z


def _debt(z):
    return -((z - 1) ** 2)


COSTS = [_square, _step, _wave, _cube]


def _score(f, theta, sigma, eps):
    return f(theta + sigma * eps) * eps / sigma


def _gauss(f: Callable, theta: float, sigma: float, eps: Tensor) -> tuple:
    return f, torch.tensor(theta), torch.tensor(sigma), eps


def _random_gauss(number: int, size: int) -> tuple:
    theta, sigma = torch.randn(()).item(), 0.4 + 2 * torch.rand(()).item()
    return _gauss(COSTS[number % 4], theta, sigma, torch.randn(size))


def _pathwise(f, theta, sigma, eps):
    z = (theta + sigma * eps).detach().requires_grad_()
    return torch.autograd.grad(f(z).sum(), z)[0]


def _against(baseline: Callable[[Tensor], Tensor]) -> Callable:
    def centred(f, theta, sigma, eps):
        values = f(theta + sigma * eps)
        return (values - baseline(values)) * eps / sigma

    return centred


def _others(values: Tensor) -> Tensor:
    return (values.sum() - values) / (len(values) - 1)


def _density(f, theta, sigma, eps, of=torch.exp):
    z = theta + sigma * eps
    return f(z) * of(Normal(theta, sigma).log_prob(z))


def _first_gauss() -> tuple:
    return _gauss(_square, 1.0, 2.0, torch.tensor([1.0, -0.5, 2.0]))


# fmt: off
score_gradient = declare(
    "02.2 my_score_gradient",
    "Gaussians narrow and wide, smooth, stepped and negative costs, one draw and many: "
    "values and shapes.",
    Part(
        right=_score,
        cases=lambda: [
            _first_gauss(),
            *[_random_gauss(i, s) for i, s in enumerate([5, 6, 7, 9, 12, 70, 4, 200])],
        ],
        edges=lambda: {
            "one draw, S = 1 (is there a `.squeeze()`?)": _gauss(
                _cube, 0.5, 2.0, torch.tensor([0.7])
            ),
            "theta = 0": _gauss(_wave, 0.0, 1.5, torch.randn(5)),
            "a narrow Gaussian, sigma = 0.05 (is something clamped?)": _gauss(
                _square, 0.5, 0.05, torch.randn(5)
            ),
            "a wide Gaussian, sigma = 20 (is something clamped?)": _gauss(
                _square, 0.5, 20.0, torch.randn(5)
            ),
            "a mean far from 0, theta = 50": _gauss(_square, 50.0, 2.0, torch.randn(5)),
            "noise of 0, for which the score is 0": _gauss(
                _square, 1.0, 2.0, torch.tensor([0.0, 1.0, 0.0])
            ),
            "draws that are all alike": _gauss(_cube, -1.0, 0.5, torch.full((4,), 1.5)),
            "a cost that is the same everywhere": _gauss(_flat, 1.0, 0.5, torch.randn(4)),
            "negative costs": _gauss(_debt, 0.5, 0.8, torch.randn(6)),
        },
        before=[_before(_first_gauss, "eps")],
        wrong={
            "The score of a Gaussian is (z - theta) / sigma^2. You divide by one power of sigma "
            "too few: z - theta is sigma * eps.": lambda f, t, s, e: f(t + s * e) * e,
            "You multiply by z - theta alone: the score divides it by sigma^2.":
                lambda f, t, s, e: f(t + s * e) * e * s,
            "You divide eps by sigma^2. It is z - theta, that is sigma * eps, which is divided "
            "by sigma^2.": lambda f, t, s, e: f(t + s * e) * e / s**2,
            "The sign is flipped: the derivative of log p with respect to theta is positive for "
            "a sample above theta.": lambda *a: -_score(*a),
            "You return the mean. Return one estimate for each epsilon, shape (S,), so that "
            "their variance can be measured.": lambda *a: _score(*a).mean(),
            "You return the sum. Return one estimate for each epsilon, shape (S,).":
                lambda *a: _score(*a).sum(),
            "The result has shape (S, 1); needed is (S,).": lambda *a: _score(*a)[
                :, None
            ],
            "Each estimate is divided by the number of draws. The mean is taken by whoever "
            "uses the estimates.": lambda *a: _score(*a) / len(a[3]),
            "The cost is replaced by its mean over the draws. Each draw has its own cost.":
                lambda f, t, s, e: f(t + s * e).mean() * e / s,
            "This is the pathwise estimator, the derivative of f. For a step it is 0 and wrong. "
            "Use values of f only, times the score.": _pathwise,
            "This is the derivative of f times the score. Use the value of f, not its "
            "derivative.": lambda f, t, s, e: _pathwise(f, t, s, e) * e / s,
            "You multiply by log p. Needed is its derivative with respect to theta.":
                lambda *a: _density(*a, of=torch.clone),
            "You multiply by the density p. Needed is the derivative of log p.": _density,
            "This is the score alone: the cost f(z) is missing.": lambda f, t, s, e: (
                e / s
            ),
            "This is the cost alone: the score is missing.": lambda f, t, s, e: f(
                t + s * e
            ),
            "The cost is taken at eps. Take it at the sample z = theta + sigma * eps.":
                lambda f, t, s, e: f(e) * e / s,
            "The cost is taken at theta + eps: sigma is missing in the sample.":
                lambda f, t, s, e: f(t + e) * e / s,
            "The cost is taken at theta + sigma^2 * eps. sigma is the standard deviation "
            "already.": lambda f, t, s, e: f(t + s**2 * e) * e / s,
            "The cost is taken at sigma * eps: theta is missing in the sample.":
                lambda f, t, s, e: f(s * e) * e / s,
            "The cost is taken at theta. Take it at the sample z.":
                lambda f, t, s, e: f(t) * e / s,
            "You use z / sigma^2 as the score: theta must be subtracted from z.":
                lambda f, t, s, e: f(t + s * e) * (t + s * e) / s**2,
            "The sample is z = theta + eps: sigma is missing in it.":
                lambda f, t, s, e: f(t + e) * e / s**2,
            "The score of a Gaussian has no factor 2: the one of the square and the one half "
            "in the exponent cancel.": lambda *a: 2 * _score(*a),
            "The score of a Gaussian has no factor one half: the 2 of the square cancels it.":
                lambda *a: _score(*a) / 2,
            "You take the root of sigma. It is the standard deviation already.":
                lambda f, t, s, e: _score(f, t, s.sqrt(), e),
            "This is the gradient with respect to sigma; asked is the one with respect to "
            "theta.": lambda f, t, s, e: f(t + s * e) * (e**2 - 1) / s,
            "You subtract the mean cost of the same draws. That is a baseline, and with a "
            "draw's own cost in it a slightly biased one. First write it without.":
                _against(torch.mean),
            "You subtract the mean cost of the other draws, a baseline. It is a good idea, and "
            "a later one; first write the estimator without.": _against(_others),
        },
    ),
)
# fmt: on


def _standard(u: Tensor) -> Tensor:
    side = u - 0.5
    return -side.sign() * torch.log1p(-2 * side.abs())


def _laplace(location: Tensor, scale: Tensor, u: Tensor) -> Tensor:
    return location + scale * _standard(u)


def _heights(*shape: int) -> tuple:
    location, scale = 2 * torch.randn(shape), 0.3 + 2 * torch.rand(shape)
    return location, scale, 0.02 + 0.96 * torch.rand(shape)


def _at(*heights: float, location: float = 0.0, scale: float = 1.0) -> tuple:
    """Three images with these heights, one for each dimension."""
    u = torch.tensor([heights] * 3)
    return torch.full_like(u, location), torch.full_like(u, scale), u


# `torch.rand` returns multiples of this number: u - 1/2 and 1 - u are exact for them.
TINY = 2.0**-24
# fmt: off
laplace = declare(
    "02.3 my_laplace",
    "batches of many sizes, heights from next to 0 to next to 1, narrow and wide "
    "distributions: values on both sides, gradients of both parameters.",
    Part(
        right=_laplace,
        cases=lambda: [
            (
                torch.tensor([[0.0, 1.0], [-1.0, 2.0], [3.0, 0.5]]),
                torch.tensor([[1.0, 2.0], [0.5, 3.0], [4.0, 1.5]]),
                torch.tensor([[0.25, 0.75], [0.625, 0.125], [0.375, 0.875]]),
            ),
            *[_heights(*shape) for shape in SHAPES],
        ],
        edges=lambda: {
            "one image in the batch (is there a `.squeeze()`?)": _heights(1, 4),
            "one dimension (is there a `.squeeze()`?)": _heights(4, 1),
            "one image and one dimension (is there a `.squeeze()`?)": _heights(1, 1),
            "u = 1/2, where the place is the location": _at(0.5, 0.5, location=2.0),
            "u close to 1/2": _at(0.5 - 2.0**-10, 0.5 + 2.0**-10),
            "small u (is u clamped?)": _at(2.0**-8, 2.0**-10),
            "u very near 0 (is u clamped?)": _at(2.0**-16, TINY),
            "large u (is u clamped?)": _at(1 - 2.0**-8, 1 - 2.0**-10),
            "u very near 1 (is u clamped?)": _at(1 - 2.0**-16, 1 - TINY),
            "locations far from 0 (is something clamped?)": _at(0.25, 0.9, location=-50.0),
            "a very small scale": _at(0.125, 0.9, scale=1e-3),
            "a very large scale": _at(0.125, 0.9, location=1.0, scale=1e3),
        },
        gradients=("location", "scale"),
        before=[
            _before(
                lambda: (
                    torch.tensor([[0.0, 1.0], [-1.0, 2.0]]),
                    torch.tensor([[1.0, 2.0], [0.5, 3.0]]),
                    torch.tensor([[0.25, 0.75], [0.625, 0.125]]),
                ),
                "u",
                nan="The result contains NaN, as from a logarithm of a negative number. Inside it "
                "must stand 2u below one half, and 2(1 - u) above.",
            )
        ],
        wrong={
            "The values are right, but no gradient passes: the sample is detached.":
                lambda m, s, u: _laplace(m, s, u).detach(),
            "The values are right, but scale gets no gradient: it is cut off.":
                lambda m, s, u: _laplace(m, s.detach(), u),
            "The values are right, but location gets no gradient: it is cut off.":
                lambda m, s, u: _laplace(m.detach(), s, u),
            "The samples are mirrored: a height above one half must give a place above the "
            "location. The inverse of a CDF never falls.": lambda m, s, u: (
                m - s * _standard(u)
            ),
            "All samples lie above the location: the sign of u - 1/2 is lost, and this is an "
            "exponential distribution.": lambda m, s, u: m + s * _standard(u).abs(),
            "All samples lie below the location: the upper piece has lost its minus, or u - 1/2 "
            "its sign.": lambda m, s, u: m - s * _standard(u).abs(),
            "scale is missing: the standard sample must be multiplied by it.":
                lambda m, s, u: m + _standard(u),
            "You divide by scale; a larger scale must spread the samples further.":
                lambda m, s, u: m + _standard(u) / s,
            "location is missing: the samples lie around 0.": lambda m, s, u: (
                s * _standard(u)
            ),
            "location is subtracted; it must be added.": lambda m, s, u: (
                s * _standard(u) - m
            ),
            "scale multiplies location as well. Scale first, then shift.":
                lambda m, s, u: (m + _standard(u)) * s,
            "location and scale have changed places.": lambda m, s, u: _laplace(s, m, u),
            "The factor 2 in the logarithm is missing: at u = 1/2 both pieces must meet at the "
            "location.": lambda m, s, u: (
                m + s * torch.where(u < 0.5, torch.log(u), -torch.log(1 - u))
            ),
            "The factor 2 in front of |u - 1/2| is missing: at u = 1 the place must be "
            "infinite.": lambda m, s, u: (
                m - s * (u - 0.5).sign() * torch.log1p(-(u - 0.5).abs())
            ),
            "You use the lower piece of the CDF everywhere. Above the location, for u over one "
            "half, the other piece applies.": lambda m, s, u: m + s * torch.log(2 * u),
            "You use the upper piece of the CDF everywhere. Below the location, for u under one "
            "half, the other piece applies.": lambda m, s, u: (
                m - s * torch.log(2 * (1 - u))
            ),
            "The two pieces have changed places: log(2u) belongs to u below one half.": (
                lambda m, s, u: (
                    m + s * torch.where(u < 0.5, -(2 - 2 * u).log(), (2 * u).log())
                )
            ),
            "This is the inverse CDF of the exponential distribution, not of the Laplace one.":
                lambda m, s, u: m - s * torch.log(1 - u),
            "This is the inverse CDF of the logistic distribution, not of the Laplace one.":
                lambda m, s, u: m + s * torch.logit(u),
            "This is the inverse CDF of the Gaussian, not of the Laplace distribution.":
                lambda m, s, u: m + s * Normal(0.0, 1.0).icdf(u),
            "This is the inverse CDF of the Cauchy distribution, not of the Laplace one.":
                lambda m, s, u: m + s * torch.tan(torch.pi * (u - 0.5)),
            "This is the inverse CDF of the Gumbel distribution, not of the Laplace one.":
                lambda m, s, u: m - s * torch.log(-torch.log(u)),
            "This is a uniform sample, shifted and stretched. Pass u through the inverse CDF.":
                lambda m, s, u: m + s * u,
            "This is a uniform sample around the location. Pass u through the inverse CDF.":
                lambda m, s, u: m + s * (u - 0.5),
            "You compute the CDF of u. Needed is its inverse: the place where the CDF is u.":
                lambda m, s, u: Laplace(m, s, validate_args=False).cdf(u),
            "You take the root of scale. It is a scale already, not a variance.":
                lambda m, s, u: m + s.sqrt() * _standard(u),
            "You square scale. It multiplies the standard sample as it is.":
                lambda m, s, u: m + s**2 * _standard(u),
            "You treat scale as the standard deviation, which is sqrt(2) times the scale of a "
            "Laplace distribution. Here the scale itself is given.":
                lambda m, s, u: m + s / 2**0.5 * _standard(u),
            "You treat scale as a log-variance. Here the scale itself is given.":
                lambda m, s, u: m + torch.exp(0.5 * s) * _standard(u),
            "You treat scale as a logarithm. Here the scale itself is given.":
                lambda m, s, u: m + s.exp() * _standard(u),
            "This is a logarithm to base 2. The exponential of the CDF is undone by the natural "
            "one, `torch.log`.": lambda m, s, u: (
                m + s * _standard(u) / torch.tensor(2.0).log()
            ),
        },
    ),
)
# fmt: on
