"""The mutations that are made: Cosmic Ray's own, and some that find what those cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cosmic_ray.ast import get_ast
from cosmic_ray.operators.binary_operator_replacement import operators as binary_operators
from cosmic_ray.operators.boolean_replacer import (
    AddNot,
    ReplaceAndWithOr,
    ReplaceFalseWithTrue,
    ReplaceOrWithAnd,
    ReplaceTrueWithFalse,
)
from cosmic_ray.operators.break_continue import ReplaceBreakWithContinue, ReplaceContinueWithBreak
from cosmic_ray.operators.comparison_operator_replacement import operators as comparisons
from cosmic_ray.operators.number_replacer import NumberReplacer
from cosmic_ray.operators.operator import Operator
from cosmic_ray.operators.unary_operator_replacement import operators as unary_operators
from cosmic_ray.operators.zero_iteration_for_loop import ZeroIterationForLoop

Node = Any
Span = tuple[tuple[int, int], tuple[int, int]]


class _OfOurOwn(Operator):  # type: ignore[misc]  # cosmic_ray has no types
    """One mutation for each of the replacements that a node has."""

    def mutation_positions(self, node: Node) -> Iterator[Span]:
        for _ in self.replacements(node):
            yield (node.start_pos, node.end_pos)

    def mutate(self, node: Node, index: int) -> Node:
        # What stands before a node, a comment or a new line, is kept as it is.
        first = node.get_first_leaf()
        return get_ast(first.prefix + self.replacements(node)[index])

    def replacements(self, node: Node) -> Sequence[str]:
        """Return the texts that could stand in its place."""
        raise NotImplementedError

    @classmethod
    def examples(cls) -> tuple[()]:
        return ()


def _code(node: Node) -> str:
    return str(node.get_code(include_prefix=False))


class RemoveStatement(_OfOurOwn):
    """Does nothing where something was assigned, called, raised or deleted."""

    def replacements(self, node: Node) -> Sequence[str]:
        if node.type not in {"expr_stmt", "atom_expr", "raise_stmt", "del_stmt", "yield_expr"}:
            return ()
        is_statement = node.parent is not None and node.parent.type == "simple_stmt"
        return ["pass"] if is_statement and _is_in_function(node) else ()


class ReturnNothing(_OfOurOwn):
    """Returns None."""

    def replacements(self, node: Node) -> Sequence[str]:
        # False for None is a difference to type checkers only.
        same = {"return", "return None", "return False"}
        returns = node.type == "return_stmt" and _code(node) not in same
        return ["return None"] if returns else ()


class DropItem(_OfOurOwn):
    """Leaves one item out of a tuple, a list, a set or a dictionary that is written down."""

    def replacements(self, node: Node) -> Sequence[str]:
        if node.type not in {"testlist_comp", "dictorsetmaker"}:
            return ()
        if any(child.type in {"sync_comp_for", "comp_for"} for child in node.children):
            return ()
        if _inside(node, "except_clause"):
            return ()
        entries = _split(node.children)
        texts = ["".join(child.get_code() for child in entry).strip() for entry in entries]
        one = "," if len(texts) == 2 and _code(node.parent)[0] == "(" else ""
        return [
            ", ".join(text for place, text in enumerate(texts) if place != dropped) + one
            for dropped in range(len(texts))
        ]


class DropCondition(_OfOurOwn):
    """Leaves one operand out of an ``and`` or an ``or``."""

    def replacements(self, node: Node) -> Sequence[str]:
        if node.type not in {"and_test", "or_test"}:
            return ()
        glue = " and " if node.type == "and_test" else " or "
        operands = node.children[::2]
        return [
            glue.join(_code(operand) for operand in operands if operand is not dropped)
            for dropped in operands
        ]


class DropFilter(_OfOurOwn):
    """Takes every item in a comprehension that chooses."""

    def replacements(self, node: Node) -> Sequence[str]:
        return ["if True"] if node.type == "comp_if" else ()


class DropKeyword(_OfOurOwn):
    """Leaves one keyword argument out of a call."""

    def replacements(self, node: Node) -> Sequence[str]:
        if node.type != "trailer" or node.children[0] != "(" or len(node.children) != 3:
            return ()
        inner = node.children[1]
        entries = _split(inner.children) if inner.type == "arglist" else [[inner]]
        texts = ["".join(child.get_code() for child in entry).strip() for entry in entries]
        return [
            "(" + ", ".join(text for place, text in enumerate(texts) if place != dropped) + ")"
            for dropped, entry in enumerate(entries)
            if entry[0].type == "argument" and entry[0].children[1] == "="
        ]


class TurnMembership(_OfOurOwn):
    """Turns ``in`` into ``not in`` and back."""

    def replacements(self, node: Node) -> Sequence[str]:
        is_in = node.type == "keyword" and node.value == "in" and node.parent.type == "comparison"
        if is_in:
            return ["not in"]
        return ["in"] if node.type == "comp_op" and _code(node) == "not in" else ()


class CatchLess(_OfOurOwn):
    """Lets one kind of exception through; Cosmic Ray's own knows no dotted names."""

    def replacements(self, node: Node) -> Sequence[str]:
        if node.type != "except_clause":
            return ()
        caught, rest = node.children[1], "".join(child.get_code() for child in node.children[2:])
        if caught.type != "atom":
            return [f"except (){rest}"]
        kinds = [_code(kind) for kind in caught.children[1].children[::2]]
        return [
            f"except ({''.join(f'{kind}, ' for kind in kinds if kind != dropped)}){rest}"
            for dropped in kinds
        ]


def _split(children: Sequence[Node]) -> list[list[Node]]:
    entries: list[list[Node]] = [[]]
    for child in children:
        if child.type == "operator" and child.value == ",":
            entries.append([])
        else:
            entries[-1].append(child)
    return [entry for entry in entries if entry]


def _inside(node: Node, *types: str) -> bool:
    while node is not None:
        if node.type in types:
            return True
        node = node.parent
    return False


def _is_in_function(node: Node) -> bool:
    return _inside(node, "funcdef")


# Of all the pairs that Cosmic Ray knows, those that differ in what they find.
_PAIRS = {
    *("Add_Sub", "Sub_Add", "Mul_Add", "Div_Mul", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul"),
    *("RShift_LShift", "LShift_RShift", "BitOr_BitAnd", "BitAnd_BitOr", "BitXor_BitAnd"),
    *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
    *("Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt"),
    *("Delete_Not", "Delete_USub"),
}

OPERATORS: tuple[Any, ...] = (
    *(
        operator
        for operator in (*binary_operators(), *comparisons(), *unary_operators())
        if any(operator.__name__.endswith(f"Operator_{pair}") for pair in _PAIRS)
    ),
    *(AddNot, ReplaceTrueWithFalse, ReplaceFalseWithTrue, ReplaceAndWithOr, ReplaceOrWithAnd),
    *(ReplaceBreakWithContinue, ReplaceContinueWithBreak, NumberReplacer),
    ZeroIterationForLoop,
    *(RemoveStatement, ReturnNothing, DropItem, DropCondition, DropFilter, DropKeyword),
    *(TurnMembership, CatchLess),
)
