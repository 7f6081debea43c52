"""Right and wrong answers to the exercises of lesson 02."""

import torch
from torch.distributions import AffineTransform, Laplace, Normal

from vae_helpers.checks import lesson02 as check

NOISE = torch.randn(200, 200, generator=torch.Generator().manual_seed(7))


def in_one_line(mu, logvar, eps):
    return mu + torch.exp(0.5 * logvar) * eps


def fused(mu, logvar, eps):
    return torch.addcmul(mu, logvar.exp().sqrt(), eps.detach())


def in_loops(mu, logvar, eps):
    rows = []
    for m_row, lv_row, e_row in zip(mu, logvar, eps, strict=True):
        entries = zip(m_row, lv_row, e_row, strict=True)
        rows.append(torch.stack([m + lv.exp() ** 0.5 * e for m, lv, e in entries]))
    return torch.stack(rows)


def by_transform(mu, logvar, eps):
    return AffineTransform(mu, (logvar / 2).exp())(eps)


def with_a_clamp(low, high):
    return lambda mu, lv, eps: in_one_line(mu, lv.clamp(low, high), eps)


def in_place(mu, logvar, eps):
    return eps.mul_((logvar / 2).exp()).add_(mu)


def autograd_off(mu, logvar, eps):
    torch.set_grad_enabled(False)
    return in_one_line(mu, logvar, eps)


def by_density(f, mu, sigma, eps):
    z = (mu + sigma * eps).detach()
    own = mu.detach().expand(z.shape).clone().requires_grad_()
    log_p = Normal(own, sigma).log_prob(z)
    (score,) = torch.autograd.grad(log_p.sum(), own)
    return f(z) * score


def sum_of_scores(mu, sigma, eps):
    own = mu.clone().requires_grad_()
    log_p = Normal(own, sigma).log_prob((mu + sigma * eps).detach())
    return torch.autograd.grad(log_p.sum(), own)[0]


def by_formula(f, mu, sigma, eps):
    return f(mu + sigma * eps) * eps / sigma


def score_in_a_loop(f, mu, sigma, eps):
    z = [mu + sigma * e for e in eps]
    return torch.stack([f(value) * (value - mu) / sigma**2 for value in z])


def noise_in_place(f, mu, sigma, eps):
    eps *= sigma
    return f(mu + eps) * eps / sigma**2


def pathwise(f, mu, sigma, eps):
    z = (mu + sigma * eps).requires_grad_()
    return torch.autograd.grad(f(z).sum(), z)[0]


def in_two_pieces(location, scale, u):
    pieces = torch.log(2 * u), -torch.log(2 - 2 * u)
    return location + scale * torch.where(u < 0.5, *pieces)


def with_a_sign(location, scale, u):
    side = (u - 0.5).detach()
    return torch.addcmul(location, scale, -side.sign() * (1 - 2 * side.abs()).log())


def by_library(location, scale, u):
    return Laplace(location, scale).icdf(u)


def by_standard_library(location, scale, u):
    with torch.no_grad():
        standard = Laplace(0.0, 1.0).icdf(u)
    return location + scale * standard


def by_division(location, scale, u):
    side = u - 0.5
    return location - scale * side / side.abs() * torch.log1p(-2 * side.abs())


def passes(x, encoder, decoder):
    mu, logvar = encoder(x).chunk(2, dim=1)
    return decoder(in_one_line(mu, logvar, torch.randn_like(mu))), mu, logvar


