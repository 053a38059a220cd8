"""The description and its page, as a browser gets them."""

from __future__ import annotations

import gzip
import re
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pytest

from postbreeze.http import docs, openapi
from tests.support.http_client import Api, Reply, assert_refused

PAGE = "https://api.example/api/v1/docs"
LARGEST_ANSWER = 6 * 1024 * 1024 * 3 // 4
"""What a function can answer, written in base 64."""

PATHS = ["/openapi.json", "/docs", *(f"/docs/{asset}" for asset in docs.ASSETS)]


class References(HTMLParser):
    """Collects whatever a page refers to, and every script that stands in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [
            urljoin(PAGE, given[name] or "") for name in ("src", "href") if name in given
        ]
        if tag == "style" or (tag == "script" and "src" not in given):
            self.inline.append(tag)
        self.inline += [name for name in given if name == "style" or name.startswith("on")]


@pytest.fixture(scope="module")
def api() -> Api:
    return Api()


def get(api: Api, path: str, **headers: str) -> Reply:
    """Ask without a key."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.call("GET", path, headers={"Authorization": "", **named})


def test_the_description_is_served_as_it_is_committed(api: Api) -> None:
    reply = get(api, "/openapi.json")
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.body == openapi.document()


def test_the_first_server_is_the_one_that_was_asked() -> None:
    first, *_ = openapi.document()["servers"]
    assert urljoin(PAGE, first["url"]) == "https://api.example/api/v1"


def test_the_page_refers_to_this_host_only(api: Api) -> None:
    # Given the page
    page = get(api, "/docs").body
    found = References(page)
    # Then all that it refers to is here, and nothing in it is a script or a style itself
    paths = {urlsplit(each).path for each in found.addresses if not each.startswith("data:")}
    assert paths == {f"/api/v1{path}" for path in PATHS if path != "/docs"}
    assert {urlsplit(each).netloc for each in found.addresses} <= {"api.example", ""}
    assert found.inline == []
    # And its own script names no other host, nor lets Swagger UI ask its validator
    script = get(api, "/docs/page.js").body
    assert "//" not in script
    assert "validatorUrl: null" in script
    assert not re.search(
        r"@import|url\(\s*[\"']?(https?:)?//", get(api, "/docs/swagger-ui.css").body
    )


def test_a_browser_is_told_to_load_nothing_from_elsewhere(api: Api) -> None:
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in get(api, "/docs").headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert set(" ".join(policy.values()).split()) == {"'none'", "'self'", "data:"}
    assert "data:" not in policy["script-src"]


@pytest.mark.parametrize("path", PATHS)
def test_a_copy_is_good_until_it_changes(api: Api, path: str) -> None:
    # Given a copy
    first = get(api, path)
    tag = first.headers["etag"]
    assert first.status == 200
    assert re.fullmatch(r'"[0-9a-f]{32}"', tag)
    assert re.fullmatch(r"public, max-age=[0-9]+", first.headers["cache-control"])
    # When it is asked whether it is still good, in any of the ways there are
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = get(api, path, If_None_Match=known)
        # Then it is, and is not sent again
        assert (again.status, again.body) == (304, "")
        assert again.headers["etag"] == tag
        assert again.headers["cache-control"] == first.headers["cache-control"]
    # And another is not
    assert get(api, path, If_None_Match='"other"').body == first.body


@pytest.mark.parametrize("path", PATHS)
def test_who_takes_gzip_gets_it(api: Api, path: str) -> None:
    plain = api.call("GET", path)
    for accepted in ("gzip", "br, GZIP;q=0.5", "*"):
        packed = get(api, path, Accept_Encoding=accepted)
        # Then it is the same in fewer bytes, under another tag
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["vary"] == "Accept-Encoding"
        assert packed.headers["etag"] == plain.headers["etag"][:-1] + '-gzip"'
        content = gzip.decompress(packed.body)
        assert path == "/openapi.json" or content.decode() == plain.body
        assert len(packed.body) < LARGEST_ANSWER
        tag = packed.headers["etag"]
        assert get(api, path, Accept_Encoding=accepted, If_None_Match=tag).status == 304
        assert get(api, path, If_None_Match=tag).status == 200
    for accepted in ("", "identity", "gzip;q=0", "gzip;q=0.000", "x-gzip2"):
        assert "content-encoding" not in get(api, path, Accept_Encoding=accepted).headers


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_is_small_enough_for_a_function(api: Api, path: str) -> None:
    body = get(api, path).body
    if isinstance(body, str):
        assert len(body.encode()) < LARGEST_ANSWER


def test_there_is_nothing_else_below_the_page(api: Api) -> None:
    assert_refused(get(api, "/docs/other.js"), 404, "NOT_FOUND")
    assert_refused(get(api, "/docs/html.py"), 404, "NOT_FOUND")
