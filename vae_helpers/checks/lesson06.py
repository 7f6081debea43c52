"""Checks of lesson 06."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from vae_helpers.checks.core import (
    Part,
    Symptom,
    Symptoms,
    Wrong,
    call,
    close,
    declare,
    need_shape,
    parts,
)
from vae_helpers.checks.usual import SQUEEZED, kl_each, then

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
        flat = _draw(function, torch.full((1, 1, 6, 6), 0.5), 0.5, name)
        if flat.min() == flat.max():
            raise Wrong(
                f"Nothing in `{name}` is random: all pixels with the same value get the "
                f"same result, 0.5 becomes {flat.max():.3g} at level 0.5. Every pixel has "
                "its own chance: draw a number for each."
            )
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

    def noises(sizes: tuple[float, ...]) -> dict:
        return {
            (kind, size): _draw(function, x, size, "gaussian") - x
            for kind, x in images.items()
            for size in sizes
        }

    noise = noises((0.6, 0.5, 0.2, 0.04))
    ink = images[INK].double()
    kept = {size: 1 + _slope(noise[INK, size], ink) for size in (0.6, 0.5, 0.2)}
    # A root of 1 - level^2 has no value there; what is wrong is known by now.
    noise |= {} if _keeps(_root)(kept) else noises((1.5,))
    main, x = noise[GREY, level], images[GREY].double()
    y = main + x
    on_ink = noise[INK, level]
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
        own=_slope(y, x),
        kept=kept,
        mean=max(
            (n.mean().item() / size for (_, size), n in noise.items() if size > 0.1),
            key=abs,
        ),
        top=main.max().item() / level,
        dark=on_ink[images[INK] == 0].std().item() / level,
        width=widths[GREY, 0.6],
        small=widths[GREY, 0.2],
        spread=max(abs(w - 1) for w in widths.values()),
        tails=max(
            (float((n**4).mean() / (n**2).mean() ** 2) - 3 for n in noise.values()),
            key=abs,
        ),
    )


def _slope(y: Tensor, x: Tensor) -> float:
    """Of the best straight line from x to y: 1 where y is x plus noise of its own."""
    x = x - x.mean()
    return float(((y - y.mean()) * x).mean() / (x**2).mean())


def _keeps(factor: Callable[[float], float]) -> Callable:
    """Whether x stands in the noisy image with this factor: a test of level -> slope."""
    return lambda kept: all(
        abs(slope - factor(level)) < 0.03 for level, slope in kept.items()
    )


def _root(level: float) -> float:
    return (1 - level**2) ** 0.5


def _mixed(factor: Callable[[float], float]) -> Callable:
    return lambda x, level: factor(level) * x + level * torch.randn_like(x)


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
        "`gaussian` mixes: x is multiplied by 1 - level before the noise is added, so the "
        "strokes fade as well. Here y = x + noise, and x stays whole.",
        lambda s: _keeps(lambda level: 1 - level)(s.kept),
        _mixed(lambda level: 1 - level),
    ),
    Symptom(
        "`gaussian` mixes: x is multiplied by the root of 1 - level^2, as in diffusion "
        "models, so the strokes fade as well. Here y = x + noise, and x stays whole.",
        lambda s: _keeps(_root)(s.kept),
        _mixed(_root),
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
        lambda s: (
            "In `gaussian` the image does not stay whole: at level 0.5 white lies "
            f"{s.kept[0.5]:.2f} above black, on average over the noise, where 1 is needed. "
            "Add the noise to x itself."
        ),
        lambda s: not _keeps(lambda level: 1)(s.kept),
        _mixed(lambda level: 0.5),
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
        and _keeps(lambda level: 1)(s.kept)
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
        "`salt_pepper` gives only salt: half of it must be pepper, 0. If you have two tests "
        "on one random number, see where both hold: there the later one wins.",
        lambda s: s.first.share > 0.01 and s.first.white == 1,
        _hit_by(_uniform(), lambda u, level, x: torch.ones_like(x)),
    ),
    Symptom(
        "`salt_pepper` gives only pepper: half of it must be salt, 1. If you have two tests "
        "on one random number, see where both hold: there the later one wins.",
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
        "In `salt_pepper` a place is white in all images or black in all of them: the coin "
        "between salt and pepper is drawn once for all images, or the place decides. Every "
        "pixel of every image has its own coin.",
        lambda s: s.first.luck.images > 0.2 and _alone(s.first.shared),
        _hit_by(
            _uniform(),
            lambda u, level, x: (
                torch.randint(0, 2, x.shape[-2:]).expand(x.shape).float()
            ),
        ),
    ),
    Symptom(
        "In `salt_pepper` neighbours share the coin between salt and pepper. Every pixel has "
        "its own coin.",
        lambda s: not _alone(s.first.luck) and _alone(s.first.shared),
        _hit_by(
            _uniform(),
            lambda u, level, x: _uniform(2)(x).round(),
        ),
    ),
    Symptom(
        "`salt_pepper` draws twice, for salt and for pepper, and some pixels are hit by both: "
        "too few are destroyed. Use one random number for both.",
        lambda s: _share(s, lambda p: p - p**2 / 4, 0.01),
        lambda x, level: _hit_by(_uniform(), _zero)(
            _hit_by(_uniform(), lambda u, level, x: torch.ones_like(x))(x, level / 2),
            level / 2,
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


def _squares(a, b):
    return ((a - b) ** 2).flatten(1).sum(1)


# 06.3: what the best network of each loss line returns for a noisy image.

LINES = {"A": "2", "B": "4", "C": "1", "D": "3", "E": "1", "F": "5"}
ASKED = {
    "A": "Input and target are the same noisy image there. Given the input, what is "
    "still unknown about the target?",
    "B": "Look at what the network is given there: has it seen a noisy image at all?",
    "C": "`corrupt` is called twice there. Given the input, what is the mean of the noise "
    "in the target?",
    "D": "The target there is the noise. Which mean does the squared error ask for?",
    "E": "Input and target there are those of the denoising autoencoder.",
    "F": "Where the output is below 0 or above 1, `clamp` is level. Which slope does the "
    "loss have there?",
}


def _text(answer: Callable) -> str:
    found = call(answer, ())
    if found is None:
        raise Wrong("`best_answers` returned None. Does it end with `return ...`?")
    if isinstance(found, dict):
        found = [found.get(letter, "") for letter in LINES]
    if isinstance(found, list | tuple):
        found = "".join(str(item) for item in found)
    return "".join(str(found).split()).replace(",", "")


def _first_miss(found: str) -> str:
    for (letter, right), said in zip(LINES.items(), found, strict=True):
        if said != right:
            return f"Line {letter} is not {said}. {ASKED[letter]}"
    return ""


def _always(text: str) -> Callable:
    return lambda: text


def _but(letter: str, digit: str) -> Callable:
    """The right text with one digit changed."""
    return _always("".join((LINES | {letter: digit}).values()))


BEST_ANSWERS = Symptoms(
    right=_always("".join(LINES.values())),
    measure=_text,
    table=[
        Symptom(
            "Return numbers of answers, not letters of lines: one digit from 1 to 5 for "
            "each of A to F, in this order.",
            lambda found: bool(found) and not found.isdigit(),
            _always("ABCDEF"),
        ),
        Symptom(
            lambda found: (
                f"Your text has {len(found)} digit(s); needed are six, one for each of the "
                "lines A to F."
            ),
            lambda found: len(found) != len(LINES),
            _always("123"),
        ),
        Symptom(
            "The answers have the numbers 1 to 5.",
            lambda found: not set(found) <= set("12345"),
            _but("A", "7"),
        ),
        Symptom(
            _first_miss,
            lambda found: found != "".join(LINES.values()),
            _but("C", "2"),
        ),
    ],
    fine=lambda found: found == "".join(LINES.values()),
    name="best_answers",
)


class _Half(nn.Module):
    """A VAE of two matrices that keeps what goes through it."""

    def __init__(self, pixels: int, latents: int = 3) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(pixels)
        self.first = nn.Parameter(torch.randn(pixels, 2 * latents, generator=draw) / 2)
        self.second = nn.Parameter(torch.randn(latents, pixels, generator=draw))
        self.seen: list[Tensor] = []
        self.codes: list[tuple[Tensor, Tensor]] = []
        self.decoded: list[tuple[Tensor, Tensor]] = []

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.ndim != 4:
            raise Wrong(
                f"`model.encode` got a tensor of shape {tuple(x.shape)}; give it images "
                "(B, C, H, W)."
            )
        self.seen.append(x.detach())
        self.shape = tuple(x.shape[1:])
        mu, logvar = (x.flatten(1) @ self.first).chunk(2, 1)
        self.codes.append((mu, logvar))
        return mu, logvar

    def decode(self, z: Tensor) -> Tensor:
        if z.ndim != 2 or z.shape[1] != len(self.second):
            raise Wrong(
                f"`model.decode` got a tensor of shape {tuple(z.shape)}; it takes codes "
                f"(B, Z), here Z = {len(self.second)}."
            )
        logits = (z @ self.second).unflatten(1, self.shape)
        self.decoded.append((z, logits))
        return logits

    def forward(self, x: Tensor) -> Tensor:
        raise Wrong(
            "Call `model.encode` and `model.decode`: the loss needs mu and logvar."
        )


@dataclass
class _Run:
    """What a loss of a denoising VAE did with one batch.

    Attributes:
        x: (B, C, H, W) clean; noisy: what each call of `corrupt` returned.
        model: it knows what it was given; loss: what the answer returned.
        slopes: of the loss in the two matrices of the model, None where none passes.
        through: of the decoded code in mu and logvar, None where none passes.
    """

    x: Tensor
    noisy: list[Tensor]
    model: _Half
    loss: Tensor
    slopes: tuple
    through: tuple

    @property
    def y(self) -> Tensor:
        return self.noisy[0]

    @property
    def sees_noisy(self) -> bool:
        """Whether the encoder got what `corrupt` returned, as it was."""
        return any(torch.equal(self.model.seen[0], y) for y in self.noisy)

    def is_loss(self, formula: Callable) -> bool:
        """Whether the loss is that of a formula of (run, mu, logvar, logits)."""
        if not self.model.decoded or self.loss.shape:
            return False
        value = formula(self, *self.model.codes[0], self.model.decoded[0][1])
        return torch.allclose(self.loss, value, rtol=1e-4)


def _run_vae(answer: Callable, corrupt: Callable, size: int = 5) -> _Run:
    x = torch.rand(size, 1, 3, 4, generator=torch.Generator().manual_seed(size))
    model, noisy = _Half(x[0].numel()), []

    def kept(images: Tensor) -> Tensor:
        noisy.append(corrupt(images))
        return noisy[-1].clone()

    result = call(lambda x: answer(model, x, kept), (x,), size)
    if result is None:
        raise Wrong("Your function returned None. Does it end with `return ...`?")
    if not isinstance(result, dict) or "loss" not in result:
        raise Wrong('Return a dictionary with the entry "loss": `{"loss": ...}`.')
    if not model.training:
        raise Wrong(
            "Your function leaves the model in another mode: `model.eval()`. Leave the mode "
            "to the caller."
        )
    loss = torch.as_tensor(result["loss"])
    if not model.seen:
        raise Wrong("`model.encode` is never called: the code comes from it.")
    z = model.decoded[0][0] if model.decoded else loss
    slopes = _slopes_of(loss, (model.first, model.second))
    through = _slopes_of(z, model.codes[0])
    return _Run(x, noisy, model, loss.detach(), slopes, through)


def _slopes_of(value: Tensor, leaves: tuple) -> tuple:
    """Gradients of a sum, None where none passes."""
    if not (value.requires_grad and all(leaf.requires_grad for leaf in leaves)):
        return (None,) * len(leaves)
    return torch.autograd.grad(
        value.sum(), leaves, allow_unused=True, retain_graph=True
    )


def _masked(x: Tensor) -> Tensor:
    return x * (torch.rand_like(x) < 0.6)


def _shifted(x: Tensor) -> Tensor:
    return x + 0.5 * torch.randn_like(x)


def _measure_vae(answer: Callable) -> SimpleNamespace:
    run = _run_vae(answer, _masked)
    try:  # a noisy target outside [0, 1] may stop the answer; then the first run tells
        clips = not _run_vae(answer, _shifted).sees_noisy
    except Exception:
        clips = False
    codes = _run_vae(answer, _masked, 4000).model if run.model.decoded else None
    eps = torch.zeros(1, 3)
    if codes is not None and codes.decoded[0][0].shape == codes.codes[0][0].shape:
        (mu, logvar), z = codes.codes[0], codes.decoded[0][0]
        eps = ((z - mu) / torch.exp(0.5 * logvar)).detach()
    return SimpleNamespace(
        run=run,
        clips=clips,
        eps=eps,
        finite=bool(run.loss.isfinite().all()),
    )


def _nats(target: Tensor, logits: Tensor) -> Tensor:
    """(B, C, H, W), logits -> (B,): minus the Bernoulli log-likelihood."""
    each = nn.functional.softplus(logits) - target * logits
    return each.flatten(1).sum(1)


def _right_nats(r: _Run, mu: Tensor, logvar: Tensor, logits: Tensor) -> Tensor:
    return (_nats(r.x, logits) + _kl(mu, logvar)).mean()


def _terms(r: "_Run") -> tuple[float, float]:
    """Reconstruction term and KL for the code that was drawn, means over the batch."""
    codes, (_, logits) = r.model.codes[0], r.model.decoded[0]
    return _nats(r.x, logits).mean().item(), _kl(*codes).mean().item()


def _kl(mu: Tensor, logvar: Tensor) -> Tensor:
    return kl_each(mu, logvar).sum(1)


def _sample(mu: Tensor, logvar: Tensor) -> Tensor:
    return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)


def _vae_answer(
    formula: Callable, see: Callable | None = None, code=_sample
) -> Callable:
    """An answer: what the encoder sees, how the code is made, and the formula of the loss."""

    def answer(model: _Half, x: Tensor, corrupt: Callable) -> dict:
        y = corrupt(x)
        mu, logvar = model.encode(y if see is None else see(x, y))
        logits = model.decode(code(mu, logvar))
        return {"loss": formula(SimpleNamespace(x=x, y=y), mu, logvar, logits)}

    return answer


# Diagnosis -> the formula of (run, mu, logvar, logits) with that mistake.
# fmt: off
VAE_FORMULAS = {
    "The target is the noisy image: the decoder is paid for keeping the noise. The "
    "reconstruction term is for the clean x.":
        lambda r, m, v, o: (_nats(r.y, o) + _kl(m, v)).mean(),
    "The KL is missing: without it the code has no price, and this is no bound. Add the KL "
    "of the code that the noisy image got, to the prior.":
        lambda r, m, v, o: _nats(r.x, o).mean(),
    "The KL is subtracted. In a loss both terms are costs: add it.":
        lambda r, m, v, o: (_nats(r.x, o) - _kl(m, v)).mean(),
    "This is the bound itself, and training would make it smaller. The loss is its "
    "negative.":
        lambda r, m, v, o: -_right_nats(r, m, v, o),
    "The reconstruction term has the wrong sign: the log-likelihood is to grow, so the loss "
    "has its negative.":
        lambda r, m, v, o: (_kl(m, v) - _nats(r.x, o)).mean(),
    "The reconstruction term is a mean over pixels, the KL a sum: the KL then weighs D times "
    "too much. Sum both.":
        lambda r, m, v, o: (_nats(r.x, o) / r.x[0].numel() + _kl(m, v)).mean(),
    "The KL is a mean over the latent dimensions. Sum over them.":
        lambda r, m, v, o: (_nats(r.x, o) + kl_each(m, v).mean(1)).mean(),
    "The KL is summed over the batch, the reconstruction term is a mean. Take the mean over "
    "the batch of both.":
        lambda r, m, v, o: _nats(r.x, o).mean() + _kl(m, v).sum(),
    "The loss is summed over the batch. Take the mean over the batch.":
        lambda r, m, v, o: (_nats(r.x, o) + _kl(m, v)).sum(),
    "The reconstruction term is the squared error of the picture. The decoder's pixels are "
    "Bernoulli: use their log-likelihood, with the logits.":
        lambda r, m, v, o: (
            ((o.sigmoid() - r.x) ** 2).flatten(1).sum(1) + _kl(m, v)
        ).mean(),
    "The reconstruction term is the squared error of the logits. The decoder's pixels are "
    "Bernoulli: use their log-likelihood.":
        lambda r, m, v, o: (((o - r.x) ** 2).flatten(1).sum(1) + _kl(m, v)).mean(),
    "The sigmoid is applied twice: `model.decode` returns logits, and the log-likelihood "
    "takes logits.":
        lambda r, m, v, o: (_nats(r.x, o.sigmoid()) + _kl(m, v)).mean(),
    "The KL is twice as large as it should be: its one half is missing.":
        lambda r, m, v, o: (_nats(r.x, o) + 2 * _kl(m, v)).mean(),
    "The KL has half the size it should have.":
        lambda r, m, v, o: (_nats(r.x, o) + 0.5 * _kl(m, v)).mean(),
}
# fmt: on


def _no_decoding(model: _Half, x: Tensor, corrupt: Callable) -> dict:
    return {"loss": _kl(*model.encode(corrupt(x))).mean()}


def _two_codes(model: _Half, x: Tensor, corrupt: Callable) -> dict:
    mu, logvar = model.encode(corrupt(x))
    logits = model.decode(_sample(mu, logvar))
    return {"loss": (_nats(x, logits) + _kl(*model.encode(x))).mean()}


def _two_noises(model: _Half, x: Tensor, corrupt: Callable) -> dict:
    mu, logvar = model.encode(corrupt(x))
    logits = model.decode(_sample(mu, logvar))
    return {"loss": (_nats(corrupt(x), logits) + _kl(mu, logvar)).mean()}


def _no_noise(model: _Half, x: Tensor, corrupt: Callable) -> dict:
    mu, logvar = model.encode(x)
    return {
        "loss": _right_nats(
            SimpleNamespace(x=x), mu, logvar, model.decode(_sample(mu, logvar))
        )
    }


def _all_cut(model: _Half, x: Tensor, corrupt: Callable) -> dict:
    loss = _vae_answer(_right_nats)(model, x, corrupt)["loss"]
    return {"loss": loss.detach()}


def _normal(eps: Tensor) -> bool:
    """Whether noise (4000, 3) is standard normal, new for every image and latent."""
    if len(eps) < 2:
        return False
    together = torch.corrcoef(eps.T).fill_diagonal_(0).abs().max()
    middle, spread = eps.mean(0).abs().max(), (eps.std(0) - 1).abs().max()
    return bool(middle < 0.1 and spread < 0.07 and together < 0.1)


VAE_LOSS = Symptoms(
    right=_vae_answer(_right_nats),
    measure=_measure_vae,
    table=[
        Symptom(
            "Nothing is decoded. Draw a code, decode it, and compare with the clean image.",
            lambda s: not s.run.model.decoded,
            _no_decoding,
        ),
        Symptom(
            "No noise anywhere: the encoder sees the clean image, as in an ordinary VAE. Give "
            "it `corrupt(x)`.",
            lambda s: not s.run.noisy,
            _no_noise,
        ),
        Symptom(
            "The encoder sees the clean image and the noise is elsewhere. The noisy image "
            "goes in, and the clean one is the target.",
            lambda s: torch.equal(s.run.model.seen[0], s.run.x),
            _vae_answer(
                lambda r, m, v, o: (_nats(r.y, o) + _kl(m, v)).mean(), lambda x, y: x
            ),
        ),
        Symptom(
            "The noisy input is changed on its way, clipped perhaps. Give the encoder what "
            "`corrupt` returns.",
            lambda s: not s.run.sees_noisy or s.clips,
            _vae_answer(_right_nats, lambda x, y: y.clamp(0, 1)),
        ),
        Symptom(
            "You decode the mean code. The bound needs a draw from q(z | y).",
            lambda s: bool(s.eps.abs().max() < 1e-3),
            _vae_answer(_right_nats, code=lambda mu, logvar: 1 * mu),
        ),
        Symptom(
            "The code is no draw from q(z | y): it needs mu + sigma * eps, with sigma = "
            "exp(0.5 * logvar) and new standard normal noise for every image and latent "
            "dimension. `reparameterize(mu, logvar)` gives one.",
            lambda s: not _normal(s.eps),
            _vae_answer(
                _right_nats,
                code=lambda mu, logvar: mu + logvar.exp() * torch.randn_like(mu),
            ),
        ),
        Symptom(
            "The model encodes two images. There is one code here, that of the noisy image: "
            "its KL is the one in the loss.",
            lambda s: len(s.run.model.seen) > 1,
            _two_codes,
        ),
        Symptom(
            "`corrupt` is called twice: the target is another noisy copy, or the noise is added "
            "twice. Call it once, for the input, and compare with the clean x.",
            lambda s: len(s.run.noisy) > 1,
            _two_noises,
        ),
        Symptom(
            "The loss is no finite number.",
            lambda s: not s.finite,
            _vae_answer(lambda r, m, v, o: _right_nats(r, m, v, o) * torch.inf),
        ),
        Symptom(
            lambda s: (
                f"The loss has shape {tuple(s.run.loss.shape)}; needed is one number, the "
                "mean over the batch."
            ),
            lambda s: bool(s.run.loss.shape),
            _vae_answer(lambda r, m, v, o: _nats(r.x, o) + _kl(m, v)),
        ),
        *[
            Symptom(
                sentence,
                lambda s, formula=formula: s.run.is_loss(formula),
                _vae_answer(formula),
            )
            for sentence, formula in VAE_FORMULAS.items()
        ],
        Symptom(
            lambda s: (
                f"The loss is {s.run.loss:.4g} where "
                f"{sum(_terms(s.run)):.4g} is right for this code, and this in none of the "
                "usual ways. Print its two terms alone: the reconstruction is "
                f"{_terms(s.run)[0]:.4g}, the KL {_terms(s.run)[1]:.4g}."
            ),
            lambda s: not s.run.is_loss(_right_nats),
            _vae_answer(lambda r, m, v, o: 3 * _right_nats(r, m, v, o)),
        ),
        Symptom(
            "The loss is right, but no gradient reaches the encoder's or the decoder's "
            "weights: `.item()`, `.detach()` or no_grad cuts it.",
            lambda s: any(g is None for g in s.run.slopes),
            _all_cut,
        ),
        Symptom(
            "The loss is right, but the reconstruction term sends no gradient to mu or to "
            "logvar: the code is detached, and the encoder learns from the KL alone.",
            lambda s: any(g is None for g in s.run.through),
            _vae_answer(
                _right_nats, code=lambda mu, logvar: _sample(mu, logvar).detach()
            ),
        ),
    ],
    fine=lambda s: s.run.is_loss(_right_nats),
    name="my_denoising_vae_loss",
    answer=1,
)


training_losses = declare(
    "06.3 best_answers and my_denoising_vae_loss",
    "all six lines; and a loss whose encoder sees the noisy image, whose target is the clean "
    "one, with a fresh draw of the code, its KL, and gradients for all weights.",
    BEST_ANSWERS,
    VAE_LOSS,
)


# 06.4

VERDICTS = {"a": 1.0, "b": -1.0, "not told apart": 0.0}


def _mean_and_error(difference: Tensor) -> tuple[Tensor, Tensor]:
    return difference.mean(), difference.std() / len(difference) ** 0.5


def _judged(gap: Tensor, error: Tensor, needed: float = 3) -> str:
    return "a" if gap > needed * error else "b" if gap < -needed * error else TIED


TIED = "not told apart"


def _paired(a: Tensor, b: Tensor) -> tuple:
    gap, error = _mean_and_error(a - b)
    return gap, error, _judged(gap, error)


def _numbers(answer: Callable) -> Callable:
    """Mean difference and standard error alone; an error with n for n - 1 counts as right."""

    def run(a: Tensor, b: Tensor) -> tuple:
        result = answer(a, b)
        if not isinstance(result, tuple | list) or len(result) != 3:
            raise Wrong(
                "Return three things, in this order: the mean difference, its standard error, "
                'and the verdict, "a", "b" or "not told apart".'
            )
        gap, error, _ = result
        right = _mean_and_error(a - b)[1]
        with_n = right * (1 - 1 / len(a)) ** 0.5
        if torch.is_tensor(error) or isinstance(error, float):
            same = abs(float(error) - float(with_n)) <= 1e-4 * float(with_n)
            error = right if torch.as_tensor(error).ndim == 0 and same else error
        return gap, error

    return run


def _verdict(answer: Callable) -> Callable:
    """The verdict as a number."""

    def run(a: Tensor, b: Tensor) -> tuple[Tensor]:
        said = answer(a, b)[2]
        if not isinstance(said, str) or said not in VERDICTS:
            raise Wrong(
                f'The verdict is one of the texts "a", "b" and "not told apart"; got {said!r}.'
            )
        return (torch.tensor(VERDICTS[said]),)

    return run


def _scores(n: int, gap: float, hard: float = 2.0, own: float = 0.5) -> tuple:
    """Decibels of two methods on n images: what is hard for both, and what is not."""
    shared = 15 + hard * torch.randn(n)
    rest = own * torch.randn(n)
    rest = rest - rest.mean() + gap  # the mean difference is known
    return shared + rest, shared


def _error_as(error: Callable) -> Callable:
    return lambda a, b: (
        (a - b).mean(),
        error(a, b),
        _judged((a - b).mean(), error(a, b)),
    )


# fmt: off
PAIRED_NUMBERS = {
    "The sign is flipped: the difference is a minus b, positive when a has more decibels.":
        lambda a, b: _paired(b, a),
    "This is the error of two separate samples: the spreads of a and of b are added. Both "
    "methods got the same images, so take the differences first, image by image.":
        _error_as(lambda a, b: ((a.var() + b.var()) / len(a)) ** 0.5),
    "The standard errors of a and of b are added. Both methods got the same images: take the "
    "differences first, image by image, and the standard error of these.":
        _error_as(lambda a, b: (a.std() + b.std()) / len(a) ** 0.5),
    "This is the standard deviation of the differences, how far one image's difference lies "
    "from the mean. The standard error of the mean is smaller by the root of n.":
        _error_as(lambda a, b: (a - b).std()),
    "This is the variance of the differences. The standard error is their standard deviation "
    "over the root of n.":
        _error_as(lambda a, b: (a - b).var()),
    "The standard deviation is divided by n. Divide it by the root of n.":
        _error_as(lambda a, b: (a - b).std() / len(a)),
    "The root is missing: this is the variance of the mean. The standard error is its root.":
        _error_as(lambda a, b: (a - b).var() / len(a)),
    "This is the standard error of a alone. Take that of the differences.":
        _error_as(lambda a, b: a.std() / len(a) ** 0.5),
    "This is the standard error of b alone. Take that of the differences.":
        _error_as(lambda a, b: b.std() / len(a) ** 0.5),
    "This is the difference of the two standard errors. Take the differences first, image by "
    "image, and the standard error of these.":
        _error_as(lambda a, b: (a.std() - b.std()) / len(a) ** 0.5),
    "This is three times the standard error. Return the standard error itself; the 3 belongs "
    "to the verdict.":
        _error_as(lambda a, b: 3 * (a - b).std() / len(a) ** 0.5),
    "The error divides by the root of n - 1 as well. `std` has the n - 1 inside already: "
    "divide it by the root of n.":
        _error_as(lambda a, b: (a - b).std() / (len(a) - 1) ** 0.5),
    "The mean is taken of the absolute differences: then a is never behind.":
        lambda a, b: ((a - b).abs().mean(), *_paired(a, b)[1:]),
    "This is the median of the differences. The standard error belongs to the mean.":
        lambda a, b: ((a - b).median(), *_paired(a, b)[1:]),
    "This is the sum of the differences. Take their mean.":
        lambda a, b: ((a - b).sum(), *_paired(a, b)[1:]),
    "You return one difference for each image. Take their mean.":
        lambda a, b: (a - b, *_paired(a, b)[1:]),
    "This is the difference in per cent of b. Decibels are compared by their difference.":
        lambda a, b: (100 * ((a - b) / b).mean(), *_paired(a, b)[1:]),
}


def _said(judge: Callable) -> Callable:
    return lambda a, b: (*_mean_and_error(a - b), judge(*_mean_and_error(a - b)))


PAIRED_VERDICTS = {
    'The verdict names the one with the smaller number. Here more decibels are better: "a" '
    "when the mean difference is positive.":
        _said(lambda gap, error: _judged(-gap, error)),
    "The verdict looks at the sign of the mean difference alone. A difference within three "
    "standard errors of 0 may be chance.":
        _said(lambda gap, error: "a" if gap > 0 else "b"),
    "The verdict asks for one standard error. The text asks for three.":
        _said(lambda gap, error: _judged(gap, error, 1)),
    "The verdict asks for two standard errors (1.96 or 2). The text asks for three.":
        _said(lambda gap, error: _judged(gap, error, 2)),
    'The verdict is never "b": a mean difference far below 0 is a win of b.':
        _said(lambda gap, error: "a" if gap > 3 * error else TIED),
    'The verdict is "b" whenever a does not win. Between the two lies "not told apart".':
        _said(lambda gap, error: "a" if gap > 3 * error else "b"),
    'The verdict never says "a".':
        _said(lambda gap, error: "b" if gap < -3 * error else TIED),
    'The verdict is "a" on both sides: a mean difference far below 0 is a win of b.':
        _said(lambda gap, error: "a" if abs(gap) > 3 * error else TIED),
    "The verdict is turned round: it is \"not told apart\" that belongs to a mean within three "
    "standard errors of 0.":
        _said(lambda gap, error: TIED if abs(gap) > 3 * error else "a"),
    'The verdict is always "not told apart".':
        _said(lambda gap, error: TIED),
    "The verdict compares with 3 itself, not with three standard errors.":
        _said(lambda gap, error: _judged(gap, torch.ones(()))),
    "The verdict compares with a third of the standard error. Multiply it by 3.":
        _said(lambda gap, error: _judged(gap, error, 1 / 3)),
    "The verdict compares with three standard deviations of the differences. The standard "
    "error of their mean is what counts.":
        lambda a, b: (*_mean_and_error(a - b), _judged((a - b).mean(), (a - b).std())),
    "The verdict compares with the error of two separate samples. Use the standard error of "
    "the differences.":
        lambda a, b: (
            *_mean_and_error(a - b),
            _judged((a - b).mean(), ((a.var() + b.var()) / len(a)) ** 0.5),
        ),
}
# fmt: on


def _paired_cases() -> list[tuple]:
    """Clear wins and ties, and differences of 0.6, 1.5, 2.5 and 4 standard errors."""
    tiny = (
        torch.tensor([14.0, 17.0, 20.0, 17.0]),
        torch.tensor([13.0, 15.0, 19.0, 15.0]),
    )
    cases = [tiny]
    for i, errors in enumerate((0.2, 0.6, 1.5, 2.5, 4.0, 12.0)):
        for side in (1, -1):
            n = 30 + 11 * i
            cases.append(_scores(n, side * errors * 0.5 / n**0.5, 2.0 + i / 3))
    clear = [_scores(60, 2.0), _scores(60, -2.0), _scores(40, 5.0)]
    return [*cases, *clear, _scores(40, -5.0, own=3.0)]


PAIRED_EDGES = {
    "two images": lambda: (torch.tensor([3.0, 5.0]), torch.tensor([1.0, 2.0])),
    "the same difference on all images, whose error is 0": lambda: (
        torch.tensor([3.0, 5.0, 4.0]),
        torch.tensor([2.0, 4.0, 3.0]),
    ),
    'equal values everywhere ("not told apart")': lambda: (
        torch.tensor([3.0, 5.0, 4.0]),
        torch.tensor([3.0, 5.0, 4.0]),
    ),
    "1,000 images": lambda: _scores(1000, 0.1),
    "negative values": lambda: tuple(t - 40 for t in _scores(50, 0.3)),
}

paired_win = declare(
    "06.4 paired_win",
    "pairs of methods that differ by much and by little, on two to 1,000 images: mean, "
    "standard error (n or n - 1) and verdict.",
    Part(
        right=_paired,
        cases=_paired_cases,
        edges=lambda: {words: make() for words, make in PAIRED_EDGES.items()},
        adapt=_numbers,
        results=("mean difference", "standard error"),
        wrong=PAIRED_NUMBERS,
        strides=False,
    ),
    Part(
        right=_paired,
        cases=_paired_cases,
        edges=lambda: {words: make() for words, make in PAIRED_EDGES.items()},
        adapt=_verdict,
        results=('verdict (1 is "a", -1 is "b", 0 is "not told apart")',),
        wrong=PAIRED_VERDICTS,
        strides=False,
    ),
)


# 06.5


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
    "06.5 score_of",
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
            "The difference is divided by 2 sigma. The formula has sigma squared.": lambda r, y, s: (
                _score_of(r, y, s) * s / 2
            ),
            "This is -y / sigma^2, which is right when all clean points are 0. In general r(y) "
            "stands in the place of the 0.": lambda r, y, s: -y / s**2,
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


# 06.6


def _walk(y, score, step, steps):
    for _ in range(steps):
        y = y + step * score(y)
    return y


def _field(answer: Callable) -> Callable:
    """The score is that of a Gaussian around 1, so that a case holds numbers alone."""
    return lambda score_is_1_minus_y_times, y, step, steps: answer(
        y, lambda points: (1 - points) @ score_is_1_minus_y_times, step, steps
    )


def _start(size: int, width: int, step: float, steps: int) -> tuple:
    weight = torch.randn(width, width) / width
    return (
        weight @ weight.T + torch.eye(width) / 2,
        torch.randn(size, width),
        step,
        steps,
    )


def _need_no_noise(answer: Callable) -> None:
    case = _start(3, 2, 0.1, 3)
    first, second = (parts(call(_field(answer), case, seed)) for seed in (1, 2))
    if not close(first, second, nan_is_nan=True):
        raise Wrong(
            "Two calls with the same points differ: you add noise. This walk goes along the "
            "score alone."
        )


def _path(y, score, step, steps):
    places = [y]
    for _ in range(steps):
        places.append(places[-1] + step * score(places[-1]))
    return torch.stack(places)


def _unit(y, score, step, steps):
    return _walk(y, lambda p: nn.functional.normalize(score(p)), step, steps)


def _leap(y, score, step, steps):
    for _ in range(steps):
        y = step * score(y)
    return y


walk = declare(
    "06.6 my_walk",
    "Gaussian fields, few and many steps, none at all, points in one to five dimensions.",
    Part(
        right=_walk,
        cases=lambda: [
            (torch.eye(2), torch.tensor([[3.0, 1.0], [0.0, -1.0]]), 0.5, 2),
            *[_start(2 + i % 4, 2 + i % 3, 0.05 + i / 40, 2 + i) for i in range(9)],
        ],
        edges=lambda: {
            "steps = 0 (the points stay)": _start(3, 2, 0.1, 0),
            "a single step": _start(3, 2, 0.1, 1),
            "300 steps": _start(4, 2, 0.1, 300),
            "a single point": _start(1, 2, 0.1, 5),
            "one dimension": _start(4, 1, 0.1, 5),
            "points in five dimensions": _start(4, 5, 0.1, 5),
            "a step of 0 (the points stay)": _start(3, 2, 0.0, 5),
            "points far away (is something clipped to the square?)": (
                torch.eye(2),
                torch.tensor([[90.0, -70.0]]),
                0.1,
                3,
            ),
        },
        adapt=_field,
        before=[_need_no_noise],
        # fmt: off
        wrong={
            "The points go downhill. The score points to where points are more probable: add "
            "it.": lambda y, s, step, n: _walk(y, lambda p: -s(p), step, n),
            "The score is computed once, at the start. It differs from place to place: compute "
            "it anew in every step.": lambda y, s, step, n: y + n * step * s(y),
            "You take one step, whatever `steps` is. Repeat it, and begin each step where the "
            "one before has ended.": lambda y, s, step, n: y + step * s(y),
            "You take one step too many.": lambda y, s, step, n: _walk(
                y, s, step, n + 1
            ),
            "You take one step too few.": lambda y, s, step, n: _walk(
                y, s, step, n - 1
            ),
            "The step size is not used: every step has the whole length of the score.": lambda y, s, step, n: (
                _walk(y, s, 1.0, n)
            ),
            "The step size is divided by the number of steps. Every step has the size `step`.": lambda y, s, step, n: (
                _walk(y, s, step / max(n, 1), n)
            ),
            "The step size is squared.": lambda y, s, step, n: _walk(y, s, step**2, n),
            "The step has the size 2 * step, or the root of it: that is the noise of Langevin's "
            "walk. The score is multiplied by `step`.": lambda y, s, step, n: _walk(
                y, s, 2 * step, n
            ),
            "The score is multiplied by the root of 2 * step. That factor belongs to the noise "
            "of Langevin's walk; the score gets `step`.": lambda y, s, step, n: _walk(
                y, s, (2 * step) ** 0.5, n
            ),
            "You return the points where they began.": lambda y, s, step, n: 1 * y,
            "The points are replaced by the step. Add it to them.": _leap,
            "All arrows are made equally long. A step is `step` times the score, which is "
            "short near a top.": _unit,
            "You divide the score by the step size. Multiply.": lambda y, s, step, n: (
                _walk(y, s, 1 / step if step else 0.0, n)
            ),
            "You return the whole path. Return the points where the walk ends.": _path,
            "You return the steps alone, without the points where the walk began.": lambda y, s, step, n: (
                _walk(y, s, step, n) - y
            ),
            SQUEEZED: then(_walk, torch.squeeze),
        },
        # fmt: on
    ),
)
