"""Checks of lesson 05."""

import math

import torch
import torch.nn.functional as F

from vae_helpers.checks.legacy import Wrong, check, compare

CASES = 40


def _reconstruction(x, logits):
    nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return nats.flatten(1).sum(1).mean()


def _kl(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1).mean()


def _beta_loss(x, logits, mu, logvar, beta):
    return _reconstruction(x, logits) + beta * _kl(mu, logvar)


def _per_image(x, logits, mu, logvar, beta):
    nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    return nats.flatten(1).sum(1) + beta * kl


def _weighted(combine):
    """A mistake in how the right terms and beta are put together."""
    return lambda x, logits, mu, lv, beta: combine(
        _reconstruction(x, logits), _kl(mu, lv), beta
    )


BETA_MISTAKES = [
    (
        _weighted(lambda r, k, b: r + k),
        "beta is never used: this is the loss of lesson 04 for every beta.",
    ),
    (
        _weighted(lambda r, k, b: b * r + k),
        "beta stands on the reconstruction term. It weighs the KL.",
    ),
    (
        _weighted(lambda r, k, b: b * (r + k)),
        "beta multiplies both terms. A common factor changes no optimum: put it on the "
        "KL alone.",
    ),
    (
        _weighted(lambda r, k, b: r + k / b),
        "The KL is divided by beta. Multiply: a large beta makes the code expensive.",
    ),
    (
        _weighted(lambda r, k, b: r - b * k),
        "The KL is subtracted. In a loss it is a price: add it.",
    ),
    (
        _weighted(lambda r, k, b: -r - b * k),
        "The sign of the whole loss is flipped: it must be minimised.",
    ),
    (
        _weighted(lambda r, k, b: r + b * 2 * k),
        "The KL is twice as large as it should be: the factor one half is missing.",
    ),
    (
        _weighted(lambda r, k, b: r),
        "The KL is missing: this is an autoencoder with noise, beta = 0.",
    ),
    (
        _weighted(lambda r, k, b: (1 - b) * r + b * k),
        "The weights are 1 - beta and beta. The reconstruction term keeps the weight 1.",
    ),
    (
        lambda x, o, m, v, b: _reconstruction(x, o) + b * _kl(m, v) / m.shape[1],
        "The KL is a mean over the latents: beta is divided by Z without being asked. "
        "Sum over latents, mean over the batch.",
    ),
    (
        lambda x, o, m, v, b: F.binary_cross_entropy_with_logits(o, x) + b * _kl(m, v),
        "The reconstruction is a mean over pixels: beta is multiplied by D without being "
        "asked. Sum over pixels.",
    ),
    (
        lambda x, o, m, v, b: (
            F.binary_cross_entropy_with_logits(o, x) + b * _kl(m, v) / m.shape[1]
        ),
        "Both terms are means over their dimensions: what you call beta is beta * D / Z. "
        "Sum over pixels and over latents.",
    ),
    (_per_image, "There is one loss for each image. Take the mean over the batch."),
    (
        lambda *a: _beta_loss(*a) * len(a[0]),
        "The loss is summed over the batch. Take the mean over the batch.",
    ),
    (
        lambda x, o, m, v, b: _reconstruction(x, o) + b * _kl(m, v).detach(),
        "The KL carries no gradient: `.item()`, `.detach()` or no_grad cuts it. The loss "
        "looks right and beta has no effect on training.",
    ),
    (
        lambda *a: _beta_loss(*a).detach(),
        "The loss carries no gradient: `.item()`, `.detach()` or no_grad cuts it.",
    ),
]


@check("05.1 beta_loss")
def beta_loss(answer) -> str:
    """beta_loss(x, logits, mu, logvar, beta) -> scalar."""
    torch.manual_seed(0)
    cases = []
    for number in range(CASES):
        b, z = 2 + number % 5, 2 + number % 6
        shape = (b, 1 + number % 2, 3, 4)
        beta = (0.25, 1.0, 4.0, 30.0, 0.0)[number % 5] or 2.0
        terms = torch.randn(b, z), torch.randn(b, z)
        cases.append((torch.rand(shape), 2 * torch.randn(shape), *terms, beta))
    result = answer(*cases[0])
    if isinstance(result, tuple | list | dict):
        raise Wrong("Return one number, the loss, not its parts.")
    compare(answer, _beta_loss, cases, BETA_MISTAKES, gradients=True)
    return f"{CASES} random batches with four values of beta: values and gradients."


