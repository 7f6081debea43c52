"""Right answers to the exercises of lesson 05, and mistakes written otherwise."""

import math

import numpy as np
import torch
from sklearn.metrics import mutual_info_score

from vae_helpers.checks import lesson05 as check


def between(p, q):
    return (p[1] - q[1]) / (q[0] - p[0])


def between_minus(p, q):
    across, up = (b - a for a, b in zip(p, q, strict=True))
    return -up / across


def between_tensors(p, q):
    step = torch.stack(
        [torch.as_tensor(b) - torch.as_tensor(a) for a, b in zip(p, q, strict=True)]
    )
    return -(step[1] / step[0])


def between_one_by_one(p, q):
    """Numbers only: a comparison decides about the order."""
    if p[0] > q[0]:
        p, q = q, p
    return (p[1] - q[1]) / (q[0] - p[0])


def between_spread(p, q):
    return (max(p[1], q[1]) - min(p[1], q[1])) / (max(p[0], q[0]) - min(p[0], q[0]))


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


def gap_of_latent(bins, factors):
    best = table(bins, factors).argmax(0)
    return gap_numpy(bins, factors) * entropy(factors) / entropy(bins)[best]


def gap_unsorted(bins, factors):
    scores = table(bins, factors)
    return (scores[-1] - scores[-2]) / entropy(factors)


def gap_unequal(bins, factors):
    gaps = []
    for s, h in zip(table(bins, factors).T, entropy(factors), strict=True):
        gaps.append((s.max() - s[s != s.max()].max()) / h)
    return gaps


SICK = {1: "free bits", 2: "healthy", 3: "collapsed", 4: "no price"}


def translated(weight, pixels, latents, pixel_mean, latent_mean):
    return weight * (pixels if pixel_mean else 1) / (latents if latent_mean else 1)


def translated_steps(weight, pixels, latents, pixel_mean, latent_mean):
    beta = weight
    if latent_mean:
        beta = beta / latents
    if pixel_mean:
        beta = beta * pixels
    return beta


def translated_powers(weight, pixels, latents, pixel_mean, latent_mean):
    return weight * pixels**pixel_mean * latents ** (-int(latent_mean))


def translated_first(weight, pixels, latents, pixel_mean, latent_mean):
    if pixel_mean:
        return weight * pixels
    if latent_mean:
        return weight / latents
    return weight


def translated_norm(weight, pixels, latents, *means):
    return translated(weight, pixels, latents, *means) * latents / pixels


def with_(function, change):
    return lambda *arguments: change(function(*arguments))


EXERCISES = {
    "05.1": {
        "check": check.beta_between,
        "right": [(between,), (between_minus,), (between_tensors,)],
        "wrong": [
            ((lambda p, q: -between(p, q),), "minus the slope"),
            ((lambda p, q: 1 / between(p, q),), "upside down: nats"),
            ((lambda p, q: -1 / between(p, q),), "its sign too"),
            ((lambda p, q: abs(between(p, q)),), "sign is lost"),
            ((between_spread,), "sign is lost"),
            ((lambda p, q: (q[1] - p[1]) // (p[0] - q[0]),), "whole number"),
            ((lambda p, q: sum(p) - sum(q),), "two -ELBOs"),
            ((lambda p, q: p[1] / p[0],), "single point"),
            ((lambda p, q: max(0.0, float(between(p, q))),), "became 0"),
            ((between_one_by_one,), "five models at once"),
            ((lambda p, q: between((p[1], p[0]), (q[1], q[0])),), "upside down: nats"),
            ((lambda p, q: (p[1] - q[1]) / abs(p[0] - q[0]),), "changes the sign"),
            ((lambda p, q: p[1] - q[1] / q[0] - p[0],), "Brackets"),
            ((lambda p, q: [between(p, q)],), "a number is needed"),
        ],
    },
    "05.2": {
        "check": check.active,
        "right": [(active_hand,), (active_numpy,), (active_loop,)],
        "wrong": [
            ((lambda m, v, t: m.var(1) > t,), "over the latents"),
            ((lambda m, v, t: m.var(0),), "These are the variances"),
            ((lambda m, v, t: [c.var() > t for c in m.T],), "a list of tensors"),
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
            ((lambda s, e, w, b: b * min(1, s / (e / w)),), "quotient"),
            ((lambda s, e, w, b: b * min(1, s / (w / e)),), "*and* by"),
            ((lambda s, e, w, b: 1 if s >= e * w else b * s / e / w,), "weight is 1"),
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
        "check": check.diagnose,
        "right": [
            (lambda: dict(SICK),),
            (lambda: {str(k): v.upper() for k, v in SICK.items()},),
        ],
        "wrong": [
            ((lambda: SICK | {1: "healthy"},), "distortion plus rate is 190"),
            ((lambda: SICK | {1: "lost latents"},), "pay nothing"),
            ((lambda: SICK | {2: "no price"},), "no reason to save"),
            ((lambda: SICK | {3: "free bits"},), "0 latents pay. With"),
            ((lambda: SICK | {4: "healthy"},), "worse than the 200"),
            ((lambda: SICK | {2: "no price", 4: "healthy"},), "Patient 2"),
            ((lambda: {v: k for k, v in SICK.items()},), "other way round"),
            ((lambda: list(SICK.values()),), "a dictionary"),
            ((lambda: {1: "free bits", 2: "healthy"},), "four keys"),
            ((lambda: SICK | {3: "posterior collapse"},), "names are those"),
            ((lambda: None,), "return"),
        ],
    },
    "05.5": {
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
            ((lambda b, f: gap_numpy(f, b),), "over the latents"),
            ((gap_of_latent,), "the best latent"),
            ((gap_unsorted,), "the last two latents"),
            ((gap_unequal,), "equally good latents"),
            ((gap_smaller,), "equally good latents"),
        ],
    },
    "05.6": {
        "check": check.beta_with_sums,
        "right": [(translated,), (translated_steps,), (translated_powers,)],
        "wrong": [
            ((lambda w, d, z, dm, zm: w,), "whatever the means"),
            ((lambda w, d, z, dm, zm: w * d / z,), "two means. Look"),
            ((lambda w, d, z, dm, zm: translated(w, d, z, not dm, not zm),), "swapped"),
            (
                (lambda w, d, z, dm, zm: translated(w, 1 / d, z, dm, zm),),
                "over pixels is",
            ),
            (
                (lambda w, d, z, dm, zm: translated(w, d, 1 / z, dm, zm),),
                "over latents is",
            ),
            (
                (lambda w, d, z, dm, zm: translated(w, z, d, dm, zm),),
                "Pixels and latents",
            ),
            ((translated_first,), "that over pixels counts"),
            ((translated_norm,), "beta Z / D"),
            ((lambda w, *a: translated(w or 1, *a),), "weight 0"),
            ((lambda w, *a: translated(1, *a),), "itself is missing"),
            ((lambda w, d, z, dm, zm: (dm * d + zm / z) * w,), "none of the usual"),
            ((lambda *a: translated(*a) // 1,), "whole number"),
        ],
    },
}
