"""Tables of marks."""

import pytest

from grading import status, tables


def _found(points, out_of=3, says=""):
    verdict = {"status": "wrong", "message": says}
    seen = status.Seen(out_of, tried=True, points=points, verdict=verdict)
    return status.decide(seen)


def _row(**found):
    facts = {"exercises": {n: _entry() for n in found}}
    return status.whole_result("ada", found, facts, []), facts


def _entry():
    return {"bonus": False, "points": 3, "hidden": [], "title": "A KL", "manual": False}


@pytest.mark.parametrize("start", "=+-@\t\r\n")
def test_no_cell_of_a_table_is_a_formula(start):
    line = [f"{start}1+1", 3, None, "a", ""]
    assert tables.safe(line) == [f"'{start}1+1", 3, None, "a", ""]


def test_a_wrong_answer_looks_and_reads_unlike_a_right_one():
    wrong, part, right = _found(0, says="The sign is flipped."), _found(1.5), _found(3)
    assert len({found["colour"] for found in (wrong, part, right)}) == 3
    shown = [found["shown"] for found in (wrong, part, right)]
    assert shown == ["wrong", "right in part", "right"]
    line = tables.comment({"exercises": {"03.1": wrong, "03.2": right}})
    assert line == "03.1: 0/3 not right yet (The sign is flipped.); 03.2: 3/3 right"


def test_the_comment_for_the_student_holds_no_suspicion():
    held = status.decide(status.Seen(3, tried=True, points=1, flags=["mentions x"]))
    line = tables.comment({"exercises": {"03.1": held}})
    assert line == "03.1: -/3 your teacher looks at it"


def test_a_line_says_how_much_is_right_and_who_must_be_seen():
    row, facts = _row(a=_found(3), b=_found(0, says="The sign is flipped."))
    assert tables.summary(row) == "1 of 2 right"
    assert "1 of 2 right" in tables.print_table([row], facts)
    held = status.decide(status.Seen(3, tried=True, points=3, flags=["mentions x"]))
    row, _ = _row(a=held, b=_found(3))
    assert tables.summary(row) == "2 of 2 right, look: tampered"
    row = status.no_result("ada", status.UNREADABLE, facts, "")
    assert tables.summary(row) == "unreadable"


def test_marks_that_a_person_must_see_are_not_in_the_file_for_the_lms(tmp_path):
    held = status.decide(status.Seen(3, tried=True, points=1, flags=["mentions x"]))
    row, facts = _row(a=held)
    good, _ = _row(a=_found(3))
    lines = tables._lms_lines([row, good], facts)
    assert [line[2] for line in lines] == ["score", "", 3.0]
    assert "yes" in tables._marks_lines([row], facts)[1]


def test_any_text_can_be_written(tmp_path):
    found = _found(0, says="half an emoji \ud83d, <b>, 李")
    row, facts = _row(a=found)
    row["student"] = "M\udcfcller <x>"
    paths = tables.write_tables(tmp_path, "kl", [row], facts)
    assert len(paths) == 2
    text = paths[0].read_text(encoding="utf-8-sig")
    assert "\\ud83d" in text and "李" in text
    assert tables.print_table([row], facts)


def test_a_table_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "marks" / "kl.csv").mkdir(parents=True)
    row, facts = _row(a=_found(3))
    with pytest.raises(ValueError, match="kl.csv cannot be written.*spreadsheet"):
        tables.write_tables(tmp_path, "kl", [row], facts)
