"""The files in events/, and what events/README.md says of each."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).parents[2] / "events"

_ROW = re.compile(r"^\| `(\w+)\.json` \| `(\w+)Function` \| .* \| `(.*)` \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFile:
    """One row of the table: a file, the function it is for, and the function's answer to it."""

    name: str
    resource: str
    answer: Any

    @property
    def path(self) -> Path:
        return EVENTS / f"{self.name}.json"

    @property
    def event(self) -> Any:
        return json.loads(self.path.read_text(encoding="utf-8"))

    @property
    def function(self) -> str:
        """The function's folder."""
        name = self.resource.removesuffix("Function")
        return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def documented() -> list[EventFile]:
    """Read every row of the table in events/README.md."""
    return [
        EventFile(name=name, resource=f"{function}Function", answer=json.loads(answer))
        for name, function, answer in _ROW.findall((EVENTS / "README.md").read_text("utf-8"))
    ]


def shown(event: EventFile, given: dict[str, Any]) -> dict[str, Any]:
    """Cut an answer to what the table has of it: of the API's, the status alone."""
    if not event.name.startswith("api_"):
        return given
    assert given["headers"]["X-Request-Id"]
    if given["statusCode"] == 401:
        assert json.loads(given["body"])["code"] == "UNAUTHORIZED"
    return {"statusCode": given["statusCode"]}
