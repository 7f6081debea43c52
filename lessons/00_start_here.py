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
# # 00 · Start here: how does this course work?
#
# In ten minutes you see the data, the notation and one exercise, so that none of them
# is in your way when the ideas begin.
#
# **You will be able to**
#
# - run a lesson from top to bottom and know what its parts are for;
# - say which images you work with, and what range their pixels have;
# - look a symbol up in the notation table that all lessons share;
# - read the three answers of a check: not attempted, right, or wrong with a diagnosis.

# %% [markdown]
# ## Set-up
#
# The cell above makes the course's helpers importable. Every lesson then has one cell
# with its imports and one with its settings. Names in capitals are settings: change
# them as you like, and run the cells below again. In the lessons that train, `LONGER = 4`
# takes four times as many steps.

# %%
import torch
import torch.nn.functional as F

from vae_helpers import data, distributions, plots, predict, runtime, widgets
from vae_helpers.checks import lesson00 as check

plots.style()

# %%
SEED = 0  # every random number of the lesson follows from it
ROWS = 8  # rows of ten digits in the figure

device = runtime.start(SEED)

# %% [markdown]
# The line says where the lesson runs. A graphics card is used when there is one; two
# CPU cores are enough for every lesson.
#
# ## How a lesson works
#
# | Part | What you do |
# |---|---|
# | **Problem** | Look at something that does not work yet, and predict why. |
# | **Smallest case** | Follow the idea with one or two numbers. |
# | **Build, train, look** | Read short cells, run them, compare with the Expected panel. |
# | **Predict** | Type your guess before the result: the next section has the first one. |
# | **Break it** | Make a famous mistake on purpose. Predict the symptom first. |
# | **Exercise** | Replace the line `raise NotImplementedError`, run the check below it. |
# | **Check yourself** | Answer the questions, then unfold the answers. |

# %%
from vae_helpers import drawings

drawings.show("map")

# %% [markdown]
# **Keys.** *Shift+Enter* runs a cell and goes on to the next. A click on the bar at the left
# of a cell folds it, another click unfolds it. The list symbol at the left edge of the
# window opens the table of contents (menu: *View*, *Table of Contents*).
#
# **Run All** is for coming back: it brings you to where you stopped. On a first reading go
# cell by cell, and predict before you run. *Run All* never stops at an exercise that you have
# not solved: its check says *not attempted*, and nothing later depends on your answer.
# When cells behave oddly, choose *Restart Kernel and Run All*: a notebook remembers cells in
# the order in which you ran them, not in the order in which you see them.
#
# **Panels.** An *Expected* panel holds your numbers against a band, measured with three seeds
# and widened, because the same seed may give other digits on other hardware. Outside it, a
# setting is different or something is broken. A *claims* panel says of sentences of the
# lesson whether they hold here, and in how many recorded runs they did: other seeds, all
# digits or the small sample, longer training. "In 7 of 8" names the run that did not
# agree; in yours the sentence may fail, too.
#
# **An AI assistant** can write the answers; then it has practised, and you have not. Do not
# paste the exercise. Make your own attempt, show it *that* and the message of the check, and
# ask what the message means, or for one hint without code. It may explain any line of a
# lesson; test on numbers what it says.
#
# ## The data
#
# Most lessons use MNIST: small grey pictures of handwritten digits. With a connection they
# are downloaded once. Without an internet connection, the course uses 5,000 of the same digits that come
# with an installed package. The printed line says which.

# %%
digits = data.load_images("MNIST")

# %% [markdown]
# **Predict** before you run the next cell: which values do the pixels take, and is the
# background 0 or the largest value?

# %%
print("images:", tuple(digits.train_images.shape), digits.train_images.dtype)
print(
    "pixels:", digits.train_images.min().item(), "to", digits.train_images.max().item()
)
print("top left corner of the first image:", digits.train_images[0, 0, 0, :5].tolist())

# %% [markdown]
# Some predictions are numbers. You type yours in place of `None`; further down the same
# name comes back with what was measured, and the end of the lesson lists all of them. No
# guess is marked, and without one the lesson goes on. **Predict.** How many per cent of all pixels are
# exactly 0?

# %%
predict.guess("pixels that are 0", None, unit="%")  # your number in place of None

# %% [markdown]
# A look at some of the images first:

