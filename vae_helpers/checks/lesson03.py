"""Checks of lesson 03."""

import math

import torch

from vae_helpers.checks.core import Part, Wrong, call, close, declare, parts
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


def _elbo(
    x,
    mu,
    logvar,
    weight,
    offset,
    sigma,
    *,
    squares=1.0,
    trace=lambda weight, logvar: logvar.exp() @ (weight**2).sum(0),
    constant=lambda sigma: LOG_2PI + 2 * sigma.log(),
    spread=lambda sigma: sigma**2,
    half=0.5,
    kl=_kl,
):
    """The ELBO with parts that can be replaced: a short way to write the mistakes."""
    error = squares * ((x - offset - mu @ weight.T) ** 2).sum(1)
    scaled = (error + trace(weight, logvar)) / spread(sigma)
    return -half * scaled - 0.5 * x.shape[1] * constant(sigma) - kl(mu, logvar)


def _with(**changes):
    return lambda *case: _elbo(*case, **changes)


def _changed(change):
    """The right ELBO of changed arguments."""
    return lambda *case: _elbo(*change(*case))


def _zero(mu, logvar):
    return 0 * mu.sum(1)


# fmt: off
ELBO_MISTAKES = {
    "The trace is not divided by sigma^2: it belongs to the squared error, inside the "
    "bracket.":
        lambda *case: (
            _elbo(*case, trace=lambda w, lv: 0.0)
            - 0.5 * (case[2].exp() @ (case[3] ** 2).sum(0))
        ),
    "The squared error is a mean over the D dimensions. Take the sum.":
        lambda *case: _elbo(*case, squares=1 / case[0].shape[1]),
    "The trace is summed over the batch. Each example has its own.":
        _with(trace=lambda w, lv: (lv.exp() @ (w ** 2).sum(0)).sum()),
    "In the trace you sum the weights of a column and then square. Square first, then "
    "sum over i.":
        _with(trace=lambda w, lv: lv.exp() @ w.sum(0) ** 2),
    "The trace term is missing: you decode the mean only. A fuzzy code costs the sum "
    "of sigma_j^2 times the squared weights of column j, for each example.":
        _with(trace=lambda w, lv: 0.0),
    "In the trace you use sigma. It needs the variance, exp(logvar).":
        _with(trace=lambda w, lv: torch.exp(0.5 * lv) @ (w ** 2).sum(0)),
    "In the trace you use logvar itself. It needs the variance, exp(logvar).":
        _with(trace=lambda w, lv: lv @ (w ** 2).sum(0)),
    "In the trace the variance is squared. exp(logvar) is sigma squared already.":
        _with(trace=lambda w, lv: torch.exp(2 * lv) @ (w ** 2).sum(0)),
    "In the trace the weights are missing: the decoder stretches the spread of latent "
    "j by the squared length of column j of W.":
        _with(trace=lambda w, lv: lv.exp().sum(1)),
    "In the trace the variances of q are missing: this is right for sigma = 1 only.":
        _with(trace=lambda w, lv: (w ** 2).sum()),
    "The trace has the wrong sign: a fuzzy code makes the expected error larger.":
        _with(trace=lambda w, lv: -(lv.exp() @ (w ** 2).sum(0))),
    "The squared error and the trace are divided by sigma^2; it must be 2 sigma^2. "
    "The half of the Gaussian exponent is missing.":
        _with(half=1.0),
    "The normalising constant is missing: -D/2 log(2 pi sigma^2). It depends on "
    "sigma, so without it sigma would grow for ever.":
        _with(constant=lambda sigma: 0.0 * sigma),
    "The 2 pi of the normalising constant is missing: the bound is too high by D/2 "
    "log(2 pi).":
        _with(constant=lambda sigma: 2 * sigma.log()),
    "The normalising constant has 2 pi but not sigma^2: log(2 pi sigma^2).":
        _with(constant=lambda sigma: LOG_2PI + 0.0 * sigma),
    "In the normalising constant you use sigma. Needed is log(2 pi sigma^2).":
        _with(constant=lambda sigma: LOG_2PI + sigma.log()),
    "The normalising constant has the wrong sign: a log-density has minus D/2 log(2 "
    "pi sigma^2).":
        _with(constant=lambda sigma: -LOG_2PI - 2 * sigma.log()),
    "The normalising constant is there once. It belongs to each of the D dimensions.":
        lambda x, *rest: _with(
            constant=lambda sigma: (LOG_2PI + 2 * sigma.log()) / x.shape[1]
        )(x, *rest),
    "You divide the squared error by 2 sigma; it must be 2 sigma^2.":
        _with(spread=lambda sigma: sigma),
    "You use sigma where sigma^2 belongs, in the error and in the constant: `sigma` "
    "is the standard deviation of the noise, not its variance.":
        _with(spread=lambda sigma: sigma, constant=lambda sigma: LOG_2PI + sigma.log()),
    "The squared error is not divided by sigma^2: sigma sets its weight.":
        _with(spread=lambda sigma: 1.0),
    "The KL is added. The ELBO is the expected log-likelihood minus the KL.":
        _with(kl=lambda mu, lv: -_kl(mu, lv)),
    "The KL is missing: this is the expected log-likelihood alone, and no bound.":
        _with(kl=_zero),
    "The KL counts twice: its factor one half is missing.":
        _with(kl=lambda mu, lv: 2 * _kl(mu, lv)),
    "The KL is a mean over the latent dimensions. Sum over them.":
        _with(kl=lambda mu, lv: kl_each(mu, lv).mean(1)),
    "In the KL you treat logvar as log sigma. It is log sigma^2.":
        _with(kl=lambda mu, lv: _kl(mu, 2 * lv)),
    "The KL has the wrong direction: needed is from q to N(0, I).":
        _with(kl=lambda mu, lv: (0.5 * ((mu ** 2 + 1) * (-lv).exp() - 1 + lv)).sum(1)),
    "The sign is that of a loss. Return the bound itself: higher is better.":
        lambda *case: -_elbo(*case),
    "The offset is added to x. Subtract it: the decoder's mean is W mu + b.":
        _changed(lambda x, m, v, w, b, s: (x + b, m, v, w, 0 * b, s)),
    "The offset b is missing in the decoded mean.":
        _changed(lambda x, m, v, w, b, s: (x, m, v, w, 0 * b, s)),
    "Everything is divided by D. Sum over the dimensions: the unit is nats per "
    "example.":
        lambda x, *rest: _elbo(x, *rest) / x.shape[1],
    "You took the mean over the batch. Return one number for each example, shape "
    "(B,).":
        lambda *case: _elbo(*case).mean(),
    "You summed over the batch. Return one number for each example, shape (B,).":
        lambda *case: _elbo(*case).sum(),
    "The values are right but carry no gradient: something is detached, inside "
    "no_grad, or went through a Python number.":
        lambda *case: _elbo(*case).detach(),
    "The values are right, but sigma gets no gradient from the normalising constant. "
    "Use torch.log: math.log turns a tensor into a plain number.":
        _with(constant=lambda sigma: LOG_2PI + 2 * sigma.detach().log()),
    "The values are right, but sigma gets no gradient: it could not be learned.":
        _changed(lambda x, m, v, w, b, s: (x, m, v, w, b, s.detach())),
    "The values are right, but logvar gets no gradient: the width of q would not "
    "learn.":
        _changed(lambda x, m, v, w, b, s: (x, m, v.detach(), w, b, s)),
}
# fmt: on


