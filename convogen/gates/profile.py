"""Keeps the distribution of accepted conversations close to a human corpus, feature by feature.

The quantiles of the corpus divide each feature into a few bins. The excess of a bin is the number
of accepted conversations in it, minus the number expected from the corpus. The surplus of a
conversation is the sum of the excesses of its bins over all features. A conversation whose surplus
exceeds the tolerance is rejected, unless its surplus is below the median of recent conversations.
The allowed rejections are therefore spent on the worst conversations, not on the first
conversations. Quotas are based on the conversations so far. The accepted conversations are
therefore close to the corpus at any length of the run, and a run can be extended.

Only counts and the surpluses of the last few conversations are kept in memory.
"""

from __future__ import annotations

import hashlib
from collections import deque
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from convogen.corpora import open_corpus
from convogen.gates.base import Filter, OrderedGate, Rejection
from convogen.records import Conversation, Rejected
from convogen.storage.run_folder import Run

if TYPE_CHECKING:
    from convogen.realism.histograms import Histogram

__all__ = ["Profile"]

_RECENT = 20
"""Number of recent conversations, including rejected ones, whose median surplus is used."""

TOLERANCE = 0.01
"""Tolerated excess of a bin, per feature, as a share of the accepted conversations."""

_FEWEST = 4
"""Minimum number of recent conversations for which a median is computed."""


class Profile(OrderedGate):
    """Parameters of the `profile` gate."""

    name: ClassVar[str] = "profile"
    path_fields: ClassVar[tuple[str, ...]] = ("corpus",)

    corpus: str = Field(
        min_length=1,
        description="human corpus with at least 30 conversations: a file or "
        "hf:OWNER/NAME[@CONFIG][:SPLIT]",
    )
    features: tuple[str, ...] = Field(
        min_length=1,
        description="features whose distributions should match the corpus; `convogen realism` "
        "reports the same features",
    )
    bins: int = Field(
        default=4,
        ge=2,
        le=20,
        description="maximum number of bins into which the values of each feature are divided",
    )
    max_redraws_per_accepted: float = Field(
        default=1.0,
        ge=0,
        description="maximum number of rejections by this gate per accepted conversation; with 1, "
        "the number of model calls at most doubles",
    )

    @field_validator("features")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from convogen.realism.features import features_named

        features_named(names)
        return names

    @classmethod
    def is_path(cls, field: str, value: str) -> bool:
        return not value.startswith("hf:")

    @cached_property
    def histograms(self) -> list[Histogram]:
        """The distribution of each feature in the corpus, read once.

        Raises `SourceError` if the corpus cannot be read.
        """
        from convogen.realism.features import features_named
        from convogen.realism.histograms import human_histograms

        features = features_named(self.features)
        return human_histograms(open_corpus(self.corpus), self.corpus, features, self.bins)

    def sources(self) -> dict[str, str]:
        spread = [(one.cuts, one.shares) for one in self.histograms]
        return {"corpus": hashlib.blake2b(f"{spread}".encode(), digest_size=8).hexdigest()}

    def start(self, run: Run) -> Filter:
        return _Quotas(self.histograms, self.max_redraws_per_accepted)


class _Quotas(Filter):
    """The number of accepted conversations in each bin of each feature."""

    def __init__(self, histograms: list[Histogram], redraws: float) -> None:
        self._histograms = histograms
        self._redraws = redraws
        self._counts = [[0] * len(one.shares) for one in histograms]
        self._accepted = self._rejected = 0
        self._recent: deque[float] = deque(maxlen=_RECENT)

    def check(self, conversation: Conversation) -> Rejection | None:
        if self._rejected + 1 > self._redraws * self._accepted:
            return None
        surpluses = self._surpluses(self._bins(conversation))
        surplus = sum(surpluses)
        usual = median(self._recent) if len(self._recent) >= _FEWEST else 0.0
        if surplus <= len(surpluses) * (0.5 + TOLERANCE * self._accepted) or surplus < usual:
            return None
        worst = max(range(len(surpluses)), key=surpluses.__getitem__)
        about = self._histograms[worst].feature.about
        return Rejection(
            f"too many accepted conversations are similar, most of all in this feature: {about}",
            round(surplus, 4),
        )

    def add(self, conversation: Conversation) -> None:
        bins = self._bins(conversation)
        self._recent.append(sum(self._surpluses(bins)))
        self._accepted += 1
        for counts, at in zip(self._counts, bins, strict=True):
            counts[at] += 1

    def add_rejected(self, rejected: Rejected) -> None:
        if rejected.gate == Profile.name:
            self._recent.append(sum(self._surpluses(self._bins(rejected.conversation))))
            self._rejected += 1

    def _bins(self, conversation: Conversation) -> list[int]:
        """Return the bin of a conversation for each feature; the lowest bins if the conversation
        has no words."""
        from convogen.realism.features import measure
        from convogen.realism.samples import dialogue_of

        dialogue = dialogue_of(conversation)
        if dialogue is None:
            return [0] * len(self._histograms)
        [values] = measure([dialogue], [one.feature for one in self._histograms])
        return [one.bin(value) for one, value in zip(self._histograms, values, strict=True)]

    def _surpluses(self, bins: list[int]) -> list[float]:
        """Return, for each feature, the excess of the given bin, as a number of conversations."""
        return [
            counts[at] - one.shares[at] * self._accepted
            for one, counts, at in zip(self._histograms, self._counts, bins, strict=True)
        ]
