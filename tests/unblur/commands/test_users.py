"""`unblur users` with and without a terminal, and `unblur serve`, which requires accounts or a token for others."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import pytest

from unblur.app_database import application_database
from unblur.cli import main
from unblur.web.auth.accounts import Accounts
from unblur.web.transport.access import User

PASSWORD = "correct horse battery"
Type = Callable[[str], None]


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Type:
    """Set the content of standard input, which is no terminal."""

    def put(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8"))

    return put


def users(data: Path, *arguments: str) -> int:
    return main(["users", *arguments, "--data", str(data)])


def accounts(data: Path) -> Accounts:
    return Accounts(application_database(data))


def test_accounts_from_standard_input(tmp_path: Path, type_in: Type, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("Ann", "bob"):
        type_in(f"{PASSWORD}\r\n")
        assert users(tmp_path, "add", name) == 0
    type_in("another password")
    assert users(tmp_path, "password", "bob") == 0
    capsys.readouterr()
    assert users(tmp_path, "list") == 0
    assert capsys.readouterr().out == "ann\toperator\nbob\tviewer\n"
    made = accounts(tmp_path)
    assert made.check("ann", PASSWORD)
    assert made.check("bob", "another password")
    assert users(tmp_path, "remove", "bob") == 0
    assert made.all() == [User("ann", "operator")]


@pytest.mark.parametrize(
    ("arguments", "typed", "complaint"),
    [
        (["add", "ann"], "too short", "Passwords need 12"),
        (["add", "ann"], "", "Passwords need 12"),
        (["add", "a b"], PASSWORD, "a name has"),
        (["add", "bob", "--role", "viewer"], PASSWORD, "first account"),
        (["remove", "ann"], "", "no such account"),
        (["password", "ann"], PASSWORD, "no such account"),
    ],
)
def test_invalid_input_is_reported_in_one_line(
    tmp_path: Path, type_in: Type, capfd: pytest.CaptureFixture[str], arguments: list[str], typed: str, complaint: str
) -> None:
    type_in(typed)
    accounts(tmp_path)
    assert users(tmp_path, *arguments) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert complaint in line
    assert typed not in line or not typed
    assert not accounts(tmp_path).exist()


def at_a_terminal(data: Path, *typed: str) -> tuple[int, str]:
    """Run `unblur users add ann` in a terminal with these answers; its exit status and output."""
    command = [sys.executable, "-m", "unblur", "users", "add", "ann", "--data", str(data)]
    above, below = pty.openpty()
    process = subprocess.Popen(command, stdin=below, stdout=below, stderr=below, start_new_session=True)
    os.close(below)
    shown, answers = "", list(typed)
    with os.fdopen(above, "r+b", buffering=0) as terminal:
        while True:
            try:
                read = terminal.read(1024)
            except OSError:
                break  # Linux says so when the other end is closed
            if not read:
                break
            shown += read.decode()
            if answers and shown.endswith(": "):
                terminal.write(f"{answers.pop(0)}\n".encode())
    return process.wait(30), shown


def test_a_terminal_prompts_twice_without_echo(tmp_path: Path) -> None:
    status, shown = at_a_terminal(tmp_path, PASSWORD, PASSWORD)
    assert status == 0, shown
    assert PASSWORD not in shown
    assert accounts(tmp_path).check("ann", PASSWORD)


def test_two_different_passwords_are_refused(tmp_path: Path) -> None:
    status, shown = at_a_terminal(tmp_path, PASSWORD, PASSWORD + "x")
    assert status == 2
    assert "the passwords differ" in shown
    assert not accounts(tmp_path).exist()


def test_nothing_is_served_to_others_unguarded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--host", "0.0.0.0", "--port", "0", "--data", str(tmp_path)]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "others can reach 0.0.0.0: set web.token" in line
    assert f"unblur users add NAME --data {tmp_path}" in line
    assert not (tmp_path / "events.sqlite").exists()


def test_nothing_is_shown_to_others_unguarded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["run", "rtsp://127.0.0.1:1/x", "--output", "webrtc", "--host", "0.0.0.0", "--port", "0"]
    assert main(arguments) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "others can reach 0.0.0.0: set web.token" in line


def test_accounts_are_guard_enough_and_change_while_it_serves(tmp_path: Path, type_in: Type) -> None:
    type_in(PASSWORD)
    assert users(tmp_path, "add", "ann") == 0
    config = tmp_path / "unblur.yaml"
    config.write_text("cameras: [{name: phone, source: 'whip:'}]", encoding="utf-8")
    command = [sys.executable, "-m", "unblur", "serve", "--config", str(config), "--data", str(tmp_path)]
    command += ["--host", "0.0.0.0", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        address_line = next(line for line in process.stderr if "http://" in line)
        address = next(word for word in address_line.split() if "http:" in word).replace("0.0.0.0", "127.0.0.1")
        with httpx.Client(base_url=address, timeout=30) as client:
            assert client.get("/api/v1/cameras").status_code == 401
            assert client.post("/login", data={"name": "ann", "password": PASSWORD}).status_code == 303
            assert client.get("/api/v1/cameras").json()["cameras"][0]["name"] == "phone"
            type_in("another password")
            assert users(tmp_path, "password", "ann") == 0
            assert client.get("/api/v1/cameras").status_code == 401
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 0
    assert PASSWORD not in address_line + rest
