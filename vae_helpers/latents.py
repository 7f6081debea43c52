"""What the latents of a model hold: price, activity, separation, and a walk along one."""

import torch
from torch import Tensor

from vae_helpers.distributions import kl_terms


def kl_per_dimension(mu: Tensor, logvar: Tensor) -> Tensor:
    """(B, Z), (B, Z) -> (Z,) nats: KL to the prior of each latent, mean over the batch."""
    return kl_terms(mu, logvar).mean(0)


def active_units(mu: Tensor, threshold: float = 0.01) -> Tensor:
    """Which latents the model uses: those whose posterior mean varies over the images.

    Args:
        mu: (N, Z) posterior means of N images, 2 at least.
        threshold: on the variance of the means, in units of the prior's variance.

    Returns:
        (Z,) bool, True where the variance over the N images (divided by N) is above the
        threshold; `.sum()` counts them. It says that a latent moves, not that the
        decoder listens: look at the KL per dimension as well.

    Raises:
        ValueError: mu is not (N, Z) with N >= 2.

    Source:
        Burda et al. 2016 (arXiv:1509.00519), section 5.2. Taught in lesson 05.
    """
    if mu.ndim != 2 or len(mu) < 2:
        raise ValueError(f"need mu (N, Z) with N >= 2, got {tuple(mu.shape)}")
    return mu.var(0, correction=0) > threshold


def mutual_information_gap(codes: Tensor, factors: Tensor, bins: int = 20) -> Tensor:
    """How far each factor is told by one latent alone: 1 perfect, 0 not at all.

    For factor k, with I the mutual information of one latent and the factor,
    (largest I - second largest I) / entropy of the factor. I is estimated from a
    histogram: each latent is cut into equal bins between its smallest and its largest
    code. Other estimators (samples of q(z | x) instead of means) give other numbers. The
    scale of a latent does not count, so a collapsed latent may score: look at
    `active_units` as well.

    Args:
        codes: (N, Z) posterior means, Z at least 2.
        factors: (N, K) whole numbers, the true factors; each takes 2 values at least.
        bins: of the histogram of each latent.

    Returns:
        (K,) gaps in [0, 1], float64, without unit (nats over nats); their mean is the
        number that papers call MIG.

    Raises:
        ValueError: shapes do not fit, fewer than 2 latents, codes that are not finite,
            or a factor that is the same everywhere.

    Source:
        Chen et al. 2018 (arXiv:1802.04942), eq. 6; the estimator is that of Locatello et
        al. 2019 (arXiv:1811.12359). Taught in lesson 05.
    """
    # Imported here: it takes 100 MB, and most lessons do not need it.
    from sklearn.metrics import mutual_info_score

    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors):
        raise ValueError(
            f"need codes (N, Z) and factors (N, K), got {tuple(codes.shape)} and "
            f"{tuple(factors.shape)}"
        )
    if codes.shape[1] < 2 or not codes.isfinite().all():
        raise ValueError("need at least 2 latents, and codes that are all finite")
    low, high = codes.min(0).values, codes.max(0).values
    width = torch.where(high > low, high - low, 1.0)
    cut = (bins * (codes - low) / width).long().clamp(max=bins - 1).cpu()
    gaps = []
    for values in factors.cpu().T:
        entropy = mutual_info_score(values, values)
        if entropy == 0:
            raise ValueError("a factor takes one value only: it has no entropy")
        scores = sorted(mutual_info_score(values, latent) for latent in cut.T)
        gaps.append((scores[-1] - scores[-2]) / entropy)
    return torch.tensor(gaps, dtype=torch.float64)


def traverse(z: Tensor, latent: int, positions: Tensor) -> Tensor:
    """Codes that differ from z in one latent only.

    Args:
        z: (Z,) the code to begin from; it is left as it is.
        latent: the column to replace, from 0 to Z - 1.
        positions: (P,) its values, in units of the prior's standard deviation.

    Returns:
        (P, Z) codes; column `latent` holds the positions, all others are those of z.

    Raises:
        ValueError: z is not one code, or it has no such latent.

    Source:
        Taught in lesson 05.
    """
    if z.ndim != 1 or not 0 <= latent < len(z):
        raise ValueError(
            f"need z (Z,) and 0 <= latent < Z, got {tuple(z.shape)}, {latent}"
        )
    codes = z.repeat(len(positions), 1)
    codes[:, latent] = positions
    return codes
