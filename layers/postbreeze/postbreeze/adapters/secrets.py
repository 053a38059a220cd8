"""Sealing secrets with a KMS key."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from postbreeze.adapters.aws import code_of, outages
from postbreeze.domain.errors import SecretUnreadableError
from postbreeze.operations.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

MOST_BYTES: Final = 4096
KEPT_OPEN: Final = timedelta(minutes=5)
"""How long a secret that was opened is used again without asking KMS."""
MOST_OPEN: Final = 1000
"""How many secrets are kept open at a time."""
_UNREADABLE: Final = frozenset({"IncorrectKeyException", "InvalidCiphertextException"})


class KmsSecretBox:
    """One KMS key; the context is authenticated with the text and needed to open it again.

    What was opened is kept in memory for a while, with its context: a right that is taken away, or
    a key that is switched off, counts once that has passed.
    """

    def __init__(self, client: KMSClient, *, key_arn: str, clock: Clock) -> None:
        """Call nothing yet."""
        self._client = client
        self._key_arn = key_arn
        self._clock = clock
        self._open: dict[tuple[bytes, frozenset[tuple[str, str]]], tuple[datetime, str]] = {}

    def seal(self, plaintext: str, context: Mapping[str, str]) -> bytes:
        """Encrypt.

        Raises:
            ValueError: The text is longer than 4,096 bytes in UTF-8, or empty.
            UnavailableError: KMS failed.
        """
        encoded = plaintext.encode()
        if not 0 < len(encoded) <= MOST_BYTES:
            raise ValueError(f"a secret takes 1 to {MOST_BYTES} bytes")
        with outages():
            answer = self._client.encrypt(
                KeyId=self._key_arn, Plaintext=encoded, EncryptionContext=context
            )
        return answer["CiphertextBlob"]

    def open(self, sealed: bytes, context: Mapping[str, str]) -> str:
        """Decrypt, or return what was decrypted at most five minutes ago.

        Raises:
            SecretUnreadableError: Not sealed with this key and context.
            UnavailableError: KMS failed.
        """
        now = self._clock.now()
        self._forget(now)
        which = (sealed, frozenset(context.items()))
        kept = self._open.get(which)
        if kept is not None:
            return kept[1]
        plaintext = self._decrypt(sealed, context)
        if len(self._open) >= MOST_OPEN:
            del self._open[next(iter(self._open))]
        self._open[which] = (now, plaintext)
        return plaintext

    def _forget(self, now: datetime) -> None:
        """Let go of what was opened too long ago, or later than now by a clock that was set."""
        for which, (at, _) in tuple(self._open.items()):
            if not at <= now < at + KEPT_OPEN:
                del self._open[which]

    def _decrypt(self, sealed: bytes, context: Mapping[str, str]) -> str:
        with outages():
            try:
                answer = self._client.decrypt(
                    KeyId=self._key_arn, CiphertextBlob=sealed, EncryptionContext=context
                )
            except ClientError as error:
                if code_of(error) in _UNREADABLE:
                    raise SecretUnreadableError("a secret does not open") from error
                raise
        return answer["Plaintext"].decode()
