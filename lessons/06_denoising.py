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
# - read the slope of the log-density of the noisy data off a denoiser.

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

from vae_helpers import data, plots, runtime, training, widgets
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
STEPS = 1200  # optimiser steps of the main networks
SHORT = 700  # optimiser steps for the other two kinds of noise
PLANE_STEPS = 2000  # optimiser steps of the small network for points in a plane
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
# On screen values are cut to $[0, 1]$; in the computation they are not. The noise
# fades, and the strokes fade with it. The blur treats both alike, because it knows
# nothing about digits. To remove one and keep the other, a method must know **what
# clean images look like**. Where can it get that knowledge? From clean images.
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $y$ | a noisy image, made from the clean image $x$ | as $x$ | `noisy` |
# | $r(y)$ | what a denoiser returns for $y$ | as $x$ | `model(noisy)` |
# | $\sigma$ | in this lesson: standard deviation of the noise | number | `SIGMA`, `level` |
# | $\rho$ | share of the pixels that are destroyed | number | `level` |
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
falling = sorted(errors.values(), reverse=True)
assert list(errors.values()) == falling, "expected a smaller error in each row"

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2))
y_axis = grid.detach()
left.plot(y_axis, density.detach())
left.set(xlim=(-1.5, 2.5), xlabel="noisy pixel $y$", ylabel="density $p_\\sigma(y)$")
left.set_title("What we may see")
for name, guess in guesses.items():
    right.plot(y_axis, guess.detach(), label=name)
right.set(xlim=(-1.5, 2.5), ylim=(-1.6, 2.6), xlabel="noisy pixel $y$", ylabel="guess")
right.set_title("What we should answer")
right.legend()
plt.show()

# %% [markdown]
# The best guess is an S: near black on the left, near white on the right, and a smooth step
# between. No straight line can do that. The S comes from the knowledge that pixels are
# black or white, and mostly black. Two facts are already here, and both carry over to
# images:
#
# 1. the best answer in squared error is the **posterior mean** $\mathbb E[x \mid y]$;
# 2. a linear method cannot give it when the data are not Gaussian.
#
# ## The maths: what the squared error asks for
#
# For one fixed $y$, let the answer be $r$. Then
#
# $$\mathbb E\big[\lVert r - x\rVert^2 \mid y\big] = \big\lVert r - \mathbb E[x \mid y]\big\rVert^2 + \mathbb E\big[\lVert x - \mathbb E[x \mid y]\rVert^2 \mid y\big].$$
#
# The second term does not depend on $r$. So the minimum is at $r(y) = \mathbb E[x \mid y]$.
# A network trained on pairs (noisy, clean) with the squared error is drawn towards it, as
# far as its size and training allow. It never sees the posterior, only examples. This is
# the **denoising autoencoder**:
#
# $$\min_r\; \mathbb E_{x}\,\mathbb E_{y \mid x}\,\lVert r(y) - x \rVert^2 .$$
#
# The input is noisy, the **target is the clean image**, and the noise is drawn anew every
# time an image is used.

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
# Gaussian noise moves every pixel; salt and pepper and masking destroy some pixels and
# leave the others exact. Masking is special: a black pixel may be original or
# destroyed, while a bright one is certain.
#
# ## Build it: the measure
#
# The **peak signal-to-noise ratio** of one image with pixels in $[0, 1]$ is
#
# $$\mathrm{PSNR}(x, \hat x) = -10 \log_{10} \Big( \frac1D \sum_{i=1}^{D} (x_i - \hat x_i)^2 \Big) \text{ decibels (dB)}.$$
#
# Here $\hat x$ is the restored image and $D$ the number of pixels. Higher is better. The
# peak value is 1 because white is 1; with bytes it would be 255. When we speak of the PSNR
# of many images, we mean the mean of their PSNRs.
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
def with_error(values, places=2):
    """Mean and standard error of the mean, as text."""
    error = values.std() / len(values) ** 0.5
    return f"{values.mean():.{places}f} ± {error:.{places}f}"


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
# The mean of a clipped normal number with standard deviation $\sigma$ has a closed form:
# the integral of the values between 0 and 1, and the probability of a value above 1, which
# becomes 1.

