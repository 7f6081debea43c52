"""Claims: sentences of a lesson that compare or generalise, each bound to a measurement.

A panel says of each sentence whether it holds in this run, and in how many of the
recorded runs (other seeds, the sample, trainings four times as long) it held.
"""

import html
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from vae_helpers import records
from vae_helpers.data import ImageData


class Turned(AssertionError):
    """A claim is not recorded, or fails where the record of the same kind holds."""


@dataclass(frozen=True)
class Claim:
    """A sentence, whether it holds here (None: not asked here), and the recorded runs."""

    sentence: str
    here: bool | None
    held: list[str]
    failed: list[str]

    @property
    def in_words(self) -> str:
        """How often the sentence held in the record."""
        total = len(self.held) + len(self.failed)
        if not total:
            return "not recorded"
        often = f"in {len(self.held)} of {total}"
        return often + (f"; not: {'; '.join(self.failed)}" if self.failed else "")


@dataclass(frozen=True)
class Panel:
    """The claims of one section, as a table."""

    source: str
    claims: list[Claim]
    note: str = ""
    memory: dict = field(default_factory=dict)

    def _cells(self) -> list[tuple[str, str, str]]:
        marks = {True: "✓ holds", False: "✗ here it does not", None: "not asked here"}
        return [(c.sentence, marks[c.here], c.in_words) for c in self.claims]

    def __repr__(self) -> str:
        lines = [f"Claims, measured on {self.source}:"]
        for sentence, here, often in self._cells():
            lines.append(f"{here}. {sentence} [recorded runs: held {often}]")
        return "\n".join(lines + ([self.note] if self.note else []))

    def _repr_html_(self) -> str:
        head = ("claim", f"here, on {self.source}", "recorded runs: it held")
        rows = [f"<tr>{''.join(f'<th>{html.escape(c)}</th>' for c in head)}</tr>"]
        left = ' style="text-align: left"'
        for sentence, *rest in self._cells():
            cells = f"<td{left}>{html.escape(sentence)}</td>"
            cells += "".join(f"<td{left}>{html.escape(c)}</td>" for c in rest)
            rows.append(f"<tr>{cells}</tr>")
        return f"<table>{''.join(rows)}</table>{html.escape(self.note)}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        # The builder draws the panel again from its memory when only the record changes.
        data = {"text/html": self._repr_html_(), "text/plain": repr(self)}
        return data, {"vae_course": self.memory}


def show(
    lesson: str,
    data: ImageData | None,
    sentences: Mapping[str, bool | None],
) -> Panel:
    """What holds here of a section's claims, beside what held in the recorded runs.

    Args:
        lesson: its number, such as "04".
        data: the images in use; None for claims that rest on no images.
        sentences: claim -> whether it holds in this run. None where this run cannot
            tell, for instance because a setting took a row out of the comparison.

    Returns:
        A panel that a notebook shows when it ends a cell.

    Raises:
        Turned: with VAE_COURSE_STRICT=1, as in the tests: a claim has no record, or it
            fails although it held in every recorded run on the same images.
    """
    settings = records.callers_settings()
    held = {s: None if v is None else bool(v) for s, v in sentences.items()}
    memory = records.remember("claims", lesson, data, settings, held)
    panel = from_memory(memory)
    if os.environ.get("VAE_COURSE_STRICT") == "1":
        _insist(panel, memory)
    return panel


def from_memory(memory: dict) -> Panel:
    """The panel of some claims, with the record as it is now."""
    lesson, recorded = memory["lesson"], records.runs(memory["lesson"])
    claims = []
    for sentence, here in memory["claims"]:
        told = {str(run): run.claims.get(sentence) for run in recorded}
        held = [name for name, value in told.items() if value is True]
        failed = [name for name, value in told.items() if value is False]
        claims.append(Claim(sentence, here, held, failed))
    note = ""
    if memory["name"] != records.RECORDED:
        note = f"The runs were recorded with {records.RECORDED}."
    else:
        other = records.other_settings(lesson, memory["source"], memory["settings"])
        if other:
            note = f"The runs were recorded with {', '.join(other)}."
    return Panel(memory["words"], claims, note, memory)


def _insist(panel: Panel, memory: dict) -> None:
    if panel.note:
        return  # other images or settings: nothing was recorded for them
    alike = [
        run
        for run in records.runs(memory["lesson"])
        if memory["source"] in (run.source, "none")
        and run.longer == memory["settings"].get("LONGER", 1)
    ]
    for claim in panel.claims:
        told = {run.claims.get(claim.sentence) for run in alike} - {None}
        if claim.in_words == "not recorded" or (claim.here is False and told == {True}):
            raise Turned(repr(panel))
