"""Explores an API by its description, with every check that Schemathesis has.

Whatever it makes up, identifiers and times are now and then exchanged for some that exist, or that
lie ahead, so that more is reached than refusals.
"""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

import schemathesis
from hypothesis.errors import HypothesisWarning
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.engine import Status, events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.generation.meta import TestPhase
from schemathesis.schemas import BaseSchema

CHECKED = frozenset(
    {
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "positive_data_acceptance",
        "missing_required_header",
        "unsupported_method",
        "allow_header_conformance",
        "use_after_free",
        "ensure_resource_availability",
        "ignored_auth",
    }
)
"""Every check but one: ``object_level_authorization`` compares what several users get, and has to
be told of them; the authorization tests do that for every role."""

EXAMPLES = 50
"""How many are tried of each operation, at least."""

SEQUENCES = 20
"""How many sequences of operations are tried."""

_MOST_ATTEMPTS = 5
"""How often it begins anew with those that it had fewer ideas about than that."""

# What fits the description is refused all the same: where the state of things, the moment or a
# platform's rules decide, and where a value is bound to another.
_MAY_REFUSE = (
    "createPost",
    "editPost",
    "cancelPost",
    "schedulePost",
    "reschedulePost",
    "retryPost",
    "approvePost",
    "retryFirstComment",
    "deletePost",
    "listPosts",
    "listMedia",
    "presignMedia",
    "addMediaFromUrl",
    "deleteMedia",
    "createWebhook",
    "editWebhook",
    "recoverWebhook",
    "rotateWebhookSecret",
    "listDeliveries",
)
_ACCEPTABLE = ["2xx", "304", "400", "403", "404", "409", "412", "422", "423", "429"]

