"""Predict, then see: a learner's guesses, beside what the lesson then measured.

A guess stands in a cell before the result, the truth in a cell after it, and a lesson ends
with a review of all of them. Guesses stay in the kernel; nothing depends on them.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from vae_helpers.plots import COLOURS
from vae_helpers.records import html_table

Answer = int | float | str
WIDTH, MARGIN = 420, 20  # of the line on which guess and truth stand, in pixels


@dataclass
class Prediction:
    """A question's guess and, once the lesson has measured it, its truth.

    Attributes:
        name: few words that tell it from the others, such as "share sure".
        guess: a number, one of `choices`, or None for no guess.
        unit: of the number, such as "nats" or "%".
        choices: what there is to choose from; empty for a number.
        truth: None until the lesson has measured it.
    """

    name: str
    guess: Answer | None
    unit: str = ""
    choices: tuple[str, ...] = ()
    truth: Answer | None = None

    def told(self, answer: Answer | None) -> str:
        """A guess or a truth in words."""
        if answer is None:
            return "–"
        if isinstance(answer, str):
            return answer
        sign = "" if self.unit in ("", "%") else " "
        return f"{answer:.3g}{' %' if self.unit == '%' else sign + self.unit}"

    @property
    def verdict(self) -> str:
        """How near the guess came, in a few words."""
        if self.guess is None or self.truth is None:
            return ""
        if isinstance(self.truth, str):
            return "as you said" if self.guess == self.truth else "not what you said"
        off = float(self.guess) - float(self.truth)
        if abs(off) <= 0.1 * abs(self.truth):
            return "within a tenth"
        return f"{self.told(abs(off))} too {'high' if off > 0 else 'low'}"

    def __repr__(self) -> str:
        if self.truth is None:
            if self.guess is not None:
                return f"Noted: {self.told(self.guess)}. Read on."
            what = f"one of {list(self.choices)}" if self.choices else "your number"
            return f"No guess yet: put {what} in place of None, and run the cell."
        if self.guess is None:
            return f"{self.name}: it is {self.told(self.truth)}; you made no guess."
        return (
            f"{self.name}: you said {self.told(self.guess)}, "
            f"it is {self.told(self.truth)} ({self.verdict})."
        )

    def _repr_html_(self) -> str:
        words = f"<p>{html.escape(repr(self))}</p>"
        if self.truth is None or self.guess is None or isinstance(self.truth, str):
            return words
        return words + self._line()

    def _line(self) -> str:
        """Guess (a ring) and truth (a disc) on one line, as a picture."""
        values = [float(self.guess), float(self.truth)]
        low, high = (0, 100) if self.unit == "%" else (min(0, *values), max(0, *values))
        low, high = min(low, *values), max(high, *values)
        scale = (WIDTH - 2 * MARGIN) / ((high - low) or 1)
        guess, truth = (MARGIN + scale * (value - low) for value in values)
        ends = "".join(
            f'<text x="{x}" y="38" font-size="11" text-anchor="{anchor}" '
            f'fill="currentColor">{html.escape(self.told(value))}</text>'
            for x, anchor, value in (
                (MARGIN, "start", low),
                (WIDTH - MARGIN, "end", high),
            )
        )
        return (
            f'<svg width="{WIDTH}" height="44" role="img" '
            f'aria-label="{html.escape(repr(self))}">'
            f'<line x1="{MARGIN}" y1="16" x2="{WIDTH - MARGIN}" y2="16" '
            f'stroke="currentColor"/>'
            f'<circle cx="{guess:.1f}" cy="16" r="7" fill="none" stroke-width="3" '
            f'stroke="{COLOURS[1]}"><title>your guess</title></circle>'
            f'<circle cx="{truth:.1f}" cy="16" r="5" fill="{COLOURS[0]}">'
            f"<title>measured</title></circle>{ends}</svg>"
        )


_made: dict[str, Prediction] = {}


def guess(
    name: str,
    answer: Answer | None,
    *,
    unit: str = "",
    choices: Sequence[str] = (),
) -> Prediction:
    """Note a guess; running the cell again replaces it.

    Args:
        name: few words that tell it from the others of the lesson.
        answer: a number, one of `choices`, or None for no guess.
        unit: of the number, such as "nats"; "%" for a number from 0 to 100.
        choices: what there is to choose from, for a guess that is no number.

    Raises:
        ValueError: the answer is none of the choices, or no finite number.
    """
    if answer is not None and choices and answer not in choices:
        raise ValueError(f"{answer!r} is none of the choices: {list(choices)}")
    if answer is not None and not choices:
        if isinstance(answer, bool | str) or not _is_finite(answer):
            raise ValueError(f"a number was expected, such as 12.5; got {answer!r}")
    _made[name] = Prediction(name, answer, unit, tuple(choices))
    return _made[name]


def _is_finite(number: object) -> bool:
    try:
        return abs(float(number)) < float("inf")
    except (TypeError, ValueError):
        return False


def truth(name: str, measured: Answer) -> Prediction:
    """What was measured, beside the guess of the same name.

    Args:
        name: as in `guess`.
        measured: a number in the unit of the guess (a tensor with one entry will do), or
            one of its choices.

    Raises:
        ValueError: no `guess` has this name; its cell was not run.
    """
    if name not in _made:
        raise ValueError(
            f"nothing was asked under the name {name!r}; run the cell with "
            f"predict.guess({name!r}, ...) first. Asked so far: {list(_made)}"
        )
    asked = _made[name]
    asked.truth = measured if isinstance(measured, str) else float(measured)
    # The panel keeps what is true now, also when the guess is changed later.
    return Prediction(name, asked.guess, asked.unit, asked.choices, asked.truth)


@dataclass(frozen=True)
class Review:
    """All guesses of a lesson: (question, guess, measured, verdict)."""

    rows: list[tuple[str, str, str, str]]

    def __repr__(self) -> str:
        lines = [
            f"{name}: you {guess}, measured {truth} {verdict}".rstrip()
            for name, guess, truth, verdict in self.rows
        ]
        return "\n".join(["Your predictions:", *(lines or ["none in this lesson"])])

    def _repr_html_(self) -> str:
        head = ("your predictions", "you", "measured", "")
        return html_table(head, self.rows, '<td style="text-align: left">')


def review() -> Review:
    """Every guess of this lesson beside its truth, in the order of the lesson."""
    return Review(
        [(p.name, p.told(p.guess), p.told(p.truth), p.verdict) for p in _made.values()]
    )
