"""Every operation in a world in which it is about to be done, for tests of what goes wrong then.

Each is registered for the function that does it. Made twice, a life goes the same way twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from io import BytesIO
from typing import Any, cast

import pytest

from postbreeze.domain.access import Role, Workspace
from postbreeze.domain.disconnection import GRACE, LAST_PASS_AFTER
from postbreeze.domain.endpoint_health import Health
from postbreeze.domain.errors import UnavailableError
from postbreeze.domain.lifecycle import LEASE, NOT_COMPLETED, OUTCOME_UNKNOWN
from postbreeze.domain.media import asset_document
from postbreeze.domain.post import (
    AccountStatus,
    Platform,
    Post,
    PostStatus,
    TargetStatus,
)
from postbreeze.domain.webhook import (
    FAILING_AT_MOST,
    DeliveryStatus,
    EndpointStatus,
    Lane,
    changed,
    failing,
)
from postbreeze.operations import list_posts
from postbreeze.operations.administer.endpoints import EndpointChange
from postbreeze.operations.answers import Answer, Idempotency
from postbreeze.operations.list_posts import ListPosts
from postbreeze.operations.manage_endpoints import (
    CreateEndpoint,
    ListDeliveries,
    ManageEndpoints,
)
from postbreeze.operations.media.ports import FetchedFile
from postbreeze.operations.ports import DeliveryFilter, Registry
from postbreeze.operations.publish import ACCOUNT_NOT_ACTIVE
from postbreeze.operations.webhook_ports import WebhookResponse, WebhookSendError
from postbreeze.operations.workspaces import ReadAccounts, ReadWorkspaces
from tests.support.core import (
    A_MINUTE,
    A_SECOND,
    AN_HOUR,
    ENDPOINT,
    USERS,
    WORKSPACE,
    Core,
    DiedError,
    Message,
    Mortal,
    Tapped,
    numbered,
    straight,
)
from tests.support.endpoints import MANAGER, managing
from tests.support.fakes import FakeFileSource, QueuedDelivery
from tests.support.library import Desk
from tests.support.operators import FakeOperator
from tests.support.platforms import Accident

CALLS_UP_TO_THE_ANSWER = 7
"""A publisher's: post, account, its secret, preparing, claim, the account again, the call."""

SAME = Idempotency(key="k", request_digest="d")

ACCOUNT = numbered("soc", 20)


class By(Enum):
    """Who has something done, and so who has it done again when it goes wrong."""

    CLIENT = "request"
    OPERATOR = "command"
    QUEUE = "message"
    SCHEDULER = "fire"
    CLOCK = "minute"


@dataclass(slots=True, kw_only=True)
class Life:
    """A world in which something is about to be done.

    ``message`` is what a queue would have it done again with. ``accepted`` tells whether it was
    written that the wish is granted. ``is_repeatable`` where asking again gives the same thing
    once. ``is_read`` where nothing is to be changed, so that the same must be told whatever
    happens. ``has_one_end`` where it is the same in the end whoever comes first. ``ending`` is what
    somebody does when all is over, before it is looked at.
    """

    core: Core
    act: Callable[[], object]
    message: Message | None = None
    accepted: Callable[[], bool] | None = None
    is_repeatable: bool = True
    is_read: bool = False
    has_one_end: bool = True
    ending: Callable[[], None] = field(default=lambda: None)
    check: Callable[[], None] = field(default=lambda: None)


Stage = Callable[[], Life]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A life to be made, the function that is to do the work, and who has it done."""

    name: str
    function: str
    by: By
    stage: Stage


SCENARIOS: dict[str, Scenario] = {}


def of(function: str, by: By = By.CLIENT) -> Callable[[Stage], Stage]:
    """Register a life of a function."""

    def register(stage: Stage) -> Stage:
        name = stage.__name__
        SCENARIOS[name] = Scenario(name=name, function=function, by=by, stage=stage)
        return stage

    return register


# cancel_post


def _changing(core: Core, act: Callable[[], object], name: str, **rest: Any) -> Life:
    """Have a post changed by what ``core.acts`` calls ``name``."""
    made = len(core.acts)
    return Life(core=core, act=act, accepted=lambda: name in core.acts[made:], **rest)


def _scheduled(targets: int = 2, **wanted: Any) -> tuple[Core, Post]:
    core = Core()
    post = core.created(targets, **wanted)
    core.drain_messages()
    return core, post


@of("cancel_post")
def cancelling() -> Life:
    core, post = _scheduled()
    return _changing(core, lambda: core.cancel(post.id), "cancel")


@of("cancel_post")
def cancelling_with_a_key() -> Life:
    core, post = _scheduled()
    return _changing(core, lambda: core.cancel(post.id, idempotency=SAME), "cancel")


@of("cancel_post")
def cancelling_one() -> Life:
    core = Core()
    post = core.created(2)
    chosen = (post.targets[0].id,)
    return _changing(
        core, lambda: core.cancel(post.id, target_ids=chosen, idempotency=SAME), "cancel"
    )


@of("cancel_post")
def cancelling_what_is_being_published() -> Life:
    core, post = _started()
    core.handle(core.ready()[0])
    return _changing(core, lambda: core.cancel(post.id, idempotency=SAME), "cancel")


@of("cancel_post")
def cancelling_what_is_cancelled() -> Life:
    core, post = _scheduled()
    core.cancel(post.id)
    core.drain_messages()
    return Life(core=core, act=lambda: core.cancel(post.id, idempotency=SAME))


@of("cancel_post")
def cancelling_what_is_public() -> Life:
    core, post = _started()
    core.drain()
    return Life(core=core, act=lambda: core.cancel(post.id, idempotency=SAME), is_read=True)


@of("cancel_post")
def cancelling_what_moves() -> Life:
    """Somebody else edits the post between reading and writing."""
    core, post = _scheduled()
    core.before("posts.commit", lambda: core.edit(post.id, core.a_draft(2, caption="Edited")))
    return _changing(core, lambda: core.cancel(post.id, idempotency=SAME), "cancel")


@of("cancel_post")
def cancelling_as_one_of_other_rights() -> Life:
    """The caller's role changes between reading and writing."""
    core, post = _scheduled()

    def demoted() -> None:
        core.add_member(USERS[Role.OWNER], Role.CLIENT_REVIEWER)
        core.before(
            "posts.commit", lambda: core.add_member(USERS[Role.OWNER], Role.CLIENT_REVIEWER)
        )
        core.before("directory.member", lambda: core.add_member(USERS[Role.OWNER], Role.ADMIN))

    core.before("posts.commit", demoted)
    core.before("posts.commit", lambda: core.add_member(USERS[Role.OWNER], Role.ADMIN))
    return _changing(core, lambda: core.cancel(post.id, idempotency=SAME), "cancel")


