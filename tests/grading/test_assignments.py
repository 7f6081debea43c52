"""A lesson becomes an assignment: exercises, points, proof; nbgrader is not needed."""

import json
import sys
import tomllib

import pytest
from classroom import with_options
from lesson_source import STEMS

from grading import assignment as making
from grading.lesson import INSTRUCTOR, builder, find_lesson, read_exercises
from grading.names import name_of


@pytest.mark.parametrize("stem", STEMS)
def test_every_exercise_has_points_and_core_ones_a_check(stem):
    found = read_exercises(find_lesson(stem))
    assert found
    for exercise in found:
        assert exercise.number.startswith(stem[:2])
        assert exercise.minutes > 0
        if exercise.importance == "core":
            assert exercise.check and exercise.answer and exercise.names


def test_a_lesson_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="no lesson '42'; the lessons are 00, 01"):
        find_lesson("42")


@pytest.mark.parametrize("stem", STEMS)
def test_an_assignment_has_no_training_and_no_solution(stem):
    lesson = find_lesson(stem)
    book, _ = making.make_source(lesson, stem, {}, with_options())
    code = "\n".join(builder.to_stub(c.source) for c in book.cells)
    assert "load_images(" not in code and "training.fit(" not in code
    for exercise in read_exercises(lesson):
        for line in exercise.answer.split("### BEGIN SOLUTION")[1:]:
            secret = line.split("### END")[0].strip().splitlines()[0].split("#")[0]
            assert secret.strip() not in code


def test_names_of_graded_cells_are_unique_and_locked(example):
    book, facts, _ = example
    names = [name_of(c) for c in book.cells if name_of(c)]
    assert len(names) == len(set(names))
    for cell in book.cells:
        meta = cell.metadata.get("nbgrader")
        if meta and not meta.solution:
            assert meta.locked
    assert facts["exercises"]["03.1"]["points"] == 6
    assert facts["exercises"]["03.1"]["hidden"] == [1, 1]
    assert "03.4" not in facts["exercises"]


def test_a_whole_lesson_keeps_its_cells():
    lesson = find_lesson("00")
    book, _ = making.make_source(lesson, "x", {}, with_options(whole=True))
    text = "\n".join(cell.source for cell in book.cells)
    assert "## Break it" in text and "sealed.points(" in text
    assert "\ncheck.scale_pixels(" not in text


def test_an_open_exercise_has_room_for_an_answer_that_a_person_grades():
    lesson = find_lesson("01")
    book, facts = making.make_source(lesson, "x", {}, with_options(extension=True))
    assert facts["exercises"]["01.5"]["manual"] and facts["exercises"]["01.5"]["bonus"]
    cell = next(c for c in book.cells if name_of(c) == "text-01-5")
    assert cell.metadata.nbgrader.grade and cell.metadata.nbgrader.solution


@pytest.mark.parametrize(
    ("overlay", "words"),
    [
        ({"POINTS": {"04.1": 3}}, "POINTS names 04.1; the exercises of this lesson"),
        (
            {"LEAVE_OUT": ["03.1", "03.2", "03.3", "03.4", "03.5"]},
            "No exercise is left",
        ),
    ],
)
def test_a_wrong_overlay_is_refused(overlay, words):
    lesson = find_lesson("03")
    with pytest.raises(ValueError, match=words):
        making.make_source(lesson, "x", overlay, with_options())


def test_bad_arguments_get_an_answer_and_no_traceback(tmp_path, capsys):
    to = ["--to", str(tmp_path)]
    assert making.main(["03", "--overlay", str(tmp_path / "no.py"), *to]) == 2
    assert "There is no overlay file" in capsys.readouterr().err
    assert making.main(["03", "--name", "a/b", *to]) == 2
    assert "letters, digits, _ and - only; got 'a/b'" in capsys.readouterr().err
    assert making.main(["00", "--variant", "1", *to]) == 2
    assert "Lesson 00 has no variants" in capsys.readouterr().err


def _prove(number, folder, **changes):
    lesson = find_lesson(number)
    book, facts = making.make_source(lesson, "x", {}, with_options(**changes))
    making.prepare_course(folder)
    text = json.dumps(facts)
    (folder / "private" / "x.json").write_text(text, encoding="utf-8")
    making.prove(book, facts, folder / "private")
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
    monkeypatch.setattr(making, "prove", refuse)
    for name in ("start", "new"):
        assert making.main(["00", "--name", name, "--to", str(tmp_path)]) == 2
    assert (private / "start.json").read_text(encoding="utf-8") == "old"
    assert not (private / "new.json").exists() and not (tmp_path / "source").exists()


def test_the_command_says_what_an_overlay_leaves_unused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(making, "prove", lambda *arguments: None)
    overlay = str(INSTRUCTOR / "overlay_example.py")
    arguments = ["03", "--overlay", overlay, "--variant", "s", "--to", str(tmp_path)]
    assert making.main(arguments) == 0
    said = capsys.readouterr().out
    assert "Left out by the overlay: 03.4." in said
    assert "Left out by the overlay: 03.5." in said
    assert "hidden tests of 03.1 are not used" in said
    assert "points without a bonus" in said


def test_a_key_that_is_wrong_is_found(tmp_path):
    lesson = find_lesson("00")
    book, facts = making.make_source(lesson, "x", {}, with_options())
    for cell in book.cells:
        cell.source = cell.source.replace("/ 255", "/ 256")
    with pytest.raises(ValueError, match=r"The key of exercise 00.1 gets \[0.*needed"):
        making.prove(book, facts, tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            b"from _grading_variants import Variant",
            "Variant is in grading.variants now",
        ),
        (b"POINTS = {", "stops with SyntaxError"),
        ("# \xfc".encode("latin-1"), "stops with UnicodeDecodeError"),
    ],
)
def test_an_overlay_that_cannot_be_used_is_named(text, words, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "_grading_variants", None)
    path = tmp_path / "mine.py"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=f"mine.py {words}|mine.py stops.*{words}"):
        making.load_overlay(path)


def test_the_command_explains_itself(capsys, monkeypatch):
    from grading.__main__ import main

    assert main([]) == 2 and main(["--help"]) == 0
    assert "python -m grading grade SUBMISSIONS" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, "psutil", None)
    for name in ("grading.run", "grading.grade"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert main(["grade", "x"]) == 2
    assert "psutil is missing here" in capsys.readouterr().err


def test_shares_stand_in_the_cells_of_the_exercises_that_say_them():
    table = tomllib.loads((INSTRUCTOR / "points.toml").read_text("utf-8"))
    lessons = builder.course()["lesson"]
    exercises = [each for lesson in lessons for each in read_exercises(lesson)]
    said = [making.sentences(exercise) for exercise in exercises]
    for words in table["mistake"]:
        assert any(words in s for each in said for s in each), (
            f"no check says {words!r}"
        )
    shares = making.shares_of(["The sign is flipped: x."], table)
    assert set(shares) == {*table["share"], "The sign is flipped"}
    table["mistake"]["The sign is flipped"] = 50
    with pytest.raises(ValueError, match="between 0 and 1.*has 50"):
        making.shares_of([], table)
