"""Checks of lesson 03."""

import math
from collections.abc import Callable

import torch

from vae_helpers.checks.core import Part, Symptom, Symptoms, Wrong, call, declare
from vae_helpers.checks.usual import SQUEEZED, kl_each, kl_formulas, reduced, then

LOG_2PI = math.log(2 * math.pi)


def _draw(*shape: int) -> torch.Tensor:
    """Standard normal values in float64, the type of the whole lesson."""
    return torch.randn(shape, dtype=torch.float64)


def _full(value: float, *shape: int) -> torch.Tensor:
    return torch.full(shape, value, dtype=torch.float64)


def _row(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


# 03.1


def _kl(mu, logvar):
    return kl_each(mu, logvar).sum(1)


kl_to_standard_normal = declare(
    "03.1 KL to the standard normal",
    "random batches, one image, one latent, wide and narrow codes: values, sign, sum, shape "
    "and gradients.",
    Part(
        right=_kl,
        cases=lambda: [
            (_row(0.5, 0.0), _row(-1.0, 0.0)),
            *[
                (_draw(2 + i % 4, 2 + i % 5), _draw(2 + i % 4, 2 + i % 5))
                for i in range(10)
            ],
        ],
        edges=lambda: {
            "one image in the batch": (_draw(1, 3), _draw(1, 3)),
            "a single latent": (_draw(4, 1), _draw(4, 1)),
            "one image and one latent": (_draw(1, 1), _draw(1, 1)),
            "codes equal to the prior (their KL is 0)": (
                _full(0, 2, 3),
                _full(0, 2, 3),
            ),
            "very wide codes, logvar = 12 (is something clamped?)": (
                _draw(2, 3),
                _full(12, 2, 3),
            ),
            "very narrow codes, logvar = -25 (is something clamped?)": (
                _draw(2, 3),
                _full(-25, 2, 3),
            ),
            "extremely wide codes, logvar = 60 (is something clamped?)": (
                _draw(2, 3),
                _full(60, 2, 3),
            ),
            "extremely narrow codes, logvar = -60 (is something clamped?)": (
                _draw(2, 3),
                _full(-60, 2, 3),
            ),
            "means far from 0": (40 * _draw(2, 3), _draw(2, 3)),
            "a batch of 128 images with 20 latents": (_draw(128, 20), _draw(128, 20)),
        },
        gradients=("mu", "logvar"),
        wrong=kl_formulas(lambda each: each.sum(1))
        | reduced(
            _kl,
            "The sign is flipped: your values are never above 0, and a KL is never below 0.",
        )
        # fmt: off
        | {
            "This is a mean over the latent dimensions. The log-densities of independent "
            "dimensions add up: take the sum.": lambda mu, lv: kl_each(mu, lv).mean(1),
            "You return one number for each latent dimension. Add them up over axis 1.": kl_each,
            "You summed over the batch axis 0. The latent dimensions are axis 1.": lambda mu, lv: (
                kl_each(mu, lv).sum(0)
            ),
            "The 1 is subtracted once. It belongs inside the sum: once for each dimension.": lambda mu, lv: (
                0.5 * ((mu**2 + lv.exp() - lv).sum(1) - 1)
            ),
            "The KL is divided by the number of images. Return one number for each "
            "example, shape (B,), and leave the mean to the caller.": lambda mu, lv: (
                _kl(mu, lv) / len(mu)
            ),
        },
        # fmt: on
    ),
    dtype=torch.float64,
)


# 03.2


def _choose(value, *, best=min, returned=None, squared=False):
    """A search over all pairs.

    Args:
        value: (z, log_joint, log_q) -> what is compared.
        best: min or max.
        returned: the same form, for the third number; None for what was compared.
        squared: whether sigma is taken as a variance.
    """

    def search(z, log_joint, mus, sigmas):
        found = []
        for mu in mus:
            for sigma in sigmas:
                width = sigma.sqrt() if squared else sigma
                log_q = -0.5 * ((z - mu) / width) ** 2 - width.log() - 0.5 * LOG_2PI
                found.append((value(z, log_joint, log_q), mu, sigma, log_q))
        chosen, mu, sigma, log_q = best(found, key=lambda entry: float(entry[0]))
        if returned is not None:
            chosen = returned(z, log_joint, log_q)
        return mu, sigma, chosen

    return search


def _step(z):
    return z[1] - z[0]


def _log_posterior(z, log_joint):
    return log_joint - (log_joint.exp() * _step(z)).sum().log()


def _gap_of(z, log_joint, log_q):
    return (log_q.exp() * _step(z) * (log_q - _log_posterior(z, log_joint))).sum()


def _bound_of(z, log_joint, log_q):
    return (log_q.exp() * _step(z) * (log_joint - log_q)).sum()


def _other_direction(z, log_joint, log_q):
    log_p = _log_posterior(z, log_joint)
    return (log_p.exp() * _step(z) * (log_p - log_q)).sum()


def _log_evidence(z, log_joint):
    return (log_joint.exp() * _step(z)).sum().log()


_best_guess = _choose(_gap_of)


def _places(z, log_joint, mus, sigmas):
    mu, sigma, gap = _best_guess(z, log_joint, mus, sigmas)
    return (mus == mu).nonzero()[0, 0], (sigmas == sigma).nonzero()[0, 0], gap


def _by_moments(z, log_joint, mus, sigmas):
    weight = _log_posterior(z, log_joint).exp() * _step(z)
    mean = (weight * z).sum()
    width = (weight * (z - mean) ** 2).sum().sqrt()
    mu, sigma = (
        values[(values - wish).abs().argmin()]
        for values, wish in ((mus, mean), (sigmas, width))
    )
    return _best_guess(z, log_joint, mu[None], sigma[None])


# fmt: off
GUESS_MISTAKES = {
    "This is the right pair, and minus its ELBO: the area of the joint is missing. The "
    "posterior is the joint divided by its area, so log p(x) is subtracted once.":
        _choose(lambda z, lj, lq: -_bound_of(z, lj, lq)),
    "This is the right pair, and its ELBO. Asked is the gap, what is missing up to log p(x).":
        _choose(_gap_of, returned=_bound_of),
    "This is the right pair with minus its gap. A KL is never negative: log q minus the "
    "log-posterior, averaged under q.":
        _choose(_gap_of, returned=lambda *case: -_gap_of(*case)),
    "The width of a strip is missing in the area of the joint: the sum of its values is the "
    "area only after it is multiplied with the step of the grid.":
        _choose(lambda z, lj, lq: _gap_of(z, lj, lq) - _step(z).log()),
    "The width of a strip is missing in the mean under q: its weights, density times step, "
    "must add up to 1.":
        _choose(lambda z, lj, lq: _gap_of(z, lj, lq) / _step(z)),
    "The width of a strip is missing in both sums: multiply each with the step of the grid.":
        _choose(lambda z, lj, lq: (_gap_of(z, lj, lq) - _step(z).log()) / _step(z)),
    "You minimise the KL in the other direction, a mean under the posterior. The gap of the "
    "ELBO is KL(q, posterior): the mean is under the guess.":
        _choose(_other_direction),
    "You choose by the KL in the other direction, and return the right gap of that pair. "
    "Choose by the same KL that you return.":
        _choose(_other_direction, returned=_gap_of),
    "The pair is right. The number is the KL in the other direction, a mean under the "
    "posterior; needed is the mean under the guess.":
        _choose(_gap_of, returned=_other_direction),
    "You take the mean and the width of the posterior. They give the smallest KL in the "
    "other direction; here all pairs must be tried.":
        _by_moments,
    "This is the worst pair: the largest gap. Keep the smallest.":
        _choose(_gap_of, best=max),
    "You keep the pair with the lowest ELBO. The gap is small where the ELBO is high.":
        _choose(_bound_of, returned=_bound_of),
    "You treat sigma as a variance. td.Normal takes the standard deviation, and so do the "
    "candidates.":
        _choose(_gap_of, squared=True),
    "You choose by the difference of the densities, without weights. A KL is a mean under q.":
        _choose(lambda z, lj, lq: (lq - _log_posterior(z, lj)).mean()),
    "You choose by the squared difference of the densities. Asked is the smallest KL.":
        _choose(
            lambda z, lj, lq: ((lq.exp() - _log_posterior(z, lj).exp()) ** 2).sum(),
            returned=_gap_of,
        ),
    "The order is mu, sigma, gap.":
        lambda *case: (lambda m, s, g: (s, m, g))(*_best_guess(*case)),
    "These are the places of mu and sigma in their lists. Return their values.":
        _places,
    "This is the first pair, not the best one: does your comparison ever replace it?":
        lambda z, lj, mus, sigmas: _best_guess(z, lj, mus[:1], sigmas[:1]),
    "This is the last pair, not the best one: each pair replaces the one before. Compare "
    "before you keep it.":
        lambda z, lj, mus, sigmas: _best_guess(z, lj, mus[-1:], sigmas[-1:]),
    "Only the means were tried, with the first sigma. Try every mean with every sigma.":
        lambda z, lj, mus, sigmas: _best_guess(z, lj, mus, sigmas[:1]),
    "Only the widths were tried, with the first mean. Try every mean with every sigma.":
        lambda z, lj, mus, sigmas: _best_guess(z, lj, mus[:1], sigmas),
    "Means and widths were tried in pairs, the first with the first, the second with the "
    "second. Try every mean with every sigma: two loops.":
        lambda z, lj, mus, sigmas: min(
            (_best_guess(z, lj, m[None], s[None]) for m, s in zip(mus, sigmas, strict=False)),
            key=lambda entry: float(entry[2]),
        ),
    "The number is the log-evidence. Asked is the gap.":
        _choose(_gap_of, returned=lambda z, lj, lq: _log_evidence(z, lj)),
}
# fmt: on


def _bump(mean, sigma, area=0.5, points=801, low=-10.0, high=10.0):
    """A grid and the log of a joint with this area: a Gaussian bump."""
    z = torch.linspace(low, high, points, dtype=torch.float64)
    log_normal = -0.5 * ((z - mean) / sigma) ** 2 - math.log(sigma) - 0.5 * LOG_2PI
    return z, math.log(area) + log_normal


def _lopsided(means=4, widths=3, area=None):
    """A joint of two bumps, and candidates in any order."""
    first, second = 1.5 * torch.rand(2, dtype=torch.float64) - torch.tensor([1.0, -1.0])
    area = 0.05 + torch.rand(()).item() if area is None else area
    z, one = _bump(first.item(), 0.6, area * 0.7)
    _, two = _bump(second.item(), 1.0, area * 0.3)
    mus = 4 * torch.rand(means, dtype=torch.float64) - 1.5
    return (
        z,
        torch.logaddexp(one, two),
        mus,
        0.35 + torch.rand(widths, dtype=torch.float64),
    )


best_guess = declare(
    "03.2 find the best guess",
    "lopsided joints of many areas and grids, with one or many candidates: mean, width, gap.",
    Part(
        right=_best_guess,
        cases=lambda: [
            (
                *_bump(0.0, 1.0, 0.5, 12, -5.0, 6.0),
                torch.tensor([2.0, 1.0], dtype=torch.float64),
                torch.tensor([1.0], dtype=torch.float64),
            ),
            *[_lopsided(2 + i % 4, 2 + i % 3) for i in range(14)],
        ],
        edges=lambda: {
            "a single candidate": _lopsided(1, 1),
            "a candidate that is the posterior (its gap is 0)": (
                *_bump(0.5, 0.8),
                torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64),
                torch.tensor([0.4, 0.8], dtype=torch.float64),
            ),
            "a very improbable x (log p(x) near -300)": _lopsided(3, 3, 1e-130),
            "an evidence far above 1": _lopsided(3, 3, 1e3),
            "a grid of another step": (
                *_bump(0.2, 0.9, 0.3, 301, -9.0, 9.0),
                torch.tensor([0.9, 0.1], dtype=torch.float64),
                torch.tensor([0.7, 1.1], dtype=torch.float64),
            ),
        },
        results=("mu", "sigma", "gap"),
        wrong=GUESS_MISTAKES,
    ),
    dtype=torch.float64,
)


