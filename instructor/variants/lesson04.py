"""Variants of lesson 04: another likelihood and weight, another line."""

import math
import random

import torch

from grading.variants import Variant


def _laplace(x, mean, b):
    return ((x - mean).abs() / b + math.log(2 * b)).flatten(1).sum(1)


def _gaussian(x, mean, s):
    square = (x - mean) ** 2 / (2 * s**2)
    return (square + 0.5 * math.log(2 * math.pi * s**2)).flatten(1).sum(1)


def _kl(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


# name, formula of the density, minus log p, lines of the key
LIKELIHOODS = [
    (
        "Laplace",
        r"$p(x_d \mid z) = \frac{1}{2b} \exp(-|x_d - \hat x_d| / b)$ with $b = WIDTH$",
        _laplace,
        "(x - mean).abs() / WIDTH + math.log(2 * WIDTH)",
    ),
    (
        "Gaussian",
        r"$p(x_d \mid z) = \mathcal N(x_d;\, \hat x_d, \sigma_x^2)$ with "
        r"$\sigma_x = WIDTH$",
        _gaussian,
        "(x - mean) ** 2 / (2 * WIDTH**2) + 0.5 * math.log(2 * math.pi * WIDTH**2)",
    ),
]


def another_likelihood(pick: random.Random) -> Variant:
    """04.2 with real-valued pixels, a fixed width and a weight on the KL."""
    word, density, minus_log, code = pick.choice(LIKELIHOODS)
    width = pick.choice([0.1, 0.2, 0.3, 0.4, 0.6])
    beta = pick.choice([0.25, 0.5, 2.0, 4.0])
    task = f"""
The pixels of this assignment are real numbers. The decoder returns their mean $\\hat x$, and
the likelihood is {word}: {density.replace("WIDTH", str(width))}, each pixel independent of
the others. Return **one number**, the loss $-\\log p(x \\mid z) + {beta}\\,\\mathrm{{KL}}$ with
all constants, for the standard normal prior. **Sum** over pixels and over latent
dimensions, **mean** over the batch."""
    answer = f'''
def real_valued_loss(x, mean, mu, logvar):
    """x, mean (B, C, H, W); mu, logvar (B, Z) -> the loss, a scalar in nats."""
    ### BEGIN SOLUTION
    nats = {code.replace("WIDTH", str(width))}
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    return (nats.flatten(1).sum(1) + {beta} * kl).mean()
    ### END SOLUTION'''

    def right(x, mean, mu, lv, weight=beta):
        return (minus_log(x, mean, width) + weight * _kl(mu, lv)).mean()

    def bernoulli(x, mean, mu, lv):
        nats = torch.nn.functional.binary_cross_entropy_with_logits(
            mean, x, reduction="none"
        )
        return (nats.flatten(1).sum(1) + beta * _kl(mu, lv)).mean()

    def other(x, mean, mu, lv):
        density = _gaussian if word == "Laplace" else _laplace
        return (density(x, mean, width) + beta * _kl(mu, lv)).mean()

    def bare(x, mean, mu, lv):
        power = (x - mean).abs() if word == "Laplace" else (x - mean) ** 2
        return (power.flatten(1).sum(1) + beta * _kl(mu, lv)).mean()

    def without_constant(x, mean, mu, lv):
        return right(x, mean, mu, lv) - minus_log(x, x, width).mean()

    wrong = {
        "This is the Bernoulli likelihood of the lesson.": bernoulli,
        "This is another likelihood than the task has.": other,
        "The reconstruction term has neither width nor constant.": bare,
        "The normalising constant of the likelihood is missing.": without_constant,
        "The KL has weight 1. Read the weight in the task.": lambda *a: right(
            *a, weight=1.0
        ),
        "The KL is missing.": lambda *a: right(*a, weight=0.0),
        "You divide the KL by its weight.": lambda *a: right(*a, weight=1 / beta),
        "The KL has the wrong sign.": lambda *a: right(*a, weight=-beta),
        "The reconstruction term is a mean over pixels. Sum over pixels.": lambda x, m, mu, lv: (
            (minus_log(x, m, width) / x[0].numel() + beta * _kl(mu, lv)).mean()
        ),
        "The KL is a mean over latent dimensions. Sum over them.": lambda x, m, mu, lv: (
            (minus_log(x, m, width) + beta * _kl(mu, lv) / mu.shape[1]).mean()
        ),
        "The loss is summed over the batch.": lambda x, *a: right(x, *a) * len(x),
        "The sign is that of a bound. A loss needs the minus.": lambda *a: -right(*a),
        "The values are right but carry no gradient.": lambda *a: right(*a).detach(),
    }

    def cases(draw, at):
        images, codes = (2 + at % 3, 1, 2, 2 + at % 2), (2 + at % 3, 2 + at % 3)
        return draw(*images).abs(), draw(*images), draw(*codes), draw(*codes)

    return Variant(
        "real_valued_loss",
        "A loss for real-valued pixels",
        task,
        answer.lstrip(),
        cases,
        wrong,
        dtype=torch.float32,
    )


def beyond_the_ends(pick: random.Random) -> Variant:
    """04.4 with a line that goes on beyond its ends."""
    before, after = pick.choice([0.25, 0.5, 1.0]), pick.choice([0.75, 1.5, 2.0])
    task = f"""
Return `count` codes in equal steps on the straight line through `start` and `end`. Start
where the line is **{before} times the way from start to end before `start`**, and end where
it is **{after} times this way beyond `end`**; both are included."""
    answer = f'''
def extrapolate(start, end, count):
    """start, end (Z,) -> (count, Z) on the line through both."""
    ### BEGIN SOLUTION
    t = torch.linspace({-before}, {1 + after}, count).to(start)[:, None]  # (count, 1)
    return (1 - t) * start + t * end
    ### END SOLUTION'''

    def line(a, b, drop=False):
        def walk(start, end, count):
            t = torch.linspace(a, b, count).to(start)[:, None]
            return (1 - t) * start + t * end

        return walk

    wrong = {
        "This is the line of the lesson, from start to end.": line(0, 1),
        "The codes before `start` are missing.": line(0, 1 + after),
        "The codes beyond `end` are missing.": line(-before, 1),
        "The line ends too early: count from `end`.": line(-before, after),
        "The line begins after `start`; go back from it.": line(before, 1 + after),
        "The order is reversed: begin before `start`.": line(1 + after, -before),
        "The two distances have changed places.": line(-after, 1 + before),
        "The axes are swapped: one row for each code, shape (count, Z).": lambda s, e, n: (
            line(-before, 1 + after)(s, e, n).T
        ),
    }

    def cases(draw, at):
        size = 2 + at % 3
        return draw(size), draw(size), 5 + at % 4

    return Variant(
        "extrapolate",
        "Beyond the ends",
        task,
        answer.lstrip(),
        cases,
        wrong,
        dtype=torch.float32,
    )


VARIANTS = {"04.2": another_likelihood, "04.4": beyond_the_ends}
