"""A command at a real terminal (pty(7)), and the screen that a person would see (pyte)."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Sequence

import pyte

WITHIN_S = 100.0
ROWS = 24
UNBLUR = (sys.executable, "-m", "unblur")
_STEERING = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class PseudoTerminal:
    """A command whose standard streams are one terminal, unless `stdout` is another file. Used as a context; what is
    still running when it ends is killed."""

    def __init__(
        self,
        command: Sequence[object],
        columns: int = 80,
        term: str | None = "xterm-256color",
        *,
        stdout: int | None = None,
        **environment: str,
    ) -> None:
        self._above, below = pty.openpty()
        self._resize(columns)
        environ = {key: value for key, value in os.environ.items() if key not in {"TERM", "COLUMNS", "LINES"}}
        environ |= environment | ({} if term is None else {"TERM": term})
        self.before = termios.tcgetattr(below)
        self._below = below  # kept, so that what was said last can still be read when the command has ended
        # setsid makes the terminal the command's own, so that Ctrl-C reaches it.
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *map(str, command)],
            stdin=below,
            stdout=below if stdout is None else stdout,
            stderr=below,
            env=environ,
        )
        self.raw = b""
        self._screen = pyte.Screen(columns, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> PseudoTerminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._below)  # the reader now finds the end
        self._reader.join(WITHIN_S)
        os.close(self._above)

    def resize(self, columns: int) -> None:
        """As a window is dragged: the kernel tells the command by SIGWINCH."""
        with self._changed:
            self._resize(columns)
            self._screen.resize(ROWS, columns)

    def press(self, keys: str) -> None:
        os.write(self._above, keys.encode())

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.press("\x03")

    def until(self, seen: Callable[[], bool]) -> None:
        """Wait for something on the screen, or in what was written."""
        deadline = time.monotonic() + WITHIN_S
        with self._changed:
            while not seen():
                ended = self.process.poll() is not None
                assert self._changed.wait(1.0) or not ended, f"ended with {self.process.returncode}: {self.text}"
                assert time.monotonic() < deadline, self.text

    def finish(self) -> int:
        """The exit status, once all that was written has been read."""
        status = self.process.wait(WITHIN_S)
        deadline = time.monotonic() + WITHIN_S
        while _waiting(self._above) and time.monotonic() < deadline:
            time.sleep(0.01)  # the reader is at it
        with self._changed:
            return status

    @property
    def text(self) -> str:
        """All that was written, without what steers the terminal."""
        return _STEERING.sub(b"", self.raw).decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        """What stands on the screen now."""
        with self._changed:
            return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def cursor_shown(self) -> bool:
        return not self._screen.cursor.hidden

    @property
    def in_order(self) -> bool:
        """Whether the terminal echoes and reads lines as it did before, and shows its cursor."""
        return termios.tcgetattr(self._below) == self.before and self.cursor_shown

    def _resize(self, columns: int) -> None:
        fcntl.ioctl(self._above, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))

    def _read(self) -> None:
        while True:
            try:
                read = os.read(self._above, 65536)
            except OSError:  # Linux says so when the other end is closed
                return
            with self._changed:
                self.raw += read
                self._stream.feed(read)
                self._changed.notify_all()


def _waiting(descriptor: int) -> int:
    """Bytes that were written and not yet read."""
    return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4))[0])
