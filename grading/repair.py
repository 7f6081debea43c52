"""Fit a submission into the released assignment; the submission itself is only read.

Cells are recognised by nbgrader's name for them, then by their text, then by the
functions that they define, so that lost metadata, copies, deletions, changed types and
merged cells do no harm. Everything that was locked comes from the release. Where work
may be that could not be used, the exercise gets a doubt, and a person decides.
"""

import copy
from typing import NamedTuple

from nbformat import NotebookNode

from grading.code import (
    CALL,
    bound,
    calls_a_check,
    code_shape,
    does_something,
    functions,
    helpers_used,
    parse,
    shape,
    suspicious,
    without,
)
from grading.names import name_of, number_of

Remarks = dict[str, list[str]]


class Repaired(NamedTuple):
    """A submission in the shape of the release.

    Attributes:
        book: what is graded.
        notes: exercise number, or "" for the whole -> remarks.
        flags: the same -> reasons to suspect tampering.
        doubts: the same -> reasons to doubt that the right work is graded.
        attempted: number of each exercise that was worked on -> shape of the work.
    """

    book: NotebookNode
    notes: Remarks
    flags: Remarks
    doubts: Remarks
    attempted: dict[str, str]


class Found(NamedTuple):
    """A cell of a submission that was recognised."""

    how: str  # by its name, text, function, call or first line
    cell: NotebookNode


def by_name(released: NotebookNode) -> dict[str, NotebookNode]:
    """Name -> cell of the release."""
    return {name_of(c): c for c in released.cells if name_of(c)}


def recognise(cell: NotebookNode, release: dict[str, NotebookNode]) -> tuple[str, str]:
    """(name of the released cell that this is, or "", and how it was recognised)."""
    name, source = name_of(cell), cell.source.strip()
    if name in release:
        return name, "name"
    if cell.cell_type == "markdown":
        for name, other in release.items():
            first = other.source.split(":")[0]
            if name.startswith("text") and source.startswith(first):
                return name, "text"
    if cell.cell_type != "code":  # perhaps code whose type was changed
        return _by_function(source, release) if parse(source) else ("", "")
    for name, other in release.items():
        if source and source == other.source.strip():
            return name, "text"
    call = CALL.search(source)
    for name, other in release.items():
        if name.startswith("check") and call and f" {call[2]}, out_of" in other.source:
            return name, "call"
        first = other.source.split("\n")[0]
        if name.startswith(("setup-0", "hidden", "check")) and source.startswith(first):
            return name, "first line"
    return _by_function(source, release)


def _by_function(source: str, release: dict[str, NotebookNode]) -> tuple[str, str]:
    for name, other in release.items():
        if name.startswith("answer") and bound(source) & functions(other.source):
            return name, "function"
    return "", ""


