"""The rules that make lessons readable, checked on the sources."""

import ast
import re
from itertools import pairwise
from statistics import median

import builder
import number_figures
import pytest
from builder.publish import CAPTION
from lesson_source import LESSONS, STEMS, code_cells, notebook

REQUIRED = [
    "## Set-up",
    "## Break it",
    "## Check yourself",
    "## Summary",
    "**Sources.**",
]
WITHOUT_CAPTIONS = ["05"]  # lessons whose figures have none yet
CONCLUSION = 120  # characters of the bold sentence of a caption, at most
every_lesson = pytest.mark.parametrize("stem", STEMS)


def _cells(stem):
    """The author's cells: without the set-up cell and footer that the builder adds."""
    cells = notebook(stem, True).cells[:-1]
    return [c for c in cells if "setup" not in c.metadata.get("tags", [])]


def _code_lines(text):
    lines = [line.strip() for line in text.splitlines()]
    return sum(bool(line) and not line.startswith("#") for line in lines)


def _prose(stem):
    return [c.source for c in _cells(stem) if c.cell_type == "markdown"]


@every_lesson
def test_one_title_with_number_and_question_and_required_sections(stem):
    text = "\n".join(_prose(stem))
    titles = re.findall(r"^# .*", text, re.MULTILINE)
    assert len(titles) == 1
    assert titles[0].startswith(f"# {stem[:2]} · ")
    assert titles[0].endswith("?")
    assert "**You will be able to**" in text
    for section in REQUIRED:
        assert section in text, f"{stem} has no {section}"
    goals = text.split("**You will be able to**")[1].split("\n\n")[1]
    assert 3 <= len(re.findall(r"^- ", goals, re.MULTILINE)) <= 5


@every_lesson
def test_code_cells_are_short(stem):
    lengths = [_code_lines(c.source) for c in _cells(stem) if c.cell_type == "code"]
    assert max(lengths) <= 30
    assert median(lengths) <= 9
    assert sum(n <= 20 for n in lengths) >= 0.9 * len(lengths), sorted(lengths)


@every_lesson
def test_code_lines_fit_the_width(stem):
    for source in code_cells(stem):
        for line in source.splitlines():
            assert len(line) <= 88, f"{stem}: {line}"


@every_lesson
def test_enough_prose_and_never_more_than_three_code_cells_in_a_row(stem):
    words = sum(len(re.findall(r"\w+", text)) for text in _prose(stem))
    lines = sum(_code_lines(c.source) for c in _cells(stem) if c.cell_type == "code")
    assert words / lines >= 5, f"{words} words for {lines} lines"
    run = longest = 0
    for cell in _cells(stem):
        run = run + 1 if cell.cell_type == "code" else 0
        longest = max(longest, run)
    assert longest <= 3


@every_lesson
def test_every_exercise_has_stub_check_and_three_hints(stem):
    cells = _cells(stem)
    headings = re.findall(r"Exercise ([A-Z\d]\d\.\d+) ·", "\n".join(_prose(stem)))
    stubs = [i for i, c in enumerate(cells) if "exercise" in c.metadata.get("tags", [])]
    assert len(headings) >= len(stubs) >= 1
    assert headings == [f"{stem[:2]}.{n + 1}" for n in range(len(headings))]
    for i in stubs:
        assert "check" in cells[i + 1].metadata.get("tags", []), cells[i].source
        assert re.search(r"Exercise [A-Z\d]\d\.\d+", cells[i - 1].source)
        assert re.search(r"\*(core|extension), \w+, \d+ minutes\*", cells[i - 1].source)
        tree = ast.parse(builder.to_stub(cells[i].source))
        for function in (n for n in tree.body if isinstance(n, ast.FunctionDef)):
            said = ast.get_docstring(function) or ""
            assert "->" in said, f"{function.name} does not say what it returns"
        following = "\n".join(c.source for c in cells[i + 2 : i + 3])
        for number in (1, 2, 3):
            assert f"Hint {number}" in following, f"{stem}: {cells[i].source[:60]}"


@every_lesson
def test_stubs_hold_no_solution(stem):
    for source in code_cells(stem, "exercise", solved=False):
        assert "raise NotImplementedError" in source
        assert "SOLUTION" not in source
        tree = ast.parse(source)
        for function in (n for n in tree.body if isinstance(n, ast.FunctionDef)):
            rest = function.body[1:] if ast.get_docstring(function) else function.body
            assert len(rest) == 1 and isinstance(rest[0], ast.Raise)
    for source in code_cells(stem, "exercise", solved=True):
        assert "NotImplementedError" not in source and "SOLUTION" not in source


