"""Drawings for slides and sheets: without their title, or with holes to fill in."""

import base64
import re
import xml.etree.ElementTree as ElementTree

from slides.source import Missing, Picture

SVG = "http://www.w3.org/2000/svg"
TITLE = 44  # pixels at the top of a drawing that hold its title
ElementTree.register_namespace("", SVG)


def as_picture(source: str, words: str) -> Picture:
    """An SVG file of the course without its title."""
    root = ElementTree.fromstring(source)
    width, height = float(root.get("width")), float(root.get("height"))
    root.set("viewBox", f"0 {TITLE} {width:g} {height - TITLE:g}")
    root.set("height", f"{height - TITLE:g}")
    for text in root.findall(f"{{{SVG}}}text")[:1]:
        root.remove(text)  # the first line is the title
    data = base64.b64encode(ElementTree.tostring(root)).decode()
    return Picture(f"data:image/svg+xml;base64,{data}", words, width / (height - TITLE))


def texts(source: str) -> list[str]:
    """The words in a drawing, each as one line."""
    root = ElementTree.fromstring(source)
    return [_words(text) for text in root.iter(f"{{{SVG}}}text")]


def _words(text: ElementTree.Element) -> str:
    return re.sub(r"[\u200b\s]+", " ", "".join(text.itertext())).strip()


def with_holes(source: str, holes: list[str]) -> str:
    """A drawing in which these words are numbered boxes; the first is number 1.

    Raises:
        Missing: the drawing has no such words; the message lists what it has.
    """
    root = ElementTree.fromstring(source)
    parents = {child: parent for parent in root.iter() for child in parent}
    for number, hole in enumerate(holes, 1):
        found = [t for t in root.iter(f"{{{SVG}}}text") if _words(t) == hole]
        if not found:
            there = "; ".join(texts(source))
            raise Missing(f"has no words {hole!r}; there: {there}")
        for text in found:
            parent = parents[text]
            place = list(parent).index(text)
            parent.remove(text)
            for shape in reversed(_hole(text, number, len(hole))):
                parent.insert(place, shape)
                parents[shape] = parent
    return ElementTree.tostring(root, encoding="unicode")


def _hole(text: ElementTree.Element, number: int, letters: int) -> list:
    size = float(text.get("font-size"))
    width, height = max(44.0, 0.52 * size * letters + 12), max(18.0, 1.3 * size)
    x, y = float(text.get("x")), float(text.get("y"))
    x -= {"start": 4, "middle": width / 2, "end": width - 4}[text.get("text-anchor")]
    box = ElementTree.Element(f"{{{SVG}}}rect")
    for name, value in (
        ("x", x),
        ("y", y - 0.35 * size - height / 2),
        ("width", width),
        ("height", height),
        ("rx", 3),
    ):
        box.set(name, f"{value:.1f}")
    box.attrib |= {"fill": "white", "stroke": "#666666", "stroke-dasharray": "3 3"}
    label = ElementTree.Element(f"{{{SVG}}}text")
    label.attrib |= {"x": f"{x + 4:.1f}", "y": f"{y - 0.35 * size + 4:.1f}"}
    label.attrib |= {"font-size": "12", "fill": "#444444", "text-anchor": "start"}
    label.text = str(number)
    return [box, label]
