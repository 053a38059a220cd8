"""The local engine: MiniStack, which answers the AWS calls of SAM, the functions and tests."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from local import paths
from local.processes import Background
from local.tools import LocalError, answers, clean_environment, port_is_taken, wait_until

REGION = "us-east-1"
START_SECONDS = 30.0

# The engine's root account. It lives on this machine's loopback only and is no secret.
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One engine on a loopback port with everything it writes in `folder`."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        """Base address of every AWS call."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> Background:
        """Its background process; function workers run in the same process group."""
        return Background(name="engine", folder=self.folder)

    def client_environment(self) -> dict[str, str]:
        """Return what makes an AWS client, or SAM, talk to this engine and to nothing else."""
        return {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def is_healthy(self) -> bool:
        """Tell whether our own engine, not just anything, answers on the port."""
        return self.process.pid() is not None and answers(f"{self.url}/_ministack/health")

    def start(self) -> None:
        """Start an empty engine and wait until it answers.

        Raises:
            LocalError: the port is taken, or the engine ended.
        """
        if port_is_taken(self.port):
            message = f"port {self.port} is taken by something that is not our engine"
            raise LocalError(message)
        scratch = self.folder / "engine"
        scratch.mkdir(parents=True, exist_ok=True)
        process = self.process
        process.start(
            [str(paths.ENGINE_PYTHON), str(paths.ROOT / "local" / "engine_main.py")],
            env=self._environment(scratch),
            cwd=scratch,
        )

        def ready() -> bool:
            process.check()
            return answers(f"{self.url}/_ministack/health")

        wait_until("the engine", ready, seconds=START_SECONDS)

    def _environment(self, scratch: Path) -> dict[str, str]:
        """Return all the engine sees, and so all that a function sees beside its own variables.

        A bare environment keeps a variable that a function forgot to declare from being found by
        luck in the shell that started the stack.
        """
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        return {
            **kept,
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "STATE_DIR": str(scratch / "state"),
            "S3_DATA_DIR": str(scratch / "s3"),
            "AUTH": "true",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
        }


def environment_for_sam(engine: Engine) -> dict[str, str]:
    """Return SAM's environment: this one, steered to the engine, its settings kept apart."""
    return {
        **clean_environment(),
        **engine.client_environment(),
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(paths.LOCAL / "sam-home"),
    }
