"""The pinned files of `manifest.toml`, fetched or part of unblur, as values."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar, get_args

from models.errors import ModelError

AssetKind = Literal["networks", "portraits", "typefaces", "judges"]
WEIGHTS = Path(__file__).parents[1] / "weights"
"""Folder of the networks that this project trained."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """A wheel or sdist, by the name and hash under which a package index serves it."""

    project: str
    version: str
    file: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Asset:
    """One pinned file: a member of an artefact, and the address where its author publishes it, if there is one."""

    kind: AssetKind
    name: str
    about: str
    licence: str
    source: str
    artefact: Artefact
    member: str
    sha256: str
    size: int
    official: str | None = None
    input: Sequence[int | str] = ()
    """A network's input, N x C x H x W; axes that are free once it is prepared have a name."""
    prepared: str | None = None
    """The sha256 of a network once it is prepared (`models.assets.graph_optimization`)."""

    @property
    def file(self) -> str:
        """The name that the file has in the cache."""
        return PurePosixPath(self.member).name


@dataclass(frozen=True, slots=True)
class Trained:
    """A network that this project trained; it comes with unblur, and its sha256 is that of the measured one."""

    name: str
    about: str
    licence: str
    sha256: str
    size: int

    @property
    def path(self) -> Path:
        return WEIGHTS / f"{self.name}.onnx"


@cache
def assets() -> tuple[Asset, ...]:
    """Return all pinned files: networks first, then portraits, typefaces and judges."""
    pinned = _pinned()
    artefacts = {key: Artefact(**entry) for key, entry in pinned["artefacts"].items()}
    return tuple(asset for kind in get_args(AssetKind) for asset in _read(kind, pinned, artefacts))


@cache
def trained() -> tuple[Trained, ...]:
    """Return all networks that this project trained."""
    return tuple(Trained(name=name, **entry) for name, entry in _pinned()["trained"].items())


@cache
def _pinned() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("manifest.toml").read_text(encoding="utf-8"))


def _read(kind: AssetKind, pinned: dict[str, Any], artefacts: dict[str, Artefact]) -> Iterable[Asset]:
    for name, entry in pinned[kind].items():
        yield Asset(kind=kind, name=name, **{**entry, "artefact": artefacts[entry["artefact"]]})


def networks() -> list[Asset]:
    return [asset for asset in assets() if asset.kind == "networks"]


def portraits() -> list[Asset]:
    return [asset for asset in assets() if asset.kind == "portraits"]


def typefaces() -> list[Asset]:
    return [asset for asset in assets() if asset.kind == "typefaces"]


def judges() -> list[Asset]:
    return [asset for asset in assets() if asset.kind == "judges"]


def network(name: str) -> Asset:
    """Return the network of this name. Raises ModelError if the manifest has none."""
    return _find(name, networks())


def judge(name: str) -> Asset:
    """Return the judge of this name. Raises ModelError if the manifest has none."""
    return _find(name, judges())


def trained_network(name: str) -> Trained:
    """Return the trained network of this name. Raises ModelError if the manifest has none."""
    return _find(name, trained())


Pinned = TypeVar("Pinned", Asset, Trained)


def _find(name: str, known: Sequence[Pinned]) -> Pinned:
    for asset in known:
        if asset.name == name:
            return asset
    raise ModelError(f"no network is called {name!r}: there are {', '.join(asset.name for asset in known) or 'none'}")
