"""What must hold for the whole template, read after the SAM transform."""

from __future__ import annotations

import re
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest

from postbreeze.adapters.storage import PENDING
from postbreeze.domain.media import PENDING_AT_MOST
from tests.support.template import (
    as_list,
    policy_documents,
    resources,
    source,
    statements,
    translated,
)

STATEFUL = {"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::S3::Bucket"}

# A wildcard that stands for the names below one parent which are only made while it runs.
CHILDREN = (":log-stream:*", ":schedule/${ScheduleGroup}/post_*", "/uploads/*")

LOOK = "sqs:GetQueueAttributes"
READ_QUEUE = {"sqs:ReceiveMessage", "sqs:DeleteMessage", LOOK}
OWN_LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
QUERY, GET, PUT = "dynamodb:Query", "dynamodb:GetItem", "dynamodb:PutItem"
BATCH_GET, CHECK = "dynamodb:BatchGetItem", "dynamodb:ConditionCheckItem"
COUNT, DELETE = "dynamodb:UpdateItem", "dynamodb:DeleteItem"
ARM, DISARM = "scheduler:CreateSchedule", "scheduler:DeleteSchedule"
READ_OBJECT, LIST_BUCKET = "s3:GetObject", "s3:ListBucket"
SEND, PUBLISH, OPEN = "sqs:SendMessage", "sns:Publish", "kms:Decrypt"

# What each function may do, by the resource it may do it to.
GRANTS: dict[str, dict[str, set[str]]] = {
    "CancelPost": {
        "PostsTable": {QUERY, GET, PUT, CHECK},
        "WorkspacesTable": {COUNT, GET, CHECK},
        "schedules": {DISARM},
        "EventsTopic": {PUBLISH},
    },
    "PostsApi": {
        "PostsTable": {QUERY, GET, BATCH_GET, PUT, COUNT, DELETE, CHECK},
        "PostsTable/index/listing": {QUERY},
        "PostsTable/index/byStatus": {QUERY},
        "PostsTable/index/moved": {QUERY},
        "WorkspacesTable/index/membershipsByUser": {QUERY},
        "WorkspacesTable": {COUNT, GET, BATCH_GET, CHECK},
        "schedules": {ARM, DISARM},
        "ScheduleRole": {"iam:PassRole"},
        "PublishQueue": {SEND},
        "EventsTopic": {PUBLISH},
        "MediaTable": {GET, BATCH_GET, PUT, CHECK},
        "MediaBucket/uploads/*": {READ_OBJECT, "s3:DeleteObjectTagging"},
        "MediaBucket": {LIST_BUCKET},
    },
    "MediaApi": {
        "PostsTable": {QUERY, BATCH_GET},
        "WorkspacesTable": {COUNT, GET, BATCH_GET},
        "WorkspacesTable/index/membershipsByUser": {QUERY},
        "MediaTable": {QUERY, GET, BATCH_GET, PUT, DELETE},
        "MediaTable/index/library": {QUERY},
        "MediaBucket/uploads/*": {
            READ_OBJECT,
            "s3:PutObject",
            "s3:PutObjectTagging",
            "s3:DeleteObjectTagging",
            "s3:DeleteObject",
        },
        "MediaBucket": {LIST_BUCKET},
    },
    "WebhooksApi": {
        "PostsTable": {GET},
        "WorkspacesTable": {COUNT, GET, CHECK},
        "WebhooksTable": {QUERY, GET, PUT, DELETE},
        "WebhooksTable/index/due": {QUERY},
        "WebhookSecretsKey": {"kms:Encrypt"},
        "DeliveryQueue": {SEND},
        "DeliveryLateQueue": {SEND},
    },
    "WorkspacesApi": {
        "PostsTable": {QUERY, GET, PUT, DELETE, CHECK},
        "PostsTable/index/targetsByAccount": {QUERY},
        "WorkspacesTable": {COUNT, QUERY, GET, BATCH_GET, PUT, CHECK},
        "WorkspacesTable/index/membershipsByUser": {QUERY},
        "schedules": {DISARM},
        "EventsTopic": {PUBLISH},
    },
    "DocsApi": {},
    "StartPublish": {
        "PostsTable": {QUERY, PUT, CHECK},
        "PublishQueue": {SEND},
        "EventsTopic": {PUBLISH},
        "ScheduleDeadLetterQueue": {SEND},
    },
    "PublishTarget": {
        "PostsTable": {QUERY, PUT, CHECK},
        "WorkspacesTable": {GET},
        "AccountSecretsKey": {OPEN},
        "MediaBucket/uploads/*": {READ_OBJECT},
        "MediaBucket": {LIST_BUCKET},
        "PublishQueue": READ_QUEUE | {SEND},
        "EventsTopic": {PUBLISH},
    },
    "FanOutEvent": {
        "PostsTable": {GET, PUT},
        "WebhooksTable": {QUERY, PUT},
        "FanOutQueue": READ_QUEUE,
        "DeliveryQueue": {SEND},
    },
    "DeliverWebhook": {
        "PostsTable": {GET},
        "WebhooksTable": {QUERY, GET, BATCH_GET, PUT, COUNT},
        "WebhookSecretsKey": {OPEN},
        "DeliveryQueue": READ_QUEUE | {SEND},
        "DeliveryLateQueue": READ_QUEUE | {SEND},
    },
    "Reconcile": {
        "PostsTable": {QUERY, GET, PUT, DELETE, CHECK},
        "PostsTable/index/due": {QUERY},
        "PostsTable/index/pending": {QUERY},
        "PostsTable/index/targetsByAccount": {QUERY},
        "WebhooksTable/index/due": {QUERY},
        "WebhooksTable": {QUERY, GET, PUT},
        "schedules": {ARM, DISARM},
        "ScheduleRole": {"iam:PassRole"},
        "EventsTopic": {PUBLISH},
        "FanOutQueue": {LOOK},
        "PublishQueue": {SEND, LOOK},
        "DeliveryQueue": {SEND, LOOK},
        "DeliveryLateQueue": {SEND, LOOK},
    },
}