@of("cancel_post")
def cancelling_for_the_second_time() -> Life:
    """The same request as before, whose answer the client has not seen."""
    core, post = _scheduled()
    core.cancel(post.id, idempotency=SAME)
    core.drain_messages()
    core.before("posts.answer", lambda: None)
    return Life(core=core, act=lambda: core.cancel(post.id, idempotency=SAME))


@of("cancel_post")
def cancelling_for_the_second_time_what_is_scheduled_again() -> Life:
    """Said again, what the first request was told would not be so any more."""
    core, post = _scheduled()
    core.cancel(post.id, idempotency=SAME)
    core.drain_messages()
    core.schedule(post.id, core.clock.at + 2 * AN_HOUR, again=True)
    core.drain_messages()
    return Life(core=core, act=lambda: core.cancel(post.id, idempotency=SAME), is_read=True)


@of("cancel_post")
def cancelling_what_is_read_half_way() -> Life:
    """The post's row is read before somebody else's cancel, and its targets after it."""
    core, post = _scheduled()

    def torn(post_id: str) -> Post:
        vars(core.posts).pop("read", None)
        core.cancel(post_id)
        return replace(core.post(post_id), targets=post.targets)

    def act() -> object:
        vars(core.posts)["read"] = torn
        try:
            return core.cancel(post.id, idempotency=SAME)
        finally:
            vars(core.posts).pop("read", None)

    return Life(core=core, act=act, has_one_end=False)


@of("cancel_post")
def cancelling_to_see_what_would_happen() -> Life:
    core, post = _scheduled()
    return Life(core=core, act=lambda: core.cancel(post.id, dry_run=True), is_read=True)


# posts_api


@of("posts_api")
def creating() -> Life:
    core = Core()
    return _changing(core, lambda: core.create(core.a_draft(2), idempotency=SAME), "create")


@of("posts_api")
def creating_a_draft() -> Life:
    core = Core()
    draft = core.a_draft(2, scheduled_for=None)
    return _changing(core, lambda: core.create(draft, idempotency=SAME), "create")


@of("posts_api")
def creating_where_posts_are_counted() -> Life:
    core = Core()
    limited = Workspace(id=WORKSPACE, name="One", created_at=core.clock.at, post_limit=1)
    core.directory.add_workspace(limited)

    def check() -> None:
        assert sum(core.posts.usage.values()) == len(core.posts._posts) <= 1

    draft = core.a_draft(1)
    act = lambda: core.create(draft, idempotency=SAME)  # noqa: E731  # as all the others
    return _changing(core, act, "create", check=check)


@of("posts_api")
def creating_with_what_has_just_arrived() -> Life:
    desk = Desk()
    asset_id = desk.presigned()
    desk.arrive(asset_id)
    core = desk.core
    draft = core.a_draft(1, media_ids=(asset_id,))
    act = lambda: core.create(draft, idempotency=SAME)  # noqa: E731  # as all the others
    return _changing(
        core, act, "create", ending=lambda: _assert_ready(desk, asset_id), check=desk.check
    )


@of("posts_api")
def creating_again() -> Life:
    """The first request died after its commit."""
    core = Core()
    draft = core.a_draft(2)
    core.tap = _Until("posts.commit")
    with pytest.raises(DiedError):
        core.create(draft, idempotency=SAME)
    core.tap = straight
    core.advance(61 * A_SECOND)
    return Life(core=core, act=lambda: core.create(draft, idempotency=SAME))


@of("posts_api")
def scheduling() -> Life:
    core, post = _scheduled(scheduled_for=None)
    at = core.clock.at + AN_HOUR
    return _changing(core, lambda: core.schedule(post.id, at, idempotency=SAME), "schedule")


@of("posts_api")
def scheduling_what_moves_on_meanwhile() -> Life:
    """Somebody else cancels the post while its schedule is made."""
    core, post = _scheduled(scheduled_for=None)
    at = core.clock.at + AN_HOUR
    core.before("schedules.arm", lambda: core.cancel(post.id))
    return Life(core=core, act=lambda: core.schedule(post.id, at, idempotency=SAME))


@of("posts_api")
def rescheduling() -> Life:
    core, post = _scheduled()
    at = core.clock.at + 2 * AN_HOUR
    return _changing(
        core, lambda: core.schedule(post.id, at, again=True, idempotency=SAME), "schedule"
    )


@of("posts_api")
def rescheduling_what_was_cancelled() -> Life:
    core, post = _scheduled()
    at = core.clock.at + 2 * AN_HOUR
    core.cancel(post.id)
    core.drain_messages()
    return _changing(
        core, lambda: core.schedule(post.id, at, again=True, idempotency=SAME), "schedule"
    )


@of("posts_api")
def rescheduling_again() -> Life:
    """The first request died after its commit."""
    core, post = _scheduled()
    at = core.clock.at + 2 * AN_HOUR
    core.tap = _Until("posts.commit")
    with pytest.raises(DiedError):
        core.schedule(post.id, at, again=True, idempotency=SAME)
    core.tap = straight
    core.advance(61 * A_SECOND)
    act = lambda: core.schedule(post.id, at, again=True, idempotency=SAME)  # noqa: E731
    return Life(core=core, act=act)


@of("posts_api")
def editing() -> Life:
    core, post = _scheduled()
    draft = core.a_draft(3, caption="Edited", scheduled_for=core.clock.at + 2 * AN_HOUR)
    return _changing(core, lambda: core.edit(post.id, draft, idempotency=SAME), "edit")


@of("posts_api")
def editing_with_an_asset() -> Life:
    desk = Desk()
    core = desk.core
    post = core.created(1)
    core.drain_messages()
    asset = desk.ready()
    draft = core.a_draft(1, media_ids=(asset.id,))
    act = lambda: core.edit(post.id, draft, idempotency=SAME)  # noqa: E731  # as all the others
    return _changing(core, act, "edit", check=desk.check)