@every_lesson
def test_no_result_rests_on_a_learners_answer(stem):
    """Records of claims leave exercises out, and a lesson runs without an answer."""
    answers = set()
    for cell in (c for c in _cells(stem) if c.cell_type == "code"):
        tags, tree = cell.metadata.get("tags", []), ast.parse(cell.source)
        if "exercise" in tags:
            kinds = ast.FunctionDef | ast.ClassDef
            answers |= {node.name for node in tree.body if isinstance(node, kinds)}
        elif "check" not in tags:
            used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            assert not used & answers, f"{stem}: {used & answers}\n{cell.source}"


@every_lesson
def test_functions_use_what_they_are_given(stem):
    """A function may read its arguments, imports, other functions and UPPER_CASE names.

    Functions that draw a live figure are the exception: a slider gives them numbers, and
    they show the lesson's models and images.
    """
    trees = [ast.parse(source) for source in code_cells(stem)]
    known = set(dir(__builtins__)) | set(__builtins__)
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                known |= {(a.asname or a.name).split(".")[0] for a in node.names}
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                known.add(node.name)
    for tree in trees:
        for function in [n for n in tree.body if isinstance(n, ast.FunctionDef)]:
            if function.args.args and function.args.args[0].arg == "figure":
                continue
            stored = {a.arg for a in ast.walk(function) if isinstance(a, ast.arg)}
            names = [n for n in ast.walk(function) if isinstance(n, ast.Name)]
            stored |= {n.id for n in names if isinstance(n.ctx, ast.Store)}
            read = {n.id for n in names if isinstance(n.ctx, ast.Load)}
            foreign = {n for n in read - stored - known if not n.isupper()}
            assert not foreign, f"{stem}: {function.name} reads {foreign}"


@every_lesson
def test_settings_are_set_once_and_nothing_accumulates(stem):
    """Running a cell twice must change nothing after it."""
    settings: dict[str, int] = {}
    for source in code_cells(stem):
        for node in ast.parse(source).body:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name) and target.id.isupper():
                        settings[target.id] = settings.get(target.id, 0) + 1
            assert not isinstance(node, ast.AugAssign), f"{stem}: {source[:80]}"
    assert settings.get("SEED") == 1
    assert all(count == 1 for count in settings.values()), settings


@every_lesson
def test_nothing_that_a_lesson_must_not_do(stem):
    text = "\n".join(code_cells(stem))
    for forbidden in (
        "import *",
        "!pip",
        ".cuda()",
        "num_workers",
        "kld_weight =",
        "float64, device",
        "tqdm",
        "filterwarnings",
        "plt.style.use",
        "nbgrader",
    ):
        assert forbidden not in text, f"{stem} has {forbidden}"
    prose = "\n".join(_prose(stem))
    for word in (r"simply", r"obviously", r"trivial(ly)?", r"of course", r"clearly"):
        assert not re.search(rf"\b{word}\b", prose, re.IGNORECASE), f"{stem}: {word}"
    assert not re.search(r"!\[\s*\]\(", prose), "an image without alternative text"
    assert "> [!" not in prose


@every_lesson
def test_a_figure_is_followed_by_words(stem):
    cells = _cells(stem)
    for i, cell in enumerate(cells):
        draws = "plots.show" in cell.source or "plt.show" in cell.source
        if cell.cell_type == "code" and draws and not cell.source.startswith("def "):
            after = [c.cell_type for c in cells[i + 1 : i + 3]]
            assert "markdown" in after, f"{stem}: no words after\n{cell.source}"


def _leaves_a_figure(cell):
    """Whether a cell shows a figure that stays in the notebook.

    Live figures do not stay: without a kernel nothing of them is seen, so they have no
    number. Drawings and films bring their own captions.
    """
    if cell.cell_type != "code" or "exercise" in cell.metadata.get("tags", []):
        return False
    run = [n for n in ast.parse(cell.source).body if not isinstance(n, ast.FunctionDef)]
    calls = [n for part in run for n in ast.walk(part) if isinstance(n, ast.Call)]
    names = [ast.unparse(call.func) for call in calls]
    return any(n == "plt.show" or n.startswith("plots.show_") for n in names)


