import resource
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.errors import OutputError, StorageError
from stream.outputs.mp4_recorder import Mp4Recorder
from stream.values import Frame, Image

ROOT = Path(__file__).parents[3]
SCENE: Image = cv2.resize(
    np.random.default_rng(0).integers(0, 256, (9, 16, 3), np.uint8), (320, 180), interpolation=cv2.INTER_CUBIC
).astype(np.uint8)


def record(path: Path, pts: list[int], time_base: Fraction, images: list[Image] | None = None) -> None:
    recorder = Mp4Recorder(path)
    for index, tick in enumerate(pts):
        image = images[index] if images else SCENE
        recorder.show(Frame("lobby", index, tick, time_base, None, image), image)
    recorder.close()


def times(path: Path) -> list[Fraction]:
    with av.open(path) as video:
        return [(frame.pts or 0) * Fraction(frame.time_base or 0) for frame in video.decode(video=0)]


def salvage(path: Path) -> list[Fraction]:
    """The times of what a player shows: everything up to a frame that was cut short."""
    found: list[Fraction] = []
    with av.open(path) as video, suppress(av.error.InvalidDataError):
        found.extend((frame.pts or 0) * Fraction(frame.time_base or 0) for frame in video.decode(video=0))
    return found


def pictures(path: Path) -> list[Image]:
    with av.open(path) as video:
        return [frame.to_ndarray(format="bgr24").astype(np.uint8) for frame in video.decode(video=0)]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(0, 10**6),
    steps=st.lists(st.integers(1, 5000), max_size=80),
    time_base=st.sampled_from(
        [Fraction(1, 90000), Fraction(1, 30), Fraction(1001, 30000), Fraction(1, 1000), Fraction(1, 10**9)]
    ),
)
def test_media_times_are_kept_exactly_at_any_frame_rate(
    tmp_path: Path, start: int, steps: list[int], time_base: Fraction
) -> None:
    pts = [start + sum(steps[:n]) for n in range(len(steps) + 1)]
    image = SCENE[:32, :32]
    record(tmp_path / "out.mp4", pts, time_base, [image] * len(pts))
    assert times(tmp_path / "out.mp4") == [tick * time_base for tick in pts]


def test_time_that_jumps_back_goes_on_without_a_gap(tmp_path: Path) -> None:
    record(tmp_path / "out.mp4", [0, 40, 80, 0, 50], Fraction(1, 1000))
    assert times(tmp_path / "out.mp4") == [Fraction(t, 1000) for t in (0, 40, 80, 120, 170)]


@pytest.mark.parametrize("gap", [2**30, 2**31, 2**32, 2**33 + 5])
def test_a_gap_longer_than_a_frame_may_last_is_left_out(tmp_path: Path, gap: int) -> None:
    """At 90,000 a second 2^30 ticks are 3.3 hours: a camera that was away for the night."""
    record(tmp_path / "out.mp4", [0, 3600, gap + 3600, gap + 7200], Fraction(1, 90_000))
    assert times(tmp_path / "out.mp4") == [Fraction(t, 90_000) for t in (0, 3600, 7200, 10_800)]


def test_a_gap_of_hours_is_kept(tmp_path: Path) -> None:
    record(tmp_path / "out.mp4", [0, 3600, 3 * 3600 * 90_000], Fraction(1, 90_000))
    assert times(tmp_path / "out.mp4")[-1] == 3 * 3600


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([3600, 2**28, 2**29, 2**30 - 2**20 - 1, 2**30, 2**31, -(2**31)]), max_size=30))
def test_a_film_is_written_whatever_the_clock_does(tmp_path: Path, steps: list[int]) -> None:
    pts = [2**40 + sum(steps[:n]) for n in range(len(steps) + 1)]
    record(tmp_path / "out.mp4", pts, Fraction(1, 90_000), [SCENE[:32, :32]] * len(pts))
    assert len(times(tmp_path / "out.mp4")) == len(pts)


def test_a_negative_start_becomes_zero(tmp_path: Path) -> None:
    record(tmp_path / "out.mp4", [-80, -40, 0], Fraction(1, 1000))
    assert times(tmp_path / "out.mp4") == [Fraction(t, 1000) for t in (0, 40, 80)]