EVERYWHERE = {
    "STAGE",
    "POWERTOOLS_SERVICE_NAME",
    "POWERTOOLS_METRICS_NAMESPACE",
    "POWERTOOLS_LOG_LEVEL",
}
ARMING = {"SCHEDULE_GROUP", "SCHEDULE_ROLE_ARN", "START_PUBLISH_ARN", "SCHEDULE_DLQ_ARN"}
VARIABLES: dict[str, set[str]] = {
    "CancelPost": {"POSTS_TABLE", "WORKSPACES_TABLE", "EVENTS_TOPIC_ARN", "SCHEDULE_GROUP"},
    "PostsApi": {
        "POSTS_TABLE",
        "WORKSPACES_TABLE",
        "EVENTS_TOPIC_ARN",
        "PUBLISH_QUEUE_URL",
        "MEDIA_TABLE",
        "MEDIA_BUCKET",
    }
    | ARMING,
    "MediaApi": {
        "POSTS_TABLE",
        "WORKSPACES_TABLE",
        "MEDIA_TABLE",
        "MEDIA_BUCKET",
        "EGRESS_ALLOW_LOOPBACK",
    },
    "WebhooksApi": {
        "POSTS_TABLE",
        "WORKSPACES_TABLE",
        "WEBHOOKS_TABLE",
        "WEBHOOK_SECRETS_KEY_ARN",
        "DELIVERY_QUEUE_URL",
        "LATE_DELIVERY_QUEUE_URL",
        "EGRESS_ALLOW_LOOPBACK",
    },
    "WorkspacesApi": {"POSTS_TABLE", "WORKSPACES_TABLE", "EVENTS_TOPIC_ARN", "SCHEDULE_GROUP"},
    "DocsApi": set(),
    "StartPublish": {"POSTS_TABLE", "PUBLISH_QUEUE_URL", "EVENTS_TOPIC_ARN"},
    "PublishTarget": {
        "POSTS_TABLE",
        "WORKSPACES_TABLE",
        "ACCOUNT_SECRETS_KEY_ARN",
        "PUBLISH_QUEUE_URL",
        "EVENTS_TOPIC_ARN",
        "MEDIA_BUCKET",
        "BLUESKY_URL",
        "EGRESS_ALLOW_LOOPBACK",
    },
    "FanOutEvent": {"POSTS_TABLE", "WEBHOOKS_TABLE", "DELIVERY_QUEUE_URL"},
    "DeliverWebhook": {
        "POSTS_TABLE",
        "WEBHOOKS_TABLE",
        "WEBHOOK_SECRETS_KEY_ARN",
        "DELIVERY_QUEUE_URL",
        "LATE_DELIVERY_QUEUE_URL",
        "EGRESS_ALLOW_LOOPBACK",
    },
    "Reconcile": {
        "POSTS_TABLE",
        "WEBHOOKS_TABLE",
        "EVENTS_TOPIC_ARN",
        "FAN_OUT_QUEUE_URL",
        "PUBLISH_QUEUE_URL",
        "DELIVERY_QUEUE_URL",
        "LATE_DELIVERY_QUEUE_URL",
    }
    | ARMING,
}

