"""Tables and figures from the numbers of a benchmark."""

import os
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from programs import FLOOR

from vae_helpers import plots

NOTE = """\
Written by `make bench`. One run on one machine; ratios are medians over the rounds of that
run, with the smallest and the largest in brackets. Seconds of different runs do not compare.
"""


def _plain(name: str) -> str:
    return name.replace("`", "")


def _ratio(found: dict) -> str:
    return f"{found['median']:.2f} ({found['min']:.2f} to {found['max']:.2f})"


def _rows(header: list[str], rows: list[list]) -> list[str]:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows] + [""]


def train_table(part: dict, title: str) -> list[str]:
    """Every program: seconds, ratio to the floor and to `fit`, and what it reached."""
    rows = []
    for name, found in part["programs"].items():
        loss = found["test_loss"]
        rows.append(
            [
                name,
                f"{found['seconds_per_epoch']['median']:.2f}",
                _ratio(found["to_floor"]),
                _ratio(found["to_fit"]),
                f"{loss['median']:.1f}" if loss else "",
            ]
        )
    text = (
        f"784-400-20-400-784, batches of 128, {part['images']:,} images, "
        f"{part['epochs']} epochs, {part['rounds']} rounds that take turns, each with "
        "its own seed; the floor is timed before and after each of them. The test loss "
        "is -ELBO in nats per image after these epochs."
    )
    header = ["program", "s per epoch", "times the floor", "times `fit`", "test loss"]
    return [f"## {title}", "", text, "", *_rows(header, rows)]


def minute_table(part: dict) -> list[str]:
    rows = [
        [
            run["seed"],
            f"{run['steps']:,}",
            f"{run['seconds']:.1f}",
            f"{run['test_loss']:.1f}",
        ]
        for run in part["runs"]
    ]
    text = "`fit(lr=3e-3, schedule=warmup_cosine)`, from new weights, grey pixels."
    header = ["seed", "steps", "seconds", "test loss (nats per image)"]
    title = f"## What {part['budget_s']:.0f} seconds of training reach"
    return [title, "", text, "", *_rows(header, rows)]


def bound_table(part: dict) -> list[str]:
    rows = [
        [f"{int(k):,}", f"{v['seconds']:.1f}", f"{v['grown_mib']:.0f}"]
        for k, v in part.items()
    ]
    header = ["samples for each image", "seconds", "memory grown by (MiB)"]
    return ["## Importance-weighted bound on 1,000 images", "", *_rows(header, rows)]


def start_table(part: dict) -> list[str]:
    rows = [[f"`{k}`" if "import" in k else k, f"{v:.1f}"] for k, v in part.items()]
    return ["## Starting", "", *_rows(["what", "seconds"], rows)]


def scaling_tables(part: dict) -> list[str]:
    lines = ["## Scaling", "", "Microseconds per image.", ""]
    for name, found in part.items():
        rows = [
            [
                key,
                f"{v['fit_us']:.1f}",
                f"{v['floor_us']:.1f}",
                f"{v['fit_us'] / v['floor_us']:.2f}",
            ]
            for key, v in found.items()
        ]
        lines += _rows([name, "`fit`", "floor", "ratio"], rows)
    return lines


def profile_table(part: dict) -> list[str]:
    rows = [[name, f"{100 * share:.0f} %"] for name, share in part["shares"].items()]
    text = (
        "Under PyTorch's profiler, which slows small operators and Python: the share of "
        "the matrix products is larger without it."
    )
    title = "## Where the time of `fit` goes"
    return [title, "", text, "", *_rows(["work", "share"], rows)]


