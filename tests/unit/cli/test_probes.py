"""What the operator asks of platforms and of the scheduler."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from local.bluesky_sandbox import Behaviour, BlueskySandbox, did_of
from postbreeze.adapters.aws import AwsClients
from postbreeze.cli.deployment import Deployment, DeploymentError, Operator
from postbreeze.cli.probes import BlueskySignIn, SchedulerLookup
from postbreeze.domain.errors import (
    PlatformRejectedError,
    PlatformRetriableError,
    UnavailableError,
    ValidationError,
)

HANDLE = "a.postbreeze.test"


def test_a_server_tells_whose_credentials_these_are() -> None:
    with BlueskySandbox() as sandbox:
        account = BlueskySignIn(f"{sandbox.url}/")(HANDLE, f"sandbox-{HANDLE}")
    assert (account.external_account_id, account.handle) == (did_of(HANDLE), HANDLE)


def test_a_wrong_password_is_refused_and_not_repeated() -> None:
    with (
        BlueskySandbox() as sandbox,
        pytest.raises(PlatformRejectedError, match=r"401 AuthenticationRequired") as refused,
    ):
        BlueskySignIn(sandbox.url)(HANDLE, "hunter2")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_busy_may_be_asked_again(status: int) -> None:
    with BlueskySandbox() as sandbox:
        sandbox.behave(Behaviour(status=status))
        with pytest.raises(PlatformRetriableError, match=str(status)):
            BlueskySignIn(sandbox.url)(HANDLE, "a")


def test_a_server_that_hangs_up_or_is_not_there() -> None:
    with BlueskySandbox() as sandbox:
        sandbox.behave(Behaviour(drop=True))
        with pytest.raises(PlatformRetriableError, match="does not answer"):
            BlueskySignIn(sandbox.url)(HANDLE, "a")
        url = sandbox.url
    with pytest.raises(PlatformRetriableError, match="does not answer"):
        BlueskySignIn(url)(HANDLE, "a")


def test_a_server_that_is_no_bluesky(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    monkeypatch.setattr(BlueskySandbox, "_session", lambda sandbox, did: {"hello": "world"})
    # Then
    with (
        BlueskySandbox() as sandbox,
        pytest.raises(PlatformRetriableError, match="not answer like a Bluesky server"),
    ):
        BlueskySignIn(sandbox.url)(HANDLE, f"sandbox-{HANDLE}")


class Scheduler:
    """A scheduler client that knows one schedule, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def get_schedule(self, **asked: str) -> dict[str, str]:
        if self.error is not None:
            raise self.error
        if asked != {"Name": "post_a-1", "GroupName": "ours"}:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetSchedule")
        return asked


def lookup(error: Exception | None = None) -> SchedulerLookup:
    return SchedulerLookup(Scheduler(error), group="ours")  # type: ignore[arg-type]  # one call of it


def test_a_timer_is_there_or_not() -> None:
    assert lookup().exists("post_a-1") is True
    assert lookup().exists("post_a-2") is False


def test_a_scheduler_that_cannot_be_asked() -> None:
    with pytest.raises(UnavailableError):
        lookup(EndpointConnectionError(endpoint_url="http://x")).exists("post_a-1")
    with pytest.raises(ClientError):
        lookup(ClientError({"Error": {"Code": "ValidationException"}}, "GetSchedule")).exists("p")


class CloudFormation:
    """A CloudFormation client that describes one stack, or fails."""

    def __init__(self, answer: dict[str, object] | Exception) -> None:
        self.answer = answer

    def describe_stacks(self, *, StackName: str) -> dict[str, list[dict[str, object]]]:  # noqa: N803
        assert StackName == "postbreeze"
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"Stacks": [self.answer]}


def described(monkeypatch: pytest.MonkeyPatch, answer: dict[str, object] | Exception) -> Deployment:
    client = CloudFormation(answer)
    monkeypatch.setattr(AwsClients, "cloudformation", lambda clients: client)
    return Deployment.on_aws("postbreeze", region="eu-west-1", profile=None)


OUTPUTS = [{"OutputKey": "WorkspacesTableName", "OutputValue": "workspaces"}]


@pytest.mark.parametrize("allowed", [True, False])
def test_a_stack_on_aws_is_known_by_its_outputs_and_parameters(
    monkeypatch: pytest.MonkeyPatch, allowed: bool
) -> None:
    # When
    deployment = described(
        monkeypatch,
        {
            "Outputs": OUTPUTS,
            "Parameters": [
                {"ParameterKey": "BlueskyUrl", "ParameterValue": "https://bsky.social"},
                {"ParameterKey": "EgressAllowLoopback", "ParameterValue": str(allowed).lower()},
            ],
        },
    )
    # Then
    assert deployment.outputs == {"WorkspacesTableName": "workspaces"}
    assert deployment.bluesky_url == "https://bsky.social"
    assert deployment.allow_loopback is allowed


def test_endpoints_on_aws_are_checked_by_its_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    outputs = {
        "WorkspacesTableName": "workspaces",
        "WebhooksTableName": "webhooks",
        "WebhookSecretsKeyArn": "arn",
        "DeliveryQueueUrl": "https://sqs.eu-west-1.amazonaws.com/1/q",
        "DeliveryLateQueueUrl": "https://sqs.eu-west-1.amazonaws.com/1/late",
    }
    deployment = Deployment(
        outputs=outputs, clients=AwsClients(region="eu-west-1"), bluesky_url="https://bsky.social"
    )
    endpoints = Operator(deployment).endpoints
    # Then
    for url in ("http://127.0.0.1:4120", "https://10.0.0.1", "http://example.com"):
        with pytest.raises(ValidationError, match="url"):
            endpoints.add("ws_1", url, ["*"])
    with pytest.raises(ValidationError, match="workspace"):
        endpoints.add("ws_1", "https://example.com", ["*"])


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"Outputs": OUTPUTS}, "is not a Postbreeze deployment"),
        ({"StackStatus": "CREATE_IN_PROGRESS"}, "is not a Postbreeze deployment"),
        (
            ClientError(
                {
                    "Error": {
                        "Code": "ValidationError",
                        "Message": "Stack with id postbreeze does not exist",
                    }
                },
                "DescribeStacks",
            ),
            "There is no stack postbreeze",
        ),
        (
            ClientError({"Error": {"Code": "AccessDenied", "Message": "No."}}, "DescribeStacks"),
            "CloudFormation refused: AccessDenied: No.",
        ),
        (EndpointConnectionError(endpoint_url="http://x"), "AWS cannot be asked"),
    ],
)
def test_a_stack_that_is_not_ours(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, object] | Exception, sentence: str
) -> None:
    with pytest.raises(DeploymentError, match=sentence):
        described(monkeypatch, answer)


def test_a_profile_that_does_not_exist() -> None:
    with pytest.raises(DeploymentError, match="AWS cannot be asked"):
        Deployment.on_aws("postbreeze", region=None, profile="there-is-no-such-profile")
