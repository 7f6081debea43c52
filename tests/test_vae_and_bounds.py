"""The models and the bounds, held against exact values where there are any."""

import math

import pytest
import torch
from torch import nn

from vae_helpers import bounds
from vae_helpers.distributions import (
    bernoulli_log_likelihood,
    kl_to_standard_normal,
    standard_normal_log_prob,
)
from vae_helpers.vae import VAE, Autoencoder, vae_loss


class OneDimensional(nn.Module):
    """A decoder with one latent and four pixels, so that a grid gives log p(x)."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[2.0, -1.0, 0.5, 1.0]]))
        self.mu, self.logvar = 0.3, -0.4

    def encode(self, x):
        z = torch.zeros(len(x), 1)
        return z + self.mu, z + self.logvar

    def decode(self, z):
        return (z @ self.weight).view(-1, 1, 2, 2)


def _exact_log_p(model, x):
    grid = torch.linspace(-8, 8, 4001).unsqueeze(1)
    nats = bernoulli_log_likelihood(x.expand(4001, 1, 2, 2), model.decode(grid))
    joint = nats + standard_normal_log_prob(grid)
    return (joint.double().logsumexp(0) + math.log(16 / 4000)).item()


def test_the_importance_weighted_bound_climbs_to_the_exact_value():
    model, x = OneDimensional(), torch.tensor([1.0, 0.0, 1.0, 1.0]).view(1, 1, 2, 2)
    exact = _exact_log_p(model, x)
    means = []
    for samples in (1, 5, 500):
        many = x.expand(1000, 1, 2, 2)
        found = bounds.importance_weighted_bound(model, many, samples, rows=10**6)
        error = found.std().item() / math.sqrt(1000)
        means.append(found.mean().item())
        assert means[-1] < exact + 5 * error
    assert means[0] < means[1] < means[2]
    assert means[2] == pytest.approx(exact, abs=0.01)


def test_one_sample_gives_the_elbo():
    model = OneDimensional()
    x = torch.tensor([1.0, 0.0, 1.0, 1.0]).view(1, 1, 2, 2).expand(20_000, 1, 2, 2)
    bound = bounds.importance_weighted_bound(model, x, 1)
    mean_terms = bounds.mean_terms(model, x)
    error = 2 * bound.std().item() / math.sqrt(len(x))
    assert abs(bound.mean().item() + mean_terms["loss"]) < 5 * error


def test_chunks_do_not_change_the_bound():
    model, x = VAE(3, 8, (1, 4, 4)), torch.rand(5, 1, 4, 4)
    torch.manual_seed(1)
    whole = bounds.importance_weighted_bound(model, x, 4000, rows=10**6).mean()
    pieces = bounds.importance_weighted_bound(model, x, 4000, rows=7).mean()
    assert whole.item() == pytest.approx(pieces.item(), abs=0.05)


def test_mean_terms_do_not_depend_on_the_batch_size():
    class Fixed(VAE):
        def encode(self, x):
            mu, logvar = super().encode(x)
            return mu, logvar - 60  # sigma is 0: no randomness is left

    model, images = Fixed(3, 8, (1, 4, 4)), torch.rand(23, 1, 4, 4)
    a, b = (bounds.mean_terms(model, images, n) for n in (23, 5))
    assert a == pytest.approx(b, rel=1e-6)
    assert a["loss"] == pytest.approx(a["reconstruction"] + a["kl"])


def test_bits_per_dimension():
    assert bounds.bits_per_dimension(784 * math.log(2), 784) == pytest.approx(1)
    assert bounds.bits_per_dimension(-5.0, 10) < 0
    with pytest.raises(ValueError, match="at least 1 dimension, got 0"):
        bounds.bits_per_dimension(1.0, 0)


def test_bad_sample_count():
    with pytest.raises(ValueError, match="at least 1 sample, got 0"):
        bounds.importance_weighted_bound(VAE(), torch.rand(1, 1, 28, 28), 0)


def test_shapes_of_the_vae():
    model, x = VAE(5, 16, (3, 8, 6)), torch.rand(4, 3, 8, 6)
    logits, mu, logvar = model(x)
    assert logits.shape == x.shape and mu.shape == logvar.shape == (4, 5)
    assert model.sample(7).shape == (7, 3, 8, 6)
    assert model.reconstruct(x).shape == x.shape


@pytest.mark.parametrize(
    "shape", [(2, 1, 32, 32), (2, 3, 28, 28), (2, 784), (2, 1, 33, 28)]
)
@pytest.mark.parametrize("model", [VAE(), Autoencoder(3)])
def test_other_image_sizes_get_a_clear_error(model, shape):
    with pytest.raises(ValueError, match=r"takes images \(B, 1, 28, 28\), got"):
        model.encode(torch.rand(shape))


def test_reconstruct_is_deterministic_and_sampling_is_not():
    model, x = VAE(), torch.rand(2, 1, 28, 28)
    assert torch.equal(model.reconstruct(x), model.reconstruct(x))
    first, second = (model.reconstruct(x, sample=True) for _ in range(2))
    assert not torch.equal(first, second)
    assert ((first >= 0) & (first <= 1)).all()


def test_sample_never_asks_the_encoder(monkeypatch):
    model = VAE()
    monkeypatch.setattr(model, "encode", lambda x: pytest.fail("encoder was called"))
    assert model.sample(3).shape == (3, 1, 28, 28)


def test_eval_changes_nothing():
    model, x = VAE(), torch.rand(2, 1, 28, 28)
    torch.manual_seed(5)
    in_training = model.train()(x)[0]
    torch.manual_seed(5)
    assert torch.equal(model.eval()(x)[0], in_training)


def test_the_loss_is_a_mean_over_images_of_sums():
    model, x = VAE(4, 8, (1, 3, 3)), torch.rand(1, 1, 3, 3)
    nn.init.constant_(model.to_logvar.bias, -60.0)  # no noise is left
    nn.init.zeros_(model.to_logvar.weight)
    one, five = vae_loss(model, x), vae_loss(model, x.expand(5, 1, 3, 3))
    for name in one:
        assert one[name].item() == pytest.approx(five[name].item(), rel=1e-5)
    mu, logvar = model.encode(x)
    hand = -bernoulli_log_likelihood(x, model.decode(mu))
    assert one["reconstruction"].item() == pytest.approx(hand.item(), rel=1e-4)
    kl = kl_to_standard_normal(mu, logvar).item()
    assert one["kl"].item() == pytest.approx(kl, rel=1e-5)


def test_the_derivative_with_respect_to_beta_is_the_kl():
    model, x = VAE(), torch.rand(8, 1, 28, 28)
    beta = torch.tensor(1.7, requires_grad=True)
    terms = vae_loss(model, x, beta)
    terms["loss"].backward()
    assert beta.grad is not None
    assert beta.grad.item() == pytest.approx(terms["kl"].item())
    assert terms["loss"].item() == pytest.approx(
        (terms["reconstruction"] + 1.7 * terms["kl"]).item()
    )


def test_gradients_reach_every_weight():
    model, x = VAE(), torch.rand(8, 1, 28, 28)
    vae_loss(model, x)["loss"].backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


def test_the_reconstruction_term_alone_teaches_the_encoder():
    model, x = VAE(), torch.rand(8, 1, 28, 28)
    vae_loss(model, x)["reconstruction"].backward()
    for layer in (model.to_mu, model.to_logvar):
        assert layer.weight.grad is not None and layer.weight.grad.abs().sum() > 0


def test_linear_autoencoder_has_one_matrix_on_each_side():
    model = Autoencoder(3, hidden=0)
    assert isinstance(model.encoder, nn.Linear)
    x = torch.rand(2, 1, 28, 28)
    middle = model((x[:1] + x[1:]) / 2)
    torch.testing.assert_close(middle[0], model(x).mean(0))
