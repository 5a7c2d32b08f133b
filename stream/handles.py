"""Open files and connections, which one limit counts together. It is low for the sake of old programs, and whoever
connects again and again could keep the recording from opening its files."""

from __future__ import annotations

import sys

if sys.platform != "win32":
    import resource

_ENOUGH = 65_536
"""Some containers allow a billion, and programs that close each one before they start another would take minutes."""


def allow_many() -> None:
    """Have as many as the system lets us."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
