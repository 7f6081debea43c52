"""Build the notebooks from the lessons: lessons/NN_name.py -> notebooks/NN_name.ipynb.

    make build ARGS="[--force] [--no-run] [--sample-ok] [--busy] [NN ...]"

writes, for each lesson (or those whose numbers are given), the learner's notebook, with
stubs in place of the solutions, and notebooks/solutions/NN_name.ipynb. The learner's is
executed whole; the solved one takes over the outputs of the cells that are the same and
runs its exercises. A notebook that is up to date is left alone. A notebook whose cells
somebody edited is never overwritten: the command says so and stops.
"""

import argparse
import os
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from builder import publish, run
from builder.notebook import ROOT, chosen, course, make_notebook, target
from builder.state import mark, state, with_the_same_code


def build(
    lesson: dict,
    table: dict,
    *,
    solved: bool,
    force: bool,
    run_it: bool,
    busy: bool = False,
) -> None:
    """Write one notebook if it is not current, and remember how long it ran.

    With busy=True the times mean nothing: they are neither kept nor judged.
    """
    book, path = make_notebook(lesson, table, solved=solved), target(lesson, solved)
    name, stem = path.relative_to(ROOT), lesson["stem"]
    found = state(book, path, stem)
    if found == "edited":
        raise SystemExit(
            f"{name} was edited by hand and is left as it is. If the edit is yours as an "
            f"author, make it in lessons/{stem}.py; to build again, move the "
            "notebook away first."
        )
    if found == "current" and not force:
        print(f"{name}: up to date")
        return
    print(f"{name}: {found}, building", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    silent: list[str] = []
    if run_it and solved:
        twin = nbformat.read(target(lesson, False), as_version=4)
        run.share_outputs(twin, book)
    elif run_it and not force and (built := with_the_same_code(book, path, stem)):
        run.move_outputs(built, book)
    elif run_it:
        book, silent = _run_whole(lesson, table, path.parent, busy)
    if run_it:
        run.run_answers(book, path.parent)
        if not solved:  # a solved one has the learner's panels
            run.draw_panels(book)
        run.number(book)
    publish.clean(book)
    if (
        run_it and solved
    ):  # the learner's figures and drawings, packed as they are there
        run.share_outputs(twin, book)
    book.metadata["vae_course"] = mark(book, stem)
    nbformat.validate(book)
    _publish(book, path, publish.complaints(book) + silent)
    if run_it and not solved:
        publish.save_figures(book)


def _run_whole(
    lesson: dict, table: dict, folder: Path, busy: bool
) -> tuple[NotebookNode, list[str]]:
    """A learner's notebook with its outputs, and complaints about its cells."""
    done = make_notebook(lesson, table, solved=False)
    seconds = run.execute(done, folder)
    print(f"{lesson['stem']}: {seconds:.0f} s", flush=True)
    if busy:
        return done, []
    silent = run.cells_without_a_bar(done)
    if silent:  # it will not be published; nor are its times kept
        return done, silent
    run.remember_times(table, lesson["stem"], seconds, run.cell_seconds(done))
    book = make_notebook(lesson, table, solved=False)  # with its times
    run.move_outputs(done, book)
    return book, []


def _publish(book: NotebookNode, path: Path, wrong: list[str]) -> None:
    name, part = path.relative_to(ROOT), path.with_suffix(".part")
    nbformat.write(book, part)
    if wrong:
        raise SystemExit(
            f"{name} is not published (see {part.name}):\n" + "\n".join(wrong)
        )
    size = part.stat().st_size
    if too_large := publish.too_large(book, size):
        raise SystemExit(f"{name} {too_large}")
    os.replace(part, path)
    print(f"{name}: {size // 1024} KB", flush=True)


def need_the_full_data() -> None:
    """Stop before results of the full data are replaced by those of the sample."""
    from vae_helpers.data import load_images

    if not load_images("MNIST").is_full:
        raise SystemExit(
            "Only the carried sample is at hand, and the published notebooks show results "
            "of all 60,000 images. Connect to the network or set VAE_COURSE_DATA; to "
            "build with the sample all the same: make build ARGS=--sample-ok"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make build", description=__doc__)
    parser.add_argument("numbers", nargs="*", help="lessons such as 04; all if none")
    parser.add_argument("--force", action="store_true", help="also what is up to date")
    parser.add_argument("--no-run", action="store_true", help="write without outputs")
    parser.add_argument(
        "--sample-ok", action="store_true", help="build with the sample"
    )
    parser.add_argument(
        "--busy", action="store_true", help="the machine is busy: do not keep times"
    )
    options = parser.parse_args()
    table = course()
    if not options.no_run and not options.sample_ok:
        need_the_full_data()
    for lesson in chosen(table, options.numbers):
        for solved in (False, True):
            build(
                lesson,
                table,
                solved=solved,
                force=options.force,
                run_it=not options.no_run,
                busy=options.busy,
            )
    publish.update_texts(table)


if __name__ == "__main__":
    sys.exit(main())
