"""Queries the NVIDIA driver and its GPU; used before libraries that may crash without one."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import NamedTuple

from models.errors import ModelError

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_MAJOR, _MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""


class Gpu(NamedTuple):
    """The first GPU. `cuda` is the latest CUDA that the driver supports, `driver` its version, if known."""

    name: str
    capability: str
    cuda: str
    driver: str


def gpu() -> Gpu:
    """Return the first GPU. Raises ModelError without a driver or GPU."""
    cuda = _load()
    _call(cuda, "cuInit", 0)
    device, version = ctypes.c_int(), ctypes.c_int()
    _call(cuda, "cuDeviceGet", ctypes.byref(device), 0)
    _call(cuda, "cuDriverGetVersion", ctypes.byref(version))
    name = ctypes.create_string_buffer(256)
    _call(cuda, "cuDeviceGetName", name, len(name), device)
    capability = ".".join(str(_attribute(cuda, kind, device)) for kind in (_MAJOR, _MINOR))
    cuda_version = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return Gpu(name.value.decode(errors="replace"), capability, cuda_version, _driver_version())


def installed() -> bool:
    """Return whether a driver is installed."""
    try:
        _load()
    except ModelError:
        return False
    return True


def _load() -> ctypes.CDLL:
    try:
        return ctypes.CDLL(LIBRARY)
    except OSError as error:
        raise ModelError(f"no CUDA driver here ({LIBRARY} does not load)") from error


def _attribute(cuda: ctypes.CDLL, kind: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    _call(cuda, "cuDeviceGetAttribute", ctypes.byref(value), kind, device)
    return value.value


def _call(cuda: ctypes.CDLL, function: str, *arguments: object) -> None:
    status = getattr(cuda, function)(*arguments)
    if status:
        raise ModelError(f"the CUDA driver answers {function} with error {status}")


def _driver_version(file: Path = Path("/proc/driver/nvidia/version")) -> str:
    return file.read_text(encoding="utf-8", errors="replace").partition("\n")[0] if file.is_file() else ""
