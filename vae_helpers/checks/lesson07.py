"""Checks of lesson 07."""

import math
import types
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_helpers.checks.core import (
    Part,
    Symptom,
    Symptoms,
    Wrong,
    call,
    close,
    declare,
    parts,
)
from vae_helpers.checks.usual import SQUEEZED, kl_each, kl_formulas, then

# 07.1


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
    "This is one pair alone, the first one: `return` stands inside a loop. Return after both "
    "loops.":
        lambda n, s: _pairs(n, s)[0, 0] / _pairs(n, s).numel(),
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
    "A tie counts 1.5 in your answer: `if a > b` adds 1, and `if a >= b` adds a half to the "
    "same pair once more, and a half too much to every right pair. Use `elif a == b`.":
        lambda n, s: (1.5 * (s[:, None] > n) + 0.5 * (s[:, None] == n)).mean(),
    "Ties count 1.5 in your answer, one from `>=` and a half from `==`. Use `>` for the first.":
        lambda n, s: (1.0 * (s[:, None] >= n) + 0.5 * (s[:, None] == n)).mean(),
    "You compare the first with the first, the second with the second (`zip`). Every normal "
    "image must meet every strange one: one loop inside the other.":
        _in_order,
    "You compare the first with the first, the second with the second (`zip`), and divide by "
    "the number of all pairs. Every normal image must meet every strange one: one loop inside "
    "the other.":
        lambda n, s: _in_order(n, s) * min(len(n), len(s)) / (len(n) * len(s)),
    "You compare the first with the first, the second with the second (`zip`), and divide by "
    "the number of normal images. Every normal image must meet every strange one: one loop "
    "inside the other.":
        lambda n, s: _in_order(n, s) * min(len(n), len(s)) / len(n),
    "You compare the first with the first, the second with the second (`zip`), and divide by "
    "the number of strange images. Every normal image must meet every strange one: one loop "
    "inside the other.":
        lambda n, s: _in_order(n, s) * min(len(n), len(s)) / len(s),
    "You divide by N alone, the number of normal images. There are N times M pairs.":
        lambda n, s: _pairs(n, s).sum() / len(n),
    "You divide by M alone, the number of strange images. There are N times M pairs.":
        lambda n, s: _pairs(n, s).sum() / len(s),
    "You count only the ties. A pair is right when the strange image scores higher.":
        lambda n, s: 0.5 * (s[:, None] == n).double().mean(),
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


_LIBRARY = {"roc_auc_score", "roc_curve", "auc", "mannwhitneyu", "auroc"}


def _names_in(code: types.CodeType) -> set[str]:
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*map(_names_in, inner))


def _need_own_work(answer: Callable) -> None:
    used = _names_in(answer.__code__) if hasattr(answer, "__code__") else set()
    if found := sorted(used & _LIBRARY):
        raise Wrong(
            f"Your function calls `{found[0]}`, which does the whole exercise. Compare the "
            "pairs yourself; two loops are fine."
        )


def _scores(count, other, step=0.0):
    """Float scores; with a step they are rounded to multiples of it, so that some tie."""
    normal, strange = torch.randn(count), torch.randn(other) + 0.7
    if step:
        normal, strange = ((t / step).round() * step for t in (normal, strange))
    return normal, strange


