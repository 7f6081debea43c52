"""Right answers to the exercises of lesson 05, and mistakes written otherwise."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import mutual_info_score
from torch.distributions import Bernoulli, Normal, kl_divergence

from vae_helpers.checks import lesson05 as check


def loss_sums(x, logits, mu, logvar, beta):
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (rec + beta * kl) / len(x)


def loss_distributions(x, logits, mu, logvar, beta):
    q = Normal(mu, torch.exp(0.5 * logvar))
    kl = kl_divergence(q, Normal(torch.zeros_like(mu), torch.ones_like(mu))).sum(1)
    likelihood = Bernoulli(logits=logits, validate_args=False).log_prob(x)
    return torch.mean(kl * beta - likelihood.sum((1, 2, 3)))


def loss_softplus(x, logits, mu, logvar, beta):
    nats = F.softplus(logits) - x.detach() * logits
    kl = (mu.square() + logvar.exp() - logvar).sum(-1) - mu.size(-1)
    return nats.view(len(x), -1).sum(-1).mean() + beta / 2 * kl.mean()


def loss_with_probabilities(x, logits, mu, logvar, beta):
    p = logits.sigmoid().clamp(1e-7, 1 - 1e-7)
    nats = -(x * p.log() + (1 - x) * (1 - p).log()).sum((1, 2, 3))
    return (
        nats.mean()
        + beta * loss_sums(x, logits, mu, logvar, 1.0) * 0
        + beta * (0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1).mean())
    )


def loss_item(x, logits, mu, logvar, beta):
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    return rec + beta * (loss_sums(x, logits, mu, logvar, 1.0) - rec).item()


def active_hand(mu, logvar, threshold):
    centred = mu - mu.mean(dim=0, keepdim=True)
    return (centred.pow(2).mean(dim=0) > threshold).eq(1)


def active_numpy(mu, logvar, threshold):
    return torch.tensor(np.var(mu.numpy(), axis=0) > threshold)


def active_loop(mu, logvar, threshold):
    return torch.stack([column.var() > threshold for column in mu.T])


def weight_if(step, epoch_steps, warmup_epochs, beta):
    end = warmup_epochs * epoch_steps
    if step >= end:
        return torch.tensor(beta)
    return torch.tensor(step / end * beta)


def weight_interp(step, epoch_steps, warmup_epochs, beta):
    return np.interp(step, [0, epoch_steps * warmup_epochs], [0, beta])


def weight_linspace(step, epoch_steps, warmup_epochs, beta):
    rise = torch.linspace(0, beta, epoch_steps * warmup_epochs)
    return rise[min(step, len(rise) - 1)]


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
    return np.array([[mutual_info_score(v, b) for v in factors.T] for b in bins.T])


def entropy(factors):
    return np.array([mutual_info_score(v, v) for v in factors.T])


def gap_numpy(bins, factors):
    ranked = np.sort(table(bins, factors), axis=0)
    return (ranked[-1] - ranked[-2]) / entropy(factors)


def gap_histogram(bins, factors):
    """Ten cells for each axis, which is np.histogram2d's own choice."""

    def nats(a, b):
        joint = np.histogram2d(a, b)[0] / len(a)
        apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
        return (joint[joint > 0] * np.log(joint[joint > 0] / apart[joint > 0])).sum()

    rows = [sorted(nats(f, b) for b in bins.T) for f in factors.T]
    return [(r[-1] - r[-2]) / nats(f, f) for r, f in zip(rows, factors.T, strict=True)]


def gap_smaller(bins, factors):
    gaps = []
    for column, h in zip(table(bins, factors).T, entropy(factors), strict=True):
        best = max(column)
        gaps.append((best - max([s for s in column if s < best] or [best])) / h)
    return gaps


def with_(function, change):
    return lambda *arguments: change(function(*arguments))


