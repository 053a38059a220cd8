"""`python -m local.stack up|down|status`: the whole of Postbreeze on this machine.

`up` starts the engine, the webhook receiver and the platform sandbox, deploys the committed
template, starts the gateway, seeds data, and writes the stack file. On a running stack it only
brings up to date what has changed. `down` stops every process by its pid file. Nothing outlives
`down`: the next `up` starts with empty tables.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local import paths
from local.deploy import deploy, deployed, local_config, source_fingerprint
from local.engine import REGION, Engine
from local.processes import Background
from local.tools import (
    LocalError,
    answers,
    clean_environment,
    fingerprint,
    port_is_taken,
    read_json,
    say,
    wait_until,
    write_json,
)

READY_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """One of our own servers: a module of `local` that listens on a loopback port."""

    process: Background
    port: int
    module: str
    arguments: tuple[str, ...]

    @property
    def command(self) -> list[str]:
        return [str(paths.PYTHON), "-m", self.module, *self.arguments]

    @property
    def source(self) -> Path:
        return paths.ROOT / f"{self.module.replace('.', '/')}.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One local stack: its ports, the folder of its processes, and the file that describes it."""

    api_port: int = 4100
    engine_port: int = 4110
    receiver_port: int = 4120
    platform_port: int = 4130
    folder: Path = paths.RUN
    stack_file: Path = paths.STACK_FILE
    receiver_log: Path = paths.LOCAL / "receiver.jsonl"
    platform_log: Path = paths.LOCAL / "platform.jsonl"
    ready_build: Path | None = None
    bluesky_url: str | None = None
    """Another Bluesky server to publish to; the sandbox unless given."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Of the template, other than samconfig's."""

    @property
    def engine(self) -> Engine:
        """Its engine."""
        return Engine(port=self.engine_port, folder=self.folder)

    @property
    def receiver_url(self) -> str:
        """Base address of the webhook receiver."""
        return f"http://127.0.0.1:{self.receiver_port}"

    @property
    def platform_url(self) -> str:
        """Base address of the platform sandbox."""
        return f"http://127.0.0.1:{self.platform_port}"

    @property
    def api_url(self) -> str:
        """Base address of the API."""
        return f"http://localhost:{self.api_port}/api/v1"

    def servers(self) -> Iterator[_Server]:
        """Yield the servers that need no deployment."""
        for name, port, module, log in (
            ("platform", self.platform_port, "local.bluesky_sandbox", self.platform_log),
            ("receiver", self.receiver_port, "local.receiver", self.receiver_log),
        ):
            arguments = ("--port", str(port), "--log", str(log))
            process = Background(name=name, folder=self.folder)
            yield _Server(process=process, port=port, module=module, arguments=arguments)

    def gateway(self, api_id: str) -> _Server:
        """Return the gateway in front of a deployed API."""
        arguments = ("--port", str(self.api_port), "--engine-port", str(self.engine_port))
        return _Server(
            process=Background(name="gateway", folder=self.folder),
            port=self.api_port,
            module="local.gateway",
            arguments=(*arguments, "--api-id", api_id),
        )

    def processes(self) -> list[Background]:
        """Return every process of the stack, those in front first."""
        names = ("gateway", "receiver", "platform", "engine")
        return [Background(name=name, folder=self.folder) for name in names]

    # ------------------------------------------------------------------------------------------ up

    def up(self) -> dict[str, Any]:
        """Bring the stack up, or up to date, and return what the stack file says.

        Raises:
            LocalError: a port is taken by something else, or a step failed. What was started by
                then stays up for a look at its logs; `down` stops it.
        """
        described = read_json(self.stack_file)
        if not self.engine.is_healthy():
            self.down()
            described = None
            for log in (self.receiver_log, self.platform_log):
                log.unlink(missing_ok=True)
            say(f"starting the engine on {self.engine.url}")
            self.engine.start()
        for server in self.servers():
            self._serve(server)
        last = deployed(self.folder)
        if described is None or last is None or last[0] != source_fingerprint():
            outputs = deploy(
                self.engine,
                self.folder,
                bluesky_url=self.bluesky_url or self.platform_url,
                ready_build=self.ready_build,
                parameters=self.parameters,
            )
        else:
            outputs = last[1]
        self._serve(self.gateway(outputs["ApiId"]))
        wait_until("the API", self._answers, seconds=READY_SECONDS)
        described = self._describe(outputs, self._seed(outputs, known=described))
        write_json(self.stack_file, described)
        return described

    def _serve(self, server: _Server) -> None:
        """Start one of our own servers unless the same one with the same source runs already."""
        process, name = server.process, server.process.name
        mark = {"command": server.command, "source": fingerprint([server.source])}
        mark_file = self.folder / f"{name}.json"
        if process.pid() is not None:
            if read_json(mark_file) == mark:
                return
            process.stop()
        if port_is_taken(server.port):
            message = f"port {server.port}, meant for the {name}, is taken by something else"
            raise LocalError(message)
        say(f"starting the {name} on port {server.port}")
        process.start(server.command, env=clean_environment(), cwd=paths.ROOT)

        def ready() -> bool:
            process.check()
            return port_is_taken(server.port)

        wait_until(f"the {name}", ready, seconds=READY_SECONDS)
        write_json(mark_file, mark)

    def _seed(self, outputs: dict[str, str], *, known: dict[str, Any] | None) -> dict[str, Any]:
        # Not at the top: the seed data needs the whole package, which `down` and `status` do not.
        from local.seed import seed  # noqa: PLC0415

        if known is None:
            say("seeding workspaces, keys, accounts and a webhook endpoint")
        return seed(
            outputs,
            engine_url=self.engine.url,
            region=REGION,
            receiver_url=self.receiver_url,
            platform_url=self.platform_url,
            known=known,
        )

    def _describe(self, outputs: dict[str, str], seeded: dict[str, Any]) -> dict[str, Any]:
        return {
            **seeded,
            "apiUrl": self.api_url,
            "engineUrl": self.engine.url,
            "region": REGION,
            "stackName": local_config()["stack_name"],
            "outputs": outputs,
            "receiver": {
                "url": self.receiver_url,
                "log": paths.shown(self.receiver_log),
                "endpointId": seeded["receiver"]["endpointId"],
                "secret": seeded["receiver"]["secret"],
            },
            "platform": {"url": self.platform_url, "log": paths.shown(self.platform_log)},
        }

    # ------------------------------------------------------------------------------ down and status

    def down(self) -> bool:
        """Stop everything and forget it; tell whether anything ran."""
        ran = [process.stop() for process in self.processes()]
        self.stack_file.unlink(missing_ok=True)
        (self.folder / "deployed.json").unlink(missing_ok=True)
        return any(ran)

    def is_up(self) -> bool:
        """Tell whether every process runs and the API answers."""
        return (
            self.stack_file.exists()
            and all(process.pid() is not None for process in self.processes())
            and self.engine.is_healthy()
            and self._answers()
        )

    def _answers(self) -> bool:
        """Tell whether both functions behind the API answer; they are started by being asked."""
        return answers(f"{self.api_url}/posts") and answers(
            f"{self.api_url}/posts/none/cancel", method="POST"
        )


