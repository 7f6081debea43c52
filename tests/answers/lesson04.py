"""Right and wrong answers to the exercises of lesson 04."""

import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from vae_helpers.checks import lesson04 as check


def encode(x, body, to_mu, to_logvar):
    h = body(x.reshape(len(x), -1))
    return to_mu(h), to_logvar(h)


def encode_nn(x, body, to_mu, to_logvar):
    h = torch.nn.Flatten()(x)
    return [layer(body(h)) for layer in (to_mu, to_logvar)]


def decode(z, decoder, image_shape):
    return decoder(z).view(-1, *image_shape)


def decode_nn(z, decoder, image_shape):
    return torch.stack([row.reshape(image_shape) for row in decoder(z)])


def changed(function, change):
    return lambda *arguments: change(function(*arguments))


def bce_function(x, logits, mu, logvar):
    total = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp()) / len(x)
    return total, kl


def with_distributions(x, logits, mu, logvar):
    pixels = Independent(Bernoulli(logits=logits, validate_args=False), 3)
    q = Normal(mu, torch.exp(0.5 * logvar))
    kl = kl_divergence(q, Normal(torch.zeros_like(mu), torch.ones_like(mu)))
    return -pixels.log_prob(x).mean(), kl.sum(1).mean()


def with_loops(x, logits, mu, logvar):
    rec, kl = 0.0, 0.0
    for i in range(len(x)):
        p = logits[i].sigmoid().clamp(1e-7, 1 - 1e-7)
        rec = rec - (x[i] * p.log() + (1 - x[i]) * (1 - p).log()).sum() / len(x)
        kl = kl + 0.5 * (mu[i] ** 2 + logvar[i].exp() - 1 - logvar[i]).sum() / len(x)
    return rec, kl


def reconstruction_as(change):
    def answer(x, logits, mu, logvar):
        rec, kl = bce_function(x, logits, mu, logvar)
        return change(rec, x, logits), kl

    return answer


def kl_as(formula):
    def answer(x, logits, mu, logvar):
        rec, _ = bce_function(x, logits, mu, logvar)
        return rec, formula(mu, logvar).sum(1).mean()

    return answer


def pixel_mean(x, logits, mu, logvar):
    return F.binary_cross_entropy_with_logits(logits, x), bce_function(
        x, logits, mu, logvar
    )[1]


def double_sigmoid(x, logits, mu, logvar):
    return bce_function(x, logits.sigmoid(), mu, logvar)


def step_right(model, optimizer, x, loss_fn):
    optimizer.zero_grad()
    loss = loss_fn(model, x)["loss"]
    loss.backward()
    optimizer.step()
    return loss.detach().item()


def step_right_after(model, optimizer, x, loss_fn):
    terms = loss_fn(model, x)
    terms["loss"].backward()
    optimizer.step()
    model.zero_grad(set_to_none=True)
    return terms["loss"].detach().item()


def step_without_zero(model, optimizer, x, loss_fn):
    loss = loss_fn(model, x)["loss"]
    loss.backward()
    optimizer.step()
    return loss.item()


def step_without_step(model, optimizer, x, loss_fn):
    optimizer.zero_grad()
    loss = loss_fn(model, x)["loss"]
    loss.backward()
    return loss.item()


def step_tensor(model, optimizer, x, loss_fn):
    optimizer.zero_grad()
    loss = loss_fn(model, x)["loss"]
    loss.backward()
    optimizer.step()
    return loss


def step_kl(model, optimizer, x, loss_fn):
    optimizer.zero_grad()
    loss = loss_fn(model, x)["kl"]
    loss.backward()
    optimizer.step()
    return loss.item()


def step_twice(model, optimizer, x, loss_fn):
    value = step_right(model, optimizer, x, loss_fn)
    optimizer.step()
    return value


def step_after(model, optimizer, x, loss_fn):
    step_right(model, optimizer, x, loss_fn)
    return loss_fn(model, x)["loss"].item()


def line_loop(a, b, n):
    return torch.stack([a + (b - a) * i / (n - 1) for i in range(n)])


def line_lerp(a, b, n):
    weight = torch.linspace(0, 1, n).unsqueeze(1)
    return torch.lerp(a.expand(n, -1), b.expand(n, -1), weight)