auroc_by_hand = declare(
    "07.1 AUROC by hand",
    "random scores with and without ties, of all sizes, close together, far apart, whole.",
    Part(
        right=_auroc,
        cases=lambda: [
            (torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 4.0])),
            *[_scores(4 + i, 9 - i % 6, (0.0, 0.5, 0.25)[i % 3]) for i in range(12)],
        ],
        edges=lambda: {
            "one normal image": _scores(1, 7),
            "one strange image": _scores(7, 1),
            "one image of each kind": (torch.tensor([2.0]), torch.tensor([1.0])),
            "equal scores everywhere (0.5)": (torch.ones(3), torch.ones(4)),
            "two groups that do not overlap (1.0)": (
                torch.tensor([0.1, 0.2]),
                torch.tensor([0.3, 0.4, 0.5]),
            ),
            "scores that differ by 0.001 only (no tie, not whole numbers)": (
                1 + torch.arange(6.0).flip(0) / 1000,
                1 + torch.arange(2.5, 7) / 1000,
            ),
            "scores that differ by a millionth (only a difference of exactly 0 is a tie)": (
                0.5 + torch.arange(6.0).flip(0) / 1e6,
                0.5 + torch.arange(2.5, 7) / 1e6,
            ),
            "negative scores": tuple(t - 50 for t in _scores(8, 5)),
            "whole numbers as scores": (
                torch.tensor([1.0, 2.0, 3.0, 3.0]),
                torch.tensor([3.0, 2.0, 5.0]),
            ),
            "scores in the thousands": tuple(1000 * t for t in _scores(8, 5)),
            "300 images of each kind": _scores(300, 310),
            "one score that is infinite": (
                torch.tensor([1.0, 2.0, 3.0]),
                torch.tensor([2.5, torch.inf]),
            ),
        },
        before=[_need_own_work],
        wrong=AUROC_MISTAKES,
    ),
)


# 07.2


def _decoder(weight, offset, shape):
    def decode(z):
        if z.ndim != 2 or z.shape[1] != weight.shape[1]:
            raise Wrong(
                f"`decode` got a tensor of shape {tuple(z.shape)}; it takes codes "
                f"(B, {weight.shape[1]})."
            )
        return (z @ weight.T + offset).unflatten(1, shape)

    return decode


def _kl(mu, logvar):
    return kl_each(mu, logvar).sum(1)


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
        _elbo_with(kl=lambda mu, lv: kl_each(mu, lv).mean(1)),
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


def _model(size, latents, channels, spread=1.0):
    """A batch, codes and a linear decoder: the arguments of the exercise."""
    shape = (channels, 3, 4)
    weight = torch.randn(12 * channels, latents) / spread
    codes = spread * torch.randn(size, latents), torch.randn(size, latents)
    noise = torch.randn(size, latents)
    decode = _decoder(weight, torch.randn(12 * channels), shape)
    return torch.rand(size, *shape), *codes, noise, decode


def _sure(logit, pixel):
    """Two images of four pixels that the decoder is sure about; one latent says nothing."""
    decode = _decoder(torch.zeros(4, 1), torch.full((4,), logit), (1, 2, 2))
    return (
        torch.full((2, 1, 2, 2), pixel),
        *(torch.zeros(2, 1) for _ in range(3)),
        decode,
    )


def _codes(mu, logvar):
    x, a, b, eps, decode = _model(2, 2, 1, spread=1e3)
    return x, torch.full_like(a, mu), torch.full_like(b, logvar), eps, decode


def _score_cases():
    tiny = _decoder(torch.tensor([[1.0], [2.0]]), torch.zeros(2), (1, 1, 2))
    x = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]]])
    first = (
        x,
        torch.tensor([[0.5], [0.0]]),
        torch.tensor([[0.0], [-1.0]]),
        torch.tensor([[1.0], [-1.0]]),
        tiny,
    )
    return [first, *[_model(2 + i % 5, 2 + i % 4, 1 + i % 3) for i in range(10)]]


def _score_edges():
    sure = " (log of a probability that was rounded to 0 or 1, or clamped?)"
    return {
        "one image in the batch": _model(1, 3, 1),
        "a single latent": _model(4, 1, 1),
        "one image, one latent": _model(1, 1, 1),
        "three channels": _model(3, 2, 3),
        f"sure logits of 20 for white pixels{sure}": _sure(20.0, 1.0),
        f"sure logits of -20 for black pixels{sure}": _sure(-20.0, 0.0),
        f"sure logits of 60 for black pixels{sure}": _sure(60.0, 0.0),
        "very wide codes, logvar = 12 (is something clamped?)": _codes(0.0, 12.0),
        "very narrow codes, logvar = -25 (is something clamped?)": _codes(0.0, -25.0),
        "means far from 0": _codes(40.0, 0.0),
        "a batch of 128 images": _model(128, 2, 1),
    }


