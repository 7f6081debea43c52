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
# # 04 · A VAE in PyTorch: how do I build, train and measure one?
#
# We write a complete variational autoencoder, train it on handwritten digits, draw new
# digits from it, and measure how good they are.
#
# **You will be able to**
#
# - write the encoder, the sample, the decoder and the loss of a VAE;
# - read its two loss terms in nats per image, and name the fault of a run that is not healthy;
# - choose the right code for the job: mean, sample, or draw from the prior;
# - measure drawn images, with the sampling error, and say which density was drawn from.
#
# **Before you start**, three questions of a minute each. (Symbols: the
# [notation table](00_start_here.ipynb#Notation).)
#
# 1. An encoder gives one latent $\mu = 0$ and $\sigma = 2$. How many nats is its KL to the prior?
#    ([Step by step: the KL](03_elbo.ipynb#Step-by-step:-the-KL-between-Gaussians))
# 2. For some image $\log p_\theta(x)$ is $-96$ and the ELBO is $-100$. Which KL is 4 nats, and is
#    it the one that stands in the loss?
#    ([Second derivation](03_elbo.ipynb#Second-derivation:-the-KL-to-the-true-posterior))
# 3. The decoder gives a pixel the probability 0.9 of being white. What does it pay, in nats, if
#    the pixel is white, and what if it is black?
#    ([Bernoulli](03_elbo.ipynb#Bernoulli:-each-pixel-is-black-or-white))
#
# <details><summary>Answers</summary>
#
# 1. $\tfrac12(\mu^2 + \sigma^2 - 1 - \log\sigma^2) = \tfrac12(0 + 4 - 1 - 1.386) = 0.807$.
# 2. The KL from $q_\phi(z \mid x)$ to the true posterior. The loss has the KL to the prior.
# 3. White: $-\log 0.9 = 0.105$. Black: $-\log 0.1 = 2.303$.
# </details>

# %% [markdown]
# ## Set-up

# %%
import math
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from sklearn.mixture import GaussianMixture
from torch import nn

from vae_helpers import (
    bounds,
    claims,
    data,
    distributions,
    generated,
    latents,
    plots,
    predict,
    runtime,
    training,
    widgets,
)
from vae_helpers import vae as course_vae
from vae_helpers.checks import lesson04 as check
from vae_helpers.expected import expected

plots.style()

# %%
SEED = 0
LONGER = 1  # 4 trains everything four times as long
LATENT = 20  # Z, latent dimensions
HIDDEN = 400  # width of the hidden layers
BATCH = 128  # images in a batch
LEARNING_RATE = 1e-3  # of the seed recipe
PEAK_RATE = 3e-3  # of the better recipe
CLASSIFIER_STEPS = 500  # optimiser steps of the classifier that judges images
BROKEN_STEPS = LONGER * 400  # of the model that is broken on purpose

device = runtime.start(SEED)
digits = data.load_images("MNIST")

# %% [markdown]
# The number of optimiser steps depends on the data in use: five passes over all 60,000
# digits, or more passes over the small sample.

# %%
EPOCH = len(digits.train_images) // BATCH  # steps in one pass over the data
if EPOCH < 1:
    most = len(digits.train_images)
    raise ValueError(f"BATCH must be at most {most}, all images, got {BATCH}")
STEPS = LONGER * (5 * EPOCH if digits.is_full else 1500)
if STEPS < 1:
    raise ValueError(f"STEPS must be 1 at least, got {STEPS}")
SHORT = max(1, STEPS // 3)  # for the model with two latents
# Steps after which we look at test images, for a logarithmic axis.
marks = (1, 3, 10, 30, 100, 200, 500, 1000, 2000, 5000, 10_000)
LOOKS = sorted({*(n for n in marks if n < STEPS), STEPS})
test_x = data.to_unit_interval(digits.test_images).to(device)
print(f"{STEPS:,} steps of {BATCH} images, {STEPS / EPOCH:.0f} passes over the data")

# %% [markdown]
# ## The problem: a code that nobody can draw from
#
# An autoencoder reconstructs digits. Can it also *make* some? We train one, draw codes at
# random from a standard normal, and decode them. It has the layers, the pixel loss, the
# learning rate and the number of steps that the VAE of this lesson will get: all of them
# are built below, and the two models meet again at the end. **Predict**: what will the
# pictures show?


# %%
def autoencoder_loss(model, x):
    return {"loss": -distributions.bernoulli_log_likelihood(x, model(x)).mean()}


torch.manual_seed(SEED)
autoencoder = course_vae.Autoencoder(LATENT, HIDDEN).to(device)
recipe = {
    "lr": PEAK_RATE,
    "batch_size": BATCH,
    "schedule": training.warmup_cosine,
    "seed": SEED,
}
ae_history = training.fit(
    autoencoder,
    digits.train_images,
    autoencoder_loss,
    steps=STEPS,
    label="the autoencoder",
    **recipe,
)

# %%
with torch.no_grad():
    spread = autoencoder.encode(test_x).std(0)
    random_codes = torch.randn(20, LATENT, device=device)
    smudges = autoencoder.decode(random_codes).sigmoid()
print(f"standard deviation of the codes: {spread.min():.2f} to {spread.max():.2f}")
plots.show_images(smudges, 10, title="Autoencoder: decoded random codes")

# %% [markdown]
# Smudges. The codes of real digits fill a region whose place, shape and size nobody fixed,
# and the codes that we drew do not match it. One can fit a distribution to the codes
# afterwards; at the end of the lesson we do, and the result is worth the wait. A VAE says
# *beforehand* which distribution the codes shall follow, and charges every code that
# leaves it.
#
# ## Three changes make it a VAE
#
# 1. The encoder gives a **distribution** for the code instead of a point: a mean $\mu$
#    and a log-variance $\log\sigma^2$ for each latent dimension.
# 2. The decoder gets a **sample** from it, $z = \mu + \sigma\,\varepsilon$ with
#    $\varepsilon \sim \mathcal N(0, I)$. Written like this, gradients pass through $\mu$
#    and $\sigma$, while the randomness comes in from outside.
# 3. The loss gets a **price** for every code that differs from the prior $\mathcal N(0, I)$.

# %%
from vae_helpers import drawings

drawings.show("vae")

# %% [markdown]
# The loss of one image is minus the evidence lower bound (ELBO), a bound on the
# log-probability that the model gives to the image:
#
# $$-\mathrm{ELBO}(x) = \underbrace{-\mathbb E_{q_\phi(z \mid x)}\big[\log p_\theta(x \mid z)\big]}_{\text{reconstruction}} + \underbrace{\mathrm{KL}\big(q_\phi(z \mid x) \,\Vert\, p(z)\big)}_{\text{price of the code}} \;\ge\; -\log p_\theta(x)$$
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $q_\phi(z \mid x)$ | as in lesson 00: what the encoder says about the code of $x$ | $(B, Z)$ twice | `mu`, `logvar` |
# | $p_\theta(x \mid z)$ | as in lesson 00: what the decoder says about the pixels | $(B, 1, 28, 28)$ | `logits` |
# | $p(z)$ | the prior, as in lesson 00, fixed before training | | $\mathcal N(0, I)$ |
#
# Kingma and Welling's paper maximises the ELBO; code minimises its negative. That is all
# there is to the minus sign.

# %% [markdown]
# ### Smallest case: four pixels by hand
#
# Take an image of four pixels, a code of one dimension with $\mu = 1$ and
# $\log\sigma^2 = 0$, and a decoder that gives each pixel a probability of being white.

# %% tags=["nbval-check-output"]
pixels = torch.tensor([1.0, 0.0, 1.0, 0.0])
white = torch.tensor([0.9, 0.1, 0.5, 0.2])  # what the decoder says
surprise = -torch.where(pixels == 1, white, 1 - white).log()
print("nats of each pixel:", [round(v, 3) for v in surprise.tolist()])
print(f"reconstruction: {surprise.sum():.3f} nats, the sum over pixels")
print(f"KL of N(1, 1) to N(0, 1): {0.5 * (1**2 + math.exp(0) - 1 - 0):.3f} nats")

# %% [markdown]
# The decoder pays $-\log$ of the probability that it gave to what was there. The third
# pixel, about which it knew nothing, costs $\log 2$. The code pays for lying one unit
# away from the centre of the prior.

# %% [markdown]
# ## Build it: encoder and decoder
#
# The encoder has one hidden layer and **two** output layers, one for $\mu$ and one for
# $\log\sigma^2$. Neither has an activation behind it: a mean and a logarithm may be any
# real number. The decoder mirrors it and returns **logits**, one number for each pixel
# before the sigmoid. Logits keep the loss finite when a probability comes close to 0.
#
# ### Exercise 04.1 · Encode, sample and decode
#
# *core, easy, 10 minutes*
#
# Our class stands below; try it yourself first. `body`, `to_mu`, `to_logvar` and
# `decoder` are layers that you call. `body` takes flat images of shape $(B, D)$, and both
# `to_mu` and `to_logvar` take what `body` returns. The check uses images of many sizes.
#
# `forward` is one pass through the whole model. Its arguments `encode` and `decode` are
# functions: `encode(x)` gives `mu` and `logvar`, and `decode(z)` gives logits. Decode a
# sample, with fresh noise in every call, one number for each image and each dimension.
# `mu` and `logvar` come back as well: the KL needs them.


# %% tags=["exercise"]
def encode(x, body, to_mu, to_logvar):
    """x (B, C, H, W) -> mu (B, Z), logvar (B, Z)."""
    ### BEGIN SOLUTION
    h = body(x.flatten(1))  # (B, hidden)
    return to_mu(h), to_logvar(h)
    ### END SOLUTION


def to_logits(z, decoder, image_shape):
    """z (B, Z) -> logits (B, C, H, W), with image_shape = (C, H, W)."""
    ### BEGIN SOLUTION
    return decoder(z).unflatten(1, image_shape)
    ### END SOLUTION


def forward(x, encode, decode):
    """x (B, C, H, W) -> logits (B, C, H, W), mu (B, Z), logvar (B, Z)."""
    ### BEGIN SOLUTION
    mu, logvar = encode(x)
    z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
    return decode(z), mu, logvar
    ### END SOLUTION


# %% tags=["check"]
check.encode_decode(encode, to_logits, forward)

# %% [markdown]
# <details><summary>Hint 1: shapes</summary>
#
# Write the shape behind every line: (B, C, H, W), then (B, D), then (B, hidden), then
# (B, Z) twice.
# </details>
# <details><summary>Hint 2: which methods?</summary>
#
# `x.flatten(1)` keeps the first axis and flattens the rest. `t.unflatten(1, shape)` does
# the reverse. `torch.randn_like(mu)` draws noise, and lesson 02 has the rest of the sample.
# </details>
# <details><summary>Hint 3: what must not be there?</summary>
#
# No ReLU behind `to_mu` or `to_logvar`, and no sigmoid behind the decoder. In `forward`,
# nothing that is decoded may be the mean alone, and nothing may cut the gradient.
# </details>

# %% [markdown]
# Here is the whole model. It is the one that the helpers carry from now on.


# %% tags=["definition"]
class VAE(nn.Module):
    def __init__(self, latent_size=20, hidden=400, image_shape=(1, 28, 28)):
        super().__init__()
        self.latent_size, self.image_shape = latent_size, tuple(image_shape)
        pixels = math.prod(image_shape)  # D
        self.body = nn.Sequential(nn.Linear(pixels, hidden), nn.ReLU())
        self.to_mu = nn.Linear(hidden, latent_size)
        self.to_logvar = nn.Linear(hidden, latent_size)
        self.decoder = nn.Sequential(
            nn.Linear(latent_size, hidden), nn.ReLU(), nn.Linear(hidden, pixels)
        )

    def encode(self, x):
        h = self.body(x.flatten(1))  # (B, hidden)
        return self.to_mu(h), self.to_logvar(h)  # (B, Z), (B, Z)

    def decode(self, z):
        return self.decoder(z).unflatten(1, self.image_shape)  # (B, C, H, W) logits

    def forward(self, x):
        mu, logvar = self.encode(x)
        eps = torch.randn_like(mu)  # fresh noise for each image and dimension
        z = mu + torch.exp(0.5 * logvar) * eps
        return self.decode(z), mu, logvar


# %% [markdown]
# The half in `exp(0.5 * logvar)` makes $\sigma$ of $\log\sigma^2$
# ([Questions of lesson 02](02_reparameterization.ipynb#Questions-that-come-up)).
# We check two properties before we go on: the shapes, and that the same image gets another
# sample every time.

# %%
torch.manual_seed(SEED)
model = VAE(LATENT, HIDDEN).to(device)
first, mu, logvar = model(test_x[:5])
second, _, _ = model(test_x[:5])
assert first.shape == test_x[:5].shape, f"logits of shape {tuple(first.shape)}"
assert mu.shape == logvar.shape == (5, LATENT), f"codes of shape {tuple(mu.shape)}"
word = "the same picture" if torch.equal(first, second) else "different pictures"
print(f"two passes give {word}")

# %% tags=["nbval-check-output"]
print("weights:", sum(p.numel() for p in model.parameters()))

# %% [markdown]
# ## Build it: the loss
#
# **Reconstruction.** The decoder gives pixel $i$ the probability $p_i$ of being white.
# With $x_i$ the true pixel, the log-likelihood is a sum over the $D$ pixels,
#
# $$\log p_\theta(x \mid z) = \sum_{i=1}^{D} x_i \log p_i + (1 - x_i) \log (1 - p_i).$$
#
# Here $p_i$ is the sigmoid of logit number $i$. Do not apply it yourself: the function in
# Hint 1 has it inside.
#
# **KL.** For two Gaussians it has a closed form, a sum over the $Z$ latent dimensions:
#
# $$\mathrm{KL} = \tfrac12 \sum_{j=1}^{Z} \big(\mu_j^2 + \sigma_j^2 - 1 - \log\sigma_j^2\big).$$
#
# The half belongs to the formula; it is not a weight. The KL is 0 only for $\mu = 0$ and
# $\sigma = 1$, and positive everywhere else.
#
# ### Exercise 04.2 · The two terms of the loss
#
# *core, medium, 10 minutes*
#
# Return the reconstruction term and the KL term of a batch. **Sum** over pixels and over
# latent dimensions, **mean** over the batch. Both are numbers to be minimised.


# %% tags=["exercise"]
def vae_terms(x, logits, mu, logvar):
    """x, logits (B, C, H, W); mu, logvar (B, Z) -> reconstruction, kl: two scalars."""
    ### BEGIN SOLUTION
    nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    reconstruction = nats.flatten(1).sum(1).mean()
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1).mean()
    return reconstruction, kl
    ### END SOLUTION


