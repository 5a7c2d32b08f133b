"""A real RTSP server to test against: started, stopped in its tracks, killed, started again at the same port."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from types import TracebackType

PYTHON = "/usr/bin/python3"
SCRIPT = Path(__file__).with_name("rtsp_server.py")
PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 "
    "gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-ugly"
)
_PROBE = """
import gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
assert Gst.ElementFactory.find("x264enc") and Gst.ElementFactory.find("rtph264pay")
"""


def why_not() -> str | None:
    """Why no server can be run here, None if one can."""
    try:
        probe = subprocess.run([PYTHON, "-c", _PROBE], capture_output=True, check=False)
    except OSError as error:
        return f"no RTSP server: {error}"
    return f"no RTSP server: apt-get install {PACKAGES}" if probe.returncode else None


class RtspServer:
    """The server of rtsp_server.py in a process of its own."""

    def __init__(self, *login: str, port: int = 0, film: Path | None = None) -> None:
        self._arguments = [*(("--film", str(film)) if film else ()), *login]
        self.port = port
        self.start()

    def start(self) -> None:
        """Listen; again at the same port after `kill`."""
        command = [PYTHON, str(SCRIPT), str(self.port), *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def address(self, path: str, login: str = "") -> str:
        return f"rtsp://{login}127.0.0.1:{self.port}/{path}"

    def freeze(self) -> None:
        """Keep every connection open and send nothing more."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def __enter__(self) -> RtspServer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()
