"""Figures of the course: one style, colour-blind safe, labelled axes, white background."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from cycler import cycler
from matplotlib.axes import Axes
from torch import Tensor

from vae_helpers import pictures

# Okabe & Ito's palette; line styles and markers give the second cue beside colour.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
LINES = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1))]
# Ten colours for ten classes (Petroff 2021, arXiv:2107.02270, ten-colour sequence), which
# stay apart for colour-blind readers; each class is also marked by its digit.
CLASS_COLOURS = ["#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"]
CLASS_COLOURS += ["#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"]
GAP = 2  # white pixels between two images of a grid


_INK = [
    "axes.edgecolor",
    "axes.labelcolor",
    "legend.labelcolor",
    "patch.edgecolor",
    "text.color",
    "xtick.color",
    "xtick.labelcolor",
    "ytick.color",
    "ytick.labelcolor",
    "hatch.color",
    "boxplot.boxprops.color",
    "boxplot.capprops.color",
    "boxplot.flierprops.color",
    "boxplot.flierprops.markeredgecolor",
    "boxplot.whiskerprops.color",
]
_PAPER = [
    "axes.facecolor",
    "figure.edgecolor",
    "figure.facecolor",
    "legend.facecolor",
    "savefig.facecolor",
]


def style() -> None:
    """Set the course's look for all figures that follow; calling it twice is harmless.

    In a notebook every figure is drawn sharp, with its description as alternative text.
    """
    pictures.show_in_notebooks()
    plt.rcParams.update(
        {
            # Every colour that a dark style or a start-up file may have changed.
            **{name: "black" for name in _INK},
            **{name: "white" for name in _PAPER},
            "lines.color": COLOURS[0],
            "grid.color": "#b0b0b0",
            "text.usetex": False,
            "axes.grid": True,
            "axes.prop_cycle": cycler(color=COLOURS, linestyle=LINES),
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.titlesize": 11,
            "figure.constrained_layout.use": True,
            "figure.dpi": 100,
            "font.size": 10,
            "grid.alpha": 0.3,
            "image.cmap": "gray",
            "image.interpolation": "nearest",
            "legend.frameon": False,
        }
    )


def _as_numpy(x: Tensor) -> np.ndarray:
    return torch.as_tensor(x).detach().cpu().float().numpy()


def tile(images: Tensor, columns: int, gap: int = 0) -> np.ndarray:
    """(N, C, H, W) images -> one picture, row by row.

    Args:
        images: C = 1 (grey) or 3 (colour).
        columns: images in a row.
        gap: white pixels between two images.

    Returns:
        (rows * (H + gap) - gap, columns * (W + gap) - gap) for grey images, with a third
        axis of 3 for colour.

    Raises:
        ValueError: another shape, or N is not a multiple of columns.
    """
    values = _as_numpy(images)
    if values.ndim != 4 or values.shape[1] not in (1, 3):
        cure = ": images.unsqueeze(1)" if values.ndim == 3 else ""
        raise ValueError(
            f"need images (N, 1, H, W) or (N, 3, H, W), got {values.shape}{cure}"
        )
    n, channels, height, width = values.shape
    if n % columns:
        raise ValueError(f"{n} images do not fill rows of {columns}")
    if gap:
        around = ((0, 0), (0, 0), (0, gap), (0, gap))
        values = np.pad(values, around, constant_values=_white(torch.as_tensor(images)))
        height, width = height + gap, width + gap
    grid = values.reshape(n // columns, columns, channels, height, width)
    grid = grid.transpose(0, 3, 1, 4, 2)
    grid = grid.reshape(-1, columns * width, channels)[: -gap or None, : -gap or None]
    return grid[..., 0] if channels == 1 else grid


def _white(images: Tensor) -> int:
    """The value of a white pixel: 255 for bytes, 1 for floats; others are refused."""
    if images.dtype == torch.uint8:
        return 255
    kind = str(images.dtype).removeprefix("torch.")
    if not images.is_floating_point() and images.dtype != torch.bool:
        raise ValueError(f"need uint8 images or floats from 0 to 1, got {kind}")
    # Noise goes beyond 1, and is shown as white; pictures of 8 bits go up to 255.
    if images.numel() and images.max() > 25:
        raise ValueError(
            f"need floats from 0 (black) to 1 (white), got {kind} up to "
            f"{images.max():g}; divide 8-bit images by 255"
        )
    return 1


def show_images(
    images: Tensor,
    columns: int,
    *,
    title: str = "",
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    width: float | None = None,
    ax: Axes | None = None,
) -> None:
    """Draw images as one grid, row by row.

    Args:
        images: (N, 1, H, W) or, in colour, (N, 3, H, W); uint8, or floats, which are
            shown from 0 (black) to 1. A NumPy array will do.
        columns: images in a row; N must be a multiple of it.
        title, row_labels, column_labels: text beside the grid.
        width: of the images in inches, at most; None takes 0.6 for each column.
        ax: where to draw; None makes a figure in which every pixel of an image is a whole
            number of pixels of the page.

    Raises:
        ValueError: another shape or type of number, or floats that go up to 255.
    """
    images = torch.as_tensor(images)
    picture, top = tile(images, columns, GAP), _white(images)
    if picture.ndim == 3:
        picture = (picture / top).clip(0, 1)  # colours have no vmin and vmax
    if ax is None:
        ax = _whole_pixels(*picture.shape[:2], (width or 0.6 * columns))
    ax.imshow(picture, vmin=0, vmax=top, aspect="equal")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    down, across = (size + GAP for size in images.shape[-2:])
    half = 0.5 * (GAP + 1)  # imshow's first pixel has its middle at 0
    columns_at = [across * (i + 0.5) - half for i in range(len(column_labels))]
    ax.set_xticks(columns_at, column_labels)
    ax.set_yticks([down * (i + 0.5) - half for i in range(len(row_labels))], row_labels)
    ax.tick_params(length=0)
    if column_labels:
        ax.xaxis.tick_top()
    ax.set_title(title)


def _whole_pixels(down: int, across: int, width: float) -> Axes:
    """Axes for a picture, with a whole number of the page's pixels for each of its own.

    They fill the figure: labels stand outside it, and the notebook makes room for them.
    """
    dpi = plt.rcParams["figure.dpi"]
    each = max(1, round(width * dpi / across)) / dpi
    figure = plt.figure(figsize=(each * across, each * down), layout="none")
    return figure.add_axes((0, 0, 1, 1))


def show_heat(
    values: Tensor,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    *,
    middle: float = 50.0,
    reach: float = 50.0,
    form: str = ".0f",
    ax: Axes | None = None,
) -> None:
    """Draw a table as coloured cells with their numbers: blue above the middle, red below.

    Args:
        values: (rows, columns); NaN leaves a cell white and without a number.
        row_labels, column_labels: one for each row and column.
        middle: the value that is white.
        reach: distance from the middle at which a colour is full.
        form: how a number is written, as in an f-string.
        ax: where to draw; None makes a figure.
    """
    table = _as_numpy(values)
    rows, columns = table.shape
    if ax is None:
        size = (1.5 + 0.5 * columns, 0.8 + 0.3 * rows)
        ax = plt.figure(figsize=size).add_subplot()
    ends = {"vmin": middle - reach, "vmax": middle + reach}
    ax.imshow(table, cmap="RdBu", aspect="auto", **ends)
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            ink = "white" if abs(value - middle) > 0.65 * reach else "black"
            where = {"ha": "center", "va": "center", "fontsize": 9}
            ax.text(column, row, format(value, form), color=ink, **where)
    ax.set_xticks(range(columns), column_labels)
    ax.set_yticks(range(rows), row_labels)
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)


def show_curves(
    steps: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    xlabel: str = "training step",
    ylabel: str = "nats per image",
    ax: Axes | None = None,
) -> None:
    """Draw named curves over common steps, each with a colour and a line style."""
    ax = ax or plt.figure(figsize=(5.5, 3.4)).add_subplot()
    for name, values in curves.items():
        ax.plot(steps, values, label=name)
    ax.set(title=title, xlabel=xlabel, ylabel=ylabel)
    ax.legend()


def show_codes(codes: Tensor, labels: Tensor, *, title: str = "", ax=None) -> None:
    """Scatter 2-D codes; each class has a colour, and its number where it is densest.

    Raises:
        ValueError: codes are not (N, 2).
    """
    if codes.ndim != 2 or codes.shape[1] != 2:
        raise ValueError(f"need codes of shape (N, 2), got {tuple(codes.shape)}")
    ax = ax or plt.figure(figsize=(5, 4.6)).add_subplot()
    points, classes = _as_numpy(codes), torch.as_tensor(labels).numpy()
    order = np.random.default_rng(0).permutation(len(points))  # no class covers another
    colours = [CLASS_COLOURS[value % 10] for value in classes[order]]
    ax.scatter(*points[order].T, s=6, color=colours, alpha=0.6, linewidths=0)
    for value, place in _dense_places(points, classes).items():
        box = {"boxstyle": "circle,pad=0.15", "fc": "white", "lw": 1.8}
        box["ec"] = CLASS_COLOURS[value % 10]
        ax.text(*place, str(value), ha="center", va="center", bbox=box, fontsize=9)
    ax.set(title=title, xlabel="code, dimension 1", ylabel="code, dimension 2")


def _dense_places(points: np.ndarray, classes: np.ndarray, cells: int = 30) -> dict:
    """Class -> a point where many of its points lie, away from the other classes' places."""
    low, size = points.min(axis=0), np.ptp(points, axis=0) + 1e-12
    places: dict = {}
    for value in np.unique(classes):
        where = (points[classes == value] - low) / size
        counts, *edges = np.histogram2d(*where.T, cells, range=[[0, 1], [0, 1]])
        padded = np.pad(counts, 1)
        dense = sum(
            padded[i : i + cells, j : j + cells] for i in (0, 1, 2) for j in (0, 1, 2)
        )
        best = np.unravel_index(np.argsort(-dense, axis=None), dense.shape)
        middles = (np.stack(best, axis=1) + 0.5) / cells
        near = [np.linalg.norm(middles - at, axis=1) < 0.07 for at in places.values()]
        free = middles[~np.any(near, axis=0)] if near else middles
        places[value] = free[0]
    return {value: low + at * size for value, at in places.items()}


def square_of_codes(limit: float, side: int) -> Tensor:
    """(side * side, 2) codes on a square grid from -limit to limit.

    In picture order: the first row is the top, the first column the left.
    """
    line = torch.linspace(-limit, limit, side)
    y, x = torch.meshgrid(line.flip(0), line, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)
