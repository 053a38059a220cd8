"""The routes of workspaces and social accounts."""

from __future__ import annotations

from collections.abc import Callable

from postbreeze.domain import ids
from postbreeze.http import requests
from postbreeze.http.auth import Authenticator, arrived
from postbreeze.http.responses import BASE_PATH, listing, success
from postbreeze.http.routing import Event, Response, Router
from postbreeze.operations.answers import Answer
from postbreeze.operations.workspaces import ReadAccounts, ReadWorkspaces

WORKSPACES_PATH = f"{BASE_PATH}/workspaces"
WORKSPACE_PATH = f"{BASE_PATH}/workspaces/<workspace_id>"
ACCOUNTS_PATH = f"{BASE_PATH}/social-accounts"
ACCOUNT_PATH = f"{BASE_PATH}/social-accounts/<account_id>"


def router(
    workspaces: ReadWorkspaces,
    accounts: ReadAccounts,
    disconnect_account: Callable[[str, str], Answer],
    authenticator: Authenticator,
) -> Router:
    """Build the routes below ``/workspaces`` and ``/social-accounts``."""
    routes = Router()

    def reading(event: Event, prefix: str | None = None, name: str = "", text: str = "") -> str:
        """Check a request that is all path; return its key's digest."""
        request, digest = arrived(event)
        with authenticator.reading(digest):
            if prefix is not None:
                requests.path_id(prefix, name, text)
            requests.check_query(request)
        return digest

    @routes.get(WORKSPACES_PATH)
    def list_workspaces(event: Event) -> Response:
        return listing(workspaces.all(reading(event)))

    @routes.get(WORKSPACE_PATH)
    def read_workspace(event: Event, workspace_id: str) -> Response:
        digest = reading(event, ids.WORKSPACE, "workspaceId", workspace_id)
        return success(workspaces.one(digest, workspace_id), is_current=False)

    @routes.get(ACCOUNTS_PATH)
    def list_accounts(event: Event) -> Response:
        request, digest = arrived(event)
        with authenticator.reading(digest):
            requests.check_query(request, ("workspaceId",))
            workspace_id = requests.query_id(request, ids.WORKSPACE, "workspaceId")
        return listing(accounts.all(digest, workspace_id))

    @routes.get(ACCOUNT_PATH)
    def read_account(event: Event, account_id: str) -> Response:
        digest = reading(event, ids.ACCOUNT, "accountId", account_id)
        return success(accounts.one(digest, account_id), is_current=False)

    @routes.delete(ACCOUNT_PATH)
    def disconnect(event: Event, account_id: str) -> Response:
        digest = reading(event, ids.ACCOUNT, "accountId", account_id)
        return success(disconnect_account(digest, account_id), is_current=False)

    return routes
