"""The core of the checks, on small made-up exercises."""

import random
import sys
import threading
import time
import types

import numpy as np
import pytest
import torch

from vae_helpers.checks import guard, usual
from vae_helpers.checks.core import (
    NOT_ATTEMPTED,
    RIGHT,
    WRONG,
    Part,
    Symptom,
    Symptoms,
    Verdict,
    Wrong,
    call,
    declare,
)


def _right(mu, logvar):
    return usual.kl_each(mu, logvar).sum(1)


def _pair(*shape):
    return torch.randn(shape), torch.randn(shape)


KL = declare(
    "99.1 kl",
    "small batches.",
    Part(
        right=_right,
        cases=lambda: [
            (torch.tensor([[0.5]]), torch.tensor([[-1.0]])),
            *[_pair(2 + i % 3, 1 + i % 4) for i in range(8)],
        ],
        edges=lambda: {
            "one image in the batch": _pair(1, 3),
            "wide codes": (torch.zeros(1, 2), torch.full((1, 2), 12.0)),
        },
        gradients=("mu", "logvar"),
        wrong=usual.kl_formulas(lambda r: r.sum(1))
        | usual.reduced(_right, "The sign is flipped."),
    ),
)


def _says(*answers, check=KL, status=WRONG):
    verdict = check(*answers)
    assert verdict.status == status, verdict
    return verdict.message


def test_a_verdict_reads_well_as_text_and_as_html():
    verdict = Verdict("99.1 demo", WRONG, "a < b & c")
    assert repr(verdict) == "✗ Exercise 99.1 demo: wrong. a < b & c"
    assert "a &lt; b &amp; c" in verdict._repr_html_()


def test_right_answers_pass_however_they_are_written():
    def viewed(mu, logvar):
        return _right(mu.view(len(mu), -1), logvar.view(len(mu), -1))

    def printed(mu, logvar):
        print(mu)
        return _right(mu.double(), logvar.double())

    for answer in (_right, viewed, printed):
        assert _says(answer, status=RIGHT) == "small batches."


def test_every_named_mistake_says_its_own_words():
    for sentence, mistake in KL.parts[0].wrong.items():
        assert _says(mistake) == sentence


def test_an_unknown_mistake_shows_one_tiny_case():
    said = _says(lambda mu, logvar: 0.4 * _right(mu, logvar))
    assert "with mu = [[0.5]], logvar = [[-1]]" in said
    assert "your result: [0.1236]" in said and "right: [0.3089]" in said


def test_two_numbers_that_differ_are_never_printed_alike():
    said = _says(lambda mu, logvar: 1.0003 * _right(mu, logvar))
    yours, right = said.splitlines()[-2:]
    assert yours.removeprefix("your result: ") != right.removeprefix("right: ")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda m, v: _right(m, v.clamp(-10, 10)), "but not with wide codes"),
        (lambda m, v: _right(m, v).squeeze(), usual.SQUEEZED),
        (lambda m, v: _right(m, v) * torch.nan, "your result: [nan]"),
    ],
)
def test_special_inputs_are_named(answer, words):
    assert words in _says(answer)


def test_right_values_with_a_lost_gradient_name_the_argument():
    def no_logvar(mu, logvar):
        return _right(mu, torch.tensor(logvar.tolist()))

    part = Part(right=_right, cases=KL.parts[0].cases, wrong={}, gradients=["logvar"])
    assert "carry no gradient" in _says(no_logvar, check=declare("9", "", part))
    part = Part(
        right=_right, cases=KL.parts[0].cases, wrong={}, gradients=["mu", "logvar"]
    )
    check = declare("9", "", part)
    assert "The values are right, but `logvar` gets no gradient" in _says(
        no_logvar, check=check
    )
    half = _says(
        lambda m, v: _right(m, v) + m.detach().sum() * 0 + (m - m.detach()).sum(1),
        check=check,
    )
    assert "The values are right, but the gradient of `mu` is not" in half


def test_no_gradient_is_asked_of_an_argument_that_is_not_named():
    part = Part(right=_right, cases=KL.parts[0].cases, wrong={}, gradients=["mu"])
    verdict = declare("9", "", part)(lambda mu, logvar: _right(mu, logvar.detach()))
    assert verdict.status == RIGHT


