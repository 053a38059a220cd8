"""The routes below /api/v1/webhooks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from postbreeze.starting import kept_for_good

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

with kept_for_good():
    from postbreeze import bootstrap

    _handle = bootstrap.webhooks_api(os.environ)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one API Gateway event (HTTP API, payload 2.0)."""
    return _handle(event, context)
