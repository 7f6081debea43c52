"""A lesson as what a slide can show of it: found by heading and name, or refused by name."""

import ast
import base64
import html
import io
import re
from dataclasses import dataclass, field
from functools import cached_property

import builder
import nbformat
from PIL import Image

from vae_helpers import claims, drawings
from vae_helpers.expected import measured

HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
FOLDED = re.compile(r"<details>.*?</details>", re.DOTALL)
DISPLAY = re.compile(r"\$\$(.+?)\$\$", re.DOTALL)
IMAGE = re.compile(r'<img [^>]*?src="(data:image/[^"]+)"[^>]*>')
LABEL = re.compile(r"^\*((?:core|bonus|extension|open)[^*\n]*)\*$", re.MULTILINE)


class Missing(ValueError):
    """A plan names something that the lesson does not have."""


@dataclass(frozen=True)
class Picture:
    """An image that fits into a file: its data address, its words, width over height."""

    address: str
    words: str
    aspect: float


@dataclass(frozen=True)
class Part:
    """Text below one heading, or a code cell with what the built notebook shows below it."""

    path: tuple[str, ...]  # its headings, from the outside
    text: str
    is_code: bool = False
    tags: tuple[str, ...] = ()
    outputs: list = field(default_factory=list)

    @property
    def printed(self) -> str:
        """What the cell printed."""
        return "".join(o.text for o in self.outputs if o.output_type == "stream")


def plain(heading: str) -> str:
    """A heading without the marks of code and formulas, for comparing."""
    return re.sub(r"[`$*\\]", "", heading).strip()


def _one(found: list, what: str, have: list[str]):
    """The only thing found; else an error that says what there is."""
    if len(found) == 1:
        return found[0]
    problem = f"has no {what}" if not found else f"has {len(found)} times {what}"
    there = "; ".join(dict.fromkeys(have)) or "none"
    raise Missing(f"{problem}; there: {there}")