def test_a_stub_is_a_raise_of_the_learner_and_nothing_else():
    def stub(mu, logvar):
        raise NotImplementedError

    def half_done(mu, logvar):
        raise NotImplementedError("the sum is missing")

    def torch_cannot(mu, logvar):
        return torch.nn.Module()(mu)

    def torch_will_not(mu, logvar):
        return mu.byte().mean()

    assert "Replace the line" in _says(stub, status=NOT_ATTEMPTED)
    assert _says(half_done, status=NOT_ATTEMPTED) == "the sum is missing"
    for answer in (torch_cannot, torch_will_not):
        assert "Your code stopped with" in _says(answer)


def test_the_halves_of_an_exercise_say_how_far_one_is():
    def part(name, place):
        case = lambda: [(torch.ones(2),)]  # noqa: E731
        return Part(
            right=lambda x: 2 * x, cases=case, wrong={}, name=name, answer=place
        )

    def stub(x):
        raise NotImplementedError

    both = declare("99.2", "both", part("twice", 0), part("again", 1))
    assert _says(stub, stub, check=both, status=NOT_ATTEMPTED).startswith("Replace")
    said = _says(lambda x: x + x, stub, check=both, status=NOT_ATTEMPTED)
    assert said == "`twice` is right. Go on with `again`."
    said = _says(stub, lambda x: x + x, check=both, status=NOT_ATTEMPTED)
    assert said == "`again` is right. Go on with `twice`."
    assert _says(stub, lambda x: x, check=both).startswith("The values differ")


def _inputs_changed(mu, logvar):
    mu *= 2
    return _right(mu / 2, logvar)


def _noise_changed(mu, logvar):
    logvar.data += 0.5
    return _right(mu, logvar - 0.5)


@pytest.mark.parametrize("answer", [_inputs_changed, _noise_changed])
def test_inputs_must_stay_as_they_are(answer):
    assert "changed a tensor it was given" in _says(answer)


def _with(change):
    def answer(mu, logvar):
        change()
        return _right(mu, logvar)

    return answer


CHANGES = {
    "switches autograd off": lambda: torch.set_grad_enabled(False),
    "default dtype": lambda: torch.set_default_dtype(torch.float64),
    "number of threads": lambda: torch.set_num_threads(3),
    "which algorithms": lambda: torch.use_deterministic_algorithms(True),
    "seed of PyTorch": lambda: torch.manual_seed(0),
    "seed of NumPy": lambda: np.random.seed(0),
    "seed of Python": lambda: random.seed(0),
}


def _state():
    return (
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
    )


@pytest.mark.parametrize("words", CHANGES)
def test_a_change_of_the_notebooks_state_is_named_and_undone(words):
    before = _state()
    assert words in _says(_with(CHANGES[words]))
    assert _state() == before


def test_drawing_random_numbers_is_allowed_and_moves_no_stream():
    before = _state()

    def draws():
        return torch.rand(3), np.random.rand(3), random.random()

    _says(_with(draws), status=RIGHT)
    assert _state() == before


def test_a_check_works_with_autograd_off_and_another_default_dtype():
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            _says(_right, status=RIGHT)
            assert not torch.is_grad_enabled()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda m, v: None, "returned None"),
        (lambda m, v: "text", "returned text"),
        (lambda m, v: _right(m, v) + 0j, "complex numbers"),
        (lambda m, v: _right(m, v).detach().numpy(), "a NumPy array; needed is one"),
        (lambda m, v: list(_right(m, v)), "`torch.stack(...)`"),
        (lambda m, v: _right(m, v).tolist(), "`torch.tensor(...)`"),
        (lambda m, v: (x for x in "ab"), "generator"),
        (lambda m, v: [][3], "IndexError"),
        (lambda m: m, "TypeError"),
        (lambda m, v: sys.exit(), "ended the program"),
        (3, "got a int instead of a function"),
    ],
)
def test_odd_results_get_a_true_sentence(answer, words):
    assert words in _says(answer)


def test_a_python_number_where_one_is_asked_for():
    def check(number):
        part = Part(
            right=lambda x: float(x.sum()),
            cases=lambda: [(torch.ones(2),)],
            wrong={},
            number=number,
        )
        return declare("99.3", "", part)

    for strict in (False, True):
        _says(lambda x: x.sum().item(), check=check(strict), status=RIGHT)
    _says(lambda x: x.sum(), check=check(False), status=RIGHT)
    _says(lambda x: np.float32(x.sum()), check=check(False), status=RIGHT)
    assert "needed is a Python number" in _says(lambda x: x.sum(), check=check(True))
    assert "NumPy" in _says(lambda x: x.sum().numpy(), check=check(True))
    assert "returned text; a number" in _says(lambda x: "2", check=check(False))


