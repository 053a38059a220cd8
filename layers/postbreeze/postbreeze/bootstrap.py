"""The composition root: one builder for each function.

A builder reads its function's settings, makes the few clients it needs and wires its operation to
them. What only some functions need is imported by their builders, so that no other pays for it.
"""

# ruff: noqa: PLC0415  # late imports are the point, see above

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING

from postbreeze import settings as env
from postbreeze.adapters.aws import AwsClients
from postbreeze.adapters.clock import SystemClock, SystemRandomness
from postbreeze.adapters.concurrency import ThreadPool, TimerWatch
from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.table import Database
from postbreeze.observability import Observability
from postbreeze.operations.effects import Effects

if TYPE_CHECKING:
    from postbreeze.adapters.dynamodb.directory import DynamoDirectory
    from postbreeze.adapters.dynamodb.disconnections import DynamoDisconnections
    from postbreeze.adapters.dynamodb.webhooks import DynamoWebhookStore
    from postbreeze.adapters.scheduler import SchedulerSchedules
    from postbreeze.adapters.secrets import KmsSecretBox
    from postbreeze.adapters.sns import SnsEventBus
    from postbreeze.adapters.sqs import SqsDeliveryQueue, SqsPublishQueue, SqsWorkQueues
    from postbreeze.adapters.storage import S3Storage
    from postbreeze.domain.post import Platform
    from postbreeze.http.edge import Edge
    from postbreeze.http.limits import Meter
    from postbreeze.http.routing import Router
    from postbreeze.operations.arm import Arm
    from postbreeze.operations.conclude import Conclude
    from postbreeze.operations.disconnect import FinishDisconnect
    from postbreeze.operations.fitness import Fitness
    from postbreeze.operations.media.library import Library
    from postbreeze.operations.platform_port import PlatformClient
    from postbreeze.operations.start import StartPublish
    from postbreeze.triggers import Handler


def cancel_post(environ: Mapping[str, str]) -> Handler:
    """Build the function that cancels posts.

    Raises:
        ConfigurationError: A variable is missing; so it is with every builder.
    """
    from postbreeze.http import cancel
    from postbreeze.http.auth import Authenticator
    from postbreeze.operations.cancel import CancelPost
    from postbreeze.operations.changing import ChangePost

    settings = env.CancelPostSettings(environ)
    parts = _Parts(settings)
    directory = parts.directory(settings.workspaces_table)
    operation = CancelPost(
        change_post=ChangePost(
            posts=parts.guarded_posts(settings.workspaces_table),
            directory=directory,
            effects=parts.effects(
                schedules=parts.disarming(settings.schedule_group),
                bus=parts.bus(settings.events_topic_arn),
            ),
            together=parts.together,
            clock=parts.clock,
        )
    )
    return parts.edge(
        cancel.router(operation, Authenticator(directory=directory, clock=parts.clock))
    )


