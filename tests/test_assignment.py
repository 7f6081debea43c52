"""Assignments, variants, repairs and tables, without running nbgrader."""

import copy
import io
import json
import random
import re
import sys
from contextlib import redirect_stderr
from pathlib import Path
from types import SimpleNamespace

import _grading_lesson as lessons
import _grading_repair as repairs
import _grading_report as report
import _grading_variants as variants
import builder
import make_assignment
import nbformat
import pytest
from lesson_source import STEMS

from vae_helpers.checks import graded

ROOT = Path(__file__).resolve().parents[1]
INSTRUCTOR = ROOT / "instructor"
OPTIONS = SimpleNamespace(variant=None, extension=False, whole=False, hints=True)


@pytest.fixture(autouse=True)
def the_same_checks_afterwards():
    """A graded cell loads the checks anew; other tests hold on to the first classes."""
    package = "vae_helpers.checks."
    before = {n: m for n, m in sys.modules.items() if n.startswith(package)}
    contents = {name: dict(vars(module)) for name, module in before.items()}
    yield
    for name in [n for n in sys.modules if n.startswith(package)]:
        if name in before:
            vars(before[name]).clear()
            vars(before[name]).update(contents[name])
        else:
            del sys.modules[name]


def _options(**changes):
    return SimpleNamespace(**{**vars(OPTIONS), **changes})


@pytest.fixture(scope="module")
def assignment():
    """Lesson 03 with the example overlay, as students get it."""
    overlay = make_assignment.load_overlay(INSTRUCTOR / "overlay_example.py")
    lesson = lessons.find_lesson("03")
    book, facts = make_assignment.make_source(lesson, "03_elbo", overlay, OPTIONS)
    released = copy.deepcopy(book)
    for cell in released.cells:
        if cell.cell_type == "code":
            cell.source = builder.to_stub(cell.source)
            cell.source = re.sub(
                r"### BEGIN HIDDEN.*### END HIDDEN TESTS", "", cell.source, flags=re.S
            )
    return book, facts, released


# Lessons ------------------------------------------------------------------------------


@pytest.mark.parametrize("stem", STEMS)
def test_every_exercise_has_points_and_core_ones_a_check(stem):
    found = lessons.read_exercises(lessons.find_lesson(stem))
    assert found
    for exercise in found:
        assert exercise.number.startswith(stem[:2])
        assert exercise.minutes > 0
        if exercise.importance == "core":
            assert exercise.check and exercise.answer and exercise.names


def test_a_lesson_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="no lesson '42'; the lessons are 00, 01"):
        lessons.find_lesson("42")


@pytest.mark.parametrize("stem", STEMS)
def test_an_assignment_has_no_training_and_no_solution(stem):
    lesson = lessons.find_lesson(stem)
    book, _ = make_assignment.make_source(lesson, stem, {}, OPTIONS)
    code = "\n".join(builder.to_stub(c.source) for c in book.cells)
    assert "load_images(" not in code and "training.fit(" not in code
    for exercise in lessons.read_exercises(lesson):
        for line in exercise.answer.split("### BEGIN SOLUTION")[1:]:
            secret = line.split("### END")[0].strip().splitlines()[0].split("#")[0]
            assert secret.strip() not in code


def test_names_of_graded_cells_are_unique_and_locked(assignment):
    book, facts, _ = assignment
    names = [repairs.name_of(c) for c in book.cells if repairs.name_of(c)]
    assert len(names) == len(set(names))
    for cell in book.cells:
        meta = cell.metadata.get("nbgrader")
        if meta and not meta.solution:
            assert meta.locked
    assert facts["exercises"]["03.1"]["points"] == 6
    assert facts["exercises"]["03.1"]["hidden"] == [1, 1]
    assert "03.4" not in facts["exercises"]


