"""Measure the bands of the Expected panels: three seeds, the full data and the sample.

    VAE_COURSE_DATA=FOLDER python tools/measure_bands.py [--source full|sample] [NN ...]

FOLDER holds MNIST in torchvision's layout. Each solved lesson is run once for each seed
and source, and what its panels saw is written to vae_helpers/expected.json.
"""

import argparse
import json
import os
import re
import tempfile
from pathlib import Path

from builder import NOTEBOOKS, ROOT, chosen, course, execute, make_notebook

SEEDS = (0, 1, 2)
SEED_LINE = re.compile(r"^SEED = \d+", re.MULTILINE)
RESULTS = ROOT / "vae_helpers" / "expected.json"


def run_lesson(lesson: dict, table: dict, seed: int, record: Path) -> list[list]:
    """What the panels of one lesson saw with one seed."""
    book = make_notebook(lesson, table, solved=True)
    changed = 0
    for cell in book.cells:
        if cell.cell_type == "code":
            cell.source, n = SEED_LINE.subn(f"SEED = {seed}", cell.source)
            changed += n
    if changed != 1:
        raise SystemExit(f"{lesson['stem']}: need one line 'SEED = 0', found {changed}")
    record.unlink(missing_ok=True)
    os.environ["VAE_COURSE_RECORD"] = str(record)
    seconds = execute(book, NOTEBOOKS)
    print(f"{lesson['stem']}, seed {seed}: {seconds:.0f} s", flush=True)
    if not record.exists():
        return []
    return [
        json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("numbers", nargs="*", help="lessons such as 04; all if none")
    parser.add_argument("--source", choices=["full", "sample"], help="both if left out")
    options = parser.parse_args()
    table, folder = course(), os.environ.get("VAE_COURSE_DATA")
    if options.source != "sample" and not folder:
        raise SystemExit("the full data are needed: set VAE_COURSE_DATA")
    for source in [options.source] if options.source else ["full", "sample"]:
        if source == "sample":
            os.environ.pop("VAE_COURSE_DATA", None)
            os.environ["VAE_COURSE_OFFLINE"] = "1"
            # The sample must be used even where the full data lie in the cache.
            os.environ["VAE_COURSE_CACHE"] = tempfile.mkdtemp()
        for lesson in chosen(table, options.numbers):
            number = lesson["stem"][:2]
            found: dict[str, list[float]] = {}
            for seed in SEEDS:
                record = Path(tempfile.mkdtemp()) / "record.jsonl"
                for _, name, kind, value in run_lesson(lesson, table, seed, record):
                    assert kind == source, f"asked for {source}, the lesson used {kind}"
                    found.setdefault(name, []).append(float(f"{value:.5g}"))
            results = json.loads(RESULTS.read_text(encoding="utf-8"))
            old = results.setdefault(number, {})
            for name in [n for n in old if n not in found]:
                old[name].pop(source, None)
            for name, values in found.items():
                old.setdefault(name, {})[source] = values
            results[number] = {n: v for n, v in old.items() if v}
            text = json.dumps(results, indent=1, sort_keys=True) + "\n"
            RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
