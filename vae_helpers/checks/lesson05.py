"""Checks of lesson 05."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from vae_helpers.checks.core import Part, Wrong, call, declare
from vae_helpers.checks.usual import cut, kl_each, kl_formulas, then

# 05.1


def _per_image(x, logits):
    nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return nats.flatten(1).sum(1)


def _beta_loss(x, logits, mu, logvar, beta):
    return (_per_image(x, logits) + beta * kl_each(mu, logvar).sum(1)).mean()


def _of(combine):
    """A mistake in how the two right terms r, k and beta b are put together."""
    return lambda x, logits, mu, logvar, beta: combine(
        _per_image(x, logits).mean(), kl_each(mu, logvar).sum(1).mean(), beta
    )


def _wrong_kl(formula):
    return lambda x, o, m, v, b: _per_image(x, o).mean() + b * formula(m, v)


def _need_one_number(answer) -> None:
    result = call(answer, _batch(2, 3, 0.5))
    if isinstance(result, tuple | list | dict):
        raise Wrong("Return one number, the loss, not its parts.")


def _batch(size, latents, beta, channels=2, spread=1.0):
    shape = (size, channels, 3, 4)
    codes = spread * torch.randn(size, latents), spread * torch.randn(size, latents)
    return torch.rand(shape), 2 * torch.randn(shape), *codes, beta


def _codes_of(logvar, mu=0.0):
    x, logits, _, _, beta = _batch(2, 2, 2.0, 1)
    return x, logits, torch.full((2, 2), mu), torch.full((2, 2), logvar), beta


beta_loss = declare(
    "05.1 beta_loss",
    "random batches with many values of beta, sure logits, wide codes: values and gradients.",
    Part(
        right=_beta_loss,
        cases=lambda: [
            (
                torch.tensor([[[[1.0]]], [[[0.0]]]]),
                torch.tensor([[[[2.0]]], [[[1.0]]]]),
                torch.tensor([[1.0, 0.0], [0.5, 0.0]]),
                torch.tensor([[0.0, -1.0], [0.0, 1.0]]),
                4.0,
            ),
            *[
                _batch(2 + i % 5, 2 + i % 6, (0.25, 1.0, 4.0, 30.0)[i % 4], 1 + i % 3)
                for i in range(9)
            ],
        ],
        edges=lambda: {
            "beta = 0 (then the loss is the reconstruction alone)": _batch(3, 2, 0.0),
            "beta = 1": _batch(3, 2, 1),
            "one image in the batch": _batch(1, 3, 2.0),
            "one latent": _batch(3, 1, 2.0),
            "a single image with a single latent and channel": _batch(1, 1, 2.0, 1),
            "wide codes, logvar = 12 (is something clamped?)": _codes_of(12.0),
            "narrow codes, logvar = -25 (is something clamped?)": _codes_of(-25.0),
            "codes far from 0, mu = 40": _codes_of(0.0, 40.0),
            "a batch of 128 images": _batch(128, 2, 2.0, 1),
            "sure logits, 30 and -30, for the wrong pixels (log of a probability that "
            "was rounded to 0 or 1, or clamped?)": (
                torch.tensor([1.0, 0.0]).expand(2, 1, 1, 2).clone(),
                torch.tensor([-30.0, 30.0]).expand(2, 1, 1, 2).clone(),
                torch.zeros(2, 2),
                torch.zeros(2, 2),
                2.0,
            ),
            "surer logits, 300 and -300, for the wrong pixels (is something clamped?)": (
                torch.tensor([1.0, 0.0]).expand(2, 1, 1, 2).clone(),
                torch.tensor([-300.0, 300.0]).expand(2, 1, 1, 2).clone(),
                torch.zeros(2, 2),
                torch.zeros(2, 2),
                2.0,
            ),
            "black and white pixels with sure logits of 20": (
                torch.tensor([1.0, 0.0]).expand(2, 1, 1, 2).clone(),
                torch.tensor([20.0, -20.0]).expand(2, 1, 1, 2).clone(),
                torch.zeros(2, 2),
                torch.zeros(2, 2),
                2.0,
            ),
        },
        gradients=("logits", "mu", "logvar"),
        before=[_need_one_number],
        # fmt: off
        wrong={
            "beta is never used: this is the loss of lesson 04 for every beta.": _of(
                lambda r, k, b: r + k
            ),
            "beta stands on the reconstruction term. It weighs the KL.": _of(
                lambda r, k, b: b * r + k
            ),
            "beta multiplies both terms. A common factor changes no optimum: put it on the "
            "KL alone.": _of(lambda r, k, b: b * (r + k)),
            "The KL is divided by beta. Multiply: a large beta makes the code expensive.": _of(
                lambda r, k, b: r + k / b
            ),
            "The KL is subtracted. In a loss it is a price: add it.": _of(
                lambda r, k, b: r - b * k
            ),
            "The sign of the whole loss is flipped: it must be minimised.": _of(
                lambda r, k, b: -r - b * k
            ),
            "The reconstruction is subtracted. It is a price already: minus log p, which "
            "is never below 0.": _of(lambda r, k, b: b * k - r),
            "The KL is missing: this is an autoencoder with noise, beta = 0.": _of(
                lambda r, k, b: r
            ),
            "The reconstruction is missing: return both terms together.": _of(
                lambda r, k, b: b * k
            ),
            "The weights are 1 - beta and beta. The reconstruction term keeps the weight 1.": _of(
                lambda r, k, b: (1 - b) * r + b * k
            ),
            "beta is squared.": _of(lambda r, k, b: r + b**2 * k),
            'beta = 0 is taken for "no beta given" and replaced by 1: `beta or 1` does '
            "that. 0 is a value like any other.": lambda x, o, m, v, b: _beta_loss(
                x, o, m, v, b or 1.0
            ),
            "The KL is a mean over the latents: beta is divided by Z without being asked. "
            "Sum over latents, mean over the batch.": _wrong_kl(
                lambda m, v: kl_each(m, v).mean()
            ),
            "The reconstruction is a mean over pixels: beta is multiplied by D without being "
            "asked. Sum over pixels.": lambda x, o, m, v, b: (
                _per_image(x, o).mean() / x[0].numel() + b * kl_each(m, v).sum(1).mean()
            ),
            "Both terms are means over their dimensions: what you call beta is beta * D / Z. "
            "Sum over pixels and over latents.": lambda x, o, m, v, b: (
                F.binary_cross_entropy_with_logits(o, x) + b * kl_each(m, v).mean()
            ),
            "There is one loss for each image. Take the mean over the batch.": lambda x, o, m, v, b: (
                _per_image(x, o) + b * kl_each(m, v).sum(1)
            ),
            "The loss is summed over the batch. Take the mean over the batch.": lambda *a: (
                _beta_loss(*a) * len(a[0])
            ),
            "The KL is summed over the batch, the reconstruction is averaged. Take the mean "
            "over the batch of both.": _wrong_kl(lambda m, v: kl_each(m, v).sum()),
            "Image and logits are swapped: the function takes the logits first, then x.": lambda x, o, m, v, b: (
                _beta_loss(o, x, m, v, b)
            ),
            "The sigmoid is applied twice: the function with logits has one inside.": lambda x, o, m, v, b: (
                _beta_loss(x, o.sigmoid(), m, v, b)
            ),
            "The KL carries no gradient: `.item()`, `.detach()` or no_grad cuts it. The loss "
            "looks right and beta has no effect on training.": lambda x, o, m, v, b: (
                _beta_loss(x, o, m.detach(), v.detach(), b)
            ),
            "The loss carries no gradient: `.item()`, `.detach()` or no_grad cuts it.": cut(
                _beta_loss
            ),
        }
        | {s: _wrong_kl(f) for s, f in kl_formulas(lambda r: r.sum(1).mean()).items()},
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
    "05.4 information_gap",
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
