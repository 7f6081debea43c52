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
# # 07 · Anomaly detection: can a VAE tell that something is wrong?
#
# We show a VAE normal images only, let it score new ones, and measure, beside plain
# baselines, which strange images it finds and which it takes for very normal.
#
# **You will be able to**
#
# - run a protocol that does not flatter: train and choose the threshold on normal data;
# - compute the scores of a VAE, with their signs and units, and compare them fairly;
# - report AUROC and average precision with intervals, for every class and several seeds;
# - show two cases in which a likelihood fails, and measure what repairs them.

# %% [markdown]
# ## Set-up

# %%
import math
import zlib
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from IPython.utils.capture import capture_output
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors

from vae_helpers import anomaly, data, plots, runtime, sprites, training, vae, widgets
from vae_helpers.bounds import importance_weighted_bound
from vae_helpers.checks import lesson07 as check
from vae_helpers.distributions import (
    bernoulli_entropy,
    bernoulli_log_likelihood,
    gaussian_log_likelihood,
    kl_to_standard_normal,
    reparameterize,
)
from vae_helpers.expected import expected

plots.style()

# %%
SEED = 0
SEEDS = range(3 * SEED, 3 * SEED + 3)  # every model of the main table is trained thrice
LATENT = 16  # Z, latent dimensions, and components of PCA
HIDDEN = 256  # width of the hidden layers
BATCH = 128  # images in a batch
STEPS = 250  # optimiser steps of each small model
PEAK_RATE = 3e-3  # learning rate at its highest
DRAWS = 4  # L, codes drawn for each image
NEIGHBOURS = 5  # of the nearest-neighbour baseline
REFERENCE = 1000  # normal images in which neighbours are sought
SUBSET = 2000  # images for the baselines and in smaller tests, 100 at least
FALSE_ALARMS = 0.05  # accepted share of false alarms
NORMAL = 3  # the digit of the examples, 0 to 9

device = runtime.start(SEED)
digits = data.load_images("MNIST")

# %% [markdown]
# Three of them have limits: a smaller `SUBSET` may lack a digit, `NORMAL` is a digit, and a
# rare false alarm needs many images to be measured.

# %%
if SUBSET < 100:
    raise ValueError(f"SUBSET must be 100 at least, got {SUBSET}")
if NORMAL not in range(10):
    raise ValueError(f"NORMAL must be a digit from 0 to 9, got {NORMAL}")
