"""The models in docs/model hold, and without any one of their mechanisms they do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from postbreeze.domain.post import PostStatus, TargetStatus
from tests.support.model_checker import MODELS, check
from tests.support.proof import Proved
from tests.unit.test_model import NOT_MODELLED

POST, EVENT = "Publishing", "Delivery"

SAFETY = {
    POST: (
        "NeverAfterCancel",
        "NeverTwice",
        "RowsTellTheTruth",
        "NothingWaitsInACanceledPost",
        "ToldOnce",
    ),
    EVENT: (
        "LeavesTheOutboxLast",
        "OneDeliveryEach",
        "DeliveredWasTaken",
        "OneAttemptAtATime",
    ),
}

IN_FORCE = "OnlyWhatIsInForce"
LIVENESS = {POST: ("EveryPostEnds", "EveryArmingCounts"), EVENT: ("EveryEventArrives",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """How much of the world is explored."""

    targets: int = 1
    publishers: int = 1
    armings: int = 1
    endpoints: int = 1
    deliverers: int = 1
    changes: int = 1
    faults: int = 1

    def constants(self, model: str, without: str | None = None) -> dict[str, str]:
        """Return the model's constants, as TLC takes them."""
        sizes: dict[str, str] = {
            POST: {
                "Targets": _several("t", self.targets),
                "Publishers": _several("p", self.publishers),
                "Armings": str(self.armings),
            },
            EVENT: {
                "Endpoints": _several("e", self.endpoints),
                "Deliverers": _several("d", self.deliverers),
                "Attempts": "2",
                "Changes": str(self.changes),
            },
        }[model]
        left_out = "" if without is None else f'"{without}"'
        return {**sizes, "Faults": str(self.faults), "Without": f"{{{left_out}}}"}

    def __str__(self) -> str:
        """Tell what is other than one."""
        sizes = {name: getattr(self, name) for name in self.__slots__}
        return (
            ", ".join(f"{size} {name}" for name, size in sizes.items() if size != 1) or "smallest"
        )


def _several(letter: str, count: int) -> str:
    return f"{{{', '.join(f'{letter}{number}' for number in range(1, count + 1))}}}"


@pytest.mark.parametrize(
    "scope",
    [
        Scope(targets=2, publishers=2),
        Scope(publishers=2, armings=2),
        Scope(targets=2, faults=2),
        Scope(targets=2, armings=2, faults=0),
    ],
    ids=str,
)
def test_nothing_bad_happens_to_a_post(
    scope: Scope, tmp_path: Path, proved: Callable[[Proved], None]
) -> None:
    # Given all that may happen to a post in this scope
    constants = scope.constants(POST)

    # When every state is explored, which of the targets being no matter
    done = check(
        POST,
        constants=constants,
        invariants=SAFETY[POST],
        properties=(IN_FORCE,),
        symmetry="Alike",
        folder=tmp_path,
    )

    # Then all holds that is promised
    assert done.violated is None, done.output
    proved(Proved(what=f"model of a post, safety: {scope}", count=done.states, unit="states"))


