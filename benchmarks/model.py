"""A model of AWS: how long requests take, what a month costs, and which quota binds first.

    python -m benchmarks.model

Nothing here was measured on AWS. What an operation asks for is counted (``benchmarks.cost``); how
long it takes, what it costs and what is allowed is published, and what is neither is assumed; all
of that, with sources, is in ``benchmarks/published.toml``.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks import cost as costing
from benchmarks import published
from benchmarks.cost import Cost, dollars, seconds
from benchmarks.figures import Table
from benchmarks.published import Published
from benchmarks.simulation import as_deployed
from postbreeze.adapters.dynamodb.keys import SHARDS

POSTS = (10_000, 1_000_000, 100_000_000)
"""Posts a month."""

DAYS = 30
A_DAY = 24 * 3600
MINUTES = DAYS * 24 * 60
DRAWS = 20_000
EVENTS = 3
"""Events of a post that goes out: created, scheduled, published."""

IS_MODEL = "**A model, measured nowhere.**"

Costs = Mapping[str, Cost]


def weighed(targets: int = 1) -> Costs:
    """Return what the operations cost on posts with so many targets."""
    return {each.operation: each for each in costing.costs(targets)}


# How long a request takes


def percentiles(cost: Cost, figures: Published, draws: int = DRAWS) -> Sequence[float]:
    """Return the median, the 95th and the 99th percentile of a warm function, in milliseconds."""
    randomness = random.Random(cost.operation)
    steps = [
        [figures.latency(costing.latency_of(call, cost.targets)) for call in step]
        for step in cost.steps
    ]
    work = figures.assumed("work_ms") + cost.targets * figures.assumed("work_ms_a_target")
    taken = sorted(
        work + sum(max(each.at(randomness.random()) for each in step) for step in steps)
        for _ in range(draws)
    )
    return [taken[int(share * draws)] for share in (0.5, 0.95, 0.99)]


def latencies(weighed_by_targets: Mapping[int, Costs], figures: Published) -> Table:
    """Tell how long each operation takes, by the number of targets."""
    operations = dict.fromkeys(name for costs in weighed_by_targets.values() for name in costs)
    rows = [
        [
            operation,
            *(
                _percentiles(costs[operation], figures) if operation in costs else ""
                for costs in weighed_by_targets.values()
            ),
        ]
        for operation in operations
    ]
    return Table(
        title="How long a warm function takes on AWS (a model)",
        about=f"{IS_MODEL} Milliseconds within the function: median, 95 and 99 in 100. API Gateway,"
        " cold starts and the way to the client come on top.",
        columns=("operation", *(f"targets: {number}" for number in weighed_by_targets)),
        rows=rows,
    )


def _percentiles(cost: Cost, figures: Published) -> str:
    return ", ".join(f"{value:,.0f}" for value in percentiles(cost, figures))


# What a month costs


def times_a_post(figures: Published) -> Mapping[str, float]:
    """Return how often each operation happens for a post, in the long run."""
    cancelled = figures.assumed("cancelled_share")
    events = EVENTS * (1 - cancelled) + EVENTS * cancelled
    return {
        costing.CREATE: 1,
        "read": figures.assumed("reads_a_post"),
        costing.LIST: figures.assumed("lists_a_post"),
        "cancel": cancelled,
        costing.FIRED: 1 - cancelled,
        costing.PUBLISH_LAST: 1 - cancelled,
        costing.FAN_OUT: events,
        costing.DELIVER: events,
    }


def fixed(figures: Published) -> float:
    """Return the dollars of a month in which nothing happens: the reconciler, every minute."""
    duration = 20 * figures.latency("dynamodb").p50 / 1000
    a_run = (
        figures.price("lambda_request")
        + duration * figures.assumed("worker_memory_gb") * figures.price("lambda_gb_second")
        + figures.assumed("reconcile_reads") * figures.price("dynamodb_read")
        + figures.assumed("platform_log_bytes") / 1e9 * figures.price("logs_gb")
    )
    return MINUTES * a_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The dollars of a month."""

    database: float
    elsewhere: float
    kept: float
    fixed: float

    @property
    def whole(self) -> float:
        """All of it."""
        return self.database + self.elsewhere + self.kept + self.fixed


def bill(posts: float, costs: Costs, figures: Published) -> Bill:
    """Return what so many posts a month cost."""
    database = elsewhere = kept = 0.0
    for operation, times in times_a_post(figures).items():
        at_database, others = dollars(costs[operation], figures)
        database += times * posts * at_database / 1e6
        elsewhere += times * posts * others / 1e6
        kept += times * posts * costs[operation].grown
    return Bill(
        database=database,
        elsewhere=elsewhere,
        kept=kept / 1e9 * figures.price("dynamodb_gb_month"),
        fixed=fixed(figures),
    )


def budget(costs: Costs, figures: Published) -> Table:
    """Tell what a month costs."""
    rows = []
    for posts in POSTS:
        month = bill(posts, costs, figures)
        rows.append(
            [
                f"{posts:,}",
                *(
                    f"{value:,.2f}"
                    for value in (
                        month.database,
                        month.elsewhere,
                        month.kept,
                        month.fixed,
                        month.whole,
                    )
                ),
                f"{month.whole / posts * 1000:,.2f}",
            ]
        )
    return Table(
        title="What a month costs (a model)",
        about=f"{IS_MODEL} Dollars, posts with one target and one endpoint; list prices without"
        " free tiers, volume discounts, alarms, metrics, traces, keys and media.",
        columns=(
            "posts a month",
            "DynamoDB requests",
            "everything else that is asked",
            "a month of keeping that month's rows",
            "the reconciler",
            "in all",
            "per thousand posts",
        ),
        rows=rows,
    )


