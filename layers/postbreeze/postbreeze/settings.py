"""What the environment tells each function, read once.

A field's name in upper case is its variable's name. Each function has its own class, so that it is
given, and needs, nothing that it does not use. They are no data classes: to make twelve of those
takes longer than to read any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import get_annotations


class ConfigurationError(Exception):
    """The environment lacks something; the message names it."""


class CommonSettings:
    """What every function is told."""

    stage: str
    powertools_service_name: str
    powertools_metrics_namespace: str
    powertools_log_level: str

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read them.

        Raises:
            ConfigurationError: Variables are missing or empty; all of them are named.
        """
        names = variables(type(self))
        missing = sorted(name for name in names.values() if not environ.get(name))
        if missing:
            raise ConfigurationError(f"not set in the environment: {', '.join(missing)}")
        vars(self).update({field: environ[name] for field, name in names.items()})


class DocsApiSettings(CommonSettings):
    """Settings of docs_api, which has no data."""


class Settings(CommonSettings):
    """What every function that has to do with posts is told."""

    posts_table: str


class CancelPostSettings(Settings):
    """Settings of cancel_post."""

    workspaces_table: str
    events_topic_arn: str
    schedule_group: str


class PostsApiSettings(CancelPostSettings):
    """Settings of posts_api, which also makes schedules, retries, and looks at media."""

    schedule_role_arn: str
    start_publish_arn: str
    schedule_dlq_arn: str
    publish_queue_url: str
    media_table: str
    media_bucket: str


class WorkspacesApiSettings(CancelPostSettings):
    """Settings of workspaces_api, which cancels what a disconnected account has scheduled."""


class MediaApiSettings(Settings):
    """Settings of media_api."""

    workspaces_table: str
    media_table: str
    media_bucket: str


class WebhooksApiSettings(Settings):
    """Settings of webhooks_api."""

    workspaces_table: str
    webhooks_table: str
    webhook_secrets_key_arn: str
    delivery_queue_url: str
    late_delivery_queue_url: str


class StartPublishSettings(Settings):
    """Settings of start_publish."""

    publish_queue_url: str
    events_topic_arn: str


class PublishTargetSettings(Settings):
    """Settings of publish_target."""

    workspaces_table: str
    account_secrets_key_arn: str
    publish_queue_url: str
    events_topic_arn: str
    media_bucket: str
    bluesky_url: str


class FanOutEventSettings(Settings):
    """Settings of fan_out_event."""

    webhooks_table: str
    delivery_queue_url: str


class DeliverWebhookSettings(FanOutEventSettings):
    """Settings of deliver_webhook, which also opens secrets."""

    late_delivery_queue_url: str
    webhook_secrets_key_arn: str


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


def variables(kind: type[CommonSettings]) -> dict[str, str]:
    """Return the fields of a class, each with the name of its variable."""
    return {field: field.upper() for each in kind.__mro__ for field in get_annotations(each)}
