"""Publishing one target: prepare, claim, call the platform once, settle.

Everything that publishes nothing is done before the claim, so that a cancel can still stop the
target until the last moment. After the claim the platform is called exactly once. If the answer to
that call is lost the platform is asked what it has; nothing is ever sent again on a guess.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from postbreeze.domain import lifecycle
from postbreeze.domain.errors import (
    PlatformError,
    PlatformOutcomeUnknownError,
    PlatformRejectedError,
    PlatformRetriableError,
    SecretUnreadableError,
    UnavailableError,
)
from postbreeze.domain.lifecycle import (
    FIRST_COMMENT_PENDING,
    NOT_COMPLETED,
    OUTCOME_UNKNOWN,
    Failed,
    Published,
    Released,
    Result,
)
from postbreeze.domain.media import media_for, storage_key
from postbreeze.domain.platform_rules import TextMeasures, contents_of_post, violations
from postbreeze.domain.post import AccountStatus, Platform, Post, SocialAccount, Target
from postbreeze.operations.conclude import Conclude
from postbreeze.operations.effects import Effects
from postbreeze.operations.platform_port import (
    Attachment,
    ExternalPost,
    PlatformClient,
    PreparedPost,
    Publication,
)
from postbreeze.operations.ports import (
    Clock,
    Directory,
    PostStore,
    Randomness,
    SecretBox,
    Telemetry,
)
from postbreeze.operations.races import decide

ACCOUNT_NOT_ACTIVE = "ACCOUNT_NOT_ACTIVE"
CREDENTIALS_UNREADABLE = "CREDENTIALS_UNREADABLE"
RULE_VIOLATED = "PLATFORM_RULE_VIOLATED"
SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"

ASKED_AT_MOST = timedelta(hours=1)
"""How long a platform that cannot be reached is asked about a claim that ran out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A target with all that its platform needs to know."""

    platform: PlatformClient
    publication: Publication
    credentials: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishOneTarget:
    """Publishes targets, and finds out what became of claims that ran out."""

    posts: PostStore
    directory: Directory
    platforms: Mapping[Platform, PlatformClient]
    secrets: SecretBox
    effects: Effects
    conclude: Conclude
    measures: TextMeasures
    clock: Clock
    randomness: Randomness
    telemetry: Telemetry

    def publish(self, post_id: str, target_id: str, workflow_id: str) -> str:
        """Publish a target if it is still to be published; say in a few words what was done.

        Doing this again, at once or a day later, publishes nothing a second time.

        Raises:
            UnavailableError: The message must be delivered again.
            ContendedError: The post kept moving; the message must be delivered again.
        """
        post = self.posts.read(post_id)
        target = None if post is None else post.target(target_id)
        if post is None or target is None:
            return "nothing to do"
        if not lifecycle.is_claimable(post, target_id, workflow_id):
            self._finish_comment(post, target, workflow_id)
            self.conclude(post_id)
            return "nothing to do"
        early = lifecycle.postponed(post, target_id, workflow_id, now=self.clock.now())
        if early is not None:
            # A second message, or one delivered again: it takes its turn and uses up no attempt.
            self.effects.perform_all([early])
            return "too early"
        job = self._job(post, target)
        prepared: PreparedPost | Failed | Released
        if isinstance(job, Failed):
            prepared = job
        else:
            prepared = self._broken_rule(post, target_id) or _prepare(job)
        claim_id = self.randomness.token(16).hex()
        post = self._claim(post, target_id, workflow_id, claim_id)
        if not lifecycle.holds(post, target_id, claim_id):
            self.conclude(post_id)
            return "not claimed"
        result: Result | None
        if isinstance(job, Failed):
            result = job
        elif isinstance(prepared, (Failed, Released)):
            result = prepared
        else:
            result = self._objection(post, target) or self._call(job, prepared)
        return self._settle(post, target_id, claim_id, result, job)

    def resolve(self, post_id: str, target_id: str, claim_id: str) -> str:
        """Find out what became of a claim that ran out; say in a few words what was done.

        Raises:
            UnavailableError: The message must be delivered again.
            ContendedError: The post kept moving; the message must be delivered again.
        """
        post = self.posts.read(post_id)
        target = None if post is None else post.target(target_id)
        now = self.clock.now()
        if (
            post is None
            or target is None
            or not lifecycle.holds(post, target_id, claim_id)
            or target.claimed_until is None
            or now <= target.claimed_until
        ):
            return "nothing to do"
        last_chance = now > target.claimed_until + ASKED_AT_MOST
        try:
            job, result = self._resolution(post, target, last_chance=last_chance)
        except Exception as error:
            if not last_chance:
                raise
            # Whatever keeps it from being found out, nobody waits for ever.
            self.telemetry.warn("outcome never known", target_id=target_id, error=repr(error))
            job = result = Failed(
                code=OUTCOME_UNKNOWN, message="It could not be found out whether it was published."
            )
        return self._settle(post, target_id, claim_id, result, job)

    def _resolution(
        self, post: Post, target: Target, *, last_chance: bool
    ) -> tuple[_Job | Failed, Result | None]:
        job = self._job(post, target)
        if isinstance(job, Failed):
            return job, Failed(code=OUTCOME_UNKNOWN, message=job.message)
        return job, self._ask(job, absent=_ABSENT, last_chance=last_chance)

    def _job(self, post: Post, target: Target) -> _Job | Failed:
        account = self.directory.account(post.workspace_id, target.social_account_id)
        if account is None or account.status is not AccountStatus.ACTIVE:
            return _NOT_ACTIVE
        try:
            credentials = self._credentials(account)
        except SecretUnreadableError:
            self.telemetry.warn("credentials unreadable", account_id=account.id)
            return Failed(
                code=CREDENTIALS_UNREADABLE,
                message="The account has to be connected again.",
            )
        return _Job(
            platform=self.platforms[target.platform],
            publication=_publication(post, target, account, self.clock.now()),
            credentials=credentials,
        )

    def _broken_rule(self, post: Post, target_id: str) -> Failed | None:
        """Look whether its platform would take it: the rules may be others by now."""
        broken = violations(contents_of_post(post, [target_id]), self.measures)
        return Failed(code=RULE_VIOLATED, message=broken[0].message) if broken else None

    def _credentials(self, account: SocialAccount) -> Mapping[str, str]:
        if account.sealed_credentials is None:
            return {}
        opened = self.secrets.open(account.sealed_credentials, sealing_context(account))
        return {str(name): str(value) for name, value in json.loads(opened).items()}

    def _claim(self, post: Post, target_id: str, workflow_id: str, claim_id: str) -> Post:
        """Try to claim; return the post as it then stands, whether the claim holds or not."""
        try:
            decided = decide(
                self.posts,
                post.id,
                lambda present: lifecycle.claim(
                    present, target_id, workflow_id, claim_id, now=self.clock.now()
                ),
                post=post,
            )
        except UnavailableError:
            # The claim may stand all the same; its id is ours alone, so reading tells.
            present = self.posts.read(post.id)
            if present is None or not lifecycle.holds(present, target_id, claim_id):
                raise
            return present
        if decided is None:
            return post
        if decided.change is not None:
            self.effects.attempt(decided.change)
        return decided.post

    def _objection(self, post: Post, target: Target) -> Failed | Released | None:
        """Look at the account again: who disconnected it before the claim was told that it counts.

        A disconnect after the claim finds the target in flight, as a cancel would.
        """
        try:
            account = self.directory.account(post.workspace_id, target.social_account_id)
        except UnavailableError:
            return Released(
                code=SERVICE_UNAVAILABLE, message="The social account could not be looked at."
            )
        is_active = account is not None and account.status is AccountStatus.ACTIVE
        return None if is_active else _NOT_ACTIVE

    def _call(self, job: _Job, prepared: PreparedPost) -> Result | None:
        """Publish, once; None where the outcome is not known yet."""
        try:
            return _published(prepared.publish(), job.publication)
        except PlatformOutcomeUnknownError as error:
            self.telemetry.count("PublishAnswerLost")
            self.telemetry.warn(
                "publish answer lost",
                target_id=job.publication.target_id,
                code=error.code,
            )
            # Not being there yet proves nothing while the call may still be under way.
            return self._ask(job, absent=None, last_chance=False)
        except PlatformRetriableError as error:
            return _released(error)
        except PlatformError as error:
            return Failed(code=error.code, message=error.message)

    def _ask(self, job: _Job, *, absent: Failed | None, last_chance: bool) -> Result | None:
        """Ask the platform for the post; None where it cannot be told yet."""
        try:
            found = job.platform.find(job.publication, job.credentials)
        except PlatformRejectedError as error:
            return Failed(code=OUTCOME_UNKNOWN, message=error.message)
        except PlatformError as error:
            if last_chance:
                return Failed(code=OUTCOME_UNKNOWN, message=error.message)
            return None
        return absent if found is None else _published(found, job.publication)

    def _settle(
        self,
        post: Post,
        target_id: str,
        claim_id: str,
        result: Result | None,
        job: _Job | Failed,
    ) -> str:
        if result is None:
            return "outcome not known yet"
        decided = decide(
            self.posts,
            post.id,
            lambda present: lifecycle.settle(
                present, target_id, claim_id, result, now=self.clock.now()
            ),
            post=post,
        )
        outcome = type(result).__name__.lower()
        self.telemetry.count(f"Target{type(result).__name__}")
        code = None if isinstance(result, Published) else result.code
        self.telemetry.note("target settled", target_id=target_id, outcome=outcome, code=code)
        if decided is not None and decided.change is not None:
            if isinstance(result, Published) and not isinstance(job, Failed):
                self._comment(decided.post, target_id, result, job)
            self.effects.perform(decided.change)
        self.conclude(post.id)
        return outcome

    def _finish_comment(self, post: Post, target: Target, workflow_id: str) -> None:
        """Add a first comment that is still owed: a process died, or a client asked again."""
        if target.first_comment_error != FIRST_COMMENT_PENDING or target.workflow_id != workflow_id:
            return
        job = _DELETED if post.deleted_at is not None else self._job(post, target)
        if isinstance(job, Failed):
            self._settle_comment(post, target.id, job.code)
            return
        published = Published(
            external_post_id=target.external_post_id or "", external_url=target.external_url or ""
        )
        self._comment(post, target.id, published, job)

    def _comment(self, post: Post, target_id: str, result: Published, job: _Job) -> None:
        if job.publication.first_comment is None:
            return
        published = ExternalPost(
            id=result.external_post_id,
            url=result.external_url,
            reference=result.reference,
        )
        error: str | None = None
        try:
            job.platform.comment(job.publication, published, job.credentials)
        except PlatformError as failure:
            error = failure.code
            self.telemetry.warn("first comment failed", target_id=target_id, code=error)
        self._settle_comment(post, target_id, error)

    def _settle_comment(self, post: Post, target_id: str, error: str | None) -> None:
        decide(
            self.posts,
            post.id,
            lambda present: lifecycle.settle_first_comment(
                present, target_id, error, now=self.clock.now()
            ),
            post=post,
        )


_NOT_ACTIVE = Failed(
    code=ACCOUNT_NOT_ACTIVE, message="The social account is not connected any more."
)

_DELETED = Failed(code="POST_DELETED", message="The post has been deleted.")

_ABSENT = Failed(
    code=NOT_COMPLETED,
    message="The attempt broke off, and the platform does not have the post.",
)


def sealing_context(account: SocialAccount) -> dict[str, str]:
    """Return what binds an account's encrypted credentials to that account alone."""
    return {"workspaceId": account.workspace_id, "accountId": account.id}


