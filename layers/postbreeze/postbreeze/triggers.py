"""What starts the functions that no client calls: queues, schedules and the clock.

A queue's records stand each for itself: those that fail are told to SQS by their ids, which
delivers them again and in the end moves them to the dead-letter queue. A record that cannot be read
fails too, so that it ends there for a person to see instead of vanishing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from postbreeze.domain.errors import ContendedError, UnavailableError
from postbreeze.domain.webhook import Lane

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

Work = Callable[[Mapping[str, Any]], str]
"""Does what a message asks for, and says in a few words what that came to."""

Handler = Callable[[Mapping[str, Any], "LambdaContext"], dict[str, Any]]
"""A Lambda function."""


NOTHING_TO_DO = "nothing to do"


class Log(Protocol):
    """Where a function says what it did."""

    def note(self, message: str, **fields: object) -> None:
        """Log what happened."""
        ...

    def retrying(self, message: str, error: Exception, **fields: object) -> None:
        """Log an error that is expected to pass when the work is done again."""
        ...

    def failed(self, message: str, error: Exception, **fields: object) -> None:
        """Log an error with its stack trace."""
        ...

    def invocation(self, aws_request_id: str) -> AbstractContextManager[None]:
        """Name the invocation on every line, and write the metrics at its end."""
        ...


class MalformedMessageError(Exception):
    """A message is not what its sender is known to send; delivering it again cannot help."""


def text(message: Mapping[str, Any], name: str) -> str:
    """Return a field that must be there and hold text.

    Raises:
        MalformedMessageError: It is not there, or no text.
    """
    value = message.get(name)
    if not isinstance(value, str) or not value:
        raise MalformedMessageError(f"{name} is missing or not text")
    return value


def queue(work: Work, log: Log) -> Handler:
    """Build the handler of an SQS queue whose messages are JSON objects.

    It answers ``{"batchItemFailures": [{"itemIdentifier": …}]}`` with the records to be delivered
    again, and never raises because of one of them.
    """

    def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        with log.invocation(context.aws_request_id):
            failed = [
                record["messageId"]
                for record in event["Records"]
                if not _is_done(record, work, log)
            ]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    return handle


def direct(work: Work, log: Log) -> Handler:
    """Build the handler of a function that is invoked with its message as the event.

    It answers ``{"outcome": …}``, and raises what its work raises so that Lambda tries again.
    """

    def handle(event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        with log.invocation(context.aws_request_id):
            try:
                outcome = work(event)
            except Exception as error:
                log.failed("invocation failed", error)
                raise
            log.note("invocation handled", outcome=outcome)
        return {"outcome": outcome}

    return handle


def timed(work: Callable[[], Mapping[str, int]], log: Log) -> Handler:
    """Build the handler of a function that the clock starts; it answers what was done, counted."""

    def handle(_event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        with log.invocation(context.aws_request_id):
            counts = dict(work())
            log.note("invocation handled", counts=counts)
        return counts

    return handle


def start_publish(start: Callable[[str, str], bool]) -> Work:
    """Read what a schedule fires with; a fire that is out of date is as good as one that is not."""

    def work(message: Mapping[str, Any]) -> str:
        started = start(text(message, "postId"), text(message, "workflowId"))
        return "started" if started else NOTHING_TO_DO

    return work


def publish_target(
    publish: Callable[[str, str, str], str], resolve: Callable[[str, str, str], str]
) -> Work:
    """Read a message of the publish queue."""

    def work(message: Mapping[str, Any]) -> str:
        action = text(message, "action")
        post_id, target_id = text(message, "postId"), text(message, "targetId")
        match action:
            case "publish":
                return publish(post_id, target_id, text(message, "workflowId"))
            case "resolve":
                return resolve(post_id, target_id, text(message, "claimId"))
        raise MalformedMessageError(f"{action} is not an action")

    return work


def fan_out_event(fan_out: Callable[[str, str], int]) -> Work:
    """Read a message of the fan-out queue, which is one of the topic as it was published."""

    def work(message: Mapping[str, Any]) -> str:
        deliveries = fan_out(text(message, "postId"), text(message, "eventId"))
        return f"{deliveries} deliveries"

    return work


def deliver_webhook(deliver: Callable[[str, str, Lane], str]) -> Work:
    """Read a message of one of the delivery queues; one that names no lane goes promptly."""

    def work(message: Mapping[str, Any]) -> str:
        try:
            lane = Lane(message.get("lane", Lane.PROMPT))
        except ValueError as error:
            raise MalformedMessageError("lane is not one") from error
        return deliver(text(message, "endpointId"), text(message, "deliveryId"), lane)

    return work


def _is_done(record: Mapping[str, Any], work: Work, log: Log) -> bool:
    told = {"messageId": record["messageId"], "receiveCount": _receive_count(record)}
    try:
        outcome = work(_message(record))
    except (UnavailableError, ContendedError) as error:
        log.retrying("message failed", error, **told)
    except Exception as error:  # noqa: BLE001  # one record's error must not fail the others
        log.failed("message failed", error, **told)
    else:
        log.note("message handled", outcome=outcome, **told)
        return True
    return False


def _message(record: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        message = json.loads(record["body"])
    except ValueError as error:
        raise MalformedMessageError("the body is not JSON") from error
    if not isinstance(message, dict):
        raise MalformedMessageError("the body is not a JSON object")
    return message


def _receive_count(record: Mapping[str, Any]) -> object:
    return record.get("attributes", {}).get("ApproximateReceiveCount")
