"""``postbreeze``: what an operator does to a deployment, on AWS or on the local stack."""

from __future__ import annotations

import typer

from postbreeze.cli.commands import account, key, member, post, webhook, webhook_trial, workspace
from postbreeze.cli.verbs import take_shared_options

# No pretty exceptions: they would print local variables, and some of those are secrets.
app = typer.Typer(
    name="postbreeze",
    help="Run a Postbreeze deployment: workspaces, members, keys, accounts, webhooks, posts.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

take_shared_options(app)
webhook.app.add_typer(webhook_trial.app)
for noun in (workspace, member, key, account, webhook, post):
    app.add_typer(noun.app, name=noun.__name__.rpartition(".")[2], no_args_is_help=True)
app.add_typer(webhook.app, name="webhooks", no_args_is_help=True, hidden=True)


def main() -> None:
    """Run one command."""
    app()
