"""The handlers that requests are measured against do what the service does, so they are a floor."""

from __future__ import annotations

from functools import partial

import pytest
from botocore.httpsession import URLLib3Session

from benchmarks import recording
from benchmarks.warm_worker import Context, Wire, check_alike, played
from postbreeze import bootstrap
from postbreeze.adapters.clock import SystemClock

WITHOUT_CALLS = {"getDescription", "getDocsPage", "getDocsAsset"}


def test_by_hand_the_same_calls_are_made_and_the_same_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given one request of every operation, recorded
    recorded = recording.record()
    access = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for name, value in {**recorded.environ, **access}.items():
        monkeypatch.setenv(name, value)
    wire = Wire()
    monkeypatch.setattr(URLLib3Session, "send", lambda _, request: wire.send(request))
    monkeypatch.setattr(SystemClock, "now", lambda _: recorded.moment)
    from benchmarks.by_hand import HANDLERS

    scenes = [scene for scene in recorded.scenes if "rawPath" in scene.event]
    assert HANDLERS.keys() == {scene.name for scene in scenes} - WITHOUT_CALLS
    for scene in scenes:
        if scene.name in WITHOUT_CALLS:
            assert not scene.exchanges
            continue
        # When it is played with the service, and with what is written by hand
        wire.play(scene)
        service = getattr(bootstrap, scene.function)(recorded.environ)
        ours = played(wire, partial(service, scene.event, Context()))
        theirs = played(wire, partial(HANDLERS[scene.name], scene.event))
        # Then nothing tells them apart
        check_alike(scene.name, ours, theirs)
