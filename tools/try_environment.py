"""Run the lessons in another environment than this one: Colab's, or the oldest we allow.

    python tools/try_environment.py colab|lowest [NN ...]

"colab" installs the versions of constraints/colab.txt, and only those: each notebook is
then run from a folder that is not the repository, and its set-up cell fetches the course
from a local git repository that stands for the real one. "lowest" installs the course with
the lowest versions that pyproject.toml allows. Both print one line for each lesson and end
with an error if a cell raised one.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from builder import NOTEBOOKS, ROOT, chosen, course, execute
from nbclient.exceptions import CellExecutionError

CONTENT = "/content"
# Colab has a module of this name, by which the set-up cell knows where it is.
PRETEND = "import sys, types\nsys.modules['google.colab'] = types.ModuleType('colab')\n"


def make_environment(folder: Path, *what: str) -> Path:
    """A fresh virtual environment with `what` installed; -> its Python."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    uv = [sys.executable, "-m", "uv"]
    if not python.exists():
        found = (
            map(shutil.which, ("python3.13", "python3.12"))
            if "colab" in str(folder)
            else []
        )
        base = next((p for p in found if p and works(p)), sys.executable)
        subprocess.run([*uv, "venv", "-q", "--python", base, folder], check=True)
    subprocess.run([*uv, "pip", "install", "-q", "--python", python, *what], check=True)
    return python


def works(python: str) -> bool:
    """Whether an interpreter starts: some are stubs that only offer to install one."""
    return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0


def frozen(python: Path) -> str:
    """Names and versions of all that is installed."""
    command = [sys.executable, "-m", "uv", "pip", "freeze", "--python", python]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def add_kernel(python: Path, folder: Path) -> None:
    """Tell Jupyter, through JUPYTER_PATH, of a kernel "tried" with this Python."""
    spec = folder / "kernels" / "tried"
    spec.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    text = json.dumps({"argv": argv, "display_name": "tried", "language": "python"})
    (spec / "kernel.json").write_text(text, encoding="utf-8")
    os.environ["JUPYTER_PATH"] = str(folder)


def run(path: Path, folder: Path, replace: dict[str, str]) -> str:
    """Run one notebook in a folder; -> "" or the error of its first cell that fails."""
    book = nbformat.read(path, as_version=4)
    for cell in book.cells:
        if "setup" in cell.metadata.get("tags", []):
            for old, new in replace.items():
                cell.source = cell.source.replace(old, new)
    try:
        execute(book, folder, timeout=1200, kernel="tried")
    except CellExecutionError as error:
        return str(error)[-1500:]
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("which", choices=["colab", "lowest"])
    parser.add_argument("numbers", nargs="*", help="lessons such as 04; all if none")
    options = parser.parse_args()
    table = course()
    is_colab = options.which == "colab"
    what = (
        ["-r", str(ROOT / "constraints/colab.txt")]
        if is_colab
        else ["--resolution=lowest-direct", "-e", str(ROOT), "ipykernel>=6.17"]
    )
    python = make_environment(ROOT / f".venv-{options.which}", *what)
    before, replace, failed = frozen(python), {}, []
    with tempfile.TemporaryDirectory(prefix="le\u00e7on ") as name:
        folder = Path(name)
        add_kernel(python, folder / "jupyter")
        place = folder / "content"
        place.mkdir()
        if is_colab:
            remote = folder / "remote.git"
            clone = ["git", "clone", "-q", "--bare", str(ROOT), str(remote)]
            subprocess.run(clone, check=True)
            branch = ["git", "-C", str(remote), "branch", "-f", table["branch"], "HEAD"]
            subprocess.run(
                branch, capture_output=True
            )  # refused where it is HEAD itself
            replace = {table["repository"]: remote.as_uri(), CONTENT: str(place)}
            (folder / "pretend").mkdir()
            (folder / "pretend" / "sitecustomize.py").write_text(PRETEND)
            os.environ["PYTHONPATH"] = str(folder / "pretend")
        for lesson in chosen(table, options.numbers):
            stem = lesson["stem"]
            start = time.monotonic()
            error = run(NOTEBOOKS / f"{stem}.ipynb", place, replace)
            word = "failed" if error else "ran to its end"
            print(f"{stem}: {word}, {time.monotonic() - start:.0f} s", flush=True)
            if error:
                print(error)
                failed.append(stem)
        if is_colab and not (place / "vae-course" / "vae_helpers").is_dir():
            failed.append("the set-up cell did not fetch the course")
    if frozen(python) != before:
        failed.append("the set-up cell changed what is installed")
    if failed:
        raise SystemExit(f"{options.which}: {', '.join(failed)}")


if __name__ == "__main__":
    main()
