"""nbgrader's settings for this course; `make assignment` copies them beside the work.

The time limits are the important part. nbgrader's own limit of 30 seconds a cell makes
`import torch` fail on a busy machine, and an honest submission gets 0 without a word.
"""

import os
import sys
from pathlib import Path

c = get_config()  # noqa: F821  (given by the loader of this file)
HERE = Path(__file__).resolve().parent
PRIVATE = str(HERE / "private")

c.CourseDirectory.root = str(HERE)
c.CourseDirectory.course_id = os.environ.get("VAE_COURSE_ID", "vae")
c.CourseDirectory.db_url = f"sqlite:///{HERE / 'gradebook.db'}"
c.Exchange.path_includes_course = False

# Cells that import may be slow; answers and checks take seconds, or hang.
SETUP_SECONDS = int(os.environ.get("VAE_GRADE_SETUP_SECONDS", "300"))
CELL_SECONDS = int(os.environ.get("VAE_GRADE_CELL_SECONDS", "30"))


def seconds_for(cell):
    """The limit of one cell."""
    name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
    return SETUP_SECONDS if name.startswith("setup") else CELL_SECONDS


c.Execute.timeout = SETUP_SECONDS
c.Execute.timeout_func = seconds_for
c.Execute.startup_timeout = 300
c.Execute.iopub_timeout = 60
c.Execute.interrupt_on_timeout = True
c.Execute.record_timing = False
c.LimitOutput.max_lines = 200
c.LimitOutput.max_traceback = 30

# A check that somebody deleted comes back; the stub is the lessons' own.
c.OverwriteCells.add_missing_cells = True
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError"}
c.ClearSolutions.text_stub = "*Your answer here.*"

# Hidden tests are calls into private/. One thread a kernel; no network when grading.
paths = [PRIVATE, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
# nbgrader calls a program `alembic`, which lies beside Python and may not be on the path.
os.environ["PATH"] = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
)
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("VAE_COURSE_OFFLINE", "1")
