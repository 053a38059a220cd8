"""The build for AWS carries bytecode that the runtime will use."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import paths
from local.build import AWS, compile_bytecode
from local.tools import find_python

UNCHECKED_HASH = 0b01  # PEP 552: the source's hash is noted but never compared
MAGIC_BYTES = 4


def bytecode_of(source: Path, minor: str) -> Path:
    tag = f"cpython-{minor.replace('.', '')}"
    return source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc"


def flags_of(bytecode: Path) -> int:
    return int.from_bytes(bytecode.read_bytes()[MAGIC_BYTES : MAGIC_BYTES + 4], "little")


def test_every_module_of_the_aws_build_has_unchecked_bytecode_of_the_runtime() -> None:
    # Given what `make build` made, on a machine that has the runtime's Python
    if not paths.AWS_BUILD.exists():
        pytest.skip("nothing is built; `make build` builds")
    if find_python(AWS.minor) is None:
        pytest.skip(f"this machine has no Python {AWS.minor}, so the build has no bytecode")
    sources = sorted(paths.AWS_BUILD.glob("*/**/*.py"))
    assert len([s for s in sources if "/postbreeze/" in str(s)]) > 1
    # Then every module has bytecode that is loaded without a look at its source's time
    missing = [str(s) for s in sources if not bytecode_of(s, AWS.minor).exists()]
    assert missing == []
    assert {flags_of(bytecode_of(source, AWS.minor)) for source in sources} == {UNCHECKED_HASH}


def test_a_module_that_does_not_compile_stops_the_build(tmp_path: Path) -> None:
    # Given
    (tmp_path / "BrokenLayer").mkdir()
    (tmp_path / "BrokenLayer" / "broken.py").write_text("def (:\n", encoding="utf-8")
    # When / Then
    with pytest.raises(Exception, match=r"broken\.py"):
        compile_bytecode(paths.PYTHON, tmp_path)


def test_bytecode_names_files_as_lambda_does(tmp_path: Path) -> None:
    # Given
    for unit in ("SomeLayer", "SomeFunction"):
        (tmp_path / unit).mkdir()
        (tmp_path / unit / "part.py").write_text("x = 1\n", encoding="utf-8")
    python = paths.PYTHON
    minor = next(iter((paths.PYTHON.parent.parent / "lib").iterdir())).name.removeprefix("python")
    # When
    compile_bytecode(python, tmp_path)
    # Then
    for unit, place in (("SomeLayer", b"/opt/part.py"), ("SomeFunction", b"/var/task/part.py")):
        bytecode = bytecode_of(tmp_path / unit / "part.py", minor)
        assert flags_of(bytecode) == UNCHECKED_HASH
        assert place in bytecode.read_bytes()
