"""Run lessons with other settings than their own, and report every cell that raises.

    python tools/vary_settings.py [--alone] [--images NAME] [--draw] [--show] [NN ...]

"Names in capitals are settings: change them as you like", lesson 00 says. Here every
setting is moved to a small and to a large value, all at once or, with --alone, one at a
time. Trainings are cut to a few steps by the lessons' own settings, so a run takes
seconds; what a model learned is worth nothing then, and no cell may rest on it.
"""

import argparse
import ast
import contextlib
import io
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tools")]
os.environ.setdefault("MPLBACKEND", "Agg")

import lesson_source  # noqa: E402

# lesson -> settings that make its trainings short; each run begins from them.
SHORT = {
    "01": {"STEPS": 8, "LINEAR_STEPS": 3, "WIDE_STEPS": 2},
    "02": {"SAMPLES": 2000, "LATENTS": [5, 20], "STEPS": 2, "IMAGES": 3, "CODES": 3},
    "A1": {"ROUNDS": 2, "ADAM_STEPS": 3},
    "03": {
        "DIGIT_STEPS": 3,
        "GUESS_STEPS": 2,
        "IMAGES": 5,
    },
    "04": {"STEPS": 30, "CLASSIFIER_STEPS": 5, "BROKEN_STEPS": 2},
    "05": {
        "STEPS": 2,
        "TUNE_STEPS": 2,
        "SPRITE_STEPS": 2,
        "A_STEPS": 2,
        "B_STEPS": 2,
        "C_STEPS": 2,
        "RANGE_STEPS": 2,
        "ROTATIONS": 1,
        "TEST_IMAGES": 100,
    },
    "06": {
        "STEPS": 3,
        "SHORT": 2,
        "BRIEF": 2,
        "PLANE_STEPS": 3,
        "THIRD": 2,
        "COUNT": 20,
        "TUNE": 1,
    },
    "07": {"STEPS": 2, "BRIEF": 2, "SUBSET": 150},
}
# lesson -> setting -> a small and a large value that a learner might try.
VALUES = {
    "00": {"SEED": (1, 12345), "ROWS": (1, 1000)},
    "01": {
        "SEED": (1, 12345),
        "SIZES": ((50, 10, 2), (2, 3, 10, 50, 200)),
        "HIDDEN": (1, 1000),
        "STEPS": (1, 25),
        "LINEAR_STEPS": (1, 25),
        "WIDE_STEPS": (1, 5),
        "LONGER": (1, 2),
    },
    "02": {
        "SEED": (1, 12345),
        "SAMPLES": (10, 20_000),
        "MEANS": ([0.3], [-20.0, 0.0, 50.0]),
        "DIMENSIONS": ([1], [7, 200]),
        "TEMPERATURES": ([0.05], [1.0, 100.0]),
        "LONGER": (1, 2),
        "AVERAGED": (1, 1000),
        "CHOICES": (1, 1000),
        "LATENTS": ([1], [2, 7, 100]),
        "STEPS": (1, 5),
        "PEAK_RATE": (1e-6, 0.01),
        "IMAGES": (2, 100),
        "CODES": (2, 20),
    },
    "A1": {
        "SEED": (1, 12345),
        "SIGMA_X": (0.1, 2.0),
        "LONGER": (1, 2),
        "ROUNDS": (1, 3),
        "ADAM_STEPS": (1, 201),
        "RATES": ((0.01,), (0.003, 0.01, 0.03)),
    },
    "03": {
        "SEED": (1, 12345),
        "SIGMA_X": (0.1, 2.0),
        "X_SEEN": (-4.0, 4.0),
        "GUESSES": ([(0.0, 1.0)] * 5, [(0.5, 0.4), (1.5, 0.9)] * 2 + [(-1.0, 0.2)]),
        "MU": (-1.0, 1.5),
        "SIGMA": (0.3, 0.8),
        "SAMPLES": ([2], [3, 10, 2000]),
        "REPEATS": (2, 2000),
        "LONGER": (1, 2),
        "IMAGES": (1, 7),
        "DIGIT_STEPS": (1, 5),
        "GUESS_STEPS": (1, 3),
    },
    "04": {
        "SEED": (1, 12345),
        "LATENT": (1, 100),
        "HIDDEN": (1, 201),
        "BATCH": (1, 3000),
        "LEARNING_RATE": (1e-6, 0.05),
        "PEAK_RATE": (1e-6, 0.05),
        "STEPS": (1, 12),
        "LONGER": (1, 2),
        "CLASSIFIER_STEPS": (1, 3),
        "BROKEN_STEPS": (1, 3),
    },
    "05": {
        "SEED": (1, 12345),
        "HIDDEN": (1, 65),
        "BATCH": (1, 3000),
        "PEAK_RATE": (1e-6, 0.01),
        "STEPS": (1, 2),
        "SPRITE_STEPS": (1, 2),
        "BETAS": ((0.5,), (0.1, 1, 2, 3, 4, 5, 100)),
        "TEST_IMAGES": (3, 100_000),
        "LONGER": (1, 2),
        "WATERS": ((1.0,), (0.5, 1.0, 2.0, 4.0, 8.0)),
        "RATES": ((0.01,), (1e-3, 0.01)),
        "TUNED_BETAS": ((1.0,), (0.25, 4.0)),
        "TUNE_STEPS": (1, 2),
        "VARIANCE": (0.01, 10.0),
        "NOISES": ((1.0,), (0.1, 20.0, 50.0)),
        "A_STEPS": (1, 2),
        "B_STEPS": (1, 2),
        "C_STEPS": (1, 2),
        "ROTATIONS": (1, 2),
        "SPRITE_BETAS": ((2.0,), (1.0, 4.0)),
        "SPRITE_LATENT": (2, 9),
        "RANGE_STEPS": (1, 2),
    },
    "06": {
        "SEED": (1, 12345),
        "SIGMA": (0.05, 2.0),
        "SHARE": (0.01, 0.99),
        "MASKED": (0.01, 0.99),
        "STEPS": (1, 101),
        "SHORT": (1, 5),
        "LONGER": (1, 2),
        "COUNT": (8, 30),
        "TUNE": (1, 2),
        "WHITE": (0.01, 0.9),
        "DRAWS": (1, 30),
        "WEAK": (0.01, 0.35),
        "LEVELS": ([0.3], [0.05, 0.5, 2.0]),
        "CLOUD": (0.01, 0.3),
        "BLUR": (0.03, 0.5),
        "BRIEF": (1, 3),
        "PLANE_STEPS": (1, 20),
        "SHIFTS": (1, 5),
        "FAINT": (0.0, 0.3),
        "THIRD": (1, 3),
        "WALK": (1, 20),
    },
    "07": {
        "SEED": (1, 12345),
        "LATENT": (1, 200),
        "HIDDEN": (1, 65),
        "BATCH": (1, 3000),
        "STEPS": (1, 2),
        "PEAK_RATE": (1e-6, 0.01),
        "DRAWS": (1, 7),
        "COMPONENTS": ((1,), (2, 900)),
        "NEIGHBOURS": ((1,), (3, 500)),
        "LOOK": (1, 500),
        "BRIEF": (1, 3),
        "LONGER": (1, 2),
        "SUBSET": (100, 400),
        "FALSE_ALARMS": (0.02, 0.6),
        "NORMAL": (0, 9),
    },
}
# lesson -> settings that cannot work. A sentence refuses them where they are set.
REFUSED = {
    "01": [{"SIZES": (2, 3)}],
    "02": [{"SAMPLES": 2}, {"IMAGES": 1}, {"CODES": 1}],
    "A1": [{"SIGMA_X": 0.01}, {"SIGMA_X": 100.0}],
    "03": [{"SIGMA_X": 0.01}, {"SIGMA_X": 100.0}, {"X_SEEN": 20.0}],
    "04": [{"BATCH": 5000}, {"STEPS": 0}],
    "05": [{"BETAS": (0.0, 1.0)}, {"SPRITE_LATENT": 1}],
    "06": [{"COUNT": 5}, {"SIGMA": 0}, {"SHARE": 1.0}, {"MASKED": 0.0}],
    "07": [{"SUBSET": 10}, {"FALSE_ALARMS": 0.001}, {"NORMAL": 10}],
}


