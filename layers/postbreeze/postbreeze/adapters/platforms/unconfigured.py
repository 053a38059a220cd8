"""What stands in for a platform that this deployment cannot reach yet: an honest refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from postbreeze.domain.errors import PlatformRejectedError
from postbreeze.operations.platform_port import ExternalPost, Publication

PLATFORM_NOT_CONFIGURED = "PLATFORM_NOT_CONFIGURED"


class UnconfiguredPlatform:
    """A platform for which no client is built: it publishes nothing and says so."""

    def __init__(self, platform: str) -> None:
        """Keep the platform's wire name, for the message."""
        self._platform = platform

    def prepare(self, publication: Publication, credentials: Mapping[str, str]) -> NoReturn:
        """Refuse.

        Raises:
            PlatformRejectedError: Always, with code ``PLATFORM_NOT_CONFIGURED``.
        """
        raise self._refusal()

    def find(self, publication: Publication, credentials: Mapping[str, str]) -> NoReturn:
        """Refuse: nobody can tell.

        Raises:
            PlatformRejectedError: Always, with code ``PLATFORM_NOT_CONFIGURED``.
        """
        raise self._refusal()

    def comment(
        self, publication: Publication, post: ExternalPost, credentials: Mapping[str, str]
    ) -> NoReturn:
        """Refuse.

        Raises:
            PlatformRejectedError: Always, with code ``PLATFORM_NOT_CONFIGURED``.
        """
        raise self._refusal()

    def _refusal(self) -> PlatformRejectedError:
        return PlatformRejectedError(
            PLATFORM_NOT_CONFIGURED, f"Publishing to {self._platform} is not set up here."
        )
