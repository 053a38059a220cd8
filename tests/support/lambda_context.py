"""What Lambda hands to a function beside its event."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_numbers = count(1)


@dataclass
class _Context:
    function_name: str = "test"
    function_version: str = "1"
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:test:live"
    memory_limit_in_mb: int = 1024
    aws_request_id: str = field(
        default_factory=lambda: f"00000000-0000-4000-8000-{next(_numbers):012d}"
    )


def a_context() -> LambdaContext:
    """Make the context of one invocation."""
    return cast("LambdaContext", _Context())