@of("posts_api")
def deleting() -> Life:
    core, post = _scheduled()
    return _changing(core, lambda: core.delete(post.id, idempotency=SAME), "delete")


@of("posts_api")
def approving() -> Life:
    core, post = _scheduled(requires_approval=True)
    return _changing(core, lambda: core.approve(post.id, idempotency=SAME), "approve")


@of("posts_api")
def retrying() -> Life:
    core, post = _started()
    core.platform.publish_accidents.append(Accident.REFUSED)
    core.drain_messages()
    assert core.post(post.id).status is PostStatus.PARTIALLY_PUBLISHED
    return _changing(core, lambda: core.retry(post.id, idempotency=SAME), "retry")


@of("posts_api")
def retrying_a_comment() -> Life:
    core, post = _started(first_comment="First!")
    core.platform.comment_accidents.append(Accident.REFUSED)
    core.drain_messages()
    core.advance(A_SECOND * 31)
    [owing] = [each for each in core.post(post.id).targets if each.first_comment_error]
    return _changing(
        core,
        lambda: core.retry_comment(post.id, owing.id, idempotency=SAME),
        "retry comment",
    )


@of("posts_api")
def reading() -> Life:
    core, post = _scheduled()
    return Life(core=core, act=lambda: core.read_post("owner", post.id), is_read=True)


@of("posts_api")
def reading_up_to_a_limit() -> Life:
    """Five requests with a key that has three a minute."""
    core, post = _scheduled()
    key = core.add_key("limited", owner=USERS[Role.OWNER])
    core.directory._keys["limited"] = replace(key, requests_per_minute=3)
    granted: list[object] = []

    def act() -> object:
        granted.extend(core.read_post("limited", post.id) for _ in range(5))
        return granted

    def check() -> None:
        assert len(granted) <= 3, "more requests were let through than the key may make"

    return Life(core=core, act=act, check=check, is_repeatable=False)


@of("posts_api")
def listing() -> Life:
    return _listing(WORKSPACE)


@of("posts_api")
def listing_everywhere() -> Life:
    return _listing(None)


def _listing(workspace_id: str | None) -> Life:
    """Read the second page of a listing in which something has moved meanwhile."""
    core, _ = _scheduled()
    others = [core.created(1) for _ in range(3)]
    listed = ListPosts(
        posts=core.change_post.posts,
        directory=core.change_post.directory,
        together=core.world.together,
        clock=core.clock,
    )
    command = list_posts.ListCommand(key_digest="owner", workspace_id=workspace_id, limit=2)
    first = listed(command)
    core.advance(A_MINUTE)
    core.cancel(others[-1].id)
    core.drain_messages()
    following = replace(command, cursor=first.cursor)
    return Life(core=core, act=lambda: listed(following), is_read=True)


# workspaces_api


@of("workspaces_api")
def listing_workspaces() -> Life:
    core, reads, _ = _rooms()
    return Life(core=core, act=lambda: reads.all("owner"), is_read=True)


@of("workspaces_api")
def reading_a_workspace() -> Life:
    core, reads, _ = _rooms()
    return Life(core=core, act=lambda: reads.one("owner", WORKSPACE), is_read=True)


@of("workspaces_api")
def listing_accounts() -> Life:
    core, _, reads = _rooms()
    return Life(core=core, act=lambda: reads.all("owner", None), is_read=True)


@of("workspaces_api")
def listing_accounts_of_one() -> Life:
    core, _, reads = _rooms()
    return Life(core=core, act=lambda: reads.all("owner", WORKSPACE), is_read=True)


@of("workspaces_api")
def reading_an_account() -> Life:
    core, _, reads = _rooms()
    return Life(core=core, act=lambda: reads.one("owner", ACCOUNT), is_read=True)


def _rooms() -> tuple[Core, ReadWorkspaces, ReadAccounts]:
    core = Core()
    core.directory.add_workspace(Workspace(id=WORKSPACE, name="One", created_at=core.clock.at))
    wired: dict[str, Any] = {
        "directory": core.create_post.directory,
        "together": core.world.together,
        "clock": core.clock,
    }
    return core, ReadWorkspaces(**wired), ReadAccounts(**wired)


@of("workspaces_api")
def disconnecting() -> Life:
    core = _connected()
    return _disconnecting(core, lambda: core.disconnect_account("owner", ACCOUNT))


def _connected() -> Core:
    """Make a world in which an account has posts in every state."""
    core = Core()
    core.created(2)
    core.advance(AN_HOUR)
    core.fire_due()
    core.drain_messages(publishing=False)
    for targets, wanted in ((1, {}), (2, {}), (1, {"requires_approval": True})):
        core.created(targets, **wanted)
    core.created(1, scheduled_for=None)
    core.drain_messages(publishing=False)
    return core


def _disconnecting(core: Core, act: Callable[[], object]) -> Life:
    def is_disconnected() -> bool:
        account = core.directory.account(WORKSPACE, ACCOUNT)
        assert account is not None
        return account.status is AccountStatus.DISCONNECTED

    def check() -> None:
        assert core.world.disconnections.works == {}
        # Once for each delivery that reached the endpoint, and there is one delivery.
        assert ("account.disconnected" in core.received()) == is_disconnected()
        for post_id in core.posts._posts:
            post = core.post(post_id)
            for target in post.targets:
                if target.social_account_id != ACCOUNT or not is_disconnected():
                    continue
                assert target.status is not TargetStatus.SCHEDULED
                # A claim may arrive after its publisher has given up: then nobody can be asked.
                codes = {None, ACCOUNT_NOT_ACTIVE, NOT_COMPLETED, OUTCOME_UNKNOWN}
                assert target.error_code in codes, target

    return Life(core=core, act=act, accepted=is_disconnected, check=check, has_one_end=False)


# media_api


@of("media_api")
def asking_for_an_upload() -> Life:
    """Ask for one, bring the bytes, and look."""
    desk = Desk()
    told: list[str] = []

    def act() -> object:
        answer = desk.presign()
        told.append(answer.body["mediaAsset"]["id"])
        return answer

    def ending() -> None:
        for asset_id in told:
            desk.arrive(asset_id)
            assert desk.read_asset("owner", asset_id).body["status"] == "READY"

    return Life(core=desk.core, act=act, is_repeatable=False, ending=ending, check=desk.check)


