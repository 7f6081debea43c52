"""Checks of lesson 05."""

import math
from collections.abc import Callable

import numpy as np
import torch

from vae_helpers.checks.capacity import where_to_arrive
from vae_helpers.checks.core import (
    Part,
    Symptom,
    Symptoms,
    Wrong,
    call,
    declare,
    parts,
)
from vae_helpers.checks.usual import kl_each, then

__all__ = [
    "active",
    "beta_between",
    "diagnose",
    "information_gap",
    "kl_weight",
    "translate_beta",
    "where_to_arrive",
]

# 05.1


def _beta_between(p, q):
    return (p[1] - q[1]) / (q[0] - p[0])


def _with(combine):
    """A mistake made with the two differences, across and up, p minus q."""
    return lambda p, q: combine(p[0] - q[0], p[1] - q[1])


def _curve(models):
    """Two points for each of many models: falling, with rates that differ."""
    rate, gap, price = (0.5 + torch.rand(models) * 10 for _ in range(3))
    return (rate, 100 + price * gap), (rate + gap, 100 + torch.rand(models))


beta_between = declare(
    "05.1 beta_between",
    "falling and rising pairs of points in both orders, whole numbers, tensors of models.",
    Part(
        right=_beta_between,
        cases=lambda: [
            ((2.0, 6.0), (4.0, 1.0)),
            ((4.0, 1.0), (2.0, 6.0)),
            ((3, 9), (1, 14)),
            ((5.0, 140.0), (15.0, 113.0)),
            ((26.0, 105.0), (14.5, 113.0)),
            ((0.0, 199.5), (0.5, 186.0)),
            ((1.0, 8.0), (3.0, 9.0)),
            ((7.0, 20.0), (4.0, 11.0)),
        ],
        edges=lambda: {
            "equal distortions (the extra nats save nothing: 0)": (
                (2.0, 5.0),
                (4.0, 5.0),
            ),
            "an empty code, rate 0 and distortion 200": ((10.0, 120.0), (0.0, 200.0)),
            "rates that lie close together": ((1.0, 5.0), (1.001, 4.9)),
            "a negative distortion, as densities can have it": (
                (40.0, -300.0),
                (30.0, -100.0),
            ),
            "tensors, with five models at once": _curve(5),
            "tensors of shape (2, 3)": tuple(
                tuple(each[:6].view(2, 3) for each in point) for point in _curve(6)
            ),
        },
        strides=False,
        # fmt: off
        wrong={
            "This is the slope. Along the curve it is negative; beta is minus the slope.": _with(
                lambda x, y: y / x
            ),
            "The slope is upside down: nats of rate for one of distortion. Divide the "
            "difference of the distortions by that of the rates.": _with(
                lambda x, y: -x / y
            ),
            "The slope is upside down, and its sign too: distortions above, rates below the "
            "line of the fraction, and a minus before it.": _with(lambda x, y: x / y),
            "The sign is lost (`abs`, or the larger minus the smaller). Where one point is "
            "worse in both numbers the result is below 0.": _with(
                lambda x, y: abs(y / x)
            ),
            "A result below 0 became 0. Leave it: it shows a training that went wrong.": _with(
                lambda x, y: max(-y / x, 0)
            ),
            "The result is a whole number: `//` or a rounding throws the rest away.": _with(
                lambda x, y: -y // x
            ),
            "The result is a whole number: leave out the rounding.": _with(
                lambda x, y: round(float(-y / x))
            ),
            "This is the difference of the distortions alone. Divide by that of the rates.": _with(
                lambda x, y: y
            ),
            "The two differences are multiplied; needed is a quotient.": _with(
                lambda x, y: -x * y
            ),
            "This is the difference of the two -ELBOs, rate plus distortion. Needed is the "
            "slope.": _with(lambda x, y: x + y),
            "The -ELBOs are divided by the rates: above the line stands rate plus distortion. "
            "Take the distortions alone.": _with(lambda x, y: -(x + y) / x),
            "The order of the points changes the sign: one of the two differences has an "
            "`abs` (or a maximum) and the other has not.": _with(
                lambda x, y: y / abs(x)
            ),
            "The order of the points changes the sign: one of the two differences has an "
            "`abs` and the other has not.": _with(lambda x, y: -abs(y) / x),
            "Brackets are missing: `a - b / c - d` divides only b by c.": lambda p, q: (
                p[1] - q[1] / q[0] - p[0]
            ),
            "This is the length of the line between the points, not its slope.": _with(
                lambda x, y: (x * x + y * y) ** 0.5
            ),
            "You divide by the sum of the rates; needed is their difference.": lambda p, q: (
                (p[1] - q[1]) / (q[0] + p[0])
            ),
            "You add the distortions; needed is their difference.": lambda p, q: (
                (p[1] + q[1]) / (q[0] - p[0])
            ),
            "You subtract the two numbers of one point. Subtract rate from rate and "
            "distortion from distortion.": lambda p, q: (p[1] - p[0]) / (q[1] - q[0]),
            "You divide distortion by rate in a single point. A slope needs both points.": lambda p, q: (
                p[1] / p[0]
            ),
            "You divide distortion by rate in each point first. Take the differences between "
            "the points first.": lambda p, q: q[1] / q[0] - p[1] / p[0],
            "The points are taken as (distortion, rate) in one of the two. Both are (rate, "
            "distortion).": lambda p, q: (p[1] - q[0]) / (q[1] - p[0]),
            "This is the mean over the models. Return one number for each.": then(
                _beta_between, lambda r: torch.as_tensor(r, dtype=torch.float32).mean()
            ),
        },
        # fmt: on
    ),
)


