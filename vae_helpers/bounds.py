"""The ELBO and tighter bounds on log p(x), measured over whole data sets."""

import math

import torch
from torch import Tensor, nn

from vae_helpers.distributions import (
    bernoulli_log_likelihood,
    kl_to_standard_normal,
    normal_log_prob,
    reparameterize,
    standard_normal_log_prob,
)
from vae_helpers.pixels import need_tensor, to_unit_interval


@torch.no_grad()
def mean_terms(model: nn.Module, images: Tensor, batch_size: int = 1000) -> dict:
    """The negative ELBO of a VAE over a data set, with one sample z for each image.

    Args:
        model: has encode(x) -> (mu, logvar) and decode(z) -> logits.
        images: (N, C, H, W) uint8, or floats in [0, 1].
        batch_size: images held on the device at once; does not change the result.

    Returns:
        {"loss", "reconstruction", "kl"}: means over the images in nats per image, as
        Python floats; loss = reconstruction + kl, lower is better.

    Source:
        Kingma & Welling 2014 (arXiv:1312.6114), eq. 7. Taught in lesson 04.

    Raises:
        ValueError: no images, not a tensor, or pixels outside [0, 1].
    """
    need_tensor(images, "need images (N, C, H, W)")
    if not len(images):
        raise ValueError("need at least one image, got none")
    dtype = next(model.parameters()).dtype
    device, totals = (
        next(model.parameters()).device,
        torch.zeros(2, dtype=torch.float64),
    )
    for chunk in images.split(batch_size):
        x = to_unit_interval(chunk.to(device)).to(dtype)
        mu, logvar = model.encode(x)
        logits = model.decode(reparameterize(mu, logvar))
        totals[0] -= bernoulli_log_likelihood(x, logits).sum().item()
        totals[1] += kl_to_standard_normal(mu, logvar).sum().item()
    reconstruction, kl = (totals / len(images)).tolist()
    return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}


@torch.no_grad()
def importance_weighted_bound(
    model: nn.Module, x: Tensor, samples: int, rows: int = 2000
) -> Tensor:
    """Lower bound on log p(x) that rises to it as the number of samples grows.

    Args:
        model: has encode(x) -> (mu, logvar) and decode(z) -> logits.
        x: (B, C, H, W) pixels in [0, 1].
        samples: S, codes drawn from q(z | x) for each image; 1 gives the ELBO.
        rows: images times samples decoded at once; bounds the memory used.

    Returns:
        (B,) nats per image: log of the mean over S of p(x, z) / q(z | x). Higher is
        better.

    Raises:
        ValueError: samples is not a positive whole number.

    Source:
        Burda et al. 2016 (arXiv:1509.00519), eq. 8. Taught in lesson 03.
    """
    if samples < 1:
        raise ValueError(f"need at least 1 sample, got {samples}")
    pieces = [_bound(model, piece, samples, rows) for piece in x.split(rows)]
    return torch.cat(pieces)


def _bound(model: nn.Module, x: Tensor, samples: int, rows: int) -> Tensor:
    """(B,) nats for B <= rows images."""
    mu, logvar = model.encode(x)
    # The sum is kept on the CPU: some devices have no 64-bit numbers.
    log_sum = torch.full((len(x),), -math.inf, dtype=torch.float64)
    step = max(1, rows // max(1, len(x)))
    for start in range(0, samples, step):
        s = min(step, samples - start)
        m, v, target = (t.repeat_interleave(s, dim=0) for t in (mu, logvar, x))
        z = reparameterize(m, v)
        log_weight = (
            bernoulli_log_likelihood(target, model.decode(z))
            + standard_normal_log_prob(z)
            - normal_log_prob(z, m, v)
        )
        chunk = log_weight.cpu().double().view(len(x), s).logsumexp(1)
        log_sum = torch.logaddexp(log_sum, chunk)
    return (log_sum - math.log(samples)).to(x.dtype).to(x.device)


def bits_per_dimension(nats: float | Tensor, dimensions: int) -> float | Tensor:
    """Nats per image -> bits per dimension: divide by D ln 2. The sign is kept.

    Raises:
        ValueError: dimensions is not positive.
    """
    if dimensions < 1:
        raise ValueError(f"need at least 1 dimension, got {dimensions}")
    return nats / (dimensions * math.log(2))
