"""A function that makes the clients that CLIENTS names, as another function does, and no more."""

import os

import boto3
from botocore.config import Config

_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 3},
    tcp_keepalive=True,
    parameter_validation=False,
)
_SESSION = boto3.Session()
CLIENTS = [_SESSION.client(service, config=_CONFIG) for service in os.environ["CLIENTS"].split()]


def handler(event: object, context: object) -> dict[str, object]:
    """Answer."""
    return {}