# 03.3


OVERFLOW = (
    " (exp overflows, or gives 0 whose log is minus infinity; a limit on the weights makes "
    "-1000 and -2000 count the same: take the largest log-weight of each example out of the "
    "sum first, and put it back)"
)


def _log_mean_exp(log_weight):
    return log_weight.logsumexp(1) - math.log(log_weight.shape[1])


def _then(change):
    return lambda log_weight: change(_log_mean_exp(log_weight), log_weight)


# fmt: off
LME_MISTAKES = {
    "The largest weight has shape (B, 1) and the rest (B,): together they broadcast "
    "to (B, B). Squeeze the largest weight before you add it.":
        lambda w: (
            w.max(1, keepdim=True).values
            + (w - w.max(1, keepdim=True).values).exp().mean(1).log()
        ),
    "This is the mean of the logs, which is the ELBO again. Needed is the log of the "
    "mean: exponential, mean, then logarithm.":
        lambda w: w.mean(1),
    "This is the log of the sum: log S must be subtracted to make it a mean. Without "
    "it the value grows with every sample and is no bound.":
        lambda w: w.logsumexp(1),
    "You divide the logarithm by S. The sum must be divided, inside the logarithm; "
    "behind it that means subtracting log S.":
        lambda w: w.logsumexp(1) / w.shape[1],
    "You subtract S. Dividing by S means subtracting log S behind the logarithm.":
        lambda w: w.logsumexp(1) - w.shape[1],
    "log S has the wrong sign: a mean is a sum divided by S.":
        lambda w: w.logsumexp(1) + math.log(w.shape[1]),
    "log S is in bits. All logarithms here are natural: math.log.":
        lambda w: w.logsumexp(1) - math.log2(w.shape[1]),
    "You subtract the log of the batch size. The mean is over the S samples, axis 1.":
        lambda w: w.logsumexp(1) - math.log(len(w)),
    "The logarithm is missing: this is the mean weight itself.":
        lambda w: w.exp().mean(1),
    "This is a mean over the batch, axis 0. The samples are axis 1.":
        lambda w: w.logsumexp(0) - math.log(len(w)),
    "All examples are thrown together. Each example has its own mean over its S "
    "samples; the result has shape (B,).":
        lambda w: w.flatten().logsumexp(0) - math.log(w.numel()),
    "You took the mean over the batch at the end. Return one number for each example.":
        _then(lambda r, w: r.mean()),
    "The largest log-weight was taken out of the sum and not put back: add it at the "
    "end.":
        lambda w: (w - w.max(1, keepdim=True).values).exp().mean(1).log(),
    "This is the largest log-weight alone, not the log of the mean.":
        lambda w: w.max(1).values,
    "The sign is that of a loss. Return the bound: higher is better.":
        _then(lambda r, w: -r),
    "The values are right but carry no gradient: `.item()`, `.detach()` or no_grad "
    "cuts it.":
        _then(lambda r, w: r.detach()),
    "The axis of the samples is still there, shape (B, 1). Needed is (B,).":
        _then(lambda r, w: r[:, None]),
}
# fmt: on
def _log_normal(z, mu, logvar, constant=LOG_2PI):
    return -0.5 * ((z - mu) ** 2 / logvar.exp() + logvar + constant).sum(2)


