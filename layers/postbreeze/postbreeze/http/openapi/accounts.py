"""The routes of social accounts."""

from __future__ import annotations

from postbreeze.domain.errors import (
    ContendedError,
    ForbiddenError,
    NotFoundError,
    ValidationError,
)
from postbreeze.http.openapi.declaring import Operation, Resource, Success
from postbreeze.http.openapi.errors import KEYED
from postbreeze.http.openapi.schemas import ACCOUNT_ID, IN_WORKSPACE, ref

_ACCOUNT = Success(description="The account", schema=ref("SocialAccount"))

_LIST = Operation(
    method="get",
    path="/social-accounts",
    name="listSocialAccounts",
    summary="List social accounts",
    description="Newest-connected first; disconnected ones are left out.",
    parameters=(IN_WORKSPACE,),
    answers=(
        Success(
            description="The accounts",
            schema={"type": "array", "items": ref("SocialAccount")},
        ),
    ),
    errors=(*KEYED, ValidationError, ForbiddenError, NotFoundError),
)

_READ = Operation(
    method="get",
    path="/social-accounts/{accountId}",
    name="getSocialAccount",
    summary="Read a social account",
    parameters=(ACCOUNT_ID,),
    answers=(_ACCOUNT,),
    errors=(*KEYED, ValidationError, NotFoundError),
)

_DISCONNECT = Operation(
    method="delete",
    path="/social-accounts/{accountId}",
    name="disconnectSocialAccount",
    summary="Disconnect a social account",
    description=(
        "Its secrets are forgotten, and nothing begins to be published to it any more. Its targets"
        " on scheduled posts are cancelled, which may go on after this has answered. One that is"
        " disconnected is answered as it is. For owners and admins."
    ),
    parameters=(ACCOUNT_ID,),
    answers=(_ACCOUNT,),
    errors=(*KEYED, ValidationError, ForbiddenError, NotFoundError, ContendedError),
)

RESOURCE = Resource(
    tag="social-accounts",
    description="The accounts on social platforms that are posted to.",
    operations=(_LIST, _READ, _DISCONNECT),
)