# %% tags=["check"]
check.vae_terms(vae_terms)

# %% [markdown]
# <details><summary>Hint 1: which function?</summary>
#
# `F.binary_cross_entropy_with_logits(logits, x, reduction="none")` gives $-\log p$ of
# every pixel, with the sigmoid inside.
# </details>
# <details><summary>Hint 2: which axes?</summary>
#
# After `.flatten(1)` the axes are (B, D). Sum over axis 1, then take the mean.
# </details>
# <details><summary>Hint 3: the KL</summary>
#
# $\sigma^2$ is `logvar.exp()` and $\log\sigma^2$ is `logvar`. The rest is the formula.
# </details>

# %% [markdown]
# Our version, in three short functions. They return one number for each image, shape
# $(B)$, in nats; the only mean is taken over the batch, in the loss.


# %% tags=["definition"]
def bernoulli_log_likelihood(x, logits):
    """(B, C, H, W), (B, C, H, W) -> (B,) nats, summed over pixels; higher is better."""
    nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return -nats.flatten(1).sum(1)


def kl_to_standard_normal(mu, logvar):
    """(B, Z), (B, Z) -> (B,) nats, summed over latent dimensions; never negative."""
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


def vae_loss(model, x, beta=1.0):
    """The negative ELBO of a batch and its two terms, in nats per image."""
    logits, mu, logvar = model(x)
    reconstruction = -bernoulli_log_likelihood(x, logits).mean()
    kl = kl_to_standard_normal(mu, logvar).mean()
    loss = reconstruction + beta * kl
    return {"loss": loss, "reconstruction": reconstruction, "kl": kl}


# %% [markdown]
# A new model must already give sensible numbers. It knows nothing, so every pixel should
# cost about $\log 2$, and its codes are close to the prior, so the KL should be small.

# %%
untrained = vae_loss(model, test_x[:1000])
print({name: round(term.item(), 1) for name, term in untrained.items()})
print(f"784 log 2 = {784 * math.log(2):.1f} nats")

# %% [markdown]
# ### What is the best possible number?
#
# Grey pixels keep the loss away from 0. If the decoder gave exactly $p_i = x_i$, every
# grey pixel would still cost its entropy. This floor depends on the images alone.


# %% tags=["definition"]
def bernoulli_entropy(x):
    """(B, C, H, W) -> (B,) nats: what is left of the loss when p equals x."""
    return -(torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)).flatten(1).sum(1)


# %%
pieces = test_x.split(1000)  # all at once would take much memory
floor = torch.cat([bernoulli_entropy(x) for x in pieces]).mean().item()
sums = [t.float().sum(0, keepdim=True) for t in digits.train_images.split(1000)]
average = sum(sums) / len(digits.train_images) / 255  # (1, 1, 28, 28)
# The same picture for every image:
constant = torch.logit(average.to(device), eps=1e-4)
each = [bernoulli_log_likelihood(x, constant.expand_as(x)) for x in pieces]
blind = -torch.cat(each).mean().item()
print(f"floor, every pixel right: {floor:.1f} nats per image")
print(f"the average digit for every image: {blind:.1f} nats per image")

# %% [markdown]
# A trained VAE lies between these two numbers.
#
# ## Build it: the training loop

# %%
from vae_helpers import drawings

drawings.show("training_loop")

# %% [markdown]
# Stations 5 to 8 are those of lesson 01, in the same order; the draw is new.
#
# To follow the training we measure the test images as well. `mean_terms` works through
# them in pieces and draws one code for each image, exactly as in training.


# %% tags=["definition"]
@torch.no_grad()
def mean_terms(model, images, piece=1000):
    """(N, 1, 28, 28) uint8 -> {"loss", "reconstruction", "kl"} in nats per image."""
    sums = {"loss": 0.0, "reconstruction": 0.0, "kl": 0.0}
    for chunk in images.split(piece):
        x = chunk.to(next(model.parameters()).device).float() / 255
        for name, term in vae_loss(model, x).items():
            sums[name] += term.item() * len(x)
    return {name: total / len(images) for name, total in sums.items()}


# %% [markdown]
# The loop in full. The images stay small whole numbers until their batch comes up. Each
# epoch shuffles them anew. `training.progress` counts and draws a bar.


