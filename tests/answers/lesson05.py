"""Right and wrong answers to the exercises of lesson 05."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import mutual_info_score
from torch.distributions import Normal, kl_divergence

from vae_helpers.checks import lesson05 as check


def loss_sums(x, logits, mu, logvar, beta):
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (rec + beta * kl) / len(x)


def loss_distributions(x, logits, mu, logvar, beta):
    q = Normal(mu, torch.exp(0.5 * logvar))
    kl = kl_divergence(q, Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(1)
    p = logits.sigmoid().clamp(1e-7, 1 - 1e-7)
    rec = -(x * p.log() + (1 - x) * (1 - p).log()).sum((1, 2, 3))
    return torch.mean(rec + kl * beta)


def terms(x, logits, mu, logvar):
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    return rec, 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1).mean()


def combined(combine):
    return lambda x, o, m, v, b: combine(*terms(x, o, m, v), b)


def pixel_mean(x, o, m, v, b):
    return F.binary_cross_entropy_with_logits(o, x) + b * terms(x, o, m, v)[1]


def latent_mean(x, o, m, v, b):
    rec, kl = terms(x, o, m, v)
    return rec + b * kl / m.shape[1]


def both_means(x, o, m, v, b):
    kl = 0.5 * (m**2 + v.exp() - 1 - v).mean()
    return F.binary_cross_entropy_with_logits(o, x) + b * kl


def active_var(mu, logvar, threshold):
    return mu.var(0) > threshold


def active_hand(mu, logvar, threshold):
    centred = mu - mu.mean(dim=0, keepdim=True)
    return (centred.pow(2).mean(dim=0) > threshold).int()


def active_numpy(mu, logvar, threshold):
    return torch.tensor(np.var(mu.numpy(), axis=0) > threshold)


def weight_min(step, epoch_steps, warmup_epochs, beta):
    return beta * min(step / epoch_steps / warmup_epochs, 1)


def weight_if(step, epoch_steps, warmup_epochs, beta):
    end = warmup_epochs * epoch_steps
    if step >= end:
        return torch.tensor(beta)
    return torch.tensor(step / end * beta)


def gap_loop(bins, factors):
    gaps = []
    for k in range(factors.shape[1]):
        v = factors[:, k]
        scores = [mutual_info_score(v, bins[:, j]) for j in range(bins.shape[1])]
        best = max(scores)
        scores.remove(best)
        gaps.append((best - max(scores)) / mutual_info_score(v, v))
    return gaps


def gap_counts(bins, factors):
    gaps = []
    for v in factors.T.tolist():
        p = torch.bincount(torch.tensor(v)).double() / len(v)
        entropy = -torch.xlogy(p, p).sum()
        scores = torch.tensor([mutual_info_score(v, b) for b in bins.T.tolist()])
        low, high = scores.sort().values[-2:]
        gaps.append((high - low) / entropy)
    return torch.stack(gaps)


def table(bins, factors):
    rows = [[mutual_info_score(v, b) for v in factors.T] for b in bins.T]
    return torch.tensor(rows)


def entropy(factors):
    return torch.tensor([mutual_info_score(v, v) for v in factors.T])


def gap_as(combine):
    return lambda bins, factors: combine(table(bins, factors), entropy(factors))


def gap_with_best_twice(bins, factors):
    t = table(bins, factors)
    return (t.max(0).values - t.sort(0).values[-1]) / entropy(factors)


def gap_uniform(bins, factors):
    first, second = table(bins, factors).topk(2, 0).values
    return (first - second) / factors.max(0).values.add(1).log()


def step_of(rule):
    return lambda step, epoch_steps, warmup_epochs, beta: rule(
        step, epoch_steps, warmup_epochs, beta
    )


EXERCISES = {
    "05.1": {
        "check": check.beta_loss,
        "right": [(loss_sums,), (loss_distributions,)],
        "wrong": [
            ((combined(lambda r, k, b: r + k),), "never used"),
            ((combined(lambda r, k, b: b * r + k),), "on the reconstruction term"),
            ((combined(lambda r, k, b: b * (r + k)),), "multiplies both"),
            ((combined(lambda r, k, b: r + k / b),), "divided by beta"),
            ((combined(lambda r, k, b: r - b * k),), "subtracted"),
            ((combined(lambda r, k, b: r + 2 * b * k),), "one half"),
            ((combined(lambda r, k, b: r),), "KL is missing"),
            ((combined(lambda r, k, b: (1 - b) * r + b * k),), "1 - beta"),
            ((combined(lambda r, k, b: r + b * k.item()),), "beta has no effect"),
            ((combined(lambda r, k, b: (r, b * k)),), "not its parts"),
            ((latent_mean,), "divided by Z"),
            ((pixel_mean,), "multiplied by D"),
            ((both_means,), "beta * D / Z"),
            ((lambda *a: loss_sums(*a) * len(a[0]),), "summed over the batch"),
            ((lambda *a: loss_sums(*a).detach(),), "The loss carries no gradient"),
        ],
    },
    "05.2": {
        "check": check.active,
        "right": [(active_var,), (active_hand,), (active_numpy,)],
        "wrong": [
            ((lambda m, v, t: m.var(1) > t,), "over the latents"),
            ((lambda m, v, t: (m.var(0) > t).sum(),), "how many"),
            ((lambda m, v, t: m.var(0, correction=0),), "Compare them"),
            ((lambda m, v, t: m.var(0) < t,), "swapped"),
            ((lambda m, v, t: m.std(0) > t,), "standard deviation"),
            ((lambda m, v, t: m.pow(2).mean(0) > t,), "mean square"),
            ((lambda m, v, t: m.mean(0).abs() > t,), "size of the mean"),
            ((lambda m, v, t: v.exp().mean(0) > t,), "largest one, 1"),
            ((lambda m, v, t: v.var(0) > t,), "variance of logvar"),
            (
                (lambda m, v, t: 0.5 * (m**2 + v.exp() - 1 - v).mean(0) > t,),
                "other thermometer",
            ),
            ((lambda m, v, t: m.var(0) > 0.01,), "always 0.01"),
        ],
    },
    "05.3": {
        "check": check.kl_weight,
        "right": [(weight_min,), (weight_if,)],
        "wrong": [
            ((step_of(lambda s, e, w, b: b * s / (e * w)),), "never stops"),
            ((step_of(lambda s, e, w, b: min(1.0, s / (e * w))),), "for every beta:"),
            ((step_of(lambda s, e, w, b: min(1.0, b * s / (e * w))),), "inside"),
            ((step_of(lambda s, e, w, b: min(b, s / (e * w))),), "cut at beta"),
            ((step_of(lambda s, e, w, b: b * min(1, (s // e) / w)),), "stands still"),
            ((step_of(lambda s, e, w, b: b * min(1, s // (e * w))),), "then jumps"),
            ((step_of(lambda s, e, w, b: b * min(1, s / w)),), "divided by epochs"),
            ((step_of(lambda s, e, w, b: b * min(1, s / e)),), "one epoch"),
            (
                (step_of(lambda s, e, w, b: b * min(s, e * w - 1) / (e * w)),),
                "stops short",
            ),
            (
                (step_of(lambda s, e, w, b: b * (1 - math.exp(-s / e / w))),),
                "exponential",
            ),
            ((step_of(lambda s, e, w, b: b * min(1, (s + 1) / e / w)),), "one step"),
            ((step_of(lambda s, e, w, b: b * max(0, 1 - s / e / w)),), "falls"),
            ((step_of(lambda s, e, w, b: b),), "no warm-up"),
        ],
    },
    "05.4": {
        "check": check.information_gap,
        "right": [(gap_loop,), (gap_counts,)],
        "wrong": [
            (
                (gap_as(lambda t, h: -t.topk(2, 1).values.diff(dim=1)[:, 0] / h),),
                "transposed",
            ),
            ((gap_as(lambda t, h: t.max(0).values / h),), "alone"),
            ((gap_as(lambda t, h: -t.topk(2, 0).values.diff(dim=0)[0]),), "in nats:"),
            (
                (
                    gap_as(
                        lambda t, h: (
                            -t.topk(2, 0).values.diff(dim=0)[0] / (h / math.log(2))
                        )
                    ),
                ),
                "entropy is in bits",
            ),
            ((gap_with_best_twice,), "includes the largest"),
            (
                (gap_as(lambda t, h: t.topk(2, 0).values.diff(dim=0)[0] / h),),
                "negative",
            ),
            (
                (gap_as(lambda t, h: (t.max(0).values - t.min(0).values) / h),),
                "smallest",
            ),
            (
                (gap_as(lambda t, h: (t.max(0).values - t.mean(0)) / h),),
                "mean over latents",
            ),
            (
                (
                    gap_as(
                        lambda t, h: (
                            -t.topk(2, 0).values.diff(dim=0)[0] / t.max(0).values
                        )
                    ),
                ),
                "hardly knows",
            ),
            ((gap_uniform,), "equally frequent"),
            ((lambda b, f: torch.tensor(gap_loop(b, f)).mean(),), "one gap for each"),
        ],
    },
}
