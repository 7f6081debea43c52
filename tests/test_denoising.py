"""What lesson 06 defines, against oracles, and its historic bugs, put back in."""

import math

import numpy as np
import pytest
import torch
from lesson_source import code_cells, imports
from skimage.metrics import peak_signal_noise_ratio
from torch import nn

from vae_helpers import bounds, vae

STEM = "06_denoising"
IMAGES = torch.rand(5, 1, 6, 7)


def lesson(right: str = "", wrong: str = "") -> dict:
    """The lesson's definitions, with one text replaced by another."""
    source = "\n".join(code_cells(STEM, "definition"))
    assert source.count(right) >= 1, f"{right!r} is no longer in the lesson"
    namespace = imports(STEM)
    exec(
        compile(source.replace(right, wrong) if right else source, STEM, "exec"),
        namespace,
    )
    return namespace


def psnr_is_that_of_scikit_image(taught):
    noisy = IMAGES + 0.3 * torch.randn(IMAGES.shape)
    pairs = zip(IMAGES.numpy(), noisy.numpy(), strict=True)
    wanted = [peak_signal_noise_ratio(a, b, data_range=1) for a, b in pairs]
    np.testing.assert_allclose(taught["psnr"](IMAGES, noisy), wanted, rtol=1e-4)


def gaussian_noise_is_new_unclipped_and_of_the_right_size(taught):
    x = torch.full((50, 1, 28, 28), 0.5)
    first, second = taught["add_gaussian"](x, 0.4), taught["add_gaussian"](x, 0.4)
    assert not torch.equal(first, second) and first.min() < 0 and first.max() > 1
    assert not torch.equal(first[0], first[1])
    assert (first - x).std().item() == pytest.approx(0.4, rel=0.03)
    assert (first - x).mean().item() == pytest.approx(0, abs=0.01)


def a_generator_gives_the_same_noise_again(taught):
    for name in ("add_gaussian", "add_salt_and_pepper", "mask_pixels"):
        draws = [
            taught[name](IMAGES, 0.3, torch.Generator().manual_seed(3))
            for _ in range(2)
        ]
        assert torch.equal(*draws)


def moments_are_those_of_many_draws(taught):
    """Mean and covariance of noisy pixels, predicted and counted."""
    torch.manual_seed(0)
    parts = torch.rand(400_000, 1) > 0.6  # two correlated pixels and a third
    x = torch.cat([parts * 0.9, parts * 0.5 + 0.1, torch.rand(400_000, 1)], 1)
    mean, square = x.mean(0).double(), (x**2).mean(0).double()
    covariance = torch.cov(x.T.double())
    for moments, corrupt, level in [
        ("gaussian_moments", "add_gaussian", 0.5),
        ("salt_and_pepper_moments", "add_salt_and_pepper", 0.4),
        ("masking_moments", "mask_pixels", 0.3),
    ]:
        slope, offset, variance = taught[moments](mean, square, level)
        y = taught[corrupt](x, level).double()
        torch.testing.assert_close(y.mean(0), slope * mean + offset, atol=4e-3, rtol=0)
        of_y = slope**2 * covariance + torch.diag(variance)
        torch.testing.assert_close(torch.cov(y.T), of_y, atol=4e-3, rtol=0)


def the_linear_filter_is_the_posterior_mean_of_gaussian_images(taught):
    torch.manual_seed(0)
    root, mean = torch.randn(4, 4).double(), torch.randn(4).double()
    covariance = root @ root.T
    y = torch.randn(3, 1, 2, 2).double()
    moments = taught["gaussian_moments"](mean, mean, 0.7)
    found = taught["linear_filter"](mean, covariance, *moments)(y)
    precision = covariance.inverse() + torch.eye(4).double() / 0.7**2
    right = covariance.inverse() @ mean + y.flatten(1) / 0.7**2
    wanted = (precision.inverse() @ right.T).T.reshape(y.shape).float()
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


def no_other_linear_filter_is_better(taught):
    """Least squares on many pairs agrees with the formula, for masking too."""
    torch.manual_seed(0)
    x = torch.rand(200_000, 3) ** 2 + 0.3 * torch.rand(200_000, 1)
    y = taught["mask_pixels"](x, 0.4)
    mean, covariance = x.mean(0).double(), torch.cov(x.T.double())
    moments = taught["masking_moments"](mean, (x**2).mean(0).double(), 0.4)
    restore = taught["linear_filter"](mean, covariance, *moments)
    ones = torch.ones(len(x), 1)
    fit = torch.linalg.lstsq(torch.cat([y, ones], 1).double(), x.double()).solution
    wanted = torch.cat([y, ones], 1).double() @ fit
    found = restore(y[:, None, None])[:, 0, 0]
    assert (found - wanted).abs().max() < 0.02


