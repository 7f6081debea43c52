"""Densities and divergences against torch.distributions, Monte Carlo and hand sums."""

import math

import pytest
import torch
from torch.distributions import (
    Bernoulli,
    Independent,
    Normal,
    kl_divergence,
)

from vae_helpers import distributions as d


def _posterior(b=7, z=5):
    return torch.randn(b, z), torch.randn(b, z)


def test_kl_equals_torch_distributions():
    mu, logvar = _posterior()
    q = Normal(mu, torch.exp(0.5 * logvar))
    exact = kl_divergence(q, Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(d.kl_to_standard_normal(mu, logvar), exact)


def test_kl_equals_monte_carlo():
    mu, logvar = _posterior(2, 3)
    n = 200_000
    m, v = mu.repeat_interleave(n, 0), logvar.repeat_interleave(n, 0)
    z = d.reparameterize(m, v)
    ratio = d.normal_log_prob(z, m, v) - d.standard_normal_log_prob(z)
    ratio = ratio.view(2, n)
    error = ratio.std(1) / math.sqrt(n)
    difference = ratio.mean(1) - d.kl_to_standard_normal(mu, logvar)
    assert (difference.abs() < 5 * error).all()


def test_kl_is_zero_only_at_the_prior_and_never_negative():
    zero = torch.zeros(1, 4)
    assert d.kl_to_standard_normal(zero, zero).item() == 0
    mu, logvar = _posterior(1000, 3)
    assert (d.kl_to_standard_normal(mu, logvar) > 0).all()


def test_log_densities_equal_torch_distributions():
    mu, logvar = _posterior()
    z = torch.randn_like(mu)
    normal = Independent(Normal(mu, torch.exp(0.5 * logvar)), 1)
    torch.testing.assert_close(d.normal_log_prob(z, mu, logvar), normal.log_prob(z))
    prior = Independent(Normal(torch.zeros_like(z), torch.ones_like(z)), 1)
    torch.testing.assert_close(d.standard_normal_log_prob(z), prior.log_prob(z))


def test_bernoulli_equals_torch_distributions_and_a_hand_sum():
    x, logits = torch.rand(3, 1, 4, 4).round(), torch.randn(3, 1, 4, 4)
    want = Independent(Bernoulli(logits=logits), 3).log_prob(x)
    torch.testing.assert_close(d.bernoulli_log_likelihood(x, logits), want)
    x, p = torch.tensor([[1.0, 0.0, 0.5]]), torch.tensor([[0.9, 0.2, 0.3]])
    hand = math.log(0.9) + math.log(0.8) + 0.5 * (math.log(0.3) + math.log(0.7))
    got = d.bernoulli_log_likelihood(x, torch.logit(p)).item()
    assert got == pytest.approx(hand, rel=1e-5)


def test_bernoulli_of_grey_is_the_mean_over_binary_images():
    x, logits = torch.rand(1, 6), torch.randn(1, 6)
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 6)
    weight = Independent(Bernoulli(x.expand(64, 6)), 1).log_prob(every).exp()
    nats = d.bernoulli_log_likelihood(every, logits.expand(64, 6))
    got = d.bernoulli_log_likelihood(x, logits).item()
    assert got == pytest.approx((weight * nats).sum().item(), rel=1e-5)


def test_entropy_is_the_floor_of_the_bernoulli_loss():
    x = torch.rand(5, 1, 3, 3)
    at_best = -d.bernoulli_log_likelihood(x, torch.logit(x))
    torch.testing.assert_close(d.bernoulli_entropy(x), at_best)
    worse = -d.bernoulli_log_likelihood(x, torch.logit(x) + 0.3)
    assert (worse > at_best).all()
    assert d.bernoulli_entropy(x.round()).abs().max() == 0


def test_gaussian_equals_torch_distributions_and_may_be_positive():
    x, mean = torch.rand(3, 1, 4, 4), torch.rand(3, 1, 4, 4)
    want = Independent(Normal(mean, 0.3), 3).log_prob(x)
    torch.testing.assert_close(d.gaussian_log_likelihood(x, mean, 0.3), want)
    assert (d.gaussian_log_likelihood(x, x, 0.05) > 0).all()


def test_reparameterize_has_the_moments_and_the_gradients():
    mu, logvar = torch.full((1, 1), 2.0), torch.full((1, 1), math.log(9.0))
    z = d.reparameterize(mu.expand(100_000, 1), logvar.expand(100_000, 1))
    assert abs(z.mean().item() - 2) < 5 * 3 / math.sqrt(1e5)
    assert abs(z.var().item() - 9) < 5 * 9 * math.sqrt(2 / 1e5)
    mu, logvar, eps = (t.requires_grad_() for t in torch.randn(3, 4, 2).unbind())
    d.reparameterize(mu, logvar, eps.detach()).sum().backward()
    torch.testing.assert_close(mu.grad, torch.ones(4, 2))
    half = 0.5 * torch.exp(0.5 * logvar) * eps
    torch.testing.assert_close(logvar.grad, half.detach())


def test_fresh_noise_differs_between_calls_images_and_dimensions():
    zero = torch.zeros(50, 3)
    a, b = d.reparameterize(zero, zero), d.reparameterize(zero, zero)
    assert not torch.equal(a, b)
    assert len(a.unique()) == a.numel()


@pytest.mark.parametrize("value", [255.0, -1.0, float("nan")])
def test_pixels_outside_the_unit_interval_are_refused(value):
    x = torch.rand(2, 1, 3, 3)
    x[0, 0, 0, 0] = value
    with pytest.raises(ValueError, match=r"need pixels in \[0, 1\]"):
        d.bernoulli_log_likelihood(x, torch.zeros_like(x))


@pytest.mark.parametrize(
    "shape", [(2, 1, 32, 32), (2, 3, 28, 28), (2, 1, 28), (1, 1, 28, 28), (2, 784)]
)
def test_shapes_never_broadcast(shape):
    with pytest.raises(ValueError, match="need equal shapes, got x "):
        d.bernoulli_log_likelihood(torch.zeros(2, 1, 28, 28), torch.zeros(shape))


def test_errors_name_what_came():
    mu = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"mu \(2, 3\), logvar \(2, 1\)"):
        d.kl_to_standard_normal(mu, torch.zeros(2, 1))
    with pytest.raises(ValueError, match="sigma > 0, got -1"):
        d.gaussian_log_likelihood(mu, mu, -1.0)
    with pytest.raises(ValueError, match=r"eps \(3,\)"):
        d.reparameterize(mu, mu, torch.zeros(3))
