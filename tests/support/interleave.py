"""Every order in which concurrent work can happen.

Each actor runs in a thread of its own, and only one of them at a time: before every call that
leaves the core it stops and waits to be chosen. An execution is thus a list of choices, and a
depth-first search over those lists covers them all.

**What is played only once.** Where two lists of choices lead to the same *state*, all that can
follow is the same too. So it is played once, and the number of orders that it stands for is counted
for each list that leads there: ``orders`` is what a search that plays every order would have
played, ``executions`` what was played. A state is

- every row there is, of every table, the schedules and the clock: all that a call can answer from;
- for each actor the call that it is about to make, and exactly what each of its calls so far has
  answered or raised: an actor is a function of that, and of nothing else. So its changes, messages,
  events and calls to platforms are functions of it, too, and need not be told apart again;
- what each promise was given on: what had been sent by then.

What a state leaves out is the order of what has happened, where rows and answers do not show it:
the order of messages in a queue, which has none (they are sorted before they are handled), and of
the changes in the history, which are each checked by themselves, also in an execution that is given
up because the rest of it is known. `test_interleavings` compares searches with and without this.

**What must come of it.** The outcome of each order (every client's answer, the rows at rest, but no
ids, times or versions) has to be that of some order in which nobody was ever interrupted between
reading and writing. Such a coarse order is explored by the same search, with fewer stops.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import partial
from hashlib import sha256
from typing import Any, Self

from tests.support.core import Core, straight

MOST_STEPS = 200

SHARED = frozenset({"posts", "schedules", "webhooks"})
"""What one actor can notice of another, where nobody writes the directory: announcements and
messages pile up in any order, and each target's calls to its platform are its own."""

WITH_ACCOUNTS = SHARED | {"directory", "disconnections"}
"""What one actor can notice of another where accounts are disconnected."""

_WRITES = frozenset(
    {
        "posts.commit",
        "posts.complete",
        "posts.fanned_out",
        "schedules.arm",
        "schedules.disarm",
        "webhooks.add_delivery",
        "webhooks.replace_delivery",
        "webhooks.replace_endpoint",
        "webhooks.replace_health",
        "webhooks.reserve",
        "disconnections.begin",
        "disconnections.advance",
        "disconnections.end",
    }
)


class Step(Enum):
    """How far an actor goes before another may come in between."""

    ANY_CALL = "to its next call"
    SHARED_CALL = "to its next call that others can notice"
    WRITE = "to the end of its next write"
    OPERATION = "to its end"