# 05.2


def _active(mu, logvar, threshold):
    return mu.var(0, correction=0) > threshold


def _codes(images, latents, threshold):
    """Means whose variances are far from the threshold: N or N - 1 does not matter."""
    noise = torch.randn(images, latents)
    noise = (noise - noise.mean(0)) / noise.std(0, correction=0)
    factor = torch.tensor([0.0, 0.1, 0.5, 2.0, 20.0])[torch.randint(5, (latents,))]
    centre = torch.randn(latents) * torch.randint(2, (latents,))
    logvar = 2 * torch.randn(images, latents) * (torch.rand(latents) < 0.6)
    mu = (factor * threshold).sqrt() * noise + centre
    return mu, logvar - 3 * torch.rand(latents), threshold


def _late(images):
    """Means that stand still for the first images and move in the last ones."""
    mu = torch.zeros(images, 3)
    mu[-20:, 1] = torch.linspace(-3, 3, 20)
    return mu, torch.zeros(images, 3), 0.05


def _near(factor):
    """Small means that lie askew, and a threshold close to their variance."""
    mu = 0.1 * torch.randn(500, 1).exp()
    return mu, torch.zeros(500, 1), factor * float(mu.var(0, correction=0))


def _need_one_for_each_latent(answer) -> None:
    result = call(answer, _codes(7, 3, 0.04))
    if isinstance(result, list | tuple) and any(
        isinstance(item, torch.Tensor) for item in result
    ):
        raise Wrong(
            f"Your function returned a {type(result).__name__} of tensors. Return one "
            "tensor: compare all variances at once, or use `torch.stack`."
        )
    if isinstance(result, torch.Tensor) and result.shape == (3,):
        counts = not result.is_floating_point() and result.dtype != torch.bool
        if counts or (
            result.dtype != torch.bool and ((result == 0) | (result == 1)).all()
        ):
            raise Wrong(
                f"The result has the type {result.dtype}. One True or False is needed for "
                "each latent, torch.bool, as a comparison gives it: with other types `~` "
                "and indexing mean something else."
            )
    if isinstance(result, torch.Tensor) and result.shape == (7,):
        raise Wrong(
            "The variance runs over the latents: one answer for each image. Take it over "
            "the images, axis 0."
        )


def _by(measure):
    """A mistake: another number of each latent is compared with the threshold."""
    return lambda mu, logvar, threshold: measure(mu, logvar) > threshold


active = declare(
    "05.2 active",
    "random codes with three thresholds, one latent, many images: axis, centre, comparison.",
    Part(
        right=_active,
        cases=lambda: [
            (
                torch.tensor([[1.0, 0.0, 5.0], [-1.0, 0.2, 5.0], [2.0, 0.1, 5.0]]),
                torch.tensor([[-2.0, 0.0, 0.0], [-3.0, 0.0, -1.0], [-1.0, 0.0, 1.0]]),
                0.1,
            ),
            *[
                _codes(20 + i % 7, 3 + i % 4, (0.01, 0.04, 0.3)[i % 3])
                for i in range(15)
            ],
        ],
        edges=lambda: {
            "a single latent": _codes(25, 1, 0.04),
            "as many images as the course has (all of them count)": _late(2000),
            "100 images of which the last 20 move": _late(100),
            "threshold 0 and a latent that stands still (above means more than)": (
                torch.tensor([[0.0, 1.0], [0.0, 2.0]]),
                torch.zeros(2, 2),
                0.0,
            ),
            "means that lie askew, of a variance just above the threshold": _near(0.98),
            "means that lie askew, of a variance just below the threshold": _near(1.02),
            "a threshold of 4": _codes(40, 5, 4.0),
            "a threshold of 0.001 (no floor under it, and nothing rounded)": (
                torch.tensor([[0.0, 0.0, 1.0], [0.02, 0.06, 1.0], [0.04, 0.12, 1.0]]),
                torch.zeros(3, 3),
                0.001,
            ),
        },
        before=[_need_one_for_each_latent],
        # fmt: off
        wrong={
            "This is how many are active. Return one True or False for each latent.": then(
                _active, torch.sum
            ),
            "These are the variances. Compare them with the threshold.": lambda mu, lv, t: (
                mu.var(0, correction=0)
            ),
            "These are the variances, with N - 1. Compare them with the threshold.": lambda mu, lv, t: (
                mu.var(0)
            ),
            "True and False are swapped: this marks the inactive latents.": then(
                _active, torch.logical_not
            ),
            "These are the numbers of the active latents. Return one True or False for each "
            "latent.": then(_active, lambda r: r.nonzero().flatten()),
            "The threshold is compared with the standard deviation; it is meant for the "
            "variance. With 0.01, units of standard deviation 0.05 would pass.": _by(
                lambda mu, lv: mu.std(0, correction=0)
            ),
            "The threshold is compared with the mean absolute deviation; it is meant for "
            "the variance, the mean *squared* deviation.": _by(
                lambda mu, lv: (mu - mu.mean(0)).abs().mean(0)
            ),
            "This is the mean square. A latent that has the same large mean for every image "
            "says nothing: subtract its mean first.": _by(
                lambda mu, lv: (mu**2).mean(0)
            ),
            "The squared deviations are summed over the images: with more images every "
            "latent would become active. Take their mean.": _by(
                lambda mu, lv: ((mu - mu.mean(0)) ** 2).sum(0)
            ),
            "This is the size of the mean over images. What counts is how much the means "
            "differ from image to image.": _by(lambda mu, lv: mu.mean(0).abs()),
            "You compare the posterior's own variance, exp(logvar). A collapsed latent has "
            "the largest one, 1; use the variance of the means.": _by(
                lambda mu, lv: lv.exp().mean(0)
            ),
            "You take the variance of logvar over the images. Use that of mu.": _by(
                lambda mu, lv: lv.var(0, correction=0)
            ),
            "You add the posterior's own variance. For a collapsed latent this sum is 1, so "
            "all would be active.": _by(
                lambda mu, lv: mu.var(0, correction=0) + lv.exp().mean(0)
            ),
            "You compare the KL of each latent. That is the other thermometer; asked is the "
            "variance of the means.": _by(lambda mu, lv: kl_each(mu, lv).mean(0)),
            "The threshold is always 0.01: use the one that is given.": lambda mu, lv, t: (
                mu.var(0, correction=0) > 0.01
            ),
            "A latent whose variance equals the threshold is not above it: `>`, not `>=`.": lambda mu, lv, t: (
                mu.var(0, correction=0) >= t
            ),
            "The result has an axis too many: (1, Z). Needed is (Z,).": then(
                _active, lambda r: r[None]
            ),
        },
        # fmt: on
    ),
)


