"""Results of students who never were."""

import copy

from grading import status

FACTS = {
    "lesson": "03_elbo",
    "sealed": {},
    "exercises": {
        "03.1": {
            "title": "KL to the standard normal",
            "points": 6,
            "hidden": [2],
            "bonus": False,
            "manual": False,
        },
        "03.2": {
            "title": "Find the best guess",
            "points": 9,
            "hidden": [],
            "bonus": False,
            "manual": False,
        },
    },
}
CASE = {
    "given": [["mu", "[[0.5, 0]]"], ["logvar", "[[-1, 0]]"]],
    "of": "result",
    "right": "[0.3089]",
    "yours": "[0.6179]",
}
GUIDE = '| 03.1 | "factor one half" | Twice a KL is 0 at the prior too. |\n'
HALF = {"status": "wrong", "message": "The factor one half is missing.", "case": CASE}
OTHER = (
    "The values differ on 3 of 12 inputs, and in none of the usual ways.\nwith mu = 1"
)
DIFFER = {"status": "wrong", "message": OTHER}
RIGHT = {"status": "right", "message": "random batches."}


def copy_of(book):
    return copy.deepcopy(book)


def found(*, out_of=8, tried=True, verdict=None, code="", notes=(), **seen) -> dict:
    """One exercise of a line of the table."""
    if verdict is None and tried:
        verdict = RIGHT if seen.get("points") == out_of else HALF
    each = status.Seen(out_of, tried=tried, verdict=verdict or {}, **seen)
    made = status.decide(each)
    return {**made, "verdict": each.verdict, "code": code, "notes": list(notes)}


def row(name: str, exercises: dict, **more) -> dict:
    """A line of the table; what is not given is right."""
    each = {
        number: exercises.get(number)
        or found(out_of=entry["points"] + sum(entry["hidden"]), points=out(entry))
        for number, entry in FACTS["exercises"].items()
    }
    made = status.whole_result(name, each, FACTS, [])
    slug = "".join(c if c.isalnum() else "_" for c in name.lower()).strip("_")
    return {**made, "slug": slug, "seconds": 15, **more}


def out(entry: dict) -> float:
    return entry["points"] + sum(entry["hidden"])


def every_status() -> list[status.Seen]:
    """What was seen of exercises that came to every end there is."""
    wrong = {"status": "wrong", "message": "x"}
    return [
        status.Seen(3, tried=True, points=3, verdict=RIGHT),
        status.Seen(3, tried=True, points=1, verdict=wrong),
        status.Seen(3, tried=True, points=0, verdict=wrong),
        status.Seen(3),
        status.Seen(3, tried=True, errors=["NameError: x"]),
        status.Seen(3, tried=True, left_out=[status.TOO_LONG]),
        status.Seen(3, tried=True, flags=["mentions x"]),
        status.Seen(3, refused=status.UNREADABLE, why="no JSON"),
    ]


def _class() -> list[dict]:
    syntax = ["SyntaxError: '(' was never closed (3452.py, line 2)"]
    flags = ["mentions sys.modules"]
    absent = status.no_result("absent", status.NO_FILE, FACTS, "no notebook found")
    return [
        row("Ada", {}),
        row("Ben <b>", {"03.1": found(points=3, verdict=HALF)}, seconds=90),
        row(
            "Dan",
            {
                "03.1": found(points=0, verdict=DIFFER),
                "03.2": found(out_of=9, points=0, verdict={}, errors=syntax),
            },
        ),
        row("Eva", {"03.1": found(points=0, flags=flags)}),
        row("Fay", {"03.1": found(points=0, verdict=HALF)}),
        {**absent, "slug": "absent"},
    ]


CLASS = _class()
