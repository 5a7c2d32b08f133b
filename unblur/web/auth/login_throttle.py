"""Whether a password is right: few at a time, and slower and slower for those who guess."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from unblur.web.auth.accounts import Account, Accounts, normalize_account_name

_AT_ONCE, _WAITING = 2, 16
"""A check takes 64 MiB (RFC 9106, 4), and long enough that those who wait for theirs must be few."""


class TooManyTriesError(Exception):
    """Too many tries: `wait_s` whole seconds must pass before the next."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = max(1, math.ceil(wait_s))
        super().__init__(f"too many attempts: try again in {self.wait_s} s")


class PasswordChecker:
    """Checks passwords of `accounts`. An address has fewer tries than an account, whose owner nobody shall be able to
    keep out for longer than a minute. All methods run on the event loop."""

    def __init__(self, accounts: Accounts, clock: Callable[[], float] = time.monotonic) -> None:
        self._accounts = accounts
        self._by_address = LoginThrottle(5, 900, clock)
        self._by_name = LoginThrottle(10, 60, clock)
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._checking = 0

    async def check(self, name: str, password: str, address: str) -> Account | None:
        """Whose name and password these are, tried from `address`. Raises TooManyTriesError."""
        name = normalize_account_name(name)[:64]
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


MOST = 4096
"""Keys that are remembered; one more, and the one that tried longest ago is forgotten."""


@dataclass(slots=True)
class _Tries:
    count: int
    last_s: float


class LoginThrottle:
    """Allows `free` tries at once, and then one after 1, 2, 4, ... seconds, at most `longest_s`. Every try counts when
    it begins, so that many at once are no way around; one that was right is taken back. Nobody gains by waiting to be
    forgotten: in that time the longest pauses allow as many tries as there are before them."""

    def __init__(self, free: int, longest_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._free, self._longest_s, self._clock = free, longest_s, clock
        self._memory_s = longest_s * (free + math.ceil(math.log2(longest_s)))
        self._tries: dict[str, _Tries] = {}
        self.forgotten = 0
        """Keys for which there was no room."""

    def wait_s(self, key: str) -> float:
        """How long until this key may try again; 0: now."""
        tries = self._tries.get(key)
        if tries is None or tries.count < self._free:
            return 0.0
        pause = min(self._longest_s, 2.0 ** min(tries.count - self._free, 64))
        return max(0.0, tries.last_s + pause - self._clock())

    def count(self, key: str) -> None:
        """A try begins."""
        now = self._clock()
        tries = self._tries.pop(key, None)
        if tries is None or now - tries.last_s > self._memory_s:
            tries = _Tries(0, now)
        self._tries[key] = _Tries(tries.count + 1, now)  # at the end: the first are those that tried longest ago
        if len(self._tries) > MOST:
            del self._tries[next(iter(self._tries))]
            self.forgotten += 1

    def take_back(self, key: str) -> None:
        """The try was right."""
        if tries := self._tries.get(key):
            tries.count -= 1
