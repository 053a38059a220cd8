"""Routes: what a path's methods are answered by.

Powertools' own router takes 50 ms to import, a tenth of a cold start, and knows neither 405 nor a
path's methods (docs/adr/0010-routes-of-our-own-and-a-body-read-by-hand.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Event = Mapping[str, Any]
"""An API Gateway event (HTTP API, payload 2.0)."""

_PART = re.compile(r"<(\w+)>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer; ``body`` is base 64 of what is sent where ``is_base64``."""

    status: int
    headers: Mapping[str, str]
    body: str
    is_base64: bool = False


Answering = Callable[..., Response]
"""Answers an event, given as the first argument; the parts of its path that vary come by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of a path, in which ``<name>`` stands for a part that varies."""

    method: str
    path: str
    answer: Answering


class Router:
    """Collects routes as they are declared."""

    def __init__(self) -> None:
        """Begin with none."""
        self.routes: list[Route] = []

    def get(self, path: str) -> Callable[[Answering], Answering]:
        """Declare what answers GET."""
        return self._declare("GET", path)

    def post(self, path: str) -> Callable[[Answering], Answering]:
        """Declare what answers POST."""
        return self._declare("POST", path)

    def patch(self, path: str) -> Callable[[Answering], Answering]:
        """Declare what answers PATCH."""
        return self._declare("PATCH", path)

    def delete(self, path: str) -> Callable[[Answering], Answering]:
        """Declare what answers DELETE."""
        return self._declare("DELETE", path)

    def _declare(self, method: str, path: str) -> Callable[[Answering], Answering]:
        def declared(answer: Answering) -> Answering:
            self.routes.append(Route(method=method, path=path, answer=answer))
            return answer

        return declared


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The routes of a path by their methods, and the parts of it that vary."""

    routes: Mapping[str, Route]
    parts: Mapping[str, str]


class Routes:
    """Finds the routes of a path; where it is one's very text, only that one's."""

    def __init__(self, routers: Iterable[Router]) -> None:
        """Take the routes of all of them."""
        by_path: dict[str, dict[str, Route]] = {}
        for router in routers:
            for route in router.routes:
                by_path.setdefault(route.path, {})[route.method] = route
        self._fixed = {path: each for path, each in by_path.items() if not _PART.search(path)}
        self._varying = [
            (_rule(path), each) for path, each in by_path.items() if path not in self._fixed
        ]

    def __iter__(self) -> Iterator[Route]:
        """Yield every route."""
        for routes in (*self._fixed.values(), *(each for _, each in self._varying)):
            yield from routes.values()

    def match(self, path: str) -> Match | None:
        """Find a path's routes; None if it has none."""
        if path in self._fixed:
            return Match(routes=self._fixed[path], parts={})
        for rule, routes in self._varying:
            found = rule.fullmatch(path)
            if found is not None:
                return Match(routes=routes, parts=found.groupdict())
        return None


def _rule(path: str) -> re.Pattern[str]:
    literals = _PART.split(path)[::2]
    groups = [f"(?P<{name}>[^/]+)" for name in _PART.findall(path)]
    between = zip(literals, [*groups, ""], strict=True)
    return re.compile("".join(re.escape(literal) + group for literal, group in between))