# %%
between = SIGMA / math.sqrt(2 * math.pi) * (1 - math.exp(-1 / (2 * SIGMA**2)))
above_one = 0.5 * math.erfc(1 / (SIGMA * math.sqrt(2)))
theory = between + above_one
print(f"theory, clipped black pixels: {theory:+.3f}")
on_black = clipped[black]
off = (on_black.mean().item() - theory) / (on_black.std().item() / len(on_black) ** 0.5)
print(f"the measured mean lies {abs(off):.1f} standard errors from it")

# %% [markdown]
# Where the PSNR rises, it does so although the clipped image holds less information
# than the raw one. And the noise is no longer what we said it was: on black it can only
# go up, so the background gets a positive mean, and the noise now depends on the pixel
# below it. A method built for Gaussian noise meets another noise. From here on **noisy
# inputs are never clipped, and restored images always are**, for every method alike.
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
# stays close to the noisy one; **wavelet** sets small coefficients to zero; **non-local
# means** averages pixels whose surroundings look alike.


# %% tags=["definition"]
def each(images, restore):
    """Apply restore to every (28, 28) picture of an array (N, 28, 28)."""
    return np.stack([restore(image) for image in images])


def total_variation(images, weight):
    tv = partial(restoration.denoise_tv_chambolle, weight=weight, channel_axis=None)
    return each(images, tv)


def wavelet(images, sigma):
    settings = {"wavelet": "db2", "method": "BayesShrink", "channel_axis": None}
    return each(images, partial(restoration.denoise_wavelet, sigma=sigma, **settings))


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
# To be fair we tune each filter for each kind of noise, on the noisy image and on the
# *centred* one, $(y-b)/a$, which undoes what the noise does on average: the mean of a noisy
# pixel is $a x + b$. We take the choice with the best mean PSNR on noisy *training* images.
# It is never tuned on the test images.

# %%
CANDIDATES = {
    median: [3, 5],
    blur: [0.5, 0.75, 1.0, 1.25, 1.5],
    total_variation: [0.1, 0.2, 0.3, 0.45, 0.7, 1.0, 1.5],
    wavelet: [0.2, 0.35, 0.5, 0.7, 1.0],
    non_local_means: [0.2, 0.4, 0.6, 1.0, 1.5],
}
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
    y = centred(y, kind) if centre else y
    found = method(y[:, 0].numpy().astype(np.float64), value)
    return torch.from_numpy(found).float()[:, None].clamp(0, 1)


# %% [markdown]
# Now every combination is tried. For Gaussian noise the centred image is the image itself,
# so there is one way less.

# %%
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

# %%
tuned = {
    (kind, method): max((o for o in options if o[:2] == (kind, method)), key=found.get)
    for kind in CORRUPT
    for method in CANDIDATES
}
print(f"{'':18}" + "".join(f"{m.__name__:>17}" for m in CANDIDATES))
for kind in CORRUPT:
    picks = [tuned[kind, method][2:] for method in CANDIDATES]
    cells = [f"{value}{' centred' if centre else ''}" for value, centre in picks]
    print(f"{kind:18}" + "".join(f"{cell:>17}" for cell in cells))

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
# | $m, C$ | mean and covariance of the training images | $(D)$, $(D, D)$ | `mean`, `covariance` |
# | $a, b$ | what the noise does on average: $\mathbb E[y \mid x] = a x + b$ | numbers | `slope`, `offset` |
# | $v$ | variance of $y$ around that mean, averaged over images | $(D)$ | `variance` |
# | $W$ | the matrix of the filter | $(D, D)$ | `weights` |
#
# All three kinds of noise act on each pixel separately, and $\mathbb E[y \mid x]$ is a
# straight line in $x$. Hence the covariance of $y$ is $a^2 C + \mathrm{diag}(v)$, the
# covariance between $x$ and $y$ is $a C$, and the filter is exact for all three:
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
    image = restore(noisy[kind]).clamp(0, 1)
    print(f"best linear filter, {kind:16} {with_error(psnr(test_x, image))} dB")
