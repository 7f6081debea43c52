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
# # 06 · Denoising: what does an autoencoder know about clean images?
#
# We train networks that restore noisy digits, measure them against classical filters on
# the same images, and find out what such a network has learned about the data.
#
# **You will be able to**
#
# - corrupt images in three ways, and measure a restoration in decibels;
# - train a denoising autoencoder and a denoising VAE with the right input and target;
# - compare them with classical filters and with the best linear filter, with standard
#   errors, and say who wins;
# - read the slope of the log-density of the noisy data off a denoiser, and walk along it.
#
# **Before you start**, three questions of a minute each. (Symbols: the
# [notation table](00_start_here.ipynb#Notation).)
#
# 1. A pixel is 1 in a fifth of all images and 0 in the others. One fixed number is to guess it
#    with the smallest mean squared error. Which number, and how large is that error?
#    ([Where does the blur come from?](04_vae_in_pytorch.ipynb#Where-does-the-blur-come-from?)
#    shows the same as a picture)
# 2. We add independent noise with standard deviation 0.5 to this pixel. How large is its
#    variance now?
#    ([A model where everything is exact](A1_exact_case.ipynb#A-model-where-everything-is-exact):
#    variances add up)
# 3. The logarithm of $\mathcal N(z;\, \mu, \sigma^2)$ is $-(z - \mu)^2 / (2\sigma^2)$ plus a
#    constant. How large is its slope in $\mu$ and its slope in $z$, for $\mu = 1$, $\sigma = 2$
#    and $z = 5$?
#    ([A second way: the score function](02_reparameterization.ipynb#A-second-way:-the-score-function))
#
# <details><summary>Answers</summary>
#
# 1. The mean, 0.2. The error is the variance, $0.2 \cdot 0.8 = 0.16$.
# 2. $0.16 + 0.25 = 0.41$.
# 3. $(z - \mu)/\sigma^2 = 1$ in $\mu$, and $-1$ in $z$: the same size, the other way.
# </details>

# %% [markdown]
# ## Set-up

# %%
import math
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import torch
from skimage import filters, restoration
from skimage.metrics import structural_similarity
from torch import nn

from vae_helpers import claims, data, plots, predict, runtime, training, widgets
from vae_helpers import vae as course_vae
from vae_helpers.checks import lesson06 as check
from vae_helpers.distributions import (
    bernoulli_log_likelihood,
    kl_to_standard_normal,
    reparameterize,
)
from vae_helpers.expected import expected

plots.style()

# %%
SEED = 0
SIGMA = 0.5  # standard deviation of the Gaussian noise; white is 1, black is 0
SHARE = 0.4  # share of pixels that salt and pepper destroys, between 0 and 1
MASKED = 0.5  # share of pixels that masking sets to 0, between 0 and 1
LONGER = 1  # 4 trains everything four times as long
STEPS = LONGER * 1200  # optimiser steps of the main networks
SHORT = LONGER * 700  # optimiser steps for the other two kinds of noise
PLANE_STEPS = LONGER * 2000  # optimiser steps of the small network for the plane
COUNT = 300  # test images in every table, 8 at least: figures show so many
TUNE = 60  # training images on which the classical filters are tuned

if SIGMA <= 0:
    raise ValueError(f"SIGMA must lie above 0, got {SIGMA}")
if not (0 < SHARE < 1 and 0 < MASKED < 1):
    raise ValueError(f"SHARE and MASKED are shares in (0, 1), got {SHARE}, {MASKED}")
if COUNT < 8:
    raise ValueError(f"COUNT must be 8 at least, got {COUNT}")

device = runtime.start(SEED)
digits = data.load_images("MNIST")

# %% [markdown]
# All tables use the same test images, drawn at random. Every noise on test images comes
# from a generator of its own on the CPU, so that all methods see the same noisy images.

# %%
pick = torch.Generator().manual_seed(SEED)
chosen = torch.randperm(len(digits.test_images), generator=pick)[:COUNT]
test_x = data.to_unit_interval(digits.test_images[chosen])  # (COUNT, 1, 28, 28)
tuned_on = torch.randperm(len(digits.train_images), generator=pick)[:TUNE]
tune_x = data.to_unit_interval(digits.train_images[tuned_on])

# %% [markdown]
# ## The problem: a filter that does not know digits
#
# We add Gaussian noise to digits. The oldest remedy is to average each pixel with its
# neighbours. **Predict**: what happens to the noise when the average becomes wider, and
# what happens to the strokes?

# %%
noise = torch.randn(6, 1, 28, 28, generator=torch.Generator().manual_seed(SEED))
some = test_x[:6] + SIGMA * noise
blurs = [
    torch.from_numpy(filters.gaussian(some.numpy(), (0, 0, width, width)))
    for width in (0.7, 1.0, 2.0)
]
plots.show_images(
    torch.cat([test_x[:6], some, *blurs]),
    6,
    row_labels=[
        "clean",
        "noisy",
        "blur, 0.7 pixels",
        "blur, 1 pixel",
        "blur, 2 pixels",
    ],
)

# %% [markdown]
# **Figure 6.1. A wider blur lets the noise fade, and the strokes with it.** On screen
# values are cut to $[0, 1]$; in the computation they are not.
#
# The blur treats both alike, because it knows nothing about digits. To remove one and
# keep the other, a method must know **what clean images look like**. Where can it get
# that knowledge? From clean images.
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $y$ | a noisy image, made from the clean image $x$ | as $x$ | `noisy` |
# | $r(y)$ | what a denoiser returns for $y$ | as $x$ | `model(noisy)` |
# | $\sigma$ | in this lesson: standard deviation of the noise (in lesson 00 that of a code) | number | `SIGMA`, `level` |
# | $\rho$ | share of the pixels that are destroyed (in lesson 03 a mean of weights) | number | `level` |
# | $p(x \mid y)$ | which clean images may lie behind $y$ | | |
# | $p_\sigma(y)$ | density of the noisy images | | `log_density` |
#
# ## Smallest case: one pixel
#
# An "image" of one pixel is black (0) most of the time, and white (1) otherwise. We see
# $y = x + \sigma\varepsilon$. Which guess has the smallest mean squared error? There are
# only two possible clean images, so Bayes' rule gives the answer in one line:
#
# $$\mathbb E[x \mid y] = p(x = 1 \mid y) = \frac{p(x = 1)\,p(y \mid x = 1)}{p(x = 0)\,p(y \mid x = 0) + p(x = 1)\,p(y \mid x = 1)}.$$
#
# A simpler guess is a straight line in $y$. Set the derivatives of its mean squared error
# by height and by slope to 0: the line passes through the two means, and its slope is
# $\mathrm{Var}(x) / (\mathrm{Var}(x) + \sigma^2)$, because $y$ and $x$ have the
# covariance $\mathrm{Var}(x)$ and $y$ has the variance $\mathrm{Var}(x) + \sigma^2$.

# %%
WHITE = 0.2  # probability that the pixel is white
ends = -8 * SIGMA, 1 + 8 * SIGMA  # beyond them there is no probability
grid = torch.linspace(*ends, 9001, dtype=torch.float64, requires_grad=True)  # of y
bell = torch.distributions.Normal(torch.tensor([0.0, 1.0]).double(), SIGMA)
joint = bell.log_prob(grid[:, None]).exp() * torch.tensor([1 - WHITE, WHITE])  # (y, x)
density = joint.sum(1)  # of y
best = joint[:, 1] / density  # E[x | y]
spread = WHITE * (1 - WHITE)  # variance of x
line = WHITE + spread / (spread + SIGMA**2) * (grid - WHITE)  # the best straight line

# %% tags=["nbval-check-output"]
guesses = {"do nothing": grid, "best straight line": line, "posterior mean": best}
values = torch.tensor([0.0, 1.0]).double()  # of x
errors = {
    name: torch.trapezoid((joint * (g[:, None] - values) ** 2).sum(1), grid).item()
    for name, g in guesses.items()
}
for name, error in errors.items():
    print(f"{name:20} mean squared error {error:.4f}")
ordered = (
    errors["do nothing"] >= errors["best straight line"] >= errors["posterior mean"]
)
assert ordered, f"expected a smaller error in each row, got {errors}"

# %% tags=["fold"]
dotted = 0.8  # one noisy pixel
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
y_axis = grid.detach()
for column, name in ((0, "black and noise"), (1, "white and noise")):
    left.fill_between(y_axis, joint[:, column].detach(), alpha=0.3, label=name)
left.plot(y_axis, density.detach(), color="black", linestyle="-", label="sum")
left.set(xlim=(-1.5, 2.5), xlabel="noisy pixel $y$", ylabel="density $p_\\sigma(y)$")
left.set_title("What we may see")
for name, guess in guesses.items():
    right.plot(y_axis, guess.detach(), label=name)
right.set(xlim=(-1.5, 2.5), ylim=(-1.6, 2.6), xlabel="noisy pixel $y$", ylabel="guess")
right.set_title("What we should answer")
for ax in (left, right):
    ax.axvline(dotted, color="black", linewidth=0.8, linestyle=":")
    ax.legend(loc="upper right" if ax is left else "upper left")
plt.show()

# %% [markdown]
# **Figure 6.2. The best guess is an S, and no straight line is one.** Left: the density
# of a noisy pixel and its two parts. Right: three guesses.
#
# Near black on the left, near white on the right, and a smooth step between. Follow the
# dotted line: a pixel seen there is nearer to white than to black, and may still be
# black, because black is so much more frequent. The answer weighs the two by the
# heights of the two hills. It comes from the knowledge that pixels are black or white,
# and mostly black. Two facts are already here, and both carry over to images:
#
# 1. the best answer in squared error is the **posterior mean** $\mathbb E[x \mid y]$;
# 2. a straight line cannot give it where it is no straight line, as here.
#
# ## The maths: what the squared error asks for
#
# For one fixed $y$, let the answer be $r$. Then
#
# $$\mathbb E\big[\lVert r - x\rVert^2 \mid y\big] = \big\lVert r - \mathbb E[x \mid y]\big\rVert^2 + \mathbb E\big[\lVert x - \mathbb E[x \mid y]\rVert^2 \mid y\big].$$
#
# The second term does not depend on $r$. So the minimum is at $r(y) = \mathbb E[x \mid y]$.
# (The mixed term vanishes: the mean of $x - \mathbb E[x \mid y]$ given $y$ is 0.)
# A network trained on pairs (noisy, clean) with the squared error is drawn towards it, as
# far as its size and training allow. It never sees the posterior, only examples. This is
# the **denoising autoencoder**:
#
# $$\min_r\; \mathbb E_{x}\,\mathbb E_{y \mid x}\,\lVert r(y) - x \rVert^2 .$$
#
# The input is noisy, the **target is the clean image**, and the noise is drawn anew every
# time an image is used.
#
# ## The main idea: the answer is a slope

# %%
from vae_helpers import drawings

drawings.show("push_and_pull")

# %% [markdown]
# The density of noisy images is the density of clean images, smeared by the noise:
# $p_\sigma(y) = \int p(x)\, \mathcal N(y; x, \sigma^2 I)\, dx$. Differentiate under the
# integral. The derivative of the Gaussian by $y$ is the Gaussian times
# $(x - y) / \sigma^2$, hence
#
# $$\nabla_y \log p_\sigma(y) = \frac{1}{p_\sigma(y)} \int \frac{x - y}{\sigma^2}\, p(x)\, \mathcal N(y; x, \sigma^2 I)\, dx = \frac{\mathbb E[x \mid y] - y}{\sigma^2}.$$
#
# The left side is called the **score** of $p_\sigma$: it points to where noisy images are
# more probable. (The score of lesson 02 was a slope in the parameter; this one is a slope
# in the image.) With $r(y) = \mathbb E[x \mid y]$:
#
# $$r(y) - y = \sigma^2\, \nabla_y \log p_\sigma(y).$$
#
# This is Tweedie's formula. **A denoiser that has reached the minimum of the squared error
# on Gaussian noise knows the score of the noisy data**, without ever computing a density; a
# real one knows it as well as it approximates $\mathbb E[x \mid y]$. On the one pixel both
# sides can be computed, the right one by automatic differentiation. **Predict**: where is
# the step $r(y) - y$ zero?