EXERCISES = {
    "05.1": {
        "check": check.beta_loss,
        "right": [(loss_sums,), (loss_distributions,), (loss_softplus,)],
        "wrong": [
            ((lambda x, o, m, v, b: loss_sums(x, o, m, v, 1),), "never used"),
            (
                (
                    lambda x, o, m, v, b: (
                        b * loss_sums(x, o, m, v, 1 / b) if b else 0 * m
                    ),
                ),
                "on the reconstruction term",
            ),
            ((lambda x, o, m, v, b: loss_sums(x, o, m, v, -b),), "subtracted"),
            (
                (lambda x, o, m, v, b: loss_sums(x, o, m, v, b or 1.0),),
                "like any other",
            ),
            ((lambda x, o, m, v, b: loss_sums(x, o, m, 2 * v, b),), "log sigma^2"),
            (
                (lambda x, o, m, v, b: loss_sums(x, o, m, v.clamp(-10, 10), b),),
                "clamped",
            ),
            ((lambda *a: (loss_sums(*a), 0.0),), "not its parts"),
            ((lambda x, *a: loss_sums(x, *a) / 784,), "none of the usual"),
            ((loss_with_probabilities,), "sure logits"),
            ((loss_item,), "beta has no effect"),
        ],
    },
    "05.2": {
        "check": check.active,
        "right": [(active_hand,), (active_numpy,), (active_loop,)],
        "wrong": [
            ((lambda m, v, t: m.var(1) > t,), "over the latents"),
            ((lambda m, v, t: (m.var(0) > t).int(),), "torch.bool"),
            ((lambda m, v, t: (m.var(0) > t).float(),), "torch.bool"),
            ((lambda m, v, t: m.var(0) > max(t, 0.01),), "threshold of 0.001"),
            ((lambda m, v, t: torch.cov(m.T).diagonal() > t,), "a single latent"),
            ((lambda m, v, t: m[:64].var(0) > t,), "last 20 move"),
            ((lambda m, v, t: m.var(0).sqrt() > t,), "standard deviation"),
            ((lambda m, v, t: ~(m.var(0) < t),), "`>`, not `>=`"),
            ((lambda m, v, t: active_numpy(m, v, t).numpy(),), "a NumPy array"),
            ((lambda m, v, t: active_numpy(m, v, t).tolist(),), "`torch.tensor(...)`"),
        ],
    },
    "05.3": {
        "check": check.kl_weight,
        "right": [
            (weight_if,),
            (weight_interp,),
            (lambda s, e, w, b: b * min(s / e / w, 1),),
        ],
        "wrong": [
            ((weight_linspace,), "one step early"),
            ((lambda s, e, w, b: (b or 1.0) * min(1, s / (e * w)),), "beta = 0"),
            ((lambda s, e, w, b: b / (1 + math.exp(5 - 10 * s / (e * w))),), "usual"),
            ((lambda s, e, w, b: min(b, b * (s // e) / w),), "stands still"),
            ((lambda s, e, w, b: b * (s % (e * w)) / (e * w),), "a cycle"),
            (
                (
                    lambda s, e, w, b: (
                        b * math.sin(math.pi / 2 * min(1, s / e / w)) ** 2
                    ),
                ),
                "half a cosine",
            ),
        ],
    },
    "05.4": {
        "check": check.information_gap,
        "right": [(gap_loop,), (gap_counts,), (gap_numpy,)],
        "wrong": [
            ((lambda b, f: table(b, f).max(0) / entropy(f),), "alone"),
            ((lambda b, f: gap_numpy(b, f) * entropy(f),), "in nats:"),
            ((with_(gap_numpy, lambda r: r / np.log2(np.e)),), "entropy is in bits"),
            (
                (lambda b, f: gap_numpy(b, f) * entropy(f) / table(b, f).max(0),),
                "hardly",
            ),
            ((with_(gap_numpy, np.mean),), "one gap for each"),
            ((gap_histogram,), "20 bins"),
            ((gap_smaller,), "equally good latents"),
        ],
    },
}
