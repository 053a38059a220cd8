"""Whatever is sent, the answer is one of ours: the envelope or a document, and never a 5xx."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from postbreeze.domain import ids
from tests.support.builders import an_id
from tests.support.http_client import Api, assert_envelope, http_event

POST = an_id(ids.POST)
API = Api()
ACCOUNT = API.accounts[0]
SCHEDULED = API.schedule()["id"]

METHODS = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "get", ""])
PATHS = st.one_of(
    st.text(max_size=40),
    st.builds("/api/v1/posts/{}".format, st.text(max_size=40)),
    st.builds("/api/v1/posts/{}/cancel".format, st.text(max_size=40)),
    st.sampled_from(
        ["/api/v1/posts", f"/api/v1/posts/{SCHEDULED}", f"/api/v1/posts/{POST}/cancel"]
    ),
)
HEADERS = st.dictionaries(
    st.one_of(
        st.sampled_from(
            ["content-type", "If-Match", "Idempotency-Key", "accept-encoding", "cookie", "origin"]
        ),
        st.text(max_size=10),
    ),
    st.one_of(st.sampled_from(["application/json", "7", "gzip", "*"]), st.text(max_size=20)),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([ACCOUNT, "2026-06-01T10:00:00Z", "Europe/Berlin", "https://example.com/a"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "accountId",
        "caption",
        "content",
        "mediaAltText",
        "mediaIds",
        "mediaItems",
        "platformOptions",
        "platforms",
        "reason",
        "requiresApproval",
        "scheduledFor",
        "socialAccountId",
        "targetIds",
        "targets",
        "timezone",
        "url",
    ]
)
DOCUMENTS = st.dictionaries(
    NAMES, VALUES | st.lists(st.dictionaries(NAMES, VALUES, max_size=3), max_size=3)
)
BODIES = st.one_of(
    st.none(), st.binary(max_size=60), st.text(max_size=60), DOCUMENTS.map(json.dumps)
)


@given(
    method=METHODS,
    path=PATHS,
    query=st.text(max_size=20) | st.sampled_from(["dryRun=true", "dryRun=%ff"]),
    headers=HEADERS,
    body=BODIES,
    has_key=st.booleans(),
)
@settings(max_examples=150)
def test_anything_is_answered(
    method: str, path: str, query: str, headers: dict[str, str], body: Any, has_key: bool
) -> None:
    # Given any request at all
    if has_key:
        headers = {**headers, "authorization": f"Bearer {next(iter(API.keys.values()))}"}
    event = http_event(method, "/", body=body, headers=headers)
    event["rawPath"] = event["requestContext"]["http"]["path"] = path
    event["rawQueryString"] = query
    # When it is sent
    reply = API.send(event)
    # Then it is answered in our words, and they can be sent
    assert reply.status in {200, 201} or 400 <= reply.status < 500, reply
    if reply.status >= 400:
        assert_envelope(reply)
    json.dumps(reply.body, ensure_ascii=False).encode()


@given(document=DOCUMENTS)
@settings(max_examples=150)
def test_any_post_is_made_or_refused(document: dict[str, Any]) -> None:
    reply = API.call("POST", "/posts", raw=json.dumps(document))
    assert reply.status in {201, 400, 404}, reply
    if reply.status != 201:
        assert_envelope(reply)
