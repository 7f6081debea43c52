"""Pictures made by rule, of which every factor is known: shape, scale, x and y."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

SHAPES = ("square", "disc", "triangle")
NAMES = ("shape", "scale", "x", "y")


@dataclass(frozen=True, eq=False)
class Sprites:
    """All combinations of the four factors, one white figure on black each.

    Attributes:
        images: (N, 1, side, side) uint8, every pixel 0 or 255.
        factors: (N, 4) int64; column k counts the values of factor k from 0.
        names: names of the columns: shape, scale, x (left to right), y (top to bottom).
        sizes: how many values each factor takes; N is their product.
    """

    images: Tensor = field(repr=False)
    factors: Tensor = field(repr=False)
    names: tuple[str, ...]
    sizes: tuple[int, ...]


def make_sprites(side: int = 32, scales: int = 4, positions: int = 12) -> Sprites:
    """Draw every combination of 3 shapes, `scales` sizes and `positions`^2 places.

    Equal arguments give equal pictures; nothing is random. At one scale the three
    shapes cover about the same area, so that counting white pixels does not tell them
    apart.

    Args:
        side: height and width of the pictures in pixels, 16 at least.
        scales: number of sizes, 1 at least. The smallest square is 3/16 of `side`
            wide, the largest 6/16.
        positions: number of places in x and in y, 1 at least.

    Returns:
        The sprites in the order of their factors; the last factor, y, runs fastest.

    Raises:
        ValueError: an argument is too small; the message gives it.

    Source:
        The idea is that of dSprites (Matthey et al. 2017); the drawing is our own.
        Used in lesson 05.
    """
    if side < 16 or scales < 1 or positions < 1:
        raise ValueError(
            f"need side >= 16, scales >= 1 and positions >= 1, got {side}, {scales} "
            f"and {positions}"
        )
    sizes = (len(SHAPES), scales, positions, positions)
    counts = [torch.arange(n) for n in sizes]
    factors = torch.cartesian_prod(*counts)  # (N, 4)
    half = torch.linspace(1.5, 3.0, scales, dtype=torch.float64) / 16 * side
    reach = 2**0.5 * half.max() + 0.5  # half a pixel beyond the largest triangle
    centre = torch.linspace(reach, side - reach, positions, dtype=torch.float64)
    pixel = torch.arange(side, dtype=torch.float64) + 0.5  # centres of the pixels
    h = half[factors[:, 1], None, None]
    u = (pixel[None, None, :] - centre[factors[:, 2], None, None]) / h  # (N, 1, side)
    v = (pixel[None, :, None] - centre[factors[:, 3], None, None]) / h  # (N, side, 1)
    inside = (_square(u, v), _disc(u, v), _triangle(u, v))
    shape = factors[:, 0, None, None]
    white = sum((shape == number) & mask for number, mask in enumerate(inside))
    return Sprites(255 * white.to(torch.uint8)[:, None], factors, NAMES, sizes)


# Each takes the distance from the centre in half widths of the square: area 4.


def _square(u: Tensor, v: Tensor) -> Tensor:
    return (u.abs() <= 1) & (v.abs() <= 1)


def _disc(u: Tensor, v: Tensor) -> Tensor:
    return u**2 + v**2 <= 4 / torch.pi


def _triangle(u: Tensor, v: Tensor) -> Tensor:
    """Point upwards; base and height 2 * sqrt(2), centred on its box."""
    height = 2 * 2**0.5
    below_tip = v + height / 2  # 0 at the tip, `height` at the base
    return (below_tip <= height) & (2 * u.abs() <= below_tip)
