"""The model of a month on AWS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import cost as costing
from benchmarks import model
from benchmarks.cost import Cost, dollars, latency_of, seconds
from benchmarks.published import Published, read

FIGURES = read()

A_CANCEL = Cost(
    operation="cancel",
    targets=1,
    started_by=costing.HTTP,
    steps=[("Query POST", "UpdateItem KEY"), ("TransactWriteItems MEMBER? POST",), ("Publish",)],
    calls=Counter({"dynamodb.Query": 1, "sns.Publish": 1}),
    reads=1,
    writes=18,
    index_writes={"posts/due": 1},
    grown=1_000,
    sent=1,
    received=1,
    left=0,
    logged=0,
)

COSTS = {name: replace(A_CANCEL, operation=name) for name in model.times_a_post(FIGURES)}


def with_latencies(**latencies: float) -> Published:
    """Return figures in which calls always take so long, and nothing else takes any time."""
    figures: dict[str, Any] = {
        kind: dict(entries) if isinstance(entries, Mapping) else entries
        for kind, entries in FIGURES.figures.items()
    }
    for name, value in latencies.items():
        figures["latency"][name] = dict.fromkeys(("p10", "p50", "p90", "p99"), value)
    for name in ("work_ms", "work_ms_a_target"):
        figures["assumed"][name] = {"value": 0}
    return Published(figures)


def test_a_million_cost_what_they_ask_for() -> None:
    database, elsewhere = dollars(A_CANCEL, FIGURES)
    assert database == pytest.approx(0.125 + 18 * 0.625)
    # A function, a gateway, an event: the function's time and its log are not nothing.
    assert 0.20 + 1.00 + 0.50 < elsewhere < 3


@pytest.mark.parametrize(
    ("call", "targets", "latency"),
    [
        ("Query POST", 50, "dynamodb"),
        ("Publish", 1, "dynamodb"),
        ("TransactWriteItems MEMBER? POST TARGET EVENT", 5, "dynamodb_transaction"),
        ("TransactWriteItems MEMBER? POST TARGET EVENT", 6, "dynamodb_large_transaction"),
        ("TransactWriteItems TARGET", 50, "dynamodb_transaction"),
        ("platform: publish", 1, "platform"),
        ("webhook:", 1, "webhook"),
    ],
)
def test_a_call_takes_what_was_published_of_its_kind(call: str, targets: int, latency: str) -> None:
    assert latency_of(call, targets) == latency


def test_steps_follow_each_other_and_what_is_in_one_goes_on_at_once() -> None:
    figures = with_latencies(dynamodb=5, dynamodb_transaction=20)
    assert seconds(A_CANCEL, figures) == pytest.approx(0.030)
    assert model.percentiles(A_CANCEL, figures, draws=10) == pytest.approx([30, 30, 30])


def test_percentiles_are_drawn_alike_each_time() -> None:
    first, again = (model.percentiles(A_CANCEL, FIGURES, draws=500) for _ in range(2))
    assert first == again
    assert first == sorted(first)


def test_a_month_costs_as_many_times_more_as_it_has_posts_but_for_what_is_always_there() -> None:
    small, large = (model.bill(posts, COSTS, FIGURES) for posts in (1_000, 1_000_000))
    assert small.fixed == large.fixed > 0
    assert large.whole - large.fixed == pytest.approx(1_000 * (small.whole - small.fixed))
    # Every operation of these grows the tables alike.
    times = sum(model.times_a_post(FIGURES).values())
    assert large.kept == pytest.approx(times * 1_000_000 * 1_000 / 1e9 * 0.25)


def test_the_scarcest_comes_first() -> None:
    needs = model.needs(1_000_000, COSTS, FIGURES)
    assert [need.share for need in needs] == sorted((n.share for n in needs), reverse=True)
    fires = next(need for need in needs if need.what == "Scheduler: fires")
    # Of a million posts a month 90 in 100 go out, and 2 in 100 of a day's in its busiest minute.
    assert fires.amount == pytest.approx(1_000_000 / 30 * 0.02 / 60 * 0.9)
    assert fires.limit == 1_000


def test_needs_grow_with_posts_and_limits_do_not() -> None:
    few, many = (
        {need.what: need for need in model.needs(posts, COSTS, FIGURES)}
        for posts in (10_000, 1_000_000)
    )
    assert few.keys() == many.keys()
    for what, need in many.items():
        assert need.amount == pytest.approx(100 * few[what].amount)
        assert need.limit == few[what].limit
