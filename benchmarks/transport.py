"""Recorded answers of AWS, given to whoever sends the requests that they answered.

Only the standard library is imported here: this runs beside what is measured.
"""

from __future__ import annotations

import base64
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request, told by what it is about, and the bytes that answered it."""

    request: str
    sent_bytes: int
    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One invocation of a function, with all that AWS answered meanwhile."""

    name: str
    function: str
    event: Mapping[str, Any]
    exchanges: Sequence[Exchange]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Every scene, the moment of all of them, and the environment that its function had."""

    at: str
    environ: Mapping[str, str]
    scenes: Sequence[Scene]

    @property
    def moment(self) -> datetime:
        """When it was made: by a later clock, what was then begun may be due, or over."""
        return datetime.fromisoformat(self.at)

    def scene(self, name: str) -> Scene:
        """Return the scene of that name."""
        return next(scene for scene in self.scenes if scene.name == name)

    def write(self, path: Path) -> None:
        """Keep it in a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), default=_written), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Read what was kept."""
        kept = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            at=kept["at"],
            environ=kept["environ"],
            scenes=[
                Scene(
                    **{
                        **scene,
                        "exchanges": [
                            Exchange(**{**each, "content": base64.b64decode(each["content"])})
                            for each in scene["exchanges"]
                        ],
                    }
                )
                for scene in kept["scenes"]
            ],
        )


class Answers:
    """Answers one scene's requests, as often as it is played.

    Requests are told by what they are about, not by their order, which threads may change. Where
    the same is asked again within a scene the answers come in order, and then from the start.
    """

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        """Give none yet."""
        self._exchanges: dict[str, list[Exchange]] = defaultdict(list)
        for exchange in exchanges:
            self._exchanges[exchange.request].append(exchange)
        self._given: dict[str, int] = defaultdict(int)

    def to(self, method: str, url: str, target: str | bytes | None, body: bytes) -> Exchange:
        """Answer a request; `target` is its X-Amz-Target, if it has one.

        Raises:
            KeyError: It is none of the scene's.
        """
        asked = described(method, url, target, body)
        if asked not in self._exchanges:
            raise KeyError(f"{asked} is none of {sorted(self._exchanges)}")
        kept = self._exchanges[asked]
        number = self._given[asked]
        self._given[asked] = number + 1
        return kept[number % len(kept)]


def described(method: str, url: str, target: str | bytes | None, body: bytes) -> str:
    """Tell what a request is about, whoever wrote it and whenever."""
    if target is None:
        if body.startswith(b"Action="):
            return parse_qs(body.decode())["Action"][0]
        return f"{method} {urlsplit(url).path.split('/')[1]}"
    service, _, operation = (target if isinstance(target, str) else target.decode()).partition(".")
    if not service.startswith("DynamoDB"):
        return operation
    return f"{operation} {_rows(json.loads(body))}"


def _rows(body: Mapping[str, Any]) -> str:
    """Name the rows that a request to DynamoDB is about."""
    if "TransactItems" in body:
        kinds = []
        for item in body["TransactItems"]:
            [(action, asked)] = item.items()
            row = asked.get("Item") or asked["Key"]
            kinds.append(f"{action}:{row['sk']['S'].partition('#')[0]}")
        return " ".join(sorted(kinds))
    if "RequestItems" in body:
        [batch] = body["RequestItems"].values()
        return " ".join(sorted(key["pk"]["S"] + key["sk"]["S"] for key in batch["Keys"]))
    if "Key" in body:
        return f"{body['Key']['pk']['S']} {body['Key']['sk']['S']}"
    if "Item" in body:
        return str(body["Item"]["sk"]["S"])
    values = [str(*value.values()) for value in body["ExpressionAttributeValues"].values()]
    wanted = sorted(value for value in values if not _MOMENT.match(value))
    return f"{body['TableName']} {body.get('IndexName', '')} {' '.join(wanted)}"


def _written(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(type(value).__name__)