def posts_api(environ: Mapping[str, str]) -> Handler:
    """Build the function that creates and reads posts, and that answers every unknown path."""
    from postbreeze.http import list_posts, post_changes, posts
    from postbreeze.http.auth import Authenticator
    from postbreeze.operations.changing import ChangePost
    from postbreeze.operations.create import CreatePost
    from postbreeze.operations.delete import DeletePost
    from postbreeze.operations.edit import EditPost
    from postbreeze.operations.list_posts import ListPosts
    from postbreeze.operations.read import ReadPost
    from postbreeze.operations.retry import RetryFirstComment, RetryPost
    from postbreeze.operations.schedule import ApprovePost, SchedulePost

    settings = env.PostsApiSettings(environ)
    parts = _Parts(settings)
    store = parts.guarded_posts(settings.workspaces_table, settings.media_table)
    directory = parts.directory(settings.workspaces_table)
    schedules = parts.arming(settings)
    effects = parts.effects(
        schedules=schedules,
        bus=parts.bus(settings.events_topic_arn),
        publish_queue=parts.publish_queue(settings.publish_queue_url),
    )
    arm = parts.arm(store, schedules, effects)
    fitness = parts.fitness(settings.media_table, settings.media_bucket)
    create = CreatePost(
        posts=store,
        directory=directory,
        fitness=fitness,
        arm=arm,
        effects=effects,
        together=parts.together,
        clock=parts.clock,
        randomness=parts.randomness,
    )
    change = ChangePost(
        posts=store,
        directory=directory,
        effects=effects,
        together=parts.together,
        clock=parts.clock,
        arm=arm,
    )
    changes = post_changes.PostChanges(
        edit=EditPost(change_post=change, fitness=fitness),
        delete=DeletePost(change_post=change),
        schedule=SchedulePost(change_post=change, fitness=fitness),
        retry=RetryPost(change_post=change),
        retry_first_comment=RetryFirstComment(change_post=change),
        approve=ApprovePost(change_post=change, fitness=fitness),
    )
    read = ReadPost(posts=store, directory=directory, together=parts.together, clock=parts.clock)
    listing = ListPosts(
        posts=store, directory=directory, together=parts.together, clock=parts.clock
    )
    authenticator = Authenticator(directory=directory, clock=parts.clock)
    return parts.edge(
        posts.router(create, read, authenticator),
        list_posts.router(listing, authenticator),
        post_changes.router(changes, authenticator),
    )


def media_api(environ: Mapping[str, str]) -> Handler:
    """Build the function of the media library."""
    from postbreeze.adapters.egress import Egress, loopback_allowed
    from postbreeze.adapters.file_source import EgressFileSource
    from postbreeze.http import media
    from postbreeze.http.auth import Authenticator
    from postbreeze.operations.media.add import AddFromUrl, PresignUpload
    from postbreeze.operations.media.manage import EditAsset, ListAssets, ReadAsset
    from postbreeze.operations.media.remove import DeleteAsset

    settings = env.MediaApiSettings(environ)
    parts = _Parts(settings)
    directory = parts.directory(settings.workspaces_table)
    library = parts.library(settings.media_table, settings.media_bucket)
    source = EgressFileSource(Egress(allow_loopback=loopback_allowed(environ)))
    assets, storage = library.assets, library.storage
    together, clock, randomness = parts.together, parts.clock, parts.randomness
    return parts.edge(
        media.router(
            presign_upload=PresignUpload(
                assets=assets,
                storage=storage,
                directory=directory,
                clock=clock,
                randomness=randomness,
            ),
            add_from_url=AddFromUrl(
                assets=assets,
                storage=storage,
                directory=directory,
                clock=clock,
                randomness=randomness,
                library=library,
                source=source,
            ),
            list_assets=ListAssets(
                assets=assets, directory=directory, together=together, clock=clock
            ),
            read_asset=ReadAsset(
                library=library,
                assets=assets,
                directory=directory,
                together=together,
                clock=clock,
            ),
            edit_asset=EditAsset(
                assets=assets, directory=directory, together=together, clock=clock
            ),
            delete_asset=DeleteAsset(
                assets=assets,
                storage=storage,
                posts=parts.posts,
                directory=directory,
                together=together,
                clock=clock,
            ),
            authenticator=Authenticator(directory=directory, clock=clock),
        )
    )


