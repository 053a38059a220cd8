"""Publishing one target, and finding out what became of a claim that ran out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postbreeze.domain import lifecycle
from postbreeze.domain.errors import (
    LostRaceError,
    PlatformOutcomeUnknownError,
    PlatformRejectedError,
    PlatformRetriableError,
    UnavailableError,
)
from postbreeze.domain.post import (
    AccountStatus,
    MediaDraft,
    Post,
    PostStatus,
    TargetDraft,
    TargetStatus,
)
from postbreeze.operations.platform_port import (
    Attachment,
    ExternalPost,
    PreparedPost,
    Publication,
)
from postbreeze.operations.publish import ASKED_AT_MOST, sealing_context
from tests.support.builders import an_account
from tests.support.core import A_SECOND, AN_HOUR, Core, numbered
from tests.support.library import Desk
from tests.support.platforms import Accident, FakePlatform

BUSY = PlatformRetriableError("BUSY", "Busy.", retry_after=60)
NO = PlatformRejectedError("NO", "No.")


@pytest.fixture
def core() -> Core:
    return Core()


def started(core: Core, targets: int = 1, **wanted: Any) -> Post:
    """Create a post whose publishing has begun and whose messages lie in the queue."""
    post = core.created(targets, **wanted)
    core.advance(AN_HOUR)
    core.fire_due()
    return core.post(post.id)


def publish(core: Core, post: Post, index: int = 0) -> str:
    return core.publisher.publish(post.id, post.targets[index].id, f"{post.id}-1")


def resolve(core: Core, post: Post, index: int = 0) -> str:
    target = core.post(post.id).targets[index]
    return core.publisher.resolve(post.id, target.id, target.claim_id or "none")


def settled_with(core: Core) -> list[object]:
    """Return the codes that the log has of settlements."""
    notes = core.telemetry.notes
    return [note.fields["code"] for note in notes if note.message == "target settled"]


def target_of(core: Core, post: Post, index: int = 0) -> Any:
    return core.post(post.id).targets[index]


def test_a_target_is_published_and_its_post_concluded(core: Core) -> None:
    # Given
    post = started(core)
    calls = core.recorded()
    # When / Then
    assert publish(core, post) == "published"
    target = target_of(core, post)
    assert target.status is TargetStatus.PUBLISHED
    assert target.external_url.startswith("https://fake.example/")
    assert (target.attempt_count, target.first_comment_error) == (1, None)
    assert core.post(post.id).status == "PUBLISHED"
    assert core.telemetry.counts["TargetPublished"] == 1
    assert calls == [
        "posts.read",
        "directory.account",
        "secrets.open",
        "platform.prepare",
        "posts.commit",
        "directory.account",
        "platform.publish",
        "posts.commit",
        "posts.read",
        "posts.commit",
        "bus.announce",
    ], "only a look at the account lies between the claim and the platform"


def test_what_the_platform_is_told(core: Core) -> None:
    # Given
    draft = TargetDraft(
        social_account_id=numbered("soc", 20),
        caption_override="Only here",
        first_comment="First!",
        platform_options={"langs": ["de"]},
    )
    media = (MediaDraft(url="https://a", alt_text="A"), MediaDraft(url="https://b"))
    post = started(core, targets_of=(draft,), media=media)
    # When
    publish(core, post)
    # Then
    seen = core.watched.publications[-1]
    assert (seen.target_id, seen.account_id) == (post.targets[0].id, numbered("soc", 20))
    assert (seen.text, seen.external_account_id) == ("Only here", "did:plc:20")
    assert seen.attachments == (
        Attachment(url="https://a", alt_text="A"),
        Attachment(url="https://b"),
    )
    assert seen.options == {"langs": ["de"]}
    assert seen.created_at == core.clock.at


@pytest.mark.parametrize(
    ("caption", "override", "text"),
    [("All", None, "All"), ("All", "", ""), (None, None, ""), (None, "One", "One")],
)
def test_an_override_replaces_the_caption_even_if_it_is_empty(
    core: Core, caption: str | None, override: str | None, text: str
) -> None:
    # Given
    draft = TargetDraft(social_account_id=numbered("soc", 20), caption_override=override)
    picture = MediaDraft(url="https://a", kind="IMAGE")
    post = started(core, targets_of=(draft,), caption=caption, media=(picture,))
    # When
    publish(core, post)
    # Then
    assert core.watched.publications[-1].text == text


def test_a_target_can_take_some_of_the_posts_media_only(core: Core) -> None:
    # Given
    post = started(core, media=(MediaDraft(url="https://a"), MediaDraft(url="https://b")))
    wanted = replace(post.targets[0], media_ids=(post.media[1].media_asset_id,), revision=9)
    core.posts._targets[wanted.id] = wanted
    # When
    publish(core, post)
    # Then
    assert [each.url for each in core.watched.publications[-1].attachments] == ["https://b"]


def test_assets_come_from_the_storage_in_the_targets_own_order(core: Core) -> None:
    # Given
    desk = Desk(core)
    assets = [desk.ready() for _ in range(3)]
    draft = TargetDraft(
        social_account_id=numbered("soc", 20), media_ids=(assets[2].id, assets[0].id)
    )
    named = tuple(asset.id for asset in assets)
    post = started(core, targets_of=(draft,), media_ids=named, media_alt_text={named[0]: "A"})
    # When
    publish(core, post)
    # Then
    assert core.watched.publications[-1].attachments == (
        Attachment(storage_key=assets[2].storage_key, content_type="image/png", alt_text="Möwe"),
        Attachment(storage_key=assets[0].storage_key, content_type="image/png", alt_text="A"),
    )


def test_an_account_without_credentials_is_asked_without(core: Core) -> None:
    # Given
    post = started(core)
    account = core.directory._accounts[numbered("soc", 20)]
    core.directory._accounts[account.id] = replace(account, sealed_credentials=None)
    core.platform.passwords.clear()
    # When / Then
    assert publish(core, post) == "published"


# What is no longer to be published


def test_an_old_message_publishes_nothing(core: Core) -> None:
    # Given
    post = started(core)
    # When / Then
    assert core.publisher.publish(post.id, post.targets[0].id, f"{post.id}-0") == "nothing to do"
    assert core.publisher.publish(post.id, "tgt_x", f"{post.id}-1") == "nothing to do"
    assert core.publisher.publish("post_x", "tgt_x", "post_x-1") == "nothing to do"
    publish(core, post)
    assert publish(core, post) == "nothing to do"
    assert core.platform.attempts.total() == 1


def test_a_cancelled_target_is_not_even_prepared(core: Core) -> None:
    # Given
    post = started(core, 2)
    core.cancel(post.id, target_ids=(post.targets[0].id,))
    # When / Then
    assert publish(core, post) == "nothing to do"
    assert core.platform.prepares.total() == 0


def test_a_cancel_while_the_platform_is_being_prepared_wins(core: Core) -> None:
    # Given
    post = started(core, 2)
    core.before("posts.commit", lambda: core.cancel(post.id))
    # When / Then
    assert publish(core, post) == "not claimed"
    assert core.platform.attempts.total() == 0
    core.drain()
    core.check()


def test_a_post_that_vanishes_while_it_is_being_claimed_is_left_alone(core: Core) -> None:
    # Given
    post = started(core)
    core.fails("posts.commit", LostRaceError())
    core.before("posts.commit", lambda: core.posts._posts.pop(post.id))
    # When / Then
    assert publish(core, post) == "not claimed"


def test_a_target_that_is_an_hour_late_fails_and_says_so(core: Core) -> None:
    # Given
    post = started(core)
    core.advance(AN_HOUR + A_SECOND)
    # When / Then
    calls = core.recorded()
    assert publish(core, post) == "not claimed"
    assert target_of(core, post).error_code == "MISSED_SCHEDULE"
    assert core.events(post.id)[-1] == "post.failed"
    assert "bus.announce" in calls
    assert core.platform.attempts.total() == 0


# The claim's own answer


def test_a_claim_whose_answer_is_lost_is_looked_up_and_used(core: Core) -> None:
    # Given
    post = started(core)
    core.fails_after("posts.commit", UnavailableError())
    # When / Then
    assert publish(core, post) == "published"
    assert target_of(core, post).attempt_count == 1


def test_a_claim_that_did_not_arrive_is_made_by_the_next_message(core: Core) -> None:
    # Given
    post = started(core)
    core.fails("posts.commit", UnavailableError())
    # When / Then
    with pytest.raises(UnavailableError):
        publish(core, post)
    assert core.platform.attempts.total() == 0
    assert publish(core, post) == "published"


def test_a_claim_on_a_post_that_is_gone_is_not_guessed_at(core: Core) -> None:
    # Given
    post = started(core)
    core.fails("posts.commit", UnavailableError())
    core.before("posts.commit", lambda: core.posts._posts.pop(post.id))
    # When / Then
    with pytest.raises(UnavailableError):
        publish(core, post)


# Nothing was sent


@pytest.mark.parametrize("where", ["prepare", "publish"])
def test_a_target_for_which_nothing_was_sent_waits_and_is_tried_again(
    core: Core, where: str
) -> None:
    # Given
    post = started(core)
    if where == "prepare":
        core.platform.prepare_errors.append(BUSY)
    else:
        core.platform.publish_accidents.append(Accident.UNREACHABLE)
    # When / Then
    assert publish(core, post) == "released"
    target = target_of(core, post)
    assert target.status is TargetStatus.SCHEDULED
    gap = 60 if where == "prepare" else 5
    assert target.next_attempt_at == core.clock.at + gap * A_SECOND
    assert core.publish_queue.sent[-1].delay_seconds == gap  # type: ignore[union-attr]  # a publish
    core.advance(gap * A_SECOND)
    assert publish(core, post) == "published"
    assert target_of(core, post).attempt_count == 2


def test_a_second_message_before_its_time_uses_up_no_attempt(core: Core) -> None:
    # Given
    post = started(core)
    core.platform.prepare_errors.append(BUSY)
    publish(core, post)
    core.publish_queue.sent.clear()
    core.advance(20 * A_SECOND)
    # When / Then
    assert publish(core, post) == "too early"
    assert target_of(core, post).attempt_count == 1
    [again] = core.publish_queue.sent
    assert again.delay_seconds == 40  # type: ignore[union-attr]  # a message to publish
    assert core.platform.prepares.total() == 1


def test_a_cancel_between_two_attempts_stops_the_target(core: Core) -> None:
    # Given
    post = started(core)
    core.platform.prepare_errors.append(BUSY)
    publish(core, post)
    # When
    core.cancel(post.id)
    # Then
    core.drain()
    core.check()
    assert core.watched.sent == []


def test_after_five_attempts_it_fails(core: Core) -> None:
    # Given
    post = started(core)
    core.platform.reachable = False
    # When
    gaps = []
    target = target_of(core, post)
    for _ in range(5):
        assert publish(core, post) == "released"
        target = target_of(core, post)
        if target.next_attempt_at is not None:
            gaps.append((target.next_attempt_at - core.clock.at).seconds)
            core.advance(gaps[-1] * A_SECOND)
    # Then
    assert gaps == [5, 30, 120, 300]
    assert (target.status, target.error_code) == (TargetStatus.FAILED, "PLATFORM_UNREACHABLE")
    assert target.attempt_count == 5
    assert core.post(post.id).status == "FAILED"


def test_a_release_whose_message_was_not_sent_is_delivered_again_and_waits(core: Core) -> None:
    # Given
    post = started(core)
    core.platform.prepare_errors.append(BUSY)
    core.fails("publish_queue.send", UnavailableError())
    with pytest.raises(UnavailableError):
        publish(core, post)
    # When / Then
    assert publish(core, post) == "too early"
    assert core.publish_queue.sent[-1].delay_seconds == 60  # type: ignore[union-attr]  # a publish
    core.drain()
    core.check()


# The platform says no


@pytest.mark.parametrize("where", ["prepare", "publish"])
def test_a_refusal_is_final(core: Core, where: str) -> None:
    # Given
    post = started(core)
    if where == "prepare":
        core.platform.prepare_errors.append(NO)
    else:
        core.platform.publish_accidents.append(Accident.REFUSED)
    # When / Then
    assert publish(core, post) == "failed"
    target = target_of(core, post)
    assert target.status is TargetStatus.FAILED
    assert target.error_code == ("NO" if where == "prepare" else "PLATFORM_REJECTED")
    assert core.telemetry.counts["TargetFailed"] == 1


@pytest.mark.parametrize("status", [*set(AccountStatus) - {AccountStatus.ACTIVE}, None])
def test_an_account_that_is_not_connected_any_more_fails_the_target(
    core: Core, status: AccountStatus | None
) -> None:
    # Given
    post = started(core)
    account = core.directory._accounts.pop(numbered("soc", 20))
    if status is not None:
        core.directory._accounts[account.id] = replace(account, status=status)
    # When / Then
    assert publish(core, post) == "failed"
    assert target_of(core, post).error_code == "ACCOUNT_NOT_ACTIVE"
    assert core.platform.prepares.total() == 0


def test_credentials_that_cannot_be_read_fail_the_target_and_warn(core: Core) -> None:
    # Given
    post = started(core)
    account = core.directory._accounts[numbered("soc", 20)]
    core.directory._accounts[account.id] = replace(
        account, sealed_credentials=core.secrets.seal("{}", {"another": "account"})
    )
    # When / Then
    assert publish(core, post) == "failed"
    assert target_of(core, post).error_code == "CREDENTIALS_UNREADABLE"
    assert core.telemetry.warnings[0].message == "credentials unreadable"


# Nobody knows


def test_a_post_that_is_found_after_a_lost_answer_is_published(core: Core) -> None:
    # Given
    post = started(core)
    core.platform.publish_accidents.append(Accident.LOST_ANSWER)
    # When / Then
    assert publish(core, post) == "published"
    assert core.telemetry.counts["PublishAnswerLost"] == 1
    assert core.platform.attempts.total() == 1


@pytest.mark.parametrize("cannot_ask", [False, True])
def test_a_post_that_is_not_found_at_once_is_left_to_be_asked_about(
    core: Core, cannot_ask: bool
) -> None:
    # Given
    post = started(core)
    core.platform.publish_accidents.append(Accident.LOST_REQUEST)
    if cannot_ask:
        core.platform.find_errors.append(BUSY)
    # When / Then
    assert publish(core, post) == "outcome not known yet"
    assert target_of(core, post).status is TargetStatus.PUBLISHING
    assert publish(core, post) == "nothing to do"
    assert core.platform.attempts.total() == 1


def test_a_platform_that_cannot_tell_leaves_it_to_a_person(core: Core) -> None:
    # Given
    post = started(core)
    core.platform.publish_accidents.append(Accident.LOST_REQUEST)
    core.platform.find_errors.append(NO)
    # When / Then
    assert publish(core, post) == "failed"
    assert target_of(core, post).error_code == "PUBLISH_OUTCOME_UNKNOWN"
    core.drain()
    core.check()
    assert core.platform.attempts.total() == 1


def unanswered(core: Core, accident: Accident = Accident.LOST_REQUEST) -> Post:
    """Leave a claim that has run out: the platform's answer was lost and it could not be asked."""
    post = started(core)
    core.platform.publish_accidents.append(accident)
    core.platform.find_errors.append(BUSY)
    publish(core, post)
    core.advance(lifecycle.LEASE + A_SECOND)
    return post


