# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 03 · The ELBO: what are we maximising, and how far from the truth is it?
#
# We derive the bound that every VAE maximises, in two ways, and check each line of both
# on a model whose exact answer is known.
#
# **You will be able to**
#
# - say what prior, likelihood, evidence and posterior are, and compute them on a grid;
# - derive the ELBO in two ways, and name the gap between it and $\log p_\theta(x)$;
# - write the KL and the reconstruction term with their signs, sums and constants;
# - tighten the bound with more samples, and say how far it still is from the truth;
# - measure which weight on the KL a piece of code really uses.
#
# **Before you start**, three questions of a minute each. (Symbols: the
# [notation table](00_start_here.ipynb#Notation).)
#
# 1. $z = \mu + \sigma\varepsilon$ with $\mu = 1$ and $\sigma = 0.5$. How large are the mean of $z$
#    and the mean of $z^2$?
#    ([The maths: moving the gradient](02_reparameterization.ipynb#The-maths:-moving-the-gradient-inside-the-average))
# 2. An encoder returns `logvar` = 0 for one latent and `logvar` = $2 \log 3$ for another. Which
#    two standard deviations are these?
#    ([Build it: the reparameterised sample](02_reparameterization.ipynb#Build-it:-the-reparameterised-sample))
# 3. Two independent pixels have the probabilities 0.5 and 0.2. What is the probability of both,
#    and what is its natural logarithm, computed from the two logarithms? Why does code prefer
#    the logarithms when there are 784 pixels?
#    ([Notation](00_start_here.ipynb#Notation): the code works with logarithms)
#
# <details><summary>Answers</summary>
#
# 1. The mean of $z$ is 1. A mean square is the squared mean plus the variance: $1 + 0.25 = 1.25$.
# 2. $\sigma = \exp(\tfrac12 \log\sigma^2)$: $\exp 0 = 1$ and $\exp(\log 3) = 3$.
# 3. The probability is 0.1, its logarithm $-0.693 - 1.609 = -2.303$. A product of 784 such
#    numbers is too small for 32 bits and becomes 0; the sum of their logarithms is an
#    ordinary number.
# </details>

# %% [markdown]
# ## Set-up

# %%
import math

import matplotlib.pyplot as plt
import torch
import torch.distributions as td
import torch.nn.functional as F
from torch import nn

from vae_helpers import (
    bounds,
    claims,
    data,
    distributions,
    linear_gaussian,
    plots,
    runtime,
    training,
    widgets,
)
from vae_helpers import vae as course_vae
from vae_helpers.checks import lesson03 as check

plots.style()

# %%
SEED = 0
LONGER = 1  # 4 trains everything four times as long
SIGMA_X = 0.5  # standard deviation of x around the decoder's output, from 0.1 to 2
X_SEEN = 1.5  # the one number that the first half explains, from -4 to 4
for name, value, low, high in (("SIGMA_X", SIGMA_X, 0.1, 2), ("X_SEEN", X_SEEN, -4, 4)):
    if not low <= value <= high:  # outside, sums over our grids are not exact
        raise ValueError(f"{name} must lie between {low} and {high}, got {value}")
device = runtime.start(SEED, "cpu")  # small numbers, many digits
torch.set_default_dtype(torch.float64)  # about 15 digits
digits = data.load_images("MNIST")

# %% [markdown]
# We compare left and right sides of equations to ten digits. That needs 64-bit numbers,
# and this lesson is small enough to run on the processor alone. Only the VAE on digits,
# late in the lesson, is trained in 32 bits.
#
# ## The problem: how probable is this x?
#
# A model that generates works in two moves. It draws a code $z$ from the prior, and then
# it draws $x$ around what the decoder makes of $z$. In this first part both are single
# numbers, and the decoder is a network of one unit, $f(z) = 2\tanh z$:
#
# $$z \sim \mathcal N(0, 1), \qquad x \mid z \sim \mathcal N\big(f(z), \sigma_x^2\big).$$
#
# The sign $\sim$ reads "is drawn from", and the bar in $x \mid z$ reads "given": the
# distribution of $x$ once $z$ is known. The letter $p$ stands for several densities; what
# is in the brackets says which one. The index $\theta$ marks those that depend on the
# numbers in the decoder, here the 2 and $\sigma_x$.
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $f$ | the decoder of the first part (in lesson 02 the cost of a code) | number | `decoder` |
# | $\sigma_x$ | standard deviation of the noise on $x$; not $\sigma$, which belongs to the code | number | `SIGMA_X`, `sigma_x` |
# | $\pi$ | the circle's number, in the constant $\log 2\pi$ of every Gaussian | number | `math.pi` |
#
# Somebody shows us $x = 1.5$. **How probable was that, according to the model?** This is
# the question that training asks again and again: a good model gives high probability to
# the data it was shown. We want to *maximise* $\log p_\theta(x)$.
#
# The trouble is that many codes could have led to this $x$. All of them count, each as
# much as the prior allows:
#
# $$p_\theta(x) = \int p_\theta(x \mid z)\, p(z)\, dz.$$
#
# Five words come up in every text about this. They are five curves or numbers:
#
# | Word | Symbol | Meaning |
# |---|---|---|
# | prior | $p(z)$ | how likely a code is before we have seen $x$ |
# | likelihood | $p_\theta(x \mid z)$ | how well a code explains this $x$ |
# | joint | $p_\theta(x, z) = p_\theta(x \mid z)\,p(z)$ | both together |
# | evidence | $p_\theta(x)$ | the area under the joint: *one number* |
# | posterior | $p_\theta(z \mid x) = p_\theta(x, z) / p_\theta(x)$ | how likely a code is *after* we have seen $x$ |
#
# With one latent dimension, a computer can do the integral: it cuts the axis of $z$ into
# narrow strips and adds their areas.

# %%
GRID = torch.linspace(-8, 8, 3201)  # values of z
STEP = GRID[1] - GRID[0]  # width of a strip


def decoder(z):
    """f(z), the mean of x for each code."""
    return 2 * torch.tanh(z)


# %%
def log_joint_on_grid(x, sigma_x):
    """log p(x | z) and log p(x, z) at every z of the grid."""
    log_likelihood = td.Normal(decoder(GRID), sigma_x).log_prob(torch.tensor(x))
    return log_likelihood, log_likelihood + td.Normal(0.0, 1.0).log_prob(GRID)


# %% tags=["nbval-check-output"]
log_likelihood_1d, log_joint_1d = log_joint_on_grid(X_SEEN, SIGMA_X)
evidence = (log_joint_1d.exp() * STEP).sum()
posterior_1d = log_joint_1d.exp() / evidence
print(f"evidence p(x) = {evidence:.4f}, log p(x) = {evidence.log():.4f} nats")
print(f"area under the posterior: {(posterior_1d * STEP).sum():.4f}")

# %% [markdown]
# The evidence is one number, here a density: probability per unit of $x$. The area under
# the posterior is 1, as it must be. The curves:

# %%
prior_1d = td.Normal(0.0, 1.0).log_prob(GRID).exp()
figure, axes = plt.subplots(1, 3, figsize=(10, 2.9), sharex=True)
axes[0].plot(GRID, prior_1d, label="prior $p(z)$")
axes[0].plot(GRID, log_likelihood_1d.exp(), label="likelihood $p(x|z)$")
axes[1].plot(GRID, log_joint_1d.exp(), color="black", label="joint $p(x, z)$")
axes[1].fill_between(GRID, log_joint_1d.exp(), alpha=0.3, label="area: evidence")
axes[2].plot(GRID, prior_1d, label="prior $p(z)$")
green = plots.COLOURS[2]  # the posterior's colour, here and in the next figure
axes[2].plot(GRID, posterior_1d, color=green, ls="-", label="posterior $p(z|x)$")
for ax, top in zip(axes, (1.25, 0.4, 1.25), strict=True):
    ax.set(xlim=(-3, 4), ylim=(0, top), xlabel="code z", ylabel="density")
    ax.legend(loc="upper left")
plt.show()

# %% [markdown]
# A log-probability with natural logarithms is counted in **nats**. One nat more means a
# density that is $e \approx 2.7$ times as high.
#
# Left: the prior likes codes near 0, and this $x$ asks for codes near 1 and above. (The
# likelihood is a density of $x$; drawn against $z$, its area means nothing.) Middle: their
# product, whose area is the evidence. Right: the same curve, divided by its area so that
# it becomes a density of $z$. The posterior is narrower than the prior, because $x$ told us
# something, and it is not symmetric: large codes all give nearly the same output.
#
# ### Why not always do this?
#
# A grid of 100 strips for each of $Z$ dimensions has $100^Z$ cells. A cheaper idea: draw
# codes from the prior and average $p_\theta(x \mid z)$ over them. That is correct on
# average. **Predict**: what goes wrong when the decoder is precise and $Z$ is 20?
#
# The next cell asks which share of prior draws falls where the posterior has 95 % of its
# mass. For 20 dimensions it assumes that each is like this one.

# %% tags=["nbval-check-output"]
print("cells of a grid in 20 dimensions:", f"{100.0**20:.0e}")
for sigma_x in (0.5, 0.1, 0.02):
    below = log_joint_on_grid(X_SEEN, sigma_x)[1].softmax(0).cumsum(0)  # from 0 to 1
    inside = (below > 0.025) & (below < 0.975)
    share = (prior_1d[inside] * STEP).sum()
    print(f"sigma_x = {sigma_x}: {share:.3f} in 1 dimension, {share**20:.0e} in 20")

# %% [markdown]
# The sharper the decoder and the more dimensions, the rarer is a hit. One divided by the
# last number of a row is how many draws in 20 dimensions it takes for one hit on average;
# read it off for the second row. This is what **intractable** means: the integral exists,
# but it has no formula, and neither this grid nor these draws can be afforded.
#
# The way out: let somebody who has seen $x$ propose the codes. That is the encoder, and
# its proposal is called $q_\phi(z \mid x)$.

# %% [markdown]
# ## Smallest case: guess the posterior, get a bound
#
# Let the guess be a Gaussian, $q(z \mid x) = \mathcal N(\mu, \sigma^2)$. To measure how
# far one density lies from another, we use the **Kullback-Leibler divergence**. It is a
# mean over draws from the first one:
#
# $$\mathrm{KL}(q \,\Vert\, p) = \mathbb E_q\big[\log q(z) - \log p(z)\big] \;\ge\; 0,
# \quad\text{and it is 0 only for } q = p.$$
#
# It is not a distance: exchanging $q$ and $p$ gives another number. With $\mathcal N(0, 4)$ in
# first and $\mathcal N(0, 1)$ in second place it is 0.81 nats, the other way round 0.32. (4 and 1
# are variances; the formula comes below.)
#
# Here is the quantity of this lesson. We *maximise* it, and the next sections derive it:
#
# $$\mathrm{ELBO} = \underbrace{\mathbb E_q\big[\log p_\theta(x \mid z)\big]}_{\text{how well the guessed codes explain } x} - \underbrace{\mathrm{KL}\big(q(z \mid x) \,\Vert\, p(z)\big)}_{\text{how far the guess leaves the prior}}$$
#
# On the grid a mean under $q$ is a sum again: density times value times width.


# %%
def terms_on_grid(mu, sigma, x, sigma_x):
    """For q = N(mu, sigma^2): ELBO and KL(q || posterior), in nats."""
    log_likelihood, log_joint = log_joint_on_grid(x, sigma_x)
    log_posterior = log_joint - (log_joint.exp() * STEP).sum().log()
    log_prior = log_joint - log_likelihood
    log_q = td.Normal(mu, sigma).log_prob(GRID)
    weight = log_q.exp() * STEP  # sums to 1: turns values into their mean under q
    reconstruction = (weight * log_likelihood).sum()
    kl_to_prior = (weight * (log_q - log_prior)).sum()
    kl_to_posterior = (weight * (log_q - log_posterior)).sum()
    return (reconstruction - kl_to_prior).item(), kl_to_posterior.item()


# %% tags=["nbval-check-output"]
print("   mu  sigma     ELBO   KL(q || posterior)     sum")
for mu_1d, sigma_1d in [(0.0, 1.0), (2.0, 0.3), (1.0, 0.15), (1.0, 0.42)]:
    value, gap = terms_on_grid(mu_1d, sigma_1d, X_SEEN, SIGMA_X)
    print(f"{mu_1d:5.2f} {sigma_1d:6.2f} {value:8.4f} {gap:12.4f} {value + gap:16.4f}")
    assert abs(value + gap - evidence.log()) < 1e-10, "the sum is not log p(x)"

# %% [markdown]
# The first row is the prior itself as the guess, the last one a good guess. **The sum in
# the last column is always the same number**, and it is $\log p_\theta(x)$ from above. So:
#
# - the ELBO is never above $\log p_\theta(x)$: it is an **e**vidence **l**ower **bo**und;
# - what is missing is exactly the KL from the guess to the true posterior.
#
# The next figure draws this for three of the guesses.


