"""The files: a deck, a sheet for learners, and its answers, each one HTML file by itself."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from slides import tex
from slides.plan import Plan, Slide
from vae_helpers.plots import COLOURS

TEMPLATES = Path(__file__).with_name("templates")
WIDE = 1.9  # a picture wider than this fills the slide; what is said stands below it


def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True
    )
    found.filters["layout"] = layout
    found.filters["minutes"] = lambda value: f"{value:g} min"
    return found


def layout(slide: Slide) -> str:
    """How picture, blocks and lines share a slide."""
    if slide.picture is None:
        return "words"
    if slide.picture.aspect > WIDE or slide.blocks or slide.results or slide.question:
        return "below"
    return "beside" if slide.lines else "below"


def deck(plan: Plan) -> str:
    """The slides of a lesson as one HTML file; its formulas are not drawn yet."""
    return (
        _environment()
        .get_template("deck.html")
        .render(plan=plan, lesson=plan.lesson, slides=plan.slides, colours=COLOURS)
    )


def sheet(plan: Plan, *, answers: bool) -> str:
    """One page of paper: the exercise, or its answers for the teacher."""
    return (
        _environment()
        .get_template("sheet.html")
        .render(
            plan=plan,
            lesson=plan.lesson,
            sheet=plan.sheet,
            answers=answers,
            colours=COLOURS,
        )
    )


def write(plan: Plan, folder: Path) -> list[Path]:
    """All files of a lesson, in a folder that is made if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    number = plan.lesson.number
    files = {
        f"{number}.html": deck(plan),
        f"{number}_sheet.html": sheet(plan, answers=False),
        f"{number}_sheet_answers.html": sheet(plan, answers=True),
    }
    for name, text in files.items():
        (folder / name).write_text(tex.draw(text), encoding="utf-8")
    return [folder / name for name in files]
