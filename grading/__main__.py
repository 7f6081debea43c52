"""python -m grading assignment LESSON ... | grade SUBMISSIONS ...; --help tells more."""

import sys

USAGE = """\
python -m grading assignment LESSON    make an assignment of a lesson
python -m grading grade SUBMISSIONS    grade a folder of submissions

Each of them explains itself with --help."""


def main(arguments: list[str]) -> int:
    for stream in (sys.stdout, sys.stderr):  # names of people in any code page
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    command, *rest = arguments or [""]
    if command == "assignment":
        from grading import assignment as program
    elif command == "grade":
        from grading import grade as program
    else:
        print(USAGE)
        return 0 if command in ("-h", "--help") else 2
    return program.main(rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