# %%
(slope_of_log,) = torch.autograd.grad(density.log().sum(), grid, retain_graph=True)
step = (best - grid).detach()  # r(y) - y
inner = (grid > -1.5) & (grid < 2.5)  # where there is probability
gap = (step - SIGMA**2 * slope_of_log)[inner].abs().max().item()
print(f"largest difference of the two sides: {gap:.1e}")
assert gap < 1e-6, f"Tweedie's formula: expected equal sides, they differ by {gap:.1e}"

# %% tags=["fold"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
left.plot(y_axis, density.detach())
for start in torch.arange(-1.2, 2.3, 0.2):
    at = (y_axis - start).abs().argmin()
    foot, height = y_axis[at].item(), density[at].item()
    ends_at = foot + 0.4 * step[at].item(), height
    arrow = {"arrowstyle": "->", "color": plots.COLOURS[1], "linewidth": 1.8}
    left.annotate("", ends_at, (foot, height), arrowprops=arrow)
left.set(xlim=(-1.5, 2.5), xlabel="noisy pixel $y$", ylabel="density $p_\\sigma(y)$")
left.set_title("Arrows: $0.4\\,(r(y) - y)$")
right.plot(y_axis, step, linewidth=4, alpha=0.4, label="$r(y) - y$")
right.plot(y_axis, SIGMA**2 * slope_of_log, label="$\\sigma^2$ slope of log density")
right.axhline(0, color="black", linewidth=0.8)
right.set(xlim=(-1.5, 2.5), ylim=(-1.6, 1.6), xlabel="noisy pixel $y$", ylabel="step")
right.set_title("The two sides of Tweedie's formula")
right.legend()
plt.show()

# %% [markdown]
# **Figure 6.3. The denoiser walks uphill: every arrow goes to the side on which the
# curve is higher.** At the right both sides of Tweedie's formula, one on the other.
#
# Where the curve is level, at a top or in a hollow, the step is zero. With this picture
# in mind we build denoisers for real images, and at the end we read such arrows off a
# trained one.

# %% [markdown]
# ## Build it: three kinds of noise
#
# - **Gaussian**: $y = x + \sigma\varepsilon$, without clipping. Noisy pixels may lie below
#   0 and above 1.
# - **Salt and pepper**: a share $\rho$ of the pixels is replaced, half of them by 0
#   (pepper), half by 1 (salt). The others stay.
# - **Masking**: a share $\rho$ of the pixels is set to 0. The others stay.
#
# Every pixel of every image has its own chance, and every call draws anew.
#
# ### Exercise 06.1 · Three corruptions
#
# *core, medium, 10 minutes*
#
# Write the three functions. They must work for any shape of `x` and must not change `x`.


# %% tags=["exercise"]
def gaussian(x, level):
    """x (B, C, H, W); level is sigma -> noisy images, same shape."""
    ### BEGIN SOLUTION
    return x + level * torch.randn_like(x)
    ### END SOLUTION


def salt_pepper(x, level):
    """x (B, C, H, W); level is the share of replaced pixels -> same shape."""
    ### BEGIN SOLUTION
    u = torch.rand_like(x)
    white = torch.where(u < level, 1.0, x)
    return torch.where(u < level / 2, 0.0, white)
    ### END SOLUTION


def mask(x, level):
    """x (B, C, H, W); level is the share of pixels set to 0 -> same shape."""
    ### BEGIN SOLUTION
    return torch.where(torch.rand_like(x) < level, 0.0, x)
    ### END SOLUTION


# %% tags=["check"]
check.corruptions(gaussian, salt_pepper, mask)

# %% [markdown]
# <details><summary>Hint 1: where do random numbers come from?</summary>
#
# `torch.randn_like(x)` gives a standard normal number for each pixel,
# `torch.rand_like(x)` a number between 0 and 1.
# </details>
# <details><summary>Hint 2: an event with a given probability</summary>
#
# `u < level` is true with probability `level` when `u` is uniform on $[0, 1]$.
# </details>
# <details><summary>Hint 3: replace without changing x</summary>
#
# `torch.where(condition, new, x)` makes a new tensor. For salt and pepper use *one* `u`
# and cut $[0, 1]$ into three pieces.
# </details>

# %% [markdown]
# Our version also takes a generator, for noise on test images. Without one it draws on
# the device where the images are.


# %% tags=["definition"]
def add_gaussian(x, level, generator=None):
    """Gaussian noise with standard deviation level; nothing is clipped."""
    place = x.device if generator is None else generator.device
    eps = torch.randn(x.shape, generator=generator, device=place)
    return x + level * eps.to(x.device)


# %% [markdown]
# The other two need one uniform number for each pixel. Salt and pepper cuts $[0, 1]$ into
# three pieces with it: pepper, salt, and stay.


# %% tags=["definition"]
def uniform(x, generator=None):
    """One number in [0, 1] for each pixel of x, on x's device."""
    place = x.device if generator is None else generator.device
    return torch.rand(x.shape, generator=generator, device=place).to(x.device)


def add_salt_and_pepper(x, level, generator=None):
    """A share `level` of the pixels becomes 0 or 1, with equal probability."""
    u = uniform(x, generator)
    return torch.where(u < level, (u < level / 2).to(x), x)


def mask_pixels(x, level, generator=None):
    """A share `level` of the pixels becomes 0."""
    return torch.where(uniform(x, generator) < level, torch.zeros_like(x), x)


# %%
CORRUPT = {
    "Gaussian": partial(add_gaussian, level=SIGMA),
    "salt and pepper": partial(add_salt_and_pepper, level=SHARE),
    "masking": partial(mask_pixels, level=MASKED),
}
noisy = {
    kind: corrupt(test_x, generator=torch.Generator().manual_seed(SEED + 1))
    for kind, corrupt in CORRUPT.items()
}
rows = torch.cat([test_x[:8], *(y[:8] for y in noisy.values())])
plots.show_images(rows, 8, row_labels=["clean", *noisy])

# %% [markdown]
# **Figure 6.4. Gaussian noise moves every pixel; the other two destroy some and leave
# the others exact.** Each row damages the same eight test images.
#
# Masking is special: a black pixel may be original or destroyed, while a bright one is
# certain.
#
# ## Build it: the measure
#
# The **peak signal-to-noise ratio** of one image with pixels in $[0, 1]$ is
#
# $$\mathrm{PSNR}(x, \hat x) = -10 \log_{10} \Big( \frac1D \sum_{i=1}^{D} (x_i - \hat x_i)^2 \Big) \text{ decibels (dB)}.$$
#
# Here $\hat x$ is the restored image and $D$ the number of pixels. Higher is better. The
# peak value is 1 because white is 1; with bytes it would be 255. When we speak of the PSNR
# of many images, we mean the mean of their PSNRs. The PSNR of the mean error is another
# number and never larger: $-\log$ is convex, so this is Jensen's inequality.
#
# ### Exercise 06.2 · PSNR
#
# *core, easy, 5 minutes*
#
# Return one number for **each image**. Do not clip anything.


# %% tags=["exercise"]
def psnr_of(x, restored):
    """x, restored (B, C, H, W), white is 1 -> (B,) decibels."""
    ### BEGIN SOLUTION
    error = ((x - restored) ** 2).flatten(1).mean(1)  # (B,)
    return -10 * torch.log10(error)
    ### END SOLUTION


# %% tags=["check"]
check.psnr(psnr_of)

# %% [markdown]
# <details><summary>Hint 1: the order</summary>
#
# Squared error of each pixel, mean over the pixels of an image, then the logarithm.
# </details>
# <details><summary>Hint 2: the axes</summary>
#
# `.flatten(1)` gives (B, D); the mean over axis 1 leaves (B,).
# </details>
# <details><summary>Hint 3: the logarithm</summary>
#
# `torch.log10`, with base 10, and the factor is 10 because the error is squared already.
# </details>

# %% [markdown]
# PSNR looks at pixels one by one. The **structural similarity** (SSIM) compares means,
# variances and the covariance in small windows; it is 1 for equal images. It depends on
# its settings, so they belong to the number: ours is the mean over 7 by 7 windows with
# equal weights, `data_range=1`; the paper uses 11 by 11 Gaussian ones.


# %% tags=["definition"]
def psnr(x, restored):
    """(B, C, H, W), (B, C, H, W), white is 1 -> (B,) dB; higher is better."""
    return -10 * ((x - restored) ** 2).flatten(1).mean(1).log10()


def ssim(x, restored):
    """(B, 1, H, W), (B, 1, H, W) -> (B,) structural similarity; 1 for equal images."""
    pairs = zip(x[:, 0].numpy(), restored[:, 0].numpy(), strict=True)
    settings = {"win_size": 7, "data_range": 1.0, "channel_axis": None}
    return torch.tensor([structural_similarity(a, b, **settings) for a, b in pairs])


# %% [markdown]
# Every mean in this lesson comes with its standard error: about how far it would move with
# other test images and other noise.


# %% tags=["definition"]
def mean_and_error(values):
    """Mean and standard error of the mean."""
    return values.mean().item(), (values.std() / len(values) ** 0.5).item()


def with_error(values):
    """The same as text."""
    mean, error = mean_and_error(values)
    return f"{mean:.2f} ± {error:.2f}"


# %% [markdown]
# ### Clipping changes the problem
#
# Many programs clip noisy pixels to $[0, 1]$ at once. **Predict**: does that help? And
# what does it do to the black background?

# %%
raw, clipped = noisy["Gaussian"], noisy["Gaussian"].clamp(0, 1)
black = test_x == 0
print(f"PSNR, not clipped: {with_error(psnr(test_x, raw))} dB")
print(f"PSNR, clipped:     {with_error(psnr(test_x, clipped))} dB")
print(f"theory, not clipped: {-10 * math.log10(SIGMA**2):.2f} dB")
print(f"mean of noisy black pixels, not clipped: {raw[black].mean():+.3f}")
print(f"mean of noisy black pixels, clipped:     {clipped[black].mean():+.3f}")
gain = (psnr(test_x, clipped) - psnr(test_x, raw)).mean()
print(f"clipping changes the PSNR by {gain:+.2f} dB")

# %% [markdown]
# Where the PSNR rises, it does so although the clipped image holds less information
# than the raw one. And the noise is no longer what we said it was: on black it can only
# go up, so the background gets a positive mean, and the noise now depends on the pixel
# below it. A method built for Gaussian noise meets another noise. So in our comparisons
# **noisy inputs are not clipped, and restored images are**: after the training, before the
# scoring, for every method alike. The loss of a training clips nothing.
#
# ## The rivals: classical filters
#
# Five filters from scikit-image. None of them learns from images, and each has one number
# to be tuned.


# %% tags=["definition"]
def median(images, size):
    return filters.median(images, np.ones((1, size, size)))


def blur(images, width):
    return filters.gaussian(images, (0, width, width), channel_axis=None)


# %% [markdown]
# **Median** of a square of pixels; **blur** with a Gaussian. The other three work picture
# by picture. **Total variation** looks for the image with the smallest sum of steps that
# stays close to the noisy one; **wavelet** shrinks small coefficients, for several shifted
# copies of the image, and averages the results (cycle spinning), so that they do not hang
# on where the blocks of one pass lie; **non-local means** averages pixels whose surroundings
# look alike.


# %% tags=["definition", "fold"]
def each(images, restore):
    """Apply restore to every (28, 28) picture of an array (N, 28, 28)."""
    return np.stack([restore(image) for image in images])