def _need_two_scores(answer) -> None:
    case = _model(3, 2, 1)
    result = call(answer, case, 0)
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Wrong(
            "Return two things, the squared error and -ELBO, in this order, one tensor "
            "(B,) each."
        )
    if not close(parts(result), parts(call(answer, case, 1)), nan_is_nan=True):
        raise Wrong(
            "Two calls with the same input differ: you draw noise of your own. Use `eps`."
        )


def _score(place: int) -> Callable:
    """One of the two scores of an answer."""

    def pick(answer):
        return lambda x, mu, logvar, eps, decode: answer(x, mu, logvar, eps, decode)[
            place
        ]

    return pick


def _both(score: Callable) -> Callable:
    """An answer that returns one score in both places: only one of them is looked at."""
    return then(score, lambda r: (r, r))


def _table(mistakes: dict) -> dict:
    return {sentence: _both(score) for sentence, score in mistakes.items()}


two_scores = declare(
    "07.2 two scores",
    "random models and batches, sure logits, wide codes: codes, signs and reductions.",
    Part(
        right=_both(_squared),
        cases=_score_cases,
        edges=_score_edges,
        adapt=_score(0),
        before=[_need_two_scores],
        wrong=_table(SQUARED_MISTAKES | {SQUEEZED: then(_squared, torch.squeeze)}),
    ),
    Part(
        right=_both(_negative_elbo),
        cases=_score_cases,
        edges=_score_edges,
        adapt=_score(1),
        wrong=_table(
            ELBO_MISTAKES
            | {
                f"In -ELBO: {sentence}": _elbo_with(kl=formula)
                for sentence, formula in kl_formulas(lambda each: each.sum(1)).items()
                if "gradient" not in sentence and "twice as large" not in sentence
            }
            | {SQUEEZED: then(_negative_elbo, torch.squeeze)}
        ),
    ),
)


# 07.3


def _f1_threshold(test, strange):
    limits = test.sort().values
    hits = torch.stack([(test[strange] > t).sum() for t in limits]).double()
    alarms = torch.stack([(test > t).sum() for t in limits]).double()
    f1 = 2 * hits / (alarms + strange.sum())
    return limits[f1.argmax()]


def _youden_threshold(test, strange):
    limits = test.sort().values
    hits = torch.stack([(test[strange] > t).float().mean() for t in limits])
    alarms = torch.stack([(test[~strange] > t).float().mean() for t in limits])
    return limits[(hits - alarms).argmax()]


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
    "This is the threshold at which the ROC curve of the test set is farthest from the "
    "diagonal (Youden). It needs strange images, and it flatters.":
        lambda v, t, s, r: _youden_threshold(t, s),
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
    "Mean plus 1.64 standard deviations is the 5 % point of a Gaussian distribution: scores are "
    "rarely Gaussian, and it ignores `rate`. Use a quantile.":
        lambda v, t, s, r: v.mean() + 1.645 * v.std(),
    "Mean plus three standard deviations assumes scores with a Gaussian distribution, "
    "and ignores `rate`. Use a quantile.":
        lambda v, t, s, r: v.mean() + 3 * v.std(),
    "This is the quantile of a Gaussian with the mean and spread of the scores. "
    "Scores are rarely Gaussian: use the quantile of the scores themselves.":
        lambda v, t, s, r: (
            v.mean() + v.std() * math.sqrt(2) * torch.erfinv(torch.tensor(1 - 2 * r))
        ),
    "The scores are not sorted: this is the score that happens to stand in the right place. "
    "Sort them first.":
        lambda v, t, s, r: v[min(math.ceil((len(v) + 1) * (1 - r)), len(v)) - 1],
    "This is the share 1 - rate of the way from the smallest to the largest score. Needed is "
    "the score that a share 1 - rate of the images lies below.":
        lambda v, t, s, r: v.min() + (1 - r) * (v.max() - v.min()),
    "This is the place in the sorted scores. Return the score in that place.":
        lambda v, t, s, r: torch.tensor(math.ceil((len(v) + 1) * (1 - r)) - 1.0),
}
# fmt: on


