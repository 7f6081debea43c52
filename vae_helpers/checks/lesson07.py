"""Checks of lesson 07."""

import math

import torch
import torch.nn.functional as F

from vae_helpers.checks.legacy import Wrong, check, close, compare, evaluate, parts
from vae_helpers.checks.usual import then

CASES = 40


def _generator(seed: int):
    """Draw standard normal float64 tensors that do not depend on anything outside."""
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)


def _pairs(normal, strange):
    """(M, N): 1 where the strange image scores higher, one half for a tie."""
    difference = strange[:, None] - normal[None, :]
    return (difference > 0).double() + 0.5 * (difference == 0).double()


def _auroc(normal, strange):
    return _pairs(normal, strange).mean()


def _best_accuracy(normal, strange):
    limits = torch.cat([normal, strange])
    right = [(normal <= t).sum() + (strange > t).sum() for t in limits]
    return torch.stack(right).max().double() / len(limits)


def _in_order(normal, strange):
    n = min(len(normal), len(strange))
    return _pairs(normal[:n], strange[:n]).diagonal().mean()


# fmt: off
AUROC_MISTAKES = {
    "Ties count 0 in your answer: two equal scores must count one half.":
        lambda n, s: (s[:, None] > n[None, :]).double().mean(),
    "Ties count 1 in your answer (>=): two equal scores must count one half.":
        lambda n, s: (s[:, None] >= n[None, :]).double().mean(),
    "You count pairs in which the normal image scores higher, and leave out the ties.":
        lambda n, s: (s[:, None] < n[None, :]).double().mean(),
    "Normal and strange are swapped: a pair is right when the strange image scores "
    "higher.":
        lambda n, s: 1 - _auroc(n, s),
    "You turn values below 0.5 round. They say that strange images score as more "
    "normal, and that must stay visible.":
        lambda n, s: torch.maximum(_auroc(n, s), 1 - _auroc(n, s)),
    "This is the number of right pairs. Divide it by the number of all pairs.":
        lambda n, s: _pairs(n, s).sum(),
    "You return one number for each pair. Take the mean over all of them.":
        _pairs,
    "You return one number for each pair, normal images first. Take the mean over all "
    "of them.":
        lambda n, s: _pairs(n, s).T,
    "You return one number for each strange image. Take the mean over them as well.":
        lambda n, s: _pairs(n, s).mean(1),
    "You compare the first with the first, the second with the second. Every normal "
    "image must meet every strange one.":
        _in_order,
    "You divide by N squared. There are N times M pairs.":
        lambda n, s: _pairs(n, s).sum() / len(n) ** 2,
    "You divide by N + M. There are N times M pairs.":
        lambda n, s: _pairs(n, s).sum() / (len(n) + len(s)),
    "This is 2 AUROC - 1, which runs from -1 to 1 (the Gini coefficient). Return the "
    "share of right pairs.":
        lambda n, s: 2 * _auroc(n, s) - 1,
    "This is in per cent. Return a share between 0 and 1.":
        lambda n, s: 100 * _auroc(n, s),
    "This is the difference of the means. AUROC looks only at which of two scores is "
    "higher, not by how much.":
        lambda n, s: s.mean() - n.mean(),
    "This is the accuracy at the best threshold. AUROC needs no threshold.":
        _best_accuracy,
}
# fmt: on


@check("07.1 AUROC by hand")
def auroc_by_hand(answer) -> str:
    """answer(normal, strange) -> number."""
    draw, cases = _generator(0), []
    for i in range(CASES):
        shift = (-0.8, 0.0, 1.5)[i % 3]
        # Rounded, so that there are ties; sizes differ, so that swapped axes show.
        normal, strange = draw(3 + i % 7), draw(12 + i % 5) + shift
        cases.append(((2 * normal).round(), (2 * strange).round()))
    compare(answer, _auroc, cases, AUROC_MISTAKES)
    apart = (torch.tensor([1.0, 2.0]), torch.tensor([3.0]))
    compare(answer, _auroc, [apart, apart[::-1], (apart[0], apart[0])])
    return f"{CASES} random sets of scores with many ties, and the ends 0, 0.5 and 1."


def _decoder(weight, offset, shape):
    def decode(z):
        if z.ndim != 2 or z.shape[1] != weight.shape[1]:
            raise Wrong(
                f"`decode` got a tensor of shape {tuple(z.shape)}; it takes codes "
                f"(B, {weight.shape[1]})."
            )
        return (z @ weight.T + offset).unflatten(1, shape)

    return decode


