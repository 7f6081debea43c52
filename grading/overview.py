"""What a class did, as plain data: shares, mistakes by number, who needs a look.

pages/ writes it as a page; `lines` is the same for a table.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grading import feedback, status
from grading.lesson import INSTRUCTOR, builder

ROW = re.compile(r'^\| ([A-Z\d]\d\.\d+) \| "(.+?)" \| (.+?) \|$', re.MULTILINE)
VALUES = re.compile(r"[-+]?\d+(?:\.\d+)?")
# Sentences of a check that begin alike and mean the same for a class.
GENERAL = {
    "The values differ on": "The values are wrong, in none of the usual ways.",
    "Your code stopped with": "The function stops with an error when it is called.",
    "Your code was stopped after": "The function never ends.",
}


@dataclass(frozen=True)
class Person:
    """A student in a list.

    Attributes:
        page: path of the student's page, from the course folder; "" if there is none.
    """

    name: str
    page: str


@dataclass(frozen=True)
class Mistake:
    """A mistake that some students made.

    Attributes:
        says: in the words of the check.
        say: what the lesson's guide proposes to say; "" if it has no row for it.
    """

    says: str
    who: list[Person]
    say: str


@dataclass(frozen=True)
class Exercise:
    """One exercise of a class.

    Attributes:
        of: students whose work could be graded.
        counts: key of feedback.STATES -> number of students.
        points: mean of those that count, None without any.
    """

    number: str
    title: str
    out_of: float
    of: int
    counts: dict[str, int]
    points: float | None
    mistakes: list[Mistake]
    untouched: list[Person]

    @property
    def right(self) -> int:
        return self.counts.get("right", 0)


@dataclass(frozen=True)
class Look:
    """A student whose marks wait for a person, and why."""

    who: Person
    reasons: list[str]


@dataclass(frozen=True)
class Line:
    """A student's line on the page of the class."""

    who: Person
    score: float | None
    bonus: float
    waits: bool
    cells: list[tuple[str, float | None, float]]  # state, points, out of
    status: str
    notes: list[str]
    seconds: float


@dataclass(frozen=True)
class Report:
    """A class and an assignment.

    Attributes:
        mean: of the scores that count; None without any.
        seconds: that grading took, all students together.
        guide: address of the mistakes in the lesson's guide.
    """

    assignment: str
    lesson: str
    question: str
    maximum: float
    bonus: bool
    mean: float | None
    seconds: float
    guide: str
    exercises: list[Exercise]
    looks: list[Look]
    missing: list[Person]
    students: list[Line] = field(default_factory=list)

    @property
    def slowest(self) -> Line | None:
        """The student whose grading took longest."""
        return max(self.students, key=lambda line: line.seconds, default=None)


def report(
    name: str, rows: Sequence[dict], facts: dict, guide: str | None = None
) -> Report:
    """Everything that the page of a class says.

    Args:
        name: of the assignment.
        rows: lines of the table.
        facts: what grading knows about the assignment.
        guide: text of the lesson's guide; it is read if it is not given.
    """
    number = facts["lesson"][:2]
    rows_of_guide = read_guide(number) if guide is None else ROW.findall(guide)
    people = {row["student"]: person(row, name) for row in rows}
    handed_in = [row for row in rows if row["status"] != status.NO_FILE]
    held = [row for row in handed_in if status.held_back(row)]
    scores = [r["score"] for r in handed_in if r["score"] is not None and r not in held]
    table = builder.course()
    entry = next(x for x in table["lesson"] if x["stem"] == facts["lesson"])
    address = f"{table['repository']}/blob/{table['branch']}/instructor"
    return Report(
        assignment=name,
        lesson=number,
        question=entry["question"],
        maximum=status.maximum(facts),
        bonus=any(e["bonus"] for e in facts["exercises"].values()),
        mean=sum(scores) / len(scores) if scores else None,
        seconds=sum(row.get("seconds", 0) for row in rows),
        guide=f"{address}/lesson_{number}.md#usual-wrong-answers",
        exercises=[
            _exercise(n, e, handed_in, people, rows_of_guide)
            for n, e in facts["exercises"].items()
        ],
        looks=[Look(people[row["student"]], reasons(row)) for row in held],
        missing=[people[r["student"]] for r in rows if r["status"] == status.NO_FILE],
        students=[_line(row, people) for row in rows],
    )


def page_of(slug: str, name: str) -> str:
    """Path of a student's page in the course folder; nbgrader's exchange takes it there."""
    return f"feedback/{slug}/{name}/{name}.html"


def has_page(row: dict) -> bool:
    """Whether there is something to tell a student."""
    return bool(row.get("slug")) and row["status"] not in (
        status.NO_FILE,
        status.FAILED,
    )


