"""Built notebooks match their sources, and hold nothing that should not be published."""

import ast
import html
import json
import re
import shutil
import subprocess
import sys
import types

import builder
import nbformat
import pytest
from builder import __main__ as make
from builder import notebook, publish, run, state
from lesson_source import LESSONS, STEMS, TABLE, exercises

BOTH = [(stem, solved) for stem in STEMS for solved in (False, True)]
each_notebook = pytest.mark.parametrize(("stem", "solved"), BOTH)


def _built(stem, solved):
    path = builder.target(LESSONS[stem], solved)
    assert path.exists(), f"{path.name} is missing: run `make build`"
    return nbformat.read(path, as_version=4)


@each_notebook
def test_a_notebook_matches_its_source(stem, solved):
    wanted = builder.make_notebook(LESSONS[stem], TABLE, solved=solved)
    built = _built(stem, solved)
    assert builder.inputs(built) == builder.inputs(wanted), (
        f"the notebook differs from lessons/{stem}.py. Edit lessons/{stem}.py, never the "
        "notebook, and run `make build`."
    )
    assert [c.id for c in built.cells] == [c.id for c in wanted.cells]


@each_notebook
def test_a_notebook_is_valid_executed_and_clean(stem, solved):
    book = _built(stem, solved)
    nbformat.validate(book)
    assert "widgets" not in book.metadata
    assert publish.complaints(book) == []
    ids = [cell.id for cell in book.cells]
    assert len(set(ids)) == len(ids)
    for cell in book.cells:
        assert "execution" not in cell.metadata
        if cell.cell_type == "code":
            assert cell.execution_count, "a cell without outputs was never run"
            assert not [o for o in cell.outputs if o.output_type == "error"]
    size = builder.target(LESSONS[stem], solved).stat().st_size
    assert not publish.too_large(book, size)


@each_notebook
def test_a_notebook_was_built_with_the_helpers_and_checks_of_today(stem, solved):
    built = _built(stem, solved)
    assert built.metadata["vae_course"] == state.mark(built, stem), (
        "a helper, a record or a check has changed since this notebook was built: run "
        "`make build`"
    )


@each_notebook
def test_stored_verdicts_are_those_of_today(stem, solved):
    cells = [c for c in _built(stem, solved).cells if "check" in _tags(c)]
    stored = ["".join(c.outputs[0].data["text/plain"]) for c in cells]
    assert stored == [repr(verdict) for verdict in exercises(stem, solved=solved)]


def _tags(cell):
    return cell.metadata.get("tags", [])


@pytest.mark.parametrize("stem", STEMS)
def test_solved_notebooks_are_the_learners_but_for_the_exercises(stem):
    learner, solved = (builder.code_cells(_built(stem, s)) for s in (False, True))
    assert len(learner) == len(solved)
    for a, b in zip(learner, solved, strict=True):
        if "exercise" in _tags(a):
            assert "raise NotImplementedError" in a.source and a.id != b.id
        elif "check" not in _tags(a):
            assert (a.source, a.outputs) == (b.source, b.outputs)


@pytest.mark.parametrize("stem", STEMS)
def test_no_later_cell_reads_what_an_exercise_defines(stem):
    names: set[str] = set()
    for cell in builder.code_cells(_built(stem, True)):
        tree = ast.parse(cell.source)
        nodes = list(ast.walk(tree))
        functions = (ast.FunctionDef, ast.ClassDef)
        own = {n.name for n in nodes if isinstance(n, functions)}
        own |= {n.arg for n in nodes if isinstance(n, ast.arg)}
        stored = [n for n in nodes if isinstance(n, ast.Name)]
        own |= {n.id for n in stored if isinstance(n.ctx, ast.Store)}
        if "exercise" in _tags(cell):
            names |= {n.name for n in tree.body if isinstance(n, functions)}
            continue
        read = {n.id for n in stored if isinstance(n.ctx, ast.Load)}
        if "check" not in _tags(cell):
            assert not read & (names - own), cell.source
            names -= own  # defined anew by the lesson: its own from here on


@each_notebook
def test_every_number_lies_in_its_band(stem, solved):
    text = json.dumps(_built(stem, solved))
    assert "outside the band" not in text
    assert "not measured" not in text, "make claims, then make build"


