"""What every secret box promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from postbreeze.adapters.secrets import KmsSecretBox
from postbreeze.domain.errors import SecretUnreadableError
from postbreeze.operations.ports import SecretBox
from tests.support.aws import Aws
from tests.support.fakes import FakeClock, FakeSecretBox

CONTEXT = {"accountId": "soc_1", "workspaceId": "ws_1"}


@dataclass
class Boxes:
    box: SecretBox
    another: Callable[[], SecretBox]
    """Makes a box with a key of its own."""


@pytest.fixture
def boxes(aws: Aws | None) -> Boxes:
    if aws is None:
        return Boxes(FakeSecretBox("one"), lambda: FakeSecretBox("two"))
    client = aws.clients.kms()

    def box() -> SecretBox:
        return KmsSecretBox(client, key_arn=aws.key(), clock=FakeClock())

    return Boxes(box(), box)


@pytest.mark.parametrize("secret", ["one short secret", "Pässwörd\x00\n", "ä" * 2048])
def test_what_is_sealed_opens_again(boxes: Boxes, secret: str) -> None:
    sealed = boxes.box.seal(secret, CONTEXT)
    assert boxes.box.open(sealed, CONTEXT) == secret
    assert boxes.box.open(sealed, dict(reversed(CONTEXT.items()))) == secret
    assert secret.encode() not in sealed


@pytest.mark.parametrize(
    "context", [{}, {"accountId": "soc_1"}, CONTEXT | {"accountId": "soc_2"}, CONTEXT | {"x": "y"}]
)
def test_it_does_not_open_in_another_context(boxes: Boxes, context: dict[str, str]) -> None:
    # Given one that was opened in its own just before
    sealed = boxes.box.seal("secret", CONTEXT)
    boxes.box.open(sealed, CONTEXT)
    # When / Then
    with pytest.raises(SecretUnreadableError):
        boxes.box.open(sealed, context)


@pytest.mark.parametrize("aws", ["fake", "moto"], indirect=True)
def test_it_does_not_open_once_tampered_with(boxes: Boxes) -> None:
    # The engine authenticates the context only, not the text.
    sealed = boxes.box.seal("secret", CONTEXT)
    boxes.box.open(sealed, CONTEXT)
    with pytest.raises(SecretUnreadableError):
        boxes.box.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), CONTEXT)


@pytest.mark.parametrize("aws", ["fake"], indirect=True)
def test_it_does_not_open_with_another_key(boxes: Boxes) -> None:
    # Neither moto nor the engine answers as KMS does; its answer is in the adapter's unit tests.
    sealed = boxes.box.seal("secret", CONTEXT)
    with pytest.raises(SecretUnreadableError):
        boxes.another().open(sealed, CONTEXT)


@pytest.mark.parametrize("secret", ["", "x" * 4097, "ä" * 2049])
def test_what_kms_does_not_take_is_refused(boxes: Boxes, secret: str) -> None:
    with pytest.raises(ValueError, match="4096 bytes"):
        boxes.box.seal(secret, CONTEXT)
