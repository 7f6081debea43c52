"""Checks of lesson 03."""

import math

import torch

from vae_helpers.checks.legacy import Wrong, check, close, compare, evaluate, parts

CASES = 40
LOG_2PI = math.log(2 * math.pi)


def _generator(seed: int):
    """Draw standard normal float64 tensors that do not depend on anything outside."""
    generator = torch.Generator().manual_seed(seed)
    return lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)


def _kl_each(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar)


def _kl(mu, logvar):
    return _kl_each(mu, logvar).sum(1)


def _summed(formula):
    return lambda mu, logvar: formula(mu, logvar).sum(1)


KL_MISTAKES = [
    (
        _summed(lambda mu, lv: _kl_each(mu, 0.5 * lv)),
        "You pass log sigma where log sigma^2 belongs: logvar is log sigma^2 as it is, "
        "without a half.",
    ),
    (
        _summed(lambda mu, lv: mu**2 + lv.exp() - 1 - lv),
        "Every value is twice the right one: the factor one half is missing.",
    ),
    (
        lambda mu, lv: -_kl(mu, lv),
        "The sign is flipped: your values are never above 0, and a KL is never below 0.",
    ),
    (
        lambda mu, lv: _kl_each(mu, lv).mean(1),
        "This is a mean over the latent dimensions. The log-densities of independent "
        "dimensions add up: take the sum.",
    ),
    (
        _kl_each,
        "You return one number for each latent dimension. Add them up over axis 1.",
    ),
    (
        lambda mu, lv: _kl(mu, lv).mean(),
        "You took the mean over the batch. Return one number for each example, shape (B,).",
    ),
    (
        lambda mu, lv: _kl(mu, lv).sum(),
        "You summed over the batch too. Return one number for each example, shape (B,).",
    ),
    (
        lambda mu, lv: _kl_each(mu, lv).sum(0),
        "You summed over the batch axis 0. The latent dimensions are axis 1.",
    ),
    (
        lambda mu, lv: _kl_each(mu, lv).sum(1, keepdim=True),
        "The summed axis is still there, shape (B, 1). It broadcasts wrongly later; needed "
        "is (B,).",
    ),
    (
        _summed(lambda mu, lv: 0.5 * ((mu**2 + 1) * (-lv).exp() - 1 + lv)),
        "This is the KL in the other direction, from N(0, I) to q. Needed is the mean under "
        "q, from q to N(0, I).",
    ),
    (
        _summed(lambda mu, lv: 0.5 * (mu**2 + torch.exp(0.5 * lv) - 1 - lv)),
        "exp(0.5 * logvar) is sigma. The formula needs sigma squared: exp(logvar).",
    ),
    (
        _summed(lambda mu, lv: _kl_each(mu, 2 * lv)),
        "You treat logvar as log sigma, or exp(logvar) as sigma. It is log sigma^2, so "
        "exp(logvar) is already the variance.",
    ),
    (
        _summed(lambda mu, lv: 0.5 * (mu**2 + torch.exp(2 * lv) - 1 - lv)),
        "You squared exp(logvar). It is the variance already; do not square it again.",
    ),
    (
        _summed(lambda mu, lv: 0.5 * (mu**2 + lv**2 - 1 - torch.log(lv**2))),
        "You treat logvar as the standard deviation sigma. The variance is exp(logvar).",
    ),
    (
        _summed(lambda mu, lv: 0.5 * (mu**2 + lv - 1 - torch.log(lv))),
        "You treat logvar as the variance. It is its logarithm: the variance is exp(logvar).",
    ),
    (
        _summed(lambda mu, lv: 0.5 * (mu + lv.exp() - 1 - lv)),
        "mu must be squared: it may be negative, and its sign must not matter.",
    ),
    (
        _summed(lambda mu, lv: 0.5 * (mu**2 + lv.exp() - lv)),
        "The -1 of every latent dimension is missing: for mu = 0, logvar = 0 the KL is 0.",
    ),
    (
        _summed(lambda mu, lv: 0.5 * (mu**2 + lv.exp() - 1 + lv)),
        "The sign of the last term is wrong: it is minus log sigma^2.",
    ),
    (
        _summed(lambda mu, lv: 0.5 * (mu**2 + lv.exp() - 1 - 0.5 * lv)),
        "The last term is log sigma^2, which is logvar itself, not half of it.",
    ),
    (
        lambda mu, lv: 0.5 * ((mu**2 + lv.exp() - lv).sum(1) - 1),
        "The 1 is subtracted once. It belongs inside the sum: once for each dimension.",
    ),
    (
        lambda mu, lv: _kl(mu, lv).detach(),
        "The values are right but carry no gradient: `.item()`, `.detach()`, no_grad or a "
        "new tensor made from numbers cuts it, and nothing would be learned.",
    ),
    (
        lambda mu, lv: _kl(mu, lv.detach()),
        "The values are right but logvar gets no gradient: the width of q would not learn.",
    ),
    (
        lambda mu, lv: _kl(mu.detach(), lv),
        "The values are right but mu gets no gradient: the mean of q would not learn.",
    ),
]


