"""Figures that people are told of, or that are somebody else's: where one changes, both do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from postbreeze.domain import access, disconnection, media, post, webhook
from postbreeze.domain.transitions import basics, publishing
from postbreeze.operations import (
    answers,
    deliver,
    edit,
    fan_out,
    fitness,
    list_posts,
    publish,
    reconcile,
)
from postbreeze.operations.administer import checks
from postbreeze.operations.media import library

DOCS = Path(__file__).parents[3] / "docs"
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("page", "told", "figure", "value"),
    [
        ("architecture", "of 40 seconds", reconcile.TIME, 40 * SECOND),
        ("data-model", "up to 50 workspaces", list_posts.MOST_WORKSPACES, 50),
        ("data-model", "expires 90 days after", fan_out.EVENTS_KEPT, timedelta(days=90)),
        ("guarantees", "| the arming of an accepted post | 1–", basics.ARMING_GRACE, MINUTE),
        ("guarantees", "| a fire | 2–", basics.OVERDUE_AFTER, 2 * MINUTE),
        ("guarantees", "between claim and settlement | 3–", basics.LEASE, 3 * MINUTE),
        ("guarantees", "or a fan-out half done | ½–", reconcile.PENDING_AFTER, 30 * SECOND),
        ("guarantees", "| a delivery's message | ½–", webhook.SWEEP_GRACE, 30 * SECOND),
        ("guarantees", "in the middle of an attempt | 1–", webhook.ATTEMPT_LEASE, MINUTE),
        ("guarantees", "the rest of a disconnect | 1–", disconnection.AGAIN_AFTER, MINUTE),
        ("guarantees", "More than an hour late nothing", basics.MISSED_AFTER, HOUR),
        ("guarantees", "for an hour if it does not answer", publish.ASKED_AT_MOST, HOUR),
        ("guarantees", "up to 5,000 of each", reconcile.MOST, 5_000),
        ("guarantees", "made once in 24 hours", answers.ANSWERS_KEPT, 24 * HOUR),
        ("media", "15 minutes later", media.UPLOAD_TIME, 15 * MINUTE),
        ("media", "within a day is gone", media.PENDING_AT_MOST, 24 * HOUR),
        ("operations", "once more a minute later", disconnection.LAST_PASS_AFTER, MINUTE),
        ("rate-limits", "60 requests in a minute", access.REQUESTS_PER_MINUTE, 60),
        ("rate-limits", "1,000 in a quarter", access.REQUESTS_PER_QUARTER_HOUR, 1_000),
    ],
)
def test_what_the_documents_say_is_so(page: str, told: str, figure: object, value: object) -> None:
    assert told in " ".join((DOCS / f"{page}.md").read_text("utf-8").split())
    assert figure == value


@pytest.mark.parametrize(
    ("figure", "value"),
    [
        # What DynamoDB writes together, with the member and the stored answer.
        (edit.MOST_ROWS + 2, 100),
        # How long SQS holds a message back, and how many it and SNS take together.
        (timedelta(seconds=publishing.LONGEST_GAP), 15 * MINUTE),
        (deliver.LONGEST_DELAY, 15 * MINUTE),
        (reconcile.BATCH, 10),
        # How late and how early EventBridge, and a clock that is behind, may be.
        (basics.EARLY_FIRE, 2 * MINUTE),
        # How long a function runs at most, after which what it began counts as left.
        (answers.RUNNING_AT_MOST, MINUTE),
        (library.DELETING_AT_MOST, MINUTE),
        # What the contract has clients count on.
        (basics.FURTHEST_AHEAD, timedelta(days=366)),
        (basics.COMMENT_COOLDOWN, 30 * SECOND),
        (post.MOST_TARGETS, 50),
        (media.MOST_MEDIA, 35),
        (list_posts.MOST_POSTS, 100),
        (publishing.RETRY_GAPS, (5, 30, 120, 300)),
        (publishing.MOST_ATTEMPTS, len(publishing.RETRY_GAPS) + 1),
        (checks.MOST_CHARACTERS, 100),
        # The 400 KB of a row in DynamoDB, less what publishing adds to each of 50 targets.
        (fitness.LARGEST_DOCUMENT, 300_000),
    ],
)
def test_what_others_set_is_kept_to(figure: object, value: object) -> None:
    assert figure == value
