"""What is decoded of a stream whose decoder may be too slow, on a clock of the test's own."""

from __future__ import annotations

import pytest

from stream.media.decode_skipping import BEHIND_S, DecodeSkipper, Discard

FPS = 25


class Stream:
    """Packets of a camera, `key_every` of them from one key frame to the next, that are taken by a slow decoder."""

    def __init__(self, key_every: int) -> None:
        self.now = 1000.0
        self._catch_up = DecodeSkipper(lambda: self.now)
        self._key_every = key_every
        self._sent = 0

    def take(self, packets: int, cost_s: float, first_stamp_s: float = 0.0) -> list[Discard]:
        """Every packet costs so long, a third of it if it is left out as unreferenced (each second one is), nothing
        otherwise."""
        found: list[Discard] = []
        for _ in range(packets):
            stamp_s, key = self._sent / FPS, self._sent % self._key_every == 0
            self.now = max(self.now, 1000.0 + stamp_s)  # it has not come before
            found.append(self._catch_up.choose_discard(first_stamp_s + stamp_s, key))
            left_out = (found[-1] == "NONREF" and self._sent % 2) or (found[-1] == "NONKEY" and not key)
            self.now += 0.0 if left_out else cost_s
            self._sent += 1
        return found

    @property
    def lag_s(self) -> float:
        return self.now - 1000.0 - self._sent / FPS


def test_all_is_decoded_by_whoever_keeps_up() -> None:
    assert set(Stream(50).take(5000, 0.9 / FPS)) == {"DEFAULT"}


def test_pictures_that_no_other_needs_go_first() -> None:
    stream = Stream(500)
    assert set(stream.take(3000, 1.5 / FPS)) == {"DEFAULT", "NONREF"}
    assert stream.lag_s < 2 * BEHIND_S


def test_key_frames_alone_are_left_where_that_is_too_little() -> None:
    stream = Stream(25)
    found = stream.take(6000, 4 / FPS)
    assert set(found) == {"DEFAULT", "NONREF", "NONKEY"}
    assert stream.lag_s < 3
    resumed = [index for index in range(1, 6000) if found[index] != "NONKEY" == found[index - 1]]
    assert all(index % 25 == 0 for index in resumed), "from a key frame on, the picture is whole"


def test_a_camera_with_rare_key_frames_is_never_left_without_pictures() -> None:
    assert "NONKEY" not in Stream(250).take(3000, 4 / FPS)


def test_it_recovers() -> None:
    stream = Stream(25)
    stream.take(1000, 4 / FPS)
    assert stream.take(500, 0.2 / FPS)[-1] == "DEFAULT"


@pytest.mark.parametrize("jump_s", [1e5, -1e5, -5.0])
def test_stamps_that_begin_anew_are_no_lag(jump_s: float) -> None:
    stream = Stream(25)
    stream.take(100, 0.01)
    assert set(stream.take(100, 0.01, first_stamp_s=jump_s)) == {"DEFAULT"}


def test_a_clock_that_is_never_right_is_no_lag() -> None:
    """A camera whose seconds are a thousandth too long, for two hours."""
    now = 0.0
    catch_up = DecodeSkipper(lambda: now)
    for step in range(7200):
        now = step * 1.001
        assert catch_up.choose_discard(float(step), key=True) == "DEFAULT"