@of("media_api")
def asking_for_an_upload_somewhere() -> Life:
    desk = Desk()
    act = lambda: desk.presign(workspace=None)  # noqa: E731  # as all the others
    return Life(core=desk.core, act=act, is_repeatable=False, check=desk.check)


@of("media_api")
def adding_from_an_address() -> Life:
    desk = Desk()
    desk.files = _Files()
    desk.files.files["https://files.example/a.png"] = (b"png", "image/png")
    told: list[Answer] = []

    def act() -> object:
        told.append(desk.from_url("https://files.example/a.png"))
        return told[-1]

    def check() -> None:
        desk.check()
        for answer in told:
            asset = desk.asset(str(answer.body["id"]))
            assert answer.body == asset_document(asset)

    return Life(core=desk.core, act=act, is_repeatable=False, check=check)


class _Sent(BytesIO):
    """A body that is sent whole, from its beginning each time, and however late it arrives."""

    def read(self, size: int | None = -1, /) -> bytes:
        return self.getvalue()


class _Files(FakeFileSource):
    @contextmanager
    def fetch(self, url: str) -> Iterator[FetchedFile]:
        with super().fetch(url) as file:
            yield replace(file, body=_Sent(file.body.read()))


@of("media_api")
def listing_assets() -> Life:
    desk = Desk()
    desk.ready(id=numbered("med", 1))
    desk.presigned()
    return Life(core=desk.core, act=desk.listed, is_read=True)


@of("media_api")
def reading_an_asset_that_has_arrived() -> Life:
    desk = Desk()
    asset_id = desk.presigned()
    desk.arrive(asset_id)
    act = lambda: desk.read_asset("owner", asset_id)  # noqa: E731  # as all the others
    return Life(
        core=desk.core,
        act=act,
        ending=lambda: _assert_ready(desk, asset_id),
        check=desk.check,
        is_read=True,
    )


@of("media_api")
def reading_an_asset_that_two_look_at() -> Life:
    """Somebody else completes it in between."""
    desk = Desk()
    asset_id = desk.presigned()
    desk.arrive(asset_id)
    desk.core.before("assets.replace", lambda: desk.read_asset("owner", asset_id))
    act = lambda: desk.read_asset("owner", asset_id)  # noqa: E731  # as all the others
    return Life(core=desk.core, act=act, check=desk.check, is_read=True)


def _assert_ready(desk: Desk, asset_id: str) -> None:
    assert desk.read_asset("owner", asset_id).body["status"] == "READY"


@of("media_api")
def editing_an_asset() -> Life:
    desk = Desk()
    asset = desk.ready()
    act = lambda: desk.edit_asset("owner", asset.id, "A gull")  # noqa: E731  # as all the others
    return Life(core=desk.core, act=act, check=desk.check)


@of("media_api")
def editing_an_asset_that_changes() -> Life:
    desk = Desk()
    asset = desk.ready()
    desk.core.before("assets.replace", lambda: desk.edit_asset("owner", asset.id, "A tern"))
    act = lambda: desk.edit_asset("owner", asset.id, "A gull")  # noqa: E731  # as all the others
    return Life(core=desk.core, act=act, check=desk.check)


@of("media_api")
def deleting_an_asset() -> Life:
    """One that a post needed which has been published since."""
    desk = Desk()
    core, asset = desk.core, desk.ready()
    core.created(1, media_ids=(asset.id,))
    core.drain()
    return _deleting(desk, asset.id)


@of("media_api")
def deleting_an_asset_that_is_needed() -> Life:
    desk = Desk()
    core, asset = desk.core, desk.ready()
    core.created(1, media_ids=(asset.id,))
    core.drain_messages()
    return _deleting(desk, asset.id)


@of("media_api")
def deleting_an_asset_that_changes() -> Life:
    desk = Desk()
    asset = desk.ready()
    desk.core.before("assets.replace", lambda: desk.edit_asset("owner", asset.id, "A tern"))
    return _deleting(desk, asset.id)


def _deleting(desk: Desk, asset_id: str) -> Life:
    def ending() -> None:
        """Let somebody finish, or find it whole, where the client has given up."""
        desk.core.advance(2 * A_MINUTE)
        present = desk.assets.asset(asset_id)
        if present is not None and present.status == "DELETED":
            desk.delete_asset("owner", asset_id)
        elif present is not None:
            desk.read_asset("owner", asset_id)

    def check() -> None:
        desk.check()
        if desk.assets.asset(asset_id) is None:
            assert desk.storage.objects == {}
            assert desk.assets.naming.get(asset_id, set()) == set()

    act = lambda: desk.delete_asset("owner", asset_id)  # noqa: E731  # as all the others
    return Life(core=desk.core, act=act, ending=ending, check=check)


# start_publish


@of("start_publish", By.SCHEDULER)
def starting() -> Life:
    core, post = _scheduled()
    core.advance(AN_HOUR)
    return Life(core=core, act=lambda: core.start(post.id, f"{post.id}-1"))


@of("start_publish", By.SCHEDULER)
def starting_what_was_rescheduled() -> Life:
    core, post = _scheduled()
    core.schedule(post.id, core.clock.at + 2 * AN_HOUR, again=True)
    core.drain_messages()
    core.advance(AN_HOUR)
    return Life(core=core, act=lambda: core.start(post.id, f"{post.id}-1"))


@of("start_publish", By.SCHEDULER)
def starting_too_late() -> Life:
    core, post = _scheduled()
    core.advance(3 * AN_HOUR)
    return Life(core=core, act=lambda: core.start(post.id, f"{post.id}-1"))


# publish_target


def _started(first_comment: str | None = None) -> tuple[Core, Post]:
    core = Core()
    post = core.created(2, first_comment=first_comment)
    core.advance(AN_HOUR)
    core.fire_due()
    core.drain_messages(publishing=False)
    return core, core.post(post.id)


def _handling_first(core: Core) -> Life:
    entry = core.ready()[0]
    core.waiting.remove(entry)
    return Life(core=core, act=lambda: core.do(entry[1]), message=entry[1])


def _publishing(*accidents: Accident, first_comment: str | None = None) -> Life:
    core, _ = _started(first_comment)
    core.platform.publish_accidents.extend(accidents)
    # An accident hits whichever call is the next.
    return replace(_handling_first(core), has_one_end=not accidents)