@check("03.1 KL to the standard normal")
def kl_to_standard_normal(answer) -> str:
    """answer(mu, logvar) -> (B,) nats."""
    draw = _generator(0)
    cases = [
        (draw(2 + i % 4, 2 + i % 5), draw(2 + i % 4, 2 + i % 5)) for i in range(CASES)
    ]
    compare(answer, _kl, cases, KL_MISTAKES, gradients=True)
    return f"{CASES} random batches: values, sign, sum, shape and gradients."


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
    return torch.zeros(len(mu), dtype=mu.dtype)


ELBO_MISTAKES = [
    (
        lambda *case: (
            _elbo(*case, trace=lambda w, lv: 0.0)
            - 0.5 * (case[2].exp() @ (case[3] ** 2).sum(0))
        ),
        "The trace is not divided by sigma^2: it belongs to the squared error, inside the "
        "bracket.",
    ),
    (
        lambda *case: _elbo(*case, squares=1 / case[0].shape[1]),
        "The squared error is a mean over the D dimensions. Take the sum.",
    ),
    (
        _with(trace=lambda w, lv: (lv.exp() @ (w**2).sum(0)).sum()),
        "The trace is summed over the batch. Each example has its own.",
    ),
    (
        _with(trace=lambda w, lv: lv.exp() @ w.sum(0) ** 2),
        "In the trace you sum the weights of a column and then square. Square first, then "
        "sum over i.",
    ),
    (
        _with(trace=lambda w, lv: 0.0),
        "The trace term is missing: you decode the mean only. A fuzzy code costs the sum "
        "of sigma_j^2 times the squared weights of column j, for each example.",
    ),
    (
        _with(trace=lambda w, lv: torch.exp(0.5 * lv) @ (w**2).sum(0)),
        "In the trace you use sigma. It needs the variance, exp(logvar).",
    ),
    (
        _with(trace=lambda w, lv: lv @ (w**2).sum(0)),
        "In the trace you use logvar itself. It needs the variance, exp(logvar).",
    ),
    (
        _with(trace=lambda w, lv: torch.exp(2 * lv) @ (w**2).sum(0)),
        "In the trace the variance is squared. exp(logvar) is sigma squared already.",
    ),
    (
        _with(trace=lambda w, lv: lv.exp().sum(1)),
        "In the trace the weights are missing: the decoder stretches the spread of latent j "
        "by the squared length of column j of W.",
    ),
    (
        _with(trace=lambda w, lv: (w**2).sum()),
        "In the trace the variances of q are missing: this is right for sigma = 1 only.",
    ),
    (
        _with(trace=lambda w, lv: -(lv.exp() @ (w**2).sum(0))),
        "The trace has the wrong sign: a fuzzy code makes the expected error larger.",
    ),
    (
        _with(half=1.0),
        "The squared error and the trace are divided by sigma^2; it must be 2 sigma^2. The "
        "half of the Gaussian exponent is missing.",
    ),
    (
        _with(constant=lambda sigma: 0.0 * sigma),
        "The normalising constant is missing: -D/2 log(2 pi sigma^2). It depends on sigma, "
        "so without it sigma would grow for ever.",
    ),
    (
        _with(constant=lambda sigma: 2 * sigma.log()),
        "The 2 pi of the normalising constant is missing: the bound is too high by "
        "D/2 log(2 pi).",
    ),
    (
        _with(constant=lambda sigma: LOG_2PI + 0.0 * sigma),
        "The normalising constant has 2 pi but not sigma^2: log(2 pi sigma^2).",
    ),
    (
        _with(constant=lambda sigma: LOG_2PI + sigma.log()),
        "In the normalising constant you use sigma. Needed is log(2 pi sigma^2).",
    ),
    (
        _with(constant=lambda sigma: -LOG_2PI - 2 * sigma.log()),
        "The normalising constant has the wrong sign: a log-density has minus "
        "D/2 log(2 pi sigma^2).",
    ),
    (
        lambda x, *rest: _with(
            constant=lambda sigma: (LOG_2PI + 2 * sigma.log()) / x.shape[1]
        )(x, *rest),
        "The normalising constant is there once. It belongs to each of the D dimensions.",
    ),
    (
        _with(spread=lambda sigma: sigma),
        "You divide the squared error by 2 sigma; it must be 2 sigma^2.",
    ),
    (
        _with(
            spread=lambda sigma: sigma,
            constant=lambda sigma: LOG_2PI + sigma.log(),
        ),
        "You use sigma where sigma^2 belongs, in the error and in the constant: `sigma` is "
        "the standard deviation of the noise, not its variance.",
    ),
    (
        _with(spread=lambda sigma: 1.0),
        "The squared error is not divided by sigma^2: sigma sets its weight.",
    ),
    (
        _with(kl=lambda mu, lv: -_kl(mu, lv)),
        "The KL is added. The ELBO is the expected log-likelihood minus the KL.",
    ),
    (
        _with(kl=_zero),
        "The KL is missing: this is the expected log-likelihood alone, and no bound.",
    ),
    (
        _with(kl=lambda mu, lv: 2 * _kl(mu, lv)),
        "The KL counts twice: its factor one half is missing.",
    ),
    (
        _with(kl=lambda mu, lv: _kl_each(mu, lv).mean(1)),
        "The KL is a mean over the latent dimensions. Sum over them.",
    ),
    (
        _with(kl=lambda mu, lv: _kl(mu, 2 * lv)),
        "In the KL you treat logvar as log sigma. It is log sigma^2.",
    ),
    (
        _with(kl=lambda mu, lv: (0.5 * ((mu**2 + 1) * (-lv).exp() - 1 + lv)).sum(1)),
        "The KL has the wrong direction: needed is from q to N(0, I).",
    ),
    (
        lambda *case: -_elbo(*case),
        "The sign is that of a loss. Return the bound itself: higher is better.",
    ),
    (
        _changed(lambda x, m, v, w, b, s: (x + b, m, v, w, 0 * b, s)),
        "The offset is added to x. Subtract it: the decoder's mean is W mu + b.",
    ),
    (
        _changed(lambda x, m, v, w, b, s: (x, m, v, w, 0 * b, s)),
        "The offset b is missing in the decoded mean.",
    ),
    (
        lambda x, *rest: _elbo(x, *rest) / x.shape[1],
        "Everything is divided by D. Sum over the dimensions: the unit is nats per example.",
    ),
    (
        lambda *case: _elbo(*case).mean(),
        "You took the mean over the batch. Return one number for each example, shape (B,).",
    ),
    (
        lambda *case: _elbo(*case).sum(),
        "You summed over the batch. Return one number for each example, shape (B,).",
    ),
    (
        lambda *case: _elbo(*case).detach(),
        "The values are right but carry no gradient: something is detached, inside no_grad, "
        "or went through a Python number.",
    ),
    (
        _with(constant=lambda sigma: LOG_2PI + 2 * sigma.detach().log()),
        "The values are right, but sigma gets no gradient from the normalising constant. "
        "Use torch.log: math.log turns a tensor into a plain number.",
    ),
    (
        _changed(lambda x, m, v, w, b, s: (x, m, v, w, b, s.detach())),
        "The values are right, but sigma gets no gradient: it could not be learned.",
    ),
    (
        _changed(lambda x, m, v, w, b, s: (x, m, v.detach(), w, b, s)),
        "The values are right, but logvar gets no gradient: the width of q would not learn.",
    ),
]


