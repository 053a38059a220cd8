"""The routes of posts."""

from __future__ import annotations

from postbreeze.domain import ids
from postbreeze.domain.errors import (
    AmbiguousTargetsError,
    ContendedError,
    FirstCommentNotRetriableError,
    ForbiddenError,
    NotFoundError,
    NothingToRetryError,
    PlanLimitError,
    PlatformRuleError,
    PostNotCancelableError,
    PostNotEditableError,
    PostNotSchedulableError,
    PreconditionFailedError,
    ValidationError,
    WorkspaceOnHoldError,
)
from postbreeze.domain.post import PostStatus
from postbreeze.http.list_posts import USUAL_LIMIT
from postbreeze.http.openapi.declaring import Errors, Operation, Resource, Success
from postbreeze.http.openapi.errors import KEYED, ONCE, RUNNING, WITH_BODY
from postbreeze.http.openapi.schemas import (
    IDEMPOTENCY_KEY,
    IF_MATCH,
    IN_WORKSPACE,
    POST_ID,
    TARGET_ID,
    Schema,
    a_page,
    choice,
    ref,
)
from postbreeze.http.schemas import CancelBody, FlatPostBody, NestedPostBody, ScheduleBody
from postbreeze.operations.list_posts import MOST_POSTS

_CHANGES: Errors = (
    *KEYED,
    *WITH_BODY,
    *ONCE,
    NotFoundError,
    ForbiddenError,
    ContendedError,
    PreconditionFailedError,
)
"""What every change of a post can end with. A body that a route does not have is looked at, too."""

_ARMING: Errors = (*RUNNING, PlatformRuleError, WorkspaceOnHoldError)
"""What may be published is looked at, and where."""

_CHANGED = Success(
    description="The post as it now is",
    schema=ref("Post"),
    headers=("ETag", "Idempotency-Replayed"),
)
_DRAFT: Schema = {
    "content": "Our spring sale begins.",
    "platforms": [{"accountId": f"{ids.ACCOUNT}_01JZ8N4Q2V6X0T3R5W7Y9ABCDE"}],
    "scheduledFor": "2026-06-15T09:00:00Z",
    "timezone": "Europe/Berlin",
}
_MOMENT: Schema = {"scheduledFor": "2026-06-15T09:00:00Z"}

_CREATE = Operation(
    method="post",
    path="/posts",
    name="createPost",
    summary="Create a post",
    description=(
        "Takes the flat shape (`platforms`) or the nested one (`targets`). With a time the"
        " post is scheduled, without one it is a draft; a client reviewer's waits for"
        " approval. All accounts must be active and of one workspace."
    ),
    parameters=(IDEMPOTENCY_KEY,),
    bodies=(FlatPostBody, NestedPostBody),
    example=_DRAFT,
    answers=(
        Success(
            status=201,
            description="The post",
            schema=ref("Post"),
            headers=("ETag", "Location", "Idempotency-Replayed"),
        ),
    ),
    errors=(
        *KEYED,
        *WITH_BODY,
        *ONCE,
        *_ARMING,
        NotFoundError,
        AmbiguousTargetsError,
        ContendedError,
        PlanLimitError,
    ),
)

_LIST = Operation(
    method="get",
    path="/posts",
    name="listPosts",
    summary="List posts",
    description=(
        "Upcoming scheduled posts come first, soonest first; then all others, newest first. A post"
        " that is there throughout a listing is listed once, whatever becomes of it meanwhile."
        " A page may have fewer posts than asked for: only without a `Link` it is the last."
    ),
    parameters=(
        IN_WORKSPACE,
        {
            "name": "status",
            "in": "query",
            "description": "Posts with this status only.",
            "schema": choice(PostStatus),
        },
        *a_page(usual=USUAL_LIMIT, most=MOST_POSTS, bound_to="workspaceId and status"),
    ),
    answers=(
        Success(
            description="A page of posts",
            schema={"type": "array", "items": ref("Post"), "maxItems": MOST_POSTS},
            headers=("Link",),
        ),
    ),
    errors=(*KEYED, ValidationError, ForbiddenError, NotFoundError),
)

_READ = Operation(
    method="get",
    path="/posts/{postId}",
    name="getPost",
    summary="Read a post",
    parameters=(POST_ID,),
    answers=(Success(description="The post", schema=ref("Post"), headers=("ETag",)),),
    errors=(*KEYED, ValidationError, NotFoundError),
)

_EDIT = Operation(
    method="patch",
    path="/posts/{postId}",
    name="editPost",
    summary="Edit a post",
    description=(
        "Takes what creating one takes, and replaces targets and media wholesale. A scheduled post"
        " is armed anew, and nothing of it goes out with its old content. For owners, admins and"
        " editors; in the states DRAFT, NEEDS_APPROVAL, SCHEDULED, FAILED and CANCELED. Refused as"
        " not schedulable where all that it lists has been published."
    ),
    parameters=(POST_ID, IF_MATCH, IDEMPOTENCY_KEY),
    bodies=(FlatPostBody, NestedPostBody),
    example=_DRAFT,
    answers=(_CHANGED,),
    errors=(
        *_CHANGES,
        *_ARMING,
        AmbiguousTargetsError,
        PostNotEditableError,
        PostNotSchedulableError,
    ),
)