@of("publish_target", By.QUEUE)
def publishing() -> Life:
    return _publishing()


@of("publish_target", By.QUEUE)
def publishing_with_a_comment() -> Life:
    return _publishing(first_comment="First!")


@of("publish_target", By.QUEUE)
def publishing_in_vain() -> Life:
    return _publishing(Accident.UNREACHABLE)


@of("publish_target", By.QUEUE)
def publishing_what_is_refused() -> Life:
    return _publishing(Accident.REFUSED)


@of("publish_target", By.QUEUE)
def publishing_without_an_answer() -> Life:
    return _publishing(Accident.LOST_ANSWER)


@of("publish_target", By.QUEUE)
def publishing_without_a_trace() -> Life:
    return _publishing(Accident.LOST_REQUEST)


@of("publish_target", By.QUEUE)
def publishing_the_last() -> Life:
    core, _ = _started()
    core.handle(core.ready()[0])
    return _handling_first(core)


@of("publish_target", By.QUEUE)
def publishing_what_was_cancelled() -> Life:
    core, post = _started()
    core.cancel(post.id)
    return _handling_first(core)


@of("publish_target", By.QUEUE)
def publishing_what_is_cancelled_meanwhile() -> Life:
    core, post = _started()
    core.before("posts.commit", lambda: core.cancel(post.id))
    return _handling_first(core)


@of("publish_target", By.QUEUE)
def publishing_when_the_claim_is_not_answered() -> Life:
    core, _ = _started()
    core.fails_after("posts.commit", UnavailableError("answer lost"))
    return replace(_handling_first(core), has_one_end=False)


@of("publish_target", By.QUEUE)
def publishing_too_early() -> Life:
    """The first attempt has failed; its message is delivered again at once."""
    life = publishing_in_vain()
    life.act()
    return Life(core=life.core, act=life.act, message=life.message)


@of("publish_target", By.QUEUE)
def making_a_comment_that_is_owed() -> Life:
    life = publishing_with_a_comment()
    core = life.core
    core.tap = _Until("platform.publish", "posts.commit")
    with pytest.raises(DiedError):
        life.act()
    core.tap = straight
    return Life(core=core, act=life.act, message=life.message)


@of("publish_target", By.QUEUE)
def resolving() -> Life:
    """A publisher has died after its call; what became of the claim is to be found out."""
    return _resolving("platform.publish")


@of("publish_target", By.QUEUE)
def resolving_what_was_never_sent() -> Life:
    return _resolving("posts.commit")


@of("publish_target", By.QUEUE)
def resolving_for_the_last_time() -> Life:
    """Its platform could not be reached for more than an hour."""
    life = resolving()
    life.core.advance(2 * AN_HOUR)
    return replace(life, has_one_end=False)


def _resolving(*up_to: str) -> Life:
    core, _ = _started()
    core.tap = _Until(*up_to)
    entry = core.ready()[0]
    with pytest.raises(DiedError):
        core.do(entry[1])
    core.tap = straight
    core.waiting.remove(entry)
    core.run_queues()
    core.advance(LEASE + A_SECOND)
    core.reconcile()
    return _handling_first(core)


# fan_out_event, deliver_webhook


@of("fan_out_event", By.QUEUE)
def fanning_out() -> Life:
    core = Core()
    core.webhooks.add_endpoint(core.an_endpoint(2))
    post = core.created(1)
    core.drain_messages()
    core.cancel(post.id)
    return _handling_first(core)


@of("fan_out_event", By.QUEUE)
def fanning_out_again() -> Life:
    life = fanning_out()
    life.act()
    return life


@of("deliver_webhook", By.QUEUE)
def delivering() -> Life:
    life = fanning_out()
    life.act()
    return _handling_first(life.core)


@of("deliver_webhook", By.QUEUE)
def delivering_in_vain() -> Life:
    life = delivering()
    life.core.sender.script.append(500)
    return life


@of("deliver_webhook", By.QUEUE)
def delivering_to_nobody() -> Life:
    life = delivering()
    life.core.sender.script.append(WebhookSendError("CONNECT_FAILED", "Nobody is there."))
    return life


@of("deliver_webhook", By.QUEUE)
def delivering_too_early() -> Life:
    life = delivering_in_vain()
    life.act()
    return Life(core=life.core, act=life.act, message=life.message)


@of("deliver_webhook", By.QUEUE)
def delivering_to_what_is_gone() -> Life:
    """The endpoint answers 410, once; its owner enables it again in the end."""
    life = delivering()
    core = life.core
    core.sender.script.append(410)

    def enabled() -> None:
        # By then the others know. Who died right after having written it has counted nothing.
        assert all(endpoint.notice is None for endpoint in core.webhooks.endpoints(WORKSPACE))
        if core.telemetry.counts["EndpointDisabled"]:
            assert "webhook.disabled" in core.received()
        _enable(core)

    return replace(life, ending=enabled, has_one_end=False)


@of("deliver_webhook", By.QUEUE)
def delivering_to_what_has_failed_too_long() -> Life:
    """The endpoint has failed for five days; its owner enables it again in the end."""
    life = delivering_in_vain()
    _failing(life, FAILING_AT_MOST)
    # A request that happens twice is taken the second time.
    return replace(life, ending=lambda: _enable(life.core), has_one_end=False)


@of("deliver_webhook", By.QUEUE)
def delivering_to_what_is_well_again() -> Life:
    """The endpoint has failed; its owner changes it at the moment in which it succeeds."""
    life = delivering()
    _failing(life, timedelta(0))
    core, endpoint = life.core, _endpoint_of(life)

    def described() -> None:
        present = core.webhooks.endpoint(WORKSPACE, endpoint)
        assert present is not None
        described = changed(present, now=core.clock.at, description="Ours")
        core.webhooks.replace_endpoint(described, expected_revision=present.revision)

    core.before("webhooks.replace_endpoint", described)
    return life


@of("deliver_webhook", By.QUEUE)
def delivering_to_what_is_slow() -> Life:
    """The endpoint has no answer for a second; another worker notes something of it meanwhile."""
    life = delivering()
    core = life.core
    core.sender.script.append(WebhookResponse(status=200, headers={}, body=b"", duration_ms=9_000))
    core.before("webhooks.replace_health", lambda: _known(life, failures=1))
    return life