def _log_q(z, mu, logvar):
    return _log_normal(z, mu[:, None], logvar[:, None])


def _log_prior(z):
    return _log_normal(z, torch.zeros_like(z), torch.zeros_like(z))


def _log_weights(log_likelihood, z, mu, logvar):
    return log_likelihood + _log_prior(z) - _log_q(z, mu, logvar)


def _weights_with(prior=_log_prior, q=_log_q):
    """Log-weights with another prior term or another log q."""
    return lambda ll, z, mu, lv: ll + prior(z) - q(z, mu, lv)


def _draws(size, samples, latents, mu=None, logvar=None):
    mu = _draw(size, latents) if mu is None else _full(mu, size, latents)
    logvar = _draw(size, latents) if logvar is None else _full(logvar, size, latents)
    eps = _draw(size, samples, latents)
    z = mu[:, None] + torch.exp(0.5 * logvar)[:, None] * eps
    return 10 * _draw(size, samples), z, mu, logvar


# fmt: off
WEIGHT_MISTAKES = {
    "The prior is missing: log p(x, z) is log p(x | z) + log p(z).":
        _weights_with(prior=lambda z: 0),
    "log q is missing: the codes were drawn from q, and each counts for less where q is "
    "large.":
        _weights_with(q=lambda z, mu, lv: 0),
    "log q has the wrong sign: the weight is p(x, z) divided by q(z | x).":
        _weights_with(q=lambda z, mu, lv: -_log_q(z, mu, lv)),
    "log p(z) has the wrong sign: add it.":
        _weights_with(prior=lambda z: -_log_prior(z)),
    "You subtract the KL in closed form. It is the mean of log q - log p(z) over all z; a "
    "weight needs both log-densities at its own z.":
        lambda ll, z, mu, lv: ll - _kl(mu, lv)[:, None],
    "log q is taken at the mean of q. It belongs to the z that was drawn.":
        _weights_with(q=lambda z, mu, lv: _log_q(mu[:, None].expand_as(z), mu, lv)),
    "log p(z) is taken at the mean of q. It belongs to the z that was drawn.":
        lambda ll, z, mu, lv: ll + _log_prior(mu[:, None].expand_as(z)) - _log_q(z, mu, lv),
    "This is the log-likelihood alone: in your answer log p(z) and log q are the same.":
        lambda ll, z, mu, lv: ll + 0 * z.sum(2),
    "In log q you use logvar as log sigma. It is log sigma^2.":
        _weights_with(q=lambda z, mu, lv: _log_q(z, mu, 2 * lv)),
    "In log q you divide by sigma. The square is divided by the variance, exp(logvar).":
        _weights_with(q=lambda z, mu, lv: _log_q(z, mu, lv)
            - 0.5 * ((z - mu[:, None])**2 * ((-0.5 * lv).exp() - (-lv).exp())[:, None]).sum(2)),
    "In log q the term with logvar is missing: a wide q has a lower density.":
        _weights_with(q=lambda z, mu, lv: _log_q(z, mu, lv) + 0.5 * lv.sum(1)[:, None]),
    "In log q logvar counts twice: the normalising constant has half of it.":
        _weights_with(q=lambda z, mu, lv: _log_q(z, mu, lv) - 0.5 * lv.sum(1)[:, None]),
    "In log q the variance multiplies the square. Divide by it.":
        _weights_with(q=lambda z, mu, lv: _log_q(z, mu, lv)
            - 0.5 * ((z - mu[:, None])**2 * (lv.exp() - (-lv).exp())[:, None]).sum(2)),
    "The 2 pi stands in log p(z) and not in log q: both need it, or neither.":
        lambda ll, z, mu, lv: _log_weights(ll, z, mu, lv) - 0.5 * z.shape[2] * LOG_2PI,
    "The 2 pi stands in log q and not in log p(z): both need it, or neither.":
        lambda ll, z, mu, lv: _log_weights(ll, z, mu, lv) + 0.5 * z.shape[2] * LOG_2PI,
    "The log-densities are means over the latent dimensions. Sum over them.":
        lambda ll, z, mu, lv: ll + (_log_prior(z) - _log_q(z, mu, lv)) / z.shape[2],
    "The one half of the Gaussian exponent is missing in both log-densities.":
        lambda ll, z, mu, lv: ll + 2 * (_log_prior(z) - _log_q(z, mu, lv)),
    "These are the weights. Return their logarithms: the weights overflow.":
        lambda ll, z, mu, lv: _log_weights(ll, z, mu, lv).exp(),
    "This is the bound already. Return one log-weight for each sample, (B, S).":
        then(_log_weights, _log_mean_exp),
    "You took the mean over the samples. Return one log-weight for each of them, (B, S).":
        then(_log_weights, lambda w: w.mean(1)),
    "The sign is flipped: log w is log p(x, z) - log q(z | x).":
        then(_log_weights, torch.neg),
    SQUEEZED: then(_log_weights, torch.squeeze),
}
# fmt: on


