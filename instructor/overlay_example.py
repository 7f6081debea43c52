"""An example overlay for lesson 03: your points, your shares, your hidden tests.

Copy it to a place outside the repository, change it, and name it:

    make assignment LESSON=03 ARGS="--overlay ../private/lesson03.py"

All names are optional. The file is copied into the course folder's private part; students
never get it. A hidden test gets the functions of its exercise, in the order in which the
check of the lesson gets them. It raises AssertionError with words that name the symptom
and not the answer: these words are printed in the feedback.
"""

import torch

# Exercise -> its points; others follow instructor/points.toml.
POINTS = {"03.1": 6}

# Exercises that are not set.
LEAVE_OUT = ["03.4", "03.5"]

# Exercise -> words of a diagnosis -> share of the points; added to points.toml's.
SHARES = {"03.1": {"This is the KL in the other direction": 0.25}}


def one_latent_dimension(kl):
    """(B, 1) is a case that a sum over the wrong axis gets wrong."""
    mu, logvar = torch.zeros(7, 1), torch.zeros(7, 1)
    assert kl(mu, logvar).shape == (7,), "Z = 1 gives another shape than (B,)."


def small_variances(kl):
    """At log sigma^2 = -80 the variance is nearly 0, but the KL is not infinite."""
    values = kl(torch.zeros(2, 3), torch.full((2, 3), -80.0))
    assert values.isfinite().all(), "A very small variance gives inf or NaN."


def the_posterior_itself_has_no_gap(search):
    """The joint is 0.3 times N(0.5, 0.8^2), which is among the candidates."""
    z = torch.linspace(-8, 8, 801, dtype=torch.float64)
    log_joint = (
        torch.distributions.Normal(0.5, 0.8).log_prob(z) + torch.tensor(0.3).log()
    )
    mus = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    sigmas = torch.tensor([0.4, 0.8], dtype=torch.float64)
    mu, sigma, gap = (float(number) for number in search(z, log_joint, mus, sigmas))
    assert (mu, sigma) == (0.5, 0.8), "A candidate is the posterior, and is not found."
    assert abs(gap) < 1e-4, "The posterior itself has a gap."


# Exercise -> (points, test); they come on top of the points of the visible check.
HIDDEN = {
    "03.1": [(1, one_latent_dimension), (1, small_variances)],
    "03.2": [(2, the_posterior_itself_has_no_gap)],
}
