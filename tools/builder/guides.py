"""The plans in the guides for instructors: instructor/plans/NN.toml -> lesson_NN.md.

A plan names headings, controls and numbers of its lesson, and none of them is typed twice:
a heading must be in the lesson, a control in the section below it, and a number is looked up
where the lesson has it. `expect` has no decimal of its own. In the words of a plan

    {band NAME}      is the band of a number of an Expected panel, from the record
    {seen PATTERN}   is what the first group of the pattern finds in the printed output of the
                     built notebook, below the heading of the row, else anywhere in it;
                     {seen:2 PATTERN} rounds it to two decimals
    {held SENTENCE}  is in how many recorded runs a claim held; its first words are enough
"""

import ast
import re
import tomllib
from dataclasses import dataclass, field
from functools import cache

import jupytext
import nbformat

from builder.notebook import LESSONS, NOTEBOOKS, ROOT
from vae_helpers import claims, expected, records

PLANS = ROOT / "instructor" / "plans"
HEADING = re.compile(r"^(#+) +(.+?) *$", re.MULTILINE)
LOOKED_UP = re.compile(r"\{(band|seen|held)(?::(\d))? ([^{}]+)\}")
BLOCK = re.compile(r"(<!-- plans[^>]*-->\n).*?(<!-- /plans -->)", re.DOTALL)
FIGURE = re.compile(r"Figure (\w\w?\.\d+)")
TYPED = re.compile(r"(?<!= )-?\b\d+\.\d+|\b\d+ ?%")  # "beta = 0.5" names a setting
HEAD = "| Minutes | Heading in the notebook | Show | Expect | Ask, and the answer |"


class PlanError(ValueError):
    """A plan says what its lesson does not."""


@dataclass(frozen=True)
class Step:
    """A row of a plan.

    Attributes:
        at: heading of the notebook, word for word ("Exercise 05.4" is enough for an
            exercise); empty if the notebook is not needed.
        minutes: for each plan of the guide; 0 leaves the row out.
        title: what stands in the place of a heading, for a question or a pause.
        show: what the class sees or does.
        move: label of a control -> the value to give it.
        expect: the numbers, looked up.
        ask, answer: a question and the answer to hope for.
        longer: what comes on top of `show` in every plan but the first.
    """

    at: str = ""
    minutes: tuple[int, ...] = ()
    title: str = ""
    show: str = ""
    move: dict = field(default_factory=dict)
    expect: str = ""
    ask: str = ""
    answer: str = ""
    longer: str = ""


@dataclass(frozen=True)
class Plan:
    """The plans of a lesson: minutes of each, the rows, and what the first one loses."""

    stem: str
    minutes: tuple[int, ...]
    lost: str
    steps: tuple[Step, ...]


def read(stem: str) -> Plan:
    """The plan of a lesson such as "03_elbo".

    Raises:
        PlanError: minutes that do not add up, or an unknown key, with its name.
    """
    path = PLANS / f"{stem[:2]}.toml"
    if not path.exists():
        raise PlanError(f"no plan for teachers: write instructor/plans/{path.name}")
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    known = set(Step.__dataclass_fields__)
    steps = []
    for row in table["step"]:
        if extra := set(row) - known:
            raise PlanError(f"{path.name}: {sorted(extra)} is no part of a row: {row}")
        at = _whole(stem, row.get("at", ""))
        steps.append(Step(**{**row, "at": at, "minutes": tuple(row["minutes"])}))
    plan = Plan(stem, tuple(table["minutes"]), table.get("lost", ""), tuple(steps))
    for which, minutes in enumerate(plan.minutes):
        total = sum(step.minutes[which] for step in plan.steps)
        if total != minutes:
            raise PlanError(f"{path.name}: rows of {minutes} minutes add up to {total}")
    return plan


def _whole(stem: str, at: str) -> str:
    """ "Exercise 05.4" -> its whole heading, if the lesson has it; others as they are."""
    if not re.fullmatch(r"Exercise \w+\.\d", at):
        return at
    return next((w for _, w in headings(stem) if w.startswith(f"{at} ")), at)


