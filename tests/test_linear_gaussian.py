"""The exact model against truths that do not share its formulas."""

import math

import pytest
import torch
from sklearn.decomposition import PCA
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from vae_helpers import linear_gaussian as lg

SEEDS = range(10)


def tensor(generator, *shape):
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def case(seed, b=7, d=5, z=3):
    """x, (weight, offset, sigma), mean and logvar of some q."""
    g = torch.Generator().manual_seed(seed)
    model = tensor(g, d, z), tensor(g, d), tensor(g).mul(0.5).exp()
    return 2 * tensor(g, b, d), model, tensor(g, b, z), tensor(g, b, z)


def covariance(seed, *batch, z=3):
    g = torch.Generator().manual_seed(seed)
    a = tensor(g, *batch, z, z)
    return a @ a.mT + 0.1 * torch.eye(z, dtype=torch.float64)


def density_log_prob(x, weight, offset, sigma):
    eye = torch.eye(len(weight), dtype=torch.float64)
    return MultivariateNormal(offset, weight @ weight.T + sigma**2 * eye).log_prob(x)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("d", "z"), [(5, 3), (3, 3), (2, 4), (6, 1)])
def test_log_evidence_is_the_marginal_density(seed, d, z):
    x, model, _, _ = case(seed, d=d, z=z)
    wanted = density_log_prob(x, *model)
    torch.testing.assert_close(lg.log_evidence(x, *model), wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_posterior_is_bayes_rule(seed):
    x, (weight, offset, sigma), z, _ = case(seed)
    mean, spread = lg.posterior(x, weight, offset, sigma)
    left = MultivariateNormal(mean, spread).log_prob(z)
    joint = Normal(z @ weight.T + offset, sigma).log_prob(x).sum(1)
    joint = joint + Normal(0.0, 1.0).log_prob(z).sum(1)
    right = joint - density_log_prob(x, weight, offset, sigma)
    torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9)