@pytest.mark.parametrize(
    ("model", "scope"),
    [
        (POST, Scope(armings=2)),
        (POST, Scope(targets=2)),
        (EVENT, Scope(deliverers=2, faults=2, changes=2)),
        (EVENT, Scope(endpoints=2, changes=0)),
    ],
    ids=str,
)
def test_something_good_happens(
    model: str, scope: Scope, tmp_path: Path, proved: Callable[[Proved], None]
) -> None:
    # Given all that may happen, processes that go on, and faults that end at some time
    constants = scope.constants(model)

    # When every behaviour is explored
    done = check(
        model,
        constants=constants,
        invariants=SAFETY[model],
        properties=LIVENESS[model],
        folder=tmp_path,
    )

    # Then every post ends, every arming counts, and every event is delivered or parked
    assert done.violated is None, done.output
    proved(
        Proved(
            what=f"model of {'a post' if model == POST else 'an event'}, liveness: {scope}",
            count=done.states,
            unit="states",
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A mechanism that is left out, and the promise that it breaks."""

    mechanism: str
    breaks: str
    scope: Scope = field(default_factory=Scope)
    model: str = POST

    def __str__(self) -> str:
        """Tell it in one line."""
        return f"no {self.mechanism} - {self.breaks}"


REMOVALS = (
    # What keeps a cancelled target from being published
    Removal(mechanism="claim", breaks="NeverAfterCancel"),
    Removal(mechanism="claim on condition", breaks="NeverAfterCancel"),
    Removal(mechanism="cancel relies on targets", breaks="NeverAfterCancel"),
    Removal(mechanism="cancel commits", breaks="NeverAfterCancel"),
    Removal(mechanism="unknown is not canceled", breaks="NeverAfterCancel", scope=Scope(targets=2)),
    Removal(mechanism="absence is not final", breaks="NeverAfterCancel", scope=Scope(targets=2)),
    Removal(
        mechanism="release relies on post",
        breaks="NothingWaitsInACanceledPost",
        scope=Scope(targets=2),
    ),
    # What keeps a target from being published twice, or at a time it was taken off
    Removal(mechanism="claim", breaks="NeverTwice", scope=Scope(publishers=2)),
    Removal(mechanism="claim on condition", breaks="NeverTwice", scope=Scope(publishers=2)),
    Removal(mechanism="lost answer is unknown", breaks="NeverTwice"),
    Removal(mechanism="expired claim asks", breaks="NeverTwice"),
    Removal(
        mechanism="lease outlives function",
        breaks="NeverTwice",
        scope=Scope(publishers=2, armings=2, faults=0),
    ),
    Removal(mechanism="unknown is not canceled", breaks="RowsTellTheTruth", scope=Scope(targets=2)),
    Removal(mechanism="generations", breaks=IN_FORCE, scope=Scope(armings=2)),
    Removal(mechanism="first commit disarms", breaks=IN_FORCE, scope=Scope(armings=2)),
    # What keeps anything from being forgotten
    Removal(mechanism="outbox", breaks="ToldOnce"),
    Removal(mechanism="pending arming", breaks="EveryArmingCounts"),
    Removal(mechanism="reconcile: armings", breaks="EveryArmingCounts"),
    Removal(mechanism="reconcile: overdue posts", breaks="EveryPostEnds"),
    Removal(mechanism="reconcile: stalled targets", breaks="EveryPostEnds"),
    Removal(mechanism="reconcile: expired claims", breaks="EveryPostEnds"),
    Removal(mechanism="reconcile: ended posts", breaks="EveryPostEnds"),
    # What keeps an event from being lost, or told in two deliveries
    Removal(mechanism="rows before outbox", breaks="LeavesTheOutboxLast", model=EVENT),
    Removal(mechanism="rows before outbox", breaks="EveryEventArrives", model=EVENT),
    Removal(mechanism="derived delivery ids", breaks="OneDeliveryEach", model=EVENT),
    Removal(
        mechanism="attempt lease",
        breaks="OneAttemptAtATime",
        scope=Scope(deliverers=2),
        model=EVENT,
    ),
    Removal(mechanism="parking looks again", breaks="EveryEventArrives", model=EVENT),
    Removal(mechanism="enabling sweeps", breaks="EveryEventArrives", model=EVENT),
    Removal(mechanism="reconcile: events", breaks="EveryEventArrives", model=EVENT),
    Removal(mechanism="reconcile: deliveries", breaks="EveryEventArrives", model=EVENT),
)


@pytest.mark.parametrize("removal", REMOVALS, ids=str)
def test_without_a_mechanism_its_promise_is_broken(
    removal: Removal, tmp_path: Path, proved: Callable[[Proved], None]
) -> None:
    # Given the model without the mechanism
    constants = removal.scope.constants(removal.model, without=removal.mechanism)
    is_state = removal.breaks in SAFETY[removal.model]

    # When it is explored
    done = check(
        removal.model,
        constants=constants,
        invariants=(removal.breaks,) if is_state else (),
        properties=() if is_state else (removal.breaks,),
        folder=tmp_path,
    )

    # Then a way is found in which the promise is broken
    assert done.violated == removal.breaks, done.output
    proved(Proved(what=f"model, {removal}: caught", count=done.states, unit="states"))


@pytest.mark.parametrize("model", [POST, EVENT])
def test_each_mechanism_of_a_model_is_removed_by_some_test(model: str) -> None:
    # Given the mechanisms that the model can be without
    switches = {
        part.partition('"')[0] for part in (MODELS / f"{model}.tla").read_text().split('Has("')[1:]
    }

    # When those are looked for that a test removes
    removed = {removal.mechanism for removal in REMOVALS if removal.model == model}

    # Then they are the same
    assert removed == switches


@pytest.mark.parametrize("status", sorted({*PostStatus} - NOT_MODELLED - {PostStatus.DRAFT}))
def test_a_post_of_the_model_comes_to_every_status(status: PostStatus, tmp_path: Path) -> None:
    # Given the claim that no post ever comes to this status
    text = _extended(f'Never == post.status /= "{status}"')

    # When it is checked
    done = _never(text, tmp_path)

    # Then it is refuted: what holds for the model does not hold for want of anything happening
    assert done == "Never"


@pytest.mark.parametrize("status", sorted({*TargetStatus} - NOT_MODELLED - {TargetStatus.DRAFT}))
def test_a_target_of_the_model_comes_to_every_status(status: TargetStatus, tmp_path: Path) -> None:
    # Given the claim that no target ever comes to this status
    text = _extended(f'Never == \\A t \\in Targets : target[t].status /= "{status}"')

    # When it is checked
    done = _never(text, tmp_path)

    # Then it is refuted
    assert done == "Never"


def _extended(definition: str) -> str:
    return f"---- MODULE Visited ----\nEXTENDS {POST}\n{definition}\n====\n"


def _never(text: str, folder: Path) -> str | None:
    return check(
        "Visited",
        constants=Scope(targets=2).constants(POST),
        invariants=("Never",),
        folder=folder,
        text=text,
    ).violated
