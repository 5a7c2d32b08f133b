"""Milliseconds per row of every available backend, and its difference from ONNX Runtime, on one core.

taskset -c 0 python -m benchmarks.backends [--network FILE.onnx]... [--rows 1 8 32]

Without --network: SFace, and every network that this project trained. Rows are noise; the time is the least of 30.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from models.assets import manifest
from models.assets.fetch import fetch
from models.backends import parity_check
from models.backends.onnxruntime_backend import OnnxRuntime
from models.backends.selection import NAMES, load
from models.backends.session import NetworkSession, Tensor
from models.errors import ModelError


def least_ms(session: NetworkSession, inputs: list[Tensor], repeats: int = 30) -> float:
    """Measure the milliseconds per row in the fastest of so many passes."""
    session.run(*inputs)
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        session.run(*inputs)
        times.append(1e3 * (time.perf_counter() - started))
    return min(times) / len(inputs[0])


def print_rows(network: Path, counts: list[int]) -> None:
    """Print a line for each backend that runs the network."""
    reference = OnnxRuntime(network, threads=1)
    for name in NAMES:
        try:
            session = load(network, name)
        except ModelError as error:
            print(f"{network.stem} {name}: {error}", file=sys.stderr)
            continue
        difference = parity_check.compare(session, reference)
        times = " | ".join(f"{least_ms(session, parity_check.inputs(reference.inputs, count)):.2f}" for count in counts)
        print(f"| {network.stem} | {name} | {times} | {difference:.2%} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", type=Path, action="append")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8])
    arguments = parser.parse_args()
    print("| network | backend | " + " | ".join(f"ms a row of {count}" for count in arguments.rows) + " | difference |")
    print("|---" * (3 + len(arguments.rows)) + "|")
    for network in arguments.network or [fetch("sface"), *(each.path for each in manifest.trained())]:
        print_rows(network, arguments.rows)


if __name__ == "__main__":
    main()
