"""The example overlay of version 0.1: assignments of then bring it along."""

import torch

# Exercise -> its points; others follow instructor/points.toml.
POINTS = {"03.1": 6}

# Exercises that are not set.
LEAVE_OUT = ["03.4"]

# Exercise -> words of a diagnosis -> share of the points; added to points.toml's.
SHARES = {"03.1": {"the factor one half is missing": 0.5}}


def one_latent_dimension(kl):
    """(B, 1) is a case that a sum over the wrong axis gets wrong."""
    mu, logvar = torch.zeros(7, 1), torch.zeros(7, 1)
    assert kl(mu, logvar).shape == (7,), "Z = 1 gives another shape than (B,)."


def small_variances(kl):
    """At log sigma^2 = -80 the variance is nearly 0, but the KL is not infinite."""
    values = kl(torch.zeros(2, 3), torch.full((2, 3), -80.0))
    assert values.isfinite().all(), "A very small variance gives inf or NaN."


def a_bound_stays_below(elbo):
    """With W = 0 the model ignores z, and the ELBO at q = prior is log p(x) itself."""
    x = torch.linspace(-1, 1, 8, dtype=torch.float64).reshape(2, 4)
    zero = torch.zeros(2, 3, dtype=torch.float64)
    weight, offset = torch.zeros(4, 3).double(), torch.zeros(4).double()
    sigma = torch.tensor(0.7, dtype=torch.float64)
    exact = torch.distributions.Normal(0.0, sigma).log_prob(x).sum(1)
    got = elbo(x, zero, zero, weight, offset, sigma)
    assert torch.allclose(got, exact), "For W = 0 the bound is not log p(x)."


# Exercise -> (points, test); they come on top of the points of the visible check.
HIDDEN = {
    "03.1": [(1, one_latent_dimension), (1, small_variances)],
    "03.2": [(2, a_bound_stays_below)],
}
