"""What is left out under load, on a clock of the test's own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from stream.load_control import (
    BATCH_S,
    FIRST_CALM_S,
    FRESHEST_S,
    HIGH_S,
    IN_TIME_S,
    LARGEST_BATCH,
    LEVELS,
    LONGEST_CALM_S,
    LOW_S,
    OLDEST_S,
    LoadController,
    SearchBudget,
)


class Machine:
    """A machine that needs so many seconds for a sample at each level; samples come at an even rate, and wait."""

    def __init__(self, passes_s: float, raw_s: float = 0.02) -> None:
        self.now = 0.0
        self.load = LoadController(lambda: self.now)
        self._passes_s, self._raw_s = passes_s, raw_s
        self._waiting_since: list[float] = []

    def run(self, seconds: float, rate: float) -> list[float]:
        """The delays of the samples that were identified; of those that wait longer than 1.2 s nothing is heard."""
        end, coming, delays = self.now + seconds, self.now, []
        while self.now < end:
            while coming <= self.now:
                self._waiting_since.append(coming)
                coming += 1 / rate
            self._waiting_since = [since for since in self._waiting_since if self.now - since < 1.2]
            batch = self._waiting_since[: self.load.batch]
            del self._waiting_since[: len(batch)]
            took_s = len(batch) * self.cost_s if batch else 0.05
            self.now += took_s
            late = [self.now - since for since in batch]
            self.load.observe(len(batch), took_s, max(late, default=0.0))
            delays += late
        return delays

    @property
    def cost_s(self) -> float:
        passes = self.load.level.passes
        return self._raw_s + self._passes_s * (3 if passes is None else passes)


def test_a_machine_that_keeps_up_does_everything() -> None:
    machine = Machine(passes_s=0.02)
    machine.run(60, rate=8)
    assert machine.load.level == LEVELS[0]


@pytest.mark.parametrize(("rate", "passes"), [(14.5, 2), (20, 1), (40, 0)])
def test_fewer_passes_then_no_restoration_before_delay(rate: float, passes: int) -> None:
    machine = Machine(passes_s=0.02)
    machine.run(20, rate)
    assert machine.load.level.passes in {passes, max(0, passes - 1)}
    delays = sorted(machine.run(120, rate))
    assert delays[int(0.95 * len(delays))] < 1.0


def test_where_even_that_is_too_much_less_is_searched() -> None:
    machine = Machine(passes_s=0.02)
    machine.run(30, rate=200)
    assert machine.load.level == LEVELS[-1]
    assert LEVELS[-1].search < 1 == LEVELS[3].search


def test_a_level_is_given_time_to_work() -> None:
    machine = Machine(passes_s=0.02)
    for _ in range(10):
        machine.load.observe(1, 0.1, 2 * HIGH_S)
    assert machine.load.level == LEVELS[0]
    machine.now += 0.5
    machine.load.observe(1, 0.1, 2 * HIGH_S)
    machine.load.observe(1, 0.1, 2 * HIGH_S)
    assert machine.load.level == LEVELS[1]


def test_it_recovers_when_the_load_goes() -> None:
    machine = Machine(passes_s=0.02)
    machine.run(30, rate=200)
    machine.run(len(LEVELS) * LONGEST_CALM_S, rate=2)
    assert machine.load.level == LEVELS[0]


def test_it_does_not_flap() -> None:
    """A level that is just too much is tried ever more seldom."""
    machine = Machine(passes_s=0.02)
    changes, before = 0, machine.load.level
    for _ in range(6000):
        machine.run(0.1, rate=13.5)
        changes += machine.load.level != before
        before = machine.load.level
    assert changes < 600 / LONGEST_CALM_S * 2 + 12


def test_between_calm_and_trouble_all_stays() -> None:
    machine = Machine(passes_s=0.02)
    machine.now = 1.0
    machine.load.observe(1, 0.1, 2 * HIGH_S)
    for _ in range(1000):
        machine.now += 0.1
        machine.load.observe(1, 0.1, (LOW_S + HIGH_S) / 2)
    assert machine.load.level == LEVELS[1]


def test_nothing_to_do_is_calm() -> None:
    machine = Machine(passes_s=0.02)
    machine.now = 1.0
    machine.load.observe(1, 0.1, 2 * HIGH_S)
    machine.now += FIRST_CALM_S
    machine.load.observe(0, 0.25, 0.0)
    assert machine.load.level == LEVELS[0]


def test_a_batch_takes_about_as_long_on_any_machine() -> None:
    load = LoadController(lambda: 0.0)
    assert load.batch == LARGEST_BATCH
    for _ in range(30):
        load.observe(4, 4 * BATCH_S / 3, 0.1)
    assert load.batch in {2, 3}
    for _ in range(30):
        load.observe(1, 3 * BATCH_S, 0.1)
    assert load.batch == 1


def test_what_would_come_too_late_is_not_begun() -> None:
    load = LoadController(lambda: 0.0)
    assert load.oldest_s == OLDEST_S
    load.observe(1, 0.6, 0.7)
    assert load.oldest_s == pytest.approx(IN_TIME_S - 0.6)
    for _ in range(30):
        load.observe(1, 5.0, 5.0)
    assert load.oldest_s == FRESHEST_S


@pytest.mark.parametrize(("cameras", "cores", "part"), [(1, 2, 1.0), (2, 2, 1.0), (16, 2, 1 / 8), (9, 18, 1.0)])
def test_the_cores_are_shared_equally(cameras: int, cores: int, part: float) -> None:
    assert SearchBudget(cameras, LoadController(lambda: 0.0), cores).part == part


def test_one_core_is_left_for_all_else() -> None:
    budget, searching, most, lock = SearchBudget(8, LoadController(), 3), 0, 0, threading.Lock()
    both = threading.Barrier(2)

    def search(camera: int) -> None:
        nonlocal searching, most
        assert budget.begin(camera, 20)
        with lock:
            searching += 1
            most = max(most, searching)
        both.wait(20)
        with lock:
            searching -= 1
        budget.end()

    with ThreadPoolExecutor(8) as cameras:
        list(cameras.map(search, range(8)))
    assert most == 2


def test_a_camera_that_went_to_show_a_picture_keeps_its_place() -> None:
    budget = SearchBudget(3, LoadController(), 2)
    assert budget.begin("first", 0)
    assert not budget.begin("second", 0), "and shows a picture meanwhile"
    assert not budget.begin("third", 0)
    with ThreadPoolExecutor(2) as cameras:
        third = cameras.submit(budget.begin, "third", 20)
        second = cameras.submit(budget.begin, "second", 20)
        with pytest.raises(TimeoutError):
            second.result(timeout=1)
        budget.end()
        assert second.result(timeout=20)
        assert not third.done()
        budget.end()
        assert third.result(timeout=20)


def test_nobody_waits_for_a_camera_that_is_away() -> None:
    budget = SearchBudget(3, LoadController(), 2)
    assert budget.begin("first", 0)
    assert not budget.begin("second", 0)
    budget.end()
    assert budget.begin("third", 0)
