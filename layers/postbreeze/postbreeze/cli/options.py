"""Arguments that several commands take, and how a secret gets in."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import Annotated

import typer

from postbreeze.domain.errors import ValidationError

WorkspaceArgument = Annotated[str, typer.Argument(metavar="WORKSPACE", help="ws_…")]
UserArgument = Annotated[str, typer.Argument(metavar="USER", help="usr_…")]
EndpointArgument = Annotated[str, typer.Argument(metavar="ENDPOINT", help="wh_…")]
DeliveryArgument = Annotated[str, typer.Argument(metavar="DELIVERY", help="dlv_…")]


def moment(option: str, text: str) -> datetime:
    """Read a moment with its offset from UTC.

    Raises:
        ValidationError: It is anything else.
    """
    refusal = ValidationError.of(option, "A moment like 2027-01-31T00:00:00Z is expected.")
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise refusal from error
    if read.tzinfo is None:
        raise refusal
    return read


def read_secret(what: str, variable: str) -> str:
    """Take a secret from the environment, from standard input, or from the terminal, unseen.

    Raises:
        ValidationError: There is none.
    """
    secret = os.environ.get(variable, "")
    if not secret and sys.stdin.isatty():
        secret = str(typer.prompt(what, hide_input=True, err=True))
    elif not secret:
        secret = sys.stdin.readline()
    secret = secret.strip()
    if not secret:
        raise ValidationError.of(
            what, f"It is expected in {variable} or as the first line of standard input."
        )
    return secret
