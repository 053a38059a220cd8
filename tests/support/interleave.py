"""Every order in which concurrent work can happen.

Each actor runs in a thread of its own, and only one of them at a time: before every call that
leaves the core it stops and waits to be chosen. An execution is thus a list of choices, and a
depth-first search over those lists covers them all. Where two lists lead to the same rows and every
actor has been told the same, what follows is the same too, so it is played only once; the number of
orders that this stands for is counted nevertheless.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from hashlib import sha256
from typing import Any, Self

from postbreeze.domain.post import Post
from tests.support.core import Core, straight

MOST_STEPS = 200

_SHARED = frozenset({"posts", "schedules", "webhooks"})
"""What one actor can notice of another. Nobody writes the directory, announcements and messages
pile up in any order, and each target's calls to its platform are its own."""


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


@dataclass(slots=True, kw_only=True)
class Explored:
    """How many orders were covered, and how many executions that took."""

    orders: int = 0
    executions: int = 0
    endings: int = 0


@dataclass(slots=True, kw_only=True)
class _Node:
    state: Hashable
    choices: list[str]
    interruptions: int
    chosen: int = 0
    orders: int = 0


def explore(
    stage: Callable[[], Scene],
    *,
    every_call: bool = False,
    torn_reads: Torn = Torn.NOT,
    most_interruptions: int | None = None,
) -> Explored:
    """Cover all orders of a scene; fail with the order in which its check did not hold.

    Args:
        stage: Sets up the scene, always the same.
        every_call: Stop also before calls that no other actor can notice.
        torn_reads: Which part of a post is read first while the other may still change.
        most_interruptions: How often at most an actor that could go on has to wait for another;
            None for any number of times.
    """
    explored = Explored()
    known: dict[Hashable, int] = {}
    path: list[_Node] = []
    with _Troupe(
        every_call=every_call, torn_reads=torn_reads, most_interruptions=most_interruptions
    ) as troupe:
        while True:
            scene = stage()
            explored.executions += 1
            state = troupe.play(scene, path, known)
            if state not in known:
                explored.endings += 1
                _check(scene, path)
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


def _check(scene: Scene, path: list[_Node]) -> None:
    try:
        scene.check()
    except Exception as error:
        error.add_note(_told(path))
        raise


def _told(path: list[_Node]) -> str:
    return "in this order: " + ", ".join(node.choices[node.chosen] for node in path)


class _LeftError(BaseException):
    """Thrown into actors whose execution is given up."""


class _Player:
    """A thread that plays one actor after another."""

    def __init__(self, troupe: _Troupe) -> None:
        self.troupe = troupe
        self.actor: Actor | None = None
        self.pending: str | None = None
        self.told: Hashable = 0
        self.error: Exception | None = None
        self.tokens: Counter[str] = Counter()
        self.go = threading.Semaphore(0)
        self.thread = threading.Thread(target=self._play, daemon=True)
        self.thread.start()

    def _play(self) -> None:
        _stage.player = self
        while True:
            self.go.acquire()
            if self.actor is None:
                return
            self.error, self.told = None, 0
            try:
                self.actor.run()
            except _LeftError:
                self.told = "left"
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
        self, *, every_call: bool, torn_reads: Torn, most_interruptions: int | None
    ) -> None:
        self.every_call = every_call
        self.torn_reads = torn_reads
        self.most_interruptions = most_interruptions
        self.back = threading.Semaphore(0)
        self.is_leaving = False
        self.players: list[_Player] = []

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
        scene.core.tap = partial(self._tap, scene.core)
        playing: dict[str, _Player] = {}
        depth = 0
        try:
            while True:
                self._let_enter(scene, playing)
                choices = [name for name, player in playing.items() if player.pending is not None]
                if depth == len(path):
                    node = self._next_node(path, choices, _state(scene, playing))
                    if not choices or node.state in known:
                        return node.state
                    path.append(node)
                node = path[depth]
                assert set(node.choices) <= set(choices), "an execution did not repeat itself"
                assert depth < MOST_STEPS, "an execution does not end"
                playing[node.choices[node.chosen]].resume()
                depth += 1
        except Exception as error:
            error.add_note(_told(path))
            raise
        finally:
            self._leave()
            scene.core.tap = straight

    def _next_node(self, path: list[_Node], choices: list[str], state: Hashable) -> _Node:
        if self.most_interruptions is None or not path:
            return _Node(state=state, choices=choices, interruptions=0)
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
            interruptions=interruptions,
        )

    def _tap(self, core: Core, name: str, call: Callable[[], Any]) -> Any:
        player = _stage.player
        assert player is not None
        if self.every_call or name.partition(".")[0] in _SHARED:
            player.stop_before(name)
        if self.torn_reads is Torn.OLD_TARGETS and name == "posts.commit":
            # Events have ids of their moment, which must not be all that keeps two of them apart.
            core.clock.advance(milliseconds=1)
        try:
            result = call()
            if self.torn_reads is not Torn.NOT and name == "posts.read":
                # Which half it has read is part of what it has been told.
                player.told = hash((player.told, "half", _telling(name, result)))
                if self.torn_reads is Torn.OLD_POST:
                    player.stop_before("the targets")
                    result = replace(result, targets=call().targets)
                else:
                    player.stop_before("the post's own row")
                    result = replace(call(), targets=result.targets)
        except Exception as error:
            player.told = hash((player.told, name, type(error)))
            raise
        player.told = hash((player.told, name, _telling(name, result)))
        return result

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


def _telling(name: str, result: object) -> Hashable:
    """Return of a call's result what can differ from order to order."""
    if isinstance(result, Post):
        return result
    return repr(result) if name.startswith("webhooks.") else None


def _state(scene: Scene, playing: dict[str, _Player]) -> Hashable:
    posts = scene.core.posts
    return (
        *posts._posts.values(),
        *posts._targets.values(),
        *scene.core.schedules.armed,
        repr(scene.core.webhooks._endpoints),
        repr(scene.core.webhooks._deliveries),
        repr([event.pending_since for event in scene.core.all_events()]),
        *((name, player.pending, player.told) for name, player in playing.items()),
    )
