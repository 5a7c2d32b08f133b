"""Downloads pinned files, with a progress bar. Only this module connects to the network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten
from typing import IO, Protocol

import httpx2
from rich.progress import Progress
from unearth.fetchers import PyPIClient

from models.assets.manifest import Artefact, Asset
from models.assets.package_index import Index, find_link, redacted_location
from models.errors import ModelError

CHUNK = 1 << 16
UNREADABLE = (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError)
"""Errors of an index or address that cannot be reached or has an invalid answer."""


class PinnedFile(Protocol):
    """A file of known size and hash."""

    @property
    def file(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def size(self) -> int: ...


class Downloader:
    """Downloads artefacts and assets into open files."""

    def __init__(self, index: Index, client: PyPIClient, progress: Progress | None) -> None:
        self._index = index
        self._client = client
        self._progress = progress

    def artefact(self, artefact: Artefact, into: IO[bytes]) -> None:
        """Download from the first of pip's locations that has it. Raises ModelError with the reason of each
        location."""
        reasons = []
        for location_name, finder in self._index.finders(self._client):
            try:
                url = find_link(finder, artefact)
                if url is None:
                    reasons.append(f"{location_name} does not have it or cannot be read")
                    continue
                return self._stream(url, artefact, into)
            except ModelError as error:
                reasons.append(str(error))
            except UNREADABLE as error:
                reasons.append(f"{location_name}: {_reason(error)}")
        raise ModelError("; ".join(reasons) or "pip is configured to use no index")

    def official(self, asset: Asset, into: IO[bytes]) -> None:
        """Download from its author's address. Raises ModelError if there is none, or it does not serve the pinned
        bytes."""
        if asset.official is None:
            raise ModelError(f"{asset.file} has no other address")
        try:
            self._stream(asset.official, asset, into)
        except UNREADABLE as error:
            raise ModelError(f"{redacted_location(asset.official)}: {_reason(error)}") from error

    def _stream(self, url: str, pinned: PinnedFile, into: IO[bytes]) -> None:
        into.seek(0)
        into.truncate()
        digest = hashlib.sha256()
        with self._client.get_stream(url) as response:
            response.raise_for_status()
            for chunk in self._report_progress(response.iter_bytes(CHUNK), pinned):
                digest.update(chunk)
                into.write(chunk)
        if digest.hexdigest() != pinned.sha256:
            raise ModelError(
                f"{pinned.file} from {redacted_location(url)} is not the file that was pinned (sha256 differs): refused"
            )
        into.seek(0)

    def _report_progress(self, chunks: Iterator[bytes], pinned: PinnedFile) -> Iterator[bytes]:
        """Yield the chunks with progress; at most the pinned size and one chunk."""
        task = self._progress.add_task(pinned.file, total=pinned.size) if self._progress else None
        received = 0
        for chunk in chunks:
            received += len(chunk)
            if self._progress and task is not None:
                self._progress.update(task, completed=received)
            yield chunk
            if received > pinned.size:
                return


@contextmanager
def downloader(progress: Progress | None) -> Iterator[Downloader]:
    """Open a downloader with pip's current configuration."""
    index = Index.configured()
    with index.client() as client:
        yield Downloader(index, client, progress)


def _reason(error: Exception) -> str:
    """Describe an error in one line without an address, which may have credentials."""
    match error:
        case httpx2.HTTPStatusError():
            return f"HTTP status {error.response.status_code}"
        case httpx2.TransportError():
            return shorten(str(error), 120) or type(error).__name__
        case OSError():
            return error.strerror or type(error).__name__
    return "cannot be read"
