"""What races with what: the kinds of rounds, and what must hold beside all that always must."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any

from postbreeze.domain import ids, lifecycle
from postbreeze.domain.access import Role
from postbreeze.domain.changes import Change
from postbreeze.domain.lifecycle import Published
from postbreeze.domain.post import Post
from postbreeze.domain.webhook import DeliveryStatus, Endpoint
from postbreeze.operations import deliver
from tests.races.racing import RUNNERS, Act, Raced, Round
from tests.support.builders import PLENTY, a_key, a_member
from tests.support.core import A_MINUTE, AN_HOUR, USERS, WEBHOOK_SECRET, WORKSPACE, Core
from tests.support.fakes import FakeRandomness

Dealt = Mapping[str, Any]
"""What makes a round beside its number; its moment is the one that its posts are due at."""


AGAIN = 8
"""How many seconds after its first moment a post is to go out if it is put on the clock again.

Later than any clock shows of those who ask for it, and earlier than the clocks of its fires do.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of round.

    ``deal`` makes one with what chance has in store, on a core whose clock stands an hour before;
    ``ends`` names what it came to, of which each of ``all_ends`` must come about; ``check`` asserts
    what holds for this kind only. ``batch`` is how many rounds are handed out together.
    """

    name: str
    rounds: int
    deal: Callable[[Random, Core], Dealt]
    all_ends: frozenset[str]
    ends: Callable[[Raced], Iterable[str]] = lambda raced: map(_end, raced.found.posts)
    check: Callable[[Raced], None] = lambda raced: None
    batch: int = 64

    def round(self, number: int, seed: int) -> Round:
        """Make a round; every number has another."""
        chance = Random(f"{seed} {self.name} {number}")
        core = Core(FakeRandomness(chance.getrandbits(64)))
        core.clock.advance(hours=number)
        return Round(**{"number": number, "at": core.clock.at + AN_HOUR, **self.deal(chance, core)})


def _act(
    chance: Random,
    does: str,
    latest: float = 1.0,
    *,
    earliest: float = 0.0,
    clock: tuple[int, int] = (-5, 5),
    post: int = 0,
    **given: Any,
) -> Act:
    """Make an act that begins between these laps, by a clock between these seconds ahead."""
    return Act(
        does=does,
        delay=chance.uniform(earliest, latest),
        skew=timedelta(milliseconds=chance.randint(1_000 * clock[0], 1_000 * clock[1])),
        post=post,
        given=given,
    )


def _fire(
    chance: Random, latest: float = 1.0, *, earliest: float = 0.0, generation: int = 1
) -> Act:
    """Make a fire, a moment early or late; later armings are for a little later."""
    clock = (-1, 10) if generation == 1 else (9, 20)
    return _act(chance, "fire", latest, earliest=earliest, clock=clock, generation=generation)


def _end(post: Post) -> str:
    """Name where a post ended: its status, and its targets' where they differ from it."""
    statuses = sorted({target.status.value for target in post.targets})
    deleted = "" if post.deleted_at is None else ", deleted"
    same = statuses == [post.status.value]
    return post.status.value + ("" if same else f" with {'+'.join(statuses)}") + deleted


# A post's own rows


def _duplicates(chance: Random, core: Core) -> Dealt:
    return {
        "posts": (core.created(2),),
        "acts": (
            _act(chance, "cancel", 1.6),
            _fire(chance),
            _fire(chance),
            _act(chance, "messages", 2.0, clock=(-1, 10), generation=1, targets=(1,)),
        ),
    }


def _stale_fire(chance: Random, core: Core) -> Dealt:
    return {
        "posts": (core.created(1),),
        "acts": (
            _act(chance, "cancel", 3.0),
            _act(chance, "reschedule", 1.0, seconds=AGAIN),
            _fire(chance, 1.5, generation=1),
            _fire(chance, 3.5, earliest=0.5, generation=2),
        ),
    }


def _storm(chance: Random, core: Core) -> Dealt:
    return {
        "posts": (core.created(1),),
        "acts": (
            *(_act(chance, "reschedule", 2.0, seconds=seconds) for seconds in range(6, 10)),
            _act(chance, "cancel", 7.0, earliest=1.0),
            *(_fire(chance, 8.0, earliest=1.0, generation=generation) for generation in (2, 4, 5)),
        ),
    }


def _patch(chance: Random, core: Core) -> Dealt:
    accounts = chance.choice([(0, 1), (1,), (1, 2)])
    return {
        "posts": (core.created(2),),
        "acts": (
            _act(chance, "cancel", 1.6),
            _act(chance, "edit", 1.8, accounts=accounts, seconds=AGAIN),
            _fire(chance, 1.6, generation=1),
            _fire(chance, 3.0, generation=2),
        ),
    }


