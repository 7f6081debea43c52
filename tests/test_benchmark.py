"""The benchmark compares programs that do the same work, and writes what it found."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
bench = pytest.importorskip("bench")
import measures  # noqa: E402
import programs  # noqa: E402
import report  # noqa: E402

from vae_helpers import bounds  # noqa: E402
from vae_helpers.data import CLASS_NAMES, ImageData  # noqa: E402


@pytest.fixture(scope="module")
def stripes():
    """512 images of one bright row: easy to learn, the same work for every program."""
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(512, 1, 28, 28, dtype=torch.uint8)
    images[torch.arange(512), 0, torch.randint(28, (512,), generator=generator)] = 255
    labels = torch.zeros(512, dtype=torch.int64)
    parts = (images, labels, images[:100], labels[:100])
    return ImageData("MNIST", "made here", False, *parts, CLASS_NAMES["MNIST"])


@pytest.mark.slow
def test_every_program_reaches_the_same_loss(stripes):
    reached = {}
    for name, program in programs.programs().items():
        model = programs.new_model(0)
        program(model, programs.Task(stripes.train_images, epochs=5))
        torch.manual_seed(0)
        reached[name] = bounds.mean_terms(model, stripes.test_images)["loss"]
    torch.manual_seed(0)
    untrained = bounds.mean_terms(programs.new_model(0), stripes.test_images)["loss"]
    middle = sorted(reached.values())[len(reached) // 2]
    assert middle < 0.6 * untrained
    for name, loss in reached.items():
        assert abs(loss - middle) < 0.15 * middle, reached | {"name": name}


def test_the_floor_holds_every_product_of_a_step(monkeypatch):
    made = []
    monkeypatch.setattr(torch, "mm", lambda a, b, out: made.append((a.shape, b.shape)))
    programs.multiply(programs.new_model(), 1, 128)
    # Five layers: five products forward, five for weights, four for inputs.
    assert len(made) == 14
    work = sum(2 * a[0] * a[1] * b[1] for a, b in made)
    layers = [m for m in programs.new_model().modules() if isinstance(m, nn.Linear)]
    sizes = [layer.weight.numel() for layer in layers]
    assert work == 2 * 128 * (3 * sum(sizes) - sizes[0])


def test_each_program_takes_other_places_in_other_rounds():
    names = list("abcdefg")
    orders = programs.rounds(names, 3)
    assert all(sorted(order) == names for order in orders)
    assert len({order[0] for order in orders}) == 3


@pytest.mark.slow
def test_a_run_writes_tables_and_figures(stripes, tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "programs", lambda: programs.LADDER)
    results = {"machine": bench.machine(), "gpu": None}
    results["train"] = bench.train(stripes, torch.device("cpu"), quick=True)
    results["profile"] = measures.profile(stripes, torch.device("cpu"), quick=True)
    report.write(results, tmp_path, tmp_path)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert programs.FIT in text and "Not measured" in text
    assert {p.name for p in tmp_path.iterdir()} == {
        "README.md",
        "speed.png",
        "profile.png",
    }
    shares = results["profile"]["shares"]
    assert sum(shares.values()) > 0.999 and shares["matrix products"] > 0
