"""Minutes of reading: one rule, and everywhere the number of today."""

import re

import pytest
from builder import make_notebook, publish
from builder.reading import Count, count, sittings
from lesson_source import LESSONS, STEMS, TABLE

from grading.lesson import INSTRUCTOR, ROOT

LESSON = """\
# %% [markdown]
# # 98 · Why?
#
# Six words with $x^2$ stand here, [linked](https://example.org/a/b).

# %% [markdown]
# ## Set-up

# %%
import torch
SEED = 0

# %% [markdown]
# ## Build
#
# $$a = b$$
#
# and $$c = d$$
#
# <details><summary>Hint 1: many words</summary>
#
# $$e = f$$ is folded.
# </details>

# %%
def double(x):
    # a comment
    ### BEGIN SOLUTION
    y = x + x
    return y
    ### END SOLUTION


# %%
plots.show_images(x)

plots.show_images(y)
"""


def test_the_rule_on_a_lesson_that_can_be_counted_by_hand():
    # 98, Why | Six ... linked: 7 | Set-up, Build, and: 3; lines: def and two calls.
    assert count(LESSON) == Count(words=12, lines=3, equations=2, figures=1)


def test_a_second_reading_is_not_counted():
    later = LESSON + (
        "\n# %% [markdown]\n# One word. $$g$$\n#\n# ## Second reading: more\n#\n# Left out."
        "\n\n# %%\nplots.show_images(z)\n\n# %% [markdown]\n# ## Summary\n"
    )
    assert count(later) == Count(words=15, lines=3, equations=3, figures=1)


def test_a_lesson_with_a_half_way_stop_has_two_sittings():
    label = "# %% [markdown]\n# ### Exercise\n#\n# *core, easy, {} minutes*\n\n"
    prose = "# %% [markdown]\n# " + "word " * 1200 + "\n\n"
    stop = "# %% [markdown]\n# ## Half-way: check yourself\n#\n# Rest.\n\n"
    first = LESSON + prose + label.format(4) + stop
    second = "# %% [markdown]\n# ## Go on\n#\n# Two words.\n\n" + 3 * prose
    assert sittings(first + second + label.format(7)) == [(15, 4), (30, 7)]
    assert sittings(LESSON + prose + label.format(4)) == [(15, 4)]


def test_the_head_of_a_notebook_announces_its_sittings():
    for stem in STEMS:
        head = make_notebook(LESSONS[stem], TABLE, solved=False).cells[0].source
        sums = [sum(part) for part in zip(*LESSONS[stem]["sittings"], strict=True)]
        assert sums == [LESSONS[stem]["read"], LESSONS[stem]["exercise_minutes"]]
        assert ("**Two sittings:**" in head) == (len(LESSONS[stem]["sittings"]) == 2)
    assert len(LESSONS["05_beta_vae"]["sittings"]) == 2


@pytest.mark.parametrize(
    ("read", "minutes"),
    [
        (Count(), 5),
        (Count(words=1200), 10),
        (Count(words=600, lines=100), 10),
        (Count(equations=5, figures=10), 20),
        (Count(words=1500), 10),  # 12.5: a half goes to the even number of fives
        (Count(words=1524), 15),
    ],
)
def test_minutes_are_a_sum_rounded_to_five(read, minutes):
    assert read.minutes == minutes


@pytest.mark.parametrize("stem", STEMS)
def test_the_guide_of_a_lesson_names_its_minutes(stem):
    path = INSTRUCTOR / f"lesson_{stem[:2]}.md"
    text = path.read_text(encoding="utf-8")
    said = re.search(r"Reading (\d+) minutes,\s(?:core\s)?exercises?\s(\d+)", text)
    wanted = [LESSONS[stem]["read"], LESSONS[stem]["exercise_minutes"]]
    assert said and [int(n) for n in said.groups()] == wanted, "run `make build`"
    other = publish.in_guide(text, {"read": 700, "exercise_minutes": 800})
    assert "Reading 700 minutes" in other and re.search(r"exercises?\s800\b", other)
    assert publish.in_guide(other, LESSONS[stem]) == text


def _hours(*numbers):
    chosen = [lesson for stem, lesson in LESSONS.items() if stem[:2] in numbers]
    return [lesson["read"] + lesson["exercise_minutes"] for lesson in chosen]


def test_the_sentences_on_teaching_name_the_minutes_of_today():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    first, *others = _hours(*(stem[:2] for stem in STEMS if stem[0].isdigit()))
    span = (
        f"Lesson 00 takes {first} minutes, the others {min(others)} to {max(others)},"
    )
    assert span in readme, "run `make build`"
    assert (
        publish.in_readme(readme.replace(span, span.replace("1", "9")), TABLE) == readme
    )
    plan = (INSTRUCTOR / "README.md").read_text(encoding="utf-8")
    # A half of 06 belongs to each of the last two weeks.
    half = _hours("06")[0] / 2
    weeks = [sum(_hours(*w)) for w in (("00", "01"), ("02",), ("03",), ("04",))]
    weeks += [sum(_hours("05")) + half, half + sum(_hours("07"))]
    long = [f"{week}" for week, minutes in enumerate(weeks, 1) if minutes > 180]
    said = f"Weeks {', '.join(long[:-1])} and {long[-1]} hold more than\nthree hours"
    assert said in plan, said
    assert min(_hours("02", "04", "05", "06", "07")) > 90 >= max(_hours("01", "03"))


def test_code_that_is_shown_on_a_click_is_not_read():
    shown = "# %% [markdown]\n# # 98 · Why?\n\n# %% tags=[{tags}]\nplt.show()\nb = 2\n"
    folded = count(shown.format(tags='"fold"'))
    assert folded.lines == 0 and folded.figures == 1
    assert count(shown.format(tags="")).lines == 2
