"""A small model of posts, written from the wire contract (§4, §5) and not from the code.

It tells, for every request, fire, message and sweep, how the service must answer and how every post
must then look. Where the contract leaves something to the service (when a target counts as missed,
how often an attempt is repeated, who hears of what) it says what the documentation says. Names that
the service makes up (of posts, targets, workflows, claims) are taken from its answers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from postbreeze.domain.access import Role

EDITORS = frozenset({Role.OWNER, Role.ADMIN, Role.EDITOR})
MANAGERS = frozenset({Role.OWNER, Role.ADMIN})
MEMBERS = frozenset(Role)

WAITING = ("DRAFT", "SCHEDULED")
MOVING = ("SCHEDULED", "PUBLISHING")
UNKNOWN = "PUBLISH_OUTCOME_UNKNOWN"
ABSENT = "PUBLISH_NOT_COMPLETED"
MAY_BE_PUBLIC = {UNKNOWN, ABSENT}
PENDING = "FIRST_COMMENT_PENDING"
NEW = "?"
"""A name that the service has yet to tell."""

MISSED_AFTER = timedelta(hours=1)
OVERDUE_AFTER = timedelta(minutes=2)
LEASE = timedelta(minutes=3)
ASKED_FOR = timedelta(hours=1)
COOLDOWN = timedelta(seconds=30)
GAPS = (5, 30, 120, 300)
ATTEMPTS = 5
A_YEAR = timedelta(days=366)


class Refusal(Exception):  # noqa: N818  # it is an answer, not an error
    """The answer to a request that is refused."""

    def __init__(self, status: int, code: str) -> None:
        self.answer = (status, code)
        super().__init__(code)


INVALID = (400, "VALIDATION_FAILED")
NOT_FOUND = (404, "NOT_FOUND")


@dataclass(slots=True, kw_only=True)
class Wish:
    """What a client wants of a new or edited post; ``texts`` is by account."""

    texts: dict[str, str | None]
    comment: str | None = None
    caption: str | None = None
    at: datetime | None = None
    draft_at: datetime | None = None
    approval: bool = False


@dataclass(slots=True, kw_only=True)
class MTarget:
    """A target; ``workflow`` is the one that may publish it."""

    id: str
    account: str
    status: str = "DRAFT"
    text: str | None = None
    comment: str | None = None
    due: datetime | None = None
    workflow: str | None = None
    error: str | None = None
    attempts: int = 0
    again_at: datetime | None = None
    claim: str | None = None
    claimed_until: datetime | None = None
    published_at: datetime | None = None
    comment_error: str | None = None
    comment_attempts: int = 0
    comment_asked_at: datetime | None = None

    @property
    def may_be_public(self) -> bool:
        return self.error in MAY_BE_PUBLIC and self.status != "PUBLISHED"

    @property
    def is_stoppable(self) -> bool:
        return self.status in WAITING or (self.status == "FAILED" and not self.may_be_public)

    @property
    def must_stay(self) -> bool:
        """Whether it is, or may be or become, public."""
        return self.status in {"PUBLISHED", "PUBLISHING"} or self.may_be_public

    def is_missed(self, now: datetime) -> bool:
        due = self.again_at or self.due
        return due is not None and now > due + MISSED_AFTER

    def stop(self) -> None:
        self.status = "FAILED" if self.may_be_public else "CANCELED"
        self.workflow = self.again_at = None

    def begin_anew(self, status: str, due: datetime | None) -> None:
        self.status, self.due = status, due
        self.workflow = self.again_at = None
        self.attempts = 0
        if self.error not in MAY_BE_PUBLIC:
            self.error = None

    def note(self, error: str) -> None:
        # That it may be public is forgotten for no other error.
        if not self.may_be_public or error in MAY_BE_PUBLIC:
            self.error = error

    def fail(self, error: str) -> None:
        self.note(error)
        self.status, self.again_at = "FAILED", None


@dataclass(slots=True, kw_only=True)
class MPost:
    """A post; ``wish`` is the time that it is, or is to be approved, for."""

    id: str
    created_at: datetime
    status: str = "DRAFT"
    at: datetime | None = None
    wish: datetime | None = None
    caption: str | None = None
    workflow: str | None = None
    pending: str | None = None
    pending_event: str | None = None
    needs_approval: bool = False
    is_approved: bool = False
    is_deleted: bool = False
    is_canceled: bool = False
    targets: list[MTarget] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def target(self, target_id: str) -> MTarget | None:
        return next((each for each in self.targets if each.id == target_id), None)

    def text_of(self, target: MTarget) -> str:
        return (self.caption if target.text is None else target.text) or ""

    def take_off(self) -> None:
        self.workflow = self.pending = self.pending_event = None

    def follow(self) -> None:
        """Become what the targets come to, once publishing has begun and none moves any more."""
        statuses = {each.status for each in self.targets}
        if self.status != "PUBLISHING" or statuses & set(MOVING):
            return
        if not statuses & {"PUBLISHED", "FAILED"}:
            assert self.is_deleted, "nothing was published, and yet publishing was not cancelled"
            return
        if statuses >= {"PUBLISHED", "FAILED"}:
            self.status = "PARTIALLY_PUBLISHED"
        else:
            self.status = "PUBLISHED" if "PUBLISHED" in statuses else "FAILED"
        self.workflow = None
        self.events.append(f"post.{self.status.lower()}")


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One attempt at a target: what its platform is to be sent, and what will come of it."""

    target_id: str
    text: str
    fate: Fate
    is_connected: bool
    is_still_connected: bool = True
    """Whether its account was connected before and after it was claimed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What the platform does, should it be asked.

    ``publish``: ok, rejected, retriable, lost answer, lost request, prepare rejected or prepare
    retriable. ``find``: ok, down or rejected. ``comment``: the error that the first comment gets.
    """

    publish: str = "ok"
    find: str = "ok"
    comment: str | None = None