class Torn(Enum):
    """How a post's row and its targets may be of different moments, as a query may return them."""

    NOT = "whole reads"
    OLD_POST = "torn reads"
    OLD_TARGETS = "reads of old targets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Something that happens at the same time as other things; not before it is ready."""

    name: str
    run: Callable[[], object]
    is_ready: Callable[[], bool] = lambda: True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One world, what happens in it at once, and what must be true afterwards."""

    core: Core
    actors: tuple[Actor, ...]
    check: Callable[[], None]
    outcome: Callable[[], Hashable] = lambda: None
    """What came of it, but for ids, times and versions."""
    shared: frozenset[str] = SHARED
    serial: Step = Step.WRITE
    """What the outcome of any order is to be explained by: orders of whole steps of this kind.

    Clients' changes are whole operations. What the service does by itself is not one: a target is
    claimed in one write and settled in another, and clients are told, as promised, that it is in
    flight in between. So there every write counts by itself, with all that was read for it.
    """


@dataclass(slots=True, kw_only=True)
class Explored:
    """How many orders were covered, how many executions that took, and what came of them."""

    orders: int = 0
    executions: int = 0
    endings: set[Hashable] = field(default_factory=set)
    """The rows with which it ended."""
    outcomes: set[Hashable] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class _Node:
    state: Hashable
    choices: list[str]
    calls: Mapping[str, str | None]
    interruptions: int
    chosen: int = 0
    orders: int = 0


class TooManyOrdersError(Exception):
    """A scene has more orders than were to be played."""


def explore(
    stage: Callable[[], Scene],
    *,
    step: Step = Step.SHARED_CALL,
    torn_reads: Torn = Torn.NOT,
    most_interruptions: int | None = None,
    most_executions: int | None = None,
    is_merging: bool = True,
    among: Collection[Hashable] | None = None,
) -> Explored:
    """Cover all orders of a scene; fail with the order in which its check did not hold.

    Args:
        stage: Sets up the scene, always the same.
        step: Where actors stop.
        torn_reads: Which part of a post is read first while the other may still change.
        most_interruptions: How often at most an actor that could go on has to wait for another;
            None for any number of times.
        most_executions: How many to play before giving up; None to go on to the end.
        is_merging: Whether what follows from the same state is played only once.
        among: The only outcomes that there may be, if that is to be checked.

    Raises:
        TooManyOrdersError: There is more to play than that.
    """
    explored = Explored()
    known: dict[Hashable, int] = {}
    path: list[_Node] = []
    with _Troupe(
        step=step,
        torn_reads=torn_reads,
        most_interruptions=most_interruptions,
        is_merging=is_merging,
    ) as troupe:
        while True:
            if explored.executions == most_executions:
                raise TooManyOrdersError
            scene = stage()
            explored.executions += 1
            state = troupe.play(scene, path, known)
            if state in known:
                _check(partial(scene.core.check, at_rest=False), path)
            else:
                _check(partial(_end, scene, explored, among), path)
                known[state] = 1
            orders = known[state]
            while path:
                node = path[-1]
                node.orders += orders
                node.chosen += 1
                if node.chosen < len(node.choices):
                    break
                orders = known[node.state] = node.orders
                path.pop()
            else:
                explored.orders = orders
                return explored


def perform(
    scene: Scene,
    choose: Callable[[Sequence[str]], str],
    *,
    torn_reads: Torn = Torn.NOT,
) -> None:
    """Play one order of a scene and check it; fail with that order.

    Args:
        scene: What is to happen.
        choose: Given who could go on, the one that went on last before the others, tells who does.
        torn_reads: Which part of a post is read first while the other may still change.
    """
    path: list[_Node] = []
    with _Troupe(step=Step.SHARED_CALL, torn_reads=torn_reads) as troupe:
        troupe.play_one(scene, path, choose)
    _check(scene.check, path)


def _end(scene: Scene, explored: Explored, among: Collection[Hashable] | None) -> None:
    explored.endings.add(_rows(scene.core))
    scene.check()
    outcome = scene.outcome()
    explored.outcomes.add(outcome)
    assert among is None or outcome in among, f"no serial order comes to {outcome}"


def _check(check: Callable[[], None], path: list[_Node]) -> None:
    try:
        check()
    except Exception as error:
        error.add_note(_told(path))
        raise


def _told(path: list[_Node]) -> str:
    acted = (node.choices[node.chosen] for node in path)
    return "in this order: " + ", ".join(
        f"{name} ({node.calls[name]})" for name, node in zip(acted, path, strict=True)
    )


class _LeftError(BaseException):
    """Thrown into actors whose execution is given up."""


def _closed() -> threading.Lock:
    """Make a gate that lets one through for each time it is opened, by whichever thread."""
    gate = threading.Lock()
    gate.acquire()
    return gate


class _Player:
    """A thread that plays one actor after another."""

    def __init__(self, troupe: _Troupe) -> None:
        self.troupe = troupe
        self.actor: Actor | None = None
        self.pending: str | None = None
        self.told = 0
        self.is_fresh = True
        self.error: Exception | None = None
        self.tokens: Counter[str] = Counter()
        self.go = _closed()
        self.thread = threading.Thread(target=self._play, daemon=True)
        self.thread.start()

    def _play(self) -> None:
        _stage.player = self
        while True:
            self.go.acquire()
            if self.actor is None:
                return
            self.error, self.told, self.is_fresh = None, 0, True
            try:
                self.actor.run()
            except _LeftError:
                pass
            except Exception as error:  # noqa: BLE001  # raised again by the troupe
                self.error = error
            self.pending = None
            self.troupe.back.release()

    def stop_before(self, call: str) -> None:
        self.pending = call
        self.troupe.back.release()
        self.go.acquire()
        if self.troupe.is_leaving:
            raise _LeftError

    def resume(self) -> None:
        """Let the actor go on to its next call or its end."""
        self.go.release()
        self.troupe.back.acquire()
        if self.error is not None:
            raise self.error


class _Stage(threading.local):
    player: _Player | None = None


_stage = _Stage()


class _Troupe:
    def __init__(
        self,
        *,
        step: Step,
        torn_reads: Torn,
        most_interruptions: int | None = None,
        is_merging: bool = True,
    ) -> None:
        self.step = step
        self.torn_reads = torn_reads
        self.most_interruptions = most_interruptions
        self.is_merging = is_merging
        self.back = _closed()
        self.is_leaving = False
        self.players: list[_Player] = []
        self.numbers: dict[Hashable, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for player in self.players:
            player.actor = None
            player.go.release()
            player.thread.join()

    def play(self, scene: Scene, path: list[_Node], known: dict[Hashable, int]) -> Hashable:
        """Follow the path and go on from its end; return the state in which there is no more to do.

        That is one from which all was played before, or one in which all actors have ended.
        """
        playing: dict[str, _Player] = {}
        depth = 0
        with self._on_stage(scene, path):
            while True:
                self._let_enter(scene, playing)
                choices = [name for name, player in playing.items() if player.pending is not None]
                if depth == len(path):
                    node = self._next_node(path, choices, self._state(scene, playing))
                    if not choices or node.state in known:
                        return node.state
                    node.calls = {name: player.pending for name, player in playing.items()}
                    path.append(node)
                node = path[depth]
                assert set(node.choices) <= set(choices), "an execution did not repeat itself"
                assert depth < MOST_STEPS, "an execution does not end"
                playing[node.choices[node.chosen]].resume()
                depth += 1

    def play_one(
        self, scene: Scene, path: list[_Node], choose: Callable[[Sequence[str]], str]
    ) -> None:
        """Let whoever is chosen go on, until all actors have ended."""
        playing: dict[str, _Player] = {}
        last = ""
        with self._on_stage(scene, path):
            while True:
                self._let_enter(scene, playing)
                pending = {
                    name: player.pending
                    for name, player in playing.items()
                    if player.pending is not None
                }
                if not pending:
                    return
                last = choose(sorted(pending, key=lambda name: name != last))
                path.append(_Node(state=None, choices=[last], calls=pending, interruptions=0))
                assert len(path) < MOST_STEPS, "an execution does not end"
                playing[last].resume()

    @contextmanager
    def _on_stage(self, scene: Scene, path: list[_Node]) -> Iterator[None]:
        scene.core.tap = partial(self._tap, scene)
        try:
            yield
        except Exception as error:
            error.add_note(_told(path))
            raise
        finally:
            self._leave()
            scene.core.tap = straight

    def _next_node(self, path: list[_Node], choices: list[str], state: Hashable) -> _Node:
        if self.most_interruptions is None or not path:
            return _Node(state=state, choices=choices, calls={}, interruptions=0)
        last = path[-1]
        acted, interruptions = last.choices[last.chosen], last.interruptions
        if len(path) > 1:
            before = path[-2].choices[path[-2].chosen]
            interruptions += acted != before and before in last.choices
        if acted in choices and interruptions >= self.most_interruptions:
            choices = [acted]
        return _Node(
            state=(state, acted, interruptions) if choices else state,
            choices=choices,
            calls={},
            interruptions=interruptions,
        )

    def _state(self, scene: Scene, playing: dict[str, _Player]) -> Hashable:
        if not self.is_merging:
            return object()
        actors = ((name, player.pending, player.told) for name, player in playing.items())
        return self._number((_rows(scene.core), *actors))

    def _number(self, of: Hashable) -> int:
        """Give each thing a number of its own: nothing is ever taken for another."""
        return self.numbers.setdefault(of, len(self.numbers))

    def _tap(self, scene: Scene, name: str, call: Callable[[], Any]) -> Any:
        core, player = scene.core, _stage.player
        assert player is not None
        if self._stops(scene, player, name):
            player.is_fresh = False
            player.stop_before(name)
        if self.torn_reads is Torn.OLD_TARGETS and name == "posts.commit":
            # Events have ids of their moment, which must not be all that keeps two of them apart.
            core.clock.advance(milliseconds=1)
        try:
            result = call()
            if self.torn_reads is not Torn.NOT and name == "posts.read":
                # Which half it has read is part of what it has been told.
                player.told = self._number((player.told, "half", _value(result)))
                if self.torn_reads is Torn.OLD_POST:
                    player.stop_before("the targets")
                    result = replace(result, targets=call().targets)
                else:
                    player.stop_before("the post's own row")
                    result = replace(call(), targets=result.targets)
        except Exception as error:
            raised = type(error).__name__, repr(error.args), repr(vars(error))
            player.told = self._number((player.told, name, raised))
            raise
        player.is_fresh = self.step is Step.WRITE and name in _WRITES
        # What is prepared is a function of what has been read, and cannot be compared.
        told = None if name == "platform.prepare" else _value(result)
        player.told = self._number((player.told, name, told))
        return result

    def _stops(self, scene: Scene, player: _Player, name: str) -> bool:
        if self.step is Step.SHARED_CALL:
            return name.partition(".")[0] in scene.shared
        return player.is_fresh or self.step is Step.ANY_CALL

    def _let_enter(self, scene: Scene, playing: dict[str, _Player]) -> None:
        for actor in scene.actors:
            if actor.name not in playing and actor.is_ready():
                if len(playing) == len(self.players):
                    self.players.append(_Player(self))
                player = playing[actor.name] = self.players[len(playing)]
                player.actor = actor
                player.tokens.clear()
                player.resume()

    def _leave(self) -> None:
        self.is_leaving = True
        for player in self.players:
            while player.pending is not None:
                player.resume()
        self.is_leaving = False


class ActorsRandomness:
    """Tokens that depend on who asks, not on who asked before."""

    def token(self, size: int) -> bytes:
        player = _stage.player
        name = "" if player is None or player.actor is None else player.actor.name
        tokens = Counter() if player is None else player.tokens
        tokens[name] += 1
        return sha256(f"{name} {tokens[name]}".encode()).digest()[:size]

    def fraction(self) -> float:
        return 0.5


def _value(of: object) -> Hashable:
    try:
        hash(of)
    except TypeError:
        return repr(of)
    return of


def _rows(core: Core) -> Hashable:
    posts, world, sent = core.posts, core.world, core.watched.sent
    return (
        *posts._posts.values(),
        *posts._order.values(),
        *posts._targets.values(),
        frozenset((event.id, event.pending_since) for event in core.all_events()),
        *((*key, _value(answer)) for key, answer in posts._answers.items()),
        *map(_value, core.directory._accounts.values()),
        *map(_value, world.disconnections.works.values()),
        *core.schedules.armed.values(),
        *map(_value, core.webhooks._endpoints.values()),
        frozenset(map(_value, core.webhooks._deliveries.values())),
        *map(_value, core.webhooks._healths.values()),
        *core.webhooks._paces.items(),
        core.clock.at,
        *((promise, *sorted(sent[: promise.sent_before])) for promise in core.promises),
    )
