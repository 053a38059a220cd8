"""Every implementation that a port's contract is run on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.aws import Aws, on_engine, on_moto


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """A real engine, one for all tests of the process."""
    with on_engine(tmp_path_factory.mktemp("engine")) as aws:
        yield aws


@pytest.fixture
def moto() -> Iterator[Aws]:
    """An AWS in this process, empty for every test."""
    with on_moto() as aws:
        yield aws


@pytest.fixture(params=["fake", "moto", "engine"])
def aws(request: pytest.FixtureRequest) -> Aws | None:
    """Where the adapters call; None for the fakes, which call nowhere."""
    if request.param == "fake":
        return None
    place: Aws = request.getfixturevalue(request.param)
    return place
