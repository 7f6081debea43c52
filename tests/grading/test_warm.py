"""Kernels that are forked: what they import, what they inherit, what they cannot change."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from grading import warm

ROOT = Path(__file__).resolve().parents[2]
linux = pytest.mark.skipif(
    sys.platform != "linux", reason="kernels are forked on Linux"
)


def test_the_set_up_says_what_is_imported():
    source = "import math\nimport a.b as c\nfrom vae_helpers import data, plots\nx = 1"
    book = new_notebook(cells=[new_code_cell(source), new_code_cell("import secret")])
    book.cells[0].metadata["nbgrader"] = {"grade_id": "setup-1"}
    wanted = ["math", "a.b", "vae_helpers", "vae_helpers.data", "vae_helpers.plots"]
    assert warm.imported(book) == wanted
    book.cells[0].source = "import ("
    assert warm.imported(book) == []


@linux
def test_a_module_that_cannot_be_imported_does_not_stop_the_class(tmp_path):
    (tmp_path / "broken.py").write_text("raise RuntimeError('no')", encoding="utf-8")
    env = {**os.environ, warm.MODULES: json.dumps(["broken", "not_there", "this"])}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(tmp_path)])
    code = "import grading.warm, os, sys; print('this' in sys.modules, os.environ)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "True environ" in done.stdout and warm.MODULES not in done.stdout


FORKS = """
    import json, os, sys, time, types
    sys.path.insert(0, {root!r})
    from grading import warm
    shared = ["clean"]
    app = types.ModuleType("ipykernel.kernelapp")
    def launch_new_instance():
        print(os.getpid() == os.getpgid(0), shared, sys.argv[:-1],
              sys.argv[-1] == f"--IPKernelApp.parent_handle={{os.getppid()}}", os.environ.get("ONLY"),
              os.getcwd(), sys.path[0], "HOME" in os.environ, flush=True)
        shared.append("changed")
        {then}
    app.launch_new_instance = launch_new_instance
    package = types.ModuleType("ipykernel")
    package.kernelapp = app
    sys.modules.update({{"ipykernel": package, "ipykernel.kernelapp": app}})
    ends = []
    for turn in range(2):
        launch = warm.use(warm.Forked(), lambda cmd, **more: "as usual")
        cmd = [sys.executable, "-Xx", "-m", "ipykernel_launcher", "-f", "k.json"]
        env = {{"ONLY": "this", "PYTHONPATH": "/first"}}
        kernel = launch(cmd, env=env, cwd={there!r})
        assert launch(cmd) == "as usual"  # a second kernel of one submission
        {act}
        ends.append(kernel.wait(20))
    print(ends, shared, kernel.poll())
"""


def _run(there, then="pass", act="pass"):
    text = textwrap.dedent(FORKS).format(
        root=str(ROOT), there=str(there), then=then, act=act
    )
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines(), done.stderr


@linux
def test_a_kernel_is_alone_and_leaves_nothing(tmp_path):
    lines, _ = _run(tmp_path)
    arguments = ["ipykernel_launcher", "-f", "k.json"]
    wanted = f"True ['clean'] {arguments} True this {tmp_path} /first False"
    assert lines == [wanted, wanted, "[0, 0] ['clean'] 0"]


@linux
def test_a_kernel_that_fails_says_so_and_does_not_come_back(tmp_path):
    lines, said = _run(tmp_path, then="raise RuntimeError('broken kernel')")
    assert lines[-1] == "[1, 1] ['clean'] 1" and said.count("broken kernel") == 2


@linux
def test_a_kernel_can_be_ended(tmp_path):
    act = "time.sleep(0.2); assert kernel.poll() is None; kernel.kill()"
    lines, _ = _run(tmp_path, then="time.sleep(60)", act=act)
    assert lines[-1].startswith(f"[-{signal.SIGKILL.value}, -{signal.SIGKILL.value}]")


@linux
def test_other_commands_start_as_usual():
    kernel = warm.Forked()
    launch = warm.use(kernel, lambda cmd, **more: "as usual")
    assert launch(["julia", "-f", "k.json"]) == "as usual"
    os.close(kernel._writable)  # nbgrader ended without a kernel
    assert kernel.wait(20) == 1
