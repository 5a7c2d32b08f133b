"""The evidence folder: for each event a bundle `<event id>.json` with its pictures `<event id>.raw.png` and, where a
crop was restored, `<event id>.restored.png`; and the chain (`stream/evidence/chain_entries.py`) of their hashes."""

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
from stream.storage.append_only_file import PRIVATE, atomic_write, sync_folder, write_fsync
from stream.storage.encryption import Cipher, encrypt_if
from stream.storage.images import png
from stream.values import Image, Restoration

PICTURES = ("raw.png", "restored.png")
KINDS = (*PICTURES, "json")
"""What the files of an event end in."""
Provenance = Callable[[], Mapping[str, object]]
"""What the run knows of how it names people; see `stream.evidence.bundle.describe`."""

_log = structlog.get_logger()


class EvidenceStore:
    """Keeps evidence in one folder, and goes on with the chain that is there; one process at a time.

    A link goes on the chain before its files are written: so the next start knows what a crash left unfinished,
    deletes it and says so, in the log and in the chain. Every 64 bundles and at the end the chain is signed. What is
    made here only its owner can read. Threads may share it.

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
        self._torn = self._unlogged = False
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._chain = Chain(folder, signer)
            atomic_write(folder / pem_name(signer.public.name), signer.public.pem(), PRIVATE)
            self._recover()
        except OSError as error:
            raise OutputError(f"cannot keep evidence in {folder}: {error.strerror}; choose another folder") from error

    def add(self, event: Event, sample: FaceSample, restoration: Restoration) -> Event:
        """Write the bundle; the event then names the raw picture, relative to the folder, so that a replay elsewhere is
        the same. Of an event that is there already, from an earlier replay, nothing is written."""
        event = replace(event, evidence=f"{event.id}.raw.png")
        facts = build_bundle(event, sample, restoration, self._provenance())
        with self._lock:
            if not self._is_there(event.id, facts):
                self._add(event.id, facts, self._pictures(event, sample, restoration))
        return event

    def mark_unlogged(self, event: Event) -> None:
        """A log refused the event that was kept last: the chain is to say that it broke off there, as after a crash. At
        the next signature, for the disk that refused the log may be this one."""
        with self._lock:
            last = self._chain.last
            self._unlogged |= bool(self._chain.unsigned and last and last.event == event.id)

    def events(self) -> list[dict[str, object]]:
        """The events that bundles are there of, in the order of writing, but for those that are `unreadable`."""
        with self._lock:
            found = map(self._readable, self._chain.standing.live)
            return [facts["event"] for facts in found if facts]

    def unreadable(self) -> list[str]:
        """The events whose bundles should be there, and are missing or damaged; the log says so, too."""
        with self._lock:
            found = [event for event in self._chain.standing.live if not self._readable(event)]
        if found:
            _log.warning("bundles cannot be read", folder=str(self._folder), bundles=len(found), first=found[0])
        return found

    def ages(self) -> list[tuple[str, datetime, int]]:
        """The bundles, oldest first: the event, when it was written, and bytes of all its files. One that is
        `unreadable` is as old as its files."""
        with self._lock:
            return [(event, *self._age(event)) for event in self._chain.standing.live]

    def amend(self, change: EventTransform, why: Removal, gone: Collection[object] = ()) -> int:
        """Put what `change` makes of each bundle's event in its place, and delete the bundles of which it makes
        nothing; how many were changed or are gone. The chain says so, signed, and holds. Of what is `unreadable`, the
        events in `gone` are deleted, and the others stay as they are."""
        changed: dict[str, bytes | None] = {}
        with self._lock:
            for event in self._chain.standing.live:
                facts = self._readable(event)
                if facts is None:
                    changed |= {event: None} if event in gone else {}
                    continue
                after = change(facts["event"])
                if after != facts["event"]:
                    changed[event] = f"{to_line({**facts, 'event': after})}\n".encode() if after else None
            if changed:
                self._put(changed, why)
        return len(changed)

    def prune_chain(self) -> None:
        """Drop what the chain says of bundles that are gone, up to the first that is there."""
        with self._lock, self._translate_os_errors():
            self._chain.cut()

    def close(self) -> None:
        """Sign what was kept; without anything, no chain stays behind."""
        with self._lock, self._translate_os_errors():
            if self._chain.empty:
                self._withdraw()
            elif self._chain.unsigned and not self._torn:
                self._chain.check("broken off" if self._unlogged else "end")
            self._chain.close()

    def _pictures(self, event: Event, look: FaceSample, restoration: Restoration) -> dict[str, bytes]:
        crop = restoration.crop

        def hidden(image: Image) -> Image:
            return self._mosaic.crop(image, crop.matrix, look.track.box, event.identity) if self._mosaic else image

        pictures = {f"{event.id}.raw.png": png(hidden(crop.image))}
        if restoration.method != "none":
            pictures[f"{event.id}.restored.png"] = encode_labeled_png(hidden(restoration.image), restoration.method)
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
            self._torn = True
            for name, content in (*pictures.items(), (f"{event}.json", bundle)):
                atomic_write(self._folder / name, content, PRIVATE)
            sync_folder(self._folder)
            self._torn = False

    def _flush_checkpoint(self) -> None:
        """Before the next bundle: of the last one all must be said. Only now is it known that its event is logged, so a
        signature that is due was not put right behind it."""
        if self._torn:
            self._recover()
        elif self._unlogged:
            self._chain.check("broken off")
        elif self._chain.unsigned >= EVERY:
            self._chain.check("count")
        self._torn = self._unlogged = False

    def _is_there(self, event: str, facts: BundleDict) -> bool:
        """Raises UnblurError where there is another bundle of this name: evidence is never written over."""
        if event not in self._chain.standing.live:
            return False
        if _lasting(self._read(event)) != _lasting(json.loads(to_line(facts))):
            raise UnblurError(
                f"{self._folder} holds other evidence of the event {event}, from another run over the same recording:"
                " name a new folder"
            )
        return True

    def _put(self, changed: Mapping[str, bytes | None], why: Removal) -> None:
        """The new bundles lie ready before the chain speaks of them: if not now, the next start puts them in place."""
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
        """Make good what a crash left: the last bundle half-written, or an amendment that was not carried out."""
        last = self._chain.last
        if self._chain.unsigned and last and not self._is_whole(last.event, last.sha256):
            self._chain.remove({last.event: None}, "torn")
            _log.warning("deleted a last bundle that a crash had torn", folder=str(self._folder), bundle=last.event)
        elif self._chain.unsigned:
            self._chain.check("broken off")
        self._reconcile_files()

    def _reconcile_files(self) -> None:
        """Bring the files to what the chain says."""
        standing = self._chain.standing
        for part in self._folder.glob("*.json.part"):
            self._put_in_place(part, part.name.removesuffix(".json.part"))
        for event in standing.gone:
            for path in self._files(event):
                path.unlink(missing_ok=True)
        for part in (*self._folder.glob("*.json.part"), *self._folder.glob("*.png.part")):
            part.unlink(missing_ok=True)
        sync_folder(self._folder)

    def _put_in_place(self, part: Path, event: str) -> None:
        """If the chain speaks of it. Raises OutputError where it speaks of neither this part nor the bundle: the change
        that it tells of is not on the disk then, and the bundle may hold what was to be forgotten."""
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
            return sha256(bundle).hexdigest() == digest  # its pictures are written before it
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

    def _readable(self, event: str) -> dict[str, Any] | None:
        with suppress(UnblurError):
            return self._read(event)
        return None

    def _age(self, event: str) -> tuple[datetime, int]:
        files = [path.stat() for path in self._files(event) if path.exists()]
        size = sum(file.st_size for file in files)
        if facts := self._readable(event):
            return datetime.fromisoformat(facts["written"]), size
        oldest = min((file.st_mtime for file in files), default=None)
        since = datetime.max.replace(tzinfo=UTC) if oldest is None else datetime.fromtimestamp(oldest, UTC)
        return since, size  # where no file is left, none is too old

    def _files(self, event: str) -> list[Path]:
        return [self._folder / f"{event}.{kind}" for kind in KINDS]

    def _withdraw(self) -> None:
        for name in (CHAIN, pem_name(self._signer.public.name)):
            (self._folder / name).unlink(missing_ok=True)

    @contextmanager
    def _translate_os_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(f"cannot keep evidence in {self._folder}: {error.strerror}; make room") from error


def _lasting(facts: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in facts.items() if key not in VARYING}


def _part(folder: Path, event: str) -> Path:
    return folder / f"{event}.json.part"
