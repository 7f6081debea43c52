"""Slides in a browser: nothing is cut, type is large, keys and printing do what they say."""

import re

import pytest
from lab_page import wait_until
from lesson_source import STEMS
from slides import pages, plan, tex, words
from slides.plan import FEWEST

NUMBERS = [stem[:2] for stem in STEMS]
SMALLEST = 18  # pixels of type on a slide of 1280 x 720
# What is cut, or leaves its slide, or is too small to read from the last row.
FAULTS = """smallest => [...document.querySelectorAll('.slide')].flatMap((slide, i) => {
  document.querySelectorAll('.stop').forEach((s, j) => s.classList.toggle('now', i === j));
  const found = [], body = slide.querySelector('.body'), edge = body.getBoundingClientRect();
  const say = words => found.push(`slide ${i + 1}: ${words}`);
  if (body.scrollHeight > body.clientHeight + 1) say(`${body.scrollHeight} px of ${body.clientHeight}`);
  if (slide.scrollHeight > slide.clientHeight + 1) say('the slide overflows');
  for (const part of [...slide.querySelectorAll('*')].filter(p => !p.closest('math'))) {
    const box = part.getBoundingClientRect(), name = part.tagName + ' ' + part.textContent.slice(0, 40);
    if (part.closest('.body') && !part.ownerSVGElement && box.width
        && (box.right > edge.right + 2 || box.left < edge.left - 2 || box.top < edge.top - 2 || box.bottom > edge.bottom + 2))
      say(`${name} leaves it`);
    if (getComputedStyle(part).overflow === 'hidden' && part.scrollWidth > part.clientWidth + 1) say(`${name} is cut`);
    const own = [...part.childNodes].some(n => n.nodeType === 3 && n.data.trim());
    if (own && parseFloat(getComputedStyle(part).fontSize) < smallest) say(`${name} is small`);
  }
  for (const image of slide.querySelectorAll('img'))
    if (!image.naturalWidth || image.getBoundingClientRect().height < 200) say('a picture is small');
  return found;
})"""


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    try:
        tex.draw(words.formula("x", display=False))
    except RuntimeError as error:  # no Node here, or no registry
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("slides")
    return {n: pages.write(plan.read(n), folder) for n in NUMBERS}


@pytest.fixture
def reader(page):
    """A browser without a network, as large as a slide."""
    page.set_default_timeout(120_000)
    page.asked = []
    page.route("http*://**", lambda r: (page.asked.append(r.request.url), r.abort()))
    page.set_viewport_size({"width": 1280, "height": 720})
    return page


def open_deck(reader, path, place=""):
    reader.goto(path.as_uri() + place)
    reader.wait_for_selector("body[data-ready]", state="attached")


def at(reader):
    return reader.locator(".stop.now footer span").last.inner_text()


EVERY = [pytest.param(n, marks=[pytest.mark.slow] * (n != "03")) for n in NUMBERS]


@pytest.mark.parametrize("number", EVERY)
def test_nothing_is_cut(number, decks, reader, shots):
    open_deck(reader, decks[number][0])
    assert reader.evaluate(FAULTS, SMALLEST) == []
    assert reader.asked == []
    reader.evaluate("show(1, true, false)")
    reader.screenshot(path=shots / f"slides_{number}.png")


def test_keys_and_addresses(decks, reader):
    open_deck(reader, decks["03"][0], "#5")
    assert at(reader).startswith("5 /")
    for key, place in (
        ("ArrowRight", 6),
        ("ArrowLeft", 5),
        ("Home", 1),
        ("PageDown", 2),
    ):
        reader.keyboard.press(key)
        assert at(reader).startswith(f"{place} /") and reader.url.endswith(f"#{place}")
    reader.keyboard.press("n")
    assert reader.locator(".stop.now .notes").is_visible()
    reader.keyboard.press("n")
    assert not reader.locator(".stop.now .notes").is_visible()


def test_an_answer_comes_with_the_next_key(decks, reader):
    open_deck(reader, decks["03"][0], "#3")
    later = reader.locator(".stop.now .later")
    assert not later.is_visible()
    reader.keyboard.press("ArrowRight")
    assert later.is_visible() and at(reader).startswith("3 /")
    reader.keyboard.press("ArrowRight")
    assert at(reader).startswith("4 /")


def test_the_second_window_follows(decks, reader):
    open_deck(reader, decks["03"][0])
    with reader.expect_popup() as opened:
        reader.keyboard.press("p")
    speaker = opened.value
    speaker.wait_for_selector("body.speaker", state="attached")
    assert speaker.locator(".stop.now .notes").is_visible()
    reader.keyboard.press("ArrowRight")
    # Not wait_for_function: the deck's own rules forbid the `eval` that it polls with.
    wait_until(lambda: speaker.evaluate("location.hash") == "#2", 30, "slide 2")
    speaker.keyboard.press("ArrowRight")
    wait_until(lambda: reader.evaluate("location.hash") == "#3", 30, "slide 3")


def pages_of(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


def test_printing(decks, reader):
    open_deck(reader, decks["03"][0])
    slides = reader.locator(".slide").count()
    assert slides >= FEWEST
    assert pages_of(reader.pdf(prefer_css_page_size=True)) == slides
    reader.keyboard.press("n")
    assert pages_of(reader.pdf(prefer_css_page_size=True)) == slides


@pytest.mark.parametrize("number", EVERY)
def test_a_sheet_is_one_page(number, decks, reader):
    for path in decks[number][1:]:
        reader.goto(path.as_uri())
        assert pages_of(reader.pdf(prefer_css_page_size=True)) == 1
    assert reader.asked == []
