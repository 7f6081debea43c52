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
# # 05 · beta-VAE: what does the weight on the KL buy?
#
# We put a weight on the KL, turn it from a quarter to thirty-two, and measure what the
# model pays and what it gets: exactly on a linear model, then on digits and sprites.
#
# **You will be able to**
#
# - place a model on the plane of rate and distortion and say which $\beta$ put it there;
# - count active latents, and cause, diagnose and cure posterior collapse;
# - measure disentanglement with a named estimator and report its spread over seeds;
# - translate a $\beta$ between papers, data sets and reductions.

# %% [markdown]
# ## Set-up

# %%
import math
from functools import partial
from statistics import median

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from IPython.display import clear_output
from sklearn.datasets import load_digits
from sklearn.metrics import mutual_info_score
from torch import nn

from vae_helpers import (
    bounds,
    data,
    linear_gaussian,
    plots,
    runtime,
    sprites,
    training,
    widgets,
)
from vae_helpers import vae as course_vae
from vae_helpers.checks import lesson05 as check
from vae_helpers.distributions import gaussian_log_likelihood, kl_to_standard_normal
from vae_helpers.expected import expected

plots.style()

# %%
SEED = 0
HIDDEN = 128  # width of the hidden layers
BATCH = 64  # images in a batch
PEAK_RATE = 3e-3  # of the learning rate, with lesson 01's schedule
STEPS = 500  # optimiser steps of one model of digits
SPRITE_STEPS = 700  # of one model of sprites
SPRITE_LATENT = 6  # Z of the models of sprites, 2 at least
BETAS = (0.25, 1.0, 2.0, 4.0, 8.0, 32.0)  # the sweep on digits, all above 0
SWEEP_SEEDS = (SEED, SEED + 10, SEED + 20)
TEST_IMAGES = 2000  # scored after training, or all if there are fewer

if min(BETAS) <= 0:
    raise ValueError(f"BETAS must lie above 0, got {BETAS}")
if SPRITE_LATENT < 2:  # a gap lies between two latents
    raise ValueError(f"SPRITE_LATENT must be 2 at least, got {SPRITE_LATENT}")
device = runtime.start(SEED)
digits = data.load_images("MNIST")
train_images = digits.train_images.to(device)
test_images = digits.test_images[:TEST_IMAGES]
test_x = data.to_unit_interval(test_images).to(device)

# %% [markdown]
# This lesson trains several dozen models, so each is smaller than in lesson 04 (128 hidden
# units instead of 400) and trained for fewer steps. Its $-$ELBO on MNIST are worse than there.
# What counts is the comparison between models that differ in one thing.

# %% [markdown]
# ## The problem: the same beta, two results
#
# Higgins et al. (2017) multiply the KL of a VAE by a weight $\beta$, and the literature is
# full of "we used $\beta = 4$". We do so twice: same network, same recipe, handwritten
# digits. Once they have $28 \times 28$ pixels, once $8 \times 8$ (the small digits that
# scikit-learn carries). **Predict**: will both work?
#
# First the loss, with the weight in plain sight. You write it yourself.
#
# ### Exercise 05.1 · The loss with a weight
#
# *core, easy, 5 minutes*
#
# Return the loss of a batch: the reconstruction term of lesson 04, summed over pixels, plus
# $\beta$ times the KL, summed over latents, both averaged over the batch.


# %% tags=["exercise"]
def beta_loss(x, logits, mu, logvar, beta):
    """x, logits (B, C, H, W); mu, logvar (B, Z); beta a number -> one scalar."""
    ### BEGIN SOLUTION
    nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    return (nats.flatten(1).sum(1) + beta * kl).mean()
    ### END SOLUTION


# %% tags=["check"]
check.beta_loss(beta_loss)

# %% [markdown]
# <details><summary>Hint 1: what is new?</summary>
#
# One multiplication. Everything else is Exercise 04.2.
# </details>
# <details><summary>Hint 2: which term?</summary>
#
# A large $\beta$ makes the code expensive. It does not touch the pixels.
# </details>
# <details><summary>Hint 3: the reductions</summary>
#
# A mean over pixels or over latents would be a second, hidden factor on $\beta$. The only
# mean is the one over the batch.
# </details>

# %% [markdown]
# Our version, in the form that `training.fit` wants. It also reports both terms **without**
# the weight, so that the numbers of different $\beta$ can be compared.


# %% tags=["definition"]
def vae_loss(model, x, beta=1.0):
    """-> loss = reconstruction + beta * kl, and both terms; nats per image."""
    logits, mu, logvar = model(x)
    nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    reconstruction = nats.flatten(1).sum(1).mean()
    kl = kl_to_standard_normal(mu, logvar).mean()
    loss = reconstruction + beta * kl
    return {"loss": loss, "reconstruction": reconstruction, "kl": kl}


# %% [markdown]
# One function trains a new model for each experiment, always with the recipe of lesson 04.


# %%
def train(images, loss_fn, steps, seed, latent, rate=PEAK_RATE, label="training"):
    """A new VAE for these images, trained with the better recipe of lesson 04."""
    torch.manual_seed(seed)
    model = course_vae.VAE(latent, HIDDEN, images.shape[1:]).to(images.device)
    training.fit(
        model,
        images,
        loss_fn,
        steps=steps,
        lr=rate,
        batch_size=min(BATCH, len(images)),
        schedule=training.warmup_cosine,
        seed=seed,
        label=label,
    )
    return model


# %% [markdown]
# Two data sets, one $\beta$:


# %%
small = torch.tensor(load_digits().images / 16, dtype=torch.float32)[:, None]
small_train, small_test = small[:1400].to(device), small[1400:]  # (N, 1, 8, 8)
beta4 = partial(vae_loss, beta=4.0)
pair = {
    "28 x 28": (train(train_images, beta4, STEPS, SEED, 10), test_images),
    "8 x 8": (train(small_train, beta4, STEPS, SEED, 10), small_test),
}

# %%
figure, axes = plt.subplots(2, 1, figsize=(6.5, 2.9))
for ax, (name, (model, images)) in zip(axes, pair.items(), strict=True):
    x = data.to_unit_interval(images[:10]).to(device)
    labels = {"row_labels": ["image", "reconstruction"], "ax": ax}
    plots.show_images(torch.cat([x, model.reconstruct(x)]), len(x), **labels)
    kl = bounds.mean_terms(model, images)["kl"]
    ax.set_title(f"{name} pixels, beta = 4: KL {kl:.2f} nats per image")
plt.show()

# %% [markdown]
# The large digits come back, soft and not always as the right digit. The small ones all
# come back as one grey blur, and their codes carry next to nothing. The same $\beta$ is a mild weight for one data set
# and a deadly one for the other. To understand this we need the right axes.

