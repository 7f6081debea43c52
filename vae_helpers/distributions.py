"""Densities, divergences and the reparameterised sample.

Every function returns one number per example, shape (B,), in nats, summed over all
dimensions but the first. Log-densities: higher is better. Divergences: never negative.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_helpers.pixels import known_in_unit_interval

LOG_2PI = math.log(2 * math.pi)


def _same_shape(**tensors: Tensor) -> None:
    """Refuse tensors of different shapes: broadcasting would give a wrong number."""
    if len({tensor.shape for tensor in tensors.values()}) > 1:
        came = ", ".join(f"{n} {tuple(t.shape)}" for n, t in tensors.items())
        raise ValueError(f"need equal shapes, got {came}")


def _sum_over_dimensions(values: Tensor) -> Tensor:
    """(B, ...) -> (B,)."""
    return values.flatten(1).sum(1)


def reparameterize(mu: Tensor, logvar: Tensor, eps: Tensor | None = None) -> Tensor:
    """A sample z = mu + sigma * eps that lets gradients reach mu and logvar.

    Args:
        mu: (B, Z) means.
        logvar: (B, Z) log-variances, log sigma^2 (not log sigma).
        eps: (B, Z) standard normal noise; None draws it fresh, one number for each
            example and dimension.

    Returns:
        (B, Z) samples of N(mu, diag(exp(logvar))).

    Raises:
        ValueError: shapes differ; the message gives them.

    Source:
        Kingma & Welling 2014 (arXiv:1312.6114), section 2.4. Taught in lesson 02.
    """
    eps = torch.randn_like(mu) if eps is None else eps
    _same_shape(mu=mu, logvar=logvar, eps=eps)
    return mu + torch.exp(0.5 * logvar) * eps


def kl_to_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL( N(mu, diag(exp(logvar))) || N(0, I) ), the exact rate term of the ELBO.

    Args:
        mu: (B, Z) posterior means.
        logvar: (B, Z) posterior log-variances, log sigma^2 (not log sigma).

    Returns:
        (B,) nats per example, summed over the Z latent dimensions; never negative.

    Raises:
        ValueError: `mu` and `logvar` differ in shape; the message gives both shapes.

    Source:
        Kingma & Welling 2014 (arXiv:1312.6114), Appendix B. Taught in lesson 03.
    """
    return kl_terms(mu, logvar).sum(1)


def kl_terms(mu: Tensor, logvar: Tensor) -> Tensor:
    """(B, Z), (B, Z) -> (B, Z) nats: `kl_to_standard_normal` before it is summed."""
    _same_shape(mu=mu, logvar=logvar)
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar)


def normal_log_prob(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log N(z; mu, diag(exp(logvar))).

    Args:
        z, mu, logvar: (B, Z) each; logvar is log sigma^2.

    Returns:
        (B,) nats per example, summed over dimensions; a density, so it may be positive.

    Raises:
        ValueError: shapes differ; the message gives them.

    Source:
        Bishop 2006, eq. 2.43 with a diagonal covariance. Taught in lesson 03.
    """
    _same_shape(z=z, mu=mu, logvar=logvar)
    squared = (z - mu) ** 2 * torch.exp(-logvar)
    return -0.5 * _sum_over_dimensions(LOG_2PI + logvar + squared)


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """(B, Z) -> (B,) nats: log N(z; 0, I), the log-density of the prior."""
    return -0.5 * _sum_over_dimensions(LOG_2PI + z**2)


def check_unit_interval(x: Tensor) -> None:
    """Raise ValueError, naming the range that came, unless all of x lies in [0, 1]."""
    if known_in_unit_interval(x):
        return
    low, high = x.aminmax()
    # Written so that NaN, which compares false with everything, is refused as well.
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"need pixels in [0, 1], got values from {low:g} to {high:g}; "
            "divide 8-bit images by 255, and do not standardise them"
        )


def bernoulli_log_likelihood(x: Tensor, logits: Tensor) -> Tensor:
    """log p(x | z) for a Bernoulli decoder: minus the binary cross-entropy.

    Args:
        x: (B, ...) pixels in [0, 1]. Grey values are allowed; the result is then the
            expected log-likelihood of images drawn with x as pixel probabilities.
        logits: same shape as x; any real number, before the sigmoid.

    Returns:
        (B,) nats per image, summed over pixels; never positive. The highest value it
        can take is minus the entropy of the pixels, `-bernoulli_entropy(x)`.

    Raises:
        ValueError: shapes differ (28 against 32, one channel against three), or a pixel
            lies outside [0, 1]. (Without this check a pixel of 255 would give a very
            good and meaningless number.)

    Source:
        Kingma & Welling 2014 (arXiv:1312.6114), Appendix C.1. Taught in lesson 03.
    """
    _same_shape(x=x, logits=logits)
    check_unit_interval(x)
    nats = F.binary_cross_entropy_with_logits(logits, x, reduction="none")
    return -_sum_over_dimensions(nats)


def bernoulli_entropy(x: Tensor) -> Tensor:
    """Entropy of independent pixels with probabilities x: the floor of the Bernoulli loss.

    Args:
        x: (B, ...) pixels in [0, 1].

    Returns:
        (B,) nats per image, summed over pixels; 0 for black-and-white images.

    Source:
        Cover & Thomas 2006, eq. 2.5. Taught in lesson 04.
    """
    return -_sum_over_dimensions(torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x))


def gaussian_log_likelihood(x: Tensor, mean: Tensor, sigma: float | Tensor) -> Tensor:
    """log N(x; mean, sigma^2 I), a density: it may be positive.

    Args:
        x, mean: (B, ...) of one shape.
        sigma: standard deviation of every pixel, a positive number.

    Returns:
        (B,) nats per image, summed over pixels.

    Raises:
        ValueError: shapes differ, or sigma is not positive.

    Source:
        Rybkin et al. 2021 (arXiv:2006.13202), section 3.1. Taught in lesson 03.
    """
    _same_shape(x=x, mean=mean)
    sigma = torch.as_tensor(sigma, dtype=x.dtype, device=x.device)
    if not (sigma > 0).all():
        raise ValueError(f"need sigma > 0, got {sigma.tolist()}")
    return -_sum_over_dimensions(
        0.5 * LOG_2PI + sigma.log() + 0.5 * ((x - mean) / sigma) ** 2
    )
