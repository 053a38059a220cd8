"""What every maker of one-shot schedules promises."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from postbreeze.adapters.scheduler import FireTarget, SchedulerSchedules
from postbreeze.domain.changes import ArmSchedule
from postbreeze.operations.ports import Schedules
from tests.support.aws import Aws
from tests.support.builders import an_id
from tests.support.fakes import FakeClock, FakeSchedules

# The engine fires by the machine's own clock: what is armed here must not come due meanwhile.
NOW = datetime(2099, 6, 1, 9, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)

TARGET = FireTarget(
    function_arn="arn:aws:lambda:us-east-1:000000000000:function:start-publish",
    role_arn="arn:aws:iam::000000000000:role/schedule",
    dead_letter_arn="arn:aws:sqs:us-east-1:000000000000:dead",
)


@dataclass
class Group:
    schedules: Schedules
    armed: Callable[[], list[str]]
    """Lists the names of the schedules that are there."""


@pytest.fixture
def group(aws: Aws | None) -> Group:
    if aws is None:
        fake = FakeSchedules()
        return Group(fake, lambda: sorted(fake.armed))
    client = aws.clients.scheduler()
    name = aws.schedule_group()
    return Group(
        SchedulerSchedules(client, group=name, clock=FakeClock(NOW), target=TARGET),
        lambda: sorted(
            schedule["Name"] for schedule in client.list_schedules(GroupName=name)["Schedules"]
        ),
    )


def an_arming(at: datetime = LATER) -> ArmSchedule:
    post_id = an_id("post")
    return ArmSchedule(post_id=post_id, workflow_id=f"{post_id}-1", at=at)


def test_a_schedule_is_armed_and_disarmed(group: Group) -> None:
    # Given
    one, other = an_arming(), an_arming()
    group.schedules.arm(one)
    group.schedules.arm(other)
    assert group.armed() == sorted([one.workflow_id, other.workflow_id])
    # When
    group.schedules.disarm(one.workflow_id)
    # Then
    assert group.armed() == [other.workflow_id]


def test_arming_again_is_harmless(group: Group) -> None:
    # Given
    arming = an_arming()
    # When
    group.schedules.arm(arming)
    group.schedules.arm(arming)
    # Then
    assert group.armed() == [arming.workflow_id]


def test_disarming_what_is_gone_or_never_was_is_harmless(group: Group) -> None:
    # Given
    arming = an_arming()
    group.schedules.arm(arming)
    # When
    group.schedules.disarm(arming.workflow_id)
    group.schedules.disarm(arming.workflow_id)
    group.schedules.disarm("post_never-1")
    # Then
    assert group.armed() == []


@pytest.mark.parametrize("place", ["moto", "engine"])
@pytest.mark.parametrize(
    ("at", "fires_at"),
    [
        (LATER, "2099-06-01T10:00:00"),
        (LATER + timedelta(milliseconds=1), "2099-06-01T10:00:01"),
        (LATER + timedelta(seconds=59, milliseconds=999), "2099-06-01T10:01:00"),
        (datetime.fromisoformat("2099-06-01T23:30:00.000-02:00"), "2099-06-02T01:30:00"),
        # What has passed by the time it arrives would be refused.
        (datetime(2099, 6, 1, 8, tzinfo=UTC), "2099-06-01T09:00:02"),
    ],
)
def test_a_schedule_says_when_and_where(
    request: pytest.FixtureRequest, place: str, at: datetime, fires_at: str
) -> None:
    # Given
    aws: Aws = request.getfixturevalue(place)
    name = aws.schedule_group()
    client = aws.clients.scheduler()
    schedules = SchedulerSchedules(client, group=name, clock=FakeClock(NOW), target=TARGET)
    arming = an_arming(at)
    # When
    schedules.arm(arming)
    # Then
    made = client.get_schedule(GroupName=name, Name=arming.workflow_id)
    assert made["ScheduleExpression"] == f"at({fires_at})"
    assert made["ScheduleExpressionTimezone"] == "UTC"
    assert made["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert made["ActionAfterCompletion"] == "DELETE"
    assert made["State"] == "ENABLED"
    target = made["Target"]
    assert json.loads(target["Input"]) == {
        "postId": arming.post_id,
        "workflowId": arming.workflow_id,
    }
    assert target["Arn"] == TARGET.function_arn
    assert target["RoleArn"] == TARGET.role_arn
    assert target["DeadLetterConfig"] == {"Arn": TARGET.dead_letter_arn}
    assert target["RetryPolicy"] == {
        "MaximumEventAgeInSeconds": 3600,
        "MaximumRetryAttempts": 10,
    }
