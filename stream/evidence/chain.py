"""Writer of the evidence chain: appends entries, and signs them."""

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
    RemovedEntry,
    Truncation,
    VerifiedEntry,
    Why,
    digest_of,
    placed,
)
from stream.evidence.signing import Signer
from stream.results import iso
from stream.storage.append_only_file import AppendOnlyFile
from stream.storage.atomic_files import PRIVATE

S = TypeVar("S", Checkpoint, RemovedEntry, Truncation)
_log = structlog.get_logger()


class _Stamp(TypedDict):
    number: int
    previous: str
    at: str
    key: str
    signature: str


class Chain:
    """Continues the chain of a folder, or starts one.

    `last` is the latest bundle, even if it has been removed; `unsigned` counts the entries since the last signature. A
    signature covers the whole chain before it. So no chain is continued that this key's owner cannot have written: if a
    signature of this key is invalid, more entries are unsigned than a run leaves, or the last entry that was signed on
    this machine is missing.

    Raises OutputError if the chain is invalid or another process writes it, OSError when the disk refuses.
    """

    def __init__(self, folder: Path, signer: Signer) -> None:
        self.standing = ChainState()
        self.last: Bundle | None = None
        self.unsigned = 0
        self._signer = signer
        self._number, self._digest = -1, BEGINNING
        self._anchor = signer.mark(folder)
        self._last_signed = self._anchor.link
        self._journal = AppendOnlyFile(folder / CHAIN, PRIVATE)
        try:
            self._read(folder)
            self._advance_anchor()
        except (OutputError, StorageError, OSError):
            self._journal.close()
            raise

    @property
    def empty(self) -> bool:
        return not self._journal.size

    def add(self, event: str, digest: str) -> None:
        """Append the bundle of an event; `digest` is the sha256 of its file."""
        self._append(Bundle(number=self._number + 1, previous=self._digest, event=event, sha256=digest))

    def check(self, why: Why) -> None:
        """Append a signed checkpoint."""
        self._append(self._sign(Checkpoint(**self._stamp(), why=why)))

    def remove(self, bundles: Mapping[str, str | None], why: Removal) -> None:
        """Append a signed entry: these bundles are removed (None) or have these new sha256."""
        self._append(self._sign(RemovedEntry(**self._stamp(), why=why, bundles=dict(bundles))))

    def cut(self) -> None:
        """Drop the entries before the first existing bundle; one signed entry replaces them."""
        if self.empty:
            return
        self._last_signed = self._number, self._digest  # kept, even if none of the remaining signatures is by this key
        self._advance_anchor()
        self._journal.rewrite(self._truncate)

    def close(self) -> None:
        self._journal.close()

    def _read(self, folder: Path) -> None:
        known = self._anchor.link is None
        try:
            for place in placed(self._lines()):
                known |= (place.link.number, place.digest) == self._anchor.link
                self._add_read(place)
        except BrokenError as error:
            raise OutputError(
                f"the evidence in {folder} does not hold together ({error}): `unblur events verify` tells more;"
                " name a new folder"
            ) from error
        if not known and self.empty:
            self._start_again(folder)
        elif not known:
            self._raise_missing(folder)

    def _add_read(self, place: VerifiedEntry) -> None:
        """Add an entry of the file. Raises BrokenError if this key's owner cannot have written it."""
        self._follow(place.link, place.digest)
        if self.unsigned > EVERY:
            raise BrokenError(f"more than {EVERY} bundles up to line {place.row} are not signed: no run leaves that")
        if not isinstance(place.link, Bundle) and place.link.key == self._signer.public.name:
            if not self._signer.public.signed(place.link.signature, place.link.signed()):
                raise BrokenError(f"line {place.row} bears a signature that does not hold")
            self._last_signed = place.link.number, place.digest

    def _advance_anchor(self) -> None:
        """Advance the anchor to the last signature. After the signature: else, after a crash, the next run would be
        refused."""
        if self._last_signed and self._last_signed[0] > (self._anchor.link[0] if self._anchor.link else -1):
            self._anchor.set(*self._last_signed)

    def _start_again(self, folder: Path) -> None:
        """Start a new chain, because the folder was emptied or deleted; that is allowed, and visible to a verifier."""
        _log.warning("evidence that was signed here is gone; a new chain begins", folder=str(folder))
        self._anchor.drop()
        self._last_signed = None

    def _raise_missing(self, folder: Path) -> None:
        number = self._anchor.link[0] if self._anchor.link else 0
        raise OutputError(
            f"link {number} of the evidence in {folder}, which was signed here, is not there any more: bring the folder"
            " back as it was, or name a new one; if it was you who put another there, remove"
            f" {self._anchor.path}"
        )

    def _truncate(self, content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        links = list(placed(lines))
        kept = next(dropwhile(lambda place: not self._is_needed(place), links[:-1]), links[-1])
        if kept.row <= 2:
            return content
        last = links[kept.row - 2]
        stamp = self._stamp() | {"number": last.link.number, "previous": last.digest}
        return b"".join([self._sign(Truncation(**stamp)).line(), *lines[kept.row - 1 :]])

    def _is_needed(self, place: VerifiedEntry) -> bool:
        return isinstance(place.link, Bundle) and place.link.event in self.standing.live

    def _stamp(self) -> _Stamp:
        return {
            "number": self._number + 1,
            "previous": self._digest,
            "at": iso(datetime.now(UTC)),
            "key": self._signer.public.name,
            "signature": "",
        }

    def _sign(self, link: S) -> S:
        return link.model_copy(update={"signature": self._signer.sign(link.signed())})

    def _append(self, link: ChainEntry) -> None:
        self._journal.append(link.line())
        self._follow(link, digest_of(link))
        if not isinstance(link, Bundle):
            self._last_signed = self._number, self._digest
            self._advance_anchor()

    def _follow(self, link: ChainEntry, digest: str) -> None:
        self._number, self._digest = link.number, digest
        self.standing.follow(link)
        self.unsigned = self.unsigned + 1 if isinstance(link, Bundle) else 0
        if isinstance(link, Bundle):
            self.last = link

    def _lines(self) -> list[bytes]:
        return self._journal.path.read_bytes().splitlines(keepends=True)
