"""Cuts botocore's data down to what the functions load: ``trim_botocore.py DATA SERVICE…``.

Every client reads its service's model, most of which is documentation, and the addresses of every
service of AWS in every region: at a cold start that takes longer than making the client. Nothing
that says what is sent or understood is touched.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any


def main(data: Path, services: Collection[str]) -> None:
    """Trim the data in place; the same is left each time."""
    for folder in data.iterdir():
        if folder.is_dir() and folder.name not in services:
            shutil.rmtree(folder)
    for model in list(data.glob("*/*/service-2.json.gz")):
        whole = json.loads(gzip.decompress(model.read_bytes()))
        # Uncompressed: it is packed with the layer, and need not be unpacked at a cold start.
        _write(model.with_suffix(""), undocumented(whole))
        model.unlink()
    endpoints = data / "endpoints.json"
    _write(endpoints, only(services, json.loads(endpoints.read_bytes())))


def undocumented(model: Any) -> Any:
    """Empty what a part of a model says to people; botocore counts on there being something."""
    if isinstance(model, dict):
        return {
            name: "" if name == "documentation" and isinstance(part, str) else undocumented(part)
            for name, part in model.items()
        }
    if isinstance(model, list):
        return [undocumented(part) for part in model]
    return model


def only(services: Collection[str], endpoints: dict[str, Any]) -> dict[str, Any]:
    """Leave out the addresses of other services."""
    return {
        **endpoints,
        "partitions": [
            {
                **partition,
                "services": {
                    name: service
                    for name, service in partition["services"].items()
                    if name in services
                },
            }
            for partition in endpoints["partitions"]
        ],
    }


def _write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