def total_variation(images, weight):
    tv = partial(restoration.denoise_tv_chambolle, weight=weight, channel_axis=None)
    return each(images, tv)


def wavelet(images, sigma):
    settings = {"wavelet": "db2", "method": "BayesShrink", "channel_axis": None}
    shrink = partial(restoration.denoise_wavelet, sigma=sigma, **settings)
    passes = []
    for shift in np.ndindex(SHIFTS, SHIFTS):  # cycle spinning
        moved = each(np.roll(images, shift, axis=(1, 2)), shrink)
        passes.append(np.roll(moved, [-s for s in shift], axis=(1, 2)))
    return np.mean(passes, axis=0)


def non_local_means(images, strength):
    settings = {"patch_size": 5, "patch_distance": 6, "channel_axis": None}

    def restore(image):
        if not image.any():
            return image  # no noise can be guessed from an empty picture
        sigma = restoration.estimate_sigma(image)  # its own guess of the noise
        h = strength * sigma
        return restoration.denoise_nl_means(image, h=h, sigma=sigma, **settings)

    return each(images, restore)


# %% [markdown]
# A rival deserves all the help that we know of, and every method the same help:
#
# - **What is known stays.** Under masking a bright pixel is exact, and under salt and pepper
#   every grey one is. Whatever a method answers there, we put the noisy pixel back. Its
#   error becomes 0, so this cannot lower a PSNR. We do it for all methods, ours included.
# - **Tuned by one rule.** Each filter is tuned for each kind of noise, on the noisy image
#   and on the *centred* one, $(y-b)/a$, which undoes what the noise does on average: the
#   mean of a noisy pixel is $a x + b$ (the values are in the table of the next section).
#   We take the choice with the best mean PSNR on noisy *training* images, never on test
#   images.


# %% tags=["definition"]
def keep_known(restored, y, kind):
    """Put back the pixels of y that this kind of noise cannot have touched."""
    if kind == "Gaussian":
        return restored
    known = y > 0 if kind == "masking" else (y > 0) & (y < 1)
    return torch.where(known, y, restored)


# %%
CANDIDATES = {
    median: [3, 5, 7],
    blur: [0.5, 0.75, 1.0, 1.25, 1.5],
    total_variation: [0.1, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5],
    wavelet: [0.35, 0.5, 0.7, 1.0, 1.5],
    non_local_means: [0.2, 0.4, 0.6, 1.0, 1.5],
}
SHIFTS = 4  # shifts of the wavelets in each direction: 0, 1, 2 and 3 pixels
CENTRE = {  # a and b
    "Gaussian": (1, 0),
    "salt and pepper": (1 - SHARE, SHARE / 2),
    "masking": (1 - MASKED, 0),
}


# %% tags=["definition"]
def centred(y, kind):
    """Undo what the noise does on average: y = a x + b + rest -> (y - b) / a."""
    slope, offset = CENTRE[kind]
    return (y - offset) / slope


def filtered(y, kind, method, value, centre):
    """(N, 1, H, W) -> the same shape, restored by a classical filter and clipped."""
    seen = centred(y, kind) if centre else y
    found = method(seen[:, 0].numpy().astype(np.float64), value)
    restored = torch.from_numpy(found).float()[:, None].clamp(0, 1)
    return keep_known(restored, y, kind)


# %% [markdown]
# Now every combination is tried; for Gaussian noise the centred image is the image itself.

# %% tags=["fold"]
tuning_y = {
    kind: corrupt(tune_x, generator=torch.Generator().manual_seed(SEED + 2))
    for kind, corrupt in CORRUPT.items()
}
options = [
    (kind, method, value, centre)
    for kind in CORRUPT
    for method, values in CANDIDATES.items()
    for value in values
    for centre in ([False] if CENTRE[kind] == (1, 0) else [False, True])
]
found = {}
for step in training.progress(len(options), "tuning the filters"):
    image = filtered(tuning_y[options[step][0]], *options[step])
    found[options[step]] = psnr(tune_x, image).mean().item()

# %% tags=["fold"]
tuned = {
    (kind, method): max((o for o in options if o[:2] == (kind, method)), key=found.get)
    for kind in CORRUPT
    for method in CANDIDATES
}

# %% [markdown]
# ## The bar to beat: the best linear filter
#
# The classical filters have seen no digits, the networks have. The fair rival has seen
# them, too: the **best linear filter** (the linear minimum-mean-square-error or Wiener
# filter). It knows mean and covariance of the training images, and how the mean and the
# variance of a noisy pixel depend on the clean one, but nothing beyond second moments.
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $m, C$ | mean and covariance of the training images (in lesson 01 $m$ alone, the mean image) | $(D)$, $(D, D)$ | `mean`, `covariance` |
# | $a, b$ | what the noise does on average: $\mathbb E[y \mid x] = a x + b$ (in lesson 03 $a$ was a factor in the loss, in lesson 02 $b$ a baseline) | numbers | `slope`, `offset` |
# | $v$ | variance of $y$ around $a x + b$, averaged over images (in lesson 05 $v_k$ was a factor) | $(D)$ | `variance` |
# | $W$ | the matrix of the filter | $(D, D)$ | `weights` |
#
# All three kinds of noise act on each pixel separately, and $\mathbb E[y \mid x]$ is a
# straight line in $x$. Hence the covariance of $y$ is $a^2 C + \mathrm{diag}(v)$, and the
# covariance between $x$ and $y$ is $a C$. The filter is the straight line of the one pixel
# again, covariance over variance, now with matrices:
#
# $$\hat x = m + W\,(y - a\,m - b), \qquad W = a\,C\,\big(a^2 C + \mathrm{diag}(v)\big)^{-1}.$$
#
# | Noise | $a$ | $b$ | $v$, with $\mathbb E$ the mean over training images |
# |---|---|---|---|
# | Gaussian | $1$ | $0$ | $\sigma^2$ |
# | salt and pepper | $1 - \rho$ | $\rho / 2$ | $\rho (1 - \rho)(\mathbb E[x^2] - m) + \rho/2 - \rho^2/4$ |
# | masking | $1 - \rho$ | $0$ | $\rho (1 - \rho)\, \mathbb E[x^2]$ |
#
# If the images were Gaussian, this filter with Gaussian noise would *be* the posterior
# mean: nothing could beat it in mean squared error, before clipping. What a network
# gains over it, it gains from knowing more than a covariance.
#
# <details><summary>Where the v of salt and pepper comes from</summary>
#
# A pixel stays with probability $1 - \rho$, and becomes 1 with probability $\rho / 2$. So
# the mean of $y^2$ given $x$ is $(1 - \rho) x^2 + \rho / 2$. Subtract the square of
# $a x + b$ and take the mean over the images.
# </details>


# %% tags=["definition"]
def image_moments(images, piece=2000):
    """(N, 1, H, W) uint8 -> mean (D,) and covariance (D, D), float64 on the CPU."""
    total, products = 0.0, 0.0
    for chunk in images.split(piece):
        x = chunk.flatten(1).double() / 255
        total, products = total + x.sum(0), products + x.T @ x
    mean = total / len(images)
    return mean, products / len(images) - mean.outer(mean)


# %% [markdown]
# Next the table of the noises, line by line. `square` is the mean of $x^2$ for each pixel.


# %% tags=["definition"]
def gaussian_moments(mean, square, level):
    """slope, offset and variance (D,) of Gaussian noise."""
    return 1.0, 0.0, level**2 * torch.ones_like(mean)


def salt_and_pepper_moments(mean, square, level):
    """slope, offset and variance (D,); square (D,) is the mean of x squared."""
    variance = level * (1 - level) * (square - mean) + level / 2 - level**2 / 4
    return 1 - level, level / 2, variance


def masking_moments(mean, square, level):
    """slope, offset and variance (D,); square (D,) is the mean of x squared."""
    return 1 - level, 0.0, level * (1 - level) * square


# %% [markdown]
# Pixels in the corners are black in nearly all images; under masking they carry no noise
# either, and the matrix would be singular. A tiny number on the diagonal mends that.


# %% tags=["definition"]
def linear_filter(mean, covariance, slope, offset, variance):
    """The best linear filter, a function from noisy (B, 1, H, W) to restored images."""
    of_y = slope**2 * covariance + torch.diag(variance + 1e-6)
    weights = torch.linalg.solve(of_y, slope * covariance).T  # (D, D)

    def restore(y):
        flat = y.flatten(1).double() - slope * mean - offset
        return (mean + flat @ weights.T).float().view_as(y)

    return restore


# %%
mean, covariance = image_moments(digits.train_images)
square = covariance.diagonal() + mean**2  # mean of x squared, (D,)
MOMENTS = {
    "Gaussian": gaussian_moments(mean, square, SIGMA),
    "salt and pepper": salt_and_pepper_moments(mean, square, SHARE),
    "masking": masking_moments(mean, square, MASKED),
}
linear = {kind: linear_filter(mean, covariance, *m) for kind, m in MOMENTS.items()}
for kind, restore in linear.items():
    image = keep_known(restore(noisy[kind]).clamp(0, 1), noisy[kind], kind)
    print(f"best linear filter, {kind:16} {with_error(psnr(test_x, image))} dB")
shrunk = linear["Gaussian"](clipped).clamp(0, 1)
print(f"the Gaussian one on clipped input: {with_error(psnr(test_x, shrunk))} dB")

# %% [markdown]
# In the last line the filter meets clipped images, a noise that it was not made for.
#
# ## Build it: the denoising autoencoder
#
# The network is the autoencoder of lesson 01, wider. What changes is one line of the loss.
#
# The loss draws the noise, so every step has fresh noise. The picture of the data flow is
# short: clean $\to$ noise $\to$ network $\to$ compare with clean. The loop is `training.fit`
# of lesson 04.


# %% tags=["definition"]
def denoising_loss(model, x, corrupt):
    """Squared error of the restored images, summed over pixels, mean over the batch."""
    return {"loss": ((model(corrupt(x)) - x) ** 2).flatten(1).sum(1).mean()}


@torch.no_grad()
def restore_with(model, y):
    """Noisy images (B, 1, H, W) -> restored and clipped, on the CPU."""
    return model(y.to(next(model.parameters()).device)).clamp(0, 1).cpu()


# %% [markdown]
# All networks of this lesson are trained with the same few settings: the rate and schedule
# of lesson 04 (a high rate in the middle, 0 at the end), batches of 128.


# %% tags=["definition"]
def train_denoiser(model, images, loss_fn, corrupt, steps, seed, **reports):
    """Train in place with fresh noise in every step; -> History."""
    return training.fit(
        model,
        images,
        partial(loss_fn, corrupt=corrupt),
        steps=steps,
        lr=3e-3,
        schedule=training.warmup_cosine,
        seed=seed,
        **reports,
    )


# %% [markdown]
# ## Train
#
# The validation is done like the training: noisy input, **clean target**, on the noisy
# test images of the table. Nothing is chosen by this curve.


# %%
def build(seed):
    torch.manual_seed(seed)
    return course_vae.Autoencoder(128, hidden=512)  # 784 - 512 - 128 - 512 - 784


def validate(model, x, y):
    """Mean PSNR of the restored y against the clean x."""
    return {"test": psnr(x, restore_with(model, y)).mean().item()}


# %% [markdown]
# **Predict.** At the end of the training, which has the higher mean PSNR on the noisy test
# images, the network or the best linear filter? (And if it passes the filter, after how many
# steps?)

# %%
predict.guess("ahead after training", None, choices=("network", "linear filter"))

# %%
train_images = digits.train_images
autoencoders = {"Gaussian": build(SEED).to(device)}
history = train_denoiser(
    autoencoders["Gaussian"],
    train_images,
    denoising_loss,
    CORRUPT["Gaussian"],
    STEPS,
    SEED,
    on_report=partial(validate, x=test_x, y=noisy["Gaussian"]),
)

