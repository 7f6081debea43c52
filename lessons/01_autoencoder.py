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
# # 01 · Autoencoder: what does a bottleneck learn?
#
# We squeeze images through a few numbers, compare the result with the best that a linear
# method can do, and find out what an autoencoder lacks before it can draw new digits.
#
# **You will be able to**
#
# - write an autoencoder and its training loop in PyTorch;
# - show that a linear autoencoder learns what principal component analysis computes;
# - say how many bits a code saves, and what it costs in squared error;
# - draw new images from an autoencoder, and say which choice that takes.
#
# **Before you start**, three questions of a minute each. (Symbols: the
# [notation table](00_start_here.ipynb#Notation).)
#
# 1. A batch of stored digits is a `uint8` tensor of shape (128, 1, 28, 28). How many numbers
#    describe one image, and what happens to them before a model sees them?
#    ([The data](00_start_here.ipynb#The-data))
# 2. An image has the four pixels 0, 1, 1, 0, its reconstruction 0, 0.5, 1, 0.5. How large is
#    the squared error, summed over pixels as in this course, and how large is the mean over
#    pixels? ([Notation](00_start_here.ipynb#Notation))
# 3. Assumed: project the point (3, 1) onto the diagonal, whose direction of length 1 is
#    $(1, 1)/\sqrt 2$. How far from the origin is the foot, and which point is it? (Used in
#    *Smallest case* below.)
#
# <details><summary>Answers</summary>
#
# 1. 784. They are turned into floats and divided by 255.
# 2. The sum is $0.25 + 0.25 = 0.5$; the mean over four pixels is 0.125.
# 3. The product of both is $(3 + 1)/\sqrt 2 = 2.83$, the distance. Walking that far along the
#    direction leads to (2, 2).
# </details>

# %% [markdown]
# ## Set-up

# %%
import math

import matplotlib.pyplot as plt
import torch
from sklearn.mixture import GaussianMixture
from torch import nn

from vae_helpers import (
    claims,
    data,
    generated,
    plots,
    predict,
    runtime,
    training,
    widgets,
)
from vae_helpers.checks import lesson01 as check
from vae_helpers.expected import expected

plots.style()

# %%
SEED = 0
LONGER = 1  # 4 trains everything four times as long
SIZES = (2, 10, 20, 50)  # Z, bottleneck sizes to try; keep 2, 10 and 50
HIDDEN = 256  # width of the hidden layers
STEPS = LONGER * 2000  # optimiser steps of an autoencoder
LINEAR_STEPS = LONGER * 1500  # steps of a linear one: small, but slow to settle
WIDE_STEPS = LONGER * 400  # steps of the one as wide as the image, at the end
PIXELS = 28 * 28  # D

if not {2, 10, 50} <= set(SIZES):
    raise ValueError(f"SIZES needs 2, 10 and 50 for later cells, got {SIZES}")
device = runtime.start(SEED)
digits = data.load_images("MNIST")
test_x = data.to_unit_interval(digits.test_images).to(device)

# %% [markdown]
# ## The problem: how few numbers describe a digit?
#
# An image has 784 pixels. Most of the possible pictures look like nothing:

# %%
torch.manual_seed(SEED)
noise = torch.rand(5, 1, 28, 28)
plots.show_images(
    torch.cat([noise, test_x[:5].cpu()]),
    5,
    row_labels=["random pixels", "digits"],
)

# %% [markdown]
# **Figure 1.1. None of these random pictures resembles a digit.** Digits are a thin
# slice of all pictures: neighbouring pixels agree, strokes are connected.
#
# So fewer numbers should do. **Predict**: how many numbers does it take until you can
# read the digit again? 2, 10, 50, 200?
#
# ## Smallest case: two pixels, one number
#
# Take images of two pixels that are nearly equal. One number, the position along the
# diagonal, describes each image almost completely. To compress, project onto the
# direction of largest variance; to restore, walk back along it. (`torch.linalg.svd` finds the
# direction; the next section says how.)

# %%
torch.manual_seed(SEED)
brightness = torch.rand(200, 1)
pairs = brightness + 0.05 * torch.randn(200, 2)  # two pixels, nearly equal
centre = pairs.mean(0)
_, _, directions = torch.linalg.svd(pairs - centre, full_matrices=False)
code = (pairs - centre) @ directions[0]  # (200,) one number each
restored = centre + code[:, None] * directions[0]

# %%
figure, ax = plt.subplots(figsize=(4.2, 3.8))
ax.scatter(*pairs.T, s=12, label="images of two pixels")
ax.scatter(*restored.T, s=12, marker="x", label="restored from one number")
ax.plot(*torch.stack([pairs, restored]).unbind(2), color="grey", ls="-", lw=0.6)
ax.set(xlabel="pixel 1", ylabel="pixel 2", aspect="equal")
ax.legend()
plt.show()
error = ((pairs - restored) ** 2).mean().item()
variance = pairs.var(0, unbiased=False).mean().item()
print(f"squared error per pixel {error:.4f}, variance per pixel {variance:.4f}")

