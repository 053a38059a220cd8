"""The bytes of the media library in S3.

Everything comes in with the tag ``state=pending``, by which the bucket's lifecycle rule removes it
after some days; ``keep`` takes the tag off. An upload's address can be used once: it is signed with
``If-None-Match: *``, so what has arrived can never be replaced, nor get its tag back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from botocore.exceptions import ClientError

from postbreeze.adapters.aws import code_of, outages
from postbreeze.domain.media import UPLOAD_TIME
from postbreeze.operations.media.ports import StoredObject, Upload
from postbreeze.operations.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PENDING: Final = "state=pending"
"""The tag of what nobody has asked to be kept."""

_ABSENT: Final = frozenset({"404", "NoSuchKey", "NotFound"})


class S3Storage:
    """Where the bytes are. What is put there expires in some days unless it is kept."""

    def __init__(self, client: Callable[[], S3Client], *, bucket: str, clock: Clock) -> None:
        """Call nothing yet; the client is made by the first call that needs one.

        Making it costs more than most requests have to do, and few of them come this far.
        """
        self._make = client
        self._made: S3Client | None = None
        self._making = threading.Lock()
        self._bucket = bucket
        self._clock = clock

    @property
    def _client(self) -> S3Client:
        with self._making:
            if self._made is None:
                self._made = self._make()
            return self._made

    def address(self, key: str) -> str:
        """Return the address of what is there, which opens nothing; nothing is called."""
        with outages():
            signed = self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": key}
            )
        return signed.partition("?")[0]

    def upload(self, key: str, *, content_type: str, size_bytes: int | None) -> Upload:
        """Make the request that brings the bytes, however many if None; nothing is called.

        Type, tag, condition and, if there is one, length are signed: S3 takes no other bytes, and
        takes them only once.
        """
        expires_at = self._clock.now() + UPLOAD_TIME
        wanted: dict[str, Any] = {
            "Bucket": self._bucket,
            "Key": key,
            "ContentType": content_type,
            "IfNoneMatch": "*",
            "Tagging": PENDING,
        }
        headers = {
            "Content-Type": content_type,
            "If-None-Match": "*",
            "x-amz-tagging": PENDING,
        }
        if size_bytes is not None:
            wanted["ContentLength"] = size_bytes
            headers["Content-Length"] = str(size_bytes)
        with outages():
            url = self._client.generate_presigned_url(
                "put_object", Params=wanted, ExpiresIn=int(UPLOAD_TIME.total_seconds())
            )
        return Upload(url=url, headers=headers, expires_at=expires_at)

    def put(self, key: str, body: BinaryIO, *, content_type: str, size_bytes: int) -> None:
        """Bring the bytes ourselves; repeating it is harmless."""
        with outages():
            self._client.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                ContentLength=size_bytes,
                Tagging=PENDING,
            )

    def head(self, key: str) -> StoredObject | None:
        """Tell what is there."""
        try:
            with outages():
                found = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if code_of(error) in _ABSENT:
                return None
            raise
        return StoredObject(content_type=found["ContentType"], size_bytes=found["ContentLength"])

    def keep(self, key: str) -> None:
        """Have what is there never expire; repeating it, or nothing being there, is harmless."""
        try:
            with outages():
                self._client.delete_object_tagging(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if code_of(error) not in _ABSENT:
                raise

    def delete(self, key: str) -> None:
        """Remove what is there; nothing being there is fine."""
        with outages():
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def read(self, key: str, *, most_bytes: int) -> bytes | None:
        """Return what is there, None if nothing is, and one byte too many if it is larger."""
        try:
            with outages():
                found = self._client.get_object(Bucket=self._bucket, Key=key)
                with found["Body"] as body:
                    return body.read(most_bytes + 1)
        except ClientError as error:
            if code_of(error) in _ABSENT:
                return None
            raise
