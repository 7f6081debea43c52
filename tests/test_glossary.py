"""GLOSSARY.md is that of today, and no letter changes its meaning in silence."""

import re
import tomllib

import make_glossary
import pytest
from lesson_source import LESSONS, STEMS, notebook
from make_glossary import Row


def test_the_page_is_that_of_today():
    path = make_glossary.TARGET
    assert path.read_text(encoding="utf-8") == make_glossary.page(), "make glossary"


def test_a_symbol_with_another_meaning_says_so_in_its_table():
    assert make_glossary.clashes(make_glossary.all_rows()) == []


def _rows(*entries):
    return [Row(lesson, f"${s}$", s, meaning, "") for lesson, s, meaning in entries]


def test_a_clash_is_found_and_one_that_is_named_is_not():
    first = ("02", r"\tau", "a temperature")
    (only,) = make_glossary.clashes(_rows(first, ("05", r"\tau", "a level")))
    assert "say what it was in lesson 02: 'a temperature'" in only
    said = ("05", r"\tau", "a level (in lesson 02 a temperature)")
    again = ("06", r"\tau", "the level, as in lesson 05")
    assert make_glossary.clashes(_rows(first, said, again)) == []
    # Who knows lesson 05 must be told, too.
    third = ("07", r"\tau", "a threshold (in lesson 02 a temperature)")
    assert len(make_glossary.clashes(_rows(first, said, again, third))) == 1
    assert len(make_glossary.clashes(_rows(again))) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("m", "m(x)", True),
        ("w", "w_s", True),
        (r"\mathrm{KL}_j", r"\mathrm{KL}(q \,\Vert\, p)", True),
        (r"\sigma", r"\sigma_x", False),
        ("p(z)", r"p(x \mid y)", False),
        ("R", r"\mathcal R", False),
        ("f(z)", "F(z)", False),
    ],
)
def test_symbols_that_a_reader_may_confuse(one, other, same):
    assert (make_glossary.key(one) == make_glossary.key(other)) is same


def test_a_first_column_may_hold_several_symbols():
    assert make_glossary.symbols_of(r"$m(x), \Sigma$") == ["m(x)", r"\Sigma"]
    assert make_glossary.symbols_of("$Z$, $D$") == ["Z", "D"]
    pair = r"\mathrm{KL}(q, p)"
    assert make_glossary.symbols_of(f"${pair}$") == [pair]


def _bold(stem):
    """The words in bold of a lesson, in small letters."""
    cells = [c.source for c in notebook(stem, True).cells if c.cell_type == "markdown"]
    plain = re.sub(r"`[^`]*`", "", "\n".join(cells))  # stars in code are powers
    found = re.findall(r"\*\*([^*]+?)[.:,]?\*\*", plain)
    # The evidence lower bound is spelt with its initials in bold, and whole further down.
    return [" ".join(word.split()).lower() for word in found]


def _listed():
    path = make_glossary.LESSONS / "words.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("stem", STEMS)
def test_every_word_stands_in_bold_in_its_lesson(stem):
    bold = _bold(stem)
    missing = [w for w in _listed().get(stem[:2], {}) if w.lower() not in bold]
    assert not missing, f"lesson {stem[:2]} does not define {missing} in bold"


def test_what_a_lesson_calls_by_a_name_is_listed():
    words = {word.lower() for word, _, _ in make_glossary.all_words()}
    for stem in LESSONS:
        cells = notebook(stem, True).cells
        text = " ".join(c.source for c in cells if c.cell_type == "markdown")
        for name in re.findall(r"\bcalled (?:the |an? )?\*\*([^*]+)\*\*", text):
            assert " ".join(name.split()).lower() in words, (stem, name)
