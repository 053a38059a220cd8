"""Posts on their whole way: from the API of a deployed stack to the reference Bluesky server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import urllib3

from local.reference_pds import Account, ReferencePds
from tests.e2e.aws import client, schedules
from tests.e2e.client import Api, unique
from tests.support.certificates import Authority
from tests.support.deployment import operator_of
from tests.support.lost_answers import LostAnswerProxy
from tests.support.platform_stages import PICTURE

pytestmark = pytest.mark.platforms

Stack = Mapping[str, Any]

SOON = 4.0
"""Seconds ahead that a post is scheduled: time to cancel it on a busy machine."""


@pytest.fixture
def api(stack: Stack) -> Api:
    return Api(stack)


@pytest.fixture
def connected(stack: Stack, reference_pds: ReferencePds, account: Account) -> str:
    """The account of the reference server, connected by an operator: its id in Postbreeze."""
    operator = operator_of(stack, platform_url=reference_pds.url)
    made = operator.accounts.connect_bluesky(
        stack["workspaceId"],
        account.handle,
        account.app_password,
        sign_in=operator.bluesky_sign_in,
    )
    assert made.external_account_id == account.did
    return made.id


@pytest.fixture
def picture_url(stack: Stack, tmp_path: Path) -> Iterator[str]:
    """The https address of a picture on loopback, whose certificate the stack trusts."""
    authority = Authority()
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(authority.certificate)
    functions = client(stack, "lambda")
    name = stack["outputs"]["PublishTargetFunctionName"]
    before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    functions.update_function_configuration(
        FunctionName=name,
        Environment={"Variables": {**before, "SSL_CERT_FILE": str(trusted)}},
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Gallery)
    server.socket = authority.server_context("127.0.0.1").wrap_socket(
        server.socket, server_side=True
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}/one.png"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": before}
        )


class _Gallery(BaseHTTPRequestHandler):
    """Has one picture, under every address."""

    timeout = 30

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(len(PICTURE)))
        self.end_headers()
        self.wfile.write(PICTURE)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Write nothing."""


def test_a_scheduled_post_is_read_back_from_the_server(
    api: Api,
    reference_pds: ReferencePds,
    account: Account,
    connected: str,
    picture_url: str,
) -> None:
    # Given a post with a link, a tag and a picture, scheduled a few seconds ahead
    text = unique("Möwen 🌬 on https://example.com/ä and #grüße")
    picture = {"url": picture_url, "altText": "Ein Punkt.", "type": "IMAGE"}
    post = api.schedule(connected, seconds=SOON, content=text, mediaItems=[picture])
    assert reference_pds.records(account.did) == []
    # When its moment has come
    published = api.wait_for(post["id"], "PUBLISHED", "FAILED", "PARTIALLY_PUBLISHED")
    # Then the server has it, once, as it was written
    [record] = reference_pds.records(account.did)
    assert record["value"]["text"] == text
    assert {
        text.encode()[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode(): facet[
            "features"
        ]
        for facet in record["value"]["facets"]
    } == {
        "https://example.com/ä": [
            {"$type": "app.bsky.richtext.facet#link", "uri": "https://example.com/ä"}
        ],
        "#grüße": [{"$type": "app.bsky.richtext.facet#tag", "tag": "grüße"}],
    }
    # And the picture can be fetched from it
    [image] = record["value"]["embed"]["images"]
    assert image["alt"] == "Ein Punkt."
    fetched = urllib3.request(
        "GET",
        f"{reference_pds.url}/xrpc/com.atproto.sync.getBlob",
        fields={"did": account.did, "cid": image["image"]["ref"]["$link"]},
        retries=False,
    )
    assert fetched.data == PICTURE
    # And the API tells where it is
    [target] = published["targets"]
    assert (published["status"], target["status"]) == ("PUBLISHED", "PUBLISHED")
    assert target["externalPostId"] == record["uri"]
    assert record["uri"].rpartition("/")[2] in target["externalUrl"]


def test_a_canceled_post_is_not_there_after_its_moment(
    api: Api, stack: Stack, reference_pds: ReferencePds, account: Account, connected: str
) -> None:
    # Given two posts, the second for a later moment
    canceled = api.schedule(connected, seconds=SOON, content=unique("Not this one."))
    later_text = unique("This one.")
    later = api.schedule(connected, seconds=SOON + 1, content=later_text)
    assert canceled["scheduledAt"] < later["scheduledAt"]
    # When the first is canceled
    reply = api.cancel(canceled["id"])
    assert reply.status == 200, reply
    assert {each["outcome"] for each in reply.body["cancellation"]["targets"]} == {"canceled"}
    # Then, once the second is out, it is the only one that is
    api.wait_for(later["id"], "PUBLISHED")
    assert [record["value"]["text"] for record in reference_pds.records(account.did)] == [
        later_text
    ]
    assert api.get(canceled["id"])["status"] == "CANCELED"
    assert canceled["workflowId"] not in schedules(stack)


def test_a_lost_answer_leaves_one_record_and_a_published_post(
    api: Api,
    proxy: LostAnswerProxy,
    reference_pds: ReferencePds,
    account: Account,
    connected: str,
) -> None:
    # Given a server whose next answer to createRecord is lost
    lost_before = proxy.lost
    proxy.lose(1)
    # When a scheduled post goes out
    text = unique("Told by nobody.")
    post = api.schedule(connected, seconds=1, content=text)
    published = api.wait_for(post["id"], "PUBLISHED", "FAILED", "PARTIALLY_PUBLISHED", seconds=60)
    # Then the answer was lost, and exactly one record is there
    assert proxy.lost == lost_before + 1
    [record] = reference_pds.records(account.did)
    assert record["value"]["text"] == text
    # And the post is known to be published, as that very record
    [target] = published["targets"]
    assert (published["status"], target["status"]) == ("PUBLISHED", "PUBLISHED")
    assert target["externalPostId"] == record["uri"]
    assert target["errorCode"] is None