shrunk = linear["Gaussian"](clipped).clamp(0, 1)
print(f"the Gaussian one on clipped input: {with_error(psnr(test_x, shrunk))} dB")

# %% [markdown]
# The last line shows what the warning about clipping is worth: the same filter, the same
# images, and a noise that it was not made for.
#
# ## Build it: the denoising autoencoder
#
# The network is the autoencoder of lesson 01, wider. What changes is one line of the loss.
#
# ### Exercise 06.3 · The loss of a denoiser
#
# *core, easy, 7 minutes*
#
# `corrupt(x)` returns a noisy copy of a batch. Return `{"loss": ...}`: the squared error,
# **summed** over the pixels, **mean** over the batch.


# %% tags=["exercise"]
def denoiser_loss(model, x, corrupt):
    """model: (B, C, H, W) -> same shape; x (B, C, H, W) clean -> {"loss": scalar}."""
    ### BEGIN SOLUTION
    restored = model(corrupt(x))
    return {"loss": ((restored - x) ** 2).flatten(1).sum(1).mean()}
    ### END SOLUTION


# %% tags=["check"]
check.denoiser_loss(denoiser_loss)

# %% [markdown]
# <details><summary>Hint 1: two images</summary>
#
# There are two images of each digit, a noisy and a clean one. Which one does the model
# see, and which one does it have to produce?
# </details>
# <details><summary>Hint 2: how often to corrupt?</summary>
#
# Once in each call. The next call draws new noise by itself.
# </details>
# <details><summary>Hint 3: the reduction</summary>
#
# `((a - b) ** 2).flatten(1).sum(1).mean()`.
# </details>

# %% [markdown]
# Our version, and the training with `training.fit` of lesson 04. The loss draws the noise,
# so every step has fresh noise. The picture of the data flow is short: clean $\to$ noise
# $\to$ network $\to$ compare with clean.


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
# of lesson 04's better recipe, batches of 128.


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
# test images of the table. Nothing is chosen by this curve. **Predict**: after how many
# steps does the network pass the best linear filter, if at all?


# %%
def build(seed):
    torch.manual_seed(seed)
    return course_vae.Autoencoder(128, hidden=512)  # 784 - 512 - 128 - 512 - 784


def validate(model, x, y):
    """Mean PSNR of the restored y against the clean x."""
    return {"test": psnr(x, restore_with(model, y)).mean().item()}


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

# %%
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
# The curve starts below the linear filter: at the first report the training has only
# begun. The line under the figure says when it first lies above. It flattens at the end,
# where the schedule takes the learning rate to 0. No network reaches perfect images, since
# behind one noisy image there are many clean ones, but this curve does not show where that
# limit is.
#
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
# $y$. At its best it stays larger than for a VAE that sees $x$, because one
# $q_\phi(z \mid y)$ has to serve all $x$ that may lie behind $y$.


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
# One table for all. Every method gets the same noisy images, every result is clipped to
# $[0, 1]$, and every number comes with its standard error over the images. The advantages
# are not equal, and it is fair to say so: the linear filter is told mean and variance of
# the noise, the classical filters are told what it does on average and are tuned on clean
# training images, and the networks are trained for it. The denoising VAE answers with its
# mean code. Networks for Gaussian noise had `STEPS` steps, the others `SHORT`: do not
# compare columns.

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
    restored[kind] = found

# %% [markdown]
# Now the two measures, image by image.

# %%
MEASURES = {"PSNR, dB": psnr, "SSIM": ssim}
METHODS = list(restored["Gaussian"])
scores = {
    (unit, kind, method): measure(test_x, restored[kind][method])
    for unit, measure in MEASURES.items()
    for kind in CORRUPT
    for method in METHODS
}

