"""The body of a cancel, read by hand.

It has two fields, and the models of all other bodies take a fifth of a cold start to import, which
a cancel must not wait for. ``schemas.CancelBody`` describes it; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postbreeze.domain import ids
from postbreeze.domain.errors import Detail, ValidationError
from postbreeze.domain.post import MOST_TARGETS
from postbreeze.http.requests import not_an_id, shown

LONGEST_REASON = 500

_REASON, _TARGETS = "reason", "targetIds"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelWish:
    """A cancel's body as the operation takes it."""

    reason: str | None = None
    target_ids: tuple[str, ...] | None = None


def cancel_wish(document: Mapping[str, Any] | None) -> CancelWish:
    """Read the body of a cancel; there need not be one. ``null`` stands for a field left out.

    Raises:
        ValidationError: It is not as it must be; all that is wrong is named.
    """
    document = document or {}
    reason, targets = document.get(_REASON), document.get(_TARGETS)
    details = [
        *_wrong_reason(reason),
        *_wrong_targets(targets),
        *(
            Detail(shown(name) or "body", "is not a known field")
            for name in document
            if name not in (_REASON, _TARGETS)
        ),
    ]
    if details:
        raise ValidationError(details)
    return CancelWish(
        reason=reason, target_ids=None if targets is None else tuple(dict.fromkeys(targets))
    )


def _wrong_reason(reason: object) -> Iterator[Detail]:
    if reason is None:
        return
    if not isinstance(reason, str):
        yield Detail(_REASON, "must be a string")
    elif len(reason) > LONGEST_REASON:
        yield Detail(_REASON, f"must have at most {LONGEST_REASON} characters")


def _wrong_targets(targets: object) -> Iterator[Detail]:
    if targets is None:
        return
    if not isinstance(targets, list):
        yield Detail(_TARGETS, "must be an array")
    elif not targets:
        yield Detail(_TARGETS, "must not be empty")
    elif len(targets) > MOST_TARGETS:
        yield Detail(_TARGETS, f"must have at most {MOST_TARGETS} items")
    else:
        for index, target in enumerate(targets):
            if not isinstance(target, str):
                yield Detail(f"{_TARGETS}.{index}", "must be a string")
            elif not ids.is_id(ids.TARGET, target):
                yield Detail(f"{_TARGETS}.{index}", not_an_id(ids.TARGET))
