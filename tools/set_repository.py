"""Point every badge, link and set-up cell to another repository or branch.

    python tools/set_repository.py https://github.com/OWNER/NAME [--branch main]

for a fork or a rename. The address lives in pyproject.toml; this command changes it there
and in README.md, CITATION.cff, CONTRIBUTING.md and the built notebooks, which it does not
run. Their outputs stay.

The notebooks also get git's name of the tree vae_helpers. Opened alone on Colab they take
that tree from the repository and nothing else: a copy saved last term still finds its
helpers, and what a stranger puts at the address is not run.
"""

import argparse
import re
import subprocess
from pathlib import Path

import nbformat
from builder import ROOT, course, inputs, make_notebook, target
from builder.run import move_outputs
from builder.state import digest

TEXTS = ("README.md", "CITATION.cff", "CONTRIBUTING.md", "FAQ.md", "CHANGELOG.md")
GITHUB = "https://github.com/"
NOTE = re.compile(r"<!-- no address -->.*?<!-- /no address -->\n*", re.DOTALL)
ADDRESS = re.compile(r"https://github\.com/[A-Za-z0-9][\w.-]*/[\w.-]+")
POINTERS = (  # repository and branch, in the order of the groups
    re.compile(
        r"colab\.research\.google\.com/github/([\w.-]+/[\w.-]+)/blob/([^/\s]+)/"
    ),
    re.compile(r"mybinder\.org/v2/gh/([\w.-]+/[\w.-]+)/([^?\s]+)\?"),
    re.compile(
        r'REPOSITORY, BRANCH, HELPERS = \\?"https://github\.com/([^"\\]+)\\?", \\?"([^"\\]+)'
    ),
)


def change_text(text: str, old: dict, new: dict) -> str:
    """A text with every pointer to the old repository and branch replaced."""
    before, after = (t["repository"].removeprefix(GITHUB) for t in (old, new))
    text = text.replace(
        f"/github/{before}/blob/{old['branch']}/",
        f"/github/{after}/blob/{new['branch']}/",
    )
    text = text.replace(
        f"/gh/{before}/{old['branch']}?", f"/gh/{after}/{new['branch']}?"
    )
    text = re.sub(
        re.escape(old["repository"]) + r"(?![\w-])", lambda _: new["repository"], text
    )
    text = NOTE.sub("", text)
    folder, renamed = (t["repository"].rsplit("/", 1)[1] for t in (old, new))
    return text.replace(f"\ncd {folder}\n", f"\ncd {renamed}\n")


def helpers_tree(root: Path = ROOT) -> str:
    """Git's name of the committed tree vae_helpers, which is a sum over its content.

    Raises:
        RuntimeError: not a git checkout, or something in vae_helpers is not committed.
    """

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"git {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    if changed := git("status", "--porcelain", "--", "vae_helpers"):
        raise RuntimeError(f"commit what changed in vae_helpers first:\n{changed}")
    return git("rev-parse", "HEAD:vae_helpers")


def disagreements(table: dict, root: Path = ROOT) -> list[str]:
    """Pointers in texts and notebooks that name another repository or branch."""
    wanted = (table["repository"].removeprefix(GITHUB), table["branch"])
    files = [root / name for name in TEXTS] + sorted(
        (root / "notebooks").rglob("*.ipynb")
    )
    found = []
    for path in filter(Path.exists, files):
        text = path.read_text(encoding="utf-8")
        for pattern in POINTERS:
            for match in pattern.finditer(text):
                if match.groups() != wanted:
                    name = path.relative_to(root).as_posix()
                    found.append(f"{name}: {match[0]} is not {' on '.join(wanted)}")
    return found


def change_notebook(path: Path, lesson: dict, new: dict, solved: bool) -> None:
    """Build a notebook's inputs anew and keep its outputs."""
    built = nbformat.read(path, as_version=4)
    book = make_notebook(lesson, new, solved=solved)
    move_outputs(built, book)
    mark = built.metadata["vae_course"]
    book.metadata["vae_course"] = {**mark, "inputs": digest(inputs(book))}
    nbformat.write(book, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("repository", nargs="?", help="https://github.com/OWNER/NAME")
    parser.add_argument("--branch", default="main")
    options = parser.parse_args()
    if not options.repository:
        raise SystemExit(
            "Say which repository: make fork REPOSITORY=https://github.com/YOU/NAME"
        )
    address = options.repository.removesuffix("/").removesuffix(".git")
    if not ADDRESS.fullmatch(address):
        raise SystemExit(
            f"need an address such as https://github.com/OWNER/NAME, got "
            f"{options.repository!r} (Colab and Binder open repositories on GitHub)"
        )
    old = course()
    try:
        helpers = helpers_tree()
    except RuntimeError as error:
        raise SystemExit(str(error)) from None
    new = {**old, "repository": address, "branch": options.branch, "helpers": helpers}
    stale = disagreements(old)
    if stale:
        raise SystemExit("first mend what disagrees already:\n" + "\n".join(stale))
    for name in TEXTS:
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        path.write_text(change_text(text, old, new), encoding="utf-8")
    project = ROOT / "pyproject.toml"
    text = project.read_text(encoding="utf-8").replace(old["repository"], address)
    for name in ("branch", "helpers"):
        text = text.replace(f'\n{name} = "{old[name]}"', f'\n{name} = "{new[name]}"')
    project.write_text(text, encoding="utf-8")
    for lesson in old["lesson"]:
        for solved in (False, True):
            if (path := target(lesson, solved)).exists():
                change_notebook(path, lesson, new, solved)
    wrong = disagreements(course())
    if wrong:
        raise SystemExit("\n".join(wrong))
    print(f"All links and set-up cells point to {address}, branch {options.branch}.")
    print("Commit and push it. After a later change of vae_helpers run this again.")


if __name__ == "__main__":
    main()