def _skewed(count, rate, other=90, strange=60):
    """Skewed scores, as squared errors are; the test source is a little different."""
    usual, odd = torch.randn(other).exp() * 1.5 + 0.5, torch.randn(strange).exp() + 2
    labels = torch.cat([torch.zeros(other), torch.ones(strange)]).bool()
    return torch.randn(count).exp(), torch.cat([usual, odd]), labels, rate


_RATES = (0.05, 0.1, 0.2, 0.02)


def _threshold_cases() -> list[tuple]:
    cases = [
        _skewed(100 + 7 * i, _RATES[i % 4], 90 + 5 * i, (60, 8)[i % 2])
        for i in range(12)
    ]
    few = [
        (19, 0.05),
        (39, 0.05),
        (3000, 0.001),
        (2000, 0.005),
        (64, 0.5),
        (800, 0.025),
    ]
    cases += [_skewed(count, rate) for count, rate in few]
    low, test, labels, rate = _skewed(300, 0.1)
    cases.append((low - 50, test - 50, labels, rate))  # scores may be negative
    cases.append(((4 * low).round() / 4, test, labels, rate))  # and equal
    cases.append((1000 * low, 1000 * test, labels, rate))  # and large, as -ELBO is
    return cases


def _measured_thresholds(answer) -> types.SimpleNamespace:
    """The thresholds of an answer, whether they fit, and whether the test moves them."""
    torch.manual_seed(2)
    cases, values = _threshold_cases(), []
    for number, case in enumerate(cases):
        result = parts(call(answer, case, number)).get("result")
        if result is None or result.numel() != 1:
            shape = (
                "several things" if result is None else f"shape {tuple(result.shape)}"
            )
            raise Wrong(f"Return one number, the threshold; you returned {shape}.")
        values.append(result.double().item())
    misses = [i for i, v in enumerate(values) if not _fits(v, cases[i][0], cases[i][3])]
    moved = []
    for number, (v, test, labels, rate) in enumerate(cases[:12]):
        again = parts(call(answer, (v, test + 5, labels, rate), number))["result"]
        moved.append(
            not math.isclose(again.double().item(), values[number], rel_tol=1e-6)
        )
    return types.SimpleNamespace(cases=cases, values=values, misses=misses, moved=moved)


def _fits(value, validation, rate) -> bool:
    """The share above is the rate, up to two images; equal scores count on both sides."""
    slack = 2 / len(validation)
    above = (validation > value).double().mean().item()
    below = validation[validation <= value]
    at_least = below.max() if len(below) else validation.min()
    from_it = (validation >= at_least).double().mean().item()
    return above <= rate + slack and from_it >= rate - slack


def _as(mistake) -> Callable:
    def shows(seen) -> bool:
        return bool(seen.misses) and all(
            _near(value, float(mistake(*case)), torch.cat(case[:2]))
            for value, case in zip(seen.values[:12], seen.cases, strict=False)
        )

    return shows


def _first_miss(seen) -> str:
    validation, _, _, rate = seen.cases[seen.misses[0]]
    above = (validation > seen.values[seen.misses[0]]).double().mean().item()
    return (
        f"For a rate of {rate:.1%} and {len(validation)} validation scores, {above:.1%} of "
        "them lie above your threshold, and this in none of the usual ways; try it on the "
        "scores 1, 2, ..., 100."
    )


def _right_threshold(validation, test, test_is_strange, rate):
    place = math.ceil((len(validation) + 1) * (1 - rate))
    return validation.sort().values[min(place, len(validation)) - 1]


