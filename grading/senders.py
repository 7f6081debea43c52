"""Whose a file is, by the names that Moodle and Canvas give to what they pack.

Moodle's *Download all submissions* makes a folder for each student, or, where "Download
submissions in folders" is off, one long file name:

    Ada Lovelace_1234567_assignsubmission_file/03_elbo.ipynb
    Ada Lovelace_1234567_assignsubmission_file_/03_elbo.ipynb       (before Moodle 4.1)
    Ada Lovelace_1234567_assignsubmission_file_03_elbo.ipynb

The number is the one of the grading worksheet ("Participant 1234567"); a marker who must
not see names gets "Participant_1234567_...". Canvas's *Download Submissions* makes files:

    lovelaceada_12345_67890_03_elbo.ipynb
    lovelaceada_LATE_12345_67890_03_elbo-1.ipynb       late, and handed in a second time
    anon_a1B2c_67890_03_elbo.ipynb                     graded without names
    LATE_anon_a1B2c_67890_03_elbo.ipynb

The numbers are the student's and the file's; the name is "Last, First" without what is no
letter.

Sources:
    https://github.com/moodle/moodle, mod/assign/classes/downloader.php writes the names,
    mod/assign/feedback/file/importziplib.php reads them again and says what changed in 4.1.
    https://github.com/instructure/canvas-lms, lib/content_zipper.rb writes the names,
    app/models/abstract_assignment.rb (infer_comment_context_from_filename) reads them.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

MOODLE, CANVAS = "Moodle", "Canvas"
_MOODLE = re.compile(
    r"(?P<name>.+?)_(?P<number>[1-9]\d*)_assignsubmission_(?P<kind>[a-z]+)(?:_(?P<file>.*))?"
)
_CANVAS = re.compile(
    r"(?P<name>.+?)(?P<late>_LATE)?_(?P<number>[1-9]\d*)_"
    r"(?:(?P<at>[1-9]\d*)_(?P<file>.+)|(?P<typed>(?:text|link)\.html))"
)
_ANONYMOUS = re.compile(
    r"(?P<late>LATE_)?anon_(?P<key>[^\W_]+)_(?P<at>[1-9]\d*)_(?P<file>.+)"
)
_AGAIN = re.compile(r"-(\d+)(?=\.\w+$|$)")


class Sender(NamedTuple):
    """Who handed something in.

    Attributes:
        name: as the system writes it.
        number: the system's own number for the student, as text.
        system: MOODLE or CANVAS.
        prefix: the start of a name by which the system knows the student again.
        file: name of the file as the student gave it; "" for a folder.
        at: Canvas's number of the file; later files have larger ones.
        late: the name says so; Moodle's names do not tell.
    """

    name: str
    number: str
    system: str
    prefix: str
    file: str = ""
    at: int = 0
    late: bool = False


def split(name: str) -> Sender | None:
    """The sender of a file or folder, None if no system that we know made the name."""
    found = _MOODLE.fullmatch(name)
    if found:
        # Everybody's feedback goes back to the part of Moodle that took files.
        number = found["number"]
        end = "_" if name.endswith("_") else ""
        prefix = f"{found['name']}_{number}_assignsubmission_file{end}"
        return Sender(found["name"], number, MOODLE, prefix, found["file"] or "")
    found = _ANONYMOUS.fullmatch(name)
    if found:
        who, number = "anon", f"anon_{found['key']}"
    else:
        found = _CANVAS.fullmatch(name)
        if not found:
            return None
        who, number = found["name"], found["number"]
    table = found.groupdict()
    file, at = found["file"] or table.get("typed") or "", int(found["at"] or 0)
    prefix = name[: len(name) - len(file)]
    return Sender(who, number, CANVAS, prefix, file, at, bool(found["late"]))


def latest(senders: Iterable[Sender]) -> tuple[set[Sender], list[str]]:
    """Which files of one student count, and remarks about the others.

    Canvas writes "-1" into the name of a file that comes again under the same name, so that
    two downloads in one folder hold both. The last one counts.
    """
    kept: dict[tuple, Sender] = {}
    notes = []
    for sender in sorted(set(senders), key=lambda s: (_times(s), s.at)):
        if sender.system == CANVAS and sender.at:
            key = (_AGAIN.sub("", sender.file).casefold(), "")
        else:
            key = (sender.file, sender.prefix)
        if key in kept and kept[key].at != sender.at:
            notes.append(f"handed in more than once; {sender.file} is the last one")
        kept[key] = sender
    return set(kept.values()), notes


def _times(sender: Sender) -> int:
    again = _AGAIN.search(sender.file)
    return int(again[1]) if again else 0


# Comparing names ----------------------------------------------------------------------


def letters(text: str) -> str:
    """A name without case, accents' spelling, spaces and signs."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFC", plain))


def spellings(cell: str) -> set[str]:
    """The letters of a name, and those of "First Last" if it is "Last, First"."""
    last, _, first = cell.partition(",")
    return {letters(cell), letters(first + last)} - {""}
