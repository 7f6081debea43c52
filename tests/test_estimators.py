"""The estimators of lesson 02 against quadrature, exact sums and torch.distributions."""

import math

import numpy as np
import pytest
import torch
from lesson_source import definitions
from torch.distributions import Laplace

from vae_helpers import distributions


@pytest.fixture(scope="module")
def lesson() -> dict:
    """The functions that the lesson defines."""
    return definitions("02_reparameterization")


def gauss(mu, dimensions, nodes=12):
    """All nodes and weights of a quadrature, exact for the polynomials used here."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    grid = np.meshgrid(*[points] * dimensions, indexing="ij")
    weight = np.ones_like(grid[0])
    for axis in np.meshgrid(*[weights / weights.sum()] * dimensions, indexing="ij"):
        weight = weight * axis
    eps = np.stack([axis.ravel() for axis in grid], axis=1)
    return torch.from_numpy(eps), torch.from_numpy(weight.ravel())


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
@pytest.mark.parametrize("mu", [0.0, 0.7, 1.0, 3.0, 10.0])
def test_exact_variances_agree_with_quadrature(lesson, mu, dimensions):
    eps, weight = gauss(mu, dimensions)
    exact = lesson["exact_variances"](mu, dimensions)
    for name, estimates in lesson["all_estimates"](mu, eps).items():
        mean = (weight * estimates).sum()
        variance = (weight * (estimates - mean) ** 2).sum()
        assert mean.item() == pytest.approx(2 * mu, abs=1e-8), name
        assert variance.item() == pytest.approx(exact[name], rel=1e-9), name


def test_exact_variances_are_the_published_polynomials(lesson):
    for mu in (0, 1, 2, 5, 10):
        assert lesson["exact_variances"](mu, 1) == {
            "pathwise": 4,
            "score function": mu**4 + 14 * mu**2 + 15,
            "with baseline": 8 * mu**2 + 10,
        }
    for d in (1, 10, 100):
        found = lesson["exact_variances"](1, d)["score function"]
        assert found == 30 + 22 * (d - 1) + 4 * (d - 1) ** 2


def test_the_standard_error_of_a_variance_is_honest(lesson):
    """Over many repetitions the distance in standard errors has a spread of one."""
    torch.manual_seed(0)
    distances = []
    for _ in range(300):
        variance, error = lesson["variance_with_error"](3 + 2 * torch.randn(2000))
        distances.append((variance - 4) / error)
    assert 0.85 < np.std(distances) < 1.15
    assert abs(np.mean(distances)) < 0.25


@pytest.mark.parametrize("seed", range(5))
def test_measured_variances_agree_on_any_seed(lesson, seed):
    torch.manual_seed(seed)
    for mu, dimensions in [(0.0, 1), (1.0, 1), (10.0, 1), (1.0, 10), (1.0, 100)]:
        exact = lesson["exact_variances"](mu, dimensions)
        estimates = lesson["all_estimates"](mu, torch.randn(50_000, dimensions))
        for name, values in estimates.items():
            variance, error = lesson["variance_with_error"](values)
            assert abs(variance - exact[name]) < 5 * error, (name, mu, dimensions)


def test_reparameterize_is_the_helper(lesson):
    torch.manual_seed(0)
    for shape in [(1, 1), (4, 3), (7, 20)]:
        mu, logvar, eps = torch.randn(3, *shape)
        ours = lesson["reparameterize"](mu, logvar, eps)
        assert torch.allclose(ours, distributions.reparameterize(mu, logvar, eps))
        torch.manual_seed(1)
        ours = lesson["reparameterize"](mu, logvar)
        torch.manual_seed(1)
        assert torch.allclose(ours, distributions.reparameterize(mu, logvar))


def test_laplace_inverts_the_cdf(lesson):
    torch.manual_seed(0)
    u = torch.rand(1000, dtype=torch.float64)
    location, scale = torch.randn(1000), torch.rand(1000) + 0.1
    z = lesson["laplace_from_uniform"](location, scale, u)
    assert torch.allclose(Laplace(location, scale).cdf(z), u)


def test_gumbel_softmax_is_a_fair_choice_and_its_gradient_is_biased(lesson):
    torch.manual_seed(0)
    p, costs = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([1.0, 3.0, 0.0])
    u = torch.rand(50_000, 3).clamp_min(1e-9)
    soft = lesson["gumbel_softmax"](p.log(), u, 0.3)
    assert torch.allclose(soft.sum(1), torch.ones(50_000))
    shares = soft.argmax(1).bincount() / 50_000
    assert ((shares - p).abs() < 5 * (p * (1 - p) / 50_000).sqrt()).all()
    exact = p * (costs - (p * costs).sum())
    for temperature, biased in [(0.1, False), (1.0, True), (5.0, True)]:
        estimates = lesson["soft_gradients"](p.log(), costs, u, temperature)
        off = (estimates.mean(0) - exact) / (estimates.std(0) / math.sqrt(50_000))
        assert (off.abs().max() > 10) == biased


@pytest.mark.parametrize("baseline", [0.0, 1.4, -2.0])
def test_score_variance_is_that_of_the_gradient_of_log_p(lesson, baseline):
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    costs = torch.tensor([1.0, 3.0, 0.0], dtype=torch.float64)
    for k in range(3):
        scores = []
        for j in range(3):
            logits = p.log().requires_grad_()
            logits.log_softmax(0)[j].backward()
            scores.append(logits.grad[k])
        estimates = (costs - baseline) * torch.stack(scores)
        mean = (p * estimates).sum()
        assert mean.item() == pytest.approx((p[k] * (costs[k] - p @ costs)).item())
        variance = (p * (estimates - mean) ** 2).sum().item()
        found = lesson["score_variance"](p, costs, baseline, k)
        assert found == pytest.approx(variance)


def test_the_grid_agrees_with_the_formulas_for_a_square(lesson):
    grid = torch.linspace(-12, 12, 4801, dtype=torch.float64)
    weight = torch.exp(-0.5 * grid**2) / math.sqrt(2 * math.pi) * 0.005
    for mu in (0.0, 0.7, -3.0):
        found = lesson["grid_variances"](torch.square, mu, grid, weight)
        for name, exact in lesson["exact_variances"](mu, 1).items():
            assert found[name] == pytest.approx(exact, rel=1e-6), name


def test_the_noise_of_a_vae_is_that_of_a_decoder_that_is_known(lesson):
    """A linear f: the pathwise estimate has no noise, the images have all of it."""
    torch.manual_seed(0)
    slope = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, -2.0]])
    eps = torch.randn(20_000, 3, 2)
    f = (slope * eps).sum(2, keepdim=True)
    slopes = slope.expand_as(eps)
    found = lesson["gradient_noise"](f + 50, slopes, eps)
    assert found["pathwise"] == pytest.approx(0, abs=1e-9)
    assert found["between images"] == pytest.approx(slope.var(0).sum().item())
    exact = (slope**2).sum(1).mean().item() * 3  # D |a|^2 + |a|^2 in two dimensions
    assert found["own baseline"] == pytest.approx(exact, rel=0.03)
    assert found["score function"] == pytest.approx(exact + 2 * 50**2, rel=0.03)