_IDENTIFIER = re.compile(r"([a-z]+)_[0-7][0-9A-HJKMNP-TV-Z]{25}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9:]{5})", re.IGNORECASE)
_NAMES = {
    "postId": "post",
    "targetId": "tgt",
    "accountId": "soc",
    "mediaId": "med",
    "webhookId": "wh",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an API is, whose key is used, and what is there.

    ``known`` has identifiers by their prefixes, ``fitting`` the parameters of paths with which an
    operation can succeed. ``receiver`` is where all webhooks go.
    """

    url: str
    key: str
    receiver: str
    known: Mapping[str, Sequence[str]]
    fitting: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(slots=True)
class Exploration:
    """What was tried, what came of it, and what is wrong."""

    tried: Counter[str] = field(default_factory=Counter)
    answered: Counter[tuple[str, int]] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def statuses(self, operation: str) -> Mapping[int, int]:
        """Count the answers of an operation by their statuses."""
        return {status: n for (name, status), n in self.answered.items() if name == operation}


def explore(
    description: Mapping[str, Any], place: Place, *, is_thorough: bool = True
) -> Exploration:
    """Try every operation with examples, edge cases and made-up values.

    Args:
        description: Of the API.
        place: Where it is.
        is_thorough: Try made-up sequences, too, and the hundreds of edge cases of the largest
            bodies.
    """
    found = Exploration()
    operations = labels(description)
    missing = operations
    for attempt in range(_MOST_ATTEMPTS):
        config = _config(place, seed=attempt, is_thorough=is_thorough and not attempt)
        schema = schemathesis.openapi.from_dict(_only(description, missing), config=config)
        schema.hook("map_case")(lambda context, case: _likelier(case, place))
        _run(schema, found)
        missing = [label for label in operations if found.tried[label] < EXAMPLES]
        if not missing:
            break
    return found


def fitting_webhooks(deliveries: Mapping[str, str]) -> dict[str, Sequence[Mapping[str, str]]]:
    """Choose from endpoints that are never removed, each given with one of its deliveries."""
    pairs = [{"webhookId": each, "deliveryId": deliveries[each]} for each in deliveries]
    endpoints = [{"webhookId": each} for each in deliveries]
    return {
        **dict.fromkeys(("getWebhook", "editWebhook", "rotateWebhookSecret"), endpoints),
        **dict.fromkeys(("testWebhook", "recoverWebhook", "listDeliveries"), endpoints),
        **dict.fromkeys(("getDelivery", "redeliver"), pairs),
    }


def labels(description: Mapping[str, Any]) -> list[str]:
    """Name every operation as an exploration does."""
    paths = description["paths"].items()
    return [f"{method.upper()} {path}" for path, item in paths for method in item]


def _only(description: Mapping[str, Any], wanted: Collection[str]) -> dict[str, Any]:
    # Whole paths, as what a path has is compared with what it says that it has.
    names = {label.partition(" ")[2] for label in wanted}
    paths = {path: item for path, item in description["paths"].items() if path in names}
    return {**description, "paths": paths}


def _run(schema: BaseSchema, found: Exploration) -> None:
    with warnings.catch_warnings():
        # What a failure would be shown with may be long; it is cut here.
        warnings.simplefilter("ignore", HypothesisWarning)
        _follow(from_schema(schema).execute(), found)


def _follow(happened: Iterator[events.EngineEvent], found: Exploration) -> None:
    for event in happened:
        if isinstance(event, events.NonFatalError):
            found.faults.append(f"{event.label}: {event.value!r}")
        elif isinstance(event, events.FatalError):
            found.faults.append(repr(event.exception))
        elif isinstance(event, events.ScenarioFinished):
            _collect(event.recorder, found)


def _config(place: Place, *, seed: int, is_thorough: bool) -> SchemathesisConfig:
    bound = {
        f"path.{name}": {"dictionary": prefix, "probability": 0.6}
        for name, prefix in _NAMES.items()
        if place.known.get(prefix)
    }
    bound |= {
        f"{where}.workspaceId": {"dictionary": "ws", "probability": 0.8}
        for where in ("path", "query")
    }
    acceptance = {"enabled": True, "expected-statuses": _ACCEPTABLE}
    return SchemathesisConfig.from_dict(
        {
            "base-url": place.url,
            "seed": seed,
            "continue-on-failure": True,
            "auth": {"openapi": {"apiKey": {"bearer": place.key}}},
            "generation": {"max-examples": EXAMPLES, "database": "none"},
            "dictionaries": {
                prefix: {"values": list(values)} for prefix, values in place.known.items() if values
            },
            "parameters": bound,
            "checks": {
                "object_level_authorization": {"enabled": False},
                # Any refusal will do: what breaks the description may also be too large (413).
                "negative_data_rejection": {"expected-statuses": ["4xx"]},
            },
            "phases": {
                "stateful": {
                    "enabled": is_thorough,
                    "max-steps": 6,
                    "generation": {"max-examples": SEQUENCES},
                }
            },
            "operations": [
                {
                    "include-operation-id": list(_MAY_REFUSE),
                    "checks": {"positive_data_acceptance": acceptance},
                },
                {
                    "include-operation-id": ["createPost", "editPost"],
                    "phases": {"coverage": {"enabled": is_thorough}},
                },
                {
                    # An endpoint is made without deliveries.
                    "include-operation-id": ["getDelivery", "redeliver"],
                    "checks": {"ensure_resource_availability": {"enabled": False}},
                },
                {
                    # A disconnected account can still be read, and be disconnected once more.
                    "include-operation-id": ["getSocialAccount", "disconnectSocialAccount"],
                    "checks": {"use_after_free": {"enabled": False}},
                },
            ],
        }
    )


def checks_there_are() -> Collection[str]:
    """Name every check of the installed version."""
    # Which are known from the first schema on.
    schemathesis.openapi.from_dict({"openapi": "3.1.0", "paths": {}})
    return set(CHECKS.get_all_names())


def _likelier(case: Case[Any], place: Place) -> Case[Any]:
    """Make more of what is valid reach what an operation is for."""
    is_valid = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    body = case.body
    if isinstance(body, dict):
        chance = crc32(json.dumps(body, sort_keys=True).encode())
        if is_valid and chance % 2:
            body = _plain(body)
        body = _real(body, place)
        if is_valid and "/webhooks" in case.path:
            body |= _told_of_webhooks(body, place)
        case.body = body
    fitting = place.fitting.get(case.operation.definition.raw["operationId"], ())
    # A sequence has its own: of what it made, or has removed.
    is_alone = case.meta is not None and case.meta.phase.name is not TestPhase.STATEFUL
    if is_valid and is_alone and fitting:
        chance = crc32(json.dumps(case.path_parameters, sort_keys=True).encode())
        if chance % 4:
            case.path_parameters |= fitting[chance % len(fitting)]
    version = case.headers.get("If-Match") if case.headers else None
    if is_valid and version and crc32(str(version).encode()) % 4:
        case.headers["If-Match"] = "*"
    return case


def _plain(body: dict[str, Any]) -> dict[str, Any]:
    """Leave the plainest of posts, which every platform without rules for media takes."""
    for targets, account, text, moment in (
        ("platforms", "accountId", "content", "scheduledFor"),
        ("targets", "socialAccountId", "caption", "scheduledAt"),
    ):
        if body.get(targets):
            kept = {name: body[name] for name in (moment, "requiresApproval") if name in body}
            only = {account: body[targets][0][account]}
            return {targets: [only], text: (body.get(text) or "")[:100] + "text", **kept}
    return body


def _told_of_webhooks(body: dict[str, Any], place: Place) -> dict[str, Any]:
    """Let webhooks go to where they are received, and recover what has been."""
    wanted = {"url": place.receiver, "since": (place.now - timedelta(hours=1)).isoformat()}
    return {name: value for name, value in wanted.items() if body.get(name) is not None}


def _real(value: Any, place: Place) -> Any:
    """Exchange identifiers for known ones, and most moments for ones that lie ahead."""
    if isinstance(value, dict):
        return {name: _real(below, place) for name, below in value.items()}
    if isinstance(value, list):
        return [_real(below, place) for below in value]
    if not isinstance(value, str):
        return value
    chance = crc32(value.encode("utf-8", "replace"))
    named = _IDENTIFIER.fullmatch(value)
    if named is not None:
        known = place.known.get(named[1], ())
        return known[chance % len(known)] if known and chance % 8 else value
    if _MOMENT.fullmatch(value) and chance % 4:
        ahead = place.now + timedelta(days=1, minutes=chance % 100_000)
        return ahead.isoformat(timespec="seconds")
    return value


def _collect(recorder: ScenarioRecorder, found: Exploration) -> None:
    for case_id, node in recorder.cases.items():
        label = node.value.operation.label
        found.tried[label] += 1
        interaction = recorder.interactions.get(case_id)
        response = interaction.response if interaction is not None else None
        if response is not None:
            found.answered[label, response.status_code] += 1
        for check in recorder.checks.get(case_id, ()):
            found.checked[check.name] += 1
            if check.status is Status.FAILURE:
                reason = check.failure_info.failure if check.failure_info else check.name
                found.faults.append(f"{label}: {check.name}: {reason} {_told(response)}")


def _told(response: Response | None) -> str:
    if response is None:
        return "(no answer)"
    sent = response.request
    told = [sent.method, sent.url, sent.body, response.status_code, response.content[:500]]
    return json.dumps([str(each)[:700] for each in told])
