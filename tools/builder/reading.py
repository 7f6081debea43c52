"""How long a lesson takes to read, by one rule, from its source alone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import jupytext

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
WORDS, LINES = 120, 20  # read in a minute
EQUATION, FIGURE = 2, 1  # minutes for each
DISPLAY = re.compile(r"\$\$.*?\$\$", re.DOTALL)
# What a reader does not read as words: folded parts, tags, addresses of links.
FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)
ADDRESSES = re.compile(r"<[^>]+>|\]\([^)]*\)")
LATER = "Second reading"  # begins the heading of what a first reading leaves out
DRAWS = re.compile(r"plots\.show|plt\.show|widgets\.explore")
CORE = re.compile(r"^# \*core, \w+, (\d+) minutes\*$", re.MULTILINE)
# The section after which one stops, and the cell that begins the next section.
HALF_WAY = re.compile(
    r"^# ## Half-way.*?(?=^# %% \[markdown\]\n# ## )", re.MULTILINE | re.DOTALL
)
# Cells that draw, and whose code teaches nothing of the lesson: shown on a click.
SHOWN_ONLY = re.compile(
    r"^(widgets\.explore|drawings\.show|films?\.show)\(", re.MULTILINE
)


@dataclass(frozen=True)
class Count:
    """What there is to read: words, lines of code, displayed equations, figures."""

    words: int = 0
    lines: int = 0
    equations: int = 0
    figures: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.words + other.words,
            self.lines + other.lines,
            self.equations + other.equations,
            self.figures + other.figures,
        )

    @property
    def minutes(self) -> int:
        """Minutes of reading, rounded to 5, at least 5."""
        exact = self.words / WORDS + self.lines / LINES
        exact += EQUATION * self.equations + FIGURE * self.figures
        return max(5, 5 * round(exact / 5))


def _markdown(text: str) -> Count:
    text = FOLDED.sub(" ", text)
    equations = len(DISPLAY.findall(text))
    text = re.sub(r"\$[^$]+\$", " formula ", DISPLAY.sub(" ", text))
    words = re.findall(r"[^\W_]+(?:['’-]\w+)*", ADDRESSES.sub(" ", text))
    return Count(words=len(words), equations=equations)


def is_folded(source: str, tags: Sequence[str]) -> bool:
    """Whether a code cell shows its code on a click only."""
    return "fold" in tags or bool(SHOWN_ONLY.search(source))


def _code(source: str, folded: bool) -> Count:
    lines, solution = 0, False
    for line in map(str.strip, source.splitlines()):
        if BEGIN in line or END in line:
            solution = BEGIN in line
        elif line and not line.startswith("#") and not solution and not folded:
            lines += 1
    draws = bool(DRAWS.search(source)) and not source.startswith("def ")
    return Count(lines=lines, figures=int(draws))


@cache  # parsing eight lessons takes half a second, and many tools ask for the course
def count(source: str) -> Count:
    """What a learner reads in a lesson (its text in the percent format).

    Not counted: what is folded (hints, answers, code shown on a click), solutions, comments,
    the code below the heading "Set-up", and sections whose heading begins with "Second
    reading".
    """
    total, section = Count(), ""
    for cell in jupytext.reads(source, fmt="py:percent").cells:
        if cell.cell_type == "markdown":
            for part in re.split(r"^(?=## )", cell.source, flags=re.MULTILINE):
                if part.startswith("## "):
                    section = part.splitlines()[0].removeprefix("## ")
                if not section.startswith(LATER):
                    total += _markdown(part)
        elif section != "Set-up" and not section.startswith(LATER):
            tags = cell.metadata.get("tags", [])
            total += _code(cell.source, is_folded(cell.source, tags))
    return total


def exercise_minutes(source: str) -> int:
    """The sum of what the labels of the core exercises say."""
    return sum(map(int, CORE.findall(source)))


def sittings(source: str) -> list[tuple[int, int]]:
    """Minutes of reading and of exercises for each sitting of a lesson.

    A lesson with a section whose heading begins with "Half-way" has two sittings, and the
    first ends with that section. The minutes add up to those of the whole lesson.
    """
    whole = count(source).minutes, exercise_minutes(source)
    stop = HALF_WAY.search(source)
    if not stop:
        return [whole]
    first = source[: stop.end()]
    before = count(first).minutes, exercise_minutes(first)
    return [before, (whole[0] - before[0], whole[1] - before[1])]