def _model(size, pixels, latents, sigma=None, spread=0.0):
    """A batch and a linear-Gaussian model: the arguments of the exercise."""
    sigma = (0.4 * _draw()).exp() if sigma is None else _full(sigma)
    mu, logvar = _draw(size, latents), _draw(size, latents) + spread
    weight = _draw(pixels, latents)
    return _draw(size, pixels), mu, logvar, weight, _draw(pixels), sigma


def _need_no_draws(answer) -> None:
    case = _model(3, 2, 2)
    if not close(parts(call(answer, case, 0)), parts(call(answer, case, 1))):
        raise Wrong(
            "Two calls with the same input differ: you draw a random z. Here the mean over "
            "z has a formula; the trace term takes the place of the draws."
        )


linear_gaussian_elbo = declare(
    "03.2 ELBO of the linear-Gaussian model",
    "random models and batches of all sizes: values, constants, signs and gradients.",
    Part(
        right=_elbo,
        cases=lambda: [
            (
                _row(1.0, 0.0),
                _row(0.5),
                _row(-1.0),
                torch.tensor([[1.0], [2.0]], dtype=torch.float64),
                torch.tensor([0.0, 0.5], dtype=torch.float64),
                _full(0.5),
            ),
            *[_model(2 + i % 4, 2 + i % 5, 1 + i % 4) for i in range(11)],
        ],
        edges=lambda: {
            "one image in the batch": _model(1, 3, 2),
            "a single pixel": _model(3, 1, 2),
            "a single latent": _model(3, 4, 1),
            "one image, one pixel, one latent": _model(1, 1, 1),
            "as many images as pixels and latents": _model(3, 3, 3),
            "100 images": _model(100, 3, 2),
            "images, means and weights far from 0": tuple(
                t if i in (2, 5) else 30 * t for i, t in enumerate(_model(3, 2, 2, 1.0))
            ),
            "sigma = 1": _model(3, 2, 2, 1.0),
            "a small sigma, 0.05": _model(3, 2, 2, 0.05),
            "a large sigma, 20": _model(3, 2, 2, 20.0),
            "very wide codes, logvar near 12 (is something clamped?)": _model(
                2, 2, 2, 1.0, 12.0
            ),
            "very narrow codes, logvar near -25 (is something clamped?)": _model(
                2, 2, 2, 1.0, -25.0
            ),
        },
        gradients=("mu", "logvar", "weight", "offset", "sigma"),
        before=[_need_no_draws],
        wrong=ELBO_MISTAKES,
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


def _bits(nats, dimensions):
    return nats / (dimensions * math.log(2))


# fmt: off
BITS_MISTAKES = {
    "The sign is flipped. Converting a unit keeps the sign.":
        lambda n, d: -_bits(n, d),
    "Negative numbers lose their sign. A log-density may be positive, so minus its "
    "value may be negative.":
        lambda n, d: abs(_bits(n, d)),
    "This is nats per dimension: the step from nats to bits, ln 2, is missing. "
    "(log2(2) is 1 and converts nothing.)":
        lambda n, d: n / d,
    "This is bits per image: divide by the number of dimensions D.":
        lambda n, d: n / math.log(2),
    "You multiply by ln 2; divide by it. A bit is smaller than a nat, so the number "
    "of bits is larger.":
        lambda n, d: n * math.log(2) / d,
    "You multiply by D; divide by it.":
        lambda n, d: n / math.log(2) * d,
    "You use the logarithm to base 10. A nat belongs to the natural logarithm: "
    "math.log.":
        lambda n, d: n / (d * math.log10(2)),
    "You divide by 2 instead of its natural logarithm, ln 2.":
        lambda n, d: n / (2 * d),
    "You divide by ln(2 D). Needed is D times ln 2.":
        lambda n, d: n / math.log(2 * d),
    "You divide by D twice.":
        lambda n, d: _bits(n, d ** 2),
    "You add 8 bits. That belongs to densities of 8-bit pixels scaled to [0, 1]; here "
    "only the unit changes.":
        lambda n, d: _bits(n, d) + 8,
    "You took a mean over the batch. Keep the shape that came.":
        lambda n, d: _bits(n, d).mean(),
}
# fmt: on


def _plain_numbers(answer) -> None:
    number = call(answer, (543.4, 784))
    if not close(parts(number), parts(_bits(543.4, 784))):
        raise Wrong(
            "Right for tensors but not for a Python number: answer(543.4, 784) differs."
        )
    if not close(parts(call(answer, (-543.4, 784))), parts(_bits(-543.4, 784))):
        raise Wrong(
            "Right for tensors but not for a negative Python number: a log-density may be "
            "positive, so minus its value may be negative."
        )


bits_per_dimension = declare(
    "03.4 bits per dimension",
    "random batches, sizes from 1 to 3,072 dimensions, large numbers, and plain ones.",
    Part(
        right=_bits,
        cases=lambda: [
            (_row(math.log(2) * 2, -1.0), 2),
            *[(100 * _draw(3), 1 + (37 * i) % 800) for i in range(11)],
        ],
        edges=lambda: {
            "a tensor of one number": (_draw(1), 784),
            "a tensor without axes": (_draw(), 784),
            "a tensor with two axes": (_draw(3, 2), 784),
            "one dimension": (_draw(3), 1),
            "a million nats (does exp or a power overflow?)": (_full(1e6, 2), 784),
            "minus 7,000 nats (does exp or a power become 0?)": (-7000 + _draw(2), 784),
            "the 3,072 dimensions of a colour image": (70 * _draw(2), 3072),
            "0 nats": (_full(0, 2), 784),
        },
        wrong=BITS_MISTAKES,
        after=[_plain_numbers],
    ),
    dtype=torch.float64,
)


# 03.5


def _gap(covariance):
    precision = torch.linalg.inv(covariance)
    return 0.5 * (precision.diagonal().log().sum() + torch.logdet(covariance))


def _kl_same_mean(variances, covariance):
    precision = torch.linalg.inv(covariance)
    trace = (precision.diagonal() * variances).sum()
    log_det = torch.logdet(covariance) - variances.log().sum()
    return 0.5 * (trace - len(covariance) + log_det)


# fmt: off
GAP_MISTAKES = {
    "You take one over the diagonal of the covariance for the diagonal of its "
    "inverse. They differ when the latents are correlated: invert the matrix first.":
        lambda c: 0.5 * (torch.logdet(c) - c.diagonal().log().sum()),
    "The sign of the log-variances is wrong: each best variance is one over the "
    "diagonal of the inverse, and the KL has minus its logarithm.":
        lambda c: 0.5 * (torch.logdet(c) - torch.linalg.inv(c).diagonal().log().sum()),
    "The determinant of the covariance has no logarithm.":
        lambda c: (
            0.5 * (torch.linalg.inv(c).diagonal().log().sum() + torch.linalg.det(c))
        ),
    "You used the diagonal of the covariance as variances. These are the spreads of "
    "each latent alone, and not the best ones for this KL: set its derivative to "
    "zero.":
        lambda c: _kl_same_mean(c.diagonal(), c),
    "This is the smallest KL in the other direction, from the posterior to q. The gap "
    "of the ELBO is from q to the posterior.":
        lambda c: 0.5 * (c.diagonal().log().sum() - torch.logdet(c)),
    "Twice the right value: the one half of the Gaussian KL is missing.":
        lambda c: 2 * _gap(c),
    "The sign is flipped: a gap is a KL and never negative.":
        lambda c: -_gap(c),
    "Your q is the prior's shape, all variances 1. Choose the variances that make the "
    "KL smallest.":
        lambda c: _kl_same_mean(torch.ones_like(c.diagonal()), c),
    "The log-determinant of the covariance is missing.":
        lambda c: 0.5 * torch.linalg.inv(c).diagonal().log().sum(),
    "The log-variances of q are missing.":
        lambda c: 0.5 * torch.logdet(c),
    "With the best variances the trace equals Z and cancels the -Z of the formula.":
        lambda c: _gap(c) + 0.5 * len(c),
    "You used the diagonal of the inverse as variances. The derivative is zero at one "
    "divided by it.":
        lambda c: _kl_same_mean(torch.linalg.inv(c).diagonal(), c),
    "The gap is divided by Z. Sum over the latent dimensions.":
        lambda c: _gap(c) / len(c),
    "These are the best variances. Return the KL that remains with them, one number.":
        lambda c: 1 / torch.linalg.inv(c).diagonal(),
    "It comes out as 0 for every covariance: that is right only for a diagonal one.":
        lambda c: torch.zeros((), dtype=c.dtype),
}
# fmt: on


def _covariance(size, ridge=0.3):
    root = _draw(size, size)
    return (root @ root.T / size + ridge * torch.eye(size, dtype=torch.float64),)


smallest_gap = declare(
    "03.5 smallest gap of a diagonal guess",
    "random covariances, nearly flat ones, and diagonal ones with no gap.",
    Part(
        right=_gap,
        cases=lambda: [
            (torch.tensor([[1.0, 0.5], [0.5, 2.0]], dtype=torch.float64),),
            *[_covariance(2 + i % 5) for i in range(11)],
        ],
        edges=lambda: {
            "a single latent (it has no gap)": (_full(0.5, 1, 1),),
            "a diagonal covariance (it has no gap)": (
                torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64).diag(),
            ),
            "two latents that are nearly one": (
                torch.tensor([[1.0, 0.999], [0.999, 1.0]], dtype=torch.float64),
            ),
            "small variances": (1e-4 * _covariance(3)[0],),
            "large variances": (1e4 * _covariance(3)[0],),
            "twenty latents": _covariance(20),
        },
        wrong=GAP_MISTAKES,
    ),
    dtype=torch.float64,
)
