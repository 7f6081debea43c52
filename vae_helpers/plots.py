"""Figures of the course: one style, colour-blind safe, labelled axes, white background."""

import sys
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

# Okabe & Ito's palette; line styles and markers give the second cue beside colour.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]
LINES = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1))]
# Ten colours for ten classes, each also marked by its digit.
CLASS_COLOURS = COLOURS + ["#882255", "#999933", "#888888"]


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

    In a notebook every figure also gets its description as alternative text.
    """
    _describe_in_notebooks()
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


def describe(figure: Figure) -> str:
    """What a figure shows, in words taken from its titles, axes, labels and legends."""
    panels = []
    for ax in figure.axes:
        words = [ax.get_title()] if ax.get_title() else []
        if ax.get_xlabel() and ax.get_ylabel():
            words.append(f"{ax.get_ylabel()} against {ax.get_xlabel()}")
        elif ax.get_ylabel() or ax.get_xlabel():
            words.append(ax.get_ylabel() or ax.get_xlabel())
        if ax.images and not (ax.get_xlabel() or ax.get_ylabel()):
            labels = [t.get_text() for t in ax.get_yticklabels() if t.get_text()]
            words.append(f"images in rows: {', '.join(labels)}" if labels else "images")
        _, names = ax.get_legend_handles_labels()
        if names:
            words.append(f"shown: {', '.join(dict.fromkeys(names))}")
        if words:
            panels.append("; ".join(" ".join(word.split()) for word in words))
    title = [figure.get_suptitle()] if figure.get_suptitle() else []
    return ". ".join(["Figure", *title, *panels]) + "."


def _describe_in_notebooks() -> None:
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    if shell and hasattr(shell, "kernel"):
        if _add_descriptions not in shell.events.callbacks["pre_run_cell"]:
            # The inline backend sets its printer at the end of the cell that loads it:
            # load it now, and add to that printer before the next cell. Servers export
            # MPLBACKEND=Agg, with which a notebook would show no figure at all.
            shown = plt.get_backend()
            if shown.lower() == "agg":
                shell.run_line_magic("matplotlib", "inline")
            else:
                plt.switch_backend(shown)
            shell.events.register("pre_run_cell", _add_descriptions)


def _add_descriptions(_info: object = None) -> None:
    """Let the notebook's printer of figures hand on their descriptions."""
    shell = sys.modules["IPython"].get_ipython()
    printers = shell.display_formatter.formatters["image/png"]
    printer = printers.type_printers.get(Figure)
    if printer and not hasattr(printer, "describes"):

        def described(figure: Figure) -> tuple:
            return printer(figure), {"alt": describe(figure)}

        described.describes = True
        printers.for_type(Figure, described)


def _as_numpy(x: Tensor) -> np.ndarray:
    return torch.as_tensor(x).detach().cpu().float().numpy()


def tile(images: Tensor, columns: int) -> np.ndarray:
    """(N, C, H, W) images -> one picture, row by row.

    Args:
        images: C = 1 (grey) or 3 (colour).
        columns: images in a row.

    Returns:
        (rows * H, columns * W) for grey images, (rows * H, columns * W, 3) for colour.

    Raises:
        ValueError: another shape, or N is not a multiple of columns.
    """
    pictures = _as_numpy(images)
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3):
        cure = ": images.unsqueeze(1)" if pictures.ndim == 3 else ""
        raise ValueError(
            f"need images (N, 1, H, W) or (N, 3, H, W), got {pictures.shape}{cure}"
        )
    n, channels, height, width = pictures.shape
    if n % columns:
        raise ValueError(f"{n} images do not fill rows of {columns}")
    grid = pictures.reshape(n // columns, columns, channels, height, width)
    grid = grid.transpose(0, 3, 1, 4, 2)
    grid = grid.reshape(-1, columns * width, channels)
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
        width: of the figure in inches; None takes 0.65 for each column.
        ax: where to draw; None makes a figure.

    Raises:
        ValueError: another shape or type of number, or floats that go up to 255.
    """
    images = torch.as_tensor(images)
    picture, top = tile(images, columns), _white(images)
    if picture.ndim == 3:
        picture = (picture / top).clip(0, 1)  # colours have no vmin and vmax
    if ax is None:
        across = width or max(3.0, 0.65 * columns + (1.2 if row_labels else 0))
        rows = len(images) // columns
        down = 0.65 * rows * (across / (0.65 * columns)) if width else 0.65 * rows
        down += 0.4 * bool(title) + 0.3 * bool(column_labels)
        ax = plt.figure(figsize=(across, max(down, 0.9))).add_subplot()
    ax.imshow(picture, vmin=0, vmax=top, aspect="equal")
    ax.grid(False)
    ax.spines[:].set_visible(False)
    height, side = images.shape[-2:]
    ax.set_xticks([side * (i + 0.5) for i in range(len(column_labels))], column_labels)
    ax.set_yticks([height * (i + 0.5) for i in range(len(row_labels))], row_labels)
    ax.tick_params(length=0)
    if column_labels:
        ax.xaxis.tick_top()
    ax.set_title(title)


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
    """Scatter 2-D codes; each class has a colour and its number at its median.

    Raises:
        ValueError: codes are not (N, 2).
    """
    if codes.ndim != 2 or codes.shape[1] != 2:
        raise ValueError(f"need codes of shape (N, 2), got {tuple(codes.shape)}")
    ax = ax or plt.figure(figsize=(5, 4.6)).add_subplot()
    points, classes = _as_numpy(codes), torch.as_tensor(labels).numpy()
    for value in np.unique(classes):
        own, colour = points[classes == value], CLASS_COLOURS[value % 10]
        ax.scatter(*own.T, s=7, color=colour, alpha=0.5, linewidths=0)
    for value in np.unique(classes):
        middle = np.median(points[classes == value], axis=0)
        box = {"boxstyle": "circle,pad=0.15", "fc": "white", "ec": "black", "lw": 0.8}
        ax.text(*middle, str(value), ha="center", va="center", bbox=box, fontsize=9)
    ax.set(title=title, xlabel="code, dimension 1", ylabel="code, dimension 2")


def square_of_codes(limit: float, side: int) -> Tensor:
    """(side * side, 2) codes on a square grid from -limit to limit.

    In picture order: the first row is the top, the first column the left.
    """
    line = torch.linspace(-limit, limit, side)
    y, x = torch.meshgrid(line.flip(0), line, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)
