"""The models of the course: the autoencoder of lesson 01 and the VAE of lesson 04."""

import math

import torch
from torch import Tensor, nn

from vae_helpers.distributions import (
    bernoulli_log_likelihood,
    kl_to_standard_normal,
    reparameterize,
)
from vae_helpers.pixels import need_images

IMAGE_SHAPE = (1, 28, 28)


class Autoencoder(nn.Module):
    """Encoder and decoder with one hidden layer each: x -> code -> reconstruction.

    Args:
        code_size: Z, the width of the bottleneck.
        hidden: width of the hidden layer; 0 leaves it out (a linear autoencoder).
        image_shape: (C, H, W) of the images it takes.

    Source:
        Hinton & Salakhutdinov 2006. Taught in lesson 01.
    """

    def __init__(
        self,
        code_size: int,
        hidden: int = 400,
        image_shape: tuple[int, ...] = IMAGE_SHAPE,
    ) -> None:
        super().__init__()
        self.image_shape = tuple(image_shape)
        pixels = math.prod(image_shape)
        if hidden:
            self.encoder = nn.Sequential(
                nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, code_size)
            )
            self.decoder = nn.Sequential(
                nn.Linear(code_size, hidden), nn.ReLU(), nn.Linear(hidden, pixels)
            )
        else:
            self.encoder = nn.Linear(pixels, code_size)
            self.decoder = nn.Linear(code_size, pixels)

    def encode(self, x: Tensor) -> Tensor:
        """(B, C, H, W) images -> (B, Z) codes."""
        need_images(x, self.image_shape, next(self.parameters()).dtype)
        return self.encoder(x.flatten(1))

    def decode(self, code: Tensor) -> Tensor:
        """(B, Z) codes -> (B, C, H, W) pixel values (any real number)."""
        return self.decoder(code).unflatten(1, self.image_shape)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) images -> reconstructions of the same shape."""
        return self.decode(self.encode(x))


class VAE(nn.Module):
    """The VAE of lesson 04: Gaussian posterior, standard normal prior, Bernoulli pixels.

    Args:
        latent_size: Z.
        hidden: width of the one hidden layer on each side.
        image_shape: (C, H, W) of the images it takes.

    Source:
        Kingma & Welling 2014 (arXiv:1312.6114), Appendix C. Taught in lesson 04.
    """

    def __init__(
        self,
        latent_size: int = 20,
        hidden: int = 400,
        image_shape: tuple[int, ...] = IMAGE_SHAPE,
    ) -> None:
        super().__init__()
        self.latent_size, self.image_shape = latent_size, tuple(image_shape)
        pixels = math.prod(image_shape)
        self.body = nn.Sequential(nn.Linear(pixels, hidden), nn.ReLU())
        self.to_mu = nn.Linear(hidden, latent_size)
        self.to_logvar = nn.Linear(hidden, latent_size)
        self.decoder = nn.Sequential(
            nn.Linear(latent_size, hidden), nn.ReLU(), nn.Linear(hidden, pixels)
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) images -> mu (B, Z) and logvar (B, Z) = log sigma^2."""
        need_images(x, self.image_shape, self.to_mu.weight.dtype)
        h = self.body(x.flatten(1))
        return self.to_mu(h), self.to_logvar(h)

    def decode(self, z: Tensor) -> Tensor:
        """(B, Z) codes -> (B, C, H, W) logits of the pixels, before the sigmoid."""
        return self.decoder(z).unflatten(1, self.image_shape)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, C, H, W) images -> logits of x's shape, mu (B, Z), logvar (B, Z)."""
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar)), mu, logvar

    @torch.no_grad()
    def reconstruct(self, x: Tensor, sample: bool = False) -> Tensor:
        """Pixel probabilities in [0, 1] for images x, of x's shape.

        With sample=False the code is the posterior mean: the same x gives the same
        picture. With sample=True the code is drawn from q(z | x).
        """
        mu, logvar = self.encode(x)
        return self.decode(reparameterize(mu, logvar) if sample else mu).sigmoid()

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """(n, C, H, W) pixel probabilities for codes drawn from the prior N(0, I)."""
        weight = self.to_mu.weight
        z = torch.randn(n, self.latent_size, device=weight.device, dtype=weight.dtype)
        return self.decode(z).sigmoid()


def vae_loss(model: nn.Module, x: Tensor, beta: float = 1.0) -> dict[str, Tensor]:
    """The negative ELBO of a batch and its two terms, means over the batch.

    Args:
        model: a module whose call returns (logits, mu, logvar), such as `VAE`.
        x: (B, C, H, W) pixels in [0, 1].
        beta: weight of the KL; 1 is the ELBO.

    Returns:
        Three scalars in nats per image: "loss" = "reconstruction" + beta * "kl";
        lower is better. "reconstruction" is -log p(x | z) with one sample z.

    Source:
        Kingma & Welling 2014 (arXiv:1312.6114), eq. 10. Taught in lesson 04.
    """
    logits, mu, logvar = model(x)
    reconstruction = -bernoulli_log_likelihood(x, logits).mean()
    kl = kl_to_standard_normal(mu, logvar).mean()
    return {
        "loss": reconstruction + beta * kl,
        "reconstruction": reconstruction,
        "kl": kl,
    }
