"""AWS clients with bounded waits, and what their failures mean.

Every client waits at most 1 s to connect and 3 s for an answer, and makes three attempts in all:
botocore's own default, a minute for each, is longer than the callers themselves may run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004  # botocore's, of which its others are made
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
)
from botocore.parsers import ResponseParserError
from botocore.session import Session

from postbreeze.domain.errors import UnavailableError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

CONNECT_TIMEOUT: Final = 1
READ_TIMEOUT: Final = 3
ATTEMPTS: Final = 3

_LOG: Final = logging.getLogger(__name__)

_CONFIG: Final = Config(
    connect_timeout=CONNECT_TIMEOUT,
    read_timeout=READ_TIMEOUT,
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    tcp_keepalive=True,
    # What is sent is built in this package and tested; checking it costs more than sending it.
    parameter_validation=False,
)

_S3_CONFIG: Final = _CONFIG.merge(
    Config(
        # Addresses that uploads go to name the bucket's own region: elsewhere they would be
        # redirected, which a signature does not survive.
        signature_version="s3v4",
        s3={"addressing_style": "virtual"},
        # An address is signed before anybody knows the bytes, and so without their checksum.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # Whole files go this way, and a function that fetches one first has 28 seconds for both.
        connect_timeout=3,
        read_timeout=6,
        retries={"mode": "standard", "total_max_attempts": 2},
    )
)

_BUSY: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "DependencyTimeoutException",
        "KMSThrottlingException",
        "KeyUnavailableException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""Codes of a service that may well do it a moment later."""

_REFUSED: Final = frozenset(
    {
        "403",  # of a HEAD, whose answer has no body to say more
        "AuthorizationError",
        "AuthorizationErrorException",
        "DisabledException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "KMSDisabledException",
        "KMSInvalidStateException",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "ServiceQuotaExceededException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Codes of a deployment that is not allowed to do it: an operator has to act."""

_FIRST_SERVER_ERROR: Final = 500

FAILURES: Final = (BotoCoreError, ClientError, ResponseParserError)
"""Everything that botocore raises for a call."""


class AwsClients:
    """Makes the clients of one process, each once.

    Region, credentials and endpoint come from the environment, or from a profile of the user's own
    AWS configuration, unless they are given. Making a client is not thread-safe: it belongs in the
    composition root. Using one is.
    """

    def __init__(
        self,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        access_key: tuple[str, str] | None = None,
        profile: str | None = None,
    ) -> None:
        """Read nothing and connect to nothing yet."""
        self._session = Session(profile=profile)
        self._region = region
        self._endpoint_url = endpoint_url
        if access_key is not None:
            self._session.set_credentials(*access_key)
        self._made: dict[str, Any] = {}

    def cloudformation(self) -> CloudFormationClient:
        """Return the client of CloudFormation, which only the operator's command line uses."""
        client: CloudFormationClient = self._client("cloudformation")
        return client

    def dynamodb(self) -> DynamoDBClient:
        """Return the client of DynamoDB."""
        client: DynamoDBClient = self._client("dynamodb")
        return client

    def scheduler(self) -> EventBridgeSchedulerClient:
        """Return the client of EventBridge Scheduler."""
        client: EventBridgeSchedulerClient = self._client("scheduler")
        return client

    def sns(self) -> SNSClient:
        """Return the client of SNS."""
        client: SNSClient = self._client("sns")
        return client

    def sqs(self) -> SQSClient:
        """Return the client of SQS."""
        client: SQSClient = self._client("sqs")
        return client

    def s3(self) -> S3Client:
        """Return the client of S3."""
        client: S3Client = self._client("s3", _S3_CONFIG)
        return client

    def kms(self) -> KMSClient:
        """Return the client of KMS."""
        client: KMSClient = self._client("kms")
        return client

    def _client(self, service: str, config: Config = _CONFIG) -> Any:
        if service not in self._made:
            self._made[service] = self._session.create_client(
                service,
                region_name=self._region,
                endpoint_url=self._endpoint_url,
                config=config,
            )
        return self._made[service]


def code_of(error: ClientError) -> str:
    """Return the service's own name for a failure."""
    return str(error.response.get("Error", {}).get("Code", ""))


def outage(error: Exception) -> UnavailableError | None:
    """Turn a failure of AWS, or of the way to it, into ours; None if the request itself is wrong.

    A refusal of rights counts as an outage for the caller, who can do nothing about it, and is
    logged as an error with AWS's code. Messages of AWS are kept out: they name accounts and rows.
    """
    if isinstance(error, ClientError):
        code = code_of(error)
        told = UnavailableError(f"{error.operation_name}: {code}")
        if code in _REFUSED or "AccessDenied" in code:
            _LOG.error("AWS refused %s with %s", error.operation_name, code)
            return told
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return told if code in _BUSY or status >= _FIRST_SERVER_ERROR else None
    if isinstance(error, NoCredentialsError | CredentialRetrievalError):
        _LOG.error("AWS credentials could not be had: %s", type(error).__name__)
        return UnavailableError(type(error).__name__)
    if isinstance(
        error, ConnectionError | HTTPClientError | IncompleteReadError | ResponseParserError
    ):
        return UnavailableError(type(error).__name__)
    return None


@contextmanager
def outages() -> Iterator[None]:
    """Raise outages of the calls made inside as ``UnavailableError``; let all else pass."""
    try:
        yield
    except FAILURES as error:
        unavailable = outage(error)
        if unavailable is None:
            raise
        raise unavailable from error
