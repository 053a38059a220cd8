"""Log lines and metrics as CloudWatch gets them."""

from __future__ import annotations

import json
import logging
from itertools import count
from typing import Any

import pytest

from postbreeze.observability import Observability

_numbers = count(1)

Lines = list[dict[str, Any]]


class Seen:
    """An observability whose output can be read."""

    def __init__(self, capsys: pytest.CaptureFixture[str], level: str = "INFO") -> None:
        self._capsys = capsys
        # A logger keeps the standard output of the test that made it, so each has its own.
        self.service = f"observed-{next(_numbers)}"
        self.observability = Observability(
            service=self.service, namespace="Postbreeze", level=level, stage="test"
        )

    def lines(self) -> Lines:
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]


def test_a_line_has_its_fields_and_the_invocations(capsys: pytest.CaptureFixture[str]) -> None:
    seen = Seen(capsys)
    with seen.observability.invocation("lambda-1", requestId="req_1"):
        seen.observability.note("request", status=200, route=None)
        seen.observability.warn("effect failed", effect="Announce")
    seen.observability.note("afterwards")
    inside, warning, after = seen.lines()
    assert inside["message"] == "request"
    assert inside["level"] == "INFO"
    assert inside["status"] == 200
    assert "route" not in inside
    assert (inside["awsRequestId"], inside["requestId"]) == ("lambda-1", "req_1")
    assert (inside["service"], inside["stage"]) == (seen.service, "test")
    assert (warning["level"], warning["effect"]) == ("WARNING", "Announce")
    assert "requestId" not in after
    assert "awsRequestId" not in after


def test_a_field_cannot_break_or_hide_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    seen = Seen(capsys)
    seen.observability.note("kept", name="y", level="z", args=(1,), service="s")
    [line] = seen.lines()
    assert line["message"] == "kept"
    assert line["level"] == "INFO"
    assert line["service"] == seen.service
    assert (line["name_"], line["level_"], line["service_"]) == ("y", "z", "s")


def test_an_error_has_its_stack(capsys: pytest.CaptureFixture[str]) -> None:
    seen = Seen(capsys)
    try:
        int("one")
    except ValueError as error:
        seen.observability.failed("message failed", error, messageId="m")
        seen.observability.retrying("message failed", error, messageId="m")
    ours, passing = seen.lines()
    assert ours["level"] == "ERROR"
    assert ours["exception_name"] == "ValueError"
    assert "test_an_error_has_its_stack" in ours["exception"]
    assert passing["level"] == "WARNING"
    assert passing["error"].startswith("ValueError(")
    assert "exception" not in passing


def test_loggers_of_the_package_end_in_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    seen = Seen(capsys)
    with seen.observability.invocation("lambda-1"):
        logging.getLogger("postbreeze.adapters.egress").warning("relaxed")
        logging.getLogger("postbreeze.adapters.egress").debug("unheard")
    [line] = seen.lines()
    assert (line["message"], line["level"]) == ("relaxed", "WARNING")
    assert line["awsRequestId"] == "lambda-1"


def test_the_level_holds_for_all(capsys: pytest.CaptureFixture[str]) -> None:
    seen = Seen(capsys, level="ERROR")
    seen.observability.note("unheard")
    seen.observability.warn("unheard")
    logging.getLogger("postbreeze.http").warning("unheard")
    assert seen.lines() == []


def test_metrics_are_written_once_at_the_end_even_of_a_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = Seen(capsys)

    def work() -> None:
        with seen.observability.invocation("lambda-1"):
            seen.observability.count("StaleFire")
            seen.observability.count("StaleFire", 2)
            seen.observability.count("EventFannedOut")
            raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        work()
    with seen.observability.invocation("lambda-2"):
        pass
    [metrics] = seen.lines()
    [definition] = metrics["_aws"]["CloudWatchMetrics"]
    assert definition["Namespace"] == "Postbreeze"
    assert sorted(definition["Dimensions"][0]) == ["service", "stage"]
    assert metrics["service"] == seen.service
    assert {metric["Name"] for metric in definition["Metrics"]} == {"StaleFire", "EventFannedOut"}
    assert sum(metrics["StaleFire"]) == 3
