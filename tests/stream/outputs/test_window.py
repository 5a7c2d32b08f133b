import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A real X server without a screen."""
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (Debian: xvfb, xdotool)")
    ours, theirs = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(theirs), "-screen", "0", "1280x800x24"],
        pass_fds=[theirs],
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    with os.fdopen(ours) as answer:
        number = answer.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait()


@contextmanager
def showing(display: str, *cameras: str) -> Iterator[subprocess.Popen[str]]:
    """A process that shows these cameras, once its windows are up."""
    environment = {**os.environ, "DISPLAY": display}
    command = [sys.executable, "-m", "tests.stream.support.showing", *cameras]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "shown\n"
        yield process
        process.kill()


def xdotool(display: str, *arguments: str) -> list[str]:
    environment = {**os.environ, "DISPLAY": display}
    done = subprocess.run(["xdotool", *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("key", ["q", "Escape"])
def test_a_key_ends_the_show(display: str, key: str) -> None:
    with showing(display, "lobby") as process:
        (window,) = xdotool(display, "search", "--name", "^lobby$")
        xdotool(display, "key", "--window", window, key)
        said, complained = process.communicate(timeout=20)
    assert (process.returncode, said, complained) == (0, "closed\n", "")


def test_every_camera_has_a_window_and_closing_one_ends_the_show(display: str) -> None:
    with showing(display, "lobby", "ёлка") as process:
        (yard,) = xdotool(display, "search", "--name", "^ёлка$")
        assert xdotool(display, "search", "--name", "^lobby$") != [yard]
        close_like_a_window_manager(display, int(yard))
        said, complained = process.communicate(timeout=20)
    assert (process.returncode, said, complained) == (0, "closed\n", "")


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({}, "neither DISPLAY nor WAYLAND_DISPLAY is set"),
        ({"DISPLAY": ":9999"}, "DISPLAY ':9999' does not answer"),
        ({"WAYLAND_DISPLAY": "nowhere"}, "does not answer"),
    ],
)
def test_without_a_desktop_it_says_what_to_do(environment: dict[str, str], reason: str) -> None:
    bare = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [sys.executable, "-m", "tests.stream.support.showing", "lobby"]
    done = subprocess.run(command, cwd=ROOT, env=bare | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "use --output FILE.mp4" in done.stderr
    assert len(done.stderr.splitlines()) == 1


class _ClientMessage(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("room", ctypes.c_long * 24),
    )


def close_like_a_window_manager(display: str, window: int) -> None:
    """Send WM_DELETE_WINDOW (ICCCM 4.2.8.1), as the cross in the corner of a window does."""
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int)
    x11.XInternAtom.restype = ctypes.c_ulong
    x11.XSendEvent.argtypes = (ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_long, ctypes.c_void_p)
    x11.XCloseDisplay.argtypes = (ctypes.c_void_p,)
    connection = x11.XOpenDisplay(display.encode())
    protocols = x11.XInternAtom(connection, b"WM_PROTOCOLS", 0)
    delete = x11.XInternAtom(connection, b"WM_DELETE_WINDOW", 0)
    client_message = 33
    message = _ClientMessage(type=client_message, window=window, message_type=protocols, format=32)
    message.data[0] = delete
    x11.XSendEvent(connection, window, 0, 0, ctypes.byref(message))
    x11.XCloseDisplay(connection)
