"""What was handed in: whose it is, which files there are, and which one is graded.

Names come in any encoding, notebooks with any ending, in zip files, twice, or broken.
Nothing that lies in a folder is passed over without a word.
"""

import contextlib
import csv
import hashlib
import json
import os
import re
import shutil
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from grading.code import functions
from grading.names import number_of
from grading.repair import Repaired, by_name, recognise, repair
from grading.senders import Sender, latest, letters, spellings, split

LARGEST = 100 * 2**20  # bytes of a notebook
SMALL = 2 * 2**20  # of a script that may hold an answer
# What nbgrader's exchange lays beside a notebook and needs to bring the feedback back.
EXCHANGE_FILES = ("timestamp.txt", "submission_secret.txt")
JUNK = {*EXCHANGE_FILES, "__macosx", "thumbs.db", "desktop.ini", ".ds_store"}
JUNK |= {"__pycache__", "node_modules", "site-packages"}
PUBLISHED = "[without solutions]("  # in the first cell of the course's solved notebooks
CHECKPOINTS = ".ipynb_checkpoints"
SCRIPTS = {".py", ".txt", ".md", ".json"}
# Files that may be somebody's work and cannot be graded.
WORK = re.compile(r"\.(pdf|html?|docx?|odt|pages|rar|7z|tar|tgz|tar\.\w+)$", re.I)
ENDING = re.compile(r"(\.ipynb(\.\w+)?|\.zip)$", re.IGNORECASE)
HEADS = {"student", "students", "name", "names", "id", "user", "username", "login"}
HEADS |= {"email", "e-mail", "mail", "matriculation", "matrikel", "matrikelnummer"}
HEADS |= {"full name", "fullname", "vollständiger name", "nom complet", "sis login id"}


# Names of people ----------------------------------------------------------------------


def readable(name: str) -> str:
    """A file's name as it was meant, in composed form (NFC), whatever its bytes are."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:  # bytes that are no UTF-8, as unzip may leave them
        raw = name.encode("utf-8", "surrogateescape")
        with contextlib.suppress(UnicodeDecodeError):
            return unicodedata.normalize("NFC", raw.decode("cp1252"))
        name = raw.decode("latin-1")
    return unicodedata.normalize("NFC", name)


def slugs(students: Iterable[str]) -> dict[str, str]:
    """Student -> a name that is safe for files and for nbgrader, each one different."""
    table: dict[str, str] = {}
    taken: set[str] = set()  # some systems do not tell A from a
    for student in students:
        slug = re.sub(r"[^A-Za-z0-9_-]+", "_", student).strip("_")[:80] or "student"
        if slug.lower() in taken or slug != student:
            slug += "_" + hashlib.sha256(student.encode()).hexdigest()[:6]
        taken.add(slug.lower())
        table[student] = slug
    return table


def read_text(path: Path) -> str:
    """A text file of a spreadsheet or an editor: UTF-8, UTF-16 with its mark, cp1252."""
    data = path.read_bytes()
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def read_roster(path: Path, known: Iterable[str]) -> list[str]:
    """The students of a class list: one a line, or a column of a table.

    Of a table it is the column with the most names that handed something in. Who handed in
    comes back under the name of `known`, also where the list has "Last, First".
    """
    if not path.is_file():
        raise ValueError(f"There is no list of students {path}.")
    lines = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    handed_in = {letters(name): name for name in known}

    def same(cell: str) -> str:
        """The known student of a cell, or ""."""
        return next((handed_in[s] for s in spellings(cell) if s in handed_in), "")

    if not lines:
        raise ValueError(f"The list of students {path} is empty.")
    mark = max(";\t,", key=lambda m: sum(m in line for line in lines))
    rows = [
        [line] if same(line) else next(csv.reader([line], delimiter=mark))
        for line in lines
    ]
    rows = [[readable(cell.strip()) for cell in row] for row in rows]
    width = max(map(len, rows))
    columns = [[row[i] if i < len(row) else "" for row in rows] for i in range(width)]
    best = max(columns, key=lambda column: len(set(filter(None, map(same, column)))))
    first = best[0].casefold()
    if first in HEADS and not same(best[0]):
        best = best[1:]
    single = [row[0] for row in rows if len(row) == 1 and same(row[0])]
    names = [same(cell) or cell for cell in [*best, *single]]
    return list(dict.fromkeys(n for n in names if n and n != "Points Possible"))


# Files --------------------------------------------------------------------------------


@dataclass
class Handed:
    """What one student handed in.

    Attributes:
        paths: all files that may matter.
        problems: places that could not be looked into.
        sender: who it is for Moodle or Canvas, if one of them made the names.
        notes: remarks about what was handed in.
    """

    paths: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    sender: Sender | None = None
    notes: list[str] = field(default_factory=list)


def unpacked(path: Path, course: Path) -> Path:
    """The folder of submissions; a zip, as an LMS packs it, is unpacked into the course."""
    if path.suffix.lower() != ".zip" or not path.is_file():
        return path
    target = course / "unpacked" / path.stem
    shutil.rmtree(target, ignore_errors=True)
    try:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(target)
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        raise ValueError(
            f"{path} cannot be unpacked ({type(error).__name__}: {error}). Download it "
            "again, or unpack it yourself and name the folder."
        ) from error
    return target


def find_submissions(folder: Path) -> tuple[dict[str, Handed], list[str]]:
    """Student -> what was handed in; and the names of what lies beside and is nobody's."""
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder. Needed is one with the submissions.")
    found: dict[str, Handed] = {}
    packed: dict[tuple, list[tuple[Sender, Path]]] = {}  # by Moodle or Canvas
    beside = []
    for entry in sorted(folder.iterdir()):
        if entry.name.lower() in JUNK or entry.name.startswith("._"):
            continue
        name = readable(entry.name)
        sender = split(name)
        if sender:
            who = (sender.system, sender.number, letters(sender.name))
            packed.setdefault(who, []).append((sender, entry))
        elif entry.is_dir() and not entry.name.startswith("."):
            handed = found.setdefault(name, Handed())
            _walk(entry, handed)
        elif ENDING.search(entry.name) and entry.is_file():
            student = readable(ENDING.sub("", entry.name))
            found.setdefault(student, Handed()).paths.append(entry)
        else:
            beside.append(name)
    people = [_packed(parts) for parts in packed.values()]
    names = Counter([*found, *(handed.sender.name for handed in people)])
    for handed in people:
        name, number = handed.sender.name, handed.sender.number
        alone = names[name] == 1 and name != "anon"
        found[name if alone else f"{name} ({number})"] = handed
    if not found:
        raise ValueError(f"{folder} has neither folders nor notebooks in it.")
    return dict(sorted(found.items())), beside