# %%
def show_guess(figure, mu, sigma):
    left, right = figure.subplots(1, 2, width_ratios=(1.3, 1))
    log_p = (log_joint_on_grid(X_SEEN, SIGMA_X)[1].exp() * STEP).sum().log()
    true = (log_joint_on_grid(X_SEEN, SIGMA_X)[1] - log_p).exp()
    guess = td.Normal(mu, sigma).log_prob(GRID).exp()
    left.plot(GRID, true, color=plots.COLOURS[2], ls="-", label="posterior $p(z|x)$")
    left.plot(GRID, guess, color=plots.COLOURS[1], ls="--", label="guess $q(z|x)$")
    left.set(xlim=(-2.5, 4), ylim=(0, 2.9), xlabel="code z", ylabel="density")
    left.legend(loc="upper left", fontsize=8)
    bound, gap = terms_on_grid(mu, sigma, X_SEEN, SIGMA_X)
    floor = min(-9.5, bound - 1.5)  # where the column stands
    right.bar(0, bound - floor, bottom=floor, color=plots.COLOURS[5], edgecolor="black")
    right.bar(0, gap, bottom=bound, color=plots.COLOURS[4], hatch="//")
    right.axhline(log_p, color="black", ls="--", lw=1)
    right.text(0.45, bound, f"ELBO\n{bound:.2f}", va="top")
    right.text(0.45, log_p, f"KL {gap:.2f}", va="bottom")
    right.set(ylim=(floor, 0), xlim=(-0.5, 1.5), xticks=[], ylabel="nats")
    right.set_title(f"log p(x) {log_p:.2f}", fontsize=9)
    return f"ELBO {bound:.3f} + KL {gap:.3f} = log p(x) {bound + gap:.3f} nats."


# %%
figure = plt.figure(figsize=(11, 2.8))
for part, guess in zip(
    figure.subfigures(1, 3), [(0.0, 1.0), (2.0, 0.3), (1.0, 0.42)], strict=True
):
    show_guess(part, *guess)
plt.show()

# %% [markdown]
# In each column the blue part reaches up to the ELBO. The hatched part, the KL, fills what is
# missing up to the dashed line, exactly. The better the dashed curve covers the solid one,
# the shorter the hatched part. Now drag the guess yourself. **Predict** first: can the
# hatched part vanish?

# %%
widgets.explore(
    show_guess,
    {
        "mu": widgets.slider("Mean of the guess, mu", -1, 3, value=0.0),
        "sigma": widgets.slider("Width of the guess, sigma", 0.1, 1.5, value=1.0),
    },
    width=7,
    height=3,
)

# %% [markdown]
# It becomes short but does not vanish. The posterior is lopsided and no Gaussian is. In
# the model of the next section it will vanish.

# %% [markdown]
# ## A model where everything is exact
#
# To check a derivation we need a model whose evidence has a formula. Take a *linear*
# decoder. With Gaussian noise this is called **probabilistic PCA**:
#
# $$z \sim \mathcal N(0, I), \qquad x \mid z \sim \mathcal N\big(Wz + b,\; \sigma_x^2 I\big).$$
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $W$ | weights of the linear decoder | $(D, Z)$ | `weight` |
# | $b$ | offset of the linear decoder, the mean of all data (in lesson 02 a baseline) | $(D)$ | `offset` |
# | $\sigma_x$ | standard deviation of the noise on $x$, as before | number | `sigma` |
# | $C$ | covariance of $x$ | $(D, D)$ | `covariance` |
# | $r$, $\delta$ | deviations: $x - b - W\mu$ and $z - \mu$ | $(D)$, $(Z)$ | |
# | $m(x), \Sigma$ | mean and covariance of the true posterior (in lesson 01 $m$ was the mean image) | $(Z), (Z, Z)$ | `posterior` |
#
# A **covariance matrix** has the variances on its diagonal and the mean products of two
# different deviations beside it; $\mathcal N(x;\, b, C)$ is the Gaussian density at $x$,
# with mean $b$ and covariance $C$. Its logarithm is that of the bell curve, with the inverse
# of $C$ where one divides by the variance:
#
# $$\log \mathcal N(x;\, b, C) = -\tfrac12 (x - b)^\top C^{-1} (x - b) - \tfrac12 \log\det C - \tfrac D2 \log 2\pi.$$
#
# Here $Wz$ has the covariance
# $\mathbb E[Wz\,(Wz)^\top] = W\,\mathbb E[zz^\top]\,W^\top = WW^\top$, and the noise adds
# $\sigma_x^2$ to each variance.
#
# The smallest case has $D = Z = 1$. With $W = 1$, $b = 0$, $\sigma_x = 1$ and $x = 2$, the
# formulas below give $C = 2$, $\Sigma = \tfrac12$ and $m = 1$: the posterior lies halfway
# between 0, which the prior likes best, and 2, which fits $x$ best, and it is narrower than
# the prior. Hold each line against it.
#
# **Evidence.** $x = Wz + b + \sigma_x \varepsilon$ is a sum of independent Gaussians, so it
# is Gaussian. Its mean is $b$. The covariances add up:
#
# $$p_\theta(x) = \mathcal N(x;\, b,\, C), \qquad C = WW^\top + \sigma_x^2 I.$$
#
# **Posterior.** Up to a constant, $\log p_\theta(x, z)$ is
# $-\lVert x - b - Wz \rVert^2 / (2\sigma_x^2) - \tfrac12 \lVert z \rVert^2$, the decoder's part and
# the prior's. Multiply out and sort by powers of $z$. It is quadratic:
# $-\tfrac12 z^\top (I + W^\top W/\sigma_x^2)\, z + z^\top W^\top (x-b)/\sigma_x^2$ plus a
# constant. To read off the Gaussian, compare with the log-density for mean $m$ and
# covariance $\Sigma$:
#
# $$-\tfrac12 (z - m)^\top \Sigma^{-1} (z - m) =
# -\tfrac12 z^\top \Sigma^{-1} z + z^\top \Sigma^{-1} m + \text{constant}.$$
#
# The quadratic parts agree if $\Sigma^{-1} = I + W^\top W/\sigma_x^2$. The linear parts
# agree if $\Sigma^{-1} m = W^\top (x - b)/\sigma_x^2$. So
#
# $$p_\theta(z \mid x) = \mathcal N\big(z;\, m(x), \Sigma\big), \qquad
# \Sigma = \big(I + W^\top W/\sigma_x^2\big)^{-1}, \qquad m(x) = \Sigma\, W^\top (x - b) / \sigma_x^2.$$


# %% tags=["definition"]
def log_evidence(x, weight, offset, sigma):
    """(B, D) -> (B,) nats: log p(x), exact; higher is better."""
    covariance = weight @ weight.T + sigma**2 * torch.eye(len(weight))  # C
    return td.MultivariateNormal(offset, covariance).log_prob(x)


# %% tags=["definition"]
def posterior(x, weight, offset, sigma):
    """(B, D) -> mean (B, Z) and covariance (Z, Z) of the true posterior p(z | x)."""
    precision = torch.eye(weight.shape[1]) + weight.T @ weight / sigma**2
    covariance = torch.linalg.inv(precision)
    return (x - offset) @ weight @ covariance / sigma**2, covariance


# %% [markdown]
# The two factors of the joint are Gaussian densities. We need the log-density with one
# $\sigma_x$ for all pixels (the decoder), with a log-variance for each dimension (the
# encoder), and the standard normal (the prior). A density of independent dimensions is a
# product, so its logarithm is a **sum over dimensions**; the result has one number for
# each example.


# %% tags=["definition"]
def gaussian_log_likelihood(x, mean, sigma):
    """(B, D), (B, D), number -> (B,) nats: log N(x; mean, sigma^2 I)."""
    variance = torch.as_tensor(sigma) ** 2
    nats = 0.5 * (torch.log(2 * math.pi * variance) + (x - mean) ** 2 / variance)
    return -nats.flatten(1).sum(1)


# %% tags=["definition"]
def normal_log_prob(z, mu, logvar):
    """(B, Z) three times -> (B,) nats: log N(z; mu, diag(exp(logvar)))."""
    nats = 0.5 * (math.log(2 * math.pi) + logvar + (z - mu) ** 2 / logvar.exp())
    return -nats.flatten(1).sum(1)


# %% tags=["definition"]
def standard_normal_log_prob(z):
    """(B, Z) -> (B,) nats: log N(z; 0, I)."""
    return normal_log_prob(z, torch.zeros_like(z), torch.zeros_like(z))


# %% [markdown]
# Our model has $D = 5$ and $Z = 2$, so that a grid over the plane of codes is still
# possible. The columns of $W$ are at right angles, which makes $\Sigma$ diagonal; exercise
# 03.5 drops this. The helper `linear_gaussian` is a second implementation that takes other
# routes; we compare with it.

# %%
WEIGHT = torch.tensor([[1, 0.4], [1, -0.4], [0.5, 0.8], [0.5, -0.8], [0, 0.3]])
OFFSET = torch.tensor([1.0, 0.0, -1.0, 0.0, 2.0])
MODEL = WEIGHT, OFFSET, SIGMA_X
torch.manual_seed(SEED)
many_x = torch.randn(100, 2) @ WEIGHT.T + OFFSET + SIGMA_X * torch.randn(100, 5)
x = many_x[0]  # the example that we follow

# %%
true_mean, true_covariance = posterior(many_x, *MODEL)
print("covariance of the posterior:", true_covariance.diag().tolist())
exact = linear_gaussian.log_evidence(many_x, *MODEL)
helper_mean = linear_gaussian.posterior(many_x, *MODEL)[0]
ours = log_evidence(many_x, *MODEL)
assert torch.allclose(ours, exact, rtol=0, atol=1e-10), "the evidences differ"
assert torch.allclose(true_mean, helper_mean), "the means of the posteriors differ"

# %% [markdown]
# ## Step by step: the KL between Gaussians
#
# The ELBO contains the KL to the prior, so we compute that one first. The Gaussian density
# in one dimension is
#
# $$\mathcal N(z;\, \mu, \sigma^2) = \frac{1}{\sqrt{2\pi\sigma^2}}
# \exp\!\Big(-\frac{(z - \mu)^2}{2\sigma^2}\Big).$$
#
# With its logarithm, $q = \mathcal N(\mu, \sigma^2)$ and $p = \mathcal N(0, 1)$ become
#
# $$\log q(z) = -\tfrac12\log 2\pi - \tfrac12\log\sigma^2 - \frac{(z - \mu)^2}{2\sigma^2},
# \qquad \log p(z) = -\tfrac12\log 2\pi - \tfrac12 z^2.$$
#
# Subtract, and take the mean over $z \sim q$. Two facts are enough, both from the
# definition of a variance: $\mathbb E_q[(z-\mu)^2] = \sigma^2$ and
# $\mathbb E_q[z^2] = \mu^2 + \sigma^2$. The terms with $2\pi$ cancel, and
#
# $$\mathrm{KL} = -\tfrac12\log\sigma^2 - \tfrac12 + \tfrac12(\mu^2 + \sigma^2) =
# \tfrac12\big(\mu^2 + \sigma^2 - 1 - \log\sigma^2\big) \;\ge\; 0.$$
#
# With $Z$ independent dimensions the log-densities add up, and so does the KL:
#
# $$\mathrm{KL}\big(q_\phi(z \mid x) \,\Vert\, \mathcal N(0, I)\big) =
# \tfrac12 \sum_{j=1}^{Z} \big(\mu_j^2 + \sigma_j^2 - 1 - \log\sigma_j^2\big).$$
#
# The one half came out of the Gaussian density. It is not a weight.
#
# ### Exercise 03.1 · KL to the standard normal
#
# *core, easy, 5 minutes*
#
# Write the last formula. `logvar` holds $\log\sigma^2$. Return one number for each example.


# %% tags=["exercise"]
def kl_closed_form(mu, logvar):
    """mu, logvar (B, Z) -> (B,) nats, summed over latent dimensions; never negative."""
    ### BEGIN SOLUTION
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    ### END SOLUTION


# %% tags=["check"]
check.kl_to_standard_normal(kl_closed_form)

# %% [markdown]
# <details><summary>Hint 1: what is what?</summary>
#
# The formula needs $\sigma^2$ and $\log\sigma^2$. One of the two is `logvar` itself.
# </details>
# <details><summary>Hint 2: the other one</summary>
#
# The exponential undoes the logarithm: $\sigma^2$ is `logvar.exp()`, without any half.
# </details>
# <details><summary>Hint 3: which axis?</summary>
#
# The bracket has shape (B, Z). Add up over axis 1; the batch axis stays.
# </details>

# %% [markdown]
# Our version. It goes on from here; nothing below depends on your answer.


# %% tags=["definition"]
def kl_to_standard_normal(mu, logvar):
    """(B, Z), (B, Z) -> (B,) nats, summed over latent dimensions; never negative."""
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


# %% [markdown]
# We check it in three ways, for each dimension and for the sum: the closed form, PyTorch's
# own `kl_divergence`, and Monte Carlo, which means the average of $\log q - \log p$ over
# draws from $q$. The last one comes with a standard error.

