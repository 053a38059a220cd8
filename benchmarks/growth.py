"""How requests grow: with the posts in a workspace, and with the targets of a post.

    python -m benchmarks.growth

The functions are those of the composition root, in this process, and talk to an engine of its own.
All posts of a size are in one workspace, the worst case for its indexes. Every round takes one
sample of each size, so whatever else the machine does meets all of them alike.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.figures import Table, interleaved, ratios, spread
from benchmarks.summary import Figure, Outcome, held_against
from local.tools import say
from postbreeze import bootstrap
from postbreeze.adapters.clock import SystemClock
from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.domain.post import PostStatus, TargetStatus
from tests.support.aws import Aws, on_engine
from tests.support.builders import a_post, added
from tests.support.http_client import http_event
from tests.support.lambda_context import a_context
from tests.support.many_posts import write_many
from tests.support.service import Service

POSTS = (100, 10_000, 100_000)
TARGETS = (1, 2, 5, 10, 20, 50)
ROUNDS = 40
WARM_UP = 4
LISTED = 20
REQUESTS = 1_000_000
"""What the key is let through in a minute."""
MOST = {"cancel": 1.05}
"""What a request among the most posts may take, in proportion to one among the fewest."""

Samples = Mapping[int, Sequence[float]]
"""Milliseconds, by the number of posts or targets."""


class Place:
    """A deployment of its own on the engine, all of whose posts are in one workspace."""

    def __init__(self, aws: Aws) -> None:
        """Build the functions."""
        self.service = service = Service(aws)
        self._key = service.operator.keys.mint(
            service.owner,
            "growth",
            requests_per_minute=REQUESTS,
            requests_per_quarter_hour=REQUESTS,
        ).plaintext
        self._cancel = bootstrap.cancel_post(service.environ)
        self._posts = bootstrap.posts_api(service.environ)
        self._client: Any = aws.clients.dynamodb()
        self.now = SystemClock().now()

    def fill(self, number: int) -> Sequence[str]:
        """Write that many posts, and return the ids of those that are scheduled."""
        posts = write_many(
            self._client,
            self.service.environ["POSTS_TABLE"],
            self.service.workspace,
            number,
            now=self.now,
        )
        # Every other one is scheduled. Those in the middle have others on either side.
        scheduled = posts[::2]
        middle = len(scheduled) // 2
        return [*scheduled[middle:], *scheduled[:middle]]

    def add(self, targets: int) -> str:
        """Write a scheduled post with so many targets, and return its id."""
        post = a_post(
            PostStatus.SCHEDULED,
            [TargetStatus.SCHEDULED] * targets,
            workspace_id=self.service.workspace,
            created_at=self.now,
            scheduled_at=self.now.replace(year=self.now.year + 1, month=1, day=1),
        )
        store = DynamoPostStore(
            Database(self._client),
            posts_table=self.service.environ["POSTS_TABLE"],
            clock=SystemClock(),
        )
        store.commit(added(post))
        return post.id

    def cancel(self, post_id: str) -> float:
        """Cancel a post, and return the milliseconds."""
        return self._taken(self._cancel, "POST", f"/posts/{post_id}/cancel")

    def read(self, post_id: str) -> float:
        """Read a post, and return the milliseconds."""
        return self._taken(self._posts, "GET", f"/posts/{post_id}")

    def list(self) -> float:
        """List the first posts of the workspace, and return the milliseconds."""
        path = f"/posts?workspaceId={self.service.workspace}&limit={LISTED}"
        return self._taken(self._posts, "GET", path)

    def _taken(self, function: Callable[..., Any], method: str, path: str) -> float:
        event = http_event(
            method, f"/api/v1{path}", headers={"authorization": f"Bearer {self._key}"}
        )
        context = a_context()
        began = time.perf_counter()
        answer = function(event, context)
        taken = (time.perf_counter() - began) * 1000
        if answer["statusCode"] != 200:
            raise RuntimeError(f"{method} {path}: {answer['body']}")
        json.loads(answer["body"])
        return taken


@contextmanager
def engine() -> Iterator[Aws]:
    """Start an engine, have the functions talk to it, and keep their log off the screen."""
    with ExitStack() as afterwards:
        folder = afterwards.enter_context(tempfile.TemporaryDirectory())
        aws = afterwards.enter_context(on_engine(Path(folder)))
        afterwards.enter_context(patch.object(bootstrap, "AwsClients", lambda: aws.clients))
        afterwards.enter_context(redirect_stdout(StringIO()))
        yield aws


def measure(posts: Sequence[int] = POSTS, rounds: int = ROUNDS) -> Outcome:
    """Measure growth with posts, and with targets."""
    by_posts = with_posts(posts, rounds)
    by_targets = {"cancel": with_targets(rounds=rounds)}
    return Outcome(
        tables=[
            _table("posts of a workspace", "posts", by_posts, rounds),
            _table("targets of a post", "targets", by_targets, rounds),
        ],
        figures=[_figure(name, taken) for name, taken in by_posts.items()],
    )


def with_posts(posts: Sequence[int] = POSTS, rounds: int = ROUNDS) -> Mapping[str, Samples]:
    """Measure cancel, get and list with so many posts in a workspace."""
    with engine() as aws:
        places, waiting = {}, {}
        for number in posts:
            say(f"writing {number:,} posts")
            places[number] = Place(aws)
            waiting[number] = iter(places[number].fill(number))
        read = {number: next(waiting[number]) for number in posts}
        subjects: dict[str, dict[int, Callable[[], float]]] = {
            "cancel": {
                number: partial(_next_of, place.cancel, waiting[number])
                for number, place in places.items()
            },
            "get": {number: partial(place.read, read[number]) for number, place in places.items()},
            f"list {LISTED}": {number: place.list for number, place in places.items()},
        }
        return {name: _taken(name, each, rounds) for name, each in subjects.items()}


def with_targets(targets: Sequence[int] = TARGETS, rounds: int = ROUNDS) -> Samples:
    """Measure cancel with so many targets."""
    with engine() as aws:
        place = Place(aws)
        say("writing posts with up to 50 targets")
        waiting = {
            number: iter([place.add(number) for _ in range(WARM_UP + rounds)]) for number in targets
        }
        subjects: dict[int, Callable[[], float]] = {
            number: partial(_next_of, place.cancel, posts) for number, posts in waiting.items()
        }
        return _taken("cancel", subjects, rounds)


def _next_of(act: Callable[[str], float], posts: Iterator[str]) -> float:
    return act(next(posts))


def _taken(name: str, subjects: Mapping[int, Callable[[], float]], rounds: int) -> Samples:
    say(f"measuring {name}")
    named = {str(number): subject for number, subject in subjects.items()}
    return {
        int(number): samples[WARM_UP:]
        for number, samples in interleaved(named, WARM_UP + rounds).items()
    }


def _figure(name: str, taken: Samples) -> Figure:
    fewest, most = min(taken), max(taken)
    return held_against(
        f"{name} among {most:,} posts, ms",
        taken[most],
        f"among {fewest:,}",
        taken[fewest],
        most=MOST.get(name),
    )


def _table(what: str, noun: str, taken: Mapping[str, Samples], rounds: int) -> Table:
    [numbers, *_] = (list(each) for each in taken.values())
    return Table(
        title=f"Growth with the {what}",
        about=f"Milliseconds; medians (quartiles) of {rounds} rounds.",
        columns=_columns(numbers, noun),
        rows=[_row(name, each) for name, each in taken.items()],
    )


def _row(name: str, taken: Samples) -> Sequence[str]:
    first, *_, last = taken.values()
    medians = spread(last).median / spread(first).median
    return [
        name,
        *(str(spread(samples)) for samples in taken.values()),
        f"{medians:.3f}",
        str(ratios(last, first)),
    ]


def _columns(numbers: Sequence[int], noun: str) -> Sequence[str]:
    compared = f"{numbers[-1]:,} / {numbers[0]:,}"
    sizes = [f"{number:,} {noun}" for number in numbers]
    return ["", *sizes, f"{compared}, medians", f"{compared}, round by round"]


def main() -> None:
    """Measure both, and print them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--most-posts", type=int, default=POSTS[-1])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    posts = [number for number in POSTS if number <= asked.most_posts]
    for table in measure(posts, asked.rounds).tables:
        print(table)


if __name__ == "__main__":
    main()
