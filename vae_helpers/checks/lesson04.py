"""Checks of lesson 04."""

import torch
import torch.nn.functional as F
from torch import nn

from vae_helpers.checks.legacy import Wrong, check, compare
from vae_helpers.checks.usual import Layer, then

CASES = 40


def _networks() -> list[tuple]:
    """Random encoders: (x, body, to_mu, to_logvar)."""
    torch.manual_seed(0)
    found = []
    for number in range(CASES):
        b, c, h, w = 1 + number % 4, 1 + number % 2, 3, 2 + number % 3
        hidden, z = 6, 1 + number % 5
        body = Layer(c * h * w, hidden, "body", relu=True)
        layers = Layer(hidden, z, "to_mu"), Layer(hidden, z, "to_logvar")
        found.append((torch.rand(b, c, h, w), body, *layers))
    return found


def _decoders() -> list[tuple]:
    """Random decoders: (z, decoder, image_shape)."""
    torch.manual_seed(1)
    found = []
    for number in range(CASES):
        shape = (1 + number % 2, 3, 2 + number % 3)
        z = torch.randn(1 + number % 4, 2)
        decoder = Layer(2, shape[0] * shape[1] * shape[2], "decoder")
        found.append((z, decoder, shape))
    return found


def _encode(x, body, to_mu, to_logvar):
    h = body(x.flatten(1))
    return to_mu(h), to_logvar(h)


def _decode(z, decoder, shape):
    return decoder(z).unflatten(1, shape)


ENCODE_MISTAKES = [
    (
        then(_encode, lambda r: (r[1], r[0])),
        "`encode` returns logvar first; needed is mu, then logvar.",
    ),
    (
        then(_encode, lambda r: (r[0], r[0])),
        "Both results of `encode` come from `to_mu`: the second needs `to_logvar`.",
    ),
    (
        then(_encode, lambda r: (r[1], r[1])),
        "Both results of `encode` come from `to_logvar`: the first needs `to_mu`.",
    ),
    (
        then(_encode, lambda r: (r[0].relu(), r[1].relu())),
        "There is a ReLU behind mu and logvar. Both may be negative: leave it out.",
    ),
    (
        then(_encode, lambda r: (r[0].relu(), r[1])),
        "There is a ReLU behind mu. A mean may be negative: leave it out.",
    ),
    (
        then(_encode, lambda r: (r[0], r[1].relu())),
        "There is a ReLU behind logvar: the standard deviation could never be below 1.",
    ),
    (
        then(_encode, lambda r: (r[0], r[1].exp())),
        "You return exp(logvar), the variance. Return the log-variance itself.",
    ),
    (
        then(_encode, lambda r: (r[0], torch.exp(0.5 * r[1]))),
        "You return sigma. Return the log-variance; sigma is computed where it is needed.",
    ),
    (
        then(_encode, lambda r: (r[0].detach(), r[1].detach())),
        "No gradient reaches the encoder: something is detached or inside no_grad.",
    ),
]
DECODE_MISTAKES = [
    (
        then(_decode, torch.sigmoid),
        "`decode` applies a sigmoid. Return logits: the loss has the sigmoid inside, and "
        "two of them squeeze every probability towards a half.",
    ),
    (
        then(_decode, torch.relu),
        "`decode` applies a ReLU. Logits may be negative: dark pixels need that.",
    ),
    (
        lambda z, decoder, shape: decoder(z),
        "`decode` returns flat images (B, D). Give them the image shape again.",
    ),
    (
        then(_decode, lambda r: (r > 0).float()),
        "`decode` returns black and white pixels. Return the logits, not a picture.",
    ),
    (
        then(_decode, torch.detach),
        "No gradient passes through `decode`: something is detached or inside no_grad.",
    ),
]


@check("04.1 encode and decode")
def encode_decode(encode, decode) -> str:
    """encode(x, body, to_mu, to_logvar) and decode(z, decoder, image_shape)."""
    compare(encode, _encode, _networks(), ENCODE_MISTAKES, gradients=True)
    try:
        decode(*_decoders()[0])
    except NotImplementedError:
        raise NotImplementedError("`encode` is right. Go on with `decode`.") from None
    compare(decode, _decode, _decoders(), DECODE_MISTAKES, gradients=True)
    return f"{CASES} random networks each: shapes, values and gradients."


