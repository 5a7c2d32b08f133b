"""The metrics of a run over a real camera, read by its own client and, where it is installed, promtool."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx2 as httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from stream.metrics import BOUNDS_S
from tests.unblur.web.support.running import CAMERA, House, house

PROMTOOL = shutil.which("promtool")
HERE = {"camera": CAMERA}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, portraits: Path) -> Iterator[House]:
    """A server whose camera has seen a person, and is gone."""
    with house(tmp_path_factory.mktemp("house"), portraits / "astronaut.png") as running:
        running.start()
        running.until_seen()
        running.stop()
        yield running


@pytest.fixture(scope="module")
def said(seen: House) -> str:
    answer = httpx.get(f"{seen.address}/metrics").raise_for_status()
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return answer.text


@pytest.fixture(scope="module")
def families(said: str) -> Mapping[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(said)}


def values(families: Mapping[str, Metric], name: str) -> list[tuple[dict[str, str], float]]:
    owner = next(family for key, family in families.items() if name.startswith(key))
    return [(sample.labels, sample.value) for sample in owner.samples if sample.name == name]


def test_cameras(families: Mapping[str, Metric], seen: House) -> None:
    counts = seen.run.snapshot().counts
    ((where, fps),) = values(families, "unblur_camera_fps")
    assert (where, fps >= 0) == (HERE, True), "it is gone, and has no rate soon"
    ((where, age_s),) = values(families, "unblur_frame_age_seconds")
    assert (where, age_s > 0) == (HERE, True)
    assert values(families, "unblur_reconnects_total") == [(HERE, 0.0)]
    dropped = values(families, "unblur_frames_dropped_total")
    assert [labels for labels, _ in dropped] == [{**HERE, "reason": "detection"}, {**HERE, "reason": "overlay"}]
    assert sum(number for _, number in dropped) == counts["frames dropped"] + counts["pictures dropped"]
    assert values(families, "unblur_webrtc_viewers") == [({}, 0.0)]
    assert values(families, "unblur_connections_refused_total") == [({}, 0.0)]


def test_how_much_is_searched_how_late_names_come_and_what_is_left_out(
    families: Mapping[str, Metric], seen: House
) -> None:
    reading = seen.run.snapshot()
    ((where, searched),) = values(families, "unblur_camera_searched_fps")
    assert (where, searched >= 0) == (HERE, True)
    ((where, delay_s),) = values(families, "unblur_name_delay_p95_seconds")
    assert where == HERE
    assert delay_s == pytest.approx(reading.delay_p95_s[CAMERA], rel=0.2)
    assert values(families, "unblur_samples_dropped_total") == [(HERE, reading.by_camera["looks dropped", CAMERA])]
    ((_, level),) = values(families, "unblur_load_level")
    assert level >= 0


def test_faces_and_events(families: Mapping[str, Metric], seen: House) -> None:
    counts = seen.run.snapshot().counts
    assert values(families, "unblur_faces_total") == [(HERE, counts["faces"])]
    events = values(families, "unblur_events_total")
    assert ({"type": "new", "known": "false"}, 1.0) in events
    assert ({"type": "end", "known": "false"}, 1.0) in events
    assert sum(number for _, number in events) == counts["events"]
    assert {kind["to"] for kind, _ in values(families, "unblur_notifications_waiting")} == {"hook"}


def test_stages_are_histograms(families: Mapping[str, Metric], seen: House) -> None:
    stages = seen.run.snapshot().stages
    counts = {labels["stage"]: number for labels, number in values(families, "unblur_stage_seconds_count")}
    sums = {labels["stage"]: number for labels, number in values(families, "unblur_stage_seconds_sum")}
    assert families["unblur_stage_seconds"].type == "histogram"
    assert counts == {name: sum(timing.buckets) for name, timing in stages.items()}
    assert sums == pytest.approx({name: timing.seconds for name, timing in stages.items()})
    detect = [
        (float(labels["le"]), number)
        for labels, number in values(families, "unblur_stage_seconds_bucket")
        if labels["stage"] == "detect"
    ]
    assert [bound for bound, _ in detect] == [*BOUNDS_S, float("inf")]
    assert [number for _, number in detect] == sorted(number for _, number in detect)
    assert detect[-1][1] == counts["detect"] > 0


@pytest.mark.skipif(PROMTOOL is None, reason="there is no promtool here")
def test_promtool_finds_no_fault(said: str) -> None:
    assert PROMTOOL
    checked = subprocess.run([PROMTOOL, "check", "metrics"], input=said, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
