"""Writes the description to where the output goes."""

from __future__ import annotations

import sys

from postbreeze.http.openapi import text

sys.stdout.write(text())