def test_a_claim_is_not_asked_about_while_it_may_still_be_at_work(core: Core) -> None:
    # Given
    post = started(core)
    core.platform.publish_accidents.append(Accident.LOST_REQUEST)
    publish(core, post)
    core.advance(lifecycle.LEASE)
    # When / Then
    assert resolve(core, post) == "nothing to do"
    core.advance(A_SECOND)
    assert resolve(core, post) == "failed"


def test_only_the_claim_that_ran_out_is_asked_about(core: Core) -> None:
    # Given
    post = unanswered(core)
    target = target_of(core, post)
    # When / Then
    assert core.publisher.resolve(post.id, target.id, "another") == "nothing to do"
    assert core.publisher.resolve(post.id, "tgt_x", target.claim_id) == "nothing to do"
    assert core.publisher.resolve("post_x", target.id, target.claim_id) == "nothing to do"
    core.posts._targets[target.id] = replace(target, claimed_until=None)
    assert resolve(core, post) == "nothing to do"


def test_what_is_found_later_is_published(core: Core) -> None:
    # Given
    post = unanswered(core, Accident.LOST_ANSWER)
    # When / Then
    assert resolve(core, post) == "published"
    assert settled_with(core) == [None]
    assert core.post(post.id).status == "PUBLISHED"
    assert resolve(core, post) == "nothing to do"


