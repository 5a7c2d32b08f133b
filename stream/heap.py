"""The C library's heap, kept small. glibc's alone: other libraries are left as they are."""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8
"""mallopt(3)."""
_ARENAS = 2
_glibc = ctypes.CDLL(None) if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim") else None


def share() -> None:
    """Let all threads share two heaps: glibc gives each one of its own, and what is freed in one is of no use to the
    next. To be called before there are threads."""
    if _glibc:
        _glibc.mallopt(_M_ARENA_MAX, _ARENAS)


def trim() -> None:
    """Give back what is free (malloc_trim(3)): between what is kept, glibc would hold on to it for good."""
    if _glibc:
        _glibc.malloc_trim(0)
