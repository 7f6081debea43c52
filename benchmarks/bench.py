"""Measure how fast the course trains, against the usual way, other trainers and the floor.

    python benchmarks/bench.py            everything (about twenty minutes on two cores)
    python benchmarks/bench.py train      one part; parts: train, minute, scaling,
                                          profile, bound, start, gpu

Only ratios inside one run mean something: a machine's speed drifts by a tenth and more
from one minute to the next, so the programs take turns. Results go to benchmarks/results/
(results.json and tables in README.md) and figures/ (speed.png, scaling.png, profile.png).
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import measures
import programs
import report
import torch
from programs import FIT, FLOOR, Task

from vae_helpers import bounds, data, runtime

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
EPOCHS, ROUNDS = 2, 3
QUICK_EPOCHS, QUICK_ROUNDS = 1, 1


def machine() -> dict:
    """Where the numbers come from, without a name or a path."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(
            x.split(":")[1].strip() for x in lines if x.startswith("model name")
        )
    except (OSError, StopIteration):
        pass
    return {
        "processor": name,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def timed(run: Callable, device: torch.device) -> float:
    """Seconds; a GPU's queue is empty before and after."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - start


def spread(values: list[float]) -> dict:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def train(images: data.ImageData, device: torch.device, quick: bool) -> dict:
    """Seconds per epoch of every program and the test -ELBO that it reaches.

    The floor is timed before and after every program: the machine's speed drifts.
    """
    epochs, count = (QUICK_EPOCHS, QUICK_ROUNDS) if quick else (EPOCHS, ROUNDS)
    found = programs.programs()
    seconds: dict[str, list[float]] = {name: [] for name in found}
    floors: dict[str, list[float]] = {name: [] for name in found}
    losses: dict[str, list[float]] = {name: [] for name in found}
    for program in found.values():  # imports, caches and the first allocations
        small = Task(images.train_images[:1280], 1, device=device)
        program(programs.new_model(), small)
    epoch = Task(images.train_images, 1, device=device)
    steps = max(1, epoch.steps // 4)  # enough for the floor, which is timed often

    def floor_seconds() -> float:
        arguments = programs.new_model(), steps, epoch.batch_size, device
        return (
            timed(lambda: programs.multiply(*arguments), device) * epoch.steps / steps
        )

    near = [floor_seconds()]
    for seed, names in enumerate(programs.rounds(list(found), count)):
        for name in names:
            model = programs.new_model(seed)
            task = Task(images.train_images, epochs, seed=seed, device=device)
            spent = timed(lambda f=found[name], m=model, t=task: f(m, t), device)
            near.append(floor_seconds())
            seconds[name].append(spent / epochs)
            floors[name].append(statistics.mean(near[-2:]))
            torch.manual_seed(0)
            losses[name].append(bounds.mean_terms(model, images.test_images)["loss"])
        print(f"  round {seed + 1} of {count} done", flush=True)

    def ratio(values: list[float], under: list[float]) -> dict:
        return spread([a / b for a, b in zip(values, under, strict=True)])

    table = {
        name: {
            "seconds_per_epoch": spread(values),
            "to_floor": ratio(values, floors[name]),
            "to_fit": ratio(values, seconds[FIT]),
            "test_loss": spread(losses[name]),
        }
        for name, values in seconds.items()
    }
    table[FLOOR] = {
        "seconds_per_epoch": spread(near),
        "to_floor": spread([1.0]),
        "to_fit": ratio(floors[FIT], seconds[FIT]),
        "test_loss": None,
    }
    return {
        "epochs": epochs,
        "rounds": count,
        "images": len(images.train_images),
        "programs": table,
    }


def on_gpu(images: data.ImageData, device: torch.device, quick: bool) -> dict | None:
    """The training part on a GPU, or None where there is no GPU."""
    if not torch.cuda.is_available():
        return None
    return train(images, torch.device("cuda"), quick)


PARTS: dict[str, Callable] = {
    "train": train,
    "minute": measures.minute,
    "scaling": measures.scaling,
    "profile": measures.profile,
    "bound": measures.bound,
    "start": measures.start,
    "gpu": on_gpu,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = list(PARTS)
    parser.add_argument("parts", nargs="*", choices=[*names, []], help=f"of {names}")
    parser.add_argument(
        "--quick", action="store_true", help="a fraction of the work, to see it run"
    )
    parser.add_argument(
        "--to", type=Path, default=RESULTS, help="folder of the results"
    )
    parser.add_argument(
        "--draw", action="store_true", help="measure nothing, draw what was measured"
    )
    options = parser.parse_args()
    figures = ROOT / "figures" if options.to == RESULTS else options.to
    if options.draw:
        stored = json.loads((options.to / "results.json").read_text(encoding="utf-8"))
        report.write(stored, options.to, figures)
        return
    runtime.configure_threads()
    images = data.load_images("MNIST")
    if not images.is_full:
        print("This run uses the sample; it does not compare with the full data.")
    options.to.mkdir(parents=True, exist_ok=True)
    file = options.to / "results.json"
    results = json.loads(file.read_text()) if options.parts and file.exists() else {}
    here = machine()
    if results.get("machine") != here:  # numbers of two machines do not mix
        results = {"machine": here}
    for name in options.parts or names:
        print(name, flush=True)
        results[name] = PARTS[name](images, torch.device("cpu"), options.quick)
        file.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    report.write(results, options.to, figures)
    print((options.to / "README.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
