"""Announcing events on an SNS topic."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from postbreeze.adapters.aws import outages
from postbreeze.domain.errors import UnavailableError
from postbreeze.domain.events import Event

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import PublishBatchRequestEntryTypeDef

LARGEST_BATCH: Final = 10

REPEATS: Final = "repeats"
"""The message group of what is announced again: the workspace is not known where ids are listed."""


class SnsEventBus:
    """A topic whose messages carry only ids: events may be larger than SNS takes.

    Each workspace is a message group, which the queue behind the topic is fair over: one of which
    much is told at once does not make the others wait.
    """

    def __init__(self, client: SNSClient, *, topic_arn: str) -> None:
        """Call nothing yet."""
        self._client = client
        self._topic_arn = topic_arn

    def announce(self, event: Event) -> None:
        """Announce an event that is stored.

        Raises:
            UnavailableError: It may or may not have been announced.
        """
        with outages():
            self._client.publish(
                TopicArn=self._topic_arn,
                Message=_message(event.post_id, event.id),
                MessageGroupId=event.workspace_id,
            )

    def announce_all(self, events: Sequence[tuple[str, str]]) -> None:
        """Announce stored events, given as (post id, event id), ten with a call.

        All of them are one message group, so that what is announced anew goes first.

        Raises:
            UnavailableError: Some may not have been announced; doing it again is harmless.
        """
        entries: list[PublishBatchRequestEntryTypeDef] = [
            {"Id": str(number), "Message": _message(*event), "MessageGroupId": REPEATS}
            for number, event in enumerate(events)
        ]
        for start in range(0, len(entries), LARGEST_BATCH):
            with outages():
                answer = self._client.publish_batch(
                    TopicArn=self._topic_arn,
                    PublishBatchRequestEntries=entries[start : start + LARGEST_BATCH],
                )
            if answer.get("Failed"):
                raise UnavailableError(f"PublishBatch: {answer['Failed'][0]['Code']}")


def _message(post_id: str, event_id: str) -> str:
    return json.dumps({"postId": post_id, "eventId": event_id})
