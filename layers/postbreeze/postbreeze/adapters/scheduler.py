"""One-shot schedules on EventBridge Scheduler."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from postbreeze.adapters.aws import code_of, outages
from postbreeze.domain.changes import ArmSchedule
from postbreeze.domain.errors import UnavailableError
from postbreeze.operations.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient

_CONFLICT: Final = "ConflictException"
_GONE: Final = "ResourceNotFoundException"
_DISARM_TRIES: Final = 2

_MARGIN: Final = timedelta(seconds=2)
"""The least time ahead: a moment that has passed when it arrives may be refused."""

RETRY_SECONDS: Final = 3600
"""How long a fire is tried; later than that a post is not published anyway."""
RETRIES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FireTarget:
    """Where a fire goes: the function, the role to call it with, the queue for what cannot."""

    function_arn: str
    role_arn: str
    dead_letter_arn: str


class SchedulerSchedules:
    """The schedules of one group, each named by its workflow id and removed after its fire.

    A user of ``disarm`` alone, such as a cancel, needs no ``target`` and has no right to ``arm``.
    """

    def __init__(
        self,
        client: EventBridgeSchedulerClient,
        *,
        group: str,
        clock: Clock,
        target: FireTarget | None = None,
    ) -> None:
        """Call nothing yet."""
        self._client = client
        self._group = group
        self._clock = clock
        self._target = target

    def arm(self, arming: ArmSchedule) -> None:
        """Make the schedule; one of that name that exists already is the same one.

        It fires at the first whole second that is not before the moment asked for.

        Raises:
            UnavailableError: It may or may not have been made.
            RuntimeError: This user was given no target.
        """
        target = self._target
        if target is None:
            raise RuntimeError("schedules are armed without a target to fire at")
        at = max(arming.at, self._clock.now() + _MARGIN)
        with outages():
            try:
                self._client.create_schedule(
                    Name=arming.workflow_id,
                    GroupName=self._group,
                    ScheduleExpression=f"at({_whole_second(at):%Y-%m-%dT%H:%M:%S})",
                    ScheduleExpressionTimezone="UTC",
                    FlexibleTimeWindow={"Mode": "OFF"},
                    ActionAfterCompletion="DELETE",
                    Target={
                        "Arn": target.function_arn,
                        "RoleArn": target.role_arn,
                        "Input": json.dumps(
                            {"postId": arming.post_id, "workflowId": arming.workflow_id}
                        ),
                        "RetryPolicy": {
                            "MaximumEventAgeInSeconds": RETRY_SECONDS,
                            "MaximumRetryAttempts": RETRIES,
                        },
                        "DeadLetterConfig": {"Arn": target.dead_letter_arn},
                    },
                )
            except ClientError as error:
                # A name is used for one moment of one post only and never again.
                if code_of(error) != _CONFLICT:
                    # Also where Scheduler refuses, because of a role or a moment that has passed:
                    # the post is accepted, so its arming stays pending and is tried again.
                    raise UnavailableError(f"CreateSchedule: {code_of(error)}") from error

    def disarm(self, workflow_id: str) -> None:
        """Remove the schedule; one that is gone is fine.

        Raises:
            UnavailableError: It may still be there.
        """
        for _ in range(_DISARM_TRIES):
            if self._is_gone(workflow_id):
                return
        raise UnavailableError(f"DeleteSchedule: {_CONFLICT}")

    def _is_gone(self, workflow_id: str) -> bool:
        with outages():
            try:
                self._client.delete_schedule(Name=workflow_id, GroupName=self._group)
            except ClientError as error:
                if code_of(error) not in {_GONE, _CONFLICT}:
                    raise
                # Someone else is at the schedule just now.
                return code_of(error) == _GONE
        return True


def _whole_second(at: datetime) -> datetime:
    """Round up: a fire before its moment would find a post that is not due."""
    at = at.astimezone(UTC)
    cut = at.replace(microsecond=0)
    return cut if cut == at else cut + timedelta(seconds=1)
