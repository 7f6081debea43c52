"""The field's historic bugs, put back into the helpers: each must make a test fail."""

import inspect
import textwrap

import pytest
import test_anomaly
import test_disentanglement
import test_distributions
import test_linear_gaussian
import test_vae_and_bounds

from vae_helpers import (
    anomaly,
    bounds,
    distributions,
    latents,
    linear_gaussian,
    vae,
)

MUTANTS = {
    # name: (module, function, right text, wrong text, a test that must fail)
    "mean over pixels": (
        distributions,
        "bernoulli_log_likelihood",
        "-_sum_over_dimensions(nats)",
        "-nats.flatten(1).mean(1)",
        test_distributions.test_bernoulli_equals_torch_distributions_and_a_hand_sum,
    ),
    "exp(logvar) as sigma": (
        distributions,
        "reparameterize",
        "torch.exp(0.5 * logvar)",
        "torch.exp(logvar)",
        test_distributions.test_reparameterize_has_the_moments_and_the_gradients,
    ),
    "the same epsilon for ever": (
        distributions,
        "reparameterize",
        "torch.randn_like(mu)",
        "torch.ones_like(mu)",
        test_distributions.test_fresh_noise_differs_between_calls_images_and_dimensions,
    ),
    "one epsilon for all dimensions": (
        distributions,
        "reparameterize",
        "torch.randn_like(mu)",
        "torch.randn_like(mu[:, :1]).expand_as(mu)",
        test_distributions.test_fresh_noise_differs_between_calls_images_and_dimensions,
    ),
    "a detached sample": (
        distributions,
        "reparameterize",
        "return mu + torch.exp(0.5 * logvar) * eps",
        "return (mu + torch.exp(0.5 * logvar) * eps).detach()",
        test_vae_and_bounds.test_the_reconstruction_term_alone_teaches_the_encoder,
    ),
    "one half missing in the KL": (
        distributions,
        "kl_terms",
        "0.5 * (mu**2",
        "1.0 * (mu**2",
        test_distributions.test_kl_equals_torch_distributions,
    ),
    "sign of the KL": (
        distributions,
        "kl_terms",
        "return 0.5",
        "return -0.5",
        test_distributions.test_kl_is_zero_only_at_the_prior_and_never_negative,
    ),
    "KL averaged over latents": (
        distributions,
        "kl_to_standard_normal",
        ".sum(1)",
        ".mean(1)",
        test_distributions.test_kl_equals_monte_carlo,
    ),
    "KL in the wrong direction": (
        distributions,
        "kl_terms",
        "0.5 * (mu**2 + logvar.exp() - 1 - logvar)",
        "0.5 * ((mu**2 + 1) * (-logvar).exp() - 1 + logvar)",
        test_distributions.test_kl_equals_monte_carlo,
    ),
    "logvar taken for log sigma in the KL": (
        distributions,
        "kl_terms",
        "logvar.exp() - 1 - logvar",
        "(2 * logvar).exp() - 1 - 2 * logvar",
        test_distributions.test_kl_equals_torch_distributions,
    ),
    "logvar taken for sigma in the density": (
        distributions,
        "normal_log_prob",
        "torch.exp(-logvar)",
        "logvar**-2",
        test_distributions.test_log_densities_equal_torch_distributions,
    ),
    "the constant of the Gaussian forgotten": (
        distributions,
        "gaussian_log_likelihood",
        "0.5 * LOG_2PI + ",
        "",
        test_distributions.test_gaussian_equals_torch_distributions_and_may_be_positive,
    ),
    "one half missing beside the squared error": (
        distributions,
        "gaussian_log_likelihood",
        "0.5 * ((x - mean)",
        "1.0 * ((x - mean)",
        test_distributions.test_gaussian_equals_torch_distributions_and_may_be_positive,
    ),
    "sigma where its square belongs": (
        linear_gaussian,
        "elbo",
        "squares / sigma**2",
        "squares / sigma",
        lambda: test_linear_gaussian.test_diagonal_and_full_elbo_agree(0),
    ),
    "the trace term forgotten": (
        linear_gaussian,
        "elbo",
        "squares = squares + logvar.exp()",
        "squares + logvar.exp()",
        lambda: test_linear_gaussian.test_diagonal_and_full_elbo_agree(0),
    ),
    "the ELBO above the evidence": (
        linear_gaussian,
        "elbo_full",
        "return log_likelihood - kl",
        "return log_likelihood + kl",
        lambda: test_linear_gaussian.test_elbo_is_tight_at_the_posterior(0),
    ),
    "the eigenvalues of N - 1 in probabilistic PCA": (
        linear_gaussian,
        "_eigenvalues",
        "correction=0",
        "correction=1",
        lambda: test_linear_gaussian.test_fit_reaches_the_score_of_sklearn(0),
    ),
    "bits: multiplied by ln 2": (
        bounds,
        "bits_per_dimension",
        "nats / (dimensions * math.log(2))",
        "nats * math.log(2) / dimensions",
        test_vae_and_bounds.test_bits_per_dimension,
    ),
    "sigmoid twice": (
        distributions,
        "bernoulli_log_likelihood",
        "with_logits(logits, x",
        "with_logits(logits.sigmoid(), x",
        test_distributions.test_bernoulli_equals_torch_distributions_and_a_hand_sum,
    ),
    "pixels of 255 accepted": (
        distributions,
        "bernoulli_log_likelihood",
        "check_unit_interval(x)",
        "pass",
        lambda: test_distributions.test_pixels_outside_the_unit_interval_are_refused(
            255.0
        ),
    ),
    "shapes broadcast": (
        distributions,
        "bernoulli_log_likelihood",
        "_same_shape(x=x, logits=logits)",
        "pass",
        lambda: test_distributions.test_shapes_never_broadcast((1, 1, 28, 28)),
    ),
    "beta ignored": (
        vae,
        "vae_loss",
        "beta * kl",
        "kl",
        test_vae_and_bounds.test_the_derivative_with_respect_to_beta_is_the_kl,
    ),
    "KL missing in the loss": (
        vae,
        "vae_loss",
        "reconstruction + beta * kl",
        "reconstruction",
        test_vae_and_bounds.test_the_derivative_with_respect_to_beta_is_the_kl,
    ),
    "sum over the batch": (
        vae,
        "vae_loss",
        "(x, logits).mean()",
        "(x, logits).sum()",
        test_vae_and_bounds.test_the_loss_is_a_mean_over_images_of_sums,
    ),
    "the mean code reported as an ELBO": (
        bounds,
        "mean_terms",
        "model.decode(reparameterize(mu, logvar))",
        "model.decode(mu)",
        test_vae_and_bounds.test_one_sample_gives_the_elbo,
    ),
    "one z repeated S times": (
        bounds,
        "_bound",
        "z = reparameterize(m, v)",
        "z = reparameterize(mu, logvar).repeat_interleave(s, dim=0)",
        test_vae_and_bounds.test_the_importance_weighted_bound_climbs_to_the_exact_value,
    ),
    "mean of logs": (
        bounds,
        "_bound",
        ".logsumexp(1)",
        ".mean(1) + math.log(s)",
        test_vae_and_bounds.test_the_importance_weighted_bound_climbs_to_the_exact_value,
    ),
    "active units from the standard deviation": (
        latents,
        "active_units",
        "mu.var(0, correction=0)",
        "mu.std(0, correction=0)",
        test_disentanglement.test_active_units_counts_what_varies_and_not_what_is_large,
    ),
    "active units over the wrong axis": (
        latents,
        "active_units",
        "mu.var(0,",
        "mu.var(1,",
        test_disentanglement.test_active_units_counts_what_varies_and_not_what_is_large,
    ),
    "transposed mutual information": (
        latents,
        "mutual_information_gap",
        "for latent in cut.T)",
        "for latent in cut.reshape(cut.shape[1], -1))",
        test_disentanglement.test_it_is_not_transposed,
    ),
    "the gap without the second best": (
        latents,
        "mutual_information_gap",
        "scores[-1] - scores[-2]",
        "scores[-1]",
        test_disentanglement.test_it_is_not_transposed,
    ),
    "aliasing traversal": (
        latents,
        "traverse",
        "codes = z.repeat(len(positions), 1)",
        "z[latent] = positions[-1]\n    codes = z.repeat(len(positions), 1)",
        test_disentanglement.test_a_traversal_never_changes_the_others,
    ),
    "log S forgotten": (
        bounds,
        "_bound",
        "log_sum - math.log(samples)",
        "log_sum",
        test_vae_and_bounds.test_the_importance_weighted_bound_climbs_to_the_exact_value,
    ),
    "a threshold on test data": (
        anomaly,
        "choose_threshold",
        "scores.split != NORMAL_VALIDATION",
        "False",
        test_anomaly.test_the_threshold_refuses_test_scores,
    ),
    "the quantile on the wrong side": (
        anomaly,
        "choose_threshold",
        "(1 - false_alarm_rate)",
        "false_alarm_rate",
        test_anomaly.test_the_threshold_on_hundred_scores,
    ),
    "L repeats of one z": (
        anomaly,
        "reconstruction_probability",
        "    for _ in range(draws):\n        z = reparameterize(mu, logvar)\n",
        "    z = reparameterize(mu, logvar)\n    for _ in range(draws):\n",
        test_anomaly.test_its_variance_falls_as_one_over_the_number_of_draws,
    ),
    "ties of the AUROC count 1": (
        anomaly,
        "_weighted_auroc",
        "normal.cumsum() - 0.5 * normal",
        "normal.cumsum()",
        lambda: (
            test_anomaly.test_the_weighted_forms_of_the_bootstrap_equal_scikit_learn(0)
        ),
    ),
}


def _mutate(monkeypatch, module, name, right, wrong):
    source = textwrap.dedent(inspect.getsource(getattr(module, name)))
    assert source.count(right) >= 1, f"{right!r} is no longer in {name}"
    namespace = dict(vars(module))
    exec(compile(source.replace(right, wrong), f"mutant of {name}", "exec"), namespace)
    mutant, original = namespace[name], getattr(module, name)
    users = (test_vae_and_bounds, test_disentanglement, anomaly, test_anomaly)
    for place in (distributions, bounds, vae, linear_gaussian, latents, *users):
        if getattr(place, name, None) is original:
            monkeypatch.setattr(place, name, mutant)


@pytest.mark.slow
@pytest.mark.parametrize("bug", MUTANTS)
def test_a_historic_bug_makes_a_test_fail(monkeypatch, bug):
    module, name, right, wrong, test = MUTANTS[bug]
    test()  # it passes before
    _mutate(monkeypatch, module, name, right, wrong)
    # An assertion of the test must find it: a mutant that stops with an error of its own
    # proves nothing. (pytest.fail is what `pytest.raises` does when nothing is raised.)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test()
