"""What the environment tells each function, read once.

A field's name in upper case is its variable's name. Each function has its own class, so that it is
given, and needs, nothing that it does not use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

Kind = TypeVar("Kind", bound="CommonSettings")


class ConfigurationError(Exception):
    """The environment lacks something; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonSettings:
    """What every function is told."""

    stage: str
    powertools_service_name: str
    powertools_metrics_namespace: str
    powertools_log_level: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DocsApiSettings(CommonSettings):
    """Settings of docs_api, which has no data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(CommonSettings):
    """What every function that has to do with posts is told."""

    posts_table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPostSettings(Settings):
    """Settings of cancel_post."""

    workspaces_table: str
    events_topic_arn: str
    schedule_group: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PostsApiSettings(CancelPostSettings):
    """Settings of posts_api, which also makes schedules, retries, and looks at media."""

    schedule_role_arn: str
    start_publish_arn: str
    schedule_dlq_arn: str
    publish_queue_url: str
    media_table: str
    media_bucket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspacesApiSettings(CancelPostSettings):
    """Settings of workspaces_api, which cancels what a disconnected account has scheduled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaApiSettings(Settings):
    """Settings of media_api."""

    workspaces_table: str
    media_table: str
    media_bucket: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhooksApiSettings(Settings):
    """Settings of webhooks_api."""

    workspaces_table: str
    webhooks_table: str
    webhook_secrets_key_arn: str
    delivery_queue_url: str
    late_delivery_queue_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPublishSettings(Settings):
    """Settings of start_publish."""

    publish_queue_url: str
    events_topic_arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishTargetSettings(Settings):
    """Settings of publish_target."""

    workspaces_table: str
    account_secrets_key_arn: str
    publish_queue_url: str
    events_topic_arn: str
    media_bucket: str
    bluesky_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FanOutEventSettings(Settings):
    """Settings of fan_out_event."""

    webhooks_table: str
    delivery_queue_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverWebhookSettings(FanOutEventSettings):
    """Settings of deliver_webhook, which also opens secrets."""

    late_delivery_queue_url: str
    webhook_secrets_key_arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileSettings(Settings):
    """Settings of reconcile."""

    webhooks_table: str
    events_topic_arn: str
    fan_out_queue_url: str
    publish_queue_url: str
    delivery_queue_url: str
    late_delivery_queue_url: str
    schedule_group: str
    schedule_role_arn: str
    start_publish_arn: str
    schedule_dlq_arn: str


def read(kind: type[Kind], environ: Mapping[str, str]) -> Kind:
    """Read one function's settings.

    Raises:
        ConfigurationError: Variables are missing or empty; all of them are named.
    """
    names = {field.name: field.name.upper() for field in fields(kind)}
    missing = sorted(name for name in names.values() if not environ.get(name))
    if missing:
        raise ConfigurationError(f"not set in the environment: {', '.join(missing)}")
    return kind(**{field: environ[name] for field, name in names.items()})