def _peeking(validation, test, test_is_strange, rate):
    return (
        _right_threshold(validation, test, test_is_strange, rate) + 1e-4 * test.mean()
    )


alarm_threshold = declare(
    "07.3 threshold for a false-alarm rate",
    "random sets of skewed scores, few and many, with ties, rates from 0.1 % to 50 %.",
    Symptoms(
        right=_right_threshold,
        measure=_measured_thresholds,
        table=[
            Symptom(
                "Your threshold is no finite number (NaN or infinite).",
                lambda seen: not all(map(math.isfinite, seen.values)),
                lambda v, t, s, r: v.max() * math.inf,
            ),
            *[Symptom(s, _as(m), m) for s, m in THRESHOLD_MISTAKES.items()],
            Symptom(
                _first_miss,
                lambda seen: bool(seen.misses),
                lambda v, t, s, r: v.median() + r,
            ),
            Symptom(
                "The rate is right, but the threshold changes when the test scores "
                "change. It must not know them.",
                lambda seen: any(seen.moved),
                _peeking,
            ),
        ],
        fine=lambda seen: not seen.misses and not any(seen.moved),
    ),
)


# 07.4: what must be done before what, and what it would cost the other way round.

PROTOCOL = "FCEDAGB"  # one of the valid orders
RULES = (
    ("F", "C", "The model is trained before the normal images are split: the images that the "
     "threshold comes from would be trained on, and their scores would be too low."),
    ("F", "E", "Line E scores the second part, but the images are not split yet."),
    ("C", "E", "Line E scores images with a model that is not trained yet."),
    ("E", "A", "Line A takes the threshold from validation scores that do not exist yet."),
    ("D", "A", "The threshold is chosen before the score and the false-alarm rate are fixed: "
     "the rate could still be moved until the threshold looks good."),
    ("D", "G", "The test images are scored before it is fixed which score counts: the one that "
     "does best on the test images could still be picked, and the report would flatter."),
    ("C", "G", "Line G scores images with a model that is not trained yet."),
    ("A", "G", "The test images are scored before the threshold is chosen: it could still be "
     "moved until the test looks good, and the false-alarm rate would be right by "
     "construction."),
    ("G", "B", "The report comes before the test images are scored."),
    ("A", "B", "The report counts alarms before there is a threshold."),
)  # fmt: skip


def _letters(answer: Callable) -> str:
    found = call(answer, ())
    if found is None:
        raise Wrong("Your function returned None. Does it end with `return ...`?")
    if isinstance(found, list | tuple):
        found = "".join(str(item) for item in found)
    return "".join(c for c in str(found).upper() if not c.isspace() and c not in ",->")


def _too_early(order: str) -> str:
    """The first rule that an order breaks, in words; "" if it breaks none."""
    for early, late, why in RULES:
        if order.index(early) > order.index(late):
            return f"{late} stands before {early}. {why}"
    return ""


def _order(text: str) -> Callable:
    return lambda: text


protocol_order = declare(
    "07.4 protocol_order",
    "everything is fixed before the test images are scored, and they are scored once.",
    Symptoms(
        right=_order(PROTOCOL),
        measure=_letters,
        table=[
            Symptom(
                'Return a text of letters from A to G, such as "ABCDEFG".',
                lambda order: not order or not set(order) <= set(PROTOCOL),
                _order("ABCX"),
            ),
            Symptom(
                lambda order: (
                    "A line stands there twice: "
                    f"{', '.join(sorted({c for c in order if order.count(c) > 1}))}. Each is "
                    "used once; the test images above all."
                ),
                lambda order: len(set(order)) < len(order),
                _order("FCEDAGBG"),
            ),
            Symptom(
                lambda order: (
                    f"Missing: {', '.join(sorted(set(PROTOCOL) - set(order)))}. All seven "
                    "lines are used."
                ),
                lambda order: len(order) < len(PROTOCOL),
                _order("FCEDAG"),
            ),
            *[
                Symptom(_too_early, lambda order: bool(_too_early(order)), _order(text))
                for text in ("CFEDAGB", "FCEAGDB", "FCEDGAB", "ABCDEFG")
            ],
        ],
        fine=lambda order: _too_early(order) == "" and len(order) == len(PROTOCOL),
    ),
)


