"""What a report of `-X importtime` comes to."""

from __future__ import annotations

from benchmarks.import_time import OTHERS, STANDARD, WIRING, by_package

REPORT = """\
import time: self [us] | cumulative | imported package
import time:       100 |        100 |   json.decoder
import time:        20 |        120 | json
import time:       300 |        300 |       botocore.compat
import time:       400 |        700 |     botocore
import time:        50 |         50 |     pydantic_core._pydantic_core
import time:        60 |        110 |   pydantic.main
import time:         7 |          7 |   simplejson
import time:      9000 |      10000 | app
and a line that the function wrote
"""


def test_each_package_has_the_time_of_its_own_modules() -> None:
    assert by_package(REPORT) == {
        STANDARD: 120,
        "botocore": 700,
        "pydantic": 110,
        OTHERS: 7,
        WIRING: 9000,
    }