def _elbo_cases() -> list[tuple]:
    draw, found = _generator(1), []
    for i in range(CASES):
        b, d, z = 2 + i % 4, 2 + i % 5, 1 + i % 4
        sigma = (0.4 * draw()).exp()
        found.append((draw(b, d), draw(b, z), draw(b, z), draw(d, z), draw(d), sigma))
    return found


@check("03.2 ELBO of the linear-Gaussian model")
def linear_gaussian_elbo(answer) -> str:
    """answer(x, mu, logvar, weight, offset, sigma) -> (B,) nats."""
    cases = _elbo_cases()
    first, second = (evaluate(answer, cases[0], False, seed) for seed in (0, 1))
    if not close(first, second):
        raise Wrong(
            "Two calls with the same input differ: you draw a random z. Here the mean over "
            "z has a formula; the trace term takes the place of the draws."
        )
    compare(answer, _elbo, cases, ELBO_MISTAKES, gradients=True)
    return f"{CASES} random models and batches: values, constants, signs and gradients."


def _log_mean_exp(log_weight):
    return log_weight.logsumexp(1) - math.log(log_weight.shape[1])


def _then(change):
    return lambda log_weight: change(_log_mean_exp(log_weight), log_weight)


LME_MISTAKES = [
    (
        lambda w: (
            w.max(1, keepdim=True).values
            + (w - w.max(1, keepdim=True).values).exp().mean(1).log()
        ),
        "The largest weight has shape (B, 1) and the rest (B,): together they broadcast to "
        "(B, B). Squeeze the largest weight before you add it.",
    ),
    (
        lambda w: w.mean(1),
        "This is the mean of the logs, which is the ELBO again. Needed is the log of the "
        "mean: exponential, mean, then logarithm.",
    ),
    (
        lambda w: w.logsumexp(1),
        "This is the log of the sum: log S must be subtracted to make it a mean. Without it "
        "the value grows with every sample and is no bound.",
    ),
    (
        lambda w: w.logsumexp(1) / w.shape[1],
        "You divide the logarithm by S. The sum must be divided, inside the logarithm; "
        "behind it that means subtracting log S.",
    ),
    (
        lambda w: w.logsumexp(1) - w.shape[1],
        "You subtract S. Dividing by S means subtracting log S behind the logarithm.",
    ),
    (
        lambda w: w.logsumexp(1) + math.log(w.shape[1]),
        "log S has the wrong sign: a mean is a sum divided by S.",
    ),
    (
        lambda w: w.logsumexp(1) - math.log2(w.shape[1]),
        "log S is in bits. All logarithms here are natural: math.log.",
    ),
    (
        lambda w: w.logsumexp(1) - math.log(len(w)),
        "You subtract the log of the batch size. The mean is over the S samples, axis 1.",
    ),
    (
        lambda w: w.exp().mean(1),
        "The logarithm is missing: this is the mean weight itself.",
    ),
    (
        lambda w: w.logsumexp(0) - math.log(len(w)),
        "This is a mean over the batch, axis 0. The samples are axis 1.",
    ),
    (
        lambda w: w.flatten().logsumexp(0) - math.log(w.numel()),
        "All examples are thrown together. Each example has its own mean over its S "
        "samples; the result has shape (B,).",
    ),
    (
        _then(lambda r, w: r.mean()),
        "You took the mean over the batch at the end. Return one number for each example.",
    ),
    (
        lambda w: (w - w.max(1, keepdim=True).values).exp().mean(1).log(),
        "The largest log-weight was taken out of the sum and not put back: add it at the "
        "end.",
    ),
    (
        lambda w: w.max(1).values,
        "This is the largest log-weight alone, not the log of the mean.",
    ),
    (
        _then(lambda r, w: -r),
        "The sign is that of a loss. Return the bound: higher is better.",
    ),
    (
        _then(lambda r, w: r.detach()),
        "The values are right but carry no gradient: `.item()`, `.detach()` or no_grad cuts "
        "it.",
    ),
    (
        _then(lambda r, w: r[:, None]),
        "The axis of the samples is still there, shape (B, 1). Needed is (B,).",
    ),
]
CLAMPED = [
    (
        lambda w, limit=limit: w.clamp(-limit, limit).exp().mean(1).log(),
        "The log-weights are clamped, so -1000 and -2000 count the same. Take the largest "
        "one out of the sum instead: that changes nothing.",
    )
    for limit in (50, 80, 88, 100, 500, 700)
]


