"""Against a real Mosquitto, which goes and comes back."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from configs.schema import Mqtt as Settings
from stream.errors import UsageError
from tests.ending import at_end
from tests.stream.support.events import an_event
from tests.unblur.notify.support.broker import MOSQUITTO, Broker, Listener
from tests.unblur.notify.support.waiting import until
from unblur.notify import dispatcher, mqtt
from unblur.notify.base import NO_HOST_NAME, DeliveryStatus
from unblur.notify.mqtt import Mqtt

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="there is no mosquitto here")
CAMERA = "front door/#1"
EVENTS, PRESENCE = "unblur/front%20door%2F%231/events", "unblur/front%20door%2F%231/presence"

Telling = Callable[..., Mqtt]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def listener(broker: Broker) -> Iterator[Listener]:
    listening = Listener(broker.port)
    yield listening
    listening.close()


@pytest.fixture
def telling(request: pytest.FixtureRequest) -> Iterator[Telling]:
    """Makes one that tells the broker, or the one on the given port."""
    made = []

    def make(**settings: object) -> Mqtt:
        if "port" not in settings and "host" not in settings:
            settings["port"] = request.getfixturevalue("broker").port
        told = Settings.model_validate({"host": "127.0.0.1", **settings})
        made.append(Mqtt(told))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_events_come_as_they_are_in_the_log_and_presence_follows(telling: Telling, listener: Listener) -> None:
    told = telling()
    told.open([CAMERA])
    assert json.loads(listener.until(PRESENCE)) == {"present": [], "last": None}
    listener.until("unblur/available", "online")
    events = [an_event(1, "Ann Lee", CAMERA), an_event(2, None, CAMERA), an_event(1, "Ann Lee", CAMERA, "end")]
    here = []
    for event in events:
        told.write(event)
        assert json.loads(listener.until(EVENTS)) == event.to_json()
        here.append(json.loads(listener.until(PRESENCE))["present"])
    assert here == [["Ann Lee"], ["Ann Lee", None], [None]]
    assert told.delivery() == DeliveryStatus("mqtt", 3, 0, 0, None)


def test_what_is_retained_awaits_who_comes_later(telling: Telling, listener: Listener, broker: Broker) -> None:
    told = telling()
    told.open([CAMERA])
    told.write(an_event(1, None, CAMERA, wall_time=datetime(2026, 1, 31, tzinfo=UTC)))
    listener.until(EVENTS)
    listener.until(PRESENCE)
    late = Listener(broker.port)
    heard = dict(late.heard.get(timeout=20) for _ in range(3))
    late.close()
    assert heard["unblur/available"] == "online"
    assert json.loads(heard[PRESENCE])["last"] == {"name": None, "wall_time": "2026-01-31T00:00:00+00:00"}
    (found,) = (topic for topic in heard if topic.startswith("homeassistant/"))
    assert json.loads(heard[found])["device"]["name"] == CAMERA


def test_the_end_is_told(telling: Telling, listener: Listener) -> None:
    told = telling(discovery=None, prefix="house/cameras")
    told.open(["lobby"])
    listener.until("house/cameras/available", "online")
    told.write(an_event(1, type="end"))
    told.close()
    assert json.loads(listener.until("house/cameras/lobby/events"))["type"] == "end"
    listener.until("house/cameras/available", "offline")


def test_the_broker_tells_when_the_program_is_killed(listener: Listener, broker: Broker) -> None:
    process = subprocess.Popen([sys.executable, "-m", "tests.unblur.notify.support.teller", str(broker.port)])
    at_end(process.kill)
    listener.until("unblur/available", "online")
    process.kill()
    process.wait()
    listener.until("unblur/available", "offline")


def test_events_wait_for_a_broker_that_is_down(
    telling: Telling, broker: Broker, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "_LONGEST_RETRY_S", 0.2)
    told = telling()
    told.open(["lobby"])
    listener.until("unblur/available", "online")
    broker.stop()
    until(lambda: told.delivery().problem is not None)
    for number in range(5):
        told.write(an_event(number))
    broker.start()
    listener.until("unblur/available", "online")
    numbers = [json.loads(listener.until("unblur/lobby/events"))["frame"] for _ in range(5)]
    assert numbers == [0, 1, 2, 3, 4]
    until(lambda: told.delivery() == DeliveryStatus("mqtt", 5, 0, 0, None))


def test_what_is_too_much_is_lost_oldest_first_and_counted(telling: Telling, listener: Listener) -> None:
    told = telling()
    for number in range(dispatcher.CAPACITY + 7):
        told.write(an_event(number))
    assert told.delivery().waiting == dispatcher.CAPACITY
    assert told.delivery().dropped == 7
    told.open(["lobby"])
    assert json.loads(listener.until("unblur/lobby/events"))["frame"] == 7


def test_a_wrong_password_is_told_and_never_shown(
    telling: Telling, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "passwords").write_text("", encoding="utf-8")
    broker = Broker(tmp_path, "allow_anonymous false", f"password_file {tmp_path / 'passwords'}")
    told = telling(port=broker.port, username="unblur", password="s3cret-password")
    told.open(["lobby"])
    until(lambda: "uthori" in str(told.delivery().problem))
    told.close()
    said = capfd.readouterr()
    assert "no connection to the MQTT broker" in said.out + said.err
    assert "s3cret" not in said.out + said.err + str(told.delivery()) + repr(told._settings)


def test_a_login_over_tls(telling: Telling, tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    encrypted = [f"certfile {certificate}", f"keyfile {key}", "allow_anonymous true"]
    broker = Broker(tmp_path, *encrypted)
    settings = {"port": broker.port, "tls": True, "ca": certificate}
    trusted, doubtful = telling(**settings), telling(**settings | {"ca": None})
    for told in (trusted, doubtful):
        told.write(an_event(1))
        told.open(["lobby"])
    until(lambda: trusted.delivery().delivered == 1)
    until(lambda: "certificate" in str(doubtful.delivery().problem))


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read certificates from .*none\.pem \(notify\.mqtt\.ca\)"):
        Mqtt(Settings(host="127.0.0.1", tls=True, ca=tmp_path / "none.pem"))


def test_a_broker_that_is_not_there_holds_nothing_up(telling: Telling) -> None:
    told = telling(port=1)
    told.open(["lobby"])
    told.write(an_event(1))
    until(lambda: "refused" in str(told.delivery().problem))
    told.close()
    assert told.delivery().waiting == 1


def test_a_host_that_cannot_be_looked_up_ends_nothing(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "_FIRST_RETRY_S", 0.02)
    told = telling(host="no..name")
    with capture_logs() as said:
        told.open(["lobby"])
        until(lambda: len(said) > 2)
    assert told.delivery().problem == NO_HOST_NAME


def _certificate(folder: Path) -> tuple[Path, Path]:
    """For 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a broker")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "broker.pem", folder / "broker.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private
