"""Which calls leave the core: read from the ports and from the source of the operations.

So a new port, a new method or a new place that calls one is known here without being told.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType
from typing import Protocol, cast

from postbreeze import operations
from postbreeze.operations import platform_port, ports, webhook_ports
from postbreeze.operations.media import ports as media_ports

FOLDER = Path(operations.__file__).parent

TAPPED: Mapping[str, str] = {
    "PostStore": "posts",
    "Directory": "directory",
    "Disconnections": "disconnections",
    "Registry": "registry",
    "WebhookStore": "webhooks",
    "Schedules": "schedules",
    "EventBus": "bus",
    "PublishQueue": "publish_queue",
    "DeliveryQueue": "delivery_queue",
    "WorkQueues": "work_queues",
    "WebhookSender": "sender",
    "SecretBox": "secrets",
    "AssetStore": "assets",
    "Storage": "storage",
    "FileSource": "files",
    "PlatformClient": "platform",
    "PreparedPost": "platform",
}
"""The ports whose calls leave the process, by what the tap calls them."""

INSIDE: Mapping[str, str] = {
    "Clock": "the process's own",
    "Randomness": "the process's own",
    "Together": "the process's own threads",
    "Watch": "the process's own thread",
    "Telemetry": "lines of the log; losing one changes nothing",
}
"""The ports whose calls do not, and why that is so."""

COMPUTED: Mapping[str, str] = {
    "storage.address": "nothing is called: a text is put together",
    "storage.upload": "nothing is called: the request is signed in this process",
}
"""Methods of the former that do not leave the process either."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Site:
    """A place in the operations that makes, or hands on, one call of a port.

    ``number`` tells those of one function apart; ``is_deferred`` where the call is made elsewhere.
    """

    module: str
    function: str
    call: str
    number: int
    first_line: int
    last_line: int
    is_deferred: bool

    def __str__(self) -> str:
        """Name it in a way that survives edits around it."""
        nth = f" ({self.number})" if self.number > 1 else ""
        return f"{self.module}:{self.function} {self.call}{nth}"


def protocols() -> Mapping[str, Collection[str]]:
    """Return every port there is, with its methods."""
    modules: tuple[ModuleType, ...] = (ports, webhook_ports, media_ports, platform_port)
    return {
        name: [each for each in vars(found) if not each.startswith("_")]
        for module in modules
        for name, found in vars(module).items()
        if isinstance(found, type)
        and Protocol in found.__mro__
        and found is not Protocol
        and found.__module__ == module.__name__
    }


def calls() -> Collection[str]:
    """Name every call that can leave the process, as the tap does."""
    found = protocols()
    return {f"{tap}.{method}" for name, tap in TAPPED.items() for method in found[name]} - set(
        COMPUTED
    )


@cache
def sites() -> Collection[Site]:
    """Find every place in the operations that calls a port."""
    trees = {
        path.relative_to(FOLDER).with_suffix("").as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(FOLDER.rglob("*.py"))
    }
    holders = _holders(trees.values())
    return [site for module, tree in trees.items() for site in _sites(module, tree, holders)]


def site_of(call: str, frame: FrameType | None) -> Site:
    """Tell from which place a call comes that is being made.

    Raises:
        LookupError: A place that ``sites`` does not know of.
    """
    while frame is not None and not Path(frame.f_code.co_filename).is_relative_to(FOLDER):
        frame = frame.f_back
    if frame is None:
        raise LookupError(f"{call} comes from no operation")
    module = Path(frame.f_code.co_filename).relative_to(FOLDER).with_suffix("").as_posix()
    alike = [site for site in sites() if (site.module, site.call) == (module, call)]
    line = frame.f_lineno
    for site in alike:
        if not site.is_deferred and site.first_line <= line <= site.last_line:
            return site
    for site in alike:
        if site.is_deferred:
            return site
    raise LookupError(f"{call} is called in {module}, line {line}, which is not known of")


def _holders(trees: Collection[ast.Module]) -> Mapping[str, Collection[str]]:
    """Tell by which names fields and parameters hold which ports."""
    found: dict[str, set[str]] = defaultdict(set)
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name, annotation = node.target.id, node.annotation
            elif isinstance(node, ast.arg) and node.annotation is not None:
                name, annotation = node.arg, node.annotation
            else:
                continue
            named = {each.id for each in ast.walk(annotation) if isinstance(each, ast.Name)}
            found[name] |= named & set(TAPPED)
    return found


def _sites(module: str, tree: ast.Module, holders: Mapping[str, Collection[str]]) -> Iterator[Site]:
    methods = protocols()
    numbers: dict[tuple[str, str], int] = defaultdict(int)
    for function, node, parent in _attributes(tree, "", tree):
        for port in holders.get(_holder(node.value), ()):
            call = f"{TAPPED[port]}.{node.attr}"
            if node.attr not in methods[port] or call in COMPUTED:
                continue
            numbers[function, call] += 1
            is_deferred = not (isinstance(parent, ast.Call) and parent.func is node)
            whole = node if is_deferred else cast("ast.Call", parent)
            yield Site(
                module=module,
                function=function,
                call=call,
                number=numbers[function, call],
                first_line=whole.lineno,
                last_line=whole.end_lineno or whole.lineno,
                is_deferred=is_deferred,
            )


def _attributes(
    node: ast.AST, function: str, parent: ast.AST
) -> Iterator[tuple[str, ast.Attribute, ast.AST]]:
    if isinstance(node, ast.Attribute):
        yield function, node, parent
    for child in ast.iter_child_nodes(node):
        inner = function
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            inner = re.sub(r"^\.", "", f"{function}.{child.name}")
        yield from _attributes(child, inner, node)


def _holder(node: ast.expr) -> str:
    """Name what an attribute is looked up on: its last name, or that of what a call is given."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Call(args=[first, *_]):
            return _holder(first)
        case ast.Subscript(value=value):
            return _holder(value)
    return ""
