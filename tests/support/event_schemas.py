"""The schemas of docs/events, and whether what is sent is as they have it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from postbreeze.webhooks.envelope import API_VERSION

EVENTS = Path(__file__).parents[2] / "docs" / "events"


def schema_file(event_type: str) -> Path:
    """Return where the schema of an event is."""
    return EVENTS / API_VERSION / f"{event_type}.schema.json"


def example_file(event_type: str) -> Path:
    """Return where the example of an event is."""
    return EVENTS / API_VERSION / f"{event_type}.example.json"


def released_file(event_type: str) -> Path:
    """Return where the schema of an event is as the last release had it."""
    return EVENTS / "released" / API_VERSION / f"{event_type}.schema.json"


def check_event(event_type: str, body: bytes) -> None:
    """Assert that a body is as the schema of its event has it, and has nothing that it does not."""
    faults = [
        f"{'/'.join(map(str, fault.instance_path))}: {fault.message}"
        for fault in _validator(event_type).iter_errors(json.loads(body))
    ]
    assert faults == [], f"{event_type} is not as docs/events has it: {faults}"


def closed(schema: Any) -> Any:
    """Return a schema that takes only what it names: receivers must not, but we send no more."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {name: closed(each) for name, each in schema.items()}
    return {**strict, "additionalProperties": False} if _names_properties(schema) else strict


def _names_properties(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "object" and "properties" in schema


@cache
def _validator(event_type: str) -> jsonschema_rs.Draft202012Validator:
    file = schema_file(event_type)
    assert file.exists(), f"{event_type} has no schema: http/openapi/events.py, make openapi"
    schema = json.loads(file.read_text(encoding="utf-8"))
    return jsonschema_rs.Draft202012Validator(closed(schema), validate_formats=True)
