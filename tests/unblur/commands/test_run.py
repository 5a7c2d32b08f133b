"""`unblur run` on recordings: reproducible and complete."""

from __future__ import annotations

import json
import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detectors.alignment import align
from models.assets.cache import digest
from models.assets.manifest import network, trained_network
from recognize.gallery.calibration import threshold_for
from stream.sources.factory import open_source
from stream.sources.recorded import PlaybackOptions
from stream.sources.stream_spec import ReconnectPolicy
from stream.storage.images import read_picture
from unblur import __version__
from unblur.cli import main


def run(*arguments: str | Path) -> int:
    return main(["run", "--quiet", *map(str, arguments)])


def test_two_replays_give_the_same_bytes(demo: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        outputs = ("--events", tmp_path / name, "--evidence", tmp_path / f"evidence of {name}")
        assert run(demo / "camera.mp4", "--gallery", demo / "people.joblib", *outputs) == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() != b""


def test_a_bundle_names_the_networks_the_gallery_and_the_exact_frame(demo: Path) -> None:
    bundles = [json.loads(path.read_bytes()) for path in (demo / "crops").glob("*.json")]
    bundle = bundles[0]
    assert bundle["software"] == f"unblur {__version__}"
    assert bundle["gallery"] == {"sha256": digest(demo / "people.joblib"), "people": 2}
    assert bundle["threshold_from"] == {
        "base": threshold_for(2),
        "origin": "calibrated (version 1) for a gallery of 2: 0.000 for their likeness",
    }
    assert bundle["models"] == {
        "detector": {"yunet": network("yunet").sha256},
        "embedder": {"sface": network("sface").sha256},
        "deblurring": {"deblur": trained_network("deblur").sha256},
    }
    files = {
        "yunet": network("yunet").prepared,
        "sface": network("sface").prepared,
        "deblur": trained_network("deblur").sha256,
    }
    files = {
        "yunet": network("yunet").prepared,
        "sface": network("sface").prepared,
        "deblur": trained_network("deblur").sha256,
    }
    assert {name: ran["onnx"] for name, ran in bundle["ran"].items()} == files
    assert all(ran["backend"] for ran in bundle["ran"].values())
    frames = {
        frame.index: frame
        for frame in open_source(str(demo / "camera.mp4"), None, PlaybackOptions(), ReconnectPolicy()).frames()
    }
    for facts in bundles:
        crop = facts["crop"]
        frame = frames[crop["frame"]]
        assert crop["pts_s"] == frame.pts_s
        assert crop["frame_sha256"] == sha256(frame.image.tobytes()).hexdigest()
        aligned, _ = align(frame.image, np.array(_in_the_frame(crop), np.float32))
        stored = read_picture(demo / "crops" / facts["event"]["evidence"])
        assert np.abs(aligned.astype(int) - stored).mean() < 1, "matrix, landmarks and frame reproduce the crop"


def _in_the_frame(crop: Any) -> Any:
    """The landmarks in the frame's coordinates, by the inverse of the crop's matrix."""
    matrix = np.array(crop["matrix"])
    return (np.array(crop["landmarks"]) - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def test_file_and_store_hold_the_same_events(demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, store = tmp_path / "events.jsonl", tmp_path / "events.sqlite"
    clip = ["--from", "10", "--to", "13", f"lobby={demo / 'camera.mp4'}"]
    assert run(*clip, "--gallery", demo / "people.joblib", "--events", log, "--store", f"sqlite:///{store}") == 0
    capsys.readouterr()
    assert main(["events", "export", f"sqlite:///{store}"]) == 0
    assert capsys.readouterr().out == log.read_text(encoding="utf-8")
    assert {json.loads(line)["camera"] for line in log.read_text(encoding="utf-8").splitlines()} == {"lobby"}
    with sqlite3.connect(store) as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)


def test_events_can_be_filtered_by_person(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for person, wanted in (("Barack_Obama", "Barack_Obama"), ("unknown", None)):
        assert main(["events", "export", str(demo / "events.jsonl"), "--person", person]) == 0
        names = {json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()}
        assert names == {wanted}
    assert main(["events", "list", str(demo / "events.jsonl")]) == 0
    assert "Barack_Obama" in capsys.readouterr().out


def test_without_a_gallery_everyone_is_unknown(demo: Path, tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    assert run(demo / "camera.mp4", "--to", "4", "--events", log) == 0
    assert {json.loads(line)["name"] for line in log.read_text(encoding="utf-8").splitlines()} == {None}


def test_the_start_time_gives_the_events_their_wall_time(demo: Path, tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    start = ("--start-time", "2026-03-01T08:00:00")
    assert run(demo / "camera.mp4", "--to", "3", *start, "--events", log) == 0
    first = json.loads(log.read_text(encoding="utf-8").splitlines()[0])
    assert first["wall_time"].startswith(f"2026-03-01T08:00:0{int(first['pts_s'])}")


def test_several_recordings_are_several_cameras(demo: Path, tmp_path: Path) -> None:
    log = tmp_path / "events.jsonl"
    sources = [f"{name}={demo / 'camera.mp4'}" for name in ("door", "hall")]
    assert run(*sources, "--to", "3", "--events", log, "--output", tmp_path / "film.mp4") == 0
    assert {json.loads(line)["camera"] for line in log.read_text(encoding="utf-8").splitlines()} == {"door", "hall"}
    assert {path.name for path in tmp_path.glob("*.mp4")} == {"film-door.mp4", "film-hall.mp4"}


def test_a_truncated_recording_is_read_up_to_its_end(demo: Path, tmp_path: Path, truncated: Path) -> None:
    log = tmp_path / "events.jsonl"
    assert run(truncated, "--gallery", demo / "people.joblib", "--events", log) == 1
    kinds = [json.loads(line)["type"] for line in log.read_text(encoding="utf-8").splitlines()]
    assert kinds.count("new") == kinds.count("end") >= 1


@pytest.fixture
def truncated(demo: Path, tmp_path: Path) -> Path:
    """A Matroska recording, truncated to its first 60 %."""
    import av

    whole, part = tmp_path / "whole.mkv", tmp_path / "part.mkv"
    with av.open(str(demo / "camera.mp4")) as source, av.open(str(whole), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    return part
