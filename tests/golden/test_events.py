"""The same film gives the same events and the same evidence, with a configuration and a cache of before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.golden.running import GOLDEN, settings, unblur, without_network

SCORES = ("score", "threshold", "raw_score", "restored_score")
SCORE_TOLERANCE, BLUR_TOLERANCE, BOX_TOLERANCE = 0.002, 0.05, 1


def events(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def assert_same(recorded: list[dict[str, Any]], replayed: list[dict[str, Any]], same_gallery: bool = True) -> None:
    """Scores within .002, boxes within 1 px; all else, and the order, exactly. The ids are derived from the gallery's
    file, too."""
    assert len(replayed) == len(recorded)
    for before, now in zip(recorded, replayed, strict=True):
        assert now.keys() >= before.keys()
        for key, value in before.items():
            if key == "id" and not same_gallery:
                continue
            where = f"{key} of {before['id']}"
            if key in SCORES and value is not None:
                assert now[key] == pytest.approx(value, abs=SCORE_TOLERANCE), where
            elif key == "blur" and value is not None:
                assert now[key] == pytest.approx(value, abs=BLUR_TOLERANCE), where
            elif key == "box":
                assert now[key] == pytest.approx(value, abs=BOX_TOLERANCE), where
            elif key == "runner_up" and value:
                assert now[key]["name"] == value["name"], where
                assert now[key]["score"] == pytest.approx(value["score"], abs=SCORE_TOLERANCE), where
            else:
                assert now[key] == value, where


@pytest.fixture(scope="module")
def prepared_cache(tmp_path_factory: pytest.TempPathFactory, yunet_path: Path, sface_path: Path) -> Path:
    """Only those files that the recorded version had prepared."""
    present, made = yunet_path.parents[1], tmp_path_factory.mktemp("cache")
    for line in (GOLDEN / "public" / "cache.txt").read_text(encoding="utf-8").splitlines():
        (made / line).parent.mkdir(exist_ok=True)
        shutil.copyfile(present / line, made / line)
    return made


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory, prepared_cache: Path) -> Path:
    """The folder in which a run over the film left log, store and evidence."""
    folder = tmp_path_factory.mktemp("replay")
    config = settings(GOLDEN / "film" / "config.yaml", folder)
    unblur("run", "--config", config, "--quiet", **without_network(prepared_cache))
    return folder


def test_the_film_gives_the_recorded_events(replay: Path) -> None:
    assert_same(events(GOLDEN / "film" / "events.jsonl"), events(replay / "events.jsonl"))


def test_the_store_holds_what_the_log_holds(replay: Path) -> None:
    exported = unblur("events", "export", f"sqlite:///{replay / 'events.sqlite'}")
    assert exported == (replay / "events.jsonl").read_text(encoding="utf-8")


def test_the_evidence_is_of_the_same_crops(replay: Path) -> None:
    recorded, kept = GOLDEN / "data" / "evidence", replay / "evidence"
    unblur("events", "verify", kept, "--log", replay / "events.jsonl")
    assert len(list(kept.glob("*.png"))) == len(list(recorded.glob("*.png")))
    pairs = zip(events(GOLDEN / "data" / "events.jsonl"), events(replay / "events.jsonl"), strict=True)
    for before, now in ((_bundle(recorded, old["id"]), _bundle(kept, new["id"])) for old, new in pairs):
        assert now.keys() >= before.keys()
        assert now["crop"].keys() >= before["crop"].keys()
        assert now["crop"]["frame_sha256"] == before["crop"]["frame_sha256"]
        assert [now[key] for key in ("models", "gallery")] == [before[key] for key in ("models", "gallery")]


def _bundle(evidence: Path, event: str) -> Any:
    return json.loads((evidence / f"{event}.json").read_bytes())


def test_a_cache_that_was_prepared_before_is_enough(replay: Path, prepared_cache: Path) -> None:
    recorded = (GOLDEN / "public" / "cache.txt").read_text(encoding="utf-8").splitlines()
    present = sorted(str(each.relative_to(prepared_cache)) for each in prepared_cache.rglob("*") if each.is_file())
    assert present == sorted(recorded)


@pytest.mark.slow
def test_a_clip_of_the_shared_data_gives_the_recorded_events(shared: Path, tmp_path: Path) -> None:
    clips, gallery, log = shared / "clips", tmp_path / "people.joblib", tmp_path / "events.jsonl"
    unblur("enroll", clips / "gallery", "--gallery", gallery)
    start = ("--start-time", "2026-01-01T12:00:00Z")
    unblur("run", clips / "hamilton.mp4", *start, "--gallery", gallery, "--events", log, "--quiet")
    assert_same(events(GOLDEN / "clip" / "hamilton.jsonl"), events(log), same_gallery=False)