def test_the_picture_and_its_colours_come_back(tmp_path: Path) -> None:
    flat = np.zeros((180, 320, 3), np.uint8)
    for column, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (61, 128, 21)]):
        flat[:, 80 * column : 80 * (column + 1)] = colour
    record(tmp_path / "out.mp4", [0, 1, 2], Fraction(1, 25), [SCENE, SCENE, flat])
    read = pictures(tmp_path / "out.mp4")
    assert cv2.PSNR(read[0], SCENE) > 30
    for column in range(4):
        assert np.abs(read[2][90, 80 * column + 40].astype(int) - flat[90, 80 * column + 40]).max() < 12
    with av.open(tmp_path / "out.mp4") as video:
        assert video.streams.video[0].codec_context.name == "h264"
        assert video.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert video.streams.video[0].codec_context.colorspace == Colorspace.ITU601


@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 5), (321, 180), (320, 181), (319, 179)])
def test_odd_sizes_keep_every_pixel(tmp_path: Path, width: int, height: int) -> None:
    grey = SCENE.mean(axis=2, keepdims=True).repeat(3, axis=2)
    image = cv2.resize(grey, (width, height)).astype(np.uint8)
    record(tmp_path / "out.mp4", [0, 1], Fraction(1, 25), [image] * 2)
    read = pictures(tmp_path / "out.mp4")[0]
    assert read.shape == (height + height % 2, width + width % 2, 3)
    assert cv2.PSNR(np.ascontiguousarray(read[:height, :width]), image) > 28


def test_another_size_is_fitted_into_the_first(tmp_path: Path) -> None:
    white = [np.full((h, w, 3), 255, np.uint8) for h, w in ((180, 320), (360, 360), (90, 320), (180, 320))]
    record(tmp_path / "out.mp4", [0, 1, 2, 3], Fraction(1, 25), white)
    read = pictures(tmp_path / "out.mp4")
    assert {picture.shape for picture in read} == {(180, 320, 3)}
    pillars, letters = read[1], read[2]
    assert pillars[90, 160].min() > 240
    assert pillars[90, [30, 290]].max() < 20
    assert letters[90, 160].min() > 240
    assert letters[[20, 160], 160].max() < 20
    assert read[3].min() > 230


def test_the_name_appears_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_bytes(b"the recording before")
    recorder = Mp4Recorder(path)
    recorder.show(Frame("lobby", 0, 0, Fraction(1, 25), None, SCENE), SCENE)
    assert path.read_bytes() == b"the recording before"
    recorder.close()
    recorder.close()
    assert len(pictures(path)) == 1
    assert list(tmp_path.iterdir()) == [path]


def boxes(path: Path) -> list[str]:
    """The file's outermost parts (ISO 14496-12, 4.2)."""
    data, names, at = path.read_bytes(), [], 0
    while at < len(data):
        names.append(data[at + 4 : at + 8].decode())
        at += int.from_bytes(data[at : at + 4], "big")
    return names


def test_it_ends_as_a_plain_mp4(tmp_path: Path) -> None:
    """One index for the whole file, as every player can seek in, and no fragments."""
    record(tmp_path / "out.mp4", list(range(150)), Fraction(1, 25))
    assert boxes(tmp_path / "out.mp4") == ["ftyp", "free", "mdat", "moov"]
    with av.open(tmp_path / "out.mp4") as video:
        assert video.streams.video[0].frames == 150
        assert video.duration == pytest.approx(6_000_000, abs=40_000)


def test_without_a_picture_there_is_no_file(tmp_path: Path) -> None:
    Mp4Recorder(tmp_path / "out.mp4").close()
    assert not list(tmp_path.iterdir())


def test_after_kill_9_the_part_plays_and_the_name_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    command = [sys.executable, "-m", "tests.stream.support.recording", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(400):
            process.stdout.readline()
        process.kill()
    assert not path.exists()
    salvaged = salvage(tmp_path / "out.mp4.part")
    assert len(salvaged) >= 240
    assert salvaged == [Fraction(n, 25) for n in range(len(salvaged))]


def show_all(recorder: Mp4Recorder, images: Image) -> None:
    for index, image in enumerate(images):
        recorder.show(Frame("lobby", index, index, Fraction(1, 25), None, image), image)


def test_a_full_disk_is_one_clear_error_and_the_part_plays(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (250, 180, 320, 3), np.uint8)
    recorder = Mp4Recorder(tmp_path / "out.mp4")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, before[1]))
    try:
        with pytest.raises(StorageError, match=r"out.mp4: .*; what was written lies in out.mp4.part") as failure:
            show_all(recorder, noise)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    recorder.close()
    assert "\n" not in str(failure.value)
    assert not (tmp_path / "out.mp4").exists()
    assert len(salvage(tmp_path / "out.mp4.part")) >= 60


def test_a_place_where_no_file_can_be_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "none" / "out.mp4", tmp_path / "file" / "out.mp4"):
        with pytest.raises(OutputError, match="cannot record to"):
            Mp4Recorder(path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
