import json
import random
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.errors import OutputError, StorageError
from stream.events.erasure import without
from stream.events.jsonl_log import JsonlEventLog, set_aside
from stream.events.query import query
from tests.stream.support.events import an_event

ROOT = Path(__file__).parents[3]


def write(path: Path, numbers: range, fresh: bool = False) -> None:
    log = JsonlEventLog(path, fresh)
    for number in numbers:
        log.write(an_event(number))
    log.close()


def ids(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_bytes().split(b"\n")[:-1]]


def kill_while_writing(where: str, announcements: int) -> list[str]:
    """Start a real writer, kill it with SIGKILL after so many announcements, and give all that it announced."""
    command = [sys.executable, "-m", "tests.stream.support.writer", where]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        announced = [writer.stdout.readline().strip() for _ in range(announcements)]
        writer.kill()
        return announced + writer.stdout.read().split()


def test_a_line_is_the_event_as_compact_json_in_utf8(tmp_path: Path) -> None:
    log = JsonlEventLog(tmp_path / "e.jsonl")
    log.write(an_event(3, name="山田", wall_time=datetime(2026, 11, 22, 10, tzinfo=UTC)))
    assert (tmp_path / "e.jsonl").read_text("utf-8") == (
        '{"schema":1,"id":"event-3","type":"new","camera":"lobby","track":3,"name":"山田","score":0.63,"threshold":0.42,'
        '"runner_up":{"name":"Łukasz","score":0.31},"raw_score":-0.4,"restored_score":null,'
        '"deblurred_by":"richardson-lucy","blur":3.21,"pts_s":0.12,"frame":3,"wall_time":"2026-11-22T10:00:00.000Z",'
        '"box":[10,20,64,64],"first_pts_s":0.12,"evidence":null}\n'
    )
    log.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(name=st.text(st.characters(), min_size=1), camera=st.text(st.characters(), min_size=1))
def test_any_name_comes_back_from_one_line(tmp_path: Path, name: str, camera: str) -> None:
    path = tmp_path / "e.jsonl"
    path.unlink(missing_ok=True)
    log = JsonlEventLog(path)
    log.write(an_event(0, name, camera))
    log.close()
    (line,) = path.read_bytes().removesuffix(b"\n").split(b"\n")
    record = json.loads(line.decode("utf-8"))
    assert (record["name"], record["camera"]) == (name, camera)


def test_a_live_run_carries_on_and_a_recorded_run_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    write(path, range(2))
    write(path, range(2, 4))
    assert ids(path) == ["event-0", "event-1", "event-2", "event-3"]
    write(path, range(7, 9), fresh=True)
    assert ids(path) == ["event-7", "event-8"]
    assert ids(tmp_path / "e.jsonl.previous") == ["event-0", "event-1", "event-2", "event-3"]
    before = path.read_bytes()
    write(path, range(7, 9), fresh=True)
    assert path.read_bytes() == before


