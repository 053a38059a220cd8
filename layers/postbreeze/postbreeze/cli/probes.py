"""Two questions that only an operator asks.

Of a platform: whose credentials are these? Of the scheduler: is this timer set?
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import urllib3
from botocore.exceptions import ClientError

from postbreeze.adapters.aws import code_of, outages
from postbreeze.adapters.platforms.xrpc import (
    CONNECT_SECONDS,
    READ_SECONDS,
    Answer,
    NoAnswerError,
    NotSentError,
    call,
)
from postbreeze.domain.errors import (
    PlatformError,
    PlatformRejectedError,
    PlatformRetriableError,
)
from postbreeze.operations.administer.accounts import VerifiedAccount

if TYPE_CHECKING:
    from mypy_boto3_scheduler import EventBridgeSchedulerClient


class BlueskySignIn:
    """Signs in to one Bluesky server to see whether it can be done; the session is not kept."""

    def __init__(self, base_url: str) -> None:
        """Call nothing yet."""
        self._base_url = base_url.rstrip("/")
        self._http = urllib3.PoolManager()

    def __call__(self, identifier: str, password: str) -> VerifiedAccount:
        """Sign in once.

        Raises:
            PlatformRejectedError: The server refused.
            PlatformRetriableError: It could not be asked, or its answer makes no sense.
        """
        try:
            answer = call(
                self._http,
                "POST",
                f"{self._base_url}/xrpc/com.atproto.server.createSession",
                headers={"Content-Type": "application/json"},
                body=json.dumps({"identifier": identifier, "password": password}).encode(),
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            )
        except (NotSentError, NoAnswerError) as error:
            raise PlatformRetriableError(
                "PLATFORM_UNREACHABLE", f"{self._base_url} does not answer."
            ) from error
        if not answer.ok:
            raise self._refusal(answer)
        document = answer.document() or {}
        did, handle = document.get("did"), document.get("handle")
        if not (isinstance(did, str) and did.startswith("did:") and isinstance(handle, str)):
            raise PlatformRetriableError(
                "PLATFORM_UNUSABLE", f"{self._base_url} does not answer like a Bluesky server."
            )
        return VerifiedAccount(external_account_id=did, handle=handle)

    def _refusal(self, answer: Answer) -> PlatformError:
        told = f"{answer.status} {answer.error}".strip()
        if 400 <= answer.status < 500 and answer.status != 429:
            return PlatformRejectedError(
                "CREDENTIALS_REJECTED", f"{self._base_url} refused the credentials ({told})."
            )
        return PlatformRetriableError(
            "PLATFORM_UNAVAILABLE", f"{self._base_url} cannot sign anybody in now ({told})."
        )


class SchedulerLookup:
    """Looks for schedules in one group of EventBridge Scheduler."""

    def __init__(self, client: EventBridgeSchedulerClient, *, group: str) -> None:
        """Call nothing yet."""
        self._client = client
        self._group = group

    def exists(self, workflow_id: str) -> bool:
        """Tell whether the schedule is there at this moment.

        Raises:
            UnavailableError: The scheduler did not answer.
        """
        with outages():
            try:
                self._client.get_schedule(Name=workflow_id, GroupName=self._group)
            except ClientError as error:
                if code_of(error) == "ResourceNotFoundException":
                    return False
                raise
        return True
