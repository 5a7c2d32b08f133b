"""An unexpected exception, wherever it is raised: one line with a file to send, status 1, and no traceback."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.unblur.support.pseudo_terminal import PseudoTerminal
from unblur import crash_reports
from unblur.web.photos.image_decoder import Decoder

FILE = re.compile(r"send the file (\S+)")
SECRET = "rtsp://viewer:s3cret@camera/1"
RAISED = f'raise KeyError("{SECRET}")'
PLACES = {
    "main thread": RAISED,
    "thread": f"""
        import threading
        def work(): {RAISED}
        thread = threading.Thread(target=work); thread.start(); thread.join()""",
    "finalizer": f"""
        class Thing:
            def __del__(self): {RAISED}
        Thing()""",
    "loop": f"""
        import asyncio
        async def work(): {RAISED}
        async def main():
            task = asyncio.create_task(work()); await asyncio.sleep(0); del task
            import gc; gc.collect()
        asyncio.run(main())""",
    "log": f"""
        import logging
        try: {RAISED}
        except KeyError: logging.getLogger("aiohttp.server").exception("Error handling request")""",
}


def program(body: str) -> list[str]:
    """The command, with this in place of what it does."""
    inner = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    code = f"import unblur.cli\nimport unblur.__main__\ndef work(*_, **__):\n{inner}\nunblur.cli.main = work\n"
    return [sys.executable, "-c", f"{code}unblur.__main__.main()", SECRET]


def run(body: str, state: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "XDG_STATE_HOME": str(state), **environment}
    return subprocess.run(program(body), env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("place", PLACES)
def test_it_is_one_line_and_a_private_file(place: str, tmp_path: Path) -> None:
    done = run(PLACES[place], tmp_path)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("unblur: an unexpected fault in unblur: KeyError: ")
    found = FILE.search(line)
    assert found
    file = Path(found[1])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert file.is_relative_to(tmp_path)
    report = file.read_text("utf-8")
    assert "Traceback" in report
    assert "KeyError" in report
    assert "s3cret" not in report + done.stderr


def test_it_is_one_line_at_a_terminal(tmp_path: Path) -> None:
    with PseudoTerminal(program("raise KeyError('\\x1b[2J')"), 200, XDG_STATE_HOME=str(tmp_path)) as terminal:
        assert terminal.finish() == 1
        assert "Traceback" not in terminal.text
        assert b"\x1b[2J" not in terminal.raw
        assert FILE.search("".join(terminal.lines))


def test_where_the_state_folder_cannot_be_written_the_file_lies_in_the_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"")
    done = run(RAISED, tmp_path / "state", TMPDIR=str(tmp_path))
    assert done.returncode == 1
    (file,) = tmp_path.glob("unblur-*/crash-*.txt")
    assert str(file) in done.stderr
    (tmp_path / "tmp").write_bytes(b"")
    assert "Traceback" not in done.stderr


def test_files_are_bounded_and_a_fault_that_comes_again_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "unblur" / "crashes"
    folder.mkdir(parents=True)
    for number in range(30):
        (folder / f"crash-2020{number:02}.txt").touch()
    body = f"""
        import threading
        def work(): {RAISED}
        for _ in range(100):
            thread = threading.Thread(target=work); thread.start(); thread.join()"""
    done = run(body, tmp_path)
    assert [re.search(r"came (\d+) times", line) is not None for line in done.stderr.splitlines()] == [
        False,
        True,
        True,
    ]
    assert len(list(folder.iterdir())) == crash_reports.MAX_REPORTS


def test_ctrl_c_before_the_command_begins_is_no_fault(tmp_path: Path) -> None:
    done = run("raise KeyboardInterrupt", tmp_path)
    assert done.stderr == "unblur: interrupted\n"
    assert done.returncode == 130
    assert not list(tmp_path.rglob("crash-*"))


def test_ctrl_c_in_a_finalizer_is_not_forgotten(tmp_path: Path) -> None:
    done = run(
        """
        import time
        class Thing:
            def __del__(self): raise KeyboardInterrupt
        Thing()
        time.sleep(300)  # the interruption ends it
        raise KeyError""",
        tmp_path,
    )
    assert (done.stderr, done.returncode) == ("unblur: interrupted\n", 130)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process has loaded")
def test_ctrl_c_among_the_imports_ends_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unblur", "serve", "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        while "numpy" not in maps.read_text("utf-8"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=60)
    assert (output, process.returncode) == ("unblur: interrupted\n", 130)


def test_a_child_process_reports_to_its_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    decoder = Decoder(1000, 60)
    monkeypatch.setattr(crash_reports, "_counts", type(crash_reports._counts)())
    try:
        connection = decoder._connection()
        connection.send("neither pixels nor a side")  # what the child cannot expect
        connection.send_bytes(b"")
        with pytest.raises(ValueError, match="the decoder failed"):
            decoder.decode(b"")
    finally:
        decoder.close()
    captured = capfd.readouterr()
    assert "Traceback" not in captured.err
    (file,) = tmp_path.rglob("crash-*.txt")
    assert "Traceback" in file.read_text("utf-8")