class Model:
    """All posts of one workspace, its accounts, and what its platform shows."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.is_scheduler_up = True
        self.posts: dict[str, MPost] = {}
        self.gone: set[str] = set()
        """The accounts that are disconnected."""
        self.public: dict[str, str] = {}
        """What is public, by target."""
        self.calls: list[tuple[str, str]] = []
        """The calls of a platform that may have published something: target and text."""

    @property
    def now(self) -> datetime:
        return self._now()

    # Requests

    def reach(self, post_id: str, role: Role | None, roles: Collection[Role]) -> MPost:
        post = self.posts.get(post_id)
        if post is None or post.is_deleted or role is None:
            raise Refusal(*NOT_FOUND)
        if role not in roles:
            raise Refusal(403, "FORBIDDEN")
        return post

    def check_wish(self, wish: Wish) -> None:
        times = [each for each in (wish.at, wish.draft_at) if each is not None]
        if set(wish.texts) & self.gone or not all(map(self.is_coming, times)):
            raise Refusal(*INVALID)

    def is_coming(self, at: datetime) -> bool:
        return self.now < at <= self.now + A_YEAR

    def create(self, wish: Wish, role: Role | None) -> MPost:
        """Make a post whose name, and whose targets' names, are not known yet."""
        if role is None:
            raise Refusal(*NOT_FOUND)
        self.check_wish(wish)
        waits = wish.approval or role is Role.CLIENT_REVIEWER
        post = MPost(
            id=NEW,
            created_at=self.now,
            status="NEEDS_APPROVAL" if waits else "DRAFT",
            at=wish.at or wish.draft_at,
            wish=wish.at,
            caption=wish.caption,
            needs_approval=waits,
            targets=[
                MTarget(id=NEW, account=each, text=text, comment=wish.comment, due=wish.at)
                for each, text in wish.texts.items()
            ],
            events=["post.created"],
        )
        if wish.at is not None and not waits:
            self._stage(post, wish.at, revived=False)
        return post

    def edit(self, post_id: str, wish: Wish, role: Role | None) -> None:
        post = deepcopy(self.reach(post_id, role, EDITORS))
        if post.status not in {"DRAFT", "SCHEDULED", "FAILED", "CANCELED", "NEEDS_APPROVAL"}:
            raise Refusal(400, "POST_NOT_EDITABLE")
        self.check_wish(wish)
        if wish.draft_at is not None and post.status == "SCHEDULED":
            raise Refusal(*INVALID)
        at = wish.at
        if wish.at is None and wish.draft_at is None:
            at = post.wish if post.status in {"SCHEDULED", "NEEDS_APPROVAL"} else None
        waits = (
            wish.approval
            or post.status == "NEEDS_APPROVAL"
            or (post.needs_approval and role not in MANAGERS)
        )
        known = {each.account: each for each in post.targets}
        kept = [each for each in post.targets if each.account not in wish.texts and each.must_stay]
        for target in kept:
            if target.may_be_public and target.status != "PUBLISHING":
                target.stop()
                target.status = "SKIPPED"
        listed = []
        for account, text in wish.texts.items():
            target = known.get(account) or MTarget(id=NEW, account=account)
            if target.status not in {"PUBLISHED", "PUBLISHING"}:
                target.begin_anew("DRAFT", target.due)
                target.text, target.comment = text, wish.comment
            listed.append(target)
        if not any(_is_armable(each, revived=True) for each in listed):
            raise Refusal(400, "POST_NOT_SCHEDULABLE")
        post.targets = kept + listed
        post.caption = post.caption if wish.caption is None else wish.caption
        post.at = at or wish.draft_at or post.at
        post.needs_approval = post.needs_approval or wish.approval
        if waits:
            post.is_approved = False
            self._unstage(post, "NEEDS_APPROVAL", at, revived=True)
        elif at is None:
            self._unstage(post, "DRAFT", None, revived=True)
        else:
            post.is_approved = post.is_approved or post.needs_approval
            self._stage(post, at, revived=True)
        self.posts[post_id] = post

    def schedule(self, post_id: str, at: datetime, role: Role | None, *, again: bool) -> None:
        post = deepcopy(self.reach(post_id, role, EDITORS))
        allowed = {"DRAFT", "FAILED", "CANCELED"} | ({"SCHEDULED"} if again else set())
        if post.status not in allowed:
            raise Refusal(400, "POST_NOT_SCHEDULABLE")
        revived = post.status == "CANCELED"
        waits = post.needs_approval and not post.is_approved and role not in MANAGERS
        if waits:
            self._check_stage(post, at, revived=revived)
            post.at = at
            self._unstage(post, "NEEDS_APPROVAL", at, revived=revived)
        else:
            post.is_approved = post.is_approved or post.needs_approval
            self._stage(post, at, revived=revived)
        self._check_accounts(post)
        self.posts[post_id] = post

    def approve(self, post_id: str, role: Role | None) -> None:
        post = deepcopy(self.reach(post_id, role, MANAGERS))
        if post.status != "NEEDS_APPROVAL":
            raise Refusal(400, "POST_NOT_SCHEDULABLE")
        post.is_approved = True
        if post.wish is None or not self.is_coming(post.wish):
            post.status = "DRAFT"
        else:
            # What was taken out of a waiting post stays out of it.
            self._stage(post, post.wish, revived=False)
            self._check_accounts(post)
        self.posts[post_id] = post

    def cancel(
        self, post_id: str, role: Role | None, chosen: Collection[str] | None, *, dry: bool
    ) -> dict[str, str]:
        """Return the outcome of each target."""
        post = self.reach(post_id, role, EDITORS)
        return self._cancel(deepcopy(post) if dry else post, chosen)

    def delete(self, post_id: str, role: Role | None) -> None:
        post = self.reach(post_id, role, EDITORS)
        if post.status in {"SCHEDULED", "NEEDS_APPROVAL", "PUBLISHING"} and any(
            each.status in WAITING for each in post.targets
        ):
            self._cancel(post, None)
        post.take_off()
        post.is_deleted = True
        post.events.append("post.deleted")

    def retry(self, post_id: str, role: Role | None) -> None:
        post = self.reach(post_id, role, EDITORS)
        failed = [each for each in post.targets if each.status == "FAILED"]
        if not failed or post.status not in {"FAILED", "PARTIALLY_PUBLISHED", "PUBLISHING"}:
            raise Refusal(400, "NOTHING_TO_RETRY")
        post.status = "PUBLISHING"
        post.workflow = post.workflow or NEW
        for target in failed:
            target.begin_anew("SCHEDULED", self.now)
            target.workflow = post.workflow

    def retry_comment(self, post_id: str, target_id: str, role: Role | None) -> None:
        target = self.reach(post_id, role, EDITORS).target(target_id)
        if target is None:
            raise Refusal(*NOT_FOUND)
        if (
            target.status != "PUBLISHED"
            or target.published_at is None
            or target.comment is None
            or target.comment_error is None
        ):
            raise Refusal(400, "FIRST_COMMENT_NOT_RETRIABLE")
        if self.now < (target.comment_asked_at or target.published_at) + COOLDOWN:
            raise Refusal(429, "RATE_LIMITED")
        target.comment_error = PENDING
        target.comment_asked_at = self.now

    def disconnect(self, account: str, role: Role | None) -> None:
        if role is None:
            raise Refusal(*NOT_FOUND)
        if role not in MANAGERS:
            raise Refusal(403, "FORBIDDEN")
        if account not in self.gone:
            self.gone.add(account)
            self.cancel_gone(account)

    def name(self, post_id: str, document: Mapping[str, Any]) -> None:
        """Take the names that the service has made up from an answer."""
        post = self.posts[post_id]
        ids = {each["socialAccountId"]: each["id"] for each in document["targets"]}
        for target in post.targets:
            if target.id == NEW:
                target.id = ids[target.account]
        for name in ("workflow", "pending"):
            if getattr(post, name) == NEW:
                told = document[f"{name}Id" if name == "workflow" else "pendingWorkflowId"]
                setattr(post, name, told)
        for target in post.targets:
            if target.workflow == NEW:
                target.workflow = post.workflow

    # What happens by itself

    def fire(self, post_id: str, workflow: str) -> None:
        post = self.posts[post_id]
        if post.is_deleted or post.workflow != workflow:
            return
        waiting = [each for each in post.targets if each.status == "SCHEDULED"]
        missed = [each for each in waiting if each.is_missed(self.now)]
        for target in missed:
            target.fail("MISSED_SCHEDULE")
        if missed or post.status == "SCHEDULED":
            post.status = "PUBLISHING"
        post.follow()

    def attempt(self, post_id: str, target_id: str, workflow: str, fate: Fate) -> Attempt | None:
        """Return the attempt that a message leads to, if the target is still to be claimed."""
        post = self.posts[post_id]
        target = post.target(target_id)
        if target is None:
            return None
        if not _may_publish(post, target, workflow):
            if target.comment_error == PENDING and target.workflow == workflow:
                is_gone = target.account in self.gone
                error = "ACCOUNT_NOT_ACTIVE" if is_gone else fate.comment
                self._comment(target, "POST_DELETED" if post.is_deleted else error)
            return None
        if target.again_at is not None and self.now < target.again_at:
            return None
        return Attempt(
            target_id=target_id,
            text=post.text_of(target),
            is_connected=target.account not in self.gone,
            fate=fate,
        )

    def claim(self, post_id: str, attempt: Attempt, workflow: str) -> bool:
        post = self.posts[post_id]
        target = post.target(attempt.target_id)
        if target is None or not _may_publish(post, target, workflow):
            return False
        if target.is_missed(self.now):
            target.fail("MISSED_SCHEDULE")
            post.follow()
            return False
        target.status = "PUBLISHING"
        target.attempts += 1
        target.again_at = None
        target.claimed_until = self.now + LEASE
        attempt.is_still_connected = target.account not in self.gone
        return True

    def settle(self, post_id: str, attempt: Attempt) -> None:
        """Bring a claimed attempt to its end."""
        post = self.posts[post_id]
        target = post.target(attempt.target_id)
        assert target is not None
        fate = attempt.fate.publish
        if not attempt.is_connected:
            target.fail("ACCOUNT_NOT_ACTIVE")
        elif fate == "prepare rejected":
            target.fail("DOWN")
        elif fate == "prepare retriable":
            self._release(post, target, "DOWN")
        elif not attempt.is_still_connected:
            target.fail("ACCOUNT_NOT_ACTIVE")
        else:
            self.calls.append((target.id, attempt.text))
            self._call(post, target, attempt.text, attempt.fate)
        post.follow()

    def _call(self, post: MPost, target: MTarget, text: str, fate: Fate) -> None:
        standing = self.public.get(target.id)
        if fate.publish == "rejected":
            target.fail("PLATFORM_REJECTED")
        elif fate.publish == "retriable":
            self._release(post, target, "PLATFORM_UNREACHABLE")
        elif fate.publish != "lost request" and standing not in (None, text):
            target.fail("RECORD_KEY_TAKEN")
        elif fate.publish == "ok":
            self.public[target.id] = text
            self._published(target, fate)
        else:
            if fate.publish == "lost answer":
                self.public[target.id] = text
            self._ask(target, text, fate, absent=None, is_last=False)

    def resolve(self, post_id: str, target_id: str, claim: str, fate: Fate) -> None:
        """Ask what became of a claim that has run out."""
        post = self.posts[post_id]
        target = post.target(target_id)
        if (
            target is None
            or target.status != "PUBLISHING"
            or target.claim != claim
            or target.claimed_until is None
            or self.now <= target.claimed_until
        ):
            return
        is_last = self.now > target.claimed_until + ASKED_FOR
        if target.account in self.gone:
            target.fail(UNKNOWN)
        else:
            self._ask(target, post.text_of(target), fate, absent=ABSENT, is_last=is_last)
        post.follow()

    def arm(self, post_id: str) -> None:
        """Complete a pending arming, if that can be done now."""
        post = self.posts[post_id]
        if post.pending is None or post.at is None:
            return
        if self.is_scheduler_up or post.at <= self.now:
            post.workflow, post.pending = post.pending, None
            post.events.append(post.pending_event or "")
            post.pending_event = None
            for target in post.targets:
                if target.status == "SCHEDULED":
                    target.workflow = post.workflow

    def sweep(self, post_id: str) -> None:
        """Do for a post what has long been due."""
        post = self.posts[post_id]
        if post.pending is not None:
            self.arm(post_id)
        elif (
            post.status == "SCHEDULED"
            and post.workflow is not None
            and post.at is not None
            and post.at + OVERDUE_AFTER <= self.now
        ):
            self.fire(post_id, post.workflow)
        elif post.status == "PUBLISHING" and post.workflow is not None:
            # What is too late by now ends, whether its message comes or not.
            self.fire(post_id, post.workflow)

    def cancel_gone(self, account: str) -> None:
        """Cancel what a disconnected account has on scheduled posts."""
        for post in self.posts.values():
            mine = {
                each.id
                for each in post.targets
                if each.account == account and each.status in WAITING
            }
            statuses = {"SCHEDULED", "NEEDS_APPROVAL", "PUBLISHING"}
            if mine and post.status in statuses and not post.is_deleted:
                self._cancel(post, mine)

    # What these come to

    def _cancel(self, post: MPost, chosen: Collection[str] | None) -> dict[str, str]:
        wanted = [each for each in post.targets if chosen is None or each.id in chosen]
        if post.status == "CANCELED":
            return {
                each.id: "already_canceled"
                if each.status in {"CANCELED", "FAILED"} and not each.may_be_public
                else _standing(each)
                for each in wanted
            }
        stoppable = {
            "SCHEDULED": WAITING,
            "NEEDS_APPROVAL": WAITING,
            "PUBLISHING": WAITING,
            "PARTIALLY_PUBLISHED": (*WAITING, "FAILED"),
        }.get(post.status)
        if stoppable is None:
            raise Refusal(400, "POST_NOT_CANCELABLE")
        is_any = any(each.status in stoppable and each.is_stoppable for each in wanted)
        if not is_any and not (chosen is None and post.status == "PARTIALLY_PUBLISHED"):
            if all(each.status == "CANCELED" for each in wanted):
                return {each.id: "already_canceled" for each in wanted}
            raise Refusal(400, "POST_NOT_CANCELABLE")
        outcomes = {}
        for target in wanted:
            if target.is_stoppable:
                target.stop()
                outcomes[target.id] = "failed" if target.status == "FAILED" else "canceled"
            else:
                outcomes[target.id] = _standing(target)
        if chosen is None or not any(_is_left(post, each) for each in post.targets):
            post.status, post.is_canceled = "CANCELED", True
            post.take_off()
            post.events.append("post.cancelled")
        else:
            post.events.append("post.targets_cancelled")
            post.follow()
        return outcomes

    def _check_stage(self, post: MPost, at: datetime, *, revived: bool) -> None:
        if not self.is_coming(at):
            raise Refusal(*INVALID)
        if not any(_is_armable(each, revived=revived) for each in post.targets):
            raise Refusal(400, "POST_NOT_SCHEDULABLE")

    def _stage(self, post: MPost, at: datetime, *, revived: bool) -> None:
        self._check_stage(post, at, revived=revived)
        told = post.workflow is not None or post.pending_event == "post.rescheduled"
        post.take_off()
        post.status, post.at, post.wish, post.is_canceled = "SCHEDULED", at, at, False
        post.pending = NEW
        post.pending_event = "post.rescheduled" if told else "post.scheduled"
        for target in post.targets:
            if _is_armable(target, revived=revived):
                target.begin_anew("SCHEDULED", at)

    def _unstage(self, post: MPost, status: str, wish: datetime | None, *, revived: bool) -> None:
        post.take_off()
        post.status, post.wish, post.is_canceled = status, wish, False
        for target in post.targets:
            if _is_armable(target, revived=revived):
                target.begin_anew("DRAFT", wish)

    def _check_accounts(self, post: MPost) -> None:
        if any(each.status in WAITING and each.account in self.gone for each in post.targets):
            raise Refusal(*INVALID)

    def _release(self, post: MPost, target: MTarget, error: str) -> None:
        target.note(error)
        if (
            post.status != "PUBLISHING"
            or post.is_deleted
            or target.workflow is None
            or target.workflow != post.workflow
        ):
            target.stop()
        elif target.attempts >= ATTEMPTS:
            target.fail(error)
        else:
            target.status = "SCHEDULED"
            target.again_at = self.now + timedelta(seconds=GAPS[target.attempts - 1])

    def _published(self, target: MTarget, fate: Fate) -> None:
        target.status, target.published_at, target.error = "PUBLISHED", self.now, None
        if target.comment is not None:
            self._comment(target, fate.comment)

    def _comment(self, target: MTarget, error: str | None) -> None:
        target.comment_attempts += 1
        target.comment_error = error

    def _ask(
        self, target: MTarget, text: str, fate: Fate, *, absent: str | None, is_last: bool
    ) -> None:
        standing = self.public.get(target.id)
        if fate.find == "down":
            if is_last:
                target.fail(UNKNOWN)
        elif fate.find == "rejected":
            target.fail(UNKNOWN)
        elif standing is not None:
            self._published(target, fate)
        elif absent is not None:
            target.fail(absent)


def _may_publish(post: MPost, target: MTarget, workflow: str) -> bool:
    return (
        not post.is_deleted
        and post.status == "PUBLISHING"
        and target.status == "SCHEDULED"
        and target.workflow == workflow
    )


def _is_armable(target: MTarget, *, revived: bool) -> bool:
    """Tell whether arming a post arms the target; one that was cancelled only with its post."""
    return target.status in {"DRAFT", "SCHEDULED", "FAILED"} or (
        target.status == "CANCELED" and revived
    )


def _is_left(post: MPost, target: MTarget) -> bool:
    """Tell whether a post's present publishing still has to do with a target."""
    if post.status in {"SCHEDULED", "NEEDS_APPROVAL"} or target.status in WAITING:
        return target.status in WAITING
    if target.status == "PUBLISHING":
        return target.workflow == post.workflow
    return target.status == "FAILED"


def _standing(target: MTarget) -> str:
    return {
        "PUBLISHED": "already_published",
        "PUBLISHING": "in_flight",
        "CANCELED": "already_canceled",
        "SKIPPED": "skipped",
    }.get(target.status, "failed")