# Which quota binds first


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What the busiest minute needs of something that is limited."""

    what: str
    amount: float
    limit: float
    unit: str
    remedy: str

    @property
    def share(self) -> float:
        """How much of the limit that is."""
        return self.amount / self.limit


def needs(posts: float, costs: Costs, figures: Published) -> Sequence[Need]:
    """Return what so many posts a month need in their busiest minute, the scarcest first."""
    times, setting = times_a_post(figures), as_deployed()
    due = posts / DAYS * figures.assumed("busiest_minute_share") / 60
    asked = posts / DAYS / A_DAY * figures.assumed("busiest_request_factor")
    going = {costing.FIRED, costing.PUBLISH_LAST}
    # What follows from a post's going out is due with it; all else comes when clients ask.
    rates = {
        name: (due if name in going else asked) * times[name]
        for name in times
        if name not in {costing.FAN_OUT, costing.DELIVER}
    }
    events = rates[costing.PUBLISH_LAST] + 2 * rates[costing.CREATE] + 2 * rates["cancel"]
    rates |= {costing.FAN_OUT: events, costing.DELIVER: events}
    busy = {name: rate * seconds(costs[name], figures) for name, rate in rates.items()}
    indexes = {
        index: sum(rate * costs[name].index_writes.get(index, 0) for name, rate in rates.items())
        for index in ("posts/due", "posts/pending", "webhooks/due")
    }

    def quota(what: str, name: str, amount: float) -> Need:
        known = figures.quota(name)
        return Need(
            what=what, amount=amount, limit=known.limit, unit=known.unit, remedy=known.raising
        )

    def workers(what: str, function: str, limit: int, setting_name: str) -> Need:
        return Need(
            what=what,
            amount=busy[function],
            limit=limit,
            unit="workers of a queue, as template.yaml has it",
            remedy=f"yes: {setting_name} in template.yaml",
        )

    found = [
        quota("Scheduler: fires", "scheduler_invocations", rates[costing.FIRED]),
        quota("Scheduler: creations", "scheduler_creations", rates[costing.CREATE]),
        quota(
            "Scheduler: schedules",
            "scheduler_schedules",
            posts * figures.assumed("months_ahead"),
        ),
        quota("Lambda: concurrency", "lambda_concurrency", sum(busy.values())),
        quota("SNS: publishes", "sns_publishes", events),
        quota(
            "SQS: in flight",
            "sqs_in_flight",
            max(busy[costing.PUBLISH_LAST], busy[costing.DELIVER]),
        ),
        *(
            quota(
                f"DynamoDB: a partition of the index {index}",
                "dynamodb_partition_writes",
                units / SHARDS,
            )
            for index, units in indexes.items()
        ),
        quota(
            "DynamoDB: a new table",
            "dynamodb_table_writes",
            sum(rate * costs[name].writes for name, rate in rates.items()),
        ),
        workers(
            "publish_target: workers",
            costing.PUBLISH_LAST,
            setting.publish.workers,
            "the parameter Publications",
        ),
        workers(
            "fan_out_event: workers",
            costing.FAN_OUT,
            setting.fan_out.workers,
            "MaximumConcurrency of FanOutEventFunction",
        ),
        workers(
            "deliver_webhook: workers",
            costing.DELIVER,
            setting.prompt.workers,
            "the parameter PromptDeliveries",
        ),
    ]
    return sorted(found, key=lambda need: need.share, reverse=True)


def quotas(costs: Costs, figures: Published) -> Table:
    """Tell for each volume how much of each quota is needed."""
    by_posts = {
        posts: {need.what: need for need in needs(posts, costs, figures)} for posts in POSTS
    }
    last = needs(POSTS[-1], costs, figures)
    rows = [
        [
            need.what,
            f"{need.limit:,.0f} {need.unit}",
            *(_share(by_posts[posts][need.what]) for posts in POSTS),
            need.remedy,
        ]
        for need in last
    ]
    return Table(
        title="Which quota binds first (a model)",
        about=f"{IS_MODEL} What the busiest minute needs, and how much of the limit that is.",
        columns=(
            "quota",
            "limit",
            *(f"{posts:,} posts a month" for posts in POSTS),
            "can it be raised?",
        ),
        rows=rows,
    )


def _share(need: Need) -> str:
    amount = f"{need.amount:,.0f}" if need.amount >= 10 else f"{need.amount:.2g}"
    text = f"{amount} ({need.share:.2g} ×)"
    return f"**{text}**" if need.share > 1 else text


def run() -> Sequence[Table]:
    """Build the model."""
    figures = published.read()
    by_targets = {targets: weighed(targets) for targets in costing.TARGETS}
    one = by_targets[1]
    return [latencies(by_targets, figures), budget(one, figures), quotas(one, figures)]


def main() -> None:
    """Build and print it."""
    for table in run():
        print(table)


if __name__ == "__main__":
    main()