# %%
mu3, logvar3 = (
    torch.tensor([[1.0, 0.0, -0.5]]),
    torch.tensor([[0.0, -2.0, 1.0]]),
)
closed = kl_to_standard_normal(mu3.T, logvar3.T)  # three examples, one dimension each
q, p = td.Normal(mu3, torch.exp(0.5 * logvar3)), td.Normal(0.0, 1.0)
library = td.kl_divergence(q, p)[0]
torch.manual_seed(SEED)
z = distributions.reparameterize(mu3.expand(200_000, 3), logvar3.expand(200_000, 3))
differences = q.log_prob(z) - p.log_prob(z)  # (S, Z)
error = differences.std(0) / math.sqrt(len(z))

# %%
print("dimension  closed form  torch.distributions  Monte Carlo")
for j in range(3):
    drawn = f"{differences[:, j].mean():.4f} +- {error[j]:.4f}"
    print(f"{j:9} {closed[j]:12.4f} {library[j]:20.4f}  {drawn}")
print("sum:", f"{kl_to_standard_normal(mu3, logvar3).item():.4f} nats")
assert torch.allclose(closed, library, rtol=0, atol=1e-12), "PyTorch's KL differs"
together = kl_to_standard_normal(mu3, logvar3)
assert torch.allclose(closed.sum(), together), "the sum over dimensions differs"
near = ((differences.mean(0) - closed).abs() < 5 * error).all()
print("Monte Carlo", "agrees" if near else "does not agree", "within 5 standard errors")

# %% [markdown]
# Dimension 0 pays for lying away from 0, dimension 1 for being narrow, dimension 2 for
# both being wide and off centre. The sum over dimensions is the KL of the code.

# %% [markdown]
# ## First derivation: Jensen's inequality
#
# We follow one $x$ and one guess $q = \mathcal N(\mu, \operatorname{diag}(\sigma^2))$, with
# numbers that are near those of the true posterior, but deliberately not the same. A mean under $q$ is a sum
# over a grid in the plane of codes. For such smooth functions this sum is exact to far
# more than ten digits. The function `same` prints both sides and insists.

# %%
LINE = torch.linspace(-8, 8, 321)
PLANE = torch.cartesian_prod(LINE, LINE)  # (G, 2): all codes of a square grid
AREA = (LINE[1] - LINE[0]) ** 2  # of one cell


# %%
def same(left, right):
    """Print both sides of an equation and refuse a difference above 1e-10."""
    print(f"left {left:.12f}   right {right:.12f}")
    assert abs(left - right) < 1e-10, f"the sides differ by {abs(left - right):.1e}"


# %%
def mean_under(log_q, values):
    """E_q[values]: both arguments (G,), on the grid PLANE."""
    return (log_q.exp() * AREA * values).sum()


# %% [markdown]
# The guess, and everything in the equations as numbers on the plane:

# %%
mu = true_mean[0] + torch.tensor([0.2, -0.3])  # beside the true mean
logvar = torch.tensor([-1.0, -1.4])  # and wider than the true posterior
log_q = normal_log_prob(PLANE, mu.expand_as(PLANE), logvar.expand_as(PLANE))
decoded = PLANE @ WEIGHT.T + OFFSET  # (G, D)
log_likelihood = gaussian_log_likelihood(x.expand_as(decoded), decoded, SIGMA_X)
log_joint = log_likelihood + standard_normal_log_prob(PLANE)
log_p = log_evidence(x[None], *MODEL)[0]

# %% [markdown]
# **Step A1. The evidence is the joint, integrated over the code.** Reason: the rule of
# total probability, the area of the first figure.
#
# $$\log p_\theta(x) = \log \int p_\theta(x, z)\, dz$$

# %%
same(log_p, (log_joint.exp() * AREA).sum().log())

# %% [markdown]
# **Step A2. Multiply and divide by $q(z \mid x)$.** Reason: this is a factor of 1, allowed
# because a Gaussian $q$ is nowhere 0. The integral is now a mean over draws from $q$.
#
# $$\log p_\theta(x) = \log \int q(z \mid x)\, \frac{p_\theta(x, z)}{q(z \mid x)}\, dz =
# \log\, \mathbb E_q\!\left[\frac{p_\theta(x, z)}{q(z \mid x)}\right]$$

# %%
ratio = (log_joint - log_q).exp()
same(log_p, mean_under(log_q, ratio).log())

# %% [markdown]
# **Step A3. Move the logarithm inside the mean.** This is not an equality any more. The
# reason is **Jensen's inequality**: for a curve that bends downwards (a concave one), such
# as the logarithm, *the log of a mean is at least the mean of the logs*. Two numbers show
# it:

# %% tags=["nbval-check-output"]
pair = torch.tensor([1.0, 9.0])
log_of_mean, mean_of_logs = pair.mean().log(), pair.log().mean()
print(f"log of the mean {log_of_mean:.3f}, mean of the logs {mean_of_logs:.3f} nats")

# %%
figure, ax = plt.subplots(figsize=(4.8, 2.9))
numbers = torch.linspace(0.5, 10, 100)
ax.plot(numbers, numbers.log(), label="logarithm")
ax.plot(pair, pair.log(), "o--", label="chord: means of logs")
ax.vlines(5, mean_of_logs, log_of_mean, color="black", lw=3, label="what is lost")
ax.set(xlabel="w (no unit)", ylabel="log w, nats")
ax.legend(loc="lower right")
plt.show()

# %% [markdown]
# The chord between two points lies below the curve; the thick line is the loss. It would
# be 0 only if both numbers were equal. With the ratio of step A2 as the number $w$:
#
# $$\log\, \mathbb E_q\!\left[\frac{p_\theta(x, z)}{q(z \mid x)}\right] \;\ge\;
# \mathbb E_q\!\left[\log \frac{p_\theta(x, z)}{q(z \mid x)}\right] = \mathrm{ELBO}$$
#
# The right side is the **evidence lower bound**, and we *maximise* it.

# %% tags=["nbval-check-output"]
bound = mean_under(log_q, log_joint - log_q)
print(f"log p(x) {log_p:.6f} >= ELBO {bound:.6f} nats; lost: {log_p - bound:.6f}")
assert bound < log_p, "the bound is not below log p(x)"

# %% [markdown]
# Jensen also shows why no KL is negative. Take the mean of the log of $p/q$:
#
# $$-\mathrm{KL}(q \,\Vert\, p) = \mathbb E_q\Big[\log \frac{p(z)}{q(z)}\Big] \;\le\;
# \log \mathbb E_q\Big[\frac{p(z)}{q(z)}\Big] = \log \int p(z)\, dz = \log 1 = 0.$$
#
# Nothing is lost only if $p/q$ is the same number everywhere, that is for $q = p$.
#
# **Step A4. Split the logarithm.** Reason: $p_\theta(x, z) = p_\theta(x \mid z)\,p(z)$, the
# log of a product is a sum, and the mean of a sum is the sum of the means. The part with
# $p(z)$ and $q(z \mid x)$ is minus the KL to the prior, for which we have a closed form.
#
# $$\mathrm{ELBO} = \mathbb E_q\big[\log p_\theta(x \mid z)\big] -
# \mathrm{KL}\big(q(z \mid x) \,\Vert\, p(z)\big)$$

# %%
reconstruction = mean_under(log_q, log_likelihood)
kl = kl_to_standard_normal(mu[None], logvar[None])[0]
same(bound, reconstruction - kl)

# %% [markdown]
# ## Build it: the ELBO of the linear model, exactly
#
# For the linear model the mean in the first term has a formula, too. The log-likelihood
# contains $\lVert x - b - Wz \rVert^2$. Write $r = x - b - W\mu$ and $\delta = z - \mu$. Then
# $\lVert r - W\delta \rVert^2 = \lVert r \rVert^2 - 2\, r^\top W \delta + \lVert W\delta \rVert^2$.
# The middle part is 0 on average, because $\delta$ is. In the last part the products
# $\delta_j \delta_k$ of two different dimensions are 0 on average, and $\delta_j^2$ has mean
# $\sigma_j^2$. The trace $\operatorname{tr}$ is the sum of a matrix's diagonal:
#
# $$\mathbb E_q \lVert x - b - Wz \rVert^2 = \lVert x - b - W\mu \rVert^2 +
# \operatorname{tr}\!\big(W \operatorname{diag}(\sigma^2)\, W^\top\big),
# \qquad \operatorname{tr}(\dots) = \sum_{j=1}^{Z} \sigma_j^2 \sum_{i=1}^{D} W_{ij}^2.$$
#
# The **trace term** is the price of a fuzzy code: the wider $q$, the more the decoder's
# output trembles. With the constants of the Gaussian density,
#
# $$\mathbb E_q\big[\log p_\theta(x \mid z)\big] = -\frac D2 \log(2\pi\sigma_x^2) -
# \frac{1}{2\sigma_x^2}\Big(\lVert x - b - W\mu \rVert^2 + \operatorname{tr}(\dots)\Big).$$
#
# ### Exercise 03.2 · The ELBO of the linear-Gaussian model
#
# *core, medium, 10 minutes*
#
# Write the ELBO for a batch, with this mean and the KL between
# $q(z \mid x) = \mathcal N(\mu, \mathrm{diag}(\sigma^2))$ and the prior of this model,
# $p(z) = \mathcal N(0, I)$. No sampling. The sign is that of a bound: higher is better.
# `sigma` may be a tensor that is being learned.


# %% tags=["exercise"]
def linear_gaussian_elbo(x, mu, logvar, weight, offset, sigma):
    """x (B, D); mu, logvar (B, Z); weight (D, Z); offset (D,); sigma: tensor, no axes.

    -> (B,) nats, exact; a lower bound on log p(x).
    """
    ### BEGIN SOLUTION
    squares = ((x - offset - mu @ weight.T) ** 2).sum(1)
    trace = logvar.exp() @ (weight**2).sum(0)
    constant = x.shape[1] * torch.log(2 * math.pi * sigma**2)
    log_likelihood = -0.5 * (constant + (squares + trace) / sigma**2)
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    return log_likelihood - kl
    ### END SOLUTION


# %% tags=["check"]
check.linear_gaussian_elbo(linear_gaussian_elbo)

# %% [markdown]
# <details><summary>Hint 1: the parts</summary>
#
# Four parts: the constant, the squared error of the decoded mean, the trace, the KL. Give
# each a name and a line. All have shape (B,) or are numbers.
# </details>
# <details><summary>Hint 2: decoding a batch</summary>
#
# With one code in each row, $W\mu + b$ is `mu @ weight.T + offset`, shape (B, D).
# </details>
# <details><summary>Hint 3: the trace without a big matrix</summary>
#
# The inner sum over $i$ is `(weight**2).sum(0)`, shape (Z,). Multiply it with the variances
# of each example and add up over the latents.
# A case to work by hand: with $D = Z = 1$, $W = 1$, $\sigma_x = 1$ and everything else 0,
# the ELBO is $-\tfrac12 \log 2\pi - \tfrac12$.
# </details>

# %% [markdown]
# Ours has two functions, because we will need the first term alone. We compare with the
# grid, which took the long way.


# %% tags=["definition"]
def expected_log_likelihood(x, mu, logvar, weight, offset, sigma):
    """(B,) nats: E_q[log p(x | z)], exact; higher is better."""
    variance = torch.as_tensor(sigma) ** 2
    squares = ((x - offset - mu @ weight.T) ** 2).sum(1)
    trace = logvar.exp() @ (weight**2).sum(0)
    constant = x.shape[1] * torch.log(2 * math.pi * variance)
    return -0.5 * (constant + (squares + trace) / variance)


# %% tags=["definition"]
def elbo(x, mu, logvar, weight, offset, sigma):
    """(B,) nats: a lower bound on log p(x), exact; higher is better."""
    reconstruction = expected_log_likelihood(x, mu, logvar, weight, offset, sigma)
    return reconstruction - kl_to_standard_normal(mu, logvar)


# %%
same(elbo(x[None], mu[None], logvar[None], *MODEL)[0], bound)

# %% [markdown]
# ## Second derivation: the KL to the true posterior
#
# Jensen says *that* something is lost. This derivation says *what*. It begins with the
# thing we would like to be small: the KL from our guess to the true posterior.
#
# **Step B1. Definition of the KL,** with the true posterior in second place.
#
# $$\mathrm{KL}\big(q(z \mid x) \,\Vert\, p_\theta(z \mid x)\big) =
# \mathbb E_q\big[\log q(z \mid x) - \log p_\theta(z \mid x)\big]$$
#
# The left side comes from PyTorch's formula for two Gaussians, the right one from the grid.

# %%
mean, covariance = posterior(x[None], *MODEL)
truth = td.MultivariateNormal(mean[0], covariance)
guess = td.MultivariateNormal(mu, logvar.exp().diag())
kl_to_posterior = td.kl_divergence(guess, truth)
same(kl_to_posterior, mean_under(log_q, log_q - truth.log_prob(PLANE)))

