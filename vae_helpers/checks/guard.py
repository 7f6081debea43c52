"""What surrounds a learner's code while it is checked: a clock, quiet, a clean state.

A check runs code that its author never saw. It may loop for ever, print a million lines,
call `exit()`, switch autograd off or set a seed. None of this may reach the rest of the
notebook, and each deserves a sentence.
"""

import ast
import contextlib
import ctypes
import dis
import io
import random
import re
import signal
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

SECONDS = 20.0  # for all calls of one check; right answers need less than one
LINES, LETTERS = 10, 2000  # of what the learner's code prints, per check
_LIBRARIES = tuple(
    str(Path(place))
    for place in {
        Path(__file__).parent,
        Path(torch.__file__).parents[1],
        sysconfig.get_paths()["stdlib"],
    }
)


class TimeIsUp(BaseException):
    """Not an Exception: a bare `except Exception` in a loop must not catch it."""


@contextlib.contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """Raise TimeIsUp in the block once the seconds are over.

    On a busy machine a right answer may need longer than the seconds by the clock. So an
    answer that computes, but got only a small part of a processor, has up to six times as
    long. An alarm signal can end even a sleep, but only Unix has one and only the main thread
    gets it. Elsewhere another thread raises the exception between two instructions.
    """
    armed = True
    begin = time.monotonic(), time.process_time()

    def is_over() -> bool:
        clock, used = time.monotonic() - begin[0], time.process_time() - begin[1]
        waits = used < 0.1 * clock  # a sleep, not a computation
        return waits or used >= 0.8 * seconds or clock >= 6 * seconds

    def ring(*_: object) -> None:
        if armed and is_over():
            raise TimeIsUp

    main = threading.current_thread() is threading.main_thread()
    if main and hasattr(signal, "setitimer"):
        handler = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
        try:
            yield
        finally:
            armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, handler)
        return

    target = ctypes.c_ulong(threading.get_ident())

    done = threading.Event()

    def throw() -> None:
        done.wait(seconds)
        while armed and not is_over():
            done.wait(1.0)
        if armed:
            error = ctypes.py_object(TimeIsUp)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(target, error)

    threading.Thread(target=throw, daemon=True).start()
    try:
        yield
    finally:
        armed = False
        done.set()


class _Few(io.TextIOBase):
    """Passes the first lines on and swallows the rest."""

    def __init__(self, stream) -> None:
        self.stream, self.lines, self.letters = stream, LINES, LETTERS

    def write(self, text: str) -> int:
        if self.lines > 0 and self.letters > 0:
            part = "".join(text.splitlines(keepends=True)[: self.lines])
            part = part[: self.letters]
            self.stream.write(part)
            self.lines -= part.count("\n")
            self.letters -= len(part)
            if self.lines <= 0 or self.letters <= 0:
                self.stream.write(
                    "... (what your code prints from here on is left out)\n"
                )
        return len(text)

    def flush(self) -> None:
        self.stream.flush()


