"""The books of a soak: all that was accepted, sent and told is accounted for, or named as a fault.

Pure: it takes what clients, platform, receivers and tables saw, and asks no code of the service how
it ought to be; record keys and event filters aside. Moments are texts with milliseconds and ``Z``,
which sort as they follow each other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any, Final

from postbreeze.adapters.platforms.record_keys import comment_key, post_key
from postbreeze.webhooks.envelope import matches

UNKNOWN: Final = "PUBLISH_OUTCOME_UNKNOWN"
NOT_COMPLETED: Final = "PUBLISH_NOT_COMPLETED"
COMMENT_OWED: Final = "FIRST_COMMENT_PENDING"
ENDINGS: Final = {
    "PUBLISHED": "post.published",
    "PARTIALLY_PUBLISHED": "post.partially_published",
    "FAILED": "post.failed",
}
ARMINGS: Final = frozenset({"post.scheduled", "post.rescheduled"})
BEGINNING: Final = frozenset({"schedule", "reschedule", "patch", "retry"})
"""What a client can have a stopped target begun anew by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target, as an answer, an event or a table shows it."""

    id: str
    status: str
    text: str | None = None
    error: str | None = None
    scheduled_for: str | None = None
    comment: str | None = None
    comment_error: str | None = None

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Target:
        """Read its wire form or its row: the names are the same."""
        return cls(
            id=document["id"],
            status=document["status"],
            text=document.get("captionOverride"),
            error=document.get("errorCode"),
            scheduled_for=document.get("scheduledFor"),
            comment=document.get("firstComment"),
            comment_error=document.get("firstCommentError"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A post with its targets, as an answer, an event or the tables show it."""

    id: str
    status: str
    version: int
    tag: str | None = None
    scheduled_at: str | None = None
    workflow_id: str | None = None
    pending_workflow_id: str | None = None
    canceled_at: str | None = None
    deleted_at: str | None = None
    targets: tuple[Target, ...] = ()

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Post:
        """Read its wire form."""
        return cls(
            id=document["id"],
            status=document["status"],
            version=int(document["version"]),
            tag=document.get("caption"),
            scheduled_at=document.get("scheduledAt"),
            workflow_id=document.get("workflowId"),
            pending_workflow_id=document.get("pendingWorkflowId"),
            canceled_at=document.get("canceledAt"),
            deleted_at=document.get("deletedAt"),
            targets=tuple(Target.read(target) for target in document["targets"]),
        )

    def target(self, target_id: str) -> Target | None:
        """Return the target with this id."""
        return next((target for target in self.targets if target.id == target_id), None)

    @property
    def generation(self) -> int:
        """How often it was put on the clock, as far as can be seen here."""
        return max(map(_generation, (self.workflow_id, self.pending_workflow_id)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asked for, as often as it took, under one ``Idempotency-Key``."""

    verb: str
    sent_at: str
    post_id: str | None = None
    text: str | None = None
    """What a create or a patch has each target say; no other request does."""
    lost: tuple[int, ...] = ()
    """The tries without an answer that says anything: 5xx, or 0 where the connection broke."""
    status: int | None = None
    code: str | None = None
    post: Post | None = None
    outcomes: Mapping[str, str] = field(default_factory=dict)
    """What a cancel, or a deletion, said of each target."""
    is_repeated: bool = False
    """The answer is that of an earlier try."""

    @property
    def is_accepted(self) -> bool:
        """Whether it was answered with a success."""
        return self.status in {200, 201}

    @property
    def is_unsure(self) -> bool:
        """Whether nobody said if it had an effect.

        After a lost try that had one, the post may be gone, or its answer be true no more.
        """
        gone = self.code in {"NOT_FOUND", "IDEMPOTENCY_KEY_REUSED"}
        return self.status is None or (gone and bool(self.lost))

    @property
    def is_refused(self) -> bool:
        """Whether it was answered with a no, after which it must have had no effect."""
        return not self.is_accepted and not self.is_unsure

    def __str__(self) -> str:
        """Name it as its client knows it."""
        what = self.text if self.post_id is None else self.post_id
        return f"{self.verb} {what} sent {self.sent_at}, answered {self.status or 'never'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A row of the outbox."""

    id: str
    type: str
    post_id: str
    before: int
    after: int
    payload: Mapping[str, Any]
    is_pending: bool = False

    @property
    def post(self) -> Post:
        """The post as it tells of it."""
        return Post.read(self.payload["post"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Who is told, and of what."""

    id: str
    filters: tuple[str, ...]
    is_enabled: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A row of what is on its way to an endpoint."""

    id: str
    endpoint_id: str
    event_id: str
    status: str
    next_attempt_at: str | None = None
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A request that an endpoint got, and how it answered."""

    endpoint_id: str
    delivery_id: str
    status: int
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that publishes, as the platform noted it."""

    key: str
    at: str
    text: str
    took_effect: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that anybody saw."""

    now: str
    requests: tuple[Request, ...] = ()
    posts: tuple[Post, ...] = ()
    listed: frozenset[str] = frozenset()
    """The posts that a listing shows."""
    schedules: frozenset[str] = frozenset()
    events: tuple[Event, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What became of everything, counted by section, and what does not add up."""

    accounts: Mapping[str, Mapping[str, int]]
    faults: tuple[str, ...]
    accepted: int
    accounted: int

    def lines(self) -> Iterator[str]:
        """Write it as Markdown."""
        for section, counts in self.accounts.items():
            yield from ("", f"| {section} | |", "| --- | ---: |")
            for what, count in sorted(counts.items()):
                yield f"| {what} | {count:,} |"
            yield f"| **all** | **{sum(counts.values()):,}** |"
        yield from ("", f"Accepted requests: {self.accepted:,}; accounted for: {self.accounted:,}.")
        yield from ("", f"Faults: {len(self.faults)}")
        yield from (f"- {fault}" for fault in self.faults)


def balance(evidence: Evidence) -> Ledger:
    """Account for everything."""
    books = _Books(evidence)
    accounted = books.requests()
    books.posts()
    books.targets()
    books.promises()
    books.texts()
    books.transitions()
    books.deliveries()
    return Ledger(
        accounts=books.accounts,
        faults=tuple(books.faults),
        accepted=sum(request.is_accepted for request in evidence.requests),
        accounted=accounted,
    )


class _Books:
    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.accounts: dict[str, Counter[str]] = defaultdict(Counter)
        self.faults: list[str] = []
        self._posts = {post.id: post for post in evidence.posts}
        self._events: dict[str, list[Event]] = defaultdict(list)
        for event in sorted(evidence.events, key=lambda event: (event.after, event.id)):
            self._events[event.post_id].append(event)
        self._shown: dict[str, list[tuple[Request, Post]]] = defaultdict(list)
        for request in evidence.requests:
            if request.post is not None:
                self._shown[request.post.id].append((request, request.post))
        self._asked: dict[str, list[Request]] = defaultdict(list)
        for request in evidence.requests:
            if request.post_id is not None:
                self._asked[request.post_id].append(request)
        self._records: dict[str, list[Call]] = defaultdict(list)
        for call in evidence.calls:
            if call.took_effect:
                self._records[call.key].append(call)

    # Requests

    def requests(self) -> int:
        """Say what became of each request; return how many accepted ones are accounted for."""
        fates: Mapping[str, Callable[[Request, Post, Post], str | None]] = {
            "create": self._created,
            "schedule": self._scheduled,
            "reschedule": self._scheduled,
            "patch": self._patched,
            "cancel": self._cancelled,
            "delete": self._deleted,
            "retry": self._retried,
        }
        accounted = 0
        tries = self.accounts["tries without an answer, all repeated"]
        for request in self.evidence.requests:
            section = self.accounts[f"requests: {request.verb}"]
            for status in request.lost:
                tries[f"{request.verb}: {status or 'connection lost'}"] += 1
            if not request.is_accepted:
                section[f"not accepted: {request.status} {request.code or 'no answer'}"] += 1
                continue
            shown = request.post
            final = None if shown is None else self._posts.get(shown.id)
            if shown is None or final is None:
                self.faults.append(f"{request}: its post is not there")
            elif final.version < shown.version:
                self.faults.append(f"{request}: its post went back to version {final.version}")
            elif fate := fates[request.verb](request, shown, final):
                section[f"accepted: {fate}"] += 1
                accounted += 1
            else:
                self.faults.append(f"{request}: accepted, and no trace of it")
        self._tags()
        return accounted

    def _tags(self) -> None:
        """See that each create made one post at most, and a refused one none."""
        made: dict[str | None, list[Post]] = defaultdict(list)
        for post in self.evidence.posts:
            made[post.tag].append(post)
        creates = {each.text: each for each in self.evidence.requests if each.verb == "create"}
        for tag, posts in made.items():
            if tag not in creates:
                self.faults.append(f"{posts[0].id}: nobody asked for it")
            elif len(posts) > 1:
                self.faults.append(f"{creates[tag]}: made {len(posts)} posts")
            elif creates[tag].is_refused:
                self.faults.append(f"{creates[tag]}: refused, and made {posts[0].id}")
        unanswered = [each for each in creates.values() if each.is_unsure]
        for request in unanswered:
            effect = "took effect" if request.text in made else "did not take effect"
            self.accounts["creates that were never answered"][effect] += 1

    def _created(self, _request: Request, shown: Post, _final: Post) -> str | None:
        return "made" if self._count(shown.id, "post.created") == 1 else None

    def _scheduled(self, request: Request, shown: Post, final: Post) -> str | None:
        workflow_id = shown.workflow_id or shown.pending_workflow_id
        if workflow_id is None:
            return "overtaken before its repeated try was answered" if request.is_repeated else None
        if any(event.post.workflow_id == workflow_id for event in self._armings(shown.id)):
            return "armed, and told"
        later = self._later(shown, lambda event: event.type in {"post.cancelled", "post.deleted"})
        if later or self._newest_generation(final) > _generation(workflow_id):
            return "overtaken before it was armed"
        return None

    def _newest_generation(self, final: Post) -> int:
        told = [event.post.generation for event in self._events[final.id]]
        shown = [post.generation for _, post in self._shown[final.id]]
        return max([final.generation, *told, *shown])

    def _patched(self, request: Request, shown: Post, final: Post) -> str | None:
        written = [target.id for target in shown.targets if target.text == request.text]
        if not written:
            return "overtaken before its repeated try was answered" if request.is_repeated else None
        if shown.pending_workflow_id is not None and not self._scheduled(request, shown, final):
            return None
        if any(target.text == request.text for target in final.targets):
            return "its text stands"
        others = [
            each
            for each in self._asked[final.id]
            if each.verb == "patch" and not each.is_refused and each.text != request.text
        ]
        return "replaced by another edit" if others else None

    def _cancelled(self, request: Request, shown: Post, _final: Post) -> str | None:
        if shown.status == "CANCELED":
            told = [
                event
                for event in self._events[shown.id]
                if event.type == "post.cancelled" and event.post.canceled_at == shown.canceled_at
            ]
            if len(told) != 1:
                return None
            return "cancelled, and told" if told[0].after == shown.version else "was cancelled"
        if "canceled" not in request.outcomes.values():
            return "was cancelled"
        told = [
            event
            for event in self._events[shown.id]
            if event.type == "post.targets_cancelled" and event.after == shown.version
        ]
        return "chosen targets cancelled, and told" if len(told) == 1 else None

    def _deleted(self, request: Request, shown: Post, final: Post) -> str | None:
        if final.deleted_at is None or self._count(shown.id, "post.deleted") != 1:
            return None
        if not request.outcomes:
            return "deleted, and told"
        told = {event.type for event in self._events[shown.id] if event.after == shown.version}
        return "cancelled and deleted, and told" if told & {"post.cancelled"} else None

    def _retried(self, _request: Request, shown: Post, final: Post) -> str | None:
        if self._later(shown, lambda event: event.type not in ARMINGS):
            return "came to an end, and told"
        # What is in flight when its post is cancelled may end without anything left to tell.
        is_over = final.version > shown.version and final.status in {"CANCELED", *ENDINGS}
        return "came to an end" if is_over and final.status == "CANCELED" else None

    # Posts and targets

    def posts(self) -> None:
        """See that every post has come to rest, as its targets have, and is shown."""
        section = self.accounts["posts"]
        for post in self.evidence.posts:
            section["DELETED" if post.deleted_at else post.status] += 1
            statuses = {target.status for target in post.targets}
            if post.pending_workflow_id is not None:
                self.faults.append(f"{post.id}: its arming {post.pending_workflow_id} is pending")
            if post.status == "PUBLISHING":
                self.faults.append(f"{post.id}: is still being published")
            elif post.status in ENDINGS and statuses & {"SCHEDULED", "PUBLISHING", "DRAFT"}:
                self.faults.append(f"{post.id}: {post.status} with targets {sorted(statuses)}")
            elif post.status == "PUBLISHED" and statuses & {"FAILED"}:
                self.faults.append(f"{post.id}: PUBLISHED with targets {sorted(statuses)}")
            elif post.status == "SCHEDULED" and post.deleted_at is None:
                self._waits(post)
            if (post.deleted_at is None) is not (post.id in self.evidence.listed):
                self.faults.append(f"{post.id}: deleted {post.deleted_at}, and the listing differs")

    def _waits(self, post: Post) -> None:
        if post.scheduled_at is None or post.scheduled_at <= self.evidence.now:
            self.faults.append(f"{post.id}: was due {post.scheduled_at} and has not begun")
        elif post.workflow_id not in self.evidence.schedules:
            self.faults.append(f"{post.id}: has no schedule {post.workflow_id}")

    def targets(self) -> None:
        """See that each target's end is what its platform has."""
        keys: dict[str, str] = {}
        for post in self.evidence.posts:
            for target in post.targets:
                for key in (post_key(target.id), comment_key(target.id)):
                    keys[key] = target.id
                self._target(post, target)
        for key in self._records:
            if key not in keys:
                self.faults.append(f"{key}: a record of no target")
        calls = self.accounts["calls that publish"]
        for call in self.evidence.calls:
            calls["made a record" if call.took_effect else "refused or lost"] += 1

    def _target(self, post: Post, target: Target) -> None:
        name = f"{target.id} of {post.id}"
        records = self._records[post_key(target.id)]
        what = target.status
        if target.status == "FAILED":
            what = f"FAILED: {target.error}"
            if not target.error:
                self.faults.append(f"{name}: FAILED without a reason")
        if post.deleted_at is not None:
            what = f"{what} (of deleted posts)"
        self.accounts["targets"][what] += 1
        if len(records) > 1:
            self.faults.append(f"{name}: {len(records)} records")
        elif target.status == "PUBLISHING":
            self.faults.append(f"{name}: is still in flight")
        elif target.status == "PUBLISHED":
            self._published(name, target, records)
        elif records and target.error != UNKNOWN:
            self.faults.append(f"{name}: {what}, and has a record of {records[0].at}")
        self._calls(name, post, records, post_key(target.id))
        comments = self._records[comment_key(target.id)]
        if len(comments) > 1 or (comments and not records):
            self.faults.append(f"{name}: {len(comments)} comments on {len(records)} records")

    def _published(self, name: str, target: Target, records: list[Call]) -> None:
        if not records:
            self.faults.append(f"{name}: PUBLISHED, and its platform has nothing")
            return
        record = records[0]
        if record.text != target.text:
            self.faults.append(f"{name}: says {record.text!r} where {target.text!r} was wanted")
        if target.scheduled_for is not None and record.at < target.scheduled_for:
            self.faults.append(f"{name}: out at {record.at}, before {target.scheduled_for}")
        if target.comment is None:
            return
        comments = self._records[comment_key(target.id)]
        came_to = target.comment_error or "made"
        self.accounts["first comments of published targets"][came_to] += 1
        if target.comment_error == COMMENT_OWED:
            self.faults.append(f"{name}: its first comment is still owed")
        elif target.comment_error is None and not comments:
            self.faults.append(f"{name}: its first comment is not there")

    def _calls(self, name: str, post: Post, records: list[Call], key: str) -> None:
        """See that nothing was sent again unless a client asked for it."""
        for record in records[:1]:
            again = [each for each in self.evidence.calls if each.key == key]
            for call in again:
                asked = any(
                    each.verb in BEGINNING and record.at < each.sent_at < call.at
                    for each in self._asked[post.id]
                )
                if call.at > record.at and not asked:
                    self.faults.append(f"{name}: sent again at {call.at}, out since {record.at}")

    def promises(self) -> None:
        """See that nothing said to be canceled, or deleted, went out unless begun anew."""
        section = self.accounts["targets that an answer called canceled"]
        for request in self.evidence.requests:
            shown = request.post
            if request.verb not in {"cancel", "delete"} or shown is None:
                continue
            for target in shown.targets:
                if not self._is_promised(request, target):
                    continue
                records = self._records[post_key(target.id)]
                if not records:
                    section["never went out"] += 1
                elif self._is_begun_anew(shown, target, records[0]):
                    section["went out later, because a client had it begun anew"] += 1
                else:
                    self.faults.append(
                        f"{target.id} of {shown.id}: out at {records[0].at}, after {request}"
                    )

    @staticmethod
    def _is_promised(request: Request, target: Target) -> bool:
        outcome = request.outcomes.get(target.id)
        if request.verb == "delete":
            waits = target.status in {"CANCELED", "DRAFT", "SCHEDULED"}
            return waits and target.error not in {UNKNOWN, NOT_COMPLETED}
        return outcome in {"canceled", "already_canceled"}

    def _is_begun_anew(self, canceled: Post, target: Target, record: Call) -> bool:
        for request in self._asked[canceled.id]:
            if request.verb not in BEGINNING or request.sent_at >= record.at:
                continue
            if request.is_unsure:
                return True
            shown = None if request.post is None else request.post.target(target.id)
            if shown is None or request.post is None or request.post.version <= canceled.version:
                continue
            if shown.status != "CANCELED" or request.is_repeated:
                return True
        return False

    def texts(self) -> None:
        """See that no replaced text ever comes back, and none that was refused is there."""
        refused = {each.text for each in self.evidence.requests if each.is_refused} - {None}
        for final in self.evidence.posts:
            seen: dict[str, dict[int, str | None]] = defaultdict(dict)
            for post in (*(post for _, post in self._shown[final.id]), final):
                for target in post.targets:
                    seen[target.id][post.version] = target.text
                    if target.text in refused:
                        self.faults.append(f"{target.id} of {post.id}: says what was refused")
            for target_id, texts in seen.items():
                follow = [texts[version] for version in sorted(texts)]
                kept = [text for text, _ in groupby(follow)]
                if len(kept) != len(set(kept)):
                    self.faults.append(f"{target_id} of {final.id}: went back to an older text")

    # Events

    def transitions(self) -> None:
        """See that each transition anybody was shown has its event, and has it once."""
        for post in self.evidence.posts:
            events = self._events[post.id]
            if self._count(post.id, "post.created") != 1:
                self.faults.append(f"{post.id}: created {self._count(post.id, 'post.created')} ×")
            if self._count(post.id, "post.deleted") != (post.deleted_at is not None):
                self.faults.append(f"{post.id}: deleted {self._count(post.id, 'post.deleted')} ×")
            self._ended(post, events)
            self._armed_once(post)
            self._canceled_once(post, events)
            for before, after in pairwise(events):
                if after.before < before.after and after.after != before.after:
                    self.faults.append(f"{post.id}: {before.id} and {after.id} overlap")

    def _ended(self, final: Post, events: list[Event]) -> None:
        for post in (*(post for _, post in self._shown[final.id]), final):
            ending = ENDINGS.get(post.status)
            if ending is None or post.deleted_at is not None:
                continue
            endings = [
                event
                for event in events
                if event.type in ENDINGS.values() and event.after <= post.version
            ]
            if not endings or endings[-1].type != ending:
                self.faults.append(
                    f"{post.id}: {post.status} at version {post.version}, and no {ending}"
                )

    def _armed_once(self, final: Post) -> None:
        told = Counter(event.post.workflow_id for event in self._armings(final.id))
        for workflow_id, times in told.items():
            if times != 1:
                self.faults.append(f"{workflow_id}: armed {times} ×")
        for _, post in (*self._shown[final.id], (None, final)):
            armed = post.status == "SCHEDULED" and post.pending_workflow_id is None
            if armed and post.workflow_id not in told:
                self.faults.append(f"{post.workflow_id}: armed, and nobody was told")

    def _canceled_once(self, final: Post, events: list[Event]) -> None:
        told = Counter(event.post.canceled_at for event in events if event.type == "post.cancelled")
        asked = [each for each in self._asked[final.id] if each.verb in {"cancel", "delete"}]
        for moment, times in told.items():
            if times != 1:
                self.faults.append(f"{final.id}: cancelled {times} × at {moment}")
            if not any(each.is_unsure or _has(each, moment) for each in asked):
                self.faults.append(f"{final.id}: cancelled at {moment}, and nobody asked for it")
        for _, post in (*self._shown[final.id], (None, final)):
            if post.canceled_at is not None and post.canceled_at not in told:
                self.faults.append(f"{post.id}: cancelled at {post.canceled_at}, and no event")

    def deliveries(self) -> None:
        """See that each event was taken by each endpoint that wants it, or is kept for it."""
        events = {event.id: event for event in self.evidence.events}
        rows = {(each.endpoint_id, each.event_id): each for each in self.evidence.deliveries}
        receipts: dict[tuple[str, str], list[Receipt]] = defaultdict(list)
        for receipt in self.evidence.receipts:
            event_id = str(receipt.payload["eventId"])
            receipts[receipt.endpoint_id, event_id].append(receipt)
            event = events.get(event_id)
            if event is None and self._is_of_disabled(
                receipt, rows.get((receipt.endpoint_id, event_id))
            ):
                self.accounts["deliveries"]["told of an endpoint that was disabled"] += 1
            elif event is None:
                self.faults.append(f"{event_id}: told of to {receipt.endpoint_id}, and is no event")
            elif event.payload != receipt.payload:
                self.faults.append(f"{event_id}: told otherwise to {receipt.endpoint_id}")
        for event in self.evidence.events:
            self.accounts["events"][event.type] += 1
            if event.is_pending:
                self.faults.append(f"{event.id} {event.type} of {event.post_id}: in the outbox")
            for endpoint in self.evidence.endpoints:
                if matches(endpoint.filters, event.type):
                    where = endpoint.id, event.id
                    self._delivery(event, endpoint, rows.get(where), receipts[where])

    def _is_of_disabled(self, receipt: Receipt, row: Delivery | None) -> bool:
        """Tell whether a request tells of another endpoint, which is the outbox of that itself."""
        about = receipt.payload.get("webhook", {}).get("id")
        disabled = {each.id for each in self.evidence.endpoints if not each.is_enabled}
        is_ours = row is not None and row.id == receipt.delivery_id
        return is_ours and about in disabled - {receipt.endpoint_id}

    def _delivery(
        self, event: Event, endpoint: Endpoint, row: Delivery | None, receipts: list[Receipt]
    ) -> None:
        name = f"{event.id} {event.type} of {event.post_id} to {endpoint.id}"
        section = self.accounts["deliveries"]
        if row is None:
            self.faults.append(f"{name}: no delivery")
            return
        if {receipt.delivery_id for receipt in receipts} - {row.id}:
            self.faults.append(f"{name}: more than one delivery id")
        taken = sum(200 <= receipt.status < 300 for receipt in receipts)
        if taken:
            section["taken once" if taken == 1 else "taken more than once, under one id"] += 1
        elif row.status == "PARKED" and not endpoint.is_enabled:
            section["parked for a disabled endpoint"] += 1
        elif row.status == "PENDING" and (row.next_attempt_at or "") > self.evidence.now:
            section[f"waiting for attempt {row.attempts + 1}"] += 1
        else:
            self.faults.append(f"{name}: {row.status} after {row.attempts} attempts, never taken")
        if row.status == "DELIVERED" and not taken:
            self.faults.append(f"{name}: said to be delivered")

    # What is asked often

    def _count(self, post_id: str, event_type: str) -> int:
        return sum(event.type == event_type for event in self._events[post_id])

    def _armings(self, post_id: str) -> Iterable[Event]:
        return (event for event in self._events[post_id] if event.type in ARMINGS)

    def _later(self, shown: Post, wanted: Callable[[Event], bool]) -> bool:
        return any(
            event.after > shown.version and wanted(event) for event in self._events[shown.id]
        )


def _generation(workflow_id: str | None) -> int:
    """Return the number that a workflow's name ends with; 0 for none."""
    return 0 if workflow_id is None else int(workflow_id.rpartition("-")[2])


def _has(request: Request, canceled_at: str | None) -> bool:
    """Tell whether a request was answered with the post as canceled at that moment."""
    return request.post is not None and request.post.canceled_at == canceled_at
