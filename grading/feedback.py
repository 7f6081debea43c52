"""What a student reads about a graded assignment, as plain data; pages/ writes it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from nbformat import NotebookNode

from grading import status
from grading.code import bound, functions
from grading.lesson import Exercise, builder, find_lesson, read_exercises
from grading.names import name_of, number_of

# State of an exercise -> what the student reads. The first word of a held exercise says
# nothing about why: the reason is for the teacher.
STATES = {
    "right": "right",
    "part": "right in part",
    "wrong": "not right yet",
    "none": "not attempted",
    "error": "stops with an error",
    "late": "runs too long",
    "waiting": "your teacher looks at it",
    "missing": "could not be graded",
}
_OF_STATUS = {
    status.NOT_ATTEMPTED: "none",
    status.CRASHED: "error",
    status.TIMED_OUT: "late",
    status.UNREADABLE: "missing",
    status.WRONG: "missing",
    status.NO_FILE: "missing",
}
_OF_POINTS = {"right": "right", "right in part": "part", "wrong": "wrong"}
HINT = re.compile(
    r"<details><summary>Hint (\d)(?:: (.*?))?</summary>\s*(.*?)\s*</details>", re.S
)
NUMBERS = re.compile(r"\n(?:with |your |right)", re.S)  # where a check shows its case
CELL = re.compile(r"\(\d+\.py, line (\d+)\)")  # Python's name for a cell of a notebook
LONGEST = 4000  # letters of a message, 20,000 of code: nobody reads more on a page
PRIVATE = ("uses the course's own",)  # remarks that are for the teacher


@dataclass(frozen=True)
class Case:
    """The smallest input that shows a mistake."""

    given: list[tuple[str, str]]
    of: str  # name of the result; "result" if it has none
    right: str
    yours: str


@dataclass(frozen=True)
class Hint:
    """A hint of the lesson."""

    exercise: str
    number: int
    title: str
    text: str  # Markdown


@dataclass(frozen=True)
class Part:
    """One exercise.

    Attributes:
        state: a key of STATES.
        points: None where there are none, or none yet.
        diagnosis: in the words of the check.
        share: of the points that the named mistake keeps; None if it is not the reason.
        hidden: symptoms of hidden tests.
        notes: what was put right, and the like.
    """

    number: str
    title: str
    state: str
    points: float | None
    out_of: float
    bonus: bool
    code: str = ""
    diagnosis: str = ""
    case: Case | None = None
    share: float | None = None
    hint: Hint | None = None
    hidden: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """The state in words."""
        return STATES[self.state]


@dataclass(frozen=True)
class Student:
    """The page of one student.

    Attributes:
        score: without the bonus; None if nothing could be graded.
        final: nothing waits for a person.
        remarks: about the whole submission.
        links: words -> address.
    """

    name: str
    lesson: str
    question: str
    score: float | None
    maximum: float
    bonus: float
    final: bool
    parts: list[Part]
    remarks: list[str]
    links: dict[str, str]


def answers(book: NotebookNode) -> dict[str, str]:
    """Number of an exercise -> the student's work on it, before anything was run.

    Args:
        book: a repaired notebook; cells without a name before an answer belong to it if
            they give a value to what the answer defines.
    """
    found: dict[str, str] = {}
    loose: list[str] = []
    for cell in book.cells:
        name = name_of(cell)
        if not name:
            loose += [cell.source] if cell.cell_type == "code" else []
            continue
        if name.startswith(("answer", "text")):
            number, mine = number_of(name), functions(cell.source)
            pieces = [text for text in loose if bound(text) & mine] + [cell.source]
            old = [found[number]] if number in found else []
            found[number] = "\n\n".join([*old, *pieces])[: 5 * LONGEST]
        loose = []
    return found


def student(row: dict, facts: dict, exercises: Sequence[Exercise]) -> Student:
    """The page of a line of the table.

    Args:
        row: of a student, from `status.whole_result` or `status.no_result`.
        facts: what grading knows about the assignment.
        exercises: those of the lesson, for its hints.
    """
    hints = {e.number: read_hints(e) for e in exercises}
    parts = []
    for number, entry in facts["exercises"].items():
        varied = number in facts.get("sealed", {})  # the hints are for other numbers
        known = [] if varied else hints.get(number, [])
        parts.append(_part(number, entry, row["exercises"][number], known))
    lesson = find_lesson(facts["lesson"])
    return Student(
        name=row.get("name") or row["student"],
        lesson=facts["lesson"][:2],
        question=lesson["question"],
        score=row["score"],
        maximum=status.maximum(facts),
        bonus=row["bonus"] or 0,
        final=not status.held_back(row),
        parts=parts,
        remarks=row["notes"],
        links=addresses(facts["lesson"]),
    )


def addresses(stem: str) -> dict[str, str]:
    """Words of a link -> address of a lesson in the course's repository."""
    table, path = builder.course(), f"notebooks/{stem}.ipynb"
    read = f"{table['repository']}/blob/{table['branch']}/{path}"
    colab = builder.links(table, path)["colab"]
    return {f"Lesson {stem[:2]}, to read": read, "Open it in Colab": colab}


