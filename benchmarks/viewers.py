"""Frame rate of the Live page with several viewers of many cameras: `unblur serve` and Chromium browsers.

    python -m benchmarks.viewers CLIP --cameras 9 --viewers 2 --seconds 30

CLIP is converted to 1280x720 at 15 frames per second and plays on each camera (`loop:`). Each viewer is a separate
browser that shows the whole grid. Prints the frames per second that its tiles show (least, median), the time from
opening the page to the first frame of the first and of the last tile, and the cores that server and browsers use;
all run on this machine.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from statistics import median

import av
from av.video.stream import VideoStream
from playwright.sync_api import Browser, Page, sync_playwright

SIZE = (1280, 720)
RATE = 15
WARM_UP_S = 20.0
"""Networks are loaded and warmed up while the cameras already play."""
_ADDRESS = re.compile(r"http://[\d.]+:\d+")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_NOTE_FIRST = """() => {
    window.first = {};
    new MutationObserver((changes) => {
        for (const { target } of changes) {
            if (target.dataset.state === "live") window.first[target.dataset.name] ??= performance.now();
        }
    }).observe(document, { subtree: true, attributes: true, attributeFilter: ["data-state"] });
}"""
_COUNTS = """() => [...document.querySelectorAll(".camera video")].map(
    (video) => video.getVideoPlaybackQuality().totalVideoFrames)"""


def convert(clip: str, path: Path) -> None:
    """Write the clip's first ten seconds as every camera sends it."""
    with av.open(clip) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        assert isinstance(stream, VideoStream)
        (stream.width, stream.height), stream.pix_fmt = SIZE, "yuv420p"
        due = Fraction(0)
        for frame in source.decode(video=0):
            if frame.time is None or frame.time < due or due >= 10:
                continue
            due += Fraction(1, RATE)
            resized = frame.reformat(*SIZE, format="yuv420p")
            resized.pts, resized.time_base = round(due * RATE), Fraction(1, RATE)
            target.mux(stream.encode(resized))
        target.mux(stream.encode(None))


@contextmanager
def run_server(folder: Path, clip: Path, cameras: int) -> Iterator[tuple[str, int]]:
    """Run a server with so many cameras; yield its address and process id."""
    entries = "".join(f'  - {{name: "camera {n + 1}", source: "loop:{clip}"}}\n' for n in range(cameras))
    config = folder / "cameras.yaml"
    config.write_text(f"cameras:\n{entries}")
    command = [sys.executable, "-m", "unblur", "serve", "--config", str(config), "--data", str(folder / "data")]
    with (folder / "server.txt").open("w+") as output:
        process = subprocess.Popen([*command, "--port", "0"], stdout=output, stderr=output)
        try:
            yield _wait_for_address(process, folder / "server.txt"), process.pid
        finally:
            process.terminate()
            process.wait(30)


def _wait_for_address(process: subprocess.Popen[bytes], output: Path) -> str:
    while not (match := _ADDRESS.search(output.read_text())):
        if process.poll() is not None:
            raise SystemExit(output.read_text())
        time.sleep(0.2)
    return match[0]


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process and its descendants."""
    parents: dict[int, list[int]] = {}
    cpu_by_process: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # the process has just ended
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
        cpu_by_process[int(stat.parent.name)] = (int(fields[11]) + int(fields[12])) * _TICK_S
    descendants = [pid]
    for each in descendants:
        descendants += parents.get(each, [])
    return sum(cpu_by_process.get(each, 0.0) for each in descendants)


def open_page(browser: Browser, address: str) -> Page:
    """Open the Live page; note when each tile shows its first frame."""
    page = browser.new_page(viewport={"width": 1920, "height": 1080}, bypass_csp=True)
    page.add_init_script(f"({_NOTE_FIRST})()")
    page.goto(address)
    return page


def measure(address: str, server: int, viewers: int, cameras: int, seconds: float) -> None:
    """Print one line for each viewer, and one for the machine."""
    with sync_playwright() as playwright:
        flags = ["--no-sandbox"]
        start = playwright.chromium.launch
        browsers = [start(executable_path="/usr/bin/chromium", args=flags) for _ in range(viewers)]
        pages = [open_page(browser, address) for browser in browsers]
        for page in pages:
            page.wait_for_function(f"Object.keys(window.first).length === {cameras}", timeout=60_000)
        before = [page.evaluate(_COUNTS) for page in pages]
        began, own, spent = time.monotonic(), cpu_s(os.getpid()), cpu_s(server)
        pages[0].wait_for_timeout(seconds * 1000)
        elapsed = time.monotonic() - began
        of_server = (cpu_s(server) - spent) / elapsed
        of_browsers = (cpu_s(os.getpid()) - own) / elapsed - of_server  # the server is a child of ours, too
        for number, (page, earlier) in enumerate(zip(pages, before, strict=True), 1):
            rates = [(now - then) / elapsed for now, then in zip(page.evaluate(_COUNTS), earlier, strict=True)]
            first = sorted(each / 1000 for each in page.evaluate("Object.values(window.first)"))
            _print(f"viewer {number}: {min(rates):.1f} frames/s at least, {median(rates):.1f} median; ")
            _print(f"first frame after {first[0]:.1f} s, all after {first[-1]:.1f} s\n")
        _print(f"cores: server {of_server:.2f}, browsers {of_browsers:.2f}, of {os.cpu_count()}\n")
        for browser in browsers:
            browser.close()


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("--cameras", type=int, default=9)
    parser.add_argument("--viewers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder, clip = Path(made), Path(made) / "clip.mp4"
        convert(arguments.clip, clip)
        with run_server(folder, clip, arguments.cameras) as (address, server):
            time.sleep(WARM_UP_S)
            measure(address, server, arguments.viewers, arguments.cameras, arguments.seconds)


if __name__ == "__main__":
    main()
