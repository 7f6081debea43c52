"""Anomaly detection: scores that know where they come from, thresholds and intervals.

A score is one number for each image; **higher means stranger**.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor, nn

from vae_helpers.distributions import bernoulli_log_likelihood, reparameterize

NORMAL_VALIDATION, TEST = "normal validation", "test"


@dataclass(frozen=True, eq=False)
class Scores:
    """Anomaly scores of some images, with the part of the data that the images are from.

    Attributes:
        values: (N,) scores, higher means stranger.
        split: "normal validation" (normal images kept out of training and of the test)
            or "test".

    Raises:
        ValueError: another split, not one axis, no score, or a score that is not finite.
    """

    values: Tensor = field(repr=False)
    split: str

    def __post_init__(self) -> None:
        values = torch.as_tensor(self.values).detach().cpu().double()
        if self.split not in (NORMAL_VALIDATION, TEST):
            raise ValueError(
                f"split must be {NORMAL_VALIDATION!r} or {TEST!r}, got {self.split!r}"
            )
        if values.ndim != 1 or len(values) == 0:
            raise ValueError(f"need scores of shape (N,), got {tuple(values.shape)}")
        if not values.isfinite().all():
            bad = int((~values.isfinite()).sum())
            raise ValueError(f"{bad} of {len(values)} scores are not finite")
        object.__setattr__(self, "values", values)


def choose_threshold(scores: Scores, false_alarm_rate: float) -> float:
    """The threshold above which an image raises an alarm, from normal images alone.

    Of n validation scores it is the one in place ceil((n + 1) (1 - rate)), counted from
    the smallest. A new normal image, drawn as they were, scores above it with a
    probability of at most the rate, on average over validation sets.

    Args:
        scores: of normal validation images.
        false_alarm_rate: accepted share of normal images that raise an alarm, between
            0 and 1.

    Returns:
        One of the scores; an image is called strange when its score is above it.

    Raises:
        ValueError: the scores are not tagged as normal validation (a threshold chosen
            on test data flatters); the rate is not between 0 and 1; or the rate asks
            for more scores than there are.

    Source:
        Vovk et al. 2005, Algorithmic learning in a random world, section 4.1 (split
        conformal prediction). Taught in lesson 07.
    """
    if scores.split != NORMAL_VALIDATION:
        raise ValueError(
            f"a threshold needs scores of {NORMAL_VALIDATION!r} images, got "
            f"{scores.split!r}: chosen there it would flatter every number that follows"
        )
    if not 0 < false_alarm_rate < 1:
        raise ValueError(f"need a rate between 0 and 1, got {false_alarm_rate}")
    n = len(scores.values)
    place = math.ceil((n + 1) * (1 - false_alarm_rate) - 1e-9)  # 19.000000000000004
    if place > n:
        raise ValueError(
            f"{n} validation scores cannot promise a rate of {false_alarm_rate:g}; "
            f"at least {math.ceil(1 / false_alarm_rate - 1 - 1e-9)} are needed"
        )
    return scores.values.sort().values[place - 1].item()


@torch.no_grad()
def reconstruction_probability(model: nn.Module, x: Tensor, draws: int) -> Tensor:
    """Mean of log p(x | z) over fresh draws z from q(z | x).

    Args:
        model: has encode(x) -> (mu, logvar) and decode(z) -> logits.
        x: (B, C, H, W) pixels in [0, 1].
        draws: L, codes drawn for each image; every one is drawn anew.

    Returns:
        (B,) nats per image, summed over pixels; higher is more normal, so its negative
        is the score. (The name is An & Cho's; what is averaged is log p(x | z), the
        first term of the ELBO.)

    Raises:
        ValueError: draws is not a positive whole number.

    Source:
        An & Cho 2015, Variational autoencoder based anomaly detection using
        reconstruction probability, algorithm 4. Taught in lesson 07.
    """
    if draws < 1:
        raise ValueError(f"need at least 1 draw, got {draws}")
    mu, logvar = model.encode(x)
    total = torch.zeros(len(x), device=x.device)
    for _ in range(draws):
        z = reparameterize(mu, logvar)
        total = total + bernoulli_log_likelihood(x, model.decode(z))
    return total / draws


@dataclass(frozen=True)
class Estimate:
    """A metric with the ends of its confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def auroc(normal, anomalies, *, rounds: int = 200, seed: int = 0) -> Estimate:
    """Area under the ROC curve: the share of pairs in which the anomaly scores higher.

    Args:
        normal, anomalies: (N,) and (M,) scores, higher means stranger; a pair of equal
            scores counts one half.
        rounds: bootstrap rounds for the interval; 0 leaves it out (both ends NaN).
        seed: of the bootstrap.

    Returns:
        The area, 0 to 1 (0.5 for scores that say nothing), and a 95 % interval: the
        normal and the anomalous images are drawn again, with replacement, each among
        themselves. It covers the choice of test images, not the choice of a model.

    Raises:
        ValueError: no scores, more than one axis, or scores that are not finite.

    Source:
        Hanley & McNeil 1982; computed by scikit-learn. Taught in lesson 07.
    """
    return _with_interval(
        roc_auc_score, _weighted_auroc, normal, anomalies, None, rounds, seed
    )