# %% tags=["fold"]
bar = psnr(test_x, linear["Gaussian"](noisy["Gaussian"]).clamp(0, 1)).mean().item()
curves = {
    "denoising autoencoder": history["test"],
    "best linear filter": [bar] * len(history.steps),
}
plots.show_curves(history.steps, curves, ylabel="mean PSNR of test images, dB")
above = [v > bar for v in history["test"]]
first_step = history.steps[above.index(True)] if any(above) else "none"
print(f"first report above the linear filter: step {first_step}")

# %% [markdown]
# **Figure 6.5. During its training the network passes the best linear filter.** The
# line under the figure says at which step it is first above.
#
# At the end the schedule takes the learning rate to 0, and the curve flattens for that
# reason, too. No network reaches perfect images, since behind one noisy image there are
# many clean ones; where that limit is, this curve does not show.

# %%
predict.truth(
    "ahead after training", "network" if history["test"][-1] > bar else "linear filter"
)

# %% [markdown]
# ### The other two kinds of noise
#
# Nothing in the loss knows about Gaussians. We pass another corruption and train again,
# with fewer steps to save time.

# %%
for kind in ("salt and pepper", "masking"):
    net, corrupt = build(SEED).to(device), CORRUPT[kind]
    train_denoiser(net, train_images, denoising_loss, corrupt, SHORT, SEED, label=kind)
    autoencoders[kind] = net

# %% [markdown]
# ## A denoising VAE
#
# A VAE can be trained on the same pairs. The encoder sees the **noisy** image, the
# reconstruction term is for the **clean** one:
#
# $$\mathbb E_{q_\phi(z \mid y)}\big[\log p_\theta(x \mid z)\big] - \mathrm{KL}\big(q_\phi(z \mid y) \,\Vert\, p(z)\big) \;\le\; \log p_\theta(x) \quad \text{for every } y.$$
#
# Is this still a bound? Yes. The ELBO is a lower bound for *any* distribution over $z$ in
# the place of $q$, and $q_\phi(z \mid y)$ is one. It stays a bound after the mean over
# $y$. The gap is $\mathrm{KL}(q_\phi(z \mid y)\,\Vert\,p_\theta(z \mid x))$, averaged over
# $y$. With the best $q$ of a family it is at least that of a VAE whose $q$ sees $x$,
# because one $q_\phi(z \mid y)$ has to serve all $x$ that may lie behind $y$.
#
# ### What goes in, what is the target?
#
# Both networks of this lesson stand and fall with these two questions, and a wrong line
# raises no error. One rule answers both: for each input, the squared error is smallest at the
# **mean of the target, given that input**. Two examples. With
#
# `y = corrupt(x); loss = ((model(y) - 2 * x) ** 2)`
#
# the best network returns $2\,\mathbb E[x \mid y]$. With the constant target 0.5 it returns 0.5,
# whatever it sees.
#
# ### Exercise 06.3 · Six lines and a loss
#
# *core, medium, 10 minutes*
#
# The noise is Gaussian, and `corrupt` draws it anew in each call. Each line is summed over the
# pixels; the network is as large as it needs to be.
#
# | Line | Squared error |
# |---|---|
# | A | `y = corrupt(x)`, then `(model(y) - y) ** 2` |
# | B | `(model(x) - corrupt(x)) ** 2` |
# | C | `(model(corrupt(x)) - corrupt(x)) ** 2` |
# | D | `y = corrupt(x)`, then `(model(y) - (y - x)) ** 2` |
# | E | `(model(corrupt(x)) - x) ** 2` |
# | F | `(model(corrupt(x)).clamp(0, 1) - x) ** 2` |
#
# (a) What does the best network of each line return for a noisy image $y$?
#
# | Number | Answer |
# |---|---|
# | 1 | $\mathbb E[x \mid y]$ |
# | 2 | $y$ itself |
# | 3 | $y - \mathbb E[x \mid y]$ |
# | 4 | the line does not say: the network never sees a noisy image |
# | 5 | $\mathbb E[x \mid y]$, but where an output leaves $[0, 1]$ in training, no gradient brings it back |
#
# Return a text with one digit for each of A to F, such as `"123451"`. A number may be there
# twice, or not at all.
#
# (b) Write the loss of the denoising VAE: minus the bound above, with **one** draw of the code
# for each image, a mean over the batch, as `{"loss": ...}`. `model.encode` gives `mu, logvar`,
# `model.decode` gives logits. `reparameterize(mu, logvar)`,
# `bernoulli_log_likelihood(x, logits)` and `kl_to_standard_normal(mu, logvar)` are imported; the
# last two return nats, shape (B,).


# %% tags=["exercise"]
def best_answers():
    """-> text of six digits, the answers for the lines A to F."""
    ### BEGIN SOLUTION
    return "241315"
    ### END SOLUTION


def my_denoising_vae_loss(model, x, corrupt):
    """VAE; x (B, C, H, W) clean; corrupt(x) -> noisy copy -> {"loss": scalar}."""
    ### BEGIN SOLUTION
    mu, logvar = model.encode(corrupt(x))
    logits = model.decode(reparameterize(mu, logvar))
    bound = bernoulli_log_likelihood(x, logits) - kl_to_standard_normal(mu, logvar)
    return {"loss": -bound.mean()}
    ### END SOLUTION


# %% tags=["check"]
check.training_losses(best_answers, my_denoising_vae_loss)

# %% [markdown]
# <details><summary>Hint 1: two questions for each line</summary>
#
# What does the network see, and what is it compared with? Write both down before you choose a
# number. For (b) the formula says both: $q_\phi(z \mid y)$ and $\log p_\theta(x \mid z)$.
# </details>
# <details><summary>Hint 2: a mean, given the input</summary>
#
# Take the mean of the target for one fixed input. If the input is $y$ and the target is $y$,
# nothing is left to average. For (b): encode, draw, decode, and two functions that give one
# number for each image.
# </details>
# <details><summary>Hint 3: two draws of noise</summary>
#
# Where `corrupt` is called twice, the second noise is independent of the first: given the
# input its mean is 0. In (b) `corrupt` is called once, the KL belongs to the code that was
# drawn, and both terms are costs.
# </details>

# %% [markdown]
# Our version returns the two terms as well.


# %% tags=["definition"]
def denoising_vae_loss(model, x, corrupt):
    """Minus the bound on log p(x) with q(z | noisy x); nats per image."""
    mu, logvar = model.encode(corrupt(x))
    logits = model.decode(reparameterize(mu, logvar))
    reconstruction = -bernoulli_log_likelihood(x, logits).mean()
    kl = kl_to_standard_normal(mu, logvar).mean()
    return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}


# %%
vaes = {}
for kind, corrupt in CORRUPT.items():
    torch.manual_seed(SEED)
    net = course_vae.VAE(20, 400).to(device)
    steps, name = STEPS if kind == "Gaussian" else SHORT, f"denoising VAE, {kind}"
    train_denoiser(
        net, train_images, denoising_vae_loss, corrupt, steps, SEED, label=name
    )
    vaes[kind] = net


# %% [markdown]
# ## Who wins?
#
# One figure for all. Every method gets the same noisy images, for every method the known
# pixels are put back and the result is clipped to $[0, 1]$, and every number has its
# standard error over the images. The advantages are not equal, and it is fair to say so:
# the linear filter is told mean and variance of the noise, the classical filters are told
# what it does on average and are tuned on clean training images, and the networks are
# trained for it. The denoising VAE answers with its mean code. Networks for Gaussian noise
# had `STEPS` steps, the others `SHORT`: do not compare panels.
#
# **Predict.** Doing nothing has $-10 \log_{10} \sigma^2$ decibels on the Gaussian noise, before
# clipping. How many does the median filter reach there?

# %%
predict.guess("median filter", None, unit="dB")

# %%
classical = {}
jobs = list(tuned)  # pairs (kind, method)
for step in training.progress(len(jobs), "classical filters"):
    kind, method = jobs[step]
    classical[kind, method] = filtered(noisy[kind], *tuned[kind, method])

# %%
restored = {}  # kind -> method -> images (COUNT, 1, 28, 28) in [0, 1]
FILTERS = [method.__name__.replace("_", " ") for method in CANDIDATES]
for kind, y in noisy.items():
    images = [classical[kind, method] for method in CANDIDATES]
    found = {"do nothing": y.clamp(0, 1), **dict(zip(FILTERS, images, strict=True))}
    found["best linear filter"] = linear[kind](y).clamp(0, 1)
    found["denoising autoencoder"] = restore_with(autoencoders[kind], y)
    found["denoising VAE"] = vaes[kind].reconstruct(y.to(device)).cpu()
    restored[kind] = {name: keep_known(image, y, kind) for name, image in found.items()}

# %% [markdown]
# The PSNR, image by image, and a picture of its means.

# %%
METHODS = list(restored["Gaussian"])
scores = {
    (kind, method): psnr(test_x, restored[kind][method])
    for kind in CORRUPT
    for method in METHODS
}

# %% tags=["fold"]
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), sharey=True)
for ax, kind in zip(axes, CORRUPT, strict=True):
    for row, method in enumerate(METHODS):
        middle, error = mean_and_error(scores[kind, method])
        colour = plots.COLOURS[1 if method in METHODS[-2:] else 0]
        ax.errorbar(middle, row, xerr=3 * error, fmt="o", color=colour)
        paper = {"fc": "white", "ec": "none", "pad": 0.3}
        place = middle, row - 0.25
        ax.annotate(f"{middle:.1f}", place, ha="center", fontsize=8, bbox=paper)
    bar = scores[kind, "best linear filter"].mean().item()
    ax.axvline(bar, color="black", linestyle="--", linewidth=1)
    ax.set(title=kind, xlabel="mean PSNR, dB")
axes[0].set_yticks(range(len(METHODS)), METHODS)
axes[0].invert_yaxis()
plt.show()

# %% [markdown]
# **Figure 6.6. For each noise the autoencoder is above the best linear filter, and that
# above the classical ones.** Each bar is three standard errors to either side, the
# dashed line is the best linear filter, and the two networks are orange.

# %%
predict.truth("median filter", scores["Gaussian", "median"].mean())

# %% [markdown]
# To say who wins, we compare two methods **image by image**. Digit and noise are
# the same for both, so what makes an image hard for both drops out of the difference. We
# speak of a win when the mean difference is more than three of its standard errors away
# from 0; otherwise we cannot tell them apart.
#
# A case by hand, with three images. Method a has 15, 18 and 24 dB, method b has 14, 18 and 22.
# The differences are 1, 0 and 2: their mean is 1, their standard deviation is 1, and the
# standard error of the mean is $1 / \sqrt 3 = 0.58$. Three of them are more than 1: not told
# apart. Without the pairs, from the spreads of a and of b, the error would be
# $\sqrt{21/3 + 16/3} = 3.5$.
#
# ### Exercise 06.4 · Who wins?
#
# *core, medium, 8 minutes*
#
# `a` and `b` hold the decibels of two methods on the same images, in the same order (they are not
# the numbers $a$ and $b$ of the noise). Return the mean of `a - b`, its standard error, and the
# verdict: `"a"`, `"b"`, or `"not told apart"` when the mean is within **three** standard errors
# of 0. (A standard deviation with $n$ instead of $n - 1$ is accepted as well.)


# %% tags=["exercise"]
def paired_win(a, b):
    """a, b (N,) dB on the same images -> mean of a - b, standard error, verdict."""
    ### BEGIN SOLUTION
    difference = a - b
    gap, error = difference.mean(), difference.std() / len(difference) ** 0.5
    if gap.abs() <= 3 * error:
        return gap, error, "not told apart"
    return gap, error, "a" if gap > 0 else "b"
    ### END SOLUTION


# %% tags=["check"]
check.paired_win(paired_win)

