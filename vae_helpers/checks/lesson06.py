"""Checks of lesson 06."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vae_helpers.checks.legacy import Wrong, check, compare, need_shape
from vae_helpers.checks.usual import then

CASES = 40


# 06.1: random functions are judged by what many of their pixels do.


def _two_draws(function: Callable, x: Tensor, level: float, name: str) -> list[Tensor]:
    """The results of two calls, with the faults that all three corruptions share."""
    draws = []
    torch.manual_seed(0)
    for _ in range(2):
        given = x.clone()
        result = function(given, level)
        if result is None:
            raise Wrong(f"`{name}` returned None. Does it end with `return ...`?")
        need_shape(result, tuple(x.shape), f"The result of `{name}`", "that of x")
        if not torch.equal(given, x):
            raise Wrong(
                f"`{name}` changed the images it was given; the clean target would be "
                "noisy, too. Make a new tensor."
            )
        draws.append(result.detach().double())
    if torch.equal(*draws):
        if torch.equal(draws[0], x.double()):
            raise Wrong(f"`{name}` returns x as it is.")
        raise Wrong(
            f"`{name}` gives the same noise in every call: it is drawn once, or a seed is "
            "set inside. The noise must be new each time."
        )
    return draws


def _check_gaussian(function: Callable) -> None:
    torch.manual_seed(1)
    x = 0.2 + 0.6 * torch.rand(8, 1, 40, 40)
    for level in (0.6, 0.2):
        y, _ = _two_draws(function, x, level, "gaussian")
        noise = y - x
        if level == 0.6 and y.min() >= 0 and y.max() <= 1:
            raise Wrong(
                "`gaussian` clips to [0, 1]. Clipped noise is no longer Gaussian, and "
                "black pixels only get brighter: leave it out."
            )
        if torch.allclose(noise[0], noise[1], atol=1e-5):
            raise Wrong(
                "`gaussian` adds the same noise to all images of the batch. Draw one "
                "number for each pixel of each image."
            )
        if noise.flatten(1).std(1).max() < 1e-4:
            raise Wrong(
                "`gaussian` adds one number to all pixels of an image. Draw one for each "
                "pixel."
            )
        if abs(y.mean()) < 0.1:
            raise Wrong("`gaussian` returns the noise alone: add it to x.")
        if noise.mean() > 0.03 + level / 4:
            raise Wrong(
                "The noise of `gaussian` has a positive mean. `torch.rand` is uniform on "
                "[0, 1]; needed is the normal `torch.randn`."
            )
        dark, _ = _two_draws(function, x * (x > 0.5), level, "gaussian")
        if dark[x <= 0.5].std() < level / 10:
            raise Wrong(
                "`gaussian` leaves black pixels black: the noise is multiplied by x. "
                "Add it instead."
            )
        _gaussian_width(noise, level)


def _gaussian_width(noise: Tensor, level: float) -> None:
    found = noise.std().item()
    known = [
        (level**2, "`level` is squared. It is the standard deviation: multiply by it."),
        (
            level**0.5,
            "The root of `level` is used: you treat it as a variance. It is the standard "
            "deviation: multiply by it.",
        ),
        (1.0, "The noise has standard deviation 1: `level` is not used."),
    ]
    if abs(found / level - 1) > 0.05:
        for value, text in known:
            if abs(found / value - 1) < 0.05:
                raise Wrong(f"In `gaussian`: {text}")
        raise Wrong(
            f"The noise of `gaussian` has standard deviation {found:.3f} where {level} is "
            "needed."
        )
    if (noise**4).mean().item() / found**4 < 2.5:
        raise Wrong("The noise of `gaussian` has the right width but is not normal.")


def _check_salt_pepper(function: Callable) -> None:
    torch.manual_seed(2)
    x = 0.2 + 0.6 * torch.rand(8, 1, 40, 40)
    for level in (0.4, 0.1):
        y, _ = _two_draws(function, x, level, "salt_pepper")
        changed = (y - x.double()).abs() > 1e-6
        white, black = (y == 1).double().mean(), (y == 0).double().mean()
        share = changed.double().mean().item()
        if changed.all():
            raise Wrong(
                "`salt_pepper` changes every pixel. Most of them must stay exactly as "
                "they are."
            )
        if not ((y == 0) | (y == 1))[changed].all():
            raise Wrong(
                "`salt_pepper` gives destroyed pixels other values than 0 and 1. Replace "
                "them; do not add to them."
            )
        if (changed == changed[:1]).all():
            raise Wrong(
                "`salt_pepper` destroys the same pixels in all images of the batch. Draw "
                "for each image anew."
            )
        if share > 0.01 and black == 0:
            raise Wrong("`salt_pepper` gives only salt: half of it must be pepper, 0.")
        if share > 0.01 and white == 0:
            raise Wrong("`salt_pepper` gives only pepper: half of it must be salt, 1.")
        _alone(changed, "salt_pepper")
        _share(share, level, "salt_pepper", halves=True)
        if abs(white / (white + black) - 0.5) > 0.07:
            raise Wrong(
                f"Of the destroyed pixels {white / (white + black):.0%} are white; half "
                "of them should be. Where two tests overlap, the later one wins: use one "
                "random number for both."
            )


def _check_mask(function: Callable) -> None:
    torch.manual_seed(3)
    x = 0.2 + 0.6 * torch.rand(8, 1, 40, 40)
    for level in (0.3, 0.1):
        y, _ = _two_draws(function, x, level, "mask")
        zero = y == 0
        kept = (y - x.double()).abs() < 1e-6
        if torch.allclose(y[~zero], x.double()[~zero] / (1 - level), atol=1e-4):
            raise Wrong(
                "`mask` makes the surviving pixels brighter by 1 / (1 - level), as dropout "
                "does. Here they stay as they are."
            )
        if (y == 1).any() and not zero.any():
            raise Wrong("`mask` sets pixels to 1. Masked pixels are black, 0.")
        if not (zero | kept).all():
            raise Wrong(
                "`mask` returns pixels that are neither 0 nor unchanged. Each pixel is set "
                "to 0 or left as it is."
            )
        if (zero == zero[:1]).all():
            raise Wrong("`mask` hides the same pixels in all images of the batch.")
        _alone(zero, "mask")
        _share(zero.double().mean().item(), level, "mask")


def _alone(hit: Tensor, name: str) -> None:
    """Wrong if being hit (B, C, H, W) goes together with a neighbour's being hit."""
    hit = hit.double() - hit.double().mean()
    spread = (hit**2).mean().clamp(min=1e-12)
    beside = ((hit[..., 1:] * hit[..., :-1]).mean() / spread).abs() > 0.1
    under = ((hit[..., 1:, :] * hit[..., :-1, :]).mean() / spread).abs() > 0.1
    if beside or under:
        shape = "blocks" if beside and under else "rows" if beside else "columns"
        raise Wrong(
            f"`{name}` destroys pixels in whole {shape} or parts of them: neighbours share "
            "their luck. Every pixel has its own chance, so draw one number for each."
        )


