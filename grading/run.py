"""Run nbgrader on one submission, in a process of its own with limits.

A cell that stops the kernel, or that no interrupt can stop, is replaced by one that
raises, and the submission is run again: it costs its own exercise and no other.
"""

import contextlib
import json
import multiprocessing
import os
import sys
import threading
import time
from multiprocessing import forkserver
from pathlib import Path

import nbformat
import psutil

from grading import warm
from grading.code import bound, functions
from grading.names import name_of, number_key, number_of
from grading.status import DIED, TOO_LARGE, TOO_LONG

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = 'raise RuntimeError("left out when grading: this cell {why}")'
STARTING = threading.Lock()  # of the warm process
REPAIRED = "repaired"  # what is run; submitted/ belongs to nbgrader collect


class Stopped(Exception):
    """Somebody stopped the grading of the class."""


def nbgrader_api(folder: Path):
    """nbgrader, with the configuration of a course folder."""
    try:
        from nbgrader.apps import NbGraderAPI
    except ModuleNotFoundError:
        raise ValueError(
            "nbgrader is needed to release and grade; it is not in the learners' "
            "environment. `make assignment` and `make grade` use one of their own; "
            "elsewhere: pip install -e '.[grade]'."
        ) from None
    from traitlets.config.loader import PyFileConfigLoader

    if not (folder / "nbgrader_config.py").exists():
        raise ValueError(
            f"{folder} is no course folder: it has no nbgrader_config.py. "
            "make assignment writes one."
        )
    config = PyFileConfigLoader("nbgrader_config.py", path=str(folder)).load_config()
    return NbGraderAPI(config=config)


def write_json(path: Path, table: dict) -> None:
    """Write a file that is never seen half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".part")
    fresh.write_text(json.dumps(table, indent=1), encoding="utf-8")
    os.replace(fresh, path)


def read_json(path: Path) -> dict:
    """What write_json wrote; a file that is missing or broken counts as empty."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _child(folder: Path, name: str, student: str, state: Path) -> None:
    """Autograde one submission; its process does nothing else."""
    log = os.open(
        state.with_suffix(".log"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644
    )
    os.dup2(log, 1)
    os.dup2(log, 2)
    if (
        sys.platform == "linux"
    ):  # before anything else: the fork shall have nothing of ours
        from jupyter_client.provisioning import local_provisioner

        launch = local_provisioner.launch_kernel
        local_provisioner.launch_kernel = warm.use(warm.Forked(), launch)
    # Kernels import the course's code of this folder, wherever it is installed from.
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    api = nbgrader_api(folder)
    api.coursedir.submitted_directory = REPAIRED

    def started(cell, cell_index):
        write_json(state, {"running": cell_index})

    api.config.Execute.on_cell_start = started
    api.coursedir.update_config(api.config)
    result = api.autograde(name, student, force=True, create=True)
    print(result.get("log", ""), result.get("error", ""), flush=True)
    if result["success"]:
        write_json(state, {"success": True})


def _context(book: nbformat.NotebookNode):
    """How processes start: from one that has everything loaded, where that works."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    with STARTING:
        os.environ[warm.MODULES] = json.dumps(warm.imported(book))
        context.set_forkserver_preload(["nbgrader.apps", "grading.warm"])
        forkserver.ensure_running()  # once for all; it takes what it needs from us now
        del os.environ[warm.MODULES]
    return context


def _watch(process, deadline: float, memory: int, stop: threading.Event) -> str:
    """Wait for a process; end it and its kernel when it takes too long or too much."""
    why = ""
    while process.is_alive():
        if stop.is_set():
            _end(_family(process.pid))
            raise Stopped("grading was stopped")
        process.join(0.25)
        family = _family(process.pid)
        used = 0
        for member in family:
            with contextlib.suppress(psutil.Error):
                used += member.memory_info().rss
        if time.monotonic() > deadline or used > memory:
            why = TOO_LONG if used <= memory else TOO_LARGE
            _end(family)
            process.join()
    return why


def _family(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid)
        return [*parent.children(recursive=True), parent]
    return []


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


def autograde(
    folder: Path,
    name: str,
    student: str,
    *,
    seconds: int,
    memory: int,
    stop: threading.Event,
) -> dict:
    """Grade repaired/STUDENT/NAME; -> success, cells left out, what nbgrader said.

    Args:
        folder: the course folder.
        name: of the assignment.
        student: nbgrader's name for the student.
        seconds: limit of one run of the submission.
        memory: bytes that nbgrader and the kernel may use together.
        stop: end the run when it is set.

    Raises:
        Stopped: it was.
    """
    state = folder / "private" / f"{name}_runs" / f"{student}.json"
    path = folder / REPAIRED / student / name / f"{name}.ipynb"
    book = nbformat.read(path, as_version=4)
    left_out: dict[str, str] = {}  # name of a cell -> why
    context = _context(book)
    for _ in range(len(book.cells) + 1):
        write_json(state, {})
        arguments = (folder, name, student, state)
        process = context.Process(target=_child, args=arguments)
        process.start()
        why = _watch(process, time.monotonic() + seconds, memory, stop)
        found = read_json(state)
        said = state.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
        culprit = found.get("running")
        if not why and "DeadKernelError" not in said and "waiting for IOPub" in said:
            why = TOO_LONG
        if found.get("success"):
            culprit, why = hung_from(folder, name, student), TOO_LONG
            if culprit is None:
                return {"success": True, "left_out": left_out, "log": said}
        if culprit is None or not leave_out(book, culprit, why or DIED):
            break
        left_out[name_of(book.cells[culprit]) or f"cell {culprit}"] = why or DIED
        nbformat.write(book, path)
    return {"success": False, "left_out": left_out, "log": said}


def hung_from(folder: Path, name: str, student: str) -> int | None:
    """The cell after which no cell got an answer: no interrupt could stop it."""
    path = folder / "autograded" / student / name / f"{name}.ipynb"
    book = nbformat.read(path, as_version=4)
    hung: list[int] = []
    for at, cell in enumerate(book.cells):
        if cell.cell_type == "code":
            late = any("CellTimeoutError" in str(o.get("ename")) for o in cell.outputs)
            hung = [*hung, at] if late else []
    others = {number_of(name_of(book.cells[at])) for at in hung} - {""}
    return hung[0] if len(others) > 1 else None


def leave_out(book: nbformat.NotebookNode, culprit: int, why: str) -> bool:
    """Replace the cell that stopped a run, or the answer that a check was calling."""
    cell = book.cells[culprit]
    number = number_of(name_of(cell))
    if not name_of(cell):
        targets = [cell]
    elif number:
        answer = next(
            c for c in book.cells if name_of(c) == f"answer-{number_key(number)}"
        )
        names = functions(answer.source)
        targets = [
            c
            for c in book.cells
            if c is answer or (not name_of(c) and bound(c.source) & names)
        ]
    else:
        return False  # set-up is not the student's
    source = LEFT_OUT.format(why=why)
    if all(target.source == source for target in targets):
        return False
    for target in targets:
        target.source = source
    return True
