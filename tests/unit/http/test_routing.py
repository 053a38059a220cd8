"""A path has the methods of its routes, and those alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postbreeze.http.routing import Event, Response, Router, Routes


def answer(_: Event, **parts: str) -> Response:
    return Response(status=200, headers={}, body=repr(sorted(parts.items())))


def routes() -> Routes:
    one, other = Router(), Router()
    one.get("/things")(answer)
    one.post("/things")(answer)
    one.patch("/things/<thing_id>")(answer)
    other.get("/things/<thing_id>/parts/<part_id>")(answer)
    other.delete("/things/all")(answer)
    other.get("/v1.0/<name>")(answer)
    return Routes([one, other])


@pytest.mark.parametrize(
    ("path", "methods", "parts"),
    [
        ("/things", {"GET", "POST"}, {}),
        ("/things/7", {"PATCH"}, {"thing_id": "7"}),
        ("/things/7/parts/8", {"GET"}, {"thing_id": "7", "part_id": "8"}),
        ("/v1.0/a", {"GET"}, {"name": "a"}),
        # A route's very text goes before one with parts that vary.
        ("/things/all", {"DELETE"}, {}),
        # A part may hold anything, also what means something elsewhere.
        ("/things/<thing_id>", {"PATCH"}, {"thing_id": "<thing_id>"}),
        ("/things/%2F .?\n", {"PATCH"}, {"thing_id": "%2F .?\n"}),
    ],
)
def test_a_path_is_found_with_its_methods_and_parts(
    path: str, methods: set[str], parts: dict[str, str]
) -> None:
    match = routes().match(path)
    assert match is not None
    assert set(match.routes) == methods
    assert match.parts == parts


@pytest.mark.parametrize(
    "path", ["", "/", "/things/", "/things//parts/8", "/things/7/parts", "/Things", "/v1x0/a"]
)
def test_every_other_path_is_unknown(path: str) -> None:
    assert routes().match(path) is None


@given(part=st.text(st.characters(exclude_characters="/"), min_size=1))
def test_a_part_is_whatever_stands_between_slashes(part: str) -> None:
    match = routes().match(f"/things/{part}/parts/{part}")
    assert match is not None
    assert match.parts == {"thing_id": part, "part_id": part}


def test_all_routes_are_told() -> None:
    assert {(route.method, route.path) for route in routes()} == {
        ("GET", "/things"),
        ("POST", "/things"),
        ("PATCH", "/things/<thing_id>"),
        ("GET", "/things/<thing_id>/parts/<part_id>"),
        ("DELETE", "/things/all"),
        ("GET", "/v1.0/<name>"),
    }
