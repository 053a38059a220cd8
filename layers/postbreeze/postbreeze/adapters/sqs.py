"""Work for publishers and for deliverers, on standard SQS queues."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from postbreeze.adapters.aws import outages
from postbreeze.domain.changes import PublishTarget, ResolveTarget
from postbreeze.domain.errors import UnavailableError
from postbreeze.domain.webhook import Lane
from postbreeze.operations.ports import Work

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_sqs.type_defs import SendMessageBatchRequestEntryTypeDef

LARGEST_BATCH: Final = 10
LONGEST_DELAY: Final = 900
_TRIES: Final = 2
_WAITING: Final[Sequence[QueueAttributeNameType]] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
)


class SqsPublishQueue:
    """The queue that ``publish_target`` works through, one target each message.

    Each workspace is a message group, which on a standard queue keeps one that has thousands of
    posts due at the same minute from making the others late.
    """

    def __init__(self, client: SQSClient, *, queue_url: str) -> None:
        """Call nothing yet."""
        self._client = client
        self._queue_url = queue_url

    def send(self, messages: Sequence[PublishTarget | ResolveTarget]) -> None:
        """Send every message or raise; sending again is harmless.

        Raises:
            UnavailableError: Some may not have been sent.
        """
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {
                "Id": str(number),
                "MessageBody": json.dumps(_body(message)),
                "MessageGroupId": message.workspace_id,
                "DelaySeconds": _delay(message),
            }
            for number, message in enumerate(messages)
        ]
        _send_all(self._client, self._queue_url, entries)


class SqsDeliveryQueue:
    """The queues that ``deliver_webhook`` works through, one for each lane.

    Each endpoint is a message group, which on a standard queue keeps a busy one from making the
    others wait. ``late_queue_url`` is needed by those who send by the late lane only.
    """

    def __init__(
        self, client: SQSClient, *, queue_url: str, late_queue_url: str | None = None
    ) -> None:
        """Call nothing yet."""
        self._client = client
        self._queue_urls = {Lane.PROMPT: queue_url, Lane.LATE: late_queue_url}

    def send(
        self,
        endpoint_id: str,
        delivery_id: str,
        *,
        delay_seconds: int = 0,
        lane: Lane = Lane.PROMPT,
    ) -> None:
        """Send one; a delay of more than 900 seconds is cut to that.

        Raises:
            UnavailableError: It may or may not have been sent.
        """
        with outages():
            self._client.send_message(
                QueueUrl=self._queue_url(lane),
                MessageBody=_delivery_body(endpoint_id, delivery_id, lane),
                MessageGroupId=endpoint_id,
                DelaySeconds=_clamped(delay_seconds),
            )

    def send_all(self, deliveries: Sequence[tuple[str, str]], *, lane: Lane = Lane.PROMPT) -> None:
        """Send many, given as (endpoint id, delivery id), ten with a call.

        Raises:
            UnavailableError: Some may not have been sent; doing it again is harmless.
        """
        entries: list[SendMessageBatchRequestEntryTypeDef] = [
            {
                "Id": str(number),
                "MessageBody": _delivery_body(endpoint_id, delivery_id, lane),
                "MessageGroupId": endpoint_id,
            }
            for number, (endpoint_id, delivery_id) in enumerate(deliveries)
        ]
        _send_all(self._client, self._queue_url(lane), entries)

    def _queue_url(self, lane: Lane) -> str:
        url = self._queue_urls[lane]
        if url is None:
            raise RuntimeError("a delivery goes by the late lane, and its queue is not known")
        return url


class SqsWorkQueues:
    """The queues of all kinds of work, as SQS counts them: a minute late, and not exactly."""

    def __init__(self, client: SQSClient, *, queue_urls: Mapping[Work, Sequence[str]]) -> None:
        """Call nothing yet."""
        self._client = client
        self._queue_urls = queue_urls

    def waiting(self, work: Work) -> int:
        """Return about how many messages wait, or are being worked on; not those sent for later.

        Raises:
            UnavailableError: A queue did not tell.
        """
        return sum(self._count(url) for url in self._queue_urls[work])

    def _count(self, queue_url: str) -> int:
        with outages():
            answer = self._client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=_WAITING)
        return sum(int(answer["Attributes"][name]) for name in _WAITING)


def _send_all(
    client: SQSClient, queue_url: str, entries: list[SendMessageBatchRequestEntryTypeDef]
) -> None:
    for start in range(0, len(entries), LARGEST_BATCH):
        _send_batch(client, queue_url, entries[start : start + LARGEST_BATCH])


def _send_batch(
    client: SQSClient, queue_url: str, entries: list[SendMessageBatchRequestEntryTypeDef]
) -> None:
    code = ""
    for _ in range(_TRIES):
        with outages():
            answer = client.send_message_batch(QueueUrl=queue_url, Entries=entries)
        failed = {failure["Id"]: failure["Code"] for failure in answer.get("Failed", [])}
        if not failed:
            return
        entries = [entry for entry in entries if entry["Id"] in failed]
        code = failed[entries[0]["Id"]]
    raise UnavailableError(f"SendMessageBatch: {code}")


def _delivery_body(endpoint_id: str, delivery_id: str, lane: Lane) -> str:
    return json.dumps({"endpointId": endpoint_id, "deliveryId": delivery_id, "lane": lane})


def _body(message: PublishTarget | ResolveTarget) -> dict[str, str]:
    match message:
        case PublishTarget():
            return {
                "action": "publish",
                "postId": message.post_id,
                "targetId": message.target_id,
                "workflowId": message.workflow_id,
            }
        case ResolveTarget():
            return {
                "action": "resolve",
                "postId": message.post_id,
                "targetId": message.target_id,
                "claimId": message.claim_id,
            }


def _delay(message: PublishTarget | ResolveTarget) -> int:
    return _clamped(message.delay_seconds) if isinstance(message, PublishTarget) else 0


def _clamped(seconds: int) -> int:
    return min(max(seconds, 0), LONGEST_DELAY)
