"""The state machine of a post and its targets.

::

              create ──▶ DRAFT    NEEDS_APPROVAL    SCHEDULED (pending, then armed) ──▶ PUBLISHING
                           ▲ ▲         │ │              ▲                                 │    ▲
                           │ └ approve ┘ └── approve ───┤                             conclude │
                           │  (too late)                │                                 ▼    │
                           │                            │                 PUBLISHED       │    │
                           │                            │                 PARTIALLY_PUBLISHED ─┤
                           │                            │                 FAILED ──────────────┘
                           │                            │                    │               retry
                           └── edit ── CANCELED, FAILED ┴─ schedule ─────────┘
                                          ▲
                                          └── cancel ── NEEDS_APPROVAL, SCHEDULED, PUBLISHING,
                                                        PARTIALLY_PUBLISHED

    target:  DRAFT · SCHEDULED ── claim ──▶ PUBLISHING ── settle ──▶ PUBLISHED | FAILED
                        ▲                       │
                        └────── released ───────┘        any but PUBLISHED, PUBLISHING,
                          (nothing was sent)             SKIPPED ── cancel ──▶ CANCELED

A PUBLISHED target never changes again, its first comment aside; whatever is scheduled, edited or
retried later leaves it out, and one that is in flight too.

Arming is two-phase: the post names a pending workflow, the schedule is made, the workflow is
committed to the post and to every target. A fire, and each message it leads to, carries its
workflow's name and is a no-op unless that is the one in force: from the moment a post is staged
anew, cancelled or deleted, no older one is. So old schedules may be removed early, late or never.
A claim and a cancel both write the target's row on the condition that it is as they read it, so
exactly one of them happens.

Every function here is pure: it takes the post as read and the present moment, and returns a
``Change``, or None where there is nothing to do, or raises a refusal.
"""

from postbreeze.domain.media import MOST_MEDIA
from postbreeze.domain.post import MOST_TARGETS
from postbreeze.domain.transitions.arming import (
    approve,
    commit_arming,
    rearm_pending,
    reschedule,
    schedule,
)
from postbreeze.domain.transitions.basics import (
    ARMING_GRACE,
    COMMENT_COOLDOWN,
    EARLY_FIRE,
    FIRST_COMMENT_PENDING,
    FURTHEST_AHEAD,
    LEASE,
    MISSED_AFTER,
    NOT_COMPLETED,
    OUTCOME_UNKNOWN,
    OVERDUE_AFTER,
    SERVICE,
    fault_of_time,
    is_overdue,
)
from postbreeze.domain.transitions.cancelling import (
    Cancellation,
    Deletion,
    Outcome,
    Outcomes,
    cancel,
    delete,
)
from postbreeze.domain.transitions.concluding import derive
from postbreeze.domain.transitions.creating import check_editable, create, edit
from postbreeze.domain.transitions.publishing import (
    LONGEST_GAP,
    MISSED_SCHEDULE,
    MOST_ATTEMPTS,
    RETRY_GAPS,
    Failed,
    Published,
    Released,
    Result,
    claim,
    conclude,
    expired,
    holds,
    is_claimable,
    missed,
    postponed,
    retry,
    retry_first_comment,
    settle,
    settle_first_comment,
    stalled,
    start,
)

__all__ = [
    "ARMING_GRACE",
    "COMMENT_COOLDOWN",
    "EARLY_FIRE",
    "FIRST_COMMENT_PENDING",
    "FURTHEST_AHEAD",
    "LEASE",
    "LONGEST_GAP",
    "MISSED_AFTER",
    "MISSED_SCHEDULE",
    "MOST_ATTEMPTS",
    "MOST_MEDIA",
    "MOST_TARGETS",
    "NOT_COMPLETED",
    "OUTCOME_UNKNOWN",
    "OVERDUE_AFTER",
    "RETRY_GAPS",
    "SERVICE",
    "Cancellation",
    "Deletion",
    "Failed",
    "Outcome",
    "Outcomes",
    "Published",
    "Released",
    "Result",
    "approve",
    "cancel",
    "check_editable",
    "claim",
    "commit_arming",
    "conclude",
    "create",
    "delete",
    "derive",
    "edit",
    "expired",
    "fault_of_time",
    "holds",
    "is_claimable",
    "is_overdue",
    "missed",
    "postponed",
    "rearm_pending",
    "reschedule",
    "retry",
    "retry_first_comment",
    "schedule",
    "settle",
    "settle_first_comment",
    "stalled",
    "start",
]