def _reconstruction(x, logits, mu, logvar):
    nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return nats.flatten(1).sum(1).mean()


def _kl(x, logits, mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1).mean()


def _kl_with(formula):
    return lambda x, logits, mu, logvar: formula(mu, logvar).sum(1).mean()


def _batch(x, _logits, _mu, _logvar):
    return x.shape[0]


RECONSTRUCTION_MISTAKES = [
    (
        lambda *a: (
            F.binary_cross_entropy_with_logits(a[1], a[0], reduction="none")
            .flatten(1)
            .sum(1)
        ),
        "The reconstruction term has one number for each image. Take the mean over the "
        "batch.",
    ),
    (
        lambda *a: (
            F.binary_cross_entropy_with_logits(a[1], a[0], reduction="none")
            .sum(1)
            .mean()
        ),
        "This sums over channels only. Flatten to (B, D) first: `.flatten(1)`.",
    ),
    (
        lambda x, logits, mu, lv: (
            F.binary_cross_entropy_with_logits(x, logits, reduction="none")
            .flatten(1)
            .sum(1)
            .mean()
        ),
        "Image and logits are swapped: the function takes the logits first, then x.",
    ),
    (
        lambda *a: F.binary_cross_entropy_with_logits(a[1], a[0]),
        "The reconstruction term is a mean over pixels. Sum over pixels: with the mean "
        "the KL weighs D times as much (784 for MNIST), and the codes collapse.",
    ),
    (
        lambda *a: _reconstruction(*a) * _batch(*a),
        "The reconstruction term is summed over the batch. Take the mean over the batch, "
        "or the loss grows with the batch size.",
    ),
    (
        lambda *a: -_reconstruction(*a),
        "The reconstruction term has the sign of a log-likelihood, which is better when "
        "higher. A loss needs the minus.",
    ),
    (
        lambda x, logits, mu, lv: _reconstruction(x, logits.sigmoid(), mu, lv),
        "The sigmoid is applied twice: the function with logits has one inside.",
    ),
    (
        lambda x, logits, mu, lv: (
            ((logits.sigmoid() - x) ** 2).flatten(1).sum(1).mean()
        ),
        "This is the squared error of the probabilities. Here the pixels are Bernoulli: "
        "use the binary cross-entropy.",
    ),
    (
        lambda x, logits, mu, lv: ((logits - x) ** 2).flatten(1).sum(1).mean(),
        "This is the squared error of the logits, which are not pixel values. Use the "
        "binary cross-entropy with logits.",
    ),
    (
        lambda *a: _kl(*a),
        "The first result is the KL. Needed is the reconstruction term, then the KL.",
    ),
    (
        lambda *a: _reconstruction(*a) + _kl(*a),
        "The first result is the sum of both terms. Return them apart.",
    ),
    (
        lambda *a: _reconstruction(*a).detach(),
        "The reconstruction term carries no gradient: `.item()`, `.detach()` or no_grad "
        "cuts it, and nothing would be learned.",
    ),
]
KL_MISTAKES = [
    (
        lambda x, logits, mu, lv: 0.5 * (mu**2 + lv.exp() - 1 - lv).sum(1),
        "The KL has one number for each image. Take the mean over the batch.",
    ),
    (
        _kl_with(lambda mu, lv: 0.5 * (mu**2 + lv - 1 - lv.log())),
        "You treat logvar as the variance. It is already a logarithm: sigma^2 is "
        "`logvar.exp()`, and log sigma^2 is `logvar`.",
    ),
    (
        _kl_with(lambda mu, lv: mu**2 + lv.exp() - 1 - lv),
        "The KL is twice as large as it should be: the factor one half is missing.",
    ),
    (
        lambda *a: -_kl(*a),
        "The KL is negative: its sign is flipped. It is never below 0.",
    ),
    (
        lambda *a: _kl(*a) / a[2].shape[1],
        "The KL is a mean over latent dimensions. Sum over them, mean over the batch.",
    ),
    (
        lambda *a: _kl(*a) * _batch(*a),
        "The KL is summed over the batch. Take the mean over the batch.",
    ),
    (
        lambda x, *a: _kl(x, *a) / x[0].numel(),
        "The KL is divided by the number of pixels. Sum both terms, or divide neither.",
    ),
    (
        _kl_with(lambda mu, lv: 0.5 * (mu**2 + torch.exp(0.5 * lv) - 1 - lv)),
        "exp(0.5 * logvar) is sigma; the formula needs sigma squared, exp(logvar).",
    ),
    (
        _kl_with(lambda mu, lv: 0.5 * (mu**2 + torch.exp(2 * lv) - 1 - 2 * lv)),
        "You treat logvar as log sigma. It is log sigma^2: sigma^2 is exp(logvar).",
    ),
    (
        _kl_with(lambda mu, lv: 0.5 * (mu**2 + lv**2 - 1 - (lv**2).log())),
        "You treat logvar as the standard deviation. sigma^2 is exp(logvar).",
    ),
    (
        _kl_with(lambda mu, lv: 0.5 * (mu + lv.exp() - 1 - lv)),
        "mu must be squared in the KL.",
    ),
    (
        _kl_with(lambda mu, lv: 0.5 * (mu**2 + lv.exp() - lv)),
        "The -1 of every latent dimension is missing: at mu = 0, sigma = 1 the KL is 0.",
    ),
    (
        _kl_with(lambda mu, lv: 0.5 * (mu**2 * (-lv).exp() + (-lv).exp() - 1 + lv)),
        "This is the KL in the other direction, from the prior to the posterior.",
    ),
    (
        lambda *a: _kl(*a).detach(),
        "The KL carries no gradient: `.item()`, `.detach()` or no_grad cuts it.",
    ),
    (
        _kl_with(lambda mu, lv: 0.5 * (mu**2 + lv.exp().detach() - 1 - lv.detach())),
        "The KL gives logvar no gradient: the width of the posterior would never learn.",
    ),
]