@check("03.3 log of a mean of exponentials")
def log_mean_exp(answer) -> str:
    """answer(log_weight) -> (B,) nats."""
    draw = _generator(2)
    # Sizes that differ, so that a mean over the wrong axis shows.
    cases = [(2 * draw(2 + i % 3, 5 + i % 6) - 3,) for i in range(CASES)]
    compare(answer, _log_mean_exp, cases, LME_MISTAKES, gradients=True)
    # The last batch has rows far apart: one maximum for the whole batch is no help.
    rows = torch.tensor([[-1000.0], [0.0], [1000.0]], dtype=torch.float64)
    for level, name in [
        (-1000.0, "log-weights around -1000"),
        (1000.0, "log-weights around 1000"),
        (rows, "rows from -1000 to 1000 in one batch"),
    ]:
        extreme = (draw(3, 6) + level,)
        got = evaluate(answer, extreme, True)
        if not all(tensor.isfinite().all() for tensor in got.values()):
            raise Wrong(
                f"Right for small numbers, but with {name} the result or its gradient is "
                "infinite or NaN: exp overflows, or gives 0 whose log is minus infinity. "
                "Take the largest log-weight of each example out of the sum first."
            )
        compare(answer, _log_mean_exp, [extreme], CLAMPED, gradients=True)
    return f"{CASES} random batches with gradients, and log-weights of -1000 and 1000."


