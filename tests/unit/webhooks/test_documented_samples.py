"""The samples of docs/webhooks.md, run against what we really send."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from postbreeze.adapters import egress
from postbreeze.domain.events import EventType
from postbreeze.webhooks.backoff import GAPS
from postbreeze.webhooks.envelope import envelope, request_headers
from postbreeze.webhooks.signature import new_secret, sign

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")
OLD, NEW, OTHER = (new_secret(bytes([number]) * 32) for number in (1, 2, 3))


def samples(language: str) -> list[str]:
    """Return the page's code blocks of a language: first our signature, then the standard one."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def request(age: timedelta = timedelta(0)) -> tuple[dict[str, str], bytes]:
    """Return a request as it is sent during a rotation."""
    at = datetime.now(UTC) - age
    body = envelope("post.cancelled", "dlv_1", at, {"caption": "Grüße 🌬️"})
    signatures = sign(body, delivery_id="dlv_1", at=at, secrets=[OLD, NEW])
    return request_headers("post.cancelled", "dlv_1", {}, signatures), body


def python_accepts(sample: str, headers: dict[str, str], body: bytes, secret: str) -> bool:
    namespace: dict[str, Any] = {}
    exec(sample, namespace)  # noqa: S102 - a page of this repository
    message = Message()
    for name, value in headers.items():
        message[name] = value
    try:
        return bool(namespace["verify"](message, body, secret))
    except WebhookVerificationError:
        return False


def node_accepts(sample: str, headers: dict[str, str], body: bytes, secret: str) -> bool:
    node = shutil.which("node")
    assert node is not None
    script = (
        sample
        + "\nconst [h, b, s] = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));"
        + "\nconsole.log(verify(h, Buffer.from(b, 'base64'), s));"
    )
    lowered = {name.lower(): value for name, value in headers.items()}
    finished = subprocess.run(
        [node, "-e", script],
        input=json.dumps([lowered, base64.b64encode(body).decode(), secret]),
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return {"true\n": True, "false\n": False}[finished.stdout]


CHECKERS = [
    pytest.param(python_accepts, "python", id="python"),
    pytest.param(
        node_accepts,
        "js",
        id="node",
        marks=pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed"),
    ),
]


@pytest.mark.parametrize("position", [0, 1], ids=["ours", "standard"])
@pytest.mark.parametrize(("accepts", "language"), CHECKERS)
def test_the_sample_tells_ours_from_forged(accepts: Any, language: str, position: int) -> None:
    # Given
    sample = samples(language)[position]
    headers, body = request()
    stale_headers, stale_body = request(age=timedelta(minutes=6))
    # Then: during a rotation both secrets verify
    assert accepts(sample, headers, body, OLD)
    assert accepts(sample, headers, body, NEW)
    assert not accepts(sample, headers, body, OTHER)
    assert not accepts(sample, headers, body.replace(b"post", b"past"), NEW)
    assert not accepts(sample, stale_headers, stale_body, NEW)


def test_there_are_two_samples_in_each_language() -> None:
    assert [len(samples(language)) for language in ("python", "js")] == [2, 2]


def test_the_page_names_every_event_type() -> None:
    for event_type in EventType:
        assert f"`{event_type}`" in PAGE


def test_the_page_names_every_code_of_a_failed_attempt() -> None:
    # Given
    fetch_only = {"UNEXPECTED_STATUS", "CONTENT_TYPE_NOT_ALLOWED", "RESPONSE_TOO_LARGE"}
    # Then
    for error in egress.EgressError.__subclasses__():
        assert (f"| `{error.code}` |" in PAGE) is (error.code not in fetch_only)


def test_the_page_shows_the_ladder() -> None:
    # Given
    seconds = {"second": 1, "minute": 60, "hour": 3600}
    rows = re.findall(r"^\| (\d+) \| (\d+) (second|minute|hour)s ", PAGE, re.MULTILINE)
    # Then
    assert [int(number) for number, _, _ in rows] == list(range(2, len(GAPS) + 1))
    assert [int(count) * seconds[unit] for _, count, unit in rows] == [
        gap.total_seconds() for gap in GAPS[1:]
    ]
