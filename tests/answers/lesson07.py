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
        ],
    },
}