def image_moments_are_mean_and_covariance(taught):
    images = (torch.rand(500, 1, 3, 3) * 255).to(torch.uint8)
    mean, covariance = taught["image_moments"](images, piece=130)
    flat = images.flatten(1).double() / 255
    torch.testing.assert_close(mean, flat.mean(0))
    torch.testing.assert_close(covariance, torch.cov(flat.T, correction=0))


def the_loss_compares_with_the_clean_image(taught):
    class Keep(nn.Module):
        def forward(self, y):
            return y

    loss = taught["denoising_loss"](Keep(), IMAGES, lambda x: x + 2)["loss"].item()
    assert loss == pytest.approx(4 * IMAGES[0].numel())
    perfect = taught["denoising_loss"](lambda y: y - 2, IMAGES, lambda x: x + 2)["loss"]
    assert perfect.item() == pytest.approx(0, abs=1e-6)


def the_training_draws_new_noise_in_every_step(taught):
    seen = []

    def corrupt(x):
        seen.append(taught["add_gaussian"](torch.zeros_like(x), 1.0))
        return x + seen[-1]

    model = vae.Autoencoder(2, 4)
    images = torch.zeros(128, 1, 28, 28, dtype=torch.uint8)
    taught["train_denoiser"](
        model, images, taught["denoising_loss"], corrupt, steps=3, seed=0
    )
    assert len(seen) == 3
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[1], seen[2])


def the_denoising_vae_has_the_loss_of_the_vae_without_noise(taught):
    model, x = vae.VAE(3, 8), torch.rand(4, 1, 28, 28)
    found = []
    for loss in (lambda: taught["denoising_vae_loss"](model, x, lambda x: x), None):
        torch.manual_seed(2)
        found.append(loss() if loss else vae.vae_loss(model, x))
    torch.testing.assert_close(*found)


def the_denoising_bound_lies_below_the_likelihood(taught):
    """With the clean image as target, whatever the encoder sees."""
    torch.manual_seed(0)
    model, x = vae.VAE(2, 8), torch.rand(20, 1, 28, 28).round()
    with torch.no_grad():
        model.decoder[-1].bias.uniform_(-2, 2)
        noisy = taught["denoising_vae_loss"](model, x, lambda x: x + 3)
        evidence = bounds.importance_weighted_bound(model, x, 500).mean()
    assert -noisy["loss"] < evidence


def the_exact_score_is_the_slope_of_a_smeared_density(taught):
    """Tweedie: E[x | y] - y over sigma squared, with E[x | y] by summing over x."""
    torch.manual_seed(0)
    centres, shares = torch.rand(3, 2).double(), torch.tensor([0.2, 0.5, 0.3]).double()
    sigma = 0.3
    y = torch.rand(6, 2).double()
    weights = -((y[:, None] - centres) ** 2).sum(2) / (2 * sigma**2) + shares.log()
    posterior_mean = weights.softmax(1) @ centres  # the clean points are the centres
    found = taught["exact_score"](y, centres, shares, sigma)
    torch.testing.assert_close(found, (posterior_mean - y) / sigma**2)


def the_density_integrates_to_one(taught):
    line = torch.linspace(-4, 5, 400).double()
    points = torch.cartesian_prod(line, line)
    centres, shares = torch.rand(2, 2).double(), torch.tensor([0.3, 0.7]).double()
    density = taught["log_density"](points, centres, shares, 0.4).exp()
    step = (line[1] - line[0]).item()
    assert density.sum().item() * step**2 == pytest.approx(1, abs=1e-3)


def a_verdict_says_above_below_or_level(taught):
    torch.manual_seed(0)
    noise = torch.randn(300)
    for shift, word in [(1.0, "above"), (-1.0, "below")]:
        text = taught["verdict"]("A", "B", noise + shift, noise.flip(0), "dB")
        assert f"A is {word} B" in text
    tied = taught["verdict"]("A", "B", noise - noise.mean(), torch.zeros(300), "dB")
    assert "A is not clearly different from B" in tied


