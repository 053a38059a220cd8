"""AWS on the loopback: one server for every service, which gives a scene's recorded answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from benchmarks.transport import Answers, Scene


class Cloud:
    """Where functions in processes of their own find AWS."""

    def __init__(self) -> None:
        """Listen, and answer nothing until a scene is played."""
        self._answers = Answers(())
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _answer(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                cloud.answer(self, self.rfile.read(size))

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = Thread(target=self._server.serve_forever, daemon=True)

    def play(self, scene: Scene) -> None:
        """Answer that scene's requests from now on."""
        self._answers = Answers(scene.exchanges)

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        """Answer one request; 500 where it is none of the scene's."""
        try:
            target = handler.headers.get("X-Amz-Target")
            kept = self._answers.to(handler.command, handler.path, target, body)
        except KeyError as error:
            handler.send_error(500, str(error)[:200])
            return
        handler.send_response_only(kept.status)
        for name, value in kept.headers.items():
            if name.lower() not in _OURS:
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(kept.content)))
        handler.end_headers()
        handler.wfile.write(kept.content)

    @contextmanager
    def running(self) -> Iterator[Cloud]:
        """Serve while the block runs."""
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


_OURS = frozenset({"content-length", "connection", "transfer-encoding"})