def _bits(nats, dimensions):
    return nats / (dimensions * math.log(2))


BITS_MISTAKES = [
    (
        lambda n, d: -_bits(n, d),
        "The sign is flipped. Converting a unit keeps the sign.",
    ),
    (
        lambda n, d: abs(_bits(n, d)),
        "Negative numbers lose their sign. A log-density may be positive, so minus its "
        "value may be negative.",
    ),
    (
        lambda n, d: n / d,
        "This is nats per dimension: the step from nats to bits, ln 2, is missing. (log2(2) "
        "is 1 and converts nothing.)",
    ),
    (
        lambda n, d: n / math.log(2),
        "This is bits per image: divide by the number of dimensions D.",
    ),
    (
        lambda n, d: n * math.log(2) / d,
        "You multiply by ln 2; divide by it. A bit is smaller than a nat, so the number of "
        "bits is larger.",
    ),
    (
        lambda n, d: n / math.log(2) * d,
        "You multiply by D; divide by it.",
    ),
    (
        lambda n, d: n / (d * math.log10(2)),
        "You use the logarithm to base 10. A nat belongs to the natural logarithm: math.log.",
    ),
    (
        lambda n, d: n / (2 * d),
        "You divide by 2 instead of its natural logarithm, ln 2.",
    ),
    (
        lambda n, d: n / math.log(2 * d),
        "You divide by ln(2 D). Needed is D times ln 2.",
    ),
    (
        lambda n, d: _bits(n, d**2),
        "You divide by D twice.",
    ),
    (
        lambda n, d: _bits(n, d) + 8,
        "You add 8 bits. That belongs to densities of 8-bit pixels scaled to [0, 1]; here "
        "only the unit changes.",
    ),
    (
        lambda n, d: _bits(n, d).mean(),
        "You took a mean over the batch. Keep the shape that came.",
    ),
]