def test_what_is_surely_not_there_has_failed_and_is_not_sent_again(core: Core) -> None:
    # Given
    post = unanswered(core)
    # When / Then
    assert resolve(core, post) == "failed"
    assert target_of(core, post).error_code == "PUBLISH_NOT_COMPLETED"
    assert settled_with(core) == ["PUBLISH_NOT_COMPLETED"]
    core.drain()
    assert core.platform.attempts.total() == 1


def test_a_platform_that_cannot_be_asked_is_asked_again_for_an_hour(core: Core) -> None:
    # Given
    post = unanswered(core)
    core.platform.find_errors.extend([BUSY, BUSY])
    # When / Then
    assert resolve(core, post) == "outcome not known yet"
    core.advance(ASKED_AT_MOST)
    assert resolve(core, post) == "failed"
    assert target_of(core, post).error_code == "PUBLISH_OUTCOME_UNKNOWN"
    assert target_of(core, post).error_message == "Busy."


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("platform.find", ValueError("not JSON")),
        ("secrets.open", UnavailableError("Decrypt: AccessDeniedException")),
        ("directory.account", UnavailableError("GetItem: ThrottlingException")),
    ],
)
def test_whatever_keeps_an_outcome_from_being_found_out_nobody_waits_for_ever(
    core: Core, call: str, error: Exception
) -> None:
    # Given
    post = unanswered(core)
    core.fails(call, error, error)
    # When it is asked about, then until the hour is over the message comes again
    with pytest.raises(type(error)):
        resolve(core, post)
    assert target_of(core, post).status is TargetStatus.PUBLISHING
    core.advance(ASKED_AT_MOST)
    assert resolve(core, post) == "failed"
    # Then
    target = target_of(core, post)
    assert (target.status, target.error_code) == (TargetStatus.FAILED, "PUBLISH_OUTCOME_UNKNOWN")
    assert core.post(post.id).status == "FAILED"
    [warning] = [each for each in core.telemetry.warnings if each.message == "outcome never known"]
    assert warning.fields["error"] == repr(error)
    core.drain()
    core.check()
    assert core.platform.attempts.total() == 1


