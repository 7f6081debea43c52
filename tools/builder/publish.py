"""What may be published: clean outputs, figures in files, minutes in the texts."""

import base64
import html
import io
import json
import re
from itertools import pairwise

from nbformat import NotebookNode
from PIL import Image

from builder import guides
from builder.notebook import LESSONS, ROOT, course, is_appendix, links
from vae_helpers.pictures import of_few_colours

COLOURS = 32  # of a published figure
SIZE_LIMIT = 900 * 1024  # of a notebook without its films
WITH_FILMS = 1300 * 1024  # and with them
CAPTION = re.compile(r"\*\*(Figure [\dA-Z]+\.\d+\. .+?)\*\*", re.DOTALL)
WIDGET = "application/vnd.jupyter.widget-view+json"
COLAB_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
BINDER_BADGE = "https://mybinder.org/badge_logo.svg"


def smaller(png: str, colours: int) -> str:
    """Base64 PNG -> the same picture with a palette of few colours, if that is smaller.

    It is for viewers that show no HTML, such as GitHub's.
    """
    buffer = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    if picture.mode == "P" and len(picture.getcolors()) <= colours:
        return png  # done before: a second time would change it again
    picture = of_few_colours(picture.convert("RGB"), colours)
    picture.save(buffer, format="png", optimize=True)
    return min(base64.b64encode(buffer.getvalue()).decode(), png, key=len)


INLINE = re.compile(r"data:image/webp;base64,([^\"]+)")


def lighter(page: str, colours: int) -> str:
    """HTML with its figures packed closer: few colours without loss, or many with a little."""

    def pack(found: re.Match) -> str:
        data = base64.b64decode(found[1])
        with Image.open(io.BytesIO(data)) as picture:
            done = data[12:16] == b"VP8 " or picture.convert("RGB").getcolors(colours)
            if done or getattr(picture, "n_frames", 1) > 1:
                return found[0]  # a second time would change it again
            whole = picture.convert("RGB")
        few = of_few_colours(whole, colours).convert("RGB")
        files = [
            _webp(few, lossless=True, quality=100),
            _webp(whole, quality=75),
            data,
        ]
        return (
            f"data:image/webp;base64,{base64.b64encode(min(files, key=len)).decode()}"
        )

    return INLINE.sub(pack, page)


