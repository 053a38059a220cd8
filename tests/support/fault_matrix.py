"""Every call that leaves a function, and everything that can go wrong with it.

A scenario is played once undisturbed, which tells what calls it makes. Then it is played anew for
each of them and for each fault: the fault strikes, whoever asked asks again or does not, time
passes with all in order again, and what the service promises is looked at. What had the function
run (a request, a message, a fire, a minute) is a call of its own, and as faulty as the others.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any

from postbreeze.domain.errors import (
    IdempotencyInProgressError,
    LostRaceError,
    PlatformOutcomeUnknownError,
    PlatformRetriableError,
    PostbreezeError,
    RateLimitedError,
    UnavailableError,
    ValidationError,
)
from postbreeze.domain.lifecycle import NOT_COMPLETED, OUTCOME_UNKNOWN
from postbreeze.domain.post import Post, Target, TargetStatus
from postbreeze.operations.answers import Answer
from postbreeze.operations.media.ports import FetchError
from postbreeze.operations.ports import AnswerExistsError
from postbreeze.operations.webhook_ports import WebhookResponse, WebhookSendError
from tests.support.core import A_SECOND, AN_HOUR, Core, DiedError, straight
from tests.support.lives import SCENARIOS, By, Life, Scenario
from tests.support.port_calls import COMPUTED, Site, site_of

THROTTLED_FOR = timedelta(seconds=30)


class Fault(Enum):
    """What goes wrong with one call."""

    FAILS = "fails before"
    LOST = "answer lost"
    LATE = "times out, acts later"
    THROTTLED = "throttled for 30 s"
    DIES_BEFORE = "process dies before"
    DIES_AFTER = "process dies after"
    TWICE = "happens twice"
    AN_HOUR_LATE = "an hour late"


DEATHS = frozenset({Fault.DIES_BEFORE, Fault.DIES_AFTER})


class Then(Enum):
    """What those do who had it done, and what becomes of messages and timers."""

    GIVES_UP = "gives up"
    TIMERS_LOST = "gives up, and every timer is lost"
    REPEATS = "asks again until it is answered"
    REPEATS_LATER = "asks again when all is over"
    REDELIVERED = "the message comes again"
    MESSAGE_LOST = "the message and every timer are lost"


THENS: Mapping[By, Sequence[Then]] = {
    By.CLIENT: (Then.GIVES_UP, Then.TIMERS_LOST, Then.REPEATS, Then.REPEATS_LATER),
    By.OPERATOR: (Then.GIVES_UP, Then.REPEATS),
    By.QUEUE: (Then.REDELIVERED, Then.MESSAGE_LOST),
    By.SCHEDULER: (Then.REDELIVERED, Then.MESSAGE_LOST),
    By.CLOCK: (Then.REDELIVERED, Then.MESSAGE_LOST),
}

SERVICES: Mapping[str, str] = {
    "posts": "DynamoDB",
    "directory": "DynamoDB",
    "disconnections": "DynamoDB",
    "registry": "DynamoDB",
    "webhooks": "DynamoDB",
    "assets": "DynamoDB",
    "schedules": "Scheduler",
    "bus": "SNS",
    "publish_queue": "SQS",
    "delivery_queue": "SQS",
    "work_queues": "SQS",
    "secrets": "KMS",
    "storage": "S3",
    "platform": "the platform",
    "sender": "the endpoint",
    "files": "the internet",
}
"""Which service a port's calls are made to: throttling hits all of them."""

EFFECTS = frozenset({"schedules", "bus", "publish_queue", "delivery_queue"})
"""Services that take a call and act on it in their own time. An hour late, they have said yes."""

_BEFORE: Mapping[str, Exception] = {
    "platform": PlatformRetriableError("PLATFORM_UNREACHABLE", "Nothing was sent."),
    "sender": WebhookSendError("CONNECT_FAILED", "Nobody is there."),
    "files": FetchError("The server could not be reached."),
}
_AFTER: Mapping[str, Exception] = {
    "platform.prepare": PlatformRetriableError("PLATFORM_TIMEOUT", "No answer came back."),
    "platform.find": PlatformRetriableError("PLATFORM_TIMEOUT", "No answer came back."),
    "platform.publish": PlatformOutcomeUnknownError(OUTCOME_UNKNOWN, "No answer came back."),
    "platform.comment": PlatformOutcomeUnknownError("COMMENT_UNKNOWN", "No answer came back."),
    "sender.post": WebhookSendError("TIMEOUT", "No answer came back."),
    "files.fetch": FetchError("The server did not answer in time."),
}


