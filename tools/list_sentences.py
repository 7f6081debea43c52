"""List the sentences of the lessons that compare, rank or generalise.

    make sentences          writes lessons/sentences.txt, one sentence a line

Such a sentence is a claim (`claims.show`), a proved statement with its condition, or says
what was seen and no more. A test compares the file with the lessons, so that whoever
reviews a change reads each new one.
"""

import re
import sys

from builder import ROOT, course, make_notebook

TARGET = ROOT / "lessons" / "sentences.txt"
WORDS = re.compile(
    r"\b(better|worse|best|worst|beats?|wins?|winner|loses?|never|always|usually|often|"
    r"mostly|most|rarely|needs?|helps?|fails?|(more|less|fewer|\w+er) than)\b",
    re.IGNORECASE,
)


def sentences(markdown: str) -> list[str]:
    """The comparing sentences of a cell, without tables, hints, formulas and marks."""
    text = re.sub(r"\$\$.*?\$\$|<[^>]+>", " ", markdown, flags=re.DOTALL)
    lines = [
        li for li in text.splitlines() if not re.match(r"\s*(\||#|\*\*Sources)", li)
    ]
    text = re.sub(r"^\s*(- |\d+\. )", " ¶ ", "\n".join(lines), flags=re.MULTILINE)
    pieces = re.split(r"(?<=[.?!:])\s+|\n\s*\n|¶", text)
    clean = [" ".join(piece.replace("*", "").split()) for piece in pieces]
    return [piece for piece in clean if WORDS.search(piece) and not piece.endswith("?")]


def listing() -> str:
    """The file's text."""
    table, lines = course(), []
    for lesson in table["lesson"]:
        book = make_notebook(lesson, table, solved=True)
        for cell in book.cells[1:-1]:
            if cell.cell_type == "markdown" and not cell.id.startswith("time-"):
                body = cell.source.split("**Sources.**")[0]
                lines += [f"{lesson['stem'][:2]} {found}" for found in sentences(body)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(listing(), encoding="utf-8")
    sys.exit(
        print(f"{TARGET.relative_to(ROOT)}: {len(TARGET.read_text().splitlines())}")
    )