def test_replays_lose_no_earlier_log_and_keep_each_once(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    write(path, range(2))
    for numbers in (range(7, 9), range(7, 9), range(7, 9), range(5), range(7, 9), range(7, 9)):
        write(path, numbers, fresh=True)
    kept = ["e.jsonl", "e.jsonl.previous", "e.jsonl.previous.2", "e.jsonl.previous.3"]
    assert sorted(file.name for file in tmp_path.iterdir()) == kept
    assert [len(ids(tmp_path / name)) for name in kept] == [2, 2, 2, 5]
    assert ids(tmp_path / "e.jsonl.previous") == ["event-0", "event-1"], "the live camera's"


def test_what_a_crash_left_of_a_rewriting_is_no_earlier_log_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    for numbers in (range(2), range(3)):
        write(path, numbers, fresh=True)
    left = [tmp_path / "e.jsonl.part", tmp_path / "e.jsonl.previous.part"]
    for part in left:
        part.write_bytes(path.read_bytes())
    assert set_aside(path) == [tmp_path / "e.jsonl.previous"]
    for log in (path, *set_aside(path)):
        JsonlEventLog(log).close()
    assert not any(part.exists() for part in left)


def test_a_run_that_never_began_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    JsonlEventLog(path, fresh=True).discard_if_empty()
    assert not list(tmp_path.iterdir())
    write(path, range(2))
    for fresh in (False, True):
        JsonlEventLog(path, fresh).discard_if_empty()
        assert [file.name for file in tmp_path.iterdir()] == ["e.jsonl"]
        assert ids(path) == ["event-0", "event-1"]


@pytest.mark.parametrize("torn", [b"{", b'{"schema":1,"id":"event-9","na', b"\x00" * 4096])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "e.jsonl"
    write(path, range(2))
    with path.open("ab") as file:
        file.write(torn)
    write(path, range(2, 3))
    assert ids(path) == ["event-0", "event-1", "event-2"]


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_loses_nothing_that_was_announced(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "e.jsonl"
    announced = kill_while_writing(str(path), random.Random(seed).randint(1, 300))
    write(path, range(1_000_000, 1_000_001))
    logged = ids(path)
    assert logged[: len(announced)] == announced
    assert len(logged) <= len(announced) + 2  # one written and not yet announced, and our own
    assert logged[-1] == "event-1000000"


def test_no_event_goes_into_a_file_that_another_run_takes_away(tmp_path: Path) -> None:
    """One run keeps giving up, and takes its empty file with it, while another keeps opening the same name."""
    path = tmp_path / "e.jsonl"
    done = threading.Event()

    def give_up() -> None:
        while not done.is_set():
            with suppress(OutputError):
                JsonlEventLog(path).discard_if_empty()

    other = threading.Thread(target=give_up)
    other.start()
    try:
        written = 0
        while written < 100:
            with suppress(OutputError):
                write(path, range(written, written + 1))
                assert ids(path) == [f"event-{written}"]
                path.unlink()
                written += 1
    finally:
        done.set()
        other.join()


@contextmanager
def no_room() -> Iterator[None]:
    """A process whose files may hold 1000 bytes: what a full disk does, without needing to be root. Around the writing
    alone, for what pytest prints may go into a file, too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_clear_error_and_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    log = JsonlEventLog(path)
    with no_room():
        log.write(an_event(0))
        log.write(an_event(1))
        for _ in range(2):
            with pytest.raises(StorageError, match=r"cannot log to .*e.jsonl"):
                log.write(an_event(2))
    log.close()
    assert ids(path) == ["event-0", "event-1"]


def test_two_writers_are_one_too_many(tmp_path: Path) -> None:
    first = JsonlEventLog(tmp_path / "e.jsonl")
    assert [file.name for file in tmp_path.iterdir()] == ["e.jsonl"], "nothing else beside it"
    with pytest.raises(OutputError, match="another unblur"):
        JsonlEventLog(tmp_path / "e.jsonl", fresh=True)
    first.write(an_event(0))
    first.close()
    write(tmp_path / "e.jsonl", range(1, 2))
    assert ids(tmp_path / "e.jsonl") == ["event-0", "event-1"]


def a_video(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"\x00\x00\x00\x1cftypisom")
    return path


def under_a_file(tmp_path: Path) -> Path:
    return a_video(tmp_path) / "e.jsonl"


def a_folder(tmp_path: Path) -> Path:
    return tmp_path


def in_no_folder(tmp_path: Path) -> Path:
    return tmp_path / "none" / "e.jsonl"


@pytest.mark.parametrize("place", [a_video, under_a_file, a_folder, in_no_folder])
def test_a_place_where_no_log_can_be_is_refused_untouched(tmp_path: Path, place: Any) -> None:
    path = place(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutputError, match="cannot log to") as refusal:
        JsonlEventLog(path, fresh=True)
    assert "\n" not in str(refusal.value)
    assert sorted(tmp_path.iterdir()) == before or path == a_video(tmp_path)
    assert a_video(tmp_path).read_bytes().startswith(b"\x00\x00\x00\x1cftyp")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows renames no file that is open")
@pytest.mark.parametrize("created", [True, False])
def test_a_log_that_was_rotated_goes_on_in_the_new_file(tmp_path: Path, created: bool) -> None:
    """As logrotate does it, with `create` and without, and with `copytruncate`."""
    path = tmp_path / "e.jsonl"
    with closing(JsonlEventLog(path)) as log:
        log.write(an_event(0))
        path.rename(tmp_path / "e.jsonl.1")
        if created:
            path.touch()
        log.write(an_event(1))
        path.write_bytes(b"")
        log.write(an_event(2))
        log.write(an_event(3))
        path.unlink()
        log.write(an_event(4))
        assert log.rewrite_events(without({"event-4"})) == 1
        log.write(an_event(5))
    assert [event["id"] for event in query(str(tmp_path / "e.jsonl.1"))] == ["event-0"]
    assert [event["id"] for event in query(str(path))] == ["event-5"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows renames no file that is open")
def test_what_is_put_in_place_of_a_log_is_not_spoilt(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    with closing(JsonlEventLog(path)) as log:
        log.write(an_event(0))
        (tmp_path / "letter.txt").write_text("Dear all,\n")
        (tmp_path / "letter.txt").rename(path)
        with pytest.raises(OutputError, match="it holds something else"):
            log.write(an_event(1))
    assert path.read_text() == "Dear all,\n"
