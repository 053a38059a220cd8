"""What every storage of the media library promises."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from urllib.parse import urlsplit

import pytest
import urllib3
from botocore.exceptions import ClientError

from local.engine import REGION
from postbreeze.adapters.aws import AwsClients
from postbreeze.adapters.storage import S3Storage
from postbreeze.domain import ids
from postbreeze.domain.errors import UnavailableError
from postbreeze.domain.media import storage_key
from postbreeze.operations.media.ports import Storage, StoredObject, Upload
from tests.support.aws import Aws
from tests.support.builders import WORKSPACE_ID, an_id
from tests.support.fakes import FakeClock, FakeStorage

PNG = b"png"


@pytest.fixture
def storage(aws: Aws | None) -> Storage:
    if aws is None:
        return FakeStorage()
    return S3Storage(aws.clients.s3, bucket=aws.bucket(), clock=FakeClock())


def a_key() -> str:
    return storage_key(WORKSPACE_ID, an_id(ids.MEDIA))


def put(storage: Storage, key: str, content: bytes = PNG) -> None:
    storage.put(key, BytesIO(content), content_type="image/png", size_bytes=len(content))


def test_what_is_put_is_there(storage: Storage) -> None:
    # Given
    key = a_key()
    assert storage.head(key) is None
    # When it is put, twice as after a lost answer
    for _ in range(2):
        put(storage, key)
    # Then
    assert storage.head(key) == StoredObject(content_type="image/png", size_bytes=3)
    assert storage.head(a_key()) is None


def test_what_is_kept_and_what_is_deleted(storage: Storage) -> None:
    # Given
    key = a_key()
    put(storage, key)
    # When / Then
    for _ in range(2):
        storage.keep(key)
    assert storage.head(key) is not None
    for _ in range(2):
        storage.delete(key)
    assert storage.head(key) is None


def test_an_upload_says_what_to_send_and_until_when(storage: Storage) -> None:
    upload = storage.upload(a_key(), content_type="image/png", size_bytes=3)
    assert (upload.headers["Content-Type"], upload.headers["Content-Length"]) == ("image/png", "3")
    assert (upload.expires_at - FakeClock().at).total_seconds() == 900
    unknown = storage.upload(a_key(), content_type="image/png", size_bytes=None)
    assert "Content-Length" not in unknown.headers


def test_what_is_there_has_the_address_of_its_upload_without_the_signature(
    storage: Storage,
) -> None:
    key = a_key()
    upload = storage.upload(key, content_type="image/png", size_bytes=None)
    assert storage.address(key) == upload.url.partition("?")[0]
    assert urlsplit(storage.address(key)).path.endswith(f"/{key}")


# On the engine, which checks signatures


@dataclass
class Bucket:
    storage: S3Storage
    name: str
    aws: Aws

    def tags(self, key: str) -> dict[str, str]:
        answer = self.aws.clients.s3().get_object_tagging(Bucket=self.name, Key=key)
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}


@pytest.fixture
def bucket(engine: Aws) -> Bucket:
    name = engine.bucket()
    return Bucket(S3Storage(engine.clients.s3, bucket=name, clock=FakeClock()), name, engine)


def sent(upload: Upload, content: bytes = PNG, **changes: str) -> int:
    headers = {**upload.headers, **{name.replace("_", "-"): v for name, v in changes.items()}}
    with urllib3.PoolManager() as http:
        answer = http.request("PUT", upload.url, body=content, headers=headers)
        return answer.status


def test_an_upload_brings_the_bytes_once(bucket: Bucket) -> None:
    # Given
    key = a_key()
    upload = bucket.storage.upload(key, content_type="image/png", size_bytes=3)
    # When
    assert sent(upload) == 200
    # Then nothing can take their place
    assert sent(upload, b"gif") == 412
    assert bucket.storage.read(key, most_bytes=3) == PNG
    assert bucket.storage.head(key) == StoredObject(content_type="image/png", size_bytes=3)
    # And they expire unless they are kept
    assert bucket.tags(key) == {"state": "pending"}
    bucket.storage.keep(key)
    assert bucket.tags(key) == {}


def test_an_upload_without_a_length_brings_what_it_has_once(bucket: Bucket) -> None:
    key = a_key()
    upload = bucket.storage.upload(key, content_type="image/png", size_bytes=None)
    assert sent(upload, Content_Type="image/gif") == 403
    assert sent(upload, b"as long as you like") == 200
    assert sent(upload) == 412
    assert bucket.storage.head(key) == StoredObject(content_type="image/png", size_bytes=19)
    assert bucket.tags(key) == {"state": "pending"}
    # And its address opens nothing
    with urllib3.PoolManager() as http:
        assert http.request("GET", bucket.storage.address(key)).status == 403


@pytest.mark.parametrize(
    ("content", "changes"),
    [
        (b"more than that", {"Content_Length": "14"}),
        (b"p", {"Content_Length": "1"}),
        (PNG, {"Content_Type": "image/gif"}),
        (PNG, {"x_amz_tagging": "state=kept"}),
        (PNG, {"If_None_Match": '"another"'}),
    ],
)
def test_an_upload_brings_nothing_else(
    bucket: Bucket, content: bytes, changes: dict[str, str]
) -> None:
    key = a_key()
    upload = bucket.storage.upload(key, content_type="image/png", size_bytes=3)
    assert sent(upload, content, **changes) == 403
    assert bucket.storage.head(key) is None


def test_what_we_put_ourselves_expires_unless_it_is_kept(bucket: Bucket) -> None:
    key = a_key()
    put(bucket.storage, key)
    assert bucket.tags(key) == {"state": "pending"}


def test_reading_is_bounded(bucket: Bucket) -> None:
    key = a_key()
    put(bucket.storage, key, b"four")
    assert bucket.storage.read(key, most_bytes=4) == b"four"
    assert bucket.storage.read(key, most_bytes=2) == b"fou"
    assert bucket.storage.read(a_key(), most_bytes=2) is None


def test_being_refused_is_an_outage_and_not_an_upload_that_never_came(bucket: Bucket) -> None:
    # Given a key that opens nothing
    clients = AwsClients(
        region=REGION,
        endpoint_url=bucket.aws.clients.s3().meta.endpoint_url,
        access_key=("AKIAIOSFODNN7EXAMPLE", "wrong"),
    )
    storage = S3Storage(clients.s3, bucket=bucket.name, clock=FakeClock())
    # When / Then
    for call in (
        lambda: storage.head(a_key()),
        lambda: storage.keep(a_key()),
        lambda: storage.delete(a_key()),
        lambda: put(storage, a_key()),
        lambda: storage.read(a_key(), most_bytes=1),
    ):
        with pytest.raises(UnavailableError):
            call()


def test_a_bucket_that_is_not_there_is_a_fault_of_ours(engine: Aws) -> None:
    storage = S3Storage(engine.clients.s3, bucket="not-there", clock=FakeClock())
    with pytest.raises(ClientError, match="NoSuchBucket"):
        storage.read(a_key(), most_bytes=1)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-central-1", "media.s3.eu-central-1.amazonaws.com"),
        ("us-east-1", "media.s3.amazonaws.com"),
    ],
)
def test_an_upload_goes_straight_to_the_buckets_region(region: str, host: str) -> None:
    clients = AwsClients(region=region, access_key=("a", "b"))
    storage = S3Storage(clients.s3, bucket="media", clock=FakeClock())
    upload = storage.upload(a_key(), content_type="image/png", size_bytes=3)
    assert urlsplit(upload.url).hostname == urlsplit(storage.address("key")).hostname == host
