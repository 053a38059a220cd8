"""Every test here runs on a deployed stack: its own, or the one POSTBREEZE_TEST_STACK names."""

from __future__ import annotations

from tests.support.engine import stack

__all__ = ["stack"]