# %% tags=["definition"]
def train(
    model, images, loss_fn, steps, lr, batch_size=128, seed=0, schedule=None, look=None
):
    """Train in place; -> list of (step, training terms, look(model)) at LOOKS."""
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    torch.manual_seed(seed)
    order_generator = torch.Generator().manual_seed(seed)
    batches_per_epoch, record = len(images) // batch_size, []
    for step in training.progress(steps):
        position = step % batches_per_epoch
        if position == 0:  # a new epoch
            order = torch.randperm(len(images), generator=order_generator)
        index = order[position * batch_size : (position + 1) * batch_size]
        x = images[index].to(device).float() / 255
        terms = loss_fn(model, x)
        if schedule:  # a factor on the rate
            optimizer.param_groups[0]["lr"] = lr * schedule(step / steps)
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        if look and step + 1 in LOOKS:
            now = {name: term.item() for name, term in terms.items()}
            record.append((step + 1, now, look(model)))
    return record


# %% [markdown]
# ## Train
#
# This is the **seed recipe**, our starting point (no random seed is meant): the model of
# PyTorch's own VAE example, Adam with a constant rate. On the way we look at 2,000 test
# images. **Predict**: which of the two terms falls, and which one rises?
#
# **Predict.** With $Z = 20$ latents, how many nats will the KL of a test image be at the end?
# (Pixels at a price of $\log 2$ cost 543 nats; naming one of 60,000 images costs
# $\log 60000 = 11$.)

# %%
predict.guess("KL at the end", None, unit="nats")  # your number in place of None

# %%
few = digits.test_images[:2000]
options = {
    "batch_size": BATCH,
    "seed": SEED,
    "look": lambda model: mean_terms(model, few),
}
before = mean_terms(model, few)  # step 0
record = train(model, digits.train_images, vae_loss, STEPS, lr=LEARNING_RATE, **options)
seed_terms = mean_terms(model, digits.test_images)
expected(
    "04",
    digits,
    {
        "seed recipe: test -ELBO, nats per image": seed_terms["loss"],
        "seed recipe: test reconstruction, nats per image": seed_terms[
            "reconstruction"
        ],
        "seed recipe: test KL, nats per image": seed_terms["kl"],
    },
)

# %%
predict.truth("KL at the end", seed_terms["kl"])

# %% [markdown]
# <details><summary>My numbers are not in the band</summary>
#
# | Symptom | Likely cause |
# |---|---|
# | KL near 0, every reconstruction the same | a mean over pixels where a sum belongs; see *Break it* |
# | loss far below the floor, or negative | pixels outside [0, 1] |
# | NaN | `logvar` without bound, learning rate too high, NaN in the data |
# | loss does not fall | no `backward`, no `step`, or gradients cut by `detach` |
# | training loss far below test loss | few images and many passes: overfitting |
# </details>

# %%
names = {"loss": "-ELBO", "reconstruction": "reconstruction", "kl": "KL"}
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3))
for ax, (name, label) in zip(axes, names.items(), strict=True):
    both = {
        "test images": [before[name], *(m[name] for _, _, m in record)],
        "training batch": [untrained[name].item(), *(t[name] for _, t, _ in record)],
    }
    plots.show_curves([0, *(step for step, _, _ in record)], both, title=label, ax=ax)
    ax.set_xscale("symlog", linthresh=1)
axes[1].axhline(floor, color="black", lw=0.8, label="floor: entropy of the pixels")
axes[1].legend()
plt.show()

# %% [markdown]
# The axis of steps is logarithmic, with step 0 at its left end. The reconstruction term
# falls, towards the floor but not to it. **The KL goes up, and that is right.** At step 0
# the codes say next to nothing about the image, so they cost next to nothing. In the first
# steps they move before the decoder can use them, hence the bump. Then the model
# buys better reconstructions with longer messages. The training curve is one batch and
# therefore rough. Where the curve of the test images stays above that of the training
# batches and no longer falls, the model has begun to learn its training images by heart.
#
# ### Healthy or not? Read the numbers
#
# A fault in the code may raise no error, and the loss may fall all the same. The numbers
# tell. To read them we need images whose best numbers are known by hand. Let an image have
# 8 by 8 pixels; one of the eight rows, chosen at random, is bright. There a pixel is white
# with probability 0.9, in the other rows with 0.1. Then
#
# - a decoder that knows nothing pays $\log 2$ for each pixel: $64 \cdot 0.693 = 44.4$ nats;
# - the average image is white with probability
#   $\tfrac18 \cdot 0.9 + \tfrac78 \cdot 0.1 = 0.2$ everywhere. It costs
#   $64 \cdot 0.500 = 32.0$;
# - whoever knows the row pays the entropy of the pixels: $64 \cdot 0.325 = 20.8$;
# - to name the row, one of eight, takes $\log 8 = 2.08$ nats of KL, or more.
#
# The last two make the entropy of these images, $20.8 + 2.1 = 22.9$ nats. No model has a mean
# $-$ELBO much below it. A log that prints less does not print a $-$ELBO.
#
# Two runs of 200 steps, with 4 latents. Each line is what the run *itself* computed at that
# step, in nats per image; *sigma* is the mean of $\sigma$ over images and latents. The second
# run has a fault: its logits go through a sigmoid before the loss that has one inside.

# %%
print(check.worked_log())

# %% [markdown]
# We read the second one. It begins above 44.4, so at the first step the decoder is worse than
# one that knows nothing: that is odd. Then the reconstruction stops at 44.4. Which decoder can
# go no lower? Two sigmoids end between 0.5 and 0.73, so a black pixel, and most are black,
# costs $\log 2$ at least. Nothing is gained by a code, so the KL goes to 0 and sigma to 1. In
# the healthy run the terms go towards 20.8 and 2.1; it is not there yet.
#
# Four more runs with the same images and settings, each with **one** fault:

# %%
print(check.four_logs())

# %% [markdown]
# ### Exercise 04.3 · Which fault made these four logs?
#
# *core, medium, 8 minutes*
#
# | Name | What is wrong in the code |
# |---|---|
# | `sign` | the loss is the reconstruction term minus the KL |
# | `encoder` | the optimiser holds the weights of the decoder alone |
# | `mean code` | the decoder gets mu in the place of a sample, in training too |
# | `latent mean` | the KL is a mean over the latents, not a sum |
# | `pixel mean` | the reconstruction term is a mean over pixels, not a sum |
# | `two sigmoids` | as above |
#
# Return which fault made which log. Two of the names are not needed.


# %% tags=["exercise"]
def which_fault():
    """-> {"A": name, "B": name, "C": name, "D": name}, names as in the table."""
    ### BEGIN SOLUTION
    return {"A": "encoder", "B": "mean code", "C": "sign", "D": "latent mean"}
    ### END SOLUTION


# %% tags=["check"]
check.which_fault(which_fault)

# %% [markdown]
# <details><summary>Hint 1: where to begin</summary>
#
# Read one column at a time, from top to bottom. What moves, what does not, what has no end?
# Then hold the last line against 44.4, 32.0, 20.8 and 2.1.
# </details>
# <details><summary>Hint 2: what sigma tells</summary>
#
# The KL alone pulls sigma to 1. The reconstruction pulls it down, if noise hurts the
# decoder. Who pulls in each log, and how hard?
# </details>
# <details><summary>Hint 3: a -ELBO that is too good</summary>
#
# Two logs end below 22.9. One does not pay for noise because there is none. The other pays
# a KL that is too cheap: how much would four latents cost in full?
# </details>

# %% [markdown]
# ## A better recipe: rate and schedule
#
# The loop has one more argument, a schedule: it multiplies the learning rate. The helper's
# `training.warmup_cosine` lets the rate rise during the first tenth and then fall to 0
# along a cosine. Two peak rates, with and without the schedule, are four recipes with the
# same number of steps. One of them has run. **Predict** the order at the end.

# %%
RECIPES = {  # peak rate, schedule; the seed recipe is the fourth
    "schedule, low rate": (LEARNING_RATE, training.warmup_cosine),
    "constant, high rate": (PEAK_RATE, None),
    "schedule, high rate (better)": (PEAK_RATE, training.warmup_cosine),
}
models = {"constant, low rate (seed)": model}
curves = {"constant, low rate (seed)": record}
for name, (rate, schedule) in RECIPES.items():
    torch.manual_seed(SEED)
    models[name] = VAE(LATENT, HIDDEN).to(device)
    curves[name] = train(
        *(models[name], digits.train_images, vae_loss, STEPS),
        lr=rate,
        schedule=schedule,
        **options,
    )
better = models["schedule, high rate (better)"]

# %%
figure, ax = plt.subplots(figsize=(6.5, 3.6))
shown = {name: [m["loss"] for _, _, m in curve] for name, curve in curves.items()}
plots.show_curves([step for step, _, _ in record], shown, title="Test images", ax=ax)
ax.set(xscale="log", xlabel="training step", ylabel="-ELBO, nats per image")
ax.set_ylim(floor, 300)  # the first steps lie above
plt.show()
ends = {name: mean_terms(m, digits.test_images)["loss"] for name, m in models.items()}
for name, loss in ends.items():
    print(f"{name:30} {loss:6.1f} nats per image after {STEPS:,} steps")

# %%
low, low_falling, high, high_falling = ends.values()
helps_high, helps_low = high - high_falling, low - low_falling
claims.show(
    "04",
    digits,
    {
        "Of the four, the high rate with the schedule ends lowest.": high_falling
        == min(ends.values()),
        "At the high rate the schedule helps.": helps_high > 0,
        "It helps more at the high rate than at the low one.": helps_high > helps_low,
    },
)

# %% [markdown]
# A schedule is no gain by itself. It takes rate away at both ends of the training, and
# whoever starts low has little to give. High in the middle, so that the weights travel
# far, and low at the end, so that they settle: the two belong together, and the helper
# `training.fit` is the loop above with such a schedule, a record, a stop at NaN and
# Adam's update in one fused operation.

# %%
expected("04", digits, {"better recipe: test -ELBO, nats per image": high_falling})

