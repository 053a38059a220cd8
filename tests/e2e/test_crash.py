"""The cancel function dies between its commit and its effects; nothing of the promise is lost."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.aws import client, schedules
from tests.e2e.client import Api, events, records, unique, wait_for_event, wait_until
from tests.support.fault_proxy import kill_client

pytestmark = pytest.mark.e2e

Stack = Mapping[str, Any]


class Trap:
    """A port that answers nothing and kills the local process that connects to it."""

    def __init__(self) -> None:
        self.killed: list[int] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.killed += kill_client(connection)
            connection.close()

    def close(self) -> None:
        self._listener.close()
        self._thread.join(5)


@contextmanager
def effects_trapped(stack: Stack) -> Iterator[Trap]:
    """Have the cancel function's schedule and topic calls go to a trap instead of the engine."""
    functions = client(stack, "lambda")
    name = stack["outputs"]["CancelPostFunctionName"]
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    trap = Trap()
    address = f"http://127.0.0.1:{trap.port}"
    trapped = {**before, "AWS_ENDPOINT_URL_SCHEDULER": address, "AWS_ENDPOINT_URL_SNS": address}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": trapped})
    try:
        yield trap
    finally:
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": before}
        )
        trap.close()


def test_a_cancel_that_dies_after_its_commit_keeps_the_promise(stack: Stack) -> None:
    # Given a post scheduled on an account, soon
    api = Api(stack)
    text = unique("Canceled by a function that died.")
    post = api.schedule(stack["accounts"]["BLUESKY"][0], seconds=20, content=text)
    # When the cancel function is killed between its commit and its effects
    with effects_trapped(stack) as trap:
        reply = api._http.request(
            "POST",
            f"{stack['apiUrl']}/posts/{post['id']}/cancel",
            headers={"Authorization": f"Bearer {api.key}"},
        )
        wait_until(lambda: trap.killed or None, "the function to be killed")
    # Then the caller got no answer, the cancel stands, and neither effect has happened
    assert reply.status >= 500
    assert api.get(post["id"])["status"] == "CANCELED"
    assert post["workflowId"] in schedules(stack)
    assert "post.cancelled" not in events(stack, post["id"])
    # And asking again answers with the canceled post
    again = api.cancel(post["id"])
    assert (again.status, again.body["status"]) == (200, "CANCELED")
    # And within two minutes the event arrives, by itself
    request = wait_for_event(stack, post["id"], "post.cancelled", seconds=120)
    assert json.loads(request["body"])["payload"]["post"]["status"] == "CANCELED"
    # And the zombie of the schedule has fired by then, and published nothing
    wait_until(
        lambda: post["workflowId"] not in schedules(stack) or None, "the zombie to fire", seconds=60
    )
    later = api.schedule(stack["accounts"]["BLUESKY"][0], seconds=1)
    api.wait_for(later["id"], "PUBLISHED")
    assert records(stack, text) == []
    assert events(stack, post["id"]).count("post.cancelled") == 1
