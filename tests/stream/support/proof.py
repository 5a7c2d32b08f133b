"""Evidence for the tests of what keeps and checks it."""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np

from stream.events.jsonl_log import to_line
from stream.evidence.chain_entries import BEGINNING, CHAIN, Bundle, digest_of, placed
from stream.evidence.evidence_store import EvidenceStore
from stream.evidence.signing import Signer
from stream.results import Event, EventType, FaceSample, FrameTime
from stream.values import Box, FaceCrop, FaceQuality, Restoration, Track
from tests.stream.support.events import an_event

PROVENANCE = {
    "software": "unblur 1",
    "models": {"embedder": {"sface": "ab"}},
    "gallery": {"sha256": "cd", "people": 2},
    "threshold_from": {"base": 0.4, "origin": "given"},
}


def a_sighting(number: int, restored: bool = True) -> tuple[FaceSample, Restoration]:
    """Track `number`, on a picture of noise, of which no two are the same."""
    image = np.random.default_rng(number).integers(0, 256, (128, 128, 3), np.uint8)
    matrix = np.array([[2, 0, -10], [0, 2, -30]], np.float32)
    points = np.array([[20, 30], [40, 30], [30, 40], [22, 50], [38, 50]], np.float32)
    crop = FaceCrop("lobby", number, number, number / 25, image, matrix, (3.0, 0.5), FaceQuality(0.5, 1, 0.9))
    track = Track(
        camera="lobby",
        id=number,
        box=Box(10, 20, 40, 40),
        landmarks=points,
        velocity=(1.5, 0.25),
        confidence=0.9,
        detected=True,
        hits=3,
        first_frame=number,
        first_pts_s=number / 25,
    )
    look = FaceSample(track, crop, FrameTime(number, number / 25, None), sha256(image.data).hexdigest())
    if not restored:
        return look, Restoration(crop, image, "none", 1.0)
    return look, Restoration(crop, np.asarray(255 - image, np.uint8), "cnn", 9.5)


def open_folder(folder: Path) -> EvidenceStore:
    return EvidenceStore(folder, Signer(), lambda: PROVENANCE)


def keep(folder: EvidenceStore, number: int, name: str | None = "Ann", type: EventType = "new") -> Event:
    """Event `number` with its evidence; every second crop was restored."""
    return folder.add(an_event(number, name, type=type), *a_sighting(number, restored=number % 2 == 1))


def write(folder: Path, numbers: range) -> list[Event]:
    """A whole run."""
    evidence = open_folder(folder)
    events = [keep(evidence, number) for number in numbers]
    evidence.close()
    return events


def forged(folder: Path, name: str = "Mallory") -> None:
    """What an attacker without the key can do: give all events another name, compute all hashes again, and delete the
    signatures, which no longer hold."""
    links, before = list[Bundle](), None
    for place in placed((folder / CHAIN).read_bytes().splitlines(keepends=True)):
        if isinstance(place.link, Bundle):
            path = folder / f"{place.link.event}.json"
            facts = json.loads(path.read_bytes())
            facts["event"]["name"], facts["previous"] = name, before
            path.write_bytes(f"{to_line(facts)}\n".encode())
            before = sha256(path.read_bytes()).hexdigest()
            previous = digest_of(links[-1]) if links else BEGINNING
            links.append(Bundle(number=len(links), previous=previous, event=place.link.event, sha256=before))
    (folder / CHAIN).write_bytes(b"".join(link.line() for link in links))


def main() -> None:
    """Write evidence into the folder that is named until killed, and announce each event."""
    evidence = open_folder(Path(sys.argv[1]))
    for number in range(100_000):
        print(keep(evidence, number).id, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
