"""What tests tell beside passing: lines that they keep as ``told``, and what they ``proved``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.proof import PROVED, Proved

# However slow the machine is, that is no fault of what is tested.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

TOLD = "told"

PROVED_FILE = "POSTBREEZE_PROVED"
"""Where a proving run wants what was proved, one JSON document a line."""


@pytest.fixture
def proved(record_property: Callable[[str, object], None]) -> Callable[[Proved], None]:
    """Take what a test has counted, and fail it for violations."""

    def keep(line: Proved) -> None:
        record_property(PROVED, line.written())
        assert line.count > 0, "nothing was explored"
        assert line.violations == 0, line

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests had to tell, on whichever worker they ran."""
    lines = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") != "call":
                continue
            for name, value in getattr(report, "user_properties", ()):
                if name == TOLD:
                    terminalreporter.write_line(str(value))
                if name == PROVED:
                    lines.append(value)
                    terminalreporter.write_line(str(Proved.read(value)))
    if PROVED_FILE in os.environ:
        Path(os.environ[PROVED_FILE]).write_text("".join(f"{line}\n" for line in lines), "utf-8")