@dataclass(frozen=True)
class Failure:
    """A cell that raised: its number among the code cells, counted from 0."""

    cell: int
    source: str
    error: Exception

    def __str__(self) -> str:
        first = self.source.strip().splitlines()[0]
        return f"cell {self.cell} ({first[:50]}): {self.error!r}"


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr, Callable]]:
    """Names in capitals that a statement assigns, their values, and how to set them."""
    if not isinstance(node, ast.Assign):
        return
    target = node.targets[0]
    if isinstance(target, ast.Name) and target.id.isupper():
        yield target.id, node.value, lambda new: setattr(node, "value", new)
    elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
        values = node.value.elts
        for i, name in enumerate(target.elts):
            if isinstance(name, ast.Name) and name.id.isupper():
                yield name.id, values[i], lambda new, i=i: values.__setitem__(i, new)


def _is_number(value: object) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(map(_is_number, value))
    return isinstance(value, int | float)


def settings(stem: str) -> dict[str, object]:
    """Names in capitals that a lesson sets to a number or to a list of numbers."""
    found = {}
    for source in lesson_source.code_cells(stem):
        for node in ast.parse(source).body:
            for name, value, _ in _assigned(node):
                with contextlib.suppress(ValueError):
                    if _is_number(literal := ast.literal_eval(value)):
                        found[name] = literal
    return found


