"""What the arena's judge said: who wins against whom, and the ranking that follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convogen.judges.reference_dialogues import PairFolder
from convogen.judges.verdict_files import wilson
from convogen.reports.intervals import mean_interval
from convogen.reports.ratings import Game, ratings

__all__ = ["Match", "standings"]


@dataclass(frozen=True, slots=True)
class Match:
    """Two players by number, and the folder of what was said of their dialogues."""

    first: int
    second: int
    pair: PairFolder


def standings(names: Sequence[str], matches: Sequence[Match]) -> dict[str, Any]:
    """The ranking, each two players' results, and whether the place decided.

    `won` is the share of points of the first player (a tie is half of one), `first_shown` the share
    of decided verdicts that name the dialogue shown first: half where the place does not matter.
    """
    games: dict[str, list[Game]] = {}
    results: list[dict[str, Any]] = []
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
            {
                "players": [names[match.first], names[match.second]],
                "wins": counts["A"],
                "losses": counts["B"],
                "ties": counts["tie"],
                "missing": counts["none"],
                "won": found.value if found else None,
                "low": found.low if found else None,
                "high": found.high if found else None,
            }
        )
    low, high = wilson(sum(shown), len(shown)) if shown else (None, None)
    share = sum(shown) / len(shown) if shown else None
    return {
        "ratings": ratings(names, games) if games else [],
        "matches": results,
        "first_shown": {"value": share, "low": low, "high": high, "n": len(shown)},
    }
