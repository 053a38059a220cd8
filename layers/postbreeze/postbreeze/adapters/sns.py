"""Announcing events on an SNS topic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from postbreeze.adapters.aws import outages

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient


class SnsEventBus:
    """A topic whose messages carry only ids: events may be larger than SNS takes."""

    def __init__(self, client: SNSClient, *, topic_arn: str) -> None:
        """Call nothing yet."""
        self._client = client
        self._topic_arn = topic_arn

    def announce(self, post_id: str, event_id: str) -> None:
        """Announce an event that is stored.

        Raises:
            UnavailableError: It may or may not have been announced.
        """
        with outages():
            self._client.publish(
                TopicArn=self._topic_arn,
                Message=json.dumps({"postId": post_id, "eventId": event_id}),
            )
