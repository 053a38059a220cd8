"""What operators see: JSON log lines and embedded metrics, both on standard output.

Nothing here is ever given a key, a secret or a body. Loggers of this package's modules, used for
stack traces and for warnings of adapters, end in the same lines.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.logging.formatter import RESERVED_LOG_ATTRS
from aws_lambda_powertools.metrics import Metrics, MetricUnit

_PACKAGE = "postbreeze"
_TAKEN = frozenset(RESERVED_LOG_ATTRS) | {"message", "service", "exception", "stack_trace"}
"""Fields of a line that a caller's field must not replace."""


class Observability:
    """The log and the metrics of one function; the ``Telemetry`` of its operations."""

    def __init__(self, *, service: str, namespace: str, level: str, stage: str) -> None:
        """Set up the package's logging; in one process the last one set up counts."""
        # No "location": it would always be a line of this file.
        # Lambda takes a line's level only where its time is in RFC 3339.
        self._logger = Logger(
            service=service,
            level=level,
            stage=stage,
            utc=True,
            use_rfc3339=True,
            location=None,
        )
        self._metrics = Metrics(service=service, namespace=namespace)
        self._metrics.set_default_dimensions(stage=stage)
        self._counting = Lock()
        package = logging.getLogger(_PACKAGE)
        package.handlers = [self._logger.registered_handler]
        package.setLevel(self._logger.log_level)
        package.propagate = False

    def note(self, message: str, **fields: object) -> None:
        """Log a decision."""
        self._logger.info(message, extra=_extra(fields))

    def warn(self, message: str, **fields: object) -> None:
        """Log something an operator may have to look at."""
        self._logger.warning(message, extra=_extra(fields))

    def retrying(self, message: str, error: Exception, **fields: object) -> None:
        """Log an error that is expected to pass when the work is done again."""
        self._logger.warning(message, extra=_extra({"error": repr(error), **fields}))

    def failed(self, message: str, error: Exception, **fields: object) -> None:
        """Log an error with its stack trace."""
        self._logger.error(message, exc_info=error, extra=_extra(fields))

    def count(self, metric: str, value: int = 1) -> None:
        """Add to a metric; it is written when the invocation ends."""
        with self._counting:
            self._metrics.add_metric(name=metric, unit=MetricUnit.Count, value=value)

    @contextmanager
    def invocation(self, aws_request_id: str, **fields: object) -> Iterator[None]:
        """Put its id and these fields on every line inside, and write the metrics at the end."""
        with self._logger.append_context_keys(awsRequestId=aws_request_id, **_extra(fields)):
            try:
                yield
            finally:
                if self._metrics.metric_set:
                    self._metrics.flush_metrics()


def _extra(fields: dict[str, object]) -> dict[str, Any]:
    return {f"{name}_" if name in _TAKEN else name: value for name, value in fields.items()}