def webhooks_api(environ: Mapping[str, str]) -> Handler:
    """Build the function that looks after webhook endpoints; it can seal secrets and open none."""
    from postbreeze.adapters.dynamodb.registry import DynamoRegistry
    from postbreeze.adapters.egress import loopback_allowed
    from postbreeze.adapters.webhook_sender import check_endpoint_url
    from postbreeze.http import deliveries, webhooks
    from postbreeze.http.auth import Authenticator
    from postbreeze.operations.administer.endpoints import Endpoints
    from postbreeze.operations.manage_endpoints import ManageEndpoints

    settings = env.WebhooksApiSettings(environ)
    parts = _Parts(settings)
    directory = parts.directory(settings.workspaces_table)
    manage = ManageEndpoints(
        directory=directory,
        endpoints=Endpoints(
            registry=DynamoRegistry(parts.database, workspaces_table=settings.workspaces_table),
            webhooks=parts.webhooks(settings.webhooks_table, settings.workspaces_table),
            secrets=parts.secret_box(settings.webhook_secrets_key_arn),
            queue=parts.delivery_queue(
                settings.delivery_queue_url, settings.late_delivery_queue_url
            ),
            check_url=partial(check_endpoint_url, allow_loopback=loopback_allowed(environ)),
            clock=parts.clock,
            randomness=parts.randomness,
        ),
        posts=parts.posts,
        together=parts.together,
        clock=parts.clock,
    )
    authenticator = Authenticator(directory=directory, clock=parts.clock)
    return parts.edge(
        webhooks.router(manage, authenticator), deliveries.router(manage, authenticator)
    )


def docs_api(environ: Mapping[str, str]) -> Handler:
    """Build the function that describes the API."""
    from postbreeze.http import docs, openapi

    parts = _Edges(env.DocsApiSettings(environ))
    return parts.edge(docs.router(openapi.text))


def workspaces_api(environ: Mapping[str, str]) -> Handler:
    """Build the function that shows workspaces and accounts, and disconnects accounts."""
    from postbreeze.http import workspaces
    from postbreeze.http.auth import Authenticator
    from postbreeze.operations.disconnect import DisconnectAccount
    from postbreeze.operations.workspaces import ReadAccounts, ReadWorkspaces

    settings = env.WorkspacesApiSettings(environ)
    parts = _Parts(settings)
    directory = parts.directory(settings.workspaces_table)
    disconnections = parts.disconnections(settings.workspaces_table)
    effects = parts.effects(
        schedules=parts.disarming(settings.schedule_group),
        bus=parts.bus(settings.events_topic_arn),
    )
    disconnect = DisconnectAccount(
        directory=directory,
        disconnections=disconnections,
        finish=parts.finish_disconnect(disconnections, effects),
        effects=effects,
        together=parts.together,
        clock=parts.clock,
        telemetry=parts.observability,
    )
    return parts.edge(
        workspaces.router(
            ReadWorkspaces(directory=directory, together=parts.together, clock=parts.clock),
            ReadAccounts(directory=directory, together=parts.together, clock=parts.clock),
            disconnect,
            Authenticator(directory=directory, clock=parts.clock),
        )
    )


def start_publish(environ: Mapping[str, str]) -> Handler:
    """Build the function that a schedule's fire invokes."""
    from postbreeze import triggers

    settings = env.StartPublishSettings(environ)
    parts = _Parts(settings)
    effects = parts.effects(
        bus=parts.bus(settings.events_topic_arn),
        publish_queue=parts.publish_queue(settings.publish_queue_url),
    )
    operation = parts.start(effects)
    return triggers.direct(triggers.start_publish(operation), parts.observability)


def publish_target(environ: Mapping[str, str]) -> Handler:
    """Build the function that publishes single targets."""
    from postbreeze import triggers
    from postbreeze.adapters.text_lengths import TextLengths
    from postbreeze.operations.publish import PublishOneTarget

    settings = env.PublishTargetSettings(environ)
    parts = _Parts(settings)
    effects = parts.effects(
        bus=parts.bus(settings.events_topic_arn),
        publish_queue=parts.publish_queue(settings.publish_queue_url),
    )
    operation = PublishOneTarget(
        posts=parts.posts,
        directory=parts.unmetered_directory(settings.workspaces_table),
        platforms=_platforms(settings.bluesky_url, environ, parts.storage(settings.media_bucket)),
        secrets=parts.secret_box(settings.account_secrets_key_arn),
        effects=effects,
        conclude=parts.conclude(effects),
        measures=TextLengths(),
        clock=parts.clock,
        randomness=parts.randomness,
        telemetry=parts.observability,
    )
    work = triggers.publish_target(operation.publish, operation.resolve)
    return triggers.queue(work, parts.observability)