@each_notebook
def test_no_progress_bar_is_left(stem, solved):
    for cell in _built(stem, solved).cells:
        text = json.dumps(cell.get("outputs", []))
        assert "<progress" not in text
        assert not re.search(r"\d s left", text)


def test_two_builds_give_the_same_inputs_and_ids():
    for stem in STEMS:
        a, b = (builder.make_notebook(LESSONS[stem], TABLE, solved=True) for _ in "ab")
        assert builder.inputs(a) == builder.inputs(b)
        assert [c.id for c in a.cells] == [c.id for c in b.cells]


def test_ids_do_not_move_when_another_cell_changes(tmp_path, monkeypatch):
    stem = STEMS[0]
    before = builder.make_notebook(LESSONS[stem], TABLE, solved=True)
    source = (builder.LESSONS / f"{stem}.py").read_text(encoding="utf-8")
    (tmp_path / f"{stem}.py").write_text(
        source.replace("ROWS = 8", "ROWS = 9"), encoding="utf-8"
    )
    shutil.copy(builder.LESSONS / "setup_cell.py", tmp_path)
    monkeypatch.setattr(notebook, "LESSONS", tmp_path)
    after = builder.make_notebook(LESSONS[stem], TABLE, solved=True)
    changed = [
        a.id for a, b in zip(before.cells, after.cells, strict=True) if a.id != b.id
    ]
    assert len(changed) == 1


def _build_in(folder, monkeypatch):
    """Let the builder write into another folder."""
    monkeypatch.setattr(notebook, "NOTEBOOKS", folder)
    monkeypatch.setattr(make, "ROOT", folder.parent)


def test_a_notebook_that_somebody_edited_is_never_overwritten(tmp_path, monkeypatch):
    lesson = LESSONS[STEMS[0]]
    _build_in(tmp_path, monkeypatch)
    monkeypatch.setattr(state, "helpers_digest", lambda stem: "same")
    make.build(lesson, TABLE, solved=False, force=False, run_it=False)
    path = builder.target(lesson, False)
    book = nbformat.read(path, as_version=4)
    book.cells[3].source += "\n# my own work"
    nbformat.write(book, path)
    with pytest.raises(SystemExit, match="was edited by hand and is left as it is"):
        make.build(lesson, TABLE, solved=False, force=True, run_it=False)
    assert "my own work" in path.read_text(encoding="utf-8")


def test_an_old_notebook_is_built_again_and_a_current_one_is_not(
    tmp_path, monkeypatch, capsys
):
    lesson = LESSONS[STEMS[0]]
    _build_in(tmp_path, monkeypatch)
    digests = iter("aaab" + "b" * 9)
    monkeypatch.setattr(state, "helpers_digest", lambda stem: next(digests))
    for word in ("missing", "up to date", "old"):
        make.build(lesson, TABLE, solved=True, force=False, run_it=False)
        assert word in capsys.readouterr().out


