"""The site opens from the disk, without a network: whole, readable, with words for figures."""

import html
import json
import re

import build_site
import nbformat
import pytest
from builder import NOTEBOOKS
from lesson_source import STEMS
from test_static_pages import RAW_FORMULA, WORDS


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("myst_nb", reason="make test-browser installs it")
    try:
        build_site.mathjax()
    except RuntimeError as error:  # no npm here, or no registry
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("site")
    assert build_site.main(["--to", str(folder), "--no-solutions"]) == 0
    return folder


@pytest.fixture
def reader(page):
    """A browser without a network; what a page asks of one is kept."""
    page.asked = []
    page.route(
        "http*://**",
        lambda route: (page.asked.append(route.request.url), route.abort()),
    )
    return page


@pytest.mark.parametrize("stem", STEMS)
def test_a_lesson_is_whole(stem, site, reader):
    reader.goto((site / "notebooks" / f"{stem}.html").as_uri())
    reader.wait_for_function("() => window.MathJax?.startup?.promise")
    reader.evaluate("() => MathJax.startup.promise")
    assert reader.asked == []
    raw = [text for text in reader.evaluate(WORDS) if RAW_FORMULA.search(text)]
    assert not raw, raw[:3]
    assert not reader.locator("[data-mjx-error], mjx-merror").count()
    shown = [
        image.get_attribute("alt") for image in reader.locator(".cell_output img").all()
    ]
    assert shown == words_of(stem)
    assert reader.evaluate("document.documentElement.scrollWidth") <= 1280


def words_of(stem):
    """The alternative texts of a notebook's pictures, in their order."""
    book = nbformat.read(NOTEBOOKS / f"{stem}.ipynb", as_version=4)
    pages = [
        output.data.get("text/html", "")
        for cell in book.cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    return [
        html.unescape(alt)
        for page in pages
        for alt in re.findall(r'alt="([^"]*)"', page)
    ]


def test_links_to_headings_of_other_lessons_lead_there(site):
    """An address that works in JupyterLab is another one here."""
    lost = []
    for stem in STEMS:
        text = (site / "notebooks" / f"{stem}.html").read_text(encoding="utf-8")
        for name, anchor in re.findall(r'href="(\w+)\.html#([^"]+)"', text):
            there = (site / "notebooks" / f"{name}.html").read_text(encoding="utf-8")
            if f'id="{anchor}"' not in there:
                lost.append(f"{stem}: {name}#{anchor}")
    assert not lost, lost[:5]


def test_the_front_page_fits_a_phone_and_leads_on(site, reader):
    reader.set_viewport_size({"width": 360, "height": 700})
    reader.goto((site / "index.html").as_uri())
    assert reader.evaluate("document.documentElement.scrollWidth") <= 360
    for words in ("Read", "Run in the browser", "Run on your machine"):
        assert reader.get_by_text(words, exact=True).first.is_visible()
    assert reader.asked == []


def test_a_word_is_found(site, reader):
    reader.goto((site / "search.html").as_uri() + "?q=collapse")
    reader.wait_for_selector("#search-results li a")
    found = reader.locator("#search-results li a").all_inner_texts()
    assert any("beta" in text for text in found), found


def test_an_empty_site_is_not_published(tmp_path, site):
    assert build_site.missing(site, solutions=False) == []
    assert "index.html" in build_site.missing(tmp_path, solutions=False)
    assert json.dumps(build_site.missing(tmp_path, solutions=True)).count(
        "solutions"
    ) == len(STEMS)


def test_the_address_of_a_heading():
    assert (
        build_site.slug("The-maths:-moving-the-gradient")
        == "the-maths-moving-the-gradient"
    )
    assert (
        build_site.slug("Where-does-the-blur-come-from?")
        == "where-does-the-blur-come-from"
    )