FUNCTIONS = sorted(GRANTS)


def target(resource: Any) -> str:
    """Return which of our resources a policy's resource names, in the words of GRANTS."""
    if "Ref" in resource:
        return str(resource["Ref"])
    if "Fn::GetAtt" in resource:
        return str(resource["Fn::GetAtt"][0])
    text = str(resource["Fn::Sub"])
    if text.endswith(CHILDREN[1]):
        return "schedules"
    if ":log-group:" in text:
        return "log"
    return re.sub(r"^\$\{(\w+)\.Arn\}", r"\1", text)


def granted(function: str) -> dict[str, set[str]]:
    """Return the grants of a function's role in the shape of GRANTS."""
    found: dict[str, set[str]] = {}
    for statement in statements(f"{function}Role"):
        for resource in as_list(statement["Resource"]):
            found.setdefault(target(resource), set()).update(as_list(statement["Action"]))
    return found


def variables(function: str) -> set[str]:
    properties = resources("AWS::Lambda::Function")[f"{function}Function"]["Properties"]
    return set(properties["Environment"]["Variables"])


def test_the_functions_are_those_known_here() -> None:
    assert set(resources("AWS::Lambda::Function")) == {f"{name}Function" for name in FUNCTIONS}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_exactly_what_it_does(function: str) -> None:
    # Given the role of the function
    properties = resources("AWS::Lambda::Function")[f"{function}Function"]["Properties"]
    assert properties["Role"] == {"Fn::GetAtt": [f"{function}Role", "Arn"]}
    # Then it grants these actions on these resources and its own log, and nothing else
    assert granted(function) == {**GRANTS[function], "log": OWN_LOG}
    own_log = [s for s in statements(f"{function}Role") if s["Sid"] == "WriteOwnLog"]
    assert f"log-group:${{{function}LogGroup}}:log-stream:*" in own_log[0]["Resource"]["Fn::Sub"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_sees_exactly_the_variables_it_reads(function: str) -> None:
    assert variables(function) == VARIABLES[function] | EVERYWHERE


def test_roles_are_passed_to_the_scheduler_only() -> None:
    for function in ("PostsApi", "Reconcile"):
        passing = [s for s in statements(f"{function}Role") if s["Action"] == "iam:PassRole"]
        assert [s["Condition"] for s in passing] == [
            {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}
        ]


def test_only_keys_are_updated_to_count_their_requests() -> None:
    counting = [
        statement
        for function in FUNCTIONS
        for statement in statements(f"{function}Role")
        if COUNT in as_list(statement["Action"])
        and target(statement["Resource"]) == "WorkspacesTable"
    ]
    assert len(counting) >= 2
    for statement in counting:
        assert statement["Action"] == COUNT
        assert statement["Condition"] == {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": "KEY#*"},
        }


def test_the_only_managed_policy_is_the_one_of_x_ray() -> None:
    for name, role in resources("AWS::IAM::Role").items():
        managed = role["Properties"].get("ManagedPolicyArns")
        if name == "ScheduleRole":
            assert managed is None
            continue
        condition, traced, otherwise = managed["Fn::If"]
        assert condition == "IsTraced"
        assert [arn["Fn::Sub"].rpartition("/")[2] for arn in traced] == ["AWSXRayDaemonWriteAccess"]
        assert otherwise == {"Ref": "AWS::NoValue"}


def test_only_what_is_kept_of_endpoints_alone_is_updated_to_pace_them() -> None:
    (pacing,) = [s for s in statements("DeliverWebhookRole") if s["Action"] == COUNT]
    assert pacing["Condition"] == {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": "ENDPOINT#*"},
    }


def test_only_the_deliverer_opens_secrets_of_webhooks_and_the_publisher_those_of_accounts() -> None:
    opening = {
        (function, target(resource))
        for function in FUNCTIONS
        for statement in statements(f"{function}Role")
        if any(action.startswith("kms:") for action in as_list(statement["Action"]))
        and OPEN in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }
    assert opening == {
        ("DeliverWebhook", "WebhookSecretsKey"),
        ("PublishTarget", "AccountSecretsKey"),
    }


def test_each_queue_has_workers_of_its_own_and_operators_say_how_many() -> None:
    mappings = resources("AWS::Lambda::EventSourceMapping").values()
    workers = {
        mapping["Properties"]["EventSourceArn"]["Fn::GetAtt"][0]: mapping["Properties"][
            "ScalingConfig"
        ]["MaximumConcurrency"]
        for mapping in mappings
    }
    assert workers == {
        "PublishQueue": {"Ref": "Publications"},
        "FanOutQueue": 10,
        "DeliveryQueue": {"Ref": "PromptDeliveries"},
        "DeliveryLateQueue": {"Ref": "LateDeliveries"},
    }
    for parameter in ("Publications", "PromptDeliveries", "LateDeliveries"):
        assert source()["Parameters"][parameter]["MinValue"] == 2, "Lambda takes no less"


def test_no_policy_has_a_wildcard_action_or_resource() -> None:
    seen = 0
    for at, document in policy_documents(translated()["Resources"]):
        if at.startswith("/MediaBucketPolicy/"):
            continue  # takes rights away; see below
        for statement in document["Statement"]:
            seen += 1
            assert statement["Effect"] == "Allow", at
            assert not {"NotAction", "NotResource", "NotPrincipal"} & set(statement), at
            assert not [action for action in as_list(statement["Action"]) if "*" in action], at
            for resource in as_list(statement.get("Resource", [])):
                text = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
                if at.endswith("/KeyPolicy"):
                    # A key's own policy can only say "*", and it means that key.
                    assert text == "*", at
                else:
                    named = text.removesuffix("*") if text.endswith(CHILDREN) else text
                    assert "*" not in named, at
            assert "*" not in as_list(statement.get("Principal", {"Service": ""})), at
    assert seen > len(FUNCTIONS)


def test_every_statement_says_what_it_is_for() -> None:
    for at, document in policy_documents(translated()["Resources"]):
        names = [statement["Sid"] for statement in document["Statement"]]
        assert len(set(names)) == len(names), at


def test_the_schedules_role_is_for_our_schedules_only() -> None:
    role = resources("AWS::IAM::Role")["ScheduleRole"]["Properties"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    condition = trust["Condition"]["StringEquals"]
    assert condition["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert condition["aws:SourceArn"]["Fn::Sub"].endswith(":schedule-group/${ScheduleGroup}")
    assert {target(s["Resource"]): s["Action"] for s in statements("ScheduleRole")} == {
        "StartPublishFunction": "lambda:InvokeFunction",
        "ScheduleDeadLetterQueue": "sqs:SendMessage",
    }


def test_every_queue_has_a_dead_letter_queue_or_is_one() -> None:
    queues = resources("AWS::SQS::Queue")
    dead = {name for name in queues if name.endswith("DeadLetterQueue")}
    for name in set(queues) - dead:
        redrive = queues[name]["Properties"]["RedrivePolicy"]
        expected = f"{name.removesuffix('Queue')}DeadLetterQueue"
        assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": [expected, "Arn"]}
        assert expected in dead
        assert 3 <= redrive["maxReceiveCount"] <= 10
    for name in dead:
        assert queues[name]["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert {q["Properties"].get("SqsManagedSseEnabled") for q in queues.values()} == {True}


def test_a_message_stays_hidden_for_six_times_as_long_as_its_function_may_run() -> None:
    queues, functions = resources("AWS::SQS::Queue"), resources("AWS::Lambda::Function")
    mappings = resources("AWS::Lambda::EventSourceMapping").values()
    assert len(mappings) == 4
    for mapping in mappings:
        properties = mapping["Properties"]
        queue = queues[properties["EventSourceArn"]["Fn::GetAtt"][0]]["Properties"]
        function = functions[properties["FunctionName"]["Ref"]]["Properties"]
        assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
        assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert properties["BatchSize"] <= 10


def test_fires_that_fail_are_kept() -> None:
    configs = resources("AWS::Lambda::EventInvokeConfig")
    config = configs["StartPublishFunctionEventInvokeConfig"]["Properties"]
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == {
        "Fn::GetAtt": ["ScheduleDeadLetterQueue", "Arn"]
    }


def test_what_holds_state_is_retained() -> None:
    stateful = [r for kind in STATEFUL for r in resources(kind).values()]
    assert len(stateful) == 7
    for resource in stateful:
        assert resource["DeletionPolicy"] == "Retain"
        assert resource["UpdateReplacePolicy"] == "Retain"


def test_tables_are_protected_and_pay_as_they_go() -> None:
    for table in resources("AWS::DynamoDB::Table").values():
        properties = table["Properties"]
        assert properties["BillingMode"] == "PAY_PER_REQUEST"
        assert properties["PointInTimeRecoverySpecification"] == {
            "PointInTimeRecoveryEnabled": True
        }
        assert properties["SSESpecification"] == {"SSEEnabled": True}
        assert properties["DeletionProtectionEnabled"] == {"Ref": "DeletionProtection"}
        assert properties["TimeToLiveSpecification"] == {
            "AttributeName": "expiresAt",
            "Enabled": True,
        }
    assert source()["Parameters"]["DeletionProtection"]["Default"] == "true"


def test_every_function_logs_json_to_a_group_of_its_own_that_forgets() -> None:
    groups = resources("AWS::Logs::LogGroup")
    for function in FUNCTIONS:
        properties = resources("AWS::Lambda::Function")[f"{function}Function"]["Properties"]
        assert properties["LoggingConfig"]["LogGroup"] == {"Ref": f"{function}LogGroup"}
        assert properties["LoggingConfig"]["LogFormat"] == "JSON"
        name = groups[f"{function}LogGroup"]["Properties"]["LogGroupName"]["Fn::Sub"]
        assert name == f"/aws/lambda/{properties['FunctionName']['Fn::Sub']}"
    assert {str(g["Properties"]["RetentionInDays"]) for g in groups.values()} == {
        "{'Ref': 'LogRetentionDays'}"
    }


def test_an_alarm_watches_every_dead_letter_queue_and_every_function() -> None:
    alarms = resources("AWS::CloudWatch::Alarm")
    watched = {
        (alarm["Properties"]["MetricName"], next(iter(dimension["Value"].values())))
        for alarm in alarms.values()
        for dimension in alarm["Properties"]["Dimensions"]
        if isinstance(dimension["Value"].get("Ref"), str)
    } | {
        (alarm["Properties"]["MetricName"], dimension["Value"]["Fn::GetAtt"][0])
        for alarm in alarms.values()
        for dimension in alarm["Properties"]["Dimensions"]
        if "Fn::GetAtt" in dimension["Value"]
    }
    dead = {name for name in resources("AWS::SQS::Queue") if name.endswith("DeadLetterQueue")}
    assert watched >= {("ApproximateNumberOfMessagesVisible", name) for name in dead}
    assert watched >= {("Errors", f"{function}Function") for function in FUNCTIONS}
    assert {alarm["Condition"] for alarm in alarms.values()} == {"HasAlarms"}


def test_a_deployment_to_aws_cannot_reach_itself_unless_told_to() -> None:
    parameter = source()["Parameters"]["EgressAllowLoopback"]
    assert parameter["Default"] == "false"
    for function in ("PublishTarget", "DeliverWebhook", "MediaApi", "WebhooksApi"):
        properties = resources("AWS::Lambda::Function")[f"{function}Function"]["Properties"]
        assert properties["Environment"]["Variables"]["EGRESS_ALLOW_LOOPBACK"] == {
            "Ref": "EgressAllowLoopback"
        }


def test_only_published_messages_of_our_topic_reach_the_fan_out_queue() -> None:
    for policy in resources("AWS::SQS::QueuePolicy").values():
        (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "sns.amazonaws.com"}
        assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": "EventsTopic"}}}
    (topic,) = resources("AWS::SNS::Topic").values()
    assert topic["Properties"]["KmsMasterKeyId"] == "alias/aws/sns"
    (subscription,) = resources("AWS::SNS::Subscription").values()
    assert subscription["Properties"]["RawMessageDelivery"] is True


def test_a_path_belongs_to_one_function_whatever_its_method() -> None:
    # Given the routes but the one for everything else, and who may be called by which
    integrations = resources("AWS::ApiGatewayV2::Integration")
    permissions = [
        permission["Properties"]
        for permission in resources("AWS::Lambda::Permission").values()
        if permission["Properties"]["Principal"] == "apigateway.amazonaws.com"
    ]
    for route in resources("AWS::ApiGatewayV2::Route").values():
        method, _, path = route["Properties"]["RouteKey"].partition(" ")
        name = route["Properties"]["Target"]["Fn::Sub"].removeprefix("integrations/")[2:-1]
        (function, _) = integrations[name]["Properties"]["IntegrationUri"]["Fn::GetAtt"]
        # Then a route takes every method, so that its function can answer for those there are not
        assert method in {"ANY", "$default"}
        # And API Gateway may call that function for it, and no other
        called = f"/stage/GET{re.sub('{[^}]+}', 'x', path)}" if path else "/stage/$default"
        assert [
            permission["FunctionName"]
            for permission in permissions
            if fnmatchcase(called, permission["SourceArn"]["Fn::Sub"].partition("${HttpApi}")[2])
        ] == [{"Ref": function}]


def test_nothing_names_an_account_a_region_or_a_partition() -> None:
    text = str(translated()["Resources"])
    assert not re.search(r"\b\d{12}\b", text)
    assert not re.search(r"\b(us|eu|ap|sa|ca|af|me)-[a-z]+-\d\b", text)
    assert "arn:aws:" not in text


def test_every_key_rotates() -> None:
    assert {k["Properties"]["EnableKeyRotation"] for k in resources("AWS::KMS::Key").values()} == {
        True
    }


def test_media_are_private_and_go_over_encrypted_connections_only() -> None:
    (bucket,) = resources("AWS::S3::Bucket").values()
    properties = bucket["Properties"]
    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    (policy,) = resources("AWS::S3::BucketPolicy").values()
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]
    denied = (statement["Effect"], statement["Principal"], statement["Action"])
    assert denied == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {
        "Bool": {"aws:SecureTransport": "false"},
        "NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"},
    }


def test_uploads_that_nobody_kept_expire_long_after_they_could_still_be_kept() -> None:
    (bucket,) = resources("AWS::S3::Bucket").values()
    rules = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    expiring = [rule for rule in rules if "ExpirationInDays" in rule]
    assert [rule["TagFilters"] for rule in expiring] == [[{"Key": "state", "Value": "pending"}]]
    assert PENDING == "state=pending"
    assert timedelta(days=expiring[0]["ExpirationInDays"]) > 2 * PENDING_AT_MOST
    assert source()["Parameters"]["MediaUploadOrigins"]["Default"] == ""
