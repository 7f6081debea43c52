"""Sphinx's settings for the course's site; `make site` builds it (tools/build_site.py)."""

project = "vae-course"
author = "The authors of vae-course"
copyright = "the authors; text and figures CC BY 4.0, code BSD-3-Clause"  # noqa: A001
language = "en"

extensions = ["myst_nb", "sphinx_copybutton", "sphinx_design"]
nb_execution_mode = "off"  # the notebooks are executed when they are built
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "attrs_block"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
suppress_warnings = [
    "myst.header",
    "mystnb.unknown_mime_type",
    "misc.highlighting_failure",
]
exclude_patterns = ["_build"]

# One local file of MathJax 3; version 4 asks a server for parts of its fonts.
mathjax_path = "mathjax/tex-svg.js"

html_theme = "sphinx_book_theme"
html_title = "Variational autoencoders in PyTorch"
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_show_sourcelink = False
html_copy_source = False
html_permalinks_icon = "#"
html_theme_options = {
    "show_toc_level": 2,
    "navbar_persistent": [],  # the side bar has the search already
    "home_page_in_toc": True,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
copybutton_prompt_text = r">>> |\$ "
copybutton_prompt_is_regexp = True