class _Repair:
    """One repair at work; `repair` is the way in."""

    def __init__(self, released: NotebookNode, submitted: NotebookNode):
        self.release = by_name(released)
        self.cells = [_read(cell) for cell in submitted.cells]
        self.notes, self.flags, self.doubts = {}, {}, {}
        self.attempted: dict[str, str] = {}
        self.places: dict[str, list[Found]] = {}  # name in the release -> cells
        self.own: dict[str, list] = {}  # name of the released cell before -> cells
        sources = [c.source for c in self.release.values()]
        self.allowed = {line.strip() for s in sources for line in s.splitlines()}
        trees = filter(None, map(parse, sources))
        self.known = {shape(node) for tree in trees for node in tree.body}
        self.texts = {c.source.strip() for c in released.cells}
        self.book = copy.deepcopy(released)
        self.book.cells = []

    def run(self) -> Repaired:
        self.sort()
        self.add_own("", "")
        for name, original in self.release.items():
            number = number_of(name)
            if original.metadata.nbgrader.solution:
                self.add_answer(name, number, original)
            else:
                self.book.cells.append(copy.deepcopy(original))
                self.compare_locked(name, number, original)
            self.add_own(name, number)
        self.doubt_what_was_not_tried()
        for at, cell in enumerate(self.book.cells):
            cell.id = f"cell-{at}"
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        return Repaired(self.book, self.notes, self.flags, self.doubts, self.attempted)

    def sort(self) -> None:
        """Find the place of every cell."""
        before, stripped = "", 0
        for cell in self.cells:
            name, how = recognise(cell, self.release)
            stripped += bool(name) and how != "name"
            if name:
                self.places.setdefault(name, []).append(Found(how, cell))
                before = name
            elif cell.cell_type != "raw":
                self.own.setdefault(before, []).append(cell)
        # All assignments have a set-up; it takes a cell or a function of this one.
        defined = {name for cell in self.cells for name in functions(cell.source)}
        mine = any(map(number_of, self.places)) or defined & self.all_functions()
        if not mine:
            raise ValueError("no cell of this assignment is in the notebook")
        if stripped:
            text = f"{stripped} cells had lost their names, which were put back"
            _say(self.notes, "", text)

    def add_answer(self, name: str, number: str, original: NotebookNode) -> None:
        """The cells that hold an answer; the last one is the answer's own cell."""
        found = self.places.get(name, [])
        stub, kind = code_shape(original.source), original.cell_type
        if not found:
            _say(self.notes, number, f"the cell {name} was deleted")
        if len(found) > 1:
            text = f"{len(found)} cells for {name}; the last one with work counts"
            _say(self.notes, number, text)
        for _, cell in found:
            if cell.cell_type != kind:
                text = f"the cell {name} was turned into {cell.cell_type} and back"
                _say(self.notes, number, text)
        found = [Found(how, self.unmerged(cell, original)) for how, cell in found]
        kept = choose_answers(original, found)
        changed = [c for c in kept if code_shape(c.source) != stub]
        if not changed and kind == "code":
            changed = kept = self.from_other_cells(name, number, original) or kept
            changed = [c for c in changed if code_shape(c.source) != stub]
        left = [c for c in _work(original, found) if c not in kept]
        if changed and {code_shape(c.source) for c in left} - {
            code_shape(c.source) for c in changed
        }:
            text = "another cell holds a different answer; see which one should count"
            _say(self.doubts, number, text)
        if changed:
            work = " ".join(code_shape(c.source) for c in changed)
            self.attempted[number] = f"{self.attempted.get(number, '')} {work}".strip()
        for cell in changed if kind == "code" else ():
            for reason in suspicious(cell.source, self.allowed):
                _say(self.flags, number, reason)
            for helper in helpers_used(cell.source, self.release):
                _say(self.notes, number, f"uses the course's own {helper}")
        for cell in kept[:-1]:
            self.book.cells.append(_plain(cell, kind))
        last = _plain(kept[-1], kind) if kept else copy.deepcopy(original)
        last.metadata = copy.deepcopy(original.metadata)
        self.book.cells.append(last)

    def unmerged(self, cell: NotebookNode, original: NotebookNode) -> NotebookNode:
        """The answer's part of a cell that was merged with cells of checks."""
        if original.cell_type != "code" or not calls_a_check(cell.source):
            return cell
        mine = functions(original.source)
        text = without(cell.source, self.known, self.all_functions() - mine)
        return _code(text) if text else cell

    def all_functions(self) -> set[str]:
        """What the answers of the release define."""
        answers = (c for n, c in self.release.items() if n.startswith("answer"))
        return {name for cell in answers for name in functions(cell.source)}

    def from_other_cells(self, name: str, number: str, original: NotebookNode) -> list:
        """The answer, taken out of a cell that was merged or belongs elsewhere."""
        mine = functions(original.source)
        others = self.all_functions() - mine
        taken = []
        for cell in self.cells:
            if cell.cell_type == "markdown" and parse(cell.source) is None:
                continue
            text = without(cell.source, self.known, others)
            if bound(text) & mine:
                taken.append(_code(text))
        if taken:
            text = f"the answer stood in another cell than {name}: cells were merged"
            _say(self.notes, number, text)
        return taken

    def compare_locked(self, name: str, number: str, original: NotebookNode) -> None:
        """Say what happened to a cell that is put back."""
        found, kind = self.places.get(name, []), name.split("-")[0]
        words = {"check": "check cell", "hidden": "hidden test", "setup": "set-up cell"}
        what = words.get(kind, name)
        if not found:
            _say(self.notes, number, f"the {what} was deleted and put back")
        if len(found) > 1:
            _say(self.notes, number, f"the {what} was there {len(found)} times")
        wanted = code_shape(original.source)
        if any(code_shape(cell.source) != wanted for _, cell in found):
            _say(self.notes, number, f"the {what} was changed and put back")
            if kind == "check" and any(self.edited(f.cell, name) for f in found):
                _say(self.flags, number, "the check cell was edited")

    def edited(self, cell: NotebookNode, name: str) -> bool:
        """Whether a check cell is more than itself with other cells of the release."""
        original = parse(self.release[name].source)
        tree = parse(cell.source)
        if tree is None or original is None:
            return cell.source.strip() != self.release[name].source.strip()
        there = {shape(node) for node in tree.body}
        functions_ = self.all_functions()
        more = [
            node
            for node in tree.body
            if shape(node) not in self.known
            and getattr(node, "name", "") not in functions_
        ]
        return bool(more) or not {shape(node) for node in original.body} <= there

    def add_own(self, name: str, number: str) -> None:
        for cell in self.own.get(name, []):
            if cell.cell_type == "code":
                for reason in suspicious(cell.source, self.allowed):
                    text = f"a cell of the student's own {reason}"
                    _say(self.flags, number, text)
            self.book.cells.append(_plain(cell))

    def doubt_what_was_not_tried(self) -> None:
        """Before anybody gets a 0 for nothing: is there work that was not used?"""
        for name, original in self.release.items():
            number = number_of(name)
            if not name.startswith("answer") or number in self.attempted:
                continue
            mine = functions(original.source)
            for cell in self.cells:
                text = cell.source
                if text.strip() in self.texts or not functions(text) & mine:
                    continue
                if not without(text, self.known, set()) and parse(text):
                    continue  # nothing but cells of the release
                words = f"a {cell.cell_type} cell that could not be used has"
                _say(self.doubts, number, f"{words} `{min(mine)}` in it")
            own = [cell for n in self.near(number) for cell in self.own.get(n, [])]
            if any(self.is_work(cell, not mine) for cell in own):
                text = (
                    "the stub was left as it was, but there is code of the student's "
                )
                _say(self.doubts, number, f"{text}own beside it")

    def near(self, number: str) -> list[str]:
        """The cells of an exercise, and the one before it: own cells may follow them."""
        names = ["", *self.release]
        first = next(i for i, n in enumerate(names) if number_of(n) == number)
        return names[first - 1 : first] + [n for n in names if number_of(n) == number]

    def is_work(self, cell: NotebookNode, written: bool) -> bool:
        """Whether a cell of the student's own may be an answer."""
        source = cell.source.strip()
        if cell.cell_type != "code":
            return written and bool(source) and source not in self.texts
        if parse(source) is None:
            return True
        return does_something(without(source, self.known, set()))


