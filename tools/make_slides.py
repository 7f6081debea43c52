"""Slides and a sheet for each lesson, from the lesson itself: `make slides LESSON=03`.

    python tools/make_slides.py [03 ...] [--to FOLDER] [--list]

Writes NN.html (slides, with the speaker's notes), NN_sheet.html (one page to fill in) and
NN_sheet_answers.html into build/slides. Which figure, drawing, formula or question stands on
which slide is in instructor/slides/NN.toml. The files need no network; to make them, MathJax is
fetched from the npm registry, once, and run by Node.
"""

import argparse
import sys
from pathlib import Path

import builder
from slides import pages, plan
from slides.source import Lesson, Missing


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("lesson", nargs="*", help="numbers such as 03; all without one")
    parser.add_argument("--to", type=Path, default=builder.ROOT / "build" / "slides")
    parser.add_argument(
        "--list", action="store_true", help="show what a plan of the lesson may name"
    )
    chosen = parser.parse_args(arguments)
    every = [lesson["stem"][:2] for lesson in builder.course()["lesson"]]
    try:
        for number in chosen.lesson or every:
            if chosen.list:
                print(Lesson(number).contents())
                continue
            made = plan.read(number)
            written = pages.write(made, chosen.to)
            print(f"{written[0]}: {len(made.slides)} slides, {made.minutes:g} minutes")
    except Missing as error:
        print(f"slides: {error}", file=sys.stderr)
        return 1
    except RuntimeError as error:  # no npm, no registry, or TeX that cannot be read
        print(f"slides: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
