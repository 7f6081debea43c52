"""Checks of the appendix A1, the exact case."""

import math

import torch

from vae_helpers.checks.core import Part, Wrong, call, close, declare, parts
from vae_helpers.checks.usual import kl_each

LOG_2PI = math.log(2 * math.pi)


def _draw(*shape: int) -> torch.Tensor:
    """Standard normal values in float64, the type of the whole lesson."""
    return torch.randn(shape, dtype=torch.float64)


def _full(value: float, *shape: int) -> torch.Tensor:
    return torch.full(shape, value, dtype=torch.float64)


def _row(*values: float) -> torch.Tensor:
    return torch.tensor([values], dtype=torch.float64)


# A1.1


def _kl(mu, logvar):
    return kl_each(mu, logvar).sum(1)


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
    "A1.1 ELBO of the linear-Gaussian model",
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


# A1.2


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
    "A1.2 smallest gap of a diagonal guess",
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