fewest = int(digits.train_labels.bincount().min())
lowest = 1 / (fewest - fewest * 4 // 5 + 1)  # one fifth of a digit is for validation
if not lowest <= FALSE_ALARMS < 1:
    raise ValueError(f"FALSE_ALARMS goes from {lowest:.4f} to 1, got {FALSE_ALARMS}")

# %% [markdown]
# ## The problem: a fault that nobody has seen
#
# A camera watches a production line. There are thousands of pictures of good parts, and
# hardly any of bad ones; the next fault may look like none before. So we cannot train a
# classifier. We can train a model of what is **normal** and ask how well a new image fits.
#
# Our stand-in: threes are normal, every other digit is strange. We split the threes
# of the training set into two parts, one to train on and one to choose a threshold with.


# %%
def split_normal(images, seed):
    """Shuffle; -> four fifths to train on, one fifth for validation."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    cut = len(images) * 4 // 5
    return images[order[:cut]], images[order[cut:]]


# %% [markdown]
# All models of this lesson are small copies of lesson 04's VAE, and all are trained by
# this function. Only the loss will change later.


# %%
def train_vae(images, seed, loss_fn=vae.vae_loss, quiet=True):
    """The small VAE of this lesson, trained with the loop of lesson 04."""
    torch.manual_seed(seed)
    model = vae.VAE(LATENT, HIDDEN).to(runtime.get_device())
    settings = {"steps": STEPS, "lr": PEAK_RATE, "seed": seed}
    settings["batch_size"] = min(BATCH, len(images))
    with capture_output(quiet, quiet, quiet):  # many small models need no bar each
        schedule = training.warmup_cosine
        training.fit(model, images, loss_fn, schedule=schedule, **settings)
    return model


# %%
normal_images = digits.train_images[digits.train_labels == NORMAL]
fit_images, validation_images = split_normal(normal_images, SEEDS[0])
model = train_vae(fit_images, SEEDS[0], quiet=False)
print(f"{len(fit_images)} normal images to train on, {STEPS} steps of {BATCH}")
print(f"{len(validation_images)} normal images for validation")

# %% [markdown]
# The model has seen threes and nothing else. **Predict**: what will it make of a 7?

# %%
is_normal = digits.test_labels == NORMAL
threes = digits.test_images[is_normal][:7]
kinds = [k for k in (0, 1, 2, 5, 7, 8, 9, 4, 6) if k != NORMAL][:7]
others = torch.stack([digits.test_images[digits.test_labels == k][0] for k in kinds])
examples = data.to_unit_interval(torch.cat([threes, others])).to(device)
plots.show_images(
    torch.cat([examples, model.reconstruct(examples)]),
    14,
    row_labels=["image", "reconstruction"],
    title="Seven normal and seven strange images, mean codes",
)

# %% [markdown]
# The reconstructions look like threes, or like blurred mixtures of them, whatever came in.
# For a three that is right; for
# the others it leaves a difference. The size of the difference can be a **score**: one
# number for each image, higher for stranger.
#
# ## Smallest case: five scores
#
# Three normal images score 1, 2 and 3, two strange ones 2 and 4. How good is that score? Take
# every pair of a normal and a strange image, and ask which of the two scores higher.

# %% tags=["nbval-check-output"]
normal_scores, strange_scores = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 4.0])
for strange in strange_scores.tolist():
    for usual in normal_scores.tolist():
        verdict = "right" if strange > usual else "wrong"
        verdict = "a tie" if strange == usual else verdict
        print(f"strange {strange:.0f} against normal {usual:.0f}: {verdict}")
print("AUROC:", anomaly.auroc(normal_scores, strange_scores, rounds=0).value)

# %% [markdown]
# Four pairs are right, one is a tie and counts one half: 4.5 of 6. This share is the
# **AUROC**, the area under the ROC curve (the share of strange images found against the share
# of false alarms, for all thresholds):
#
# $$\mathrm{AUROC} = P\big(s(x') > s(x)\big) + \tfrac12 P\big(s(x') = s(x)\big)$$
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $s(x)$ | score of an image, higher means stranger | $(B)$ | `scores` |
# | $x, x'$ | a normal and a strange image | | |
# | $\tau$ | threshold: an alarm when $s(x) > \tau$ | number | `threshold` |
# | $\alpha$ | false-alarm rate that we promise | number | `FALSE_ALARMS` |
# | $L$ | codes drawn for each image | number | `DRAWS` |
# | $P(\cdot)$ | probability | number | |
# | $C(x)$ | length of a compressed image | $(B)$ nats | `complexity` |
#
# It is 1 for a perfect score and 0.5 for one that says nothing. A value **below** 0.5 says
# that strange images score as more normal than normal ones. AUROC needs no threshold.
#
# ### Exercise 07.1 · AUROC by hand
#
# *core, easy, 7 minutes*
#
# Compute the AUROC from all pairs. Ties count one half. Do not use a library for it; two
# loops are fine.


# %% tags=["exercise"]
def auroc_by_hand(normal, strange):
    """normal (N,), strange (M,) scores, higher is stranger -> number in [0, 1]."""
    ### BEGIN SOLUTION
    difference = strange[:, None] - normal[None, :]  # (M, N), one for each pair
    right, tie = (difference > 0).double(), (difference == 0).double()
    return (right + 0.5 * tie).mean()
    ### END SOLUTION


# %% tags=["check"]
check.auroc_by_hand(auroc_by_hand)

# %% [markdown]
# <details><summary>Hint 1: how many pairs?</summary>
#
# N times M. Every normal image meets every strange one.
# </details>
# <details><summary>Hint 2: without loops</summary>
#
# `strange[:, None] - normal[None, :]` has shape (M, N) and holds all differences.
# </details>
# <details><summary>Hint 3: the ties</summary>
#
# A difference of exactly 0 is a tie. Count it with weight 0.5, a positive one with 1.
# </details>

# %% [markdown]
# ## Build it: scores of a VAE
#
# A VAE offers several scores. All are in nats but the squared error and the distance.
#
# | Score | Formula | Code |
# |---|---|---|
# | squared error | $\sum_i (x_i - \hat x_i)^2$ | mean |
# | Bernoulli term | $-\log p_\theta(x \mid z)$ | mean |
# | reconstruction probability | minus the mean of $\log p_\theta(x \mid z)$ | $L$ fresh draws |
# | $-\mathrm{ELBO}$ | the row above plus the KL | $L$ fresh draws |
# | $-\log p_\theta(x)$ | importance-weighted bound | $L$ fresh draws |
# | KL | $\mathrm{KL}(q_\phi(z \mid x) \Vert p(z))$ | none |
# | distance of the code | length of $\mu$ | mean |
#
# ### Exercise 07.2 · Two scores
#
# *core, medium, 10 minutes*
#
# Return the squared error with the **mean** code and $-\mathrm{ELBO}$ with **one sampled**
# code. `decode` gives logits; `eps` is the noise of the sample.


# %% tags=["exercise"]
def two_scores(x, mu, logvar, eps, decode):
    """x (B, C, H, W); mu, logvar, eps (B, Z) -> squared error (B,), -ELBO (B,)."""
    ### BEGIN SOLUTION
    error = (decode(mu).sigmoid() - x) ** 2
    z = mu + torch.exp(0.5 * logvar) * eps
    nats = F.binary_cross_entropy_with_logits(decode(z), x, reduction="none")
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    return error.flatten(1).sum(1), nats.flatten(1).sum(1) + kl
    ### END SOLUTION


# %% tags=["check"]
check.two_scores(two_scores)

# %% [markdown]
# <details><summary>Hint 1: shapes</summary>
#
# One number for each image: flatten to (B, D) and sum over axis 1. No mean at all.
# </details>
# <details><summary>Hint 2: which code?</summary>
#
# `decode(mu)` for the picture of the squared error; `decode(z)` with
# `z = mu + torch.exp(0.5 * logvar) * eps` for the ELBO.
# </details>
# <details><summary>Hint 3: signs</summary>
#
# Both scores are higher for stranger images: cross-entropy **plus** KL.
# </details>

# %% [markdown]
# An average over $L$ draws is one function. The codes must be drawn anew each time:
# one code, repeated $L$ times, would give the same number $L$ times.


# %% tags=["definition"]
@torch.no_grad()
def reconstruction_probability(model, x, draws):
    """(B, C, H, W) -> (B,) nats, mean of log p(x | z); higher is more normal."""
    mu, logvar = model.encode(x)
    total = torch.zeros(len(x), device=x.device)
    for _ in range(draws):
        z = reparameterize(mu, logvar)  # fresh for every draw
        total = total + bernoulli_log_likelihood(x, model.decode(z))
    return total / draws


# %% [markdown]
# All scores of a batch. The last one is new: the Bernoulli term **minus the entropy of the
# pixels**, the floor that lesson 04 computed. That floor depends on the image alone; it
# is high for images with much grey, whatever the model thinks of them.


# %%
@torch.no_grad()
def batch_scores(model, x):
    """(B, 1, 28, 28) -> name -> (B,) scores, higher is stranger."""
    mu, logvar = model.encode(x)
    logits, kl = model.decode(mu), kl_to_standard_normal(mu, logvar)
    bernoulli = -bernoulli_log_likelihood(x, logits)
    drawn = -reconstruction_probability(model, x, DRAWS)
    return {
        "squared error": ((logits.sigmoid() - x) ** 2).flatten(1).sum(1),
        "Bernoulli term": bernoulli,
        "reconstruction prob.": drawn,
        "-ELBO": drawn + kl,
        "KL": kl,
        "distance of the code": mu.norm(dim=1),
        "Bernoulli - entropy": bernoulli - bernoulli_entropy(x),
    }


# %% [markdown]
# The bound on $\log p_\theta(x)$ of lesson 03 costs more, so it stands alone and gets twice as
# many draws. For many images we work in pieces, so that memory stays small.


# %%
@torch.no_grad()
def bound_scores(model, x):
    return {"-log p": -importance_weighted_bound(model, x, 2 * DRAWS)}


# %%
def in_pieces(score, images):
    """(N, 1, 28, 28) uint8 -> what score(x) gives for 500 images at a time, joined."""
    found = [score(data.to_unit_interval(part)) for part in images.split(500)]
    runtime.release_memory()  # or it piles up to several hundred MB
    return {name: torch.cat([f[name] for f in found]).cpu() for name in found[0]}


def vae_scores(model, images, score_batch=batch_scores):
    """(N, 1, 28, 28) uint8 -> name -> (N,) scores on the CPU, higher is stranger."""
    where = next(model.parameters()).device
    return in_pieces(lambda x: score_batch(model, x.to(where)), images)


# %% [markdown]
# A repeated code shows itself at once: with fresh draws, the mean over many moves less
# than the mean over one. We measure the spread of one image's score in both cases.

# %%
torch.manual_seed(SEED)
many = examples[:1].expand(500, -1, -1, -1)  # the same image 500 times
one, fresh = (reconstruction_probability(model, many, n) for n in (1, 25))
repeated = torch.stack([one] * 25).mean(0)  # one draw, repeated 25 times
for name, values in [("one", one), ("25 repeats of it", repeated), ("25 fresh", fresh)]:
    print(f"{name:>17}: standard deviation {values.std():.2f} nats")
assert torch.allclose(repeated, one), "a repeated draw gives another mean"
quieter = "less" if fresh.std() < one.std() else "not less"
print(f"fresh draws spread {quieter} than one")

# %% [markdown]
# ### Baselines that any detector has to beat
#
# - **PCA**: the squared error after a projection on as many components as the VAE has
#   latents. It is the linear autoencoder of lesson 01.
# - **Nearest neighbours**: the mean distance, in pixels, to the nearest normal images.
# - **Isolation forest**: how few random cuts of pixel values separate the image from others.
# - **Pixel entropy**: looks at one image and needs no training at all.
#
# To save time and memory they learn from `SUBSET` normal images at most, and neighbours are
# sought among `REFERENCE`; the VAE learns from all. That favours the VAE: give the baselines
# everything before you believe a lead over them.


# %%
def baseline_scores(fit_images, images, seed):
    """uint8 images -> name -> (N,) scores, higher is stranger."""
    fit = data.to_unit_interval(fit_images[:SUBSET]).flatten(1).numpy()
    pca = PCA(min(LATENT, len(fit)), random_state=seed).fit(fit)
    near = min(NEIGHBOURS, REFERENCE, len(fit))
    search = NearestNeighbors(n_neighbors=near, algorithm="brute")
    search.fit(fit[:REFERENCE])
    forest = IsolationForest(random_state=seed).fit(fit)

    def score(x):
        flat = x.flatten(1).numpy()
        projected = pca.inverse_transform(pca.transform(flat))
        found = {
            "PCA": ((projected - flat) ** 2).sum(1),
            "nearest neighbours": search.kneighbors(flat)[0].mean(1),
            "isolation forest": -forest.score_samples(flat),
        }
        found = {name: torch.as_tensor(v).float() for name, v in found.items()}
        return found | {"pixel entropy": bernoulli_entropy(x)}

    return in_pieces(score, images)


# %% [markdown]
# ## Build it: a protocol that does not flatter
#
# 1. **Train** on normal images only.
# 2. **Choose the threshold** on normal images that were not trained on.
# 3. **Test** on images that played no part in 1 and 2, normal and strange.
# 4. Report AUROC and average precision with intervals, **every class** and several seeds.
#
# Step 2 needs no strange image. Say that one normal image in twenty may raise a false
# alarm, $\alpha = 0.05$. Take $n$ validation scores and one new normal image. If all $n + 1$
# are drawn independently from the same source, and none of them was used to make the score,
# the new score is as likely to be in the first place as in any other. So with
#
# $$\tau = \text{the score in place } \lceil (n + 1)(1 - \alpha) \rceil \text{ of the } n \text{ sorted validation scores}$$
#
# the new one lies above $\tau$ with a probability of at most $\alpha$. Nothing else is
# assumed: the scores may have any distribution.
#
# ### Exercise 07.3 · A threshold for a false-alarm rate
#
# *core, medium, 8 minutes*
#
# Return a threshold such that a share `rate` of normal images scores above it. You are
# given more than you need: use what may be used. Any way to handle the last image that
# does not divide evenly is accepted.


# %% tags=["exercise"]
def alarm_threshold(validation, test, test_is_strange, rate):
    """validation (N,), test (M,) scores; test_is_strange (M,) bool -> number."""
    ### BEGIN SOLUTION
    place = math.ceil((len(validation) + 1) * (1 - rate))
    return validation.sort().values[place - 1]
    ### END SOLUTION


# %% tags=["check"]
check.alarm_threshold(alarm_threshold)

# %% [markdown]
# <details><summary>Hint 1: which scores?</summary>
#
# Those of normal images that nobody reports on. Test scores are for the report.
# </details>
# <details><summary>Hint 2: which side?</summary>
#
# High scores raise alarms. With a rate of 0.05, 95 % of the normal scores lie below.
# </details>
# <details><summary>Hint 3: which function?</summary>
#
# Sort and count, as in the formula, or `torch.quantile`.
# </details>

# %% [markdown]
# Test scores are in reach of every notebook, and so is the temptation. Our version takes
# scores **with a tag** that says which part of the data they are from, and refuses others.


# %% tags=["definition"]
def choose_threshold(scores, false_alarm_rate):
    """Scores of normal validation images -> the threshold, a number."""
    if scores.split != anomaly.NORMAL_VALIDATION:
        raise ValueError(f"a threshold from {scores.split!r} scores would flatter")
    if not 0 < false_alarm_rate < 1:
        raise ValueError(f"need a rate between 0 and 1, got {false_alarm_rate}")
    n = len(scores.values)
    place = math.ceil((n + 1) * (1 - false_alarm_rate) - 1e-9)  # rounding of floats
    if place > n:
        raise ValueError(f"{n} scores are too few for a rate of {false_alarm_rate}")
    return scores.values.sort().values[place - 1].item()


# %%
validation = vae_scores(model, validation_images)["squared error"]
test = vae_scores(model, digits.test_images)["squared error"]
kept = anomaly.Scores(validation, anomaly.NORMAL_VALIDATION)
threshold = choose_threshold(kept, FALSE_ALARMS)
print(f"threshold: {threshold:.1f} (squared error, summed over pixels)")
for name, group in [(f"digits {NORMAL}", is_normal), ("other digits", ~is_normal)]:
    print(f"test {name} above it: {(test[group] > threshold).float().mean():.1%}")

# %% [markdown]
# And what happens with the scores of the test threes:

# %% tags=["nbval-check-output"]
try:
    choose_threshold(anomaly.Scores(test[is_normal], anomaly.TEST), FALSE_ALARMS)
except ValueError as refusal:
    print("refused:", refusal)

# %% [markdown]
# ### Move the threshold
#
# The histogram shows the test scores. Move the threshold and watch the four counts:
# strange images found and missed, normal images called strange, and left in peace. **Recall**
# is the share of strange images that are found, **precision** the share of alarms that are
# true. Nine test images in ten are strange here, which makes precision look good.


# %%
def show_threshold(figure, limit):
    ax, bins = figure.add_subplot(), np.linspace(0, test.quantile(0.995).item(), 60)
    usual, strange = test[is_normal], test[~is_normal]
    ax.hist(usual.numpy(), bins, density=True, alpha=0.5, label=f"normal ({NORMAL})")
    ax.hist(strange.numpy(), bins, density=True, alpha=0.5, label="strange", hatch="//")
    ax.axvline(limit, color="black", lw=1.5, label="threshold")
    ax.set(xlabel="squared error, summed over pixels", ylabel="density")
    ax.legend()
    n, m = len(usual), len(strange)
    false, found = int((usual > limit).sum()), int((strange > limit).sum())
    precision = f"{found / (found + false):.1%}" if found + false else "undefined"
    return (
        f"Strange: {found} found, {m - found} missed (recall {found / m:.1%}). Normal: "
        f"{n - false} left in peace, {false} false alarms ({false / n:.1%}). Precision "
        f"{precision}."
    )


# %%
highest = max(100, math.ceil(2 * threshold))
limit = widgets.slider("Threshold", 5, highest, round(threshold, 1), 0.5)
widgets.explore(show_threshold, {"limit": limit}, width=6, height=3)

# %% [markdown]
# The same picture without a kernel, with the threshold that validation chose:

# %%
figure = plt.figure(figsize=(6, 3))
print(show_threshold(figure, threshold))
plt.show()

# %% [markdown]
# The two histograms overlap. Wherever the threshold stands, some images are on its wrong
# side, and moving it trades one kind of mistake for the other.
#
# ## Train: ten digits, three seeds
#
# Each digit takes its turn as the normal one, and all other test images are strange.
# Thirty small models, each trained for `STEPS` steps with the schedule of lesson 04: enough
# for a fair comparison here, not for a record.


# %%
def one_class(digits, digit, seed):
    """Train on one digit; -> scores of its validation images and of all test images."""
    own = digits.train_images[digits.train_labels == digit]
    fit, held_back = split_normal(own, seed)
    vae_model = train_vae(fit, seed)
    found = {
        "validation": vae_scores(vae_model, held_back),
        "test": vae_scores(vae_model, digits.test_images),
    }
    if seed == SEEDS[0]:  # what is slow, or does not depend on our training
        found["test"] |= vae_scores(vae_model, digits.test_images, bound_scores)
        found["test"] |= baseline_scores(fit, digits.test_images, seed)
    return found


# %%
runs = list(product(range(10), SEEDS))
bar = training.progress(len(runs), "ten digits, three seeds each")
results = {run: one_class(digits, *run) for run, _ in zip(runs, bar, strict=True)}


# %%
def table_of_areas(results, labels):
    """-> name -> (10, seeds) AUROC in per cent, without intervals."""
    names, areas = results[0, SEEDS[0]]["test"], {}
    for name in names:
        rows = []
        for digit in range(10):
            tests = [results[digit, seed]["test"] for seed in SEEDS]
            values = [scores[name] for scores in tests if name in scores]
            strange = labels != digit
            pairs = [(v[~strange], v[strange]) for v in values]
            rows.append([100 * anomaly.auroc(*p, rounds=0).value for p in pairs])
        areas[name] = torch.tensor(rows)
    return areas


# %% [markdown]
# The quick scores of the VAE have three columns, one for each seed; the others have one.

# %%
areas = table_of_areas(results, digits.test_labels)
mean_area = {name: area.mean().item() for name, area in areas.items()}
order = sorted(mean_area, key=mean_area.get, reverse=True)

# %% [markdown]
# The table is the mean over seeds, sorted by its last column.

# %%
print(f"{'AUROC in %, normal digit:':26}{''.join(f'{k:6}' for k in range(10))}   mean")
for name in order:
    cells = "".join(f"{v:6.1f}" for v in areas[name].mean(1).tolist())
    print(f"{name:26}{cells}{mean_area[name]:7.1f}")
for name in ("squared error", "-ELBO"):
    seeds = ", ".join(f"{v:.1f}" for v in areas[name].mean(0).tolist())
    print(f"{name}: means of the three seeds {seeds}")

# %%
tracked = ["squared error", "-ELBO"]
expected(
    "07",
    digits,
    {f"one class, {name}: mean AUROC, %": mean_area[name] for name in tracked},
)

# %% [markdown]
# <details><summary>My numbers are not in the band</summary>
#
# | Symptom | Likely cause |
# |---|---|
# | AUROC below 50 for the squared error | a score with the wrong sign, or labels swapped |
# | AUROC of 100 for every digit | normal and strange images come from different files, sizes or scalings |
# | all scores of the VAE near 50 | the model was not trained, or trained on all digits |
# | $-$ELBO near 20 | only the KL is left: the Bernoulli term is missing, or its sign is wrong |
# | false-alarm rate far above the promise | validation images were trained on |
# </details>
#
# **Who wins** is for the numbers to say:

# %%
best_vae = max(results[0, SEEDS[0]]["validation"], key=mean_area.get)
print(f"Best mean: {order[0]} ({mean_area[order[0]]:.1f} %).")
print(f"Best score of the VAE: {best_vae} ({mean_area[best_vae]:.1f} %).")
rivals = torch.maximum(areas["PCA"][:, 0], areas["nearest neighbours"][:, 0])
better = (areas[best_vae].min(1).values > rivals).nonzero().flatten().tolist()
print(
    f"With every seed it beats both PCA and nearest neighbours on: {better or 'none'}."
)

# %%
gain = mean_area["squared error"] - mean_area["-ELBO"]
print(f"Squared error minus -ELBO: {gain:+.1f} points on average.")
change = (areas["-log p"] - areas["-ELBO"][:, :1]).mean().item()
print(f"Tighter bound (-log p) minus -ELBO: {change:+.1f} points, same models.")
by_seed = areas["squared error"].mean(0)  # (seeds,)
print(f"The seeds of the squared error differ by {by_seed.max() - by_seed.min():.1f}.")
lead = mean_area[best_vae] - mean_area["PCA"]
print(f"Best score of the VAE minus PCA: {lead:+.1f} points.")
cleaned = mean_area["Bernoulli - entropy"] - mean_area["Bernoulli term"]
print(f"Bernoulli term without the pixel entropy: {cleaned:+.1f} points.")
low = [n for n in ("KL", "distance of the code") if mean_area[n] < 50]
print("Below 50:", " and ".join(low) or "neither KL nor distance of the code")

# %% [markdown]
# Five things to take from it:
#
# - PCA, which has no hidden layer and fits in a second, comes near the best score of this
#   VAE, if it is not ahead of it. A VAE trained longer may pass it (try `STEPS = 1000`).
#   Print the baselines, always.
# - **Which score** may matter more than the seed does: compare the lead of the squared
#   error over the $-$ELBO with what the seeds differ by. A loss that is right for training
#   need not be the right score.
# - Where taking the pixel entropy out of the Bernoulli term helps, that part told about the
#   pen, not about the fault.
# - A bound nearer to $\log p_\theta(x)$ estimates $\log p_\theta(x)$ better. Whether it
#   detects better is another question, and the second line answers it.
# - Where KL or distance of the code is *below* 50, strange images get codes that cost
#   **less**. The encoder does not know them, so it says little about them.
#
# The *best* score of the VAE was picked by its test AUROC, so its row flatters by a little;
# the row of the squared error was fixed beforehand. Some repositories choose the best
# *epoch* by test AUROC; that is the fault shown under *Break it*, in another dress. Papers
# report means over ten digits under many protocols (normalised contrast, other splits, other
# scores), so a number from one of them belongs beside ours only after the protocol was
# repeated.

# %% [markdown]
# ## Look: which pixels are strange?
#
# The score is a sum over pixels, and the sum can be drawn. We add seven threes with a
# scratch, a white bar of three by eight pixels, which no threshold on whole images was made for.

# %%
scratched = examples[:7].clone()
scratched[:, :, 20:23, 4:12] = 1.0
looked_at = torch.cat([scratched, examples[7:]])
with torch.no_grad():
    logits = model.decode(model.encode(looked_at)[0])
    nats = F.binary_cross_entropy_with_logits(logits, looked_at, reduction="none")

# %%
x = looked_at
entropy = -(torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x))
square, surprise = (logits.sigmoid() - x) ** 2, nats - entropy
bright = surprise.quantile(0.995)  # shown as white
rows = [x, logits.sigmoid(), square, (surprise / bright).clamp(0, 1)]
labels = ["image", "reconstruction", "squared error", "nats - entropy"]
plots.show_images(torch.cat(rows), 14, row_labels=labels, title="Heat maps")
inside = square[:7, :, 20:23, 4:12].sum() / square[:7].sum()
print(f"the bar is {24 / 784:.1%} of the area and holds {inside:.0%} of the error")

# %% [markdown]
# Bright means strange. On the left the bar lights up, because the model has no code for it.
# On the right the strokes light up that a three would not have, **and** those that a three
# would have and the image lacks: the map shows the difference to what the model makes of the
# image, which need not be the nearest three. PCA gives such a map as well, and so does the
# difference to the nearest training image.

# %% [markdown]
# ## AUROC 0.95: are we done?
#
# AUROC compares one strange image with one normal one. On a production line strange images
# are rare. **Average precision** asks for the share of true alarms among all alarms, averaged
# while the threshold falls, and it depends on how rare they are. In our test sets nine
# images in ten are strange. We weight them so that it is one in a hundred.

# %%
print(f"{'digit':6}{'AUROC':>24}{'AP in the test set':>26}{'AP at 1 %':>26}")
rare = []
for digit in range(10):
    values = results[digit, SEEDS[0]]["test"]["squared error"]
    strange = digits.test_labels != digit
    pair = values[~strange], values[strange]
    rare.append(anomaly.average_precision(*pair, anomaly_rate=0.01))
    cells = anomaly.auroc(*pair), anomaly.average_precision(*pair), rare[-1]
    print(f"{digit:<6}" + "".join(f"{cell!s:>25}" for cell in cells))
print(f"mean of the last column: {np.mean([r.value for r in rare]):.3f}")

# %% [markdown]
# In brackets: bootstrap intervals, 200 rounds. Each round draws the normal and the strange
# test images again, with replacement. They say what other test images would change, not what
# another training would. For AUROC the 95 % can be trusted. **In the last column it cannot**:
# at 1 % a handful of normal images with high scores decides, a round may leave them out, and
# so both the value and its bracket lie too high, the more so the fewer normal images there
# are. Read it as "at best".
#
# The middle column is near 1 for every digit and says little, since calling **everything**
# strange would give 0.9. The last column is the one to show to the person who has to look at
# every alarm. What they would see at our threshold:

# %%
recall = (test[~is_normal] > threshold).float().mean().item()
alarms = 0.01 * recall + 0.99 * FALSE_ALARMS  # per image, one in a hundred strange
true = 100 * 0.01 * recall / alarms
print(f"Of 100 alarms {true:.0f} are true, with recall {recall:.0%}, the promised")
print(f"{FALSE_ALARMS:.0%} of false alarms, and one strange image in a hundred.")

# %% [markdown]
# ## Does the threshold keep its promise?
#
# For each digit and seed we choose the threshold on validation threes, fours and so on,
# and count false alarms on the test set.

# %%
rates = []
for digit, seed in runs:
    found = {part: s["squared error"] for part, s in results[digit, seed].items()}
    kept = anomaly.Scores(found["validation"], anomaly.NORMAL_VALIDATION)
    usual = found["test"][digits.test_labels == digit]
    alarms = usual > choose_threshold(kept, FALSE_ALARMS)
    rates.append(alarms.float().mean().item())

# %%
print(f"promised: {FALSE_ALARMS:.1%}; on the test set: mean {np.mean(rates):.1%}")
print(f"thirty models: from {min(rates):.1%} to {max(rates):.1%}")
few = min(len(results[k, SEEDS[0]]["validation"]["KL"]) for k in range(10))
print(f"(the smallest validation set has {few} images)")

# %% [markdown]
# The promise holds on average over validation sets and for images from the same source. One
# validation set is a draw, and so is the test set: single digits miss it, by more the smaller
# these are. In the full data other people wrote the test digits; where the source changes,
# nothing is promised.

# %% [markdown]
# ## The first failure: strange but easy
#
# Now nine digits are normal and one is strange. That is harder: the model has learned
# many strokes. **Predict** which digit is found worst. From here on we score `SUBSET` test
# images drawn at random, which is quicker. Not the *first* ones: the first half of MNIST's
# test set is not like the second.

# %%
shuffle = torch.Generator().manual_seed(SEED)
drawn = torch.randperm(len(digits.test_images), generator=shuffle)[:SUBSET]
some_images, some_labels = digits.test_images[drawn], digits.test_labels[drawn]

# %% [markdown]
# Ten models, each trained on all digits but one:


# %%
def held_out(digits, images, labels, digit, seed):
    """Train on nine digits; -> AUROC in % for the tenth, by name of the score."""
    fit = digits.train_images[digits.train_labels != digit]
    found = vae_scores(train_vae(fit, seed), images)
    found |= baseline_scores(fit, images, seed)
    strange = labels == digit
    return {
        name: 100 * anomaly.auroc(v[~strange], v[strange], rounds=0).value
        for name, v in found.items()
    }


# %%
bar = training.progress(10, "nine digits normal, one strange")
left_out = [held_out(digits, some_images, some_labels, k, SEEDS[0]) for k in bar]

# %%
print(f"{'AUROC in %, strange digit:':26}{''.join(f'{k:6}' for k in range(10))}   mean")
for name in left_out[0]:
    row = [area[name] for area in left_out]
    print(f"{name:26}{''.join(f'{v:6.1f}' for v in row)}{np.mean(row):7.1f}")

# %% [markdown]
# Who is ahead, and on which digit does the VAE beat both plain methods?

# %%
held_mean = {n: np.mean([area[n] for area in left_out]) for n in left_out[0]}
print(f"Best mean: {max(held_mean, key=held_mean.get)}.")
rivals = [max(area["PCA"], area["nearest neighbours"]) for area in left_out]
ahead = [k for k in range(10) if left_out[k]["squared error"] > rivals[k]]
print(f"Squared error ahead of PCA and neighbours on: {ahead or 'no digit'}.")
below = sum(area < 50 for area in left_out[1].values())
print(f"On the 1, {below} of {len(left_out[1])} scores lie below 50.")

# %% [markdown]
# The last line names the digits on which the squared error is ahead. The neighbours were
# sought among few of the normal images, so this is not yet a fair race, and one row holds
# for ten digits and one seed.

# %% [markdown]
# Look at the column of the 1 and at the last line: **scores are below 50**, those of the VAE
# and those of plain methods. By its $-$ELBO the digit that the model never saw is *more normal* than
# those it was trained on. Two things add up. A 1 has few grey pixels, so its floor is low:
# pixel entropy alone gives the lowest row. And it has little ink, so even a poor
# reconstruction leaves little error: without the floor the AUROC rises and is still low. All
# these scores are sums over pixels, and a sum grows with how *complicated* an image is.
#
# Nothing in training forbids a good reconstruction of a strange image. A mean over
# digits would have hidden this: show every class.
#
# ## The second failure: other data altogether
#
# The same happens with images from elsewhere, if they are plainer than the normal ones. In
# the literature's example the model is trained on garments (Fashion-MNIST) and finds
# digits more likely. Garments need the full data; small white shapes on black, which
# we draw ourselves, are plain enough to fool a model of digits.

# %%
small = sprites.make_sprites(28)
small_sprites = small.images[small.factors[:, 1] == 0]  # the smallest of four sizes
runtime.release_memory()

# %% [markdown]
# Each case has images to train on, normal test images and strange ones. The first are
# given by a function, so that only the set in use takes memory.

# %%
train_one = digits.train_labels != 1
cases = {
    "nine digits, 1": (
        lambda: digits.train_images[train_one],
        some_images[some_labels != 1],
        digits.test_images[digits.test_labels == 1],
    ),
    "digits, sprites": (
        lambda: digits.train_images,
        some_images,
        small_sprites,
    ),
}

# %%
try:
    usual = data.load_images("FashionMNIST").test_images[:SUBSET].clone()
    cases["garments, digits"] = (
        lambda: data.load_images("FashionMNIST", quiet=True).train_images,
        usual,
        some_images,
    )
except data.DataUnavailableError:
    print("Fashion-MNIST is not here: this part runs on digits and drawn shapes only.")


# %% [markdown]
# As a control we add images that are strange and **not** plain: each normal image with its
# own pixels shuffled, which keeps ink and entropy and destroys the shape.


# %%
def shuffled(images, seed):
    """(N, 1, 28, 28) -> the same, each image with its own pixels in random order."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(len(images), 784, generator=generator).argsort(1)
    return images.flatten(1).gather(1, order).view_as(images)


rows = [part[:: len(part) // 10][:10] for case in cases.values() for part in case[1:]]
rows.append(shuffled(digits.test_images[:10], SEED))
row_names = [f"{n}: {kind}" for n in cases for kind in ("normal", "strange")]
plots.show_images(torch.cat(rows), 10, row_labels=[*row_names, "shuffled pixels"])

# %% [markdown]
# In the names, the first word is what the model is trained on and the second what is
# strange. Every strange set but the last looks plainer than its normal images.
#
# ### Four repairs
#
# 1. **Take the entropy out**: the Bernoulli term of the ELBO minus the pixel entropy.
# 2. **A Gaussian likelihood** with a fitted $\sigma$ (one number for all pixels, the root of the
#    mean squared error). It has no entropy floor to begin with.
# 3. **Complexity** (Serrà et al. 2020): subtract the length $C(x)$ of the compressed image,
#    in nats: score $-\log p_\theta(x) - C(x)$. A compressor is a model of images in general.
# 4. **Likelihood ratio** (Ren et al. 2019): subtract what a second, *background* model says,
#    trained on images with disturbed pixels. (We use $-$ELBO for $-\log p$ in both, so the
#    gaps of both bounds enter.)
#
# In 3 and 4 we ask: is the image less likely under our model than one should
# expect **from an image that plain**?


# %%
def gaussian_loss(model, x):
    """The negative ELBO for Gaussian pixels; sigma is fitted to each batch."""
    mu, logvar = model.encode(x)
    mean = model.decode(reparameterize(mu, logvar)).sigmoid()
    sigma = ((mean - x) ** 2).mean().sqrt()
    reconstruction = -gaussian_log_likelihood(x, mean, sigma).mean()
    kl = kl_to_standard_normal(mu, logvar).mean()
    loss = reconstruction + kl
    return {"loss": loss, "reconstruction": reconstruction, "kl": kl}


# %% [markdown]
# The two background models differ in what takes the place of a changed pixel: another pixel
# of the **same image**, or uniform noise, as in the original recipe.


# %%
def own_pixels_loss(model, x):
    """The loss on images of which half the pixels come from elsewhere in the image."""
    flat = x.flatten(1)
    elsewhere = torch.randint(784, flat.shape, device=x.device)
    mixed = torch.where(torch.rand_like(flat) < 0.5, flat.gather(1, elsewhere), flat)
    return vae.vae_loss(model, mixed.view_as(x))


def noisy_pixels_loss(model, x):
    """The loss on images of which three pixels in ten are uniform noise."""
    change = torch.rand_like(x) < 0.3
    return vae.vae_loss(model, torch.where(change, torch.rand_like(x), x))


# %%
LOSSES = {
    "Bernoulli": vae.vae_loss,
    "Gaussian": gaussian_loss,
    "own pixels": own_pixels_loss,
    "noise": noisy_pixels_loss,
}

# %% [markdown]
# The compressed length is a property of the image alone. One byte is $8 \log 2$ nats.


# %%
def complexity(images):
    """(N, 1, 28, 28) uint8 -> (N,) nats: length of each image compressed by zlib."""
    lengths = [len(zlib.compress(image.numpy().tobytes(), 9)) for image in images]
    return torch.tensor(lengths) * 8 * math.log(2)


# %% [markdown]
# The parts that each model contributes, and the repaired scores made of them. The constant of
# the Gaussian density is the same for all images, so we leave it out.


# %%
@torch.no_grad()
def elbo_parts(model, x):
    """(B, 1, 28, 28) -> the parts that the repaired scores are made of, (B,) each."""
    mu, logvar = model.encode(x)
    kl, logits = kl_to_standard_normal(mu, logvar), model.decode(mu)
    drawn = model.decode(reparameterize(mu, logvar))
    return {
        "-ELBO": kl - bernoulli_log_likelihood(x, drawn),
        "kl": kl,
        "error": ((logits.sigmoid() - x) ** 2).flatten(1).sum(1),
        "drawn error": ((drawn.sigmoid() - x) ** 2).flatten(1).sum(1),
        "entropy": bernoulli_entropy(x),
    }


# %%
def repaired_scores(models, sigma, images):
    """Four models, sigma of the Gaussian one, uint8 images -> name -> (N,) scores."""
    of = {name: vae_scores(m, images, elbo_parts) for name, m in models.items()}
    plain, gauss, length = of["Bernoulli"], of["Gaussian"], complexity(images)
    gaussian = gauss["drawn error"] / (2 * sigma**2) + gauss["kl"]
    return {
        "-ELBO": plain["-ELBO"],
        "squared error": plain["error"],
        "-ELBO - entropy": plain["-ELBO"] - plain["entropy"],
        "Gaussian -ELBO": gaussian,
        "-ELBO - complexity": plain["-ELBO"] - length,
        "Gaussian -ELBO - complexity": gaussian - length,
        "ratio, own pixels": plain["-ELBO"] - of["own pixels"]["-ELBO"],
        "ratio, uniform noise": plain["-ELBO"] - of["noise"]["-ELBO"],
        "complexity alone": length,
    }


# %% [markdown]
# For each case we train the four models and score normal, strange and shuffled images. One
# seed only, to save time: values near 50 may change sides with another one, and 60 is no cure.


# %%
def repair_case(fit, usual, strange, seed):
    """-> AUROC in % of the strange and of the shuffled images, by name of the score."""
    models = {name: train_vae(fit, seed, loss) for name, loss in LOSSES.items()}
    parts = vae_scores(models["Gaussian"], fit[:SUBSET], elbo_parts)
    sigma = (parts["drawn error"].mean() / 784).sqrt()
    sets = usual, strange, shuffled(usual, seed)
    low, *others = (repaired_scores(models, sigma, images) for images in sets)
    return [
        {n: 100 * anomaly.auroc(low[n], high[n], rounds=0).value for n in low}
        for high in others
    ]


# %%
bar = training.progress(len(cases), "four models for each case")
repaired = {
    name: repair_case(training_images(), usual, strange, SEEDS[0])
    for (name, (training_images, usual, strange)), _ in zip(
        cases.items(), bar, strict=True
    )
}

# %%
head = "".join(f"{name:>20}{'shuffled':>10}" for name in repaired)
print(f"{'AUROC in %':28}{head}")
for name in repaired["nine digits, 1"][0]:
    cells = (f"{a[name]:20.1f}{b[name]:10.1f}" for a, b in repaired.values())
    print(f"{name:28}{''.join(cells)}")

# %% [markdown]
# A detector is as good as its worst case. The last row, complexity alone, is no repair but
# shows what the correction brings along.

# %%
listed = list(repaired["nine digits, 1"][0])[:-1]
flat = {n: [part[n] for case in repaired.values() for part in case] for n in listed}
for name in sorted(listed, key=lambda n: -min(flat[n])):
    print(f"lowest of the row {min(flat[name]):5.1f}  {name}")

# %% [markdown]
# Row by row, what is cured and what is new:

# %%
plain_cases = {name: strange for name, (strange, _) in repaired.items()}
failed = [name for name, area in plain_cases.items() if area["-ELBO"] < 50]
print("The -ELBO finds the strange images more normal in:", "; ".join(failed) or "none")
for name, area in plain_cases.items():
    helped = [n for n in listed[1:] if area[n] > 50 > area["-ELBO"]]
    print(f"- {name}: above 50 with {', '.join(helped) or 'none'}")

# %%
for case, (_, control) in repaired.items():
    lost = [n for n in listed if control[n] < 50]
    print(f"- shuffled ({case}): below 50 with {', '.join(lost) or 'none'}")

# %% [markdown]
# What the table says:
#
# - The $-$ELBO fails on plain images and does well on shuffled ones: it looks for
#   complicated images as much as for strange ones.
# - A repair that works for one case may do nothing for another. Read a whole row before you
#   believe it.
# - **Complexity** with the Bernoulli $-$ELBO finds the plain images and takes *shuffled* ones
#   for normal: their compressed length rises by more than their $-$ELBO does. But the two
#   numbers are not lengths of the same data. The first is in nats of grey pixels taken as
#   probabilities, the second in nats of 8-bit values, which is far more, so with weight 1 the
#   compressor decides. Look at the row of the Gaussian as well.
# - **The background model must share what should cancel.** Trained on images of which about
#   half the pixels come from elsewhere in the image, it knows how much ink there is and only
#   roughly where: the ratio asks for shape, and stays above 50 everywhere here. Trained with
#   uniform noise, as in the original, without that paper's larger model, weight decay and
#   tuning, it expects grey everywhere and pays for every black pixel. The table shows what
#   that does.
#
# These choices were made while looking at such tables. On a new problem they count as
# settings, and strange images that were used to choose them are no test images any more.

# %% [markdown]
# ## Break it
#
# ### A threshold chosen on the test set
#
# A habit: take the threshold with the best F1 on the test set (the harmonic mean of precision
# and recall), then report that F1. **Predict**: does next week's test set, from the same
# source, give the same F1? We draw pairs of small test sets, choose on the first, and measure
# on both. With larger sets the difference shrinks.


# %%
def f1_scores(limits, scores, strange):
    """(K,) thresholds; (N,) scores; (N,) bool -> (K,) F1 of the alarms."""
    alarms = scores > limits[:, None]  # (K, N)
    hits = (alarms & strange).sum(1)
    return 2 * hits / (alarms.sum(1) + strange.sum())


# %%
def small_test_sets(normal, strange, generator):
    """Two disjoint sets: (scores, is strange) each, one in eleven strange."""
    size = min(len(normal) // 2, 100)
    few, sets = size // 10, []
    n, m = (torch.randperm(len(v), generator=generator) for v in (normal, strange))
    labels = torch.arange(size + few) >= size
    for k in (0, 1):
        parts = normal[n[k * size :][:size]], strange[m[k * few :][:few]]
        sets.append((torch.cat(parts), labels))
    return sets


# %%
generator, found = torch.Generator().manual_seed(SEED), []
honest = torch.tensor([threshold])
for _ in range(1000):
    now, later = small_test_sets(test[is_normal], test[~is_normal], generator)
    limits = now[0]
    chosen = limits[f1_scores(limits, *now).argmax()][None]
    pairs = [(chosen, now), (chosen, later), (honest, now), (honest, later)]
    found.append([f1_scores(limit, *images).item() for limit, images in pairs])
on_now, on_later, honest_now, honest_later = np.mean(found, axis=0)

# %% [markdown]
# Now the same for the threshold that normal validation images gave us:

# %%
print("mean F1 of 1000 pairs of test sets   chosen here   next week")
print(f"threshold of best F1 on the test set {on_now:12.3f}{on_later:12.3f}")
print(f"threshold from normal validation     {honest_now:12.3f}{honest_later:12.3f}")
loss, drift = on_now - on_later, honest_now - honest_later
print(f"lost a week later: {loss:+.3f} in the first line, {drift:+.3f} in the second")

# %% [markdown]
# In the first line the left number is what such a paper would report and the right one is what its
# user would get. The difference is not skill, it is the choice. In the second line the
# two agree up to chance, because nothing was chosen on either set. Even the right
# number of the first line used labelled strange images, which the camera does not have.
#
# ### Strange images among the normal ones
#
# Nobody looks through thousands of training pictures. **Predict** what happens to each
# score when some of them are strange, in training and in validation alike.


# %%
def contaminate(part, images, others, share, generator):
    """Replace a share of `part` by some of images[others], both drawn at random."""
    count, part = round(share * len(part)), part.clone()
    places = torch.randperm(len(part), generator=generator)[:count]
    drawn = others[torch.randperm(len(others), generator=generator)[:count]]
    part[places] = images[drawn]
    return part


def contaminated(digits, tested, digit, share, seed):
    """Train on such images; -> scores of tested images, then of validation images."""
    is_own, generator = (
        digits.train_labels == digit,
        torch.Generator().manual_seed(seed),
    )
    others = (~is_own).nonzero()[:, 0]  # places of the strange images
    fit, held_back = (
        contaminate(part, digits.train_images, others, share, generator)
        for part in split_normal(digits.train_images[is_own], seed)
    )
    images = torch.cat([tested, held_back])
    scores = vae_scores(train_vae(fit, seed), images)
    return scores | baseline_scores(fit, images, seed)


# %%
shares, count = (0.0, 0.05, 0.1), len(some_images)
bar = training.progress(len(shares) * len(SEEDS), "strange images in training")
dirty = {
    run: contaminated(digits, some_images, NORMAL, *run)
    for run, _ in zip(product(shares, SEEDS), bar, strict=True)
}

# %% [markdown]
# The tag of the scores is a promise of ours. Here we break it, and nothing notices.


# %%
def area_and_recall(scores, held_back, strange):
    """-> AUROC, and the share of strange images above the threshold."""
    kept = anomaly.Scores(held_back, anomaly.NORMAL_VALIDATION)
    found = scores[strange] > choose_threshold(kept, FALSE_ALARMS)
    area = anomaly.auroc(scores[~strange], scores[strange], rounds=0)
    return area.value, found.double().mean().item()


# %%
compared = ("squared error", "PCA", "nearest neighbours")
harm = {}
for name, share in product(compared, shares):
    parts = [dirty[share, seed][name].tensor_split([count]) for seed in SEEDS]
    pairs = [area_and_recall(*both, some_labels != NORMAL) for both in parts]
    area, caught = harm[name, share] = np.mean(pairs, axis=0)
    print(f"{name:19}{share:4.0%} strange: AUROC {area:.3f}, found {caught:.1%}")
for name in compared:
    area_left, found_left = harm[name, shares[-1]] / harm[name, shares[0]]
    print(f"{name:19}left of AUROC {area_left:.0%}, of what was found {found_left:.0%}")

# %% [markdown]
# The last lines say what is left of both with one strange image in ten. Part of that is the
# model, part the threshold: strange validation images fill the upper end of the sorted scores
# and push the threshold up, so that false alarms become rarer than promised. Our tag says *normal validation* and cannot
# check it. Look at the highest validation scores by eye: there are few of them.

# %% [markdown]
# ## Questions that come up
#
# <details><summary>Where do I put the threshold?</summary>
#
# At a quantile of scores on **normal** validation data: the rate that you accept for
# false alarms. Never on the test set.
# </details>
# <details><summary>Why are anomalies reconstructed well?</summary>
#
# Nothing in training forbids it: a decoder that has learned strokes can draw other strokes,
# and an image with little ink leaves little error in any case. Compare with nearest
# neighbours and PCA.
# </details>
# <details><summary>Reconstruction or ELBO as score?</summary>
#
# Try both, and print both. The Bernoulli term also carries the pixel entropy, so sparse images
# look "normal": see the columns of the 1. Taking the entropy out, or the squared error,
# removes one cause and not the other: little ink, little error.
# </details>
# <details><summary>AUROC 0.95 - done?</summary>
#
# Show every held-out class, several seeds, and average precision at a realistic anomaly
# rate.
# </details>
# <details><summary>Average over L draws?</summary>
#
# Then draw $z$ anew $L$ times; repeating one $z$ changes nothing.
# </details>

# %% [markdown]
# ## Check yourself
#
# 1. A score has an AUROC of 0.1. May you flip its sign and report 0.9?
# 2. Why does the threshold need no strange image, and AUROC does?
# 3. A colleague's detector finds all images of another data set. Why is that weak evidence?
#
# <details><summary>Answers</summary>
#
# 1. Only if you decided on the sign before you saw strange images. The next kind of fault may
#    lie on the other side: shuffled images do.
# 2. The threshold promises a rate of *false* alarms, which concerns normal images alone. How
#    many faults are found depends on the faults.
# 3. The other set may differ in something cheap, such as ink or compressed length. Show a plain
#    and a complicated strange set, and a score that looks at entropy only.
# </details>

# %% [markdown]
# ## Exercise 07.4 · Likelihood regret (open)
#
# *extension, hard, 45 minutes*
#
# Xiao et al. (2020) ask how much one image could gain if the encoder were tuned **for
# this image alone**. Train a model with `train_vae(digits.train_images, seed)`. Take 300 test
# digits, 300 of `small_sprites`, and the digits again, `shuffled`. For each image start from the encoder's $\mu$ and $\log \sigma^2$, improve its
# ELBO with 50 steps of Adam on these two alone, and use the gain as a score. Report the AUROC
# of sprites and of shuffled images beside those of $-$ELBO on the same images, for three
# seeds, and the time it takes.
#
# <details><summary>Hint 1: many images at once</summary>
#
# Make `mu` and `logvar` of the whole batch leaf tensors with `requires_grad_()`. Sum the
# ELBO over the batch: images do not influence each other.
# </details>
# <details><summary>Hint 2: noise</summary>
#
# Estimate the ELBO before and after with the same noise, and with ten draws or more.
# Otherwise the difference is mostly noise.
# </details>
# <details><summary>Hint 3: what to expect</summary>
#
# The gain is never far below 0. If it is, the learning rate is too high.
# </details>

# %% [markdown]
# ## Summary
#
# | Formula | Function |
# |---|---|
# | scores with the part of the data they are from | `anomaly.Scores` |
# | $\tau$ in place $\lceil (n + 1)(1 - \alpha) \rceil$ | `anomaly.choose_threshold` |
# | mean of $\log p_\theta(x \mid z)$ over $L$ fresh draws | `anomaly.reconstruction_probability` |
# | AUROC with an interval | `anomaly.auroc` |
# | average precision at a rate, with an interval | `anomaly.average_precision` |
#
# **Sources.** An and Cho 2015, *Variational autoencoder based anomaly detection using
# reconstruction probability*, algorithm 4; we average $\log p$, as the ELBO does. Nalisnick et al. (arXiv:1810.09136) on garments and
# digits. Serrà et al. (arXiv:1909.11480), section 3. Ren et al. (arXiv:1906.02845), section 3;
# moving the image's own pixels is our variant. Xiao et al. (arXiv:2003.02977), section 3. Ruff et
# al. 2018, *Deep one-class classification*. Perera et al. (arXiv:1903.08550). Abati et al.
# (arXiv:1807.01653). Vovk et al. 2005, section 4.1, for the threshold. Liu et al. 2008 for
# the isolation forest.
