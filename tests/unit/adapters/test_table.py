"""How the tables' one client is used, and what its failures mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from pynamodb.exceptions import PutError, PynamoDBException, QueryError, TransactWriteError

from postbreeze.adapters.aws import AwsClients
from postbreeze.adapters.dynamodb import keys
from postbreeze.adapters.dynamodb.directory import DynamoDirectory
from postbreeze.adapters.dynamodb.items.access import KeyRow, account_row, key_row
from postbreeze.adapters.dynamodb.items.common import Row
from postbreeze.adapters.dynamodb.items.posts import answer_row, post_row, target_row
from postbreeze.adapters.dynamodb.items.webhooks import delivery_row, endpoint_row, health_row
from postbreeze.adapters.dynamodb.posts import DynamoPostStore
from postbreeze.adapters.dynamodb.registry import DynamoRegistry
from postbreeze.adapters.dynamodb.table import INDEXES, Database
from postbreeze.adapters.dynamodb.webhooks import (
    MOST_LOOKED_THROUGH,
    MOST_QUERIES,
    DynamoWebhookStore,
)
from postbreeze.domain import ids
from postbreeze.domain.access import EDITORS, ApiKey
from postbreeze.domain.endpoint_health import Health
from postbreeze.domain.errors import LostRaceError, RateLimitedError, UnavailableError
from postbreeze.domain.post import Post
from postbreeze.domain.rate_limits import windows_at
from postbreeze.domain.webhook import Delivery, DeliveryStatus
from postbreeze.operations.ports import (
    AccessLostError,
    AnswerExistsError,
    DeliveryFilter,
    MembershipGuard,
)
from postbreeze.operations.webhook_ports import Destination
from tests.support.aws import table_layout
from tests.support.builders import (
    LATER,
    USER_ID,
    WORKSPACE_ID,
    a_delivery,
    a_key,
    a_member,
    a_post,
    added,
    an_account,
    an_answer,
    an_endpoint,
    an_event,
    changed,
)
from tests.support.fakes import START, FakeClock

GUARD = MembershipGuard(workspace_id=WORKSPACE_ID, user_id=USER_ID, roles=EDITORS)


def made_of(at: datetime) -> str:
    """Return the least delivery id of a moment."""
    return ids.new_id(ids.DELIVERY, at, bytes(10))


class Scripted:
    """A DynamoDB that answers as it is told, in the form that botocore's parser returns."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[Any] = []
        self.pauses: list[float] = []

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Answer instead of the network while the block runs."""
        events = self.client.meta.events
        handlers = {
            "before-parameter-build.dynamodb": self._note,
            "before-call.dynamodb": self._answer,
        }
        for event, handler in handlers.items():
            events.register(event, handler)
        try:
            yield
        finally:
            for event, handler in handlers.items():
                events.unregister(event, handler)

    def _note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.sent.append((model.name, dict(params)))

    def _answer(self, **_: Any) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer

        class Http:
            status_code = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 200)

        return Http, answer

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.sent]


def refusal(code: str, status: int = 400, **more: Any) -> dict[str, Any]:
    return {
        "Error": {"Code": code, "Message": "m"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
        **more,
    }


def cancelled(*reasons: str | tuple[str, Row]) -> dict[str, Any]:
    """Build the answer to a transaction that was cancelled, by a reason for each action."""
    return refusal(
        "TransactionCanceledException",
        CancellationReasons=[
            {"Code": reason}
            if isinstance(reason, str)
            else {"Code": reason[0], "Item": reason[1].serialize()}
            for reason in reasons
        ],
    )


@pytest.fixture(scope="module")
def client() -> Any:
    return AwsClients(region="us-east-1", access_key=("a", "b")).dynamodb()


@pytest.fixture
def dynamodb(client: Any) -> Iterator[Scripted]:
    scripted = Scripted(client)
    with scripted.in_place():
        yield scripted
    assert scripted.answers == []


@pytest.fixture
def database(dynamodb: Scripted) -> Database:
    return Database(dynamodb.client, pause=dynamodb.pauses.append)


@pytest.fixture
def posts(database: Database) -> DynamoPostStore:
    return DynamoPostStore(
        database, posts_table="posts", workspaces_table="workspaces", clock=FakeClock()
    )


@pytest.fixture
def post() -> Post:
    return a_post()


# One client


def test_all_stores_share_the_given_client(dynamodb: Scripted, database: Database) -> None:
    # Given
    dynamodb.answers = [{}, {}, {}]
    # When
    DynamoDirectory(database, workspaces_table="w", clock=FakeClock()).member("ws", "usr")
    DynamoRegistry(database, workspaces_table="workspaces").workspace("ws_1")
    DynamoWebhookStore(database, webhooks_table="webhooks").delivery("wh_1", "dlv_1")
    # Then all went through it
    assert dynamodb.operations == ["GetItem"] * 3


def test_the_indexes_are_those_of_the_template() -> None:
    # Given
    made: dict[str, tuple[str, str]] = {}
    for resource in ("PostsTable", "WorkspacesTable", "WebhooksTable", "MediaTable"):
        layout = table_layout(resource)
        assert layout["KeySchema"] == [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ]
        assert all(each["AttributeType"] == "S" for each in layout["AttributeDefinitions"])
        for index in layout["GlobalSecondaryIndexes"]:
            keys = (each["AttributeName"] for each in index["KeySchema"])
            made[index["IndexName"]] = tuple(keys)
    # Then
    assert made == INDEXES


def test_the_list_of_keys_has_all_of_them_but_what_is_counted() -> None:
    # Given what the index of keys has beside the keys of the table and its own
    [index] = [
        each
        for each in table_layout("WorkspacesTable")["GlobalSecondaryIndexes"]
        if each["IndexName"] == "keysByOwner"
    ]
    projected = index["Projection"]["NonKeyAttributes"]
    # Then it is a key, and a request that is counted does not change it
    counted = {"minute", "minuteLeft", "quarterHour", "quarterHourLeft"}
    stored = {each.attr_name for each in KeyRow.get_attributes().values()}
    assert set(projected) == stored - counted - {"pk", "sk", "ownerUserId", "expiresAt"}
    assert len(projected) <= 20, "DynamoDB takes no more"


# What a cancelled transaction means


def commit_of_all(posts: DynamoPostStore, post: Post) -> None:
    """Commit with: a check of target 1, the guard; then puts of post, target 0, event, answer."""
    posts.commit(
        changed(
            post,
            caption="new",
            targets={0: {"attempt_count": 1}},
            relied_on=[post.targets[1]],
            events=[an_event(post)],
        ),
        guard=GUARD,
        answer=an_answer(post.id),
    )


STANDING = an_answer(status=201, body={"id": "post_x"})

NONE = "None"
FAILED = "ConditionalCheckFailed"
TAKEN = (FAILED, answer_row(STANDING))


@pytest.mark.parametrize(
    ("reasons", "error"),
    [
        ((FAILED, NONE, NONE, NONE, NONE, NONE), LostRaceError),
        ((NONE, NONE, FAILED, NONE, NONE, NONE), LostRaceError),
        ((NONE, NONE, NONE, FAILED, NONE, NONE), LostRaceError),
        ((NONE, NONE, NONE, NONE, FAILED, NONE), LostRaceError),
        ((NONE, FAILED, NONE, NONE, NONE, NONE), AccessLostError),
        ((NONE, NONE, NONE, NONE, NONE, TAKEN), AnswerExistsError),
        ((FAILED, FAILED, FAILED, FAILED, FAILED, NONE), AccessLostError),
        ((FAILED, FAILED, FAILED, FAILED, FAILED, TAKEN), AnswerExistsError),
        (("TransactionConflict", FAILED, NONE, NONE, NONE, NONE), AccessLostError),
        (("ThrottlingError", NONE, FAILED, NONE, NONE, NONE), LostRaceError),
        (("ThrottlingError", NONE, NONE, NONE, NONE, NONE), UnavailableError),
        ((NONE, NONE, NONE, NONE, NONE, "ProvisionedThroughputExceeded"), UnavailableError),
        ((NONE, NONE, "ValidationError", NONE, NONE, NONE), TransactWriteError),
        ((NONE, NONE, "ItemCollectionSizeLimitExceeded", FAILED, NONE, NONE), TransactWriteError),
    ],
)
def test_reasons_are_told_by_their_place(
    dynamodb: Scripted,
    posts: DynamoPostStore,
    post: Post,
    reasons: tuple[Any, ...],
    error: type[Exception],
) -> None:
    # Given
    dynamodb.answers = [cancelled(*reasons)]
    # When / Then
    with pytest.raises(error) as caught:
        commit_of_all(posts, post)
    if isinstance(caught.value, AnswerExistsError):
        assert caught.value.answer == STANDING
    # And the order was that of the reasons
    ((_, sent),) = dynamodb.sent
    actions = [next(iter(action.items())) for action in sent["TransactItems"]]
    assert [kind for kind, _ in actions] == ["ConditionCheck"] * 2 + ["Put"] * 4
    assert actions[0][1]["Key"]["sk"]["S"].startswith("TARGET#")
    assert actions[1][1]["TableName"] == "workspaces"
    assert [request["Item"]["sk"]["S"].partition("#")[0] for _, request in actions[2:]] == [
        "POST",
        "TARGET",
        "EVENT",
        "REQUEST",
    ]


def test_a_transaction_that_meets_another_is_tried_again_with_another_token(
    dynamodb: Scripted, posts: DynamoPostStore, post: Post
) -> None:
    # Given
    met = cancelled("TransactionConflict", NONE, NONE, NONE)
    dynamodb.answers = [met, met, {}]
    # When
    posts.commit(added(post))
    # Then
    tokens = {sent["ClientRequestToken"] for _, sent in dynamodb.sent}
    assert len(tokens) == 3
    assert len(dynamodb.pauses) == 2
    assert all(0 < pause <= 0.15 for pause in dynamodb.pauses)


def test_a_transaction_that_keeps_meeting_others_has_lost(
    dynamodb: Scripted, posts: DynamoPostStore, post: Post
) -> None:
    # Given
    dynamodb.answers = [cancelled("TransactionConflict", NONE, NONE, NONE)] * 4
    # When / Then
    with pytest.raises(LostRaceError):
        posts.commit(added(post))


def test_a_delivery_of_which_nobody_knows_is_not_called_known(
    dynamodb: Scripted, database: Database
) -> None:
    # Given
    dynamodb.answers = [cancelled("TransactionConflict")] * 4
    # When / Then
    with pytest.raises(UnavailableError):
        DynamoWebhookStore(database, webhooks_table="w").add_delivery(a_delivery())


def test_an_empty_change_is_no_call(dynamodb: Scripted, posts: DynamoPostStore, post: Post) -> None:
    posts.commit(changed(post))
    assert dynamodb.sent == []


def test_a_guard_without_a_workspaces_table_is_a_mistake(database: Database, post: Post) -> None:
    posts = DynamoPostStore(database, posts_table="posts", clock=FakeClock())
    with pytest.raises(RuntimeError, match="guard"):
        posts.commit(added(post), guard=GUARD)


# Outages and mistakes, by every kind of call


def read(database: Database) -> None:
    DynamoRegistry(database, workspaces_table="w").key("d")


def read_many(database: Database) -> None:
    directory = DynamoDirectory(database, workspaces_table="w", clock=FakeClock())
    directory.member_and_accounts("ws", "usr", ["soc"])


def query(database: Database) -> None:
    DynamoPostStore(database, posts_table="p", clock=FakeClock()).read("post")


def put(database: Database) -> None:
    DynamoRegistry(database, workspaces_table="w").put_member(a_member())


def delete(database: Database) -> None:
    DynamoRegistry(database, workspaces_table="w").remove_member("ws", "usr")


def transact(database: Database) -> None:
    DynamoRegistry(database, workspaces_table="w").add_account(an_account())


def update(database: Database) -> None:
    DynamoDirectory(database, workspaces_table="w", clock=FakeClock()).admit("d")


CALLS = [read, read_many, query, put, delete, transact, update]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "answer",
    [
        refusal("ThrottlingException"),
        refusal("InternalServerError", 500),
        # Without a name that is known, by its status alone.
        refusal("SomethingNew", 503),
        refusal("TransactionInProgressException"),
        refusal("TransactionConflictException"),
        ReadTimeoutError(endpoint_url="https://x"),
    ],
)
def test_an_outage_is_one_in_every_call(
    dynamodb: Scripted, database: Database, call: Callable[[Database], None], answer: Any
) -> None:
    dynamodb.answers = [answer]
    with pytest.raises(UnavailableError):
        call(database)


@pytest.mark.parametrize("call", CALLS)
def test_a_refusal_of_rights_is_an_outage_and_logged(
    dynamodb: Scripted,
    database: Database,
    call: Callable[[Database], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    dynamodb.answers = [refusal("AccessDeniedException")]
    with pytest.raises(UnavailableError):
        call(database)
    assert "AccessDeniedException" in caplog.text


@pytest.mark.parametrize("call", CALLS)
def test_a_mistake_of_ours_is_raised_as_it_is(
    dynamodb: Scripted, database: Database, call: Callable[[Database], None]
) -> None:
    dynamodb.answers = [refusal("ValidationException")]
    with pytest.raises(PynamoDBException):
        call(database)


def test_a_failed_condition_of_a_single_put_is_no_error(
    dynamodb: Scripted, posts: DynamoPostStore, post: Post
) -> None:
    # Given
    dynamodb.answers = [refusal("ConditionalCheckFailedException"), refusal("Other")]
    # When / Then
    posts.fanned_out(an_event(post), expires_at=START)
    with pytest.raises(PutError):
        posts.fanned_out(an_event(post), expires_at=START)


# Pages and leftovers


def test_a_post_that_lacks_a_target_is_read_again(
    dynamodb: Scripted, posts: DynamoPostStore, post: Post
) -> None:
    # Given a query that came upon a transaction half way
    rows = [post_row(post), *(target_row(target) for target in post.targets)]
    whole = [row.serialize() for row in rows]
    dynamodb.answers = [{"Items": whole[:-1]}, {"Items": whole}]
    # When / Then
    assert posts.read(post.id) == post


def test_a_post_that_always_lacks_a_target_is_not_made_up(
    dynamodb: Scripted, posts: DynamoPostStore, post: Post
) -> None:
    dynamodb.answers = [{"Items": [post_row(post).serialize()]}] * 3
    with pytest.raises(UnavailableError):
        posts.read(post.id)


def test_targets_without_a_post_are_none(
    dynamodb: Scripted, posts: DynamoPostStore, post: Post
) -> None:
    dynamodb.answers = [{"Items": [target_row(post.targets[0]).serialize()]}]
    assert posts.read(post.id) is None


def test_a_read_asks_for_post_and_targets_only_and_strongly(
    dynamodb: Scripted, posts: DynamoPostStore, post: Post
) -> None:
    # Given
    dynamodb.answers = [{"Items": []}]
    # When
    posts.read(post.id)
    # Then
    ((_, sent),) = dynamodb.sent
    assert sent["ConsistentRead"] is True
    values = {value["S"] for value in sent["ExpressionAttributeValues"].values()}
    assert values == {f"POST#{post.id}", "POST", "TARGET#~"}
    first, last = keys.POST_AND_TARGETS
    assert f"{keys.EVENTS}~" < first < keys.TARGETS < last


def test_rows_left_over_are_asked_for_again(dynamodb: Scripted, database: Database) -> None:
    # Given
    account = an_account()
    left = {"pk": {"S": "x"}, "sk": {"S": "y"}}
    dynamodb.answers = [
        {"Responses": {"w": []}, "UnprocessedKeys": {"w": {"Keys": [left]}}},
        {"Responses": {"w": [account_row(account).serialize()]}, "UnprocessedKeys": {}},
    ]
    # When
    directory = DynamoDirectory(database, workspaces_table="w", clock=FakeClock())
    found = directory.member_and_accounts(WORKSPACE_ID, USER_ID, [account.id]).accounts
    # Then
    assert found == {account.id: account}
    assert dynamodb.sent[1][1]["RequestItems"]["w"]["Keys"] == [left]
    assert len(dynamodb.pauses) == 1


def test_rows_always_left_over_are_an_outage(dynamodb: Scripted, database: Database) -> None:
    left = {"w": {"Keys": [{"pk": {"S": "x"}, "sk": {"S": "y"}}]}}
    dynamodb.answers = [{"Responses": {}, "UnprocessedKeys": left}] * 3
    with pytest.raises(UnavailableError):
        read_many(database)


def test_an_index_is_read_only_as_far_as_is_asked(
    dynamodb: Scripted, posts: DynamoPostStore
) -> None:
    # Given a first shard that has more pages, and others that are empty
    def row(number: int) -> dict[str, Any]:
        return {
            "pk": {"S": f"POST#post_{number}"},
            "sk": {"S": "POST"},
            "dueAt": {"S": f"2026-06-01T09:00:0{number}.000Z"},
        }

    more = {"pk": {"S": "POST#post_2"}, "sk": {"S": "POST"}}
    dynamodb.answers = [
        {"Items": [row(1), row(2)], "LastEvaluatedKey": more},
        {"Items": []},
        {"Items": []},
        {"Items": []},
        {"Items": [row(3)], "LastEvaluatedKey": more},
    ]
    # When
    due = posts.due_posts(START, 3)
    # Then
    assert due == ["post_1", "post_2", "post_3"]
    assert [sent["Limit"] for _, sent in dynamodb.sent] == [3, 3, 3, 3, 1]


def test_a_failing_query_stays_a_query_error(dynamodb: Scripted, posts: DynamoPostStore) -> None:
    dynamodb.answers = [refusal("ResourceNotFoundException")]
    with pytest.raises(QueryError):
        posts.read("post_1")


# Pages of deliveries


@pytest.fixture
def webhooks(database: Database) -> DynamoWebhookStore:
    return DynamoWebhookStore(database, webhooks_table="w")


DROPPED = DeliveryFilter(statuses=frozenset({DeliveryStatus.DROPPED}))


def some(*deliveries: Delivery, looked_at: int, last: str | None) -> dict[str, Any]:
    """Build the answer to a query that looked at so many rows, up to the one of that id."""
    key = {"pk": {"S": "ENDPOINT#wh_1"}, "sk": {"S": f"DELIVERY#{last}"}}
    return {
        "Items": [delivery_row(delivery).serialize() for delivery in deliveries],
        "ScannedCount": looked_at,
        **({} if last is None else {"LastEvaluatedKey": key}),
    }


def test_a_page_of_everything_reads_one_row_more_than_it_has(
    dynamodb: Scripted, webhooks: DynamoWebhookStore
) -> None:
    # Given
    first, second, third = (a_delivery() for _ in range(3))
    dynamodb.answers = [some(third, second, first, looked_at=3, last=first.id)]
    # When
    page = webhooks.deliveries("wh_1", DeliveryFilter(), limit=2)
    # Then
    assert page.deliveries == (third, second)
    assert page.next_before == second.id
    ((_, sent),) = dynamodb.sent
    assert sent["Limit"] == 3
    assert sent["ConsistentRead"] is True
    assert sent["ScanIndexForward"] is False
    assert "FilterExpression" not in sent


def test_large_rows_are_read_on_until_the_page_is_full(
    dynamodb: Scripted, webhooks: DynamoWebhookStore
) -> None:
    # Given rows of which a megabyte holds two
    first, second, third = (a_delivery() for _ in range(3))
    dynamodb.answers = [
        some(third, second, looked_at=2, last=second.id),
        some(first, looked_at=1, last=None),
    ]
    # When
    page = webhooks.deliveries("wh_1", DeliveryFilter(), limit=5)
    # Then
    assert page.deliveries == (third, second, first)
    assert page.next_before is None
    assert [sent["Limit"] for _, sent in dynamodb.sent] == [6, 4]
    assert dynamodb.sent[1][1]["ExclusiveStartKey"]["sk"] == {"S": f"DELIVERY#{second.id}"}


def test_a_page_looks_through_so_many_rows_and_tells_where_it_stopped(
    dynamodb: Scripted, webhooks: DynamoWebhookStore
) -> None:
    # Given
    found = a_delivery()
    dynamodb.answers = [
        some(looked_at=600, last="dlv_2"),
        some(found, looked_at=400, last="dlv_1"),
    ]
    # When
    page = webhooks.deliveries("wh_1", DROPPED, limit=2)
    # Then
    assert page.deliveries == (found,)
    assert page.next_before == "dlv_1"
    assert [sent["Limit"] for _, sent in dynamodb.sent] == [
        MOST_LOOKED_THROUGH,
        MOST_LOOKED_THROUGH - 600,
    ]


def test_a_page_makes_so_many_queries_and_may_be_empty(
    dynamodb: Scripted, webhooks: DynamoWebhookStore
) -> None:
    # Given
    dynamodb.answers = [some(looked_at=1, last=f"dlv_{n}") for n in range(MOST_QUERIES)]
    # When
    page = webhooks.deliveries("wh_1", DROPPED, limit=2)
    # Then
    assert page.deliveries == ()
    assert page.next_before == f"dlv_{MOST_QUERIES - 1}"


@pytest.mark.parametrize(
    ("until", "before", "expected"),
    [
        (None, None, "~"),
        (None, "dlv_01KT15XEG0AAAAAAAAAAAAAAAA", "dlv_01KT15XEG0AAAAAAAAAAAAAAAA"),
        # A minute later, as clocks differ.
        (START, None, made_of(START + timedelta(minutes=1))),
        (START, made_of(START), made_of(START)),
        (START, made_of(LATER), made_of(START + timedelta(minutes=1))),
    ],
)
def test_only_ids_that_can_be_wanted_are_looked_through(
    dynamodb: Scripted,
    webhooks: DynamoWebhookStore,
    until: datetime | None,
    before: str | None,
    expected: str,
) -> None:
    # Given
    dynamodb.answers = [some(looked_at=0, last=None)]
    # When
    webhooks.deliveries("wh_1", DeliveryFilter(until=until), limit=2, before=before)
    # Then
    ((_, sent),) = dynamodb.sent
    assert {"S": f"DELIVERY#{expected}"} in sent["ExpressionAttributeValues"].values()


def test_no_other_row_of_an_endpoint_sorts_before_its_deliveries() -> None:
    assert min(keys.ENDPOINT, keys.HEALTH, keys.PACE) > f"{keys.DELIVERIES}~"


# The destination of a delivery


def test_a_destination_costs_one_call_and_is_read_strongly(
    dynamodb: Scripted, webhooks: DynamoWebhookStore
) -> None:
    # Given
    endpoint = an_endpoint()
    health = Health(endpoint_id=endpoint.id, workspace_id=endpoint.workspace_id, failures=3)
    rows = [health_row(health).serialize(), endpoint_row(endpoint).serialize()]
    dynamodb.answers = [{"Responses": {"w": rows}, "UnprocessedKeys": {}}]
    # When
    found = webhooks.destination(endpoint.workspace_id, endpoint.id)
    # Then
    assert found == Destination(endpoint=endpoint, health=health)
    ((operation, sent),) = dynamodb.sent
    assert operation == "BatchGetItem"
    assert sent["RequestItems"]["w"]["ConsistentRead"] is True


# The pace of an endpoint


def paced(free_at: datetime) -> dict[str, Any]:
    microseconds = (free_at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return {"pk": {"S": "x"}, "sk": {"S": "PACE"}, "freeAt": {"N": str(microseconds)}}


def test_a_moment_that_is_free_is_reserved_by_one_call(
    dynamodb: Scripted, webhooks: DynamoWebhookStore
) -> None:
    dynamodb.answers = [{"Attributes": paced(START + timedelta(seconds=2))}]
    assert webhooks.reserve("wh_1", now=START, interval=timedelta(seconds=2)) == START
    assert dynamodb.operations == ["UpdateItem"]


def test_the_next_moment_is_reserved_by_two_that_never_add(
    dynamodb: Scripted, webhooks: DynamoWebhookStore
) -> None:
    # Given
    later = START + timedelta(seconds=5)
    dynamodb.answers = [
        not_met(paced(later)),
        {"Attributes": paced(later + timedelta(seconds=2))},
    ]
    # Then
    assert webhooks.reserve("wh_1", now=START, interval=timedelta(seconds=2)) == later
    assert all(sent["UpdateExpression"].startswith("SET ") for _, sent in dynamodb.sent)
    assert all(sent["ConditionExpression"] for _, sent in dynamodb.sent)


def test_a_pace_that_goes_back_meanwhile_is_an_outage(
    dynamodb: Scripted, webhooks: DynamoWebhookStore
) -> None:
    dynamodb.answers = [not_met(paced(LATER)), not_met(None)]
    with pytest.raises(UnavailableError):
        webhooks.reserve("wh_1", now=START, interval=timedelta(seconds=2))


# Guards of endpoints


@pytest.mark.parametrize(
    ("reasons", "error"),
    [
        ((FAILED, NONE), AccessLostError),
        ((FAILED, FAILED), AccessLostError),
        ((NONE, FAILED), LostRaceError),
        (("TransactionConflict", FAILED), LostRaceError),
        (("ThrottlingError", NONE), UnavailableError),
    ],
)
def test_access_that_is_lost_is_told_apart_from_a_race(
    dynamodb: Scripted, database: Database, reasons: tuple[str, ...], error: type[Exception]
) -> None:
    # Given
    webhooks = DynamoWebhookStore(database, webhooks_table="w", workspaces_table="ws")
    dynamodb.answers = [cancelled(*reasons)]
    # When / Then
    with pytest.raises(error):
        webhooks.replace_endpoint(an_endpoint(revision=2), expected_revision=1, guard=GUARD)


def test_an_endpoint_whose_place_is_taken_exists(
    dynamodb: Scripted, webhooks: DynamoWebhookStore
) -> None:
    dynamodb.answers = [cancelled(NONE, FAILED)]
    with pytest.raises(LostRaceError):
        webhooks.add_endpoint(an_endpoint())


def test_a_guarded_endpoint_without_a_workspaces_table_is_a_mistake(
    webhooks: DynamoWebhookStore,
) -> None:
    with pytest.raises(RuntimeError, match="guard"):
        webhooks.add_endpoint(an_endpoint(), guard=GUARD)


# Counting requests


def counted(key: ApiKey, minute_left: int, *, minutes: int = 0) -> dict[str, Any]:
    """Return a key's row as DynamoDB has it, counted in the windows so many minutes from START."""
    minute, quarter_hour = windows_at(START + timedelta(minutes=minutes))
    row = key_row(key)
    row.minute, row.minute_left = minute, minute_left
    row.quarter_hour, row.quarter_hour_left = quarter_hour, 50
    serialized: dict[str, Any] = row.serialize()
    return serialized


