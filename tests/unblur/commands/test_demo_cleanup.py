"""The demo uses its own data; demo data that earlier versions mixed with the user's is reported and removed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from configs.loader import load as load_config
from configs.schema import Config
from models.assets.fetch import fingerprint
from recognize.gallery.people_gallery import Gallery, load_gallery
from recognize.gallery.person import Person
from stream.events.event_store import SqlEventStore
from stream.events.query import query
from stream.evidence.signing import Signer
from tests.recognize.conftest import directions
from tests.stream.evidence.test_verify_chain import examined
from tests.stream.support.events import an_event
from tests.stream.support.proof import a_sighting, open_folder
from unblur.app_database import application_database
from unblur.cli import main
from unblur.commands.demo import configure_demo
from unblur.commands.demo_cleanup import warn_of_demo
from unblur.data_dir import with_data_paths
from unblur.feedback import Feedback
from unblur.people.face_thumbnails import thumbnails_folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder of an earlier version: four events of the demo's camera and four of the user's; the demo's people,
    one of them with a photo added by the user, and Ann."""
    folder = tmp_path / "data"
    (folder / "demo").mkdir(parents=True)
    evidence, store = open_folder(folder / "evidence"), SqlEventStore(f"sqlite:///{folder / 'events.sqlite'}")
    for number in range(8):
        event = replace(an_event(number, "Ann"), camera="door" if number % 2 else "demo")
        store.write(evidence.add(event, *a_sighting(number)))
    evidence.close()
    store.close()
    demo = {"Barack_Obama": Person(directions(2, 1)), "Joe_Biden": Person(directions(2, 2))}
    Gallery(fingerprint("sface"), demo).save(folder / "demo" / "people.joblib")
    mixed = {**demo, "Joe_Biden": Person(directions(3, 2)), "Ann": Person(directions(2, 3))}
    Gallery(fingerprint("sface"), mixed).save(folder / "people.joblib")
    engine = application_database(folder)
    Feedback(engine).add("event-0", "wrong", None, "operator")
    engine.dispose()
    return folder


def known(data: Path) -> dict[str, int]:
    people = load_gallery(data / "people.joblib", fingerprint("sface")).people
    return {name: len(person.photos) for name, person in people.items()}


def test_mixed_in_demo_data_is_reported_and_removed_by_one_command(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = with_data_paths(Config(), data)
    warn_of_demo(config, data, None)
    assert f"`unblur forget --demo --data {data}` removes them" in capsys.readouterr().err
    alike = set(directions(3, 2)[:2].tobytes()) == set(directions(2, 2).tobytes())
    assert main(["forget", "--demo", "--data", str(data)]) == 0
    assert "4 log entries, 4 bundles, 1 opinions" in capsys.readouterr().out
    store = f"sqlite:///{data / 'events.sqlite'}"
    assert [event["camera"] for event in query(store)] == ["door"] * 4
    assert not examined(data / "evidence", store, key=Signer()).faults
    assert main(["events", "verify", str(data / "evidence"), "--log", store]) == 0
    remaining = known(data)
    assert remaining.keys() >= {"Ann"}
    assert "Barack_Obama" not in remaining
    assert remaining.get("Joe_Biden") == (1 if alike else 3)
    warn_of_demo(config, data, None)
    assert "forget --demo" not in capsys.readouterr().err


def test_a_second_cleanup_changes_nothing(data: Path) -> None:
    assert main(["forget", "--demo", "--data", str(data)]) == 0
    before = known(data), len(list(query(f"sqlite:///{data / 'events.sqlite'}")))
    assert main(["forget", "--demo", "--data", str(data)]) == 0
    assert (known(data), len(list(query(f"sqlite:///{data / 'events.sqlite'}")))) == before


def test_a_user_camera_called_demo_is_kept(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "unblur.yaml"
    config.write_text(f"serve: {{data: {data}}}\ncameras: [{{name: demo, source: 'whip:'}}]", encoding="utf-8")
    assert main(["forget", "--demo", "--config", str(config)]) == 2
    assert "a camera of yours is called demo" in capsys.readouterr().err
    warn_of_demo(with_data_paths(load_config(config, {}), data), data, config)
    assert capsys.readouterr().err == ""


def test_the_demo_uses_none_of_the_users_data(tmp_path: Path) -> None:
    own = load_config(None, {
        "output": {"store": f"sqlite:///{tmp_path}/o.sqlite", "evidence": tmp_path / "case", "events": tmp_path / "e"},
        "recognition": {"gallery": tmp_path / "own.joblib"},
        "notify": {"mqtt": {"host": "127.0.0.1"}},
        "cameras": [{"source": "rtsp://127.0.0.1/1"}],
    })  # fmt: skip
    folder = tmp_path / "demo"
    thumbnails_folder(folder / "people.joblib").mkdir(parents=True)
    for name in ("people.joblib", "camera.mp4"):
        (folder / name).touch()
    shown = with_data_paths(configure_demo(own, folder), folder)
    assert [camera.name for camera in shown.cameras] == ["demo"]
    assert shown.output.store == f"sqlite:///{folder / 'events.sqlite'}"
    assert (shown.output.evidence, shown.output.events) == (folder / "evidence", None)
    assert shown.recognition.gallery == folder / "people.joblib"
    assert shown.notify.mqtt is None