EXERCISES = {
    "04.1": {
        "check": check.encode_decode,
        "right": [(encode, decode), (encode_nn, decode_nn)],
        "wrong": [
            ((changed(encode, lambda r: r[::-1]), decode), "logvar first"),
            (
                (lambda x, b, m, v: (m(b(x.flatten(1))), m(b(x.flatten(1)))), decode),
                "come from `to_mu`",
            ),
            ((changed(encode, lambda r: (r[0], r[1].relu())), decode), "behind logvar"),
            ((changed(encode, lambda r: (r[0].relu(), r[1])), decode), "behind mu."),
            ((changed(encode, lambda r: (r[0], r[1].exp())), decode), "the variance"),
            ((changed(encode, lambda r: (r[0], (r[1] / 2).exp())), decode), "sigma."),
            ((lambda x, b, m, v: (m(b(x)), v(b(x))), decode), "Flatten images"),
            (
                (changed(encode, lambda r: [t.detach() for t in r]), decode),
                "No gradient reaches the encoder",
            ),
            ((encode, lambda z, d, s: decode(z, d, s).sigmoid()), "applies a sigmoid"),
            ((encode, lambda z, d, s: d(z)), "flat images"),
            ((encode, lambda z, d, s: decode(z, d, s).detach()), "through `decode`"),
        ],
    },
    "04.2": {
        "check": check.vae_terms,
        "right": [(bce_function,), (with_distributions,), (with_loops,)],
        "wrong": [
            ((pixel_mean,), "mean over pixels"),
            (
                (
                    reconstruction_as(
                        lambda r, x, y: (
                            F.binary_cross_entropy_with_logits(y, x, reduction="none")
                            .flatten(1)
                            .sum(1)
                        )
                    ),
                ),
                "reconstruction term has one number for each image",
            ),
            (
                (
                    reconstruction_as(
                        lambda r, x, y: (
                            F.binary_cross_entropy_with_logits(y, x, reduction="none")
                            .sum(1)
                            .mean()
                        )
                    ),
                ),
                "sums over channels only",
            ),
            (
                (
                    reconstruction_as(
                        lambda r, x, y: (
                            F.binary_cross_entropy_with_logits(x, y, reduction="sum")
                            / len(x)
                        )
                    ),
                ),
                "swapped",
            ),
            ((kl_as(lambda m, v: 0.5 * (m**2 + v - 1 - v.log())),), "as the variance"),
            ((double_sigmoid,), "applied twice"),
            ((reconstruction_as(lambda r, x, _: -r),), "better when higher"),
            ((reconstruction_as(lambda r, x, _: r * len(x)),), "summed over the batch"),
            ((reconstruction_as(lambda r, x, _: r.detach()),), "carries no gradient"),
            (
                (
                    reconstruction_as(
                        lambda r, x, y: (
                            ((y.sigmoid() - x) ** 2).flatten(1).sum(1).mean()
                        )
                    ),
                ),
                "squared error of the probabilities",
            ),
            ((kl_as(lambda m, v: m**2 + v.exp() - 1 - v),), "factor one half"),
            ((kl_as(lambda m, v: 0.5 * (1 + v - m**2 - v.exp())),), "negative"),
            (
                (kl_as(lambda m, v: 0.5 * (m**2 + v.exp() - 1 - v) / m.shape[1]),),
                "mean over latent dimensions",
            ),
            (
                (kl_as(lambda m, v: 0.5 * (m**2 + (v / 2).exp() - 1 - v)),),
                "is sigma; the formula",
            ),
            (
                (kl_as(lambda m, v: 0.5 * (m**2 + v**2 - 1 - (v**2).log())),),
                "as the standard deviation",
            ),
            (
                (kl_as(lambda m, v: 0.5 * (m**2 + (2 * v).exp() - 1 - 2 * v)),),
                "as log sigma",
            ),
            (
                (kl_as(lambda m, v: 0.5 * ((m**2 + 1) / v.exp() - 1 + v)),),
                "other direction",
            ),
            ((lambda *a: bce_function(*a)[::-1],), "first result is the KL"),
            ((lambda *a: sum(bce_function(*a)),), "Return two things"),
        ],
    },
    "04.3": {
        "check": check.training_step,
        "right": [(step_right,), (step_right_after,)],
        "wrong": [
            ((step_without_zero,), "pile up"),
            ((step_without_step,), "weights do not move"),
            ((step_tensor,), "is a tensor"),
            ((step_kl,), "Only the KL"),
            ((step_twice,), "move twice"),
            ((step_after,), "after the step"),
        ],
    },
    "04.4": {
        "check": check.interpolate,
        "right": [(line_loop,), (line_lerp,)],
        "wrong": [
            ((lambda a, b, n: line_loop(a, b, n + 1)[:-1],), "not `end`"),
            ((lambda a, b, n: line_loop(a, b, n + 1)[1:],), "not `start`"),
            ((lambda a, b, n: line_loop(a, b, n + 2)[1:-1],), "Neither end"),
            ((lambda a, b, n: line_loop(b, a, n),), "backwards"),
            ((lambda a, b, n: line_loop(a, b, n).T,), "Rows and columns"),
            ((lambda a, b, n: line_loop(a, b, n) - a,), "add `start`"),
            ((lambda a, b, n: line_loop(a, b, n).detach(),), "gradient of argument"),
            ((lambda a, b, n: list(line_loop(a, b, n)),), "torch.stack"),
        ],
    },
}