def _deletion(chance: Random, core: Core) -> Dealt:
    return {
        "posts": (core.created(chance.choice((1, 2))),),
        "acts": (
            _act(chance, "delete", 2.0),
            _fire(chance),
            _fire(chance),
        ),
    }


def _approval(chance: Random, core: Core) -> Dealt:
    at = core.clock.at + AN_HOUR + timedelta(seconds=AGAIN)
    post = core.created(1, requires_approval=True, scheduled_for=at)
    return {
        "posts": (post,),
        "acts": (
            _act(chance, "approve", key="owner"),
            _act(chance, "approve", key="admin"),
            _act(chance, "cancel", 4.0),
            # For a little later than the other first armings, and so by later clocks.
            _act(chance, "fire", 5.0, earliest=1.0, clock=(9, 20), generation=1),
        ),
    }


def _settling(chance: Random, core: Core) -> Dealt:
    post = core.created(3)
    core.advance(AN_HOUR)
    post = _claimed(core, _begun(core, post))
    return {
        "posts": (post,),
        "public": (post.targets[0].id,) if chance.random() < 0.7 else (),
        # A minute after the claim has run out.
        "at": core.clock.at + 4 * A_MINUTE,
        "acts": (
            _act(chance, "resolve", 0.7),
            _act(chance, "resolve", 0.7),
            _act(chance, "messages", 0.5, generation=1, targets=(1, 2)),
            _act(chance, "messages", 0.5, generation=1, targets=(2, 1)),
            _act(chance, "cancel", 1.2),
        ),
    }


def _begun(core: Core, post: Post) -> Post:
    core.start(post.id, post.workflow_id or "")
    return core.post(post.id)


def _claimed(core: Core, post: Post) -> Post:
    """Have a post's first target claimed, by a process that is gone since."""
    target_id, now = post.targets[0].id, core.clock.at
    return _changed(core, lifecycle.claim(post, target_id, post.workflow_id or "", "gone", now=now))


def _settled(core: Core, post: Post) -> Post:
    """Have it published, and nobody look at the post afterwards."""
    result = Published(external_post_id="id", external_url="url")
    target_id, now = post.targets[0].id, core.clock.at
    return _changed(core, lifecycle.settle(post, target_id, "gone", result, now=now))


def _changed(core: Core, change: Change | None) -> Post:
    assert change is not None
    core.posts.commit(change)
    return change.after


# Repeated requests


def _cancels(chance: Random, core: Core) -> Dealt:
    return {
        "posts": (core.created(1),),
        "acts": (
            _act(chance, "cancel", 0.3, idempotency="one"),
            _act(chance, "cancel", 0.3, idempotency="one"),
            _act(chance, "cancel", 0.3, idempotency="two"),
            _act(chance, "cancel", 0.8, earliest=0.2),
        ),
    }


def _winner(raced: Raced) -> Iterable[str]:
    for done in raced.race:
        if done.committed:
            key = done.act.given.get("idempotency")
            yield "without a key won" if key is None else f"with the key {key} won"


def _same_answers(raced: Raced) -> None:
    told = [done.told for done in raced.race]
    assert told == ["200"] * 4, told
    bodies = [done.body for done in raced.race if done.act.given.get("idempotency") == "one"]
    assert bodies[0] == bodies[1], "one request was answered in two ways"
    outcomes = Counter(done.body["cancellation"]["targets"][0]["outcome"] for done in raced.race)
    assert outcomes.keys() <= {"canceled", "already_canceled"}, outcomes
    assert sum(bool(done.committed) for done in raced.race) == 1


# Access that ends meanwhile


def _revocation(chance: Random, core: Core) -> Dealt:
    key = core.add_key(_digest(chance), owner=USERS[Role.OWNER])
    cancels = [_act(chance, "cancel", 3.0, key=key.digest) for _ in range(4)]
    return {
        "posts": (core.created(1),),
        "keys": (key,),
        "acts": (_act(chance, "revoke", 2.0), *cancels),
    }


def _nothing_after_revocation(raced: Raced) -> None:
    revoked, *cancels = raced.race
    for done in cancels:
        assert done.told in {"200", "Unauthorized"}, done.told
        if done.began > revoked.ended:
            assert done.told == "Unauthorized", "a revoked key was let in"


def _kept_out(raced: Raced) -> Iterable[str]:
    refused = sum(done.told in {"Unauthorized", "NotFound"} for done in raced.race[1:])
    yield {0: "none refused", len(raced.race) - 1: "all refused"}.get(refused, "some refused")