def _kl_each(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar)


def _kl(mu, logvar):
    return _kl_each(mu, logvar).sum(1)


def _sample(mu, logvar, eps):
    return mu + torch.exp(0.5 * logvar) * eps


def _nats(x, logits):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1)


def _squared(x, mu, logvar, eps, decode):
    return ((decode(mu).sigmoid() - x) ** 2).flatten(1).sum(1)


def _negative_elbo(x, mu, logvar, eps, decode):
    return _nats(x, decode(_sample(mu, logvar, eps))).sum(1) + _kl(mu, logvar)


def _pixels(x, *_):
    return x[0].numel()


# fmt: off
SQUARED_MISTAKES = {
    "The squared error has the wrong sign: a score is higher for stranger images.":
        then(_squared, torch.neg),
    "The squared error uses the sampled code. Decode the mean code: the same image "
    "then always gets the same score.":
        lambda x, mu, lv, eps, decode: _squared(x, _sample(mu, lv, eps), lv, 0, decode),
    "The squared error is a mean over the batch. Every image needs its own score, "
    "shape (B,).":
        then(_squared, torch.mean),
    "The squared error is summed over the batch. Every image needs its own score, "
    "shape (B,).":
        then(_squared, torch.sum),
    "The squared error is a mean over pixels. Sum over them, as everywhere in this "
    "course.":
        lambda *a: _squared(*a) / _pixels(*a),
    "The squared error is a mean over the batch and the pixels, one number in all. "
    "Sum over pixels and keep one score for each image.":
        lambda *a: _squared(*a).mean() / _pixels(*a),
    "The squared error has one number for each pixel. Sum over the pixels.":
        lambda x, mu, lv, eps, decode: (decode(mu).sigmoid() - x) ** 2,
    "You compare logits with pixels. The picture is the sigmoid of the logits.":
        lambda x, mu, lv, eps, decode: ((decode(mu) - x) ** 2).flatten(1).sum(1),
    "This is the root of the squared error. Leave the root out.":
        then(_squared, torch.sqrt),
    "This is the absolute error. Square the differences.":
        lambda x, mu, lv, eps, decode: (
            (decode(mu).sigmoid() - x).abs().flatten(1).sum(1)
        ),
    "The first score is the cross-entropy. Needed is the squared error.":
        lambda x, mu, lv, eps, decode: _nats(x, decode(mu)).sum(1),
    "The first score is -ELBO. Return the squared error first, then -ELBO.":
        _negative_elbo,
}
# fmt: on


def _elbo_with(kl=_kl, code=_sample):
    return lambda x, mu, lv, eps, decode: (
        _nats(x, decode(code(mu, lv, eps))).sum(1) + kl(mu, lv)
    )


