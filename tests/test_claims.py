"""Expected panels and claims: what they say, what they rest on, and who is told."""

import ast
import json
import re
import subprocess

import list_sentences
import measure_claims
import nbformat
import pytest
import torch
from builder import run
from builder.state import computing, record_digest
from lesson_source import LESSONS, STEMS, TABLE, code_cells

from vae_helpers import claims, expected, records
from vae_helpers.data import ImageData
from vae_helpers.records import Run

ALWAYS = re.compile(r"\b(always|never|no|every|all|none)\b", re.IGNORECASE)
TEN = {"SIZE": 10, "LONGER": 1, "SEED": 0, "OTHER_SEEDS": [0, 1]}
SAID = "A is less than B."


def _data(full, name="MNIST"):
    t = torch.zeros(1)
    return ImageData(name, "a test", full, t, t, t, t, ("0",))


@pytest.fixture(autouse=True)
def _one_record(monkeypatch):
    """Lesson 99 was recorded: three seeds and a longer one on the full data."""
    found = [
        Run("full", 0, 1, TEN, {"loss": 10.0}, {SAID: True}),
        Run("full", 1, 1, TEN, {"loss": 11.0}, {SAID: True}),
        Run("full", 2, 1, TEN, {"loss": 12.0}, {SAID: True}),
        Run("full", 0, 4, {**TEN, "LONGER": 4}, {"loss": 2.0}, {SAID: False}),
    ]
    known = records.runs
    monkeypatch.setattr(records, "runs", lambda n: found if n == "99" else known(n))
    monkeypatch.delenv("VAE_COURSE_STRICT", raising=False)
    monkeypatch.delenv("VAE_COURSE_RECORD", raising=False)


def _cell(source, **names):
    """The value of the last line of a notebook cell with these names."""
    names = {"expected": expected.expected, "claims": claims, **names}
    return eval(compile(source, "cell", "eval"), names)


EXPECTED = "expected('99', data, {'loss': value})"
CLAIMED = "claims.show('99', data, {'A is less than B.': value})"


def _expected(value, full=True, name="MNIST", **settings):
    return _cell(EXPECTED, data=_data(full, name), value=value, **(TEN | settings))


def _claimed(value, full=True, name="MNIST", **settings):
    return _cell(CLAIMED, data=_data(full, name), value=value, **(TEN | settings))


# --- expected panels -------------------------------------------------------------------


def test_a_band_is_three_times_the_range_of_the_seeds_or_two_per_cent():
    assert expected.band([100.0, 101.0, 104.0]) == (96.0, 108.0)
    assert expected.band([100.0, 100.0, 100.0]) == (98.0, 102.0)


def test_a_panel_says_inside_outside_or_not_measured():
    inside = _expected(11.5)
    assert inside.inside and "✓ inside" in repr(inside)
    outside = _expected(30.0)
    assert not outside.inside and "outside the band" in outside._repr_html_()
    assert "table of symptoms" in repr(outside)
    assert "not measured" in repr(_expected(30.0, full=False))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": "FashionMNIST"}, "recorded for MNIST; nothing"),
        ({"SIZE": 3}, r"recorded for SIZE = 10 \(here 3\); nothing"),
        ({"LONGER": 4}, r"recorded for LONGER = 1 \(here 4\); nothing"),
    ],
)
def test_a_panel_judges_nothing_of_other_images_or_settings(changed, words):
    panel = _expected(30.0, **changed)
    assert panel.inside and re.search(words, repr(panel))
    for word in ("outside", "inside", "not measured"):
        assert word not in panel._repr_html_()


def test_seeds_and_new_names_are_no_other_settings():
    assert _expected(11.5, SEED=7, OTHER_SEEDS=(5,), NEW_NAME=3).recorded_for == ""


def test_in_the_gate_a_number_outside_its_band_stops_the_notebook(monkeypatch):
    monkeypatch.setenv("VAE_COURSE_STRICT", "1")
    assert _expected(11.5).inside
    for full, words in [(True, "outside the band"), (False, "not measured")]:
        with pytest.raises(expected.OutsideBand, match=words):
            _expected(30.0, full=full)


# --- claims ----------------------------------------------------------------------------


def test_a_claim_says_what_holds_here_and_in_which_recorded_runs_it_failed():
    text = repr(_claimed(True))
    assert "✓ holds. A is less than B." in text
    assert "held in 3 of 4; not: full data, seed 0, 4 times as long" in text
    assert "✗ here it does not" in _claimed(False)._repr_html_()
    assert "not asked here" in repr(_claimed(None))


def test_a_claim_accepts_what_a_comparison_of_tensors_gives():
    here = _claimed(torch.tensor(1.0) < 2).claims[0].here
    assert here is True


def test_other_images_and_settings_are_named_beside_the_record():
    assert "recorded with MNIST" in repr(_claimed(True, name="FashionMNIST"))
    assert "recorded with SIZE = 10 (here 3)" in repr(_claimed(True, SIZE=3))