def test_a_change_of_words_keeps_the_outputs_and_a_change_of_code_does_not(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(state, "helpers_digest", lambda stem: "same")
    cells = [nbformat.v4.new_markdown_cell("a"), nbformat.v4.new_code_cell("1 + 1")]
    cells[1].execution_count = 1
    book = nbformat.v4.new_notebook(cells=cells)
    book.metadata["vae_course"] = {"helpers": "same"}
    path = tmp_path / "a.ipynb"
    nbformat.write(book, path)
    book.cells[0].source = "other words"
    assert state.with_the_same_code(book, path, "stem")
    set_up = nbformat.v4.new_code_cell("another way to find the helpers")
    set_up.metadata["tags"] = ["setup"]
    book.cells[0] = set_up
    assert state.with_the_same_code(book, path, "stem")
    book.cells[1].source = "1 + 2"
    assert not state.with_the_same_code(book, path, "stem")
    monkeypatch.setattr(state, "helpers_digest", lambda stem: "other")
    book.cells[1].source = "1 + 1"
    assert not state.with_the_same_code(book, path, "stem")


def test_comments_and_docstrings_are_no_code():
    source = 'def f(x):\n    """Words."""\n    return x  # why "#"\n\n\ny = "# no"\n'
    same = 'def f(x):\n    # other words\n    return x\ny = "# no"'
    assert state.code_of(source) == state.code_of(same)
    assert state.code_of(source) != state.code_of(source.replace("no", "yes"))
    assert state.code_of("%time f(") == "%time f("


def test_results_of_the_sample_do_not_replace_those_of_the_full_data(monkeypatch):
    sample = types.SimpleNamespace(is_full=False)
    monkeypatch.setattr("vae_helpers.data.load_images", lambda name: sample)
    with pytest.raises(SystemExit, match="--sample-ok"):
        make.need_the_full_data()
    sample.is_full = True
    make.need_the_full_data()


def test_only_the_helpers_that_a_lesson_imports_make_it_old():
    source = (
        "from vae_helpers import plots\nfrom vae_helpers.checks import lesson03 as c"
    )
    names = {path.stem for path in state.helpers_of(source)}
    assert {"plots", "lesson03", "core"} <= names
    assert not {"lesson02", "training", "data"} & names


def test_long_cells_say_so_beforehand(tmp_path, monkeypatch):
    table, lesson = {**TABLE, "timings": {}}, LESSONS[STEMS[1]]
    shutil.copy(builder.LESSONS / "setup_cell.py", tmp_path)
    for module in (notebook, run):
        monkeypatch.setattr(module, "LESSONS", tmp_path)
    source = "# %% [markdown]\n# # A\n#\n# b\n\n# %%\nslow()\n\n# %%\nquick()\n"
    (tmp_path / f"{lesson['stem']}.py").write_text(source, encoding="utf-8")
    plain = builder.make_notebook(lesson, table, solved=False)
    slow = next(c.id for c in plain.cells if c.source == "slow()")
    run.remember_times(table, lesson["stem"], 40.0, {slow: 31.0, "other": 2.0})
    noted = builder.make_notebook(lesson, table, solved=False)
    sources = [cell.source for cell in noted.cells]
    at = sources.index("slow()")
    assert "takes about 30 s" in sources[at - 1]
    assert len(noted.cells) == len(plain.cells) + 1
    run.remember_times(table, lesson["stem"], 60.0, {slow: 45.0, "other": 6.0})
    stem_times = table["timings"][lesson["stem"]]
    assert stem_times == {"total": 40, "cells": {slow: 30, "other": 5}}


def test_a_long_cell_without_a_bar_is_refused():
    marks = {
        "iopub.execute_input": "2026-01-01T00:00:00.000000Z",
        "shell.execute_reply": "2026-01-01T00:00:20.000000Z",
    }
    cells = [nbformat.v4.new_code_cell(s) for s in ("work()", "import torch", "loop()")]
    for cell in cells:
        cell.metadata["execution"] = marks
    line = nbformat.v4.new_output("stream", text="training: 9 of 9 steps done.")
    cells[2].outputs = [line]
    (only,) = run.cells_without_a_bar(nbformat.v4.new_notebook(cells=cells))
    assert "runs 20 s without a bar" in only and "work()" in only


def test_stub_and_solution_markers():
    source = "def f(x):\n    ### BEGIN SOLUTION\n    return x\n    ### END SOLUTION"
    assert builder.to_stub(source) == (
        "def f(x):\n    # YOUR CODE HERE\n    raise NotImplementedError"
    )
    assert builder.to_solved(source) == "def f(x):\n    return x"
    with pytest.raises(ValueError, match="without ### END"):
        builder.to_stub("### BEGIN SOLUTION\nx = 1")


def test_learners_notebooks_do_not_leak_solutions():
    for stem in STEMS:
        solved = builder.make_notebook(LESSONS[stem], TABLE, solved=True)
        text = builder.target(LESSONS[stem], False).read_text(encoding="utf-8")
        assert "BEGIN SOLUTION" not in text
        for cell in solved.cells:
            if "exercise" in cell.metadata.get("tags", []):
                assert json.dumps(cell.source)[1:-1] not in text


def test_the_set_up_cell_does_nothing_here_and_explains_itself_elsewhere(tmp_path):
    source = builder.setup_cell({**TABLE, "repository": "https://example.org/none"})
    here = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True
    )
    assert (here.returncode, here.stdout, here.stderr) == (0, "", "")
    # What it says elsewhere, and when: tests/test_start.py.
    blocked = "import sys; sys.modules['vae_helpers'] = None\n"
    there = subprocess.run(
        [sys.executable, "-c", blocked + source],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert "Not installed here: vae_helpers. " in there.stderr


def test_links_point_to_the_repository_of_the_project():
    address = re.escape(TABLE["repository"].removeprefix("https://github.com/"))
    for stem, solved in BOTH:
        first = _built(stem, solved).cells[0].source
        assert re.search(rf"colab\.research\.google\.com/github/{address}/", first)
        assert re.search(rf"mybinder\.org/v2/gh/{address}/", first)


def test_a_caption_begins_the_words_of_its_figure():
    words = {"image/png": {"alt": "Figure. nats against step."}}
    page = '<img alt="Figure. nats against step." src="data:,">'
    output = nbformat.v4.new_output(
        "display_data", {"image/png": "", "text/html": page}, metadata=words
    )
    drawn = nbformat.v4.new_code_cell("plt.show()", outputs=[output])
    below = nbformat.v4.new_markdown_cell('**Figure 4.2. The *KL* "rises".** Left ...')
    book = nbformat.v4.new_notebook(cells=[drawn, below])
    for _ in range(2):  # a second build changes nothing
        publish.add_captions(book)
        (output,) = book.cells[0].outputs
        alt = 'Figure 4.2. The KL "rises". Figure. nats against step.'
        assert output.metadata["image/png"]["alt"] == alt
        assert (
            'alt="Figure 4.2. The KL &quot;rises&quot;. Fig' in output.data["text/html"]
        )


def test_plumbing_is_folded_and_what_is_taught_is_not():
    stem = "04_vae_in_pytorch"
    book = builder.make_notebook(LESSONS[stem], TABLE, solved=False)
    folded = [c for c in builder.code_cells(book) if c.metadata.get("jupyter")]
    assert folded[0].source.startswith("# @title Set-up")
    assert folded[0].metadata["cellView"] == "form"
    assert any("widgets.explore(" in cell.source for cell in folded)
    taught = {"exercise", "check", "definition"}
    assert not any(taught & set(cell.metadata.get("tags", [])) for cell in folded)


@each_notebook
def test_a_figure_carries_its_words_where_they_are_read(stem, solved):
    for cell in builder.code_cells(_built(stem, solved)):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                page = output.data["text/html"]
                alt = html.unescape(re.search(r'alt="([^"]*)"', page)[1])
                assert alt == output.metadata["image/png"]["alt"]


def test_a_drawing_is_added_without_a_training():
    cell = nbformat.v4.new_code_cell
    drawing = "from vae_helpers import drawings\n\ndrawings.show('vae')"
    old = nbformat.v4.new_notebook(cells=[cell("a = train()"), cell("a")])
    for number, each in enumerate(old.cells):
        each.outputs = [nbformat.v4.new_output("stream", text=str(number))]
    new = nbformat.v4.new_notebook(
        cells=[cell("a = train()"), cell(drawing), cell("a")]
    )
    run.move_outputs(old, new)
    assert [len(c.outputs) for c in new.cells] == [1, 0, 1]
    assert [run.is_answer(c) for c in new.cells] == [False, True, False]
    assert not notebook.is_drawing(cell("drawings.show('vae')\nb = a"))


def test_films_have_room_of_their_own():
    film = nbformat.v4.new_output(
        "display_data", {"text/html": "<picture>" + "x" * 9000}
    )
    cells = [nbformat.v4.new_code_cell("", outputs=[film])]
    book = nbformat.v4.new_notebook(cells=cells)
    assert 9000 < publish.films_size(book) < 9200
    assert publish.too_large(book, publish.SIZE_LIMIT + 9000) == ""
    assert "without its films" in publish.too_large(book, publish.SIZE_LIMIT + 9999)
    assert "with its films" in publish.too_large(
        nbformat.v4.new_notebook(cells=cells * 50), publish.WITH_FILMS + 1
    )
