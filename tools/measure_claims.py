"""Run a lesson again and again: other seeds, the sample, longer trainings.

    make claims LESSON=04        (all lessons without LESSON; needs VAE_COURSE_DATA)

Each solved lesson runs with three seeds on the full data and three on the sample, and
once on each with every training four times as long (LONGER = 4). What its panels saw goes
into vae_helpers/records/NN.json: the claims that held, and the numbers that give the
bands. Finished runs lie in build/claims, so that a stopped command goes on where it was.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib import metadata
from pathlib import Path

from builder import NOTEBOOKS, ROOT, chosen, course, execute, make_notebook
from builder.state import record_digest

RUNS = [(source, seed, 1) for source in ("full", "sample") for seed in (0, 1, 2)]
RUNS = [("full", 0, 4), ("sample", 0, 4), *RUNS]  # the long ones first
RECORDS = ROOT / "vae_helpers" / "records"
PACKAGES = ("torch", "scikit-learn", "scikit-image")


def set_line(source: str, name: str, value: int) -> tuple[str, int]:
    """A cell's text with NAME = value, and how many lines of it were changed."""
    return re.subn(rf"^{name} = \d+", f"{name} = {value}", source, flags=re.MULTILINE)


def prepared(lesson: dict, table: dict, seed: int, longer: int):
    """The solved notebook with another seed and other lengths of its trainings."""
    book = make_notebook(lesson, table, solved=True)
    changed = {"SEED": 0, "LONGER": 0}
    for cell in book.cells:
        if cell.cell_type == "code":
            for name, value in (("SEED", seed), ("LONGER", longer)):
                cell.source, count = set_line(cell.source, name, value)
                changed[name] += count
    wrong = {name: n for name, n in changed.items() if n != 1}
    if wrong.get("LONGER") == 0 and longer == 1:
        wrong.pop("LONGER")  # a lesson that trains nothing
    if wrong:
        raise SystemExit(f"{lesson['stem']}: need one line of each, found {wrong}")
    return book


def has_lengths(stem: str) -> bool:
    text = (ROOT / "lessons" / f"{stem}.py").read_text(encoding="utf-8")
    return set_line(text, "LONGER", 1)[1] > 0


def run_once(stem: str, source: str, seed: int, longer: int, target: Path) -> None:
    """One run in this process; what the panels saw is written to the target."""
    table = course()
    lesson = next(entry for entry in table["lesson"] if entry["stem"] == stem)
    book = prepared(lesson, table, seed, longer)
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder) / "record.jsonl"
        os.environ["VAE_COURSE_RECORD"] = str(record)
        os.environ.pop("VAE_COURSE_STRICT", None)
        if source == "sample":
            os.environ.pop("VAE_COURSE_DATA", None)
            os.environ["VAE_COURSE_OFFLINE"] = "1"
            # The sample must be used even where the full data lie in the cache.
            os.environ["VAE_COURSE_CACHE"] = folder
        seconds = execute(book, NOTEBOOKS, timeout=7200)
        lines = record.read_text(encoding="utf-8").splitlines()
    run = {"source": source, "seed": seed, "longer": longer, "seconds": round(seconds)}
    run |= {"settings": {}, "numbers": {}, "claims": {}}
    for line in map(json.loads, lines):
        if line["source"] not in (source, "none"):
            raise SystemExit(f"asked for {source}, the lesson used {line['source']}")
        run["settings"] |= line["settings"]
        run[line["kind"]] |= line["values"]
    run["numbers"] = {n: float(f"{v:.5g}") for n, v in run["numbers"].items()}
    run["versions"] = {name: metadata.version(name) for name in PACKAGES}
    run["date"] = date.today().isoformat()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    part.write_text(json.dumps(run, ensure_ascii=False), encoding="utf-8")
    os.replace(part, target)


def measure(stem: str, wanted: list, workers: int) -> None:
    """All runs of a lesson that are not there yet, then its record."""
    code = record_digest(stem)
    folder = ROOT / "build" / "claims" / stem[:2] / code
    if not has_lengths(stem):
        wanted = [run for run in wanted if run[2] == 1]
    files = {run: folder / "-".join(map(str, run)) for run in wanted}
    files = {run: path.with_suffix(".json") for run, path in files.items()}
    missing = [run for run, path in files.items() if not path.exists()]

    def start(run: tuple) -> None:
        begin = time.monotonic()
        line = [sys.executable, __file__, "--one", stem, *map(str, run)]
        line.append(str(files[run]))
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(line, env=environment, capture_output=True, text=True)
        took = f"{time.monotonic() - begin:.0f} s"
        if done.returncode:
            print(f"{stem} {run}: FAILED after {took}\n{done.stderr[-3000:]}")
        else:
            print(f"{stem} {run}: {took}", flush=True)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(start, missing))
    found = [
        json.loads(p.read_text(encoding="utf-8")) for p in files.values() if p.exists()
    ]
    if len(found) < len(files):
        raise SystemExit(f"{stem}: only {len(found)} of {len(files)} runs ended")
    order = sorted(found, key=lambda r: (r["longer"], r["source"], r["seed"]))
    text = json.dumps({"code": code, "runs": order}, indent=1, ensure_ascii=False)
    RECORDS.mkdir(exist_ok=True)
    (RECORDS / f"{stem[:2]}.json").write_text(text + "\n", encoding="utf-8")
    print(f"{stem}: recorded")
    for line in summary(order):
        print(line)


def summary(found: list[dict]) -> list[str]:
    """Each claim with the number of runs in which it held."""
    lines = []
    for sentence in {s: None for run in found for s in run["claims"]}:
        told = [run["claims"].get(sentence) for run in found]
        lines.append(
            f"  {told.count(True)} of {len(told) - told.count(None)}: {sentence}"
        )
    return lines


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        stem, source, seed, longer, target = sys.argv[2:]
        run_once(stem, source, int(seed), int(longer), Path(target))
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("numbers", nargs="*", help="lessons such as 04; all if none")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if not os.environ.get("VAE_COURSE_DATA"):
        raise SystemExit("the full data are needed: set VAE_COURSE_DATA")
    for lesson in chosen(course(), options.numbers):
        text = (ROOT / "lessons" / f"{lesson['stem']}.py").read_text(encoding="utf-8")
        if "expected(" in text or "claims.show(" in text:
            measure(lesson["stem"], RUNS, options.workers)
        else:
            print(
                f"{lesson['stem']}: no claims and no Expected panel, nothing to record"
            )


if __name__ == "__main__":
    main()
