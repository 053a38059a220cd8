"""The edge: what every HTTP request goes through on its way in and out.

A request gets an id, is answered by a route or by our own 404 or 405, and leaves one log line.
Whatever goes wrong comes out as the one envelope.

A path's methods are those of its routes and no others: HEAD is not GET without a body here, and
OPTIONS tells nothing, as keys do not belong into web pages. All the others are answered 405.
"""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from postbreeze.domain import ids
from postbreeze.domain.errors import NotFoundError
from postbreeze.http.limits import Meter
from postbreeze.http.problems import MethodNotAllowedError, problem_for
from postbreeze.http.responses import failure
from postbreeze.http.routing import Event, Response, Router, Routes
from postbreeze.operations.ports import Clock, Randomness

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_LOG = logging.getLogger(__name__)

REQUEST_ID = "X-Request-Id"

_ID_RANDOMNESS = 10
_AS_DESCRIBED = str.maketrans("<>", "{}")
_FIRST_SERVER_ERROR = 500


class RequestLog(Protocol):
    """Where requests are logged."""

    def invocation(self, aws_request_id: str, **fields: object) -> AbstractContextManager[None]:
        """Put its id and these fields on every line inside, and write the metrics at the end."""
        ...

    def note(self, message: str, **fields: object) -> None:
        """Log what happened."""
        ...


@dataclass(slots=True, kw_only=True)
class _Trail:
    """What becomes known of a request on its way."""

    request_id: str
    route: str | None = None
    code: str | None = None


class Edge:
    """Answers API Gateway events (HTTP API, payload 2.0) with the routes it is given."""

    def __init__(
        self,
        *routers: Router,
        clock: Clock,
        randomness: Randomness,
        log: RequestLog,
        meter: Meter,
    ) -> None:
        """Build the routing table; every path that is in none of the routers is a 404.

        All routes of a path belong to one edge, which alone knows the methods that it has.
        """
        self._clock = clock
        self._randomness = randomness
        self._log = log
        self._meter = meter
        self._routes = Routes(routers)

    @property
    def routes(self) -> frozenset[tuple[str, str]]:
        """The method and the path of every route, ``<name>`` standing for a part that varies."""
        return frozenset((route.method, route.path) for route in self._routes)

    def __call__(self, event: Event, context: LambdaContext) -> dict[str, Any]:
        """Answer one request; an error in here is answered, never raised."""
        started = self._clock.now()
        request_id = ids.new_id(ids.REQUEST, started, self._randomness.token(_ID_RANDOMNESS))
        trail = _Trail(request_id=request_id)
        self._meter.reset()
        with self._log.invocation(context.aws_request_id, requestId=request_id):
            response = self._answered(event, trail)
            latency = self._clock.now() - started
            self._log.note(
                "request",
                method=_method(event),
                route=trail.route,
                status=response.status,
                code=trail.code,
                latencyMs=round(latency.total_seconds() * 1000),
            )
        return {
            "statusCode": response.status,
            "headers": {**response.headers, REQUEST_ID: request_id, **self._meter.headers},
            "body": response.body,
            "isBase64Encoded": response.is_base64,
            "cookies": [],
        }

    def _answered(self, event: Event, trail: _Trail) -> Response:
        try:
            return self._routed(event, trail)
        except Exception as error:  # noqa: BLE001  # whatever it is, the client gets the envelope
            problem = problem_for(error)
            trail.code = problem.code
            if problem.status >= _FIRST_SERVER_ERROR:
                _LOG.error("request failed: %s", type(error).__name__, exc_info=error)
            return failure(error, trail.request_id)

    def _routed(self, event: Event, trail: _Trail) -> Response:
        match = self._routes.match(event["rawPath"])
        if match is None:
            raise NotFoundError
        route = match.routes.get(event["requestContext"]["http"]["method"].upper())
        if route is None:
            raise MethodNotAllowedError(sorted(match.routes))
        trail.route = route.path.translate(_AS_DESCRIBED)
        return route.answer(event, **match.parts)


def _method(event: Event) -> object:
    return event.get("requestContext", {}).get("http", {}).get("method")
