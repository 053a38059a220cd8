"""Every function, invoked by SAM with its file from events/, on the deployed stack."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from local import paths
from local.engine import Engine, environment_for_sam
from tests.support.event_files import EventFile, documented, shown

pytestmark = pytest.mark.e2e

Stack = Mapping[str, Any]

AT_ONCE = 4
MOST_RUNS = 10


def invoke(stack: Stack, event: EventFile) -> Any:
    """Run the command of events/README.md and return what it prints: the function's answer."""
    port = urlsplit(stack["engineUrl"]).port
    assert port is not None
    ran = subprocess.run(
        [
            *(paths.SAM, "remote", "invoke", event.resource),
            *("--stack-name", stack["stackName"], "--event-file", event.path),
        ],
        cwd=paths.ROOT,
        env=environment_for_sam(Engine(port=port, folder=paths.RUN)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


@pytest.fixture(scope="module")
def answers(stack: Stack) -> Mapping[str, Any]:
    """Every function's answer by the name of the event's file; SAM takes seconds for each."""
    events = documented()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        given = list(pool.map(lambda event: invoke(stack, event), events))
    return {event.name: answer for event, answer in zip(events, given, strict=True)}


@pytest.mark.parametrize("event", documented(), ids=lambda event: event.name)
def test_a_deployed_function_answers_its_event_as_documented(
    stack: Stack, answers: Mapping[str, Any], event: EventFile
) -> None:
    # Given a stack on which other tests may just have left something to repair
    given = answers[event.name]
    runs = 1
    while event.function == "reconcile" and given != {} and runs < MOST_RUNS:
        # When that is repaired, counted in whole numbers by the names of the repairs
        assert all(name.isidentifier() and times > 0 for name, times in given.items()), given
        given = invoke(stack, event)
        runs += 1
    # Then the function answers as events/README.md says
    assert shown(event, given) == event.answer
