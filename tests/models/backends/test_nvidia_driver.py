from __future__ import annotations

from pathlib import Path

import pytest

from models.backends import nvidia_driver
from models.errors import ModelError


def test_no_driver_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvidia_driver, "LIBRARY", "libnothing.so")
    with pytest.raises(ModelError, match=r"^no CUDA driver here \(libnothing\.so does not load\)$"):
        nvidia_driver.gpu()


def test_a_file_that_is_no_driver_is_no_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(b"no library")
    monkeypatch.setattr(nvidia_driver, "LIBRARY", str(tmp_path / "libcuda.so.1"))
    with pytest.raises(ModelError, match="no CUDA driver here"):
        nvidia_driver.gpu()


@pytest.mark.usefixtures("with_stub_driver")
def test_the_first_gpu_is_that_of_the_driver() -> None:
    gpu = nvidia_driver.gpu()
    assert (gpu.name, gpu.capability, gpu.cuda) == ("Stub GPU", "8.6", "13.2")


@pytest.mark.usefixtures("with_stub_driver")
def test_a_driver_without_a_gpu_is_named_with_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUB_STATUS", "100")
    with pytest.raises(ModelError, match="the CUDA driver answers cuInit with error 100"):
        nvidia_driver.gpu()
