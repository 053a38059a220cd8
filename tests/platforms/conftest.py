"""The reference Bluesky server, and a stack that publishes to it, once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from local.reference_pds import Account, ReferencePds
from tests.support.engine import own_stack
from tests.support.lost_answers import LostAnswerProxy

_names = count(1)


@pytest.fixture(scope="session")
def reference_pds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReferencePds]:
    """A running reference server: ``url``, ``create_account(handle)``, ``records(did)``."""
    with ReferencePds.start(tmp_path_factory.mktemp("reference-pds")) as server:
        yield server


@pytest.fixture
def account(reference_pds: ReferencePds) -> Account:
    """A fresh account on the reference server."""
    return reference_pds.create_account(f"person-{next(_names)}.test")


@pytest.fixture(scope="session")
def proxy(reference_pds: ReferencePds) -> Iterator[LostAnswerProxy]:
    """What lies between the deployed stack and the reference server, and can lose answers."""
    with LostAnswerProxy(reference_pds.url) as between:
        yield between


@pytest.fixture(scope="session")
def stack(proxy: LostAnswerProxy) -> Iterator[dict[str, Any]]:
    """What the stack file says of a deployed stack that publishes to the reference server."""
    with own_stack(bluesky_url=proxy.url) as described:
        yield described
