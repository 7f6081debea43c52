"""Targets of lesson 05's open exercise, on a curve that is known."""

import math

import pytest

from vae_helpers.checks import capacity

AXES, NOISE = (8.0, 4.0, 2.0, 1.0), 0.2


def _point(beta):
    """Rate and distortion, up to a constant, of the exact linear model."""
    level = beta * NOISE
    rate = sum(max(0.0, 0.5 * math.log(v / level)) for v in AXES)
    return rate, sum(min(v, level) for v in AXES) / (2 * NOISE)


CURVE = {beta: _point(beta) for beta in (1.0, 4.0, 8.0)}


@pytest.mark.parametrize("beta", [1.5, 2.0, 3.0, 5.0, 7.0])
def test_the_exact_curve_lies_between_tangents_and_chord(beta):
    rate, distortion = _point(beta)
    low, high = capacity.bracket(CURVE, rate)
    assert low < distortion < high


def test_a_rate_outside_the_models_has_no_upper_bound():
    assert capacity.bracket(CURVE, 20.0)[1] == math.inf
    assert capacity.bracket(CURVE, CURVE[4.0][0]) == pytest.approx([CURVE[4.0][1]] * 2)


def test_targets_are_medians_of_the_seeds_under_a_fold():
    points = {
        (beta, seed): {"rate": r + seed - 1, "distortion": d}
        for beta, (r, d) in CURVE.items()
        for seed in range(3)
    }
    gaps = {key: 0.1 for key in points}
    shown = capacity.where_to_arrive(
        points, gaps, [0.02, 0.3], (2.0, 20.0), "600 steps."
    )
    low, high = capacity.bracket(CURVE, 2.0)
    assert shown.rows == [
        ("2", f"{low:.1f} to {high:.1f}", f"{low + 2:.1f} to {high + 2:.1f}")
    ]
    page = shown._repr_html_()
    assert page.startswith("<details>") and "600 steps." in page and "0.020" in page
    assert "0.300 for rotated codes" in repr(shown)
