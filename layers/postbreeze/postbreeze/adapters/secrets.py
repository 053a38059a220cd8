"""Sealing secrets with a KMS key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from postbreeze.adapters.aws import code_of, outages
from postbreeze.domain.errors import SecretUnreadableError

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

MOST_BYTES: Final = 4096
_UNREADABLE: Final = frozenset({"IncorrectKeyException", "InvalidCiphertextException"})


class KmsSecretBox:
    """One KMS key; the context is authenticated with the text and needed to open it again."""

    def __init__(self, client: KMSClient, *, key_arn: str) -> None:
        """Call nothing yet."""
        self._client = client
        self._key_arn = key_arn

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
        """Decrypt.

        Raises:
            SecretUnreadableError: Not sealed with this key and context.
            UnavailableError: KMS failed.
        """
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
