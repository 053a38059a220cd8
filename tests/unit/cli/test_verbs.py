"""What all commands share: naming a deployment, and telling of failures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from typer.testing import CliRunner

from postbreeze.cli.deployment import Deployment, DeploymentError
from postbreeze.cli.main import app
from postbreeze.cli.verbs import Place, explain
from postbreeze.domain.errors import (
    ContendedError,
    NotFoundError,
    PlatformRejectedError,
    UnauthorizedError,
    UnavailableError,
    ValidationError,
)

DESCRIBED = {
    "engineUrl": "http://127.0.0.1:4110",
    "region": "us-east-1",
    "outputs": {"WorkspacesTableName": "workspaces"},
    "platform": {"url": "http://127.0.0.1:4130"},
}


def describe(folder: Path, document: object = None) -> Path:
    file = folder / ".local" / "stack.json"
    file.parent.mkdir()
    file.write_text(json.dumps(DESCRIBED if document is None else document), encoding="utf-8")
    return file


def test_the_local_stack_is_found_from_a_folder_inside_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    describe(tmp_path)
    inside = tmp_path / "docs" / "adr"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    # When
    deployment = Place(local=True, stack="production").find()
    # Then
    assert deployment.outputs == DESCRIBED["outputs"]
    assert deployment.bluesky_url == "http://127.0.0.1:4130"
    assert deployment.allow_loopback is True
    assert deployment.clients.sqs().meta.endpoint_url == "http://127.0.0.1:4110"


def test_a_description_may_lie_elsewhere(tmp_path: Path) -> None:
    deployment = Place(stack_file=describe(tmp_path)).find()
    assert deployment.outputs == DESCRIBED["outputs"]


def test_a_local_stack_that_is_not_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeploymentError, match="make up"):
        Place(local=True).find()


@pytest.mark.parametrize("document", [[], {}, {**DESCRIBED, "platform": None}, "text"])
def test_a_file_that_describes_no_stack(tmp_path: Path, document: object) -> None:
    with pytest.raises(DeploymentError, match="does not describe"):
        Place(stack_file=describe(tmp_path, document)).find()


def test_a_folder_is_no_description(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="does not describe"):
        Deployment.from_file(tmp_path)


def test_no_deployment_is_named() -> None:
    result = CliRunner().invoke(app, ["workspace", "create", "a"], env={"POSTBREEZE_STACK": None})
    assert result.exit_code == 2
    assert result.stderr.startswith("error: --stack: Name a deployment")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([], [], Place(stack="production")),
        (["--stack", "before"], [], Place(stack="before")),
        ([], ["--stack", "after"], Place(stack="after")),
        (["--stack", "before"], ["--stack", "after"], Place(stack="after")),
        (["--region", "r", "--local"], ["--profile", "p"], None),
    ],
)
def test_a_deployment_may_be_named_before_the_noun_after_the_verb_or_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, before: list[str], after: list[str], expected: Place | None
) -> None:
    # Given
    asked: list[Place] = []

    def find(self: Place) -> Deployment:
        asked.append(self)
        raise DeploymentError("There is no such stack.")

    monkeypatch.setattr(Place, "find", find)
    # When
    result = CliRunner().invoke(
        app,
        [*before, "workspace", "create", "a", *after],
        env={"POSTBREEZE_STACK": "production"},
    )
    # Then
    assert result.exit_code == 1
    assert result.stderr == "error: There is no such stack.\n"
    assert asked == [expected or Place(stack="production", local=True, region="r", profile="p")]


def test_a_bug_is_no_expected_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(self: Place) -> Deployment:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Place, "find", find)
    result = CliRunner().invoke(app, ["workspace", "create", "a", "--local"])
    assert isinstance(result.exception, RuntimeError)


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (ValidationError.of("name", "It is empty."), 2, "name: It is empty."),
        (NotFoundError("There is no post."), 1, "There is no post."),
        (UnauthorizedError(), 1, "UnauthorizedError"),
        (UnavailableError("GetItem"), 1, "AWS failed or did not answer (GetItem)."),
        (ContendedError(), 1, "It kept changing"),
        (PlatformRejectedError("CREDENTIALS_REJECTED", "Refused."), 1, "Refused."),
        (NoCredentialsError(), 1, "AWS cannot be asked: Unable to locate credentials"),
        (
            ClientError({"Error": {"Code": "Nope", "Message": "Never."}}, "PutItem"),
            1,
            "AWS refused PutItem: Nope: Never.",
        ),
    ],
)
def test_every_failure_has_a_sentence(error: Exception, status: int, sentence: str) -> None:
    told, told_status = explain(error)
    assert told.startswith(sentence)
    assert told_status == status


NEEDS_NO_DEPLOYMENT = {("webhook", "listen"), ("webhook", "trigger")}


@pytest.mark.parametrize("noun", ["workspace", "member", "key", "account", "webhook", "post"])
def test_every_command_tells_what_it_takes(noun: str) -> None:
    # When
    group = CliRunner().invoke(app, [noun, "--help"])
    # Then
    assert group.exit_code == 0
    commands = group.stdout.partition("Commands:")[2].split("\n")
    names = [line.split()[0] for line in commands if line.startswith("  ") and line[2] != " "]
    assert names
    for name in names:
        told = CliRunner().invoke(app, [noun, name, "--help"])
        assert told.exit_code == 0
        assert ("--local" in told.stdout) is ((noun, name) not in NEEDS_NO_DEPLOYMENT)
        assert "--json" in told.stdout