def test_several_results_are_told_apart():
    part = Part(
        right=lambda x: (x + 1, x - 1),
        cases=lambda: [(torch.ones(2),)],
        wrong={"They are swapped.": lambda x: (x - 1, x + 1)},
        results=("more", "less"),
    )
    check = declare("99.4", "", part)
    _says(lambda x: [x + 1, x - 1], check=check, status=RIGHT)
    assert _says(lambda x: (x - 1, x + 1), check=check) == "They are swapped."
    assert "`return more, less`" in _says(lambda x: x, check=check)
    assert "your less" in _says(lambda x: (x + 1, x), check=check)


def test_only_a_few_printed_lines_come_through(capsys):
    def chatty(mu, logvar):
        for number in range(1000):
            print("line", number)
        print("x" * 100_000)
        return _right(mu, logvar)

    _says(chatty, status=RIGHT)
    out = capsys.readouterr().out
    assert out.count("line") == guard.LINES + 0 and "is left out" in out
    assert len(out) < 2 * guard.LETTERS


def _for_ever(mu, logvar):
    while True:
        try:
            time.sleep(0.01)
        except Exception:  # noqa: S110 - a learner's loop that swallows errors
            pass


def test_an_endless_loop_ends_with_a_message_in_any_thread(monkeypatch):
    limit = guard.time_limit
    monkeypatch.setattr(guard, "time_limit", lambda: limit(0.3))
    assert "a loop that never ends" in _says(_for_ever)
    said = []
    thread = threading.Thread(target=lambda: said.append(_says(_for_ever)))
    thread.start()
    thread.join(20)
    assert "a loop that never ends" in said[0]


def test_stop_means_stop():
    def interrupted(mu, logvar):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        KL(interrupted)


class _Shell:
    """As much of a notebook's shell as a check looks at."""

    def __init__(self, *cells):
        self.history_manager = types.SimpleNamespace(input_hist_raw=["", *cells])

    def transform_cell(self, text):
        return text


def test_a_newer_cell_that_does_not_compile_is_told(monkeypatch):
    good = "def _right(mu, logvar):\n    return 1\n"
    bad = "def _right(mu, logvar)\n    return 1\n"
    python = types.SimpleNamespace(get_ipython=lambda: _Shell(good, bad, "1 + 1"))
    monkeypatch.setitem(sys.modules, "IPython", python)
    said = _says(_right)
    assert "in cell [2], does not compile" in said and "line 1" in said
    python.get_ipython = lambda: _Shell(bad, good)
    _says(_right, status=RIGHT)


def test_the_right_results_are_computed_before_an_answer_runs():
    def spoils(mu, logvar):
        torch.Tensor.exp = torch.Tensor.sin
        return mu.sum(1)

    exp = torch.Tensor.exp
    check = declare("99.5", "", KL.parts[0])
    try:
        assert check(spoils).status == WRONG
        torch.Tensor.exp = exp
        _says(_right, check=check, status=RIGHT)
    finally:
        torch.Tensor.exp = exp


def _noise_check():
    def measure(answer):
        x = torch.zeros(2000)
        return types.SimpleNamespace(std=float(call(answer, (x,), 1).std()))

    twice = Symptom(
        "Twice too wide.",
        lambda s: abs(s.std - 2) < 0.2,
        lambda x: x + 2 * torch.randn_like(x),
    )
    return declare(
        "99.6",
        "",
        Symptoms(
            right=lambda x: x + torch.randn_like(x),
            measure=measure,
            table=[twice],
            fine=lambda s: abs(s.std - 1) < 0.1,
        ),
    )


def test_symptoms_are_measured_and_nan_is_never_fine():
    check = _noise_check()
    _says(check.parts[0].right, check=check, status=RIGHT)
    assert _says(check.parts[0].table[0].example, check=check) == "Twice too wide."
    assert "std=nan" in _says(lambda x: x * torch.nan, check=check)
    assert "changed a tensor" in _says(lambda x: x.add_(1), check=check)


def test_a_part_whose_right_function_stops_is_a_fault_of_the_course():
    part = Part(right=lambda x: x[3], cases=lambda: [(torch.ones(2),)], wrong={})
    with pytest.raises(AssertionError, match="the right function stops"):
        part.run(lambda x: x)


def test_wrong_is_what_a_probe_raises():
    def probe(answer):
        raise Wrong("Not in this way.")

    part = Part(
        right=lambda x: x, cases=lambda: [(torch.ones(2),)], wrong={}, after=[probe]
    )
    assert _says(lambda x: x + 0, check=declare("9", "", part)) == "Not in this way."