@of("deliver_webhook", By.QUEUE)
def handing_over_to_the_late_lane() -> Life:
    life = delivering()
    _known(life, slow_since=life.core.clock.at)
    return life


@of("deliver_webhook", By.QUEUE)
def delivering_in_the_late_lane() -> Life:
    return _late(handing_over_to_the_late_lane())


@of("deliver_webhook", By.QUEUE)
def delivering_what_has_to_wait() -> Life:
    """The endpoint's circuit is open for a minute."""
    life = delivering()
    _known(life, failures=5, open_until=life.core.clock.at + A_MINUTE)
    return _late(life)


@of("deliver_webhook", By.QUEUE)
def delivering_when_no_trial_is_free() -> Life:
    life = delivering()
    until = life.core.clock.at + A_MINUTE
    _known(life, trials={"dlv_1": until, "dlv_2": until})
    return _late(life)


def _late(life: Life) -> Life:
    """Have a delivery's message come by the late lane."""
    core = life.core
    assert isinstance(life.message, QueuedDelivery)
    message = replace(life.message, lane=Lane.LATE)
    return Life(core=core, act=lambda: core.do(message), message=message)


@of("deliver_webhook", By.QUEUE)
def delivering_at_a_pace() -> Life:
    """The endpoint wants a request a second, and has just got one."""
    life = delivering()
    core, endpoint_id = life.core, _endpoint_of(life)
    endpoint = core.webhooks.endpoint(WORKSPACE, endpoint_id)
    assert endpoint is not None
    paced = changed(endpoint, now=core.clock.at, rate_limit=1)
    core.webhooks.replace_endpoint(paced, expected_revision=endpoint.revision)
    core.webhooks.reserve(endpoint_id, now=core.clock.at, interval=A_SECOND)
    return life


def _known(life: Life, **fields: Any) -> None:
    """Have the endpoint be known to be like that."""
    endpoint_id = _endpoint_of(life)
    health = Health(endpoint_id=endpoint_id, workspace_id=WORKSPACE, **fields)
    life.core.webhooks.replace_health(health, expected_revision=0)


def _failing(life: Life, since: timedelta) -> None:
    core = life.core
    endpoint = core.webhooks.endpoint(WORKSPACE, _endpoint_of(life))
    assert endpoint is not None
    core.webhooks.replace_endpoint(
        failing(endpoint, now=core.clock.at - since), expected_revision=endpoint.revision
    )


@of("deliver_webhook", By.QUEUE)
def delivering_to_what_was_disabled() -> Life:
    life = delivering()
    life.core.endpoints.disable(WORKSPACE, _endpoint_of(life))
    return replace(life, ending=lambda: _enable(life.core))


@of("deliver_webhook", By.QUEUE)
def delivering_what_was_parked() -> Life:
    """Its endpoint was enabled at the very moment in which it was parked."""
    life = delivering_to_what_was_disabled()
    core, endpoint = life.core, _endpoint_of(life)

    def enabled() -> None:
        present = core.webhooks.endpoint(WORKSPACE, endpoint)
        assert present is not None
        core.endpoints.enable(WORKSPACE, endpoint)

    core.before("webhooks.replace_delivery", enabled)
    return life


def _endpoint_of(life: Life) -> str:
    endpoint_id = getattr(life.message, "endpoint_id", None)
    assert isinstance(endpoint_id, str)
    return endpoint_id


def _enable(core: Core) -> None:
    for endpoint in core.webhooks.endpoints(WORKSPACE):
        core.endpoints.enable(WORKSPACE, endpoint.id)


# webhooks_api


def _managing(
    act: Callable[[ManageEndpoints], object], *, core: Core | None = None, **rest: Any
) -> Life:
    """Have something done about the endpoint by who may."""
    core = core or Core()
    manage = managing(core)
    return Life(core=core, act=lambda: act(manage), **rest)


def _told(core: Core) -> str:
    """Have the endpoint told of something, and return which delivery it was."""
    core.created(1, scheduled_for=None)
    core.drain_messages()
    [delivery] = core.webhooks._deliveries.values()
    return delivery.id


_DELIVERIES = DeliveryFilter(statuses=frozenset({DeliveryStatus.DELIVERED}))

_MANAGING: Mapping[str, tuple[Callable[[ManageEndpoints], object], bool]] = {
    "creating_an_endpoint": (
        lambda manage: manage.create(
            MANAGER,
            CreateEndpoint(
                workspace_id=WORKSPACE,
                url="https://hooks.example/9",
                event_filters=("post.*",),
                description=None,
                headers={},
                rate_limit=None,
            ),
        ),
        False,
    ),
    "changing_an_endpoint": (
        lambda manage: manage.update(
            MANAGER, ENDPOINT, EndpointChange(url="https://hooks.example/9")
        ),
        True,
    ),
    "disabling_an_endpoint_of_ones_own": (
        lambda manage: manage.update(
            MANAGER, ENDPOINT, EndpointChange(status=EndpointStatus.DISABLED)
        ),
        True,
    ),
    "removing_an_endpoint": (lambda manage: manage.remove(MANAGER, ENDPOINT), True),
    "rotating_a_secret": (
        lambda manage: manage.rotate_secret(MANAGER, ENDPOINT, AN_HOUR),
        False,
    ),
    "testing_an_endpoint": (lambda manage: manage.test(MANAGER, ENDPOINT), False),
}

for _name, (_managed, _repeatable) in _MANAGING.items():
    SCENARIOS[_name] = Scenario(
        name=_name,
        function="webhooks_api",
        by=By.CLIENT,
        stage=lambda act=_managed, again=_repeatable: _managing(act, is_repeatable=again),  # type: ignore[misc]
    )


@of("webhooks_api")
def listing_endpoints() -> Life:
    return _managing(lambda manage: manage.all(MANAGER, WORKSPACE), is_read=True)


@of("webhooks_api")
def reading_an_endpoint() -> Life:
    return _managing(lambda manage: manage.read(MANAGER, ENDPOINT), is_read=True)


@of("webhooks_api")
def listing_deliveries() -> Life:
    core = Core()
    _told(core)
    command = ListDeliveries(key_digest=MANAGER, endpoint_id=ENDPOINT, wanted=_DELIVERIES, limit=10)
    return _managing(lambda manage: manage.deliveries(command), core=core, is_read=True)