@cache
def headings(stem: str) -> list[tuple[int, str]]:
    """Level and text of every heading of a lesson, in order."""
    return [(len(level), words) for level, words in HEADING.findall(_text(stem))]


@cache
def _text(stem: str) -> str:
    cells = jupytext.read(LESSONS / f"{stem}.py").cells
    return "\n".join(c.source for c in cells if c.cell_type == "markdown")


def _section(cells: list, at: str) -> list:
    """The cells below a heading, to the next one that is not below it."""
    found, level = [], 0
    for cell in cells:
        if cell.cell_type == "markdown":
            for marks, words in HEADING.findall(cell.source):
                if level and len(marks) <= level:
                    return found
                if words == at:
                    level = len(marks)
        if level:
            found.append(cell)
    return found


@cache
def _book(stem: str) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4)


@cache
def printed(stem: str, at: str = "") -> str:
    """What the built notebook prints below a heading, or anywhere."""
    lines, cells = [], _book(stem).cells
    for cell in _section(cells, at) if at else cells:
        for output in cell.get("outputs", []):
            lines.append(output.get("text", "") or output.data.get("text/plain", ""))
    return "\n".join(lines)


def controls(stem: str, at: str) -> dict[str, list]:
    """Labels of the controls below a heading -> the literal values they are made with."""
    found = {}
    for cell in _section(jupytext.read(LESSONS / f"{stem}.py").cells, at):
        if cell.cell_type != "code" or "widgets." not in cell.source:
            continue
        for node in ast.walk(ast.parse(cell.source)):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if name in ("widgets.slider", "widgets.choice"):
                found[_literal(node.args[0])] = [_literal(a) for a in node.args[1:]]
    return found


def _literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def look_up(stem: str, step: Step, words: str) -> str:
    """The words of a row with its numbers in place of the braces.

    Raises:
        PlanError: what is asked for is not there, or has braces of its own; the message names
            lesson, row and name.
    """

    def value(found: re.Match) -> str:
        kind, digits, name = found[1], found[2], found[3].strip()
        where = f"plans/{stem[:2]}.toml, {step.at or step.title!r}"
        result = {"band": _band, "held": _held, "seen": _seen}[kind](stem, step, name)
        if not result:
            raise PlanError(f"{where}: nothing found for {{{kind} {name}}}")
        return f"{float(result):.{digits}f}" if digits else result

    found = LOOKED_UP.sub(value, words)
    if left := re.search(r"\{(?:band|seen|held).*", found):
        raise PlanError(f"{step.at!r}: not understood (braces in it?): {left[0]}")
    return found


def _band(stem: str, step: Step, name: str) -> str:
    told = []
    for source, word in (("full", ""), ("sample", "sample ")):
        if values := expected.measured(stem[:2], name, source):
            low, high = (f"{bound:.3g}" for bound in expected.band(values))
            told.append(f"{word}{low}" if low == high else f"{word}{low} to {high}")
    alike = len(told) == 2 and told[1] == f"sample {told[0]}"
    return (
        f"{told[0]} ({told[1]})" if len(told) == 2 and not alike else "".join(told[:1])
    )


def _seen(stem: str, step: Step, pattern: str) -> str:
    for place in filter(None, [printed(stem, step.at), printed(stem)]):
        if found := re.search(pattern, place, re.MULTILINE):
            return found[1]
    return ""


def _held(stem: str, step: Step, words: str) -> str:
    runs = records.runs(stem[:2])
    named = {s for run in runs for s in run.claims if s.startswith(words)}
    if len(named) != 1:
        return ""
    row = claims.review((stem[:2], named.pop())).rows[0][2]
    often = re.match(r"held in (\d+ of \d+)", row)
    return f"{often[1]} recorded runs" if often else ""


