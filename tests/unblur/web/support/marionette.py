"""Firefox by its own remote protocol, Marionette: messages of JSON, each behind its length."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
STARTS_WITHIN_S = 120.0


class Firefox:
    """A browser with one page, without a window; its profile lies in `folder`."""

    def __init__(self, folder: Path) -> None:
        assert FIREFOX
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        (folder / "user.js").write_text(f'user_pref("marionette.port", {port});\n', encoding="utf-8")
        command = [FIREFOX, "--headless", "--no-remote", "--marionette", "--profile", str(folder)]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, env={**os.environ, "HOME": str(folder)}, stdout=quiet, stderr=quiet)
        self._connection, self._held, self._asked = _connected(port), b"", 0
        self._receive()  # its greeting
        self._ask("WebDriver:NewSession", capabilities={})

    def open(self, address: str) -> None:
        self._ask("WebDriver:Navigate", url=address)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        return self._ask("WebDriver:ExecuteScript", script=f"return {expression}", args=[])["value"]

    def __enter__(self) -> Firefox:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.wait(30)

    def _ask(self, command: str, **parameters: object) -> Any:
        self._asked += 1
        message = json.dumps([0, self._asked, command, parameters]).encode()
        self._connection.sendall(b"%d:%s" % (len(message), message))
        _, _, error, value = self._receive()
        assert error is None, error
        return value

    def _receive(self) -> Any:
        while b":" not in self._held:
            self._held += self._more()
        length, _, rest = self._held.partition(b":")
        while len(rest) < int(length):
            rest += self._more()
        message, self._held = rest[: int(length)], rest[int(length) :]
        return json.loads(message)

    def _more(self) -> bytes:
        received = self._connection.recv(65536)
        assert received, "Firefox went away"
        return received


def _connected(port: int) -> socket.socket:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), STARTS_WITHIN_S)
        except OSError:
            assert time.monotonic() < deadline, "Firefox did not start"
            time.sleep(0.1)  # between looks
