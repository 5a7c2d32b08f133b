"""Verifies that the files of an evidence folder are those of its chain."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from stream.evidence.chain_entries import CHAIN, Bundle
from stream.evidence.evidence_store import KINDS, PICTURES
from stream.evidence.signing import PublicKey, pem_name
from stream.evidence.verify_chain import ChainVerifier, VerificationReport


class _Facts(BaseModel):
    """The keys of a bundle that are checked here."""

    model_config = ConfigDict(strict=True)

    event: dict[str, object]
    pictures: dict[str, str]


class FileVerifier:
    """Verifies the files of a folder whose chain was read, once. `events` are those of the valid bundles, in the order
    of the chain; `keys` the valid public keys, by name."""

    def __init__(self, folder: Path, audit: ChainVerifier, findings: VerificationReport) -> None:
        self.events: dict[str, Mapping[str, object]] = {}
        self.keys: dict[str, PublicKey] = {}
        self._folder, self._audit, self._findings = folder, audit, findings
        self._expected = {CHAIN}
        for event, digest in audit.standing.live.items():
            self._check_bundle(event, digest)
        for name in sorted({link.key for link in audit.links if not isinstance(link, Bundle)}):
            self._check_key(name)
        self._check_strays()

    def _check_bundle(self, event: str, digest: str) -> None:
        self._expected |= {f"{event}.{kind}" for kind in KINDS}
        content = self._content(f"{event}.json")
        pictures = [f"{event}.{kind}" for kind in PICTURES]
        if content is not None and sha256(content).hexdigest() == digest:
            facts = _facts(content)
            if facts is None or not facts.pictures.keys() <= set(pictures):
                self._findings.fault(f"{event}.json", "is no bundle")
                return
            self.events[event] = facts.event
            self._expected -= set(pictures) - set(facts.pictures)
            self._check_pictures(facts.pictures)
            return
        if content is not None:
            self._findings.fault(f"{event}.json", "was changed")
        for name in pictures:
            if (self._folder / name).exists() and not self._is_being_written(name):
                self._findings.fault(name, "cannot be checked without its bundle")

    def _check_pictures(self, digests: Mapping[str, str]) -> None:
        for name, digest in digests.items():
            content = self._content(name)
            if content is not None and sha256(content).hexdigest() != digest:
                self._findings.fault(name, "was changed")

    def _check_key(self, name: str) -> None:
        self._expected.add(pem_name(name))
        content = self._content(pem_name(name))
        if content is None:
            return
        try:
            key = PublicKey.of(content)
        except ValueError:
            key = None
        if key is None or key.name != name or key.pem() != content:
            self._findings.fault(pem_name(name), "was changed")
        else:
            self.keys[name] = key

    def _check_strays(self) -> None:
        for path in sorted(self._folder.iterdir()):
            if path.name in self._expected or (self._audit.held and path.suffix in (".part", ".pem")):
                continue  # a run that is writing has yet to sign
            if path.suffix == ".part" and path.stem in self._expected:
                self._findings.note(f"{path.name} was left by a run that was killed: the next one removes it")
                continue
            gone = path.name.partition(".")[0] in self._audit.standing.gone
            self._findings.fault(path.name, "was removed, and is there" if gone else "was put in: no link speaks of it")

    def _content(self, name: str) -> bytes | None:
        path = self._folder / name
        try:
            if stat.S_ISREG(path.lstat().st_mode):
                return path.read_bytes()
            self._findings.fault(name, "is no plain file")  # a pipe would never end, a link leads elsewhere
        except FileNotFoundError:
            if not self._is_being_written(name):
                self._findings.fault(name, "is missing")
        except OSError as error:
            self._findings.fault(name, f"cannot be read: {error.strerror}")
        return None

    def _is_being_written(self, name: str) -> bool:
        last = self._audit.links[-1] if self._audit.links else None
        return self._audit.held and isinstance(last, Bundle) and name.startswith(f"{last.event}.")


def _facts(content: bytes) -> _Facts | None:
    """Parse a bundle; None if it is none, which is possible before it is signed."""
    try:
        return _Facts.model_validate(json.loads(content))
    except (ValidationError, ValueError, RecursionError):
        return None
