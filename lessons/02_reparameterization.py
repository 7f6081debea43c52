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
# # 02 · Reparameterization: how can a gradient pass through a sample?
#
# A VAE draws its code at random, and yet it learns by gradient descent. We find the step
# that makes this possible, and measure when it saves noise, when it does not, and how
# much it saves a VAE on digits.
#
# **You will be able to**
#
# - write a Gaussian sample whose gradient reaches mean and log-variance;
# - find the line that cuts a gradient without an error message;
# - estimate the gradient of an average in two ways and say what makes each of them noisy;
# - say why networks return `logvar`, and how its usual mistakes look;
# - reparameterise other distributions, and name the price for a discrete one (second
#   reading, at the end of the lesson).
#
# **Before you start**, three questions of a minute each. (Symbols: the
# [notation table](00_start_here.ipynb#Notation).)
#
# 1. In the training loop of lesson 01, what does `loss.backward()` compute, and which way does
#    `optimizer.step()` then move a weight whose gradient is positive?
#    ([Build it: an autoencoder](01_autoencoder.ipynb#Build-it:-an-autoencoder))
# 2. The cost is $(wz - 2)^2$ with $w = 2$ and $z = 3$. How large is its derivative by $w$, and
#    how large the one by $z$? (The chain rule, used in *The problem* below.)
# 3. A random number is 0 or 4, each with probability one half. How large are its mean, the
#    mean of its square, and its variance, the mean squared distance from the mean? Which
#    equation joins the three?
#    (Lesson 01 meets the variance in [its PCA](01_autoencoder.ipynb#The-maths:-PCA-by-the-singular-value-decomposition).)
#
# <details><summary>Answers</summary>
#
# 1. The derivative of the loss by every weight, its gradient. A weight with a positive one is
#    made smaller, since the loss is to fall.
# 2. By $w$ it is $2\,(wz - 2)\,z = 24$, by $z$ it is $2\,(wz - 2)\,w = 16$.
# 3. Mean 2, mean square 8, variance 4: the variance is the mean square minus the squared mean.
# </details>

# %% [markdown]
# ## Set-up

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.distributions import Cauchy, Gumbel, Laplace, Normal

from vae_helpers import (
    claims,
    data,
    distributions,
    plots,
    predict,
    runtime,
    training,
    widgets,
)
from vae_helpers import vae as course_vae
from vae_helpers.checks import lesson02 as check

plots.style()

# %%
SEED = 0
LONGER = 1  # 4 trains and draws four times as long
SAMPLES = LONGER * 100_000  # S, draws for each measured variance, 10 at least
MEANS = [0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0]  # means to measure at
DIMENSIONS = [1, 2, 3, 5, 10, 20, 50, 100]  # Z of a toy code, to measure at
TEMPERATURES = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0]  # of the soft choice
AVERAGED, CHOICES = 100, 20  # draws in a mean, and choices, of the same section
LATENTS = [5, 20, 50]  # Z, of the VAEs
STEPS = LONGER * 600  # training steps of each VAE
PEAK_RATE = 3e-3  # their highest learning rate
IMAGES, CODES = 64, LONGER * 200  # test images, and codes of each, 2 at least

if SAMPLES < 10:
    raise ValueError(f"SAMPLES must be 10 at least, got {SAMPLES}")
if min(IMAGES, CODES) < 2:
    raise ValueError(f"IMAGES and CODES must be 2 at least, got {IMAGES}, {CODES}")
runtime.start(SEED)
digits = data.load_images("MNIST")

# %% [markdown]
# All tensors of this lesson are small and stay on the CPU. The digits are needed in one
# section only.
#
# ## The problem: a model that half learns
#
# The smallest model with a random code has two numbers. The "encoder" is $\mu$, the
# mean of the code. The "decoder" is $w$, which multiplies the code. Together they should
# produce the number 2:
#
# $$z \sim \mathcal N(\mu,\, 0.3^2), \qquad \text{cost} = (w z - 2)^2.$$
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $\mu$ | mean of the code, as in lesson 00; here it is the whole encoder | number | `mu` |
# | $w$ | weight of the toy decoder | number | `w` |
#
# The sign $\sim$ means "is drawn from". PyTorch can draw in two ways, `sample()` and
# `rsample()`. Their values have the same distribution.


# %%
def draw_without_path(mu):
    return Normal(mu, 0.3).sample((256,))  # (256,) codes


def draw_with_path(mu):
    return Normal(mu, 0.3).rsample((256,))


DRAWS = {"sample()": draw_without_path, "rsample()": draw_with_path}


# %% [markdown]
# The training loop takes either of them. **Predict**: one of the two does not work. Does it
# stop with an error? Does the cost fall? What does $\mu$ do?