# %% [markdown]
# **Figure 1.2. From one number each image comes back on a line; its distance from the
# line, in grey, is lost.**
#
# One number can reach nothing else. This is **principal component analysis**
# (PCA): among all linear ways through $Z$ numbers it loses the least squared error.
#
# ## The maths: PCA by the singular value decomposition
#
# Put the images, minus their mean $m$, into the rows of a matrix. The singular value
# decomposition (SVD) writes it as a product of three, in code:
#
# `images - mean = U @ torch.diag(S) @ Vh`
#
# Read it for one image, that is for one row. The rows of `Vh` are directions in pixel space,
# pictures like the mean. The same row of `U @ torch.diag(S)` says how much of each direction
# to add to the mean to get this image. The directions have length 1 and are at right angles
# to one another (**orthonormal**). They stand in falling order of variance, the squared
# standard deviation of the images along them. The first $Z$ of them are the rows of $V$, and
# PCA stops the sum after these.
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $x$ | image, as in lesson 00, flattened | $(B, D)$ | `x` |
# | $m$ | mean image | $(D)$ | `mean` |
# | $V$ | principal directions, one a row, orthonormal | $(Z, D)$ | `directions` |
# | $z$ | code, as in lesson 00 | $(B, Z)$ | `z` |
#
# $$z = (x - m)\,V^\top, \qquad \hat x = m + z\,V.$$
#
# ### Exercise 01.1 · PCA from the singular value decomposition
#
# *core, medium, 10 minutes*
#
# Return the reconstruction of `x` from its first `size` principal components. Mean and
# directions come from `train`, so that nothing is learned from `x`.


# %% tags=["exercise"]
def pca_reconstruct(train, x, size):
    """train (N, D), x (B, D), size = Z -> (B, D), x restored from Z numbers."""
    ### BEGIN SOLUTION
    mean = train.mean(0)
    _, _, directions = torch.linalg.svd(train - mean, full_matrices=False)
    directions = directions[:size]  # (Z, D)
    z = (x - mean) @ directions.T  # (B, Z)
    return mean + z @ directions
    ### END SOLUTION


# %% tags=["check"]
check.pca_reconstruct(pca_reconstruct)

# %% [markdown]
# <details><summary>Hint 1: in which order?</summary>
#
# Mean, directions, code, reconstruction: four lines.
# </details>
# <details><summary>Hint 2: what does svd return?</summary>
#
# `U, S, Vh = torch.linalg.svd(matrix, full_matrices=False)`. The rows of `Vh` are the
# directions, in falling order of importance.
# </details>
# <details><summary>Hint 3: what is easily forgotten?</summary>
#
# The mean comes off before the projection, and back on after it. Both times it is the
# mean of `train`.
# </details>

# %% [markdown]
# The covariance of two pixels says how they vary together: the mean of their product, minus
# the product of their means. The eigenvectors of the table of all covariances are the same
# directions, and for many images they are faster to compute. To see that they are the same,
# put the SVD into that table. For centred images it is `images.T @ images` over their number,
# and `U.T @ U` is the identity, so what remains is `Vh.T @ torch.diag(S**2) @ Vh`: the rows
# of `Vh` are eigenvectors, and the squares of `S`, over the number, are the variances. We
# write PCA with them (`torch.linalg.eigh` returns the eigenvalues of a symmetric table in
# rising order, and the eigenvectors as columns) and measure it on the test images.


# %% tags=["definition"]
def pca(images, size):
    """(N, 1, 28, 28) uint8 -> mean (D,), directions (Z, D) in falling variance."""
    sums, products = 0.0, 0.0
    for chunk in images.flatten(1).split(5_000):  # in pieces, to save memory
        x = chunk.double() / 255
        sums, products = sums + x.sum(0), products + x.T @ x
    mean = sums / len(images)
    covariance = products / len(images) - mean[:, None] * mean
    _, vectors = torch.linalg.eigh(covariance)  # rising order
    return mean.float(), vectors.flip(1)[:, :size].T.contiguous().float()


# %%
mean, directions = pca(digits.train_images, max(SIZES))
flat = test_x.flatten(1).cpu()
pca_images, pca_error = {}, {}
for size in SIZES:
    kept = directions[:size]
    restored = mean + (flat - mean) @ kept.T @ kept
    pca_images[size] = restored[:10].unflatten(1, (1, 28, 28))
    pca_error[size] = ((restored - flat) ** 2).mean().item()
    print(f"Z = {size:2}: squared error per pixel {pca_error[size]:.4f}")

# %% [markdown]
# The **Expected panel** compares your numbers with a band. The band comes from runs with
# three seeds, on the data that you use, and is widened. Outside it, a setting is different
# or something is broken.

# %%
expected(
    "01", digits, {f"PCA, Z = {s}: error per pixel": pca_error[s] for s in (2, 10, 50)}
)

# %% [markdown]
# Two units are in use in this lesson. *Per pixel* is the mean over the 784 pixels, good to
# read; *per image* is their sum, 784 times larger, and it is what we minimise: sum over
# pixels, mean over the batch, as in all lessons.
#
# Now the directions themselves. They have as many numbers as an image:

# %% tags=["fold"]
plots.show_images(
    torch.cat([mean[None], 0.5 + 4 * directions[:10]]).unflatten(1, (1, 28, 28)),
    11,
    column_labels=["mean", *map(str, range(1, 11))],
    title="The mean image and the first ten principal directions",
)

# %% [markdown]
# **Figure 1.3. Directions are pictures: PCA adds multiples of them to the mean.** Mid-grey is
# 0. A positive multiple brightens where a direction is light and darkens where it is dark.

# %%
rows = torch.cat([test_x[:10].cpu()] + [pca_images[s] for s in SIZES])
labels = ["image"] + [f"PCA, Z = {s}" for s in SIZES]
plots.show_images(rows.clamp(0, 1), 10, row_labels=labels)

# %% [markdown]
# **Figure 1.4. With 2 numbers every image is a blend of a few ghosts; with more, the
# strokes come out.** Each row restores the same ten test images from $Z$ numbers.
#
# In which row do you read all ten digits for the first time? Was your prediction near?
#
# ## Build it: an autoencoder
#
# PCA encodes and decodes with a matrix. An **autoencoder** puts a network in place of each
# of them and learns both by gradient descent, from nothing but the images.

# %%
from vae_helpers import drawings

drawings.show("bottleneck")