# %% [markdown]
# ## Two axes: rate and distortion
#
# Give the two terms of the negative ELBO names from the theory of communication, as Alemi
# et al. (2018) do. Both are means over images, in nats, and lower is better for both.
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $\mathcal R$ | **rate**: the mean KL to the prior, the length of the message about an image | number | `"kl"` |
# | $\mathcal D$ | **distortion**: the mean of $-\log p_\theta(x \mid z)$, the surprise that the message leaves | number | `"reconstruction"` |
# | $H$ | entropy of the source of the data, below which the expected $-\mathrm{ELBO}$ cannot fall | number | `entropy` |
# | $\lambda_j$ | variance of the data along principal axis $j$ | $(D)$ | `values` |
# | $\sigma_x$ | standard deviation of the noise of a Gaussian decoder | number | `sigma` |
# | $\tau$ | the water level, $\beta\sigma_x^2$ | number | `level` |
# | $Z$, $D$, $N$ | number of latents, of pixels or other dimensions (not the distortion $\mathcal D$), of images | | |
# | $v_k$ | factor number $k$ of the sprites: shape, scale, x or y; there are $K$ | $(N)$ | `factors[:, k]` |
# | $\mathrm{MI}$ | mutual information, in nats | number | `mutual_info_score` |
#
# The loss and the bound are then
#
# $$\text{loss} = \mathcal D + \beta\,\mathcal R, \qquad -\mathrm{ELBO} = \mathcal D + \mathcal R .$$
#
# On a sheet with $\mathcal R$ across and $\mathcal D$ upwards, models of equal ELBO lie on
# lines of slope $-1$. Now let a family of models be as good as it can: for each rate, the
# lowest distortion. That is a falling curve. Minimising $\mathcal D + \beta\,\mathcal R$
# slides a line of slope $-\beta$ down until it only touches the curve. So
#
# $$\frac{d\mathcal D}{d\mathcal R} = -\beta \quad\text{at the optimum.}$$
#
# **One more nat of rate must save $\beta$ nats of distortion, or it is not bought.** This
# is what the weight buys: a shorter message, as long as that is worth it.
#
# ### The smallest case: one latent, all by hand
#
# Take data of one dimension with mean 0 and variance $\lambda$, and a linear Gaussian decoder with
# fixed noise, $p_\theta(x \mid z) = \mathcal N(x;\, wz,\, \sigma_x^2)$. Lesson 03 found
# that a weight $\beta$ is the same as $\beta = 1$ with another noise, $\sigma_x^2$
# replaced by $\tau = \beta\sigma_x^2$. So the optimum is that of lesson 03, with $\tau$:
#
# $$w^2 = \max(\lambda - \tau, 0), \qquad \mathcal R = \tfrac12 \log\frac{\lambda}{\tau}
# \;\text{ or } 0, \qquad \text{squared error} = \min(\lambda, \tau).$$
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $w$ | the one weight of this decoder | number | `weight` |
# | $\lambda$ | the variance of the data | number | `values` |
#
# Check it for $\lambda > \tau$. The posterior of this model has the variance
# $\tau / (w^2 + \tau) = \tau / \lambda$ and the mean $w x / \lambda$, and the variance of
# that mean over the data is $(\lambda - \tau) / \lambda$. So
#
# $$\mathcal R = \tfrac12 \Big[ \tfrac{\lambda - \tau}{\lambda} + \tfrac{\tau}{\lambda} - 1 - \log \tfrac{\tau}{\lambda} \Big] = \tfrac12 \log \tfrac{\lambda}{\tau} .$$
#
# The squared error is that of the mean, $\tau^2 / \lambda$, plus what the spread of the
# posterior adds, $w^2 \tau / \lambda$; together they are $\tau$. The distortion is
# $\tfrac12 \log(2\pi\sigma_x^2)$ plus the squared error over $2\sigma_x^2$, with
# $\sigma_x^2$ and not $\tau$: the decoder's own noise does not change.
#
# Read it aloud: **an axis whose variance is below the water level is not worth a message.**
# Its weight is 0, its rate is 0, its whole variance stays as error. Above the level, the
# message is just long enough to bring the error down to the level.

# %% [markdown]
# With several axes the rates add up. Engineers know this as *reverse water-filling*, the
# exact rate-distortion function of a Gaussian.


# %%
def exact_point(values, variance, beta):
    """values (D,), sigma_x^2, beta -> rate and distortion (nats), active latents."""
    level = beta * variance
    rate = 0.5 * (values / level).log().clamp_min(0).sum()
    error = values.clamp_max(level).sum()  # squared error, summed over the D axes
    constant = 0.5 * len(values) * math.log(2 * math.pi * variance)
    active = (values > level).sum()
    return rate.item(), constant + error.item() / (2 * variance), active.item()


# %% tags=["nbval-check-output"]
one_axis = torch.tensor([4.0])
print("one axis, variance 4, sigma_x^2 = 0.5")
print("  beta   level    rate   distortion    -ELBO   active")
for beta in (0.25, 1, 2, 4, 8, 16):
    rate, distortion, active = exact_point(one_axis, 0.5, beta)
    numbers = f"{rate:8.3f} {distortion:12.3f} {rate + distortion:8.3f} {active:8}"
    print(f"{beta:6} {0.5 * beta:7.3f}{numbers}")

# %% [markdown]
# The column $-$ELBO is lowest at $\beta = 1$, and it must be: the ELBO is what $\beta = 1$
# maximises. From $\beta = 8$ on the level has reached the variance, and the latent is
# switched off.

# %% [markdown]
# ## The exact curve
#
# Now six axes. We draw a cloud of points and shape it so that its covariance has the
# eigenvalues 8, 4, 2, 1, 0.5 and 0.25 exactly. They are all that the formula needs. For $H$ we
# take the entropy of the Gaussian with these eigenvalues: a linear Gaussian model sees
# nothing of the data but mean and covariance.

# %%
generator = torch.Generator().manual_seed(SEED)
values = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5, 0.25], dtype=torch.float64)
raw = torch.randn(1000, 6, generator=generator, dtype=torch.float64)
axes_of_cloud = torch.linalg.qr(torch.randn(6, 6, generator=generator).double()).Q
whitened = torch.linalg.qr(raw - raw.mean(0)).Q * math.sqrt(len(raw))
cloud = (whitened * values.sqrt()) @ axes_of_cloud.T  # (1000, 6)
found = torch.linalg.eigvalsh(torch.cov(cloud.T, correction=0)).flip(0)
assert torch.allclose(found, values), "the cloud has other eigenvalues"
entropy = 0.5 * (2 * math.pi * math.e * values).log().sum().item()

# %% tags=["nbval-check-output"]
VARIANCE = 0.2  # sigma_x^2 of the linear decoder, fixed
fine = [exact_point(values, VARIANCE, 1.1**i)[:2] for i in range(-24, 46)]
marked = {beta: exact_point(values, VARIANCE, beta) for beta in BETAS}
step = 1e-4
for beta, (rate, distortion, _) in marked.items():
    near = exact_point(values, VARIANCE, beta * (1 + step))
    slope = (near[1] - distortion) / (near[0] - rate) if rate else math.nan
    text = f"rate {rate:6.3f}, distortion {distortion:7.3f}, slope {slope:7.3f}"
    print(f"beta {beta:5}: {text}")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.7))
left.plot(*zip(*fine, strict=True), label="best possible")
for total in range(8, 33, 4):
    left.plot([0, 16], [total, total - 16], color="0.6", lw=0.6, ls=":")
left.plot([0, 16], [entropy, entropy - 16], color="black", lw=1, label="D + R = H")
for beta, (rate, distortion, _) in marked.items():
    left.plot(rate, distortion, "o", color=plots.COLOURS[1])
    left.annotate(f" {beta:g}", (rate, distortion), va="bottom")
left.set(xlim=(-0.5, 12), ylim=(1, 29), title="Exact curve; numbers: beta")
left.set(xlabel="rate R, nats", ylabel="distortion D, nats")
left.legend()
levels = [1.1**i for i in range(-24, 46)]
right.plot(levels, [r + d for r, d in fine], label="-ELBO")
right.axhline(entropy, color="black", lw=1, label="entropy H")
right.set(xscale="log", xlabel="beta", ylabel="nats", title="What beta costs")
right.legend()
plt.show()

# %% [markdown]
# Left: the curve falls from the corner where nothing is said, $\mathcal R = 0$, and
# flattens; each point has the slope that its $\beta$ asks for, as the printed slopes say.
# The dotted lines join models of equal ELBO. The black one is the limit of all: with
# $-\mathrm{ELBO} \ge H$ no model can lie below it (Alemi et al., 2018). The curve touches
# it where its own slope is $-1$, because six latents, and a noise of 0.2 below the smallest
# eigenvalue 0.25, can fit this covariance exactly. A larger fixed noise would leave a gap. Right:
# hence the minimum at $\beta = 1$. (The point of $\beta = 32$ lies above the left frame.)
#
# For discrete data the two ends of the black line have names. At $\mathcal R = 0$,
# $\mathcal D = H$ lies the *auto-decoding limit*: the decoder knows the data by itself, the
# code says nothing. At $\mathcal R = H$, $\mathcal D = 0$ lies the *auto-encoding limit*:
# the code says all. **Both have the same ELBO.** A good ELBO alone does not mean a useful
# code; it takes two numbers to say where a model stands.

# %% [markdown]
# ### Is it still a bound?
#
# With the exact model we can compare the loss with the true $-\log p_\theta(x)$ of the very
# model that each $\beta$ makes. **Predict**: for which $\beta$ does the loss stay above it?


# %%
def exact_decoder(values, axes, variance, beta):
    """The best weight (D, Z) of a linear decoder for this beta."""
    return axes * (values - beta * variance).clamp_min(0).sqrt()


# %%
print("  beta    loss D + beta R     -ELBO    -log p(x)")
for beta, (rate, distortion, _) in marked.items():
    weight = exact_decoder(values, axes_of_cloud, VARIANCE, beta)
    model = weight, torch.zeros(6), math.sqrt(VARIANCE)
    exact = -linear_gaussian.log_evidence(cloud, *model).mean().item()
    loss = distortion + beta * rate
    print(f"{beta:6} {loss:18.3f} {distortion + rate:9.3f} {exact:12.3f}")
    assert distortion + rate >= exact - 1e-9, "the ELBO lies above log p(x)"
    assert beta < 1 or loss >= exact - 1e-9, "the loss lies below -log p(x)"

