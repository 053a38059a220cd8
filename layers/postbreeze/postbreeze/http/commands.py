"""What requests that change a post have in common."""

from __future__ import annotations

from typing import Any

from postbreeze.domain import ids
from postbreeze.http import requests
from postbreeze.operations.answers import Idempotency
from postbreeze.operations.changing import PostRequest


def post_request(
    request: requests.HttpRequest, digest: str, post_id: str
) -> tuple[PostRequest, dict[str, Any] | None]:
    """Read which post is meant, under which conditions, and the body.

    Raises:
        RefusalError: Something of it is malformed.
    """
    requests.path_id(ids.POST, "postId", post_id)
    version = requests.if_match(request)
    idempotency, document = keyed_body(request)
    return PostRequest(
        key_digest=digest, post_id=post_id, if_match=version, idempotency=idempotency
    ), document


def keyed_body(request: requests.HttpRequest) -> tuple[Idempotency | None, dict[str, Any] | None]:
    """Read the body, and the key under which the request is done once.

    Raises:
        RefusalError: Something of it is malformed.
    """
    key = requests.idempotency_key(request)
    document = requests.json_object(request)
    if key is None:
        return None, document
    return Idempotency(key=key, request_digest=requests.digest(request, document)), document