def state(found: dict) -> str:
    """The key of STATES for an exercise of a line of the table."""
    if found["status"] == status.GRADED:
        return _OF_POINTS[found["shown"]]
    return _OF_STATUS.get(found["status"], "waiting")


def diagnosis(found: dict) -> str:
    """What the check, or the error, says; without the numbers of its case."""
    text = CELL.sub(r"(line \1)", found["says"][:LONGEST])
    return NUMBERS.split(text)[0] if found.get("verdict", {}).get("case") else text


def _part(number: str, entry: dict, found: dict, hints: list[Hint]) -> Part:
    at = state(found)
    held = at in ("waiting", "missing")
    said = found.get("verdict", {})
    notes = [n for n in found["notes"] if not n.startswith(("hidden test", *PRIVATE))]
    hidden = [
        n.split(": ", 1)[1] for n in found["notes"] if n.startswith("hidden test")
    ]
    words = "" if held else diagnosis(found)
    wrong = at in ("part", "wrong", "error", "late", "none")
    return Part(
        number=number,
        title=entry["title"],
        state=at,
        points=None if held else found["points"],
        out_of=found["out_of"],
        bonus=entry["bonus"],
        code=found.get("code", "") if at not in ("none", "missing") else "",
        diagnosis=words,
        case=None if held or at == "right" else _case(said.get("case")),
        share=None if held else _share(said),
        hint=which_hint(hints, at, words) if wrong else None,
        hidden=[] if held else [NUMBERS.split(text)[0] for text in hidden],
        notes=[] if held else notes,
    )


def _case(stored: object) -> Case | None:
    """A case out of the student's process: anything may stand there."""
    try:
        given = [(str(n)[:80], str(v)[:400]) for n, v in stored["given"]][:12]
        of, right, yours = (str(stored[k])[:400] for k in ("of", "right", "yours"))
    except (TypeError, KeyError, ValueError):
        return None
    return Case(given, of, right, yours)


def _share(said: dict) -> float | None:
    """The share of the points that a wrong answer keeps."""
    share = said.get("share")
    wrong = said.get("status") != "right" and isinstance(share, int | float)
    return float(share) if wrong and 0 < share < 1 else None


# Hints --------------------------------------------------------------------------------


def read_hints(exercise: Exercise) -> list[Hint]:
    """The graded hints of an exercise."""
    found = HINT.findall(exercise.hints)
    return [Hint(exercise.number, int(n), title, text) for n, title, text in found]


def which_hint(hints: Sequence[Hint], at: str, words: str) -> Hint | None:
    """The hint that speaks of the mistake: most rare words in common, else the second.

    Args:
        hints: in their order, from an idea to nearly the code.
        at: state of the exercise; who has not begun begins with the first.
        words: the diagnosis.
    """
    if not hints or at == "none":
        return hints[0] if hints else None
    second = hints[min(1, len(hints) - 1)]
    if at in ("error", "late"):
        return second
    texts = [_words(f"{hint.title} {hint.text}") for hint in hints]
    said = _words(words)

    def common(place: int) -> float:
        shared = said & texts[place]
        return sum(1 / sum(word in text for text in texts) ** 2 for word in shared)

    best = max(range(len(hints)), key=lambda place: (common(place), place == 1))
    return hints[best] if common(best) >= 1 else second


def _words(text: str) -> set[str]:
    """The words that carry meaning, in one form each, and names in code."""
    found = re.findall(r"[a-z_]{3,}|\d{3,}", text.lower())
    return {re.sub(r"(?<![su])s$", "", word) for word in found} - _COMMON


_COMMON = set(
    """the and for you your that this with not are but from into each all one two only
    must more than then there what when which where have here needed need give take right
    answer return value number them they itself every same other would also out has was thi
    needed use your function belong once""".split()
)


def read_lesson(facts: dict) -> list[Exercise]:
    """The exercises of the lesson of an assignment; their hints are on the pages."""
    return read_exercises(find_lesson(facts["lesson"]))
