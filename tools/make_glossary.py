"""Write GLOSSARY.md: the symbols and the words of all lessons.

    make glossary           writes the page

Symbols come from the tables of the lessons, words from lessons/words.toml and from the table
of words in lesson 03. A test compares the page with the lessons. A symbol that returns with
another meaning says so in its row: "(in lesson 02 a temperature)"; one that returns with the
same meaning says "as in lesson 03" and is listed once.
"""

import re
import tomllib
from dataclasses import dataclass

from builder import LESSONS, ROOT, course

TARGET = ROOT / "GLOSSARY.md"
TABLE = "# | Symbol | Meaning | Shape | Name in code |"
WORDS = "# | Word | Symbol | Meaning |"
SAME = re.compile(r"\bas in lesson [A-Z\d]\d\b|\bas before\b")
ELSEWHERE = re.compile(r"\s*\(in lesson [A-Z\d]\d [^()]*\)")  # the page has both rows
GREEK = (
    "alpha beta gamma delta varepsilon zeta eta theta kappa lambda mu nu xi pi rho sigma "
    "tau phi chi psi omega"
).split()
HEAD = """# Symbols and words

All symbols of the lessons' tables, and the words that the lessons put in bold where they
define them. Latin letters come first, then Greek ones. Letters are few: a symbol with
several rows means what the row of your lesson says, else what lesson 00 says, else the
nearest lesson before. Shapes use $B$ images in a batch, $D$ pixels of an image, $Z$ latent
dimensions and $S$ samples everywhere.

This page is written by `make glossary`; edit the tables of `lessons/` or `lessons/words.toml`.
"""


@dataclass(frozen=True)
class Row:
    """A symbol in the table of a lesson."""

    lesson: str
    cell: str  # what stands in the first column, perhaps with other symbols
    symbol: str  # without the dollars
    meaning: str
    code: str

    @property
    def again(self) -> bool:
        """It has the meaning of an earlier row."""
        return bool(SAME.search(self.meaning))


def rows_below(head: str, source: str) -> list[list[str]]:
    """The cells of all tables of a lesson that have this head."""
    found = []
    for part in source.split(head + "\n")[1:]:
        for line in part.splitlines()[1:]:
            if not line.startswith("# |"):
                break
            cells = re.split(r"(?<!\\)\|", line.removeprefix("# |").rstrip("| "))
            found.append([cell.strip() for cell in cells] + [""] * (4 - len(cells)))
    return found


def symbols_of(cell: str) -> list[str]:
    r"""The symbols of a first column: "$\mu, \sigma$" and "$m$, $s$" have two."""
    formulas = re.findall(r"\$([^$]+)\$", cell)
    # A comma inside brackets belongs to its symbol.
    pieces = [re.split(r",\s*(?![^({]*[)}])", formula) for formula in formulas]
    return [piece.strip() for piece in sum(pieces, [])]


def symbol_rows(lesson: str, source: str) -> list[Row]:
    """The rows of a lesson's tables, one for each symbol."""
    return [
        Row(lesson, cell, symbol, meaning, code)
        for cell, meaning, _, code in rows_below(TABLE, source)
        for symbol in symbols_of(cell)
    ]


def key(symbol: str) -> str:
    r"""What two symbols have in common that a reader may confuse.

    Arguments and running indices do not count: $m(x)$ is $m$, $w_s$ is $w$. Densities
    differ by their arguments, and $\sigma_x$ is not $\sigma$.
    """
    if re.match(r"[pq](_|\()", symbol):
        return symbol
    bare = re.sub(r"(?<=[\w}])(\(.*\)|\[.*\])$", "", symbol)
    return re.sub(r"_([a-wyz])$", "", bare)


def order(row: Row) -> tuple:
    """Latin letters, then Greek ones; then by lesson."""
    name = re.sub(r"\\(mathrm|mathcal|mathbb|hat|log)\b", "", row.symbol)
    greek = re.match(r"\W*([A-Za-z]+)", name)[1].lower() if "\\" in name else ""
    place = GREEK.index(greek) if greek in GREEK else -1
    letter = re.sub(r"\W", "", name)
    return (
        place,
        letter[:1].lower(),
        letter[:1].islower(),
        key(row.symbol),
        row.lesson,
    )


def clashes(rows: list[Row]) -> list[str]:
    """Rows whose symbol had another meaning in an earlier lesson and that do not say so."""
    found: list[str] = []
    last: dict[str, Row] = {}
    for row in rows:
        before = last.get(key(row.symbol))
        named = re.findall(r"\blessons? ([A-Z\d]\d)", row.meaning)
        if before and before.lesson != row.lesson and not row.again:
            if before.lesson not in named:
                found.append(
                    f"{row.symbol} in lesson {row.lesson} is {row.meaning!r}; say what it "
                    f"was in lesson {before.lesson}: {before.meaning!r}"
                )
        if row.again and not before:
            found.append(f"{row.symbol} in lesson {row.lesson}: no row before this one")
        if not row.again:
            last[key(row.symbol)] = row
    return found


def lessons() -> dict[str, tuple[str, str]]:
    """Number -> stem and source."""
    stems = [lesson["stem"] for lesson in course()["lesson"]]
    paths = {stem: LESSONS / f"{stem}.py" for stem in stems}
    return {s[:2]: (s, p.read_text(encoding="utf-8")) for s, p in paths.items()}


def all_rows() -> list[Row]:
    """The symbols of all lessons, in the order of the course."""
    return sum((symbol_rows(n, text) for n, (_, text) in lessons().items()), [])


def all_words() -> list[tuple[str, str, str]]:
    """(word, one line, lesson) of every word, by the alphabet."""
    listed = tomllib.loads((LESSONS / "words.toml").read_text(encoding="utf-8"))
    found = [(w, said, n) for n, words in listed.items() for w, said in words.items()]
    for number, (_, source) in lessons().items():
        for word, symbol, meaning, _ in rows_below(WORDS, source):
            found.append((word, f"{symbol}: {meaning}", number))
    return sorted(found, key=lambda entry: (entry[0].lower(), entry[2]))


def page() -> str:
    """The text of GLOSSARY.md."""
    links = {n: f"[{n}](notebooks/{stem}.ipynb)" for n, (stem, _) in lessons().items()}
    lines = [HEAD, "## Symbols", "", "| Symbol | Meaning | Lesson | Name in code |"]
    lines.append("|---|---|---|---|")
    for row in sorted(all_rows(), key=order):
        if not row.again:
            shown = f"${row.symbol}$"
            if len(symbols_of(row.cell)) > 1:
                shown += f" (of {row.cell})"
            meaning = ELSEWHERE.sub("", row.meaning).replace("*", "")
            cells = (shown, meaning, links[row.lesson], row.code)
            lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    lines += ["", "## Words", "", "| Word | In one line | Lesson |", "|---|---|---|"]
    lines += [f"| {word} | {said} | {links[n]} |" for word, said, n in all_words()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    text = page()
    TARGET.write_text(text, encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(text.splitlines())} lines")