_DELETE = Operation(
    method="delete",
    path="/posts/{postId}",
    name="deletePost",
    summary="Delete a post",
    description=(
        "What of it waits to be published is cancelled first, with the same promise as a cancel."
        " Afterwards there is no such post. For owners, admins and editors."
    ),
    parameters=(POST_ID, IF_MATCH, IDEMPOTENCY_KEY),
    answers=(
        Success(
            description="The post as it was left",
            schema=ref("DeletedPost"),
            headers=("ETag", "Idempotency-Replayed"),
        ),
    ),
    errors=_CHANGES,
)

_CANCEL = Operation(
    method="post",
    path="/posts/{postId}/cancel",
    name="cancelPost",
    summary="Cancel a post, or chosen targets of it",
    description=(
        "Once this has answered 200, no target whose outcome is `canceled` is ever published,"
        " and `post.cancelled` reaches every subscribed endpoint at least once. Cancelling a"
        " post that is canceled answers 200 with the same post and fires nothing. For owners,"
        " admins and editors."
    ),
    parameters=(
        POST_ID,
        {
            "name": "dryRun",
            "in": "query",
            "description": "With `true` the answer is the same, and nothing is changed.",
            "schema": {"type": "boolean", "default": False},
        },
        IF_MATCH,
        IDEMPOTENCY_KEY,
    ),
    bodies=(CancelBody,),
    needs_body=False,
    example={"reason": "Wrong picture."},
    answers=(
        Success(
            description="The post as it now is",
            schema=ref("CanceledPost"),
            headers=("ETag", "Idempotency-Replayed"),
        ),
    ),
    errors=(*_CHANGES, *RUNNING, PostNotCancelableError),
)

_SCHEDULE = Operation(
    method="post",
    path="/posts/{postId}/schedule",
    name="schedulePost",
    summary="Schedule a post",
    description=(
        "In the states DRAFT, FAILED and CANCELED. What is published already stays as it is. For"
        " owners, admins and editors."
    ),
    parameters=(POST_ID, IF_MATCH, IDEMPOTENCY_KEY),
    bodies=(ScheduleBody,),
    example=_MOMENT,
    answers=(_CHANGED,),
    errors=(*_CHANGES, *_ARMING, PostNotSchedulableError),
)

_RESCHEDULE = Operation(
    method="post",
    path="/posts/{postId}/reschedule",
    name="reschedulePost",
    summary="Schedule a post, or move it to another time",
    description=(
        "As scheduling, and in the state SCHEDULED too: nothing goes out at the old time any more."
    ),
    parameters=(POST_ID, IF_MATCH, IDEMPOTENCY_KEY),
    bodies=(ScheduleBody,),
    example=_MOMENT,
    answers=(_CHANGED,),
    errors=(*_CHANGES, *_ARMING, PostNotSchedulableError),
)

_RETRY = Operation(
    method="post",
    path="/posts/{postId}/retry",
    name="retryPost",
    summary="Publish again what has failed",
    description=(
        "The failed targets are published at once, no other is touched. For owners, admins and"
        " editors."
    ),
    parameters=(POST_ID, IF_MATCH, IDEMPOTENCY_KEY),
    answers=(_CHANGED,),
    errors=(*_CHANGES, NothingToRetryError, WorkspaceOnHoldError),
)

_APPROVE = Operation(
    method="post",
    path="/posts/{postId}/approve",
    name="approvePost",
    summary="Approve a post that waits for it",
    description=(
        "It is scheduled, or becomes a draft if its time has passed: nothing is published by"
        " surprise. For owners and admins."
    ),
    parameters=(POST_ID, IF_MATCH, IDEMPOTENCY_KEY),
    answers=(_CHANGED,),
    errors=(*_CHANGES, *_ARMING, PostNotSchedulableError),
)

_RETRY_FIRST_COMMENT = Operation(
    method="post",
    path="/posts/{postId}/targets/{targetId}/retry-first-comment",
    name="retryFirstComment",
    summary="Make a first comment that could not be made",
    description=(
        "For a published target whose first comment failed; not again within 30 seconds. For"
        " owners, admins and editors."
    ),
    parameters=(POST_ID, TARGET_ID, IF_MATCH, IDEMPOTENCY_KEY),
    answers=(_CHANGED,),
    errors=(*_CHANGES, *RUNNING, FirstCommentNotRetriableError),
)

RESOURCE = Resource(
    tag="posts",
    description="Posts and their targets.",
    operations=(
        _CREATE,
        _LIST,
        _READ,
        _EDIT,
        _DELETE,
        _CANCEL,
        _SCHEDULE,
        _RESCHEDULE,
        _RETRY,
        _APPROVE,
        _RETRY_FIRST_COMMENT,
    ),
)
