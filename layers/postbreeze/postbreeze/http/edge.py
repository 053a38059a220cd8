"""The edge: what every HTTP request goes through on its way in and out.

A request gets an id, is answered by a route or by our own 404 or 405, and leaves one log line.
Whatever goes wrong, also in the framework, comes out as the one envelope.

A path's methods are those of its routes and no others: HEAD is not GET without a body here, and
OPTIONS tells nothing, as keys do not belong into web pages. All the others are answered 405.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from aws_lambda_powertools.event_handler.api_gateway import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from postbreeze.domain import ids
from postbreeze.domain.errors import NotFoundError
from postbreeze.http.limits import Meter
from postbreeze.http.problems import MethodNotAllowedError, problem_for
from postbreeze.http.responses import failure
from postbreeze.operations.ports import Clock, Randomness

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler.api_gateway import ApiGatewayResolver
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
    from aws_lambda_powertools.utilities.typing import LambdaContext

_LOG = logging.getLogger(__name__)

REQUEST_ID = "X-Request-Id"

_ID_RANDOMNESS = 10
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
        *routers: APIGatewayHttpRouter,
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
        self._trail = _Trail(request_id="")
        # Never in debug mode, which answers with stack traces, whatever the environment says.
        self._app = APIGatewayHttpResolver(debug=False)
        self._app.use([self._routed])
        for router in routers:
            self._app.include_router(router)
        # Powertools tells of its routes nowhere else.
        self._routes = [*self._app._static_routes, *self._app._dynamic_routes]  # noqa: SLF001
        self._app.not_found(self._unrouted)
        self._app.exception_handler(Exception)(self._failed)

    @property
    def routes(self) -> frozenset[tuple[str, str]]:
        """The method and the path of every route, ``<name>`` standing for a part that varies."""
        return frozenset((route.method, route.path) for route in self._routes)

    def __call__(self, event: Mapping[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one request; an error in here is answered, never raised."""
        started = self._clock.now()
        request_id = ids.new_id(ids.REQUEST, started, self._randomness.token(_ID_RANDOMNESS))
        # An execution environment has one request at a time, so this belongs to the present one.
        self._trail = _Trail(request_id=request_id)
        self._meter.reset()
        with self._log.invocation(context.aws_request_id, requestId=request_id):
            try:
                answer = self._app.resolve(_routable(event), context)
            except Exception as error:  # noqa: BLE001  # the framework's own need the envelope too
                answer = _written(self._failed(error))
            answer["headers"][REQUEST_ID] = request_id
            answer["headers"].update(self._meter.headers)
            latency = self._clock.now() - started
            self._log.note(
                "request",
                method=_method(event),
                route=self._trail.route,
                status=answer["statusCode"],
                code=self._trail.code,
                latencyMs=round(latency.total_seconds() * 1000),
            )
        return answer

    def _routed(self, app: ApiGatewayResolver, next_middleware: NextMiddleware) -> Response[Any]:
        self._trail.route = app.request.route
        if app.current_event.http_method.upper() not in self._methods(app.current_event.path):
            return self._unrouted(NotFoundError())
        return next_middleware(app)

    def _unrouted(self, error: Exception) -> Response[str]:
        # Powertools makes up a route for it, of the path as it came.
        self._trail.route = None
        methods = self._methods(self._app.current_event.path)
        return self._failed(MethodNotAllowedError(methods) if methods else NotFoundError())

    def _methods(self, path: str) -> list[str]:
        """Return the methods of a path; where it is one route's very text, only of that one."""
        exact = {route.method for route in self._routes if route.path == path}
        return sorted(exact or {route.method for route in self._routes if route.rule.match(path)})

    def _failed(self, error: Exception) -> Response[str]:
        problem = problem_for(error)
        self._trail.code = problem.code
        if problem.status >= _FIRST_SERVER_ERROR:
            _LOG.error("request failed: %s", type(error).__name__, exc_info=error)
        return failure(error, self._trail.request_id)


def _routable(event: Mapping[str, Any]) -> dict[str, Any]:
    """Write the path so that Powertools finds the route whatever stands in place of an id.

    Its parameters match some characters only; the identifiers that we take have none of the others.
    """
    return {**event, "rawPath": quote(event["rawPath"], errors="replace")}


def _method(event: Mapping[str, Any]) -> object:
    return event.get("requestContext", {}).get("http", {}).get("method")


def _written(response: Response[str]) -> dict[str, Any]:
    """Write a response as Powertools does, for where Powertools itself failed."""
    return {
        "statusCode": response.status_code,
        "headers": {"Content-Type": response.content_type, **response.headers},
        "body": response.body,
        "isBase64Encoded": False,
        "cookies": [],
    }
