"""Make the files of a new lesson, so that it builds and passes at once.

    make new-lesson NUMBER=08 NAME=representations

writes lessons/08_representations.py, its entry in lessons/course.toml, the checks, the
answers that test them, the instructors' page, values for `make settings` and a line in
CHANGELOG.md, from the templates in tools/new_lesson/. Nothing that exists is overwritten. Then edit the lesson,
and `make build ARGS=08`.
"""

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = Path(__file__).parent / "new_lesson"
ENTRY = """
[[lesson]]
stem = "{stem}"
question = "What is the question of this lesson?"
needs = ["00", "01", "02", "03", "04"]
"""
STEM = re.compile(r'\n\[\[lesson\]\]\nstem = "([^"]+)"')


def new_lesson(number: str, name: str, root: Path = ROOT) -> list[Path]:
    """Write the files of a lesson; -> their paths.

    Args:
        number: two digits that no lesson has yet, or a letter and a digit for an appendix.
        name: of the file, lower-case letters, digits and underscores.
        root: of the repository.

    Raises:
        ValueError: the number or the name is of another form, or the number is taken.
    """
    if not re.fullmatch(r"\d\d|[A-Z]\d", number):
        raise ValueError(
            "need a number of two digits such as 08, or a letter and a digit such as A2 "
            f"for an appendix; got {number!r}"
        )
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(
            f"need a name of lower-case letters, digits and _, got {name!r}"
        )
    taken = sorted(root.glob(f"lessons/{number}_*.py"))
    if taken:
        raise ValueError(f"lesson {number} is there already: {taken[0].name}")
    stem = f"{number}_{name}"
    targets = {
        "lesson.py.txt": root / f"lessons/{stem}.py",
        "check.py.txt": root / f"vae_helpers/checks/lesson{number}.py",
        "answers.py.txt": root / f"tests/answers/lesson{number}.py",
        "guide.md.txt": root / f"instructor/lesson_{number}.md",
    }
    if there := [str(path) for path in targets.values() if path.exists()]:
        raise ValueError(f"is there already and is left alone: {', '.join(there)}")
    title = name.replace("_", " ").capitalize()
    for template, path in targets.items():
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        text = text.replace("@NUMBER@", number).replace("@TITLE@", title)
        text = text.replace("@FIGURE@", number.removeprefix("0"))
        path.write_text(text, encoding="utf-8")
    course = root / "lessons/course.toml"
    text = course.read_text(encoding="utf-8").rstrip() + "\n"
    entry = ENTRY.format(stem=stem)
    # In the order of the numbers, so before the appendices A1, A2, ...
    after = [m for m in STEM.finditer(text) if m[1] > stem]
    at = after[0].start() if after else len(text)
    course.write_text(text[:at] + entry + text[at:], encoding="utf-8")
    # Two values of each setting, with which `make settings` runs the lesson.
    varied = root / "tools/vary_settings.py"
    text = varied.read_text(encoding="utf-8")
    entry = f'VALUES = {{\n    "{number}": {{"SEED": (1, 12345), "COUNT": (1, 100)}},\n'
    varied.write_text(text.replace("VALUES = {\n", entry, 1), encoding="utf-8")
    changes = root / "CHANGELOG.md"
    text = changes.read_text(encoding="utf-8")
    head, sep, rest = text.partition("## Unreleased\n\n")
    line = f"- Lesson {number} ({title}).\n"
    changes.write_text(f"{head}{sep}{line}{rest}" if sep else f"{text}{line}", "utf-8")
    return [*targets.values(), course, varied, changes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("number", nargs="?", default="")
    parser.add_argument("name", nargs="?", default="")
    options = parser.parse_args()
    try:
        paths = new_lesson(options.number, options.name)
    except ValueError as error:
        raise SystemExit(
            f"{error}\nUse: make new-lesson NUMBER=08 NAME=representations"
        ) from None
    print("\n".join(str(path.relative_to(ROOT)) for path in paths))
    print(f"Edit the lesson, then: make build ARGS={options.number}")


if __name__ == "__main__":
    main()