# %%
for unit in MEASURES:
    places = 2 if unit == "PSNR, dB" else 3
    print(f"{unit:24}" + "".join(f"{kind:>18}" for kind in CORRUPT))
    for method in METHODS:
        cells = [with_error(scores[unit, kind, method], places) for kind in CORRUPT]
        print(f"{method:24}" + "".join(f"{cell:>18}" for cell in cells))

# %% [markdown]
# Who wins must not depend on who writes the sentence. The next function compares two
# methods **image by image**. Digit and noise are the same for both, so what makes an image
# hard for both drops out of the difference. We speak of a win when the mean difference is
# more than three of its standard errors away from 0; otherwise we cannot tell. These errors
# are for other test images and other noise. They do **not** cover another training: with
# another seed a close sentence may change.


# %% tags=["definition"]
def verdict(name, other, mine, theirs, unit):
    """A sentence about the mean difference of two methods on the same images."""
    gap = mine - theirs
    mean, error = gap.mean().item(), (gap.std() / len(gap) ** 0.5).item()
    word = "not clearly different from"
    if abs(mean) > 3 * error:
        word = "above" if mean > 0 else "below"
    return f"{name} is {word} {other}: {mean:+.3f} ± {error:.3f} ({unit})"


# %%
for unit, kind in [(u, k) for u in MEASURES for k in CORRUPT]:
    own = {m: scores[unit, kind, m] for m in METHODS}
    first, second = sorted(METHODS, key=lambda m: -own[m].mean())[:2]
    print(f"{kind}: " + verdict(first, second, own[first], own[second], unit))

# %%
for kind in CORRUPT:
    own = {m: scores["PSNR, dB", kind, m] for m in METHODS}
    strongest = max(FILTERS, key=lambda m: own[m].mean())
    for name in METHODS[-2:]:  # the two networks
        for rival in ("best linear filter", strongest):
            print(f"{kind}: " + verdict(name, rival, own[name], own[rival], "PSNR, dB"))
    worse = [m for m in METHODS if own[m].mean() < own["do nothing"].mean()]
    print(f"{kind}: worse than doing nothing in PSNR: {', '.join(worse) or 'none'}")

# %% [markdown]
# The first block names the two best of each column. The second holds the networks against
# the linear filter and against the best of the classical filters.

# %%
psnr_at = {m: scores["PSNR, dB", "Gaussian", m].mean().item() for m in METHODS}
expected(
    "06", digits, {f"{m}, sigma {SIGMA}: PSNR in dB": psnr_at[m] for m in METHODS[-3:]}
)

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
# **Read the table, then the sentences.** The classical filters know neither digits nor,
# beyond its mean effect, the noise. Wavelet, total variation and non-local means are made
# for Gaussian noise. BM3D, often the strongest classical method, is not in scikit-image.
# Where a filter does more harm than good, the sentences name it. The denoising VAE differs
# from the autoencoder in four things at once: size of the code, width, likelihood
# (Bernoulli; the autoencoder has the squared error) and the KL term. The table cannot say
# which of them costs what. Mind the SSIM: its winner need not be the winner in PSNR.

# %%
shown = ["total variation", "non local means", *METHODS[-3:]]
rows = [test_x[:8], noisy["Gaussian"][:8]]
rows = rows + [restored["Gaussian"][name][:8] for name in shown]
plots.show_images(torch.cat(rows), 8, row_labels=["clean", "noisy", *shown])

# %% [markdown]
# Total variation and non-local means give smooth patches: they know that neighbours
# resemble each other. The linear filter leaves ghosts of average strokes. The networks
# draw strokes, because they know what strokes are. Where they fail, they draw a *wrong*
# stroke: a restored image can look plausible where it is not true.

# %%
rows = []
for kind in ("salt and pepper", "masking"):
    rows = rows + [noisy[kind][:8], restored[kind]["denoising autoencoder"][:8]]
