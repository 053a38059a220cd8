"""What functions are told, and what the template tells them."""

from __future__ import annotations

import pytest

from postbreeze import settings
from postbreeze.settings import CancelPostSettings, CommonSettings, ConfigurationError, variables
from tests.support import template

KINDS: dict[str, type[CommonSettings]] = {
    "CancelPostFunction": settings.CancelPostSettings,
    "PostsApiFunction": settings.PostsApiSettings,
    "WorkspacesApiFunction": settings.WorkspacesApiSettings,
    "DocsApiFunction": settings.DocsApiSettings,
    "MediaApiFunction": settings.MediaApiSettings,
    "WebhooksApiFunction": settings.WebhooksApiSettings,
    "StartPublishFunction": settings.StartPublishSettings,
    "PublishTargetFunction": settings.PublishTargetSettings,
    "FanOutEventFunction": settings.FanOutEventSettings,
    "DeliverWebhookFunction": settings.DeliverWebhookSettings,
    "ReconcileFunction": settings.ReconcileSettings,
}
EGRESS = {"EGRESS_ALLOW_LOOPBACK"}
"""Read by the egress guard itself, and only where there is one."""


def test_settings_are_read_by_their_names() -> None:
    names = variables(CancelPostSettings)
    assert names["schedule_group"] == "SCHEDULE_GROUP"
    environ = {name: field for field, name in names.items()}
    read = CancelPostSettings({**environ, "OTHER": "x"})
    assert vars(read) == {field: field for field in names}


def test_everything_missing_is_named() -> None:
    environ = dict.fromkeys(variables(CancelPostSettings).values(), "x")
    del environ["STAGE"]
    environ["POSTS_TABLE"] = ""
    with pytest.raises(
        ConfigurationError, match=r"^not set in the environment: POSTS_TABLE, STAGE$"
    ):
        CancelPostSettings(environ)


def test_the_template_gives_each_function_what_it_reads_and_no_more() -> None:
    functions = template.resources("AWS::Lambda::Function")
    assert functions.keys() == KINDS.keys()
    for name, function in functions.items():
        given = set(function["Properties"]["Environment"]["Variables"])
        assert given - EGRESS == set(variables(KINDS[name]).values()), name