def problems(plan: Plan) -> list[str]:
    """What a plan says and its lesson does not: headings, controls, values, numbers."""
    found, known = [], {words for _, words in headings(plan.stem)}
    for step in plan.steps:
        if step.at and step.at not in known:
            found.append(f"no heading {step.at!r}")
        there = controls(plan.stem, step.at) if step.move else {}
        for label, value in step.move.items():
            limits = there.get(label)
            if limits is None:
                found.append(f"no control {label!r} below {step.at!r}: {list(there)}")
            elif not _allowed(value, limits):
                found.append(f"{label!r} cannot be {value!r}, it has {limits}")
        for figure in set(FIGURE.findall(f"{step.show} {step.longer}")):
            if f"**Figure {figure}." not in _text(plan.stem):
                found.append(f"no Figure {figure} in the lesson")
        if typed := TYPED.search(LOOKED_UP.sub("", step.expect)):
            found.append(f"a typed number, {typed[0]}, in: {step.expect}")
        try:
            _cells(plan.stem, step, False)
        except PlanError as error:
            found.append(str(error))
    return found


def _allowed(value: object, limits: list) -> bool:
    """Whether a control made with these literals can have this value."""
    if isinstance(limits[0], list):
        return value in limits[0]
    if len(limits) >= 2 and all(isinstance(x, int | float) for x in limits[:2]):
        return limits[0] <= value <= limits[1]
    return True  # made with names of the lesson: only running it tells


def _cells(stem: str, step: Step, first: bool) -> list[str]:
    where = f"*{step.at}*" if step.at else f"**{step.title}**"
    if step.at and step.title:
        where += f": {step.title}"
    show = [step.show] if step.show else []
    if moves := [f"*{label}* to {value}" for label, value in step.move.items()]:
        show.append(f"**Move** {', '.join(moves)}.")
    show += [step.longer] if step.longer and not first else []
    asked = [step.ask, f"→ {step.answer}" if step.answer else ""]
    expect = step.expect or label_of(stem, step.at)
    cells = [where, " ".join(show), expect, "<br>".join(filter(None, asked))]
    return [" ".join(look_up(stem, step, words).split()) for words in cells]


def label_of(stem: str, at: str) -> str:
    """How important, how hard and how long an exercise is, as its lesson says."""
    below = _text(stem).partition(f" {at}\n")[2] if at.startswith("Exercise") else ""
    found = re.match(r"\s*\*(\w+, \w+, \d+ minutes)\*", below)
    return found[1] if found else ""


def table(plan: Plan, which: int) -> str:
    """One of the plans, with the clock running from 0."""
    lines, clock = [HEAD, "|" + "---|" * 5], 0
    for step in plan.steps:
        if spent := step.minutes[which]:
            cells = _cells(plan.stem, step, which == 0)
            lines.append(f"| {' | '.join([f'{clock}-{clock + spent}', *cells])} |")
            clock += spent
    return "\n".join(lines)


def left_out(plan: Plan) -> str:
    """What the first plan leaves out of the longest, and what that costs."""
    names = [f"*{s.at}*" for s in plan.steps if s.at and not s.minutes[0]]
    listed = f"**Left out:** {'; '.join(dict.fromkeys(names))}. " if names else ""
    return f"{listed}{' '.join(plan.lost.split())}".strip()


def in_guide(text: str, stem: str) -> str:
    """A guide with the plans of today between its two marks."""
    if not (PLANS / f"{stem[:2]}.toml").exists():
        return text
    plan = read(stem)
    if wrong := problems(plan):
        raise PlanError(f"instructor/plans/{stem[:2]}.toml: " + "\n".join(wrong))
    parts = []
    for which, minutes in enumerate(plan.minutes):
        parts.append(f"### {minutes} minutes\n\n{table(plan, which)}")
        if which == 0 and len(plan.minutes) > 1 and (lost := left_out(plan)):
            parts.append(lost)
    block = "\n\n".join(parts)
    return BLOCK.sub(lambda m: f"{m[1]}\n{block}\n\n{m[2]}", text)
