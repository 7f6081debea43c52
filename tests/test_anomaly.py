"""Scores, thresholds and intervals of lesson 07, held against oracles."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

from vae_helpers import anomaly
from vae_helpers.anomaly import NORMAL_VALIDATION, TEST, Scores, choose_threshold
from vae_helpers.distributions import bernoulli_log_likelihood


def _two_groups(seed, normal=60, anomalies=40, shift=1.0, digits=None):
    draw = np.random.default_rng(seed)
    a, b = draw.normal(size=normal), draw.normal(shift, size=anomalies)
    return (a.round(digits), b.round(digits)) if digits is not None else (a, b)


@pytest.mark.parametrize("seed", range(5))
def test_auroc_and_average_precision_equal_scikit_learn(seed):
    normal, strange = _two_groups(seed, digits=1)  # rounded: with ties
    labels = np.r_[np.zeros(60), np.ones(40)]
    values = np.r_[normal, strange]
    found = anomaly.auroc(normal, torch.tensor(strange), rounds=0)
    assert found.value == pytest.approx(roc_auc_score(labels, values))
    assert math.isnan(found.low) and math.isnan(found.high)
    found = anomaly.average_precision(normal, strange, rounds=0)
    assert found.value == pytest.approx(average_precision_score(labels, values))


@pytest.mark.parametrize("seed", range(5))
def test_the_weighted_forms_of_the_bootstrap_equal_scikit_learn(seed):
    draw = np.random.default_rng(seed)
    normal, strange = (draw.integers(0, 4, size=12).astype(float) for _ in range(2))
    labels, values = np.repeat([0, 1], 12), np.tile(np.arange(12.0), 2)
    weights = np.r_[normal, strange]
    for ours, theirs in [
        (anomaly._weighted_auroc, roc_auc_score),
        (anomaly._weighted_precision, average_precision_score),
    ]:
        wanted = theirs(labels, values, sample_weight=weights)
        assert ours(normal, strange) == pytest.approx(wanted)


def test_auroc_is_the_share_of_pairs_with_ties_as_one_half():
    normal, strange = torch.tensor([1.0, 2.0, 2.0]), torch.tensor([2.0, 3.0])
    # Six pairs: 2 > 1, 2 = 2 twice, 3 > everything.
    assert anomaly.auroc(normal, strange, rounds=0).value == pytest.approx(5 / 6)


def test_average_precision_at_a_rate_equals_a_test_set_with_that_rate():
    normal, strange = _two_groups(0, 90, 45)
    many = np.tile(normal, 5)  # 450 normal and 45 strange: a rate of 1 in 11
    wanted = anomaly.average_precision(many, strange, rounds=0).value
    found = anomaly.average_precision(
        normal, strange, anomaly_rate=1 / 11, rounds=0
    ).value
    assert found == pytest.approx(wanted)
    assert found < anomaly.average_precision(normal, strange, rounds=0).value


def test_scores_that_say_nothing_give_one_half_and_the_anomaly_rate():
    same = torch.ones(50)
    assert anomaly.auroc(same, same, rounds=0).value == 0.5
    found = anomaly.average_precision(same, same, anomaly_rate=0.02, rounds=0)
    assert found.value == pytest.approx(0.02)


def test_the_interval_covers_the_true_area_about_19_times_in_20():
    true = 0.5 * (1 + math.erf(1.0 / math.sqrt(2) / math.sqrt(2)))  # Phi(1 / sqrt(2))
    hits = []
    for seed in range(300):
        found = anomaly.auroc(*_two_groups(seed), rounds=100, seed=seed)
        assert found.low <= found.value <= found.high
        hits.append(found.low <= true <= found.high)
    assert 0.88 <= np.mean(hits) <= 0.99


def test_the_interval_shrinks_with_the_square_root_of_the_images():
    small = anomaly.auroc(*_two_groups(0, 100, 100))
    large = anomaly.auroc(*_two_groups(0, 1600, 1600))
    ratio = (small.high - small.low) / (large.high - large.low)
    assert 2.5 < ratio < 6


def test_equal_seeds_give_equal_intervals_and_the_global_stream_does_not_move():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, second = (anomaly.auroc(*_two_groups(1), rounds=20) for _ in range(2))
    assert first == second
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("bad", [[], [[1.0]], [math.nan]])
def test_bad_scores_are_refused(bad):
    with pytest.raises(ValueError):
        anomaly.auroc(torch.tensor(bad), torch.ones(3))
    with pytest.raises(ValueError):
        Scores(torch.tensor(bad), TEST)


def test_the_threshold_refuses_test_scores():
    with pytest.raises(ValueError, match="'test'"):
        choose_threshold(Scores(torch.arange(100.0), TEST), 0.05)


def test_scores_need_a_known_split():
    with pytest.raises(ValueError, match="'normal validation' or 'test'"):
        Scores(torch.arange(3.0), "train")


def test_the_threshold_on_hundred_scores():
    scores = Scores(torch.arange(1.0, 101.0).flip(0), NORMAL_VALIDATION)
    assert choose_threshold(scores, 0.05) == 96  # place ceil(101 * 0.95)
    nineteen = Scores(torch.arange(1.0, 20.0), NORMAL_VALIDATION)
    assert choose_threshold(nineteen, 0.05) == 19


def test_too_few_scores_cannot_promise_a_small_rate():
    scores = Scores(torch.arange(18.0), NORMAL_VALIDATION)
    with pytest.raises(ValueError, match="at least 19"):
        choose_threshold(scores, 0.05)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 5.0])
def test_the_rate_must_be_a_share(rate):
    with pytest.raises(ValueError, match="between 0 and 1"):
        choose_threshold(Scores(torch.arange(100.0), NORMAL_VALIDATION), rate)


@pytest.mark.parametrize("n", [39, 50, 123])
def test_the_threshold_keeps_its_promise_on_average(n):
    torch.manual_seed(0)
    rates = []
    for _ in range(3000):
        threshold = choose_threshold(Scores(torch.rand(n), NORMAL_VALIDATION), 0.1)
        rates.append(1 - threshold)  # of uniform scores this share lies above it
    mean, error = np.mean(rates), np.std(rates) / math.sqrt(3000)
    assert mean <= 0.1 + 4 * error
    assert mean >= 0.1 - 1 / (n + 1) - 4 * error


class OneLatent(nn.Module):
    """A decoder that is linear in one latent, and a posterior N(0.3, 0.8^2)."""

    weight = torch.tensor([[2.0, -1.0, 0.5, 1.0]])

    def encode(self, x):
        ones = torch.ones(len(x), 1)
        return 0.3 * ones, 2 * math.log(0.8) * ones

    def decode(self, z):
        return (z @ self.weight).view(-1, 1, 2, 2)


PICTURE = torch.tensor([1.0, 0.0, 1.0, 0.5]).view(1, 1, 2, 2)


def _exact_mean():
    grid = torch.linspace(0.3 - 8 * 0.8, 0.3 + 8 * 0.8, 4001).unsqueeze(1)
    weight = torch.exp(-0.5 * ((grid - 0.3) / 0.8) ** 2).flatten()
    logits = OneLatent().decode(grid)
    nats = bernoulli_log_likelihood(PICTURE.expand(4001, 1, 2, 2), logits)
    return (weight * nats).sum().item() / weight.sum().item()


def test_reconstruction_probability_is_the_mean_over_the_posterior():
    torch.manual_seed(0)
    model, many = OneLatent(), PICTURE.expand(2000, 1, 2, 2)
    found = anomaly.reconstruction_probability(model, many, 10)
    error = found.std().item() / math.sqrt(2000)
    assert found.mean().item() == pytest.approx(_exact_mean(), abs=4 * error)


def test_its_variance_falls_as_one_over_the_number_of_draws():
    torch.manual_seed(0)
    model, many = OneLatent(), PICTURE.expand(4000, 1, 2, 2)
    one = anomaly.reconstruction_probability(model, many, 1).var().item()
    ten = anomaly.reconstruction_probability(model, many, 10).var().item()
    assert 8 < one / ten < 12.5


def test_it_needs_a_draw():
    with pytest.raises(ValueError, match="at least 1"):
        anomaly.reconstruction_probability(OneLatent(), PICTURE, 0)