@contextlib.contextmanager
def few_lines() -> Iterator[None]:
    """Let the block print a few lines; a check calls the same code many times."""
    out, err = _Few(sys.stdout), _Few(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        yield


# How to read a setting, how to write it, its value while a check runs, and what the
# learner reads when their code leaves it changed.
_SETTINGS: list[tuple[Callable, Callable, object, str]] = [
    (
        torch.is_grad_enabled,
        torch.set_grad_enabled,
        True,
        "Your code switches autograd off for the rest of the notebook "
        "(`torch.set_grad_enabled(False)`): nothing would learn any more. If you need no "
        "gradients, write `with torch.no_grad():` around these lines.",
    ),
    (
        torch.get_default_dtype,
        torch.set_default_dtype,
        None,
        "Your code changes PyTorch's default dtype for the rest of the notebook "
        "(`torch.set_default_dtype`). Give the dtype to the tensors you make instead.",
    ),
    (
        torch.get_num_threads,
        torch.set_num_threads,
        None,
        "Your code changes the number of threads of PyTorch (`torch.set_num_threads`). "
        "That is a setting of the whole notebook: leave it as it is.",
    ),
    (
        torch.are_deterministic_algorithms_enabled,
        torch.use_deterministic_algorithms,
        None,
        "Your code changes which algorithms PyTorch may use "
        "(`torch.use_deterministic_algorithms`), for the rest of the notebook. Leave it.",
    ),
    (
        torch.is_anomaly_enabled,
        torch.autograd.set_detect_anomaly,
        None,
        "Your code leaves PyTorch's anomaly detection on (`torch.autograd."
        "set_detect_anomaly`): every later training would be slow.",
    ),
]


def restore_settings() -> str | None:
    """Undo a change of PyTorch's settings inside a check; return words for it."""
    said = None
    for read, write, _, sentence in _SETTINGS:
        if read() != _expected.setdefault(read, read()):
            write(_expected[read])
            said = said or sentence
    return said


_expected: dict[Callable, object] = {}


@contextlib.contextmanager
def clean_state(dtype: torch.dtype = torch.float32) -> Iterator[None]:
    """Known settings inside, among them PyTorch's default dtype; outside, settings and
    random streams as they were."""
    before = {read: read() for read, _, _, _ in _SETTINGS}
    streams = random.getstate(), np.random.get_state()
    _last.clear()
    gpus = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(gpus):
        for read, write, value, _ in _SETTINGS:
            if read is torch.get_default_dtype:
                value = dtype
            if value is not None and before[read] != value:
                write(value)
            _expected[read] = read()
        try:
            yield
        finally:
            _expected.clear()
            for read, write, _, _ in _SETTINGS:
                if read() != before[read]:
                    write(before[read])
            random.setstate(streams[0])
            np.random.set_state(streams[1])


def seed_streams(seed: int) -> None:
    """Seed the three global streams; for torch without the cost of asking all GPUs."""
    torch.default_generator.manual_seed(_mark(seed))
    np.random.seed(seed)
    random.seed(seed)


def _mark(seed: int) -> int:
    return 7_654_321 + seed  # a number that nobody types: another one shows a new seed


def seed_was_set(seed: int) -> str | None:
    """Words for it if the code that ran since `seed_streams(seed)` set a seed.

    PyTorch remembers the seed. The other two streams are caught when they stand at the
    same place after two calls that began at different ones.
    """
    if torch.initial_seed() != _mark(seed):
        return _seed_sentence("PyTorch", "torch.manual_seed")
    numpy_state = np.random.get_state()
    stand = (hash(numpy_state[1].tobytes()), numpy_state[2]), hash(random.getstate())
    before, _last[:] = list(_last), [seed, *stand]
    if not before or before[0] == seed:
        return None
    if before[1] == stand[0]:
        return _seed_sentence("NumPy", "np.random.seed")
    if before[2] == stand[1]:
        return _seed_sentence("Python", "random.seed")
    return None


_last: list = []  # seed and places of the streams after the call before


def _seed_sentence(library: str, function: str) -> str:
    return (
        f"Your code sets the seed of {library} (`{function}`): what the notebook draws "
        "afterwards would be the same after every call. Leave seeds to whoever calls the "
        "function."
    )


def is_library(filename: str) -> bool:
    """Whether a file belongs to Python, an installed package or the checks."""
    return filename.startswith(_LIBRARIES) or "site-packages" in filename


def raised_by_a_stub(error: BaseException) -> bool:
    """Whether a `raise` in the learner's own code raised this, not PyTorch.

    PyTorch raises NotImplementedError itself, often from C++, where the innermost Python
    frame is the learner's line. So the instruction is looked at: is it a raise?
    """
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    if is_library(code.co_filename):
        return False
    return any(
        step.offset == trace.tb_lasti and step.opname == "RAISE_VARARGS"
        for step in dis.get_instructions(code)
    )


def newer_cell_that_fails(name: str) -> str | None:
    """Words for it if the newest notebook cell that defines `name` does not compile.

    Then the function of that name is still the version before, which the learner no
    longer sees.
    """
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    history = getattr(getattr(shell, "history_manager", None), "input_hist_raw", [])
    define = re.compile(rf"^\s*def\s+{re.escape(name)}\b", re.MULTILINE)
    for number in range(len(history) - 1, 0, -1):
        if not define.search(history[number]):
            continue
        try:
            ast.parse(shell.transform_cell(history[number]))
        except SyntaxError as error:
            return (
                f"Your newest version of `{name}`, in cell [{number}], does not compile: "
                f"{error.msg}, line {error.lineno}. Python still holds the version "
                "before it, so that one was not judged. Mend the cell and run it again."
            )
        return None
    return None
