"""Right and wrong answers to the exercises of lesson 06."""

import math

import torch
import torch.nn.functional as F

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


def squares(a, b):
    return F.mse_loss(a, b, reduction="sum") / len(a)


def loss(model, x, corrupt):
    return {"loss": squares(model(corrupt(x)), x)}


def loss_no_grad(model, x, corrupt):
    with torch.no_grad():
        y = corrupt(x.clone())
    error = (x - model(y)).pow(2)
    return {"loss": error.mean() * x[0].numel(), "other": error.sum()}


def loss_loop(model, x, corrupt):
    """Image by image, with a call of `corrupt` for each."""
    pairs = [(model(corrupt(image[None])), image[None]) for image in x]
    return {"loss": sum(((a - b) ** 2).sum() for a, b in pairs) / len(x)}


def noisy_target(model, x, corrupt):
    x = corrupt(x)
    return {"loss": squares(model(x), x)}


def as_loss(value):
    return (lambda model, x, corrupt: {"loss": value(model, x, corrupt)},)


# 06.4


def score(denoiser, y, sigma):
    return (denoiser(y) - y) / sigma**2


def score_parts(denoiser, y, sigma):
    return denoiser(y) * sigma**-2 - y * sigma**-2


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
        "check": check.denoiser_loss,
        "right": [(loss,), (loss_no_grad,), (loss_loop,)],
        "wrong": [
            ((noisy_target,), "target is the noisy image"),
            (as_loss(lambda m, x, c: squares(m(c(x)), c(x))), "called twice"),
            (as_loss(lambda m, x, c: F.mse_loss(m(c(x)), x)), "mean over pixels"),
            (
                as_loss(
                    lambda m, x, c: ((m(c(x)) - x) ** 2).sum((1, 2, 3)).sqrt().mean()
                ),
                "square root",
            ),
            (
                as_loss(lambda m, x, c: (lambda y: squares(m(y), y - x))(c(x))),
                "target is the noise",
            ),
            ((lambda m, x, c: squares(m(c(x)), x),), "Return a dictionary"),
            (as_loss(lambda m, x, c: squares(m(c(x).flatten(1)), x)), "give it images"),
        ],
    },
    "06.4": {
        "check": check.score,
        "right": [(score,), (score_parts,)],
        "wrong": [
            ((lambda r, y, s: (y - r(y)) / s**2,), "sign is flipped"),
            ((lambda r, y, s: r(y) - y,), "Divide it by"),
            ((lambda r, y, s: r(y) / s**2,), "not subtracted"),
            ((lambda r, y, s: F.normalize(score(r, y, s)),), "do not normalise"),
        ],
    },
}
