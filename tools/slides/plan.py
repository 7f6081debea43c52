"""A plan: which parts of a lesson stand on which slide, and what the speaker says.

One file a lesson, instructor/slides/NN.toml. An entry that names something that the lesson
does not have (any more) is an error with the name of the slide and of what is missing.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import builder

from slides import holes, words
from slides.source import Lesson, Missing, Picture, picture_of
from vae_helpers import drawings

FOLDER = builder.ROOT / "instructor" / "slides"
KINDS = ("figure", "drawing", "board", "formula", "table", "output", "code", "predict")
KINDS += ("claims", "exercise", "check", "goals")
WORDS = ("heading", "title", "lines", "mark", "say", "minutes", "ask", "answer")
FEWEST, MOST, LINES = 8, 14, 3
STUB = 9  # lines of an exercise's stub that fit below its text
LONG = 160  # letters of TeX; a longer formula is broken at its wide spaces


@dataclass
class Slide:
    """One slide, ready to be drawn: pieces of HTML, and a picture if it has one."""

    title: str
    place: str  # heading of the notebook
    kind: str
    picture: Picture | None
    question: str  # of a prediction or of "Check yourself"; picture and results wait
    blocks: list[str]  # formulas, tables, code, tasks
    results: list[str]  # printed output, claims
    lines: list[str]
    answer_shown: str  # comes with the next key
    say: str
    ask: str
    answer: str
    minutes: float


@dataclass
class Task:
    """One thing to do by hand on a sheet."""

    question: str
    room: int  # empty lines
    answer: str


@dataclass
class Sheet:
    """One page of paper for learners, and its answers."""

    title: str
    picture: Picture
    solved: Picture
    words: list[str]  # what stands in the holes
    tasks: list[Task]


@dataclass
class Plan:
    """The slides and the sheet of one lesson."""

    lesson: Lesson
    slides: list[Slide]
    sheet: Sheet

    @property
    def minutes(self) -> float:
        return sum(slide.minutes for slide in self.slides)


def path_of(number: str) -> Path:
    """Where the plan of a lesson lies."""
    return FOLDER / f"{number}.toml"


def read(number: str, folder: Path = FOLDER) -> Plan:
    """The plan of a lesson, with everything that it names.

    Raises:
        Missing: there is no plan, or an entry names what the lesson does not have, or is
            not whole; the message begins with the file and the slide.
    """
    file = folder / f"{number}.toml"
    if not file.exists():
        raise Missing(f"no plan for lesson {number}: {file} does not exist")
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    lesson = Lesson(number)
    slides = []
    for place, entry in enumerate(table.get("slide", []), 1):
        where = f"{file.name}, slide {place} ({entry.get('title', 'no title')!r})"
        with_place = _Named(where, lesson.stem)
        with with_place:
            slides.append(_slide(lesson, entry))
    with _Named(f"{file.name}, sheet", lesson.stem):
        sheet = _sheet(lesson, table.get("sheet", {}))
    if not FEWEST <= len(slides) <= MOST:
        raise Missing(f"{file.name}: {len(slides)} slides, need {FEWEST} to {MOST}")
    return Plan(lesson, slides, sheet)


class _Named:
    """Puts the place of an entry before the message of an error."""

    def __init__(self, where: str, stem: str):
        self.where, self.stem = where, stem

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, Missing):
            raise Missing(f"{self.where}: {self.stem} {error}") from None


def _insist(entry: dict) -> None:
    unknown = set(entry) - set(KINDS) - set(WORDS)
    if unknown:
        raise Missing(f"knows no entry {', '.join(sorted(unknown))}")
    lost = [
        name for name in WORDS if name not in entry and name not in ("lines", "mark")
    ]
    if lost:
        raise Missing(f"needs {', '.join(lost)} in its plan")
    if len(entry.get("lines", [])) > LINES:
        raise Missing(f"has {len(entry['lines'])} lines on a slide, at most {LINES}")


def _slide(lesson: Lesson, entry: dict) -> Slide:
    _insist(entry)
    at = entry["heading"]
    under = lesson.under(at)  # the heading itself must exist
    picture, blocks, results, question, shown = None, [], [], "", ""
    if name := entry.get("figure"):
        picture = lesson.figure(at, name)
    if name := entry.get("drawing"):
        picture = lesson.drawing(at, name, entry.get("mark"))
    if name := entry.get("board"):
        picture = picture_of(name, entry.get("mark"))
    if entry.get("goals"):
        blocks.append(_goals(lesson))
    if name := entry.get("formula"):
        names = [name] if isinstance(name, str) else name
        blocks += [_formula(lesson.formula(at, n)) for n in names]
    if name := entry.get("table"):
        blocks.append(words.page(lesson.table(at, name)))
    if name := entry.get("output"):
        results.append(words.code(lesson.output(at, name)))
    if name := entry.get("code"):
        blocks.append(words.code(lesson.code(at, name)))
    if name := entry.get("predict"):
        asked, measured = lesson.predict(at, name)
        question = words.page(asked)
        shown = f"Measured, {name}: {measured}" if measured else ""
    if number := entry.get("exercise"):
        blocks += _exercise(lesson, number)
    if place := entry.get("check"):
        asked, answer = lesson.check(place)
        question = words.page(asked)
        shown = words.line(answer)
    if names := entry.get("claims"):
        found = [lesson.claim(name) for name in names]
        rows = [
            f"<li>{words.line(sentence)} <b>{often}</b></li>"
            for sentence, often in found
        ]
        results.append(f'<ul class="claims">{"".join(rows)}</ul>')

    def told(text: str) -> str:
        return words.fill_in(text, lesson, at)

    kind = next((k for k in KINDS if k in entry), "lines")
    return Slide(
        title=words.line(told(entry["title"])),
        place=words.line(under[0].path[-1] if under[0].path else at),
        kind=kind,
        picture=picture,
        question=question,
        blocks=blocks,
        results=results,
        lines=[words.line(told(text)) for text in entry.get("lines", [])],
        answer_shown=shown,
        say=words.page(told(entry["say"])),
        ask=words.line(told(entry["ask"])),
        answer=words.line(told(entry["answer"])),
        minutes=entry["minutes"],
    )


def _formula(tex: str) -> str:
    """A displayed formula, on several lines if it is long."""
    if len(tex) > LONG and r"\qquad" in tex:
        lines = r" \\[6pt] ".join(piece.strip() for piece in tex.split(r"\qquad"))
        tex = rf"\begin{{gathered}} {lines} \end{{gathered}}"
    return words.formula(tex, display=True)


def _goals(lesson: Lesson) -> str:
    """What the lesson promises, and what learners will be able to do."""
    items = "".join(f"<li>{words.line(goal)}</li>" for goal in lesson.goals)
    promise = words.page(lesson.promise)
    return (
        f'{promise}<p class="able">Afterwards you can</p><ul class="lines">{items}</ul>'
    )


def _exercise(lesson: Lesson, number: str) -> list[str]:
    heading, label, task, stub = lesson.exercise(number)
    title = f"<p><b>{words.line(heading)}</b> <i>{words.line(label)}</i></p>"
    blocks = [f'<div class="task">{title}{words.page(task)}</div>']
    short = stub and len(stub.splitlines()) <= STUB
    return blocks + ([words.code(stub)] if short else [])


def _sheet(lesson: Lesson, entry: dict) -> Sheet:
    lost = [
        n for n in ("title", "heading", "drawing", "holes", "task") if n not in entry
    ]
    if lost:
        raise Missing(f"needs {', '.join(lost)} in its plan")
    lesson.under(entry["heading"])
    name, gaps = entry["drawing"], entry["holes"]
    solved = picture_of(name)
    source = drawings.svg(name)
    try:
        empty = holes.as_picture(holes.with_holes(source, gaps), solved.words)
    except Missing as error:
        raise Missing(f"shows the drawing {name!r}, which {error}") from None
    words_of_empty = "The drawing of the sheet, with numbered boxes to fill in."
    tasks = []
    for task in entry["task"]:
        text = {
            k: words.fill_in(task[k], lesson, entry["heading"])
            for k in ("question", "answer")
        }
        tasks.append(
            Task(words.page(text["question"]), task["room"], words.page(text["answer"]))
        )
    return Sheet(
        title=words.line(entry["title"]),
        picture=Picture(empty.address, words_of_empty, empty.aspect),
        solved=solved,
        words=gaps,
        tasks=tasks,
    )