def test_in_the_gate_a_claim_that_turned_or_has_no_record_stops_the_notebook(
    monkeypatch,
):
    monkeypatch.setenv("VAE_COURSE_STRICT", "1")
    _claimed(True), _claimed(None), _claimed(False, SIZE=3)
    _claimed(False, LONGER=4)  # the record of long runs says the same
    with pytest.raises(claims.Turned, match="here it does not"):
        _claimed(False)
    with pytest.raises(claims.Turned, match="here it does not"):  # it needs no images
        _cell(CLAIMED, data=None, value=False, **TEN)
    with pytest.raises(claims.Turned, match="not recorded"):
        _cell("claims.show('99', data, {'Else.': True})", data=_data(True), **TEN)


def test_what_panels_see_can_be_recorded(monkeypatch, tmp_path):
    path = tmp_path / "record.jsonl"
    monkeypatch.setenv("VAE_COURSE_RECORD", str(path))
    _expected(30.0), _claimed(None)
    numbers, claimed = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert (numbers["kind"], numbers["values"]) == ("numbers", {"loss": 30.0})
    assert (claimed["kind"], claimed["values"]) == ("claims", {SAID: None})
    assert claimed["settings"] == TEN and claimed["source"] == "full"


def test_the_builder_draws_panels_anew_when_only_the_record_changed():
    cells = []
    for panel in (_expected(30.0), _claimed(True)):
        data, metadata = panel._repr_mimebundle_()
        old = {"text/html": "old", "text/plain": "old"}
        output = nbformat.v4.new_output("display_data", old, metadata=metadata)
        cells.append(nbformat.v4.new_code_cell("", outputs=[output]))
        assert data["text/plain"] == repr(panel)
    book = nbformat.v4.new_notebook(cells=cells)
    run.draw_panels(book)
    assert "outside the band" in book.cells[0].outputs[0].data["text/plain"]
    assert "in 3 of 4" in book.cells[1].outputs[0].data["text/html"]


def test_a_panel_keeps_its_order_in_a_file_that_sorts_keys():
    panel = claims.show("04", None, {"Zebras win.": True, "Apes win.": True})
    saved = json.loads(json.dumps(panel.memory, sort_keys=True))
    assert repr(claims.from_memory(saved)) == repr(panel)
    assert repr(panel).index("Zebras") < repr(panel).index("Apes")


def test_a_review_shows_what_the_records_say_and_insists_on_them(monkeypatch):
    known = ("99", SAID)
    panel = claims.review(known, ("99", "Zebras win."))
    assert "held in 3 of 4" in repr(panel)
    assert "Zebras win. [not recorded]" in repr(panel)
    number = claims.review(("99", "loss"))
    assert number.rows == [("99", "loss", "10 to 12 (full data)")]
    data, metadata = panel._repr_mimebundle_()
    assert claims.review_from_memory(metadata["vae_course"]) == panel
    assert data["text/html"].count("<tr>") == 3
    monkeypatch.setenv("VAE_COURSE_STRICT", "1")
    assert claims.review(known)
    with pytest.raises(claims.Turned, match="Zebras"):
        claims.review(("99", "Zebras win."))


# --- the records of the course -----------------------------------------------------------


def _sentences(stem):
    """The claims in a lesson's source; they must be plain strings."""
    found = []
    for source in code_cells(stem):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "claims.show":
                number, _, table = node.args
                assert number.value == stem[:2], (
                    f"{stem} shows claims of {number.value}"
                )
                assert all(isinstance(key, ast.Constant) for key in table.keys), stem
                found.append([key.value for key in table.keys])
    return found


WITH_CLAIMS = [stem for stem in STEMS if _sentences(stem)]
each_with_claims = pytest.mark.parametrize("stem", WITH_CLAIMS)


@each_with_claims
def test_a_lesson_has_five_panels_at_most_and_no_claim_twice(stem):
    panels = _sentences(stem)
    everything = sum(panels, [])
    assert len(panels) <= 5 and len(set(everything)) == len(everything)
    assert all(sentence.endswith(".") for sentence in everything)


@each_with_claims
def test_the_record_belongs_to_the_code_of_today(stem):
    path = records.FOLDER / f"{stem[:2]}.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["code"] == record_digest(stem), (
        f"what lesson {stem[:2]} computes has changed since its claims were recorded: "
        f"make claims LESSON={stem[:2]}"
    )
    runs = {(r["source"], r["seed"], r["longer"]) for r in record["runs"]}
    assert runs == set(measure_claims.RUNS)
    for entry in record["runs"]:
        assert entry["settings"] and entry["versions"]["torch"] and entry["date"]


@each_with_claims
def test_every_claim_is_recorded_and_mostly_holds(stem):
    recorded = records.runs(stem[:2])
    for sentence in sum(_sentences(stem), []):
        told = [run.claims.get(sentence, "missing") for run in recorded]
        assert "missing" not in told, f"not recorded: {sentence}"
        held, failed = told.count(True), told.count(False)
        assert held > 2 * failed, f"in {held} of {held + failed} runs: {sentence}"