log_mean_exp = declare(
    "03.3 log of a mean of exponentials",
    "random batches with gradients, one sample, log-weights from -1000 to 1000; and weights "
    "built from wide and narrow guesses.",
    Part(
        right=_log_mean_exp,
        cases=lambda: [
            (_row(0.0, -1.0),),
            # Sizes that differ, so that a mean over the wrong axis shows.
            *[(2 * _draw(2 + i % 3, 5 + i % 6) - 3,) for i in range(11)],
        ],
        edges=lambda: {
            "one image in the batch": (_draw(1, 6),),
            "one sample (the result is that log-weight)": (_draw(4, 1),),
            "one image and one sample": (_draw(1, 1),),
            f"log-weights around -1000{OVERFLOW}": (_draw(3, 6) - 1000,),
            f"log-weights around 1000{OVERFLOW}": (_draw(3, 6) + 1000,),
            f"rows from -1000 to 1000 in one batch{OVERFLOW}": (
                _draw(3, 6) + torch.tensor([[-1000.0], [0.0], [1000.0]]),
            ),
            f"log-weights that lie 5000 apart in one row{OVERFLOW}": (
                _row(-5000.0, 0.0, -1.0),
            ),
            f"log-weights that lie 5000 apart, the largest first{OVERFLOW}": (
                _row(0.0, -1.0, -5000.0),
            ),
            "equal log-weights of -1000": (_full(-1000, 2, 5),),
            "5,000 samples": (_draw(2, 5000),),
        },
        gradients=("log_weight",),
        name="log_mean_of_weights",
        wrong=LME_MISTAKES,
    ),
    Part(
        right=_log_weights,
        cases=lambda: [
            (
                _row(-1.0, -2.0),
                torch.tensor([[[0.5], [1.5]]], dtype=torch.float64),
                _row(1.0),
                _row(-1.0),
            ),
            *[_draws(2 + i % 3, 4 + i % 4, 1 + i % 5) for i in range(10)],
        ],
        edges=lambda: {
            "one image in the batch": _draws(1, 5, 2),
            "one sample": _draws(3, 1, 2),
            "one latent": _draws(3, 4, 1),
            "one image, one sample, one latent": _draws(1, 1, 1),
            "as many samples as images and latents": _draws(3, 3, 3),
            "q equal to the prior": _draws(3, 4, 2, 0.0, 0.0),
            "a very wide q, logvar = 12 (is something clamped?)": _draws(
                2, 3, 2, 0.0, 12.0
            ),
            "a very narrow q, logvar = -25 (is something clamped?)": _draws(
                2, 3, 2, 0.5, -25.0
            ),
            "a q far from 0": _draws(2, 3, 2, 40.0),
        },
        name="importance_log_weights",
        answer=1,
        wrong=WEIGHT_MISTAKES,
    ),
    dtype=torch.float64,
)


