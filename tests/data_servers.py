"""Small servers on this computer, each with one way to serve files well or badly."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"<!DOCTYPE html><html><body>Please log in to the guest network</body></html>"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is part of the tests and prints nothing."""


@contextlib.contextmanager
def _serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *args) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _send(handler: BaseHTTPRequestHandler, body: bytes, length: int) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(length))
    handler.end_headers()
    handler.wfile.write(body)


@contextlib.contextmanager
def good(files: dict[str, bytes]) -> Iterator[str]:
    """Serves the files; 404 for any other name."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = files.get(handler.path.lstrip("/"))
        if body is None:
            handler.send_error(404)
        else:
            _send(handler, body, len(body))

    with _serving(answer) as address:
        yield address


@contextlib.contextmanager
def login_page() -> Iterator[str]:
    """Answers every request with 200 and a page of HTML, like a guest network."""
    with _serving(lambda handler: _send(handler, PAGE, len(PAGE))) as address:
        yield address


@contextlib.contextmanager
def redirecting() -> Iterator[str]:
    """Sends every request on to another address of its own, for ever."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", handler.path + "x")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with _serving(answer) as address:
        yield address


@contextlib.contextmanager
def refusing(status: int) -> Iterator[str]:
    """Answers every request with an HTTP error."""
    with _serving(lambda handler: handler.send_error(status)) as address:
        yield address


@contextlib.contextmanager
def cutting_off(files: dict[str, bytes]) -> Iterator[str]:
    """Promises the whole file, sends half of it and hangs up."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        body = files[handler.path.lstrip("/")]
        _send(handler, body[: len(body) // 2], len(body))

    with _serving(answer) as address:
        yield address


@contextlib.contextmanager
def slow(piece: bytes, pause: float, asked: threading.Event) -> Iterator[str]:
    """Promises a very long file and sends it piece by piece; sets `asked` meanwhile."""
    stop = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        _send(handler, piece, 10**9)
        while not stop.wait(pause):
            handler.wfile.write(piece)
            asked.set()

    with _serving(answer) as address:
        try:
            yield address
        finally:
            stop.set()


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """An address at which every connection is refused."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield f"http://127.0.0.1:{port}/"
