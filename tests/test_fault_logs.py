"""The logs of lesson 04's exercise show what its text says of them."""

import math

import pytest
import torch
from lesson_source import notebook
from torch.distributions import Bernoulli

from vae_helpers.checks import fault_logs
from vae_helpers.checks.fault_logs import FAULTS, LOGS, train

PIXELS = fault_logs.SIDE**2
ROW = math.log(fault_logs.SIDE)  # nats to name one of the rows
NOISE = PIXELS * Bernoulli(0.9).entropy().item()
ENTROPY = NOISE + ROW
AVERAGE = PIXELS * Bernoulli(0.2).entropy().item()
BLIND = PIXELS * math.log(2)
MARGIN = 0.6  # three standard errors of a line


def _columns(fault=""):
    lines = train(fault)
    names = ("reconstruction", "kl", "loss", "sigma")
    return [[getattr(line, name) for line in lines] for name in names]


def test_the_healthy_run_ends_between_the_entropy_and_the_average_image():
    reconstruction, kl, loss, sigma = _columns()
    assert ENTROPY - MARGIN < loss[-1] < AVERAGE
    assert reconstruction[0] == pytest.approx(BLIND, abs=1)
    assert kl[-1] > ROW and sigma[-1] < 0.8


def test_an_encoder_that_is_not_trained_keeps_kl_and_sigma():
    reconstruction, kl, _, sigma = _columns("encoder")
    assert max(kl) - min(kl) < 0.1 * kl[0] and max(sigma) - min(sigma) < 0.02
    assert reconstruction[-1] == pytest.approx(AVERAGE, abs=MARGIN)


def test_a_decoded_mean_leaves_sigma_at_one_and_prints_less_than_the_entropy():
    _, kl, loss, sigma = _columns("mean code")
    assert all(abs(s - 1) < 0.05 for s in sigma)
    assert kl[-1] < 0.5 * ROW and loss[-1] < ENTROPY - MARGIN


def test_a_rewarded_kl_grows_from_line_to_line():
    reconstruction, kl, loss, _ = _columns("sign")
    assert all(b > 10 * a for a, b in zip(kl, kl[1:], strict=False))
    assert loss[-1] < 0 and math.isfinite(kl[-1])
    assert loss[1] == pytest.approx(reconstruction[1] - kl[1], rel=1e-4)


def test_a_kl_at_a_quarter_ends_with_the_smallest_sigma():
    _, kl, loss, sigma = _columns("latent mean")
    others = [_columns(fault)[3][-1] for fault in ("", *LOGS.values())]
    assert sigma[-1] == min(others) < 0.6 * _columns()[3][-1]
    assert loss[-1] < ENTROPY - MARGIN / 2 < loss[-1] + 3 * kl[-1]


def test_two_sigmoids_stop_at_log_two_for_each_pixel():
    reconstruction, kl, _, sigma = _columns("two sigmoids")
    assert min(reconstruction) > BLIND - 0.1 and reconstruction[0] > BLIND + 5
    assert kl[-1] < 0.01 and abs(sigma[-1] - 1) < 0.02


def test_a_mean_over_pixels_is_below_one_from_the_first_line():
    assert max(_columns("pixel mean")[0]) < 1


def test_logs_leave_random_numbers_alone_and_are_the_same_in_every_call():
    torch.manual_seed(3)
    before, first = torch.get_rng_state(), train("sign")
    train.cache_clear()
    assert train("sign") == first
    assert torch.equal(torch.get_rng_state(), before)


def test_the_table_of_the_lesson_has_the_names_of_the_faults():
    cells = [c.source for c in notebook("04_vae_in_pytorch", True).cells]
    table = next(c for c in cells if "| Name | What is wrong in the code |" in c)
    assert all(f"| `{name}` |" in table for name in FAULTS)
    assert set(LOGS.values()) < set(FAULTS)
    assert all(log in repr(fault_logs.four_logs()) for log in ("log A", "log D"))
