"""The parts of the benchmark beside the comparison of programs."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from programs import multiply, new_model
from torch import nn
from torch.profiler import ProfilerActivity
from torch.profiler import profile as torch_profile

from vae_helpers import bounds, data, training
from vae_helpers.vae import vae_loss

ROOT = Path(__file__).resolve().parents[1]
MINUTE = 60.0  # s
PEAK_RATE = 3e-3  # of the better recipe of lesson 04


def _train(model: nn.Module, images: torch.Tensor, steps: int, **options) -> float:
    """Seconds that `fit` takes for this many steps."""
    start = time.perf_counter()
    training.fit(model, images, vae_loss, steps=steps, **options)
    return time.perf_counter() - start


def minute(images: data.ImageData, device: torch.device, quick: bool) -> dict:
    """Test -ELBO after a minute of training, with the better recipe of lesson 04."""
    budget = MINUTE / 10 if quick else MINUTE
    recipe = {"lr": PEAK_RATE, "schedule": training.warmup_cosine}
    found = []
    for seed in range(1 if quick else 3):
        trial = 300
        per_step = _train(new_model(seed), images.train_images, trial, **recipe) / trial
        model, steps = new_model(seed), int(0.95 * budget / per_step)
        spent = _train(model, images.train_images, steps, seed=seed, **recipe)
        torch.manual_seed(0)
        loss = bounds.mean_terms(model, images.test_images)["loss"]
        found.append(
            {"seed": seed, "steps": steps, "seconds": spent, "test_loss": loss}
        )
    return {"budget_s": budget, "runs": found}


def _against_floor(images, steps: int, repeats: int, *, hidden=400, batch=128) -> dict:
    """Microseconds per image of `fit` and of the floor, taking turns."""
    fit_s, floor_s = [], []
    for seed in range(repeats):
        options = {"batch_size": batch, "seed": seed}
        fit_s.append(_train(new_model(seed, hidden), images, steps, **options))
        start = time.perf_counter()
        multiply(new_model(seed, hidden), steps, batch)
        floor_s.append(time.perf_counter() - start)
    to_microseconds = 1e6 / (steps * batch)
    return {
        "fit_us": statistics.median(fit_s) * to_microseconds,
        "floor_us": statistics.median(floor_s) * to_microseconds,
    }


def scaling(images: data.ImageData, device: torch.device, quick: bool) -> dict:
    """Time per image against batch size, width, size of the data set and threads."""
    x, seen = images.train_images, 6_400 if quick else 32_000  # images per measurement
    repeats = 1 if quick else 3
    found: dict[str, dict] = {"batch size": {}, "hidden units": {}}
    for batch in (32, 64, 128, 256, 512, 1024):
        found["batch size"][batch] = _against_floor(
            x, max(1, seen // batch), repeats, batch=batch
        )
    for hidden in (100, 200, 400, 800, 1600):
        steps = seen // 128 // (2 if hidden > 400 else 1)
        found["hidden units"][hidden] = _against_floor(x, steps, repeats, hidden=hidden)
    found["images"] = {
        size: _against_floor(x[:size], seen // 128, repeats)
        for size in (1_000, 4_000, 16_000, 60_000)
        if size <= len(x)
    }
    threads, found["threads"] = torch.get_num_threads(), {}
    for count in sorted({1, 2, 4, 8, threads} & set(range(1, threads + 1))):
        torch.set_num_threads(count)
        found["threads"][count] = _against_floor(x, seen // 128, repeats)
    torch.set_num_threads(threads)
    return found


GROUPS = {  # by the names of PyTorch's operators, first match
    "matrix products": ("aten::mm", "aten::addmm"),
    "Adam": ("aten::_fused_adam_",),
    "cutting the batch": ("aten::index", "aten::div", "aten::_to_copy", "aten::copy_"),
    "noise": ("aten::normal_", "aten::randn_like", "aten::randperm"),
    "loss and its gradient": ("aten::binary_cross_entropy", "aten::exp", "aten::sum"),
}


def profile(images: data.ImageData, device: torch.device, quick: bool) -> dict:
    """Share of the time of `fit` that each kind of work takes."""
    model, steps = new_model(), 100 if quick else 500
    _train(model, images.train_images, 50)
    with torch_profile(activities=[ProfilerActivity.CPU]) as recorded:
        spent = _train(model, images.train_images, steps)
    events = recorded.key_averages()
    shares = dict.fromkeys(GROUPS, 0.0)
    shares["other operators"] = 0.0
    for event in events:
        if not event.key.startswith(("aten::", "autograd::", "torch::autograd")) and (
            "Backward" not in event.key
        ):
            continue
        group = next(
            (g for g, keys in GROUPS.items() if event.key.startswith(keys)),
            "other operators",
        )
        shares[group] += event.self_cpu_time_total / 1e6 / spent
    shares["Python between the operators"] = max(0.0, 1 - sum(shares.values()))
    top = sorted(events, key=lambda e: -e.self_cpu_time_total)[:12]
    return {
        "steps": steps,
        "shares": shares,
        "top": {e.key: e.self_cpu_time_total / 1e6 / spent for e in top},
    }


BOUND = """
import resource, time, torch, sys
from vae_helpers import bounds, data, runtime
from vae_helpers.vae import VAE
runtime.configure_threads()
x = data.to_unit_interval(data.load_images("MNIST", quiet=True).test_images[:1000])
torch.manual_seed(0)
model = VAE(20)
bounds.importance_weighted_bound(model, x[:100], 10)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
bounds.importance_weighted_bound(model, x, int(sys.argv[1]))
spent = time.perf_counter() - start
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(spent, (after - before) / 1024)
"""


def bound(images: data.ImageData, device: torch.device, quick: bool) -> dict:
    """Importance-sampled bound on 1,000 images: seconds and growth of the memory."""
    found = {}
    for samples in (50, 500) if quick else (500, 5000):
        arguments = [sys.executable, "-c", BOUND, str(samples)]
        output = subprocess.run(arguments, check=True, capture_output=True, text=True)
        seconds, megabytes = map(float, output.stdout.split())
        found[samples] = {"seconds": seconds, "grown_mib": megabytes}
    return found


STARTS = {
    "python": "",
    "import torch": "import torch",
    "import torch, torchvision": "import torch, torchvision",
    "import vae_helpers.training": "import vae_helpers.training",
    "import vae_helpers.plots": "import vae_helpers.plots",
}

FIRST_FIGURE = """
import sys, time
import nbformat
from nbclient import NotebookClient
book = nbformat.read(sys.argv[1], as_version=4)
start = time.perf_counter()
client = NotebookClient(book, resources={"metadata": {"path": sys.argv[2]}})
with client.setup_kernel():
    for number, cell in enumerate(book.cells):
        client.execute_cell(cell, number)
        if any("image/png" in o.get("data", {}) for o in cell.get("outputs", [])):
            break
    print(time.perf_counter() - start)