labels = ["salt and pepper", "restored", "masking", "restored"]
plots.show_images(torch.cat([test_x[:8], *rows]), 8, row_labels=["clean", *labels])

# %% [markdown]
# The same network and the same loss undo three quite different kinds of damage; only the
# corruption in the training differs.
#
# ### A mean of decibels
#
# Our tables average the PSNR over images. One could also average the squared error first
# and then take the logarithm. **Predict** whether it matters for the autoencoder.

# %%
answers = restored["Gaussian"]["denoising autoencoder"]
errors_of_images = ((test_x - answers) ** 2).flatten(1).mean(1)
mean_of_psnr = (-10 * errors_of_images.log10()).mean().item()
psnr_of_mean = -10 * math.log10(errors_of_images.mean().item())
print(f"mean of the PSNRs: {mean_of_psnr:.2f} dB")
print(f"PSNR of the mean error: {psnr_of_mean:.2f} dB")
assert mean_of_psnr >= psnr_of_mean - 1e-4, "Jensen's inequality fails"

# %% [markdown]
# The first is never smaller than the second: $-\log$ is convex, and Jensen's inequality
# does the rest. The two numbers drift apart as the images become more unequal in error.
# Say which one is reported. Here it is always the mean of the PSNRs.
#
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
mean_code = scores["PSNR, dB", "Gaussian", "denoising VAE"]
print(f"one draw:           {with_error(one)} dB")
print(f"mean of {DRAWS} draws:   {with_error(many)} dB")
print(f"decoded mean code:  {with_error(mean_code)} dB")
print(verdict("The mean of draws", "one draw", many, one, "PSNR, dB"))
print(verdict("The mean of draws", "the mean code", many, mean_code, "PSNR, dB"))

# %% [markdown]
# For comparison: given $y$, a draw from $p(x \mid y)$ and the true image are two
# independent draws from the same distribution. The squared distance between them is, on
# average, twice that between the true image and the posterior mean. A mean of $n$ draws
# has $1 + 1/n$ of the latter.

# %%
error_of_draws = ((draws - test_x) ** 2).mean().item()
error_of_mean = ((mean_of_draws - test_x) ** 2).mean().item()
lost = 10 * math.log10(error_of_draws / error_of_mean)
true_loss = 10 * math.log10(2 / (1 + 1 / DRAWS))
print(f"squared error of a draw against the mean of {DRAWS}: {lost:.2f} dB more")
print(f"the same for draws from p(x | y):             {true_loss:.2f} dB more")
varied = "less than draws from p(x | y)" if lost < true_loss else "enough"
print(f"by this measure our draws vary {varied}")

# %% [markdown]
# For the figure we take the images whose draws differ most from each other.

# %%
spread_of_draws = draws.var(0, correction=0).flatten(1).sum(1)
torn = spread_of_draws.argsort(descending=True)[:5]  # most uncertain
columns = [test_x[torn], noisy["Gaussian"][torn], *draws[:5, torn], mean_of_draws[torn]]
shown = len(columns) - 3  # draws
plots.show_images(
    torch.stack(columns, 1).flatten(0, 1),
    len(columns),
    column_labels=["clean", "noisy", *["draw"] * shown, "mean"],
    width=6,
)

# %% [markdown]
# Each draw is one suggestion, and the suggestions differ, mostly in the shape of strokes.
# Their mean is grey where they disagree and has the better PSNR: the squared error is
# convex, so the error of the mean is at most the mean error of the draws. PSNR rewards the
# posterior **mean**. The metric and the eye ask for different things.
#
# But these are **not** draws from $p(x \mid y)$. Such a draw has twice the squared error of
# the posterior mean, 3 dB less. Ours cannot be held against this rule as they are: each is the
# decoder's *mean* for a drawn code, without the noise of the pixels. And the code is not
# drawn from $p(z \mid y)$: the loss asks one $q_\phi(z \mid y)$ to fit *all* clean images
# behind $y$ at once. The best answer is proportional to
# $\exp \mathbb E[\log p(z \mid x)]$, a geometric mean of their posteriors and not their
# mixture.
#
# ## When the noise level is not the one of the training
#
# Our autoencoder was trained at one level. We train two more with the same number of steps:
# one at weak noise, and one on many levels, where $\sigma$ is drawn between 0 and 1 for each
# image of each batch. **Predict**: where is each of the three the best? And is a denoiser
# ever worse than doing nothing?


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

