"""Whatever is done to the evidence or the log, it is found and named; and what is whole is called so."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.errors import UsageError
from stream.events.event_store import SqlEventStore
from stream.events.jsonl_log import JsonlEventLog, to_line
from stream.evidence.chain_entries import CHAIN, Bundle, Checkpoint, Removal
from stream.evidence.signing import Signer
from stream.evidence.verify_chain import ChainVerifier, VerificationReport
from stream.evidence.verify_files import FileVerifier
from stream.evidence.verify_log import LogVerifier
from stream.results import Event
from tests.stream.evidence.test_evidence_store import placed_in
from tests.stream.support.proof import forged, keep, open_folder, write

pristine = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


def examined(folder: Path, *logs: Path | str, key: Signer | None = None) -> VerificationReport:
    findings = VerificationReport()
    audit = ChainVerifier(folder, findings)
    inventory = FileVerifier(folder, audit, findings)
    audit.check_signatures({key.public.name: key.public} if key else inventory.keys)
    if logs:
        check = LogVerifier(audit, inventory, findings)
        for log in logs:
            check.log(str(log))
        check.finish()
    audit.tell()
    return findings


def names(findings: VerificationReport) -> str:
    return "\n".join(fault.name for fault in findings.faults)


def logged(path: Path, events: list[Event]) -> Path:
    log = JsonlEventLog(path)
    for event in events:
        log.write(event)
    log.close()
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, with a log: nothing is wrong."""
    folder = tmp_path_factory.mktemp("whole")
    events = [*write(folder / "evidence", range(3)), *write(folder / "evidence", range(3, 6))]
    logged(folder / "log.jsonl", events)
    store = SqlEventStore(f"sqlite:///{folder / 'log.sqlite'}")
    for event in events:
        store.write(event)
    store.close()
    return folder


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Callable[[], Path]:
    """A copy to spoil, made anew each time."""

    def make() -> Path:
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(whole, tmp_path / "copy")
        return tmp_path / "copy"

    return make


def files(folder: Path) -> list[Path]:
    return sorted((folder / "evidence").iterdir())


def test_what_is_whole_is_called_so(whole: Path) -> None:
    for log in (whole / "log.jsonl", f"sqlite:///{whole / 'log.sqlite'}"):
        findings = examined(whole / "evidence", log, key=Signer())
        assert not findings.faults
        assert not findings.notes


@pristine
@given(data=st.data())
def test_any_byte_flipped_is_found_and_named(copy: Callable[[], Path], data: st.DataObject) -> None:
    folder = copy()
    path = data.draw(st.sampled_from(files(folder)))
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    assert path.name in names(examined(folder / "evidence"))
    if path.name.startswith("signer"):
        assert path.name in names(examined(folder / "evidence", key=Signer()))


def test_every_byte_of_the_chain_counts(copy: Callable[[], Path]) -> None:
    path = copy() / "evidence" / CHAIN
    content = path.read_bytes()
    for place in range(0, len(content), 11):
        for bit in (1, 32):
            changed = bytearray(content)
            changed[place] ^= bit
            path.write_bytes(changed)
            assert CHAIN in names(examined(path.parent)), f"byte {place}, bit {bit}"


@pristine
@given(data=st.data())
def test_any_file_removed_is_found_and_named(copy: Callable[[], Path], data: st.DataObject) -> None:
    folder = copy()
    path = data.draw(st.sampled_from(files(folder)))
    path.unlink()
    assert path.name in names(examined(folder / "evidence", key=Signer()))


@pristine
@given(data=st.data())
def test_any_file_put_in_is_found_and_named(copy: Callable[[], Path], data: st.DataObject) -> None:
    folder = copy()
    name = data.draw(
        st.sampled_from(["event-9.json", "event-9.raw.png", "event-0.restored.png", "x", "x.part", "event-9.json.part"])
    )
    shutil.copy(data.draw(st.sampled_from(files(folder))), folder / "evidence" / name)
    assert name in names(examined(folder / "evidence"))


