import signal
import sys
from pathlib import Path

import matplotlib
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "tests")]
matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _interrupts_arrive():
    """Tests interrupt trainings; a shell that started pytest in the background, with
    `nohup` or on some build servers, hands down that interrupts are ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before or signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _quiet_and_seeded():
    """One thread (tests run side by side) and a known seed; no test may need another."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


def pytest_collection_modifyitems(items):
    """Downloads from a local server need torchvision, which takes seconds to import."""
    for item in items:
        if "set_mirrors" in getattr(
            item, "fixturenames", ()
        ):  # a notebook cell has none
            item.add_marker(pytest.mark.slow)