# 03.4


RESTS_ON = {  # (line, a line that it needs) -> why
    (
        "A",
        "C",
    ): "it starts from the definition of the KL, line C, and changes its right side",
    ("A", "E"): "it replaces the log-posterior by line E, Bayes' rule",
    (
        "D",
        "A",
    ): "it solves line A for the evidence; before A no line has KL and evidence",
    ("D", "F"): "it says ELBO, and line F gives that name to the mean in line A",
    ("B", "D"): "it says that the KL in line D is not negative, so it needs line D",
}
LETTERS = "ABCDEF"


def _letters(answer) -> str:
    """What was returned, in capitals, without spaces, commas and arrows."""
    given = call(answer, ())
    if isinstance(given, list | tuple) and all(isinstance(x, str) for x in given):
        given = "".join(given)
    if not isinstance(given, str):
        raise Wrong(
            f"You return a {type(given).__name__}; needed is a string of six letters, "
            'such as "ABCDEF".'
        )
    return "".join(c for c in given.upper() if c not in " ,;.->\n\t")


def _complete(order: str) -> bool:
    return sorted(order) == list(LETTERS)


def _too_early(order: str) -> tuple[str, str] | None:
    """The first line that stands before a line that it needs, and that line."""
    if _complete(order):
        for line in order:
            for pair in RESTS_ON:
                if pair[0] == line and order.index(pair[1]) > order.index(line):
                    return pair
    return None