ORACLES = [
    psnr_is_that_of_scikit_image,
    gaussian_noise_is_new_unclipped_and_of_the_right_size,
    a_generator_gives_the_same_noise_again,
    moments_are_those_of_many_draws,
    the_linear_filter_is_the_posterior_mean_of_gaussian_images,
    no_other_linear_filter_is_better,
    image_moments_are_mean_and_covariance,
    the_loss_compares_with_the_clean_image,
    the_training_draws_new_noise_in_every_step,
    the_denoising_vae_has_the_loss_of_the_vae_without_noise,
    the_denoising_bound_lies_below_the_likelihood,
    the_exact_score_is_the_slope_of_a_smeared_density,
    the_density_integrates_to_one,
    a_verdict_says_above_below_or_level,
]


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.__name__)
def test_the_lesson_agrees_with(oracle):
    oracle(lesson())


MUTANTS = {  # bug: (right text, wrong text, the oracle that must notice)
    "noisy target": (
        "(model(corrupt(x)) - x) ** 2",
        "(lambda y: model(y) - y)(corrupt(x)) ** 2",
        the_loss_compares_with_the_clean_image,
    ),
    "noise on the target": (
        "(model(corrupt(x)) - x) ** 2",
        "(model(x) - corrupt(x)) ** 2",
        the_loss_compares_with_the_clean_image,
    ),
    "mean over pixels": (
        "- x) ** 2).flatten(1).sum(1).mean()",
        "- x) ** 2).mean()",
        the_loss_compares_with_the_clean_image,
    ),
    "noise drawn once": (
        "eps = torch.randn(x.shape, generator=generator, device=place)",
        "torch.manual_seed(0); eps = torch.randn(x.shape, device=place)",
        the_training_draws_new_noise_in_every_step,
    ),
    "one noise for all images": (
        "eps = torch.randn(x.shape, generator=generator, device=place)",
        "eps = torch.randn(x[:1].shape, device=place)",
        gaussian_noise_is_new_unclipped_and_of_the_right_size,
    ),
    "noise clipped": (
        "return x + level * eps.to(x.device)",
        "return (x + level * eps.to(x.device)).clamp(0, 1)",
        gaussian_noise_is_new_unclipped_and_of_the_right_size,
    ),
    "level taken for a variance": (
        "level * eps",
        "level**0.5 * eps",
        gaussian_noise_is_new_unclipped_and_of_the_right_size,
    ),
    "salt only": (
        "(u < level / 2).to(x)",
        "torch.ones_like(x)",
        moments_are_those_of_many_draws,
    ),
    "share and its complement swapped": (
        "uniform(x, generator) < level, torch.zeros_like",
        "uniform(x, generator) > level, torch.zeros_like",
        moments_are_those_of_many_draws,
    ),
    "peak of 255": (
        "return -10 * ((x - restored) ** 2)",
        "return 48.13 - 10 * ((x - restored) ** 2)",
        psnr_is_that_of_scikit_image,
    ),
    "PSNR over the batch": (
        "((x - restored) ** 2).flatten(1).mean(1)",
        "((x - restored) ** 2).mean().expand(len(x))",
        psnr_is_that_of_scikit_image,
    ),
    "mean of logarithms": (
        ".flatten(1).mean(1).log10()",
        ".flatten(1).log10().mean(1)",
        psnr_is_that_of_scikit_image,
    ),
    "a filter without the slope": (
        "slope * covariance).T",
        "covariance).T",
        no_other_linear_filter_is_better,
    ),
    "the noisy image in the reconstruction term": (
        "bernoulli_log_likelihood(x, logits)",
        "bernoulli_log_likelihood(corrupt(x).clamp(0, 1) * 0, logits)",
        the_denoising_vae_has_the_loss_of_the_vae_without_noise,
    ),
    "sigma where its square belongs": (
        "2 * width**2) -",
        "2 * width) -",
        the_exact_score_is_the_slope_of_a_smeared_density,
    ),
}


@pytest.mark.parametrize("bug", MUTANTS)
def test_a_historic_bug_in_the_lesson_is_noticed(bug):
    right, wrong, oracle = MUTANTS[bug]
    with pytest.raises(AssertionError):
        oracle(lesson(right, wrong))


def test_the_score_of_a_perfect_denoiser_is_exact():
    """All clean points at 0: the denoiser returns 0 and the score is -y / sigma^2."""
    taught, y = lesson(), torch.randn(7, 2)

    class Zero(nn.Linear):
        def forward(self, y):
            return torch.zeros_like(y)

    found = taught["learned_score"](Zero(1, 1), y, 0.5)
    torch.testing.assert_close(found, -y / 0.25)
    cosine, error = taught["agreement"](found, -y / 0.25)
    assert cosine == pytest.approx(1) and error == pytest.approx(0, abs=1e-6)
    assert math.isclose(taught["agreement"](-found, -y / 0.25)[0], -1, rel_tol=1e-5)
