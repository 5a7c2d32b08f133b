"""The webhook notifier with a real web server that is down, slow or failing, and recovers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import sqlalchemy as sql

from configs.schema import Webhook as Settings
from stream.storage.database import DURABLE, connect
from tests.ending import at_end
from tests.stream.support.events import an_event
from tests.unblur.notify.support.receiver import Call, Receiver, status
from tests.unblur.notify.support.waiting import WITHIN_S, until
from unblur.notify import webhook
from unblur.notify.base import NO_HOST_NAME, DeliveryStatus
from unblur.notify.webhook import WebhookNotifier, WebhookTiming, is_wanted, sign
from unblur.notify.webhook_queue import Queue, delete_other_hooks

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
QUICK = WebhookTiming(answer_s=0.5, first_retry_s=0.01, longest_retry_s=0.02)

MakeHook = Callable[..., WebhookNotifier]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sql.Engine]:
    made = connect(f"sqlite:///{tmp_path / 'application.sqlite'}", DURABLE)
    yield made
    made.dispose()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def make_hook(engine: sql.Engine) -> Iterator[MakeHook]:
    """Makes notifiers that post to a local port, and opens them."""
    made = []

    def make(port: int, timing: WebhookTiming = QUICK, **settings: object) -> WebhookNotifier:
        url = f"http://127.0.0.1:{port}/hook?key=s3cret"
        made.append(WebhookNotifier(settings_of(**{"url": url, **settings}), engine, timing))
        made[-1].open(["lobby"])
        return made[-1]

    yield make
    for each in made:
        each.close()


def settings_of(**settings: object) -> Settings:
    return Settings.model_validate({"name": "door", "url": "http://127.0.0.1/", "secret": SECRET, **settings})


def next_call(receiver: Receiver) -> Call:
    return receiver.calls.get(timeout=WITHIN_S)


def number(call: Call) -> int:
    return int(json.loads(call.body)["frame"])


def test_the_signature_matches_the_standards_libraries() -> None:
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_event_arrives_signed_and_as_it_is_in_the_log(receiver: Receiver, make_hook: MakeHook) -> None:
    hook, event = make_hook(receiver.port), an_event(3, "名前")
    hook.write(event)
    call = next_call(receiver)
    assert call.path == "/hook?key=s3cret"
    assert json.loads(call.body) == event.to_json()
    assert call.headers["Content-Type"] == "application/json"
    assert call.headers["webhook-id"] == event.id
    assert abs(int(call.headers["webhook-timestamp"]) - time.time()) < 60
    signed = f"{event.id}.{call.headers['webhook-timestamp']}.".encode() + call.body
    expected = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
    assert call.headers["webhook-signature"] == f"v1,{expected}"
    until(lambda: hook.delivery() == DeliveryStatus("door", 1, 0, 0, None))


def test_an_offline_server_gets_all_posts_in_order_later(make_hook: MakeHook) -> None:
    down = Receiver()
    down.close()
    hook = make_hook(down.port)
    for count in range(4):
        hook.write(an_event(count))
    until(lambda: "127.0.0.1" in str(hook.delivery().problem))
    until(lambda: hook.delivery().waiting == 4)
    with Receiver(port=down.port) as up:
        assert [number(next_call(up)) for _ in range(4)] == [0, 1, 2, 3]
        until(lambda: hook.delivery() == DeliveryStatus("door", 4, 0, 0, None))


@pytest.mark.parametrize("trouble", [500, 404, 429])
def test_a_refused_post_is_retried_before_the_next(receiver: Receiver, make_hook: MakeHook, trouble: int) -> None:
    receiver.answer = status(trouble)
    hook = make_hook(receiver.port)
    hook.write(an_event(1))
    hook.write(an_event(2))
    assert [number(next_call(receiver)) for _ in range(3)] == [1, 1, 1]
    assert hook.delivery().problem == f"answered {trouble}"
    receiver.answer = status(200)
    until(lambda: hook.delivery().delivered == 2)


def test_a_slow_server_does_not_block_writing(receiver: Receiver, make_hook: MakeHook) -> None:
    slow = threading.Event()

    def idle(_: BaseHTTPRequestHandler) -> None:
        slow.wait(WITHIN_S)

    receiver.answer = idle
    hook = make_hook(receiver.port, WebhookTiming(answer_s=WITHIN_S))
    hook.write(an_event(1))
    next_call(receiver)
    assert (hook.delivery().delivered, hook.delivery().problem) == (
        0,
        None,
    )  # it was written before there was an answer
    slow.set()


def test_a_post_is_retried_after_a_timeout(receiver: Receiver, make_hook: MakeHook) -> None:
    slow = threading.Event()

    def idle(_: BaseHTTPRequestHandler) -> None:
        slow.wait(WITHIN_S)

    receiver.answer = idle
    hook = make_hook(receiver.port)
    hook.write(an_event(1))
    next_call(receiver)
    until(lambda: hook.delivery().problem == "no answer in 0.5 s")
    receiver.answer = status(200)
    until(lambda: hook.delivery().delivered == 1)
    slow.set()


def test_a_response_body_is_never_read(receiver: Receiver, make_hook: MakeHook) -> None:
    sent = []

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        try:
            while True:
                request.wfile.write(bytes(65536))
                sent.append(65536)
        except OSError:
            pass

    receiver.answer = endless
    hook = make_hook(receiver.port)
    hook.write(an_event(1))
    until(lambda: hook.delivery().delivered == 1)
    hook.close()
    assert sum(sent) < 16 << 20  # at most what the sockets buffer


def test_no_redirect_is_followed(receiver: Receiver, make_hook: MakeHook) -> None:
    with Receiver() as elsewhere:
        receiver.answer = status(307, Location=f"http://127.0.0.1:{elsewhere.port}/")
        hook = make_hook(receiver.port)
        hook.write(an_event(1))
        until(lambda: hook.delivery().problem == "answered 307")
        next_call(receiver)
        next_call(receiver)
        assert elsewhere.calls.empty()


def test_retry_after_is_respected(receiver: Receiver, make_hook: MakeHook) -> None:
    receiver.answer = status(503, Retry_After="1")
    hook = make_hook(receiver.port, WebhookTiming(first_retry_s=0.01, longest_retry_s=2.0))
    hook.write(an_event(1))
    next_call(receiver)
    began = time.monotonic()
    next_call(receiver)
    assert time.monotonic() - began > 0.9


def test_an_expired_post_is_dropped_and_counted(receiver: Receiver, make_hook: MakeHook) -> None:
    receiver.answer = status(500)
    hook = make_hook(receiver.port, WebhookTiming(first_retry_s=0.01, longest_retry_s=0.02, event_s=0.2))
    hook.write(an_event(1))
    until(lambda: hook.delivery().dropped == 1)
    receiver.answer = status(200)
    hook.write(an_event(2))
    until(lambda: hook.delivery() == DeliveryStatus("door", 1, 0, 1, None))


def test_queued_posts_survive_a_killed_process(engine: sql.Engine, make_hook: MakeHook, receiver: Receiver) -> None:
    arrived, kept = list[int](), Queue(engine, "door")

    def first_three(request: BaseHTTPRequestHandler) -> None:
        status(204 if receiver.calls.qsize() <= 3 else 503)(request)

    receiver.answer = first_three
    url = f"http://127.0.0.1:{receiver.port}/"
    command = [sys.executable, "-m", "tests.unblur.notify.support.poster", url, str(engine.url), SECRET]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    at_end(process.kill)
    assert process.stdin
    process.stdin.write(b"\n" * 9)
    process.stdin.flush()
    until(lambda: receiver.calls.qsize() > 3 and len(kept) == 7)
    process.kill()
    process.communicate()
    assert len(kept) == 7
    while not receiver.calls.empty():
        arrived.append(number(receiver.calls.get()))
    assert arrived[:4] == [0, 1, 2, 3]
    receiver.answer = status(200)
    hook = make_hook(receiver.port)
    assert [number(next_call(receiver)) for _ in range(7)] == [3, 4, 5, 6, 7, 8, 9]
    until(lambda: hook.delivery() == DeliveryStatus("door", 7, 0, 0, None))


def test_a_temporary_database_error_loses_nothing(
    tmp_path: Path, engine: sql.Engine, make_hook: MakeHook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "_DATABASE_RETRY_S", 0.02)
    hook = make_hook(receiver.port)
    with engine.begin() as connection:
        connection.execute(sql.text("ALTER TABLE webhook_posts RENAME TO elsewhere"))
    hook.write(an_event(1))
    until(lambda: "the database refuses: no such table" in str(hook._problem))
    with engine.begin() as connection:
        connection.execute(sql.text("ALTER TABLE elsewhere RENAME TO webhook_posts"))
    assert number(next_call(receiver)) == 1
    until(lambda: hook.delivery() == DeliveryStatus("door", 1, 0, 0, None))


def test_two_hooks_do_not_wait_for_each_other(receiver: Receiver, make_hook: MakeHook) -> None:
    with Receiver(status(500)) as broken:
        ill, well = make_hook(broken.port, name="ill"), make_hook(receiver.port, name="well")
        for hook in (ill, well):
            hook.write(an_event(1))
        until(lambda: well.delivery() == DeliveryStatus("well", 1, 0, 0, None))
        until(lambda: ill.delivery().problem == "answered 500")
        assert ill.delivery().waiting == 1


def test_secrets_are_never_shown(make_hook: MakeHook, receiver: Receiver, capfd: pytest.CaptureFixture[str]) -> None:
    receiver.answer = status(500)
    hook = make_hook(receiver.port)
    hook.write(an_event(1))
    until(lambda: hook.delivery().problem is not None)
    closed = Receiver()
    closed.close()
    unreached = make_hook(closed.port, name="unreached")
    unreached.write(an_event(1))
    until(lambda: unreached.delivery().problem is not None)
    output = "".join(capfd.readouterr())
    assert "a webhook did not arrive" in output
    for shown in (output, repr(hook.delivery()), repr(unreached.delivery()), repr(hook._settings)):
        assert "s3cret" not in shown
        assert SECRET not in shown


@pytest.mark.parametrize("host", ["s3cret..example", f"{'a' * 64}.example"])
def test_an_invalid_host_name_is_no_crash(engine: sql.Engine, make_hook: MakeHook, host: str) -> None:
    hook, kept = make_hook(0, url=f"http://{host}/"), Queue(engine, "door")
    hook.write(an_event(1))
    until(lambda: hook.delivery().problem == NO_HOST_NAME)
    hook.write(an_event(2))
    until(lambda: len(kept) == 2)  # it still accepts events


@pytest.mark.parametrize(
    ("settings", "numbers"),
    [
        ({}, [0, 1, 2, 3]),
        ({"who": "known"}, [0, 2, 3]),
        ({"who": "unknown"}, [1]),
        ({"people": ["Ann"]}, [0, 3]),
        ({"cameras": ["door"]}, [1, 2]),
        ({"types": ["end"]}, [3]),
        ({"who": "known", "cameras": ["lobby"], "types": ["new"]}, [0]),
        ({"who": "unknown", "people": ["Ann"]}, []),
    ],
)
def test_each_hook_gets_the_events_of_its_filter(settings: dict[str, object], numbers: list[int]) -> None:
    events = [
        an_event(0, "Ann"),
        an_event(1, None, "door"),
        an_event(2, "Bob", "door"),
        an_event(3, "Ann", type="end"),
    ]
    assert [event.frame for event in events if is_wanted(event, settings_of(**settings))] == numbers


def test_a_full_queue_drops_its_oldest_post(engine: sql.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unblur.notify.webhook_queue.CAPACITY", 3)
    queue, other = Queue(engine, "door"), Queue(engine, "other")
    other.add("kept", "", 0.0)
    assert [queue.add(str(count), "", 0.0) for count in range(5)] == [0, 0, 0, 1, 1]
    first = queue.first()
    assert first
    assert first.id == "2"
    assert (len(queue), len(other)) == (3, 1)


def test_posts_of_a_removed_hook_are_deleted(engine: sql.Engine) -> None:
    gone, kept = Queue(engine, "gone"), Queue(engine, "kept")
    gone.add("a", "", 0.0)
    kept.add("b", "", 0.0)
    delete_other_hooks(engine, ["kept"])
    assert (len(gone), len(kept)) == (0, 1)
