"""Measure the peak memory of every lesson, against what Binder gives.

    python tools/measure_memory.py [NN ...]

runs each learner's notebook in a kernel of its own and prints the largest resident set of
that kernel. It ends with an error when a lesson needs more than 1.2 GB.
"""

import argparse
import os
import sys

import nbformat
from builder import NOTEBOOKS, chosen, course, execute

LIMIT = 1.2e9  # bytes; a Binder kernel that grows further than this may be killed
ASK = """\
import resource, sys
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


def peak(stem: str) -> int:
    """Bytes: the largest resident set of the kernel that ran a lesson."""
    book = nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4)
    book.cells.append(nbformat.v4.new_code_cell(ASK))
    execute(book, NOTEBOOKS, timeout=1200)
    return int(book.cells[-1].outputs[0].text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("numbers", nargs="*", help="lessons such as 04; all if none")
    options = parser.parse_args()
    if os.name == "nt":
        sys.exit("the peak of a process is measured on Linux and macOS only")
    over = []
    for lesson in chosen(course(), options.numbers):
        stem = lesson["stem"]
        size = peak(stem)
        print(f"{stem:24}{size / 1e9:6.2f} GB", flush=True)
        if size > LIMIT:
            over.append(stem)
    if over:
        raise SystemExit(f"over {LIMIT / 1e9:.1f} GB: {', '.join(over)}")


if __name__ == "__main__":
    main()
