"""Right and wrong answers to the exercises of lesson 02."""

import torch
from torch.distributions import AffineTransform, Laplace, Normal

from vae_helpers.checks import lesson02 as check

NOISE = torch.randn(50, 50, generator=torch.Generator().manual_seed(7))


def in_one_line(mu, logvar, eps):
    return mu + torch.exp(0.5 * logvar) * eps


def fused(mu, logvar, eps):
    return torch.addcmul(mu, logvar.exp().sqrt(), eps.detach())


def in_loops(mu, logvar, eps):
    rows = []
    for m_row, lv_row, e_row in zip(mu, logvar, eps, strict=True):
        entries = zip(m_row, lv_row, e_row, strict=True)
        rows.append(torch.stack([m + lv.exp() ** 0.5 * e for m, lv, e in entries]))
    return torch.stack(rows)


def by_transform(mu, logvar, eps):
    return AffineTransform(mu, (logvar / 2).exp())(eps)


def by_density(f, theta, sigma, eps):
    z = (theta + sigma * eps).detach()
    own = theta.detach().expand(z.shape).clone().requires_grad_()
    log_p = Normal(own, sigma).log_prob(z)
    (score,) = torch.autograd.grad(log_p.sum(), own)
    return f(z) * score


def by_formula(f, theta, sigma, eps):
    return f(theta + sigma * eps) * eps / sigma


def score_in_a_loop(f, theta, sigma, eps):
    z = [theta + sigma * e for e in eps]
    return torch.stack([f(value) * (value - theta) / sigma**2 for value in z])


def with_a_mean(f, theta, sigma, eps):
    z = theta + sigma * eps
    return (f(z) * (z - theta) / sigma**2).mean()


def pathwise(f, theta, sigma, eps):
    z = (theta + sigma * eps).requires_grad_()
    return torch.autograd.grad(f(z).sum(), z)[0]


def own_laplace(location, scale, u):
    return Laplace(location, scale).rsample()


def in_two_pieces(location, scale, u):
    pieces = torch.log(2 * u), -torch.log(2 - 2 * u)
    return location + scale * torch.where(u < 0.5, *pieces)


def with_a_sign(location, scale, u):
    side = (u - 0.5).detach()
    return torch.addcmul(location, scale, -side.sign() * (1 - 2 * side.abs()).log())


def by_library(location, scale, u):
    return Laplace(location, scale).icdf(u)


def by_standard_library(location, scale, u):
    with torch.no_grad():
        standard = Laplace(0.0, 1.0).icdf(u)
    return location + scale * standard