@check("04.2 vae_terms")
def vae_terms(answer) -> str:
    """vae_terms(x, logits, mu, logvar) -> reconstruction, kl."""
    torch.manual_seed(0)
    cases = []
    for number in range(CASES):
        b, z = 2 + number % 5, 2 + number % 6
        shape = (b, 1 + number % 2, 3, 4)
        x = torch.rand(shape) if number % 2 else torch.rand(shape).round()
        cases.append((x, 2 * torch.randn(shape), torch.randn(b, z), torch.randn(b, z)))
    result = answer(*cases[0])
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Wrong(
            "Return two things, reconstruction and kl, in this order: "
            "`return reconstruction, kl`."
        )
    compare(
        lambda *a: answer(*a)[0],
        _reconstruction,
        cases,
        RECONSTRUCTION_MISTAKES,
        gradients=True,
    )
    compare(lambda *a: answer(*a)[1], _kl, cases, KL_MISTAKES, gradients=True)
    return f"{CASES} random batches: values, signs, reductions and gradients."


def _step(model, optimizer, x, loss_fn):
    loss = loss_fn(model, x)["loss"]
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def _no_zero(model, optimizer, x, loss_fn):
    loss = loss_fn(model, x)["loss"]
    loss.backward()
    optimizer.step()
    return loss.item()


def _zero_too_late(model, optimizer, x, loss_fn):
    loss = loss_fn(model, x)["loss"]
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


def _frozen(model, optimizer, x, loss_fn):
    return loss_fn(model, x)["loss"].item()


def _two_steps(model, optimizer, x, loss_fn):
    loss = _step(model, optimizer, x, loss_fn)
    optimizer.step()
    return loss


def _loss_after(model, optimizer, x, loss_fn):
    _step(model, optimizer, x, loss_fn)
    return loss_fn(model, x)["loss"].item()


def _only_kl(model, optimizer, x, loss_fn):
    return _step(model, optimizer, x, lambda m, x: {"loss": loss_fn(m, x)["kl"]})


def _only_reconstruction(model, optimizer, x, loss_fn):
    terms = lambda m, x: {"loss": loss_fn(m, x)["reconstruction"]}  # noqa: E731
    return _step(model, optimizer, x, terms)