# %% [markdown]
# The $-$ELBO in the middle is a bound in every row: whatever trained the model, its
# **unweighted** ELBO is honest. For $\beta \ge 1$ the loss is never below
# $-\log p_\theta(x)$: it is the $-$ELBO plus $(\beta - 1)\,\mathcal R$, and neither gap is
# negative. It is exact at $\beta = 1$ here and can be many nats off beyond. For $\beta < 1$ it
# is no longer surely a bound; here it lies *below*, and promises more than is true. So a loss
# with $\beta \ne 1$ is a tool for training and nothing to report. We compare models by their
# unweighted ELBO on test images.

# %% [markdown]
# ## Posterior collapse, exactly
#
# A latent has **collapsed** when the encoder gives it the prior for every image: $\mu = 0$,
# $\sigma = 1$. The formula says when this is the best one can do: $\lambda_j \le \tau$. No
# bad luck, no bug. Does an optimiser find the same? It needs a way to count.
#
# ### Exercise 05.2 · Which latents are active?
#
# *core, easy, 7 minutes*
#
# Burda et al. (2016) call a latent active when its posterior **mean** changes from image
# to image: when the variance of $\mu_j$ over the images is above a threshold. Return a tensor
# of shape $(Z)$ with one True or False for each latent. Not every argument is needed.


# %% tags=["exercise"]
def active(mu, logvar, threshold):
    """mu, logvar (N, Z) of N images; threshold a number -> (Z,) of True or False."""
    ### BEGIN SOLUTION
    return mu.var(0) > threshold
    ### END SOLUTION


# %% tags=["check"]
check.active(active)

# %% [markdown]
# <details><summary>Hint 1: which axis?</summary>
#
# "From image to image" is axis 0. What remains has the shape (Z,).
# </details>
# <details><summary>Hint 2: variance of what?</summary>
#
# Of the means. The posterior's own variance, `logvar.exp()`, is *largest* for a collapsed
# latent.
# </details>
# <details><summary>Hint 3: which function?</summary>
#
# `mu.var(0)`. Compare with `>`; the result of a comparison is a tensor of True and False.
# </details>

# %% [markdown]
# Our version, and beside it the other thermometer, the price of each latent in nats that
# lesson 04 used. They can disagree both ways: a mean can move a little at almost no price,
# and a posterior narrower than the prior costs nats even if its mean stands still. Report
# both.


# %% tags=["definition"]
def active_units(mu, threshold=0.01):
    """(N, Z) -> (Z,) True where the mean varies over the N images."""
    return mu.var(0, correction=0) > threshold


def kl_per_dimension(mu, logvar):
    """(N, Z), (N, Z) -> (Z,) nats: KL to the prior, mean over the N images."""
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).mean(0)


# %% [markdown]
# The experiment: a linear VAE with six latents, its noise $\sigma_x^2$ **fixed**, its exact
# ELBO maximised by LBFGS as in lesson 03. Five noises, five trainings. **Predict** the
# number of active latents from the eigenvalues 8, 4, 2, 1, 0.5 and 0.25.


# %%
class LinearVAE(nn.Module):
    def __init__(self, size, latent, sigma):
        super().__init__()
        self.to_mu = nn.Linear(size, latent, dtype=torch.float64)
        self.logvar = nn.Parameter(torch.zeros(latent, dtype=torch.float64))
        self.decoder = nn.Linear(latent, size, dtype=torch.float64)
        self.sigma = sigma  # fixed, not learned

    def elbo(self, x):
        mu = self.to_mu(x)
        logvar, model = (
            self.logvar.expand_as(mu),
            (self.decoder.weight, self.decoder.bias),
        )
        return linear_gaussian.elbo(x, mu, logvar, *model, self.sigma)


# %% [markdown]
# All data enter at once, so LBFGS needs a function that it can call again and again.


# %%
def maximise(model, x, steps=300):
    """LBFGS on minus the mean ELBO, all data at once; -> the ELBO reached, nats."""
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        max_iter=steps,
        history_size=50,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        loss = -model.elbo(x).mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    return model.elbo(x).mean().item()


# %%
NOISES = (0.35, 0.7, 1.5, 3.0, 12.0)  # sigma_x^2
counts, off = {}, {}

# %%
print("sigma_x^2   eigenvalues above   active, trained   -ELBO exact   -ELBO trained")
for noise in NOISES:
    torch.manual_seed(SEED)
    linear = LinearVAE(6, 6, math.sqrt(noise))
    reached = -maximise(linear, cloud)
    rate, distortion, above = exact_point(values, noise, 1.0)
    with torch.no_grad():
        counts[noise] = above, active_units(linear.to_mu(cloud)).sum().item()
    numbers = f"{counts[noise][1]:16} {rate + distortion:15.4f} {reached:15.4f}"
    print(f"{noise:9} {above:15} {numbers}")
    off[noise] = abs(reached - rate - distortion)
differ = [noise for noise, (above, kept) in counts.items() if above != kept]
print("trained and exact counts differ at sigma_x^2 in:", differ or "none")
far = [noise for noise in NOISES if not off[noise] < 0.01]
print("the ELBO is off by a hundredth of a nat or more at:", far or "none")

# %% [markdown]
# Where the first line names none, the trained model keeps exactly as many latents as there are
# eigenvalues above the noise. **Collapse can be the
# optimum.** It is then no failure of training: the decoder claims so much noise that the
# axis is not worth a message. And since only $\tau = \beta\sigma_x^2$ counts, a large
# $\beta$ and a large $\sigma_x$ are the same disease.

# %% [markdown]
# ## Train: the curve on digits
#
# A neural VAE on digits has no formula, so we train one for each $\beta$ and for each of
# three seeds. **Predict** the shape of the curve and the best $\beta$.


# %%
def place(model, images, seed=0):
    """Rate, distortion and -ELBO on images, and both counts of active latents."""
    torch.manual_seed(seed)
    terms = bounds.mean_terms(model, images)
    x = data.to_unit_interval(images).to(next(model.parameters()).device)
    with torch.no_grad():
        mu, logvar = model.encode(x)
    price = kl_per_dimension(mu, logvar)
    return {
        "rate": terms["kl"],
        "distortion": terms["reconstruction"],
        "-ELBO": terms["loss"],
        "moving": active_units(mu).sum().item(),
        "paying": (price > 0.05).sum().item(),  # nats
    }


# %%
sweep = {}
for beta in BETAS:
    for seed in SWEEP_SEEDS:
        clear_output(wait=True)
        loss_fn = partial(vae_loss, beta=beta)
        label = f"beta {beta:g}, seed {seed}"
        sweep[beta, seed] = train(train_images, loss_fn, STEPS, seed, 10, label=label)

# %%
points = {key: place(model, test_images) for key, model in sweep.items()}

# %% [markdown]
# One row of a table, from several runs: the median, with the smallest and largest value in
# brackets.

# %%
NAMES = ("distortion", "rate", "-ELBO", "moving", "paying")


def row(table, names=NAMES):
    """Median and range of each name over some runs, as text."""
    cells = []
    for name in names:
        found = sorted(run[name] for run in table)
        cells.append(f"{median(found):6.1f} [{found[0]:5.1f}, {found[-1]:5.1f}]")
    return " ".join(cells)


# %%
print(" " * 6 + " ".join(f"{name:>21}" for name in NAMES))
for beta in BETAS:
    print(f"{beta:5} {row([points[beta, seed] for seed in SWEEP_SEEDS])}")

# %% [markdown]
# Each cell is the median of three seeds with the smallest and largest value behind it. Rate
# and distortion are nats per test image. *Moving* counts latents by the variance of their
# means (above 0.01), *paying* those that cost more than 0.05 nats, out of 10.

# %%
middle = {
    beta: {n: median(points[beta, s][n] for s in SWEEP_SEEDS) for n in NAMES}
    for beta in BETAS
}
best = min(BETAS, key=lambda beta: middle[beta]["-ELBO"])
print(f"lowest unweighted test -ELBO: beta = {best:g}")