EXERCISES = {
    "02.1": {
        "check": check.reparameterize,
        "right": [(in_one_line,), (fused,), (in_loops,), (by_transform,)],
        "wrong": [
            (
                (lambda mu, lv, eps: (mu + torch.exp(0.5 * lv) * eps).detach(),),
                "the sample is detached",
            ),
            (
                (lambda mu, lv, eps: mu + torch.exp(0.5 * lv).detach() * eps,),
                "logvar gets no gradient",
            ),
            (
                (lambda mu, lv, eps: mu.data + torch.exp(0.5 * lv) * eps,),
                "mu gets no gradient",
            ),
            (
                (lambda mu, lv, eps: mu + torch.exp(0.5 * lv) * eps[:, :1],),
                "share one epsilon",
            ),
            (
                (lambda mu, lv, eps: mu + torch.exp(0.5 * lv) * eps[:1],),
                "share one row",
            ),
            (
                (lambda mu, lv, eps: mu + torch.exp(0.5 * lv) * eps[0, 0],),
                "One single epsilon",
            ),
            (
                (lambda mu, lv, eps: mu + torch.exp(0.5 * lv) * torch.randn_like(mu),),
                "draws its own noise",
            ),
            (
                (
                    lambda mu, lv, eps: (
                        mu + torch.exp(0.5 * lv) * NOISE[: mu.shape[0], : mu.shape[1]]
                    ),
                ),
                "the noise is fixed",
            ),
            ((lambda mu, lv, eps: mu + lv.exp() * eps,), "a factor 0.5 is missing"),
            ((lambda mu, lv, eps: mu + lv * eps,), "logvar itself as sigma"),
            ((lambda mu, lv, eps: mu + lv.exp() / 2 * eps,), "outside the exponential"),
            ((lambda mu, lv, eps: mu + lv.exp() ** 2 * eps,), "not the double"),
            ((lambda mu, lv, eps: mu + (-lv / 2).exp() * eps,), "one over sigma"),
            ((lambda mu, lv, eps: mu - (lv / 2).exp() * eps,), "noise is subtracted"),
            ((lambda mu, lv, eps: (lv / 2).exp() * eps,), "mu is missing"),
            ((lambda mu, lv, eps: mu + eps,), "sigma is missing"),
            ((lambda mu, lv, eps: (mu + eps) * (lv / 2).exp(),), "multiplies mu"),
            ((lambda mu, lv, eps: mu * eps + (lv / 2).exp(),), "changed places: sigma"),
            ((lambda mu, lv, eps: lv + (mu / 2).exp() * eps,), "arguments mu and"),
            (
                (lambda mu, lv, eps: mu + torch.nn.functional.softplus(lv) * eps,),
                "softplus",
            ),
            ((lambda mu, lv, eps: mu + lv.sqrt() * eps,), "contains NaN"),
            ((lambda mu, lv, eps: mu,), "returns mu"),
            ((lambda mu, lv, eps: (mu + (lv / 2).exp() * eps).mean(1),), "has shape"),
            ((lambda mu, lv, eps: None,), "returned None"),
        ],
    },
    "02.2": {
        "check": check.score_gradient,
        "right": [(by_formula,), (by_density,), (score_in_a_loop,)],
        "wrong": [
            ((lambda f, t, s, e: f(t + s * e) * e,), "one power of sigma too few"),
            ((lambda f, t, s, e: f(t + s * e) * s * e,), "z - theta alone"),
            ((lambda f, t, s, e: f(t + s * e) * e / s**2,), "divide eps by sigma^2"),
            ((lambda f, t, s, e: -f(t + s * e) * e / s,), "sign is flipped"),
            ((with_a_mean,), "return the mean"),
            ((pathwise,), "the pathwise estimator"),
            (
                (lambda f, t, s, e: f(t + s * e) * Normal(t, s).log_prob(t + s * e),),
                "multiply by log p",
            ),
            ((lambda f, t, s, e: e / s,), "the score alone"),
            ((lambda f, t, s, e: f(t + s * e),), "the cost alone"),
            ((lambda f, t, s, e: f(e) * e / s,), "taken at eps"),
            ((lambda f, t, s, e: f(t + e) * e / s,), "sigma is missing in the sample"),
            ((lambda f, t, s, e: f(t) * e / s,), "taken at theta."),
            (
                (lambda f, t, s, e: f(t + s * e) * (t + s * e) / s**2,),
                "subtracted from",
            ),
            ((lambda f, t, s, e: f(t + s * e) * (e**2 - 1) / s,), "respect to sigma"),
            (
                (lambda f, t, s, e: (f(t + s * e) - f(t + s * e).mean()) * e / s,),
                "a baseline",
            ),
            (
                (lambda f, t, s, e: f(t + s * torch.randn(len(e))) * e / s,),
                "differs: for example",
            ),
            (
                (lambda f, t, s, e: by_formula(f, t, s, torch.randn(len(e))),),
                "draws its own noise",
            ),
            ((lambda f, t, s, e: by_formula(f, t, s, e).tolist(),), "list of numbers"),
        ],
    },
    "02.3": {
        "check": check.laplace,
        "right": [
            (in_two_pieces,),
            (with_a_sign,),
            (by_library,),
            (by_standard_library,),
        ],
        "wrong": [
            ((lambda m, s, u: Laplace(m, s).icdf(u).detach(),), "sample is detached"),
            ((lambda m, s, u: Laplace(m, s.detach()).icdf(u),), "scale gets no"),
            ((lambda m, s, u: Laplace(m.detach(), s).icdf(u),), "location gets no"),
            ((lambda m, s, u: Laplace(m, s).icdf(1 - u),), "mirrored"),
            ((lambda m, s, u: m - s * (1 - (2 * u - 1).abs()).log(),), "sign of u"),
            ((lambda m, s, u: m + Laplace(0.0, 1.0).icdf(u),), "scale is missing"),
            ((lambda m, s, u: Laplace(0.0, s).icdf(u),), "location is missing"),
            ((lambda m, s, u: Laplace(m, 1 / s).icdf(u),), "divide by scale"),
            ((lambda m, s, u: s * Laplace(m, 1.0).icdf(u),), "multiplies location"),
            (
                (
                    lambda m, s, u: (
                        m + s * torch.where(u < 0.5, u.log(), -(1 - u).log())
                    ),
                ),
                "factor 2 in the logarithm",
            ),
            ((lambda m, s, u: m + s * (2 * u).log(),), "lower piece"),
            ((lambda m, s, u: m - s * (2 - 2 * u).log(),), "upper piece"),
            ((lambda m, s, u: m - s * (1 - u).log(),), "exponential distribution, not"),
            ((lambda m, s, u: m + s * (u / (1 - u)).log(),), "logistic"),
            ((lambda m, s, u: Normal(m, s).icdf(u),), "of the Gaussian"),
            ((lambda m, s, u: m + s * u,), "uniform sample"),
            ((lambda m, s, u: Laplace(m, s).cdf(u),), "the CDF of u"),
            ((lambda m, s, u: m + s * (1 - 2 * u).log(),), "contains NaN"),
            ((own_laplace,), "draws its own noise"),
        ],
    },
}
