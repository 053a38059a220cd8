"""What tests tell beside passing: each line that a test keeps as its property ``told``."""

from __future__ import annotations

import pytest

TOLD = "told"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests had to tell, on whichever worker they ran."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, line in getattr(report, "user_properties", ()):
                if name == TOLD and getattr(report, "when", "") == "call":
                    terminalreporter.write_line(str(line))
