"""Checks of lesson 02."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Laplace, Normal

from vae_helpers.checks.core import (
    Part,
    Symptom,
    Symptoms,
    Wrong,
    call,
    close,
    declare,
    parts,
)
from vae_helpers.checks.words import kind_of_result

SHAPES = [(3, 2), (4, 5), (5, 3), (2, 7), (6, 4), (70, 2), (2, 66), (128, 20)]


def _before(case: Callable[[], tuple], noise: str, **sentences: str) -> Callable:
    """A probe: the result depends on the noise that is given, and on no other.

    Args:
        case: makes arguments; the noise is the last of them.
        noise: its name.
        sentences: "nan", for a result with NaN; "first", for the first argument as it is.
    """

    def probe(answer: Callable) -> None:
        *given, drawn = case()

        def run(noise: Tensor, seed: int = 0) -> dict:
            found = parts(call(answer, (*given, noise), seed))
            return {key: tensor.detach() for key, tensor in found.items()}

        found = run(drawn)
        if "nan" in sentences and any(t.isnan().any() for t in found.values()):
            raise Wrong(sentences["nan"])
        if not close(found, run(drawn, seed=1), 1e-6, nan_is_nan=True):
            raise Wrong(
                f"Your function draws its own noise, beside `{noise}` or instead of it. Use "
                "the noise that is given; then the sample is an ordinary function of its "
                "inputs."
            )
        if "first" in sentences and close(found, {"result": given[0]}):
            raise Wrong(sentences["first"])
        # 0.9 * u stays between 0 and 1
        if close(found, run(0.9 * drawn), 0.0):
            raise Wrong(
                f"The result is the same whatever `{noise}` is: the noise is fixed or "
                f"missing, so every step would see the same sample. Use `{noise}`."
            )

    return probe


def _sample(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    return mu + torch.exp(0.5 * logvar) * eps


def _codes(*shape: int) -> tuple:
    # logvar between -1 and 1: a clamp then shows at the edges alone, which name it
    return torch.randn(shape), 2 * torch.rand(shape) - 1, torch.randn(shape)


def _filled(logvar: float, mu: float = 0.0) -> tuple:
    draws = torch.tensor([[1.0, -2.0, 0.5], [-0.7, 3.0, -1.5]])
    return torch.full((2, 3), mu), torch.full((2, 3), logvar), draws


# fmt: off
SAMPLE = Part(
        name="my_reparameterize",
        right=_sample,
        cases=lambda: [
            (
                torch.tensor([[1.0, 0.0], [-2.0, 3.0], [0.5, 1.0]]),
                torch.tensor([[0.0, 1.0], [-1.0, 0.2], [0.5, -0.6]]),
                torch.tensor([[1.0, -1.0], [2.0, 0.5], [-0.5, 1.5]]),
            ),
            *[_codes(*shape) for shape in SHAPES],
        ],
        edges=lambda: {
            "one image in the batch (is there a `.squeeze()`?)": _codes(1, 4),
            "one latent dimension (is there a `.squeeze()`?)": _codes(4, 1),
            "one image and one latent dimension (is there a `.squeeze()`?)": _codes(1, 1),
            "wide codes, logvar = 3 (is something clamped?)": _filled(3.0),
            "very wide codes, logvar = 12 (is something clamped?)": _filled(12.0),
            "narrow codes, logvar = -3 (is something clamped?)": _filled(-3.0),
            "very narrow codes, logvar = -12 (is something clamped, or added to sigma?)":
                _filled(-12.0),
            "extremely narrow codes, logvar = -60 (is something clamped?)":
                _filled(-60.0),
            "extremely wide codes, logvar = 60 (is something clamped?)": _filled(60.0),
            "means far from 0, mu = 50 (is something clamped?)": _filled(0.0, 50.0),
            "means far from 0, mu = -50 (is something clamped?)": _filled(0.0, -50.0),
            "noise far from 0, eps = 6 (is something clamped?)": (
                *_filled(0.0)[:2],
                torch.full((2, 3), 6.0),
            ),
            "noise of 0 everywhere": (*_filled(1.0, 2.0)[:2], torch.zeros(2, 3)),
        },
        gradients=("mu", "logvar"),
        before=[
            _before(
                lambda: (
                    torch.tensor([[1.0, -2.0], [0.5, 3.0]]),
                    torch.tensor([[-1.0, 1.0], [0.5, -2.0]]),
                    torch.tensor([[1.0, -1.0], [2.0, 0.5]]),
                ),
                "eps",
                first="Your function returns mu: there is no randomness in it. The decoder "
                "needs a sample.",
                nan="The result contains NaN, as from a root or a logarithm of a negative "
                "number. logvar may be negative; only its exponential is positive.",
            )
        ],
        wrong={
            "The values are right, but no gradient passes: the sample is detached (`.detach()`, "
            "`.data`, `no_grad`, or `sample()`). The encoder would never learn.":
                lambda mu, lv, eps: _sample(mu, lv, eps).detach(),
            "The values are right, but logvar gets no gradient: sigma is cut off, and the "
            "spread would never learn.": lambda mu, lv, eps: _sample(mu, lv.detach(), eps),
            "The values are right, but mu gets no gradient: it is cut off.":
                lambda mu, lv, eps: _sample(mu.detach(), lv, eps),
            "You use exp(logvar) as sigma, but that is the variance: a factor 0.5 is missing in "
            "the exponent.": lambda mu, lv, eps: mu + lv.exp() * eps,
            "You use logvar itself as sigma. It is the logarithm of sigma^2 and may be "
            "negative.": lambda mu, lv, eps: mu + lv * eps,
            "You use half of logvar as sigma. That is log sigma: its exponential is missing.":
                lambda mu, lv, eps: mu + 0.5 * lv * eps,
            "You use the root of |logvar| as sigma. logvar is a logarithm: first undo it with "
            "the exponential.": lambda mu, lv, eps: mu + lv.abs().sqrt() * eps,
            "You use |logvar| as sigma. logvar is a logarithm: undo it with the exponential.":
                lambda mu, lv, eps: mu + lv.abs() * eps,
            "The half stands outside the exponential: that halves the variance. The square root "
            "needs it inside.": lambda mu, lv, eps: mu + 0.5 * lv.exp() * eps,
            "You use exp(2 * logvar): the root takes half of the exponent, not the double.":
                lambda mu, lv, eps: mu + torch.exp(2 * lv) * eps,
            "You took the root twice: exp(0.5 * logvar) is sigma already.":
                lambda mu, lv, eps: mu + torch.exp(0.25 * lv) * eps,
            "The exponent has the wrong sign: this is one over sigma.":
                lambda mu, lv, eps: mu + torch.exp(-0.5 * lv) * eps,
            "You use softplus(logvar). It is positive, but it is not the sigma whose log-"
            "variance was given.": lambda mu, lv, eps: mu + F.softplus(lv) * eps,
            "You use a power of 2. logvar is a natural logarithm: `torch.exp` undoes it.":
                lambda mu, lv, eps: mu + torch.exp2(0.5 * lv) * eps,
            "The noise is subtracted: z = mu + sigma * eps. (The distribution is the same, but "
            "not this sample, and the gradient of logvar changes its sign.)":
                lambda mu, lv, eps: mu - torch.exp(0.5 * lv) * eps,
            "mu is missing: the samples lie around 0.":
                lambda mu, lv, eps: torch.exp(0.5 * lv) * eps,
            "sigma is missing: every sample has a standard deviation of 1.":
                lambda mu, lv, eps: mu + eps,
            "sigma is added to the noise; it must multiply it.":
                lambda mu, lv, eps: mu + torch.exp(0.5 * lv) + eps,
            "sigma multiplies mu as well. Scale the noise first, then shift.":
                lambda mu, lv, eps: (mu + eps) * torch.exp(0.5 * lv),
            "mu multiplies the noise; it must be added.":
                lambda mu, lv, eps: mu * torch.exp(0.5 * lv) * eps,
            "mu and sigma have changed places: sigma multiplies the noise, mu is added.":
                lambda mu, lv, eps: mu * eps + torch.exp(0.5 * lv),
            "The arguments mu and logvar have changed places.":
                lambda mu, lv, eps: lv + torch.exp(0.5 * mu) * eps,
            "The noise has lost its sign: all samples lie above mu.":
                lambda mu, lv, eps: _sample(mu, lv, eps.abs()),
            "The noise is squared: z = mu + sigma * eps.":
                lambda mu, lv, eps: _sample(mu, lv, eps**2),
            "All dimensions of an image share one epsilon: the samples lie on a line. Use one "
            "number for each dimension.":
                lambda mu, lv, eps: _sample(mu, lv, eps[:, :1].expand_as(mu)),
            "All images share one row of noise. Use one number for each image and dimension.":
                lambda mu, lv, eps: _sample(mu, lv, eps[:1].expand_as(mu)),
            "One single epsilon serves all images and all dimensions. Use all of `eps`.":
                lambda mu, lv, eps: _sample(mu, lv, eps[:1, :1].expand_as(mu)),
        },
)
# fmt: on


@dataclass
class _Pass:
    """What a forward pass did with a large batch, read off its output.

    Attributes:
        mu, logvar: (B, Z), what the encoder gave.
        given: output (B, 2 Z), mu and logvar as they were returned.
        z: (B, Z) the code that was decoded.
        again: (B, Z) the code that another call decoded.
        slopes: of z, summed, in mu and logvar of the encoder: (B, Z) each.
        returned: of the returned mu and logvar, summed, in the same two.
        batches: shapes of what the encoder was given.
    """

    mu: Tensor
    logvar: Tensor
    given: tuple[Tensor, ...]
    z: Tensor
    again: Tensor
    slopes: tuple[Tensor, Tensor]
    returned: tuple[Tensor, Tensor]
    batches: list[tuple[int, ...]]

    @property
    def eps(self) -> Tensor:
        """(B, Z) the noise that was in the code."""
        return (self.z - self.mu) / torch.exp(0.5 * self.logvar)

    def unit(self, noise: Tensor) -> bool:
        """Whether noise has mean 0 and variance 1 at every logvar, from -3 to 3."""
        for low in range(-3, 3):
            here = (self.logvar >= low) & (self.logvar <= low + 1)
            some, far = noise[here].double(), 5 / here.sum() ** 0.5
            if not (some.mean().abs() < far and (some.var() - 1).abs() < 1.5 * far):
                return False
        return True

    def __str__(self) -> str:
        return (
            f"the noise in the code has mean {self.eps.mean():.2g} and standard deviation "
            f"{self.eps.std():.2g}"
        )


BATCH, CODES = 3000, 3


class _Encoder(nn.Module):
    """Gives its input back, mu in the first half of it and logvar in the second."""

    def __init__(self, x: Tensor):
        super().__init__()
        self.shift, self.batches = torch.zeros_like(x, requires_grad=True), []

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(tuple(x.shape))
        if x.shape != self.shift.shape:
            raise Wrong(
                f"`encoder` got a tensor of shape {tuple(x.shape)}; it takes the batch x, "
                f"here {tuple(self.shift.shape)}."
            )
        return x + self.shift


class _Decoder(nn.Module):
    """(B, Z) -> (B, 2 Z): the code, and behind it three times the code plus 1."""

    def forward(self, z: Tensor) -> Tensor:
        if z.ndim != 2 or z.shape[1] != CODES:
            raise Wrong(
                f"`decoder` got a tensor of shape {tuple(z.shape)}; it takes codes (B, Z), "
                f"here {(BATCH, CODES)}."
            )
        return torch.cat([z, 3 * z + 1], 1)


def _measure(answer: Callable) -> _Pass:
    x = 4 * torch.rand(BATCH, 2 * CODES, generator=torch.Generator().manual_seed(0)) - 2
    x = torch.cat([x[:, :CODES], 1.5 * x[:, CODES:]], 1)  # logvar from -3 to 3

    def run(seed: int) -> tuple[_Encoder, tuple]:
        encoder = _Encoder(x)
        given = call(lambda x: answer(x, encoder, _Decoder()), (x,), seed)
        parts(given)  # has words for None
        wanted = x, x[:, :CODES], x[:, :CODES]
        if said := kind_of_result(given, wanted, ("output", "mu", "logvar"), False):
            raise Wrong(said)
        return encoder, tuple(given)

    encoder, given = run(0)

    def slope(of: Tensor) -> tuple[Tensor, Tensor]:
        """Of a sum, in mu and in logvar; 0 where no gradient passes."""
        found = None
        if of.requires_grad:
            (found,) = torch.autograd.grad(
                of.sum(), encoder.shift, allow_unused=True, retain_graph=True
            )
        found = torch.zeros_like(x) if found is None else found
        return found[:, :CODES], found[:, CODES:]

    output, mu, logvar = given
    if output.shape == x.shape:
        slopes, z = slope(output[:, :CODES]), output[:, :CODES].detach()
        again = run(1)[1][0][:, :CODES].detach()
    else:
        slopes, z, again = slope(output), x[:, :CODES], x[:, :CODES]
    return _Pass(
        x[:, :CODES],
        x[:, CODES:],
        tuple(t.detach() for t in given),
        z,
        again,
        slopes,
        (slope(mu)[0], slope(logvar)[1]),
        encoder.batches,
    )


def _noise(mu: Tensor, *shape: int) -> Tensor:
    return torch.randn(shape or mu.shape)


def _forward(sample: Callable, give: Callable = lambda *r: r[:3]) -> Callable:
    """A forward pass with another sample, or that gives back something else."""

    def forward(x, encoder, decoder):
        mu, logvar = encoder(x).chunk(2, dim=1)
        z = sample(mu, logvar)
        return give(decoder(z), mu, logvar, z)

    return forward


def _draw(mu: Tensor, logvar: Tensor) -> Tensor:
    return _sample(mu, logvar, _noise(mu))


def _always_the_same(mu: Tensor, logvar: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return _sample(mu, logvar, torch.randn(mu.shape, generator=generator))


def _spread(sentence: str, scale: Callable) -> Symptom:
    """A mistake in the width of the sample: it is mu + scale(logvar) * noise."""

    def shows(seen: _Pass) -> bool:
        return not seen.unit(seen.eps) and seen.unit(
            (seen.z - seen.mu) / scale(seen.logvar)
        )

    return Symptom(
        sentence, shows, _forward(lambda mu, lv: mu + scale(lv) * _noise(mu))
    )


def _same(a: Tensor, b: Tensor) -> bool:
    return close({"": a}, {"": b})


def _none(slope: Tensor) -> bool:
    return not slope.any()


def _learns(seen: _Pass) -> bool:
    """Whether the noise is standard normal and every gradient is the right one."""
    noise = seen.eps.double()
    steps = torch.arange(noise.numel()) / noise.numel()
    gap = (torch.special.ndtr(noise.flatten().sort().values) - steps).abs().max()
    apart = torch.corrcoef(noise.T).fill_diagonal_(0).abs().max() < 0.1
    return bool(
        gap < 0.025  # a right answer has more once in 30,000 tries
        and apart
        and seen.unit(seen.eps)
        and _same(seen.slopes[0], torch.ones_like(seen.mu))
        and _same(seen.slopes[1], 0.5 * (seen.z - seen.mu))
    )


# fmt: off
FORWARD = Symptoms(
    name="my_forward",
    answer=1,
    right=_forward(_draw),
    measure=_measure,
    fine=_learns,
    table=[
        Symptom(
            lambda s: f"The output has shape {tuple(s.given[0].shape)}; needed is "
            f"{(BATCH, 2 * CODES)}, what `decoder` returns.",
            lambda s: s.given[0].shape != (BATCH, 2 * CODES),
            _forward(_draw, lambda output, mu, lv, z: (z, mu, lv)),
        ),
        Symptom(
            "`encoder` is called more than once. Call it once: with dropout in it two calls "
            "would give two codes.",
            lambda s: len(s.batches) > 1,
            lambda x, encoder, decoder: (
                decoder(_draw(*encoder(x).chunk(2, 1))), *encoder(x).chunk(2, 1)
            ),
        ),
        Symptom(
            "mu and logvar have changed places in the return line.",
            lambda s: _same(s.given[1], s.logvar) and _same(s.given[2], s.mu),
            _forward(_draw, lambda output, mu, lv, z: (output, lv, mu)),
        ),
        Symptom(
            "mu or logvar is not what `encoder` returned. Give both back as they are; sigma "
            "is needed for the sample alone.",
            lambda s: not (_same(s.given[1], s.mu) and _same(s.given[2], s.logvar)),
            _forward(
                _draw, lambda output, mu, lv, z: (output, mu, torch.exp(0.5 * lv))
            ),
        ),
        Symptom(
            "The output contains NaN, as from a root or a logarithm of a negative number. "
            "logvar may be negative; only its exponential is positive.",
            lambda s: bool(s.given[0].isnan().any()),
            _forward(lambda mu, lv: mu + lv.sqrt() * _noise(mu)),
        ),
        Symptom(
            "The output is not what `decoder` returned. Give it back as it is.",
            lambda s: not _same(s.given[0][:, CODES:], 3 * s.z + 1),
            _forward(_draw, lambda output, mu, lv, z: (output.sigmoid(), mu, lv)),
        ),
        Symptom(
            "You decode mu: now gradients pass, but nothing is random any more. The decoder "
            "needs a sample.",
            lambda s: _same(s.z, s.mu),
            _forward(lambda mu, lv: 1 * mu),
        ),
        Symptom(
            "The noise is the same in every call: it was drawn once, or has a seed of its "
            "own. Draw fresh noise in the function.",
            lambda s: _same(s.z, s.again),
            _forward(_always_the_same),
        ),
        Symptom(
            "One single epsilon serves all images and all dimensions. Draw one number for "
            "each image and each dimension.",
            lambda s: bool(s.eps.std() < 0.05 * s.eps.abs().mean()),
            _forward(lambda mu, lv: _sample(mu, lv, _noise(mu, 1, 1))),
        ),
        Symptom(
            "All dimensions of an image share one epsilon: the samples lie on a line. Draw "
            "one number for each image and each dimension.",
            lambda s: bool(s.eps.std(1).mean() < 0.05 * s.eps.abs().mean()),
            _forward(lambda mu, lv: _sample(mu, lv, _noise(mu, len(mu), 1))),
        ),
        Symptom(
            "All images share one row of noise. Draw one number for each image and each "
            "dimension.",
            lambda s: bool(s.eps.std(0).mean() < 0.05 * s.eps.abs().mean()),
            _forward(lambda mu, lv: _sample(mu, lv, _noise(mu[0]))),
        ),
        Symptom(
            "The noise lies between 0 and 1: `torch.rand` is uniform. Draw it from a standard "
            "normal, `torch.randn`.",
            lambda s: bool(
                (s.eps > -0.01).all() and (s.eps < 1.01).all() and s.eps.std() > 0.1
            ),
            _forward(lambda mu, lv: _sample(mu, lv, torch.rand_like(mu))),
        ),
        _spread(
            "You use exp(logvar) as sigma, but that is the variance: sigma is its root.",
            lambda lv: lv.exp(),
        ),
        _spread(
            "You use logvar itself as sigma, or its absolute value. It is the logarithm of "
            "sigma^2.", lambda lv: lv
        ),
        _spread(
            "The half stands outside the exponential: that halves the variance. The square "
            "root needs it inside.", lambda lv: 0.5 * lv.exp(),
        ),
        _spread(
            "You use softplus(logvar). It is positive, but it is not the sigma whose log-"
            "variance was given.", F.softplus,
        ),
        _spread(
            "sigma is missing: every sample has a standard deviation of 1.",
            torch.ones_like,
        ),
        _spread(
            "You took the root twice: exp(0.5 * logvar) is sigma already.",
            lambda lv: torch.exp(0.25 * lv),
        ),
        _spread(
            "The exponent has the wrong sign: this is one over sigma.",
            lambda lv: torch.exp(-0.5 * lv),
        ),
        Symptom(
            "mu is missing: the samples lie around 0.",
            lambda s: not s.unit(s.eps) and s.unit(s.z / torch.exp(0.5 * s.logvar)),
            _forward(lambda mu, lv: torch.exp(0.5 * lv) * _noise(mu)),
        ),
        Symptom(
            "The draw is right, but the gradient of the output reaches neither mu nor logvar: "
            "the line that cuts it is still there. Which line makes a random number out of "
            "mu and sigma, and does it know where the number came from?",
            lambda s: _none(s.slopes[0]) and _none(s.slopes[1]),
            _forward(lambda mu, lv: torch.normal(mu, torch.exp(0.5 * lv))),
        ),
        Symptom(
            "The gradient of the output reaches mu, but not logvar: sigma is cut off, and "
            "the spread would never learn from the cost.",
            lambda s: _none(s.slopes[1]),
            _forward(lambda mu, lv: _draw(mu, lv.detach())),
        ),
        Symptom(
            "The gradient of the output reaches logvar, but not mu: the place of the codes "
            "would never learn from the cost.",
            lambda s: _none(s.slopes[0]),
            _forward(lambda mu, lv: _draw(mu.detach(), lv)),
        ),
        Symptom(
            "The output is right, but mu or logvar is returned without its gradient. Lesson "
            "03 puts a price on both: give them back as `encoder` gave them.",
            lambda s: _none(s.returned[0]) or _none(s.returned[1]),
            _forward(
                _draw, lambda output, mu, lv, z: (output, mu.detach(), lv.detach())
            ),
        ),
    ],
)
# fmt: on

reparameterize = declare(
    "02.1 my_reparameterize and my_forward",
    "batches of many sizes, single images and dimensions, narrow and wide codes: values, "
    "shapes, gradients of mu and logvar; and a forward pass with fresh noise for every image "
    "and dimension, whose cost reaches all of the encoder.",
    SAMPLE,
    FORWARD,
)


# 02.2: the program of each letter, as sigma from logvar, and what may be said of it.
FORMULAS = {
    "1": ("exp(logvar / 2)", lambda lv: torch.exp(0.5 * lv)),
    "2": ("exp(logvar)", torch.exp),
    "3": ("exp(logvar) / 2", lambda lv: 0.5 * lv.exp()),
    "4": ("exp(-logvar / 2)", lambda lv: torch.exp(-0.5 * lv)),
    "5": ("|logvar|", torch.abs),
    "6": ("root of |logvar|", lambda lv: lv.abs().sqrt()),
    "7": ("softplus(logvar)", F.softplus),
}
PROGRAMS = dict(zip("ABCDE", "73162", strict=True))
ASKED = torch.tensor([-4.0, -2.0, 0.0, 2.0, 4.0])  # logvar


def measured_spreads(draws: int = 100_000) -> str:
    """A table: the standard deviation of the samples of five programs, for five logvar."""
    eps = torch.randn(draws, len(ASKED), generator=torch.Generator().manual_seed(2))
    rows = ["logvar:    " + "".join(f"{value:8.0f}" for value in ASKED.tolist())]
    for letter, number in PROGRAMS.items():
        spreads = (FORMULAS[number][1](ASKED) * eps).std(0).tolist()
        rows.append(f"program {letter}: " + "".join(f"{v:8.2f}" for v in spreads))
    return "\n".join(rows)


def _text(answer: Callable) -> str:
    found = call(answer, ())
    if isinstance(found, list | tuple):
        found = "".join(str(item) for item in found)
    if isinstance(found, dict):
        found = "".join(str(found.get(letter, "")) for letter in PROGRAMS)
    if found is None:
        raise Wrong("Your function returned None. Does it end with `return ...`?")
    return "".join(str(found).split()).replace(",", "")


def _first_miss(found: str) -> str:
    """Where the formula that was said and the measured spread part most."""
    for letter, said in zip(PROGRAMS, found, strict=True):
        right = FORMULAS[PROGRAMS[letter]][1](ASKED)
        words, formula = FORMULAS[said]
        if said != PROGRAMS[letter]:
            gap = ((formula(ASKED) + 0.01) / (right + 0.01)).log().abs()
            place = int(gap.argmax())
            return (
                f"Program {letter} is not {said}: at logvar = {ASKED[place]:.0f}, {words} is "
                f"{formula(ASKED)[place]:.2g}, but about {right[place]:.2g} was measured."
            )
    return ""


def _always(text: str) -> Callable:
    return lambda: text


# fmt: off
name_the_mistakes = declare(
    "02.2 name_the_mistakes",
    "all five programs.",
    Symptoms(
        right=_always("".join(PROGRAMS.values())),
        measure=_text,
        fine=lambda found: found == "".join(PROGRAMS.values()),
        table=[
            Symptom(
                "Return numbers of formulas, not letters of programs: one digit from 1 to 7 "
                "for each of A to E, in this order.",
                lambda found: bool(found) and not found.isdigit(),
                _always("ABCDE"),
            ),
            Symptom(
                lambda found: f"Your text has {len(found)} digit(s); needed are five, one for "
                "each of the programs A to E.",
                lambda found: len(found) != len(PROGRAMS),
                _always("731"),
            ),
            Symptom(
                "The formulas have the numbers 1 to 7.",
                lambda found: not set(found) <= set(FORMULAS),
                _always("73168"),
            ),
            Symptom(
                _first_miss,
                lambda found: found != "".join(PROGRAMS.values()),
                _always("23167"),
            ),
        ],
    ),
)
# fmt: on


# Functions of each entry. The step keeps a path, so that a pathwise answer runs and gets 0.
def _square(z):
    return z**2


def _step(z):
    return (z > 0.3) + 0 * z


def _wave(z):
    return torch.cos(2 * z) + 0.5 * z


def _cube(z):
    return (z - 1) ** 3


def _flat(z):
    return 2 + 0 * z


def _debt(z):
    return -((z - 1) ** 2)


COSTS = [_square, _step, _wave, _cube]


def _score(f, mu, sigma, eps):
    return f(mu + sigma * eps) * eps / sigma


def _gauss(f: Callable, mu: float, sigma: float, eps: Tensor) -> tuple:
    return f, torch.tensor(mu), torch.tensor(sigma), eps


def _random_gauss(number: int, size: int) -> tuple:
    mu, sigma = torch.randn(()).item(), 0.4 + 2 * torch.rand(()).item()
    return _gauss(COSTS[number % 4], mu, sigma, torch.randn(size))


def _pathwise(f, mu, sigma, eps):
    z = (mu + sigma * eps).detach().requires_grad_()
    return torch.autograd.grad(f(z).sum(), z)[0]


def _against(baseline: Callable[[Tensor], Tensor]) -> Callable:
    def centred(f, mu, sigma, eps):
        values = f(mu + sigma * eps)
        return (values - baseline(values)) * eps / sigma

    return centred


def _others(values: Tensor) -> Tensor:
    return (values.sum() - values) / (len(values) - 1)


def _density(f, mu, sigma, eps, of=torch.exp):
    z = mu + sigma * eps
    return f(z) * of(Normal(mu, sigma).log_prob(z))


def _first_gauss() -> tuple:
    return _gauss(_square, 1.0, 2.0, torch.tensor([1.0, -0.5, 2.0]))


# fmt: off
score_gradient = declare(
    "02.3 my_score_gradient",
    "Gaussians narrow and wide, smooth, stepped and negative costs, one draw and many: "
    "values and shapes.",
    Part(
        right=_score,
        cases=lambda: [
            _first_gauss(),
            *[_random_gauss(i, s) for i, s in enumerate([5, 6, 7, 9, 12, 70, 4, 200])],
        ],
        edges=lambda: {
            "one draw, S = 1 (is there a `.squeeze()`?)": _gauss(
                _cube, 0.5, 2.0, torch.tensor([0.7])
            ),
            "mu = 0": _gauss(_wave, 0.0, 1.5, torch.randn(5)),
            "a narrow Gaussian, sigma = 0.05 (is something clamped?)": _gauss(
                _square, 0.5, 0.05, torch.randn(5)
            ),
            "a wide Gaussian, sigma = 20 (is something clamped?)": _gauss(
                _square, 0.5, 20.0, torch.randn(5)
            ),
            "a mean far from 0, mu = 50": _gauss(_square, 50.0, 2.0, torch.randn(5)),
            "noise of 0, for which the score is 0": _gauss(
                _square, 1.0, 2.0, torch.tensor([0.0, 1.0, 0.0])
            ),
            "draws that are all alike": _gauss(_cube, -1.0, 0.5, torch.full((4,), 1.5)),
            "a cost that is the same everywhere": _gauss(_flat, 1.0, 0.5, torch.randn(4)),
            "negative costs": _gauss(_debt, 0.5, 0.8, torch.randn(6)),
        },
        before=[_before(_first_gauss, "eps")],
        wrong={
            "The score of a Gaussian is (z - mu) / sigma^2. You divide by one power of sigma "
            "too few: z - mu is sigma * eps.": lambda f, t, s, e: f(t + s * e) * e,
            "You multiply by z - mu alone: the score divides it by sigma^2.":
                lambda f, t, s, e: f(t + s * e) * e * s,
            "You divide eps by sigma^2. It is z - mu, that is sigma * eps, which is divided "
            "by sigma^2.": lambda f, t, s, e: f(t + s * e) * e / s**2,
            "The sign is flipped: the derivative of log p with respect to mu is positive for "
            "a sample above mu.": lambda *a: -_score(*a),
            "Every cost is multiplied by the sum of all scores, as autograd gives it for the "
            "sum of all log p. Each draw has a score of its own.":
                lambda f, t, s, e: f(t + s * e) * (e / s).sum(),
            "You return the mean. Return one estimate for each epsilon, shape (S,), so that "
            "their variance can be measured.": lambda *a: _score(*a).mean(),
            "You return the sum. Return one estimate for each epsilon, shape (S,).":
                lambda *a: _score(*a).sum(),
            "The result has shape (S, 1); needed is (S,).": lambda *a: _score(*a)[
                :, None
            ],
            "Each estimate is divided by the number of draws. The mean is taken by whoever "
            "uses the estimates.": lambda *a: _score(*a) / len(a[3]),
            "The cost is replaced by its mean over the draws. Each draw has its own cost.":
                lambda f, t, s, e: f(t + s * e).mean() * e / s,
            "This is the pathwise estimator, the derivative of f. For a step it is 0 and wrong. "
            "Use values of f only, times the score.": _pathwise,
            "This is the derivative of f times the score. Use the value of f, not its "
            "derivative.": lambda f, t, s, e: _pathwise(f, t, s, e) * e / s,
            "You multiply by log p. Needed is its derivative with respect to mu.":
                lambda *a: _density(*a, of=torch.clone),
            "You multiply by the density p. Needed is the derivative of log p.": _density,
            "This is the score alone: the cost f(z) is missing.": lambda f, t, s, e: (
                e / s
            ),
            "This is the cost alone: the score is missing.": lambda f, t, s, e: f(
                t + s * e
            ),
            "The cost is taken at eps. Take it at the sample z = mu + sigma * eps.":
                lambda f, t, s, e: f(e) * e / s,
            "The cost is taken at mu + eps: sigma is missing in the sample.":
                lambda f, t, s, e: f(t + e) * e / s,
            "The cost is taken at mu + sigma^2 * eps. sigma is the standard deviation "
            "already.": lambda f, t, s, e: f(t + s**2 * e) * e / s,
            "The cost is taken at sigma * eps: mu is missing in the sample.":
                lambda f, t, s, e: f(s * e) * e / s,
            "The cost is taken at mu. Take it at the sample z.":
                lambda f, t, s, e: f(t) * e / s,
            "You use z / sigma^2 as the score: mu must be subtracted from z.":
                lambda f, t, s, e: f(t + s * e) * (t + s * e) / s**2,
            "The sample is z = mu + eps: sigma is missing in it.":
                lambda f, t, s, e: f(t + e) * e / s**2,
            "The score of a Gaussian has no factor 2: the one of the square and the one half "
            "in the exponent cancel.": lambda *a: 2 * _score(*a),
            "The score of a Gaussian has no factor one half: the 2 of the square cancels it.":
                lambda *a: _score(*a) / 2,
            "You take the root of sigma. It is the standard deviation already.":
                lambda f, t, s, e: _score(f, t, s.sqrt(), e),
            "This is the gradient with respect to sigma; asked is the one with respect to "
            "mu.": lambda f, t, s, e: f(t + s * e) * (e**2 - 1) / s,
            "You subtract the mean cost of the same draws. That is a baseline, and with a "
            "draw's own cost in it a slightly biased one. First write it without.":
                _against(torch.mean),
            "You subtract the mean cost of the other draws, a baseline. It is a good idea, and "
            "a later one; first write the estimator without.": _against(_others),
        },
    ),
)
# fmt: on


def _standard(u: Tensor) -> Tensor:
    side = u - 0.5
    return -side.sign() * torch.log1p(-2 * side.abs())


def _laplace(location: Tensor, scale: Tensor, u: Tensor) -> Tensor:
    return location + scale * _standard(u)


def _heights(*shape: int) -> tuple:
    location, scale = 2 * torch.randn(shape), 0.3 + 2 * torch.rand(shape)
    return location, scale, 0.02 + 0.96 * torch.rand(shape)


def _at(*heights: float, location: float = 0.0, scale: float = 1.0) -> tuple:
    """Three images with these heights, one for each dimension."""
    u = torch.tensor([heights] * 3)
    return torch.full_like(u, location), torch.full_like(u, scale), u


# `torch.rand` returns multiples of this number: u - 1/2 and 1 - u are exact for them.
TINY = 2.0**-24
# fmt: off
laplace = declare(
    "02.4 my_laplace",
    "batches of many sizes, heights from next to 0 to next to 1, narrow and wide "
    "distributions: values on both sides, gradients of both parameters.",
    Part(
        right=_laplace,
        cases=lambda: [
            (
                torch.tensor([[0.0, 1.0], [-1.0, 2.0], [3.0, 0.5]]),
                torch.tensor([[1.0, 2.0], [0.5, 3.0], [4.0, 1.5]]),
                torch.tensor([[0.25, 0.75], [0.625, 0.125], [0.375, 0.875]]),
            ),
            *[_heights(*shape) for shape in SHAPES],
        ],
        edges=lambda: {
            "one image in the batch (is there a `.squeeze()`?)": _heights(1, 4),
            "one dimension (is there a `.squeeze()`?)": _heights(4, 1),
            "one image and one dimension (is there a `.squeeze()`?)": _heights(1, 1),
            "u = 1/2, where the place is the location": _at(0.5, 0.5, location=2.0),
            "u close to 1/2": _at(0.5 - 2.0**-10, 0.5 + 2.0**-10),
            "small u (is u clamped?)": _at(2.0**-8, 2.0**-10),
            "u very near 0 (is u clamped?)": _at(2.0**-16, TINY),
            "large u (is u clamped?)": _at(1 - 2.0**-8, 1 - 2.0**-10),
            "u very near 1 (is u clamped?)": _at(1 - 2.0**-16, 1 - TINY),
            "locations far from 0 (is something clamped?)": _at(0.25, 0.9, location=-50.0),
            "a very small scale": _at(0.125, 0.9, scale=1e-3),
            "a very large scale": _at(0.125, 0.9, location=1.0, scale=1e3),
        },
        gradients=("location", "scale"),
        before=[
            _before(
                lambda: (
                    torch.tensor([[0.0, 1.0], [-1.0, 2.0]]),
                    torch.tensor([[1.0, 2.0], [0.5, 3.0]]),
                    torch.tensor([[0.25, 0.75], [0.625, 0.125]]),
                ),
                "u",
                nan="The result contains NaN, as from a logarithm of a negative number. Inside it "
                "must stand 2u below one half, and 2(1 - u) above.",
            )
        ],
        wrong={
            "The values are right, but no gradient passes: the sample is detached.":
                lambda m, s, u: _laplace(m, s, u).detach(),
            "The values are right, but scale gets no gradient: it is cut off.":
                lambda m, s, u: _laplace(m, s.detach(), u),
            "The values are right, but location gets no gradient: it is cut off.":
                lambda m, s, u: _laplace(m.detach(), s, u),
            "The samples are mirrored: a height above one half must give a place above the "
            "location. The inverse of a CDF never falls.": lambda m, s, u: (
                m - s * _standard(u)
            ),
            "All samples lie above the location: the sign of u - 1/2 is lost, and this is an "
            "exponential distribution.": lambda m, s, u: m + s * _standard(u).abs(),
            "All samples lie below the location: the upper piece has lost its minus, or u - 1/2 "
            "its sign.": lambda m, s, u: m - s * _standard(u).abs(),
            "scale is missing: the standard sample must be multiplied by it.":
                lambda m, s, u: m + _standard(u),
            "You divide by scale; a larger scale must spread the samples further.":
                lambda m, s, u: m + _standard(u) / s,
            "location is missing: the samples lie around 0.": lambda m, s, u: (
                s * _standard(u)
            ),
            "location is subtracted; it must be added.": lambda m, s, u: (
                s * _standard(u) - m
            ),
            "scale multiplies location as well. Scale first, then shift.":
                lambda m, s, u: (m + _standard(u)) * s,
            "location and scale have changed places.": lambda m, s, u: _laplace(s, m, u),
            "The factor 2 in the logarithm is missing: at u = 1/2 both pieces must meet at the "
            "location.": lambda m, s, u: (
                m + s * torch.where(u < 0.5, torch.log(u), -torch.log(1 - u))
            ),
            "The factor 2 in front of |u - 1/2| is missing: at u = 1 the place must be "
            "infinite.": lambda m, s, u: (
                m - s * (u - 0.5).sign() * torch.log1p(-(u - 0.5).abs())
            ),
            "You use the lower piece of the CDF everywhere. Above the location, for u over one "
            "half, the other piece applies.": lambda m, s, u: m + s * torch.log(2 * u),
            "You use the upper piece of the CDF everywhere. Below the location, for u under one "
            "half, the other piece applies.": lambda m, s, u: (
                m - s * torch.log(2 * (1 - u))
            ),
            "The two pieces have changed places: log(2u) belongs to u below one half.": (
                lambda m, s, u: (
                    m + s * torch.where(u < 0.5, -(2 - 2 * u).log(), (2 * u).log())
                )
            ),
            "This is the inverse CDF of the exponential distribution, not of the Laplace one.":
                lambda m, s, u: m - s * torch.log(1 - u),
            "This is the inverse CDF of the logistic distribution, not of the Laplace one.":
                lambda m, s, u: m + s * torch.logit(u),
            "This is the inverse CDF of the Gaussian, not of the Laplace distribution.":
                lambda m, s, u: m + s * Normal(0.0, 1.0).icdf(u),
            "This is the inverse CDF of the Cauchy distribution, not of the Laplace one.":
                lambda m, s, u: m + s * torch.tan(torch.pi * (u - 0.5)),
            "This is the inverse CDF of the Gumbel distribution, not of the Laplace one.":
                lambda m, s, u: m - s * torch.log(-torch.log(u)),
            "This is a uniform sample, shifted and stretched. Pass u through the inverse CDF.":
                lambda m, s, u: m + s * u,
            "This is a uniform sample around the location. Pass u through the inverse CDF.":
                lambda m, s, u: m + s * (u - 0.5),
            "You compute the CDF of u. Needed is its inverse: the place where the CDF is u.":
                lambda m, s, u: Laplace(m, s, validate_args=False).cdf(u),
            "You take the root of scale. It is a scale already, not a variance.":
                lambda m, s, u: m + s.sqrt() * _standard(u),
            "You square scale. It multiplies the standard sample as it is.":
                lambda m, s, u: m + s**2 * _standard(u),
            "You treat scale as the standard deviation, which is sqrt(2) times the scale of a "
            "Laplace distribution. Here the scale itself is given.":
                lambda m, s, u: m + s / 2**0.5 * _standard(u),
            "You treat scale as a log-variance. Here the scale itself is given.":
                lambda m, s, u: m + torch.exp(0.5 * s) * _standard(u),
            "You treat scale as a logarithm. Here the scale itself is given.":
                lambda m, s, u: m + s.exp() * _standard(u),
            "This is a logarithm to base 2. The exponential of the CDF is undone by the natural "
            "one, `torch.log`.": lambda m, s, u: (
                m + s * _standard(u) / torch.tensor(2.0).log()
            ),
        },
    ),
)
# fmt: on
