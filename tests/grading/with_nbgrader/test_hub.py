"""A hub on this machine: release, fetch, hand in, collect, grade and give feedback."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import nbformat
import pytest
from students import half_right, right

from grading import assignment, grade

ROOT = Path(__file__).resolve().parents[3]
HUB = ROOT / "instructor" / "hub"
PROXY = os.environ.get("VAE_HUB_PROXY") or shutil.which("configurable-http-proxy")
WORK = {"ada": right, "ben": half_right}
pytest.importorskip("jupyterhub")
pytestmark = pytest.mark.skipif(
    not PROXY,
    reason="needs configurable-http-proxy: npm install configurable-http-proxy",
)


def _ports(count: int) -> list[int]:
    """Ports that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Hub:
    """A running hub, spoken to as a browser would."""

    def __init__(self, port: int, token: str):
        self.address, self.token = f"http://127.0.0.1:{port}", token

    def call(self, method: str, path: str, data: object = None):
        """The decoded answer of the hub or of a student's server."""
        body = None if data is None else json.dumps(data).encode()
        headers = {
            "Authorization": f"token {self.token}",
            "Content-Type": "application/json",
        }
        request = urllib.request.Request(self.address + path, body, headers)
        request.method = method
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read().decode()
        return json.loads(text) if text else None

    def wait(self, path: str, ready, seconds: int = 240):
        """Ask until the answer is as it should be."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                answer = self.call("GET", path)
                if ready(answer):
                    return answer
            except (urllib.error.URLError, ConnectionError):
                pass
            time.sleep(1)
        raise TimeoutError(f"{path} was not ready after {seconds} s")

    def nbgrader(self, student: str, action: str, assignment: str):
        query = {"course_id": "vae", "assignment_id": assignment}
        path = f"/user/{student}/assignments/{action}?{urllib.parse.urlencode(query)}"
        return self.call("POST", path, query)


@pytest.fixture
def hub(tmp_path):
    """The shipped configuration in its trial mode."""
    port, api, proxy = _ports(3)
    token = secrets.token_hex(16)
    environment = {
        **os.environ,
        "VAE_HUB_TRIAL": "1",
        "VAE_HUB_PASSWORD": secrets.token_hex(8),
        "VAE_HUB_TOKEN": token,
        "VAE_HUB_DATA": str(tmp_path / "hub"),
        "VAE_HUB_PORT": str(port),
        "VAE_HUB_API_PORT": str(api),
        "VAE_HUB_PROXY_PORT": str(proxy),
        "VAE_HUB_PROXY": PROXY,
        "OMP_NUM_THREADS": "1",
    }
    configuration = str(HUB / "jupyterhub_config.py")
    command = [sys.executable, "-m", "jupyterhub", "-f", configuration]
    with open(tmp_path / "hub.log", "wb") as log:
        process = subprocess.Popen(
            command, env=environment, cwd=tmp_path, stdout=log, stderr=log
        )
        running = Hub(port, token)
        try:
            running.wait("/hub/api/", lambda answer: "version" in answer)
            yield running
        finally:
            for student in WORK:
                try:
                    running.call("DELETE", f"/hub/api/users/{student}/server")
                except (urllib.error.URLError, ConnectionError):
                    pass
            process.terminate()
            process.wait(60)


def _teacher(course: Path, exchange: Path, *command: str) -> None:
    """nbgrader's own commands, run where the course is."""
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_PATH": str(HUB),
        "NBGRADER_EXCHANGE": str(exchange),
    }
    line = [sys.executable, "-m", "nbgrader", *command]
    done = subprocess.run(
        line, cwd=course, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_round_trip_through_a_hub(hub, tmp_path):
    course, exchange = tmp_path / "course", tmp_path / "hub" / "exchange"
    assert assignment.main(["03", "--to", str(course)]) == 0
    _teacher(course, exchange, "release_assignment", "03_elbo")

    for student, work in WORK.items():
        hub.call("POST", f"/hub/api/users/{student}")
        hub.call("POST", f"/hub/api/users/{student}/server")
        hub.wait(
            f"/hub/api/users/{student}",
            lambda user: user["servers"].get("", {}).get("ready"),
        )
        lessons = hub.call("GET", f"/user/{student}/api/contents/vae-course")["content"]
        assert "03_elbo.ipynb" in [entry["name"] for entry in lessons]

        hub.nbgrader(student, "fetch", "03_elbo")
        path = f"/user/{student}/api/contents/03_elbo/03_elbo.ipynb"
        file = hub.call("GET", path)
        book = nbformat.from_dict(file["content"])
        work(book)
        saved = {"type": "notebook", "format": "json", "content": book}
        hub.call("PUT", path, saved)
        answer = hub.nbgrader(student, "submit", "03_elbo")
        assert answer.get("success", True), answer

    _teacher(course, exchange, "collect", "03_elbo")
    options = [str(course / "submitted"), "--course", str(course), "--feedback"]
    assert grade.main(options) == 0
    lms = (course / "marks" / "03_elbo_lms.csv").read_text(encoding="utf-8-sig")
    assert "ada,,26.0,40," in lms  # both leave 03.4 and 03.5 as they are
    assert "ben,,12.5,41," in lms
    _teacher(course, exchange, "release_feedback", "03_elbo")

    for student in WORK:
        answer = hub.nbgrader(student, "fetch_feedback", "03_elbo")
        handed_in = [a for a in answer["value"] if a["status"] == "submitted"]
        pages = [s["local_feedback_path"] for a in handed_in for s in a["submissions"]]
        home = tmp_path / "hub" / "homes" / student
        assert pages and list(home.rglob("03_elbo.html")), answer