# %% [markdown]
# From here on we use the better model. Its test $-$ELBO is an estimate with one drawn
# code for each image; the next cell shows how much it moves when the codes are drawn
# again.

# %%
repeats = [mean_terms(better, digits.test_images)["loss"] for _ in range(5)]
print(f"five estimates: {min(repeats):.2f} to {max(repeats):.2f} nats per image")

# %% [markdown]
# ## Which code for which job?
#
# A VAE offers three codes: the posterior's mean $\mu$, a sample of the posterior
# $q_\phi(z \mid x)$, and a draw from the prior $p(z)$. Each job needs one of them, and the
# wrong one raises no error. Ask two questions: does the job start from an image? And must
# the result contain what the posterior leaves open?

# %%
from vae_helpers import drawings

drawings.show("which_code")

# %% [markdown]
# **Worked example.** *How much does the code of an image leave open? Show it.* The job
# starts from an image, so the prior is out. It asks for what is left open, so one mean is
# not enough: decode several **samples** for the same image, and look at how they differ.
#
# ```python
# mu, logvar = model.encode(x[:1].expand(8, -1, -1, -1))  # eight times one image
# z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
# pictures = model.decode(z).sigmoid()
# ```
#
# ### Exercise 04.4 · Choose the right code for the job
#
# *core, medium, 8 minutes*
#
# Write three functions. `model` has `encode`, `decode`, `latent_size` and, as above,
# `model(x)`. The check looks at which codes you decode and counts them.
#
# 1. `generate`: new pictures that nobody has drawn.
# 2. `reconstruct`: the picture of `x` that we show, the same in every call.
# 3. `elbo_estimate`: the ELBO of each image, a bound on $\log p_\theta(x)$, from one decoded
#    code for each image. Higher is better.
#
# A picture has the decoder's probabilities of white. You may call
# `distributions.bernoulli_log_likelihood(x, logits)` and
# `distributions.kl_to_standard_normal(mu, logvar)`, the helpers' copies of our two
# functions; both return shape $(B)$.


# %% tags=["exercise"]
def generate(model, n):
    """-> (n, C, H, W) probabilities of white."""
    ### BEGIN SOLUTION
    return model.decode(torch.randn(n, model.latent_size)).sigmoid()
    ### END SOLUTION


def reconstruct(model, x):
    """x (B, C, H, W) -> (B, C, H, W) probabilities of white."""
    ### BEGIN SOLUTION
    mu, _ = model.encode(x)
    return model.decode(mu).sigmoid()
    ### END SOLUTION


def elbo_estimate(model, x):
    """x (B, C, H, W) -> (B,) nats, higher is better."""
    ### BEGIN SOLUTION
    logits, mu, logvar = model(x)  # decodes a sample
    likelihood = distributions.bernoulli_log_likelihood(x, logits)
    return likelihood - distributions.kl_to_standard_normal(mu, logvar)
    ### END SOLUTION


# %% tags=["check"]
check.right_code(generate, reconstruct, elbo_estimate)

# %% [markdown]
# <details><summary>Hint 1: which code?</summary>
#
# One job has no image to start from. One wants the same picture every time. One is an
# average over $q_\phi(z \mid x)$ by definition.
# </details>
# <details><summary>Hint 2: which calls?</summary>
#
# `torch.randn(n, model.latent_size)` draws from the prior. `model.encode(x)` gives `mu` and
# `logvar`. `model(x)` decodes a sample and gives back logits, `mu` and `logvar`.
# </details>
# <details><summary>Hint 3: the usual trap</summary>
#
# Do not be led by how good a number looks. The KL is the price of a fuzzy code: what must
# the decoder get, if it is to be charged that price?
# </details>

# %% [markdown]
# The choices, and our versions, which are used from here on:
#
# | Job | Code | Here |
# |---|---|---|
# | show a reconstruction | $z = \mu$ | `decode_means(model, x)` |
# | measure the ELBO | $z \sim q_\phi(z \mid x)$ | `mean_terms(model, images)` |
# | make new images | $z \sim \mathcal N(0, I)$ | `decode_noise(model, n)` |
#
# The helper's class has the first and the last as `model.reconstruct(x)` and
# `model.sample(n)`.


# %%
@torch.no_grad()
def decode_means(model, x):
    """(B, 1, 28, 28) -> probabilities of white, from the posterior means."""
    return model.decode(model.encode(x)[0]).sigmoid()


@torch.no_grad()
def decode_samples(model, x):
    """The same from one sample of each posterior."""
    return model(x)[0].sigmoid()


@torch.no_grad()
def decode_noise(model, count):
    """Codes drawn from the prior -> (count, 1, 28, 28) probabilities of white."""
    device = next(model.parameters()).device
    return model.decode(torch.randn(count, model.latent_size, device=device)).sigmoid()


# %%
x = test_x[:10]
rows = torch.cat([x, decode_means(better, x), decode_samples(better, x)])
plots.show_images(
    rows,
    10,
    row_labels=["image", "code: mean", "code: sample"],
    title="Reconstructions",
)

# %% [markdown]
# Both kinds of reconstruction keep digit, slant and weight; the sampled code varies
# small details. Now the same network **makes** digits from noise:

# %% tags=["figure:draws"]
torch.manual_seed(SEED)
plots.show_images(
    decode_noise(better, 40), 10, title="VAE: decoded draws from the prior"
)

# %% [markdown]
# Some are digits, others lie between two. They come from the distribution that was fixed before training. The
# autoencoder's smudges came from one that it never knew, so the two figures do not compare
# the models. *Which density do you sample?* compares them.
#
# **Predict.** Further down, a classifier looks at 5,000 such draws (1,000 on the small
# sample). Of how many is it sure, that is, for how many does one digit get more than 90 %
# from it? Count in the figure first.

# %%
predict.guess("share sure", None, unit="%")  # your number in place of None

# %% [markdown]
# ## The latent plane
#
# With two latent dimensions the whole code space fits on paper. We train a small model
# of that kind.

# %%
torch.manual_seed(SEED)
plane = VAE(2, HIDDEN).to(device)
plane_history = training.fit(
    plane,
    digits.train_images,
    vae_loss,
    steps=SHORT,
    label="two latent dimensions",
    **recipe,
)
plane_terms = mean_terms(plane, digits.test_images)
expected("04", digits, {"Z = 2: test -ELBO, nats per image": plane_terms["loss"]})

# %% tags=["figure:latent-plane"]
with torch.no_grad():
    plane_mu, plane_logvar = (t.cpu() for t in plane.encode(test_x))
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.7))
plots.show_codes(plane_mu[:1000], digits.test_labels[:1000], ax=left)
left.set_title("Posterior means of test images")
codes = plots.square_of_codes(2.5, 13).to(device)
with torch.no_grad():
    plots.show_images(plane.decode(codes).sigmoid(), 13, ax=right)
right.set_title("Decoded codes from -2.5 to 2.5")
plt.show()

# %% [markdown]
# Left: each test image is a point, coloured by its digit; the model never saw the labels.
# Right: what the decoder makes of each place. Digits turn into their neighbours step by
# step, through pictures that are neither. Two dimensions are for pictures only: the panels
# show how many nats they cost.
#
# A point is only the middle of $q_\phi(z \mid x)$. The next figure draws the posterior of
# forty images as ellipses of one standard deviation, over the prior.

# %%
figure, ax = plt.subplots(figsize=(5, 4.6))
for centre, lv in zip(plane_mu[:40], plane_logvar[:40], strict=True):
    width, height = (2 * torch.exp(0.5 * lv)).tolist()
    ax.add_patch(plt.matplotlib.patches.Ellipse(centre, width, height, alpha=0.5))
for radius in (1, 2, 3):
    ax.add_patch(plt.Circle((0, 0), radius, fill=False, ls="--", lw=0.8))
ax.set(xlim=(-4, 4), ylim=(-4, 4), aspect="equal")
ax.set(xlabel="code, dimension 1", ylabel="code, dimension 2")
ax.set_title("Posteriors (filled) and prior (1, 2, 3 standard deviations)")
plt.show()

# %% [markdown]
# Each posterior is much smaller than the prior: an image tells where its code lies. Only
# **all of them together** should cover the prior. Their mixture is called the **aggregate
# posterior**; the cloud in the figure before shows its centres. It has thin places where the prior has
# plenty, and tongues beyond the outermost circle. A draw from the prior that falls into a
# thin place gives a poor image, however good the reconstructions are.

# %% [markdown]
# ## From a 3 to an 8
#
# Encode two images and decode the codes on the line between them. A VAE is not the only
# model that can: the autoencoder of the beginning has codes and a decoder, too.
#
# A point on the line is a weighted mean of both ends, `(1 - t) * z1 + t * z2`: `t = 0` is
# the one, `t = 1` the other. The weights `t` get the shape (count, 1), so that multiplied
# with a code of shape $(Z)$ they give (count, Z). We choose two images whose codes lie near
# the middle of their digit.


# %%
def most_typical(codes, labels, digit):
    """Index of the image whose code is nearest to the mean code of its digit."""
    own = (labels == digit).nonzero().flatten()
    centre = codes[own].mean(0)
    return int(own[(codes[own] - centre).norm(dim=1).argmin()])


with torch.no_grad():
    mu, _ = better.encode(test_x)
    ae_codes = autoencoder.encode(test_x)
three, eight = (most_typical(mu.cpu(), digits.test_labels, d) for d in (3, 8))

# %% tags=["figure:from-3-to-8"]
t = torch.linspace(0, 1, 10, device=device)[:, None]
with torch.no_grad():
    line, ae_line = (
        (1 - t) * codes[three] + t * codes[eight] for codes in (mu, ae_codes)
    )  # (10, Z)
    walks = better.decode(line).sigmoid(), autoencoder.decode(ae_line).sigmoid()