def _strangers(order: str) -> str:
    strangers = ", ".join(sorted(set(order) - set(LETTERS)))
    return f"There is no line {strangers}. The lines are A to F."


def _twice(order: str) -> str:
    twice = ", ".join(x for x in LETTERS if order.count(x) > 1)
    return f"Not once only: {twice}. Each of the six letters stands once."


def _absent(order: str) -> str:
    absent = ", ".join(x for x in LETTERS if x not in order)
    return f"Not there: {absent}. Each of the six letters stands once."


def _says(order: str) -> Callable:
    return lambda: order


lines_in_order = declare(
    "03.4 put the lines in order",
    "each line rests only on lines before it. (Other orders are right as well.)",
    Symptoms(
        right=_says("CEAFDB"),
        measure=_letters,
        table=[
            Symptom(
                "An empty string. Write six letters.", lambda s: s == "", _says(" ")
            ),
            Symptom(
                _strangers, lambda s: bool(set(s) - set(LETTERS)), _says("CEAFDBX")
            ),
            Symptom(_twice, lambda s: max(map(s.count, s)) > 1, _says("CEAFDBB")),
            Symptom(_absent, lambda s: len(s) < len(LETTERS), _says("CEADB")),
            Symptom(
                "This is the way back, from the goal to the beginning. Turn it round.",
                lambda s: _too_early(s) is not None and _too_early(s[::-1]) is None,
                _says("BDFAEC"),
            ),
            *[
                Symptom(
                    f"Line {line} stands too early, before line {needed}: {why}.",
                    lambda s, pair=(line, needed): _too_early(s) == pair,
                    _says(example),
                )
                for ((line, needed), why), example in zip(
                    RESTS_ON.items(),
                    ("EACFDB", "CAEFDB", "CEFDAB", "CEADFB", "CEAFBD"),
                    strict=True,
                )
            ],
        ],
        fine=lambda s: _complete(s) and _too_early(s) is None,
    ),
    dtype=torch.float64,
)


