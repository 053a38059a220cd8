"""How a function becomes a command: options that all commands share, and how errors are told."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from botocore.exceptions import BotoCoreError, ClientError

from postbreeze.adapters.aws import code_of
from postbreeze.cli.deployment import LOCAL_FILE, Deployment, DeploymentError, Operator
from postbreeze.cli.output import Shown, as_json, as_text
from postbreeze.domain.errors import (
    ContendedError,
    PlatformError,
    PostbreezeError,
    UnavailableError,
    ValidationError,
)

FAILED = 1
WRONG_USAGE = 2

STACK_VARIABLE = "POSTBREEZE_STACK"

_SHARED: dict[str, tuple[Any, object]] = {
    "stack": (
        Annotated[
            str | None,
            typer.Option(help=f"Name of the CloudFormation stack; else {STACK_VARIABLE}."),
        ],
        None,
    ),
    "local": (
        Annotated[bool, typer.Option("--local", help="The local stack that 'make up' started.")],
        False,
    ),
    "stack_file": (
        Annotated[
            Path | None,
            typer.Option(help=f"A local stack's description; --local takes {LOCAL_FILE}."),
        ],
        None,
    ),
    "region": (Annotated[str | None, typer.Option(help="AWS region of --stack.")], None),
    "profile": (
        Annotated[str | None, typer.Option(help="AWS profile to reach --stack with.")],
        None,
    ),
    "json": (Annotated[bool, typer.Option("--json", help="Answer in JSON.")], False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The deployment that the shared options name."""

    stack: str | None = None
    local: bool = False
    stack_file: Path | None = None
    region: str | None = None
    profile: str | None = None

    def find(self) -> Deployment:
        """Find it.

        ``--local`` and ``--stack-file`` win over ``POSTBREEZE_STACK`` in the environment.

        Raises:
            ValidationError: The options name none.
            DeploymentError: It cannot be found.
        """
        if self.stack_file is not None:
            return Deployment.from_file(self.stack_file)
        if self.local:
            return Deployment.from_file(_nearest_local_file())
        if self.stack is not None:
            return Deployment.on_aws(self.stack, region=self.region, profile=self.profile)
        raise ValidationError.of("--stack", "Name a deployment with --stack NAME or use --local.")


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., Shown]], Callable[..., Shown]]:
    """Make a function a command of ``app``: it takes an ``Operator`` first and returns ``Shown``.

    The command has the function's other parameters and the shared options. Expected failures end
    it with one sentence on standard error and status 1, or 2 where what was asked for is malformed.
    """

    def register(function: Callable[..., Shown]) -> Callable[..., Shown]:
        def run(context: typer.Context, **given: Any) -> None:
            shared = {**context.obj, **_chosen({name: given.pop(name) for name in _SHARED})}
            wants_json = shared.pop("json", False)
            with failures_told():
                place = Place(**shared)
                shown = function(Operator(place.find()), **given)
            show(shown, wants_json=wants_json)

        own = list(inspect.signature(function).parameters.values())[1:]
        hints = get_type_hints(function, include_extras=True)
        _sign(run, [parameter.replace(annotation=hints[parameter.name]) for parameter in own])
        run.__doc__ = function.__doc__
        app.command(name)(run)
        return function

    return register


@contextmanager
def failures_told() -> Iterator[None]:
    """End the command at an expected failure: one sentence on standard error, and a status."""
    try:
        yield
    except (PostbreezeError, BotoCoreError, ClientError) as error:
        sentence, status = explain(error)
        sys.stderr.write(f"error: {sentence}\n")
        raise typer.Exit(status) from None


def show(shown: Shown, *, wants_json: bool) -> None:
    """Write a result to standard output, and remarks beside it."""
    typer.echo(as_json(shown) if wants_json else as_text(shown))
    for remark in shown.remarks:
        typer.echo(remark, err=True)


def take_shared_options(app: typer.Typer) -> None:
    """Let the shared options stand before the noun as well; after the verb they win."""

    def root(context: typer.Context, **given: Any) -> None:
        stack = os.environ.get(STACK_VARIABLE)
        context.obj = {**({"stack": stack} if stack else {}), **_chosen(given)}

    _sign(root, [])
    app.callback()(root)


def explain(error: Exception) -> tuple[str, int]:
    """Tell an expected failure in one sentence, with the status to exit with."""
    match error:
        case ValidationError():
            return str(error), WRONG_USAGE
        case UnavailableError():
            return f"AWS failed or did not answer ({error}). It may be tried again.", FAILED
        case ContendedError():
            return "It kept changing meanwhile; nothing was written. Try again.", FAILED
        case PlatformError():
            return error.message, FAILED
        case DeploymentError() | PostbreezeError():
            return str(error) or type(error).__name__, FAILED
        case ClientError():
            told = error.response.get("Error", {}).get("Message", "")
            return f"AWS refused {error.operation_name}: {code_of(error)}: {told}", FAILED
        case _:
            return f"AWS cannot be asked: {error}", FAILED


def _sign(function: Callable[..., None], own: Sequence[inspect.Parameter]) -> None:
    """Give a function the signature that Typer reads: the context, its own and the shared ones."""
    by_name = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter("context", by_name, annotation=typer.Context),
        *(parameter.replace(kind=by_name) for parameter in own),
        *(
            inspect.Parameter(name, by_name, default=default, annotation=annotation)
            for name, (annotation, default) in _SHARED.items()
        ),
    ]
    signature = inspect.Signature(parameters, return_annotation=None)
    function.__signature__ = signature  # type: ignore[attr-defined]  # what inspect looks for
    function.__annotations__ = {
        **{parameter.name: parameter.annotation for parameter in parameters},
        "return": None,
    }


def _chosen(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the shared options that were given."""
    return {name: value for name, value in given.items() if value != _SHARED[name][1]}


def _nearest_local_file() -> Path:
    """Return the description in this folder or the nearest one above that has it."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / LOCAL_FILE).exists():
            return folder / LOCAL_FILE
    return LOCAL_FILE
