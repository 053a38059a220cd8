"""Every minute: what was left half done is finished."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from postbreeze.starting import kept_for_good

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

with kept_for_good():
    from postbreeze import bootstrap

    _handle = bootstrap.reconcile(os.environ)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Repair what is due; answer with how often each repair was made."""
    return _handle(event, context)
