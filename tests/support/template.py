"""The template as CloudFormation sees it: translated offline, parameters at their defaults."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from local import paths


@cache
def source() -> dict[str, Any]:
    """Return template.yaml as it is written."""
    written: dict[str, Any] = yaml_parse(paths.TEMPLATE.read_text(encoding="utf-8"))
    return written


@cache
def translated() -> dict[str, Any]:
    """Return the template after the SAM transform."""
    template = copy.deepcopy(source())
    defaults = {
        name: str(parameter["Default"]) for name, parameter in template["Parameters"].items()
    }
    for resource in template["Resources"].values():
        for where in ("CodeUri", "ContentUri"):
            if where in resource.get("Properties", {}):
                resource["Properties"][where] = "s3://bucket/key"  # as after `sam package`
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name="us-east-1"))
    result: dict[str, Any] = translator.translate(template, defaults)
    return result


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Return the translated resources of a type by logical id."""
    return {
        name: resource
        for name, resource in translated()["Resources"].items()
        if resource["Type"] == kind
    }


def statements(role: str) -> list[dict[str, Any]]:
    """Return the statements of a role's inline policies."""
    policies = translated()["Resources"][role]["Properties"]["Policies"]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def as_list(value: Any) -> list[Any]:
    """Return a policy's value, which may stand alone or in a list, as a list."""
    return value if isinstance(value, list) else [value]


def policy_documents(value: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every policy document below `value` with the path to it."""
    if isinstance(value, dict):
        if "Statement" in value:
            yield at, value
        for key, below in value.items():
            yield from policy_documents(below, f"{at}/{key}")
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from policy_documents(below, f"{at}/{index}")