def _stack_from(arguments: argparse.Namespace) -> Stack:
    return Stack(
        api_port=arguments.api_port,
        engine_port=arguments.engine_port,
        receiver_port=arguments.receiver_port,
        platform_port=arguments.platform_port,
        folder=arguments.folder.resolve(),
        stack_file=arguments.stack_file.resolve(),
        receiver_log=arguments.receiver_log.resolve(),
        platform_log=arguments.platform_log.resolve(),
    )


def _parser() -> argparse.ArgumentParser:
    usual = Stack()
    parser = argparse.ArgumentParser(prog="python -m local.stack", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status"))
    parser.add_argument("--api-port", type=int, default=usual.api_port)
    parser.add_argument("--engine-port", type=int, default=usual.engine_port)
    parser.add_argument("--receiver-port", type=int, default=usual.receiver_port)
    parser.add_argument("--platform-port", type=int, default=usual.platform_port)
    parser.add_argument("--folder", type=Path, default=usual.folder)
    parser.add_argument("--stack-file", type=Path, default=usual.stack_file)
    parser.add_argument("--receiver-log", type=Path, default=usual.receiver_log)
    parser.add_argument("--platform-log", type=Path, default=usual.platform_log)
    return parser


def main() -> None:
    """Do what the command line says."""
    arguments = _parser().parse_args()
    stack = _stack_from(arguments)
    if arguments.command == "status":
        up = stack.is_up()
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(f"up: {stack.api_url}\n" if up else "down\n")
        sys.exit(0 if up else 1)
    if arguments.command == "down":
        say("stopped" if stack.down() else "nothing was running")
        return
    try:
        stack.up()
    except LocalError as error:
        sys.exit(f"error: {error}")
    say(f"up: {stack.api_url}  (keys and everything else in {paths.shown(stack.stack_file)})")


if __name__ == "__main__":
    main()
