"""Soak test: memory of `unblur serve` with its simulated camera, while viewers connect and disconnect.

    python -m benchmarks.soak --minutes 30

Four viewers at a time, each with a WebRTC connection for 5 to 40 seconds; half of them leave without closing it, like
a phone that loses its network. Meanwhile a client reads the event stream and requests the pages. Memory is the server's
resident set, at the end of each tenth of the run.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import aiohttp
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

AT_ONCE = 4
STAY_S = 5.0, 40.0
PARTS = 10
_PATHS = ("/", "/events", "/people", "/health", "/metrics", "/api/v1/cameras", "/api/v1/events", "/api/v1/health")
_ADDRESS = re.compile(r"http://[\d.]+:\d+")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class SimulatedViewers:
    """`AT_ONCE` viewers at a time, each followed by the next; and clients of the events and pages."""

    def __init__(self, address: str, until: float) -> None:
        self._address, self._until = address, until
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        async with aiohttp.ClientSession(self._address) as http:
            viewing = [asyncio.create_task(self._view(http, random.Random(seed))) for seed in range(AT_ONCE)]
            clients = [asyncio.create_task(each) for each in (self._read_events(http), self._request_pages(http))]
            await asyncio.gather(*viewing)
            for task in clients:
                task.cancel()
            await asyncio.gather(*clients, return_exceptions=True)

    async def _view(self, http: aiohttp.ClientSession, rng: random.Random) -> None:
        cameras = (await (await http.get("/api/v1/cameras")).json())["cameras"]
        while time.monotonic() < self._until:
            stay = min(rng.uniform(*STAY_S), max(1.0, self._until - time.monotonic()))
            await self._visit(http, rng.choice(cameras)["whep"], stay, disconnects=rng.random() < 0.5)

    async def _visit(self, http: aiohttp.ClientSession, whep: str, stay_s: float, disconnects: bool) -> None:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        receiver = connection.addTransceiver("video", direction="recvonly").receiver
        await connection.setLocalDescription(await connection.createOffer())
        offer = connection.localDescription.sdp
        async with http.post(whep, data=offer, headers={"Content-Type": "application/sdp"}) as response:
            answer, session = await response.text(), response.headers.get("Location")
        if session is None:
            self.counts["refused"] += 1
            await asyncio.sleep(1)
        else:
            await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
            with suppress(TimeoutError, MediaStreamError):
                async with asyncio.timeout(stay_s):
                    while True:
                        await receiver.track.recv()
                        self.counts["pictures"] += 1
            self.counts["visits"] += 1
            if disconnects:
                await http.delete(session)
        await connection.close()

    async def _read_events(self, http: aiohttp.ClientSession) -> None:
        no_timeout = aiohttp.ClientTimeout(total=None)
        async with http.get("/api/v1/events/stream", timeout=no_timeout) as stream:
            async for line in stream.content:
                self.counts["events"] += line.startswith(b"data:")

    async def _request_pages(self, http: aiohttp.ClientSession) -> None:
        while True:
            for path in _PATHS:
                async with http.get(path) as page:
                    await page.read()
                self.counts["pages"] += 1
            await asyncio.sleep(2)


def resident_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * _PAGE / 1e6


def open_files(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


async def watch(server: int, address: str, seconds: float) -> None:
    """Print a row of the table at the end of each part of the run."""
    began = time.monotonic()
    viewers, memory = SimulatedViewers(address, began + seconds), []
    running = asyncio.create_task(viewers.run())
    for part in range(1, PARTS + 1):
        while (remaining := began + part * seconds / PARTS - time.monotonic()) > 0:
            await asyncio.sleep(min(5, remaining))
            memory.append((time.monotonic() - began, resident_mb(server)))
        counts = viewers.counts
        totals = [counts[name] for name in ("visits", "refused", "pictures", "events", "pages")]
        row = [f"{(time.monotonic() - began) / 60:.1f}", f"{memory[-1][1]:.0f}", open_files(server), *totals]
        print("| " + " | ".join(map(str, row)) + " |", flush=True)
    await running
    late = np.array([each for each in memory if each[0] > seconds / 3])
    slope = np.polyfit(late[:, 0] / 3600, late[:, 1], 1)[0]
    print(f"\nFrom the end of the first third on, memory changes by {slope:+.0f} MB an hour.")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "unblur", "serve", "--port", "0", "--data", data]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr
            address = next(match[0] for line in server.stderr if (match := _ADDRESS.search(line)))
            threading.Thread(target=server.stderr.read, daemon=True).start()  # a full pipe would block the server
            print(
                "| minute | memory MB | open files | visits | refused | pictures | events | pages |\n"
                + "|---" * 8
                + "|"
            )
            try:
                asyncio.run(watch(server.pid, address, 60 * arguments.minutes))
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
