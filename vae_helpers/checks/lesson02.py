"""Checks of lesson 02."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Laplace, Normal

from vae_helpers.checks.legacy import Wrong, check, compare, parts

CASES = 40


def _unpack(function: Callable) -> Callable:
    """Hand the noise over as a plain tensor, without asking for its gradient.

    In a case the noise stands in a tuple of one. Whether an answer passes a gradient to
    the noise is its own business: nobody learns noise.
    """
    return lambda *arguments: function(*arguments[:-1], arguments[-1][0].clone())


def _run(function: Callable, *arguments, seed: int) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    copies = [a.clone() if isinstance(a, Tensor) else a for a in arguments]
    return {name: t.detach() for name, t in parts(function(*copies)).items()}


def _same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def _need_noise(function: Callable, arguments: tuple, noise: Tensor, name: str) -> None:
    """Wrong if the result does not depend on the noise that is given."""
    other = 0.9 * noise  # stays between 0 and 1 if it was there
    first = _run(function, *arguments, noise, seed=0)
    if not _same(first, _run(function, *arguments, other, seed=0)):
        return
    if not _same(first, _run(function, *arguments, noise, seed=1)):
        raise Wrong(
            f"Your function draws its own noise and ignores `{name}`. Use the noise that "
            "is given; then the sample is an ordinary function of its inputs."
        )
    raise Wrong(
        f"The result is the same whatever `{name}` is: the noise is fixed or missing, so "
        f"every step would see the same sample. Use `{name}`."
    )


def _no_nan(function: Callable, arguments: tuple, message: str) -> None:
    result = _run(function, *arguments, seed=0)
    if any(t.is_floating_point() and t.isnan().any() for t in result.values()):
        raise Wrong(message)


def _sample(mu, logvar, eps):
    return mu + torch.exp(0.5 * logvar) * eps


REPARAMETERIZE_MISTAKES = [
    (
        lambda mu, lv, eps: _sample(mu, lv, eps).detach(),
        "The values are right, but no gradient passes: the sample is detached (`.detach()`, "
        "`.data`, `no_grad`, or `sample()`). The encoder would never learn.",
    ),
    (
        lambda mu, lv, eps: _sample(mu, lv.detach(), eps),
        "The values are right, but logvar gets no gradient: sigma is cut off, and the "
        "spread would never learn.",
    ),
    (
        lambda mu, lv, eps: _sample(mu.detach(), lv, eps),
        "The values are right, but mu gets no gradient: it is cut off.",
    ),
    (
        lambda mu, lv, eps: mu + lv.exp() * eps,
        "You use exp(logvar) as sigma, but that is the variance: a factor 0.5 is missing in "
        "the exponent.",
    ),
    (
        lambda mu, lv, eps: mu + lv * eps,
        "You use logvar itself as sigma. It is the logarithm of sigma^2 and may be negative.",
    ),
    (
        lambda mu, lv, eps: mu + 0.5 * lv.exp() * eps,
        "The half stands outside the exponential: that halves the variance. The square root "
        "needs it inside.",
    ),
    (
        lambda mu, lv, eps: mu + torch.exp(2 * lv) * eps,
        "You use exp(2 * logvar): the root takes half of the exponent, not the double.",
    ),
    (
        lambda mu, lv, eps: mu + torch.exp(-0.5 * lv) * eps,
        "The exponent has the wrong sign: this is one over sigma.",
    ),
    (
        lambda mu, lv, eps: mu + F.softplus(lv) * eps,
        "You use softplus(logvar). It is positive, but it is not the sigma whose log-"
        "variance was given.",
    ),
    (
        lambda mu, lv, eps: mu - torch.exp(0.5 * lv) * eps,
        "The noise is subtracted: z = mu + sigma * eps. (The distribution is the same, but "
        "not this sample, and the gradient of logvar changes its sign.)",
    ),
    (
        lambda mu, lv, eps: torch.exp(0.5 * lv) * eps,
        "mu is missing: the samples lie around 0.",
    ),
    (
        lambda mu, lv, eps: mu + eps,
        "sigma is missing: every sample has a standard deviation of 1.",
    ),
    (
        lambda mu, lv, eps: (mu + eps) * torch.exp(0.5 * lv),
        "sigma multiplies mu as well. Scale the noise first, then shift.",
    ),
    (
        lambda mu, lv, eps: mu * eps + torch.exp(0.5 * lv),
        "mu and sigma have changed places: sigma multiplies the noise, mu is added.",
    ),
    (
        lambda mu, lv, eps: lv + torch.exp(0.5 * mu) * eps,
        "The arguments mu and logvar have changed places.",
    ),
    (
        lambda mu, lv, eps: _sample(mu, lv, eps[:, :1].expand_as(mu)),
        "All dimensions of an image share one epsilon: the samples lie on a line. Use one "
        "number for each dimension.",
    ),
    (
        lambda mu, lv, eps: _sample(mu, lv, eps[:1].expand_as(mu)),
        "All images share one row of noise. Use one number for each image and dimension.",
    ),
    (
        lambda mu, lv, eps: _sample(mu, lv, eps[:1, :1].expand_as(mu)),
        "One single epsilon serves all images and all dimensions. Use all of `eps`.",
    ),
]


@check("02.1 my_reparameterize")
def reparameterize(answer) -> str:
    """answer(mu, logvar, eps) -> z, all (B, Z)."""
    generator = torch.Generator().manual_seed(0)

    def draw(shape):
        return torch.randn(shape, generator=generator)

    cases = []
    for number in range(CASES):
        shape = (2 + number % 4, 1 + number % 5)
        cases.append((draw(shape), draw(shape), (draw(shape),)))
    mu, logvar, (eps,) = cases[4]
    if _same(_run(answer, mu, logvar, eps, seed=0), {"result": mu}):
        raise Wrong(
            "Your function returns mu: there is no randomness in it. The decoder needs a "
            "sample."
        )
    _need_noise(answer, (mu, logvar), eps, "eps")
    _no_nan(
        answer,
        (mu, logvar, eps),
        "The result contains NaN: a root or a logarithm of a negative number. logvar may be "
        "negative; only its exponential is positive.",
    )
    compare(
        _unpack(answer),
        _unpack(_sample),
        cases,
        [(_unpack(mistake), text) for mistake, text in REPARAMETERIZE_MISTAKES],
        gradients=True,
    )
    return f"{CASES} random batches: values, shapes, gradients of mu and logvar."


# Functions of each entry. The step keeps a path, so that a pathwise answer runs and gets 0.
COSTS = [
    torch.square,
    lambda z: (z > 0.3).float() + 0 * z,
    lambda z: torch.cos(2 * z) + 0.5 * z,
    lambda z: (z - 1) ** 3,
]


def _score(f, theta, sigma, eps):
    return f(theta + sigma * eps) * eps / sigma


def _pathwise(f, theta, sigma, eps):
    z = (theta + sigma * eps).detach().requires_grad_()
    return torch.autograd.grad(f(z).sum(), z)[0]


def _without_mean(f, theta, sigma, eps):
    values = f(theta + sigma * eps)
    return (values - values.mean()) * eps / sigma


def _log_prob(theta, sigma, z):
    return Normal(theta, sigma).log_prob(z)


SCORE_MISTAKES = [
    (
        lambda f, t, s, e: f(t + s * e) * e,
        "The score of a Gaussian is (z - theta) / sigma^2. You divide by one power of sigma "
        "too few: z - theta is sigma * eps.",
    ),
    (
        lambda f, t, s, e: f(t + s * e) * e * s,
        "You multiply by z - theta alone: the score divides it by sigma^2.",
    ),
    (
        lambda f, t, s, e: f(t + s * e) * e / s**2,
        "You divide eps by sigma^2. It is z - theta, that is sigma * eps, which is divided "
        "by sigma^2.",
    ),
    (
        lambda *a: -_score(*a),
        "The sign is flipped: the derivative of log p with respect to theta is positive for "
        "a sample above theta.",
    ),
    (
        lambda *a: _score(*a).mean(),
        "You return the mean. Return one estimate for each epsilon, shape (S,), so that "
        "their variance can be measured.",
    ),
    (
        lambda *a: _score(*a).sum(),
        "You return the sum. Return one estimate for each epsilon, shape (S,).",
    ),
    (
        lambda *a: _score(*a)[:, None],
        "The result has shape (S, 1); needed is (S,).",
    ),
    (
        _pathwise,
        "This is the pathwise estimator, the derivative of f. For a step it is 0 and wrong. "
        "Use values of f only, times the score.",
    ),
    (
        lambda f, t, s, e: f(t + s * e) * _log_prob(t, s, t + s * e),
        "You multiply by log p. Needed is its derivative with respect to theta.",
    ),
    (
        lambda f, t, s, e: f(t + s * e) * _log_prob(t, s, t + s * e).exp(),
        "You multiply by the density p. Needed is the derivative of log p.",
    ),
    (
        lambda f, t, s, e: e / s,
        "This is the score alone: the cost f(z) is missing.",
    ),
    (
        lambda f, t, s, e: f(t + s * e),
        "This is the cost alone: the score is missing.",
    ),
    (
        lambda f, t, s, e: f(e) * e / s,
        "The cost is taken at eps. Take it at the sample z = theta + sigma * eps.",
    ),
    (
        lambda f, t, s, e: f(t + e) * e / s,
        "The cost is taken at theta + eps: sigma is missing in the sample.",
    ),
    (
        lambda f, t, s, e: f(t) * e / s,
        "The cost is taken at theta. Take it at the sample z.",
    ),
    (
        lambda f, t, s, e: f(t + s * e) * (t + s * e) / s**2,
        "You use z / sigma^2 as the score: theta must be subtracted from z.",
    ),
    (
        lambda f, t, s, e: f(t + s * e) * (e**2 - 1) / s,
        "This is the gradient with respect to sigma; asked is the one with respect to theta.",
    ),
    (
        _without_mean,
        "You subtract the mean cost of the same draws. That is a baseline, and with a "
        "draw's own cost in it a slightly biased one. First write it without.",
    ),
]


@check("02.2 my_score_gradient")
def score_gradient(answer) -> str:
    """answer(f, theta, sigma, eps) -> (S,) estimates of d E[f(z)] / d theta."""
    generator = torch.Generator().manual_seed(0)
    cases = []
    for number in range(CASES):
        theta = torch.randn((), generator=generator)
        sigma = 0.4 + 2 * torch.rand((), generator=generator)
        eps = torch.randn(5 + number % 7, generator=generator)
        cases.append((COSTS[number % len(COSTS)], theta, sigma, (eps,)))
    f, theta, sigma, (eps,) = cases[0]
    result = answer(f, theta.clone(), sigma.clone(), eps.clone())
    if isinstance(result, list | tuple):
        raise Wrong(
            "Your function returns a list of numbers. Return one tensor of shape (S,), for "
            "example with torch.stack."
        )
    _need_noise(answer, (f, theta, sigma), eps, "eps")
    compare(
        _unpack(answer),
        _unpack(_score),
        cases,
        [(_unpack(mistake), text) for mistake, text in SCORE_MISTAKES],
    )
    return f"{CASES} random Gaussians with smooth and stepped costs: values and shapes."


def _laplace(location, scale, u):
    return location + scale * _standard(u)


def _standard(u):
    side = u - 0.5
    return -side.sign() * torch.log1p(-2 * side.abs())


LAPLACE_MISTAKES = [
    (
        lambda m, s, u: _laplace(m, s, u).detach(),
        "The values are right, but no gradient passes: the sample is detached.",
    ),
    (
        lambda m, s, u: _laplace(m, s.detach(), u),
        "The values are right, but scale gets no gradient: it is cut off.",
    ),
    (
        lambda m, s, u: _laplace(m.detach(), s, u),
        "The values are right, but location gets no gradient: it is cut off.",
    ),
    (
        lambda m, s, u: m - s * _standard(u),
        "The samples are mirrored: a height above one half must give a place above the "
        "location. The inverse of a CDF never falls.",
    ),
    (
        lambda m, s, u: m + s * _standard(u).abs(),
        "All samples lie above the location: the sign of u - 1/2 is lost, and this is an "
        "exponential distribution.",
    ),
    (
        lambda m, s, u: m + _standard(u),
        "scale is missing: the standard sample must be multiplied by it.",
    ),
    (
        lambda m, s, u: m + _standard(u) / s,
        "You divide by scale; a larger scale must spread the samples further.",
    ),
    (
        lambda m, s, u: s * _standard(u),
        "location is missing: the samples lie around 0.",
    ),
    (
        lambda m, s, u: (m + _standard(u)) * s,
        "scale multiplies location as well. Scale first, then shift.",
    ),
    (
        lambda m, s, u: m + s * torch.where(u < 0.5, torch.log(u), -torch.log(1 - u)),
        "The factor 2 in the logarithm is missing: at u = 1/2 both pieces must meet at the "
        "location.",
    ),
    (
        lambda m, s, u: m - s * (u - 0.5).sign() * torch.log1p(-(u - 0.5).abs()),
        "The factor 2 in front of |u - 1/2| is missing: at u = 1 the place must be infinite.",
    ),
    (
        lambda m, s, u: m + s * torch.log(2 * u),
        "You use the lower piece of the CDF everywhere. Above the location, for u over one "
        "half, the other piece applies.",
    ),
    (
        lambda m, s, u: m - s * torch.log(2 * (1 - u)),
        "You use the upper piece of the CDF everywhere. Below the location, for u under one "
        "half, the other piece applies.",
    ),
    (
        lambda m, s, u: (
            m + s * torch.where(u < 0.5, -torch.log(2 - 2 * u), (2 * u).log())
        ),
        "The two pieces have changed places: log(2u) belongs to u below one half.",
    ),
    (
        lambda m, s, u: m - s * torch.log(1 - u),
        "This is the inverse CDF of the exponential distribution, not of the Laplace one.",
    ),
    (
        lambda m, s, u: m + s * torch.logit(u),
        "This is the inverse CDF of the logistic distribution, not of the Laplace one.",
    ),
    (
        lambda m, s, u: m + s * Normal(0.0, 1.0).icdf(u),
        "This is the inverse CDF of the Gaussian, not of the Laplace distribution.",
    ),
    (
        lambda m, s, u: m + s * u,
        "This is a uniform sample, shifted and stretched. Pass u through the inverse CDF.",
    ),
    (
        lambda m, s, u: Laplace(m, s).cdf(u),
        "You compute the CDF of u. Needed is its inverse: the place where the CDF is u.",
    ),
    (
        lambda m, s, u: m + s.sqrt() * _standard(u),
        "You take the root of scale. It is a scale already, not a variance.",
    ),
    (
        lambda m, s, u: m + torch.exp(0.5 * s) * _standard(u),
        "You treat scale as a log-variance. Here the scale itself is given.",
    ),
]


@check("02.3 my_laplace")
def laplace(answer) -> str:
    """answer(location, scale, u) -> z, all (B, Z)."""
    generator = torch.Generator().manual_seed(0)
    cases = []
    for number in range(CASES):
        shape = (2 + number % 4, 1 + number % 5)
        location = 2 * torch.randn(shape, generator=generator)
        scale = 0.3 + 2 * torch.rand(shape, generator=generator)
        u = 0.01 + 0.98 * torch.rand(shape, generator=generator)
        cases.append((location, scale, (u,)))
    location, scale, (u,) = cases[4]
    _need_noise(answer, (location, scale), u, "u")
    _no_nan(
        answer,
        (location, scale, u),
        "The result contains NaN: a logarithm of a negative number. Inside it must stand "
        "2u below one half, and 2(1 - u) above.",
    )
    compare(
        _unpack(answer),
        _unpack(_laplace),
        cases,
        [(_unpack(mistake), text) for mistake, text in LAPLACE_MISTAKES],
        gradients=True,
    )
    return (
        f"{CASES} random batches: values on both sides, gradients of both parameters."
    )
