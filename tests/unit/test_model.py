"""The models in docs/model speak of the same states as the service."""

from __future__ import annotations

import re
from collections.abc import Collection

import pytest

from postbreeze.domain.post import PostStatus, TargetStatus
from postbreeze.domain.webhook import DeliveryStatus, EndpointStatus
from tests.support.model_checker import MODELS

NOT_MODELLED: frozenset[str] = frozenset(
    {PostStatus.NEEDS_APPROVAL, TargetStatus.SKIPPED, DeliveryStatus.DROPPED}
)
"""What docs/model/README.md says is left out."""

_NO_ROW = "MISSING"


@pytest.mark.parametrize(
    ("model", "statuses"),
    [
        ("Publishing", {*PostStatus, *TargetStatus}),
        ("Delivery", {*DeliveryStatus, *EndpointStatus}),
    ],
)
def test_a_model_names_the_statuses_of_the_service(model: str, statuses: Collection[str]) -> None:
    # Given a model
    text = (MODELS / f"{model}.tla").read_text("utf-8")

    # When the statuses are taken that it speaks of
    named = set(re.findall(r'"([A-Z][A-Z_]+)"', text)) - {_NO_ROW}

    # Then they are those of the service, less what is left out on purpose
    assert named == {str(status) for status in statuses} - NOT_MODELLED
