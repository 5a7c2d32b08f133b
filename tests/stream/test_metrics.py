import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.metrics import BOUNDS_S, StageMetrics


def test_counts_are_by_name_and_by_name_and_camera() -> None:
    meter = StageMetrics()
    meter.count("faces", 2, "lobby")
    meter.count("faces", 3, "door")
    meter.count("events")
    reading = meter.read()
    assert reading.counts == {"faces": 5, "events": 1}
    assert reading.by_camera == {("faces", "lobby"): 2, ("faces", "door"): 3, ("events", ""): 1}


def test_what_others_count_is_asked_at_each_reading_and_summed() -> None:
    meter, lost = StageMetrics(), [1, 10]
    meter.observe_counter("looks dropped", lambda: lost[0])
    meter.observe_counter("looks dropped", lambda: lost[1])
    assert meter.read().counts == {"looks dropped": 11}
    lost[0] = 2
    assert meter.read().counts == {"looks dropped": 12}


def test_times_are_summed_and_counted_in_buckets() -> None:
    meter = StageMetrics()
    for _ in range(3):
        with meter.stage("detect"):
            pass
    (timing,) = meter.read().stages.values()
    assert timing.buckets == (3, *[0] * len(BOUNDS_S))
    assert 0 < timing.p50_s <= timing.p95_s < BOUNDS_S[0]
    assert meter.read().seconds == {"detect": timing.seconds}


@given(st.lists(st.sampled_from([0.0005, 0.001, 0.002, 0.3, 2.5, 9.0]), min_size=1))
def test_each_time_is_in_the_bucket_of_the_first_bound_that_it_does_not_exceed(times: list[float]) -> None:
    stepping = iter([moment for elapsed in times for moment in (0.0, elapsed)])
    meter = StageMetrics()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stream.metrics.time.perf_counter", lambda: next(stepping))
        for _ in times:
            with meter.stage("deblur"):
                pass
    buckets = meter.read().stages["deblur"].buckets
    lower = (-1.0, *BOUNDS_S)
    upper = (*BOUNDS_S, float("inf"))
    assert buckets == tuple(sum(low < time <= high for time in times) for low, high in zip(lower, upper, strict=True))


def test_many_threads_lose_nothing() -> None:
    meter = StageMetrics()

    def work() -> None:
        for _ in range(2000):
            meter.count("frames", camera="lobby")
            with meter.stage("track"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reading = meter.read()
    assert reading.counts["frames"] == sum(reading.stages["track"].buckets) == 8000


def test_searches_a_second_and_delays_are_of_late() -> None:
    now = 100.0
    meter = StageMetrics(lambda: now)
    for step in range(200):
        now = 100.0 + step / 10
        meter.record_search("lobby")
        if step < 100:
            meter.record_delay("lobby", 9.0)
    reading = meter.read()
    assert reading.searched_fps["lobby"] == pytest.approx(10, rel=0.02)
    assert reading.delay_p95_s == {"lobby": 9.0}
    now += 55
    meter.record_delay("lobby", 0.25)
    reading = meter.read()
    assert reading.searched_fps == {"lobby": 0.0}
    assert reading.delay_p95_s["lobby"] == 0.25
    now += 61
    assert meter.read().delay_p95_s == {}
    assert meter.read().by_camera["detections", "lobby"] == 200
