"""Taught = shipped: what a lesson defines is what the helpers do from then on."""

import inspect
from functools import partial

import pytest
import torch
from lesson_source import STEMS, definitions

from vae_helpers import (
    anomaly,
    bounds,
    distributions,
    latents,
    linear_gaussian,
    training,
    vae,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
MODULES = (
    anomaly,
    bounds,
    latents,
    distributions,
    linear_gaussian,
    training,
    vae,
)
IMAGES = (torch.rand(256, 1, 28, 28) * 255).to(torch.uint8)


def _linear_model():
    """x, mu, logvar, weight, offset, sigma of a random linear-Gaussian model."""
    x, mu, logvar = torch.randn(6, 5), torch.randn(6, 3), torch.randn(6, 3)
    weight, offset, sigma = torch.randn(5, 3), torch.randn(5), torch.rand(()) + 0.3
    return [t.double() for t in (x, mu, logvar, weight, offset, sigma)]


def _normal_arguments():
    return tuple(torch.randn(3, 5, 4))


FUNCTIONS = {  # lesson and name -> helper and random arguments
    ("02", "reparameterize"): (
        distributions.reparameterize,
        _normal_arguments,
    ),
    ("03", "kl_to_standard_normal"): (
        distributions.kl_to_standard_normal,
        lambda: _normal_arguments()[:2],
    ),
    ("03", "normal_log_prob"): (distributions.normal_log_prob, _normal_arguments),
    ("03", "standard_normal_log_prob"): (
        distributions.standard_normal_log_prob,
        lambda: _normal_arguments()[:1],
    ),
    ("03", "gaussian_log_likelihood"): (
        distributions.gaussian_log_likelihood,
        lambda: (torch.rand(5, 9), torch.rand(5, 9), 0.1 + torch.rand(1).item()),
    ),
    ("03", "bernoulli_log_likelihood"): (
        distributions.bernoulli_log_likelihood,
        lambda: (torch.rand(5, 9), torch.randn(5, 9)),
    ),
    ("03", "bits_per_dimension"): (
        bounds.bits_per_dimension,
        lambda: (100 * torch.rand(1).item(), 784),
    ),
    ("A1", "elbo"): (linear_gaussian.elbo, _linear_model),
    ("A1", "log_evidence"): (
        linear_gaussian.log_evidence,
        lambda: (lambda m: (m[0], *m[3:]))(_linear_model()),
    ),
    ("A1", "posterior"): (
        linear_gaussian.posterior,
        lambda: (lambda m: (m[0], *m[3:]))(_linear_model()),
    ),
    ("04", "bernoulli_log_likelihood"): (
        distributions.bernoulli_log_likelihood,
        lambda: (torch.rand(5, 1, 4, 4), torch.randn(5, 1, 4, 4)),
    ),
    ("04", "kl_to_standard_normal"): (
        distributions.kl_to_standard_normal,
        lambda: (torch.randn(5, 3), torch.randn(5, 3)),
    ),
    ("04", "bernoulli_entropy"): (
        distributions.bernoulli_entropy,
        lambda: (torch.rand(5, 1, 4, 4),),
    ),
    ("05", "active_units"): (
        latents.active_units,
        lambda: (0.1 * torch.randn(30, 6),),
    ),
    ("05", "kl_per_dimension"): (
        latents.kl_per_dimension,
        lambda: (torch.randn(30, 6), torch.randn(30, 6)),
    ),
    ("05", "mutual_information_gap"): (
        latents.mutual_information_gap,
        lambda: (torch.randn(80, 4), torch.randint(0, 3, (80, 2))),
    ),
    ("05", "traverse"): (
        latents.traverse,
        lambda: (torch.randn(5), 3, torch.randn(4)),
    ),
    ("07", "choose_threshold"): (
        anomaly.choose_threshold,
        lambda: (
            anomaly.Scores(torch.randn(50), anomaly.NORMAL_VALIDATION),
            0.03 + 0.9 * torch.rand(1).item(),
        ),
    ),
    ("01", "warmup_cosine"): (training.warmup_cosine, lambda: (torch.rand(1).item(),)),
}


def _stem(number):
    return next((s for s in STEMS if s.startswith(number)), None)


def _weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize(("number", "name"), FUNCTIONS)
def test_functions_agree_on_random_inputs(number, name, monkeypatch):
    # The exact case works in 64 bits: its tensors (eye) must fit those it is given.
    if number == "A1":
        monkeypatch.setattr(torch, "eye", partial(torch.eye, dtype=torch.float64))
    taught, (shipped, draw) = definitions(_stem(number))[name], FUNCTIONS[number, name]
    for _ in range(20):
        arguments = draw()
        torch.testing.assert_close(taught(*arguments), shipped(*arguments))


@pytest.mark.parametrize(
    ("number", "name", "shipped"),
    [("01", "Autoencoder", vae.Autoencoder), ("04", "VAE", vae.VAE)],
)
def test_models_have_the_same_weights_and_outputs(number, name, shipped):
    taught_class = definitions(_stem(number))[name]
    torch.manual_seed(0)
    taught = taught_class(3, 11)
    torch.manual_seed(0)
    ours = shipped(3, 11)
    assert list(taught.state_dict()) == list(ours.state_dict())
    assert torch.equal(_weights(taught), _weights(ours))
    x = torch.rand(4, 1, 28, 28)
    outputs = []
    for model in (taught, ours):
        torch.manual_seed(1)
        outputs.append(model(x))
    torch.testing.assert_close(*outputs)


def test_the_closed_form_optimum_of_the_exact_case_is_the_helper():
    taught = definitions(_stem("A1"))["maximum_likelihood"]
    for _ in range(5):
        x = torch.randn(60, 5).double() @ torch.randn(5, 5).double()
        (w, b, s), (w2, b2, s2) = taught(x, 2), linear_gaussian.maximum_likelihood(x, 2)
        torch.testing.assert_close(w @ w.T, w2 @ w2.T)  # signs of the axes are free
        torch.testing.assert_close((b, s), (b2, s2))


def test_linear_autoencoder_agrees():
    taught = definitions(_stem("01"))["Autoencoder"](3, hidden=0)
    assert list(taught.state_dict()) == list(vae.Autoencoder(3, 0).state_dict())


@pytest.mark.parametrize("number", ["04", "05"])
def test_the_loss_of_lessons_04_and_05_is_the_helper(number):
    taught, model = definitions(_stem(number))["vae_loss"], vae.VAE(3, 11)
    x = torch.rand(4, 1, 28, 28)
    for beta in (1.0, 0.3, 4.0):
        found = []
        for loss in (taught, vae.vae_loss):
            torch.manual_seed(2)
            found.append(loss(model, x, beta))
        torch.testing.assert_close(*found)


def test_mean_terms_of_lesson_04_is_the_helper():
    taught, model = definitions(_stem("04"))["mean_terms"], vae.VAE(3, 11)
    found = []
    for measure in (taught, bounds.mean_terms):
        torch.manual_seed(2)
        found.append(measure(model, IMAGES))
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_the_loop_of_lesson_04_is_fit():
    taught, found = definitions(_stem("04"))["train"], []
    for loop in (taught, training.fit):
        torch.manual_seed(0)
        model = vae.VAE(3, 11)
        loop(model, IMAGES, vae.vae_loss, steps=20, lr=1e-3, seed=3)
        found.append(_weights(model))
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-5)