def speed_figure(part: dict) -> Figure:
    """Bars of every program, in multiples of the floor, with the loss beside them."""
    names = list(part["programs"])
    figure, ax = plt.subplots(figsize=(8, 0.42 * len(names) + 1))
    for row, name in enumerate(reversed(names)):
        found = part["programs"][name]
        ratio, loss = found["to_floor"], found["test_loss"]
        ours = name.startswith("`fit`")
        colour = (
            plots.COLOURS[0] if ours else plots.COLOURS[-1] if name == FLOOR else "0.6"
        )
        error = [[ratio["median"] - ratio["min"]], [ratio["max"] - ratio["median"]]]
        ax.barh(row, ratio["median"], color=colour, xerr=error, ecolor="0.3", capsize=2)
        text = f"{ratio['median']:.2f}"
        text += f"   test loss {loss['median']:.1f}" if loss else ""
        ax.text(ratio["max"] + 0.05, row, text, va="center", fontsize=9)
    ax.set_yticks(range(len(names)), [_plain(n) for n in reversed(names)])
    ax.grid(axis="y", visible=False)
    ax.set_xlim(0, 1.4 * max(f["to_floor"]["max"] for f in part["programs"].values()))
    ax.set_xlabel("time of an epoch, in multiples of the bare matrix products")
    ax.set_title("Training the same VAE; test loss in nats per image")
    return figure


def scaling_figure(part: dict) -> Figure:
    """Time per image of `fit` and of the floor, one panel for each thing varied."""
    figure, axes = plt.subplots(1, len(part), figsize=(3 * len(part), 2.8))
    for ax, (name, found) in zip(axes, part.items(), strict=True):
        x = [int(key) for key in found]
        for key, label, marker in (("fit_us", "fit", "o"), ("floor_us", "floor", "s")):
            ax.plot(x, [v[key] for v in found.values()], marker=marker, label=label)
        ax.set_xscale("log", base=2)
        if name == "hidden units":
            ax.set_yscale("log", base=2)
            ax.yaxis.set_major_formatter("{x:g}")
        else:
            ax.set_ylim(0)
        shown = x if len(x) < 6 else x[::2]
        ax.set_xticks(shown, [f"{v:,}" for v in shown])
        ax.minorticks_off()
        ax.set_xlabel(name)
    axes[0].set_ylabel("time per image (µs)")
    axes[0].legend()
    return figure


def profile_figure(part: dict) -> Figure:
    """One bar, cut into kinds of work."""
    figure, ax = plt.subplots(figsize=(8, 1.9))
    left, hatches = 0.0, ["", "//", "..", "xx", "\\\\", "--", "++"]
    for number, (name, share) in enumerate(part["shares"].items()):
        label = f"{name} ({100 * share:.0f} %)"
        ax.barh(
            0,
            100 * share,
            left=left,
            label=label,
            color=plots.COLOURS[number],
            hatch=hatches[number],
            edgecolor="white",
        )
        left += 100 * share
    ax.set_yticks([])
    ax.grid(visible=False)
    ax.set_xlim(0, 100)
    ax.set_xlabel("share of the time of fit (%)")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, fontsize=9)
    return figure


def write(results: dict, folder: Path, figures: Path) -> None:
    """README.md with all tables into `folder`, three figures into `figures`."""
    plots.style()
    where = results["machine"]
    lines = ["# Benchmark", "", NOTE]
    lines += [
        f"{where['processor']}, {where['threads']} threads, Python {where['python']}, "
        f"torch {where['torch']}, GPU: {where['gpu'] or 'none'}.",
        "",
    ]
    figures.mkdir(parents=True, exist_ok=True)
    for name, table, picture in (
        (
            "train",
            lambda p: train_table(p, "Training"),
            (speed_figure, "speed.png", "The ratios to the floor as bars."),
        ),
        ("minute", minute_table, None),
        (
            "profile",
            profile_table,
            (profile_figure, "profile.png", "The shares as one bar."),
        ),
        (
            "scaling",
            scaling_tables,
            (scaling_figure, "scaling.png", "The times as curves."),
        ),
        ("bound", bound_table, None),
        ("start", start_table, None),
    ):
        if name in results:
            lines += table(results[name])
            if picture:
                draw, file, words = picture
                figure = draw(results[name])
                figure.savefig(figures / file, dpi=120)
                plt.close(figure)
                link = Path(os.path.relpath(figures / file, folder)).as_posix()
                lines += [f"![{words}]({link})", ""]
    if "gpu" in results:
        if results["gpu"]:
            lines += train_table(results["gpu"], f"Training on {where['gpu']}")
        else:
            lines += ["## On a GPU", "", "Not measured: there is no GPU here.", ""]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")
