"""Right and wrong answers to the exercises of lesson 03, written in many ways."""

import math

import torch
import torch.distributions as td

from vae_helpers.checks import lesson03 as check

# 03.1 ---------------------------------------------------------------------------------


def kl_formula(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


def kl_paper(mu, logvar):
    return -0.5 * torch.sum(1 + logvar - mu.pow(2) - torch.exp(logvar), dim=-1)


def kl_library(mu, logvar):
    q = td.Normal(mu, torch.exp(0.5 * logvar))
    p = td.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return td.kl_divergence(q, p).sum(1)


def kl_multivariate(mu, logvar):
    z = mu.shape[1]
    q = td.MultivariateNormal(mu, logvar.exp().diag_embed())
    p = td.MultivariateNormal(torch.zeros(z).to(mu), torch.eye(z).to(mu))
    return td.kl_divergence(q, p)


def kl_loop(mu, logvar):
    result = []
    for m, v in zip(mu, logvar, strict=True):
        total = 0.0
        for j in range(len(m)):
            total = total + 0.5 * (m[j] ** 2 + torch.exp(v[j]) - 1 - v[j])
        result.append(total)
    return torch.stack(result)


def kl_float32(mu, logvar):
    return kl_formula(mu.float(), logvar.float())


def kl_without_half(mu, logvar):
    return (mu**2 + logvar.exp() - 1 - logvar).sum(1)


def kl_everything_sum(mu, logvar):
    return -0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp())


def kl_reversed(mu, logvar):
    q = td.Normal(mu, torch.exp(0.5 * logvar))
    p = td.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return td.kl_divergence(p, q).sum(1)


def kl_logvar_is_sigma(mu, logvar):
    return 0.5 * (mu**2 + logvar**2 - 1 - torch.log(logvar**2)).sum(1)


def kl_plus_logvar(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 + logvar).sum(1)


def kl_in_place(mu, logvar):
    with torch.no_grad():
        logvar.exp_()
    return 0.5 * (mu**2 + logvar - 1 - logvar.log()).sum(1)


def returns_nothing(*arguments):
    pass


# 03.2 ---------------------------------------------------------------------------------


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


# 03.3 ---------------------------------------------------------------------------------


def lme_library(log_weight):
    return torch.logsumexp(log_weight, dim=1) - math.log(log_weight.shape[1])


def lme_by_hand(log_weight):
    top = log_weight.max(dim=1, keepdim=True).values
    return (top + (log_weight - top).exp().mean(1, keepdim=True).log()).squeeze(1)


def lme_detached_top(log_weight):
    top = log_weight.detach().amax(1)
    return top + torch.log(torch.mean(torch.exp(log_weight - top[:, None]), 1))


def lme_loop(log_weight):
    rows = []
    for row in log_weight:
        total = row[0]
        for value in row[1:]:
            total = torch.logaddexp(total, value)
        rows.append(total - math.log(len(row)))
    return torch.stack(rows)


def lme_inside(log_weight):
    return (log_weight - math.log(log_weight.shape[1])).logsumexp(-1)


def lme_mean_of_logs(log_weight):
    return log_weight.mean(dim=1)


def lme_naive(log_weight):
    return log_weight.exp().mean(1).log()


def lme_one_maximum(log_weight):
    top = log_weight.max()
    return top + (log_weight - top).exp().mean(1).log()


def lme_without_log(log_weight):
    return log_weight.exp().mean(1)


def lme_divided(log_weight):
    return log_weight.logsumexp(1) / log_weight.shape[1]


def lme_detached(log_weight):
    return lme_library(log_weight.detach())


def lme_clamped(log_weight):
    return log_weight.clamp(-500, 500).exp().mean(1).log()


# 03.4 ---------------------------------------------------------------------------------


def bits_formula(nats, dimensions):
    return nats / (dimensions * math.log(2))