def _active(mu, logvar, threshold):
    return mu.var(0, correction=0) > threshold


def _mean_kl(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).mean(0)


ACTIVE_MISTAKES = [
    (
        lambda mu, lv, t: (mu.var(0, correction=0) > t).sum(),
        "This is how many are active. Return one True or False for each latent.",
    ),
    (
        lambda mu, lv, t: mu.var(0, correction=0),
        "These are the variances. Compare them with the threshold.",
    ),
    (
        lambda mu, lv, t: mu.var(0, correction=0) <= t,
        "True and False are swapped: this marks the inactive latents.",
    ),
    (
        lambda mu, lv, t: mu.std(0, correction=0) > t,
        "The threshold is compared with the standard deviation; it is meant for the "
        "variance. With 0.01, units of standard deviation 0.05 would pass.",
    ),
    (
        lambda mu, lv, t: (mu**2).mean(0) > t,
        "This is the mean square. A latent that has the same large mean for every image "
        "says nothing: subtract its mean first.",
    ),
    (
        lambda mu, lv, t: mu.mean(0).abs() > t,
        "This is the size of the mean over images. What counts is how much the means "
        "differ from image to image.",
    ),
    (
        lambda mu, lv, t: lv.exp().mean(0) > t,
        "You compare the posterior's own variance, exp(logvar). A collapsed latent has "
        "the largest one, 1; use the variance of the means.",
    ),
    (
        lambda mu, lv, t: lv.var(0, correction=0) > t,
        "You take the variance of logvar over the images. Use that of mu.",
    ),
    (
        lambda mu, lv, t: (mu.var(0, correction=0) + lv.exp().mean(0)) > t,
        "You add the posterior's own variance. For a collapsed latent this sum is 1, so "
        "all would be active.",
    ),
    (
        lambda mu, lv, t: _mean_kl(mu, lv) > t,
        "You compare the KL of each latent. That is the other thermometer; asked is the "
        "variance of the means.",
    ),
    (
        lambda mu, lv, t: mu.var(0, correction=0) > 0.01,
        "The threshold is always 0.01: use the one that is given.",
    ),
]


@check("05.2 active")
def active(answer) -> str:
    """active(mu, logvar, threshold) -> (Z,) True or False."""
    torch.manual_seed(0)
    cases = []
    for number in range(CASES):
        n, z = 20 + number % 7, 3 + number % 4
        threshold = (0.01, 0.04, 0.3)[number % 3]
        noise = torch.randn(n, z)
        noise = (noise - noise.mean(0)) / noise.std(0, correction=0)
        # Variances far from the threshold, so that N or N - 1 makes no difference.
        factor = torch.tensor([0.0, 0.1, 0.5, 2.0, 20.0])[torch.randint(5, (z,))]
        centre = torch.randn(z) * torch.randint(2, (z,))
        logvar = 2 * torch.randn(n, z) * (torch.rand(z) < 0.6) - 3 * torch.rand(z)
        mu = (factor * threshold).sqrt() * noise + centre
        cases.append((mu, logvar, threshold))
    result = answer(*cases[0])
    if isinstance(result, torch.Tensor) and result.shape == cases[0][0].shape[:1]:
        raise Wrong(
            "The variance runs over the latents: one answer for each image. Take it over "
            "the images, axis 0."
        )
    compare(answer, _active, cases, ACTIVE_MISTAKES)
    return f"{CASES} random codes with three thresholds: axis, centre and comparison."


def _weight(step, epoch_steps, warmup_epochs, beta):
    return beta * min(1.0, step / (epoch_steps * warmup_epochs))


