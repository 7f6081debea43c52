"""Right and wrong answers to the exercises of lesson 04."""

import numpy as np
import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from vae_helpers.checks import lesson04 as check


def encode(x, body, to_mu, to_logvar):
    h = body(x.reshape(len(x), -1))
    return to_mu(h), to_logvar(h)


def encode_nn(x, body, to_mu, to_logvar):
    network = torch.nn.Sequential(torch.nn.Flatten(), body)
    return [layer(network(x)) for layer in (to_mu, to_logvar)]


def encode_dropout(x, body, to_mu, to_logvar):
    h = F.dropout(body(x.flatten(1)), 0.2)
    return to_mu(h), to_logvar(h)


def encode_cut(x, body, to_mu, to_logvar):
    with torch.no_grad():
        h = body(x.flatten(1))
    return to_mu(h), to_logvar(h)


def decode(z, decoder, image_shape):
    return decoder(z).view(-1, *image_shape)


def decode_nn(z, decoder, image_shape):
    return torch.stack([row.reshape(image_shape) for row in decoder(z)])


def forward(x, encode, decode):
    mu, logvar = encode(x)
    return decode(Normal(mu, logvar.exp().sqrt()).rsample()), mu, logvar


def forward_loop(x, encode, decode):
    rows = []
    for image in x:
        mu, logvar = encode(image[None])
        eps = torch.from_numpy(np.random.default_rng().standard_normal(mu.shape))
        rows.append((decode(mu - (logvar / 2).exp() * eps.float()), mu, logvar))
    return [torch.cat(row) for row in zip(*rows, strict=True)]


def passes(sample, give=lambda logits, mu, logvar, z: (logits, mu, logvar)):
    """A wrong answer to 04.1 whose forward pass draws, or gives back, something else."""

    def forward(x, encode, decode):
        mu, logvar = encode(x)
        z = sample(mu, logvar)
        return give(decode(z), mu, logvar, z)

    return encode, decode, forward


def noisy(eps):
    return lambda mu, logvar: mu + torch.exp(logvar / 2) * eps(mu)


def normal(mu):
    return torch.randn(mu.shape)


def mean_in_place(x, encode, decode):
    mu, logvar = encode(x)
    mu += (logvar / 2).exp() * torch.randn_like(mu)
    return decode(mu), mu, logvar


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


def with_softplus(x, logits, mu, logvar):
    rec = (F.softplus(logits) - x.detach() * logits).sum((1, 2, 3))
    kl = [
        0.5 * (m @ m + (v.exp() - 1 - v).sum()) for m, v in zip(mu, logvar, strict=True)
    ]
    return rec.mean(), torch.stack(kl).mean()


def with_logarithms(x, logits, mu, logvar):
    p = logits.sigmoid()
    nats = -(x * p.log() + (1 - x) * (1 - p).log())
    return nats.flatten(1).sum(1).mean(), bce_function(x, logits, mu, logvar)[1]


def clamped(x, logits, mu, logvar):
    p = logits.sigmoid().clamp(1e-7, 1 - 1e-7)
    nats = F.binary_cross_entropy(p, x, reduction="sum") / len(x)
    return nats, bce_function(x, logits, mu, logvar)[1]


def squeezed(x, logits, mu, logvar):
    nats = F.binary_cross_entropy_with_logits(
        logits.squeeze(), x.squeeze(), reduction="none"
    )
    return nats.flatten(1).sum(1).mean(), bce_function(x, logits, mu, logvar)[1]


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


def step_right(model, optimizer, x, loss_fn):
    model.train()
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
    return terms["loss"].tolist()


def step_closure(model, optimizer, x, loss_fn):
    def closure():
        optimizer.zero_grad()
        loss = loss_fn(model, x)["loss"]
        loss.backward()
        return loss

    return optimizer.step(closure).item()


def step_without_step(model, optimizer, x, loss_fn):
    optimizer.zero_grad()
    loss = loss_fn(model, x)["loss"]
    loss.backward()
    return loss.item()


def step_as(give):
    def answer(model, optimizer, x, loss_fn):
        optimizer.zero_grad()
        loss = loss_fn(model, x)["loss"]
        loss.backward()
        optimizer.step()
        return give(loss)

    return answer


def step_on(choose):
    return lambda model, optimizer, x, loss_fn: step_right(
        model, optimizer, x, lambda *a: {"loss": choose(loss_fn(*a))}
    )


def step_twice(model, optimizer, x, loss_fn):
    value = step_right(model, optimizer, x, loss_fn)
    optimizer.step()
    return value


def step_by_hand(model, optimizer, x, loss_fn):
    loss = loss_fn(model, x)["loss"]
    weights, rate = list(model.parameters()), optimizer.param_groups[0]["lr"]
    with torch.no_grad():
        for p, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            p.sub_(slope, alpha=rate)
    return loss.item()


def step_evaluates(model, optimizer, x, loss_fn):
    value = step_right(model, optimizer, x, loss_fn)
    model.eval()
    return value


def line_loop(a, b, n):
    return torch.stack([a + (b - a) * i / (n - 1) for i in range(n)])


def line_lerp(a, b, n):
    weight = torch.linspace(0, 1, n).unsqueeze(1)
    return torch.lerp(a.expand(n, -1), b.expand(n, -1), weight)