def _packed(parts: list[tuple[Sender, Path]]) -> Handed:
    """What one student handed in, from the entries that an LMS made for them."""
    kept, notes = latest(sender for sender, _ in parts)
    handed = Handed(sender=max(kept, key=lambda s: (s.at, s.prefix)), notes=notes)
    if any(sender.late for sender in kept):
        handed.notes.append(f"{handed.sender.system} says that it came late")
    for sender, entry in parts:
        if sender in kept and entry.is_dir():
            _walk(entry, handed)
        elif sender in kept:
            handed.paths.append(entry)
    return handed


def _walk(folder: Path, handed: Handed) -> None:
    """All files of a folder and its sub-folders, whatever these are called."""

    def trouble(error: OSError) -> None:
        name = readable(Path(error.filename).name)
        handed.problems.append(f"{name} cannot be opened: {error.strerror}")

    for place, folders, files in os.walk(folder, onerror=trouble):
        folders[:] = sorted(
            f
            for f in folders
            if f.lower() not in JUNK and (f[0] != "." or f == CHECKPOINTS)
        )
        handed.paths += [
            Path(place, f)
            for f in sorted(files)
            if f.lower() not in JUNK and not f.startswith("._")
        ]


class Book(NamedTuple):
    """A notebook that was found."""

    path: Path  # of the file that holds it
    name: str
    book: NotebookNode


@dataclass
class Contents:
    """What is in the files of a student.

    Attributes:
        books: notebooks that can be read.
        scripts: name -> text of other code.
        unread: files that may be work and could not be read -> why.
        others: names of all other files.
    """

    books: list[Book] = field(default_factory=list)
    scripts: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)


def read_book(data: bytes) -> NotebookNode:
    """A notebook in any version and in any of JSON's encodings, with or without mark."""
    text = data.decode(json.detect_encoding(data), "surrogatepass")
    return nbformat.reads(text, as_version=4)


def read_files(handed: Handed) -> Contents:
    """Read everything that a student handed in; what cannot be read is listed."""
    contents = Contents(unread=dict.fromkeys(handed.problems, ""))
    for path in handed.paths:
        name = readable(path.name)
        try:
            size = path.stat().st_size
            if not path.is_file():  # a pipe would keep us waiting for ever
                contents.unread[name] = "is no ordinary file"
            elif name.lower().endswith(".zip"):
                _read_zip(path, name, contents)
            elif size > LARGEST and ".ipynb" in name.lower():
                contents.unread[name] = f"has {size / 2**20:.0f} MB"
            elif ".ipynb" in name.lower() or Path(name).suffix.lower() in SCRIPTS:
                data = path.read_bytes() if size <= LARGEST else b""
                _read_one(path, name, data, contents)
            else:
                _set_aside(name, contents)
        except Exception as error:  # whatever it is, the others are looked at
            contents.unread[name] = _words(error)
    return contents


def _read_zip(path: Path, name: str, contents: Contents) -> None:
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            place = Path(item.filename)
            junk = {p.lower() for p in place.parts} & {*JUNK, CHECKPOINTS}
            if item.is_dir() or junk or place.name.startswith("._"):
                continue
            inside = f"{place.name} in {name}"
            wanted = ".ipynb" in place.name.lower()
            if not wanted and place.suffix.lower() not in SCRIPTS:
                _set_aside(inside, contents)
            elif item.file_size > LARGEST:
                contents.unread[inside] = f"has {item.file_size / 2**20:.0f} MB"
            else:
                try:
                    _read_one(path, inside, archive.read(item), contents)
                except Exception as error:
                    contents.unread[inside] = _words(error)


