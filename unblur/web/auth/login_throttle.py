"""Throttled password checks: few at a time, with exponential back-off per client address and per account."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from unblur.web.auth.accounts import Account, Accounts, normalize_account_name

_AT_ONCE, _WAITING = 2, 16
"""Checks at once, and running and waiting ones together: each takes 64 MiB (RFC 9106, 4) and much time."""


class TooManyTriesError(Exception):
    """Too many tries: `wait_s` whole seconds must pass before the next."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = max(1, math.ceil(wait_s))
        super().__init__(f"too many attempts: try again in {self.wait_s} s")


class PasswordChecker:
    """Checks passwords of `accounts`. The limit per account is looser than the one per address, so that an attacker
    cannot lock an owner out for longer than a minute. All methods run on the event loop."""

    def __init__(self, accounts: Accounts, clock: Callable[[], float] = time.monotonic) -> None:
        self._accounts = accounts
        self._by_address = LoginThrottle(5, 900, clock)
        self._by_name = LoginThrottle(10, 60, clock)
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._checking = 0

    async def check(self, name: str, password: str, address: str) -> Account | None:
        """The account with this name and password, tried from `address`, or None. Raises TooManyTriesError."""
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
"""Keys kept at most; above that, the one with the oldest last try is dropped."""


@dataclass(slots=True)
class _Tries:
    count: int
    last_s: float


class LoginThrottle:
    """Allows `free` tries at once, and then one after 1, 2, 4, ... seconds, at most `longest_s`. Every try counts when
    it begins, so that parallel tries do not evade the limit; a successful one is taken back. Waiting until a key
    expires is no shortcut: in that time the longest pauses allow as many tries."""

    def __init__(self, free: int, longest_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._free, self._longest_s, self._clock = free, longest_s, clock
        self._memory_s = longest_s * (free + math.ceil(math.log2(longest_s)))
        self._tries: dict[str, _Tries] = {}
        self.forgotten = 0
        """Number of keys dropped for lack of room."""

    def wait_s(self, key: str) -> float:
        """Seconds until this key may try again; 0: now."""
        tries = self._tries.get(key)
        if tries is None or tries.count < self._free:
            return 0.0
        pause = min(self._longest_s, 2.0 ** min(tries.count - self._free, 64))
        return max(0.0, tries.last_s + pause - self._clock())

    def count(self, key: str) -> None:
        """Count a try at its start."""
        now = self._clock()
        tries = self._tries.pop(key, None)
        if tries is None or now - tries.last_s > self._memory_s:
            tries = _Tries(0, now)
        self._tries[key] = _Tries(tries.count + 1, now)  # at the end: sorted by the last try, oldest first
        if len(self._tries) > MOST:
            del self._tries[next(iter(self._tries))]
            self.forgotten += 1

    def take_back(self, key: str) -> None:
        """Uncount a successful try."""
        if tries := self._tries.get(key):
            tries.count -= 1
