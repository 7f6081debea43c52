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


STEPS = {1: "schedule", 2: "go on", 3: "KL off", 4: "KL on"}


def sick():
    return dict(SICK)


def step(**change):
    """The right diagnosis with some other steps: step(p1="warm-up")."""
    other = {int(key[1]): value for key, value in change.items()}
    return sick, lambda: STEPS | other


def translated(weight, x_shape, mu_shape, pixels, latents):
    d, z = np.prod(x_shape[1:]), mu_shape[-1]
    beta = weight * (d if pixels == "mean" else 1) / (z if latents == "mean" else 1)
    return beta, beta * z / d


def translated_steps(weight, x_shape, mu_shape, pixels, latents):
    _, colours, height, width = x_shape
    size = colours * height * width
    beta = norm = weight
    if latents == "mean":
        beta = beta / mu_shape[1]
    else:
        norm = norm * mu_shape[1]
    if pixels == "mean":
        beta = beta * size
    else:
        norm = norm / size
    return [beta, norm]


def translated_terms(weight, x_shape, mu_shape, pixels, latents):
    """Measured on terms that are all 1: what a nat of each counts."""
    d, z = torch.ones(x_shape[1:]), torch.ones(mu_shape[1:])
    d_part = getattr(d, pixels)() / d.sum()
    r_part = weight * getattr(z, latents)() / z.sum()
    beta = r_part / d_part
    return torch.stack([beta, beta * z.numel() / d.numel()]).unbind()


def translated_first(w, x, m, pixels, latents):
    d, z = math.prod(x[1:]), m[1]
    if pixels == "mean":
        return w * d, w * z
    if latents == "mean":
        return w / z, w / d
    return w, w * z / d


def sized(d_of, z_of):
    """A right rule with other sizes of a picture or of a code."""

    def answer(w, x, m, pixels, latents):
        return translated(w, (1, d_of(x)), (1, z_of(m)), pixels, latents)

    return answer


def picture(x):
    return math.prod(x[1:])


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
            step(),
            (
                lambda: {str(k): v.upper() for k, v in SICK.items()},
                lambda: {str(k): v.lower() for k, v in STEPS.items()},
            ),
        ],
        "wrong": [
            (
                (lambda: SICK | {1: "healthy"}, STEPS.copy),
                "distortion plus rate is 190",
            ),
            ((lambda: SICK | {1: "lost latents"}, STEPS.copy), "pay nothing"),
            ((lambda: SICK | {2: "no price"}, STEPS.copy), "no reason to save"),
            ((lambda: SICK | {3: "free bits"}, STEPS.copy), "0 latents pay. With"),
            ((lambda: SICK | {4: "healthy"}, STEPS.copy), "worse than the 200"),
            ((lambda: SICK | {2: "no price", 4: "healthy"}, STEPS.copy), "Patient 2"),
            ((lambda: {v: k for k, v in SICK.items()}, STEPS.copy), "other way round"),
            ((lambda: list(SICK.values()), STEPS.copy), "a dictionary"),
            ((lambda: {1: "free bits", 2: "healthy"}, STEPS.copy), "four keys"),
            ((lambda: SICK | {3: "posterior collapse"}, STEPS.copy), "table of states"),
            ((lambda: None, STEPS.copy), "return"),
            ((STEPS.copy, SICK.copy), "These are steps"),
            (step(p1="warm-up"), "leaves the free nats free"),
            (step(p1="free bits"), "they are in use"),
            (step(p1="go on"), "rightly `free bits`, but `go on`"),
            (step(p2="schedule"), "nothing here is to be cured"),
            (step(p3="schedule"), "An examination that takes a moment"),
            (step(p3="KL on"), "too strong"),
            (step(p3="free bits"), "why they were empty"),
            (step(p4="KL off"), "off already"),
            (step(p4="warm-up"), "stays 0"),
            (step(p4="go on"), "nobody can draw"),
            ((sick, sick), "the states again"),
            ((sick, lambda: {1: "schedule"}), "four keys"),
            (step(p3="pray"), "table of steps"),
            ((sick, lambda: {v: k for k, v in STEPS.items()}), "other way round"),
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
        "check": check.translate_beta,
        "right": [(translated,), (translated_steps,), (translated_terms,)],
        "wrong": [
            ((lambda w, x, m, p, q: (w, w * m[1] / picture(x)),), "whatever the means"),
            (
                (lambda w, x, m, p, q: (w * picture(x) / m[1], w),),
                "two means. Look",
            ),
            (
                (
                    lambda w, x, m, p, q: translated(
                        w, x, m, *("sum" if r == "mean" else "mean" for r in (p, q))
                    ),
                ),
                "are swapped: a factor",
            ),
            ((lambda w, x, m, p, q: translated(w, x, m, q, p),), "mixed up"),
            ((sized(lambda x: math.prod(x), lambda m: m[1]),), "in D. It is"),
            ((sized(math.prod, math.prod),), "in D and in Z"),
            ((sized(picture, lambda m: m[0]),), "batch size for Z"),
            ((sized(lambda x: x[-1] * x[-2], lambda m: m[1]),), "colours"),
            (
                (
                    lambda w, x, m, p, q: translated(
                        w, (1, m[1]), (1, picture(x)), p, q
                    ),
                ),
                "D and Z are swapped",
            ),
            ((translated_first,), "that over pixels counts"),
            ((with_(translated, lambda r: r[0]),), "Two are needed"),
            ((with_(translated, lambda r: r[::-1]),), "wrong order"),
            (
                (
                    lambda w, x, *a: (
                        b := translated(w, x, *a)[0],
                        b * picture(x) / a[0][1],
                    ),
                ),
                "upside down",
            ),
            (
                (lambda w, x, *a: (translated(w, x, *a)[0], w * a[0][1] / picture(x)),),
                "computed from the weight",
            ),
            ((with_(translated, lambda r: (r[0], r[0])),), "same number again"),
            (
                (lambda w, x, *a: tuple(v / x[0] for v in translated(w, x, *a)),),
                "divided by the batch size",
            ),
            ((lambda w, *a: translated(w or 1, *a),), "weight 0"),
            ((lambda w, *a: translated(1, *a),), "itself is missing"),
            ((with_(translated, lambda r: (r[0] ** 2, r[1])),), "none of the usual"),
            ((with_(translated, lambda r: tuple(v // 1 for v in r)),), "whole numbers"),
            ((with_(translated, lambda r: {"beta": r[0]}),), "a dictionary"),
        ],
    },
}
