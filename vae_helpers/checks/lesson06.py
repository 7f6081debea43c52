"""Checks of lesson 06."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from vae_helpers.checks.core import (
    Part,
    Symptom,
    Symptoms,
    Wrong,
    call,
    declare,
    need_shape,
)
from vae_helpers.checks.usual import SQUEEZED, then

# 06.1: random functions are judged by what many of their pixels do. Each limit below lies
# at least five standard errors away from what a right answer gives.

GREY, DARK, INK = "grey", "dark", "black and white"


def _images() -> dict[str, Tensor]:
    """Colour images that are not square: mid-grey ones, dark ones, and black and white."""
    torch.manual_seed(3)
    shape = (16, 3, 40, 32)
    grey = 0.2 + 0.6 * torch.rand(shape)
    ink = (torch.rand(shape) < 0.3).float()
    return {GREY: grey, DARK: 0.05 + 0.25 * torch.rand(shape), INK: ink}


def _draw(
    function: Callable, x: Tensor, level: float, name: str, seed: int = 1
) -> Tensor:
    """One result, with the faults that all three corruptions share."""
    result = call(function, (x, level), seed)
    if result is None:
        raise Wrong(f"`{name}` returned None. Does it end with `return ...`?")
    need_shape(result, tuple(x.shape), f"The result of `{name}`", "that of x")
    return result.detach().double()


def _need_new_noise(function: Callable, name: str) -> None:
    """Sizes that the text allows, and noise that is new in each call."""
    for shape in [(1, 1, 5, 7), (2, 1, 28, 28), (3, 2, 1, 4), (1, 3, 6, 6)]:
        _draw(function, torch.rand(shape), 0.5, name)
    x = _images()[GREY]
    first, second = (_draw(function, x, 0.5, name, seed) for seed in (1, 2))
    if torch.equal(first, x.double()):
        raise Wrong(f"`{name}` returns x as it is.")
    if torch.equal(first, second):
        raise Wrong(
            f"`{name}` gives the same noise in every call: it is drawn once, or a seed is "
            "set inside. The noise must be new each time."
        )


def _shared(noise: Tensor) -> SimpleNamespace:
    """Correlations of noise (B, C, H, W) that must be 0: who shares their luck?"""
    z = noise - noise.mean()
    z = z / (z**2).mean().sqrt().clamp_min(1e-12)
    images = (z.flatten(1) @ z.flatten(1).T) / z[0].numel()
    between = images.fill_diagonal_(0).abs().max().item()
    return SimpleNamespace(
        images=between,
        channels=(z[:, 0] * z[:, 1]).mean().item(),
        beside=(z[..., 1:] * z[..., :-1]).mean().item(),
        under=(z[..., 1:, :] * z[..., :-1, :]).mean().item(),
    )


def _alone(s: SimpleNamespace) -> bool:
    near = max(abs(s.beside), abs(s.under), abs(s.channels))
    return s.images < 0.12 and near < 0.04


def _measure_gaussian(function: Callable) -> SimpleNamespace:
    _need_new_noise(function, "gaussian")
    images, level = _images(), 0.6
    noise = {
        (kind, size): _draw(function, x, size, "gaussian") - x
        for kind, x in images.items()
        for size in (0.6, 0.2, 1.5, 0.04)
    }
    main, x = noise[GREY, level], images[GREY].double()
    y = main + x
    ink = noise[INK, level]
    tall, wide = (main.std(axis).max().item() for axis in (2, 3))
    bright, dim = (main[part].std().item() for part in (x > 0.6, x < 0.4))
    widths = {key: n.std().item() / key[1] for key, n in noise.items()}
    return SimpleNamespace(
        finite=all(bool(n.isfinite().all()) for n in noise.values()),
        shared=_shared(main),
        low=min(float((n + images[k]).min()) for (k, _), n in noise.items()),
        high=max(float((n + images[k]).max()) for (k, _), n in noise.items()),
        negative=bool((noise[GREY, level] < 0).any()),
        whole=main.std().item(),
        plane=main.flatten(2).std(2).max().item(),
        zeros=(y == 0).double().mean().item(),
        grows=bright / max(dim, 1e-9),
        reach=(main.abs().max() / main.std().clamp_min(1e-9)).item(),
        tiny=widths[GREY, 0.04],
        within=main.flatten(1).std(1).max().item(),
        tall=tall,
        wide=wide,
        own=float(
            ((y - y.mean()) * (x - x.mean())).mean() / ((x - x.mean()) ** 2).mean()
        ),
        mean=max(
            (n.mean().item() / size for (_, size), n in noise.items() if size > 0.1),
            key=abs,
        ),
        top=main.max().item() / level,
        dark=ink[images[INK] == 0].std().item() / level,
        width=widths[GREY, 0.6],
        small=widths[GREY, 0.2],
        spread=max(abs(w - 1) for w in widths.values()),
        tails=max(
            (float((n**4).mean() / (n**2).mean() ** 2) - 3 for n in noise.values()),
            key=abs,
        ),
    )


def _noise(change: Callable) -> Callable:
    """An answer x + noise; change(level, x) makes the noise."""
    return lambda x, level: x + change(level, x)


def _randn(*axes: int) -> Callable:
    """One normal number for what the axes leave; the others share it."""

    def make(level: float, x: Tensor) -> Tensor:
        shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
        return level * torch.randn(shape).expand(x.shape)

    return make


def _near(value: float, wanted: float, tol: float = 0.05) -> bool:
    return abs(value / wanted - 1) < tol


def _same_axis(where: str) -> str:
    return (
        f"`gaussian` adds one number to each {where} of pixels: neighbours share it. Draw "
        "one for each pixel."
    )


GAUSSIAN = [
    Symptom(
        "`gaussian` gives NaN or infinite values.",
        lambda s: not s.finite,
        lambda x, level: x * torch.nan,
    ),
    Symptom(
        "`gaussian` adds one number to everything: all pixels of all images share it. Draw "
        "one for each pixel, `torch.randn_like(x)`.",
        lambda s: s.whole < 1e-4,
        _noise(_randn(0, 1, 2, 3)),
    ),
    Symptom(
        "`gaussian` clips to [0, 1]. Clipped noise is no longer Gaussian, and "
        "black pixels only get brighter: leave it out.",
        lambda s: s.low >= 0 and s.high <= 1,
        lambda x, level: (x + level * torch.randn_like(x)).clamp(0, 1),
    ),
    Symptom(
        "`gaussian` clips at 0: no pixel becomes negative. Clipped noise is no longer "
        "Gaussian, and black pixels only get brighter: leave it out.",
        lambda s: s.low >= 0 and s.own > 0.5 and s.negative and s.zeros > 0.01,
        lambda x, level: (x + level * torch.randn_like(x)).clamp_min(0),
    ),
    Symptom(
        "`gaussian` takes the absolute value of the noisy image: dark pixels only get "
        "brighter. Leave negative values as they are.",
        lambda s: s.low >= 0 and s.own > 0.2 and s.negative and s.high > 1,
        lambda x, level: (x + level * torch.randn_like(x)).abs(),
    ),
    Symptom(
        "`gaussian` clips at 1: no pixel becomes brighter than white. Leave it out.",
        lambda s: s.high <= 1,
        lambda x, level: (x + level * torch.randn_like(x)).clamp_max(1),
    ),
    Symptom(
        "`gaussian` adds one number to all pixels of an image. Draw one for each "
        "pixel.",
        lambda s: s.within < 1e-4,
        _noise(_randn(1, 2, 3)),
    ),
    Symptom(
        "`gaussian` adds one number to all pixels of a channel. Draw one for each pixel.",
        lambda s: s.plane < 1e-4,
        _noise(_randn(2, 3)),
    ),
    Symptom(
        "`gaussian` adds the same noise to all images of the batch, or to some of them. "
        "Draw one number for each pixel of each image.",
        lambda s: s.shared.images > 0.5,
        _noise(_randn(0)),
    ),
    Symptom(_same_axis("column"), lambda s: s.tall < 1e-4, _noise(_randn(2))),
    Symptom(_same_axis("row"), lambda s: s.wide < 1e-4, _noise(_randn(3))),
    Symptom(
        "`gaussian` adds the same noise to all channels of an image. Draw one number for "
        "each pixel of each channel: `torch.randn_like(x)`.",
        lambda s: s.shared.channels > 0.9,
        _noise(_randn(1)),
    ),
    Symptom(
        "The noise of `gaussian` comes in blocks: neighbouring pixels share a part of it. "
        "Draw one number for each pixel.",
        lambda s: max(abs(s.shared.beside), abs(s.shared.under)) > 0.1,
        _noise(lambda level, x: level * _blocks(torch.randn, x)),
    ),
    Symptom(
        "`gaussian` returns the noise alone: add it to x.",
        lambda s: abs(s.own) < 0.2,
        lambda x, level: level * torch.randn_like(x),
    ),
    Symptom(
        "The noise of `gaussian` has a positive mean. `torch.rand` is uniform on "
        "[0, 1]; needed is the normal `torch.randn`.",
        lambda s: not s.negative and s.top <= 1.001,
        _noise(lambda level, x: level * torch.rand_like(x)),
    ),
    Symptom(
        "The noise of `gaussian` only brightens: it is never negative. Half of the "
        "normal numbers are; do not take their absolute value.",
        lambda s: not s.negative,
        _noise(lambda level, x: level * torch.randn_like(x).abs()),
    ),
    Symptom(
        "`gaussian` leaves black pixels black: the noise is multiplied by x. "
        "Add it instead.",
        lambda s: s.dark < 0.1 and s.grows > 1.2,
        lambda x, level: x * (1 + level * torch.randn_like(x)),
    ),
    Symptom(
        "`gaussian` leaves black pixels black. The noise belongs to every pixel, whatever "
        "its value.",
        lambda s: s.dark < 0.1,
        lambda x, level: torch.where(x > 0, x + level * torch.randn_like(x), x),
    ),
    Symptom(
        "`gaussian` adds no noise when `level` is small. Use the level that is given.",
        lambda s: s.tiny < 0.01,
        lambda x, level: x + (level > 0.1) * level * torch.randn_like(x),
    ),
    Symptom(
        lambda s: (
            "`gaussian` shifts the images: over many pixels, noise divided by `level` has "
            f"the mean {s.mean:+.2f} where 0 is needed. Is something added or subtracted "
            "beside the noise, such as a mean of the images, or is one side cut off?"
        ),
        lambda s: abs(s.mean) > 0.05,
        lambda x, level: x - x.mean() + level * torch.randn_like(x),
    ),
    Symptom(
        "In `gaussian`: `level` is squared. It is the standard deviation: multiply by it.",
        lambda s: _near(s.width, 0.6) and _near(s.small, 0.2),
        _noise(lambda level, x: level**2 * torch.randn_like(x)),
    ),
    Symptom(
        "In `gaussian`: The root of `level` is used: you treat it as a variance. It is the "
        "standard deviation: multiply by it.",
        lambda s: _near(s.width, 0.6**-0.5) and _near(s.small, 0.2**-0.5),
        _noise(lambda level, x: level**0.5 * torch.randn_like(x)),
    ),
    Symptom(
        "In `gaussian`: The noise has standard deviation 1: `level` is not used.",
        lambda s: _near(s.width, 1 / 0.6) and _near(s.small, 1 / 0.2),
        _noise(lambda level, x: torch.randn_like(x)),
    ),
    Symptom(
        lambda s: (
            f"The noise of `gaussian` has standard deviation {0.6 * s.width:.3f} where 0.6 "
            "is needed."
        ),
        lambda s: s.spread > 0.02 and not _near(s.width, 1, 0.02),
        _noise(lambda level, x: 1.3 * level * torch.randn_like(x)),
    ),
    Symptom(
        "The noise of `gaussian` has the right width but is not normal.",
        lambda s: abs(s.tails) > 0.2,
        _noise(lambda level, x: level * 12**0.5 * (torch.rand_like(x) - 0.5)),
    ),
    Symptom(
        "`gaussian` cuts the noise off: far values are missing. Normal noise has no limit.",
        lambda s: s.reach < 3.4,
        _noise(lambda level, x: level * torch.randn_like(x).clamp(-3, 3)),
    ),
]


def _fine_gaussian(s: SimpleNamespace) -> bool:
    return (
        s.spread < 0.02
        and s.reach > 3.4
        and abs(s.mean) < 0.05
        and abs(s.tails) < 0.2
        and abs(s.own - 1) < 0.2
        and _alone(s.shared)
    )


def _blocks(draw: Callable, x: Tensor) -> Tensor:
    """Random numbers for squares of 2 x 2 pixels."""
    b, c, h, w = x.shape
    small = draw(b, c, (h + 1) // 2, (w + 1) // 2)
    return small.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., :h, :w]


def _measure_hits(name: str, values: tuple[float, ...]) -> Callable:
    """Measures a function that sets a share of the pixels to some values."""

    def measure(function: Callable) -> SimpleNamespace:
        _need_new_noise(function, name)
        images, found = _images(), []
        for kind, level in [(GREY, 0.4), (GREY, 0.1), (DARK, 0.4), (GREY, 0.95)]:
            x = images[kind].double()
            y = _draw(function, images[kind], level, name)
            hit = (y - x).abs() > 1e-6
            white, black = (y == 1).double().mean(), (y == 0).double().mean()
            whites = (y == 1).double().flatten(1).mean(1)
            both = whites + (y == 0).double().flatten(1).mean(1)
            found.append(
                SimpleNamespace(
                    level=level,
                    share=hit.double().mean().item(),
                    white=(white / (white + black)).item(),
                    sides=(whites / both.clamp_min(1e-9)).tolist(),
                    luck=_shared((y == 1).double() - (y == 0).double()),
                    clean=bool(sum(y == v for v in values)[hit].all()),
                    brighter=bool(
                        torch.allclose(y[y != 0], x[y != 0] / (1 - level), atol=1e-4)
                    ),
                    shared=_shared(hit.double()),
                    same=bool((hit == hit[:1]).all()),
                )
            )
        ink = images[INK]
        y = _draw(function, ink, 0.5, name)
        nothing = _draw(function, ink, 0.0, name)
        return SimpleNamespace(
            each=found,
            first=found[0],
            legal=bool(((y == 0) | (y == 1)).all()),
            lost=(y != ink).double().mean().item(),
            nothing=torch.equal(nothing, ink.double()),
            coins={round(e.white, 6) for e in found} | _coins(function, name),
        )

    return measure


def _coins(function: Callable, name: str) -> set[float]:
    """Shares of white among the black and white pixels of a few more calls."""
    grey, found = _images()[GREY][:2], set()
    for seed in range(20, 30):
        y = _draw(function, grey, 0.4, name, seed)
        white, black = (y == 1).sum(), (y == 0).sum()
        found.add(round((white / (white + black).clamp_min(1)).item(), 6))
    return found


def _share(s: SimpleNamespace, wanted: Callable, tol: float = 0.015) -> bool:
    return all(abs(e.share - wanted(e.level)) < tol for e in s.each)


def _together(name: str, shape: str) -> str:
    return (
        f"`{name}` destroys pixels in whole {shape} or parts of them: neighbours share "
        "their luck. Every pixel has its own chance, so draw one number for each."
    )


def _hit_by(make: Callable, values: Callable) -> Callable:
    """An answer: pixels where the uniform numbers lie below level get other values."""

    def answer(x: Tensor, level: float) -> Tensor:
        u = make(x)
        return torch.where(u < level, values(u, level, x), x)

    return answer


def _uniform(*axes: int) -> Callable:
    def make(x: Tensor) -> Tensor:
        shape = [1 if i in axes else n for i, n in enumerate(x.shape)]
        return torch.rand(shape).expand(x.shape)

    return make


def _half(u, level, x):
    return (u < level / 2).float().expand_as(x)


def _zero(u, level, x):
    return torch.zeros_like(x)


def _places(name: str, values: Callable) -> list[Symptom]:
    """Whose luck is shared: images, channels, rows, columns, blocks."""

    def shows(test: Callable) -> Callable:
        return lambda s: test(s.first.shared)

    near = 0.05
    return [
        Symptom(
            _together(name, "blocks"),
            shows(lambda c: c.beside > near and c.under > near),
            _hit_by(lambda x: _blocks(torch.rand, x), values),
        ),
        Symptom(
            _together(name, "rows"),
            shows(lambda c: c.beside > near),
            _hit_by(_uniform(3), values),
        ),
        Symptom(
            _together(name, "columns"),
            shows(lambda c: c.under > near),
            _hit_by(_uniform(2), values),
        ),
        Symptom(
            f"`{name}` destroys the same pixels in all channels of an image. The text "
            "says: any shape. Draw one number for each pixel of each channel.",
            shows(lambda c: c.channels > near),
            _hit_by(_uniform(1), values),
        ),
        Symptom(
            f"`{name}` destroys the same pixels in some of the images. Draw for each "
            "image anew.",
            shows(lambda c: c.images > 0.5),
            _hit_by(
                lambda x: torch.rand_like(x[:2]).repeat(len(x), 1, 1, 1)[: len(x)],
                values,
            ),
        ),
    ]


def _shares(name: str, values: Callable) -> list[Symptom]:
    return [
        Symptom(
            f"`{name}` destroys a share 1 - level and keeps a share level: swap them.",
            lambda s: _share(s, lambda level: 1 - level),
            lambda x, level: _hit_by(_uniform(), values)(x, 1 - level),
        ),
        Symptom(
            f"`{name}` destroys only half of the share `level`.",
            lambda s: _share(s, lambda level: level / 2),
            lambda x, level: _hit_by(_uniform(), values)(x, level / 2),
        ),
        Symptom(
            lambda s: (
                f"`{name}` destroys {s.first.share:.1%} of the pixels where "
                f"{s.first.level:.0%} are due."
            ),
            lambda s: not _share(s, lambda level: level),
            lambda x, level: _hit_by(_uniform(), values)(x, 0.7 * level),
        ),
    ]


SALT_PEPPER = [
    Symptom(
        "`salt_pepper` changes every pixel. Most of them must stay exactly as they are.",
        lambda s: s.first.share > 0.999,
        lambda x, level: x + level * torch.randn_like(x),
    ),
    Symptom(
        "`salt_pepper` gives destroyed pixels other values than 0 and 1. They become "
        "exactly 0 or exactly 1, whatever stood there.",
        lambda s: not all(e.clean for e in s.each),
        _hit_by(_uniform(), lambda u, level, x: x + 1),
    ),
    Symptom(
        "`salt_pepper` destroys the same pixels in all images of the batch. Draw "
        "for each image anew.",
        lambda s: s.first.same,
        _hit_by(_uniform(0), _half),
    ),
    Symptom(
        "In `salt_pepper` one coin decides for the whole call: all destroyed pixels become "
        "white, or all black. Every pixel has its own coin.",
        lambda s: s.coins == {0.0, 1.0},
        _hit_by(
            _uniform(), lambda u, level, x: (torch.rand(()) < 0.5) * torch.ones_like(x)
        ),
    ),
    Symptom(
        "In `salt_pepper` one coin decides for a whole image: its destroyed pixels become "
        "all white or all black. Every pixel has its own coin.",
        lambda s: {round(side, 6) for side in s.first.sides} == {0.0, 1.0},
        _hit_by(
            _uniform(),
            lambda u, level, x: (
                (torch.rand(len(x), 1, 1, 1) < 0.5) * torch.ones_like(x)
            ),
        ),
    ),
    Symptom(
        "`salt_pepper` gives only salt: half of it must be pepper, 0.",
        lambda s: s.first.share > 0.01 and s.first.white == 1,
        _hit_by(_uniform(), lambda u, level, x: torch.ones_like(x)),
    ),
    Symptom(
        "`salt_pepper` gives only pepper: half of it must be salt, 1.",
        lambda s: s.first.share > 0.01 and s.first.white == 0,
        _hit_by(_uniform(), _zero),
    ),
    Symptom(
        "In `salt_pepper` the pixel decides whether it becomes black or white: dark images "
        "get only one of the two. It must be chance, half and half.",
        lambda s: abs(s.first.white - 0.5) < 0.05 and abs(s.each[2].white - 0.5) > 0.45,
        _hit_by(_uniform(), lambda u, level, x: x.round()),
    ),
    *_places("salt_pepper", _half),
    Symptom(
        "In `salt_pepper` the place of a pixel decides whether it becomes black or white. It "
        "must be chance, half and half.",
        lambda s: not _alone(s.first.luck) and _alone(s.first.shared),
        _hit_by(
            _uniform(),
            lambda u, level, x: (torch.arange(x.shape[3]) % 2).expand(x.shape).float(),
        ),
    ),
    Symptom(
        "`salt_pepper` destroys a share `level` with 0 and again a share `level` with 1. "
        "`level` counts both together.",
        lambda s: (
            _share(s, lambda p: min(2 * p, 1)) or _share(s, lambda p: p * (2 - p))
        ),
        lambda x, level: _hit_by(_uniform(), _zero)(
            _hit_by(_uniform(), lambda u, level, x: torch.ones_like(x))(x, level), level
        ),
    ),
    *_shares("salt_pepper", _half),
    Symptom(
        lambda s: (
            f"Of the destroyed pixels {s.first.white:.0%} are white; half "
            "of them should be. If you have two tests, look where both hold, or use one "
            "random number: salt below half of `level`, pepper in the other half."
        ),
        lambda s: any(abs(e.white - 0.5) > 0.04 for e in s.each),
        _hit_by(_uniform(), lambda u, level, x: (u < level / 4).float()),
    ),
]
MASK = [
    Symptom(
        "`mask` makes the surviving pixels brighter by 1 / (1 - level), as dropout "
        "does. Here they stay as they are.",
        lambda s: s.first.brighter and s.first.share > 0.5,
        lambda x, level: torch.nn.functional.dropout(x, level),
    ),
    Symptom(
        "`mask` sets pixels to 1. Masked pixels are black, 0.",
        lambda s: s.first.white == 1,
        _hit_by(_uniform(), lambda u, level, x: torch.ones_like(x)),
    ),
    Symptom(
        "`mask` returns pixels that are neither 0 nor unchanged. Each pixel is set "
        "to 0 or left as it is.",
        lambda s: not all(e.clean for e in s.each),
        lambda x, level: x + level * torch.randn_like(x),
    ),
    Symptom(
        "`mask` hides the same pixels in all images of the batch.",
        lambda s: s.first.same,
        _hit_by(_uniform(0), _zero),
    ),
    *_places("mask", _zero),
    *_shares("mask", _zero),
]


def _fine_hits(s: SimpleNamespace) -> bool:
    return (
        all(e.clean and _alone(e.shared) for e in s.each)
        and _share(s, lambda level: level)
        and s.legal
        and s.nothing
    )


corruptions = declare(
    "06.1 corruptions",
    "size, share and place of the noise in grey, dark and coloured images, new in every "
    "call and for every image.",
    Symptoms(
        right=_noise(_randn()),
        measure=_measure_gaussian,
        table=GAUSSIAN,
        fine=_fine_gaussian,
        name="gaussian",
    ),
    Symptoms(
        right=_hit_by(_uniform(), _half),
        measure=_measure_hits("salt_pepper", (0.0, 1.0)),
        table=SALT_PEPPER,
        fine=lambda s: (
            _fine_hits(s)
            and all(abs(e.white - 0.5) < 0.04 for e in s.each)
            and _alone(s.first.luck)
        ),
        name="salt_pepper",
        answer=1,
    ),
    Symptoms(
        right=_hit_by(_uniform(), _zero),
        measure=_measure_hits("mask", (0.0,)),
        table=MASK,
        fine=lambda s: _fine_hits(s) and abs(s.lost - 0.15) < 0.02,
        name="mask",
        answer=2,
    ),
)


# 06.2


def _psnr(x, r):
    return -10 * ((x - r) ** 2).flatten(1).mean(1).log10()


def _with_error(error):
    """A PSNR from another kind of error; error(x, r) is (B,)."""
    return lambda x, r: -10 * error(x, r).log10()


# fmt: off
PSNR_MISTAKES = {
    "You return the mean over the batch; needed is (B,).":
        then(_psnr, torch.mean),
    "This is the PSNR of the error over the whole batch. Take the mean over the "
    "pixels of each image, and keep the batch axis.":
        lambda x, r: -10 * ((x - r) ** 2).mean().log10(),
    "The peak value is 255, which belongs to bytes. Here white is 1.":
        then(_psnr, lambda p: p + 20 * torch.tensor(255.0).log10()),
    "The sign is flipped: a smaller error is a higher PSNR.":
        then(_psnr, torch.neg),
    "This is the natural logarithm; decibels need base 10.":
        then(_psnr, lambda p: p * torch.tensor(10.0).log()),
    "The factor is 20. It belongs to the root of the error; the squared error has 10.":
        then(_psnr, lambda p: 2 * p),
    "This is half of it: with the root of the squared error the factor is 20.":
        then(_psnr, lambda p: p / 2),
    "The factor 10 is missing: this is in bel.":
        then(_psnr, lambda p: p / 10),
    "The squared error is summed over pixels. PSNR needs the mean over pixels.":
        _with_error(lambda x, r: ((x - r) ** 2).flatten(1).sum(1)),
    "The logarithm is taken of each pixel. First the mean over the pixels of an "
    "image, then the logarithm.":
        lambda x, r: -10 * ((x - r) ** 2).log10().flatten(1).mean(1),
    "This is the absolute error. PSNR needs the squared error.":
        _with_error(lambda x, r: (x - r).abs().flatten(1).mean(1)),
    "You clip the restored image. Leave that to the caller: the number must belong to "
    "the image that was given.":
        lambda x, r: _psnr(x, r.clamp(0, 1)),
    "The peak is the brightest pixel of each image. It is the largest *possible* "
    "value, 1, the same for all images.":
        lambda x, r: _psnr(x, r) + 20 * x.flatten(1).amax(1).log10(),
    "The peak is the brightest pixel of the batch. It is the largest *possible* "
    "value, 1.":
        lambda x, r: _psnr(x, r) + 20 * x.max().log10(),
    "The mean is taken over channels only. Flatten to (B, D) first.":
        _with_error(lambda x, r: ((x - r) ** 2).mean(1)),
    "This is the variance of the error: a constant offset would be forgiven. Use the "
    "mean of the squared error.":
        _with_error(lambda x, r: (x - r).flatten(1).var(1)),
}
# fmt: on


def _noisy(size, channels=1, height=4, width=3, spread=0.3):
    x = 0.9 * torch.rand(size, channels, height, width)
    noise = spread * (0.3 + torch.rand(size, 1, 1, 1)) * torch.randn(x.shape)
    return x, x + 0.1 * min(spread, 1) + noise


psnr = declare(
    "06.2 psnr_of",
    "random batches, tiny and huge errors: values, base, factor, peak and reduction.",
    Part(
        right=_psnr,
        cases=lambda: [
            (
                torch.tensor([[[[0.5, 0.0]]], [[[0.25, 0.75]]]]),
                torch.tensor([[[[0.4, 0.1]]], [[[0.25, 0.25]]]]),
            ),
            *[_noisy(2 + i % 4, 1 + i % 2, 4, 3 + i % 3) for i in range(10)],
        ],
        edges=lambda: {
            "one image in the batch": _noisy(1),
            "a single pixel in each image": _noisy(4, 1, 1, 1),
            "one image of one pixel": _noisy(1, 1, 1, 1),
            "three channels": _noisy(3, 3, 5, 2),
            "images of 28 x 28": _noisy(3, 1, 28, 28),
            "very small errors, of 0.0001 (is there a floor under the error?)": _noisy(
                3, spread=1e-4
            ),
            "errors of a millionth (120 decibels)": (
                torch.zeros(2, 1, 2, 2),
                torch.full((2, 1, 2, 2), 1e-6),
            ),
            "128 images": _noisy(128),
            "an image that is restored exactly (its PSNR is infinite)": (
                torch.tensor([[[[0.5, 0.25]]], [[[0.5, 0.25]]]]),
                torch.tensor([[[[0.5, 0.25]]], [[[0.5, 0.75]]]]),
            ),
            "very large errors, of 30 (is something clipped?)": _noisy(3, spread=30.0),
            "an image without a white pixel (the peak is 1 all the same)": tuple(
                0.1 * t for t in _noisy(3)
            ),
            "black images": (torch.zeros(2, 1, 3, 3), torch.full((2, 1, 3, 3), 0.25)),
        },
        # fmt: off
        wrong=PSNR_MISTAKES
        | {
            "784 pixels are built in. Divide by the number of pixels that an image has: "
            "`.mean(1)` does.": lambda x, r: _with_error(
                lambda a, b: _squares(a, b) / 784
            )(x, r),
            SQUEEZED: then(_psnr, torch.squeeze),
        },
        # fmt: on
    ),
)


# 06.3


def _squares(a, b):
    return ((a - b) ** 2).flatten(1).sum(1)


def _denoiser_loss(model, x, corrupt):
    return _squares(model(corrupt(x)), x).mean()


def _noisy_target(model, x, corrupt):
    y = corrupt(x)
    return _squares(model(y), y).mean()


def _other_noisy_target(model, x, corrupt):
    return _squares(model(corrupt(x)), corrupt(x)).mean()


# fmt: off
LOSS_MISTAKES = {
    "The target is the noisy image: the network is paid for keeping the noise. "
    "Compare with the clean x.":
        _noisy_target,
    "The noise is on the target and the network sees the clean image. It must be the "
    "other way round.":
        lambda m, x, c: _squares(m(x), c(x)).mean(),
    "No noise anywhere: the network sees the clean image. Give it `corrupt(x)`.":
        lambda m, x, c: _squares(m(x), x).mean(),
    "`corrupt` is called twice: the target is another noisy copy. Compare with the "
    "clean x.":
        _other_noisy_target,
    "The noise is added to the output. It belongs on the input.":
        lambda m, x, c: _squares(c(m(x)), x).mean(),
    "The noisy input is clipped. Give the network what `corrupt` returns.":
        lambda m, x, c: _squares(m(c(x).clamp(0, 1)), x).mean(),
    "The target is the noise. Here the network returns the clean image.":
        lambda m, x, c: (lambda y: _squares(m(y), y - x).mean())(c(x)),
    "This is a mean over pixels. Sum over pixels, mean over the batch.":
        lambda m, x, c: ((m(c(x)) - x) ** 2).mean(),
    "The loss is summed over the batch. Take the mean over the batch.":
        lambda m, x, c: _squares(m(c(x)), x).sum(),
    "The loss has one number for each image. Take the mean over the batch.":
        lambda m, x, c: _squares(m(c(x)), x),
    "There is a square root: needed is the squared error itself.":
        lambda m, x, c: _squares(m(c(x)), x).sqrt().mean(),
    "This is the absolute error, whose best answer is the posterior median. Here we "
    "want the squared error.":
        lambda m, x, c: (m(c(x)) - x).abs().flatten(1).sum(1).mean(),
    "No gradient reaches the network: `.item()`, `.detach()` or no_grad cuts it.":
        lambda m, x, c: _denoiser_loss(m, x, c).detach(),
}
# fmt: on


class _Small(nn.Module):
    """A network with one matrix of weights, for images of any shape."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, y: Tensor) -> Tensor:
        if y.ndim != 4:
            raise Wrong(
                f"The network got a tensor of shape {tuple(y.shape)}; give it images "
                "(B, C, H, W)."
            )
        return torch.tanh(y.flatten(1) @ self.weight).view_as(y)


