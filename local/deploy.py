"""Builds the committed template for this machine and deploys it, unchanged, to the local engine."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3

from local import paths
from local.build import build, this_machine
from local.engine import CREDENTIALS, REGION, Engine, environment_for_sam
from local.tools import fingerprint, read_json, run, say, write_json

SOURCES = ("template.yaml", "samconfig.toml", "layers", "functions")


def source_fingerprint() -> str:
    """Return a digest of everything that a deployment depends on."""
    return fingerprint(paths.ROOT / name for name in SOURCES)


def deploy(
    engine: Engine,
    folder: Path,
    *,
    bluesky_url: str,
    ready_build: Path | None = None,
    parameters: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Build and deploy, and return the stack's outputs.

    Args:
        engine: Where to.
        folder: Takes the build and the logs.
        bluesky_url: The platform sandbox's address.
        ready_build: A native build of the present source made before, to be used as it is.
        parameters: Of the template, other than samconfig's.

    Raises:
        LocalError: SAM failed.
    """
    config = local_config()
    target = this_machine()
    built = ready_build or folder / "build"
    if ready_build is None:
        build(target, built, log=folder / "build.log")
    say(f"deploying {config['stack_name']} to {engine.url}")
    overrides = {
        **parameter_overrides(config),
        "Runtime": target.runtime,
        "Architecture": target.architecture,
        "BlueskyUrl": bluesky_url,
        **(parameters or {}),
    }
    command = [str(paths.SAM), "deploy", "--config-file", str(paths.SAMCONFIG)]
    command += ["--config-env", "local"]
    command += ["--template-file", str(built / "template.yaml"), "--no-fail-on-empty-changeset"]
    command += ["--parameter-overrides"]
    command += [f"ParameterKey={name},ParameterValue={value}" for name, value in overrides.items()]
    run(command, env=environment_for_sam(engine), cwd=paths.ROOT, log=folder / "deploy.log")
    outputs = stack_outputs(engine, config["stack_name"])
    write_json(folder / "deployed.json", {"source": source_fingerprint(), "outputs": outputs})
    return outputs


def deployed(folder: Path) -> tuple[str, dict[str, str]] | None:
    """Return the last deployment's source digest and outputs, or None before the first."""
    noted = read_json(folder / "deployed.json")
    return None if noted is None else (noted["source"], noted["outputs"])


def local_config() -> dict[str, Any]:
    """Return samconfig's settings for deploying to the local stack."""
    config = tomllib.loads(paths.SAMCONFIG.read_text(encoding="utf-8"))
    parameters: dict[str, Any] = config["local"]["deploy"]["parameters"]
    return parameters


def parameter_overrides(config: dict[str, Any]) -> dict[str, str]:
    """Return samconfig's template parameters; giving SAM any on its command line drops these."""
    return dict(pair.split("=", 1) for pair in shlex.split(config["parameter_overrides"]))


def stack_outputs(engine: Engine, stack_name: str) -> dict[str, str]:
    """Return the outputs of a deployed stack by name."""
    client = boto3.client(
        "cloudformation",
        endpoint_url=engine.url,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    stack = client.describe_stacks(StackName=stack_name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
