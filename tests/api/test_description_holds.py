"""The description, held against the functions on fakes with every check of Schemathesis."""

from __future__ import annotations

from postbreeze.domain import ids
from postbreeze.domain.access import Role
from postbreeze.domain.post import Post, PostStatus
from postbreeze.http import openapi
from postbreeze.http.responses import BASE_PATH
from tests.support.builders import a_delivery, an_endpoint
from tests.support.exploring import (
    CHECKED,
    EXAMPLES,
    Place,
    checks_there_are,
    explore,
    fitting_webhooks,
    labels,
)
from tests.support.http_client import Api
from tests.support.served_api import ServedApi

FITTING = {
    "approvePost": {PostStatus.NEEDS_APPROVAL},
    "editPost": {PostStatus.DRAFT, PostStatus.SCHEDULED, PostStatus.FAILED},
    "retryPost": {PostStatus.FAILED},
    "retryFirstComment": {PostStatus.PUBLISHED},
    "schedulePost": {PostStatus.DRAFT, PostStatus.FAILED, PostStatus.CANCELED},
}


def things_at(url: str, api: Api) -> Place:
    """Make things of every kind, and posts in every state."""
    posts = [api.put_post(status) for status in PostStatus for _ in range(6)]
    file = {"filename": "a.png", "contentType": "image/png", "bytes": 7}
    assets = [api.call("POST", "/media/presign", file).body["mediaAsset"] for _ in range(30)]
    api.world.files.files["https://example.com/spring.png"] = (b"picture", "image/png")
    accounts = [api.add_account(api.workspace_id) for _ in range(30)]
    removable = [_an_endpoint_and_a_delivery(api)[0] for _ in range(6)]
    deliveries = dict(_an_endpoint_and_a_delivery(api) for _ in range(6))
    return Place(
        url=url + BASE_PATH,
        key=api.keys[Role.OWNER],
        known={
            ids.POST: [post.id for post in posts],
            ids.TARGET: [target.id for post in posts for target in post.targets],
            ids.ACCOUNT: [*api.accounts, *accounts],
            ids.WORKSPACE: [api.workspace_id],
            ids.MEDIA: [asset["id"] for asset in assets],
            ids.ENDPOINT: removable,
        },
        fitting={
            **fitting_webhooks(deliveries),
            **{
                name: [_parameters(name, post) for post in posts if post.status in statuses]
                for name, statuses in FITTING.items()
            },
        },
        receiver="https://hooks.example.com/",
        now=api.world.clock.now(),
    )


def _an_endpoint_and_a_delivery(api: Api) -> tuple[str, str]:
    endpoint = an_endpoint(workspace_id=api.workspace_id)
    delivery = a_delivery(endpoint)
    api.world.webhooks.add_endpoint(endpoint)
    api.world.webhooks.add_delivery(delivery)
    return endpoint.id, delivery.id


def _parameters(operation: str, post: Post) -> dict[str, str]:
    if operation == "retryFirstComment":
        return {"postId": post.id, "targetId": post.targets[0].id}
    return {"postId": post.id}


def test_every_check_is_made_or_known_not_to_apply() -> None:
    assert checks_there_are() == CHECKED | {"object_level_authorization"}


def test_the_functions_do_what_the_description_says() -> None:
    # Given the API with things in it
    api = Api()
    with ServedApi(api) as server:
        place = things_at(server.url, api)
        # When it is explored
        description = openapi.document()
        found = explore(description, place)
    # Then nothing is wrong
    assert found.faults == []
    # And every operation was tried in many ways, and has done what it is for
    for operation in labels(description):
        assert found.tried[operation] >= EXAMPLES, operation
        assert min(found.statuses(operation)) < 300, operation
    # And every check was made
    assert found.checked.keys() == CHECKED
