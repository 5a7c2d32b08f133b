"""Which threads go first where there are more than cores."""

from __future__ import annotations

import os
import sys
import threading

PICTURES = 4
"""Steps by which decoding and searching give way: there are many threads of them, and one that says who it is."""
LONGEST_NICE = 19


def give_way(steps: int) -> None:
    """Lower the priority of this thread by so many steps of niceness. Linux alone gives each thread one of its own,
    which those that it starts inherit; elsewhere nothing happens."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        nice = min(LONGEST_NICE, os.getpriority(os.PRIO_PROCESS, thread) + steps)
        os.setpriority(os.PRIO_PROCESS, thread, nice)
