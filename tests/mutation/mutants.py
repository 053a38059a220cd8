"""Every mutant of a module, with a name that outlives the moving of lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast

from tests.mutation.operators import OPERATORS, Node

PACKAGE = Path("layers/postbreeze/postbreeze")
ROOMS = ("domain", "operations", "webhooks")

_LOGS = re.compile(r"(self\.)?_?telemetry\.(note|warn)\(")
_WORD = re.compile(r"\w")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One fault: where it is, what was there, and what is there instead."""

    module: str
    """As a path below the package."""
    function: str
    """The outermost function around it with its class, or nothing."""
    defined_at: int
    """The line at which that function begins, its decorators with it."""
    line: int
    text: str
    """The line of the source, stripped."""
    change: str
    source: str
    """The module's text with the fault in it."""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells it from every other, wherever its line has moved."""
        return self.module, self.function, self.text, self.change


def modules(root: Path) -> list[str]:
    """Return every module of the inner rooms."""
    package = root / PACKAGE
    return sorted(
        file.relative_to(package).as_posix()
        for room in ROOMS
        for file in (package / room).rglob("*.py")
    )


def mutants(module: str, source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module's text."""
    tree = get_ast(source)
    lines = source.splitlines()
    nodes = [node for node in ast_nodes(tree) if not _is_left_alone(node)]
    seen: Counter[tuple[str, str, str]] = Counter()
    texts = {source}
    for kind in OPERATORS:
        operator = kind()
        for node in nodes:
            for index, (start, _) in enumerate(list(operator.mutation_positions(node))):
                mutated = _mutated(tree, node, operator, index)
                if mutated in texts:
                    continue
                texts.add(mutated)
                function, defined_at = _around(node)
                text = lines[start[0] - 1].strip()
                change = _change(source, mutated)
                seen[function, text, change] += 1
                if (times := seen[function, text, change]) > 1:
                    change = f"{change} ({times})"
                yield Mutant(
                    module=module,
                    function=function,
                    defined_at=defined_at,
                    line=start[0],
                    text=text,
                    change=change,
                    source=mutated,
                )


def _mutated(tree: Node, node: Node, operator: Node, index: int) -> str:
    """Return the text with one mutation made; the tree is as it was thereafter."""
    kept = [
        (part, list(part.children) if hasattr(part, "children") else part.value)
        for part in ast_nodes(node)
    ]
    siblings = node.parent.children
    place = next(place for place, child in enumerate(siblings) if child is node)
    siblings[place] = operator.mutate(node, index)
    text = str(tree.get_code())
    siblings[place] = node
    for part, had in kept:
        setattr(part, "children" if isinstance(had, list) else "value", had)
    return text


def _is_left_alone(node: Node) -> bool:
    """Tell whether mutating it says nothing: it is no code, for type checkers, or for a log."""
    if node.parent is None:
        return True
    is_sign = node.type == "operator" and node.parent.type in {"parameters", "dictorsetmaker"}
    if is_sign:  # the bare star of a signature, the two before a dictionary
        return True
    inside = None
    while node is not None:
        if _is_silent(node, inside):
            return True
        inside, node = node, node.parent
    return False


def _is_silent(node: Node, inside: Node | None) -> bool:
    """Tell it of what is inside a node, or of the node itself if nothing is."""
    match node.type:
        case "annassign":
            return inside is node.children[1]
        case "tfpdef":
            return inside is node.children[2]
        case "funcdef":
            return inside is not None and inside is node.annotation
        case "decorator" | "import_name" | "import_from":
            return True
        case "if_stmt":
            return "TYPE_CHECKING" in node.children[1].get_code()
        case "classdef":
            return "Protocol" in _bases(node)
        case "expr_stmt":
            is_declared = _code(node.children[0]) == "__all__" or _is_bare(node)
            return is_declared or _is_typing(node)
        case "atom_expr":
            return _LOGS.match(_code(node)) is not None
    return False


def _code(node: Node) -> str:
    return str(node.get_code(include_prefix=False))


def _bases(classdef: Node) -> str:
    bases = classdef.get_super_arglist()
    return str(bases.get_code()) if bases is not None else ""


def _is_bare(statement: Node) -> bool:
    """Tell a name that gets a type and no value."""
    told = statement.children[1]
    return told.type == "annassign" and len(told.children) == 2


def _is_typing(statement: Node) -> bool:
    """Tell an alias of a type, or a type variable: they are there for the reader."""
    code = _code(statement)
    return statement.parent.parent.type == "file_input" and bool(
        re.match(r"_?[A-Z]\w*[a-z]\w* = (Callable|TypeVar|Mapping|Union|\w+ \| )\b", code)
    )


def _around(node: Node) -> tuple[str, int]:
    function, names = None, []
    while node is not None:
        if node.type == "funcdef":
            function, names = node, [node.name.value]
        elif node.type == "classdef":
            names = [node.name.value, *names]
        node = node.parent
    if function is None:
        return ".".join(names), 0
    begins = function.parent if function.parent.type == "decorated" else function
    return ".".join(names), begins.start_pos[0]


def _change(old: str, new: str) -> str:
    """Tell what was replaced by what, in whole words."""
    begin = _alike(old, new)
    end = _alike(old[begin:][::-1], new[begin:][::-1])
    while begin > 0 and _WORD.match(old[begin - 1]):
        begin -= 1
    while end > 0 and _WORD.match(old[len(old) - end]):
        end -= 1
    was, is_ = (" ".join(text[begin : len(text) - end].split()) for text in (old, new))
    return "removed" if is_ == "pass" else f"{was or '·'} → {is_ or '·'}"


def _alike(one: str, other: str) -> int:
    """Count the characters with which both begin."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