# 07.5


def _precision(share, found, false_alarms):
    true = share * found
    return true / (true + (1 - share) * false_alarms)


def _rates(*shape: int) -> tuple[Tensor, Tensor, Tensor]:
    share = 0.01 + 0.4 * torch.rand(shape)
    return share, 0.3 + 0.7 * torch.rand(shape), 0.01 + 0.3 * torch.rand(shape)


def _need_arrays(answer: Callable) -> None:
    call(answer, (0.2, 0.8, 0.3))
    some = torch.tensor([0.1, 0.5])
    try:
        call(answer, (some, 0.9 * some, 0.2 * some))
    except (TypeError, ValueError, RuntimeError) as error:
        raise Wrong(
            "Single numbers work and arrays do not: `float()`, `if`, `min()` and `.item()` take "
            "one number. Use `+`, `*` and `/` alone."
        ) from error


# fmt: off
PRECISION_MISTAKES = {
    "This is the precision when half of the images are strange: the share is not used. Weight "
    "each rate by how many images it applies to.":
        lambda p, r, f: r / (r + f) + 0 * p,
    "The bases are mixed: the false-alarm rate is a share of the normal images, and these are "
    "1 - share of all. Multiply it by 1 - share.":
        lambda p, r, f: p * r / (p * r + f),
    "The bases are mixed: found is a share of the strange images, and these are `share` of all. "
    "Multiply it by the share.":
        lambda p, r, f: r / (r + (1 - p) * f),
    "The share and 1 - share have changed places: the strange images are the rare ones here.":
        lambda p, r, f: (1 - p) * r / ((1 - p) * r + p * f),
    "The share is taken as per cent: divided by 100, or 100 - share in place of 1 - share. It is "
    "a number between 0 and 1 already.":
        lambda p, r, f: _precision(p / 100, r, f),
    "This is in per cent. Return a share between 0 and 1.":
        lambda p, r, f: 100 * _precision(p, r, f),
    "This is as if all strange images were found. Use the share that is found.":
        lambda p, r, f: p / (p + (1 - p) * f) + 0 * r,
    "This is the share of all images that raise an alarm. Precision is the part of them that is "
    "true.":
        lambda p, r, f: p * r + (1 - p) * f,
    "This is the share of all images that raise a true alarm. Divide it by the share that "
    "raises any alarm.":
        lambda p, r, f: p * r + 0 * f,
    "This is true alarms over false ones. Precision is true alarms over all of them.":
        lambda p, r, f: p * r / ((1 - p) * f),
    "This is the share of alarms that are false. Precision is the share that is true.":
        lambda p, r, f: 1 - _precision(p, r, f),
    "found and false_alarms have changed places.":
        lambda p, r, f: _precision(p, f, r),
    "The false-alarm rate is used as 1 - false_alarms. It is the share of normal images that do "
    "raise an alarm.":
        lambda p, r, f: _precision(p, r, 1 - f),
    "This is the share of all images that are judged rightly, the accuracy. Normal images left "
    "in peace do not count in a precision.":
        lambda p, r, f: p * r + (1 - p) * (1 - f),
    "You divide by the share of strange images: that is the recall again.":
        lambda p, r, f: p * r / p + 0 * f,
    "In the denominator found is missing before the share: the true alarms are share times "
    "found, above and below.":
        lambda p, r, f: p * r / (p + (1 - p) * f),
    "In the numerator found is missing: the true alarms are share times found, above and below.":
        lambda p, r, f: p / (p * r + (1 - p) * f),
    "In the numerator the share is missing: the true alarms are share times found, above and "
    "below.":
        lambda p, r, f: r / (p * r + (1 - p) * f),
    "The false alarms are subtracted in the denominator. All alarms are the true and the false "
    "ones together.":
        lambda p, r, f: p * r / (p * r - (1 - p) * f),
}
# fmt: on

