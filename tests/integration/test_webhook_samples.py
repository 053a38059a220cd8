"""The samples of docs/webhooks.md, run on what the service really sends, by programs of others."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from postbreeze.domain.events import EventType
from postbreeze.webhooks.envelope import request_headers
from postbreeze.webhooks.signature import new_secret, sign
from tests.support.core import WEBHOOK_SECRET, Core, SentRequest
from tests.support.event_schemas import example_file
from tests.support.scripted_server import Reply, ScriptedServer
from tests.support.webhook_samples import SAMPLES, SEND, Sample, run, samples

OTHER_SECRET, THIRD_SECRET = (new_secret(bytes([number]) * 32) for number in (1, 2))
A_WHILE = timedelta(minutes=6)
"""Longer than a request may be on its way."""


def sent(age: timedelta = timedelta(0)) -> SentRequest:
    """Return what an endpoint received of a cancel, so long ago."""
    core = Core()
    core.clock.at = datetime.now(UTC) - age
    core.cancel(core.created(caption="Grüße 🌬️").id)
    core.run_queues()
    return core.sender.requests[-1]


def sent_two_days_late() -> SentRequest:
    """Return what an endpoint receives now of a cancel of two days ago that it could not take."""
    core = Core()
    core.clock.at = datetime.now(UTC) - timedelta(days=2)
    core.cancel(core.created().id)
    core.sender.script += [503] * 10
    core.run_queues()
    core.sender.script.clear()
    core.clock.at = datetime.now(UTC)
    core.reconcile()
    core.run_queues()
    return core.sender.requests[-1]


def signed_anew(request: SentRequest, *secrets: str) -> SentRequest:
    """Return a request as it is sent now by an endpoint of these secrets, the current one last."""
    event, delivery_id = (
        request.headers[f"X-Postbreeze-{name}"] for name in ("Event", "Delivery-Id")
    )
    signatures = sign(request.body, delivery_id=delivery_id, at=datetime.now(UTC), secrets=secrets)
    headers = request_headers(event, delivery_id, {}, signatures)
    return SentRequest(url=request.url, headers=headers, body=request.body)


def changed(request: SentRequest, old: str, new: str) -> SentRequest:
    """Return a request as somebody on the way has changed it, headers and body."""
    return SentRequest(
        url=request.url,
        headers={name: value.replace(old, new) for name, value in request.headers.items()},
        body=request.body.replace(old.encode(), new.encode()),
    )


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> Sample:
    sample = SAMPLES[request.param]
    if sample.is_missing:
        pytest.skip(f"{sample.needs} is not installed")
    return sample


def test_the_documented_check_tells_ours_from_forged(sample: Sample, tmp_path: Path) -> None:
    # Given
    request = sent()
    # Then
    assert sample.accepts(
        tmp_path,
        (request, WEBHOOK_SECRET),
        (request, OTHER_SECRET),
        (changed(request, "CANCELED", "PUBLISHED"), WEBHOOK_SECRET),
        (changed(request, "v1", "v2"), WEBHOOK_SECRET),
    ) == [True, False, False, False]


def test_a_replay_of_an_old_request_is_refused_by_the_documented_check(
    sample: Sample, tmp_path: Path
) -> None:
    # Given a request that was good when it was sent, and one that nobody has sent yet
    old, early = sent(age=A_WHILE), sent(age=-A_WHILE)
    # Then it is refused, also under the time of a new one
    then, now = (
        request.headers["webhook-timestamp"] for request in (old, signed_anew(old, OTHER_SECRET))
    )
    replayed = changed(old, then, now)
    assert replayed.body == old.body
    assert sample.accepts(
        tmp_path, (old, WEBHOOK_SECRET), (early, WEBHOOK_SECRET), (replayed, WEBHOOK_SECRET)
    ) == [False, False, False]


def test_during_a_rotation_either_secret_is_enough_for_the_documented_check(
    sample: Sample, tmp_path: Path
) -> None:
    # Given
    request = signed_anew(sent(), WEBHOOK_SECRET, OTHER_SECRET)
    # Then
    assert sample.accepts(
        tmp_path, (request, WEBHOOK_SECRET), (request, OTHER_SECRET), (request, THIRD_SECRET)
    ) == [True, True, False]


def test_a_delivery_two_days_late_passes_the_documented_check(
    sample: Sample, tmp_path: Path
) -> None:
    # Given a request of now, about what happened two days ago
    request = sent_two_days_late()
    told = json.loads(request.body)
    happened, left = (
        datetime.fromisoformat(at) for at in (told["payload"]["occurredAt"], told["sentAt"])
    )
    assert left - happened >= timedelta(days=2)
    # Then
    assert sample.accepts(tmp_path, (request, WEBHOOK_SECRET)) == [True]


def test_what_curl_sends_passes_the_documented_check(tmp_path: Path) -> None:
    # Given
    if shutil.which("curl") is None or shutil.which("openssl") is None:
        pytest.skip("curl or openssl is not installed")
    body = example_file(EventType.POST_CANCELLED)
    script = samples("sh")[SEND] + '\nsend "$@"'
    # When
    with ScriptedServer() as server:
        server.on("hook", Reply(body={"ok": True}))
        told = run("sh", "-c", script, "sh", f"{server.url}/hook", str(body), WEBHOOK_SECRET)
    # Then
    (taken,) = server.taken
    request = SentRequest(url=taken.path, headers=taken.headers, body=taken.body)
    assert json.loads(told) == {"ok": True}
    assert taken.body == body.read_bytes()
    assert SAMPLES["python by hand"].accepts(
        tmp_path, (request, WEBHOOK_SECRET), (request, OTHER_SECRET)
    ) == [True, False]


def test_every_sample_is_run() -> None:
    shown = [
        (language, number)
        for language in ("python", "js", "sh")
        for number in range(len(samples(language)))
    ]
    tested = [(each.language, each.position) for each in SAMPLES.values()]
    assert sorted([*tested, ("sh", SEND)]) == sorted(shown)