def _removal(chance: Random, core: Core) -> Dealt:
    user = ids.new_id(ids.USER, core.clock.at, chance.randbytes(10))
    member = a_member(Role.EDITOR, workspace_id=WORKSPACE, user_id=user)
    key = core.add_key(_digest(chance), owner=member.user_id)
    return {
        "posts": (core.created(1),),
        "keys": (key,),
        "members": (member,),
        "acts": (
            _act(chance, "remove", 3.0, earliest=0.3),
            _act(chance, "cancel", 2.0, key=key.digest),
            _act(chance, "cancel", 2.0, key=key.digest),
            _act(chance, "reschedule", 1.0, seconds=AGAIN, key=key.digest),
        ),
    }


def _nothing_after_removal(raced: Raced) -> None:
    removed, *others = raced.race
    for done in others:
        if done.began > removed.ended:
            assert done.told in {"NotFound", "Forbidden"}, f"{done.told} after the membership ended"
        # What follows of itself, such as the arming of what was accepted, is the service's.
        for each in done.committed[:1]:
            assert each.change.after.version <= removed.body.version, "written without membership"


def _digest(chance: Random) -> str:
    return chance.randbytes(32).hex()


# What the service does by itself


def _reconcilers(chance: Random, core: Core) -> Dealt:
    pending = core.created_unarmed(1)
    overdue, stalled, claimed, ended = (core.created(1) for _ in range(4))
    events = tuple(core.posts.timeline(overdue.id))
    core.advance(AN_HOUR)
    stalled = _begun(core, stalled)
    claimed = _claimed(core, _begun(core, claimed))
    ended = _settled(core, _claimed(core, _begun(core, ended)))
    asked = (claimed.targets[0].id,) if chance.random() < 0.5 else ()
    return {
        "at": core.clock.at + 4 * A_MINUTE,
        "posts": (pending, overdue, stalled, claimed, ended),
        "public": (*asked, ended.targets[0].id),
        "events": events,
        "endpoints": (core.endpoint(),),
        "acts": (
            _act(chance, "reconcile", 0.2),
            _act(chance, "reconcile", 0.2),
            _act(chance, "cancel", 0.5, post=0),
            _act(chance, "cancel", 0.7, post=1),
            _act(chance, "cancel", 0.7, post=2),
            _act(chance, "messages", 0.7, post=2, generation=1, targets=(0,)),
            _act(chance, "resolve", 0.7, post=3),
            _act(chance, "fan_out", 0.4),
        ),
    }


def _fanning_out(chance: Random, core: Core) -> Dealt:
    workspace_id = ids.new_id(ids.WORKSPACE, core.clock.at, chance.randbytes(10))
    post = core.created(1)
    core.cancel(post.id)
    post, event = core.post(post.id), core.posts.timeline(post.id)[-1]
    endpoints = tuple(_endpoint(chance, core, workspace_id) for _ in range(2))
    switched = _act(chance, "disable", 0.8), _act(chance, "enable", 2.0)
    return {
        "posts": (replace(post, workspace_id=workspace_id),),
        "events": (replace(event, workspace_id=workspace_id),),
        "endpoints": endpoints,
        "acts": (
            *(_act(chance, "fan_out", 0.6) for _ in range(3)),
            *switched[: chance.choice((1, 2))],
        ),
    }


def _endpoint(chance: Random, core: Core, workspace_id: str) -> Endpoint:
    endpoint = replace(
        core.endpoint(),
        id=ids.new_id(ids.ENDPOINT, core.clock.at, chance.randbytes(10)),
        workspace_id=workspace_id,
    )
    sealed = core.secrets.seal(WEBHOOK_SECRET, deliver.sealing_context(endpoint))
    return replace(endpoint, sealed_secrets=(sealed,))


def _parked(raced: Raced) -> Iterable[str]:
    """Tell whether the endpoint was switched off in time for its delivery to be parked."""
    for delivery in raced.found.deliveries[raced.round.endpoints[0].id]:
        # A lease, an attempt's end; waiting, or parking and its undoing, are more.
        yield "delivered at once" if delivery.revision <= 3 else "parked and delivered"


def _each_event_once(raced: Raced) -> None:
    events = [event for events in raced.found.events.values() for event in events]
    assert all(event.pending_since is None for event in events), "an event is still in the outbox"
    for endpoint in raced.round.endpoints:
        found = Counter(
            delivery.event_id
            for delivery in raced.found.deliveries[endpoint.id]
            if delivery.post_id in raced.found.events
        )
        assert found == Counter(event.id for event in events), "not one delivery for each event"
    for deliveries in raced.found.deliveries.values():
        for delivery in deliveries:
            assert delivery.status is DeliveryStatus.DELIVERED, delivery
            taken = [attempt for attempt in delivery.attempts if attempt.status == 200]
            assert len(taken) == 1, delivery


