"""Clients of the local engine, for what tests look at or change behind the API's back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3


def client(stack: Mapping[str, Any], service: str) -> Any:
    """Return a client of the engine's service."""
    return boto3.client(
        service,
        endpoint_url=stack["engineUrl"],
        region_name=stack["region"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def schedules(stack: Mapping[str, Any]) -> set[str]:
    """Return the names of the schedules in the stack's group."""
    pages = client(stack, "scheduler").get_paginator("list_schedules")
    found = pages.paginate(GroupName=stack["outputs"]["ScheduleGroupName"])
    return {schedule["Name"] for page in found for schedule in page["Schedules"]}