def test_a_platform_that_will_never_tell_is_asked_once(core: Core) -> None:
    # Given
    post = unanswered(core)
    core.platform.find_errors.append(NO)
    # When / Then
    assert resolve(core, post) == "failed"
    assert target_of(core, post).error_code == "PUBLISH_OUTCOME_UNKNOWN"


def test_an_account_that_is_gone_cannot_be_asked_with(core: Core) -> None:
    # Given
    post = unanswered(core)
    core.directory._accounts.pop(numbered("soc", 20))
    # When / Then
    assert resolve(core, post) == "failed"
    assert target_of(core, post).error_code == "PUBLISH_OUTCOME_UNKNOWN"


def test_a_claim_in_flight_when_its_post_was_cancelled_is_resolved_too(core: Core) -> None:
    # Given
    post = started(core, 2)
    core.platform.publish_accidents.append(Accident.LOST_ANSWER)
    core.platform.find_errors.append(BUSY)
    publish(core, post)
    answer = core.cancel(post.id)
    told = [target["outcome"] for target in answer.body["cancellation"]["targets"]]
    assert told == ["in_flight", "canceled"]
    # When
    core.drain()
    # Then
    core.check()
    ended = core.post(post.id)
    assert ended.status == "CANCELED"
    assert [target.status for target in ended.targets] == ["PUBLISHED", "CANCELED"]