t = t[:, :, None, None]
in_pixel_space = (1 - t) * test_x[three] + t * test_x[eight]
plots.show_images(
    torch.cat([*walks, in_pixel_space]),
    10,
    row_labels=["VAE codes", "AE codes", "pixels"],
    title="From a typical 3 to a typical 8",
)

# %% [markdown]
# Between the codes the strokes bend and close. Between the pixels two digits lie on top
# of one another, one fading out. These two images were chosen: each is the most typical
# of its digit. We come back to pairs that nobody chose. Move along the line yourself:


# %%
def show_between(figure, position):
    code = (1 - position) * mu[three] + position * mu[eight]
    picture = better.decode(code[None]).sigmoid()
    plots.show_images(picture, 1, ax=figure.add_subplot())
    return f"{1 - position:.0%} of the code of the 3, {position:.0%} of that of the 8."


widgets.explore(
    show_between,
    {"position": widgets.slider("From 3 to 8", 0, 1)},
    width=2.6,
    height=2.6,
)

# %% [markdown]
# ### Arithmetic with codes
#
# Directions in code space mean something, too. Among the images of each digit we take the
# 10 % with the most ink and the 10 % with the least, and call the difference of their mean
# codes *weight*. (Across digits it would also mean "more like a 0, less like a 1".) Then
# we add it to ten other images, in code space and, for comparison, in pixel space.

# %%
ink = test_x.mean((1, 2, 3)).cpu()
bold, light = torch.zeros(2, len(ink), dtype=torch.bool)
for digit in range(10):
    own = digits.test_labels == digit
    bold |= own & (ink >= ink[own].quantile(0.9))
    light |= own & (ink <= ink[own].quantile(0.1))
direction = mu[bold].mean(0) - mu[light].mean(0)  # (Z,)
pixel_direction = test_x[bold].mean(0) - test_x[light].mean(0)  # (1, 28, 28)

# %%
middle = (ink - ink.median()).abs().argsort()[:10]
with torch.no_grad():
    same, plus, minus = (
        better.decode(mu[middle] + s * direction).sigmoid() for s in (0, 1, -1)
    )
pixel_plus = (test_x[middle] + pixel_direction).clamp(0, 1)
plots.show_images(
    torch.cat([minus, same, plus, pixel_plus]),
    10,
    row_labels=["codes: minus", "reconstruction", "codes: plus", "pixels: plus"],
    title="The direction called weight",
)
for name, pictures in [("minus", minus), ("reconstruction", same), ("plus", plus)]:
    print(f"mean ink, {name}: {pictures.mean():.3f}")

# %% [markdown]
# In code space the direction makes the digits bolder. In pixel space the same recipe lays
# one grey cloud over all of them. That is a weak rival, though: image processing has an
# operation for bold strokes, *dilation*, in which each pixel takes the largest value of
# its neighbourhood. It is judged below, together with the walk from image to image.

# %% [markdown]
# ### Judged: pairs that nobody chose
#
# A small classifier, trained on the real images, is to say what it sees. It is *sure* of
# a picture when one digit gets more than 90 % from it. (It learns from the images in use, so
# its shares on all digits and on the small sample cannot be compared.) First the picture
# **halfway** between two random test images of different digits.
#
# The middle of two codes is at most as far from the centre of all codes as the two are on
# average (triangle inequality), and in many dimensions much nearer: the printed shares tell how
# few codes lie as near. So we also push it out to the mean distance of the two (*length
# kept*). Pixels get a second rival, too: at each place the **brighter** of the two images.

# %%
classifier = generated.train_classifier(
    digits, steps=CLASSIFIER_STEPS, seed=SEED, device=device
)
_, guess = generated.features_and_probabilities(classifier, digits.test_images)
right = (guess.argmax(1) == digits.test_labels).double().mean().item()
print(f"the classifier names {right:.1%} of the test digits correctly")

# %%
chance = torch.Generator().manual_seed(SEED)
pairs = torch.randint(len(test_x), (3000, 2), generator=chance)
pairs = pairs[digits.test_labels[pairs[:, 0]] != digits.test_labels[pairs[:, 1]]]
start, end = pairs[:2000].T.to(device)


def middles(codes, start, end):
    """(P, Z) middles of pairs: on the straight line, and with the length kept."""
    centre = codes.mean(0)
    two = torch.stack([codes[start], codes[end]]) - centre
    straight = two.mean(0)
    length = two.norm(dim=2).mean(0) / straight.norm(dim=1)
    return centre + straight, centre + length[:, None] * straight


halfway = {}
with torch.no_grad():
    for kind, codes, to_pixels in [
        ("VAE", mu, better.decode),
        ("AE", ae_codes, autoencoder.decode),
    ]:
        straight, pushed = middles(codes, start, end)
        halfway[f"{kind} codes"] = to_pixels(straight).sigmoid()
        halfway[f"{kind}, length kept"] = to_pixels(pushed).sigmoid()
        near = (straight - codes.mean(0)).norm(dim=1).median()
        share = ((codes - codes.mean(0)).norm(dim=1) < near).double().mean()
        print(f"{kind}: {share:.1%} of all codes lie as near to the centre as a middle")
    halfway["pixels, mean"] = (test_x[start] + test_x[end]) / 2
    halfway["pixels, brighter"] = torch.maximum(test_x[start], test_x[end])
    real_features, _ = generated.features_and_probabilities(classifier, test_x)
    between = {
        name: generated.sample_report(classifier, pictures, real_features)
        for name, pictures in halfway.items()
    }

# %%
rows = torch.cat(
    [test_x[start[:10]], test_x[end[:10]], *(h[:10] for h in halfway.values())]
)
plots.show_images(rows, 10, row_labels=["from", "to", *halfway], title="Halfway")
for name, found in between.items():
    print(f"{name:18} sure {found['sure']:6.1%}   distance {found['distance']:6.1f}")

# %% [markdown]
# *Distance* is the Frechet distance, explained further down: 0 for pictures that look like
# the real ones to the classifier. Now weight: how many pictures keep the digit that the
# unchanged picture shows?


# %%
@torch.no_grad()
def same_digit(classifier, before, after):
    """Share of pictures that the classifier names as before the change."""
    return (classifier(before).argmax(1) == classifier(after).argmax(1)).double().mean()


many = test_x[:2000]
with torch.no_grad():
    shifted = (mu[:2000] + s * direction for s in (0, 1))
    plain, bolder = (better.decode(z).sigmoid() for z in shifted)
clouded = (many + pixel_direction).clamp(0, 1)
dilated = F.max_pool2d(many, 3, stride=1, padding=1)
changed = {
    "codes: plus": (plain, bolder),
    "pixels: plus": (many, clouded),
    "pixels: dilation": (many, dilated),
}
kept = {n: same_digit(classifier, *two).item() for n, two in changed.items()}
for name, (before_it, after_it) in changed.items():
    more = (after_it.mean() / before_it.mean() - 1).item()
    print(f"{name:18} keeps the digit of {kept[name]:5.1%}, ink {more:+.0%}")

# %%
sure = {name: found["sure"] for name, found in between.items()}
away = {name: found["distance"] for name, found in between.items()}
coded = [name for name in between if not name.startswith("pixels")]
claims.show(
    "04",
    digits,
    {
        "Halfway between random digits, codes of both models give a sure digit more "
        "often than the mean of the two images does.": sure["pixels, mean"]
        < min(sure["VAE codes"], sure["AE codes"]),
        "The brighter of two images is called sure more often than any of the codes, "
        "and lies farther from real digits than all of them.": sure["pixels, brighter"]
        > max(sure[name] for name in coded)
        and away["pixels, brighter"] > max(away[name] for name in coded),
        "With the length kept, the middle of both models lies nearer to real digits "
        "than on the straight line.": all(
            away[f"{kind}, length kept"] < away[f"{kind} codes"]
            for kind in ("VAE", "AE")
        ),
        "Halfway on the straight line, pictures of the autoencoder lie nearer to real "
        "digits than those of the VAE.": away["AE codes"] < away["VAE codes"],
        "The direction called weight keeps more digits in code space than in pixel "
        "space.": kept["codes: plus"] > kept["pixels: plus"],
        "Dilation keeps more digits than the direction in code space.": kept[
            "pixels: dilation"
        ]
        > kept["codes: plus"],
    },
)

# %% [markdown]
# Walking needs a decoder, not a prior: smooth walks are no privilege of a VAE. Two lessons
# about measures. A classifier may be sure of two digits that lie on top of each other, so
# look at the distance as well. And a walk should stay where codes lie: the straight line cuts
# through the middle, where few of them are. Whoever only wants bold strokes should dilate.

# %% [markdown]
# ## Explore the code
#
# The sliders belong to the latents that cost most nats, in falling order. They add to the
# code of a test image, in units of the prior's standard deviation. *mean* decodes the
# posterior mean, *sample* a draw from the posterior.

# %%
with torch.no_grad():
    all_mu, all_logvar = better.encode(test_x)
price = latents.kl_per_dimension(all_mu, all_logvar).cpu()  # (Z,) nats
ranked = price.argsort(descending=True)
figure, ax = plt.subplots(figsize=(6, 2.6))
ax.bar(range(1, LATENT + 1), price[ranked])
ax.set(xlabel="latent dimension, most expensive first", ylabel="KL, nats")
ax.set_xticks(range(1, LATENT + 1))
ax.set_title(f"The price of each latent dimension; together {price.sum():.1f} nats")
plt.show()


