"""Variants of lesson 02: another parameter of the spread, another derivative."""

import random

import torch
import torch.nn.functional as F

from grading.variants import Variant

# name, words, sigma from the parameter, the same as code of the key
SPREADS = [
    (
        "log_precision",
        r"$\log(1/\sigma^2)$, the logarithm of one over the variance",
        lambda r: torch.exp(-0.5 * r),
        "torch.exp(-0.5 * log_precision)",
    ),
    (
        "log_sigma",
        r"$\log\sigma$, the logarithm of the standard deviation",
        torch.exp,
        "torch.exp(log_sigma)",
    ),
    (
        "log2_variance",
        r"$\log_2\sigma^2$, the logarithm of the variance to base 2",
        lambda r: 2 ** (0.5 * r),
        "2 ** (0.5 * log2_variance)",
    ),
    (
        "rho",
        r"$\rho$ with $\sigma = \log(1 + e^\rho)$, the softplus function",
        F.softplus,
        "torch.log1p(torch.exp(rho))",
    ),
]


def another_spread(pick: random.Random) -> Variant:
    """02.1 with another parameter than logvar, and noise scaled by a temperature."""
    word, words, sigma, code = pick.choice(SPREADS)
    heat = pick.choice([0.3, 0.5, 0.7, 0.8, 1.2, 1.5])
    task = f"""
The encoder of this assignment returns `mu` and `{word}`, which is {words}. Samples are
drawn at **temperature {heat}**: the standard deviation of the noise is {heat} times $\\sigma$.
Return the sample for the given noise. Gradients of both inputs count."""
    answer = f'''
def draw_code(mu, {word}, eps):
    """mu, {word}, eps (B, Z) -> z (B, Z), at temperature {heat}."""
    ### BEGIN SOLUTION
    sigma = {code}  # (B, Z)
    return mu + {heat} * sigma * eps
    ### END SOLUTION'''

    def right(mu, r, eps):
        return mu + heat * sigma(r) * eps

    wrong = {
        "This is the sample of the lesson, for logvar. Read what the second input is.": lambda mu, r, eps: (
            mu + torch.exp(0.5 * r) * eps
        ),
        f"You treat {word} as logvar. Read what the second input is.": lambda mu, r, eps: (
            mu + heat * torch.exp(0.5 * r) * eps
        ),
        "The temperature is missing.": lambda mu, r, eps: mu + sigma(r) * eps,
        "You divide by the temperature; it multiplies the noise.": lambda mu, r, eps: (
            mu + sigma(r) * eps / heat
        ),
        "The temperature multiplies mu as well. It belongs to the noise.": lambda mu, r, eps: (
            heat * (mu + sigma(r) * eps)
        ),
        "You use the variance as standard deviation.": lambda mu, r, eps: (
            mu + heat * sigma(r) ** 2 * eps
        ),
        f"You use {word} itself as sigma.": lambda mu, r, eps: mu + heat * r * eps,
        "mu is missing.": lambda mu, r, eps: heat * sigma(r) * eps,
        "The noise is subtracted: z = mu + noise.": lambda mu, r, eps: (
            mu - heat * sigma(r) * eps
        ),
        "The values are right, but no gradient passes: the sample is detached.": lambda mu, r, eps: (
            right(mu, r, eps).detach()
        ),
        f"The values are right, but {word} gets no gradient.": lambda mu, r, eps: right(
            mu, r.detach(), eps
        ),
    }

    def cases(draw, at):
        shape = (2 + at % 3, 2 + (at + 1) % 2)
        return draw(*shape), draw(*shape), draw(*shape)

    return Variant(
        "draw_code",
        "A sample at another temperature",
        task,
        answer.lstrip(),
        cases,
        wrong,
    )


# name, words, factor of (eps^2 - 1), the same as code of the key
WITH_RESPECT_TO = [
    ("sigma", r"$\sigma$", lambda s: 1 / s, "sigma"),
    ("log sigma", r"$\log\sigma$", lambda s: 1 + 0 * s, "1.0"),
    ("sigma^2", r"the variance $\sigma^2$", lambda s: 0.5 / s**2, "(2 * sigma**2)"),
]


def score_of_the_spread(pick: random.Random) -> Variant:
    """02.3 with the derivative in the spread instead of the mean."""
    which, words, factor, code = pick.choice(WITH_RESPECT_TO)
    weight = pick.choice([-2.0, -0.5, 0.25, 3.0])
    task = f"""
The same estimator, with respect to another number. Return one score-function estimate for
each sample of the gradient of ${weight}\\,\\mathbb E[f(z)]$ **with respect to {words}**, where
$z \\sim \\mathcal N(\\mu, \\sigma^2)$. You get the samples `z` and the costs $f(z)$; first work
out the derivative of $\\log p(z)$."""
    answer = f'''
def spread_gradient(cost, z, mu, sigma):
    """cost = f(z), z (S,); mu, sigma: scalars -> estimates (S,)."""
    ### BEGIN SOLUTION
    scaled = (z - mu) / sigma
    return {weight} * cost * (scaled**2 - 1) / {code}
    ### END SOLUTION'''

    def right(cost, z, mu, sigma):
        return weight * cost * (((z - mu) / sigma) ** 2 - 1) * factor(sigma)

    others = {
        f"This is the gradient with respect to {name}; asked is {which}.": (
            lambda c, z, t, s, f=f: weight * c * (((z - t) / s) ** 2 - 1) * f(s)
        )
        for name, _, f, _ in WITH_RESPECT_TO
        if name != which
    }
    wrong = {
        "This is the gradient with respect to mu, as in the lesson.": lambda c, z, t, s: (
            c * (z - t) / s**2
        ),
        "This is the gradient with respect to mu. Asked is the spread.": lambda c, z, t, s: (
            weight * c * (z - t) / s**2
        ),
        **others,
        f"The factor {weight} in front of the expectation is missing.": lambda c, z, t, s: (
            right(c, z, t, s) / weight
        ),
        "The -1 is missing: the normalising constant depends on sigma too.": lambda c, z, t, s: (
            weight * c * ((z - t) / s) ** 2 * factor(s)
        ),
        "mu is missing: the distance of z from mu counts.": lambda c, z, t, s: (
            weight * c * ((z / s) ** 2 - 1) * factor(s)
        ),
        "The sign is flipped.": lambda c, z, t, s: -right(c, z, t, s),
        "You return the mean. Return one estimate for each sample, shape (S,).": lambda c, z, t, s: (
            right(c, z, t, s).mean()
        ),
        "This is the score alone: the cost is missing.": lambda c, z, t, s: right(
            1 + 0 * c, z, t, s
        ),
    }

    def cases(draw, at):
        size = 4 + at % 3
        sigma = (0.3 * draw(1)).exp().reshape(()) + 0.2
        return draw(size), draw(size), draw(1).reshape(()), sigma

    return Variant(
        "spread_gradient",
        "The score of the spread",
        task,
        answer.lstrip(),
        cases,
        wrong,
        gradients=False,
    )


VARIANTS = {"02.1": another_spread, "02.3": score_of_the_spread}