@of("webhooks_api")
def reading_a_delivery() -> Life:
    core = Core()
    delivery_id = _told(core)
    return _managing(
        lambda manage: manage.delivery(MANAGER, ENDPOINT, delivery_id), core=core, is_read=True
    )


@of("webhooks_api")
def changing_an_endpoint_as_one_of_other_rights() -> Life:
    """The caller's role changes between reading and writing, and changes back."""
    core = Core()
    owner = USERS[Role.OWNER]

    def demoted() -> None:
        core.add_member(owner, Role.EDITOR)
        core.before("directory.member", lambda: core.add_member(owner, Role.ADMIN))

    core.before("webhooks.replace_endpoint", demoted)
    act, _ = _MANAGING["changing_an_endpoint"]
    return _managing(act, core=core)


@of("webhooks_api")
def changing_an_endpoint_that_moves() -> Life:
    """Somebody else gives it a limit between reading and writing."""
    core = Core()
    change = EndpointChange(rate_limit=7)
    core.before(
        "webhooks.replace_endpoint", lambda: core.endpoints.update(WORKSPACE, ENDPOINT, change)
    )
    act, _ = _MANAGING["changing_an_endpoint"]
    return _managing(act, core=core)


@of("webhooks_api")
def enabling_an_endpoint_of_ones_own() -> Life:
    """What was parked for it is sent off."""
    core = Core()
    core.endpoints.disable(WORKSPACE, ENDPOINT)
    _told(core)
    wanted = EndpointChange(status=EndpointStatus.ENABLED)
    return _managing(
        lambda manage: manage.update(MANAGER, ENDPOINT, wanted),
        core=core,
        ending=lambda: _enable(core),
    )


@of("webhooks_api")
def redelivering() -> Life:
    core = Core()
    delivery_id = _told(core)
    return _managing(lambda manage: manage.redeliver(MANAGER, ENDPOINT, delivery_id), core=core)


@of("webhooks_api")
def recovering() -> Life:
    """What was given up is sent off, in the end by the operator."""
    core = Core()
    delivery_id = _told(core)
    delivery = core.webhooks.delivery(ENDPOINT, delivery_id)
    assert delivery is not None
    given_up = replace(delivery, status=DeliveryStatus.EXHAUSTED, revision=delivery.revision + 1)
    core.webhooks.replace_delivery(given_up, expected_revision=delivery.revision)
    since = core.clock.at
    return _managing(
        lambda manage: manage.recover(MANAGER, ENDPOINT, since),
        core=core,
        ending=lambda: core.endpoints.recover(WORKSPACE, ENDPOINT, since),
    )


# reconcile


@of("reconcile", By.CLOCK)
def reconciling() -> Life:
    """Everything there is to be repaired: an arming, a fire, events, deliveries and a claim."""
    core = resolving().core
    core.tap = Mortal(4)
    with pytest.raises(DiedError):
        core.create(core.a_draft(1))
    core.tap = straight
    core.created(1)
    return _lost(core, AN_HOUR + LEASE)


@of("reconcile", By.CLOCK)
def reconciling_what_may_only_wait() -> Life:
    """The same, where so much is overdue that the queues are asked how long they are."""
    core = reconciling().core
    core.reconcile = replace(core.reconcile, sent_anyway=0)
    return Life(core=core, act=core.reconcile)


@of("reconcile", By.CLOCK)
def completing_an_arming() -> Life:
    core = Core()
    core.created_unarmed()
    return _lost(core, 2 * A_MINUTE)


@of("reconcile", By.CLOCK)
def starting_what_is_overdue() -> Life:
    core, _ = _scheduled()
    return _lost(core, AN_HOUR + 3 * A_MINUTE)


@of("reconcile", By.CLOCK)
def failing_what_was_missed() -> Life:
    core, _ = _scheduled()
    return _lost(core, 3 * AN_HOUR)


@of("reconcile", By.CLOCK)
def sending_what_has_stalled() -> Life:
    core, _ = _started()
    return _lost(core, 10 * A_MINUTE)


@of("reconcile", By.CLOCK)
def asking_after_a_claim() -> Life:
    core, _ = _started()
    entry = core.ready()[0]
    core.tap = _Until("platform.publish")
    with pytest.raises(DiedError):
        core.do(entry[1])
    core.tap = straight
    return _lost(core, LEASE + A_MINUTE)


@of("reconcile", By.CLOCK)
def concluding() -> Life:
    core, post = _started()
    first, second = core.ready()
    core.handle(first)
    core.tap = _Settling(core, post.id)
    with pytest.raises(DiedError):
        core.do(second[1])
    core.tap = straight
    assert core.post(post.id).status is PostStatus.PUBLISHING
    return _lost(core, 10 * A_MINUTE)


@of("reconcile", By.CLOCK)
def announcing_again() -> Life:
    core, post = _scheduled()
    core.cancel(post.id)
    return _lost(core, A_MINUTE)


@of("reconcile", By.CLOCK)
def delivering_again() -> Life:
    core = Core()
    core.created(1, scheduled_for=None)
    core.handle(core.ready()[0])
    return _lost(core, 10 * A_MINUTE)


@of("reconcile", By.CLOCK)
def telling_others_of_an_endpoint() -> Life:
    """An endpoint was disabled; who was to tell the other one has died."""
    life = delivering_to_what_is_gone()
    core = life.core
    core.tap = _Until("webhooks.replace_endpoint")
    with pytest.raises(DiedError):
        life.act()
    core.tap = straight
    return replace(_lost(core, A_MINUTE), ending=life.ending)


@of("reconcile", By.CLOCK)
def sending_what_an_endpoint_has_missed() -> Life:
    life = delivering_to_what_was_disabled()
    life.act()
    life.ending()
    return _lost(life.core, A_SECOND)


@of("reconcile", By.CLOCK)
def going_on_with_a_disconnect() -> Life:
    core = _left_disconnecting()
    return _disconnecting(core, core.reconcile)


@of("reconcile", By.CLOCK)
def ending_a_disconnect() -> Life:
    core = _left_disconnecting()
    core.reconcile()
    core.clock.advance(LAST_PASS_AFTER)
    return _disconnecting(core, core.reconcile)