# %%
def show_code(figure, image, code, **moves):
    z, lv = all_mu[image].clone(), all_logvar[image]
    if code == "sample":
        z = z + torch.exp(0.5 * lv) * torch.randn_like(z)
    for place, move in enumerate(moves.values()):
        z[ranked[place]] += move
    pair = torch.cat([test_x[image : image + 1], better.decode(z[None]).sigmoid()])
    plots.show_images(pair, 2, ax=figure.add_subplot())
    return f"Left: test image {image}. Right: its decoded, moved code."


walked = min(5, LATENT)  # the latents that move
sliders = {
    f"move{i}": widgets.slider(f"Latent no. {i + 1}", -3, 3) for i in range(walked)
}
widgets.explore(
    show_code,
    {
        "image": widgets.slider("Test image", 0, 99, step=1, whole=True),
        "code": widgets.choice("Code", ["mean", "sample"]),
        **sliders,
    },
    width=4,
    height=2.2,
)

# %% [markdown]
# Without a kernel, here is the same walk as a picture: each row moves one latent of one
# image by $-3$ to $3$ and leaves the others where they were.

# %%
moves = torch.linspace(-3, 3, 9, device=device)
walks = mu[three].repeat(walked, 9, 1)  # (latent, move, Z)
for row in range(walked):
    walks[row, :, ranked[row]] += moves
with torch.no_grad():
    pictures = better.decode(walks.reshape(-1, LATENT)).sigmoid()
plots.show_images(
    pictures,
    9,
    row_labels=[f"latent no. {row + 1}" for row in range(walked)],
    column_labels=[f"{m:+.1f}" for m in moves.tolist()],
)

# %% [markdown]
# ## Which density do you sample?
#
# Pictures can be chosen. We let the classifier look at many of them. Its last hidden layer
# turns an image into 64 features. The **Frechet distance** compares mean and covariance of
# the features of two sets of images: 0 for equal ones. It is our own device; its numbers
# must not be compared with the "FID" of papers, which uses another network. What counts is
# the **floor**: the distance of real test images from real training images.
#
# A decoder draws images from *any* density of codes. Which one? The VAE comes with one, its
# prior. For both models we also fit densities to the codes of training images, from poor
# to rich: a Gaussian with one spread for each latent (*diagonal*), one with a *full*
# covariance, and mixtures of 10 and of 50 such Gaussians. For the VAE the codes are samples
# of the posteriors: their distribution, over all images, is the **aggregate posterior**
#
# $$q(z) = \frac1N \sum_{n=1}^{N} q_\phi(z \mid x_n).$$
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $N$ | number of images whose posteriors are mixed | number | `len(known_x)` |
# | $M$ | number of images that a code is to tell apart, further down | number | `len(some_z)` |
#
# **Predict.** Who comes nearer to real digits when 50 Gaussians are fitted to the codes of
# each: the autoencoder or the VAE?

# %%
predict.guess("nearer with 50 Gaussians", None, choices=("autoencoder", "VAE"))

# %% [markdown]
# And the other densities: which model is ahead with which? We shall see both answers in one
# table. First the pictures' judge needs its columns.
#
# ### Exercise 04.5 · Measure draws
#
# *core, medium, 8 minutes*
#
# For each picture the classifier gives one probability to each digit, a row that adds up to
# 1; the largest **names** the digit. Two columns of the table come from these rows. *Sure*
# is the share of pictures whose largest probability is above 0.9. *Rarest class* is the
# share of the digit that is named least often, one tenth at best, and 0 when a digit is
# missing.
#
# A share of `n` drawn pictures is itself a draw. With other codes it would be another one, by
# about the **sampling error** `sqrt(s * (1 - s) / n)`, where `s` is the share.
#
# **Worked example.** Of 400 pictures 144 are sure: `s = 0.36`, and the error is
# $\sqrt{0.36 \cdot 0.64 / 400} = 0.48 / 20 = 0.024$. A model with 0.38 may be as good.
#
# Return share sure, its sampling error and the share of the rarest class, as three Python
# numbers. The number of classes may be any.


# %% tags=["exercise"]
def measure_draws(probabilities):
    """(n, classes), each row adds up to 1 -> sure, error, rarest: three floats."""
    ### BEGIN SOLUTION
    n, classes = probabilities.shape
    largest, named = probabilities.max(1)
    sure = (largest > 0.9).float().mean()
    error = (sure * (1 - sure) / n).sqrt()
    rarest = named.bincount(minlength=classes).min() / n
    return sure.item(), error.item(), rarest.item()
    ### END SOLUTION


# %% tags=["check"]
check.measure_draws(measure_draws)

# %% [markdown]
# <details><summary>Hint 1: rows first</summary>
#
# Both shares are about pictures, so begin with one number for each row: its largest
# probability, and the place of it.
# </details>
# <details><summary>Hint 2: which functions?</summary>
#
# `p.max(1)` gives both. The mean of a comparison, made a float, is a share.
# `named.bincount()` counts how often each class is named.
# </details>
# <details><summary>Hint 3: the trap</summary>
#
# `bincount` stops at the largest number that it meets, so a missing 9 would not be counted
# as 0. It has an argument `minlength`.
# </details>

# %% [markdown]
# The table takes its shares from `generated.sample_report`, which does the same. Now the
# codes and the pictures to measure.

# %%
COUNT = min(len(digits.test_images), 5000)  # pictures in every row of the table
order = torch.Generator().manual_seed(SEED)
some = torch.randperm(len(digits.test_images), generator=order)[:COUNT]
fit_on = torch.randperm(len(digits.train_images), generator=order)[:10_000]
known_x = data.to_unit_interval(digits.train_images[fit_on]).to(device)
real_features, _ = generated.features_and_probabilities(classifier, known_x[:COUNT])
torch.manual_seed(SEED)
with torch.no_grad():
    post_mu, post_logvar = better.encode(known_x)
    vae_codes = distributions.reparameterize(post_mu, post_logvar)
    known_codes = {"AE": autoencoder.encode(known_x), "VAE": vae_codes}

# %%
DENSITIES = {  # number of Gaussians, shape of their covariances
    "diagonal Gaussian": (1, "diag"),
    "full Gaussian": (1, "full"),
    "10 Gaussians": (10, "full"),
    "50 Gaussians": (50, "full"),
}


def fitted_density(codes, components, shape):
    """(N, Z) codes -> scikit-learn's mixture of Gaussians, fitted to them."""
    mixture = GaussianMixture(
        components, covariance_type=shape, reg_covar=1e-4, max_iter=200, random_state=0
    )
    return mixture.fit(codes.cpu().double().numpy())


def draw_codes(mixture, count):
    """(count, Z) codes from a fitted mixture, in random order."""
    codes = torch.from_numpy(mixture.sample(count)[0]).float()
    return codes[torch.randperm(count)]


# %%
wanted = [(kind, name) for name in DENSITIES for kind in known_codes]
fits = {}
for number in training.progress(len(wanted), "densities"):
    kind, name = wanted[number]
    fits[kind, name] = fitted_density(known_codes[kind], *DENSITIES[name])

# %% [markdown]
# Four fits for each model. Now the draws, from the priors too; the decoders make pictures
# of them. Is a model with a rich density perhaps only reciting? The column *nearest*
# answers: the median distance, in pixels, from a picture to the **nearest** training image
# among those whose codes were fitted.

# %%
torch.manual_seed(SEED)
drawn = {
    ("VAE", "prior"): torch.randn(COUNT, LATENT),
    ("AE", "prior"): torch.randn(COUNT, LATENT),
    **{key: draw_codes(fit, COUNT) for key, fit in fits.items()},
}


# %%
def report(pictures, classifier, real_features, known):
    """What the classifier says of (P, 1, 28, 28) pictures; the nearest known image."""
    found = torch.cdist(pictures[:500].flatten(1), known.flatten(1)).min(1).values
    row = generated.sample_report(classifier, pictures, real_features)
    return row | {"nearest": found.median().item()}


decoders = {"AE": autoencoder.decode, "VAE": better.decode}
against = (classifier, real_features, known_x)
table, samples_of = {}, {}
with torch.no_grad():
    for key, codes in drawn.items():
        made = decoders[key[0]](codes.to(device)).sigmoid()
        table[key], samples_of[key] = report(made, *against), made[:8].clone()

# %% [markdown]
# Beside them stand codes of real images: what the decoders can do at best, and the floor.

# %%
with torch.no_grad():
    made = autoencoder(test_x[some]).sigmoid()
    table["AE", "codes of test images"] = report(made, *against)
    made = autoencoder(known_x[:COUNT]).sigmoid()
    table["AE", "codes of training images"] = report(made, *against)
    made = decode_samples(better, test_x[some])
    table["VAE", "codes of test images"] = report(made, *against)
table["real", "test images (floor)"] = report(test_x[some], *against)

# %%
print(f"{'':32}distance   sure   rarest class   nearest")
for kind in ("AE", "VAE", "real"):
    own = {key: row for key, row in table.items() if key[0] == kind}
    for key, row in sorted(own.items(), key=lambda item: -item[1]["distance"]):
        cells = f"{row['distance']:8.1f} {row['sure']:6.0%} {row['rarest class']:13.1%}"
        print(f"{' · '.join(key):32}{cells} {row['nearest']:11.2f}")

# %%
rows = [key for key in drawn if key != ("AE", "prior")]
rows = sorted(rows, key=lambda key: -table[key]["distance"])
plots.show_images(
    torch.cat([samples_of[key] for key in rows]),
    8,
    row_labels=[" · ".join(key) for key in rows],
    title="The first draws from each density, the farthest from real digits first",
)

# %% [markdown]
# *Sure* and *rarest class* are those of Exercise 04.5. Read from the top: draws that are far
# from real digits, then nearer ones. What you said of the VAE's draws, and of 50 Gaussians:

