"""pyproject.toml, environment.yml and binder/ agree; the Makefile says what it does."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from vae_helpers import runtime

ROOT = Path(__file__).resolve().parents[1]
CONDA_NAMES = {"torch": "pytorch"}
ONLY_CONDA = {"python", "pip", "setuptools"}
BINDER_BRINGS = {"jupyterlab", "ipywidgets"}


def _project():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["project"]


def _split(requirement):
    name, bound = re.match(r"([A-Za-z0-9_.-]+)(.*)", requirement).groups()
    return name.lower(), bound.replace("==", "=").strip()


def _conda(path):
    listed = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    plain = [d for d in listed["dependencies"] if isinstance(d, str)]
    pips = [d["pip"] for d in listed["dependencies"] if isinstance(d, dict)]
    return listed, dict(map(_split, plain)), pips[0] if pips else []


def test_conda_and_pip_ask_for_the_same():
    project = _project()
    needed = project["dependencies"] + project["optional-dependencies"]["test"]
    wanted = {CONDA_NAMES.get(n, n): b for n, b in map(_split, needed)}
    listed, found, pips = _conda("environment.yml")
    assert {n: b for n, b in found.items() if n not in ONLY_CONDA} == wanted
    assert found["python"] == project["requires-python"]
    assert listed["channels"] == ["conda-forge", "nodefaults"] and not pips


HELPERS_ALONE = """
import importlib, sys
WITHOUT = "torchvision jupyterlab ipywidgets mlxtend skimage sklearn pywt scipy IPython"
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in WITHOUT.split():
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
for name in sys.argv[1:]:
    importlib.import_module("vae_helpers." + name)
