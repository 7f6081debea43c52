"""Names, tables and feedback as Moodle and Canvas make and expect them.

The formats are those of the sources that grading/senders.py and grading/lms_table.py name.
"""

import csv
import io
import zipfile
from pathlib import Path

import pytest

from grading import lms, senders, submissions
from grading.lms_table import open_table
from grading.senders import CANVAS, MOODLE

ADA, ZOE = (
    "Ada Lovelace_1234567_assignsubmission_file",
    "Zoë Ünal_7654321_assignsubmission_file_",
)

# Names --------------------------------------------------------------------------------

NAMES = {
    ADA: ("Ada Lovelace", "1234567", MOODLE, ADA, "", False),
    f"{ADA}_": ("Ada Lovelace", "1234567", MOODLE, f"{ADA}_", "", False),
    f"{ADA}_03_elbo.ipynb": (
        "Ada Lovelace",
        "1234567",
        MOODLE,
        ADA,
        "03_elbo.ipynb",
        False,
    ),
    "Ada Lovelace_1234567_assignsubmission_onlinetext_": (
        "Ada Lovelace",
        "1234567",
        MOODLE,
        f"{ADA}_",
        "",
        False,
    ),
    "Participant_55_assignsubmission_file": (
        "Participant",
        "55",
        MOODLE,
        "Participant_55_assignsubmission_file",
        "",
        False,
    ),
    "lovelaceada_12345_67890_03_elbo.ipynb": (
        "lovelaceada",
        "12345",
        CANVAS,
        "lovelaceada_12345_67890_",
        "03_elbo.ipynb",
        False,
    ),
    "ünalzoë_LATE_12_345_03_elbo-1.ipynb": (
        "ünalzoë",
        "12",
        CANVAS,
        "ünalzoë_LATE_12_345_",
        "03_elbo-1.ipynb",
        True,
    ),
    "LATE_anon_a1B2c_345_x.ipynb": (
        "anon",
        "anon_a1B2c",
        CANVAS,
        "LATE_anon_a1B2c_345_",
        "x.ipynb",
        True,
    ),
    "lovelaceada_12345_text.html": (
        "lovelaceada",
        "12345",
        CANVAS,
        "lovelaceada_12345_",
        "text.html",
        False,
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_a_system_says_who_and_what(name):
    sender = senders.split(name)
    found = (sender.name, sender.number, sender.system, sender.prefix, sender.file)
    assert (*found, sender.late) == NAMES[name]


@pytest.mark.parametrize(
    "name",
    ["03_elbo.ipynb", "anna", "anna_03_01_final.ipynb", "Copy of 03_elbo", "a_b_c_d"],
)
def test_other_names_are_left_alone(name):
    assert senders.split(name) is None


def _put(folder: Path, name: str, text: str = "{}") -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def test_all_parts_of_a_student_come_together(tmp_path):
    _put(tmp_path, f"{ADA}/03_elbo.ipynb")
    _put(tmp_path, "Ada Lovelace_1234567_assignsubmission_onlinetext/onlinetext.html")
    _put(tmp_path, f"{ZOE}/mine/03_elbo.ipynb")
    _put(tmp_path, "Ben.ipynb")
    found, beside = submissions.find_submissions(tmp_path)
    assert list(found) == ["Ada Lovelace", "Ben", "Zoë Ünal"] and not beside
    assert len(found["Ada Lovelace"].paths) == 2


def test_two_people_of_one_name_stay_two(tmp_path):
    _put(tmp_path, f"{ADA}/03_elbo.ipynb")
    _put(tmp_path, "Ada Lovelace_99_assignsubmission_file/03_elbo.ipynb")
    for number in (5, 6):
        _put(tmp_path, f"Participant_{number}_assignsubmission_file/03_elbo.ipynb")
    _put(tmp_path, "anon_a1B2c_345_x.ipynb")
    found, _ = submissions.find_submissions(tmp_path)
    assert set(found) == {
        "Ada Lovelace (1234567)",
        "Ada Lovelace (99)",
        "Participant (5)",
        "Participant (6)",
        "anon (anon_a1B2c)",
    }


def test_of_two_hand_ins_to_canvas_the_last_counts(tmp_path):
    _put(tmp_path, "lovelaceada_5_70_03_elbo.ipynb")
    _put(tmp_path, "lovelaceada_LATE_5_91_03_elbo-1.ipynb")
    _put(tmp_path, "lovelaceada_5_71_notes.txt")
    found, beside = submissions.find_submissions(tmp_path)
    handed = found["lovelaceada"]
    names = [path.name for path in handed.paths]
    assert names == [
        "lovelaceada_5_71_notes.txt",
        "lovelaceada_LATE_5_91_03_elbo-1.ipynb",
    ]
    assert handed.notes == [
        "handed in more than once; 03_elbo-1.ipynb is the last one",
        "Canvas says that it came late",
    ]
    assert handed.sender.at == 91 and not beside


def test_a_zip_is_unpacked_and_a_broken_one_is_named(tmp_path):
    path = tmp_path / "CS-Exercise 3-4711.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{ZOE}/03_elbo.ipynb", "{}")
        archive.writestr("../../evil.ipynb", "{}")
    folder = submissions.unpacked(path, tmp_path / "course")
    assert folder == tmp_path / "course" / "unpacked" / path.stem
    assert (folder / ZOE / "03_elbo.ipynb").exists()
    assert not (tmp_path / "evil.ipynb").exists()
    assert submissions.unpacked(tmp_path, tmp_path / "course") == tmp_path
    path.write_bytes(b"PK")
    with pytest.raises(ValueError, match="cannot be unpacked.*Download it again"):
        submissions.unpacked(path, tmp_path / "course")


def test_a_gradebook_is_a_list_of_the_class(tmp_path):
    path = tmp_path / "gradebook.csv"
    path.write_text(CANVAS_TABLE, encoding="utf-8-sig")
    found = submissions.read_roster(path, ["lovelaceada", "ünalzoë"])
    assert found == ["lovelaceada", "ünalzoë", "Hopper, Grace", "Student, Test"]


# Tables -------------------------------------------------------------------------------

MOODLE_TABLE = """\
Identifier,Full name,ID number,Email address,Status,Grade,Maximum Grade,Grade can be changed,\
Last modified (submission),Last modified (grade),Feedback comments
Participant 1234567,Ada Lovelace,10,ada@x.edu,Submitted for grading -  - ,,20.00,Yes,\
"Friday, 4 September 2026, 10:36 PM",-,
Participant 7654321,Zoë Ünal,11,zoe@x.edu,Submitted for grading - 2 hours 5 mins late,3.00,\
20.00,Yes,"Friday, 4 September 2026, 11:36 PM","Friday, 4 September 2026, 11:50 PM","two
lines"
Participant 42,Grace Hopper,12,grace@x.edu,No submission -  - ,,20.00,Yes,-,-,
"""
GERMAN_TABLE = """\
ID;Vollständiger Name;ID-Nummer;Status;Bewertung;Bestwertung;Bewertung kann geändert werden;\
Zuletzt geändert (Abgabe);Zuletzt geändert (Bewertung);Feedback als Kommentar
Teilnehmer/in1234567;Ada Lovelace;10;Zur Bewertung abgegeben;;24,00;Ja;x;-;
Teilnehmer/in7654321;Zoë Ünal;11;Zur Bewertung abgegeben;"13,50";24,00;Ja;x;x;
Teilnehmer/in42;Grace Hopper;12;Keine Abgabe;;24,00;Ja;-;-;
"""
CANVAS_TABLE = """\
Student,ID,SIS User ID,SIS Login ID,Section,Quiz 1 (17),Exercises 3 (4711),Current Score
,,,,,,Manual Posting,
    Points Possible,,,,,5.00,20.00,(read only)
"Lovelace, Ada",12345,s1,ada,A,4.00,,80
"Ünal, Zoë",12,s2,zoe,A,,3.00,
"Hopper, Grace",14,s3,grace,A,5.00,EX,100
"Student, Test",99,,x,A,,,
"""


def _mark(student, score, system=MOODLE, number="", sender="", prefix="", file=""):
    known = {"student": student, "id": number, "slug": student.replace(" ", "_")}
    known |= {"system": system if number else "", "sender": sender or student}
    known |= {"prefix": prefix, "file": file}
    return lms.Mark(
        student, score, 40, "03.1: 3/3 right; 03.2: 0/3 wrong (a < b)", known
    )


MARKS = [
    _mark("Ada Lovelace", 30, MOODLE, "1234567", prefix=ADA),
    _mark("Zoë Ünal", None, MOODLE, "7654321", prefix=ZOE),
]


def _table(tmp_path, text, encoding="utf-8-sig", column=None):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    return open_table(path, column)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_worksheet_that_any_program_saved_is_filled(tmp_path, encoding, mark):
    rows = list(csv.reader(io.StringIO(MOODLE_TABLE, newline="")))
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=mark).writerows(rows)
    filled = lms.fill(MARKS, _table(tmp_path, out.getvalue(), encoding), None)
    ada, zoe, grace = filled.lines[1:]
    assert filled.out_of == 20 and ada[5] == "15" and filled.count == 1
    assert ada[-1] == "03.1: 3/3 right<br>03.2: 0/3 wrong (a &lt; b)"
    assert ada[:5] == [*rows[1][:4], "Submitted for grading -  -"]
    assert (
        zoe[5] == "3.00" and zoe[-1] == "two\nlines"
    )  # who waits keeps what was there
    assert grace[5] == ""
    assert filled.remarks == ["Zoë Ünal has no score yet; the line stays"]


