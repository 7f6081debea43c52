"""Formulas: all of a page in one go, by the MathJax of the site, as drawings that stay sharp.

Beside each drawing stands its MathML, unseen, for those who listen to a page.
"""

import base64
import html
import json
import re
import subprocess
import tarfile
from pathlib import Path

import build_site

MARK = re.compile("\ue000([DI])([^\ue001]*)\ue001")
SCRIPT = Path(__file__).with_name("templates") / "tex.js"
# Needless inside HTML, and they look like addresses.
XMLNS = re.compile(r' xmlns(?::\w+)?="[^"]*"')


def draw(page: str) -> str:
    """A page with its formulas in the place of their marks.

    Raises:
        RuntimeError: Node or MathJax cannot be had, or a formula is not TeX.
    """
    marks = list(dict.fromkeys(MARK.findall(page)))
    wanted = [
        {"tex": base64.b64decode(data).decode(), "display": kind == "D"}
        for kind, data in marks
    ]
    drawn = dict(zip(marks, _ask(wanted), strict=True)) if wanted else {}

    def place(match: re.Match) -> str:
        kind, data = match.groups()
        style = "tex display" if kind == "D" else "tex"
        svg, mathml = (XMLNS.sub("", drawn[kind, data][n]) for n in ("svg", "mathml"))
        return f'<span class="{style}">{svg}{mathml}</span>'

    return MARK.sub(place, page)


def _ask(wanted: list[dict]) -> list[dict]:
    command = ["node", str(SCRIPT), str(_package())]
    try:
        done = subprocess.run(
            command, input=json.dumps(wanted), text=True, capture_output=True
        )
    except OSError as error:
        raise RuntimeError(f"Node is needed to draw formulas: {error}") from error
    if done.returncode:
        raise RuntimeError(f"formulas were not drawn: {done.stderr.strip()[-400:]}")
    found = json.loads(done.stdout)
    for entry, answer in zip(wanted, found, strict=True):
        if "error" in answer:
            raise RuntimeError(f"{entry['tex']!r}: {html.unescape(answer['error'])}")
    return found


def _package() -> Path:
    """MathJax, unpacked."""
    folder = build_site.BUILD / "mathjax" / "package"
    if not (folder / "es5" / "node-main.js").exists():
        with tarfile.open(build_site.mathjax_package()) as archive:
            archive.extractall(folder.parent, filter="data")
    return folder