"""


def test_the_helpers_alone_need_what_the_readme_says():
    names = {p.stem for p in (ROOT / "vae_helpers").glob("*.py")} - {"__init__"}
    some = sorted(names - {"anomaly", "pads", "widgets"})
    line = [sys.executable, "-c", HELPERS_ALONE, *some]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-800:]


def test_binder_has_what_the_lessons_need_within_the_bounds():
    wanted = dict(map(_split, _project()["dependencies"]))
    _, found, pips = _conda("binder/environment.yml")
    packages = dict(_split(p) for p in pips if not p.startswith("-"))
    have = {n: b for n, b in (found | packages).items() if n not in ONLY_CONDA}
    assert set(have) == set(wanted) - BINDER_BRINGS
    for name, bound in have.items():
        if name in ("torch", "torchvision"):
            pinned = re.match(r"=(\d+)\.(\d+)", bound).groups()
            least = re.match(r">=(\d+)\.(\d+)", wanted[name]).groups()
            assert tuple(map(int, pinned)) >= tuple(map(int, least))
        else:
            assert bound == wanted[name], name
    text = (ROOT / "binder/environment.yml").read_text(encoding="utf-8")
    assert "-e ." not in text, "a local reference would rebuild torch at every commit"


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_binder_scripts_can_be_run(name):
    path = ROOT / "binder" / name
    assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    assert os.name == "nt" or os.access(path, os.X_OK)


@pytest.mark.skipif(os.name == "nt", reason="bash")
@pytest.mark.parametrize(
    ("limit", "threads"), [("2.0", "2"), ("0.5", "1"), (None, "1")]
)
def test_binder_start_sets_threads(limit, threads):
    env = {**os.environ, "CPU_LIMIT": limit} if limit else dict(os.environ)
    if not limit:
        env.pop("CPU_LIMIT", None)
    command = ["bash", ROOT / "binder/start", "printenv", "OMP_NUM_THREADS"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == threads


def test_no_upper_bounds_on_torch_and_numpy():
    for name, bound in map(_split, _project()["dependencies"]):
        if name in ("torch", "torchvision", "numpy"):
            assert "<" not in bound and not bound.startswith("=")


def test_readme_names_the_commands_that_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", readme))
    assert {"lab", "test", "test-fast", "build"} <= named <= targets
    assert "make test" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def test_readme_has_a_row_for_every_lesson_with_its_links():
    import builder
    from builder.publish import readme_table

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme_table(builder.course()) in readme, "run `make build`"


def test_licences_and_citation_are_there():
    assert "BSD 3-Clause" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "CC BY 4.0" in (ROOT / "LICENSE-text").read_text(encoding="utf-8")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == _project()["version"]
    assert citation["repository-code"] == _project()["urls"]["Repository"]


def test_text_files_are_utf8_and_hold_no_machine_paths():
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True
    )
    names = [n for n in listed.stdout.split("\0") if n]
    if not names:
        pytest.skip("not a git checkout")
    for name in [n for n in names if not n.endswith((".png", ".webp"))]:
        text = (ROOT / name).read_text(encoding="utf-8")
        found = re.search(r"(?<![\w.])/(work|farm)/\w|/root/\w|/home/\w", text)
        allowed = name in ("tools/builder/publish.py", "tests/test_environment.py")
        assert allowed or not found, (name, found)


def test_oldest_versions_are_those_of_the_project():
    bounds = dict(map(_split, _project()["dependencies"]))
    for package, oldest in runtime.OLDEST.items():
        assert bounds[package.lower()].split(",")[0] == f">={oldest}", package
    needed = ".".join(map(str, runtime.OLDEST_PYTHON))
    assert _project()["requires-python"] == f">={needed}"


def test_what_is_too_old_is_said_in_words(monkeypatch):
    assert runtime.unsupported() == []
    versions = {"torch": "2.2.2+cpu", "numpy": "1.26.4"}
    monkeypatch.setattr(runtime.metadata, "version", lambda p: versions.get(p, "99.0"))
    assert runtime.unsupported() == ["torch 2.2.2+cpu is older than 2.4."]
    monkeypatch.setattr(runtime.sys, "version_info", (3, 9, 1))
    assert "is older than 3.11." in runtime.unsupported()[0]


FOREIGN = re.compile(
    "make: command|No module named|No space|torchvision::nms|No matching distribution"
    "|'git', 'clone'|dtype size|widget`|IProgress|NameError|has no attribute|inline_c"
)


def test_troubleshooting_quotes_what_the_course_says():
    """Each message in a heading is one of ours, word for word, or a known foreign one."""
    text = (ROOT / "TROUBLESHOOTING.md").read_text(encoding="utf-8")
    files = [*ROOT.glob("vae_helpers/**/*.py"), *ROOT.glob("t*/**/*.py")]
    files.append(ROOT / "lessons" / "setup_cell.py")
    ours = " ".join(path.read_text(encoding="utf-8") for path in files)
    ours += (ROOT / "Makefile").read_text(encoding="utf-8")
    # Messages are written in pieces, with values in between.
    ours = re.sub(r'"\s*\n\s*f?"', "", ours)
    for heading in re.findall(r"^### (.*`.*)$", text, re.MULTILINE):
        if not FOREIGN.search(heading):
            quoted = re.search(r"`([^`]+)`", heading)[1]
            quoted = quoted.replace("'cuda'", "{preferred!r}").replace("nan", "{v}")
            assert quoted in ours, heading


def _workflow_steps():
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
        for job in jobs.values():
            matrix = job.get("strategy", {}).get("matrix", {})
            for step in job["steps"]:
                if "run" in step:
                    yield path.name, step["run"], matrix


def test_workflows_call_commands_that_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    called = set()
    for _, run, matrix in _workflow_steps():
        called |= set(re.findall(r"\bmake ([a-z][a-z-]+)", run))
        if "make ${{ matrix.task }}" in run:
            called |= set(matrix["task"])
    assert {"site", "test-all", "test-browser", "settings"} <= called <= targets


def test_a_site_is_published_only_after_the_command_that_refuses_an_empty_one():
    (build,) = [run for name, run, _ in _workflow_steps() if name == "pages.yml"]
    assert build.strip() == "make site"