def test_what_a_crash_left_is_a_note(copy: Callable[[], Path]) -> None:
    folder = copy() / "evidence"
    for name in (CHAIN, "event-1.json"):
        (folder / f"{name}.part").write_bytes(b"torn")
    findings = examined(folder)
    assert not findings.faults
    assert [note.partition(" ")[0] for note in findings.notes] == [f"{CHAIN}.part", "event-1.json.part"]


@pytest.mark.skipif(os.name != "posix", reason="pipes in folders are POSIX's")
@pytest.mark.parametrize("kind", ["pipe", "link"])
def test_what_is_no_plain_file_is_found_and_named(kind: str, copy: Callable[[], Path]) -> None:
    """A symbolic link may lead to an intact file now, and to another one tomorrow; reading a pipe never ends."""
    for path in files(copy()):
        folder = copy()
        if kind == "pipe":
            path.unlink()
            os.mkfifo(path)
        else:
            path.symlink_to(path.rename(folder / "elsewhere"))
        faults = examined(folder / "evidence", key=Signer()).faults
        assert [fault.name for fault in faults if "no plain file" in fault.what] == [path.name]


@pytest.mark.parametrize(
    "content",
    [
        b"no json\n",
        b"[]\n",
        b"{}\n",
        b'{"event":1,"pictures":{}}\n',
        b'{"event":{},"pictures":{"../log.jsonl":""}}\n',
        b"[" * 100_000,
    ],
)
def test_a_bundle_made_up_that_is_none_is_a_fault(content: bytes, copy: Callable[[], Path]) -> None:
    folder = copy()
    path = folder / "evidence" / CHAIN
    lines = path.read_bytes().splitlines(keepends=True)[:-1]
    (folder / "evidence" / "event-5.json").write_bytes(content)
    link = placed_in(folder / "evidence")[-2].link
    path.write_bytes(b"".join([*lines[:-1], link.model_copy(update={"sha256": sha256(content).hexdigest()}).line()]))
    found = examined(folder / "evidence", folder / "log.jsonl").faults
    assert ("event-5.json", "is no bundle") in [(fault.name, fault.what) for fault in found]


@pristine
@given(data=st.data())
def test_any_two_files_swapped_and_any_file_renamed_are_found_and_named(
    copy: Callable[[], Path], data: st.DataObject
) -> None:
    folder = copy()
    one, other = data.draw(st.lists(st.sampled_from(files(folder)), min_size=2, max_size=2, unique=True))
    spare = folder / "spare"
    one.rename(spare)
    other.rename(one)
    spare.rename(other)
    found = names(examined(folder / "evidence"))
    if CHAIN in (one.name, other.name):
        assert CHAIN in found
    else:
        assert one.name in found
        assert other.name in found
    folder = copy()
    one.rename(one.with_name("event-7.json"))
    found = names(examined(folder / "evidence", key=Signer()))
    assert one.name in found
    assert "event-7.json" in found or one.name == CHAIN


@pristine
@given(data=st.data())
def test_any_line_of_the_chain_removed_doubled_or_moved_is_found(copy: Callable[[], Path], data: st.DataObject) -> None:
    path = copy() / "evidence" / CHAIN
    lines = path.read_bytes().splitlines(keepends=True)
    before = list(lines)
    line = lines.pop(data.draw(st.integers(0, len(lines) - 1)))
    for _ in range(data.draw(st.integers(0, 2))):
        lines.insert(data.draw(st.integers(0, len(lines))), line)
    path.write_bytes(b"".join(lines))
    if lines != before:
        assert CHAIN in names(examined(path.parent))


def test_a_bundle_taken_out_with_its_line_and_files_breaks_the_chain(copy: Callable[[], Path]) -> None:
    folder = copy() / "evidence"
    lines = (folder / CHAIN).read_bytes().splitlines(keepends=True)
    (folder / CHAIN).write_bytes(b"".join(line for line in lines if b"event-1" not in line))
    for path in folder.glob("event-1.*"):
        path.unlink()
    (fault,) = examined(folder).faults
    assert fault.name == f"{CHAIN} (event-2)"


