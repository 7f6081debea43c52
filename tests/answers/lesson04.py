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


def faults(**changes):
    """An answer to 04.3: the right names, some of them exchanged."""
    right = {"A": "encoder", "B": "mean code", "C": "sign", "D": "latent mean"}
    return lambda: right | changes


def faults_in_lists():
    letters, names = "abcd", ["Encoder", "mean code ", "sign", "latent mean"]
    return dict(zip(letters, names, strict=True))


def generate(model, n):
    with torch.no_grad():
        codes = torch.randn(n, model.latent_size, device=model.to_mu.weight.device)
        return torch.sigmoid(model.decode(codes))


def generate_normal(model, n):
    prior = Normal(torch.zeros(model.latent_size), 1.0)
    return model.decode(prior.sample((n,))).sigmoid().detach()


def generate_each(model, n):
    codes = [torch.randn(1, model.latent_size) for _ in range(n)]
    return torch.cat([model.decode(code).sigmoid() for code in codes])


def reconstruct(model, x):
    mu, _ = model.encode(x)
    return torch.sigmoid(model.decode(mu))


def elbo_estimate(model, x):
    logits, mu, logvar = model(x)
    nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
    return -nats.flatten(1).sum(1) - kl.sum(1)


def elbo_distributions(model, x):
    mu, logvar = model.encode(x)
    q, p = Normal(mu, torch.exp(0.5 * logvar)), Normal(0.0, 1.0)
    z = q.rsample()
    pixels = Independent(Bernoulli(logits=model.decode(z), validate_args=False), 3)
    return pixels.log_prob(x) - kl_divergence(q, p).sum(1)


def elbo_by_sampling(model, x):
    mu, logvar = model.encode(x)
    q, p = Normal(mu, torch.exp(0.5 * logvar)), Normal(0.0, 1.0)
    z = q.sample()
    pixels = Independent(Bernoulli(logits=model.decode(z), validate_args=False), 3)
    return pixels.log_prob(x) + (p.log_prob(z) - q.log_prob(z)).sum(1)


def jobs(generate=generate, reconstruct=reconstruct, elbo_estimate=elbo_estimate):
    """An answer to 04.4 with some of its functions exchanged."""
    return generate, reconstruct, elbo_estimate


def elbo_of(code):
    """An estimate that decodes another code."""

    def answer(model, x):
        mu, logvar = model.encode(x)
        logits = model.decode(code(mu, logvar))
        nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
        kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
        return -(nats.flatten(1).sum(1) + kl.sum(1))

    return answer


def picture_of(code):
    return lambda model, x: model.decode(code(*model.encode(x))).sigmoid()


def draws_loop(p):
    sure = sum(1 for row in p.tolist() if max(row) > 0.9) / len(p)
    names = [row.index(max(row)) for row in p.tolist()]
    shares = [names.count(c) / len(p) for c in range(p.shape[1])]
    return sure, (sure * (1 - sure) / len(p)) ** 0.5, min(shares)


def draws_torch(p):
    largest, names = p.max(dim=1)
    sure = (largest > 0.9).double().mean()
    rarest = F.one_hot(names, p.shape[1]).double().mean(0).min()
    error = torch.sqrt(sure * (1 - sure) / p.shape[0])
    return sure.item(), error.item(), rarest.item()


def draws_population(p):
    sure = (p.max(1).values > 0.9).double()
    names = torch.bincount(p.argmax(1), minlength=p.shape[1])
    error = sure.std(unbiased=False) / len(p) ** 0.5
    return sure.mean().item(), error.item(), (names.min() / len(p)).item()


