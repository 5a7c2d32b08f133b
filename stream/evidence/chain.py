"""The evidence chain while it is written: links go on its end, and signatures vouch for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import dropwhile
from pathlib import Path
from typing import TypedDict, TypeVar

import structlog

from stream.errors import OutputError, StorageError
from stream.evidence.chain_entries import (
    BEGINNING,
    CHAIN,
    EVERY,
    BrokenError,
    Bundle,
    ChainEntry,
    ChainState,
    Checkpoint,
    Removal,
    Removed,
    Truncation,
    VerifiedEntry,
    Why,
    digest_of,
    placed,
)
from stream.evidence.signing import Signer
from stream.results import iso
from stream.storage.append_only_file import PRIVATE, AppendOnlyFile

S = TypeVar("S", Checkpoint, Removed, Truncation)
_log = structlog.get_logger()


class _Stamp(TypedDict):
    number: int
    previous: str
    at: str
    key: str
    signature: str


class Chain:
    """Goes on with the chain of a folder, or begins one.

    `last` is the latest bundle, whether or not it is still there; `unsigned` counts the links since the last signature.
    Whatever is signed, the chain before it seems vouched for. So nothing is added to one that this key's owner cannot
    have written: where a signature of this key does not hold, more links are unsigned than a run leaves, or the last
    link that was signed here is no longer there.

    Raises OutputError if the chain does not hold or another process writes it, OSError when the disk refuses.
    """

    def __init__(self, folder: Path, signer: Signer) -> None:
        self.standing = ChainState()
        self.last: Bundle | None = None
        self.unsigned = 0
        self._signer = signer
        self._number, self._digest = -1, BEGINNING
        self._mark = signer.mark(folder)
        self._tide = self._mark.link
        self._journal = AppendOnlyFile(folder / CHAIN, PRIVATE)
        try:
            self._read(folder)
            self._rise()
        except (OutputError, StorageError, OSError):
            self._journal.close()
            raise

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
        if self.empty:
            return
        self._tide = self._number, self._digest  # which stays, even where none of the signatures kept is this key's
        self._rise()
        self._journal.rewrite(self._shortened)

    def close(self) -> None:
        self._journal.close()

    def _read(self, folder: Path) -> None:
        known = self._mark.link is None
        try:
            for place in placed(self._lines()):
                known |= (place.link.number, place.digest) == self._mark.link
                self._take(place)
        except BrokenError as error:
            raise OutputError(
                f"the evidence in {folder} does not hold together ({error}): `unblur events verify` tells more;"
                " name a new folder"
            ) from error
        if not known and self.empty:
            self._begin_anew(folder)
        elif not known:
            self._refuse(folder)

    def _take(self, place: VerifiedEntry) -> None:
        """Raises BrokenError for what this key's owner did not write."""
        self._follow(place.link, place.digest)
        if self.unsigned > EVERY:
            raise BrokenError(f"more than {EVERY} bundles up to line {place.row} are not signed: no run leaves that")
        if not isinstance(place.link, Bundle) and place.link.key == self._signer.public.name:
            if not self._signer.public.signed(place.link.signature, place.link.signed()):
                raise BrokenError(f"line {place.row} bears a signature that does not hold")
            self._tide = place.link.number, place.digest

    def _rise(self) -> None:
        """Note how far is signed, once it is: noted before, a crash between would have the next run refused."""
        if self._tide and self._tide[0] > (self._mark.link[0] if self._mark.link else -1):
            self._mark.set(*self._tide)

    def _begin_anew(self, folder: Path) -> None:
        """The folder was emptied or deleted, which hides nothing: its owner may, and whoever looks for it sees it."""
        _log.warning("evidence that was signed here is gone; a new chain begins", folder=str(folder))
        self._mark.drop()
        self._tide = None

    def _refuse(self, folder: Path) -> None:
        number = self._mark.link[0] if self._mark.link else 0
        raise OutputError(
            f"link {number} of the evidence in {folder}, which was signed here, is not there any more: bring the folder"
            " back as it was, or name a new one; if it was you who put another there, remove"
            f" {self._mark.path}"
        )

    def _shortened(self, content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        links = list(placed(lines))
        kept = next(dropwhile(lambda place: not self._needed(place), links[:-1]), links[-1])
        if kept.row <= 2:
            return content
        last = links[kept.row - 2]
        stamp = self._stamp() | {"number": last.link.number, "previous": last.digest}
        return b"".join([self._signed(Truncation(**stamp)).line(), *lines[kept.row - 1 :]])

    def _needed(self, place: VerifiedEntry) -> bool:
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

    def _append(self, link: ChainEntry) -> None:
        self._journal.append(link.line())
        self._follow(link, digest_of(link))
        if not isinstance(link, Bundle):
            self._tide = self._number, self._digest
            self._rise()

    def _follow(self, link: ChainEntry, digest: str) -> None:
        self._number, self._digest = link.number, digest
        self.standing.follow(link)
        self.unsigned = self.unsigned + 1 if isinstance(link, Bundle) else 0
        if isinstance(link, Bundle):
            self.last = link

    def _lines(self) -> list[bytes]:
        return self._journal.path.read_bytes().splitlines(keepends=True)