def test_a_chain_made_up_anew_is_signed_by_nobody_to_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Signer()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "forger"))
    write(tmp_path / "evidence", range(2))
    assert not examined(tmp_path / "evidence").faults, "beside its own key it looks whole"
    (fault,) = examined(tmp_path / "evidence", key=mine).faults
    assert "not among those to trust" in fault.what


def test_more_links_without_a_signature_than_a_run_leaves_are_a_fault_whoever_signs_then(tmp_path: Path) -> None:
    write(tmp_path, range(65))
    forged(tmp_path)
    last = placed_in(tmp_path)[-1]
    long, end, key = examined(tmp_path, key=Signer()).faults
    assert (long.name, end.name, key.name[:6]) == (f"{CHAIN}, link 64", CHAIN, "signer")
    assert "the 64 bundles before it are not signed" in long.what
    fields = {"number": 65, "previous": last.digest, "at": "", "key": Signer().public.name, "signature": ""}
    link = Checkpoint.model_validate(fields | {"why": "broken off"})
    link = link.model_copy(update={"signature": Signer().sign(link.signed())})
    with (tmp_path / CHAIN).open("ab") as file:
        file.write(link.line())
    findings = examined(tmp_path, key=Signer())
    assert findings.faults == [long]
    assert "the 65 bundles between the last signature and this one were signed by the next start" in findings.notes[0]


def test_an_end_cut_off_is_found_by_the_signature_that_is_missing_or_by_the_log(copy: Callable[[], Path]) -> None:
    folder = copy()
    path = folder / "evidence" / CHAIN
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    for file in path.parent.glob("event-5.*"):
        file.unlink()
    (fault,) = examined(path.parent).faults
    assert "the end was cut off" in fault.what
    path.write_bytes(b"".join(lines[:4]))
    for number in (3, 4, 5):
        for file in path.parent.glob(f"event-{number}.*"):
            file.unlink()
    assert not examined(path.parent).faults, "back to a signature, the folder alone cannot tell"
    assert names(examined(path.parent, folder / "log.jsonl")).count("log.jsonl: event event-") == 3


def test_a_folder_that_is_written_is_whole_so_far(tmp_path: Path) -> None:
    evidence = open_folder(tmp_path)
    log = logged(tmp_path.with_suffix(".jsonl"), [keep(evidence, number) for number in range(3)])
    findings = examined(tmp_path, log)
    assert not findings.faults
    assert "3 bundles are not signed yet" in "".join(findings.notes)
    evidence.close()


def test_where_a_run_broke_off_the_last_event_may_be_unlogged(tmp_path: Path) -> None:
    evidence = open_folder(tmp_path / "evidence")
    events = [keep(evidence, number) for number in range(2)]
    evidence._chain.close()
    log = logged(tmp_path / "log.jsonl", events[:1])
    assert "ends without a signature" in examined(tmp_path / "evidence").faults[0].what
    for event in write(tmp_path / "evidence", range(2, 3)):
        logged(log, [event])
    findings = examined(tmp_path / "evidence", log)
    assert not findings.faults
    assert any("event event-1 is in no log" in note for note in findings.notes)
    assert any("the 2 bundles between the last signature and this one" in note for note in findings.notes)


