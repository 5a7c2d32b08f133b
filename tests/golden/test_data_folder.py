"""A folder that the recorded version served is served, searched, verified and exported; whoever is notified hears the
same as before."""

from __future__ import annotations

import json
import queue
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.golden.public_names import missing, rest_api
from tests.golden.running import GOLDEN, WITHIN_S, serving, settings, signed_in, unblur, until

RECORDED = GOLDEN / "data"
PASSWORD = "correct horse battery"
SECRET = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
_SAMPLE = re.compile(r"(\w+)(\{.*\})? \S+")
_ITS_OWN = re.compile(r'le="[^"]*",?|(?<=camera=")[^"]*')
"""Values of labels that are a run's own."""


@dataclass(slots=True)
class Served:
    """The folder while it is served, and what others have heard of it."""

    folder: Path
    address: str
    topics: dict[str, list[str]] = field(default_factory=dict)
    posts: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)


@pytest.fixture(scope="module")
def receiver() -> Iterator[tuple[int, list[tuple[dict[str, str], dict[str, Any]]]]]:
    """The port of a server that a webhook posts to, and what was posted."""
    posts: list[tuple[dict[str, str], dict[str, Any]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1], posts
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a Mosquitto."""
    if not MOSQUITTO:
        pytest.skip("needs mosquitto")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    config = tmp_path_factory.mktemp("broker") / "mosquitto.conf"
    config.write_text(f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n", encoding="utf-8")
    with subprocess.Popen([MOSQUITTO, "-c", str(config)], stderr=subprocess.DEVNULL) as process:

        def listens() -> bool:
            assert process.poll() is None, "mosquitto has ended"
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", port)) == 0

        until(listens)
        yield port
        process.terminate()


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
    broker: int,
    receiver: tuple[int, list[tuple[dict[str, str], dict[str, Any]]]],
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(RECORDED, folder / "data")
    config = settings(RECORDED / "config.yaml", folder, BROKER=broker, HOOK=receiver[0])
    heard: queue.Queue[tuple[str, str]] = queue.Queue()

    def hear(_client: Client, _data: object, message: MQTTMessage) -> None:
        heard.put((message.topic, message.payload.decode()))

    client = Client(CallbackAPIVersion.VERSION2, "golden")
    client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
    client.on_message = hear
    client.connect("127.0.0.1", broker)
    client.loop_start()
    with serving(config, folder / "output", SIGNING_SECRET=SECRET) as address:
        found = Served(folder / "data", address, posts=receiver[1])
        ended = 0
        while ended < 2:  # everybody whom the film shows in 4 s, but one who is still there at its end
            topic, payload = heard.get(timeout=WITHIN_S)
            found.topics.setdefault(topic, []).append(payload)
            ended += topic == "unblur/again/events" and json.loads(payload)["type"] == "end"
        yield found
    client.disconnect()
    client.loop_stop()


@pytest.fixture(scope="module")
def operator(served: Served) -> Iterator[httpx.Client]:
    """The recorded operator, signed in with the recorded password."""
    with signed_in(served.address, "ann", PASSWORD) as client:
        yield client


def test_the_store_is_exported_as_it_was() -> None:
    store = f"sqlite:///{RECORDED / 'events.sqlite'}"
    assert unblur("events", "export", store) == (RECORDED / "events.jsonl").read_text(encoding="utf-8")
    exported = unblur("events", "export", store, "--format", "csv")
    assert exported.splitlines() == (RECORDED / "events.csv").read_text(encoding="utf-8").splitlines()


def test_the_evidence_is_whole(tmp_path: Path) -> None:
    evidence, store = shutil.copytree(RECORDED / "evidence", tmp_path / "evidence"), RECORDED / "events.sqlite"
    key = next(evidence.glob("signer-*.pem"))
    unblur("events", "verify", evidence, "--log", f"sqlite:///{store}", "--key", key)


def test_a_change_of_the_evidence_is_found(tmp_path: Path) -> None:
    evidence = shutil.copytree(RECORDED / "evidence", tmp_path / "evidence")
    bundle = next(evidence.glob("*.json"))
    bundle.write_text(bundle.read_text(encoding="utf-8").replace('"track":', '"track" :'), encoding="utf-8")
    with pytest.raises(AssertionError):
        unblur("events", "verify", evidence)


def test_events_and_what_was_said_of_them_are_searched(operator: httpx.Client) -> None:
    recorded = [json.loads(line) for line in (RECORDED / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    page = operator.get("/api/v1/events", params={"camera": "demo", "limit": 100}).json()
    shown = {event["id"]: event for event in page["events"]}
    assert shown.keys() == {event["id"] for event in recorded}
    for event in recorded:
        assert missing(event, shown[event["id"]]) == []
    said = {event["feedback"]["verdict"]: event["feedback"] for event in shown.values() if event["feedback"]}
    assert said.keys() == {"right", "wrong"}
    assert (said["wrong"]["person"], said["wrong"]["who"]) == ("Barack_Obama", "ann")


def test_crops_and_people_are_shown(operator: httpx.Client) -> None:
    first = json.loads((RECORDED / "events.jsonl").read_text(encoding="utf-8").splitlines()[0])
    page = operator.get(f"/events/{first['id']}", headers={"Accept": "text/html"})
    crops = re.findall(r'src="([^"]*\.png)"', page.text)
    assert crops
    assert all(operator.get(crop).headers["Content-Type"] == "image/png" for crop in crops)
    people = operator.get("/api/v1/people").json()["people"]
    assert [each["name"] for each in people] == ["Barack_Obama", "Joe_Biden"]
    assert all(operator.get(photo["picture"]).status_code == 200 for each in people for photo in each["photos"])


def test_the_other_account_is_a_viewers(served: Served) -> None:
    with signed_in(served.address, "bob", PASSWORD) as viewer:
        assert viewer.get("/api/v1/events").status_code == 200
        assert viewer.get("/api/v1/users").status_code == 403


def test_the_audit_log_goes_on(operator: httpx.Client) -> None:
    entries = operator.get("/api/v1/audit").json()["entries"]
    assert [each["who"] for each in reversed(entries)][:3] == ["console", "console", "ann"]


def test_the_rest_api_has_all_it_had(operator: httpx.Client) -> None:
    recorded = json.loads((GOLDEN / "public" / "rest.json").read_text(encoding="utf-8"))
    assert missing(recorded, rest_api(operator.get("/api/v1/openapi.json").json())) == []


def test_the_metrics_have_their_names_and_labels(operator: httpx.Client) -> None:
    recorded = set((GOLDEN / "public" / "metrics.txt").read_text(encoding="utf-8").splitlines())

    def present() -> set[str]:
        samples = map(_SAMPLE.match, operator.get("/metrics").text.splitlines())
        return {_ITS_OWN.sub("", found[1] + (found[2] or "")) for found in samples if found}

    until(lambda: recorded <= present(), lambda: f"missing: {recorded - present()}")


def test_queued_posts_arrive(served: Served) -> None:
    recorded = [json.loads(line) for line in (RECORDED / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    until(lambda: len(served.posts) >= len(recorded))
    first = served.posts[: len(recorded)]
    assert [(headers["webhook-id"], body) for headers, body in first] == [(each["id"], each) for each in recorded]
    assert all(headers.keys() >= {"webhook-timestamp", "webhook-signature", "content-type"} for headers, _ in first)


def test_the_topics_are_those_that_were_recorded(served: Served) -> None:
    recorded = json.loads((GOLDEN / "public" / "mqtt.json").read_text(encoding="utf-8"))
    assert served.topics.keys() >= recorded.keys()
    for topic, payload in recorded.items():
        assert missing(_names(payload), _names(served.topics[topic][0])) == [], topic


def _names(payload: str) -> Any:
    """The payload; of an object that tells values of this run, only the names of its keys."""
    try:
        value = json.loads(payload)
    except ValueError:
        return payload
    if "device" in value:
        return {key: part for key, part in value.items() if key != "origin"} | {
            "device": {key: part for key, part in value["device"].items() if key != "sw_version"}
        }
    return dict.fromkeys(value)