# First comments


def test_a_first_comment_is_added_and_its_mark_removed(core: Core) -> None:
    # Given
    post = started(core, first_comment="First!")
    # When
    publish(core, post)
    # Then
    target = target_of(core, post)
    assert list(core.platform.comments.values()) == ["First!"]
    assert (target.first_comment_error, target.first_comment_attempt) == (None, 1)


@pytest.mark.parametrize("accident", [Accident.REFUSED, Accident.UNREACHABLE, Accident.LOST_ANSWER])
def test_a_first_comment_that_fails_leaves_the_target_published(
    core: Core, accident: Accident
) -> None:
    # Given
    post = started(core, first_comment="First!")
    core.platform.comment_accidents.append(accident)
    # When / Then
    assert publish(core, post) == "published"
    target = target_of(core, post)
    assert target.status is TargetStatus.PUBLISHED
    assert target.first_comment_error is not None
    assert core.post(post.id).status == "PUBLISHED"


def owing_a_comment(core: Core) -> Post:
    """Leave a target published by a process that died before it added the first comment."""
    post = started(core, first_comment="First!")
    core.dies_after(8, lambda: publish(core, post))
    assert target_of(core, post).first_comment_error == "FIRST_COMMENT_PENDING"
    assert core.platform.comments == {}
    return post


