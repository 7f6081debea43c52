"""Active units and the mutual information gap: cases with a known answer."""

import math

import pytest
import torch
from sklearn.metrics import mutual_info_score

from vae_helpers.latents import (
    active_units,
    mutual_information_gap,
    traverse,
)
from vae_helpers.linear_gaussian import posterior
from vae_helpers.sprites import make_sprites


@pytest.fixture(scope="module")
def factors():
    return make_sprites().factors


def _rotation(seed, size=4):
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(size, size, generator=generator).double()).Q


def _standard(factors):
    values = factors.double()
    return (values - values.mean(0)) / values.std(0)


def test_active_units_counts_what_varies_and_not_what_is_large():
    torch.manual_seed(0)
    mu = torch.randn(5000, 4) * torch.tensor([1.0, 0.2, 0.05, 0.0]) + 7
    assert active_units(mu).tolist() == [True, True, False, False]
    assert active_units(mu, threshold=0.0).tolist() == [True, True, True, False]
    assert active_units(mu, threshold=0.1).tolist() == [True, False, False, False]
    assert not active_units(mu[:1].expand(9, 4)).any()


@pytest.mark.parametrize("noise", [0.1, 0.7, 1.4, 2.8, 20.0])
def test_active_units_of_the_exact_model_are_the_eigenvalues_above_the_noise(noise):
    torch.manual_seed(1)
    values = torch.tensor([9.0, 4.0, 2.0, 1.0, 0.5])
    x = torch.randn(400, 5).double()
    x = torch.linalg.qr(x - x.mean(0)).Q * (400 * values).sqrt()
    weight = torch.diag((values - noise).clamp_min(0).sqrt()).double()
    mean, _ = posterior(x, weight, torch.zeros(5), noise**0.5)
    assert active_units(mean).sum() == (values > noise).sum()


@pytest.mark.parametrize("shape", [(5,), (1, 3), (2, 3, 4)])
def test_active_units_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"need mu \(N, Z\)"):
        active_units(torch.zeros(shape))


def test_a_perfect_code_scores_one_whatever_its_order_scale_and_sign(factors):
    codes = factors.double()
    ones = torch.ones(4, dtype=torch.float64)
    torch.testing.assert_close(mutual_information_gap(codes, factors), ones)
    moved = -3 * codes[:, [2, 0, 3, 1]] + 5
    torch.testing.assert_close(mutual_information_gap(moved, factors), ones)


def test_an_empty_code_scores_zero(factors):
    gaps = mutual_information_gap(torch.full((1728, 3), 2.5), factors)
    torch.testing.assert_close(gaps, torch.zeros(4, dtype=torch.float64))


def test_a_factor_told_twice_has_no_gap(factors):
    twice = torch.cat([factors, factors[:, 1:2]], dim=1).double()
    gaps = mutual_information_gap(twice, factors)
    torch.testing.assert_close(gaps, torch.tensor([1.0, 0, 1, 1]).double())


def test_rotated_perfect_codes_score_about_a_fifth(factors):
    codes = _standard(factors)
    means = [
        mutual_information_gap(codes @ _rotation(seed), factors).mean().item()
        for seed in range(8)
    ]
    assert 0 < min(means) and max(means) < 0.6
    assert 0.1 < sum(means) / len(means) < 0.3


def test_the_number_worked_by_hand():
    # Latent 1 is the factor; latent 2 tells it for half of the items.
    factors = torch.tensor([0, 0, 1, 1, 0, 0, 1, 1])[:, None]
    second = torch.tensor([0.0, 0, 1, 1, 0, 0, 0, 0])
    codes = torch.stack([factors[:, 0].double(), second.double()], dim=1)
    p = torch.tensor([1 / 4, 1 / 2, 1 / 4]).double()  # (1, 1), (0, 0), (1, 0)
    q = torch.tensor([1 / 2 * 1 / 4, 1 / 2 * 3 / 4, 1 / 2 * 3 / 4]).double()
    told = (p * (p / q).log()).sum().item()
    gap = mutual_information_gap(codes, factors)
    assert gap.tolist() == pytest.approx([1 - told / math.log(2)])


def test_it_is_not_transposed():
    # More latents than factors, and each factor is told by its own latent.
    torch.manual_seed(2)
    factors = torch.randint(0, 4, (900, 3))
    codes = torch.cat([factors, factors[:, :1] + factors[:, 1:2]], dim=1).double()
    gaps = mutual_information_gap(codes, factors)
    assert gaps.shape == (3,)
    for k, v in enumerate(factors.T):
        entropy = mutual_info_score(v, v)
        best = max(mutual_info_score(v, codes[:, j].long()) for j in range(4) if j != k)
        assert gaps[k].item() == pytest.approx(1 - best / entropy)


def test_bad_input_is_named(factors):
    codes = factors.double()
    with pytest.raises(ValueError, match=r"got \(9, 4\) and \(1728, 4\)"):
        mutual_information_gap(codes[:9], factors)
    with pytest.raises(ValueError, match="at least 2 latents"):
        mutual_information_gap(codes[:, :1], factors)
    with pytest.raises(ValueError, match="finite"):
        mutual_information_gap(codes / 0, factors)
    with pytest.raises(ValueError, match="no entropy"):
        mutual_information_gap(codes, torch.zeros_like(factors))


def test_a_traversal_never_changes_the_others():
    torch.manual_seed(3)
    z, positions = torch.randn(4), torch.tensor([-2.0, 0.0, 2.0])
    before = z.clone()
    for latent in range(4):
        codes = traverse(z, latent, positions)
        assert torch.equal(codes[:, latent], positions)
        others = [k for k in range(4) if k != latent]
        assert torch.equal(codes[:, others], before[others].expand(3, 3))
    assert torch.equal(z, before)


@pytest.mark.parametrize(("shape", "latent"), [((2, 4), 0), ((4,), 4), ((4,), -1)])
def test_a_traversal_names_bad_input(shape, latent):
    with pytest.raises(ValueError, match="0 <= latent < Z"):
        traverse(torch.zeros(shape), latent, torch.zeros(2))