def _with_values(source: str, values: dict[str, object]) -> tuple[ast.Module, set[str]]:
    """The code of a cell with other settings, and the names that it sets."""
    tree, changed = ast.parse(source), set()
    for node in tree.body:
        for name, _, replace in _assigned(node):
            if name in values:
                replace(ast.parse(repr(values[name]), mode="eval").body)
                changed.add(name)
    return ast.fix_missing_locations(tree), changed


def _move_controls(draw: Callable, controls: dict, **_size: float) -> None:
    """In the place of a live figure: draw it with each control at both its ends."""
    import torch
    from matplotlib.figure import Figure

    start = {name: control.value for name, control in controls.items()}
    cases = [start]
    for name, control in controls.items():
        options = getattr(control, "options", None)
        ends = (options[0], options[-1]) if options else (control.min, control.max)
        cases += [start | {name: end} for end in ends]
    with torch.inference_mode():
        for case in cases:
            draw(Figure(figsize=(5, 3), layout="constrained"), **case)


def _run_cell(tree: ast.Module, namespace: dict, draw: bool) -> None:
    """Run a cell; like a notebook, print what its last line gives; close its figures."""
    import matplotlib.pyplot as plt

    body, last = tree.body, None
    if body and isinstance(body[-1], ast.Expr):
        last = ast.Expression(body.pop().value)
    try:
        exec(compile(tree, "<cell>", "exec"), namespace)
        shown = last and eval(compile(last, "<cell>", "eval"), namespace)
        if shown is not None:
            print(shown)
        for number in plt.get_fignums() if draw else []:
            plt.figure(number).canvas.draw()
    finally:
        plt.close("all")


def run(
    stem: str,
    values: dict[str, object],
    *,
    images: str = "MNIST",
    draw: bool = False,
    to_the_end: bool = True,
) -> list[Failure]:
    """Run the code cells of a lesson with other settings; -> the cells that raise.

    Args:
        stem: of the lesson, such as "04_vae_in_pytorch".
        values: name in capitals -> the value that it gets instead of its own.
        images: the data in the place of MNIST.
        draw: also draw all figures to the end, which takes most of the time.
        to_the_end: go on after a cell that raises.

    Raises:
        ValueError: the lesson does not set one of the names; the message gives them.
    """
    import torch

    from vae_helpers import widgets

    failures, seen, namespace = [], set(), {"__name__": "__main__"}
    aside = [
        source
        for tag in ("setup", "check")  # no setting reaches them
        for source in lesson_source.code_cells(stem, tag)
    ]
    explore, widgets.explore = widgets.explore, _move_controls
    try:
        for number, source in enumerate(lesson_source.code_cells(stem)):
            if source in aside:
                continue
            source = source.replace('load_images("MNIST")', f'load_images("{images}")')
            tree, changed = _with_values(source, values)
            seen |= changed
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", RuntimeWarning)  # as of 0 / 0
                    _run_cell(tree, namespace, draw)
            except Exception as error:
                failures.append(Failure(number, source, error))
                if not to_the_end:
                    return failures
    finally:
        widgets.explore = explore
        torch.set_default_dtype(torch.float32)  # lesson 03 takes another
    if unknown := set(values) - seen:
        raise ValueError(f"{stem} does not set {', '.join(sorted(unknown))}")
    return failures