# %% [markdown]
# As a class it has the layers in `__init__` and their use in `forward`. Each half is a matrix,
# a ReLU and a second matrix: from $D$ pixels over a hidden layer to $Z$ numbers, and back.
# Nothing comes behind the last matrix of a half, since a code number may be negative and an
# output anything.
#
# A training step has the same five parts for every model: the loss of a batch,
# `optimizer.zero_grad()`, `loss.backward()`, `optimizer.step()`, and a note of the loss.
# `backward()` **adds** the new gradients to those that are stored, and `step()` uses what is
# stored. So the order matters, and a wrong one gives no error. Take one weight 0.5, one
# pixel 1, and their product as output: the loss is $(0.5 - 1)^2 = 0.25$, its gradient
# $2\,(0.5 - 1) \cdot 1 = -1$, and a step of rate 0.1 leads to the weight 0.6. With `step()`
# before `backward()` nothing is stored yet, and the weight stays 0.5.
#
# ### Exercise 01.2 · An autoencoder and its training loop
#
# *core, medium, 10 minutes*
#
# Write both from an empty cell. The loop takes one step for each batch of the list, with the
# optimiser that it is given. Its loss is the squared error, summed over pixels, mean over the
# batch, and it returns the loss of each batch as a Python number. The check runs five steps
# with a tiny model whose weights it knows.


# %% tags=["exercise"]
class SmallAutoencoder(nn.Module):
    """x (B, C, H, W) -> reconstruction (B, C, H, W), through Z numbers an image."""

    def __init__(self, pixels, hidden, code_size):
        super().__init__()
        ### BEGIN SOLUTION
        self.encoder = nn.Sequential(
            nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, code_size)
        )
        self.decoder = nn.Sequential(
            nn.Linear(code_size, hidden), nn.ReLU(), nn.Linear(hidden, pixels)
        )
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        code = self.encoder(x.flatten(1))  # (B, Z)
        return self.decoder(code).view_as(x)
        ### END SOLUTION


def my_training(model, batches, optimizer):
    """batches: list of x (B, C, H, W) -> list of losses, one number for each batch."""
    ### BEGIN SOLUTION
    losses = []
    for x in batches:
        loss = ((model(x) - x) ** 2).flatten(1).sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


# %% tags=["check"]
check.write_an_autoencoder(SmallAutoencoder, my_training)

# %% [markdown]
# <details><summary>Hint 1: shapes and order</summary>
#
# The class: (B, C, H, W) becomes (B, D), then (B, Z), then (B, D), then (B, C, H, W) again.
# The loop: what must be known before a step is taken, and what must be gone before the next
# gradient is stored?
# </details>
# <details><summary>Hint 2: tools</summary>
#
# `nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, c))` is one half. `x.flatten(1)` keeps
# the batch axis and joins the others; `t.view_as(x)` gives `t` the shape of `x`. After
# `.flatten(1)` comes `.sum(1)` over pixels, then `.mean()` over the batch.
# </details>
# <details><summary>Hint 3: traps</summary>
#
# A layer that stands in a plain list is not learned. The target of the loss is `x` itself. A
# loss that is kept as a tensor keeps its whole graph: `.item()` makes a number of it.
# </details>

# %% [markdown]
# Our version splits `forward` into `encode` and `decode`, because later we want the code
# alone. With `hidden=0` it has one matrix on each side: a **linear**
# autoencoder.


# %% tags=["definition"]
class Autoencoder(nn.Module):
    def __init__(self, code_size, hidden=400, image_shape=(1, 28, 28)):
        super().__init__()
        self.image_shape = tuple(image_shape)
        pixels = math.prod(image_shape)  # D
        if hidden:
            self.encoder = nn.Sequential(
                nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, code_size)
            )
            self.decoder = nn.Sequential(
                nn.Linear(code_size, hidden), nn.ReLU(), nn.Linear(hidden, pixels)
            )
        else:
            self.encoder = nn.Linear(pixels, code_size)
            self.decoder = nn.Linear(code_size, pixels)

    def encode(self, x):
        return self.encoder(x.flatten(1))  # (B, Z)

    def decode(self, code):
        return self.decoder(code).unflatten(1, self.image_shape)  # (B, C, H, W)

    def forward(self, x):
        return self.decode(self.encode(x))


# %% [markdown]
# The training loop takes a random batch, measures the squared error between output and
# input, and moves the weights. The learning rate changes on the way (figure 1.5); lesson 04
# compares a schedule of this kind with a constant rate.


# %% tags=["definition"]
def warmup_cosine(fraction, warmup=0.1):
    """Share of the training done, in [0, 1] -> factor on the learning rate."""
    if fraction < warmup:
        return fraction / warmup
    return 0.5 * (1 + math.cos(math.pi * (fraction - warmup) / (1 - warmup)))