def bits_in_two_steps(nats, dimensions):
    bits = nats * math.log2(math.e)
    return bits / dimensions


def bits_with_tensors(nats, dimensions):
    return nats / dimensions / torch.log(torch.tensor(2.0))


def bits_flipped(nats, dimensions):
    return -nats / (dimensions * math.log(2))


def bits_only_dimension(nats, dimensions):
    return nats / dimensions


def bits_multiplied(nats, dimensions):
    return nats * math.log(2) / dimensions


def bits_halved(nats, dimensions):
    return nats / (2 * dimensions)


def bits_eight(nats, dimensions):
    return nats / (dimensions * math.log(2)) + 8


def bits_tensor_only(nats, dimensions):
    return nats.clone() / (dimensions * math.log(2))


# 03.5 ---------------------------------------------------------------------------------


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


def weights_formula(log_likelihood, z, mu, logvar):
    mu, logvar = mu.unsqueeze(1), logvar.unsqueeze(1)
    ratio = (z - mu).square() / logvar.exp() + logvar - z.square()
    return log_likelihood + 0.5 * ratio.sum(-1)


def weights_library(log_likelihood, z, mu, logvar):
    q = td.Independent(td.Normal(mu, (logvar / 2).exp()), 1)
    p = td.Independent(td.Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    samples = z.transpose(0, 1)
    return log_likelihood + (p.log_prob(samples) - q.log_prob(samples)).T


def weights_of_sigma(log_likelihood, z, mu, logvar):
    return weights_library(log_likelihood, z, mu, 2 * logvar)


EXERCISES = {
    "03.1": {
        "check": check.kl_to_standard_normal,
        "right": [
            (kl_formula,),
            (kl_paper,),
            (kl_library,),
            (kl_multivariate,),
            (kl_loop,),
            (kl_float32,),
        ],
        "wrong": [
            ((kl_without_half,), "one half is missing"),
            ((kl_everything_sum,), "summed over the batch too"),
            ((kl_reversed,), "other direction"),
            ((kl_logvar_is_sigma,), "logvar as the standard deviation"),
            ((kl_plus_logvar,), "minus log sigma^2"),
            ((kl_in_place,), "changed a tensor"),
            ((returns_nothing,), "returned None"),
        ],
    },
    "03.2": {
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
    "03.3": {
        "check": check.log_mean_exp,
        "right": [
            (lme_library, weights_library),
            (lme_by_hand, weights_formula),
            (lme_detached_top, weights_formula),
            (lme_loop, weights_formula),
            (lme_inside, weights_formula),
        ],
        "wrong": [
            ((lme_mean_of_logs, weights_formula), "mean of the logs"),
            ((lme_naive, weights_formula), "log-weights around -1000"),
            ((lme_one_maximum, weights_formula), "rows from -1000 to 1000"),
            ((lme_without_log, weights_formula), "logarithm is missing"),
            ((lme_divided, weights_formula), "divide the logarithm by S"),
            ((lme_detached, weights_formula), "carry no gradient"),
            ((lme_clamped, weights_formula), "a limit on the weights"),
            ((returns_nothing,), "returned None"),
            ((lme_library, weights_of_sigma), "logvar as log sigma"),
            (
                (lme_library, lambda ll, z, m, v: weights_formula(ll, z, m, v).sum(1)),
                "shape",
            ),
        ],
    },
    "03.4": {
        "check": check.bits_per_dimension,
        "right": [(bits_formula,), (bits_in_two_steps,), (bits_with_tensors,)],
        "wrong": [
            ((bits_flipped,), "sign is flipped"),
            ((bits_only_dimension,), "nats per dimension"),
            ((bits_multiplied,), "multiply by ln 2"),
            ((bits_halved,), "divide by 2 instead"),
            ((bits_eight,), "add 8 bits"),
            ((bits_tensor_only,), "AttributeError"),
            ((returns_nothing,), "returned None"),
        ],
    },
    "03.5": {
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
