"""The annotated picture in a window of the desktop."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2

from stream.errors import OutputError
from stream.values import Frame, Image

_ESCAPE = 27
_PROBE_TIMEOUT_S = 20
_ADVICE = "use --output FILE.mp4 or --output none, or start it on a desktop"


class Window:
    """One window for each camera. `q`, Escape or closing any of them ends the show: `closed` becomes true.

    Create, show and close it on one thread; the desktop's libraries know no other. Raises OutputError where there is
    no desktop: OpenCV 5 would abort the whole process there, so that a small process of its own tries first.
    """

    def __init__(self, typefaces: Path) -> None:
        """`typefaces` is a folder with a font for the window's own texts."""
        _require_desktop()
        os.environ["QT_QPA_FONTDIR"] = str(typefaces)  # OpenCV names a folder that its wheel does not have
        self._cameras: set[str] = set()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the user has closed it. Later frames are not shown."""
        return self._closed

    def show(self, frame: Frame, image: Image) -> None:
        """Show the image, and process keyboard and mouse events."""
        if self._closed:
            return
        self._open(frame.camera, image)
        cv2.imshow(frame.camera, image)
        self.poll()

    def poll(self) -> None:
        """Process keyboard and mouse events; to be called regularly while no frame arrives."""
        if self._cameras and not self._closed:
            asked = cv2.waitKey(1) & 0xFF in (ord("q"), _ESCAPE)
            self._closed = asked or any(cv2.getWindowProperty(name, cv2.WND_PROP_VISIBLE) < 1 for name in self._cameras)

    def close(self) -> None:
        """Close the windows."""
        self._closed = True
        if self._cameras:
            cv2.destroyAllWindows()
            self._cameras.clear()

    def _open(self, camera: str, image: Image) -> None:
        if camera not in self._cameras:
            cv2.namedWindow(camera, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
            cv2.resizeWindow(camera, image.shape[1], image.shape[0])
            self._cameras.add(camera)


def _require_desktop() -> None:
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise OutputError(f"no window can be shown: neither DISPLAY nor WAYLAND_DISPLAY is set; {_ADVICE}")
    if not _a_window_opens():
        raise OutputError(
            f"no window can be shown: DISPLAY {os.environ.get('DISPLAY', '')!r} does not answer; {_ADVICE}"
        )


def _a_window_opens() -> bool:
    probe = [sys.executable, "-c", "import cv2; cv2.namedWindow('unblur'); cv2.destroyAllWindows()"]
    try:
        return subprocess.run(probe, capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False
