"""Resources of the process: the limit of open files, and memory. Files and connections share one limit, which is low by
default, so that many connections could keep a recording from opening its files."""

from __future__ import annotations

import ctypes
import sys

if sys.platform != "win32":
    import resource

_ENOUGH = 65_536
"""Some containers allow a billion, and programs that close each one before they start another would take minutes."""


def raise_open_file_limit() -> None:
    """Raise the limit of open files as far as the system allows."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


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