def test_a_worksheet_in_german_with_decimal_commas(tmp_path):
    filled = lms.fill(MARKS, _table(tmp_path, GERMAN_TABLE, "cp1252"), None)
    assert filled.out_of == 24 and filled.lines[1][4] == "18"
    assert filled.lines[1][-1].startswith("03.1") and filled.lines[2][4] == "13,50"


def test_the_total_is_scaled_and_moodle_gets_no_more_than_its_maximum(tmp_path):
    table = _table(tmp_path, MOODLE_TABLE)
    more = [_mark("Ada Lovelace", 44, number="1234567"), _mark("Zoë Ünal", 20)]
    filled = lms.fill(more, table, 10)
    assert [line[5] for line in filled.lines[1:3]] == ["10", "5"]
    assert "Ada Lovelace has 11; Moodle gets 10" in filled.remarks
    assert "Zoë Ünal was late, says Moodle" in filled.remarks
    assert lms.fill(more, table, 100).lines[2][5] == "50"


def test_a_group_is_not_taken_for_the_student_with_its_number(tmp_path):
    table = _table(tmp_path, MOODLE_TABLE)
    marks = [
        _mark("Team Blue", 40, number="42"),
        _mark("Group A-Ada Lovelace", 40, number="1234567"),
        _mark("Eve", 40, number="1"),
    ]
    filled = lms.fill(marks, table, None)
    assert [line[5] for line in filled.lines[1:]] == ["20", "3.00", ""]
    assert filled.remarks == [
        "Team Blue has the number 42, which is Participant 42, Grace Hopper in the table",
        "Eve is not in the table",
    ]