def not_met(row: dict[str, Any] | None) -> dict[str, Any]:
    """Build the answer to an update whose condition did not hold on that row."""
    refused = refusal("ConditionalCheckFailedException")
    return refused if row is None else {**refused, "Item": row}


@pytest.fixture
def directory(database: Database) -> DynamoDirectory:
    return DynamoDirectory(database, workspaces_table="w", clock=FakeClock())


def test_a_request_is_counted_by_the_update_that_reads_its_key(
    dynamodb: Scripted, directory: DynamoDirectory
) -> None:
    # Given
    key = a_key()
    dynamodb.answers = [{"Attributes": counted(key, 5)}]
    # Then
    assert directory.admit(key.digest) == key
    assert dynamodb.operations == ["UpdateItem"]


def test_an_unknown_key_costs_one_call(dynamodb: Scripted, directory: DynamoDirectory) -> None:
    dynamodb.answers = [not_met(None)]
    assert directory.admit("d") is None
    assert dynamodb.operations == ["UpdateItem"]


def test_a_full_window_costs_one_call(dynamodb: Scripted, directory: DynamoDirectory) -> None:
    key = a_key()
    dynamodb.answers = [not_met(counted(key, 0))]
    with pytest.raises(RateLimitedError) as refused:
        directory.admit(key.digest)
    assert refused.value.retry_after_ms == 60_000