# fmt: off
ELBO_MISTAKES = {
    "The second score is the ELBO itself, higher for more normal images. Return its "
    "negative.":
        then(_negative_elbo, torch.neg),
    "-ELBO is computed with the mean code. That is no ELBO (lesson 04): decode the "
    "sample.":
        _elbo_with(code=lambda mu, lv, eps: mu),
    "The KL is left out: this is the Bernoulli term alone.":
        _elbo_with(kl=lambda mu, lv: 0 * mu.sum(1)),
    "This is the Bernoulli term of the mean code alone: decode the sample, and add "
    "the KL.":
        _elbo_with(kl=lambda mu, lv: 0 * mu.sum(1), code=lambda mu, lv, eps: mu),
    "The KL is subtracted. In -ELBO both terms are costs: add it.":
        _elbo_with(kl=lambda mu, lv: -_kl(mu, lv)),
    "The Bernoulli term of -ELBO is a mean over pixels, the KL a sum: the KL then "
    "weighs D times too much. Sum both.":
        lambda x, mu, lv, eps, decode: (
            _nats(x, decode(_sample(mu, lv, eps))).mean(1) + _kl(mu, lv)
        ),
    "-ELBO is a mean over the batch, as in the loss. A score needs one number for "
    "each image, shape (B,).":
        then(_negative_elbo, torch.mean),
    "-ELBO is summed over the batch. A score needs one number for each image, shape "
    "(B,).":
        then(_negative_elbo, torch.sum),
    "The KL in -ELBO is a mean over the batch: each image must pay its own.":
        lambda x, mu, lv, eps, decode: (
            _nats(x, decode(_sample(mu, lv, eps))).sum(1) + _kl(mu, lv).mean()
        ),
    "The KL in -ELBO is a mean over the latent dimensions. Sum over them.":
        _elbo_with(kl=lambda mu, lv: _kl_each(mu, lv).mean(1)),
    "The KL in -ELBO is twice as large as it should be: its one half is missing.":
        _elbo_with(kl=lambda mu, lv: 2 * _kl(mu, lv)),
    "The sample of -ELBO is too wide or too narrow: exp(logvar) is the variance, and "
    "sigma is exp(0.5 * logvar).":
        _elbo_with(code=lambda mu, lv, eps: mu + lv.exp() * eps),
    "The sample of -ELBO uses logvar as sigma. sigma is exp(0.5 * logvar).":
        _elbo_with(code=lambda mu, lv, eps: mu + lv * eps),
    "The sigmoid is applied twice in -ELBO: the function with logits has one inside.":
        lambda x, mu, lv, eps, decode: (
            _nats(x, decode(_sample(mu, lv, eps)).sigmoid()).sum(1) + _kl(mu, lv)
        ),
    "The reconstruction in -ELBO is the squared error. Here the pixels are Bernoulli: "
    "use the cross-entropy.":
        lambda x, mu, lv, eps, decode: (
            _squared(x, _sample(mu, lv, eps), lv, eps, decode) + _kl(mu, lv)
        ),
    "The second score adds the KL to the squared error of the mean code. Needed is "
    "the cross-entropy of the sample, plus the KL.":
        lambda x, mu, lv, eps, decode: _squared(x, mu, lv, eps, decode) + _kl(mu, lv),
    "The second score is the KL alone. Add the Bernoulli term.":
        lambda x, mu, lv, eps, decode: _kl(mu, lv),
}
# fmt: on


@check("07.2 two scores")
def two_scores(answer) -> str:
    """answer(x, mu, logvar, eps, decode) -> squared error (B,), -ELBO (B,)."""
    draw, cases = _generator(1), []
    for i in range(CASES):
        b, z, shape = 2 + i % 5, 2 + i % 4, (1 + i % 2, 3, 4)
        x = draw(b, *shape).sigmoid()
        decode = _decoder(draw(math.prod(shape), z), draw(math.prod(shape)), shape)
        cases.append((x, draw(b, z), draw(b, z), draw(b, z), decode))
    result = answer(*cases[0])
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Wrong(
            "Return two things, the squared error and -ELBO, in this order, one tensor "
            "(B,) each."
        )
    first, second = (evaluate(answer, cases[0], False, seed) for seed in (0, 1))
    if not close(first, second):
        raise Wrong(
            "Two calls with the same input differ: you draw noise of your own. Use `eps`."
        )
    compare(lambda *a: answer(*a)[0], _squared, cases, SQUARED_MISTAKES)
    compare(lambda *a: answer(*a)[1], _negative_elbo, cases, ELBO_MISTAKES)
    return f"{CASES} random models and batches: codes, signs and reductions."


def _f1_threshold(test, strange):
    limits = test.sort().values
    hits = torch.stack([(test[strange] > t).sum() for t in limits]).double()
    alarms = torch.stack([(test > t).sum() for t in limits]).double()
    f1 = 2 * hits / (alarms + strange.sum())
    return limits[f1.argmax()]


def _near(value, wanted, scores):
    """True when at most two of the scores lie between value and wanted."""
    low, high = min(value, wanted), max(value, wanted)
    return int(((scores > low) & (scores < high)).sum()) <= 2


