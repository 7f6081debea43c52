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
from vae_helpers.expected import measured

LEFT = '<td style="text-align: left">'  # sentences are not numbers


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
class Panel(records.Remembered):
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
        return records.html_table(head, self._cells(), LEFT) + html.escape(self.note)


@dataclass(frozen=True)
class Review(records.Remembered):
    """What lessons recorded: (lesson, sentence or name of a number, what the runs say)."""

    rows: list[tuple[str, str, str]]
    memory: dict = field(default_factory=dict)

    def __repr__(self) -> str:
        lines = [f"{lesson}: {told} [{often}]" for lesson, told, often in self.rows]
        return "\n".join(["Recorded runs of the lessons:", *lines])

    def _repr_html_(self) -> str:
        head = ("lesson", "claim or number", "recorded runs")
        return records.html_table(head, self.rows, LEFT)


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
    lesson = memory["lesson"]
    claims = [
        Claim(sentence, here, *_told(lesson, sentence))
        for sentence, here in memory["claims"]
    ]
    note = ""
    if memory["name"] != records.RECORDED:
        note = f"The runs were recorded with {records.RECORDED}."
    else:
        other = records.other_settings(lesson, memory["source"], memory["settings"])
        if other:
            note = f"The runs were recorded with {', '.join(other)}."
    return Panel(memory["words"], claims, note, memory)


def review(*chosen: tuple[str, str]) -> Review:
    """Claims and numbers of lessons, with what their records say of them.

    Args:
        chosen: (lesson, sentence of a claim or name of a number in an Expected panel),
            such as ("04", "At the high rate the schedule helps."). Of a number the smallest
            and the largest value are shown, of the runs at the lesson's own length.

    Raises:
        Turned: with VAE_COURSE_STRICT=1, when a record does not know one of them.
    """
    memory = {"review": [list(each) for each in chosen]}
    panel = review_from_memory(memory)
    unknown = [f"{row[0]}: {row[1]}" for row in panel.rows if row[2] == "not recorded"]
    if unknown and os.environ.get("VAE_COURSE_STRICT") == "1":
        raise Turned("not recorded: " + "; ".join(unknown))
    return panel


def review_from_memory(memory: dict) -> Review:
    """The review of some claims, with the records as they are now."""
    return Review([(*each, _in_words(*each)) for each in memory["review"]], memory)


def _in_words(lesson: str, name: str) -> str:
    """What the runs of a lesson say of a claim, or of a number."""
    words = []
    for source, told in (("full", "full data"), ("sample", "sample")):
        if values := measured(lesson, name, source):
            words.append(f"{min(values):.4g} to {max(values):.4g} ({told})")
    if words:
        return ", ".join(words)
    claim = Claim(name, None, *_told(lesson, name))
    return f"held {claim.in_words}" if claim.held or claim.failed else claim.in_words


def _told(lesson: str, sentence: str) -> tuple[list[str], list[str]]:
    """Recorded runs in which a sentence held, and in which it did not."""
    told = {str(run): run.claims.get(sentence) for run in records.runs(lesson)}
    held = [name for name, value in told.items() if value is True]
    return held, [name for name, value in told.items() if value is False]


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
