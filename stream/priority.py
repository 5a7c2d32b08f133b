"""Scheduling priority (niceness) of threads."""

from __future__ import annotations

import os
import sys
import threading

DECODING_STEPS = 4
"""Steps of niceness for decoding and detection: they have a thread for each camera, identification has one for all."""
LONGEST_NICE = 19


def lower_priority(steps: int) -> None:
    """Raise the niceness of the calling thread by so many steps. Only Linux has a niceness for each thread, which
    threads that it starts inherit; on other systems nothing happens."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        nice = min(LONGEST_NICE, os.getpriority(os.PRIO_PROCESS, thread) + steps)
        os.setpriority(os.PRIO_PROCESS, thread, nice)
