"""What the fault proxy answers is what the SDK takes for AWS's own answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.support.fault_proxy import FaultProxy, Faults, Harm, Kind, Spot
from tests.support.scripted_server import Reply, ScriptedServer

POST = "post_01JZZZZZZZZZZZZZZZZZZZZZZZ"
ROW = {"pk": {"S": f"POST#{POST}"}, "sk": {"S": "POST"}}
CALLS: dict[str, tuple[str, str, Callable[[Any], object]]] = {
    "dynamodb": (
        "GetItem post",
        "ProvisionedThroughputExceededException",
        lambda client: client.get_item(TableName="t", Key=ROW),
    ),
    "sqs": (
        "SendMessage",
        "RequestThrottled",
        lambda client: client.send_message(QueueUrl="http://q", MessageBody=POST),
    ),
    "sns": (
        "Publish",
        "Throttled",
        lambda client: client.publish(
            TopicArn="arn:aws:sns:us-east-1:000000000000:t", Message=POST
        ),
    ),
    "scheduler": (
        "DeleteSchedule",
        "ThrottlingException",
        lambda client: client.delete_schedule(Name=f"{POST}-1"),
    ),
    "kms": (
        "Decrypt",
        "ThrottlingException",
        lambda client: client.decrypt(CiphertextBlob=b"x", EncryptionContext={"post": POST}),
    ),
}


def a_client(service: str, proxy: FaultProxy, attempts: int = 1) -> Any:
    return boto3.client(
        service,
        endpoint_url=proxy.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"mode": "standard", "total_max_attempts": attempts}),
    )


@pytest.mark.parametrize("service", CALLS)
def test_a_throttled_call_is_told_so_in_the_words_of_its_service(service: str) -> None:
    # Given a call that is to be throttled
    name, code, call = CALLS[service]
    faults = Faults()
    faults.know("somebody", [POST])
    harm = Harm(spot=Spot(function="any", name=name), kind=Kind.THROTTLED)
    faults.arm("somebody", harm)
    with ScriptedServer() as upstream, FaultProxy("any", upstream.url, faults) as proxy:
        # When it is made
        with pytest.raises(ClientError) as raised:
            call(a_client(service, proxy))
        # Then the SDK understands, and nothing has arrived
        assert raised.value.response["Error"]["Code"] == code
        assert upstream.taken == []
    assert harm.hits == 1


def test_a_conflict_has_a_reason_for_each_item() -> None:
    # Given a transaction of two rows that is to meet another
    faults = Faults()
    faults.know("somebody", [POST])
    spot = Spot(function="any", name="TransactWriteItems event+post")
    faults.arm("somebody", Harm(spot=spot, kind=Kind.CONFLICT))
    rows = [ROW, {**ROW, "sk": {"S": "EVENT#1"}}]
    with ScriptedServer() as upstream, FaultProxy("any", upstream.url, faults) as proxy:
        client = a_client("dynamodb", proxy)
        puts = [{"Put": {"TableName": "t", "Item": row}} for row in rows]
        # When it is written
        with pytest.raises(ClientError) as raised:
            client.transact_write_items(TransactItems=puts)
    # Then the SDK tells what stood in the way of each
    codes = [reason["Code"] for reason in raised.value.response["CancellationReasons"]]
    assert codes == ["TransactionConflict", "None"]


@pytest.mark.parametrize(
    ("kind", "arrivals"), [(Kind.BEFORE, 0), (Kind.LOST, 2), (Kind.LOST_ONCE, 2), (Kind.TWICE, 2)]
)
def test_a_call_arrives_as_often_as_its_fault_says(kind: Kind, arrivals: int) -> None:
    # Given a call that is to be harmed, and an SDK that makes two attempts
    faults = Faults()
    faults.know("somebody", [POST])
    faults.arm("somebody", Harm(spot=Spot(function="any", name="GetItem post"), kind=kind))
    with ScriptedServer() as upstream, FaultProxy("any", upstream.url, faults) as proxy:
        upstream.on("", Reply())
        client = a_client("dynamodb", proxy, attempts=2)
        # When it is made
        if kind in {Kind.BEFORE, Kind.LOST}:
            with pytest.raises(ConnectionClosedError):
                client.get_item(TableName="t", Key=ROW)
        else:
            client.get_item(TableName="t", Key=ROW)
        # Then it has arrived so often
        assert len(upstream.taken) == arrivals
        # And the next call, which is not to be harmed, arrives as it is
        client.get_item(TableName="t", Key=ROW)
        assert len(upstream.taken) == arrivals + 1
