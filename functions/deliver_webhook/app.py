"""The delivery queue: one message for each attempt of a delivery."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from postbreeze.starting import kept_for_good

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

with kept_for_good():
    from postbreeze import bootstrap

    _handle = bootstrap.deliver_webhook(os.environ)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Work through a batch of the queue; answer with the messages to be delivered again."""
    return _handle(event, context)
