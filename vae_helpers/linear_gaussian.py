"""The linear-Gaussian model (probabilistic PCA), where every part of the ELBO is exact.

    z ~ N(0, I)                   the prior, Z latent dimensions
    x given z ~ N(W z + b, sigma^2 I)   the likelihood, D data dimensions

Arguments in all functions: `weight` is W (D, Z), `offset` is b (D,), `sigma` is the
standard deviation of the noise, a positive number or a tensor without axes. Everything is
computed and returned in float64, in nats, and lets gradients through.
"""

import torch
from torch import Tensor

from vae_helpers.distributions import LOG_2PI, kl_to_standard_normal


def _shapes(**tensors: Tensor) -> str:
    return ", ".join(f"{name} {tuple(t.shape)}" for name, t in tensors.items())


def _model(weight: Tensor, offset: Tensor, sigma: float | Tensor) -> tuple:
    """The three parameters in float64, or ValueError."""
    if weight.ndim != 2 or offset.shape != weight.shape[:1]:
        came = _shapes(weight=weight, offset=offset)
        raise ValueError(f"need weight (D, Z) and offset (D,), got {came}")
    sigma = torch.as_tensor(sigma, dtype=torch.float64, device=weight.device)
    if sigma.ndim or not sigma > 0:
        raise ValueError(f"need one number sigma > 0, got {sigma.tolist()}")
    return weight.double(), offset.double(), sigma


def _rows(values: Tensor, width: int, name: str, axes: str) -> Tensor:
    """A (B, width) tensor in float64, or ValueError."""
    if values.ndim != 2 or values.shape[1] != width:
        raise ValueError(
            f"need {name} of shape {axes} = (B, {width}), got {tuple(values.shape)}"
        )
    return values.double()


def _root(covariance: Tensor, batch: int, width: int, name: str) -> Tensor:
    """The Cholesky factor of a covariance (Z, Z) or (B, Z, Z), or ValueError."""
    c = covariance.double()
    if c.shape not in [(width, width), (batch, width, width)]:
        raise ValueError(
            f"need {name} of shape (Z, Z) = ({width}, {width}) or (B, Z, Z) = "
            f"({batch}, {width}, {width}), got {tuple(c.shape)}; "
            "make variances a matrix with torch.diag_embed"
        )
    root, failed = torch.linalg.cholesky_ex(c)
    if failed.any() or not torch.allclose(c, c.mT):
        raise ValueError(f"need a symmetric, positive definite {name}")
    return root


def _log_det(root: Tensor) -> Tensor:
    """Log-determinant of a matrix from its Cholesky factor."""
    return 2 * root.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _inner(weight: Tensor, sigma: Tensor) -> Tensor:
    """Cholesky factor of W^T W + sigma^2 I, (Z, Z)."""
    eye = torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device)
    return torch.linalg.cholesky(weight.T @ weight + sigma**2 * eye)


def log_evidence(
    x: Tensor, weight: Tensor, offset: Tensor, sigma: float | Tensor
) -> Tensor:
    """log p(x) = log N(x; b, W W^T + sigma^2 I), with z integrated out, exact.

    Args:
        x: (B, D) data.
        weight, offset, sigma: (D, Z), (D,) and a positive number; see the module.

    Returns:
        (B,) nats per example, summed over the D dimensions; higher is better. A
        log-density: it may be positive.

    Raises:
        ValueError: shapes do not fit, or sigma is not positive; the message says what
            came and what was needed.

    Source:
        Tipping & Bishop 1999, Probabilistic principal component analysis. Taught in
        lesson 03.
    """
    weight, offset, sigma = _model(weight, offset, sigma)
    d, z = weight.shape
    residual = _rows(x, d, "x", "(B, D)") - offset
    root = _inner(weight, sigma)  # (Z, Z): cheaper than the (D, D) covariance
    log_det = 2 * (d - z) * sigma.log() + _log_det(root)
    explained = torch.linalg.solve_triangular(root, weight.T @ residual.T, upper=False)
    squares = ((residual**2).sum(1) - (explained**2).sum(0)) / sigma**2
    return -0.5 * (d * LOG_2PI + log_det + squares)


