"""A deployed stack for tests that take one: their own, or that of POSTBREEZE_TEST_STACK."""

from __future__ import annotations

from tests.support.engine import stack

__all__ = ["stack"]