def _webp(picture: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", method=6, **options)
    return buffer.getvalue()


def clean(book: NotebookNode) -> None:
    """Take out of the outputs what only a running kernel can use, and timestamps."""
    book.metadata.pop("widgets", None)
    book.metadata.pop("language_info", None)
    add_captions(book)
    for cell in book.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if WIDGET not in o.get("data", {})]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = smaller(
                        output.data["image/png"], COLOURS - 8
                    )
                if "image/webp" in output.get("data", {}).get("text/html", ""):
                    output.data["text/html"] = lighter(
                        output.data["text/html"], COLOURS
                    )
    pictures = [o.data for c in book.cells for o in c.get("outputs", []) if "data" in o]
    for colours in (3 * COLOURS // 4, COLOURS // 2):
        if len(json.dumps(book)) - films_size(book) < 0.95 * SIZE_LIMIT:
            break
        for data in pictures:  # a notebook full of noise, which packs badly
            if "image/png" in data:
                data["image/png"] = smaller(data["image/png"], colours * 2 // 3)
                data["text/html"] = lighter(data.get("text/html", ""), colours)


def add_captions(book: NotebookNode) -> None:
    """Begin the alternative text of a figure with its conclusion.

    That is the bold sentence of its caption, which stands in the cell below the figure:
    "**Figure 4.3. The gain is largest at the start.** Both curves ...".
    """
    for cell, below in pairwise(book.cells):
        found = CAPTION.match(below.source)
        for output in cell.get("outputs", []) if found else []:
            about = output.get("metadata", {}).get("image/png", {})
            if "alt" in about:
                old = about["alt"]
                words = old[old.index("Figure. ") :] if "Figure. " in old else old
                about["alt"] = f"{_plain(found[1])} {words}"
                page = output.data.get("text/html", "")
                new = f'alt="{html.escape(about["alt"])}"'
                output.data["text/html"] = page.replace(
                    f'alt="{html.escape(old)}"', new
                )


def films_size(book: NotebookNode) -> int:
    """Bytes of a notebook that are films, each with its still."""
    outputs = [o for c in book.cells for o in c.get("outputs", []) if "data" in o]
    films = [o for o in outputs if "<picture>" in o.data.get("text/html", "")]
    return sum(len(json.dumps(film)) for film in films)


def too_large(book: NotebookNode, size: int) -> str:
    """A complaint about a notebook's file of `size` bytes, or nothing."""
    rest = size - films_size(book)
    for what, came, limit in (
        ("without its films", rest, SIZE_LIMIT),
        ("with its films", size, WITH_FILMS),
    ):
        if came > limit:
            return f"has {came // 1024} KB {what}, over {limit // 1024} KB"
    return ""


def _plain(text: str) -> str:
    """Markdown of a caption in one line, without its marks."""
    return " ".join(re.sub(r"[*`$\\\\]", "", text).split())


def complaints(book: NotebookNode) -> list[str]:
    """What must not stand in a published notebook: warnings, paths, missed bands."""
    found = []
    for cell in book.cells:
        for output in cell.get("outputs", []):
            text = json.dumps(output.get("data", output.get("text", "")))
            about = output.get("metadata", {}).get("image/png", {}).get("alt", "")
            if "image/png" in output.get("data", {}) and len(about) < 10:
                found.append(f"a figure without words, after: {cell.source[:200]}")
            if output.output_type == "stream" and output.name == "stderr":
                found.append(f"something on stderr: {output.text.strip()[:200]}")
            if str(ROOT) in text or re.search(r"/(home|Users|root|tmp)/\w", text):
                found.append(f"a path of this machine: {text[:200]}")
            if "outside the band" in text:
                found.append(f"a number outside its band: {text[:300]}")
    return found


def save_figures(book: NotebookNode) -> None:
    """Write what a cell tagged "figure:NAME" shows to figures/NAME.png.

    A film goes to figures/NAME.webp, as it is, and its still to NAME.png.
    """
    for cell in book.cells:
        for tag in cell.metadata.get("tags", []):
            if tag.startswith("figure:"):
                pages = [o.data["text/html"] for o in cell.outputs if "data" in o]
                path = ROOT / "figures" / f"{tag.removeprefix('figure:')}.png"
                path.parent.mkdir(exist_ok=True)
                data = base64.b64decode(INLINE.search(pages[0])[1])
                if "<picture>" in pages[0]:
                    path.with_suffix(".webp").write_bytes(data)
                    still = re.search(r"data:image/png;base64,([^\"]+)", pages[0])[1]
                    path.write_bytes(base64.b64decode(still))
                    continue
                with Image.open(io.BytesIO(data)) as picture:
                    few = of_few_colours(picture.convert("RGB"), 64)
                few.save(path, optimize=True)


def readme_table(table: dict) -> str:
    """The README's table of lessons, with the measured minutes."""
    rows = [
        "| Lesson | The question | Read | Run | Exercises | Open |",
        "|---|---|---|---|---|---|",
    ]
    for lesson in table["lesson"]:
        stem = lesson["stem"]
        address = links(table, f"notebooks/{stem}.ipynb")
        text = (LESSONS / f"{stem}.py").read_text(encoding="utf-8")
        count = len(re.findall(r"^# #+ Exercise", text, re.MULTILINE))
        seconds = table["timings"].get(stem, {}).get("total", 0)
        run = f"{max(1, round(seconds / 60))} min" if seconds > 50 else f"{seconds} s"
        where = "Appendix: " if is_appendix(lesson) else ""
        badges = (
            f"[![Open in Colab]({COLAB_BADGE})]({address['colab']}) "
            f"[![Open in Binder]({BINDER_BADGE})]({address['binder']})"
        )
        rows.append(
            f"| [{stem[:2]}](notebooks/{stem}.ipynb) | {where}{lesson['question']} | "
            f"{lesson['read']} min | {run} | {count} ({lesson['exercise_minutes']} min) | "
            f"{badges} |"
        )
    return "\n".join(rows)


def readme_minutes(table: dict) -> str:
    """The README's sentence on the minutes of a lesson, for teachers."""
    lessons = [lesson for lesson in table["lesson"] if not is_appendix(lesson)]
    first, *others = (x["read"] + x["exercise_minutes"] for x in lessons)
    return (
        f"Lesson 00 takes {first} minutes, the others {min(others)} to {max(others)},"
    )


def in_readme(text: str, table: dict) -> str:
    """The README with the table of lessons between its two marks, and its minutes."""
    text = re.sub(
        r"(<!-- lessons -->\n).*?(<!-- /lessons -->)",
        lambda match: f"{match[1]}{readme_table(table)}\n{match[2]}",
        text,
        flags=re.DOTALL,
    )
    sentence = r"Lesson 00 takes \d+ minutes, the others \d+ to \d+,"
    return re.sub(sentence, readme_minutes(table), text)


def in_guide(text: str, lesson: dict) -> str:
    """A guide for instructors with the minutes and the plans of its lesson."""
    text = re.sub(r"\bReading \d+ min", f"Reading {lesson['read']} min", text)
    exercises = rf"\g<1>{lesson['exercise_minutes']}"
    text = re.sub(r"(minutes,\s(?:core\s)?exercises?\s)\d+", exercises, text)
    return guides.in_guide(text, lesson["stem"])


def update_texts(table: dict) -> None:
    """Put table and minutes into the README, minutes and plans into the guides."""
    pages = [(ROOT / "README.md", lambda text: in_readme(text, table))]
    for lesson in table["lesson"]:
        path = ROOT / "instructor" / f"lesson_{lesson['stem'][:2]}.md"
        pages.append((path, lambda text, lesson=lesson: in_guide(text, lesson)))
    for path, change in pages:
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if (new := change(old)) != old:
            path.write_text(new, encoding="utf-8")


if __name__ == "__main__":  # make guides
    update_texts(course())
