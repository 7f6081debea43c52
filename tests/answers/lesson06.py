"""Right and wrong answers to the exercises of lesson 06."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

from vae_helpers import distributions
from vae_helpers.checks import lesson06 as check

# 06.1


def gaussian(x, level):
    return x + level * torch.randn(x.shape)


def gaussian_normal(x, level):
    return torch.normal(x, level)


def salt_pepper(x, level):
    y, u = x.clone(), torch.rand_like(x)
    y[u < level / 2] = 1
    y[(u >= level / 2) & (u < level)] = 0
    return y


def salt_pepper_two(x, level):
    hit = torch.rand_like(x) < level
    return torch.where(hit, torch.bernoulli(torch.full_like(x, 0.5)), x)


def mask(x, level):
    return x * (torch.rand_like(x) >= level)


def mask_bernoulli(x, level):
    return x.masked_fill(torch.bernoulli(torch.full_like(x, level)).bool(), 0)


def lots(x, across, down):
    """Uniform numbers, one for each block of across by down pixels."""
    b, c, h, w = x.shape
    u = torch.rand(b, c, -(-h // down), -(-w // across))
    return u.repeat_interleave(down, 2).repeat_interleave(across, 3)[..., :h, :w]


def salt_pepper_by(across, down):
    def salt_pepper(x, level):
        hit = lots(x, across or x.shape[3], down or x.shape[2]) < level
        return torch.where(hit, torch.rand_like(x).round(), x)

    return salt_pepper


def mask_by(across, down):
    def mask(x, level):
        return x * (lots(x, across or x.shape[3], down or x.shape[2]) >= level)

    return mask


def in_place(x, level):
    return x.add_(level * torch.randn_like(x))


def fixed(x, level):
    generator = torch.Generator().manual_seed(0)
    return x + level * torch.randn(x.shape, generator=generator)


def both_twice(x, level):
    y = torch.where(torch.rand_like(x) < level, 1.0, x)
    return torch.where(torch.rand_like(x) < level, 0.0, y)


def unequal(x, level):
    u = torch.rand_like(x)
    return torch.where(u < level, (u < level / 4).float(), x)


def overlapping(x, level):
    y, u = x.clone(), torch.rand_like(x)
    y[u < level / 2] = 1
    y[u < level] = 0
    return y


def two_draws(x, level):
    y = torch.where(torch.rand_like(x) < level / 2, 1.0, x)
    return torch.where(torch.rand_like(x) < level / 2, 0.0, y)


def coin_for_all(x, level):
    coin = torch.randint(0, 2, x.shape[1:]).float()
    return torch.where(torch.rand_like(x) < level, coin.expand_as(x), x)


def first(wrong):
    return wrong, salt_pepper, mask


def second(wrong):
    return gaussian, wrong, mask


def third(wrong):
    return gaussian, salt_pepper, wrong


CORRUPTIONS = [
    (first(lambda x, s: gaussian(x, s).clamp(0, 1)), "clips to"),
    (first(lambda x, s: gaussian(x, s**2)), "is squared"),
    (first(lambda x, s: gaussian(x, s**0.5)), "treat it as a variance"),
    (first(lambda x, s: gaussian(x, 1)), "`level` is not used"),
    (first(lambda x, s: gaussian(x, 2 * s)), "standard deviation 1.2"),
    (first(lambda x, s: x + s * torch.rand_like(x)), "positive mean"),
    (
        first(lambda x, s: x + s * 12**0.5 * (torch.rand_like(x) - 0.5)),
        "not normal",
    ),
    (first(lambda x, s: x * (1 + s * torch.randn_like(x))), "multiplied by x"),
    (first(lambda x, s: s * torch.randn_like(x)), "the noise alone"),
    (first(lambda x, s: x + s * torch.randn_like(x[0])), "same noise to all images"),
    (
        first(lambda x, s: x + s * torch.randn(len(x), 1, 1, 1)),
        "one number to all pixels",
    ),
    (first(fixed), "same noise in every call"),
    (first(in_place), "changed a tensor"),
    (first(lambda x, s: x), "returns x as it is"),
    (first(lambda x, s: gaussian(x, s).flatten(1)), "has shape"),
    (first(lambda x, s: None), "returned None"),
    (first(lambda x, s: (1 - s) * x + s * torch.randn_like(x)), "`gaussian` mixes"),
    (
        first(lambda x, s: math.sqrt(1 - s**2) * x + s * torch.randn_like(x)),
        "as in diffusion",
    ),
    (first(lambda x, s: 0.8 * gaussian(x, 1.25 * s)), "does not stay whole"),
    (first(lambda x, s: x + s), "Nothing in `gaussian` is random"),
    (second(overlapping), "the later one wins"),
    (second(two_draws), "draws twice"),
    (second(coin_for_all), "drawn once for all images"),
    (third(lambda x, p: x * (1 - p)), "Nothing in `mask` is random"),
    (second(lambda x, p: torch.where(torch.rand_like(x) < p, 1.0, x)), "only salt"),
    (second(mask), "only pepper"),
    (second(lambda x, p: salt_pepper(x, 1 - p)), "swap them"),
    (second(both_twice), "counts both together"),
    (second(lambda x, p: salt_pepper(x, p / 2)), "only half"),
    (second(lambda x, p: salt_pepper(x, p / 4)), "% of the pixels where"),
    (second(unequal), "are white; half"),
    (
        second(lambda x, p: torch.where(torch.rand_like(x) < p, x + 1, x)),
        "other values than 0 and 1",
    ),
    (second(gaussian), "every pixel"),
    (
        second(
            lambda x, p: (
                lambda u: torch.where(u < p, (u < p / 2).float().expand_as(x), x)
            )(torch.rand_like(x[:1]))
        ),
        "`salt_pepper` destroys the same pixels",
    ),
    (third(lambda x, p: mask(x, 1 - p)), "`mask` destroys a share 1 - level"),
    (third(lambda x, p: F.dropout(x, p)), "as dropout"),
    (third(lambda x, p: x * (torch.rand_like(x[:1]) >= p)), "hides the same pixels"),
    (third(mask_by(None, 1)), "`mask` destroys pixels in whole rows"),
    (third(mask_by(1, None)), "`mask` destroys pixels in whole columns"),
    (third(mask_by(4, 4)), "`mask` destroys pixels in whole blocks"),
    (second(salt_pepper_by(None, 1)), "`salt_pepper` destroys pixels in whole rows"),
    (second(salt_pepper_by(1, None)), "`salt_pepper` destroys pixels in whole columns"),
    (second(salt_pepper_by(4, 4)), "`salt_pepper` destroys pixels in whole blocks"),
    (
        third(lambda x, p: torch.where(torch.rand_like(x) < p, 1.0, x)),
        "sets pixels to 1",
    ),
    (third(gaussian), "neither 0 nor unchanged"),
]


# 06.2


def psnr(x, r):
    return 10 * torch.log10(1 / F.mse_loss(r, x, reduction="none").mean((1, 2, 3)))


def psnr_root(x, r):
    rmse = torch.linalg.vector_norm((x - r).flatten(1), dim=1) / x[0].numel() ** 0.5
    return -20 * rmse.log() / math.log(10)


def psnr_loop(x, r):
    return [-10 * math.log10(float(((a - b) ** 2).mean())) for a, b in zip(x, r)]  # noqa: B905


def psnr_of(change):
    return (lambda x, r: change(psnr(x, r)),)


# 06.3


def text():
    return "241315"


def vae_loss(model, x, corrupt):
    mu, logvar = model.encode(corrupt(x))
    logits = model.decode(distributions.reparameterize(mu, logvar))
    reconstruction = -distributions.bernoulli_log_likelihood(x, logits).mean()
    kl = distributions.kl_to_standard_normal(mu, logvar).mean()
    return {"kl": kl, "loss": reconstruction + kl}


def vae_loss_by_torch(model, x, corrupt):
    with torch.no_grad():
        y = corrupt(x.clone())
    mu, logvar = model.encode(y)
    q = Normal(mu, logvar.exp().sqrt())
    z = q.rsample()
    bits = F.binary_cross_entropy_with_logits(model.decode(z), x, reduction="sum")
    kl = kl_divergence(q, Normal(torch.zeros_like(mu), 1.0)).sum()
    return {"loss": (bits + kl) / len(x)}


def vae_with(
    change=lambda nats, kl: nats.sum(1) + kl, see=None, target=None, code=None
):
    """The loss with a part replaced; nats (B, D) and kl (B,) -> (B,) or a number."""

    def answer(model, x, corrupt):
        y = corrupt(x)
        mu, logvar = model.encode(see(x, y) if see else y)
        draw = code or distributions.reparameterize
        logits = model.decode(draw(mu, logvar))
        wanted = target(x, y) if target else x
        bce = F.binary_cross_entropy_with_logits
        nats = bce(logits, wanted, reduction="none").flatten(1)
        kl = distributions.kl_to_standard_normal(mu, logvar)
        return {"loss": torch.as_tensor(change(nats, kl)).mean()}

    return answer


def two_calls(model, x, corrupt):
    mu, logvar = model.encode(corrupt(x))
    logits = model.decode(distributions.reparameterize(mu, logvar))
    log_p = distributions.bernoulli_log_likelihood(corrupt(x), logits)
    return {"loss": (distributions.kl_to_standard_normal(mu, logvar) - log_p).mean()}


def kl_of_clean(model, x, corrupt):
    mu, logvar = model.encode(corrupt(x))
    logits = model.decode(distributions.reparameterize(mu, logvar))
    kl = distributions.kl_to_standard_normal(*model.encode(x))
    return {"loss": (kl - distributions.bernoulli_log_likelihood(x, logits)).mean()}


def without_noise(model, x, corrupt):
    return vae_loss(model, x, lambda images: images)


def noisy_outside(x, y):
    return y.clamp(0, 1)


# 06.4


def paired(a, b):
    difference = (a - b).double()
    mean, error = difference.mean().item(), difference.std().item() / len(a) ** 0.5
    if abs(mean) <= 3 * error:
        return mean, error, "not told apart"
    return mean, error, "a" if mean > 0 else "b"


def paired_numpy(a, b):
    gap = a.numpy() - b.numpy()
    mean, error = gap.mean(), gap.std() / np.sqrt(len(gap))  # n, not n - 1
    words = {1: "a", -1: "b", 0: "not told apart"}
    side = int(mean - 3 * error > 0) - int(mean + 3 * error < 0)
    return [float(mean), float(error), words[side]]


def paired_with(error, factor=3):
    def answer(a, b):
        gap, width = (a - b).mean(), error(a, b)
        win = "a" if gap > factor * width else "b" if -gap > factor * width else None
        return gap, width, win or "not told apart"

    return answer


def by_sign(a, b):
    mean, error, _ = paired(a, b)
    return mean, error, "a" if mean > 0 else "b"


def lower_wins(a, b):
    mean, error, said = paired(a, b)
    return mean, error, {"a": "b", "b": "a"}.get(said, said)


# 06.5


def score(denoiser, y, sigma):
    return (denoiser(y) - y) / sigma**2


def score_parts(denoiser, y, sigma):
    return denoiser(y) * sigma**-2 - y * sigma**-2


# 06.6


def uphill(y, score, step, steps):
    for _ in range(steps):
        y = y + step * score(y)
    return y


def uphill_again(y, score, step, steps):
    return uphill_again(y + step * score(y), score, step, steps - 1) if steps else y


def uphill_in_place(y, score, step, steps):
    place, left = y.clone(), steps
    while left > 0:
        place += score(place) * step
        left -= 1
    return place


def langevin(y, score, step, steps):
    for _ in range(steps):
        y = y + step * score(y) + math.sqrt(2 * step) * torch.randn_like(y)
    return y


def downhill(y, score, step, steps):
    for _ in range(steps):
        y = y - step * score(y)
    return y


def once(y, score, step, steps):
    arrow = score(y)
    for _ in range(steps):
        y = y + step * arrow
    return y


def forgets(y, score, step, steps):
    end = y
    for _ in range(steps):
        end = y + step * score(y)
    return end


def changes(y, score, step, steps):
    for _ in range(steps):
        y += step * score(y)
    return y


EXERCISES = {
    "06.1": {
        "check": check.corruptions,
        "right": [
            (gaussian, salt_pepper, mask),
            (gaussian_normal, salt_pepper_two, mask_bernoulli),
        ],
        "wrong": CORRUPTIONS,
    },
    "06.2": {
        "check": check.psnr,
        "right": [(psnr,), (psnr_root,)],
        "wrong": [
            (psnr_of(torch.mean), "mean over the batch"),
            (psnr_of(lambda p: p * math.log(10)), "natural logarithm"),
            (
                (lambda x, r: -10 * ((x - r) ** 2).sum((1, 2, 3)).log10(),),
                "summed over pixels",
            ),
            (
                (lambda x, r: psnr(x, r) + 20 * x.amax((1, 2, 3)).log10(),),
                "brightest pixel of each image",
            ),
            ((psnr_loop,), "torch.tensor"),
        ],
    },
    "06.3": {
        "check": check.training_losses,
        "right": [(text, vae_loss), (lambda: list("241315"), vae_loss_by_torch)],
        "wrong": [
            ((lambda: "ABCDEF", vae_loss), "not letters of lines"),
            ((lambda: "24131", vae_loss), "5 digit(s)"),
            ((lambda: "242315", vae_loss), "Line C is not 2"),
            ((lambda: "111315", vae_loss), "Line A is not 1"),
            ((lambda: "241311", vae_loss), "Line F is not 1"),
            ((text, vae_with(target=lambda x, y: y)), "target is the noisy image"),
            ((text, vae_with(see=lambda x, y: x)), "encoder sees the clean image"),
            ((text, without_noise), "No noise anywhere"),
            ((text, vae_with(see=noisy_outside)), "changed on its way"),
            ((text, two_calls), "called twice"),
            ((text, kl_of_clean), "encodes two images"),
            ((text, vae_with(lambda n, k: n.sum(1))), "The KL is missing"),
            ((text, vae_with(lambda n, k: n.sum(1) - k)), "The KL is subtracted"),
            ((text, vae_with(lambda n, k: -n.sum(1) - k)), "the bound itself"),
            ((text, vae_with(lambda n, k: n.mean(1) + k)), "D times too much"),
            ((text, vae_with(code=lambda m, v: m)), "decode the mean code"),
            (
                (text, vae_with(code=lambda m, v: m + v.exp() * torch.randn_like(m))),
                "no draw from q",
            ),
            ((text, vae_with(lambda n, k: (n.sum(1) + k).detach())), "no gradient"),
            (
                (text, lambda m, x, c: vae_loss(m, x, c)["loss"]),
                "Return a dictionary",
            ),
        ],
    },
    "06.4": {
        "check": check.paired_win,
        "right": [(paired,), (paired_numpy,)],
        "wrong": [
            (
                (
                    paired_with(
                        lambda a, b: (a.var() / len(a) + b.var() / len(b)).sqrt()
                    ),
                ),
                "two separate samples",
            ),
            ((paired_with(lambda a, b: (a - b).std()),), "standard deviation of the"),
            ((paired_with(lambda a, b: (a - b).std() / len(a)),), "divided by n"),
            ((lambda a, b: paired(b, a),), "sign is flipped"),
            ((by_sign,), "sign of the mean difference alone"),
            ((lower_wins,), "more decibels are better"),
            (
                (paired_with(lambda a, b: (a - b).std() / len(a) ** 0.5, 2),),
                "two standard errors",
            ),
            ((lambda a, b: paired(a, b)[:2],), "Return three things"),
            ((lambda a, b: (*paired(a, b)[:2], True),), "is one of the texts"),
        ],
    },
    "06.5": {
        "check": check.score,
        "right": [(score,), (score_parts,)],
        "wrong": [
            ((lambda r, y, s: (y - r(y)) / s**2,), "sign is flipped"),
            ((lambda r, y, s: r(y) - y,), "Divide it by"),
            ((lambda r, y, s: r(y) / s**2,), "not subtracted"),
            ((lambda r, y, s: F.normalize(score(r, y, s)),), "do not normalise"),
        ],
    },
    "06.6": {
        "check": check.walk,
        "right": [(uphill,), (uphill_again,), (uphill_in_place,)],
        "wrong": [
            ((langevin,), "you add noise"),
            ((downhill,), "go downhill"),
            ((once,), "computed once"),
            ((forgets,), "one step, whatever"),
            ((changes,), "changed a tensor"),
            ((lambda y, s, h, n: uphill(y, s, h, n + 1),), "one step too many"),
        ],
    },
}