def person(row: dict, name: str) -> Person:
    page = page_of(row["slug"], name) if has_page(row) else ""
    return Person(row.get("name") or row["student"], page)


def reasons(row: dict) -> list[str]:
    """Why a person must look at a submission, in sentences for the teacher."""
    found = []
    for number, each in row["exercises"].items():
        if each["status"] in status.HELD:
            words = ": ".join(filter(None, [each["status"], each["says"]]))
            found.append((number, words))
    said = dict.fromkeys(words for _, words in found)
    if len(said) == 1 and len(found) == len(
        row["exercises"]
    ):  # of the whole submission
        return [*said] + [note for note in row["notes"] if row["score"] is None]
    return [f"{number} {words}" for number, words in found]


def read_guide(number: str) -> list[tuple[str, str, str]]:
    """(exercise, words of a diagnosis, what to say) of the lesson's guide for teachers."""
    path = Path(INSTRUCTOR) / f"lesson_{number}.md"
    return ROW.findall(path.read_text(encoding="utf-8")) if path.exists() else []


def gist(found: dict) -> str:
    """A mistake in words that are the same for everybody who made it; "" if there is none."""
    at = feedback.state(found)
    if at in ("error", "late"):
        first = status.first_line(found["says"])
        return re.sub(r" \(.*", "", first) if at == "error" else first
    if at not in ("wrong", "part"):
        return ""
    text = feedback.diagnosis(found).split("\n")[0].strip()
    for start, words in GENERAL.items():
        if text.startswith(start):
            return words
    failed = [n for n in found["notes"] if n.startswith("hidden test: ")]
    if found.get("verdict", {}).get("status") == "right" and failed:
        return status.first_line(failed[0].removeprefix("hidden test: "))
    return text or "No word of the check."


def _exercise(
    number: str, entry: dict, rows: Sequence[dict], people: dict, guide: Sequence
) -> Exercise:
    counts: Counter = Counter()
    made: dict[str, list[Person]] = {}  # words without their numbers -> who
    words: dict[str, str] = {}
    untouched, points = [], []
    for row in rows:
        found, who = row["exercises"][number], people[row["student"]]
        at = feedback.state(found)
        counts[at] += 1
        if at == "none":
            untouched.append(who)
        if found["points"] is not None and at not in ("waiting", "missing"):
            points.append(found["points"])
        if text := gist(found):
            key = VALUES.sub("0", text)
            words.setdefault(key, text)
            made.setdefault(key, []).append(who)
    mistakes = [
        Mistake(words[key], who, _say(number, words[key], guide))
        for key, who in sorted(made.items(), key=lambda item: -len(item[1]))
    ]
    return Exercise(
        number=number,
        title=entry["title"],
        out_of=entry["points"] + sum(entry["hidden"]),
        of=len(rows) - counts["missing"],
        counts=dict(counts),
        points=sum(points) / len(points) if points else None,
        mistakes=mistakes,
        untouched=untouched,
    )


def _say(number: str, text: str, guide: Sequence) -> str:
    return next((say for n, words, say in guide if n == number and words in text), "")


def _line(row: dict, people: dict) -> Line:
    cells = []
    for found in row["exercises"].values():
        cells.append((feedback.state(found), found["points"], found["out_of"]))
    return Line(
        who=people[row["student"]],
        score=row["score"],
        bonus=row["bonus"] or 0,
        waits=status.held_back(row),
        cells=cells,
        status=row["status"],
        notes=row["notes"],
        seconds=row.get("seconds", 0),
    )


def lines(found: Report) -> list[list]:
    """The report as a table: one row for each number that the page shows."""
    table: list[list] = [["exercise", "what", "students", "of", "who", "say"]]

    def names(who: Sequence[Person]) -> str:
        return "; ".join(each.name for each in who)

    for each in found.exercises:
        for at, words in feedback.STATES.items():
            if each.counts.get(at) and at not in ("none", "missing"):
                table.append([each.number, words, each.counts[at], each.of, "", ""])
        if each.untouched:
            who = names(each.untouched)
            words = feedback.STATES["none"]
            table.append([each.number, words, len(each.untouched), each.of, who, ""])
        for mistake in each.mistakes:
            who, count = names(mistake.who), len(mistake.who)
            line = [each.number, f"mistake: {mistake.says}", count, each.of, who]
            table.append([*line, mistake.say])
    for look in found.looks:
        why = "; ".join(look.reasons)
        table.append(["", f"needs a look: {why}", 1, "", look.who.name, ""])
    for who in found.missing:
        table.append(["", "handed in nothing", 1, "", who.name, ""])
    return table