# %%
tracked = {
    "beta 1: test -ELBO, nats per image": (1, "-ELBO"),
    "beta 1: rate, nats per image": (1, "rate"),
    "beta 4: rate, nats per image": (4, "rate"),
    "beta 4: test -ELBO, nats per image": (4, "-ELBO"),
    "beta 8: latents that pay (noisy)": (8, "paying"),
    "beta 32: distortion, nats per image": (32, "distortion"),
}
expected("05", digits, {n: middle[b][k] for n, (b, k) in tracked.items() if b in BETAS})

# %% [markdown]
# <details><summary>My numbers are not in the band</summary>
#
# | Symptom | Likely cause |
# |---|---|
# | the same numbers for every $\beta$ | `beta` is never used, or the `partial` is missing |
# | rate grows with $\beta$ | `beta` stands on the reconstruction term |
# | rate near 0 at $\beta = 1$ | a mean over pixels: $\beta$ is $D$ times what you think |
# | rate two times too high or more | the KL is a mean over latents ($\beta = 1/Z$) or is divided by $D$ |
# | "$-$ELBO" that keeps falling as $\beta$ falls below 1 | the weighted loss was reported |
# </details>

# %% tags=["figure:rate-distortion"]
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
for total in range(100, 320, 20):
    left.plot([0, 60], [total, total - 60], color="0.6", lw=0.6, ls=":")
for number, beta in enumerate(BETAS):
    runs = [points[beta, seed] for seed in SWEEP_SEEDS]
    where = [r["rate"] for r in runs], [r["distortion"] for r in runs]
    left.plot(*where, "o^sDvP"[number % 6], label=f"beta {beta:g}", ls="", ms=6)
    costs = [r["-ELBO"] for r in runs]
    right.plot([beta] * len(runs), costs, "o", color=plots.COLOURS[1], ms=4)
curve = sorted((m["rate"], m["distortion"]) for m in middle.values())
left.plot(*zip(*curve, strict=True), color="black", lw=0.8, ls="-")
left.set(xlabel="rate, nats per image", ylabel="distortion, nats per image")
left.set(title="Test digits; dotted: equal ELBO", ylim=(80, 220), xlim=(-1, 42))
left.legend()
right.plot(BETAS, [middle[b]["-ELBO"] for b in BETAS], color="black", lw=0.8, ls="-")
right.set(xscale="log", xlabel="beta", ylabel="-ELBO, nats per image")
right.set_title("Unweighted test -ELBO; points: seeds")
plt.show()

# %% [markdown]
# Left: the same falling curve as in the exact case. Small $\beta$ sits at the right, with
# long messages and sharper pictures; large $\beta$ climbs up on the left, until the message
# is empty. The seeds of one $\beta$ lie close together. Right: both directions away from
# the best $\beta$ cost ELBO. In the exact case the minimum was at 1. On test images, after a
# short training, it need not lie exactly there, and the printed line says where it fell.
#
# ### What the pictures look like

# %%
x = test_x[:8]
first = [sweep[beta, SEED] for beta in BETAS]
rows = torch.cat([x, *(model.reconstruct(x) for model in first)])
torch.manual_seed(SEED)
draws = torch.cat([model.sample(8) for model in first])
figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2))
names = [f"beta {beta:g}" for beta in BETAS]
plots.show_images(rows, len(x), row_labels=["image", *names], ax=left)
left.set_title("Reconstructions")
plots.show_images(draws, 8, row_labels=names, ax=right)
right.set_title("Draws from the prior")
plt.show()

# %% [markdown]
# From top to bottom the reconstructions get simpler and closer to an average. Some images
# come back as another digit, and more of them as $\beta$ grows, while slant and width
# survive long. With the largest $\beta$ nothing of the image is left. The draws go the other way at first. With a small $\beta$ the
# codes do not follow the prior, and a code drawn from the prior hits places that no image
# uses. With the largest $\beta$ every draw is the average digit.

# %% [markdown]
# ### Move beta yourself
#
# The list holds the models that were just trained. Watch the point walk along the curve.


# %%
def show_beta(figure, beta, image):
    model, point = sweep[beta, SEED], points[beta, SEED]
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
    x = test_x[image : image + 4]
    torch.manual_seed(image)
    cells = torch.cat([x, model.reconstruct(x), model.sample(len(x))])
    labels = ["image", "reconstruction", "draw"]
    plots.show_images(cells, len(x), row_labels=labels, ax=left)
    right.plot(*zip(*curve, strict=True), color="black", lw=0.8, ls="-")
    right.plot(point["rate"], point["distortion"], "o", color=plots.COLOURS[1], ms=10)
    right.set(xlabel="rate, nats", ylabel="distortion, nats")
    words = f"rate {point['rate']:.1f}, distortion {point['distortion']:.1f}"
    return f"beta {beta:g}: {words}, -ELBO {point['-ELBO']:.1f} nats per image."


# %%
last = max(0, min(96, len(test_x) - 4))
widgets.explore(
    show_beta,
    {
        "beta": widgets.choice("beta", list(BETAS)),
        "image": widgets.slider("First test image", 0, last, step=4, whole=True),
    },
    width=7,
    height=3,
)

# %% [markdown]
# ### Who stops paying first?
#
# The same axes, latent by latent: the price of each in falling order.

# %%
some = BETAS[1:5] or BETAS
figure, axes = plt.subplots(1, len(some), figsize=(10, 2.6), sharey=True, squeeze=False)
for ax, beta in zip(axes[0], some, strict=True):
    with torch.no_grad():
        price = kl_per_dimension(*sweep[beta, SEED].encode(test_x)).cpu()
    ax.bar(range(1, 11), price.sort(descending=True).values)
    ax.set(title=f"beta {beta:g}: {price.sum():.1f} nats", xlabel="latent, sorted")
    ax.set_xticks((1, 4, 7, 10))
    ax.axhline(0.05, color="black", lw=0.8, ls="--")
axes[0, 0].set_ylabel("KL, nats")
plt.show()

# %% [markdown]
# The water rises. All prices shrink together, and the cheapest latents come nearest to the
# dashed line of 0.05 nats. Compare with the exact model: there the rate of each active
# axis falls by the same amount, half the logarithm of the factor on $\beta$, until it is 0.

# %% [markdown]
# ## The collapse clinic
#
# A patient comes in: "KL near 0, every picture the same". The order of examination goes
# from cheap to expensive, and from certain to likely:
#
# 1. **Train with $\beta = 0$** for a moment. If the pictures are still all the same, the
#    fault is in the network, the data or the optimiser, not in the KL.
# 2. **Read the reductions**: sums over pixels and latents, mean over the batch.
# 3. **Warm-up**: let the weight of the KL rise from 0, so that the decoder learns to listen
#    before the code gets a price.
# 4. **Free bits**: give each latent a short message, say 0.1 nats, for nothing.
# 5. **The decoder's variance**: with a Gaussian decoder, the $\sigma_x$ of the exact case.
#
# ### Exercise 05.3 · A warm-up
#
# *core, medium, 7 minutes*
#
# Return the weight of the KL at optimiser step `step`, counted from 0. It rises by the same
# amount at every step, from 0 at step 0 to `beta` after `warmup_epochs` epochs of
# `epoch_steps` steps each. From then on it stays at `beta`.


# %% tags=["exercise"]
def kl_weight(step, epoch_steps, warmup_epochs, beta):
    """Four numbers -> the weight of the KL at this step, in [0, beta]."""
    ### BEGIN SOLUTION
    return beta * min(1.0, step / (epoch_steps * warmup_epochs))
    ### END SOLUTION


# %% tags=["check"]
check.kl_weight(kl_weight)

# %% [markdown]
# <details><summary>Hint 1: one unit</summary>
#
# The step is counted in steps, the warm-up in epochs. Turn the warm-up into steps.
# </details>
# <details><summary>Hint 2: the fraction</summary>
#
# The fraction of the warm-up that is done must not pass 1.
# </details>
# <details><summary>Hint 3: where does beta stand?</summary>
#
# Outside the limit: `beta` times the limited fraction.
# </details>

# %% [markdown]
# A loss with both cures. It counts its own calls, because `training.fit` does not tell it
# the step. The reported "kl" is the true one, without any weight; logs that show the
# weighted term during a warm-up mislead.


