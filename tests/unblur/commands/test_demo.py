"""The demo on public-domain portraits, end to end: camera, faces, names, log, video and report."""

from __future__ import annotations

import json
from pathlib import Path

import av

from stream.simulation.ground_truth import GroundTruth
from unblur.evaluate.scoring.event_log import read_events, score

KEYS = [
    "schema", "id", "type", "camera", "track", "name", "score", "threshold", "runner_up", "raw_score", "restored_score",
    "deblurred_by", "blur", "pts_s", "frame", "wall_time", "box", "first_pts_s", "evidence",
]  # fmt: skip


def lines(demo: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (demo / "events.jsonl").read_text(encoding="utf-8").splitlines()]


def test_every_event_has_every_key_of_the_contract(demo: Path) -> None:
    events = lines(demo)
    assert events
    assert all(list(event) == KEYS for event in events)
    assert len({event["id"] for event in events}) == len(events)


def test_every_track_begins_once_and_ends_once(demo: Path) -> None:
    events = lines(demo)
    kinds = {track: [e["type"] for e in events if e["track"] == track] for track in {e["track"] for e in events}}
    assert all(kind[0] == "new" and kind[-1] == "end" for kind in kinds.values())
    assert all(set(kind[1:-1]) <= {"update"} for kind in kinds.values())


def test_the_known_person_is_named_and_the_unknown_person_is_not(demo: Path) -> None:
    result = score(read_events(demo / "events.jsonl"), GroundTruth.load(demo / "truth.json"))
    verdicts = {(one.appearance.known, one.appearance.speed_class): one.verdict for one in result.outcomes}
    assert verdicts[(True, "slow")] == verdicts[(True, "medium")] == "right"
    assert all(verdict == "right" for (known, _), verdict in verdicts.items() if not known)
    assert "wrong" not in verdicts.values()


def test_the_fast_passages_were_restored_from_their_own_motion(demo: Path) -> None:
    restored = [event for event in lines(demo) if event["deblurred_by"] == "cnn"]
    assert restored
    for event in restored:
        assert (demo / "crops" / f"{event['id']}.restored.png").is_file()
    assert all((demo / "crops" / str(event["evidence"])).is_file() for event in lines(demo))


def test_the_film_has_every_frame_at_its_own_time(demo: Path) -> None:
    times = {}
    for name in ("camera.mp4", "annotated.mp4"):
        with av.open(str(demo / name)) as container:
            times[name] = [frame.time for frame in container.decode(video=0)]
    assert times["camera.mp4"] == times["annotated.mp4"]


def test_the_report_says_what_was_right_and_wrong(demo: Path) -> None:
    page = (demo / "report.html").read_text(encoding="utf-8")
    assert "Barack Obama" in page
    assert "Comparison with the ground truth" in page
    assert "annotated.mp4" in page
