"""Look for dead links in the course's texts and lessons.

    python tools/check_links.py [--offline]

checks that every file that a text links to is there, and, without --offline, that every
address and every arXiv number answers. It ends with an error and a list of what does not.
"""

import argparse
import re
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

from builder import ROOT, course

LINK = re.compile(r"(?:\]\(|(?:src|href)=\\?[\"'])([^)\s\"'\\]+)")
PLAIN = re.compile(r"(?<![(\"'\w=])https?://[^\s)\"'`<>\\]+")
ARXIV = re.compile(r"arXiv:\s*(?:#\s*)?(\d{4}\.\d{4,5})")
WAIT = 20  # seconds for one answer
# Local servers in examples are not meant to answer.
SKIP = re.compile(r"https?://(localhost|127\.0\.0\.1|example\.org)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def texts(root: Path = ROOT) -> list[Path]:
    """The files that people read."""
    found = [*root.glob("*.md"), *root.glob("instructor/**/*.md")]
    return sorted([*found, *root.glob("lessons/*.py")])


def words(path: Path) -> str:
    """What stands in a text, or in the Markdown cells and comments of a lesson."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    return "\n".join(x[2:] for x in text.splitlines() if x.startswith("# "))


def links(text: str) -> set[str]:
    """Targets of Markdown and HTML links, plain addresses, and arXiv numbers."""
    found = set(LINK.findall(text))
    found |= {address.rstrip(".,;:") for address in PLAIN.findall(text)}
    return found | {f"https://arxiv.org/abs/{n}" for n in ARXIV.findall(text)}


def anchors(text: str) -> set[str]:
    """The names under which a page of GitHub's offers its headings."""
    names = (re.sub(r"[^\w\- ]", "", h.strip().lower()) for h in HEADING.findall(text))
    return {name.replace(" ", "-") for name in names}


def missing(path: Path, root: Path = ROOT) -> list[str]:
    """Links of one file to files or headings that are not there."""
    text, found = words(path), []
    # A lesson is read as a notebook, from the folder notebooks/.
    base = root / "notebooks" if path.parent == root / "lessons" else path.parent
    for link in sorted(links(text)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, heading = unquote(link).partition("#")
        place = base / name if name else path
        if not place.exists():
            found.append(f"{path.relative_to(root)}: {link} is not there")
        elif heading and place.suffix == ".md":
            if heading not in anchors(place.read_text(encoding="utf-8")):
                found.append(f"{path.relative_to(root)}: {link}: no such heading")
    return found


def dead(address: str) -> str:
    """Why an address does not answer, or ""."""
    for method in ("HEAD", "GET"):  # some servers refuse HEAD
        request = urllib.request.Request(
            address, method=method, headers={"User-Agent": "Mozilla/5.0 (link check)"}
        )
        try:
            with urllib.request.urlopen(request, timeout=WAIT):
                return ""
        except urllib.error.HTTPError as error:
            why = f"answers {error.code}"
            if error.code == 429:  # asked too often: it is there
                return ""
        except (OSError, ValueError) as error:
            why = str(getattr(error, "reason", error))
    return why


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--offline", action="store_true", help="files only")
    options = parser.parse_args()
    own = course()["repository"]
    wrong, where = [], {}
    for path in texts():
        wrong += missing(path)
        for link in links(words(path)):
            if link.startswith("http") and not SKIP.match(link):
                where.setdefault(link, path.relative_to(ROOT))
    if not options.offline:
        with ThreadPoolExecutor(8) as pool:
            for link, why in zip(where, pool.map(dead, where), strict=True):
                if why:
                    hint = " (the course's own address)" if own in link else ""
                    wrong.append(f"{where[link]}: {link} {why}{hint}")
    if wrong:
        raise SystemExit("\n".join(wrong))
    print("no dead link" + (" to a file" if options.offline else ""))


if __name__ == "__main__":
    main()