# %%
ax = plt.figure(figsize=(6.5, 4)).add_subplot()
curves = {name: [row[name].mean() for row in by_level] for name in by_level[0]}
plots.show_curves(LEVELS, curves, title="Test noise of another level", ax=ax)
ax.set(xlabel="standard deviation of the test noise", ylabel="mean PSNR, dB")
ax.legend(loc="upper right")
plt.show()

# %% [markdown]
# All curves fall with the noise. The sentences say which network is the best at each level,
# at which levels a network is below doing nothing or below the linear filter, and where all
# three are below the linear filter.

# %%
for level, row in zip(LEVELS, by_level, strict=True):
    first, second = sorted(trained, key=lambda name: -row[name].mean())[:2]
    print(f"{level:3}: " + verdict(first, second, row[first], row[second], "dB"))
for name in trained:
    for rival in ("do nothing, clip", "linear filter, told the level"):
        pairs = zip(LEVELS, by_level, strict=True)
        lost = [level for level, row in pairs if row[name].mean() < row[rival].mean()]
        print(f"{name} is below {rival} at: {lost or 'no level'}")

# %%
rival = "linear filter, told the level"
all_below = [
    level
    for level, row in zip(LEVELS, by_level, strict=True)
    if all(row[name].mean() < row[rival].mean() for name in trained)
]
print(f"all three networks are below the linear filter at: {all_below or 'no level'}")
nearest = min(range(len(LEVELS)), key=lambda i: abs(LEVELS[i] - WEAK))
weak, low, high = by_level[nearest], by_level[0], by_level[-1]
own = weak[at_weak], weak[rival]
print(f"at {LEVELS[nearest]}: " + verdict(at_weak, "the linear filter", *own, "dB"))

# %%
for level, row in ((LEVELS[0], low), (LEVELS[-1], high)):
    own = row[at_weak], row[at_sigma]
    print(f"at {level}: " + verdict(at_weak, at_sigma, *own, "dB"))

# %% [markdown]
# The last two lines say whether each specialist loses to the other where it was not
# trained. Where all three are below the linear filter, even the one trained at that
# level, they are *not* the posterior mean, which no method can beat in mean squared
# error: not all detail is kept, and that counts when little noise is left. How much of this
# is the narrow code and how much the short training, this figure cannot tell (multiply
# `STEPS` by four before you blame the model). The network for all levels is never told $\sigma$, shares its
# weights among the levels, and its squared error counts the noisiest images most.
# Measure a denoiser at the levels where it will be used, beside doing nothing and a
# linear filter.
#
# ## What has it learned? The slope of a density
#
# Now the main idea of this lesson. The density of noisy images is the density of clean
# images, smeared by the noise: $p_\sigma(y) = \int p(x)\, \mathcal N(y; x, \sigma^2 I)\, dx$.
# Differentiate under the integral. The derivative of the Gaussian by $y$ is the Gaussian
# times $(x - y) / \sigma^2$, hence
#
# $$\nabla_y \log p_\sigma(y) = \frac{1}{p_\sigma(y)} \int \frac{x - y}{\sigma^2}\, p(x)\, \mathcal N(y; x, \sigma^2 I)\, dx = \frac{\mathbb E[x \mid y] - y}{\sigma^2}.$$
#
# The left side is called the **score** of $p_\sigma$: it points to where noisy images are
# more probable. With $r(y) = \mathbb E[x \mid y]$:
#
# $$r(y) - y = \sigma^2\, \nabla_y \log p_\sigma(y).$$
#
# This is Tweedie's formula. **A denoiser that has reached the minimum of the squared error
# on Gaussian noise knows the score of the noisy data**, without ever computing a density; a
# real one knows it as well as it approximates $\mathbb E[x \mid y]$. The formula holds for
# the one pixel from the beginning:

