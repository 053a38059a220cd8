"""Every test here runs against a deployed stack: a run's own, or the one of POSTBREEZE_TEST_STACK."""

from __future__ import annotations

from tests.support.engine import stack

__all__ = ["stack"]
