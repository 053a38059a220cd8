"""What is cut out of botocore's data is missed by no client that the functions make."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore
import pytest
from botocore.loaders import Loader
from botocore.session import Session

from local import paths

DATA = Path(botocore.__file__).parent / "data"
FOLDER = paths.ROOT / "layers" / "dependencies"
SERVICES = re.findall(
    r"^SERVICES := (.+)$", (FOLDER / "Makefile").read_text("utf-8"), re.MULTILINE
)[0].split()


@pytest.fixture(scope="module")
def trimmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data as the layer has it, made of a copy with one more service."""
    data = tmp_path_factory.mktemp("data")
    for file in DATA.glob("*.json"):
        shutil.copy(file, data)
    for service in (*SERVICES, "iam"):
        shutil.copytree(DATA / service, data / service)
    subprocess.run([sys.executable, FOLDER / "trim_botocore.py", data, *SERVICES], check=True)
    return data


def made(service: str, data: Path) -> Any:
    """Make a client of some data and no other."""
    session = Session()
    loader = Loader(extra_search_paths=[str(data)], include_default_search_paths=False)
    session.register_component("data_loader", loader)
    session.set_credentials("test", "test")
    return session.create_client(service, region_name="eu-central-1")


def told(part: Any) -> Iterator[tuple[str, object]]:
    """Yield all that a model says, but to people."""
    items = part.items() if isinstance(part, dict) else enumerate(part)
    for name, value in items:
        if isinstance(value, dict | list):
            yield from ((f"{name}.{below}", each) for below, each in told(value))
        elif name != "documentation":
            yield str(name), value


@pytest.mark.parametrize("service", SERVICES)
def test_a_client_knows_the_same_operations_and_addresses(service: str, trimmed: Path) -> None:
    # Given
    whole, ours = made(service, DATA), made(service, trimmed)
    # Then
    assert ours.meta.endpoint_url == whole.meta.endpoint_url
    models = [client.meta.service_model for client in (ours, whole)]
    assert len({len(model.client_context_parameters) for model in models}) == 1
    ours_says, whole_says = (dict(told(model._service_description)) for model in models)
    assert ours_says == whole_says


def test_an_address_can_be_signed(trimmed: Path) -> None:
    address = made("s3", trimmed).generate_presigned_url(
        "get_object", Params={"Bucket": "bucket", "Key": "key"}
    )
    assert address.startswith("https://bucket.s3.")


def test_nothing_is_left_of_what_no_function_uses(trimmed: Path) -> None:
    assert sorted(child.name for child in trimmed.iterdir() if child.is_dir()) == SERVICES
    assert (trimmed / "endpoints.json").stat().st_size < 100_000


def test_it_is_the_same_each_time(trimmed: Path) -> None:
    # Given
    before = {file: file.read_bytes() for file in trimmed.rglob("*") if file.is_file()}
    # When
    subprocess.run([sys.executable, FOLDER / "trim_botocore.py", trimmed, *SERVICES], check=True)
    # Then
    assert {file: file.read_bytes() for file in trimmed.rglob("*") if file.is_file()} == before
