"""The start: copies that nothing overwrites, a quiet server, and the set-up cell."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.request import urlopen

import builder
import pytest
from lesson_source import TABLE

from vae_helpers import lab

ROOT = Path(__file__).resolve().parents[1]
NAME = "03_elbo.ipynb"


@pytest.fixture
def folders(tmp_path):
    """A shipped folder with two notebooks, and the place of the copies."""
    source, copies = tmp_path / "leçon un" / "notebooks", tmp_path / "leçon un" / "mine"
    (source / "solutions").mkdir(parents=True)
    for name in (NAME, f"solutions/{NAME}"):
        (source / name).write_bytes(b"first")
    return source, copies


def _files(copies):
    found = (p for p in copies.rglob("*") if p.is_file() and p.name != lab.RECORD)
    return {p.relative_to(copies).as_posix(): p.read_bytes() for p in found}


def test_the_first_start_copies_lessons_and_solutions(folders):
    source, copies = folders
    assert lab.update_copies(source, copies) == []
    assert _files(copies) == {NAME: b"first", f"solutions/{NAME}": b"first"}


def test_an_untouched_copy_follows_its_original(folders):
    source, copies = folders
    for text in (b"first", b"second", b"third"):
        (source / NAME).write_bytes(text)
        assert lab.update_copies(source, copies) == []
        assert _files(copies)[NAME] == text and len(_files(copies)) == 2


def test_a_changed_copy_stays_and_its_new_version_is_put_beside_it_once(folders):
    source, copies = folders
    lab.update_copies(source, copies)
    (copies / NAME).write_bytes(b"my work")
    assert lab.update_copies(source, copies) == []  # nothing new was shipped
    (source / NAME).write_bytes(b"second")
    (line,) = lab.update_copies(source, copies)
    assert NAME in line and "03_elbo.new.ipynb" in line
    assert lab.update_copies(source, copies) == []
    files = _files(copies)
    assert (files[NAME], files["03_elbo.new.ipynb"]) == (b"my work", b"second")
    # An offer that nobody opened is replaced; one that was worked in stays as well.
    (source / NAME).write_bytes(b"third")
    lab.update_copies(source, copies)
    assert _files(copies)["03_elbo.new.ipynb"] == b"third"
    (copies / "03_elbo.new.ipynb").write_bytes(b"more work")
    (source / NAME).write_bytes(b"fourth")
    lab.update_copies(source, copies)
    files = _files(copies)
    assert files["03_elbo.new.ipynb"] == b"more work"
    assert files["03_elbo.new2.ipynb"] == b"fourth" and files[NAME] == b"my work"


def test_an_offer_that_the_learner_deleted_does_not_come_back(folders):
    source, copies = folders
    lab.update_copies(source, copies)
    (copies / NAME).write_bytes(b"my work")
    (source / NAME).write_bytes(b"second")
    lab.update_copies(source, copies)
    (copies / "03_elbo.new.ipynb").unlink()
    assert lab.update_copies(source, copies) == []
    assert not (copies / "03_elbo.new.ipynb").exists()


def test_a_deleted_copy_is_made_afresh(folders):
    source, copies = folders
    lab.update_copies(source, copies)
    (copies / NAME).unlink()
    lab.update_copies(source, copies)
    assert _files(copies)[NAME] == b"first"


@pytest.mark.parametrize("record", [None, b"", b"{", b"[1]", b'{"03_elbo.ipynb": 1}'])
def test_without_a_record_nothing_is_overwritten(folders, record):
    source, copies = folders
    lab.update_copies(source, copies)
    (copies / NAME).write_bytes(b"my work")
    (source / NAME).write_bytes(b"second")
    if record is None:
        (copies / lab.RECORD).unlink()
    else:
        (copies / lab.RECORD).write_bytes(record)
    assert len(lab.update_copies(source, copies)) == 1
    assert _files(copies)[NAME] == b"my work"


def test_what_tools_leave_behind_is_not_copied(folders):
    source, copies = folders
    (source / "03_elbo.backup.ipynb").write_bytes(b"x")
    (source / ".ipynb_checkpoints").mkdir()
    (source / ".ipynb_checkpoints" / "03_elbo-checkpoint.ipynb").write_bytes(b"x")
    lab.update_copies(source, copies)
    assert set(_files(copies)) == {NAME, f"solutions/{NAME}"}


def test_links_between_lessons_hold_in_the_copies(tmp_path):
    lab.update_copies(builder.NOTEBOOKS, tmp_path)
    for path in tmp_path.rglob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(c["source"]) for c in cells)
        for link in re.findall(r"\]\(([\w./-]+\.ipynb)\)", text):
            assert (path.parent / link).exists(), (path.name, link)


def test_git_does_not_see_the_copies():
    command = ["git", "check-ignore", "-q", f"{lab.COPIES}/{NAME}"]
    done = subprocess.run(command, cwd=ROOT)
    if done.returncode == 128:
        pytest.skip("not a git checkout")
    assert done.returncode == 0


def test_the_folder_is_found_from_inside_it_and_beside_the_package(tmp_path):
    for start in (ROOT, ROOT / "notebooks" / "solutions", tmp_path):
        assert lab.course_folder(start) == ROOT


def test_without_the_folder_the_message_names_where_it_was_looked_for(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(lab, "__file__", str(tmp_path / "site" / "vae_helpers" / "x"))
    with pytest.raises(FileNotFoundError) as caught:
        lab.course_folder(tmp_path)
    assert str(tmp_path) in str(caught.value) and "site" in str(caught.value)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="course's folder is not here"):
        lab.main([])


def test_a_folder_that_cannot_be_written_to_names_the_way_out(tmp_path, monkeypatch):
    def refuse(path, data):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(lab, "_write", refuse)
    with pytest.raises(SystemExit, match="Permission denied.*--copies FOLDER"):
        lab.main(["--copies", str(tmp_path / "shared")])


def test_a_full_disk_leaves_the_old_copy_whole(folders, monkeypatch):
    source, copies = folders
    lab.update_copies(source, copies)
    (source / NAME).write_bytes(b"second")

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        lab.update_copies(source, copies)
    assert _files(copies)[NAME] == b"first"


@pytest.mark.skipif(os.name == "nt" or not shutil.which("make"), reason="make")
def test_make_takes_the_first_python_that_is_new_enough(tmp_path):
    for name, ends in (("python3", 1), ("python3.14", 1), ("python3.13", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {ends}\n")
    for path in tmp_path.iterdir():
        path.chmod(0o755)
    search = f"{tmp_path}:{os.environ['PATH']}"
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHON", "MAKEFLAGS")}
    command = ["make", "-n", "-B", "VENV=none", "ready"]
    done = subprocess.run(
        command, cwd=ROOT, env={**env, "PATH": search}, capture_output=True, text=True
    )
    assert "python3.13 -m venv" in done.stdout, done.stderr


def test_the_console_script_is_the_module():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["project"]["scripts"] == {
        "vae-course": "vae_helpers.lab:main"
    }


# The server


def _course(folder):
    """A course's folder with the helpers and one notebook, and a space and an accent."""
    folder.mkdir(parents=True)
    shutil.copytree(ROOT / "vae_helpers", folder / "vae_helpers")
    (folder / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / lab.FIRST, folder / "notebooks")
    return folder


