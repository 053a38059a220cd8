"""What failures of AWS mean, and how long its clients wait."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from postbreeze.adapters.aws import AwsClients, outage, outages
from postbreeze.domain.errors import UnavailableError

SERVICES = ["cloudformation", "dynamodb", "scheduler", "sns", "sqs", "kms"]


def answer(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "arn:aws:secret:thing"},
            "ResponseMetadata": {"HTTPStatusCode": status},  # type: ignore[typeddict-item]  # the part that is read
        },
        "PutItem",
    )


@pytest.mark.parametrize(
    "error",
    [
        answer("ThrottlingException"),
        answer("ProvisionedThroughputExceededException"),
        answer("TransactionInProgressException"),
        answer("RequestLimitExceeded"),
        answer("InternalServerError", 500),
        answer("ServiceUnavailable", 503),
        answer("", 502),
        answer("KMSInternalException", 500),
        ConnectTimeoutError(endpoint_url="https://x"),
        ReadTimeoutError(endpoint_url="https://x"),
        EndpointConnectionError(endpoint_url="https://x"),
        ConnectionClosedError(endpoint_url="https://x"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        ResponseParserError("<html>"),
    ],
)
def test_what_may_pass_is_an_outage(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    # When
    with pytest.raises(UnavailableError) as caught, outages():
        raise error
    # Then its cause is kept, and AWS's own words are not
    assert caught.value.__cause__ is error
    assert "secret" not in str(caught.value)
    assert caplog.records == []


@pytest.mark.parametrize(
    "error",
    [
        answer("AccessDenied"),
        answer("AccessDeniedException"),
        answer("KMSAccessDeniedException"),
        answer("AuthorizationError", 403),
        answer("ExpiredTokenException"),
        answer("UnrecognizedClientException"),
        answer("ServiceQuotaExceededException", 402),
        NoCredentialsError(),
    ],
)
def test_what_an_operator_must_mend_is_an_outage_and_an_error_in_the_log(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    # When
    with pytest.raises(UnavailableError), outages():
        raise error
    # Then
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    told = error.response["Error"]["Code"] if isinstance(error, ClientError) else "NoCredentials"
    assert told in record.getMessage()
    assert "secret" not in record.getMessage()


@pytest.mark.parametrize(
    "error",
    [
        answer("ValidationException"),
        answer("ResourceNotFoundException"),
        answer("IdempotentParameterMismatchException"),
        ParamValidationError(report="no"),
    ],
)
def test_what_is_our_own_fault_stays_as_it_is(error: ClientError | BotoCoreError) -> None:
    assert outage(error) is None
    with pytest.raises(type(error)) as caught, outages():
        raise error
    assert caught.value is error


@pytest.mark.parametrize("service", SERVICES)
def test_every_client_waits_briefly_and_is_made_once(service: str) -> None:
    # Given
    clients = AwsClients(region="eu-central-1", access_key=("a", "b"))
    # When
    client: Any = getattr(clients, service)()
    # Then
    assert getattr(clients, service)() is client
    assert client.meta.region_name == "eu-central-1"
    config = client.meta.config
    assert config.connect_timeout == 1
    assert config.read_timeout == 3
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}
    assert config.tcp_keepalive is True


def test_the_environment_says_what_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-3")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4599")
    # When
    client = AwsClients().dynamodb()
    # Then
    assert client.meta.region_name == "eu-west-3"
    assert client.meta.endpoint_url == "http://127.0.0.1:4599"


def test_an_endpoint_that_is_down_is_tried_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given nobody at the address
    monkeypatch.setattr("time.sleep", lambda _: None)
    client = AwsClients(
        region="us-east-1", endpoint_url="http://127.0.0.1:1", access_key=("a", "b")
    ).sns()
    tried = []
    client.meta.events.register("before-send", lambda **_: tried.append(1))
    # When
    with pytest.raises(UnavailableError), outages():
        client.publish(TopicArn="arn:aws:sns:us-east-1:000000000000:t", Message="m")
    # Then
    assert len(tried) == 3
