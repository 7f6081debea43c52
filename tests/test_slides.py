"""Slides: every plan finds what it names, an entry that is gone is an error, no file asks."""

import re
import shutil
import tomllib

import make_slides
import pytest
from lesson_source import STEMS
from slides import holes, pages, plan, tex, words
from slides.source import Lesson, Missing

from vae_helpers import drawings

NUMBERS = [stem[:2] for stem in STEMS]
DECIMAL = re.compile(r"\d+\.\d+")
EXERCISES = re.compile(r"\b(0\d|A\d)\.\d\b")  # 03.1 is a name, not a number
read = pytest.fixture(scope="module")(lambda: {n: plan.read(n) for n in NUMBERS})


def entries(number):
    table = tomllib.loads(plan.path_of(number).read_text(encoding="utf-8"))
    return table["slide"], table["sheet"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_plan_is_whole(number, read):
    made = read[number]
    assert plan.FEWEST <= len(made.slides) <= plan.MOST
    assert 20 <= made.minutes <= 90
    for slide in made.slides:
        assert (
            slide.picture
            or slide.blocks
            or slide.results
            or slide.lines
            or slide.question
        ), slide.title
        assert len(slide.say) > 60 and slide.ask and slide.answer, slide.title
        if slide.picture:
            assert len(slide.picture.words) > 20
    assert made.slides[0].kind == "goals"
    assert len(made.sheet.words) >= 3 and len(made.sheet.tasks) >= 2


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_of_slides_are_looked_up(number):
    slides, _ = entries(number)
    for slide in slides:
        own = slide["title"] if slide["title"] != slide["heading"] else ""
        typed = " ".join([own, *slide.get("lines", [])])
        assert not DECIMAL.search(EXERCISES.sub("", typed)), slide["title"]
    assert len({slide["title"] for slide in slides}) == len(slides)


@pytest.mark.parametrize("number", NUMBERS)
def test_lines_are_short(number):
    for slide in entries(number)[0]:
        assert len(slide["title"]) <= 62, slide["title"]
        for text in slide.get("lines", []):
            assert len(text) <= 130, text


GONE = {
    "figure": "figure with 'nothing of this kind'",
    "drawing": "drawing 'nothing of this kind'",
    "board": "drawing 'nothing of this kind'",
    "formula": "formula with 'nothing of this kind'",
    "table": "table with 'nothing of this kind'",
    "output": "printed output with 'nothing of this kind'",
    "code": "function 'nothing of this kind'",
    "predict": "prediction 'nothing of this kind'",
    "exercise": "exercise 'nothing of this kind'",
}


def changed(tmp_path, before, after):
    """The plan of lesson 03 with one text in the place of another, and what it says."""
    text = plan.path_of("03").read_text(encoding="utf-8")
    assert before in text
    (tmp_path / "03.toml").write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(Missing) as error:
        plan.read("03", tmp_path)
    return str(error.value)


@pytest.mark.parametrize("kind", GONE)
def test_what_is_gone_is_named_with_its_slide(kind, tmp_path):
    after = f'title = "Many codes could have led to this x"\n{kind} = "nothing of this kind"'
    before = 'title = "Many codes could have led to this x"\nfigure = '
    message = changed(tmp_path, before + '"Prior times likelihood is the joint"', after)
    assert message.startswith(
        "03.toml, slide 2 ('Many codes could have led to this x'): 03_elbo "
    )
    assert GONE[kind] in message and "there: " in message


@pytest.mark.parametrize(
    ("before", "after", "words_of_it"),
    [
        (
            'heading = "The hidden beta"',
            'heading = "The lost beta"',
            "heading 'The lost beta'",
        ),
        (
            '"Amortisation loses more than the family"',
            '"Nobody said"',
            "claim with 'Nobody said'",
        ),
        ("check = 2", "check = 9", "question 9"),
        ("<<measured: gap of", "<<measured: gup of", "measured prediction 'gup of"),
        ("<<found: evidence", "<<found: avidence", "avidence"),
        (
            'drawing = "two_kls"\nlines',
            'drawing = "two_kls"\nmark = "nobody"\nlines',
            "no part 'nobody'",
        ),
        ("minutes = 4", "", "needs minutes"),
        ("minutes = 4", "minutes = 4\ncolour = 1", "no entry colour"),
        ('"prior p(z)", "p', '"prior q(z)", "p', "no words 'prior q(z)'"),
        ('drawing = "two_kls"\nholes', 'drawing = "one_kl"\nholes', "drawing 'one_kl'"),
    ],
)
def test_other_entries_that_are_gone(before, after, words_of_it, tmp_path):
    assert words_of_it in changed(tmp_path, before, after)


def test_too_few_slides_and_too_many_lines(tmp_path):
    text = plan.path_of("03").read_text(encoding="utf-8")
    few = "[[slide]]".join(text.split("[[slide]]")[:4]) + text[text.index("[sheet]") :]
    (tmp_path / "03.toml").write_text(few, encoding="utf-8")
    with pytest.raises(Missing, match="3 slides, need 8 to 14"):
        plan.read("03", tmp_path)
    line = 'lines = ["a", "b", "c", "d"]\nminutes = 6'
    assert "4 lines" in changed(tmp_path, "minutes = 6", line)
    with pytest.raises(Missing, match="no plan for lesson 08"):
        plan.read("08")


def test_a_lesson_that_is_not_there():
    with pytest.raises(Missing, match="no lesson '42'.*03_elbo"):
        Lesson("42")
    assert make_slides.main(["42"]) == 1


@pytest.mark.parametrize("number", NUMBERS)
def test_holes_hide_the_words_and_nothing_else(number):
    sheet = entries(number)[1]
    source = drawings.svg(sheet["drawing"])
    before, after = (
        holes.texts(source),
        holes.texts(holes.with_holes(source, sheet["holes"])),
    )
    numbers = [str(i) for i in range(1, len(sheet["holes"]) + 1)]
    assert not set(sheet["holes"]) & set(after)
    assert len(before) == len(after) and set(numbers) <= set(after)


def test_numbers_are_computed():
    lesson = Lesson("00")
    told = words.fill_in("<<= 0.5 * (4 - 1 - log(4)) : .2f>>", lesson, "The data")
    assert told == "0.81"
    assert words.fill_in("<<= 0 - 1.5 : .1f>>", lesson, "The data") == "−1.5"
    shown = words.fill_in("<<measured: pixels that are 0>>", lesson, "The data")
    assert re.fullmatch(r"\d+(\.\d+)? %", shown)


def test_a_recorded_number_has_a_range():
    low, high = (
        Lesson("04").band("better recipe: test -ELBO, nats per image").split(" to ")
    )
    assert float(low) <= float(high)
    with pytest.raises(Missing, match="no recorded number"):
        Lesson("04").band("nobody")


def test_links_lead_nowhere():
    assert "href" not in words.page("See [lesson 03](03_elbo.ipynb#Notation), **now**.")


@pytest.fixture(scope="module")
def built(read, tmp_path_factory):
    """All files of all lessons."""
    try:
        tex.draw(words.formula("x", display=False))
    except RuntimeError as error:  # no Node here, or no registry
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("slides")
    return {n: pages.write(read[n], folder) for n in NUMBERS}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_file_is_whole_and_asks_nobody(number, built, read):
    for path in built[number]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(
            r"https?:|//cdn|url\(|\bsrc=\"(?!data:)|<link|@import", text
        )
        assert "\ue000" not in text and "$" not in re.sub(
            r"(?s)<script>.*?</script>|<pre>.*?</pre>|alt=\"[^\"]*\"", "", text
        )
        assert "default-src 'none'" in text and "<img" in text
        assert len(text) < 3_000_000
    deck = built[number][0].read_text(encoding="utf-8")
    assert deck.count('<section class="slide') == len(read[number].slides)
    assert deck.count('<aside class="notes"') == len(read[number].slides)
    answers = built[number][2].read_text(encoding="utf-8")
    assert "For the teacher" in answers
    assert "For the teacher" not in built[number][1].read_text(encoding="utf-8")


def test_a_formula_that_is_no_tex_is_named(built):
    with pytest.raises(RuntimeError, match="frac"):
        tex.draw(words.formula(r"\frac{1}", display=True))


def test_a_formula_has_words_for_those_who_listen(built):
    shown = tex.draw(words.formula(r"\mathrm{KL} = \tfrac12", display=True))
    assert 'aria-hidden="true"' in shown and "<math" in shown and "<mi" in shown


def test_without_node_the_reason_is_told(monkeypatch, built):
    monkeypatch.setenv("PATH", "")
    assert shutil.which("node") is None
    with pytest.raises(RuntimeError, match="Node is needed"):
        tex.draw(words.formula("y", display=False))