precision_at = declare(
    "07.5 precision_at",
    "single numbers and arrays, rare and frequent strange images, good and bad detectors.",
    Part(
        right=_precision,
        cases=lambda: [
            (0.5, 0.9, 0.1),
            (0.1, 0.9, 0.1),
            (0.01, 0.9, 0.05),
            (0.2, 0.5, 0.25),
            *[_rates(3 + i) for i in range(6)],
        ],
        edges=lambda: {
            "arrays for found and false alarms, one number for the share": (
                0.01,
                torch.tensor([0.9, 0.5, 0.2]),
                torch.tensor([0.05, 0.01, 0.001]),
            ),
            "an array of shares, one number for the rates (is there an `if`, a `float()` or a "
            "`min()`?)": (torch.tensor([0.001, 0.01, 0.1]), 0.9, 0.05),
            "a table, (2, 3)": _rates(2, 3),
            "no false alarm (1)": (0.01, 0.5, 0.0),
            "nothing found (0)": (0.01, 0.0, 0.05),
            "strange images only (1)": (1.0, 0.5, 0.05),
            "one strange image in a million": (1e-6, 0.9, 0.05),
        },
        before=[_need_arrays],
        wrong=PRECISION_MISTAKES,
        strides=False,
    ),
)


# 07.6


def _ratio(x, logits, background_logits):
    return (_nats(x, logits) - _nats(x, background_logits)).sum(1)


def _bits(size: int, channels: int = 1, height: int = 3, width: int = 4) -> tuple:
    shape = (size, channels, height, width)
    return torch.rand(shape).round(), 2 * torch.randn(shape), torch.randn(shape)


def _first_bits() -> tuple:
    x = torch.tensor([[[[1.0, 0.0]]], [[[0.0, 0.0]]]])
    logits = torch.tensor([[[[1.0, -1.0]]], [[[2.0, -1.0]]]])
    return x, logits, torch.zeros(2, 1, 1, 2)


def _sure_bits(logit: float, pixel: float) -> tuple:
    shape = (2, 1, 2, 2)
    return torch.full(shape, pixel), torch.full(shape, logit), torch.zeros(shape)


def _log_p(x: Tensor, logits: Tensor) -> Tensor:
    """(B,): log-likelihood, higher is more normal."""
    return -_nats(x, logits).sum(1)