class Lesson:
    """The source of a lesson with the outputs of its built notebook.

    Args:
        number: such as "03".

    Raises:
        Missing: the course has no lesson of this number.
    """

    def __init__(self, number: str):
        table = builder.course()
        chosen = builder.chosen(table, [number])
        if not chosen:
            stems = ", ".join(lesson["stem"] for lesson in table["lesson"])
            raise Missing(f"the course has no lesson {number!r}; there are {stems}")
        self.number, self.stem = number, chosen[0]["stem"]
        self.question = chosen[0]["question"]
        book = builder.make_notebook(chosen[0], table, solved=False)
        built = nbformat.read(builder.target(chosen[0], False), as_version=4)
        outputs = {cell.id: cell.get("outputs", []) for cell in built.cells}
        self.parts: list[Part] = []
        path: list[str] = []
        for cell in book.cells:
            tags = tuple(cell.metadata.get("tags", []))
            if cell.cell_type == "code":
                shown = outputs.get(cell.id, [])
                self.parts.append(Part(tuple(path), cell.source, True, tags, shown))
                continue
            at = [m.start() for m in HEADING.finditer(FOLDED.sub(_blank, cell.source))]
            for start, end in zip([0, *at], [*at, len(cell.source)], strict=True):
                text = cell.source[start:end].strip()
                if found := HEADING.match(text):
                    path = [*path[: len(found[1]) - 1], found[2]]
                    while len(path) < len(found[1]):  # a level was left out
                        path.insert(-1, "")
                if text:
                    self.parts.append(Part(tuple(path), text))

    @property
    def title(self) -> str:
        """Its first heading, without the number: "The ELBO: what are we maximising"."""
        return self.parts[0].path[0].split("·", 1)[1].strip()

    @property
    def promise(self) -> str:
        """The sentence below the title."""
        paragraphs = self.parts[0].text.split("\n\n")
        start = next(i for i, p in enumerate(paragraphs) if p.startswith("**You need:"))
        return paragraphs[start + 1]

    @property
    def goals(self) -> list[str]:
        """What learners will be able to do."""
        after = self.parts[0].text.split("**You will be able to**", 1)
        items = re.match(r"\s*((?:- .+\n|  .+\n)+)", after[-1] + "\n")
        found = re.findall(r"^- ((?:.+\n(?:  .+\n)*))", items[1] if items else "", re.M)
        return [" ".join(item.split()).rstrip(";.") for item in found]

    @cached_property
    def headings(self) -> list[str]:
        """All headings, in their order."""
        return list(dict.fromkeys(p.path[-1] for p in self.parts if p.path))

    def under(self, heading: str) -> list[Part]:
        """Everything below a heading, with its subheadings."""
        known = {plain(h): h for h in self.headings}
        if plain(heading) not in known:
            _one([], f"heading {heading!r}", self.headings)
        return [p for p in self.parts if known[plain(heading)] in p.path]

    # What a slide shows --------------------------------------------------------------

    def figure(self, heading: str, words: str) -> Picture:
        """The figure whose alternative text or code has these words."""
        have, found = [], []
        for part in self.under(heading):
            for output in part.outputs if part.is_code else []:
                page = output.get("data", {}).get("text/html", "")
                image = IMAGE.search(page)
                if image is None or "drawings.show(" in part.text:
                    continue
                alt = _alt(page)
                have.append(alt[:90])
                if words in alt or words in part.text:
                    found.append(Picture(image[1], alt, _aspect(image[1])))
            drawn = "plt.show" in part.text or "show_images" in part.text
            if part.is_code and drawn and words in part.text and not part.outputs:
                found.append(None)
        if found == [None]:
            raise Missing(f"has a figure {words!r} that is not built; run `make build`")
        return _one(found, f"figure with {words!r} under {heading!r}", have)

    def drawing(self, heading: str, name: str, mark: str | None = None) -> Picture:
        """A drawing that the lesson shows, without its title: the slide has one."""
        pattern = re.compile(r'drawings\.show\("(\w+)"')
        code = [p.text for p in self.under(heading) if p.is_code]
        have = [found for text in code for found in pattern.findall(text)]
        found = [n for n in dict.fromkeys(have) if n == name]
        _one(found, f"drawing {name!r} under {heading!r}", have)
        return picture_of(name, mark)

    def formula(self, heading: str, piece: str) -> str:
        """The TeX of the displayed formula that contains this piece."""
        texts = [p.text for p in self.under(heading) if not p.is_code]
        have = [" ".join(tex.split()) for t in texts for tex in DISPLAY.findall(t)]
        return _one(
            [tex for tex in have if piece in tex],
            f"formula with {piece!r} under {heading!r}",
            [tex[:70] for tex in have],
        )

    def table(self, heading: str, piece: str) -> str:
        """The Markdown of the table that contains these words."""
        texts = [p.text for p in self.under(heading) if not p.is_code]
        have = [m for t in texts for m in re.findall(r"(?:^\|.+\|$\n?)+", t, re.M)]
        return _one(
            [table for table in have if piece in table],
            f"table with {piece!r} under {heading!r}",
            [table.splitlines()[0] for table in have],
        )

    def output(self, heading: str, piece: str) -> str:
        """What the cell printed whose output contains these words."""
        have = [p.printed.rstrip() for p in self.under(heading) if p.printed.strip()]
        return _one(
            [text for text in have if piece in text],
            f"printed output with {piece!r} under {heading!r}",
            [text.splitlines()[0] for text in have],
        )

    def code(self, heading: str, name: str) -> str:
        """The function of this name, as the lesson defines it (exercises as stubs)."""
        have, found = [], []
        for part in self.under(heading):
            for node in ast.parse(part.text).body if part.is_code else []:
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    have.append(node.name)
                    if node.name == name:
                        lines = part.text.splitlines()
                        found.append(
                            "\n".join(lines[node.lineno - 1 : node.end_lineno])
                        )
        return _one(found, f"function {name!r} under {heading!r}", have)

    def predict(self, heading: str, name: str) -> tuple[str, str]:
        """A question and what was measured ("" without a `predict.guess`).

        The name is that of the `predict.guess`, or words of a paragraph with **Predict**.
        """
        last, have, found = "", [], []
        for part in self.under(heading):
            if part.is_code:
                for asked in re.findall(r'predict\.guess\(\s*"([^"]+)"', part.text):
                    have.append(asked)
                    if asked == name:
                        found.append((last, self.measured(name)))
                continue
            for paragraph in FOLDED.sub("", part.text).split("\n\n"):
                paragraph = " ".join(paragraph.split())
                if "**Predict" in paragraph:
                    last = paragraph[paragraph.index("**Predict") :]
                    last = re.sub(r"^\*\*Predict\.?\*\*[:.]?\s*", "", last)
                    last = last[:1].upper() + last[1:]
                    have.append(f"({last[:60]} ...)")
                    if name.lower() in last.lower() and not self._guesses(name):
                        found.append((last, ""))
        return _one(found, f"prediction {name!r} under {heading!r}", have)

    def _guesses(self, name: str) -> bool:
        return any(f'predict.guess("{name}"' in p.text for p in self.parts if p.is_code)

    def measured(self, name: str) -> str:
        """The measured value of a prediction, such as "11.3 %"."""
        have, found = [], []
        for part in self.parts:
            for output in part.outputs if "predict.truth(" in part.text else []:
                text = output.get("data", {}).get("text/plain", "")
                if match := re.fullmatch(
                    r"(.+): it is (.+); you made no guess\.", text
                ):
                    have.append(match[1])
                    found += [match[2]] if match[1] == name else []
        return _one(found, f"measured prediction {name!r}", have)

    def claim(self, piece: str) -> tuple[str, str]:
        """The claim that contains these words, and in how many recorded runs it held."""
        have = []
        for part in self.parts:
            for output in part.outputs if "claims.show(" in part.text else []:
                memory = output.get("metadata", {}).get("vae_course", {})
                have += [sentence for sentence, _ in memory.get("claims", [])]
        have = list(dict.fromkeys(have))
        sentence = _one([s for s in have if piece in s], f"claim with {piece!r}", have)
        told = claims.review((self.number, sentence)).rows[0][2]
        return sentence, re.sub(r"^held in \d+ of \d+", r"\g<0> recorded runs", told)

    def band(self, name: str) -> str:
        """Smallest and largest recorded value of a number of an Expected panel."""
        values = measured(self.number, name, "full")
        if not values:
            raise Missing(f"has no recorded number {name!r}")
        return f"{min(values):.4g} to {max(values):.4g}"

    def found(self, heading: str, pattern: str) -> str:
        """The first group of a regular expression in what the section, or the lesson, printed."""
        for parts in (self.under(heading), self.parts):
            if match := re.search(pattern, "".join(p.printed for p in parts)):
                return match[1]
        raise Missing(f"printed nothing like {pattern!r}")

    def exercise(self, number: str) -> tuple[str, str, str, str]:
        """Title, label, text of the task, and the stub of an exercise such as "03.1"."""
        have = [h for h in self.headings if h.startswith("Exercise ")]
        heading = _one(
            [h for h in have if h.startswith(f"Exercise {number} ")],
            f"exercise {number!r}",
            have,
        )
        parts = self.under(heading)
        text = FOLDED.sub("", parts[0].text).split("\n", 1)[1]
        label = LABEL.search(text)
        stub = next((p.text for p in parts if "exercise" in p.tags), "")
        stub = re.sub(r"\n *(# YOUR CODE HERE|raise NotImplementedError)", "", stub)
        task = text[label.end() :] if label else text
        return heading, label[1] if label else "", task.strip(), stub.strip()

    def check(self, place: int) -> tuple[str, str]:
        """Question and answer of a number in "Check yourself"."""
        text = "\n".join(p.text for p in self.under("Check yourself") if not p.is_code)
        folded = FOLDED.search(text)
        questions = _numbered(FOLDED.sub("", text))
        answers = _numbered(folded[0] if folded else "")
        if place not in questions or place not in answers:
            have = ", ".join(map(str, questions))
            raise Missing(f"has no question {place} in 'Check yourself'; there: {have}")
        return questions[place], answers[place]

    def contents(self) -> str:
        """What a plan may name, heading by heading."""
        lines = []
        for part in self.parts:
            if not part.is_code and (found := HEADING.match(part.text)):
                lines.append(f"{found[1]} {found[2]}")
            if not part.is_code:
                lines += [
                    f"    formula   {' '.join(t.split())}"
                    for t in DISPLAY.findall(part.text)
                ]
                lines += [
                    f"    table     {t}"
                    for t in re.findall(r"(?m)^(\|.+)\n\|[-|: ]+$", part.text)
                ]
                lines += [
                    f"    predict   {p[:100]}"
                    for p in re.findall(r"\*\*Predict[^\n]*", part.text)
                ]
                continue
            for kind, pattern in (
                ("drawing", r'drawings\.show\("(\w+)"'),
                ("guess", r'predict\.guess\(\s*"([^"]+)"'),
                ("function", r"(?m)^(?:def|class) (\w+)"),
            ):
                lines += [f"    {kind:9} {n}" for n in re.findall(pattern, part.text)]
            for output in part.outputs:
                page = output.get("data", {}).get("text/html", "")
                if IMAGE.search(page) and "drawings.show(" not in part.text:
                    lines.append(f"    figure    {_alt(page)}")
                memory = output.get("metadata", {}).get("vae_course", {})
                lines += [f"    claim     {s}" for s, _ in memory.get("claims", [])]
                lines += [f"    number    {s}" for s, _ in memory.get("numbers", [])]
            if part.printed.strip():
                lines += [
                    f"    | {line}" for line in part.printed.rstrip().splitlines()
                ]
        return "\n".join(lines)


def _blank(match: re.Match) -> str:
    """Folded text without its signs, at the same length: a heading in it is none."""
    return match[0].replace("#", " ")


def _numbered(text: str) -> dict[int, str]:
    items = re.findall(
        r"^(\d+)\. ((?:.+\n?)(?:^ +.+\n?|^\n(?= ))*)", text, re.MULTILINE
    )
    return {int(n): " ".join(item.split()) for n, item in items}


def _alt(page: str) -> str:
    """The words of the image of an output."""
    return html.unescape(re.search(r'alt="([^"]*)"', page)[1])


def _aspect(address: str) -> float:
    data = base64.b64decode(address.split(",", 1)[1])
    with Image.open(io.BytesIO(data)) as picture:
        return picture.width / picture.height


def picture_of(name: str, mark: str | None = None) -> Picture:
    """A drawing of the course as a picture, without the title at its top."""
    from slides.holes import as_picture

    if name not in drawings.names():
        _one([], f"drawing {name!r} in the course's family", drawings.names())
    try:
        return as_picture(drawings.svg(name, mark), drawings.show(name, mark).words)
    except ValueError as error:  # no such part
        raise Missing(f"cannot show a part: {error}") from None
