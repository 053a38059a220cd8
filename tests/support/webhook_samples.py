"""The samples of docs/webhooks.md, and how each is run: programs of others that check requests."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from standardwebhooks.webhooks import WebhookVerificationError

from tests.support.core import SentRequest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")

Check = tuple[SentRequest, str]
"""A request, and the secret that it is checked with."""


def samples(language: str) -> list[str]:
    """Return the page's code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A way to check a request that the page shows.

    ``language`` and ``position`` say which code block it is, ``needs`` what it takes to run it.
    """

    language: str
    position: int
    needs: str | None = None

    @property
    def is_missing(self) -> bool:
        """Tell whether the program that runs it is not on this machine."""
        return self.needs is not None and shutil.which(self.needs) is None

    def accepts(self, folder: Path, *checks: Check) -> list[bool]:
        """Run it on requests, and tell of each whether it was accepted; ``folder`` is its own."""
        runners = {"python": _by_python, "js": _by_node, "sh": _by_shell}
        sample = samples(self.language)[self.position]
        return runners[self.language](sample, list(checks), folder)


SAMPLES = {
    "python by hand": Sample(language="python", position=0),
    "python with standardwebhooks": Sample(language="python", position=1),
    "python with svix": Sample(language="python", position=2),
    "node by hand": Sample(language="js", position=0, needs="node"),
    "node with standardwebhooks": Sample(language="js", position=1, needs="node"),
    "node by hand, the standard": Sample(language="js", position=2, needs="node"),
    "shell with openssl": Sample(language="sh", position=0, needs="openssl"),
}
SEND = 1
"""Which sample in a shell sends a request."""


def _by_python(sample: str, checks: list[Check], folder: Path) -> list[bool]:
    namespace: dict[str, Any] = {}
    exec(sample, namespace)  # noqa: S102 - a page of this repository
    return [_python_accepts(namespace["verify"], request, secret) for request, secret in checks]


def _python_accepts(verify: Callable[..., object], request: SentRequest, secret: str) -> bool:
    message = Message()
    for name, value in request.headers.items():
        message[name] = value
    try:
        return verify(message, request.body, secret) is not False
    except WebhookVerificationError:
        return False


_NODE_LOOP = """
const { readFileSync } = require("node:fs");
const accepts = ([headers, body, secret]) => {
  try {
    return verify(headers, Buffer.from(body, "base64"), secret) !== false;
  } catch (error) {
    if (error.name !== "WebhookVerificationError") throw error;
    return false;
  }
};
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(accepts)));
"""


def _by_node(sample: str, checks: list[Check], folder: Path) -> list[bool]:
    given = [
        [
            {name.lower(): value for name, value in request.headers.items()},
            base64.b64encode(request.body).decode(),
            secret,
        ]
        for request, secret in checks
    ]
    told = run("node", "-e", sample + _NODE_LOOP, given=json.dumps(given))
    accepted: list[bool] = json.loads(told)
    return accepted


_SHELL_LOOP = """
while [ $# -gt 0 ]; do
  if verify "$1" "$2" "$3"; then echo true; else echo false; fi
  shift 3
done
"""


def _by_shell(sample: str, checks: list[Check], folder: Path) -> list[bool]:
    arguments: list[str] = []
    for number, (request, secret) in enumerate(checks):
        body = folder / str(number)
        body.write_bytes(request.body)
        arguments += [request.headers["X-Postbreeze-Signature"], str(body), secret]
    told = run("sh", "-c", sample + _SHELL_LOOP, "sh", *arguments)
    return [json.loads(line) for line in told.splitlines()]


def run(program: str, *arguments: str, given: str = "") -> str:
    """Run a program that has to succeed, with the packages of requirements/node."""
    found = shutil.which(program)
    assert found is not None
    packages = str(ROOT / ".local" / "node" / "node_modules")
    finished = subprocess.run(
        [found, *arguments],
        input=given,
        env={**os.environ, "NO_PROXY": "*", "NODE_PATH": packages},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 0, f"{finished.stderr}\n`make test` installs what it needs"
    return finished.stdout
