"""Variants of lesson 03: another prior."""

import math
import random

from grading.variants import Variant

NATS_TO = {"nats": 1.0, "bits": 1 / math.log(2)}


def kl_to_another_prior(pick: random.Random) -> Variant:
    """03.1 with the prior N(m, s^2) instead of N(0, 1), in nats or in bits."""
    mean = pick.choice([-1.5, -1.0, -0.5, 0.5, 1.0, 1.5])
    spread = pick.choice([0.4, 0.5, 0.8, 1.25, 1.5, 2.0, 2.5])
    unit = pick.choice(["nats", "bits"])
    scale = NATS_TO[unit]

    def each(mu, logvar, m=mean, s=spread):
        ratio = (logvar.exp() + (mu - m) ** 2) / s**2
        return 0.5 * (ratio - 1 - logvar + 2 * math.log(s))

    def right(mu, logvar):
        return scale * each(mu, logvar).sum(1)

    task = f"""
In this assignment the prior is not the standard normal but
$p(z_j) = \\mathcal N({mean}, {spread}^2)$ in each latent dimension; {spread} is its standard
deviation. Work out $\\mathrm{{KL}}\\big(q_\\phi(z \\mid x) \\,\\Vert\\, p(z)\\big)$ for
$q_\\phi(z \\mid x) = \\mathcal N(\\mu, \\operatorname{{diag}}(\\sigma^2))$ from the two
log-densities, as above, and return it in **{unit}**. `logvar` holds $\\log\\sigma^2$.
Return one number for each example."""
    answer = f'''
def kl_to_prior(mu, logvar):
    """mu, logvar (B, Z) -> (B,) {unit}, summed over latent dimensions."""
    ### BEGIN SOLUTION
    ratio = (logvar.exp() + (mu - {mean}) ** 2) / {spread}**2
    nats = 0.5 * (ratio - 1 - logvar + 2 * math.log({spread})).sum(1)
    return {"nats" if unit == "nats" else "nats / math.log(2)"}
    ### END SOLUTION'''
    other = "bits" if unit == "nats" else "nats"
    wrong = {
        "This is the KL to the standard normal. Read which prior the task has.": lambda mu, lv: (
            0.5 * (mu**2 + lv.exp() - 1 - lv).sum(1)
        ),
        "This is the KL to the standard normal, in bits. Read which prior the task has.": lambda mu, lv: (
            0.5 * (mu**2 + lv.exp() - 1 - lv).sum(1) / math.log(2)
        ),
        f"This is the right value in {other}; asked are {unit}.": lambda mu, lv: (
            NATS_TO[other] * each(mu, lv).sum(1)
        ),
        "The prior's mean is missing: its distance from mu counts, squared.": lambda mu, lv: (
            scale * each(mu, lv, m=0.0).sum(1)
        ),
        "The prior's mean has the wrong sign: mu minus m is squared.": lambda mu, lv: (
            scale * each(mu, lv, m=-mean).sum(1)
        ),
        "You use the prior's standard deviation as its variance.": lambda mu, lv: (
            scale * each(mu, lv, s=math.sqrt(spread)).sum(1)
        ),
        "The prior's normalising constant is missing: log s belongs to each dimension.": lambda mu, lv: (
            scale * (each(mu, lv) - math.log(spread)).sum(1)
        ),
        "log s has the wrong sign.": lambda mu, lv: (
            scale * (each(mu, lv) - 2 * math.log(spread)).sum(1)
        ),
        "Every value is twice the right one: the factor one half is missing.": lambda mu, lv: (
            2 * right(mu, lv)
        ),
        "The sign is flipped: a KL is never below 0.": lambda mu, lv: -right(mu, lv),
        "You took the mean over the batch. Return one number for each example.": lambda mu, lv: (
            right(mu, lv).mean()
        ),
        "This is a mean over the latent dimensions. Take the sum.": lambda mu, lv: (
            right(mu, lv) / mu.shape[1]
        ),
        "The values are right but carry no gradient.": lambda mu, lv: right(
            mu, lv
        ).detach(),
    }

    def cases(draw, at):
        shape = (2 + at % 3, 2 + (at + 1) % 3)
        return draw(*shape), draw(*shape)

    return Variant(
        "kl_to_prior", "KL to another prior", task, answer.lstrip(), cases, wrong
    )


VARIANTS = {"03.1": kl_to_another_prior}
