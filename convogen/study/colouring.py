"""Edge colouring of bipartite graphs with Kempe chains."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Sequence

__all__ = ["coloured"]

Node = tuple[int, Hashable]


def coloured(
    edges: Sequence[tuple[Hashable, Hashable]], colours: int, draw: random.Random
) -> list[int]:
    """Return a colour (0, 1, …) for each edge; no two edges at a node have the same colour.

    If the two ends of an edge have no free colour in common, swapping two colours along a path
    frees one. In a bipartite graph, this path never reaches the edge's other end (König, 1916).

    Args:
        edges: Each edge as a pair of nodes, one from each side of the graph.
        colours: Number of colours, at least the maximum number of edges at a node.
        draw: The source of randomness.
    """
    ends: list[tuple[Node, Node]] = [((0, one), (1, other)) for one, other in edges]
    at_node: dict[Node, dict[int, int]] = defaultdict(dict)
    for edge in draw.sample(range(len(edges)), len(edges)):
        first, second = ends[edge]
        free = [
            [colour for colour in range(colours) if colour not in at_node[end]]
            for end in (first, second)
        ]
        common = sorted({*free[0]} & {*free[1]})
        colour = draw.choice(common or free[0])
        if not common:
            _swap(at_node, ends, second, colour, draw.choice(free[1]))
        at_node[first][colour] = at_node[second][colour] = edge
    found = [0] * len(edges)
    for (side, _), of in at_node.items():
        for colour, edge in of.items() if side == 0 else ():
            found[edge] = colour
    return found


def _swap(
    at_node: dict[Node, dict[int, int]],
    ends: Sequence[tuple[Node, Node]],
    start: Node,
    colour: int,
    other: int,
) -> None:
    """Swap two colours along the path that leaves node `start` by its edge of colour `colour`."""
    path: list[tuple[int, int]] = []
    node, leaving, entering = start, colour, other
    while (edge := at_node[node].get(leaving)) is not None:
        path.append((edge, leaving))
        one, two = ends[edge]
        node = two if node == one else one
        leaving, entering = entering, leaving
    for edge, old in path:
        for end in ends[edge]:
            del at_node[end][old]
    for edge, old in path:
        for end in ends[edge]:
            at_node[end][other if old == colour else colour] = edge