# %%
(slope_of_log,) = torch.autograd.grad(density.log().sum(), grid, retain_graph=True)
inner = (grid > -1.5) & (grid < 2.5)  # where there is probability
gap = ((best - grid) - SIGMA**2 * slope_of_log)[inner].abs().max().item()
print(f"largest difference of the two sides: {gap:.1e}")
assert gap < 1e-6, "Tweedie's formula fails"

# %% [markdown]
# ### Exercise 06.4 · From a denoiser to a score
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
# as one long vector, and the length of their difference in units of the exact field.


# %% tags=["definition"]
def agreement(found, exact):
    """Cosine of two fields (B, 2), and error relative to the exact one."""
    cosine = (found * exact).sum() / (found.norm() * exact.norm())
    return cosine.item(), ((found - exact).norm() / exact.norm()).item()


# %%
line_of, fine = torch.linspace(0, 1, 13), torch.linspace(0, 1, 100)
lattice = torch.cartesian_prod(line_of, line_of)  # (169, 2)
fields = {
    "exact": exact_score(lattice, CENTRES, SHARES, WIDTH),
    "learned: (r(y) - y) / sigma²": learned_score(plane_denoiser, lattice, BLUR),
}
density_of = log_density(torch.cartesian_prod(fine, fine), CENTRES, SHARES, WIDTH).exp()

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 4), sharey=True)
for ax, (name, field) in zip(axes, fields.items(), strict=True):
    ax.contour(fine, fine, density_of.view(100, 100).T, levels=6, cmap="viridis")
    ax.quiver(*lattice.T, *field.T, angles="xy", scale=350, width=0.004)
    ax.set(title=name, xlabel="first coordinate", aspect="equal")
axes[0].set_ylabel("second coordinate")
plt.show()

# %% [markdown]
# The two fields look alike: all arrows lead uphill, to the three clouds, and are short on
# the tops and on the ridges between them. Now in numbers. We average over points drawn from
# $p_\sigma$, so regions count by their density; then we ask far outside.

# %%
exact = exact_score(noisy_points, CENTRES, SHARES, WIDTH)
near = agreement(learned_score(plane_denoiser, noisy_points, BLUR), exact)
angle = torch.linspace(0, 2 * math.pi, 200)
ring = 0.5 + 1.5 * torch.stack([angle.cos(), angle.sin()], 1)  # no data out there
far = agreement(
    learned_score(plane_denoiser, ring, BLUR), exact_score(ring, CENTRES, SHARES, WIDTH)
)
print(f"where the data are: cosine {near[0]:.3f}, relative error {near[1]:.2f}")
print(f"far outside:        cosine {far[0]:.3f}, relative error {far[1]:.2f}")
close = near[0] > 0.95 and near[1] < 0.3
print("where the data are, the fields", "agree" if close else "do not agree well")
expected("06", digits, {"plane: cosine of learned and exact score": near[0]})

# %% [markdown]
# Where the data are, $(r(y)-y)/\sigma^2$ should agree with the score up to a small error. Far
# outside the network never saw a point, and nothing made it right there; the second
# line shows what that costs. (Out there almost any arrow that points back to the data has a
# cosine near 1, so look at the error.) This is the bridge to diffusion models. They train one
# denoiser for all noise levels, as we did above, and then walk along its arrows from
# pure noise, with less and less noise, to a new image. Many levels are needed because
# strong noise covers the empty places, and weak noise gives the details.
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


# %%
def show_restoration(figure, kind, level, image):
    x = test_x[image : image + 1]
    y = NOISES[kind](x, level, torch.Generator().manual_seed(SEED + 4))
    answer = restore_with(networks[kind], y)
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

