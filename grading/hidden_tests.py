"""What hidden test cells call when an assignment is graded.

They reach it by private/course_hidden_tests.py of the course folder, which students
never get; it lies beside the overlays that hold the tests.
"""

import functools
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from grading import sealed


def tests_of(private: Path) -> Callable[..., str]:
    """The function `symptom` for the private part of a course folder."""
    return functools.partial(symptom, private)


def symptom(
    private: Path, assignment: str, number: str, index: int, *answers: Callable
) -> str:
    """What is wrong with some answers in the words of a hidden test; "" if nothing."""
    sys.dont_write_bytecode = True
    text = (private / f"{assignment}.json").read_text(encoding="utf-8")
    checks = json.loads(text)["sealed"]
    with sealed.fresh_checks():
        if number in checks:
            return sealed.quietly(_against_the_key, checks[number], answers[0])
        where = private / f"{assignment}_overlay.py"
        spec = importlib.util.spec_from_file_location("overlay", where)
        overlay = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(overlay)
        _, test = overlay.HIDDEN[number][index]
        return sealed.quietly(_run, test, answers)


def _against_the_key(check: str, answer: Callable) -> str:
    verdict = sealed.sealed_verdict(check, answer)
    return "" if verdict.status == "right" else f"{verdict.status}: {verdict.message}"


def _run(test: Callable, answers: tuple) -> str:
    guard = importlib.import_module("vae_helpers.checks.guard")
    dtype = torch.get_default_dtype()  # the lesson's
    try:
        with guard.clean_state(dtype), guard.time_limit():
            test(*answers)
    except guard.TimeIsUp:
        return f"the answer was stopped after {guard.SECONDS:.0f} seconds"
    except NotImplementedError as error:
        if guard.raised_by_a_stub(error):
            return "not attempted"
        return f"NotImplementedError: {error}"
    except AssertionError as error:
        return str(error) or "a hidden test does not hold"
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return ""
