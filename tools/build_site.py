"""Build the course's site from what is there: `make site`.

    python tools/build_site.py [--no-solutions] [--to FOLDER]

The executed notebooks, the glossary, questions and answers and the teachers' guides become
pages in build/site that open from the disk, without a server and without a network. MathJax
comes from the npm registry, once.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import build_lab
import builder
import nbformat

ROOT = builder.ROOT
SOURCE, BUILD = ROOT / "site", ROOT / "build"
MATHJAX = "mathjax@3.2.2"
PAGES = [
    "GLOSSARY.md",
    "FAQ.md",
    "TROUBLESHOOTING.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
# A heading's address in JupyterLab, "#The-loss:-two-terms", is "#the-loss-two-terms" here.
ANCHOR = re.compile(r"(\]\([^)\s]*\.ipynb)#([^)\s]+)\)")


def slug(anchor: str) -> str:
    """The address of a heading on the site, from its address in JupyterLab."""
    words = re.sub(r"[^\w\- ]", "", anchor.replace("%20", " ")).replace(" ", "-")
    return words.lower()


def page_of(book: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A notebook as the site shows it: plumbing folded, headings linked in its own way."""
    for cell in book.cells:
        if cell.cell_type == "markdown":
            cell.source = ANCHOR.sub(lambda m: f"{m[1]}#{slug(m[2])})", cell.source)
        elif cell.metadata.get("jupyter", {}).get("source_hidden"):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
    return book


def mathjax() -> Path:
    """The one file of MathJax, fetched from the npm registry if it is not there yet.

    Raises:
        RuntimeError: it cannot be had, with the reason.
    """
    file = BUILD / "mathjax" / "tex-svg.js"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            command = ["npm", "pack", MATHJAX, "--silent"]
            done = subprocess.run(
                command, cwd=file.parent, check=True, text=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            why = getattr(error, "stderr", "") or str(error)
            raise RuntimeError(
                f"{MATHJAX} was not fetched: {why.strip()[-300:]}. Install Node's npm, or put "
                f"its file es5/tex-svg.js there as {file}."
            ) from error
        with tarfile.open(file.parent / done.stdout.split()[-1]) as archive:
            found = archive.extractfile("package/es5/tex-svg.js")
            file.write_bytes(found.read())
    return file


def write_sources(target: Path, *, solutions: bool) -> None:
    """Everything that Sphinx reads, in one folder laid out as the repository is."""
    table = builder.course()
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(SOURCE, target)
    shutil.copytree(ROOT / "figures", target / "figures")
    (target / "_static" / "mathjax").mkdir(parents=True, exist_ok=True)
    shutil.copy(mathjax(), target / "_static" / "mathjax")
    guides = sorted((ROOT / "instructor").glob("*.md"))
    (target / "instructor").mkdir()
    for path in [*(ROOT / name for name in PAGES), *guides]:
        text = path.read_text(encoding="utf-8").replace("README.md#", "install.md#")
        # The guides have a README of their own.
        text = text if path in guides else text.replace("(README.md)", "(install.md)")
        (target / path.relative_to(ROOT)).write_text(text, encoding="utf-8")
    stems = [lesson["stem"] for lesson in table["lesson"]]
    for lesson in table["lesson"]:
        for solved in (False, True) if solutions else (False,):
            built = builder.target(lesson, solved)
            goal = target / built.relative_to(ROOT)
            goal.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(page_of(nbformat.read(built, as_version=4)), goal)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    start = readme[readme.index("## Start") : readme.index("## The lessons")]
    (target / "install.md").write_text(f"# Install\n\n{start}", encoding="utf-8")
    _write_index(target, table, stems, guides, solutions=solutions)


def _write_index(
    target: Path, table: dict, stems: list, guides: list, *, solutions: bool
) -> None:
    rows = ["| Lesson | The question | Read |", "|---|---|---|"]
    for lesson in table["lesson"]:
        name = lesson["stem"]
        title = name.replace("_", " ")
        rows.append(
            f"| [{title}](notebooks/{name}.ipynb) | {lesson['question']} | "
            f"{lesson['read']} min |"
        )
    hidden = "\n".join(f"notebooks/solutions/{stem}" for stem in stems)
    tree = f"\n```{{toctree}}\n:hidden:\n:caption: With solutions\n\n{hidden}\n```\n"
    first = "notebooks/" + stems[0] + ".ipynb"
    values = {
        "@COLAB@": builder.links(table, first)["colab"],
        "@LESSONS@": "\n".join(rows),
        "@TREE@": "\n".join(f"notebooks/{stem}" for stem in stems),
        "@TEACH@": "\n".join(f"instructor/{guide.stem}" for guide in guides),
        "@SOLUTIONS@": tree if solutions else "",
    }
    path = target / "index.md"
    text = path.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(name, value)
    path.write_text(text, encoding="utf-8")


def missing(folder: Path, solutions: bool) -> list[str]:
    """What a site must have and this one has not; nothing may be published then."""
    table, found = builder.course(), []
    pages = [f"notebooks/{lesson['stem']}.html" for lesson in table["lesson"]]
    if solutions:
        pages += [p.replace("notebooks/", "notebooks/solutions/") for p in pages]
    for name in [
        "index.html",
        "lab.html",
        "search.html",
        "install.html",
        "GLOSSARY.html",
        *pages,
    ]:
        path = folder / name
        if not path.exists() or path.stat().st_size < 5000:
            found.append(name)
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, default=BUILD / "site")
    parser.add_argument("--no-solutions", action="store_true")
    chosen = parser.parse_args(arguments)
    source = BUILD / "site_source"
    try:
        write_sources(source, solutions=not chosen.no_solutions)
    except RuntimeError as error:
        print(f"site: {error}", file=sys.stderr)
        return 2
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-j", "auto"]
    done = subprocess.run([*command, str(source), str(chosen.to)])
    (chosen.to / "lab.html").write_text(build_lab.page(), encoding="utf-8")
    lost = missing(chosen.to, not chosen.no_solutions)
    if done.returncode or lost:
        print(f"site: not built, or not whole: {json.dumps(lost)}", file=sys.stderr)
        return 1
    size = sum(p.stat().st_size for p in chosen.to.rglob("*") if p.is_file())
    print(f"{chosen.to / 'index.html'}: {size / 2**20:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