# fmt: off
RATIO_MISTAKES = {
    "The sign is flipped: this is log p(x) - log p_background(x), higher for more *normal* "
    "images. A score is higher for stranger ones.":
        then(_ratio, torch.neg),
    "This is a mean over pixels. Sum over them: then it is in nats per image, as the -ELBO.":
        lambda x, a, b: _ratio(x, a, b) / x[0].numel(),
    "You took the mean over the batch. Every image needs its own score, shape (B,).":
        then(_ratio, torch.mean),
    "You summed over the batch too. Every image needs its own score, shape (B,).":
        then(_ratio, torch.sum),
    "You took the mean over pixels and batch, one number in all. Sum over pixels, and keep one "
    "score for each image.":
        lambda x, a, b: _ratio(x, a, b).mean() / x[0].numel(),
    "You return one number for each pixel. Sum over the pixels.":
        lambda x, a, b: (_nats(x, a) - _nats(x, b)).view_as(x),
    "You return one number for each pixel, flat. Sum over axis 1.":
        lambda x, a, b: _nats(x, a) - _nats(x, b),
    "This is -log p(x) alone. Add log p_background(x).":
        lambda x, a, b: -_log_p(x, a),
    "This is log p(x) alone, and higher for more normal images.":
        lambda x, a, b: _log_p(x, a),
    "This is the background model alone.":
        lambda x, a, b: _log_p(x, b),
    "This is the background model alone, with its sign flipped.":
        lambda x, a, b: -_log_p(x, b),
    "The two terms are added: -log p(x) - log p_background(x). What both models find strange "
    "must cancel.":
        lambda x, a, b: -_log_p(x, a) - _log_p(x, b),
    "The two log-likelihoods are added. What both models find strange must cancel.":
        lambda x, a, b: _log_p(x, a) + _log_p(x, b),
    "This is the quotient of the two log-likelihoods. The logarithm of a ratio is a difference "
    "of logarithms.":
        lambda x, a, b: _log_p(x, b) / _log_p(x, a),
    "This is the quotient of the two log-likelihoods, p above. The logarithm of a ratio is a "
    "difference of logarithms.":
        lambda x, a, b: _log_p(x, a) / _log_p(x, b),
    "This is the ratio itself. Take its logarithm: over 784 pixels the ratio overflows.":
        lambda x, a, b: _ratio(x, a, b).exp(),
    "The difference has lost its sign. An image that fits the model better than the background "
    "has a negative score.":
        then(_ratio, torch.abs),
    "Negative scores are cut off at 0. An image that fits the model better than the background "
    "has a negative score, and these must be told apart, too.":
        then(_ratio, torch.relu),
    "The sigmoid is applied twice: the function with logits has one inside.":
        lambda x, a, b: _ratio(x, a.sigmoid(), b.sigmoid()),
    "The logits are subtracted, whatever the pixels are. Each pixel asks for the probability of "
    "its own value.":
        lambda x, a, b: (b - a).flatten(1).sum(1),
    "Only white pixels count. A black one has a probability as well, 1 - p: both terms of the "
    "Bernoulli log-likelihood are needed.":
        lambda x, a, b: (x * (F.logsigmoid(b) - F.logsigmoid(a))).flatten(1).sum(1),
    "Only black pixels count. Both terms of the Bernoulli log-likelihood are needed.":
        lambda x, a, b: (
            (1 - x) * (F.logsigmoid(-b) - F.logsigmoid(-a))
        ).flatten(1).sum(1),
    "This is the difference of the squared errors. Use the log-likelihoods: the pixels are "
    "Bernoulli.":
        lambda x, a, b: (
            (a.sigmoid() - x) ** 2 - (b.sigmoid() - x) ** 2
        ).flatten(1).sum(1),
    "This is in bits. Stay with nats, as everywhere in this course.":
        lambda x, a, b: _ratio(x, a, b) / math.log(2),
    "The sum runs over one axis only. Flatten to (B, D) first.":
        lambda x, a, b: (_nats(x, a) - _nats(x, b)).view_as(x).sum(1),
}
# fmt: on

ratio_score = declare(
    "07.6 ratio_score",
    "random bits and models, sure logits, one image and many: sign, sums and shape.",
    Part(
        right=_ratio,
        cases=lambda: [
            _first_bits(),
            *[_bits(2 + i % 4, 1 + i % 3, 3, 4 + i % 2) for i in range(9)],
        ],
        edges=lambda: {
            "one image in the batch": _bits(1),
            "one image of one pixel": _bits(1, 1, 1, 1),
            "three channels": _bits(3, 3),
            "128 images": _bits(128),
            "sure logits of 60 for black pixels (log of a probability that was rounded to 0 or "
            "1, or clamped?)": _sure_bits(60.0, 0.0),
            "sure logits of -60 for white pixels (log of a probability that was rounded to 0 "
            "or 1, or clamped?)": _sure_bits(-60.0, 1.0),
            "two models that agree (0)": (
                _bits(3)[0],
                *[torch.full((3, 1, 3, 4), 0.5)] * 2,
            ),
        },
        wrong=RATIO_MISTAKES | {SQUEEZED: then(_ratio, torch.squeeze)},
    ),
)