# 05.3


def _kl_weight(step, epoch_steps, warmup_epochs, beta):
    return beta * min(1.0, step / (epoch_steps * warmup_epochs))


def _rise(shape):
    """A mistake: another course of the fraction f = step / steps of the warm-up."""
    return lambda s, e, w, b: b * shape(s / (e * w))


def _moments():
    for number in range(42):
        epoch_steps, warmup = (4, 10, 25)[number % 3], (2, 3, 5)[number // 3 % 3]
        steps = epoch_steps * warmup
        at = (0, 1, steps // 2, steps - 1, steps, steps + 7, 10 * steps)[number % 7]
        yield at, epoch_steps, warmup, (1.0, 4.0, 0.5)[number // 2 % 3]


kl_weight = declare(
    "05.3 kl_weight",
    "moments before, at and after the end of the warm-up, with beta from 0 to 30.",
    Part(
        right=_kl_weight,
        cases=lambda: [(5, 10, 1, 4.0), (15, 10, 1, 4.0), *_moments()],
        edges=lambda: {
            "beta = 0": (3, 4, 2, 0.0),
            "beta = 0 after the warm-up": (30, 4, 2, 0),
            "beta = 30": (3, 4, 2, 30.0),
            "a warm-up of one epoch of one step, at step 0": (0, 1, 1, 2.0),
            "a warm-up of one epoch of one step, at step 1": (1, 1, 1, 2.0),
            "a warm-up of two and a half epochs": (7, 4, 2.5, 2.0),
            "the sizes of a real run, 468 steps an epoch": (1000, 468, 10, 1.0),
            "the last step before the end of a real warm-up": (4679, 468, 10, 4),
        },
        # fmt: off
        wrong={
            "The weight never stops growing: after the warm-up it must stay at beta.": _rise(
                lambda f: f
            ),
            "The weight ends at 1 for every beta: multiply by beta.": lambda s, e, w, b: (
                min(1.0, s / (e * w))
            ),
            "beta stands inside the limit: the weight stops at 1. Limit the fraction, then "
            "multiply by beta.": lambda s, e, w, b: min(1.0, b * s / (e * w)),
            "The weight rises by the same amount for every beta and is cut at beta: the "
            "warm-up then lasts longer or shorter than asked.": lambda s, e, w, b: min(
                b, s / (e * w)
            ),
            "The weight stands still within an epoch and jumps between two. It shall rise at "
            "every step: no whole-number division.": lambda s, e, w, b: (
                b * min(1.0, s // e / w)
            ),
            "The weight is 0 and then jumps to beta: `//` throws the fraction away.": _rise(
                lambda f: min(1, math.floor(f))
            ),
            "Steps are divided by epochs: the warm-up is over after warmup_epochs steps. "
            "Turn the epochs into steps first.": lambda s, e, w, b: b * min(1.0, s / w),
            "Epochs and steps are the wrong way round: the warm-up has epoch_steps *times* "
            "warmup_epochs steps, not their quotient.": lambda s, e, w, b: (
                b * min(1.0, s * w / e)
            ),
            "Epochs and steps are the wrong way round: divide the step by epoch_steps "
            "*and* by warmup_epochs.": lambda s, e, w, b: b * min(1.0, s * e / w),
            "After the warm-up the weight is 1. From then on it stays at beta.": lambda s, e, w, b: (
                b * s / (e * w) if s < e * w else 1.0
            ),
            "The warm-up lasts one epoch: warmup_epochs is not used.": lambda s, e, w, b: (
                b * min(1.0, s / e)
            ),
            "The weight stops short of beta: at the end of the warm-up it must be beta.": lambda s, e, w, b: (
                b * min(s, e * w - 1) / (e * w)
            ),
            "The weight reaches beta one step early: with `linspace` over the steps of the "
            "warm-up the last one is beta already. Divide by their number.": lambda s, e, w, b: (
                b * min(1.0, s / max(1, e * w - 1))
            ),
            "The weight comes close to beta and never reaches it, so the ELBO is never what "
            "is trained.": _rise(lambda f: f / (f + 1)),
            "The exponential never reaches beta, so the ELBO is never what is trained.": _rise(
                lambda f: 1 - math.exp(-f)
            ),
            "The weight is one step ahead: at step 0 it must be 0.": lambda s, e, w, b: (
                b * min(1.0, (s + 1) / (e * w))
            ),
            "The weight is one step behind: at the last step of the warm-up it must be beta.": lambda s, e, w, b: (
                b * min(1.0, max(0, s - 1) / (e * w))
            ),
            "The weight falls from beta to 0. A warm-up rises.": _rise(
                lambda f: max(0.0, 1 - f)
            ),
            "`max` keeps the larger one, so there is no warm-up: needed is `min`.": _rise(
                lambda f: max(1.0, f)
            ),
            "The weight is beta at every step: there is no warm-up.": _rise(
                lambda f: 1.0
            ),
            "After the warm-up the weight falls back to 0 and rises again: a cycle. Asked is "
            "one rise, then beta.": _rise(lambda f: f % 1),
            "The weight rises like half a cosine. Asked is the same amount at every step.": _rise(
                lambda f: 0.5 - 0.5 * math.cos(math.pi * min(1.0, f))
            ),
            "The weight rises with the square of the step. Asked is the same amount at "
            "every step.": _rise(lambda f: min(1.0, f) ** 2),
        },
        # fmt: on
    ),
)


# 05.4

STATES = ("healthy", "collapsed", "lost latents", "free bits", "no price")
PATIENTS = {"1": "free bits", "2": "healthy", "3": "collapsed", "4": "no price"}
AGAINST = {  # patient -> a state that is not his -> the number that speaks against it
    "1": {
        "healthy": "the distortion is 186, only 14 nats below the average image, and "
        "distortion plus rate is 190",
        "collapsed": "the rate is 4 nats, not 0, and 20 latents pay",
        "lost latents": "20 latents pay. Latents that were switched off pay nothing",
        "no price": "the rate is only 4 nats. A code that costs nothing takes far more",
    },
    "2": {
        "collapsed": "the distortion is 116, far below the 200 of the average image, so "
        "the decoder does use the 16 nats",
        "lost latents": "20 of 20 latents move and pay. None is lost",
        "free bits": "the rate is 16 nats, 0.8 for each latent, and the distortion fell to "
        "116. More is told than the free 0.1 of each",
        "no price": "the rate is 16 nats. A code without a price takes far more, as "
        "there is no reason to save",
    },
    "3": {
        "healthy": "the rate is 0, so the decoder learns nothing of the image",
        "lost latents": "0 latents pay, and the distortion is that of the average image. "
        "Not most of them are off, but all",
        "free bits": "0 latents pay. With free bits all would take what is free, and pay",
        "no price": "the rate is 0. Without a price the code would be long",
    },
    "4": {
        "healthy": "the rate is 160 nats. Distortion plus rate is 268, worse than the 200 of "
        "a code that says nothing",
        "collapsed": "the rate is 160 nats and the distortion far below 200",
        "lost latents": "20 of 20 latents move and pay. None is lost",
        "free bits": "the rate is 160 nats, 8 for each latent. Free were 0.1 for each",
    },
}


def _states(answer: Callable) -> dict[str, str]:
    """What an answer says, in the form {"1": "healthy", ...}."""
    given = call(answer, ())
    if isinstance(given, dict):
        return {
            str(k).strip(): " ".join(str(v).lower().split()) for k, v in given.items()
        }
    if given is None:
        parts(given)  # has words for it
    raise Wrong(
        f"Your function returned {type(given).__name__}; needed is a dictionary, "
        '{1: "...", 2: "...", 3: "...", 4: "..."}.'
    )


def _but(change: dict) -> Callable:
    return lambda: PATIENTS | change


def _other_state(patient: str, state: str) -> Symptom:
    return Symptom(
        f"Patient {patient} is not `{state}`: {AGAINST[patient][state]}.",
        lambda states: states[patient] == state,
        _but({patient: state}),
    )


STEPS = ("go on", "KL off", "KL on", "schedule", "warm-up", "free bits")
NEXT = {"1": "schedule", "2": "go on", "3": "kl off", "4": "kl on"}
NOT_NEXT = {  # patient -> a step that does not follow -> why not
    "1": {
        "go on": "the decoder hardly listens, so nothing that is built on this code is worth "
        "much",
        "KL off": "it would show that the KL is involved, which you know: the latents take "
        "just the nats for which it asks nothing",
        "KL on": "its weight is 1 already. What is missing is the price of the first nats of "
        "each latent",
        "warm-up": "it changes the weight of the KL and leaves the free nats free. In the "
        "ward its success differed from seed to seed",
        "free bits": "they are in use, and they are what holds the count of paying latents "
        "up",
    },
    "2": {
        "KL off": "an examination is for the ill. This code is used and paid for",
        "KL on": "it is on: 16 nats are few for a code without a price",
        "schedule": "nothing here is to be cured, so there is nothing to change",
        "warm-up": "nothing here is to be cured, so there is nothing to change",
        "free bits": "20 of 20 latents pay without them. They would only make the count "
        "worthless",
    },
    "3": {
        "go on": "a decoder that draws the same image for every code is no result",
        "KL on": "the KL is on, and nothing is left of the code. Is it too strong, or is the "
        "network broken? That is to be found out",
        "schedule": "it may be the cure, but you do not know yet whether the KL or the "
        "network is at fault. An examination that takes a moment comes first",
        "warm-up": "it may be the cure, but you do not know yet whether the KL or the "
        "network is at fault. An examination that takes a moment comes first",
        "free bits": "all latents would pay at once, and you would still not know why they "
        "were empty",
    },
    "4": {
        "go on": "nobody can draw from such a model: its codes lie anywhere, and distortion "
        "plus rate is far too high",
        "KL off": "it is off already: that is what the rate of 160 nats says",
        "schedule": "no rate of the optimiser brings a price that the loss does not have",
        "warm-up": "a weight that rises to 0 stays 0. First it needs a value to rise to",
        "free bits": "where nothing has a price all nats are free already",
    },
}
KEYS = (
    "The dictionary needs the four keys 1, 2, 3 and 4, one for each patient.",
    lambda found: set(found) != set(PATIENTS),
)


def _names(what: str, allowed: tuple[str, ...]) -> tuple:
    small = {name.lower() for name in allowed}
    return (
        f"The names are those of the table of {what}: {', '.join(allowed)}.",
        lambda found: not set(found.values()) <= small,
    )


def _turned(right: dict) -> Callable:
    return lambda: {value: patient for patient, value in right.items()}


def _other_step(patient: str, step: str) -> Symptom:
    return Symptom(
        f"Patient {patient} is rightly `{PATIENTS[patient]}`, but `{step}` is not the next "
        f"step: {NOT_NEXT[patient][step]}.",
        lambda steps: steps[patient] == step.lower(),
        lambda: NEXT | {patient: step},
    )


diagnose = declare(
    "05.4 diagnose and next_step",
    "all four patients, what they have and what comes next. Distortion and rate tell what "
    "the counts cannot.",
    Symptoms(
        right=lambda: dict(PATIENTS),
        measure=_states,
        fine=lambda states: states == PATIENTS,
        name="diagnose",
        table=[
            Symptom(
                "The keys are the numbers of the patients, the values the names of their "
                'states: {1: "...", ...}. You have it the other way round.',
                lambda states: set(states.values()) == set(PATIENTS),
                _turned(PATIENTS),
            ),
            Symptom(*KEYS, lambda: {1: "free bits"}),
            Symptom(
                "These are steps. `diagnose` returns states, `next_step` returns steps.",
                lambda states: states == NEXT,
                lambda: dict(NEXT),
            ),
            Symptom(*_names("states", STATES), _but({"1": "ill"})),
            *[
                _other_state(patient, state)
                for patient, others in AGAINST.items()
                for state in others
            ],
        ],
    ),
    Symptoms(
        right=lambda: dict(NEXT),
        measure=_states,
        fine=lambda steps: steps == NEXT,
        name="next_step",
        answer=1,
        table=[
            Symptom(
                "The keys are the numbers of the patients, the values the names of the next "
                'steps: {1: "...", ...}. You have it the other way round.',
                lambda steps: set(steps.values()) == set(PATIENTS),
                _turned(NEXT),
            ),
            Symptom(*KEYS, lambda: {1: "schedule"}),
            Symptom(
                "These are the states again. `next_step` returns steps.",
                lambda steps: steps == PATIENTS,
                lambda: dict(PATIENTS),
            ),
            Symptom(*_names("steps", STEPS), lambda: NEXT | {"1": "pray"}),
            *[
                _other_step(patient, step)
                for patient, others in NOT_NEXT.items()
                for step in others
            ],
        ],
    ),
)


# 05.5


def _nats(a, b):
    """Mutual information of two columns of whole numbers, from their counts."""
    size = int(b.max()) + 1
    counts = torch.bincount(a * size + b, minlength=(int(a.max()) + 1) * size)
    joint = counts.view(-1, size).double() / len(a)
    apart = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    return torch.special.xlogy(joint, joint / apart.clamp_min(1e-300)).sum()


def _table(bins, factors):
    """(Z, K) mutual information in nats."""
    return torch.stack([torch.stack([_nats(b, f) for f in factors.T]) for b in bins.T])


def _entropies(columns):
    return torch.stack([_nats(v, v) for v in columns.T])


def _information_gap(bins, factors):
    first, second = _top(_table(bins, factors))
    return (first - second) / _entropies(factors)


def _top(table, dim=0):
    return table.topk(2, dim=dim).values.unbind(dim)


def _from(combine):
    """A mistake made with the right table (Z, K) and the right entropies (K,)."""
    return lambda bins, factors: combine(_table(bins, factors), _entropies(factors))


def _without_ties(table, entropies):
    """Best minus the best of those that are smaller."""
    gaps = []
    for column in table.T:
        scores = sorted(set(column.tolist()))
        gaps.append(scores[-1] - scores[max(0, len(scores) - 2)])
    return torch.tensor(gaps) / entropies


def _as_vector(answer):
    """The text does not ask for a tensor: lists and arrays of numbers count as one."""

    def run(bins, factors):
        result = answer(bins, factors)
        if isinstance(result, list | tuple | np.ndarray):
            result = torch.tensor([float(item) for item in result])
        return result

    return run


def _sprites(latents, factors, values=4, cells=7, count=60):
    """Factors with uneven values, and bins of codes that mix them."""
    uneven = torch.rand(count, factors) ** 1.7
    true = (uneven * torch.linspace(2, values, factors)).long()
    mixed = true.float() @ torch.randn(factors, latents)
    mixed = mixed + 0.7 * torch.randn(count, latents)
    mixed = mixed - mixed.min(0).values
    return ((cells - 0.01) * mixed / mixed.max(0).values).long(), true


def _tie():
    """Two latents that know the same about both factors, and one that knows little."""
    first, true = _sprites(3, 2)
    return torch.stack([first[:, 0], first[:, 0], first[:, 1]], 1), true


information_gap = declare(
    "05.5 information_gap",
    "random codes, with as many latents as factors and with more, 20 bins, equal latents.",
    Part(
        right=_information_gap,
        cases=lambda: [
            (
                torch.tensor([[0, 0], [0, 1], [1, 1], [1, 0], [2, 1]]),
                torch.tensor([[0, 0], [0, 1], [1, 1], [1, 0], [1, 0]]),
            ),
            *[_sprites(3 + i % 2, 3 + i % 2) for i in range(4)],
        ],
        edges=lambda: {
            "more latents than factors": _sprites(5, 3),
            "many latents and two factors": _sprites(6, 2),
            "a single factor": _sprites(3, 1),
            "two latents that know a factor equally well (their gap is 0)": _tie(),
            "the course's sizes: 20 bins, factors of up to 12 values": _sprites(
                4, 3, values=12, cells=20, count=400
            ),
        },
        adapt=_as_vector,
        tol=1e-3,
        # fmt: off
        wrong={
            "The table is transposed: you compare two factors of one latent. For each factor, "
            "compare the two best latents.": _from(
                lambda t, h: (_top(t, 1)[0] - _top(t, 1)[1]) / h
            ),
            "The loop runs over the latents: you compare the two best factors of each latent. "
            "Go through the factors.": lambda b, f: (
                (_top(_table(b, f), 1)[0] - _top(_table(b, f), 1)[1]) / _entropies(b)
            ),
            "You divide by the entropy of the best latent; needed is that of the factor.": lambda b, f: (
                (_top(_table(b, f))[0] - _top(_table(b, f))[1])
                / _entropies(b)[_table(b, f).argmax(0)]
            ),
            "The mutual informations are not sorted: these are the last two latents, not the "
            "two best.": _from(lambda t, h: (t[-1] - t[-2]) / h),
            "The mutual informations are not sorted: these are the first two latents, not the "
            "two best.": _from(lambda t, h: (t[0] - t[1]) / h),
            "The smallest two are compared. `sorted` begins with the smallest: take the last "
            "two.": _from(lambda t, h: (t.sort(0).values[1] - t.sort(0).values[0]) / h),
            "This is the largest mutual information alone. It is high for rotated codes too: "
            "subtract the second largest.": _from(lambda t, h: _top(t)[0] / h),
            "The gap is in nats: divide it by the entropy of the factor.": _from(
                lambda t, h: _top(t)[0] - _top(t)[1]
            ),
            "The entropy is in bits and the mutual information in nats: use the natural "
            "logarithm for both.": then(_information_gap, lambda r: r * math.log(2)),
            "The mutual information is in bits and the entropy in nats: use one unit.": then(
                _information_gap, lambda r: r / math.log(2)
            ),
            "Every gap is 0: the second largest includes the largest itself. Leave it out "
            "before you look again.": then(_information_gap, lambda r: 0 * r),
            "The gap is negative: subtract the second from the first.": then(
                _information_gap, torch.neg
            ),
            "You subtract the smallest mutual information; needed is the second largest.": _from(
                lambda t, h: (t.max(0).values - t.min(0).values) / h
            ),
            "You subtract the mean over latents; needed is the second largest.": _from(
                lambda t, h: (t.max(0).values - t.mean(0)) / h
            ),
            "You divide by the largest mutual information: a code that hardly knows the "
            "factor could score 1. Divide by the entropy of the factor.": _from(
                lambda t, h: (_top(t)[0] - _top(t)[1]) / _top(t)[0]
            ),
            "You divide by the logarithm of the number of values. That is the entropy only "
            "where all values are equally frequent.": lambda b, f: (
                (_top(_table(b, f))[0] - _top(_table(b, f))[1])
                / torch.tensor([math.log(len(v.unique())) for v in f.T])
            ),
            "This is the mean over the factors. Return one gap for each factor.": then(
                _information_gap, torch.mean
            ),
            "You divide by the entropy of the latents; needed is that of the factor.": lambda b, f: (
                (_top(_table(b, f))[0] - _top(_table(b, f))[1])
                / _entropies(b)[: f.shape[1]]
            ),
            "Latents that are as good as the best one are left out, not only the best one "
            "itself: with two equally good latents the gap is 0.": _from(_without_ties),
        },
        # fmt: on
    ),
)


# 05.6


def _sizes(x_shape, mu_shape):
    """D and Z of a batch: numbers in one picture, latents."""
    return math.prod(x_shape[1:]), mu_shape[1]


def _weight(w, d, z, pixels, latents):
    return w * (d if pixels == "mean" else 1) / (z if latents == "mean" else 1)


def _translated(weight, x_shape, mu_shape, pixels, latents):
    d, z = _sizes(x_shape, mu_shape)
    beta = _weight(weight, d, z, pixels, latents)
    return beta, beta * z / d


def _wrong_beta(rule):
    """A mistake in beta, rule(w, d, z, pixels, latents); beta_norm follows from it."""

    def mistake(weight, x_shape, mu_shape, pixels, latents):
        d, z = _sizes(x_shape, mu_shape)
        beta = rule(weight, d, z, pixels == "mean", latents == "mean")
        return beta, beta * z / d

    return mistake


def _wrong_sizes(sizes):
    """A mistake in D or Z, sizes(x_shape, mu_shape) -> D, Z; the rest is right."""

    def mistake(weight, x_shape, mu_shape, pixels, latents):
        d, z = sizes(x_shape, mu_shape)
        beta = _weight(weight, d, z, pixels, latents)
        return beta, beta * z / d

    return mistake


def _wrong_norm(rule):
    """A mistake in beta_norm, rule(beta, d, z, weight), or in the pair; beta is right."""

    def mistake(weight, x_shape, mu_shape, pixels, latents):
        d, z = _sizes(x_shape, mu_shape)
        beta = _weight(weight, d, z, pixels, latents)
        return beta, rule(beta, d, z, weight)

    return mistake


def _both(change):
    """A mistake made with the right pair."""
    return lambda *case: change(*_translated(*case))


REDUCED = [(p, q) for p in ("mean", "sum") for q in ("mean", "sum")]


def _need_two_numbers(answer) -> None:
    result = call(answer, (0.5, (2, 1, 2, 3), (2, 2), "mean", "sum"))
    if isinstance(result, dict):
        raise Wrong(
            "Your function returned a dictionary. Return two numbers: beta, beta_norm."
        )
    single = isinstance(result, int | float | torch.Tensor) and (
        not isinstance(result, torch.Tensor) or result.numel() == 1
    )
    if single and not isinstance(result, bool):
        raise Wrong(
            "One number came back. Two are needed: beta with sums, and beta_norm = "
            "beta Z / D."
        )


translate_beta = declare(
    "05.6 translate_beta",
    "all four pairs of sum and mean, pictures in grey and in colour, batches of several "
    "sizes, weights from 0 to 250.",
    Part(
        right=_translated,
        cases=lambda: [
            *[(0.5, (2, 1, 2, 3), (2, 2), *how) for how in reversed(REDUCED)],
            *[(3, (5, 1, 7, 7), (5, 4), *how) for how in REDUCED],
            *[(0.02, (128, 1, 28, 28), (128, 20), *how) for how in REDUCED],
            *[(0.1, (4, 3, 2, 5), (4, 7), *how) for how in REDUCED],
            (0.001, (16, 3, 64, 64), (16, 32), "mean", "sum"),
            (250.0, (64, 1, 32, 32), (64, 6), "sum", "mean"),
        ],
        edges=lambda: {
            "weight 0": (0.0, (8, 1, 28, 28), (8, 10), "mean", "sum"),
            "a single latent": (2.0, (8, 1, 28, 28), (8, 1), "mean", "mean"),
            "a picture of one pixel": (2.0, (3, 1, 1, 1), (3, 5), "mean", "mean"),
            "a batch of one picture": (1.0, (1, 3, 8, 8), (1, 4), "mean", "sum"),
            "a weight of a millionth": (1e-6, (8, 1, 28, 28), (8, 10), "sum", "mean"),
            "more latents than pixels": (1.0, (9, 1, 2, 2), (9, 16), "mean", "mean"),
        },
        results=("beta", "beta_norm"),
        strides=False,
        before=[_need_two_numbers],
        # fmt: off
        wrong={
            "The two results are in the wrong order: beta first, then beta_norm.": _both(
                lambda beta, norm: (norm, beta)
            ),
            "The first result is the weight as it stands in the program, whatever the means. "
            "Each mean is a factor on it.": _wrong_beta(lambda w, d, z, dm, zm: w),
            "The mean over pixels is the wrong way round: it makes the reconstruction small, so "
            "the KL weighs more. Multiply by D.": _wrong_beta(
                lambda w, d, z, dm, zm: w / (d if dm else 1) / (z if zm else 1)
            ),
            "The mean over latents is the wrong way round: it makes the KL small. Divide by "
            "Z.": _wrong_beta(
                lambda w, d, z, dm, zm: w * (d if dm else 1) * (z if zm else 1)
            ),
            "Both means are the wrong way round: that over pixels multiplies, that over latents "
            "divides.": _wrong_beta(
                lambda w, d, z, dm, zm: w / (d if dm else 1) * (z if zm else 1)
            ),
            '"mean" and "sum" are swapped: a factor enters where there is a mean, none where '
            "there is a sum.": _wrong_beta(
                lambda w, d, z, dm, zm: w * (1 if dm else d) / (1 if zm else z)
            ),
            "`pixels` is not used: a mean over pixels multiplies the weight by D.": _wrong_beta(
                lambda w, d, z, dm, zm: w / (z if zm else 1)
            ),
            "`latents` is not used: a mean over latents divides the weight by Z.": _wrong_beta(
                lambda w, d, z, dm, zm: w * (d if dm else 1)
            ),
            "You treat every program as one with two means. Look at `pixels` and "
            "`latents`.": _wrong_beta(lambda w, d, z, dm, zm: w * d / z),
            "You multiply by D in every case. With a sum over pixels there is no factor.": _wrong_beta(
                lambda w, d, z, dm, zm: w * d / (z if zm else 1)
            ),
            "You divide by Z in every case. With a sum over latents there is no factor.": _wrong_beta(
                lambda w, d, z, dm, zm: w * (d if dm else 1) / z
            ),
            "With two means only that over pixels counts (`if ... elif`, or a `return` too "
            "early). Both factors apply.": _wrong_beta(
                lambda w, d, z, dm, zm: w * d if dm else w / z if zm else w
            ),
            "With two means only that over latents counts (`if ... elif`, or a `return` too "
            "early). Both factors apply.": _wrong_beta(
                lambda w, d, z, dm, zm: w / z if zm else w * d if dm else w
            ),
            "A factor enters only where both are means. Each mean counts by itself.": _wrong_beta(
                lambda w, d, z, dm, zm: w * d / z if dm and zm else w
            ),
            "The two means are mixed up: `pixels` says what was done over the D pixels, "
            "`latents` over the Z latents.": _wrong_beta(
                lambda w, d, z, dm, zm: w * (d if zm else 1) / (z if dm else 1)
            ),
            "D and Z are swapped: D is the size of a picture, Z the length of a code.": _wrong_sizes(
                lambda x, m: _sizes(x, m)[::-1]
            ),
            "D and Z are swapped in beta: a mean over pixels is a sum divided by D, the size "
            "of a picture.": _wrong_beta(
                lambda w, d, z, dm, zm: w * (z if dm else 1) / (d if zm else 1)
            ),
            "The batch size is in D. It is the first axis of x: D counts the numbers of one "
            "picture.": _wrong_sizes(lambda x, m: (math.prod(x), m[1])),
            "The batch size is in D and in Z. It is the first axis of both: D and Z belong to "
            "one picture.": _wrong_sizes(lambda x, m: (math.prod(x), math.prod(m))),
            "The batch size is in Z. It is the first axis of mu: Z is the second.": _wrong_sizes(
                lambda x, m: (_sizes(x, m)[0], math.prod(m))
            ),
            "You took the batch size for Z: the shape of mu is (B, Z).": _wrong_sizes(
                lambda x, m: (_sizes(x, m)[0], m[0])
            ),
            "beta is multiplied by the batch size. Both terms have the same mean over the "
            "batch, and a common factor does not count.": lambda w, x, m, p, q: tuple(
                x[0] * value for value in _translated(w, x, m, p, q)
            ),
            "beta is divided by the batch size. Both terms have the same mean over the "
            "batch, and a common factor does not count.": lambda w, x, m, p, q: tuple(
                value / x[0] for value in _translated(w, x, m, p, q)
            ),
            "The colours are forgotten: a mean over pixels runs over all C H W numbers of a "
            "picture.": _wrong_sizes(lambda x, m: (x[2] * x[3], m[1])),
            "D is only the width of a picture: it has C H W numbers.": _wrong_sizes(
                lambda x, m: (x[3], m[1])
            ),
            "beta is right, and beta_norm is upside down: it is beta Z / D, not beta D / Z.": _wrong_norm(
                lambda beta, d, z, w: beta * d / z
            ),
            "beta is right, and beta_norm is the weight of the program. That holds only where "
            "both terms are means.": _wrong_norm(lambda beta, d, z, w: w),
            "beta is right, and beta_norm is computed from the weight: take the beta that "
            "you have just found.": _wrong_norm(lambda beta, d, z, w: w * z / d),
            "beta is right, and beta_norm is the same number again: it is beta Z / D.": _wrong_norm(
                lambda beta, d, z, w: beta
            ),
            "beta is right, and beta_norm lacks the Z: it is beta Z / D.": _wrong_norm(
                lambda beta, d, z, w: beta / d
            ),
            "beta is right, and beta_norm lacks the D: it is beta Z / D.": _wrong_norm(
                lambda beta, d, z, w: beta * z
            ),
            "beta is right, and beta_norm is Z / D without beta.": _wrong_norm(
                lambda beta, d, z, w: z / d
            ),
            "beta is right, and the batch size is in the D of beta_norm.": lambda w, x, m, p, q: (
                _translated(w, x, m, p, q)[0],
                _translated(w, x, m, p, q)[1] / x[0],
            ),
            "The factor is divided by the weight. Multiply the weight by it.": _wrong_beta(
                lambda w, d, z, dm, zm: (
                    (d if dm else 1) / (z if zm else 1) / (w or math.inf)
                )
            ),
            "The weight itself is missing: multiply the factor by it.": _wrong_beta(
                lambda w, d, z, dm, zm: (d if dm else 1) / (z if zm else 1)
            ),
            "The first result is 1 / beta: what stands before the reconstruction once the KL "
            "stands alone.": _wrong_beta(
                lambda w, d, z, dm, zm: (
                    (z if zm else 1) / (w or 1e-300) / (d if dm else 1)
                )
            ),
            "The results are whole numbers: `//` or a rounding throws the rest away.": _both(
                lambda beta, norm: (beta // 1, norm // 1)
            ),
            "beta is a whole number: `//` or a rounding throws the rest away.": _wrong_beta(
                lambda w, d, z, dm, zm: w * (d if dm else 1) // (z if zm else 1)
            ),
            "weight 0 is taken for no weight: `weight or 1` does that. 0 is a value like any "
            "other.": lambda w, *rest: _translated(w or 1, *rest),
        },
        # fmt: on
    ),
)