def draws_as(change):
    return lambda p: change(p, *draws_loop(p))


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
            (
                (
                    lambda x, b, m, v: (h := b(x.flatten(1)), v(m(h)))[::-1],
                    decode,
                    forward,
                ),
                "both take what `body` returns",
            ),
            (
                (lambda x, b, m, v: encode(x.view(-1, 784), b, m, v), decode, forward),
                "numbers of MNIST",
            ),
            (
                (encode, lambda z, d, s: d(z).view(-1, 1, 28, 28), forward),
                "numbers of MNIST",
            ),
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
            ((with_logarithms,), "NaN for one that is sure"),
            (
                (
                    reconstruction_as(
                        lambda r, x, y: (
                            F.binary_cross_entropy(y.sigmoid(), x, reduction="sum")
                            / len(x)
                        )
                    ),
                ),
                "says 100",
            ),
            (
                (
                    lambda x, logits, mu, lv: bce_function(
                        x.view(-1, 784), logits.view(-1, 784), mu, lv
                    ),
                ),
                "numbers of MNIST",
            ),
            (
                (
                    lambda x, y, mu, lv: (
                        bce_function(x, y, mu, lv)[0],
                        0.5 * (mu**2 + lv.exp() - 1 - lv).sum(0),
                    ),
                ),
                "summed over the batch, axis 0",
            ),
            (
                (
                    lambda x, y, mu, lv: (
                        bce_function(x, y, mu, lv)[0],
                        0.5 * (mu**2 + lv.exp() - 1 - lv).sum(0).mean(),
                    ),
                ),
                "axes are exchanged",
            ),
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
        "check": check.which_fault,
        "right": [(faults(),), (faults_in_lists,)],
        "wrong": [
            ((faults(A="two sigmoids"),), "Log A is not `two sigmoids`"),
            ((faults(A="pixel mean"),), "below 1"),
            ((faults(B="latent mean", D="mean code"),), "sigma is the same"),
            ((faults(C="encoder"),), "not the sum of the two columns"),
            ((faults(D="sign"),), "would grow without end"),
            ((faults(D="KL over latents"),), "names are those of the table"),
            ((lambda: {"A": "encoder", "B": "sign"},), "four keys"),
            ((lambda: {v: k for k, v in faults()().items()},), "other way round"),
            ((lambda: ["encoder", "mean code", "sign", "latent mean"],), "dictionary"),
            ((lambda: None,), "returned None"),
        ],
    },
    "04.4": {
        "check": check.right_code,
        "right": [
            jobs(),
            jobs(generate_normal, reconstruct, elbo_distributions),
            jobs(generate_each, picture_of(lambda mu, lv: mu), elbo_by_sampling),
        ],
        "wrong": [
            (jobs(elbo_estimate=elbo_of(lambda mu, lv: mu)), "decodes the mean"),
            (
                jobs(
                    elbo_estimate=lambda m, x: elbo_of(lambda mu, lv: mu)(m.eval(), x)
                ),
                "decodes the mean",
            ),
            (jobs(elbo_estimate=elbo_of(lambda mu, lv: torch.randn_like(mu))), "prior"),
            (
                jobs(
                    elbo_estimate=elbo_of(
                        lambda mu, lv: mu + lv.exp() * torch.randn_like(mu)
                    )
                ),
                "no sample of q",
            ),
            (
                jobs(
                    elbo_estimate=elbo_of(
                        lambda mu, lv: mu + torch.exp(lv / 2) * torch.randn(mu.shape[1])
                    )
                ),
                "no sample of q",
            ),
            (jobs(elbo_estimate=lambda m, x: -elbo_estimate(m, x)), "a loss"),
            (
                jobs(elbo_estimate=lambda m, x: elbo_estimate(m, x) + 1),
                "right is",
            ),
            (
                jobs(reconstruct=lambda m, x: m.decode(m.encode(x)).sigmoid()),
                "both results",
            ),
            (
                jobs(reconstruct=lambda m, x: m.decode(m.encode(x)[0]).softmax(-1)),
                "right is",
            ),
            (jobs(elbo_estimate=lambda m, x: elbo_estimate(m, x).mean()), "(B,)"),
            (jobs(elbo_estimate=lambda m, x: elbo_estimate(m.eval(), x)), "eval mode"),
            (
                jobs(
                    reconstruct=picture_of(
                        lambda mu, lv: mu + torch.exp(0.5 * lv) * torch.randn_like(mu)
                    )
                ),
                "decodes a sample",
            ),
            (jobs(reconstruct=lambda m, x: m(x)[0].sigmoid()), "decodes a sample"),
            (
                jobs(reconstruct=picture_of(lambda mu, lv: torch.randn_like(mu))),
                "prior",
            ),
            (jobs(reconstruct=lambda m, x: m.decode(m.encode(x)[0])), "return logits"),
            (jobs(reconstruct=lambda m, x: m.reconstruct(x)), "does the job"),
            (
                jobs(
                    generate=lambda m, n: m.decode(
                        torch.rand(n, m.latent_size)
                    ).sigmoid()
                ),
                "`torch.rand`",
            ),
            (
                jobs(
                    generate=lambda m, n: (
                        m.decode(torch.randn(1, m.latent_size))
                        .sigmoid()
                        .repeat(n, 1, 1, 1)
                    )
                ),
                "another number of codes",
            ),
            (jobs(generate=lambda m, n: generate(m, n).bernoulli()), "all 0 or 1"),
            (jobs(generate=lambda m, n: generate(m, n).squeeze()), "shape"),
            (jobs(generate=lambda m, n: m.decode(torch.randn(n)).sigmoid()), "(B, Z)"),
        ],
    },
    "04.5": {
        "check": check.measure_draws,
        "right": [(draws_loop,), (draws_torch,), (draws_population,)],
        "wrong": [
            ((draws_as(lambda p, s, e, r: (s, e**2, r)),), "root is missing"),
            ((draws_as(lambda p, s, e, r: (s, e * len(p) ** 0.5, r)),), "not divided"),
            ((draws_as(lambda p, s, e, r: (s, (s / len(p)) ** 0.5, r)),), "1 - s"),
            (
                (
                    draws_as(
                        lambda p, s, e, r: (s, e * (len(p) / (len(p) - 1)) ** 0.5, r)
                    ),
                ),
                "divides by n - 1",
            ),
            ((draws_as(lambda p, s, e, r: (s * len(p), e, r)),), "number of sure"),
            ((draws_as(lambda p, s, e, r: (1 - s, e, r)),), "not sure"),
            (
                (
                    draws_as(
                        lambda p, s, e, r: (
                            s,
                            e,
                            p.argmax(1).unique(return_counts=True)[1].min().item()
                            / len(p),
                        )
                    ),
                ),
                "must then be 0",
            ),
            (
                (draws_as(lambda p, s, e, r: (s, e, p.mean(0).min().item())),),
                "mean prob",
            ),
            ((draws_as(lambda p, *numbers: torch.tensor(numbers)),), "Return 3 things"),
            ((draws_as(lambda p, s, e, r: (s, r, e)),), "changed places"),
            ((draws_as(lambda p, s, e, r: (s, 3 * e, r)),), "by hand"),
        ],
    },
}
