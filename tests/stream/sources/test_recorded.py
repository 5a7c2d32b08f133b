import gc
import struct
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from threading import Timer
from time import monotonic

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from stream.errors import DamagedSourceError, SourceError, UsageError
from stream.sources.factory import SourceOptions, open_source
from stream.sources.recorded import PlaybackOptions, RecordedSource
from stream.values import Frame
from tests.stream.support.media import noise, number, numbered, write_film, write_pictures, write_sound


def replay(path: Path | str, **playback: object) -> RecordedSource:
    source = open_source(str(path), playback=PlaybackOptions(**playback))  # type: ignore[arg-type]
    assert isinstance(source, RecordedSource)
    return source


def damaged(source: RecordedSource) -> tuple[list[Frame], str]:
    """The frames before the error, and what it says."""
    frames: list[Frame] = []
    with pytest.raises(DamagedSourceError) as error:
        keep(source, frames)
    assert "\n" not in str(error.value)
    return frames, str(error.value)


def keep(source: RecordedSource, frames: list[Frame]) -> None:
    for frame in source.frames():
        frames.append(frame)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "yard.mp4", sound_s=3.5)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.mov"])
def test_every_picture_once_in_order_at_its_time(tmp_path: Path, name: str) -> None:
    source = replay(write_film(tmp_path / name))
    frames = list(source.frames())
    assert [number(frame.image) for frame in frames] == list(range(90))
    assert [frame.index for frame in frames] == list(range(90))
    assert [frame.pts_s for frame in frames] == pytest.approx([index / 30 for index in range(90)], abs=1e-3)
    assert {frame.camera for frame in frames} == {"a"}
    assert {frame.wall_time for frame in frames} == {None}
    assert not source.live
    assert source.expected_frames == 90
    assert source.duration_s == pytest.approx(3, abs=0.01)


def test_playing_twice_gives_the_same(film: Path) -> None:
    source = replay(film)
    one, two = list(source.frames()), list(source.frames())
    assert [frame.pts for frame in one] == [frame.pts for frame in two]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(one, two, strict=True))


def test_a_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    gaps = [Fraction(1, 30), Fraction(1, 2), Fraction(1, 60), Fraction(2)]
    times = [sum((gaps[i % 4] for i in range(index)), Fraction(0)) for index in range(20)]
    frames = list(replay(write_film(tmp_path / "a.mkv", 20, times=times)).frames())
    assert [frame.pts_s for frame in frames] == pytest.approx([float(at) for at in times], abs=1e-3)


def test_a_stream_without_pts_is_timed_by_its_rate(tmp_path: Path) -> None:
    source = replay(write_film(tmp_path / "a.h264", 30))
    frames = list(source.frames())
    assert [number(frame.image) for frame in frames] == list(range(30))
    steps = np.diff([frame.pts_s for frame in frames])
    assert steps == pytest.approx(steps[0])
    assert steps[0] in (pytest.approx(1 / 25), pytest.approx(1 / 30))
    assert (source.duration_s, source.expected_frames) == (None, None)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.h264"])
@pytest.mark.parametrize("start", [0, 1, 17, 50, 89])
def test_a_part_begins_and_ends_exactly(tmp_path: Path, name: str, start: int) -> None:
    path = write_film(tmp_path / name)
    whole = list(replay(path).frames())
    part = list(replay(path, from_s=whole[start].pts_s, to_s=whole[start].pts_s + 0.5).frames())
    wanted = [frame for frame in whole[start:] if frame.pts_s < whole[start].pts_s + 0.5]
    assert [frame.pts for frame in part] == [frame.pts for frame in wanted]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(part, wanted, strict=True))
    assert part[0].index == 0


def test_the_length_of_a_part_is_known(film: Path) -> None:
    source = replay(film, from_s=1.0, to_s=2.0)
    assert source.duration_s == pytest.approx(1.0)
    assert source.expected_frames == pytest.approx(30, abs=5)
    assert len(list(source.frames())) == 30


def test_wall_time_counts_from_the_start_time(film: Path) -> None:
    start = datetime(2026, 11, 22, 10, tzinfo=UTC)
    frame = next(replay(film, start_time=start, from_s=1.0).frames())
    assert frame.wall_time is not None
    assert frame.wall_time - start == pytest.approx(timedelta(seconds=1), abs=timedelta(milliseconds=1))


