"""Right and wrong answers to the exercises of lesson 07."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

from vae_helpers import anomaly, distributions
from vae_helpers.checks import lesson07 as check


def with_loops(normal, strange):
    points = 0.0
    for s in strange.tolist():
        for n in normal.tolist():
            points += 1.0 if s > n else 0.5 if s == n else 0.0
    return points / (len(normal) * len(strange))


def with_signs(normal, strange):
    return 0.5 + 0.5 * torch.sign(strange[None] - normal[:, None]).mean()


def with_ranks(normal, strange):
    values = torch.cat([normal, strange])
    below = (values[:, None] > values[None]).sum(1)
    equal = (values[:, None] == values[None]).sum(1)
    ranks = below + (equal + 1) / 2
    m, n = len(strange), len(normal)
    return (ranks[n:].sum() - m * (m + 1) / 2) / (m * n)


def with_library(normal, strange):
    labels = np.repeat([0, 1], [len(normal), len(strange)])
    return roc_auc_score(labels, torch.cat([normal, strange]).numpy())


def pair_table(normal, strange):
    rows = [[float(s > n) + 0.5 * float(s == n) for n in normal] for s in strange]
    return torch.tensor(rows)


def scores_helpers(x, mu, logvar, eps, decode):
    error = (torch.sigmoid(decode(mu)) - x).pow(2).sum((1, 2, 3))
    z = distributions.reparameterize(mu, logvar, eps)
    log_p = distributions.bernoulli_log_likelihood(x, decode(z))
    return error, distributions.kl_to_standard_normal(mu, logvar) - log_p


def scores_rows(x, mu, logvar, eps, decode):
    first, second = [], []
    for i in range(len(x)):
        one = slice(i, i + 1)
        picture = decode(mu[one]).sigmoid()
        first.append(((picture - x[one]) ** 2).sum())
        z = mu[one] + logvar[one].exp().sqrt() * eps[one]
        logits = decode(z)
        nats = (F.softplus(logits) - x[one] * logits).sum()
        kl = -0.5 * (1 + logvar[one] - mu[one] ** 2 - logvar[one].exp()).sum()
        second.append(nats + kl)
    return [torch.stack(first), torch.stack(second)]


def error_as(change):
    """The first score changed; the second one right."""

    def answer(x, mu, logvar, eps, decode):
        error, elbo = scores_helpers(x, mu, logvar, eps, decode)
        return change(error, x, mu, logvar, eps, decode), elbo

    return answer


def elbo_as(change):
    """The second score made anew from nats per pixel (B, D) and the KL per latent."""

    def answer(x, mu, logvar, eps, decode, code=None):
        error, _ = scores_helpers(x, mu, logvar, eps, decode)
        z = mu + torch.exp(0.5 * logvar) * eps
        bce = F.binary_cross_entropy_with_logits
        nats = bce(decode(z), x, reduction="none").flatten(1)
        kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
        return error, change(nats, kl)

    return answer


def elbo_with_code(make):
    def answer(x, mu, logvar, eps, decode):
        error, _ = scores_helpers(x, mu, logvar, eps, decode)
        kl = distributions.kl_to_standard_normal(mu, logvar)
        log_p = distributions.bernoulli_log_likelihood(x, decode(make(mu, logvar, eps)))
        return error, kl - log_p

    return answer


def own_noise(x, mu, logvar, eps, decode):
    return scores_helpers(x, mu, logvar, torch.randn_like(mu), decode)


def double_sigmoid(x, mu, logvar, eps, decode):
    error, _ = scores_helpers(x, mu, logvar, eps, decode)
    return error, scores_helpers(x, mu, logvar, eps, lambda z: decode(z).sigmoid())[1]


def by_hand_nats(x, mu, logvar, eps, decode):
    error, _ = scores_helpers(x, mu, logvar, eps, decode)
    p = decode(mu + torch.exp(0.5 * logvar) * eps).sigmoid()
    nats = -(x * p.log() + (1 - x) * (1 - p).log()).sum((1, 2, 3))
    return error, nats + distributions.kl_to_standard_normal(mu, logvar)


def threshold_quantile(validation, test, strange, rate):
    return torch.quantile(validation, 1 - rate)


def threshold_numpy(validation, test, strange, rate):
    return float(np.percentile(validation.numpy(), 100 * (1 - rate), method="higher"))


def threshold_topk(validation, test, strange, rate):
    k = max(1, int(rate * len(validation)))
    return validation.topk(k).values[-1]


def threshold_helper(validation, test, strange, rate):
    scores = anomaly.Scores(validation, anomaly.NORMAL_VALIDATION)
    return anomaly.choose_threshold(scores, rate)


def threshold_best_f1(validation, test, strange, rate):
    order = test.argsort(descending=True)
    hits = strange[order].cumsum(0)  # among the 1, 2, 3, ... highest scores
    f1 = 2 * hits / (torch.arange(1, len(test) + 1) + strange.sum())
    return test[order][f1.argmax() + 1]


def with_two_ifs(normal, strange):
    points = 0.0
    for s in strange.tolist():
        for n in normal.tolist():
            if s > n:
                points += 1
            if s >= n:
                points += 0.5
    return points / (len(normal) * len(strange))


def with_zip(normal, strange):
    pairs = list(zip(normal.tolist(), strange.tolist()))  # noqa: B905
    return sum(float(s > n) + 0.5 * float(s == n) for n, s in pairs) / len(pairs)


def returns_in_the_loop(normal, strange):
    for s in strange.tolist():
        for n in normal.tolist():
            return (1.0 if s > n else 0.5 if s == n else 0.0) / (
                len(normal) * len(strange)
            )


def threshold_unsorted(validation, test, strange, rate):
    place = int(np.ceil((len(validation) + 1) * (1 - rate)))
    return validation[min(place, len(validation)) - 1]


def precision_by_counting(share, found, false_alarms):
    strange, normal = 10_000 * share, 10_000 * (1 - share)
    alarms = strange * found + normal * false_alarms
    return strange * found / alarms


def precision_by_odds(share, found, false_alarms):
    return 1 / (1 + (1 - share) / share * false_alarms / found)


def precision_by_tensors(share, found, false_alarms):
    share, found, false = map(torch.as_tensor, (share, found, false_alarms))
    return torch.mul(share, found) / (share * found + false - share * false)


def precision_single(share, found, false_alarms):
    return (
        float(share) * float(found) / float(share * found + (1 - share) * false_alarms)
    )


def ratio_by_torch(x, logits, background_logits):
    bce = F.binary_cross_entropy_with_logits
    ours = bce(logits, x, reduction="none").sum((1, 2, 3))
    return ours - bce(background_logits, x, reduction="none").sum((1, 2, 3))


def ratio_by_distribution(x, logits, background_logits):
    ours = torch.distributions.Bernoulli(logits=logits).log_prob(x)
    behind = torch.distributions.Bernoulli(logits=background_logits).log_prob(x)
    return (behind - ours).flatten(1).sum(1)


def ratio_in_a_loop(x, logits, background_logits):
    rows = zip(x, logits, background_logits, strict=True)
    return torch.stack(
        [(F.softplus(a) - F.softplus(b) + y * (b - a)).sum() for y, a, b in rows]
    )


def ratio_by_probabilities(x, logits, background_logits):
    p, q = logits.sigmoid(), background_logits.sigmoid()
    ours = x * p.log() + (1 - x) * (1 - p).log()
    behind = x * q.log() + (1 - x) * (1 - q).log()
    return (behind - ours).flatten(1).sum(1)


def ratio_as(change):
    return (lambda x, a, b: change(ratio_by_torch(x, a, b)),)


EXERCISES = {
    "07.1": {
        "check": check.auroc_by_hand,
        "right": [(with_loops,), (with_signs,), (with_ranks,)],
        "wrong": [
            (
                (lambda n, s: (s[:, None] > n).double().mean(),),
                "Ties count 0",
            ),
            ((lambda n, s: with_loops(s, n),), "are swapped"),
            ((pair_table,), "mean over all of them"),
            (
                (lambda n, s: with_loops(n, s) * len(s) * len(n) / (len(n) + len(s)),),
                "divide by N + M",
            ),
            ((lambda n, s: s.mean() - n.mean(),), "difference of the means"),
            ((lambda n, s: None,), "returned None"),
            ((with_library,), "calls `roc_auc_score`"),
            ((lambda n, s: with_loops(n.long(), s.long()),), "none of the usual"),
            ((with_two_ifs,), "`elif a == b`"),
            ((with_zip,), "one loop inside the other"),
            ((returns_in_the_loop,), "`return` stands inside a loop"),
            ((lambda n, s: with_loops(n, s) * len(s),), "divide by N alone"),
            ((lambda n, s: with_loops(n, s) * len(n),), "divide by M alone"),
        ],
    },
    "07.2": {
        "check": check.two_scores,
        "right": [(scores_helpers,), (scores_rows,)],
        "wrong": [
            ((by_hand_nats,), "inf or NaN"),
            ((error_as(lambda e, *a: -e),), "squared error has the wrong sign"),
            (
                (
                    error_as(
                        lambda e, x, mu, lv, eps, d: F.mse_loss(d(mu).sigmoid(), x)
                    ),
                ),
                "one number in all",
            ),
            ((elbo_with_code(lambda mu, lv, eps: mu),), "with the mean code"),
            (
                (elbo_as(lambda n, k: n.sum(1) + k.sum(1).mean()),),
                "each image must pay its own",
            ),
            ((double_sigmoid,), "sigmoid is applied twice"),
            ((own_noise,), "draw noise of your own"),
            ((lambda *a: scores_helpers(*a)[0],), "Return two things"),
        ],
    },
    "07.3": {
        "check": check.alarm_threshold,
        "right": [
            (threshold_quantile,),
            (threshold_numpy,),
            (threshold_topk,),
            (threshold_helper,),
        ],
        "wrong": [
            ((lambda v, t, s, r: float("nan"),), "no finite number"),
            (
                (lambda v, t, s, r: torch.cat([v, t]).quantile(1 - r),),
                "validation and test scores together",
            ),
            ((threshold_best_f1,), "best F1"),
            ((lambda v, t, s, r: v.mean() + 2 * v.std(),), "plus two standard"),
            ((lambda v, t, s, r: v > v.quantile(1 - r),), "Return one number"),
            ((lambda v, t, s, r: v.mean() + 1.645 * v.std(),), "1.64 standard"),
            ((threshold_unsorted,), "not sorted"),
            (
                (lambda v, t, s, r: v.min() + (1 - r) * (v.max() - v.min()),),
                "share 1 - rate of the way",
            ),
        ],
    },
    "07.4": {
        "check": check.protocol_order,
        "right": [
            (lambda: "DFCEAGB",),
            (lambda: "fcedagb",),
            (lambda: list("FDCEAGB"),),
            (lambda: "F, C, D, E, A, G, B",),
        ],
        "wrong": [
            ((lambda: "CFDEAGB",), "trained before the normal images are split"),
            (
                (lambda: "FCEADGB",),
                "before the score and the false-alarm rate are fixed",
            ),
            ((lambda: "FCEDGAB",), "right by construction"),
            ((lambda: "FCGEDAB",), "could still be picked"),
            ((lambda: "FCEDABG",), "before the test images are scored"),
            ((lambda: "FECDAGB",), "not trained yet"),
            ((lambda: "FCEDAG",), "Missing: B"),
            ((lambda: "FCEDAGBG",), "twice: G"),
            ((lambda: "1234567",), "letters from A to G"),
        ],
    },
    "07.5": {
        "check": check.precision_at,
        "right": [
            (precision_by_counting,),
            (precision_by_tensors,),
        ],
        "wrong": [
            ((lambda p, r, f: r / (r + f),), "half of the images are strange"),
            ((lambda p, r, f: p * r / (p * r + f),), "Multiply it by 1 - share"),
            ((lambda p, r, f: r / (r + (1 - p) * f),), "Multiply it by the share"),
            (
                (lambda p, r, f: precision_by_counting(p / 100, r, f),),
                "divided by 100",
            ),
            ((lambda p, r, f: 100 * precision_by_counting(p, r, f),), "in per cent"),
            ((lambda p, r, f: p * r + (1 - p) * (1 - f),), "accuracy"),
            ((lambda p, r, f: 1 - precision_by_counting(p, r, f),), "that are false"),
            ((precision_single,), "arrays do not"),
            ((precision_by_odds,), "nothing found (0)"),
        ],
    },
    "07.6": {
        "check": check.ratio_score,
        "right": [(ratio_by_torch,), (ratio_by_distribution,), (ratio_in_a_loop,)],
        "wrong": [
            (ratio_as(torch.neg), "sign is flipped"),
            (ratio_as(torch.mean), "mean over the batch"),
            ((lambda x, a, b: ratio_by_torch(x, a, b) / x[0].numel(),), "over pixels"),
            (ratio_as(torch.abs), "lost its sign"),
            (ratio_as(torch.exp), "the ratio itself"),
            ((ratio_by_probabilities,), "sure logits of 60"),
            (
                (lambda x, a, b: ratio_by_torch(x, a.sigmoid(), b.sigmoid()),),
                "applied twice",
            ),
            (
                (lambda x, a, b: distributions.bernoulli_log_likelihood(x, a),),
                "log p(x) alone",
            ),
        ],
    },
}
