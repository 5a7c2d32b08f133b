"""What a table was made of: without it, its figures are hearsay."""

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
    """Where the figures come from; `notes` is what else a reader must know."""

    data: str
    seed: int
    commit: str
    machine: str
    backend: str
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        told = [f"{key}: {value}" for key, value in asdict(self).items() if key != "notes"]
        return "\n".join(f"- {line}" for line in (*told, *self.notes))


def record(archives: Iterable[Path], seed: int, backend: str, *notes: str) -> RunRecord:
    """The record of a run that begins here and now: while it goes on, the checkout may change."""
    return RunRecord(", ".join(map(named, archives)), seed, commit(), machine(), backend, notes)


def named(file: Path) -> str:
    """A file by its folder, its name and what it holds."""
    return f"{file.parent.name}/{file.name} (sha256 {digest(file)[:12]})"


def commit() -> str:
    """The checkout's commit, with a mark if it was changed since; the version where this is no checkout."""
    asked = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    if (ROOT / ".git").exists():
        try:
            return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            pass
    return f"unblur {__version__}"


def machine() -> str:
    """The processor and how many of its cores may be used."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{_processor()}, {cores} cores"


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
