"""What every platform client must keep: one suite for the fake, the sandbox and the real server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from local.bluesky_sandbox import BlueskySandbox, did_of
from postbreeze.domain import ids
from postbreeze.domain.errors import (
    PlatformOutcomeUnknownError,
    PlatformRejectedError,
    PlatformRetriableError,
)
from postbreeze.operations.platform_port import (
    Attachment,
    ExternalPost,
    PreparedPost,
    Publication,
)
from tests.support.lost_answers import LostAnswerProxy
from tests.support.platform_stages import (
    MISSING_PICTURE_URL,
    PICTURE_URL,
    BlueskyStage,
    FakeStage,
    Person,
    Stage,
)

NOON = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
_targets = count(1)


def publication(person: Person, text: str = "Good morning, Zürich 🌤") -> Publication:
    """Build a publication for a target that has never been seen before."""
    return Publication(
        target_id=ids.new_id(ids.TARGET, NOON, next(_targets).to_bytes(10, "big")),
        account_id=person.account_id,
        external_account_id=person.external_account_id,
        text=text,
        created_at=NOON,
    )


class PlatformContract:
    """The suite. A subclass provides the fixture ``stage``."""

    def test_publishing_makes_exactly_one_public_post(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        wanted = publication(person)

        # When
        post = stage.client.prepare(wanted, person.credentials).publish()

        # Then
        [seen] = stage.seen(person)
        assert (seen.id, seen.text) == (post.id, wanted.text)
        assert post.url.startswith("https://")

    def test_preparing_alone_makes_nothing_public(self, stage: Stage) -> None:
        # Given
        person = stage.person()

        # When
        stage.client.prepare(publication(person), person.credentials)

        # Then
        assert stage.seen(person) == []

    def test_a_post_is_found_after_it_is_published_and_not_before(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        wanted = publication(person)

        # When
        before = stage.client.find(wanted, person.credentials)
        post = stage.client.prepare(wanted, person.credentials).publish()
        after = stage.client.find(wanted, person.credentials)

        # Then
        assert before is None
        assert after == post
        assert {"uri", "cid"} <= post.reference.keys()

    def test_publishing_one_target_twice_is_publishing_it_once(self, stage: Stage) -> None:
        # Given two claims of one target, prepared before either publishes
        person = stage.person()
        first = publication(person)
        second = replace(first, created_at=NOON + timedelta(minutes=5))
        prepared = [stage.client.prepare(each, person.credentials) for each in (first, second)]

        # When
        posts = [each.publish() for each in prepared]

        # Then
        assert posts[0] == posts[1]
        assert len(stage.seen(person)) == 1

    def test_many_publishing_one_target_at_once_publish_it_once(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        wanted = publication(person)
        prepared = [stage.client.prepare(wanted, person.credentials) for _ in range(8)]

        def outcome(each: PreparedPost) -> ExternalPost | None:
            try:
                return each.publish()
            except PlatformOutcomeUnknownError:
                # Honest in the thick of it: the other's record is not to be seen yet.
                return None

        # When
        with ThreadPoolExecutor(len(prepared)) as threads:
            outcomes = set(threads.map(lambda each: getattr(outcome(each), "id", None), prepared))

        # Then
        [seen] = stage.seen(person)
        assert seen.id in outcomes
        assert outcomes <= {seen.id, None}

    def test_two_targets_are_two_posts(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        both = [publication(person, "same words") for _ in range(2)]

        # When
        posts = [stage.client.prepare(each, person.credentials).publish() for each in both]

        # Then
        assert posts[0].id != posts[1].id
        assert {seen.id for seen in stage.seen(person)} == {post.id for post in posts}

    def test_a_lost_answer_is_an_unknown_outcome_that_can_be_asked_about(
        self, stage: Stage
    ) -> None:
        # Given
        person = stage.person()
        wanted = publication(person)
        prepared = stage.client.prepare(wanted, person.credentials)
        stage.lose_next_answer()

        # When
        with pytest.raises(PlatformOutcomeUnknownError):
            prepared.publish()
        found = stage.client.find(wanted, person.credentials)

        # Then
        [seen] = stage.seen(person)
        assert found is not None
        assert found.id == seen.id

    def test_publishing_again_after_a_lost_answer_adds_nothing(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        wanted = publication(person)
        stage.lose_next_answer()
        with pytest.raises(PlatformOutcomeUnknownError):
            stage.client.prepare(wanted, person.credentials).publish()
        later = replace(wanted, created_at=NOON + timedelta(hours=1))

        # When
        post = stage.client.prepare(later, person.credentials).publish()

        # Then
        assert [seen.id for seen in stage.seen(person)] == [post.id]

    def test_a_target_whose_place_holds_other_words_is_refused(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        wanted = publication(person)
        stage.client.prepare(wanted, person.credentials).publish()
        other = replace(wanted, text="something else")

        # When
        with pytest.raises(PlatformRejectedError) as publishing:
            stage.client.prepare(other, person.credentials).publish()
        found = stage.client.find(other, person.credentials)

        # Then it is not published again, and found for what it is
        assert publishing.value.code == "RECORD_KEY_TAKEN"
        assert found is not None
        assert [found.id] == [seen.id for seen in stage.seen(person)]
        assert [seen.text for seen in stage.seen(person)] == [wanted.text]

    def test_wrong_credentials_are_refused_before_anything_is_public(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        wrong = {**person.credentials, "appPassword": "wrong"}

        # When
        with pytest.raises(PlatformRejectedError) as refusal:
            stage.client.prepare(publication(person), wrong)

        # Then
        assert refusal.value.code == "CREDENTIALS_REJECTED"
        assert stage.seen(person) == []

    def test_a_platform_that_is_gone_is_worth_asking_again(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        stage.disappear()

        # When / Then
        with pytest.raises(PlatformRetriableError):
            stage.client.prepare(publication(person), person.credentials)
        with pytest.raises(PlatformRetriableError):
            stage.client.find(publication(person), person.credentials)

    def test_a_platform_that_went_away_after_preparing_was_sent_nothing(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        prepared = stage.client.prepare(publication(person), person.credentials)
        stage.disappear()

        # When
        with pytest.raises(PlatformRetriableError):
            prepared.publish()

        # Then
        assert stage.seen(person) == []

    def test_pictures_are_attached_in_order_with_their_alt_texts(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        wanted = replace(
            publication(person),
            attachments=(
                Attachment(url=PICTURE_URL, alt_text="one black pixel"),
                Attachment(url=PICTURE_URL),
            ),
        )

        # When
        stage.client.prepare(wanted, person.credentials).publish()

        # Then
        [seen] = stage.seen(person)
        assert seen.alt_texts == ("one black pixel", "")

    def test_the_first_comment_is_added_once(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        wanted = replace(publication(person), first_comment="More at example.com")
        post = stage.client.prepare(wanted, person.credentials).publish()

        # When
        stage.client.comment(wanted, post, person.credentials)
        stage.client.comment(wanted, post, person.credentials)

        # Then
        [comment] = [seen for seen in stage.seen(person) if seen.reply_to is not None]
        assert (comment.text, comment.reply_to) == ("More at example.com", post.id)
        assert len(stage.seen(person)) == 2

    def test_a_comment_whose_answer_was_lost_can_be_repeated(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        wanted = replace(publication(person), first_comment="First!")
        post = stage.client.prepare(wanted, person.credentials).publish()
        stage.lose_next_answer(comment=True)

        # When
        with pytest.raises(PlatformOutcomeUnknownError):
            stage.client.comment(wanted, post, person.credentials)
        stage.client.comment(wanted, post, person.credentials)

        # Then
        assert [s.text for s in stage.seen(person) if s.reply_to is not None] == ["First!"]

    def test_no_first_comment_is_nothing_to_do(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        wanted = publication(person)
        post = stage.client.prepare(wanted, person.credentials).publish()

        # When
        stage.client.comment(wanted, post, person.credentials)

        # Then
        assert len(stage.seen(person)) == 1


class BlueskyContract(PlatformContract):
    """What only a client that really fetches and uploads can keep."""

    def test_a_picture_that_cannot_be_fetched_now_says_so(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        wanted = replace(publication(person), attachments=(Attachment(url=MISSING_PICTURE_URL),))

        # When
        with pytest.raises(PlatformRetriableError) as failure:
            stage.client.prepare(wanted, person.credentials)

        # Then
        assert failure.value.code == "MEDIA_UNREACHABLE"

    def test_a_comment_finds_its_post_when_only_its_address_was_kept(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        wanted = replace(publication(person), first_comment="Still here")
        post = stage.client.prepare(wanted, person.credentials).publish()

        # When
        stage.client.comment(wanted, replace(post, reference={}), person.credentials)

        # Then
        [comment] = [seen for seen in stage.seen(person) if seen.reply_to is not None]
        assert comment.reply_to == post.id

    def test_links_tags_and_mentions_are_accepted(self, stage: Stage) -> None:
        # Given
        person = stage.person()
        words = "🎉 https://example.com/ä?q=(1) (example.org) #grüße @nobody.invalid"
        wanted = replace(publication(person, words), options={"langs": ["de-CH", "en"]})

        # When
        stage.client.prepare(wanted, person.credentials).publish()

        # Then
        assert [seen.text for seen in stage.seen(person)] == [words]


class TestFakePlatform(PlatformContract):
    """The double that the tests of the core use."""

    @pytest.fixture
    def stage(self) -> Stage:
        return FakeStage()


class TestSandbox(BlueskyContract):
    """The Bluesky client on the sandbox of the local stack."""

    @pytest.fixture
    def stage(self) -> Iterator[Stage]:
        person = Person(
            account_id="soc_1",
            external_account_id=did_of("alice.test"),
            credentials={"identifier": "alice.test", "appPassword": "sandbox-alice.test"},
        )
        with BlueskySandbox() as sandbox, LostAnswerProxy(sandbox.url) as proxy:
            stage = BlueskyStage(proxy, [person])
            yield stage
            stage.close()
