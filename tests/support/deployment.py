"""What a deployment gives its functions, and its operator."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from postbreeze.cli.deployment import Deployment, Operator
from tests.support.aws import Aws

_numbers = count(1)


def variables(aws: Aws) -> dict[str, str]:
    """Make what the template makes, and return every variable of every function."""
    tables = aws.tables()
    fan_out_queue = aws.queue()
    return {
        "AWS_DEFAULT_REGION": "us-east-1",
        "STAGE": "test",
        # A logger keeps the standard output of the test that made it, so each has its own.
        "POWERTOOLS_SERVICE_NAME": f"test-{next(_numbers)}",
        "POWERTOOLS_METRICS_NAMESPACE": "Postbreeze",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "POSTS_TABLE": tables["posts"],
        "WORKSPACES_TABLE": tables["workspaces"],
        "WEBHOOKS_TABLE": tables["webhooks"],
        "MEDIA_TABLE": tables["media"],
        "MEDIA_BUCKET": aws.bucket(),
        "EVENTS_TOPIC_ARN": aws.topic_to(fan_out_queue),
        "FAN_OUT_QUEUE_URL": fan_out_queue,
        "PUBLISH_QUEUE_URL": aws.queue(),
        "DELIVERY_QUEUE_URL": aws.queue(),
        "LATE_DELIVERY_QUEUE_URL": aws.queue(),
        "SCHEDULE_GROUP": aws.schedule_group(),
        "SCHEDULE_ROLE_ARN": "arn:aws:iam::123456789012:role/schedule",
        "START_PUBLISH_ARN": "arn:aws:lambda:us-east-1:123456789012:function:start-publish",
        "SCHEDULE_DLQ_ARN": "arn:aws:sqs:us-east-1:123456789012:dlq",
        "ACCOUNT_SECRETS_KEY_ARN": aws.key(),
        "WEBHOOK_SECRETS_KEY_ARN": aws.key(),
        "BLUESKY_URL": "https://bsky.example",
    }


def operator_of(stack: Mapping[str, Any], *, platform_url: str | None = None) -> Operator:
    """Return the operator of a stack on the local engine, told of by its stack file.

    Args:
        stack: What the file says.
        platform_url: Where accounts are signed in; the stack's own platform unless given.
    """
    return Operator(
        Deployment.local(
            stack["outputs"],
            engine_url=stack["engineUrl"],
            region=stack["region"],
            platform_url=platform_url or stack["platform"]["url"],
        )
    )
