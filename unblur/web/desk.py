"""Who asks is looked up on threads of its own: the default ones may all be busy with pictures, and nobody could come in
meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_CLERKS = ThreadPoolExecutor(2, "desk")


async def ask(question: Callable[[], T]) -> T:
    """The answer to a question that blocks, but not for long."""
    return await asyncio.get_running_loop().run_in_executor(_CLERKS, question)