def _share(found: float, level: float, name: str, halves: bool = False) -> None:
    if abs(found - level) < 0.03:
        return
    if abs(found - (1 - level)) < 0.03:
        raise Wrong(
            f"`{name}` destroys a share 1 - level and keeps a share level: swap them."
        )
    if halves and (
        abs(found - 2 * level) < 0.03 or abs(found - (1 - (1 - level) ** 2)) < 0.02
    ):
        raise Wrong(
            f"`{name}` destroys a share `level` with 0 and again a share `level` with 1. "
            "`level` counts both together."
        )
    if abs(found - level / 2) < 0.02:
        raise Wrong(f"`{name}` destroys only half of the share `level`.")
    raise Wrong(
        f"`{name}` destroys {found:.1%} of the pixels where {level:.0%} are due."
    )


@check("06.1 corruptions")
def corruptions(gaussian, salt_pepper, mask) -> str:
    """gaussian(x, level), salt_pepper(x, level), mask(x, level) -> noisy images."""
    _check_gaussian(gaussian)
    for function, inspect, done in [
        (
            salt_pepper,
            _check_salt_pepper,
            "`gaussian` is right. Go on with `salt_pepper`.",
        ),
        (mask, _check_mask, "Two are right. Go on with `mask`."),
    ]:
        try:
            inspect(function)
        except NotImplementedError:
            raise NotImplementedError(done) from None
    return "size, share and place of the noise, new in every call and for every image."


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


