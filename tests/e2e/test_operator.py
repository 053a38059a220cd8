"""The operator's command line, the seed and the demo on a deployed stack."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local import paths
from local.seed import seed
from postbreeze.cli.main import app
from tests.e2e.client import Api, events, wait_for_event, wait_until

pytestmark = pytest.mark.e2e

Stack = Mapping[str, Any]


class CommandLine:
    """``postbreeze … --stack-file … --json``."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.file = folder / "stack.json"
        self.file.write_text(json.dumps(stack), encoding="utf-8")

    def __call__(self, *arguments: str, stdin: str = "") -> Any:
        result = CliRunner().invoke(
            app,
            [*arguments, "--json", "--stack-file", str(self.file)],
            input=stdin,
            catch_exceptions=False,
        )
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)


@pytest.fixture
def postbreeze(stack: Stack, tmp_path: Path) -> CommandLine:
    """The command line, pointed at the stack."""
    return CommandLine(stack, tmp_path)


def test_an_operator_sets_up_a_workspace_that_works(stack: Stack, postbreeze: CommandLine) -> None:
    # Given: all that a customer needs, from nothing.
    workspace = postbreeze("workspace", "create", "Möwe & Co")["id"]
    user = postbreeze("member", "add", workspace, "--role", "EDITOR")["userId"]
    key = postbreeze("key", "mint", user, "--name", "laptop")
    account = postbreeze(
        *("account", "connect-bluesky", workspace, "operator.postbreeze.test"),
        stdin="sandbox-operator.postbreeze.test\n",
    )
    api = Api({**stack, "keys": {"owner": key["key"]}})
    # When
    post = api.schedule(account["id"], seconds=3600)
    armed = postbreeze("post", "show", post["id"])
    api.cancel(post["id"], {"reason": "No."})
    cancelled = postbreeze("post", "show", post["id"])
    # Then
    assert armed["schedules"] == {post["workflowId"]: True}
    assert cancelled["schedules"] == {post["workflowId"]: False}
    assert (cancelled["status"], cancelled["timeline"][-1]["event"]) == (
        "CANCELED",
        "post.cancelled",
    )
    assert (cancelled["timeline"][-1]["actor"], cancelled["timeline"][-1]["reason"]) == (
        user,
        "No.",
    )


def test_a_revoked_key_is_refused_by_the_very_next_request(
    stack: Stack, postbreeze: CommandLine
) -> None:
    # Given
    workspace = postbreeze("workspace", "create", "a")["id"]
    user = postbreeze("member", "add", workspace, "--role", "OWNER")["userId"]
    key = postbreeze("key", "mint", user, "--name", "laptop")
    account = postbreeze("account", "add", workspace, "X", "--name", "Möwe", "--external-id", "42")[
        "id"
    ]
    api = Api({**stack, "keys": {"owner": key["key"]}})
    post = api.create(account)
    # When
    postbreeze("key", "revoke-leaked", stdin=f"{key['key']}\n")
    # Then
    assert api.call("GET", f"/posts/{post['id']}").status == 401


def test_what_is_parked_for_a_disabled_endpoint_is_sent_when_it_is_enabled(
    stack: Stack, postbreeze: CommandLine
) -> None:
    # Given: an endpoint of its own workspace, so that no other test waits for it.
    workspace = postbreeze("workspace", "create", "a")["id"]
    user = postbreeze("member", "add", workspace, "--role", "OWNER")["userId"]
    key = postbreeze("key", "mint", user, "--name", "laptop")["key"]
    account = postbreeze("account", "add", workspace, "X", "--name", "Möwe", "--external-id", "42")[
        "id"
    ]
    endpoint = postbreeze("webhook", "add", workspace, stack["receiver"]["url"])["id"]
    postbreeze("webhook", "disable", workspace, endpoint)
    # When
    post = Api({**stack, "keys": {"owner": key}}).create(account)

    def parked() -> bool | None:
        found = postbreeze("webhook", "deliveries", workspace, endpoint)
        return True if [each["status"] for each in found] == ["PARKED"] else None

    wait_until(parked, "the delivery to be parked")
    assert events(stack, post["id"]) == []
    enabled = postbreeze("webhook", "enable", workspace, endpoint)
    # Then
    assert (enabled["status"], enabled["deliveriesSent"]) == ("ENABLED", 1)
    wait_for_event(stack, post["id"], "post.created")


def test_seeding_again_keeps_what_stands_and_replaces_what_does_not(stack: Stack) -> None:
    # Given
    def again(known: Stack) -> dict[str, Any]:
        return seed(
            stack["outputs"],
            engine_url=stack["engineUrl"],
            region=stack["region"],
            receiver_url=stack["receiver"]["url"],
            platform_url=stack["platform"]["url"],
            known=known,
        )

    unknown_key = {**stack["keys"], "owner": "pb_live_00000000000000000000000000000000"}
    # When
    kept = again(stack)
    others = [
        again({**stack, "keys": unknown_key}),
        again({**stack, "workspaceId": "ws_00000000000000000000000000"}),
        again({**stack, "accounts": {"X": ["soc_00000000000000000000000000"]}}),
    ]
    # Then
    assert kept == dict(stack)
    assert len({stack["workspaceId"], *(other["workspaceId"] for other in others)}) == 4


def test_the_demo_holds_what_it_claims(stack: Stack, postbreeze: CommandLine) -> None:
    # When
    played = subprocess.run(
        [sys.executable, "-m", "local.demo", "--stack-file", str(postbreeze.file)],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    # Then
    assert played.returncode == 0, played.stdout + played.stderr
    assert "11 of 11 hold" in played.stdout
    assert "✗" not in played.stdout
    assert stack["keys"]["editor"] not in played.stdout
