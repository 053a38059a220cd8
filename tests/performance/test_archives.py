"""What is uploaded: bytes of archives, which a cold start has to fetch, are counted.

Counted is what `make build` made, without bytecode, which only some machines can make.
"""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from local import paths

CEILINGS = {"DependenciesLayer": 6_100_000, "PostbreezeLayer": 317_000}
"""Some seven in a hundred more than it was; raise one only for something worth its time."""

A_FUNCTION = 1_000
"""A function's own archive has one thin file."""


def archive_bytes(folder: Path) -> int:
    """Pack a folder as it would be uploaded, the same on every machine."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                name = zipfile.ZipInfo(str(file.relative_to(folder)))
                archive.writestr(name, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return len(packed.getvalue())


def test_no_archive_outgrows_its_ceiling() -> None:
    # Given what `make build` made
    if not paths.AWS_BUILD.exists():
        pytest.skip("nothing is built; `make build` builds")
    sizes = {
        folder.name: archive_bytes(folder)
        for folder in paths.AWS_BUILD.iterdir()
        if folder.is_dir()
    }
    # Then
    assert sizes.keys() >= CEILINGS.keys()
    too_large = {
        name: size for name, size in sizes.items() if size > CEILINGS.get(name, A_FUNCTION)
    }
    assert too_large == {}


def test_bytecode_does_not_count_and_dates_do_not_either(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text("x = 1\n", encoding="utf-8")
    size = archive_bytes(tmp_path)
    (tmp_path / "part.pyc").write_bytes(b"\x00" * 1_000)
    (tmp_path / "part.py").touch()
    assert archive_bytes(tmp_path) == size
