"""The entries of the evidence chain: the lines of `chain.jsonl`, and how they are linked.

Every entry holds the sha256 of the previous line, so that no line can be changed, removed or inserted without breaking
the chain. Checkpoints, removals and truncations are signed; a signature covers every line before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from stream.events.jsonl_log import to_line

CHAIN = "chain.jsonl"
BEGINNING = sha256(b"").hexdigest()
"""The previous hash of the first entry."""

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
"""An event's id, fit to be part of a file's name."""
Removal = Literal["forgotten", "expired", "torn"]
Why = Literal["count", "end", "broken off"]


class _Link(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    number: int
    previous: str

    def line(self) -> bytes:
        return f"{to_line(self.model_dump())}\n".encode()


class Bundle(_Link):
    """An event's bundle, `<event>.json`, and its sha256."""

    kind: Literal["bundle"] = "bundle"
    event: FileName
    sha256: str


class _Signed(_Link):
    at: str
    key: str
    signature: str

    def signed(self) -> bytes:
        """The bytes that the signature covers."""
        return to_line(self.model_dump(exclude={"signature"})).encode()


class Checkpoint(_Signed):
    """A signature of the chain so far. "broken off": the previous run did not end normally."""

    kind: Literal["checkpoint"] = "checkpoint"
    why: Why


class RemovedEntry(_Signed):
    """Bundles that were deleted (None) or changed (their new sha256) for a reason."""

    kind: Literal["removed"] = "removed"
    why: Removal
    bundles: dict[FileName, str | None]


class Truncation(_Signed):
    """The first line of a chain whose older entries, all of removed bundles, were dropped: `number` and `previous` are
    the number of the last of them, and the sha256 of its line."""

    kind: Literal["cut"] = "cut"


ChainEntry = Bundle | Checkpoint | RemovedEntry | Truncation
_ANY: TypeAdapter[ChainEntry] = TypeAdapter(Annotated[ChainEntry, Field(discriminator="kind")])


EVERY = 64
"""Maximum number of bundles from one signature to the next."""


class BrokenError(ValueError):
    """An invalid chain; `link` is the entry at that line, if it is one."""

    def __init__(self, message: str, link: ChainEntry | None = None) -> None:
        super().__init__(message)
        self.link = link


@dataclass(frozen=True, slots=True)
class VerifiedEntry:
    """An entry, its line in the file (from 1), and the sha256 that the next one must hold."""

    row: int
    link: ChainEntry
    digest: str


class ChainReader:
    """Reads a chain line by line."""

    def __init__(self) -> None:
        self._row, self._number, self._digest = 0, -1, BEGINNING

    def take(self, line: bytes) -> VerifiedEntry:
        """Parse the next line. Raises BrokenError if it is no entry, or does not follow the previous one; the caller
        may continue."""
        self._row += 1
        link = _parse(self._row, line)
        begins = isinstance(link, Truncation) and self._row == 1
        follows = (link.number, link.previous) == (self._number + 1, self._digest) and not isinstance(link, Truncation)
        self._number, self._digest = link.number, digest_of(link)
        if not (begins or follows):
            raise BrokenError(
                f"line {self._row} does not follow the one before: one was changed, removed or put in", link
            )
        return VerifiedEntry(self._row, link, self._digest)


def placed(lines: Iterable[bytes]) -> Iterator[VerifiedEntry]:
    """Yield the entries of these lines. Raises BrokenError where the chain is broken."""
    reader = ChainReader()
    return (reader.take(line) for line in lines)


def digest_of(link: ChainEntry) -> str:
    """The sha256 that the next entry holds."""
    return link.previous if isinstance(link, Truncation) else sha256(link.line()).hexdigest()


def _parse(row: int, line: bytes) -> ChainEntry:
    try:
        link = _ANY.validate_python(json.loads(line))
    except (ValidationError, ValueError, RecursionError) as error:
        raise BrokenError(f"line {row} is no link of a chain") from error
    if link.line() != line:
        raise BrokenError(f"line {row} is not as unblur writes it")
    return link


class ChainState:
    """State of the bundles by the chain: `live` are the existing ones by event, oldest first, with their present
    sha256; `gone` are the removed ones, with the reason."""

    def __init__(self) -> None:
        self.live: dict[str, str] = {}
        self.gone: dict[str, Removal] = {}

    def follow(self, link: ChainEntry) -> None:
        """Apply the next entry."""
        match link:
            case Bundle():
                self.live[link.event] = link.sha256
                self.gone.pop(link.event, None)
            case RemovedEntry():
                for event, digest in link.bundles.items():
                    self._amend(event, digest, link.why)

    def _amend(self, event: str, digest: str | None, why: Removal) -> None:
        if digest is None:
            self.live.pop(event, None)
            self.gone[event] = why
        elif event in self.live:
            self.live[event] = digest