def sets_of(number: str, alone: bool) -> Iterator[tuple[str, dict[str, object]]]:
    """The sets of settings that a lesson is run with: (what moved, all values)."""
    short, moved = SHORT.get(number, {}), VALUES[number]
    for place, size in enumerate(("small", "large")):
        if alone:
            for name, pair in moved.items():
                yield f"{name} = {pair[place]}", short | {name: pair[place]}
        else:
            yield f"all {size}", {name: pair[place] for name, pair in moved.items()}


def refusals(number: str) -> list[str]:
    """What is wrong with how a lesson refuses the settings that cannot work."""
    stem, wrong = stem_of(number), []
    for values in REFUSED.get(number, []):
        short = SHORT.get(number, {})
        with contextlib.redirect_stdout(io.StringIO()):
            failures = run(stem, short | values, to_the_end=False)
        ((name, value),) = values.items()
        error = failures[0].error if failures else None
        words = str(error)
        if not (
            isinstance(error, ValueError) and name in words and str(value) in words
        ):
            wrong.append(
                f"{name} = {value} needs a ValueError that says so, got {error!r}"
            )
        elif not _sets(lesson_source.code_cells(stem), failures[0].cell, name):
            wrong.append(f"{name} = {value} is refused too late, in {failures[0]}")
    return wrong


def _sets(cells: list[str], cell: int, name: str) -> bool:
    """Whether a cell, or the one before it, sets a name."""
    return any(
        name in _with_values(c, {name: 0})[1] for c in cells[cell - 1 : cell + 1]
    )


def stem_of(number: str) -> str:
    return next(stem for stem in lesson_source.STEMS if stem[:2] == number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("numbers", nargs="*", help="lessons such as 04; all if none")
    parser.add_argument("--alone", action="store_true", help="one setting at a time")
    parser.add_argument("--images", default="MNIST", help="or FashionMNIST")
    parser.add_argument("--draw", action="store_true", help="draw every figure")
    parser.add_argument(
        "--show", action="store_true", help="print what the cells print"
    )
    parser.add_argument("--set", help='only this one: "NAME = value; NAME = value"')
    options = parser.parse_args()
    os.environ.setdefault("VAE_COURSE_OFFLINE", "1")
    bad = 0
    for number in options.numbers or list(VALUES):
        sets = list(sets_of(number, options.alone))
        if options.set is not None:
            parts = [part.split("=", 1) for part in options.set.split(";") if part]
            own = {name.strip(): ast.literal_eval(v.strip()) for name, v in parts}
            sets = [(options.set, SHORT.get(number, {}) | own)]
        for name, values in sets:
            start = time.process_time()
            out = sys.stdout if options.show else io.StringIO()
            with contextlib.redirect_stdout(out):
                found = run(
                    stem_of(number), values, images=options.images, draw=options.draw
                )
            spent = time.process_time() - start
            verdict = f"{len(found)} cells raise" if found else "runs"
            print(f"{number}, {name}: {verdict} ({spent:.0f} s of CPU)", flush=True)
            for failure in found:
                print(f"    {failure}", flush=True)
            bad += bool(found)
        if not options.alone and options.set is None:
            for complaint in refusals(number):
                print(f"{number}, {complaint}")
                bad += 1
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