def average_precision(
    normal,
    anomalies,
    *,
    anomaly_rate: float | None = None,
    rounds: int = 200,
    seed: int = 0,
) -> Estimate:
    """Average precision: the mean share of true alarms while the threshold falls.

    Args:
        normal, anomalies, rounds, seed: see `auroc`.
        anomaly_rate: share of anomalies in the stream for which the value shall hold;
            the test images are weighted to match. None takes the share in the test set.

    Returns:
        The value, 0 to 1 (the anomaly rate for scores that say nothing), and a 95 %
        bootstrap interval as in `auroc`. With few normal images and a small rate it
        leans upward: one normal image with a high score, when not drawn, lifts it.

    Raises:
        ValueError: as `auroc`, or a rate that is not between 0 and 1.

    Source:
        Davis & Goadrich 2006; computed by scikit-learn. Taught in lesson 07.
    """
    if anomaly_rate is not None and not 0 < anomaly_rate < 1:
        raise ValueError(f"need a rate between 0 and 1, got {anomaly_rate}")
    return _with_interval(
        average_precision_score,
        _weighted_precision,
        normal,
        anomalies,
        anomaly_rate,
        rounds,
        seed,
    )


def _as_scores(values, name: str) -> np.ndarray:
    array = torch.as_tensor(values).detach().cpu().double().numpy()
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"need {name} scores of shape (N,), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"some {name} scores are not finite")
    return array


def _weighted_auroc(normal: np.ndarray, anomalies: np.ndarray) -> float:
    """(G,), (G,) weights at the G different scores, smallest first -> area."""
    below = normal.cumsum() - 0.5 * normal  # a tie counts one half
    return anomalies @ below / (normal.sum() * anomalies.sum())


def _weighted_precision(normal: np.ndarray, anomalies: np.ndarray) -> float:
    """(G,), (G,) weights at the G different scores, smallest first -> mean precision."""
    hits, alarms = anomalies[::-1].cumsum(), (normal + anomalies)[::-1].cumsum()
    precision = hits / np.maximum(alarms, 1e-300)  # no alarm yet: its weight is 0
    return anomalies[::-1] @ precision / anomalies.sum()


def _with_interval(
    metric: Callable,
    resampled: Callable,
    normal,
    anomalies,
    rate: float | None,
    rounds: int,
    seed: int,
) -> Estimate:
    """The metric from scikit-learn, and its interval from a sort that is done once."""
    normal, anomalies = _as_scores(normal, "normal"), _as_scores(anomalies, "anomaly")
    n, m = len(normal), len(anomalies)
    share = m / (n + m) if rate is None else rate
    # One weight for each group: together they have the wanted share of anomalies.
    weights = np.repeat([(1 - share) / n, share / m], [n, m]) * (n + m)
    values = np.concatenate([normal, anomalies])
    value = metric(np.repeat([0, 1], [n, m]), values, sample_weight=weights)
    different, group = np.unique(values, return_inverse=True)
    generator, found = np.random.default_rng(seed), []
    for _ in range(rounds):
        drawn = generator.integers(n, size=n), n + generator.integers(m, size=m)
        parts = [
            weights[rows[0]] * np.bincount(group[rows], minlength=len(different))
            for rows in drawn
        ]
        found.append(resampled(*parts))
    low, high = np.quantile(found, [0.025, 0.975]) if found else (math.nan, math.nan)
    return Estimate(float(value), float(low), float(high))