# %% [markdown]
# <details><summary>Hint 1: in which order?</summary>
#
# First the differences, image by image. What follows knows them alone, no longer `a` and `b`.
# </details>
# <details><summary>Hint 2: two spreads</summary>
#
# `difference.std()` says how far one image lies from the mean. The mean of $n$ images lies
# $\sqrt n$ times nearer to the truth.
# </details>
# <details><summary>Hint 3: three verdicts</summary>
#
# More decibels are better, so `"a"` needs a mean far *above* 0 and `"b"` one far *below* 0. Try
# it on 14, 17, 20, 17 for a and 13, 15, 19, 15 for b: mean 1.5, standard error
# $0.577 / 2 = 0.289$, a win of a.
# </details>

# %% [markdown]
# Such an error is for other test images and other noise.
# It does **not** cover another training: for that the claims below were tried with other
# seeds. Our version makes a sentence of it.


# %% tags=["definition"]
def above(mine, theirs):
    """True where the mean difference on the same images is a win."""
    gap, error = mean_and_error(mine - theirs)
    return gap > 3 * error


def verdict(name, other, mine, theirs, unit):
    """A sentence about the mean difference of two methods on the same images."""
    gap, error = mean_and_error(mine - theirs)
    word = "above" if above(mine, theirs) else "not clearly different from"
    word = "below" if above(theirs, mine) else word
    return f"{name} is {word} {other}: {gap:+.3f} ± {error:.3f} ({unit})"


# %%
for kind in CORRUPT:
    own = {m: scores[kind, m] for m in METHODS}
    strongest = max(FILTERS, key=lambda m: own[m].mean())
    print(f"{kind}, the best classical filter: {strongest}")
    for name in METHODS[-2:]:  # the two networks
        print(verdict(name, METHODS[-3], own[name], own[METHODS[-3]], "dB"))

# %% [markdown]
# The next panel compares these numbers with recorded ones.

# %%
psnr_at = {m: scores["Gaussian", m].mean().item() for m in METHODS[-3:]}
expected("06", digits, {f"{m}, sigma {SIGMA}: PSNR in dB": psnr_at[m] for m in psnr_at})

# %% [markdown]
# <details><summary>My numbers are not in the band</summary>
#
# | Symptom | Likely cause |
# |---|---|
# | PSNR of the network near that of the noisy image | the target is noisy; see *Break it* |
# | very good on training images, poor on test images | the noise is drawn once; see *Break it* |
# | noisy PSNR far above the theory | the input is clipped |
# | every PSNR too high by $20 \log_{10} 255$ | peak value 255 for pixels in [0, 1] |
# | SSIM differs, PSNR agrees | another window or another `data_range` |
# </details>
#
# The classical filters know neither digits nor, beyond its mean effect, the noise. Wavelet,
# total variation and non-local means are made for Gaussian noise. BM3D, a strong classical
# method, is not in scikit-image. The denoising VAE differs from the autoencoder in four
# things at once: size of the code, width, likelihood (Bernoulli; the autoencoder has the
# squared error) and the KL term. The figure cannot say which of them costs what, nor
# that a VAE must lose. That it
# can give more than one answer is the subject of *Several clean images for one noisy image*.

# %% tags=["fold"]
shown = ["total variation", "non local means", *METHODS[-3:]]
images = [test_x, noisy["Gaussian"], *(restored["Gaussian"][name] for name in shown)]
decibels = [f"{name}, {scores['Gaussian', name].mean():.1f} dB" for name in shown]
labels = ["clean", "noisy", *decibels]
plots.show_images(torch.cat([image[:8] for image in images]), 8, row_labels=labels)

# %% [markdown]
# **Figure 6.7. Total variation gives patches, the linear filter ghosts of strokes, the
# networks strokes.** Behind each name stands the mean PSNR of all test images, for
# Gaussian noise.
#
# Total variation and non-local means know that neighbours resemble each other. The
# networks have seen strokes. Compare the last row with the linear filter: the eye and
# the decibels need not agree. And a network that fails draws a *wrong* stroke: a
# restored image can look plausible where it is not true.

# %%
rows = []
for kind in ("salt and pepper", "masking"):
    rows = rows + [noisy[kind][:8], restored[kind]["denoising autoencoder"][:8]]
labels = ["salt and pepper", "restored", "masking", "restored"]
plots.show_images(torch.cat([test_x[:8], *rows]), 8, row_labels=["clean", *labels])

# %% [markdown]
# **Figure 6.8. The same network and the same loss undo other kinds of damage, too.**
# Only the corruption in the training differs.
#
# ### The background decides the SSIM
#
# Most pixels of a digit are black. In a window where the clean image is black, the
# SSIM asks for exact black: a faint grey, invisible on screen, may cost as much as a missing
# stroke. We take all results and set every value below `FAINT` to 0, for every method
# alike. **Predict**: what happens to the PSNR, what to the SSIM, and what to the order of
# the methods?

# %%
FAINT = 0.05  # values below it become 0
similar, moved = {}, {}
keys = list(scores)
for step in training.progress(len(keys), "SSIM"):
    image = restored[keys[step][0]][keys[step][1]]
    dark = torch.where(image < FAINT, 0.0, image)
    similar[keys[step]] = ssim(test_x, image).mean(), ssim(test_x, dark).mean()
    moved[keys[step]] = (psnr(test_x, dark) - psnr(test_x, image)).mean().item()

# %% tags=["fold"]
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), sharey=True)
for ax, kind in zip(axes, CORRUPT, strict=True):
    for row, method in enumerate(METHODS):
        before, after = similar[kind, method]
        ax.plot([before, after], [row, row], "-", color=plots.COLOURS[0])
        ax.plot(before, row, "o", color=plots.COLOURS[0], mfc="white")
        ax.plot(after, row, "o", color=plots.COLOURS[1])
    ax.set(title=kind, xlabel="mean SSIM")
axes[0].set_yticks(range(len(METHODS)), METHODS)
axes[0].invert_yaxis()
plt.show()
most = max(moved, key=lambda key: abs(moved[key]))
print(f"largest change of a PSNR: {moved[most]:+.2f} dB ({most[1]}, {most[0]})")

# %% [markdown]
# **Figure 6.9. Values too faint to see move the SSIM, and under masking they turn an
# order round.** Hollow: the SSIM of the restored images. Filled: the same images with
# faint values set to 0. The line under the figure says how little this moves the PSNR.

# %%
ours, bar_of_all = "denoising autoencoder", "best linear filter"
for kind in CORRUPT:
    in_psnr = max(METHODS, key=lambda m: scores[kind, m].mean())
    in_ssim = max(METHODS, key=lambda m: similar[kind, m][1])
    print(f"{kind:16} best PSNR: {in_psnr}; best SSIM without faint values: {in_ssim}")

# %% [markdown]
# What the two figures and these lines say, as claims:

# %%
claims.show(
    "06",
    digits,
    {
        "In PSNR, for each of the three noises, the autoencoder is above "
        "the best linear filter, and that is above each of the five "
        "classical filters.": all(
            above(scores[k, ours], scores[k, bar_of_all])
            and all(above(scores[k, bar_of_all], scores[k, m]) for m in FILTERS)
            for k in CORRUPT
        ),
        "In PSNR the mean code of this denoising VAE (20 latents, "
        "Bernoulli term) is below the autoencoder, for each of the three.": all(
            above(scores[k, ours], scores[k, "denoising VAE"]) for k in CORRUPT
        ),
        "Setting faint values to 0 moves no mean PSNR by more than 0.1 dB, and lifts "
        "the autoencoder's SSIM by more than 0.02 for each noise.": abs(moved[most])
        < 0.1
        and all(similar[k, ours][1] - similar[k, ours][0] > 0.02 for k in CORRUPT),
        "Under masking this turns an order round: in SSIM the median is above total "
        "variation before faint values become 0, and below it after.": bool(
            (similar["masking", "median"][0] > similar["masking", "total variation"][0])
            and similar["masking", "median"][1]
            < similar["masking", "total variation"][1]
        ),
    },
)

# %% [markdown]
# An SSIM of pictures with a black background says much about the background. Where two
# methods treat it differently, that difference can decide the order. Report what was done
# to faint values, or compare on images where every method did the same.

# %% [markdown]
# ## Several clean images for one noisy image
#
# The autoencoder gives one answer. The denoising VAE has a distribution
# $q_\phi(z \mid y)$, so we can draw several codes and decode each: several suggestions. Are
# they as different as the truth allows? **Predict**: which has the better PSNR, one draw or
# the mean of many draws?


# %% tags=["definition"]
@torch.no_grad()
def draw_restorations(model, y, count):
    """y (B, 1, H, W) -> (count, B, 1, H, W): decoded draws from q(z | y)."""
    mu, logvar = model.encode(y.to(next(model.parameters()).device))
    codes = (reparameterize(mu, logvar) for _ in range(count))
    return torch.stack([model.decode(z).sigmoid().cpu() for z in codes])


# %%
DRAWS = 20
torch.manual_seed(SEED)
draws = draw_restorations(vaes["Gaussian"], noisy["Gaussian"], DRAWS)
mean_of_draws = draws.mean(0)

# %%
one, many = psnr(test_x, draws[0]), psnr(test_x, mean_of_draws)
mean_code = scores["Gaussian", "denoising VAE"]
print(f"one draw:           {with_error(one)} dB")
print(f"mean of {DRAWS} draws:   {with_error(many)} dB")
print(f"decoded mean code:  {with_error(mean_code)} dB")
print(verdict("The mean of draws", "one draw", many, one, "PSNR, dB"))
print(verdict("The mean of draws", "the mean code", many, mean_code, "PSNR, dB"))

# %% [markdown]
# Do the draws vary as much as the truth allows? There is a rule. Given $y$, a draw from
# $p(x \mid y)$ and the true image are two independent draws from the same distribution, and
# the difference of two such numbers has twice the variance of one. (On the one pixel: if it
# is white with probability 0.2 given $y$, its variance is $0.2 \cdot 0.8 = 0.16$, and two
# independent draws differ with probability $2 \cdot 0.2 \cdot 0.8 = 0.32$.) So the squared error of
# a draw is on average twice that of the posterior mean, 3 dB more, and a mean of $n$ draws
# has $1 + 1/n$ of the latter.
#
# Our draws so far are no samples of images: each is the decoder's *mean* for a drawn code.
# A sample draws the pixels, too, black or white with the decoder's probabilities. We hold
# both against the rule.

# %%
codes_and_pixels = torch.bernoulli(draws)
excess = {}
for name, images in (("codes drawn", draws), ("pixels too", codes_and_pixels)):
    error_of_draws = ((images - test_x) ** 2).mean().item()
    error_of_mean = ((images.mean(0) - test_x) ** 2).mean().item()
    excess[name] = 10 * math.log10(error_of_draws / error_of_mean)
rule = 10 * math.log10(2 / (1 + 1 / DRAWS))
print(f"a draw's squared error against that of the mean of {DRAWS}, in dB more")
for name, value in (*excess.items(), ("draws from p(x | y)", rule)):
    print(f"{name:22} {value:.2f}")

# %% [markdown]
# For the figure we take the five images whose draws differ most from each other, a worst
# case, and show one sample with drawn pixels at the end.

# %% tags=["fold"]
spread_of_draws = draws.var(0, correction=0).flatten(1).sum(1)
torn = spread_of_draws.argsort(descending=True)[:5]  # most uncertain
columns = [test_x[torn], noisy["Gaussian"][torn], *draws[:5, torn], mean_of_draws[torn]]
columns = [*columns, codes_and_pixels[0, torn]]
shown = len(columns) - 4  # draws
plots.show_images(
    torch.stack(columns, 1).flatten(0, 1),
    len(columns),
    column_labels=["clean", "noisy", *["code"] * shown, "mean", "pixels"],
    width=6,
)

