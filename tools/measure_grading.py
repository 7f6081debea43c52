"""Time the grading of a made-up class; prints wall seconds and seconds of processor.

    python tools/measure_grading.py [--students 50] [--jobs 2] [--feedback]

It needs the environment for grading (`.venv-grade`). A fifth of the class each is right,
half right, unsolved, has a syntax error, or comes from Colab.
"""

import argparse
import contextlib
import copy
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [
    str(ROOT),
    str(ROOT / "tests"),
    str(ROOT / "tests/grading/with_nbgrader"),
]
from students import half_right, right, saved_by_colab, syntax_error, unsolved  # noqa: E402

from grading import assignment  # noqa: E402

KINDS = (right, half_right, unsolved, syntax_error, saved_by_colab)


def write_class(release: Path, folder: Path, count: int) -> None:
    """One folder for each student."""
    book = nbformat.read(release, as_version=4)
    for number in range(count):
        kind, work = KINDS[number % len(KINDS)], copy.deepcopy(book)
        kind(work)
        path = folder / f"{kind.__name__}_{number}" / release.name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(work), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--students", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--feedback", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        course, handed_in = Path(work) / "course", Path(work) / "handed in"
        code = assignment.main(["03", "--to", str(course)])
        if code:
            return code
        write_class(next(course.glob("release/*/*.ipynb")), handed_in, options.students)
        more = ["--feedback"] * options.feedback + ["--jobs", str(options.jobs)]
        command = [sys.executable, "-m", "grading", "grade", str(handed_in)]
        start = time.monotonic()
        code, processor = run([*command, "--course", str(course), *more])
        print(
            f"{options.students} submissions, {options.jobs} at a time: "
            f"{time.monotonic() - start:.0f} s, {processor:.0f} s of processor"
        )
    return code


def run(command: list[str]) -> tuple[int, float]:
    """Exit status of a command, and the seconds of processor of all its processes."""
    if sys.platform == "linux":  # orphans are ours, so that they are counted
        ctypes.CDLL(None).prctl(36, 1)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    code = subprocess.run(command, cwd=ROOT, env=environment).returncode
    with contextlib.suppress(ChildProcessError):
        while os.wait():
            pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return code, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