@each_with_claims
def test_a_sentence_without_exception_has_none_in_the_record(stem):
    for sentence in filter(ALWAYS.search, sum(_sentences(stem), [])):
        failed = [str(r) for r in records.runs(stem[:2]) if r.claims[sentence] is False]
        assert not failed, f"{sentence} But not: {failed}"


def test_bands_have_three_seeds_on_both_sources():
    for stem in STEMS:
        recorded = records.runs(stem[:2])
        for name in {name for one in recorded for name in one.numbers}:
            for source in ("full", "sample"):
                values = expected.measured(stem[:2], name, source)
                assert len(values) >= 3, (stem, name, source)


@pytest.mark.parametrize("stem", STEMS)
def test_the_builder_and_make_claims_find_the_settings_that_they_change(stem):
    lengths = measure_claims.has_lengths(stem)
    assert lengths or stem not in WITH_CLAIMS, f"{stem} has no line LONGER = 1"
    book = measure_claims.prepared(LESSONS[stem], TABLE, 5, 4 if lengths else 1)
    text = "\n".join(cell.source for cell in book.cells)
    assert "\nSEED = 5" in text or text.startswith("SEED = 5")
    assert not lengths or re.search(r"^LONGER = 4 ", text, re.MULTILINE)


# --- what makes a record old -------------------------------------------------------------

CELL = """figure, axes = plots.panels(2)
for ax in axes:
    ax.plot(x, y)
    total.append(y)
claims.show("04", digits, {
    "a sentence "
    "in two lines": a < b,
})
training.fit(model, x)
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ax.plot(x, y)", 'ax.plot(x, y, "k--")\n    ax.set_title("a")'),
        ('"a sentence "\n    "in two lines"', '"another sentence"'),
        ("plots.panels(2)", "plots.panels(2, sharey=True)"),
        ("training.fit(model, x)", "training.fit(model, x)  # a comment"),
        ("training.fit(model, x)", "print(f'{total}')\ntraining.fit(model, x)"),
        (
            "training.fit(model, x)",
            "training.fit(model, x)\nclaims.review(('04', 'A'))",
        ),
        (
            "training.fit(model, x)",
            "from vae_helpers import predict\npredict.guess('a', 1)\n"
            "training.fit(model, x)\npredict.truth('a', y.mean())",
        ),
    ],
)
def test_drawing_printing_and_words_leave_a_record_as_it_is(old, new):
    assert old in CELL and computing(CELL.replace(old, new)) == computing(CELL)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a < b", "a < 2 * b"),
        ("total.append(y)", "total.append(2 * y)"),
        ("fit(model, x)", "fit(model, x, steps=3)"),
    ],
)
def test_a_change_of_what_is_computed_makes_a_record_old(old, new):
    assert old in CELL and computing(CELL.replace(old, new)) != computing(CELL)


# --- make claims and make sentences ------------------------------------------------------


def test_make_claims_goes_on_where_it_stopped(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(measure_claims, "ROOT", tmp_path)
    monkeypatch.setattr(measure_claims, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(measure_claims, "has_lengths", lambda stem: True)
    monkeypatch.setattr(measure_claims, "record_digest", lambda stem: "code")
    broken, started = {("full", 1, 1)}, []

    def instead(line, **_options):
        source, seed, longer, target = line[-4:]
        started.append((source, int(seed), int(longer)))
        if started[-1] in broken:
            return subprocess.CompletedProcess(line, 1, "", "it broke here")
        found = {"source": source, "seed": int(seed), "longer": int(longer)}
        path = measure_claims.Path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found | {"claims": {SAID: longer == "1"}}))
        return subprocess.CompletedProcess(line, 0, "", "")

    monkeypatch.setattr(measure_claims.subprocess, "run", instead)
    with pytest.raises(SystemExit, match="only 7 of 8 runs ended"):
        measure_claims.measure("04_x", measure_claims.RUNS, 1)
    assert "it broke here" in capsys.readouterr().out and len(started) == 8
    broken.clear()
    measure_claims.measure("04_x", measure_claims.RUNS, 1)
    assert started[8:] == [("full", 1, 1)]
    assert f"6 of 8: {SAID}" in capsys.readouterr().out
    record = json.loads((tmp_path / "records" / "04.json").read_text())
    assert record["code"] == "code" and len(record["runs"]) == 8


def test_the_list_of_comparing_sentences_is_that_of_today():
    """Read each new one: is it a claim, proved, or weakened to what was seen?"""
    path = list_sentences.TARGET
    assert path.read_text(encoding="utf-8") == list_sentences.listing(), (
        "make sentences"
    )


def test_sentences_that_compare_are_found_and_tables_are_not():
    text = "The VAE wins.\n\n| a | is better |\n\nIt has ten rows. **Is it best?**\n- less than b"
    assert list_sentences.sentences(text) == ["The VAE wins.", "less than b"]