AFTER = "JupyterLab runs until Ctrl-C. Its address:"


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_the_server_starts_on_a_taken_port_and_ends_with_one_line(tmp_path):
    """As whoever runs this, root too; the address is the last line."""
    home = _course(tmp_path / "leçon un")
    command = [sys.executable, "-m", "vae_helpers.lab", "--no-browser", "--port"]
    quiet = {**os.environ, "PYTHONPATH": "", "JUPYTER_CONFIG_DIR": str(tmp_path / "j")}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = subprocess.Popen(
            [*command, str(port)],
            cwd=home,
            env=quiet,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            first = server.stdout.readline().strip()
            assert first == f"Your notebooks are in {home / lab.COPIES}"
            # Another package of the environment may print a banner here, as nbclassic does.
            for _ in range(30):
                if server.stdout.readline().strip() == AFTER:
                    break
            address = server.stdout.readline().strip()
            assert f"/lab/tree/{lab.COPIES}/{lab.FIRST}?token=" in address
            assert f":{port}/" not in address
            found = int(address.split(":")[2].split("/")[0])
            style = (
                f"http://localhost:{found}/custom/custom.css?{address.split('?')[1]}"
            )
            with urlopen(style, timeout=20) as answer:  # noqa: S310 - our own server
                assert b"max-width: 46rem" in answer.read()
            server.send_signal(signal.SIGINT)
            rest, _ = server.communicate(timeout=30)
        finally:
            server.kill()
    assert rest.split("\n") == ["", "JupyterLab has stopped.", ""]
    assert server.returncode == 0


# The set-up cell


def _set_up(folder, before="", after="", python=("-I",), helpers="abc"):
    """Run the set-up cell in a folder, in a Python that knows of no course."""
    table = {**TABLE, "repository": "https://example.org/none", "helpers": helpers}
    source = builder.setup_cell(table)
    # Without the editable install of this repository, as on a learner's computer.
    hide = (
        "import sys\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if '__editable__' not in repr(f)]\n"
        f"sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}]\n"
    )
    return subprocess.run(
        [sys.executable, *python, "-c", "\n".join([hide, before, source, after])],
        capture_output=True,
        text=True,
        cwd=folder,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


def _helpers(folder):
    (folder / "vae_helpers").mkdir(parents=True)
    (folder / "vae_helpers" / "__init__.py").write_text("", encoding="utf-8")
    return folder


WHERE = "import vae_helpers; print(vae_helpers.__file__)"


@pytest.mark.parametrize("place", ["notebooks", "my_notebooks/solutions"])
def test_the_set_up_cell_finds_the_folder_around_it_without_a_word(tmp_path, place):
    home = _helpers(tmp_path / "leçon un")
    (home / place).mkdir(parents=True)
    done = _set_up(home / place)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert str(home) in _set_up(home / place, after=WHERE).stdout


def test_the_folder_around_it_wins_over_an_installed_copy(tmp_path):
    home, other = _helpers(tmp_path / "mine"), _helpers(tmp_path / "installed")
    (home / "notebooks").mkdir()
    installed = f"sys.path.insert(0, {str(other)!r})"
    done = _set_up(home / "notebooks", before=installed, after=WHERE)
    assert done.stdout.strip() == str(home / "vae_helpers" / "__init__.py")


def test_another_copy_that_was_imported_already_is_named_in_one_line(tmp_path):
    home, other = _helpers(tmp_path / "mine"), _helpers(tmp_path / "installed")
    before = f"sys.path.insert(0, {str(other)!r})\nimport vae_helpers"
    done = _set_up(home, before=before)
    assert done.returncode == 0 and done.stdout.count("\n") == 1
    assert str(other) in done.stdout and str(home) in done.stdout


def test_a_notebook_alone_uses_an_installed_copy(tmp_path):
    other = _helpers(tmp_path / "installed")
    (tmp_path / "downloads").mkdir()
    before = f"sys.path.insert(0, {str(other)!r})"
    done = _set_up(tmp_path / "downloads", before=before)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_notebook_alone_says_the_line_that_works(tmp_path):
    error = _set_up(tmp_path).stderr
    branch = TABLE["branch"]
    assert f"%pip install git+https://example.org/none@{branch}\n" in error
    assert "vae_helpers" in error and sys.executable in error and str(tmp_path) in error


def test_without_an_address_no_line_that_fetches_is_offered(tmp_path):
    error = _set_up(tmp_path, helpers="").stderr
    assert "Not installed here: vae_helpers" in error and "course's folder" in error
    assert "pip install" not in error and "example.org" not in error.split("Error:")[1]


@pytest.mark.parametrize("package", ["torch", "torchvision", "matplotlib"])
def test_a_missing_package_is_named_with_the_line_that_installs_it(tmp_path, package):
    home = _helpers(tmp_path / "leçon un")
    done = _set_up(home, before=f"sys.modules[{package!r}] = None")
    assert f"Not installed here: {package}." in done.stderr
    assert (
        f'%pip install -e "{home}"\n' in done.stderr and sys.executable in done.stderr
    )


def test_running_the_set_up_cell_twice_changes_nothing(tmp_path):
    home = _helpers(tmp_path / "leçon un")
    source = builder.setup_cell(TABLE)
    twice = f"before = [*sys.path]\n{source}\nprint(before == sys.path)"
    done = _set_up(home, after=twice)
    assert (done.stdout, done.stderr) == ("True\n", "")


@pytest.fixture
def on_colab(tmp_path):
    """A repository whose newest commit is a stranger's, and a Colab that has nothing.

    Returns git's name of the first helpers, and a function that runs the set-up cell.
    """
    if not shutil.which("git"):
        pytest.skip("needs git")
    remote, place = tmp_path / "remote", tmp_path / "content"
    _helpers(remote)
    place.mkdir()

    def git(*words):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(remote), *who, *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    git("init", "-qb", TABLE["branch"])
    git("config", "uploadpack.allowFilter", "true")
    git("add", ".")
    git("commit", "-qm", "the course")
    first = git("rev-parse", "HEAD:vae_helpers")
    (remote / "vae_helpers" / "__init__.py").write_text("print('a stranger')")
    (remote / "torch.py").write_text("print('a stranger')")
    git("add", ".")
    git("commit", "-qm", "a stranger")

    def run(helpers, after=WHERE):
        table = {**TABLE, "repository": remote.as_uri(), "helpers": helpers}
        source = builder.setup_cell(table).replace("/content", place.as_posix())
        pretend = (
            "import sys, types; sys.modules['google.colab'] = types.ModuleType('x')\n"
            "sys.meta_path[:] = [f for f in sys.meta_path if '__editable__' not in repr(f)]\n"
            f"sys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}]\n"
        )
        return subprocess.run(
            [sys.executable, "-I", "-c", f"{pretend}{source}\n{after}"],
            capture_output=True,
            text=True,
            cwd=place,
        )

    return first, place, run


def test_on_colab_a_notebook_fetches_its_own_helpers_and_nothing_else(on_colab):
    first, place, run = on_colab
    for _ in range(2):
        done = run(first)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.strip().startswith(str(place / f"vae-course-{first[:8]}"))
    (folder,) = place.iterdir()
    assert {p.name for p in folder.iterdir()} == {".git", "vae_helpers"}


def test_on_colab_helpers_that_are_not_there_are_said(on_colab):
    _, place, run = on_colab
    done = run("0123456789" * 4)
    assert "has not the helpers that this notebook was published with" in done.stderr
    assert "stranger" not in done.stdout


def test_on_colab_nothing_is_fetched_without_an_address(on_colab):
    _, place, run = on_colab
    done = run("")
    assert "was not published" in done.stderr and not any(place.iterdir())
