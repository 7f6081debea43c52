"""Keeps assignments of version 0.1 working: their cells import this module.

What they call has moved to `grading.sealed`. To be removed with version 0.3.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

if importlib.util.find_spec("grading") is None:  # installed before it was there
    sys.path.append(str(Path(__file__).resolve().parents[2]))
# Old cells reload this module, so that one which was replaced does not count.
sealed = importlib.reload(importlib.import_module("grading.sealed"))
points, sealed_points = sealed.points, sealed.sealed_points
quietly, sealed_verdict = sealed.quietly, sealed.sealed_verdict