def error_before(call: str) -> Exception:
    """Return what a call raises that never arrived, as its port has it."""
    return _BEFORE.get(call.partition(".")[0], UnavailableError("never arrived"))


def error_after(call: str) -> Exception:
    """Return what a call raises whose answer never came, as its port has it."""
    return _AFTER.get(call, UnavailableError("answer lost"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that goes wrong in one life: with its call of that number, or what began it.

    ``again`` is another one, with the call of that number of all those that follow.
    """

    scenario: str
    number: int | None
    call: str
    fault: Fault
    then: Then
    again: tuple[int, Fault] | None = None

    def __str__(self) -> str:
        """Say it so that it can be found again."""
        nth = "" if self.number is None else f" (call {self.number})"
        told = f"{self.scenario}: {self.call}{nth} {self.fault.value}; {self.then.value}"
        if self.again is None:
            return told
        number, fault = self.again
        return f"{told}; then call {number} {fault.value}"

    @property
    def cell(self) -> tuple[str, str, Fault]:
        """Name the function, the call and the fault."""
        return SCENARIOS[self.scenario].function, self.call, self.fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Undisturbed:
    """How a scenario goes when nothing goes wrong, and how its world ends when it is not done."""

    calls: tuple[str, ...]
    accepted_with: int | None
    sites: frozenset[Site]
    outcome: Outcome
    ended: object
    ended_undone: object
    has_one_end: bool
    is_read: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What whoever asked was told: an answer, an error, or nothing at all."""

    answer: object = None
    error: PostbreezeError | None = None
    is_dead: bool = False

    @property
    def is_unavailable(self) -> bool:
        """Tell whether it is to be asked again."""
        return isinstance(self.error, UnavailableError | IdempotencyInProgressError)


def outcome_of(act: Callable[[], object]) -> Outcome:
    """Do it; what is not our own error comes through, and is a fault."""
    try:
        return Outcome(answer=act())
    except PostbreezeError as error:
        return Outcome(error=error)
    except DiedError:
        return Outcome(is_dead=True)


@dataclass(slots=True)
class Recorder:
    """A tap that notes the calls, the places they come from, and with which the wish is granted."""

    core: Core
    accepted: Callable[[], bool] | None = None
    accepted_with: int | None = None
    calls: list[str] = field(default_factory=list)
    sites: set[Site] = field(default_factory=set)

    def __call__(self, name: str, call: Callable[[], Any]) -> Any:
        if name not in COMPUTED:
            self.calls.append(name)
            self.sites.add(site_of(name, sys._getframe(1)))
        result = _scripted(self.core, self, name, call)
        if self.accepted is not None and self.accepted_with is None and self.accepted():
            self.accepted_with = len(self.calls) - 1
        return result


@dataclass(slots=True)
class Strike:
    """A tap that has a fault strike the call of that number."""

    core: Core
    number: int | None
    fault: Fault
    made: int = 0
    deferred: list[Callable[[], Any]] = field(default_factory=list)
    throttled: str = ""
    throttled_until: datetime | None = None

    def __call__(self, name: str, call: Callable[[], Any]) -> Any:
        if name in COMPUTED:
            return call()
        if self._is_throttled(name):
            return _throttled(name)
        number, self.made = self.made, self.made + 1
        if number != self.number:
            return _scripted(self.core, self, name, call)
        return self._strike(name, call)

    def _strike(self, name: str, call: Callable[[], Any]) -> Any:
        match self.fault:
            case Fault.FAILS:
                raise error_before(name)
            case Fault.LOST:
                _scripted(self.core, self, name, call)
                raise error_after(name)
            case Fault.LATE:
                self._defer(call)
                raise error_after(name)
            case Fault.AN_HOUR_LATE:
                self._defer(call)
                if name.partition(".")[0] not in EFFECTS:
                    raise error_after(name)
                return None
            case Fault.THROTTLED:
                self.throttle(SERVICES[name.partition(".")[0]])
                return _throttled(name)
            case Fault.DIES_BEFORE:
                raise DiedError
            case Fault.DIES_AFTER:
                _scripted(self.core, self, name, call)
                raise DiedError
            case Fault.TWICE:
                return self._twice(name, call)

    def _twice(self, name: str, call: Callable[[], Any]) -> Any:
        first = _scripted(self.core, self, name, call)
        sent = len(self.core.watched.sent)
        try:
            second = call()
        except (LostRaceError, AnswerExistsError):
            # A transaction carries a token: its repeat is answered as it was itself.
            return first
        finally:
            # A repeat that a library below the client makes; the record's key makes it one post.
            del self.core.watched.sent[sent:]
        return second

    def throttle(self, service: str) -> None:
        """Refuse every call to a service from now on."""
        self.throttled = service
        self.throttled_until = self.core.clock.at + THROTTLED_FOR

    def _is_throttled(self, name: str) -> bool:
        return (
            self.throttled_until is not None
            and self.core.clock.at < self.throttled_until
            and SERVICES[name.partition(".")[0]] == self.throttled
        )

    def _defer(self, call: Callable[[], Any]) -> None:
        act = self.core.act

        def later() -> None:
            with self.core._does(act):
                call()

        self.deferred.append(later)

    def arrive(self) -> None:
        """Let what was late take effect; nobody waits for how that ends."""
        for call in self.deferred:
            try:
                call()
            except (PostbreezeError, WebhookSendError):
                continue
        self.deferred.clear()


def _scripted(core: Core, tap: Any, name: str, call: Callable[[], Any]) -> Any:
    """Make a call as its life has scripted it, whose own calls are not among those that count."""
    core.tap = core._follow
    try:
        return core._follow(name, call)
    finally:
        core.tap = tap


def _throttled(name: str) -> Any:
    if name == "sender.post":
        return WebhookResponse(status=429, headers={"Retry-After": "30"}, body=b"", duration_ms=1)
    raise error_before(name)


@cache
def undisturbed(name: str) -> Undisturbed:
    """Play a scenario with nothing going wrong, and once more with nothing done at all."""
    life = SCENARIOS[name].stage()
    has_one_end = life.has_one_end and not any(life.core._befores.values())
    tap = Recorder(life.core, life.accepted)
    life.core.tap = tap
    outcome = outcome_of(life.act)
    life.core.tap = straight
    _end(life)
    undone = SCENARIOS[name].stage()
    for scripts in (undone.core._befores, undone.core._faults):
        scripts.clear()
    _end(undone)
    return Undisturbed(
        calls=tuple(tap.calls),
        accepted_with=tap.accepted_with,
        sites=frozenset(tap.sites),
        outcome=outcome,
        ended=essence(life.core),
        ended_undone=essence(undone.core),
        has_one_end=has_one_end,
        is_read=life.is_read,
    )


def cases(scenario: Scenario) -> Iterator[Case]:
    """Return everything that can go wrong in a scenario."""
    calls: list[tuple[int | None, str]] = [(None, f"({scenario.by.value})")]
    calls.extend(enumerate(undisturbed(scenario.name).calls))
    for number, call in calls:
        for fault in Fault:
            for then in THENS[scenario.by]:
                yield Case(scenario=scenario.name, number=number, call=call, fault=fault, then=then)


def play(case: Case) -> None:
    """Let it go wrong, and check what comes of it."""
    scenario, expected = SCENARIOS[case.scenario], undisturbed(case.scenario)
    life = scenario.stage()
    strike = Strike(life.core, case.number, case.fault)
    life.core.tap = strike
    outcome = outcome_of(life.act) if case.number is not None else _begun(life, case, strike)
    _check_told(case, outcome, expected, life)
    final = _recover(case, life, strike, outcome)
    _check_end(case, life, expected, final)


def _begun(life: Life, case: Case, strike: Strike) -> Outcome:
    """Have the function run, where it is that which goes wrong."""
    unanswered = Outcome(error=UnavailableError("no answer"))
    match case.fault:
        case Fault.FAILS | Fault.DIES_BEFORE:
            return unanswered
        case Fault.LOST | Fault.DIES_AFTER:
            outcome_of(life.act)
            return unanswered
        case Fault.LATE | Fault.AN_HOUR_LATE:
            strike.deferred.append(life.act)
            return unanswered
        case Fault.THROTTLED:
            life.core.advance(THROTTLED_FOR)
            return outcome_of(life.act)
        case Fault.TWICE:
            first = outcome_of(life.act)
            outcome_of(life.act)
            return first


def _recover(case: Case, life: Life, strike: Strike, outcome: Outcome) -> Outcome:
    """Let everybody do what they do when something has gone wrong; return what they know then."""
    core, message = life.core, life.message
    is_repeated = case.then is Then.REPEATS and life.is_repeatable
    if is_repeated and case.fault is Fault.LATE and case.number is None:
        # Of the two the repeated one is first.
        outcome = _repeated(life, outcome)
    if case.fault is Fault.LATE:
        core.tap = straight
        strike.arrive()
    if is_repeated:
        outcome = _repeated(life, outcome)
    while strike.throttled_until is not None and core.clock.at < strike.throttled_until:
        core.tap = strike
        core.fire_due()
        core.run_queues()
        core.reconcile()
        core.advance(10 * A_SECOND)
    core.tap = straight
    if case.then in {Then.TIMERS_LOST, Then.MESSAGE_LOST}:
        core.schedules.armed.clear()
    elif message is not None:
        core.pump()
        core.waiting.append((core.clock.now() + 90 * A_SECOND, message))
    if case.again is not None:
        _strike_again(core, *case.again)
    if case.fault is Fault.AN_HOUR_LATE:
        moment = core.clock.at + AN_HOUR
        core.drain(until=moment)
        core.clock.at = max(moment, core.clock.at)
        strike.arrive()
    core.drain()
    if (
        case.then is Then.REPEATS_LATER
        and life.is_repeatable
        and life.accepted is not None
        and life.accepted()
    ):
        outcome = _repeated(life, outcome)
    return outcome


def _strike_again(core: Core, number: int, fault: Fault) -> None:
    """Let life go on, and a second fault strike while things are being put in order."""
    strike = Strike(core, number, fault)
    for _ in range(60):
        core.tap = strike
        try:
            core.fire_due()
            core.run_queues()
            core.reconcile()
        except DiedError:
            # A message that died with its process is lost here: the reconciler has to notice.
            continue
        moment = core._next_moment()
        if moment is None:
            break
        core.advance(max(moment - core.clock.at, timedelta(0)) + A_SECOND)
    core.tap = straight
    strike.arrive()


def _repeated(life: Life, before: Outcome) -> Outcome:
    """Ask again until there is an answer, which is that of the first time if there was one."""
    # An answer that could not be kept is given from the post as it stands by then.
    is_kept = all(each.status is not None for each in life.core.posts._answers.values())
    for _ in range(20):
        outcome = outcome_of(life.act)
        if not outcome.is_unavailable:
            break
        is_running = isinstance(outcome.error, IdempotencyInProgressError)
        life.core.advance((61 if is_running else 10) * A_SECOND)
    else:
        raise AssertionError("asked again and again, and never answered")
    first, repeated = before.answer, outcome.answer
    if is_kept and isinstance(first, Answer) and isinstance(repeated, Answer) and repeated.replayed:
        assert _gist(first) == _gist(repeated), "the same request was answered otherwise"
    return outcome if before.is_dead or before.is_unavailable else before


def _end(life: Life) -> None:
    life.core.drain()
    life.ending()
    life.core.drain()


# What must hold


def _check_told(case: Case, outcome: Outcome, expected: Undisturbed, life: Life) -> None:
    """Assert that nobody is told of a failure without need, nor anything else that is not so."""
    if outcome.is_dead or (case.number is None and case.fault is not Fault.THROTTLED):
        return
    if outcome.is_unavailable:
        port = case.call.partition(".")[0]
        by = SCENARIOS[case.scenario].by
        assert by is not By.CLOCK, "the reconciler was stopped"
        if by in {By.CLIENT, By.OPERATOR}:
            assert port not in {"schedules", "bus", "publish_queue"}, (
                "an effect failed the request that it belongs to"
            )
            if expected.accepted_with is not None and case.number is not None:
                assert case.number <= expected.accepted_with, "granted, and told to have failed"
        return
    _check_same(case, outcome, expected, life)


def _check_same(case: Case, outcome: Outcome, expected: Undisturbed, life: Life) -> None:
    if outcome.error is not None and expected.outcome.error is None:
        is_meant = isinstance(outcome.error, ValidationError) and case.call == "files.fetch"
        is_counted = isinstance(outcome.error, RateLimitedError)
        assert is_meant or is_counted, f"refused with {outcome.error!r}"
        return
    assert type(outcome.error) is type(expected.outcome.error)
    told, meant = outcome.answer, expected.outcome.answer
    if life.is_read and case.number is not None:
        assert told == meant, "something else was told"
    elif isinstance(told, Answer) and isinstance(meant, Answer):
        assert _gist(told) == _gist(meant), "something else was told"


def _gist(answer: Answer) -> object:
    body = answer.body
    targets = [each["status"] for each in body.get("targets", ())]
    return answer.status, body.get("status"), targets, body.get("cancellation")


def _check_essence(case: Case, life: Life, expected: Undisturbed, outcome: Outcome) -> None:
    is_late = case.number is None and case.fault is Fault.AN_HOUR_LATE
    is_more = case.number is None and not life.is_repeatable
    is_late |= (case.call, case.fault) == ("posts.commit", Fault.AN_HOUR_LATE)
    is_late |= case.again is not None
    if is_late or is_more or not expected.has_one_end or _may_fail(case, expected):
        return
    ended = essence(life.core)
    allowed: tuple[object, ...]
    if outcome.error is not None and not outcome.is_unavailable:
        is_expected = type(outcome.error) is type(expected.outcome.error)
        allowed = (expected.ended,) if is_expected else (expected.ended, expected.ended_undone)
    elif outcome.is_dead or outcome.is_unavailable:
        allowed = (expected.ended, expected.ended_undone)
        if life.accepted is not None:
            allowed = (expected.ended if life.accepted() else expected.ended_undone,)
    else:
        allowed = (expected.ended,)
    assert ended in allowed, f"it ended with {ended}, not with {allowed}"


def _may_fail(case: Case, expected: Undisturbed) -> bool:
    """Tell whether a target, or its comment, may fail: with a reason, and nobody tries again.

    A claim whose attempt broke off is not given back, and an unanswered comment is not repeated.
    """
    if SCENARIOS[case.scenario].function != "publish_target" or case.number is None:
        return False
    if case.call in {"platform.publish", "platform.comment"}:
        return True
    if "posts.commit" not in expected.calls:
        return False
    claimed = expected.calls.index("posts.commit")
    if case.number == claimed:
        return case.fault in {Fault.LATE, Fault.DIES_AFTER}
    return case.number > claimed and case.fault in {*DEATHS, Fault.THROTTLED}


def _check_end(case: Case, life: Life, expected: Undisturbed, outcome: Outcome) -> None:
    core = life.core
    life.ending()
    core.drain()
    core.check()
    life.check()
    _check_true(case, core)
    _check_essence(case, life, expected, outcome)


def _check_true(case: Case, core: Core) -> None:
    """Assert that what is said of each target is so, as far as it can be known."""
    for post_id in core.posts._posts:
        post = core.post(post_id)
        for target in post.targets:
            _check_target(case, core, post, target)


def _check_target(case: Case, core: Core, post: Post, target: Target) -> None:
    is_public = target.id in core.platform.posts
    if target.status is TargetStatus.PUBLISHED:
        assert is_public, "said to be published, and is not"
        if target.first_comment is not None and target.first_comment_error is None:
            public = core.platform.posts[target.id]
            assert public.external.id in core.platform.comments, "its comment was never made"
    elif is_public:
        assert target.status is TargetStatus.FAILED, "public, and nobody was told"
        # What takes effect after its platform was asked, it was said not to have.
        is_late = case.fault is Fault.AN_HOUR_LATE
        if case.again is not None:
            is_late = bool({case.fault, case.again[1]} & {Fault.LATE, Fault.AN_HOUR_LATE})
        assert target.error_code in {OUTCOME_UNKNOWN} | ({NOT_COMPLETED} if is_late else set())


def essence(core: Core) -> object:
    """Return what is left in the end, moments and identifiers apart."""
    posts = [core.post(post_id) for post_id in core.posts._posts]
    now = core.clock.now() + timedelta(days=1)
    return (
        sorted(repr(_post_essence(core, post)) for post in posts),
        sorted(
            (account.id, account.status, account.sealed_credentials is None)
            for account in core.directory._accounts.values()
            if account.id.startswith("soc_01JX")
        ),
        len(core.directory._accounts),
        sorted((each.user_id, each.role) for each in core.directory._members.values()),
        sorted(
            (each.name, each.hold_reason, each.held_at is None)
            for each in core.directory._workspaces.values()
        ),
        sorted((each.name, each.revoked_at is None) for each in core.directory._keys.values()),
        sorted((each.url, each.status) for each in core.webhooks._endpoints.values()),
        Counter(
            (each.event_type, each.endpoint_id, each.status)
            for each in core.webhooks._deliveries.values()
        ),
        sorted(
            (each.status, each.alt_text or "", each.storage_key in core.world.storage.kept)
            for each in core.world.assets._assets.values()
            if each.exists(now)
        ),
        sorted(core.posts.usage.items()),
    )


def _post_essence(core: Core, post: Post) -> object:
    public = [core.platform.posts.get(target.id) for target in post.targets]
    return (
        post.status,
        post.generation,
        post.caption,
        post.deleted_at is None,
        [(target.status, target.error_code, target.first_comment_error) for target in post.targets],
        [None if each is None else each.text for each in public],
        [None if each is None else core.platform.comments.get(each.external.id) for each in public],
        sorted(core.events(post.id)),
    )
