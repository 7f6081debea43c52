"""Right and wrong answers to the exercises of the appendix A1, written in many ways."""

import math

import torch
import torch.distributions as td

from vae_helpers.checks import lessonA1 as check

# The KL is part of the ELBO: as in lesson 03.


def kl_formula(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


def kl_library(mu, logvar):
    q = td.Normal(mu, torch.exp(0.5 * logvar))
    p = td.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return td.kl_divergence(q, p).sum(1)


def returns_nothing(*arguments):
    pass


# A1.1 ---------------------------------------------------------------------------------


def elbo_formula(x, mu, logvar, weight, offset, sigma):
    d = x.shape[1]
    squares = ((x - offset - mu @ weight.T) ** 2).sum(1)
    trace = logvar.exp() @ (weight**2).sum(0)
    likelihood = -0.5 * d * torch.log(2 * math.pi * sigma**2)
    likelihood = likelihood - (squares + trace) / (2 * sigma**2)
    return likelihood - kl_formula(mu, logvar)


def elbo_library(x, mu, logvar, weight, offset, sigma):
    mean = torch.einsum("dz,bz->bd", weight, mu) + offset
    spread = weight @ logvar.exp().diag_embed() @ weight.T  # (B, D, D)
    trace = spread.diagonal(dim1=1, dim2=2).sum(1)
    likelihood = td.Normal(mean, sigma).log_prob(x).sum(1) - 0.5 * trace / sigma**2
    return likelihood - kl_library(mu, logvar)


def elbo_loop(x, mu, logvar, weight, offset, sigma):
    rows = []
    for row, m, v in zip(x, mu, logvar, strict=True):
        total = -0.5 * len(row) * (math.log(2 * math.pi) + 2 * torch.log(sigma))
        for i in range(len(row)):
            mean, variance = offset[i], 0.0
            for j in range(len(m)):
                mean = mean + weight[i, j] * m[j]
                variance = variance + weight[i, j] ** 2 * v[j].exp()
            total = total - ((row[i] - mean) ** 2 + variance) / (2 * sigma**2)
        rows.append(total - kl_formula(m[None], v[None])[0])
    return torch.stack(rows)


def elbo_energy_and_entropy(x, mu, logvar, weight, offset, sigma):
    """E[log p(x, z)] plus the entropy of q, instead of reconstruction minus KL."""
    d, z = weight.shape
    scaled = weight / sigma
    away = (x - offset) / sigma - mu @ scaled.T
    energy = (away**2).sum(1) + (logvar.exp() * (scaled**2).sum(0)).sum(1)
    energy = energy + d * math.log(2 * math.pi) + 2 * d * torch.log(sigma)
    prior = z * math.log(2 * math.pi) + (mu**2 + logvar.exp()).sum(1)
    entropy = 0.5 * (z * (1 + math.log(2 * math.pi)) + logvar.sum(1))
    return -0.5 * (energy + prior) + entropy


def elbo_with(
    *, trace=1, half=0.5, pi=True, log_sigma=2.0, power=2, kl=-1.0, offset_sign=1
):
    """A wrong ELBO from parts; the defaults give the right one."""

    def answer(x, mu, logvar, weight, offset, sigma):
        squares = ((x - offset_sign * offset - mu @ weight.T) ** 2).sum(1)
        squares = squares + trace * (logvar.exp() @ (weight**2).sum(0))
        constant = pi * math.log(2 * math.pi) + log_sigma * sigma.log()
        likelihood = -half * squares / sigma**power - 0.5 * x.shape[1] * constant
        return likelihood + kl * kl_formula(mu, logvar)

    return answer


def elbo_sampled(x, mu, logvar, weight, offset, sigma):
    z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
    likelihood = td.Normal(z @ weight.T + offset, sigma).log_prob(x).sum(1)
    return likelihood - kl_formula(mu, logvar)


def elbo_batch_mean(*case):
    return elbo_formula(*case).mean()


# A1.2 ---------------------------------------------------------------------------------


def gap_formula(covariance):
    precision = torch.linalg.inv(covariance)
    return 0.5 * (torch.logdet(covariance) + precision.diag().log().sum())


def gap_library(covariance):
    zero = torch.zeros(len(covariance)).to(covariance)
    variances = 1 / torch.linalg.inv(covariance).diagonal()
    q = td.MultivariateNormal(zero, variances.diag())
    return td.kl_divergence(q, td.MultivariateNormal(zero, covariance))


def gap_number(covariance):
    values = torch.linalg.eigvalsh(covariance)
    spreads = torch.linalg.inv(covariance).diagonal().tolist()
    return 0.5 * (values.log().sum().item() + sum(math.log(s) for s in spreads))


def gap_by_search(covariance):
    precision, z = torch.linalg.inv(covariance), len(covariance)
    log_variance = torch.zeros(z).to(covariance).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [log_variance], max_iter=100, line_search_fn="strong_wolfe"
    )

    def kl():
        trace = (precision.diag() * log_variance.exp()).sum()
        return 0.5 * (trace - z + torch.logdet(covariance) - log_variance.sum())

    def closure():
        optimizer.zero_grad()
        loss = kl()
        loss.backward()
        return loss

    optimizer.step(closure)
    return kl().detach()


def gap_with(variances):
    """The KL with a wrong choice of variances."""

    def answer(covariance):
        zero = torch.zeros(len(covariance)).to(covariance)
        q = td.MultivariateNormal(zero, variances(covariance).diag())
        return td.kl_divergence(q, td.MultivariateNormal(zero, covariance))

    return answer


def gap_doubled(covariance):
    return 2 * gap_formula(covariance)


def gap_variances(covariance):
    return 1 / torch.linalg.inv(covariance).diag()


def gap_zero(covariance):
    return 0.0


EXERCISES = {
    "A1.1": {
        "check": check.linear_gaussian_elbo,
        "right": [
            (elbo_formula,),
            (elbo_library,),
            (elbo_loop,),
            (elbo_energy_and_entropy,),
            (elbo_with(),),
        ],
        "wrong": [
            ((elbo_with(trace=0),), "trace term is missing"),
            ((elbo_with(pi=False, log_sigma=0.0),), "normalising constant is missing"),
            ((elbo_with(power=1, log_sigma=1.0),), "sigma where sigma^2 belongs"),
            ((elbo_with(offset_sign=0),), "offset b is missing"),
            ((elbo_sampled,), "you draw a random z"),
            ((elbo_batch_mean,), "mean over the batch"),
            ((returns_nothing,), "returned None"),
        ],
    },
    "A1.2": {
        "check": check.smallest_gap,
        "right": [(gap_formula,), (gap_library,), (gap_number,), (gap_by_search,)],
        "wrong": [
            ((gap_with(lambda c: c.diag()),), "diagonal of the covariance"),
            ((gap_with(lambda c: 1 + 0 * c.diag()),), "all variances 1"),
            ((gap_doubled,), "one half"),
            ((gap_variances,), "best variances"),
            ((gap_zero,), "comes out as 0"),
            ((returns_nothing,), "returned None"),
        ],
    },
}
