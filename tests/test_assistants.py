"""What AI assistants and editors are told, as far as files can tell them."""

import json
import os
import re
import shutil
import subprocess
from zipfile import ZipFile

import builder
import pytest
from lesson_source import STEMS, notebook

ROOT = builder.ROOT


def test_one_page_tells_assistants_and_the_others_point_to_it():
    for name in ("CLAUDE.md", ".github/copilot-instructions.md"):
        path = ROOT / name
        text = path.read_text(encoding="utf-8")
        (link,) = re.findall(r"\[AGENTS\.md\]\(([^)]+)\)", text)
        assert (path.parent / link).resolve() == ROOT / "AGENTS.md"
        assert len(text.splitlines()) == 2


def test_what_the_page_names_is_there():
    text = (ROOT / "AGENTS.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    folders = re.findall(r"`([\w/]+/)`", text)
    for name in {*links, *folders} - {"my_notebooks/"}:
        assert (ROOT / name).exists(), name


def test_editors_suggest_nothing_in_python():
    text = (ROOT / ".vscode/settings.json").read_text(encoding="utf-8")
    settings = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    assert settings["[python]"]["editor.inlineSuggest.enabled"] is False
    assert settings["github.copilot.enable"]["python"] is False


@pytest.mark.parametrize("stem", STEMS)
def test_colab_hides_its_assistant_in_learners_notebooks_only(stem):
    learners, solved = (notebook(stem, solved=s).metadata for s in (False, True))
    assert learners["colab"] == {"generative_ai_disabled": True}
    assert "colab" not in solved


@pytest.mark.skipif(os.name == "nt" or not shutil.which("make"), reason="make")
def test_the_zip_for_an_lms_has_the_lessons_and_no_solution(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    target = tmp_path / "course.zip"
    done = subprocess.run(
        ["make", "zip", f"FILE={target}"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    names = ZipFile(target).namelist()
    for stem in STEMS:
        assert f"vae-course/notebooks/{stem}.ipynb" in names
    assert "vae-course/pyproject.toml" in names
    assert "vae-course/vae_helpers/lab.py" in names
    assert not [
        n for n in names if "solutions" in n or n.startswith("vae-course/lesso")
    ]
