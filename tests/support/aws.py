"""Somewhere for the adapters to call: moto in this process, or an engine of its own.

What is made there follows the template: the tables have its keys and indexes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from moto import mock_aws

from local.engine import CREDENTIALS, REGION, Engine
from local.tools import free_ports
from postbreeze.adapters.aws import AwsClients
from tests.support import template

_numbers = count(1)

_TABLES = {
    "posts": "PostsTable",
    "workspaces": "WorkspacesTable",
    "webhooks": "WebhooksTable",
    "media": "MediaTable",
}
_LAYOUT = ("KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "BillingMode")


@dataclass
class Aws:
    """Clients for one place, and what is made there on first use, each with a name of its own."""

    clients: AwsClients

    def tables(self) -> dict[str, str]:
        """Make the tables of the template and return their names."""
        number = next(_numbers)
        names = {}
        for table, resource in _TABLES.items():
            names[table] = f"{table}-{number}"
            layout = table_layout(resource)
            self._any("dynamodb").create_table(TableName=names[table], **layout)
        return names

    def bucket(self) -> str:
        """Make a bucket and return its name."""
        name = f"bucket-{next(_numbers)}"
        self._any("s3").create_bucket(Bucket=name)
        return name

    def queue(self) -> str:
        """Make a queue and return its URL."""
        answer = self._any("sqs").create_queue(QueueName=f"queue-{next(_numbers)}")
        url: str = answer["QueueUrl"]
        return url

    def topic_to(self, queue_url: str) -> str:
        """Make a topic whose messages arrive raw in a queue and return its ARN."""
        topic: str = self._any("sns").create_topic(Name=f"topic-{next(_numbers)}")["TopicArn"]
        attributes = self._any("sqs").get_queue_attributes(
            QueueUrl=queue_url, AttributeNames=["QueueArn"]
        )
        queue: str = attributes["Attributes"]["QueueArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._any("sqs").set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": policy})
        self._any("sns").subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=queue,
            Attributes={"RawMessageDelivery": "true"},
        )
        return topic

    def schedule_group(self) -> str:
        """Make a schedule group and return its name."""
        name = f"group-{next(_numbers)}"
        self._any("scheduler").create_schedule_group(Name=name)
        return name

    def key(self) -> str:
        """Make a key and return its ARN."""
        arn: str = self._any("kms").create_key()["KeyMetadata"]["Arn"]
        return arn

    def received(self, queue_url: str, wanted: int) -> list[dict[str, Any]]:
        """Wait until that many messages are there, or no more come, and return them."""
        messages: list[dict[str, Any]] = []
        while len(messages) < wanted:
            answer = self._any("sqs").receive_message(
                QueueUrl=queue_url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=2,
                MessageSystemAttributeNames=["All"],
            )
            if not answer.get("Messages"):
                break
            messages += answer["Messages"]
        return messages

    def _any(self, service: str) -> Any:
        return getattr(self.clients, service)()


def table_layout(resource: str) -> dict[str, Any]:
    """Return keys and indexes of one of the template's tables."""
    properties = template.resources("AWS::DynamoDB::Table")[resource]["Properties"]
    return {name: properties[name] for name in _LAYOUT if name in properties}


@contextmanager
def on_moto() -> Iterator[Aws]:
    """Keep everything in this process. Fit for what one caller does, not for races."""
    with mock_aws():
        yield Aws(_moto_clients())


@cache
def _moto_clients() -> AwsClients:
    # Made once: moto comes between a client and the network whenever it is switched on.
    return AwsClients(region=REGION, access_key=("test", "test"))


@contextmanager
def on_engine(folder: Path) -> Iterator[Aws]:
    """Start an engine that keeps what it writes in ``folder``, and stop it afterwards."""
    (port,) = free_ports(1)
    engine = Engine(port=port, folder=folder)
    engine.start()
    try:
        yield Aws(
            AwsClients(
                region=REGION,
                endpoint_url=engine.url,
                access_key=(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]),
            )
        )
    finally:
        engine.process.stop()
