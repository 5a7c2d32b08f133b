"""From which cosine similarity on two faces are the same person's: chosen on `val` by `benchmarks/threshold.py`."""

from __future__ import annotations

from math import log

SMALL = 10
"""People in the smallest gallery that the rule was measured on; smaller ones get its threshold."""
AT_SMALL = 0.38
PER_LOG = 0.024
"""Growth with the natural logarithm of the number of people."""


def threshold_for(people: int) -> float:
    """The cosine similarity that about 1 % of sharp strangers reach against a gallery of this many people.

    A stranger meets the best of all who are enrolled, and the tail of strangers' similarities falls exponentially:
    so the threshold for a fixed rate grows with the logarithm of the gallery. Blurred strangers score lower and
    reach it less often.
    """
    return AT_SMALL + PER_LOG * log(max(people, SMALL) / SMALL)
