"""The API of this process on a loopback port, for clients that speak HTTP and nothing else."""

from __future__ import annotations

import json
import threading
from urllib.parse import unquote

from local.loopback import LoopbackHandler, LoopbackServer
from tests.support.http_client import Api, http_event


class ServedApi(LoopbackServer):
    """Answers with the functions on fakes, one request after the other."""

    def __init__(self, api: Api) -> None:
        """Bind a free port."""
        super().__init__(_Handler)
        self.api = api
        self.lock = threading.Lock()


class _Handler(LoopbackHandler):
    server: ServedApi

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        event = http_event(self.command, "/", body=body or None, headers=dict(self.headers.items()))
        path, _, query = self.path.partition("?")
        event["rawPath"] = event["requestContext"]["http"]["path"] = unquote(path)
        event["rawQueryString"] = query
        with self.server.lock:
            reply = self.server.api.send(event)
        content = reply.body
        if reply.headers.get("content-type") == "application/json" and not isinstance(
            content, bytes
        ):
            content = json.dumps(content, ensure_ascii=False)
        if isinstance(content, str):
            content = content.encode()
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 304:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD" and reply.status != 304:
            self.wfile.write(content)