def posterior(
    x: Tensor, weight: Tensor, offset: Tensor, sigma: float | Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the true posterior p(z | x), a Gaussian.

    Args:
        x: (B, D) data.
        weight, offset, sigma: (D, Z), (D,) and a positive number; see the module.

    Returns:
        (B, Z) means and the (Z, Z) covariance, which is the same for every x. It is
        diagonal when the columns of `weight` are orthogonal, and only then.

    Raises:
        ValueError: shapes do not fit, or sigma is not positive.

    Source:
        Tipping & Bishop 1999. Taught in the appendix A1.
    """
    weight, offset, sigma = _model(weight, offset, sigma)
    residual = _rows(x, len(weight), "x", "(B, D)") - offset
    inverse = torch.cholesky_inverse(_inner(weight, sigma))
    return residual @ weight @ inverse, sigma**2 * inverse


def elbo(
    x: Tensor,
    mu: Tensor,
    logvar: Tensor,
    weight: Tensor,
    offset: Tensor,
    sigma: float | Tensor,
) -> Tensor:
    """The ELBO for q = N(mu, diag(exp(logvar))), its expectation done exactly.

    E_q[log p(x | z)] - KL(q || N(0, I)); a lower bound on `log_evidence`.

    Args:
        x: (B, D) data.
        mu, logvar: (B, Z) each; logvar is log sigma^2 of q, not log sigma.
        weight, offset, sigma: (D, Z), (D,) and a positive number; see the module.

    Returns:
        (B,) nats per example, summed over dimensions; higher is better.

    Raises:
        ValueError: shapes do not fit, or sigma is not positive.

    Source:
        Lucas et al. 2019 (arXiv:1911.02469). Taught in the appendix A1.
    """
    weight, offset, sigma = _model(weight, offset, sigma)
    d, z = weight.shape
    x = _rows(x, d, "x", "(B, D)")
    mu, logvar = _rows(mu, z, "mu", "(B, Z)"), _rows(logvar, z, "logvar", "(B, Z)")
    if not len(x) == len(mu) == len(logvar):
        came = _shapes(x=x, mu=mu, logvar=logvar)
        raise ValueError(f"need one row of mu and logvar for each x, got {came}")
    squares = ((x - offset - mu @ weight.T) ** 2).sum(1)
    squares = squares + logvar.exp() @ (weight**2).sum(0)  # + tr(W diag(var) W^T)
    log_likelihood = -0.5 * (d * (LOG_2PI + 2 * sigma.log()) + squares / sigma**2)
    return log_likelihood - kl_to_standard_normal(mu, logvar)


def elbo_full(
    x: Tensor,
    mean: Tensor,
    covariance: Tensor,
    weight: Tensor,
    offset: Tensor,
    sigma: float | Tensor,
) -> Tensor:
    """The ELBO for a Gaussian q with a full covariance, its expectation done exactly.

    With q = `posterior` it equals `log_evidence`.

    Args:
        x: (B, D) data.
        mean: (B, Z) means of q.
        covariance: (Z, Z) for all examples, or (B, Z, Z).
        weight, offset, sigma: (D, Z), (D,) and a positive number; see the module.

    Returns:
        (B,) nats per example, summed over dimensions; higher is better.

    Raises:
        ValueError: shapes do not fit, sigma is not positive, or the covariance is not
            symmetric and positive definite.

    Source:
        Lucas et al. 2019 (arXiv:1911.02469). Used in the appendix A1.
    """
    weight, offset, sigma = _model(weight, offset, sigma)
    d, z = weight.shape
    x, mean = _rows(x, d, "x", "(B, D)"), _rows(mean, z, "mean", "(B, Z)")
    if len(x) != len(mean):
        raise ValueError(f"need one mean for each x, got {_shapes(x=x, mean=mean)}")
    root = _root(covariance, len(x), z, "covariance")
    squares = ((x - offset - mean @ weight.T) ** 2).sum(1)
    squares = squares + ((weight @ root) ** 2).sum((-2, -1))
    log_likelihood = -0.5 * (d * (LOG_2PI + 2 * sigma.log()) + squares / sigma**2)
    trace = (root**2).sum((-2, -1))
    kl = 0.5 * ((mean**2).sum(1) + trace - z - _log_det(root))
    return log_likelihood - kl


def kl_between_gaussians(
    mean_q: Tensor, covariance_q: Tensor, mean_p: Tensor, covariance_p: Tensor
) -> Tensor:
    """KL( N(mean_q, covariance_q) || N(mean_p, covariance_p) ), exact.

    Args:
        mean_q, mean_p: (B, Z) each.
        covariance_q, covariance_p: (Z, Z) or (B, Z, Z) each; for variances use
            torch.diag_embed.

    Returns:
        (B,) nats per example, summed over dimensions; never negative.

    Raises:
        ValueError: shapes do not fit, or a covariance is not symmetric and positive
            definite.

    Source:
        Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, eq. A.23.
        Used in the appendix A1.
    """
    if mean_q.ndim != 2 or mean_q.shape != mean_p.shape:
        came = _shapes(mean_q=mean_q, mean_p=mean_p)
        raise ValueError(f"need two means of one shape (B, Z), got {came}")
    batch, z = mean_q.shape
    root_q = _root(covariance_q, batch, z, "covariance_q")
    root_p = _root(covariance_p, batch, z, "covariance_p")
    ratio = torch.linalg.solve_triangular(root_p, root_q, upper=False)
    away = (mean_q.double() - mean_p.double())[..., None]  # (B, Z, 1)
    scaled = torch.linalg.solve_triangular(root_p, away, upper=False)
    trace, squares = (ratio**2).sum((-2, -1)), (scaled**2).sum((-2, -1))
    return 0.5 * (trace + squares - z + _log_det(root_p) - _log_det(root_q))


def _eigenvalues(x: Tensor, latent_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Eigenvalues (D,), falling, eigenvectors (D, D) and noise variance, or ValueError."""
    if x.ndim != 2 or len(x) < 2:
        raise ValueError(f"need data (N, D) with at least 2 rows, got {tuple(x.shape)}")
    if not 1 <= latent_size < x.shape[1]:
        raise ValueError(f"need 1 <= latent_size < D = {x.shape[1]}, got {latent_size}")
    covariance = torch.cov(x.double().T, correction=0)  # divided by N, not N - 1
    values, vectors = torch.linalg.eigh(covariance)
    values, vectors = values.flip(0), vectors.flip(1)
    noise = values[latent_size:].mean()
    if not noise > 1e-12 * values[0]:
        raise ValueError(
            f"the data lie in {latent_size} dimensions or fewer: their likelihood has "
            f"no maximum; need N > D and a smaller latent_size, got {tuple(x.shape)}"
        )
    return values, vectors, noise


def maximum_likelihood(x: Tensor, latent_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Maximum-likelihood parameters of the model, in closed form.

    Args:
        x: (N, D) data, N > D.
        latent_size: Z, from 1 to D - 1.

    Returns:
        weight (D, Z), offset (D,) and sigma (no axes), float64. The columns of weight
        are orthogonal: the principal axes, longest first, each with either sign.

    Raises:
        ValueError: latent_size is out of range, or the data do not fill more than
            latent_size dimensions.

    Source:
        Tipping & Bishop 1999, Probabilistic principal component analysis. Taught in
        lesson 03.
    """
    values, vectors, noise = _eigenvalues(x, latent_size)
    length = (values[:latent_size] - noise).clamp_min(0).sqrt()
    return vectors[:, :latent_size] * length, x.double().mean(0), noise.sqrt()


def max_log_evidence(x: Tensor, latent_size: int) -> float:
    """The highest mean of `log_evidence` that any parameters reach on the data x.

    Args:
        x: (N, D) data, N > D.
        latent_size: Z, from 1 to D - 1.

    Returns:
        Nats per example, mean over the N examples; higher is better.

    Raises:
        ValueError: as in `maximum_likelihood`.

    Source:
        Tipping & Bishop 1999. Used in the appendix A1.
    """
    values, _, noise = _eigenvalues(x, latent_size)
    d = x.shape[1]
    log_det = values[:latent_size].log().sum() + (d - latent_size) * noise.log()
    return -0.5 * (d * LOG_2PI + log_det + d).item()
