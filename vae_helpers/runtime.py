"""Where a lesson runs: device, threads, seed, and one line that says so."""

import os
import platform
import random

import torch


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


def start(seed: int, device: str | None = None) -> torch.device:
    """Seed, choose threads and device, print one line about them, return the device.

    Args:
        seed: a whole number; every random number of the lesson follows from it.
        device: a device name, or None to have one chosen.
    """
    set_seed(seed)
    threads = configure_threads()
    chosen = get_device(device)
    name = torch.cuda.get_device_name() if chosen.type == "cuda" else chosen.type
    plural = "" if threads == 1 else "s"
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"device {name}, {threads} thread{plural}, seed {seed}."
    )
    return chosen
