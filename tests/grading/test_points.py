"""Graded cells: points of a verdict, of open and of sealed checks."""

import importlib
import io
import json
import math
import shutil
import sys
from contextlib import redirect_stderr
from pathlib import Path

import pytest
import torch

from grading import sealed, variants
from grading.lesson import INSTRUCTOR

HERE = Path(__file__).resolve().parent


def _kl(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


KL = "lesson03.kl_to_standard_normal"


def test_points_are_one_number_between_nothing_and_all(capsys):
    assert sealed.points(KL, _kl, out_of=6) == 6
    assert sealed.points(KL, lambda m, v: -_kl(m, v), out_of=6) == 0
    shares = {"carry no gradient": 0.5, "values are right": 0.25}
    half = sealed.points(KL, lambda m, v: _kl(m, v).detach(), out_of=6, shares=shares)
    assert half == 3
    assert "carry no gradient" in capsys.readouterr().out


def test_a_replaced_check_does_not_count():
    from vae_helpers.checks import lesson03

    before = lesson03.kl_to_standard_normal
    lesson03.kl_to_standard_normal = lambda answer: None
    assert sealed.points(KL, _kl, out_of=6) == 6
    lesson03.kl_to_standard_normal = before


def _modules():
    return {n: m for n, m in sys.modules.items() if n.startswith("vae_helpers.checks")}


def test_any_replaced_module_of_the_checks_does_not_count(monkeypatch):
    """Whichever modules there are, and in whatever order they import each other."""
    importlib.import_module("vae_helpers.checks.lesson03")
    before = _modules()
    for name in before:
        monkeypatch.setitem(sys.modules, name, type(sys)(name))
    assert sealed.points(KL, _kl, out_of=6) == 6
    assert all(not hasattr(module, "__file__") for module in _modules().values())


def test_what_a_notebook_has_loaded_stays_its_own():
    from vae_helpers.checks import lesson03

    before = _modules()
    sealed.points(KL, _kl, out_of=6)
    assert _modules() == before
    assert sys.modules["vae_helpers"].checks.lesson03 is lesson03


def test_every_module_of_the_checks_is_fresh():
    importlib.import_module("vae_helpers.checks.lesson03")
    before = _modules()
    with sealed.fresh_checks():
        importlib.import_module("vae_helpers.checks.lesson03")
        inside = _modules()
    assert len(inside) >= 3
    assert not set(map(id, inside.values())) & set(map(id, before.values()))


def test_warnings_of_an_answer_do_not_reach_stderr():
    def noisy(mu, logvar):
        print("careful", file=sys.stderr)
        return _kl(mu, logvar)

    with redirect_stderr(io.StringIO()) as said:
        assert sealed.points(KL, noisy, out_of=1) == 1
    assert said.getvalue() == ""


def test_an_interrupt_is_not_swallowed():
    def hangs(mu, logvar):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sealed.points(KL, hangs, out_of=1)


# Assignments that were released with version 0.1 ----------------------------------------

RELEASED = json.loads((HERE / "released_0_1.json").read_text(encoding="utf-8"))
VARIANT = variants.load_variants("03", {})


def _answers():
    """Right answers under the names that the old cells use."""
    made = [variants.make_variant(make, n, "5") for n, make in VARIANT.items()]
    # 03.4 asked for digits in base 4 of a pixel with three channels.
    keys = {"to_digits": lambda nats, values: 3 * nats / (values * math.log(4))}
    return keys | {v.name: variants.key_function(v) for v in made}


def _run(source: str, names: dict) -> float:
    *lines, last = source.splitlines()
    exec("\n".join(lines), names)
    return eval(last, names)


def _elbo(x, m, v, weight, offset, sigma):
    """The right answer to 03.2 of then, by sampling nothing: all in closed form."""
    mean = m @ weight.T + offset
    trace = (v.exp()[:, None, :] * weight**2).sum((1, 2))
    square = ((x - mean) ** 2).sum(1) + trace
    log_norm = x.shape[1] * torch.log(2 * torch.pi * sigma**2)
    return -0.5 * (square / sigma**2 + log_norm) - _kl(m, v)


@pytest.mark.parametrize("name", ["check-03-1", "check-03-4"])
def test_the_sealed_cells_of_an_old_release_give_their_points(name):
    names, source = _answers(), RELEASED["cells"][name]
    assert _run(source, names) == int(source.split(",")[1].split()[0]) > 0
    wrong = {key: (lambda *case, f=f: -f(*case)) for key, f in _answers().items()}
    assert _run(source, wrong) == 0


def test_the_sealed_cell_of_an_old_release_names_mistakes(capsys):
    variant = variants.make_variant(VARIANT["03.1"], "03.1", "5")
    for sentence, mistake in variant.wrong.items():
        _run(RELEASED["cells"]["check-03-1"], {"kl_to_prior": mistake})
        assert sentence in capsys.readouterr().out


def test_the_open_cell_of_an_old_release_gives_its_points():
    source = RELEASED["cells"]["check-03-2"]
    assert _run(source, {"linear_gaussian_elbo": _elbo}) == 15
    assert _run(source, {"linear_gaussian_elbo": lambda *c: _elbo(*c).detach()}) == 7.5


@pytest.mark.parametrize("right", [True, False])
def test_the_hidden_cells_of_an_old_release_run(right, tmp_path, monkeypatch):
    """Its course folder has a copy of the module, of then or of now."""
    module = INSTRUCTOR / "course_hidden_tests.py"
    shutil.copy(module, tmp_path)
    shutil.copy(HERE / "overlay_0_1.py", tmp_path / "kl_overlay.py")
    facts = json.dumps({"sealed": RELEASED["sealed"]})
    (tmp_path / "kl.json").write_text(facts, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "course_hidden_tests", raising=False)
    names = _answers() | {"linear_gaussian_elbo": _elbo}
    if not right:
        names = {name: lambda *case: torch.zeros(2) for name in names}
    hidden = {n: c for n, c in RELEASED["cells"].items() if n.startswith("hidden")}
    assert len(hidden) >= 3
    for name, source in hidden.items():
        if right:
            exec(source, dict(names))
        else:
            with pytest.raises(AssertionError):
                exec(source, dict(names))
        assert name


def test_the_old_module_finds_grading_without_a_new_installation(tmp_path, monkeypatch):
    """`git pull` brings the file; the list of packages is of the time of installing."""
    hidden = [n for n in sys.modules if n == "grading" or n.startswith("grading.")]
    for name in [*hidden, "vae_helpers.checks.graded"]:
        monkeypatch.delitem(sys.modules, name, raising=False)
    root = str(INSTRUCTOR.parent)
    kept = [p for p in sys.path if Path(p or ".").resolve() != Path(root)]
    monkeypatch.setattr(sys, "path", [p for p in kept if "tests" not in p])
    monkeypatch.chdir(tmp_path)
    finders = [f for f in sys.meta_path if "editable" not in repr(f).lower()]
    monkeypatch.setattr(sys, "meta_path", finders)
    spec = importlib.util.spec_from_file_location(
        "old_graded", INSTRUCTOR.parent / "vae_helpers" / "checks" / "graded.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert callable(module.points) and root in sys.path
