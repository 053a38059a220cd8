"""The reference Bluesky server, installed and started once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from local.reference_pds import Account, ReferencePds

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
