"""`unblur doctor`: checks the installation and names the command that fixes each problem. Read-only, no downloads.

No heavy library is imported at module level: a missing or broken one is a finding, not a crash.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Literal

import typer
from rich.table import Table
from rich.text import Text

from models.assets import cache, manifest
from unblur import __version__
from unblur.commands.options import Command, command_app, examples
from unblur.terminal import Results, printable

app = command_app()


@app.command(cls=Command, epilog=examples("unblur doctor", "unblur doctor --json"))
def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> int:
    """Check what is installed, what is missing, and how to add it."""
    return print_checks(json)


CheckStatus = Literal["ok", "note", "missing"]
"""`note`: unblur works without it; `missing`: it does not."""
MARKS: dict[CheckStatus, tuple[str, str]] = {"ok": ("✓", "green"), "note": ("–", "yellow"), "missing": ("✗", "red")}

NEEDED = {
    "av": "av",
    "joblib": "joblib",
    "numpy": "numpy",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "opencv-python": "cv2",
    "pillow": "PIL",
    "pydantic": "pydantic",
    "scikit-learn": "sklearn",
    "scipy": "scipy",
    "sqlalchemy": "sqlalchemy",
}
"""Required libraries: the name of the distribution, and the module to import."""
EXTRAS = {
    "openvino": "openvino",
    "facenet-pytorch": "facenet",
    "torch": "facenet",
    "matplotlib": "evaluate",
    "scikit-image": "evaluate",
}
"""Optional libraries, and the extra of unblur that installs each."""
ROOM_BYTES = 200_000_000
"""Required free space in bytes: 60 MB for the cache, the rest for a first recording."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. `remedy` is the command that fixes the problem."""

    section: str
    name: str
    status: CheckStatus
    detail: str
    remedy: str | None = None


def run_checks() -> list[Check]:
    """Check everything that unblur depends on, on this machine."""
    machine = [*cameras(), _display(), *_disks(), _cores()]
    libraries = list(_libraries())
    if not _healthy(libraries):
        return [*libraries, *machine]  # the other checks need these libraries
    return [*libraries, *_models(), *_trained(), *_backends(), _encoder(), *machine]


def print_checks(as_json: bool) -> int:
    """Print the report; return 1 if something required is missing, else 0."""
    checks = run_checks()
    console = Results()
    if as_json:
        report = {"ok": _healthy(checks), "checks": [asdict(check) for check in checks]}
        console.show(json.dumps(report, indent=2))
    else:
        console.print(_table(checks))
    return 0 if _healthy(checks) else 1


def _healthy(checks: Iterable[Check]) -> bool:
    return all(check.status != "missing" for check in checks)


