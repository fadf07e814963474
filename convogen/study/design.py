"""The design of a mixed model: conditions, and crossed groups with random intercepts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from convogen.errors import SourceError

__all__ = ["MOST_CONDITIONS", "Design"]

MOST_CONDITIONS = 26

Numbers = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Design:
    """The condition and the group members of each answer, as indices.

    Members are numbered consecutively across groups: the second group continues where the first
    ends.
    """

    conditions: list[str]
    condition: Indices
    members: list[Indices]
    sizes: list[int]

    @classmethod
    def of(cls, conditions: Sequence[str], groups: Mapping[str, Sequence[str]]) -> Design:
        names = list(dict.fromkeys(conditions))
        if not 2 <= len(names) <= MOST_CONDITIONS:
            raise SourceError(
                f"a comparison needs 2 to {MOST_CONDITIONS} conditions (found {len(names)})"
            )
        members: list[Indices] = []
        sizes: list[int] = []
        for group, labels in groups.items():
            found = list(dict.fromkeys(labels))
            if len(found) < 2:
                raise SourceError(
                    f"there is only 1 {group}, but a random intercept needs at least 2"
                )
            if len(found) == len(labels):
                raise SourceError(
                    f"every answer has a different {group}; a random intercept needs several "
                    f"answers per {group}"
                )
            members.append(_indices(labels, found) + sum(sizes))
            sizes.append(len(found))
        return cls(names, _indices(conditions, names), members, sizes)

    def means(self, y: Numbers) -> Numbers:
        return self.by_condition(y) / self.by_condition(np.ones_like(y))

    def by_condition(self, values: Numbers) -> Numbers:
        """Return the sum of an array's values for each condition (X'v)."""
        return np.bincount(self.condition, values, len(self.conditions)).astype(np.float64)

    def by_member(self, values: Numbers) -> Numbers:
        """Return the sum of an array's values for each member (Z'v)."""
        q = sum(self.sizes)
        sums = [np.bincount(at, values, q).astype(np.float64) for at in self.members]
        return np.sum(sums, axis=0)

    def crossed(self, weights: Numbers) -> Numbers:
        """Return the weighted cross product of the members' indicators (Z'WZ)."""
        q = sum(self.sizes)
        found = np.diag(self.by_member(weights))
        for one, other in combinations(self.members, 2):
            block = np.bincount(one * q + other, weights, q * q).reshape(q, q)
            found += block + block.T
        return found

    def members_by_condition(self) -> Numbers:
        """Return the number of answers for each member and condition (Z'X)."""
        c, q = len(self.conditions), sum(self.sizes)
        pairs = [np.bincount(at * c + self.condition, minlength=q * c) for at in self.members]
        return np.sum(pairs, axis=0).reshape(q, c).astype(float)

    def spread(self, effects: Numbers) -> Numbers:
        """Return, for each answer, the sum of its members' effects (Zb)."""
        return np.sum([effects[at] for at in self.members], axis=0)

    def scaled(self, theta: Numbers) -> Numbers:
        """Return the standard deviation of each member's effect."""
        return np.repeat(theta, self.sizes)

    def left_by_all_effects(self, y: Numbers) -> tuple[int, float]:
        """Return the joint rank of fixed and random effects, and the residual sum of squares."""
        ones = np.ones(len(self.condition))
        zx = self.members_by_condition()
        whole = np.block([[np.diag(self.by_condition(ones)), zx.T], [zx, self.crossed(ones)]])
        right = np.concatenate([self.by_condition(y), self.by_member(y)])
        fitted, _, rank, _ = np.linalg.lstsq(whole, right)
        return int(rank), float(y @ y - right @ fitted)


def _indices(labels: Sequence[str], names: Sequence[str]) -> Indices:
    places = {name: at for at, name in enumerate(names)}
    return np.array([places[label] for label in labels], np.int64)
