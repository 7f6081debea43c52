"""Expected panels: is the number I just got in the band that several seeds gave?

The bands are measured, not typed: `python tools/measure_bands.py` runs the lessons with
three seeds on both data sources and writes expected.json.
"""

import html
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from vae_helpers.data import ImageData

RECORDED = "MNIST"  # the data set of every band


@cache
def measured() -> dict:
    """lesson -> name -> "full" or "sample" -> values, one for each seed."""
    text = Path(__file__).with_name("expected.json").read_text(encoding="utf-8")
    return json.loads(text)


def band(values: list[float]) -> tuple[float, float]:
    """Middle of the seeds' range, widened to three times it and to 2 % at the least."""
    low, high = min(values), max(values)
    middle = (low + high) / 2
    half = max(1.5 * (high - low), 0.02 * abs(middle))
    return middle - half, middle + half


class OutsideBand(AssertionError):
    """A number of a lesson is not where it was measured to be."""


@dataclass(frozen=True)
class Panel:
    """Rows of (name, value, low, high); low and high are None without a measured band.

    Attributes:
        source: the images in use, in words.
        rows: the numbers.
        recorded: whether the bands belong to these images; other ones are not judged.
    """

    source: str
    rows: list[tuple[str, float, float | None, float | None]]
    recorded: bool = True

    @property
    def inside(self) -> bool:
        """True when every number with a band lies in it."""
        return not self.recorded or all(
            low is None or low <= v <= high for _, v, low, high in self.rows
        )

    def _cells(self) -> list[tuple[str, str, str, str]]:
        table = []
        for name, value, low, high in self.rows:
            if not self.recorded:
                table.append((name, f"{value:.4g}", "", ""))
                continue
            if low is None:
                table.append((name, f"{value:.4g}", "not measured", ""))
                continue
            fits = low <= value <= high
            verdict = "✓ inside" if fits else "✗ outside the band"
            table.append((name, f"{value:.4g}", f"{low:.4g} to {high:.4g}", verdict))
        return table

    def _advice(self) -> str:
        if not self.recorded:
            return f"The bands were recorded for {RECORDED}; nothing is judged here."
        if self.inside:
            return ""
        return (
            "A setting that you changed explains it; if you changed none, look at the "
            "table of symptoms."
        )

    def __repr__(self) -> str:
        lines = [f"Expected on {self.source}:"]
        lines += ["  ".join(row).rstrip() for row in self._cells()]
        return "\n".join(lines + ([self._advice()] if self._advice() else []))

    def _repr_html_(self) -> str:
        head = ("measured here", "you got", f"expected on {self.source}", "")
        rows = [f"<tr>{''.join(f'<th>{html.escape(c)}</th>' for c in head)}</tr>"]
        for row in self._cells():
            rows.append(
                f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in row)}</tr>"
            )
        return f"<table>{''.join(rows)}</table>{self._advice()}"


def expected(lesson: str, data: ImageData, numbers: Mapping[str, float]) -> Panel:
    """Compare numbers just measured with the bands of several seeds.

    Args:
        lesson: its number, such as "04".
        data: the images in use; the full data and the sample have different bands.
        numbers: name, with its unit, -> value.

    Returns:
        A panel that a notebook shows when it ends a cell. A number without a measured
        band is shown as such, never as right; of another data set nothing is judged.

    Raises:
        OutsideBand: with VAE_COURSE_STRICT=1, as in the tests, when a number lies
            outside its band or has none.
    """
    source = "full" if data.is_full else "sample"
    kind = (
        f"all {len(data.train_images):,} images"
        if data.is_full
        else "the carried sample"
    )
    rows = []
    for name, value in numbers.items():
        values = measured().get(lesson, {}).get(name, {}).get(source)
        low, high = band(values) if values else (None, None)
        rows.append((name, float(value), low, high))
    record = os.environ.get("VAE_COURSE_RECORD")
    if record:
        with open(record, "a", encoding="utf-8") as file:
            for name, value, _, _ in rows:
                file.write(json.dumps([lesson, name, source, value]) + "\n")
    panel = Panel(f"{data.name}, {kind}", rows, recorded=data.name == RECORDED)
    known = all(low is not None for _, _, low, _ in rows)
    if os.environ.get("VAE_COURSE_STRICT") == "1" and not (panel.inside and known):
        raise OutsideBand(f"{panel!r}")
    return panel