def test_a_whole_lesson_keeps_its_cells():
    lesson = lessons.find_lesson("00")
    book, _ = make_assignment.make_source(lesson, "x", {}, _options(whole=True))
    text = "\n".join(cell.source for cell in book.cells)
    assert "## Break it" in text and "graded.points(" in text
    assert "\ncheck.scale_pixels(" not in text


def test_an_open_exercise_has_room_for_an_answer_that_a_person_grades():
    lesson = lessons.find_lesson("01")
    book, facts = make_assignment.make_source(lesson, "x", {}, _options(extension=True))
    assert facts["exercises"]["01.4"]["manual"] and facts["exercises"]["01.4"]["bonus"]
    cell = next(c for c in book.cells if repairs.name_of(c) == "text-01-4")
    assert cell.metadata.nbgrader.grade and cell.metadata.nbgrader.solution


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        ({"POINTS": {"04.1": 3}}, "POINTS names 04.1; the exercises of this lesson"),
        ({"LEAVE_OUT": ["03.1", "03.2", "03.3", "03.4"]}, "No exercise is left"),
    ],
)
def test_a_wrong_overlay_is_refused(overlay, words):
    lesson = lessons.find_lesson("03")
    with pytest.raises(ValueError, match=words):
        make_assignment.make_source(lesson, "x", overlay, OPTIONS)


def test_bad_arguments_get_an_answer_and_no_traceback(tmp_path, capsys):
    to = ["--to", str(tmp_path)]
    assert make_assignment.main(["03", "--overlay", str(tmp_path / "no.py"), *to]) == 2
    assert "There is no overlay file" in capsys.readouterr().err
    assert make_assignment.main(["03", "--name", "a/b", *to]) == 2
    assert "letters, digits, _ and - only; got 'a/b'" in capsys.readouterr().err
    assert make_assignment.main(["00", "--variant", "1", *to]) == 2
    assert "Lesson 00 has no variants" in capsys.readouterr().err


def _prove(number, folder, **changes):
    lesson = lessons.find_lesson(number)
    book, facts = make_assignment.make_source(lesson, "x", {}, _options(**changes))
    make_assignment.prepare_course(folder)
    text = json.dumps(facts)
    (folder / "private" / "x.json").write_text(text, encoding="utf-8")
    make_assignment.prove(book, facts, folder / "private")
    return book, facts