# %%
far = {key: row["distance"] for key, row in table.items()}
recited = table["AE", "codes of training images"]["nearest"]
mixed = [table[kind, "50 Gaussians"] for kind in known_codes]
single = [far[kind, "full Gaussian"] for kind in known_codes]
nearer = [row["distance"] < one for row, one in zip(mixed, single, strict=True)]

# %%
predict.truth("share sure", 100 * table["VAE", "prior"]["sure"])

# %%
predict.truth(
    "nearer with 50 Gaussians",
    "autoencoder" if mixed[0]["distance"] <= mixed[1]["distance"] else "VAE",
)

# %% [markdown]
# All comparisons of the table, here and in the recorded runs:

# %%
claims.show(
    "04",
    digits,
    {
        "With the poorest density of each, the VAE's draws (prior) lie nearer to real "
        "digits than the autoencoder's (diagonal Gaussian).": far["VAE", "prior"]
        < far["AE", "diagonal Gaussian"],
        "A covariance turns this round: the autoencoder with a full Gaussian is nearer "
        "than the VAE with its prior.": far["AE", "full Gaussian"]
        < far["VAE", "prior"],
        "For both models 50 Gaussians are nearer than one full Gaussian.": all(nearer),
        "With 50 Gaussians the autoencoder is at least as near as the VAE.": far[
            "AE", "50 Gaussians"
        ]
        <= far["VAE", "50 Gaussians"],
        "Draws of the 50 Gaussians are not recited: they lie farther from the nearest "
        "training image than reconstructions of training images do.": recited
        < min(row["nearest"] for row in mixed),
    },
)

# %% [markdown]
# So "autoencoders cannot draw, VAEs can" is a sentence about the density, not about the
# model. Nothing fixes a density while an autoencoder trains; fit a good one afterwards and
# its decoder draws well. Fitting a density to the codes of a trained model is known as
# *ex-post density estimation* (Ghosh et al. 2020).
#
# ### Why the prior's draws are poor

# %%
from vae_helpers import drawings

drawings.show("hole")

# %% [markdown]
# The KL in the loss has two parts. With $I(x; z)$ the information that a code carries about
# its image, in nats,
#
# $$\text{mean } \mathrm{KL}\big(q_\phi(z \mid x) \,\Vert\, p(z)\big) = I(x; z) + \mathrm{KL}\big(q(z) \,\Vert\, p(z)\big).$$
#
# The first part pays for the picture. The second is what separates the codes there are
# from the prior; a draw from the prior is a good code only where the two agree. We can
# bracket both. On average over codes, no density describes $q(z)$ better than $q(z)$
# itself, the mixture of 50 included. So the mean of $\log q_{50}(z) - \log p(z)$ over codes of test images is at most
# the second part. And a code that names its image among $M$ carries at most $\log M$ nats,
# so telling $M = 1000$ images apart gives a bound on the first part from below (Poole et
# al. 2019).

# %%
torch.manual_seed(SEED)
with torch.no_grad():
    test_mu, test_logvar = better.encode(test_x)
    z = distributions.reparameterize(test_mu, test_logvar)
mixture = fits["VAE", "50 Gaussians"]
log_q = torch.from_numpy(mixture.score_samples(z.cpu().double().numpy()))
log_p = distributions.standard_normal_log_prob(z).cpu()
to_prior = (log_q - log_p).mean().item()
kl = kl_to_standard_normal(test_mu, test_logvar).mean().item()

# %%
some_z, some_mu, some_logvar = (t[:1000] for t in (z, test_mu, test_logvar))
with torch.no_grad():  # row: code, column: image
    under_each = torch.stack(
        [
            distributions.normal_log_prob(code.expand_as(some_mu), some_mu, some_logvar)
            for code in some_z
        ]
    )
own = under_each.diagonal()
told = (own - under_each.logsumexp(1) + math.log(len(some_z))).mean().item()
of_prior = mixture.score(drawn["VAE", "prior"].double().numpy())
print(f"mean KL: {kl:.1f} nats")
print(f"KL(q(z) || p(z)): at least {to_prior:.1f} nats")
print(f"I(x; z): between {told:.1f} and {kl - to_prior:.1f} nats")
print(f"log q(z) by the mixture: {log_q.mean():.1f} for codes of test images,")
print(f"                         {of_prior:.1f} for draws from the prior")

# %% [markdown]
# Compare the last two lines: how dense, for the mixture, are the places where codes of test
# images lie, and how dense those where draws from the prior fall? The loss charges both
# parts in one sum and does not say which of them to lower.

# %% [markdown]
# ### Autoencoder and VAE, measured
#
# The table of lesson 01, completed with measured columns:

# %%
seen = digits.train_images[: len(digits.test_images)]
errors = {}
for kind, images in [("training", seen), ("test", digits.test_images)]:
    squares = torch.zeros(2)
    with torch.no_grad():
        for piece in images.split(1000):  # all at once would take much memory
            x = data.to_unit_interval(piece).to(device)
            for row, p in enumerate(
                [autoencoder(x).sigmoid(), decode_means(better, x)]
            ):
                squares[row] += ((p - x) ** 2).sum().item()
    errors[kind] = (squares / images.numel()).tolist()

# %%
print(f"{'':44}{'autoencoder':>14}{'VAE':>14}")
print(f"{'code of one image':44}{'a point':>14}{'a Gaussian':>14}")
print(f"{'density of codes, fixed before training':44}{'none':>14}{'N(0, I)':>14}")
print(f"{'a bound on log p(x), from training':44}{'none':>14}{-high_falling:9.1f} nats")
for kind, (ae_error, vae_error) in errors.items():
    words = f"{kind} images: squared error per pixel"
    print(f"{words:44}{ae_error:14.4f}{vae_error:14.4f}")
for name in ("prior", *DENSITIES):
    words = f"distance of draws: {name}"
    print(f"{words:44}{far['AE', name]:14.1f}{far['VAE', name]:14.1f}")

# %% [markdown]
# What a VAE has and an autoencoder has not are the two lines in the middle: a density that
# was chosen *before* training, from which one can draw without a second fit, and a bound on
# $\log p_\theta(x)$, a number by which models can be compared. An autoencoder comes with neither;
# with a density fitted to its codes and some width around each code it gets a bound, too.
# Its draws are not better for it. Who reconstructs the *test* images more exactly depends
# on how many images there were to learn from and for how long: the lines above say it for
# this run.

# %%
draws = {
    "distance of VAE draws from real images": far["VAE", "prior"],
    "distance of AE draws, 50 Gaussians": far["AE", "50 Gaussians"],
}
expected("04", digits, draws)

# %% [markdown]
# ## Where does the blur come from?
#
# The decoder's picture is a **mean**: for each pixel the probability of white, over all
# images that fit the code. Where the edge of a stroke may lie here or there, the mean is
# grey. A draw of the pixels from these probabilities is black and white, but speckled,
# because the likelihood treats pixels as independent.

# %%
torch.manual_seed(SEED)
mean = decode_noise(better, 10)
pair = torch.cat([mean, mean.bernoulli(), (mean > 0.5).float()])
plots.show_images(pair, 10, row_labels=["mean", "drawn pixels", "mean > 0.5"])

# %% [markdown]
# Would a sharper picture explain the test images better? Multiply the logits by a factor:
# below 1 the picture becomes greyer, above 1 sharper, and a very large factor is the hard
# threshold. **Predict** where the best factor lies.

# %%
factors = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 1.7, 2.0, 2.5, 3.0]
with torch.no_grad():
    logits = better.decode(test_mu[:2000])
    sampled_logits, _, _ = better(test_x[:2000])
explained = {
    name: [
        bernoulli_log_likelihood(test_x[:2000], f * shown).mean().item()
        for f in factors
    ]
    for name, shown in [("mean code", logits), ("sampled code", sampled_logits)]
}
threshold = torch.logit((logits > 0).float().clamp(0.01, 0.99))
hard = bernoulli_log_likelihood(test_x[:2000], threshold).mean().item()
figure, ax = plt.subplots(figsize=(5.5, 3.4))
plots.show_curves(factors, explained, title="Sharper, to a point", ax=ax)
ax.set(xlabel="factor on the logits", ylabel="log-likelihood, nats per image")
plt.show()
print(f"hard threshold, pixels at 0.01 and 0.99: {hard:.1f} nats per image")

# %%
best, best_sampled = (
    factors[max(range(len(factors)), key=values.__getitem__)]
    for values in explained.values()
)
grey = explained["mean code"][factors.index(1.0)]
claims.show(
    "04",
    digits,
    {
        "A black-and-white picture explains the test images worse than the grey "
        "mean.": hard < grey,
        "Decoded from mean codes, pictures are too soft: the best factor is above "
        "1.": best > 1,
        "From sampled codes the best factor is smaller.": best_sampled < best,
    },
)

# %% [markdown]
# The decoder learned from sampled codes, and its greys cover what the sample leaves open.
# The mean code leaves less open, so from there the picture may be a little sharper. Black
# and white is too much: a pixel that is wrong and sure costs many nats.

# %% [markdown]
# ## Break it
#
# ### The mean code does not give an ELBO
#
# Reconstructions with $z = \mu$ look cleaner. **Predict**: what happens to the reported
# loss if we use $z = \mu$ at test time?

# %%
with torch.no_grad():
    mu, logvar = better.encode(test_x[:2000])
    cheat = -bernoulli_log_likelihood(test_x[:2000], better.decode(mu)).mean()
    price = kl_to_standard_normal(mu, logvar).mean()
honest = mean_terms(better, few)["loss"]
print(
    f"with sampled codes: {honest:.1f} nats; with mean codes: {cheat + price:.1f} nats"
)