# %% [markdown]
# **Figure 6.10. Each drawn code gives another suggestion, and their mean is grey where
# they disagree.** One image a row; what a column shows stands above it.
#
# The suggestions differ mostly in the shape of strokes. The squared error of their mean
# is at most the mean squared error of the draws, because the square is convex: PSNR
# rewards the **mean**, and a sample that looks real pays for it.

# %%
claims.show(
    "06",
    digits,
    {
        "Against the rule for p(x | y) a draw loses less with drawn codes alone, and "
        "more with drawn codes and pixels.": excess["codes drawn"]
        < rule
        < excess["pixels too"],
    },
)

# %% [markdown]
# Neither agrees with draws from $p(x \mid y)$, for two reasons.
#
# - **The pixels.** The Bernoulli decoder draws each pixel by itself, and black or white
#   even where the true pixel is grey: that is more spread than digits have. The decoder's
#   means leave the spread of the pixels out: that is less.
# - **The code.** The loss asks one $q_\phi(z \mid y)$ to fit *all* clean images behind $y$ at
#   once. If it could have any shape, the best one would be proportional to
#   $\exp \mathbb E[\log p_\theta(z \mid x)]$, with the mean over $p(x \mid y)$. That is a
#   geometric mean of the posteriors: it is small wherever *one* of them is small, and it
#   keeps the codes on which all agree. A draw from $p(x \mid y)$ would need their mixture,
#   the ordinary mean.
#
# ## When the noise level is not the one of the training
#
# Our autoencoder was trained at one level. We train two more, one at weak noise and one on
# many levels, where $\sigma$ is drawn between 0 and 1 for each image of each batch.
# **Predict**: where is each of them the best? And is a denoiser ever worse than doing
# nothing?


# %% tags=["definition"]
def add_any_level(x):
    """Gaussian noise with a level of its own for each image, uniform in [0, 1]."""
    level = torch.rand(len(x), 1, 1, 1, device=x.device)
    return x + level * torch.randn_like(x)


# %%
WEAK = 0.2  # standard deviation of the noise for the second network
LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0]
at_sigma, at_weak = f"trained at {SIGMA}", f"trained at {WEAK}"
trained = {at_sigma: autoencoders["Gaussian"]}
recipes = {
    at_weak: partial(add_gaussian, level=WEAK),
    "trained on 0 to 1": add_any_level,
}
for name, corrupt in recipes.items():
    net = build(SEED).to(device)
    train_denoiser(net, train_images, denoising_loss, corrupt, STEPS, SEED, label=name)
    trained[name] = net

# %% [markdown]
# Each method gets the same noisy images. The linear filter is told the level and is built
# anew for each one; the networks are told nothing.

# %%
by_level = []  # one dictionary for each level
for level in LEVELS:
    y = add_gaussian(test_x, level, torch.Generator().manual_seed(SEED + 3))
    told = linear_filter(mean, covariance, *gaussian_moments(mean, square, level))
    images = {name: restore_with(net, y) for name, net in trained.items()}
    images["linear filter, told the level"] = told(y).clamp(0, 1)
    images["do nothing, clip"] = y.clamp(0, 1)
    by_level.append({name: psnr(test_x, image) for name, image in images.items()})

# %% tags=["fold"]
rival = "linear filter, told the level"
ax = plt.figure(figsize=(6.5, 4)).add_subplot()
curves = {
    name: [(row[name] - row[rival]).mean() for row in by_level]
    for name in [*trained, "do nothing, clip"]
}
plots.show_curves(LEVELS, curves, title="Test noise of another level", ax=ax)
ax.axhline(0, color="black", linewidth=2)
ax.set(xlabel="standard deviation of the test noise")
ax.set(ylabel="PSNR above the linear filter's, dB")
ax.set_ylim(-6, 3)
ax.legend(loc="lower right")
plt.show()

# %% [markdown]
# **Figure 6.11. Trained at strong noise, a network does worse than nothing where the
# noise is weakest.** The thick line at 0 is the linear filter that is told the level.
#
# A network that loses to it in mean squared error is *not* the posterior mean, which no
# method can beat there. At weak noise even the network that was trained for it may lie
# below. Two causes come to mind: its **code** of 128 numbers is too narrow to keep all
# detail, and detail counts when little noise is left; or its **training** was too
# short. An experiment separates them. We train at weak noise for a third of the steps,
# with the same code and with one four times as wide.

