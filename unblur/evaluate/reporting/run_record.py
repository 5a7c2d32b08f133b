"""The record of an experiment's run: data, seed, commit, machine and backend of its figures."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from models.assets.cache import digest
from unblur import __version__

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Where a table's figures come from; `notes` is everything else that a reader needs."""

    data: str
    seed: int
    commit: str
    machine: str
    backend: str
    notes: tuple[str, ...] = ()

    def to_markdown(self) -> str:
        fields = [f"{key}: {value}" for key, value in asdict(self).items() if key != "notes"]
        return "\n".join(f"- {line}" for line in (*fields, *self.notes))


def record_run(archives: Iterable[Path], seed: int, backend: str, *notes: str) -> RunRecord:
    """Record a run at its start, since the checkout may change during the run."""
    return RunRecord(", ".join(map(describe_file, archives)), seed, commit(), machine(), backend, notes)


def describe_file(file: Path) -> str:
    """Describe a file by its folder, name and content hash."""
    return f"{file.parent.name}/{file.name} (sha256 {digest(file)[:12]})"


def commit() -> str:
    """Return the checkout's commit, marked if there are changes; the version if this is no checkout."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    if (ROOT / ".git").exists():
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass
    return f"unblur {__version__}"


def machine() -> str:
    """Describe the processor and how many of its cores may be used."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
