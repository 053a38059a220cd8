"""Finding a deployment, and putting together what the operator's verbs need of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from postbreeze.adapters.aws import AwsClients, code_of
from postbreeze.adapters.clock import SystemClock, SystemRandomness
from postbreeze.adapters.dynamodb.directory import DynamoDirectory
from postbreeze.adapters.dynamodb.disconnections import DynamoDisconnections
from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.registry import DynamoRegistry
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.adapters.dynamodb.webhooks import DynamoWebhookStore
from postbreeze.adapters.secrets import KmsSecretBox
from postbreeze.adapters.sqs import SqsDeliveryQueue
from postbreeze.adapters.webhook_sender import check_endpoint_url
from postbreeze.cli.probes import BlueskySignIn, SchedulerLookup
from postbreeze.domain.errors import PostbreezeError
from postbreeze.operations.administer.accounts import Accounts
from postbreeze.operations.administer.endpoints import Endpoints
from postbreeze.operations.administer.keys import Keys
from postbreeze.operations.administer.posts import Posts
from postbreeze.operations.administer.workspaces import Workspaces

LOCAL_FILE: Final = Path(".local") / "stack.json"

LOCAL_CREDENTIALS: Final = ("test", "test")
"""The local engine's root account, which opens nothing but this machine's loopback."""


class DeploymentError(PostbreezeError):
    """The deployment cannot be found; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One deployed Postbreeze: what it is made of, and a way to talk to it.

    ``allow_loopback`` says that webhooks may go to this machine: on the local stack only.
    """

    outputs: Mapping[str, str]
    clients: AwsClients
    bluesky_url: str
    allow_loopback: bool = False

    @classmethod
    def on_aws(cls, stack: str, *, region: str | None, profile: str | None) -> Deployment:
        """Ask CloudFormation for a stack.

        Raises:
            DeploymentError: There is no such stack, or AWS cannot be asked.
        """
        try:
            clients = AwsClients(region=region, profile=profile)
            answer = clients.cloudformation().describe_stacks(StackName=stack)
        except ClientError as error:
            message = str(error.response.get("Error", {}).get("Message", ""))
            if code_of(error) == "ValidationError" and "does not exist" in message:
                raise DeploymentError(
                    f"There is no stack {stack} in this account and region."
                ) from error
            raise DeploymentError(f"CloudFormation refused: {code_of(error)}: {message}") from error
        except BotoCoreError as error:
            raise DeploymentError(f"AWS cannot be asked: {error}") from error
        described = answer["Stacks"][0]
        outputs = {
            output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])
        }
        parameters = {
            parameter["ParameterKey"]: parameter["ParameterValue"]
            for parameter in described.get("Parameters", [])
        }
        if "WorkspacesTableName" not in outputs or "BlueskyUrl" not in parameters:
            raise DeploymentError(f"The stack {stack} is not a Postbreeze deployment, or not yet.")
        return cls(
            outputs=outputs,
            clients=clients,
            bluesky_url=parameters["BlueskyUrl"],
            allow_loopback=parameters.get("EgressAllowLoopback") == "true",
        )

    @classmethod
    def local(
        cls, outputs: Mapping[str, str], *, engine_url: str, region: str, platform_url: str
    ) -> Deployment:
        """Describe a stack on the local engine."""
        return cls(
            outputs=outputs,
            clients=AwsClients(
                region=region, endpoint_url=engine_url, access_key=LOCAL_CREDENTIALS
            ),
            bluesky_url=platform_url,
            allow_loopback=True,
        )

    @classmethod
    def from_file(cls, path: Path) -> Deployment:
        """Read the description that ``make up`` leaves of the local stack.

        Raises:
            DeploymentError: It is not there, or is not such a description.
        """
        try:
            described: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls.local(
                described["outputs"],
                engine_url=described["engineUrl"],
                region=described["region"],
                platform_url=described["platform"]["url"],
            )
        except FileNotFoundError as error:
            raise DeploymentError(
                f"There is no {path}: the local stack is not up. Start it with 'make up'."
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DeploymentError(f"{path} does not describe a local stack.") from error


class Operator:
    """Everything an operator can do to one deployment; each part is put together when used."""

    def __init__(self, deployment: Deployment) -> None:
        """Call nothing yet."""
        self._deployment = deployment
        self._outputs = deployment.outputs
        self._clients = deployment.clients
        self._clock = SystemClock()
        self._randomness = SystemRandomness()

    @cached_property
    def workspaces(self) -> Workspaces:
        """Workspaces and members."""
        return Workspaces(
            registry=self._registry,
            directory=self._directory,
            clock=self._clock,
            randomness=self._randomness,
        )

    @cached_property
    def keys(self) -> Keys:
        """API keys."""
        return Keys(
            registry=self._registry,
            directory=self._directory,
            clock=self._clock,
            randomness=self._randomness,
        )

    @cached_property
    def accounts(self) -> Accounts:
        """Social accounts."""
        return Accounts(
            registry=self._registry,
            disconnections=DynamoDisconnections(
                self._database, posts_table=self._outputs["PostsTableName"]
            ),
            secrets=self._secret_box("AccountSecretsKeyArn"),
            clock=self._clock,
            randomness=self._randomness,
        )

    @cached_property
    def endpoints(self) -> Endpoints:
        """Webhook endpoints."""
        return Endpoints(
            registry=self._registry,
            webhooks=DynamoWebhookStore(
                self._database, webhooks_table=self._outputs["WebhooksTableName"]
            ),
            secrets=self._secret_box("WebhookSecretsKeyArn"),
            queue=SqsDeliveryQueue(
                self._clients.sqs(),
                queue_url=self._outputs["DeliveryQueueUrl"],
                late_queue_url=self._outputs["DeliveryLateQueueUrl"],
            ),
            check_url=partial(check_endpoint_url, allow_loopback=self._deployment.allow_loopback),
            clock=self._clock,
            randomness=self._randomness,
        )

    @cached_property
    def posts(self) -> Posts:
        """A look at posts."""
        return Posts(
            posts=DynamoPostStore(
                self._database, posts_table=self._outputs["PostsTableName"], clock=self._clock
            ),
            schedules=SchedulerLookup(
                self._clients.scheduler(), group=self._outputs["ScheduleGroupName"]
            ),
        )

    @cached_property
    def bluesky_sign_in(self) -> BlueskySignIn:
        """The check of Bluesky credentials, on the server this deployment publishes to."""
        return BlueskySignIn(self._deployment.bluesky_url)

    @cached_property
    def _database(self) -> Database:
        return Database(self._clients.dynamodb())

    @cached_property
    def _registry(self) -> DynamoRegistry:
        return DynamoRegistry(self._database, workspaces_table=self._workspaces_table)

    @cached_property
    def _directory(self) -> DynamoDirectory:
        return DynamoDirectory(
            self._database, workspaces_table=self._workspaces_table, clock=self._clock
        )

    @property
    def _workspaces_table(self) -> str:
        return self._outputs["WorkspacesTableName"]

    def _secret_box(self, output: str) -> KmsSecretBox:
        return KmsSecretBox(self._clients.kms(), key_arn=self._outputs[output], clock=self._clock)