# %% tags=["definition"]
def train_autoencoder(
    model, images, *, steps, lr=3e-3, batch_size=128, seed=0, label="training"
):
    """Train x -> x in place; returns the loss of each step, squared error per image."""
    device = next(model.parameters()).device
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    generator = torch.Generator().manual_seed(seed)
    losses = []
    for step in training.progress(steps, label):
        index = torch.randint(len(images), (batch_size,), generator=generator)
        x = images[index].to(device).float() / 255
        loss = ((model(x) - x) ** 2).flatten(1).sum(1).mean()  # sum, then batch mean
        optimizer.param_groups[0]["lr"] = lr * warmup_cosine(step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# %% tags=["fold"]
figure, ax = plt.subplots(figsize=(4.5, 2.4))
shares = torch.linspace(0, 1, 200)
ax.plot(shares, [warmup_cosine(s) for s in shares.tolist()])
ax.set(xlabel="share of the training done", ylabel="factor on the learning rate")
plt.show()

# %% [markdown]
# **Figure 1.5. The learning rate climbs for a tenth of the training, then falls to 0
# along a cosine.**
#
# ## Train: is a linear autoencoder PCA?
#
# A linear autoencoder can at best do what PCA does. But nobody tells it about variances or
# eigenvectors. **Predict**: does gradient descent find the same error? The same
# directions?

# %%
linear_error, linear_models = {}, {}
for size in SIZES:
    torch.manual_seed(SEED)
    model = Autoencoder(size, hidden=0).to(device)
    train_autoencoder(
        model,
        digits.train_images,
        steps=LINEAR_STEPS,
        lr=1e-2,
        seed=SEED,
        label=f"linear, Z = {size}",
    )
    with torch.no_grad():
        linear_error[size] = ((model(test_x) - test_x) ** 2).mean().item()
    linear_models[size] = model

# %%
for size in SIZES:
    excess = linear_error[size] / pca_error[size] - 1
    print(f"Z = {size:2}: linear {linear_error[size]:.4f}, {excess:+.1%} against PCA")

# %%
ratio = linear_error[10] / pca_error[10]
expected("01", digits, {"linear over PCA, Z = 10: ratio of errors": ratio})

# %% [markdown]
# Gradient descent comes down to the error of PCA, or nearly so; what is left is training
# that has not settled, most of all at $Z = 2$. The panel below says how near.
#
# Now the directions. The columns of the decoder's matrix **span** a plane of dimension $Z$ in
# the space of images: all the pictures that are sums of multiples of them. `torch.linalg.qr`
# gives the same plane orthonormal directions, so that only the plane is compared and not the
# lengths. Two planes are compared by their **principal angles**: all cosines
# are 1 when the planes are the same.

# %%
decoder = linear_models[10].decoder.weight.detach().cpu()  # (D, Z)
basis, _ = torch.linalg.qr(decoder)  # orthonormal columns, same span
cosines = torch.linalg.svdvals(directions[:10] @ basis)
print("cosines of the principal angles:", [round(c, 3) for c in cosines.tolist()])
column = decoder / decoder.norm(dim=0)
best = (directions[:10] @ column).abs().max(0).values
print(
    "best match of each column with one direction:",
    [round(b, 2) for b in best.tolist()],
)

# %% [markdown]
# Cosines of 1 mean **the same subspace**. The smallest may lag behind: the variances along the
# tenth and the eleventh direction are close, so a plane that mixes the two loses little.
# The single columns, however, are not the
# principal directions but mixtures of them. The squared error does not care how the
# plane is described. Remember this: a code is only as meaningful as the loss demands.

# %%
claims.show(
    "01",
    digits,
    {
        "At Z = 10 the linear autoencoder's error is within 1 % of that of PCA.": abs(
            ratio - 1
        )
        < 0.01,
        "At Z = 10 both find the same subspace but for at most one direction: the "
        "second smallest of the ten cosines is above 0.98.": cosines.sort().values[1]
        > 0.98,
        "No column of its decoder is a principal direction (best match below "
        "0.98).": best.max() < 0.98,
    },
)

# %% [markdown]
# ## Train: what does the hidden layer add?

# %%
from vae_helpers import drawings

drawings.show("flat_and_bent")

# %% [markdown]
# The same bottlenecks, now with a hidden layer of ReLUs on both sides. The code may bend.
# **Predict.** With $Z = 10$, how many per cent less error than PCA will it have on test
# images?

# %%
predict.guess("error saved at Z = 10", None, unit="%")

# %% [markdown]
# The training of all sizes:

# %%
ae_error, ae_models, ae_losses = {}, {}, {}
for size in SIZES:
    torch.manual_seed(SEED)
    model = Autoencoder(size, HIDDEN).to(device)
    ae_losses[size] = train_autoencoder(
        model, digits.train_images, steps=STEPS, seed=SEED, label=f"Z = {size}"
    )
    with torch.no_grad():
        ae_error[size] = ((model(test_x) - test_x) ** 2).mean().item()
    ae_models[size] = model
expected(
    "01",
    digits,
    {f"autoencoder, Z = {s}: error per pixel": ae_error[s] for s in (2, 10, 50)},
)

# %% [markdown]
# <details><summary>My numbers are not in the band</summary>
#
# | Symptom | Likely cause |
# |---|---|
# | error near that of the mean image | learning rate too high |
# | error far above it that does not fall | no `optimizer.step()` |
# | error far too small | trained and measured on the same few images, or no bottleneck |
# | NaN | pixels not divided by 255 together with a high learning rate |
# </details>

# %% tags=["fold"]
figure, ax = plt.subplots(figsize=(5.5, 3.4))
for name, error, marker in [
    ("PCA", pca_error, "o"),
    ("linear autoencoder", linear_error, "x"),
    ("autoencoder with hidden layers", ae_error, "s"),
]:
    ax.plot(SIZES, [error[s] for s in SIZES], marker=marker, label=name)
ax.set(xscale="log", yscale="log")
ax.minorticks_off()
ax.set_xticks(SIZES, SIZES)
ax.set_yticks([0.01, 0.02, 0.04, 0.06], ["0.01", "0.02", "0.04", "0.06"])
ax.set(xlabel="bottleneck size Z", ylabel="test squared error per pixel")
ax.legend()
plt.show()
below = [s for s in SIZES if ae_error[s] < pca_error[s]]
print("hidden layers have less error than PCA at Z in:", below or "no size")

# %% [markdown]
# **Figure 1.6. Hidden layers lower the error at each of these bottlenecks; without them
# it stays near that of PCA.** Error on test images; both axes are logarithmic.
#
# Where the line under the figure names a size, a bent sheet follows the digits more
# closely than a flat one. The next lines say by how much. The sizes of the list are far
# below the width of the hidden layers; near that width the comparison may turn.

# %%
for size in SIZES:
    gain = 1 - ae_error[size] / pca_error[size]
    word = "less" if gain > 0 else "more"
    print(f"Z = {size:2}: {abs(gain):.0%} {word} error than PCA")

# %%
predict.truth("error saved at Z = 10", 100 * (1 - ae_error[10] / pca_error[10]))

# %% [markdown]
# How much of this is the method, and how much the patience? Look at the loss of the
# training, and train the largest bottleneck once more with a quarter of the steps.
# **Predict.** How many per cent of its advantage over PCA are there after a quarter of the
# steps? (Below 0 means that PCA is ahead.)

# %%
predict.guess("advantage after a quarter of the steps", None, unit="%")

# %% [markdown]
# The same model, the same seed, fewer steps:

# %%
widest = max(SIZES)
torch.manual_seed(SEED)
hasty = Autoencoder(widest, HIDDEN).to(device)
hasty_losses = train_autoencoder(
    hasty,
    digits.train_images,
    steps=max(1, STEPS // 4),
    seed=SEED,
    label=f"Z = {widest}, a quarter of the steps",
)
with torch.no_grad():
    hasty_error = ((hasty(test_x) - test_x) ** 2).mean().item()

# %% tags=["fold"]
figure, ax = plt.subplots(figsize=(6, 3.4))
for name, losses in [
    (f"{STEPS // 4:,} steps", hasty_losses),
    (f"{STEPS:,} steps", ae_losses[widest]),
]:
    pieces = torch.tensor(losses).split(max(1, STEPS // 50))
    middles = torch.arange(len(pieces)) * len(pieces[0]) + len(pieces[0]) / 2
    means = torch.stack([piece.mean() for piece in pieces]) / PIXELS
    ax.plot(middles, means, label=name)
ax.axhline(pca_error[widest], color="black", lw=0.8, label="PCA, test images")
ax.set(xlabel="training step", ylabel="squared error per pixel", yscale="log")
ax.set_title(f"Training batches, Z = {widest}")
ax.legend()
plt.show()
gain = {size: 1 - ae_error[size] / pca_error[size] for size in SIZES}
hasty_gain = 1 - hasty_error / pca_error[widest]
print(
    f"less error than PCA at Z = {widest}: {hasty_gain:.0%} after {STEPS // 4:,} steps,"
)
print(f"{gain[widest]:.0%} after {STEPS:,} steps")

# %% [markdown]
# **Figure 1.7. After a quarter of the steps, part of the advantage over PCA is still to
# come.** Both curves are losses on training batches, the black line is PCA on test
# images.

# %%
claims.show(
    "01",
    digits,
    {
        "At every bottleneck of the list the bent sheet has less error than the flat "
        "one.": min(gain.values()) > 0,
        "At Z = 10 it has at least a quarter less.": gain[10] > 0.25,
        "At the widest bottleneck a quarter of the steps shows less than nine tenths "
        "of the advantage.": hasty_gain < 0.9 * gain[widest],
    },
)

# %% [markdown]
# A comparison of methods after a short training compares their speed as well. Before you
# believe that one method is hardly better than another, look at the loss: is it still
# falling?

# %%
predict.truth("advantage after a quarter of the steps", 100 * hasty_gain / gain[widest])

# %% [markdown]
# ### What does the code save?
#
# A pixel is stored in 8 bits, a code number in 32. The compression ratio is the number of
# bits of the image over the number of bits of the code.
#
# ### Exercise 01.3 · What a code saves, and what it costs
#
# *core, easy, 6 minutes*
#
# Return both sides of the bargain: bits of one image over bits of its code, and the squared
# error of the reconstructions, summed over pixels, mean over images.


# %% tags=["exercise"]
def price_of_a_code(x, restored, pixel_bits, code_size, code_bits):
    """x, restored (B, C, H, W); bits per number; code_size = Z -> ratio, error."""
    ### BEGIN SOLUTION
    ratio = x[0].numel() * pixel_bits / (code_size * code_bits)
    error = ((restored - x) ** 2).flatten(1).sum(1).mean()
    return ratio, error
    ### END SOLUTION


# %% tags=["check"]
check.price_of_a_code(price_of_a_code)

# %% [markdown]
# <details><summary>Hint 1: how many numbers?</summary>
#
# An image has C times H times W pixels. The batch size has no place in the ratio.
# </details>
# <details><summary>Hint 2: tools</summary>
#
# `x[0].numel()` counts the pixels of one image. `.flatten(1).sum(1).mean()` sums over pixels
# and takes the mean over images.
# </details>
# <details><summary>Hint 3: which way round?</summary>
#
# A code that is smaller than the image has a ratio above 1. Six pixels of 8 bits in four
# numbers of 6 bits: 48 over 24, so 2.
# </details>

# %% tags=["nbval-check-output"]
for size in SIZES:
    before, after = PIXELS * 8, size * 32
    print(f"Z = {size:2}: {before} bits become {after}, ratio {before / after:.0f}")

# %%
print("squared error per image, test images:")
print(
    "\n".join(
        f"Z = {size:2}: PCA {PIXELS * pca_error[size]:5.1f}, "
        f"autoencoder {PIXELS * ae_error[size]:5.1f}"
        for size in SIZES
    )
)

# %% [markdown]
# The decoder's weights are not counted: they are paid once for all images. And nobody
# says that a code number needs 32 bits. Lesson 04 asks how much a code tells about its
# image.
#
# ## Look: the code plane
#
# With $Z = 2$ we can see the whole code space. **Predict**: will the codes of one digit lie
# together, and what will the decoder make of the places between them?

# %%
plane = ae_models[2]
with torch.no_grad():
    codes = plane.encode(test_x).cpu()
low, high = codes.quantile(0.02, dim=0), codes.quantile(0.98, dim=0)
print(f"codes reach from {codes.min():.0f} to {codes.max():.0f}")
unit = plots.square_of_codes(1.0, 15)  # from -1 to 1
grid = (low + high) / 2 + unit * (high - low) / 2
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.7))
plots.show_codes(codes[:2000], digits.test_labels[:2000], ax=left)
left.add_patch(plt.Rectangle(low, *(high - low), fill=False, lw=1.5))
left.set_title("Codes of test images")
with torch.no_grad():
    plots.show_images(plane.decode(grid.to(device)).clamp(0, 1), 15, ax=right)
right.set_title("Decoded codes inside the frame")
plt.show()

# %% [markdown]
# **Figure 1.8. The digits form clouds, although no label was given.** Left: the codes
# of test images. Right: what the decoder makes of a grid of codes inside the frame.
#
# The clouds have no common centre and no common size. Many lie on one heap, and there
# the pictures are smudges of several digits: two numbers are few, so the plane is
# **crowded**. Move through it yourself:


# %%
def show_code(figure, across, up):
    code = (low + high) / 2 + torch.tensor([across, up]) * (high - low) / 2
    map_, picture = figure.subplots(1, 2)
    plots.show_codes(codes[:1000], digits.test_labels[:1000], ax=map_)
    map_.plot(*code, "k+", markersize=16, markeredgewidth=3)
    image = plane.decode(code[None].to(device)).clamp(0, 1)
    plots.show_images(image, 1, ax=picture)
    distance = (codes - code).norm(dim=1).min()
    return f"Distance to the nearest code of a test image: {distance:.2f}."


widgets.explore(
    show_code,
    {
        "across": widgets.slider("Across", -1, 1),
        "up": widgets.slider("Up", -1, 1),
    },
    width=6.5,
    height=3.2,
)

# %% [markdown]
# ### Places where no code lies
#
# A code far from all codes of images is a **hole**: no training told the decoder what to do
# there. How far a place is from the codes says its *nearest* code, and the emptiest place is
# the one whose nearest code is farthest. With codes of one number, 0, 1 and 5, and four places
# to try, 1.5, 2, 3 and 4:

# %% tags=["nbval-check-output"]
print("place   distance to 0, 1, 5   nearest")
print(
    "\n".join(
        f"{place:5.1f}   {place:8.1f}{abs(place - 1):5.1f}{5 - place:5.1f}"
        f"{min(abs(place - 1), 5 - place):10.1f}"
        for place in (1.5, 2.0, 3.0, 4.0)
    )
)

# %% [markdown]
# The largest number of the last column is 2, at the place 3. With codes of two numbers the
# places to try are a grid.
#
# ### Exercise 01.4 · Find a hole
#
# *core, medium, 8 minutes*
#
# Return a code in the middle of the cloud whose nearest code is as far as possible. In the
# middle means: no farther from the mean of the codes than half of the codes are, the median of
# their distances. The check makes clouds of its own, and accepts a place that is four fifths
# as far as the best.


# %% tags=["exercise"]
def find_hole(codes):
    """codes (N, 2) -> (2,), a code in their middle, far from each of them."""
    ### BEGIN SOLUTION
    centre = codes.mean(0)
    reach = (codes - centre).norm(dim=1).median()
    line = torch.linspace(-1, 1, 41)
    steps = torch.cartesian_prod(line, line)  # (41 * 41, 2)
    places = centre + reach * steps[steps.norm(dim=1) <= 1]
    nearest = torch.cdist(places, codes).amin(1)  # one distance for each place
    return places[nearest.argmax()]
    ### END SOLUTION


# %% tags=["check"]
check.find_hole(find_hole)

# %% [markdown]
# <details><summary>Hint 1: three steps</summary>
#
# Make places to try, inside the circle that the task describes. Find the distance of each to
# its nearest code. Return the place with the largest.
# </details>
# <details><summary>Hint 2: tools</summary>
#
# `torch.linspace(-1, 1, 41)` and `torch.cartesian_prod(line, line)` make a grid, and
# `grid[grid.norm(dim=1) <= 1]` keeps a circle of it. `torch.cdist(places, codes)` is a table of
# distances with one row for each place.
# </details>
# <details><summary>Hint 3: smallest, then largest</summary>
#
# Over the codes take the smallest distance, over the places the largest. The circle has the
# mean of the codes as its centre, not the origin, and the median distance as its radius.
# </details>

# %% [markdown]
# The hole that our version finds among the codes of the test images, and its picture:

# %%
figure, axes = plt.subplots(1, 2, figsize=(7, 3.4), width_ratios=(3, 2))
plots.show_codes(codes[:2000], digits.test_labels[:2000], ax=axes[0])
axes[0].plot(*check.largest_hole(codes), "k+", markersize=16, markeredgewidth=3)
axes[0].set_title("The hole (cross) among the codes")
plots.show_images(
    plane.decode(check.largest_hole(codes)[None].to(device)).detach().clamp(0, 1),
    1,
    ax=axes[1],
)
axes[1].set_title("Decoded")
plt.show()
print(
    "distance to the nearest code:",
    f"{(codes - check.largest_hole(codes)).norm(dim=1).min():.2f};",
    f"spread of the codes: {codes.std():.2f}",
)

# %% [markdown]
# **Figure 1.9. A hole among the codes gets a picture, too, and nothing in the loss says
# which.** The cross is the place, at the right stands what the decoder makes of it.
#
# Whether this picture looks like a digit is luck. So whoever draws codes at random must
# know where codes of images lie, in the plane and in any other code space.
#
# ## Look: can it draw new digits?
#
# With 10 numbers there is room. To draw a new digit we need a code, so we need to know
# where codes lie. Three guesses, from poor to rich: a Gaussian with the mean and the spread
# of each code number; one that also knows how they vary together; and a **mixture** of 30
# such Gaussians, fitted by scikit-learn to codes of training images. A classifier will count them further
# down. **Predict.** Of how many per cent of the draws from the first, poorest guess will it be
# sure that they are a digit?

# %%
predict.guess("sure of draws, each number alone", None, unit="%")

# %% [markdown]
# Twelve draws from each density:

# %%
torch.manual_seed(SEED)
deep = ae_models[10]
with torch.no_grad():
    known = data.to_unit_interval(digits.train_images[:10_000]).to(device)
    known_codes = deep.encode(known).cpu().double().numpy()
guesses = {
    "each number alone": GaussianMixture(1, covariance_type="diag", random_state=0),
    "one Gaussian": GaussianMixture(1, random_state=0),
    "30 Gaussians": GaussianMixture(30, reg_covar=1e-4, max_iter=200, random_state=0),
}
drawn = {}
for name, guess in guesses.items():
    found = torch.from_numpy(guess.fit(known_codes).sample(2000)[0]).float()
    with torch.no_grad():
        new = deep.decode(found[torch.randperm(len(found))].to(device))
    drawn[name] = new.clamp(0, 1)
plots.show_images(
    torch.cat([new[:12] for new in drawn.values()]),
    12,
    row_labels=list(drawn),
    title="Z = 10: decoded draws from three densities of codes",
)

# %% [markdown]
# **Figure 1.10. Draws from 30 Gaussians are digits more often than draws from each
# number alone.** The same decoder drew all three rows; only the density of the codes
# differs.
#
# A count instead of a look: a small classifier, trained on real digits, is *sure* of a
# picture when one digit gets more than 90 % from it. Beside the draws stand
# reconstructions of test images, which is as good as this decoder can be.

# %%
classifier = generated.train_classifier(digits, steps=500, seed=SEED, device=device)


def share_sure(classifier, pictures):
    """(N, 1, 28, 28) -> share of pictures with a digit above 90 %."""
    _, chances = generated.features_and_probabilities(classifier, pictures)
    return (chances.max(1).values > 0.9).double().mean().item()


with torch.no_grad():
    pictures = {
        "real test images": test_x[:2000],
        "reconstructions, Z = 10": deep(test_x[:2000]).clamp(0, 1),
        "reconstructions, Z = 2": plane(test_x[:2000]).clamp(0, 1),
    }
sure = {n: share_sure(classifier, p) for n, p in {**pictures, **drawn}.items()}
for name, share in sure.items():
    print(f"{name:24} sure {share:6.1%}")

# %%
predict.truth("sure of draws, each number alone", 100 * sure["each number alone"])

# %% [markdown]
# ## Look: between two images
#
# We walk from one image to another, once by mixing pixels, once by mixing codes ($Z = 10$):
# two pairs that nobody chose, and then the middles of two thousand more, counted.

# %%
t = torch.linspace(0, 1, 10, device=device)[:, None]
walks = []
for first, second in (test_x[0:2], test_x[2:4]):
    with torch.no_grad():
        ends = deep.encode(torch.stack([first, second]))
        by_code = deep.decode((1 - t) * ends[0] + t * ends[1]).clamp(0, 1)
    weight = t[:, :, None, None]
    walks.extend([by_code, (1 - weight) * first + weight * second])
names = ["codes", "pixels", "codes", "pixels"]
plots.show_images(torch.cat(walks), 10, row_labels=names, title="Two walks, Z = 10")

# %% [markdown]
# **Figure 1.11. Mixed pixels are two transparent digits; mixed codes bend the stroke.**
# Each row goes from one test image, or its reconstruction, to another.

# %%
a, b = test_x[:2000], test_x[-2000:]
other = digits.test_labels[: len(a)] != digits.test_labels[-len(b) :]
with torch.no_grad():
    middles = deep.decode((deep.encode(a) + deep.encode(b)) / 2).clamp(0, 1)
half_codes = share_sure(classifier, middles[other.to(device)])
half_pixels = share_sure(classifier, ((a + b) / 2)[other.to(device)])
print(
    f"halfway between digits: sure {half_codes:.1%} (codes), {half_pixels:.1%} (pixels)"
)
claims.show(
    "01",
    digits,
    {
        "Two numbers crowd the digits: reconstructions at Z = 2 are sure less often "
        "than at Z = 10.": sure["reconstructions, Z = 2"]
        < sure["reconstructions, Z = 10"],
        "At Z = 10, draws from each number alone are sure less than two thirds as "
        "often as reconstructions.": sure["each number alone"]
        < 2 / 3 * sure["reconstructions, Z = 10"],
        "Draws from 30 Gaussians are sure at least four fifths as often as "
        "reconstructions.": sure["30 Gaussians"]
        > 0.8 * sure["reconstructions, Z = 10"],
    },
)

# %% [markdown]
# In the middle between two codes there is often a smudge. The count says how often: with so
# narrow a code, and a classifier that likes to see one of two transparent digits, codes need
# not win. Lesson 04 counts again with a wider code.
#
# So this autoencoder can draw. What it lacks is a density of codes: its training fixes
# none, and the poorest guess leaves many draws in places where no code lies. Whoever fits a
# good one afterwards has a model that draws. A VAE goes the other way and fixes the density
# before training.
#
# | | Autoencoder | VAE (lesson 04) |
# |---|---|---|
# | code of an image | a point | a small cloud |
# | where codes lie | wherever training left them | drawn towards a fixed prior |
# | density to draw codes from | to be fitted afterwards | the prior, fixed before training |
#
# Lesson 04 completes this table with measured columns, and both models draw from all of
# these densities there.
#
# ## Break it
#
# ### One number, or all of them
#
# **Predict** the error with a bottleneck of 1, and with one as wide as the image.

# %%
extreme = {}
for size in (1, PIXELS):
    torch.manual_seed(SEED)
    model = Autoencoder(size, HIDDEN if size == 1 else 0).to(device)
    steps = STEPS if size == 1 else WIDE_STEPS
    train_autoencoder(
        model, digits.train_images, steps=steps, seed=SEED, label=f"Z = {size}"
    )
    with torch.no_grad():
        extreme[size] = model(test_x[:10]).clamp(0, 1)
        noisy = ((model(noise.to(device)) - noise.to(device)) ** 2).mean().item()
        error = ((model(test_x) - test_x) ** 2).mean().item()
    print(f"Z = {size}: error per pixel {error:.4f} on digits, {noisy:.4f} on noise")
plots.show_images(
    torch.cat([test_x[:10], *extreme.values()]),
    10,
    row_labels=["image", "Z = 1", f"Z = {PIXELS}"],
)

# %% [markdown]
# **Figure 1.12. One number leaves a few shapes; as many numbers as pixels leave the
# image.** Below the images stand their reconstructions.
#
# One number puts the digits on a thread, and the pictures are the shapes that the
# thread passes through. With 784 numbers nothing has to be left out or summarised: the
# network may pass the image on, and a code that can hold everything says little about
# what digits are. Noise it cannot pass on; training never showed it the directions that
# digits do not use.
#
# ### A code ten times as large
#
# Multiply the code by ten and divide by ten at the entrance of the decoder. **Predict**:
# what changes in the loss, and what in the code space?

# %%
factor = 10.0
with torch.no_grad():
    wide = factor * plane.encode(test_x)
    error = ((plane.decode(wide / factor) - test_x) ** 2).mean().item()
print(f"spread of the codes: {codes.std():.1f} before, {wide.std():.1f} after")
print(f"error per pixel: {ae_error[2]:.4f} before, {error:.4f} after")
assert math.isclose(error, ae_error[2], rel_tol=1e-4), "the error has changed"

# %% [markdown]
# The loss does not change at all. An autoencoder has no scale of its own, so no
# distribution that is fixed *before* training can be the right one to draw codes from.
# Lesson 04 gives the codes a scale.

# %% [markdown]
# ## Questions that come up
#
# <details><summary>Why can an autoencoder not generate?</summary>
#
# It can, once a density is fitted to its codes: the 30 Gaussians above. Its training alone
# says nothing about where codes lie. A VAE fixes a density first and pays for every code
# that departs from it.
# </details>
# <details><summary>Why the squared error and not the absolute one?</summary>
#
# It makes the comparison with PCA exact. Lesson 03 shows that each choice of error is a
# choice of likelihood.
# </details>

# %% [markdown]
# ## Check yourself
#
# 1. A linear autoencoder with $Z = 10$ reaches the error of PCA. Are its ten code numbers
#    the first ten principal components?
# 2. Why is the error of PCA on *training* images a lower limit for linear autoencoders,
#    but not for deep ones?
# 3. A friend draws codes from $\mathcal N(0, I)$ and gets smudges from an autoencoder with
#    excellent reconstructions. Is the training at fault?
#
# <details><summary>Answers</summary>
#
# 1. No. They span nearly the same space, but each one is a mixture of the ten.
# 2. PCA is the best linear map through $Z$ numbers. A network with hidden layers may bend,
#    so the limit does not bind it.
# 3. No. The loss never mentioned $\mathcal N(0, I)$. The codes lie elsewhere; fit a density
#    to them and draw from that.
# </details>

# %% [markdown]
# ## Exercise 01.5 · A better encoder (open)
#
# *extension, hard, 30 minutes*
#
# Replace encoder and decoder by small convolutional networks, or feed noisy images and ask
# for clean ones. Keep $Z = 10$. Do you get below the error above in the same time? Report
# seconds, error on test images, and three seeds.
#
# <details><summary>Hint 1: the encoder</summary>
#
# Two convolutions with stride 2, then a linear layer to the code.
# </details>
# <details><summary>Hint 2: the decoder</summary>
#
# A linear layer, then transposed convolutions with stride 2. Check the shapes on a batch
# of two images.
# </details>
# <details><summary>Hint 3: a fair comparison</summary>
#
# Convolutions take longer for a step. Compare after equal time, not after equal steps.
# </details>
# <details><summary>What your report needs (after your own attempt)</summary>
#
# The number to beat is the autoencoder's at $Z = 10$: the panel under *What does the hidden
# layer add?* has its band. A difference counts if it is larger than the spread of your three
# seeds. A convolution that loses after equal time and wins after equal steps is a result,
# too: say both.
# </details>

# %% [markdown]
# Your predictions of this lesson, beside what was measured:

# %%
predict.review()

# %% [markdown]
# ## Summary
#
# | Idea | Formula | Function |
# |---|---|---|
# | PCA | $\hat x = m + (x - m) V^\top V$ | `pca` above |
# | autoencoder | $\hat x = \mathrm{decode}(\mathrm{encode}(x))$ | `vae.Autoencoder` |
# | squared error per image | $\sum_i (\hat x_i - x_i)^2$ | in `training.train_autoencoder` |
# | learning rate | warm-up, then cosine | `training.warmup_cosine` |
#
# **Sources.** Baldi and Hornik, *Neural networks and principal component analysis*, Neural
# Networks 2 (1989), for linear autoencoders. Hinton and Salakhutdinov, *Reducing the
# dimensionality of data with neural networks*, Science 313 (2006). Loshchilov and Hutter
# (arXiv:1608.03983), equation 5, for the cosine. Ghosh, Sajjadi, Vergari, Black and
# Schoelkopf, *From variational to deterministic autoencoders* (arXiv:1903.12436), for
# densities fitted to codes afterwards.