# %%
rows = min(ROWS, int(digits.train_labels.bincount().min()))  # no digit has fewer
order = [
    (digits.train_labels == digit).nonzero().flatten()[:rows] for digit in range(10)
]
grid = digits.train_images[torch.stack(order, dim=1).flatten()]
plots.show_images(
    grid, 10, title="Examples of every digit", column_labels=list("0123456789")
)

# %% [markdown]
# **Figure 0.1. The same digit is written thick and thin, upright and slanted.** Look
# down the columns: each holds one digit.
#
# A model that generates digits has to learn this variation, not ten templates. And the
# black ground is large:

# %%
predict.truth(
    "pixels that are 0", 100 * (digits.train_images == 0).float().mean().item()
)

# %% [markdown]
# An image tensor has four axes, `(N, C, H, W)`: number of images, channels (1 for grey),
# height and width. Pixels are stored as whole numbers from 0 (background) to 255, one
# byte each. The models want numbers between 0 and 1, so every batch is divided by 255
# on its way in:

# %% tags=["nbval-check-output"]
x = data.to_unit_interval(digits.train_images[:4])
print(tuple(x.shape), x.dtype, f"{x.min():.2f} to {x.max():.2f}")

# %% [markdown]
# ## Look around
#
# This is the first live figure. Choose a digit and move the slider, with the mouse or
# with the arrow keys. Lessons have figures like this; they need a running kernel, so a
# static figure always stands near them, here the grid above.


# %%
def show_digit(figure, digit, number):
    own = digits.train_images[digits.train_labels == digit]
    ax = figure.add_subplot()
    plots.show_images(own[number - 1 : number], 1, ax=ax)
    return f"Digit {digit}, example {number} of {len(own):,}."


widgets.explore(
    show_digit,
    {
        "digit": widgets.choice("Digit", list(range(10))),
        "number": widgets.slider("Example", 1, 200, value=1, step=1, whole=True),
    },
    width=2.6,
    height=2.6,
)

# %% [markdown]
# ## Exercise 00.1 · Pixels between 0 and 1
#
# *core, easy, 5 minutes*
#
# Write what `to_unit_interval` does for stored images: take `images`, a `uint8` tensor of
# any shape, and return a `float32` tensor of the same shape, with 0 for 0 and 1 for 255.
#
# Run the check first, before you write anything: it says **not attempted**. Then try
# something wrong on purpose, such as `return images // 255`. **Wrong** comes with a
# diagnosis, if the mistake is a usual one. Then try `return images.float() / 200`. This is no
# usual mistake, so the check prints a tiny case, with your result and the right one. Work it
# on paper; where you and your code part is the mistake. Stuck? Open one hint, try again,
# then the next.


# %% tags=["exercise"]
def scale_pixels(images: torch.Tensor) -> torch.Tensor:
    """(...) uint8 from 0 to 255 -> (...) float32 from 0 to 1."""
    ### BEGIN SOLUTION
    return images.float() / 255
    ### END SOLUTION


# %% tags=["check"]
check.scale_pixels(scale_pixels)

# %% [markdown]
# <details><summary>Hint 1: what is wrong with whole numbers?</summary>
#
# A `uint8` tensor holds whole numbers only. Between 0 and 1 there are none, so first ask
# for another type.
# </details>
# <details><summary>Hint 2: which method?</summary>
#
# `tensor.float()` gives a `float32` copy.
# </details>
# <details><summary>Hint 3: which number?</summary>
#
# The largest stored value must become exactly 1. The largest value of one byte is 255,
# not 256.
# </details>

# %% [markdown]
# ## Break it: what if nobody divides by 255?
#
# Later the decoder gives each pixel a **logit**: any real number, which the sigmoid turns
# into a probability of white. The loss compares it with the pixel $x$. It is called binary
# cross-entropy and is never negative for $x$ between 0 and 1. **Predict**: what does
# PyTorch's function do with a pixel of 255?

# %%
pixel, logit = torch.tensor([255.0]), torch.tensor([5.0])
print("loss of one pixel:", F.binary_cross_entropy_with_logits(logit, pixel).item())

# %% [markdown]
# No error, and a large negative number. The loss is `log(1 + exp(logit)) - logit * pixel`,
# here 5.007 - 5 * 255: with a pixel above 1 it falls without end as the logit grows. A model
# that is trained on this loss gets "better" for ever and learns nothing. The helpers of this
# course refuse such input and say why:

# %% tags=["nbval-check-output"]
try:
    distributions.bernoulli_log_likelihood(pixel[None], logit[None])
except ValueError as error:
    print("ValueError:", error)

# %% [markdown]
# ## Notation
#
# All lessons use these symbols, in formulas and in code. Read the rows of $x$, $z$ and $\hat x$
# now. You need not understand the other words yet: lessons 02 and 03 explain each of them. Come
# back when you meet a symbol that you
# forgot; *symbols and words*, at the top of each lesson, leads to those of all lessons. Where
# a lesson needs a letter for something else, a table of its own says so. The
# code works with logarithms: for a density $p$, the function in the last column
# returns $\log p$. **Shapes**: $B$ images in a
# batch, $D$ pixels in an image, $Z$ latent dimensions, $S$ samples. One convention holds
# everywhere: **sum over pixels and over latent dimensions, mean over the batch, unit nats
# per image** (a nat is $1/\ln 2 \approx 1.44$ bits).

# %%
from vae_helpers import drawings

drawings.show("vae")

# %% [markdown]
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $x$ | an image, pixels in $[0, 1]$ | $(B, 1, 28, 28)$, $D = 784$ | `x` |
# | $z$ | the code of an image, the latent variable | $(B, Z)$ | `z` |
# | $\hat x$ | a reconstruction of $x$ | as $x$ | `reconstruction` |
# | $p(z)$ | prior, standard normal $\mathcal N(0, I)$ | $(B)$ | `standard_normal_log_prob` |
# | $p_\theta(x \mid z)$ | likelihood, given by the decoder | $(B)$ | `bernoulli_log_likelihood` |
# | $q_\phi(z \mid x)$ | approximate posterior, given by the encoder | $(B)$ | `normal_log_prob` |
# | $\theta, \phi$ | weights of decoder and encoder | | `model.parameters()` |
# | $\mu, \sigma$ | mean and standard deviation of $q_\phi(z \mid x)$ | $(B, Z)$ | `mu`, `torch.exp(0.5 * logvar)` |
# | $\log \sigma^2$ | log-variance | $(B, Z)$ | `logvar` |
# | $\varepsilon$ | standard normal noise, $z = \mu + \sigma \varepsilon$ | $(B, Z)$ | `eps` |
# | $\mathrm{KL}(q \,\Vert\, p)$ | Kullback-Leibler divergence, never negative | $(B)$ | `kl_to_standard_normal` |
# | $\mathrm{ELBO}$ | lower bound on $\log p_\theta(x)$; higher is better | $(B)$ | minus `loss`, for `beta` 1 |
# | $\beta$ | weight of the KL in the loss; 1 gives the ELBO | number | `beta` |
# | $\mathbb E_q[\cdot]$ | mean over draws from $q$ | | `.mean()` |
#
# Names say the sign: a `log_likelihood` or a bound is better when higher; a `loss` is
# better when lower.

# %% [markdown]
# ## Check yourself
#
# 1. You change a setting and run only the last cell. Which value does it use?
# 2. A friend's notebook prints other digits behind the decimal point with the same
#    seed. Is one of you wrong?
# 3. A claims panel says of a sentence: holds here, and held "in 6 of 8" recorded runs. Your
#    report has one line for it. What do you write?
#
# <details><summary>Answers</summary>
#
# 1. The one from the last time the settings cell ran. Run the settings cell, then the
#    cells below it.
# 2. No. PyTorch promises equal numbers only for the same version on the same hardware.
#    That is why the Expected panels give a band, measured with several seeds.
# 3. That it held in your run and in six of eight recorded ones, and which two did not agree.
#    One run of yours does not outvote them.
# </details>
#
# Your predictions of this lesson, beside what was measured:

# %%
predict.review()

# %% [markdown]
# ## Summary
#
# | Idea | In code |
# |---|---|
# | images are bytes, models take $[0, 1]$ | `data.to_unit_interval` |
# | one line says which data are in use | `data.load_images` |
# | a check answers in three ways | `check.scale_pixels` |
#
# **Sources.** MNIST: LeCun, Bottou, Bengio and Haffner, *Gradient-based learning applied
# to document recognition*, Proceedings of the IEEE 86 (1998), section III.A. PyTorch's
# note on reproducibility: docs.pytorch.org, *Reproducibility*.
