"""Random lives of posts over HTTP, with the service beside a small model of its contract.

Several people, fires, messages in any order, platforms that fail and time itself act in any order.
After every step each post looks as the model has it, and what the service promises holds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from postbreeze.domain import ids
from postbreeze.domain.access import Role
from postbreeze.domain.changes import PublishTarget, ResolveTarget
from postbreeze.domain.documents import optional_timestamp, post_document, timestamp
from postbreeze.domain.errors import PlatformRejectedError, PlatformRetriableError, UnavailableError
from tests.support.builders import an_id
from tests.support.core import A_SECOND, AN_HOUR, WORKSPACE, Waiting, numbered, straight
from tests.support.http_client import Reply, assert_envelope
from tests.support.http_core import BASE, HttpCore
from tests.support.platforms import Accident
from tests.support.post_model import (
    EDITORS,
    MANAGERS,
    Attempt,
    Fate,
    Model,
    MPost,
    MTarget,
    Refusal,
    Wish,
)
from tests.support.proof import Proved, share

LIVES = share(tested=300, proved=750)
STEPS = 50

MOST_POSTS = 6
FIRST_ACCOUNT = 20
MOST_ACCOUNTS = 9
KEPT = timedelta(hours=23)

people = st.sampled_from(
    [*[Role.OWNER] * 4, Role.ADMIN, *[Role.EDITOR] * 2, Role.CLIENT_REVIEWER, None]
)
fates = st.builds(
    Fate,
    publish=st.sampled_from(
        [
            "ok",
            "ok",
            "ok",
            "rejected",
            "retriable",
            "lost answer",
            "lost request",
            "prepare rejected",
            "prepare retriable",
        ]
    ),
    find=st.sampled_from(["ok", "ok", "down", "rejected"]),
    comment=st.sampled_from(
        [None, None, "PLATFORM_REJECTED", "PLATFORM_UNREACHABLE", "PUBLISH_OUTCOME_UNKNOWN"]
    ),
)
delays = st.sampled_from([timedelta(minutes=5), AN_HOUR, timedelta(days=1)])
times = st.one_of(
    delays, st.sampled_from([timedelta(0), timedelta(minutes=-1), timedelta(days=367)])
)
SELDOM = 30
picks = st.integers(0, SELDOM)
versions = st.sampled_from(["none", "none", "none", "current", "other"])
subsets = st.lists(picks, min_size=1, max_size=3)


moments = st.sampled_from(["", "before", "during", "during"])
acts = st.sampled_from(["cancel", "cancel", "cancel one", "delete", "disconnect"])
"""When a client acts while a target is being published, and how."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a client wants of a post: on which accounts, ``after`` which time, with which texts.

    ``when`` says whether the time is to publish at (at), only noted (draft), or not given.
    """

    chosen: list[int]
    after: timedelta = AN_HOUR
    when: str = "at"
    text: str = "caption"
    is_approval: bool = False
    has_comment: bool = False
    is_flat: bool = True


wishes = st.builds(
    Wanted,
    chosen=subsets,
    after=times,
    when=st.sampled_from(["at", "at", "draft", "", ""]),
    text=st.sampled_from(["caption", "other", "none"]),
    is_approval=st.sampled_from([False, False, False, True]),
    has_comment=st.booleans(),
    is_flat=st.booleans(),
)

SCHEDULABLE = ("DRAFT", "FAILED", "CANCELED")
EDITABLE = (*SCHEDULABLE, "SCHEDULED", "NEEDS_APPROVAL")
CANCELABLE = ("SCHEDULED", "NEEDS_APPROVAL", "PUBLISHING", "PARTIALLY_PUBLISHED")

_ACCIDENTS = {
    "rejected": Accident.REFUSED,
    "retriable": Accident.UNREACHABLE,
    "lost answer": Accident.LOST_ANSWER,
    "lost request": Accident.LOST_REQUEST,
}
_COMMENT_ACCIDENTS = {
    "PLATFORM_REJECTED": Accident.REFUSED,
    "PLATFORM_UNREACHABLE": Accident.UNREACHABLE,
    "PUBLISH_OUTCOME_UNKNOWN": Accident.LOST_ANSWER,
}


class PostsOverHttp(RuleBasedStateMachine):
    """One workspace, its people, and everything that can happen to its posts."""

    def __init__(self) -> None:
        super().__init__()
        self.http = HttpCore()
        self.core = self.http.core
        self.model = Model(lambda: self.core.clock.at)
        self.accounts = [numbered("soc", FIRST_ACCOUNT + number) for number in range(3)]
        self.fires: dict[str, tuple[str, datetime]] = {}
        self.handled: list[Any] = []
        self.repeatable: list[tuple[str, str, Any, dict[str, str], Role, datetime, Reply]] = []
        self.told_canceled: set[str] = set()
        self.seen: dict[str, tuple[int, dict[str, Any]]] = {}
        self.published: dict[str, dict[str, Any]] = {}
        self.keys = 0

    # Choosing

    @property
    def live(self) -> list[MPost]:
        return [post for post in self.model.posts.values() if not post.is_deleted]

    def any_post(self, pick: int) -> str:
        """Choose a post, seldom a deleted one or one that never was."""
        if pick == SELDOM:
            return an_id(ids.POST)
        names = [post.id for post in self.live]
        if not names or pick == SELDOM - 1:
            names = list(self.model.posts)
        return names[pick % len(names)]

    def suitable(self, pick: int, suits: Callable[[MPost], bool]) -> str:
        """Choose a post that suits, if there is one; now and then any other."""
        names = [post.id for post in self.live if suits(post)]
        return names[pick % len(names)] if names and pick % 5 else self.any_post(pick)

    def in_status(self, pick: int, *statuses: str) -> str:
        return self.suitable(pick, lambda post: post.status in statuses)

    def key_of(self, person: Role | None) -> str:
        return self.http.stranger if person is None else self.http.keys[person]

    # Requests, and what comes of them

    def ask(
        self,
        method: str,
        path: str,
        body: object,
        person: Role | None,
        expected: Callable[[], Any],
        *,
        version: str = "none",
        post_id: str | None = None,
        is_kept: bool = False,
    ) -> tuple[Reply, Any]:
        """Send a request, and compare what is answered with what the model says.

        ``version`` says what ``If-Match`` names: none, current or other.
        """
        headers = {}
        current = self.seen.get(post_id or "", (0, {}))[0]
        if version != "none":
            headers["if-match"] = f'"{current + (version == "other")}"'
        if is_kept:
            self.keys += 1
            headers["idempotency-key"] = f"k{self.keys}"
        reply = self.http.call(method, path, body, key=self.key_of(person), headers=headers)
        if version == "other":
            expected = partial(self._refused_for_its_version, path, post_id, person)
        answer, result = _answer_of(expected)
        if answer is not None:
            assert_envelope(reply)
            assert (reply.status, reply.body["code"]) == answer, (method, path, reply)
            return reply, None
        assert reply.status == (201 if (method, path) == ("POST", "/posts") else 200), reply
        if is_kept and person is not None:
            kept = (method, path, body, headers, person, self.core.clock.at, reply)
            self.repeatable.append(kept)
        return reply, result

    def _refused_for_its_version(self, path: str, post_id: str | None, person: Role | None) -> None:
        roles = MANAGERS if path.endswith("/approve") else EDITORS
        self.model.reach(post_id or "", person, roles)
        raise Refusal(412, "PRECONDITION_FAILED")

    def change(
        self,
        method: str,
        post_id: str,
        action: str,
        body: object,
        person: Role | None,
        expected: Callable[[], Any],
        *,
        version: str = "none",
        is_kept: bool = False,
    ) -> tuple[Reply, Any]:
        """Send a request that changes a post, and look at the post that is answered."""
        path = f"/posts/{post_id}{action}"
        reply, result = self.ask(
            method, path, body, person, expected,
            version=version, post_id=post_id, is_kept=is_kept,
        )  # fmt: skip
        if reply.status == 200 and "dryRun" not in action:
            self.take(post_id, reply.body)
        return reply, result

    def take(self, post_id: str, document: Mapping[str, Any]) -> None:
        """Learn the names in an answer, complete what follows at once, and compare."""
        post = self.model.posts[post_id]
        if post.pending == "?":
            post.pending = None
            told = document["workflowId"] or document["pendingWorkflowId"]
            assert told not in self.fires, "two armings have one name"
            assert post.at is not None
            self.fires[told] = (post_id, post.at)
            post.pending = told
            self.model.arm(post_id)
        self.model.name(post_id, document)
        assert_same(post, document)

    @initialize(picks=st.lists(picks, min_size=1, max_size=3))
    def begin(self, picks: list[int]) -> None:
        for pick in picks:
            wanted = Wanted(
                chosen=[pick, pick + 1, pick + 2][: 1 + pick % 3], has_comment=pick % 2 == 0
            )
            self.create(wanted, Role.OWNER, is_kept=False)

    def a_wish(self, wanted: Wanted) -> tuple[Wish, dict[str, Any]]:
        """Build what a client wants for the model, and the body that says so."""
        names = dict.fromkeys(self.accounts[each % len(self.accounts)] for each in wanted.chosen)
        at = self.core.clock.at + wanted.after
        is_flat = wanted.is_flat
        own = f"{wanted.text} of its own" if wanted.text != "caption" else None
        wish = Wish(
            texts=dict.fromkeys(names, own),
            comment="First!" if wanted.has_comment else None,
            caption=wanted.text if wanted.text != "none" else None,
            at=at if wanted.when == "at" else None,
            draft_at=at if wanted.when == "draft" else None,
            approval=wanted.is_approval,
        )
        body: dict[str, Any] = {
            "platforms" if is_flat else "targets": [
                {
                    "accountId" if is_flat else "socialAccountId": name,
                    "captionOverride": own,
                    "firstComment": wish.comment,
                }
                for name in names
            ],
            "content" if is_flat else "caption": wish.caption,
            "scheduledFor" if is_flat else "scheduledAt": optional_timestamp(wish.at),
            "draftScheduledFor" if is_flat else "draftScheduledAt": optional_timestamp(
                wish.draft_at
            ),
            "requiresApproval": wish.approval,
        }
        return wish, body

    @precondition(lambda self: len(self.live) < MOST_POSTS)
    @rule(wanted=wishes, person=people, is_kept=st.booleans())
    def create(self, wanted: Wanted, person: Role | None, is_kept: bool) -> None:
        wish, body = self.a_wish(wanted)
        reply, post = self.ask(
            "POST",
            "/posts",
            body,
            person,
            lambda: self.model.create(wish, person),
            is_kept=is_kept,
        )
        if post is not None:
            assert reply.body["createdViaFlatShape"] is wanted.is_flat
            assert reply.headers["location"] == f"{BASE}/posts/{reply.body['id']}"
            post.id = reply.body["id"]
            self.model.posts[post.id] = post
            self.take(post.id, reply.body)

    @rule(pick=picks, wanted=wishes, person=people, version=versions, is_kept=st.booleans())
    def edit(
        self, pick: int, wanted: Wanted, person: Role | None, version: str, is_kept: bool
    ) -> None:
        post_id = self.in_status(pick, *EDITABLE)
        wish, body = self.a_wish(wanted)
        reply, _ = self.change(
            "PATCH",
            post_id,
            "",
            body,
            person,
            lambda: self.model.edit(post_id, wish, person),
            version=version,
            is_kept=is_kept,
        )
        self.put_back_on_the_clock(reply)

    @rule(
        pick=picks, person=people, after=times, again=st.booleans(),
        version=versions, is_kept=st.booleans(),
    )  # fmt: skip
    def schedule(
        self,
        pick: int,
        person: Role | None,
        after: timedelta,
        again: bool,
        version: str,
        is_kept: bool,
    ) -> None:
        post_id = self.in_status(pick, *SCHEDULABLE, *(["SCHEDULED"] if again else []))
        at = self.core.clock.at + after
        reply, _ = self.change(
            "POST", post_id, "/reschedule" if again else "/schedule",
            {"scheduledFor": timestamp(at)}, person,
            lambda: self.model.schedule(post_id, at, person, again=again),
            version=version, is_kept=is_kept,
        )  # fmt: skip
        self.put_back_on_the_clock(reply)

    def put_back_on_the_clock(self, reply: Reply) -> None:
        """Forget that a client was told of targets that it has since asked for again."""
        if reply.status == 200:
            self.told_canceled -= {
                target["id"]
                for target in reply.body["targets"]
                if target["status"] in {"SCHEDULED", "DRAFT"}
            }

    @rule(
        pick=picks, person=people, chosen=st.none() | subsets,
        is_dry=st.sampled_from([False, False, False, True]),
        version=versions,
        is_kept=st.booleans(),
    )  # fmt: skip
    def cancel(
        self,
        pick: int,
        person: Role | None,
        chosen: list[int] | None,
        is_dry: bool,
        version: str,
        is_kept: bool,
    ) -> None:
        post_id = self.in_status(pick, *CANCELABLE)
        body: dict[str, Any] = {"reason": "Enough."}
        if chosen is not None:
            post = self.model.posts.get(post_id)
            mine = [each.id for each in post.targets] if post is not None else [an_id(ids.TARGET)]
            body["targetIds"] = [mine[each % len(mine)] for each in chosen]
        names = body.get("targetIds")
        action = "/cancel?dryRun=true" if is_dry else "/cancel"
        reply, outcomes = self.change(
            "POST", post_id, action, body, person,
            lambda: self.model.cancel(post_id, person, names, dry=is_dry),
            version=version, is_kept=is_kept and not is_dry,
        )  # fmt: skip
        if outcomes is not None:
            told = reply.body["cancellation"]["targets"]
            assert {each["id"]: each["outcome"] for each in told} == outcomes
            assert "etag" not in reply.headers or not is_dry
            if not is_dry:
                self.told_canceled |= {each["id"] for each in told if each["outcome"] == "canceled"}

    @precondition(lambda self: len(self.live) > 1)
    @rule(
        pick=picks, person=people, version=versions,
        is_kept=st.booleans(),
    )  # fmt: skip
    def delete(self, pick: int, person: Role | None, version: str, is_kept: bool) -> None:
        post_id = self.any_post(pick)
        reply, _ = self.change(
            "DELETE", post_id, "", None, person, lambda: self.model.delete(post_id, person),
            version=version, is_kept=is_kept,
        )  # fmt: skip
        if reply.status == 200:
            assert reply.body["deletedAt"] is not None

    @rule(pick=picks, person=people, is_kept=st.booleans())
    def retry(self, pick: int, person: Role | None, is_kept: bool) -> None:
        post_id = self.suitable(
            pick, lambda post: any(each.status == "FAILED" for each in post.targets)
        )
        self.change(
            "POST", post_id, "/retry", None, person, lambda: self.model.retry(post_id, person),
            is_kept=is_kept,
        )  # fmt: skip

    @rule(pick=picks, person=people)
    def approve(self, pick: int, person: Role | None) -> None:
        post_id = self.in_status(pick, "NEEDS_APPROVAL")
        self.change(
            "POST", post_id, "/approve", None, person, lambda: self.model.approve(post_id, person)
        )

    @rule(pick=picks, which=picks, person=people, seconds=st.sampled_from([0, 29, 31]))
    def retry_first_comment(self, pick: int, which: int, person: Role | None, seconds: int) -> None:
        self.core.advance(seconds * A_SECOND)
        post_id = self.suitable(
            pick, lambda post: any(each.comment_error is not None for each in post.targets)
        )
        post = self.model.posts.get(post_id)
        owed = [] if post is None else [each.id for each in post.targets if each.comment_error]
        names = [] if post is None else [*owed, *owed, *(each.id for each in post.targets)]
        names.append(an_id(ids.TARGET))
        target_id = names[which % len(names)]
        self.change(
            "POST", post_id, f"/targets/{target_id}/retry-first-comment", None, person,
            lambda: self.model.retry_comment(post_id, target_id, person),
        )  # fmt: skip

    @precondition(lambda self: len(self.accounts) - len(self.model.gone) > 2)
    @rule(pick=picks, person=people)
    def disconnect(self, pick: int, person: Role | None) -> None:
        account = self.accounts[pick % len(self.accounts)]
        reply, _ = self.ask(
            "DELETE", f"/social-accounts/{account}", None, person,
            lambda: self.model.disconnect(account, person),
        )  # fmt: skip
        if reply.status == 200:
            assert reply.body["status"] == "DISCONNECTED"
            if len(self.accounts) < MOST_ACCOUNTS:
                self.connect_another()

    def connect_another(self) -> None:
        account = self.core.add_account(FIRST_ACCOUNT + len(self.accounts))
        self.accounts.append(account.id)

    def repeat(self, pick: int) -> None:
        """Send a request once more that was answered before."""
        if not self.repeatable:
            return
        method, path, body, headers, person, at, first = self.repeatable[
            pick % len(self.repeatable)
        ]
        if self.core.clock.at > at + KEPT:
            return
        again = self.http.call(method, path, body, key=self.key_of(person), headers=headers)
        if path.endswith("/cancel") and self.is_outdated(first):
            # Nobody is told, not even again, that what goes out is canceled.
            assert (again.status, again.body["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
            return
        assert (again.status, again.body) == (first.status, first.body)
        assert again.headers["idempotency-replayed"] == "true"

    def is_outdated(self, cancelled: Reply) -> bool:
        """Tell whether something that a cancel stopped has been put on the clock since."""
        told = cancelled.body["cancellation"]["targets"]
        canceled = {each["id"] for each in told if each["outcome"] == "canceled"}
        return any(
            target.id in canceled and target.status in {"SCHEDULED", "PUBLISHING", "PUBLISHED"}
            for target in self.model.posts[cancelled.body["id"]].targets
        )

    # Looking

    @rule(
        how=st.sampled_from(["read", "list", "repeat"]),
        pick=picks,
        person=people,
        limit=st.integers(1, 3),
        status=st.sampled_from(["", "SCHEDULED", "CANCELED", "PUBLISHING", "DRAFT"]),
    )
    def look(self, how: str, pick: int, person: Role | None, limit: int, status: str) -> None:
        if how == "read":
            self.read(pick, person)
        elif how == "list":
            self.page_by_page(person, limit, status, is_named=pick % 2 == 0)
        else:
            self.repeat(pick)

    def read(self, pick: int, person: Role | None) -> None:
        post_id = self.any_post(pick)
        reply, post = self.ask(
            "GET", f"/posts/{post_id}", None, person,
            lambda: self.model.reach(post_id, person, frozenset(Role)),
        )  # fmt: skip
        if post is not None:
            assert_same(post, reply.body)
            assert reply.headers["etag"] == f'"{reply.body["version"]}"'

    def page_by_page(self, person: Role | None, limit: int, status: str, is_named: bool) -> None:
        query = f"?limit={limit}" + (f"&status={status}" if status else "")
        path: str | None = f"/posts{query}" + (f"&workspaceId={WORKSPACE}" if is_named else "")
        shown: list[str] = []
        while path is not None:
            reply = self.http.call("GET", path, key=self.key_of(person))
            if person is None and is_named:
                assert (reply.status, reply.body["code"]) == (404, "NOT_FOUND")
                return
            assert reply.status == 200, reply
            assert len(reply.body) <= limit
            shown += [each["id"] for each in reply.body]
            link = re.fullmatch('<(.*)>; rel="next"', reply.headers.get("link", ""))
            path = link[1].removeprefix(BASE) if link else None
        wanted = [] if person is None else [each.id for each in self.in_order()]
        assert shown == [each for each in wanted if status in ("", self.model.posts[each].status)]

    def in_order(self) -> list[MPost]:
        """Return the live posts as they are listed: upcoming ones first, then newest."""
        upcoming = [each for each in self.live if each.status == "SCHEDULED"]
        rest = [each for each in self.live if each.status != "SCHEDULED"]
        return [
            *sorted(upcoming, key=lambda each: (each.at, each.id)),
            *sorted(rest, key=lambda each: (each.created_at, each.id), reverse=True),
        ]

    # What happens by itself

    @rule(seconds=st.sampled_from([1, 5, 29, 31, 120, 181, 3660]))
    def time_passes(self, seconds: int) -> None:
        self.core.advance(seconds * A_SECOND)

    @precondition(lambda self: self.core.schedules.armed)
    @rule(late=st.sampled_from([0, 0, 0, 30, 4000]))
    def time_comes(self, late: int) -> None:
        first = min(each.at for each in self.core.schedules.armed.values())
        if first > self.core.clock.at:
            self.core.advance(first - self.core.clock.at + late * A_SECOND)
        self.fires_come()

    @precondition(lambda self: self.core.schedules.armed)
    @rule(given=st.lists(fates, min_size=1, max_size=3), moment=moments, act=acts)
    def a_post_goes_out(self, given: list[Fate], moment: str, act: str) -> None:
        self.time_comes(0)
        for number, entry in enumerate(self.publishing):
            self.take_message(entry)
            self.deliver(entry[1], given[number % len(given)], "" if number else moment, act)

    def fires_come(self) -> None:
        for arming in list(self.core.schedules.armed.values()):
            if arming.at <= self.core.clock.at:
                self.fire(arming.post_id, arming.workflow_id)
                self.core.schedules.armed.pop(arming.workflow_id)

    @rule(pick=picks, is_old=st.booleans())
    def a_fire_comes(self, pick: int, is_old: bool) -> None:
        if is_old and self.past_fires:
            self.an_old_fire_comes(pick)
        else:
            self.fires_come()

    def an_old_fire_comes(self, pick: int) -> None:
        """Fire again, or fire what should have been removed long ago."""
        workflow = self.past_fires[pick % len(self.past_fires)]
        self.fire(self.fires[workflow][0], workflow)

    @property
    def past_fires(self) -> list[str]:
        return [name for name, (_, at) in self.fires.items() if at <= self.core.clock.at]

    def fire(self, post_id: str, workflow: str) -> None:
        self.core.start(post_id, workflow)
        self.model.fire(post_id, workflow)

    @rule(is_up=st.booleans())
    def the_scheduler(self, is_up: bool) -> None:
        self.model.is_scheduler_up = is_up
        self.core.tap = self.core._follow if is_up else self.without_scheduler

    def without_scheduler(self, name: str, call: Callable[[], Any]) -> Any:
        if name.startswith("schedules."):
            raise UnavailableError("the scheduler is down")
        return self.core._follow(name, call)

    @rule(with_events=st.booleans())
    def reconcile(self, with_events: bool) -> None:
        if with_events:
            self.events_go_out()
        now = self.core.clock.at
        armings = self.core.posts.pending_armings(now, 1000)
        posts = [*self.core.posts.due_posts(now, 1000), *armings]
        accounts = self.core.world.disconnections.due(now, 1000)
        counts = self.core.reconcile()
        if self.model.is_scheduler_up or not armings:
            assert "RepairFailed" not in counts
        for post_id in posts:
            self.model.sweep(post_id)
        for account in accounts:
            self.model.cancel_gone(account)

    @property
    def publishing(self) -> list[Waiting]:
        return [
            each for each in self.core.ready() if isinstance(each[1], PublishTarget | ResolveTarget)
        ]

    @precondition(lambda self: self.publishing)
    @rule(pick=picks, fate=fates, moment=moments, act=acts, is_twice=st.booleans())
    def a_message_comes(self, pick: int, fate: Fate, moment: str, act: str, is_twice: bool) -> None:
        entry = self.publishing[pick % len(self.publishing)]
        self.take_message(entry)
        self.deliver(entry[1], fate, moment, act)
        if is_twice:
            self.deliver(entry[1], fate, "", act)

    @rule(fate=fates)
    def all_messages_come(self, fate: Fate) -> None:
        for entry in self.publishing:
            self.take_message(entry)
            self.deliver(entry[1], fate, "", "")

    def take_message(self, entry: Waiting) -> None:
        self.core.waiting.remove(entry)
        self.handled.append(entry[1])

    @precondition(lambda self: self.handled)
    @rule(pick=picks, fate=fates)
    def an_old_message_comes_again(self, pick: int, fate: Fate) -> None:
        self.deliver(self.handled[pick % len(self.handled)], fate, "", "")

    @precondition(lambda self: self.publishing)
    @rule(pick=picks)
    def a_message_is_lost(self, pick: int) -> None:
        self.core.waiting.remove(self.publishing[pick % len(self.publishing)])

    def events_go_out(self) -> None:
        self.core.drain_messages(publishing=False)

    def deliver(self, message: Any, fate: Fate, moment: str, act: str) -> None:
        """Handle a message of the publish queue, with a client acting in the middle of it."""
        self.script(fate)
        if isinstance(message, ResolveTarget):
            self.core.do(message)
            self.model.resolve(message.post_id, message.target_id, message.claim_id, fate)
        else:
            attempt = self.model.attempt(
                message.post_id, message.target_id, message.workflow_id, fate
            )
            _Delivery(self, message, attempt, moment, act).run()
        self.unscript()

    def act_meanwhile(self, act: str, message: PublishTarget) -> None:
        post_id = message.post_id
        post = self.model.posts[post_id]
        if act == "disconnect":
            target = post.target(message.target_id)
            assert target is not None
            self.disconnect(self.accounts.index(target.account), Role.OWNER)
        elif act == "delete":
            self.change(
                "DELETE", post_id, "", None, Role.OWNER,
                lambda: self.model.delete(post_id, Role.OWNER),
            )  # fmt: skip
        else:
            chosen = [message.target_id] if act == "cancel one" else None
            reply, outcomes = self.change(
                "POST", post_id, "/cancel", {"targetIds": chosen}, Role.OWNER,
                lambda: self.model.cancel(post_id, Role.OWNER, chosen, dry=False),
            )  # fmt: skip
            if outcomes is not None:
                told = {
                    each["id"]: each["outcome"] for each in reply.body["cancellation"]["targets"]
                }
                assert told == outcomes
                self.told_canceled |= {name for name in told if told[name] == "canceled"}

    def script(self, fate: Fate) -> None:
        platform = self.core.platform
        if fate.publish.startswith("prepare"):
            is_final = fate.publish == "prepare rejected"
            error = PlatformRejectedError if is_final else PlatformRetriableError
            platform.prepare_errors.append(error("DOWN", "Down."))
        if fate.publish in _ACCIDENTS:
            platform.publish_accidents.append(_ACCIDENTS[fate.publish])
        if fate.find != "ok":
            error = PlatformRejectedError if fate.find == "rejected" else PlatformRetriableError
            platform.find_errors.append(error("FIND", "Cannot tell."))
        if fate.comment is not None:
            platform.comment_accidents.append(_COMMENT_ACCIDENTS[fate.comment])

    def unscript(self) -> None:
        platform = self.core.platform
        platform.prepare_errors.clear()
        platform.publish_accidents.clear()
        platform.find_errors.clear()
        platform.comment_accidents.clear()

    # What must hold

    @invariant()
    def the_list_shows_what_the_model_has(self) -> None:
        reply = self.http.call(
            "GET", f"/posts?workspaceId={WORKSPACE}&limit=100", key=self.http.keys[Role.EDITOR]
        )
        assert reply.status == 200, reply
        expected = self.in_order()
        assert [each["id"] for each in reply.body] == [each.id for each in expected]
        for post, document in zip(expected, reply.body, strict=True):
            self.check(post, document)

    @invariant()
    def what_was_deleted_stays_deleted(self) -> None:
        for post in self.model.posts.values():
            if post.is_deleted:
                self.check(post, post_document(self.core.post(post.id)))

    @invariant()
    def no_account_is_in_another_state(self) -> None:
        for account in self.accounts:
            status = self.core.directory._accounts[account].status
            assert (status == "DISCONNECTED") == (account in self.model.gone)

    @invariant()
    def the_platform_was_called_as_the_model_says(self) -> None:
        calls = [(each.target_id, each.text) for each in self.core.watched.publications]
        assert calls == self.model.calls
        assert {name: each.text for name, each in self.core.platform.posts.items()} == (
            self.model.public
        )
        assert all(count == 1 for count in self.core.platform.publishes.values())

    @invariant()
    def there_is_one_event_for_each_transition(self) -> None:
        for post in self.model.posts.values():
            assert Counter(self.core.events(post.id)) == Counter(post.events)

    def check(self, post: MPost, document: dict[str, Any]) -> None:
        assert_same(post, document)
        version, before = self.seen.get(post.id, (0, {}))
        assert document["version"] >= version
        if document["version"] == version:
            assert document == before
        self.seen[post.id] = (document["version"], document)
        statuses = {each["status"] for each in document["targets"]}
        assert document["status"] in statuses_of(statuses) or post.is_deleted, document
        for target in document["targets"]:
            if target["id"] in self.told_canceled:
                assert target["status"] == "CANCELED", "what was told to be canceled is not"
            if target["status"] == "PUBLISHED":
                lasting = {
                    name: value
                    for name, value in target.items()
                    if not name.startswith("firstCommentE") and name not in _MOVING_FIELDS
                }
                assert self.published.setdefault(target["id"], lasting) == lasting
            else:
                assert target["id"] not in self.published

    def teardown(self) -> None:
        """Let all that is under way come to its end, and look whether it has."""
        self.model.is_scheduler_up = True
        self.core.tap = straight
        before = len(self.core.watched.publications)
        self.core.drain()
        late = {each.target_id for each in self.core.watched.publications[before:]}
        assert not self.told_canceled & late
        deleted = {each.id for each in self.model.posts.values() if each.is_deleted}
        for post_id in self.model.posts:
            post = self.core.post(post_id)
            assert post.attention_at is None
            statuses = {each.status.value for each in post.targets}
            assert not statuses & {"SCHEDULED", "PUBLISHING"}, post
            # What was deleted with its last target in flight, which then was not sent, ends so.
            assert post.status.value not in {"SCHEDULED", "PUBLISHING"} or post_id in deleted, post
            assert post_id not in deleted or not late & {each.id for each in post.targets}
        assert all(count == 1 for count in self.core.platform.publishes.values())
        assert not self.core.world.disconnections.works
        self.core._check_events()


_MOVING_FIELDS = {"firstCommentAttempt", "updatedAt"}


def _answer_of(expected: Callable[[], Any]) -> tuple[tuple[int, str] | None, Any]:
    """Return how the model refuses something, or what it has of it."""
    try:
        return None, expected()
    except Refusal as refusal:
        return refusal.answer, None


class _Delivery:
    """One message, handled by the service and by the model step by step."""

    def __init__(
        self,
        machine: PostsOverHttp,
        message: PublishTarget,
        attempt: Attempt | None,
        moment: str,
        act: str,
    ) -> None:
        self.machine, self.message, self.attempt = machine, message, attempt
        self.moment, self.act = moment, act
        self.is_claimed: bool | None = None

    def run(self) -> None:
        core = self.machine.core
        core.before("platform.prepare", self.before)
        core.before("platform.publish", self.during)
        core.do(self.message)
        core._befores.clear()
        if self.attempt is not None and (self.is_claimed or self.claim()):
            self.machine.model.settle(self.message.post_id, self.attempt)

    def before(self) -> None:
        assert self.attempt is not None
        if self.moment == "before":
            self.machine.act_meanwhile(self.act, self.message)

    def during(self) -> None:
        assert self.claim(), "the platform is called for what was not to be claimed"
        if self.moment == "during":
            self.machine.act_meanwhile(self.act, self.message)

    def claim(self) -> bool:
        """Claim in the model, once; the claim's name is the service's."""
        if self.is_claimed is not None or self.attempt is None:
            return False
        message, core = self.message, self.machine.core
        self.is_claimed = self.machine.model.claim(
            message.post_id, self.attempt, message.workflow_id
        )
        if self.is_claimed:
            target = core.post(message.post_id).target(message.target_id)
            claimed = self.machine.model.posts[message.post_id].target(message.target_id)
            assert target is not None
            assert claimed is not None
            claimed.claim = target.claim_id
        return self.is_claimed


def statuses_of(targets: set[str]) -> set[str]:
    """Return what a post may be whose targets have these statuses, its history aside."""
    possible = set()
    if not targets & {"SCHEDULED", "DRAFT"}:
        possible.add("CANCELED")
    if "DRAFT" in targets:
        possible |= {"DRAFT", "NEEDS_APPROVAL"}
    if "SCHEDULED" in targets:
        possible.add("SCHEDULED")
    if targets & {"SCHEDULED", "PUBLISHING"}:
        possible.add("PUBLISHING")
    elif not targets & {"DRAFT"}:
        if targets >= {"PUBLISHED", "FAILED"}:
            possible.add("PARTIALLY_PUBLISHED")
        elif "PUBLISHED" in targets:
            possible.add("PUBLISHED")
        elif "FAILED" in targets:
            possible.add("FAILED")
    return possible


def assert_same(post: MPost, document: Mapping[str, Any]) -> None:
    """Compare a post with its document, as far as the model has it."""
    told = {name: document[name] for name in _POST_FIELDS}
    assert told == {
        "id": post.id,
        "status": post.status,
        "caption": post.caption,
        "scheduledAt": optional_timestamp(post.at),
        "workflowId": post.workflow,
        "pendingWorkflowId": post.pending,
    }
    assert (document["deletedAt"] is not None) == post.is_deleted
    assert (document["canceledAt"] is not None) == post.is_canceled
    assert (document["approvedAt"] is not None) == post.is_approved
    assert (document["approvedByUserId"] is not None) == post.is_approved
    targets = [{name: each[name] for name in _TARGET_FIELDS} for each in document["targets"]]
    expected = [_target(each) for each in post.targets]
    assert targets == expected, f"{targets} instead of {expected}"


_POST_FIELDS = ("id", "status", "caption", "scheduledAt", "workflowId", "pendingWorkflowId")
_TARGET_FIELDS = (
    "id", "socialAccountId", "status", "captionOverride", "firstComment", "scheduledFor",
    "errorCode", "attemptCount", "publishedAt", "firstCommentError", "firstCommentAttempt",
)  # fmt: skip


def _target(target: MTarget) -> dict[str, Any]:
    return {
        "id": target.id,
        "socialAccountId": target.account,
        "status": target.status,
        "captionOverride": target.text,
        "firstComment": target.comment,
        "scheduledFor": optional_timestamp(target.due),
        "errorCode": target.error,
        "attemptCount": target.attempts,
        "publishedAt": optional_timestamp(target.published_at),
        "firstCommentError": target.comment_error,
        "firstCommentAttempt": target.comment_attempts,
    }


def test_the_service_does_over_http_what_the_model_does(proved: Callable[[Proved], None]) -> None:
    chosen = settings(
        max_examples=LIVES,
        stateful_step_count=STEPS,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(PostsOverHttp, settings=chosen)
    what = f"model ∥ service over HTTP: lives of up to {STEPS} random steps, compared after each"
    proved(Proved(what=what, count=LIVES, unit="lives"))