# Counting


def _admissions(chance: Random, core: Core) -> Dealt:
    limit = chance.randint(1, 12)
    by_minute = chance.random() < 0.5
    key = a_key(
        digest=_digest(chance),
        requests_per_minute=limit if by_minute else PLENTY,
        requests_per_quarter_hour=PLENTY if by_minute else limit,
    )
    # Half of them where a window ends: some clocks are in the one, some in the other.
    at = core.clock.at + timedelta(seconds=chance.choice((0, 30)))
    return {
        "at": at,
        "posts": (),
        "keys": (key,),
        "acts": tuple(
            _act(chance, "admit", 0.3, times=chance.choice((1, 1, 2))) for _ in range(RUNNERS)
        ),
    }


def _never_above(raced: Raced) -> None:
    (key,) = raced.round.keys
    limit = min(key.requests_per_minute, key.requests_per_quarter_hour)
    told = Counter(each for done in raced.race for each in done.body)
    assert told.keys() <= {"admitted", "RateLimitedError"}, told
    windows = 1 if raced.round.at.second else 2
    admitted = told["admitted"]
    assert admitted <= windows * limit, f"{admitted} were let in of {limit}"
    if told["RateLimitedError"]:
        assert admitted >= limit, f"only {admitted} were let in of {limit}"


def _let_in(raced: Raced) -> Iterable[str]:
    refused = any("RateLimitedError" in done.body for done in raced.race)
    yield "some refused" if refused else "all let in"


_STOPPED_OR_OUT = frozenset({"CANCELED", "PUBLISHED"})
_SPLIT = _STOPPED_OR_OUT | {"CANCELED with CANCELED+PUBLISHED"}
_SOME = frozenset({"none refused", "some refused", "all refused"})

KINDS: Sequence[Kind] = (
    Kind(
        name="cancel ∥ duplicate fires ∥ duplicate messages",
        rounds=1_200,
        deal=_duplicates,
        all_ends=_SPLIT,
    ),
    Kind(
        name="cancel ∥ reschedule ∥ stale fire ∥ fire",
        rounds=1_200,
        deal=_stale_fire,
        all_ends=_STOPPED_OR_OUT,
    ),
    Kind(
        name="4 reschedules ∥ cancel ∥ fires of three generations",
        rounds=150,
        deal=_storm,
        all_ends=_STOPPED_OR_OUT,
    ),
    Kind(name="cancel ∥ patch ∥ fires", rounds=700, deal=_patch, all_ends=_SPLIT),
    Kind(
        name="delete ∥ duplicate fires",
        rounds=1_000,
        deal=_deletion,
        all_ends=frozenset(
            {
                "CANCELED, deleted",
                "PUBLISHED, deleted",
                "CANCELED with CANCELED+PUBLISHED, deleted",
            }
        ),
    ),
    Kind(
        name="two approvals ∥ cancel ∥ fire",
        rounds=900,
        deal=_approval,
        all_ends=_STOPPED_OR_OUT,
    ),
    Kind(
        name="settle ∥ settle ∥ cancel",
        rounds=600,
        deal=_settling,
        all_ends=frozenset({"PUBLISHED", "CANCELED with CANCELED+PUBLISHED"}),
    ),
    Kind(
        name="four cancels, two of them one request",
        rounds=1_200,
        deal=_cancels,
        all_ends=frozenset({"without a key won", "with the key one won", "with the key two won"}),
        ends=_winner,
        check=_same_answers,
    ),
    Kind(
        name="a key is revoked ∥ its cancels",
        rounds=700,
        deal=_revocation,
        all_ends=_SOME,
        ends=_kept_out,
        check=_nothing_after_revocation,
    ),
    Kind(
        name="a membership ends ∥ its cancels and reschedule",
        rounds=700,
        deal=_removal,
        all_ends=_SOME,
        ends=_kept_out,
        check=_nothing_after_removal,
    ),
    Kind(
        name="two reconcilers ∥ cancels ∥ publishers, five posts",
        rounds=150,
        deal=_reconcilers,
        all_ends=_STOPPED_OR_OUT | {"FAILED"},
        check=_each_event_once,
        batch=1,
    ),
    Kind(
        name="three fan-outs ∥ endpoint switched off and on",
        rounds=600,
        deal=_fanning_out,
        all_ends=frozenset({"delivered at once", "parked and delivered"}),
        ends=_parked,
        check=_each_event_once,
    ),
    Kind(
        name="8 callers ∥ one key's limit",
        rounds=1_000,
        deal=_admissions,
        all_ends=frozenset({"all let in", "some refused"}),
        ends=_let_in,
        check=_never_above,
    ),
)