@every_lesson
def test_every_figure_has_a_caption_and_every_caption_a_figure(stem):
    """The caption begins the cell below: "**Figure 4.3. The conclusion.** How to read it"."""
    if stem[:2] in WITHOUT_CAPTIONS:
        pytest.skip("no captions yet")
    lesson, number = stem[:2].removeprefix("0"), 0
    for cell, below in pairwise(_cells(stem)):
        found = CAPTION.match(below.source) if below.cell_type == "markdown" else None
        if not _leaves_a_figure(cell):
            assert not found, f"{stem}: a caption without a figure: {found[1]}"
            continue
        number += 1
        begins = f"Figure {lesson}.{number}. "
        assert found, f"{stem}: no caption '**{begins}...' below\n{cell.source}"
        assert found[1].startswith(begins), f"{stem}: {begins} is called {found[1]}"
        conclusion = " ".join(found[1].removeprefix(begins).split())
        assert len(conclusion) <= CONCLUSION, f"{len(conclusion)}: {conclusion}"
        assert conclusion.endswith("."), f"no full stop: {conclusion}"
    assert "\n".join(_prose(stem)).count("**Figure ") == number


def test_figures_are_numbered_in_their_order_and_mentions_follow():
    text = (
        "# **Figure 4.1. A.**\n# In figures 4.1 and 4.2\n"
        "# **Figure 4.new. B.**\n# **Figure 4.2. C.** As in figure\n# 4.2; 4.2 nats."
    )
    assert number_figures.numbered(text, "4") == (
        "# **Figure 4.1. A.**\n# In figures 4.1 and 4.3\n"
        "# **Figure 4.2. B.**\n# **Figure 4.3. C.** As in figure\n# 4.3; 4.2 nats."
    )
    with pytest.raises(ValueError, match="twice: 1"):
        number_figures.numbered("**Figure 4.1. A.** **Figure 4.1. B.**", "4")


def test_the_prose_names_figures_that_exist():
    numbered = re.compile(r"[Ff]igures? ([\dA-Z]+\.\d+)")
    prose = {stem: "\n".join(_prose(stem)) for stem in STEMS}
    known = {n for p in prose.values() for n in re.findall(r"\*\*Figure (\w+\.\d+)", p)}
    for stem, text in prose.items():
        unknown = set(numbered.findall(text)) - known
        assert not unknown, f"{stem} speaks of figures {sorted(unknown)}"


@every_lesson
def test_training_lessons_end_with_panels_and_a_table_of_symptoms(stem):
    text, prose = "\n".join(code_cells(stem)), "\n".join(_prose(stem))
    if "train(" in text or "fit(" in text:
        assert "expected(" in text or stem[:2] in ("02", "03", "A1")
        if "expected(" in text:
            assert "| Symptom | Likely cause |" in prose


def test_the_table_of_lessons_is_complete_and_in_order():
    assert STEMS == sorted(STEMS)
    for stem, lesson in LESSONS.items():
        assert all(need < stem[:2] for need in lesson["needs"])


def test_symbols_of_every_lesson_are_in_a_notation_table():
    """Every LaTeX letter is in the table of lesson 00 or in a table of its own lesson."""
    table = _symbols("\n".join(_tables("00_start_here")))
    for stem in STEMS:
        own = _symbols("\n".join(_tables(stem)))
        used = _symbols("\n".join(_prose(stem)))
        missing = used - table - own - INDICES
        assert not missing, f"{stem} uses {sorted(missing)} without saying what it is"


# Indices, axes, the differential and the numbers e and pi need no row.
INDICES = set("deijknsBDSZ") | {"pi"}
OPERATORS = re.compile(
    r"\\(?:mathrm|text|operatorname|mathbb|mathcal)\{[^}]*\}|\\(?:mathbb|mathcal) ?[A-Z]"
)
GREEK = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta kappa lambda mu nu xi pi "
    "rho sigma tau phi varphi chi psi omega Lambda Sigma Phi Psi Theta Omega"
).split()


def _tables(stem):
    rows = []
    for text in _prose(stem):
        rows += [r for r in text.splitlines() if r.startswith("|") and "$" in r]
    return rows


def _symbols(text):
    found = set()
    for formula in re.findall(r"\$\$?(.+?)\$\$?", text, re.DOTALL):
        plain = OPERATORS.sub(" ", formula)
        greek = re.findall(r"\\([A-Za-z]+)", plain)
        found |= {name for name in greek if name in GREEK}
        found |= set(
            re.findall(
                r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])", re.sub(r"\\[A-Za-z]+", " ", plain)
            )
        )
    return found
