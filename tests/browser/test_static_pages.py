"""The notebooks as pages without a kernel: nothing empty, no raw formulas, words for figures."""

import re
from importlib import resources

import pytest
from builder import NOTEBOOKS
from lesson_source import STEMS
from nbconvert import HTMLExporter

RAW_FORMULA = re.compile(r"\$\$|\\(mathrm|mathbb|frac|log|sigma|varepsilon|theta)\b")
WORDS = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (parent.closest('code, pre, script, style, .MathJax, .MJX_Assistive_MathML, math'))
      continue;
    found.push(walker.currentNode.data);
  }
  return found;
}"""


@pytest.mark.parametrize("stem", STEMS)
def test_a_page_shows_everything(stem, page, tmp_path, shots):
    mathjax = resources.files("nbclassic") / "static/components/MathJax/MathJax.js"
    # The template that prints the alternative text of figures; "lab" leaves it out.
    exporter = HTMLExporter(
        template_name="classic",
        mathjax_url=f"file://{mathjax}?config=TeX-AMS-MML_HTMLorMML-full",
        require_js_url="",
    )
    html, _ = exporter.from_filename(NOTEBOOKS / f"{stem}.ipynb")
    path = tmp_path / "page.html"
    path.write_text(html, encoding="utf-8")
    page.route("http*://**", lambda route: route.abort())  # read offline
    page.goto(path.as_uri(), wait_until="load")
    page.wait_for_function("() => Boolean(window.MathJax?.isReady)")
    page.evaluate("() => new Promise(done => MathJax.Hub.Queue(() => done()))")
    raw = [text for text in page.evaluate(WORDS) if RAW_FORMULA.search(text)]
    assert not raw, raw[:3]
    images = page.locator("img").all()
    assert images
    for image in images:
        assert image.evaluate("i => i.naturalWidth") > 10, "an image does not load"
        words = image.get_attribute("alt") or ""
        assert len(words) > 9 and "No description" not in words, words
    outputs = page.locator(".output_subarea").all()
    empty = [o for o in outputs if o.bounding_box()["height"] < 5]
    assert not empty, empty[0].evaluate("e => e.outerHTML.slice(0, 300)")
    # Wrong TeX. (".MathJax_Error" is another thing: a part that this copy of MathJax lacks,
    # such as the one for primes.)
    wrong = page.locator(".merror, .noError").all_inner_texts()
    assert not wrong
    page.screenshot(path=shots / f"{stem}_page.png")
