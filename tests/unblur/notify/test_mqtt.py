"""The MQTT notifier with a real Mosquitto that is stopped and started again."""

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
from unblur.notify.mqtt import MqttNotifier

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")
CAMERA = "front door/#1"
EVENTS, PRESENCE = "unblur/front%20door%2F%231/events", "unblur/front%20door%2F%231/presence"

MakeMqtt = Callable[..., MqttNotifier]


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
def make_mqtt(request: pytest.FixtureRequest) -> Iterator[MakeMqtt]:
    """Makes notifiers of the broker, or of the one on the given port."""
    made = []

    def make(**settings: object) -> MqttNotifier:
        if "port" not in settings and "host" not in settings:
            settings["port"] = request.getfixturevalue("broker").port
        made.append(MqttNotifier(Settings.model_validate({"host": "127.0.0.1", **settings})))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_events_are_published_as_in_the_log_and_followed_by_presence(make_mqtt: MakeMqtt, listener: Listener) -> None:
    notifier = make_mqtt()
    notifier.open([CAMERA])
    assert json.loads(listener.until(PRESENCE)) == {"present": [], "last": None}
    listener.until("unblur/available", "online")
    events = [an_event(1, "Ann Lee", CAMERA), an_event(2, None, CAMERA), an_event(1, "Ann Lee", CAMERA, "end")]
    present = []
    for event in events:
        notifier.write(event)
        assert json.loads(listener.until(EVENTS)) == event.to_json()
        present.append(json.loads(listener.until(PRESENCE))["present"])
    assert present == [["Ann Lee"], ["Ann Lee", None], [None]]
    assert notifier.delivery() == DeliveryStatus("mqtt", 3, 0, 0, None)


def test_a_later_subscriber_gets_the_retained_messages(make_mqtt: MakeMqtt, listener: Listener, broker: Broker) -> None:
    notifier = make_mqtt()
    notifier.open([CAMERA])
    notifier.write(an_event(1, None, CAMERA, wall_time=datetime(2026, 1, 31, tzinfo=UTC)))
    listener.until(EVENTS)
    listener.until(PRESENCE)
    late = Listener(broker.port)
    retained = dict(late.messages.get(timeout=20) for _ in range(3))
    late.close()
    assert retained["unblur/available"] == "online"
    assert json.loads(retained[PRESENCE])["last"] == {"name": None, "wall_time": "2026-01-31T00:00:00+00:00"}
    (found,) = (topic for topic in retained if topic.startswith("homeassistant/"))
    assert json.loads(retained[found])["device"]["name"] == CAMERA


def test_the_last_event_and_offline_are_published_at_the_end(make_mqtt: MakeMqtt, listener: Listener) -> None:
    notifier = make_mqtt(discovery=None, prefix="house/cameras")
    notifier.open(["lobby"])
    listener.until("house/cameras/available", "online")
    notifier.write(an_event(1, type="end"))
    notifier.close()
    assert json.loads(listener.until("house/cameras/lobby/events"))["type"] == "end"
    listener.until("house/cameras/available", "offline")


def test_the_broker_publishes_offline_when_the_process_is_killed(listener: Listener, broker: Broker) -> None:
    process = subprocess.Popen([sys.executable, "-m", "tests.unblur.notify.support.mqtt_process", str(broker.port)])
    at_end(process.kill)
    listener.until("unblur/available", "online")
    process.kill()
    process.wait()
    listener.until("unblur/available", "offline")


def test_events_wait_for_a_broker_that_is_down(
    make_mqtt: MakeMqtt, broker: Broker, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "_LONGEST_RETRY_S", 0.2)
    notifier = make_mqtt()
    notifier.open(["lobby"])
    listener.until("unblur/available", "online")
    broker.stop()
    until(lambda: notifier.delivery().problem is not None)
    for number in range(5):
        notifier.write(an_event(number))
    broker.start()
    listener.until("unblur/available", "online")
    numbers = [json.loads(listener.until("unblur/lobby/events"))["frame"] for _ in range(5)]
    assert numbers == [0, 1, 2, 3, 4]
    until(lambda: notifier.delivery() == DeliveryStatus("mqtt", 5, 0, 0, None))


def test_a_full_queue_drops_the_oldest_events_and_counts_them(make_mqtt: MakeMqtt, listener: Listener) -> None:
    notifier = make_mqtt()
    for number in range(dispatcher.CAPACITY + 7):
        notifier.write(an_event(number))
    assert notifier.delivery().waiting == dispatcher.CAPACITY
    assert notifier.delivery().dropped == 7
    notifier.open(["lobby"])
    assert json.loads(listener.until("unblur/lobby/events"))["frame"] == 7


def test_a_wrong_password_is_reported_and_never_printed(
    make_mqtt: MakeMqtt, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "passwords").write_text("", encoding="utf-8")
    broker = Broker(tmp_path, "allow_anonymous false", f"password_file {tmp_path / 'passwords'}")
    notifier = make_mqtt(port=broker.port, username="unblur", password="s3cret-password")
    notifier.open(["lobby"])
    until(lambda: "uthori" in str(notifier.delivery().problem))
    notifier.close()
    output = capfd.readouterr()
    assert "no connection to the MQTT broker" in output.out + output.err
    assert "s3cret" not in output.out + output.err + str(notifier.delivery()) + repr(notifier._settings)


def test_a_login_over_tls(make_mqtt: MakeMqtt, tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    encrypted = [f"certfile {certificate}", f"keyfile {key}", "allow_anonymous true"]
    broker = Broker(tmp_path, *encrypted)
    settings = {"port": broker.port, "tls": True, "ca": certificate}
    trusted, doubtful = make_mqtt(**settings), make_mqtt(**settings | {"ca": None})
    for notifier in (trusted, doubtful):
        notifier.write(an_event(1))
        notifier.open(["lobby"])
    until(lambda: trusted.delivery().delivered == 1)
    until(lambda: "certificate" in str(doubtful.delivery().problem))


def test_unreadable_certificates_are_reported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read certificates from .*none\.pem \(notify\.mqtt\.ca\)"):
        MqttNotifier(Settings(host="127.0.0.1", tls=True, ca=tmp_path / "none.pem"))


def test_a_missing_broker_blocks_nothing(make_mqtt: MakeMqtt) -> None:
    notifier = make_mqtt(port=1)
    notifier.open(["lobby"])
    notifier.write(an_event(1))
    until(lambda: "refused" in str(notifier.delivery().problem))
    notifier.close()
    assert notifier.delivery().waiting == 1


def test_an_invalid_host_name_is_no_crash(make_mqtt: MakeMqtt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "_FIRST_RETRY_S", 0.02)
    notifier = make_mqtt(host="no..name")
    with capture_logs() as entries:
        notifier.open(["lobby"])
        until(lambda: len(entries) > 2)
    assert notifier.delivery().problem == NO_HOST_NAME


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate for 127.0.0.1 and its key."""
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
