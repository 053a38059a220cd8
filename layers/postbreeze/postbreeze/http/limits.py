"""What is left to a key, as every answer tells it."""

from __future__ import annotations

from collections.abc import Mapping

from postbreeze.domain.rate_limits import Standing


class Meter:
    """Keeps how the key of the present request stands.

    An execution environment has one request at a time, and whoever admits its key has ended, on
    whichever thread, before the request is answered.
    """

    def __init__(self) -> None:
        """Begin with no key known."""
        self._standing: Standing | None = None

    def __call__(self, standing: Standing) -> None:
        """Keep how the present request's key stands."""
        self._standing = standing

    def reset(self) -> None:
        """Begin a request, whose key is not known yet."""
        self._standing = None

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that tell the client, none where no usable key is known."""
        if self._standing is None:
            return {}
        return {
            "X-RateLimit-Limit": str(self._standing.limit),
            "X-RateLimit-Remaining": str(self._standing.remaining),
            "X-RateLimit-Reset": str(self._standing.resets_at),
        }
