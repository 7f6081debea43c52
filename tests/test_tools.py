"""Forks, links and environments: the commands of tools/ do what they say."""

import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import builder
import check_links
import nbformat
import new_lesson
import pytest
import set_repository
from builder.state import digest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
TABLE = builder.course()
OTHER = {
    **TABLE,
    "repository": "https://github.com/someone/my-vae",
    "branch": "spring",
    "helpers": "0123456789" * 4,
}


def test_all_links_and_set_up_cells_name_one_repository_and_branch():
    assert set_repository.disagreements(TABLE) == []


def test_a_pointer_that_disagrees_is_found(tmp_path):
    (tmp_path / "notebooks").mkdir()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    slug = TABLE["repository"].removeprefix("https://github.com/")
    wrong = readme.replace(f"/gh/{slug}/", "/gh/someone/else/", 1)
    (tmp_path / "README.md").write_text(wrong, encoding="utf-8")
    (only,) = set_repository.disagreements(TABLE, tmp_path)
    assert "README.md" in only and "someone/else" in only
    cell = builder.setup_cell({**TABLE, "branch": "old"})
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    nbformat.write(book, tmp_path / "notebooks" / "a.ipynb")
    found = set_repository.disagreements(TABLE, tmp_path)
    assert len(found) == 2 and "a.ipynb" in found[1]


def test_a_fork_changes_every_text(tmp_path):
    for name in set_repository.TEXTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        changed = set_repository.change_text(text, TABLE, OTHER)
        assert TABLE["repository"] not in changed
        (tmp_path / name).write_text(changed, encoding="utf-8")
    assert set_repository.disagreements(OTHER, tmp_path) == []
    readme = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "\ncd my-vae\n" in readme
    assert "no address" not in readme


def test_published_notebooks_fetch_the_helpers_of_today():
    """Empty until `make fork`; afterwards a change of vae_helpers needs it again."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert ("<!-- no address -->" in readme) == (not TABLE["helpers"])
    if TABLE["helpers"]:
        try:
            assert set_repository.helpers_tree() == TABLE["helpers"], "run `make fork`"
        except RuntimeError as error:
            pytest.skip(str(error))


def test_the_helpers_have_a_name_once_they_are_committed(tmp_path):
    (tmp_path / "vae_helpers").mkdir()
    (tmp_path / "vae_helpers" / "a.py").write_text("a = 1\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="git"):
        set_repository.helpers_tree(tmp_path)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    with pytest.raises(RuntimeError, match="commit what changed in vae_helpers"):
        set_repository.helpers_tree(tmp_path)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "a"], check=True)
    assert re.fullmatch("[0-9a-f]{40}", set_repository.helpers_tree(tmp_path))


def test_a_fork_changes_a_notebook_and_keeps_its_outputs(tmp_path):
    lesson = TABLE["lesson"][0]
    source = builder.target(lesson, False)
    path = tmp_path / "notebooks" / source.name
    path.parent.mkdir()
    shutil.copyfile(source, path)
    set_repository.change_notebook(path, lesson, OTHER, solved=False)
    assert set_repository.disagreements(OTHER, tmp_path) == []
    before, after = (nbformat.read(p, as_version=4) for p in (source, path))
    assert [c.get("outputs") for c in before.cells] == [
        c.get("outputs") for c in after.cells
    ]
    mark = after.metadata["vae_course"]
    assert mark["inputs"] == digest(builder.inputs(after))


@pytest.mark.parametrize("bad", ["someone/my-vae", "https://gitlab.com/a/b", "x"])
def test_an_address_that_colab_cannot_open_is_refused(bad, monkeypatch):
    monkeypatch.setattr("sys.argv", ["set_repository", bad])
    with pytest.raises(SystemExit, match=f"got {re.escape(repr(bad))}"):
        set_repository.main()


def test_no_link_to_a_file_is_dead():
    assert [
        why for path in check_links.texts() for why in check_links.missing(path)
    ] == []


def test_planted_dead_links_are_found(tmp_path):
    (tmp_path / "B.md").write_text("# A heading, here\n", encoding="utf-8")
    text = "[a](B.md) [b](gone.md) [c](B.md#a-heading-here) [d](B.md#nowhere)"
    (tmp_path / "A.md").write_text(text, encoding="utf-8")
    found = check_links.missing(tmp_path / "A.md", tmp_path)
    assert len(found) == 2 and "gone.md" in found[1] and "B.md#nowhere" in found[0]


def test_addresses_and_numbers_are_collected():
    text = (
        "see [x](https://a.org/b), https://c.org/d. and arXiv:1312.6114 <a href='e.md'>"
    )
    assert check_links.links(text) == {
        "https://a.org/b",
        "https://c.org/d",
        "https://arxiv.org/abs/1312.6114",
        "e.md",
    }


class _Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/there" else 404)
        self.end_headers()

    def do_HEAD(self):  # as servers do that refuse it
        self.send_response(405 if self.path == "/there" else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_planted_dead_address_is_found():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"
        assert check_links.dead(f"{base}/there") == ""
        assert check_links.dead(f"{base}/gone") == "answers 404"
        server.shutdown()
    assert check_links.dead(f"{base}/there")  # nobody listens any more


def _pins():
    lines = (ROOT / "constraints/colab.txt").read_text(encoding="utf-8").splitlines()
    split = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in split}


def test_colab_has_what_the_lessons_need_in_versions_that_we_allow():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = _pins()
    for text in project["project"]["dependencies"]:
        needed = Requirement(text)
        if needed.name == "jupyterlab":  # Colab has a page of its own
            continue
        assert needed.specifier.contains(pins[canonicalize_name(needed.name)]), text


# --- a new lesson ----------------------------------------------------------------------


def _copy_of_the_sources(folder):
    """What the rules of lessons and the tests of checks read, without notebooks."""
    kept = ("lessons", "vae_helpers", "tests", "instructor", "tools", "grading")
    for name in kept:
        shutil.copytree(ROOT / name, folder / name)
    for name in ("pyproject.toml", "CHANGELOG.md", "README.md"):
        shutil.copy(ROOT / name, folder)


@pytest.mark.slow
def test_a_new_lesson_passes_the_rules_and_its_checks_at_once(tmp_path):
    _copy_of_the_sources(tmp_path)
    new_lesson.new_lesson("98", "two_words", tmp_path)
    for command in (
        ["pytest", "-q", "-p", "no:nbval", "tests/test_lesson_rules.py"]
        + ["tests/test_checks.py", "tests/grading/test_guides.py"]
        + ["tests/test_reading.py"]
        + ["tests/test_settings.py", "-m", "not slow"]
        + ["-k", "98 or symbols or order or every_number"],
        ["ruff", "check", "lessons", "vae_helpers", "tests/answers"],
        ["ruff", "format", "--check", *tmp_path.rglob("*lesson98.py")],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *map(str, command)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


def test_a_new_lesson_overwrites_nothing(tmp_path):
    (tmp_path / "lessons").mkdir()
    (tmp_path / "lessons" / "04_mine.py").touch()
    for number, name, words in [
        ("04", "other", "is there already"),
        ("4", "other", "two digits"),
        ("09", "Two Words", "lower-case"),
    ]:
        with pytest.raises(ValueError, match=words):
            new_lesson.new_lesson(number, name, tmp_path)
