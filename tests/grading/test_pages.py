"""Pages for students and for the class, on made-up results, without nbgrader."""

import csv
import html.parser
import re

import made_up
import pytest

from grading import feedback, next_steps, overview, pages, status, tables
from grading.lesson import builder, find_lesson, read_exercises
from grading.pages import text

HOSTILE = '<script>alert("x")</script></pre><img src=x onerror=alert(1)>'


class _Reader(html.parser.HTMLParser):
    """Tags, attributes and visible words of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.links, self.words, self.where = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("href", "src")]
        assert not [k for k, _ in attrs if k.startswith("on")]
        if tag not in ("meta", "br", "img", "link"):
            self.where.append(tag)

    def handle_endtag(self, tag):
        assert self.where.pop() == tag

    def handle_data(self, data):
        if "style" not in self.where:
            self.words.append(data)


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    assert not reader.where
    reader.text = re.sub(r"\s+", " ", "".join(reader.words))
    return reader


def _student(**made):
    row = made_up.row("Ada", {"03.1": made_up.found(**made)})
    return feedback.student(row, made_up.FACTS, read_exercises(find_lesson("03")))


# A student's page -----------------------------------------------------------------------


def test_a_wrong_answer_has_all_that_helps():
    student = _student(
        points=4,
        verdict={
            "status": "wrong",
            "message": "The factor one half is missing: `0.5`.",
            "share": 0.5,
            "case": made_up.CASE,
        },
        code="def kl(mu, logvar):\n    return mu",
    )
    page = _read(pages.student_page(student))
    for words in (
        "Ada",
        "03.1 KL to the standard normal",
        "right in part",
        "4 of 8 points",
        "The factor one half is missing: 0.5.",
        "This mistake keeps half of the points",
        "[[0.5, 0]]",
        "0.3089",
        "0.6179",
        "Read hint 2 of exercise 03.1",
        "def kl(mu, logvar):",
        "Lesson 03, to read",
    ):
        assert words in page.text, words
    assert any("/notebooks/03_elbo.ipynb" in link for link in page.links)


def test_nothing_of_a_student_becomes_markup():
    student = _student(
        points=0,
        verdict={
            "status": "wrong",
            "message": HOSTILE + "`" + HOSTILE + "`$" + HOSTILE + "$*" + HOSTILE + "*",
            "case": {
                "given": [[HOSTILE] * 2],
                "of": HOSTILE,
                "right": "",
                "yours": HOSTILE,
            },
        },
        code=HOSTILE + "\n'''" + HOSTILE,
        notes=[HOSTILE, f"hidden test: {HOSTILE}"],
    )
    student = feedback.Student(
        **{**vars(student), "name": HOSTILE, "remarks": [HOSTILE]}
    )
    page = _read(pages.student_page(student))
    assert not {"script", "img"} & set(page.tags)
    assert page.text.count("alert(1)") >= 10


@pytest.mark.parametrize(
    "case", [7, [], {"given": 3}, {"given": [[1]]}, {"given": [[1, 2]], "of": 1}]
)
def test_a_forged_case_is_left_out(case):
    verdict = {"status": "wrong", "message": "x", "case": case}
    assert _student(points=0, verdict=verdict).parts[0].case is None


@pytest.mark.parametrize("share", ["1", None, float("nan"), 7, -1, True, [0.5]])
def test_a_forged_share_is_left_out(share):
    verdict = {"status": "wrong", "message": "x", "share": share}
    assert _student(points=0, verdict=verdict).parts[0].share is None


def test_what_a_person_looks_at_has_no_points_and_no_suspicion():
    student = _student(points=8, flags=["mentions sys.modules"], notes=["uses x"])
    page = _read(pages.student_page(student))
    assert "your teacher looks at it" in page.text and "not final" in page.text
    assert "points to come" in page.text and "8 of 8 points" not in page.text
    assert "sys.modules" not in page.text and "tampered" not in page.text


def test_remarks_for_the_teacher_stay_with_the_teacher():
    notes = ["uses the course's own distributions.kl", "2 cells for answer-03-1"]
    page = _read(pages.student_page(_student(points=8, notes=notes)))
    assert "2 cells" in page.text and "course's own" not in page.text


def test_numbers_of_hidden_inputs_are_not_shown():
    note = "hidden test: wrong: The values differ on 3 of 12.\nwith mu = 7\nright: 8"
    page = _read(pages.student_page(_student(points=4, notes=[note])))
    assert "The values differ on 3 of 12." in page.text and "mu = 7" not in page.text


def test_the_case_stands_in_the_table_and_not_in_the_words_too():
    message = "Work this one by hand and compare:\nwith mu = [[0.5, 0]]\nyour result: 7"
    verdict = {"status": "wrong", "message": message, "case": made_up.CASE}
    part = _student(points=0, verdict=verdict).parts[0]
    assert part.diagnosis == "Work this one by hand and compare:"
    verdict.pop("case")  # of a run before there were cases
    assert "with mu" in _student(points=0, verdict=verdict).parts[0].diagnosis


def test_every_state_has_its_words_and_a_sign():
    assert set(pages.MARKS) == set(feedback.STATES)
    seen = {feedback.state(status.decide(each)) for each in made_up.every_status()}
    assert seen == set(feedback.STATES)


def test_an_untouched_stub_is_not_printed_back():
    page = _read(pages.student_page(_student(points=0, tried=False, code="raise X")))
    assert "not attempted" in page.text and "raise X" not in page.text
    assert "Read hint 1" in page.text


def test_a_variant_has_no_hints_of_the_published_exercise():
    row = made_up.row("Ada", {"03.1": made_up.found(points=0)})
    facts = made_up.FACTS | {"sealed": {"03.1": "..."}}
    student = feedback.student(row, facts, read_exercises(find_lesson("03")))
    assert student.parts[0].hint is None


# Text -----------------------------------------------------------------------------------


def test_every_hint_of_the_course_is_readable():
    count = 0
    for lesson in builder.course()["lesson"]:
        for exercise in read_exercises(lesson):
            hints = feedback.read_hints(exercise)
            assert len(hints) == (3 if exercise.check else 0), exercise.number
            for hint in hints:
                page = _read(str(text.markdown(hint.text)))
                assert not re.search(r"\$|\\[a-z]", page.text), hint
                count += "math" in page.tags
    assert count > 10


def test_formulas_of_a_diagnosis_are_drawn():
    assert "<msup>" in text.words(r"It is $\sigma^2$.")
    assert "\\" not in _read(str(text.words(r"$\log p_\theta(x \mid z)$"))).text


def test_only_code_formulas_and_emphasis_are_more_than_words():
    made = str(text.words("`a_b` *more* 2 * x * y __init__ [a](http://b)\nnext"))
    assert made == (
        "<code>a_b</code> <em>more</em> 2 * x * y __init__ [a](http://b)<br>\nnext"
    )


def test_odd_characters_leave_a_readable_page():
    page = pages.student_page(_student(points=0, code="x = '\ud83d\x00\x1b'"))
    assert page.encode("utf-8") and "\x00" not in page and "\x1b" not in page


def test_very_long_code_is_cut():
    made = text.code("x = 1\n" * 5000)
    page = _read(f"<pre>{made}</pre>")
    assert "more lines" in page.text and len(page.text) < 5000


def test_a_page_fetches_nothing():
    page = pages.student_page(_student(points=8))
    reader = _read(page)
    assert not {"script", "link", "img", "iframe"} & set(reader.tags)
    assert "default-src 'none'" in page and "url(" not in page


# The class ------------------------------------------------------------------------------


def test_mistakes_are_counted_in_the_words_of_the_check():
    report = overview.report("03_elbo", made_up.CLASS, made_up.FACTS, made_up.GUIDE)
    first, second = report.exercises
    assert (first.right, first.of) == (1, 5)
    assert [(m.says, len(m.who)) for m in first.mistakes] == [
        ("The factor one half is missing.", 2),
        ("The values are wrong, in none of the usual ways.", 1),
    ]
    assert first.mistakes[0].say == "Twice a KL is 0 at the prior too."
    assert second.mistakes[0].says == "SyntaxError: '(' was never closed"
    page = _read(pages.class_page(report))
    assert "2 of 5: The factor one half is missing." in page.text
    assert "Say: Twice a KL is 0 at the prior too." in page.text
    assert "1 of 5 right (20 %)" in page.text


def test_a_student_is_one_click_away():
    report = overview.report("03_elbo", made_up.CLASS, made_up.FACTS, made_up.GUIDE)
    page = _read(pages.class_page(report))
    assert page.links.count("../feedback/ben__b/03_elbo/03_elbo.html") >= 2
    assert not any("absent" in link for link in page.links)


def test_who_needs_a_look_and_why():
    report = overview.report("03_elbo", made_up.CLASS, made_up.FACTS, made_up.GUIDE)
    assert [look.who.name for look in report.looks] == ["Eva"]
    assert report.looks[0].reasons == ["03.1 tampered: mentions sys.modules"]
    page = _read(pages.class_page(report))
    assert "Eva: 03.1 tampered: mentions sys.modules" in page.text
    assert "Handed in nothing: absent" in page.text
    quiet = overview.report("k", made_up.CLASS[:2], made_up.FACTS, made_up.GUIDE)
    assert "Nobody needs a look." in _read(pages.class_page(quiet)).text


def test_a_class_without_anybody_has_a_page():
    report = overview.report("03_elbo", [], made_up.FACTS, made_up.GUIDE)
    assert "Nobody needs a look." in _read(pages.class_page(report)).text


def test_numbers_in_a_diagnosis_do_not_split_a_mistake():
    rows = [
        made_up.row(
            name,
            {
                "03.1": made_up.found(
                    points=0,
                    verdict={
                        "status": "wrong",
                        "message": f"shape ({n},); needed (3,).",
                    },
                )
            },
        )
        for name, n in [("a", 2), ("b", 4), ("c", 2)]
    ]
    report = overview.report("k", rows, made_up.FACTS, "")
    assert [len(m.who) for m in report.exercises[0].mistakes] == [3]


def test_the_minutes_of_grading_are_there():
    report = overview.report("03_elbo", made_up.CLASS, made_up.FACTS, made_up.GUIDE)
    assert report.seconds == 150 and report.slowest.who.name == "Ben <b>"
    assert (
        "2.5 minutes of grading; longest: Ben <b>, 90 s"
        in _read(pages.class_page(report)).text
    )


def test_all_is_written_and_the_table_says_the_same(tmp_path):
    report = pages.write_pages(tmp_path, "03_elbo", made_up.CLASS, made_up.FACTS)
    written = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")}
    for line in report.students:
        assert not line.who.page or line.who.page in written
    assert not any("absent" in path for path in written)
    path = tmp_path / "marks" / "03_elbo_class.csv"
    with open(path, encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    mistakes = [line for line in table if line["what"].startswith("mistake")]
    assert mistakes[0]["students"] == "2" and mistakes[0]["of"] == "5"
    assert mistakes[0]["who"] == "Ben <b>; Fay"
    assert any(line["what"].startswith("needs a look: 03.1 tampered") for line in table)


def test_commands_print_the_next_step(tmp_path):
    given = tmp_path / "release" / "03_elbo" / "03_elbo.ipynb"
    given.parent.mkdir(parents=True)
    given.touch()
    said = next_steps.after_assignment(tmp_path, "03_elbo", given)
    assert "03_elbo_key.ipynb" in said and "make grade SUBMISSIONS=" in said
    paths = tables.write_tables(tmp_path, "03_elbo", made_up.CLASS, made_up.FACTS)
    report = pages.write_pages(tmp_path, "03_elbo", made_up.CLASS, made_up.FACTS)
    said = next_steps.after_grading(tmp_path, "03_elbo", report, paths)
    assert "Eva needs a look; these marks are not in 03_elbo_lms.csv yet." in said
    assert "Feedback:      5 pages" in said
    quiet = overview.report("03_elbo", made_up.CLASS[:2], made_up.FACTS, "")
    said = next_steps.after_grading(tmp_path, "03_elbo", quiet, paths)
    assert "Nobody needs a look: all marks are in the file for the LMS." in said


def test_the_work_of_a_student_is_kept_before_it_runs(example):
    from grading.repair import repair

    _, _, release = example
    book = made_up.copy_of(release)
    for cell in book.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "answer-03-1":
            cell.source = "kl_closed_form = lambda mu, logvar: mu"
    kept = feedback.answers(repair(release, book).book)
    assert kept["03.1"] == "kl_closed_form = lambda mu, logvar: mu"
    assert "NotImplementedError" in kept["03.2"]