def _left_disconnecting() -> Core:
    core = _connected()
    core.tap = _Until("disconnections.begin")
    with pytest.raises(DiedError):
        core.disconnect_account("owner", ACCOUNT)
    core.tap = straight
    core.clock.advance(GRACE)
    return core


def _lost(core: Core, after: timedelta) -> Life:
    """Lose every timer and every message, and let time pass."""
    core.pump()
    core.schedules.armed.clear()
    core.waiting.clear()
    core.clock.advance(after)
    return Life(core=core, act=core.reconcile)


@dataclass(slots=True)
class _Until:
    """A tap that lets the process die right after a call, the last of those named in order."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        self.names = names

    def __call__(self, name: str, call: Callable[[], Any]) -> Any:
        result = call()
        if name == self.names[0]:
            self.names = self.names[1:]
            if not self.names:
                raise DiedError
        return result


@dataclass(slots=True)
class _Settling:
    """A tap that lets the process die as soon as no target of a post is moving."""

    core: Core
    post_id: str

    def __call__(self, name: str, call: Callable[[], Any]) -> Any:
        result = call()
        moving = {TargetStatus.SCHEDULED, TargetStatus.PUBLISHING}
        if not moving & {target.status for target in self.core.post(self.post_id).targets}:
            raise DiedError
        return result


# An operator's commands


class Office:
    """An operator's verbs over a core, each call through its tap."""

    def __init__(self) -> None:
        self.core = core = Core()
        directory = core.create_post.directory
        registry = cast("Registry", Tapped(core, "registry", core.directory))
        operator = FakeOperator(core.world)
        core.directory.add_workspace(Workspace(id=WORKSPACE, name="One", created_at=core.clock.at))
        self.workspaces = replace(operator.workspaces, registry=registry, directory=directory)
        self.keys = replace(operator.keys, registry=registry, directory=directory)
        self.accounts = replace(
            operator.accounts,
            registry=registry,
            disconnections=core.disconnect_account.disconnections,
            secrets=core.publisher.secrets,
        )
        self.endpoints = replace(core.endpoints, registry=registry)
        self.posts = replace(operator.posts, posts=core.create_post.posts)
        self.sign_in = operator.bluesky_sign_in


def _commanding(
    act: Callable[[Office], object], *, is_repeatable: bool = True, is_read: bool = False
) -> Life:
    office = Office()
    return Life(
        core=office.core, act=lambda: act(office), is_repeatable=is_repeatable, is_read=is_read
    )


_USER = numbered("usr", 50)

_COMMANDS: Mapping[str, tuple[Callable[[Office], object], bool]] = {
    "making_a_workspace": (lambda office: office.workspaces.create("Two"), False),
    "holding_a_workspace": (lambda office: office.workspaces.hold(WORKSPACE, "Why"), True),
    "adding_a_member": (
        lambda office: office.workspaces.add_member(WORKSPACE, Role.EDITOR, _USER),
        True,
    ),
    "removing_a_member": (
        lambda office: office.workspaces.remove_member(WORKSPACE, USERS[Role.ADMIN]),
        True,
    ),
    "minting_a_key": (
        lambda office: office.keys.mint(USERS[Role.OWNER], "k", workspace_ids=[WORKSPACE]),
        False,
    ),
    "revoking_a_key": (
        lambda office: office.keys.revoke(
            USERS[Role.OWNER], office.core.directory._keys["owner"].id
        ),
        True,
    ),
    "adding_an_account": (
        lambda office: office.accounts.add(WORKSPACE, Platform.THREADS, "In", "li-1"),
        True,
    ),
    "connecting_an_account": (
        lambda office: office.accounts.connect_bluesky(
            WORKSPACE, "gull.example", "app-password", sign_in=office.sign_in
        ),
        True,
    ),
    "adding_an_endpoint": (
        lambda office: office.endpoints.add(WORKSPACE, "https://hooks.example/9", ["post.*"]),
        False,
    ),
    "disabling_an_endpoint": (lambda office: office.endpoints.disable(WORKSPACE, ENDPOINT), True),
}

_LOOKS: Mapping[str, Callable[[Office], object]] = {
    "looking_at_keys": lambda office: (
        [key.name for key in office.keys.list(USERS[Role.OWNER])],
        office.keys.is_known("owner"),
    ),
    "looking_at_accounts": lambda office: office.accounts.list(WORKSPACE),
    "looking_at_endpoints": lambda office: (
        office.endpoints.list(WORKSPACE),
        office.endpoints.deliveries(WORKSPACE, ENDPOINT, DeliveryFilter(), limit=10),
    ),
}

for _name, (_act, _repeatable) in _COMMANDS.items():
    SCENARIOS[_name] = Scenario(
        name=_name,
        function="operator",
        by=By.OPERATOR,
        stage=lambda act=_act, again=_repeatable: _commanding(act, is_repeatable=again),  # type: ignore[misc]
    )
for _name, _look in _LOOKS.items():
    SCENARIOS[_name] = Scenario(
        name=_name,
        function="operator",
        by=By.OPERATOR,
        stage=lambda act=_look: _commanding(act, is_read=True),  # type: ignore[misc]
    )


@of("operator", By.OPERATOR)
def looking_at_a_post() -> Life:
    office = Office()
    post = office.core.created(1)
    office.core.drain_messages()
    return Life(core=office.core, act=lambda: office.posts.show(post.id), is_read=True)


@of("operator", By.OPERATOR)
def connecting_an_account_again() -> Life:
    office = Office()
    account = office.core.directory.account(WORKSPACE, ACCOUNT)
    assert account is not None
    did = account.external_account_id
    return Life(
        core=office.core,
        act=lambda: office.accounts.connect_bluesky(
            WORKSPACE, did.removeprefix("did:plc:"), "app-password", sign_in=office.sign_in
        ),
    )


@of("operator", By.OPERATOR)
def enabling_an_endpoint() -> Life:
    """What was parked for it is sent off."""
    office = Office()
    core = office.core
    core.endpoints.disable(WORKSPACE, ENDPOINT)
    core.created(1, scheduled_for=None)
    core.drain_messages()
    return Life(
        core=core,
        act=lambda: office.endpoints.enable(WORKSPACE, ENDPOINT),
        ending=lambda: _enable(core),
    )