# %%
class CuredLoss:
    def __init__(self, warmup_steps=0, free_nats=0.0, beta=1.0):
        self.warmup_steps, self.free_nats, self.beta = warmup_steps, free_nats, beta
        self.step = 0

    def weight(self):
        done = self.step / self.warmup_steps if self.warmup_steps else 1.0
        return self.beta * min(1.0, done)

    def __call__(self, model, x):
        logits, mu, logvar = model(x)
        nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        reconstruction = nats.flatten(1).sum(1).mean()
        price = kl_per_dimension(mu, logvar)  # (Z,), mean over the batch
        charged = price.clamp_min(self.free_nats).sum()  # no gradient below the limit
        loss = reconstruction + self.weight() * charged
        self.step = self.step + 1
        return {"loss": loss, "reconstruction": reconstruction, "kl": price.sum()}


# %% [markdown]
# ### Patient A: one word
#
# The mean over pixels that broke lesson 04. First the complaint, then steps 1 and 2 of the
# examination.


# %%
def pixel_mean_loss(model, x, beta=1.0):
    logits, mu, logvar = model(x)
    reconstruction = F.binary_cross_entropy_with_logits(logits, x)  # mean over pixels!
    kl = kl_to_standard_normal(mu, logvar).mean()
    loss = reconstruction + beta * kl
    return {"loss": loss, "reconstruction": reconstruction, "kl": kl}


# %%
HEAD = f"{'':34}" + " ".join(f"{name:>10}" for name in NAMES)


def line(name, point):
    """One row of the clinic's table."""
    return f"{name:34}" + " ".join(f"{point[n]:10.1f}" for n in NAMES)


# %% [markdown]
# Each row of the clinic's table is one training, scored on test digits.


# %%
A_STEPS = 300
treatments = {
    "A: mean over pixels": pixel_mean_loss,
    "A, step 1: the same, beta = 0": partial(pixel_mean_loss, beta=0.0),
    "A, step 2: sum over pixels": vae_loss,
}

# %%
clinic = {
    name: place(train(train_images, loss_fn, A_STEPS, SEED, 20), test_images)
    for name, loss_fn in treatments.items()
}

# %%
print("\n".join([HEAD, *(line(name, point) for name, point in clinic.items())]))

# %% [markdown]
# Without a price on the code (second row) the distortion is far lower: network and data are
# sound, so the weight of the KL is to blame. Its rate is huge, because nothing limits it.
# Step 2 finds the word, and the third row is a healthy VAE. Patient A had $\beta = 784$.

# %% [markdown]
# ### Patient B: all reductions right
#
# Here $\beta = 1$ and every sum is a sum, but the training starts at full speed: five times
# the usual peak of the learning rate, held constant. A likely course: in the first steps the
# codes of most latents are noise to the decoder; a latent that costs nats and brings nothing
# is switched off by the encoder, and some never come back. This is a *partial* collapse. We
# repeat each treatment with three seeds, since such accidents are a matter of luck. We chose
# this rate because the warm-up helps here, with all three seeds. At twice the rate the collapse
# looks worse, and whether the warm-up helps depends on the seed: the cure is no law. And
# "patient" speaks of the latents that pay nothing. Whether the model is worse for it, only
# the ELBO can tell: after so few steps a high rate may well end lower than the usual one. Tune
# the rate before you treat anything.


# %%
def train_fast(images, loss_fn, steps, seed, schedule=None):
    """Z = 20, five times the usual peak of the rate, by default held constant."""
    torch.manual_seed(seed)
    model = course_vae.VAE(20, HIDDEN, images.shape[1:]).to(images.device)
    options = {"steps": steps, "lr": 5 * PEAK_RATE, "schedule": schedule}
    options["batch_size"] = min(BATCH, len(images))
    training.fit(model, images, loss_fn, seed=seed, **options)
    return model


