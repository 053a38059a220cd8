"""What the adapters of Scheduler, SNS, SQS and KMS make of failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber

from postbreeze.adapters.aws import AwsClients
from postbreeze.adapters.scheduler import FireTarget, SchedulerSchedules
from postbreeze.adapters.secrets import KEPT_OPEN, MOST_OPEN, KmsSecretBox
from postbreeze.adapters.sns import REPEATS, SnsEventBus
from postbreeze.adapters.sqs import SqsDeliveryQueue, SqsPublishQueue
from postbreeze.domain.changes import ArmSchedule, PublishTarget
from postbreeze.domain.errors import SecretUnreadableError, UnavailableError
from postbreeze.domain.webhook import Lane
from tests.support.builders import LATER, an_event
from tests.support.fakes import FakeClock

QUEUE = "https://sqs.us-east-1.amazonaws.com/000000000000/queue"
LATE_QUEUE = "https://sqs.us-east-1.amazonaws.com/000000000000/late"
ARMING = ArmSchedule(post_id="post_1", workflow_id="post_1-1", at=LATER)
FIRE = FireTarget(function_arn="f", role_arn="r", dead_letter_arn="d")


@pytest.fixture(scope="module")
def clients() -> AwsClients:
    return AwsClients(region="us-east-1", access_key=("a", "b"))


def arm(clients: AwsClients) -> None:
    SchedulerSchedules(clients.scheduler(), group="g", clock=FakeClock(), target=FIRE).arm(ARMING)


def disarm(clients: AwsClients) -> None:
    SchedulerSchedules(clients.scheduler(), group="g", clock=FakeClock()).disarm("post_1-1")


def announce(clients: AwsClients) -> None:
    bus = SnsEventBus(clients.sns(), topic_arn="arn:aws:sns:us-east-1:000000000000:t")
    bus.announce(an_event())


def announce_all(clients: AwsClients) -> None:
    bus = SnsEventBus(clients.sns(), topic_arn="arn:aws:sns:us-east-1:000000000000:t")
    bus.announce_all([("p", "e1"), ("p", "e2")])


def messages(number: int) -> list[PublishTarget]:
    return [
        PublishTarget(
            workspace_id="ws_1",
            post_id="p",
            target_id=f"t{each}",
            workflow_id="w",
            delay_seconds=each,
        )
        for each in range(number)
    ]


def publish(clients: AwsClients) -> None:
    SqsPublishQueue(clients.sqs(), queue_url=QUEUE).send(messages(3))


def deliver(clients: AwsClients) -> None:
    SqsDeliveryQueue(clients.sqs(), queue_url=QUEUE).send("wh_1", "dlv_1")


def deliver_all(clients: AwsClients) -> None:
    queue = SqsDeliveryQueue(clients.sqs(), queue_url=QUEUE)
    queue.send_all([("wh_1", f"dlv_{number}") for number in range(3)])


def seal(clients: AwsClients) -> None:
    a_box(clients).seal("secret", {})


def open_(clients: AwsClients) -> None:
    a_box(clients).open(b"sealed", {})


def a_box(clients: AwsClients, clock: FakeClock | None = None) -> KmsSecretBox:
    return KmsSecretBox(clients.kms(), key_arn="k", clock=clock or FakeClock())


CALLS = [
    (arm, "scheduler", "create_schedule"),
    (disarm, "scheduler", "delete_schedule"),
    (announce, "sns", "publish"),
    (announce_all, "sns", "publish_batch"),
    (publish, "sqs", "send_message_batch"),
    (deliver, "sqs", "send_message"),
    (deliver_all, "sqs", "send_message_batch"),
    (seal, "kms", "encrypt"),
    (open_, "kms", "decrypt"),
]


@pytest.mark.parametrize(("call", "service", "operation"), CALLS)
@pytest.mark.parametrize("code", ["ThrottlingException", "InternalServerException", "AccessDenied"])
def test_an_outage_is_one_in_every_call(
    clients: AwsClients,
    call: Callable[[AwsClients], None],
    service: str,
    operation: str,
    code: str,
) -> None:
    with Stubber(getattr(clients, service)()) as stub:
        status = 500 if code.startswith("Internal") else 400
        stub.add_client_error(operation, code, "arn:aws:…", status)
        with pytest.raises(UnavailableError, match=code):
            call(clients)
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("call", "service", "operation"), [case for case in CALLS if case[0] is not arm]
)
def test_a_mistake_of_ours_is_raised_as_it_is(
    clients: AwsClients, call: Callable[[AwsClients], None], service: str, operation: str
) -> None:
    with Stubber(getattr(clients, service)()) as stub:
        stub.add_client_error(operation, "ValidationException")
        with pytest.raises(ClientError):
            call(clients)


def test_a_schedule_that_is_refused_may_be_armed_later(clients: AwsClients) -> None:
    with Stubber(clients.scheduler()) as stub:
        stub.add_client_error("create_schedule", "ValidationException")
        with pytest.raises(UnavailableError, match="ValidationException"):
            arm(clients)


def test_a_schedule_that_exists_is_armed(clients: AwsClients) -> None:
    with Stubber(clients.scheduler()) as stub:
        stub.add_client_error("create_schedule", "ConflictException", http_status_code=409)
        arm(clients)
        stub.assert_no_pending_responses()


def test_who_only_disarms_cannot_arm(clients: AwsClients) -> None:
    schedules = SchedulerSchedules(clients.scheduler(), group="g", clock=FakeClock())
    with pytest.raises(RuntimeError, match="target"):
        schedules.arm(ARMING)


def test_a_schedule_that_is_being_changed_is_disarmed_at_the_second_try(
    clients: AwsClients,
) -> None:
    with Stubber(clients.scheduler()) as stub:
        stub.add_client_error("delete_schedule", "ConflictException", http_status_code=409)
        stub.add_response("delete_schedule", {}, {"Name": "post_1-1", "GroupName": "g"})
        disarm(clients)
        stub.assert_no_pending_responses()


def test_a_schedule_that_stays_in_change_may_still_be_there(clients: AwsClients) -> None:
    with Stubber(clients.scheduler()) as stub:
        for _ in range(2):
            stub.add_client_error("delete_schedule", "ConflictException", http_status_code=409)
        with pytest.raises(UnavailableError):
            disarm(clients)


def batch_answer(*failed: str, sent: int = 3) -> dict[str, Any]:
    return {
        "Successful": [
            {"Id": str(number), "MessageId": "m", "MD5OfMessageBody": "x"}
            for number in range(sent)
            if str(number) not in failed
        ],
        "Failed": [{"Id": each, "SenderFault": False, "Code": "InternalError"} for each in failed],
    }


def test_messages_that_failed_are_sent_once_more(clients: AwsClients) -> None:
    # Given SQS does not take the second and third
    again = [
        {"Id": each, "MessageBody": ANY, "MessageGroupId": "ws_1", "DelaySeconds": int(each)}
        for each in ("1", "2")
    ]
    with Stubber(clients.sqs()) as stub:
        stub.add_response("send_message_batch", batch_answer("1", "2"))
        stub.add_response(
            "send_message_batch", batch_answer(), {"QueueUrl": QUEUE, "Entries": again}
        )
        # When
        publish(clients)
        # Then
        stub.assert_no_pending_responses()


@pytest.mark.parametrize("call", [publish, deliver_all])
def test_messages_that_fail_twice_are_an_outage(
    clients: AwsClients, call: Callable[[AwsClients], None]
) -> None:
    with Stubber(clients.sqs()) as stub:
        stub.add_response("send_message_batch", batch_answer("1"))
        stub.add_response("send_message_batch", batch_answer("1"))
        with pytest.raises(UnavailableError, match="InternalError"):
            call(clients)


def test_what_is_announced_again_is_a_group_which_whatever_is_new_overtakes(
    clients: AwsClients,
) -> None:
    with Stubber(clients.sns()) as stub:
        entries = [{"Id": each, "Message": ANY, "MessageGroupId": REPEATS} for each in ("0", "1")]
        stub.add_response(
            "publish_batch",
            {"Successful": [], "Failed": []},
            {"TopicArn": ANY, "PublishBatchRequestEntries": entries},
        )
        announce_all(clients)
        stub.assert_no_pending_responses()


def test_one_announcement_of_many_that_fails_is_an_outage(clients: AwsClients) -> None:
    with Stubber(clients.sns()) as stub:
        failed = [{"Id": "1", "Code": "InternalError", "SenderFault": False}]
        stub.add_response("publish_batch", {"Successful": [{"Id": "0"}], "Failed": failed})
        with pytest.raises(UnavailableError, match="InternalError"):
            announce_all(clients)


@pytest.mark.parametrize(("asked", "sent"), [(-5, 0), (0, 0), (900, 900), (901, 900)])
def test_delays_stay_within_what_sqs_takes(clients: AwsClients, asked: int, sent: int) -> None:
    with Stubber(clients.sqs()) as stub:
        stub.add_response(
            "send_message_batch",
            batch_answer(sent=1),
            {
                "QueueUrl": QUEUE,
                "Entries": [
                    {
                        "Id": "0",
                        "MessageBody": ANY,
                        "MessageGroupId": "ws_1",
                        "DelaySeconds": sent,
                    }
                ],
            },
        )
        stub.add_response(
            "send_message",
            {"MessageId": "m"},
            {
                "QueueUrl": QUEUE,
                "MessageBody": ANY,
                "MessageGroupId": "wh_1",
                "DelaySeconds": sent,
            },
        )
        SqsPublishQueue(clients.sqs(), queue_url=QUEUE).send(
            [replace(each, delay_seconds=asked) for each in messages(1)]
        )
        SqsDeliveryQueue(clients.sqs(), queue_url=QUEUE).send("wh_1", "d", delay_seconds=asked)


def test_the_late_lane_is_a_queue_of_its_own(clients: AwsClients) -> None:
    queue = SqsDeliveryQueue(clients.sqs(), queue_url=QUEUE, late_queue_url=LATE_QUEUE)
    with Stubber(clients.sqs()) as stub:
        for url, lane in ((LATE_QUEUE, Lane.LATE), (QUEUE, Lane.PROMPT)):
            sent = {
                "QueueUrl": url,
                "MessageBody": ANY,
                "MessageGroupId": "wh_1",
                "DelaySeconds": 0,
            }
            stub.add_response("send_message", {"MessageId": "m"}, sent)
            queue.send("wh_1", "dlv_1", lane=lane)
            entries = [{"Id": "0", "MessageBody": ANY, "MessageGroupId": "wh_1"}]
            sent_all = {"QueueUrl": url, "Entries": entries}
            stub.add_response("send_message_batch", batch_answer(sent=1), sent_all)
            queue.send_all([("wh_1", "dlv_1")], lane=lane)
        stub.assert_no_pending_responses()


def test_who_knows_no_late_queue_cannot_send_by_that_lane(clients: AwsClients) -> None:
    queue = SqsDeliveryQueue(clients.sqs(), queue_url=QUEUE)
    with pytest.raises(RuntimeError, match="late lane"):
        queue.send("wh_1", "dlv_1", lane=Lane.LATE)
    with pytest.raises(RuntimeError, match="late lane"):
        queue.send_all([("wh_1", "dlv_1")], lane=Lane.LATE)


# Secrets that were opened


@contextmanager
def opening(clients: AwsClients, *opened: str) -> Iterator[None]:
    """Have KMS open so many secrets, one with each call, and no other."""
    with Stubber(clients.kms()) as stub:
        for text in opened:
            stub.add_response("decrypt", {"Plaintext": text.encode()})
        yield
        stub.assert_no_pending_responses()


def test_a_secret_stays_open_for_five_minutes(clients: AwsClients) -> None:
    # Given
    clock = FakeClock()
    box = a_box(clients, clock)
    with opening(clients, "first", "second"):
        assert box.open(b"sealed", {"a": "b", "c": "d"}) == "first"
        # Then it does for so long, and no longer
        clock.advance(KEPT_OPEN - timedelta(milliseconds=1))
        assert box.open(b"sealed", {"c": "d", "a": "b"}) == "first"
        clock.advance(timedelta(milliseconds=1))
        assert box.open(b"sealed", {"a": "b", "c": "d"}) == "second"


def test_a_clock_that_is_put_back_keeps_nothing_open_longer(clients: AwsClients) -> None:
    clock = FakeClock()
    box = a_box(clients, clock)
    with opening(clients, "first", "second"):
        assert box.open(b"sealed", {}) == "first"
        clock.advance(timedelta(milliseconds=-1))
        assert box.open(b"sealed", {}) == "second"


def test_another_ciphertext_or_context_is_another_secret(clients: AwsClients) -> None:
    box = a_box(clients)
    with opening(clients, "1", "2", "3"):
        for _ in range(2):
            assert box.open(b"sealed", {"a": "b"}) == "1"
            assert box.open(b"sealed", {"a": "c"}) == "2"
            assert box.open(b"other", {"a": "b"}) == "3"


def test_so_many_secrets_are_kept_open_and_the_oldest_goes_first(clients: AwsClients) -> None:
    # Given one more than are kept
    box = a_box(clients)
    sealed = [str(number).encode() for number in range(MOST_OPEN + 1)]
    with opening(clients, *(each.decode() for each in sealed)):
        for each in sealed:
            box.open(each, {})
    # Then all are open but the first
    with opening(clients, "again"):
        assert [box.open(each, {}) for each in sealed[1:]] == [each.decode() for each in sealed[1:]]
        assert box.open(sealed[0], {}) == "again"


def test_what_failed_to_open_is_tried_again(clients: AwsClients) -> None:
    box = a_box(clients)
    with Stubber(clients.kms()) as stub:
        stub.add_client_error("decrypt", "InvalidCiphertextException")
        stub.add_response("decrypt", {"Plaintext": b"opened"})
        with pytest.raises(SecretUnreadableError):
            box.open(b"sealed", {})
        assert box.open(b"sealed", {}) == "opened"


def test_a_box_does_not_show_what_it_has_opened(
    clients: AwsClients, caplog: pytest.LogCaptureFixture
) -> None:
    box = a_box(clients)
    with opening(clients, "plaintext"), caplog.at_level("INFO"):
        box.open(b"sealed", {})
    assert "plaintext" not in f"{box!r} {box} {caplog.text}"


@pytest.mark.parametrize("code", ["IncorrectKeyException", "InvalidCiphertextException"])
def test_what_does_not_open_is_unreadable(clients: AwsClients, code: str) -> None:
    with Stubber(clients.kms()) as stub:
        stub.add_client_error("decrypt", code)
        with pytest.raises(SecretUnreadableError):
            open_(clients)


@pytest.mark.parametrize("code", ["DisabledException", "KMSInvalidStateException"])
def test_a_key_that_is_switched_off_is_an_outage(clients: AwsClients, code: str) -> None:
    with Stubber(clients.kms()) as stub:
        stub.add_client_error("decrypt", code)
        with pytest.raises(UnavailableError):
            open_(clients)
