"""The links of the evidence chain: what one line of `chain.jsonl` may be, and how lines hold on to each other.

Every link holds the sha256 of the line before it, so that no line can be changed, taken out or put in without breaking
the chain there. Checkpoints, removals and cuts are signed; a signature vouches for every line before it.
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
"""What the first link holds in place of a line before it."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
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
    event: Name
    sha256: str


class _Signed(_Link):
    at: str
    key: str
    signature: str

    def signed(self) -> bytes:
        """What the signature covers."""
        return to_line(self.model_dump(exclude={"signature"})).encode()


class Checkpoint(_Signed):
    """All is well so far. "broken off": the run before did not come to its end."""

    kind: Literal["checkpoint"] = "checkpoint"
    why: Why


class Removed(_Signed):
    """Bundles that were deleted (None) or changed (their new sha256) for a reason."""

    kind: Literal["removed"] = "removed"
    why: Removal
    bundles: dict[Name, str | None]


class Truncation(_Signed):
    """The first line of a chain whose older links, all of bundles removed, are gone: `number` and `previous` are the
    last one's own number, and the sha256 of its line."""

    kind: Literal["cut"] = "cut"


ChainEntry = Bundle | Checkpoint | Removed | Truncation
_ANY: TypeAdapter[ChainEntry] = TypeAdapter(Annotated[ChainEntry, Field(discriminator="kind")])


EVERY = 64
"""Bundles from one signature to the next, at most."""


class BrokenError(ValueError):
    """A chain that does not hold; `link` is what stands there, if it is a link at all."""

    def __init__(self, message: str, link: ChainEntry | None = None) -> None:
        super().__init__(message)
        self.link = link


@dataclass(frozen=True, slots=True)
class VerifiedEntry:
    """A link, where it stands in the file (from 1), and the sha256 that the next one must hold."""

    row: int
    link: ChainEntry
    digest: str


class ChainReader:
    """Follows a chain line by line."""

    def __init__(self) -> None:
        self._row, self._number, self._digest = 0, -1, BEGINNING

    def take(self, line: bytes) -> VerifiedEntry:
        """The next line's link. Raises BrokenError if it is none, or does not follow the one before; one may go on."""
        self._row += 1
        link = _parsed(self._row, line)
        begins = isinstance(link, Truncation) and self._row == 1
        follows = (link.number, link.previous) == (self._number + 1, self._digest) and not isinstance(link, Truncation)
        self._number, self._digest = link.number, digest_of(link)
        if not (begins or follows):
            raise BrokenError(
                f"line {self._row} does not follow the one before: one was changed, removed or put in", link
            )
        return VerifiedEntry(self._row, link, self._digest)


def placed(lines: Iterable[bytes]) -> Iterator[VerifiedEntry]:
    """The links of these lines, as long as they hold on to each other. Raises BrokenError where they do not."""
    thread = ChainReader()
    return (thread.take(line) for line in lines)


def digest_of(link: ChainEntry) -> str:
    """The sha256 that the link after this one holds."""
    return link.previous if isinstance(link, Truncation) else sha256(link.line()).hexdigest()


def _parsed(row: int, line: bytes) -> ChainEntry:
    try:
        link = _ANY.validate_python(json.loads(line))
    except (ValidationError, ValueError, RecursionError) as error:
        raise BrokenError(f"line {row} is no link of a chain") from error
    if link.line() != line:
        raise BrokenError(f"line {row} is not as unblur writes it")
    return link


class ChainState:
    """What a chain says is there: `live` are the bundles by event, oldest first, with the sha256 that they have by now;
    `gone` the events whose bundles were removed, and why."""

    def __init__(self) -> None:
        self.live: dict[str, str] = {}
        self.gone: dict[str, Removal] = {}

    def follow(self, link: ChainEntry) -> None:
        """Go on to the next link."""
        match link:
            case Bundle():
                self.live[link.event] = link.sha256
                self.gone.pop(link.event, None)
            case Removed():
                for event, digest in link.bundles.items():
                    self._amend(event, digest, link.why)

    def _amend(self, event: str, digest: str | None, why: Removal) -> None:
        if digest is None:
            self.live.pop(event, None)
            self.gone[event] = why
        elif event in self.live:
            self.live[event] = digest