def test_opening_a_window_costs_one_call_more(
    dynamodb: Scripted, directory: DynamoDirectory
) -> None:
    # Given
    key = a_key(requests_per_minute=9)
    dynamodb.answers = [
        not_met(counted(key, 5, minutes=-1)),
        {"Attributes": counted(key, 8)},
    ]
    # When
    assert directory.admit(key.digest) == key
    # Then the windows are written whole, on the condition that they are as they were read
    assert dynamodb.operations == ["UpdateItem"] * 2
    sent = dynamodb.sent[1][1]
    names = set(sent["ExpressionAttributeNames"].values())
    assert names == {"revision", "minute", "minuteLeft", "quarterHour", "quarterHourLeft"}
    minute, _ = windows_at(START)
    values = [value["N"] for value in sent["ExpressionAttributeValues"].values()]
    assert {str(minute), str(minute - 1), "8", "5"} <= set(values)


def test_who_is_late_to_open_a_window_is_counted_in_it(
    dynamodb: Scripted, directory: DynamoDirectory
) -> None:
    """So it is, too, with one who opened it and whose answer was lost."""
    # Given
    key = a_key()
    opened = counted(key, 5)
    dynamodb.answers = [
        not_met(counted(key, 0, minutes=-1)),
        not_met(opened),
        {"Attributes": opened},
    ]
    # Then
    assert directory.admit(key.digest) == key
    assert dynamodb.operations == ["UpdateItem"] * 3


def test_a_key_that_was_revoked_meanwhile_is_seen_as_revoked(
    dynamodb: Scripted, directory: DynamoDirectory
) -> None:
    # Given one whose window is opened while it is revoked
    key = a_key()
    revoked = replace(key, revoked_at=START, revision=2)
    row = key_row(revoked).serialize()
    dynamodb.answers = [not_met(counted(key, 0, minutes=-1)), not_met(row), not_met(row)]
    # Then
    assert directory.admit(key.digest) == revoked


def test_a_count_that_keeps_moving_is_given_up(
    dynamodb: Scripted, directory: DynamoDirectory
) -> None:
    key = a_key()
    dynamodb.answers = [not_met(counted(key, 5, minutes=-1))] * 16
    with pytest.raises(UnavailableError, match="kept moving"):
        directory.admit(key.digest)


def test_an_outage_while_a_window_is_opened_is_one(
    dynamodb: Scripted, directory: DynamoDirectory
) -> None:
    key = a_key()
    dynamodb.answers = [not_met(counted(key, 5, minutes=-1)), refusal("ThrottlingException")]
    with pytest.raises(UnavailableError):
        directory.admit(key.digest)