"""


def start(images: data.ImageData, device: torch.device, quick: bool) -> dict:
    """Seconds of imports, and of JupyterLab and lesson 00 up to its first figure."""
    found, repeats = {}, 1 if quick else 3
    for name, code in STARTS.items():
        values = []
        for _ in range(repeats):
            begin = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            values.append(time.perf_counter() - begin)
        found[name] = statistics.median(values)
    server, figure = [], []
    for _ in range(repeats):
        server.append(_server_seconds())
        notebooks = ROOT / "notebooks"
        lesson = str(notebooks / "00_start_here.ipynb")
        arguments = [sys.executable, "-c", FIRST_FIGURE, lesson, str(notebooks)]
        output = subprocess.run(arguments, check=True, capture_output=True, text=True)
        figure.append(float(output.stdout.split()[-1]))
    found["JupyterLab until it answers"] = statistics.median(server)
    found["lesson 00: kernel start to first figure"] = statistics.median(figure)
    return found


def _server_seconds() -> float:
    """From the command behind `make lab` until the server's address is printed."""
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--port=0"]
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        for line in process.stderr:
            if "is running at" in line:
                return time.perf_counter() - begin
    finally:
        process.terminate()
        process.wait(20)
    raise RuntimeError("JupyterLab ended before it was ready")
