"""Moving secrets to another key, as docs/operations.md tells operators to."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from local import paths
from postbreeze.adapters.dynamodb.registry import DynamoRegistry
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.adapters.dynamodb.webhooks import DynamoWebhookStore
from postbreeze.adapters.secrets import KmsSecretBox
from postbreeze.operations import deliver, publish
from tests.support.aws import Aws
from tests.support.builders import WORKSPACE_ID, an_account, an_endpoint
from tests.support.fakes import FakeClock


@pytest.fixture
def move(moto: Aws) -> Callable[..., None]:
    """The page's own code."""
    page = (paths.ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    session = boto3.Session("test", "test", region_name="us-east-1")
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  # the code under test
    names["boto3"] = SimpleNamespace(resource=session.resource, client=session.client)
    found: Callable[..., None] = names["move"]
    return found


def sealed_with(moto: Aws, sealed: bytes, context: dict[str, str]) -> str:
    answer = moto.clients.kms().decrypt(CiphertextBlob=sealed, EncryptionContext=context)
    return answer["KeyId"]


def test_secrets_that_were_moved_open_with_the_new_key(
    moto: Aws, move: Callable[..., None]
) -> None:
    # Given endpoints and an account whose secrets one key has sealed
    tables = moto.tables()
    database = Database(moto.clients.dynamodb())
    webhooks = DynamoWebhookStore(database, webhooks_table=tables["webhooks"])
    registry = DynamoRegistry(database, workspaces_table=tables["workspaces"])
    old, new = moto.key(), moto.key()

    def box(key: str) -> KmsSecretBox:
        return KmsSecretBox(moto.clients.kms(), key_arn=key, clock=FakeClock())

    endpoint, account = an_endpoint(), an_account()
    bound = deliver.sealing_context(endpoint)
    sealed = tuple(box(old).seal(secret, bound) for secret in ("retiring", "present"))
    webhooks.add_endpoint(replace(endpoint, sealed_secrets=sealed))
    credentials = box(old).seal("app password", publish.sealing_context(account))
    registry.add_account(replace(account, sealed_credentials=credentials))
    # When it is done, and done again
    for _ in range(2):
        move(tables["webhooks"], "ENDPOINT#", "sealedSecrets", "endpointId", new)
        move(tables["workspaces"], "ACCOUNT#", "sealedCredentials", "accountId", new)
    # Then each opens for its owner, by the new key
    (moved,) = webhooks.endpoints(WORKSPACE_ID)
    assert [box(new).open(each, bound) for each in moved.sealed_secrets] == ["retiring", "present"]
    assert {sealed_with(moto, each, bound) for each in moved.sealed_secrets} == {new}
    assert moved.revision == endpoint.revision + 2
    (connected,) = registry.accounts(WORKSPACE_ID)
    assert connected.sealed_credentials is not None
    opened = box(new).open(connected.sealed_credentials, publish.sealing_context(account))
    assert opened == "app password"
    # And nothing else has changed
    assert replace(moved, sealed_secrets=sealed, revision=1) == replace(
        endpoint, sealed_secrets=sealed
    )
