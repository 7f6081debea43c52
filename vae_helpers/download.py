"""One download through torchvision, with limits that torchvision does not set.

It waits for ever on a silent server and prints progress bars. Here a download is given
up when nothing comes, and ends with a few words on why.
"""

import contextlib
import ctypes
import io
import math
import os
import re
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from vae_helpers import sources
from vae_helpers.sources import Parts, SourceError

SILENCE_SECONDS = 5.0  # one connect or read that brings nothing fails after this
DOWNLOAD_SECONDS = 60.0  # all mirrors together; VAE_COURSE_DOWNLOAD_SECONDS changes it
STALL_SECONDS = 10.0  # a mirror is left when its files do not grow for this long

# Hiding output and limiting sockets act on the whole process: two threads would mix up
# what to put back.
_one_at_a_time = threading.Lock()


def from_network(name: str, notes: list[str]) -> Parts | None:
    """The images from the first mirror that delivers; None, and a note, where none does.

    Raises:
        ValueError: VAE_COURSE_DOWNLOAD_SECONDS is not a positive number.
    """
    if os.environ.get("VAE_COURSE_OFFLINE", "").strip().lower() in ("1", "true", "yes"):
        notes.append("VAE_COURSE_OFFLINE is set")
        return None
    seconds = _download_seconds()
    try:
        with quiet_and_bounded():
            # Imported here: it takes seconds, and the other sources do not need it.
            from torchvision import datasets

            return _try_mirrors(getattr(datasets, name), seconds, notes)
    except Exception as error:
        # Broad: a torchvision that does not fit torch raises almost anything.
        notes.append(f"the download failed: {in_words(error)}")
        return None


def _download_seconds() -> float:
    text = os.environ.get("VAE_COURSE_DOWNLOAD_SECONDS") or str(DOWNLOAD_SECONDS)
    with contextlib.suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise ValueError(
        f"VAE_COURSE_DOWNLOAD_SECONDS must be a positive number, got {text!r}"
    )


def _try_mirrors(dataset: type, seconds: float, notes: list[str]) -> Parts:
    """The images from the first mirror that delivers; what came is kept."""
    name, reasons = dataset.__name__, []
    keep_in = sources.folder_to_keep_in()
    deadline = time.monotonic() + seconds
    for mirror in dataset.mirrors:
        # torchvision gives up on some failures without trying its next mirror, so each
        # one is tried alone, in a fresh folder: no file of a bad mirror is left over.
        one_mirror = type(name, (dataset,), {"mirrors": [mirror]})
        with tempfile.TemporaryDirectory(
            prefix=".download-", dir=keep_in, ignore_cleanup_errors=True
        ) as temporary:
            try:
                fetch(one_mirror, Path(temporary), deadline)
                parts = sources.read_folder(name, Path(temporary))
            except SourceError as error:
                if time.monotonic() > deadline:
                    raise SourceError(f"it took longer than {seconds:g} s") from None
                reasons.append(str(error))
                continue
            is_kept = sources.keep(Path(temporary, name, "raw"), keep_in / name / "raw")
        if not is_kept or keep_in in sources._temporary_folders:
            notes.append("kept only until Python ends: the cache folder is read-only")
        return parts
    raise SourceError(", then ".join(dict.fromkeys(reasons)))


@contextlib.contextmanager
def quiet_and_bounded() -> Iterator[None]:
    """Give new sockets a time limit and hide torchvision's progress bars."""
    hidden = io.StringIO()
    with _one_at_a_time:
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(SILENCE_SECONDS)
        try:
            with contextlib.redirect_stdout(hidden), contextlib.redirect_stderr(hidden):
                yield
        finally:
            socket.setdefaulttimeout(before)


def fetch(dataset: type, folder: Path, deadline: float) -> None:
    """Let torchvision download into `folder`, in a thread that can be given up.

    Args:
        dataset: a class of torchvision.datasets with one mirror.
        folder: where torchvision makes its NAME/raw.
        deadline: on the clock of time.monotonic.

    Raises:
        SourceError: no complete download; the message says why.
    """
    outcome: list[str] = []  # nothing while it runs, then why it failed or ""
    ended = threading.Event()

    def work() -> None:
        try:
            dataset(str(folder), download=True)
            outcome.append("")
        except SystemExit:
            pass  # from _stop
        except Exception as error:
            outcome.append(in_words(error))
        finally:
            ended.set()

    # A thread, not a process: a second Python would load torch and torchvision again,
    # which takes longer and more memory than a small hosted machine can spare.
    worker = threading.Thread(target=work, name="vae-course-download", daemon=True)
    worker.start()
    try:
        _wait(ended, folder, deadline)
    finally:
        _stop(worker, ended)
    if not outcome:
        raise SourceError("the server did not answer, or too slowly")
    if outcome[0]:
        raise SourceError(outcome[0])


def _wait(ended: threading.Event, folder: Path, deadline: float) -> None:
    """Return when the worker has ended, time is up, or its files no longer grow."""
    size, grew_at = 0, time.monotonic()
    # Short waits, because Windows notices Ctrl-C only between them. An event, because
    # Python 3.11 takes a thread for ended when Ctrl-C interrupts a join.
    while not ended.wait(0.05) and time.monotonic() < deadline:
        new_size = sum(path.stat().st_size for path in folder.rglob("*-ubyte*"))
        if new_size != size:
            size, grew_at = new_size, time.monotonic()
        elif time.monotonic() - grew_at > STALL_SECONDS:
            return


def _stop(worker: threading.Thread, ended: threading.Event) -> None:
    """End the worker once the read that it waits for returns or reaches its limit."""
    if not ended.is_set():
        # Nothing kills a thread, but an exception can be raised in it; torchvision lets
        # SystemExit pass. Left alone, the thread would stay for as long as a server
        # sends single bytes.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(worker.ident), ctypes.py_object(SystemExit)
        )
        ended.wait(SILENCE_SECONDS + 1)


def in_words(error: Exception) -> str:
    """A few words on why; torchvision hands on only the text of most errors."""
    text = str(error)
    if isinstance(error, SourceError):
        return text
    if code := re.search(r"HTTP Error (\d+)", text):
        return f"the server answered {code[1]}"
    for part, words in (
        ("timed out", "the server did not answer"),
        ("corrupted", "the server sent something else"),
        ("redirects", "the server sent something else"),
        ("CERTIFICATE", "the server's certificate was not accepted"),
        ("urlopen error", "no network"),
        ("torchvision", "torchvision cannot be imported"),
    ):
        if part in text:
            return words
    # Not the text itself, which may hold a path or an address.
    return getattr(error, "strerror", None) or type(error).__name__