def _read_one(path: Path, name: str, data: bytes, contents: Contents) -> None:
    """A notebook, whatever its ending is, or a script."""
    if ".ipynb" not in name.lower() and b'"cells"' not in data:
        text = data[:SMALL].decode("utf-8", "replace")
        contents.scripts[name] = text
        contents.others.append(name)
        return
    contents.books.append(Book(path, name, read_book(data)))


def _set_aside(name: str, contents: Contents) -> None:
    if WORK.search(name.split(" in ")[0]):
        contents.unread[name] = "is no notebook"
    else:
        contents.others.append(name)


def _words(error: Exception) -> str:
    """An error as a reason: "cannot be read: ..."."""
    text = " ".join(str(error).split())[:120]
    return f"cannot be read: {type(error).__name__}{': ' if text else ''}{text}"


# Which one counts ---------------------------------------------------------------------


class Choice(NamedTuple):
    """The notebook that is graded.

    Attributes:
        book: None if there is none.
        repaired: its work in the shape of the release; None if it is another notebook.
        notes: remarks about the choice.
    """

    book: Book | None
    repaired: Repaired | None
    notes: list[str]


def choose(contents: Contents, name: str, released: NotebookNode) -> Choice:
    """The notebook with the most work; exercises get doubts where others have more.

    Among notebooks with the same amount it is the one with the assignment's name, and
    one that Jupyter saved by itself only where no other has as much.
    """
    cells = by_name(released)
    ranked, notes = (
        [],
        [f"{name} {why}".strip() for name, why in contents.unread.items()],
    )
    for at, each in enumerate(contents.books):
        if any(PUBLISHED in str(c.get("source", "")) for c in each.book.cells[:3]):
            notes.append(f"{each.name} is the course's own solved notebook; left out")
            continue
        try:
            repaired = repair(released, each.book)
        except ValueError:
            continue
        count = sum(bool(recognise(c, cells)[0]) for c in each.book.cells)
        named = name in (Path(each.name).stem, each.path.parent.name)
        saved = CHECKPOINTS in each.path.parts
        rank = (len(repaired.attempted), not saved, named, count, -at)
        ranked.append((rank, each, repaired))
    if not ranked:
        first = contents.books[0] if contents.books else None
        return Choice(first, None, notes)
    ranked.sort(key=lambda item: item[0], reverse=True)
    _, best, repaired = ranked[0]
    others = [item for item in ranked[1:] if CHECKPOINTS not in item[1].path.parts]
    if CHECKPOINTS in best.path.parts:
        notes.append(
            f"{best.name} of Jupyter's checkpoints is graded: it holds more work"
        )
    elif others:
        count = len(others) + 1
        notes.append(f"{count} notebooks were handed in; {best.name} is graded")
    for _, other, work in others:
        _compare(repaired, other.name, work)
    _doubt(repaired, contents, cells)
    return Choice(best, repaired, notes)


def _compare(repaired: Repaired, name: str, other: Repaired) -> None:
    """Doubts about exercises for which another notebook has other work."""
    for number, work in other.attempted.items():
        if number not in repaired.attempted:
            text = f"{name}, which is not graded, has an answer to it"
        elif work != repaired.attempted[number]:
            text = f"{name}, which is not graded, has a different answer"
        else:
            continue
        repaired.doubts.setdefault(number, []).append(text)


def _doubt(repaired: Repaired, contents: Contents, cells: dict) -> None:
    """Doubts about what was not tried, when other files may hold it."""
    for name, original in cells.items():
        number = number_of(name)
        if not name.startswith("answer") or number in repaired.attempted:
            continue
        doubts = repaired.doubts.setdefault(number, [])
        doubts += [
            f"{file} may hold it, and {why}" for file, why in contents.unread.items()
        ]
        for file, text in contents.scripts.items():
            if functions(text) & functions(original.source):
                doubts.append(f"{file} defines it")
        if not doubts:
            del repaired.doubts[number]


def nothing_to_grade(contents: Contents) -> str:
    """Why there is no notebook in some files, "" if there are none that matter."""
    said = [f"{name} {why}".strip() for name, why in contents.unread.items()]
    if contents.others:
        said.append(f"no notebook; there is {', '.join(contents.others[:5])}")
    return "; ".join(said)


def digest(paths: Iterable[Path]) -> str:
    """Changes when one of some files changes, comes or goes."""
    total = hashlib.sha256()
    for path in paths:
        total.update(os.fsencode(path.name))
        try:  # of a data set the size will do; reading a pipe would never end
            size = path.stat().st_size
            whole = path.is_file() and (size <= SMALL or ENDING.search(path.name))
            total.update(path.read_bytes() if whole else str(size).encode())
        except OSError as error:
            total.update(type(error).__name__.encode())
    return total.hexdigest()