STEP_MISTAKES = [
    (
        _no_zero,
        "The gradients pile up from step to step: `optimizer.zero_grad()` is missing "
        "before `backward()`.",
    ),
    (
        _frozen,
        "The loss is right but the weights do not move: after `loss.backward()` the "
        "optimiser must take its step, with the gradients still there.",
    ),
    (
        _zero_too_late,
        "The gradients are set to zero between `backward()` and the step.",
    ),
    (
        _two_steps,
        "The weights move twice in one call: one `optimizer.step()` is enough.",
    ),
    (
        _loss_after,
        "The value is the loss after the step; return the one of the forward.",
    ),
    (_only_kl, 'Only the KL is minimised: take the entry "loss".'),
    (_only_reconstruction, 'Only the reconstruction is minimised: take "loss".'),
]


def _run_steps(step, weight, batches):
    """Three steps of gradient descent on a small model: weights and losses."""
    model = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    model.weight = nn.Parameter(weight.clone())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def loss_fn(model, x):
        reconstruction = ((model(x) - 1) ** 2).sum(1).mean()
        kl = (model.weight**2).sum()
        return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}

    values = [step(model, optimizer, x, loss_fn) for x in batches]
    if None in values:
        raise Wrong("Your function returned None. Does it end with `return ...`?")
    return values, model.weight.detach()


@check("04.3 training_step")
def training_step(answer) -> str:
    """training_step(model, optimizer, x, loss_fn) -> float."""
    torch.manual_seed(0)
    cases = [(torch.randn(2, 3), torch.randn(3, 5, 3)) for _ in range(CASES)]
    values, _ = _run_steps(answer, *cases[0])
    if isinstance(values[0], torch.Tensor):
        raise Wrong(
            "The result is a tensor. Return a Python number, `loss.item()`: kept tensors "
            "hold on to their graph and fill the memory."
        )
    mistakes = [
        (lambda w, x, step=step: _run_steps(step, w, x), text)
        for step, text in STEP_MISTAKES
    ]
    compare(
        lambda w, x: _run_steps(answer, w, x),
        lambda w, x: _run_steps(_step, w, x),
        cases,
        mistakes,
    )
    return f"three steps on each of {CASES} small models: losses and weights."


def _line(start, end, count, low=0.0, high=1.0):
    t = torch.linspace(low, high, count)[:, None]
    return (1 - t) * start + t * end


def _sphere(start, end, count):
    cosine = F.cosine_similarity(start, end, dim=0).clamp(-1, 1)
    angle = cosine.acos()
    t = torch.linspace(0, 1, count)[:, None]
    return (((1 - t) * angle).sin() * start + (t * angle).sin() * end) / angle.sin()


LINE_MISTAKES = [
    (
        lambda a, b, n: _line(a, b, n + 1)[:-1],
        "The last row is not `end`: the values of t stop short of 1.",
    ),
    (
        lambda a, b, n: _line(a, b, n + 1)[1:],
        "The first row is not `start`: the values of t begin above 0.",
    ),
    (
        lambda a, b, n: _line(a, b, n + 2)[1:-1],
        "Neither end is included: t must run from 0 to 1, both included.",
    ),
    (lambda a, b, n: _line(b, a, n), "The line runs backwards, from `end` to `start`."),
    (
        lambda a, b, n: _line(a, b, n).T,
        "Rows and columns are swapped: needed is one code in each row.",
    ),
    (
        lambda a, b, n: torch.linspace(0, 1, n)[:, None] * (b - a),
        "The line begins at 0: add `start`.",
    ),
    (
        lambda a, b, n: a + torch.linspace(0, 1, n)[:, None] * b,
        "The line does not end at `end`: the step is `end - start`, not `end`.",
    ),
    (_sphere, "This follows a sphere; the exercise asks for the straight line."),
]


@check("04.4 interpolate")
def interpolate(answer) -> str:
    """interpolate(start, end, count) -> (count, Z)."""
    torch.manual_seed(0)
    cases = [
        (torch.randn(2 + i % 6), torch.randn(2 + i % 6), 3 + i % 9)
        for i in range(CASES)
    ]
    compare(answer, _line, cases, LINE_MISTAKES, gradients=True)
    return f"{CASES} pairs of codes: both ends, equal steps, shape and gradients."
