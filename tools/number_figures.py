"""Number a lesson's figures in their order, after one came or went.

    python tools/number_figures.py 04

A new caption begins "**Figure 4.new. ...". Where the prose of the lesson names a figure,
its number follows.
"""

import re
import sys

from builder import LESSONS

MENTION = re.compile(
    r"[Ff]igures?\s(?:#\s)?[\dA-Z]+\.\w+(?:(?:,| and)\s(?:#\s)?[\dA-Z]+\.\w+)*"
)


def numbered(text: str, lesson: str) -> str:
    """A lesson's source with figures 1, 2, 3, ... in the order of their captions.

    Args:
        text: the source, in the percent format.
        lesson: as figures write it: "4" for lesson 04, "A1" for the appendix.

    Raises:
        ValueError: two captions have the same number, so a mention of it says nothing.
    """
    found = re.findall(rf"\*\*Figure {lesson}\.(\w+)\. ", text)
    olds = [old for old in found if old != "new"]
    if len(set(olds)) < len(olds):
        twice = sorted({old for old in olds if olds.count(old) > 1})
        raise ValueError(f"figures of lesson {lesson} twice: {', '.join(twice)}")
    places = iter(range(1, len(found) + 1))
    text = re.sub(
        rf"\*\*Figure {lesson}\.(\w+)\. ",
        lambda caption: f"**FIGURE {lesson}.{next(places)}. ",
        text,
    )
    new = {old: place for place, old in enumerate(found, 1)}
    number = re.compile(rf"\b{lesson}\.(\w+)")
    follow = lambda one: f"{lesson}.{new.get(one[1], one[1])}"  # noqa: E731
    text = MENTION.sub(lambda mention: number.sub(follow, mention[0]), text)
    return text.replace("**FIGURE ", "**Figure ")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        (path,) = LESSONS.glob(f"{name}_*.py")
        old = path.read_text(encoding="utf-8")
        path.write_text(numbered(old, name.removeprefix("0")), encoding="utf-8")