class _Noise:
    """A corruption whose noise depends on the image and on how often it was seen.

    So a loop over the images gets the noise of a call for the whole batch, and a second
    call for the same image gets another.
    """

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}

    def __call__(self, x: Tensor) -> Tensor:
        images = x if x.ndim == 4 else x[None]
        noise = torch.stack([self._draw(image) for image in images])
        return x + 0.5 * noise.view_as(x)

    def _draw(self, image: Tensor) -> Tensor:
        key = round(1000 * image.detach().double().sum().item())
        self.seen[key] = self.seen.get(key, 0) + 1
        generator = torch.Generator().manual_seed(abs(key) + 10**6 * self.seen[key])
        return torch.randn(image.shape, generator=generator).to(image.device)


def _loss_of(answer: Callable) -> Callable:
    """loss(model, x, corrupt) -> {"loss": ...} as a function of weights and images."""

    def run(weight: Tensor, x: Tensor) -> Any:
        model = _Small(weight)
        result = answer(model, x, _Noise())
        if not isinstance(result, dict) or "loss" not in result:
            raise Wrong('Return a dictionary with the entry "loss": `{"loss": ...}`.')
        if not model.training:
            raise Wrong(
                "Your function leaves the model in another mode: `model.eval()` switches "
                "dropout off for the rest of the training. Leave the mode to the caller."
            )
        return result["loss"]

    return run


