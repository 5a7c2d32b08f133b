"""Store of evidence in a folder: for each event a bundle `<event id>.json` with its images `<event id>.raw.png` and, if
the crop was restored, `<event id>.restored.png`; and the chain (`stream/evidence/chain_entries.py`) of their hashes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog

from stream.errors import OutputError, StorageError, UnblurError
from stream.events.jsonl_log import EventTransform, to_line
from stream.events.schema import EventRecord
from stream.evidence.bundle import VARYING, BundleDict, build_bundle
from stream.evidence.chain import Chain
from stream.evidence.chain_entries import CHAIN, EVERY, Removal
from stream.evidence.signing import Signer, pem_name
from stream.outputs.pixelation import FacePixelator
from stream.outputs.restored_label import encode_labeled_png
from stream.results import Event, FaceSample, iso
from stream.storage.atomic_files import PRIVATE, atomic_write, sync_folder, write_fsync
from stream.storage.encryption import Cipher, encrypt_if
from stream.storage.images import png
from stream.values import Image, Restoration

PICTURES = ("raw.png", "restored.png")
KINDS = (*PICTURES, "json")
"""Suffixes of the files of an event."""
Provenance = Callable[[], Mapping[str, object]]
"""Description of the run's models, gallery and threshold; see `stream.evidence.bundle.build_bundle`."""

_log = structlog.get_logger()