def _table(checks: Iterable[Check]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    section = None
    for check in checks:
        if check.section != section:
            table.add_row(Text(check.section, "bold"))
        section = check.section
        remedy = (f"\n→ {printable(check.remedy)}", "bold") if check.remedy else ""
        name, detail = printable(check.name), printable(check.detail, keep="\n")
        table.add_row(Text.assemble("  ", MARKS[check.status], f" {name}"), Text.assemble(detail, remedy))
    return table


def _libraries() -> Iterator[Check]:
    yield Check("versions", "python", "ok", f"{platform.python_version()} ({sys.executable})")
    yield Check("versions", "unblur", "ok", __version__)
    for name, module in NEEDED.items():
        yield library(name, module)
    for name, extra in EXTRAS.items():
        installed = _version(name)
        yield Check("versions", name, "ok" if installed else "note", installed or f"not installed (extra `{extra}`)")


def library(name: str, module: str) -> Check:
    """Check that a library is installed and its module can be imported."""
    installed = _version(name)
    if installed is None:
        return Check("versions", name, "missing", "not installed", f"pip install {name}")
    try:
        import_module(module)
    except (ImportError, OSError) as error:
        detail = f"{installed} does not load: {shorten(str(error), 160)}"
        return Check("versions", name, "missing", detail, f"pip install --force-reinstall {name}")
    return Check("versions", name, "ok", installed)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _models() -> Iterator[Check]:
    for asset in manifest.assets():
        fault = _fault(asset)
        if fault is None:
            detail = f"{asset.licence}, {asset.size:,} bytes, sha256 as pinned\n{cache.path(asset)}"
            yield Check("models", asset.name, "ok", detail)
        else:
            status: CheckStatus = "note" if asset.kind in {"portraits", "judges"} else "missing"
            remedy = f"unblur evaluate identify --judge {asset.name}" if asset.kind == "judges" else "unblur demo"
            yield Check("models", asset.name, status, f"{asset.licence}, {fault}", remedy)


def _trained() -> Iterator[Check]:
    """Check the networks that come with unblur; without the deblurring network, Richardson-Lucy is used."""
    for network in manifest.trained():
        if cache.matches_manifest(network):
            detail = f"{network.licence}, {network.size:,} bytes, sha256 as pinned\n{network.path}"
            yield Check("models", network.name, "ok", detail)
        else:
            detail = f"{network.path} is missing, or not the file that was pinned"
            yield Check("models", network.name, "note", detail, "pip install --force-reinstall unblur")


def _fault(asset: manifest.Asset) -> str | None:
    """Describe the problem of a cached file; None if it is the pinned file."""
    path = cache.path(asset)
    try:
        if cache.is_verified(asset):
            return None
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return f"{path} is not the file that was pinned" if path.exists() else "not fetched yet"


def _backends() -> Iterator[Check]:
    from models.backends import selection

    states = selection.backends()
    for name, usable, detail in states:
        yield Check("backends", name, "ok" if usable else "note", detail)
    chain = ", ".join(selection.FALLBACK_ORDER)
    yield Check("backends", "auto", "ok", f"takes {selection.choice(states)}, the first that can be used of {chain}")


def cameras(devices: Path = Path("/dev"), classes: Path = Path("/sys/class/video4linux")) -> Iterator[Check]:
    """Check the V4L2 devices, named as by their drivers."""
    found = sorted(devices.glob("video[0-9]*"))
    if not found:
        yield Check("cameras", "none", "note", f"no {devices}/video*: files and streams still work")
    for device in found:
        label = classes / device.name / "name"
        name = label.read_text(encoding="utf-8", errors="replace").strip() if label.is_file() else "no name"
        if os.access(device, os.R_OK | os.W_OK):
            yield Check("cameras", str(device), "ok", name)
        else:
            yield Check("cameras", str(device), "note", f"{name}: may not be opened", "sudo usermod -aG video $USER")


def _display() -> Check:
    names = ("DISPLAY", "WAYLAND_DISPLAY")
    shown = [f"{name}={os.environ[name]}" for name in names if os.environ.get(name)]
    if shown or sys.platform in {"darwin", "win32"}:
        return Check("display", "window", "ok", ", ".join(shown) or sys.platform)
    return Check("display", "window", "note", "DISPLAY is not set: use --output FILE.mp4 or --output none")


def _encoder() -> Check:
    import av

    try:
        codec = av.Codec("h264", "w")
    except av.codec.codec.UnknownCodecError:
        remedy = "pip install --force-reinstall --only-binary :all: av"
        return Check("video", "H.264", "missing", "PyAV was built without an H.264 encoder", remedy)
    return Check("video", "H.264", "ok", f"{codec.name}, FFmpeg {av.ffmpeg_version_info}")


def _disks() -> Iterator[Check]:
    for name, folder in (("cache", cache.folder()), ("working folder", Path.cwd())):
        free = shutil.disk_usage(_existing(folder)).free
        status: CheckStatus = "ok" if free >= ROOM_BYTES else "missing"
        yield Check("disk", name, status, f"{free / 1e9:.1f} GB free at {folder}, {ROOM_BYTES / 1e9:.1f} needed")


def _existing(folder: Path) -> Path:
    """The folder, or its nearest parent that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _cores() -> Check:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Check("processor", "cores", "ok", f"{usable} of {os.cpu_count()} ({platform.machine()})")
