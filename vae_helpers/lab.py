"""`vae-course`: copies the notebooks to `my_notebooks` and opens JupyterLab there.

Learners work in copies, which git ignores: an update of the course cannot collide with
their work, and nothing that they changed is ever overwritten.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from urllib.parse import quote

COPIES, RECORD, FIRST = "my_notebooks", ".copied.json", "00_start_here.ipynb"
STYLE = Path(__file__).with_name("lab_style")
NO_FOLDER = (
    "The course's folder is not here: no notebooks/{first} in {cwd}, in the folders "
    "above it, or beside {package}. Open a terminal in the course's folder and run "
    "vae-course again."
)


def course_folder(start: Path) -> Path:
    """The folder with the shipped notebooks: around `start`, else around this file.

    Raises:
        FileNotFoundError: there is none; the message names where it was looked for.
    """
    package = Path(__file__).resolve().parent
    for place in (start, *start.parents, package.parent):
        has_helpers = (place / "vae_helpers" / "lab.py").is_file()
        if has_helpers and (place / "notebooks" / FIRST).is_file():
            return place
    raise FileNotFoundError(NO_FOLDER.format(first=FIRST, cwd=start, package=package))


def shipped(folder: Path) -> list[str]:
    """Names of the notebooks, relative to `folder`, such as "solutions/03_elbo.ipynb"."""
    found = (p.relative_to(folder) for p in folder.rglob("*.ipynb"))
    mine = (".backup.ipynb", "-checkpoint.ipynb")  # written by tools, not shipped
    return sorted(p.as_posix() for p in found if not p.name.endswith(mine))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Write a whole file or nothing, so that a full disk cannot cut one short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    os.replace(part, path)


def _read_record(path: Path) -> dict[str, str]:
    """Name -> digest of the version copied last. Without it every copy counts as changed."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _place_beside(path: Path, record: dict[str, str], name: str) -> tuple[Path, str]:
    """Where a new version goes: a free name, or an earlier offer nobody touched."""
    number = 1
    while True:
        ending = f".new{number if number > 1 else ''}.ipynb"
        beside, key = path.with_suffix(ending), name.removesuffix(".ipynb") + ending
        if not beside.exists() or _digest(beside.read_bytes()) == record.get(key):
            return beside, key
        number += 1


def update_copies(source: Path, copies: Path) -> list[str]:
    """Copy the notebooks from `source` to `copies`; what the learner changed stays.

    A copy that is not there is made, and one that nobody changed follows its original. A
    new version of a notebook that the learner changed is put beside it, once.

    Returns:
        One line for each notebook that was put beside a changed copy.
    """
    record, lines = _read_record(copies / RECORD), []
    for name in shipped(source):
        new, mine = (source / name).read_bytes(), copies / name
        old = mine.read_bytes() if mine.exists() else None
        if old is None or (old != new and _digest(old) == record.get(name)):
            _write(mine, new)
        elif old != new and _digest(new) != record.get(name):
            beside, key = _place_beside(mine, record, name)
            _write(beside, new)
            record[key] = _digest(new)
            lines.append(
                f"{name} has a new version: it is {beside.name}, and yours is as it was."
            )
        record[name] = _digest(new)
    text = json.dumps(record, indent=1, sort_keys=True)
    _write(copies / RECORD, text.encode())
    return lines


def serve(copies: Path, options: list[str]) -> None:
    """Run JupyterLab until Ctrl-C; its address is the last line that it prints.

    Args:
        copies: the folder that lesson 00 is opened in.
        options: go to the server and win over those that are set here.
    """
    from jupyter_server.serverapp import ServerApp
    from jupyterlab.labapp import LabApp

    first = f"/lab/tree/{quote(copies.name)}/{FIRST}"
    arguments = [
        f"--ServerApp.root_dir={copies.parent}",
        f"--LabApp.default_url={first}",
        "--LabApp.custom_css=True",
        "--ServerApp.log_level=ERROR",
        "--LabApp.log_level=ERROR",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--allow-root")  # as in a container; else the server refuses
    # After the reader's own folder of styles, which wins, and before JupyterLab's. Before
    # the extensions start, because some, as nbclassic, put a list of their own there.
    ServerApp.instance().static_custom_path.insert(1, str(STYLE))
    server = LabApp.initialize_server(argv=[*arguments, *options])
    # Read first: afterwards the address hides its token.
    line = f"JupyterLab runs until Ctrl-C. Its address:\n{server.public_url}"
    # Else the server prints its addresses itself, in eight lines.
    server.identity_provider.token_generated = False

    def stop(*_: object) -> None:
        server.stop(from_signal=True)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    server.io_loop.add_callback(print, line, flush=True)
    server.start()


def main(arguments: list[str] | None = None) -> None:
    """The console script `vae-course`; a problem is one line, and so is Ctrl-C."""
    parser = argparse.ArgumentParser(prog="vae-course", description=__doc__)
    parser.add_argument("--copies", type=Path, help=f"instead of {COPIES}")
    parser.epilog = "All other options, such as --no-browser, go to JupyterLab."
    chosen, options = parser.parse_known_args(arguments)
    try:
        home = course_folder(Path.cwd())
        copies = chosen.copies.resolve() if chosen.copies else home / COPIES
        lines = update_copies(home / "notebooks", copies)
        print(*lines, f"Your notebooks are in {copies}", sep="\n", flush=True)
        serve(copies, options)
    except PermissionError as error:
        sys.exit(f"{error}. Name a folder of your own: vae-course --copies FOLDER")
    except OSError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass
    print("\nJupyterLab has stopped.")


if __name__ == "__main__":
    main()