# %% [markdown]
# **Step B2. Bayes' rule for the posterior.** Reason: the definition in the table of words,
# with logarithms. It holds for *every* $z$, so we test a hundred random ones.
#
# $$\log p_\theta(z \mid x) = \log p_\theta(x, z) - \log p_\theta(x)$$

# %%
torch.manual_seed(SEED)
z = torch.randn(100, 2)
here = gaussian_log_likelihood(x.expand(100, 5), z @ WEIGHT.T + OFFSET, SIGMA_X)
here = here + standard_normal_log_prob(z)
worst = (truth.log_prob(z) - (here - log_p)).abs().max()
print(f"largest difference of left and right side: {worst:.1e}")
assert worst < 1e-10, "the two sides differ"

# %% [markdown]
# **Step B3. Put B2 into B1 and take $\log p_\theta(x)$ out of the mean.** Reason: it does
# not depend on $z$, and the mean of a constant is the constant.
#
# $$\mathrm{KL}\big(q(z \mid x) \,\Vert\, p_\theta(z \mid x)\big) =
# \mathbb E_q\big[\log q(z \mid x) - \log p_\theta(x, z)\big] + \log p_\theta(x)$$

# %%
same(kl_to_posterior, mean_under(log_q, log_q - log_joint) + log_p)

# %% [markdown]
# **Step B4. The mean on the right is minus the ELBO of step A3.** Solve for the evidence:
#
# $$\boxed{\;\log p_\theta(x) = \mathrm{ELBO} + \mathrm{KL}\big(q(z \mid x) \,\Vert\, p_\theta(z \mid x)\big)\;}$$
#
# A KL is never negative, so the ELBO is a lower bound. It is tight when $q$ is the true
# posterior, and only then.

# %%
same(log_p, elbo(x[None], mu[None], logvar[None], *MODEL)[0] + kl_to_posterior)
at_truth = elbo(many_x, true_mean, true_covariance.diag().log().expand(100, 2), *MODEL)
worst = (at_truth - log_evidence(many_x, *MODEL)).abs().max()
print(f"q = true posterior, 100 different x: ELBO = log p(x) to {worst:.0e}")
assert worst < 1e-10, "the bound is not tight at the true posterior"

# %% [markdown]
# ### What the boxed equation means for training
#
# - **Encoder** ($\phi$): it does not appear in $\log p_\theta(x)$. Raising the ELBO over
#   $\phi$ can only shrink the KL: the guess moves towards the true posterior.
# - **Decoder** ($\theta$): here $\log p_\theta(x)$ is *not* a constant. Raising the ELBO over
#   $\theta$ raises $\log p_\theta(x)$, or shrinks the gap, or both.
# - The KL in the **loss** goes to the prior. The KL in the **gap** goes to the true
#   posterior. Only the second one measures what is lost, and we cannot compute it when the
#   evidence is intractable.

# %% [markdown]
# ## A tighter bound from more samples
#
# Jensen's loss in step A3 came from the spread of the ratio $w = p_\theta(x, z)/q(z \mid x)$.
# An average of $S$ such ratios has the same mean, $p_\theta(x)$, but spreads less. So draw
# $S$ codes and take the log *after* averaging:
#
# $$\mathrm{ELBO} = \mathcal L_1 \;\le\; \mathcal L_S = \mathbb E\left[\log \frac1S \sum_{s=1}^{S}
# w_s\right] \;\le\; \log p_\theta(x), \qquad w_s = \frac{p_\theta(x, z_s)}{q(z_s \mid x)}, \quad z_s \sim q.$$
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $w_s$ | importance weight of sample number $s$, from 1 to $S$ (in lesson 02 $w$ was the weight of a decoder) | $(S)$ | `log_weights` (its logarithm) |
# | $\mathcal L_S$ | the bound with $S$ samples; $\mathcal L_1$ is the ELBO | number | `log_mean_exp` (one draw of it) |
# | $\rho$ | mean of $S$ weights, divided by $p_\theta(x)$; it is 1 on average | number | `log_rho` (its logarithm) |
#
# Why does one more sample never loosen it? Take three ratios, 1, 2 and 6, with the mean 3, and
# leave out one at a time. The means of the pairs are 1.5, 3.5 and 4, and *their* mean is 3
# again. So by Jensen the log of the mean of all three, $\log 3 = 1.099$, is at least the mean
# of the logs of the pairs' means, 1.015. (The mean of the three logs, 0.828, is lower still.)
# With $S + 1$ ratios in place of three it is the same. Averaged over draws, the left number is
# $\mathcal L_{S+1}$ and the right one $\mathcal L_S$. So $\mathcal L_S \le \mathcal L_{S+1}$.
#
# This is the **importance-weighted bound**; like the ELBO we *maximise* it. In code we only
# have $\log w_s$. For images it may be about $-1000$, and `exp` of that is 0 on a computer:
# the smallest positive number has a logarithm of about $-745$ in 64 bits and of about
# $-103$ in 32 bits. The remedy: take the largest log-weight out of the sum,
# $\log\sum_s w_s = \max + \log \sum_s \exp(\log w_s - \max)$. Now the largest exponent is 0.
#
# ### Exercise 03.3 · Log of a mean of exponentials
#
# *core, medium, 12 minutes*
#
# From log-weights compute $\log \frac1S \sum_s w_s$ for each example, without overflow. Then
# build the log-weights, $\log w_s = \log p_\theta(x \mid z_s) + \log p(z_s) - \log q(z_s \mid x)$,
# for $p(z) = \mathcal N(0, I)$ and $q(z \mid x) = \mathcal N(\mu, \operatorname{diag}(\sigma^2))$. The
# codes `z` were drawn from $q$, and the log-likelihood is given.


# %% tags=["exercise"]
def log_mean_of_weights(log_weight):
    """log_weight (B, S) -> (B,) nats: log of the mean of exp(log_weight) over S."""
    ### BEGIN SOLUTION
    return torch.logsumexp(log_weight, dim=1) - math.log(log_weight.shape[1])
    ### END SOLUTION


def importance_log_weights(log_likelihood, z, mu, logvar):
    """log p(x | z) (B, S); z (B, S, Z) from q; mu, logvar (B, Z) -> log w (B, S)."""
    ### BEGIN SOLUTION
    mu, logvar = mu[:, None], logvar[:, None]  # (B, 1, Z), the same for all samples
    log_prior = -0.5 * (z**2 + math.log(2 * math.pi)).sum(2)  # (B, S)
    squares = (z - mu) ** 2 / logvar.exp()
    log_q = -0.5 * (squares + logvar + math.log(2 * math.pi)).sum(2)
    return log_likelihood + log_prior - log_q
    ### END SOLUTION


# %% tags=["check"]
check.log_mean_exp(log_mean_of_weights, importance_log_weights)

# %% [markdown]
# <details><summary>Hint 1: mean and sum</summary>
#
# A mean is a sum divided by $S$. What does a division become behind a logarithm?
# </details>
# <details><summary>Hint 2: which function?</summary>
#
# `torch.logsumexp(t, dim=...)` does the trick with the largest value inside. By hand it is
# `t.max(1, keepdim=True).values`, taken out and put back.
# </details>
# <details><summary>Hint 3: two tests without the check</summary>
#
# Five equal log-weights of $-1000$ must give $-1000$. If $q$ is the prior, with $\mu = 0$ and
# $\log\sigma^2 = 0$, each log-weight is the log-likelihood alone. A log-density of independent
# dimensions is a sum over them; `mu[:, None]` has the axis of the samples.
# </details>

# %% [markdown]
# Our version, and the log-weights of codes that are drawn from a Gaussian guess.


# %% tags=["definition"]
def log_mean_exp(log_weight):
    """(B, S) -> (B,): log of the mean of exp(log_weight) over the S samples."""
    return log_weight.logsumexp(1) - math.log(log_weight.shape[1])


# %% tags=["definition"]
def log_weights(x, z, mu, logvar, weight, offset, sigma):
    """x (D,); z (S, Z) from q; mu, logvar (Z,) -> (S,) nats: log p(x, z) - log q(z)."""
    decoded = z @ weight.T + offset  # (S, D)
    log_likelihood = gaussian_log_likelihood(x.expand_as(decoded), decoded, sigma)
    log_q = normal_log_prob(z, mu.expand_as(z), logvar.expand_as(z))
    return log_likelihood + standard_normal_log_prob(z) - log_q


# %% [markdown]
# Three proposals: the guess of the derivations; the prior, which has not seen $x$; and a guess
# that is as narrow as the first but lies beside the posterior. What we
# want to see is the distance to the exact line, $\log p_\theta(x) - \mathcal L_S$. With
# $\rho = \frac1S\sum_s w_s / p_\theta(x)$ it is the mean of $-\log\rho$. The mean of $\rho$ is 1, so
# the mean of $\rho - 1 - \log\rho$ is the same number, and no single value of it is negative. We
# average that over many repetitions. **Predict**: which proposal comes nearer, and what do
# more samples change?

# %%
SAMPLES, REPEATS = [1, 4, 16, 64, 256, 1024], LONGER * 500
torch.manual_seed(SEED)
missing = {}
for name, (m, v) in {
    "q = guess": (mu, logvar),
    "q = prior": (torch.zeros(2), torch.zeros(2)),
    "q = beside": (mu + torch.tensor([2.0, 0.0]), logvar),
}.items():
    shape = (REPEATS * max(SAMPLES), 2)
    z = distributions.reparameterize(m.expand(shape), v.expand(shape))
    w = log_weights(x, z, m, v, *MODEL).view(REPEATS, -1)
    log_rho = torch.stack([log_mean_exp(w[:, :s]) for s in SAMPLES]) - log_p
    lost = log_rho.expm1() - log_rho  # (sizes, REPEATS), nats
    missing[name] = lost.mean(1), lost.std(1) / math.sqrt(REPEATS)
    exact_elbo = elbo(x[None], m[None], v[None], *MODEL)[0]
    print(f"{name}: bounds {[f'{log_p - b:.3f}' for b in missing[name][0]]}")
    off = abs(w[:, 0].mean() - exact_elbo) / w[:, 0].std() * math.sqrt(REPEATS)
    print(f"S = 1 lies {off:.1f} standard errors from the exact ELBO {exact_elbo:.3f}")
print(f"log p(x) = {log_p:.3f} nats")

# %%
figure, ax = plt.subplots(figsize=(5.8, 3.5))
for marker, (name, (middle, bar)) in zip("os^", missing.items(), strict=True):
    ax.errorbar(SAMPLES, middle, 2 * bar, marker=marker, capsize=4, label=name)
ax.set_xscale("log", base=2)
ax.set(yscale="log", xlabel="samples S", ylabel="log p(x) - bound, nats")
ax.set_title(
    "what the bound with S samples loses; bars: 2 standard errors", fontsize=10
)
ax.legend()
plt.show()

# %% [markdown]
# At the left end is the gap of the ELBO, the KL to the true posterior. All three curves fall:
# every proposal leads to $\log p_\theta(x)$, from another distance and at another pace. Only
# few draws of the prior fall where the posterior is; with the shares that we computed for 20
# dimensions nobody could pay for them. And a guess that is sure of the wrong place ends
# behind a proposal that has not looked at all.

# %%
from_guess, from_prior, from_beside = (middle for middle, _ in missing.values())
claims.show(
    "03",
    None,
    {
        "With every number of samples shown, the bound from the guess is nearer to "
        "log p(x) than the bound from the prior.": bool(
            (from_guess < from_prior).all()
        ),
        "From each of the three proposals, more samples bring the bound nearer.": all(
            bool((middle.diff() < 0).all()) for middle, _ in missing.values()
        ),
        "With the largest number of samples, the prior is nearer than a narrow guess "
        "that lies beside the posterior.": bool(from_prior[-1] < from_beside[-1]),
    },
)

# %% [markdown]
# Note the consequence for reports: bounds with different $S$, or from different $q$, must not
# be compared as if they were two models.

# %% [markdown]
# ## Train: a linear VAE against the exact optimum
#
# So far the model was fixed. Now we learn it: an encoder, a decoder, and $\sigma_x$, all
# by maximising the ELBO. For the linear model the best possible $\log p_\theta(x)$ is
# known in closed form. Let $\lambda_1 \ge \lambda_2 \ge \dots$ be the eigenvalues of the
# covariance matrix of the data, and $u_j$ its eigenvectors, the principal axes of lesson
# 01. The optimum uses the first $Z$ axes and explains the rest as noise:
#
# $$\sigma_x^2 = \frac{1}{D - Z} \sum_{j > Z} \lambda_j, \qquad
# W = \Big[\sqrt{\lambda_1 - \sigma_x^2}\; u_1, \;\dots,\; \sqrt{\lambda_Z - \sigma_x^2}\; u_Z\Big]
# \text{ (up to a rotation)}, \qquad b = \text{mean of the data}.$$
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $\lambda_j$ | eigenvalue: variance of the data along principal axis $j$ | $(D)$ | `values` |
# | $u_j$ | eigenvector: direction of principal axis $j$, length 1 (in lesson 02 $u$ was uniform noise) | $(D, D)$ | `axes` |