def fan_out_event(environ: Mapping[str, str]) -> Handler:
    """Build the function that turns events into deliveries."""
    from postbreeze import triggers
    from postbreeze.operations.fan_out import FanOut

    settings = env.FanOutEventSettings(environ)
    parts = _Parts(settings)
    operation = FanOut(
        posts=parts.posts,
        webhooks=parts.webhooks(settings.webhooks_table),
        queue=parts.delivery_queue(settings.delivery_queue_url),
        clock=parts.clock,
        telemetry=parts.observability,
    )
    return triggers.queue(triggers.fan_out_event(operation), parts.observability)


def deliver_webhook(environ: Mapping[str, str]) -> Handler:
    """Build the function that sends webhooks; the only one that opens their secrets."""
    from postbreeze import triggers
    from postbreeze.adapters.egress import Egress, loopback_allowed
    from postbreeze.adapters.webhook_sender import EgressWebhookSender
    from postbreeze.operations.deliver import Deliver
    from postbreeze.operations.isolate import IsolateEndpoint
    from postbreeze.operations.judge import JudgeEndpoint
    from postbreeze.operations.notices import TellOthers

    settings = env.DeliverWebhookSettings(environ)
    parts = _Parts(settings)
    webhooks = parts.webhooks(settings.webhooks_table)
    queue = parts.delivery_queue(settings.delivery_queue_url, settings.late_delivery_queue_url)
    operation = Deliver(
        webhooks=webhooks,
        posts=parts.posts,
        sender=EgressWebhookSender(Egress(allow_loopback=loopback_allowed(environ))),
        secrets=parts.secret_box(settings.webhook_secrets_key_arn),
        queue=queue,
        judge=JudgeEndpoint(
            webhooks=webhooks,
            tell_others=TellOthers(webhooks=webhooks, queue=queue, clock=parts.clock),
            clock=parts.clock,
            telemetry=parts.observability,
        ),
        isolate=IsolateEndpoint(
            webhooks=webhooks, clock=parts.clock, telemetry=parts.observability
        ),
        watch=TimerWatch(),
        clock=parts.clock,
        randomness=parts.randomness,
        telemetry=parts.observability,
    )
    return triggers.queue(triggers.deliver_webhook(operation), parts.observability)


def reconcile(environ: Mapping[str, str]) -> Handler:
    """Build the function that finishes what was left half done."""
    from postbreeze import triggers
    from postbreeze.operations.backlog import SendBacklog
    from postbreeze.operations.notices import TellOthers
    from postbreeze.operations.reconcile import Reconcile

    settings = env.ReconcileSettings(environ)
    parts = _Parts(settings)
    webhooks = parts.webhooks(settings.webhooks_table)
    queue = parts.delivery_queue(settings.delivery_queue_url, settings.late_delivery_queue_url)
    schedules = parts.arming(settings)
    bus = parts.bus(settings.events_topic_arn)
    effects = parts.effects(
        schedules=schedules,
        bus=bus,
        publish_queue=parts.publish_queue(settings.publish_queue_url),
    )
    disconnections = parts.disconnections()
    operation = Reconcile(
        disconnections=disconnections,
        finish_disconnect=parts.finish_disconnect(disconnections, effects),
        posts=parts.posts,
        webhooks=webhooks,
        arm=parts.arm(parts.posts, schedules, effects),
        start=parts.start(effects),
        conclude=parts.conclude(effects),
        effects=effects,
        bus=bus,
        delivery_queue=queue,
        work_queues=parts.work_queues(settings),
        tell_others=TellOthers(webhooks=webhooks, queue=queue, clock=parts.clock),
        send_backlog=SendBacklog(webhooks=webhooks, queue=queue, clock=parts.clock),
        together=ThreadPool(),
        clock=parts.clock,
        telemetry=parts.observability,
    )
    return triggers.timed(operation, parts.observability)


