"""Logs of tiny VAEs, each trained with another fault, for an exercise of lesson 04.

The images have 8 x 8 pixels. One row, drawn at random, is bright: there a pixel is white
with probability 0.9, elsewhere with 0.1. So the best numbers are known by hand, and six
trainings take about a second.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_helpers.vae import VAE

SIDE, LATENTS, HIDDEN, BATCH, RATE = 8, 4, 32, 64, 2e-2
LOOKS = 0, 10, 30, 100, 200  # steps after which a line is printed
LOOKED_AT = 1000  # images of a line
FAULTS = {  # name -> what is wrong in the code
    "sign": "the loss is the reconstruction term minus the KL",
    "encoder": "the optimiser holds the weights of the decoder alone",
    "mean code": "the decoder gets mu in the place of a sample, in training too",
    "latent mean": "the KL is a mean over the latents, not a sum",
    "pixel mean": "the reconstruction term is a mean over pixels, not a sum",
    "two sigmoids": "logits go through a sigmoid before the loss that has one inside",
}
LOGS = {"A": "encoder", "B": "mean code", "C": "sign", "D": "latent mean"}


@dataclass(frozen=True)
class Line:
    """What a run prints at a step: its own terms in nats per image, and its mean sigma."""

    step: int
    reconstruction: float
    kl: float
    loss: float
    sigma: float


def stripes(count: int, generator: torch.Generator) -> Tensor:
    """(count, 1, 8, 8) images of 0 and 1, one bright row in each."""
    row = torch.randint(SIDE, (count,), generator=generator)
    white = torch.full((count, 1, SIDE, SIDE), 0.1)
    white[torch.arange(count), 0, row] = 0.9
    return white.bernoulli(generator=generator)


def terms(model: VAE, x: Tensor, fault: str = "") -> tuple[Tensor, ...]:
    """Reconstruction, KL, loss and mean sigma, as code with this fault computes them."""
    mu, logvar = model.encode(x)
    sigma = torch.exp(0.5 * logvar)
    noise = torch.randn_like(mu)
    logits = model.decode(mu if fault == "mean code" else mu + sigma * noise)
    logits = logits.sigmoid() if fault == "two sigmoids" else logits
    nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1)
    reconstruction = (nats.mean(1) if fault == "pixel mean" else nats.sum(1)).mean()
    price = 0.5 * (mu**2 + logvar.exp() - 1 - logvar)
    kl = (price.mean(1) if fault == "latent mean" else price.sum(1)).mean()
    loss = reconstruction - kl if fault == "sign" else reconstruction + kl
    return reconstruction, kl, loss, sigma.mean()


@functools.cache
def train(fault: str = "") -> tuple[Line, ...]:
    """The log of a run with this fault, or of a healthy one; the same in every call."""
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        images = torch.Generator().manual_seed(1)
        model = VAE(LATENTS, HIDDEN, (1, SIDE, SIDE))
        moved = model.decoder if fault == "encoder" else model
        optimizer = torch.optim.Adam(moved.parameters(), lr=RATE, fused=True)
        lines = []
        for step in range(LOOKS[-1] + 1):
            if step in LOOKS:
                seen = terms(model, stripes(LOOKED_AT, images), fault)
                lines.append(Line(step, *(value.item() for value in seen)))
            loss = terms(model, stripes(BATCH, images), fault)[2]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return tuple(lines)


@dataclass(frozen=True)
class Logs:
    """Logs under their titles; a notebook shows them when they end a cell."""

    logs: dict[str, Sequence[Line]]

    def __repr__(self) -> str:
        head = f"{'step':>5}{'reconstruction':>16}{'KL':>12}{'-ELBO':>12}{'sigma':>10}"
        blocks = []
        for title, lines in self.logs.items():
            rows = [
                f"{x.step:5}{x.reconstruction:16.4g}{x.kl:12.3g}{x.loss:12.4g}"
                f"{x.sigma:10.3g}"
                for x in lines
            ]
            blocks.append("\n".join([title, head, *rows]))
        return "\n\n".join(blocks)


def worked_log() -> Logs:
    """A healthy run, and the fault that the text of the exercise reads."""
    return Logs({"healthy": train(), "two sigmoids": train("two sigmoids")})


def four_logs() -> Logs:
    """The logs of the exercise, without the names of their faults."""
    return Logs({f"log {letter}": train(fault) for letter, fault in LOGS.items()})
