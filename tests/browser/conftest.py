"""A real JupyterLab on a copy of the course, and a real browser to open it with."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="make test-browser has it")

from lab_page import Notebook, wait_until  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
SHOTS = Path(os.environ.get("VAE_COURSE_SCREENSHOTS", ROOT / "build" / "screenshots"))
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # All cells are in the page, so that the tests need not scroll to find an output.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "docmanager-extension/plugin": {"autosave": False},
}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="session")
def course(tmp_path_factory) -> Path:
    """A copy of the course in a folder with a space and an accent in its name."""
    target = tmp_path_factory.mktemp("browser") / "le\u00e7ons du cours"
    for part in ("lessons", "notebooks", "vae_helpers", "figures", "pyproject.toml"):
        source = ROOT / part
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        target.mkdir(exist_ok=True)
        copy(source, target / part)
    return target


@pytest.fixture(scope="session")
def lab(course, tmp_path_factory):
    """The address of a JupyterLab that serves the copy; nothing of this user is read."""
    own = tmp_path_factory.mktemp("jupyter")
    for name, values in SETTINGS.items():
        path = own / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), encoding="utf-8")
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--port={port}", "--IdentityProvider.token=t"]
    command += ["--LabApp.expose_app_in_browser=True", "--ServerApp.port_retries=0"]
    command += [f"--LabApp.user_settings_dir={own / 'settings'}"]
    command += [f"--LabApp.workspaces_dir={own / 'workspaces'}"]
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    env = {**os.environ, **{name: str(own / name) for name in folders}}
    env["PYTHONPATH"] = str(course)
    env.setdefault("VAE_COURSE_OFFLINE", "1")
    env.pop("VAE_COURSE_DATA", None)  # a learner without anything: the carried sample
    env["VAE_COURSE_CACHE"] = str(own / "cache")
    with open(own / "log", "w") as log:
        server = subprocess.Popen(command, cwd=course, env=env, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"

    def answers():
        if server.poll() is not None:
            pytest.fail(f"JupyterLab ended: {(own / 'log').read_text()[-2000:]}")
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{address}/api?token=t", timeout=5)

    wait_until(answers, 90, "JupyterLab to answer")
    yield address
    server.terminate()
    server.wait(20)


@pytest.fixture(scope="session")
def chromium():
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    path = os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, names)), None
    )
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=path,
                args=[
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-background-networking",
                ],
            )
        except sync_api.Error as error:
            pytest.fail(
                "no Chromium could be started: install one, name it in CHROMIUM, or run "
                f"`python -m playwright install chromium`. ({str(error)[:300]})"
            )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 1000})
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def shots() -> Path:
    SHOTS.mkdir(parents=True, exist_ok=True)
    return SHOTS


@pytest.fixture
def open_notebook(page, lab):
    opened = []

    def open_one(path: str) -> Notebook:
        opened.append(Notebook(page, lab, path))
        return opened[-1]

    yield open_one
    for notebook in opened:
        notebook.shut_down()