# %% tags=["definition"]
def maximum_likelihood(x, latent_size):
    """x (N, D) -> weight (D, Z), offset (D,), sigma: they give the highest log p(x)."""
    values, axes = torch.linalg.eigh(torch.cov(x.T, correction=0))  # rising
    noise = values[:-latent_size].mean()
    values, axes = values[-latent_size:].flip(0), axes[:, -latent_size:].flip(1)
    return axes * (values - noise).sqrt(), x.mean(0), noise.sqrt()


# %% [markdown]
# The data: 1000 points in 8 dimensions that vary in 3 directions, plus noise.

# %%
torch.manual_seed(SEED)
directions = torch.linalg.qr(torch.randn(8, 3)).Q * torch.tensor([4.0, 2.5, 1.5])
cloud = torch.randn(1000, 3) @ directions.T + 0.5 * torch.randn(1000, 8)
best_weight, best_offset, best_sigma = maximum_likelihood(cloud, 3)
best = log_evidence(cloud, best_weight, best_offset, best_sigma).mean()
print(f"highest possible mean log p(x): {best:.4f} nats, sigma_x = {best_sigma:.3f}")
helper_best = linear_gaussian.max_log_evidence(cloud, 3)
assert abs(best - helper_best) < 1e-10, f"the helper finds {helper_best:.4f} nats"


# %%
class LinearVAE(nn.Module):
    def __init__(self, data_size, latent_size):
        super().__init__()
        self.to_mu = nn.Linear(data_size, latent_size)
        self.logvar = nn.Parameter(torch.zeros(latent_size))  # the same for every x
        self.decoder = nn.Linear(latent_size, data_size)
        self.log_sigma = nn.Parameter(torch.zeros(()))

    def model(self):
        return self.decoder.weight, self.decoder.bias, self.log_sigma.exp()

    def elbo(self, x):
        mu = self.to_mu(x)
        return elbo(x, mu, self.logvar.expand_as(mu), *self.model())


# %% [markdown]
# The ELBO here has no sampling noise, because its expectation is exact. So we may use
# LBFGS, an optimiser for smooth problems that takes all data at once. It evaluates the loss
# several times in one step, so it wants a function (`closure`) instead of one loss. One
# `logvar` serves all $x$, because the true $\Sigma$ does not depend on $x$. And $m(x)$ is
# linear in $x - b$, so one linear layer can reach it. The loss to be
# minimised is **minus** the mean ELBO.


# %%
ROUNDS = LONGER * 60


def minimise(loss_fn, parameters, rounds, watch):
    """LBFGS on all data; -> the results of watch(), one after each round, stacked."""
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=5, history_size=50, line_search_fn="strong_wolfe"
    )
    record = []

    def closure():
        optimizer.zero_grad()
        loss = loss_fn()
        loss.backward()
        return loss

    for _ in range(rounds):
        optimizer.step(closure)
        with torch.no_grad():
            record.append(watch())
    return torch.stack(record)


# %%
def bound_and_evidence(vae, x):
    """Mean ELBO and mean log p(x) in nats, (2,)."""
    return torch.stack([vae.elbo(x).mean(), log_evidence(x, *vae.model()).mean()])


torch.manual_seed(SEED)
vae = LinearVAE(8, 3)
record = minimise(
    lambda: -vae.elbo(cloud).mean(),
    vae.parameters(),
    ROUNDS,
    lambda: bound_and_evidence(vae, cloud),
)

# %% [markdown]
# How close is it? The closed form replaces the Expected panel of other lessons: the band is
# a hundredth of a nat.

# %%
reached, exact = record[-1].tolist()
print(f"optimum {best:.6f}, trained: log p(x) {exact:.6f}, ELBO {reached:.6f} nats")
print(f"sigma_x: optimum {best_sigma:.6f}, trained {vae.log_sigma.exp().item():.6f}")
assert reached <= exact + 1e-9 <= best + 2e-9, (
    "need ELBO <= log p(x) <= optimum, got "
    f"{reached:.9f}, {exact:.9f} and {best:.9f} nats"
)
near = "within" if best - reached < 0.01 else "further off than"
print(f"the trained ELBO ends {near} a hundredth of a nat")

# %% [markdown]
# The assertion says that it did not cheat by going above the optimum. Did it also find the
# principal axes? As a rival we train a linear *autoencoder* on the same points with the same
# optimiser; its loss is the squared error of lesson 01.

# %%
torch.manual_seed(SEED)
autoencoder = nn.Sequential(nn.Linear(8, 3), nn.Linear(3, 8))
errors = minimise(
    lambda: ((autoencoder(cloud) - cloud) ** 2).sum(1).mean(),
    autoencoder.parameters(),
    ROUNDS,
    lambda: ((autoencoder(cloud) - cloud) ** 2).sum(1).mean(),
)
print(f"squared error: autoencoder {errors[-1]:.6f}, 5 x {best_sigma**2:.6f} at best")


# %%
def nearness(weight, axes):
    """Decoder's weight and principal axes, (D, Z) -> how well it has found them.

    Cosines (axis, latent); that of the worst direction of the space; of the worst axis.
    """
    cosines = (axes.T @ weight / weight.norm(dim=0)).abs()
    space = torch.linalg.svdvals(axes.T @ torch.linalg.qr(weight).Q).min()
    return cosines, space.item(), cosines.max(1).values.min().item()


best_axes = best_weight / best_weight.norm(dim=0)
of_vae, vae_space, vae_axis = nearness(vae.decoder.weight.detach(), best_axes)
of_ae, ae_space, ae_axis = nearness(autoencoder[1].weight.detach(), best_axes)
print(f"VAE: worst direction of the space {vae_space:.6f}, worst axis {vae_axis:.4f}")
print(f"autoencoder: the space {ae_space:.6f}, worst axis {ae_axis:.4f}")

# %%
figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(10.5, 3.2), width_ratios=(1.6, 1, 1)
)
rounds = range(1, ROUNDS + 1)
left.plot(rounds, best - record[:, 0], label="optimum - ELBO")
left.plot(rounds, best - record[:, 1], label="optimum - log p(x)")
left.plot(rounds, record[:, 1] - record[:, 0], lw=2.5, label="gap: log p(x) - ELBO")
left.set(yscale="log", ylim=(1e-8, 20), xlabel="round of LBFGS", ylabel="nats")
left.legend(loc="lower left")
for ax, name, table in ((middle, "VAE", of_vae), (right, "linear autoencoder", of_ae)):
    ax.imshow(table, vmin=0, vmax=1, cmap="gray_r")
    for i, j in torch.cartesian_prod(torch.arange(3), torch.arange(3)).tolist():
        colour = "white" if table[i, j] > 0.5 else "black"
        ax.text(j, i, f"{table[i, j]:.2f}", ha="center", va="center", color=colour)
    ax.set(title=f"{name}: cosines", xlabel="latent", ylabel="principal axis")
    ax.set(xticks=range(3), yticks=range(3))
    ax.grid(False)
plt.show()

# %% [markdown]
# Left: the model comes to the optimum, and the gap between $\log p_\theta(x)$ and the ELBO is
# the third curve. Middle and right: a 1 says that a column of the decoder's weights points
# along that axis, forwards or backwards. A latent that has found one axis has a single 1 in
# its column.
#
# The linear *autoencoder* finds the space of the axes but an arbitrary basis in it, as in
# lesson 01. The ELBO *prefers* the axes, and now we can say why. All rotations of $W$
# give the same $WW^\top$, so the same $C$ and the same $\log p_\theta(x)$. The evidence alone
# cannot choose between them. The ELBO can: it reaches the evidence only where the true
# posterior is diagonal like the guess. Its $\Sigma^{-1} = I + W^\top W / \sigma_x^2$ is
# diagonal only if the columns of $W$ are at right angles, and among the rotations that is so
# only along the axes. Their order and their signs remain free, and two axes with equal
# eigenvalues could not be told apart.
#
# ### How soon does a training find the axes?
#
# That is the optimum. Lesson 04 trains otherwise: one draw $z$ for each example instead of
# the exact mean, small random batches, and Adam. We do this here with two learning rates.
# **Predict**: which is found first, the space or the axes in it?


# %%
def sampled_loss(vae, x):
    """Minus the ELBO, with one draw for each example; its mean over a batch (B, D)."""
    mu = vae.to_mu(x)
    logvar = vae.logvar.expand_as(mu)
    decoded = vae.decoder(distributions.reparameterize(mu, logvar))
    log_likelihood = gaussian_log_likelihood(x, decoded, vae.log_sigma.exp())
    return (kl_to_standard_normal(mu, logvar) - log_likelihood).mean()


def train_with_adam(vae, x, steps, lr, axes, label):
    """Batches of 128; -> steps, nearness of the space, nearness of the worst axis."""
    optimizer = torch.optim.Adam(vae.parameters(), lr=lr, fused=True)
    record = []
    for step in training.progress(steps, label):
        loss = sampled_loss(vae, x[torch.randint(len(x), (128,))])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % 100 == 0 or step + 1 == steps:
            near = nearness(vae.decoder.weight.detach(), axes)
            record.append((step + 1, *near[1:]))
    return record


