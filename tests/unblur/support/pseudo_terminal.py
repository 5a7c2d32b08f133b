"""A command in a real pseudo terminal (pty(7)), and its screen content (pyte)."""

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
_CONTROL_SEQUENCE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class PseudoTerminal:
    """A command whose standard streams are a terminal, except `stdout` if it is given. A context manager, which kills
    a command that is still running at its end."""

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
        self._below = below  # kept open, so that the last output can still be read after the command's end
        # setsid makes it the command's controlling terminal, so that Ctrl-C reaches it.
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
        """Resize the terminal, as by dragging a window: the kernel sends SIGWINCH to the command."""
        with self._changed:
            self._resize(columns)
            self._screen.resize(ROWS, columns)

    def press(self, keys: str) -> None:
        os.write(self._above, keys.encode())

    def interrupt(self) -> None:
        """Ctrl-C."""
        self.press("\x03")

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds` is true for the screen or the output."""
        deadline = time.monotonic() + WITHIN_S
        with self._changed:
            while not holds():
                ended = self.process.poll() is not None
                assert self._changed.wait(1.0) or not ended, f"ended with {self.process.returncode}: {self.text}"
                assert time.monotonic() < deadline, self.text

    def finish(self) -> int:
        """Wait for the end and return the exit status, after all output has been read."""
        status = self.process.wait(WITHIN_S)
        deadline = time.monotonic() + WITHIN_S
        while _unread_bytes(self._above) and time.monotonic() < deadline:
            time.sleep(0.01)  # the reader thread is reading
        with self._changed:
            return status

    @property
    def text(self) -> str:
        """All output, without control sequences."""
        return _CONTROL_SEQUENCE.sub(b"", self.raw).decode(errors="replace")

    @property
    def lines(self) -> list[str]:
        """The lines on the screen now, without empty ones."""
        with self._changed:
            return [line.rstrip() for line in self._screen.display if line.strip()]

    @property
    def is_cursor_visible(self) -> bool:
        return not self._screen.cursor.hidden

    @property
    def is_restored(self) -> bool:
        """Whether the terminal has its original settings and shows its cursor."""
        return termios.tcgetattr(self._below) == self.before and self.is_cursor_visible

    def _resize(self, columns: int) -> None:
        fcntl.ioctl(self._above, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))

    def _read(self) -> None:
        while True:
            try:
                read = os.read(self._above, 65536)
            except OSError:  # on Linux, the other end is closed
                return
            with self._changed:
                self.raw += read
                self._stream.feed(read)
                self._changed.notify_all()


def _unread_bytes(descriptor: int) -> int:
    """The number of bytes written and not yet read."""
    return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4))[0])
