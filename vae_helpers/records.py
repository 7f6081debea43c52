"""What was measured when a lesson was run again and again: records/NN.json.

`make claims LESSON=04` runs the solved lesson with three seeds on the full data, three on
the sample and once on each with every training four times as long, and writes the
numbers and the claims of its panels, with settings, versions and date.
"""

import html
import inspect
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from vae_helpers.data import ImageData

FOLDER = Path(__file__).with_name("records")
RECORDED = "MNIST"  # the data set of every record
CAPITALS = re.compile(r"[A-Z][A-Z0-9_]*")
# A record has several seeds, and its length is told beside it; a fork has its own address.
FREE = re.compile(r"LONGER|REPOSITORY|BRANCH|HELPERS|(.*_)?SEEDS?")


@dataclass(frozen=True)
class Run:
    """One run of a lesson.

    Attributes:
        source: "full" or "sample", the images in use.
        seed: the lesson's SEED.
        longer: how many times as long every training was.
        settings: name in capitals -> value, as far as a panel could see it.
        numbers: name in an Expected panel -> value.
        claims: sentence -> whether it held; None where it could not be asked.
    """

    source: str
    seed: int
    longer: int = 1
    settings: dict = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    claims: dict[str, bool | None] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""
    seconds: int = 0

    def __str__(self) -> str:
        where = {"full": "full data, ", "sample": "sample, "}.get(self.source, "")
        time = f", {self.longer} times as long" if self.longer > 1 else ""
        return f"{where}seed {self.seed}{time}"


@cache
def runs(lesson: str) -> list[Run]:
    """The recorded runs of a lesson, such as "04"; empty if there is no record."""
    path = FOLDER / f"{lesson}.json"
    if not path.exists():
        return []
    return [Run(**run) for run in json.loads(path.read_text(encoding="utf-8"))["runs"]]


def source_of(data: ImageData | None) -> str:
    """ "full", "sample", or "none" for a panel that rests on no images."""
    return "none" if data is None else "full" if data.is_full else "sample"


def images_in_words(data: ImageData | None) -> str:
    """The images in use, for the head of a panel."""
    if data is None:
        return "this machine"
    some = f"all {len(data.train_images):,} images"
    return f"{data.name}, {some if data.is_full else 'the carried sample'}"


def _is_setting(value: object) -> bool:
    if isinstance(value, tuple | list | range):
        return all(map(_is_setting, value))
    return isinstance(value, bool | int | float | str)


def settings_of(names: Mapping[str, object]) -> dict:
    """The settings among a lesson's names: those in capitals with plain values."""
    found = {n: v for n, v in names.items() if CAPITALS.fullmatch(n) and _is_setting(v)}
    return json.loads(json.dumps({n: _plain(v) for n, v in sorted(found.items())}))


def _plain(value: object) -> object:
    return (
        list(map(_plain, value)) if isinstance(value, tuple | list | range) else value
    )


def callers_settings() -> dict:
    """The settings of the notebook cell that called the caller of this function."""
    frame = inspect.currentframe()
    for _ in range(2):
        frame = frame.f_back if frame is not None else None
    return settings_of(frame.f_globals) if frame is not None else {}


def other_settings(lesson: str, source: str, here: dict) -> list[str]:
    """Settings in which this run differs from the recorded ones, in words."""
    for run in runs(lesson):
        if source in (run.source, "none") and run.longer == here.get("LONGER", 1):
            return [
                f"{name} = {run.settings[name]} (here {value})"
                for name, value in here.items()
                if run.settings.get(name, value) != value and not FREE.fullmatch(name)
            ]
    return []


class Remembered:
    """A panel that a notebook shows and that can be drawn again from its `memory`."""

    memory: dict

    def _repr_html_(self) -> str:
        raise NotImplementedError

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        # The builder draws the panel again from its memory when only the record changes.
        data = {"text/html": self._repr_html_(), "text/plain": repr(self)}
        return data, {"vae_course": self.memory}


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]], cell: str) -> str:
    """A table in HTML; `cell` is the opening tag of a cell below the head."""
    lines = ["".join(f"<th>{html.escape(text)}</th>" for text in head)]
    for row in rows:
        lines.append("".join(f"{cell}{html.escape(text)}</td>" for text in row))
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def remember(
    kind: str, lesson: str, data: ImageData | None, settings: dict, values: dict
) -> dict:
    """What a panel is made from; also added to the file in VAE_COURSE_RECORD, if any."""
    memory = {
        "lesson": lesson,
        "name": data.name if data is not None else RECORDED,
        "source": source_of(data),
        "words": images_in_words(data),
        "settings": settings,
        kind: [[name, value] for name, value in values.items()],  # a file sorts keys
    }
    if path := os.environ.get("VAE_COURSE_RECORD"):
        line = {key: memory[key] for key in ("lesson", "source", "settings")}
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **line, "values": values}) + "\n")
    return memory