# 03.5


def _bernoulli(x, logits):
    """Mean over the batch of -log p(x | z), nats per image."""
    cost = torch.nn.functional.binary_cross_entropy_with_logits
    return cost(logits, x, reduction="none").sum(1).mean()


def _gaussian(x, mean):
    return (0.5 * (x - mean) ** 2 + 0.5 * LOG_2PI).sum(1).mean()


def _mean_kl(mu, logvar):
    return _kl(mu, logvar).mean()


class _Loss:
    """A loss with these factors on the exact terms, and a constant."""

    def __init__(self, a, c, constant=0.0, term=_gaussian):
        self.a, self.c, self.constant, self.term = a, c, constant, term

    def __call__(self, x, output, mu, logvar):
        exact = self.a * self.term(x, output) + self.c * _mean_kl(mu, logvar)
        return exact + self.constant

    def __repr__(self):
        return f"{self.a:g} reconstruction + {self.c:g} KL + {self.constant:g}"


def _moves(loss_fn, reconstruction, kl, x, outputs, codes):
    """What the loss and the exact terms do when the output or the code changes."""
    before = loss_fn(x, outputs[0], *codes[0])
    by_output = loss_fn(x, outputs[1], *codes[0]) - before
    by_code = loss_fn(x, outputs[0], *codes[1]) - before
    exact_output = reconstruction(x, outputs[1]) - reconstruction(x, outputs[0])
    exact_code = kl(*codes[1]) - kl(*codes[0])
    return by_output, by_code, exact_output, exact_code


def _hidden_beta(*case):
    by_output, by_code, exact_output, exact_code = _moves(*case)
    return (by_code / exact_code) / (by_output / exact_output)


def _from_moves(formula):
    return lambda *case: formula(*_moves(*case))


def _both_at_once(loss_fn, reconstruction, kl, x, outputs, codes):
    by_output, _, exact_output, exact_code = _moves(
        loss_fn, reconstruction, kl, x, outputs, codes
    )
    both = loss_fn(x, outputs[1], *codes[1]) - loss_fn(x, outputs[0], *codes[0])
    return (both / exact_code) / (by_output / exact_output)


def _of_losses(loss_fn, reconstruction, kl, x, outputs, codes):
    a = loss_fn(x, outputs[1], *codes[0]) / loss_fn(x, outputs[0], *codes[0])
    a = a / (reconstruction(x, outputs[1]) / reconstruction(x, outputs[0]))
    c = loss_fn(x, outputs[0], *codes[1]) / loss_fn(x, outputs[0], *codes[0])
    return c / (kl(*codes[1]) / kl(*codes[0])) / a


def _undivided(loss_fn, reconstruction, kl, x, outputs, codes):
    a = loss_fn(x, outputs[0], *codes[0]) / reconstruction(x, outputs[0])
    c = loss_fn(x, outputs[0], *codes[0]) / kl(*codes[0])
    return c / a