# Each: what a mistaken answer would give, from (validation, test, strange, rate).
# fmt: off
THRESHOLD_MISTAKES = {
    "The quantile is on the wrong side: a share of 1 - rate of the normal images "
    "scores above your threshold. High scores raise alarms, so the quantile is at 1 - "
    "rate.":
        lambda v, t, s, r: v.quantile(r),
    "You chose the threshold on the normal test images. The false-alarm rate on the "
    "test set is then what you asked for by construction, and tells nothing.":
        lambda v, t, s, r: t[~s].quantile(1 - r),
    "You chose the threshold on the whole test set, strange images included. Use the "
    "validation scores.":
        lambda v, t, s, r: t.quantile(1 - r),
    "You put validation and test scores together. Only the validation scores may be "
    "used.":
        lambda v, t, s, r: torch.cat([v, t]).quantile(1 - r),
    "You added the normal test images to the validation scores. Test images are for "
    "the report only.":
        lambda v, t, s, r: torch.cat([v, t[~s]]).quantile(1 - r),
    "Your threshold fits the strange images: it misses a share `rate` of them. The "
    "false-alarm rate is about normal images, and strange ones are not known yet.":
        lambda v, t, s, r: t[s].quantile(r),
    "Your threshold is a high quantile of the strange images' scores: nearly all of "
    "them would be missed. Use the normal validation scores.":
        lambda v, t, s, r: t[s].quantile(1 - r),
    "This is the threshold of the best F1 on the test set. It flatters, and it needs "
    "strange images.":
        lambda v, t, s, r: _f1_threshold(t, s),
    "This is the largest validation score, whatever the rate. Accept a share `rate` "
    "of false alarms.":
        lambda v, t, s, r: v.max(),
    "Your threshold does not depend on `rate`: 0.05 is built in.":
        lambda v, t, s, r: v.quantile(0.95),
    "You use half the rate, as for a test with two sides. Only high scores raise "
    "alarms.":
        lambda v, t, s, r: v.quantile(1 - r / 2),
    "Mean plus two standard deviations assumes scores with a Gaussian distribution, "
    "and ignores `rate`. Use a quantile.":
        lambda v, t, s, r: v.mean() + 2 * v.std(),
    "Mean plus three standard deviations assumes scores with a Gaussian distribution, "
    "and ignores `rate`. Use a quantile.":
        lambda v, t, s, r: v.mean() + 3 * v.std(),
    "This is the quantile of a Gaussian with the mean and spread of the scores. "
    "Scores are rarely Gaussian: use the quantile of the scores themselves.":
        lambda v, t, s, r: (
            v.mean() + v.std() * math.sqrt(2) * torch.erfinv(torch.tensor(1 - 2 * r))
        ),
    "This is the place in the sorted scores. Return the score in that place.":
        lambda v, t, s, r: torch.tensor(math.ceil((len(v) + 1) * (1 - r)) - 1.0),
}
# fmt: on


def _threshold_cases() -> list[tuple]:
    draw, found = _generator(2), []
    for i in range(CASES):
        n, m, k = 100 + 7 * i, 90 + 5 * i, 60 + 3 * i
        # Skewed, as squared errors are; the test source is a little different.
        usual, strange = draw(m).exp() * 1.5 + 0.5, draw(k).exp() + 2
        labels = torch.cat([torch.zeros(m), torch.ones(k)]).bool()
        rate = (0.05, 0.1, 0.2, 0.02)[i % 4]
        found.append((draw(n).exp(), torch.cat([usual, strange]), labels, rate))
    return found


@check("07.3 threshold for a false-alarm rate")
def alarm_threshold(answer) -> str:
    """answer(validation, test, test_is_strange, rate) -> number."""
    cases, got = _threshold_cases(), []
    for number, case in enumerate(cases):
        result = evaluate(answer, case, False, number)
        value = result.get("result")
        if value is None or value.numel() != 1:
            shape = "several things" if value is None else f"shape {tuple(value.shape)}"
            raise Wrong(f"Return one number, the threshold; you returned {shape}.")
        got.append(value.double().item())

    def fits(value, validation, rate):
        above = (validation > value).double().mean().item()
        return abs(above - rate) <= 2 / len(validation)

    if not all(fits(g, c[0], c[3]) for g, c in zip(got, cases, strict=True)):
        for mistake, diagnosis in THRESHOLD_MISTAKES:
            if all(
                _near(g, float(mistake(*c)), torch.cat(c[:2]))
                for g, c in zip(got, cases, strict=True)
            ):
                raise Wrong(diagnosis)
        value, case = got[0], cases[0]
        above = (case[0] > value).double().mean().item()
        raise Wrong(
            f"For a rate of {case[3]:.0%}, {above:.1%} of the normal validation scores "
            "lie above your threshold. None of the usual mistakes gives this; try it on "
            "the scores 1, 2, ..., 100."
        )
    for value, (validation, test, labels, rate) in zip(got, cases, strict=True):
        moved = parts(answer(validation.clone(), test + 5, labels, rate))["result"]
        if not math.isclose(moved.double().item(), value, rel_tol=1e-6):
            raise Wrong(
                "The rate is right, but the threshold changes when the test scores "
                "change. It must not know them."
            )
    return f"{CASES} random sets of skewed scores, rates from 2 % to 20 %."