def test_a_first_comment_that_a_dead_process_owed_is_added_by_the_message_that_comes_again(
    core: Core,
) -> None:
    # Given
    post = owing_a_comment(core)
    # When
    assert publish(core, post) == "nothing to do"
    # Then
    target = target_of(core, post)
    assert list(core.platform.comments.values()) == ["First!"]
    assert (target.first_comment_error, target.first_comment_attempt) == (None, 1)
    assert core.post(post.id).status == "PUBLISHED"
    # And once more
    calls = core.recorded()
    assert publish(core, post) == "nothing to do"
    assert "platform.comment" not in calls
    core.drain()
    core.check()
    assert core.platform.attempts.total() == 1


def test_a_first_comment_whose_message_never_comes_again_is_made_by_the_reconciler(
    core: Core,
) -> None:
    # Given
    post = owing_a_comment(core)
    core.publish_queue.sent.clear()
    core.waiting.clear()
    # When
    core.drain()
    # Then
    core.check()
    assert target_of(core, post).first_comment_error is None
    assert list(core.platform.comments.values()) == ["First!"]


def test_a_first_comment_is_not_added_by_an_old_message(core: Core) -> None:
    # Given
    post = owing_a_comment(core)
    # When
    core.publisher.publish(post.id, post.targets[0].id, f"{post.id}-0")
    # Then
    assert core.platform.comments == {}


def test_a_deleted_post_gets_no_first_comment(core: Core) -> None:
    # Given
    post = owing_a_comment(core)
    core.delete(post.id)
    # When
    assert publish(core, post) == "nothing to do"
    core.drain()
    # Then
    assert target_of(core, post).first_comment_error == "POST_DELETED"
    assert core.platform.comments == {}
    assert core.post(post.id).attention_at is None


def test_a_first_comment_needs_the_account_still(core: Core) -> None:
    # Given
    post = owing_a_comment(core)
    core.directory._accounts.pop(numbered("soc", 20))
    # When
    assert publish(core, post) == "nothing to do"
    # Then
    target = target_of(core, post)
    assert (target.first_comment_error, target.first_comment_attempt) == ("ACCOUNT_NOT_ACTIVE", 1)
    assert core.post(post.id).status == "PUBLISHED"
    assert core.post(post.id).attention_at is None


def test_a_target_that_its_platform_would_not_take_fails_before_anything_is_sent(
    core: Core,
) -> None:
    # Given a rule that is stricter than when the post was made
    post = started(core)
    core.posts._posts[post.id] = replace(core.posts._posts[post.id], caption="a" * 301)
    # When
    assert publish(core, post) == "failed"
    # Then
    target = target_of(core, post)
    assert (target.status, target.error_code) == (TargetStatus.FAILED, "PLATFORM_RULE_VIOLATED")
    assert target.error_message == "must have at most 300 graphemes for Bluesky, and has 301"
    assert core.platform.prepares.total() == 0


def test_a_first_comment_that_fails_late_says_so_and_is_not_tried_again(core: Core) -> None:
    # Given
    post = owing_a_comment(core)
    core.platform.comment_accidents.append(Accident.REFUSED)
    # When
    publish(core, post)
    publish(core, post)
    # Then
    target = target_of(core, post)
    assert (target.first_comment_error, target.first_comment_attempt) == ("PLATFORM_REJECTED", 1)
    assert core.platform.comments == {}