# %% [markdown]
# The second number is lower and **is not an ELBO**. It charges the KL of a fuzzy code and
# then decodes a sharp one. It bounds nothing and must not be reported.
#
# ### One word: mean
#
# A mistake that raises no error: a mean over pixels next to a sum over latents.
# **Predict** KL and pictures, then run.


# %%
def pixel_mean_loss(model, x):
    logits, mu, logvar = model(x)
    reconstruction = F.binary_cross_entropy_with_logits(logits, x)  # mean over pixels!
    kl = kl_to_standard_normal(mu, logvar).mean()
    return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}


torch.manual_seed(SEED)
broken = VAE(LATENT, HIDDEN).to(device)
settings = BROKEN_STEPS, LEARNING_RATE, BATCH, SEED
train(broken, digits.train_images, pixel_mean_loss, *settings)
broken_terms = mean_terms(broken, digits.test_images)
cost = broken_terms["reconstruction"]
expected("04", digits, {"pixel mean: test reconstruction, nats per image": cost})

# %%
print(f"KL: {broken_terms['kl']:.4f} nats per image")
print(
    f"reconstruction: {broken_terms['reconstruction']:.1f}, average digit: {blind:.1f}"
)
x = test_x[:10]
with torch.no_grad():
    pictures = broken.decode(broken.encode(x)[0]).sigmoid()
plots.show_images(torch.cat([x, pictures]), 10, row_labels=["image", "pixel mean"])

# %% [markdown]
# The codes say nothing, and every picture is the average digit. Dividing one term by
# $D = 784$ multiplies the other one's weight by 784. No error, no warning. If you see one
# blurred picture for every input, look at the reductions first.

# %% [markdown]
# ## Is this a proper likelihood?
#
# A Bernoulli variable is 0 or 1, and our pixels are grey. Grey values train well, but for
# numbers that others can compare with, draw black-and-white images with the grey values as
# probabilities. On such images the importance-weighted bound tightens the ELBO: it
# averages over $S$ codes and climbs towards $\log p_\theta(x)$ as $S$ grows.

# %%
torch.manual_seed(SEED)
binary = test_x[:500].bernoulli()
for samples in (1, 10, 100):
    nats = -bounds.importance_weighted_bound(better, binary, samples).mean().item()
    bits = bounds.bits_per_dimension(nats, 784)
    print(f"S = {samples:4}: {nats:6.1f} nats per image, {bits:.3f} bits per pixel")

# %% [markdown]
# These numbers must fall from top to bottom, since a tighter bound on $\log p_\theta(x)$
# is a smaller $-\log p_\theta(x)$.
#
# ## Save it, load it
#
# Save the weights, not the object: a pickled object can run code when somebody loads it.
# `weights_only=True` accepts tensors and plain values (numbers, strings, lists, dicts) and
# refuses other objects.

# %%
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "vae.pt"
    settings = {"latent_size": LATENT, "hidden": HIDDEN}
    torch.save({"settings": settings, "weights": better.state_dict()}, path)
    saved = torch.load(path, weights_only=True, map_location=device)

# %% tags=["nbval-check-output"]
restored = VAE(**saved["settings"]).to(device)
restored.load_state_dict(saved["weights"])
ours, theirs = (decode_means(m, test_x[:5]) for m in (better, restored))
assert torch.equal(ours, theirs), "the restored model gives other pictures"
print("the restored model gives the same pictures")

# %% [markdown]
# ## Questions that come up
#
# *Why exp(0.5\*logvar)?* and *Is one z per image enough?* are answered in
# [lesson 02](02_reparameterization.ipynb#Questions-that-come-up).
#
# <details><summary>Sum or mean?</summary>
#
# Sum over pixels and over latents, mean over the batch: that is the negative ELBO in nats
# per image. A factor common to both terms would not matter; a factor on one of them is
# another model.
# </details>
# <details><summary>May the loss be negative?</summary>
#
# With Bernoulli pixels in [0, 1] never. If it is negative, the pixels were not scaled. With
# a Gaussian density and a small standard deviation, yes.
# </details>
# <details><summary>Should both terms be about equal?</summary>
#
# There is no such rule. With grey Bernoulli pixels a large part of the reconstruction term
# is the entropy floor, which no model can move; with a Gaussian density of small standard
# deviation the term is negative.
# </details>
# <details><summary>Sigmoid or logits?</summary>
#
# The decoder returns logits and the loss uses the form with logits inside. The sigmoid is
# for pictures only. Both together would squeeze every probability towards a half.
# </details>
# <details><summary>KL about 0 and one same image?</summary>
#
# Posterior collapse. Check the reductions first, then whether the model learns with
# `beta=0`, then a weight on the KL that rises slowly.
# </details>
# <details><summary>Is KL=0 not the goal?</summary>
#
# No. The mean KL to the prior is the most that the codes can tell about the images, in nats;
# at 0 they tell nothing. What should be small is the gap between the ELBO and the
# log-likelihood, and that is another KL: the one to the true posterior. Lesson 05 works
# with this exchange rate between price and picture.
# </details>
# <details><summary>Does eval() turn sampling off?</summary>
#
# Only if the code says so. `eval()` changes dropout and batch norm, and this model has
# neither.
# </details>
# <details><summary>How do I make a "7"?</summary>
#
# A plain VAE cannot be told. Use a conditional VAE, or start from the codes of sevens.
# </details>

# %% [markdown]
# ## Check yourself
#
# 1. A colleague reports a reconstruction term below 1 and a KL near 0. What did they do,
#    most likely?
# 2. Why is $p(z)$ the right place to draw codes from, although no single
#    $q_\phi(z \mid x)$ equals it?
# 3. Two runs give 105 and 96, one on grey, one on black-and-white images. Which is better?
#
# <details><summary>Answers</summary>
#
# 1. A mean over pixels. The scale gives it away: per *image*, even the best decoder pays
#    the entropy floor. The price of the average digit, divided by 784, is a number below 1,
#    and a KL near 0 is the collapse that follows.
# 2. Training pulls the mixture of all $q_\phi(z \mid x)$ towards the prior. If they were
#    equal, a draw from the prior would be a plausible code of *some* image. How far they
#    are from equal is KL$(q(z) \Vert p(z))$, and a richer density fitted to the codes is
#    nearer to them.
# 3. They cannot be compared: grey images have an entropy floor, black-and-white ones do
#    not. Compare on the same data with the same bound.
# </details>

# %% [markdown]
# ## Exercise 04.6 · A convolutional VAE (open)
#
# *extension, hard, 45 minutes*
#
# Write a VAE whose encoder and decoder are convolutional, and beat the better recipe at
# **equal training time**. Give it `encode`, `decode` and `forward` with the shapes of
# `VAE`, so that `training.fit`, `bounds.mean_terms` and the explorers accept it. Start with
# two strided convolutions of 16 and 32 channels. Report time, steps, test $-$ELBO and
# three seeds.
#
# <details><summary>Hint 1: sizes</summary>
#
# A stride of 2 with kernel 4 and padding 1 halves 28 to 14 and 14 to 7; the transposed
# convolution with the same numbers doubles.
# </details>
# <details><summary>Hint 2: a fair comparison</summary>
#
# Measure seconds of both on your machine first, then choose steps so that they match.
# </details>
# <details><summary>Hint 3: when it does not win</summary>
#
# Fewer channels in the first layer, where the pictures are largest, save most time.
# </details>
# <details><summary>Values to compare with</summary>
#
# With kernels of 4, channels 16 and 32, `Linear(1568, 20)` twice behind them and
# `Linear(20, 1568)` before the two transposed convolutions, the weights with their biases are
# $272 + 8224 + 2 \cdot 31380 + 32928 + 8208 + 257 = 112649$, about a sixth of those of our
# model with one hidden layer. New, it must pay about 543 nats for the pixels and almost
# nothing for the code. Trained, its KL is no 0, its pictures differ, and its test $-$ELBO lies
# above the floor. The number to beat is the line of the better recipe, under *A better
# recipe*; the band of the Expected panel there says how much it moves from seed to seed. A
# difference below the spread of your three seeds says nothing.
# </details>

# %%
predict.review()

# %% [markdown]
# ## Summary
#
# | Formula | Function |
# |---|---|
# | $z = \mu + \sigma\varepsilon$ | `distributions.reparameterize` |
# | $\log p_\theta(x \mid z)$, Bernoulli pixels | `distributions.bernoulli_log_likelihood` |
# | $\mathrm{KL}(q_\phi(z \mid x) \Vert \mathcal N(0, I))$ | `distributions.kl_to_standard_normal` |
# | $-\mathrm{ELBO}$ of a batch | `vae.vae_loss` |
# | $-\mathrm{ELBO}$ of a data set | `bounds.mean_terms` |
# | the loop | `training.fit` |
#
# **Sources.** Ghosh, Sajjadi, Vergari, Black and Schoelkopf, *From variational to
# deterministic autoencoders* (arXiv:1903.12436), for densities fitted afterwards. Hoffman
# and Johnson, *ELBO surgery* (NIPS workshop on advances in approximate Bayesian inference,
# 2016), for the two parts of the KL. Poole, Ozair, van den Oord, Alemi and Tucker, *On
# variational bounds of mutual information* (arXiv:1905.06922), for the bound on $I(x; z)$.
# Kingma and Welling, *Auto-encoding variational Bayes* (arXiv:1312.6114),
# section 2, equation 10, Appendices B and C. Burda, Grosse and Salakhutdinov,
# *Importance weighted autoencoders* (arXiv:1509.00519), equation 8. Heusel et al. (arXiv:
# 1706.08500), equation 6, for the Frechet distance. The seed recipe is the `vae` folder of
# the repository pytorch/examples. Loshchilov and Hutter (arXiv:1608.03983), equation 5.
