"""The problems of a run, and its overall status."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stream.load_control import LEVELS, Level
from unblur.notify.base import DeliveryStatus
from unblur.web.pages.health_problems import Problem, problems, status
from unblur.web.pages.live import CameraStatus

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def camera(state: Any = "live", since_s: float = 60, **what: Any) -> CameraStatus:
    given = {"fps": 25.0, "searched_fps": 9.0, "delay_p95_s": 0.4, "samples_dropped": 0} | what
    return CameraStatus(name="door", state=state, whep="/door/whep", since=NOW - timedelta(seconds=since_s), **given)


def found(*cameras: CameraStatus, level: Level = LEVELS[0], deliveries: Sequence[DeliveryStatus] = ()) -> list[Problem]:
    return list(problems(cameras, deliveries, level, NOW))


def test_a_camera_that_is_searched_often_and_soon_is_well() -> None:
    assert found(camera()) == found(camera(delay_p95_s=None)) == []
    assert found(camera(fps=4.0, searched_fps=3.5)) == [], "of few pictures few are searched"


def test_a_camera_that_has_just_come_has_time() -> None:
    assert found(camera(since_s=5, searched_fps=0.0)) == []
    assert found(camera("connecting", since_s=5, fps=0.0)) == []


def test_too_few_searches_are_told_with_what_helps() -> None:
    (problem,) = found(camera(searched_fps=2.04))
    assert problem.what == "door: this machine searches 2 of 25 pictures a second"
    assert "fewer cameras" in problem.remedy
    assert problem.about == "door"


def test_late_names_are_told() -> None:
    (problem,) = found(camera(delay_p95_s=7.23))
    assert problem.what == "door: a name comes up to 7.2 s after its picture"


@pytest.mark.parametrize(
    ("level", "said"),
    [
        (LEVELS[1], "blurred faces are restored in 2 passes of the network at most"),
        (LEVELS[3], "blurred faces are not restored"),
        (LEVELS[-1], "are not restored, and 35% of the usual time is spent on searches"),
    ],
)
def test_what_is_left_out_is_told(level: Level, said: str) -> None:
    (problem,) = found(camera(), level=level)
    assert problem.what.startswith("this machine is behind: ")
    assert problem.what.endswith(said)
    assert problem.about is None


@pytest.mark.parametrize("away", [camera("stalled"), camera("reconnecting"), camera("connecting", fps=0.0)])
def test_a_camera_that_is_away_is_no_matter_of_speed(away: CameraStatus) -> None:
    (problem,) = found(away.model_copy(update={"searched_fps": 0.0, "last_error": "404"}))
    assert problem.what == '"door" is offline (404)'


def test_whoever_is_not_told_of_events_is_named() -> None:
    hook = DeliveryStatus("hook", 0, 3, 0, "refused")
    (problem,) = found(deliveries=[hook])
    assert (problem.about, "refused" in problem.what) == ("hook", True)


def test_the_status_is_that_of_the_whole() -> None:
    well, lost, ended = camera(), camera("stalled"), camera("ended")
    assert status(True, [well], found(well)) == "ok"
    assert status(True, [well, lost], found(well, lost)) == "degraded"
    assert status(True, [lost], found(lost)) == "failing"
    assert status(False, [well], []) == "failing"
    assert status(False, [ended], []) == status(False, [], []) == "ok"
