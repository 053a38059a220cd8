"""``postbreeze webhook listen`` and ``trigger``: both ends of a delivery, without a deployment."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated

import typer

from postbreeze.adapters.clock import SystemClock
from postbreeze.cli.listening import Listener, Received
from postbreeze.cli.options import read_secret
from postbreeze.cli.output import Fields, Shown, one_line
from postbreeze.cli.triggering import examples, send_example
from postbreeze.cli.verbs import failures_told, show
from postbreeze.domain.documents import timestamp
from postbreeze.domain.errors import ValidationError
from postbreeze.webhooks.signature import MalformedSecretError, secret_bytes

SECRET_VARIABLE = "POSTBREEZE_WEBHOOK_SECRET"  # noqa: S105 - where one is, not one

SecretOption = Annotated[
    str | None,
    typer.Option(
        help=f"whsec_…; better in {SECRET_VARIABLE} or on standard input: others on this machine"
        " can read a command line.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]

app = typer.Typer()


@app.command("listen")
def listen(
    context: typer.Context,
    *,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="On 127.0.0.1; 0 for any free one.")
    ] = 4199,
    secret: SecretOption = None,
    wants_json: JsonOption = False,
) -> None:
    """Receive deliveries on this machine, and show each with the verdict on its signatures.

    Answers 204 where both signatures are right and 401 where not, until Ctrl-C.
    """
    tell = _as_json_line if _wants_json(context, wants_json) else _as_line
    with failures_told(), _listener(port, _secret(secret), tell) as listener:
        typer.echo(f"Listening on {listener.url}; Ctrl-C ends it.", err=True)
        try:
            listener.serve_forever()
        except KeyboardInterrupt:
            typer.echo("", err=True)


@app.command("trigger")
def trigger(
    context: typer.Context,
    *,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Such as post.cancelled.")],
    to: Annotated[str, typer.Option(help="URL: https, or http to this machine.")],
    secret: SecretOption = None,
    wants_json: JsonOption = False,
) -> None:
    """Send the example of an event as the service would: signed, with a delivery id of its own."""
    with failures_told():
        if event not in examples():
            known = ", ".join(examples())
            raise ValidationError.of("EVENT", f"There are examples of {known}.")
        answer = send_example(event, to, _secret(secret), now=SystemClock().now())
    shown = Shown(document=answer, blocks=[Fields(values=answer)])
    show(shown, wants_json=_wants_json(context, wants_json))
    if not 200 <= answer["status"] < 300:
        raise typer.Exit(1)


def _secret(given: str | None) -> str:
    """Return the secret that was given in one of the three ways; it is never repeated."""
    secret = given or read_secret("secret", SECRET_VARIABLE)
    try:
        secret_bytes(secret)
    except MalformedSecretError as error:
        raise ValidationError.of("secret", str(error)) from None
    return secret


def _listener(port: int, secret: str, tell: Callable[[Received], None]) -> Listener:
    try:
        return Listener(port, secret, tell)
    except OSError as error:
        raise ValidationError.of("--port", f"Cannot listen on {port}: {error.strerror}.") from None


def _wants_json(context: typer.Context, is_given: bool) -> bool:
    return is_given or bool(context.obj.get("json", False))


def _as_json_line(received: Received) -> None:
    typer.echo(json.dumps(received.document()))


def _as_line(received: Received) -> None:
    verdicts = (
        f"{name}: {'verified' if objection is None else f'NOT VERIFIED, {objection}'}"
        for name, objection in received.objections.items()
    )
    facts = (received.event, received.delivery_id, received.event_id, received.subject_id)
    typer.echo(one_line([timestamp(received.at), received.status.value, *facts, *verdicts]))
