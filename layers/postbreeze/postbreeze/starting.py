"""A function's start, which makes nothing that could be collected as garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_for_good() -> Iterator[None]:
    """Do not look for garbage meanwhile, nor ever among what is made.

    Imports and clients make some hundred thousand objects that stay for as long as the process:
    looking through them takes a tenth of a cold start, and a part of every full collection later.
    """
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()