def test_a_first_comment_follows_a_post_that_was_found_later(core: Core) -> None:
    # Given
    post = started(core, first_comment="First!")
    core.platform.publish_accidents.append(Accident.LOST_ANSWER)
    core.platform.find_errors.append(BUSY)
    publish(core, post)
    core.advance(lifecycle.LEASE + A_SECOND)
    # When / Then
    assert resolve(core, post) == "published"
    assert list(core.platform.comments.values()) == ["First!"]


# Settling


def test_a_settlement_that_came_too_late_changes_nothing(core: Core) -> None:
    # Given a publisher so slow that its claim was resolved before it came back
    post = started(core)

    def resolved_meanwhile() -> None:
        core.advance(lifecycle.LEASE + A_SECOND)
        assert resolve(core, post) == "failed"

    core.before("platform.publish", resolved_meanwhile)
    # When
    publish(core, post)
    # Then
    assert target_of(core, post).error_code == "PUBLISH_NOT_COMPLETED"


def test_a_settlement_whose_answer_is_lost_is_found_done(core: Core) -> None:
    # Given
    post = started(core)
    core.before("platform.publish", lambda: core.fails_after("posts.commit", UnavailableError()))
    with pytest.raises(UnavailableError):
        publish(core, post)
    # When / Then
    assert publish(core, post) == "nothing to do"
    assert core.post(post.id).status == "PUBLISHED"
    assert core.platform.attempts.total() == 1


def test_a_settlement_that_did_not_arrive_is_made_up_for_by_asking(core: Core) -> None:
    # Given
    post = started(core)
    core.before("platform.publish", lambda: core.fails("posts.commit", UnavailableError()))
    with pytest.raises(UnavailableError):
        publish(core, post)
    # When
    core.drain()
    # Then
    core.check()
    assert core.post(post.id).status == "PUBLISHED"
    assert core.platform.attempts.total() == 1


def test_an_unknown_outcome_of_the_preparation_is_final(core: Core) -> None:
    # Given what no platform should raise there: nothing can have been published
    post = started(core)
    core.platform.prepare_errors.append(PlatformOutcomeUnknownError("ODD", "Odd."))
    # When / Then
    assert publish(core, post) == "failed"
    assert target_of(core, post).error_code == "ODD"


def test_the_last_of_several_targets_concludes_the_post(core: Core) -> None:
    # Given
    post = started(core, 3)
    core.platform.publish_accidents.extend([None, Accident.REFUSED])
    # When
    for index in range(3):
        assert core.post(post.id).status == "PUBLISHING"
        publish(core, post, index)
    # Then
    assert core.post(post.id).status == "PARTIALLY_PUBLISHED"
    assert core.events(post.id).count("post.partially_published") == 1
    assert not core.conclude(post.id)


def test_a_conclusion_that_was_not_made_is_made_by_the_next_message(core: Core) -> None:
    # Given
    post = started(core)
    core.dies_after(8, lambda: publish(core, post))
    assert core.post(post.id).status == "PUBLISHING"
    # When / Then
    assert publish(core, post) == "nothing to do"
    assert core.post(post.id).status == "PUBLISHED"


def test_nothing_is_concluded_of_a_post_that_is_not_there(core: Core) -> None:
    assert not core.conclude("post_x")


def test_a_wait_that_is_not_whole_seconds_is_rounded_up(core: Core) -> None:
    # Given
    post = started(core)
    core.platform.prepare_errors.append(BUSY)
    publish(core, post)
    core.advance(timedelta(seconds=59, milliseconds=999))
    core.publish_queue.sent.clear()
    # When / Then
    assert publish(core, post) == "too early"
    assert core.publish_queue.sent[-1].delay_seconds == 1  # type: ignore[union-attr]  # a publish