# %%
B_STEPS = 400
ward = {
    "B: fast start": (CuredLoss, None),
    "B, step 1: beta = 0": (partial(CuredLoss, beta=0.0), None),
    "B, step 3: KL warm-up": (partial(CuredLoss, B_STEPS // 2), None),
    "B, step 4: free bits, 0.1 nats": (partial(CuredLoss, free_nats=0.1), None),
    "B: the schedule of lesson 01": (CuredLoss, training.warmup_cosine),
}

# %% [markdown]
# Fifteen short trainings:

# %%
patients = {}
for name, (make_loss, schedule) in ward.items():
    for seed in SWEEP_SEEDS:
        clear_output(wait=True)
        loss_fn = make_loss()  # a new one each time: it counts its steps
        model = train_fast(train_images, loss_fn, B_STEPS, seed, schedule)
        patients.setdefault(name, []).append(place(model, test_images))

# %%
print(" " * 31 + " ".join(f"{name:>21}" for name in NAMES))
for name, table in patients.items():
    print(f"{name:31}{row(table)}")

# %% [markdown]
# And the verdicts, by the median of three seeds:


# %%
def mid(table, name):
    """Median over runs."""
    return median(run[name] for run in table)


sick = mid(patients["B: fast start"], "-ELBO")
for name in list(patients)[2:]:
    gain = sick - mid(patients[name], "-ELBO")
    verdict = "helps" if gain > 1 else "no clear gain"
    print(f"{name}: {verdict}, {gain:+.1f} nats of test -ELBO (median)")
cured = patients["B, step 3: KL warm-up"]
more = mid(cured, "paying") - mid(patients["B: fast start"], "paying")
print(f"latents that pay, with the warm-up minus without: {more:+g}")

# %%
expected(
    "05",
    digits,
    {
        "patient A: test -ELBO, nats per image": clinic["A: mean over pixels"]["-ELBO"],
        "patient B: test -ELBO, nats per image (noisy)": sick,
        "patient B, warm-up: test -ELBO, nats per image": mid(
            patients["B, step 3: KL warm-up"], "-ELBO"
        ),
    },
)

# %% [markdown]
# Read the rows. In the first, many of the 20 latents hardly pay anything. With $\beta = 0$ all
# are used, so the KL is involved. The **warm-up** is a cure by both measures where it keeps
# more of them in use and lowers the $-$ELBO; the lines say whether it did. **Free bits** need a second look: up to 0.1 nats a latent
# costs nothing, so there is no reason to go below, and *paying* is high whether or not the
# decoder listens. That is told by *moving*, by the distortion and by the verdict above. A count
# of active latents can be bought; the ELBO cannot. The last row changes the learning rate
# instead of the KL: a slow start *and* a slow end. How much of its gain is due to the start
# alone, this table cannot tell.

# %% [markdown]
# ### Patient C: the decoder's variance
#
# A Gaussian decoder with a fixed $\sigma_x$. The value 1 is "half the squared error plus KL", a
# frequent choice; 2 is larger still. Pixels lie in $[0, 1]$, so such a decoder expects pure
# noise. The eigenvalues of the digits tell beforehand how many latents a *linear* VAE would
# keep.


# %%
def gaussian_loss(model, x, sigma):
    mean, mu, logvar = model(x)  # the decoder's output is the mean itself
    log_p = gaussian_log_likelihood(x.flatten(1), mean.flatten(1), sigma)
    reconstruction = -log_p.mean()
    kl = kl_to_standard_normal(mu, logvar).mean()
    return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}


# %%
pixels = data.to_unit_interval(digits.train_images[:4000]).double().flatten(1)
digit_values = torch.linalg.eigvalsh(torch.cov(pixels.T)).flip(0)  # (784,)

# %%
C_STEPS = 400
gaussians = {}
print("sigma_x   eigenvalues above   paying   rate, nats   squared error per pixel")
for sigma in (2.0, 1.0, 0.2):
    model = train(train_images, partial(gaussian_loss, sigma=sigma), C_STEPS, SEED, 20)
    with torch.no_grad():
        mu, logvar = model.encode(test_x)
        error = ((model.decode(mu) - test_x) ** 2).mean().item()
    price = kl_per_dimension(mu, logvar)
    paying = (price > 0.05).sum().item()
    gaussians[sigma] = price.sum().item(), error
    above = (digit_values > sigma**2).sum().item()
    cells = f"{above:13} {paying:12} {price.sum().item():12.1f} {error:16.4f}"
    print(f"{sigma:7} {cells}")
(large, worst), (medium, worse), (little, least) = gaussians.values()
threefold = 3 * large < medium < little / 3
word = "at least" if threefold else "not always"
print(f"each smaller sigma_x makes the rate {word} three times as high")
word = "smaller" if worst > worse > least else "not always smaller"
print(f"and the error {word}")

# %% [markdown]
# The weight explains the first model: for its $\sigma_x$ hardly any message is worth its
# price, to a linear VAE neither, and the second can afford a short one only. (The trainings
# are short, so the errors are not yet the smallest that each $\sigma_x$ allows.) A smaller
# $\sigma_x$, closer to the error that the model really makes, brings the code back: rate up,
# error down. This is step 5, and step 5 is $\beta$ in disguise. (The linear count is no
# limit for a network. It is a scale.)

# %% [markdown]
# ## Does a large beta find the factors?
#
# Higgins et al. hoped for more than short messages. If every nat is dear, they argued, the
# code should spend one latent on each independent cause of the picture: a
# **disentangled** code. To test this we need pictures whose causes are known.

# %%
shapes = sprites.make_sprites()
sprite_images = shapes.images.to(device)
sprite_x = data.to_unit_interval(shapes.images).to(device)
order = torch.randperm(
    len(shapes.images), generator=torch.Generator().manual_seed(SEED)
)
plots.show_images(shapes.images[order[:24]], 12)
print(
    dict(zip(shapes.names, shapes.sizes, strict=True)), len(shapes.images), "pictures"
)

# %% [markdown]
# The course draws them by rule: every combination of shape, scale and place, each once. A
# perfect code would have one latent for each factor.
#
# ### The mutual information gap
#
# How much does one latent tell about one factor? The **mutual information** answers in nats:
# 0 if they are independent, the entropy $H(v_k)$ of the factor if the latent gives it away.
# From a table of counts, with shares as probabilities, both are sums:
#
# $$\mathrm{MI}(z; v) = \sum_{z, v} p(z, v) \log \frac{p(z, v)}{p(z)\,p(v)}, \qquad H(v) = -\sum_v p(v) \log p(v) .$$
#
# Chen et al. (2018) ask for more: *one* latent should tell the factor and *no other* should.
# Their score is the **mutual information gap** (MIG):
#
# $$\text{gap}_k = \frac{\mathrm{MI}(z_{\text{best}};\, v_k) - \mathrm{MI}(z_{\text{second}};\, v_k)}{H(v_k)}$$
#
# Mutual information must be **estimated**, and different estimators give numbers that cannot
# be compared. Ours is that of Locatello et al. (2019): the posterior *means* of all pictures,
# each latent cut into 20 equal bins, `mutual_info_score` of scikit-learn on the counts.
#
# ### Exercise 05.4 · The mutual information gap
#
# *core, medium, 12 minutes*
#
# The codes are already in bins. Return the gap of each factor. `mutual_info_score(a, b)`
# takes two lists of whole numbers and gives nats; the mutual information of a factor with
# itself is its entropy.


# %% tags=["exercise"]
def information_gap(bins, factors):
    """bins (N, Z), factors (N, K), whole numbers -> (K,) gaps, one for each factor."""
    ### BEGIN SOLUTION
    gaps = []
    for factor in factors.T:
        scores = sorted(mutual_info_score(factor, latent) for latent in bins.T)
        entropy = mutual_info_score(factor, factor)
        gaps.append((scores[-1] - scores[-2]) / entropy)
    return torch.tensor(gaps)
    ### END SOLUTION


# %% tags=["check"]
check.information_gap(information_gap)

# %% [markdown]
# <details><summary>Hint 1: which way round?</summary>
#
# Go through the factors. For each, collect the mutual information of all latents with it.
# </details>
# <details><summary>Hint 2: best and second best</summary>
#
# Sort. The last two entries are what you need.
# </details>
# <details><summary>Hint 3: the unit</summary>
#
# Divide by the entropy of the factor, in nats like the rest. The result has no unit.
# </details>

# %% [markdown]
# Our version, with the bins.


# %% tags=["definition"]
def mutual_information_gap(codes, factors, bins=20):
    """codes (N, Z), factors (N, K) -> (K,) gaps; histogram of means, equal bins."""
    low, high = codes.min(0).values, codes.max(0).values
    width = torch.where(high > low, high - low, 1.0)  # a constant latent: one bin
    cut = (bins * (codes - low) / width).long().clamp(max=bins - 1).cpu()
    gaps = []
    for factor in factors.cpu().T:
        scores = sorted(mutual_info_score(factor, latent) for latent in cut.T)
        entropy = mutual_info_score(factor, factor)
        gaps.append((scores[-1] - scores[-2]) / entropy)
    return torch.tensor(gaps, dtype=torch.float64)


# %% [markdown]
# ### What do its numbers mean?
#
# Before we score a model we score codes that we know: the factors themselves, the same
# turned by a random rotation (nothing is lost, but every latent mixes all factors), and a
# code that says nothing.

# %%
true_factors = shapes.factors
perfect = (true_factors - true_factors.double().mean(0)) / true_factors.double().std(0)

# %% [markdown]
# Forty random rotations of the four factors, and of the four factors with latents of noise
# beside them, as many as our models of sprites have: six in all.

# %%
ROTATIONS = 40
wide = max(4, SPRITE_LATENT)  # four factors need four latents
generator = torch.Generator().manual_seed(0)
noise = torch.randn(len(perfect), wide - 4, generator=generator).double()
turned = {4: [], wide: []}
for number in training.progress(2 * ROTATIONS, "rotations"):
    width = 4 if number < ROTATIONS else wide
    code = torch.cat([perfect, noise], dim=1)[:, :width]
    rotation = torch.linalg.qr(torch.randn(width, width, generator=generator)).Q
    gap = mutual_information_gap(code @ rotation.double(), true_factors)
    turned[width].append(gap.mean().item())

# %%
known = mutual_information_gap(perfect, true_factors).mean().item()
empty = mutual_information_gap(torch.zeros(len(perfect), 4), true_factors).mean().item()
print(f"perfect code {known:.2f}, empty code {empty:.2f}")
for width, found in turned.items():
    middle_gap, ends = median(found), f"from {min(found):.2f} to {max(found):.2f}"
    print(f"rotated, {width} latents: median {middle_gap:.2f}, {ends}")
rotated = median(turned[wide])  # the scale of our models
assert known > 0.999 and empty == 0, f"got {known} and {empty}, expected 1 and 0"
order_of_widths = "lower" if rotated < median(turned[4]) else "not lower"
print(f"the wider rotated code scores {order_of_widths}")

# %% [markdown]
# So 1 is perfect, 0 is nothing, and a rotated code, **which knows everything and separates
# nothing, still gets a score well above 0**, within a wide range. The more latents a mixture
# is spread over, the lower its score tends to be. So a score means something only beside that of a
# rotated code of the same width.
#
# ### Five seeds, three betas
#
# All sprites are used for training and for scoring: there are no other combinations, and
# the question is about the code, not about new pictures.

# %%
SPRITE_BETAS = (1.0, 4.0, 8.0)
SPRITE_SEEDS = tuple(SEED + 10 * i for i in range(5))

# %%
sprite_models, gaps = {}, {}
for beta in SPRITE_BETAS:
    for seed in SPRITE_SEEDS:
        clear_output(wait=True)
        settings = partial(vae_loss, beta=beta), SPRITE_STEPS, seed, SPRITE_LATENT
        model = train(sprite_images, *settings, label=f"beta {beta:g}, seed {seed}")
        with torch.no_grad():
            means, _ = model.encode(sprite_x)
        sprite_models[beta, seed] = model
        gaps[beta, seed] = mutual_information_gap(means, true_factors)  # (K,)

# %% [markdown]
# Now the scores. The last four columns are the medians of the gap of each factor alone.


# %%
scores = {key: gap.mean().item() for key, gap in gaps.items()}
sprite_points = {k: place(m, shapes.images) for k, m in sprite_models.items()}

# %%
print("  beta   mean gap, median [range]   " + "".join(f"{n:>8}" for n in shapes.names))
for beta in SPRITE_BETAS:
    runs = sorted(scores[beta, seed] for seed in SPRITE_SEEDS)
    per_factor = torch.stack([gaps[beta, s] for s in SPRITE_SEEDS]).median(0).values
    cells = "".join(f"{gap:8.2f}" for gap in per_factor.tolist())
    print(f"{beta:6} {median(runs):13.3f} [{runs[0]:.3f}, {runs[-1]:.3f}]    {cells}")

# %% [markdown]
# How far could a paper with one seed for each $\beta$ be misled? We compare the differences
# between medians with the ranges over seeds.


# %%
medians = [median(scores[b, s] for s in SPRITE_SEEDS) for b in SPRITE_BETAS]
effect = max(medians) - min(medians)
spreads = []
for beta in SPRITE_BETAS:
    runs = [scores[beta, seed] for seed in SPRITE_SEEDS]
    spreads.append(max(runs) - min(runs))

# %% [markdown]
# Which factors are missed, over all runs:

# %%
missed = torch.stack(list(gaps.values())).median(0).values.tolist()
print(f"effect of beta, largest difference of medians: {effect:.3f}")
print(f"spread over seeds with one beta: {min(spreads):.3f} to {max(spreads):.3f}")
larger = "as large as the effect of beta or larger"
word = larger if max(spreads) >= effect else "smaller than the effect of beta"
print(f"The spread over seeds is {word}.")
order_of_gap = sorted(zip(missed, shapes.names, strict=True))
print("factors, worst told first:", [f"{n} {g:.2f}" for g, n in order_of_gap])
above = sum(score > rotated for score in scores.values())
print(f"{above} of {len(scores)} models score above the median of the rotated codes")

# %%
found = {}
if 1 in SPRITE_BETAS:
    runs = [sprite_points[1, s]["rate"] for s in SPRITE_SEEDS]
    found["sprites, beta 1: rate, nats"] = median(runs)
if 4 in SPRITE_BETAS:
    runs = [sprite_points[4, s]["distortion"] for s in SPRITE_SEEDS]
    found["sprites, beta 4: distortion, nats"] = median(runs)
    gap = medians[SPRITE_BETAS.index(4)]
    found["sprites, beta 4: mean gap (very noisy)"] = gap
expected("05", digits, found)

# %%
figure, ax = plt.subplots(figsize=(6.5, 3))
for place_on_axis, beta in enumerate(SPRITE_BETAS):
    runs = [scores[beta, seed] for seed in SPRITE_SEEDS]
    ax.plot([place_on_axis] * len(runs), runs, "o", color=plots.COLOURS[0], ls="")
    ax.plot(place_on_axis, median(runs), "_", color="black", ms=28)
ax.axhline(rotated, color=plots.COLOURS[1], ls="--", label="rotated code, median")
count = len(SPRITE_BETAS)
ax.set_xticks(range(count), [f"beta {beta:g}" for beta in SPRITE_BETAS])
ax.set(ylim=(0, None), ylabel="mutual information gap", xlim=(-0.5, count - 0.5))
ax.set_title("Each point is a seed; the bar is the median")
ax.legend()
plt.show()

# %% [markdown]
# The printed lines draw the conclusion, and they may differ a little on your machine. A small
# gap does not say that a factor is lost: two latents that share it give a small gap, too. The
# gap measures separation, not information. Look
# at the figure: where the ranges overlap, a paper with one seed for each $\beta$ could have
# claimed either order of the columns. That does not show that $\beta$ has no effect. It
# shows that one seed cannot tell; more seeds could.
#
# Locatello et al. (2019) trained more than 12,000 models and found that seed and other
# settings matter more than the method, and no reliable way to tell without labels which run
# was good. They also prove a limit: for every model with two or more independent latents
# there is another, whose latents each depend on all of the old ones, with exactly the same
# distribution of pictures. The pictures alone cannot choose between the two.
#
# Our trainings are short (see the settings). Longer ones lower the distortion; whether they
# change the order of the columns you can find out in the last exercise.

# %% [markdown]
# ### Look: one latent at a time
#
# A **traversal** moves one latent and holds the others. It must begin from a fresh copy of
# the code for each picture.


# %% tags=["definition"]
def traverse(z, latent, positions):
    """One code z (Z,), positions (P,) -> (P, Z): only column `latent` is replaced."""
    codes = z.repeat(len(positions), 1)  # copies: z itself stays as it is
    codes[:, latent] = positions
    return codes


# %%
chosen = sprite_models[SPRITE_BETAS[len(SPRITE_BETAS) // 2], SEED]
with torch.no_grad():
    sprite_mu, sprite_logvar = chosen.encode(sprite_x)
sprite_price = kl_per_dimension(sprite_mu, sprite_logvar).cpu()
ranked = sprite_price.argsort(descending=True)
is_active = active_units(sprite_mu).cpu() & (sprite_price > 0.05)
centre = 3 * 12 * 12 // 2 + 78  # an item in the middle of the list
positions = torch.linspace(-2, 2, 9, device=device)

# %%
names = []
strips = []
for latent in ranked.tolist():
    with torch.no_grad():
        codes = traverse(sprite_mu[centre], latent, positions)
        strip = chosen.decode(codes).sigmoid()
    state = "" if is_active[latent] else ", inactive"
    names.append(f"{sprite_price[latent]:.2f} nats{state}")
    strips.append(strip if is_active[latent] else 0.4 * strip)  # greyed out
columns = [f"{p:+.1f}" for p in positions.tolist()]
labels = {"row_labels": names, "column_labels": columns}
plots.show_images(torch.cat(strips), 9, **labels)

# %% [markdown]
# One row for each latent, the dearest at the top, from $-2$ to $2$. Ask of each row what
# changes: place, size, shape, or several at once. Where a row changes several, the code
# mixes factors; where the figure fades out here and in there, the decoder has not learned to
# move it. An inactive latent, if there is one, is
# marked and greyed out: moving it changes nothing.


# %%
def show_traversal(figure, latent, position, sprite):
    number = ranked[latent - 1].item()
    z = sprite_mu[sprite]
    where = torch.tensor([position], device=z.device)
    moved = traverse(z, number, where)
    pictures = torch.cat([sprite_x[sprite][None], chosen.decode(moved).sigmoid()])
    titles = ["sprite", "moved"]
    plots.show_images(pictures, 2, column_labels=titles, ax=figure.add_subplot())
    state = "active" if is_active[number] else "INACTIVE: the decoder ignores it"
    return f"Latent {number + 1}, {sprite_price[number]:.2f} nats, {state}."


# %%
widgets.explore(
    show_traversal,
    {
        "latent": widgets.slider(
            "Latent, by price", 1, SPRITE_LATENT, 1, 1, whole=True
        ),
        "position": widgets.slider("Its value", -3, 3),
        "sprite": widgets.slider("Sprite", 0, 1727, 294, 49, whole=True),
    },
    width=4,
    height=2.4,
)

# %% [markdown]
# The slider sets the chosen latent and leaves all others at the code of the sprite; a new
# choice starts again from that code.

# %% [markdown]
# ## Which beta? It depends on the data
#
# $\beta = 4$ means nothing without the size of picture and code. Distortion is a sum over
# pixels, so a picture with more of them has more to save and can afford a dearer message. Higgins et al. therefore report $\beta_{\text{norm}} = \beta Z / D$
# (they call the sizes M and N): the weight that $\beta$ has when **both** terms are
# averaged over their dimensions.

# %%
RANGE_BETAS = tuple(b for b in SPRITE_BETAS if b in BETAS)  # trained on both above
RANGE_STEPS = 400
families = {
    "250 of these digits": (train_images[:250], test_images, 10),
    "digits 8 x 8": (small_train, small_test, 10),
}

# %%
rates = {}
for name, (images, held_out, latent) in families.items():
    for beta in RANGE_BETAS:
        clear_output(wait=True)
        settings = partial(vae_loss, beta=beta), RANGE_STEPS, SEED, latent
        rates[name, beta] = place(train(images, *settings, label=name), held_out)

# %% [markdown]
# The large digits and the sprites are there already, from the sections above.

# %%
SIZES = {  # D, Z
    "digits 28 x 28": (784, 10),
    "250 of these digits": (784, 10),
    "sprites 32 x 32": (1024, SPRITE_LATENT),
    "digits 8 x 8": (64, 10),
}

# %%
for beta in RANGE_BETAS:
    rates["digits 28 x 28", beta] = points[beta, SEED]
    rates["sprites 32 x 32", beta] = sprite_points[beta, SEED]

# %%
print(f"{'':21}   D   Z    beta   beta*Z/D     rate    paying   -ELBO")
for name, (d, z) in SIZES.items():
    for beta in RANGE_BETAS:
        point = rates[name, beta]
        head = f"{name:20} {d:4} {z:3} {beta:7} {beta * z / d:10.4f}"
        cells = f"{point['rate']:9.2f} {point['paying']:9} {point['-ELBO']:8.1f}"
        print(head + cells)

# %% [markdown]
# For which of these $\beta$ is there a message at all? We ask for more than 1 nat.


# %%
alive = {name: [b for b in RANGE_BETAS if rates[name, b]["rate"] > 1] for name in SIZES}
for name, found in alive.items():
    print(f"{name}: more than 1 nat of message for beta in {found}")

# %% [markdown]
# Compare the rows at $\beta = 4$ with the two results of the beginning. Small pictures have little distortion to
# save: a nat of message seldom saves four nats here, so it is not bought. (The two sets
# differ in more than size; only shrinking the same digits would isolate it.) Few *training
# images* alone do not switch the code off: see the row with 250 digits. The column
# $\beta Z / D$ brings the data sets closer together. It does not make them equal: it counts
# pixels, not what is in them.
#
# Reductions hide in the same column. A program that takes the mean over pixels and the mean
# over latents *is* a program with $\beta = D/Z$:

# %%
print("weight written in the code = 1       D=784, Z=10      D=64, Z=10")
reductions = {
    "sums over pixels and latents": lambda d, z: 1,
    "mean over pixels, sum over latents": lambda d, z: d,
    "means over both": lambda d, z: d / z,
    "sum over pixels, mean over latents": lambda d, z: 1 / z,
}
for name, beta_of in reductions.items():
    cells = []
    for d in (784, 64):
        beta = beta_of(d, 10)
        cells.append(f"beta {beta:5g}, beta*Z/D {beta * 10 / d:7.4f}")
    print(f"{name:36}" + "   ".join(cells))

# %% [markdown]
# **Report $\beta$ with sums, and $\beta Z / D$ beside it.** Then others can find your place on
# the curve.

# %% [markdown]
# ## Break it
#
# ### A collapsed code with a perfect score
#
# The histogram looks at means, from the smallest to the largest. **Predict** the gap of a
# perfect code that was shrunk by a million, with posteriors as wide as the prior.

# %%
shrunk = 1e-6 * perfect
score = mutual_information_gap(shrunk, true_factors).mean().item()
unit_logvar = torch.zeros_like(shrunk)
nats = kl_per_dimension(shrunk, unit_logvar).sum().item()
print(f"gap {score:.2f}, KL {nats:.1e} nats, active {active_units(shrunk).sum()} of 4")
assert score > 0.999 and nats < 1e-9, "expected a gap of 1 for no nats at all"

# %% [markdown]
# A perfect score for a code that no decoder could read: a draw from its posterior is all
# noise. The estimator knows nothing of widths. So report active latents beside every gap.
#
# ### The traversal that remembers
#
# An easy mistake: to move the latents of *one shared* code and never put them back. **Predict** how many latents differ in the last row.

# %%
z = sprite_mu[centre].clone()
for latent in range(SPRITE_LATENT):
    z[latent] = 2.0  # no copy: the next row starts where this one ended
aliased = (z != sprite_mu[centre]).sum().item()
honest = traverse(sprite_mu[centre], SPRITE_LATENT - 1, positions[-1:])
own = (honest[0] != sprite_mu[centre]).sum().item()
print(f"last picture differs in {aliased} latents, with copies in {own}")
assert aliased == SPRITE_LATENT and own == 1, "expected all latents, and one"

# %% [markdown]
# Every row after the first shows a mixture of all moves before it, and looks more exciting
# than the truth.
#
# ### The table the wrong way round
#
# A public program reshaped its table of codes where it had to transpose it, and its users
# wondered about gaps near 0 (issue 64 of YannDubs/disentangling-vae). **Predict** what that
# makes of a perfect code, with two empty latents beside it.

# %%
code_table = torch.cat([perfect, torch.zeros(len(perfect), 2)], dim=1)  # (N, Z)
scrambled = code_table.T.reshape(-1, 6)  # meant: (Z, N) back to (N, Z)
for name, codes in [("as it is", code_table), ("reshaped", scrambled)]:
    found = mutual_information_gap(codes, true_factors).mean().item()
    print(f"{name}: gap {found:.3f}")

# %% [markdown]
# `reshape` keeps the order of the numbers in memory, so codes of different pictures end up
# in one row. The shape is right, the content is scrambled, and no error is raised. A perfect
# code as a test case finds it at once.

# %% [markdown]
# ## Questions that come up
#
# <details><summary>Which beta?</summary>
#
# Report $\beta$ and $\beta Z / D$, and scan. The unweighted test ELBO compares models of the
# data, and asks for $\beta$ near 1 by its construction. For separated factors it cannot
# choose; that takes labels of some factors, or traversals and eyes.
# </details>
# <details><summary>beta < 1?</summary>
#
# Allowed in training. The weighted loss is then no longer surely a bound; the unweighted
# ELBO always is. For $\beta \ge 1$ the weighted loss stays a bound that is no tighter.
# </details>
# <details><summary>Does beta > 1 disentangle?</summary>
#
# Not guaranteed; it varies with seed and data (Locatello et al. 2019).
# </details>
# <details><summary>Traversal changes nothing?</summary>
#
# That dimension is inactive; sort by KL per dimension.
# </details>

# %% [markdown]
# ## Check yourself
#
# 1. Two models have the same test $-$ELBO, one with a rate of 2 nats, one of 25. Which code
#    would you rather use to search for similar images, and what does the other model rely on?
# 2. You double $\sigma_x$ of a Gaussian decoder. Which change of $\beta$ does the same to the
#    latents?
# 3. A paper reports a gap of 0.3 for $\beta = 4$ and 0.2 for $\beta = 1$, one seed each. What
#    do you ask for?
#
# <details><summary>Answers</summary>
#
# 1. The one with the rate of 25: at equal ELBO its distortion is 23 nats lower, so its
#    decoder does use the code. The other relies on its decoder, which models much of the data
#    by itself.
# 2. Four times the $\beta$: only $\beta\sigma_x^2$ counts.
# 3. Several seeds with their range, the estimator, and the number of active latents; and the
#    score of a rotated perfect code of the same width for scale.
# </details>

# %% [markdown]
# ## Exercise 05.5 · Another price (open)
#
# *extension, hard, 60 minutes*
#
# Choose one. **Capacity control** (Burgess et al. 2018): minimise
# $\mathcal D + 1000\,|\mathcal R - c|$ and let $c$ grow from 0 to 12 nats during training.
# **Total correlation** (Chen et al. 2018): split the KL into three parts and put the weight
# only on the one that measures how dependent the latents are. Train on the sprites with at
# least five seeds, and report gap, rate, distortion and spread beside the table above.
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $c$ | the rate that is asked for, in nats | number | `capacity` |
#
# <details><summary>Hint 1: capacity</summary>
#
# Write a class like `CuredLoss`: it knows its step, so it can compute the capacity.
# </details>
# <details><summary>Hint 2: total correlation</summary>
#
# Estimate $\log q(z)$ of a batch by a mixture of the posteriors of that batch: a table of
# (B, B, Z) log-densities, `logsumexp` over one axis, minus $\log B$. Do it once for all
# latents together, summing over Z first, and once for each alone.
# </details>
# <details><summary>Hint 3: a fair comparison</summary>
#
# Compare at equal rate, not at equal weight: the same weight on another term is another
# price.
# </details>

# %% [markdown]
# ## Summary
#
# | Formula | Function |
# |---|---|
# | $\mathcal D + \beta\,\mathcal R$ | `vae.vae_loss` |
# | $-\mathrm{ELBO} = \mathcal D + \mathcal R$ on a data set | `bounds.mean_terms` |
# | latents whose mean varies over images | `latents.active_units` |
# | KL of each latent | `latents.kl_per_dimension` |
# | $\text{gap}_k$ | `latents.mutual_information_gap` |
# | one latent moved, the others held | `latents.traverse` |
# | the linear model | `linear_gaussian.elbo`, `linear_gaussian.log_evidence` |
# | pictures with known factors | `sprites.make_sprites` |
#
# **Sources.** Higgins et al., *beta-VAE* (ICLR 2017), also for $\beta_{\text{norm}}$. Alemi et al., *Fixing a broken ELBO* (arXiv:1711.00464), section 2.
# Lucas et al., *Don't blame the ELBO!* (arXiv:1911.02469), for collapse in the linear model.
# Cover and Thomas, *Elements of information theory* (2nd edition, 2006), section 10.3, for water-filling. Burda
# et al. (arXiv:1509.00519), section 5.2, for active units. Bowman et al. (arXiv:1511.06349)
# for the warm-up, Kingma et al. (arXiv:1606.04934), Appendix C.8, for free bits. Chen et al.
# (arXiv:1802.04942), equation 6, for the gap. Locatello et al., *Challenging common
# assumptions in the unsupervised learning of disentangled representations*
# (arXiv:1811.12359). Burgess et al. (arXiv:1804.03599) for capacity.
