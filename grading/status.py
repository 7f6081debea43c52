"""What becomes of one exercise of one submission: one table decides.

Everything that was seen of an exercise is collected first (`Seen`), whatever it came to.
Then the first row of `RULES` whose `when` holds gives status, words, points and colour.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from nbformat import NotebookNode

from grading.names import MARK, name_of, number_key

GRADED, NOT_ATTEMPTED = "graded", "not attempted"
SETUP, CRASHED, TIMED_OUT = "set-up failed", "crashed", "timed out"
TAMPERED, PERSON, UNSURE = "tampered", "needs a person", "unsure"
NO_FILE, UNREADABLE, WRONG = "not handed in", "unreadable", "another notebook"
FAILED = "grading failed"

# Why a cell was left out of a run; run.py decides which.
TOO_LONG, DIED, TOO_LARGE = (
    "ran too long",
    "stopped the kernel",
    "took too much memory",
)


@dataclass
class Seen:
    """What is known about one exercise.

    Attributes:
        out_of: its points, hidden tests included.
        refused: status of a submission that was not run, or "".
        why: the reason for that.
        broken: errors of set-up cells.
        flags: reasons to suspect tampering.
        doubts: reasons to doubt that this is the work which should count.
        manual: a person gives the points.
        tried: something was done here.
        points: what the checks gave, None if a person has to decide and has not yet.
        left_out: why cells were left out: TOO_LONG, DIED or TOO_LARGE.
        hung: a cell ran into its limit.
        errors: of the answer and of the check.
        verdict: "status" and "message" of the check, empty if it did not get so far;
            also the "share" of the points and the "case" that shows the mistake.
    """

    out_of: float
    refused: str = ""
    why: str = ""
    broken: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    manual: bool = False
    tried: bool = False
    points: float | None = 0
    left_out: list[str] = field(default_factory=list)
    hung: bool = False
    errors: list[str] = field(default_factory=list)
    verdict: dict = field(default_factory=dict)


class Rule(NamedTuple):
    """One row of the table.

    Attributes:
        status: what the exercise gets.
        when: whether it does.
        says: the words for it.
        points: None: no marks; 0: none were earned; "given": what the checks gave.
        colour: of its cell in the overview.
        held: a person has to look before the marks count.
        shown: more words beside the status, which tell wrong from right.
    """

    status: str
    when: Callable[[Seen], bool]
    says: Callable[[Seen], str]
    points: int | str | None
    colour: str
    held: bool
    shown: str = ""


def _refused(status: str, held: bool) -> Rule:
    return Rule(
        status, lambda s: s.refused == status, lambda s: s.why, None, "#ffffff", held
    )


def _nothing(seen: Seen) -> str:
    return ""


def _left_out(seen: Seen) -> str:
    if seen.left_out:
        return f"The answer {seen.left_out[0]} and was left out."
    return "A cell took longer than its limit."


def _crash(seen: Seen) -> str:
    if seen.left_out:
        return _left_out(seen)
    # The check's own NameError only follows from the error of the answer.
    return next((e for e in seen.errors if "NameError" not in e), seen.errors[0])


def _diagnosis(seen: Seen) -> str:
    if seen.verdict.get("status") == "not attempted" and not seen.points:
        return "The cell was changed, but `raise NotImplementedError` is still reached."
    return seen.verdict.get("message", "")


def _silent(seen: Seen) -> bool:
    """The check of a changed answer left no word: it cannot have run."""
    known = seen.verdict or seen.errors or seen.left_out or seen.hung or seen.points
    return seen.tried and not seen.manual and not known


def _wait(seen: Seen) -> str:
    return "; ".join(seen.doubts)


# The order is the rule. A submission that could not be run says nothing about exercises.
# A machine that fails comes before everything that a student may have done. What a person
# must see comes before what costs points, so that nobody gets a 0 that a look would have
# changed: tampering, an answer that a person grades, and doubt about which work counts
# (full marks leave no doubt). A crash comes before "not attempted": it shows that there
# was an attempt. What is left was judged by the checks, and the points tell the rest.
# The worst status of a submission is the one that stands highest here.
RULES = [
    _refused(FAILED, held=True),
    _refused(UNREADABLE, held=True),
    _refused(WRONG, held=True),
    _refused(NO_FILE, held=False),
    Rule(
        SETUP,
        lambda s: bool(s.broken) or _silent(s),
        lambda s: [*s.broken, "The check did not run."][0],
        None,
        "#fff3b0",
        True,
    ),
    Rule(
        TAMPERED,
        lambda s: bool(s.flags),
        lambda s: "; ".join(s.flags),
        "given",
        "#f6d5e5",
        True,
    ),
    Rule(
        PERSON,
        lambda s: s.manual and s.tried and s.points is None,
        _nothing,
        None,
        "#dbe7fb",
        True,
    ),
    Rule(
        UNSURE,
        lambda s: bool(s.doubts) and (s.points or 0) < s.out_of,
        _wait,
        "given",
        "#e6dcf7",
        True,
    ),
    Rule(
        TIMED_OUT,
        lambda s: TOO_LONG in s.left_out or (s.hung and not s.points and not s.manual),
        _left_out,
        "given",
        "#fbe9c8",
        False,
    ),
    Rule(
        CRASHED,
        lambda s: bool(
            s.left_out
            or (
                s.errors
                and not s.verdict
                and not s.manual
                and (s.tried or bool(s.points))
            )
        ),
        _crash,
        "given",
        "#fbe3d1",
        False,
    ),
    Rule(
        NOT_ATTEMPTED,
        lambda s: not s.tried and not s.points,
        _nothing,
        0,
        "#eeeeee",
        False,
    ),
    Rule(
        GRADED,
        lambda s: s.points == s.out_of,
        _diagnosis,
        "given",
        "#d5efe5",
        False,
        "right",
    ),
    Rule(
        GRADED,
        lambda s: bool(s.points),
        _diagnosis,
        "given",
        "#f3f0c4",
        False,
        "right in part",
    ),
    Rule(GRADED, lambda s: True, _diagnosis, "given", "#fbd9cf", False, "wrong"),
]
ORDER = list(dict.fromkeys(rule.status for rule in RULES))
HELD = {rule.status for rule in RULES if rule.held}


def decide(seen: Seen) -> dict:
    """Status, points and words of an exercise: an entry of a line of the table."""
    rule = next(rule for rule in RULES if rule.when(seen))
    points = seen.points if rule.points == "given" else rule.points
    return {
        "points": points,
        "out_of": seen.out_of,
        "status": rule.status,
        "shown": rule.shown,
        "says": rule.says(seen),
        "colour": rule.colour,
        "notes": [],
    }


# What was seen ------------------------------------------------------------------------


def errors(cell: NotebookNode | None) -> list[str]:
    """The errors of a cell, "SyntaxError: invalid syntax"."""
    outputs = cell.get("outputs", []) if cell else []
    return [f"{o.ename}: {o.evalue}" for o in outputs if o.output_type == "error"]


def verdict(cell: NotebookNode | None) -> dict:
    """What a check said: its last word, since the answer runs before it."""
    found: dict = {}
    for output in cell.get("outputs", []) if cell else []:
        if output.output_type == "display_data":
            said = output.get("metadata", {}).get(MARK)
            if isinstance(said, dict) and said:  # it comes out of the student's process
                words = {k: str(said.get(k, "")) for k in ("status", "message")}
                found = said | words
    return found


def look(number: str, entry: dict, book: NotebookNode, marks: dict, done: dict) -> Seen:
    """Collect what is known about one exercise.

    Args:
        number: such as "03.1".
        entry: its entry in the private file of the assignment.
        book: the autograded notebook.
        marks: name of a graded cell -> points, None where a person has to decide.
        done: the record of the run, see grade.py.
    """
    key = number_key(number)
    cells = {name_of(cell): cell for cell in book.cells if name_of(cell)}
    hidden = _hidden(number, entry)
    graded = [f"text-{key}"] if entry["manual"] else [f"check-{key}", *hidden]
    points = [marks.get(name) for name in graded]
    wrong = errors(cells.get(f"answer-{key}")) + errors(cells.get(f"check-{key}"))
    late = wrong + [e for name in hidden for e in errors(cells.get(name))]
    return Seen(
        out_of=entry["points"] + sum(entry["hidden"]),
        broken=[
            e for n, c in cells.items() if n.startswith("setup") for e in errors(c)
        ],
        flags=[*done["flags"].get(number, []), *done["flags"].get("", [])],
        doubts=done["doubts"].get(number, []),
        manual=entry["manual"],
        tried=number in done["attempted"],
        points=None if None in points else round(sum(points), 2),
        left_out=[w for name, w in done["left_out"].items() if f"-{key}" in name],
        hung=any(e.startswith("CellTimeoutError") for e in late),
        errors=wrong,
        verdict=verdict(cells.get(f"check-{key}")),
    )


def _hidden(number: str, entry: dict) -> list[str]:
    return [f"hidden-{number_key(number)}-{at}" for at in range(len(entry["hidden"]))]


def exercise_result(
    number: str, entry: dict, book: NotebookNode, marks: dict, done: dict
) -> dict:
    """Points, status and remarks of one exercise; arguments as for `look`."""
    seen = look(number, entry, book, marks, done)
    found = decide(seen)
    found["verdict"] = seen.verdict
    found["code"] = done.get("code", {}).get(number, "")
    cells = {name_of(cell): cell for cell in book.cells if name_of(cell)}
    failed = [why for n in _hidden(number, entry) for why in errors(cells.get(n))]
    failed = [why.removeprefix("AssertionError: ") for why in failed]
    found["notes"] = [
        *done["notes"].get(number, []),
        *(f"hidden test: {w}" for w in dict.fromkeys(failed) if w != "not attempted"),
    ]
    if found["status"] == GRADED:
        answer = cells.get(f"answer-{number_key(number)}")
        found["notes"] += [f"the cell says {error}" for error in errors(answer)]
    return found


# A student ----------------------------------------------------------------------------


def whole_result(student: str, exercises: dict, facts: dict, notes: list[str]) -> dict:
    """A student's line of the table."""
    statuses = [found["status"] for found in exercises.values()]
    core = {n for n, e in facts["exercises"].items() if not e["bonus"]}
    sums = {True: 0.0, False: 0.0}
    for number, found in exercises.items():
        sums[number in core] += found["points"] or 0
    status = min(statuses, key=ORDER.index)
    if status == NOT_ATTEMPTED and GRADED in statuses:
        status = GRADED
    return {
        "student": student,
        "status": status,
        "score": round(sums[True], 2),
        "bonus": round(sums[False], 2),
        "exercises": exercises,
        "notes": notes,
    }


def no_result(student: str, status: str, facts: dict, why: str) -> dict:
    """The line of a student without a notebook that can be graded."""
    each = {
        number: decide(Seen(entry["points"] + sum(entry["hidden"]), status))
        for number, entry in facts["exercises"].items()
    }
    return {
        "student": student,
        "status": status,
        "score": None,
        "bonus": None,
        "exercises": each,
        "notes": [why] if why else [],
    }


def maximum(facts: dict) -> float:
    """All points without the bonus."""
    entries = facts["exercises"].values()
    return sum(e["points"] + sum(e["hidden"]) for e in entries if not e["bonus"])


def held_back(row: dict) -> bool:
    """Whether a person has to look before the marks count."""
    return any(e["status"] in HELD for e in row["exercises"].values())


def first_line(text: str, length: int = 150) -> str:
    """The start of an error or a diagnosis, on one line."""
    return re.sub(r"\s+", " ", text).strip()[:length]
