"""Expected panels: is the number I just got in the band that several seeds gave?

The bands come from recorded runs (`vae_helpers.records`), three seeds on the full data
and three on the sample; they are measured, not typed.
"""

import html
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from vae_helpers import records
from vae_helpers.data import ImageData


def measured(lesson: str, name: str, source: str) -> list[float]:
    """The recorded values of a number, one for each seed; empty without a record."""
    return [
        run.numbers[name]
        for run in records.runs(lesson)
        if source in (run.source, "none") and run.longer == 1 and name in run.numbers
    ]


def band(values: list[float]) -> tuple[float, float]:
    """Middle of the seeds' range, widened to three times it and to 2 % at the least."""
    low, high = min(values), max(values)
    middle = (low + high) / 2
    half = max(1.5 * (high - low), 0.02 * abs(middle))
    return middle - half, middle + half


class OutsideBand(AssertionError):
    """A number of a lesson is not where it was measured to be."""


@dataclass(frozen=True)
class Panel(records.Remembered):
    """Rows of (name, value, low, high); low and high are None without a measured band.

    Attributes:
        source: the images in use, in words.
        rows: the numbers.
        recorded_for: what the bands belong to, in words, where that is not what is in
            use; then nothing is judged.
        memory: what the panel was made from.
    """

    source: str
    rows: list[tuple[str, float, float | None, float | None]]
    recorded_for: str = ""
    memory: dict = field(default_factory=dict)

    @property
    def inside(self) -> bool:
        """True when every number with a band lies in it."""
        return bool(self.recorded_for) or all(
            low is None or low <= v <= high for _, v, low, high in self.rows
        )

    def _cells(self) -> list[tuple[str, str, str, str]]:
        table = []
        for name, value, low, high in self.rows:
            if self.recorded_for:
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
        if self.recorded_for:
            return f"The bands were recorded for {self.recorded_for}; nothing is judged here."
        if self.inside:
            return ""
        return (
            "A change of the lesson's code explains it; if you changed none, look at the "
            "table of symptoms."
        )

    def __repr__(self) -> str:
        lines = [f"Expected on {self.source}:"]
        lines += ["  ".join(row).rstrip() for row in self._cells()]
        return "\n".join(lines + ([self._advice()] if self._advice() else []))

    def _repr_html_(self) -> str:
        head = ("measured here", "you got", f"expected on {self.source}", "")
        table = records.html_table(head, self._cells(), "<td>")
        return table + html.escape(self._advice())


def expected(
    lesson: str, data: ImageData | None, numbers: Mapping[str, float]
) -> Panel:
    """Compare numbers just measured with the bands of several seeds.

    Args:
        lesson: its number, such as "04".
        data: the images in use; the full data and the sample have different bands. None
            for numbers that rest on no images.
        numbers: name, with its unit, -> value.

    Returns:
        A panel that a notebook shows when it ends a cell. A number without a measured
        band is shown as such, never as right. With another data set, or other settings
        (names in capitals) than those of the record, nothing is judged.

    Raises:
        OutsideBand: with VAE_COURSE_STRICT=1, as in the tests, when a number lies
            outside its band or has none.
    """
    settings = records.callers_settings()
    found = {name: float(value) for name, value in numbers.items()}
    memory = records.remember("numbers", lesson, data, settings, found)
    panel = from_memory(memory)
    known = all(low is not None for _, _, low, _ in panel.rows)
    if os.environ.get("VAE_COURSE_STRICT") == "1" and not (panel.inside and known):
        raise OutsideBand(f"{panel!r}")
    return panel


def from_memory(memory: dict) -> Panel:
    """The panel of some numbers, with the bands as they are now."""
    rows = []
    for name, value in memory["numbers"]:
        values = measured(memory["lesson"], name, memory["source"])
        low, high = band(values) if values else (None, None)
        rows.append((name, value, low, high))
    return Panel(memory["words"], rows, _recorded_for(memory), memory)


def _recorded_for(memory: dict) -> str:
    if memory["name"] != records.RECORDED:
        return records.RECORDED
    longer = memory["settings"].get("LONGER", 1)
    if longer != 1:
        return f"LONGER = 1 (here {longer})"
    other = records.other_settings(
        memory["lesson"], memory["source"], memory["settings"]
    )
    return ", ".join(other)