# %%
THIRD = max(1, STEPS // 3)  # optimiser steps
corrupt, brief = recipes[at_weak], {}
for code in (128, 512):
    torch.manual_seed(SEED)
    net, label = course_vae.Autoencoder(code, hidden=512).to(device), f"code {code}"
    train_denoiser(net, train_images, denoising_loss, corrupt, THIRD, SEED, label=label)
    brief[code] = net

# %%
y = add_gaussian(test_x, WEAK, torch.Generator().manual_seed(SEED + 3))
filter_there = linear_filter(mean, covariance, *gaussian_moments(mean, square, WEAK))
short = psnr(test_x, restore_with(brief[128], y))
wide = psnr(test_x, restore_with(brief[512], y))
long = psnr(test_x, restore_with(trained[at_weak], y))
linear_there = psnr(test_x, filter_there(y).clamp(0, 1))
print(f"code 128, {THIRD:5,} steps: {with_error(short)} dB")
print(f"code 512, {THIRD:5,} steps: {with_error(wide)} dB")
print(f"code 128, {STEPS:5,} steps: {with_error(long)} dB")
print(f"best linear filter:     {with_error(linear_there)} dB")

# %% [markdown]
# The same noisy images and the same rate for all of them.

# %%
low, high = by_level[0], by_level[-1]
asked = STEPS >= 4800 and len(train_images) > 50_000  # too short or too few otherwise
claims.show(
    "06",
    digits,
    {
        "At the weakest noise the network trained at strong noise is worse than doing "
        "nothing.": above(low["do nothing, clip"], low[at_sigma]),
        "At weak noise three times the steps gain more than four times the "
        "code.": above(long, wide),
        "On the full data, after 4,800 steps, the network with the narrow code is "
        "above the linear filter at weak noise.": above(long, linear_there)
        if asked
        else None,
    },
)

# %% [markdown]
# So before you blame the model, train longer, and see whether the curve still rises. The
# network for all levels is never told $\sigma$, shares its weights among the levels, and
# its squared error counts the noisiest images most. Measure a denoiser at the levels where it will be
# used, beside doing nothing and a linear filter.
#
# ## What has it learned? The slope of a density
#
# On the one pixel the step of the best denoiser was $\sigma^2$ times the slope of the
# log-density. Does a *trained* network know that slope as well? We turn Tweedie's formula
# round and read the score off a denoiser.
#
# ### Exercise 06.5 · From a denoiser to a score
#
# *core, easy, 5 minutes*
#
# Return the score at the points `y`, given a denoiser that was trained with noise of
# standard deviation `sigma`.


# %% tags=["exercise"]
def score_of(denoiser, y, sigma):
    """denoiser: (B, D) -> (B, D); y (B, D) -> (B, D), the slope of log p_sigma at y."""
    ### BEGIN SOLUTION
    return (denoiser(y) - y) / sigma**2
    ### END SOLUTION


# %% tags=["check"]
check.score(score_of)

# %% [markdown]
# <details><summary>Hint 1: which way does it point?</summary>
#
# From the noisy point to the restored one.
# </details>
# <details><summary>Hint 2: the scale</summary>
#
# Solve Tweedie's formula for the score.
# </details>
# <details><summary>Hint 3: a test by hand</summary>
#
# If all clean points are 0, the noisy density is $\mathcal N(0, \sigma^2 I)$, the denoiser
# returns 0, and the score is $-y/\sigma^2$.
# </details>
#
# ### A density that we know
#
# For images nobody knows $p_\sigma$. So we take points in a plane: three Gaussian clouds.
# Adding noise to a mixture of Gaussians only makes its parts wider, so the noisy density is
# known in closed form, and automatic differentiation gives its exact score.


# %% tags=["definition"]
def log_density(y, centres, shares, width):
    """(B, 2) -> (B,) nats: a mixture of round Gaussians of one width."""
    squares = ((y[:, None] - centres) ** 2).sum(2)  # (B, parts)
    log_parts = -squares / (2 * width**2) - math.log(2 * math.pi * width**2)
    return (shares.log() + log_parts).logsumexp(1)


# %% [markdown]
# The gradient of this function at each point is the exact score.


# %% tags=["definition"]
def exact_score(y, centres, shares, width):
    """(B, 2) -> (B, 2), the gradient of log_density."""
    y = y.detach().requires_grad_()
    with torch.enable_grad():
        total = log_density(y, centres, shares, width).sum()
    return torch.autograd.grad(total, y)[0]


# %%
CENTRES = torch.tensor([[0.3, 0.3], [0.7, 0.4], [0.4, 0.72]])
SHARES = torch.tensor([0.5, 0.3, 0.2])
CLOUD = 0.05  # standard deviation of each clean cloud
BLUR = 0.12  # standard deviation of the noise in the plane
WIDTH = math.sqrt(CLOUD**2 + BLUR**2)  # of each noisy cloud: variances add up

# %%
plane = torch.Generator().manual_seed(SEED)
part = torch.multinomial(SHARES, 50_000, replacement=True, generator=plane)
jitter = torch.randn(50_000, 2, generator=plane)
points = (CENTRES[part] + CLOUD * jitter).clamp(0, 1)  # (N, 2), clean
eps = torch.randn(5000, 2, generator=plane)
noisy_points = points[:5000] + BLUR * eps

# %% [markdown]
# A small network learns to denoise these points. The loss is the one from above. It gets
# clean points and fresh noise, and no density, no centre, no gradient. The first 5,000
# points are kept for the comparison.


# %%
class Plane(nn.Module):
    """A denoiser for points (B, 2) in the unit square."""

    def __init__(self, hidden=64):
        super().__init__()
        first, middle = nn.Linear(2, hidden), nn.Linear(hidden, hidden)
        self.body = nn.Sequential(first, nn.SiLU(), middle, nn.SiLU())
        self.head = nn.Linear(hidden, 2)

    def forward(self, y):
        return self.head(self.body(4 * y - 2))  # inputs spread around 0 learn faster


# %%
torch.manual_seed(SEED)
plane_denoiser = Plane().to(device)
plane_history = training.fit(
    plane_denoiser,
    points[5000:],
    partial(denoising_loss, corrupt=partial(add_gaussian, level=BLUR)),
    steps=PLANE_STEPS,
    batch_size=512,
    lr=1e-2,
    schedule=training.warmup_cosine,
    seed=SEED,
    label="points in the plane",
)


# %% tags=["definition"]
@torch.no_grad()
def learned_score(model, y, sigma):
    """(B, D) -> (B, D): what Tweedie's formula makes of a denoiser, on the CPU."""
    return (model(y.to(next(model.parameters()).device)).cpu() - y) / sigma**2


# %% [markdown]
# Two numbers compare the fields: the cosine of the angle between them, all arrows taken
# as one long vector, and the length of their difference in units of the exact field. And
# one denoiser without training, a straight line, is there to be compared with.


# %% tags=["definition"]
def agreement(found, exact):
    """Cosine of two fields (B, 2), and error relative to the exact one."""
    cosine = (found * exact).sum() / (found.norm() * exact.norm())
    return cosine.item(), ((found - exact).norm() / exact.norm()).item()


class Linear(nn.Module):
    """A denoiser that is a straight line: centre + weights (y - centre)."""

    def __init__(self, weights, centre):
        super().__init__()
        self.weights, self.centre = nn.Parameter(weights), centre

    def forward(self, y):
        return self.centre + (y - self.centre) @ self.weights.T


# %%
line_of, fine = torch.linspace(0, 1, 13), torch.linspace(0, 1, 100)
lattice = torch.cartesian_prod(line_of, line_of)  # (169, 2)
fields = {
    "exact": exact_score(lattice, CENTRES, SHARES, WIDTH),
    "learned: (r(y) - y) / sigma²": learned_score(plane_denoiser, lattice, BLUR),
}
density_of = log_density(torch.cartesian_prod(fine, fine), CENTRES, SHARES, WIDTH).exp()

# %% tags=["fold"]
figure, axes = plt.subplots(1, 2, figsize=(8, 4), sharey=True)
for ax, (name, field) in zip(axes, fields.items(), strict=True):
    ax.contour(fine, fine, density_of.view(100, 100).T, levels=6, cmap="viridis")
    ax.quiver(*lattice.T, *field.T, angles="xy", scale=350, width=0.004)
    ax.set(title=name, xlabel="first coordinate", aspect="equal")
axes[0].set_ylabel("second coordinate")
plt.show()

# %% [markdown]
# **Figure 6.12. Exact and learned arrows look alike: they lead uphill, to the three
# clouds.** They are short on the tops and on the ridges between them; the rings are
# levels of $p_\sigma$.
#
# Now in numbers. We average over points drawn from $p_\sigma$, so regions count by
# their density; then we ask far outside. A number alone says little, so two answers
# without any network stand beside ours: the **mean of the points** for every $y$, and
# the best **linear** denoiser, the straight line of the one pixel in two dimensions.

# %%
centre = points[5000:].mean(0)
of_points = torch.cov(points[5000:].T)
shrink = of_points @ torch.linalg.inv(of_points + BLUR**2 * torch.eye(2))  # (2, 2)
answers = {
    "network": partial(learned_score, plane_denoiser),
    "linear denoiser": partial(learned_score, Linear(shrink, centre)),
    "mean of the points": partial(learned_score, Linear(0 * shrink, centre)),
}
angle = torch.linspace(0, 2 * math.pi, 200)
ring = 0.5 + 1.5 * torch.stack([angle.cos(), angle.sin()], 1)  # no data out there
regions = {"where the data are": noisy_points, "far outside": ring}
agree = {
    (region, name): agreement(answer(y, BLUR), exact_score(y, CENTRES, SHARES, WIDTH))
    for region, y in regions.items()
    for name, answer in answers.items()
}
for (region, name), (cosine, error) in agree.items():
    print(f"{region:20}{name:20} cosine {cosine:.3f}, relative error {error:.2f}")

# %%
near = agree["where the data are", "network"]
expected("06", digits, {"plane: cosine of learned and exact score": near[0]})

# %% [markdown]
# Far outside the network never saw a point, and nothing made it right there. Out there any
# arrow that points back to the data has a cosine near 1, even that of a constant answer, so
# a cosine by itself proves nothing: look at the error, and at what plain answers get.
#
# ### Walk along the arrows
#
# If the arrows are the slope of a log-density, we can draw new points with them: start
# anywhere, take small steps along the arrow, and add a little noise at each. With steps of
# size $s$ and noise of variance $2 s$ such a walk (Langevin's) forgets its start and, after
# many small steps, ends with points from $p_\sigma$. **Predict**: what happens without the
# noise?
#
# By hand, in one dimension: for $\mathcal N(0, 1)$ the score is $-y$. From $y = 1$, with
# $s = 0.1$, a step without noise goes to $1 + 0.1 \cdot (-1) = 0.9$, and the next one, with the
# arrow **there**, to $0.9 + 0.1 \cdot (-0.9) = 0.81$.
#
# ### Exercise 06.6 · A walk uphill
#
# *extension, easy, 8 minutes*
#
# Let points walk `steps` steps of size `step` along the score, without noise, and return where
# they end. `score` maps points (B, D) to arrows (B, D).


# %% tags=["exercise"]
def my_walk(y, score, step, steps):
    """y (B, D) points; score: (B, D) -> (B, D) -> (B, D), where the walk ends."""
    ### BEGIN SOLUTION
    for _ in range(steps):
        y = y + step * score(y)
    return y
    ### END SOLUTION


# %% tags=["check"]
check.walk(my_walk)

# %% [markdown]
# <details><summary>Hint 1: one step first</summary>
#
# Write one step, from `y` to the next place, as in the case by hand. Then repeat it.
# </details>
# <details><summary>Hint 2: a loop</summary>
#
# `for _ in range(steps):`, and in it the arrow at the place where the points are **now**.
# </details>
# <details><summary>Hint 3: new tensors</summary>
#
# `y = y + ...` makes a new tensor. `y += ...` changes the points that the caller gave you.
# With 0 steps the points stay.
# </details>

# %% [markdown]
# Our version adds the noise, if it is asked to.


# %% tags=["definition"]
def walk(y, score, step, steps, noise=True):
    """Points y (B, 2) after `steps` steps along the score, with or without noise."""
    for _ in range(steps):
        y = y + step * score(y) + noise * math.sqrt(2 * step) * torch.randn_like(y)
    return y


# %%
WALK = LONGER * 300  # steps of the walk
torch.manual_seed(SEED)
start = torch.rand(2000, 2)  # anywhere in the square
score = partial(answers["network"], sigma=BLUR)
walked = {
    "start": start,
    "walk without noise": walk(start, score, 0.1 * BLUR**2, WALK, noise=False),
    "walk with noise": walk(start, score, 0.1 * BLUR**2, WALK),
    "noisy data": noisy_points[:2000],
}
shares = {
    name: torch.cdist(y, CENTRES).argmin(1).bincount(minlength=3) / len(y)
    for name, y in walked.items()
}

# %% tags=["fold"]
figure, axes = plt.subplots(1, 4, figsize=(9, 2.8), sharex=True, sharey=True)
for ax, (name, y) in zip(axes, walked.items(), strict=True):
    ax.scatter(*y[:600].T, s=3)
    ax.scatter(*CENTRES.T, marker="+", color="black")
    at_cloud = " / ".join(f"{share:.2f}" for share in shares[name])
    ax.set(title=f"{name}\n{at_cloud}", xlabel="first coordinate", aspect="equal")
axes[0].set(ylabel="second coordinate", xlim=(-0.2, 1.2), ylim=(-0.2, 1.2))
plt.show()
spreads = {name: y.std(0).mean().item() for name, y in walked.items()}
print("spread:", {name: round(value, 3) for name, value in spreads.items()})

# %% [markdown]
# **Figure 6.13. Without noise the points climb to the tops and stay there; with noise
# they spread as the data do.** The numbers over the panels are the shares of points
# nearest to each of the three centres (crosses).

# %%
far = {name: agree["far outside", name] for name in answers}
there = {name: agree["where the data are", name][1] for name in answers}
off = (shares["walk with noise"] - shares["noisy data"]).abs().max().item()
wider = spreads["walk with noise"] / spreads["noisy data"]
claims.show(
    "06",
    None,
    {
        "Where the data are, the network's arrows have less than half the error of the "
        "linear denoiser's.": there["network"] < there["linear denoiser"] / 2,
        "Far outside, a constant answer has a cosine above 0.98 with the exact arrows, "
        "and the network's error is larger than where the data are.": far[
            "mean of the points"
        ][0]
        > 0.98
        and far["network"][1] > there["network"],
        "Along the learned arrows, with noise, points from anywhere in the square end "
        "with the shares of the noisy data (within 0.05) and their spread (within a "
        "tenth).": off < 0.05 and abs(wider - 1) < 0.1,
    },
)

# %% [markdown]
# So the walk makes new points from a network that never saw a density. This is the bridge
# to diffusion models. They train one denoiser for all noise levels, as we did above, and
# walk with less and less noise to a new image: strong noise covers the empty places, and
# weak noise gives the details.
#
# ## Play with it
#
# Choose noise, level and image. For Gaussian noise the restoration comes from the network
# trained on many levels; for the other two from the network trained at one level, so you
# can see where it leaves its training.


# %%
NOISES = {
    "Gaussian": add_gaussian,
    "salt and pepper": add_salt_and_pepper,
    "masking": mask_pixels,
}
networks = {**autoencoders, "Gaussian": trained["trained on 0 to 1"]}


# %% tags=["fold"]
def show_restoration(figure, kind, level, image):
    x = test_x[image : image + 1]
    y = NOISES[kind](x, level, torch.Generator().manual_seed(SEED + 4))
    answer = keep_known(restore_with(networks[kind], y), y, kind)
    before, after = psnr(x, y.clamp(0, 1)).item(), psnr(x, answer).item()
    titles = ["clean", f"noisy, {before:.1f} dB", f"restored, {after:.1f} dB"]
    for ax, picture, title in zip(
        figure.subplots(1, 3), (x, y, answer), titles, strict=True
    ):
        plots.show_images(picture, 1, title=title, ax=ax)
    return f"{kind}, level {level:.2f}: from {before:.1f} to {after:.1f} dB."


# %%
last = min(99, len(test_x) - 1)
widgets.explore(
    show_restoration,
    {
        "kind": widgets.choice("Noise", list(NOISES)),
        "level": widgets.slider("Level (sigma or share)", 0.05, 0.95, 0.5),
        "image": widgets.slider("Test image", 0, last, step=1, whole=True),
    },
    width=6,
    height=2.4,
)

# %% [markdown]
# Without a kernel, here is one image at five levels of each kind:

# %% tags=["fold"]
shown_levels = [0.1, 0.3, 0.5, 0.7, 0.9]
rows, titles, fresh = [], [], torch.Generator().manual_seed(SEED + 4)
for kind, corrupt in NOISES.items():
    y = torch.cat([corrupt(test_x[3:4], level, fresh) for level in shown_levels])
    answer = keep_known(restore_with(networks[kind], y), y, kind)
    rows, titles = rows + [y, answer], [*titles, kind, "restored"]
plots.show_images(
    torch.cat(rows),
    5,
    row_labels=titles,
    column_labels=[f"{level}" for level in shown_levels],
    title="Level of the noise",
)

# %% [markdown]
# **Figure 6.14. One digit under more and more damage: look for faint and for wrong
# answers.** Each pair of rows is noisy and restored; the level is $\sigma$ for Gaussian
# noise, else the share of destroyed pixels.
#
# The network for Gaussian noise has seen all these levels. The other two were trained
# at one level, and may fail below it, too. Part of a failure is not their fault: at 0.9
# hardly anything of the digit is left.
#
# ## Break it
#
# ### The target is the noisy image
#
# This is an easy mistake: input and target are both the noisy batch. We take a network
# **without** a narrow layer, its hidden layer is wider than the image, and train it three
# times, with three targets: the clean image, the *same* noisy image, and *another* noisy
# copy of the same digit. Then the second target once more for our network **with** the
# narrow layer.


# %%
def same_noise_loss(model, x, corrupt):
    y = corrupt(x)
    return {"loss": ((model(y) - y) ** 2).flatten(1).sum(1).mean()}  # noisy target!


def other_noise_loss(model, x, corrupt):
    target = corrupt(x)  # another draw than the input gets
    return {"loss": ((model(corrupt(x)) - target) ** 2).flatten(1).sum(1).mean()}


# %%
def build_wide(seed):
    torch.manual_seed(seed)
    layers = nn.Linear(784, 800), nn.ReLU(), nn.Linear(800, 784)
    return nn.Sequential(nn.Flatten(), *layers, nn.Unflatten(1, (1, 28, 28)))


# %% [markdown]
# All four see the same images in the same order. **Predict.** What PSNR does the wide network
# reach whose target is *another* noisy copy? (And the other three?)

# %%
predict.guess("wide network, other noisy copy", None, unit="dB")

# %%
BRIEF = LONGER * 400  # optimiser steps of each broken network
RUNS = {
    "wide, clean target": (build_wide, denoising_loss),
    "wide, same noisy image": (build_wide, same_noise_loss),
    "wide, other noisy copy": (build_wide, other_noise_loss),
    "narrow, same noisy image": (build, same_noise_loss),
}

# %%
broken, corrupt = {}, CORRUPT["Gaussian"]
for name, (make, loss_fn) in RUNS.items():
    net = make(SEED).to(device)
    train_denoiser(net, train_images, loss_fn, corrupt, BRIEF, SEED, label=name)
    broken[name] = restore_with(net, noisy["Gaussian"])

# %% [markdown]
# Now they are judged as before, by the PSNR against the clean test images.

# %%
at = {name: psnr(test_x, images) for name, images in broken.items()}
for name, values in at.items():
    print(f"{name:26} {with_error(values)} dB")
print(f"{'do nothing, clip':26} {with_error(psnr(test_x, clipped))} dB")

# %% tags=["fold"]
rows = torch.cat([images[:6] for images in broken.values()])
decibels = [f"{name}, {values.mean():.1f} dB" for name, values in at.items()]
plots.show_images(
    torch.cat([clipped[:6], rows]), 6, row_labels=["noisy, clipped", *decibels]
)

# %% [markdown]
# **Figure 6.15. Another noisy copy will do as a target for the wide network; the same
# noisy image will not.** Behind each target stands the mean PSNR of the test images.
#
# With the same noisy image as target, copying is the perfect answer, and the wide
# network has room for a copy: it keeps most of the noise. The narrow network cannot
# copy everything. It keeps what is common to many images, so it denoises **by
# accident**, and the mistake can go unnoticed until a number for the right way stands
# beside it.

# %%
predict.truth("wide network, other noisy copy", at["wide, other noisy copy"].mean())

# %% [markdown]
# The surprise may be the other noisy copy. Its noise is independent of the input and has
# mean zero, so $\mathbb E[\text{target} \mid y] = \mathbb E[x \mid y]$: the best answer is
# the same as with clean targets, only the gradients are noisier. This is Noise2Noise, a way
# to train without clean images when each scene was photographed twice. What must not happen
# is that the target shares its noise with the input.
#
# ### The noise is drawn once
#
# Some code corrupts the data set before the training, and every epoch sees the same noisy
# images. We do it on the first 1,000 training images. The loop is our own, because
# `training.fit` has no place for a stored noisy image. **Predict**: on which images will
# this network be good?


# %%
def train_on_pairs(model, clean, noisy_of, steps, seed):
    """noisy_of(index) gives the noisy images for clean[index]."""
    device = next(model.parameters()).device
    order = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters())
    for step in training.progress(steps):
        index = torch.randint(len(clean), (128,), generator=order)
        x, y = clean[index].to(device), noisy_of(index).to(device)
        loss = ((model(y) - x) ** 2).flatten(1).sum(1).mean()
        optimizer.param_groups[0]["lr"] = 3e-3 * training.warmup_cosine(step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# %%
clean = data.to_unit_interval(digits.train_images[:1000])
frozen = add_gaussian(clean, SIGMA, torch.Generator().manual_seed(SEED + 5))
sources = {
    "drawn once": lambda index: frozen[index],
    "drawn anew": lambda index: add_gaussian(clean[index], SIGMA),
}
twins = {}
for name, noisy_of in sources.items():
    twins[name] = build(SEED).to(device)
    train_on_pairs(twins[name], clean, noisy_of, BRIEF, SEED)

# %%
again = add_gaussian(clean[:COUNT], SIGMA, torch.Generator().manual_seed(SEED + 6))
trials = {
    "training images, stored noise": (clean[:COUNT], frozen[:COUNT]),
    "training images, new noise": (clean[:COUNT], again),
    "test images, new noise": (test_x, noisy["Gaussian"]),
}
print(f"{'PSNR, dB':32}" + "".join(f"{name:>15}" for name in twins))
found = {}
for trial, (x, y) in trials.items():
    found[trial] = [psnr(x, restore_with(net, y)) for net in twins.values()]
    print(f"{trial:32}" + "".join(f"{with_error(v):>15}" for v in found[trial]))
for trial, (once, anew) in found.items():
    print(f"{trial}: " + verdict("drawn once", "drawn anew", once, anew, "dB"))

# %% [markdown]
# With stored noise the network learns each noisy image like a barcode and recalls the clean
# one. On the stored images it looks brilliant; the **same digits with new noise** tell the
# truth. Fresh noise makes a new training example out of every use of an image, at almost no
# cost. It does not make new digits.

# %%
stored, renewed, unseen = found.values()
right, same, other, narrow = at.values()
nothing = psnr(test_x, clipped)
claims.show(
    "06",
    digits,
    {
        "In the wide network another noisy copy as target loses at most 1.5 dB against "
        "the clean one, the same noisy image more than 5 dB.": above(other + 1.5, right)
        and above(right, same + 5),
        "The narrow network denoises with the same noisy image as target, too: more "
        "than 3 dB above doing nothing.": above(narrow, nothing + 3),
        "Noise drawn once: better than fresh noise on the stored images, worse on the "
        "same digits with new noise and on test images.": above(*stored)
        and above(*renewed[::-1])
        and above(*unseen[::-1]),
    },
)

# %% [markdown]
# ## Questions that come up
#
# <details><summary>What is the target?</summary>
#
# The clean image; the noisy one is only the input, in validation too.
# </details>
# <details><summary>Denoising AE vs VAE noise?</summary>
#
# One adds noise to the input with a clean target, the other to the code with a KL price.
# </details>
# <details><summary>Must the network know the noise level?</summary>
#
# It may be told, and diffusion models do tell it. Our network for all levels was never
# told.
# </details>
# <details><summary>Why is the result blurred?</summary>
#
# Because the squared error asks for the mean of all clean images that fit. A draw from
# $p(x \mid y)$ would be sharper and have a lower PSNR.
# </details>
# <details><summary>Should I clip the noisy image?</summary>
#
# Only if your camera does it. Then train on clipped images, too; training and use must
# see the same noise.
# </details>
# <details><summary>Which metric should I report?</summary>
#
# PSNR and SSIM with their settings, per image, with standard errors, beside doing nothing
# and at least one tuned filter on the same noisy images. Say what was done to faint values
# and to known pixels, and do it for every method.
# </details>

# %% [markdown]
# ## Check yourself
#
# 1. A paper reports a PSNR of 66 dB for Gaussian noise with $\sigma = 0.5$ and pixels in
#    $[0, 1]$. What went wrong, most likely?
# 2. A denoiser returns its input unchanged at some point $y$. What does that say about the
#    density of noisy images there?
# 3. Your network beats the median filter by a wide margin. Is that a result?
# 4. On 400 test images network A has, on average, 0.10 dB more than network B. The differences,
#    image by image, have a standard deviation of 0.8 dB. Who wins by the rule of this lesson?
#    With the same mean and the same spread, from how many images on would somebody win?
#
# <details><summary>Answers</summary>
#
# 1. The peak value 255 was used for pixels in $[0, 1]$: that adds $20 \log_{10} 255$, about
#    48 dB, and what remains is an ordinary value.
# 2. The score is 0: $y$ is at a maximum of $p_\sigma$, or at a saddle or a minimum between
#    several.
# 3. Not yet. The median filter has never seen a digit. The bar is the best linear filter,
#    which knows the covariance of the training images.
# 4. The standard error is $0.8 / \sqrt{400} = 0.04$ dB, and $0.10 / 0.04 = 2.5$ is not more than
#    3: one cannot tell. With $n$ images three standard errors are $2.4 / \sqrt n$, which is 0.10
#    for $n = 24^2$: it takes more than 576. And even then these two trainings are compared, not
#    the two methods.
# </details>

# %% [markdown]
# ## Exercise 06.7 · Inpainting (open)
#
# *extension, hard, 40 minutes*
#
# Cut a square of 10 by 10 pixels out of each digit, at a random place **that contains
# ink** (the PSNR of a black square filled with black is infinite), and train a network
# to fill it in. Compare it with filling in the training mean, with the best linear
# prediction of the missing pixels from the visible ones, and with
# `skimage.restoration.inpaint_biharmonic`. Measure the PSNR **inside the square only**,
# with standard errors. Then draw several fillings for one image from a denoising VAE.
#
# <details><summary>Hint 1: tell the network where the hole is</summary>
#
# Black may be ink-free paper or a hole. Fill the hole with a value that does not occur,
# such as $-1$.
# </details>
# <details><summary>Hint 2: the linear rival</summary>
#
# It is a regression of the missing pixels on the visible ones: the block of $C$ between
# both, times the inverse of the block of the visible ones with a small number on its
# diagonal. It differs from hole to hole.
# </details>
# <details><summary>Hint 3: the target</summary>
#
# The whole clean image, also in validation. If the loss counts only the hole, say so.
# </details>
# <details><summary>Where you should arrive (after your own attempt)</summary>
#
# PSNR inside the square, mean over `COUNT` test images. Full data, seeds 0 to 2; each number
# has a standard error of about 0.2 dB. The square is drawn among those that contain ink, the hole
# is filled with $-1$, the networks are `build` and `course_vae.VAE(20, 400)` after `STEPS` steps
# with the loss on the whole image, and the linear rival has 0.001 on its diagonal.
#
# | Filled with | dB, three seeds |
# |---|---|
# | black | 7.7 to 8.5 |
# | the training mean | 9.7 to 9.9 |
# | biharmonic | 10.5 to 10.9 |
# | the linear prediction | 13.6 to 14.1 |
# | the network | 13.4 to 13.8 |
# | one draw of the VAE | 12.7 to 13.3 |
# | the mean of 20 draws | 13.2 to 13.6 |
#
# With these few steps the network was not ahead of the linear prediction. The mean of the draws
# has more decibels than one of them for the reason given above: the square is convex.
# </details>

# %% [markdown]
# Your predictions of this lesson, beside what was measured:

# %%
predict.review()

# %% [markdown]
# ## Summary
#
# | Formula | Function |
# |---|---|
# | $y = x + \sigma \varepsilon$, salt and pepper, masking | `add_gaussian`, `add_salt_and_pepper`, `mask_pixels` |
# | $\mathrm{PSNR}(x, \hat x)$ | `psnr` |
# | $\hat x = m + W (y - a m - b)$ | `linear_filter` |
# | $\mathbb E \lVert r(y) - x \rVert^2$, minimum at $\mathbb E[x \mid y]$ | `denoising_loss` |
# | bound on $\log p_\theta(x)$ with $q_\phi(z \mid y)$ | `denoising_vae_loss` |
# | $r(y) - y = \sigma^2 \nabla_y \log p_\sigma(y)$ | `learned_score`, `exact_score` |
# | small steps along the score, with noise | `walk` |
#
# **Sources.** Vincent, Larochelle, Lajoie, Bengio and Manzagol, *Stacked denoising
# autoencoders* (JMLR 11, 2010), section 3. Vincent, *A connection between score matching
# and denoising autoencoders* (Neural Computation 23, 2011), section 4. Alain and Bengio,
# *What regularized auto-encoders learn from the data-generating distribution*
# (arXiv:1211.4246), theorem 1. Efron, *Tweedie's formula and selection bias* (JASA 106,
# 2011), section 1. Im, Ahn, Memisevic and Bengio, *Denoising criterion for variational
# auto-encoding framework* (arXiv:1511.06406), section 3. Lehtinen et al., *Noise2Noise*
# (arXiv:1803.04189), section 2. Wang, Bovik, Sheikh and Simoncelli, *Image quality
# assessment: from error visibility to structural similarity* (IEEE Transactions on Image
# Processing 13, 2004). Kay, *Fundamentals of Statistical Signal Processing: Estimation
# Theory* (Prentice Hall, 1993), chapter 12, on linear filters. Coifman and Donoho,
# *Translation-invariant de-noising* (Wavelets and Statistics, Springer, 1995), on cycle
# spinning. The classical filters are those of scikit-image.
