"""The command line over an operator of fakes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from postbreeze.cli import verbs
from postbreeze.cli.main import app
from tests.support.operators import FakeOperator


class CommandLine:
    """Runs commands as a shell would, with nothing of this process's environment."""

    def __init__(self, operator: FakeOperator) -> None:
        self.operator = operator
        self._runner = CliRunner()

    def run(
        self, *arguments: str, stdin: str | None = None, env: dict[str, str | None] | None = None
    ) -> Result:
        """Run one command."""
        clean: dict[str, str | None] = {
            "POSTBREEZE_STACK": None,
            "POSTBREEZE_APP_PASSWORD": None,
            "POSTBREEZE_LEAKED_KEY": None,
            "POSTBREEZE_WEBHOOK_SECRET": None,
        }
        return self._runner.invoke(
            app, list(arguments), input=stdin, env={**clean, **(env or {})}, catch_exceptions=False
        )

    def json(self, *arguments: str, **options: Any) -> Any:
        """Run one command that succeeds, and return its JSON."""
        result = self.run(*arguments, "--json", **options)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def fails(self, status: int, *arguments: str, **options: Any) -> str:
        """Run one command that fails with that status, says why on standard error only."""
        result = self.run(*arguments, **options)
        assert (result.exit_code, result.stdout) == (status, ""), result.output
        return result.stderr


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A command line; whatever deployment is named, it is the fakes."""
    operator = FakeOperator()
    monkeypatch.setattr(verbs, "Operator", lambda deployment: operator)
    monkeypatch.setattr(verbs.Place, "find", lambda place: place)
    return CommandLine(operator)