# %%
ADAM_STEPS = LONGER * 6000
RATES = (0.003, 0.03)
paths = {}
for rate in RATES:
    torch.manual_seed(SEED)
    slow_vae = LinearVAE(8, 3)
    label = f"Adam, {rate}"
    paths[rate] = train_with_adam(slow_vae, cloud, ADAM_STEPS, rate, best_axes, label)
    behind = best - slow_vae.elbo(cloud).mean().item()
    print(f"learning rate {rate}: at the end {behind:.3f} nats below the optimum")
    for share in (1 / 4, 1 / 2, 1):
        step, space, axis = paths[rate][max(0, int(share * len(paths[rate])) - 1)]
        print(f"  step {step:6,}: space {space:.4f}, worst axis {axis:.4f}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.2), sharey=True)
for ax, (rate, path) in zip(axes, paths.items(), strict=False):
    steps = [step for step, *_ in path]
    ax.plot(steps, [1 - space for _, space, _ in path], label="the space")
    ax.plot(steps, [1 - axis for *_, axis in path], label="the worst axis")
    ax.set(title=f"Adam, learning rate {rate}", xscale="log", yscale="log")
    ax.set(xlabel="training step", ylabel="1 - cosine")
    ax.legend(loc="lower left")
plt.show()

# %% [markdown]
# 1 - cosine is 0 where all is found. The space comes first, the axes in it later: a rotation
# changes nothing but the gap, so little is left to gain once the space is found. The higher
# rate turns the axes sooner. What its noise costs at the end is printed above: the distance
# to the optimum.


# %%
def first_above(path, column, level):
    """The first recorded step at which a column lies above a level, else infinity."""
    return min([row[0] for row in path if row[column] > level], default=math.inf)


slow, fast = paths[RATES[0]], paths[RATES[-1]]
space_first = all(
    first_above(path, 1, 0.99) < first_above(path, 2, 0.99) for path in paths.values()
)
at_2000 = [row for row in slow if row[0] <= 2000][-1]
claims.show(
    "03",
    None,
    {
        "LBFGS on the exact ELBO ends within a hundredth of a nat of the optimum, with "
        "a latent on each axis (cosine above 0.99).": best - reached < 0.01
        and vae_axis > 0.99,
        "The linear autoencoder finds the space (cosine above 0.999) and not the axes "
        "(the worst below 0.99).": ae_space > 0.999 and ae_axis < 0.99,
        "With the sampled ELBO and Adam, at both rates, the space is found before the "
        "axes (cosine above 0.99).": space_first,
        "At the small rate, after 2,000 steps, the space is found (above 0.999) and an "
        "axis is still missing (below 0.9).": at_2000[1] > 0.999 and at_2000[2] < 0.9,
        "The higher rate finds the axes sooner.": first_above(fast, 2, 0.99)
        < first_above(slow, 2, 0.99),
    },
)

# %% [markdown]
# So "a linear VAE finds the axes" is a sentence about the optimum. How soon a training gets
# there is a matter of the optimiser, and a model that was stopped early may not have them.

# %% [markdown]
# ## The reconstruction term is a likelihood
#
# In a VAE the decoder is a network, but the ELBO is the same. Its first term is the
# logarithm of a density or a probability of the pixels, and **the choice of that density
# is part of the model**. We look at three.
#
# ### Bernoulli: each pixel is black or white
#
# The decoder gives pixel $i$ the probability $p_i$ of being white, as a logit:
#
# $$\log p_\theta(x \mid z) = \sum_{i=1}^{D} \big(x_i \log p_i + (1 - x_i)\log(1 - p_i)\big) \;\le\; 0.$$


# %% tags=["definition"]
def bernoulli_log_likelihood(x, logits):
    """(B, D), (B, D) -> (B,) nats, summed over pixels; higher is better, at most 0."""
    nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return -nats.flatten(1).sum(1)


# %% [markdown]
# People also put *grey* values $x_i$ between 0 and 1 into this formula. Then the loss cannot
# reach 0: at the best answer, $p_i = x_i$, what remains is the **entropy** of the pixel,
# $-x_i\log x_i - (1 - x_i)\log(1 - x_i)$. We compute this floor for the test digits.

# %%
floor, reached = 0.0, 0.0
for piece in digits.test_images.split(1000):  # all at once would take much memory
    pixels = data.to_unit_interval(piece).double().flatten(1)  # (B, D)
    entropy = -(torch.xlogy(pixels, pixels) + torch.xlogy(1 - pixels, 1 - pixels))
    perfect = torch.logit(pixels, eps=1e-12)
    floor += entropy.sum() / len(digits.test_images)
    reached -= bernoulli_log_likelihood(pixels, perfect).sum() / len(digits.test_images)
print(f"floor {floor:.2f}, loss of a perfect decoder {reached:.2f} nats per image")
assert abs(floor - reached) < 1e-6, "the floor is not the loss of p = x"

# %%
some = data.to_unit_interval(digits.test_images[:1000]).double().flatten(1)
black_and_white = (some > 0.5).double()
nothing_left = -bernoulli_log_likelihood(black_and_white, 60 * black_and_white - 30)
print(f"perfect decoder, black-and-white pixels: {nothing_left.mean():.2f} nats")

# %% [markdown]
# ### Gaussian: each pixel is a number with noise
#
# The decoder gives the mean $\hat x$; the noise has one standard deviation $\sigma_x$:
#
# $$-\log p_\theta(x \mid z) = \frac{1}{2\sigma_x^2}\sum_{i=1}^{D} (x_i - \hat x_i)^2 + D \log\sigma_x + \frac D2 \log 2\pi.$$
#
# Three consequences, each computed below.
#
# 1. **$\sigma_x$ sets the weight.** Multiply the negative ELBO by $2\sigma_x^2$ and the
#    squared error stands alone, with the KL multiplied by $2\sigma_x^2$. For a fixed $\sigma_x$
#    the rest is a constant. "Squared error plus KL" means $\sigma_x^2 = \tfrac12$, whether the author knew it or not.
# 2. **The best $\sigma_x^2$ is the mean squared error** per pixel. To see it, set the
#    derivative over $\sigma_x$ to zero: $-\sum_i (x_i - \hat x_i)^2 / \sigma_x^3 + D / \sigma_x = 0$.
# 3. **A log-density may be positive.** A density is a probability per unit of $x$, not a
#    probability; narrow ones are taller than 1. A negative loss is then no mistake.
#
# As a stand-in for a decoder we predict the average digit for every image.

# %%
prediction = some.mean(0).expand_as(some)
mse = ((some - prediction) ** 2).mean()
sigmas = torch.logspace(-1.3, 0.3, 40)
costs = [-gaussian_log_likelihood(some, prediction, s).mean() for s in sigmas]

# %%
best_cost = -gaussian_log_likelihood(some, prediction, mse.sqrt()).mean()
print(f"root of the mean squared error: {mse.sqrt():.3f}; cost there {best_cost:.1f}")
assert best_cost <= min(costs), "another sigma_x costs less"
sharp = gaussian_log_likelihood(some, some, 0.1).mean()
print(f"perfect prediction, sigma_x = 0.1: log-density {sharp:+.1f} nats per image")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.3))
p = torch.linspace(0.005, 0.995, 199)
for value in (0.0, 0.2, 0.5, 1.0):
    cost = -(value * p.log() + (1 - value) * (1 - p).log())
    left.plot(p, cost, label=f"pixel {value}")
    floor_label = "floor: entropy of the pixel" if value == 1.0 else None
    left.plot(p[cost.argmin()], cost.min(), "ko", ms=5, label=floor_label)
left.set(title="Bernoulli: loss of one pixel", ylim=(0, 3), ylabel="nats")
left.set(xlabel="predicted probability p")
left.legend(fontsize=8)
right.plot(sigmas, torch.stack(costs))
right.plot(mse.sqrt(), best_cost, "ko", label="sigma^2 = mean squared error")
right.set(xscale="log", ylim=(-100, 2000), xlabel="sigma_x, units of a pixel")
right.set(title="Gaussian: one prediction, many noises")
right.set(ylabel="-log p(x | z), nats per image")
right.legend()
plt.show()

# %% [markdown]
# Left, Bernoulli: each curve is lowest (dot) where $p$ equals the pixel, and only pure black
# and white reach 0. Right, Gaussian: one fixed prediction, and still hundreds of nats
# between one $\sigma_x$ and another. The minimum is at the dot. A too small $\sigma_x$
# punishes every error; a too large one wastes density.
#
# ### Continuous Bernoulli: grey values with a proper density
#
# The Bernoulli formula with grey pixels is not a density over $[0, 1]$: its area is not 1.
# The **continuous Bernoulli** divides by the area. For a pixel with parameter $\lambda$
# (no eigenvalue here: the number between 0 and 1 that the decoder gives),
#
# $$p(x \mid \lambda) = \mathcal C(\lambda)\, \lambda^{x} (1 - \lambda)^{1 - x}, \qquad
# \mathcal C(\lambda) = \frac{2 \operatorname{artanh}(1 - 2\lambda)}{1 - 2\lambda} \;\ge\; 2, \qquad \mathcal C(\tfrac12) = 2.$$
#
# The proper loss subtracts $\log \mathcal C$ (a number; $C$ was a covariance). So a grey
# Bernoulli loss is too high by at least $\log 2$ for each pixel, $D \log 2$ for an image.
# (The entropy floor is no limit of the proper loss, which may be negative.)

# %%
lam = torch.tensor([0.01, 0.1, 0.2, 0.3, 0.4, 0.5])
grey = torch.full_like(lam, 0.3)  # the constant does not depend on the pixel
density = td.ContinuousBernoulli(probs=lam).log_prob(grey)
missing = density - (grey * lam.log() + (1 - grey) * (1 - lam).log())
print("lambda:", lam.tolist())
print("log C: ", [f"{c:.4f}" for c in missing])

# %%
formula = (2 * torch.atanh(1 - 2 * lam) / (1 - 2 * lam))[:-1].log()
assert torch.allclose(missing[:-1], formula), "PyTorch's constant differs"
assert missing.min() >= math.log(2) - 1e-6, "a constant lies below log 2"
print(f"at least {784 * math.log(2):.1f} nats for an image of 784 pixels")

# %% [markdown]
# The missing constant is not even constant: it depends on $\lambda$, which the decoder
# chooses. So the best decoder changes with it, and losses of the two kinds cannot be
# compared. The next section takes the other way to a proper likelihood: black-and-white
# images.

# %% [markdown]
# ## How far from the truth is a VAE on digits?
#
# So far the truth was known. For a network it is not, but better and better bounds come
# nearer to it. We take the VAE that lesson 04 builds, with 20 latents, and train it for a
# short time on black-and-white digits. It counts in 32 bits, as usual for networks.

# %%
IMAGES = 100  # test images whose bounds we raise
DIGIT_STEPS = LONGER * 800


def black_or_white(images):
    """uint8 images -> uint8 images with the values 0 and 255."""
    return (images > 127).to(torch.uint8) * 255


torch.manual_seed(SEED)
network = course_vae.VAE(latent_size=20).to(torch.float32)
history = training.fit(
    network,
    black_or_white(digits.train_images),
    course_vae.vae_loss,
    steps=DIGIT_STEPS,
    lr=3e-3,
    schedule=training.warmup_cosine,
    seed=SEED,
)
network.requires_grad_(False)  # from here on the model stays as it is
pictures = data.to_unit_interval(black_or_white(digits.test_images[:IMAGES]))
print(f"minus ELBO of the last training batches: {history['loss'][-1]:.1f} nats")

# %% [markdown]
# The ELBO can lose in two ways. The encoder has to answer for all images with one set of
# weights; its guess for *this* image may not be the best Gaussian. That loss is called the
# **amortisation gap**. And the best diagonal Gaussian may not be the posterior: that is the
# loss of the **family**. To tell them apart, we give every image its own $\mu$ and its own
# $\sigma$ and raise its ELBO over these numbers. Then we do it with a full covariance,
# $q = \mathcal N(\mu, RR^\top)$.
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $R$ | root of the guess's covariance, 0 above its diagonal; for a diagonal $q$ only $\sigma$ | $(Z, Z)$ | `root` |
#
# A draw is $z = \mu + R\varepsilon$, and
# $\log q(z) = -\tfrac12\lVert\varepsilon\rVert^2 - \tfrac Z2 \log 2\pi - \log\det R$. The mean
# of the log-weights is the ELBO, the log of their mean is the tighter bound: one function
# serves both.


# %%
def weights_of_draws(model, x, mu, root, draws):
    """x (N, 1, 28, 28), mu (N, Z), root (N, Z, Z) -> log w of each draw, (N, draws)."""
    eps = torch.randn(draws, *mu.shape, dtype=mu.dtype)
    z = mu + torch.einsum("nij,snj->sni", root, eps)
    logits = model.decode(z.flatten(0, 1))
    log_likelihood = bernoulli_log_likelihood(x.repeat(draws, 1, 1, 1), logits)
    log_det = root.diagonal(dim1=1, dim2=2).log().sum(1)
    # log p(z) - log q(z); the constants with 2 pi cancel.
    rest = 0.5 * (eps**2).sum(2) - 0.5 * (z**2).sum(2) + log_det
    return (log_likelihood.view(draws, -1) + rest).T


