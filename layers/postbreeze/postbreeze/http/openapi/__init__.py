"""The description of the API (OpenAPI 3.1), written from what the routes are made of.

Each resource has a module with one declaration for each of its routes; request bodies come from
their schemas, failures from the table of problems. ``make openapi`` writes ``docs/openapi.json``;
a test fails when that file is out of date.
"""

from __future__ import annotations

from postbreeze.http.openapi.document import OPERATIONS, document, text

__all__ = ["OPERATIONS", "document", "text"]
