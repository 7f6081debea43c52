"""Where a lesson runs: device, threads, seed, and one line that says so."""

import contextlib
import ctypes
import os
import platform
import random
import re
import sys
from collections.abc import Iterator
from importlib import metadata

import torch

# As in pyproject.toml, which is not at hand where the course is not installed.
OLDEST_PYTHON = (3, 11)
OLDEST = {
    "torch": "2.4",
    "torchvision": "0.19",
    "numpy": "1.26",
    "matplotlib": "3.8",
    "ipywidgets": "7.7.1",
    "scikit-image": "0.22",
    "scikit-learn": "1.4",
    "mlxtend": "0.23.1",
}


def set_seed(seed: int) -> None:
    """Seed Python's and PyTorch's global generators (all devices).

    The same seed gives the same numbers only on the same machine and versions
    (PyTorch promises no more), so lessons compare with bands, not with digits.
    """
    random.seed(seed)
    torch.manual_seed(seed)


def get_device(preferred: str | None = None) -> torch.device:
    """The first device that works, in the order cuda, mps, cpu.

    Args:
        preferred: a device name such as "cpu"; None chooses. The environment variable
            VAE_COURSE_DEVICE does the same for a whole session.

    Returns:
        A device on which a small operation was tried.

    Raises:
        ValueError: the preferred device does not work here; the message says why.
    """
    preferred = preferred or os.environ.get("VAE_COURSE_DEVICE")
    for name in [preferred] if preferred else ["cuda", "mps"]:
        try:
            (torch.ones(2, device=name) + 1).sum().item()
            return torch.device(name)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            if preferred:
                raise ValueError(
                    f"device {preferred!r} does not work here ({error}); "
                    "leave it out to have one chosen"
                ) from error
    return torch.device("cpu")


def available_cores() -> int:
    """Cores this process may use: CPU_LIMIT, the container's quota or the machine's."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    limits = [cores or os.cpu_count() or 1]
    try:
        limits.append(int(float(os.environ.get("CPU_LIMIT", ""))))
    except ValueError:
        pass
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="utf-8") as file:
            quota, period = file.read().split()
        limits.append(int(quota) // int(period))
    except (OSError, ValueError):
        pass
    return max(1, min(limits))


def configure_threads(threads: int | None = None) -> int:
    """Give PyTorch as many threads as there are cores to use, and return the number.

    More threads than cores can be a hundred times slower than one thread. A number in
    OMP_NUM_THREADS is a wish of the user or the test runner and is kept.
    """
    if threads is None:
        wish = os.environ.get("OMP_NUM_THREADS", "")
        threads = int(wish) if wish.isdigit() and int(wish) else available_cores()
    torch.set_num_threads(threads)
    return torch.get_num_threads()


@contextlib.contextmanager
def reduced_precision() -> Iterator[None]:
    """Inside the with-block PyTorch may multiply float32 matrices with fewer digits.

    The training becomes faster; how much, and whether any digits are lost, depends on
    the processor. On some, products round to bfloat16 (8 binary digits) or TF32 (11); on
    others a faster float32 routine is all that changes. The setting is global in
    PyTorch, so the old one comes back at the end of the block. Bounds and other
    measurements belong outside it.

    Source:
        torch.set_float32_matmul_precision("medium") and its documentation.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def release_memory() -> None:
    """Give freed memory back to the system.

    The C library of Linux keeps it for later, up to 300 MB in a lesson that trains and
    measures many models, which is much on a machine with 2 GB. Elsewhere nothing is done.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def unsupported() -> list[str]:
    """Sentences on what is too old or known not to work here; empty when all is well."""
    found = []
    if sys.version_info < OLDEST_PYTHON:
        need = ".".join(map(str, OLDEST_PYTHON))
        found.append(f"Python {platform.python_version()} is older than {need}.")
    for package, oldest in OLDEST.items():
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            found.append(f"{package} is missing; {oldest} or newer is needed.")
            continue
        numbers = [int(n) for n in re.findall(r"\d+", version)[:3]]
        if numbers < [int(n) for n in oldest.split(".")]:
            found.append(f"{package} {version} is older than {oldest}.")
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        found.append("PyTorch is no longer made for Macs with an Intel processor.")
    return found


def start(seed: int, device: str | None = None) -> torch.device:
    """Seed, choose threads and device, print one line about them, return the device.

    What is too old for the course is said in words, and the lesson goes on.

    Args:
        seed: a whole number; every random number of the lesson follows from it.
        device: a device name, or None to have one chosen.
    """
    # The first optimiser of a session makes PyTorch import a lot. An interrupt in the
    # middle of that would leave half-imported modules behind until a restart.
    torch.optim.Adam([torch.zeros(1)])
    set_seed(seed)
    threads = configure_threads()
    chosen = get_device(device)
    name = torch.cuda.get_device_name() if chosen.type == "cuda" else chosen.type
    plural = "" if threads == 1 else "s"
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"device {name}, {threads} thread{plural}, seed {seed}."
    )
    for sentence in unsupported():
        print(f"Not supported: {sentence} See TROUBLESHOOTING.md.")
    return chosen