def raise_elbo(model, x, mu, sigma, full, steps, label):
    """Give each image its own Gaussian, by Adam; -> mu (N, Z), root (N, Z, Z)."""
    mu, log_sigma = mu.clone().requires_grad_(), sigma.log().requires_grad_()
    below = torch.zeros_like(log_sigma.diag_embed()).requires_grad_()
    free = [mu, log_sigma, below] if full else [mu, log_sigma]
    optimizer = torch.optim.Adam(free, lr=0.03)
    one = torch.eye(mu.shape[1], dtype=mu.dtype)
    for step in training.progress(steps, label):
        root = log_sigma.exp()[:, :, None] * (one + below.tril(-1))
        loss = -weights_of_draws(model, x, mu, root, 8).mean(1).sum()
        optimizer.param_groups[0]["lr"] = 0.03 * training.warmup_cosine(step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    root = log_sigma.exp()[:, :, None] * (one + below.tril(-1))
    return mu.detach(), root.detach()


# %%
GUESS_STEPS = LONGER * 200
torch.manual_seed(SEED)
mu_x, logvar_x = network.encode(pictures)
sigma_x = torch.exp(0.5 * logvar_x)
guess_of = {"encoder's q": (mu_x, sigma_x.diag_embed())}
for name, full in (("its own diagonal q", False), ("its own full q", True)):
    guess_of[name] = raise_elbo(
        network, pictures, mu_x, sigma_x, full, GUESS_STEPS, name
    )

# %% [markdown]
# Now we measure: a thousand draws from each guess. They must be new ones, hence another seed:
# on the draws to which it was fitted, a guess looks better than it is. From the encoder's
# guess the helper `bounds.importance_weighted_bound` takes the tighter bound, and our own
# function does so from the best guess.

# %%
torch.manual_seed(SEED + 1)
found = {}
with torch.no_grad():
    for name, (m, root) in guess_of.items():
        parts = [
            weights_of_draws(network, pictures, m, root, 50)
            for _ in training.progress(20, f"draws, {name}")
        ]
        log_w = torch.cat(parts, dim=1).double()  # (N, 1000)
        found[f"ELBO, {name}"] = log_w.mean(1)
    best_bound = log_mean_exp(log_w)  # of the last guess
    encoders = bounds.importance_weighted_bound(network, pictures, 1000).double()
found["S = 1,000, encoder's q"] = encoders
found["S = 1,000, its own full q"] = best_bound
with_fewer = log_mean_exp(log_w[:, :100]).mean()

# %%
print(f"{'':28} nats per image   below the best bound")
for name, values in found.items():
    behind = best_bound - values
    error = behind.std() / math.sqrt(len(behind))
    print(f"{name:28} {values.mean():12.2f} {behind.mean():16.2f} +- {error:.2f}")
rise = best_bound.mean() - with_fewer
print(f"the best bound rose by {rise:.3f} nats from S = 100 to S = 1,000")

# %%
figure, ax = plt.subplots(figsize=(6.4, 2.8))
below_best = {name: best_bound - values for name, values in found.items()}
names = list(below_best)[:-1]
for row, name in enumerate(names):
    colour = plots.COLOURS[5] if name.startswith("ELBO") else plots.COLOURS[4]
    middle = below_best[name].mean().item()
    ax.barh(row, middle, color=colour, edgecolor="black")
    ax.text(middle, row, f" {middle:.2f}", va="center")
ax.set_yticks(range(len(names)), names)
ax.invert_yaxis()
ax.grid(axis="y")
ax.set(xlabel="nats per image below the best bound", title="What each bound loses")
plt.show()

# %% [markdown]
# From the first bar to the second: **amortisation**, what the encoder loses because it
# answers for all images at once. The second bar: the **family**, what the best diagonal
# Gaussian loses. The third bar is the part of it that covariances between latents do not
# repair: the true posterior is not Gaussian, and our fit of the guess was short. "At least"
# belongs to every bar, because the best bound is still a bound; the printed rise says how
# much ten times as many draws have added to it.
#
# The fourth bar is a warning. A thousand draws are no substitute for a good guess, if the
# guess is narrow or lies beside the posterior.

# %%
loss_of = {name: values.mean().item() for name, values in below_best.items()}
encoder_loses = loss_of["ELBO, encoder's q"]
diagonal_loses = loss_of["ELBO, its own diagonal q"]
full_loses = loss_of["ELBO, its own full q"]
claims.show(
    "03",
    digits,
    {
        "In the mean over the images each bound is above the one before: ELBO of the "
        "encoder's guess, of the image's own diagonal guess, of its own "
        "full-covariance guess, 1,000 samples from that one.": encoder_loses
        > diagonal_loses
        > full_loses
        > 0,
        "Amortisation loses more than the family: the step from the encoder's guess to "
        "the best diagonal one is larger than all that is left above.": encoder_loses
        - diagonal_loses
        > diagonal_loses,
        "A full covariance wins back more than half of what the diagonal family "
        "loses.": diagonal_loses - full_loses > full_loses,
        "The best bound moves by less than a tenth of a nat from 100 samples to "
        "1,000.": abs(rise.item()) < 0.1,
        "1,000 samples from the encoder's guess stay below the ELBO of the image's own "
        "full-covariance guess.": loss_of["S = 1,000, encoder's q"] > full_loses,
    },
)

# %% [markdown]
# These are numbers of one small model on digits, not of VAEs in general. The decoder was
# trained together with a diagonal $q$, so it has learned codes whose posteriors suit one.
# Whoever reports an ELBO should say whose guess it is.

# %% [markdown]
# ## Which unit? Bits per dimension
#
# Nats per image depend on the number of pixels. To compare across sizes, papers divide by
# $D$, and by $\ln 2$ to come from nats to **bits**, the number of yes-no questions:
#
# $$\text{bits per dimension} = \frac{\text{nats per image}}{D \ln 2}.$$
#
# For a *density* the number also depends on the unit of a pixel: from $[0, 1]$ to 0-255 it
# shifts by $\log_2 255$ bits. (Papers that add noise to whole-number pixels and divide by 256
# shift by $\log_2 256 = 8$ bits; this course divides by 255.) Compare only within one unit.
#
# ### Exercise 03.4 · Bits per dimension
#
# *core, easy, 3 minutes*
#
# Convert. Keep the sign: what is better when lower stays so.


# %% tags=["exercise"]
def to_bits(nats, dimensions):
    """nats per image (number or tensor), D -> bits per dimension, same sign."""
    ### BEGIN SOLUTION
    return nats / (dimensions * math.log(2))
    ### END SOLUTION


# %% tags=["check"]
check.bits_per_dimension(to_bits)

# %% [markdown]
# <details><summary>Hint 1: which is larger?</summary>
#
# One nat is about 1.44 bits. The number of bits is larger than the number of nats.
# </details>
# <details><summary>Hint 2: ln 2</summary>
#
# `math.log` is the natural logarithm. Multiply or divide? Hint 1 decides.
# </details>
# <details><summary>Hint 3: a test by hand</summary>
#
# An image whose 784 pixels each cost $\log 2$ nats must give 1 bit per dimension.
# </details>

# %% [markdown]
# Our version, and two numbers that we know:


# %% tags=["definition"]
def bits_per_dimension(nats, dimensions):
    """Nats per image -> bits per dimension; the sign is kept."""
    return nats / (dimensions * math.log(2))


# %%
print(f"entropy floor: {bits_per_dimension(floor, 784):.4f} bits per pixel")
print(f"coin flips: {bits_per_dimension(784 * math.log(2), 784):.1f} bit per pixel")
same_bits = bits_per_dimension(floor, 784) == bounds.bits_per_dimension(floor, 784)
assert same_bits, "the helper gives another number"

# %% [markdown]
# ## The hidden beta
#
# Code may use means where we use sums. A factor on the *whole* loss is harmless. A
# factor on **one term** is a weight $\beta$ on the KL, and nobody wrote it down:
#
# $$\text{loss} = a \cdot \big(-\log p_\theta(x \mid z)\big) + c \cdot \mathrm{KL}
# \quad\text{(minimise)} \qquad\Longrightarrow\qquad \beta = c / a.$$
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $a$ | factor that the code puts on the reconstruction term (in lesson 02 logits) | number | `a` |
# | $c$ | factor that the code puts on the KL (in lesson 02 the costs of categories) | number | `c` |
#
# We do not argue, we measure. The KL term does not contain the decoder's output, and the
# reconstruction term does not contain $\mu$ and $\log\sigma^2$ once the output is given. So
# each gradient sees one term only. With respect to the output it is $a$ times the gradient of
# the exact term; with respect to $\mu$, or to $\log\sigma^2$, it is $c$ times the gradient of
# the exact KL.


# %%
def slope(loss, exact, leaf):
    """The factor between two gradients that point in the same direction."""
    (found,) = torch.autograd.grad(loss, leaf, retain_graph=True)
    (wanted,) = torch.autograd.grad(exact, leaf, retain_graph=True)
    factor = (found * wanted).sum() / (wanted**2).sum()
    assert torch.allclose(found, factor * wanted), "not a multiple of the exact term"
    return factor


# %%
def effective_beta(
    loss_fn, d, z, log_likelihood=bernoulli_log_likelihood, batch=4, seed=0
):
    """The weight on the KL that loss_fn(x, output, mu, logvar) really uses."""
    torch.manual_seed(seed)
    x = torch.rand(batch, d)
    output, mu, logvar = (
        torch.randn(batch, size).requires_grad_() for size in (d, z, z)
    )
    loss = loss_fn(x, output, mu, logvar)
    kl = kl_to_standard_normal(mu, logvar).mean()
    a = slope(loss, -log_likelihood(x, output).mean(), output)
    c = slope(loss, kl, mu)
    assert torch.isclose(c, slope(loss, kl, logvar)), "mu and logvar weigh differently"
    return (c / a).item()


# %% [markdown]
# Now six ways to write the loss, with Bernoulli pixels: binary cross-entropy (`bce`) and
# KL, both before any reduction. **Predict** $\beta$ for each row before you run the table.


# %%
def bce(x, logits):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none")  # (B, D)


def kl_each(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar)  # (B, Z)


# %%
BERNOULLI_LOSSES = {  # code, and the beta that we expect from B, D, Z
    "pixels sum, latents sum": (
        lambda x, o, m, v: bce(x, o).sum(1).mean() + kl_each(m, v).sum(1).mean(),
        lambda b, d, z: 1,
    ),
    "both summed over the batch too": (
        lambda x, o, m, v: bce(x, o).sum() + kl_each(m, v).sum(),
        lambda b, d, z: 1,
    ),
    "pixels mean, latents sum": (
        lambda x, o, m, v: bce(x, o).mean() + kl_each(m, v).sum(1).mean(),
        lambda b, d, z: d,
    ),
    "pixels mean, latents mean": (
        lambda x, o, m, v: bce(x, o).mean() + kl_each(m, v).mean(),
        lambda b, d, z: d / z,
    ),
}

# %% [markdown]
# Two more rows of this kind: a mean over latents beside a sum over pixels, and a KL that is
# summed over the batch while the other term is averaged.

# %%
ONE_SIDED_LOSSES = {
    "pixels sum, latents mean": (
        lambda x, o, m, v: bce(x, o).sum(1).mean() + kl_each(m, v).mean(),
        lambda b, d, z: 1 / z,
    ),
    "pixels sum, KL summed over batch": (
        lambda x, o, m, v: bce(x, o).sum(1).mean() + kl_each(m, v).sum(),
        lambda b, d, z: b,
    ),
}

# %%
print(f"D = 784, Z = 20, B = 4{'':14} beta, measured   expected")
for name, (loss_fn, expected_beta) in (BERNOULLI_LOSSES | ONE_SIDED_LOSSES).items():
    measured, by_hand = effective_beta(loss_fn, 784, 20), expected_beta(4, 784, 20)
    print(f"{name:36} {measured:15.4g} {by_hand:10.4g}")
    assert math.isclose(measured, by_hand, rel_tol=1e-9), f"{name}: not {by_hand}"

# %% [markdown]
# One word in the code, and $\beta$ runs over four orders of magnitude. Now squared error.
# The reference is a Gaussian with $\sigma_x = 1$. The last column reads the same number in
# another way: dividing the loss by $c$ shows that it is an honest negative ELBO, with
# $\beta = 1$, for a Gaussian with $\sigma_x^2 = \beta$, up to a constant and as long as
# $\sigma_x$ is fixed. The last row is the loss of the collection
# [PyTorch-VAE](https://github.com/AntixK/PyTorch-VAE) with its weight of the KL, on colour
# pictures of 64 x 64 pixels.

# %%
SQUARED_LOSSES = {  # code, D
    "half the sum, latents sum": (
        lambda x, o, m, v: (
            0.5 * ((x - o) ** 2).sum(1).mean() + kl_each(m, v).sum(1).mean()
        ),
        784,
    ),
    "sum without the half, latents sum": (
        lambda x, o, m, v: ((x - o) ** 2).sum(1).mean() + kl_each(m, v).sum(1).mean(),
        784,
    ),
    "mean over pixels, latents sum": (
        lambda x, o, m, v: F.mse_loss(o, x) + kl_each(m, v).sum(1).mean(),
        784,
    ),
    "mean, kld_weight 0.00025, 64 x 64 x 3": (
        lambda x, o, m, v: F.mse_loss(o, x) + 0.00025 * kl_each(m, v).sum(1).mean(),
        3 * 64 * 64,
    ),
}


# %%
def unit_gaussian(x, mean):
    return gaussian_log_likelihood(x, mean, 1.0)


def summed_squares(x, mean):
    return -((x - mean) ** 2).sum(1)


# %%
print(f"{'':38} beta if sigma_x = 1   or: beta = 1, sigma_x =")
hidden_sigma = {}
for name, (loss_fn, size) in SQUARED_LOSSES.items():
    measured = effective_beta(loss_fn, size, 20, unit_gaussian)
    hidden_sigma[name] = math.sqrt(measured)
    print(f"{name:38} {measured:19.4f} {hidden_sigma[name]:24.3f}")
measured = effective_beta(loss_fn, size, 20, summed_squares)
print(f"last row, weight beside a summed squared error: {measured:.3f}")

# %% [markdown]
# Pixels lie between 0 and 1. What does such a $\sigma_x$ do to the codes? For a linear decoder
# we know: at a fixed $\sigma_x$ the optimum has the form of the section on the linear VAE,
# and it keeps only axes with $\lambda_j > \sigma_x^2$; the other latents collapse to the prior
# (Tipping and Bishop; lesson 05 comes back to it). So we count eigenvalues of the digits. The
# last row is the $\sigma_x$ that the optimum with 20 latents has, for so many pixels nearly the
# root of the mean squared error.

# %%
grey = data.to_unit_interval(digits.train_images[:4000]).double().flatten(1)
values = torch.linalg.eigvalsh(torch.cov(grey.T, correction=0)).flip(0)  # falling
learned_sigma = values[20:].mean().sqrt().item()
print(f"{'':38} sigma_x   KL too heavy by   latents kept of 20")
for name, s in (hidden_sigma | {"learned by the linear model": learned_sigma}).items():
    kept = (values[:20] > s**2).sum()
    print(f"{name:38} {s:7.3f} {(s / learned_sigma) ** 2:17,.1f} {kept:20}")

# %% [markdown]
# With the mean over pixels alone nothing is left of the code; lesson 04 shows in pictures how
# it collapses. The small weight repairs part of that: its $\sigma_x$ lets some latents live,
# but the KL still counts far more than with the noise that the data ask for. Such a
# weight is a way to choose $\sigma_x$, nothing else. To read somebody else's code, give its
# loss, weight and all, to `effective_beta`.

# %% [markdown]
# ## Break it
#
# Six properties will be tested, in this order: the KL is 0 for $q$ = prior; it is never
# negative; the ELBO is at most $\log p_\theta(x)$; it equals $\log p_\theta(x)$ if $q$ is
# the true posterior; the KL agrees with `torch.distributions`; the gap is the KL to the
# true posterior. **Predict** for each of four mistakes in the KL: which property notices
# it first?
#
# 1. the sign is swapped; 2. the half is dropped; 3. $\sigma$ is passed where
# $\log\sigma^2$ belongs; 4. $\log\sigma$ is passed where $\log\sigma^2$ belongs.

# %%
BROKEN = {
    "right": kl_to_standard_normal,
    "sign swapped": lambda mu, lv: -kl_to_standard_normal(mu, lv),
    "half dropped": lambda mu, lv: 2 * kl_to_standard_normal(mu, lv),
    "sigma passed": lambda mu, lv: kl_to_standard_normal(mu, torch.exp(0.5 * lv)),
    "log sigma passed": lambda mu, lv: kl_to_standard_normal(mu, 0.5 * lv),
}


# %%
def properties(kl_fn, x, mus, logvars):
    """What must hold, in order, for a KL and for the ELBO that is made with it."""
    q = td.Normal(mus, torch.exp(0.5 * logvars))
    log_p = log_evidence(x, *MODEL)
    at_prior = kl_fn(torch.zeros(1, 2), torch.zeros(1, 2)).item()
    bound = expected_log_likelihood(x, mus, logvars, *MODEL) - kl_fn(mus, logvars)
    mean, covariance = posterior(x, *MODEL)
    guesses = td.MultivariateNormal(mus, logvars.exp().diag_embed())
    gap = td.kl_divergence(guesses, td.MultivariateNormal(mean, covariance))
    best = covariance.diag().log().expand_as(mean)
    tight = expected_log_likelihood(x, mean, best, *MODEL) - kl_fn(mean, best)
    library = td.kl_divergence(q, td.Normal(0.0, 1.0)).sum(1)
    return {
        "KL = 0 for q = prior": abs(at_prior) < 1e-10,
        "KL >= 0": bool((kl_fn(mus, logvars) >= 0).all()),
        "ELBO <= log p(x)": bool((bound <= log_p + 1e-10).all()),
        "ELBO = log p(x) at the posterior": torch.allclose(tight, log_p, atol=1e-10),
        "KL = torch.distributions": torch.allclose(kl_fn(mus, logvars), library),
        "gap = KL(q || posterior)": torch.allclose(log_p - bound, gap),
    }


# %%
torch.manual_seed(SEED)
mus = true_mean[0] + torch.randn(1000, 2)  # a thousand guesses, good and bad
wide = 1.5 * torch.randn(1000, 2) - 1  # log-variances; some wider than the prior
tables = {
    name: properties(f, x.expand(1000, 5), mus, wide) for name, f in BROKEN.items()
}
print(f"{'':34}" + "".join(f"{name:>18}" for name in tables))
for row in tables["right"]:
    marks = ["holds" if table[row] else "FAILS" for table in tables.values()]
    print(f"{row:34}" + "".join(f"{mark:>18}" for mark in marks))

# %% [markdown]
# Read the columns from top to bottom; the first FAILS is what a test would report. The
# swapped sign and the passed $\sigma$ are noticed early. **The dropped half is not noticed
# by the bound**: twice the KL only lowers the ELBO, and a lower bound stays a lower bound.
# It shows only where we ask for *equality*. And the passed $\log\sigma$ is right for
# $\sigma = 1$, so a test at the prior alone would let it through. Test identities, not only
# inequalities, and on random inputs.
#
# The same confusion can sit in the sampling instead. Draws with `exp(logvar)` as standard
# deviation belong to another Gaussian than the one in the KL:

# %%
torch.manual_seed(SEED)
sigma = torch.exp(0.5 * logvar3)
eps = torch.randn(200_000, 3)
for name, spread in [("exp(0.5 logvar)", sigma), ("exp(logvar)", logvar3.exp())]:
    z = mu3 + spread * eps
    ratio = td.Normal(mu3, sigma).log_prob(z) - td.Normal(0.0, 1.0).log_prob(z)
    print(f"draws with sigma = {name}: {ratio.sum(1).mean():.3f} nats on average")
print(f"closed form: {kl_to_standard_normal(mu3, logvar3).item():.3f} nats")

# %% [markdown]
# Monte Carlo and closed form agree for the first line only. Whenever your code has both a
# sample and a closed form, compare them.

# %% [markdown]
# ## Questions that come up
#
# <details><summary>Sum or mean?</summary>
#
# Sum over pixels and over latents, mean over the batch. That is the negative ELBO in nats
# per image. A factor common to both terms does not move the optimum; a factor on one of
# them is a hidden $\beta$.
# </details>
# <details><summary>What does mean over pixels do?</summary>
#
# It divides the reconstruction term by $D$, so the KL counts $D$ times as much. A mean over
# the latents as well leaves $D/Z$. The table of the hidden $\beta$ measures both.
# </details>
# <details><summary>What is kld_weight=0.00025 / M_N?</summary>
#
# A repair for a squared error that is averaged over pixels. The last row of the table
# shows which weight it is beside a summed squared error. It does not correct for
# minibatches: the factor for that in the paper scales *both* terms of the bound.
# </details>
# <details><summary>Why a minus in code and a plus in the paper?</summary>
#
# The paper maximises the ELBO. Optimisers minimise, so code takes its negative: minus the
# expected log-likelihood, plus the KL.
# </details>
# <details><summary>Is -0.5*sum(1+logvar-mu^2-exp(logvar)) negative?</summary>
#
# No. Move the minus inside the bracket and our formula appears. It is 0 for mu = 0 and
# logvar = 0, and positive everywhere else.
# </details>
# <details><summary>Is the 0.5 a weight (beta=0.5)?</summary>
#
# No. It comes from the exponent of the Gaussian density. The standard VAE has $\beta = 1$.
# </details>
# <details><summary>May the loss be negative?</summary>
#
# With Bernoulli pixels in [0, 1] never; if it is, the data are not scaled. With a Gaussian
# density and a small $\sigma_x$ it may: we computed an example.
# </details>
# <details><summary>BCE or MSE?</summary>
#
# That is the question which $p_\theta(x \mid z)$ you believe in. Bernoulli gives the binary
# cross-entropy, a Gaussian gives the squared error divided by $2\sigma_x^2$. With the
# Gaussian you have to choose or learn $\sigma_x$, because it sets the weight.
# </details>
# <details><summary>Why is p(x) intractable?</summary>
#
# It adds up the decoder's answer over all codes. For a network there is no formula, a grid
# is too large, and draws from the prior hardly ever hit a code that fits $x$.
# </details>
# <details><summary>Is the ELBO the log-likelihood?</summary>
#
# No, it is a lower bound on it. What is missing is the KL from $q(z \mid x)$ to the true
# posterior, which is never negative.
# </details>
# <details><summary>Is p(x) a constant here?</summary>
#
# Only for the encoder. It depends on the decoder's weights. A higher ELBO means a higher
# $\log p_\theta(x)$, or a smaller gap, or both.
# </details>
# <details><summary>Why KL(q||p), not KL(p||q)?</summary>
#
# The derivation gives this one; nobody chose it. It is also the one that we can handle: it
# is a mean under $q$, from which we can draw. The other one would be a mean under the true
# posterior, which we do not have.
# </details>
# <details><summary>Which unit is this?</summary>
#
# Nats per image, since our logarithms are natural. Divide by $D \ln 2$ for bits per
# dimension.
# </details>

# %% [markdown]
# ## Check yourself
#
# 1. A model's ELBO rises during training of the *encoder alone*. What happened to
#    $\log p_\theta(x)$, and what happened to the gap?
# 2. A colleague's KL to the prior is large. Is the bound bad?
# 3. Two papers give $-95.3$ and $-94.7$ nats for the same model, with $S = 100$ and
#    $S = 1000$. Who is wrong?
#
# <details><summary>Answers</summary>
#
# 1. $\log p_\theta(x)$ did not move: the encoder does not appear in it. The gap, the KL to
#    the true posterior, became smaller by exactly the rise of the ELBO.
# 2. One cannot tell. The KL to the *prior* says how far the code leaves the prior, and a
#    code must leave it to tell something about $x$. The quality of the bound is the KL to the
#    *true posterior*.
# 3. Nobody. Both are lower bounds, and the one with more samples is tighter. They must not
#    be compared as if they were two models.
# </details>

# %% [markdown]
# ## Exercise 03.5 · The gap that a diagonal guess cannot close (open)
#
# *extension, hard, 30 minutes*
#
# The true posterior $\mathcal N(m, \Sigma)$ may be correlated, and our guess is diagonal:
# $q = \mathcal N(\mu, \operatorname{diag}(\sigma^2))$. Its best mean is $\mu = m$. For full
# covariances the KL of two Gaussians with equal means is
#
# $$\mathrm{KL}\big(\mathcal N(m, Q) \,\Vert\, \mathcal N(m, \Sigma)\big) = \tfrac12\big(\operatorname{tr}(\Sigma^{-1} Q) - Z + \log\det\Sigma - \log\det Q\big).$$
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $Q$ | covariance of the guess; here only its diagonal may differ from 0 | $(Z, Z)$ | `covariance_q` |
# | $\Sigma$ | covariance of the true posterior, as before | $(Z, Z)$ | `covariance` |
#
# The helper `linear_gaussian.kl_between_gaussians` has it, with means. Find the variances
# that make it smallest, and return the smallest gap.


# %% tags=["exercise"]
def smallest_gap(covariance):
    """covariance (Z, Z) of the true posterior -> nats lost by the best diagonal q."""
    ### BEGIN SOLUTION
    precision = torch.linalg.inv(covariance)
    variances = 1 / precision.diag()  # of the best q
    return 0.5 * (torch.logdet(covariance) - variances.log().sum())
    ### END SOLUTION


# %% tags=["check"]
check.smallest_gap(smallest_gap)

# %% [markdown]
# <details><summary>Hint 1: what does the trace become?</summary>
#
# For a diagonal $Q$, only the diagonal of $\Sigma^{-1}$ enters the trace:
# $\sum_j (\Sigma^{-1})_{jj}\, \sigma_j^2$. And $\log\det Q = \sum_j \log \sigma_j^2$.
# </details>
# <details><summary>Hint 2: the best variances</summary>
#
# Every $\sigma_j^2$ stands alone in the sum. Set the derivative over it to zero. The result
# is *not* the diagonal of $\Sigma$; is it smaller or larger?
# </details>
# <details><summary>Hint 3: what cancels</summary>
#
# With the best variances the trace is a whole number.
# </details>

# %% [markdown]
# **Go on:** multiply `WEIGHT` from the right with a rotation by an angle, so that the
# columns of $W$ are no longer at right angles. $WW^\top$ does not change. Draw
# $\log p_\theta(x)$ and the best ELBO of a diagonal guess against the angle. Where do they
# meet? What has this to do with the axes that the linear VAE found? Then draw the ellipse
# of a correlated posterior and of its best diagonal guess over each other: the guess is too
# narrow. Why would the *other* KL keep each latent's own width, and so cover too large an
# area?

# %% [markdown]
# ## Summary
#
# | Formula | Function |
# |---|---|
# | $\log p_\theta(x) = \mathrm{ELBO} + \mathrm{KL}(q \Vert p_\theta(z \mid x))$ | `linear_gaussian.log_evidence`, `linear_gaussian.elbo` |
# | $p_\theta(z \mid x)$ of the linear model | `linear_gaussian.posterior` |
# | highest $\log p_\theta(x)$ of the linear model | `linear_gaussian.maximum_likelihood`, `linear_gaussian.max_log_evidence` |
# | $\mathrm{KL}(q_\phi(z \mid x) \Vert \mathcal N(0, I))$ | `distributions.kl_to_standard_normal` |
# | $\log q_\phi(z \mid x)$, $\log p(z)$ | `distributions.normal_log_prob`, `distributions.standard_normal_log_prob` |
# | $\log p_\theta(x \mid z)$, Bernoulli or Gaussian | `distributions.bernoulli_log_likelihood`, `distributions.gaussian_log_likelihood` |
# | $\mathcal L_S$, the importance-weighted bound | `bounds.importance_weighted_bound` |
# | nats per image $/ (D \ln 2)$ | `bounds.bits_per_dimension` |
#
# **Sources.** Kingma and Welling, *Auto-encoding variational Bayes* (arXiv:1312.6114),
# section 2.2 and Appendix B. Tipping and Bishop, *Probabilistic principal component
# analysis*, Journal of the Royal Statistical Society B 61 (1999). Burda, Grosse and
# Salakhutdinov, *Importance weighted autoencoders* (arXiv:1509.00519), section 3. Lucas,
# Tucker, Grosse and Norouzi, *Don't blame the ELBO!* (arXiv:1911.02469), for the linear VAE.
# Rolinek, Zietlow and Martius, *Variational autoencoders pursue PCA directions (by accident)*
# (arXiv:1812.06775), for the axes. Cremer, Li and Duvenaud, *Inference suboptimality in
# variational autoencoders* (arXiv:1801.03558), for amortisation and family.
# Rybkin, Daniilidis and Levine, *Simple and effective VAE training with calibrated
# decoders* (arXiv:2006.13202), for $\sigma_x$. Loaiza-Ganem and Cunningham, *The continuous
# Bernoulli* (arXiv:1907.06845).