def passes_by_rsample(x, encoder, decoder):
    h = encoder(x)
    mu, logvar = h[:, : h.shape[1] // 2], h[:, h.shape[1] // 2 :]
    return [decoder(Normal(mu, logvar.exp().sqrt()).rsample()), mu, logvar]


def passes_in_loops(x, encoder, decoder):
    mu, logvar = torch.tensor_split(encoder(x), 2, dim=-1)
    z = torch.empty(0, mu.shape[1])
    for m, lv in zip(mu.split(1000), logvar.split(1000), strict=True):
        z = torch.cat([z, m + torch.randn(m.shape) * (lv / 2).exp()])
    return decoder(z), mu, logvar


def other_pass(draw, give=lambda output, mu, logvar: (output, mu, logvar)):
    """A forward pass whose code is draw(mu, logvar)."""

    def forward(x, encoder, decoder):
        mu, logvar = encoder(x).chunk(2, dim=1)
        return give(decoder(draw(mu, logvar)), mu, logvar)

    return forward


def sigma_of(logvar):
    return logvar.exp().sqrt()


def drawn(mu, logvar):
    return Normal(mu, sigma_of(logvar)).rsample()


EXERCISES = {
    "02.1": {
        "check": check.reparameterize,
        "right": [
            (in_one_line, passes),
            (fused, passes_by_rsample),
            (in_loops, passes_in_loops),
            (by_transform, passes),
        ],
        "wrong": [
            ((lambda mu, lv, eps: Normal(mu, (lv / 2).exp()).sample(),), "its own"),
            (
                (
                    lambda mu, lv, eps: in_one_line(
                        mu, lv, NOISE[: len(mu), : mu.size(1)]
                    ),
                ),
                "the noise is fixed",
            ),
            (
                (lambda mu, lv, eps: mu.data + (lv / 2).exp() * eps,),
                "mu gets no gradient",
            ),
            ((lambda mu, lv, eps: mu + lv.exp() ** 2 * eps,), "not the double"),
            ((lambda mu, lv, eps: mu + (lv / 2).exp() * eps[0],), "share one row"),
            ((lambda mu, lv, eps: mu + lv.sqrt() * eps,), "contains NaN"),
            ((lambda mu, lv, eps: mu * 1.0,), "returns mu"),
            ((lambda mu, lv, eps: in_one_line(mu, lv, eps).mean(1),), "has shape"),
            ((lambda mu, lv, eps: in_one_line(mu, lv, eps).squeeze(),), "one image"),
            ((with_a_clamp(-10, 10),), "logvar = 12"),
            ((with_a_clamp(-2, 40),), "logvar = -3"),
            ((with_a_clamp(-20, 20),), "logvar = -60"),
            ((with_a_clamp(-90, 50),), "logvar = 60"),
            ((in_place,), "changed a tensor it was given"),
            ((autograd_off,), "switches autograd off"),
            (
                (lambda mu, lv, eps: in_one_line(0.5 * (mu + mu.detach()), lv, eps),),
                "the gradient of `mu` is not",
            ),
            *[
                ((in_one_line, answer), words)
                for answer, words in [
                    (
                        other_pass(lambda m, lv: torch.normal(m, sigma_of(lv))),
                        "neither",
                    ),
                    (
                        other_pass(lambda m, lv: Normal(m, sigma_of(lv)).sample()),
                        "neither mu nor logvar",
                    ),
                    (
                        other_pass(lambda m, lv: drawn(m, lv.detach())),
                        "reaches mu, but not logvar",
                    ),
                    (
                        other_pass(lambda m, lv: drawn(m.data, lv)),
                        "reaches logvar, but not mu",
                    ),
                    (other_pass(lambda m, lv: m + 0.0 * lv), "You decode mu"),
                    (
                        other_pass(
                            lambda m, lv: m + sigma_of(lv) * NOISE[0, :3].expand_as(m)
                        ),
                        "the same in every call",
                    ),
                    (
                        other_pass(
                            lambda m, lv: m + sigma_of(lv) * torch.randn(len(m), 1)
                        ),
                        "share one epsilon",
                    ),
                    (
                        other_pass(
                            lambda m, lv: m + sigma_of(lv) * torch.randn(1, m.shape[1])
                        ),
                        "share one row",
                    ),
                    (
                        other_pass(lambda m, lv: m + sigma_of(lv) * torch.randn(())),
                        "One single epsilon",
                    ),
                    (
                        other_pass(lambda m, lv: Normal(m, lv.exp()).rsample()),
                        "that is the variance",
                    ),
                    (
                        other_pass(
                            lambda m, lv: m + sigma_of(lv) * torch.rand(m.shape)
                        ),
                        "`torch.rand` is uniform",
                    ),
                    (other_pass(drawn, lambda o, m, lv: (o, lv, m)), "changed places"),
                    (
                        other_pass(drawn, lambda o, m, lv: (o, m, sigma_of(lv))),
                        "not what `encoder` returned",
                    ),
                    (
                        other_pass(drawn, lambda o, m, lv: (o, m.detach(), lv)),
                        "returned without its gradient",
                    ),
                    (other_pass(drawn, lambda o, m, lv: o), "Return 3 things"),
                    (
                        lambda x, e, d: (d(drawn(e(x), e(x))), *e(x).chunk(2, 1)),
                        "it takes codes",
                    ),
                ]
            ],
        ],
    },
    "02.2": {
        "check": check.name_the_mistakes,
        "right": [
            (lambda: "73162",),
            (lambda: ["7", "3", "1", "6", "2"],),
            (lambda: dict(A=7, B=3, C=1, D=6, E=2),),
            (lambda: 73162,),
        ],
        "wrong": [
            ((lambda: "ABCDE",), "numbers of formulas"),
            ((lambda: "7316",), "has 4 digit"),
            ((lambda: "03162",), "numbers 1 to 7"),
            ((lambda: "23167",), "Program A is not 2"),
            ((lambda: "72163",), "Program B is not 2"),
            ((lambda: "73462",), "Program C is not 4"),
            ((lambda: "73152",), "Program D is not 5"),
            ((lambda: None,), "returned None"),
            ((lambda: {"A": 7, "B": 3, "C": 1, "D": 6},), "has 4 digit"),
        ],
    },
    "02.3": {
        "check": check.score_gradient,
        "right": [(by_formula,), (by_density,), (score_in_a_loop,)],
        "wrong": [
            ((pathwise,), "the pathwise estimator"),
            (
                (lambda f, t, s, e: f(t + s * e) * Normal(t, s).log_prob(t + s * e),),
                "multiply by log p",
            ),
            (
                (lambda f, t, s, e: f(t + s * e) * (t + s * e) / s**2,),
                "subtracted from",
            ),
            (
                (lambda f, t, s, e: (f(t + s * e) - f(t + s * e).mean()) * e / s,),
                "a baseline",
            ),
            (
                (lambda f, t, s, e: f(t + s * torch.randn(len(e))) * e / s,),
                "draws its own noise",
            ),
            (
                (lambda f, t, s, e: by_formula(f, t, s, e).tolist(),),
                "`torch.tensor(...)`",
            ),
            (
                (lambda f, t, s, e: f(t + s * e) * sum_of_scores(t, s, e),),
                "the sum of all scores",
            ),
            ((lambda f, t, s, e: by_formula(f, t, s, e).squeeze(),), "one draw"),
            ((lambda f, t, s, e: by_formula(f, t, s.clamp(0.1), e),), "sigma = 0.05"),
            (
                (lambda f, t, s, e: by_formula(f, t, s, e).abs(),),
                "Work this one by hand",
            ),
            ((noise_in_place,), "changed a tensor it was given"),
        ],
    },
    "02.4": {
        "check": check.laplace,
        "right": [
            (in_two_pieces,),
            (with_a_sign,),
            (by_library,),
            (by_standard_library,),
        ],
        "wrong": [
            ((lambda m, s, u: Laplace(m, s.detach()).icdf(u),), "scale gets no"),
            ((lambda m, s, u: m - s * (1 - (2 * u - 1).abs()).log(),), "sign of u"),
            ((lambda m, s, u: m + s * (u / (1 - u)).log(),), "logistic"),
            ((lambda m, s, u: m + s * (1 - 2 * u).log(),), "contains NaN"),
            ((lambda m, s, u: Laplace(m, s).rsample(),), "draws its own noise"),
            (
                (lambda m, s, u: in_two_pieces(m, s, u.clamp(0.01, 0.99)),),
                "is u clamped?",
            ),
            ((lambda m, s, u: in_two_pieces(m, s, u.clamp_min(1e-6)),), "very near 0"),
            ((by_division,), "u = 1/2"),
            ((lambda m, s, u: by_library(m, s, u).squeeze(0),), "one image"),
        ],
    },
}
