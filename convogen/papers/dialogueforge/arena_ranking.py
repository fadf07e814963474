"""Results from the `arena` judge: the result of each match, and the ranking of the players."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from convogen.judges.reference_dialogues import PairFolder
from convogen.reports.intervals import mean_interval
from convogen.reports.ratings import Game, Rating, ratings
from convogen.reports.verdicts import Share

__all__ = ["Match", "MatchResult", "Standings", "standings"]


@dataclass(frozen=True, slots=True)
class Match:
    """The indices of two players, and the folder with the verdicts on their dialogues."""

    first: int
    second: int
    pair: PairFolder


@dataclass(frozen=True, slots=True)
class MatchResult:
    """The result of the match between two players.

    Attributes:
        players: Names of the first and the second player.
        wins: Number of verdicts for the first player.
        losses: Number of verdicts for the second player.
        missing: Number of comparisons without a verdict.
        won: Share of points won by the first player, 0 to 1; a tie counts as half a point. None if
            there are no verdicts.
        low: Lower end of the 95% interval of `won`.
        high: Upper end of the 95% interval of `won`.
    """

    players: list[str]
    wins: int
    losses: int
    ties: int
    missing: int
    won: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Standings:
    """The ranking, the result for each pair of players, and the position bias.

    Attributes:
        ratings: The players' ratings, the strongest player first.
        matches: The result for each pair of players.
        first_shown: Share of decided verdicts that choose the dialogue shown first; 0.5 if there is
            no position bias.
    """

    ratings: list[Rating]
    matches: list[MatchResult]
    first_shown: Share


def standings(names: Sequence[str], matches: Sequence[Match]) -> Standings:
    """Return the standings computed from the verdicts on matches between the named players."""
    games: dict[str, list[Game]] = {}
    results: list[MatchResult] = []
    shown: list[bool] = []
    for match in matches:
        keys = match.pair.keys()
        points: list[float] = []
        counts: Counter[str] = Counter()
        for score in match.pair.scores("arena"):
            counts[score.choice or "none"] += 1
            if score.value is None:
                continue
            points.append(score.value)
            games.setdefault(keys[score.conversation], []).append(
                (match.first, match.second, score.value)
            )
            if score.choice != "tie":
                shown.append((score.choice == "A") == (score.place == 1))
        found = mean_interval(points)
        results.append(
            MatchResult(
                players=[names[match.first], names[match.second]],
                wins=counts["A"],
                losses=counts["B"],
                ties=counts["tie"],
                missing=counts["none"],
                won=found.value if found else None,
                low=found.low if found else None,
                high=found.high if found else None,
            )
        )
    return Standings(
        ratings(names, games) if games else [], results, Share.of(sum(shown), len(shown))
    )
