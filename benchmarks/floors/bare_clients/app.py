"""As `clients`, by botocore alone: less than boto3 imports."""

import os

from botocore.config import Config
from botocore.session import Session

_CONFIG = Config(
    connect_timeout=1,
    read_timeout=3,
    retries={"mode": "standard", "total_max_attempts": 3},
    tcp_keepalive=True,
    parameter_validation=False,
)
_SESSION = Session()
CLIENTS = [
    _SESSION.create_client(service, config=_CONFIG) for service in os.environ["CLIENTS"].split()
]


def handler(event: object, context: object) -> dict[str, object]:
    """Answer."""
    return {}
