"""The table of problems, and what the documentation says of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from postbreeze.domain import errors
from postbreeze.domain.errors import (
    Detail,
    NotFoundError,
    PostNotCancelableError,
    PreconditionFailedError,
    RefusalError,
    ValidationError,
)
from postbreeze.http.problems import (
    INTERNAL_ERROR,
    MOST_DETAILS,
    PROBLEMS,
    envelope,
    problem_for,
)

ERRORS_PAGE = Path(__file__).parents[3] / "docs" / "errors.md"


def test_every_refusal_of_the_core_has_its_answer() -> None:
    refusals = [
        error
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, RefusalError) and error != RefusalError
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
        (PostNotCancelableError("DRAFT"), {"status": "DRAFT"}),
        (
            PostNotCancelableError("PUBLISHING", [{"id": "tgt_1", "outcome": "in_flight"}]),
            {"status": "PUBLISHING", "targets": [{"id": "tgt_1", "outcome": "in_flight"}]},
        ),
        (PreconditionFailedError(7), {"current": 7}),
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


def test_an_answer_lists_so_many_details_at_most() -> None:
    error = ValidationError([Detail(str(number), "is odd") for number in range(1000)])
    assert len(envelope(problem_for(error), error, "req_1")["details"]) == MOST_DETAILS


def test_the_errors_page_has_every_code_with_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `([A-Z_]+)` \|", ERRORS_PAGE.read_text(), re.MULTILINE)
    written = {(int(status), code) for status, code in rows}
    assert written == {
        (problem.status, problem.code) for problem in [*PROBLEMS.values(), INTERNAL_ERROR]
    }
