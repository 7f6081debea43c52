"""Variants of lesson 04: another likelihood and weight, another level."""

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


def another_level(pick: random.Random) -> Variant:
    """04.5 with another level, and one end of an interval instead of three numbers."""
    level = pick.choice([0.5, 0.6, 0.7, 0.8])
    errors = pick.choice([1, 1.5, 2, 2.5])
    end = pick.choice([-1, 1])
    word, sign = ("upper", "+") if end > 0 else ("lower", "-")
    task = f"""
A picture is *sure* when its largest probability is above **{level}**. With `s` the share of
sure pictures, return the **{word} end** of the interval from {errors} sampling errors below
`s` to {errors} sampling errors above `s`, as a tensor with one number."""
    answer = f'''
def interval_end(probabilities):
    """(n, classes), each row adds up to 1 -> the {word} end, a scalar."""
    ### BEGIN SOLUTION
    share = (probabilities.amax(1) > {level}).float().mean()
    error = (share * (1 - share) / len(probabilities)).sqrt()
    return share {sign} {errors} * error
    ### END SOLUTION'''

    def right(p, level=level, errors=errors, end=end, under=1.0):
        share = (p.amax(1) > level).float().mean()
        return share + end * errors * (under * share * (1 - share) / len(p)).sqrt()

    def bare(p):
        return (p.amax(1) > level).float().mean()

    wrong = {
        "The line stands at 0.9, as in the lesson. Read the level in the task.": lambda p: (
            right(p, level=0.9)
        ),
        "This is the share alone, without the sampling error.": bare,
        "This is the other end of the interval.": lambda p: right(p, end=-end),
        "This is the sampling error times its factor, without the share.": lambda p: (
            right(p) - bare(p)
        ),
        "The root is missing in the sampling error.": lambda p: (
            bare(p) + end * errors * bare(p) * (1 - bare(p)) / len(p)
        ),
        "The error is not divided by the number of pictures.": lambda p: right(
            p, under=len(p)
        ),
        "The number of classes stands in the place of the number of pictures.": lambda p: (
            right(p, under=len(p) / p.shape[1])
        ),
        "The factor 1 - s is missing in the error.": lambda p: (
            bare(p) + end * errors * (bare(p) / len(p)).sqrt()
        ),
        "You count entries, not pictures: take the largest probability of each row.": (
            lambda p: (
                (s := (p > level).float().mean())
                + end * errors * (s * (1 - s) / len(p)).sqrt()
            )
        ),
        "This is the share of the pictures that are not sure.": lambda p: (
            1 - right(p, end=-end)
        ),
    }

    def cases(draw, at):
        return ((3 * draw(9 + at, 3 + at % 3)).softmax(1),)

    return Variant(
        "interval_end",
        "One end of an interval",
        task,
        answer.lstrip(),
        cases,
        wrong,
        dtype=torch.float32,
    )


VARIANTS = {"04.2": another_likelihood, "04.5": another_level}