WEIGHT_MISTAKES = [
    (
        lambda s, e, w, b: b * s / (e * w),
        "The weight never stops growing: after the warm-up it must stay at beta.",
    ),
    (
        lambda s, e, w, b: min(1.0, s / (e * w)),
        "The weight ends at 1 for every beta: multiply by beta.",
    ),
    (
        lambda s, e, w, b: min(1.0, b * s / (e * w)),
        "beta stands inside the limit: the weight stops at 1. Limit the fraction, then "
        "multiply by beta.",
    ),
    (
        lambda s, e, w, b: min(b, s / (e * w)),
        "The weight rises by the same amount for every beta and is cut at beta: the "
        "warm-up then lasts longer or shorter than asked.",
    ),
    (
        lambda s, e, w, b: b * min(1.0, s // e / w),
        "The weight stands still within an epoch and jumps between two. It shall rise at "
        "every step: no whole-number division.",
    ),
    (
        lambda s, e, w, b: b * min(1, s // (e * w)),
        "The weight is 0 and then jumps to beta: `//` throws the fraction away.",
    ),
    (
        lambda s, e, w, b: b * min(1.0, s / w),
        "Steps are divided by epochs: the warm-up is over after warmup_epochs steps. "
        "Turn the epochs into steps first.",
    ),
    (
        lambda s, e, w, b: b * min(1.0, s / e),
        "The warm-up lasts one epoch: warmup_epochs is not used.",
    ),
    (
        lambda s, e, w, b: b * min(s, e * w - 1) / (e * w),
        "The weight stops short of beta: at the end of the warm-up it must be beta.",
    ),
    (
        lambda s, e, w, b: b * s / (s + e * w),
        "The weight comes close to beta and never reaches it, so the ELBO is never what "
        "is trained.",
    ),
    (
        lambda s, e, w, b: b * (1 - math.exp(-s / (e * w))),
        "The exponential never reaches beta, so the ELBO is never what is trained.",
    ),
    (
        lambda s, e, w, b: b * min(1.0, (s + 1) / (e * w)),
        "The weight is one step ahead: at step 0 it must be 0.",
    ),
    (
        lambda s, e, w, b: b * max(0.0, 1 - s / (e * w)),
        "The weight falls from beta to 0. A warm-up rises.",
    ),
    (
        lambda s, e, w, b: b * max(1.0, s / (e * w)),
        "`max` keeps the larger one, so there is no warm-up: needed is `min`.",
    ),
    (lambda s, e, w, b: b, "The weight is beta at every step: there is no warm-up."),
]


@check("05.3 kl_weight")
def kl_weight(answer) -> str:
    """kl_weight(step, epoch_steps, warmup_epochs, beta) -> float."""
    cases = []
    for number in range(CASES):
        epoch_steps, warmup = (4, 10, 25)[number % 3], (2, 3, 5)[number // 3 % 3]
        steps = epoch_steps * warmup
        at = (0, 1, steps // 2, steps - 1, steps, steps + 7, 10 * steps)[number % 7]
        cases.append((at, epoch_steps, warmup, (1.0, 4.0, 0.5)[number // 2 % 3]))
    compare(answer, _weight, cases, WEIGHT_MISTAKES)
    return f"{CASES} moments: before, at and after the end of the warm-up."


def _nats(a, b):
    """Mutual information of two columns of whole numbers, from their counts."""
    size = int(b.max()) + 1
    counts = torch.bincount(a * size + b, minlength=(int(a.max()) + 1) * size)
    joint = counts.view(-1, size).double() / len(a)
    apart = joint.sum(1, keepdim=True) * joint.sum(0, keepdim=True)
    return torch.special.xlogy(joint, joint / apart.clamp_min(1e-300)).sum()


def _table(bins, factors):
    """(Z, K) mutual information in nats."""
    rows = [torch.stack([_nats(v, b) for v in factors.T]) for b in bins.T]
    return torch.stack(rows)


def _entropies(factors):
    return torch.stack([_nats(v, v) for v in factors.T])


def _gap(bins, factors):
    first, second = _table(bins, factors).topk(2, dim=0).values
    return (first - second) / _entropies(factors)


def _from_table(combine):
    """A mistake made with the right table (Z, K) and the right entropies (K,)."""
    return lambda bins, factors: combine(_table(bins, factors), _entropies(factors))


def _top(table, dim=0):
    return table.topk(2, dim=dim).values.unbind(dim)


GAP_MISTAKES = [
    (
        _from_table(lambda t, h: (_top(t, 1)[0] - _top(t, 1)[1]) / h),
        "The table is transposed: you compare two factors of one latent. For each factor, "
        "compare the two best latents.",
    ),
    (
        _from_table(lambda t, h: _top(t)[0] / h),
        "This is the largest mutual information alone. It is high for rotated codes too: "
        "subtract the second largest.",
    ),
    (
        _from_table(lambda t, h: _top(t)[0] - _top(t)[1]),
        "The gap is in nats: divide it by the entropy of the factor.",
    ),
    (
        _from_table(lambda t, h: (_top(t)[0] - _top(t)[1]) / h * math.log(2)),
        "The entropy is in bits and the mutual information in nats: use the natural "
        "logarithm for both.",
    ),
    (
        _from_table(lambda t, h: (_top(t)[0] - _top(t)[1]) / h / math.log(2)),
        "The mutual information is in bits and the entropy in nats: use one unit.",
    ),
    (
        _from_table(lambda t, h: 0 * h),
        "Every gap is 0: the second largest includes the largest itself. Leave it out "
        "before you look again.",
    ),
    (
        _from_table(lambda t, h: (_top(t)[1] - _top(t)[0]) / h),
        "The gap is negative: subtract the second from the first.",
    ),
    (
        _from_table(lambda t, h: (t.max(0).values - t.min(0).values) / h),
        "You subtract the smallest mutual information; needed is the second largest.",
    ),
    (
        _from_table(lambda t, h: (t.max(0).values - t.mean(0)) / h),
        "You subtract the mean over latents; needed is the second largest.",
    ),
    (
        _from_table(lambda t, h: (_top(t)[0] - _top(t)[1]) / _top(t)[0]),
        "You divide by the largest mutual information: a code that hardly knows the "
        "factor could score 1. Divide by the entropy of the factor.",
    ),
    (
        lambda b, f: (
            (_top(_table(b, f))[0] - _top(_table(b, f))[1])
            / torch.tensor([math.log(len(v.unique())) for v in f.T])
        ),
        "You divide by the logarithm of the number of values. That is the entropy only "
        "where all values are equally frequent.",
    ),
    (
        lambda b, f: _gap(b, f).mean(),
        "This is the mean over the factors. Return one gap for each factor.",
    ),
    (
        lambda b, f: (_top(_table(b, f))[0] - _top(_table(b, f))[1]) / _entropies(b),
        "You divide by the entropy of the latents; needed is that of the factor.",
    ),
]


def _as_vector(answer):
    """Lists and arrays of numbers count as tensors here."""

    def call(bins, factors):
        result = answer(bins, factors)
        if isinstance(result, list | tuple):
            result = torch.tensor([float(item) for item in result])
        return result

    return call


@check("05.4 information_gap")
def information_gap(answer) -> str:
    """information_gap(bins, factors) -> (K,)."""
    torch.manual_seed(0)
    square, wide = [], []
    for number in range(4):
        k = 3 + number % 2
        uneven = torch.rand(60, k) ** 1.7
        factors = (uneven * torch.tensor([3.0, 4.0, 5.0, 2.0])[:k]).long()
        for z, cases in ((k, square), (k + 2, wide)):
            mixed = factors.float() @ torch.randn(k, z) + 0.7 * torch.randn(60, z)
            mixed = mixed - mixed.min(0).values
            bins = (6 * mixed / mixed.max()).long()
            cases.append((bins, factors))
    compare(_as_vector(answer), _gap, square, GAP_MISTAKES, tol=1e-3)
    compare(_as_vector(answer), _gap, wide, tol=1e-3)
    return "8 random codes, with as many latents as factors and with more."