@pytest.mark.slow
@pytest.mark.parametrize("stem", STEMS)
def test_the_key_has_all_points_and_the_stubs_none(stem, tmp_path):
    _prove(stem, tmp_path, extension=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", ["02", "03", "04"])
def test_variants_are_proven_too(number, tmp_path):
    _, facts = _prove(number, tmp_path, variant="secret")
    assert facts["sealed"]


def test_a_proof_that_fails_leaves_the_course_as_it_was(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise ValueError("The key of exercise 00.1 gets nothing")

    private = tmp_path / "private"
    private.mkdir()
    (private / "start.json").write_text("old", encoding="utf-8")
    monkeypatch.setattr(make_assignment, "prove", refuse)
    for name in ("start", "new"):
        assert make_assignment.main(["00", "--name", name, "--to", str(tmp_path)]) == 2
    assert (private / "start.json").read_text(encoding="utf-8") == "old"
    assert not (private / "new.json").exists() and not (tmp_path / "source").exists()


def test_the_command_says_what_an_overlay_leaves_unused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(make_assignment, "prove", lambda *arguments: None)
    overlay = str(ROOT / "instructor" / "overlay_example.py")
    arguments = ["03", "--overlay", overlay, "--variant", "s", "--to", str(tmp_path)]
    assert make_assignment.main(arguments) == 0
    said = capsys.readouterr().out
    assert "Left out by the overlay: 03.4." in said
    assert "hidden tests of 03.1 are not used" in said
    assert "points without a bonus" in said


def test_a_key_that_is_wrong_is_found(tmp_path):
    lesson = lessons.find_lesson("00")
    book, facts = make_assignment.make_source(lesson, "x", {}, OPTIONS)
    for cell in book.cells:
        cell.source = cell.source.replace("/ 255", "/ 256")
    with pytest.raises(ValueError, match=r"The key of exercise 00.1 gets \[0.*needed"):
        make_assignment.prove(book, facts, tmp_path)


# Variants -----------------------------------------------------------------------------

MAKERS = [
    (number, make)
    for lesson in ("02", "03", "04")
    for number, make in variants.load_variants(lesson, {}).items()
]


def _public_solution(number):
    found = lessons.read_exercises(lessons.find_lesson(number[:2]))
    return next(e for e in found if e.number == number)


def test_three_lessons_have_variants():
    assert len({number[:2] for number, _ in MAKERS}) >= 3


@pytest.mark.parametrize(("number", "make"), MAKERS)
def test_a_variant_is_solved_by_its_key_alone(number, make):
    tasks = set()
    for seed in range(12):
        variant = variants.make_variant(make, number, str(seed))
        assert variant == variants.make_variant(make, number, str(seed))._replace(
            cases=variant.cases, mistakes=variant.mistakes
        )
        tasks.add(variant.task)
        sealed = variants.seal(variant, number, str(seed), 2)
        key = variants.key_function(variant)
        assert graded.sealed_verdict(sealed, key).status == "right"
        stub = variants.run_source(builder.to_stub(variant.answer))[variant.name]
        assert graded.sealed_verdict(sealed, stub).status == "not attempted"
    assert len(tasks) >= 6, "seeds give too few different tasks"


@pytest.mark.parametrize(("number", "make"), MAKERS)
def test_a_variant_names_its_mistakes_and_the_published_answer(number, make):
    variant = variants.make_variant(make, number, "5")
    sealed = variants.seal(variant, number, "5", 4)
    said = []
    for mistake, diagnosis in variant.mistakes:
        verdict = graded.sealed_verdict(sealed, mistake)
        assert verdict.status == "wrong"
        assert verdict.message == diagnosis
        said.append(diagnosis)
    assert len(said) >= 7 and len(set(said)) == len(said)


@pytest.mark.parametrize(("number", "make"), MAKERS)
def test_a_sealed_check_holds_no_solution(number, make):
    variant = variants.make_variant(make, number, "5")
    sealed = variants.seal(variant, number, "5", 4)
    text = json.dumps(graded.unseal(sealed))
    assert len(sealed) < 20_000
    for line in variant.answer.split("### BEGIN SOLUTION")[1].splitlines()[1:-1]:
        assert line.split("#")[0].strip() not in text
    assert not re.search(r"\*\*|lambda|torch\.|math\.", text)


def test_other_inputs_are_hidden_than_shown():
    number, make = MAKERS[0]
    variant = variants.make_variant(make, number, "5")
    shown, hidden = (
        graded.unseal(variants.seal(variant, number, "5", n)) for n in (4, 12)
    )
    assert shown["cases"][0] != hidden["cases"][0]


def test_a_mistake_that_is_right_is_refused():
    number, make = MAKERS[0]
    variant = variants.make_variant(make, number, "5")
    same = variant._replace(mistakes=[(variants.key_function(variant), "nothing")])
    with pytest.raises(ValueError, match="this mistake is no mistake: nothing"):
        variants.seal(same, number, "5", 3)


def test_a_variant_depends_on_the_seed_alone():
    number, make = MAKERS[0]
    random.seed(1)
    first = variants.make_variant(make, number, "7").task
    random.seed(2)
    assert variants.make_variant(make, number, "7").task == first


# Points -------------------------------------------------------------------------------


def _kl(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


KL = "lesson03.kl_to_standard_normal"


def test_points_are_one_number_between_nothing_and_all(capsys):
    assert graded.points(KL, _kl, out_of=6) == 6
    assert graded.points(KL, lambda m, v: -_kl(m, v), out_of=6) == 0
    shares = {"carry no gradient": 0.5, "values are right": 0.25}
    half = graded.points(KL, lambda m, v: _kl(m, v).detach(), out_of=6, shares=shares)
    assert half == 3
    assert "carry no gradient" in capsys.readouterr().out


def test_a_replaced_check_does_not_count():
    from vae_helpers.checks import lesson03

    before = lesson03.kl_to_standard_normal
    lesson03.kl_to_standard_normal = lambda answer: None
    assert graded.points(KL, _kl, out_of=6) == 6
    assert lesson03.kl_to_standard_normal is not before  # loaded again


def test_warnings_of_an_answer_do_not_reach_stderr():
    def noisy(mu, logvar):
        print("careful", file=sys.stderr)
        return _kl(mu, logvar)

    with redirect_stderr(io.StringIO()) as said:
        assert graded.points(KL, noisy, out_of=1) == 1
    assert said.getvalue() == ""


def test_an_interrupt_is_not_swallowed():
    def hangs(mu, logvar):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        graded.points(KL, hangs, out_of=1)


# Repairs ------------------------------------------------------------------------------


def _named(book, name):
    return next(c for c in book.cells if repairs.name_of(c) == name)


def _submit(assignment, change):
    released = assignment[2]
    book = copy.deepcopy(released)
    change(book)
    before = copy.deepcopy(book)
    repaired = repairs.repair(released, book)
    assert book == before, "the submission was changed"
    wanted = [repairs.name_of(c) for c in released.cells if repairs.name_of(c)]
    got = [repairs.name_of(c) for c in repaired.book.cells if repairs.name_of(c)]
    assert got == wanted
    return repaired


def test_an_untouched_notebook_is_not_attempted(assignment):
    repaired = _submit(assignment, lambda book: None)
    assert not repaired.attempted and not repaired.flags and not repaired.notes


def test_cells_are_recognised_without_metadata(assignment):
    def strip(book):
        _named(book, "answer-03-1").source = "def kl_closed_form(mu, logvar):\n    (1"
        for cell in book.cells:
            cell.metadata = nbformat.NotebookNode({})

    repaired = _submit(assignment, strip)
    assert repaired.attempted == {"03.1"}
    assert "lost their names" in repaired.notes[""][0]


def test_the_last_cell_with_work_counts(assignment):
    def change(book):
        cell = _named(book, "answer-03-1")
        again = copy.deepcopy(cell)
        cell.source = "def kl_closed_form(mu, logvar):\n    return 1"
        book.cells.insert(book.cells.index(cell) + 1, again)  # the stub once more

    repaired = _submit(assignment, change)
    assert "return 1" in _named(repaired.book, "answer-03-1").source


def test_a_scratch_cell_below_does_not_replace_the_answer(assignment):
    def change(book):
        cell = _named(book, "answer-03-1")
        cell.source = "def kl_closed_form(mu, logvar):\n    return 1"
        text = "def kl_closed_form(mu, logvar):\n    return 2"
        at = book.cells.index(_named(book, "check-03-1"))
        book.cells.insert(at + 1, nbformat.v4.new_code_cell(text))

    repaired = _submit(assignment, change)
    assert "return 1" in _named(repaired.book, "answer-03-1").source


def test_a_comment_in_a_check_cell_is_no_tampering(assignment):
    def change(book):
        _named(book, "check-03-1").source += "\n# solved!"

    assert not _submit(assignment, change).flags


def test_another_notebook_is_refused(assignment):
    other = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    with pytest.raises(ValueError, match="no cell of this assignment"):
        repairs.repair(assignment[2], other)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("check = None", "redefines check"),
        ("def graded():\n    pass", "redefines graded"),
        ("graded.points = print", "changes graded.points"),
        ("import sys\nsys.modules.clear()", "mentions sys.modules"),
        ("get_ipython().run_cell('x')", "mentions get_ipython"),
        ("import vae_helpers.checks.lesson03", "imports the checks"),
        ("open('../solutions/03_elbo.ipynb')", "mentions solutions/"),
        ("!cat ../x", "runs '!cat ../x'"),
        ("setattr(x, 'points', 1)", "calls setattr"),
    ],
)
def test_what_reaches_for_the_checks_is_flagged(source, words):
    assert any(words in reason for reason in repairs.suspicious(source, set()))


@pytest.mark.parametrize(
    "source",
    [
        "x = check.kl_to_standard_normal(f)",
        "%matplotlib inline\nimport math",
        "# get_ipython and sys.modules are only mentioned here",
        "checked = 1",
        "!pip install torch",
        "def f(:",
    ],
)
def test_harmless_cells_are_not_flagged(source):
    assert repairs.suspicious(source, set()) == []


# Tables -------------------------------------------------------------------------------


def test_no_cell_of_a_table_is_a_formula():
    assert report.safe(["=1+1", "@x", 3, None, "a"]) == ["'=1+1", "'@x", 3, None, "a"]


def test_names_with_anything_in_them_become_folder_names():
    import grade

    students = ["Ünal, Ada", "a+b", "a b", "plain"]
    table = grade.slugs(students)
    assert len(set(table.values())) == 4 and table["plain"] == "plain"
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", slug) for slug in table.values())


def test_a_folder_that_holds_nothing_is_named(tmp_path):
    import grade

    with pytest.raises(ValueError, match="neither folders nor notebooks"):
        grade.find_submissions(tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        grade.find_submissions(tmp_path / "no")


def test_a_change_of_a_hidden_test_is_seen(tmp_path):
    import grade

    make_assignment.prepare_course(tmp_path)
    before = grade.digest(*grade.guarded(tmp_path))
    path = tmp_path / "private" / "course_hidden_tests.py"
    path.write_text("def symptom(*a):\n    return ''\n", encoding="utf-8")
    assert grade.digest(*grade.guarded(tmp_path)) != before


# Guides -------------------------------------------------------------------------------


@pytest.mark.parametrize("stem", STEMS)
def test_every_lesson_has_a_guide_whose_quotes_are_true(stem):
    text = (INSTRUCTOR / f"lesson_{stem[:2]}.md").read_text(encoding="utf-8")
    source = ROOT / "vae_helpers" / "checks" / f"lesson{stem[:2]}.py"
    # Adjacent strings are one: take quotes and line ends between them out.
    said = re.sub(r'"\s*\n\s*f?"', "", source.read_text(encoding="utf-8"))
    rows = re.findall(r'^\| (\d\d\.\d) \| "(.+?)" \|', text, re.MULTILINE)
    assert rows
    for number, words in rows:
        assert number.startswith(stem[:2])
        assert words in said, f"no check says {words!r}"
    numbers = {e.number for e in lessons.read_exercises(lessons.find_lesson(stem))}
    assert set(re.findall(r"\b\d\d\.\d\b", text)) <= numbers | {"0.1"}


def test_links_of_the_guides_are_alive():
    for path in INSTRUCTOR.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert (path.parent / link).exists(), f"{path.name}: {link}"


def test_a_wrong_answer_looks_and_reads_unlike_a_right_one():
    right = {
        "points": 3,
        "out_of": 3,
        "status": "graded",
        "says": "right.",
        "notes": [],
    }
    wrong = right | {"points": 0, "says": "wrong. The sign is flipped."}
    part = right | {"points": 1.5, "says": "No gradient."}
    colours, words = zip(*map(report._verdict, (right, wrong, part)), strict=True)
    assert len(set(colours)) == 3
    assert list(words) == [
        "graded: right",
        "graded: wrong",
        "graded: right in part",
    ]
    line = report.comment({"exercises": {"03.1": wrong, "03.2": right}})
    assert line == "03.1: 0/3 graded (wrong. The sign is flipped.); 03.2: 3/3 graded"
