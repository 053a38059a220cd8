"""The platform that is not set up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from postbreeze.adapters.platforms.unconfigured import UnconfiguredPlatform
from postbreeze.domain.errors import PlatformRejectedError
from postbreeze.operations.platform_port import ExternalPost, PlatformClient, Publication


@pytest.mark.parametrize("call", ["prepare", "find", "comment"])
def test_every_call_is_an_honest_refusal(call: str) -> None:
    # Given
    post = ExternalPost(id="1", url="https://x.test")
    platform: PlatformClient = UnconfiguredPlatform("X")
    publication = Publication(
        target_id="tgt_01JDCK9W2V3N4P5Q6R7S8T9V0W",
        account_id="soc_01JDCK9W2V3N4P5Q6R7S8T9V0W",
        external_account_id="1",
        text="hello",
        created_at=datetime(2026, 6, 15, tzinfo=UTC),
    )

    calls: dict[str, Callable[[], object]] = {
        "prepare": lambda: platform.prepare(publication, {}),
        "find": lambda: platform.find(publication, {}),
        "comment": lambda: platform.comment(publication, post, {}),
    }

    # When
    with pytest.raises(PlatformRejectedError) as refusal:
        calls[call]()

    # Then
    assert refusal.value.code == "PLATFORM_NOT_CONFIGURED"
    assert "X" in refusal.value.message
