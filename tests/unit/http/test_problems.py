"""The table of problems, and what the documentation says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from postbreeze.domain import errors
from postbreeze.domain.errors import (
    Detail,
    FirstCommentNotRetriableError,
    MediaInUseError,
    NotFoundError,
    NothingToRetryError,
    PlanLimitError,
    PlatformRuleError,
    PostNotCancelableError,
    PostNotEditableError,
    PostNotSchedulableError,
    PreconditionFailedError,
    RateLimitedError,
    RefusalError,
    ValidationError,
)
from postbreeze.http.openapi.schemas import PROBLEM_EXTRAS
from postbreeze.http.problems import (
    INTERNAL_ERROR,
    MOST_DETAILS,
    PROBLEMS,
    MethodNotAllowedError,
    envelope,
    headers_for,
    problem_for,
)

ERRORS_PAGE = Path(__file__).parents[3] / "docs" / "errors.md"


def test_every_refusal_of_the_core_has_its_answer() -> None:
    kinds = {errors.RefusalError, errors.WrongStateError}
    refusals = [
        error
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, RefusalError) and error not in kinds
    ]
    assert refusals
    assert [error for error in refusals if error not in PROBLEMS] == []


def test_codes_are_unambiguous() -> None:
    problems = [*PROBLEMS.values(), INTERNAL_ERROR]
    assert len({problem.code for problem in problems}) == len(problems)
    assert all(problem.message for problem in problems)


def test_a_refined_error_is_answered_as_its_kind() -> None:
    class GoneError(NotFoundError):
        pass

    assert problem_for(GoneError()).code == "NOT_FOUND"
    assert problem_for(ValueError()) is INTERNAL_ERROR


@pytest.mark.parametrize(
    ("error", "extras"),
    [
        (
            ValidationError([Detail("a.0", "is odd"), Detail("b", "is even")]),
            {
                "details": [
                    {"path": "a.0", "message": "is odd"},
                    {"path": "b", "message": "is even"},
                ]
            },
        ),
        (
            PlatformRuleError([Detail("content", "is too long")]),
            {"details": [{"path": "content", "message": "is too long"}]},
        ),
        (PostNotCancelableError("DRAFT"), {"status": "DRAFT"}),
        (
            PostNotCancelableError("PUBLISHING", [{"id": "tgt_1", "outcome": "in_flight"}]),
            {"status": "PUBLISHING", "targets": [{"id": "tgt_1", "outcome": "in_flight"}]},
        ),
        (PreconditionFailedError(7), {"current": 7}),
        (MediaInUseError(["post_1"]), {"posts": ["post_1"]}),
        (RateLimitedError(1500), {"retryAfterMs": 1500}),
        (NotFoundError(), {}),
    ],
)
def test_an_error_adds_what_it_knows(error: Exception, extras: dict[str, object]) -> None:
    problem = problem_for(error)
    assert envelope(problem, error, "req_1") == {
        "statusCode": problem.status,
        "code": problem.code,
        "message": problem.message,
        "requestId": "req_1",
        **extras,
    }


@pytest.mark.parametrize(
    ("milliseconds", "seconds"), [(1, "1"), (1000, "1"), (1001, "2"), (900_000, "900")]
)
def test_the_seconds_to_wait_are_never_too_few(milliseconds: int, seconds: str) -> None:
    error = RateLimitedError(milliseconds)
    assert headers_for(problem_for(error), error) == {"Retry-After": seconds}


def test_an_answer_lists_so_many_details_at_most() -> None:
    error = ValidationError([Detail(str(number), "is odd") for number in range(1000)])
    assert len(envelope(problem_for(error), error, "req_1")["details"]) == MOST_DETAILS


@dataclass(frozen=True)
class Row:
    """A code as the errors page has it; ``adds`` are the names in that cell."""

    status: int
    code: str
    when: str
    adds: frozenset[str]
    advice: str


def documented() -> list[Row]:
    """Read the table of the errors page."""
    rows = []
    for line in ERRORS_PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0].isdigit():
            status, code, when, adds, advice = cells
            names = frozenset(re.findall("`([^`]+)`", adds))
            rows.append(Row(int(status), code.strip("`"), when, names, advice))
    return rows


WITH_ARGUMENTS: Mapping[type[Exception], Exception] = {
    type(error): error
    for error in (
        ValidationError([Detail("a", "is odd")]),
        PlatformRuleError([Detail("a", "is odd")]),
        PostNotCancelableError("PUBLISHING", [{"id": "tgt_1", "outcome": "in_flight"}]),
        PostNotSchedulableError("PUBLISHED"),
        PostNotEditableError("PUBLISHED"),
        NothingToRetryError("DRAFT"),
        FirstCommentNotRetriableError("FAILED"),
        MediaInUseError(["post_1"]),
        MethodNotAllowedError(["GET"]),
        PlanLimitError(2, 3),
        PreconditionFailedError(7),
        RateLimitedError(1500),
    )
}


def test_the_errors_page_has_every_code_once_with_its_status() -> None:
    problems = [*PROBLEMS.values(), INTERNAL_ERROR]
    written = [(row.status, row.code) for row in documented()]
    assert sorted(written) == sorted((problem.status, problem.code) for problem in problems)
    assert [status for status, _ in written] == sorted(status for status, _ in written)


def test_the_errors_page_says_when_and_what_to_do() -> None:
    assert [row.code for row in documented() if not row.when or not row.advice] == []


@pytest.mark.parametrize("kind", [*PROBLEMS, KeyError], ids=lambda kind: kind.__name__)
def test_the_errors_page_says_what_an_error_adds(kind: type[Exception]) -> None:
    # Given an answer to an error of the kind
    error = WITH_ARGUMENTS[kind] if kind in WITH_ARGUMENTS else kind()
    problem = problem_for(error)
    body = envelope(problem, error, "req_1")
    added = body.keys() - {"statusCode", "code", "message", "requestId"}
    # Then the page and the description name what is in it on top
    (row,) = (row for row in documented() if row.code == problem.code)
    assert row.adds == added | headers_for(problem, error).keys()
    assert added <= set(PROBLEM_EXTRAS)
