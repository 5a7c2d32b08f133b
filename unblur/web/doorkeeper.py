"""Whether a password is right: few at a time, and slower and slower for those who guess."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from unblur.web.accounts import Account, Accounts, folded
from unblur.web.throttle import Throttle

_AT_ONCE, _WAITING = 2, 16
"""A check takes 64 MiB (RFC 9106, 4), and long enough that those who wait for theirs must be few."""


class TooManyTriesError(Exception):
    """Too many tries: `wait_s` whole seconds must pass before the next."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = max(1, math.ceil(wait_s))
        super().__init__(f"too many tries: try again in {self.wait_s} s")


class Doorkeeper:
    """Checks passwords of `accounts`. An address has fewer tries than an account, whose owner nobody shall be able to
    keep out for longer than a minute. All methods run on the event loop."""

    def __init__(self, accounts: Accounts, clock: Callable[[], float] = time.monotonic) -> None:
        self._accounts = accounts
        self._by_address = Throttle(5, 900, clock)
        self._by_name = Throttle(10, 60, clock)
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._checking = 0

    async def check(self, name: str, password: str, address: str) -> Account | None:
        """Whose name and password these are, tried from `address`. Raises TooManyTriesError."""
        name = folded(name)[:64]
        if self._checking >= _WAITING:
            raise TooManyTriesError(1)
        if wait_s := max(self._by_address.wait_s(address), self._by_name.wait_s(name)):
            raise TooManyTriesError(wait_s)
        self._by_address.count(address)
        self._by_name.count(name)
        self._checking += 1
        try:
            async with self._free:
                account = await asyncio.to_thread(self._accounts.check, name, password)
        finally:
            self._checking -= 1
        if account:
            self._by_address.take_back(address)
            self._by_name.take_back(name)
        return account