@check("03.4 bits per dimension")
def bits_per_dimension(answer) -> str:
    """answer(nats, dimensions) -> the same shape as nats."""
    draw = _generator(3)
    cases = [(100 * draw(3), 1 + (37 * i) % 800) for i in range(CASES)]
    compare(answer, _bits, cases, BITS_MISTAKES, gradients=True)
    number = answer(543.4, 784)
    if not close(parts(number), parts(_bits(543.4, 784))):
        raise Wrong(
            "Right for tensors but not for a Python number: answer(543.4, 784) differs."
        )
    return (
        f"{CASES} random batches, sizes from 1 to 800 dimensions, and a plain number."
    )


def _gap(covariance):
    precision = torch.linalg.inv(covariance)
    return 0.5 * (precision.diagonal().log().sum() + torch.logdet(covariance))


def _kl_same_mean(variances, covariance):
    precision = torch.linalg.inv(covariance)
    trace = (precision.diagonal() * variances).sum()
    log_det = torch.logdet(covariance) - variances.log().sum()
    return 0.5 * (trace - len(covariance) + log_det)


GAP_MISTAKES = [
    (
        lambda c: 0.5 * (torch.logdet(c) - c.diagonal().log().sum()),
        "You take one over the diagonal of the covariance for the diagonal of its inverse. "
        "They differ when the latents are correlated: invert the matrix first.",
    ),
    (
        lambda c: 0.5 * (torch.logdet(c) - torch.linalg.inv(c).diagonal().log().sum()),
        "The sign of the log-variances is wrong: each best variance is one over the "
        "diagonal of the inverse, and the KL has minus its logarithm.",
    ),
    (
        lambda c: (
            0.5 * (torch.linalg.inv(c).diagonal().log().sum() + torch.linalg.det(c))
        ),
        "The determinant of the covariance has no logarithm.",
    ),
    (
        lambda c: _kl_same_mean(c.diagonal(), c),
        "You used the diagonal of the covariance as variances. These are the spreads of "
        "each latent alone, and not the best ones for this KL: set its derivative to zero.",
    ),
    (
        lambda c: 0.5 * (c.diagonal().log().sum() - torch.logdet(c)),
        "This is the smallest KL in the other direction, from the posterior to q. The gap "
        "of the ELBO is from q to the posterior.",
    ),
    (
        lambda c: 2 * _gap(c),
        "Twice the right value: the one half of the Gaussian KL is missing.",
    ),
    (
        lambda c: -_gap(c),
        "The sign is flipped: a gap is a KL and never negative.",
    ),
    (
        lambda c: _kl_same_mean(torch.ones_like(c.diagonal()), c),
        "Your q is the prior's shape, all variances 1. Choose the variances that make the "
        "KL smallest.",
    ),
    (
        lambda c: 0.5 * torch.linalg.inv(c).diagonal().log().sum(),
        "The log-determinant of the covariance is missing.",
    ),
    (
        lambda c: 0.5 * torch.logdet(c),
        "The log-variances of q are missing.",
    ),
    (
        lambda c: _gap(c) + 0.5 * len(c),
        "With the best variances the trace equals Z and cancels the -Z of the formula.",
    ),
    (
        lambda c: _kl_same_mean(torch.linalg.inv(c).diagonal(), c),
        "You used the diagonal of the inverse as variances. The derivative is zero at one "
        "divided by it.",
    ),
    (
        lambda c: _gap(c) / len(c),
        "The gap is divided by Z. Sum over the latent dimensions.",
    ),
    (
        lambda c: 1 / torch.linalg.inv(c).diagonal(),
        "These are the best variances. Return the KL that remains with them, one number.",
    ),
    (
        lambda c: torch.zeros((), dtype=c.dtype),
        "You return 0: that is right only when the covariance is diagonal.",
    ),
]


@check("03.5 smallest gap of a diagonal guess")
def smallest_gap(answer) -> str:
    """answer(covariance) -> a number, nats."""
    draw, cases = _generator(4), []
    for i in range(CASES):
        z = 3 + i % 4
        root = draw(z, z)
        cases.append((root @ root.T / z + 0.3 * torch.eye(z, dtype=torch.float64),))
    compare(answer, _gap, cases, GAP_MISTAKES)
    flat = (torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64).diag(),)
    compare(answer, _gap, [flat])
    return f"{CASES} random covariances, and a diagonal one with no gap."