def _publication(post: Post, target: Target, account: SocialAccount, now: datetime) -> Publication:
    return Publication(
        target_id=target.id,
        account_id=account.id,
        external_account_id=account.external_account_id,
        text=(post.caption if target.caption_override is None else target.caption_override) or "",
        created_at=now,
        attachments=tuple(
            Attachment(
                url=media.url,
                storage_key=storage_key(post.workspace_id, media.media_asset_id)
                if media.is_asset
                else None,
                content_type=media.content_type,
                alt_text=media.alt_text,
            )
            for media in media_for(post, target)
        ),
        first_comment=target.first_comment,
        options=target.platform_options or {},
    )


def _prepare(job: _Job) -> PreparedPost | Failed | Released:
    try:
        return job.platform.prepare(job.publication, job.credentials)
    except PlatformRetriableError as error:
        return _released(error)
    except PlatformError as error:
        return Failed(code=error.code, message=error.message)


def _released(error: PlatformRetriableError) -> Released:
    return Released(code=error.code, message=error.message, retry_after=error.retry_after)


def _published(post: ExternalPost, publication: Publication) -> Published:
    return Published(
        external_post_id=post.id,
        external_url=post.url,
        reference=post.reference,
        first_comment_error=None if publication.first_comment is None else FIRST_COMMENT_PENDING,
    )
