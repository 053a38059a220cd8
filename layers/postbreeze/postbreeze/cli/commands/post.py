"""``postbreeze post``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from postbreeze.cli.deployment import Operator
from postbreeze.cli.output import Fields, Shown, Table
from postbreeze.cli.verbs import command
from postbreeze.domain.documents import optional_timestamp, post_document, timestamp
from postbreeze.domain.events import Event
from postbreeze.domain.post import Post, Target
from postbreeze.operations.administer.posts import PostView

app = typer.Typer(help="Posts, as they stand and as they came to it.")


@command(app, "show")
def show(
    operator: Operator, post: Annotated[str, typer.Argument(metavar="POST", help="post_…")]
) -> Shown:
    """Show a post with its targets, its timers and its timeline; deleted ones too."""
    view = operator.posts.show(post)
    return Shown(
        document={
            **post_document(view.post),
            "schedules": view.schedules,
            "timeline": [_event_document(event) for event in view.timeline],
        },
        blocks=[
            Fields(values=_fields(view)),
            Table(
                title="Targets",
                headings=("ID", "PLATFORM", "STATUS", "ATTEMPTS", "PUBLISHED AT", "RESULT"),
                rows=[_target_row(target) for target in view.post.targets],
            ),
            Table(
                title="Timeline",
                headings=("AT", "WHAT", "WHO", "VERSIONS", "WHY", "TOLD", "EVENT"),
                rows=[_event_row(event) for event in view.timeline],
                empty="Nothing is known any more.",
            ),
        ],
    )


def _fields(view: PostView) -> dict[str, object]:
    post: Post = view.post
    return {
        "id": post.id,
        "workspaceId": post.workspace_id,
        "status": post.status.value,
        "version": post.version,
        "caption": post.caption,
        "scheduledAt": optional_timestamp(post.scheduled_at),
        "workflowId": post.workflow_id,
        "pendingWorkflowId": post.pending_workflow_id,
        "canceledAt": optional_timestamp(post.canceled_at),
        "cancelReason": post.cancel_reason,
        "deletedAt": optional_timestamp(post.deleted_at),
        "attentionAt": optional_timestamp(post.attention_at),
        "schedules": ", ".join(
            f"{name}: {'set' if is_set else 'not there'}" for name, is_set in view.schedules.items()
        )
        or None,
    }


def _target_row(target: Target) -> tuple[object, ...]:
    return (
        target.id,
        target.platform.value,
        target.status.value,
        target.attempt_count,
        optional_timestamp(target.published_at),
        target.external_url or target.error_code,
    )


def _event_row(event: Event) -> tuple[object, ...]:
    return (
        timestamp(event.occurred_at),
        event.type.value,
        event.actor,
        f"{event.version_before} to {event.version_after}",
        event.reason,
        event.pending_since is None,
        event.id,
    )


def _event_document(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "event": event.type.value,
        "occurredAt": timestamp(event.occurred_at),
        "actor": event.actor,
        "reason": event.reason,
        "versionBefore": event.version_before,
        "versionAfter": event.version_after,
        "pendingSince": optional_timestamp(event.pending_since),
    }