# %%
def train_two_numbers(draw, steps, rate=0.05):
    """draw maps mu to codes -> cost and mu at every step."""
    torch.manual_seed(SEED)
    mu, w = (torch.tensor(0.5, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.SGD([mu, w], lr=rate)
    path = {"cost": [], "mu": []}
    for _ in range(steps):
        cost = ((w * draw(mu) - 2) ** 2).mean()
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        path["cost"].append(cost.item())
        path["mu"].append(mu.item())
    return path


# %%
paths = {n: train_two_numbers(draw, LONGER * 150) for n, draw in DRAWS.items()}
figure, axes = plt.subplots(1, 2, figsize=(7.5, 2.8))
for ax, quantity in zip(axes, ["cost", "mu"], strict=True):
    curves = {name: path[quantity] for name, path in paths.items()}
    plots.show_curves(range(LONGER * 150), curves, ylabel=quantity, ax=ax)
axes[0].set(yscale="log", title="Cost, mean of 256 codes")
axes[1].set(title="μ, the encoder's number", ylabel="μ")
plt.show()

# %% [markdown]
# **Figure 2.1. With `sample()` the encoder's number never moves, and the cost stops at
# a higher value.** Left the cost of both trainings, right $\mu$.
#
# No error, and the cost falls with both: with `sample()` the decoder does what it can
# alone. With `rsample()` $\mu$ keeps growing: the average cost is
# $(w\mu - 2)^2 + 0.09\,w^2$, and a larger $\mu$ lets $w$, and with it the noise,
# shrink. In a large model the fault is easy to miss. The gradients themselves show it
# at once:

# %%
for name, draw in DRAWS.items():
    torch.manual_seed(SEED)
    mu, w = (torch.tensor(0.5, requires_grad=True) for _ in range(2))
    z = draw(mu)
    ((w * z - 2) ** 2).mean().backward()
    print(f"{name:9} z.requires_grad = {z.requires_grad}")
    print("    gradient of mu:", mu.grad, "  of w:", w.grad)
late = {name: sum(path["cost"][-20:]) / 20 for name, path in paths.items()}
claims.show(
    "02",
    digits,
    {
        "With sample() mu stays where it began, and the cost, averaged over the "
        "last 20 steps, is higher than with rsample().": paths["sample()"]["mu"][-1]
        == 0.5
        and late["sample()"] > late["rsample()"],
    },
)

# %% [markdown]
# `None` is the missing gradient. For PyTorch, `sample()` returns a plain number that came
# from nowhere. It does not know that another $\mu$ would have given another $z$. What
# does `rsample()` know?
#
# ## Smallest case: three random numbers
#
# Draw three numbers $\varepsilon$ from a standard normal **once**. Then compute
# $z = \mu + \sigma\varepsilon$. The result has mean $\mu$ and standard deviation $\sigma$,
# and now nothing random is left: we can ask what happens to each $z$ when $\mu$ or
# $\sigma$ grows a little.

# %% tags=["nbval-check-output"]
eps = torch.tensor([-1.0, 0.5, 2.0])
z = 1.0 + 2.0 * eps
print("eps                   :", eps.tolist())
print("z, mu = 1, sigma = 2  :", z.tolist())
for name, moved in [("mu", 1.1 + 2.0 * eps), ("sigma", 1.0 + 2.1 * eps)]:
    steps = [round(step, 3) for step in (moved - z).tolist()]
    print(f"{name:5} + 0.1 moves z by:", steps)

# %% [markdown]
# A step in $\mu$ moves every sample by the same amount, so $\partial z/\partial\mu = 1$. A
# step in $\sigma$ moves each sample by $\varepsilon$ times the step, so
# $\partial z/\partial\sigma = \varepsilon$: samples on the right go right, samples on the
# left go left. This is **reparameterization**: the randomness comes in from outside, as an
# input, and $z$ is an ordinary function of $\mu$ and $\sigma$. As a drawing:


# %%
def draw_graph(ax, passes):
    """From the encoder to the cost (grey), and the gradient on its way back."""
    places = {"mu, sigma": (0, 0), "z": (2, 0), "cost": (4, 0)}
    places |= {"eps": (2, 1)} if passes else {}
    for name, place in places.items():
        random = name == "eps" or (name == "z" and not passes)
        box = {"boxstyle": f"{'circle' if random else 'square'},pad=0.4", "fc": "white"}
        ax.text(*place, name, ha="center", va="center", bbox=box, zorder=3)
    arrow = {"arrowstyle": "-|>", "color": "grey", "shrinkA": 20, "shrinkB": 20}
    for start, end in [((0, 0), (2, 0)), ((2, 0), (4, 0)), ((2, 1), (2, 0))]:
        if start in places.values():
            ax.annotate("", end, start, arrowprops=arrow, zorder=1)
    back = arrow | {"color": plots.COLOURS[1], "ls": "--"}
    ax.annotate("", (2, -0.5), (4, -0.5), arrowprops=back)
    if passes:
        ax.annotate("", (0, -0.5), (2, -0.5), arrowprops=back)
    ax.text(3, -0.85, "gradient", ha="center", color=plots.COLOURS[1])
    ax.set(xlim=(-0.8, 4.8), ylim=(-1, 1.4))
    ax.set_axis_off()


figure, axes = plt.subplots(1, 2, figsize=(8, 2.2))
draw_graph(axes[0], passes=False)
axes[0].set_title("sample(): the gradient ends at the random z")
draw_graph(axes[1], passes=True)
axes[1].set_title("rsample(): noise from outside, the gradient passes")
plt.show()

# %% [markdown]
# **Figure 2.2. A random $z$ stops the gradient; noise that comes in from outside lets
# it pass.** Circles are random, squares are computed; orange is the gradient on its way
# back.
#
# Move the sliders. The thirty $\varepsilon$ at the bottom stay fixed; the samples at the top
# follow $\mu$ and $\sigma$ without a jump.


# %%
def draw_samples(ax, eps, mu, sigma):
    """Draw fixed noise (bottom), the samples made from it (top) and their density."""
    z = mu + sigma * eps
    line = torch.linspace(-6, 6, 400)
    ax.plot(line, 1 + Normal(mu, sigma).log_prob(line).exp(), color="black", ls="-")
    for start, end in zip(eps.tolist(), z.tolist(), strict=True):
        ax.plot([start, end], [0, 1], color="grey", ls="-", lw=0.5)
    ax.scatter(eps, 0 * eps, marker="o", s=16, color=plots.COLOURS[0], zorder=3)
    ax.scatter(z, 1 + 0 * z, marker="^", s=20, color=plots.COLOURS[1], zorder=3)
    ax.set(xlim=(-6, 6), ylim=(-0.2, 2.4), xlabel="value of ε and of z")
    ax.set_yticks([0, 1], ["ε", "z"])
    ax.set_title(f"μ = {mu:.1f}, σ = {sigma:.1f}")


EPS = torch.randn(30, generator=torch.Generator().manual_seed(SEED))


# %%
def show_samples(figure, mu, sigma):
    draw_samples(figure.add_subplot(), EPS, mu, sigma)
    z = mu + sigma * EPS
    return f"30 samples: mean {z.mean():.2f}, standard deviation {z.std():.2f}."


widgets.explore(
    show_samples,
    {
        "mu": widgets.slider("mu", -3, 3, value=1.0),
        "sigma": widgets.slider("sigma", 0.2, 2, value=0.5),
    },
)

# %% [markdown]
# The same without a kernel, for three settings:

# %%
figure, axes = plt.subplots(1, 3, figsize=(9, 2.5))
for ax, (mu, sigma) in zip(axes, [(0, 1), (2, 1), (2, 0.4)], strict=True):
    draw_samples(ax, EPS, mu, sigma)
plt.show()

# %% [markdown]
# **Figure 2.3. A larger $\mu$ moves all samples by the same amount; a smaller $\sigma$
# draws them together.** Lines join each $\varepsilon$, at the bottom, to its $z$, at
# the top; the order of the samples never changes.

# %% tags=["film"]
from vae_helpers import films


def film_samples(figure, t):
    mu, sigma = min(1, 2 * t) * 2, 1 - 0.6 * max(0, 2 * t - 1)
    draw_samples(figure.add_subplot(), EPS, mu, sigma)


films.show(
    film_samples,
    "Thirty fixed values of eps below, the samples z above. While mu grows, all "
    "samples move right together; while sigma shrinks, they close up around mu.",
    frames=16,
    seconds=3,
    height=2.5,
    still=0.75,
    back=True,
)

# %% [markdown]
# **Film 2.1. The noise stands still; only $\mu$ and $\sigma$ move the samples.** First
# $\mu$ goes from 0 to 2, then $\sigma$ from 1 to 0.4, and back again. No sample jumps, so
# each has a slope in $\mu$ and in $\sigma$.

# %% [markdown]
# ## The maths: moving the gradient inside the average
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $f(z)$ | the cost of a code; here $f(z) = z^2$ | $(S)$ | `cost` |
# | $\mathbb E[f(z)]$ | the mean of $f$ over all draws, the expectation (in lesson 00 over draws from $q$) | number | |
# | $\mathrm{Var}[g]$ | variance: the mean of $(g - \mathbb E[g])^2$ | number | `variance` |
# | $g$ | one random estimate of a gradient | $(S)$ | `estimates` |
# | $p(z; \mu)$ | the density of $z$ | $(S)$ | |
# | $b$ | baseline, a number subtracted from $f$ | number | `baseline` |

# %%
from vae_helpers import drawings

drawings.show("cut_gradient")

# %% [markdown]
# From here on $\sigma = 1$ where nothing else is said, so $z = \mu + \varepsilon$ has mean
# $\mu$ and variance 1. We want the gradient of the average cost,
# $\nabla_\mu\, \mathbb E[f(z)]$. For $f(z) = z^2$ we know it. A mean square is the squared
# mean plus the variance, $\mathbb E[z^2] = \mu^2 + 1$, and the derivative is $2\mu$. With
# a network as $f$ nobody can compute the average, and we must estimate from draws.
#
# The trouble is that $\mu$ sits in the distribution over which we average. With
# $z = \mu + \varepsilon$ it moves into the function:
#
# $$\nabla_\mu\, \mathbb E_{z \sim \mathcal N(\mu, 1)}[f(z)] = \nabla_\mu\, \mathbb E_{\varepsilon \sim \mathcal N(0, 1)}[f(\mu + \varepsilon)] = \mathbb E_{\varepsilon}[f'(\mu + \varepsilon)].$$
#
# The first step writes the same average with other letters. In the second, the
# distribution of $\varepsilon$ does not depend on $\mu$, so the derivative of the mean
# is the mean of the derivatives. This needs an $f$ that is continuous, has a derivative
# everywhere but at its kinks, and does not grow too fast. A kink, as of a ReLU, does no
# harm. A jump does: beside it the derivative is 0, and the jump itself is never seen.
#
# One draw gives the **pathwise** estimate
#
# $$g = f'(\mu + \varepsilon) = 2(\mu + \varepsilon).$$
#
# Its mean is $2\mu$, the right answer: the estimate is **unbiased**. Its variance is
# $4\,\mathrm{Var}[\varepsilon] = 4$, for every $\mu$. Both hold for this $f$: its slope
# is a straight line.

# %% [markdown]
# ## Build it: the reparameterised sample

# %%
from vae_helpers import drawings

drawings.show("vae", mark=("noise", "code"))

# %% [markdown]
# A VAE's encoder returns two tensors, `mu` and `logvar`, where `logvar` is
# $\log\sigma^2$. With one $\varepsilon$ for each image and each dimension,
#
# $$z = \mu + \sigma\,\varepsilon, \qquad \sigma = \sqrt{\sigma^2} = \exp(\tfrac12 \log\sigma^2).$$
#
# Here is a forward pass that uses such a sample. It was written by somebody in a hurry.


# %%
def half_learning(x, encoder, decoder):
    """x (B, D), layers to (B, 2 Z) and (B, D) -> output (B, D), mu, logvar (B, Z)."""
    h = encoder(x)  # (B, 2 Z)
    mu, logvar = h.chunk(2, dim=1)  # (B, Z) each
    variance = logvar.exp()
    sigma = variance.sqrt()
    z = torch.normal(mu, sigma)  # draws from N(mu, sigma^2)
    return decoder(z), mu, logvar


# %% [markdown]
# Every line does what its comment says, and the code has the right distribution. We train
# two layers with it, on four kinds of input, and look at how far each layer has moved.


# %%
def train_layers(forward, steps):
    """-> the cost at the first and at the last step, and how far each layer moved."""
    torch.manual_seed(SEED)
    x = 3 * torch.eye(4)[torch.arange(256) % 4] + 0.3 * torch.randn(256, 4)
    layers = {"encoder": nn.Linear(4, 4), "decoder": nn.Linear(2, 4)}
    start = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    both = nn.ModuleList(layers.values())
    optimizer, costs = torch.optim.Adam(both.parameters(), lr=0.02), []
    for _ in range(steps):
        output, _, _ = forward(x, *layers.values())
        cost = ((output - x) ** 2).sum(1).mean()
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()
        costs.append(cost.item())
    moved = {n: (layers[n].weight - w).norm().item() for n, w in start.items()}
    return (costs[0], costs[-1]), moved


# %%
(first_cost, last_cost), moved = train_layers(half_learning, LONGER * 200)
print(f"cost {first_cost:.1f} at first, {last_cost:.1f} at the end")
print("moved by:", {name: round(distance, 3) for name, distance in moved.items()})

# %% [markdown]
# The model half learns again: no error, and a cost that falls. But this time nobody wrote
# `sample()`, and the output even says `requires_grad = True`.
#
# ### Exercise 02.1 · Find the line that cuts the gradient
#
# *core, medium, 8 minutes*
#
# Two functions. (a) `my_reparameterize` returns the sample for noise that is given. (b)
# `my_forward` is `half_learning` without its fault: find the line that cuts the gradient, and
# mend it. The check of (b) looks at the gradients that the output sends to `mu` and to
# `logvar`, and at the noise: new in every call, one number for each image and each
# dimension. Our own functions come after each exercise; yours begin with `my_`, so that
# neither overwrites the other.


# %% tags=["exercise"]
def my_reparameterize(mu, logvar, eps):
    """mu, logvar, eps (B, Z) -> z (B, Z)."""
    ### BEGIN SOLUTION
    sigma = torch.exp(0.5 * logvar)  # (B, Z)
    return mu + sigma * eps
    ### END SOLUTION


def my_forward(x, encoder, decoder):
    """x (B, D), layers to (B, 2 Z) and (B, D) -> output (B, D), mu, logvar (B, Z)."""
    ### BEGIN SOLUTION
    mu, logvar = encoder(x).chunk(2, dim=1)  # (B, Z) each
    z = my_reparameterize(mu, logvar, torch.randn_like(mu))
    return decoder(z), mu, logvar
    ### END SOLUTION


# %% tags=["check"]
check.reparameterize(my_reparameterize, my_forward)

# %% [markdown]
# <details><summary>Hint 1: where to look</summary>
#
# Part (a) is arithmetic: everything random is already in `eps`. For (b), one line of
# `half_learning` makes a random number. Everything before it can be differentiated, and so
# can everything after it.
# </details>
# <details><summary>Hint 2: how to see the cut</summary>
#
# Ask for gradients, as at the start of the lesson: make `mu` and `sigma` two tensors with
# `requires_grad=True`, compute `torch.normal(mu, sigma).sum().backward()`, and print both
# `.grad`. They are not `None` this time. What should they be?
# </details>
# <details><summary>Hint 3: how to mend it</summary>
#
# Draw the noise first, `torch.randn_like(mu)`: it depends on nothing. Then only arithmetic
# with tensors may follow, no `.detach()`, `.item()`, `.data` or `no_grad`. In (a), `torch.exp`
# undoes the logarithm and gives $\sigma^2$; the root is a half in the exponent.
# </details>

# %% [markdown]
# Our version draws the noise itself if none is given.


# %% tags=["definition"]
def reparameterize(mu, logvar, eps=None):
    """mu, logvar (B, Z) -> z (B, Z), a sample that passes gradients to both."""
    if eps is None:
        eps = torch.randn_like(mu)  # one number for each image and dimension
    return mu + torch.exp(0.5 * logvar) * eps


# %% [markdown]
# With it, `half_learning` needs no other change. The line that cut the gradient was
# `torch.normal(mu, sigma)`. PyTorch gives the draw a derivative, and this derivative is 0:
# no `None` and no `requires_grad = False` will tell you.


# %%
def learning(x, encoder, decoder):
    mu, logvar = encoder(x).chunk(2, dim=1)  # (B, Z) each
    return decoder(reparameterize(mu, logvar)), mu, logvar


for forward in (half_learning, learning):
    (_, last_cost), moved = train_layers(forward, LONGER * 200)
    distances = ", ".join(f"{name} {d:.3f}" for name, d in moved.items())
    print(f"{forward.__name__:14} cost at the end {last_cost:5.2f}; moved: {distances}")

# %% [markdown]
# Two properties to check. The samples have the mean and the spread that we asked for. And
# autograd agrees with the derivatives from above: 1 for `mu`, and
# $\tfrac12\sigma\varepsilon$ for `logvar`, by the chain rule.

# %%
torch.manual_seed(SEED)
mu = torch.full((SAMPLES, 1), 3.0, requires_grad=True)
logvar = torch.full((SAMPLES, 1), 2 * math.log(0.5), requires_grad=True)
eps = torch.randn(SAMPLES, 1)
z = reparameterize(mu, logvar, eps)
z.sum().backward()
print(f"wanted: mean 3, sigma 0.5; drawn: mean {z.mean():.3f}, sigma {z.std():.3f}")
assert torch.equal(mu.grad, torch.ones_like(mu)), "the gradient of mu is not 1"
half = 0.5 * 0.5 * eps  # with sigma = 0.5
assert torch.allclose(logvar.grad, half), "that of logvar is not sigma * eps / 2"
helper = distributions.reparameterize(mu, logvar, eps)
assert torch.allclose(z, helper), "the helper gives another sample"

# %% [markdown]
# The last line compares with the helper that later lessons import.
#
# ### Why logvar?
#
# The last layer of a network returns any real number. A standard deviation must be
# positive. **Predict**: which rows of this table can be trained?

# %%
output = torch.tensor([-50.0, -3.0, 0.0, 3.0], requires_grad=True)
ways = {
    "sigma = output": output,
    "sigma = relu(output)": output.relu(),
    "sigma = softplus(output)": nn.functional.softplus(output),
    "sigma = exp(output / 2)": torch.exp(0.5 * output),
}
print(f"{'output of the network':26}", [round(v, 1) for v in output.tolist()])
for name, sigma in ways.items():
    (slope,) = torch.autograd.grad(sigma.sum(), output)
    print(f"{name:26}", [f"{v:.2g}" for v in sigma.tolist()])
    print(f"{'    its gradient':26}", [f"{v:.2g}" for v in slope.tolist()])

# %% [markdown]
# The first way gives negative numbers. That alone does not stop a training: $-\sigma$ and
# $\sigma$ draw from the same Gaussian. But the logarithm in the loss of lesson 03 is
# infinite at an output of 0, so the sign can hardly change, and near 0 the slopes explode.
# The second way gives exactly 0 with a gradient of 0. An input that arrives there may never
# return; other inputs, which share the weights, can still move the unit back.
#
# The last two are positive everywhere and have a gradient everywhere, if a small one far to
# the left. **Softplus**, $\log(1 + e^{\text{output}})$, is the usual alternative: on the
# right it grows like a straight line, so it does not overflow. The exponential has the
# advantage that the loss needs $\log\sigma^2$ as well, and `logvar` is that number,
# without the logarithm of something tiny.
#
# ### What goes wrong with exp(logvar) as sigma?
#
# A mistake to know: `exp(logvar)` is the variance, not its root. It has the right shape
# and is positive. The samples get another spread than the one that was asked for.

# %%
torch.manual_seed(SEED)
wanted = torch.logspace(-1, 1, 9)  # sigma from 0.1 to 10
logvar = 2 * wanted.log()
eps = torch.randn(2000, 9)
right, wrong = torch.exp(0.5 * logvar) * eps, torch.exp(logvar) * eps
figure, ax = plt.subplots(figsize=(4.6, 3))
ax.loglog(wanted, right.std(0), marker="o", label="exp(0.5 * logvar)")
ax.loglog(wanted, wrong.std(0), marker="s", label="exp(logvar), wrong")
ax.set(xlabel="σ asked for", ylabel="σ of the samples")
ax.legend()
plt.show()

# %% [markdown]
# **Figure 2.4. With `exp(logvar)` small spreads come out too small, large ones too
# large; only 1 is right.** Both axes are logarithmic: the wrong line is twice as steep.
#
# An untrained encoder begins near `logvar` 0, where the mistake hardly shows. Later the
# loss charges a price for one Gaussian while the decoder gets samples from another. The
# numbers also become infinite earlier:

# %% tags=["nbval-check-output"]
large = torch.tensor([80.0, 90.0, 170.0, 180.0])
print("logvar         :", large.tolist())
print("exp(logvar / 2):", [f"{v:.1g}" for v in torch.exp(0.5 * large).tolist()])
print("exp(logvar)    :", [f"{v:.1g}" for v in torch.exp(large).tolist()])

# %% [markdown]
# If a training run shows NaN, look at the largest `logvar` first.
#
# Other mistakes have other marks. Whoever has the samples can find them: compare the spread
# that came with the one that was asked for, at a small, a middle and a large `logvar`. The
# line of the figure, for one: at `logvar` $-2$ it has $e^{-2} = 0.14$, where
# $e^{-1} = 0.37$ was asked for, at 0 it has the right 1, and at 2 it has 7.39 instead of 2.72.
#
# Five programs got the same five values of `logvar` and drew 100,000 samples for each. These
# are the standard deviations of their samples:

# %%
print(check.measured_spreads())

# %% [markdown]
# ### Exercise 02.2 · Which mistake made these spreads?
#
# *core, easy, 6 minutes*
#
# Each of the programs A to E used one of these formulas for sigma, and one program used the
# right one. Two formulas are left over.
#
# | Number | Formula |
# |---|---|
# | 1 | `exp(logvar / 2)` |
# | 2 | `exp(logvar)` |
# | 3 | `exp(logvar) / 2` |
# | 4 | `exp(-logvar / 2)` |
# | 5 | `abs(logvar)` |
# | 6 | the root of `abs(logvar)` |
# | 7 | `softplus(logvar)` |
#
# Return a text with one digit for each of A to E, such as `"12345"`.


# %% tags=["exercise"]
def name_the_mistakes():
    """-> text of five digits, the formulas of the programs A to E."""
    ### BEGIN SOLUTION
    return "73162"
    ### END SOLUTION


# %% tags=["check"]
check.name_the_mistakes(name_the_mistakes)

# %% [markdown]
# <details><summary>Hint 1: where to look first</summary>
#
# At `logvar` 0. The formulas give 1, a half, 0 or $\log 2 = 0.69$ there, and most of them can be
# ruled out at a glance.
# </details>
# <details><summary>Hint 2: then at both ends</summary>
#
# Which formula is the same at $-4$ and at 4? Which grows like a straight line, and which like
# an exponential? `math.exp` has the numbers.
# </details>
# <details><summary>Hint 3: a close pair</summary>
#
# At `logvar` $-4$ and $-2$ the softplus and `exp(logvar)` are nearly equal: far to the left,
# `log(1 + exp(t))` is close to `exp(t)`. Tell them apart at 4.
# </details>

# %% [markdown]
# ## A second way: the score function

# %%
from vae_helpers import drawings

drawings.show("two_gradients")

# %% [markdown]
# The pathwise estimate needs the derivative $f'$. What if $f$ has none, such as "the
# number of wrong answers"? Then we change the **probability** of the draws instead of
# their place. Write the average as an integral, and use
# $\nabla p = p\,\nabla\log p$, the chain rule of the logarithm:
#
# $$\nabla_\mu \int f(z)\, p(z; \mu)\, dz = \int f(z)\, p(z; \mu)\, \nabla_\mu \log p(z; \mu)\, dz = \mathbb E\big[f(z)\, \nabla_\mu \log p(z; \mu)\big].$$
#
# The factor $\nabla_\mu \log p$ is called the **score**. For $\mathcal N(\mu, \sigma^2)$
# we have $\log p = -\frac{(z - \mu)^2}{2\sigma^2} + \text{a constant}$, and so the score
# is $\frac{z - \mu}{\sigma^2}$. In words: on the way downhill, draws with a high cost push
# $\mu$ away from themselves. Only values of $f$ are needed, and $f$ may jump. The
# condition is on $p$: the range of possible $z$, its **support**, must not move with
# $\mu$. (For a uniform $z$ between 0 and $\mu$ the formula misses what happens at the
# moving edge.)
#
# ### Exercise 02.3 · The score-function estimator
#
# *core, medium, 8 minutes*
#
# Return one estimate of $\nabla_\mu\, \mathbb E[f(z)]$ for each noise value, with
# $z = \mu + \sigma\varepsilon$. Use `f` only by calling it: some of the functions in the
# check are steps.


# %% tags=["exercise"]
def my_score_gradient(f, mu, sigma, eps):
    """f maps (S,) to (S,); mu, sigma: scalars; eps (S,) -> estimates (S,)."""
    ### BEGIN SOLUTION
    z = mu + sigma * eps  # (S,)
    return f(z) * (z - mu) / sigma**2
    ### END SOLUTION


# %% tags=["check"]
check.score_gradient(my_score_gradient)

# %% [markdown]
# <details><summary>Hint 1: two factors</summary>
#
# Make the samples first. Each estimate is then the cost of a sample times the score of the
# same sample.
# </details>
# <details><summary>Hint 2: the score</summary>
#
# It is the derivative of $\log p$ with respect to $\mu$, not $\log p$ itself and not the
# derivative with respect to $z$. The text above has it.
# </details>
# <details><summary>Hint 3: shape and powers</summary>
#
# No mean: return as many numbers as `eps` has. If you write the score with
# $\varepsilon$, count the powers of $\sigma$ once more. A case to test by hand: $f(z) = z^2$,
# $\mu = 1$, $\sigma = 2$, $\varepsilon = 1$ give $z = 3$, the cost 9, the score
# $(3 - 1)/4 = 0.5$ and the estimate 4.5.
# </details>

# %% [markdown]
# ### Both estimators, in any dimension
#
# Our versions take codes of any length $Z$, with $f(z) = \sum_j z_j^2$ and
# $\sigma = 1$. They return the gradient with respect to the first coordinate of the mean,
# for each draw; the other coordinates behave alike.


# %% tags=["definition"]
def cost(z):
    """(S, Z) -> (S,)."""
    return (z**2).sum(1)


def pathwise(mu, eps):
    """(S, Z) noise -> (S,) estimates of the gradient in the first coordinate."""
    z = (mu + eps).requires_grad_()  # dz/dmu = 1: the gradient of z is enough
    (gradient,) = torch.autograd.grad(cost(z).sum(), z)  # (S, Z)
    return gradient[:, 0]


# %% [markdown]
# The score of the first coordinate is $z_1 - \mu = \varepsilon_1$. From the cost we may
# subtract a number $b$, a **baseline**. Nothing changes on average, since
# $\mathbb E[b\,\varepsilon_1] = b\,\mathbb E[\varepsilon_1] = 0$.


# %% tags=["definition"]
def score_function(mu, eps, baseline=0.0):
    """(S, Z) noise -> (S,) estimates of the same gradient, from values of the cost."""
    return (cost(mu + eps) - baseline) * eps[:, 0]


# %% [markdown]
# A good choice is $b = \mathbb E[f] = Z\,(\mu^2 + 1)$: then a draw is judged by
# whether it is better or worse than usual, and we may hope that the noise falls.


# %% tags=["definition"]
def all_estimates(mu, eps):
    """Three estimators on the same noise (S, Z): name -> (S,)."""
    mean_cost = eps.shape[1] * (mu**2 + 1)
    return {
        "pathwise": pathwise(mu, eps),
        "score function": score_function(mu, eps),
        "with baseline": score_function(mu, eps, mean_cost),
    }


# %% [markdown]
# Are they unbiased? A mean of $S$ draws is itself random. It typically lies
# $\sqrt{\mathrm{Var}/S}$ from the truth; this is its **standard error**. We
# count how many standard errors a result is off: usually below 2, rarely above 3.

# %%
torch.manual_seed(SEED)
far = []
for name, estimates in all_estimates(1.0, torch.randn(SAMPLES, 1)).items():
    mean, error = estimates.mean(), estimates.std() / math.sqrt(SAMPLES)
    off = (mean - 2.0) / error
    print(f"{name:14} mean {mean:.3f}, off by {off:+.1f} times {error:.3f}")
    if not abs(off) < 5:
        far.append(name)
print("more than 5 standard errors from 2:", ", ".join(far) or "none")

# %% [markdown]
# An unbiased estimator agrees with $2\mu = 2$ within a few standard errors, the last
# number of each row. It differs, although each row had the same number of draws.

# %% [markdown]
# ## The maths: how noisy are they?
#
# For $f(z) = z^2$ we can compute the variances by hand. All we need are the means of the
# powers of $\varepsilon$. A fine grid gives them as sums of value times probability:

# %% tags=["nbval-check-output"]
grid = torch.linspace(-12, 12, 4801, dtype=torch.float64)  # steps of 0.005
weight = torch.exp(-0.5 * grid**2) / math.sqrt(2 * math.pi) * 0.005
for power in range(1, 7):
    mean = (grid**power * weight).sum().item()
    print(f"mean of eps^{power}: {round(mean, 4) + 0.0}")

# %% [markdown]
# So $\mathbb E[\varepsilon^2] = 1$, $\mathbb E[\varepsilon^4] = 3$,
# $\mathbb E[\varepsilon^6] = 15$, and odd powers have mean 0. We also use
# $\mathrm{Var}[g] = \mathbb E[g^2] - \mathbb E[g]^2$, with $\mathbb E[g] = 2\mu$. The results
# first, in one dimension:
#
# | Estimate | $g$ | $\mathrm{Var}[g]$ | at $\mu = 1$ |
# |---|---|---|---|
# | pathwise | $2(\mu + \varepsilon)$ | $4$ | 4 |
# | score function | $(\mu + \varepsilon)^2\,\varepsilon$ | $\mu^4 + 14\mu^2 + 15$ | 30 |
# | with baseline $b = \mu^2 + 1$ | $\big((\mu + \varepsilon)^2 - b\big)\,\varepsilon$ | $8\mu^2 + 10$ | 18 |
#
# <details><summary>The score function, line by line</summary>
#
# 1. Multiply out: $g = \mu^2\varepsilon + 2\mu\varepsilon^2 + \varepsilon^3$.
# 2. Its mean: only the even power counts, $\mathbb E[g] = 2\mu$. It is unbiased.
# 3. Square it. Three squares, $\mu^4\varepsilon^2 + 4\mu^2\varepsilon^4 + \varepsilon^6$, and
#    three double products, $4\mu^3\varepsilon^3 + 2\mu^2\varepsilon^4 + 4\mu\varepsilon^5$.
# 4. Take the mean. The odd powers go, and $\varepsilon^4$ stands there $4\mu^2 + 2\mu^2$
#    times: $\mathbb E[g^2] = \mu^4 \cdot 1 + 6\mu^2 \cdot 3 + 15 = \mu^4 + 18\mu^2 + 15$.
# 5. Subtract $\mathbb E[g]^2 = 4\mu^2$: $\mathrm{Var}[g] = \mu^4 + 14\mu^2 + 15$.
#
# At $\mu = 1$: $\mathbb E[g^2] = 1 + 18 + 15 = 34$, and $34 - 4 = 30$.
# </details>
# <details><summary>With the baseline, line by line</summary>
#
# 1. $(\mu + \varepsilon)^2 - (\mu^2 + 1) = 2\mu\varepsilon + \varepsilon^2 - 1$, so
#    $g = 2\mu\varepsilon^2 + \varepsilon^3 - \varepsilon$. The large $\mu^2\varepsilon$ is gone.
# 2. Its mean is $2\mu$ again.
# 3. Square it. The squares are $4\mu^2\varepsilon^4 + \varepsilon^6 + \varepsilon^2$, the double
#    products $4\mu\varepsilon^5 - 4\mu\varepsilon^3 - 2\varepsilon^4$.
# 4. Take the mean: $\mathbb E[g^2] = 4\mu^2 \cdot 3 + 15 + 1 - 2 \cdot 3 = 12\mu^2 + 10$.
# 5. Subtract $4\mu^2$: $\mathrm{Var}[g] = 8\mu^2 + 10$.
#
# At $\mu = 1$: $22 - 4 = 18$.
# </details>
#
# **In $Z$ dimensions** the cost gains a part that has nothing to do with $\varepsilon_1$: the
# squares of the other $Z - 1$ coordinates. We write $f_{\text{rest}}$ for their sum.
# So $g$ gains the term $f_{\text{rest}}\,\varepsilon_1$. Its mean is 0, but it is noise, and the variance of the
# score function grows by
#
# $$(Z-1)\,(4\mu^2 + 2) + (Z-1)^2(\mu^2 + 1)^2 + 2\,(Z-1)\,(\mu^2 + 1)(\mu^2 + 3).$$
#
# At $\mu = 1$ the variance is $30 + 22(Z-1) + 4(Z-1)^2$: it grows with the **square** of the
# dimension. The baseline, now $b = Z\,(\mu^2 + 1)$, removes the mean of $f_{\text{rest}}$, and only the
# first of the three terms remains: $18 + 6(Z-1)$ at $\mu = 1$. For $Z = 100$ these are 41,412
# and 612. The pathwise estimate still has variance 4: this cost is a sum with one term for
# each coordinate (it is **separable**), so the slope in $z_1$ does not depend on the others.
# A network is not separable; we shall measure one.
#
# <details><summary>The other dimensions, line by line</summary>
#
# 1. One other square: $z^2 = \mu^2 + 2\mu\varepsilon + \varepsilon^2$ has mean $\mu^2 + 1$. Its
#    deviation from it is $2\mu\varepsilon + (\varepsilon^2 - 1)$, whose square has the mean
#    $4\mu^2 + 0 + (3 - 2 + 1) = 4\mu^2 + 2$: that is its variance.
# 2. $f_{\text{rest}}$ is a sum of $Z - 1$ independent ones, so means and variances add up:
#    $\mathbb E[f_{\text{rest}}] = (Z-1)(\mu^2 + 1)$ and
#    $\mathrm{Var}[f_{\text{rest}}] = (Z-1)(4\mu^2 + 2)$.
# 3. Hence its mean square is variance plus squared mean,
#    $\mathbb E[f_{\text{rest}}^2] = (Z-1)(4\mu^2 + 2) + (Z-1)^2(\mu^2 + 1)^2$.
# 4. $g = z_1^2\,\varepsilon_1 + f_{\text{rest}}\,\varepsilon_1$. Its mean stays, because
#    $\mathbb E[f_{\text{rest}}\,\varepsilon_1] = \mathbb E[f_{\text{rest}}]\,\mathbb E[\varepsilon_1] = 0$. So the variance gains what
#    $\mathbb E[g^2]$ gains.
# 5. $g^2 = z_1^4\,\varepsilon_1^2 + 2 f_{\text{rest}}\,z_1^2\,\varepsilon_1^2 + f_{\text{rest}}^2\varepsilon_1^2$. The first is the
#    one-dimensional case. $f_{\text{rest}}$ is independent of $z_1$ and $\varepsilon_1$, so the gain is
#    $2\,\mathbb E[f_{\text{rest}}]\,\mathbb E[z_1^2\varepsilon_1^2] + \mathbb E[f_{\text{rest}}^2] \cdot 1$.
# 6. $\mathbb E[z_1^2\varepsilon_1^2] = \mathbb E[\mu^2\varepsilon_1^2 + 2\mu\varepsilon_1^3 + \varepsilon_1^4] = \mu^2 + 3$.
#    Put 3 and 6 into 5: that is the formula above.
# 7. With the baseline $f_{\text{rest}} - \mathbb E[f_{\text{rest}}]$ takes the place of $f_{\text{rest}}$. Its mean is 0 and its mean square
#    is $\mathrm{Var}[f_{\text{rest}}]$, so line 5 leaves $(Z-1)(4\mu^2 + 2)$.
#
# At $\mu = 1$, and with $Z = 2$: $\mathbb E[f_{\text{rest}}] = 2$,
# $\mathbb E[f_{\text{rest}}^2] = 6 + 4$, $\mathbb E[z_1^2\varepsilon_1^2] = 4$, and the
# gain is $2 \cdot 2 \cdot 4 + 6 + 4 = 26$, as $22 + 4$ says.
# </details>


# %% tags=["definition"]
def exact_variances(mu, dimensions):
    """Variance of one estimate of each kind, for z ~ N(mu, 1) in every dimension."""
    others, square = dimensions - 1, mu**2
    spread = others * (4 * square + 2)  # of the cost of the other coordinates
    shift = (others * (square + 1)) ** 2 + 2 * others * (square + 1) * (square + 3)
    return {
        "pathwise": 4.0,
        "score function": square**2 + 14 * square + 15 + spread + shift,
        "with baseline": 8 * square + 10 + spread,
    }


# %% [markdown]
# Now we measure. A measured variance is a mean, too: the mean of the squared deviations
# $(g - \bar g)^2$. So it has a standard error of its own, computed in the same way.


# %% tags=["definition"]
def variance_with_error(estimates):
    """(S,) -> the variance and the standard error of this variance."""
    squares = (estimates - estimates.mean()) ** 2
    return squares.mean().item(), squares.std().item() / math.sqrt(len(squares))


# %% [markdown]
# One function measures all three estimators and puts the exact value beside each.


# %%
def measure(mu, dimensions):
    """Measured variances: rows (name, variance, its standard error, exact value)."""
    eps = torch.randn(SAMPLES, dimensions)
    exact = exact_variances(mu, dimensions)
    return [
        (name, *variance_with_error(estimates), exact[name])
        for name, estimates in all_estimates(mu, eps).items()
    ]


# %%
torch.manual_seed(SEED)
by_mean = {mu: measure(mu, 1) for mu in MEANS}
by_dimension = {d: measure(1.0, d) for d in DIMENSIONS}

# %%
rows = sum([*by_mean.values(), *by_dimension.values()], [])
scores = [(variance - exact) / error for _, variance, error, exact in rows]
within = sum(abs(score) < 3 for score in scores)
print(f"{within} of {len(scores)} variances lie within three standard errors")
largest = max(map(abs, scores))
print(f"largest distance: {largest:.1f} standard errors")
print("formulas and draws", "agree" if largest < 5 else "do not agree: draw more")

# %% [markdown]
# ## Look: two estimators, one quadratic cost
#
# **Predict** the shape of the curves before you run the cell: which are flat, which are
# steep?

# %%
MARKS = {"pathwise": "o", "score function": "s", "with baseline": "^"}
fine_mean = {t / 20: exact_variances(t / 20, 1) for t in range(201)}
fine_dimension = {d: exact_variances(1.0, d) for d in range(1, 101)}

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
panels = [(axes[0], fine_mean, by_mean), (axes[1], fine_dimension, by_dimension)]
for ax, fine, measured in panels:
    for i, (name, mark) in enumerate(MARKS.items()):
        exact = [variances[name] for variances in fine.values()]
        found = [rows[i][1] for rows in measured.values()]
        ax.plot(list(fine), exact, color=plots.COLOURS[i])
        ax.plot(list(measured), found, mark, ls="", color=plots.COLOURS[i], label=name)
axes[0].set(yscale="log", xlabel="μ", ylabel="variance of one estimate")
axes[0].set_title("cost z², one dimension")
axes[1].set(xscale="log", xlabel="length Z of the code")
axes[1].set_title("cost: sum of the squares of z, μ = 1")
axes[1].legend()
plt.show()

# %% [markdown]
# **Figure 2.5. For this cost the pathwise variance stays the same; that of the score
# function grows.** Lines are the formulas, points the measurements; left over $\mu$,
# right over the length of the code.
#
# The score function grows with the fourth power of $\mu$ and with the square of $Z$;
# the baseline, here the mean cost, takes away half of each exponent. How many draws
# does each need to be as quiet as one pathwise draw?

# %% tags=["nbval-check-output"]
for mu, dimensions in [(1.0, 1), (10.0, 1), (1.0, 100)]:
    exact = exact_variances(mu, dimensions)
    draws = {name: v / exact["pathwise"] for name, v in exact.items()}
    text = ", ".join(f"{name} {n:,.1f}" for name, n in draws.items())
    print(f"mu {mu:2.0f}, Z {dimensions:3}: {text}")

# %% [markdown]
# ### A cost that wiggles
#
# Is the path always the quieter way? Look at what each estimate is made of. The pathwise
# one is a **slope** of $f$. The score function, with $b$ near the mean, is a **difference of
# values** times $\varepsilon$. The cost $z^2$ has gentle slopes and values that grow without
# end, and so it is kind to the path. Now take $\sin(\omega z)$ or
# $\mathrm{sigmoid}(\omega z)$: however large the speed $\omega$, the values stay between
# $-1$ and 1, but the slopes grow with $\omega$. (A sigmoid at high speed is nearly a step.)
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $\omega$ | how fast the cost changes with $z$ | number | `speed` |
#
# **Predict.** The cost is $\sin(10 z)$ and $z \sim \mathcal N(0, 1)$. Which estimate has the
# smaller variance?

# %%
predict.guess("quieter for sin(10 z)", None, choices=("pathwise", "score function"))

# %% [markdown]
# In one dimension no draws are needed. The grid from above gives each variance as a sum.


# %% tags=["definition"]
def grid_variances(f, mu, grid, weight):
    """Variances for z ~ N(mu, 1) in one dimension, as sums over the grid of eps."""
    z = (mu + grid).requires_grad_()
    values = f(z)
    (slopes,) = torch.autograd.grad(values.sum(), z)
    values = values.detach()
    estimates = {
        "pathwise": slopes,
        "score function": values * grid,
        "with baseline": (values - (weight * values).sum()) * grid,
    }
    means = {name: (weight * g).sum() for name, g in estimates.items()}
    return {
        name: (weight * (g - means[name]) ** 2).sum().item()
        for name, g in estimates.items()
    }


# %%
COSTS = {
    "z^2": torch.square,
    "sin(z / 2)": lambda z: torch.sin(z / 2),
    "sin(10 z)": lambda z: torch.sin(10 * z),
    "sigmoid(z)": torch.sigmoid,
    "sigmoid(20 z)": lambda z: torch.sigmoid(20 * z),
}
at_zero = {name: grid_variances(f, 0.0, grid, weight) for name, f in COSTS.items()}
for name, variances in at_zero.items():
    print(f"{name:14}", ", ".join(f"{n} {v:.3f}" for n, v in variances.items()))
path_quieter = [
    name for name, v in at_zero.items() if v["pathwise"] < v["with baseline"]
]

# %%
predict.truth(
    "quieter for sin(10 z)",
    "pathwise" if "sin(10 z)" in path_quieter else "score function",
)

# %% [markdown]
# All of them at $\mu = 0$, $\sigma = 1$. And for every speed between:

# %%
FAMILIES = {
    "sin(speed * z)": lambda speed: lambda z: torch.sin(speed * z),
    "sigmoid(speed * z)": lambda speed: lambda z: torch.sigmoid(speed * z),
}
speeds = torch.logspace(-0.5, 1.5, 60).tolist()
figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
for ax, (title, family) in zip(axes, FAMILIES.items(), strict=True):
    rows = [grid_variances(family(speed), 0.0, grid, weight) for speed in speeds]
    for i, name in enumerate(MARKS):
        variances = [row[name] for row in rows]
        ax.plot(speeds, variances, color=plots.COLOURS[i], label=name, lw=2.5 - 0.5 * i)
    ax.set(xscale="log", yscale="log", xlabel="speed", title=f"cost {title}, μ = 0")
axes[0].set(ylabel="variance of one estimate", ylim=(1e-4, 1e3))
axes[1].legend(loc="upper left")
plt.show()

# %% [markdown]
# **Figure 2.6. The curves cross: for slow costs the path is quieter, for fast ones the
# score function.** Speed multiplies $z$ inside the cost; both axes are logarithmic.
#
# For a slow sine or sigmoid the slope is nearly the same everywhere. Where $f$ changes
# many times within one $\sigma$ (left), or makes a steep step near $\theta$ (right),
# single slopes say little about the average. (On the left the mean cost is 0, so the
# baseline changes nothing.) At the end of this road, a step, the pathwise estimate is 0
# and wrong, and the score function is the one that works.
#
# So neither method is noisier by nature. It depends on $f$, seen at the scale of $\sigma$,
# and on the number of other coordinates.

# %%
claims.show(
    "02",
    digits,
    {
        "All measured variances for the cost z^2 lie within five standard errors of "
        "the formulas.": largest < 5,
        "At mu = 0 the pathwise estimate has the smaller variance for z^2, "
        "sin(z / 2) and sigmoid(z); the score function with the mean cost as baseline "
        "has it for sin(10 z) and sigmoid(20 z).": path_quieter
        == ["z^2", "sin(z / 2)", "sigmoid(z)"],
    },
)

# %% [markdown]
# ## On digits: the gradient noise of a VAE
#
# And which kind of $f$ is a decoder? A toy cannot tell, so we ask VAEs. Their $f$ is
# $\log p(x \mid z)$, which says how well the picture decoded from $z$ fits the image $x$.
# Lesson 03 explains this term, lesson 04 the model and its training; here we borrow both
# from the helpers, and look only at the gradient for $\mu$.
#
# For each of some test images we draw many codes and keep three things of each: the value
# of $f$, its slope, and the score $\varepsilon / \sigma$.


# %%
def draw_codes(model, x, draws):
    """x (B, 1, 28, 28) -> f (draws, B, 1), slopes and scores (draws, B, Z)."""
    mu, logvar = (t.detach() for t in model.encode(x))  # (B, Z) each
    parts = []
    for _ in range(draws):
        eps = torch.randn_like(mu)
        z = reparameterize(mu, logvar, eps).requires_grad_()
        f = distributions.bernoulli_log_likelihood(x, model.decode(z))  # (B,)
        (slope,) = torch.autograd.grad(f.sum(), z)
        parts.append((f.detach()[:, None], slope, eps * torch.exp(-0.5 * logvar)))
    return [torch.stack(part) for part in zip(*parts, strict=True)]


# %% [markdown]
# The score function gets a baseline, too, though not the best one: each image's own mean of
# $f$, from all the **other** draws of this image, so that it stays unbiased. (With a single
# draw for each image, as in a usual training, there would be no such mean.)
#
# The variance of one draw is summed over the latent dimensions and averaged over the images.
# Beside it we put the spread **between** the images: how much the mean gradient of one image
# differs from that of another.


# %% tags=["definition"]
def gradient_noise(f, slopes, scores):
    """What draw_codes returns -> variances for mu, summed over the latents."""
    draws = len(f)
    others = (f.sum(0) - f) / (draws - 1)  # (draws, B, 1), without the draw itself
    ways = {
        "pathwise": slopes,
        "score function": f * scores,
        "own baseline": (f - others) * scores,
    }
    noise = {name: g.var(0).sum(1).mean().item() for name, g in ways.items()}
    spread = slopes.mean(0).var(0).sum().item()  # holds 1 / draws of the noise as well
    return noise | {"between images": spread - noise["pathwise"] / draws}


# %% [markdown]
# We measure VAEs with few and with many latent dimensions, each before training and after
# a few hundred steps. **Predict.** Take the trained VAE with the most latent dimensions. How
# many times the variance of the path has the score function with its own baseline?

# %%
predict.guess("score function on digits, path = 1", None)

# %%
some = data.to_unit_interval(digits.test_images[:IMAGES])
noise = {}
for size in LATENTS:
    torch.manual_seed(SEED)
    model = course_vae.VAE(size)
    noise[size, "untrained"] = gradient_noise(*draw_codes(model, some, CODES))
    training.fit(
        model,
        digits.train_images,
        course_vae.vae_loss,
        steps=STEPS,
        lr=PEAK_RATE,
        schedule=training.warmup_cosine,
        seed=SEED,
        label=f"VAE, Z = {size}",
    )
    noise[size, "trained"] = gradient_noise(*draw_codes(model, some, CODES))

# %%
print("  Z  VAE       " + "".join(f"{name:>16}" for name in noise[size, "trained"]))
for (size, state), row in noise.items():
    print(f"{size:3}  {state:10}" + "".join(f"{v:16,.1f}" for v in row.values()))

# %% [markdown]
# Each row is one VAE, each number a variance. The decoder is on the calm side: the path is
# the quieter way. How much it saves depends on the rival. The bare score function is
# thousands of times noisier, or more: $\log p(x \mid z)$ is a large number with a small
# variation, and all of it multiplies the noise. With a baseline only the variation does.
# The factor that is left is larger with many latent dimensions than with few, as in the toy:

# %%
factors = {key: row["own baseline"] / row["pathwise"] for key, row in noise.items()}
print("own baseline / pathwise:")
for size in LATENTS:
    toy = exact_variances(0.0, size)
    print(
        f"    Z = {size:3}: untrained {factors[size, 'untrained']:6.1f}, "
        f"trained {factors[size, 'trained']:6.1f}; quadratic toy of this length, mu 0: "
        f"{toy['with baseline'] / toy['pathwise']:.1f}"
    )

# %%
predict.truth("score function on digits, path = 1", factors[max(LATENTS), "trained"])

# %% [markdown]
# Is one draw for each image enough? The layer of the encoder that returns $\mu$ has a bias,
# and what $f$ contributes to the gradient of this bias is the mean over the batch of the
# gradients for $\mu$. Its variance has two parts, one from the images and one from the
# draws:
#
# $$\frac{\text{between images} + \text{noise of a draw} / \text{draws}}{\text{images}}$$
#
# Take different ways to spend 128 decodings:

# %%
middle = LATENTS[len(LATENTS) // 2]
row = noise[middle, "trained"]
print(f"trained VAE, Z = {middle}:")
for images, draws in [(128, 1), (64, 2), (16, 8)]:
    total = (row["between images"] + row["pathwise"] / draws) / images
    print(
        f"{images:3} images, draws for each: {draws}; variance of the mean {total:.2f}"
    )

# %% [markdown]
# The noise of a single draw is not negligible. Yet new images are the better use of the
# same decodings: draws times images is fixed, so the part from the draws is the same in all
# rows, and the part from the images falls with their number. This is so for every model, as
# long as the images are drawn independently and decoding is what costs.

# %%
trained, untrained = (
    [factors[size, state] for size in sorted(LATENTS)]
    for state in ("trained", "untrained")
)
claims.show(
    "02",
    digits,
    {
        "Gradient for mu on digits: the score function with each image's own mean as "
        "baseline has more than 3 times the pathwise variance, in every VAE of the "
        "table.": min(trained + untrained) > 3,
        "With the most latent dimensions of the table this factor is larger than with "
        "the fewest, in trained and in untrained VAEs.": None
        if len(LATENTS) < 2
        else all(values[-1] > values[0] for values in (trained, untrained)),
        "Without a baseline it is more than 1,000, in every VAE of the table.": all(
            row["score function"] > 1000 * row["pathwise"] for row in noise.values()
        ),
        "In the trained VAE with 20 latent dimensions one pathwise draw adds more "
        "variance than the differences between the images.": None
        if middle != 20
        else noise[20, "trained"]["pathwise"] > noise[20, "trained"]["between images"],
    },
)

# %% [markdown]
# ## Break it
#
# ### Detach z
#
# A VAE's loss has two terms: the cost of a reconstruction, and a price on the code that
# pulls it towards $\mathcal N(0, I)$. (Lesson 03 derives it; here we borrow it.) We train a
# tiny encoder and decoder on four kinds of input, once properly and once with `z.detach()`.
# **Predict**: does the encoder get no gradient at all?


# %%
def train_tiny(detach, steps):
    """-> codes (256, 2), kinds (256,), reconstruction cost at the end."""
    torch.manual_seed(SEED)
    kinds = torch.arange(256) % 4
    x = 3 * torch.eye(4)[kinds] + 0.3 * torch.randn(256, 4)
    encoder, decoder = nn.Linear(4, 4), nn.Linear(2, 4)
    both = nn.ModuleList([encoder, decoder])
    optimizer = torch.optim.Adam(both.parameters(), lr=0.02)
    for _ in range(steps):
        mu, logvar = encoder(x).chunk(2, dim=1)  # (256, 2) each
        z = reparameterize(mu, logvar)
        z = z.detach() if detach else z
        reconstruction = ((decoder(z) - x) ** 2).sum(1).mean()
        price = distributions.kl_to_standard_normal(mu, logvar).mean()
        optimizer.zero_grad()
        (reconstruction + price).backward()
        optimizer.step()
    return mu.detach(), kinds, reconstruction.item()


# %%
ends = {}
figure, axes = plt.subplots(1, 2, figsize=(7.5, 3.4))
for ax, detach in zip(axes, [False, True], strict=True):
    codes, kinds, reconstruction = train_tiny(detach, LONGER * 400)
    plots.show_codes(codes, kinds, ax=ax)
    ax.set(xlim=(-3, 3), ylim=(-3, 3), title="z.detach()" if detach else "z")
    print(f"detach = {detach}: reconstruction cost {reconstruction:.2f}")
    ends[detach] = (codes.std(0).mean().item(), reconstruction)
ax.text(0, -0.9, "0, 1, 2 and 3 are all here", ha="center")
plt.show()

# %% [markdown]
# **Figure 2.7. Detached, every input has the same code.** Codes of four kinds of input
# after the same training, at the right with `z.detach()`.
#
# **Explain**: the four labels lie on one point, and the decoder can only answer with
# the average input. The encoder did get a gradient, but only that of the price, which
# wants all codes at 0. Nothing was `None`, nothing warned. To find such a cut, ask for
# the gradient of the **reconstruction term alone**:

# %% tags=["nbval-check-output"]
torch.manual_seed(SEED)
encoder, decoder, x = nn.Linear(4, 4), nn.Linear(2, 4), torch.randn(8, 4)
for detach in (False, True):
    z = reparameterize(*encoder(x).chunk(2, dim=1))
    z = z.detach() if detach else z
    term = ((decoder(z) - x) ** 2).sum(1).mean()
    (found,) = torch.autograd.grad(term, [encoder.weight], allow_unused=True)
    print(f"detach = {detach}: reaches the encoder: {found is not None}")
reconstructed = ends[True][1] > 1.5 * ends[False][1]
collapsed = ends[True][0] < 0.1 < 0.5 < ends[False][0]  # spread of the codes
claims.show(
    "02",
    digits,
    {
        "Detached, the reconstruction cost ends at more than 1.5 times the other, and "
        "the codes lie at one point.": reconstructed and collapsed,
    },
)

# %% [markdown]
# ### One epsilon for all dimensions
#
# `torch.randn(len(mu), 1)` has one column, and broadcasting stretches it silently over all
# dimensions. **Predict** the cloud of samples for $\mu = 0$, $\sigma = 1$ in two dimensions.

# %%
torch.manual_seed(SEED)
mu, logvar = torch.zeros(300, 2), torch.zeros(300, 2)
figure, axes = plt.subplots(1, 2, figsize=(6.6, 3.2), sharex=True, sharey=True)
for ax, columns in zip(axes, [2, 1], strict=True):
    z = reparameterize(mu, logvar, torch.randn(300, columns))
    ax.scatter(*z.T, s=8, alpha=0.7)
    ax.set(xlabel="z, dimension 1", ylabel="z, dimension 2", aspect="equal")
    ax.set_title(f"eps (300, {columns}): correlation {torch.corrcoef(z.T)[0, 1]:.2f}")
plt.show()

# %% [markdown]
# **Figure 2.8. One epsilon for both dimensions puts all samples on a line.** Each point
# is a sample of the same Gaussian; the noise has two columns at the left, one at the
# right.
#
# **Explain**: each dimension alone has the right mean and the right spread, so no test
# of one dimension finds the mistake. The decoder sees a one-dimensional set, and never
# the Gaussian that the price was computed for. The helper refuses such noise:

# %% tags=["nbval-check-output"]
try:
    distributions.reparameterize(mu, logvar, torch.randn(300, 1))
except ValueError as refusal:
    print("ValueError:", refusal)

# %% [markdown]
# ### The same epsilon at every step
#
# "For reproducibility" somebody draws $\varepsilon$ once, before the loop. The toy cost is
# $f(z) = z^2$ with $z = \mu + \varepsilon$; the best $\mu$ is 0. **Predict.** With
# $\varepsilon = 1.5$ in every step, where does descent end?

# %%
predict.guess("mu with eps always 1.5", None)

# %% [markdown]
# We descend along the pathwise gradient, from $\mu = 3$.


# %%
def descend(fixed=None, steps=120, rate=0.05):
    """Descend on mu from 3; -> mu at every step."""
    mu, path = 3.0, []
    for _ in range(steps):
        eps = torch.randn(()).item() if fixed is None else fixed
        mu -= rate * 2 * (mu + eps)  # the pathwise gradient
        path.append(mu)
    return path


# %% [markdown]
# Once with fresh noise, and three times with a number that never changes:

# %%
torch.manual_seed(SEED)
runs = {"fresh": descend()} | {f"always {e}": descend(e) for e in (-1.5, 0.5, 1.5)}
figure, ax = plt.subplots(figsize=(5.5, 3))
plots.show_curves(range(120), runs, ylabel="μ", ax=ax)
ax.axhline(0, color="black", ls="-", lw=0.8)
ax.text(126, 0, "best μ", va="center")
ax.set(ylim=(-2, 4.5), title="'always e': the same noise e in every step")
ax.legend(loc="upper right", ncols=2)
plt.show()

# %% [markdown]
# **Figure 2.9. With fresh noise $\mu$ comes near the best value; with the same noise in
# every step it ends elsewhere.** One curve for fresh noise, three for a number that
# never changes.

# %% tags=["nbval-check-output"]
for name, fixed in [("always -1.5", -1.5), ("always 1.5", 1.5)]:
    mu = runs[name][-1]
    reported, honest = (mu + fixed) ** 2, mu**2 + 1
    print(f"{name}: reported cost {reported:.2f}, average cost {honest:.2f}")

# %% [markdown]
# **Explain**: a fixed number is cancelled by $\mu = -\varepsilon$, and the reported cost
# falls to 0. The average cost, over fresh draws, is far above. A training loss that is much
# better than the same loss with new noise is the symptom to look for.

# %%
predict.truth("mu with eps always 1.5", runs["always 1.5"][-1])

# %% [markdown]
# ## Questions that come up
#
# <details><summary>Why log-variance?</summary>
#
# The network may return any real number, and $\exp$ makes it a positive variance. The loss
# needs the logarithm too, and has it without computing one. Softplus works as well.
# </details>
# <details><summary>Why exp(0.5*logvar)?</summary>
#
# Because $\sigma$ is the square root of $\exp(\log\sigma^2)$. Without the half you draw from
# another Gaussian than the one the loss pays for.
# </details>
# <details><summary>log sigma or log sigma^2?</summary>
#
# Either works if the sample and the loss use the same one. This course always means
# $\log\sigma^2$.
# </details>
# <details><summary>Why the reparameterisation trick?</summary>
#
# It turns the randomness into an input, so that the gradient of an average flows through
# $\mu$ and $\sigma$. The score function works too. Which of them has less noise depends on
# the cost: for the decoders of our VAEs it is the path, for a cost that wiggles or has steep
# steps it is the score function with a baseline.
# </details>
# <details><summary>sample() or rsample()?</summary>
#
# `rsample()` where a gradient must pass. `sample()` cuts it without an error. Evaluation and
# score-function gradients want the cut, and there `sample()` is right.
# </details>
# <details><summary>Is one z per image enough?</summary>
#
# It works, but not because one draw is quiet. The section on digits prints the noise of one
# draw beside the spread between the images, and in the trained VAE with 20 latent
# dimensions the noise is not the smaller of the two. The batch averages both. If you can
# pay for more decodings, new images help more than more draws for the same images. And
# being unbiased is not the reason: the score function is unbiased as well.
# </details>
# <details><summary>New epsilon when?</summary>
#
# At every forward pass, for every image and every latent dimension.
# </details>

# %% [markdown]
# ## Check yourself
#
# 1. A colleague draws codes under `torch.no_grad()`. The loss falls steadily. Does that
#    prove that the encoder learns?
# 2. Your cost counts the wrong answers of a classifier. Which of the two estimators can you
#    use, and what do you add to it?
# 3. One estimator has variance 4, another 400. How many more draws does the second need for
#    the same standard error?
#
# <details><summary>Answers</summary>
#
# 1. No. The decoder alone can lower the loss, and a price on the code still moves the
#    encoder, towards codes that say nothing about the image. Look at the gradient of the
#    reconstruction term.
# 2. The score function: a count is a step function, and its pathwise gradient is 0. Add a
#    baseline.
# 3. A hundred times as many. The standard error is $\sqrt{\mathrm{Var}/S}$, so $S$ must
#    grow in proportion to the variance.
# </details>

# %% [markdown]
# ## Second reading: beyond the Gaussian
#
# Here the core of the lesson ends. This section and the next, and exercise 02.4 in them, are
# not needed for lessons 03 and 04: on a first reading skip to the
# [Summary](#Summary), and come back later.
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $s$ | scale, the role of $\sigma$; the location keeps the letter $\mu$ | $(B, Z)$ | `scale`, `location` |
# | $u$ | uniform noise between 0 and 1 | $(B, Z)$ | `u` |
# | $F(z)$ | probability of a value below $z$, the CDF | $(B, Z)$ | `cdf`, its inverse `icdf` |
#
# ### Location-scale families
#
# The step $z = \mu + s\,\varepsilon$ does not need a Gaussian. Take any fixed distribution for
# $\varepsilon$, stretch it by $s$ and shift it by $\mu$. A density that is stretched by $s$
# becomes $s$ times lower. That is the whole difference between the two log-densities:

# %% tags=["nbval-check-output"]
eps = torch.linspace(-3, 3, 7)
z = 3 + 2 * eps  # location 3, scale 2
for family in (Normal, Laplace, Cauchy, Gumbel):
    moved = family(3.0, 2.0).log_prob(z)
    standard = family(0.0, 1.0).log_prob(eps) - math.log(2)
    same = torch.allclose(moved, standard, atol=1e-5)
    assert same, f"{family.__name__}: the two log-densities differ"
    print(f"{family.__name__:8} log-densities agree")

# %% [markdown]
# ### Any distribution with an inverse
#
# The cumulative distribution function (CDF) $F(z)$ is the probability of a value below $z$.
# It climbs from 0 to 1. Draw a height $u$ evenly between 0 and 1, and look up the place
# $z = F^{-1}(u)$ where the curve reaches it. We show it for the Laplace distribution, a
# sharp peak with heavy tails, with density $\frac{1}{2s}\exp(-|z - \mu| / s)$ for
# location $\mu$ and scale $s$.

# %%
laplace = Laplace(0.0, 1.0)
line, heights = torch.linspace(-4, 4, 400), torch.linspace(0.025, 0.975, 20)
places = laplace.icdf(heights)
figure, ax = plt.subplots(figsize=(5, 3))
ax.plot(line, laplace.cdf(line), label="CDF")
ax.hlines(heights, -4, places, lw=0.6, color="grey", ls="-")
ax.vlines(places, 0, heights, lw=0.6, color=plots.COLOURS[1], ls="-")
ax.plot(places, heights, ">", ms=4, color="grey")
ax.plot(places, 0 * places, "v", color=plots.COLOURS[1], label="z", clip_on=False)
ax.set_title("Laplace: from even heights to places")
ax.set(xlabel="z", ylabel="u, height of the CDF", xlim=(-4, 4), ylim=(0, 1))
ax.legend(loc="center right")
plt.show()

# %% [markdown]
# **Figure 2.10. Heights in equal steps become places: dense where the curve is steep,
# sparse in the tails.** Read from the left: to the curve, then down.
#
# The noise is now $u$, and $z$ is again an ordinary function of location and scale.
# Below the location the CDF is $\frac12 \exp((z - \mu)/s)$, above it is
# $1 - \frac12 \exp(-(z - \mu)/s)$.
#
# ### Exercise 02.4 · Laplace by inverse CDF
#
# *extension, medium, 10 minutes*
#
# Turn uniform noise into Laplace samples, with gradients for location and scale.


# %% tags=["exercise"]
def my_laplace(location, scale, u):
    """location, scale, u in (0, 1): all (B, Z) -> z (B, Z)."""
    ### BEGIN SOLUTION
    below = torch.log(2 * u)  # solves u = exp(z) / 2
    above = -torch.log(2 * (1 - u))  # solves u = 1 - exp(-z) / 2
    return location + scale * torch.where(u < 0.5, below, above)
    ### END SOLUTION


# %% tags=["check"]
check.laplace(my_laplace)

# %% [markdown]
# <details><summary>Hint 1: begin with the standard one</summary>
#
# Take location 0 and scale 1 first. The general case is a location-scale step.
# </details>
# <details><summary>Hint 2: two pieces</summary>
#
# Set $u$ equal to each piece of the CDF and solve for $z$. The lower one, solved: from
# $u = \frac12 e^{z}$ comes $2u = e^{z}$, and so $z = \log(2u)$. The upper one goes the same way,
# from $1 - u = \frac12 e^{-z}$. Which of them applies depends on whether $u$ lies below one
# half.
# </details>
# <details><summary>Hint 3: choosing</summary>
#
# `torch.where(condition, a, b)` chooses for each entry. At $u = \frac12$ both pieces
# must give the location. A case to test by hand: $u = 0.25$, location 1, scale 2 give
# $1 + 2 \log 0.5 = -0.386$, and $u = 0.75$ the mirror image, 2.386.
# </details>

# %% [markdown]
# Our version writes both pieces as one, with the distance of $u$ from the middle.


# %% tags=["definition"]
def laplace_from_uniform(location, scale, u):
    """location, scale, u in (0, 1): all (B, Z) -> z (B, Z)."""
    side = u - 0.5
    return location - scale * side.sign() * torch.log1p(-2 * side.abs())


# %%
torch.manual_seed(SEED)
u = torch.rand(SAMPLES, 1).clamp_min(1e-7)  # rand may return 0, whose place is -inf
drawn = laplace_from_uniform(torch.tensor(1.0), torch.tensor(0.5), u)
back = Laplace(1.0, 0.5).cdf(drawn)
assert torch.allclose(back, u, atol=1e-5), "the CDF does not give u back"

# %%
figure, ax = plt.subplots(figsize=(4.8, 2.6))
line = torch.linspace(-3, 5, 400)
ax.hist(drawn[:, 0], line[::4], density=True, alpha=0.5, label="drawn")
ax.plot(line, Laplace(1.0, 0.5).log_prob(line).exp(), color="black", label="exact")
ax.set(xlabel="z", ylabel="density", title="Laplace, location 1, scale 0.5")
ax.legend()
plt.show()

# %% [markdown]
# **Figure 2.11. The draws follow the exact density, peak included.** Bars are the
# draws, the black line is the formula; the CDF of each draw gives its $u$ back.
#
# ## Second reading: a discrete choice, Gumbel-softmax
#
# A choice among $K$ categories has no path: when a probability grows a little, the
# choice stays the same, or jumps.
#
# | Symbol | Meaning | Shape | Name in code |
# |---|---|---|---|
# | $K$ | number of categories, here 3 | number | |
# | $a$ | logits | $(K)$ | `logits` |
# | $p_k$ | probability of category $k$, $p = \mathrm{softmax}(a)$ | $(K)$ | `p` |
# | $c_k$ | cost of category $k$ | $(K)$ | `costs` |
# | $\tau$ | temperature of the soft choice | number | `temperature` |
#
# The average cost is $\sum_k p_k c_k$. The exact gradient for logit $a_k$ is
# $p_k\,(c_k - \sum_j p_j c_j)$.

# %% tags=["nbval-check-output"]
p = torch.tensor([0.5, 0.3, 0.2])
costs = torch.tensor([1.0, 3.0, 0.0])
logits = p.log().requires_grad_()  # a
average = (logits.softmax(0) * costs).sum()
(exact_gradient,) = torch.autograd.grad(average, logits)
formula = p * (costs - average)
assert torch.allclose(exact_gradient, formula), "autograd and the formula differ"
print("average cost:", round(average.item(), 2))
print("exact gradient:", [round(g, 2) for g in exact_gradient.tolist()])

# %% [markdown]
# A fair choice can be made with noise from outside. Draw $u_k$ between 0 and 1 for each
# category, turn it into **Gumbel noise** $-\log(-\log u_k)$ (an inverse CDF again), add it
# to the logits, and take the largest. Category $k$ wins with probability $p_k$. The
# largest has no gradient, so we soften it: a softmax at **temperature** $\tau$.


# %% tags=["definition"]
def gumbel_softmax(logits, u, temperature):
    """logits, u (S, K) -> soft choices (S, K); each row sums to 1."""
    noise = -torch.log(-torch.log(u))
    return ((logits + noise) / temperature).softmax(1)


# %%
torch.manual_seed(SEED)
choice_u = torch.rand(SAMPLES, 3).clamp_min(1e-7)
winners = gumbel_softmax(logits.detach(), choice_u, 1.0).argmax(1)
shares = winners.bincount(minlength=3) / SAMPLES
print("share of wins:", [round(v, 3) for v in shares.tolist()])

# %% [markdown]
# The shares are the probabilities: the choice is fair. Now three draws at three
# temperatures, with the same noise:

# %%
for temperature in (0.1, 1.0, 10.0):
    soft = gumbel_softmax(logits.detach(), choice_u[:3], temperature)
    texts = [" ".join(f"{v:.2f}" for v in row) for row in soft.tolist()]
    print(f"temperature {temperature:4}:", "  |  ".join(texts))

# %% [markdown]
# Each group of three numbers is one soft choice. A low temperature gives almost hard
# choices, a high one mixes all categories. A mixture is not a choice: its average cost is
# another one, and so is the gradient. **Predict**: which temperatures give a wrong gradient,
# and which a noisy one?


# %% tags=["definition"]
def soft_gradients(logits, costs, u, temperature):
    """One estimate of the gradient for each draw: (S, K)."""
    own = logits.detach().expand(u.shape).clone().requires_grad_()  # a copy each
    soft_cost = gumbel_softmax(own, u, temperature) @ costs  # (S,)
    return torch.autograd.grad(soft_cost.sum(), own)[0]


# %% [markdown]
# We look at the second logit, and first at the soft choice.

# %%
torch.manual_seed(SEED)
target = exact_gradient[1].item()
biases, errors, spreads = [], [], []
for temperature in TEMPERATURES:
    u = torch.rand(SAMPLES, 3).clamp_min(1e-7)
    estimates = soft_gradients(logits, costs, u, temperature)[:, 1]
    biases.append(estimates.mean().item() - target)
    spreads.append(estimates.var().item())
    errors.append(math.sqrt(spreads[-1] / SAMPLES))
report = zip(TEMPERATURES, biases, errors, strict=True)
print("\n".join(f"temperature {t}: bias {b:+.4f} ± {e:.5f}" for t, b, e in report))

# %% [markdown]
# The rival is the score function: it works for discrete choices and is unbiased. It gets its
# baseline, too. With three categories its variance is an exact sum. We compute it without a
# baseline, with the mean cost, and with the best constant, which is
# $\mathbb E[f\,\text{score}^2] / \mathbb E[\text{score}^2]$ (the bottom of a parabola in
# $b$).


# %% tags=["definition"]
def score_variance(p, costs, baseline, k=1):
    """Variance of (cost - baseline) times the score of logit k, one choice."""
    score = torch.eye(len(p))[k] - p[k]  # d log p_j / d a_k, for every j
    estimates = (costs - baseline) * score
    return ((p * estimates**2).sum() - (p * estimates).sum() ** 2).item()


# %%
score = torch.eye(3)[1] - p[1]
mean_cost = (p * costs).sum().item()
best = ((p * costs * score**2).sum() / (p * score**2).sum()).item()
constants = {"no baseline": 0.0, "mean cost": mean_cost, "best constant": best}
rivals = {name: score_variance(p, costs, b) for name, b in constants.items()}
for name, variance in rivals.items():
    print(f"score function, {name:13} {constants[name]:.2f}: variance {variance:.3f}")

# %% [markdown]
# Bias and noise can be added up: the mean of $S$ draws has the expected squared error
# $\text{bias}^2 + \mathrm{Var}/S$. And one more case. Suppose that not one choice but many
# are made, independently, and that their costs add up. For the score function this is
# the $f_{\text{rest}}$ from above again: with the mean total cost as baseline, the variance grows by the
# variance of each other cost times $\mathbb E[\text{score}^2]$. For the soft choice nothing
# changes, since in a sum the slope of one term does not see the others.

# %%
cost_variance = (p * (costs - mean_cost) ** 2).sum().item()
one = rivals["mean cost"]
many = one + (CHOICES - 1) * cost_variance * (p * score**2).sum().item()
soft = list(zip(biases, spreads, strict=True))
soft_one = [bias**2 + spread for bias, spread in soft]
soft_mean = [bias**2 + spread / AVERAGED for bias, spread in soft]
print(
    f"one draw: soft choice at its best {min(soft_one):.3f}, score function {one:.3f}"
)
print(f"mean of {AVERAGED}: soft choice at its best {min(soft_mean):.4f},")
print(
    f"    score function {one / AVERAGED:.4f}, {CHOICES} choices {many / AVERAGED:.4f}"
)

# %%
figure, axes = plt.subplots(1, 3, figsize=(11.5, 3.3))
axes[0].errorbar(TEMPERATURES, biases, [3 * e for e in errors], marker="o", capsize=3)
axes[0].axhline(0, color="black", ls="-", lw=0.8)
axes[0].set_title(f"Bias; the exact gradient is {target:.2f}")
axes[1].plot(TEMPERATURES, spreads, marker="o", label="Gumbel-softmax")
for i, (name, variance) in enumerate(rivals.items()):
    line = {"color": "black", "ls": plots.LINES[i + 1], "lw": 1}
    axes[1].axhline(variance, label=f"score function, {name}", **line)
axes[1].set(yscale="log", title="Variance of one estimate", ylim=(None, 200))
axes[2].plot(TEMPERATURES, soft_mean, marker="o", label="Gumbel-softmax")
for i, (name, variance) in enumerate(
    [("one choice", one), (f"{CHOICES} choices", many)]
):
    line = {"color": "black", "ls": plots.LINES[2 + i], "lw": 1}
    axes[2].axhline(variance / AVERAGED, label=f"score function, {name}", **line)
axes[2].set(yscale="log", title=f"Squared error, mean of {AVERAGED}", ylim=(None, 10))
for ax in axes:
    ax.set(xscale="log", xlabel="temperature")
for ax in axes[1:]:
    ax.legend(fontsize=8, loc="upper right")
plt.show()

# %% [markdown]
# **Figure 2.12. At the highest temperature there is more bias and less variance than at
# the lowest.** The bars at the left are three standard errors; black lines belong to
# the score function.
#
# At the lowest temperature the bias hides in the noise; at high temperatures most of
# the gradient is lost. The variance does the opposite, and the rival's depends on its
# baseline. Right: for the second logit of this one choice, the mean of many draws is
# nearer to the truth with the unbiased estimator (the lower line) than with any of
# these temperatures. With many choices at once (the upper line) it is not. For another
# logit, or other costs, the lower line may lie elsewhere: the ranking of one choice is
# no rule.

# %%
by_heat = sorted(zip(TEMPERATURES, biases, errors, spreads, strict=True))
cool, hot = by_heat[0], by_heat[-1]  # (temperature, bias, its error, variance)
biased = abs(hot[1]) > abs(cool[1]) + 3 * (hot[2] + cool[2])
claims.show(
    "02",
    digits,
    {
        "Soft choice: at the highest temperature of the list the bias is larger and "
        "the variance smaller than at the lowest.": None
        if cool == hot
        else biased and hot[3] < cool[3],
        "One choice, its second logit, one draw: the squared error of the soft choice "
        "at its best temperature is smaller than that of the score function with the "
        "mean cost as baseline, and larger than with the best constant.": rivals[
            "best constant"
        ]
        < min(soft_one)
        < one,
        "One choice, its second logit, mean of 100 draws: the score function with the "
        "mean cost as baseline has the smaller squared error at every temperature of "
        "the list.": one / AVERAGED < min(soft_mean),
        "Twenty choices whose costs add up, mean of 100 draws, mean total cost as "
        "baseline: the soft choice has the smaller squared error at its best "
        "temperature.": min(soft_mean) < many / AVERAGED,
    },
)

# %% [markdown]
# Why, then, is Gumbel-softmax used? In a network many choices are made at once, and the
# costs cannot be listed: the mean cost of an image, too, must be estimated, with more draws
# or by another network. The soft choice needs no baseline, and its gradient comes out of
# the same backward pass as all the others. The price is a bias, and a temperature to
# choose. The **straight-through** variant (`hard=True` in PyTorch's `gumbel_softmax`) hands
# the decoder the hard choice and takes the gradient of the soft one; it is biased as well. A
# Gaussian code has a path and needs none of this.

# %% [markdown]
# ## Exercise 02.5 · A better baseline (open)
#
# *extension, hard, 30 minutes*
#
# The mean cost is a good baseline, but not the best one, and in practice nobody knows it.
# (a) Find the constant $b$ that makes the variance of $(f(z) - b)\,\varepsilon$ smallest;
# derive the new variance for $f(z) = z^2$ and measure it with `variance_with_error`.
# (b) Write a baseline that is estimated from the draws of the same batch and keeps the
# estimator unbiased. (c) Can a baseline that depends on $\varepsilon$ do better still? Draw
# your curves into the figure of this lesson.
#
# <details><summary>Hint 1: the best constant</summary>
#
# $\mathbb E[(f - b)^2\varepsilon^2]$ is a parabola in $b$. Set its derivative to 0. Draws
# with a large $\varepsilon$ count more than others.
# </details>
# <details><summary>Hint 2: unbiased</summary>
#
# If a draw's own cost enters its baseline, the two are no longer independent. Use the
# mean over all the **other** draws.
# </details>
# <details><summary>Hint 3: depending on the noise</summary>
#
# Subtract a function of $\varepsilon$ whose product with the score has a mean that you
# know, and add this mean again. A straight line through $f$ at $\mu$ is a good start.
# </details>
# <details><summary>Where you should arrive (after your own attempt)</summary>
#
# All for $f(z) = z^2$ in one dimension, with $\sigma = 1$.
#
# - (a) $b^* = \mathbb E[f\varepsilon^2] / \mathbb E[\varepsilon^2] = \mu^2 + 3$, and the variance
#   is $8\mu^2 + 6$: 6 at $\mu = 0$, 14 at 1, 78 at 3, 806 at 10.
# - (b) With the mean of the other $S - 1$ draws the variance of one estimate is
#   $8\mu^2 + 10 + (4\mu^2 + 2)/(S - 1)$. (The mean of $S$ such estimates: they share draws, so
#   measure its spread by repeating it.)
# - (c) The line $\mu^2 + 2\mu\varepsilon$ leaves $\varepsilon^3$, plus the known mean $2\mu$: the
#   variance is 15 for every $\mu$. With the best constant for what is left, which is 3, it
#   is 6.
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
# | $z = \mu + \exp(\tfrac12\log\sigma^2)\,\varepsilon$ | `reparameterize`, later `distributions.reparameterize` |
# | pathwise: $f'(\mu + \varepsilon)$; for $f = z^2$ variance 4 | `pathwise` |
# | score function: $f(z)\,\nabla_\mu\log p(z; \mu)$; for $z^2$ variance $\mu^4 + 14\mu^2 + 15$ | `score_function` |
# | with baseline $\mathbb E[f]$; for $z^2$ variance $8\mu^2 + 10$ | `score_function(..., baseline)` |
# | both for any cost in one dimension | `grid_variances` |
# | on a VAE: noise of a draw, spread between images | `gradient_noise` |
# | standard error of a mean: $\sqrt{\mathrm{Var}/S}$ | `variance_with_error` |
# | second reading: $z = F^{-1}(u)$ | `laplace_from_uniform` |
# | second reading: $\mathrm{softmax}((a - \log(-\log u))/\tau)$, biased | `gumbel_softmax` |
#
# **Sources.** Kingma and Welling, *Auto-encoding variational Bayes* (arXiv:1312.6114),
# section 2.4. Rezende, Mohamed and Wierstra (arXiv:1401.4082), section 3. Williams,
# *Simple statistical gradient-following algorithms*, Machine Learning 8 (1992), for the
# score function. Mohamed, Rosca, Figurnov and Mnih, *Monte Carlo gradient estimation in
# machine learning* (arXiv:1906.10652), sections 3 to 5. Jang, Gu and Poole (arXiv:
# 1611.01144), section 2, and Maddison, Mnih and Teh (arXiv:1611.00712), for
# Gumbel-softmax.