def _entry(loss: Callable) -> Callable:
    return lambda model, x, corrupt: {"loss": loss(model, x, corrupt)}


def _case(size: int, channels: int = 1, height: int = 3, width: int = 4) -> tuple:
    x = torch.rand(size, channels, height, width)
    pixels = x[0].numel()
    return torch.randn(pixels, pixels) / 3, x


denoiser_loss = declare(
    "06.3 denoiser_loss",
    "random networks and batches of many shapes: input, target, sums and gradients.",
    Part(
        right=_entry(_denoiser_loss),
        cases=lambda: [
            (torch.eye(2), torch.tensor([[[[1.0, 0.0]]], [[[0.5, 0.5]]]])),
            *[_case(2 + i % 4, 1 + i % 2) for i in range(9)],
        ],
        edges=lambda: {
            "one image in the batch": _case(1),
            "a single pixel": _case(3, 1, 1, 1),
            "three channels": _case(3, 3),
            "images that are not square": _case(3, 1, 2, 6),
            "a batch of 128 images": _case(128, 1, 2, 2),
            "black images": (_case(1)[0], torch.zeros(3, 1, 3, 4)),
            "weights that are large": (5 * _case(1)[0], torch.rand(3, 1, 3, 4)),
        },
        gradients=("weight",),
        adapt=_loss_of,
        strides=False,
        # fmt: off
        wrong={sentence: _entry(loss) for sentence, loss in LOSS_MISTAKES.items()}
        | {
            "784 pixels are built in. Sum over the pixels that an image has.": _entry(
                lambda m, x, c: 784 * ((m(c(x)) - x) ** 2).mean()
            ),
            "The squared error has a factor one half. Leave it out.": _entry(
                lambda m, x, c: 0.5 * _denoiser_loss(m, x, c)
            ),
        },
        # fmt: on
    ),
)