class _Edges:
    """What the builder of a function without data builds with."""

    def __init__(self, settings: env.CommonSettings) -> None:
        self.observability = Observability(
            service=settings.powertools_service_name,
            namespace=settings.powertools_metrics_namespace,
            level=settings.powertools_log_level,
            stage=settings.stage,
        )
        self.clock = SystemClock()
        self.randomness = SystemRandomness()

    @cached_property
    def meter(self) -> Meter:
        from postbreeze.http.limits import Meter

        return Meter()

    def edge(self, *routers: Router) -> Edge:
        """Answer with what the directory tells of the keys that it admits."""
        from postbreeze.http.edge import Edge

        return Edge(
            *routers,
            clock=self.clock,
            randomness=self.randomness,
            log=self.observability,
            meter=self.meter,
        )


class _Parts(_Edges):
    """What builders build with."""

    def __init__(self, settings: env.Settings) -> None:
        super().__init__(settings)
        self._settings = settings
        self.aws = AwsClients()
        self.together = ThreadPool()

    @cached_property
    def database(self) -> Database:
        return Database(self.aws.dynamodb())

    @cached_property
    def posts(self) -> DynamoPostStore:
        return DynamoPostStore(
            self.database, posts_table=self._settings.posts_table, clock=self.clock
        )

    def guarded_posts(
        self, workspaces_table: str, media_table: str | None = None
    ) -> DynamoPostStore:
        return DynamoPostStore(
            self.database,
            posts_table=self._settings.posts_table,
            clock=self.clock,
            workspaces_table=workspaces_table,
            media_table=media_table,
            together=self.together,
        )

    def storage(self, bucket: str) -> S3Storage:
        from postbreeze.adapters.storage import S3Storage

        return S3Storage(self.aws.s3, bucket=bucket, clock=self.clock)

    def library(self, media_table: str, bucket: str) -> Library:
        from postbreeze.adapters.dynamodb.media import DynamoAssetStore
        from postbreeze.operations.media.library import Library

        return Library(
            assets=DynamoAssetStore(self.database, media_table=media_table),
            storage=self.storage(bucket),
            together=self.together,
            clock=self.clock,
            telemetry=self.observability,
        )

    def fitness(self, media_table: str, bucket: str) -> Fitness:
        from postbreeze.adapters.text_lengths import TextLengths
        from postbreeze.operations.fitness import Fitness

        return Fitness(library=self.library(media_table, bucket), measures=TextLengths())

    def directory(self, workspaces_table: str) -> DynamoDirectory:
        from postbreeze.adapters.dynamodb.directory import DynamoDirectory

        return DynamoDirectory(
            self.database, workspaces_table=workspaces_table, clock=self.clock, meter=self.meter
        )

    def unmetered_directory(self, workspaces_table: str) -> DynamoDirectory:
        """For those who serve no clients."""
        from postbreeze.adapters.dynamodb.directory import DynamoDirectory

        return DynamoDirectory(self.database, workspaces_table=workspaces_table, clock=self.clock)

    def webhooks(
        self, webhooks_table: str, workspaces_table: str | None = None
    ) -> DynamoWebhookStore:
        from postbreeze.adapters.dynamodb.webhooks import DynamoWebhookStore

        return DynamoWebhookStore(
            self.database, webhooks_table=webhooks_table, workspaces_table=workspaces_table
        )

    def disconnections(self, workspaces_table: str | None = None) -> DynamoDisconnections:
        from postbreeze.adapters.dynamodb.disconnections import DynamoDisconnections

        return DynamoDisconnections(
            self.database,
            posts_table=self._settings.posts_table,
            workspaces_table=workspaces_table,
        )

    def finish_disconnect(
        self, disconnections: DynamoDisconnections, effects: Effects
    ) -> FinishDisconnect:
        from postbreeze.operations.disconnect import FinishDisconnect

        return FinishDisconnect(
            disconnections=disconnections,
            posts=self.posts,
            effects=effects,
            clock=self.clock,
            telemetry=self.observability,
        )

    def effects(
        self,
        *,
        schedules: SchedulerSchedules | None = None,
        bus: SnsEventBus | None = None,
        publish_queue: SqsPublishQueue | None = None,
    ) -> Effects:
        return Effects(
            schedules=schedules,
            bus=bus,
            publish_queue=publish_queue,
            together=self.together,
            telemetry=self.observability,
        )

    def arm(self, posts: DynamoPostStore, schedules: SchedulerSchedules, effects: Effects) -> Arm:
        from postbreeze.operations.arm import Arm

        return Arm(
            posts=posts,
            schedules=schedules,
            effects=effects,
            clock=self.clock,
            telemetry=self.observability,
        )

    def start(self, effects: Effects) -> StartPublish:
        from postbreeze.operations.start import StartPublish

        return StartPublish(
            posts=self.posts, effects=effects, clock=self.clock, telemetry=self.observability
        )

    def conclude(self, effects: Effects) -> Conclude:
        from postbreeze.operations.conclude import Conclude

        return Conclude(
            posts=self.posts, effects=effects, clock=self.clock, telemetry=self.observability
        )

    def disarming(self, group: str) -> SchedulerSchedules:
        from postbreeze.adapters.scheduler import SchedulerSchedules

        return SchedulerSchedules(self.aws.scheduler(), group=group, clock=self.clock)

    def arming(self, settings: env.PostsApiSettings | env.ReconcileSettings) -> SchedulerSchedules:
        from postbreeze.adapters.scheduler import FireTarget, SchedulerSchedules

        return SchedulerSchedules(
            self.aws.scheduler(),
            group=settings.schedule_group,
            clock=self.clock,
            target=FireTarget(
                function_arn=settings.start_publish_arn,
                role_arn=settings.schedule_role_arn,
                dead_letter_arn=settings.schedule_dlq_arn,
            ),
        )

    def bus(self, topic_arn: str) -> SnsEventBus:
        from postbreeze.adapters.sns import SnsEventBus

        return SnsEventBus(self.aws.sns(), topic_arn=topic_arn)

    def publish_queue(self, queue_url: str) -> SqsPublishQueue:
        from postbreeze.adapters.sqs import SqsPublishQueue

        return SqsPublishQueue(self.aws.sqs(), queue_url=queue_url)

    def delivery_queue(self, queue_url: str, late_queue_url: str | None = None) -> SqsDeliveryQueue:
        from postbreeze.adapters.sqs import SqsDeliveryQueue

        return SqsDeliveryQueue(self.aws.sqs(), queue_url=queue_url, late_queue_url=late_queue_url)

    def work_queues(self, settings: env.ReconcileSettings) -> SqsWorkQueues:
        from postbreeze.adapters.sqs import SqsWorkQueues
        from postbreeze.operations.ports import Work

        return SqsWorkQueues(
            self.aws.sqs(),
            queue_urls={
                Work.PUBLICATIONS: [settings.publish_queue_url],
                Work.EVENTS: [settings.fan_out_queue_url],
                Work.DELIVERIES: [settings.delivery_queue_url, settings.late_delivery_queue_url],
            },
        )

    def secret_box(self, key_arn: str) -> KmsSecretBox:
        from postbreeze.adapters.secrets import KmsSecretBox

        return KmsSecretBox(self.aws.kms(), key_arn=key_arn, clock=self.clock)


def _platforms(
    bluesky_url: str, environ: Mapping[str, str], storage: S3Storage
) -> Mapping[Platform, PlatformClient]:
    import urllib3

    from postbreeze.adapters.egress import Egress, loopback_allowed
    from postbreeze.adapters.platforms.bluesky import BlueskyClient
    from postbreeze.adapters.platforms.media import MediaFetcher
    from postbreeze.adapters.platforms.unconfigured import UnconfiguredPlatform
    from postbreeze.domain.post import Platform

    bluesky = BlueskyClient(
        bluesky_url,
        urllib3.PoolManager(),
        MediaFetcher(Egress(allow_loopback=loopback_allowed(environ)), storage),
    )
    return {
        **{platform: UnconfiguredPlatform(platform.value) for platform in Platform},
        Platform.BLUESKY: bluesky,
    }
