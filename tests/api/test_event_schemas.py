"""The catalogue of events in docs/events: valid, up to date, true, and kept to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from postbreeze.domain.events import EventType
from postbreeze.http.openapi.events import SUBJECTS
from postbreeze.webhooks.envelope import API_VERSION
from tests.support import catalogue
from tests.support.additive import catalogue_breaks
from tests.support.event_schemas import (
    EVENTS,
    check_event,
    closed,
    example_file,
    released_file,
    schema_file,
)

SENT = sorted(SUBJECTS)
README = (EVENTS / "README.md").read_text(encoding="utf-8")


def read(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def faults(schema: dict[str, Any], document: object) -> list[str]:
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [error.message for error in validator.iter_errors(document)]


def test_every_event_has_a_schema_and_an_example() -> None:
    assert set(SUBJECTS) == set(catalogue.HAPPENINGS) == set(EventType)


def test_the_committed_files_are_up_to_date_and_there_are_no_others() -> None:
    # Given what the service describes, and what it sends
    texts = {**catalogue.schema_texts(), **catalogue.example_texts()}
    # Then it is what is committed
    committed = {
        file: file.read_text(encoding="utf-8") for file in (EVENTS / API_VERSION).iterdir()
    }
    assert committed == texts, "run: make openapi"
    # And so is what the command line has of it
    payloads = catalogue.PAYLOADS.read_text(encoding="utf-8")
    assert payloads == catalogue.payloads_text(catalogue.example_texts()), "run: make openapi"


@pytest.mark.parametrize("event_type", SENT)
def test_an_example_is_as_its_schema_has_it(event_type: EventType) -> None:
    # Given
    schema, example = read(schema_file(event_type)), read(example_file(event_type))
    # Then, with all that the schema names and nothing that it does not
    Draft202012Validator.check_schema(schema)
    assert faults(schema, example) == []
    assert faults(closed(schema), example) == []
    assert example["event"] == event_type
    # And another event's schema refuses it
    others = {each: read(schema_file(each)) for each in SENT if each is not event_type}
    assert all(faults(other, example) for other in others.values())


def test_receivers_are_not_told_to_refuse_what_is_new() -> None:
    for event_type in SENT:
        example = read(example_file(event_type))
        example["new"] = example["payload"]["new"] = {"more": 1}
        assert faults(read(schema_file(event_type)), example) == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body["payload"]["post"].pop("caption"),
        lambda body: body["payload"]["post"].update(more=1),
        lambda body: body["payload"]["post"]["targets"][0].update(claimId="c"),
        lambda body: body["payload"]["post"].update(status="CANCELLED"),
        lambda body: body["payload"].update(occurredAt="yesterday"),
        lambda body: body["payload"].pop("cancellation"),
        lambda body: body.update(apiVersion="2026-05-02"),
        lambda body: body.update(deliveryId="dlv_1"),
    ],
)
def test_all_that_the_core_sends_in_tests_is_held_to_the_schema(spoil: Any) -> None:
    # Given
    body = read(example_file(EventType.POST_CANCELLED))
    check_event("post.cancelled", json.dumps(body).encode())
    # When
    spoil(body)
    # Then
    with pytest.raises(AssertionError, match="is not as docs/events has it"):
        check_event("post.cancelled", json.dumps(body).encode())


def test_what_has_no_schema_cannot_be_sent() -> None:
    with pytest.raises(AssertionError, match=r"^post\.forgotten has no schema"):
        check_event("post.forgotten", b"{}")


def test_nothing_was_taken_from_receivers_since_the_last_release() -> None:
    # Given
    released = {
        file.name.removesuffix(".schema.json"): read(file)
        for file in released_file(EventType.POST_CANCELLED).parent.iterdir()
    }
    assert len(released) >= 10
    # Then
    assert catalogue_breaks(released, catalogue.catalogue()) == []


def test_the_index_leads_to_every_schema_and_example() -> None:
    rows = re.findall(
        r"^\| `([a-z._]+)` \| \[schema\]\((\S+)\) \| \[example\]\((\S+)\) \|$", README, re.MULTILINE
    )
    assert [name for name, _, _ in rows] == [each.value for each in EventType if each in SENT]
    assert [(EVENTS / schema, EVENTS / example) for _, schema, example in rows] == [
        (schema_file(name), example_file(name)) for name, _, _ in rows
    ]
