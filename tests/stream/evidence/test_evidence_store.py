"""What an event rests on is kept whole, once, and in a chain that a crash does not break."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from stream.errors import OutputError, StorageError, UnblurError
from stream.evidence.chain_entries import CHAIN, Bundle, Checkpoint, RemovedEntry, VerifiedEntry, digest_of, placed
from stream.evidence.evidence_store import EvidenceStore
from stream.evidence.signing import PublicKey, Signer
from stream.outputs.overlay import RESTORING
from stream.outputs.restored_label import BORDER
from stream.storage.images import read_picture
from tests.stream.events.test_jsonl_log import no_room
from tests.stream.support.events import an_event
from tests.stream.support.proof import PROVENANCE, a_sighting, forged, keep, open_folder, write

ROOT = Path(__file__).parents[3]


def links(folder: Path) -> list[object]:
    return [place.link for place in placed_in(folder)]


def placed_in(folder: Path) -> list[VerifiedEntry]:
    return list(placed((folder / CHAIN).read_bytes().splitlines(keepends=True)))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def kinds(folder: Path) -> list[str]:
    return [f"{type(link).__name__} {getattr(link, 'why', '')}".strip() for link in links(folder)]


def bundle(folder: Path, event: str) -> Any:
    return json.loads((folder / f"{event}.json").read_bytes())


def test_a_bundle_says_what_the_event_rests_on(tmp_path: Path) -> None:
    (event,) = write(tmp_path, range(1, 2))
    assert event.evidence == "event-1.raw.png"
    facts = bundle(tmp_path, "event-1")
    look, restoration = a_sighting(1)
    assert facts["event"] == event.to_json()
    assert facts["scores"] == {"score": 0.63, "raw": -0.4, "restored": None, "runner_up": 0.31}
    assert (facts["threshold"], facts["blur"], facts["deblurred_by"]) == (0.42, 9.5, "cnn")
    assert {key: facts[key] for key in PROVENANCE} == PROVENANCE
    crop = facts["crop"]
    assert (crop["frame"], crop["pts_s"], crop["frame_sha256"]) == (1, 0.04, look.frame_sha256)
    assert crop["matrix"] == [[2, 0, -10], [0, 2, -30]]
    assert crop["landmarks"][0] == [30, 30]
    names = ["event-1.raw.png", "event-1.restored.png"]
    assert facts["pictures"] == {name: sha256((tmp_path / name).read_bytes()).hexdigest() for name in names}
    assert (read_picture(tmp_path / "event-1.raw.png") == restoration.crop.image).all()


def test_a_restored_picture_says_so_in_itself_and_in_its_text(tmp_path: Path) -> None:
    write(tmp_path, range(1, 2))
    picture = read_picture(tmp_path / "event-1.restored.png")
    _, restoration = a_sighting(1)
    assert (picture[BORDER:-BORDER, BORDER:-BORDER] == restoration.image).all(), "the crop is shown whole and unchanged"
    assert (picture[0] == RESTORING).all()
    assert (picture[:, 0] == RESTORING).all()
    assert (picture[-BORDER:].min(axis=2) > 200).any(), "letters are written on the strip"
    with Pillow.open(tmp_path / "event-1.restored.png") as file:
        assert "Restored by software (cnn)" in file.info["Description"]
    with Pillow.open(tmp_path / "event-1.raw.png") as file:
        assert "Description" not in file.info


def test_each_bundle_holds_the_digest_of_the_one_before(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    write(tmp_path, range(3, 5))
    before = None
    for number in range(5):
        assert bundle(tmp_path, f"event-{number}")["previous"] == before
        before = sha256((tmp_path / f"event-{number}.json").read_bytes()).hexdigest()
    assert kinds(tmp_path) == ["Bundle"] * 3 + ["Checkpoint end"] + ["Bundle"] * 2 + ["Checkpoint end"]


def test_checkpoints_are_signed_with_a_key_that_only_its_owner_can_read(tmp_path: Path) -> None:
    write(tmp_path / "evidence", range(65))
    key = tmp_path / "keys" / "evidence.key"
    signer = Signer(key)
    assert key.stat().st_mode & 0o777 == 0o600
    assert Signer(key).public.name == signer.public.name, "the key is made once"
    checkpoints = [link for link in links(tmp_path / "evidence") if isinstance(link, Checkpoint)]
    assert [link.why for link in checkpoints] == ["count", "end"]
    public = PublicKey.read(next((tmp_path / "evidence").glob("signer-*.pem")))
    for link in checkpoints:
        assert public.signed(link.signature, link.signed())
        assert not signer.public.signed(link.signature, link.signed())
        assert not public.signed(link.signature.upper(), link.signed())
        assert not public.signed(link.signature, link.signed() + b" ")


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_key_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(OutputError, match=r"key.*(restore it|move it away)"):
        Signer(tmp_path / "key")


def test_a_replay_writes_nothing_anew(tmp_path: Path) -> None:
    first = write(tmp_path, range(3))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert write(tmp_path, range(3)) == first
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_evidence_is_never_written_over(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    evidence = open_folder(tmp_path)
    with pytest.raises(UnblurError, match="other evidence of the event event-1"):
        evidence.add(an_event(1, "Somebody Else"), *a_sighting(1))
    evidence.close()


def test_one_process_at_a_time(tmp_path: Path) -> None:
    evidence = open_folder(tmp_path)
    with pytest.raises(OutputError, match="another unblur is writing there"):
        open_folder(tmp_path)
    evidence.close()
    assert not list(tmp_path.iterdir()), "nothing was kept, and nothing is left"


def test_a_broken_chain_is_not_gone_on_with(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    lines = (tmp_path / CHAIN).read_bytes().splitlines(keepends=True)
    (tmp_path / CHAIN).write_bytes(b"".join([lines[0], *lines[2:]]))
    with pytest.raises(OutputError, match="line 2 does not follow the one before"):
        open_folder(tmp_path)


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        (2, r"link 2 of the evidence in .*was signed here, is not there any more.* remove .*json"),
        (65, "more than 64 bundles up to line 65 are not signed"),
    ],
)
def test_a_chain_forged_without_the_key_is_not_signed(events: int, complaint: str, tmp_path: Path) -> None:
    write(tmp_path, range(events))
    forged(tmp_path)
    before = bytes_of(tmp_path)
    with pytest.raises(OutputError, match=complaint):
        open_folder(tmp_path)
    assert bytes_of(tmp_path) == before


def test_a_signature_of_ones_own_that_does_not_hold_is_not_gone_on_with(tmp_path: Path) -> None:
    write(tmp_path, range(2))
    lines = (tmp_path / CHAIN).read_bytes().splitlines(keepends=True)
    (tmp_path / CHAIN).write_bytes(b"".join([*lines[:-1], lines[-1].replace(b'"end"', b'"count"')]))
    Signer().mark(tmp_path).drop()
    with pytest.raises(OutputError, match="line 3 bears a signature that does not hold"):
        open_folder(tmp_path)


def test_a_chain_goes_back_behind_no_signature(tmp_path: Path) -> None:
    """A chain that is older than its mark is reported, until the mark is removed as the error says; a moved one begins
    anew."""
    folder = tmp_path / "evidence"
    write(folder, range(2))
    shutil.copytree(folder, tmp_path / "older")
    write(folder, range(2, 4))
    folder.rename(tmp_path / "moved")
    (tmp_path / "older").rename(folder)
    with pytest.raises(OutputError, match="is not there any more") as refusal:
        open_folder(folder)
    Path(str(refusal.value).rpartition("remove ")[2]).unlink()
    write(folder, range(2, 3))
    write(tmp_path / "moved", range(4, 5))
    folder.rename(tmp_path / "away")
    write(folder, range(2))
    assert Signer().mark(folder).link == (2, digest_of(placed_in(folder)[-1].link))


def test_a_mark_that_a_crash_kept_behind_is_no_reason_to_refuse(tmp_path: Path) -> None:
    write(tmp_path, range(2))
    mark = Signer().mark(tmp_path)
    before = mark.path.read_bytes()
    write(tmp_path, range(2, 4))
    mark.path.write_bytes(before)
    open_folder(tmp_path).close()
    assert Signer().mark(tmp_path).link == (5, digest_of(placed_in(tmp_path)[-1].link))
    mark.path.write_bytes(b"{}")
    with pytest.raises(OutputError, match=r"does not say how far .*verify that folder, then remove this file"):
        open_folder(tmp_path)


def test_a_chain_that_was_shortened_is_still_the_one_that_was_signed(tmp_path: Path) -> None:
    write(tmp_path, range(3))
    evidence = open_folder(tmp_path)
    evidence.amend(lambda event: None if event["id"] != "event-2" else event, "expired")
    keep(evidence, 3)
    evidence.prune_chain()
    evidence.close()
    write(tmp_path, range(4, 5))
    evidence = open_folder(tmp_path)
    evidence.amend(lambda event: None, "expired")
    evidence.prune_chain()
    evidence.close()
    write(tmp_path, range(5, 6))


@pytest.mark.parametrize("left", [("raw.png",), ("raw.png", "restored.png"), ("json.part",), ()])
def test_a_torn_last_bundle_is_told_and_mended(
    left: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, range(2))
    evidence = open_folder(tmp_path)
    keep(evidence, 3)
    evidence._chain.close()  # as a crash does: without a signature
    for path in tmp_path.glob("event-3.*"):
        kind = path.name.removeprefix("event-3.")
        if kind not in left:
            path.rename(f"{path}.part") if f"{kind}.part" in left else path.unlink()
    write(tmp_path, range(4, 5))
    assert "torn" in capsys.readouterr().out
    assert not list(tmp_path.glob("event-3.*"))
    assert kinds(tmp_path)[-4:] == ["Bundle", "RemovedEntry torn", "Bundle", "Checkpoint end"]


def test_a_torn_line_is_cut_off_and_what_was_kept_is_signed(tmp_path: Path) -> None:
    evidence = open_folder(tmp_path)
    keep(evidence, 0)
    evidence._chain.close()
    with (tmp_path / CHAIN).open("ab") as file:
        file.write(b'{"number":1,"prev')
    write(tmp_path, range(1, 2))
    assert kinds(tmp_path) == ["Bundle", "Checkpoint broken off", "Bundle", "Checkpoint end"]


@pytest.mark.parametrize("seed", range(3))
def test_kill_9_breaks_no_chain(seed: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.stream.support.proof", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        announced = [writer.stdout.readline().strip() for _ in range(random.Random(seed).randint(1, 90))]
        writer.kill()
        announced += writer.stdout.read().split()
    write(tmp_path, range(200_000, 200_001))
    there = [link.event for link in links(tmp_path) if isinstance(link, Bundle)]
    assert there[: len(announced)] == announced
    torn = {event for link in links(tmp_path) if isinstance(link, RemovedEntry) for event in link.bundles}
    assert not torn & set(announced)
    for event in set(there) - torn:
        for name, digest in bundle(tmp_path, event)["pictures"].items():
            assert sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    assert not list(tmp_path.glob("*.part"))


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    evidence = open_folder(tmp_path)
    keep(evidence, 0)
    with no_room(), pytest.raises(StorageError, match=r"cannot keep evidence in .*; make room"):
        keep(evidence, 1)
    evidence.close()
    write(tmp_path, range(2, 3))
    assert kinds(tmp_path)[-1] == "Checkpoint end"
    assert (tmp_path / "event-0.json").exists()
    assert not list(tmp_path.glob("event-1.*"))


def test_after_a_bundle_that_the_disk_refused_the_next_one_goes_on(tmp_path: Path) -> None:
    evidence = open_folder(tmp_path)
    keep(evidence, 0)
    with no_room(), pytest.raises(StorageError):
        keep(evidence, 1)
    keep(evidence, 2)
    evidence.close()
    assert kinds(tmp_path) == ["Bundle", "Bundle", "RemovedEntry torn", "Bundle", "Checkpoint end"]
    assert not list(tmp_path.glob("event-1.*"))


@pytest.mark.parametrize("more", [False, True])
def test_where_the_log_refused_an_event_the_chain_says_that_it_broke_off(more: bool, tmp_path: Path) -> None:
    evidence = open_folder(tmp_path)
    for number in range(64):
        event = keep(evidence, number)
    evidence.mark_unlogged(event)
    if more:
        keep(evidence, 64)
    evidence.close()
    end = ["Bundle", "Checkpoint end"] if more else []
    assert kinds(tmp_path) == ["Bundle"] * 64 + ["Checkpoint broken off", *end]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells which file a handle is of")
def test_what_an_amendment_changes_is_on_disk_before_the_chain_speaks_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, range(2))
    evidence = open_folder(tmp_path)
    synced: list[str] = []

    def sync(handle: int) -> None:
        synced.append(Path(f"/proc/self/fd/{handle}").readlink().name)

    monkeypatch.setattr(os, "fsync", sync)
    evidence.amend(lambda event: {**event, "name": None}, "forgotten")
    evidence.close()
    assert synced[:4] == ["event-0.json.part", "event-1.json.part", tmp_path.name, CHAIN]


def test_an_amendment_that_was_lost_is_told(tmp_path: Path) -> None:
    write(tmp_path, range(2))
    before = (tmp_path / "event-1.json").read_bytes()
    evidence = open_folder(tmp_path)
    evidence.amend(lambda event: {**event, "name": None}, "forgotten")
    evidence.close()
    after = (tmp_path / "event-1.json").read_bytes()
    (tmp_path / "event-1.json").write_bytes(before)
    part = tmp_path / "event-1.json.part"
    part.write_bytes(b"")
    with pytest.raises(OutputError, match=r"event-1.json.part is damaged: .* was lost"):
        open_folder(tmp_path)
    part.write_bytes(after)
    open_folder(tmp_path).close()
    assert (tmp_path / "event-1.json").read_bytes() == after


def test_what_a_crash_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    write(tmp_path, range(2))
    before = bytes_of(tmp_path)
    for name in (CHAIN, "event-1.json", "event-1.raw.png"):
        (tmp_path / f"{name}.part").write_bytes(b"torn")
    open_folder(tmp_path).close()
    assert bytes_of(tmp_path) == before


@pytest.mark.skipif(os.name != "posix", reason="rights of files are POSIX's")
def test_only_the_owner_can_read_evidence(tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    write(folder, range(2))
    evidence = open_folder(folder)
    evidence.amend(lambda event: {**event, "name": None} if event["id"] == "event-1" else None, "forgotten")
    evidence.prune_chain()
    evidence.close()
    mark = Signer().mark(folder).path
    assert {path.stat().st_mode & 0o777 for path in (folder, mark.parent)} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in (*folder.iterdir(), mark)} == {0o600}


def test_a_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="choose another folder"):
        EvidenceStore(tmp_path / "file" / "evidence", Signer(), lambda: PROVENANCE)


def test_crops_of_any_kind_are_kept_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, range(4))
    for number in range(4):
        look, _ = a_sighting(number)
        assert (read_picture(tmp_path / f"event-{number}.raw.png") == look.crop.image).all()
        assert (tmp_path / f"event-{number}.restored.png").exists() == (number % 2 == 1)
    assert np.ptp(read_picture(tmp_path / "event-0.raw.png")) > 200