@pristine
@given(data=st.data())
def test_any_byte_flipped_in_the_log_is_found(copy: Callable[[], Path], data: st.DataObject) -> None:
    log = copy() / "log.jsonl"
    content = bytearray(log.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    log.write_bytes(content)
    assert "event" in names(examined(log.parent / "evidence", log))


@pristine
@given(data=st.data())
def test_any_event_removed_put_in_changed_or_moved_in_the_log_is_named(
    copy: Callable[[], Path], data: st.DataObject
) -> None:
    log = copy() / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    place = data.draw(st.integers(0, 5))
    match data.draw(st.sampled_from(["remove", "double", "change", "put in", "move"])):
        case "remove":
            del lines[place]
        case "double":
            lines.insert(data.draw(st.integers(0, 5)), lines[place])
        case "change":
            lines[place] = lines[place].replace(b"Ann", b"Bob")
        case "put in":
            lines.insert(place, lines[place].replace(b"event-", b"event-9"))
        case "move":
            lines.insert((place + 3) % 6, lines.pop(place))
    log.write_bytes(b"".join(lines))
    assert "event event-" in names(examined(log.parent / "evidence", log))


def test_a_row_changed_in_the_store_is_named(copy: Callable[[], Path]) -> None:
    folder = copy()
    url = f"sqlite:///{folder / 'log.sqlite'}"
    store = SqlEventStore(url)
    assert store.rewrite_events(lambda event: {**event, "name": "Bob"} if event["id"] == "event-4" else event) == 1
    store.close()
    (fault,) = examined(folder / "evidence", url).faults
    assert (fault.name, fault.what) == (f"{url}: event event-4", "was changed (name): its bundle says otherwise")


def test_a_time_changed_that_times_are_searched_by_is_named(copy: Callable[[], Path]) -> None:
    folder = copy()
    url = f"sqlite:///{folder / 'log.sqlite'}"
    for value in ("0", "'soon'"):
        with closing(sqlite3.connect(folder / "log.sqlite")) as connection:
            connection.execute(f"UPDATE events SET wall_s = {value} WHERE id = 'event-3'")
            connection.commit()
        (fault,) = examined(folder / "evidence", url).faults
        assert (fault.name, fault.what[:20]) == (f"{url}: event event-3", "was changed (wall_s)")


@pytest.mark.parametrize(("why", "faults"), [("forgotten", ["event event-2"]), ("expired", [])])
def test_an_event_whose_bundle_is_gone_is_counted_or_a_fault_where_it_was_forgotten(
    why: Removal, faults: list[str], copy: Callable[[], Path]
) -> None:
    folder = copy()
    evidence = open_folder(folder / "evidence")
    evidence.amend(lambda event: event if event["id"] != "event-2" else None, why)
    evidence.close()
    log = folder / "log.jsonl"
    findings = examined(folder / "evidence", log)
    assert [fault.name for fault in findings.faults] == [f"{log}: {name}" for name in faults]
    assert (f"{log}: 1 events whose bundle is gone were not checked" in findings.notes) == (not faults)


def test_logs_hold_the_events_together(copy: Callable[[], Path]) -> None:
    """A recorded run begins its log anew: what an earlier one wrote is in another file."""
    folder = copy()
    log, earlier = folder / "log.jsonl", folder / "log.jsonl.previous"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[2:]))
    earlier.write_bytes(b"".join(lines[:3]))
    findings = examined(folder / "evidence", log, earlier)
    assert not findings.faults
    assert findings.notes == [
        f"{log}: 2 events of the evidence are not here, but in another log",
        f"{earlier}: 3 events of the evidence are not here, but in another log",
    ]
    assert names(examined(folder / "evidence", log)) == "event event-0\nevent event-1"


def test_what_is_no_evidence_is_bad_usage(tmp_path: Path, whole: Path) -> None:
    with pytest.raises(UsageError, match="is empty"):
        examined(tmp_path)
    with pytest.raises(UsageError, match="cannot read evidence"):
        examined(tmp_path / "none")
    with pytest.raises(UsageError, match="cannot read events"):
        examined(whole / "evidence", tmp_path / "none")


def test_names_in_the_chain_lead_nowhere_else(tmp_path: Path) -> None:
    write(tmp_path / "evidence", range(1))
    (tmp_path / "outside.json").write_text("{}", encoding="utf-8")
    link = Bundle.model_construct(number=2, previous="", event="../outside", sha256="")
    with (tmp_path / "evidence" / CHAIN).open("ab") as file:
        file.write(f"{to_line(link.model_dump())}\n".encode())
    assert "no link of a chain" in examined(tmp_path / "evidence").faults[0].what