# 06.4


def _score_of(denoiser, y, sigma):
    return (denoiser(y) - y) / sigma**2


def _with_weight(answer: Callable) -> Callable:
    """The denoiser is made of a matrix, so that a case holds numbers alone."""
    return lambda weight, y, sigma: answer(
        lambda points: torch.tanh(points @ weight), y, sigma
    )


def _points(size: int, width: int, sigma: float, spread: float = 1.0) -> tuple:
    # Small sums: then rounding does not depend on how a matrix is multiplied.
    weight = torch.randn(width, width) / max(1.0, width / 4)
    return weight, spread * torch.randn(size, width), sigma


score = declare(
    "06.4 score_of",
    "random denoisers, points near and far, small and large sigma: sign, scale and shape.",
    Part(
        right=_score_of,
        cases=lambda: [
            (torch.eye(2), torch.tensor([[1.0, 0.0], [0.5, -1.0]]), 0.5),
            *[_points(2 + i % 5, 2 + i % 3, 0.3 + i / 5) for i in range(10)],
        ],
        edges=lambda: {
            "points far away, at 1,000 (is something clipped?)": _points(
                3, 2, 0.5, 1e3
            ),
            "a small sigma, 0.01 (is something clipped?)": _points(3, 2, 0.01),
            "points at 10, with large scores (is something clipped?)": _points(
                5, 2, 0.5, 10.0
            ),
            "a single point": _points(1, 3, 0.5),
            "one dimension": _points(4, 1, 0.5),
            "one point in one dimension": _points(1, 1, 0.5),
            "sigma = 1": _points(3, 2, 1.0),
            "a large sigma, 20": _points(3, 2, 20.0),
            "the 784 numbers of an image": _points(2, 784, 0.5),
            "300 points": _points(300, 2, 0.5),
        },
        adapt=_with_weight,
        # fmt: off
        wrong={
            "The sign is flipped. The score points from y to where the data are, to r(y).": then(
                _score_of, torch.neg
            ),
            "The difference is divided by sigma. The formula has sigma squared.": lambda r, y, s: (
                _score_of(r, y, s) * s
            ),
            "This is r(y) - y. Divide it by sigma squared.": lambda r, y, s: r(y) - y,
            "The difference is multiplied by sigma squared. Divide by it.": lambda r, y, s: (
                (r(y) - y) * s**2
            ),
            "The difference is divided by 2 sigma^2. That belongs to the log-density; its "
            "slope has sigma^2.": lambda r, y, s: _score_of(r, y, s) / 2,
            "y is not subtracted: the score is 0 where the denoiser changes nothing.": lambda r, y, s: (
                r(y) / s**2
            ),
            "Only y is divided. Put the difference in brackets.": lambda r, y, s: (
                r(y) - y / s**2
            ),
            "Only r(y) is divided. Put the difference in brackets.": lambda r, y, s: (
                r(y) / s**2 - y
            ),
            "The length is 1 everywhere. The score has a length; do not normalise it.": lambda r, y, s: (
                torch.nn.functional.normalize(_score_of(r, y, s))
            ),
            SQUEEZED: then(_score_of, torch.squeeze),
        },
        # fmt: on
    ),
)
