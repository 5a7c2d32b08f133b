"""The evidence chain while it is written: links go on its end, and signatures vouch for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import dropwhile
from pathlib import Path
from typing import TypedDict, TypeVar

from stream.data import iso
from stream.errors import OutputError
from stream.journal import Journal
from stream.links import (
    BEGINNING,
    CHAIN,
    BrokenError,
    Bundle,
    Checkpoint,
    Cut,
    Link,
    Placed,
    Removal,
    Removed,
    Standing,
    Why,
    digest_of,
    placed,
)
from stream.signature import Signer

EVERY = 64
"""Links from one signature to the next."""

S = TypeVar("S", Checkpoint, Removed, Cut)


class _Stamp(TypedDict):
    number: int
    previous: str
    at: str
    key: str
    signature: str


class Chain:
    """Goes on with the chain of a folder, or begins one.

    `last` is the latest bundle, whether or not it is still there; `unsigned` counts the links since the last signature.
    Raises OutputError if the chain does not hold or another process writes it, OSError when the disk refuses.
    """

    def __init__(self, folder: Path, signer: Signer) -> None:
        self.standing = Standing()
        self.last: Bundle | None = None
        self.unsigned = 0
        self._signer = signer
        self._number, self._digest = -1, BEGINNING
        self._journal = Journal(folder / CHAIN)
        try:
            for place in placed(self._lines()):
                self._follow(place.link, place.digest)
        except BrokenError as error:
            self._journal.close()
            raise OutputError(
                f"the evidence in {folder} does not hold together ({error}): `unblur events verify` tells more;"
                " name a new folder"
            ) from error

    @property
    def empty(self) -> bool:
        return not self._journal.size

    def add(self, event: str, digest: str) -> None:
        """An event's bundle, by the sha256 of its file."""
        self._append(Bundle(number=self._number + 1, previous=self._digest, event=event, sha256=digest))

    def check(self, why: Why) -> None:
        """Sign what is there."""
        self._append(self._signed(Checkpoint(**self._stamp(), why=why)))

    def remove(self, bundles: Mapping[str, str | None], why: Removal) -> None:
        """Say, signed, that these bundles are no more (None) or are to have these sha256."""
        self._append(self._signed(Removed(**self._stamp(), why=why, bundles=dict(bundles))))

    def cut(self) -> None:
        """Drop the links before the first bundle that is there; a signed one takes their place."""
        self._journal.rewrite(self._shortened)

    def close(self) -> None:
        self._journal.close()

    def _shortened(self, content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        links = list(placed(lines))
        kept = next(dropwhile(lambda place: not self._needed(place), links[:-1]), links[-1])
        if kept.row <= 2:
            return content
        last = links[kept.row - 2]
        stamp = self._stamp() | {"number": last.link.number, "previous": last.digest}
        return b"".join([self._signed(Cut(**stamp)).line(), *lines[kept.row - 1 :]])

    def _needed(self, place: Placed) -> bool:
        return isinstance(place.link, Bundle) and place.link.event in self.standing.live

    def _stamp(self) -> _Stamp:
        return {
            "number": self._number + 1,
            "previous": self._digest,
            "at": iso(datetime.now(UTC)),
            "key": self._signer.public.name,
            "signature": "",
        }

    def _signed(self, link: S) -> S:
        return link.model_copy(update={"signature": self._signer.sign(link.signed())})

    def _append(self, link: Link) -> None:
        self._journal.append(link.line())
        self._follow(link, digest_of(link))

    def _follow(self, link: Link, digest: str) -> None:
        self._number, self._digest = link.number, digest
        self.standing.follow(link)
        self.unsigned = self.unsigned + 1 if isinstance(link, Bundle) else 0
        if isinstance(link, Bundle):
            self.last = link

    def _lines(self) -> list[bytes]:
        return self._journal.path.read_bytes().splitlines(keepends=True)
