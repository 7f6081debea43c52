"""Measure the peak memory of every lesson, against what Binder gives.

    python tools/measure_memory.py [NN ...]

runs each learner's notebook in a kernel of its own and prints the largest resident set of
that kernel, and what it would be on Binder, which has the CPU build of PyTorch: the libraries
of the CUDA build alone take several hundred MB of memory that a lesson cannot save. It ends
with an error when a lesson would need more than 1.2 GB there.
"""

import argparse
import os
import subprocess
import sys

import nbformat
from builder import NOTEBOOKS, chosen, course, execute

LIMIT = 1.2e9  # bytes; a Binder kernel that grows further than this may be killed
CPU_BUILD = 0.39e9  # bytes that ALONE prints with torch 2.13.0+cpu on Linux, x86-64
ALONE = """\
import torch
x = torch.randn(500, 500, requires_grad=True)
(x @ x).sum().backward()
torch.optim.Adam([x])
"""
ASK = """\
import resource, sys
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""


def build() -> int:
    """Bytes that PyTorch takes in this environment before any lesson uses it."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE + ASK], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


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
    over, alone = [], build()
    print(
        f"PyTorch alone takes {alone / 1e9:.2f} GB here, {CPU_BUILD / 1e9:.2f} on Binder."
    )
    print(f"{'':24}   here  Binder (GB)")
    for lesson in chosen(course(), options.numbers):
        stem = lesson["stem"]
        size = peak(stem)
        there = size - max(0, alone - CPU_BUILD)
        print(f"{stem:24}{size / 1e9:7.2f}{there / 1e9:8.2f}", flush=True)
        if there > LIMIT:
            over.append(stem)
    if over:
        raise SystemExit(f"over {LIMIT / 1e9:.1f} GB on Binder: {', '.join(over)}")


if __name__ == "__main__":
    main()
