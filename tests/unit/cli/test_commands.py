"""Every command: what it does, what it shows, and how it fails."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from postbreeze.domain import api_keys, ids, webhook
from postbreeze.domain.changes import ArmSchedule
from postbreeze.domain.post import PostStatus
from postbreeze.domain.webhook import Attempt, DeliveryStatus
from postbreeze.operations.webhook_ports import DeliveryPage
from tests.support.builders import LATER, USER_ID, a_delivery, a_post, added, an_event, an_id
from tests.support.fakes import START

if TYPE_CHECKING:
    from tests.unit.cli.conftest import CommandLine

URL = "https://hooks.example.com/postbreeze"


@pytest.fixture
def workspace_id(command_line: CommandLine) -> str:
    made: str = command_line.json("workspace", "create", "Möwe")["id"]
    return made


def test_a_workspace_is_shown_as_it_was_made(command_line: CommandLine, workspace_id: str) -> None:
    shown = command_line.run("workspace", "show", workspace_id)
    assert shown.exit_code == 0
    assert f"id          {workspace_id}\nname        Möwe\n" in shown.stdout


def test_a_workspace_is_held_released_and_limited(
    command_line: CommandLine, workspace_id: str
) -> None:
    held = command_line.json("workspace", "hold", workspace_id, "--reason", "unpaid")
    assert held["heldAt"] is not None
    assert held["holdReason"] == "unpaid"
    released = command_line.json("workspace", "release", workspace_id)
    assert (released["heldAt"], released["holdReason"]) == (None, None)
    assert command_line.json("workspace", "limit", workspace_id, "30")["postLimit"] == 30
    assert command_line.json("workspace", "show", workspace_id)["postLimit"] == 30
    assert command_line.json("workspace", "limit", workspace_id)["postLimit"] is None
    assert "posts" in command_line.fails(2, "workspace", "limit", workspace_id, "--", "-1")


def test_members_come_and_go(command_line: CommandLine, workspace_id: str) -> None:
    # When
    member = command_line.json("member", "add", workspace_id, "--role", "client_reviewer")
    gone = [
        command_line.json("member", "remove", workspace_id, member["userId"])["wasMember"]
        for _ in range(2)
    ]
    # Then
    assert member["role"] == "CLIENT_REVIEWER"
    assert gone == [True, False]


def test_a_role_that_does_not_exist(command_line: CommandLine, workspace_id: str) -> None:
    assert "king" in command_line.fails(2, "member", "add", workspace_id, "--role", "king")


def test_a_keys_plaintext_is_shown_once_and_on_standard_output_only(
    command_line: CommandLine,
) -> None:
    # When
    minted = command_line.run("key", "mint", USER_ID, "--name", "laptop")
    # Then
    assert minted.exit_code == 0
    plaintext = minted.stdout.split()[1]
    assert api_keys.is_well_formed(plaintext)
    assert "shown this once" in minted.stderr
    assert plaintext not in minted.stderr
    assert plaintext not in command_line.run("key", "list", USER_ID).output


def test_a_key_with_every_wish(command_line: CommandLine, workspace_id: str) -> None:
    # Given
    user = command_line.json("member", "add", workspace_id, "--role", "OWNER")["userId"]
    # When
    minted = command_line.json(
        *("key", "mint", user, "--name", "tool", "--workspace", workspace_id),
        *("--grant", "webhooks", "--expires-at", "2027-01-31T00:00:00+01:00"),
        *("--requests-per-minute", "7", "--requests-per-quarter-hour", "70"),
    )
    # Then
    stored = command_line.operator.world.workspaces.key(api_keys.digest(minted.pop("key")))
    assert stored is not None
    assert stored.expires_at == datetime(2027, 1, 30, 23, tzinfo=UTC)
    assert command_line.json("key", "list", user) == [minted]
    assert minted["workspaceIds"] == [workspace_id]
    assert minted["grants"] == ["webhooks"]
    assert (minted["requestsPerMinute"], minted["requestsPerQuarterHour"]) == (7, 70)
    assert minted["expiresAt"] == "2027-01-30T23:00:00.000Z"


@pytest.mark.parametrize("moment", ["tomorrow", "2027-02-30T00:00:00Z", "2027-01-31T00:00:00"])
def test_an_expiry_that_is_no_moment(command_line: CommandLine, moment: str) -> None:
    error = command_line.fails(2, "key", "mint", USER_ID, "--name", "a", "--expires-at", moment)
    assert error.startswith("error: ")


def test_a_key_is_revoked_by_its_id(command_line: CommandLine) -> None:
    # Given
    minted = command_line.json("key", "mint", USER_ID, "--name", "a")
    # When
    revoked = command_line.json("key", "revoke", minted["id"], "--user", USER_ID)
    # Then
    assert revoked["revokedAt"] is not None
    [listed] = command_line.json("key", "list", USER_ID)
    assert listed == revoked


@pytest.mark.parametrize("way_in", ["stdin", "environment"])
def test_a_leaked_key_is_revoked_without_being_repeated(
    command_line: CommandLine, way_in: str
) -> None:
    # Given
    plaintext = command_line.json("key", "mint", USER_ID, "--name", "a")["key"]
    # When
    if way_in == "stdin":
        result = command_line.run("key", "revoke-leaked", stdin=f"{plaintext}\n")
    else:
        result = command_line.run("key", "revoke-leaked", env={"POSTBREEZE_LEAKED_KEY": plaintext})
    # Then
    assert result.exit_code == 0
    assert plaintext not in result.output
    assert command_line.json("key", "list", USER_ID)[0]["revokedAt"] is not None


def test_no_key_to_revoke(command_line: CommandLine) -> None:
    assert "POSTBREEZE_LEAKED_KEY" in command_line.fails(2, "key", "revoke-leaked", stdin="")


@pytest.mark.parametrize("way_in", ["stdin", "environment"])
def test_a_bluesky_account_is_connected_and_its_password_never_shown(
    command_line: CommandLine, workspace_id: str, way_in: str
) -> None:
    # When
    given = (
        {"stdin": "app-password\n"}
        if way_in == "stdin"
        else {"env": {"POSTBREEZE_APP_PASSWORD": "app-password"}}
    )
    result = command_line.run(
        "account", "connect-bluesky", workspace_id, "a.bsky.social", "--json", **given
    )
    # Then
    assert result.exit_code == 0
    assert "app-password" not in result.output
    account = json.loads(result.stdout)
    assert (account["externalId"], account["hasCredentials"]) == ("did:plc:a.bsky.social", True)
    assert command_line.json("account", "list", workspace_id) == [account]


def test_a_password_that_is_refused(command_line: CommandLine, workspace_id: str) -> None:
    error = command_line.fails(
        1, "account", "connect-bluesky", workspace_id, "a.bsky.social", stdin="wrong\n"
    )
    assert error == "error: The credentials are refused.\n"


def test_credentials_may_be_stored_unseen(command_line: CommandLine, workspace_id: str) -> None:
    # When
    account = command_line.json(
        *("account", "connect-bluesky", workspace_id, "a.bsky.social", "--no-verify"),
        stdin="wrong\n",
    )
    # Then
    assert account["externalId"] == "a.bsky.social"
    assert command_line.operator.bluesky_sign_in.asked == []


def test_an_account_of_another_platform(command_line: CommandLine, workspace_id: str) -> None:
    # When
    account = command_line.json(
        "account", "add", workspace_id, "x", "--name", "Möwe", "--external-id", "42"
    )
    listed = command_line.run("account", "list", workspace_id)
    # Then
    assert (account["platform"], account["hasCredentials"]) == ("X", False)
    assert account["id"] in listed.stdout
    assert listed.stdout.splitlines()[0].startswith("ID ")


def test_an_endpoints_secret_is_shown_once(command_line: CommandLine, workspace_id: str) -> None:
    # When
    added_ = command_line.run("webhook", "add", workspace_id, URL, "--event", "post.*")
    # Then
    secret = added_.stdout.split()[1]
    assert secret.startswith("whsec_")
    assert "shown this once" in added_.stderr
    assert secret not in command_line.run("webhook", "list", workspace_id).output
    [endpoint] = command_line.json("webhook", "list", workspace_id)
    assert (endpoint["url"], endpoint["events"]) == (URL, ["post.*"])


def test_an_endpoint_is_switched_off_and_on(command_line: CommandLine, workspace_id: str) -> None:
    # Given
    endpoint_id = command_line.json("webhook", "add", workspace_id, URL)["id"]
    # When
    disabled = command_line.json("webhook", "disable", workspace_id, endpoint_id)
    enabled = command_line.json("webhook", "enable", workspace_id, endpoint_id)
    # Then
    assert (disabled["status"], disabled["disabledReason"]) == (
        "DISABLED",
        "It was disabled on request.",
    )
    assert (enabled["status"], enabled["deliveriesSent"]) == ("ENABLED", 0)


def test_deliveries_are_listed_with_every_attempt(
    command_line: CommandLine, workspace_id: str
) -> None:
    # Given
    endpoint_id = command_line.json("webhook", "add", workspace_id, URL)["id"]
    endpoint = command_line.operator.world.webhooks.endpoint(workspace_id, endpoint_id)
    waiting = a_delivery(endpoint)
    failed = webhook.attempted(
        webhook.attempted(
            a_delivery(endpoint),
            Attempt(number=1, at=START, duration_ms=7, status=500),
            next_at=START,
        ),
        Attempt(number=2, at=LATER, duration_ms=9, error="TIMED_OUT", message="Too late."),
        next_at=LATER,
    )
    for delivery in (waiting, failed):
        command_line.operator.world.webhooks.add_delivery(delivery)
    # When
    table = command_line.run("webhook", "deliveries", workspace_id, endpoint_id).stdout.splitlines()
    document = command_line.json("webhook", "deliveries", workspace_id, endpoint_id, "--limit", "1")
    # Then
    assert [line.split()[3:6] for line in table[1:]] == [
        ["1", "2026-06-01T09:00:00.000Z", "500"],
        ["2", "2026-06-01T10:00:00.000Z", "TIMED_OUT"],
        ["-", "-", "-"],
    ]
    assert [attempt["error"] for attempt in document[0]["attempts"]] == [None, "TIMED_OUT"]


@pytest.fixture
def endpoint_id(command_line: CommandLine, workspace_id: str) -> str:
    made: str = command_line.json("webhook", "add", workspace_id, URL)["id"]
    return made


def test_an_endpoint_with_every_wish(command_line: CommandLine, workspace_id: str) -> None:
    # When
    made = command_line.json(
        *("webhook", "add", workspace_id, URL, "--description", "ours", "--rate-limit", "7"),
        *("--header", "Authorization: Bearer x:y", "--header", "X-Team:gulls"),
    )
    # Then
    stored = command_line.operator.world.webhooks.endpoint(workspace_id, made["id"])
    assert stored is not None
    assert stored.headers == {"Authorization": "Bearer x:y", "X-Team": "gulls"}
    assert (made["description"], made["rateLimit"], made["events"]) == ("ours", 7, ["*"])
    shown = command_line.run("webhook", "show", workspace_id, made["id"])
    assert "headerNames      Authorization, X-Team\n" in shown.stdout
    assert "Bearer" not in shown.stdout


@pytest.mark.parametrize("headers", [["Authorization"], ["A: 1", "A: 2"]])
def test_headers_that_are_none(
    command_line: CommandLine, workspace_id: str, headers: list[str]
) -> None:
    given = [each for header in headers for each in ("--header", header)]
    assert "NAME:VALUE" in command_line.fails(2, "webhook", "add", workspace_id, URL, *given)


def test_what_is_given_of_an_endpoint_is_changed(
    command_line: CommandLine, workspace_id: str, endpoint_id: str
) -> None:
    # When
    changed = command_line.json(
        *("webhook", "update", workspace_id, endpoint_id, "--url", f"{URL}/2"),
        *("--event", "post.*", "--event", "webhook.test", "--description", "ours"),
        *("--header", "X-Team: gulls", "--rate-limit", "7"),
    )
    cleared = command_line.json(
        *("webhook", "update", workspace_id, endpoint_id, "--description", ""),
        *("--header", "", "--rate-limit", "0"),
    )
    same = command_line.json("webhook", "update", workspace_id, endpoint_id)
    # Then
    assert (changed["url"], changed["events"]) == (f"{URL}/2", ["post.*", "webhook.test"])
    assert (changed["description"], changed["headerNames"], changed["rateLimit"]) == (
        "ours",
        ["X-Team"],
        7,
    )
    expected = {**changed, "description": None, "headerNames": [], "rateLimit": None}
    assert cleared == same == {**expected, "updatedAt": cleared["updatedAt"]}


def test_an_endpoint_is_removed(
    command_line: CommandLine, workspace_id: str, endpoint_id: str
) -> None:
    assert command_line.json("webhook", "remove", workspace_id, endpoint_id)["id"] == endpoint_id
    assert command_line.json("webhook", "list", workspace_id) == []
    assert endpoint_id in command_line.fails(1, "webhook", "show", workspace_id, endpoint_id)


def test_a_new_secret_is_shown_once(
    command_line: CommandLine, workspace_id: str, endpoint_id: str
) -> None:
    # When
    rotated = command_line.run(
        "webhook", "rotate-secret", workspace_id, endpoint_id, "--overlap-hours", "1"
    )
    # Then
    assert rotated.stdout.split()[1].startswith("whsec_")
    assert "shown this once" in rotated.stderr
    assert "secretRetiresAt  2026-06-01T10:00:00.000Z" in rotated.stdout
    again = command_line.json("webhook", "rotate-secret", workspace_id, endpoint_id)
    assert again["secretRetiresAt"] == "2026-06-02T09:00:00.000Z"
    assert again["secret"] not in rotated.stdout


def test_a_test_is_sent_and_sent_again(
    command_line: CommandLine, workspace_id: str, endpoint_id: str
) -> None:
    # When
    made = command_line.json("webhook", "test", workspace_id, endpoint_id)
    again = command_line.json("webhook", "redeliver", workspace_id, endpoint_id, made["id"])
    # Then
    assert (made["event"], made["status"]) == ("webhook.test", "PENDING")
    assert again == made
    sent = command_line.operator.world.delivery_queue.sent
    assert [each.delivery_id for each in sent] == [made["id"], made["id"]]


def test_deliveries_are_filtered(
    command_line: CommandLine, workspace_id: str, endpoint_id: str
) -> None:
    # Given
    store = command_line.operator.world.webhooks
    endpoint = store.endpoint(workspace_id, endpoint_id)
    parked = webhook.parked(a_delivery(endpoint, created_at=LATER))
    done = webhook.dropped(a_delivery(endpoint), now=START)
    for delivery in (parked, done):
        store.add_delivery(delivery)
    test = command_line.json("webhook", "test", workspace_id, endpoint_id)["id"]

    def listed(*wanted: str) -> set[str]:
        found = command_line.json("webhook", "deliveries", workspace_id, endpoint_id, *wanted)
        return {each["id"] for each in found}

    # Then
    assert listed() == {parked.id, done.id, test}
    assert listed("--status", "parked") == {parked.id}
    assert listed("--status", "PARKED", "--status", "dropped") == {parked.id, done.id}
    assert listed("--event", "webhook.test") == {test}
    assert listed("--since", "2026-06-01T12:00:00+02:00") == {parked.id}
    error = command_line.fails(
        2, "webhook", "deliveries", workspace_id, endpoint_id, "--since", "2026-06-01T10:00:00"
    )
    assert "--since" in error


def test_pages_that_are_not_full_are_put_together(
    command_line: CommandLine,
    workspace_id: str,
    endpoint_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given
    store = command_line.operator.world.webhooks
    endpoint = store.endpoint(workspace_id, endpoint_id)
    made = [a_delivery(endpoint) for _ in range(3)]
    for delivery in made:
        store.add_delivery(delivery)
    whole = store.deliveries

    def one(*given: Any, limit: int, before: str | None) -> DeliveryPage:
        return whole(*given, limit=min(limit, 1), before=before)

    monkeypatch.setattr(store, "deliveries", one)

    def listed(*wanted: str) -> list[str]:
        found = command_line.json("webhook", "deliveries", workspace_id, endpoint_id, *wanted)
        return [each["id"] for each in found]

    # Then
    assert listed() == [each.id for each in reversed(made)]
    assert listed("--limit", "2") == [made[2].id, made[1].id]


def test_what_was_given_up_is_recovered(
    command_line: CommandLine, workspace_id: str, endpoint_id: str
) -> None:
    # Given
    store = command_line.operator.world.webhooks
    endpoint = store.endpoint(workspace_id, endpoint_id)
    store.add_delivery(replace(a_delivery(endpoint), status=DeliveryStatus.EXHAUSTED))
    # When
    recovered = command_line.json(
        "webhook", "recover", workspace_id, endpoint_id, "--since", "2026-05-31T00:00:00Z"
    )
    # Then
    assert recovered["deliveriesSent"] == 1
    told = command_line.fails(
        2, "webhook", "recover", workspace_id, endpoint_id, "--since", "2026-04-01T00:00:00Z"
    )
    assert "30 days" in told


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_a_limit_out_of_range(command_line: CommandLine, workspace_id: str, limit: str) -> None:
    endpoint_id = an_id(ids.ENDPOINT)
    command_line.fails(2, "webhook", "deliveries", workspace_id, endpoint_id, "--limit", limit)


def test_a_post_is_shown_with_its_timeline(command_line: CommandLine) -> None:
    # Given
    post = a_post(PostStatus.SCHEDULED)
    assert post.workflow_id is not None
    event = an_event(post, reason="The offer\nhas changed.\x1b[2J")
    world = command_line.operator.world
    world.posts.commit(added(post, event))
    world.schedules.arm(ArmSchedule(post_id=post.id, workflow_id=post.workflow_id, at=LATER))
    # When
    text = command_line.run("post", "show", post.id).stdout
    document = command_line.json("post", "show", post.id)
    # Then
    assert f"{post.workflow_id}: set" in text
    assert "The offer\\nhas changed.\\x1b[2J" in text
    assert "\x1b" not in text
    assert document["status"] == "SCHEDULED"
    assert document["schedules"] == {post.workflow_id: True}
    [told] = document["timeline"]
    assert (told["id"], told["event"], told["actor"]) == (event.id, "post.cancelled", USER_ID)
    assert (told["versionBefore"], told["versionAfter"]) == (post.version - 1, post.version)
    assert told["pendingSince"] == "2026-06-01T09:00:00.000Z"


def test_a_draft_is_shown_with_nothing_to_tell(command_line: CommandLine) -> None:
    # Given
    post = a_post(PostStatus.DRAFT)
    command_line.operator.world.posts.commit(added(post))
    # When
    text = command_line.run("post", "show", post.id).stdout
    # Then
    assert "schedules          -" in text
    assert "Nothing is known any more." in text


@pytest.mark.parametrize(
    ("status", "arguments"),
    [
        (1, ("workspace", "show", an_id(ids.WORKSPACE))),
        (2, ("workspace", "show", "ws_1")),
        (2, ("workspace", "create", "")),
        (1, ("member", "add", an_id(ids.WORKSPACE), "--role", "OWNER")),
        (1, ("key", "revoke", an_id(ids.KEY), "--user", USER_ID)),
        (1, ("account", "list", an_id(ids.WORKSPACE))),
        (1, ("webhook", "list", an_id(ids.WORKSPACE))),
        (1, ("webhook", "enable", an_id(ids.WORKSPACE), an_id(ids.ENDPOINT))),
        (2, ("webhook", "disable", an_id(ids.WORKSPACE), "wh_1")),
        (1, ("post", "show", an_id(ids.POST))),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    command_line: CommandLine, status: int, arguments: tuple[str, ...]
) -> None:
    error = command_line.fails(status, *arguments)
    assert error.startswith("error: ")
    assert error.count("\n") == 1


def test_an_empty_list_says_so(command_line: CommandLine, workspace_id: str) -> None:
    assert command_line.run("account", "list", workspace_id).stdout == "No accounts.\n"
    assert command_line.json("account", "list", workspace_id) == []
