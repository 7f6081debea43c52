"""Kernels that are forked from a warm process: torch is imported once for the whole class.

The warm process is multiprocessing's fork server. It imports nbgrader and what the set-up
of the assignment imports, and runs nothing of any student. Each submission gets a process
of its own from it, and that one forks a kernel of its own before nbgrader begins:

    fork server (warm) -> nbgrader, one submission -> its kernel

So a kernel inherits modules as their files were when the class began, and nothing of the
submissions before. What it changes dies with it. Limits of time and memory hold for both
processes as before. Only on Linux; elsewhere, and for a second kernel, kernels start as
Jupyter starts them.
"""

import ast
import contextlib
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nbformat import NotebookNode

from grading.names import name_of

ROOT = Path(__file__).resolve().parents[1]
MODULES = "VAE_GRADE_WARM"  # names of modules for the fork server, in its environment
# What a kernel and an optimizer import later by themselves; the last takes longest of all.
LATER = ("IPython", "ipykernel.kernelapp", "ipykernel.debugger", "ipykernel.zmqshell")
LATER += ("matplotlib_inline.backend_inline", "torch._dynamo")
LAUNCHER = "ipykernel_launcher"


def imported(book: NotebookNode) -> list[str]:
    """The modules that the set-up cells of an assignment import, in their order."""
    names: list[str] = []
    for cell in book.cells:
        if cell.cell_type != "code" or not name_of(cell).startswith("setup"):
            continue
        with contextlib.suppress(SyntaxError, ValueError):
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.Import):
                    names += [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names.append(node.module)
                    names += [f"{node.module}.{alias.name}" for alias in node.names]
    return list(dict.fromkeys(names))


def prepare(names: list[str]) -> None:
    """Import modules in the fork server. It must come up, so nothing stops it here."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # no thread survives a fork
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # nor does a graphics card
    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # nobody debugs here
    # matplotlib reads this when it is imported; ipykernel sets the same.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    sys.path.insert(0, str(ROOT))
    keep, sys.dont_write_bytecode = (
        sys.dont_write_bytecode,
        False,
    )  # once, not each time
    for name in [*LATER, *names]:
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    sys.dont_write_bytecode = keep


class Forked:
    """A kernel that waits to be started; then what subprocess.Popen is to jupyter_client."""

    stdin = stdout = stderr = None

    def __init__(self):
        """Fork it. Call this before a process has threads, sockets or open tables."""
        readable, self._writable = os.pipe()
        self.returncode: int | None = None
        self.args: list[str] = []
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._writable)
            _kernel(readable)
        os.close(readable)

    def start(self, cmd: list[str], env: dict[str, str], cwd: str | None) -> None:
        """Let it become a kernel."""
        self.args = cmd
        arguments = cmd[cmd.index(LAUNCHER) + 1 :]
        order = {"arguments": arguments, "env": env, "cwd": cwd or os.getcwd()}
        with open(self._writable, "w", encoding="utf-8") as pipe:
            json.dump(order, pipe)
        while (
            os.getpgid(self.pid) != self.pid
        ):  # it leaves our group: signals are its own
            time.sleep(0.001)

    def poll(self) -> int | None:
        """The exit status, None while it runs."""
        if self.returncode is None:
            with contextlib.suppress(ChildProcessError):
                done, status = os.waitpid(self.pid, os.WNOHANG)
                if done:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if end is not None and time.monotonic() > end:
                raise TimeoutError(f"kernel {self.pid} still runs")
            time.sleep(0.02)
        return self.returncode

    def send_signal(self, signum: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, signum)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def _kernel(readable: int) -> None:
    """In the fork: wait for the order, then be a kernel; never returns."""
    status = 1
    try:
        os.setsid()
        with open(readable, encoding="utf-8") as pipe:
            text = pipe.read()
        if text:  # none when nbgrader ended without a kernel
            order = json.loads(text)
            os.environ.clear()
            os.environ.update(order["env"])
            os.chdir(order["cwd"])
            wanted = os.environ.get("PYTHONPATH", "").split(os.pathsep)
            here = {"", str(Path.cwd())}
            sys.path[:] = dict.fromkeys(
                p for p in [*wanted, *sys.path] if p not in here
            )
            # ipykernel read JPY_PARENT_PID when the warm process imported it.
            ours = f"--IPKernelApp.parent_handle={os.environ['JPY_PARENT_PID']}"
            sys.argv = [LAUNCHER, *order["arguments"], ours]
            signal.signal(signal.SIGINT, signal.default_int_handler)
            from ipykernel import kernelapp

            kernelapp.launch_new_instance()
            status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0
    except BaseException:  # nothing may go back into the code of the grader
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def use(kernel: Forked, launch: Callable) -> Callable:
    """A function like jupyter_client's `launch_kernel` that starts the forked kernel once."""
    left = [kernel]

    def launch_kernel(cmd: list[str], **options):
        if not left or cmd[0] != sys.executable or LAUNCHER not in cmd:
            return launch(cmd, **options)
        env = dict(options.get("env") or os.environ)
        env["JPY_PARENT_PID"] = str(os.getpid())  # it ends when we do
        kernel = left.pop()
        kernel.start(cmd, env, options.get("cwd"))
        return kernel

    return launch_kernel


if names := os.environ.pop(MODULES, None):
    prepare(json.loads(names))