def _one_term(loss_fn, reconstruction, kl, x, outputs, codes):
    by_output, by_code, _, _ = _moves(loss_fn, reconstruction, kl, x, outputs, codes)
    return (by_code / kl(*codes[1])) / (by_output / reconstruction(x, outputs[1]))


# fmt: off
BETA_MISTAKES = {
    "This is a / c. The weight on the KL is c / a.":
        then(_hidden_beta, torch.reciprocal),
    "This is c alone. A factor on the whole loss is harmless: divide by a.":
        _from_moves(lambda o, c, eo, ec: c / ec),
    "This is a alone, the factor on the reconstruction term. Asked is c / a.":
        _from_moves(lambda o, c, eo, ec: o / eo),
    "You divide the move of the loss by code by its move by output. Each must first be "
    "divided by the move of its exact term.":
        _from_moves(lambda o, c, eo, ec: c / o),
    "The move of the loss by code is not divided by the move of the exact KL.":
        _from_moves(lambda o, c, eo, ec: c / (o / eo)),
    "The move of the loss by output is not divided by the move of the exact term.":
        _from_moves(lambda o, c, eo, ec: (c / ec) / o),
    "The exact terms are exchanged, or you multiply by their moves: divide the move by output "
    "by that of the reconstruction term, the move by code by that of the KL.":
        _from_moves(lambda o, c, eo, ec: (c / eo) / (o / ec)),
    "The sign is flipped: one difference is second minus first, the other first minus "
    "second.":
        then(_hidden_beta, torch.neg),
    "This is c minus a. A weight is a ratio: c / a.":
        _from_moves(lambda o, c, eo, ec: c / ec - o / eo),
    "This is a times c. A weight is a ratio: c / a.":
        _from_moves(lambda o, c, eo, ec: (c / ec) * (o / eo)),
    "For c you change output and code at once. Leave the output as it was.":
        _both_at_once,
    "You divide losses by each other. The other term and the constants are in them; take "
    "differences of the losses.":
        _of_losses,
    "You divide a loss by the exact term. The other term and the constants are in the loss "
    "as well: take differences of two losses.":
        _undivided,
    "The moves of the loss are divided by exact terms, not by how much these moved. Take "
    "differences there, too.":
        _one_term,
    "You return 1, what the author believed. Measure it.":
        lambda loss_fn, reconstruction, kl, x, outputs, codes: torch.ones(()).to(x),
}
# fmt: on


def _terms(a, c, constant=0.0, *, size=3, pixels=4, latents=2, term=_bernoulli):
    """A loss and everything to measure it with: the arguments of the exercise."""
    x = torch.rand(size, pixels, dtype=torch.float64)
    outputs = [_draw(size, pixels), 2 * _draw(size, pixels)]
    codes = [(_draw(size, latents), _draw(size, latents)) for _ in range(2)]
    return _Loss(a, c, constant, term), term, _mean_kl, x, outputs, codes


hidden_beta = declare(
    "03.5 measure the hidden beta",
    "losses with all kinds of factors and constants, for Bernoulli and Gaussian pixels.",
    Part(
        right=_hidden_beta,
        cases=lambda: [
            (
                _Loss(2.0, 6.0),
                _gaussian,
                _mean_kl,
                _row(0.0),
                [_row(1.0), _row(3.0)],
                [(_row(0.0), _row(0.0)), (_row(2.0), _row(0.0))],
            ),
            *[
                _terms(
                    0.5 + i % 3,
                    (1 + i) / 4,
                    3.0 * (i % 2),
                    size=2 + i % 3,
                    term=(_bernoulli, _gaussian)[i % 2],
                )
                for i in range(10)
            ],
        ],
        edges=lambda: {
            "one image in the batch": _terms(1.0, 4.0, size=1),
            "one pixel and one latent": _terms(1.0, 0.5, pixels=1, latents=1),
            "a mean over 784 pixels": _terms(1 / 784, 1.0, pixels=784, latents=20),
            "a mean over 20 latents": _terms(1.0, 1 / 20, latents=20),
            "a large constant in the loss": _terms(1.0, 2.0, 1000.0),
            "a tiny weight": _terms(1.0, 1e-4),
            "a negative loss": _terms(1.0, 2.0, -500.0, term=_gaussian),
        },
        strides=False,
        wrong=BETA_MISTAKES,
    ),
    dtype=torch.float64,
)
