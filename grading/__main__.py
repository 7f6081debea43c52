"""python -m grading assignment LESSON | grade SUBMISSIONS | lms TABLE; --help tells more."""

import importlib
import sys

USAGE = """\
python -m grading assignment LESSON    make an assignment of a lesson
python -m grading grade SUBMISSIONS    grade a folder of submissions
python -m grading lms TABLE            marks and feedback for Moodle or Canvas

Each of them explains itself with --help."""


def main(arguments: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):  # names of people in any code page
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    command, *rest = arguments or [""]
    if command not in ("assignment", "grade", "lms"):
        print(USAGE)
        return 0 if command in ("-h", "--help") else 2
    try:
        program = importlib.import_module(f"grading.{command}")
    except ModuleNotFoundError as error:
        print(
            f"{error.name} is missing here. `make assignment` and `make grade` use an "
            "environment that has it; elsewhere: pip install -e '.[grade]'",
            file=sys.stderr,
        )
        return 2
    return program.main(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
