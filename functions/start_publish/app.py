"""A schedule's fire: the moment of a post has come."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from postbreeze.starting import kept_for_good

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

with kept_for_good():
    from postbreeze import bootstrap

    _handle = bootstrap.start_publish(os.environ)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer a fire, ``{"postId": …, "workflowId": …}``, with its outcome, or raise."""
    return _handle(event, context)