def repair(released: NotebookNode, submitted: NotebookNode) -> Repaired:
    """All cells of the release, in its order, with the student's work.

    Raises:
        ValueError: no cell of the assignment is in the notebook.
    """
    return _Repair(released, submitted).run()


def _work(original: NotebookNode, found: list[Found]) -> list[NotebookNode]:
    """The cells that are more than the stub."""
    stub = code_shape(original.source)
    cells = [cell for _, cell in found]
    return [c for c in cells if code_shape(c.source) != stub and c.source.strip()]


def choose_answers(original: NotebookNode, found: list[Found]) -> list[NotebookNode]:
    """The cells that hold an answer, in order; the last one is the answer's own cell.

    Cells with nbgrader's name come first; only when none of them has work in it, cells
    count that define the same function.
    """
    named = _work(original, [f for f in found if f.how in ("name", "text")])
    others = _work(original, [f for f in found if f.how not in ("name", "text")])
    return named or others or [cell for _, cell in found][:1]


def _read(cell: NotebookNode) -> NotebookNode:
    """A copy whose source is text that can be written again."""
    new = copy.deepcopy(cell)
    new.source = whole_characters(str(cell.get("source", "")))
    return new


def whole_characters(text: str) -> str:
    """Halves of characters put together, and replaced where the other half is missing."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _code(source: str) -> NotebookNode:
    return _plain(NotebookNode(source=source, cell_type="code"), "code")


def _plain(cell: NotebookNode, kind: str = "") -> NotebookNode:
    """A copy of a type without metadata."""
    kind = kind or cell.cell_type
    new = NotebookNode(cell_type=kind, source=cell.source, metadata=NotebookNode())
    if kind == "code":
        new.outputs, new.execution_count = [], None
    return new


def _say(table: Remarks, number: str, text: str) -> None:
    if text not in table.setdefault(number, []):
        table[number].append(text)
