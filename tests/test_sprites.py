"""Sprites: every combination once, the factors mean what they say, bad sizes refused."""

import pytest
import torch

from vae_helpers.sprites import NAMES, make_sprites


@pytest.fixture(scope="module")
def sprites():
    return make_sprites()


def _white(images):
    return (images > 0).flatten(1).sum(1).double()


def test_every_combination_appears_once_and_every_picture_differs(sprites):
    assert sprites.names == NAMES and sprites.sizes == (3, 4, 12, 12)
    assert sprites.images.shape == (1728, 1, 32, 32)
    assert sprites.images.dtype == torch.uint8
    assert sprites.images.unique().tolist() == [0, 255]
    assert len(sprites.factors.unique(dim=0)) == 1728
    assert len(sprites.images.flatten(1).unique(dim=0)) == 1728


def test_two_calls_give_the_same_pictures(sprites):
    assert torch.equal(make_sprites().images, sprites.images)


def test_nothing_is_cut_off(sprites):
    # A figure that leaves the picture would lose white pixels at the outer places.
    for shape in range(3):
        for scale in range(4):
            own = (sprites.factors[:, :2] == torch.tensor([shape, scale])).all(1)
            white = _white(sprites.images[own])
            assert white.max() - white.min() <= 0.2 * white.mean() + 6


def test_x_moves_right_and_y_moves_down(sprites):
    weight = (sprites.images > 0).double()[:, 0]
    place = torch.arange(32).double()
    total = weight.sum((1, 2))
    across = (weight.sum(1) @ place) / total
    down = (weight.sum(2) @ place) / total
    for column, centre in ((2, across), (3, down)):
        means = [centre[sprites.factors[:, column] == k].mean() for k in range(12)]
        assert torch.stack(means).diff().min() > 0.5


def test_scale_sets_the_area_and_shape_hardly_does(sprites):
    white, (shape, scale) = _white(sprites.images), sprites.factors.T[:2]
    areas = torch.stack([white[scale == k].mean() for k in range(4)])
    assert (areas[1:] / areas[:-1] > 1.3).all()
    for k in range(4):
        by_shape = [white[(scale == k) & (shape == s)].mean() for s in range(3)]
        assert max(by_shape) / min(by_shape) < 1.05


def test_other_sizes_work():
    small = make_sprites(28, scales=1, positions=2)
    assert small.images.shape == (12, 1, 28, 28) and small.sizes == (3, 1, 2, 2)


@pytest.mark.parametrize("bad", [(15, 4, 12), (32, 0, 12), (32, 4, 0)])
def test_bad_sizes_are_named(bad):
    with pytest.raises(ValueError, match=", ".join(map(str, bad[:2]))):
        make_sprites(*bad)
