"""What hidden test cells call when an assignment is graded. Students never get this file.

It lies in the private part of a course folder, beside the overlays that hold the tests.
"""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

from vae_helpers.checks import graded

PRIVATE = Path(__file__).resolve().parent


def symptom(assignment: str, number: str, index: int, *answers: Callable) -> str:
    """What is wrong with some answers in the words of a hidden test; "" if nothing."""
    sys.dont_write_bytecode = True
    sealed = json.loads((PRIVATE / f"{assignment}.json").read_text(encoding="utf-8"))
    if number in sealed["sealed"]:
        return graded.quietly(_against_the_key, sealed["sealed"][number], answers[0])
    where = PRIVATE / f"{assignment}_overlay.py"
    spec = importlib.util.spec_from_file_location("overlay", where)
    overlay = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(overlay)
    _, test = overlay.HIDDEN[number][index]
    return graded.quietly(_run, test, answers)


def _against_the_key(sealed: str, answer: Callable) -> str:
    verdict = graded.sealed_verdict(sealed, answer)
    return "" if verdict.status == "right" else f"{verdict.status}: {verdict.message}"


def _run(test: Callable, answers: tuple) -> str:
    try:
        test(*answers)
    except NotImplementedError:
        return "not attempted"
    except AssertionError as error:
        return str(error) or "a hidden test does not hold"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""
