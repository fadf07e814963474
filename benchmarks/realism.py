"""How often the classifier two-sample test raises a false alarm on real dialogues.

`python -m benchmarks.realism HUMAN` splits a human corpus into random halves 500 times and tests
each time whether the halves differ. At a level of 5%, the test should report a difference for 5% of
the splits. The exit status is 1 unless the rate of every family is between 3% and 7%. The benchmark
also times one comparison of the whole corpus.
"""

from __future__ import annotations

import argparse
import sys
import time

from convogen.corpora import open_corpus
from convogen.realism import compare, sample
from convogen.realism.comparing import families_of
from convogen.realism.samples import grouped
from convogen.realism.two_sample import false_alarms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("human", help="human corpus, such as DialogueForge's OASST1 seeds")
    parser.add_argument("--turns", choices=["all", "opener", "others"], default="opener")
    parser.add_argument("--skip", type=int, default=1)
    parser.add_argument("--first", type=int, default=6)
    parser.add_argument("--halves", type=int, default=500)
    parser.add_argument("--permutations", type=int, default=199)
    given = parser.parse_args()
    human = sample(
        open_corpus(given.human),
        given.human,
        turns=given.turns,
        skip=given.skip,
        first=given.first,
    )
    begun = time.perf_counter()
    compare(human[::2], human[1::2], turns=given.turns, permutations=0, halves=20)
    print(f"{len(human)} dialogues compared in {time.perf_counter() - begun:.1f} s")
    rates = false_alarms(
        families_of(human, given.turns),
        grouped(human),
        halves=given.halves,
        permutations=given.permutations,
        seed=0,
    )
    for family, rate in rates.items():
        print(f"{family:<12} {rate:.1%} of {given.halves} halves (target: 3% to 7%)")
    sys.exit(not all(0.03 <= rate <= 0.07 for rate in rates.values()))


if __name__ == "__main__":
    main()
