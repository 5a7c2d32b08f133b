"""From which cosine similarity on two faces are the same person's: chosen on `val` by `benchmarks/threshold.py`."""

from __future__ import annotations

from math import exp, log

SMALL = 10
"""People in the smallest gallery that the rule was measured on; smaller ones get its threshold."""
AT_SMALL = 0.38
PER_LOG = 0.024
"""Growth with the natural logarithm of the number of people, and of how rarely a stranger may be named."""
USUAL = 0.01
"""The share of strangers for which AT_SMALL was chosen."""


def threshold_for(people: int, fpir: float = USUAL) -> float:
    """The cosine similarity that at most a share `fpir` (0..1) of sharp strangers reach against a gallery of this many
    people.

    A stranger meets the best of all who are enrolled, and the tail of strangers' similarities falls exponentially:
    so the threshold for a fixed rate grows with the logarithm of the gallery, and with that of 1 / rate. Blurred
    strangers score lower and reach it less often.
    """
    return AT_SMALL + PER_LOG * (log(max(people, SMALL) / SMALL) + log(USUAL / fpir))


def fpir_at(threshold: float, people: int) -> float:
    """The share of strangers that `threshold` lets through, by the same rule; 1 at most."""
    return min(1.0, USUAL * exp((threshold_for(people) - threshold) / PER_LOG))
