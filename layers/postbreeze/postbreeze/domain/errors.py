"""Every failure the core can name.

PostbreezeError
├── RefusalError                  the request cannot be granted as things stand; nothing was written
│   ├── ValidationError             a value is malformed or out of range (carries ``details``)
│   ├── PlatformRuleError           a platform would not take the post (carries ``details``)
│   ├── NotFoundError               unknown, deleted, or not visible to the caller
│   ├── UnauthorizedError           no key that opens anything
│   ├── RateLimitedError            too soon: to be asked again later (carries ``retry_after_ms``)
│   ├── ForbiddenError              known caller, insufficient role
│   ├── WorkspaceOnHoldError        nothing can be scheduled into the workspace
│   ├── PlanLimitError              the workspace has had its posts for this month
│   ├── PostNotCancelableError      the post's state leaves nothing to stop
│   ├── PostNotSchedulableError     the post's state lets nothing be scheduled or approved
│   ├── PostNotEditableError        the post is being, or has been, published
│   ├── NothingToRetryError         no target of the post has failed
│   ├── FirstCommentNotRetriableError  no first comment is owed
│   ├── MediaInUseError             a post that is still to go out needs the asset
│   ├── AmbiguousTargetsError       both or neither of ``platforms`` and ``targets``
│   ├── PreconditionFailedError     ``If-Match`` names another version
│   ├── IdempotencyKeyInvalidError  malformed ``Idempotency-Key``
│   ├── IdempotencyKeyReusedError   same key, another request
│   └── IdempotencyInProgressError  same key, still running
├── LostRaceError                 a row was not the one that was read any more; decide again
├── ContendedError                the bounded number of lost races is used up
├── StillDisconnectingError       what the account had scheduled is still being cancelled
├── UnavailableError              a dependency failed or throttled; whether it acted is unknown
├── SecretUnreadableError         a stored secret cannot be decrypted: needs an operator
└── PlatformError                 a social platform refused or failed
    ├── PlatformRetriableError      nothing was sent: safe to try again later
    ├── PlatformRejectedError       the platform said no: trying again cannot help
    └── PlatformOutcomeUnknownError sent, and no usable answer came back: never tried again blindly
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class PostbreezeError(Exception):
    """Base of every error raised on purpose."""


class RefusalError(PostbreezeError):
    """The request cannot be granted; nothing was written."""


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing wrong with a request: where (``path``, dotted) and what (``message``)."""

    path: str
    message: str


class ValidationError(RefusalError):
    """One or more values are malformed or out of range."""

    def __init__(self, details: Sequence[Detail]) -> None:
        """Keep every detail; at least one is expected."""
        super().__init__("; ".join(f"{detail.path}: {detail.message}" for detail in details))
        self.details = tuple(details)

    @classmethod
    def of(cls, path: str, message: str) -> ValidationError:
        """Build the error for a single wrong value."""
        return cls((Detail(path, message),))


class PlatformRuleError(RefusalError):
    """What is to be published breaks one or more rules of its platforms."""

    def __init__(self, details: Sequence[Detail]) -> None:
        """Keep every detail; at least one is expected."""
        super().__init__("; ".join(f"{detail.path}: {detail.message}" for detail in details))
        self.details = tuple(details)


class NotFoundError(RefusalError):
    """Unknown, deleted, or out of the caller's reach; the three are never told apart."""


class UnauthorizedError(RefusalError):
    """Missing, malformed, unknown, revoked or expired key."""


class RateLimitedError(RefusalError):
    """Too many requests, or one too soon after another."""

    def __init__(self, retry_after_ms: int) -> None:
        """Keep after how many milliseconds it can be asked again."""
        super().__init__(f"Ask again in {retry_after_ms} ms.")
        self.retry_after_ms = retry_after_ms


class ForbiddenError(RefusalError):
    """The caller is known and may not do this."""


class WorkspaceOnHoldError(RefusalError):
    """Nothing can be scheduled into the workspace until its operator releases it."""


class PlanLimitError(RefusalError):
    """The workspace has had the posts that it may have in this calendar month."""

    def __init__(self, limit: int, current: int) -> None:
        """Keep how many it may have, and how many it has had."""
        super().__init__(f"The workspace has had {current} of {limit} posts this month.")
        self.limit = limit
        self.current = current


class PostNotCancelableError(RefusalError):
    """Nothing of the post can be stopped any more."""

    def __init__(self, status: str, targets: Sequence[Mapping[str, str]] = ()) -> None:
        """Keep the post's present status and, where it helps, each target's outcome."""
        super().__init__(f"A post that is {status} has nothing left to cancel.")
        self.status = status
        self.targets = tuple(targets)


class WrongStateError(RefusalError):
    """The state of things does not allow it; ``status`` is what it is."""

    def __init__(self, status: str) -> None:
        """Keep the present status."""
        super().__init__(f"It is {status}.")
        self.status = status


class PostNotSchedulableError(WrongStateError):
    """The post cannot be scheduled, or approved, as it stands."""


class PostNotEditableError(WrongStateError):
    """The post is being, or has been, published."""


class NothingToRetryError(WrongStateError):
    """No target of the post has failed, or it is in no state to publish any."""


class FirstCommentNotRetriableError(WrongStateError):
    """The target is not published, or its first comment was made or never asked for."""


class MediaInUseError(RefusalError):
    """An asset cannot be deleted while posts that are still to go out need it."""

    def __init__(self, posts: Sequence[str]) -> None:
        """Keep the ids of some of those posts, at least one."""
        super().__init__(f"needed by {', '.join(posts)}")
        self.posts = tuple(posts)


class AmbiguousTargetsError(RefusalError):
    """Exactly one of ``platforms`` and ``targets`` must be given."""


class PreconditionFailedError(RefusalError):
    """The caller's version is not the present one."""

    def __init__(self, current: int) -> None:
        """Keep the present version."""
        super().__init__(f"The post is at version {current}.")
        self.current = current


class IdempotencyKeyInvalidError(RefusalError):
    """Not 1 to 255 printable ASCII characters."""


class IdempotencyKeyReusedError(RefusalError):
    """The key was used for another request."""


class IdempotencyInProgressError(RefusalError):
    """The first request with this key has not ended."""


class LostRaceError(PostbreezeError):
    """A row was no longer the one the decision was made on; nothing was written."""


class ContendedError(PostbreezeError):
    """The post kept moving and the bounded retries are used up; nothing was written."""


class StillDisconnectingError(PostbreezeError):
    """The account cannot be connected again yet: nothing was written."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__(
            "What the account had scheduled is still being cancelled; try again in two minutes."
        )


class UnavailableError(PostbreezeError):
    """A dependency is down, throttling or did not answer; whether it acted is unknown."""


class SecretUnreadableError(PostbreezeError):
    """A stored secret cannot be decrypted with the key and context it was stored under."""


class PlatformError(PostbreezeError):
    """A social platform refused or failed."""

    def __init__(self, code: str, message: str, *, retry_after: float | None = None) -> None:
        """Keep a stable SCREAMING_SNAKE code, one sentence, and the platform's wish in seconds."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after


class PlatformRetriableError(PlatformError):
    """Nothing was sent: a later attempt cannot publish twice."""


class PlatformRejectedError(PlatformError):
    """The platform answered no, or the post cannot be made into what it takes."""


class PlatformOutcomeUnknownError(PlatformError):
    """The request left and no usable answer came back: it may or may not have been published."""