@pytest.mark.parametrize(
    "playback",
    [{"from_s": -1.0}, {"from_s": 2.0, "to_s": 2.0}, {"start_time": datetime(2026, 1, 1)}, {"fps": Fraction(0)}],
)
def test_a_playback_that_makes_no_sense_is_refused(playback: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        PlaybackOptions(**playback)  # type: ignore[arg-type]


def test_a_part_past_the_end_is_refused(film: Path) -> None:
    with pytest.raises(SourceError, match=r"lasts 3\.\d+ s"):
        replay(film, from_s=60.0)


def test_in_real_time_a_second_takes_a_second(film: Path) -> None:
    began = monotonic()
    frames = list(replay(film, pace="realtime", to_s=0.5).frames())
    assert monotonic() - began >= frames[-1].pts_s - frames[0].pts_s


def test_closing_from_another_thread_ends_it(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", 2, times=[Fraction(0), Fraction(1000)])
    source = replay(path, pace="realtime")
    closing = Timer(0.1, source.close)
    closing.start()
    assert len(list(source.frames())) == 1
    closing.join()


@pytest.mark.parametrize(("degrees", "turns"), [(90, 3), (180, 2), (270, 1)])
def test_a_film_held_sideways_comes_upright(tmp_path: Path, degrees: int, turns: int) -> None:
    """A phone writes how the picture is to be turned, clockwise, into the matrix of the track's header (tkhd)."""
    path = write_film(tmp_path / "a.mp4", 3)
    content = bytearray(path.read_bytes())
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    at = content.index(b"tkhd") + 4 + 40
    content[at : at + 36] = struct.pack(">9i", cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    image = next(replay(path).frames()).image
    wanted = np.rot90(numbered(0), turns)
    assert image.shape == wanted.shape
    assert np.abs(image.astype(int) - wanted).mean() < 8


def test_one_picture_is_a_film(tmp_path: Path) -> None:
    assert len(list(replay(write_film(tmp_path / "a.mp4", 1)).frames())) == 1


def test_a_resolution_may_change_on_the_way(tmp_path: Path) -> None:
    small, large = write_film(tmp_path / "a.ts", 30), write_film(tmp_path / "b.ts", 30, size=(192, 128))
    path = tmp_path / "both.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    frames = list(replay(path).frames())
    assert [frame.image.shape for frame in frames] == [(64, 96, 3)] * 30 + [(128, 192, 3)] * 30
    times = [frame.pts for frame in frames]
    assert all(later > earlier for earlier, later in pairwise(times))


@pytest.mark.parametrize(("name", "options"), [("a.mp4", {"movflags": "faststart"}), ("a.mkv", {})])
def test_a_film_cut_off_gives_what_is_there_and_says_what_is_lost(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    path = write_film(tmp_path / name, options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    frames, said = damaged(replay(path))
    assert 5 < len(frames) < 85
    assert [number(frame.image) for frame in frames] == list(range(len(frames)))
    assert f"decoded {len(frames)} of about 90 frames" in said
    assert "breaks off at" in said


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.h264"])
def test_damage_inside_a_film_is_said_although_the_decoder_hides_it(tmp_path: Path, name: str) -> None:
    path = write_film(tmp_path / name, size=(320, 240))
    hurt(path, np.random.default_rng(0))
    frames, said = damaged(replay(path))
    assert len(frames) > 40
    assert "damaged" in said or "could not be decoded" in said


def test_of_a_damaged_key_frame_what_is_whole_is_shown(tmp_path: Path) -> None:
    path = write_pictures(tmp_path / "a.mp4", [noise(0)] * 36)
    with av.open(str(path)) as container:
        second = [packet for packet in container.demux(video=0) if packet.is_keyframe and packet.size][1]
        assert second.pos is not None
        place = second.pos + second.size * 7 // 10
    content = bytearray(path.read_bytes())
    content[place : place + 40] = bytes(40)
    path.write_bytes(content)
    frames, _ = damaged(replay(path))
    whole = frames[0].image[:60].astype(int)
    assert len(frames) == 36
    assert max(np.abs(frame.image[:60] - whole).mean() for frame in frames) < 20


def hurt(path: Path, rng: np.random.Generator) -> None:
    """Overwrite a stretch in the middle of the pictures."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = rng.integers(0, 256, 400, np.uint8).tobytes()
    path.write_bytes(content)


def test_a_part_before_the_damage_is_whole(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.mkv", size=(320, 240))
    hurt(path, np.random.default_rng(0))
    assert len(list(replay(path, to_s=0.5).frames())) == 15


def test_a_part_after_the_damage_is_whole(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.h264", size=(320, 240))
    hurt(path, np.random.default_rng(0))
    whole = [frame.pts_s for frame in damaged(replay(path))[0]]
    assert len(list(replay(path, from_s=whole[-12]).frames())) == 12


def test_sound_longer_than_the_picture_is_no_damage(film: Path) -> None:
    assert len(list(replay(film).frames())) == 90


def test_an_mp4_without_its_index_is_refused_with_the_likely_reason(film: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(film.read_bytes()[: film.stat().st_size // 2])
    with pytest.raises(SourceError, match="cut off before it was finished"):
        open_source(str(path))


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a"])
def test_sound_alone_is_refused(tmp_path: Path, name: str) -> None:
    path = write_sound(tmp_path / name)
    with pytest.raises(SourceError, match=f"{name}: there is no video stream"):
        open_source(str(path))


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    Pillow.new("RGB", (64, 64)).save(tmp_path / "cover.jpg")
    path = tmp_path / "a.mp3"
    with av.open(str(write_sound(tmp_path / "b.mp3"))) as sound, av.open(str(path), "w") as out:
        with av.open(str(tmp_path / "cover.jpg")) as cover:
            tracks = {0: out.add_stream_from_template(sound.streams.audio[0])}
            picture = out.add_stream_from_template(cover.streams.video[0])
            picture.disposition = av.stream.Disposition.attached_pic
            for packet in cover.demux():
                if packet.size:
                    packet.stream = picture
                    out.mux(packet)
        for packet in sound.demux():
            if packet.size:
                packet.stream = tracks[0]
                out.mux(packet)
    with av.open(str(path)) as written:
        assert written.streams.video  # FFmpeg shows the cover as a video stream
    with pytest.raises(SourceError, match="no video stream"):
        open_source(str(path))


def test_a_title_in_latin_1_is_no_obstacle(tmp_path: Path) -> None:
    path = write_film(tmp_path / "a.avi", 3, codec="mpeg4", title="cafe")
    path.write_bytes(path.read_bytes().replace(b"cafe", b"caf\xe9"))
    assert len(list(replay(path).frames())) == 3


@pytest.fixture(scope="module", params=["a.mp4", "a.mkv", "a.ts", "a.avi"])
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("small") / request.param
    return write_film(path, 8, codec="mpeg4" if path.suffix == ".avi" else "libx264").read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(st.data())
def test_damage_anywhere_is_one_of_two_errors_or_none(tmp_path: Path, small: bytes, data: st.DataObject) -> None:
    content = bytearray(small)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "film"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with suppress(SourceError, DamagedSourceError):
        frames = list(replay(path, start_time=datetime(2026, 1, 1, tzinfo=UTC)).frames())
        assert frames
        assert all(later.pts > earlier.pts for earlier, later in pairwise(frames))


@pytest.mark.parametrize("name", ["hamilton", "katie_hill_512", "man_door_360p", "no_face"])
def test_real_clips_come_whole(shared: Path, name: str) -> None:
    """Edit lists, a late first picture, MPEG-4 and H.264: none of that is damage."""
    source = replay(shared / "clips" / f"{name}.mp4")
    assert sum(1 for _ in source.frames()) == pytest.approx(source.expected_frames, rel=0.05)


def with_clock(path: Path, *offsets_s: int) -> Path:
    """A transport stream of parts of 60 pictures, 2 s each, whose clock begins at each of `offsets_s`."""
    parts = []
    for offset_s in offsets_s:
        options = {"output_ts_offset": str(offset_s)}
        parts.append(write_film(path.with_name(f"{offset_s}.ts"), 60, options=options).read_bytes())
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("offsets_s", [(50_000, 0), (0, 50_000), (100, 40), (95_442,)])
def test_a_film_is_as_long_as_its_pictures_whatever_its_clock_does(tmp_path: Path, offsets_s: tuple[int, ...]) -> None:
    """Set back, set forward, and (95,443 s) wrapped after 33 bits."""
    frames = list(replay(with_clock(tmp_path / "jump.ts", *offsets_s)).frames())
    assert [number(frame.image) for frame in frames] == [*range(60)] * len(offsets_s)
    assert [frame.pts_s for frame in frames] == pytest.approx([index / 30 for index in range(len(frames))], abs=0.05)


@pytest.mark.parametrize("offsets_s", [(50_000, 0), (0, 50_000)])
@pytest.mark.parametrize("from_s", [1.0, 3.0])
def test_a_part_is_found_on_either_side_of_a_jump(tmp_path: Path, offsets_s: tuple[int, ...], from_s: float) -> None:
    path = with_clock(tmp_path / "jump.ts", *offsets_s)
    whole = [(frame.pts, number(frame.image)) for frame in replay(path).frames() if frame.pts_s >= from_s]
    assert [(frame.pts, number(frame.image)) for frame in replay(path, from_s=from_s).frames()] == whole


def test_a_part_beyond_an_end_that_nobody_states_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nothing to play from 60 s on"):
        list(replay(write_film(tmp_path / "a.ts"), from_s=60.0).frames())


@pytest.mark.parametrize("keep", [0.6, None])
def test_an_avi_that_is_cut_off_is_read_and_said(tmp_path: Path, keep: float | None) -> None:
    """Without its index, which comes last, FFmpeg takes what is there for the whole."""
    path = write_film(tmp_path / "a.avi", 90, codec="mpeg4", size=(320, 240))
    assert len(list(replay(path).frames())) == 90
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"idx1")] if keep is None else content[: int(len(content) * keep)])
    frames, said = damaged(replay(path))
    assert len(frames) == 90 if keep is None else 0 < len(frames) < 90
    assert [number(frame.image) for frame in frames] == list(range(len(frames)))
    assert "cut off" in said


def write_two_streams(path: Path) -> Path:
    """Numbers from 0 on in 96 x 64, and beside them numbers from 100 on in 192 x 128."""
    with av.open(str(path), "w") as container:
        streams = []
        for width, height in ((96, 64), (192, 128)):
            stream = container.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            streams.append(stream)
        for index in range(30):
            for stream, first in zip(streams, (0, 100), strict=True):
                image = numbered(first + index, (stream.width, stream.height))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        for stream in streams:
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
def test_video_streams_that_nobody_looked_at_are_said(tmp_path: Path, name: str) -> None:
    path = write_two_streams(tmp_path / name)
    frames, said = damaged(replay(path))
    assert [number(frame.image) for frame in frames] == list(range(30))
    assert "only video stream 1 of 2 (96x64) was looked at, not 2 (192x128)" in said


@pytest.mark.parametrize(("chosen", "first"), [(1, 0), (2, 100)])
def test_one_of_several_video_streams_can_be_chosen(tmp_path: Path, chosen: int, first: int) -> None:
    source = open_source(str(write_two_streams(tmp_path / "a.mkv")), options=SourceOptions(stream=chosen))
    assert [number(frame.image) for frame in source.frames()] == list(range(first, first + 30))


def test_a_video_stream_that_is_not_there_cannot_be_chosen(tmp_path: Path) -> None:
    path = write_two_streams(tmp_path / "a.mkv")
    with pytest.raises(SourceError, match=r"a\.mkv: there is no video stream 3 in it, but 2"):
        open_source(str(path), options=SourceOptions(stream=3))


def write_animation(path: Path, profile: bytes = b"") -> Path:
    pictures = [Pillow.fromarray(np.full((64, 96, 3), 20 + 40 * each, np.uint8)) for each in range(5)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=200, icc_profile=profile)
    return path


@pytest.mark.parametrize("profile", [b"", bytes(range(250)) * 20], ids=["plain", "profile"])
@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.apng"])
def test_an_animation_is_played_to_its_end(tmp_path: Path, name: str, profile: bytes) -> None:
    frames = list(replay(write_animation(tmp_path / name, profile)).frames())
    gc.collect()
    assert [round((frame.image.mean() - 20) / 40) for frame in frames] == list(range(5))
    assert [frame.pts_s for frame in frames] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8], abs=0.02)


@pytest.mark.parametrize("name", ["a.webp", "a.tif"])
def test_pictures_of_a_file_that_nobody_looked_at_are_said(tmp_path: Path, name: str) -> None:
    frames, said = damaged(replay(write_animation(tmp_path / name)))
    assert len(frames) == 1
    assert f"{name}: only the first of its 5 pictures was taken" in said