@check("06.2 psnr_of")
def psnr(answer) -> str:
    """psnr_of(x, restored) -> (B,) decibels."""
    torch.manual_seed(0)
    cases = []
    for number in range(CASES):
        shape = (2 + number % 4, 1 + number % 2, 4, 3 + number % 3)
        x = 0.9 * torch.rand(shape)
        noise = (0.1 + 0.5 * torch.rand(shape[0], 1, 1, 1)) * torch.randn(shape)
        cases.append((x, x + 0.1 + noise))
    compare(answer, _psnr, cases, PSNR_MISTAKES)
    return f"{CASES} random batches: values, base, factor, peak and reduction."


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


def _on_small(loss: Callable) -> Callable:
    """loss(model, x, corrupt) as a function of two tensors: weights and images."""
    return lambda weight, x: loss(_Small(weight), x.detach(), _Noise())


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


@check("06.3 denoiser_loss")
def denoiser_loss(answer) -> str:
    """denoiser_loss(model, x, corrupt) -> {"loss": scalar}."""
    torch.manual_seed(0)
    cases = []
    for number in range(CASES):
        x = torch.rand(2 + number % 4, 1 + number % 2, 3, 4)
        pixels = x[0].numel()
        cases.append((torch.randn(pixels, pixels) / 3, x))

    def value(*arguments: Any) -> Any:
        result = answer(*arguments)
        if not isinstance(result, dict) or "loss" not in result:
            raise Wrong('Return a dictionary with the entry "loss": `{"loss": ...}`.')
        return result["loss"]

    mistakes = [(_on_small(mistake), text) for mistake, text in LOSS_MISTAKES]
    compare(
        _on_small(value), _on_small(_denoiser_loss), cases, mistakes, gradients=True
    )
    return f"{CASES} random networks and batches: input, target, sums and gradients."


# 06.4


def _score(weight, y, sigma):
    return (torch.tanh(y @ weight) - y) / sigma**2


# fmt: off
SCORE_MISTAKES = {
    "The sign is flipped. The score points from y to where the data are, to r(y).":
        then(_score, torch.neg),
    "The difference is divided by sigma. The formula has sigma squared.":
        lambda w, y, s: _score(w, y, s) * s,
    "This is r(y) - y. Divide it by sigma squared.":
        lambda w, y, s: _score(w, y, s) * s ** 2,
    "The difference is multiplied by sigma squared. Divide by it.":
        lambda w, y, s: _score(w, y, s) * s ** 4,
    "y is not subtracted: the score is 0 where the denoiser changes nothing.":
        lambda w, y, s: torch.tanh(y @ w) / s ** 2,
    "Only y is divided. Put the difference in brackets.":
        lambda w, y, s: torch.tanh(y @ w) - y / s ** 2,
    "The length is 1 everywhere. The score has a length; do not normalise it.":
        lambda w, y, s: _score(w, y, s) / _score(w, y, s).norm(dim=1, keepdim=True),
}
# fmt: on


@check("06.4 score_of")
def score(answer) -> str:
    """score_of(denoiser, y, sigma) -> (B, D)."""
    torch.manual_seed(0)
    cases = [
        (
            torch.randn(2 + i % 3, 2 + i % 3),
            torch.randn(1 + i % 5, 2 + i % 3),
            0.3 + i / 30,
        )
        for i in range(CASES)
    ]

    def on_small(weight, y, sigma):
        return answer(lambda points: torch.tanh(points @ weight), y, sigma)

    compare(on_small, _score, cases, SCORE_MISTAKES)
    return f"{CASES} random denoisers: sign, scale and shape."
