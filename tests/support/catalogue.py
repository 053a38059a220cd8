"""Writes docs/events: the schema of each event that is sent, and an example of it.

The command line has the examples too, for `postbreeze webhook trigger`.

    python -m tests.support.catalogue            # `make openapi` does this
    python -m tests.support.catalogue release    # with a release: keep the schemas as its own

An example is what an endpoint receives when the service, on fakes, does what the event tells of.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from postbreeze.cli import triggering
from postbreeze.domain.events import EventType
from postbreeze.domain.post import MediaDraft, TargetDraft
from postbreeze.http.openapi.events import SUBJECTS, event_schema
from tests.support.core import AN_HOUR, ENDPOINT, WORKSPACE, Core, numbered
from tests.support.event_schemas import example_file, released_file, schema_file
from tests.support.platforms import Accident


def _created(core: Core, targets: int = 1, **wanted: Any) -> str:
    drafts = tuple(
        TargetDraft(social_account_id=numbered("soc", 20 + index)) for index in range(targets)
    )
    draft = core.a_draft(
        targets_of=drafts, caption="Fair wind today.", timezone="Europe/Berlin", **wanted
    )
    return str(core.create(draft).body["id"])


def _draft(core: Core) -> None:
    picture = MediaDraft(url="https://example.com/spring.png", alt_text="Tulips.", kind="image")
    _created(core, scheduled_for=None, media=(picture,))


def _scheduled(core: Core) -> None:
    _created(core)


def _rescheduled(core: Core) -> None:
    core.schedule(_created(core), core.clock.at + 2 * AN_HOUR, again=True)


def _cancelled(core: Core) -> None:
    core.cancel(_created(core, 2), reason="The campaign was stopped.")


def _targets_cancelled(core: Core) -> None:
    post = core.post(_created(core, 2))
    core.cancel(post.id, target_ids=(post.targets[0].id,), reason="Not on this account.")


def _published(core: Core) -> None:
    _created(core, 2)
    core.advance(AN_HOUR)


def _partially_published(core: Core) -> None:
    core.platform.publish_accidents.append(Accident.REFUSED)
    _published(core)


def _failed(core: Core) -> None:
    core.platform.publish_accidents.append(Accident.REFUSED)
    _created(core)
    core.advance(AN_HOUR)


def _deleted(core: Core) -> None:
    core.delete(_created(core, scheduled_for=None))


def _disconnected(core: Core) -> None:
    core.disconnect_account("owner", numbered("soc", 20))


def _tested(core: Core) -> None:
    core.endpoints.test(WORKSPACE, ENDPOINT)


def _disabled(core: Core) -> None:
    core.webhooks.add_endpoint(core.an_endpoint(2, event_filters=("webhook.*",)))
    core.sender.script.append(410)
    _created(core, scheduled_for=None)


PAYLOADS = Path(triggering.__file__).with_name("examples.json")
"""Where the command line has the examples."""

HAPPENINGS: Mapping[EventType, Callable[[Core], None]] = {
    EventType.POST_CREATED: _draft,
    EventType.POST_SCHEDULED: _scheduled,
    EventType.POST_RESCHEDULED: _rescheduled,
    EventType.POST_CANCELLED: _cancelled,
    EventType.POST_TARGETS_CANCELLED: _targets_cancelled,
    EventType.POST_PUBLISHED: _published,
    EventType.POST_PARTIALLY_PUBLISHED: _partially_published,
    EventType.POST_FAILED: _failed,
    EventType.POST_DELETED: _deleted,
    EventType.ACCOUNT_DISCONNECTED: _disconnected,
    EventType.WEBHOOK_TEST: _tested,
    EventType.WEBHOOK_DISABLED: _disabled,
}
"""What makes the service send each event."""


def example(event_type: EventType) -> bytes:
    """Return the body of a request of that event, as an endpoint receives it."""
    core = Core()
    HAPPENINGS[event_type](core)
    core.fire_due()
    core.run_queues()
    return next(
        request.body
        for request in core.sender.requests
        if request.headers["X-Postbreeze-Event"] == event_type
    )


def catalogue() -> dict[str, dict[str, Any]]:
    """Return the schemas of all events of the present version, by the events' names."""
    return {event_type.value: event_schema(event_type) for event_type in SUBJECTS}


def text(document: object) -> str:
    """Return a document as its file has it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def schema_texts() -> dict[Path, str]:
    """Return what is to be in the file of each schema."""
    return {schema_file(name): text(schema) for name, schema in catalogue().items()}


def example_texts() -> dict[Path, str]:
    """Return what is to be in the file of each example."""
    return {example_file(name): text(json.loads(example(name))) for name in HAPPENINGS}


def payloads_text(examples: Mapping[Path, str]) -> str:
    """Return what the command line has of the examples: all payloads in one file."""
    documents = [json.loads(each) for each in examples.values()]
    return text({document["event"]: document["payload"] for document in documents})


def write() -> None:
    """Write all files; the schemas first, as all that the core sends is held to them."""
    _write(schema_texts())
    examples = example_texts()
    _write(examples)
    _write({PAYLOADS: payloads_text(examples)})


def release() -> None:
    """Keep the schemas as those of a release."""
    _write({released_file(name): text(schema) for name, schema in catalogue().items()})


def _write(texts: Mapping[Path, str]) -> None:
    for path, content in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    {(): write, ("release",): release}[tuple(sys.argv[1:])]()