def test_one_dimension_by_quadrature():
    numbers = torch.tensor([0.8, 1.1, 0.4, -0.7, 0.3], dtype=torch.float64)
    weight, x, mu, logvar = numbers[:4, None, None]
    offset, sigma = numbers[4:], 0.6
    z = torch.linspace(-12, 12, 24001, dtype=torch.float64)
    step = z[1] - z[0]
    log_joint = Normal(0.8 * z + offset, sigma).log_prob(x[0])
    log_joint = log_joint + Normal(0.0, 1.0).log_prob(z)
    log_p = (log_joint.exp().sum() * step).log()
    q = Normal(mu[0], torch.exp(0.5 * logvar[0]))
    bound = (q.log_prob(z).exp() * (log_joint - q.log_prob(z))).sum() * step
    post = (log_joint - log_p).exp()
    mean = (post * z).sum() * step
    variance = (post * (z - mean) ** 2).sum() * step
    model = weight, offset, sigma
    found, spread = lg.posterior(x, *model)
    for got, wanted in [
        (lg.log_evidence(x, *model)[0], log_p),
        (lg.elbo(x, mu, logvar, *model)[0], bound),
        (found[0, 0], mean),
        (spread[0, 0], variance),
    ]:
        assert got.item() == pytest.approx(wanted.item(), abs=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_elbo_is_tight_at_the_posterior(seed):
    x, model, _, _ = case(seed)
    tight = lg.elbo_full(x, *lg.posterior(x, *model), *model)
    wanted = density_log_prob(x, *model)
    torch.testing.assert_close(tight, wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_gap_is_the_kl_to_the_posterior(seed):
    x, model, mu, logvar = case(seed)
    mean, spread = lg.posterior(x, *model)
    log_p = density_log_prob(x, *model)
    spread = spread.expand(len(x), -1, -1)
    for s in (logvar.exp().diag_embed(), covariance(seed), covariance(seed, len(x))):
        gap = log_p - lg.elbo_full(x, mu, s, *model)
        q = MultivariateNormal(mu, s.expand_as(spread))
        wanted = kl_divergence(q, MultivariateNormal(mean, spread))
        torch.testing.assert_close(gap, wanted, rtol=1e-9, atol=1e-9)
        assert (gap >= 0).all()
        own = lg.kl_between_gaussians(mu, s, mean, spread[0])
        torch.testing.assert_close(own, wanted, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_diagonal_and_full_elbo_agree(seed):
    x, model, mu, logvar = case(seed)
    full = lg.elbo_full(x, mu, logvar.exp().diag_embed(), *model)
    torch.testing.assert_close(lg.elbo(x, mu, logvar, *model), full)


def test_elbo_is_the_mean_of_log_joint_minus_log_q():
    x, (weight, offset, sigma), mu, logvar = case(0, b=1)
    g, s = torch.Generator().manual_seed(1), 200_000
    z = mu + torch.exp(0.5 * logvar) * tensor(g, s, mu.shape[1])
    weights = (
        Normal(z @ weight.T + offset, sigma).log_prob(x).sum(1)
        + Normal(0.0, 1.0).log_prob(z).sum(1)
        - Normal(mu, torch.exp(0.5 * logvar)).log_prob(z).sum(1)
    )
    error = weights.mean() - lg.elbo(x, mu, logvar, weight, offset, sigma)[0]
    assert abs(error) < 6 * weights.std() / math.sqrt(s)


@pytest.mark.parametrize("seed", SEEDS)
def test_fit_reaches_the_score_of_sklearn(seed):
    g = torch.Generator().manual_seed(seed)
    x = tensor(g, 300, 3) @ tensor(g, 3, 8) + 0.5 * tensor(g, 300, 8) + tensor(g, 8)
    # sklearn divides by n - 1; scaling the centred data makes its covariance ours.
    n, centred = len(x), x - x.mean(0)
    scaled = (centred * math.sqrt((n - 1) / n)).numpy()
    pca = PCA(3, svd_solver="full").fit(scaled)
    weight, offset, sigma = lg.maximum_likelihood(x, 3)
    assert sigma.item() ** 2 == pytest.approx(pca.noise_variance_, rel=1e-9)
    wanted = pca.score(centred.numpy())
    assert lg.max_log_evidence(x, 3) == pytest.approx(wanted, abs=1e-9)
    reached = lg.log_evidence(x, weight, offset, sigma).mean().item()
    assert reached == pytest.approx(wanted, abs=1e-9)
    axes = torch.as_tensor(pca.components_) @ (weight / weight.norm(dim=0))
    torch.testing.assert_close(axes.abs(), torch.eye(3, dtype=torch.float64))
    spread = lg.posterior(x, weight, offset, sigma)[1]
    assert (spread - spread.diag().diag()).abs().max() < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_nothing_near_the_fit_is_better(seed):
    g = torch.Generator().manual_seed(seed)
    x = tensor(g, 200, 2) @ tensor(g, 2, 5) + 0.4 * tensor(g, 200, 5)
    weight, offset, sigma = lg.maximum_likelihood(x, 2)
    for _ in range(20):
        other = (
            weight + 0.01 * tensor(g, 5, 2),
            offset + 0.01 * tensor(g, 5),
            sigma * (1 + 0.01 * tensor(g)),
        )
        assert lg.log_evidence(x, *other).mean() < lg.max_log_evidence(x, 2)


@pytest.mark.parametrize("seed", range(3))
def test_a_linear_vae_reaches_the_closed_form_optimum(seed):
    g = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(tensor(g, 8, 3)).Q * torch.tensor([4.0, 2.5, 1.5])
    x = tensor(g, 300, 3) @ basis.T + 0.5 * tensor(g, 300, 8)
    best = lg.max_log_evidence(x, 3)
    parameters = [0.1 * tensor(g, 3, 8), torch.zeros(3), 0.1 * tensor(g, 8, 3)]
    parameters += [torch.zeros(8), torch.zeros(())]
    parameters = [p.double().requires_grad_() for p in parameters]

    def bound():
        encoder, logvar, weight, offset, log_sigma = parameters
        mu = (x - offset) @ encoder.T
        return lg.elbo(x, mu, logvar.expand_as(mu), weight, offset, log_sigma.exp())

    optimizer = torch.optim.LBFGS(
        parameters, max_iter=400, history_size=50, line_search_fn="strong_wolfe"
    )

    def loss():
        optimizer.zero_grad()
        value = -bound().mean()
        value.backward()
        return value

    optimizer.step(loss)
    weight, offset, sigma = (
        p.detach() for p in (*parameters[2:4], parameters[4].exp())
    )
    with torch.no_grad():
        reached, exact = bound().mean(), lg.log_evidence(x, weight, offset, sigma)
    assert best - 0.01 < reached <= exact.mean() + 1e-9 <= best + 2e-9
    axes = lg.maximum_likelihood(x, 3)[0]
    axes, own = (w / w.norm(dim=0) for w in (axes, weight))
    subspace = torch.linalg.svdvals(axes.T @ own)
    assert subspace.min() > 0.999
    cosines = (axes.T @ own).abs()
    assert (cosines.max(0).values > 0.99).all() and (cosines.max(1).values > 0.99).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_everything_is_float64(dtype):
    x, model, mu, logvar = case(0)
    x, mu, logvar = (t.to(dtype) for t in (x, mu, logvar))
    model = [t.to(dtype) for t in model]
    mean, spread = lg.posterior(x, *model)
    found = [
        lg.log_evidence(x, *model),
        lg.elbo(x, mu, logvar, *model),
        lg.elbo_full(x, mean, spread, *model),
        lg.kl_between_gaussians(mu, spread, mean, spread),
        mean,
        spread,
        *lg.maximum_likelihood(torch.cat([x, x + 1, -x]), 2),
    ]
    assert {t.dtype for t in found} == {torch.float64}


def test_gradients_are_those_of_finite_differences():
    x, model, mu, logvar = case(0, b=2, d=3, z=2)
    leaves = [t.requires_grad_() for t in (x, mu, logvar, *model)]
    assert torch.autograd.gradcheck(lg.elbo, leaves)
    assert torch.autograd.gradcheck(lg.log_evidence, [leaves[0], *leaves[3:]])


X, MODEL, MU, LOGVAR = case(0)
WEIGHT, OFFSET, SIGMA = MODEL
EYE = torch.eye(3, dtype=torch.float64)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: lg.log_evidence(X[:, :4], *MODEL), r"\(B, 5\), got \(7, 4\)"),
        (lambda: lg.log_evidence(X[0], *MODEL), r"\(B, 5\), got \(5,\)"),
        (lambda: lg.log_evidence(X, WEIGHT.T, OFFSET, SIGMA), r"weight \(3, 5\)"),
        (lambda: lg.log_evidence(X, WEIGHT, OFFSET, 0.0), r"sigma > 0, got 0.0"),
        (lambda: lg.log_evidence(X, WEIGHT, OFFSET, math.nan), "sigma > 0, got nan"),
        (lambda: lg.posterior(X, WEIGHT, OFFSET, -1), "sigma > 0, got -1"),
        (lambda: lg.elbo(X, MU[:, :2], LOGVAR, *MODEL), r"mu .*\(B, 3\), got \(7, 2\)"),
        (lambda: lg.elbo(X, MU[:1], LOGVAR, *MODEL), r"one row .* mu \(1, 3\)"),
        (lambda: lg.elbo_full(X, MU[:1], EYE, *MODEL), r"one mean .* mean \(1, 3\)"),
        (lambda: lg.elbo_full(X, MU, LOGVAR.exp(), *MODEL), "torch.diag_embed"),
        (lambda: lg.elbo_full(X, MU, -EYE, *MODEL), "positive definite covariance"),
        (lambda: lg.elbo_full(X, MU, EYE + EYE.roll(1, 0) / 9, *MODEL), "symmetric"),
        (lambda: lg.kl_between_gaussians(MU, EYE, MU[:1], EYE), r"mean_p \(1, 3\)"),
        (lambda: lg.kl_between_gaussians(MU, EYE, MU, 0 * EYE), "covariance_p"),
        (lambda: lg.maximum_likelihood(X, 5), r"latent_size < D = 5, got 5"),
        (lambda: lg.maximum_likelihood(X, 0), r"got 0"),
        (lambda: lg.maximum_likelihood(X[:1], 2), r"at least 2 rows, got \(1, 5\)"),
        (lambda: lg.max_log_evidence(X[:3], 2), r"no maximum.*\(3, 5\)"),
    ],
)
def test_errors_name_what_came_and_what_was_needed(call, words):
    with pytest.raises(ValueError, match=words):
        call()