# %%
shown_levels = [0.1, 0.3, 0.5, 0.7, 0.9]
rows, titles, fresh = [], [], torch.Generator().manual_seed(SEED + 4)
for kind, corrupt in NOISES.items():
    y = torch.cat([corrupt(test_x[3:4], level, fresh) for level in shown_levels])
    rows, titles = (
        rows + [y, restore_with(networks[kind], y)],
        titles + [kind, "restored"],
    )
plots.show_images(
    torch.cat(rows),
    5,
    row_labels=titles,
    column_labels=[f"{level}" for level in shown_levels],
    title="Level of the noise",
)

# %% [markdown]
# Each pair of rows is noisy and restored. The network for Gaussian noise has seen all these
# levels. The other two were trained at one level, and beyond it, at the right, they draw
# faint or wrong digits. Part of that is not their fault: at 0.9 hardly anything of the
# digit is left.
#
# ## Break it
#
# ### The target is the noisy image
#
# This is an easy mistake: input and target are both the noisy batch. We take a network
# **without** a narrow layer, its hidden layer is wider than the image, and train it three
# times, with three targets: the clean image, the *same* noisy image, and *another* noisy
# copy of the same digit. Then the second target once more for our network **with** the
# narrow layer. **Predict** the four PSNRs. One of them is a surprise.


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
# All four see the same images in the same order.

# %%
BRIEF = 400  # optimiser steps of each broken network
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
ranking = sorted(at, key=lambda name: -at[name].mean())
print(f"best: {ranking[0]}; worst: {ranking[-1]}")

# %%
rows = torch.cat([images[:6] for images in broken.values()])
plots.show_images(
    torch.cat([clipped[:6], rows]), 6, row_labels=["noisy, clipped", *broken]
)

# %% [markdown]
# With the same noisy image as target, copying is the perfect answer, and the wide
# network comes close: it keeps most of the noise. The narrow network cannot copy
# everything. It keeps what is common to many images, so it denoises **by accident**,
# and the mistake can go unnoticed. It shows as soon as there is a number for the right
# way beside it.
#
# The surprise is the other noisy copy. Its noise is independent of the input and has mean
# zero, so $\mathbb E[\text{target} \mid y] = \mathbb E[x \mid y]$: the best answer is the
# same as with clean targets, only the gradients are noisier. This is Noise2Noise, a way to
# train without clean images when each scene was photographed twice. What must not happen
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
# With stored noise the network recognises each noisy image like a barcode and recalls the
# clean one. On the stored images it looks brilliant; on the **same digits with new noise**
# the brilliance is gone, and on test images it loses to its twin. Fresh noise makes a new
# training example out of every use of an image, at almost no cost. Fresh noise does not
# make new digits: the twin, too, is better on the digits it knows.

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
# and at least one tuned filter on the same noisy images.
# </details>

# %% [markdown]
# ## Check yourself
#
# 1. A paper reports a PSNR of 66 dB for Gaussian noise with $\sigma = 0.5$ and pixels in
#    $[0, 1]$. What went wrong, most likely?
# 2. A denoiser returns its input unchanged at some point $y$. What does that say about the
#    density of noisy images there?
# 3. Your network beats the median filter by a wide margin. Is that a result?
#
# <details><summary>Answers</summary>
#
# 1. The peak value 255 was used for pixels in $[0, 1]$: that adds $20 \log_{10} 255$, about
#    48 dB, and what remains is an ordinary value.
# 2. The score is 0: $y$ is at a maximum of $p_\sigma$, or at a saddle or a minimum between
#    several.
# 3. Not yet. The median filter has never seen a digit. The bar is the best linear filter,
#    which knows the covariance of the training images.
# </details>

# %% [markdown]
# ## Exercise 06.5 · Inpainting (open)
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
# Theory* (Prentice Hall, 1993), chapter 12, on linear filters. The classical filters are
# those of scikit-image.