def test_the_loop_of_lesson_01_is_the_helper():
    taught, found = definitions(_stem("01"))["train_autoencoder"], []
    for loop in (taught, training.train_autoencoder):
        torch.manual_seed(0)
        model = vae.Autoencoder(3, 11)
        losses = loop(model, IMAGES, steps=20, seed=3)
        found.append((torch.tensor(losses), _weights(model)))
    torch.testing.assert_close(*found)


def test_reconstruction_probability_of_lesson_07_is_the_helper():
    taught, model = (
        definitions(_stem("07"))["reconstruction_probability"],
        vae.VAE(3, 11),
    )
    x, found = torch.rand(4, 1, 28, 28), []
    for function in (taught, anomaly.reconstruction_probability):
        torch.manual_seed(2)
        found.append(function(model, x, 3))
    torch.testing.assert_close(*found)


def test_every_definition_of_a_lesson_that_a_helper_shares_is_compared():
    shared = {}
    for stem in STEMS:
        names = definitions(stem)
        for module in MODULES:
            for name, value in vars(module).items():
                own = inspect.isfunction(value) or inspect.isclass(value)
                if own and value.__module__ == module.__name__ and name in names:
                    if names[name] is not value:
                        shared[stem[:2], name] = value
    compared = set(FUNCTIONS) | {
        ("A1", "maximum_likelihood"),
        ("01", "Autoencoder"),
        ("01", "train_autoencoder"),
        ("04", "VAE"),
        ("04", "vae_loss"),
        ("05", "vae_loss"),
        ("04", "mean_terms"),
        ("07", "reconstruction_probability"),
    }
    assert set(shared) == compared