class EvidenceStore:
    """Stores evidence in one folder, and continues its chain; one process at a time.

    An entry is added to the chain before its files are written: so the next start detects what a crash left incomplete,
    deletes it, and records that in the log and in the chain. The chain is signed every 64 bundles and at the end. Files
    are readable by their owner only. Thread-safe.

    Raises OutputError if the folder cannot be used, StorageError when the disk refuses later.
    """

    def __init__(
        self,
        folder: Path,
        signer: Signer,
        provenance: Provenance,
        mosaic: FacePixelator | None = None,
        cipher: Cipher | None = None,
    ) -> None:
        """`mosaic` hides faces in the pictures, `cipher` encrypts them."""
        self._folder, self._signer = folder, signer
        self._provenance, self._mosaic, self._cipher = provenance, mosaic, cipher
        self._lock = threading.Lock()
        self._incomplete = self._unlogged = False
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._chain = Chain(folder, signer)
            atomic_write(folder / pem_name(signer.public.name), signer.public.pem(), PRIVATE)
            self._recover()
        except OSError as error:
            raise OutputError(f"cannot keep evidence in {folder}: {error.strerror}; choose another folder") from error

    def add(self, event: Event, sample: FaceSample, restoration: Restoration) -> Event:
        """Write the bundle; the returned event names the raw image, relative to the folder, so that a replay elsewhere
        is the same. If the event exists already, from an earlier replay, nothing is written."""
        event = replace(event, evidence=f"{event.id}.raw.png")
        facts = build_bundle(event, sample, restoration, self._provenance())
        with self._lock:
            if not self._exists(event.id, facts):
                self._add(event.id, facts, self._pictures(event, sample, restoration))
        return event

    def mark_unlogged(self, event: Event) -> None:
        """Record that the log refused the last event: the chain will have a "broken off" checkpoint, as after a crash.
        It is written with the next signature, because the disk that refused the log may be the same."""
        with self._lock:
            last = self._chain.last
            self._unlogged |= bool(self._chain.unsigned and last and last.event == event.id)

    def events(self) -> list[dict[str, object]]:
        """The events of the bundles, in the order of writing, without `unreadable` ones."""
        with self._lock:
            bundles = map(self._read_or_none, self._chain.standing.live)
            return [facts["event"] for facts in bundles if facts]

    def unreadable(self) -> list[str]:
        """The events whose bundles are missing or damaged; a warning is logged, too."""
        with self._lock:
            unreadable = [event for event in self._chain.standing.live if not self._read_or_none(event)]
        if unreadable:
            _log.warning(
                "bundles cannot be read", folder=str(self._folder), bundles=len(unreadable), first=unreadable[0]
            )
        return unreadable

    def ages(self) -> list[tuple[str, datetime, int]]:
        """The bundles, oldest first: the event, when it was written, and the bytes of all its files. One that is
        `unreadable` has the age of its files."""
        with self._lock:
            return [(event, *self._age(event)) for event in self._chain.standing.live]

    def amend(self, change: EventTransform, why: Removal, gone: Collection[object] = ()) -> int:
        """Replace the event of each bundle by the result of `change`, and delete the bundle if that is None; returns
        how many were changed or deleted. The chain gets a signed entry, and stays valid. Of `unreadable` bundles, those
        of events in `gone` are deleted, and the others stay unchanged."""
        changed: dict[str, bytes | None] = {}
        with self._lock:
            for event in self._chain.standing.live:
                facts = self._read_or_none(event)
                if facts is None:
                    changed |= {event: None} if event in gone else {}
                    continue
                after = change(facts["event"])
                if after != facts["event"]:
                    changed[event] = f"{to_line({**facts, 'event': after})}\n".encode() if after else None
            if changed:
                self._replace_bundles(changed, why)
        return len(changed)

    def prune_chain(self) -> None:
        """Drop the chain's entries of removed bundles, up to the first existing one."""
        with self._lock, self._translate_os_errors():
            self._chain.cut()

    def close(self) -> None:
        """Sign the chain; an empty one is deleted."""
        with self._lock, self._translate_os_errors():
            if self._chain.empty:
                self._remove_chain()
            elif self._chain.unsigned and not self._incomplete:
                self._chain.check("broken off" if self._unlogged else "end")
            self._chain.close()

    def _pictures(self, event: Event, sample: FaceSample, restoration: Restoration) -> dict[str, bytes]:
        crop = restoration.crop

        def redact(image: Image) -> Image:
            return self._mosaic.crop(image, crop.matrix, sample.track.box, event.identity) if self._mosaic else image

        pictures = {f"{event.id}.raw.png": png(redact(crop.image))}
        if restoration.method != "none":
            pictures[f"{event.id}.restored.png"] = encode_labeled_png(redact(restoration.image), restoration.method)
        return {name: encrypt_if(each, self._cipher) for name, each in pictures.items()}

    def _add(self, event: str, facts: BundleDict, pictures: Mapping[str, bytes]) -> None:
        with self._translate_os_errors():
            self._flush_checkpoint()
        facts["pictures"] = {name: sha256(content).hexdigest() for name, content in pictures.items()}
        facts["written"] = iso(datetime.now(UTC))
        facts["previous"] = self._chain.last.sha256 if self._chain.last else None
        bundle = f"{to_line(facts)}\n".encode()
        with self._translate_os_errors():
            self._chain.add(event, sha256(bundle).hexdigest())
            self._incomplete = True
            for name, content in (*pictures.items(), (f"{event}.json", bundle)):
                atomic_write(self._folder / name, content, PRIVATE)
            sync_folder(self._folder)
            self._incomplete = False

    def _flush_checkpoint(self) -> None:
        """Before the next bundle, recover the last one, or write a checkpoint that is due. Not directly after the last
        bundle: only now is it known that its event was logged."""
        if self._incomplete:
            self._recover()
        elif self._unlogged:
            self._chain.check("broken off")
        elif self._chain.unsigned >= EVERY:
            self._chain.check("count")
        self._incomplete = self._unlogged = False

    def _exists(self, event: str, facts: BundleDict) -> bool:
        """Whether this bundle exists. Raises UnblurError if another one has its name: evidence is never overwritten."""
        if event not in self._chain.standing.live:
            return False
        if _without_varying(self._read(event)) != _without_varying(json.loads(to_line(facts))):
            raise UnblurError(
                f"{self._folder} holds other evidence of the event {event}, from another run over the same recording:"
                " name a new folder"
            )
        return True

    def _replace_bundles(self, changed: Mapping[str, bytes | None], why: Removal) -> None:
        """Write changed bundles as `.part` files, then the chain's entry, then move them: after a crash the next start
        moves them."""
        with self._translate_os_errors():
            self._flush_checkpoint()
            for event, bundle in changed.items():
                if bundle:
                    write_fsync(_part(self._folder, event), bundle, PRIVATE)
            sync_folder(self._folder)
            digests = {event: sha256(bundle).hexdigest() if bundle else None for event, bundle in changed.items()}
            self._chain.remove(digests, why)
            self._reconcile_files()

    def _recover(self) -> None:
        """Repair the state after a crash: an incomplete last bundle, or a change that was not completed."""
        last = self._chain.last
        if self._chain.unsigned and last and not self._is_whole(last.event, last.sha256):
            self._chain.remove({last.event: None}, "torn")
            _log.warning("deleted a last bundle that a crash had torn", folder=str(self._folder), bundle=last.event)
        elif self._chain.unsigned:
            self._chain.check("broken off")
        self._reconcile_files()

    def _reconcile_files(self) -> None:
        """Make the files agree with the chain."""
        standing = self._chain.standing
        for part in self._folder.glob("*.json.part"):
            self._move_part(part, part.name.removesuffix(".json.part"))
        for event in standing.gone:
            for path in self._files(event):
                path.unlink(missing_ok=True)
        for part in (*self._folder.glob("*.json.part"), *self._folder.glob("*.png.part")):
            part.unlink(missing_ok=True)
        sync_folder(self._folder)

    def _move_part(self, part: Path, event: str) -> None:
        """Move a `.part` file to its bundle if the chain holds its hash. Raises OutputError if the chain holds the hash
        of neither: then the change is lost, and the bundle may hold what was to be erased."""
        digest = self._chain.standing.live.get(event)
        if digest == sha256(part.read_bytes()).hexdigest():
            part.replace(self._folder / f"{event}.json")
        elif digest and not self._is_whole(event, digest):
            raise OutputError(
                f"{part} is damaged: the chain says that the bundle of {event} was changed, and that was lost; bring"
                f" the file back, or remove it and {event}.json"
            )

    def _is_whole(self, event: str, digest: str) -> bool:
        with suppress(OSError):
            bundle = (self._folder / f"{event}.json").read_bytes()
            return sha256(bundle).hexdigest() == digest  # its images are written before it
        return False

    def _read(self, event: str) -> dict[str, Any]:
        path = self._folder / f"{event}.json"
        try:
            facts: dict[str, Any] = json.loads(path.read_bytes())
            EventRecord.model_validate(facts["event"])
            datetime.fromisoformat(facts["written"])
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise UnblurError(f"{path} cannot be read: `unblur events verify {self._folder}` tells more") from error
        return facts

    def _read_or_none(self, event: str) -> dict[str, Any] | None:
        with suppress(UnblurError):
            return self._read(event)
        return None

    def _age(self, event: str) -> tuple[datetime, int]:
        files = [path.stat() for path in self._files(event) if path.exists()]
        size = sum(file.st_size for file in files)
        if facts := self._read_or_none(event):
            return datetime.fromisoformat(facts["written"]), size
        oldest = min((file.st_mtime for file in files), default=None)
        since = datetime.max.replace(tzinfo=UTC) if oldest is None else datetime.fromtimestamp(oldest, UTC)
        return since, size  # without files, it never expires

    def _files(self, event: str) -> list[Path]:
        return [self._folder / f"{event}.{kind}" for kind in KINDS]

    def _remove_chain(self) -> None:
        for name in (CHAIN, pem_name(self._signer.public.name)):
            (self._folder / name).unlink(missing_ok=True)

    @contextmanager
    def _translate_os_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot keep evidence in {self._folder}: {error.strerror}; make room") from error


def _without_varying(facts: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in facts.items() if key not in VARYING}


def _part(folder: Path, event: str) -> Path:
    return folder / f"{event}.json.part"
