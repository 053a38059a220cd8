"""What docs/webhooks.md says of the catalogue, of failures and of the ladder."""

from __future__ import annotations

import re
from pathlib import Path

from postbreeze.adapters import egress
from postbreeze.domain.events import EventType
from postbreeze.webhooks.backoff import GAPS

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")


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