def line_numpy(a, b, n):
    return torch.from_numpy(np.linspace(a.numpy(), b.numpy(), n))


EXERCISES = {
    "04.1": {
        "check": check.encode_decode,
        "right": [
            (encode, decode, forward),
            (encode_nn, decode_nn, forward_loop),
            passes(lambda mu, lv: torch.addcmul(mu, (lv / 2).exp(), normal(mu))),
        ],
        "wrong": [
            ((changed(encode, lambda r: r[::-1]), decode, forward), "logvar first"),
            (
                (lambda x, b, m, v: (m(b(x)), v(b(x))), decode, forward),
                "Flatten images",
            ),
            (
                (changed(encode, lambda r: map(F.hardtanh, r)), decode, forward),
                "a map",
            ),
            (
                (
                    changed(encode, lambda r: [t.clamp(-20, 20) for t in r]),
                    decode,
                    forward,
                ),
                "far from 0",
            ),
            ((encode_cut, decode, forward), "`body` gets no gradient"),
            ((encode_dropout, decode, forward), "in every call"),
            ((encode, lambda z, d, s: d(z), forward), "flat images"),
            (
                (encode, lambda *a: decode(*a).clamp(-5, 5), forward),
                "logits far from 0",
            ),
            (
                (encode, lambda z, d, s: decode(z.data, d, s), forward),
                "`z` gets no gradient",
            ),
            (passes(noisy(lambda mu: normal(mu[0]))), "share their noise"),
            (passes(noisy(torch.rand_like)), "standard normal noise"),
            (
                passes(noisy(lambda mu: normal(mu).clamp(-2, 2))),
                "standard normal noise",
            ),
            (
                passes(lambda mu, lv: noisy(normal)(mu, lv.clamp(-10, 10))),
                "is something clamped",
            ),
            (passes(noisy(normal), lambda o, mu, lv, z: o), "Return 3 things"),
            ((encode, decode, mean_in_place), "changed in place"),
        ],
    },
    "04.2": {
        "check": check.vae_terms,
        "right": [(bce_function,), (with_distributions,), (with_softplus,)],
        "wrong": [
            (
                (reconstruction_as(lambda r, x, y: r / x[0].numel()),),
                "mean over pixels",
            ),
            (
                (reconstruction_as(lambda r, x, y: F.l1_loss(y.sigmoid(), x)),),
                "none of the usual ways",
            ),
            ((reconstruction_as(lambda r, x, _: -r),), "better when higher"),
            (
                (
                    lambda x, logits, mu, lv: bce_function(
                        x.round(), logits.sigmoid(), mu, lv
                    ),
                ),
                "none of the usual ways",
            ),
            ((with_logarithms,), "a decoder that is sure"),
            ((clamped,), "a decoder that is sure"),
            ((squeezed,), "one image"),
            ((kl_as(lambda m, v: m**2 + v.exp() - 1 - v),), "factor one half"),
            (
                (kl_as(lambda m, v: 0.5 * (m**2 + v.exp() - 1 - v) / m.shape[1]),),
                "mean over latent dimensions",
            ),
            (
                (kl_as(lambda m, v: 0.5 * ((m**2 + 1) / v.exp() - 1 + v)),),
                "other direction",
            ),
            (
                (
                    kl_as(
                        lambda m, v: (
                            0.5 * (m**2 + v.clamp(-10, 10).exp() - 1 - v.clamp(-10, 10))
                        )
                    ),
                ),
                "logvar = 12",
            ),
            ((lambda *a: sum(bce_function(*a)),), "Return 2 things"),
        ],
    },
    "04.3": {
        "check": check.training_step,
        "right": [(step_right,), (step_right_after,), (step_closure,)],
        "wrong": [
            ((step_without_step,), "weights do not move"),
            ((step_as(lambda loss: loss),), "returned a tensor"),
            ((step_as(lambda loss: loss.detach().numpy()),), "a NumPy value"),
            ((step_as(lambda loss: f"{loss:.3f}"),), "returned text"),
            ((step_as(lambda loss: None),), "returned None"),
            ((step_on(lambda terms: terms["kl"]),), "Only the KL"),
            ((step_twice,), "move twice"),
            ((step_by_hand,), "by hand"),
            ((step_evaluates,), "in eval mode"),
        ],
    },
    "04.4": {
        "check": check.interpolate,
        "right": [
            (line_loop,),
            (line_lerp,),
            (line_numpy,),
            (lambda a, b, n: line_loop(a, b, n).detach(),),
        ],
        "wrong": [
            ((lambda a, b, n: line_loop(a, b, n + 1)[:-1],), "not `end`"),
            ((lambda a, b, n: line_loop(a, b, n + 2)[1:-1],), "Neither end"),
            ((lambda a, b, n: line_loop(b, a, n),), "backwards"),
            ((lambda a, b, n: torch.stack(list(line_lerp(a, b, n)), 1),), "Rows and"),
            ((lambda a, b, n: line_loop(a, b, n) - a,), "add `start`"),
            ((lambda a, b, n: line_loop(a, b, n).squeeze(),), "one dimension"),
            ((lambda a, b, n: list(line_loop(a, b, n)),), "torch.stack"),
            ((lambda a, b, n: line_loop(a, b, n).clamp(-3, 3),), "hand"),
        ],
    },
}