def test_marking_without_names(tmp_path):
    text = "\n".join(
        ",".join([*row[:1], *row[4:]])
        for row in csv.reader(io.StringIO(MOODLE_TABLE.replace('"two\nlines"', "")))
        if not any("," in cell for cell in row) or row[0] == "Participant 42"
    )
    mark = _mark("Participant (42)", 40, number="42", sender="Participant")
    assert lms.fill([mark], _table(tmp_path, text), None).lines[-1][2] == "20"


def test_a_gradebook_of_canvas_gets_one_column(tmp_path):
    table = _table(tmp_path, CANVAS_TABLE, "utf-8", "Exercises 3")
    marks = [
        _mark("lovelaceada", 30, CANVAS, "12345"),
        _mark("ünalzoë", 20, CANVAS, "12"),
        _mark("grace", 20),
    ]
    filled = lms.fill(marks, table, None)
    assert filled.lines == [
        [
            "Student",
            "ID",
            "SIS User ID",
            "SIS Login ID",
            "Section",
            "Exercises 3 (4711)",
        ],
        ["", "", "", "", "", "Manual Posting"],
        ["Points Possible", "", "", "", "", "20.00"],
        ["Lovelace, Ada", "12345", "s1", "ada", "A", "15"],
        ["Ünal, Zoë", "12", "s2", "zoe", "A", "10"],
        ["Hopper, Grace", "14", "s3", "grace", "A", "EX"],
        ["Student, Test", "99", "", "x", "A", ""],
    ]
    assert filled.remarks == ["grace is excused in Canvas"]


@pytest.mark.parametrize("name", ["Ada Lovelace", "Lovelace, Ada", "ADA", "s1"])
def test_without_numbers_names_logins_and_mails_are_compared(tmp_path, name):
    table = _table(tmp_path, CANVAS_TABLE, column="4711")
    assert lms.fill([_mark(name, 40)], table, None).lines[3][-1] == "20"


WRONG = {
    "Which assignment .* none, there are: Quiz 1 .17., Exercises 3": (
        CANVAS_TABLE,
        None,
    ),
    "got 18, there are: Quiz 1": (CANVAS_TABLE, "18"),
    "no column Section": (CANVAS_TABLE.replace("Section", "Group"), "4711"),
    "Its columns are name, mark. Needed is Moodle's": ("name,mark\nAda,3\n", None),
    "no column of grades that is known.*--column": (
        MOODLE_TABLE.replace(",Grade,", ",Punkte,"),
        None,
    ),
    "no column 'Mark'": (MOODLE_TABLE, "Mark"),
    "is empty": ("\n", None),
}


@pytest.mark.parametrize("words", WRONG)
def test_an_error_names_what_came_and_what_was_needed(tmp_path, words):
    text, column = WRONG[words]
    with pytest.raises(ValueError, match=words):
        _table(tmp_path, text, column=column)


def test_an_unknown_word_for_grades_can_be_named(tmp_path):
    table = _table(
        tmp_path, MOODLE_TABLE.replace(",Grade,", ",Punkte,"), column="Punkte"
    )
    assert table.grade == 5 and table.maximum == 20


def test_the_table_of_another_class_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match="Nobody of 1 students.*Eve; .*Participant 1234567"
    ):
        lms.fill([_mark("Eve", 3)], _table(tmp_path, MOODLE_TABLE), None)