def test_a_publishing_that_another_process_ended_and_did_not_conclude_is_concluded(
    core: Core,
) -> None:
    # Given another process that publishes the target meanwhile, and dies
    post = started(core)
    target, now = post.targets[0], core.clock.now()

    def another() -> None:
        claimed = lifecycle.claim(post, target.id, f"{post.id}-1", "other", now=now)
        assert claimed is not None
        core.posts.commit(claimed)
        done = lifecycle.Published(external_post_id="at://1", external_url="https://bsky.app/1")
        settled = lifecycle.settle(claimed.after, target.id, "other", done, now=now)
        assert settled is not None
        core.posts.commit(settled)

    core.before("platform.prepare", another)
    # When / Then
    assert publish(core, post) == "not claimed"
    assert core.post(post.id).status is PostStatus.PUBLISHED
    assert core.platform.attempts.total() == 0


def test_a_platform_is_asked_up_to_the_last_moment_of_that_hour(core: Core) -> None:
    # Given a claim that ran out an hour ago to the moment
    post = unanswered(core)
    core.platform.find_errors.append(BUSY)
    core.advance(ASKED_AT_MOST - A_SECOND)
    # When / Then
    assert resolve(core, post) == "outcome not known yet"


def test_of_several_rules_that_are_broken_the_first_is_told(core: Core) -> None:
    # Given a text that has too many graphemes, and too many bytes
    post = started(core)
    core.posts._posts[post.id] = replace(core.posts._posts[post.id], caption="a" * 3001)
    # When
    publish(core, post)
    # Then
    message = target_of(core, post).error_message
    assert message == "must have at most 300 graphemes for Bluesky, and has 3,001"


def test_a_settlement_of_a_post_that_is_gone_changes_nothing(core: Core) -> None:
    # Given
    post = started(core)

    def gone() -> None:
        core.posts._posts.pop(post.id)
        core.fails("posts.commit", LostRaceError())

    core.before("platform.publish", gone)
    # When / Then
    assert publish(core, post) == "published"
    assert core.posts.read(post.id) is None


def test_credentials_are_bound_to_their_account_and_its_workspace() -> None:
    account = an_account()
    bound = {"workspaceId": account.workspace_id, "accountId": account.id}
    assert sealing_context(account) == bound


def test_an_account_that_vanishes_before_the_claim_counts_is_not_used(core: Core) -> None:
    # Given
    post = started(core)
    core.before("posts.commit", lambda: core.directory._accounts.pop(numbered("soc", 20)))
    # When / Then
    assert publish(core, post) == "failed"
    assert target_of(core, post).error_code == "ACCOUNT_NOT_ACTIVE"
    assert core.platform.attempts.total() == 0


class Listening(FakePlatform):
    """Keeps what it was called with."""

    def prepare(self, publication: Publication, credentials: Mapping[str, str]) -> PreparedPost:
        self.options, self.credentials = publication.options, credentials
        return super().prepare(publication, credentials)

    def comment(
        self, publication: Publication, post: ExternalPost, credentials: Mapping[str, str]
    ) -> None:
        self.commented = post
        super().comment(publication, post, credentials)


@pytest.fixture
def platform(core: Core) -> Listening:
    """Return the platform that everything is published on, once it is asked for."""
    core.platform = core.watched.platform = Listening()
    return core.platform


def test_a_first_comment_is_told_all_that_the_platform_said_of_the_post(
    core: Core, platform: Listening
) -> None:
    # Given
    post = started(core, first_comment="First!")
    # When
    publish(core, post)
    # Then
    assert platform.commented == platform.posts[post.targets[0].id].external
    assert platform.commented.reference["cid"]


def test_a_first_comment_that_is_made_late_is_told_where_the_post_is(
    core: Core, platform: Listening
) -> None:
    # Given
    post = owing_a_comment(core)
    # When
    publish(core, post)
    # Then
    external = platform.posts[post.targets[0].id].external
    assert (platform.commented.id, platform.commented.url) == (external.id, external.url)


def test_a_platform_gets_empty_options_and_credentials_where_there_are_none(
    core: Core, platform: Listening
) -> None:
    # Given
    post = started(core)
    account = core.directory._accounts[numbered("soc", 20)]
    core.directory._accounts[account.id] = replace(account, sealed_credentials=None)
    # When
    publish(core, post)
    # Then
    assert (platform.options, platform.credentials) == ({}, {})
