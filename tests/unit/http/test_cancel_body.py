"""A cancel's body, read by hand, is read as its description says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postbreeze.domain import ids
from postbreeze.domain.errors import Detail, ValidationError
from postbreeze.http.cancel_body import CancelWish, cancel_wish
from postbreeze.http.schemas import CancelBody, read_body
from tests.support.builders import an_id

ACCOUNT = an_id(ids.ACCOUNT)
TARGET = an_id(ids.TARGET)

texts = st.text(max_size=3)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
reasons = anything | st.integers(0, 502).map("x".__mul__)
target_ids = st.builds(an_id, st.sampled_from([ids.TARGET, ids.ACCOUNT]))
target_lists = (
    anything
    | st.lists(target_ids | scalars, max_size=4)
    | st.lists(target_ids | scalars, min_size=48, max_size=52)
    | st.integers(48, 52).map(lambda count: [an_id(ids.TARGET) for _ in range(count)])
)
names = texts | st.integers(98, 103).map("n".__mul__)
bodies = st.tuples(
    st.fixed_dictionaries({}, optional={"reason": reasons, "targetIds": target_lists}),
    st.dictionaries(names, anything, max_size=2),
    st.booleans(),
).map(lambda parts: {**parts[1], **parts[0]} if parts[2] else {**parts[0], **parts[1]})


def test_a_cancel_says_why_and_what() -> None:
    assert cancel_wish(None) == cancel_wish({}) == CancelWish()
    assert cancel_wish({"reason": None, "targetIds": None}) == CancelWish()
    assert cancel_wish({"reason": "x" * 500, "targetIds": [TARGET, TARGET]}) == CancelWish(
        reason="x" * 500, target_ids=(TARGET,)
    )


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"reason": "x" * 501}, "reason"),
        ({"reason": 5}, "reason"),
        ({"targetIds": []}, "targetIds"),
        ({"targetIds": TARGET}, "targetIds"),
        ({"targetIds": [TARGET, ACCOUNT]}, "targetIds.1"),
        ({"targetIds": [TARGET] * 51}, "targetIds"),
        ({"targetIds": [None]}, "targetIds.0"),
        ({"dryRun": True}, "dryRun"),
    ],
)
def test_a_cancel_that_says_something_else_is_refused(document: dict[str, Any], path: str) -> None:
    with pytest.raises(ValidationError) as refused:
        cancel_wish(document)
    assert [detail.path for detail in refused.value.details] == [path]


def described(document: dict[str, Any]) -> CancelWish:
    """Read a body by the model that describes it."""
    body = read_body(CancelBody, document)
    targets = body.target_ids
    return CancelWish(
        reason=body.reason, target_ids=None if targets is None else tuple(dict.fromkeys(targets))
    )


def told(
    read: Callable[[dict[str, Any]], CancelWish], document: dict[str, Any]
) -> CancelWish | tuple[Detail, ...]:
    """Return what a body is read as, or what is said to be wrong with it."""
    try:
        return read(document)
    except ValidationError as error:
        return tuple(error.details)


@given(document=bodies)
def test_it_is_read_as_it_is_described_and_refused_in_the_same_words(
    document: dict[str, Any],
) -> None:
    assert told(cancel_wish, document) == told(described, document)
